/* Binance spot, JSON: the venue as data, and its feed side (what to ask and how replies look).
 * Source of all protocol facts unless said otherwise: the official spot documents
 * (web-socket-streams, rest-api, market-data-only), read 2026-07-21, as set down in
 * docs/exchanges/binance-spot.md. */
#include "exchange/binance_spot.h"

#include "base/assert.h"
#include "exchange/scan.h"

static int fit(const struct buf *out)
{
    return out->overflow ? MD_ETOOBIG : 0;
}

/* "/stream" wraps each event with its stream's name: partial depth and bookTicker say neither event
 * nor (partial depth) symbol themselves (section 1). */
static int connect_url(uint32_t endpoint, const char *base, struct buf *out)
{
    (void)endpoint;
    buf_printf(out, "%s/stream?timeUnit=MICROSECOND", base);
    return fit(out);
}

/* Stream names are lower case in ASCII; other bytes as they are (section 1). */
static void put_lower(struct buf *out, struct str symbol)
{
    for (size_t i = 0; i < symbol.bytes; i++) {
        char c = symbol.data[i];
        buf_put_char(out, c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c);
    }
}

static bool symbol_fits(struct str symbol)
{
    for (size_t i = 0; i < symbol.bytes; i++) {
        unsigned char c = (unsigned char)symbol.data[i];
        if (c <= 0x20 || c == '"' || c == '\\' || c == '@' || c == '/' || c == 0x7f) {
            return false;
        }
    }
    return symbol.bytes > 0 && symbol.bytes <= 64;
}

static bool interval_known(struct str interval)
{
    static const char *const known[] = {"1s", "1m", "3m", "5m",  "15m", "30m", "1h", "2h",
                                        "4h", "6h", "8h", "12h", "1d",  "3d",  "1w", "1M"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (str_equal(interval, str_from(known[i]))) {
            return true;
        }
    }
    return false;
}

static int kind_of(const struct stream_request *request)
{
    switch (request->channel) {
    case CHANNEL_TRADES:
        return request->aggregate ? BINANCE_STREAM_AGG_TRADE : BINANCE_STREAM_TRADE;
    case CHANNEL_BOOK_TICKER:
        return BINANCE_STREAM_BOOK_TICKER;
    case CHANNEL_DEPTH:
        return BINANCE_STREAM_DEPTH;
    case CHANNEL_BOOK_SNAPSHOT_5:
        return BINANCE_STREAM_PARTIAL_5;
    case CHANNEL_BOOK_SNAPSHOT_20:
        return BINANCE_STREAM_PARTIAL_20;
    case CHANNEL_CANDLES:
        return interval_known(request->interval) ? BINANCE_STREAM_KLINE : BINANCE_STREAM_UNKNOWN;
    case CHANNEL_TICKER:
        return BINANCE_STREAM_TICKER;
    case CHANNEL_BOOK_SNAPSHOT_50:
    case CHANNEL_DERIVATIVE_TICKER:
    case CHANNEL_LIQUIDATIONS:
    case CHANNEL_GAPS:
    case CHANNEL_INSTRUMENTS:
    case CHANNEL_COUNT:
        return BINANCE_STREAM_UNKNOWN;
    }
    return BINANCE_STREAM_UNKNOWN;
}

static uint32_t streams(const struct stream_request *request, uint32_t options,
                        struct venue_stream out[VENUE_STREAMS_MAX])
{
    (void)options;
    int kind = kind_of(request);
    if (kind == BINANCE_STREAM_UNKNOWN || !symbol_fits(request->symbol)) {
        return 0;
    }
    out[0] = (struct venue_stream){.request = *request, .endpoint = 0, .kind = (uint8_t)kind};
    return 1;
}

static uint32_t streams_per_request(const struct venue_stream *stream)
{
    (void)stream;
    return 200;
}

