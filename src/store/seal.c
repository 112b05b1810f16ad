/* The sealer: takes closed partitions in turn and makes them durable, listed files.
 * Place: last step of the way; a thread of its own (nice 10), or steps run by the landing thread.
 * Invariants: a job that failed before its rename leaves no file and is tried again from the spool;
 * after a rename nothing else is done until folders and manifest lines are synced; jobs of a stream
 * are done in their order, one in a batch. Memory: seal_batch's, and a word a stream. */
#include "store/seal.h"

#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "store/seal_batch.h"

#define SEAL_NICE 10
#define RETRY_MS_MIN 100
#define RETRY_MS_MAX 2000
#define RESERVE_BYTES_MAX (64ULL << 20)

struct sealer {
    struct seal_config config;
    struct mdio *io;
    struct spool *spool;
    struct manifest *manifest;

    /* Shared, under `mutex`. */
    pthread_mutex_t mutex;
    pthread_cond_t work, progress;
    pthread_t thread;
    bool thread_runs, stop;
    struct seal_job *head, **tail;
    struct seal_job *done;
    uint32_t *stream_round; /* round in which a stream's job was passed over */
    uint32_t round;
    _Atomic uint32_t jobs;

    /* The sealer's own. */
    struct seal_batch batch;
    _Atomic uint64_t files, bytes, failed, digits_over_15, bytes_by_channel[CHANNEL_COUNT];
    _Atomic int64_t seal_ns_max;
    struct histogram times;
    _Atomic bool disk_low, stopping;
};

static void *seal_thread(void *context);

size_t sealer_memory_bytes(const struct seal_config *config)
{
    return sizeof(struct sealer) + config->streams_max * sizeof(uint32_t) +
           seal_file_memory_bytes(config);
}

int sealer_create(struct sealer **out, const struct seal_config *config, struct mdio *io,
                  struct spool *spool, struct manifest *manifest, struct err *err)
{
    struct sealer *sealer =
        alloc_take(ALLOC_SEAL, sizeof *sealer + config->streams_max * sizeof(uint32_t));
    if (sealer == NULL) {
        return err_set(err, MD_ENOMEM, "seal: no memory");
    }
    sealer->config = *config;
    sealer->io = io;
    sealer->spool = spool;
    sealer->manifest = manifest;
    sealer->tail = &sealer->head;
    sealer->stream_round = (uint32_t *)(sealer + 1);
    int code = seal_batch_init(&sealer->batch, &sealer->config, io, spool, manifest, err);
    if (code < 0) {
        alloc_give(sealer);
        return code;
    }
    pthread_mutex_init(&sealer->mutex, NULL);
    pthread_cond_init(&sealer->work, NULL);
    pthread_cond_init(&sealer->progress, NULL);
    *out = sealer;
    if (config->store->seal_thread) {
        int failure = pthread_create(&sealer->thread, NULL, seal_thread, sealer);
        sealer->thread_runs = failure == 0;
        if (failure != 0) {
            *out = NULL;
            sealer_destroy(sealer);
            return err_set(err, err_from_errno(failure), "seal: no thread: %s", strerror(failure));
        }
    }
    return 0;
}

void sealer_destroy(struct sealer *sealer)
{
    if (sealer == NULL) {
        return;
    }
    pthread_mutex_lock(&sealer->mutex);
    sealer->stop = true;
    atomic_store(&sealer->stopping, true);
    pthread_cond_broadcast(&sealer->work);
    pthread_mutex_unlock(&sealer->mutex);
    if (sealer->thread_runs) {
        pthread_join(sealer->thread, NULL);
    }
    if (atomic_load(&sealer->jobs) == 0) {
        seal_batch_forget(&sealer->batch);
    }
    pthread_mutex_destroy(&sealer->mutex);
    pthread_cond_destroy(&sealer->work);
    pthread_cond_destroy(&sealer->progress);
    seal_batch_deinit(&sealer->batch);
    alloc_give(sealer);
}

