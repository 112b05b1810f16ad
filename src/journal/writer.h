#ifndef MD_JOURNAL_WRITER_H
#define MD_JOURNAL_WRITER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <zstd.h>

#include "base/mdio.h"
#include "journal/journal.h"
#include "journal/segment.h"

/* Inside of the writer, shared by writer.c (landing thread: appends, opens and writes files),
 * sync.c (the sync thread: fdatasync, folder sync, closing what is done with) and trim.c.
 *
 *   records -> open block (raw) -> tail ring (stored, unwritten) -> file -> tail ring (written,
 *   unsynced) -> synced: leaves the ring
 *
 * The tail ring keeps every stored block until it is known to be safe, because after a failed fsync
 * nothing of what was written since the last good one may be believed: the ring is what the next
 * segment is written from.
 *
 * Invariants (journal_check()):
 *   - unsynced[first .. first + written) stand in a file, [.. first + count) not yet
 *   - their records count on without a hole: synced_seq + 1 ... the open block's first seq - 1
 *   - segments[0 .. segment_count) are in order; the last is written to, the others hold blocks
 * that wait for a sync; a block belongs to the last segment whose first seq is not above its own
 *   - suspect: a sync failed; nothing is written or synced until tail_rescue() has a new segment */

#define JOURNAL_FOLDER "journal"
#define JOURNAL_UNSYNCED_BYTES_DEFAULT (4u << 20)
#define JOURNAL_UNSYNCED_BLOCKS_MAX 1024
#define JOURNAL_SEGMENTS_OPEN_MAX 8
#define JOURNAL_RESCUE_PAUSE_NS (100 * NS_PER_MS) /* between tries to leave a suspect segment */
#define JOURNAL_MAGIC 0x4d444a57u

/* One stored block in the tail ring. */
struct unsynced {
    size_t at; /* offset in the ring's memory */
    size_t bytes;
    uint64_t first_seq, last_seq;
    int64_t first_mono_ns; /* when its first record was appended */
};

struct segment_open {
    int handle; /* -1 = closed, waits to be unlinked */
    uint64_t first_seq;
    bool folder_synced; /* its name is safe */
};

struct journal {
    uint32_t magic;
    struct mdio *io;
    struct journal_config config;
    int64_t sync_ns;
    bool threaded; /* a sync thread runs */

    /* ---- Landing thread only. */
    char *raw; /* open block: max(block_bytes, record_bytes_max) */
    size_t raw_bytes;
    uint32_t raw_count;
    uint64_t raw_first_seq;
    int64_t raw_first_unix_ns;
    uint64_t next_seq;
    int64_t last_unix_ns;    /* time of the last record of this run; 0 = none */
    int64_t service_mono_ns; /* append looks after old blocks and syncs from here on */
    int64_t now_mono_ns;     /* of the last append or poll */
    int64_t rescue_mono_ns;  /* no try to leave a suspect segment before */
    uint64_t segment_bytes;  /* written to the current segment */
    uint64_t roll_at_bytes;
    bool begun;              /* the next block is the first of a segment that the caller began */
    uint64_t checkpoint_seq; /* last record of the newest checkpoint; 0 = the caller told of none */
    void *workspace;
    ZSTD_CCtx *cctx;

    /* ---- Any thread. */
    atomic_uint_least64_t synced_seq;
    atomic_uint_least64_t flush_seq; /* somebody waits for this one: do not let it get old */
    atomic_bool attention;           /* the landing thread should look: flush_seq or suspect */
    atomic_bool write_failing, sync_failing;
    atomic_int_least64_t raw_mono_ns;      /* first record of the open block; INT64_MAX = empty */
    atomic_int_least64_t unsynced_mono_ns; /* first record of the ring; INT64_MAX = empty */
    struct {
        atomic_uint_least64_t records, raw_bytes, stored_bytes, blocks, segments, syncs, failures;
        atomic_int_least64_t sync_ns_max;
    } stats;
    struct histogram write_times; /* written by the landing thread */
    struct histogram sync_times;  /* written under the lock */

    /* ---- Under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t work; /* to the sync thread */
    pthread_cond_t done; /* from the sync thread: something was synced, or failed */
    pthread_t thread;
    bool sync_wanted, sync_busy, stop;
    bool suspect;
    int last_code; /* of the last failure */
    struct unsynced unsynced[JOURNAL_UNSYNCED_BLOCKS_MAX];
    size_t first, count, written;
    char *tail;
    size_t tail_bytes; /* capacity */
    size_t tail_next;  /* where the next block goes, if it fits before the end */
    struct segment_open segments[JOURNAL_SEGMENTS_OPEN_MAX];
    size_t segment_count;
};

/* Asserts the invariants; call with the lock held. */
void journal_check(const struct journal *journal);

/* ---- sync.c */
int sync_init(struct journal *journal); /* lock, conditions and, if configured, the thread */
void sync_deinit(struct journal *journal);
/* Asks the sync thread for a sync of all that is written. */
void sync_request(struct journal *journal);
/* Syncs all that is written when called, here or by waiting for the sync thread. 0, or the code of
 * a failed sync (then journal->suspect is set). */
int sync_written(struct journal *journal);
/* Counts a failure and remembers its code. Any thread, without the lock. Returns `code`. */
int journal_failed(struct journal *journal, int code);

/* ---- writer.c */
/* Test hook: as kill -9 does, gives up everything in memory; nothing is written or synced. */
void journal_abandon(struct journal *journal);
static inline struct unsynced *unsynced_at(struct journal *journal, size_t index)
{
    return &journal->unsynced[(journal->first + index) % JOURNAL_UNSYNCED_BLOCKS_MAX];
}

#endif
