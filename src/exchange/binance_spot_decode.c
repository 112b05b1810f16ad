/* Binance spot, JSON: frames to events. Each stream has a predicted reader (the key order
 * recordings show) and a general one (any order, any extra keys, numbers as numbers or as strings);
 * a surprise in the first is read again by the second. Nothing is emitted before the whole message
 * is known good. Memory: the decoder's levels. Facts: docs/exchanges/binance-spot.md, section 4. */
#include "base/assert.h"
#include "base/clock.h"
#include "exchange/binance_common.h"
#include "exchange/binance_sbe.h"
#include "exchange/binance_spot.h"
#include "exchange/reading.h"

/* ---- stream names */

static bool begins_with(struct str text, struct str head)
{
    return text.bytes >= head.bytes && memcmp(text.data, head.data, head.bytes) == 0;
}

enum binance_stream binance_spot_stream(struct str name, struct str *symbol)
{
    static const struct {
        struct str tail;
        enum binance_stream stream;
    } tails[] = {
        {{"depth@100ms", 11}, BINANCE_STREAM_DEPTH},
        {{"bookTicker", 10}, BINANCE_STREAM_BOOK_TICKER},
        {{"trade", 5}, BINANCE_STREAM_TRADE},
        {{"aggTrade", 8}, BINANCE_STREAM_AGG_TRADE},
        {{"ticker", 6}, BINANCE_STREAM_TICKER},
        {{"depth", 5}, BINANCE_STREAM_DEPTH},
        {{"depth5@100ms", 12}, BINANCE_STREAM_PARTIAL_5},
        {{"depth20@100ms", 13}, BINANCE_STREAM_PARTIAL_20},
        {{"depth5", 6}, BINANCE_STREAM_PARTIAL_5},
        {{"depth20", 7}, BINANCE_STREAM_PARTIAL_20},
        {{"miniTicker", 10}, BINANCE_STREAM_MINI_TICKER},
        {{"bestBidAsk", 10}, BINANCE_STREAM_BOOK_TICKER}, /* SBE */
    };
    const char *at = memchr(name.data, '@', name.bytes);
    *symbol = name;
    if (at == NULL || at == name.data) {
        return BINANCE_STREAM_UNKNOWN;
    }
    symbol->bytes = (size_t)(at - name.data);
    struct str kind = str_make(at + 1, name.bytes - symbol->bytes - 1);
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        if (str_equal(kind, tails[i].tail)) {
            return tails[i].stream;
        }
    }
    /* kline_1m, kline_1m@+08:00 */
    return begins_with(kind, STR("kline_")) && kind.bytes > 6 ? BINANCE_STREAM_KLINE
                                                              : BINANCE_STREAM_UNKNOWN;
}

int binance_spot_channel(enum binance_stream stream)
{
    switch (stream) {
    case BINANCE_STREAM_TRADE:
    case BINANCE_STREAM_AGG_TRADE:
        return CHANNEL_TRADES;
    case BINANCE_STREAM_BOOK_TICKER:
        return CHANNEL_BOOK_TICKER;
    case BINANCE_STREAM_DEPTH:
        return CHANNEL_DEPTH;
    case BINANCE_STREAM_PARTIAL_5:
        return CHANNEL_BOOK_SNAPSHOT_5;
    case BINANCE_STREAM_PARTIAL_20:
        return CHANNEL_BOOK_SNAPSHOT_20;
    case BINANCE_STREAM_KLINE:
        return CHANNEL_CANDLES;
    case BINANCE_STREAM_TICKER:
    case BINANCE_STREAM_MINI_TICKER:
        return CHANNEL_TICKER;
    case BINANCE_STREAM_UNKNOWN:
        return -1;
    }
    return -1;
}

/* The payload is over: "}" of the wrapper and nothing else. */
static bool predicted_end(struct scan *scan)
{
    return scan_expect(scan, "}") && scan->p == scan->end;
}

