/* The texts of KuCoin's streams, classic and unified, in the key order of the recordings. Spot
 * writes decimals as strings; futures write prices as strings and sizes as lots. Everything goes
 * into the caller's bounded buffer. Source: exchanges/kucoin.md sections 4, 6 and 8, and the
 * recorded samples. */
#include "sim/sim_kucoin.h"

#include <string.h>

#include "base/assert.h"

#define E8 100000000LL
#define PUSH_DELAY_NS 1700077 /* from a thing's own time to its push, in unified messages */

static const struct {
    const char *name;
    int interval; /* sim_stream.h */
} candles[SIM_KUCOIN_CANDLES] = {
    {"1min", 1},    {"3min", 2},  {"5min", 3},   {"15min", 4},   {"30min", 5},
    {"1hour", 6},   {"2hour", 7}, {"4hour", 8},  {"6hour", 9},   {"8hour", 10},
    {"12hour", 11}, {"1day", 12}, {"1week", 14}, {"1month", 15},
};

int sim_kucoin_candle_parse(const struct sim *sim, struct str type)
{
    for (int i = 0; i < SIM_KUCOIN_CANDLES; i++) {
        if (str_equal(type, str_from(candles[i].name))) {
            return !sim_kucoin_is_spot(sim) && candles[i].interval == 9 ? -1 : i;
        }
    }
    return -1;
}

const char *sim_kucoin_candle_name(int candle)
{
    return candles[candle].name;
}

int sim_kucoin_candle_interval(int candle)
{
    return candles[candle].interval;
}

/* ---- values */

#define PUT(out, literal) buf_put(out, literal, sizeof(literal) - 1)

static void put_text(struct buf *out, const char *text)
{
    buf_put(out, text, strlen(text));
}

void sim_kucoin_put_e8(struct buf *out, int64_t value_e8)
{
    char text[32];
    struct buf whole = buf_over(text, sizeof text);
    sim_put_e8(&whole, value_e8);
    while (text[whole.bytes - 1] == '0') {
        whole.bytes--;
    }
    whole.bytes -= text[whole.bytes - 1] == '.';
    buf_put(out, text, whole.bytes);
}

void sim_kucoin_put_text_e8(struct buf *out, const char *key, int64_t value_e8)
{
    buf_printf(out, ",\"%s\":\"", key);
    sim_kucoin_put_e8(out, value_e8);
    buf_put_char(out, '"');
}

void sim_kucoin_put_number_e8(struct buf *out, const char *key, int64_t value_e8)
{
    buf_printf(out, ",\"%s\":", key);
    sim_kucoin_put_e8(out, value_e8);
}

static void put_i64(struct buf *out, const char *key, int64_t value)
{
    buf_printf(out, ",\"%s\":", key);
    buf_put_i64(out, value);
}

static void put_string(struct buf *out, const char *key, const char *value)
{
    buf_printf(out, ",\"%s\":\"%s\"", key, value);
}

int64_t sim_kucoin_trade_id(const struct sim *sim, int64_t id)
{
    return (sim_kucoin_is_spot(sim) ? 11000000000000001LL : 1794000000001LL) + 3 * id;
}

int64_t sim_kucoin_lots(const struct model_symbol *symbol, int64_t quantity_e8)
{
    return quantity_e8 / symbol->step_e8;
}

void sim_kucoin_put_order(struct buf *out, const struct model_trade *trade, uint64_t side)
{
    uint64_t r = model_mix((uint64_t)trade->price_e8 + side, (uint64_t)trade->id);
    buf_printf(out, "%08llx%016llx", (unsigned long long)(trade->time_unix_ns / NS_PER_S),
               (unsigned long long)r);
}

void sim_kucoin_put_levels(struct buf *out, const struct model_symbol *symbol,
                           const struct model_level *levels, uint32_t count,
                           enum sim_kucoin_levels form)
{
    buf_put_char(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        put_text(out, i == 0 ? "[" : ",[");
        put_text(out, form == SIM_KUCOIN_NUMBERS ? "" : "\"");
        sim_kucoin_put_e8(out, levels[i].price_e8);
        put_text(out, form == SIM_KUCOIN_STRINGS ? "\",\"" : form == SIM_KUCOIN_LOTS ? "\"," : ",");
        if (form == SIM_KUCOIN_STRINGS) {
            sim_kucoin_put_e8(out, levels[i].quantity_e8);
            buf_put_char(out, '"');
        } else {
            buf_put_i64(out, sim_kucoin_lots(symbol, levels[i].quantity_e8));
        }
        buf_put_char(out, ']');
    }
    buf_put_char(out, ']');
}

