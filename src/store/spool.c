/* The scratch file of row blocks. See spool.h for what is on disk.
 * Place: landing thread appends through a tail buffer, seal thread reads whole chains back.
 * Invariants: the tail never returns to a zone that a chain still uses; a block lies in one zone; a
 * tail that could not be written stays in the buffer and is written again at the same place.
 * Zone word: the low bits count users; DIRTY = it holds disk space; PUNCHING = the seal thread is
 * giving that space back, nobody may take it.
 * Memory: the tail buffer (128 KiB), a word a zone (64 KiB); a reader: one offset per 512 blocks of
 * the longest chain, a word a zone, one block (64 KiB). */
#include "store/spool.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/log.h"

#include <assert.h>
#include <string.h>

#define BLOCK_MAGIC 0x4b4c424dU /* "MBLK" */
#define ZONE_DIRTY 0x40000000U
#define ZONE_PUNCHING 0x80000000U
#define ZONES_KEPT_DIRTY 4 /* free zones that keep their space for the next use */

static_assert(ROW_BYTES_MAX + SPOOL_HEAD_BYTES <= SPOOL_BUFFER_BYTES, "a block fits the buffer");
static_assert(SPOOL_ZONE_BYTES % SPOOL_BUFFER_BYTES == 0, "zones hold whole buffers");

/* Offsets in a block's head. */
enum {
    AT_MAGIC = 0,
    AT_INDEX = 4,
    AT_ROWS = 8,
    AT_BYTES = 12,
    AT_PREV = 16,
    AT_ANCHOR = 24,
    AT_CRC = 32
};

size_t spool_memory_bytes(void)
{
    return SPOOL_BUFFER_BYTES + SPOOL_ZONES_MAX * sizeof(uint32_t);
}

int spool_open(struct spool *spool, struct mdio *io, struct err *err)
{
    memset(spool, 0, sizeof *spool);
    spool->io = io;
    spool->handle = -1;
    spool->buffer = alloc_take(ALLOC_SEAL, spool_memory_bytes());
    if (spool->buffer == NULL) {
        return err_set(err, MD_ENOMEM, "spool: no memory");
    }
    spool->zone_users = (_Atomic uint32_t *)(void *)(spool->buffer + SPOOL_BUFFER_BYTES);
    int code = mdio_mkdirs(io, "spool");
    if (code >= 0) {
        code = mdio_unlink(io, SPOOL_PATH);
        code = code == MD_ENOENT ? 0 : code;
    }
    if (code >= 0) {
        code = mdio_open(io, SPOOL_PATH, MDIO_READ | MDIO_WRITE | MDIO_CREATE | MDIO_EXCLUSIVE);
    }
    if (code < 0) {
        spool_close(spool);
        return err_set(err, code, "spool: %s: %s", SPOOL_PATH, err_text(code));
    }
    spool->handle = code;
    spool->zones_used = 1;
    atomic_store(&spool->zone_users[0], ZONE_DIRTY | 1);
    atomic_store(&spool->live_zones, 1);
    atomic_store(&spool->live_zones_high, 1);
    return 0;
}

void spool_close(struct spool *spool)
{
    if (spool->io != NULL && spool->handle >= 0) {
        mdio_close(spool->io, spool->handle);
        mdio_unlink(spool->io, SPOOL_PATH); /* best effort: the next start deletes it */
    }
    alloc_give(spool->buffer);
    memset(spool, 0, sizeof *spool);
    spool->handle = -1;
}

uint64_t spool_bytes(const struct spool *spool)
{
    return atomic_load_explicit(&spool->live_zones, memory_order_relaxed) * SPOOL_ZONE_BYTES;
}

uint64_t spool_bytes_high(const struct spool *spool)
{
    return atomic_load_explicit(&spool->live_zones_high, memory_order_relaxed) * SPOOL_ZONE_BYTES;
}

/* ---- zones */