/* ---- predicted shapes. Each returns true when the message was read whole; false leaves it to the
 * general reader, whatever was stored so far is overwritten. */

static bool predicted_trade(struct reading *reading, struct scan *scan)
{
    struct event *event = &reading->event;
    struct trade_event *trade = &event->trade;
    bool aggregate = reading->kind == BINANCE_STREAM_AGG_TRADE;
    int64_t sent = 0, traded = 0, ignored = 0;
    bool maker = false, best = false;
    if (!(aggregate ? scan_expect(scan, "{\"e\":\"aggTrade\",\"E\":")
                    : scan_expect(scan, "{\"e\":\"trade\",\"E\":")) ||
        !scan_i64(scan, &sent) || !scan_expect(scan, ",\"s\":\"") ||
        !scan_text(scan, &event->symbol) ||
        !(aggregate ? scan_expect(scan, ",\"a\":") : scan_expect(scan, ",\"t\":")) ||
        !scan_i64(scan, &trade->trade_id) || !scan_expect(scan, ",\"p\":\"") ||
        !reading_predicted_decimal(reading, scan, &trade->price) ||
        !scan_expect(scan, ",\"q\":\"") ||
        !reading_predicted_decimal(reading, scan, &trade->amount)) {
        return false;
    }
    if (aggregate && (!scan_expect(scan, ",\"f\":") || !scan_i64(scan, &ignored) ||
                      !scan_expect(scan, ",\"l\":") || !scan_i64(scan, &ignored))) {
        return false;
    }
    if (!scan_expect(scan, ",\"T\":") || !scan_i64(scan, &traded) ||
        !scan_expect(scan, ",\"m\":") || !reading_predicted_bool(scan, &maker)) {
        return false;
    }
    if (scan_expect(scan, ",\"M\":") && !reading_predicted_bool(scan, &best)) {
        return false;
    }
    if (!scan_expect(scan, "}") || !predicted_end(scan) ||
        !reading_time_ms_ns(reading, traded, &event->event_unix_ns)) {
        return false;
    }
    trade->side = maker ? SIDE_SELL : SIDE_BUY;
    return true;
}

static bool predicted_book_ticker(struct reading *reading, struct scan *scan)
{
    struct book_ticker_event *ticker = &reading->event.book_ticker;
    if (!scan_expect(scan, "{\"u\":") || !scan_i64(scan, &ticker->update_id) ||
        !scan_expect(scan, ",\"s\":\"") || !scan_text(scan, &reading->event.symbol) ||
        !scan_expect(scan, ",\"b\":\"") ||
        !reading_predicted_decimal(reading, scan, &ticker->bid_price.value) ||
        !scan_expect(scan, ",\"B\":\"") ||
        !reading_predicted_decimal(reading, scan, &ticker->bid_amount.value) ||
        !scan_expect(scan, ",\"a\":\"") ||
        !reading_predicted_decimal(reading, scan, &ticker->ask_price.value) ||
        !scan_expect(scan, ",\"A\":\"") ||
        !reading_predicted_decimal(reading, scan, &ticker->ask_amount.value) ||
        !scan_expect(scan, "}") || !predicted_end(scan)) {
        return false;
    }
    ticker->bid_price.set = ticker->bid_amount.set = true;
    ticker->ask_price.set = ticker->ask_amount.set = true;
    return true;
}