struct seal_bounds sealer_bounds(struct sealer *sealer, enum channel channel)
{
    const struct store_config *config = sealer->config.store;
    const struct schema *schema = schema_of_with(channel, config->schema_options);
    struct seal_bounds groups = seal_bounds_of(config);
    uint32_t most =
        parquet_writer_groups_max(&config->writer, SEAL_GROUP_COLUMNS, schema->column_count);
    groups.groups = groups.groups < most || most == 0 ? groups.groups : most;
    row_group_reset(&sealer->batch.file.group, schema);
    uint64_t rows = sealer->batch.file.group.row_capacity;
    uint64_t texts = sealer->batch.file.group.text_values_max;
    /* A group ends early when its rows, its distinct texts or its text bytes are full: each may do
     * so for a share of the groups, and the last message may run over. */
    return (struct seal_bounds){
        .groups = groups.groups,
        .rows = rows * (groups.groups / 2),
        .texts = texts * (groups.groups / 8 + 1),
        .text_bytes = (uint64_t)groups.text_bytes / 4 * (groups.groups / 8 + 1),
    };
}

/* ---- the queue */

void sealer_submit(struct sealer *sealer, struct seal_job *job)
{
    job->next = NULL;
    job->paused = job->taken = false;
    pthread_mutex_lock(&sealer->mutex);
    *sealer->tail = job;
    sealer->tail = &job->next;
    atomic_fetch_add(&sealer->jobs, 1);
    pthread_cond_signal(&sealer->work);
    pthread_mutex_unlock(&sealer->mutex);
}

void sealer_wake(struct sealer *sealer)
{
    if (atomic_load_explicit(&sealer->jobs, memory_order_relaxed) > 0) {
        pthread_mutex_lock(&sealer->mutex);
        pthread_cond_signal(&sealer->work);
        pthread_mutex_unlock(&sealer->mutex);
    }
}

struct seal_job *sealer_reap(struct sealer *sealer)
{
    pthread_mutex_lock(&sealer->mutex);
    struct seal_job *done = sealer->done;
    sealer->done = NULL;
    pthread_mutex_unlock(&sealer->mutex);
    return done;
}

