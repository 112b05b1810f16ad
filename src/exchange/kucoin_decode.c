/* KuCoin, spot and futures: frames of the classic sockets to events. A message is routed by its
 * topic; the order of keys changes between channels and years. A level2 message of spot holds one
 * or more changes, each with a sequence of its own: one depth event a change, in the order of
 * these. Memory: the decoder's levels; the changes of one message are levels_max at most. Facts:
 * docs/exchanges/kucoin.md. */
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "exchange/kucoin.h"

#define TOPIC_BYTES_MAX 700

bool kucoin_checks(struct reading *reading)
{
    const struct event *event = &reading->event;
    if (event->symbol.bytes == 0 || event->symbol.bytes > SYMBOL_BYTES_MAX) {
        return reading_refuse(reading, MD_EPARSE, "symbol: missing, empty or too long");
    }
    if (event->channel == CHANNEL_DEPTH &&
        event->depth.first_update_id > event->depth.last_update_id) {
        return reading_refuse(reading, MD_EPARSE, "depth: first sequence beyond the last");
    }
    return true;
}

static bool emit(struct reading *reading)
{
    if (!kucoin_checks(reading)) {
        return false;
    }
    reading_emit(reading);
    return true;
}

/* The member, or what the topic says. */
static bool take_symbol(struct reading *reading, const struct scan_value *value)
{
    if (value->type != SCAN_NONE && value->type != SCAN_NULL) {
        return reading_symbol(reading, value);
    }
    reading->event.symbol = reading->stream_symbol;
    return true;
}

/* ---- trades and best prices */

/* Ids were 24 hexadecimal digits once (section 4). */
static bool take_trade_id(struct reading *reading, const struct scan_value *id)
{
    struct trade_event *trade = &reading->event.trade;
    if (id->type == SCAN_NONE || id->type == SCAN_NULL || scan_value_i64(id, &trade->trade_id)) {
        return true;
    }
    trade->trade_id = ID_NONE;
    if (id->type != SCAN_STRING || id->escaped || id->text.bytes > 256) {
        return reading_refuse(reading, MD_EPARSE, "trade id: of a wrong type");
    }
    trade->id = id->text;
    return true;
}

static const struct str match_keys[] = {{"symbol", 6},  {"side", 4}, {"price", 5}, {"size", 4},
                                        {"tradeId", 7}, {"time", 4}, {"ts", 2}};

static bool take_match(struct reading *reading, const struct scan_value *found)
{
    struct trade_event *trade = &reading->event.trade;
    trade->side = reading_side(&found[1]);
    return take_symbol(reading, &found[0]) && take_trade_id(reading, &found[4]) &&
           reading_decimal(reading, &found[2], &trade->price) &&
           reading_decimal(reading, &found[3], &trade->amount) &&
           reading_time_any(reading, found[5].type != SCAN_NONE ? &found[5] : &found[6],
                            &reading->event.event_unix_ns) &&
           emit(reading);
}

/* An amount without its price means nothing: an empty side (section 4). */
static void pair_up(struct book_ticker_event *ticker)
{
    ticker->bid_amount.set = ticker->bid_amount.set && ticker->bid_price.set;
    ticker->ask_amount.set = ticker->ask_amount.set && ticker->ask_price.set;
}

static const struct str ticker_keys[] = {{"symbol", 6},        {"sequence", 8},     {"bestBid", 7},
                                         {"bestBidPrice", 12}, {"bestBidSize", 11}, {"bestAsk", 7},
                                         {"bestAskPrice", 12}, {"bestAskSize", 11}, {"ts", 2}};

/* ticker of spot and futures, tickerV2. Spot's time is that of the last trade, not of the quote. */
static bool take_ticker(struct reading *reading, const struct scan_value *found)
{
    struct book_ticker_event *ticker = &reading->event.book_ticker;
    const struct scan_value *bid = found[2].type != SCAN_NONE ? &found[2] : &found[3];
    const struct scan_value *ask = found[5].type != SCAN_NONE ? &found[5] : &found[6];
    if (!take_symbol(reading, &found[0]) ||
        !reading_i64_opt(reading, &found[1], &ticker->update_id) ||
        !reading_decimal_blank(reading, bid, &ticker->bid_price) ||
        !reading_decimal_blank(reading, &found[4], &ticker->bid_amount) ||
        !reading_decimal_blank(reading, ask, &ticker->ask_price) ||
        !reading_decimal_blank(reading, &found[7], &ticker->ask_amount) ||
        !reading_time_any_opt(reading, &found[8], &reading->event.event_unix_ns)) {
        return false;
    }
    pair_up(ticker);
    return emit(reading);
}

