/* Gate as the simulator plays it, spot and USDT futures: which streams exist and when they speak.
 * Messages are in sim_gate_text.c, requests in sim_gate_ws.c, REST in sim_gate_rest.c.
 *
 * Books of which changes are sent are cut to the best 20, 50, 100 or 400 levels a side: a level
 * that comes within is sent, one that leaves is sent as "0". So the last level within each depth
 * is remembered from one tenth of a second to the next, and who subscribes hears nothing before the
 * next tenth; obu begins there with the full book. The venue sends its quicker forms every 20 ms;
 * here all go every 100 ms. Source: exchanges/gate.md. */
#include "sim/sim_gate.h"

#include "base/assert.h"

#define TENTH_NS (100 * NS_PER_MS)

static const char *stream_group(uint32_t stream)
{
    switch (stream) {
    case SIM_GATE_TRADES:
        return "trade";
    case SIM_GATE_BOOK_TICKER:
        return "bookTicker";
    case SIM_GATE_OBU_50:
    case SIM_GATE_OBU_400:
    case SIM_GATE_UPDATE_20:
    case SIM_GATE_UPDATE_50:
    case SIM_GATE_UPDATE_100:
    case SIM_GATE_UPDATE_20_FAST:
        return "depth";
    case SIM_GATE_TICKERS:
        return "ticker";
    case SIM_GATE_LIQUIDATIONS:
        return "liquidation";
    default:
        return stream < SIM_GATE_CANDLE ? "partial" : stream < SIM_GATE_STAT ? "kline" : "stats";
    }
}

/* "obu 400 BTC_USDT": for the fault log. */
static void stream_name(const struct sim *sim, uint32_t symbol, uint32_t stream, struct buf *out)
{
    static const char *const names[] = {
        "trades",    "book_ticker", "obu 50",      "obu 400", "update 20",
        "update 50", "update 100",  "update 20ms", "tickers", "public_liquidates",
    };
    if (stream < SIM_GATE_BOOK) {
        buf_printf(out, "%s", names[stream]);
    } else if (stream < SIM_GATE_CANDLE) {
        buf_printf(out, "order_book %u%s",
                   sim_gate_book_levels[(stream - SIM_GATE_BOOK) % SIM_GATE_BOOK_LEVELS],
                   stream < SIM_GATE_BOOK_SLOW ? "" : " 1000ms");
    } else if (stream < SIM_GATE_STAT) {
        buf_printf(out, "candlesticks %s", sim_gate_candle_name((int)(stream - SIM_GATE_CANDLE)));
    } else {
        buf_printf(out, "contract_stats %s", sim_gate_stat_name((int)(stream - SIM_GATE_STAT)));
    }
    buf_printf(out, " %s", sim->model.symbols[symbol].name);
}

static bool needs_book(uint32_t stream)
{
    return stream != SIM_GATE_TRADES;
}

/* Names: the venue's on spot. Of contracts all are settled in USDT; the model's pairs with another
 * quote become ones like ETHBTC_USDT. */
static void spell_spot(const struct model_symbol *symbol, struct buf *out)
{
    buf_printf(out, "%.20s_%s", symbol->base, symbol->quote);
}

static void spell_futures(const struct model_symbol *symbol, struct buf *out)
{
    bool usdt = str_equal(str_from(symbol->quote), STR("USDT"));
    buf_printf(out, "%.18s%s_USDT", symbol->base, usdt ? "" : symbol->quote);
}

/* ---- what happens */

static void emit(struct sim *sim, uint32_t symbol, const struct sim_gate_event *event)
{
    size_t bytes[2] = {0, 0};
    bool wanted[2] = {true, sim_feed_wants_micro(sim, symbol, event->stream)};
    for (int form = 0; form < 2; form++) { /* 1: sizes as decimal strings */
        if (wanted[form]) {
            struct buf out =
                buf_over(sim->text[form] + SIM_PREFIX_BYTES, SIM_TEXT_BYTES - SIM_PREFIX_BYTES - 1);
            sim_gate_put_event(&out, sim, event, form == 1);
            bytes[form] = out.bytes;
        }
    }
    sim_feed_send(sim, symbol, event->stream, event->index, bytes[0], bytes[1]);
}

