/* Binance spot, JSON and SBE: the venue as data, and its feed side (what to ask and how replies
 * look). Source of all protocol facts unless said otherwise: the official spot documents
 * (web-socket-streams, rest-api, market-data-only), read 2026-07-21, as set down in
 * docs/exchanges/binance-spot.md. */
#include "exchange/binance_spot.h"

#include "exchange/binance_common.h"
#include "exchange/binance_sbe.h"

enum { ENDPOINT_JSON, ENDPOINT_SBE };

/* "/stream" wraps each event with its stream's name: partial depth and bookTicker say neither event
 * nor (partial depth) symbol themselves (section 1). */
static int connect_url(uint32_t endpoint, const char *base, struct buf *out)
{
    buf_printf(out, endpoint == ENDPOINT_SBE ? "%s/stream" : "%s/stream?timeUnit=MICROSECOND",
               base);
    return binance_fit(out);
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
        return binance_interval_known(request->interval) ? BINANCE_STREAM_KLINE
                                                         : BINANCE_STREAM_UNKNOWN;
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

/* Only these four exist in binary form (section 8.1). */
static bool is_binary(int kind)
{
    return kind == BINANCE_STREAM_TRADE || kind == BINANCE_STREAM_BOOK_TICKER ||
           kind == BINANCE_STREAM_DEPTH || kind == BINANCE_STREAM_PARTIAL_20;
}

static uint32_t streams(const struct stream_request *request, uint32_t options,
                        struct venue_stream out[VENUE_STREAMS_MAX])
{
    int kind = kind_of(request);
    if (kind == BINANCE_STREAM_UNKNOWN || !binance_symbol_fits(request->symbol)) {
        return 0;
    }
    bool binary = (options & VENUE_OPTION_BINARY) != 0 && is_binary(kind);
    out[0] = (struct venue_stream){.request = *request,
                                   .endpoint = binary ? ENDPOINT_SBE : ENDPOINT_JSON,
                                   .kind = (uint8_t)kind};
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
    static const struct str binary_tails[] = {
        [BINANCE_STREAM_TRADE] = {"@trade", 6},
        [BINANCE_STREAM_BOOK_TICKER] = {"@bestBidAsk", 11},
        [BINANCE_STREAM_DEPTH] = {"@depth", 6},
        [BINANCE_STREAM_PARTIAL_20] = {"@depth20", 8},
    };
    binance_put_lower(out, stream->request.symbol);
    buf_put_str(out, stream->endpoint == ENDPOINT_SBE ? binary_tails[stream->kind]
                                                      : tails[stream->kind]);
    if (stream->kind == BINANCE_STREAM_KLINE) {
        buf_put_str(out, stream->request.interval);
    }
}

static int peek_channel(const struct record *record)
{
    struct str symbol;
    if (record->kind == RECORD_RECV_BINARY) {
        return binance_sbe_peek(record->payload);
    }
    struct str name = binance_peek_stream(record->payload);
    return name.bytes > 0 ? binance_spot_channel(binance_spot_stream(name, &symbol)) : -1;
}

static int subscribe(const struct venue_request *request, struct buf *out)
{
    return binance_subscribe(request, put_stream_name, out);
}

static int channel_of_name(struct str name, bool *aggregate, struct str *symbol)
{
    enum binance_stream stream = binance_spot_stream(name, symbol);
    *aggregate = stream == BINANCE_STREAM_AGG_TRADE;
    return binance_spot_channel(stream);
}

static void decode_sent(const struct record *record, sent_sink on_stream, void *context)
{
    binance_decode_sent(record, channel_of_name, on_stream, context);
}

static int rest(enum venue_rest call, const char *base, struct str symbol, struct buf *out)
{
    buf_put_str(out, str_from(base));
    switch (call) {
    case VENUE_REST_INSTRUMENTS:
        buf_put_str(out, STR("/api/v3/exchangeInfo?showPermissionSets=false"));
        return binance_fit(out);
    case VENUE_REST_VOLUMES:
        buf_put_str(out, STR("/api/v3/ticker/24hr?type=MINI"));
        return binance_fit(out);
    case VENUE_REST_SNAPSHOT:
        buf_put_str(out, STR("/api/v3/depth?symbol="));
        binance_put_percent_encoded(out, symbol);
        buf_put_str(out, STR("&limit=1000"));
        return binance_fit(out);
    case VENUE_REST_OPEN_INTEREST:
    case VENUE_REST_TOKEN:
    case VENUE_REST_COUNT:
        break;
    }
    return MD_ENOTSUP;
}

/* Section 6: both reach back to the first trade. */
static const struct venue_backfill *backfill(bool aggregate)
{
    static const struct venue_backfill plain = {
        .weight = 25, .rows_max = 1000, .history_host = true};
    static const struct venue_backfill aggregated = {.weight = 4, .rows_max = 1000};
    return aggregate ? &aggregated : &plain;
}

static int rest_trades(const char *base, struct str symbol, const struct trades_hole *hole,
                       struct buf *out)
{
    buf_put_str(out, str_from(base));
    buf_put_str(out, hole->aggregate ? STR("/api/v3/aggTrades?symbol=")
                                     : STR("/api/v3/historicalTrades?symbol="));
    return binance_put_trades_from(out, symbol, hole);
}

/* Books of listed pairs change many times a minute; the 24 h ticker is sent each second when it
 * changed. Trades of a small pair may be hours apart. */
static struct rhythm rhythm(enum channel channel)
{
    return channel == CHANNEL_DEPTH || channel == CHANNEL_BOOK_TICKER
               ? (struct rhythm){60000, 900000}
               : (struct rhythm){0, 0};
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

#define LIMITS                                                                                  \
    {                                                                                           \
        .streams_per_connection = 1024, /* section 2 */                                         \
            .streams_preset = 300,                                                              \
        .control_messages = 4, /* 5 a second are allowed, pongs among them */                   \
            .control_window_ms = 1000,                                                          \
        .control_spacing_ms = 350, /* above 4,096 with the frame's head the server is silent */ \
            .subscribe_bytes_max = 3900, .connects = 250, /* 300 in 5 minutes are allowed */    \
            .connects_window_ms = 300000, .connect_spacing_ms = 250,                            \
        .connection_life_ms = 86400000, .ack_timeout_ms = 10000,                                \
    }

const struct venue binance_spot = {
    .id = VENUE_BINANCE,
    .name = "binance",
    .section = "binance",
    .rest_url = "https://data-api.binance.vision",
    .history_url = "https://api.binance.com", /* section 1: the other has no historicalTrades */
    .rest_header = "X-MBX-TIME-UNIT: MICROSECOND", /* as in the stream */
    .rest_book_ids = true,
    .rest_weight_per_minute = 6000,
    .rest_weights =
        {
            [VENUE_REST_INSTRUMENTS] = 20,
            [VENUE_REST_VOLUMES] = 80,
            [VENUE_REST_SNAPSHOT] = 50, /* limit 501-1000 */
        },
    .endpoints =
        {
            [ENDPOINT_JSON] = {.name = "json",
                               .ws_url = "wss://data-stream.binance.vision",
                               .limits = LIMITS,
                               .mixed_requests = true},
            [ENDPOINT_SBE] = {.name = "sbe",
                              .ws_url = "wss://stream-sbe.binance.com",
                              .limits = LIMITS,
                              .mixed_requests = true,
                              .needs_key = true},
        },
    .endpoint_count = 2,
    .seed_symbol = "BTCUSDT",
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
    .decode = binance_spot_decode,
    .decode_sent = decode_sent,
    .continuity = continuity,
    .joins = joins,
};
