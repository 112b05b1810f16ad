/* Gate, spot and USDT futures: frames to events. `event` decides the meaning, `result` may be an
 * object, a list, or (in old recordings) a list in a list; each member stands for itself. Sizes
 * come as numbers or strings, times in four encodings told by magnitude. Trades, book tickers and
 * obu deltas have predicted readers, all have general ones. Memory: the decoder's levels. Facts:
 * docs/exchanges/gate.md. */
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "exchange/gate.h"
#include "exchange/reading.h"

static bool is_spot(const struct reading *reading)
{
    return reading->record->venue == VENUE_GATE;
}

static bool checks(struct reading *reading)
{
    const struct event *event = &reading->event;
    if (event->symbol.bytes == 0 || event->symbol.bytes > SYMBOL_BYTES_MAX) {
        return reading_refuse(reading, MD_EPARSE, "symbol: missing, empty or too long");
    }
    if (event->channel == CHANNEL_DEPTH && event->depth.first_update_id != ID_NONE &&
        event->depth.first_update_id > event->depth.last_update_id) {
        return reading_refuse(reading, MD_EPARSE, "depth: first update id beyond the last");
    }
    return true;
}

/* A signed size is the taker's side and the amount. */
static enum side unsign(struct decimal *amount)
{
    if (amount->mantissa < 0) {
        amount->mantissa = -amount->mantissa;
        return SIDE_SELL;
    }
    return amount->mantissa > 0 ? SIDE_BUY : SIDE_UNKNOWN;
}

/* ---- books */

/* One side: pairs, or objects {p, s}; absent when it did not change. */
static bool take_side(struct reading *reading, const struct scan_value *side, struct level *levels,
                      uint32_t *count)
{
    static const struct str keys[] = {{"p", 1}, {"s", 1}};
    *count = 0;
    if (side->type == SCAN_NONE || side->type == SCAN_NULL) {
        return true;
    }
    if (side->type != SCAN_ARRAY) {
        return reading_refuse(reading, MD_EPARSE, "levels: not a list");
    }
    struct scan scan = scan_enter(side);
    struct scan_value level, found[2];
    if (!scan_element(&scan, &level) || level.type != SCAN_OBJECT) {
        return reading_levels(reading, side, levels, count);
    }
    do {
        if (level.type != SCAN_OBJECT) {
            return reading_refuse(reading, MD_EPARSE, "level: not {p, s}");
        }
        if (*count == reading->decoder->levels_max) {
            return reading_refuse(reading, MD_ETOOBIG, "more levels than a message may hold");
        }
        scan_find(&level, keys, 2, found);
        struct level *out = &levels[(*count)++];
        if (!reading_decimal(reading, &found[0], &out->price) ||
            !reading_decimal(reading, &found[1], &out->amount)) {
            return false;
        }
    } while (scan_element(&scan, &level));
    return true;
}

/* obu and order_book_update: `full` replaces the book; a delta may hold ids only. On obu `s` is the
 * stream's name. */
static bool take_update(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"t", 1}, {"full", 4}, {"s", 1}, {"U", 1},
                                      {"u", 1}, {"b", 1},    {"a", 1}};
    struct scan_value found[7];
    struct depth_event *depth = &reading->event.depth;
    scan_find(data, keys, 7, found);
    depth->is_snapshot = found[1].type == SCAN_TRUE;
    depth->bids = reading_bids(reading);
    depth->asks = reading_asks(reading);
    if (!reading_symbol(reading, &found[2])) {
        return false;
    }
    if (reading->kind == GATE_OBU) {
        reading->event.symbol = gate_obu_symbol(reading->event.symbol);
    }
    bool first_needed = !depth->is_snapshot || found[3].type != SCAN_NONE;
    return reading_time_any_opt(reading, &found[0], &reading->event.event_unix_ns) &&
           (first_needed ? reading_i64(reading, &found[3], &depth->first_update_id) : true) &&
           reading_i64(reading, &found[4], &depth->last_update_id) &&
           take_side(reading, &found[5], reading_bids(reading), &depth->bid_count) &&
           take_side(reading, &found[6], reading_asks(reading), &depth->ask_count);
}

