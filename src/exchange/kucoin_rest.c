/* KuCoin, REST bodies read as they stream by: books, symbol lists, tickers (for top:N). Each body
 * is
 * {"code":"200000","data":..}; errors come with HTTP status 200 and another code. Facts:
 * docs/exchanges/kucoin.md, sections 5 and 7. Memory: the decoder's rest part. */
#include <string.h>

#include "base/clock.h"
#include "exchange/kucoin.h"
#include "exchange/rest_trades.h"

/* ---- the envelope */

enum { TOP_NONE, TOP_CODE, TOP_DATA }; /* in rest->field: the member of the envelope */

static bool on_envelope(struct decoder_rest *rest, enum json_event event, struct str text,
                        int depth)
{
    if (depth != 1) {
        return true;
    }
    if (event == JSON_EVENT_KEY) {
        rest->field = str_equal(text, STR("code"))   ? TOP_CODE
                      : str_equal(text, STR("data")) ? TOP_DATA
                                                     : TOP_NONE;
        rest->inner_field = 0;
    } else if ((event == JSON_EVENT_STRING || event == JSON_EVENT_NUMBER) &&
               rest->field == TOP_CODE && !str_equal(text, STR("200000"))) {
        return rest_body_refuse(rest, MD_EHTTP, "REST reply: an error code of the venue");
    }
    return true;
}

static bool whole_number(struct str text, int64_t *out)
{
    struct scan_value value = {.type = SCAN_NUMBER, .text = text};
    return scan_value_i64(&value, out);
}

/* ---- books: "data":{"sequence":N,"time" or "ts":T,"bids":[[p,s],..],"asks":..} */

enum { BOOK_NONE, BOOK_ID, BOOK_TIME, BOOK_BIDS, BOOK_ASKS }; /* in rest->inner_field */

static int book_field(struct str key)
{
    return str_equal(key, STR("sequence"))                            ? BOOK_ID
           : str_equal(key, STR("time")) || str_equal(key, STR("ts")) ? BOOK_TIME
           : str_equal(key, STR("bids"))                              ? BOOK_BIDS
           : str_equal(key, STR("asks"))                              ? BOOK_ASKS
                                                                      : BOOK_NONE;
}

/* Milliseconds on spot, nanoseconds on futures, told by magnitude. */
static int64_t book_time(int64_t value)
{
    int64_t unit = value >= 100000000000000000LL ? 1
                   : value >= 100000000000000LL  ? NS_PER_US
                   : value >= 100000000000LL     ? NS_PER_MS
                                                 : NS_PER_S;
    int64_t ns = 0;
    return value > 0 && !__builtin_mul_overflow(value, unit, &ns) ? ns : TIME_NONE;
}

static bool on_book_value(struct decoder_rest *rest, struct str text, int depth)
{
    bool in_side = rest->inner_field == BOOK_BIDS || rest->inner_field == BOOK_ASKS;
    int64_t number = 0;
    if (depth == 2 && rest->inner_field == BOOK_ID) {
        return whole_number(text, &rest->id) ||
               rest_body_refuse(rest, MD_EPARSE, "snapshot: sequence: not a whole number");
    }
    if (depth == 2 && rest->inner_field == BOOK_TIME) {
        rest->numbers[0].set = whole_number(text, &number);
        rest->numbers[0].value.mantissa = number;
    } else if (in_side && depth == 4) {
        return rest_body_level(rest, rest->inner_field == BOOK_ASKS, text);
    } else if (in_side) {
        return rest_body_refuse(rest, MD_EPARSE, "snapshot: level: not a pair");
    }
    return true;
}

static bool on_book_json(void *context, enum json_event event, struct str text, int depth)
{
    struct decoder_rest *rest = context;
    if (!on_envelope(rest, event, text, depth)) {
        return false;
    }
    if (rest->field != TOP_DATA) {
        return true;
    }
    bool in_side = rest->inner_field == BOOK_BIDS || rest->inner_field == BOOK_ASKS;
    switch (event) {
    case JSON_EVENT_KEY:
        if (depth == 2) {
            rest->inner_field = book_field(text);
        }
        return true;
    case JSON_EVENT_ARRAY_BEGIN:
        if (in_side && depth == 3) {
            rest->element = 0;
        }
        return true;
    case JSON_EVENT_ARRAY_END:
        return !in_side || depth != 3 || rest_body_level_end(rest, rest->inner_field == BOOK_ASKS);
    case JSON_EVENT_STRING:
    case JSON_EVENT_NUMBER:
        return on_book_value(rest, text, depth);
    case JSON_EVENT_TRUE:
    case JSON_EVENT_FALSE:
    case JSON_EVENT_NULL: /* a side of an empty market is null */
        return !in_side || depth < 3 ||
               rest_body_refuse(rest, MD_EPARSE, "snapshot: level: not a pair");
    case JSON_EVENT_OBJECT_BEGIN:
    case JSON_EVENT_OBJECT_END:
        return true;
    }
    return true;
}

