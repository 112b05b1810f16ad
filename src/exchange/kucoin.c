/* KuCoin, spot and futures: the venues as data, and their feed side. Two endpoints each: classic
 * sockets, whose URL comes with a fresh token for every connect, and unified ones for books (they
 * begin with a full one) and open interest. An ack does not prove that a symbol exists: the
 * watchdog of streams does (rhythm). Source of all facts: docs/exchanges/kucoin.md. */
#include "exchange/kucoin.h"

#include <string.h>

#include "base/assert.h"
#include "exchange/scan.h"

/* Our own ping goes out this often at most: with it, 28 s without any frame means dead, however
 * long the venue would wait itself (section 2). */
#define PING_MOST_MS 14400
#define PING_LEAST_MS 2000
#define PAUSE_PERMITS_MS 10000 /* the whole window (section 3) */
#define PAUSE_BUSY_MS 5000

/* ---- streams */

static bool symbol_fits(struct str symbol)
{
    for (size_t i = 0; i < symbol.bytes; i++) {
        unsigned char c = (unsigned char)symbol.data[i];
        if (c <= 0x20 || c == '"' || c == '\\' || c == ',' || c == ':' || c == 0x7f) {
            return false;
        }
    }
    return symbol.bytes > 0 && symbol.bytes <= 64;
}

static uint32_t kinds_of(const struct stream_request *request, bool spot,
                         enum kucoin_kind out[VENUE_STREAMS_MAX])
{
    out[0] = KUCOIN_UNKNOWN;
    switch (request->channel) {
    case CHANNEL_TRADES:
        out[0] = request->aggregate ? KUCOIN_UNKNOWN : KUCOIN_MATCH;
        break;
    case CHANNEL_BOOK_TICKER:
        out[0] = spot ? KUCOIN_LEVEL1 : KUCOIN_TICKER_V2;
        break;
    case CHANNEL_DEPTH:
        out[0] = KUCOIN_OBU;
        break;
    case CHANNEL_BOOK_SNAPSHOT_5:
        out[0] = KUCOIN_DEPTH5;
        break;
    case CHANNEL_BOOK_SNAPSHOT_50:
        out[0] = KUCOIN_DEPTH50;
        break;
    case CHANNEL_CANDLES:
        out[0] = kucoin_type_of_interval(request->interval, spot).bytes > 0 ? KUCOIN_CANDLES
                                                                            : KUCOIN_UNKNOWN;
        break;
    case CHANNEL_TICKER:
        out[0] = KUCOIN_SNAPSHOT;
        break;
    case CHANNEL_DERIVATIVE_TICKER: /* funding on one socket, open interest on the other */
        out[0] = KUCOIN_INSTRUMENT;
        out[1] = KUCOIN_MARK_PRICE;
        return spot ? 0 : 2;
    case CHANNEL_BOOK_SNAPSHOT_20: /* level2Depth20 does not exist */
    case CHANNEL_LIQUIDATIONS:
    case CHANNEL_GAPS:
    case CHANNEL_INSTRUMENTS:
    case CHANNEL_COUNT:
        break;
    }
    return out[0] != KUCOIN_UNKNOWN;
}

static uint32_t streams(const struct stream_request *request, bool spot,
                        struct venue_stream out[VENUE_STREAMS_MAX])
{
    enum kucoin_kind found[VENUE_STREAMS_MAX];
    uint32_t count = symbol_fits(request->symbol) ? kinds_of(request, spot, found) : 0;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = (struct venue_stream){.request = *request,
                                       .endpoint =
                                           found[i] >= KUCOIN_OBU ? KUCOIN_UNIFIED : KUCOIN_CLASSIC,
                                       .kind = (uint8_t)found[i]};
    }
    return count;
}

static uint32_t streams_of_spot(const struct stream_request *request, uint32_t options,
                                struct venue_stream out[VENUE_STREAMS_MAX])
{
    (void)options;
    return streams(request, true, out);
}

