/* The journal's writer: first stop of everything that came from outside, on the landing thread.
 *
 * A record is packed into the open block; a full or old block is compressed straight into the tail
 * ring and written to the current segment from there. Until it is synced it stays in the ring
 * (writer.h says why), so the memory is fixed: one open block, one zstd workspace, the ring
 * (journal_memory_bytes). Nothing here waits for a sync except journal_sync(), journal_close() and
 * sync_ms 0; the answer to a full ring is "not taken".
 *
 * A write that failed is tried again from the ring at the same offset: what a short count left
 * there is cut off, or overwritten by the same bytes. A sync that failed makes every written block
 * unwritten again and gives them a new segment (tail_rescue). */
#include <stdio.h>
#include <string.h>
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/failpoint.h"
#include "journal/writer.h"

_Static_assert(SEGMENT_BLOCK_BYTES_DEFAULT <= SEGMENT_BLOCK_BYTES_MAX, "block sizes");

/* ---- Settings and memory. */

/* Zeroes become the defaults. */
static struct journal_config with_defaults(const struct journal_config *config)
{
    struct journal_config c = *config;
    c.block_bytes = c.block_bytes > 0 ? c.block_bytes : SEGMENT_BLOCK_BYTES_DEFAULT;
    c.segment_bytes = c.segment_bytes > 0 ? c.segment_bytes : 64u << 20;
    c.zstd_level = c.zstd_level != 0 ? c.zstd_level : 1;
    c.unsynced_bytes = c.unsynced_bytes > 0 ? c.unsynced_bytes : JOURNAL_UNSYNCED_BYTES_DEFAULT;
    return c;
}

static int config_check(const struct journal_config *c, struct err *err)
{
    if (c->block_bytes > SEGMENT_BLOCK_BYTES_MAX) {
        return err_set(err, MD_EINVAL, "journal: block_bytes %u: at most %u", c->block_bytes,
                       SEGMENT_BLOCK_BYTES_MAX);
    }
    if (c->record_bytes_max < RECORD_HEAD_BYTES || c->record_bytes_max > SEGMENT_RECORD_BYTES_MAX) {
        return err_set(err, MD_EINVAL, "journal: record_bytes_max %u: %d to %u",
                       c->record_bytes_max, RECORD_HEAD_BYTES, SEGMENT_RECORD_BYTES_MAX);
    }
    if (c->zstd_level < 1 || c->zstd_level > 19) {
        return err_set(err, MD_EINVAL, "journal: zstd_level %d: 1 to 19", c->zstd_level);
    }
    if (c->sync_ms < 0 || c->sync_ms > 3600000) {
        return err_set(err, MD_EINVAL, "journal: sync_ms %lld: 0 to 3600000",
                       (long long)c->sync_ms);
    }
    return 0;
}

static size_t raw_bytes_max(const struct journal_config *c)
{
    return c->block_bytes > c->record_bytes_max ? c->block_bytes : c->record_bytes_max;
}

/* The ring holds the largest block at least. */
static size_t tail_bytes(const struct journal_config *c)
{
    size_t bound = block_bytes_bound(raw_bytes_max(c));
    return c->unsynced_bytes > bound ? c->unsynced_bytes : bound;
}

size_t journal_memory_bytes(const struct journal_config *config)
{
    struct journal_config c = with_defaults(config);
    size_t bytes = 0;
    bytes += sizeof(struct journal);              /* state and the table of unsynced blocks */
    bytes += raw_bytes_max(&c);                   /* the open block */
    bytes += tail_bytes(&c);                      /* stored blocks until they are synced */
    bytes += ZSTD_estimateCCtxSize(c.zstd_level); /* compression workspace */
    return bytes;
}

void journal_check(const struct journal *journal)
{
    ASSERT(journal->magic == JOURNAL_MAGIC);
    ASSERT(journal->written <= journal->count);
    ASSERT(journal->count <= JOURNAL_UNSYNCED_BLOCKS_MAX);
    ASSERT(journal->first < JOURNAL_UNSYNCED_BLOCKS_MAX);
    ASSERT(journal->segment_count <= JOURNAL_SEGMENTS_OPEN_MAX);
    ASSERT(journal->segment_count > 0 || journal->suspect);
    ASSERT(journal->tail_next <= journal->tail_bytes);
    uint64_t next = atomic_load(&journal->synced_seq) + 1;
    if (journal->count > 0) {
        ASSERT(journal->unsynced[journal->first].first_seq == next);
    }
}

