/* KuCoin, what things are called: topics of the classic sockets, channels of the unified ones,
 * types of candles; and, by these names, the streams that a request of ours named. Facts:
 * docs/exchanges/kucoin.md, sections 4, 6 and 8. */
#include <string.h>

#include "base/assert.h"
#include "exchange/decoder.h"
#include "exchange/kucoin.h"
#include "exchange/scan.h"

static const struct topic_row {
    struct str name;
    enum kucoin_kind kind;
    bool spot;
} topics[] = {
    {{"/market/match", 13}, KUCOIN_MATCH, true},
    {{"/market/ticker", 14}, KUCOIN_TICKER, true},
    {{"/spotMarket/level1", 18}, KUCOIN_LEVEL1, true},
    {{"/market/level2", 14}, KUCOIN_LEVEL2, true},
    {{"/spotMarket/level2Depth5", 24}, KUCOIN_DEPTH5, true},
    {{"/spotMarket/level2Depth50", 25}, KUCOIN_DEPTH50, true},
    {{"/market/candles", 15}, KUCOIN_CANDLES, true},
    {{"/market/snapshot", 16}, KUCOIN_SNAPSHOT, true},
    {{"/callauction/callauctionData", 28}, KUCOIN_OTHER, true},
    {{"/callauction/level2Depth50", 26}, KUCOIN_OTHER, true},
    {{"/indicator/index", 16}, KUCOIN_OTHER, true},
    {{"/indicator/markPrice", 20}, KUCOIN_OTHER, true},
    {{"/contractMarket/execution", 25}, KUCOIN_MATCH, false},
    {{"/contractMarket/tickerV2", 24}, KUCOIN_TICKER_V2, false},
    {{"/contractMarket/ticker", 22}, KUCOIN_TICKER, false},
    {{"/contractMarket/level2", 22}, KUCOIN_LEVEL2, false},
    {{"/contractMarket/level2Depth5", 28}, KUCOIN_DEPTH5, false},
    {{"/contractMarket/level2Depth50", 29}, KUCOIN_DEPTH50, false},
    {{"/contractMarket/limitCandle", 27}, KUCOIN_CANDLES, false},
    {{"/contractMarket/candle", 22}, KUCOIN_CANDLES_2022, false},
    {{"/contractMarket/snapshot", 24}, KUCOIN_SNAPSHOT, false},
    {{"/contract/instrument", 20}, KUCOIN_INSTRUMENT, false},
    {{"/contract/announcement", 22}, KUCOIN_ANNOUNCEMENT, false},
    {{"/contractMarket/level3v2", 24}, KUCOIN_OTHER, false},
    {{"/contractMarket/level3", 22}, KUCOIN_OTHER, false},
};
#define TOPIC_COUNT (sizeof topics / sizeof topics[0])

static const struct channel_row {
    struct str name;
    enum kucoin_kind kind;
} channels[] = {
    {{"obu", 3}, KUCOIN_OBU},
    {{"mark-price", 10}, KUCOIN_MARK_PRICE},
    {{"funding-fee", 11}, KUCOIN_FUNDING_FEE},
    {{"funding-fee-all-symbols", 23}, KUCOIN_FUNDING_FEE},
    {{"trade", 5}, KUCOIN_UNIFIED_TRADE},
    {{"ticker", 6}, KUCOIN_UNIFIED_TICKER},
    {{"kline", 5}, KUCOIN_UNIFIED_KLINE},
    {{"callAuctionInfo", 15}, KUCOIN_OTHER},
};
#define CHANNEL_ROWS (sizeof channels / sizeof channels[0])

enum kucoin_kind kucoin_kind_of_topic(struct str topic, struct str *symbols)
{
    const char *colon = memchr(topic.data, ':', topic.bytes);
    struct str name = topic;
    *symbols = (struct str){"", 0};
    if (colon != NULL) {
        name.bytes = (size_t)(colon - topic.data);
        *symbols = str_make(colon + 1, topic.bytes - name.bytes - 1);
    }
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        if (kucoin_same(name, topics[i].name)) {
            return topics[i].kind;
        }
    }
    return KUCOIN_UNKNOWN;
}