int64_t sim_kucoin_index_e8(const struct model_book *book)
{
    return (model_slot_price(book->symbol, book->mid - 1) +
            model_slot_price(book->symbol, book->mid)) /
           2;
}

int64_t sim_kucoin_mark_e8(const struct model_book *book, int64_t time_unix_ns)
{
    uint64_t r = model_mix(book->symbol->key, (uint64_t)(time_unix_ns / NS_PER_S));
    return sim_kucoin_index_e8(book) + ((int64_t)(r % 5) - 2) * book->symbol->tick_e8;
}

int64_t sim_kucoin_interest(const struct model_symbol *symbol, int64_t time_unix_ns)
{
    uint64_t r = model_mix(symbol->key + 1, (uint64_t)(time_unix_ns / (10 * NS_PER_S)));
    return 1000000 + symbol->trade_id0 % 9000000 + (int64_t)(r % 5000);
}

int64_t sim_kucoin_funding_e8(const struct model_symbol *symbol, int64_t time_unix_ns)
{
    uint64_t r = model_mix(symbol->key + 2, (uint64_t)(time_unix_ns / SIM_KUCOIN_FUNDING_NS));
    return ((int64_t)(r % 400) - 200) * 100; /* -0.0002 .. 0.000199 */
}

/* ---- classic */

static const char *topic_of(const struct sim *sim, uint32_t stream)
{
    static const char *const spot[] = {
        "/market/match",
        "/spotMarket/level1",
        "/market/ticker",
        "/market/level2",
        "/spotMarket/level2Depth5",
        "/spotMarket/level2Depth50",
        "/market/snapshot",
        "",
        "",
        "/market/candles",
    };
    static const char *const futures[] = {
        "/contractMarket/execution",
        "/contractMarket/tickerV2",
        "/contractMarket/ticker",
        "/contractMarket/level2",
        "/contractMarket/level2Depth5",
        "/contractMarket/level2Depth50",
        "/contractMarket/snapshot",
        "/contract/instrument",
        "",
        "/contractMarket/limitCandle",
    };
    uint32_t row = stream > SIM_KUCOIN_CANDLE ? SIM_KUCOIN_CANDLE : stream;
    return sim_kucoin_is_spot(sim) ? spot[row] : futures[row];
}

/* {"topic":"/market/match:BTC-USDT","type":"message","subject":"trade.l3match" */
static void put_head(struct buf *out, const struct sim *sim, const struct sim_kucoin_event *event,
                     const char *subject)
{
    PUT(out, "{\"topic\":\"");
    put_text(out, topic_of(sim, event->stream));
    PUT(out, ":");
    put_text(out, event->symbol->name);
    if (event->stream >= SIM_KUCOIN_CANDLE) {
        PUT(out, "_");
        put_text(out, candles[event->stream - SIM_KUCOIN_CANDLE].name);
    }
    PUT(out, "\",\"type\":\"message\",\"subject\":\"");
    put_text(out, subject);
    PUT(out, "\"");
}

static void put_spot_match(struct buf *out, const struct sim_kucoin_event *event, int64_t id)
{
    const struct model_trade *trade = &event->trade;
    PUT(out, ",\"data\":{\"makerOrderId\":\"");
    sim_kucoin_put_order(out, trade, 1);
    PUT(out, "\"");
    sim_kucoin_put_text_e8(out, "price", trade->price_e8);
    buf_printf(out, ",\"sequence\":\"%lld\",\"side\":\"%s\"", (long long)id,
               trade->buyer_is_maker ? "sell" : "buy");
    sim_kucoin_put_text_e8(out, "size", trade->quantity_e8);
    buf_printf(out, ",\"symbol\":\"%s\",\"takerOrderId\":\"", event->symbol->name);
    sim_kucoin_put_order(out, trade, 2);
    buf_printf(out, "\",\"time\":\"%lld\",\"tradeId\":\"%lld\",\"type\":\"match\"}}",
               (long long)trade->time_unix_ns, (long long)id);
}

static void put_futures_match(struct buf *out, const struct sim_kucoin_event *event, int64_t id)
{
    const struct model_trade *trade = &event->trade;
    put_i64(out, "sn", id);
    buf_printf(out, ",\"data\":{\"symbol\":\"%s\",\"sequence\":%lld,\"side\":\"%s\",\"size\":%lld",
               event->symbol->name, (long long)id, trade->buyer_is_maker ? "sell" : "buy",
               (long long)sim_kucoin_lots(event->symbol, trade->quantity_e8));
    sim_kucoin_put_text_e8(out, "price", trade->price_e8);
    PUT(out, ",\"takerOrderId\":\"");
    sim_kucoin_put_order(out, trade, 2);
    PUT(out, "\",\"makerOrderId\":\"");
    sim_kucoin_put_order(out, trade, 1);
    buf_printf(out, "\",\"tradeId\":\"%lld\",\"ts\":%lld}}", (long long)id,
               (long long)trade->time_unix_ns);
}

