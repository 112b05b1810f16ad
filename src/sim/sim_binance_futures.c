/* Binance USD-M futures as the simulator plays them: two routes, of which each serves its own
 * streams only (the other's are acknowledged and silent), update ids that jump, trades whose ids
 * placeholder rows use up. Source: exchanges/binance-usdm-futures.md. Control requests are in
 * sim_binance_ws.c, REST in sim_binance_rest.c. */
#include <string.h>

#include "base/assert.h"
#include "sim/sim_binance.h"
#include "sim/sim_stream.h"

#define TENTH_NS (100 * NS_PER_MS)
#define FUNDING_NS (8 * 3600 * NS_PER_S)
#define ID_STEP 7             /* ids are shared between symbols: they jump */
#define PLACEHOLDER_EVERY 64  /* after so many trades a row that is none */
#define LIQUIDATION_EVERY 200 /* taker orders */

enum route { ROUTE_NONE, ROUTE_PUBLIC, ROUTE_MARKET, ROUTE_PRIVATE };

/* kind, what follows "<symbol>@", group for fault scripts, route (section 1) */
#define STREAMS(X)                                                   \
    X(FUTURES_TRADE, "trade", "trade", ROUTE_PUBLIC)                 \
    X(FUTURES_AGG_TRADE, "aggTrade", "aggTrade", ROUTE_MARKET)       \
    X(FUTURES_BOOK_TICKER, "bookTicker", "bookTicker", ROUTE_PUBLIC) \
    X(FUTURES_DEPTH, "depth@100ms", "depth", ROUTE_PUBLIC)           \
    X(FUTURES_DEPTH_5, "depth5@100ms", "partial", ROUTE_PUBLIC)      \
    X(FUTURES_DEPTH_10, "depth10@100ms", "partial", ROUTE_PUBLIC)    \
    X(FUTURES_DEPTH_20, "depth20@100ms", "partial", ROUTE_PUBLIC)    \
    X(FUTURES_MARK_PRICE, "markPrice@1s", "markPrice", ROUTE_MARKET) \
    X(FUTURES_FORCE_ORDER, "forceOrder", "forceOrder", ROUTE_MARKET) \
    X(FUTURES_TICKER, "ticker", "ticker", ROUTE_MARKET)              \
    X(FUTURES_MINI_TICKER, "miniTicker", "miniTicker", ROUTE_MARKET) \
    X(FUTURES_KLINE_1M, "kline_1m", "kline", ROUTE_MARKET)           \
    X(FUTURES_KLINE_3M, "kline_3m", "kline", ROUTE_MARKET)           \
    X(FUTURES_KLINE_5M, "kline_5m", "kline", ROUTE_MARKET)           \
    X(FUTURES_KLINE_15M, "kline_15m", "kline", ROUTE_MARKET)         \
    X(FUTURES_KLINE_30M, "kline_30m", "kline", ROUTE_MARKET)         \
    X(FUTURES_KLINE_1H, "kline_1h", "kline", ROUTE_MARKET)           \
    X(FUTURES_KLINE_2H, "kline_2h", "kline", ROUTE_MARKET)           \
    X(FUTURES_KLINE_4H, "kline_4h", "kline", ROUTE_MARKET)           \
    X(FUTURES_KLINE_6H, "kline_6h", "kline", ROUTE_MARKET)           \
    X(FUTURES_KLINE_8H, "kline_8h", "kline", ROUTE_MARKET)           \
    X(FUTURES_KLINE_12H, "kline_12h", "kline", ROUTE_MARKET)         \
    X(FUTURES_KLINE_1D, "kline_1d", "kline", ROUTE_MARKET)

enum futures_stream {
#define X(kind, suffix, group, route) kind,
    STREAMS(X)
#undef X
        STREAM_COUNT
};
#define KLINE_COUNT (STREAM_COUNT - FUTURES_KLINE_1M)
#define INTERVAL_1M 1 /* sim_interval_...: 1s is 0 */

