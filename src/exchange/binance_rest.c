/* Binance, spot and futures: REST bodies read as they stream by. Order book snapshots become one
 * depth event, the symbol list becomes one instrument event a symbol. Facts:
 * docs/exchanges/binance-spot.md, section 6. Memory: the decoder's rest part; a list of megabytes
 * passes through it. */
#include "base/clock.h"
#include "exchange/binance_futures.h"
#include "exchange/binance_spot.h"
#include "exchange/rest_trades.h"

enum {
    FIELD_NONE,
    FIELD_LAST_ID,
    FIELD_TIME,
    FIELD_INTEREST,
    FIELD_BIDS,
    FIELD_ASKS,
    FIELD_SYMBOLS,
    FIELD_FILTERS,
    FIELD_TEXT
};
enum {
    TEXT_SYMBOL,
    TEXT_STATUS,
    TEXT_BASE,
    TEXT_QUOTE,
    TEXT_FILTER,
    TEXT_TICK,
    TEXT_STEP,
    TEXT_CONTRACT,
    TEXT_OTHER
};
_Static_assert(TEXT_OTHER < REST_TEXTS, "a slot for each text");

/* ---- depth: {"lastUpdateId":N,"bids":[["p","q"],...],"asks":[...]} */

static bool depth_id(struct decoder_rest *rest, struct str text)
{
    struct decimal number;
    if (decimal_parse(text, &number) != 0 || number.exponent != 0) {
        return rest_body_refuse(rest, MD_EPARSE, "snapshot: lastUpdateId: not a whole number");
    }
    rest->id = number.mantissa;
    return true;
}

static bool on_depth_json(void *context, enum json_event event, struct str text, int depth)
{
    struct decoder_rest *rest = context;
    bool in_side = rest->field == FIELD_BIDS || rest->field == FIELD_ASKS;
    switch (event) {
    case JSON_EVENT_KEY:
        if (depth == 1) {
            rest->field = str_equal(text, STR("lastUpdateId")) ? FIELD_LAST_ID
                          : str_equal(text, STR("bids"))       ? FIELD_BIDS
                          : str_equal(text, STR("asks"))       ? FIELD_ASKS
                          : str_equal(text, STR("T"))          ? FIELD_TIME
                                                               : FIELD_NONE;
        }
        return true;
    case JSON_EVENT_ARRAY_BEGIN:
        rest->element = 0;
        return true;
    case JSON_EVENT_ARRAY_END:
        if (depth == 2 && in_side) {
            return rest_body_level_end(rest, rest->field == FIELD_ASKS);
        }
        return true;
    case JSON_EVENT_STRING:
    case JSON_EVENT_NUMBER:
        if (depth == 1 && rest->field == FIELD_LAST_ID) {
            return depth_id(rest, text);
        }
        if (depth == 1 && rest->field == FIELD_TIME) { /* futures: the book's own time, ms */
            rest->numbers[0].set = decimal_parse(text, &rest->numbers[0].value) == 0;
            return true;
        }
        if (in_side && depth == 3) {
            return rest_body_level(rest, rest->field == FIELD_ASKS, text);
        }
        return !in_side || rest_body_refuse(rest, MD_EPARSE, "snapshot: level: not a pair");
    case JSON_EVENT_OBJECT_BEGIN:
    case JSON_EVENT_OBJECT_END:
    case JSON_EVENT_TRUE:
    case JSON_EVENT_FALSE:
    case JSON_EVENT_NULL:
        return !in_side || depth < 2 ||
               rest_body_refuse(rest, MD_EPARSE, "snapshot: level: not a pair");
    }
    return true;
}

/* Milliseconds; TIME_NONE if there are none. */
static int64_t time_of(const struct decimal_opt *ms)
{
    int64_t ns = 0;
    bool good = ms->set && ms->value.exponent == 0 && ms->value.mantissa > 0 &&
                !__builtin_mul_overflow(ms->value.mantissa, NS_PER_MS, &ns);
    return good ? ns : TIME_NONE;
}

static bool end_depth(struct decoder_rest *rest)
{
    if (rest->id == ID_NONE) {
        return rest_body_refuse(rest, MD_EPARSE, "snapshot: lastUpdateId is missing");
    }
    rest_body_emit_book(rest, time_of(&rest->numbers[0]));
    return true;
}

