/* The journal's sync thread: group commit. It only calls fdatasync, the folder's fsync and close,
 * so a disk that takes ten seconds for a sync stalls nobody until the tail ring is full (writer.h).
 *
 * What is promised: blocks leave the ring, and synced_seq moves, only after fdatasync of their
 * segment and, once per segment, fsync of the folder returned 0, oldest segment first. After a
 * failure nothing more is synced: the landing thread closes the suspect segment and writes the ring
 * into a new one (writer.c, tail_rescue). A descriptor whose fsync failed is never synced again:
 * the kernel may have dropped the dirty pages and would report success (faults.md, traps).
 *
 * Without the thread (sync_thread false, or sync_ms 0) the landing thread does the same inline. */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "journal/writer.h"

#define SYNC_STACK_BYTES (256u << 10)

int journal_failed(struct journal *journal, int code)
{
    ASSERT(code < 0);
    atomic_fetch_add_explicit(&journal->stats.failures, 1, memory_order_relaxed);
    pthread_mutex_lock(&journal->lock);
    journal->last_code = code;
    pthread_mutex_unlock(&journal->lock);
    return code;
}

/* How many of the oldest written blocks stand in segments[0]. Lock held. */
static size_t written_in_oldest_segment(struct journal *journal)
{
    if (journal->segment_count < 2) {
        return journal->written;
    }
    size_t n = 0;
    while (n < journal->written &&
           unsynced_at(journal, n)->first_seq < journal->segments[1].first_seq) {
        n++;
    }
    return n;
}

/* Takes the n oldest blocks out of the ring: they are safe. Lock held. */
static void release_oldest(struct journal *journal, size_t n)
{
    ASSERT(n > 0);
    ASSERT(n <= journal->written);
    uint64_t synced = unsynced_at(journal, n - 1)->last_seq;
    ASSERT(synced > atomic_load(&journal->synced_seq));
    journal->first = (journal->first + n) % JOURNAL_UNSYNCED_BLOCKS_MAX;
    journal->count -= n;
    journal->written -= n;
    atomic_store(&journal->unsynced_mono_ns,
                 journal->count > 0 ? unsynced_at(journal, 0)->first_mono_ns : INT64_MAX);
    atomic_store(&journal->synced_seq, synced);
    atomic_store(&journal->sync_failing, false);
}

/* Closes segments that are written to the end and safe. Lock held. */
static void close_finished_segments(struct journal *journal)
{
    while (journal->segment_count > 1 &&
           (journal->count == 0 ||
            unsynced_at(journal, 0)->first_seq >= journal->segments[1].first_seq)) {
        /* All of it is synced: a failing close loses nothing. */
        (void)mdio_close(journal->io, journal->segments[0].handle);
        journal->segment_count--;
        for (size_t i = 0; i < journal->segment_count; i++) {
            journal->segments[i] = journal->segments[i + 1];
        }
    }
}

/* Syncs the oldest segment that has written blocks. Lock held on entry and exit, released during
 * the system calls. Returns how many blocks became safe, or the failure. */
static int sync_oldest_segment(struct journal *journal, size_t *released)
{
    ASSERT(!journal->sync_busy);
    ASSERT(!journal->suspect);
    close_finished_segments(journal); /* synced to its end before it was rolled past */
    size_t n = written_in_oldest_segment(journal);
    struct segment_open segment = journal->segments[0];
    ASSERT(n > 0);
    ASSERT(segment.handle >= 0);
    journal->sync_busy = true;
    pthread_mutex_unlock(&journal->lock);

    int64_t begin_ns = clock_mono_ns(&clock_system);
    int code = mdio_sync(journal->io, segment.handle);
    if (code >= 0 && !segment.folder_synced) {
        code = mdio_dirsync(journal->io, JOURNAL_FOLDER);
    }
    int64_t took_ns = clock_mono_ns(&clock_system) - begin_ns;
    if (code < 0) {
        (void)journal_failed(journal, code);
    } else {
        FAILPOINT("journal_after_sync");
    }

    pthread_mutex_lock(&journal->lock);
    journal->sync_busy = false;
    atomic_fetch_add_explicit(&journal->stats.syncs, 1, memory_order_relaxed);
    histogram_add(&journal->sync_times, took_ns);
    if (took_ns > atomic_load_explicit(&journal->stats.sync_ns_max, memory_order_relaxed)) {
        atomic_store_explicit(&journal->stats.sync_ns_max, took_ns, memory_order_relaxed);
    }
    if (code < 0) {
        journal->suspect = true;
        atomic_store(&journal->sync_failing, true);
        atomic_store(&journal->attention, true);
    } else {
        journal->segments[0].folder_synced = true;
        release_oldest(journal, n);
        close_finished_segments(journal);
        *released = n;
    }
    journal_check(journal);
    pthread_cond_broadcast(&journal->done);
    return code < 0 ? code : 0;
}

