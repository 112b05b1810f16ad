/* Binance USD-M futures, JSON: frames to events. The four hot messages have predicted readers (the
 * key orders of 2021 and of 2026), all have general ones; a surprise in the first is read again by
 * the second. Partial depth looks like a diff: only the stream's name tells. Nothing is emitted
 * before the whole message is known good, but of all-market lists, whose members stand for
 * themselves. Memory: the decoder's levels. Facts: docs/exchanges/binance-futures.md. */
#include <string.h>

#include "base/assert.h"
#include "exchange/binance_common.h"
#include "exchange/binance_futures.h"
#include "exchange/reading.h"

/* ---- predicted */

/* T, the engine's time, when it is there and not 0; E, the time of sending, else. */
static bool put_time(struct reading *reading, int64_t transacted, int64_t sent)
{
    return reading_time_ms_ns(reading, transacted != 0 ? transacted : sent,
                              &reading->event.event_unix_ns);
}

/* `,"st":1` or nothing, then the end of data and wrapper. COIN-M (2) is not for us. */
static bool predicted_end(struct scan *scan)
{
    (void)scan_expect(scan, ",\"st\":1");
    return scan_expect(scan, "}}") && scan->p == scan->end;
}

static bool predicted_pair(struct scan *scan)
{
    struct str pair;
    return !scan_expect(scan, ",\"ps\":\"") || scan_text(scan, &pair);
}

static bool predicted_book_ticker(struct reading *reading, struct scan *scan)
{
    struct book_ticker_event *ticker = &reading->event.book_ticker;
    int64_t transacted = 0, sent = 0;
    if (!scan_expect(scan, "{\"e\":\"bookTicker\",\"u\":") || !scan_i64(scan, &ticker->update_id) ||
        !scan_expect(scan, ",\"s\":\"") || !scan_text(scan, &reading->event.symbol) ||
        !predicted_pair(scan) || !scan_expect(scan, ",\"b\":\"") ||
        !reading_predicted_decimal(reading, scan, &ticker->bid_price.value) ||
        !scan_expect(scan, ",\"B\":\"") ||
        !reading_predicted_decimal(reading, scan, &ticker->bid_amount.value) ||
        !scan_expect(scan, ",\"a\":\"") ||
        !reading_predicted_decimal(reading, scan, &ticker->ask_price.value) ||
        !scan_expect(scan, ",\"A\":\"") ||
        !reading_predicted_decimal(reading, scan, &ticker->ask_amount.value) ||
        !scan_expect(scan, ",\"T\":") || !scan_i64(scan, &transacted) ||
        !scan_expect(scan, ",\"E\":") || !scan_i64(scan, &sent) || !predicted_end(scan)) {
        return false;
    }
    ticker->bid_price.set = ticker->bid_amount.set = true;
    ticker->ask_price.set = ticker->ask_amount.set = true;
    return put_time(reading, transacted, sent);
}

static bool predicted_depth(struct reading *reading, struct scan *scan)
{
    struct event *event = &reading->event;
    struct depth_event *depth = &event->depth;
    int64_t transacted = 0, sent = 0;
    if (!scan_expect(scan, "{\"e\":\"depthUpdate\",\"E\":") || !scan_i64(scan, &sent) ||
        !scan_expect(scan, ",\"T\":") || !scan_i64(scan, &transacted) ||
        !scan_expect(scan, ",\"s\":\"") || !scan_text(scan, &event->symbol) ||
        !predicted_pair(scan) || !scan_expect(scan, ",\"U\":") ||
        !scan_i64(scan, &depth->first_update_id) || !scan_expect(scan, ",\"u\":") ||
        !scan_i64(scan, &depth->last_update_id) || !scan_expect(scan, ",\"pu\":") ||
        !scan_i64(scan, &depth->prev_update_id) || !scan_expect(scan, ",\"b\":") ||
        !reading_predicted_levels(reading, scan, reading_bids(reading), &depth->bid_count) ||
        !scan_expect(scan, ",\"a\":") ||
        !reading_predicted_levels(reading, scan, reading_asks(reading), &depth->ask_count) ||
        !predicted_end(scan)) {
        return false;
    }
    depth->bids = reading_bids(reading);
    depth->asks = reading_asks(reading);
    return put_time(reading, transacted, sent);
}