/* Whole books of a few levels; the deepest level count says which of our channels it is. */
static bool take_order_book(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"t", 1},    {"lastUpdateId", 12}, {"id", 2},
                                      {"s", 1},    {"contract", 8},      {"l", 1},
                                      {"bids", 4}, {"asks", 4}};
    struct scan_value found[8];
    scan_find(data, keys, 8, found);
    struct level *bids = reading_bids(reading);
    struct level *asks = reading_asks(reading);
    uint32_t bid_count = 0, ask_count = 0;
    int64_t level = 0, id = 0;
    if (!take_side(reading, &found[6], bids, &bid_count) ||
        !take_side(reading, &found[7], asks, &ask_count) ||
        !reading_i64(reading, found[1].type != SCAN_NONE ? &found[1] : &found[2], &id)) {
        return false;
    }
    uint32_t most = bid_count > ask_count ? bid_count : ask_count;
    if (!scan_value_i64(&found[5], &level)) {
        level = most; /* older messages do not say how deep they go */
    }
    reading_begin(reading, level <= 5    ? CHANNEL_BOOK_SNAPSHOT_5
                           : level <= 20 ? CHANNEL_BOOK_SNAPSHOT_20
                                         : CHANNEL_BOOK_SNAPSHOT_50);
    struct book_snapshot_event *book = &reading->event.book_snapshot;
    book->last_update_id = id;
    book->bids = bids;
    book->asks = asks;
    book->bid_count = bid_count;
    book->ask_count = ask_count;
    return reading_time_any_opt(reading, &found[0], &reading->event.event_unix_ns) &&
           reading_symbol(reading, found[3].type != SCAN_NONE ? &found[3] : &found[4]);
}

/* ---- the others */

static bool take_trade(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {
        {"id", 2},          {"create_time", 11},   {"create_time_ms", 14},
        {"side", 4},        {"currency_pair", 13}, {"amount", 6},
        {"price", 5},       {"contract", 8},       {"size", 4},
        {"is_internal", 11}};
    struct scan_value found[10];
    struct trade_event *trade = &reading->event.trade;
    scan_find(data, keys, 10, found);
    const struct scan_value *symbol = is_spot(reading) ? &found[4] : &found[7];
    const struct scan_value *time = found[2].type != SCAN_NONE ? &found[2] : &found[1];
    if (!reading_symbol(reading, symbol) ||
        !reading_i64_opt(reading, &found[0], &trade->trade_id) ||
        !reading_decimal(reading, &found[6], &trade->price) ||
        !reading_decimal(reading, is_spot(reading) ? &found[5] : &found[8], &trade->amount) ||
        !reading_time_any(reading, time, &reading->event.event_unix_ns)) {
        return false;
    }
    trade->side = is_spot(reading) ? reading_side(&found[3]) : unsign(&trade->amount);
    trade->flags = found[9].type == SCAN_TRUE ? TRADE_LIQUIDATION : 0;
    return true;
}

static bool take_book_ticker(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"t", 1}, {"u", 1}, {"s", 1}, {"b", 1},
                                      {"B", 1}, {"a", 1}, {"A", 1}};
    struct scan_value found[7];
    struct book_ticker_event *ticker = &reading->event.book_ticker;
    scan_find(data, keys, 7, found);
    if (!reading_time_any_opt(reading, &found[0], &reading->event.event_unix_ns) ||
        !reading_i64_opt(reading, &found[1], &ticker->update_id) ||
        !reading_symbol(reading, &found[2]) ||
        !reading_decimal_blank(reading, &found[3], &ticker->bid_price) ||
        !reading_decimal_blank(reading, &found[4], &ticker->bid_amount) ||
        !reading_decimal_blank(reading, &found[5], &ticker->ask_price) ||
        !reading_decimal_blank(reading, &found[6], &ticker->ask_amount)) {
        return false;
    }
    ticker->bid_amount.set =
        ticker->bid_amount.set && ticker->bid_price.set; /* b:"", B:0: no bid */
    ticker->ask_amount.set = ticker->ask_amount.set && ticker->ask_price.set;
    return true;
}

/* "1m_BTC_USDT"; mark and index candles ("mark_1m_BTC_USDT") are not the contract's. */
static bool candle_name(struct str name, struct str *interval, struct str *symbol)
{
    const char *cut = memchr(name.data, '_', name.bytes);
    if (cut == NULL || name.data[0] < '0' || name.data[0] > '9') {
        return false;
    }
    *interval = str_make(name.data, (size_t)(cut - name.data));
    *symbol = str_make(cut + 1, name.bytes - interval->bytes - 1);
    if (str_equal(*interval, STR("7d"))) {
        *interval = STR("1w");
    }
    return interval->bytes <= 8 && symbol->bytes > 0;
}

