/* KuCoin, unified sockets: pushes to events. {"T":"obu.SPOT", "t":"delta", "P":ns, "d":{..}}, with
 * blanks after some commas and the members of d in any order. Books begin with a full one; deltas
 * say which sequences they cover. Numbers above 2^53 come as numbers or as strings. Memory: the
 * decoder's levels. Facts: docs/exchanges/kucoin.md, section 8. */
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "exchange/kucoin.h"

static bool emit(struct reading *reading)
{
    if (!kucoin_checks(reading)) {
        return false;
    }
    reading_emit(reading);
    return true;
}

/* ---- books */

enum { B_SYMBOL, B_FIRST, B_LAST, B_TIME, B_ASKS, B_BIDS, B_COUNT };

/* Absent and null: nothing changed on this side. */
static bool take_side(struct reading *reading, const struct scan_value *side, struct level *levels,
                      uint32_t *count)
{
    *count = 0;
    return side->type == SCAN_NONE || side->type == SCAN_NULL ||
           reading_levels(reading, side, levels, count);
}

static bool take_delta(struct reading *reading, const struct scan_value found[B_COUNT],
                       bool is_snapshot)
{
    struct depth_event *depth = &reading->event.depth;
    depth->is_snapshot = is_snapshot;
    depth->bids = reading_bids(reading);
    depth->asks = reading_asks(reading);
    return reading_i64(reading, &found[B_FIRST], &depth->first_update_id) &&
           reading_i64(reading, &found[B_LAST], &depth->last_update_id) &&
           take_side(reading, &found[B_BIDS], reading_bids(reading), &depth->bid_count) &&
           take_side(reading, &found[B_ASKS], reading_asks(reading), &depth->ask_count);
}

static bool take_whole(struct reading *reading, const struct scan_value found[B_COUNT])
{
    struct book_snapshot_event *book = &reading->event.book_snapshot;
    book->bids = reading_bids(reading);
    book->asks = reading_asks(reading);
    return reading_i64_opt(reading, &found[B_LAST], &book->last_update_id) &&
           take_side(reading, &found[B_BIDS], reading_bids(reading), &book->bid_count) &&
           take_side(reading, &found[B_ASKS], reading_asks(reading), &book->ask_count);
}

/* Depth 1: the best of each side. */
static bool take_best(struct reading *reading, const struct scan_value found[B_COUNT])
{
    struct book_ticker_event *ticker = &reading->event.book_ticker;
    struct level *bid = reading_bids(reading);
    struct level *ask = reading_asks(reading);
    uint32_t bids = 0, asks = 0;
    if (!reading_i64_opt(reading, &found[B_LAST], &ticker->update_id) ||
        !take_side(reading, &found[B_BIDS], bid, &bids) ||
        !take_side(reading, &found[B_ASKS], ask, &asks)) {
        return false;
    }
    ticker->bid_price = (struct decimal_opt){bid->price, bids > 0};
    ticker->bid_amount = (struct decimal_opt){bid->amount, bids > 0};
    ticker->ask_price = (struct decimal_opt){ask->price, asks > 0};
    ticker->ask_amount = (struct decimal_opt){ask->amount, asks > 0};
    return true;
}

static bool take_obu(struct reading *reading, const struct scan_value *data,
                     const struct scan_value *depth, const struct scan_value *type)
{
    static const struct str keys[B_COUNT] = {
        [B_SYMBOL] = {"s", 1}, [B_FIRST] = {"O", 1}, [B_LAST] = {"C", 1},
        [B_TIME] = {"M", 1},   [B_ASKS] = {"a", 1},  [B_BIDS] = {"b", 1}};
    struct scan_value found[B_COUNT];
    int channel = depth->type == SCAN_STRING ? kucoin_channel_of_depth(depth->text) : CHANNEL_DEPTH;
    bool is_snapshot = type->type == SCAN_STRING && str_equal(type->text, STR("snapshot"));
    bool is_delta = type->type == SCAN_STRING && str_equal(type->text, STR("delta"));
    if (channel < 0) {
        return reading_refuse(reading, MD_EUNKNOWN, "obu: unknown depth");
    }
    reading_begin(reading, (enum channel)channel);
    if (channel == CHANNEL_DEPTH && !is_snapshot && !is_delta) {
        return reading_refuse(reading, MD_EUNKNOWN, "obu: neither snapshot nor delta");
    }
    if (data->type != SCAN_OBJECT) {
        return reading_refuse(reading, MD_EPARSE, "d: missing or not an object");
    }
    scan_find(data, keys, B_COUNT, found);
    bool good = channel == CHANNEL_DEPTH         ? take_delta(reading, found, is_snapshot)
                : channel == CHANNEL_BOOK_TICKER ? take_best(reading, found)
                                                 : take_whole(reading, found);
    return good && reading_symbol(reading, &found[B_SYMBOL]) &&
           reading_time_any_opt(reading, &found[B_TIME], &reading->event.event_unix_ns) &&
           emit(reading);
}

