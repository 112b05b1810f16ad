/* Gate's requests over the WebSocket and the replies to them, with what is odd about both: an ack
 * proves nothing (obu of an unknown pair, a contract of another settle currency), one bad name
 * refuses the whole request, what is not JSON gets a reply on futures only, and a connection that
 * is silent too long ends without a close frame. jansson reads the requests (they are rare and
 * small); nothing of them is kept. Source: exchanges/gate.md sections 0.1 - 0.4, 1.1, 2.2. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include <wslay/wslay.h>

#include "base/assert.h"
#include "base/log.h"
#include "sim/sim_control.h"
#include "sim/sim_gate.h"

#define TIME_OFF_S 60
#define STREAMS_ALL UINT32_MAX /* public_liquidates ["!all"]: in place of a symbol */

enum outcome { OUTCOME_OK, OUTCOME_REFUSED };

struct ask {
    struct sim_conn *conn;
    struct sim *sim;
    json_t *payload;
    struct str kind; /* "trades" of "spot.trades" */
    bool subscribe;
    bool apply; /* first all names are looked at, then they take effect */
    int code;   /* of the error */
    char why[200];
};

static enum outcome refuse(struct ask *ask, const char *format, const char *what)
{
    ask->code = 2;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(ask->why, sizeof ask->why, format, what);
#pragma GCC diagnostic pop
    return OUTCOME_REFUSED;
}

static struct str text_of(json_t *value)
{
    return str_make(json_string_value(value), json_string_length(value));
}

static struct str item(const struct ask *ask, size_t index)
{
    json_t *value = json_array_get(ask->payload, index);
    return json_is_string(value) ? text_of(value) : str_make("", 0);
}

/* ---- one stream */

static enum outcome stream_off(struct ask *ask, uint32_t symbol, uint32_t stream)
{
    if (ask->apply) {
        (void)sim_feed_unsubscribe(ask->conn, symbol,
                                   stream); /* unsubscribing nothing is no error */
    }
    return OUTCOME_OK;
}

static enum outcome stream_on(struct ask *ask, uint32_t symbol, uint32_t stream)
{
    if (ask->apply && !sim_feed_subscribe(ask->conn, symbol, stream)) {
        sim_violate(ask->sim, SIM_BROKE_STREAMS);
        ask->code = 3;
        snprintf(ask->why, sizeof ask->why, "server side error");
        return OUTCOME_REFUSED;
    }
    return OUTCOME_OK;
}

static enum outcome stream_change(struct ask *ask, uint32_t symbol, uint32_t stream)
{
    return ask->subscribe ? stream_on(ask, symbol, stream) : stream_off(ask, symbol, stream);
}

static void unknown_note(const struct ask *ask, struct str name)
{
    if (ask->apply && ask->subscribe) {
        ask->sim->counters[SIM_COUNT_UNKNOWN]++;
        LOG_INFO("sim_unknown_stream", "connection %u: acked, and silent: %.*s", ask->conn->number,
                 (int)(name.bytes > 60 ? 60 : name.bytes), name.data);
    }
}

static bool symbol_find(const struct sim *sim, struct str name, uint32_t *index)
{
    const struct model_symbol *symbol = model_find(&sim->model, name, false);
    *index = symbol == NULL ? 0 : (uint32_t)(symbol - sim->model.symbols);
    return symbol != NULL && sim_listing_of(sim, *index) != SIM_HIDDEN;
}

/* Contracts of another settle currency are acked (section 0.1). */
static bool other_settle(const struct sim *sim, struct str name)
{
    return !sim_gate_is_spot(sim) && name.bytes > 4 &&
           memcmp(name.data + name.bytes - 4, "_USD", 4) == 0;
}

static enum outcome named_stream(struct ask *ask, struct str name, uint32_t stream)
{
    uint32_t symbol;
    char text[80];
    if (symbol_find(ask->sim, name, &symbol)) {
        return stream_change(ask, symbol, stream);
    }
    if (other_settle(ask->sim, name)) {
        unknown_note(ask, name);
        return OUTCOME_OK;
    }
    snprintf(text, sizeof text, "%.*s", (int)(name.bytes > 70 ? 70 : name.bytes), name.data);
    return refuse(ask,
                  sim_gate_is_spot(ask->sim) ? "unknown currency pair: %s" : "unknown contract %s",
                  text);
}

