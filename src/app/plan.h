#ifndef MD_APP_PLAN_H
#define MD_APP_PLAN_H

#include <signal.h>

#include "app/settings.h"
#include "app/symbols.h"
#include "base/alloc.h"
#include "exchange/exchange.h"
#include "exchange/feed.h"

/* From settings to what will be done: symbols resolved, streams per venue, connections, times, and
 * the memory budget with one line per consumer. `check` prints it; `record` prints it and obeys. */

#define PLAN_VENUES_MAX 6
#define PLAN_CHANNELS_MAX 16
#define PLAN_INTERVALS_MAX 16

/* The channels and candle intervals of a venue: what each of its symbols is recorded as. */
struct plan_channels {
    struct {
        enum channel channel;
        bool aggregate;
    } wanted[PLAN_CHANNELS_MAX];
    uint32_t count;
    struct str intervals[PLAN_INTERVALS_MAX]; /* views into the settings */
    uint32_t interval_count;
    const char *redundant; /* patterns of symbols that come over two connections; "" or NULL */
};
#define PLAN_REQUESTS_A_SYMBOL (PLAN_CHANNELS_MAX + PLAN_INTERVALS_MAX)
/* The requests for one symbol into `out` (PLAN_REQUESTS_A_SYMBOL); returns how many. */
uint32_t plan_requests(const struct plan_channels *channels, struct str symbol,
                       struct stream_request *out);

struct plan_venue {
    const struct venue *venue;
    struct settings_venue settings;
    const char *rest_url;
    struct plan_channels channels;
    struct stream_request *requests;
    uint32_t *weights; /* how busy each request's symbol is, 1 .. 100 */
    uint32_t request_count, symbol_count, depth_symbols, trade_symbols;
    uint32_t partitions; /* with room for symbols that come while running */
    struct feed_config feed;
    struct feed_plan feed_plan;
    uint32_t family; /* index of the first venue of the same operator that shares its limits */
    int64_t request_spacing_ms;
    bool resolved; /* symbols were checked against the venue's own list */
    bool changes;  /* patterns, all or top:N: the list is asked again while running */
};

struct plan {
    struct plan_venue venues[PLAN_VENUES_MAX];
    uint32_t venue_count;
    uint32_t streams, symbols, depth_symbols, trade_symbols, connections, sockets, partitions;
    size_t book_bytes, row_block_bytes;
    uint32_t row_group_rows;        /* output.parquet_batch_size, or fewer that fit (tune: auto) */
    size_t lines[ALLOC_LINE_COUNT]; /* the budget */
    size_t bytes;                   /* their sum */
    size_t budget;                  /* memory.budget, resolved */
    uint32_t descriptors;
    char *names; /* arena of symbol names */
    size_t names_used, names_capacity;
    char api_key[256]; /* never printed; wiped by plan_deinit() */
};

/* Fills the plan. Symbol names that are not in the venue's list are refused with the nearest match.
 * If the venue cannot be reached and all symbols are plain names, the plan goes on with them as
 * they stand (venues[].resolved = false); with patterns that is an error. `offline` (check
 * --offline) does not ask at all. MD_EBUDGET: does not fit; err names the settings that would make
 * it fit. */
int plan_make(struct plan *plan, const struct settings *settings, bool offline,
              const volatile sig_atomic_t *stop, struct err *err);
void plan_deinit(struct plan *plan);
/* The feed's configuration of plan->venues[venue] as `settings` give it now; `spacing_ms` gets what
 * plan_venue.request_spacing_ms is. Its texts are those of `settings`. */
struct feed_config plan_feed_config(const struct plan *plan, uint32_t venue,
                                    const struct settings *settings, int64_t *spacing_ms);
/* Budget for `plan` alone (streams known): fills lines, bytes. */
void plan_budget(struct plan *plan, const struct settings *settings);
/* People's table of it all, with warnings and the values to use. */
void plan_print(const struct plan *plan, const struct settings *settings, int fd);
/* Bytes as "12.3 MiB" into `out`; returns out. */
const char *plan_bytes_text(char out[24], uint64_t bytes);

#endif
