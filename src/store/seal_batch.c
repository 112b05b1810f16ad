/* Files that become durable together. See seal_batch.h.
 * Place: seal thread, between the queue of jobs (seal.c) and the single file (seal_file.c).
 * Invariants: no file is renamed that no intent names; no manifest line is written before the file,
 * its name and every folder above it are durable; a batch with renamed files is finished before
 * another begins. Memory: 16 paths, entries, intents and manifest lines, some 110 KiB. */
#include "store/seal_batch.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/failpoint.h"
#include "base/log.h"

/* On a slow disk a batch ends early: landing waits for jobs to be done, and not for ever. */
#define BATCH_NS_MAX (500 * NS_PER_MS)
#define NUMBERS_MAX 1000 /* further numbers tried when names are taken */

int seal_batch_init(struct seal_batch *batch, const struct seal_config *config, struct mdio *io,
                    struct spool *spool, struct manifest *manifest, struct err *err)
{
    batch->config = config;
    batch->io = io;
    batch->manifest = manifest;
    return seal_file_init(&batch->file, config, io, spool, err);
}

void seal_batch_deinit(struct seal_batch *batch)
{
    seal_file_deinit(&batch->file);
}

void seal_batch_forget(struct seal_batch *batch)
{
    if (batch->intended) {
        manifest_intend(batch->manifest, NULL, 0); /* both slots */
        manifest_intend(batch->manifest, NULL, 0);
    }
}

/* ---- names */

static int job_path(const struct seal_batch *batch, const struct seal_job *job, uint32_t number,
                    struct seal_pending *out)
{
    const struct store_config *config = batch->config->store;
    int length =
        store_partition_path(config->layout, (enum venue_id)job->venue, (enum channel)job->channel,
                             job->symbol, job->hour_unix_ns, out->folder, MANIFEST_PATH_MAX);
    if (length < 0) {
        return length;
    }
    char name[128];
    int code = store_file_name(job->first_unix_ns, config->recorder, number, config->format, name,
                               sizeof name);
    if (code < 0) {
        return code;
    }
    if ((size_t)length + 1 + (size_t)code >= MANIFEST_PATH_MAX) {
        return MD_ETOOBIG;
    }
    memcpy(out->path, out->folder, (size_t)length);
    out->path[length] = '/';
    memcpy(out->path + length + 1, name, (size_t)code + 1);
    return 0;
}

/* 1 = there is such a file, 0 = none. */
static int file_exists(struct seal_batch *batch, const char *path)
{
    int handle = mdio_open(batch->io, path, MDIO_READ);
    if (handle >= 0) {
        mdio_close(batch->io, handle);
        return 1;
    }
    return handle == MD_ENOENT ? 0 : handle;
}

/* Finds the file's name. 1 = the manifest names it already with these rows: nothing to do. */
static int choose_path(struct seal_batch *batch, const struct seal_job *job,
                       struct seal_pending *pending)
{
    for (uint32_t number = job->number; number < job->number + NUMBERS_MAX; number++) {
        int code = job_path(batch, job, number, pending);
        if (code == 0) {
            code = file_exists(batch, pending->path);
        }
        if (code <= 0) {
            return code;
        }
        uint64_t first = 0;
        uint64_t last = 0;
        code = manifest_find(batch->manifest, (enum venue_id)job->venue, job->hour_unix_ns,
                             str_from(pending->path), batch->lines, &first, &last);
        if (code < 0) {
            return code;
        }
        if (code == 1 && first == job->first_seq && last == job->last_seq) {
            return 1;
        }
        LOG_WARN("file_exists", "%s/%s: not of these rows, left as it is: the next number is taken",
                 batch->io->root, pending->path);
    }
    return MD_EEXIST;
}

bool seal_batch_has_room(const struct seal_batch *batch, uint64_t bytes, uint32_t blocks)
{
    if (batch->count == 0) {
        return true;
    }
    return batch->count < SEAL_BATCH_FILES && batch->bytes + bytes <= SEAL_BATCH_BYTES &&
           batch->blocks + blocks <= SPOOL_ZONES_MAX; /* a block is in one zone */
}