/* ---- the others */

static bool take_trade(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"s", 1}, {"ti", 2}, {"p", 1}, {"q", 1}, {"S", 1}, {"M", 1}};
    struct scan_value found[6];
    struct trade_event *trade = &reading->event.trade;
    scan_find(data, keys, 6, found);
    trade->side = reading_side(&found[4]);
    return reading_symbol(reading, &found[0]) &&
           reading_i64_opt(reading, &found[1], &trade->trade_id) &&
           reading_decimal(reading, &found[2], &trade->price) &&
           reading_decimal(reading, &found[3], &trade->amount) &&
           reading_time_any(reading, &found[5], &reading->event.event_unix_ns) && emit(reading);
}

static bool take_ticker(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"s", 1}, {"E", 1}, {"b", 1}, {"B", 1},
                                      {"a", 1}, {"A", 1}, {"M", 1}};
    struct scan_value found[7];
    struct book_ticker_event *ticker = &reading->event.book_ticker;
    scan_find(data, keys, 7, found);
    if (!reading_symbol(reading, &found[0]) ||
        !reading_i64_opt(reading, &found[1], &ticker->update_id) ||
        !reading_decimal_blank(reading, &found[2], &ticker->bid_price) ||
        !reading_decimal_blank(reading, &found[3], &ticker->bid_amount) ||
        !reading_decimal_blank(reading, &found[4], &ticker->ask_price) ||
        !reading_decimal_blank(reading, &found[5], &ticker->ask_amount) ||
        !reading_time_any_opt(reading, &found[6], &reading->event.event_unix_ns)) {
        return false;
    }
    ticker->bid_amount.set = ticker->bid_amount.set && ticker->bid_price.set;
    ticker->ask_amount.set = ticker->ask_amount.set && ticker->ask_price.set;
    return emit(reading);
}

static int said(const struct scan_value *value)
{
    bool yes = value->type == SCAN_TRUE ||
               (value->type == SCAN_STRING && str_equal(value->text, STR("true")));
    bool no = value->type == SCAN_FALSE ||
              (value->type == SCAN_STRING && str_equal(value->text, STR("false")));
    return yes ? 1 : no ? 0 : -1;
}

/* C is when the next one opens; its end is told inclusive here. */
static bool take_close_time(struct reading *reading, const struct scan_value *value)
{
    struct candle_event *candle = &reading->event.candle;
    int64_t close = TIME_NONE;
    if (!reading_time_any_opt(reading, value, &close)) {
        return false;
    }
    if (close != TIME_NONE) {
        candle->close_unix_ns = close - NS_PER_US;
        return true;
    }
    return reading_candle_close(candle->interval, candle->open_unix_ns, &candle->close_unix_ns) ||
           reading_refuse(reading, MD_EPARSE, "candle: unknown interval");
}

static bool take_kline(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"s", 1}, {"i", 1}, {"O", 1}, {"C", 1}, {"o", 1}, {"h", 1},
                                      {"l", 1}, {"c", 1}, {"v", 1}, {"a", 1}, {"S", 1}};
    struct scan_value found[11];
    struct candle_event *candle = &reading->event.candle;
    struct decimal_opt volume = {0};
    scan_find(data, keys, 11, found);
    candle->interval =
        found[1].type == SCAN_STRING ? kucoin_interval_of(found[1].text) : (struct str){0};
    candle->closed = said(&found[10]);
    if (candle->interval.bytes == 0) {
        return reading_refuse(reading, MD_EPARSE, "candle: unknown interval");
    }
    if (!reading_symbol(reading, &found[0]) ||
        !reading_time_any(reading, &found[2], &candle->open_unix_ns) ||
        !take_close_time(reading, &found[3]) ||
        !reading_decimal(reading, &found[4], &candle->open) ||
        !reading_decimal(reading, &found[5], &candle->high) ||
        !reading_decimal(reading, &found[6], &candle->low) ||
        !reading_decimal(reading, &found[7], &candle->close) ||
        !reading_total(reading, &found[8], &volume) ||
        !reading_total(reading, &found[9], &candle->quote_volume)) {
        return false;
    }
    candle->volume = volume.value;
    return emit(reading);
}