static bool predicted_depth(struct reading *reading, struct scan *scan)
{
    struct event *event = &reading->event;
    struct depth_event *depth = &event->depth;
    struct level *bids = reading->decoder->levels;
    struct level *asks = bids + reading->decoder->levels_max;
    int64_t sent = 0;
    if (!scan_expect(scan, "{\"e\":\"depthUpdate\",\"E\":") || !scan_i64(scan, &sent) ||
        !scan_expect(scan, ",\"s\":\"") || !scan_text(scan, &event->symbol) ||
        !scan_expect(scan, ",\"U\":") || !scan_i64(scan, &depth->first_update_id) ||
        !scan_expect(scan, ",\"u\":") || !scan_i64(scan, &depth->last_update_id) ||
        !scan_expect(scan, ",\"b\":") ||
        !reading_predicted_levels(reading, scan, bids, &depth->bid_count) ||
        !scan_expect(scan, ",\"a\":") ||
        !reading_predicted_levels(reading, scan, asks, &depth->ask_count) ||
        !scan_expect(scan, "}") || !predicted_end(scan) ||
        !reading_time_ms_ns(reading, sent, &event->event_unix_ns)) {
        return false;
    }
    depth->bids = bids;
    depth->asks = asks;
    return true;
}

static bool predicted_partial(struct reading *reading, struct scan *scan)
{
    struct book_snapshot_event *book = &reading->event.book_snapshot;
    struct level *bids = reading->decoder->levels;
    struct level *asks = bids + reading->decoder->levels_max;
    if (!scan_expect(scan, "{\"lastUpdateId\":") || !scan_i64(scan, &book->last_update_id) ||
        !scan_expect(scan, ",\"bids\":") ||
        !reading_predicted_levels(reading, scan, bids, &book->bid_count) ||
        !scan_expect(scan, ",\"asks\":") ||
        !reading_predicted_levels(reading, scan, asks, &book->ask_count) ||
        !scan_expect(scan, "}") || !predicted_end(scan)) {
        return false;
    }
    book->bids = bids;
    book->asks = asks;
    return true;
}

static bool predicted(struct reading *reading, struct scan scan)
{
    switch ((enum binance_stream)reading->kind) {
    case BINANCE_STREAM_TRADE:
    case BINANCE_STREAM_AGG_TRADE:
        return predicted_trade(reading, &scan);
    case BINANCE_STREAM_BOOK_TICKER:
        return predicted_book_ticker(reading, &scan);
    case BINANCE_STREAM_DEPTH:
        return predicted_depth(reading, &scan);
    case BINANCE_STREAM_PARTIAL_5:
    case BINANCE_STREAM_PARTIAL_20:
        return predicted_partial(reading, &scan);
    case BINANCE_STREAM_KLINE: /* one a second or fewer: the general reader will do */
    case BINANCE_STREAM_TICKER:
    case BINANCE_STREAM_MINI_TICKER:
    case BINANCE_STREAM_UNKNOWN:
        return false;
    }
    return false;
}

/* ---- general readers: `data` is a validated object */

/* Partial depth names its symbol nowhere but in the stream's name (section 1). */
static bool symbol_of_stream(struct reading *reading)
{
    struct str lower = reading->stream_symbol;
    if (lower.bytes > SYMBOL_BYTES_MAX) {
        return reading_refuse(reading, MD_EPARSE, "symbol: too long");
    }
    for (size_t i = 0; i < lower.bytes; i++) {
        char c = lower.data[i];
        reading->decoder->symbol[i] = c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
    }
    reading->event.symbol = str_make(reading->decoder->symbol, lower.bytes);
    return true;
}

static bool general_trade(struct reading *reading, const struct scan_value *data)
{
    bool aggregate = reading->kind == BINANCE_STREAM_AGG_TRADE;
    const struct str keys[] = {
        STR("s"), aggregate ? STR("a") : STR("t"), STR("p"), STR("q"), STR("T"), STR("m")};
    struct scan_value found[6];
    struct trade_event *trade = &reading->event.trade;
    scan_find(data, keys, 6, found);
    if (!reading_symbol(reading, &found[0]) || !reading_i64(reading, &found[1], &trade->trade_id) ||
        !reading_decimal(reading, &found[2], &trade->price) ||
        !reading_decimal(reading, &found[3], &trade->amount) ||
        !reading_time_ms(reading, &found[4], &reading->event.event_unix_ns)) {
        return false;
    }
    trade->side = found[5].type == SCAN_TRUE    ? SIDE_SELL
                  : found[5].type == SCAN_FALSE ? SIDE_BUY
                                                : SIDE_UNKNOWN;
    return true;
}

