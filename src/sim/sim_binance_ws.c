/* Control requests and stream URLs of Binance's exchanges: replies, errors, limits. What differs
 * (names of streams, what stands before /stream and /ws) is asked of struct sim_exchange. Source:
 * exchanges/binance-spot.md sections 2 and 3. */
#include "sim/sim_binance.h"

#include <stdio.h>
#include <string.h>

#include <wslay/wslay.h>

#include "base/log.h"
#include "sim/sim_control.h"

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

static void subscribe_name(struct stream_change *change, struct str name)
{
    struct sim_conn *conn = change->conn;
    uint32_t symbol;
    if (conn_list_full(conn)) {
        change->over = true;
        return;
    }
    int stream = conn->sim->exchange->stream_parse(conn, name, &symbol);
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
    int stream = change->conn->sim->exchange->stream_parse(change->conn, name, &symbol);
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
                   sim->exchange->stream_suffix(sub->stream));
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

void sim_binance_ws_text(struct sim_conn *conn, struct str text)
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

/* Which streams the URL names; NULL data = it is not a stream URL at all. */
struct str sim_binance_url_streams(struct sim_conn *conn, const struct sim_request *request,
                                   struct buf *scratch)
{
    struct str nothing = {NULL, 0};
    size_t skip = conn->sim->exchange->path_prefix(request->path);
    struct str path = str_make(request->path.data + skip, request->path.bytes - skip);
    if (str_equal(path, STR("/stream"))) {
        conn->combined = !conn->binary;
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

void sim_binance_ws_opened(struct sim_conn *conn, const struct sim_request *request)
{
    struct buf scratch = buf_over(conn->sim->body, SIM_TEXT_BYTES);
    if (!url_subscribe(conn, sim_binance_url_streams(conn, request, &scratch))) {
        sim_violate(conn->sim, SIM_BROKE_STREAMS);
        sim_ws_close(conn, WSLAY_CODE_POLICY_VIOLATION, "Too many streams");
    }
}

void sim_binance_ws_shutdown(struct sim_conn *conn)
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