/* One flat pair; empty, null or absent: no such side. A list of one pair is taken too. */
static bool take_pair(struct reading *reading, const struct scan_value *side,
                      struct decimal_opt *price, struct decimal_opt *amount)
{
    struct scan_value first, second;
    if (side->type == SCAN_NONE || side->type == SCAN_NULL) {
        return true;
    }
    if (side->type != SCAN_ARRAY) {
        return reading_refuse(reading, MD_EPARSE, "level1: a side is not a pair");
    }
    struct scan scan = scan_enter(side);
    if (!scan_element(&scan, &first)) {
        return true;
    }
    if (first.type == SCAN_ARRAY) {
        scan = scan_enter(&first);
        if (!scan_element(&scan, &first)) {
            return true;
        }
    }
    if (!scan_element(&scan, &second)) {
        return reading_refuse(reading, MD_EPARSE, "level1: a side is not a pair");
    }
    return reading_decimal_blank(reading, &first, price) &&
           reading_decimal_blank(reading, &second, amount);
}

static const struct str level1_keys[] = {{"asks", 4}, {"bids", 4}, {"timestamp", 9}};

static bool take_level1(struct reading *reading, const struct scan_value *found)
{
    struct book_ticker_event *ticker = &reading->event.book_ticker;
    reading->event.symbol = reading->stream_symbol;
    if (!take_pair(reading, &found[0], &ticker->ask_price, &ticker->ask_amount) ||
        !take_pair(reading, &found[1], &ticker->bid_price, &ticker->bid_amount) ||
        !reading_time_any_opt(reading, &found[2], &reading->event.event_unix_ns)) {
        return false;
    }
    pair_up(ticker);
    return emit(reading);
}

/* The keys of the kinds whose data is flat, and what becomes of their values. */
#define FLAT_KEYS_MAX 9
static const struct flat {
    enum kucoin_kind kind;
    const struct str *keys;
    uint32_t count;
    bool (*take)(struct reading *reading, const struct scan_value *found);
} flats[] = {{KUCOIN_MATCH, match_keys, 7, take_match},
             {KUCOIN_LEVEL1, level1_keys, 3, take_level1},
             {KUCOIN_TICKER_V2, ticker_keys, 9, take_ticker},
             {KUCOIN_TICKER, ticker_keys, 9, take_ticker}};
#define FLAT_COUNT (sizeof flats / sizeof flats[0])

static const struct flat *flat_of(int kind)
{
    for (size_t i = 0; i < FLAT_COUNT; i++) {
        if ((int)flats[i].kind == kind) {
            return &flats[i];
        }
    }
    return NULL;
}

/* ---- books */

/* level2Depth5 and 50: whole books without symbol; contracts' have a sequence. */
static bool take_depth(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {
        {"asks", 4}, {"bids", 4}, {"sequence", 8}, {"timestamp", 9}, {"ts", 2}};
    struct scan_value found[5];
    struct book_snapshot_event *book = &reading->event.book_snapshot;
    scan_find(data, keys, 5, found);
    reading->event.symbol = reading->stream_symbol;
    book->bids = reading_bids(reading);
    book->asks = reading_asks(reading);
    return reading_i64_opt(reading, &found[2], &book->last_update_id) &&
           reading_levels(reading, &found[1], reading_bids(reading), &book->bid_count) &&
           reading_levels(reading, &found[0], reading_asks(reading), &book->ask_count) &&
           reading_time_any_opt(reading, found[3].type != SCAN_NONE ? &found[3] : &found[4],
                                &reading->event.event_unix_ns) &&
           emit(reading);
}

/* The changes of one message: their levels stand in the first half of the decoder's memory as they
 * came, their keys at the start of the second half, and behind these is room to put levels of one
 * sequence side by side. */
struct change {
    int64_t sequence;
    uint32_t index; /* of its level */
    bool ask;
};
_Static_assert(sizeof(struct change) * 2 <= sizeof(struct level), "keys fill half of the half");

struct changes {
    struct level *levels;
    struct change *keys;
    struct level *together;
    uint32_t count, together_max;
};

