/* Binance spot, REST bodies read as they stream by: order book snapshots become one depth event,
 * the symbol list becomes one instrument event a symbol. Facts: docs/exchanges/binance-spot.md,
 * section 6. Memory: the decoder's rest part; a list of megabytes passes through it. */
#include "exchange/binance_spot.h"
#include "exchange/rest_body.h"

enum {
    FIELD_NONE,
    FIELD_LAST_ID,
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

static bool end_depth(struct decoder_rest *rest)
{
    if (rest->id == ID_NONE) {
        return rest_body_refuse(rest, MD_EPARSE, "snapshot: lastUpdateId is missing");
    }
    rest_body_emit_book(rest, TIME_NONE);
    return true;
}

/* ---- exchangeInfo: {..., "symbols":[{"symbol":..,"status":..,"filters":[{...}]}]} */

static void emit_instrument(struct decoder_rest *rest)
{
    char unified[2 * REST_TEXT_BYTES_MAX + 1];
    struct buf name = buf_over(unified, sizeof unified);
    buf_put_str(&name, rest_body_text(rest, TEXT_BASE));
    buf_put_char(&name, '/');
    buf_put_str(&name, rest_body_text(rest, TEXT_QUOTE));
    struct event event = rest_body_event(rest, CHANNEL_INSTRUMENTS);
    event.symbol = rest_body_text(rest, TEXT_SYMBOL);
    event.instrument = (struct instrument_event){
        .base = rest_body_text(rest, TEXT_BASE),
        .quote = rest_body_text(rest, TEXT_QUOTE),
        .type = STR("spot"),
        .status = rest_body_text(rest, TEXT_STATUS),
        .unified_symbol = buf_view(&name),
        .tick_size = rest->numbers[0],
        .lot_size = rest->numbers[1],
        .valid_from_unix_ns = rest->record->time_unix_ns,
    };
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
    return str_equal(key, STR("symbol"))       ? TEXT_SYMBOL
           : str_equal(key, STR("status"))     ? TEXT_STATUS
           : str_equal(key, STR("baseAsset"))  ? TEXT_BASE
           : str_equal(key, STR("quoteAsset")) ? TEXT_QUOTE
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

struct decode_result binance_spot_rest(struct decoder *decoder, const struct record *record,
                                       event_sink sink, void *context)
{
    static const struct rest_route routes[] = {
        {"/api/v3/depth?", CHANNEL_DEPTH, "symbol=", on_depth_json, end_depth},
        {"/api/v3/exchangeInfo", CHANNEL_INSTRUMENTS, NULL, on_info_json, end_info},
        {"/api/v3/ticker/24hr", CHANNEL_TICKER, NULL, on_volume_json, end_volumes},
        {0},
    };
    return rest_body_decode(decoder, routes, record, sink, context);
}
