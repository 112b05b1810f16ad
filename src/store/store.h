#ifndef MD_STORE_STORE_H
#define MD_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/histogram.h"
#include "base/mdio.h"
#include "exchange/event.h"
#include "store/columns.h"

/* Partitions: events -> rows -> row blocks -> spool -> sealed files. store_event() and the other
 * calls belong to the landing thread; sealing runs on a thread of the store's own (niced), or
 * inside store_seal_one() when `seal_thread` is false (rederive, tests). What a file holds depends
 * only on the events and the settings, never on memory, load or timing. */

enum file_format { FORMAT_PARQUET, FORMAT_JSONL, FORMAT_CSV };
#define FORMAT_COUNT (FORMAT_CSV + 1)
enum file_layout { LAYOUT_HIVE, LAYOUT_PLAIN };

struct store_config {
    enum file_format format;
    enum file_layout layout;
    char recorder[32];
    uint32_t streams_max;
    uint32_t
        record_batch_rows;   /* output.parquet_record_batch_size: rows in a block before spooling */
    uint32_t row_group_rows; /* output.parquet_batch_size */
    uint32_t open_blocks_max; /* output.parquet_max_open_files: partitions with a resident block */
    size_t row_block_bytes;   /* memory for all row blocks */
    int64_t idle_close_ns;    /* output.parquet_idle_close_secs; 0 = off */
    int64_t roll_ns;          /* output.roll_secs; at most an hour */
    int64_t close_spread_ns;  /* hour-end closes of silent partitions are spread over this */
    uint32_t seal_jobs_max;
    struct writer_options writer;
    uint32_t schema_options; /* output.local_ns, output.decimal_columns */
    bool seal_thread;
    bool tune;          /* tune: auto; the members above are its bounds */
    bool skip_existing; /* replay: rows at or below a stream's sealed seq are dropped */
    uint32_t binary_channels[VENUE_ID_END]; /* footer: a bit for each channel that comes as "sbe",
                                                   not "json" */
    uint64_t disk_reserve_bytes; /* no file is begun with less free; 0 = 1 % of the disk, at most 64
                                    MiB */
    int64_t manifest_since_unix_ns; /* manifests of earlier days are not read; 0 = all. The time of
                                      the journal's first record is right */
    int64_t spool_wait_ms; /* how long landing waits for the disk before a stream is frozen;
                              0 = 10 s with a seal thread, else not at all */
    /* Tests: a writer in place of the format's; NULL = the format's. */
    struct file_writer *(*writer_create)(const struct writer_options *options);
};

struct store_handlers {
    /* A depth stream's file is about to begin with `event`: the callee may call store_event() for
     * snapshot rows of the same stream first. Called before the event's own rows. */
    void (*on_file_begin)(void *context, uint32_t stream, const struct event *event);
    /* Blocks until the journal is synced through seq; called on the seal thread before a rename, so
     * that no sealed file is ahead of the journal. NULL = nothing to wait for. */
    int (*wait_synced)(void *context, uint64_t seq);
    void *context;
};

struct store;
size_t store_memory_bytes(const struct store_config *config); /* all lines together */
/* The same by line: adds to lines[ALLOC_ROW_BLOCKS], lines[ALLOC_PARTITIONS], lines[ALLOC_SEAL]. */
void store_memory_lines(const struct store_config *config, size_t lines[ALLOC_LINE_COUNT]);
/* Takes `io` (the data root) borrowed. Reads the manifests: seals known, and per stream the last
 * sealed seq. Removes .inprogress- files and the old scratch. */
int store_open(struct store **out, struct mdio *io, const struct store_config *config,
               const struct store_handlers *handlers, struct err *err);
/* Lands one event: rows go to the stream's partition of the hour of recv_unix_ns.
 * When the disk takes nothing, waits (spool_wait_ms); after that the stream is frozen: its rows are
 * counted as lost, nothing of them reaches a file, and store_needed_seq() holds the journal, so
 * that they land at the next start. */
void store_event(struct store *store, uint32_t stream, const struct event *event);
/* True when `event`, a depth update, would begin a file: the moment for a snapshot event of the
 * same stream and seq. For those who do not want on_file_begin. */
bool store_needs_snapshot(struct store *store, uint32_t stream, const struct event *event);
/* Time goes on (tick records): closes what the rules say. */
void store_tick(struct store *store, int64_t unix_ns);
/* Tuning, once a second, after the tick of `unix_ns` was landed: looks at the load (the ring in
 * front is filled by `queue_permille`) and decides. What would change files is handed to `put` as
 * payloads (at most 4 KiB) of RECORD_TUNE: the caller journals each and lands it by store_tune().
 * Nothing happens unless config.tune. */
void store_tune_second(struct store *store, int64_t unix_ns, uint32_t queue_permille,
                       void (*put)(void *context, struct str payload), void *context);
/* Lands a RECORD_TUNE: what it says holds from here on. Lines that are not known or out of the
 * settings' bounds are counted and passed over; without config.tune all of it is. */
