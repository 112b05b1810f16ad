/* Stream names and the texts of the venue's events, in the venue's key order (as recorded: the
 * order is what a predicting decoder relies on). Everything is written into the caller's bounded
 * buffer. */
#include "sim/sim_stream.h"

#include <string.h>

#include "base/assert.h"
#include "base/clock.h"

#define E8 100000000LL

static const char *const suffixes[] = {
#define X(kind, suffix, group) suffix,
    SIM_STREAM_LIST(X)
#undef X
};
static const char *const groups[] = {
#define X(kind, suffix, group) group,
    SIM_STREAM_LIST(X)
#undef X
};
static const char *const interval_names[] = {"1s", "1m", "3m", "5m",  "15m", "30m", "1h", "2h",
                                             "4h", "6h", "8h", "12h", "1d",  "3d",  "1w", "1M"};
#define INTERVAL_COUNT 16
#define INTERVAL_WEEK 14
#define INTERVAL_MONTH 15
static const int64_t interval_seconds[INTERVAL_COUNT] = {
    1, 60, 180, 300, 900, 1800, 3600, 7200, 14400, 21600, 28800, 43200, 86400, 259200, 604800, 0};
_Static_assert(SIM_STREAM_COUNT - SIM_KLINE_1S == INTERVAL_COUNT, "one stream per interval");

const char *sim_stream_suffix(enum sim_stream stream)
{
    ASSERT(stream < SIM_STREAM_COUNT);
    return suffixes[stream];
}

const char *sim_stream_group(enum sim_stream stream)
{
    ASSERT(stream < SIM_STREAM_COUNT);
    return groups[stream];
}

int sim_stream_parse(const struct model *model, struct str name, uint32_t *symbol_index)
{
    const char *at = name.bytes == 0 ? NULL : memchr(name.data, '@', name.bytes);
    if (at == NULL) {
        return -1;
    }
    struct str symbol_name = str_make(name.data, (size_t)(at - name.data));
    const struct model_symbol *symbol = model_find(model, symbol_name, true);
    if (symbol == NULL) {
        return -1;
    }
    struct str suffix = str_make(at + 1, name.bytes - symbol_name.bytes - 1);
    for (int i = 0; i < SIM_STREAM_COUNT; i++) {
        if (str_equal(suffix, str_from(suffixes[i]))) {
            *symbol_index = (uint32_t)(symbol - model->symbols);
            return i;
        }
    }
    return -1;
}

int sim_interval_parse(struct str text)
{
    for (int i = 0; i < INTERVAL_COUNT; i++) {
        if (str_equal(text, str_from(interval_names[i]))) {
            return i;
        }
    }
    return -1;
}

const char *sim_interval_name(int interval)
{
    ASSERT(interval >= 0);
    ASSERT(interval < INTERVAL_COUNT);
    return interval_names[interval];
}

int64_t sim_interval_start(int interval, int64_t time_unix_ns)
{
    if (interval == INTERVAL_MONTH) {
        struct clock_utc utc = clock_utc_of(time_unix_ns);
        struct clock_utc first = {.year = utc.year, .month = utc.month, .day = 1};
        return clock_unix_of_utc(&first);
    }
    int64_t length = interval_seconds[interval] * NS_PER_S;
    /* 1970-01-05 was the first Monday. */
    int64_t shift = interval == INTERVAL_WEEK ? 4 * NS_PER_DAY : 0;
    return (time_unix_ns - shift) / length * length + shift;
}

int64_t sim_interval_next(int interval, int64_t start_unix_ns)
{
    if (interval == INTERVAL_MONTH) {
        return sim_interval_start(interval, start_unix_ns + 32 * NS_PER_DAY);
    }
    return start_unix_ns + interval_seconds[interval] * NS_PER_S;
}

void sim_put_time(struct buf *out, int64_t time_unix_ns, bool micro)
{
    buf_put_i64(out, micro ? time_unix_ns / NS_PER_US : time_unix_ns / NS_PER_MS);
}