static bool predicted_agg_trade(struct reading *reading, struct scan *scan)
{
    struct trade_event *trade = &reading->event.trade;
    struct decimal without_rpi;
    int64_t transacted = 0, sent = 0, ignored = 0;
    bool maker = false;
    if (!scan_expect(scan, "{\"e\":\"aggTrade\",\"E\":") || !scan_i64(scan, &sent) ||
        !scan_expect(scan, ",\"a\":") || !scan_i64(scan, &trade->trade_id) ||
        !scan_expect(scan, ",\"s\":\"") || !scan_text(scan, &reading->event.symbol) ||
        !scan_expect(scan, ",\"p\":\"") ||
        !reading_predicted_decimal(reading, scan, &trade->price) ||
        !scan_expect(scan, ",\"q\":\"") ||
        !reading_predicted_decimal(reading, scan, &trade->amount)) {
        return false;
    }
    if (scan_expect(scan, ",\"nq\":\"") && !scan_decimal(scan, &without_rpi)) {
        return false;
    }
    if (!scan_expect(scan, ",\"f\":") || !scan_i64(scan, &ignored) ||
        !scan_expect(scan, ",\"l\":") || !scan_i64(scan, &ignored) ||
        !scan_expect(scan, ",\"T\":") || !scan_i64(scan, &transacted) ||
        !scan_expect(scan, ",\"m\":") || !reading_predicted_bool(scan, &maker) ||
        !predicted_end(scan)) {
        return false;
    }
    trade->side = maker ? SIDE_SELL : SIDE_BUY;
    trade->flags = TRADE_AGGREGATE;
    return put_time(reading, transacted, sent);
}

/* Market trades only: other words behind X are the general reader's. */
static bool predicted_trade(struct reading *reading, struct scan *scan)
{
    struct trade_event *trade = &reading->event.trade;
    int64_t transacted = 0, sent = 0;
    bool maker = false;
    if (!scan_expect(scan, "{\"e\":\"trade\",\"E\":") || !scan_i64(scan, &sent) ||
        !scan_expect(scan, ",\"T\":") || !scan_i64(scan, &transacted) ||
        !scan_expect(scan, ",\"s\":\"") || !scan_text(scan, &reading->event.symbol) ||
        !scan_expect(scan, ",\"t\":") || !scan_i64(scan, &trade->trade_id) ||
        !scan_expect(scan, ",\"p\":\"") ||
        !reading_predicted_decimal(reading, scan, &trade->price) ||
        !scan_expect(scan, ",\"q\":\"") ||
        !reading_predicted_decimal(reading, scan, &trade->amount) ||
        !scan_expect(scan, ",\"X\":\"MARKET\",\"m\":") || !reading_predicted_bool(scan, &maker) ||
        !predicted_end(scan)) {
        return false;
    }
    trade->side = maker ? SIDE_SELL : SIDE_BUY;
    return put_time(reading, transacted, sent);
}

/* ---- general: `data` is a validated object */

static bool general_times(struct reading *reading, const struct scan_value *transacted,
                          const struct scan_value *sent)
{
    int64_t zero = 1;
    bool absent = transacted->type == SCAN_NONE || (scan_value_i64(transacted, &zero) && zero == 0);
    return reading_time_ms(reading, absent ? sent : transacted, &reading->event.event_unix_ns);
}

/* X = NA rows use up a trade id and are no trades; INSURANCE_FUND and ADL are off the book, their
 * prices may be far off (section 7). What words we do not know is not taken for a market trade. */
