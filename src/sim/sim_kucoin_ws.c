/* KuCoin's sockets. Classic: a token from REST opens one connection once; welcome, subscribe and
 * unsubscribe with topics, JSON pings, acks, errors by code. Unified: no token, one symbol a
 * request, everything in binary frames. Paths: "/endpoint" and "/?token=.." are classic, "/" is
 * unified. Silence is counted from the client's last message; client messages in tenths of a
 * second, 100 of them. jansson reads requests (they are rare and small). Source:
 * exchanges/kucoin.md sections 2, 3 and 8. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <wslay/wslay.h>

#include "base/assert.h"
#include "base/log.h"
#include "sim/sim_control.h"
#include "sim/sim_kucoin.h"

#define ID_BYTES 72
#define SLICES 100
#define SLICE_NS (100 * NS_PER_MS)
#define SYMBOLS_PER_TOPIC 100
#define TOPIC_TEXT_BYTES 64
#define MESSAGES_CLASSIC 100 /* in 10 s */
#define MESSAGES_UNIFIED 300
#define MESSAGES_PER_S 14 /* classic: 15 frames at once were refused */
#define STREAMS_SPOT 400
#define STREAMS_FUTURES 65535 /* none told */
#define STREAMS_UNIFIED 600
#define TOKEN_LIFE_MS 86400000

struct socket {
    bool unified;
    const char *refusal; /* classic: why the token does not do */
    int64_t heard_mono_ns, ping_mono_ns;
    uint32_t unknown; /* symbols that do not exist are counted too */
    char id[ID_BYTES];
    int64_t slice;
    uint16_t messages[SLICES];
};
_Static_assert(sizeof(struct socket) <= SIM_CONN_STATE_BYTES, "a connection's own");

static struct socket *socket_of(struct sim_conn *conn)
{
    return (struct socket *)conn->state_bytes;
}

/* ---- tokens */

static const char token_head[] = "2neAiuYvAU61ZDXANAGAsiL4-iAExhsBXZxftpOeh_";

void sim_kucoin_token_put(struct sim *sim, struct buf *out)
{
    struct sim_kucoin *own = sim_kucoin_own(sim);
    uint64_t seed = sim->config.model.seed ^ (uint64_t)sim->start_unix_ns;
    struct sim_kucoin_token *token = &own->tokens[own->tokens_issued++ % SIM_KUCOIN_TOKENS];
    *token = (struct sim_kucoin_token){.number = model_mix(seed, own->tokens_issued) | 1,
                                       .issued_mono_ns = sim->now_mono_ns};
    buf_printf(out, "%s%016llx==.%016llx==", token_head, (unsigned long long)token->number,
               (unsigned long long)model_mix(token->number, 0));
}

/* NULL: good, and spent by this. */
static const char *token_spend(struct sim *sim, struct str text)
{
    size_t head = sizeof token_head - 1;
    char digits[17] = {0};
    if (text.bytes != head + 37 || memcmp(text.data, token_head, head) != 0) {
        return "token is invalid";
    }
    memcpy(digits, text.data + head, 16);
    uint64_t number = strtoull(digits, NULL, 16);
    int64_t life_ms = sim->config.limits.life_ms > 0 ? sim->config.limits.life_ms : TOKEN_LIFE_MS;
    for (int i = 0; i < SIM_KUCOIN_TOKENS; i++) {
        struct sim_kucoin_token *token = &sim_kucoin_own(sim)->tokens[i];
        if (token->number == number && !token->used) {
            token->used = true;
            bool old = sim->now_mono_ns - token->issued_mono_ns >= life_ms * NS_PER_MS;
            return old ? "token is expired" : NULL;
        }
    }
    return "token is invalid";
}

/* ---- handshake */