static struct changes changes_over(struct reading *reading)
{
    struct level *half = reading_asks(reading);
    uint32_t most = reading->decoder->levels_max;
    uint32_t taken = (most + 1) / 2;
    return (struct changes){.levels = reading_bids(reading),
                            .keys = (struct change *)(void *)half,
                            .together = half + taken,
                            .together_max = most - taken};
}

static bool take_changes(struct reading *reading, const struct scan_value *side, bool ask,
                         struct changes *changes)
{
    if (side->type == SCAN_NONE || side->type == SCAN_NULL) {
        return true;
    }
    if (side->type != SCAN_ARRAY) {
        return reading_refuse(reading, MD_EPARSE, "changes: a side is not a list");
    }
    struct scan scan = scan_enter(side);
    struct scan_value one, part[3];
    while (scan_element(&scan, &one)) {
        uint32_t at = changes->count;
        if (at == reading->decoder->levels_max) {
            return reading_refuse(reading, MD_ETOOBIG, "more levels than a message may hold");
        }
        if (one.type != SCAN_ARRAY) {
            return reading_refuse(reading, MD_EPARSE, "change: not a list");
        }
        struct scan inside = scan_enter(&one);
        for (int i = 0; i < 3; i++) {
            if (!scan_element(&inside, &part[i])) {
                return reading_refuse(reading, MD_EPARSE, "change: not price, size, sequence");
            }
        }
        changes->keys[at] = (struct change){.index = at, .ask = ask};
        if (!reading_decimal(reading, &part[0], &changes->levels[at].price) ||
            !reading_decimal(reading, &part[1], &changes->levels[at].amount) ||
            !reading_i64(reading, &part[2], &changes->keys[at].sequence)) {
            return false;
        }
        changes->count++;
    }
    return true;
}

static bool comes_before(const struct change *a, const struct change *b)
{
    return a->sequence != b->sequence ? a->sequence < b->sequence : a->index < b->index;
}

/* Nearly always in order, and few; the gaps keep a hostile one from being quadratic. */
static void sort_changes(struct changes *changes)
{
    static const uint32_t gaps[] = {1750, 701, 301, 132, 57, 23, 10, 4, 1};
    for (size_t g = 0; g < sizeof gaps / sizeof gaps[0]; g++) {
        uint32_t gap = gaps[g];
        for (uint32_t i = gap; i < changes->count; i++) {
            struct change key = changes->keys[i];
            uint32_t at = i;
            while (at >= gap && comes_before(&key, &changes->keys[at - gap])) {
                changes->keys[at] = changes->keys[at - gap];
                at -= gap;
            }
            changes->keys[at] = key;
        }
    }
}

/* The levels of the changes [from, to), which are of one sequence, into the event. A price of 0
 * changes nothing: it uses up a sequence (section 4.1). */
static bool levels_of(struct reading *reading, const struct changes *changes, uint32_t from,
                      uint32_t to)
{
    struct depth_event *depth = &reading->event.depth;
    uint32_t count = 0;
    depth->bid_count = depth->ask_count = 0;
    for (int side = 0; side < 2; side++) {
        uint32_t begin = count;
        for (uint32_t i = from; i < to; i++) {
            const struct level *level = &changes->levels[changes->keys[i].index];
            if (changes->keys[i].ask != (side == 1) || decimal_is_zero(level->price)) {
                continue;
            }
            if (count == changes->together_max) {
                return reading_refuse(reading, MD_ETOOBIG, "more levels than a message may hold");
            }
            changes->together[count++] = *level;
        }
        if (side == 0) {
            depth->bids = changes->together;
            depth->bid_count = count;
        } else {
            depth->asks = changes->together + begin;
            depth->ask_count = count - begin;
        }
    }
    return true;
}