static int32_t trade_flags(const struct scan_value *word)
{
    if (word->type != SCAN_STRING || str_equal(word->text, STR("MARKET"))) {
        return 0;
    }
    if (str_equal(word->text, STR("NA"))) {
        return TRADE_PLACEHOLDER;
    }
    return str_equal(word->text, STR("INSURANCE_FUND")) || str_equal(word->text, STR("ADL"))
               ? TRADE_LIQUIDATION
               : TRADE_OFF_BOOK;
}

static bool general_trade(struct reading *reading, const struct scan_value *data)
{
    bool aggregate = reading->kind == FUTURES_AGG_TRADE;
    const struct str keys[] = {
        STR("s"), aggregate ? STR("a") : STR("t"), STR("p"), STR("q"), STR("T"), STR("m"), STR("X"),
        STR("E")};
    struct scan_value found[8];
    struct trade_event *trade = &reading->event.trade;
    scan_find(data, keys, 8, found);
    if (!reading_symbol(reading, &found[0]) ||
        !reading_i64_opt(reading, &found[1], &trade->trade_id) ||
        !reading_decimal(reading, &found[2], &trade->price) ||
        !reading_decimal(reading, &found[3], &trade->amount) ||
        !general_times(reading, &found[4], &found[7])) {
        return false;
    }
    trade->side = found[5].type == SCAN_TRUE    ? SIDE_SELL
                  : found[5].type == SCAN_FALSE ? SIDE_BUY
                                                : SIDE_UNKNOWN;
    trade->flags = aggregate ? TRADE_AGGREGATE : trade_flags(&found[6]);
    return true;
}

static bool general_book_ticker(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"u", 1}, {"s", 1}, {"b", 1}, {"B", 1},
                                      {"a", 1}, {"A", 1}, {"T", 1}, {"E", 1}};
    struct scan_value found[8];
    struct book_ticker_event *ticker = &reading->event.book_ticker;
    scan_find(data, keys, 8, found);
    return reading_i64_opt(reading, &found[0], &ticker->update_id) &&
           reading_symbol(reading, &found[1]) &&
           reading_decimal_blank(reading, &found[2], &ticker->bid_price) &&
           reading_decimal_blank(reading, &found[3], &ticker->bid_amount) &&
           reading_decimal_blank(reading, &found[4], &ticker->ask_price) &&
           reading_decimal_blank(reading, &found[5], &ticker->ask_amount) &&
           general_times(reading, &found[6], &found[7]);
}

static bool general_depth(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"E", 1}, {"T", 1},  {"s", 1}, {"U", 1},
                                      {"u", 1}, {"pu", 2}, {"b", 1}, {"a", 1}};
    struct scan_value found[8];
    struct depth_event *depth = &reading->event.depth;
    scan_find(data, keys, 8, found);
    depth->bids = reading_bids(reading);
    depth->asks = reading_asks(reading);
    return general_times(reading, &found[1], &found[0]) && reading_symbol(reading, &found[2]) &&
           reading_i64(reading, &found[3], &depth->first_update_id) &&
           reading_i64(reading, &found[4], &depth->last_update_id) &&
           reading_i64_opt(reading, &found[5], &depth->prev_update_id) &&
           reading_levels(reading, &found[6], reading_bids(reading), &depth->bid_count) &&
           reading_levels(reading, &found[7], reading_asks(reading), &depth->ask_count);
}

static bool general_partial(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"E", 1}, {"T", 1}, {"s", 1}, {"u", 1}, {"b", 1}, {"a", 1}};
    struct scan_value found[6];
    struct book_snapshot_event *book = &reading->event.book_snapshot;
    scan_find(data, keys, 6, found);
    book->bids = reading_bids(reading);
    book->asks = reading_asks(reading);
    return general_times(reading, &found[1], &found[0]) && reading_symbol(reading, &found[2]) &&
           reading_i64(reading, &found[3], &book->last_update_id) &&
           reading_levels(reading, &found[4], reading_bids(reading), &book->bid_count) &&
           reading_levels(reading, &found[5], reading_asks(reading), &book->ask_count);
}

