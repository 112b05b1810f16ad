/* Gate, spot and USDT futures: the venues as data, and their feed side. One socket a market, one
 * request form; books come by obu, which begins with a full one. An ack proves nothing here: the
 * watchdog of streams does (rhythm). Source of all facts: docs/exchanges/gate.md. */
#include "exchange/gate.h"

#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "exchange/scan.h"

static const struct kind_row {
    struct str name;
    enum gate_kind kind;
    int channel; /* of its streams; tickers of contracts land in two, this one names them */
} kinds[] = {
    {{"trades", 6}, GATE_TRADES, CHANNEL_TRADES},
    {{"book_ticker", 11}, GATE_BOOK_TICKER, CHANNEL_BOOK_TICKER},
    {{"obu", 3}, GATE_OBU, CHANNEL_DEPTH},
    {{"order_book_update", 17}, GATE_ORDER_BOOK_UPDATE, CHANNEL_DEPTH},
    {{"order_book", 10}, GATE_ORDER_BOOK, -1}, /* by its level */
    {{"candlesticks", 12}, GATE_CANDLES, CHANNEL_CANDLES},
    {{"tickers", 7}, GATE_TICKERS, CHANNEL_TICKER},
    {{"public_liquidates", 17}, GATE_LIQUIDATIONS, CHANNEL_LIQUIDATIONS},
    {{"contract_stats", 14}, GATE_CONTRACT_STATS, CHANNEL_DERIVATIVE_TICKER},
    {{"trades_v2", 9}, GATE_TRADES, CHANNEL_TRADES},
    {{"contract_info", 13}, GATE_OTHER, -1},
    {{"autoorders", 10}, GATE_OTHER, -1},
};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

enum gate_kind gate_kind_of(struct str channel)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (str_equal(channel, kinds[i].name)) {
            return kinds[i].kind;
        }
    }
    return GATE_UNKNOWN;
}

static const struct kind_row *row_of(int kind)
{
    size_t i = 0;
    while ((int)kinds[i].kind != kind) {
        i++; /* each kind we ask for has a row */
    }
    return &kinds[i];
}

struct str gate_obu_symbol(struct str name)
{
    const char *last = memrchr(name.data, '.', name.bytes);
    bool good = name.bytes > 4 && memcmp(name.data, "ob.", 3) == 0 && last > name.data + 3;
    return good ? str_make(name.data + 3, (size_t)(last - name.data) - 3) : (struct str){0};
}

/* ---- streams */

/* Our interval names are the venue's, but for a week. Those of only one market are told by `spot`.
 */
static struct str interval_of(struct str interval, bool spot)
{
    static const char *const both[] = {"10s", "1m", "5m", "15m", "30m", "1h", "4h", "8h", "1d"};
    static const char *const spot_only[] = {"30s", "3m", "2h", "6h", "12h"};
    for (size_t i = 0; i < sizeof both / sizeof both[0]; i++) {
        if (str_equal(interval, str_from(both[i]))) {
            return interval;
        }
    }
    for (size_t i = 0; spot && i < sizeof spot_only / sizeof spot_only[0]; i++) {
        if (str_equal(interval, str_from(spot_only[i]))) {
            return interval;
        }
    }
    return str_equal(interval, STR("1w")) ? STR("7d") : (struct str){0};
}

static bool symbol_fits(struct str symbol)
{
    for (size_t i = 0; i < symbol.bytes; i++) {
        unsigned char c = (unsigned char)symbol.data[i];
        if (c <= 0x20 || c == '"' || c == '\\' || c == ',' || c == '.' || c == 0x7f) {
            return false;
        }
    }
    return symbol.bytes > 0 && symbol.bytes <= 64;
}