/* Spot's v is in quote units and a in base; contracts' v counts contracts (sections 1.2, 2.3). */
static bool take_candle(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"t", 1}, {"o", 1}, {"h", 1}, {"l", 1}, {"c", 1},
                                      {"v", 1}, {"a", 1}, {"n", 1}, {"w", 1}};
    struct scan_value found[9];
    struct candle_event *candle = &reading->event.candle;
    struct decimal_opt v = {0}, a = {0};
    scan_find(data, keys, 9, found);
    if (!reading_symbol(reading, &found[7])) {
        return false;
    }
    if (!candle_name(reading->event.symbol, &candle->interval, &reading->event.symbol)) {
        reading->result.control = true; /* known, not recorded */
        return true;
    }
    candle->closed = found[8].type == SCAN_TRUE ? 1 : found[8].type == SCAN_FALSE ? 0 : -1;
    if (!reading_time_any(reading, &found[0], &candle->open_unix_ns) ||
        !reading_decimal(reading, &found[1], &candle->open) ||
        !reading_decimal(reading, &found[2], &candle->high) ||
        !reading_decimal(reading, &found[3], &candle->low) ||
        !reading_decimal(reading, &found[4], &candle->close) ||
        !reading_total(reading, &found[5], &v) || !reading_total(reading, &found[6], &a)) {
        return false;
    }
    if (is_spot(reading)) {
        candle->volume = a.value; /* without a (before 2022): 0, since v is no base volume */
        candle->quote_volume = v;
    } else {
        candle->volume = v.value;
    }
    return reading_candle_close(candle->interval, candle->open_unix_ns, &candle->close_unix_ns) ||
           reading_refuse(reading, MD_EPARSE, "candle: unknown interval");
}

static bool take_spot_ticker(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {
        {"currency_pair", 13}, {"last", 4},          {"lowest_ask", 10}, {"highest_bid", 11},
        {"base_volume", 11},   {"quote_volume", 12}, {"high_24h", 8},    {"low_24h", 7}};
    struct scan_value found[8];
    struct ticker_event *ticker = &reading->event.ticker;
    scan_find(data, keys, 8, found);
    return reading_symbol(reading, &found[0]) &&
           reading_decimal_blank(reading, &found[1], &ticker->last_price) &&
           reading_decimal_blank(reading, &found[2], &ticker->ask_price) &&
           reading_decimal_blank(reading, &found[3], &ticker->bid_price) &&
           reading_total(reading, &found[4], &ticker->volume) &&
           reading_total(reading, &found[5], &ticker->quote_volume) &&
           reading_decimal_blank(reading, &found[6], &ticker->high) &&
           reading_decimal_blank(reading, &found[7], &ticker->low);
}

enum {
    F_CONTRACT,
    F_LAST,
    F_MARK,
    F_INDEX,
    F_RATE,
    F_SIZE,
    F_INTERVAL,
    F_NEXT,
    F_TIME,
    F_VOLUME,
    F_VOLUME_QUOTE,
    F_HIGH,
    F_LOW,
    F_COUNT
};

/* Funding, mark, index and open interest of a contract's ticker; every key is optional. */
static bool take_derivative(struct reading *reading, const struct scan_value found[F_COUNT])
{
    struct derivative_ticker_event *ticker = &reading->event.derivative_ticker;
    int64_t interval = 0;
    if (scan_value_i64(&found[F_INTERVAL], &interval) && interval > 0 && interval < INT32_MAX) {
        ticker->funding_interval_s = (int32_t)interval;
    }
    return reading_time_any_opt(reading, &found[F_NEXT], &ticker->funding_unix_ns) &&
           reading_decimal_blank(reading, &found[F_LAST], &ticker->last_price) &&
           reading_decimal_blank(reading, &found[F_MARK], &ticker->mark_price) &&
           reading_decimal_blank(reading, &found[F_INDEX], &ticker->index_price) &&
           reading_decimal_blank(reading, &found[F_RATE], &ticker->funding_rate) &&
           reading_decimal_blank(reading, &found[F_SIZE], &ticker->open_interest);
}

static bool take_day(struct reading *reading, const struct scan_value found[F_COUNT])
{
    struct ticker_event *ticker = &reading->event.ticker;
    return reading_decimal_blank(reading, &found[F_LAST], &ticker->last_price) &&
           reading_total(reading, &found[F_VOLUME], &ticker->volume) &&
           reading_total(reading, &found[F_VOLUME_QUOTE], &ticker->quote_volume) &&
           reading_decimal_blank(reading, &found[F_HIGH], &ticker->high) &&
           reading_decimal_blank(reading, &found[F_LOW], &ticker->low);
}

