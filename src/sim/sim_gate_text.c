/* What Gate's streams say, byte for byte as the venue has been recorded: key order, numbers with no
 * zeros at their end, sizes of contracts as whole numbers or decimal strings (by the header of the
 * handshake), three ways to write a time. Everything is a function of the model. Source:
 * exchanges/gate.md sections 0.5, 1.2, 2.1 and 2.3. */
#include "sim/sim_gate.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

#define E8 100000000LL
#define PUT(out, literal) buf_put(out, literal, sizeof(literal) - 1)

const uint32_t sim_gate_depth_levels[SIM_GATE_DEPTHS] = {20, 50, 100, 400};
const uint32_t sim_gate_book_levels[SIM_GATE_BOOK_LEVELS] = {1, 5, 10, 20, 30, 50, 100};

/* ---- intervals */

static const struct {
    const char *name;
    int64_t s;
    bool spot, futures;
} candles[SIM_GATE_CANDLES] = {
    {"10s", 10, true, true},         {"30s", 30, true, false},
    {"1m", 60, true, true},          {"3m", 180, true, false},
    {"5m", 300, true, true},         {"15m", 900, true, true},
    {"30m", 1800, true, true},       {"1h", 3600, true, true},
    {"2h", 7200, true, false},       {"4h", 14400, true, true},
    {"6h", 21600, true, false},      {"8h", 28800, true, true},
    {"12h", 43200, true, false},     {"1d", 86400, true, true},
    {"7d", 7 * 86400LL, true, true}, {"30d", 30 * 86400LL, true, false},
};

int sim_gate_candle_parse(const struct sim *sim, struct str text)
{
    for (int i = 0; i < SIM_GATE_CANDLES; i++) {
        if (str_equal(text, str_from(candles[i].name))) {
            bool here = sim_gate_is_spot(sim) ? candles[i].spot : candles[i].futures;
            return here ? i : -1;
        }
    }
    return -1;
}

const char *sim_gate_candle_name(int interval)
{
    return candles[interval].name;
}

int64_t sim_gate_candle_ns(int interval)
{
    return candles[interval].s * NS_PER_S;
}

/* Weeks start on Monday: the epoch was a Thursday. */
int64_t sim_gate_candle_start(int interval, int64_t time_unix_ns)
{
    int64_t length = sim_gate_candle_ns(interval);
    int64_t shift = candles[interval].s == 7 * 86400LL ? 4 * NS_PER_DAY : 0;
    return time_unix_ns - (time_unix_ns - shift) % length;
}

static const struct {
    const char *name;
    int64_t s;
} stats[SIM_GATE_STATS] = {
    {"1m", 60},    {"5m", 300},   {"15m", 900},  {"30m", 1800},       {"1h", 3600},
    {"4h", 14400}, {"8h", 28800}, {"1d", 86400}, {"3d", 3 * 86400LL}, {"7d", 7 * 86400LL},
};

int sim_gate_stat_parse(struct str text)
{
    for (int i = 0; i < SIM_GATE_STATS; i++) {
        if (str_equal(text, str_from(stats[i].name))) {
            return i;
        }
    }
    return -1;
}

const char *sim_gate_stat_name(int interval)
{
    return stats[interval].name;
}

int64_t sim_gate_stat_ns(int interval)
{
    return stats[interval].s * NS_PER_S;
}

/* ---- contracts */

bool sim_gate_is_decimal(const struct sim *sim, const struct model_symbol *symbol)
{
    return (symbol - sim->model.symbols) % 3 == 1;
}

int64_t sim_gate_multiplier_e8(const struct sim *sim, const struct model_symbol *symbol)
{
    return symbol->step_e8 * (sim_gate_is_decimal(sim, symbol) ? 10 : 1);
}

int64_t sim_gate_interest_steps(const struct model_symbol *symbol, int64_t time_unix_ns)
{
    int64_t mean = 400LL * symbol->quantity_steps;
    int64_t moves = (int64_t)(model_mix(symbol->key ^ 0x6f69, (uint64_t)(time_unix_ns / NS_PER_S)) %
                              (uint64_t)symbol->quantity_steps);
    return mean + moves;
}