static uint32_t streams_of_futures(const struct stream_request *request, uint32_t options,
                                   struct venue_stream out[VENUE_STREAMS_MAX])
{
    (void)options;
    return streams(request, false, out);
}

/* Classic: 100 symbols, comma joined; lists of candles were never seen. Unified: one (section 1).
 */
static uint32_t streams_per_request(const struct venue_stream *stream)
{
    return stream->endpoint == KUCOIN_UNIFIED || stream->kind == KUCOIN_CANDLES ? 1 : 100;
}

static uint32_t rate(const struct venue_stream *stream)
{
    switch ((enum kucoin_kind)stream->kind) {
    case KUCOIN_LEVEL1:
    case KUCOIN_TICKER_V2:
        return 40;
    case KUCOIN_MATCH:
    case KUCOIN_OBU:
    case KUCOIN_DEPTH5:
    case KUCOIN_DEPTH50:
        return 10;
    case KUCOIN_UNKNOWN:
    case KUCOIN_TICKER:
    case KUCOIN_LEVEL2:
    case KUCOIN_CANDLES:
    case KUCOIN_CANDLES_2022:
    case KUCOIN_SNAPSHOT:
    case KUCOIN_INSTRUMENT:
    case KUCOIN_ANNOUNCEMENT:
    case KUCOIN_OTHER:
    case KUCOIN_MARK_PRICE:
    case KUCOIN_FUNDING_FEE:
    case KUCOIN_UNIFIED_TRADE:
    case KUCOIN_UNIFIED_TICKER:
    case KUCOIN_UNIFIED_KLINE:
        return 1;
    }
    return 1;
}

/* ---- requests */

static int fit(const struct buf *out)
{
    return out->overflow ? MD_ETOOBIG : 0;
}

/* Asked of the unified endpoint only: the classic one's URL comes with the token. */
static int connect_url(uint32_t endpoint, const char *base, struct buf *out)
{
    (void)endpoint;
    buf_put_str(out, str_from(base));
    return fit(out);
}

static int subscribe_classic(const struct venue_request *request, bool spot, struct buf *out)
{
    const struct venue_stream *const *all = request->streams;
    buf_printf(out, "{\"id\":\"%lld\",\"type\":\"%s\",\"topic\":\"", (long long)request->id,
               request->subscribe ? "subscribe" : "unsubscribe");
    buf_put_str(out, kucoin_topic_of_kind(all[0]->kind, spot));
    for (uint32_t i = 0; i < request->count; i++) {
        buf_put_char(out, i == 0 ? ':' : ',');
        buf_put_str(out, all[i]->request.symbol);
        if (all[i]->kind == KUCOIN_CANDLES) {
            buf_put_char(out, '_');
            buf_put_str(out, kucoin_type_of_interval(all[i]->request.interval, spot));
        }
    }
    buf_put_str(out, STR("\",\"privateChannel\":false,\"response\":true}"));
    return fit(out);
}

static int subscribe_unified(const struct venue_request *request, bool spot, struct buf *out)
{
    const struct venue_stream *stream = request->streams[0];
    ASSERT(request->count == 1);
    ASSERT(stream->kind == KUCOIN_OBU || stream->kind == KUCOIN_MARK_PRICE);
    buf_printf(out, "{\"id\":\"%lld\",\"action\":\"%s\",\"channel\":\"%s\",\"tradeType\":\"%s\",",
               (long long)request->id, request->subscribe ? "subscribe" : "unsubscribe",
               stream->kind == KUCOIN_OBU ? "obu" : "mark-price", spot ? "SPOT" : "FUTURES");
    buf_put_str(out, STR("\"symbol\":\""));
    buf_put_str(out, stream->request.symbol);
    buf_put_str(out, stream->kind == KUCOIN_OBU
                         ? STR("\",\"depth\":\"increment@10ms\",\"rpiFilter\":0}")
                         : STR("\"}"));
    return fit(out);
}

