/* Binance spot as the simulator plays it: which streams exist and when they speak. Source:
 * exchanges/binance-spot.md. Requests are in sim_binance_ws.c, REST in sim_binance_rest.c, messages
 * in sim_stream.c and sim_sbe.c. */
#include "sim/sim_binance.h"

#include <string.h>

#include "base/assert.h"
#include "sim/sim_sbe.h"
#include "sim/sim_stream.h"

#define TENTH_NS (100 * NS_PER_MS)
#define SECOND_NS NS_PER_S

static const char *stream_group(uint32_t stream)
{
    return stream < SIM_STREAM_COUNT ? sim_stream_group((enum sim_stream)stream)
                                     : sim_sbe_group(stream);
}

static const char *stream_suffix(uint32_t stream)
{
    return stream < SIM_STREAM_COUNT ? sim_stream_suffix((enum sim_stream)stream)
                                     : sim_sbe_suffix(stream);
}

static void stream_name(const struct sim *sim, uint32_t symbol, uint32_t stream, struct buf *out)
{
    buf_put_str(out, str_from(sim->model.symbols[symbol].lower));
    buf_put_char(out, '@');
    buf_put_str(out, str_from(stream_suffix(stream)));
}

static bool needs_book(uint32_t stream)
{
    return stream != SIM_TRADE && stream != SIM_AGG_TRADE && stream != SIM_SBE_TRADE;
}

/* ---- what happens */

enum event_kind {
    EVENT_TRADE,
    EVENT_AGG,
    EVENT_BOOK_TICKER,
    EVENT_DEPTH,
    EVENT_PARTIAL,
    EVENT_KLINE,
    EVENT_TICKER,
    EVENT_MINI_TICKER
};

struct event {
    enum event_kind kind;
    const struct model_symbol *symbol;
    const struct model_book *book;
    int64_t index, time_unix_ns;
    int interval;
    bool closed;
    int64_t first_id;
    struct sim_levels levels;
    struct model_trade trade;
    struct model_agg agg;
};

static size_t event_write(const struct event *event, char *text, bool micro)
{
    struct buf out = buf_over(text + SIM_PREFIX_BYTES, SIM_TEXT_BYTES - SIM_PREFIX_BYTES - 1);
    switch (event->kind) {
    case EVENT_TRADE:
        sim_put_trade(&out, event->symbol, &event->trade, micro);
        break;
    case EVENT_AGG:
        sim_put_agg(&out, event->symbol, &event->agg, micro);
        break;
    case EVENT_BOOK_TICKER:
        sim_put_book_ticker(&out, event->book);
        break;
    case EVENT_DEPTH:
        sim_put_depth_update(&out, event->symbol, event->first_id,
                             event->symbol->update_id0 + event->book->update, event->time_unix_ns,
                             &event->levels, micro);
        break;
    case EVENT_PARTIAL:
        sim_put_depth_book(&out, event->symbol->update_id0 + event->book->update, &event->levels);
        break;
    case EVENT_KLINE:
        sim_put_kline(&out, event->symbol, event->interval, event->time_unix_ns, event->closed,
                      micro);
        break;
    case EVENT_TICKER:
        sim_put_ticker(&out, event->book, event->time_unix_ns, micro);
        break;
    case EVENT_MINI_TICKER:
        sim_put_mini_ticker(&out, event->symbol, event->time_unix_ns, micro);
        break;
    }
    ASSERT(!out.overflow); /* SIM_TEXT_BYTES holds every level of the deepest book */
    return out.bytes;
}

static void emit(struct sim *sim, uint32_t symbol, enum sim_stream stream,
                 const struct event *event)
{
    size_t bytes = event_write(event, sim->text[0], false);
    size_t micro_bytes = 0;
    if (sim_feed_wants_micro(sim, symbol, stream)) {
        micro_bytes = event_write(event, sim->text[1], true);
    }
    sim_feed_send(sim, symbol, stream, event->index, bytes, micro_bytes);
}

/* The binary streams: one message for all trades of an order, each change of the best prices, and
 * what a tenth of a second brought. */
static void send_binary(struct sim *sim, uint32_t index, uint32_t stream, int64_t number,
                        const struct buf *out)
{
    ASSERT(!out->overflow);
    sim_feed_send(sim, index, stream, number, out->bytes, 0);
}

static void binary_order(struct sim *sim, uint32_t index, const struct sim_live *live)
{
    if (sim_heard(sim, index, SIM_SBE_TRADE)) {
        uint32_t count;
        int64_t first = model_agg_first_trade(live->book.symbol, live->agg_next, &count);
        struct buf out = sim_message_buf(sim);
        sim_sbe_put_trades(&out, live->book.symbol, first, count);
        send_binary(sim, index, SIM_SBE_TRADE, first, &out);
    }
}