/* The index is near the mid of the book and moves every ten seconds, the mark between both; the
 * funding rate changes every minute. */
struct sim_gate_prices sim_gate_prices(const struct model_book *book, int64_t time_unix_ns)
{
    const struct model_symbol *symbol = book->symbol;
    int64_t tick = symbol->tick_e8;
    int64_t mid =
        (model_slot_price(symbol, book->mid - 1) + model_slot_price(symbol, book->mid)) / 2;
    uint64_t tens = (uint64_t)(time_unix_ns / (10 * NS_PER_S));
    uint64_t minutes = (uint64_t)(time_unix_ns / (60 * NS_PER_S));
    int64_t ppm = (int64_t)(model_mix(symbol->key ^ 0x6978, tens) % 401) - 200;
    struct sim_gate_prices prices;
    prices.index_e8 = (mid + mid / 1000000 * ppm) / tick * tick;
    prices.index_e8 = prices.index_e8 < tick ? tick : prices.index_e8;
    prices.mark_e8 = (mid + prices.index_e8) / 2 / tick * tick;
    prices.mark_e8 = prices.mark_e8 < tick ? tick : prices.mark_e8;
    int64_t rate = (int64_t)(model_mix(symbol->key ^ 0x6672, minutes) % 401) - 100;
    prices.funding_e8 = rate * 100; /* -0.0001 .. 0.0003, six digits */
    return prices;
}

/* ---- numbers */

static void put_text(struct buf *out, const char *text)
{
    buf_put(out, text, strlen(text));
}

static void put_int(struct buf *out, const char *key, int64_t value)
{
    put_text(out, key);
    buf_put_i64(out, value);
}

void sim_gate_put_e8(struct buf *out, int64_t value_e8)
{
    char text[32];
    struct buf number = buf_over(text, sizeof text);
    sim_put_e8(&number, value_e8);
    while (text[number.bytes - 1] == '0') {
        number.bytes--;
    }
    number.bytes -= text[number.bytes - 1] == '.';
    buf_put(out, text, number.bytes);
}

void sim_gate_put_member(struct buf *out, const char *key, int64_t value_e8)
{
    put_text(out, key);
    PUT(out, "\"");
    sim_gate_put_e8(out, value_e8);
    PUT(out, "\"");
}

static void put_steps(struct buf *out, const struct sim *sim, const struct model_symbol *symbol,
                      int64_t steps, bool decimal)
{
    int64_t per_contract = sim_gate_is_decimal(sim, symbol) ? 10 : 1;
    if (!decimal) {
        buf_put_i64(out, steps / per_contract); /* cut towards zero (section 2.1) */
        return;
    }
    PUT(out, "\"");
    put_text(out, steps < 0 ? "-" : "");
    int64_t size = steps < 0 ? -steps : steps;
    buf_put_i64(out, size / per_contract);
    if (size % per_contract != 0) {
        PUT(out, ".");
        buf_put_i64(out, size % per_contract);
    }
    PUT(out, "\"");
}

void sim_gate_put_size(struct buf *out, const struct sim *sim, const struct model_symbol *symbol,
                       int64_t quantity_e8, bool decimal)
{
    put_steps(out, sim, symbol, quantity_e8 / symbol->step_e8, decimal);
}

/* Spot: base coin in a string. */
static void put_amount(struct buf *out, const struct sim *sim, const struct model_symbol *symbol,
                       int64_t quantity_e8, bool decimal)
{
    if (sim_gate_is_spot(sim)) {
        sim_gate_put_member(out, "", quantity_e8);
    } else {
        sim_gate_put_size(out, sim, symbol, quantity_e8, decimal);
    }
}