static bool general_book_ticker(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"u", 1}, {"s", 1}, {"b", 1}, {"B", 1}, {"a", 1}, {"A", 1}};
    struct scan_value found[6];
    struct book_ticker_event *ticker = &reading->event.book_ticker;
    scan_find(data, keys, 6, found);
    return reading_i64(reading, &found[0], &ticker->update_id) &&
           reading_symbol(reading, &found[1]) &&
           reading_decimal_opt(reading, &found[2], &ticker->bid_price) &&
           reading_decimal_opt(reading, &found[3], &ticker->bid_amount) &&
           reading_decimal_opt(reading, &found[4], &ticker->ask_price) &&
           reading_decimal_opt(reading, &found[5], &ticker->ask_amount);
}

static bool general_depth(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"E", 1}, {"s", 1}, {"U", 1}, {"u", 1}, {"b", 1}, {"a", 1}};
    struct scan_value found[6];
    struct depth_event *depth = &reading->event.depth;
    struct level *bids = reading->decoder->levels;
    struct level *asks = bids + reading->decoder->levels_max;
    scan_find(data, keys, 6, found);
    depth->bids = bids;
    depth->asks = asks;
    return reading_time_ms(reading, &found[0], &reading->event.event_unix_ns) &&
           reading_symbol(reading, &found[1]) &&
           reading_i64(reading, &found[2], &depth->first_update_id) &&
           reading_i64(reading, &found[3], &depth->last_update_id) &&
           reading_levels(reading, &found[4], bids, &depth->bid_count) &&
           reading_levels(reading, &found[5], asks, &depth->ask_count);
}

static bool general_partial(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"lastUpdateId", 12}, {"bids", 4}, {"asks", 4}};
    struct scan_value found[3];
    struct book_snapshot_event *book = &reading->event.book_snapshot;
    struct level *bids = reading->decoder->levels;
    struct level *asks = bids + reading->decoder->levels_max;
    scan_find(data, keys, 3, found);
    book->bids = bids;
    book->asks = asks;
    return reading_i64(reading, &found[0], &book->last_update_id) &&
           reading_levels(reading, &found[1], bids, &book->bid_count) &&
           reading_levels(reading, &found[2], asks, &book->ask_count);
}

static bool general_kline(struct reading *reading, const struct scan_value *data)
{
    static const struct str outer[] = {{"E", 1}, {"s", 1}, {"k", 1}};
    static const struct str keys[] = {{"t", 1}, {"T", 1}, {"i", 1}, {"o", 1}, {"h", 1}, {"l", 1},
                                      {"c", 1}, {"v", 1}, {"q", 1}, {"n", 1}, {"x", 1}};
    struct scan_value found[3], k[11];
    struct candle_event *candle = &reading->event.candle;
    scan_find(data, outer, 3, found);
    if (found[2].type != SCAN_OBJECT) {
        return reading_refuse(reading, MD_EPARSE, "kline: k is missing");
    }
    scan_find(&found[2], keys, 11, k);
    if (k[2].type != SCAN_STRING || k[2].escaped || k[2].text.bytes == 0 || k[2].text.bytes > 16) {
        return reading_refuse(reading, MD_EPARSE, "kline: interval is missing");
    }
    candle->interval = k[2].text;
    candle->closed = k[10].type == SCAN_TRUE ? 1 : k[10].type == SCAN_FALSE ? 0 : -1;
    if (!scan_value_i64(&k[9], &candle->trade_count)) {
        candle->trade_count = ID_NONE;
    }
    return reading_time_ms(reading, &found[0], &reading->event.event_unix_ns) &&
           reading_symbol(reading, &found[1]) &&
           reading_time_ms(reading, &k[0], &candle->open_unix_ns) &&
           reading_time_ms(reading, &k[1], &candle->close_unix_ns) &&
           reading_decimal(reading, &k[3], &candle->open) &&
           reading_decimal(reading, &k[4], &candle->high) &&
           reading_decimal(reading, &k[5], &candle->low) &&
           reading_decimal(reading, &k[6], &candle->close) &&
           reading_decimal(reading, &k[7], &candle->volume) &&
           reading_total(reading, &k[8], &candle->quote_volume);
}