int seal_batch_add(struct seal_batch *batch, struct seal_job *job)
{
    ASSERT(seal_batch_has_room(batch, job->chain.bytes, job->chain.blocks));
    ASSERT(batch->renamed == 0);
    struct seal_pending *pending = &batch->pending[batch->count];
    int code = choose_path(batch, job, pending);
    if (code != 0) {
        return code;
    }
    pending->job = job;
    batch->bytes += job->chain.bytes;
    batch->blocks += job->chain.blocks;
    batch->count++;
    return 0;
}

/* ---- up to the rename */

/* Says that the files may appear: one sync for all of them. */
static int intend(struct seal_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        struct manifest_intent *intent = &batch->intents[i];
        memcpy(intent->path, batch->pending[i].path, sizeof intent->path);
        intent->venue = (enum venue_id)batch->pending[i].job->venue;
        intent->unix_ns = batch->pending[i].job->hour_unix_ns;
    }
    batch->intended = true;
    return manifest_intend(batch->manifest, batch->intents, batch->count);
}

/* Bytes of `folder` in whole components that stand in the folder known to be there, too. */
static size_t known_bytes(const struct seal_batch *batch, const char *folder)
{
    size_t known = 0;
    size_t i = 0;
    for (; folder[i] != 0 && folder[i] == batch->folder[i]; i++) {
        known = folder[i] == '/' ? i : known;
    }
    bool whole =
        (folder[i] == 0 || folder[i] == '/') && (batch->folder[i] == 0 || batch->folder[i] == '/');
    return whole ? i : known;
}

static int make_folder(struct seal_batch *batch, struct seal_pending *pending)
{
    size_t known = known_bytes(batch, pending->folder);
    pending->kept = strlen(pending->folder);
    int code = 0;
    if (known < pending->kept) {
        code = mdio_mkdirs_unsynced(batch->io, pending->folder, known, &pending->kept);
    }
    memcpy(batch->folder, pending->folder, sizeof batch->folder);
    return code;
}

static void inprogress_name(struct seal_batch *batch, const struct seal_pending *pending)
{
    store_inprogress_path(pending->path, batch->inprogress, sizeof batch->inprogress);
}

static int write_one(struct seal_batch *batch, struct seal_pending *pending)
{
    int code = make_folder(batch, pending);
    if (code < 0) {
        return code;
    }
    inprogress_name(batch, pending);
    code = seal_file_write(&batch->file, pending->job, batch->inprogress, &pending->entry);
    if (code == 0) {
        pending->hold = spool_reader_hold(&batch->file.reader);
    } else {
        mdio_unlink(batch->io, batch->inprogress); /* best effort, see seal_batch.h */
    }
    return code;
}

int seal_batch_write(struct seal_batch *batch)
{
    int64_t end_ns = clock_mono_ns(&clock_system) + BATCH_NS_MAX;
    int code = intend(batch);
    while (code == 0 && batch->written < batch->count) {
        if (batch->written > 0 && clock_mono_ns(&clock_system) > end_ns) {
            break;
        }
        code = write_one(batch, &batch->pending[batch->written]);
        batch->written += code == 0;
    }
    batch->careful = batch->careful || code < 0;
    return code;
}

uint64_t seal_batch_last_seq(const struct seal_batch *batch)
{
    uint64_t seq = 0;
    for (uint32_t i = 0; i < batch->written; i++) {
        uint64_t last = batch->pending[i].job->last_seq;
        seq = last > seq ? last : seq;
    }
    return seq;
}

static int rename_one(struct seal_batch *batch, const struct seal_pending *pending)
{
    inprogress_name(batch, pending);
    FAILPOINT("seal_before_rename");
    return mdio_rename(batch->io, batch->inprogress, pending->path);
}

int seal_batch_rename(struct seal_batch *batch, int waited)
{
    int code = waited;
    while (code == 0 && batch->renamed < batch->written) {
        code = rename_one(batch, &batch->pending[batch->renamed]);
        batch->renamed += code == 0;
    }
    for (uint32_t i = batch->renamed; i < batch->written; i++) {
        inprogress_name(batch, &batch->pending[i]);
        mdio_unlink(batch->io, batch->inprogress); /* best effort, see seal_batch.h */
    }
    batch->careful = batch->careful || code < 0;
    return code;
}