/* One message, a row in derivative_ticker, and one in ticker when it has the day's figures. */
static bool take_futures_ticker(struct reading *reading, const struct scan_value *data,
                                const struct scan_value *sent)
{
    static const struct str keys[F_COUNT] = {
        [F_CONTRACT] = {"contract", 8},
        [F_LAST] = {"last", 4},
        [F_MARK] = {"mark_price", 10},
        [F_INDEX] = {"index_price", 11},
        [F_RATE] = {"funding_rate", 12},
        [F_SIZE] = {"total_size", 10},
        [F_INTERVAL] = {"funding_interval", 16},
        [F_NEXT] = {"funding_next_apply", 18},
        [F_TIME] = {"t", 1},
        [F_VOLUME] = {"volume_24h", 10},
        [F_VOLUME_QUOTE] = {"volume_24h_quote", 16},
        [F_HIGH] = {"high_24h", 8},
        [F_LOW] = {"low_24h", 7},
    };
    struct scan_value found[F_COUNT];
    scan_find(data, keys, F_COUNT, found);
    const struct scan_value *time = found[F_TIME].type != SCAN_NONE ? &found[F_TIME] : sent;
    if (!reading_symbol(reading, &found[F_CONTRACT]) || !checks(reading) ||
        !reading_time_any_opt(reading, time, &reading->event.event_unix_ns) ||
        !take_derivative(reading, found)) {
        return false;
    }
    struct str symbol = reading->event.symbol;
    int64_t event_ns = reading->event.event_unix_ns;
    reading_emit(reading);
    if (found[F_VOLUME].type == SCAN_NONE) {
        return true;
    }
    uint32_t digits = reading->result.digits_over_15;
    reading_begin(reading, CHANNEL_TICKER);
    reading->result.digits_over_15 = digits;
    reading->event.symbol = symbol;
    reading->event.event_unix_ns = event_ns;
    if (!take_day(reading, found)) {
        return false;
    }
    reading_emit(reading);
    return true;
}

/* The venue does not say what the sign of a liquidation's size means; it is taken as the side of
 * the liquidating order, as of a trade's taker. */
static bool take_liquidation(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {
        {"price", 5}, {"size", 4}, {"contract", 8}, {"time_ms", 7}, {"time", 4}};
    struct scan_value found[5];
    struct liquidation_event *liquidation = &reading->event.liquidation;
    scan_find(data, keys, 5, found);
    if (!reading_symbol(reading, &found[2]) ||
        !reading_decimal(reading, &found[0], &liquidation->price) ||
        !reading_decimal(reading, &found[1], &liquidation->amount) ||
        !reading_time_any_opt(reading, found[3].type != SCAN_NONE ? &found[3] : &found[4],
                              &reading->event.event_unix_ns)) {
        return false;
    }
    liquidation->side = unsign(&liquidation->amount);
    return true;
}

static bool take_stats(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {
        {"time", 4}, {"contract", 8}, {"open_interest", 13}, {"mark_price", 10}};
    struct scan_value found[4];
    struct derivative_ticker_event *ticker = &reading->event.derivative_ticker;
    scan_find(data, keys, 4, found);
    return reading_symbol(reading, &found[1]) &&
           reading_time_any_opt(reading, &found[0], &reading->event.event_unix_ns) &&
           reading_decimal_blank(reading, &found[2], &ticker->open_interest) &&
           reading_decimal_blank(reading, &found[3], &ticker->mark_price);
}

/* ---- frames */

static enum channel channel_of(const struct reading *reading)
{
    switch ((enum gate_kind)reading->kind) {
    case GATE_TRADES:
        return CHANNEL_TRADES;
    case GATE_BOOK_TICKER:
        return CHANNEL_BOOK_TICKER;
    case GATE_OBU:
    case GATE_ORDER_BOOK_UPDATE:
        return CHANNEL_DEPTH;
    case GATE_ORDER_BOOK:
        return CHANNEL_BOOK_SNAPSHOT_20; /* until its level is known */
    case GATE_CANDLES:
        return CHANNEL_CANDLES;
    case GATE_TICKERS:
        return is_spot(reading) ? CHANNEL_TICKER : CHANNEL_DERIVATIVE_TICKER;
    case GATE_LIQUIDATIONS:
        return CHANNEL_LIQUIDATIONS;
    case GATE_CONTRACT_STATS:
        return CHANNEL_DERIVATIVE_TICKER;
    case GATE_OTHER:
    case GATE_UNKNOWN:
        break;
    }
    return CHANNEL_GAPS;
}