static void put_match(struct buf *out, const struct sim *sim, const struct sim_kucoin_event *event)
{
    int64_t id = sim_kucoin_trade_id(sim, event->trade.id);
    bool spot = sim_kucoin_is_spot(sim);
    put_head(out, sim, event, spot ? "trade.l3match" : "match");
    if (spot) {
        put_spot_match(out, event, id);
    } else {
        put_futures_match(out, event, id);
    }
}

static int64_t book_sequence(const struct model_book *book)
{
    return sim_kucoin_sequence(book->symbol, book->update);
}

/* "asks":["68145.8","0.51987471"]: a pair, not a list of pairs. */
static void put_pair(struct buf *out, const char *key, struct model_level level)
{
    put_text(out, key);
    PUT(out, "[\"");
    sim_kucoin_put_e8(out, level.price_e8);
    PUT(out, "\",\"");
    sim_kucoin_put_e8(out, level.quantity_e8);
    PUT(out, "\"]");
}

static void put_lots_best(struct buf *out, const struct model_book *book)
{
    struct model_level bid = model_book_level(book, book->mid - 1);
    struct model_level ask = model_book_level(book, book->mid);
    put_i64(out, "bestBidSize", sim_kucoin_lots(book->symbol, bid.quantity_e8));
    sim_kucoin_put_text_e8(out, "bestBidPrice", bid.price_e8);
    sim_kucoin_put_text_e8(out, "bestAskPrice", ask.price_e8);
    put_i64(out, "bestAskSize", sim_kucoin_lots(book->symbol, ask.quantity_e8));
}

static void put_level1(struct buf *out, const struct sim *sim, const struct sim_kucoin_event *event)
{
    const struct model_book *book = event->book;
    if (sim_kucoin_is_spot(sim)) {
        put_head(out, sim, event, "level1");
        put_pair(out, ",\"data\":{\"asks\":", model_book_level(book, book->mid));
        put_pair(out, ",\"bids\":", model_book_level(book, book->mid - 1));
        put_i64(out, "timestamp", event->time_unix_ns / NS_PER_MS);
    } else {
        put_head(out, sim, event, "tickerV2");
        put_i64(out, "sn", book_sequence(book));
        buf_printf(out, ",\"data\":{\"symbol\":\"%s\",\"sequence\":%lld", event->symbol->name,
                   (long long)book_sequence(book));
        put_lots_best(out, book);
        put_i64(out, "ts", event->time_unix_ns);
    }
    PUT(out, "}}");
}

static void put_ticker(struct buf *out, const struct sim *sim, const struct sim_kucoin_event *event)
{
    const struct model_book *book = event->book;
    const struct model_trade *trade = &event->trade;
    if (sim_kucoin_is_spot(sim)) {
        struct model_level bid = model_book_level(book, book->mid - 1);
        struct model_level ask = model_book_level(book, book->mid);
        put_head(out, sim, event, "trade.ticker");
        PUT(out, ",\"data\":{\"bestAsk\":\"");
        sim_kucoin_put_e8(out, ask.price_e8);
        PUT(out, "\"");
        sim_kucoin_put_text_e8(out, "bestAskSize", ask.quantity_e8);
        sim_kucoin_put_text_e8(out, "bestBid", bid.price_e8);
        sim_kucoin_put_text_e8(out, "bestBidSize", bid.quantity_e8);
        sim_kucoin_put_text_e8(out, "price", trade->price_e8);
        buf_printf(out, ",\"sequence\":\"%lld\"", (long long)book_sequence(book));
        sim_kucoin_put_text_e8(out, "size", trade->quantity_e8);
        put_i64(out, "time", trade->time_unix_ns / NS_PER_MS); /* of the trade, not the quote */
    } else {
        put_head(out, sim, event, "ticker");
        put_i64(out, "sn", book_sequence(book));
        buf_printf(out,
                   ",\"data\":{\"symbol\":\"%s\",\"sequence\":%lld,\"side\":\"%s\",\"size\":%lld",
                   event->symbol->name, (long long)book_sequence(book),
                   trade->buyer_is_maker ? "sell" : "buy",
                   (long long)sim_kucoin_lots(event->symbol, trade->quantity_e8));
        sim_kucoin_put_text_e8(out, "price", trade->price_e8);
        put_lots_best(out, book);
        buf_printf(out, ",\"tradeId\":\"%lld\"", (long long)sim_kucoin_trade_id(sim, trade->id));
        put_i64(out, "ts", event->time_unix_ns);
    }
    PUT(out, "}}");
}

