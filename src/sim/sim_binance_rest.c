/* Binance spot's REST: its public market data, from the same model as the streams, with
 * request weights, limits and the venue's error bodies. Short answers are written into one scratch
 * body; exchangeInfo and tickers of all symbols are made piece by piece (chunked) as the send
 * buffer empties, so that an answer of many megabytes needs no memory. Source:
 * exchanges/binance-spot.md section 6. */
#include "sim/sim_binance.h"
#include "sim/sim_stream.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

#define PIECE_BYTES 32768 /* of a chunked answer: room in the send buffer for one more */
#define VALUE_BYTES 1024
#define SYMBOLS_ASKED_MAX 100

enum { REPLY_EXCHANGE_INFO = 1, REPLY_TICKERS };

struct ask {
    struct sim *sim;
    struct sim_conn *conn;
    struct str query;
    bool micro;
    int64_t time_unix_ns; /* the answer's moment: now, or earlier (fault rest_lag) */
    struct buf *out;
};

static void answer_error(struct sim_conn *conn, int status, int code, const char *message,
                         int64_t retry_after_s)
{
    char text[512];
    int n = snprintf(text, sizeof text, "{\"code\":%d,\"msg\":\"%s\"}", code, message);
    ASSERT(n > 0);
    ASSERT((size_t)n < sizeof text);
    sim_rest_answer(conn, status, str_make(text, (size_t)n), retry_after_s);
}

/* ---- parameters. Each returns -1 when it has answered with an error. */

static int bad_parameter(struct ask *ask, const char *name)
{
    char message[160];
    snprintf(message, sizeof message, "Illegal characters found in parameter '%s'.", name);
    answer_error(ask->conn, 400, -1100, message, -1);
    return -1;
}

/* 1 = given, 0 = not. */
static int take_number(struct ask *ask, const char *name, int64_t *value)
{
    char text[32];
    struct buf out = buf_over(text, sizeof text);
    int found = sim_request_query(ask->query, name, &out);
    if (found == 0) {
        return 0;
    }
    int64_t number = 0;
    bool good = found > 0 && out.bytes > 0 && out.bytes <= 18;
    for (size_t i = 0; i < out.bytes && good; i++) {
        good = text[i] >= '0' && text[i] <= '9';
        number = number * 10 + (text[i] - '0');
    }
    if (!good) {
        return bad_parameter(ask, name);
    }
    *value = number;
    return 1;
}

static int take_limit(struct ask *ask, int64_t standard, int64_t most, uint32_t *limit)
{
    int64_t value = standard;
    if (take_number(ask, "limit", &value) < 0) {
        return -1;
    }
    if (value < 1) {
        answer_error(ask->conn, 400, -1128, "Invalid limit.", -1);
        return -1;
    }
    *limit = (uint32_t)(value > most ? most : value);
    return 0;
}

/* 1 = one symbol, 0 = none given. */
static int take_symbol(struct ask *ask, uint32_t *index)
{
    char text[VALUE_BYTES];
    struct buf out = buf_over(text, sizeof text);
    int found = sim_request_query(ask->query, "symbol", &out);
    if (found == 0) {
        return 0;
    }
    if (found < 0 || out.bytes == 0) {
        return bad_parameter(ask, "symbol");
    }
    const struct model_symbol *symbol = model_find(&ask->sim->model, buf_view(&out), false);
    if (symbol == NULL) {
        answer_error(ask->conn, 400, -1121, "Invalid symbol.", -1);
        return -1;
    }
    *index = (uint32_t)(symbol - ask->sim->model.symbols);
    return 1;
}

static int need_symbol(struct ask *ask, uint32_t *index)
{
    int found = take_symbol(ask, index);
    if (found == 0) {
        answer_error(ask->conn, 400, -1102,
                     "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
                     -1);
        return -1;
    }
    return found < 0 ? -1 : 0;
}