static bool end_book(struct decoder_rest *rest)
{
    if (rest->id == ID_NONE) {
        return rest_body_refuse(rest, MD_EPARSE, "snapshot: sequence is missing");
    }
    rest_body_emit_book(rest, rest->numbers[0].set ? book_time(rest->numbers[0].value.mantissa)
                                                   : TIME_NONE);
    return true;
}

/* ---- lists of flat objects */

enum {
    TEXT_SYMBOL,
    TEXT_STATUS, /* enableTrading, status */
    TEXT_BASE,
    TEXT_QUOTE,
    TEXT_SETTLE,
    TEXT_TYPE,
    TEXT_TICK, /* priceIncrement, tickSize; of tickers the last price */
    TEXT_LOT,  /* baseIncrement, lotSize; of tickers the turnover */
    TEXT_MULTIPLIER,
    TEXT_INVERSE,
    TEXT_EXPIRY,
    TEXT_NONE,
};
_Static_assert(TEXT_NONE < REST_TEXTS, "a slot for each text");

struct member {
    struct str key;
    int slot;
};
static const struct member symbol_members[] = {{{"symbol", 6}, TEXT_SYMBOL},
                                               {{"baseCurrency", 12}, TEXT_BASE},
                                               {{"quoteCurrency", 13}, TEXT_QUOTE},
                                               {{"enableTrading", 13}, TEXT_STATUS},
                                               {{"priceIncrement", 14}, TEXT_TICK},
                                               {{"baseIncrement", 13}, TEXT_LOT},
                                               {{"", 0}, 0}};
static const struct member contract_members[] = {{{"symbol", 6}, TEXT_SYMBOL},
                                                 {{"baseCurrency", 12}, TEXT_BASE},
                                                 {{"quoteCurrency", 13}, TEXT_QUOTE},
                                                 {{"settleCurrency", 14}, TEXT_SETTLE},
                                                 {{"type", 4}, TEXT_TYPE},
                                                 {{"status", 6}, TEXT_STATUS},
                                                 {{"tickSize", 8}, TEXT_TICK},
                                                 {{"lotSize", 7}, TEXT_LOT},
                                                 {{"multiplier", 10}, TEXT_MULTIPLIER},
                                                 {{"isInverse", 9}, TEXT_INVERSE},
                                                 {{"expireDate", 10}, TEXT_EXPIRY},
                                                 {{"", 0}, 0}};
static const struct member ticker_members[] = {
    {{"symbol", 6}, TEXT_SYMBOL},        {{"last", 4}, TEXT_TICK},
    {{"lastTradePrice", 14}, TEXT_TICK}, {{"volValue", 8}, TEXT_LOT},
    {{"turnoverOf24h", 13}, TEXT_LOT},   {{"", 0}, 0}};

static int slot_of(const struct member *members, struct str key)
{
    while (members->key.bytes > 0 && !str_equal(members->key, key)) {
        members++;
    }
    return members->key.bytes > 0 ? members->slot : TEXT_NONE;
}

/* Gathers the members of each object that stands in `level` containers, then hands it to `done`. */
static bool on_list(struct decoder_rest *rest, const struct member *members, int level,
                    enum json_event event, struct str text, int depth,
                    bool (*done)(struct decoder_rest *rest))
{
    if (!on_envelope(rest, event, text, depth)) {
        return false;
    }
    if (rest->field != TOP_DATA) {
        return true;
    }
    if (depth == level && event == JSON_EVENT_OBJECT_BEGIN) {
        memset(rest->text_bytes, 0, sizeof rest->text_bytes);
        rest->inner_field = TEXT_NONE;
    } else if (depth == level && event == JSON_EVENT_OBJECT_END) {
        return done(rest);
    } else if (depth == level + 1 && event == JSON_EVENT_KEY) {
        rest->inner_field = slot_of(members, text);
    } else if (depth == level + 1 && rest->inner_field < TEXT_NONE) {
        bool is_value = event == JSON_EVENT_STRING || event == JSON_EVENT_NUMBER;
        if (event == JSON_EVENT_TRUE || event == JSON_EVENT_FALSE) {
            text = event == JSON_EVENT_TRUE ? STR("true") : STR("false");
            is_value = true;
        }
        if (is_value && !rest_body_keep(rest, rest->inner_field, text)) {
            return rest_body_refuse(rest, MD_ETOOBIG, "list: a name is too long");
        }
    }
    return true;
}

