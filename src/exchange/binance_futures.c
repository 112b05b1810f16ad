/* Binance USD-M futures, JSON: the venue as data, and its feed side. Two routes since 2026-04: a
 * stream asked for on the wrong one is acknowledged and stays silent, so the table below is the
 * venue's law. Source of all facts: docs/exchanges/binance-futures.md. */
#include "exchange/binance_futures.h"

#include <string.h>

#include "exchange/binance_common.h"

enum { ROUTE_PUBLIC, ROUTE_MARKET };

/* What follows the symbol in a stream's name, and the route it lives on (section 1). */
static const struct kind_row {
    struct str tail;
    enum binance_futures_kind kind;
    uint8_t route;
} kinds[] = {
    {{"@bookTicker", 11}, FUTURES_BOOK_TICKER, ROUTE_PUBLIC},
    {{"@depth@100ms", 12}, FUTURES_DEPTH, ROUTE_PUBLIC},
    {{"@trade", 6}, FUTURES_TRADE, ROUTE_PUBLIC},
    {{"@aggTrade", 9}, FUTURES_AGG_TRADE, ROUTE_MARKET},
    {{"@markPrice@1s", 13}, FUTURES_MARK_PRICE, ROUTE_MARKET},
    {{"@forceOrder", 11}, FUTURES_FORCE_ORDER, ROUTE_MARKET},
    {{"@ticker", 7}, FUTURES_TICKER, ROUTE_MARKET},
    {{"@depth5@100ms", 13}, FUTURES_PARTIAL_5, ROUTE_PUBLIC},
    {{"@depth20@100ms", 14}, FUTURES_PARTIAL_20, ROUTE_PUBLIC},
    {{"@kline_", 7}, FUTURES_KLINE, ROUTE_MARKET},
    /* not asked for by us, but understood */
    {{"@depth", 6}, FUTURES_DEPTH, ROUTE_PUBLIC},
    {{"@depth@500ms", 12}, FUTURES_DEPTH, ROUTE_PUBLIC},
    {{"@depth@0ms", 10}, FUTURES_DEPTH, ROUTE_PUBLIC},
    {{"@depth5", 7}, FUTURES_PARTIAL_5, ROUTE_PUBLIC},
    {{"@depth5@500ms", 13}, FUTURES_PARTIAL_5, ROUTE_PUBLIC},
    {{"@depth10", 8}, FUTURES_PARTIAL_10, ROUTE_PUBLIC},
    {{"@depth10@100ms", 14}, FUTURES_PARTIAL_10, ROUTE_PUBLIC},
    {{"@depth10@500ms", 14}, FUTURES_PARTIAL_10, ROUTE_PUBLIC},
    {{"@depth20", 8}, FUTURES_PARTIAL_20, ROUTE_PUBLIC},
    {{"@depth20@500ms", 14}, FUTURES_PARTIAL_20, ROUTE_PUBLIC},
    {{"@markPrice", 10}, FUTURES_MARK_PRICE, ROUTE_MARKET},
    {{"@miniTicker", 11}, FUTURES_MINI_TICKER, ROUTE_MARKET},
    {{"@compositeIndex", 15}, FUTURES_OTHER, ROUTE_MARKET},
    {{"@rpiDepth@500ms", 15}, FUTURES_OTHER, ROUTE_PUBLIC},
};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

static bool begins_with(struct str text, struct str head)
{
    return text.bytes >= head.bytes && memcmp(text.data, head.data, head.bytes) == 0;
}

/* All-market streams: "!markPrice@arr@1s". Their messages name their symbols themselves. */
static enum binance_futures_kind all_market_kind(struct str name)
{
    static const struct {
        struct str head;
        enum binance_futures_kind kind;
    } heads[] = {
        {{"!bookTicker", 11}, FUTURES_BOOK_TICKER},
        {{"!markPrice@arr", 14}, FUTURES_MARK_PRICE},
        {{"!forceOrder@arr", 15}, FUTURES_FORCE_ORDER},
        {{"!ticker@arr", 11}, FUTURES_TICKER},
        {{"!miniTicker@arr", 15}, FUTURES_MINI_TICKER},
        {{"!contractInfo", 13}, FUTURES_OTHER},
        {{"!assetIndex@arr", 15}, FUTURES_OTHER},
        {{"tradingSession", 14}, FUTURES_OTHER},
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        if (begins_with(name, heads[i].head)) {
            return heads[i].kind;
        }
    }
    return FUTURES_UNKNOWN;
}