/* symbols=["A","B"]: how many, 0 = not given. */
static int take_symbols(struct ask *ask, uint32_t *indexes, uint32_t most)
{
    struct buf out = buf_over(ask->sim->body, SIM_REQUEST_BYTES_MAX);
    int found = sim_request_query(ask->query, "symbols", &out);
    if (found == 0) {
        return 0;
    }
    uint32_t count = 0;
    const char *at = out.data;
    const char *end = at + out.bytes;
    if (found < 0 || out.bytes < 2 || *at != '[' || end[-1] != ']') {
        return bad_parameter(ask, "symbols");
    }
    for (at++, end--; at < end;) {
        const char *close = *at == '"' ? memchr(at + 1, '"', (size_t)(end - at - 1)) : NULL;
        if (close == NULL || count == most || (close + 1 < end && close[1] != ',')) {
            return bad_parameter(ask, "symbols");
        }
        const struct model_symbol *symbol =
            model_find(&ask->sim->model, str_make(at + 1, (size_t)(close - at - 1)), false);
        if (symbol == NULL) {
            answer_error(ask->conn, 400, -1121, "Invalid symbol.", -1);
            return -1;
        }
        indexes[count++] = (uint32_t)(symbol - ask->sim->model.symbols);
        at = close + 2;
    }
    return count == 0 ? bad_parameter(ask, "symbols") : (int)count;
}

static bool query_is(struct ask *ask, const char *name, const char *expected)
{
    char text[VALUE_BYTES];
    struct buf out = buf_over(text, sizeof text);
    return sim_request_query(ask->query, name, &out) > 0 &&
           str_equal(buf_view(&out), str_from(expected));
}

static bool is_futures(const struct sim *sim)
{
    return sim->exchange->venue == VENUE_BINANCE_FUTURES;
}

/* ---- exchangeInfo */

static void put_info(struct sim *sim, struct buf *out, uint32_t index, bool permission_sets)
{
    const struct model_symbol *symbol = &sim->model.symbols[index];
    bool halted = sim_listing_of(sim, index) == SIM_HALTED;
    if (is_futures(sim)) {
        sim_info_put_contract(out, symbol, halted);
    } else {
        sim_info_put_symbol(out, symbol, halted, permission_sets);
    }
}

static void get_exchange_info(struct ask *ask)
{
    uint32_t symbols[SYMBOLS_ASKED_MAX];
    uint32_t one;
    bool sets = !query_is(ask, "showPermissionSets", "false");
    int single = take_symbol(ask, &one);
    int count = single < 0 ? -1 : take_symbols(ask, symbols, SYMBOLS_ASKED_MAX);
    if (single < 0 || count < 0) {
        return;
    }
    if (single == 0 && count == 0) {
        ask->conn->reply =
            (struct sim_reply){.kind = REPLY_EXCHANGE_INFO,
                               .first = true,
                               .permission_sets = sets,
                               .trading_only = query_is(ask, "symbolStatus", "TRADING"),
                               .micro = ask->micro};
        sim_rest_head(ask->conn, 200, -1, -1);
        return;
    }
    sim_info_put_head(ask->out, ask->sim, ask->micro);
    if (single == 1) {
        symbols[0] = one;
        count = 1;
    }
    for (int i = 0; i < count; i++) {
        buf_put(ask->out, ",", i > 0);
        put_info(ask->sim, ask->out, symbols[i], sets);
    }
    buf_printf(ask->out, "]}");
}

/* ---- books, trades, candles */

static uint32_t depth_weight(uint32_t limit, bool futures)
{
    if (futures) {
        return limit <= 50 ? 2 : limit <= 100 ? 5 : limit <= 500 ? 10 : 20;
    }
    return limit <= 100 ? 5 : limit <= 500 ? 25 : limit <= 1000 ? 50 : 250;
}