/* 24hrTicker and 24hrMiniTicker: the latter lacks b and a. */
static bool general_ticker(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"E", 1}, {"s", 1}, {"c", 1}, {"o", 1}, {"h", 1},
                                      {"l", 1}, {"v", 1}, {"q", 1}, {"b", 1}, {"a", 1}};
    struct scan_value found[10];
    struct ticker_event *ticker = &reading->event.ticker;
    scan_find(data, keys, 10, found);
    return reading_time_ms(reading, &found[0], &reading->event.event_unix_ns) &&
           reading_symbol(reading, &found[1]) &&
           reading_decimal_opt(reading, &found[2], &ticker->last_price) &&
           reading_decimal_opt(reading, &found[3], &ticker->open) &&
           reading_decimal_opt(reading, &found[4], &ticker->high) &&
           reading_decimal_opt(reading, &found[5], &ticker->low) &&
           reading_total(reading, &found[6], &ticker->volume) &&
           reading_total(reading, &found[7], &ticker->quote_volume) &&
           reading_decimal_opt(reading, &found[8], &ticker->bid_price) &&
           reading_decimal_opt(reading, &found[9], &ticker->ask_price);
}

static bool general(struct reading *reading, const struct scan_value *data)
{
    if (data->type != SCAN_OBJECT) {
        return reading_refuse(reading, MD_EPARSE, "data: not an object");
    }
    switch ((enum binance_stream)reading->kind) {
    case BINANCE_STREAM_TRADE:
    case BINANCE_STREAM_AGG_TRADE:
        return general_trade(reading, data);
    case BINANCE_STREAM_BOOK_TICKER:
        return general_book_ticker(reading, data);
    case BINANCE_STREAM_DEPTH:
        return general_depth(reading, data);
    case BINANCE_STREAM_PARTIAL_5:
    case BINANCE_STREAM_PARTIAL_20:
        return general_partial(reading, data);
    case BINANCE_STREAM_KLINE:
        return general_kline(reading, data);
    case BINANCE_STREAM_TICKER:
    case BINANCE_STREAM_MINI_TICKER:
        return general_ticker(reading, data);
    case BINANCE_STREAM_UNKNOWN:
        return reading_refuse(reading, MD_EUNKNOWN, "unknown stream");
    }
    return false;
}

/* ---- frames */

/* Chooses the reader and gives the event the members that do not come from the payload. */
static void begin(struct reading *reading, struct str stream_name)
{
    reading->kind = (int)binance_spot_stream(stream_name, &reading->stream_symbol);
    int channel = binance_spot_channel((enum binance_stream)reading->kind);
    reading->result.digits_over_15 = 0;
    reading_begin(reading, channel >= 0 ? (enum channel)channel : CHANNEL_GAPS);
    reading->result.channel = channel;
    if (reading->kind == BINANCE_STREAM_AGG_TRADE) {
        reading->event.trade.flags = TRADE_AGGREGATE;
    }
}

static bool is_partial(enum binance_stream stream)
{
    return stream == BINANCE_STREAM_PARTIAL_5 || stream == BINANCE_STREAM_PARTIAL_20;
}