/* ---- payloads */

static enum outcome ask_list(struct ask *ask, uint32_t stream)
{
    size_t count = json_array_size(ask->payload);
    for (size_t i = 0; i < count; i++) {
        struct str name = item(ask, i);
        enum outcome outcome = OUTCOME_OK;
        if (stream == SIM_GATE_LIQUIDATIONS && str_equal(name, STR("!all"))) {
            for (uint32_t s = 0; s < ask->sim->model.count && outcome == OUTCOME_OK; s++) {
                outcome = stream_change(ask, s, stream);
            }
        } else {
            outcome = named_stream(ask, name, stream);
        }
        if (outcome != OUTCOME_OK) {
            return outcome;
        }
    }
    return OUTCOME_OK;
}

/* "ob.BTC_USDT.400". Of names and levels it does not know it acks all, and sends nothing. */
static enum outcome ask_obu(struct ask *ask)
{
    size_t count = json_array_size(ask->payload);
    for (size_t i = 0; i < count; i++) {
        struct str name = item(ask, i);
        const char *last = name.data != NULL ? memrchr(name.data, '.', name.bytes) : NULL;
        bool good = name.bytes > 4 && memcmp(name.data, "ob.", 3) == 0 && last > name.data + 3;
        struct str pair = good ? str_make(name.data + 3, (size_t)(last - name.data) - 3) : name;
        struct str level = good ? str_make(last + 1, name.bytes - pair.bytes - 4) : name;
        bool fifty = str_equal(level, STR("50"));
        uint32_t symbol;
        if (!good || (!fifty && !str_equal(level, STR("400"))) ||
            !symbol_find(ask->sim, pair, &symbol)) {
            unknown_note(ask, name);
            continue;
        }
        uint32_t stream = fifty ? SIM_GATE_OBU_50 : SIM_GATE_OBU_400;
        if (ask->subscribe && !ask->apply && sim_feed_find(ask->conn, symbol, stream) != SIM_NONE) {
            char text[80];
            snprintf(text, sizeof text, "%.*s", (int)name.bytes, name.data);
            return refuse(ask, "Alert sub %s", text);
        }
        enum outcome outcome = stream_change(ask, symbol, stream);
        if (outcome != OUTCOME_OK) {
            return outcome;
        }
    }
    return OUTCOME_OK;
}

/* A bad parameter, quoted in `format`. */
static enum outcome refuse_item(struct ask *ask, const char *format, struct str what)
{
    char text[80];
    snprintf(text, sizeof text, "%.*s", (int)(what.bytes > 70 ? 70 : what.bytes), what.data);
    return refuse(ask, format, text);
}

/* [pair, "100ms"], [pair, "20ms"]; contracts [contract, "100ms", "100"]. */
static enum outcome ask_order_book_update(struct ask *ask)
{
    struct str interval = item(ask, 1);
    struct str level = item(ask, 2);
    bool fast = str_equal(interval, STR("20ms"));
    uint32_t stream = fast ? SIM_GATE_UPDATE_20_FAST : SIM_GATE_UPDATE_100;
    if (!fast && !str_equal(interval, STR("100ms"))) {
        return refuse_item(ask, "incorrect update interval specified: %s", interval);
    }
    if (level.bytes > 0) {
        bool twenty = str_equal(level, STR("20"));
        bool fifty = str_equal(level, STR("50"));
        if (sim_gate_is_spot(ask->sim) ||
            (!twenty && (fast || (!fifty && !str_equal(level, STR("100")))))) {
            return refuse_item(ask, "provided level not supported: %s", level);
        }
        stream = fast ? stream : twenty ? SIM_GATE_UPDATE_20 : fifty ? SIM_GATE_UPDATE_50 : stream;
    }
    return named_stream(ask, item(ask, 0), stream);
}