static bool take_mark_price(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"s", 1}, {"mp", 2}, {"ip", 2}, {"oi", 2}, {"ts", 2}};
    struct scan_value found[5];
    struct derivative_ticker_event *ticker = &reading->event.derivative_ticker;
    scan_find(data, keys, 5, found);
    return reading_symbol(reading, &found[0]) &&
           reading_decimal_blank(reading, &found[1], &ticker->mark_price) &&
           reading_decimal_blank(reading, &found[2], &ticker->index_price) &&
           reading_decimal_blank(reading, &found[3], &ticker->open_interest) &&
           reading_time_any_opt(reading, &found[4], &reading->event.event_unix_ns) && emit(reading);
}

/* fr is the rate to be settled at nt; gl the interval in milliseconds. */
static bool take_funding(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"s", 1}, {"fr", 2}, {"nt", 2}, {"gl", 2}};
    struct scan_value found[4];
    struct derivative_ticker_event *ticker = &reading->event.derivative_ticker;
    int64_t interval_ms = 0;
    scan_find(data, keys, 4, found);
    if (scan_value_i64(&found[3], &interval_ms) && interval_ms > 0 &&
        interval_ms / 1000 < INT32_MAX) {
        ticker->funding_interval_s = (int32_t)(interval_ms / 1000);
    }
    return reading_symbol(reading, &found[0]) &&
           reading_decimal_blank(reading, &found[1], &ticker->funding_rate) &&
           reading_time_any_opt(reading, &found[2], &ticker->funding_unix_ns) && emit(reading);
}

/* ---- frames */

static bool take_one(struct reading *reading, const struct scan_value *data,
                     const struct scan_value *pushed)
{
    enum kucoin_kind kind = (enum kucoin_kind)reading->kind;
    reading_begin(reading, (enum channel)kucoin_channel_of_kind(kind));
    if (data->type != SCAN_OBJECT) {
        return reading_refuse(reading, MD_EPARSE, "d: missing or not an object");
    }
    if (kind == KUCOIN_UNIFIED_TRADE) {
        return take_trade(reading, data);
    }
    if (kind == KUCOIN_UNIFIED_TICKER) {
        return take_ticker(reading, data);
    }
    if (kind == KUCOIN_MARK_PRICE) {
        return take_mark_price(reading, data);
    }
    ASSERT(kind == KUCOIN_UNIFIED_KLINE || kind == KUCOIN_FUNDING_FEE);
    /* these have no time of their own */
    return reading_time_any_opt(reading, pushed, &reading->event.event_unix_ns) &&
           (kind == KUCOIN_UNIFIED_KLINE ? take_kline(reading, data) : take_funding(reading, data));
}

/* Each member stands for itself: one that cannot be read is told, the others land. */
static bool take_list(struct reading *reading, const struct scan_value *list,
                      const struct scan_value *pushed)
{
    struct scan scan = scan_enter(list);
    struct scan_value one;
    struct decode_result bad = {.code = 0};
    while (scan_element(&scan, &one)) {
        if (!take_one(reading, &one, pushed)) {
            bad = reading->result;
        }
    }
    reading->result.channel = kucoin_channel_of_kind((enum kucoin_kind)reading->kind);
    reading->result.code = bad.code;
    reading->result.reason = bad.reason;
    return bad.code == 0;
}

