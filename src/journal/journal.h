#ifndef MD_JOURNAL_JOURNAL_H
#define MD_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/histogram.h"
#include "base/mdio.h"
#include "journal/record.h"

/* The journal: a folder of segments `journal/<first seq, 16 hex>.mdj`, one continuous sequence of
 * records over all runs of a recorder. What stands in a segment, and which copy of a record counts
 * when a tail was written twice: journal/segment.h.
 *
 * Promise: a record with seq <= journal_synced_seq() survives anything. Group commit: the sync
 * thread calls fdatasync for what was written, at most sync_ms after the first unsynced record,
 * given that the landing thread calls journal_append() or journal_poll() meanwhile. Until then a
 * record is in memory too (the tail ring, unsynced_bytes), from where it is written again when the
 * disk fails. */

struct journal_config {
    uint32_t block_bytes;      /* packed records per block; 0 = 65536, at most 262144 */
    uint64_t segment_bytes;    /* a new segment after this many bytes; 0 = 64 MiB */
    int64_t sync_ms;           /* 0 = every record is synced before append returns */
    int zstd_level;            /* 1 to 19; 0 = 1 */
    uint32_t record_bytes_max; /* largest packed record: net.message_bytes_max + head + arg */
    uint32_t unsynced_bytes;   /* tail ring: stored blocks kept until they are synced; 0 = 4 MiB.
                                * At 5x compression 4 MiB are some 20 MB of messages: what a disk
                                * that is slow or full may fall behind before records are refused */
    char recorder[32];         /* recorder id, [a-z0-9-] */
    uint32_t boot_epoch;       /* how often this recorder was started */
    bool sync_thread;          /* false: caller calls journal_sync() (tests, load) */
};

struct journal; /* writer */

struct journal_reader;

/* Memory taken from ALLOC_JOURNAL by journal_create(). */
size_t journal_memory_bytes(const struct journal_config *config);

/* Takes the memory and starts the sync thread; touches no file. Until journal_begin() has returned
 * 0 only what any thread may call is allowed, and journal_close(). MD_EINVAL for a setting out of
 * its range (zeroes are defaults). `io` is borrowed. */
int journal_create(struct journal **out, struct mdio *io, const struct journal_config *config,
                   struct err *err);
/* Begins a new segment in the folder "journal", whose first record will be `first_seq` (1 + the
 * last seq known from the old segments and the manifest). Segments from that number on that hold no
 * record (a run cut off before its first sync) are deleted; MD_EINVAL when one of them does hold
 * records. `reader` is lent to look into them. Takes no memory. After a failure only
 * journal_close() is left. */
int journal_begin(struct journal *journal, uint64_t first_seq, uint32_t boot_epoch,
                  struct journal_reader *reader, struct err *err);
/* Both in one, with a reader of its own meanwhile. */
int journal_open(struct journal **out, struct mdio *io, const struct journal_config *config,
                 uint64_t first_seq, struct err *err);
/* Writes, syncs and closes. The last code if the tail could not be made safe. NULL is allowed. */
int journal_close(struct journal *journal);

/* Appends a copy of `record`, gives it the next seq (returned in record->seq). Writes the block
 * when full or older than sync_ms (by now_mono_ns). Landing thread only; never waits for a sync,
 * except with sync_ms 0, or when there is no sync thread and the tail ring is full.
 *
 * 0 = taken. A write that fails (disk full, EIO) is completed or rolled back; the block stays in
 * the tail ring and is tried again with each later call. After a failed fsync the segment is
 * abandoned as suspect and the tail ring is written into a new one (at most every 100 ms).
 * journal_failing() is true meanwhile, and after sync_ms 0 returned 0 without journal_synced_seq()
 * having moved. Not taken, record->seq unchanged, the caller counts a drop: MD_ENOSPC, MD_EIO, ...
 * when the open block and the tail ring are full because the disk fails; MD_EFULL when they are
 * full because it is slow; MD_ETOOBIG for a record above record_bytes_max or an arg above
 * RECORD_ARG_BYTES_MAX. */
int journal_append(struct journal *journal, struct record *record, int64_t now_mono_ns);
/* Does what append does besides: writes out the open block if it is older than sync_ms, asks for a
 * sync, tries again what failed. Call it when idle, at least every sync_ms. 0, or the code of what
 * fails now. */
int journal_poll(struct journal *journal, int64_t now_mono_ns);
/* Writes out the open block and waits until all is synced; tries a new segment up to three times
 * when syncs fail. 0, or the code that stands in the way: nothing is lost, call again. */
int journal_sync(struct journal *journal);

/* True when the current segment is as large as it shall get, and syncs do not fail: the moment for
 * the caller to append its checkpoint (RECORD_STATE) right after journal_roll(), and to say so by
 * journal_checkpointed(). Otherwise append rolls at the next block. */
bool journal_roll_due(const struct journal *journal);
/* Writes out the open block and starts a new segment; 0 without one when the current is still
 * empty. On failure (MD_EFULL: eight segments wait for a slow sync) the current segment goes on and
 * journal_roll_due() becomes true again a block later. */
int journal_roll(struct journal *journal);
/* What was appended since the segment began is a whole checkpoint. Older segments stay until it is
 * synced. */
void journal_checkpointed(struct journal *journal);
/* Not now: the current segment goes on, and journal_roll_due() becomes true again a block later. */
void journal_roll_later(struct journal *journal);

uint64_t journal_next_seq(const struct journal *journal);
uint64_t journal_synced_seq(const struct journal *journal); /* any thread */
/* Any thread but the landing thread: waits until seq is synced, which the landing thread's next
 * append or poll sets going. 0, or MD_ETIMEOUT. Without a sync thread (config.sync_thread false) it
 * is for the landing thread alone, and does the sync itself whatever the timeout. */