/* [pair, "20", "100ms"]; contracts [contract, "20", "0"]. */
static enum outcome ask_order_book(struct ask *ask)
{
    struct str level = item(ask, 1);
    struct str interval = item(ask, 2);
    bool spot = sim_gate_is_spot(ask->sim);
    bool slow = spot && str_equal(interval, STR("1000ms"));
    uint32_t which = 0;
    char text[8];
    for (; which < SIM_GATE_BOOK_LEVELS; which++) {
        snprintf(text, sizeof text, "%u", sim_gate_book_levels[which]);
        bool here = sim_gate_book_levels[which] != (spot ? 1U : 30U);
        if (here && str_equal(level, str_from(text))) {
            break;
        }
    }
    if (which == SIM_GATE_BOOK_LEVELS) {
        return refuse_item(ask, "provided level not supported: %s", level);
    }
    if (!slow && !str_equal(interval, spot ? STR("100ms") : STR("0"))) {
        return refuse_item(ask, "incorrect update interval specified: %s", interval);
    }
    return named_stream(ask, item(ask, 0), (slow ? SIM_GATE_BOOK_SLOW : SIM_GATE_BOOK) + which);
}

static enum outcome ask_candles(struct ask *ask)
{
    int interval = sim_gate_candle_parse(ask->sim, item(ask, 0));
    if (interval < 0) {
        return refuse_item(ask, "incorrect update interval specified: %s", item(ask, 0));
    }
    return named_stream(ask, item(ask, 1), SIM_GATE_CANDLE + (uint32_t)interval);
}

static enum outcome ask_stats(struct ask *ask)
{
    int interval = sim_gate_stat_parse(item(ask, 1));
    if (interval < 0) {
        return refuse_item(ask, "incorrect update interval specified: %s", item(ask, 1));
    }
    return named_stream(ask, item(ask, 0), SIM_GATE_STAT + (uint32_t)interval);
}

static enum outcome ask_one(struct ask *ask)
{
    bool futures = !sim_gate_is_spot(ask->sim);
    if (str_equal(ask->kind, STR("trades"))) {
        return ask_list(ask, SIM_GATE_TRADES);
    }
    if (str_equal(ask->kind, STR("book_ticker"))) {
        return ask_list(ask, SIM_GATE_BOOK_TICKER);
    }
    if (str_equal(ask->kind, STR("tickers"))) {
        return ask_list(ask, SIM_GATE_TICKERS);
    }
    if (str_equal(ask->kind, STR("obu"))) {
        return ask_obu(ask);
    }
    if (str_equal(ask->kind, STR("order_book_update"))) {
        return ask_order_book_update(ask);
    }
    if (str_equal(ask->kind, STR("order_book"))) {
        return ask_order_book(ask);
    }
    if (str_equal(ask->kind, STR("candlesticks"))) {
        return ask_candles(ask);
    }
    if (futures && str_equal(ask->kind, STR("public_liquidates"))) {
        return ask_list(ask, SIM_GATE_LIQUIDATIONS);
    }
    if (futures && str_equal(ask->kind, STR("contract_stats"))) {
        return ask_stats(ask);
    }
    char text[80];
    snprintf(text, sizeof text, "%s.%.*s", futures ? "futures" : "spot",
             (int)(ask->kind.bytes > 50 ? 50 : ask->kind.bytes), ask->kind.data);
    return refuse(ask, "Unknown channel %s", text);
}

/* ---- replies */

static void put_ids(struct buf *out, const struct sim_conn *conn, bool trace)
{
    const struct sim *sim = conn->sim;
    uint64_t number = model_mix(sim->config.model.seed ^ 0x636e, conn->number);
    buf_printf(out, ",\"conn_id\":\"%016llx\"", (unsigned long long)number);
    if (trace) {
        uint64_t one = model_mix(number, sim->counters[SIM_COUNT_CLIENT_MESSAGES]);
        buf_printf(out, ",\"trace_id\":\"%016llx%016llx\"", (unsigned long long)one,
                   (unsigned long long)model_mix(one, 1));
    }
}

static void put_times(struct buf *out, const struct sim *sim)
{
    buf_printf(out, "{\"time\":%lld,\"time_ms\":%lld", (long long)(sim->now_unix_ns / NS_PER_S),
               (long long)(sim->now_unix_ns / NS_PER_MS));
}

static void put_string_member(struct buf *out, const char *key, struct str text)
{
    buf_printf(out, ",\"%s\":", key);
    sim_control_put_string(out, text);
}

static void put_error(struct buf *out, int code, struct str why)
{
    buf_printf(out, ",\"error\":{\"code\":%d", code);
    put_string_member(out, "message", why);
    buf_put_str(out, STR("},\"result\":{\"status\":\"fail\"}}"));
}