static bool connect_allowed(struct sim *sim, bool unified)
{
    struct sim_kucoin_connects *connects = &sim_kucoin_own(sim)->connects[unified];
    uint32_t most = SIM_KUCOIN_LIMIT(sim, connects, unified ? 250 : 30);
    int64_t window_ms = SIM_KUCOIN_LIMIT(sim, connects_window_ms, unified ? 300000 : 60000);
    most = most > SIM_KUCOIN_CONNECTS_MAX ? SIM_KUCOIN_CONNECTS_MAX : most;
    uint32_t recent = 0;
    for (uint32_t i = 0; i < SIM_KUCOIN_CONNECTS_MAX; i++) {
        int64_t time = connects->times_mono_ns[i];
        recent += time != 0 && sim->now_mono_ns - time < window_ms * NS_PER_MS;
    }
    if (recent >= most) {
        return false;
    }
    connects->times_mono_ns[connects->next++ % SIM_KUCOIN_CONNECTS_MAX] = sim->now_mono_ns;
    return true;
}

int sim_kucoin_ws_open(struct sim_conn *conn, const struct sim_request *request)
{
    struct sim *sim = conn->sim;
    struct socket *state = socket_of(conn);
    struct buf value = buf_over(sim->body, 1024);
    bool endpoint = str_equal(request->path, STR("/endpoint"));
    if (!endpoint && !str_equal(request->path, STR("/"))) {
        return 404;
    }
    int token = sim_request_query(request->query, "token", &value);
    state->unified = !endpoint && token == 0;
    if (!connect_allowed(sim, state->unified)) {
        sim_violate(sim, SIM_BROKE_CONNECTS);
        return 429;
    }
    if (!state->unified) {
        state->refusal = token == 1 ? token_spend(sim, buf_view(&value)) : "token is invalid";
    }
    struct buf id = buf_over(state->id, sizeof state->id - 1);
    struct buf given = buf_over(sim->body, 40);
    if (sim_request_query(request->query, "connectId", &given) != 1 || given.bytes == 0) {
        buf_reset(&given);
        buf_printf(&given, "%016llx", (unsigned long long)model_mix(7, sim->websocket_numbers));
    }
    sim_control_put_string(&id, buf_view(&given));
    if (id.overflow) { /* of characters that need escapes */
        buf_reset(&id);
        buf_put_str(&id, STR("\"\""));
    }
    state->id[id.bytes] = 0;
    return 0;
}

/* ---- replies */

static void reply_classic_error(struct sim_conn *conn, const char *id, int code, const char *words)
{
    char text[512];
    struct buf out = buf_over(text, sizeof text);
    conn->sim->counters[SIM_COUNT_CONTROL_ERRORS]++;
    buf_printf(&out, "{\"id\":%s,\"type\":\"error\",\"code\":%d,\"data\":", id, code);
    sim_control_put_string(&out, str_from(words));
    buf_put_char(&out, '}');
    sim_ws_send_control_text(conn, buf_view(&out));
}

static void reply_unified_error(struct sim_conn *conn, const char *id, const char *key,
                                const char *words)
{
    char text[512];
    struct buf out = buf_over(text, sizeof text);
    conn->sim->counters[SIM_COUNT_CONTROL_ERRORS]++;
    buf_printf(&out, "{\"id\":%s,\"result\":false,\"%s\":", id, key);
    sim_control_put_string(&out, str_from(words));
    buf_put_char(&out, '}');
    sim_ws_send_control_text(conn, buf_view(&out));
}

static void bye(struct sim_conn *conn)
{
    sim_ws_close(conn, WSLAY_CODE_NORMAL_CLOSURE, "Bye");
}

void sim_kucoin_ws_opened(struct sim_conn *conn, const struct sim_request *request)
{
    (void)request;
    struct sim *sim = conn->sim;
    struct socket *state = socket_of(conn);
    char text[256];
    conn->binary = conn->binary_control = state->unified;
    state->heard_mono_ns = sim->now_mono_ns;
    state->slice = sim->now_mono_ns / SLICE_NS;
    if (state->refusal != NULL) {
        sim_violate(sim, SIM_BROKE_TOKEN);
        reply_classic_error(conn, state->id, 401, state->refusal);
        bye(conn);
        return;
    }
    int n;
    if (state->unified) {
        uint64_t r = model_mix((uint64_t)sim->start_unix_ns, conn->number);
        n = snprintf(text, sizeof text,
                     "{\"sessionId\":\"%08x-%04x-4%03x-8000-%012llx\",\"message\":\"welcome\","
                     "\"pingInterval\":%lld}",
                     (unsigned)(r >> 32), (unsigned)(r >> 16 & 0xffff), (unsigned)(r & 0xfff),
                     (unsigned long long)conn->number,
                     (long long)SIM_KUCOIN_LIMIT(sim, ping_interval_ms, 18000));
    } else {
        n = snprintf(text, sizeof text, "{\"id\":%s,\"type\":\"welcome\"}", state->id);
    }
    sim_ws_send_control_text(conn, str_make(text, (size_t)n));
}

