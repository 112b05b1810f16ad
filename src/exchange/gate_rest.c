/* Gate, REST bodies read as they stream by: books, symbol lists, tickers (for top:N). Lists are
 * arrays of flat objects; their members are told by the tables below. Facts:
 * docs/exchanges/gate.md, sections 1.4 and 2.5. Memory: the decoder's rest part. */
#include <string.h>

#include "base/clock.h"
#include "exchange/gate.h"
#include "exchange/rest_trades.h"

/* ---- books: {"id":N,"current":T,"asks":[["p","s"]] or [{"s":..,"p":".."}],"bids":..} */

enum { BOOK_NONE, BOOK_ID, BOOK_TIME, BOOK_BIDS, BOOK_ASKS };

static bool on_book_json(void *context, enum json_event event, struct str text, int depth)
{
    struct decoder_rest *rest = context;
    bool in_side = rest->field == BOOK_BIDS || rest->field == BOOK_ASKS;
    uint32_t side = rest->field == BOOK_ASKS;
    switch (event) {
    case JSON_EVENT_KEY:
        if (depth == 1) {
            rest->field = str_equal(text, STR("id"))       ? BOOK_ID
                          : str_equal(text, STR("update")) ? BOOK_TIME
                          : str_equal(text, STR("bids"))   ? BOOK_BIDS
                          : str_equal(text, STR("asks"))   ? BOOK_ASKS
                                                           : BOOK_NONE;
        } else if (in_side && depth == 3) { /* {s, p}: in any order */
            rest->inner_field = str_equal(text, STR("p")) ? 1 : str_equal(text, STR("s")) ? 2 : 0;
        }
        return true;
    case JSON_EVENT_OBJECT_BEGIN:
    case JSON_EVENT_ARRAY_BEGIN:
        if (in_side && depth == 2) {
            rest->element = 0;
            rest->inner_field = 0;
            rest->text_bytes[1] = rest->text_bytes[2] = 0;
        }
        return true;
    case JSON_EVENT_OBJECT_END:
        if (in_side && depth == 2) {
            return rest_body_level(rest, side, rest_body_text(rest, 1)) &&
                   rest_body_level(rest, side, rest_body_text(rest, 2)) &&
                   rest_body_level_end(rest, side);
        }
        return true;
    case JSON_EVENT_ARRAY_END:
        return !in_side || depth != 2 || rest_body_level_end(rest, side);
    case JSON_EVENT_STRING:
    case JSON_EVENT_NUMBER:
        break;
    case JSON_EVENT_TRUE:
    case JSON_EVENT_FALSE:
    case JSON_EVENT_NULL:
        return !in_side || depth < 2 ||
               rest_body_refuse(rest, MD_EPARSE, "snapshot: level: not a pair");
    }
    if (depth == 1 && rest->field == BOOK_ID) {
        struct decimal id;
        if (decimal_parse(text, &id) != 0 || id.exponent != 0) {
            return rest_body_refuse(rest, MD_EPARSE, "snapshot: id: not a whole number");
        }
        rest->id = id.mantissa;
    } else if (depth == 1 && rest->field == BOOK_TIME) {
        rest->numbers[0].set = decimal_parse(text, &rest->numbers[0].value) == 0;
    } else if (in_side && depth == 3 && rest->inner_field > 0) {
        return rest_body_keep(rest, rest->inner_field, text) ||
               rest_body_refuse(rest, MD_ETOOBIG, "snapshot: a number is too long");
    } else if (in_side && depth == 3) {
        return rest_body_level(rest, side, text);
    }
    return true;
}

/* Milliseconds on spot, seconds with decimals on futures (section 0.5). */
static int64_t book_time(const struct decimal_opt *time)
{
    int64_t ms = 0;
    if (!time->set || time->value.mantissa <= 0) {
        return TIME_NONE;
    }
    bool seconds = decimal_compare(time->value, (struct decimal){1, 11}) < 0;
    struct decimal value = time->value;
    value.exponent = (int8_t)(value.exponent + (seconds ? 3 : 0));
    struct decimal cut = value;
    while (cut.exponent < 0) { /* below a millisecond: not kept */
        cut.mantissa /= 10;
        cut.exponent++;
    }
    return decimal_rescale(cut, 0, &ms) == 0 && ms < INT64_MAX / NS_PER_MS ? ms * NS_PER_MS
                                                                           : TIME_NONE;
}