static const struct stream_row {
    const char *suffix, *group;
    enum route route;
} rows[STREAM_COUNT] = {
#define X(kind, suffix, group, route) {suffix, group, route},
    STREAMS(X)
#undef X
};

static const char *stream_group(uint32_t stream)
{
    return rows[stream].group;
}

static const char *stream_suffix(uint32_t stream)
{
    return rows[stream].suffix;
}

static void stream_name(const struct sim *sim, uint32_t symbol, uint32_t stream, struct buf *out)
{
    buf_put_str(out, str_from(sim->model.symbols[symbol].lower));
    buf_put_char(out, '@');
    buf_put_str(out, str_from(rows[stream].suffix));
}

static bool needs_book(uint32_t stream)
{
    return stream != FUTURES_TRADE && stream != FUTURES_AGG_TRADE && stream != FUTURES_FORCE_ORDER;
}

/* ---- ids */

int64_t sim_binance_futures_update_id(const struct model_symbol *symbol, int64_t update)
{
    return symbol->update_id0 + update * ID_STEP;
}

int64_t sim_binance_futures_trade_id(const struct model_symbol *symbol, int64_t k)
{
    return symbol->trade_id0 + k + k / PLACEHOLDER_EVERY;
}

/* ---- messages, keys in the order recorded in 2026 */

static void put(struct buf *out, const char *text)
{
    buf_put_str(out, str_from(text));
}

static void put_number(struct buf *out, const char *key, int64_t value)
{
    put(out, key);
    buf_put_i64(out, value);
}

static void put_decimal(struct buf *out, const char *key, int64_t value_e8)
{
    put(out, key);
    buf_put_char(out, '"');
    sim_put_e8(out, value_e8);
    buf_put_char(out, '"');
}

static void put_name(struct buf *out, const char *key, const char *text)
{
    put(out, key);
    buf_put_char(out, '"');
    put(out, text);
    buf_put_char(out, '"');
}

static void put_levels(struct buf *out, const char *key, const struct model_level *levels,
                       uint32_t count)
{
    put(out, key);
    for (uint32_t i = 0; i < count; i++) {
        put_decimal(out, i == 0 ? "[" : ",[", levels[i].price_e8);
        put_decimal(out, ",", levels[i].quantity_e8);
        buf_put_char(out, ']');
    }
    buf_put_char(out, ']');
}

static void send(struct sim *sim, uint32_t symbol, uint32_t stream, int64_t index,
                 const struct buf *out)
{
    ASSERT(!out->overflow);
    sim_feed_send(sim, symbol, stream, index, out->bytes, 0);
}

static void put_trade(struct buf *out, const struct model_symbol *symbol, int64_t id,
                      const struct model_trade *trade, const char *type)
{
    int64_t ms = trade->time_unix_ns / NS_PER_MS;
    put_number(out, "{\"e\":\"trade\",\"E\":", ms);
    put_number(out, ",\"T\":", ms);
    put_name(out, ",\"s\":", symbol->name);
    put_number(out, ",\"t\":", id);
    if (type[0] == 'N') { /* the venue's row that uses up an id */
        put(out, ",\"p\":\"0\",\"q\":\"0\"");
    } else {
        put_decimal(out, ",\"p\":", trade->price_e8);
        put_decimal(out, ",\"q\":", trade->quantity_e8);
    }
    put_name(out, ",\"X\":", type);
    put(out, trade->buyer_is_maker ? ",\"m\":true,\"st\":1}" : ",\"m\":false,\"st\":1}");
}

static void trades_happen(struct sim *sim, uint32_t index, const struct sim_live *live)
{
    const struct model_symbol *symbol = live->book.symbol;
    uint32_t count;
    int64_t first = model_agg_first_trade(symbol, live->agg_next, &count);
    for (int64_t k = first; k < first + count; k++) {
        struct model_trade trade = model_trade_at(symbol, k);
        struct buf out = sim_message_buf(sim);
        put_trade(&out, symbol, sim_binance_futures_trade_id(symbol, k), &trade, "MARKET");
        send(sim, index, FUTURES_TRADE, k, &out);
        if ((k + 1) % PLACEHOLDER_EVERY == 0) {
            out = sim_message_buf(sim);
            put_trade(&out, symbol, sim_binance_futures_trade_id(symbol, k) + 1, &trade, "NA");
            send(sim, index, FUTURES_TRADE, k, &out);
        }
    }
}