/* ---- The tail ring. */

/* Room for `bytes` in one piece, or NULL. Only the landing thread puts blocks in, so the place
 * stays free until tail_push(). */
static char *tail_reserve(struct journal *journal, size_t bytes)
{
    char *place = NULL;
    pthread_mutex_lock(&journal->lock);
    if (journal->count == 0) {
        journal->tail_next = 0;
    }
    size_t next = journal->tail_next;
    size_t oldest = journal->count > 0 ? unsynced_at(journal, 0)->at : journal->tail_bytes;
    bool wrapped = journal->count > 0 && next <= oldest;
    if (journal->count == JOURNAL_UNSYNCED_BLOCKS_MAX) {
        place = NULL;
    } else if (wrapped) {
        place = bytes <= oldest - next ? journal->tail + next : NULL;
    } else if (bytes <= journal->tail_bytes - next) {
        place = journal->tail + next;
    } else if (journal->count > 0 && bytes <= oldest) {
        journal->tail_next = 0; /* what is left before the end stays unused this time round */
        place = journal->tail;
    }
    pthread_mutex_unlock(&journal->lock);
    return place;
}

static void tail_push(struct journal *journal, const char *place, const struct block_head *head)
{
    struct unsynced block = {
        .at = (size_t)(place - journal->tail),
        .bytes = BLOCK_HEAD_BYTES + head->stored_bytes,
        .first_seq = head->first_seq,
        .last_seq = head->first_seq + head->record_count - 1,
        .first_mono_ns = atomic_load_explicit(&journal->raw_mono_ns, memory_order_relaxed),
    };
    pthread_mutex_lock(&journal->lock);
    ASSERT(block.at == journal->tail_next);
    if (journal->count == 0) {
        atomic_store(&journal->unsynced_mono_ns, block.first_mono_ns);
    }
    *unsynced_at(journal, journal->count) = block;
    journal->count++;
    journal->tail_next += block.bytes;
    journal_check(journal);
    pthread_mutex_unlock(&journal->lock);
}

/* More than a quarter of the ring waits: do not wait for sync_ms. */
static bool tail_filling(struct journal *journal)
{
    if (journal->count == 0) {
        return false;
    }
    size_t oldest = unsynced_at(journal, 0)->at;
    size_t next = journal->tail_next;
    size_t used = next > oldest ? next - oldest : journal->tail_bytes - oldest + next;
    return used > journal->tail_bytes / 4 || journal->count > JOURNAL_UNSYNCED_BLOCKS_MAX / 4;
}

static void raw_reset(struct journal *journal)
{
    journal->raw_bytes = 0;
    journal->raw_count = 0;
    atomic_store_explicit(&journal->raw_mono_ns, INT64_MAX, memory_order_relaxed);
}

/* For counters that the landing thread alone writes: no locked instruction. */
static void count_add(atomic_uint_least64_t *counter, uint64_t n)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + n, memory_order_relaxed);
}

/* Compresses the open block into the ring. MD_EFULL: no room, the open block stays as it is. */
static int block_finish(struct journal *journal)
{
    ASSERT(journal->raw_count > 0);
    size_t bound = block_bytes_bound(journal->raw_bytes);
    char *place = tail_reserve(journal, bound);
    if (place == NULL) {
        return MD_EFULL;
    }
    size_t stored =
        ZSTD_compressCCtx(journal->cctx, place + BLOCK_HEAD_BYTES, bound - BLOCK_HEAD_BYTES,
                          journal->raw, journal->raw_bytes, journal->config.zstd_level);
    ASSERT(!ZSTD_isError(stored)); /* the workspace and the bound are ours to get right */
    struct block_head head = {
        .raw_bytes = (uint32_t)journal->raw_bytes,
        .stored_bytes = (uint32_t)stored,
        .record_count = journal->raw_count,
        .first_seq = journal->raw_first_seq,
        .first_unix_ns = journal->raw_first_unix_ns,
        .checkpoint = journal->begun,
    };
    journal->begun = false;
    block_head_put(&head, place);
    tail_push(journal, place, &head);
    count_add(&journal->stats.blocks, 1);
    count_add(&journal->stats.raw_bytes, journal->raw_bytes);
    count_add(&journal->stats.stored_bytes, BLOCK_HEAD_BYTES + stored);
    raw_reset(journal);
    return 0;
}