/* Spot tells each trade, futures the trades of one taker together. */
static void on_order(struct sim *sim, uint32_t index, struct sim_live *live)
{
    if (!sim_heard(sim, index, SIM_GATE_TRADES)) {
        return;
    }
    uint32_t count;
    int64_t first = model_agg_first_trade(live->book.symbol, live->agg_next, &count);
    struct sim_gate_event event = {.stream = SIM_GATE_TRADES, .symbol = live->book.symbol};
    if (!sim_gate_is_spot(sim)) {
        event.index = live->agg_next;
        event.first_trade = first;
        event.trades = count;
        emit(sim, index, &event);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        event.index = event.first_trade = first + i;
        event.trades = 1;
        emit(sim, index, &event);
    }
}

static struct sim_gate_event book_event(const struct sim_live *live, uint32_t stream,
                                        int64_t time_unix_ns, int64_t index)
{
    return (struct sim_gate_event){.stream = stream,
                                   .symbol = live->book.symbol,
                                   .book = &live->book,
                                   .index = index,
                                   .time_unix_ns = time_unix_ns,
                                   .last_id = live->book.symbol->update_id0 + live->book.update};
}

static void on_update(struct sim *sim, uint32_t index, struct sim_live *live, bool best_changed)
{
    struct sim_gate_symbol *own = sim_gate_symbol_of(sim, index);
    own->mid_low =
        own->mid_high == 0 || live->book.mid < own->mid_low ? live->book.mid : own->mid_low;
    own->mid_high = live->book.mid > own->mid_high ? live->book.mid : own->mid_high;
    if (best_changed && sim_heard(sim, index, SIM_GATE_BOOK_TICKER)) {
        struct sim_gate_event event =
            book_event(live, SIM_GATE_BOOK_TICKER, live->update_unix_ns, live->book.update);
        emit(sim, index, &event);
    }
}

/* ---- books of which changes are sent */

static const struct {
    uint32_t stream;
    enum sim_gate_depth depth;
} depth_streams[] = {
    {SIM_GATE_OBU_50, SIM_GATE_DEPTH_50},      {SIM_GATE_OBU_400, SIM_GATE_DEPTH_400},
    {SIM_GATE_UPDATE_20, SIM_GATE_DEPTH_20},   {SIM_GATE_UPDATE_50, SIM_GATE_DEPTH_50},
    {SIM_GATE_UPDATE_100, SIM_GATE_DEPTH_100}, {SIM_GATE_UPDATE_20_FAST, SIM_GATE_DEPTH_20},
};
#define DEPTH_STREAMS (sizeof depth_streams / sizeof depth_streams[0])

/* Sides with fewer levels than the depth reach to the end of the book. */
static struct sim_gate_window window_now(const struct model_book *book)
{
    struct sim_gate_window window;
    uint32_t slots = book->symbol->slots;
    uint32_t low = book->mid;
    uint32_t high = book->mid - 1;
    uint32_t bids = 0;
    uint32_t asks = 0;
    for (int d = 0; d < SIM_GATE_DEPTHS; d++) {
        while (low > 0 && bids < sim_gate_depth_levels[d]) {
            bids += book->steps[--low] != 0;
        }
        while (high + 1 < slots && asks < sim_gate_depth_levels[d]) {
            asks += book->steps[++high] != 0;
        }
        window.low[d] = low;
        window.high[d] = high;
    }
    return window;
}

struct slots_change {
    const struct model_diff *diff;
    const struct model_book *book;
    uint32_t count;
    struct model_level *out;
};

/* A slot of one side: within the depth before and now, and whether it may have been on this side in
 * between. What was there in between is told too, though it came and went: a snapshot of then, by
 * REST, has it. */