/* The request's id and payload are echoed as they came. */
static void reply_send(struct ask *ask, json_t *root, int64_t wrong_id, bool failed)
{
    struct sim *sim = ask->sim;
    struct buf out = buf_over(sim->body, SIM_TEXT_BYTES);
    json_t *id = json_object_get(root, "id");
    put_times(&out, sim);
    if (wrong_id != 0) {
        buf_printf(&out, ",\"id\":%lld", (long long)wrong_id);
    } else if (json_is_integer(id)) {
        buf_printf(&out, ",\"id\":%lld", (long long)json_integer_value(id));
    }
    put_ids(&out, ask->conn, true);
    put_string_member(&out, "channel", text_of(json_object_get(root, "channel")));
    put_string_member(&out, "event", ask->subscribe ? STR("subscribe") : STR("unsubscribe"));
    buf_put_str(&out, STR(",\"payload\":"));
    size_t room = SIM_TEXT_BYTES - out.bytes;
    if (ask->payload == NULL) {
        buf_put_str(&out, STR("null"));
    } else {
        size_t bytes =
            json_dumpb(ask->payload, out.data + out.bytes, room, JSON_COMPACT | JSON_ENCODE_ANY);
        ASSERT(bytes > 0 && bytes < room - 1024); /* a client message has at most 64 KiB */
        out.bytes += bytes;
    }
    if (failed) {
        put_error(&out, ask->code, str_from(ask->why));
    } else {
        buf_put_str(&out, STR(",\"result\":{\"status\":\"success\"}}"));
    }
    ASSERT(!out.overflow);
    sim_ws_send_control_text(ask->conn, buf_view(&out));
}

static void reply(struct ask *ask, json_t *root, bool failed)
{
    int64_t wrong_id = 0;
    ask->sim->counters[SIM_COUNT_CONTROL_ERRORS] += failed;
    const struct sim_fault_rule *rule = failed ? NULL : sim_ws_ack_fault(ask->conn);
    if (rule != NULL && rule->number == SIM_ACK_NONE) {
        return;
    }
    if (rule != NULL && rule->number == SIM_ACK_ERROR) {
        ask->code = 3;
        snprintf(ask->why, sizeof ask->why, "scripted fault");
        failed = true;
    } else if (rule != NULL) {
        wrong_id = 987654321;
    }
    reply_send(ask, root, wrong_id, failed);
}

static void pong(struct sim_conn *conn)
{
    char text[256];
    struct buf out = buf_over(text, sizeof text);
    put_times(&out, conn->sim);
    put_ids(&out, conn, false);
    buf_printf(&out, ",\"channel\":\"%s.pong\",\"event\":\"\",\"result\":null}",
               sim_gate_is_spot(conn->sim) ? "spot" : "futures");
    sim_ws_send_control_text(conn, buf_view(&out));
}

/* What has no channel to answer on. */
static void refuse_text(struct sim_conn *conn, int code, const char *why)
{
    char text[512];
    struct buf out = buf_over(text, sizeof text);
    conn->sim->counters[SIM_COUNT_CONTROL_ERRORS]++;
    if (sim_gate_is_spot(conn->sim)) {
        return; /* no reply at all (section 0.2) */
    }
    put_times(&out, conn->sim);
    put_ids(&out, conn, true);
    buf_put_str(&out, STR(",\"channel\":\"\",\"event\":\"\""));
    put_error(&out, code, str_from(why));
    sim_ws_send_control_text(conn, buf_view(&out));
}

/* ---- requests */

/* Documented for spot only: within a minute of the server's clock; it may be left out. */
static bool time_is_off(const struct ask *ask, json_t *root)
{
    json_t *time = json_object_get(root, "time");
    if (!sim_gate_is_spot(ask->sim) || !json_is_integer(time)) {
        return false;
    }
    int64_t now = ask->sim->now_unix_ns / NS_PER_S;
    json_int_t sent = json_integer_value(time);
    return sent < now - TIME_OFF_S || sent > now + TIME_OFF_S;
}

static bool payload_is_good(const struct ask *ask)
{
    size_t count = json_array_size(ask->payload);
    for (size_t i = 0; i < count; i++) {
        if (!json_is_string(json_array_get(ask->payload, i))) {
            return false;
        }
    }
    return json_is_array(ask->payload) && count > 0;
}