void store_tune(struct store *store, struct str payload);
/* Closes every open partition (stop record, drain). */
void store_close_all(struct store *store, int64_t unix_ns);
/* Waits until all closed partitions are sealed, at most timeout_ms. Returns how many are left. */
uint32_t store_drain(struct store *store, int timeout_ms);
/* Without a seal thread: seals one closed partition now. False when there is none to seal (or it
 * failed: counted, tried again by the next tick). Ticks and store_drain() do it too. */
bool store_seal_one(struct store *store);
void store_destroy(struct store *store);

/* Checkpoint: what a replay that starts here needs to give the same file names and footers (open
 * files, numbers, instrument facts), as parts of at most `part_bytes` (at least 2048) each. */
void store_checkpoint(struct store *store, size_t part_bytes,
                      void (*put)(void *context, struct str part), void *context);
/* Before the first event. MD_ECORRUPT: the part is not usable; its streams start cold. MD_EFULL:
 * more streams than the tables hold. */
int store_restore(struct store *store, struct str part);
/* The store_needed_seq() of the moment a checkpoint was taken, from its first part; 0 if `part` is
 * another one. A replay may start at the segment that holds it. */
uint64_t store_state_needed_seq(struct str part);

/* The lowest seq that an unsealed partition or job still needs; UINT64_MAX when none does. Journal
 * segments that end before it may be trimmed. */
uint64_t store_needed_seq(struct store *store);
/* Highest seq named in any manifest line. */
uint64_t store_manifest_last_seq(const struct store *store);

/* What tuning has changed, and to what. */
struct store_tune_stats {
    uint64_t level_changes, blocks_changes, idle_changes; /* idle: streams, each change */
    uint64_t blocks_sized;  /* blocks that began larger than the smallest */
    uint64_t lines_refused; /* of RECORD_TUNE */
    uint32_t zstd_level, blocks_max;
};

struct store_stats {
    uint64_t rows, rows_by_channel[CHANNEL_COUNT], rows_skipped, rows_lost;
    uint64_t files_sealed, bytes_sealed, bytes_by_channel[CHANNEL_COUNT], files_failed;
    uint64_t blocks_spooled, early_spools, spool_bytes, spool_bytes_high;
    size_t pool_bytes, pool_bytes_used; /* row blocks */
    uint32_t open_partitions, open_partitions_high, resident_blocks, seal_jobs;
    int64_t seal_ns_max;
    uint64_t digits_over_15;
    uint64_t manifest_lines, manifest_damaged_lines, texts_cut, facts_refused;
    uint32_t streams_frozen, streams_refused;
    bool disk_low; /* below the reserve: nothing is sealed */
    struct store_tune_stats tune;
};
/* Landing thread, or after it ended. */
struct store_stats store_stats(struct store *store);
const struct histogram *store_seal_times(const struct store *store); /* any thread */

/* ---- schema.c: channels as columns */
const struct schema *schema_of(enum channel channel);
/* Fills the cells of one row of an event; depth events have one row a level (`row` counts bids then
 * asks), and one without levels a row of price and amount 0 that carries its ids. Views into the
 * event. Returns the number of cells. */
uint32_t schema_event_rows(const struct event *event);
uint32_t schema_event_cells(const struct event *event, uint32_t row, struct cell *cells);

/* Columns that settings add. */
enum schema_options {
    SCHEMA_LOCAL_NS = 1, /* local_ns after local_timestamp */
    SCHEMA_DECIMALS = 2, /* each F64 again as DECIMAL, before conn_id; not in book_snapshot_N */
    SCHEMA_OPTIONS_COUNT = 4
};
const struct schema *schema_of_with(enum channel channel, uint32_t options);
uint32_t schema_event_cells_with(const struct event *event, uint32_t row, uint32_t options,
                                 struct cell *cells);
/* Depth only: `cells` hold an earlier row of the same event; sets what differs. */
void schema_event_cells_next(const struct event *event, uint32_t row, uint32_t options,
                             struct cell *cells);
/* Columns whose first and last values are a file's first and last sequence; -1 = the channel has no
 * ids. */
void schema_sequence_columns(const struct schema *schema, int *first, int *last);
/* False for gaps and instruments: one file for all symbols of an exchange, no symbol and hour in
 * its path. */
bool schema_has_symbol_path(enum channel channel);

/* ---- partition path, e.g.
 * exchange=binance/channel=trades/symbol=BTCUSDT/date=2026-11-23/hour=09
 * Returns its length, or MD_ETOOBIG. `out` is terminated. */
int store_partition_path(enum file_layout layout, enum venue_id venue, enum channel channel,
                         struct str symbol, int64_t hour_unix_ns, char *out, size_t out_capacity);
/* The folder of merged files of a whole day: hour=all in place of the hour (ARCHITECTURE.md says
 * why); gaps and instruments have no hour, and the same folder as ever. */
int store_day_path(enum file_layout layout, enum venue_id venue, enum channel channel,
                   struct str symbol, int64_t unix_ns, char *out, size_t out_capacity);
/* 20261123T090000.123456Z-<recorder>-<nn>.parquet, .jsonl.zst or .csv.gz; likewise. */
int store_file_name(int64_t first_unix_ns, const char *recorder, uint32_t number,
                    enum file_format format, char *out, size_t out_capacity);

#endif