static int subscribe(const struct venue_request *request, bool spot, struct buf *out)
{
    return request->streams[0]->endpoint == KUCOIN_UNIFIED ? subscribe_unified(request, spot, out)
                                                           : subscribe_classic(request, spot, out);
}

static int subscribe_spot(const struct venue_request *request, struct buf *out)
{
    return subscribe(request, true, out);
}

static int subscribe_futures(const struct venue_request *request, struct buf *out)
{
    return subscribe(request, false, out);
}

static int ping(uint32_t endpoint, int64_t id, int64_t unix_s, struct buf *out)
{
    (void)endpoint;
    (void)unix_s;
    buf_printf(out, "{\"id\":\"%lld\",\"type\":\"ping\"}", (long long)id);
    return fit(out);
}

/* ---- tokens */

/* Four fifths of what the server allows, but within our own bounds; 0 = not said. */
static int64_t ping_of(const struct scan_value *interval)
{
    int64_t ms = 0;
    if (!scan_value_i64(interval, &ms) || ms <= 0) {
        return 0;
    }
    ms = ms < PING_MOST_MS * 2 ? ms * 4 / 5 : PING_MOST_MS;
    return ms > PING_MOST_MS ? PING_MOST_MS : ms < PING_LEAST_MS ? PING_LEAST_MS : ms;
}

static void put_percent_encoded(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.';
        if (plain) {
            buf_put_char(out, (char)c);
        } else {
            buf_printf(out, "%%%02X", c);
        }
    }
}

static bool starts_with(struct str text, struct str start)
{
    return text.bytes >= start.bytes && memcmp(text.data, start.data, start.bytes) == 0;
}

/* The first server that is named; `endpoint` is used as given (section 2). */
static bool first_server(const struct scan_value *servers, struct str *endpoint, int64_t *ping_ms,
                         char *scratch, size_t capacity)
{
    static const struct str keys[] = {{"endpoint", 8}, {"pingInterval", 12}};
    struct scan_value server, found[2];
    if (servers->type != SCAN_ARRAY) {
        return false;
    }
    struct scan scan = scan_enter(servers);
    while (scan_element(&scan, &server)) {
        if (server.type != SCAN_OBJECT) {
            continue;
        }
        scan_find(&server, keys, 2, found);
        if (scan_value_string(&found[0], scratch, capacity, endpoint) &&
            (starts_with(*endpoint, STR("wss://")) || starts_with(*endpoint, STR("ws://")))) {
            *ping_ms = ping_of(&found[1]);
            return true;
        }
    }
    return false;
}

static int read_token(struct str body, uint64_t nonce, struct venue_token *out)
{
    static const struct str keys[] = {{"code", 4}, {"data", 4}};
    static const struct str data_keys[] = {{"token", 5}, {"instanceServers", 15}};
    struct scan scan = scan_of(body);
    struct scan_value object, found[2], data[2];
    struct str token, endpoint;
    char scratch[512];
    int64_t code = 0;
    if (!scan_value(&scan, &object) || object.type != SCAN_OBJECT || !scan_at_end(&scan)) {
        return MD_EPARSE;
    }
    scan_find(&object, keys, 2, found);
    if (!scan_value_i64(&found[0], &code) || code != 200000) {
        return MD_EHTTP; /* errors come with HTTP status 200 too */
    }
    if (found[1].type != SCAN_OBJECT) {
        return MD_EPARSE;
    }
    scan_find(&found[1], data_keys, 2, data);
    if (data[0].type != SCAN_STRING || data[0].escaped || data[0].text.bytes == 0 ||
        !first_server(&data[1], &endpoint, &out->ping_ms, scratch, sizeof scratch)) {
        return MD_EPARSE;
    }
    token = data[0].text;
    struct buf url = buf_over(out->url, sizeof out->url - 1);
    buf_put_str(&url, endpoint);
    out->secret_at = url.bytes;
    buf_put_str(&url, memchr(endpoint.data, '?', endpoint.bytes) != NULL ? STR("&token=")
                                                                         : STR("?token="));
    put_percent_encoded(&url, token);
    buf_printf(&url, "&connectId=%016llx", (unsigned long long)nonce);
    out->url[url.bytes] = 0;
    return fit(&url);
}

