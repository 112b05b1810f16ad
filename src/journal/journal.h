#ifndef MD_JOURNAL_JOURNAL_H
#define MD_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mdio.h"
#include "journal/record.h"

/* The journal: a folder of segments `journal/<first seq, 16 hex>.mdj`, one continuous sequence of
 * records over all runs of a recorder.
 *
 * Segment: a 64-byte head (magic "MDJSEG01", format version, recorder id, boot epoch, first seq,
 * created time, CRC-32C), then blocks. Block: magic "MDJB", raw bytes, stored bytes, first seq,
 * record count, flags, CRC-32C over head and stored bytes; then one zstd frame (level 1) of packed
 * records. Each block stands alone, so a reader that meets damage goes on at the next magic whose
 * CRC is right. A block holds 64 KiB of records, or one larger record alone.
 *
 * Promise: a record with seq <= journal_synced_seq() survives anything. Group commit: the sync
 * thread calls fdatasync for what was written, at most sync_ms after the first unsynced record. */

struct journal_config {
    uint32_t block_bytes;       /* 65536 */
    uint64_t segment_bytes;     /* a new segment after this many bytes; default 64 MiB */
    int64_t sync_ms;            /* 0 = every block is synced before append returns */
    int zstd_level;             /* 1 */
    uint32_t record_bytes_max;  /* largest packed record: net.message_bytes_max + head + arg */
    char recorder[32];          /* recorder id, [a-z0-9-] */
    uint32_t boot_epoch;        /* how often this recorder was started */
    bool sync_thread;           /* false: caller calls journal_sync() (tests, load) */
};

struct journal; /* writer */

/* Memory taken from ALLOC_JOURNAL by journal_open(). */
size_t journal_memory_bytes(const struct journal_config *config);

/* Opens the folder "journal" of `io` for appending; always starts a new segment, whose first record
 * will be `first_seq` (1 + the last seq known from the old segments and the manifest). */
int journal_open(struct journal **out, struct mdio *io, const struct journal_config *config,
                 uint64_t first_seq, struct err *err);
/* Writes, syncs and closes. The last code if the tail could not be made safe. */
int journal_close(struct journal *journal);

/* Appends a copy of `record`, gives it the next seq (returned in record->seq). Writes the block when
 * full or older than sync_ms (by now_mono_ns). Landing thread only.
 * A write that fails (disk full, EIO) is completed or rolled back: the block is kept in memory and
 * tried again with each later call, up to one block; then MD_ENOSPC / MD_EIO is returned, the record
 * is NOT taken (the caller counts a drop), and journal_failing() is true. After a failed fsync the
 * segment is abandoned as suspect, a new one is opened and the unsynced tail is written again from
 * memory. */
int journal_append(struct journal *journal, struct record *record, int64_t now_mono_ns);
/* Writes out the open block if it is older than sync_ms; call when idle. */
int journal_poll(struct journal *journal, int64_t now_mono_ns);
/* Writes out the open block and waits until all is synced. */
int journal_sync(struct journal *journal);

/* True when the next append will start a new segment: the moment for the caller to append its
 * checkpoint (RECORD_STATE) right after journal_roll(). */
bool journal_roll_due(const struct journal *journal);
int journal_roll(struct journal *journal);

uint64_t journal_next_seq(const struct journal *journal);
uint64_t journal_synced_seq(const struct journal *journal); /* any thread */
/* Any thread: waits until seq is synced. 0, or MD_ETIMEOUT. */
int journal_wait_synced(struct journal *journal, uint64_t seq, int timeout_ms);
bool journal_failing(const struct journal *journal); /* any thread */

/* Deletes (or, with keep, leaves) whole segments that end before `seq` and are not the open one.
 * Returns how many were deleted. `keep_before_unix_ns`: segments whose last record is younger than
 * this stay (journal.keep); INT64_MAX = delete all that may be. */
int journal_trim(struct journal *journal, uint64_t seq, int64_t keep_before_unix_ns);

struct journal_stats {
    uint64_t records, raw_bytes, stored_bytes, blocks, segments, syncs, failures;
    int64_t sync_ns_max;
    int64_t synced_lag_ns; /* age of the oldest record that is not synced; 0 = none */
};
struct journal_stats journal_stats(const struct journal *journal, int64_t now_mono_ns);

/* ---- Reader: all segments of a folder in order of their first seq, or one file. */
struct journal_reader;

struct journal_reader_stats {
    uint64_t records, blocks, segments;
    uint64_t damaged_blocks;  /* magic found, CRC or content wrong */
    uint64_t skipped_bytes;   /* not part of any good block */
    uint64_t missing_records; /* seq jumps between good blocks, where damage explains them */
    uint64_t duplicate_blocks; /* a tail written again into a new segment: skipped by seq */
    uint64_t torn_tail_bytes; /* at the end of a segment's file: a crash, not damage */
};

/* `path`: a folder of segments or one segment file, relative to `io`. `from_seq`: skips whole
 * segments before the one that holds it (0 = all). Uses plain allocation through ALLOC_JOURNAL
 * before the seal. MD_ENOENT when there is no segment: a reader is given all the same if `path` is a
 * folder (it is at its end). */
int journal_reader_open(struct journal_reader **out, struct mdio *io, const char *path,
                        uint32_t record_bytes_max, uint64_t from_seq, struct err *err);
void journal_reader_close(struct journal_reader *reader);
/* 1 = *record set (valid until the next call), 0 = end, negative = the disk failed. Damage is not an
 * error: it is skipped and counted. */
int journal_reader_next(struct journal_reader *reader, struct record *record, struct err *err);
struct journal_reader_stats journal_reader_stats(const struct journal_reader *reader);
/* First seq of the first segment, last seq and time seen; after the end was reached. */
uint64_t journal_reader_first_seq(const struct journal_reader *reader);
uint64_t journal_reader_last_seq(const struct journal_reader *reader);
int64_t journal_reader_last_unix_ns(const struct journal_reader *reader);

/* `journal cat` / `journal load`: text <-> journal; in journal/text.c. */
struct journal_text_stats {
    uint64_t records, lines_skipped, lines_refused;
};
int journal_cat(struct journal_reader *reader, int out_fd, struct journal_text_stats *stats,
                struct err *err);
/* Reads lines from `in_fd`; a wrong line is refused with its number and the load goes on unless
 * `strict`. A body or frame larger than a part is split for rest records. */
int journal_load(struct journal *journal, int in_fd, bool strict, struct journal_text_stats *stats,
                 struct err *err);

#endif