/* One side of a spot level2 message. Sequences without a change are filled with price 0. */
static void put_changes(struct buf *out, const struct sim_kucoin_event *event, bool ask)
{
    bool first = true;
    buf_put_char(out, '[');
    for (uint32_t i = 0; i < SIM_KUCOIN_CHANGES; i++) {
        bool filler = i >= event->change_count;
        const struct sim_kucoin_change *change = &event->changes[i];
        if (filler ? ask : change->ask != ask) {
            continue;
        }
        put_text(out, first ? "[\"" : ",[\"");
        sim_kucoin_put_e8(out, filler ? 0 : change->level.price_e8);
        PUT(out, "\",\"");
        sim_kucoin_put_e8(out, filler ? 0 : change->level.quantity_e8);
        buf_printf(out, "\",\"%lld\"]", (long long)event->first + i);
        first = false;
    }
    buf_put_char(out, ']');
}

static void put_spot_level2(struct buf *out, const struct sim *sim,
                            const struct sim_kucoin_event *event)
{
    put_head(out, sim, event, "trade.l2update");
    PUT(out, ",\"data\":{\"changes\":{\"asks\":");
    put_changes(out, event, true);
    PUT(out, ",\"bids\":");
    put_changes(out, event, false);
    buf_printf(out,
               "},\"sequenceEnd\":%lld,\"sequenceStart\":%lld,\"symbol\":\"%s\",\"time\":%lld}}",
               (long long)event->last, (long long)event->first, event->symbol->name,
               (long long)(event->time_unix_ns / NS_PER_MS));
}

/* One change, the last of event->changes. */
static void put_futures_level2(struct buf *out, const struct sim *sim,
                               const struct sim_kucoin_event *event)
{
    const struct sim_kucoin_change *change = &event->changes[event->change_count - 1];
    put_head(out, sim, event, "level2");
    put_i64(out, "sn", event->last);
    buf_printf(out, ",\"data\":{\"sequence\":%lld,\"change\":\"", (long long)event->last);
    sim_kucoin_put_e8(out, change->level.price_e8);
    buf_printf(out, ",%s,%lld\",\"timestamp\":%lld}}", change->ask ? "sell" : "buy",
               (long long)sim_kucoin_lots(event->symbol, change->level.quantity_e8),
               (long long)(event->time_unix_ns / NS_PER_MS));
}

static void put_depth(struct buf *out, const struct sim *sim, const struct sim_kucoin_event *event)
{
    const struct sim_levels *levels = &event->levels;
    int64_t ms = event->time_unix_ns / NS_PER_MS;
    put_head(out, sim, event, "level2");
    if (sim_kucoin_is_spot(sim)) {
        PUT(out, ",\"data\":{\"asks\":");
        sim_kucoin_put_levels(out, event->symbol, levels->asks, levels->ask_count,
                              SIM_KUCOIN_STRINGS);
        PUT(out, ",\"bids\":");
        sim_kucoin_put_levels(out, event->symbol, levels->bids, levels->bid_count,
                              SIM_KUCOIN_STRINGS);
        put_i64(out, "timestamp", ms);
    } else {
        put_i64(out, "sn", ms);
        PUT(out, ",\"data\":{\"bids\":");
        sim_kucoin_put_levels(out, event->symbol, levels->bids, levels->bid_count, SIM_KUCOIN_LOTS);
        put_i64(out, "sequence", book_sequence(event->book));
        put_i64(out, "timestamp", ms);
        put_i64(out, "ts", ms);
        PUT(out, ",\"asks\":");
        sim_kucoin_put_levels(out, event->symbol, levels->asks, levels->ask_count, SIM_KUCOIN_LOTS);
    }
    PUT(out, "}}");
}

/* ---- 24 hours and candles */

struct change {
    int64_t price_e8; /* last less open */
    double rate;
};

static struct change change_of(const struct model_window *w)
{
    int64_t price = w->close_e8 - w->open_e8;
    return (struct change){price, w->open_e8 == 0 ? 0 : (double)price / (double)w->open_e8};
}