/* One user less; the last one frees it. Any thread. */
static void zone_leave(struct spool *spool, uint32_t zone)
{
    uint32_t before = atomic_fetch_sub(&spool->zone_users[zone], 1);
    ASSERT((before & ~ZONE_DIRTY) > 0);
    if ((before & ~ZONE_DIRTY) > 1) {
        return;
    }
    atomic_fetch_sub(&spool->live_zones, 1);
    if (atomic_fetch_add(&spool->dirty_zones, 1) < ZONES_KEPT_DIRTY) {
        return;
    }
    uint32_t free_dirty = ZONE_DIRTY;
    if (atomic_compare_exchange_strong(&spool->zone_users[zone], &free_dirty, ZONE_PUNCHING)) {
        /* Best effort: a file system without holes keeps the space until the zone is used again. */
        mdio_punch(spool->io, spool->handle, (int64_t)zone * SPOOL_ZONE_BYTES, SPOOL_ZONE_BYTES);
        atomic_fetch_sub(&spool->dirty_zones, 1);
        atomic_store(&spool->zone_users[zone], 0);
    }
}

static bool zone_take(struct spool *spool, uint32_t zone)
{
    uint32_t users = atomic_load(&spool->zone_users[zone]);
    if ((users & ~ZONE_DIRTY) != 0) {
        return false;
    }
    if (!atomic_compare_exchange_strong(&spool->zone_users[zone], &users, ZONE_DIRTY | 1)) {
        return false;
    }
    if ((users & ZONE_DIRTY) != 0) {
        atomic_fetch_sub(&spool->dirty_zones, 1);
    }
    uint64_t live = atomic_fetch_add(&spool->live_zones, 1) + 1;
    if (live > atomic_load(&spool->live_zones_high)) {
        atomic_store(&spool->live_zones_high, live);
    }
    return true;
}

static int zone_next(struct spool *spool)
{
    for (uint32_t zone = 0; zone < SPOOL_ZONES_MAX; zone++) {
        if (zone_take(spool, zone)) {
            zone_leave(spool, spool->zone);
            spool->zone = zone;
            spool->buffer_offset = (uint64_t)zone * SPOOL_ZONE_BYTES;
            if (zone >= spool->zones_used) {
                spool->zones_used = zone + 1;
            }
            return 0;
        }
    }
    return MD_EFULL;
}

/* ---- writing */

int spool_flush(struct spool *spool)
{
    if (spool->buffer_used > 0) {
        int code = mdio_write_all(spool->io, spool->handle, spool->buffer, spool->buffer_used,
                                  (int64_t)spool->buffer_offset);
        if (code < 0) {
            return code;
        }
        spool->buffer_offset += spool->buffer_used;
        spool->buffer_used = 0;
    }
    atomic_store_explicit(&spool->flushed, spool->appended, memory_order_release);
    return 0;
}

/* Makes room for a block of `bytes` with its head in the buffer and in the zone. */
static int make_room(struct spool *spool, uint32_t bytes)
{
    uint64_t zone_end = (uint64_t)(spool->zone + 1) * SPOOL_ZONE_BYTES;
    bool zone_full = spool->buffer_offset + spool->buffer_used + bytes > zone_end;
    if (!zone_full && spool->buffer_used + bytes <= SPOOL_BUFFER_BYTES) {
        return 0;
    }
    int code = spool_flush(spool);
    return code == 0 && zone_full ? zone_next(spool) : code;
}

static uint32_t block_crc(const uint8_t *block, uint32_t bytes)
{
    uint32_t crc = crc32c(0, block, AT_CRC);
    return crc32c(crc, block + SPOOL_HEAD_BYTES, bytes);
}

int spool_append(struct spool *spool, struct spool_chain *chain, uint32_t rows, const void *data,
                 uint32_t bytes)
{
    ASSERT(bytes > 0);
    ASSERT(bytes <= ROW_BYTES_MAX);
    int code = make_room(spool, bytes + SPOOL_HEAD_BYTES);
    if (code < 0) {
        return code;
    }
    uint64_t offset = spool->buffer_offset + spool->buffer_used;
    uint8_t *block = spool->buffer + spool->buffer_used;
    store_u32(block + AT_MAGIC, BLOCK_MAGIC);
    store_u32(block + AT_INDEX, chain->blocks);
    store_u32(block + AT_ROWS, rows);
    store_u32(block + AT_BYTES, bytes);
    store_u64(block + AT_PREV, chain->last);
    store_u64(block + AT_ANCHOR, chain->anchor);
    memcpy(block + SPOOL_HEAD_BYTES, data, bytes);
    store_u64(block + AT_CRC, block_crc(block, bytes));
    spool->buffer_used += bytes + SPOOL_HEAD_BYTES;
    spool->appended += bytes + SPOOL_HEAD_BYTES;
    if (chain->zone != spool->zone) {
        atomic_fetch_add(&spool->zone_users[spool->zone], 1);
        chain->zone = spool->zone;
    }
    if (chain->blocks % SPOOL_ANCHOR_STEP == 0) {
        chain->anchor = offset;
    }
    chain->last = offset;
    chain->blocks++;
    chain->bytes += bytes;
    chain->end_position = spool->appended;
    return 0;
}

