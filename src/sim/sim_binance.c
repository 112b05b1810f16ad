/* Binance spot as the simulator plays it: which streams exist, when they speak, control requests.
 * Source: exchanges/binance-spot.md. REST is in sim_binance_rest.c, messages in sim_stream.c. */
#include <stdio.h>
#include <string.h>

#include <wslay/wslay.h>

#include "base/assert.h"
#include "base/log.h"
#include "sim/sim_control.h"
#include "sim/sim_exchange.h"
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

/* ---- control requests */

static bool conn_list_full(const struct sim_conn *conn)
{
    return conn->sub_count >= conn->sim->config.limits.streams_per_connection;
}

static void unknown_remember(struct sim_conn *conn, struct str name)
{
    conn->sim->counters[SIM_COUNT_UNKNOWN]++;
    LOG_INFO("sim_unknown_stream", "connection %u: no such stream: %.*s", conn->number,
             (int)(name.bytes > 60 ? 60 : name.bytes), name.data);
    conn->sub_count++;
    if (conn->unknown_count < SIM_UNKNOWN_MAX && name.bytes < SIM_UNKNOWN_BYTES) {
        char *place = conn->unknown[conn->unknown_count++];
        memcpy(place, name.data, name.bytes);
        place[name.bytes] = 0;
    }
}

struct stream_change {
    struct sim_conn *conn;
    bool over;
    enum sim_method *method;
};

static int stream_parse(const struct sim_conn *conn, struct str name, uint32_t *symbol)
{
    const struct model *model = &conn->sim->model;
    return conn->binary ? sim_sbe_parse(model, name, symbol)
                        : sim_stream_parse(model, name, symbol);
}

static void subscribe_name(struct stream_change *change, struct str name)
{
    struct sim_conn *conn = change->conn;
    uint32_t symbol;
    if (conn_list_full(conn)) {
        change->over = true;
        return;
    }
    int stream = stream_parse(conn, name, &symbol);
    if (stream < 0) {
        unknown_remember(conn, name);
    } else if (!sim_feed_subscribe(conn, symbol, (uint32_t)stream)) {
        change->over = true;
    }
}

static void on_stream(void *context, struct str name)
{
    struct stream_change *change = context;
    uint32_t symbol;
    if (*change->method == SIM_SUBSCRIBE) {
        subscribe_name(change, name);
        return;
    }
    int stream = stream_parse(change->conn, name, &symbol);
    if (stream >= 0) {
        sim_feed_unsubscribe(change->conn, symbol, (uint32_t)stream);
    }
}

static void list_subscriptions(struct sim_conn *conn, const char *id, struct buf *out)
{
    struct sim *sim = conn->sim;
    bool first = true;
    buf_printf(out, "{\"result\":[");
    for (uint32_t i = conn->subs; i != SIM_NONE; i = sim->subs[i].conn_next) {
        const struct sim_sub *sub = &sim->subs[i];
        buf_printf(out, "%s\"%s@%s\"", first ? "" : ",", sim->model.symbols[sub->symbol].lower,
                   stream_suffix(sub->stream));
        first = false;
    }
    for (uint32_t i = 0; i < conn->unknown_count; i++) {
        buf_put(out, ",", first ? 0 : 1);
        sim_control_put_string(out, str_from(conn->unknown[i]));
        first = false;
    }
    buf_printf(out, "],\"id\":%s}", id);
}

static void ack_fault(struct sim_conn *conn, struct sim_control *control, struct buf *reply)
{
    const struct sim_fault_rule *rule = sim_ws_ack_fault(conn);
    if (rule == NULL) {
        return;
    }
    buf_reset(reply);
    if (rule->number == SIM_ACK_ERROR) {
        sim_control_reply_error(reply, 2, "Invalid request: scripted fault", control->id);
    } else if (rule->number == SIM_ACK_WRONG_ID) {
        sim_control_reply_null(reply, "987654321");
    }
}

static void control_answer(struct sim_conn *conn, struct sim_control *control, struct buf *reply)
{
    switch (control->method) {
    case SIM_SUBSCRIBE:
    case SIM_UNSUBSCRIBE:
        sim_control_reply_null(reply, control->id);
        break;
    case SIM_LIST_SUBSCRIPTIONS:
        list_subscriptions(conn, control->id, reply);
        break;
    case SIM_SET_PROPERTY:
        conn->combined = control->property_value;
        sim_control_reply_null(reply, control->id);
        break;
    case SIM_GET_PROPERTY:
        buf_printf(reply, "{\"result\":%s,\"id\":%s}", conn->combined ? "true" : "false",
                   control->id);
        break;
    }
    ack_fault(conn, control, reply);
}