static struct decimal_opt number_of(const struct decoder_rest *rest, int slot)
{
    struct decimal_opt number = {0};
    number.set = decimal_parse(rest_body_text(rest, slot), &number.value) == 0;
    return number;
}

static void emit_instrument(struct decoder_rest *rest, const struct instrument_event *instrument)
{
    struct event event = rest_body_event(rest, CHANNEL_INSTRUMENTS);
    event.symbol = rest_body_text(rest, TEXT_SYMBOL);
    event.instrument = *instrument;
    event.instrument.base = rest_body_text(rest, TEXT_BASE);
    event.instrument.quote = rest_body_text(rest, TEXT_QUOTE);
    event.instrument.tick_size = number_of(rest, TEXT_TICK);
    event.instrument.lot_size = number_of(rest, TEXT_LOT);
    event.instrument.valid_from_unix_ns = rest->record->time_unix_ns;
    rest_body_emit(rest, &event);
}

static bool done_symbol(struct decoder_rest *rest)
{
    char unified[2 * REST_TEXT_BYTES_MAX + 1];
    struct buf name = buf_over(unified, sizeof unified);
    if (rest->text_bytes[TEXT_SYMBOL] == 0) {
        return rest_body_refuse(rest, MD_EPARSE, "symbols: one without a symbol");
    }
    buf_put_str(&name, rest_body_text(rest, TEXT_BASE));
    buf_put_char(&name, '/');
    buf_put_str(&name, rest_body_text(rest, TEXT_QUOTE));
    bool on = str_equal(rest_body_text(rest, TEXT_STATUS), STR("true"));
    emit_instrument(rest,
                    &(struct instrument_event){.type = STR("spot"),
                                               .status = on ? STR("enabled") : STR("disabled"),
                                               .unified_symbol = buf_view(&name)});
    return true;
}

/* BTC is XBT here. */
static struct str common_name(struct str currency)
{
    return str_equal(currency, STR("XBT")) ? STR("BTC") : currency;
}

/* BTC/USDT:USDT, dated ones BTC/USDT:USDT-261225. */
static void put_unified(const struct decoder_rest *rest, bool dated, int64_t expiry_ms,
                        struct buf *out)
{
    buf_put_str(out, common_name(rest_body_text(rest, TEXT_BASE)));
    buf_put_char(out, '/');
    buf_put_str(out, common_name(rest_body_text(rest, TEXT_QUOTE)));
    buf_put_char(out, ':');
    buf_put_str(out, common_name(rest_body_text(rest, TEXT_SETTLE)));
    if (dated) {
        struct clock_utc utc = clock_utc_of(expiry_ms * NS_PER_MS);
        buf_printf(out, "-%02d%02d%02d", utc.year % 100, utc.month, utc.day);
    }
}

/* The multiplier of an inverse contract is -1: a lot is worth 1 USD (section 6.1). */
static bool done_contract(struct decoder_rest *rest)
{
    char unified[3 * REST_TEXT_BYTES_MAX + 16];
    struct buf name = buf_over(unified, sizeof unified);
    int64_t expiry_ms = 0;
    if (rest->text_bytes[TEXT_SYMBOL] == 0) {
        return rest_body_refuse(rest, MD_EPARSE, "contracts: one without a symbol");
    }
    struct decimal_opt multiplier = number_of(rest, TEXT_MULTIPLIER);
    bool inverse = str_equal(rest_body_text(rest, TEXT_INVERSE), STR("true")) ||
                   (multiplier.set && multiplier.value.mantissa < 0);
    if (multiplier.value.mantissa < 0) {
        multiplier.value.mantissa = -multiplier.value.mantissa;
    }
    bool future = str_equal(rest_body_text(rest, TEXT_TYPE), STR("FFICSX"));
    bool dated = future && whole_number(rest_body_text(rest, TEXT_EXPIRY), &expiry_ms) &&
                 expiry_ms > 0 && expiry_ms < INT64_MAX / NS_PER_MS;
    put_unified(rest, dated, expiry_ms, &name);
    emit_instrument(rest,
                    &(struct instrument_event){
                        .type = inverse  ? future ? STR("inverse_future") : STR("inverse_perpetual")
                                 : future ? STR("future")
                                         : STR("perpetual"),
                        .status = rest_body_text(rest, TEXT_STATUS),
                        .unified_symbol = buf_view(&name),
                        .contract_multiplier = multiplier,
                    });
    return true;
}