void sim_put_e8(struct buf *out, int64_t value_e8)
{
    char text[24];
    size_t at = sizeof text;
    uint64_t rest = value_e8 < 0 ? 0 - (uint64_t)value_e8 : (uint64_t)value_e8;
    for (int i = 0; i < 8; i++) {
        text[--at] = (char)('0' + rest % 10);
        rest /= 10;
    }
    text[--at] = '.';
    do {
        text[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value_e8 < 0) {
        text[--at] = '-';
    }
    buf_put(out, text + at, sizeof text - at);
}

void sim_put_e8_member(struct buf *out, const char *key, int64_t value_e8)
{
    buf_printf(out, "\"%s\":\"", key);
    sim_put_e8(out, value_e8);
    buf_put_char(out, '"');
}

#define PUT(out, literal) buf_put(out, literal, sizeof(literal) - 1)

static void put_text(struct buf *out, const char *text)
{
    buf_put(out, text, strlen(text));
}

/* {"e":"<event>","E":<time>,"s":"<symbol>" */
static void put_head(struct buf *out, const char *event, int64_t time_unix_ns,
                     const struct model_symbol *symbol, bool micro)
{
    PUT(out, "{\"e\":\"");
    put_text(out, event);
    PUT(out, "\",\"E\":");
    sim_put_time(out, time_unix_ns, micro);
    PUT(out, ",\"s\":\"");
    put_text(out, symbol->name);
    PUT(out, "\"");
}

/* ,"<key>":<value> and ,"<key>":"<decimal>"; `key` with its comma, quotes and colon. */
static void put_int(struct buf *out, const char *key, int64_t value)
{
    put_text(out, key);
    buf_put_i64(out, value);
}

static void put_e8(struct buf *out, const char *key, int64_t value_e8)
{
    put_text(out, key);
    PUT(out, "\"");
    sim_put_e8(out, value_e8);
    PUT(out, "\"");
}

static void put_time(struct buf *out, const char *key, int64_t time_unix_ns, bool micro)
{
    put_text(out, key);
    sim_put_time(out, time_unix_ns, micro);
}

void sim_put_trade(struct buf *out, const struct model_symbol *symbol,
                   const struct model_trade *trade, bool micro)
{
    put_head(out, "trade", trade->time_unix_ns, symbol, micro);
    put_int(out, ",\"t\":", trade->id);
    put_e8(out, ",\"p\":", trade->price_e8);
    put_e8(out, ",\"q\":", trade->quantity_e8);
    put_time(out, ",\"T\":", trade->time_unix_ns, micro);
    put_text(out, trade->buyer_is_maker ? ",\"m\":true,\"M\":true}" : ",\"m\":false,\"M\":true}");
}

void sim_put_agg(struct buf *out, const struct model_symbol *symbol, const struct model_agg *agg,
                 bool micro)
{
    put_head(out, "aggTrade", agg->time_unix_ns, symbol, micro);
    put_int(out, ",\"a\":", agg->id);
    put_e8(out, ",\"p\":", agg->price_e8);
    put_e8(out, ",\"q\":", agg->quantity_e8);
    put_int(out, ",\"f\":", agg->first_id);
    put_int(out, ",\"l\":", agg->last_id);
    put_time(out, ",\"T\":", agg->time_unix_ns, micro);
    put_text(out, agg->buyer_is_maker ? ",\"m\":true,\"M\":true}" : ",\"m\":false,\"M\":true}");
}

void sim_put_book_ticker(struct buf *out, const struct model_book *book)
{
    struct model_level bid = model_book_level(book, book->mid - 1);
    struct model_level ask = model_book_level(book, book->mid);
    put_int(out, "{\"u\":", book->symbol->update_id0 + book->update);
    PUT(out, ",\"s\":\"");
    put_text(out, book->symbol->name);
    PUT(out, "\"");
    put_e8(out, ",\"b\":", bid.price_e8);
    put_e8(out, ",\"B\":", bid.quantity_e8);
    put_e8(out, ",\"a\":", ask.price_e8);
    put_e8(out, ",\"A\":", ask.quantity_e8);
    PUT(out, "}");
}

static void put_levels(struct buf *out, const char *key, const struct model_level *levels,
                       uint32_t count)
{
    put_text(out, key);
    PUT(out, "[");
    for (uint32_t i = 0; i < count; i++) {
        put_text(out, i == 0 ? "[\"" : ",[\"");
        sim_put_e8(out, levels[i].price_e8);
        PUT(out, "\",\"");
        sim_put_e8(out, levels[i].quantity_e8);
        PUT(out, "\"]");
    }
    PUT(out, "]");
}

void sim_put_depth_update(struct buf *out, const struct model_symbol *symbol, int64_t first_id,
                          int64_t last_id, int64_t time_unix_ns, const struct sim_levels *levels,
                          bool micro)
{
    put_head(out, "depthUpdate", time_unix_ns, symbol, micro);
    put_int(out, ",\"U\":", first_id);
    put_int(out, ",\"u\":", last_id);
    put_levels(out, ",\"b\":", levels->bids, levels->bid_count);
    put_levels(out, ",\"a\":", levels->asks, levels->ask_count);
    PUT(out, "}");
}

void sim_put_depth_book(struct buf *out, int64_t last_id, const struct sim_levels *levels)
{
    put_int(out, "{\"lastUpdateId\":", last_id);
    put_levels(out, ",\"bids\":", levels->bids, levels->bid_count);
    put_levels(out, ",\"asks\":", levels->asks, levels->ask_count);
    PUT(out, "}");
}

void sim_put_kline(struct buf *out, const struct model_symbol *symbol, int interval,
                   int64_t time_unix_ns, bool closed, bool micro)
{
    int64_t start = sim_interval_start(interval, closed ? time_unix_ns - 1 : time_unix_ns);
    int64_t next = sim_interval_next(interval, start);
    struct model_window w;
    model_window(symbol, start, closed ? next : time_unix_ns + 1, MODEL_SCAN_BLOCKS, &w);
    if (w.count == 0) {
        w.open_e8 = w.high_e8 = w.low_e8 = w.close_e8 = w.before_e8;
    }
    put_head(out, "kline", time_unix_ns, symbol, micro);
    put_time(out, ",\"k\":{\"t\":", start, micro);
    put_time(out, ",\"T\":", next - (micro ? NS_PER_US : NS_PER_MS), micro);
    PUT(out, ",\"s\":\"");
    put_text(out, symbol->name);
    PUT(out, "\",\"i\":\"");
    put_text(out, interval_names[interval]);
    put_int(out, "\",\"f\":", w.first_id);
    put_int(out, ",\"L\":", w.last_id);
    put_e8(out, ",\"o\":", w.open_e8);
    put_e8(out, ",\"c\":", w.close_e8);
    put_e8(out, ",\"h\":", w.high_e8);
    put_e8(out, ",\"l\":", w.low_e8);
    put_e8(out, ",\"v\":", w.volume_e8);
    put_int(out, ",\"n\":", w.count);
    put_text(out, closed ? ",\"x\":true" : ",\"x\":false");
    put_e8(out, ",\"q\":", w.quote_e8);
    put_e8(out, ",\"V\":", w.taker_volume_e8);
    put_e8(out, ",\"Q\":", w.taker_quote_e8);
    PUT(out, ",\"B\":\"0\"}}");
}

/* Percent with three decimals, as the venue prints it. */
static void put_percent(struct buf *out, int64_t change_e8, int64_t open_e8)
{
    int64_t thousandths = open_e8 == 0 ? 0 : change_e8 * 100000 / open_e8;
    uint64_t rest = thousandths < 0 ? (uint64_t)-thousandths : (uint64_t)thousandths;
    PUT(out, ",\"P\":\"");
    buf_printf(out, "%s%llu.%03llu\"", thousandths < 0 ? "-" : "",
               (unsigned long long)(rest / 1000), (unsigned long long)(rest % 1000));
}

static int64_t weighted_average(const struct model_window *w)
{
    __extension__ typedef __int128 wide;
    return w->volume_e8 == 0 ? 0 : (int64_t)((wide)w->quote_e8 * E8 / w->volume_e8);
}

void sim_put_ticker(struct buf *out, const struct model_book *book, int64_t time_unix_ns,
                    bool micro)
{
    const struct model_symbol *symbol = book->symbol;
    struct model_window w;
    model_window(symbol, time_unix_ns - NS_PER_DAY, time_unix_ns + 1, MODEL_SCAN_BLOCKS_DAY, &w);
    struct model_level bid = model_book_level(book, book->mid - 1);
    struct model_level ask = model_book_level(book, book->mid);
    put_head(out, "24hrTicker", time_unix_ns, symbol, micro);
    put_e8(out, ",\"p\":", w.close_e8 - w.open_e8);
    put_percent(out, w.close_e8 - w.open_e8, w.open_e8);
    put_e8(out, ",\"w\":", weighted_average(&w));
    put_e8(out, ",\"x\":", w.before_e8);
    put_e8(out, ",\"c\":", w.close_e8);
    put_e8(out, ",\"Q\":", w.last_quantity_e8);
    put_e8(out, ",\"b\":", bid.price_e8);
    put_e8(out, ",\"B\":", bid.quantity_e8);
    put_e8(out, ",\"a\":", ask.price_e8);
    put_e8(out, ",\"A\":", ask.quantity_e8);
    put_e8(out, ",\"o\":", w.open_e8);
    put_e8(out, ",\"h\":", w.high_e8);
    put_e8(out, ",\"l\":", w.low_e8);
    put_e8(out, ",\"v\":", w.volume_e8);
    put_e8(out, ",\"q\":", w.quote_e8);
    put_time(out, ",\"O\":", time_unix_ns - NS_PER_DAY, micro);
    put_time(out, ",\"C\":", time_unix_ns, micro);
    put_int(out, ",\"F\":", w.first_id);
    put_int(out, ",\"L\":", w.last_id);
    put_int(out, ",\"n\":", w.count);
    PUT(out, "}");
}

void sim_put_mini_ticker(struct buf *out, const struct model_symbol *symbol, int64_t time_unix_ns,
                         bool micro)
{
    struct model_window w;
    model_window(symbol, time_unix_ns - NS_PER_DAY, time_unix_ns + 1, MODEL_SCAN_BLOCKS_DAY, &w);
    put_head(out, "24hrMiniTicker", time_unix_ns, symbol, micro);
    put_e8(out, ",\"c\":", w.close_e8);
    put_e8(out, ",\"o\":", w.open_e8);
    put_e8(out, ",\"h\":", w.high_e8);
    put_e8(out, ",\"l\":", w.low_e8);
    put_e8(out, ",\"v\":", w.volume_e8);
    put_e8(out, ",\"q\":", w.quote_e8);
    PUT(out, "}");
}