/* Dated contracts have no funding: r is "" or zero and T is 0. */
static bool general_mark_price(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"E", 1}, {"s", 1}, {"p", 1}, {"i", 1}, {"r", 1}, {"T", 1}};
    struct scan_value found[6];
    struct derivative_ticker_event *ticker = &reading->event.derivative_ticker;
    int64_t next = 0;
    scan_find(data, keys, 6, found);
    bool funded = scan_value_i64(&found[5], &next) && next > 0;
    if (funded && !reading_time_ms_ns(reading, next, &ticker->funding_unix_ns)) {
        return false;
    }
    return reading_time_ms(reading, &found[0], &reading->event.event_unix_ns) &&
           reading_symbol(reading, &found[1]) &&
           reading_decimal_blank(reading, &found[2], &ticker->mark_price) &&
           reading_decimal_blank(reading, &found[3], &ticker->index_price) &&
           (!funded || reading_decimal_blank(reading, &found[4], &ticker->funding_rate));
}

/* z, the cumulative filled quantity, is what was liquidated; q and l disagree with it at times
 * (section 7). */
static bool general_force_order(struct reading *reading, const struct scan_value *data)
{
    static const struct str outer[] = {{"E", 1}, {"o", 1}, {"s", 1}};
    static const struct str keys[] = {{"s", 1}, {"S", 1}, {"p", 1}, {"ap", 2},
                                      {"X", 1}, {"z", 1}, {"T", 1}, {"q", 1}};
    struct scan_value found[3], o[8];
    struct liquidation_event *liquidation = &reading->event.liquidation;
    scan_find(data, outer, 3, found);
    if (found[1].type != SCAN_OBJECT) {
        return reading_refuse(reading, MD_EPARSE, "forceOrder: o is missing");
    }
    scan_find(&found[1], keys, 8, o);
    if (o[4].type == SCAN_STRING && !o[4].escaped && o[4].text.bytes <= 32) {
        liquidation->order_status = o[4].text;
    }
    liquidation->side = reading_side(&o[1]);
    return reading_symbol(reading, o[0].type != SCAN_NONE ? &o[0] : &found[2]) &&
           reading_decimal(reading, &o[2], &liquidation->price) &&
           reading_decimal_blank(reading, &o[3], &liquidation->average_price) &&
           reading_decimal(reading, o[5].type != SCAN_NONE ? &o[5] : &o[7], &liquidation->amount) &&
           general_times(reading, &o[6], &found[0]);
}

static bool general_kline(struct reading *reading, const struct scan_value *data)
{
    static const struct str outer[] = {{"E", 1}, {"s", 1}, {"k", 1}};
    static const struct str keys[] = {{"t", 1}, {"T", 1}, {"i", 1}, {"o", 1}, {"h", 1}, {"l", 1},
                                      {"c", 1}, {"v", 1}, {"q", 1}, {"n", 1}, {"x", 1}};
    struct scan_value found[3], k[11];
    struct candle_event *candle = &reading->event.candle;
    scan_find(data, outer, 3, found);
    if (found[2].type != SCAN_OBJECT) {
        return reading_refuse(reading, MD_EPARSE, "kline: k is missing");
    }
    scan_find(&found[2], keys, 11, k);
    if (k[2].type != SCAN_STRING || k[2].escaped || k[2].text.bytes == 0 || k[2].text.bytes > 16) {
        return reading_refuse(reading, MD_EPARSE, "kline: interval is missing");
    }
    candle->interval = k[2].text;
    candle->closed = k[10].type == SCAN_TRUE ? 1 : k[10].type == SCAN_FALSE ? 0 : -1;
    if (!scan_value_i64(&k[9], &candle->trade_count)) {
        candle->trade_count = ID_NONE;
    }
    return reading_time_ms(reading, &found[0], &reading->event.event_unix_ns) &&
           reading_symbol(reading, &found[1]) &&
           reading_time_ms(reading, &k[0], &candle->open_unix_ns) &&
           reading_time_ms(reading, &k[1], &candle->close_unix_ns) &&
           reading_decimal(reading, &k[3], &candle->open) &&
           reading_decimal(reading, &k[4], &candle->high) &&
           reading_decimal(reading, &k[5], &candle->low) &&
           reading_decimal(reading, &k[6], &candle->close) &&
           reading_decimal(reading, &k[7], &candle->volume) &&
           reading_total(reading, &k[8], &candle->quote_volume);
}