/* ---- replies */

static bool contains(struct str text, struct str part)
{
    return memmem(text.data, text.bytes, part.data, part.bytes) != NULL;
}

/* Section 2.1, told by code and, where one code means several things, by the words. */
static void judge_error(struct str words, struct control_reply *reply)
{
    switch (reply->code) {
    case 401:
        reply->reconnect = true;
        return;
    case 400:
        reply->reconnect = contains(words, STR("ping timeout"));
        return;
    case 500:
        reply->pause_ms = PAUSE_BUSY_MS;
        return;
    case 509:
        if (contains(words, STR("per session"))) {
            reply->full = true;
        } else if (contains(words, STR("max session count"))) {
            reply->reconnect = true;
        } else if (contains(words, STR("service busy"))) {
            reply->pause_ms = PAUSE_BUSY_MS;
        } else if (!contains(words, STR("per time"))) { /* else: each is asked for alone */
            reply->pause_ms = PAUSE_PERMITS_MS;         /* "exceed max permits per second" */
        }
        return;
    case 429000: /* the gateway of the unified sockets */
    case 429001:
    case 429002:
        reply->pause_ms = PAUSE_PERMITS_MS;
        return;
    case 503000:
        reply->reconnect = true;
        return;
    default:
        return;
    }
}

enum {
    R_ID,
    R_TYPE,
    R_CODE,
    R_DATA,
    R_RESULT,
    R_MESSAGE,
    R_REASON,
    R_PING,
    R_TOPIC,
    R_PUSH,
    R_COUNT
};

static enum control_kind read_error(const struct scan_value *words, const struct scan_value *code,
                                    struct control_reply *reply)
{
    struct str text = words->type == SCAN_STRING ? words->text : (struct str){"", 0};
    int64_t number = 0;
    if (scan_value_i64(code, &number) && number > INT32_MIN && number < INT32_MAX) {
        reply->code = (int)number;
    }
    str_printable(reply->text, sizeof reply->text, text.data, text.bytes);
    judge_error(text, reply);
    return reply->code == 501000 ? CONTROL_SHUTDOWN : CONTROL_ERROR;
}

static bool is_text(const struct scan_value *value, const char *text)
{
    return value->type == SCAN_STRING && str_equal(value->text, str_from(text));
}

static enum control_kind read_classic(const struct scan_value found[R_COUNT],
                                      struct control_reply *reply)
{
    const struct scan_value *type = &found[R_TYPE];
    if (is_text(type, "welcome")) {
        return CONTROL_WELCOME;
    }
    if (is_text(type, "ack")) {
        return CONTROL_ACK;
    }
    if (is_text(type, "pong")) {
        return CONTROL_OTHER;
    }
    return is_text(type, "error") ? read_error(&found[R_DATA], &found[R_CODE], reply)
                                  : CONTROL_NONE;
}

static enum control_kind read_unified(const struct scan_value found[R_COUNT],
                                      struct control_reply *reply)
{
    const struct scan_value *result = &found[R_RESULT];
    if (is_text(&found[R_MESSAGE], "welcome")) {
        reply->ping_ms = ping_of(&found[R_PING]);
        return CONTROL_WELCOME;
    }
    if (result->type == SCAN_TRUE || is_text(result, "true")) {
        return CONTROL_ACK;
    }
    if (result->type == SCAN_FALSE || is_text(result, "false") || found[R_CODE].type != SCAN_NONE) {
        const struct scan_value *words =
            found[R_REASON].type == SCAN_STRING ? &found[R_REASON] : &found[R_MESSAGE];
        return read_error(words, &found[R_CODE], reply);
    }
    return CONTROL_NONE;
}