void sim_gate_put_levels(struct buf *out, const struct sim *sim, const struct model_symbol *symbol,
                         const struct model_level *levels, uint32_t count, bool objects,
                         bool decimal)
{
    PUT(out, "[");
    for (uint32_t i = 0; i < count; i++) {
        put_text(out, i == 0 ? "" : ",");
        put_text(out, objects ? "{\"p\":\"" : "[\"");
        sim_gate_put_e8(out, levels[i].price_e8);
        put_text(out, objects ? "\",\"s\":" : "\",");
        put_amount(out, sim, symbol, levels[i].quantity_e8, decimal);
        put_text(out, objects ? "}" : "]");
    }
    PUT(out, "]");
}

/* ---- envelope */

static void put_head(struct buf *out, const struct sim *sim, const char *channel, const char *event)
{
    put_int(out, "{\"time\":", sim->now_unix_ns / NS_PER_S);
    put_int(out, ",\"time_ms\":", sim->now_unix_ns / NS_PER_MS);
    buf_printf(out, ",\"channel\":\"%s.%s\",\"event\":\"%s\",\"result\":",
               sim_gate_is_spot(sim) ? "spot" : "futures", channel, event);
}

/* ---- trades */

static void put_spot_trade(struct buf *out, const struct sim_gate_event *event)
{
    struct model_trade trade = model_trade_at(event->symbol, event->first_trade);
    int64_t ns = trade.time_unix_ns;
    put_int(out, "{\"id\":", trade.id);
    put_int(out, ",\"id_market\":", trade.id);
    put_int(out, ",\"create_time\":", ns / NS_PER_S);
    buf_printf(out, ",\"create_time_ms\":\"%lld.%06lld\",\"side\":\"%s\",\"currency_pair\":\"%s\"",
               (long long)(ns / NS_PER_MS), (long long)(ns % NS_PER_MS),
               trade.buyer_is_maker ? "sell" : "buy", event->symbol->name);
    sim_gate_put_member(out, ",\"amount\":", trade.quantity_e8);
    sim_gate_put_member(out, ",\"price\":", trade.price_e8);
    buf_printf(out, ",\"range\":\"%lld-%lld\",\"stock\":\"%s\",\"money\":\"%s\",\"trade_mode\":0}",
               (long long)trade.id, (long long)trade.id, event->symbol->base, event->symbol->quote);
}

static void put_futures_trades(struct buf *out, const struct sim *sim,
                               const struct sim_gate_event *event, bool decimal)
{
    for (uint32_t i = 0; i < event->trades; i++) {
        struct model_trade trade = model_trade_at(event->symbol, event->first_trade + i);
        int64_t signed_e8 = trade.buyer_is_maker ? -trade.quantity_e8 : trade.quantity_e8;
        put_int(out, i == 0 ? "[{\"id\":" : ",{\"id\":", trade.id);
        PUT(out, ",\"size\":");
        sim_gate_put_size(out, sim, event->symbol, signed_e8, decimal);
        put_int(out, ",\"create_time\":", trade.time_unix_ns / NS_PER_S);
        put_int(out, ",\"create_time_ms\":", trade.time_unix_ns / NS_PER_MS);
        sim_gate_put_member(out, ",\"price\":", trade.price_e8);
        buf_printf(out, ",\"contract\":\"%s\"}", event->symbol->name);
    }
    PUT(out, "]");
}

static void put_trades(struct buf *out, const struct sim *sim, const struct sim_gate_event *event,
                       bool decimal)
{
    put_head(out, sim, "trades", "update");
    if (sim_gate_is_spot(sim)) {
        put_spot_trade(out, event);
    } else {
        put_futures_trades(out, sim, event, decimal);
    }
}

/* ---- books */

static void put_book_ticker(struct buf *out, const struct sim *sim,
                            const struct sim_gate_event *event, bool decimal)
{
    const struct model_book *book = event->book;
    struct model_level bid = model_book_level(book, book->mid - 1);
    struct model_level ask = model_book_level(book, book->mid);
    put_head(out, sim, "book_ticker", "update");
    put_int(out, "{\"t\":", event->time_unix_ns / NS_PER_MS);
    put_int(out, ",\"u\":", event->last_id);
    buf_printf(out, ",\"s\":\"%s\"", event->symbol->name);
    sim_gate_put_member(out, ",\"b\":", bid.price_e8);
    PUT(out, ",\"B\":");
    put_amount(out, sim, event->symbol, bid.quantity_e8, decimal);
    sim_gate_put_member(out, ",\"a\":", ask.price_e8);
    PUT(out, ",\"A\":");
    put_amount(out, sim, event->symbol, ask.quantity_e8, decimal);
    PUT(out, "}");
}