static void get_depth(struct ask *ask)
{
    uint32_t index;
    uint32_t limit;
    if (need_symbol(ask, &index) < 0 || take_limit(ask, 100, 5000, &limit) < 0) {
        return;
    }
    struct sim *sim = ask->sim;
    struct model_book built;
    const struct model_book *book = sim_feed_book(sim, index, ask->time_unix_ns, &built);
    struct sim_levels levels = {.bids = sim->bids, .asks = sim->asks};
    levels.bid_count = model_book_bids(book, sim->bids, limit);
    levels.ask_count = model_book_asks(book, sim->asks, limit);
    if (!is_futures(sim)) {
        sim_put_depth_book(ask->out, book->symbol->update_id0 + book->update, &levels);
        return;
    }
    sim_put_depth_book(ask->out, sim_binance_futures_update_id(book->symbol, book->update),
                       &levels);
    ask->out->bytes--; /* two members more than spot */
    buf_printf(ask->out, ",\"E\":%lld,\"T\":%lld}", (long long)(ask->time_unix_ns / NS_PER_MS),
               (long long)(ask->time_unix_ns / NS_PER_MS));
}

/* Contracts held: it rises by one with each taker order of the last while. */
static void get_open_interest(struct ask *ask)
{
    uint32_t index;
    if (need_symbol(ask, &index) < 0) {
        return;
    }
    const struct model_symbol *symbol = &ask->sim->model.symbols[index];
    buf_printf(ask->out, "{\"openInterest\":\"%lld.500\",\"symbol\":\"%s\",\"time\":%lld}",
               (long long)(1000 + model_aggs_until(symbol, ask->time_unix_ns) % 100000),
               symbol->name, (long long)(ask->time_unix_ns / NS_PER_MS));
}

/* The id of trade k: futures count placeholders too, which REST does not give. */
static int64_t trade_id(const struct sim *sim, const struct model_symbol *symbol, int64_t k)
{
    return is_futures(sim) ? sim_binance_futures_trade_id(symbol, k) : symbol->trade_id0 + k;
}

static void put_rest_trade(struct buf *out, int64_t id, const struct model_trade *trade, bool micro)
{
    buf_printf(out, "{\"id\":%lld,", (long long)id);
    sim_put_e8_member(out, "price", trade->price_e8);
    buf_put_char(out, ',');
    sim_put_e8_member(out, "qty", trade->quantity_e8);
    buf_put_char(out, ',');
    sim_put_e8_member(out, "quoteQty", model_quote_e8(trade->price_e8, trade->quantity_e8));
    buf_printf(out, ",\"time\":");
    sim_put_time(out, trade->time_unix_ns, micro);
    buf_printf(out, ",\"isBuyerMaker\":%s,\"isBestMatch\":true}",
               trade->buyer_is_maker ? "true" : "false");
}

/* Trades [from, end) by index, at most `limit`. */
static void put_trades(struct ask *ask, const struct model_symbol *symbol, int64_t from,
                       int64_t end)
{
    buf_put_char(ask->out, '[');
    for (int64_t i = from; i < end; i++) {
        struct model_trade trade = model_trade_at(symbol, i);
        buf_put(ask->out, ",", i > from);
        put_rest_trade(ask->out, trade_id(ask->sim, symbol, i), &trade, ask->micro);
    }
    buf_put_char(ask->out, ']');
}

static void get_trades(struct ask *ask)
{
    uint32_t index;
    uint32_t limit;
    int64_t from_id = -1;
    if (need_symbol(ask, &index) < 0 || take_limit(ask, 500, 1000, &limit) < 0 ||
        take_number(ask, "fromId", &from_id) < 0) {
        return;
    }
    const struct model_symbol *symbol = &ask->sim->model.symbols[index];
    int64_t end = model_trades_until(symbol, ask->time_unix_ns);
    int64_t from = end > limit ? end - limit : 0;
    if (from_id >= 0 && !is_futures(ask->sim)) { /* theirs wants a key */
        from = from_id > symbol->trade_id0 ? from_id - symbol->trade_id0 : 0;
        from = from > end ? end : from;
        end = end - from > limit ? from + limit : end;
    }
    put_trades(ask, symbol, from, end);
}