/* Market data says so in its first key; but contracts' 24 h figures begin with an id, as acks do.
 */
static bool is_market_data(struct str frame)
{
    return starts_with(frame, STR("{\"T\":")) || starts_with(frame, STR("{\"topic\":")) ||
           starts_with(frame, STR("{\"type\":\"message\"")) ||
           starts_with(frame, STR("{\"data\":{"));
}

static enum control_kind control(struct str frame, struct control_reply *reply)
{
    static const struct str keys[R_COUNT] = {
        [R_ID] = {"id", 2},         [R_TYPE] = {"type", 4},          [R_CODE] = {"code", 4},
        [R_DATA] = {"data", 4},     [R_RESULT] = {"result", 6},      [R_MESSAGE] = {"message", 7},
        [R_REASON] = {"reason", 6}, [R_PING] = {"pingInterval", 12}, [R_TOPIC] = {"topic", 5},
        [R_PUSH] = {"T", 1}};
    *reply = (struct control_reply){.id = -1};
    if (is_market_data(frame)) {
        return CONTROL_NONE;
    }
    struct scan scan = scan_of(frame);
    struct scan_value object, found[R_COUNT];
    if (!scan_value(&scan, &object) || object.type != SCAN_OBJECT || !scan_at_end(&scan)) {
        return CONTROL_NONE;
    }
    scan_find(&object, keys, R_COUNT, found);
    if (found[R_TOPIC].type != SCAN_NONE || found[R_PUSH].type != SCAN_NONE) {
        return CONTROL_NONE;
    }
    if (!scan_value_i64(&found[R_ID], &reply->id) || reply->id < 0) {
        reply->id = -1; /* not one of ours: the connection's own, or none */
    }
    return found[R_TYPE].type != SCAN_NONE ? read_classic(found, reply)
                                           : read_unified(found, reply);
}

static int peek_channel(const struct record *record)
{
    struct str frame = record->payload;
    size_t head = frame.bytes < 200 ? frame.bytes : 200;
    struct str symbols;
    if (starts_with(frame, STR("{\"T\":\""))) {
        const char *end = memchr(frame.data + 6, '"', head - 6);
        enum kucoin_kind kind =
            end != NULL
                ? kucoin_kind_of_channel(str_make(frame.data + 6, (size_t)(end - frame.data) - 6))
                : KUCOIN_UNKNOWN;
        if (kind != KUCOIN_OBU) {
            return kucoin_channel_of_kind(kind);
        }
        const char *depth = memmem(frame.data, head, "\"dp\":\"", 6);
        bool increments = depth == NULL || memmem(depth, (size_t)(frame.data + head - depth),
                                                  "\"increment", 10) != NULL;
        return increments ? CHANNEL_DEPTH : -1; /* other depths are other channels */
    }
    const char *at = memmem(frame.data, head, "\"topic\":\"", 9);
    const char *end =
        at != NULL ? memchr(at + 9, '"', (size_t)(frame.data + head - (at + 9))) : NULL;
    if (end == NULL) {
        return -1;
    }
    return kucoin_channel_of_kind(
        kucoin_kind_of_topic(str_make(at + 9, (size_t)(end - at) - 9), &symbols));
}

/* ---- REST */

static int rest(enum venue_rest call, bool spot, const char *base, struct str symbol,
                struct buf *out)
{
    buf_put_str(out, str_from(base));
    switch (call) {
    case VENUE_REST_INSTRUMENTS:
        buf_put_str(out, spot ? STR("/api/v2/symbols") : STR("/api/v1/contracts/active"));
        return fit(out);
    case VENUE_REST_VOLUMES: /* contracts' turnover stands in their list: read as tickers */
        buf_put_str(out, spot ? STR("/api/v1/market/allTickers")
                              : STR("/api/v1/contracts/active?turnover"));
        return fit(out);
    case VENUE_REST_SNAPSHOT: /* spot's full book needs a key: this one ends at 100 levels */
        buf_put_str(out, spot ? STR("/api/v1/market/orderbook/level2_100?symbol=")
                              : STR("/api/v1/level2/snapshot?symbol="));
        put_percent_encoded(out, symbol);
        return fit(out);
    case VENUE_REST_TOKEN:
        buf_put_str(out, STR("/api/v1/bullet-public"));
        return fit(out);
    case VENUE_REST_OPEN_INTEREST: /* comes on the unified socket */
    case VENUE_REST_COUNT:
        break;
    }
    return MD_ENOTSUP;
}