static uint32_t kinds_of(const struct stream_request *request, bool spot,
                         enum gate_kind out[VENUE_STREAMS_MAX])
{
    out[0] = GATE_UNKNOWN;
    switch (request->channel) {
    case CHANNEL_TRADES:
        out[0] = request->aggregate ? GATE_UNKNOWN : GATE_TRADES;
        break;
    case CHANNEL_BOOK_TICKER:
        out[0] = GATE_BOOK_TICKER;
        break;
    case CHANNEL_DEPTH:
        out[0] = GATE_OBU;
        break;
    case CHANNEL_BOOK_SNAPSHOT_5:
    case CHANNEL_BOOK_SNAPSHOT_20:
    case CHANNEL_BOOK_SNAPSHOT_50:
        out[0] = GATE_ORDER_BOOK;
        break;
    case CHANNEL_CANDLES:
        out[0] = interval_of(request->interval, spot).bytes > 0 ? GATE_CANDLES : GATE_UNKNOWN;
        break;
    case CHANNEL_TICKER:
        out[0] = GATE_TICKERS;
        break;
    case CHANNEL_DERIVATIVE_TICKER:
        out[0] = spot ? GATE_UNKNOWN : GATE_TICKERS;
        out[1] = GATE_CONTRACT_STATS;
        return spot ? 0 : 2;
    case CHANNEL_LIQUIDATIONS:
        out[0] = spot ? GATE_UNKNOWN : GATE_LIQUIDATIONS;
        break;
    case CHANNEL_GAPS:
    case CHANNEL_INSTRUMENTS:
    case CHANNEL_COUNT:
        break;
    }
    return out[0] != GATE_UNKNOWN;
}