static bool end_book(struct decoder_rest *rest)
{
    if (rest->id == ID_NONE) {
        return rest_body_refuse(rest, MD_EPARSE, "snapshot: id is missing (with_id=true)");
    }
    rest_body_emit_book(rest, book_time(&rest->numbers[0]));
    return true;
}

/* ---- lists: [{...},{...}] */

enum {
    TEXT_SYMBOL,
    TEXT_STATUS,
    TEXT_BASE,
    TEXT_QUOTE,
    TEXT_TYPE,
    TEXT_A, /* precision, order_price_round, last */
    TEXT_B, /* amount_precision, quanto_multiplier, quote_volume */
    TEXT_C, /* enable_decimal, delisting */
    TEXT_NONE,
};
_Static_assert(TEXT_NONE < REST_TEXTS, "a slot for each text");

struct member {
    struct str key;
    int slot;
};
static const struct member pair_members[] = {{{"id", 2}, TEXT_SYMBOL},
                                             {{"base", 4}, TEXT_BASE},
                                             {{"quote", 5}, TEXT_QUOTE},
                                             {{"trade_status", 12}, TEXT_STATUS},
                                             {{"precision", 9}, TEXT_A},
                                             {{"amount_precision", 16}, TEXT_B},
                                             {{"", 0}, 0}};
static const struct member contract_members[] = {{{"name", 4}, TEXT_SYMBOL},
                                                 {{"type", 4}, TEXT_TYPE},
                                                 {{"status", 6}, TEXT_STATUS},
                                                 {{"order_price_round", 17}, TEXT_A},
                                                 {{"quanto_multiplier", 17}, TEXT_B},
                                                 {{"in_delisting", 12}, TEXT_C},
                                                 {{"", 0}, 0}};
static const struct member ticker_members[] = {
    {{"currency_pair", 13}, TEXT_SYMBOL}, {{"contract", 8}, TEXT_SYMBOL},     {{"last", 4}, TEXT_A},
    {{"quote_volume", 12}, TEXT_B},       {{"volume_24h_quote", 16}, TEXT_B}, {{"", 0}, 0}};

static int slot_of(const struct member *members, struct str key)
{
    while (members->key.bytes > 0 && !str_equal(members->key, key)) {
        members++;
    }
    return members->key.bytes > 0 ? members->slot : TEXT_NONE;
}

/* Gathers the members of each object, then hands it to `done`. */
static bool on_list(struct decoder_rest *rest, const struct member *members, enum json_event event,
                    struct str text, int depth, bool (*done)(struct decoder_rest *rest))
{
    static const struct str truth = {"true", 4};
    if (event == JSON_EVENT_OBJECT_BEGIN && depth == 1) {
        memset(rest->text_bytes, 0, sizeof rest->text_bytes);
        memset(rest->numbers, 0, sizeof rest->numbers);
        rest->inner_field = TEXT_NONE;
    } else if (event == JSON_EVENT_KEY && depth == 2) {
        rest->inner_field = slot_of(members, text);
    } else if (event == JSON_EVENT_OBJECT_END && depth == 1) {
        return done(rest);
    } else if (depth == 2 && rest->inner_field != TEXT_NONE) {
        bool value = event == JSON_EVENT_STRING || event == JSON_EVENT_NUMBER;
        if (event == JSON_EVENT_TRUE) {
            text = truth;
            value = true;
        }
        if (value && !rest_body_keep(rest, rest->inner_field, text)) {
            return rest_body_refuse(rest, MD_ETOOBIG, "list: a name is too long");
        }
    } else if (depth == 0 && event != JSON_EVENT_ARRAY_BEGIN && event != JSON_EVENT_ARRAY_END) {
        return rest_body_refuse(rest, MD_EPARSE, "not a list");
    }
    return true;
}