/* ---- reading */

size_t spool_reader_memory_bytes(uint32_t blocks_max)
{
    size_t anchors = blocks_max / SPOOL_ANCHOR_STEP + 2;
    return anchors * sizeof(uint64_t) + SPOOL_ZONES_MAX * sizeof(uint32_t) + ROW_BYTES_MAX +
           SPOOL_HEAD_BYTES;
}

int spool_reader_init(struct spool_reader *reader, struct spool *spool, uint32_t blocks_max)
{
    memset(reader, 0, sizeof *reader);
    uint8_t *memory = alloc_take(ALLOC_SEAL, spool_reader_memory_bytes(blocks_max));
    if (memory == NULL) {
        return MD_ENOMEM;
    }
    reader->spool = spool;
    reader->anchors = (uint64_t *)(void *)memory;
    reader->anchors_max = blocks_max / SPOOL_ANCHOR_STEP + 2;
    reader->zones = (uint32_t *)(reader->anchors + reader->anchors_max);
    reader->data = (uint8_t *)(reader->zones + SPOOL_ZONES_MAX);
    return 0;
}

void spool_reader_deinit(struct spool_reader *reader)
{
    alloc_give(reader->anchors);
    memset(reader, 0, sizeof *reader);
}

/* Reads the head of block `index` into `head`. */
static int read_head(struct spool_reader *reader, uint64_t offset, uint32_t index, uint8_t *head)
{
    int code = mdio_read_all(reader->spool->io, reader->spool->handle, head, SPOOL_HEAD_BYTES,
                             (int64_t)offset);
    if (code < 0) {
        return code;
    }
    bool right = load_u32(head + AT_MAGIC) == BLOCK_MAGIC && load_u32(head + AT_INDEX) == index &&
                 load_u32(head + AT_BYTES) > 0 && load_u32(head + AT_BYTES) <= ROW_BYTES_MAX;
    return right ? 0 : MD_ECORRUPT;
}

/* Anchors from the newest back to block 0. */
static int collect_anchors(struct spool_reader *reader)
{
    uint32_t index = (reader->chain->blocks - 1) / SPOOL_ANCHOR_STEP * SPOOL_ANCHOR_STEP;
    uint64_t offset = reader->chain->anchor;
    for (;;) {
        if (reader->anchor_count == reader->anchors_max) {
            return MD_EFULL;
        }
        reader->anchors[reader->anchor_count++] = offset;
        if (index == 0) {
            return 0;
        }
        uint8_t head[SPOOL_HEAD_BYTES];
        int code = read_head(reader, offset, index, head);
        if (code < 0) {
            return code;
        }
        offset = load_u64(head + AT_ANCHOR);
        index -= SPOOL_ANCHOR_STEP;
    }
}

/* The offsets of the next run: from the block before the next anchor (or the last) back to this
 * run's anchor. */
static int collect_run(struct spool_reader *reader)
{
    uint32_t begin = reader->index;
    uint32_t end = begin + SPOOL_ANCHOR_STEP;
    uint8_t head[SPOOL_HEAD_BYTES];
    uint64_t offset = reader->chain->last;
    reader->anchor_count--; /* this run's; the one below it is the next run's first block */
    if (end >= reader->chain->blocks) {
        end = reader->chain->blocks;
    } else {
        int code = read_head(reader, reader->anchors[reader->anchor_count - 1], end, head);
        if (code < 0) {
            return code;
        }
        offset = load_u64(head + AT_PREV);
    }
    for (uint32_t index = end; index > begin; index--) {
        reader->offsets[index - 1 - begin] = offset;
        if (index - 1 > begin) {
            int code = read_head(reader, offset, index - 1, head);
            if (code < 0) {
                return code;
            }
            offset = load_u64(head + AT_PREV);
        }
    }
    reader->run_count = end - begin;
    reader->run_next = 0;
    return 0;
}

