#ifndef MD_BENCH_STORE_ROWS_H
#define MD_BENCH_STORE_ROWS_H

#include <stdint.h>

#include "exchange/event.h"

/* An hour of a market of our own making, in the order it would arrive: the rows of bench_store.
 * The same symbols, channel and count give the same rows, on every machine.
 *
 * What is like the real thing: a few symbols have most of the rows (activity falls as 1 / (rank +
 * 5)); an order that eats several resting ones is a burst of trades within the same millisecond;
 * each symbol has its own tick, price, lot and restlessness; sizes are partly round, partly the
 * smallest lots, partly odd; event times are whole milliseconds a few ms before the receive time;
 * ids count per symbol, receive times and local_seq over all. A depth message has up to 60 levels,
 * more of them near the price than far from it, a third of them deletes. */

#define ROWS_HOUR_NS 1795424400000000000LL /* 2026-11-23T09:00:00Z */
#define ROWS_SYMBOLS_MAX 10000
#define ROWS_LEVELS_MAX 60

struct rows_market;

/* `channel`: CHANNEL_TRADES or CHANNEL_DEPTH. `rows`: how many fill the hour. NULL: no memory. */
struct rows_market *rows_open(enum channel channel, uint32_t symbols, uint64_t rows);
void rows_close(struct rows_market *market);
/* The next event, and its symbol's number. Views into the market, until the next call. */
uint32_t rows_next(struct rows_market *market, struct event *event);

#endif