static void request_take(struct ask *ask, json_t *root)
{
    bool failed = true;
    if (!payload_is_good(ask)) {
        ask->code = 1;
        snprintf(ask->why, sizeof ask->why, "invalid request body: payload");
    } else if (time_is_off(ask, root)) {
        (void)refuse(ask, "%s", "time is not within 60 s of the server's");
    } else {
        failed = ask_one(ask) != OUTCOME_OK;
        ask->apply = true;
        failed = failed || ask_one(ask) != OUTCOME_OK;
    }
    reply(ask, root, failed);
}

static void root_take(struct sim_conn *conn, json_t *root)
{
    const char *market = sim_gate_is_spot(conn->sim) ? "spot." : "futures.";
    json_t *channel = json_object_get(root, "channel");
    json_t *event = json_object_get(root, "event");
    if (!json_is_string(channel)) {
        refuse_text(conn, 1, "invalid request body: channel");
        return;
    }
    struct str name = text_of(channel);
    struct ask ask = {
        .conn = conn, .sim = conn->sim, .payload = json_object_get(root, "payload"), .kind = name};
    size_t market_bytes = strlen(market);
    if (name.bytes > market_bytes && memcmp(name.data, market, market_bytes) == 0) {
        ask.kind = str_make(name.data + market_bytes, name.bytes - market_bytes);
    }
    if (ask.kind.bytes != name.bytes && str_equal(ask.kind, STR("ping"))) {
        pong(conn);
        return;
    }
    struct str what = json_is_string(event) ? text_of(event) : str_make("", 0);
    ask.subscribe = str_equal(what, STR("subscribe"));
    if (!ask.subscribe && !str_equal(what, STR("unsubscribe"))) {
        refuse_text(conn, 1, "invalid request body: event");
    } else {
        request_take(&ask, root);
    }
}

void sim_gate_ws_text(struct sim_conn *conn, struct str text)
{
    json_error_t error;
    json_t *root = text.bytes == 0 ? NULL : json_loadb(text.data, text.bytes, 0, &error);
    if (!json_is_object(root)) {
        refuse_text(conn, 1, "request message need json scheme");
    } else {
        root_take(conn, root);
    }
    json_decref(root);
}

/* ---- connection */

int sim_gate_ws_open(struct sim_conn *conn, const struct sim_request *request)
{
    bool spot = sim_gate_is_spot(conn->sim);
    struct str path = request->path;
    if (path.bytes > 1 && path.data[path.bytes - 1] == '/') {
        path.bytes--;
    }
    conn->combined = false;
    conn->micro = !spot && str_equal(request->size_decimal, STR("1")); /* the other form */
    return str_equal(path, spot ? STR("/ws/v4") : STR("/v4/ws/usdt")) ? 0 : 404;
}

/* Section 0.3: 60 s without a message either way end a connection, 30 s when nothing is subscribed
 * and the client is silent; there is no close frame. */
void sim_gate_ws_turn(struct sim_conn *conn)
{
    struct sim *sim = conn->sim;
    int64_t limit_ns = sim->config.limits.pong_timeout_ms * NS_PER_MS;
    int64_t since_ns = sim->now_mono_ns - conn->heard_mono_ns;
    if (conn->sub_count == 0) {
        limit_ns /= 2;
    } else if (conn->told_mono_ns > conn->heard_mono_ns) {
        since_ns = sim->now_mono_ns - conn->told_mono_ns;
    }
    if (since_ns >= limit_ns) {
        sim_violate(sim, SIM_BROKE_IDLE);
        sim_ws_drop(conn);
    }
}

void sim_gate_ws_shutdown(struct sim_conn *conn)
{
    char text[256];
    struct buf out = buf_over(text, sizeof text);
    put_times(&out, conn->sim);
    buf_printf(
        &out,
        ",\"channel\":\"%s.system\",\"event\":\"update\",\"result\":{\"type\":\"upgrade\","
        "\"msg\":\"The connection will soon be closed for maintenance. Please reconnect.\"}}",
        sim_gate_is_spot(conn->sim) ? "spot" : "futures");
    sim_ws_send_control_text(conn, buf_view(&out));
}