void sim_kucoin_ws_shutdown(struct sim_conn *conn)
{
    if (socket_of(conn)->unified) { /* classic sockets just go */
        sim_ws_send_control_text(
            conn,
            STR("{\"result\":false,\"code\":\"501000\",\"message\":\"service is stopping\"}"));
    }
}

void sim_kucoin_ws_turn(struct sim_conn *conn)
{
    struct sim *sim = conn->sim;
    struct socket *state = socket_of(conn);
    if (sim->now_mono_ns - state->heard_mono_ns < sim->config.limits.pong_timeout_ms * NS_PER_MS) {
        return;
    }
    sim_violate(sim, SIM_BROKE_IDLE);
    state->heard_mono_ns = sim->now_mono_ns;
    if (state->unified) {
        sim_ws_drop(conn);
        return;
    }
    reply_classic_error(conn, state->id, 400, "ping timeout");
    bye(conn);
}

/* ---- limits */

/* One message came. NULL, or what the venue says to it: then it is not looked at. */
static const char *message_count(struct sim *sim, struct socket *state)
{
    int64_t slice = sim->now_mono_ns / SLICE_NS;
    for (int64_t passed = 0; state->slice < slice && passed < SLICES; passed++) {
        state->messages[++state->slice % SLICES] = 0;
    }
    state->slice = slice;
    state->messages[slice % SLICES]++;
    uint32_t sum = 0;
    uint32_t second = 0;
    for (int64_t i = 0; i < SLICES; i++) {
        sum += state->messages[(slice + SLICES - i) % SLICES];
        second = i < 10 ? sum : second;
    }
    uint32_t most = SIM_KUCOIN_LIMIT(sim, messages_per_s, MESSAGES_PER_S);
    if (!state->unified && second > most) {
        return "exceed max permits per second";
    }
    return sum > (state->unified ? MESSAGES_UNIFIED : MESSAGES_CLASSIC)
               ? "exceed max permits per 10 seconds"
               : NULL;
}

static uint32_t streams_most(const struct sim *sim, const struct socket *state)
{
    uint32_t own = state->unified            ? STREAMS_UNIFIED
                   : sim_kucoin_is_spot(sim) ? STREAMS_SPOT
                                             : STREAMS_FUTURES;
    return SIM_KUCOIN_LIMIT(sim, streams_per_connection, own);
}

/* ---- requests */

/* "5" or 5 becomes "5"; anything else the connection's own id. */
static void id_read(const struct socket *state, json_t *id, char out[ID_BYTES])
{
    struct buf text = buf_over(out, ID_BYTES - 1);
    if (json_is_integer(id)) {
        buf_printf(&text, "\"%lld\"", (long long)json_integer_value(id));
    } else if (json_is_string(id)) {
        sim_control_put_string(&text, str_make(json_string_value(id), json_string_length(id)));
    }
    if (text.bytes == 0 || text.overflow) {
        buf_reset(&text);
        buf_put_str(&text, str_from(state->id));
    }
    out[text.bytes] = 0;
}

static const char *member(json_t *root, const char *key)
{
    const char *text = json_string_value(json_object_get(root, key));
    return text == NULL ? "" : text;
}

