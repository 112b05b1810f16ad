/* Binance spot, REST bodies read as they stream by: order book snapshots become one depth event,
 * the symbol list becomes one instrument event a symbol. Facts: docs/exchanges/binance-spot.md,
 * section 6. Memory: the decoder's rest part; a list of megabytes passes through it. */
#include "exchange/binance_spot.h"
#include "exchange/decoder.h"

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

static bool refuse(struct decoder_rest *rest, int code, const char *reason)
{
    if (rest->result.code == 0) {
        rest->result.code = code;
        rest->result.reason = reason;
    }
    return false;
}

static struct event event_of(const struct decoder_rest *rest, enum channel channel)
{
    struct event event = {
        .channel = channel,
        .venue = rest->record->venue,
        .event_unix_ns = TIME_NONE,
        .recv_unix_ns = rest->record->time_unix_ns,
        .conn = rest->record->conn,
        .seq = rest->record->seq,
    };
    return event;
}

/* ---- depth: {"lastUpdateId":N,"bids":[["p","q"],...],"asks":[...]} */

static bool depth_number(struct decoder_rest *rest, struct str text)
{
    uint32_t side = rest->field == FIELD_ASKS;
    if (rest->counts[side] == rest->levels_max) {
        return refuse(rest, MD_ETOOBIG, "snapshot: more levels than a message may hold");
    }
    struct level *level = &rest->levels[side * rest->levels_max + rest->counts[side]];
    struct decimal *out = rest->element == 0 ? &level->price : &level->amount;
    if (rest->element < 2) {
        int code = decimal_parse(text, out);
        if (code != 0) {
            return refuse(rest, code, "snapshot: price or quantity: not a number");
        }
        rest->result.digits_over_15 += decimal_digits(*out) > 15;
    }
    rest->element++;
    return true;
}

static bool depth_id(struct decoder_rest *rest, struct str text)
{
    struct decimal number;
    if (decimal_parse(text, &number) != 0 || number.exponent != 0) {
        return refuse(rest, MD_EPARSE, "snapshot: lastUpdateId: not a whole number");
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
            if (rest->element < 2) {
                return refuse(rest, MD_EPARSE, "snapshot: level: not a pair");
            }
            rest->counts[rest->field == FIELD_ASKS]++;
        }
        return true;
    case JSON_EVENT_STRING:
    case JSON_EVENT_NUMBER:
        if (depth == 1 && rest->field == FIELD_LAST_ID) {
            return depth_id(rest, text);
        }
        if (in_side && depth == 3) {
            return depth_number(rest, text);
        }
        return !in_side || refuse(rest, MD_EPARSE, "snapshot: level: not a pair");
    case JSON_EVENT_OBJECT_BEGIN:
    case JSON_EVENT_OBJECT_END:
    case JSON_EVENT_TRUE:
    case JSON_EVENT_FALSE:
    case JSON_EVENT_NULL:
        return !in_side || depth < 2 || refuse(rest, MD_EPARSE, "snapshot: level: not a pair");
    }
    return true;
}

static bool end_depth(struct decoder_rest *rest)
{
    if (rest->id == ID_NONE) {
        return refuse(rest, MD_EPARSE, "snapshot: lastUpdateId is missing");
    }
    struct event event = event_of(rest, CHANNEL_DEPTH);
    event.symbol = str_make(rest->symbol, rest->symbol_bytes);
    event.depth = (struct depth_event){
        .is_snapshot = true,
        .first_update_id = ID_NONE,
        .last_update_id = rest->id,
        .prev_update_id = ID_NONE,
        .bids = rest->levels,
        .asks = rest->levels + rest->levels_max,
        .bid_count = rest->counts[0],
        .ask_count = rest->counts[1],
    };
    rest->sink(rest->sink_context, &event);
    return true;
}

/* ---- exchangeInfo: {..., "symbols":[{"symbol":..,"status":..,"filters":[{...}]}]} */

static struct str text_of(const struct decoder_rest *rest, int slot)
{
    return str_make(rest->texts[slot], rest->text_bytes[slot]);
}

static void emit_instrument(struct decoder_rest *rest)
{
    char unified[2 * REST_TEXT_BYTES_MAX + 1];
    struct buf name = buf_over(unified, sizeof unified);
    buf_put_str(&name, text_of(rest, TEXT_BASE));
    buf_put_char(&name, '/');
    buf_put_str(&name, text_of(rest, TEXT_QUOTE));
    struct event event = event_of(rest, CHANNEL_INSTRUMENTS);
    event.symbol = text_of(rest, TEXT_SYMBOL);
    event.instrument = (struct instrument_event){
        .base = text_of(rest, TEXT_BASE),
        .quote = text_of(rest, TEXT_QUOTE),
        .type = STR("spot"),
        .status = text_of(rest, TEXT_STATUS),
        .unified_symbol = buf_view(&name),
        .tick_size = rest->numbers[0],
        .lot_size = rest->numbers[1],
        .valid_from_unix_ns = rest->record->time_unix_ns,
    };
    if (event.symbol.bytes > 0) {
        rest->sink(rest->sink_context, &event);
    } else {
        refuse(rest, MD_EPARSE, "exchangeInfo: a symbol without a name");
    }
}