static bool done_ticker(struct decoder_rest *rest)
{
    struct event event = rest_body_event(rest, CHANNEL_TICKER);
    struct ticker_event *ticker = &event.ticker;
    bool rounded = false;
    event.symbol = rest_body_text(rest, TEXT_SYMBOL);
    ticker->last_price.set = decimal_parse_rounded(rest_body_text(rest, TEXT_TICK),
                                                   &ticker->last_price.value, &rounded) == 0;
    ticker->quote_volume.set = decimal_parse_rounded(rest_body_text(rest, TEXT_LOT),
                                                     &ticker->quote_volume.value, &rounded) == 0;
    if (event.symbol.bytes > 0) {
        rest_body_emit(rest, &event);
    }
    return true;
}

static bool on_symbols_json(void *context, enum json_event event, struct str text, int depth)
{
    return on_list(context, symbol_members, 2, event, text, depth, done_symbol);
}

static bool on_contracts_json(void *context, enum json_event event, struct str text, int depth)
{
    return on_list(context, contract_members, 2, event, text, depth, done_contract);
}

static bool on_turnover_json(void *context, enum json_event event, struct str text, int depth)
{
    return on_list(context, ticker_members, 2, event, text, depth, done_ticker);
}

/* "data":{"time":..,"ticker":[..]} */
static bool on_tickers_json(void *context, enum json_event event, struct str text, int depth)
{
    return on_list(context, ticker_members, 3, event, text, depth, done_ticker);
}

static bool end_list(struct decoder_rest *rest)
{
    (void)rest;
    return true;
}

/* ---- trades: spot tells the oldest first, futures the newest */

static const struct rest_trades_form spot_trades = {
    .depth = 2,
    .keys = {[REST_TRADE_ID] = "sequence", /* equal to the trade's id on the socket */
             [REST_TRADE_PRICE] = "price",
             [REST_TRADE_AMOUNT] = "size",
             [REST_TRADE_TIME] = "time",
             [REST_TRADE_SIDE] = "side"},
};
static const struct rest_trades_form futures_trades = {
    .depth = 2,
    .keys = {[REST_TRADE_ID] = "tradeId",
             [REST_TRADE_PRICE] = "price",
             [REST_TRADE_AMOUNT] = "size",
             [REST_TRADE_TIME] = "ts",
             [REST_TRADE_SIDE] = "side"},
};

static bool on_spot_trades_json(void *context, enum json_event event, struct str text, int depth)
{
    return on_envelope(context, event, text, depth) &&
           rest_trades_json(context, &spot_trades, event, text, depth);
}

static bool end_spot_trades(struct decoder_rest *rest)
{
    return rest_trades_end(rest, &spot_trades);
}

static bool on_futures_trades_json(void *context, enum json_event event, struct str text, int depth)
{
    return on_envelope(context, event, text, depth) &&
           rest_trades_json(context, &futures_trades, event, text, depth);
}

static bool end_futures_trades(struct decoder_rest *rest)
{
    return rest_trades_end(rest, &futures_trades);
}

struct decode_result kucoin_rest(struct decoder *decoder, const struct record *record,
                                 event_sink sink, void *context)
{
    static const struct rest_route routes[] = {
        {"/market/orderbook/level2", CHANNEL_DEPTH, "symbol=", on_book_json, end_book},
        {"/level2/snapshot?", CHANNEL_DEPTH, "symbol=", on_book_json, end_book},
        {"/level2/depth", CHANNEL_DEPTH, "symbol=", on_book_json, end_book},
        {"/market/allTickers", CHANNEL_TICKER, NULL, on_tickers_json, end_list},
        {"/contracts/active?turnover", CHANNEL_TICKER, NULL, on_turnover_json, end_list},
        {"/contracts/active", CHANNEL_INSTRUMENTS, NULL, on_contracts_json, end_list},
        {"/symbols", CHANNEL_INSTRUMENTS, NULL, on_symbols_json, end_list},
        {"/market/histories?", CHANNEL_TRADES, "symbol=", on_spot_trades_json, end_spot_trades},
        {"/trade/history?", CHANNEL_TRADES, "symbol=", on_futures_trades_json, end_futures_trades},
        {0},
    };
    return rest_body_decode(decoder, routes, record, sink, context);
}
