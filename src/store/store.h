#ifndef MD_STORE_STORE_H
#define MD_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mdio.h"
#include "exchange/event.h"
#include "store/columns.h"

/* Partitions: events -> rows -> row blocks -> spool -> sealed files. store_event() and the other
 * calls belong to the landing thread; sealing runs on a thread of the store's own (niced), or inside
 * store_seal_one() when `seal_thread` is false (rederive, tests). What a file holds depends only on
 * the events and the settings, never on memory, load or timing. */

enum file_format { FORMAT_PARQUET, FORMAT_JSONL, FORMAT_CSV };
enum file_layout { LAYOUT_HIVE, LAYOUT_PLAIN };

struct store_config {
    enum file_format format;
    enum file_layout layout;
    char recorder[32];
    uint32_t streams_max;
    uint32_t record_batch_rows;    /* output.parquet_record_batch_size: rows in a block before spooling */
    uint32_t row_group_rows;       /* output.parquet_batch_size */
    uint32_t open_blocks_max;      /* output.parquet_max_open_files: partitions with a resident block */
    size_t row_block_bytes;        /* memory for all row blocks */
    int64_t idle_close_ns;         /* output.parquet_idle_close_secs; 0 = off */
    int64_t roll_ns;               /* output.roll_secs; at most an hour */
    int64_t close_spread_ns;       /* hour-end closes of silent partitions are spread over this */
    uint32_t seal_jobs_max;
    struct writer_options writer;
    bool local_ns;                 /* output.local_ns */
    bool seal_thread;
    bool skip_existing;            /* replay: rows at or below a stream's sealed seq are dropped */
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
/* Takes `io` (the data root) borrowed. Reads the manifests: seals known, and per stream the last
 * sealed seq. Removes .inprogress- files and the old scratch. */
int store_open(struct store **out, struct mdio *io, const struct store_config *config,
               const struct store_handlers *handlers, struct err *err);
/* Lands one event: rows go to the stream's partition of the hour of recv_unix_ns. */
void store_event(struct store *store, uint32_t stream, const struct event *event);
/* Time goes on (tick records): closes what the rules say. */
void store_tick(struct store *store, int64_t unix_ns);
/* Closes every open partition (stop record, drain). */
void store_close_all(struct store *store, int64_t unix_ns);
/* Waits until all closed partitions are sealed, at most timeout_ms. Returns how many are left. */
uint32_t store_drain(struct store *store, int timeout_ms);
void store_destroy(struct store *store);

/* The lowest seq that an unsealed partition or job still needs; UINT64_MAX when none does. Journal
 * segments that end before it may be trimmed. */
uint64_t store_needed_seq(struct store *store);
/* Highest seq named in any manifest line. */
uint64_t store_manifest_last_seq(const struct store *store);

/* Facts of a symbol for the footers, from instrument events (copied). */
struct store_stats {
    uint64_t rows, rows_by_channel[CHANNEL_COUNT], rows_skipped, rows_lost;
    uint64_t files_sealed, bytes_sealed, bytes_by_channel[CHANNEL_COUNT], files_failed;
    uint64_t blocks_spooled, early_spools, spool_bytes, spool_bytes_high;
    uint32_t open_partitions, open_partitions_high, resident_blocks, seal_jobs;
    int64_t seal_ns_max;
    uint64_t digits_over_15;
};
struct store_stats store_stats(struct store *store); /* any thread */

/* ---- schema.c: channels as columns */
const struct schema *schema_of(enum channel channel);
/* Fills the cells of one row of an event; depth events have one row a level (`row` counts bids then
 * asks). Views into the event. Returns the number of cells. */
uint32_t schema_event_rows(const struct event *event);
uint32_t schema_event_cells(const struct event *event, uint32_t row, struct cell *cells);

/* ---- partition path, e.g.
 * exchange=binance/channel=trades/symbol=BTCUSDT/date=2026-11-23/hour=09 */
int store_partition_path(enum file_layout layout, enum venue_id venue, enum channel channel,
                         struct str symbol, int64_t hour_unix_ns, char *out, size_t out_capacity);

#endif