static void put_rest_agg(const struct ask *ask, const struct model_symbol *symbol,
                         const struct model_agg *agg)
{
    struct buf *out = ask->out;

    buf_printf(out, "{\"a\":%lld,", (long long)agg->id);
    sim_put_e8_member(out, "p", agg->price_e8);
    buf_put_char(out, ',');
    sim_put_e8_member(out, "q", agg->quantity_e8);
    buf_printf(out, ",\"f\":%lld,\"l\":%lld,\"T\":",
               (long long)trade_id(ask->sim, symbol, agg->first_id - symbol->trade_id0),
               (long long)trade_id(ask->sim, symbol, agg->last_id - symbol->trade_id0));
    sim_put_time(out, agg->time_unix_ns, ask->micro);
    buf_printf(out, ",\"m\":%s,\"M\":true}", agg->buyer_is_maker ? "true" : "false");
}

/* startTime, endTime: milliseconds, or microseconds when they are that large. */
static int64_t asked_time(int64_t value)
{
    if (value > INT64_MAX / NS_PER_MS) {
        return value > INT64_MAX / NS_PER_US ? INT64_MAX : value * NS_PER_US;
    }
    return value * NS_PER_MS;
}

static void get_agg_trades(struct ask *ask)
{
    uint32_t index;
    uint32_t limit;
    int64_t from_id = -1;
    int64_t start = -1;
    int64_t stop = -1;
    if (need_symbol(ask, &index) < 0 || take_limit(ask, 500, 1000, &limit) < 0 ||
        take_number(ask, "fromId", &from_id) < 0 || take_number(ask, "startTime", &start) < 0 ||
        take_number(ask, "endTime", &stop) < 0) {
        return;
    }
    const struct model_symbol *symbol = &ask->sim->model.symbols[index];
    int64_t end = model_aggs_until(symbol, ask->time_unix_ns);
    if (stop >= 0 && asked_time(stop) < ask->time_unix_ns) {
        end = model_aggs_until(symbol, asked_time(stop) + NS_PER_MS - 1);
    }
    int64_t from = end > limit ? end - limit : 0;
    if (from_id >= 0) {
        from = from_id > symbol->agg_id0 ? from_id - symbol->agg_id0 : 0;
    } else if (start >= 0) {
        from = model_aggs_until(symbol, asked_time(start) - 1);
    }
    from = from > end ? end : from;
    end = end - from > limit ? from + limit : end;
    buf_put_char(ask->out, '[');
    for (int64_t i = from; i < end; i++) {
        struct model_agg agg = model_agg_at(symbol, i);
        buf_put(ask->out, ",", i > from);
        put_rest_agg(ask, symbol, &agg);
    }
    buf_put_char(ask->out, ']');
}

static void put_rest_kline(struct buf *out, const struct model_window *w, int64_t start,
                           int64_t next, bool micro)
{
    const int64_t prices[4] = {w->open_e8, w->high_e8, w->low_e8, w->close_e8};
    buf_put_char(out, '[');
    sim_put_time(out, start, micro);
    for (int i = 0; i < 5; i++) {
        buf_put(out, ",\"", 2);
        sim_put_e8(out, i == 4 ? w->volume_e8 : w->count == 0 ? w->before_e8 : prices[i]);
        buf_put_char(out, '"');
    }
    buf_put_char(out, ',');
    sim_put_time(out, next - (micro ? NS_PER_US : NS_PER_MS), micro);
    buf_put(out, ",\"", 2);
    sim_put_e8(out, w->quote_e8);
    buf_printf(out, "\",%lld,\"", (long long)w->count);
    sim_put_e8(out, w->taker_volume_e8);
    buf_put(out, "\",\"", 3);
    sim_put_e8(out, w->taker_quote_e8);
    buf_printf(out, "\",\"0\"]");
}