/* ---- exchangeInfo: {..., "symbols":[{"symbol":..,"status":..,"filters":[{...}]}]} */

/* BTC/USDT; contracts BTC/USDT:USDT, dated ones BTC/USDT:USDT-261225 (the symbol's own date). */
static void put_unified(const struct decoder_rest *rest, struct buf *out)
{
    struct str symbol = rest_body_text(rest, TEXT_SYMBOL);
    const char *date = memchr(symbol.data, '_', symbol.bytes);
    buf_put_str(out, rest_body_text(rest, TEXT_BASE));
    buf_put_char(out, '/');
    buf_put_str(out, rest_body_text(rest, TEXT_QUOTE));
    if (rest->record->venue == VENUE_BINANCE_FUTURES) {
        buf_put_char(out, ':');
        buf_put_str(out, rest_body_text(rest, TEXT_QUOTE));
        if (date != NULL) {
            buf_put_char(out, '-');
            buf_put(out, date + 1, symbol.bytes - (size_t)(date + 1 - symbol.data));
        }
    }
}

static struct str instrument_type(const struct decoder_rest *rest)
{
    struct str contract = rest_body_text(rest, TEXT_CONTRACT);
    if (rest->record->venue != VENUE_BINANCE_FUTURES) {
        return STR("spot");
    }
    return memmem(contract.data, contract.bytes, "PERPETUAL", 9) != NULL ? STR("perpetual")
           : contract.bytes > 0                                          ? STR("future")
                                                                         : (struct str){0};
}

static void emit_instrument(struct decoder_rest *rest)
{
    char unified[3 * REST_TEXT_BYTES_MAX + 16];
    struct buf name = buf_over(unified, sizeof unified);
    put_unified(rest, &name);
    struct event event = rest_body_event(rest, CHANNEL_INSTRUMENTS);
    event.symbol = rest_body_text(rest, TEXT_SYMBOL);
    event.instrument = (struct instrument_event){
        .base = rest_body_text(rest, TEXT_BASE),
        .quote = rest_body_text(rest, TEXT_QUOTE),
        .type = instrument_type(rest),
        .status = rest_body_text(rest, TEXT_STATUS),
        .unified_symbol = buf_view(&name),
        .tick_size = rest->numbers[0],
        .lot_size = rest->numbers[1],
        .valid_from_unix_ns = rest->record->time_unix_ns,
    };
    if (rest->record->venue == VENUE_BINANCE_FUTURES) { /* amounts are in base units already */
        event.instrument.contract_multiplier = (struct decimal_opt){{1, 0}, true};
    }
    if (event.symbol.bytes > 0) {
        rest_body_emit(rest, &event);
    } else {
        rest_body_refuse(rest, MD_EPARSE, "exchangeInfo: a symbol without a name");
    }
}

static void end_filter(struct decoder_rest *rest)
{
    struct str type = rest_body_text(rest, TEXT_FILTER);
    int slot = str_equal(type, STR("PRICE_FILTER")) ? 0 : str_equal(type, STR("LOT_SIZE")) ? 1 : -1;
    if (slot >= 0) {
        rest->numbers[slot].set =
            decimal_parse(rest_body_text(rest, slot == 0 ? TEXT_TICK : TEXT_STEP),
                          &rest->numbers[slot].value) == 0;
    }
}

static int symbol_slot(struct str key)
{
    return str_equal(key, STR("symbol"))         ? TEXT_SYMBOL
           : str_equal(key, STR("status"))       ? TEXT_STATUS
           : str_equal(key, STR("baseAsset"))    ? TEXT_BASE
           : str_equal(key, STR("quoteAsset"))   ? TEXT_QUOTE
           : str_equal(key, STR("contractType")) ? TEXT_CONTRACT
                                                 : TEXT_OTHER;
}

static int filter_slot(struct str key)
{
    return str_equal(key, STR("filterType")) ? TEXT_FILTER
           : str_equal(key, STR("tickSize")) ? TEXT_TICK
           : str_equal(key, STR("stepSize")) ? TEXT_STEP
                                             : TEXT_OTHER;
}

static bool keep_text(struct decoder_rest *rest, struct str text)
{
    int slot = rest->inner_field;
    return rest_body_keep(rest, slot, text) || slot == TEXT_OTHER ||
           rest_body_refuse(rest, MD_ETOOBIG, "exchangeInfo: a name is too long");
}