enum kucoin_kind kucoin_kind_of_channel(struct str channel)
{
    const char *dot = memchr(channel.data, '.', channel.bytes);
    if (dot != NULL) {
        channel.bytes = (size_t)(dot - channel.data);
    }
    for (size_t i = 0; i < CHANNEL_ROWS; i++) {
        if (kucoin_same(channel, channels[i].name)) {
            return channels[i].kind;
        }
    }
    return KUCOIN_UNKNOWN;
}

int kucoin_channel_of_kind(enum kucoin_kind kind)
{
    switch (kind) {
    case KUCOIN_MATCH:
    case KUCOIN_UNIFIED_TRADE:
        return CHANNEL_TRADES;
    case KUCOIN_TICKER:
    case KUCOIN_TICKER_V2:
    case KUCOIN_LEVEL1:
    case KUCOIN_UNIFIED_TICKER:
        return CHANNEL_BOOK_TICKER;
    case KUCOIN_LEVEL2:
        return CHANNEL_DEPTH;
    case KUCOIN_DEPTH5:
        return CHANNEL_BOOK_SNAPSHOT_5;
    case KUCOIN_DEPTH50:
        return CHANNEL_BOOK_SNAPSHOT_50;
    case KUCOIN_CANDLES:
    case KUCOIN_CANDLES_2022:
    case KUCOIN_UNIFIED_KLINE:
        return CHANNEL_CANDLES;
    case KUCOIN_SNAPSHOT:
        return CHANNEL_TICKER;
    case KUCOIN_INSTRUMENT:
    case KUCOIN_ANNOUNCEMENT:
    case KUCOIN_MARK_PRICE:
    case KUCOIN_FUNDING_FEE:
        return CHANNEL_DERIVATIVE_TICKER;
    case KUCOIN_OBU:
    case KUCOIN_OTHER:
    case KUCOIN_UNKNOWN:
        break;
    }
    return -1;
}

static const struct interval_row {
    struct str type, interval;
    bool futures;
} intervals[] = {
    {{"1min", 4}, {"1m", 2}, true},    {{"3min", 4}, {"3m", 2}, true},
    {{"5min", 4}, {"5m", 2}, true},    {{"15min", 5}, {"15m", 3}, true},
    {{"30min", 5}, {"30m", 3}, true},  {{"1hour", 5}, {"1h", 2}, true},
    {{"2hour", 5}, {"2h", 2}, true},   {{"4hour", 5}, {"4h", 2}, true},
    {{"6hour", 5}, {"6h", 2}, false},  {{"8hour", 5}, {"8h", 2}, true},
    {{"12hour", 6}, {"12h", 3}, true}, {{"1day", 4}, {"1d", 2}, true},
    {{"1week", 5}, {"1w", 2}, true},   {{"1month", 6}, {"1M", 2}, true},
};
#define INTERVAL_COUNT (sizeof intervals / sizeof intervals[0])

struct str kucoin_interval_of(struct str type)
{
    for (size_t i = 0; i < INTERVAL_COUNT; i++) {
        if (str_equal(type, intervals[i].type)) {
            return intervals[i].interval;
        }
    }
    return (struct str){0};
}

struct str kucoin_type_of_interval(struct str interval, bool spot)
{
    for (size_t i = 0; i < INTERVAL_COUNT; i++) {
        if (str_equal(interval, intervals[i].interval) && (spot || intervals[i].futures)) {
            return intervals[i].type;
        }
    }
    return (struct str){0};
}

int kucoin_channel_of_depth(struct str depth)
{
    return depth.bytes >= 9 && memcmp(depth.data, "increment", 9) == 0 ? CHANNEL_DEPTH
           : str_equal(depth, STR("1"))                                ? CHANNEL_BOOK_TICKER
           : str_equal(depth, STR("5"))                                ? CHANNEL_BOOK_SNAPSHOT_5
           : str_equal(depth, STR("50"))                               ? CHANNEL_BOOK_SNAPSHOT_50
                                                                       : -1;
}