void seal_batch_drop(struct seal_batch *batch)
{
    batch->count = batch->written = batch->renamed;
    batch->folder[0] = 0; /* whatever went wrong, look again */
    if (batch->count == 0) {
        seal_batch_release(batch);
    }
}

/* ---- what is renamed becomes durable */

/* Whether a file before this one in the batch has synced the first `bytes` of its folder. */
static bool synced_before(const struct seal_batch *batch, uint32_t index, size_t bytes)
{
    const char *folder = batch->pending[index].folder;
    for (uint32_t i = 0; i < index; i++) {
        const struct seal_pending *other = &batch->pending[i];
        bool same = strncmp(other->folder, folder, bytes) == 0 &&
                    (other->folder[bytes] == '/' || other->folder[bytes] == 0 || bytes == 0);
        if (same && (other->kept <= bytes || batch->careful)) {
            return true;
        }
    }
    return false;
}

/* The folder of the file, and those above it that hold a new name. */
static int sync_folders(struct seal_batch *batch, uint32_t index)
{
    const struct seal_pending *pending = &batch->pending[index];
    char part[MANIFEST_PATH_MAX];
    memcpy(part, pending->folder, sizeof part);
    size_t bytes = strlen(part);
    size_t kept = batch->careful ? 0 : pending->kept;
    for (;;) {
        int code = synced_before(batch, index, bytes) ? 0 : mdio_dirsync(batch->io, part);
        if (code < 0 || bytes <= kept) {
            return code;
        }
        const char *slash = strrchr(part, '/');
        bytes = slash != NULL ? (size_t)(slash - part) : 0;
        part[bytes] = 0;
    }
}

static bool same_day_file(const struct seal_job *a, const struct seal_job *b)
{
    return a->venue == b->venue && a->hour_unix_ns / NS_PER_DAY == b->hour_unix_ns / NS_PER_DAY;
}

/* The lines of the files from `begin` on that go to one manifest, in one write and one sync.
 * Returns the index behind them, or a code. */
static int list_some(struct seal_batch *batch, uint32_t begin)
{
    struct buf lines = buf_over(batch->lines, sizeof batch->lines);
    const struct seal_job *first = batch->pending[begin].job;
    uint32_t end = begin;
    while (end < batch->count && same_day_file(first, batch->pending[end].job)) {
        FAILPOINT("seal_before_manifest");
        struct seal_pending *pending = &batch->pending[end++];
        pending->entry.path = str_from(pending->path);
        pending->entry.recorder = str_from(batch->config->store->recorder);
        manifest_line_format(&pending->entry, &lines);
    }
    ASSERT(!lines.overflow);
    int code = manifest_append_line(batch->manifest, (enum venue_id)first->venue,
                                    first->hour_unix_ns, buf_view(&lines));
    return code < 0 ? code : (int)end;
}

static int finish_all(struct seal_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        FAILPOINT("seal_before_dirsync");
        int code = sync_folders(batch, i);
        if (code < 0 && code != MD_ENOENT) { /* not found: deleted by somebody since */
            return code;
        }
    }
    while (batch->listed < batch->count) {
        int code = list_some(batch, batch->listed);
        if (code < 0) {
            return code;
        }
        batch->listed = (uint32_t)code;
    }
    return 0;
}

int seal_batch_finish(struct seal_batch *batch)
{
    ASSERT(batch->count > 0);
    ASSERT(batch->renamed == batch->count);
    int code = finish_all(batch);
    batch->careful = batch->careful || code < 0;
    return code;
}

void seal_batch_release(struct seal_batch *batch)
{
    for (uint32_t i = 0; i < batch->renamed; i++) {
        spool_reader_give_back(&batch->file.reader, batch->pending[i].hold);
    }
    spool_reader_forget_all(&batch->file.reader);
    batch->count = batch->written = batch->renamed = batch->listed = 0;
    batch->bytes = batch->blocks = 0;
}