static void ws_text(struct sim_conn *conn, struct str text)
{
    struct sim *sim = conn->sim;
    /* Measured by users in 2024-12: with more than 4096 bytes, frame head included, the server goes
     * silent (exchanges/binance-spot.md section 2). A masked head of such a frame has 8 bytes. */
    if (text.bytes + 8 > sim->config.limits.subscribe_bytes) {
        sim_violate(sim, SIM_BROKE_SUBSCRIBE_BYTES);
        conn->deaf = true;
    }
    if (conn->deaf) {
        return;
    }
    struct sim_control control;
    struct buf reply = buf_over(sim->body, SIM_TEXT_BYTES);
    struct stream_change change = {.conn = conn, .method = &control.method};
    if (sim_control_parse(text, &control, &reply, on_stream, &change) != 0) {
        sim->counters[SIM_COUNT_CONTROL_ERRORS]++;
    } else if (change.over) {
        sim_violate(sim, SIM_BROKE_STREAMS);
        sim_ws_close(conn, WSLAY_CODE_POLICY_VIOLATION, "Too many streams");
        return;
    } else {
        control_answer(conn, &control, &reply);
    }
    if (reply.bytes > 0) {
        sim_ws_send_control_text(conn, buf_view(&reply));
    }
}

/* ---- handshake */

/* The names in "a/b/c" become subscriptions. False: too many. */
static bool url_subscribe(struct sim_conn *conn, struct str names)
{
    enum sim_method method = SIM_SUBSCRIBE;
    struct stream_change change = {.conn = conn, .method = &method};
    while (names.bytes > 0) {
        const char *slash = memchr(names.data, '/', names.bytes);
        size_t length = slash == NULL ? names.bytes : (size_t)(slash - names.data);
        if (length > 0) {
            subscribe_name(&change, str_make(names.data, length));
        }
        size_t skip = slash == NULL ? length : length + 1;
        names = str_make(names.data + skip, names.bytes - skip);
    }
    return !change.over;
}

#define BINARY_PATH "/sbe" /* another host at the venue */

static bool is_binary(struct str path)
{
    size_t bytes = sizeof BINARY_PATH - 1;
    return path.bytes > bytes && memcmp(path.data, BINARY_PATH "/", bytes + 1) == 0;
}

/* Which streams the URL names; NULL data = it is not a stream URL at all. */
static struct str url_streams(struct sim_conn *conn, const struct sim_request *request,
                              struct buf *scratch)
{
    struct str nothing = {NULL, 0};
    size_t skip = is_binary(request->path) ? sizeof BINARY_PATH - 1 : 0;
    struct str path = str_make(request->path.data + skip, request->path.bytes - skip);
    if (str_equal(path, STR("/stream"))) {
        conn->combined = skip == 0;
        int found = sim_request_query(request->query, "streams", scratch);
        return found < 0 ? nothing : str_make(scratch->data, scratch->bytes);
    }
    buf_reset(scratch);
    if (!sim_request_decode(path, scratch)) {
        return nothing;
    }
    path = buf_view(scratch);
    if (path.bytes >= 3 && memcmp(path.data, "/ws", 3) == 0 &&
        (path.bytes == 3 || path.data[3] == '/')) {
        return str_make(path.data + 3, path.bytes - 3);
    }
    return nothing;
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
    return url_streams(conn, request, &scratch).data != NULL ? 0 : 404;
}

static void ws_opened(struct sim_conn *conn, const struct sim_request *request)
{
    struct buf scratch = buf_over(conn->sim->body, SIM_TEXT_BYTES);
    if (!url_subscribe(conn, url_streams(conn, request, &scratch))) {
        sim_violate(conn->sim, SIM_BROKE_STREAMS);
        sim_ws_close(conn, WSLAY_CODE_POLICY_VIOLATION, "Too many streams");
    }
}

static void ws_shutdown(struct sim_conn *conn)
{
    struct sim *sim = conn->sim;
    char text[160];
    long long ms = sim->now_unix_ns / NS_PER_MS;
    int n = conn->combined
                ? snprintf(text, sizeof text,
                           "{\"stream\":\"!serverShutdown\",\"data\":{\"e\":\"serverShutdown\","
                           "\"E\":%lld}}",
                           ms)
                : snprintf(text, sizeof text, "{\"e\":\"serverShutdown\",\"E\":%lld}", ms);
    sim_ws_send_control_text(conn, str_make(text, (size_t)n));
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
    .ws_opened = ws_opened,
    .ws_text = ws_text,
    .ws_shutdown = ws_shutdown,
    .on_order = on_order,
    .on_update = on_update,
    .on_tenth = on_tenth,
    .rest = sim_binance_rest,
    .rest_piece = sim_binance_rest_piece,
    .rest_head = sim_binance_rest_head,
};