/* ---- Segments. */

static int segment_handle_open(struct journal *journal, const char *path)
{
    int flags = MDIO_READ | MDIO_WRITE | MDIO_CREATE | MDIO_EXCLUSIVE;
    int handle = mdio_open_in(journal->io, JOURNAL_FOLDER, path, flags);
    if (handle == MD_EEXIST) {
        /* journal_open() made sure that nothing that counts bears such a name, so this is what an
         * earlier try of ours left behind. */
        int code = mdio_unlink(journal->io, path);
        handle = code < 0 ? code : mdio_open(journal->io, path, flags);
    }
    return handle;
}

/* Makes a new segment the current one. On failure nothing has changed. */
static int segment_start(struct journal *journal, uint64_t first_seq, int64_t created_unix_ns)
{
    char path[SEGMENT_PATH_BYTES];
    char bytes[SEGMENT_HEAD_BYTES];
    struct segment_head head = {
        .boot_epoch = journal->config.boot_epoch,
        .first_seq = first_seq,
        .created_unix_ns = created_unix_ns,
    };
    snprintf(head.recorder, sizeof head.recorder, "%s", journal->config.recorder);
    segment_head_put(&head, bytes);
    int code = segment_path(JOURNAL_FOLDER, first_seq, path);
    ASSERT(code == 0);
    int handle = segment_handle_open(journal, path);
    if (handle < 0) {
        return journal_failed(journal, handle);
    }
    code = mdio_write_all(journal->io, handle, bytes, sizeof bytes, 0);
    if (code < 0) {
        (void)mdio_close(journal->io, handle);
        (void)mdio_unlink(journal->io, path); /* else the next try does it, see above */
        return journal_failed(journal, code);
    }
    pthread_mutex_lock(&journal->lock);
    ASSERT(journal->segment_count < JOURNAL_SEGMENTS_OPEN_MAX); /* the caller looked */
    journal->segments[journal->segment_count++] =
        (struct segment_open){.handle = handle, .first_seq = first_seq};
    pthread_mutex_unlock(&journal->lock);
    journal->segment_bytes = SEGMENT_HEAD_BYTES;
    journal->roll_at_bytes = journal->config.segment_bytes;
    count_add(&journal->stats.segments, 1);
    return 0;
}

/* After a failed sync: closes every open segment, takes away those that hold nothing but what the
 * ring holds too, and starts a new one for it. The sync thread stands still while `suspect`. On
 * failure all stays suspect and the next call goes on where this one stopped. */
static int tail_rescue(struct journal *journal)
{
    ASSERT(journal->suspect);
    ASSERT(!journal->sync_busy);
    ASSERT(journal->count > 0);
    uint64_t from_seq = unsynced_at(journal, 0)->first_seq;
    while (journal->segment_count > 0) {
        struct segment_open *segment = &journal->segments[journal->segment_count - 1];
        if (segment->handle >= 0) {
            (void)mdio_close(journal->io, segment->handle); /* suspect: nothing to lose */
            segment->handle = -1;
        }
        if (segment->first_seq >= from_seq) {
            char path[SEGMENT_PATH_BYTES];
            int code = segment_path(JOURNAL_FOLDER, segment->first_seq, path);
            ASSERT(code == 0);
            /* It has the new segment's name, or stands behind it with a suspect copy. */
            code = mdio_unlink(journal->io, path);
            if (code < 0 && code != MD_ENOENT) {
                return journal_failed(journal, code);
            }
        }
        journal->segment_count--;
    }
    int code = segment_start(journal, from_seq, 0);
    if (code < 0) {
        return code;
    }
    journal->roll_at_bytes = SEGMENT_HEAD_BYTES + 1; /* so that the caller writes one soon */
    pthread_mutex_lock(&journal->lock);
    journal->written = 0;
    journal->suspect = false;
    journal_check(journal);
    pthread_mutex_unlock(&journal->lock);
    return 0;
}