static bool checks(struct reading *reading)
{
    if (is_partial((enum binance_stream)reading->kind)) {
        return symbol_of_stream(reading);
    }
    if (reading->event.symbol.bytes == 0 || reading->event.symbol.bytes > SYMBOL_BYTES_MAX) {
        return reading_refuse(reading, MD_EPARSE, "symbol: missing, empty or too long");
    }
    if (reading->kind == BINANCE_STREAM_DEPTH &&
        reading->event.depth.first_update_id > reading->event.depth.last_update_id) {
        return reading_refuse(reading, MD_EPARSE, "depth: first update id beyond the last");
    }
    return true;
}

static bool decode_predicted(struct reading *reading)
{
    struct scan scan = scan_of(reading->record->payload);
    struct str name;
    if (!scan_expect(&scan, "{\"stream\":\"") || !scan_text(&scan, &name) ||
        !scan_expect(&scan, ",\"data\":")) {
        return false;
    }
    begin(reading, name);
    return predicted(reading, scan) && checks(reading);
}

static bool is_control(struct str frame)
{
    struct control_reply reply;
    return binance_control(frame, &reply) != CONTROL_NONE;
}

static bool decode_general(struct reading *reading)
{
    struct scan scan = scan_of(reading->record->payload);
    struct scan_value frame, found[2];
    static const struct str keys[] = {{"stream", 6}, {"data", 4}};
    reading->result.general_path = true;
    if (!scan_value(&scan, &frame) || !scan_at_end(&scan)) {
        return reading_refuse(reading, MD_EPARSE, "not well-formed JSON");
    }
    if (frame.type != SCAN_OBJECT) {
        return reading_refuse(reading, MD_EPARSE, "not an object");
    }
    scan_find(&frame, keys, 2, found);
    if (found[0].type != SCAN_STRING || found[1].type == SCAN_NONE) {
        if (is_control(reading->record->payload)) {
            reading->result.control = true;
            reading->result.code = 0;
            reading->result.reason = NULL;
            return false;
        }
        return reading_refuse(reading, MD_EUNKNOWN, "neither a stream's event nor a known reply");
    }
    if (str_equal(found[0].text, STR("!serverShutdown"))) {
        reading->result.control = true;
        return false;
    }
    char undone[256];
    struct str name;
    if (!scan_value_string(&found[0], undone, sizeof undone, &name)) {
        return reading_refuse(reading, MD_EPARSE, "stream: name too long");
    }
    bool general_path = reading->result.general_path;
    begin(reading, name);
    reading->result.general_path = general_path;
    return general(reading, &found[1]) && checks(reading);
}

static struct decode_result decode_frame(struct decoder *decoder, const struct record *record,
                                         bool predict, event_sink sink, void *context)
{
    struct reading reading = reading_of(decoder, record, sink, context);
    bool good = (predict && decode_predicted(&reading)) || decode_general(&reading);
    if (good) {
        reading_emit(&reading);
    }
    ASSERT(good || reading.result.control || reading.result.code != 0);
    return reading.result;
}

struct decode_result binance_spot_decode_general(struct decoder *decoder,
                                                 const struct record *record, event_sink sink,
                                                 void *context)
{
    return decode_frame(decoder, record, false, sink, context);
}

struct decode_result binance_spot_decode(struct decoder *decoder, const struct record *record,
                                         event_sink sink, void *context)
{
    switch (record->kind) {
    case RECORD_RECV:
        return decode_frame(decoder, record, true, sink, context);
    case RECORD_REST:
    case RECORD_REST_PART:
        return binance_spot_rest(decoder, record, sink, context);
    case RECORD_RECV_BINARY:
        return binance_sbe_decode(decoder, record, sink, context);
    case RECORD_OPEN:
    case RECORD_SENT:
    case RECORD_CLOSE:
    case RECORD_DROP:
    case RECORD_TICK:
    case RECORD_START:
    case RECORD_STOP:
    case RECORD_CONFIG:
    case RECORD_STATE:
    case RECORD_TUNE:
        break;
    }
    return (struct decode_result){.channel = -1};
}