static void ack(struct sim_conn *conn, const char *id)
{
    char text[160];
    bool unified = socket_of(conn)->unified;
    const struct sim_fault_rule *rule = sim_ws_ack_fault(conn);
    if (rule != NULL && rule->number == SIM_ACK_NONE) {
        return;
    }
    if (rule != NULL && rule->number == SIM_ACK_ERROR) {
        if (unified) {
            reply_unified_error(conn, id, "message", "system error");
        } else {
            reply_classic_error(conn, id, 500, "system error");
        }
        return;
    }
    int n = snprintf(text, sizeof text, "{\"id\":%s,%s}", rule != NULL ? "\"987654321\"" : id,
                     unified ? "\"result\":true" : "\"type\":\"ack\"");
    sim_ws_send_control_text(conn, str_make(text, (size_t)n));
}

/* The next of "a,b,c". */
static bool name_next(struct str *rest, struct str *name)
{
    if (rest->bytes == 0) {
        return false;
    }
    const char *comma = memchr(rest->data, ',', rest->bytes);
    name->data = rest->data;
    name->bytes = comma == NULL ? rest->bytes : (size_t)(comma - rest->data);
    size_t taken = name->bytes + (comma != NULL);
    *rest = str_make(rest->data + taken, rest->bytes - taken);
    return true;
}

/* One symbol. False: the table of subscriptions is full. */
static bool symbol_change(struct sim_conn *conn, bool on, uint32_t stream, struct str name)
{
    struct sim *sim = conn->sim;
    struct socket *state = socket_of(conn);
    const struct model_symbol *symbol = model_find(&sim->model, name, false);
    if (symbol == NULL) {
        LOG_INFO("sim_unknown_stream", "connection %u: no such symbol: %.*s", conn->number,
                 (int)(name.bytes > 60 ? 60 : name.bytes), name.data);
        sim->counters[SIM_COUNT_UNKNOWN] += on;
        state->unknown += on ? 1 : 0;
        state->unknown -= !on && state->unknown > 0;
        return true;
    }
    uint32_t index = (uint32_t)(symbol - sim->model.symbols);
    if (!on) {
        sim_feed_unsubscribe(conn, index, stream);
        return true;
    }
    return sim_feed_subscribe(conn, index, stream);
}

/* ---- classic */

static const struct topic {
    const char *name;
    uint32_t stream;
    int market; /* 1 spot, 2 futures, 3 both */
    bool private;
} topics[] = {
    {"/market/match", SIM_KUCOIN_MATCH, 1, false},
    {"/spotMarket/level1", SIM_KUCOIN_LEVEL1, 1, false},
    {"/market/ticker", SIM_KUCOIN_TICKER, 1, false},
    {"/market/level2", SIM_KUCOIN_LEVEL2, 1, false},
    {"/spotMarket/level2Depth5", SIM_KUCOIN_DEPTH5, 1, false},
    {"/spotMarket/level2Depth50", SIM_KUCOIN_DEPTH50, 1, false},
    {"/market/snapshot", SIM_KUCOIN_SNAPSHOT, 1, false},
    {"/market/candles", SIM_KUCOIN_CANDLE, 1, false},
    {"/callauction/callauctionData", SIM_KUCOIN_QUIET, 1, false},
    {"/callauction/level2Depth50", SIM_KUCOIN_QUIET, 1, false},
    {"/indicator/index", SIM_KUCOIN_QUIET, 1, false},
    {"/indicator/markPrice", SIM_KUCOIN_QUIET, 1, false},
    {"/contractMarket/execution", SIM_KUCOIN_MATCH, 2, false},
    {"/contractMarket/tickerV2", SIM_KUCOIN_LEVEL1, 2, false},
    {"/contractMarket/ticker", SIM_KUCOIN_TICKER, 2, false},
    {"/contractMarket/level2", SIM_KUCOIN_LEVEL2, 2, false},
    {"/contractMarket/level2Depth5", SIM_KUCOIN_DEPTH5, 2, false},
    {"/contractMarket/level2Depth50", SIM_KUCOIN_DEPTH50, 2, false},
    {"/contractMarket/snapshot", SIM_KUCOIN_SNAPSHOT, 2, false},
    {"/contractMarket/limitCandle", SIM_KUCOIN_CANDLE, 2, false},
    {"/contract/instrument", SIM_KUCOIN_INSTRUMENT, 2, false},
    {"/contract/announcement", SIM_KUCOIN_QUIET, 2, false},
    {"/spotMarket/tradeOrders", 0, 1, true},
    {"/spotMarket/tradeOrdersV2", 0, 1, true},
    {"/spotMarket/advancedOrders", 0, 1, true},
    {"/account/balance", 0, 1, true},
    {"/contractMarket/tradeOrders", 0, 2, true},
    {"/contractAccount/wallet", 0, 2, true},
    {"/contract/position", 0, 2, true},
};