static void agg_happens(struct sim *sim, uint32_t index, const struct sim_live *live)
{
    const struct model_symbol *symbol = live->book.symbol;
    struct model_agg agg = model_agg_at(symbol, live->agg_next);
    uint32_t count;
    int64_t first = model_agg_first_trade(symbol, live->agg_next, &count);
    struct buf out = sim_message_buf(sim);
    int64_t ms = agg.time_unix_ns / NS_PER_MS;
    put_number(&out, "{\"e\":\"aggTrade\",\"E\":", ms);
    put_number(&out, ",\"a\":", agg.id);
    put_name(&out, ",\"s\":", symbol->name);
    put_decimal(&out, ",\"p\":", agg.price_e8);
    put_decimal(&out, ",\"q\":", agg.quantity_e8);
    put_decimal(&out, ",\"nq\":", agg.quantity_e8);
    put_number(&out, ",\"f\":", sim_binance_futures_trade_id(symbol, first));
    put_number(&out, ",\"l\":", sim_binance_futures_trade_id(symbol, first + count - 1));
    put_number(&out, ",\"T\":", ms);
    put(&out, agg.buyer_is_maker ? ",\"m\":true,\"st\":1}" : ",\"m\":false,\"st\":1}");
    send(sim, index, FUTURES_AGG_TRADE, live->agg_next, &out);
}

/* ps and st inside `o`, as seen. */
static void liquidation_happens(struct sim *sim, uint32_t index, const struct sim_live *live)
{
    const struct model_symbol *symbol = live->book.symbol;
    struct model_agg agg = model_agg_at(symbol, live->agg_next);
    struct buf out = sim_message_buf(sim);
    int64_t ms = agg.time_unix_ns / NS_PER_MS;
    put_number(&out, "{\"e\":\"forceOrder\",\"E\":", ms);
    put_name(&out, ",\"o\":{\"s\":", symbol->name);
    put_name(&out, ",\"S\":", agg.buyer_is_maker ? "SELL" : "BUY");
    put_decimal(&out, ",\"o\":\"LIMIT\",\"f\":\"IOC\",\"q\":", agg.quantity_e8);
    put_decimal(&out, ",\"p\":", agg.price_e8);
    put_decimal(&out, ",\"ap\":", agg.price_e8);
    put_decimal(&out, ",\"X\":\"FILLED\",\"l\":", agg.quantity_e8);
    put_decimal(&out, ",\"z\":", agg.quantity_e8);
    put_number(&out, ",\"T\":", ms);
    put_name(&out, ",\"ps\":", symbol->name);
    put(&out, ",\"st\":1}}");
    send(sim, index, FUTURES_FORCE_ORDER, live->agg_next, &out);
}

static void on_order(struct sim *sim, uint32_t index, struct sim_live *live)
{
    if (sim_heard(sim, index, FUTURES_TRADE)) {
        trades_happen(sim, index, live);
    }
    if (sim_heard(sim, index, FUTURES_AGG_TRADE)) {
        agg_happens(sim, index, live);
    }
    if (live->agg_next % LIQUIDATION_EVERY == 0 && sim_heard(sim, index, FUTURES_FORCE_ORDER)) {
        liquidation_happens(sim, index, live);
    }
}