static void end_filter(struct decoder_rest *rest)
{
    struct str type = text_of(rest, TEXT_FILTER);
    int slot = str_equal(type, STR("PRICE_FILTER")) ? 0 : str_equal(type, STR("LOT_SIZE")) ? 1 : -1;
    if (slot >= 0) {
        rest->numbers[slot].set = decimal_parse(text_of(rest, slot == 0 ? TEXT_TICK : TEXT_STEP),
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
    if (text.bytes > REST_TEXT_BYTES_MAX) {
        return slot == TEXT_OTHER || refuse(rest, MD_ETOOBIG, "exchangeInfo: a name is too long");
    }
    memcpy(rest->texts[slot], text.data, text.bytes);
    rest->text_bytes[slot] = text.bytes;
    return true;
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
    return rest->id == 1 || refuse(rest, MD_EPARSE, "exchangeInfo: no symbols");
}

/* ---- anything else: an error body {"code":-1121,"msg":"..."} or an unknown endpoint */

static bool on_other_json(void *context, enum json_event event, struct str text, int depth)
{
    (void)context;
    (void)event;
    (void)text;
    (void)depth;
    return true;
}

static bool end_other(struct decoder_rest *rest)
{
    (void)rest;
    return true;
}

/* ---- bodies */

static int hex_value(char c)
{
    char lower = (char)(c | 0x20);
    return c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The query's symbol, percent-encoding undone. */
static bool symbol_of_url(struct decoder_rest *rest, struct str url)
{
    static const char name[] = "symbol=";
    const char *at = memmem(url.data, url.bytes, name, sizeof name - 1);
    rest->symbol_bytes = 0;
    if (at == NULL) {
        return false;
    }
    const char *end = url.data + url.bytes;
    for (at += sizeof name - 1; at < end && *at != '&' && *at != ' '; at++) {
        char c = *at;
        if (c == '%') {
            int high = end - at > 2 ? hex_value(at[1]) : -1;
            int low = end - at > 2 ? hex_value(at[2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = (char)(high * 16 + low);
            at += 2;
        }
        if (rest->symbol_bytes == SYMBOL_BYTES_MAX) {
            return false;
        }
        rest->symbol[rest->symbol_bytes++] = c;
    }
    return rest->symbol_bytes > 0;
}

static void begin_body(struct decoder_rest *rest, struct str url)
{
    rest->active = true;
    rest->result = (struct decode_result){.channel = -1};
    rest->url_bytes = url.bytes < sizeof rest->url ? url.bytes : sizeof rest->url;
    memcpy(rest->url, url.data, rest->url_bytes);
    rest->field = FIELD_NONE;
    rest->inner_field = TEXT_OTHER;
    rest->element = 0;
    rest->id = ID_NONE;
    rest->counts[0] = rest->counts[1] = 0;
    if (memmem(url.data, url.bytes, "/api/v3/depth?", 14) != NULL) {
        rest->result.channel = CHANNEL_DEPTH;
        json_stream_init(&rest->json, on_depth_json, rest);
        rest->on_end = end_depth;
        if (!symbol_of_url(rest, url)) {
            refuse(rest, MD_EPARSE, "snapshot: no symbol in the URL");
        }
    } else if (memmem(url.data, url.bytes, "/api/v3/exchangeInfo", 20) != NULL) {
        rest->result.channel = CHANNEL_INSTRUMENTS;
        json_stream_init(&rest->json, on_info_json, rest);
        rest->on_end = end_info;
    } else {
        refuse(rest, MD_EUNKNOWN, "REST reply of an unknown endpoint");
        json_stream_init(&rest->json, on_other_json, rest);
        rest->on_end = end_other;
    }
}

/* "GET URL STATUS" or "GET URL": the URL, and the status (200 when it is left away). */
static struct str split_arg(struct str arg, int *status)
{
    *status = 200;
    const char *url = memchr(arg.data, ' ', arg.bytes);
    if (url == NULL) {
        return arg;
    }
    url++;
    size_t bytes = arg.bytes - (size_t)(url - arg.data);
    const char *space = memchr(url, ' ', bytes);
    if (space == NULL) {
        return str_make(url, bytes);
    }
    *status = 0;
    for (const char *c = space + 1; c < arg.data + arg.bytes && *c >= '0' && *c <= '9'; c++) {
        *status = *status < 10000 ? *status * 10 + (*c - '0') : *status;
    }
    return str_make(url, (size_t)(space - url));
}

static void read_part(struct decoder_rest *rest)
{
    struct str body = rest->record->payload;
    /* a symbol that was refused does not end the list: the others are read all the same */
    if (!json_stream_feed(&rest->json, body.data, body.bytes)) {
        refuse(rest, MD_EPARSE, "REST body: not well-formed JSON");
    }
}

struct decode_result binance_spot_rest(struct decoder *decoder, const struct record *record,
                                       event_sink sink, void *context)
{
    struct decoder_rest *rest = &decoder->rest[record->venue];
    int status = 200;
    struct str url = split_arg(record->arg, &status);
    struct str known = str_make(rest->url, rest->url_bytes);
    if (!rest->active ||
        !str_equal(known, str_make(url.data,
                                   url.bytes < sizeof rest->url ? url.bytes : sizeof rest->url))) {
        begin_body(rest, url);
    }
    rest->record = record;
    rest->sink = sink;
    rest->sink_context = context;
    if (status == 200) {
        read_part(rest);
    }
    if (record->kind == RECORD_REST_PART) { /* told once, with the last part */
        return (struct decode_result){.channel = rest->result.channel};
    }
    rest->active = false;
    if (status != 200) {
        /* refused or failed: the feed side has logged it and asks again; no message was lost */
        return (struct decode_result){.channel = rest->result.channel, .control = true};
    }
    if (rest->result.code == 0 && !json_stream_end(&rest->json)) {
        refuse(rest, MD_EPARSE, "REST body: ends too early");
    }
    if (rest->result.code == 0) {
        rest->on_end(rest);
    }
    return rest->result;
}