static void put_side(struct buf *out, const struct sim *sim, const struct sim_gate_event *event,
                     bool bids, bool objects, bool decimal)
{
    put_text(out, bids ? ",\"b\":" : ",\"a\":");
    sim_gate_put_levels(out, sim, event->symbol, bids ? event->levels.bids : event->levels.asks,
                        bids ? event->levels.bid_count : event->levels.ask_count, objects, decimal);
}

/* A side without changes is left out; sizes are decimal strings whatever was asked for. */
static void put_obu(struct buf *out, const struct sim *sim, const struct sim_gate_event *event)
{
    int level = event->stream == SIM_GATE_OBU_400 ? 400 : 50;
    if (sim_gate_is_spot(sim)) {
        PUT(out, "{\"channel\":\"spot.obu\",\"result\":");
    } else {
        put_head(out, sim, "obu", "update");
    }
    put_int(out, "{\"t\":", event->time_unix_ns / NS_PER_MS);
    buf_printf(out, "%s,\"s\":\"ob.%s.%d\"", event->full ? ",\"full\":true" : "",
               event->symbol->name, level);
    if (!event->full) {
        put_int(out, ",\"U\":", event->first_id);
    }
    put_int(out, ",\"u\":", event->last_id);
    if (event->levels.bid_count > 0) {
        put_side(out, sim, event, true, false, true);
    }
    if (event->levels.ask_count > 0) {
        put_side(out, sim, event, false, false, true);
    }
    PUT(out, "}");
    if (sim_gate_is_spot(sim)) { /* no "time", and the event last: seen so in 2025 */
        put_int(out, ",\"time_ms\":", sim->now_unix_ns / NS_PER_MS);
        PUT(out, ",\"event\":\"update\"");
    }
}

static void put_order_book_update(struct buf *out, const struct sim *sim,
                                  const struct sim_gate_event *event, bool decimal)
{
    bool spot = sim_gate_is_spot(sim);
    const char *level = event->stream == SIM_GATE_UPDATE_100  ? "100"
                        : event->stream == SIM_GATE_UPDATE_50 ? "50"
                                                              : "20";
    put_head(out, sim, "order_book_update", "update");
    put_int(out, "{\"t\":", event->time_unix_ns / NS_PER_MS);
    if (spot) {
        put_int(out, ",\"e\":\"depthUpdate\",\"E\":", event->time_unix_ns / NS_PER_S);
    }
    buf_printf(out, ",\"s\":\"%s\"", event->symbol->name);
    put_int(out, ",\"U\":", event->first_id);
    put_int(out, ",\"u\":", event->last_id);
    put_side(out, sim, event, true, !spot, decimal);
    put_side(out, sim, event, false, !spot, decimal);
    buf_printf(out, ",\"l\":\"%s\"}", level);
}

static void put_order_book(struct buf *out, const struct sim *sim,
                           const struct sim_gate_event *event, bool decimal)
{
    bool spot = sim_gate_is_spot(sim);
    uint32_t which = (event->stream - SIM_GATE_BOOK) % SIM_GATE_BOOK_LEVELS;
    put_head(out, sim, "order_book", spot ? "update" : "all");
    put_int(out, "{\"t\":", event->time_unix_ns / NS_PER_MS);
    put_int(out, spot ? ",\"lastUpdateId\":" : ",\"id\":", event->last_id);
    buf_printf(out, ",\"%s\":\"%s\",\"l\":\"%u\",\"%s\":", spot ? "s" : "contract",
               event->symbol->name, sim_gate_book_levels[which], spot ? "bids" : "asks");
    struct sim_levels l = event->levels;
    sim_gate_put_levels(out, sim, event->symbol, spot ? l.bids : l.asks,
                        spot ? l.bid_count : l.ask_count, !spot, decimal);
    put_text(out, spot ? ",\"asks\":" : ",\"bids\":");
    sim_gate_put_levels(out, sim, event->symbol, spot ? l.asks : l.bids,
                        spot ? l.ask_count : l.bid_count, !spot, decimal);
    PUT(out, "}");
}