static void get_klines(struct ask *ask)
{
    uint32_t index;
    uint32_t limit;
    int64_t start = -1;
    int64_t stop = -1;
    char text[16];
    struct buf interval_text = buf_over(text, sizeof text);
    if (need_symbol(ask, &index) < 0 || take_limit(ask, 500, 1000, &limit) < 0 ||
        take_number(ask, "startTime", &start) < 0 || take_number(ask, "endTime", &stop) < 0) {
        return;
    }
    int found = sim_request_query(ask->query, "interval", &interval_text);
    int interval = found > 0 ? sim_interval_parse(buf_view(&interval_text)) : -1;
    if (interval < 0) {
        answer_error(ask->conn, 400, -1120, "Invalid interval.", -1);
        return;
    }
    const struct model_symbol *symbol = &ask->sim->model.symbols[index];
    int64_t end = ask->time_unix_ns;
    end = stop >= 0 && asked_time(stop) < end ? asked_time(stop) : end;
    int64_t at = start >= 0 ? asked_time(start) : MODEL_EPOCH_UNIX_NS;
    at = at < MODEL_EPOCH_UNIX_NS ? MODEL_EPOCH_UNIX_NS : at;
    if (start < 0) { /* the last `limit` candles */
        int64_t length = sim_interval_next(interval, sim_interval_start(interval, end)) -
                         sim_interval_start(interval, end);
        at = (end - at) / length > limit ? end - length * (limit - 1) : at;
    }
    int64_t open = sim_interval_start(interval, at);
    open = open < at && start >= 0 ? sim_interval_next(interval, open) : open;
    /* The more candles in one answer, the fewer blocks each, so that none takes long. */
    uint32_t scan = limit <= 20 ? MODEL_SCAN_BLOCKS : MODEL_SCAN_BLOCKS_DAY;
    buf_put_char(ask->out, '[');
    for (uint32_t i = 0; i < limit && open <= end; i++) {
        struct model_window w;
        int64_t next = sim_interval_next(interval, open);
        int64_t until = next < ask->time_unix_ns + 1 ? next : ask->time_unix_ns + 1;
        model_window(symbol, open, until, scan, &w);
        buf_put(ask->out, ",", i > 0);
        put_rest_kline(ask->out, &w, open, next, ask->micro);
        open = next;
    }
    buf_put_char(ask->out, ']');
}

/* ---- tickers */

static void put_ticker_24h(struct buf *out, const struct model_book *book, int64_t time_unix_ns,
                           bool micro)
{
    struct model_window w;
    model_window(book->symbol, time_unix_ns - NS_PER_DAY, time_unix_ns + 1, MODEL_SCAN_BLOCKS_DAY,
                 &w);
    struct model_level bid = model_book_level(book, book->mid - 1);
    struct model_level ask = model_book_level(book, book->mid);
    int64_t change = w.close_e8 - w.open_e8;
    double percent = w.open_e8 == 0 ? 0 : 100.0 * (double)change / (double)w.open_e8;
    double average = w.volume_e8 == 0 ? 0 : (double)w.quote_e8 / (double)w.volume_e8;
    const struct {
        const char *key;
        int64_t value;
    } rows[] = {
        {"prevClosePrice", w.before_e8}, {"lastPrice", w.close_e8},
        {"lastQty", w.last_quantity_e8}, {"bidPrice", bid.price_e8},
        {"bidQty", bid.quantity_e8},     {"askPrice", ask.price_e8},
        {"askQty", ask.quantity_e8},     {"openPrice", w.open_e8},
        {"highPrice", w.high_e8},        {"lowPrice", w.low_e8},
        {"volume", w.volume_e8},         {"quoteVolume", w.quote_e8},
    };
    buf_printf(out, "{\"symbol\":\"%s\",", book->symbol->name);
    sim_put_e8_member(out, "priceChange", change);
    buf_printf(out, ",\"priceChangePercent\":\"%.3f\",\"weightedAvgPrice\":\"%.8f\"", percent,
               average);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        buf_put_char(out, ',');
        sim_put_e8_member(out, rows[i].key, rows[i].value);
    }
    buf_printf(out, ",\"openTime\":");
    sim_put_time(out, time_unix_ns - NS_PER_DAY, micro);
    buf_printf(out, ",\"closeTime\":");
    sim_put_time(out, time_unix_ns, micro);
    buf_printf(out, ",\"firstId\":%lld,\"lastId\":%lld,\"count\":%lld}", (long long)w.first_id,
               (long long)w.last_id, (long long)w.count);
}