/* One event a sequence; together they cover start .. end without a hole, whatever is missing. */
static bool emit_changes(struct reading *reading, struct changes *changes, int64_t start,
                         int64_t end)
{
    struct depth_event *depth = &reading->event.depth;
    int64_t next = start;
    sort_changes(changes);
    if (changes->count > 0 &&
        (changes->keys[0].sequence < start || changes->keys[changes->count - 1].sequence > end)) {
        return reading_refuse(reading, MD_EPARSE, "level2: a change outside the message's range");
    }
    for (uint32_t i = 0; i < changes->count;) {
        uint32_t from = i;
        while (i < changes->count && changes->keys[i].sequence == changes->keys[from].sequence) {
            i++;
        }
        depth->first_update_id = next;
        depth->last_update_id = changes->keys[from].sequence;
        if (!levels_of(reading, changes, from, i) || !emit(reading)) {
            return false;
        }
        next = depth->last_update_id + (depth->last_update_id < INT64_MAX);
    }
    if (changes->count > 0 && changes->keys[changes->count - 1].sequence == end) {
        return true;
    }
    depth->first_update_id = next;
    depth->last_update_id = end;
    depth->bid_count = depth->ask_count = 0;
    return emit(reading);
}

static bool take_spot_level2(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {
        {"changes", 7}, {"sequenceStart", 13}, {"sequenceEnd", 11}, {"symbol", 6}, {"time", 4}};
    static const struct str sides[] = {{"asks", 4}, {"bids", 4}};
    struct scan_value found[5], side[2];
    struct changes changes = changes_over(reading);
    int64_t start = 0, end = 0;
    scan_find(data, keys, 5, found);
    if (found[0].type != SCAN_OBJECT) {
        return reading_refuse(reading, MD_EPARSE, "level2: changes: missing or not an object");
    }
    scan_find(&found[0], sides, 2, side);
    return take_symbol(reading, &found[3]) && reading_i64(reading, &found[1], &start) &&
           reading_i64(reading, &found[2], &end) &&
           reading_time_any_opt(reading, &found[4], &reading->event.event_unix_ns) &&
           take_changes(reading, &side[0], true, &changes) &&
           take_changes(reading, &side[1], false, &changes) &&
           emit_changes(reading, &changes, start, end);
}

static bool take_part(struct reading *reading, struct str *rest, struct str *out)
{
    const char *comma = memchr(rest->data, ',', rest->bytes);
    if (comma == NULL) {
        return reading_refuse(reading, MD_EPARSE, "level2: change: not price,side,size");
    }
    *out = str_make(rest->data, (size_t)(comma - rest->data));
    *rest = str_make(comma + 1, rest->bytes - out->bytes - 1);
    return true;
}

static bool take_number(struct reading *reading, struct str text, struct decimal *out)
{
    struct scan_value value = {.type = SCAN_STRING, .text = text};
    return reading_decimal(reading, &value, out);
}

/* "price,side,size" (section 6). */
static bool take_futures_level2(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"sequence", 8}, {"change", 6}, {"timestamp", 9}};
    struct scan_value found[3];
    struct depth_event *depth = &reading->event.depth;
    struct level *level = reading_bids(reading);
    struct str price, word, size;
    scan_find(data, keys, 3, found);
    reading->event.symbol = reading->stream_symbol;
    if (found[1].type != SCAN_STRING) {
        return reading_refuse(reading, MD_EPARSE, "level2: change: missing or not a string");
    }
    size = found[1].text;
    if (!reading_i64(reading, &found[0], &depth->last_update_id) ||
        !take_part(reading, &size, &price) || !take_part(reading, &size, &word) ||
        !take_number(reading, price, &level->price) ||
        !take_number(reading, size, &level->amount) ||
        !reading_time_any_opt(reading, &found[2], &reading->event.event_unix_ns)) {
        return false;
    }
    enum side side = reading_side(&(struct scan_value){.type = SCAN_STRING, .text = word});
    if (side == SIDE_UNKNOWN) {
        return reading_refuse(reading, MD_EPARSE, "level2: change: neither buy nor sell");
    }
    depth->first_update_id = depth->last_update_id;
    depth->bids = depth->asks = level;
    depth->bid_count = side == SIDE_BUY && !decimal_is_zero(level->price);
    depth->ask_count = side == SIDE_SELL && !decimal_is_zero(level->price);
    return emit(reading);
}

/* ---- candles */

/* [start s, open, close, high, low, volume, turnover]; of contracts the sixth is wrong and the
 * seventh counts lots (sections 4, 6). */