/* ---- Writing. */

/* The oldest block that is not in a file yet. False when there is none, or the segment is suspect.
 */
static bool unwritten_next(struct journal *journal, struct unsynced *block, int *handle)
{
    bool found = false;
    pthread_mutex_lock(&journal->lock);
    if (!journal->suspect && journal->written < journal->count) {
        *block = *unsynced_at(journal, journal->written);
        *handle = journal->segments[journal->segment_count - 1].handle;
        found = true;
    }
    pthread_mutex_unlock(&journal->lock);
    return found;
}

/* Writes every block of the ring that is in no file yet. 0, or the failure: they stay in the ring.
 */
static int tail_write(struct journal *journal)
{
    struct unsynced block;
    int handle = -1;
    while (unwritten_next(journal, &block, &handle)) {
        int64_t begin_ns = clock_mono_ns(&clock_system);
        int code = mdio_write_all(journal->io, handle, journal->tail + block.at, block.bytes,
                                  (int64_t)journal->segment_bytes);
        histogram_add(&journal->write_times, clock_mono_ns(&clock_system) - begin_ns);
        if (code < 0) {
            /* When this fails too, the next try writes the same bytes over the torn ones. */
            (void)mdio_truncate(journal->io, handle, (int64_t)journal->segment_bytes);
            atomic_store(&journal->write_failing, true);
            return journal_failed(journal, code);
        }
        FAILPOINT("journal_after_write");
        journal->segment_bytes += block.bytes;
        pthread_mutex_lock(&journal->lock);
        journal->written++;
        pthread_mutex_unlock(&journal->lock);
    }
    atomic_store(&journal->write_failing, false);
    return 0;
}

static bool suspect(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    bool value = journal->suspect;
    pthread_mutex_unlock(&journal->lock);
    return value;
}

static int last_code(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    int code = journal->last_code;
    pthread_mutex_unlock(&journal->lock);
    return code;
}

/* Each try writes all of the ring anew: not more often than every JOURNAL_RESCUE_PAUSE_NS. */
static int rescue_if_due(struct journal *journal)
{
    if (journal->now_mono_ns < journal->rescue_mono_ns) {
        return last_code(journal);
    }
    journal->rescue_mono_ns = journal->now_mono_ns + JOURNAL_RESCUE_PAUSE_NS;
    return tail_rescue(journal);
}

/* Gets a suspect segment replaced, the open block (if asked) into the ring, the ring into the file.
 */
static int push_out(struct journal *journal, bool with_open_block)
{
    int code = 0;
    if (suspect(journal)) {
        code = rescue_if_due(journal);
    }
    if (code == 0 && with_open_block && journal->raw_count > 0) {
        int finished = block_finish(journal);
        code = tail_write(journal);
        return code < 0 ? code : finished;
    }
    return code < 0 ? code : tail_write(journal);
}

/* Is it time for a sync, and when must the landing thread look again? */
static void sync_if_due(struct journal *journal, int64_t now_mono_ns, bool flush)
{
    int64_t next_ns = now_mono_ns + journal->sync_ns;
    int64_t raw_ns = atomic_load_explicit(&journal->raw_mono_ns, memory_order_relaxed);
    if (raw_ns != INT64_MAX && raw_ns + journal->sync_ns < next_ns) {
        next_ns = raw_ns + journal->sync_ns;
    }
    pthread_mutex_lock(&journal->lock);
    if (journal->suspect) {
        next_ns = journal->rescue_mono_ns < next_ns ? journal->rescue_mono_ns : next_ns;
    } else if (journal->written < journal->count) {
        next_ns = now_mono_ns; /* a write failed: try again with each call */
    } else if (journal->count > 0 && journal->threaded) {
        int64_t due_ns = unsynced_at(journal, 0)->first_mono_ns + journal->sync_ns;
        if (flush || now_mono_ns >= due_ns || tail_filling(journal)) {
            journal->sync_wanted = true;
            pthread_cond_signal(&journal->work);
            due_ns = now_mono_ns + journal->sync_ns / 8 + 1; /* asked; look whether it was done */
        }
        next_ns = due_ns < next_ns ? due_ns : next_ns;
    }
    pthread_mutex_unlock(&journal->lock);
    journal->service_mono_ns = next_ns;
}

