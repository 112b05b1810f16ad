#ifndef MD_SIM_SIM_SBE_H
#define MD_SIM_SIM_SBE_H

#include "sim/sim_stream.h"

/* Binance spot's binary streams (SBE, schema 1:0): their names and messages, little endian without
 * padding, every value with exponent -8. Source: exchanges/binance-spot-sbe.md sections 1 and 2.
 * They count on behind the text streams of enum sim_stream. */

/* kind, what follows "<symbol>@", group for fault scripts */
#define SIM_SBE_LIST(X)                                 \
    X(SIM_SBE_TRADE, "trade", "trade")                  \
    X(SIM_SBE_BEST_BID_ASK, "bestBidAsk", "bookTicker") \
    X(SIM_SBE_DEPTH_20, "depth20", "partial")           \
    X(SIM_SBE_DEPTH, "depth", "depth")

enum sim_sbe_stream {
    SIM_SBE_BEFORE = SIM_STREAM_COUNT - 1,
#define X(kind, suffix, group) kind,
    SIM_SBE_LIST(X)
#undef X
        SIM_SBE_END
};

const char *sim_sbe_suffix(uint32_t stream);
const char *sim_sbe_group(uint32_t stream);
/* As sim_stream_parse(). */
int sim_sbe_parse(const struct model *model, struct str name, uint32_t *symbol_index);

/* `first` .. `first + count - 1`, all of one taker order. */
void sim_sbe_put_trades(struct buf *out, const struct model_symbol *symbol, int64_t first,
                        uint32_t count);
void sim_sbe_put_best(struct buf *out, const struct model_book *book, int64_t time_unix_ns);
/* The first levels of the book, or (first_id >= 0) what changed since then. */
void sim_sbe_put_levels(struct buf *out, const struct model_book *book, int64_t first_id,
                        int64_t time_unix_ns, const struct sim_levels *levels);

#endif