/* `sent` is time_ms or time of the envelope. */
static bool take_one(struct reading *reading, const struct scan_value *data,
                     const struct scan_value *sent)
{
    bool good = false;
    if (data->type != SCAN_OBJECT) {
        return reading_refuse(reading, MD_EPARSE, "result: not an object");
    }
    switch ((enum gate_kind)reading->kind) {
    case GATE_TRADES:
        good = take_trade(reading, data);
        break;
    case GATE_BOOK_TICKER:
        good = take_book_ticker(reading, data);
        break;
    case GATE_OBU:
    case GATE_ORDER_BOOK_UPDATE:
        good = take_update(reading, data);
        break;
    case GATE_ORDER_BOOK:
        good = take_order_book(reading, data);
        break;
    case GATE_CANDLES:
        good = take_candle(reading, data) &&
               (reading->result.control || /* not recorded: its time does not matter */
                reading_time_any_opt(reading, sent, &reading->event.event_unix_ns));
        break;
    case GATE_TICKERS:
        if (!is_spot(reading)) {
            return take_futures_ticker(reading, data, sent);
        }
        good = take_spot_ticker(reading, data) &&
               reading_time_any_opt(reading, sent, &reading->event.event_unix_ns);
        break;
    case GATE_LIQUIDATIONS:
        good = take_liquidation(reading, data);
        break;
    case GATE_CONTRACT_STATS:
        good = take_stats(reading, data);
        break;
    case GATE_OTHER:
    case GATE_UNKNOWN:
        break;
    }
    if (good && reading->result.control) {
        return true;
    }
    if (!good || !checks(reading)) {
        return false;
    }
    reading_emit(reading);
    return true;
}

/* Each member stands for itself: one that cannot be read is told, the others land. */
static bool take_all(struct reading *reading, const struct scan_value *result,
                     const struct scan_value *sent)
{
    if (result->type != SCAN_ARRAY) {
        reading_begin(reading, channel_of(reading));
        return take_one(reading, result, sent);
    }
    struct scan scan = scan_enter(result);
    struct scan_value member;
    struct decode_result bad = {.channel = (int)channel_of(reading)};
    uint32_t digits = 0;
    bool recorded = false;
    while (scan_element(&scan, &member)) {
        if (member.type == SCAN_ARRAY) { /* a list in a list: 2021 and 2022 */
            struct scan inner = scan_enter(&member);
            struct scan_value first;
            if (scan_element(&inner, &first)) {
                member = first;
            }
        }
        reading->result = (struct decode_result){0};
        reading_begin(reading, channel_of(reading));
        if (!take_one(reading, &member, sent)) {
            bad = reading->result;
        }
        recorded = recorded || !reading->result.control;
        digits += reading->result.digits_over_15;
    }
    reading->result.control = bad.code == 0 && !recorded;
    reading->result.code = bad.code;
    reading->result.reason = bad.reason;
    reading->result.digits_over_15 = digits;
    return bad.code == 0;
}

static bool reply_or_unknown(struct reading *reading)
{
    struct control_reply reply;
    if (gate_spot.control(reading->record->payload, &reply) != CONTROL_NONE) {
        reading->result.control = true;
        return true;
    }
    return reading_refuse(reading, MD_EUNKNOWN, "neither an update nor a known reply");
}

static bool decode_general(struct reading *reading)
{
    struct scan scan = scan_of(reading->record->payload);
    struct scan_value frame, found[5];
    static const struct str keys[] = {
        {"channel", 7}, {"event", 5}, {"result", 6}, {"time_ms", 7}, {"time", 4}};
    reading->result = (struct decode_result){.channel = -1};
    if (!scan_value(&scan, &frame) || !scan_at_end(&scan)) {
        return reading_refuse(reading, MD_EPARSE, "not well-formed JSON");
    }
    if (frame.type != SCAN_OBJECT) {
        return reading_refuse(reading, MD_EPARSE, "not an object");
    }
    scan_find(&frame, keys, 5, found);
    bool update = found[1].type == SCAN_STRING &&
                  (str_equal(found[1].text, STR("update")) || str_equal(found[1].text, STR("all")));
    if (!update || found[0].type != SCAN_STRING) {
        return reply_or_unknown(reading);
    }
    const char *dot = memchr(found[0].text.data, '.', found[0].text.bytes);
    struct str name =
        dot == NULL
            ? (struct str){"", 0}
            : str_make(dot + 1, found[0].text.bytes - (size_t)(dot - found[0].text.data) - 1);
    reading->kind = (int)gate_kind_of(name);
    if (reading->kind == GATE_OTHER || str_equal(name, STR("system"))) {
        reading->result.control = true; /* known, not recorded */
        return true;
    }
    if (reading->kind == GATE_UNKNOWN) {
        return reading_refuse(reading, MD_EUNKNOWN, "unknown channel");
    }
    int64_t ms = 0;
    bool has_ms = scan_value_i64(&found[3], &ms) && ms > 0;
    return take_all(reading, &found[2], has_ms ? &found[3] : &found[4]);
}