/* Looks after everything that time or another thread makes necessary. Never waits for a sync. */
static int service(struct journal *journal, int64_t now_mono_ns)
{
    atomic_store(&journal->attention, false);
    bool flush = atomic_load(&journal->flush_seq) > atomic_load(&journal->synced_seq);
    int64_t raw_ns = atomic_load_explicit(&journal->raw_mono_ns, memory_order_relaxed);
    bool old = raw_ns != INT64_MAX && now_mono_ns - raw_ns >= journal->sync_ns;
    int code = push_out(journal, old || flush);
    sync_if_due(journal, now_mono_ns, flush);
    return code;
}

/* ---- Public. */

/* Gets the open block out of the way of the next record. 0, or why that cannot be: then the record
 * is not taken. */
static int block_make_room(struct journal *journal, int64_t now_mono_ns)
{
    int code = block_finish(journal);
    if (code == MD_EFULL) {
        if (!journal->threaded) {
            (void)sync_written(journal); /* nobody else would; a failure shows below */
        }
        (void)service(journal, now_mono_ns);
        code = journal->raw_count == 0 ? 0 : block_finish(journal);
    }
    (void)tail_write(journal); /* the block is in the ring: a failure is counted and tried again */
    sync_if_due(journal, now_mono_ns, false);
    return code < 0 && journal_failing(journal) ? last_code(journal) : code;
}

/* Makes all safe that was taken; gives up at the `failures_max`-th failure. */
static int sync_all(struct journal *journal, int failures_max)
{
    int code = 0;
    for (int failures = 0; failures < failures_max;) {
        code = push_out(journal, true);
        if (code < 0 && code != MD_EFULL) {
            return code;
        }
        code = sync_written(journal);
        if (code < 0) {
            failures++;
            journal->rescue_mono_ns = failures < failures_max ? INT64_MIN : journal->rescue_mono_ns;
        } else if (journal->raw_count == 0 &&
                   atomic_load(&journal->synced_seq) + 1 == journal->next_seq) {
            return 0;
        }
    }
    return code;
}

int journal_append(struct journal *journal, struct record *record, int64_t now_mono_ns)
{
    journal->now_mono_ns = now_mono_ns;
    size_t bytes = record_packed_bytes(record);
    if (__builtin_expect(bytes > journal->config.record_bytes_max ||
                             record->arg.bytes > RECORD_ARG_BYTES_MAX,
                         0)) {
        return MD_ETOOBIG;
    }
    if (now_mono_ns >= journal->service_mono_ns ||
        atomic_load_explicit(&journal->attention, memory_order_relaxed)) {
        (void)service(journal, now_mono_ns); /* failures are counted and shown by failing() */
    }
    bool roll_due = journal_roll_due(journal); /* before: the caller had its chance to roll */
    if (journal->raw_count > 0 && journal->raw_bytes + bytes > journal->config.block_bytes) {
        int code = block_make_room(journal, now_mono_ns);
        if (code < 0) {
            return code;
        }
    }
    if (journal->raw_count == 0) {
        if (roll_due && journal_roll(journal) == 0) { /* a failure leaves the old one in use */
            journal->begun = false;
        }
        journal->raw_first_seq = journal->next_seq;
        journal->raw_first_unix_ns = record->time_unix_ns;
        atomic_store_explicit(&journal->raw_mono_ns, now_mono_ns, memory_order_relaxed);
    }
    record->seq = journal->next_seq++;
    journal->raw_bytes += record_pack(record, journal->raw + journal->raw_bytes);
    journal->raw_count++;
    journal->last_unix_ns = record->time_unix_ns;
    count_add(&journal->stats.records, 1);
    if (journal->sync_ns == 0) {
        (void)sync_all(journal, 1); /* taken in any case; synced_seq says whether it is safe */
    } else if (journal->raw_bytes >= journal->config.block_bytes) {
        (void)block_make_room(journal, now_mono_ns);
    }
    return 0;
}

int journal_poll(struct journal *journal, int64_t now_mono_ns)
{
    journal->now_mono_ns = now_mono_ns;
    if (now_mono_ns < journal->service_mono_ns && !atomic_load(&journal->attention)) {
        return 0;
    }
    int code = service(journal, now_mono_ns);
    return code == MD_EFULL ? 0 : code; /* a slow disk is not a failure */
}