/* ---- tickers */

static void put_percent(struct buf *out, const struct model_window *w)
{
    int64_t change = w->close_e8 - w->open_e8;
    int64_t thousandths = w->open_e8 == 0 ? 0 : change * 100000 / w->open_e8;
    PUT(out, ",\"change_percentage\":\"");
    sim_gate_put_e8(out, thousandths * (E8 / 1000));
    PUT(out, "\"");
}

static void put_spot_ticker(struct buf *out, const struct model_book *book,
                            const struct model_window *w)
{
    buf_printf(out, "{\"currency_pair\":\"%s\"", book->symbol->name);
    sim_gate_put_member(out, ",\"last\":", w->close_e8);
    sim_gate_put_member(out, ",\"lowest_ask\":", model_slot_price(book->symbol, book->mid));
    sim_gate_put_member(out, ",\"highest_bid\":", model_slot_price(book->symbol, book->mid - 1));
    put_percent(out, w);
    sim_gate_put_member(out, ",\"base_volume\":", w->volume_e8);
    sim_gate_put_member(out, ",\"quote_volume\":", w->quote_e8);
    sim_gate_put_member(out, ",\"high_24h\":", w->high_e8);
    sim_gate_put_member(out, ",\"low_24h\":", w->low_e8);
    PUT(out, "}");
}

static void put_whole_string(struct buf *out, const char *key, int64_t value)
{
    put_int(out, key, value);
    PUT(out, "\"");
}

static void put_contract_volumes(struct buf *out, const struct sim *sim,
                                 const struct model_symbol *symbol, const struct model_window *w,
                                 int64_t time_unix_ns, bool decimal)
{
    int64_t interest = sim_gate_interest_steps(symbol, time_unix_ns);
    put_percent(out, w);
    PUT(out, ",\"total_size\":"); /* a string always, cut without the header */
    int64_t tenths = sim_gate_is_decimal(sim, symbol) ? 10 : 1;
    put_steps(out, sim, symbol, decimal ? interest : interest / tenths * tenths, true);
    PUT(out, ",\"volume_24h\":");
    int64_t steps = w->volume_e8 / symbol->step_e8;
    put_steps(out, sim, symbol, decimal ? steps : steps / tenths * tenths, true);
    put_whole_string(out, ",\"volume_24h_base\":\"", w->volume_e8 / E8);
    put_whole_string(out, ",\"volume_24h_quote\":\"", w->quote_e8 / E8);
    put_whole_string(out, ",\"volume_24h_settle\":\"", w->quote_e8 / E8);
    sim_gate_put_member(out, ",\"low_24h\":", w->low_e8);
    sim_gate_put_member(out, ",\"high_24h\":", w->high_e8);
    PUT(out, ",\"quanto_base_rate\":\"\"");
}

static void put_contract_ticker(struct buf *out, const struct sim *sim,
                                const struct model_book *book, const struct model_window *w,
                                int64_t time_unix_ns, bool decimal, bool partial)
{
    struct sim_gate_prices prices = sim_gate_prices(book, time_unix_ns);
    int64_t funding = 28800 * NS_PER_S;
    buf_printf(out, "{\"contract\":\"%s\"", book->symbol->name);
    sim_gate_put_member(out, ",\"last\":", w->close_e8);
    if (!partial) {
        put_contract_volumes(out, sim, book->symbol, w, time_unix_ns, decimal);
    }
    sim_gate_put_member(out, ",\"mark_price\":", prices.mark_e8);
    sim_gate_put_member(out, ",\"funding_rate\":", prices.funding_e8);
    sim_gate_put_member(out, ",\"funding_rate_indicative\":", prices.funding_e8);
    put_int(out, ",\"funding_interval\":28800,\"funding_offset\":0,\"funding_next_apply\":",
            (time_unix_ns / funding + 1) * 28800);
    sim_gate_put_member(out, ",\"index_price\":", prices.index_e8);
    put_int(out, ",\"price_type\":\"last\",\"t\":", time_unix_ns / NS_PER_MS);
    PUT(out, "}");
}

