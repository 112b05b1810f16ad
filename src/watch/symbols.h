#ifndef MD_WATCH_SYMBOLS_H
#define MD_WATCH_SYMBOLS_H

#include <stdatomic.h>

#include "base/str.h"
#include "normalise/normalise.h"

/* The table of symbols: streams, as the landing thread sees them, gathered by (venue, symbol). Only
 * looked at while somebody wants it: the watch thread asks, the landing thread fills the looks at
 * its next tick, the watch thread reads them. Strictly in turn, by one flag; neither waits. */
struct watch_symbols {
    _Atomic int turn; /* whose the looks are: SYMBOLS_IDLE, SYMBOLS_WANTED, SYMBOLS_FILLED */
    struct normalise_look *looks; /* streams_max */
    uint32_t look_count;
    int64_t look_unix_ns;

    /* Watch thread. */
    const struct normalise *normalise;
    uint32_t streams_max, known; /* streams gathered so far */
    uint32_t *row_of;            /* per stream; UINT32_MAX = in no row */
    struct watch_symbol *rows;
    uint32_t row_count, rows_max;
    uint32_t *slots, slot_mask; /* by hash: row + 1 */
    uint32_t rows_refused;
    int64_t before_unix_ns; /* of the looks before, for rates */
};

struct watch_symbol {
    struct str name;
    enum venue_id venue;
    int64_t last_unix_ns; /* TIME_NONE */
    uint64_t messages, messages_before;
    uint32_t gaps;
    float rate;   /* messages a second since the looks before */
    uint8_t book; /* 0 none, 1 waiting, 2 joining, 3 whole */
    bool subscribed;
    uint8_t streams, silent;
    uint8_t silent_channel; /* the first of the silent */
};

size_t watch_symbols_bytes(uint32_t streams_max, uint32_t symbols_max);
int watch_symbols_init(struct watch_symbols *symbols, const struct normalise *normalise,
                       uint32_t streams_max, uint32_t symbols_max); /* MD_ENOMEM */
void watch_symbols_deinit(struct watch_symbols *symbols);

/* Landing thread, each tick: fills the looks if they are wanted. */
void watch_symbols_fill(struct watch_symbols *symbols, int64_t unix_ns);
/* Watch thread: asks for looks, if the last were taken. */
void watch_symbols_want(struct watch_symbols *symbols);
/* Watch thread: brings the rows up to date if looks are there. */
bool watch_symbols_take(struct watch_symbols *symbols);
/* /symbols.json: one array a row, in the order of the "columns" it names. */
void watch_symbols_write(struct buf *out, const struct watch_symbols *symbols);

#endif