static void on_update(struct sim *sim, uint32_t index, struct sim_live *live, bool best_changed)
{
    if (!best_changed || !sim_heard(sim, index, FUTURES_BOOK_TICKER)) {
        return;
    }
    const struct model_book *book = &live->book;
    struct model_level bid = model_book_level(book, book->mid - 1);
    struct model_level ask = model_book_level(book, book->mid);
    int64_t ms = model_update_time(book->symbol, book->update) / NS_PER_MS;
    struct buf out = sim_message_buf(sim);
    put_number(&out, "{\"e\":\"bookTicker\",\"u\":",
               sim_binance_futures_update_id(book->symbol, book->update));
    put_name(&out, ",\"s\":", book->symbol->name);
    put_name(&out, ",\"ps\":", book->symbol->name);
    put_decimal(&out, ",\"b\":", bid.price_e8);
    put_decimal(&out, ",\"B\":", bid.quantity_e8);
    put_decimal(&out, ",\"a\":", ask.price_e8);
    put_decimal(&out, ",\"A\":", ask.quantity_e8);
    put_number(&out, ",\"T\":", ms);
    put_number(&out, ",\"E\":", ms);
    put(&out, ",\"st\":1}");
    send(sim, index, FUTURES_BOOK_TICKER, book->update, &out);
}

/* Differences and partial books look alike: only the stream's name tells (section 4). */
static void depth_happens(struct sim *sim, uint32_t index, const struct sim_live *live,
                          enum futures_stream stream, const struct sim_levels *levels)
{
    const struct model_symbol *symbol = live->book.symbol;
    int64_t before = live->diff_100.update_from;
    struct buf out = sim_message_buf(sim);
    int64_t ms = live->boundary_unix_ns / NS_PER_MS;
    put_number(&out, "{\"e\":\"depthUpdate\",\"E\":", ms);
    put_number(&out, ",\"T\":", ms);
    put_name(&out, ",\"s\":", symbol->name);
    put_name(&out, ",\"ps\":", symbol->name);
    put_number(&out, ",\"U\":", sim_binance_futures_update_id(symbol, before + 1));
    put_number(&out, ",\"u\":", sim_binance_futures_update_id(symbol, live->book.update));
    put_number(&out, ",\"pu\":", sim_binance_futures_update_id(symbol, before));
    put_levels(&out, ",\"b\":[", levels->bids, levels->bid_count);
    put_levels(&out, ",\"a\":[", levels->asks, levels->ask_count);
    put(&out, ",\"st\":1}");
    send(sim, index, stream, live->boundary_unix_ns / TENTH_NS, &out);
}

static void books_happen(struct sim *sim, uint32_t index, const struct sim_live *live)
{
    static const struct {
        enum futures_stream stream;
        uint32_t levels;
    } partial[] = {{FUTURES_DEPTH_5, 5}, {FUTURES_DEPTH_10, 10}, {FUTURES_DEPTH_20, 20}};
    struct sim_levels levels = {.bids = sim->bids, .asks = sim->asks};
    if (sim_heard(sim, index, FUTURES_DEPTH)) {
        model_diff_levels(&live->diff_100, &live->book, sim->bids, &levels.bid_count, sim->asks,
                          &levels.ask_count);
        depth_happens(sim, index, live, FUTURES_DEPTH, &levels);
    }
    for (size_t i = 0; i < 3; i++) {
        if (sim_heard(sim, index, partial[i].stream)) {
            levels.bid_count = model_book_bids(&live->book, sim->bids, partial[i].levels);
            levels.ask_count = model_book_asks(&live->book, sim->asks, partial[i].levels);
            depth_happens(sim, index, live, partial[i].stream, &levels);
        }
    }
}

static void mark_price_happens(struct sim *sim, uint32_t index, const struct sim_live *live)
{
    const struct model_book *book = &live->book;
    int64_t now = live->boundary_unix_ns;
    int64_t mark = model_book_level(book, book->mid - 1).price_e8 / 2 +
                   model_book_level(book, book->mid).price_e8 / 2;
    struct buf out = sim_message_buf(sim);
    put_number(&out, "{\"e\":\"markPriceUpdate\",\"E\":", now / NS_PER_MS);
    put_name(&out, ",\"s\":", book->symbol->name);
    put_decimal(&out, ",\"p\":", mark);
    put_decimal(&out, ",\"ap\":", mark);
    put_decimal(&out, ",\"P\":", mark);
    put_decimal(&out, ",\"i\":", mark - mark / 10000);
    put(&out, ",\"r\":\"0.00010000\"");
    put_number(&out, ",\"T\":", (now / FUNDING_NS + 1) * FUNDING_NS / NS_PER_MS);
    put(&out, ",\"st\":1}");
    send(sim, index, FUTURES_MARK_PRICE, now / NS_PER_S, &out);
}