static int rest_of_spot(enum venue_rest call, const char *base, struct str symbol, struct buf *out)
{
    return rest(call, true, base, symbol, out);
}

static int rest_of_futures(enum venue_rest call, const char *base, struct str symbol,
                           struct buf *out)
{
    return rest(call, false, base, symbol, out);
}

/* Sections 5 and 7: the last 100, no way to page. */
static const struct venue_backfill *backfill_of_spot(bool aggregate)
{
    static const struct venue_backfill plain = {.weight = 3, .rows_max = 100, .last_only = true};
    return aggregate ? NULL : &plain;
}

static const struct venue_backfill *backfill_of_futures(bool aggregate)
{
    static const struct venue_backfill plain = {
        .weight = 5, .rows_max = 100, .newest_first = true, .last_only = true};
    return aggregate ? NULL : &plain;
}

static int rest_trades_of_spot(const char *base, struct str symbol, const struct trades_hole *hole,
                               struct buf *out)
{
    (void)hole;
    buf_put_str(out, str_from(base));
    buf_put_str(out, STR("/api/v1/market/histories?symbol="));
    put_percent_encoded(out, symbol);
    return fit(out);
}

static int rest_trades_of_futures(const char *base, struct str symbol,
                                  const struct trades_hole *hole, struct buf *out)
{
    (void)hole;
    buf_put_str(out, str_from(base));
    buf_put_str(out, STR("/api/v1/trade/history?symbol="));
    put_percent_encoded(out, symbol);
    return fit(out);
}

/* A book's first message comes 0.5 to 6.2 s after its subscription (section 8); contracts' mark
 * prices come every second. */
static struct rhythm rhythm(enum channel channel)
{
    return channel == CHANNEL_DEPTH               ? (struct rhythm){15000, 900000}
           : channel == CHANNEL_BOOK_TICKER       ? (struct rhythm){60000, 900000}
           : channel == CHANNEL_DERIVATIVE_TICKER ? (struct rhythm){30000, 120000}
                                                  : (struct rhythm){0, 0};
}

/* Sequences are one counter a book, the same on both kinds of sockets and in REST. Those of trades
 * have steps (section 4). */
static enum continuity continuity(enum channel channel, int32_t trade_flags)
{
    (void)trade_flags;
    return channel == CHANNEL_DEPTH    ? CONTINUITY_RANGE
           : channel == CHANNEL_TRADES ? CONTINUITY_GROWING
                                       : CONTINUITY_NONE;
}

/* Section 4.1: sequenceStart <= S+1 and sequenceEnd >= S+1. */
static bool joins(const struct depth_event *delta, int64_t snapshot_id)
{
    return delta->first_update_id <= snapshot_id + 1 && snapshot_id + 1 <= delta->last_update_id;
}

/* Section 3. Counted per symbol; spot's cap is the one its error text names today. */
#define CLASSIC(cap, preset)                                                 \
    {                                                                        \
        .name = "classic",                                                   \
        .limits = {.streams_per_connection = (cap),                          \
                   .streams_preset = (preset),                               \
                   .control_messages = 90, /* of 100 */                      \
                   .control_window_ms = 10000,                               \
                   .control_spacing_ms = 150,                                \
                   .subscribe_bytes_max = 4000,                              \
                   .connects = 24, /* of 30 */                               \
                   .connects_window_ms = 60000,                              \
                   .connect_spacing_ms = 2500,                               \
                   .connection_life_ms = 24 * 3600 * 1000LL,                 \
                   .ack_timeout_ms = 10000},                                 \
        .needs_token = true, .waits_welcome = true, .ping_ms = PING_MOST_MS, \
        .silence_ms = 28000 /* ping interval and timeout of the token */     \
    }