/* "marketChange1h":{..}; also the 24 h members of the message itself (without "open"). */
static void put_market_change(struct buf *out, const char *key, const struct model_symbol *symbol,
                              int64_t time_unix_ns, int64_t length_ns, uint32_t blocks)
{
    struct model_window w;
    model_window(symbol, time_unix_ns - length_ns, time_unix_ns + 1, blocks, &w);
    struct change change = change_of(&w);
    buf_printf(out, ",\"%s\":{\"changePrice\":", key);
    sim_put_e8(out, change.price_e8);
    buf_printf(out, "000000000000,\"changeRate\":%.4f", change.rate);
    const struct {
        const char *key;
        int64_t value;
    } rows[] = {{"high", w.high_e8},
                {"low", w.low_e8},
                {"open", w.open_e8},
                {"vol", w.volume_e8},
                {"volValue", w.quote_e8}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        buf_printf(out, ",\"%s\":", rows[i].key);
        sim_put_e8(out, rows[i].value);
        PUT(out, "000000000000"); /* twenty decimals, as recorded */
    }
    PUT(out, "}");
}

static void put_spot_snapshot(struct buf *out, const struct sim *sim,
                              const struct sim_kucoin_event *event)
{
    const struct model_symbol *symbol = event->symbol;
    const struct model_book *book = event->book;
    int64_t time = event->time_unix_ns;
    struct model_window w;
    model_window(symbol, time - NS_PER_DAY, time + 1, MODEL_SCAN_BLOCKS_DAY, &w);
    struct change change = change_of(&w);
    struct model_level bid = model_book_level(book, book->mid - 1);
    struct model_level ask = model_book_level(book, book->mid);
    put_head(out, sim, event, "trade.snapshot");
    buf_printf(out, ",\"data\":{\"sequence\":\"%lld\",\"data\":{\"askSize\":",
               (long long)book_sequence(book));
    sim_kucoin_put_e8(out, ask.quantity_e8);
    sim_kucoin_put_number_e8(out, "averagePrice", (w.high_e8 + w.low_e8) / 2);
    put_string(out, "baseCurrency", symbol->base);
    sim_kucoin_put_number_e8(out, "bidSize", bid.quantity_e8);
    put_i64(out, "board", 1);
    sim_kucoin_put_number_e8(out, "buy", bid.price_e8);
    PUT(out, ",\"changePrice\":");
    sim_put_e8(out, change.price_e8);
    buf_printf(out, "000000000000,\"changeRate\":%.4f", change.rate);
    sim_kucoin_put_number_e8(out, "close", w.close_e8);
    put_i64(out, "datetime", time / NS_PER_MS);
    sim_kucoin_put_number_e8(out, "high", w.high_e8);
    sim_kucoin_put_number_e8(out, "lastTradedPrice", w.close_e8);
    sim_kucoin_put_number_e8(out, "low", w.low_e8);
    PUT(out, ",\"makerCoefficient\":1.000000,\"makerFeeRate\":0.001,\"marginTrade\":true,"
             "\"mark\":0,\"market\":\"USDS\"");
    put_market_change(out, "marketChange1h", symbol, time, 3600 * NS_PER_S, 4);
    put_market_change(out, "marketChange24h", symbol, time, NS_PER_DAY, MODEL_SCAN_BLOCKS_DAY);
    put_market_change(out, "marketChange4h", symbol, time, 4 * 3600 * NS_PER_S, 4);
    PUT(out, ",\"markets\":[\"USDS\"]");
    sim_kucoin_put_number_e8(out, "open", w.open_e8);
    put_string(out, "quoteCurrency", symbol->quote);
    sim_kucoin_put_number_e8(out, "sell", ask.price_e8);
    put_i64(out, "sort", 100);
    put_string(out, "symbol", symbol->name);
    put_string(out, "symbolCode", symbol->name);
    PUT(out, ",\"takerCoefficient\":1.000000,\"takerFeeRate\":0.001,\"trading\":true");
    sim_kucoin_put_number_e8(out, "vol", w.volume_e8);
    sim_kucoin_put_number_e8(out, "volValue", w.quote_e8);
    PUT(out, "}}}");
}