static bool on_info_json(void *context, enum json_event event, struct str text, int depth)
{
    struct decoder_rest *rest = context;
    if (event == JSON_EVENT_KEY && depth == 1) {
        rest->field = str_equal(text, STR("symbols")) ? FIELD_SYMBOLS : FIELD_NONE;
        rest->id = rest->field == FIELD_SYMBOLS ? 1 : rest->id;
        return true;
    }
    if (rest->field != FIELD_SYMBOLS) {
        return true;
    }
    if (event == JSON_EVENT_OBJECT_BEGIN && depth == 2) {
        memset(rest->text_bytes, 0, sizeof rest->text_bytes);
        memset(rest->numbers, 0, sizeof rest->numbers);
    } else if (event == JSON_EVENT_OBJECT_BEGIN && depth == 4) {
        rest->text_bytes[TEXT_FILTER] = rest->text_bytes[TEXT_TICK] = rest->text_bytes[TEXT_STEP] =
            0;
    } else if (event == JSON_EVENT_KEY && depth == 3) {
        rest->element = str_equal(text, STR("filters"));
        rest->inner_field = symbol_slot(text);
    } else if (event == JSON_EVENT_KEY && depth == 5 && rest->element == 1) {
        rest->inner_field = filter_slot(text);
    } else if (event == JSON_EVENT_STRING && (depth == 3 || (depth == 5 && rest->element == 1))) {
        return keep_text(rest, text);
    } else if (event == JSON_EVENT_OBJECT_END && depth == 4 && rest->element == 1) {
        end_filter(rest);
    } else if (event == JSON_EVENT_OBJECT_END && depth == 2) {
        emit_instrument(rest);
    }
    return true;
}

static bool end_info(struct decoder_rest *rest)
{
    return rest->id == 1 || rest_body_refuse(rest, MD_EPARSE, "exchangeInfo: no symbols");
}

/* ---- ticker/24hr: [{"symbol":..,"lastPrice":..,"volume":..,"quoteVolume":..}], for top:N */

static bool on_volume_json(void *context, enum json_event event, struct str text, int depth)
{
    struct decoder_rest *rest = context;
    if (event == JSON_EVENT_OBJECT_BEGIN && depth == 1) {
        rest->text_bytes[TEXT_SYMBOL] = 0;
        memset(rest->numbers, 0, sizeof rest->numbers);
    } else if (event == JSON_EVENT_KEY && depth == 2) {
        rest->inner_field = str_equal(text, STR("symbol"))        ? 1
                            : str_equal(text, STR("lastPrice"))   ? 2
                            : str_equal(text, STR("quoteVolume")) ? 3
                                                                  : 0;
    } else if ((event == JSON_EVENT_STRING || event == JSON_EVENT_NUMBER) && depth == 2) {
        bool rounded = false;
        if (rest->inner_field == 1) {
            rest_body_keep(rest, TEXT_SYMBOL, text);
        } else if (rest->inner_field > 1) {
            struct decimal_opt *out = &rest->numbers[rest->inner_field - 2];
            out->set = decimal_parse_rounded(text, &out->value, &rounded) == 0;
        }
    } else if (event == JSON_EVENT_OBJECT_END && depth == 1) {
        struct event ticker = rest_body_event(rest, CHANNEL_TICKER);
        ticker.symbol = rest_body_text(rest, TEXT_SYMBOL);
        ticker.ticker.last_price = rest->numbers[0];
        ticker.ticker.quote_volume = rest->numbers[1];
        if (ticker.symbol.bytes > 0) {
            rest_body_emit(rest, &ticker);
        }
    }
    return true;
}

static bool end_volumes(struct decoder_rest *rest)
{
    (void)rest;
    return true;
}

/* ---- historicalTrades, trades, aggTrades: lists, oldest first */

static const struct rest_trades_form plain_trades = {
    .depth = 1,
    .from_key = "fromId=",
    .keys = {[REST_TRADE_ID] = "id",
             [REST_TRADE_PRICE] = "price",
             [REST_TRADE_AMOUNT] = "qty",
             [REST_TRADE_TIME] = "time",
             [REST_TRADE_MAKER] = "isBuyerMaker"},
};
static const struct rest_trades_form agg_trades = {
    .depth = 1,
    .flags = TRADE_AGGREGATE,
    .from_key = "fromId=",
    .keys = {[REST_TRADE_ID] = "a",
             [REST_TRADE_PRICE] = "p",
             [REST_TRADE_AMOUNT] = "q",
             [REST_TRADE_TIME] = "T",
             [REST_TRADE_MAKER] = "m"},
};