/* 10^-places, from "6". */
static struct decimal_opt unit_of_places(struct str places)
{
    struct decimal number;
    bool good = decimal_parse(places, &number) == 0 && number.exponent == 0 &&
                number.mantissa >= 0 && number.mantissa <= 18;
    return (struct decimal_opt){{1, (int8_t)(good ? -number.mantissa : 0)}, good};
}

static void emit_instrument(struct decoder_rest *rest, const struct instrument_event *instrument)
{
    struct event event = rest_body_event(rest, CHANNEL_INSTRUMENTS);
    event.symbol = rest_body_text(rest, TEXT_SYMBOL);
    event.instrument = *instrument;
    event.instrument.status = rest_body_text(rest, TEXT_STATUS);
    event.instrument.valid_from_unix_ns = rest->record->time_unix_ns;
    rest_body_emit(rest, &event);
}

static bool done_pair(struct decoder_rest *rest)
{
    char unified[2 * REST_TEXT_BYTES_MAX + 1];
    struct buf name = buf_over(unified, sizeof unified);
    struct str base = rest_body_text(rest, TEXT_BASE);
    struct str quote = rest_body_text(rest, TEXT_QUOTE);
    if (rest->text_bytes[TEXT_SYMBOL] == 0) {
        return rest_body_refuse(rest, MD_EPARSE, "currency_pairs: a pair without id");
    }
    buf_put_str(&name, base);
    buf_put_char(&name, '/');
    buf_put_str(&name, quote);
    emit_instrument(rest, &(struct instrument_event){
                              .base = base,
                              .quote = quote,
                              .type = STR("spot"),
                              .unified_symbol = buf_view(&name),
                              .tick_size = unit_of_places(rest_body_text(rest, TEXT_A)),
                              .lot_size = unit_of_places(rest_body_text(rest, TEXT_B)),
                          });
    return true;
}

/* Contracts without `status` (before 2025) trade unless they are being delisted. A multiplier of 0
 * is an inverse contract: one is worth 1 USD. */
static bool done_contract(struct decoder_rest *rest)
{
    struct str symbol = rest_body_text(rest, TEXT_SYMBOL);
    const char *cut = memchr(symbol.data, '_', symbol.bytes);
    if (cut == NULL || cut == symbol.data) {
        return rest_body_refuse(rest, MD_EPARSE, "contracts: a name without _");
    }
    struct str base = str_make(symbol.data, (size_t)(cut - symbol.data));
    struct str quote = str_make(cut + 1, symbol.bytes - base.bytes - 1);
    char unified[3 * REST_TEXT_BYTES_MAX];
    struct buf name = buf_over(unified, sizeof unified);
    struct instrument_event instrument = {.base = base, .quote = quote};
    struct decimal_opt *multiplier = &instrument.contract_multiplier;
    multiplier->set = decimal_parse(rest_body_text(rest, TEXT_B), &multiplier->value) == 0;
    bool inverse = str_equal(rest_body_text(rest, TEXT_TYPE), STR("inverse")) ||
                   (multiplier->set && decimal_is_zero(multiplier->value));
    buf_put_str(&name, base);
    buf_put_char(&name, '/');
    buf_put_str(&name, quote);
    buf_put_char(&name, ':');
    buf_put_str(&name, inverse ? base : quote);
    instrument.type = inverse ? STR("inverse_perpetual") : STR("perpetual");
    instrument.unified_symbol = buf_view(&name);
    instrument.tick_size.set =
        decimal_parse(rest_body_text(rest, TEXT_A), &instrument.tick_size.value) == 0;
    instrument.lot_size = (struct decimal_opt){{1, 0}, true};
    if (rest->text_bytes[TEXT_STATUS] == 0) {
        rest_body_keep(rest, TEXT_STATUS,
                       rest->text_bytes[TEXT_C] > 0 ? STR("delisting") : STR("trading"));
    }
    emit_instrument(rest, &instrument);
    return true;
}