static void put_futures_snapshot(struct buf *out, const struct sim *sim,
                                 const struct sim_kucoin_event *event)
{
    const struct model_symbol *symbol = event->symbol;
    int64_t time = event->time_unix_ns;
    struct model_window w;
    model_window(symbol, time - NS_PER_DAY, time + 1, MODEL_SCAN_BLOCKS_DAY, &w);
    struct change change = change_of(&w);
    buf_printf(out, "{\"id\":\"%024llx\",\"type\":\"message\",\"topic\":\"%s:%s\"",
               (unsigned long long)(time / NS_PER_MS), topic_of(sim, event->stream), symbol->name);
    buf_printf(out, ",\"subject\":\"snapshot.24h\",\"data\":{\"symbol\":\"%s\"", symbol->name);
    sim_kucoin_put_number_e8(out, "volume", w.volume_e8);
    sim_kucoin_put_number_e8(out, "turnover", w.quote_e8);
    sim_kucoin_put_number_e8(out, "lastPrice", w.close_e8);
    sim_kucoin_put_number_e8(out, "lowPrice", w.low_e8);
    sim_kucoin_put_number_e8(out, "highPrice", w.high_e8);
    sim_kucoin_put_number_e8(out, "price24HoursBefore", w.open_e8);
    buf_printf(out, ",\"priceChgPct\":%.4f", change.rate);
    sim_kucoin_put_number_e8(out, "priceChg", change.price_e8);
    put_i64(out, "ts", time);
    PUT(out, "}}");
}

struct candle {
    int64_t start, next;
    struct model_window w;
};

/* The candle that holds the moment; the one that ends there with `closed`. */
static struct candle candle_of(const struct sim_kucoin_event *event, int number)
{
    struct candle candle;
    int interval = candles[number].interval;
    int64_t time = event->time_unix_ns;
    candle.start = sim_interval_start(interval, event->closed ? time - 1 : time);
    candle.next = sim_interval_next(interval, candle.start);
    model_window(event->symbol, candle.start, event->closed ? candle.next : time + 1,
                 MODEL_SCAN_BLOCKS, &candle.w);
    if (candle.w.count == 0) {
        candle.w.open_e8 = candle.w.high_e8 = candle.w.low_e8 = candle.w.close_e8 =
            candle.w.before_e8;
    }
    return candle;
}

static void put_candle(struct buf *out, const struct sim *sim, const struct sim_kucoin_event *event)
{
    bool spot = sim_kucoin_is_spot(sim);
    struct candle candle = candle_of(event, (int)(event->stream - SIM_KUCOIN_CANDLE));
    const int64_t prices[4] = {candle.w.open_e8, candle.w.close_e8, candle.w.high_e8,
                               candle.w.low_e8};
    put_head(out, sim, event, spot ? "trade.candles.update" : "candle.stick");
    buf_printf(out, ",\"data\":{\"symbol\":\"%s\",\"candles\":[\"%lld\"", event->symbol->name,
               (long long)(candle.start / NS_PER_S));
    for (int i = 0; i < 4; i++) {
        PUT(out, ",\"");
        sim_kucoin_put_e8(out, prices[i]);
        PUT(out, "\"");
    }
    if (spot) {
        PUT(out, ",\"");
        sim_kucoin_put_e8(out, candle.w.volume_e8);
        PUT(out, "\",\"");
        sim_kucoin_put_e8(out, candle.w.quote_e8);
        buf_printf(out, "\"],\"time\":%lld}}", (long long)event->time_unix_ns);
    } else {
        long long lots = sim_kucoin_lots(event->symbol, candle.w.volume_e8);
        buf_printf(out, ",\"%lld.0\",\"%lld\"],\"time\":%lld}}", lots, lots,
                   (long long)(event->time_unix_ns / NS_PER_MS));
    }
}

static void put_instrument(struct buf *out, const struct sim *sim,
                           const struct sim_kucoin_event *event)
{
    int64_t ms = event->time_unix_ns / NS_PER_MS;
    if (event->funding) {
        put_head(out, sim, event, "funding.rate");
        PUT(out, ",\"data\":{\"period\":1,\"granularity\":60000");
        sim_kucoin_put_number_e8(out, "fundingRate",
                                 sim_kucoin_funding_e8(event->symbol, event->time_unix_ns));
    } else {
        put_head(out, sim, event, "mark.index.price");
        PUT(out, ",\"data\":{\"markPrice\":");
        sim_kucoin_put_e8(out, sim_kucoin_mark_e8(event->book, event->time_unix_ns));
        sim_kucoin_put_number_e8(out, "indexPrice", sim_kucoin_index_e8(event->book));
        put_i64(out, "granularity", 1000);
    }
    put_i64(out, "timestamp", ms);
    PUT(out, "}}");
}

/* ---- unified: blanks behind the commas of the envelope, as recorded */

static void put_push(struct buf *out, const char *channel, const char *trade_type,
                     int64_t time_unix_ns)
{
    buf_printf(out, "{\"T\":\"%s%s\", \"P\":%lld, \"d\":{", channel, trade_type,
               (long long)(time_unix_ns + PUSH_DELAY_NS));
}