enum binance_futures_kind binance_futures_kind(struct str name, struct str *symbol)
{
    const char *at = memchr(name.data, '@', name.bytes);
    *symbol = (struct str){0};
    if (name.bytes > 0 && (name.data[0] == '!' || at == NULL)) {
        return all_market_kind(name);
    }
    if (at == NULL || at == name.data) {
        return FUTURES_UNKNOWN;
    }
    *symbol = str_make(name.data, (size_t)(at - name.data));
    struct str tail = str_make(at, name.bytes - symbol->bytes);
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (str_equal(tail, kinds[i].tail) ||
            (kinds[i].kind == FUTURES_KLINE && begins_with(tail, kinds[i].tail) &&
             tail.bytes > kinds[i].tail.bytes)) {
            return kinds[i].kind;
        }
    }
    return begins_with(tail, STR("@continuousKline_")) ? FUTURES_OTHER : FUTURES_UNKNOWN;
}

int binance_futures_channel(enum binance_futures_kind kind)
{
    switch (kind) {
    case FUTURES_TRADE:
    case FUTURES_AGG_TRADE:
        return CHANNEL_TRADES;
    case FUTURES_BOOK_TICKER:
        return CHANNEL_BOOK_TICKER;
    case FUTURES_DEPTH:
        return CHANNEL_DEPTH;
    case FUTURES_PARTIAL_5:
        return CHANNEL_BOOK_SNAPSHOT_5;
    case FUTURES_PARTIAL_20:
        return CHANNEL_BOOK_SNAPSHOT_20;
    case FUTURES_MARK_PRICE:
        return CHANNEL_DERIVATIVE_TICKER;
    case FUTURES_FORCE_ORDER:
        return CHANNEL_LIQUIDATIONS;
    case FUTURES_KLINE:
        return CHANNEL_CANDLES;
    case FUTURES_TICKER:
    case FUTURES_MINI_TICKER:
        return CHANNEL_TICKER;
    case FUTURES_PARTIAL_10:
    case FUTURES_OTHER:
    case FUTURES_UNKNOWN:
        return -1;
    }
    return -1;
}

/* ---- feed side */

static enum binance_futures_kind kind_of(const struct stream_request *request)
{
    switch (request->channel) {
    case CHANNEL_TRADES:
        return request->aggregate ? FUTURES_AGG_TRADE : FUTURES_TRADE;
    case CHANNEL_BOOK_TICKER:
        return FUTURES_BOOK_TICKER;
    case CHANNEL_DEPTH:
        return FUTURES_DEPTH;
    case CHANNEL_BOOK_SNAPSHOT_5:
        return FUTURES_PARTIAL_5;
    case CHANNEL_BOOK_SNAPSHOT_20:
        return FUTURES_PARTIAL_20;
    case CHANNEL_DERIVATIVE_TICKER:
        return FUTURES_MARK_PRICE;
    case CHANNEL_LIQUIDATIONS:
        return FUTURES_FORCE_ORDER;
    case CHANNEL_CANDLES:
        return binance_interval_known(request->interval) && !str_equal(request->interval, STR("1s"))
                   ? FUTURES_KLINE
                   : FUTURES_UNKNOWN;
    case CHANNEL_TICKER:
        return FUTURES_TICKER;
    case CHANNEL_BOOK_SNAPSHOT_50:
    case CHANNEL_GAPS:
    case CHANNEL_INSTRUMENTS:
    case CHANNEL_COUNT:
        return FUTURES_UNKNOWN;
    }
    return FUTURES_UNKNOWN;
}

static const struct kind_row *row_of(int kind)
{
    size_t i = 0;
    while ((int)kinds[i].kind != kind) {
        i++; /* each kind we ask for has a row */
    }
    return &kinds[i];
}