/* Syncs what is written now, at most JOURNAL_SEGMENTS_OPEN_MAX segments. Lock held. */
static int sync_all_written(struct journal *journal)
{
    size_t wanted = journal->written;
    int code = 0;
    while (wanted > 0 && code == 0) {
        size_t released = 0;
        code = sync_oldest_segment(journal, &released);
        wanted -= released < wanted ? released : wanted;
    }
    return code;
}

static void *sync_thread(void *context)
{
    struct journal *journal = context;
    ASSERT(journal->magic == JOURNAL_MAGIC);
    pthread_mutex_lock(&journal->lock);
    while (!journal->stop) {
        if (journal->sync_wanted && journal->written > 0 && !journal->suspect) {
            journal->sync_wanted = false;
            (void)sync_all_written(journal); /* the failure is in `suspect` and last_code */
        } else {
            pthread_cond_wait(&journal->work, &journal->lock);
        }
    }
    pthread_mutex_unlock(&journal->lock);
    return NULL;
}

void sync_request(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    journal->sync_wanted = true;
    pthread_cond_signal(&journal->work);
    pthread_mutex_unlock(&journal->lock);
}

int sync_written(struct journal *journal)
{
    int code = 0;
    pthread_mutex_lock(&journal->lock);
    if (!journal->threaded) {
        code = journal->suspect ? journal->last_code : sync_all_written(journal);
    } else if (journal->written > 0) {
        uint64_t target = unsynced_at(journal, journal->written - 1)->last_seq;
        while (!journal->suspect && atomic_load(&journal->synced_seq) < target) {
            journal->sync_wanted = true;
            pthread_cond_signal(&journal->work);
            pthread_cond_wait(&journal->done, &journal->lock);
        }
        code = journal->suspect ? journal->last_code : 0;
    }
    pthread_mutex_unlock(&journal->lock);
    return code;
}

int journal_wait_synced(struct journal *journal, uint64_t seq, int timeout_ms)
{
    if (atomic_load(&journal->synced_seq) >= seq) {
        return 0;
    }
    if (!journal->config.sync_thread) {
        (void)journal_sync(journal); /* the answer is in synced_seq */
        return atomic_load(&journal->synced_seq) >= seq ? 0 : MD_ETIMEOUT;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t until_ns = (int64_t)until.tv_sec * NS_PER_S + until.tv_nsec + timeout_ms * NS_PER_MS;
    until.tv_sec = (time_t)(until_ns / NS_PER_S);
    until.tv_nsec = (long)(until_ns % NS_PER_S);

    pthread_mutex_lock(&journal->lock);
    if (atomic_load(&journal->flush_seq) < seq) {
        atomic_store(&journal->flush_seq, seq);
    }
    atomic_store(&journal->attention, true);
    journal->sync_wanted = true;
    pthread_cond_signal(&journal->work);
    int waited = 0;
    while (atomic_load(&journal->synced_seq) < seq && waited != ETIMEDOUT) {
        waited = pthread_cond_timedwait(&journal->done, &journal->lock, &until);
    }
    pthread_mutex_unlock(&journal->lock);
    return atomic_load(&journal->synced_seq) >= seq ? 0 : MD_ETIMEOUT;
}

/* Starts the thread with all signals blocked: they are for the main thread. */
static int thread_start(struct journal *journal)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    sigfillset(&all);
    if (pthread_attr_init(&attributes) != 0) {
        return MD_ENOMEM;
    }
    (void)pthread_attr_setstacksize(&attributes, SYNC_STACK_BYTES); /* else the default: larger */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&journal->thread, &attributes, sync_thread, journal);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (failed != 0) {
        return MD_ENOMEM;
    }
    (void)pthread_setname_np(journal->thread, "journal-sync"); /* for people's eyes only */
    journal->threaded = true;
    return 0;
}

int sync_init(struct journal *journal)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&journal->lock, NULL);
    pthread_cond_init(&journal->work, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&journal->done, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!journal->config.sync_thread || journal->config.sync_ms == 0) {
        return 0;
    }
    int code = thread_start(journal);
    if (code < 0) {
        sync_deinit(journal);
    }
    return code;
}

void sync_deinit(struct journal *journal)
{
    if (journal->threaded) {
        pthread_mutex_lock(&journal->lock);
        journal->stop = true;
        pthread_cond_signal(&journal->work);
        pthread_mutex_unlock(&journal->lock);
        pthread_join(journal->thread, NULL);
        journal->threaded = false;
    }
    pthread_cond_destroy(&journal->done);
    pthread_cond_destroy(&journal->work);
    pthread_mutex_destroy(&journal->lock);
}