int journal_wait_synced(struct journal *journal, uint64_t seq, int timeout_ms);
bool journal_failing(const struct journal *journal); /* any thread */

/* Deletes whole segments that end before `seq`, oldest first; never one that is open or waits for a
 * sync, and only where what is left begins with a checkpoint: a segment begun by journal_begin() or
 * journal_roll() that holds a record. Returns how many were deleted; a failure ends the call and
 * the next one goes on. `keep_before_unix_ns`: a segment whose last record is not older than this
 * stays, and all after it (journal.keep); INT64_MAX = delete all that may be. Landing thread only;
 * lists the folder twice for each deleted segment. */
int journal_trim(struct journal *journal, uint64_t seq, int64_t keep_before_unix_ns);

struct journal_stats {
    uint64_t records, raw_bytes, stored_bytes, blocks, segments, syncs, failures;
    int64_t sync_ns_max;
    int64_t synced_lag_ns; /* age of the oldest record that is not synced; 0 = none */
};
struct journal_stats journal_stats(const struct journal *journal,
                                   int64_t now_mono_ns); /* any thread */
/* How long each write of a block and each sync took; any thread may read them. */
const struct histogram *journal_write_times(const struct journal *journal);
const struct histogram *journal_sync_times(const struct journal *journal);

/* ---- Reader: all segments of a folder in order of their first seq, or one file. */

struct journal_reader_stats {
    uint64_t records, blocks, segments;
    uint64_t damaged_blocks;   /* magic found with CRC or content wrong; at least 1 for each run of
                                * skipped bytes */
    uint64_t skipped_bytes;    /* between good blocks, or before the first: part of none */
    uint64_t missing_records;  /* seq jumps between good blocks, where damage explains them */
    uint64_t duplicate_blocks; /* a tail written again into a new segment: skipped by seq */
    uint64_t torn_tail_bytes;  /* at the end of a segment's file: a crash, not damage */
};

/* Memory from ALLOC_JOURNAL, before the seal: the largest block twice, packed and stored, where the
 * largest is record_bytes_max or 256 KiB, and 0.5 MiB more. It reads nothing before
 * journal_reader_again(). `io` is borrowed. */
int journal_reader_create(struct journal_reader **out, struct mdio *io, uint32_t record_bytes_max,
                          struct err *err);
size_t journal_reader_memory_bytes(uint32_t record_bytes_max);
/* Begins to read `path` (all is anew: counts, last seq): a folder of segments ("" = the root of
 * `io`) or one segment file (its name ends in .mdj), relative to `io`. `from_seq`: skips whole
 * segments before the one that holds it (0 = all, UINT64_MAX = all but the last). MD_ENOENT when
 * there is no segment. Takes no memory; after a failure it is at its end. */
int journal_reader_again(struct journal_reader *reader, const char *path, uint64_t from_seq,
                         struct err *err);
/* Skips blocks of the first segment, by their heads alone, of which at least `span_ns` of records
 * follow there (by the blocks' times). Right after journal_reader_again(); what is skipped counts
 * nowhere. 0, or the disk's failure. */
int journal_reader_skip(struct journal_reader *reader, int64_t span_ns, struct err *err);
/* Create and again in one. With MD_ENOENT a reader is given all the same if `path` is a folder that
 * exists (it is at its end). */
int journal_reader_open(struct journal_reader **out, struct mdio *io, const char *path,
                        uint32_t record_bytes_max, uint64_t from_seq, struct err *err);
void journal_reader_close(struct journal_reader *reader); /* NULL is allowed */
/* 1 = *record set (valid until the next call), 0 = end. Damage is not an error: it is skipped and
 * counted. Negative: MD_EIO etc., the disk failed; MD_ENOTSUP, a segment of another format version;
 * MD_ETOOBIG, a good block larger than record_bytes_max allows: the next call goes on after it. */
int journal_reader_next(struct journal_reader *reader, struct record *record, struct err *err);
struct journal_reader_stats journal_reader_stats(const struct journal_reader *reader);
/* Where the first segment read begins (its name, or its head when read as one file); last seq and
 * time seen, 0 when no record was seen. Final once the end was reached. */
uint64_t journal_reader_first_seq(const struct journal_reader *reader);
uint64_t journal_reader_last_seq(const struct journal_reader *reader);
int64_t journal_reader_last_unix_ns(const struct journal_reader *reader);

/* ---- `journal cat` / `journal load`: text <-> journal; in journal/text.c. Both take a buffer of
 * 2 * record_bytes_max + 256 KiB from ALLOC_JOURNAL for the call, before the seal. */
#define JOURNAL_REST_PART_BYTES (32u << 10) /* a larger REST body becomes parts of this size */

struct journal_text_stats {
    uint64_t records; /* cat: lines written; load: lines taken (a split REST body counts once) */
    uint64_t lines_skipped; /* blank or comment */
    uint64_t lines_refused;
};
/* Writes every record from here to the end. 0, the reader's failure, or that of `out_fd`. */
int journal_cat(struct journal_reader *reader, int out_fd, struct journal_text_stats *stats,
                struct err *err);
/* Appends the lines of `in_fd` and syncs. A wrong line (not well-formed, longer than twice
 * record_bytes_max, a time before that of the line above) is refused and counted, and the load goes
 * on; `err` then holds the first one's number and reason though the result is 0. With `strict` it
 * ends the load with MD_EPARSE or MD_ETOOBIG; what was taken before stays. Other failures are the
 * input's or the journal's. */
int journal_load(struct journal *journal, int in_fd, bool strict, struct journal_text_stats *stats,
                 struct err *err);

#endif