void sim_gate_put_ticker(struct buf *out, const struct sim *sim, const struct model_book *book,
                         int64_t time_unix_ns, bool decimal, bool partial)
{
    struct model_window w;
    model_window(book->symbol, time_unix_ns - NS_PER_DAY, time_unix_ns + 1, MODEL_SCAN_BLOCKS_DAY,
                 &w);
    if (sim_gate_is_spot(sim)) {
        put_spot_ticker(out, book, &w);
    } else {
        put_contract_ticker(out, sim, book, &w, time_unix_ns, decimal, partial);
    }
}

/* Two of three messages leave the volumes out: seen so in 2026. */
static void put_tickers(struct buf *out, const struct sim *sim, const struct sim_gate_event *event,
                        bool decimal)
{
    bool spot = sim_gate_is_spot(sim);
    put_head(out, sim, "tickers", "update");
    put_text(out, spot ? "" : "[");
    sim_gate_put_ticker(out, sim, event->book, event->time_unix_ns, decimal, event->index % 3 != 0);
    put_text(out, spot ? "" : "]");
}

/* ---- candles */

/* [start, end); closed: the window is over. */
static void put_candle(struct buf *out, const struct sim *sim, const struct sim_gate_event *event,
                       int64_t start, int64_t end, bool closed, bool decimal)
{
    struct model_window w;
    bool spot = sim_gate_is_spot(sim);
    int interval = (int)(event->stream - SIM_GATE_CANDLE);
    model_window(event->symbol, start, end, MODEL_SCAN_BLOCKS, &w);
    if (w.count == 0) {
        w.open_e8 = w.high_e8 = w.low_e8 = w.close_e8 = w.before_e8;
    }
    buf_printf(
        out, spot ? "{\"t\":\"%lld\",\"v\":" : "{\"t\":%lld,\"v\":", (long long)(start / NS_PER_S));
    if (spot) {
        sim_gate_put_member(out, "", w.quote_e8);
    } else {
        sim_gate_put_size(out, sim, event->symbol, w.volume_e8, decimal);
    }
    sim_gate_put_member(out, ",\"c\":", w.close_e8);
    sim_gate_put_member(out, ",\"h\":", w.high_e8);
    sim_gate_put_member(out, ",\"l\":", w.low_e8);
    sim_gate_put_member(out, ",\"o\":", w.open_e8);
    buf_printf(out, ",\"n\":\"%s_%s\"", sim_gate_candle_name(interval), event->symbol->name);
    sim_gate_put_member(out, ",\"a\":", w.volume_e8);
    put_text(out, closed ? ",\"w\":true}" : ",\"w\":false}");
}

/* Of contracts the closing and the opening one come in one message. */
static void put_candles(struct buf *out, const struct sim *sim, const struct sim_gate_event *event,
                        bool decimal)
{
    bool spot = sim_gate_is_spot(sim);
    int interval = (int)(event->stream - SIM_GATE_CANDLE);
    int64_t now = event->time_unix_ns;
    int64_t start = sim_gate_candle_start(interval, now);
    put_head(out, sim, "candlesticks", "update");
    put_text(out, spot ? "" : "[");
    if (event->closed) {
        put_candle(out, sim, event, now - sim_gate_candle_ns(interval), now, true, decimal);
    }
    if (!event->closed || !spot) {
        put_text(out, event->closed ? "," : "");
        put_candle(out, sim, event, start, now + 1, false, decimal);
    }
    put_text(out, spot ? "" : "]");
}

/* ---- what only contracts have */