static uint32_t streams(const struct stream_request *request, uint32_t options,
                        struct venue_stream out[VENUE_STREAMS_MAX])
{
    (void)options;
    enum binance_futures_kind kind = kind_of(request);
    if (kind == FUTURES_UNKNOWN || !binance_symbol_fits(request->symbol)) {
        return 0;
    }
    out[0] = (struct venue_stream){
        .request = *request, .endpoint = row_of((int)kind)->route, .kind = (uint8_t)kind};
    return 1;
}

static uint32_t streams_per_request(const struct venue_stream *stream)
{
    (void)stream;
    return 100; /* section 2: a public recorder uses at most 100 */
}

static uint32_t rate(const struct venue_stream *stream)
{
    switch ((enum binance_futures_kind)stream->kind) {
    case FUTURES_BOOK_TICKER:
        return 100;
    case FUTURES_TRADE:
        return 50;
    case FUTURES_AGG_TRADE:
    case FUTURES_DEPTH:
    case FUTURES_PARTIAL_5:
    case FUTURES_PARTIAL_20:
        return 10;
    case FUTURES_PARTIAL_10:
    case FUTURES_MARK_PRICE:
    case FUTURES_FORCE_ORDER:
    case FUTURES_KLINE:
    case FUTURES_TICKER:
    case FUTURES_MINI_TICKER:
    case FUTURES_OTHER:
    case FUTURES_UNKNOWN:
        return 1;
    }
    return 1;
}

static int connect_url(uint32_t endpoint, const char *base, struct buf *out)
{
    buf_printf(out, "%s/%s/stream", base, endpoint == ROUTE_PUBLIC ? "public" : "market");
    return binance_fit(out);
}

static void put_stream_name(struct buf *out, const struct venue_stream *stream)
{
    binance_put_lower(out, stream->request.symbol);
    buf_put_str(out, row_of(stream->kind)->tail);
    if (stream->kind == FUTURES_KLINE) {
        buf_put_str(out, stream->request.interval);
    }
}

static int subscribe(const struct venue_request *request, struct buf *out)
{
    return binance_subscribe(request, put_stream_name, out);
}

static int peek_channel(const struct record *record)
{
    struct str symbol;
    struct str name = binance_peek_stream(record->payload);
    return name.bytes > 0 ? binance_futures_channel(binance_futures_kind(name, &symbol)) : -1;
}

static int rest(enum venue_rest call, const char *base, struct str symbol, struct buf *out)
{
    buf_put_str(out, str_from(base));
    switch (call) {
    case VENUE_REST_INSTRUMENTS:
        buf_put_str(out, STR("/fapi/v1/exchangeInfo"));
        return binance_fit(out);
    case VENUE_REST_VOLUMES:
        buf_put_str(out, STR("/fapi/v1/ticker/24hr"));
        return binance_fit(out);
    case VENUE_REST_SNAPSHOT:
        buf_put_str(out, STR("/fapi/v1/depth?symbol="));
        binance_put_percent_encoded(out, symbol);
        buf_put_str(out, STR("&limit=1000"));
        return binance_fit(out);
    case VENUE_REST_OPEN_INTEREST:
        buf_put_str(out, STR("/fapi/v1/openInterest?symbol="));
        binance_put_percent_encoded(out, symbol);
        return binance_fit(out);
    case VENUE_REST_TOKEN:
    case VENUE_REST_COUNT:
        break;
    }
    return MD_ENOTSUP;
}

/* Section 6: aggregated trades of 48 hours; plain ones by id want a key, the last 1000 do not. */
static const struct venue_backfill *backfill(bool aggregate)
{
    static const struct venue_backfill plain = {.weight = 5, .rows_max = 1000, .last_only = true};
    static const struct venue_backfill aggregated = {.weight = 20, .rows_max = 1000};
    return aggregate ? &aggregated : &plain;
}