/* ---- predicted: {"time":..,"time_ms":..,"channel":"spot.trades","event":"update","result":{ as
 * sent in 2026, or {"channel":"spot.obu","result":{ as spot's books come. Each reads the whole
 * message before it emits anything; the general reader takes what it refuses. */

struct frame {
    struct scan scan;
    bool event_last; /* ..},"time_ms":..,"event":"update"} */
};

static bool predicted_head(struct frame *frame, struct str *channel)
{
    struct scan *scan = &frame->scan;
    int64_t ignored = 0;
    frame->event_last = scan_expect(scan, "{\"channel\":\"");
    if (frame->event_last) {
        return scan_text(scan, channel) && scan_expect(scan, ",\"result\":");
    }
    return scan_expect(scan, "{\"time\":") && scan_i64(scan, &ignored) &&
           scan_expect(scan, ",\"time_ms\":") && scan_i64(scan, &ignored) &&
           scan_expect(scan, ",\"channel\":\"") && scan_text(scan, channel) &&
           scan_expect(scan, ",\"event\":\"update\",\"result\":");
}

/* Behind the result. */
static bool predicted_end(struct frame *frame)
{
    struct scan *scan = &frame->scan;
    int64_t ignored = 0;
    bool good =
        !frame->event_last || (scan_expect(scan, ",\"time_ms\":") && scan_i64(scan, &ignored) &&
                               scan_expect(scan, ",\"event\":\"update\""));
    return good && scan_expect(scan, "}") && scan->p == scan->end;
}

static bool predicted_emit(struct reading *reading)
{
    if (!checks(reading)) {
        return false;
    }
    reading_emit(reading);
    return true;
}

/* Milliseconds of our time, perhaps with up to six places; of more digits than 18 the general
 * reader keeps tens of nanoseconds, and so does this. */
static bool predicted_ms(struct scan *scan, int64_t *unix_ns)
{
    int64_t ms = 0;
    if (!scan_i64(scan, &ms) || ms < 100000000000 || ms >= INT64_MAX / NS_PER_MS) {
        return false;
    }
    int64_t ns = 0;
    if (scan->p < scan->end && *scan->p == '.') {
        const char *fraction = ++scan->p;
        for (int64_t unit = NS_PER_MS / 10;
             scan->p < scan->end && (unsigned char)(*scan->p - '0') < 10; unit /= 10) {
            ns += (*scan->p++ - '0') * unit;
        }
        size_t places = (size_t)(scan->p - fraction);
        if (places == 0 || places > 6 || (places == 6 && scan->p[-1] != '0')) {
            return false;
        }
    }
    *unix_ns = ms * NS_PER_MS + ns;
    return true;
}

/* An amount: a string, or a number without X-Gate-Size-Decimal. */
static bool predicted_size(struct reading *reading, struct scan *scan, struct decimal *out)
{
    if (scan_expect(scan, "\"")) {
        return reading_predicted_decimal(reading, scan, out);
    }
    if (!scan_number(scan, out)) {
        return false;
    }
    reading_count_digits(reading, *out);
    return true;
}

