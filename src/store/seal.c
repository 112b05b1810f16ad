/* The sealer: takes closed partitions in turn and makes each a durable, listed file.
 * Place: last step of the way; a thread of its own (nice 10), or steps run by the landing thread.
 * Order for each file: said to come (intent) -> written as .inprogress- and synced -> the journal
 * is synced through its last seq -> renamed -> folder synced -> manifest line synced -> done.
 * Invariants: a job that failed before its rename leaves no file and is tried again from the spool;
 * after the rename nothing else is done until folder and manifest line are synced; jobs of a stream
 * are done in their order. Memory: seal_file's, plus 16 paths. */
#include "store/seal.h"

#include <sched.h>
#include <stdio.h>
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
#include "store/seal_file.h"

#define SEAL_NICE 10
#define RETRY_MS_MIN 100
#define RETRY_MS_MAX 2000
#define NUMBERS_MAX 1000 /* further numbers tried when names are taken */
#define RESERVE_BYTES_MAX (64ULL << 20)

struct sealer {
    struct seal_config config;
    struct mdio *io;
    struct spool *spool;
    struct manifest *manifest;
    struct seal_file file;

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
    struct seal_job *renamed; /* its file stands; folder sync and manifest line are still to come */
    struct manifest_entry entry;
    char folder[MANIFEST_PATH_MAX], path[MANIFEST_PATH_MAX], inprogress[MANIFEST_PATH_MAX + 32];
    struct manifest_intent intended[MANIFEST_INTENTS_MAX];
    uint32_t intended_count;
    char line[MANIFEST_LINE_MAX];
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
    int code = seal_file_init(&sealer->file, config, io, spool, err);
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
    if (sealer->intended_count > 0 && atomic_load(&sealer->jobs) == 0) {
        /* Best effort: nothing is under way, so the next start has nothing to look for. */
        manifest_intend(sealer->manifest, NULL, 0);
        manifest_intend(sealer->manifest, NULL, 0);
    }
    pthread_mutex_destroy(&sealer->mutex);
    pthread_cond_destroy(&sealer->work);
    pthread_cond_destroy(&sealer->progress);
    seal_file_deinit(&sealer->file);
    alloc_give(sealer);
}

