#ifndef MD_APP_LAND_H
#define MD_APP_LAND_H

#include "app/settings.h"
#include "base/alloc.h"
#include "exchange/exchange.h"
#include "normalise/normalise.h"
#include "store/store.h"
#include "watch/view.h"

/* Landing: records in, files out. A pure function of the records and the settings: live, after a
 * crash and in rederive it is this same code. One thread. */

struct land_handlers {
    /* A book wants a snapshot; NULL = nobody to ask (rederive). */
    void (*on_snapshot_wanted)(void *context, enum venue_id venue, struct str symbol);
    /* A snapshot to compare a book with is wanted; NULL = nobody to ask. */
    void (*on_check_wanted)(void *context, enum venue_id venue, struct str symbol);
    /* Trades of a hole are wanted; NULL = nobody to ask. */
    void (*on_trades_wanted)(void *context, enum venue_id venue, struct str symbol,
                             const struct trades_hole *hole);
    /* A stream is silent; NULL = not watched. */
    void (*on_silent)(void *context, enum venue_id venue, enum channel channel, struct str symbol);
    /* False: rows of this symbol are not landed; its books and holes are followed all the same.
     * NULL = all are. */
    bool (*on_keep)(void *context, enum venue_id venue, struct str symbol);
    void *context;
};

struct land_sizes {
    uint32_t streams_max;
    uint32_t books_max;
    uint32_t trades_max; /* streams of trades, each of whose holes may be open */
    size_t book_bytes;
    size_t row_block_bytes;
    uint32_t row_group_rows; /* output.parquet_batch_size, or fewer by tuning */
    bool settings_fixed;   /* the settings hold for all of the journal, not each run's for itself */
    int64_t since_unix_ns; /* the journal's first record: manifests of earlier days are not read; 0
                              = all */
};

/* The sizes that can show in what lands (a book that does not fit is cut), as lines of
 * RECORD_CONFIG; parsing takes what is there and leaves the rest. */
void land_sizes_format(const struct land_sizes *sizes, struct buf *out);
void land_sizes_parse(struct land_sizes *sizes, struct str text);

#define LAND_REASONS_MAX 64
struct land_reason { /* undecodable messages, by venue, channel and words */
    enum venue_id venue;
    int channel; /* -1 = not known */
    const char *reason;
    uint64_t count;
};

struct land_stats {
    uint64_t records, messages, bytes, controls, general_path, digits_over_15;
    uint64_t undecodable, undecodable_unlisted;
    struct land_reason reasons[LAND_REASONS_MAX];
    uint32_t reason_count;
    uint64_t state_parts_damaged;
};

struct land;
/* Adds what land_open() takes to its lines of the budget. */
void land_memory_lines(const struct settings *settings, const struct land_sizes *sizes,
                       size_t lines[ALLOC_LINE_COUNT]);

/* `io` is the data root, borrowed. `wait_synced` as in store.h; NULL for rederive. */
int land_open(struct land **out, struct mdio *io, const struct settings *settings,
              const struct land_sizes *sizes, bool seal_thread,
              const struct land_handlers *handlers, int (*wait_synced)(void *context, uint64_t seq),
              void *wait_context, struct err *err);
/* Lands one record; `record->seq` is set. */
void land_record(struct land *land, const struct record *record);
/* No REST body is under way: a checkpoint does not hold what was read of one, so that a replay from
 * there would not land what a run that went on did. */
bool land_between_bodies(const struct land *land);
/* A segment begins: hands out what a fresh object needs to go on from here, as payloads of
 * RECORD_STATE records. Between bodies, or right before a start record, which ends them. */
void land_checkpoint(struct land *land, void (*put)(void *context, struct str payload),
                     void *context);
/* Ends without a stop record (rederive of a cut journal): as if one stood behind the last record.
 */
void land_finish(struct land *land);
void land_close(struct land *land);
/* From here on what lands is counted there too, until NULL is given; borrowed. Landing thread. */
void land_watch(struct land *land, struct watch_landing *landing);

struct store *land_store(struct land *land);
const struct normalise *land_normalise(const struct land *land);
/* Snapshot of the counters; landing thread, or after it ended. */
const struct land_stats *land_stats(const struct land *land);
uint32_t land_conn_last(const struct land *land); /* highest connection number seen */
/* True: the record says by itself what the highest connection number is up to it (a tick, a
 * checkpoint's part), in *conn. */
bool land_conn_told(const struct record *record, uint32_t *conn);
uint32_t land_boot_epoch(const struct land *land); /* starts seen */

#endif