/* No life is told of these; they are replaced like the others. */
#define UNIFIED(url)                                                                              \
    {                                                                                             \
        .name = "unified", .ws_url = (url),                                                       \
        .limits = {.streams_per_connection = 600,                                                 \
                   .streams_preset = 300,                                                         \
                   .control_messages = 200, /* of 300 */                                          \
                   .control_window_ms = 10000,                                                    \
                   .control_spacing_ms = 150,                                                     \
                   .subscribe_bytes_max = 1000,                                                   \
                   .connects = 200, /* of 250 */                                                  \
                   .connects_window_ms = 300000,                                                  \
                   .connect_spacing_ms = 1500,                                                    \
                   .connection_life_ms = 24 * 3600 * 1000LL,                                      \
                   .ack_timeout_ms = 10000},                                                      \
        .binary_json = true, .waits_welcome = true, .seeds_books = true, .ping_ms = PING_MOST_MS, \
        .silence_ms = 28000                                                                       \
    }

const struct venue kucoin_spot = {
    .id = VENUE_KUCOIN,
    .name = "kucoin",
    .section = "kucoin",
    .rest_url = "https://api.kucoin.com",
    .rest_weight_per_minute = 4000, /* public pool: 2000 in 30 s */
    .rest_weights = {[VENUE_REST_INSTRUMENTS] = 4,
                     [VENUE_REST_VOLUMES] = 15,
                     [VENUE_REST_SNAPSHOT] = 4,
                     [VENUE_REST_TOKEN] = 10},
    .endpoints = {CLASSIC(400, 300), UNIFIED("wss://x-push-spot.kucoin.com")},
    .endpoint_count = 2,
    .streams = streams_of_spot,
    .streams_per_request = streams_per_request,
    .rate = rate,
    .connect_url = connect_url,
    .subscribe = subscribe_spot,
    .ping = ping,
    .token = read_token,
    .control = control,
    .peek_channel = peek_channel,
    .rest = rest_of_spot,
    .backfill = backfill_of_spot,
    .rest_trades = rest_trades_of_spot,
    .rhythm = rhythm,
    .decode = kucoin_decode,
    .decode_sent = kucoin_decode_sent,
    .continuity = continuity,
    .joins = joins,
};

const struct venue kucoin_futures = {
    .id = VENUE_KUCOIN_FUTURES,
    .name = "kucoin-futures",
    .section = "kucoin_futures",
    .rest_url = "https://api-futures.kucoin.com",
    .rest_weight_per_minute = 4000,
    .rest_weights = {[VENUE_REST_INSTRUMENTS] = 3,
                     [VENUE_REST_VOLUMES] = 3,
                     [VENUE_REST_SNAPSHOT] = 3,
                     [VENUE_REST_TOKEN] = 10},
    .endpoints = {CLASSIC(400, 400), UNIFIED("wss://x-push-futures.kucoin.com")},
    .endpoint_count = 2,
    .futures = true,
    .streams = streams_of_futures,
    .streams_per_request = streams_per_request,
    .rate = rate,
    .connect_url = connect_url,
    .subscribe = subscribe_futures,
    .ping = ping,
    .token = read_token,
    .control = control,
    .peek_channel = peek_channel,
    .rest = rest_of_futures,
    .backfill = backfill_of_futures,
    .rest_trades = rest_trades_of_futures,
    .rhythm = rhythm,
    .decode = kucoin_decode,
    .decode_sent = kucoin_decode_sent,
    .continuity = continuity,
    .joins = joins,
};