static bool on_trades_json(void *context, enum json_event event, struct str text, int depth)
{
    return rest_trades_json(context, &plain_trades, event, text, depth);
}

static bool end_trades(struct decoder_rest *rest)
{
    return rest_trades_end(rest, &plain_trades);
}

static bool on_agg_trades_json(void *context, enum json_event event, struct str text, int depth)
{
    return rest_trades_json(context, &agg_trades, event, text, depth);
}

static bool end_agg_trades(struct decoder_rest *rest)
{
    return rest_trades_end(rest, &agg_trades);
}

struct decode_result binance_spot_rest(struct decoder *decoder, const struct record *record,
                                       event_sink sink, void *context)
{
    static const struct rest_route routes[] = {
        {"/api/v3/depth?", CHANNEL_DEPTH, "symbol=", on_depth_json, end_depth},
        {"/api/v3/exchangeInfo", CHANNEL_INSTRUMENTS, NULL, on_info_json, end_info},
        {"/api/v3/ticker/24hr", CHANNEL_TICKER, NULL, on_volume_json, end_volumes},
        {"/api/v3/historicalTrades?", CHANNEL_TRADES, "symbol=", on_trades_json, end_trades},
        {"/api/v3/aggTrades?", CHANNEL_TRADES, "symbol=", on_agg_trades_json, end_agg_trades},
        {0},
    };
    return rest_body_decode(decoder, routes, record, sink, context);
}

/* ---- openInterest: {"openInterest":"10659.509","symbol":"BTCUSDT","time":1589437530011} */

static bool on_interest_json(void *context, enum json_event event, struct str text, int depth)
{
    struct decoder_rest *rest = context;
    if (event == JSON_EVENT_KEY && depth == 1) {
        rest->field = str_equal(text, STR("openInterest")) ? FIELD_INTEREST
                      : str_equal(text, STR("time"))       ? FIELD_TIME
                                                           : FIELD_NONE;
    } else if ((event == JSON_EVENT_STRING || event == JSON_EVENT_NUMBER) && depth == 1 &&
               rest->field != FIELD_NONE) {
        struct decimal_opt *out = &rest->numbers[rest->field == FIELD_INTEREST];
        int code = decimal_parse(text, &out->value);
        out->set = code == 0;
        return code == 0 || rest_body_refuse(rest, code, "openInterest: not a number");
    }
    return true;
}

static bool end_interest(struct decoder_rest *rest)
{
    if (!rest->numbers[1].set) {
        return rest_body_refuse(rest, MD_EPARSE, "openInterest: missing");
    }
    struct event event = rest_body_event(rest, CHANNEL_DERIVATIVE_TICKER);
    event.symbol = str_make(rest->symbol, rest->symbol_bytes);
    event.event_unix_ns = time_of(&rest->numbers[0]);
    event.derivative_ticker = (struct derivative_ticker_event){.funding_unix_ns = TIME_NONE,
                                                               .open_interest = rest->numbers[1]};
    rest_body_emit(rest, &event);
    return true;
}

struct decode_result binance_futures_rest(struct decoder *decoder, const struct record *record,
                                          event_sink sink, void *context)
{
    static const struct rest_route routes[] = {
        {"/fapi/v1/depth?", CHANNEL_DEPTH, "symbol=", on_depth_json, end_depth},
        {"/fapi/v1/openInterest?", CHANNEL_DERIVATIVE_TICKER, "symbol=", on_interest_json,
         end_interest},
        {"/fapi/v1/exchangeInfo", CHANNEL_INSTRUMENTS, NULL, on_info_json, end_info},
        {"/fapi/v1/ticker/24hr", CHANNEL_TICKER, NULL, on_volume_json, end_volumes},
        {"/fapi/v1/trades?", CHANNEL_TRADES, "symbol=", on_trades_json, end_trades},
        {"/fapi/v1/aggTrades?", CHANNEL_TRADES, "symbol=", on_agg_trades_json, end_agg_trades},
        {0},
    };
    return rest_body_decode(decoder, routes, record, sink, context);
}
