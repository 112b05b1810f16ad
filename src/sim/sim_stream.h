#ifndef MD_SIM_STREAM_H
#define MD_SIM_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "sim/model.h"

/* Stream names (`btcusdt@depth@100ms`) and the texts the venue sends on them.
 * Source: exchanges/binance-spot.md section 4. */

/* kind, what follows "<symbol>@", group for fault scripts */
#define SIM_STREAM_LIST(X)                            \
    X(SIM_TRADE, "trade", "trade")                    \
    X(SIM_AGG_TRADE, "aggTrade", "aggTrade")          \
    X(SIM_BOOK_TICKER, "bookTicker", "bookTicker")    \
    X(SIM_DEPTH_100, "depth@100ms", "depth")          \
    X(SIM_DEPTH_1000, "depth", "depth")               \
    X(SIM_PARTIAL_5_100, "depth5@100ms", "partial")   \
    X(SIM_PARTIAL_10_100, "depth10@100ms", "partial") \
    X(SIM_PARTIAL_20_100, "depth20@100ms", "partial") \
    X(SIM_PARTIAL_5_1000, "depth5", "partial")        \
    X(SIM_PARTIAL_10_1000, "depth10", "partial")      \
    X(SIM_PARTIAL_20_1000, "depth20", "partial")      \
    X(SIM_TICKER, "ticker", "ticker")                 \
    X(SIM_MINI_TICKER, "miniTicker", "miniTicker")    \
    X(SIM_KLINE_1S, "kline_1s", "kline")              \
    X(SIM_KLINE_1M, "kline_1m", "kline")              \
    X(SIM_KLINE_3M, "kline_3m", "kline")              \
    X(SIM_KLINE_5M, "kline_5m", "kline")              \
    X(SIM_KLINE_15M, "kline_15m", "kline")            \
    X(SIM_KLINE_30M, "kline_30m", "kline")            \
    X(SIM_KLINE_1H, "kline_1h", "kline")              \
    X(SIM_KLINE_2H, "kline_2h", "kline")              \
    X(SIM_KLINE_4H, "kline_4h", "kline")              \
    X(SIM_KLINE_6H, "kline_6h", "kline")              \
    X(SIM_KLINE_8H, "kline_8h", "kline")              \
    X(SIM_KLINE_12H, "kline_12h", "kline")            \
    X(SIM_KLINE_1D, "kline_1d", "kline")              \
    X(SIM_KLINE_3D, "kline_3d", "kline")              \
    X(SIM_KLINE_1W, "kline_1w", "kline")              \
    X(SIM_KLINE_1MO, "kline_1M", "kline")

enum sim_stream {
#define X(kind, suffix, group) kind,
    SIM_STREAM_LIST(X)
#undef X
        SIM_STREAM_COUNT
};

const char *sim_stream_suffix(enum sim_stream stream);
const char *sim_stream_group(enum sim_stream stream); /* "trade", "depth", ... */
/* Splits a stream name; -1 when the symbol or the stream is unknown (the venue acks those too). */
int sim_stream_parse(const struct model *model, struct str name, uint32_t *symbol_index);

/* Candle interval number (0 = 1s ... 15 = 1M) of a text, -1 if unknown. */
int sim_interval_parse(struct str text);
const char *sim_interval_name(int interval);
/* Start of the candle that holds the moment; weeks start on Monday, months on the first. */
int64_t sim_interval_start(int interval, int64_t time_unix_ns);
int64_t sim_interval_next(int interval, int64_t start_unix_ns);

/* A time as the venue prints it: milliseconds, or microseconds with timeUnit=MICROSECOND. */
void sim_put_time(struct buf *out, int64_t time_unix_ns, bool micro);
/* "65000.01000000" */
void sim_put_e8(struct buf *out, int64_t value_e8);
/* "<key>":"65000.01000000" */
void sim_put_e8_member(struct buf *out, const char *key, int64_t value_e8);

/* Payloads, without the combined wrapper. */
void sim_put_trade(struct buf *out, const struct model_symbol *symbol,
                   const struct model_trade *trade, bool micro);
void sim_put_agg(struct buf *out, const struct model_symbol *symbol, const struct model_agg *agg,
                 bool micro);
void sim_put_book_ticker(struct buf *out, const struct model_book *book);
struct sim_levels {
    const struct model_level *bids, *asks;
    uint32_t bid_count, ask_count;
};
void sim_put_depth_update(struct buf *out, const struct model_symbol *symbol, int64_t first_id,
                          int64_t last_id, int64_t time_unix_ns, const struct sim_levels *levels,
                          bool micro);
/* {"lastUpdateId":..,"bids":..,"asks":..}: partial depth and the REST snapshot. */
void sim_put_depth_book(struct buf *out, int64_t last_id, const struct sim_levels *levels);
/* The candle at a moment; closed when the moment is its end. */
void sim_put_kline(struct buf *out, const struct model_symbol *symbol, int interval,
                   int64_t time_unix_ns, bool closed, bool micro);
void sim_put_ticker(struct buf *out, const struct model_book *book, int64_t time_unix_ns,
                    bool micro);
void sim_put_mini_ticker(struct buf *out, const struct model_symbol *symbol, int64_t time_unix_ns,
                         bool micro);

#endif