/* Of a busy pair, as recordings show. */
static uint32_t rate(const struct venue_stream *stream)
{
    switch ((enum binance_stream)stream->kind) {
    case BINANCE_STREAM_BOOK_TICKER:
        return 60;
    case BINANCE_STREAM_TRADE:
        return 30;
    case BINANCE_STREAM_AGG_TRADE:
        return 20;
    case BINANCE_STREAM_DEPTH:
    case BINANCE_STREAM_PARTIAL_5:
    case BINANCE_STREAM_PARTIAL_20:
        return 10;
    case BINANCE_STREAM_KLINE:
    case BINANCE_STREAM_TICKER:
    case BINANCE_STREAM_MINI_TICKER:
    case BINANCE_STREAM_UNKNOWN:
        return 1;
    }
    return 1;
}

static void put_stream_name(struct buf *out, const struct venue_stream *stream)
{
    static const struct str tails[] = {
        [BINANCE_STREAM_TRADE] = {"@trade", 6},
        [BINANCE_STREAM_AGG_TRADE] = {"@aggTrade", 9},
        [BINANCE_STREAM_BOOK_TICKER] = {"@bookTicker", 11},
        [BINANCE_STREAM_DEPTH] = {"@depth@100ms", 12},
        [BINANCE_STREAM_PARTIAL_5] = {"@depth5@100ms", 13},
        [BINANCE_STREAM_PARTIAL_20] = {"@depth20@100ms", 14},
        [BINANCE_STREAM_KLINE] = {"@kline_", 7},
        [BINANCE_STREAM_TICKER] = {"@ticker", 7},
        [BINANCE_STREAM_MINI_TICKER] = {"@miniTicker", 11},
    };
    put_lower(out, stream->request.symbol);
    buf_put_str(out, tails[stream->kind]);
    if (stream->kind == BINANCE_STREAM_KLINE) {
        buf_put_str(out, stream->request.interval);
    }
}

static int subscribe(const struct venue_request *request, struct buf *out)
{
    buf_put_str(out, request->subscribe ? STR("{\"method\":\"SUBSCRIBE\",\"params\":[")
                                        : STR("{\"method\":\"UNSUBSCRIBE\",\"params\":["));
    for (uint32_t i = 0; i < request->count; i++) {
        buf_put_str(out, i > 0 ? STR(",\"") : STR("\""));
        put_stream_name(out, request->streams[i]);
        buf_put_char(out, '"');
    }
    buf_put_str(out, STR("],\"id\":"));
    buf_put_i64(out, request->id);
    buf_put_char(out, '}');
    return fit(out);
}

/* Market data begins {"stream":"... or, from some servers, {"data":; everything else is looked at.
 */
static bool is_market_data(struct str frame)
{
    return frame.bytes > 12 && memcmp(frame.data, "{\"stream\":\"", 11) == 0 &&
           frame.data[11] != '!';
}

static void copy_words(char *out, size_t capacity, const struct scan_value *value)
{
    size_t bytes = value->type == SCAN_STRING ? value->text.bytes : 0;
    str_printable(out, capacity, value->text.data, bytes);
}

static enum control_kind read_error(const struct scan_value *code, const struct scan_value *message,
                                    struct control_reply *reply)
{
    int64_t number = 0;
    reply->code =
        scan_value_i64(code, &number) && number > INT32_MIN && number < INT32_MAX ? (int)number : 0;
    copy_words(reply->text, sizeof reply->text, message);
    return CONTROL_ERROR;
}

/* Section 3: acks {"result":null,"id":1}, never wrapped; errors {"code":,"msg":,"id":} or nested in
 * "error". Section 2: serverShutdown, raw or wrapped as stream "!serverShutdown". */