static void slot_change(struct slots_change *change, uint32_t slot, bool was_in, bool between,
                        bool is_in)
{
    bool touched = (change->diff->bits[slot / 64] >> (slot % 64) & 1) != 0;
    bool filled = change->book->steps[slot] != 0;
    bool comes = is_in && (touched || (!was_in && filled));
    bool goes = (was_in || between) && !is_in && (touched || filled);
    if (comes || goes) {
        struct model_level level = model_book_level(change->book, slot);
        level.quantity_e8 = comes ? level.quantity_e8 : 0;
        change->out[change->count++] = level;
    }
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t most(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void levels_changed(struct sim *sim, const struct sim_live *live, enum sim_gate_depth d,
                           const struct sim_gate_symbol *own, const struct sim_gate_window *is,
                           struct sim_levels *levels)
{
    const struct model_diff *diff = &live->diff_100;
    const struct sim_gate_window *was = &own->window;
    uint32_t mid = live->book.mid;
    uint32_t mid_was = diff->mid_from;
    struct slots_change bids = {diff, &live->book, 0, sim->bids};
    struct slots_change asks = {diff, &live->book, 0, sim->asks};
    uint32_t low = least(was->low[d], is->low[d]);
    uint32_t high = most(was->high[d], is->high[d]);
    for (uint32_t s = most(own->mid_high, most(mid, mid_was)); s-- > low;) {
        slot_change(&bids, s, s >= was->low[d] && s < mid_was, s >= mid && s < own->mid_high,
                    s >= is->low[d] && s < mid);
    }
    uint32_t first = least(mid, mid_was);
    for (uint32_t s = own->mid_high == 0 ? first : least(own->mid_low, first); s <= high; s++) {
        slot_change(&asks, s, s <= was->high[d] && s >= mid_was, s < mid && s >= own->mid_low,
                    s <= is->high[d] && s >= mid);
    }
    *levels = (struct sim_levels){
        .bids = sim->bids, .asks = sim->asks, .bid_count = bids.count, .ask_count = asks.count};
}

static bool is_obu(uint32_t stream)
{
    return stream == SIM_GATE_OBU_50 || stream == SIM_GATE_OBU_400;
}

/* Who waits for this tenth: obu gets its full book, and all hear the changes from now on. */
static void newcomers_start(struct sim *sim, uint32_t index, struct sim_live *live, uint32_t stream,
                            enum sim_gate_depth depth)
{
    size_t bytes = 0;
    uint32_t next;
    for (uint32_t at = sim->heads[index * SIM_GATE_STREAM_COUNT + stream]; at != SIM_NONE;
         at = next) {
        struct sim_sub *sub = &sim->subs[at];
        next = sub->stream_next;
        if (!sub->muted) {
            continue;
        }
        sub->muted = false;
        if (!is_obu(stream)) {
            continue;
        }
        if (bytes == 0) {
            struct buf out = sim_message_buf(sim);
            struct sim_gate_event event = book_event(live, stream, live->boundary_unix_ns, 0);
            uint32_t limit = sim_gate_depth_levels[depth];
            event.full = true;
            event.levels.bids = sim->bids;
            event.levels.asks = sim->asks;
            event.levels.bid_count = model_book_bids(&live->book, sim->bids, limit);
            event.levels.ask_count = model_book_asks(&live->book, sim->asks, limit);
            sim_gate_put_event(&out, sim, &event, true);
            bytes = out.bytes;
        }
        sim_ws_send(&sim->conns[sub->conn], sim->text[0] + SIM_PREFIX_BYTES, bytes);
    }
}

static void depth_happens(struct sim *sim, uint32_t index, struct sim_live *live)
{
    struct sim_gate_symbol *own = sim_gate_symbol_of(sim, index);
    struct sim_gate_window is;
    bool any = false;
    for (size_t i = 0; i < DEPTH_STREAMS; i++) {
        uint32_t stream = depth_streams[i].stream;
        enum sim_gate_depth depth = depth_streams[i].depth;
        if (!sim_heard(sim, index, stream)) {
            continue;
        }
        if (!any) {
            is = window_now(&live->book);
            any = true;
        }
        if (live->diff_100.touched > 0) {
            struct sim_gate_event event =
                book_event(live, stream, live->boundary_unix_ns, live->boundary_unix_ns / TENTH_NS);
            event.first_id = event.symbol->update_id0 + live->diff_100.update_from + 1;
            levels_changed(sim, live, depth, own, &is, &event.levels);
            emit(sim, index, &event);
        }
        newcomers_start(sim, index, live, stream, depth);
    }
    if (any) {
        own->window = is;
    }
    own->mid_low = own->mid_high = live->book.mid;
}

static void books_happen(struct sim *sim, uint32_t index, struct sim_live *live, uint32_t first)
{
    for (uint32_t i = 0; i < SIM_GATE_BOOK_LEVELS; i++) {
        if (!sim_heard(sim, index, first + i)) {
            continue;
        }
        struct sim_gate_event event =
            book_event(live, first + i, live->boundary_unix_ns, live->boundary_unix_ns / TENTH_NS);
        event.levels.bids = sim->bids;
        event.levels.asks = sim->asks;
        event.levels.bid_count = model_book_bids(&live->book, sim->bids, sim_gate_book_levels[i]);
        event.levels.ask_count = model_book_asks(&live->book, sim->asks, sim_gate_book_levels[i]);
        emit(sim, index, &event);
    }
}

/* ---- whole seconds */

static void ticker_happens(struct sim *sim, uint32_t index, struct sim_live *live, int64_t second)
{
    bool changed = live->agg_next != live->second_aggs || live->book.update != live->second_update;
    live->second_aggs = live->agg_next;
    live->second_update = live->book.update;
    if (changed && sim_heard(sim, index, SIM_GATE_TICKERS)) {
        struct sim_gate_event event =
            book_event(live, SIM_GATE_TICKERS, live->boundary_unix_ns, second);
        emit(sim, index, &event);
    }
}

/* As Binance's: the one that ends now, else the one under way every 2 s when there were trades. */
static void candles_happen(struct sim *sim, uint32_t index, struct sim_live *live, int64_t second)
{
    int64_t now = live->boundary_unix_ns;
    bool even = second % 2 == 0;
    bool traded = live->agg_next != live->kline_aggs;
    for (int interval = 0; interval < SIM_GATE_CANDLES; interval++) {
        uint32_t stream = SIM_GATE_CANDLE + (uint32_t)interval;
        if (!sim_heard(sim, index, stream)) {
            continue;
        }
        struct sim_gate_event event = book_event(live, stream, now, second);
        event.closed = sim_gate_candle_start(interval, now) == now;
        if (event.closed || (even && traded)) {
            emit(sim, index, &event);
        }
    }
    if (even) {
        live->kline_aggs = live->agg_next;
    }
}

/* About every eighth second somebody is liquidated. */
static void liquidations_happen(struct sim *sim, uint32_t index, struct sim_live *live,
                                int64_t second)
{
    uint64_t r = model_mix(live->book.symbol->key ^ 0x6c69, (uint64_t)second);
    if (r % 8 == 0 && sim_heard(sim, index, SIM_GATE_LIQUIDATIONS)) {
        struct sim_gate_event event =
            book_event(live, SIM_GATE_LIQUIDATIONS, live->boundary_unix_ns, second);
        event.trades = 1 + (uint32_t)((r >> 8) % 3);
        emit(sim, index, &event);
    }
}

static void stats_happen(struct sim *sim, uint32_t index, struct sim_live *live, int64_t second)
{
    for (int interval = 0; interval < SIM_GATE_STATS; interval++) {
        uint32_t stream = SIM_GATE_STAT + (uint32_t)interval;
        bool over = live->boundary_unix_ns % sim_gate_stat_ns(interval) == 0;
        if (over && sim_heard(sim, index, stream)) {
            struct sim_gate_event event = book_event(live, stream, live->boundary_unix_ns, second);
            emit(sim, index, &event);
        }
    }
}

static void on_tenth(struct sim *sim, uint32_t index, struct sim_live *live)
{
    bool second = live->boundary_unix_ns % NS_PER_S == 0;
    depth_happens(sim, index, live);
    if (live->diff_100.touched > 0) {
        books_happen(sim, index, live, SIM_GATE_BOOK);
    }
    if (second && live->diff_1000.touched > 0) {
        books_happen(sim, index, live, SIM_GATE_BOOK_SLOW);
    }
    if (second) {
        int64_t number = live->boundary_unix_ns / NS_PER_S;
        ticker_happens(sim, index, live, number);
        candles_happen(sim, index, live, number);
        liquidations_happen(sim, index, live, number);
        stats_happen(sim, index, live, number);
    }
}

static void on_subscribed(struct sim *sim, uint32_t sub)
{
    for (size_t i = 0; i < DEPTH_STREAMS; i++) {
        sim->subs[sub].muted |= sim->subs[sub].stream == depth_streams[i].stream;
    }
}

#define COMMON                                                                                     \
    .stream_count = SIM_GATE_STREAM_COUNT, .own_bytes = sizeof(struct sim_gate),                   \
    .own_symbol_bytes = sizeof(struct sim_gate_symbol), .stream_group = stream_group,              \
    .stream_name = stream_name, .needs_book = needs_book, .ws_open = sim_gate_ws_open,             \
    .ws_text = sim_gate_ws_text, .ws_turn = sim_gate_ws_turn, .ws_shutdown = sim_gate_ws_shutdown, \
    .on_subscribed = on_subscribed, .on_order = on_order, .on_update = on_update,                  \
    .on_tenth = on_tenth, .rest = sim_gate_rest, .rest_piece = sim_gate_rest_piece,                \
    .rest_head = sim_gate_rest_head

const struct sim_exchange sim_gate_spot = {
    .venue = VENUE_GATE, .name = "gate-io", .spell = spell_spot, COMMON};

const struct sim_exchange sim_gate_futures = {
    .venue = VENUE_GATE_FUTURES, .name = "gate-io-futures", .spell = spell_futures, COMMON};