/* id_market and what stands behind the price came in 2025 and 2026. */
static bool predicted_spot_trade(struct reading *reading, struct frame *frame)
{
    struct scan *scan = &frame->scan;
    struct trade_event *trade = &reading->event.trade;
    struct str ignored;
    int64_t number = 0;
    reading_begin(reading, CHANNEL_TRADES);
    if (!scan_expect(scan, "{\"id\":") || !scan_i64(scan, &trade->trade_id) ||
        (scan_expect(scan, ",\"id_market\":") && !scan_i64(scan, &number)) ||
        !scan_expect(scan, ",\"create_time\":") || !scan_i64(scan, &number) ||
        !scan_expect(scan, ",\"create_time_ms\":\"") ||
        !predicted_ms(scan, &reading->event.event_unix_ns) ||
        !scan_expect(scan, "\",\"side\":\"")) {
        return false;
    }
    trade->side = scan_expect(scan, "buy\"")    ? SIDE_BUY
                  : scan_expect(scan, "sell\"") ? SIDE_SELL
                                                : SIDE_UNKNOWN;
    if (trade->side == SIDE_UNKNOWN || !scan_expect(scan, ",\"currency_pair\":\"") ||
        !scan_text(scan, &reading->event.symbol) || !scan_expect(scan, ",\"amount\":\"") ||
        !reading_predicted_decimal(reading, scan, &trade->amount) ||
        !scan_expect(scan, ",\"price\":\"") ||
        !reading_predicted_decimal(reading, scan, &trade->price) ||
        (scan_expect(scan, ",\"range\":\"") && !scan_text(scan, &ignored)) ||
        (scan_expect(scan, ",\"stock\":\"") && !scan_text(scan, &ignored)) ||
        (scan_expect(scan, ",\"money\":\"") && !scan_text(scan, &ignored)) ||
        (scan_expect(scan, ",\"trade_mode\":") && !scan_i64(scan, &number))) {
        return false;
    }
    return scan_expect(scan, "}") && predicted_end(frame) && predicted_emit(reading);
}

/* One of a list of contracts' trades. */
struct row {
    struct str symbol;
    int64_t event_unix_ns;
    struct trade_event trade;
};
#define ROWS_PREDICTED 16 /* more in one message are the general reader's */

static bool predicted_row(struct reading *reading, struct scan *scan, struct row *row)
{
    int64_t ignored = 0;
    bool internal = false;
    *row = (struct row){0};
    if (!scan_expect(scan, "{\"id\":") || !scan_i64(scan, &row->trade.trade_id) ||
        !scan_expect(scan, ",\"size\":") || !predicted_size(reading, scan, &row->trade.amount) ||
        !scan_expect(scan, ",\"create_time\":") || !scan_i64(scan, &ignored) ||
        !scan_expect(scan, ",\"create_time_ms\":") || !predicted_ms(scan, &row->event_unix_ns) ||
        !scan_expect(scan, ",\"price\":\"") ||
        !reading_predicted_decimal(reading, scan, &row->trade.price) ||
        !scan_expect(scan, ",\"contract\":\"") || !scan_text(scan, &row->symbol) ||
        (scan_expect(scan, ",\"is_internal\":") && !reading_predicted_bool(scan, &internal))) {
        return false;
    }
    row->trade.side = unsign(&row->trade.amount);
    row->trade.flags = internal ? TRADE_LIQUIDATION : 0;
    return scan_expect(scan, "}") && row->symbol.bytes > 0 && row->symbol.bytes <= SYMBOL_BYTES_MAX;
}

static bool predicted_futures_trades(struct reading *reading, struct frame *frame)
{
    struct scan *scan = &frame->scan;
    struct row rows[ROWS_PREDICTED];
    uint32_t count = 0;
    reading_begin(reading, CHANNEL_TRADES);
    do {
        if (count == ROWS_PREDICTED || !scan_expect_bytes(scan, count == 0 ? "[" : ",", 1) ||
            !predicted_row(reading, scan, &rows[count++])) {
            return false;
        }
    } while (!scan_expect(scan, "]"));
    if (!predicted_end(frame)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        reading->event.symbol = rows[i].symbol;
        reading->event.event_unix_ns = rows[i].event_unix_ns;
        reading->event.trade = rows[i].trade;
        reading_emit(reading);
    }
    return true;
}

static bool predicted_book_ticker(struct reading *reading, struct frame *frame)
{
    struct scan *scan = &frame->scan;
    struct book_ticker_event *ticker = &reading->event.book_ticker;
    int64_t ms = 0;
    reading_begin(reading, CHANNEL_BOOK_TICKER);
    if (!scan_expect(scan, "{\"t\":") || !scan_i64(scan, &ms) || ms < 100000000000 ||
        ms >= 100000000000000 || !scan_expect(scan, ",\"u\":") ||
        !scan_i64(scan, &ticker->update_id) || !scan_expect(scan, ",\"s\":\"") ||
        !scan_text(scan, &reading->event.symbol) || !scan_expect(scan, ",\"b\":\"") ||
        !reading_predicted_decimal(reading, scan, &ticker->bid_price.value) ||
        !scan_expect(scan, ",\"B\":") ||
        !predicted_size(reading, scan, &ticker->bid_amount.value) ||
        !scan_expect(scan, ",\"a\":\"") ||
        !reading_predicted_decimal(reading, scan, &ticker->ask_price.value) ||
        !scan_expect(scan, ",\"A\":") ||
        !predicted_size(reading, scan, &ticker->ask_amount.value) || !scan_expect(scan, "}") ||
        !predicted_end(frame)) {
        return false;
    }
    ticker->bid_price.set = ticker->bid_amount.set = true;
    ticker->ask_price.set = ticker->ask_amount.set = true;
    return reading_time_ms_ns(reading, ms, &reading->event.event_unix_ns) &&
           predicted_emit(reading);
}