int journal_sync(struct journal *journal)
{
    journal->rescue_mono_ns = INT64_MIN;
    return sync_all(journal, 3);
}

bool journal_roll_due(const struct journal *journal)
{
    /* on a disk that fails each checkpoint would take of the tail's room, for nothing */
    return journal->segment_bytes >= journal->roll_at_bytes && !atomic_load(&journal->sync_failing);
}

int journal_roll(struct journal *journal)
{
    int code = push_out(journal, true);
    if (code < 0) {
        return code;
    }
    if (journal->segment_bytes <= SEGMENT_HEAD_BYTES) {
        journal->begun = true;
        return 0; /* nothing is in it yet */
    }
    if (!journal->threaded && journal->segment_count == JOURNAL_SEGMENTS_OPEN_MAX) {
        (void)sync_written(journal); /* a failure shows as suspect */
    }
    pthread_mutex_lock(&journal->lock);
    bool full = journal->segment_count == JOURNAL_SEGMENTS_OPEN_MAX;
    bool unusable = journal->suspect;
    pthread_mutex_unlock(&journal->lock);
    if (unusable) {
        code = last_code(journal);
    } else if (full) {
        code = MD_EFULL; /* the disk is slow: all the old segments still wait for a sync */
    } else {
        code = segment_start(journal, journal->next_seq, journal->last_unix_ns);
        journal->begun = code == 0;
    }
    if (code < 0) {
        journal_roll_later(journal);
    }
    return code;
}

void journal_checkpointed(struct journal *journal)
{
    journal->checkpoint_seq = journal->next_seq - 1;
}

void journal_roll_later(struct journal *journal)
{
    journal->roll_at_bytes = journal->segment_bytes + journal->config.block_bytes;
}

uint64_t journal_next_seq(const struct journal *journal)
{
    return journal->next_seq;
}

uint64_t journal_synced_seq(const struct journal *journal)
{
    return atomic_load(&journal->synced_seq);
}

bool journal_failing(const struct journal *journal)
{
    return atomic_load(&journal->write_failing) || atomic_load(&journal->sync_failing);
}

struct journal_stats journal_stats(const struct journal *journal, int64_t now_mono_ns)
{
    int64_t raw_ns = atomic_load(&journal->raw_mono_ns);
    int64_t unsynced_ns = atomic_load(&journal->unsynced_mono_ns);
    int64_t oldest_ns = unsynced_ns < raw_ns ? unsynced_ns : raw_ns;
    return (struct journal_stats){
        .records = atomic_load(&journal->stats.records),
        .raw_bytes = atomic_load(&journal->stats.raw_bytes),
        .stored_bytes = atomic_load(&journal->stats.stored_bytes),
        .blocks = atomic_load(&journal->stats.blocks),
        .segments = atomic_load(&journal->stats.segments),
        .syncs = atomic_load(&journal->stats.syncs),
        .failures = atomic_load(&journal->stats.failures),
        .sync_ns_max = atomic_load(&journal->stats.sync_ns_max),
        .synced_lag_ns = oldest_ns < now_mono_ns ? now_mono_ns - oldest_ns : 0,
    };
}

const struct histogram *journal_write_times(const struct journal *journal)
{
    return &journal->write_times;
}

const struct histogram *journal_sync_times(const struct journal *journal)
{
    return &journal->sync_times;
}

/* ---- Opening and closing. */

/* True when the file holds a record that a reader would give. */
static int segment_has_records(struct journal_reader *reader, const char *path, struct err *err)
{
    struct record record;
    int code = journal_reader_again(reader, path, 0, err);
    if (code == 0) {
        code = journal_reader_next(reader, &record, err);
    }
    return code == MD_ETOOBIG ? 1 : code;
}

/* A run that was cut off before its first sync leaves a segment of the number we start with, or,
 * when a later one lost what stood before it, above. They hold no record, but their names would
 * speak for ours (segment.h): away with them. A record in one of them means that first_seq is
 * wrong. */