/* The best prices alone need no book to be built. */
static void put_ticker_book(struct buf *out, const struct model_book *book)
{
    struct model_level bid = model_book_level(book, book->mid - 1);
    struct model_level ask = model_book_level(book, book->mid);
    buf_printf(out, "{\"symbol\":\"%s\",", book->symbol->name);
    sim_put_e8_member(out, "bidPrice", bid.price_e8);
    buf_put_char(out, ',');
    sim_put_e8_member(out, "bidQty", bid.quantity_e8);
    buf_put_char(out, ',');
    sim_put_e8_member(out, "askPrice", ask.price_e8);
    buf_put_char(out, ',');
    sim_put_e8_member(out, "askQty", ask.quantity_e8);
    buf_put_char(out, '}');
}

static void put_ticker(struct sim *sim, struct buf *out, int which, uint32_t index,
                       int64_t time_unix_ns, bool micro)
{
    const struct model_symbol *symbol = &sim->model.symbols[index];
    struct model_book built;
    if (which == 1) {
        int64_t trades = model_trades_until(symbol, time_unix_ns);
        buf_printf(out, "{\"symbol\":\"%s\",", symbol->name);
        sim_put_e8_member(out, "price",
                          trades == 0 ? 0 : model_trade_at(symbol, trades - 1).price_e8);
        buf_put_char(out, '}');
        return;
    }
    const struct model_book *book = sim_feed_book(sim, index, time_unix_ns, &built);
    if (which == 2) {
        put_ticker_book(out, book);
    } else {
        put_ticker_24h(out, book, time_unix_ns, micro);
    }
}

static void get_ticker(struct ask *ask, int which)
{
    uint32_t symbols[SYMBOLS_ASKED_MAX];
    uint32_t one;
    int single = take_symbol(ask, &one);
    int count = single < 0 ? -1 : take_symbols(ask, symbols, SYMBOLS_ASKED_MAX);
    if (single < 0 || count < 0) {
        return;
    }
    if (single == 1) {
        put_ticker(ask->sim, ask->out, which, one, ask->time_unix_ns, ask->micro);
        return;
    }
    if (count == 0) {
        ask->conn->reply = (struct sim_reply){.kind = REPLY_TICKERS,
                                              .first = true,
                                              .ticker = which,
                                              .micro = ask->micro,
                                              .time_unix_ns = ask->time_unix_ns};
        sim_rest_head(ask->conn, 200, -1, -1);
        return;
    }
    for (int i = 0; i < count; i++) {
        buf_put(ask->out, i == 0 ? "[" : ",", 1);
        put_ticker(ask->sim, ask->out, which, symbols[i], ask->time_unix_ns, ask->micro);
    }
    buf_put_char(ask->out, ']');
}

static void get_ticker_24h(struct ask *ask)
{
    get_ticker(ask, 0);
}

static void get_ticker_price(struct ask *ask)
{
    get_ticker(ask, 1);
}

static void get_ticker_book(struct ask *ask)
{
    get_ticker(ask, 2);
}

static void get_average(struct ask *ask)
{
    uint32_t index;
    if (need_symbol(ask, &index) < 0) {
        return;
    }
    struct model_window w;
    model_window(&ask->sim->model.symbols[index], ask->time_unix_ns - 300 * NS_PER_S,
                 ask->time_unix_ns + 1, MODEL_SCAN_BLOCKS, &w);
    double average =
        w.volume_e8 == 0 ? (double)w.before_e8 / 1e8 : (double)w.quote_e8 / (double)w.volume_e8;
    buf_printf(ask->out, "{\"mins\":5,\"price\":\"%.8f\",\"closeTime\":", average);
    sim_put_time(ask->out, ask->time_unix_ns, ask->micro);
    buf_put_char(ask->out, '}');
}

static void get_ping(struct ask *ask)
{
    buf_put(ask->out, "{}", 2);
}