static bool general_ticker(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"E", 1}, {"s", 1}, {"c", 1}, {"o", 1},
                                      {"h", 1}, {"l", 1}, {"v", 1}, {"q", 1}};
    struct scan_value found[8];
    struct ticker_event *ticker = &reading->event.ticker;
    scan_find(data, keys, 8, found);
    return reading_time_ms(reading, &found[0], &reading->event.event_unix_ns) &&
           reading_symbol(reading, &found[1]) &&
           reading_decimal_opt(reading, &found[2], &ticker->last_price) &&
           reading_decimal_opt(reading, &found[3], &ticker->open) &&
           reading_decimal_opt(reading, &found[4], &ticker->high) &&
           reading_decimal_opt(reading, &found[5], &ticker->low) &&
           reading_total(reading, &found[6], &ticker->volume) &&
           reading_total(reading, &found[7], &ticker->quote_volume);
}

static bool general(struct reading *reading, const struct scan_value *data)
{
    switch ((enum binance_futures_kind)reading->kind) {
    case FUTURES_TRADE:
    case FUTURES_AGG_TRADE:
        return general_trade(reading, data);
    case FUTURES_BOOK_TICKER:
        return general_book_ticker(reading, data);
    case FUTURES_DEPTH:
        return general_depth(reading, data);
    case FUTURES_PARTIAL_5:
    case FUTURES_PARTIAL_20:
        return general_partial(reading, data);
    case FUTURES_MARK_PRICE:
        return general_mark_price(reading, data);
    case FUTURES_FORCE_ORDER:
        return general_force_order(reading, data);
    case FUTURES_KLINE:
        return general_kline(reading, data);
    case FUTURES_TICKER:
    case FUTURES_MINI_TICKER:
        return general_ticker(reading, data);
    case FUTURES_PARTIAL_10:
    case FUTURES_OTHER:
    case FUTURES_UNKNOWN:
        break;
    }
    return reading_refuse(reading, MD_EUNKNOWN, "unknown stream");
}

/* ---- frames */

static bool begin(struct reading *reading, enum binance_futures_kind kind)
{
    int channel = binance_futures_channel(kind);
    reading->kind = (int)kind;
    reading->result.digits_over_15 = 0;
    reading->result.control = false;
    reading_begin(reading, channel >= 0 ? (enum channel)channel : CHANNEL_GAPS);
    reading->result.channel = channel;
    return channel >= 0;
}

static bool checks(struct reading *reading)
{
    const struct event *event = &reading->event;
    if (event->symbol.bytes == 0 || event->symbol.bytes > SYMBOL_BYTES_MAX) {
        return reading_refuse(reading, MD_EPARSE, "symbol: missing, empty or too long");
    }
    if (event->channel == CHANNEL_DEPTH &&
        event->depth.first_update_id > event->depth.last_update_id) {
        return reading_refuse(reading, MD_EPARSE, "depth: first update id beyond the last");
    }
    return true;
}