bool kucoin_candle_name(struct str name, struct str *symbol, struct str *type)
{
    const char *cut = name.bytes > 0 ? memrchr(name.data, '_', name.bytes) : NULL;
    if (cut == NULL) {
        return false;
    }
    *symbol = str_make(name.data, (size_t)(cut - name.data));
    *type = str_make(cut + 1, name.bytes - symbol->bytes - 1);
    return true;
}

struct str kucoin_topic_of_kind(int kind, bool spot)
{
    size_t i = 0;
    while ((int)topics[i].kind != kind || topics[i].spot != spot) {
        i++; /* each kind we ask for has a row */
        ASSERT(i < TOPIC_COUNT);
    }
    return topics[i].name;
}

/* ---- what a request of ours named, for the decode side */

struct sent {
    bool on;
    sent_sink on_stream;
    void *context;
};

static void sent_symbol(const struct sent *sent, int channel, struct str symbol)
{
    if (channel >= 0 && symbol.bytes > 0 && symbol.bytes <= SYMBOL_BYTES_MAX) {
        sent->on_stream(sent->context, sent->on, (enum channel)channel, false, symbol);
    }
}

static void sent_topic(const struct sent *sent, struct str topic)
{
    struct str list, type;
    enum kucoin_kind kind = kucoin_kind_of_topic(topic, &list);
    int channel = kucoin_channel_of_kind(kind);
    if (str_equal(list, STR("all"))) {
        return;
    }
    while (list.bytes > 0) {
        const char *comma = memchr(list.data, ',', list.bytes);
        struct str symbol = list;
        symbol.bytes = comma != NULL ? (size_t)(comma - list.data) : list.bytes;
        size_t taken = symbol.bytes + (comma != NULL);
        list = str_make(list.data + taken, list.bytes - taken);
        if (channel == CHANNEL_CANDLES && !kucoin_candle_name(symbol, &symbol, &type)) {
            continue;
        }
        sent_symbol(sent, channel, symbol);
    }
}

static void sent_unified(const struct sent *sent, const struct scan_value *name,
                         const struct scan_value *depth, const struct scan_value *symbol,
                         const struct scan_value *symbols)
{
    enum kucoin_kind kind = kucoin_kind_of_channel(name->text);
    int channel = kucoin_channel_of_kind(kind);
    if (kind == KUCOIN_OBU) {
        channel = depth->type == SCAN_STRING ? kucoin_channel_of_depth(depth->text) : -1;
    }
    if (symbol->type == SCAN_STRING && !symbol->escaped) {
        sent_symbol(sent, channel, symbol->text);
    }
    if (symbols->type == SCAN_ARRAY) {
        struct scan scan = scan_enter(symbols);
        struct scan_value one;
        while (scan_element(&scan, &one)) {
            if (one.type == SCAN_STRING && !one.escaped) {
                sent_symbol(sent, channel, one.text);
            }
        }
    }
}

static bool is_word(const struct scan_value *value, const char *word)
{
    return value->type == SCAN_STRING && value->text.bytes == strlen(word) &&
           strncasecmp(value->text.data, word, value->text.bytes) == 0;
}

void kucoin_decode_sent(const struct record *record, sent_sink on_stream, void *context)
{
    static const struct str keys[] = {{"type", 4},   {"topic", 5}, {"action", 6}, {"channel", 7},
                                      {"symbol", 6}, {"depth", 5}, {"symbols", 7}};
    struct scan scan = scan_of(record->payload);
    struct scan_value object, found[7];
    if (!scan_value(&scan, &object) || object.type != SCAN_OBJECT) {
        return;
    }
    scan_find(&object, keys, 7, found);
    bool classic = found[1].type == SCAN_STRING;
    const struct scan_value *verb = classic ? &found[0] : &found[2];
    struct sent sent = {
        .on = is_word(verb, "subscribe"), .on_stream = on_stream, .context = context};
    if (!sent.on && !is_word(verb, "unsubscribe")) {
        return;
    }
    if (classic && !found[1].escaped) {
        sent_topic(&sent, found[1].text);
    } else if (!classic && found[3].type == SCAN_STRING) {
        sent_unified(&sent, &found[3], &found[5], &found[4], &found[6]);
    }
}