/* One to three takeovers of the second before. */
static void put_liquidations(struct buf *out, const struct sim *sim,
                             const struct sim_gate_event *event, bool decimal)
{
    const struct model_symbol *symbol = event->symbol;
    put_head(out, sim, "public_liquidates", "update");
    for (uint32_t i = 0; i < event->trades; i++) {
        uint64_t r = model_mix(symbol->key ^ 0x6c71, (uint64_t)(event->index * 4 + i));
        int64_t mid = model_slot_price(symbol, event->book->mid);
        int64_t off = mid / 1000 / symbol->tick_e8 * symbol->tick_e8;
        int64_t contracts = (int64_t)((r >> 8) % 200) + 1;
        int64_t quantity = contracts * sim_gate_multiplier_e8(sim, symbol);
        sim_gate_put_member(
            out, i == 0 ? "[{\"price\":" : ",{\"price\":", (r & 1) != 0 ? mid + off : mid - off);
        PUT(out, ",\"size\":");
        sim_gate_put_size(out, sim, symbol, (r & 1) != 0 ? quantity : -quantity, decimal);
        put_int(out, ",\"time\":", event->time_unix_ns / NS_PER_MS - 900 + 300 * (int64_t)i);
        buf_printf(out, ",\"contract\":\"%s\"}", symbol->name);
    }
    PUT(out, "]");
}

static void put_stats(struct buf *out, const struct sim *sim, const struct sim_gate_event *event,
                      bool decimal)
{
    const struct model_symbol *symbol = event->symbol;
    int64_t now = event->time_unix_ns;
    int64_t steps = sim_gate_interest_steps(symbol, now);
    struct sim_gate_prices prices = sim_gate_prices(event->book, now);
    int64_t length = sim_gate_stat_ns((int)(event->stream - SIM_GATE_STAT));
    int64_t usd = model_quote_e8(prices.mark_e8, steps * symbol->step_e8) / E8;
    put_head(out, sim, "contract_stats", "update");
    put_int(out, "[{\"time\":", (now - length) / NS_PER_S);
    buf_printf(out,
               ",\"contract\":\"%s\",\"lsr_taker\":1.0325203252032521,\"lsr_account\":0.5,"
               "\"long_liq_size\":%s,\"short_liq_size\":%s,\"open_interest\":",
               symbol->name, decimal ? "\"0\"" : "0", decimal ? "\"0\"" : "0");
    put_steps(out, sim, symbol, steps, decimal);
    sim_gate_put_member(out, ",\"short_liq_usd\":0,\"mark_price\":", prices.mark_e8);
    put_int(out,
            ",\"top_lsr_size\":1.02,\"short_liq_amount\":0,\"long_liq_amount\":0,"
            "\"open_interest_usd\":",
            usd);
    PUT(out, ",\"top_lsr_account\":1.5,\"long_liq_usd\":0}]");
}

void sim_gate_put_event(struct buf *out, const struct sim *sim, const struct sim_gate_event *event,
                        bool decimal)
{
    switch (event->stream) {
    case SIM_GATE_TRADES:
        put_trades(out, sim, event, decimal);
        break;
    case SIM_GATE_BOOK_TICKER:
        put_book_ticker(out, sim, event, decimal);
        break;
    case SIM_GATE_OBU_50:
    case SIM_GATE_OBU_400:
        put_obu(out, sim, event);
        break;
    case SIM_GATE_UPDATE_20:
    case SIM_GATE_UPDATE_50:
    case SIM_GATE_UPDATE_100:
    case SIM_GATE_UPDATE_20_FAST:
        put_order_book_update(out, sim, event, decimal);
        break;
    case SIM_GATE_TICKERS:
        put_tickers(out, sim, event, decimal);
        break;
    case SIM_GATE_LIQUIDATIONS:
        put_liquidations(out, sim, event, decimal);
        break;
    default:
        if (event->stream < SIM_GATE_CANDLE) {
            put_order_book(out, sim, event, decimal);
        } else if (event->stream < SIM_GATE_STAT) {
            put_candles(out, sim, event, decimal);
        } else {
            put_stats(out, sim, event, decimal);
        }
        break;
    }
    PUT(out, "}");
    ASSERT(!out->overflow); /* SIM_TEXT_BYTES holds 400 levels a side many times over */
}