static void put_obu(struct buf *out, const char *trade_type, const struct sim_kucoin_event *event)
{
    static const char *const depths[] = {"increment@10ms", "increment", "1", "5", "50"};
    const struct sim_levels *levels = &event->levels;
    buf_printf(
        out, "{\"T\":\"obu%s\", \"dp\":\"%s\", \"t\":\"%s\", \"P\":%lld, \"d\":{\"a\":", trade_type,
        depths[event->stream - SIM_KUCOIN_OBU], event->snapshot ? "snapshot" : "delta",
        (long long)(event->time_unix_ns + PUSH_DELAY_NS));
    for (int side = 0; side < 2; side++) {
        const struct model_level *of = side == 0 ? levels->asks : levels->bids;
        uint32_t count = side == 0 ? levels->ask_count : levels->bid_count;
        put_text(out, side == 0 ? "[" : ",\"b\":[");
        for (uint32_t i = 0; i < count; i++) {
            put_text(out, i == 0 ? "[\"" : ",[\"");
            sim_kucoin_put_e8(out, of[i].price_e8);
            PUT(out, "\",\"");
            if (trade_type[1] == 'S') {
                sim_kucoin_put_e8(out, of[i].quantity_e8);
            } else {
                buf_put_i64(out, sim_kucoin_lots(event->symbol, of[i].quantity_e8));
            }
            PUT(out, "\"]");
        }
        PUT(out, "]");
    }
    put_i64(out, "C", event->last);
    put_string(out, "s", event->symbol->name);
    put_i64(out, "M", event->time_unix_ns);
    put_i64(out, "O", event->first);
    PUT(out, "}}");
}

/* A size of the unified sockets: a string, of the base coin or of lots. */
static void put_size(struct buf *out, const char *key, bool spot, const struct model_symbol *symbol,
                     int64_t quantity_e8)
{
    if (spot) {
        sim_kucoin_put_text_e8(out, key, quantity_e8);
    } else {
        buf_printf(out, ",\"%s\":\"%lld\"", key, (long long)sim_kucoin_lots(symbol, quantity_e8));
    }
}

static void put_unified_trade(struct buf *out, const struct sim *sim, const char *trade_type,
                              const struct sim_kucoin_event *event)
{
    const struct model_trade *trade = &event->trade;
    long long id = sim_kucoin_trade_id(sim, trade->id);
    bool spot = sim_kucoin_is_spot(sim);
    put_push(out, "trade", trade_type, trade->time_unix_ns);
    buf_printf(out, "\"E\":%lld,\"M\":%lld,\"S\":\"%s\"", id, (long long)trade->time_unix_ns,
               trade->buyer_is_maker ? "sell" : "buy");
    sim_kucoin_put_text_e8(out, "p", trade->price_e8);
    put_size(out, "q", spot, event->symbol, trade->quantity_e8);
    buf_printf(out, ",\"s\":\"%s\",\"ti\":\"%lld\"%s}}", event->symbol->name, id,
               spot ? "" : ",\"rpi\":false");
}

static void put_quote(struct buf *out, const struct sim *sim, const char *trade_type,
                      const struct sim_kucoin_event *event)
{
    const struct model_book *book = event->book;
    bool spot = sim_kucoin_is_spot(sim);
    struct model_level bid = model_book_level(book, book->mid - 1);
    struct model_level ask = model_book_level(book, book->mid);
    put_push(out, "ticker", trade_type, event->time_unix_ns);
    buf_printf(out, "\"E\":%lld", (long long)book_sequence(book));
    put_size(out, "A", spot, event->symbol, ask.quantity_e8);
    put_size(out, "B", spot, event->symbol, bid.quantity_e8);
    put_i64(out, "M", event->time_unix_ns);
    put_string(out, "S", event->trade.buyer_is_maker ? "SELL" : "BUY");
    sim_kucoin_put_text_e8(out, "a", ask.price_e8);
    sim_kucoin_put_text_e8(out, "b", bid.price_e8);
    sim_kucoin_put_text_e8(out, "l", event->trade.price_e8);
    put_size(out, "q", spot, event->symbol, event->trade.quantity_e8);
    put_string(out, "s", event->symbol->name);
    PUT(out, "}}");
}

static void put_mark(struct buf *out, const struct sim_kucoin_event *event)
{
    put_push(out, "mark-price", "", event->time_unix_ns);
    buf_printf(out, "\"s\":\"%s\"", event->symbol->name);
    sim_kucoin_put_text_e8(out, "mp", sim_kucoin_mark_e8(event->book, event->time_unix_ns));
    sim_kucoin_put_text_e8(out, "ip", sim_kucoin_index_e8(event->book));
    buf_printf(out, ",\"oi\":\"%lld\"",
               (long long)sim_kucoin_interest(event->symbol, event->time_unix_ns));
    put_i64(out, "ts", event->time_unix_ns / NS_PER_MS);
    PUT(out, "}}");
}