static void ticker_happens(struct sim *sim, uint32_t index, const struct sim_live *live)
{
    struct model_window w;
    int64_t now = live->boundary_unix_ns;
    const struct model_symbol *symbol = live->book.symbol;
    model_window(symbol, now - NS_PER_DAY, now + 1, MODEL_SCAN_BLOCKS_DAY, &w);
    struct buf out = sim_message_buf(sim);
    put_number(&out, "{\"e\":\"24hrTicker\",\"E\":", now / NS_PER_MS);
    put_name(&out, ",\"s\":", symbol->name);
    put_decimal(&out, ",\"p\":", w.close_e8 - w.open_e8);
    put_decimal(&out, ",\"P\":\"0.000\",\"w\":", w.close_e8);
    put_decimal(&out, ",\"c\":", w.close_e8);
    put_decimal(&out, ",\"Q\":", w.last_quantity_e8);
    put_decimal(&out, ",\"o\":", w.open_e8);
    put_decimal(&out, ",\"h\":", w.high_e8);
    put_decimal(&out, ",\"l\":", w.low_e8);
    put_decimal(&out, ",\"v\":", w.volume_e8);
    put_decimal(&out, ",\"q\":", w.quote_e8);
    put_number(&out, ",\"O\":", (now - NS_PER_DAY) / NS_PER_MS);
    put_number(&out, ",\"C\":", now / NS_PER_MS);
    put_number(&out, ",\"F\":", w.first_id);
    put_number(&out, ",\"L\":", w.last_id);
    put_number(&out, ",\"n\":", w.count);
    put(&out, ",\"st\":1}");
    send(sim, index, FUTURES_TICKER, now / NS_PER_S, &out);
}

static void mini_ticker_happens(struct sim *sim, uint32_t index, const struct sim_live *live)
{
    struct model_window w;
    int64_t now = live->boundary_unix_ns;
    model_window(live->book.symbol, now - NS_PER_DAY, now + 1, MODEL_SCAN_BLOCKS_DAY, &w);
    struct buf out = sim_message_buf(sim);
    put_number(&out, "{\"e\":\"24hrMiniTicker\",\"E\":", now / NS_PER_MS);
    put_name(&out, ",\"s\":", live->book.symbol->name);
    put_decimal(&out, ",\"c\":", w.close_e8);
    put_decimal(&out, ",\"o\":", w.open_e8);
    put_decimal(&out, ",\"h\":", w.high_e8);
    put_decimal(&out, ",\"l\":", w.low_e8);
    put_decimal(&out, ",\"v\":", w.volume_e8);
    put_decimal(&out, ",\"q\":", w.quote_e8);
    put(&out, ",\"st\":1}");
    send(sim, index, FUTURES_MINI_TICKER, now / NS_PER_S, &out);
}

/* A candle that ends now is sent closed; the one under way every other second after trades. */
static void klines_happen(struct sim *sim, uint32_t index, struct sim_live *live, bool even)
{
    int64_t now = live->boundary_unix_ns;
    bool traded = live->agg_next != live->kline_aggs;
    for (int k = 0; k < KLINE_COUNT; k++) {
        uint32_t stream = (uint32_t)(FUTURES_KLINE_1M + k);
        int interval = INTERVAL_1M + k;
        bool closed = sim_interval_start(interval, now) == now;
        if (sim_heard(sim, index, stream) && (closed || (even && traded))) {
            struct buf out = sim_message_buf(sim);
            sim_put_kline(&out, live->book.symbol, interval, now, closed, false);
            send(sim, index, stream, now / NS_PER_S, &out);
        }
    }
    if (even) {
        live->kline_aggs = live->agg_next;
    }
}