static const struct topic *topic_find(const struct sim *sim, struct str name)
{
    int market = sim_kucoin_is_spot(sim) ? 1 : 2;
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        if ((topics[i].market & market) != 0 && str_equal(name, str_from(topics[i].name))) {
            return &topics[i];
        }
    }
    return NULL;
}

/* The stream of a name in a topic's list; candles: of "BTC-USDT_1min", and `name` becomes
 * "BTC-USDT". -1: there is none. */
static int64_t stream_of(const struct sim *sim, const struct topic *topic, struct str *name)
{
    if (topic->stream != SIM_KUCOIN_CANDLE) {
        return topic->stream;
    }
    const char *cut = name->bytes == 0 ? NULL : memrchr(name->data, '_', name->bytes);
    if (cut == NULL) {
        return -1;
    }
    size_t symbol_bytes = (size_t)(cut - name->data);
    int candle = sim_kucoin_candle_parse(sim, str_make(cut + 1, name->bytes - symbol_bytes - 1));
    name->bytes = symbol_bytes;
    return candle < 0 ? -1 : SIM_KUCOIN_CANDLE + candle;
}

/* How many names a list has; -1: one of them is of no stream. */
static int64_t names_count(const struct sim *sim, const struct topic *topic, struct str list)
{
    int64_t count = 0;
    struct str name;
    while (name_next(&list, &name)) {
        if (name.bytes == 0 || stream_of(sim, topic, &name) < 0) {
            return -1;
        }
        count++;
    }
    return count;
}

/* NULL, or the error's words with their code. */
static const char *topic_refused(struct sim_conn *conn, bool on, const struct topic *topic,
                                 struct str list, int *code, char words[TOPIC_TEXT_BYTES])
{
    struct sim *sim = conn->sim;
    struct socket *state = socket_of(conn);
    int64_t count = names_count(sim, topic, list);
    uint32_t most = streams_most(sim, state);
    *code = 400;
    if (count < 0 || (count == 0 && topic->stream != SIM_KUCOIN_QUIET)) {
        return "topic is invalid";
    }
    *code = 509;
    if (count > SYMBOLS_PER_TOPIC) {
        sim_violate(sim, SIM_BROKE_SYMBOLS);
        return "exceed max subscription count limitation of 100 per time";
    }
    if (on && conn->sub_count + state->unknown + (uint64_t)count > most) {
        sim_violate(sim, SIM_BROKE_STREAMS);
        snprintf(words, TOPIC_TEXT_BYTES,
                 "exceed max subscription count limitation of %u per session", most);
        return words;
    }
    return NULL;
}

static void classic_change(struct sim_conn *conn, json_t *root, const char *id, bool on)
{
    char text[TOPIC_TEXT_BYTES];
    struct str whole = str_from(member(root, "topic"));
    const char *colon = whole.bytes == 0 ? NULL : memchr(whole.data, ':', whole.bytes);
    struct str name =
        str_make(whole.data, colon == NULL ? whole.bytes : (size_t)(colon - whole.data));
    struct str list =
        colon == NULL ? str_make("", 0) : str_make(colon + 1, whole.bytes - name.bytes - 1);
    const struct topic *topic = topic_find(conn->sim, name);
    if (whole.bytes == 0) {
        reply_classic_error(conn, id, 406, "topic is required");
        return;
    }
    if (topic == NULL) {
        reply_classic_error(conn, id, 404, "topic does not exist");
        return;
    }
    if (topic->private || json_is_true(json_object_get(root, "privateChannel"))) {
        reply_classic_error(conn, id, 403, "login is required");
        return;
    }
    int code;
    const char *why = topic_refused(conn, on, topic, list, &code, text);
    if (why != NULL) {
        reply_classic_error(conn, id, code, why);
        return;
    }
    while (name_next(&list, &name)) {
        int64_t stream = stream_of(conn->sim, topic, &name);
        if (!symbol_change(conn, on, (uint32_t)stream, name)) {
            sim_violate(conn->sim, SIM_BROKE_STREAMS);
        }
    }
    if (json_is_true(json_object_get(root, "response"))) {
        ack(conn, id);
    }
}