static enum control_kind control(struct str frame, struct control_reply *reply)
{
    if (is_market_data(frame)) {
        return CONTROL_NONE;
    }
    struct scan scan = scan_of(frame);
    struct scan_value object;
    if (!scan_value(&scan, &object) || object.type != SCAN_OBJECT || !scan_at_end(&scan)) {
        return CONTROL_NONE;
    }
    static const struct str keys[] = {{"result", 6}, {"id", 2},     {"code", 4}, {"msg", 3},
                                      {"error", 5},  {"stream", 6}, {"e", 1}};
    struct scan_value found[7];
    scan_find(&object, keys, 7, found);
    if (!scan_value_i64(&found[1], &reply->id)) {
        reply->id = -1;
    }
    if (found[4].type == SCAN_OBJECT) {
        struct scan_value nested[2];
        scan_find(&found[4], keys + 2, 2, nested);
        return read_error(&nested[0], &nested[1], reply);
    }
    if (found[2].type != SCAN_NONE && found[3].type != SCAN_NONE) {
        return read_error(&found[2], &found[3], reply);
    }
    bool shutdown =
        (found[5].type == SCAN_STRING && str_equal(found[5].text, STR("!serverShutdown"))) ||
        (found[6].type == SCAN_STRING && str_equal(found[6].text, STR("serverShutdown")));
    if (shutdown) {
        return CONTROL_SHUTDOWN;
    }
    if (found[0].type != SCAN_NONE && found[5].type == SCAN_NONE) {
        return CONTROL_ACK;
    }
    return CONTROL_NONE;
}

static int peek_channel(const struct record *record)
{
    struct str frame = record->payload;
    static const char head[] = "{\"stream\":\"";
    size_t bytes = sizeof head - 1;
    if (frame.bytes < bytes || memcmp(frame.data, head, bytes) != 0) {
        return -1;
    }
    const char *end = memchr(frame.data + bytes, '"', frame.bytes - bytes);
    struct str symbol;
    return end == NULL
               ? -1
               : binance_spot_channel(binance_spot_stream(
                     str_make(frame.data + bytes, (size_t)(end - frame.data) - bytes), &symbol));
}

static void put_percent_encoded(struct buf *out, struct str text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~';
        if (plain) {
            buf_put_char(out, (char)c);
        } else {
            buf_put_char(out, '%');
            buf_put_char(out, digits[c >> 4]);
            buf_put_char(out, digits[c & 15]);
        }
    }
}

static int rest(enum venue_rest call, const char *base, struct str symbol, struct buf *out)
{
    buf_put_str(out, str_from(base));
    switch (call) {
    case VENUE_REST_INSTRUMENTS:
        buf_put_str(out, STR("/api/v3/exchangeInfo?showPermissionSets=false"));
        return fit(out);
    case VENUE_REST_VOLUMES:
        buf_put_str(out, STR("/api/v3/ticker/24hr?type=MINI"));
        return fit(out);
    case VENUE_REST_SNAPSHOT:
        buf_put_str(out, STR("/api/v3/depth?symbol="));
        put_percent_encoded(out, symbol);
        buf_put_str(out, STR("&limit=1000"));
        return fit(out);
    case VENUE_REST_OPEN_INTEREST:
    case VENUE_REST_TOKEN:
    case VENUE_REST_COUNT:
        break;
    }
    return MD_ENOTSUP;
}

/* Books of listed pairs change many times a minute; the 24 h ticker is sent each second when it
 * changed. Trades of a small pair may be hours apart. */
static struct rhythm rhythm(enum channel channel)
{
    return channel == CHANNEL_DEPTH || channel == CHANNEL_BOOK_TICKER
               ? (struct rhythm){60000, 900000}
               : (struct rhythm){0, 0};
}