static uint32_t streams(const struct stream_request *request, bool spot,
                        struct venue_stream out[VENUE_STREAMS_MAX])
{
    enum gate_kind found[VENUE_STREAMS_MAX];
    uint32_t count = symbol_fits(request->symbol) ? kinds_of(request, spot, found) : 0;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = (struct venue_stream){.request = *request, .kind = (uint8_t)found[i]};
        if (found[i] == GATE_TICKERS && !spot) { /* one stream, whichever channel wants it */
            out[i].request.channel = CHANNEL_DERIVATIVE_TICKER;
        }
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

/* Lists of pairs go together; what has parameters of its own goes alone (sections 1.1, 2.2). Of obu
 * several a request were seen on futures only. */
static uint32_t streams_per_request(const struct venue_stream *stream)
{
    switch ((enum gate_kind)stream->kind) {
    case GATE_TRADES:
    case GATE_BOOK_TICKER:
    case GATE_TICKERS:
    case GATE_LIQUIDATIONS:
        return 50;
    case GATE_OBU:
    case GATE_ORDER_BOOK_UPDATE:
    case GATE_ORDER_BOOK:
    case GATE_CANDLES:
    case GATE_CONTRACT_STATS:
    case GATE_OTHER:
    case GATE_UNKNOWN:
        return 1;
    }
    return 1;
}

static uint32_t rate(const struct venue_stream *stream)
{
    switch ((enum gate_kind)stream->kind) {
    case GATE_BOOK_TICKER:
        return 40;
    case GATE_TRADES:
    case GATE_OBU:
    case GATE_ORDER_BOOK:
    case GATE_ORDER_BOOK_UPDATE:
        return 10;
    case GATE_TICKERS:
    case GATE_CANDLES:
    case GATE_LIQUIDATIONS:
    case GATE_CONTRACT_STATS:
    case GATE_OTHER:
    case GATE_UNKNOWN:
        return 1;
    }
    return 1;
}

/* ---- requests */

static int fit(const struct buf *out)
{
    return out->overflow ? MD_ETOOBIG : 0;
}

static int connect_url(uint32_t endpoint, const char *base, struct buf *out)
{
    (void)endpoint;
    buf_put_str(out, str_from(base));
    return fit(out);
}

static void put_text(struct buf *out, struct str text)
{
    buf_put_char(out, '"');
    buf_put_str(out, text);
    buf_put_char(out, '"');
}

static struct str level_of(enum channel channel)
{
    return channel == CHANNEL_BOOK_SNAPSHOT_5    ? STR("\"5\"")
           : channel == CHANNEL_BOOK_SNAPSHOT_20 ? STR("\"20\"")
                                                 : STR("\"50\"");
}

static void put_payload(struct buf *out, const struct venue_stream *stream, bool spot)
{
    const struct stream_request *request = &stream->request;
    switch ((enum gate_kind)stream->kind) {
    case GATE_OBU:
        buf_put_str(out, STR("\"ob."));
        buf_put_str(out, request->symbol);
        buf_put_str(out, STR(".400\""));
        return;
    case GATE_ORDER_BOOK:
        put_text(out, request->symbol);
        buf_put_char(out, ',');
        buf_put_str(out, level_of(request->channel));
        buf_put_str(out, spot ? STR(",\"100ms\"") : STR(",\"0\""));
        return;
    case GATE_CANDLES:
        put_text(out, interval_of(request->interval, spot));
        buf_put_char(out, ',');
        put_text(out, request->symbol);
        return;
    case GATE_CONTRACT_STATS:
        put_text(out, request->symbol);
        buf_put_str(out, STR(",\"1m\""));
        return;
    case GATE_TRADES:
    case GATE_BOOK_TICKER:
    case GATE_TICKERS:
    case GATE_LIQUIDATIONS:
    case GATE_ORDER_BOOK_UPDATE:
    case GATE_OTHER:
    case GATE_UNKNOWN:
        put_text(out, request->symbol);
        return;
    }
}

static int subscribe(const struct venue_request *request, bool spot, struct buf *out)
{
    buf_printf(out, "{\"time\":%lld,\"id\":%lld,\"channel\":\"%s.", (long long)request->unix_s,
               (long long)request->id, spot ? "spot" : "futures");
    buf_put_str(out, row_of(request->streams[0]->kind)->name);
    buf_put_str(out, request->subscribe ? STR("\",\"event\":\"subscribe\",\"payload\":[")
                                        : STR("\",\"event\":\"unsubscribe\",\"payload\":["));
    for (uint32_t i = 0; i < request->count; i++) {
        buf_put(out, ",", i > 0);
        put_payload(out, request->streams[i], spot);
    }
    buf_put_str(out, STR("]}"));
    return fit(out);
}

static int subscribe_spot(const struct venue_request *request, struct buf *out)
{
    return subscribe(request, true, out);
}

static int subscribe_futures(const struct venue_request *request, struct buf *out)
{
    return subscribe(request, false, out);
}

static int ping(const char *market, int64_t unix_s, struct buf *out)
{
    buf_printf(out, "{\"time\":%lld,\"channel\":\"%s.ping\"}", (long long)unix_s, market);
    return fit(out);
}

static int ping_spot(uint32_t endpoint, int64_t id, int64_t unix_s, struct buf *out)
{
    (void)endpoint;
    (void)id;
    return ping("spot", unix_s, out);
}

static int ping_futures(uint32_t endpoint, int64_t id, int64_t unix_s, struct buf *out)
{
    (void)endpoint;
    (void)id;
    return ping("futures", unix_s, out);
}

/* ---- replies */

static bool ends_with(struct str text, struct str end)
{
    return text.bytes >= end.bytes &&
           memcmp(text.data + text.bytes - end.bytes, end.data, end.bytes) == 0;
}

/* Section 0.2: errors have {"code","message"}; a stream asked for twice is no error to us. */
static enum control_kind read_ack(const struct scan_value *error, const struct scan_value *result,
                                  struct control_reply *reply)
{
    static const struct str keys[] = {{"code", 4}, {"message", 7}};
    static const struct str status_key[] = {{"status", 6}};
    struct scan_value found[2], status = {.type = SCAN_NONE};
    int64_t code = 0;
    if (error->type == SCAN_OBJECT) {
        scan_find(error, keys, 2, found);
        if (scan_value_i64(&found[0], &code) && code > INT32_MIN && code < INT32_MAX) {
            reply->code = (int)code;
        }
        struct str words = found[1].type == SCAN_STRING ? found[1].text : (struct str){"", 0};
        str_printable(reply->text, sizeof reply->text, words.data, words.bytes);
        bool twice = words.bytes > 9 && memcmp(words.data, "Alert sub", 9) == 0;
        return twice ? CONTROL_ACK : CONTROL_ERROR;
    }
    if (result->type == SCAN_OBJECT) {
        scan_find(result, status_key, 1, &status);
    }
    bool failed = status.type == SCAN_STRING && str_equal(status.text, STR("fail"));
    return failed ? CONTROL_ERROR : CONTROL_ACK;
}

/* Data says "event":"update" or "all" within its first 150 bytes; everything else is looked at. */
static bool is_market_data(struct str frame)
{
    size_t head = frame.bytes < 400 ? frame.bytes : 400;
    bool update = memmem(frame.data, head, "\"event\":\"update\"", 16) != NULL ||
                  memmem(frame.data, head, "\"event\":\"all\"", 13) != NULL;
    return update && memmem(frame.data, head, ".system\"", 8) == NULL;
}

static enum control_kind control(struct str frame, struct control_reply *reply)
{
    if (is_market_data(frame)) {
        return CONTROL_NONE;
    }
    struct scan scan = scan_of(frame);
    struct scan_value object, found[5];
    static const struct str keys[] = {
        {"id", 2}, {"channel", 7}, {"event", 5}, {"error", 5}, {"result", 6}};
    if (!scan_value(&scan, &object) || object.type != SCAN_OBJECT || !scan_at_end(&scan)) {
        return CONTROL_NONE;
    }
    scan_find(&object, keys, 5, found);
    if (found[1].type != SCAN_STRING || found[2].type != SCAN_STRING) {
        return CONTROL_NONE;
    }
    if (!scan_value_i64(&found[0], &reply->id)) {
        reply->id = -1;
    }
    if (ends_with(found[1].text, STR(".system"))) {
        return CONTROL_SHUTDOWN;
    }
    if (ends_with(found[1].text, STR(".pong"))) {
        return CONTROL_OTHER;
    }
    bool asked =
        str_equal(found[2].text, STR("subscribe")) || str_equal(found[2].text, STR("unsubscribe"));
    return asked ? read_ack(&found[3], &found[4], reply) : CONTROL_NONE;
}

/* Of an order_book: its depth, `"l":"20"`; -1: not said. */
static int peek_book(struct str frame)
{
    const char *at = memmem(frame.data, frame.bytes, "\"l\":\"", 5);
    const char *end = frame.data + frame.bytes;
    int depth = 0;
    for (at = at != NULL ? at + 5 : end; at < end && *at >= '0' && *at <= '9' && depth < 100;
         at++) {
        depth = depth * 10 + (*at - '0');
    }
    return depth == 0    ? -1
           : depth <= 5  ? CHANNEL_BOOK_SNAPSHOT_5
           : depth <= 20 ? CHANNEL_BOOK_SNAPSHOT_20
                         : CHANNEL_BOOK_SNAPSHOT_50;
}

static int peek_channel(const struct record *record)
{
    struct str frame = record->payload;
    size_t head = frame.bytes < 200 ? frame.bytes : 200;
    const char *at = memmem(frame.data, head, "\"channel\":\"", 11);
    const char *dot = at != NULL ? memchr(at, '.', (size_t)(frame.data + head - at)) : NULL;
    const char *end = dot != NULL ? memchr(dot, '"', (size_t)(frame.data + head - dot)) : NULL;
    if (end == NULL) {
        return -1;
    }
    enum gate_kind kind = gate_kind_of(str_make(dot + 1, (size_t)(end - dot) - 1));
    return kind == GATE_UNKNOWN      ? -1
           : kind == GATE_ORDER_BOOK ? peek_book(frame)
                                     : row_of((int)kind)->channel;
}

/* ---- REST */

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

static int rest(enum venue_rest call, bool spot, const char *base, struct str symbol,
                struct buf *out)
{
    buf_put_str(out, str_from(base));
    switch (call) {
    case VENUE_REST_INSTRUMENTS:
        buf_put_str(out, spot ? STR("/spot/currency_pairs") : STR("/futures/usdt/contracts"));
        return fit(out);
    case VENUE_REST_VOLUMES:
        buf_put_str(out, spot ? STR("/spot/tickers") : STR("/futures/usdt/tickers"));
        return fit(out);
    case VENUE_REST_SNAPSHOT:
        buf_put_str(out, spot ? STR("/spot/order_book?currency_pair=")
                              : STR("/futures/usdt/order_book?contract="));
        put_percent_encoded(out, symbol);
        buf_put_str(out, STR("&limit=100&with_id=true"));
        return fit(out);
    case VENUE_REST_OPEN_INTEREST:
    case VENUE_REST_TOKEN:
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

/* Sections 1.4 and 2.5: lists go back from the end of the time that is asked for. */
static const struct venue_backfill *backfill(bool aggregate)
{
    static const struct venue_backfill plain = {
        .weight = 1, .rows_max = 1000, .newest_first = true};
    return aggregate ? NULL : &plain;
}

#define TRADES_BEFORE_S 10 /* a trade is received later than it is made */
#define TRADES_AFTER_S 2

static int rest_trades(bool spot, const char *base, struct str symbol,
                       const struct trades_hole *hole, struct buf *out)
{
    buf_put_str(out, str_from(base));
    buf_put_str(out,
                spot ? STR("/spot/trades?currency_pair=") : STR("/futures/usdt/trades?contract="));
    put_percent_encoded(out, symbol);
    buf_printf(out, "&limit=1000&from=%lld&to=%lld",
               (long long)(hole->start_unix_ns / NS_PER_S - TRADES_BEFORE_S),
               (long long)(hole->end_unix_ns / NS_PER_S + TRADES_AFTER_S));
    return fit(out);
}

static int rest_trades_of_spot(const char *base, struct str symbol, const struct trades_hole *hole,
                               struct buf *out)
{
    return rest_trades(true, base, symbol, hole, out);
}

static int rest_trades_of_futures(const char *base, struct str symbol,
                                  const struct trades_hole *hole, struct buf *out)
{
    return rest_trades(false, base, symbol, hole, out);
}

/* Section 0.2: obu acks what it never sends; its full book comes within ten seconds or not at all.
 */
static struct rhythm rhythm(enum channel channel)
{
    return channel == CHANNEL_DEPTH               ? (struct rhythm){10000, 900000}
           : channel == CHANNEL_BOOK_TICKER       ? (struct rhythm){60000, 900000}
           : channel == CHANNEL_DERIVATIVE_TICKER ? (struct rhythm){90000, 300000}
                                                  : (struct rhythm){0, 0};
}

/* ---- decode side: what a request named */

struct sent {
    bool on, candles, book, obu;
    int channel;
    sent_sink on_stream;
    void *context;
};

static int book_channel(struct str level)
{
    return str_equal(level, STR("5"))    ? CHANNEL_BOOK_SNAPSHOT_5
           : str_equal(level, STR("20")) ? CHANNEL_BOOK_SNAPSHOT_20
           : str_equal(level, STR("50")) ? CHANNEL_BOOK_SNAPSHOT_50
                                         : -1;
}

static void sent_payload(const struct scan_value *payload, enum gate_kind kind, struct sent *sent)
{
    struct scan scan = scan_enter(payload);
    struct scan_value item;
    struct str items[3];
    uint32_t count = 0;
    bool list = kind == GATE_TRADES || kind == GATE_BOOK_TICKER || kind == GATE_TICKERS ||
                kind == GATE_LIQUIDATIONS || kind == GATE_OBU;
    while (scan_element(&scan, &item)) {
        if (item.type != SCAN_STRING || item.escaped) {
            return;
        }
        if (list) {
            struct str symbol = kind == GATE_OBU ? gate_obu_symbol(item.text) : item.text;
            if (symbol.bytes > 0 && symbol.bytes <= 512 && symbol.data[0] != '!') {
                sent->on_stream(sent->context, sent->on, (enum channel)sent->channel, false,
                                symbol);
            }
        } else if (count < 3) {
            items[count++] = item.text;
        }
    }
    if (list || count == 0) {
        return;
    }
    struct str symbol = kind == GATE_CANDLES && count > 1 ? items[1] : items[0];
    int channel =
        kind == GATE_ORDER_BOOK ? (count > 1 ? book_channel(items[1]) : -1) : sent->channel;
    if (channel >= 0 && symbol.bytes > 0 && symbol.bytes <= 512) {
        sent->on_stream(sent->context, sent->on, (enum channel)channel, false, symbol);
    }
}

static void decode_sent(const struct record *record, sent_sink on_stream, void *context)
{
    struct scan scan = scan_of(record->payload);
    struct scan_value object, found[3];
    static const struct str keys[] = {{"channel", 7}, {"event", 5}, {"payload", 7}};
    if (!scan_value(&scan, &object) || object.type != SCAN_OBJECT) {
        return;
    }
    scan_find(&object, keys, 3, found);
    if (found[0].type != SCAN_STRING || found[1].type != SCAN_STRING ||
        found[2].type != SCAN_ARRAY) {
        return;
    }
    const char *dot = memchr(found[0].text.data, '.', found[0].text.bytes);
    struct sent sent = {.on = str_equal(found[1].text, STR("subscribe")),
                        .on_stream = on_stream,
                        .context = context};
    if (dot == NULL || (!sent.on && !str_equal(found[1].text, STR("unsubscribe")))) {
        return;
    }
    size_t head = (size_t)(dot - found[0].text.data) + 1;
    enum gate_kind kind = gate_kind_of(str_make(dot + 1, found[0].text.bytes - head));
    if (kind == GATE_UNKNOWN || kind == GATE_OTHER) {
        return;
    }
    sent.channel = row_of((int)kind)->channel;
    if (kind == GATE_TICKERS && found[0].text.data[0] == 'f') {
        sent.channel = CHANNEL_DERIVATIVE_TICKER; /* contracts: the 24 h ticker comes along */
    }
    sent_payload(&found[2], kind, &sent);
}

/* Update ids are one counter a pair. Trade ids of spot are no proof over the years, those of
 * contracts are not said to be contiguous (sections 1.2, 1.3). */
static enum continuity continuity(enum channel channel, int32_t trade_flags)
{
    (void)trade_flags;
    return channel == CHANNEL_DEPTH    ? CONTINUITY_RANGE
           : channel == CHANNEL_TRADES ? CONTINUITY_GROWING
                                       : CONTINUITY_NONE;
}

/* Section 1.3: U <= id + 1 <= u. */
static bool joins(const struct depth_event *delta, int64_t snapshot_id)
{
    return delta->first_update_id <= snapshot_id + 1 && snapshot_id + 1 <= delta->last_update_id;
}

#define LIMITS                                                                                \
    {                                                                                         \
        .streams_per_connection = 1000, /* none published; 385 pairs on one socket seen */    \
            .streams_preset = 300,                                                            \
        .control_messages = 20, /* none published; 150 in one burst were taken */             \
            .control_window_ms = 1000, .control_spacing_ms = 50, .subscribe_bytes_max = 4000, \
        .connects = 60, /* none published; at most 100 connections a host recommended */      \
            .connects_window_ms = 60000, .connect_spacing_ms = 500, .connection_life_ms = 0,  \
        .ack_timeout_ms = 10000,                                                              \
    }

const struct venue gate_spot = {
    .id = VENUE_GATE,
    .name = "gate-io",
    .section = "gate",
    .rest_url = "https://api.gateio.ws/api/v4",
    .rest_book_ids = true,
    .rest_weight_per_minute = 600, /* 200 in 10 s for each endpoint: half of it for all */
    .rest_weights =
        {[VENUE_REST_INSTRUMENTS] = 1, [VENUE_REST_VOLUMES] = 1, [VENUE_REST_SNAPSHOT] = 1},
    .endpoints = {{.name = "v4",
                   .ws_url = "wss://api.gateio.ws/ws/v4/",
                   .limits = LIMITS,
                   .seeds_books = true,
                   .ping_ms = 15000, /* section 0.3: cut after 30 s or 60 s without */
                   .silence_ms = 45000}},
    .endpoint_count = 1,
    .streams = streams_of_spot,
    .streams_per_request = streams_per_request,
    .rate = rate,
    .connect_url = connect_url,
    .subscribe = subscribe_spot,
    .ping = ping_spot,
    .control = control,
    .peek_channel = peek_channel,
    .rest = rest_of_spot,
    .backfill = backfill,
    .rest_trades = rest_trades_of_spot,
    .rhythm = rhythm,
    .decode = gate_decode,
    .decode_sent = decode_sent,
    .continuity = continuity,
    .joins = joins,
};

const struct venue gate_futures = {
    .id = VENUE_GATE_FUTURES,
    .name = "gate-io-futures",
    .section = "gate_futures",
    .rest_url = "https://api.gateio.ws/api/v4",
    .rest_header = "X-Gate-Size-Decimal: 1", /* section 2.1: else sizes are cut to whole ones */
    .rest_book_ids = true,
    .rest_weight_per_minute = 600,
    .rest_weights =
        {[VENUE_REST_INSTRUMENTS] = 1, [VENUE_REST_VOLUMES] = 1, [VENUE_REST_SNAPSHOT] = 1},
    .endpoints = {{.name = "v4",
                   .ws_url = "wss://fx-ws.gateio.ws/v4/ws/usdt",
                   .limits = LIMITS,
                   .seeds_books = true,
                   .ping_ms = 15000,
                   .silence_ms = 45000,
                   .headers = "X-Gate-Size-Decimal: 1\r\n"}},
    .endpoint_count = 1,
    .futures = true,
    .streams = streams_of_futures,
    .streams_per_request = streams_per_request,
    .rate = rate,
    .connect_url = connect_url,
    .subscribe = subscribe_futures,
    .ping = ping_futures,
    .control = control,
    .peek_channel = peek_channel,
    .rest = rest_of_futures,
    .backfill = backfill,
    .rest_trades = rest_trades_of_futures,
    .rhythm = rhythm,
    .decode = gate_decode,
    .decode_sent = decode_sent,
    .continuity = continuity,
    .joins = joins,
};
