/* Members of messages into exact values, for all venues' frame decoders. Memory: the decoder's
 * levels and symbol scratch. */
#include "exchange/reading.h"

#include <string.h>

#include "base/clock.h"

struct reading reading_of(struct decoder *decoder, const struct record *record, event_sink sink,
                          void *context)
{
    return (struct reading){
        .decoder = decoder,
        .record = record,
        .sink = sink,
        .context = context,
        .result = {.channel = -1},
    };
}

void reading_begin(struct reading *reading, enum channel channel)
{
    struct event *event = &reading->event;
    reading->result.channel = (int)channel;
    reading->result.code = 0;
    reading->result.reason = NULL;
    memset(event, 0, sizeof *event);
    event->channel = channel;
    event->venue = reading->record->venue;
    event->event_unix_ns = TIME_NONE;
    event->recv_unix_ns = reading->record->time_unix_ns;
    event->conn = reading->record->conn;
    event->seq = reading->record->seq;
    if (channel == CHANNEL_DEPTH) {
        event->depth.first_update_id = ID_NONE;
        event->depth.last_update_id = ID_NONE;
        event->depth.prev_update_id = ID_NONE;
    } else if (channel == CHANNEL_TRADES) {
        event->trade.trade_id = ID_NONE;
    } else if (channel == CHANNEL_BOOK_TICKER) {
        event->book_ticker.update_id = ID_NONE;
    } else if (channel == CHANNEL_DERIVATIVE_TICKER) {
        event->derivative_ticker.funding_unix_ns = TIME_NONE;
    } else if (channel == CHANNEL_CANDLES) {
        event->candle.trade_count = ID_NONE;
        event->candle.closed = -1;
    }
}

void reading_emit(struct reading *reading)
{
    reading->sink(reading->context, &reading->event);
}

bool reading_refuse(struct reading *reading, int code, const char *reason)
{
    reading->result.code = code;
    reading->result.reason = reason;
    return false;
}

bool reading_predicted_levels(struct reading *reading, struct scan *scan, struct level *levels,
                              uint32_t *count)
{
    uint32_t n = 0;
    if (!scan_expect(scan, "[")) {
        return false;
    }
    if (scan_expect(scan, "]")) {
        *count = 0;
        return true;
    }
    do {
        if (n == reading->decoder->levels_max || !scan_expect(scan, "[\"") ||
            !reading_predicted_decimal(reading, scan, &levels[n].price) ||
            !scan_expect(scan, ",\"") ||
            !reading_predicted_decimal(reading, scan, &levels[n].amount) ||
            !scan_expect(scan, "]")) {
            return false;
        }
        n++;
    } while (scan_expect(scan, ","));
    *count = n;
    return scan_expect(scan, "]");
}

bool reading_decimal(struct reading *reading, const struct scan_value *value, struct decimal *out)
{
    struct str text;
    if (!scan_value_decimal(value, &text)) {
        return reading_refuse(reading, MD_EPARSE, "price or quantity: missing or of a wrong type");
    }
    int code = decimal_parse(text, out);
    if (code != 0) {
        return reading_refuse(reading, code,
                              code == MD_ERANGE ? "number of more than 18 digits"
                                                : "price or quantity: not a number");
    }
    reading_count_digits(reading, *out);
    return true;
}

static bool is_absent(const struct scan_value *value)
{
    return value->type == SCAN_NONE || value->type == SCAN_NULL;
}

static bool is_blank(const struct scan_value *value)
{
    return is_absent(value) || (value->type == SCAN_STRING && value->text.bytes == 0);
}

bool reading_decimal_opt(struct reading *reading, const struct scan_value *value,
                         struct decimal_opt *out)
{
    out->set = !is_absent(value);
    return !out->set || reading_decimal(reading, value, &out->value);
}

bool reading_decimal_blank(struct reading *reading, const struct scan_value *value,
                           struct decimal_opt *out)
{
    out->set = !is_blank(value);
    return !out->set || reading_decimal(reading, value, &out->value);
}

bool reading_total(struct reading *reading, const struct scan_value *value, struct decimal_opt *out)
{
    struct str text;
    bool rounded = false;
    out->set = !is_absent(value);
    if (!out->set) {
        return true;
    }
    int code = scan_value_decimal(value, &text) ? decimal_parse_rounded(text, &out->value, &rounded)
                                                : MD_EPARSE;
    if (code != 0) {
        return reading_refuse(reading, code, "volume: not a number");
    }
    reading->result.digits_over_15 += rounded || decimal_digits(out->value) > 15;
    return true;
}

bool reading_i64(struct reading *reading, const struct scan_value *value, int64_t *out)
{
    if (!scan_value_i64(value, out) || *out == ID_NONE) {
        return reading_refuse(reading, MD_EPARSE, "id: missing, of a wrong type or over 64 bits");
    }
    return true;
}

bool reading_i64_opt(struct reading *reading, const struct scan_value *value, int64_t *out)
{
    *out = ID_NONE;
    return is_absent(value) || reading_i64(reading, value, out);
}

/* A value of 10^14 or more is microseconds: as milliseconds it would lie beyond the year 5138, as
 * microseconds 10^14 is March 1973, before there was anything to record. */
bool reading_time_ms_ns(struct reading *reading, int64_t value, int64_t *out)
{
    bool micros = value >= 100000000000000LL;
    if (value < 0 || __builtin_mul_overflow(value, micros ? NS_PER_US : NS_PER_MS, out)) {
        return reading_refuse(reading, MD_ERANGE, "time out of range");
    }
    return true;
}