static void binary_update(struct sim *sim, uint32_t index, const struct sim_live *live)
{
    if (sim_heard(sim, index, SIM_SBE_BEST_BID_ASK)) {
        struct buf out = sim_message_buf(sim);
        sim_sbe_put_best(&out, &live->book,
                         model_update_time(live->book.symbol, live->book.update));
        send_binary(sim, index, SIM_SBE_BEST_BID_ASK, live->book.update, &out);
    }
}

static void binary_tenth(struct sim *sim, uint32_t index, const struct sim_live *live)
{
    struct sim_levels levels = {.bids = sim->bids, .asks = sim->asks};
    if (sim_heard(sim, index, SIM_SBE_DEPTH)) {
        struct buf out = sim_message_buf(sim);
        model_diff_levels(&live->diff_100, &live->book, sim->bids, &levels.bid_count, sim->asks,
                          &levels.ask_count);
        sim_sbe_put_levels(&out, &live->book,
                           live->book.symbol->update_id0 + live->diff_100.update_from + 1,
                           live->boundary_unix_ns, &levels);
        send_binary(sim, index, SIM_SBE_DEPTH, live->boundary_unix_ns / TENTH_NS, &out);
    }
    if (sim_heard(sim, index, SIM_SBE_DEPTH_20)) {
        struct buf out = sim_message_buf(sim);
        levels.bid_count = model_book_bids(&live->book, sim->bids, 20);
        levels.ask_count = model_book_asks(&live->book, sim->asks, 20);
        sim_sbe_put_levels(&out, &live->book, -1, live->boundary_unix_ns, &levels);
        send_binary(sim, index, SIM_SBE_DEPTH_20, live->boundary_unix_ns / TENTH_NS, &out);
    }
}

static void on_order(struct sim *sim, uint32_t index, struct sim_live *live)
{
    const struct model_symbol *symbol = live->book.symbol;
    struct event event = {.symbol = symbol};
    if (sim_heard(sim, index, SIM_TRADE)) {
        uint32_t count;
        int64_t first = model_agg_first_trade(symbol, live->agg_next, &count);
        event.kind = EVENT_TRADE;
        for (uint32_t i = 0; i < count; i++) {
            event.index = first + i;
            event.trade = model_trade_at(symbol, first + i);
            emit(sim, index, SIM_TRADE, &event);
        }
    }
    if (sim_heard(sim, index, SIM_AGG_TRADE)) {
        event.kind = EVENT_AGG;
        event.index = live->agg_next;
        event.agg = model_agg_at(symbol, live->agg_next);
        emit(sim, index, SIM_AGG_TRADE, &event);
    }
    binary_order(sim, index, live);
}

static void on_update(struct sim *sim, uint32_t index, struct sim_live *live, bool best_changed)
{
    if (best_changed && sim_heard(sim, index, SIM_BOOK_TICKER)) {
        struct event event = {.kind = EVENT_BOOK_TICKER,
                              .symbol = live->book.symbol,
                              .book = &live->book,
                              .index = live->book.update};
        emit(sim, index, SIM_BOOK_TICKER, &event);
    }
    if (best_changed) {
        binary_update(sim, index, live);
    }
}

static void depth_happens(struct sim *sim, uint32_t index, struct sim_live *live,
                          const struct model_diff *diff, enum sim_stream stream, int64_t length_ns)
{
    if (!sim_heard(sim, index, stream)) {
        return;
    }
    struct event event = {.kind = EVENT_DEPTH,
                          .symbol = live->book.symbol,
                          .book = &live->book,
                          .index = live->boundary_unix_ns / length_ns,
                          .time_unix_ns = live->boundary_unix_ns,
                          .first_id = live->book.symbol->update_id0 + diff->update_from + 1};
    event.levels.bids = sim->bids;
    event.levels.asks = sim->asks;
    model_diff_levels(diff, &live->book, sim->bids, &event.levels.bid_count, sim->asks,
                      &event.levels.ask_count);
    emit(sim, index, stream, &event);
}

static void partial_happens(struct sim *sim, uint32_t index, struct sim_live *live,
                            enum sim_stream first)
{
    static const uint32_t limits[3] = {5, 10, 20};
    for (uint32_t i = 0; i < 3; i++) {
        enum sim_stream stream = (enum sim_stream)(first + i);
        if (!sim_heard(sim, index, stream)) {
            continue;
        }
        struct event event = {.kind = EVENT_PARTIAL,
                              .symbol = live->book.symbol,
                              .book = &live->book,
                              .index = live->boundary_unix_ns / TENTH_NS};
        event.levels.bids = sim->bids;
        event.levels.asks = sim->asks;
        event.levels.bid_count = model_book_bids(&live->book, sim->bids, limits[i]);
        event.levels.ask_count = model_book_asks(&live->book, sim->asks, limits[i]);
        emit(sim, index, stream, &event);
    }
}