static bool take_candle(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"symbol", 6}, {"candles", 7}, {"time", 4}};
    struct scan_value found[3], part[7];
    struct candle_event *candle = &reading->event.candle;
    bool spot = reading->record->venue == VENUE_KUCOIN;
    struct str symbol, type;
    struct decimal_opt volume = {0};
    scan_find(data, keys, 3, found);
    if (!kucoin_candle_name(reading->stream_symbol, &symbol, &type)) {
        return reading_refuse(reading, MD_EPARSE, "candle: the topic names no interval");
    }
    reading->stream_symbol = symbol;
    candle->interval = kucoin_interval_of(type);
    if (found[1].type != SCAN_ARRAY) {
        return reading_refuse(reading, MD_EPARSE, "candles: missing or not a list");
    }
    struct scan scan = scan_enter(&found[1]);
    for (int i = 0; i < 7; i++) {
        if (!scan_element(&scan, &part[i])) {
            return reading_refuse(reading, MD_EPARSE, "candles: fewer than seven members");
        }
    }
    if (!take_symbol(reading, &found[0]) ||
        !reading_time_any(reading, &part[0], &candle->open_unix_ns) ||
        !reading_decimal(reading, &part[1], &candle->open) ||
        !reading_decimal(reading, &part[2], &candle->close) ||
        !reading_decimal(reading, &part[3], &candle->high) ||
        !reading_decimal(reading, &part[4], &candle->low) ||
        !reading_total(reading, &part[spot ? 5 : 6], &volume) ||
        (spot && !reading_total(reading, &part[6], &candle->quote_volume)) ||
        !reading_time_any_opt(reading, &found[2], &reading->event.event_unix_ns)) {
        return false;
    }
    candle->volume = volume.value;
    if (!reading_candle_close(candle->interval, candle->open_unix_ns, &candle->close_unix_ns)) {
        return reading_refuse(reading, MD_EPARSE, "candle: unknown interval");
    }
    return emit(reading);
}

static struct str interval_of_minutes(int64_t minutes)
{
    static const struct {
        int64_t minutes;
        struct str interval;
    } rows[] = {{1, {"1m", 2}},    {5, {"5m", 2}},    {15, {"15m", 3}},  {30, {"30m", 3}},
                {60, {"1h", 2}},   {120, {"2h", 2}},  {240, {"4h", 2}},  {480, {"8h", 2}},
                {720, {"12h", 3}}, {1440, {"1d", 2}}, {10080, {"1w", 2}}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].minutes == minutes) {
            return rows[i].interval;
        }
    }
    return (struct str){0};
}

/* The form of 2022: an object, its `time` is when the candle opened. */
static bool take_candle_2022(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"symbol", 6}, {"granularity", 11}, {"time", 4},
                                      {"open", 4},   {"high", 4},         {"low", 3},
                                      {"close", 5},  {"volume", 6}};
    struct scan_value found[8];
    struct candle_event *candle = &reading->event.candle;
    struct decimal_opt volume = {0};
    struct str type;
    int64_t minutes = 0;
    scan_find(data, keys, 8, found);
    kucoin_candle_name(reading->stream_symbol, &reading->stream_symbol, &type);
    if (!take_symbol(reading, &found[0]) || !reading_i64(reading, &found[1], &minutes) ||
        !reading_time_any(reading, &found[2], &candle->open_unix_ns) ||
        !reading_decimal(reading, &found[3], &candle->open) ||
        !reading_decimal(reading, &found[4], &candle->high) ||
        !reading_decimal(reading, &found[5], &candle->low) ||
        !reading_decimal(reading, &found[6], &candle->close) ||
        !reading_total(reading, &found[7], &volume)) {
        return false;
    }
    candle->volume = volume.value;
    candle->interval = interval_of_minutes(minutes);
    if (!reading_candle_close(candle->interval, candle->open_unix_ns, &candle->close_unix_ns)) {
        return reading_refuse(reading, MD_EPARSE, "candle: unknown interval");
    }
    return emit(reading);
}

/* ---- the last 24 hours */

/* Spot has an object in the object, numbers with up to 20 decimals, and, asked for a whole market,
 * the symbol only there. */