static bool decode_predicted(struct reading *reading)
{
    struct scan scan = scan_of(reading->record->payload);
    struct str name;
    if (!scan_expect(&scan, "{\"stream\":\"") || !scan_text(&scan, &name) ||
        !scan_expect(&scan, ",\"data\":") ||
        !begin(reading, binance_futures_kind(name, &reading->stream_symbol))) {
        return false;
    }
    bool good = false;
    if (reading->kind == FUTURES_BOOK_TICKER) {
        good = predicted_book_ticker(reading, &scan);
    } else if (reading->kind == FUTURES_DEPTH) {
        good = predicted_depth(reading, &scan);
    } else if (reading->kind == FUTURES_AGG_TRADE) {
        good = predicted_agg_trade(reading, &scan);
    } else if (reading->kind == FUTURES_TRADE) {
        good = predicted_trade(reading, &scan);
    }
    return good && checks(reading);
}

/* A message without wrapper names its event, but not how deep a depthUpdate goes: it is the diff,
 * which is what we ask for without wrapper. */
static enum binance_futures_kind kind_of_event(const struct scan_value *data)
{
    static const struct {
        struct str word;
        enum binance_futures_kind kind;
    } words[] = {
        {{"trade", 5}, FUTURES_TRADE},
        {{"aggTrade", 8}, FUTURES_AGG_TRADE},
        {{"bookTicker", 10}, FUTURES_BOOK_TICKER},
        {{"depthUpdate", 11}, FUTURES_DEPTH},
        {{"markPriceUpdate", 15}, FUTURES_MARK_PRICE},
        {{"forceOrder", 10}, FUTURES_FORCE_ORDER},
        {{"kline", 5}, FUTURES_KLINE},
        {{"24hrTicker", 10}, FUTURES_TICKER},
        {{"24hrMiniTicker", 14}, FUTURES_MINI_TICKER},
        {{"contractInfo", 12}, FUTURES_OTHER},
        {{"compositeIndex", 14}, FUTURES_OTHER},
        {{"assetIndexUpdate", 16}, FUTURES_OTHER},
        {{"continuous_kline", 16}, FUTURES_OTHER},
    };
    static const struct str key[] = {{"e", 1}};
    struct scan_value word;
    scan_find(data, key, 1, &word);
    for (size_t i = 0; word.type == SCAN_STRING && i < sizeof words / sizeof words[0]; i++) {
        if (str_equal(word.text, words[i].word)) {
            return words[i].kind;
        }
    }
    return FUTURES_UNKNOWN;
}

/* COIN-M contracts come on the same all-market streams since 2026-06: st is 2, at the top or inside
 * o (section 3). */
static bool is_coin_margined(const struct scan_value *data)
{
    static const struct str keys[] = {{"st", 2}, {"o", 1}};
    struct scan_value found[2], inside;
    int64_t type = 1;
    scan_find(data, keys, 2, found);
    if (found[0].type == SCAN_NONE && found[1].type == SCAN_OBJECT) {
        scan_find(&found[1], keys, 1, &inside);
        found[0] = inside;
    }
    return scan_value_i64(&found[0], &type) && type == 2;
}

static bool one(struct reading *reading, const struct scan_value *data)
{
    if (data->type != SCAN_OBJECT) {
        return reading_refuse(reading, MD_EPARSE, "data: not an object");
    }
    if (reading->kind != FUTURES_DEPTH && is_coin_margined(data)) {
        reading->result.control = true; /* known, not this venue's */
        return true;
    }
    if (!general(reading, data) || !checks(reading)) {
        return false;
    }
    reading_emit(reading);
    return true;
}

/* All-market streams: a list of objects. A member that cannot be read is told, the others land. */
static bool all(struct reading *reading, const struct scan_value *list)
{
    enum binance_futures_kind kind = (enum binance_futures_kind)reading->kind;
    struct scan scan = scan_enter(list);
    struct scan_value member;
    struct decode_result bad = {0};
    uint32_t digits = 0;
    bool recorded = false;
    while (scan_element(&scan, &member)) {
        begin(reading, kind);
        if (!one(reading, &member)) {
            bad = reading->result;
        }
        recorded = recorded || !reading->result.control;
        digits += reading->result.digits_over_15;
    }
    reading->result.digits_over_15 = digits;
    reading->result.control = bad.code == 0 && !recorded;
    reading->result.code = bad.code;
    reading->result.reason = bad.reason;
    return bad.code == 0;
}