static void classic_request(struct sim_conn *conn, json_t *root, const char *id)
{
    char text[160];
    struct str type = str_from(member(root, "type"));
    if (str_equal(type, STR("ping"))) {
        int n = snprintf(text, sizeof text, "{\"id\":%s,\"type\":\"pong\",\"timestamp\":%lld}", id,
                         (long long)(conn->sim->now_unix_ns / NS_PER_US));
        sim_ws_send_control_text(conn, str_make(text, (size_t)n));
    } else if (str_equal(type, STR("subscribe")) || str_equal(type, STR("unsubscribe"))) {
        classic_change(conn, root, id, type.data[0] == 's');
    } else {
        reply_classic_error(conn, id, 415, "type is not supported");
    }
}

/* ---- unified */

static const struct channel {
    const char *name, *title;
    uint32_t stream;
    int market;
} channels[] = {
    {"obu", "Obu", SIM_KUCOIN_OBU, 3},
    {"trade", "Trade", SIM_KUCOIN_TRADE, 3},
    {"ticker", "Ticker", SIM_KUCOIN_QUOTE, 3},
    {"kline", "Kline", SIM_KUCOIN_KLINE, 3},
    {"mark-price", "MarkPrice", SIM_KUCOIN_MARK, 2},
    {"funding-fee", "FundingFee", SIM_KUCOIN_FUNDING, 2},
};

static const struct channel *channel_find(const struct sim *sim, const char *name)
{
    int market = sim_kucoin_is_spot(sim) ? 1 : 2;
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
        if ((channels[i].market & market) != 0 && strcmp(name, channels[i].name) == 0) {
            return &channels[i];
        }
    }
    return NULL;
}

/* -1: no such depth or interval. */
static int64_t channel_stream(const struct sim *sim, const struct channel *channel, json_t *root)
{
    static const char *const depths[] = {"increment@10ms", "increment", "1", "5", "50"};
    if (channel->stream == SIM_KUCOIN_KLINE) {
        int candle = sim_kucoin_candle_parse(sim, str_from(member(root, "interval")));
        return candle < 0 ? -1 : SIM_KUCOIN_KLINE + candle;
    }
    if (channel->stream != SIM_KUCOIN_OBU) {
        return channel->stream;
    }
    for (uint32_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
        if (strcmp(member(root, "depth"), depths[i]) == 0) {
            return SIM_KUCOIN_OBU + i;
        }
    }
    return -1;
}

/* True: the request has been refused. */
static bool unified_refused(struct sim_conn *conn, json_t *root, const char *id, bool on,
                            const struct channel *channel)
{
    struct sim *sim = conn->sim;
    const char *wanted = sim_kucoin_is_spot(sim) ? "SPOT" : "FUTURES";
    const char *type = member(root, "tradeType");
    bool typed = channel->stream < SIM_KUCOIN_MARK || channel->stream >= SIM_KUCOIN_KLINE;
    json_t *symbols = json_object_get(root, "symbols");
    char why[128];
    if ((typed || type[0] != 0) && strcmp(type, wanted) != 0) {
        snprintf(why, sizeof why,
                 "topic %s type = \"public_%s\" not allowed in current environment", channel->title,
                 strcmp(type, "SPOT") == 0 ? "spot" : "futures");
    } else if (symbols != NULL && channel->stream != SIM_KUCOIN_QUOTE) {
        snprintf(why, sizeof why, "symbols are not supported for topic %s", channel->name);
    } else if (symbols == NULL && member(root, "symbol")[0] == 0) {
        snprintf(why, sizeof why, "missing `symbol` for topic: %s", channel->title);
    } else if (on && conn->sub_count + socket_of(conn)->unknown +
                             (symbols == NULL ? 1 : json_array_size(symbols)) >
                         streams_most(sim, socket_of(conn))) {
        sim_violate(sim, SIM_BROKE_STREAMS);
        snprintf(why, sizeof why, "exceed max subscription count limitation of %u per session",
                 streams_most(sim, socket_of(conn)));
    } else {
        return false;
    }
    reply_unified_error(conn, id, "reason", why);
    return true;
}