static bool take_snapshot(struct reading *reading, const struct scan_value *data)
{
    static const struct str inner_key[] = {{"data", 4}};
    static const struct str keys[] = {{"symbol", 6},
                                      {"lastTradedPrice", 15},
                                      {"lastPrice", 9},
                                      {"open", 4},
                                      {"price24HoursBefore", 18},
                                      {"high", 4},
                                      {"highPrice", 9},
                                      {"low", 3},
                                      {"lowPrice", 8},
                                      {"vol", 3},
                                      {"volume", 6},
                                      {"volValue", 8},
                                      {"turnover", 8},
                                      {"buy", 3},
                                      {"sell", 4},
                                      {"datetime", 8},
                                      {"ts", 2}};
    struct scan_value inner, found[17];
    struct ticker_event *ticker = &reading->event.ticker;
    scan_find(data, inner_key, 1, &inner);
    scan_find(inner.type == SCAN_OBJECT ? &inner : data, keys, 17, found);
#define EITHER(a, b) (found[a].type != SCAN_NONE ? &found[a] : &found[b])
    return take_symbol(reading, &found[0]) &&
           reading_decimal_blank(reading, EITHER(1, 2), &ticker->last_price) &&
           reading_decimal_blank(reading, EITHER(3, 4), &ticker->open) &&
           reading_decimal_blank(reading, EITHER(5, 6), &ticker->high) &&
           reading_decimal_blank(reading, EITHER(7, 8), &ticker->low) &&
           reading_total(reading, EITHER(9, 10), &ticker->volume) &&
           reading_total(reading, EITHER(11, 12), &ticker->quote_volume) &&
           reading_decimal_blank(reading, &found[13], &ticker->bid_price) &&
           reading_decimal_blank(reading, &found[14], &ticker->ask_price) &&
           reading_time_any_opt(reading, EITHER(15, 16), &reading->event.event_unix_ns) &&
           emit(reading);
#undef EITHER
}

/* ---- contracts: mark price, index price, funding */

/* A granularity of a minute marks the prediction, that of the contract's interval the rate that is
 * settled now (section 6). */
static bool take_instrument(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {{"markPrice", 9},    {"indexPrice", 10}, {"fundingRate", 11},
                                      {"granularity", 11}, {"timestamp", 9},   {"symbol", 6}};
    struct scan_value found[6];
    struct derivative_ticker_event *ticker = &reading->event.derivative_ticker;
    int64_t granularity = 0;
    scan_find(data, keys, 6, found);
    if (!take_symbol(reading, &found[5]) ||
        !reading_decimal_opt(reading, &found[0], &ticker->mark_price) ||
        !reading_decimal_opt(reading, &found[1], &ticker->index_price) ||
        !reading_time_any_opt(reading, &found[4], &reading->event.event_unix_ns)) {
        return false;
    }
    bool settled = scan_value_i64(&found[3], &granularity) && granularity > 60000;
    if (!reading_decimal_opt(reading, &found[2],
                             settled ? &ticker->funding_rate : &ticker->predicted_funding_rate)) {
        return false;
    }
    if (settled && ticker->funding_rate.set && granularity / 1000 < INT32_MAX) {
        ticker->funding_interval_s = (int32_t)(granularity / 1000);
        ticker->funding_unix_ns = reading->event.event_unix_ns;
    }
    return emit(reading);
}

static bool take_announcement(struct reading *reading, const struct scan_value *data)
{
    static const struct str keys[] = {
        {"symbol", 6}, {"fundingTime", 11}, {"fundingRate", 11}, {"timestamp", 9}};
    struct scan_value found[4];
    struct derivative_ticker_event *ticker = &reading->event.derivative_ticker;
    scan_find(data, keys, 4, found);
    return take_symbol(reading, &found[0]) &&
           reading_time_any_opt(reading, &found[1], &ticker->funding_unix_ns) &&
           reading_decimal_opt(reading, &found[2], &ticker->funding_rate) &&
           reading_time_any_opt(reading, &found[3], &reading->event.event_unix_ns) && emit(reading);
}

/* ---- frames */