static void on_tenth(struct sim *sim, uint32_t index, struct sim_live *live)
{
    if (live->diff_100.touched > 0) {
        books_happen(sim, index, live);
    }
    if (live->boundary_unix_ns % NS_PER_S != 0) {
        return;
    }
    bool even = live->boundary_unix_ns / NS_PER_S % 2 == 0;
    if (sim_heard(sim, index, FUTURES_MARK_PRICE)) {
        mark_price_happens(sim, index, live);
    }
    if (even && sim_heard(sim, index, FUTURES_TICKER)) {
        ticker_happens(sim, index, live);
    }
    if (even && sim_heard(sim, index, FUTURES_MINI_TICKER)) {
        mini_ticker_happens(sim, index, live);
    }
    klines_happen(sim, index, live, even);
}

/* ---- handshake and names */

static const struct {
    struct str prefix;
    enum route route;
} routes[] = {
    {{"/public", 7}, ROUTE_PUBLIC},
    {{"/market", 7}, ROUTE_MARKET},
    {{"/private", 8}, ROUTE_PRIVATE}, /* accounts: it has no stream of ours */
};

static enum route route_of(struct str path, size_t *prefix_bytes)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        size_t bytes = routes[i].prefix.bytes;
        if (path.bytes > bytes && path.data[bytes] == '/' &&
            memcmp(path.data, routes[i].prefix.data, bytes) == 0) {
            *prefix_bytes = bytes;
            return routes[i].route;
        }
    }
    *prefix_bytes = 0;
    return ROUTE_NONE;
}

static size_t path_prefix(struct str path)
{
    size_t bytes;
    (void)route_of(path, &bytes);
    return bytes;
}

/* The old root, without a route, still serves what is public (section 1). */
static int ws_open(struct sim_conn *conn, const struct sim_request *request)
{
    struct buf scratch = buf_over(conn->sim->body, SIM_TEXT_BYTES);
    size_t prefix_bytes;
    enum route route = route_of(request->path, &prefix_bytes);
    conn->state_bytes[0] = (uint8_t)(route != ROUTE_NONE ? route : ROUTE_PUBLIC);
    return sim_binance_url_streams(conn, request, &scratch).data != NULL ? 0 : 404;
}

/* -1 on the wrong route too: acknowledged, listed, silent. */
static int stream_parse(const struct sim_conn *conn, struct str name, uint32_t *symbol)
{
    const struct model *model = &conn->sim->model;
    const char *at = name.bytes == 0 ? NULL : memchr(name.data, '@', name.bytes);
    if (at == NULL) {
        return -1;
    }
    size_t head = (size_t)(at - name.data);
    const struct model_symbol *found = model_find(model, str_make(name.data, head), true);
    struct str suffix = str_make(at + 1, name.bytes - head - 1);
    for (int i = 0; found != NULL && i < STREAM_COUNT; i++) {
        if (str_equal(suffix, str_from(rows[i].suffix)) &&
            conn->state_bytes[0] == (uint8_t)rows[i].route) {
            *symbol = (uint32_t)(found - model->symbols);
            return i;
        }
    }
    return -1;
}

const struct sim_exchange sim_binance_futures = {
    .venue = VENUE_BINANCE_FUTURES,
    .name = "binance-futures",
    .stream_count = STREAM_COUNT,
    .protocol_pings = true,
    .frame_limit = true,
    .stream_group = stream_group,
    .stream_name = stream_name,
    .needs_book = needs_book,
    .ws_open = ws_open,
    .stream_parse = stream_parse,
    .stream_suffix = stream_suffix,
    .path_prefix = path_prefix,
    .ws_opened = sim_binance_ws_opened,
    .ws_text = sim_binance_ws_text,
    .ws_shutdown = sim_binance_ws_shutdown,
    .on_order = on_order,
    .on_update = on_update,
    .on_tenth = on_tenth,
    .rest = sim_binance_rest,
    .rest_piece = sim_binance_rest_piece,
    .rest_head = sim_binance_rest_head,
};