static void put_funding(struct buf *out, const struct sim_kucoin_event *event)
{
    int64_t time = event->time_unix_ns;
    int64_t start = time / SIM_KUCOIN_FUNDING_NS * SIM_KUCOIN_FUNDING_NS;
    put_push(out, "funding-fee", "", time);
    buf_printf(out, "\"s\":\"%s\"", event->symbol->name);
    sim_kucoin_put_text_e8(out, "fr", sim_kucoin_funding_e8(event->symbol, time));
    put_i64(out, "ft", start / NS_PER_MS);
    sim_kucoin_put_text_e8(out, "lfr", sim_kucoin_funding_e8(event->symbol, start - 1));
    put_i64(out, "nt", (start + SIM_KUCOIN_FUNDING_NS) / NS_PER_MS);
    put_i64(out, "gl", SIM_KUCOIN_FUNDING_NS / NS_PER_MS);
    PUT(out, ",\"fc\":\"0.003\",\"ff\":\"-0.003\"}}");
}

static void put_kline(struct buf *out, const struct sim *sim, const char *trade_type,
                      const struct sim_kucoin_event *event)
{
    int number = (int)(event->stream - SIM_KUCOIN_KLINE);
    struct candle candle = candle_of(event, number);
    put_push(out, "kline", trade_type, event->time_unix_ns);
    PUT(out, "\"a\":\"");
    sim_kucoin_put_e8(out, candle.w.quote_e8);
    buf_printf(out, "\",\"s\":\"%s\",\"C\":%lld", event->symbol->name,
               (long long)(candle.next / NS_PER_S));
    sim_kucoin_put_text_e8(out, "c", candle.w.close_e8);
    put_string(out, "S", event->closed ? "true" : "false");
    put_size(out, "v", sim_kucoin_is_spot(sim), event->symbol, candle.w.volume_e8);
    sim_kucoin_put_text_e8(out, "h", candle.w.high_e8);
    put_string(out, "i", candles[number].name);
    sim_kucoin_put_text_e8(out, "l", candle.w.low_e8);
    put_i64(out, "O", candle.start / NS_PER_S);
    sim_kucoin_put_text_e8(out, "o", candle.w.open_e8);
    PUT(out, "}}");
}

/* ---- dispatch */

static void put_classic(struct buf *out, const struct sim *sim,
                        const struct sim_kucoin_event *event)
{
    bool spot = sim_kucoin_is_spot(sim);
    switch (event->stream) {
    case SIM_KUCOIN_MATCH:
        put_match(out, sim, event);
        break;
    case SIM_KUCOIN_LEVEL1:
        put_level1(out, sim, event);
        break;
    case SIM_KUCOIN_TICKER:
        put_ticker(out, sim, event);
        break;
    case SIM_KUCOIN_LEVEL2:
        (spot ? put_spot_level2 : put_futures_level2)(out, sim, event);
        break;
    case SIM_KUCOIN_DEPTH5:
    case SIM_KUCOIN_DEPTH50:
        put_depth(out, sim, event);
        break;
    case SIM_KUCOIN_SNAPSHOT:
        (spot ? put_spot_snapshot : put_futures_snapshot)(out, sim, event);
        break;
    case SIM_KUCOIN_INSTRUMENT:
        put_instrument(out, sim, event);
        break;
    default:
        put_candle(out, sim, event);
    }
}

void sim_kucoin_put_event(struct buf *out, const struct sim *sim,
                          const struct sim_kucoin_event *event)
{
    const char *trade_type = sim_kucoin_is_spot(sim) ? ".SPOT" : ".FUTURES";
    if (!sim_kucoin_stream_is_unified(event->stream)) {
        put_classic(out, sim, event);
    } else if (event->stream <= SIM_KUCOIN_OBU_50) {
        put_obu(out, trade_type, event);
    } else if (event->stream == SIM_KUCOIN_TRADE) {
        put_unified_trade(out, sim, trade_type, event);
    } else if (event->stream == SIM_KUCOIN_QUOTE) {
        put_quote(out, sim, trade_type, event);
    } else if (event->stream == SIM_KUCOIN_MARK) {
        put_mark(out, event);
    } else if (event->stream == SIM_KUCOIN_FUNDING) {
        put_funding(out, event);
    } else {
        put_kline(out, sim, trade_type, event);
    }
    ASSERT(!out->overflow); /* SIM_TEXT_BYTES holds every level of the deepest book */
}