int spool_reader_begin(struct spool_reader *reader, const struct spool_chain *chain)
{
    reader->chain = chain;
    reader->anchor_count = 0;
    reader->zone_count = reader->zone_begin; /* of a chain that was not read to its end */
    reader->index = 0;
    reader->run_count = reader->run_next = 0;
    return chain->blocks > 0 ? collect_anchors(reader) : 0;
}

static void note_zone(struct spool_reader *reader, uint64_t offset)
{
    uint32_t zone = (uint32_t)(offset / SPOOL_ZONE_BYTES);
    if (reader->zone_count == reader->zone_begin || reader->zones[reader->zone_count - 1] != zone) {
        ASSERT(reader->zone_count < SPOOL_ZONES_MAX);
        reader->zones[reader->zone_count++] = zone;
    }
}

int spool_reader_next(struct spool_reader *reader, struct str *rows, uint32_t *row_count)
{
    if (reader->index == reader->chain->blocks) {
        return 0;
    }
    int code = reader->run_next == reader->run_count ? collect_run(reader) : 0;
    if (code < 0) {
        return code;
    }
    uint64_t offset = reader->offsets[reader->run_next];
    /* Head and rows in one read; what follows a small block is not looked at. */
    uint64_t file_bytes = (uint64_t)(offset / SPOOL_ZONE_BYTES + 1) * SPOOL_ZONE_BYTES - offset;
    size_t want = SPOOL_HEAD_BYTES + ROW_BLOCK_BYTES_MAX;
    ssize_t got = mdio_read(reader->spool->io, reader->spool->handle, reader->data,
                            want < file_bytes ? want : file_bytes, (int64_t)offset);
    if (got < SPOOL_HEAD_BYTES) {
        return got < 0 ? (int)got : MD_ECORRUPT;
    }
    uint32_t bytes = load_u32(reader->data + AT_BYTES);
    if (load_u32(reader->data + AT_MAGIC) != BLOCK_MAGIC ||
        load_u32(reader->data + AT_INDEX) != reader->index || bytes == 0 || bytes > ROW_BYTES_MAX) {
        return MD_ECORRUPT;
    }
    if (SPOOL_HEAD_BYTES + bytes > (size_t)got) {
        code = mdio_read_all(reader->spool->io, reader->spool->handle, reader->data + got,
                             SPOOL_HEAD_BYTES + bytes - (size_t)got, (int64_t)offset + got);
        if (code < 0) {
            return code;
        }
    }
    if (load_u64(reader->data + AT_CRC) != block_crc(reader->data, bytes)) {
        return MD_ECORRUPT;
    }
    note_zone(reader, offset);
    reader->run_next++;
    reader->index++;
    *rows = str_make((const char *)reader->data + SPOOL_HEAD_BYTES, bytes);
    *row_count = load_u32(reader->data + AT_ROWS);
    return 1;
}

struct spool_hold spool_reader_hold(struct spool_reader *reader)
{
    ASSERT(reader->index == reader->chain->blocks);
    struct spool_hold hold = {reader->zone_begin, reader->zone_count};
    reader->zone_begin = reader->zone_count;
    return hold;
}

void spool_reader_give_back(struct spool_reader *reader, struct spool_hold hold)
{
    ASSERT(hold.end <= reader->zone_begin);
    for (uint32_t i = hold.begin; i < hold.end; i++) {
        zone_leave(reader->spool, reader->zones[i]);
    }
}

void spool_reader_forget_all(struct spool_reader *reader)
{
    reader->zone_count = reader->zone_begin = 0;
}

void spool_reader_release(struct spool_reader *reader)
{
    struct spool_hold hold = spool_reader_hold(reader);
    spool_reader_give_back(reader, hold);
    reader->zone_count = reader->zone_begin = hold.begin;
}