static void sent_names(const struct scan_value *params, bool on,
                       void (*on_stream)(void *context, bool subscribe, enum channel channel,
                                         struct str symbol),
                       void *context)
{
    struct scan names = scan_enter(params);
    struct scan_value name;
    while (scan_element(&names, &name)) {
        struct str symbol;
        char upper[512];
        if (name.type != SCAN_STRING || name.escaped || name.text.bytes > sizeof upper) {
            continue;
        }
        int channel = binance_spot_channel(binance_spot_stream(name.text, &symbol));
        for (size_t i = 0; i < symbol.bytes; i++) {
            char c = symbol.data[i];
            upper[i] = c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
        }
        if (channel >= 0) {
            on_stream(context, on, (enum channel)channel, str_make(upper, symbol.bytes));
        }
    }
}

static void decode_sent(const struct record *record,
                        void (*on_stream)(void *context, bool subscribe, enum channel channel,
                                          struct str symbol),
                        void *context)
{
    struct scan scan = scan_of(record->payload);
    struct scan_value object, found[2];
    static const struct str keys[] = {{"method", 6}, {"params", 6}};
    if (!scan_value(&scan, &object) || object.type != SCAN_OBJECT) {
        return;
    }
    scan_find(&object, keys, 2, found);
    bool on = found[0].type == SCAN_STRING && str_equal(found[0].text, STR("SUBSCRIBE"));
    bool off = found[0].type == SCAN_STRING && str_equal(found[0].text, STR("UNSUBSCRIBE"));
    if ((on || off) && found[1].type == SCAN_ARRAY) {
        sent_names(&found[1], on, on_stream, context);
    }
}

/* Trade ids and aggregate ids are contiguous per symbol, each in a space of its own; depth follows
 * by U = last u + 1 (sections 5 and 6). bookTicker's u is not contiguous, the others carry no id.
 */
static enum continuity continuity(enum channel channel, int32_t trade_flags)
{
    (void)trade_flags;
    return channel == CHANNEL_TRADES  ? CONTINUITY_PLUS_ONE
           : channel == CHANNEL_DEPTH ? CONTINUITY_RANGE
                                      : CONTINUITY_NONE;
}

/* Section 5, step 3: the first event kept must satisfy U <= lastUpdateId + 1 <= u. */
static bool joins(const struct depth_event *delta, int64_t snapshot_id)
{
    return delta->first_update_id <= snapshot_id + 1 && snapshot_id + 1 <= delta->last_update_id;
}

const struct venue binance_spot = {
    .id = VENUE_BINANCE,
    .name = "binance",
    .section = "binance",
    .rest_url = "https://data-api.binance.vision",
    .rest_weight_per_minute = 6000,
    .rest_weights =
        {
            [VENUE_REST_INSTRUMENTS] = 20,
            [VENUE_REST_VOLUMES] = 80,
            [VENUE_REST_SNAPSHOT] = 50, /* limit 501-1000 */
        },
    .endpoints =
        {
            {
                .name = "json",
                .ws_url = "wss://data-stream.binance.vision",
                .limits =
                    {
                        .streams_per_connection = 1024, /* section 2 */
                        .streams_preset = 300,
                        /* 5 a second are allowed, pongs among them: keep below */
                        .control_messages = 4,
                        .control_window_ms = 1000,
                        .control_spacing_ms = 350,
                        /* above 4,096 with the frame's head the server is silent */
                        .subscribe_bytes_max = 3900,
                        .connects = 250, /* 300 in 5 minutes are allowed */
                        .connects_window_ms = 300000,
                        .connect_spacing_ms = 250,
                        .connection_life_ms = 86400000,
                        .ack_timeout_ms = 10000,
                    },
                .mixed_requests = true,
            },
        },
    .endpoint_count = 1,
    .seed_symbol = "BTCUSDT",
    .streams = streams,
    .streams_per_request = streams_per_request,
    .rate = rate,
    .connect_url = connect_url,
    .subscribe = subscribe,
    .control = control,
    .peek_channel = peek_channel,
    .rest = rest,
    .rhythm = rhythm,
    .decode = binance_spot_decode,
    .decode_sent = decode_sent,
    .continuity = continuity,
    .joins = joins,
};