static struct timespec deadline_of(int timeout_ms)
{
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += timeout_ms / 1000;
    at.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

void sealer_wait(struct sealer *sealer, int timeout_ms)
{
    struct timespec at = deadline_of(timeout_ms);
    pthread_mutex_lock(&sealer->mutex);
    if (sealer->done == NULL && atomic_load(&sealer->jobs) > 0) {
        pthread_cond_timedwait(&sealer->progress, &sealer->mutex, &at);
    }
    pthread_mutex_unlock(&sealer->mutex);
}

uint32_t sealer_jobs(const struct sealer *sealer)
{
    return atomic_load_explicit(&sealer->jobs, memory_order_acquire);
}

/* The first job that may go now: not paused, all of it written to the spool, no earlier job of its
 * stream waiting or in the batch, and room for it there. Under the mutex; at most one look at each
 * job. */
static struct seal_job *pick(struct sealer *sealer)
{
    uint64_t flushed = spool_flushed(sealer->spool);
    sealer->round++;
    for (struct seal_job *job = sealer->head; job != NULL; job = job->next) {
        if (sealer->stream_round[job->stream] == sealer->round) {
            continue;
        }
        if (!job->paused && !job->taken && job->chain.end_position <= flushed) {
            bool room = seal_batch_has_room(&sealer->batch, job->chain.bytes, job->chain.blocks);
            return room ? job : NULL;
        }
        sealer->stream_round[job->stream] = sealer->round;
    }
    return NULL;
}

static struct seal_job *take(struct sealer *sealer)
{
    pthread_mutex_lock(&sealer->mutex);
    struct seal_job *job = pick(sealer);
    if (job != NULL) {
        job->taken = true;
    }
    pthread_mutex_unlock(&sealer->mutex);
    return job;
}

static void put_back(struct sealer *sealer, struct seal_job *job)
{
    pthread_mutex_lock(&sealer->mutex);
    job->taken = false;
    pthread_mutex_unlock(&sealer->mutex);
}

static void pause_job(struct sealer *sealer, struct seal_job *job)
{
    pthread_mutex_lock(&sealer->mutex);
    job->taken = false;
    job->paused = true;
    pthread_mutex_unlock(&sealer->mutex);
}

static void unlink_job(struct sealer *sealer, struct seal_job *job)
{
    struct seal_job **link = &sealer->head;
    while (*link != job) {
        link = &(*link)->next;
    }
    *link = job->next;
    if (sealer->tail == &job->next) {
        sealer->tail = link;
    }
}

static void job_done(struct sealer *sealer, struct seal_job *job)
{
    pthread_mutex_lock(&sealer->mutex);
    unlink_job(sealer, job);
    job->next = sealer->done;
    sealer->done = job;
    atomic_fetch_sub(&sealer->jobs, 1);
    pthread_cond_broadcast(&sealer->progress);
    pthread_mutex_unlock(&sealer->mutex);
}

void sealer_resume(struct sealer *sealer)
{
    pthread_mutex_lock(&sealer->mutex);
    for (struct seal_job *job = sealer->head; job != NULL; job = job->next) {
        job->paused = false;
    }
    pthread_mutex_unlock(&sealer->mutex);
}

/* ---- one job */

static int disk_has_room(struct sealer *sealer)
{
    struct mdio_space space;
    if (mdio_space(sealer->io, &space) < 0) {
        return 0; /* not known: the write will tell */
    }
    uint64_t reserve = sealer->config.store->disk_reserve_bytes;
    if (reserve == 0) {
        reserve = space.bytes_total / 100;
        reserve = reserve < RESERVE_BYTES_MAX ? reserve : RESERVE_BYTES_MAX;
    }
    bool low = space.bytes_free < reserve;
    if (low != atomic_load(&sealer->disk_low)) {
        atomic_store(&sealer->disk_low, low);
        if (low) {
            LOG_ERROR("disk_low",
                      "%s: %llu MiB free, less than the reserve of %llu MiB: no file is begun "
                      "until there is more; make room (rows are safe in the journal)",
                      sealer->io->root, (unsigned long long)(space.bytes_free >> 20),
                      (unsigned long long)(reserve >> 20));
        } else {
            LOG_WARN("disk_low", "%s: room again: sealing goes on", sealer->io->root);
        }
    }
    return low ? MD_ENOSPC : 0;
}

static int wait_synced(struct sealer *sealer, uint64_t seq)
{
    if (sealer->config.wait_synced == NULL) {
        return 0;
    }
    int code = 0;
    do {
        code = sealer->config.wait_synced(sealer->config.wait_context, seq);
    } while (code == MD_ETIMEOUT && sealer->thread_runs && !atomic_load(&sealer->stopping));
    return code;
}

/* Walks the chain to its end and gives its space back. A chain that cannot be read keeps its space
 * until the next start. */
static void give_back(struct sealer *sealer, const struct seal_job *job)
{
    struct spool_reader *reader = &sealer->batch.file.reader;
    struct str rows;
    uint32_t count = 0;
    int code = spool_reader_begin(reader, &job->chain);
    while (code == 0 && (code = spool_reader_next(reader, &rows, &count)) == 1) {
        code = 0;
    }
    if (code == 0) {
        spool_reader_release(reader);
    }
}

static void note_failure(struct sealer *sealer, const struct seal_job *job, int code)
{
    atomic_fetch_add_explicit(&sealer->failed, 1, memory_order_relaxed);
    if (code == MD_ENOSPC && atomic_load(&sealer->disk_low)) {
        return; /* said once */
    }
    char symbol[128];
    str_printable(symbol, sizeof symbol, job->symbol.data,
                  job->symbol.bytes < 30 ? job->symbol.bytes : 30);
    LOG_ERROR("seal_failed",
              "%s: %s %s %s: not sealed: %s; tried again, rows are safe in the journal",
              sealer->io->root, venue_name((enum venue_id)job->venue),
              channel_name((enum channel)job->channel), symbol, err_text(code));
}

/* A job that takes no part in a batch: done, or paused. */
static int job_ends(struct sealer *sealer, struct seal_job *job, int code)
{
    if (code >= 0) {
        give_back(sealer, job);
        job_done(sealer, job);
        return 1;
    }
    note_failure(sealer, job, code);
    pause_job(sealer, job);
    return code;
}

/* Jobs that may go now join the batch. Returns as sealer_run_some(), of those that did not. */
static int collect(struct sealer *sealer, uint32_t most)
{
    struct seal_batch *batch = &sealer->batch;
    int result = 0;
    while (batch->count < most) {
        struct seal_job *job = take(sealer);
        if (job == NULL) {
            break;
        }
        int code = 1;
        if (job->stage == SEAL_FILE) {
            code = batch->count == 0 ? disk_has_room(sealer) : 0;
            code = code == 0 ? seal_batch_add(batch, job) : code;
        }
        if (code != 0) {
            code = job_ends(sealer, job, code);
            result = result < 0 ? result : code;
        }
        if (result < 0) {
            break;
        }
    }
    return result;
}

/* The batch up to its renames; jobs that got no further are paused or wait on. */
static int make_files(struct sealer *sealer)
{
    struct seal_batch *batch = &sealer->batch;
    int failed = seal_batch_write(batch);
    int waited = batch->written > 0 ? wait_synced(sealer, seal_batch_last_seq(batch)) : 0;
    int code = seal_batch_rename(batch, waited);
    code = code < 0 ? code : failed;
    if (batch->renamed == batch->count) {
        return 0;
    }
    for (uint32_t i = batch->renamed; i < batch->count; i++) {
        put_back(sealer, batch->pending[i].job);
    }
    if (code < 0) {
        note_failure(sealer, batch->pending[batch->renamed].job, code);
        pause_job(sealer, batch->pending[batch->renamed].job);
    }
    seal_batch_drop(batch);
    return code;
}

static void count_file(struct sealer *sealer, const struct seal_pending *pending)
{
    const struct manifest_entry *entry = &pending->entry;
    atomic_fetch_add_explicit(&sealer->files, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&sealer->bytes, entry->bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&sealer->bytes_by_channel[pending->job->channel], entry->bytes,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&sealer->digits_over_15, entry->digits_over_15, memory_order_relaxed);
}

/* The renamed files stand: they become durable and listed, and their jobs are done. */
static int finish_files(struct sealer *sealer)
{
    struct seal_batch *batch = &sealer->batch;
    int code = seal_batch_finish(batch);
    if (code < 0) {
        note_failure(sealer, batch->pending[0].job, code);
        return code;
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        FAILPOINT("seal_after_manifest");
        count_file(sealer, &batch->pending[i]);
    }
    uint32_t count = batch->count;
    seal_batch_release(batch);
    for (uint32_t i = 0; i < count; i++) {
        job_done(sealer, batch->pending[i].job);
    }
    return 1;
}

static int run_batch(struct sealer *sealer, uint32_t most)
{
    struct seal_batch *batch = &sealer->batch;
    int result = 0;
    if (batch->renamed == 0) {
        result = collect(sealer, most);
        int made = batch->count > 0 ? make_files(sealer) : 0;
        result = made < 0 ? made : result;
    }
    if (batch->renamed > 0) {
        int code = finish_files(sealer);
        result = result < 0 ? result : code;
    }
    return result;
}

int sealer_run_some(struct sealer *sealer, uint32_t most)
{
    ASSERT(most > 0);
    int64_t begin_ns = clock_mono_ns(&clock_system);
    int code = run_batch(sealer, most);
    int64_t took_ns = clock_mono_ns(&clock_system) - begin_ns;
    histogram_add(&sealer->times, took_ns);
    if (took_ns > atomic_load(&sealer->seal_ns_max)) {
        atomic_store(&sealer->seal_ns_max, took_ns);
    }
    return code;
}

/* After a failure: may other jobs do better? */
static bool others_may_go(const struct sealer *sealer, int code)
{
    return sealer->batch.renamed == 0 && code != MD_ENOSPC;
}

bool sealer_run_all(struct sealer *sealer)
{
    uint32_t jobs = sealer_jobs(sealer);
    int code = 0;
    do {
        code = sealer_run_some(sealer, SEAL_BATCH_FILES);
    } while (code > 0 || (code < 0 && others_may_go(sealer, code)));
    return sealer_jobs(sealer) < jobs;
}

/* ---- the thread */

/* Sleeps until there is work, or `timeout_ms` went by. False: stop. */
static bool wait_for_work(struct sealer *sealer, int timeout_ms)
{
    struct timespec at = deadline_of(timeout_ms);
    pthread_mutex_lock(&sealer->mutex);
    if (!sealer->stop) {
        pthread_cond_timedwait(&sealer->work, &sealer->mutex, &at);
    }
    bool goes_on = !sealer->stop;
    pthread_mutex_unlock(&sealer->mutex);
    return goes_on;
}

/* Sleeps out a pause, whatever work comes. False: stop. */
static bool pause_for(struct sealer *sealer, int pause_ms)
{
    int64_t end_ns = clock_mono_ns(&clock_system) + pause_ms * NS_PER_MS;
    int64_t left_ms = pause_ms;
    while (left_ms > 0) {
        if (!wait_for_work(sealer, (int)left_ms)) {
            return false;
        }
        left_ms = (end_ns - clock_mono_ns(&clock_system)) / NS_PER_MS;
    }
    return true;
}

static void *seal_thread(void *context)
{
    struct sealer *sealer = context;
    /* Best effort: without it sealing competes with landing on a small machine. */
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), SEAL_NICE);
    int pause_ms = RETRY_MS_MIN;
    bool failed = false;
    while (!atomic_load(&sealer->stopping)) {
        int code = sealer_run_some(sealer, SEAL_BATCH_FILES);
        if (code > 0) {
            pause_ms = failed ? pause_ms : RETRY_MS_MIN;
            continue;
        }
        failed = failed || code < 0;
        if (code < 0 && others_may_go(sealer, code)) {
            continue;
        }
        bool goes_on = true;
        if (failed) {
            goes_on = pause_for(sealer, pause_ms);
            pause_ms = pause_ms * 2 < RETRY_MS_MAX ? pause_ms * 2 : RETRY_MS_MAX;
            sealer_resume(sealer);
            failed = false;
        } else {
            goes_on = wait_for_work(sealer, 1000);
        }
        if (!goes_on) {
            break;
        }
    }
    return NULL;
}

struct sealer_stats sealer_stats(const struct sealer *sealer)
{
    struct sealer_stats stats = {
        .files = atomic_load_explicit(&sealer->files, memory_order_relaxed),
        .bytes = atomic_load_explicit(&sealer->bytes, memory_order_relaxed),
        .failed = atomic_load_explicit(&sealer->failed, memory_order_relaxed),
        .digits_over_15 = atomic_load_explicit(&sealer->digits_over_15, memory_order_relaxed),
        .seal_ns_max = atomic_load_explicit(&sealer->seal_ns_max, memory_order_relaxed),
        .disk_low = atomic_load_explicit(&sealer->disk_low, memory_order_relaxed),
    };
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        stats.bytes_by_channel[i] =
            atomic_load_explicit(&sealer->bytes_by_channel[i], memory_order_relaxed);
    }
    return stats;
}

const struct histogram *sealer_times(const struct sealer *sealer)
{
    return &sealer->times;
}