/* A delta; full books are the general reader's. */
static bool predicted_obu(struct reading *reading, struct frame *frame)
{
    struct scan *scan = &frame->scan;
    struct depth_event *depth = &reading->event.depth;
    struct str name;
    int64_t ms = 0;
    reading_begin(reading, CHANNEL_DEPTH);
    if (!scan_expect(scan, "{\"t\":") || !scan_i64(scan, &ms) || ms < 100000000000 ||
        ms >= 100000000000000 || !scan_expect(scan, ",\"s\":\"") || !scan_text(scan, &name) ||
        !scan_expect(scan, ",\"U\":") || !scan_i64(scan, &depth->first_update_id) ||
        !scan_expect(scan, ",\"u\":") || !scan_i64(scan, &depth->last_update_id)) {
        return false;
    }
    if (scan_expect(scan, ",\"b\":") &&
        !reading_predicted_levels(reading, scan, reading_bids(reading), &depth->bid_count)) {
        return false;
    }
    if (scan_expect(scan, ",\"a\":") &&
        !reading_predicted_levels(reading, scan, reading_asks(reading), &depth->ask_count)) {
        return false;
    }
    reading->event.symbol = gate_obu_symbol(name);
    depth->bids = reading_bids(reading);
    depth->asks = reading_asks(reading);
    return scan_expect(scan, "}") && predicted_end(frame) &&
           reading_time_ms_ns(reading, ms, &reading->event.event_unix_ns) &&
           predicted_emit(reading);
}

/* By the channel's whole name: the other market's on this one is not as predicted. */
static bool decode_predicted(struct reading *reading)
{
    static const struct {
        struct str spot, futures;
        bool (*spot_read)(struct reading *reading, struct frame *frame);
        bool (*futures_read)(struct reading *reading, struct frame *frame);
    } shapes[] = {
        {{"spot.obu", 8}, {"futures.obu", 11}, predicted_obu, predicted_obu},
        {{"spot.book_ticker", 16},
         {"futures.book_ticker", 19},
         predicted_book_ticker,
         predicted_book_ticker},
        {{"spot.trades", 11},
         {"futures.trades", 14},
         predicted_spot_trade,
         predicted_futures_trades},
    };
    struct frame frame = {.scan = scan_of(reading->record->payload)};
    bool spot = is_spot(reading);
    struct str channel;
    if (!predicted_head(&frame, &channel)) {
        return false;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (str_equal(channel, spot ? shapes[i].spot : shapes[i].futures)) {
            return (spot ? shapes[i].spot_read : shapes[i].futures_read)(reading, &frame);
        }
    }
    return false;
}

static struct decode_result decode_frame(struct decoder *decoder, const struct record *record,
                                         bool predict, event_sink sink, void *context)
{
    struct reading reading = reading_of(decoder, record, sink, context);
    if (predict && decode_predicted(&reading)) {
        return reading.result;
    }
    bool good = decode_general(&reading);
    reading.result.general_path = true;
    ASSERT(good == (reading.result.code == 0));
    return reading.result;
}

struct decode_result gate_decode_general(struct decoder *decoder, const struct record *record,
                                         event_sink sink, void *context)
{
    return decode_frame(decoder, record, false, sink, context);
}

struct decode_result gate_decode(struct decoder *decoder, const struct record *record,
                                 event_sink sink, void *context)
{
    if (record->kind == RECORD_RECV) {
        return decode_frame(decoder, record, true, sink, context);
    }
    if (record->kind == RECORD_REST || record->kind == RECORD_REST_PART) {
        return gate_rest(decoder, record, sink, context);
    }
    if (record->kind == RECORD_RECV_BINARY) {
        return (struct decode_result){
            .code = MD_EUNKNOWN, .channel = -1, .reason = "binary frame on a JSON feed"};
    }
    return (struct decode_result){.channel = -1};
}
