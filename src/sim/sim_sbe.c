/* Binance spot's binary streams: names, and messages written field by field into the caller's
 * bounded buffer. Owes nothing to the recorder's decoder. */
#include "sim/sim_sbe.h"

#include <string.h>

#include "base/assert.h"
#include "base/clock.h"

#define EXPONENT (-8)
#define SCHEMA_ID 1

static const char *const suffixes[] = {
#define X(kind, suffix, group) suffix,
    SIM_SBE_LIST(X)
#undef X
};
static const char *const groups[] = {
#define X(kind, suffix, group) group,
    SIM_SBE_LIST(X)
#undef X
};

const char *sim_sbe_suffix(uint32_t stream)
{
    ASSERT(stream >= SIM_STREAM_COUNT && stream < SIM_SBE_END);
    return suffixes[stream - SIM_STREAM_COUNT];
}

const char *sim_sbe_group(uint32_t stream)
{
    ASSERT(stream >= SIM_STREAM_COUNT && stream < SIM_SBE_END);
    return groups[stream - SIM_STREAM_COUNT];
}

int sim_sbe_parse(const struct model *model, struct str name, uint32_t *symbol_index)
{
    const char *at = name.bytes == 0 ? NULL : memchr(name.data, '@', name.bytes);
    if (at == NULL) {
        return -1;
    }
    size_t head = (size_t)(at - name.data);
    const struct model_symbol *symbol = model_find(model, str_make(name.data, head), true);
    struct str suffix = str_make(at + 1, name.bytes - head - 1);
    for (uint32_t i = 0; symbol != NULL && i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (str_equal(suffix, str_from(suffixes[i]))) {
            *symbol_index = (uint32_t)(symbol - model->symbols);
            return (int)(SIM_STREAM_COUNT + i);
        }
    }
    return -1;
}

/* ---- messages */

static void put(struct buf *out, uint64_t value, size_t bytes)
{
    char text[8];
    for (size_t i = 0; i < bytes; i++) {
        text[i] = (char)(value >> (8 * i) & 0xff);
    }
    buf_put(out, text, bytes);
}

static void put_i64(struct buf *out, int64_t value)
{
    put(out, (uint64_t)value, 8);
}

static void put_head(struct buf *out, uint16_t block_bytes, uint16_t template_id)
{
    put(out, block_bytes, 2);
    put(out, template_id, 2);
    put(out, SCHEMA_ID, 2);
    put(out, 0, 2);
}

static void put_exponents(struct buf *out)
{
    put(out, (uint8_t)EXPONENT, 1);
    put(out, (uint8_t)EXPONENT, 1);
}

static void put_symbol(struct buf *out, const struct model_symbol *symbol)
{
    struct str name = str_from(symbol->name);
    put(out, name.bytes, 1);
    buf_put_str(out, name);
}

void sim_sbe_put_trades(struct buf *out, const struct model_symbol *symbol, int64_t first,
                        uint32_t count)
{
    struct model_trade trade = model_trade_at(symbol, first);
    put_head(out, 18, 10000);
    put_i64(out, trade.time_unix_ns / NS_PER_US);
    put_i64(out, trade.time_unix_ns / NS_PER_US);
    put_exponents(out);
    put(out, 25, 2);
    put(out, count, 4);
    for (uint32_t i = 0; i < count; i++) {
        trade = model_trade_at(symbol, first + i);
        put_i64(out, trade.id);
        put_i64(out, trade.price_e8);
        put_i64(out, trade.quantity_e8);
        put(out, trade.buyer_is_maker, 1);
    }
    put_symbol(out, symbol);
}

void sim_sbe_put_best(struct buf *out, const struct model_book *book, int64_t time_unix_ns)
{
    struct model_level bid, ask;
    uint32_t bids = model_book_bids(book, &bid, 1);
    uint32_t asks = model_book_asks(book, &ask, 1);
    ASSERT(bids == 1 && asks == 1);
    put_head(out, 50, 10001);
    put_i64(out, time_unix_ns / NS_PER_US);
    put_i64(out, book->symbol->update_id0 + book->update);
    put_exponents(out);
    put_i64(out, bid.price_e8);
    put_i64(out, bid.quantity_e8);
    put_i64(out, ask.price_e8);
    put_i64(out, ask.quantity_e8);
    put_symbol(out, book->symbol);
}

static void put_side(struct buf *out, const struct model_level *levels, uint32_t count)
{
    put(out, 16, 2);
    put(out, count, 2);
    for (uint32_t i = 0; i < count; i++) {
        put_i64(out, levels[i].price_e8);
        put_i64(out, levels[i].quantity_e8);
    }
}

void sim_sbe_put_levels(struct buf *out, const struct model_book *book, int64_t first_id,
                        int64_t time_unix_ns, const struct sim_levels *levels)
{
    put_head(out, first_id >= 0 ? 26 : 18, first_id >= 0 ? 10003 : 10002);
    put_i64(out, time_unix_ns / NS_PER_US);
    if (first_id >= 0) {
        put_i64(out, first_id);
    }
    put_i64(out, book->symbol->update_id0 + book->update);
    put_exponents(out);
    put_side(out, levels->bids, levels->bid_count);
    put_side(out, levels->asks, levels->ask_count);
    put_symbol(out, book->symbol);
}