static int remove_empty_from(struct mdio *io, uint64_t first_seq, struct journal_reader *reader,
                             struct err *err)
{
    uint64_t found = first_seq;
    int code;
    while ((code = segment_find(io, JOURNAL_FOLDER, found, &found)) > 0) {
        char path[SEGMENT_PATH_BYTES];
        code = segment_path(JOURNAL_FOLDER, found, path);
        ASSERT(code == 0);
        code = segment_has_records(reader, path, err);
        if (code > 0) {
            return err_set(err, MD_EINVAL,
                           "journal: %s: holds records, but the next is to be number %llu", path,
                           (unsigned long long)first_seq);
        }
        if (code < 0) {
            return err_append(err, code, "journal: %s", path);
        }
        code = mdio_unlink(io, path);
        if (code < 0) {
            return err_set(err, code, "journal: %s: cannot be removed: %s", path, err_text(code));
        }
        if (found == UINT64_MAX) {
            break;
        }
        found++;
    }
    return code < 0 ? err_set(err, code, "journal: folder cannot be listed: %s", err_text(code))
                    : 0;
}

/* Writes the last `bytes` of a file again as they are. A sync that failed has left them clean in
 * the kernel's memory, where we read them, but not on the disk, and no later sync would write them
 * (faults.md, traps). */
static int write_again(struct mdio *io, int handle, int64_t size, int64_t bytes)
{
    char piece[16384];
    for (int64_t at = bytes < size ? size - bytes : 0; at < size;) {
        size_t want = size - at < (int64_t)sizeof piece ? (size_t)(size - at) : sizeof piece;
        ssize_t got = mdio_read(io, handle, piece, want, at);
        if (got <= 0) {
            return (int)got; /* 0: it became shorter */
        }
        int code = mdio_write_all(io, handle, piece, (size_t)got, at);
        if (code < 0) {
            return code;
        }
        at += got;
    }
    return 0;
}

/* What an earlier run wrote may stand in the kernel's memory only (kill -9 between write and sync,
 * or a sync that failed), and we are about to build on it: synced_seq begins behind it. Writes the
 * tail, as long as the ring's can have been, once more; syncs the newest segments, as many as can
 * have been open at once, and their names. */
static int sync_earlier(struct mdio *io, int64_t unsynced_bytes, struct err *err)
{
    uint64_t at_most = UINT64_MAX;
    int code = 0;
    for (int i = 0; i < JOURNAL_SEGMENTS_OPEN_MAX; i++) {
        char path[SEGMENT_PATH_BYTES];
        uint64_t first_seq = 0;
        code = segment_find_holding(io, JOURNAL_FOLDER, at_most, &first_seq);
        if (code <= 0) {
            break;
        }
        code = segment_path(JOURNAL_FOLDER, first_seq, path);
        ASSERT(code == 0);
        int handle = mdio_open(io, path, MDIO_READ | MDIO_WRITE);
        if (handle < 0) {
            return err_set(err, handle, "journal: %s: %s", path, err_text(handle));
        }
        int64_t size = mdio_size(io, handle);
        code = size < 0 ? (int)size : write_again(io, handle, size, unsynced_bytes);
        code = code < 0 ? code : mdio_sync(io, handle);
        (void)mdio_close(io, handle); /* synced, or given up */
        if (code < 0) {
            return err_set(err, code, "journal: %s: sync: %s", path, err_text(code));
        }
        unsynced_bytes = unsynced_bytes > size ? unsynced_bytes - size : 0;
        if (first_seq == 0) {
            break;
        }
        at_most = first_seq - 1;
    }
    if (code >= 0) {
        code = mdio_dirsync(io, JOURNAL_FOLDER);
    }
    if (code >= 0) {
        code = mdio_dirsync(io, ""); /* the folder's own name */
    }
    return code < 0 ? err_set(err, code, "journal: folder: %s", err_text(code)) : 0;
}

static int memory_take(struct journal *journal)
{
    size_t workspace_bytes = ZSTD_estimateCCtxSize(journal->config.zstd_level);
    journal->tail_bytes = tail_bytes(&journal->config);
    journal->raw = alloc_take(ALLOC_JOURNAL, raw_bytes_max(&journal->config));
    journal->tail = alloc_take(ALLOC_JOURNAL, journal->tail_bytes);
    journal->workspace = alloc_take(ALLOC_JOURNAL, workspace_bytes);
    if (journal->raw == NULL || journal->tail == NULL || journal->workspace == NULL) {
        return MD_ENOMEM;
    }
    journal->cctx = ZSTD_initStaticCCtx(journal->workspace, workspace_bytes);
    ASSERT(journal->cctx != NULL); /* the estimate is for this level */
    return 0;
}