static bool done_ticker(struct decoder_rest *rest)
{
    struct event event = rest_body_event(rest, CHANNEL_TICKER);
    bool rounded = false;
    event.symbol = rest_body_text(rest, TEXT_SYMBOL);
    struct ticker_event *ticker = &event.ticker;
    ticker->last_price.set = decimal_parse_rounded(rest_body_text(rest, TEXT_A),
                                                   &ticker->last_price.value, &rounded) == 0;
    ticker->quote_volume.set = decimal_parse_rounded(rest_body_text(rest, TEXT_B),
                                                     &ticker->quote_volume.value, &rounded) == 0;
    if (event.symbol.bytes > 0) {
        rest_body_emit(rest, &event);
    }
    return true;
}

static bool on_pairs_json(void *context, enum json_event event, struct str text, int depth)
{
    return on_list(context, pair_members, event, text, depth, done_pair);
}

static bool on_contracts_json(void *context, enum json_event event, struct str text, int depth)
{
    return on_list(context, contract_members, event, text, depth, done_contract);
}

static bool on_tickers_json(void *context, enum json_event event, struct str text, int depth)
{
    return on_list(context, ticker_members, event, text, depth, done_ticker);
}

static bool end_list(struct decoder_rest *rest)
{
    (void)rest;
    return true;
}

/* ---- trades, newest first */

static const struct rest_trades_form spot_trades = {
    .depth = 1,
    .keys = {[REST_TRADE_ID] = "id",
             [REST_TRADE_PRICE] = "price",
             [REST_TRADE_AMOUNT] = "amount",
             [REST_TRADE_TIME] = "create_time_ms",
             [REST_TRADE_SIDE] = "side"},
};
/* The size's sign is the side; create_time_ms is in seconds here, with a fraction. */
static const struct rest_trades_form futures_trades = {
    .depth = 1,
    .keys = {[REST_TRADE_ID] = "id",
             [REST_TRADE_PRICE] = "price",
             [REST_TRADE_AMOUNT] = "size",
             [REST_TRADE_TIME] = "create_time_ms"},
};

static bool on_spot_trades_json(void *context, enum json_event event, struct str text, int depth)
{
    return rest_trades_json(context, &spot_trades, event, text, depth);
}

static bool end_spot_trades(struct decoder_rest *rest)
{
    return rest_trades_end(rest, &spot_trades);
}

static bool on_futures_trades_json(void *context, enum json_event event, struct str text, int depth)
{
    return rest_trades_json(context, &futures_trades, event, text, depth);
}

static bool end_futures_trades(struct decoder_rest *rest)
{
    return rest_trades_end(rest, &futures_trades);
}

struct decode_result gate_rest(struct decoder *decoder, const struct record *record,
                               event_sink sink, void *context)
{
    static const struct rest_route routes[] = {
        {"/spot/order_book?", CHANNEL_DEPTH, "currency_pair=", on_book_json, end_book},
        {"/futures/usdt/order_book?", CHANNEL_DEPTH, "contract=", on_book_json, end_book},
        {"/spot/currency_pairs", CHANNEL_INSTRUMENTS, NULL, on_pairs_json, end_list},
        {"/futures/usdt/contracts", CHANNEL_INSTRUMENTS, NULL, on_contracts_json, end_list},
        {"/spot/tickers", CHANNEL_TICKER, NULL, on_tickers_json, end_list},
        {"/futures/usdt/tickers", CHANNEL_TICKER, NULL, on_tickers_json, end_list},
        {"/spot/trades?", CHANNEL_TRADES, "currency_pair=", on_spot_trades_json, end_spot_trades},
        {"/futures/usdt/trades?", CHANNEL_TRADES, "contract=", on_futures_trades_json,
         end_futures_trades},
        {0},
    };
    return rest_body_decode(decoder, routes, record, sink, context);
}