static void unified_change(struct sim_conn *conn, json_t *root, const char *id, bool on)
{
    const struct channel *channel = channel_find(conn->sim, member(root, "channel"));
    int64_t stream = channel == NULL ? -1 : channel_stream(conn->sim, channel, root);
    if (stream < 0) {
        reply_unified_error(conn, id, "message", "invalid request data");
        return;
    }
    if (unified_refused(conn, root, id, on, channel)) {
        return;
    }
    json_t *symbols = json_object_get(root, "symbols");
    bool room = true;
    if (symbols == NULL) {
        room = symbol_change(conn, on, (uint32_t)stream, str_from(member(root, "symbol")));
    }
    for (size_t i = 0; i < json_array_size(symbols); i++) {
        const char *name = json_string_value(json_array_get(symbols, i));
        room =
            symbol_change(conn, on, (uint32_t)stream, str_from(name == NULL ? "" : name)) && room;
    }
    if (!room) {
        sim_violate(conn->sim, SIM_BROKE_STREAMS);
    }
    ack(conn, id);
}

static void unified_ping(struct sim_conn *conn, const char *id)
{
    struct sim *sim = conn->sim;
    struct socket *state = socket_of(conn);
    if (state->ping_mono_ns != 0 && sim->now_mono_ns - state->ping_mono_ns < NS_PER_S) {
        sim_violate(sim, SIM_BROKE_MESSAGES); /* more than one a second */
        sim_ws_drop(conn);
        return;
    }
    char text[160];
    state->ping_mono_ns = sim->now_mono_ns;
    int n = snprintf(text, sizeof text, "{\"type\":\"pong\",\"id\":%s,\"ts\":%lld}", id,
                     (long long)sim->now_unix_ns);
    sim_ws_send_control_text(conn, str_make(text, (size_t)n));
}

static void unified_request(struct sim_conn *conn, json_t *root, const char *id)
{
    const char *action = member(root, "action");
    if (strcmp(member(root, "type"), "ping") == 0) {
        unified_ping(conn, id);
    } else if (strcasecmp(action, "subscribe") == 0 || strcasecmp(action, "unsubscribe") == 0) {
        unified_change(conn, root, id, (action[0] | 0x20) == 's');
    } else {
        reply_unified_error(conn, id, "message", "invalid request data");
    }
}

void sim_kucoin_ws_text(struct sim_conn *conn, struct str text)
{
    struct sim *sim = conn->sim;
    struct socket *state = socket_of(conn);
    char id[ID_BYTES];
    state->heard_mono_ns = sim->now_mono_ns;
    if (state->refusal != NULL) {
        return; /* it is being closed */
    }
    const char *over = message_count(sim, state);
    if (over != NULL) {
        sim_violate(sim, SIM_BROKE_MESSAGES);
        if (state->unified) {
            sim_ws_send_control_text(conn, STR("{\"result\":false,\"code\":\"429000\","
                                               "\"message\":\"Too Many Requests\"}"));
        } else {
            reply_classic_error(conn, state->id, 509, over);
        }
        state->refusal = over;
        bye(conn);
        return;
    }
    json_error_t error;
    json_t *root = json_loadb(text.data, text.bytes, 0, &error);
    id_read(state, json_object_get(root, "id"), id);
    if (!json_is_object(root) && state->unified) {
        reply_unified_error(conn, id, "message", "invalid request data");
    } else if (!json_is_object(root)) {
        reply_classic_error(conn, id, 400, "JSON parser: not an object");
    } else {
        (state->unified ? unified_request : classic_request)(conn, root, id);
    }
    json_decref(root);
}