static int rest_trades(const char *base, struct str symbol, const struct trades_hole *hole,
                       struct buf *out)
{
    buf_put_str(out, str_from(base));
    if (hole->aggregate) {
        buf_put_str(out, STR("/fapi/v1/aggTrades?symbol="));
        return binance_put_trades_from(out, symbol, hole);
    }
    buf_put_str(out, STR("/fapi/v1/trades?symbol="));
    binance_put_percent_encoded(out, symbol);
    buf_put_str(out, STR("&limit=1000"));
    return binance_fit(out);
}

/* Mark prices come each second, books and best prices of listed contracts many times a minute;
 * liquidations and trades may not come for hours. */
static struct rhythm rhythm(enum channel channel)
{
    return channel == CHANNEL_DERIVATIVE_TICKER ? (struct rhythm){15000, 60000}
           : channel == CHANNEL_DEPTH || channel == CHANNEL_BOOK_TICKER
               ? (struct rhythm){60000, 900000}
               : (struct rhythm){0, 0};
}

static int channel_of_name(struct str name, bool *aggregate, struct str *symbol)
{
    enum binance_futures_kind kind = binance_futures_kind(name, symbol);
    *aggregate = kind == FUTURES_AGG_TRADE;
    return binance_futures_channel(kind);
}

static void decode_sent(const struct record *record, sent_sink on_stream, void *context)
{
    binance_decode_sent(record, channel_of_name, on_stream, context);
}

/* Trade ids count up by one, placeholder rows among them; so do aggregate ids. Depth ids jump,
 * since symbols share them: pu names the one before (section 5). */
static enum continuity continuity(enum channel channel, int32_t trade_flags)
{
    (void)trade_flags;
    return channel == CHANNEL_TRADES  ? CONTINUITY_PLUS_ONE
           : channel == CHANNEL_DEPTH ? CONTINUITY_PREVIOUS
                                      : CONTINUITY_NONE;
}

/* Section 5, step 4: U <= lastUpdateId <= u, or the event before it ended at the snapshot. */
static bool joins(const struct depth_event *delta, int64_t snapshot_id)
{
    return delta->prev_update_id == snapshot_id ||
           (delta->first_update_id <= snapshot_id && snapshot_id <= delta->last_update_id);
}

#define LIMITS                                                                                 \
    {                                                                                          \
        .streams_per_connection = 200, /* section 2: 1024 on one page, 200 elsewhere */        \
            .streams_preset = 200, .control_messages = 4, /* 10 a second are allowed */        \
            .control_window_ms = 1000, .control_spacing_ms = 250, .subscribe_bytes_max = 3900, \
        .connects = 120, /* 300 in 5 minutes, both routes and spot together */                 \
            .connects_window_ms = 300000, .connect_spacing_ms = 500,                           \
        .connection_life_ms = 86400000, .ack_timeout_ms = 10000,                               \
    }

const struct venue binance_futures = {
    .id = VENUE_BINANCE_FUTURES,
    .name = "binance-futures",
    .section = "binance_futures",
    .rest_url = "https://fapi.binance.com",
    .rest_book_ids = true,
    .rest_weight_per_minute = 2400,
    .rest_weights =
        {
            [VENUE_REST_INSTRUMENTS] = 1,
            [VENUE_REST_VOLUMES] = 40,
            [VENUE_REST_SNAPSHOT] = 20,
            [VENUE_REST_OPEN_INTEREST] = 1,
        },
    .endpoints =
        {
            [ROUTE_PUBLIC] = {.name = "public",
                              .ws_url = "wss://fstream.binance.com",
                              .limits = LIMITS,
                              .mixed_requests = true},
            [ROUTE_MARKET] = {.name = "market",
                              .ws_url = "wss://fstream.binance.com",
                              .limits = LIMITS,
                              .mixed_requests = true},
        },
    .endpoint_count = 2,
    .futures = true,
    .streams = streams,
    .streams_per_request = streams_per_request,
    .rate = rate,
    .connect_url = connect_url,
    .subscribe = subscribe,
    .control = binance_control,
    .peek_channel = peek_channel,
    .rest = rest,
    .backfill = backfill,
    .rest_trades = rest_trades,
    .rhythm = rhythm,
    .decode = binance_futures_decode,
    .decode_sent = decode_sent,
    .continuity = continuity,
    .joins = joins,
};
