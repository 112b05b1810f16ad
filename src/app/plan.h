#ifndef MD_APP_PLAN_H
#define MD_APP_PLAN_H

#include <signal.h>

#include "app/settings.h"
#include "base/alloc.h"
#include "exchange/exchange.h"
#include "exchange/feed.h"

/* From settings to what will be done: symbols resolved, streams per venue, connections, times, and
 * the memory budget with one line per consumer. `check` prints it; `record` prints it and obeys. */

#define PLAN_VENUES_MAX 6

struct plan_venue {
    const struct venue *venue;
    const char *ws_url, *rest_url;
    struct stream_request *streams;
    uint32_t stream_count, symbol_count, depth_symbols;
    struct feed_config feed;
    struct feed_plan feed_plan;
    bool resolved; /* symbols were checked against the venue's own list */
};

struct plan {
    struct plan_venue venues[PLAN_VENUES_MAX];
    uint32_t venue_count;
    uint32_t streams, symbols, depth_symbols, connections, partitions;
    size_t book_bytes, row_block_bytes;
    size_t lines[ALLOC_LINE_COUNT]; /* the budget */
    size_t bytes;                   /* their sum */
    size_t budget;                  /* memory.budget, resolved */
    uint32_t descriptors;
    char *names; /* arena of symbol names */
    size_t names_used, names_capacity;
};

/* A venue's symbols as its exchangeInfo lists them. */
struct symbol_list {
    struct str *symbols;
    uint8_t *trading; /* status TRADING */
    uint32_t count, capacity;
    char *names;
    size_t names_used, names_capacity;
    uint64_t refused; /* did not fit */
};
int symbol_list_init(struct symbol_list *list, uint32_t symbols_max);
void symbol_list_deinit(struct symbol_list *list);
/* Fetches the venue's list (blocking, before anything runs; at most timeout_ms). MD_ECERT,
 * MD_EPROXY, MD_EDNS, MD_ECONNECT ... with the remedy in err. */
int symbol_list_fetch(struct symbol_list *list, const struct venue *venue, const char *rest_url,
                      const struct settings *settings, int64_t *retry_after_s, struct err *err);
/* The name nearest to `name`; bytes = 0 if none is near. */
struct str symbol_list_nearest(const struct symbol_list *list, struct str name);
/* * and ? match; ASCII case is ignored. */
bool symbol_matches(struct str pattern, struct str symbol);

/* Fills the plan. Symbol names that are not in the venue's list are refused with the nearest match.
 * If the venue cannot be reached and all symbols are plain names, the plan goes on with them as
 * they stand (venues[].resolved = false); with patterns that is an error. `offline` (check
 * --offline) does not ask at all. MD_EBUDGET: does not fit; err names the settings that would make
 * it fit. */
int plan_make(struct plan *plan, const struct settings *settings, bool offline,
              const volatile sig_atomic_t *stop, struct err *err);
void plan_deinit(struct plan *plan);
/* Budget for `plan` alone (streams known): fills lines, bytes. */
void plan_budget(struct plan *plan, const struct settings *settings);
/* People's table of it all, with warnings and the values to use. */
void plan_print(const struct plan *plan, const struct settings *settings, int fd);
/* Bytes as "12.3 MiB" into `out`; returns out. */
const char *plan_bytes_text(char out[24], uint64_t bytes);

#endif