static bool take_one(struct reading *reading, const struct scan_value *data)
{
    enum kucoin_kind kind = (enum kucoin_kind)reading->kind;
    reading_begin(reading, (enum channel)kucoin_channel_of_kind(kind));
    if (data->type != SCAN_OBJECT) {
        return reading_refuse(reading, MD_EPARSE, "data: missing or not an object");
    }
    const struct flat *flat = flat_of(reading->kind);
    if (flat != NULL) {
        struct scan_value found[FLAT_KEYS_MAX];
        scan_find(data, flat->keys, flat->count, found);
        return flat->take(reading, found);
    }
    switch (kind) {
    case KUCOIN_LEVEL2:
        return reading->record->venue == VENUE_KUCOIN ? take_spot_level2(reading, data)
                                                      : take_futures_level2(reading, data);
    case KUCOIN_DEPTH5:
    case KUCOIN_DEPTH50:
        return take_depth(reading, data);
    case KUCOIN_CANDLES:
        return take_candle(reading, data);
    case KUCOIN_CANDLES_2022:
        return take_candle_2022(reading, data);
    case KUCOIN_SNAPSHOT:
        return take_snapshot(reading, data);
    case KUCOIN_INSTRUMENT:
        return take_instrument(reading, data);
    case KUCOIN_ANNOUNCEMENT:
        return take_announcement(reading, data);
    case KUCOIN_MATCH:
    case KUCOIN_TICKER:
    case KUCOIN_TICKER_V2:
    case KUCOIN_LEVEL1:
    case KUCOIN_UNKNOWN:
    case KUCOIN_OTHER:
    case KUCOIN_OBU:
    case KUCOIN_MARK_PRICE:
    case KUCOIN_FUNDING_FEE:
    case KUCOIN_UNIFIED_TRADE:
    case KUCOIN_UNIFIED_TICKER:
    case KUCOIN_UNIFIED_KLINE:
        break;
    }
    ASSERT(false); /* the caller has sorted these out */
    return false;
}

static bool take_message(struct reading *reading, const struct scan_value *topic,
                         const struct scan_value *subject, const struct scan_value *data)
{
    char scratch[TOPIC_BYTES_MAX];
    char subject_scratch[SYMBOL_BYTES_MAX];
    struct str name;
    if (!scan_value_string(topic, scratch, sizeof scratch, &name)) {
        return reading_refuse(reading, MD_EPARSE, "topic: too long");
    }
    reading->kind = (int)kucoin_kind_of_topic(name, &reading->stream_symbol);
    if (reading->kind == KUCOIN_UNKNOWN) {
        return reading_refuse(reading, MD_EUNKNOWN, "unknown topic");
    }
    if (reading->kind == KUCOIN_OTHER) {
        reading->result.control = true; /* known, not recorded */
        return true;
    }
    if (reading->kind == KUCOIN_TICKER && str_equal(reading->stream_symbol, STR("all")) &&
        !scan_value_string(subject, subject_scratch, sizeof subject_scratch,
                           &reading->stream_symbol)) {
        return reading_refuse(reading, MD_EPARSE, "ticker:all: no symbol in the subject");
    }
    return take_one(reading, data);
}

static bool reply_or_unknown(struct reading *reading)
{
    struct control_reply reply;
    if (kucoin_spot.control(reading->record->payload, &reply) != CONTROL_NONE) {
        reading->result.control = true;
        return true;
    }
    return reading_refuse(reading, MD_EUNKNOWN, "neither a push nor a known reply");
}

static bool decode_general(struct reading *reading)
{
    static const struct str keys[] = {{"topic", 5}, {"subject", 7}, {"data", 4}, {"T", 1}};
    struct scan scan = scan_of(reading->record->payload);
    struct scan_value frame, found[4];
    reading->result = (struct decode_result){.channel = -1};
    if (!scan_value(&scan, &frame) || !scan_at_end(&scan)) {
        return reading_refuse(reading, MD_EPARSE, "not well-formed JSON");
    }
    if (frame.type != SCAN_OBJECT) {
        return reading_refuse(reading, MD_EPARSE, "not an object");
    }
    scan_find(&frame, keys, 4, found);
    if (found[3].type == SCAN_STRING) {
        return kucoin_uta_general(reading, &frame);
    }
    if (found[0].type != SCAN_STRING) {
        return reply_or_unknown(reading);
    }
    return take_message(reading, &found[0], &found[1], &found[2]);
}

/* ---- predicted: flat data, its members in any order, behind the heads of 2022 and of today */

/* A whole or plain decimal number as JSON has it, without exponent. */
static bool flat_number(struct scan *scan, struct scan_value *out)
{
    const char *p = scan->p + (scan->p < scan->end && *scan->p == '-');
    const char *digits = p;
    while (p < scan->end && (unsigned char)(*p - '0') < 10) {
        p++;
    }
    if (p == digits || (*digits == '0' && p - digits > 1)) {
        return false;
    }
    if (p < scan->end && *p == '.') {
        const char *fraction = ++p;
        while (p < scan->end && (unsigned char)(*p - '0') < 10) {
            p++;
        }
        if (p == fraction) {
            return false;
        }
    }
    if (p == scan->end || (*p != ',' && *p != '}' && *p != ']')) {
        return false;
    }
    *out = (struct scan_value){SCAN_NUMBER, str_make(scan->p, (size_t)(p - scan->p)), false};
    scan->p = p;
    return true;
}