static void get_time(struct ask *ask)
{
    buf_printf(ask->out, "{\"serverTime\":");
    sim_put_time(ask->out, ask->sim->now_unix_ns, ask->micro);
    buf_put_char(ask->out, '}');
}

/* ---- dispatch */

static const struct endpoint {
    const char *path;
    uint32_t weight;      /* for one symbol */
    uint32_t weight_many; /* for several or all; 0 = as for one */
    void (*get)(struct ask *ask);
} endpoints[] = {
    {"/api/v3/ping", 1, 0, get_ping},
    {"/api/v3/time", 1, 0, get_time},
    {"/api/v3/exchangeInfo", 20, 0, get_exchange_info},
    {"/api/v3/depth", 5, 0, get_depth},
    {"/api/v3/trades", 25, 0, get_trades},
    {"/api/v3/historicalTrades", 25, 0, get_trades},
    {"/api/v3/aggTrades", 4, 0, get_agg_trades},
    {"/api/v3/klines", 2, 0, get_klines},
    {"/api/v3/uiKlines", 2, 0, get_klines},
    {"/api/v3/avgPrice", 2, 0, get_average},
    {"/api/v3/ticker/24hr", 2, 80, get_ticker_24h},
    {"/api/v3/ticker/price", 2, 4, get_ticker_price},
    {"/api/v3/ticker/bookTicker", 2, 4, get_ticker_book},
    {"/fapi/v1/ping", 1, 0, get_ping},
    {"/fapi/v1/time", 1, 0, get_time},
    {"/fapi/v1/exchangeInfo", 1, 0, get_exchange_info},
    {"/fapi/v1/depth", 20, 0, get_depth},
    {"/fapi/v1/openInterest", 1, 0, get_open_interest},
    {"/fapi/v1/trades", 5, 0, get_trades},
    {"/fapi/v1/aggTrades", 20, 0, get_agg_trades},
    {"/fapi/v1/ticker/24hr", 1, 40, get_ticker_24h},
    {"/fapi/v1/ticker/price", 1, 2, get_ticker_price},
    {"/fapi/v1/ticker/bookTicker", 2, 5, get_ticker_book},
};

static uint32_t weight_of(const struct endpoint *endpoint, struct str query, bool futures)
{
    char text[32];
    struct buf out = buf_over(text, sizeof text);
    if (endpoint->get == get_depth) {
        int64_t limit = 0;
        int found = sim_request_query(query, "limit", &out);
        for (size_t i = 0; found > 0 && i < out.bytes && limit < 100000; i++) {
            limit = limit * 10 + (text[i] >= '0' && text[i] <= '9' ? text[i] - '0' : 0);
        }
        return depth_weight(found > 0 ? (uint32_t)limit : futures ? 500 : 100, futures);
    }
    bool one = sim_request_query(query, "symbol", &out) != 0;
    return one || endpoint->weight_many == 0 ? endpoint->weight : endpoint->weight_many;
}

/* True when the request is to be answered; else it has been. */
static bool weight_allows(struct sim_conn *conn, uint32_t weight)
{
    struct sim *sim = conn->sim;
    bool was_limited = sim->now_mono_ns < conn->address->retry_mono_ns ||
                       sim->now_mono_ns < conn->address->ban_mono_ns;
    struct sim_weight_verdict verdict =
        sim_limits_weight(conn->address, &sim->config.limits, weight, sim->now_mono_ns);
    if (verdict.status == 200) {
        return true;
    }
    sim_violate(sim, was_limited ? SIM_BROKE_RETRY_AFTER : SIM_BROKE_WEIGHT);
    sim->counters[verdict.status == 429 ? SIM_COUNT_RATE_LIMITED : SIM_COUNT_BANNED]++;
    char message[256];
    snprintf(
        message, sizeof message,
        verdict.status == 429
            ? "Too much request weight used; current limit is %lld request weight per 1 MINUTE."
              " Please use WebSocket Streams for live updates to avoid polling the API."
            : "Way too much request weight used; IP banned until %lld. Please use WebSocket "
              "Streams for live updates to avoid bans.",
        verdict.status == 429
            ? (long long)sim->config.limits.weight
            : (long long)(sim->now_unix_ns / NS_PER_MS + verdict.retry_after_s * 1000));
    answer_error(conn, verdict.status, -1003, message, verdict.retry_after_s);
    return false;
}