static bool reply_or_unknown(struct reading *reading)
{
    struct control_reply reply;
    if (binance_control(reading->record->payload, &reply) != CONTROL_NONE) {
        reading->result = (struct decode_result){.channel = -1, .control = true};
        return true;
    }
    return reading_refuse(reading, MD_EUNKNOWN, "neither a stream's event nor a known reply");
}

static bool decode_general(struct reading *reading)
{
    struct scan scan = scan_of(reading->record->payload);
    struct scan_value frame, found[2];
    static const struct str keys[] = {{"stream", 6}, {"data", 4}};
    reading->result = (struct decode_result){.channel = -1};
    if (!scan_value(&scan, &frame) || !scan_at_end(&scan)) {
        return reading_refuse(reading, MD_EPARSE, "not well-formed JSON");
    }
    if (frame.type == SCAN_ARRAY) { /* an all-market stream without wrapper */
        struct scan members = scan_enter(&frame);
        struct scan_value first;
        bool any = scan_element(&members, &first) && first.type == SCAN_OBJECT;
        return any && begin(reading, kind_of_event(&first))
                   ? all(reading, &frame)
                   : reading_refuse(reading, MD_EUNKNOWN, "a list of unknown events");
    }
    if (frame.type != SCAN_OBJECT) {
        return reading_refuse(reading, MD_EPARSE, "not an object");
    }
    scan_find(&frame, keys, 2, found);
    struct scan_value *data = &frame;
    enum binance_futures_kind kind = kind_of_event(&frame);
    if (found[0].type == SCAN_STRING && found[1].type != SCAN_NONE) {
        char undone[256];
        struct str name;
        if (!scan_value_string(&found[0], undone, sizeof undone, &name)) {
            return reading_refuse(reading, MD_EPARSE, "stream: name too long");
        }
        if (str_equal(name, STR("!serverShutdown"))) {
            reading->result.control = true;
            return true;
        }
        kind = binance_futures_kind(name, &reading->stream_symbol);
        data = &found[1];
    } else if (kind == FUTURES_UNKNOWN) {
        return reply_or_unknown(reading);
    }
    if (kind == FUTURES_OTHER || kind == FUTURES_PARTIAL_10) {
        reading->result.control = true; /* known, not recorded */
        return true;
    }
    if (!begin(reading, kind)) {
        return reading_refuse(reading, MD_EUNKNOWN, "unknown stream");
    }
    return data->type == SCAN_ARRAY ? all(reading, data) : one(reading, data);
}

static struct decode_result decode_frame(struct decoder *decoder, const struct record *record,
                                         bool predict, event_sink sink, void *context)
{
    struct reading reading = reading_of(decoder, record, sink, context);
    if (predict && decode_predicted(&reading)) {
        reading_emit(&reading);
        return reading.result;
    }
    bool good = decode_general(&reading);
    reading.result.general_path = true;
    ASSERT(good == (reading.result.code == 0));
    return reading.result;
}

struct decode_result binance_futures_decode_general(struct decoder *decoder,
                                                    const struct record *record, event_sink sink,
                                                    void *context)
{
    return decode_frame(decoder, record, false, sink, context);
}

struct decode_result binance_futures_decode(struct decoder *decoder, const struct record *record,
                                            event_sink sink, void *context)
{
    if (record->kind == RECORD_RECV) {
        return decode_frame(decoder, record, true, sink, context);
    }
    if (record->kind == RECORD_REST || record->kind == RECORD_REST_PART) {
        return binance_futures_rest(decoder, record, sink, context);
    }
    if (record->kind == RECORD_RECV_BINARY) {
        return (struct decode_result){
            .code = MD_EUNKNOWN, .channel = -1, .reason = "binary frame on a JSON feed"};
    }
    return (struct decode_result){.channel = -1};
}