bool reading_time_ms(struct reading *reading, const struct scan_value *value, int64_t *out)
{
    int64_t number = 0;
    if (!scan_value_i64(value, &number)) {
        return reading_refuse(reading, MD_EPARSE, "time: missing or of a wrong type");
    }
    return reading_time_ms_ns(reading, number, out);
}

static int64_t unit_ns(int64_t whole)
{
    return whole >= 100000000000000000LL ? 1
           : whole >= 100000000000000LL  ? NS_PER_US
           : whole >= 100000000000LL     ? NS_PER_MS
                                         : NS_PER_S;
}

bool reading_time_any(struct reading *reading, const struct scan_value *value, int64_t *out)
{
    struct str text;
    struct decimal number;
    bool rounded = false;
    if (!scan_value_decimal(value, &text) || text.bytes == 0) {
        return reading_refuse(reading, MD_EPARSE, "time: missing or of a wrong type");
    }
    int64_t whole = 0;
    if (scan_value_i64(value, &whole)) {
        if (whole < 0 || __builtin_mul_overflow(whole, unit_ns(whole), out)) {
            return reading_refuse(reading, MD_ERANGE, "time out of range");
        }
        return true;
    }
    /* 18 digits hold nanoseconds until 2001 and, rounded, tens of nanoseconds until 2286 */
    if (decimal_parse_rounded(text, &number, &rounded) != 0 || number.mantissa < 0 ||
        number.exponent < -18) {
        return reading_refuse(reading, MD_EPARSE, "time: not a number");
    }
    __int128 ns = number.mantissa;
    __int128 head = number.mantissa;
    for (int e = number.exponent; e < 0; e++) {
        head /= 10;
    }
    for (int e = 0; e < number.exponent; e++) {
        head *= 10;
        ns *= 10;
        if (head > INT64_MAX) {
            return reading_refuse(reading, MD_ERANGE, "time out of range");
        }
    }
    ns *= unit_ns((int64_t)head);
    for (int e = number.exponent; e < 0; e++) {
        ns /= 10;
    }
    if (ns > INT64_MAX) {
        return reading_refuse(reading, MD_ERANGE, "time out of range");
    }
    *out = (int64_t)ns;
    return true;
}

bool reading_time_any_opt(struct reading *reading, const struct scan_value *value, int64_t *out)
{
    int64_t whole = 1;
    *out = TIME_NONE;
    if (is_blank(value) || (scan_value_i64(value, &whole) && whole == 0)) {
        return true;
    }
    return reading_time_any(reading, value, out);
}

bool reading_candle_close(struct str interval, int64_t open_unix_ns, int64_t *close_unix_ns)
{
    int64_t number = 0;
    size_t at = 0;
    while (at < interval.bytes && interval.data[at] >= '0' && interval.data[at] <= '9' &&
           number < 1000) {
        number = number * 10 + (interval.data[at++] - '0');
    }
    if (number == 0 || at + 1 != interval.bytes) {
        return false;
    }
    char unit = interval.data[at];
    int64_t unit_ns = unit == 's'   ? NS_PER_S
                      : unit == 'm' ? 60 * NS_PER_S
                      : unit == 'h' ? NS_PER_HOUR
                      : unit == 'd' ? NS_PER_DAY
                      : unit == 'w' ? 7 * NS_PER_DAY
                      : unit == 'M' ? 30 * NS_PER_DAY
                                    : 0;
    return unit_ns > 0 &&
           !__builtin_add_overflow(open_unix_ns, number * unit_ns - NS_PER_US, close_unix_ns);
}

enum side reading_side(const struct scan_value *value)
{
    if (value->type != SCAN_STRING) {
        return SIDE_UNKNOWN;
    }
    struct str text = value->text;
    if (text.bytes == 3 && strncasecmp(text.data, "buy", 3) == 0) {
        return SIDE_BUY;
    }
    return text.bytes == 4 && strncasecmp(text.data, "sell", 4) == 0 ? SIDE_SELL : SIDE_UNKNOWN;
}

bool reading_symbol(struct reading *reading, const struct scan_value *value)
{
    if (!scan_value_string(value, reading->decoder->symbol, SYMBOL_BYTES_MAX,
                           &reading->event.symbol) ||
        reading->event.symbol.bytes == 0 || reading->event.symbol.bytes > SYMBOL_BYTES_MAX) {
        return reading_refuse(reading, MD_EPARSE, "symbol: missing, empty or too long");
    }
    return true;
}

bool reading_levels(struct reading *reading, const struct scan_value *side, struct level *levels,
                    uint32_t *count)
{
    *count = 0;
    if (side->type != SCAN_ARRAY) {
        return reading_refuse(reading, MD_EPARSE, "levels: missing or not a list");
    }
    struct scan scan = scan_enter(side);
    struct scan_value pair, price, amount;
    while (scan_element(&scan, &pair)) {
        if (pair.type != SCAN_ARRAY) {
            return reading_refuse(reading, MD_EPARSE, "level: not a pair");
        }
        if (*count == reading->decoder->levels_max) {
            return reading_refuse(reading, MD_ETOOBIG, "more levels than a message may hold");
        }
        struct scan inside = scan_enter(&pair);
        if (!scan_element(&inside, &price) || !scan_element(&inside, &amount)) {
            return reading_refuse(reading, MD_EPARSE, "level: not a pair");
        }
        struct level *level = &levels[(*count)++];
        if (!reading_decimal(reading, &price, &level->price) ||
            !reading_decimal(reading, &amount, &level->amount)) {
            return false;
        }
    }
    return true;
}