/* The venue's body for a status that is scripted. */
static void error_body(struct sim_conn *conn, int status, int64_t retry_after_s)
{
    bool limited = status == 429 || status == 418;
    answer_error(conn, status, limited ? -1003 : -1000, "scripted fault", retry_after_s);
}

static void endpoint_answer(struct sim_conn *conn, const struct endpoint *endpoint,
                            const struct sim_request *request, struct str path)
{
    struct sim *sim = conn->sim;
    struct buf out = buf_over(sim->body, SIM_TEXT_BYTES);
    struct ask ask = {.sim = sim,
                      .conn = conn,
                      .query = request->query,
                      .micro = request->microseconds,
                      .time_unix_ns = sim_rest_moment(sim, path),
                      .out = &out};
    size_t before = conn->out_bytes;
    if (sim->replay == NULL || !sim_replay_rest(sim, path, request->query, &out)) {
        endpoint->get(&ask);
    }
    if (conn->out_bytes != before || conn->reply.kind != SIM_REPLY_NONE ||
        conn->state != SIM_CONN_HTTP) {
        return; /* an error was answered, or pieces will follow */
    }
    sim_rest_answer_body(conn, path, &out);
}

bool sim_binance_rest(struct sim_conn *conn, const struct sim_request *request, struct str path)
{
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0] && !request->post; i++) {
        bool futures = endpoints[i].path[1] == 'f';
        if (futures != is_futures(conn->sim) || !str_equal(path, str_from(endpoints[i].path))) {
            continue;
        }
        if (sim_rest_delayed(conn, path)) {
            return true;
        }
        conn->sim->counters[SIM_COUNT_REQUESTS]++;
        if (weight_allows(conn, weight_of(&endpoints[i], request->query, is_futures(conn->sim))) &&
            !sim_rest_status_fault(conn, path, error_body)) {
            endpoint_answer(conn, &endpoints[i], request, path);
        }
        return true;
    }
    return false;
}

void sim_binance_rest_head(const struct sim_conn *conn, struct buf *out)
{
    if (conn->address != NULL) {
        buf_printf(out, "x-mbx-used-weight: %u\r\nx-mbx-used-weight-1m: %u\r\n",
                   conn->address->weight_used, conn->address->weight_used);
    }
}

/* ---- long answers */

static bool reply_includes(const struct sim *sim, const struct sim_reply *reply, uint32_t index)
{
    enum sim_listing listing = sim_listing_of(sim, index);
    bool trading = listing == SIM_TRADES;
    return listing != SIM_HIDDEN &&
           (trading || (reply->kind == REPLY_EXCHANGE_INFO && !reply->trading_only));
}

/* One piece; the last one ends the list. */
void sim_binance_rest_piece(struct sim *sim, struct sim_reply *reply, struct buf *out)
{
    if (reply->next == 0 && reply->kind == REPLY_EXCHANGE_INFO) {
        sim_info_put_head(out, sim, reply->micro);
    } else if (reply->next == 0) {
        buf_put_char(out, '[');
    }
    while (reply->next < sim->model.count && out->bytes < PIECE_BYTES - 8192) {
        uint32_t index = reply->next++;
        if (!reply_includes(sim, reply, index)) {
            continue;
        }
        buf_put(out, ",", !reply->first);
        reply->first = false;
        if (reply->kind == REPLY_EXCHANGE_INFO) {
            put_info(sim, out, index, reply->permission_sets);
        } else {
            put_ticker(sim, out, reply->ticker, index, reply->time_unix_ns, reply->micro);
        }
    }
    if (reply->next >= sim->model.count) {
        buf_put_str(out, reply->kind == REPLY_EXCHANGE_INFO ? STR("]}") : STR("]"));
    }
}