struct seal_bounds sealer_bounds(struct sealer *sealer, enum channel channel)
{
    const struct store_config *config = sealer->config.store;
    const struct schema *schema = schema_of_with(channel, config->local_ns);
    struct seal_bounds groups = seal_bounds_of(config);
    uint32_t most =
        parquet_writer_groups_max(&config->writer, SEAL_GROUP_COLUMNS, schema->column_count);
    groups.groups = groups.groups < most || most == 0 ? groups.groups : most;
    row_group_reset(&sealer->file.group, schema);
    uint64_t rows = sealer->file.group.row_capacity;
    uint64_t texts = sealer->file.group.text_values_max;
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
    job->paused = false;
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

/* The first job that may go now: not paused, all of it written to the spool, and no earlier job of
 * its stream waiting. Under the mutex; at most one look at each job. */
static struct seal_job *pick(struct sealer *sealer)
{
    uint64_t flushed = spool_flushed(sealer->spool);
    sealer->round++;
    for (struct seal_job *job = sealer->head; job != NULL; job = job->next) {
        if (sealer->stream_round[job->stream] == sealer->round) {
            continue;
        }
        if (!job->paused && job->chain.end_position <= flushed) {
            return job;
        }
        sealer->stream_round[job->stream] = sealer->round;
    }
    return NULL;
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

static int job_path(const struct sealer *sealer, const struct seal_job *job, uint32_t number,
                    char *folder, char *path)
{
    const struct store_config *config = sealer->config.store;
    int length =
        store_partition_path(config->layout, (enum venue_id)job->venue, (enum channel)job->channel,
                             job->symbol, job->hour_unix_ns, folder, MANIFEST_PATH_MAX);
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
    memcpy(path, folder, (size_t)length);
    path[length] = '/';
    memcpy(path + length + 1, name, (size_t)code + 1);
    return 0;
}

/* 1 = there is such a file, 0 = none. */
static int file_exists(struct sealer *sealer, const char *path)
{
    int handle = mdio_open(sealer->io, path, MDIO_READ);
    if (handle >= 0) {
        mdio_close(sealer->io, handle);
        return 1;
    }
    return handle == MD_ENOENT ? 0 : handle;
}

/* Finds the file's name. 1 = the manifest names it already with these rows: nothing to do. */
static int choose_path(struct sealer *sealer, const struct seal_job *job)
{
    for (uint32_t number = job->number; number < job->number + NUMBERS_MAX; number++) {
        int code = job_path(sealer, job, number, sealer->folder, sealer->path);
        if (code == 0) {
            code = file_exists(sealer, sealer->path);
        }
        if (code <= 0) {
            return code;
        }
        uint64_t first = 0;
        uint64_t last = 0;
        code = manifest_find(sealer->manifest, (enum venue_id)job->venue, job->hour_unix_ns,
                             str_from(sealer->path), sealer->line, &first, &last);
        if (code < 0) {
            return code;
        }
        if (code == 1 && first == job->first_seq && last == job->last_seq) {
            return 1;
        }
        LOG_WARN("file_exists", "%s/%s: not of these rows, left as it is: the next number is taken",
                 sealer->io->root, sealer->path);
    }
    return MD_EEXIST;
}

static bool is_intended(const struct sealer *sealer, const char *path)
{
    for (uint32_t i = 0; i < sealer->intended_count; i++) {
        if (strcmp(sealer->intended[i].path, path) == 0) {
            return true;
        }
    }
    return false;
}

/* Says that the file may appear, and with it those of the next jobs in the queue, so that one sync
 * serves up to 16. */
static int intend(struct sealer *sealer, const struct seal_job *job)
{
    if (is_intended(sealer, sealer->path)) {
        return 0;
    }
    struct seal_job *next[MANIFEST_INTENTS_MAX];
    uint32_t count = 0;
    pthread_mutex_lock(&sealer->mutex);
    for (struct seal_job *other = job->next; other != NULL && count < MANIFEST_INTENTS_MAX - 1;
         other = other->next) {
        next[count++] = other; /* a job stays as it is until this thread has done it */
    }
    pthread_mutex_unlock(&sealer->mutex);
    struct manifest_intent *first = &sealer->intended[0];
    memcpy(first->path, sealer->path, sizeof first->path);
    first->venue = (enum venue_id)job->venue;
    first->unix_ns = job->hour_unix_ns;
    sealer->intended_count = 1;
    for (uint32_t i = 0; i < count; i++) {
        char folder[MANIFEST_PATH_MAX];
        struct manifest_intent *more = &sealer->intended[sealer->intended_count];
        more->venue = (enum venue_id)next[i]->venue;
        more->unix_ns = next[i]->hour_unix_ns;
        if (next[i]->stage == SEAL_FILE &&
            job_path(sealer, next[i], next[i]->number, folder, more->path) == 0 &&
            file_exists(sealer, more->path) == 0) {
            sealer->intended_count++;
        }
    }
    int code = manifest_intend(sealer->manifest, sealer->intended, sealer->intended_count);
    if (code < 0) {
        sealer->intended_count = 0;
    }
    return code;
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

/* Up to the rename. After a failure nothing of the file is left (or it is deleted by the next try,
 * or by the next start: it was intended). */
static int make_file(struct sealer *sealer, const struct seal_job *job)
{
    int code = mdio_mkdirs(sealer->io, sealer->folder);
    if (code == 0) {
        code = intend(sealer, job);
    }
    if (code < 0) {
        return code;
    }
    snprintf(sealer->inprogress, sizeof sealer->inprogress, "%s/" STORE_INPROGRESS "%s",
             sealer->folder, sealer->path + strlen(sealer->folder) + 1);
    code = seal_file_write(&sealer->file, job, sealer->inprogress, &sealer->entry);
    if (code == 0) {
        code = wait_synced(sealer, job->last_seq);
    }
    if (code == 0) {
        FAILPOINT("seal_before_rename");
        code = mdio_rename(sealer->io, sealer->inprogress, sealer->path);
    }
    if (code < 0) {
        mdio_unlink(sealer->io, sealer->inprogress); /* best effort, see above */
    }
    return code;
}

/* The file stands: make that durable and list it. Tried again until it is so. */
static int finish_file(struct sealer *sealer)
{
    struct seal_job *job = sealer->renamed;
    FAILPOINT("seal_before_dirsync");
    int code = mdio_dirsync(sealer->io, sealer->folder);
    if (code < 0) {
        return code;
    }
    FAILPOINT("seal_before_manifest");
    sealer->entry.path = str_from(sealer->path);
    sealer->entry.recorder = str_from(sealer->config.store->recorder);
    code = manifest_append(sealer->manifest, (enum venue_id)job->venue, job->hour_unix_ns,
                           &sealer->entry);
    if (code < 0) {
        return code;
    }
    FAILPOINT("seal_after_manifest");
    sealer->renamed = NULL;
    atomic_fetch_add_explicit(&sealer->files, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&sealer->bytes, sealer->entry.bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&sealer->bytes_by_channel[job->channel], sealer->entry.bytes,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&sealer->digits_over_15, sealer->entry.digits_over_15,
                              memory_order_relaxed);
    spool_reader_release(&sealer->file.reader);
    job_done(sealer, job);
    return 0;
}

/* Walks the chain to its end and gives its space back. A chain that cannot be read keeps its space
 * until the next start. */
static void give_back(struct sealer *sealer, const struct seal_job *job)
{
    struct spool_reader *reader = &sealer->file.reader;
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

static int run_job(struct sealer *sealer, struct seal_job *job)
{
    if (job->stage == SEAL_DISCARD) {
        give_back(sealer, job);
        job_done(sealer, job);
        return 0;
    }
    int code = disk_has_room(sealer);
    if (code == 0) {
        code = choose_path(sealer, job);
    }
    if (code == 1) {
        give_back(sealer, job);
        job_done(sealer, job);
        return 0;
    }
    if (code == 0) {
        code = make_file(sealer, job);
    }
    if (code < 0) {
        return code;
    }
    sealer->renamed = job;
    return finish_file(sealer);
}

static void note_failure(struct sealer *sealer, int code)
{
    atomic_fetch_add_explicit(&sealer->failed, 1, memory_order_relaxed);
    if (code == MD_ENOSPC && atomic_load(&sealer->disk_low)) {
        return; /* said once */
    }
    LOG_ERROR("seal_failed", "%s/%s: not sealed: %s; tried again, rows are safe in the journal",
              sealer->io->root, sealer->path, err_text(code));
}

int sealer_run_one(struct sealer *sealer)
{
    struct seal_job *job = sealer->renamed;
    int code = 0;
    int64_t begin_ns = clock_mono_ns(&clock_system);
    if (job != NULL) {
        code = finish_file(sealer);
    } else {
        pthread_mutex_lock(&sealer->mutex);
        job = pick(sealer);
        pthread_mutex_unlock(&sealer->mutex);
        if (job == NULL) {
            return 0;
        }
        code = run_job(sealer, job);
    }
    int64_t took_ns = clock_mono_ns(&clock_system) - begin_ns;
    histogram_add(&sealer->times, took_ns);
    if (took_ns > atomic_load(&sealer->seal_ns_max)) {
        atomic_store(&sealer->seal_ns_max, took_ns);
    }
    if (code < 0) {
        note_failure(sealer, code);
        pthread_mutex_lock(&sealer->mutex);
        job->paused = true;
        pthread_mutex_unlock(&sealer->mutex);
        return code;
    }
    return 1;
}

/* After a failure: may other jobs do better? */
static bool others_may_go(const struct sealer *sealer, int code)
{
    return sealer->renamed == NULL && code != MD_ENOSPC;
}

bool sealer_run_all(struct sealer *sealer)
{
    bool some = false;
    int code = 0;
    while ((code = sealer_run_one(sealer)) > 0 || (code < 0 && others_may_go(sealer, code))) {
        some = some || code > 0;
    }
    return some;
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
        int code = sealer_run_one(sealer);
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