static bool flat_scalar(struct scan *scan, struct scan_value *out)
{
    if (!scan_expect(scan, "\"")) {
        return flat_number(scan, out);
    }
    *out = (struct scan_value){.type = SCAN_STRING};
    return scan_text(scan, &out->text);
}

/* A string, a number, or a list of two of these. */
static bool flat_value(struct scan *scan, struct scan_value *out)
{
    const char *from = scan->p;
    struct scan_value item;
    if (!scan_expect(scan, "[")) {
        return flat_scalar(scan, out);
    }
    if (!flat_scalar(scan, &item) || !scan_expect(scan, ",") || !flat_scalar(scan, &item) ||
        !scan_expect(scan, "]")) {
        return false;
    }
    *out = (struct scan_value){SCAN_ARRAY, str_make(from, (size_t)(scan->p - from)), false};
    return true;
}

/* The members up to the closing brace. A key that comes twice is a surprise. */
static bool flat_members(struct scan *scan, const struct flat *flat, struct scan_value *found)
{
    struct scan_value value;
    struct str key;
    for (uint32_t i = 0; i < flat->count; i++) {
        found[i].type = SCAN_NONE;
    }
    do {
        if (!scan_expect(scan, "\"") || !scan_text(scan, &key) || !scan_expect(scan, ":") ||
            !flat_value(scan, &value)) {
            return false;
        }
        for (uint32_t i = 0; i < flat->count; i++) {
            if (kucoin_same(key, flat->keys[i])) {
                if (found[i].type != SCAN_NONE) {
                    return false;
                }
                found[i] = value;
                break;
            }
        }
    } while (scan_expect(scan, ","));
    return scan_expect(scan, "}");
}

static bool predicted_head(struct scan *scan, struct str *topic)
{
    struct str subject;
    int64_t sequence = 0;
    bool today = scan_expect(scan, "{\"topic\":\"");
    if (!today && !scan_expect(scan, "{\"type\":\"message\",\"topic\":\"")) {
        return false;
    }
    return scan_text(scan, topic) && (!today || scan_expect(scan, ",\"type\":\"message\"")) &&
           scan_expect(scan, ",\"subject\":\"") && scan_text(scan, &subject) &&
           (!scan_expect(scan, ",\"sn\":") || scan_i64(scan, &sequence)) &&
           scan_expect(scan, ",\"data\":{");
}

static bool decode_predicted(struct reading *reading)
{
    struct scan scan = scan_of(reading->record->payload);
    struct scan_value found[FLAT_KEYS_MAX];
    struct str topic;
    if (!predicted_head(&scan, &topic)) {
        return kucoin_uta_predicted(reading);
    }
    reading->kind = (int)kucoin_kind_of_topic(topic, &reading->stream_symbol);
    const struct flat *flat = flat_of(reading->kind);
    if (flat == NULL ||
        (reading->kind == KUCOIN_TICKER && str_equal(reading->stream_symbol, STR("all")))) {
        return false;
    }
    reading_begin(reading, (enum channel)kucoin_channel_of_kind(flat->kind));
    return flat_members(&scan, flat, found) && scan_expect(&scan, "}") && scan.p == scan.end &&
           flat->take(reading, found);
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

struct decode_result kucoin_decode_general(struct decoder *decoder, const struct record *record,
                                           event_sink sink, void *context)
{
    return decode_frame(decoder, record, false, sink, context);
}

/* Text and binary frames hold the same JSON: which socket sent it shows in the message. */
struct decode_result kucoin_decode(struct decoder *decoder, const struct record *record,
                                   event_sink sink, void *context)
{
    if (record->kind == RECORD_RECV || record->kind == RECORD_RECV_BINARY) {
        return decode_frame(decoder, record, true, sink, context);
    }
    if (record->kind == RECORD_REST || record->kind == RECORD_REST_PART) {
        return kucoin_rest(decoder, record, sink, context);
    }
    return (struct decode_result){.channel = -1};
}