static void tickers_happen(struct sim *sim, uint32_t index, struct sim_live *live)
{
    bool changed = live->agg_next != live->second_aggs || live->book.update != live->second_update;
    live->second_aggs = live->agg_next;
    live->second_update = live->book.update;
    if (!changed) {
        return;
    }
    struct event event = {.kind = EVENT_TICKER,
                          .symbol = live->book.symbol,
                          .book = &live->book,
                          .index = live->boundary_unix_ns / SECOND_NS,
                          .time_unix_ns = live->boundary_unix_ns};
    if (sim_heard(sim, index, SIM_TICKER)) {
        emit(sim, index, SIM_TICKER, &event);
    }
    event.kind = EVENT_MINI_TICKER;
    if (sim_heard(sim, index, SIM_MINI_TICKER)) {
        emit(sim, index, SIM_MINI_TICKER, &event);
    }
}

/* A candle that ends at this second is sent closed; the one under way every 2 s (1s candles: each
 * second) when there were trades since. */
static void klines_happen(struct sim *sim, uint32_t index, struct sim_live *live)
{
    int64_t now = live->boundary_unix_ns;
    bool even = now / SECOND_NS % 2 == 0;
    bool traded = live->agg_next != live->kline_aggs;
    for (int interval = 0; interval < 16; interval++) {
        enum sim_stream stream = (enum sim_stream)(SIM_KLINE_1S + interval);
        if (!sim_heard(sim, index, stream)) {
            continue;
        }
        struct event event = {.kind = EVENT_KLINE,
                              .symbol = live->book.symbol,
                              .index = now / SECOND_NS,
                              .time_unix_ns = now,
                              .interval = interval};
        event.closed = sim_interval_start(interval, now) == now;
        if (event.closed || (even && traded)) {
            emit(sim, index, stream, &event);
        }
    }
    if (even) {
        live->kline_aggs = live->agg_next;
    }
}

static void on_tenth(struct sim *sim, uint32_t index, struct sim_live *live)
{
    bool second = live->boundary_unix_ns % SECOND_NS == 0;
    if (live->diff_100.touched > 0) {
        depth_happens(sim, index, live, &live->diff_100, SIM_DEPTH_100, TENTH_NS);
        partial_happens(sim, index, live, SIM_PARTIAL_5_100);
        binary_tenth(sim, index, live);
    }
    if (second && live->diff_1000.touched > 0) {
        depth_happens(sim, index, live, &live->diff_1000, SIM_DEPTH_1000, SECOND_NS);
        partial_happens(sim, index, live, SIM_PARTIAL_5_1000);
    }
    if (second) {
        tickers_happen(sim, index, live);
        klines_happen(sim, index, live);
    }
}

/* ---- handshake */

#define BINARY_PATH "/sbe" /* another host at the venue */

static bool is_binary(struct str path)
{
    size_t bytes = sizeof BINARY_PATH - 1;
    return path.bytes > bytes && memcmp(path.data, BINARY_PATH "/", bytes + 1) == 0;
}

static size_t path_prefix(struct str path)
{
    return is_binary(path) ? sizeof BINARY_PATH - 1 : 0;
}

static int stream_parse(const struct sim_conn *conn, struct str name, uint32_t *symbol)
{
    const struct model *model = &conn->sim->model;
    return conn->binary ? sim_sbe_parse(model, name, symbol)
                        : sim_stream_parse(model, name, symbol);
}

/* Binary streams want a key in the handshake: none, or "refused", is HTTP 400. */
static int ws_open(struct sim_conn *conn, const struct sim_request *request)
{
    struct buf scratch = buf_over(conn->sim->body, SIM_TEXT_BYTES);
    conn->binary = is_binary(request->path);
    if (conn->binary &&
        (request->api_key.bytes == 0 || str_equal(request->api_key, STR("refused")))) {
        return 400;
    }
    int unit = sim_request_query(request->query, "timeUnit", &scratch);
    conn->micro = !conn->binary && unit == 1 &&
                  (str_equal(buf_view(&scratch), STR("MICROSECOND")) ||
                   str_equal(buf_view(&scratch), STR("microsecond")));
    return sim_binance_url_streams(conn, request, &scratch).data != NULL ? 0 : 404;
}

const struct sim_exchange sim_binance = {
    .venue = VENUE_BINANCE,
    .name = "binance",
    .stream_count = SIM_SBE_END,
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