bool kucoin_uta_general(struct reading *reading, const struct scan_value *frame)
{
    static const struct str keys[] = {{"T", 1}, {"dp", 2}, {"t", 1}, {"P", 1}, {"d", 1}};
    struct scan_value found[5];
    scan_find(frame, keys, 5, found);
    reading->kind = (int)kucoin_kind_of_channel(found[0].text);
    if (reading->kind == KUCOIN_UNKNOWN) {
        return reading_refuse(reading, MD_EUNKNOWN, "unknown channel");
    }
    if (reading->kind == KUCOIN_OTHER) {
        reading->result.control = true; /* known, not recorded */
        return true;
    }
    if (reading->kind == KUCOIN_OBU) {
        return take_obu(reading, &found[4], &found[1], &found[2]);
    }
    return found[4].type == SCAN_ARRAY ? take_list(reading, &found[4], &found[3])
                                       : take_one(reading, &found[4], &found[3]);
}

/* ---- predicted: a delta, the outer members in the order seen, those of d in any */

static bool separator(struct scan *scan)
{
    if (!scan_expect(scan, ",")) {
        return false;
    }
    while (scan->p < scan->end && *scan->p == ' ') {
        scan->p++;
    }
    return true;
}

/* A whole number of up to 19 digits: scan_i64() ends at 18. */
static bool scan_ns(struct scan *scan, int64_t *out)
{
    const char *p = scan->p;
    uint64_t value = 0;
    while (p < scan->end && (unsigned char)(*p - '0') < 10 && p - scan->p < 19) {
        value = value * 10 + (uint64_t)(*p++ - '0');
    }
    bool longer = p < scan->end && (unsigned char)(*p - '0') < 10;
    if (p - scan->p < 18 || longer || *scan->p == '0' || value > INT64_MAX) {
        return false;
    }
    *out = (int64_t)value;
    scan->p = p;
    return true;
}

/* One member of d; `seen` gets its bit. A key that comes twice is a surprise. */
static bool predicted_member(struct reading *reading, struct scan *scan, unsigned *seen)
{
    struct depth_event *depth = &reading->event.depth;
    if (scan->end - scan->p < 4 || scan->p[0] != '"' || scan->p[2] != '"' || scan->p[3] != ':') {
        return false;
    }
    char key = scan->p[1];
    scan->p += 4;
    unsigned bit = 0;
    bool good = false;
    switch (key) {
    case 's':
        bit = 1u << B_SYMBOL;
        good = scan_expect(scan, "\"") && scan_text(scan, &reading->event.symbol);
        break;
    case 'O':
        bit = 1u << B_FIRST;
        good = scan_i64(scan, &depth->first_update_id);
        break;
    case 'C':
        bit = 1u << B_LAST;
        good = scan_i64(scan, &depth->last_update_id);
        break;
    case 'M':
        bit = 1u << B_TIME;
        good = scan_ns(scan, &reading->event.event_unix_ns);
        break;
    case 'a':
        bit = 1u << B_ASKS;
        good = reading_predicted_levels(reading, scan, reading_asks(reading), &depth->ask_count);
        break;
    case 'b':
        bit = 1u << B_BIDS;
        good = reading_predicted_levels(reading, scan, reading_bids(reading), &depth->bid_count);
        break;
    default:
        return false;
    }
    good = good && (*seen & bit) == 0;
    *seen |= bit;
    return good;
}

bool kucoin_uta_predicted(struct reading *reading)
{
    struct scan scan = scan_of(reading->record->payload);
    struct depth_event *depth = &reading->event.depth;
    int64_t pushed = 0;
    unsigned seen = 0;
    if (!scan_expect(&scan, "{\"T\":\"obu.") ||
        !(scan_expect(&scan, "SPOT\"") || scan_expect(&scan, "FUTURES\"")) || !separator(&scan) ||
        !scan_expect(&scan, "\"dp\":\"increment@10ms\"") || !separator(&scan) ||
        !scan_expect(&scan, "\"t\":\"delta\"") || !separator(&scan) ||
        !scan_expect(&scan, "\"P\":") || !scan_ns(&scan, &pushed) || !separator(&scan) ||
        !scan_expect(&scan, "\"d\":{")) {
        return false;
    }
    reading_begin(reading, CHANNEL_DEPTH);
    do {
        if (!predicted_member(reading, &scan, &seen)) {
            return false;
        }
    } while (separator(&scan));
    if (seen != (1u << B_COUNT) - 1 || !scan_expect(&scan, "}}") || scan.p != scan.end ||
        reading->event.event_unix_ns < 100000000000000000) {
        return false;
    }
    depth->bids = reading_bids(reading);
    depth->asks = reading_asks(reading);
    return emit(reading);
}