static void memory_give(struct journal *journal)
{
    alloc_give(journal->workspace);
    alloc_give(journal->tail);
    alloc_give(journal->raw);
    journal->magic = 0;
    alloc_give(journal);
}

int journal_create(struct journal **out, struct mdio *io, const struct journal_config *config,
                   struct err *err)
{
    *out = NULL;
    struct journal_config c = with_defaults(config);
    int code = config_check(&c, err);
    if (code < 0) {
        return code;
    }
    struct journal *journal = alloc_take(ALLOC_JOURNAL, sizeof *journal);
    if (journal == NULL) {
        return err_set(err, MD_ENOMEM, "journal: no memory for its state");
    }
    journal->magic = JOURNAL_MAGIC;
    journal->io = io;
    journal->config = c;
    journal->sync_ns = c.sync_ms * NS_PER_MS;
    journal->service_mono_ns = INT64_MIN;
    journal->rescue_mono_ns = INT64_MIN;
    atomic_store(&journal->unsynced_mono_ns, INT64_MAX);
    raw_reset(journal);
    code = memory_take(journal);
    if (code < 0) {
        memory_give(journal);
        return err_set(err, code, "journal: no memory for %zu bytes of blocks",
                       journal_memory_bytes(&c));
    }
    code = sync_init(journal);
    if (code < 0) {
        memory_give(journal);
        return err_set(err, code, "journal: the sync thread does not start");
    }
    *out = journal;
    return 0;
}

int journal_begin(struct journal *journal, uint64_t first_seq, uint32_t boot_epoch,
                  struct journal_reader *reader, struct err *err)
{
    struct mdio *io = journal->io;
    ASSERT(journal->next_seq == 0);
    if (first_seq == 0) {
        return err_set(err, MD_EINVAL, "journal: records count from 1");
    }
    int code = mdio_mkdirs(io, JOURNAL_FOLDER);
    if (code < 0) {
        return err_set(err, code, "journal: folder %s/%s: %s", io->root, JOURNAL_FOLDER,
                       err_text(code));
    }
    code = remove_empty_from(io, first_seq, reader, err);
    code = code == 0 ? sync_earlier(io, (int64_t)tail_bytes(&journal->config), err) : code;
    if (code < 0) {
        return code;
    }
    journal->config.boot_epoch = boot_epoch;
    atomic_store(&journal->synced_seq, first_seq - 1);
    code = segment_start(journal, first_seq, 0);
    journal->begun = true;
    if (code < 0) {
        return err_set(err, code, "journal: a segment in %s/%s: %s", io->root, JOURNAL_FOLDER,
                       err_text(code));
    }
    journal->next_seq = first_seq;
    return 0;
}

int journal_open(struct journal **out, struct mdio *io, const struct journal_config *config,
                 uint64_t first_seq, struct err *err)
{
    struct journal_reader *reader = NULL;
    int code = journal_create(out, io, config, err);
    if (code < 0) {
        return code;
    }
    code = journal_reader_create(&reader, io, config->record_bytes_max, err);
    code = code < 0 ? code : journal_begin(*out, first_seq, config->boot_epoch, reader, err);
    journal_reader_close(reader);
    if (code < 0) {
        journal_abandon(*out);
        *out = NULL;
    }
    return code;
}

void journal_abandon(struct journal *journal)
{
    sync_deinit(journal);
    while (journal->segment_count > 0) {
        int handle = journal->segments[--journal->segment_count].handle;
        if (handle >= 0) {
            (void)mdio_close(journal->io, handle); /* what is in it is synced, or given up */
        }
    }
    memory_give(journal);
}

int journal_close(struct journal *journal)
{
    if (journal == NULL) {
        return 0;
    }
    ASSERT(journal->magic == JOURNAL_MAGIC);
    int code = journal->next_seq > 0 ? journal_sync(journal) : 0;
    journal_abandon(journal);
    return code;
}
