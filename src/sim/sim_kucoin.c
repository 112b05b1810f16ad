/* KuCoin as the simulator plays it, spot and futures: which streams exist and when they speak.
 * Messages are in sim_kucoin_text.c, sockets (tokens, requests, limits) in sim_kucoin_ws.c, the
 * increments of the unified book in sim_kucoin_uta.c, REST in sim_kucoin_rest.c.
 *
 * Every update of the model is four changes by the book's sequence, which classic level2, unified
 * obu and REST share: a spot message of level2 tells all four, those that change nothing as price
 * 0; futures send one message a change, the last one again where there are fewer. Where the venue
 * says "real time", a candle goes every other second with trades and once more when it has ended.
 * Source: exchanges/kucoin.md. */
#include "sim/sim_kucoin.h"

#include "base/assert.h"

#define TENTH_NS (100 * NS_PER_MS)
#define SNAPSHOT_EVERY_SPOT 20    /* tenths: 2 s */
#define SNAPSHOT_EVERY_FUTURES 50 /* 5 s */

static const char *stream_group(uint32_t stream)
{
    switch (stream) {
    case SIM_KUCOIN_MATCH:
    case SIM_KUCOIN_TRADE:
        return "trade";
    case SIM_KUCOIN_LEVEL1:
    case SIM_KUCOIN_TICKER:
    case SIM_KUCOIN_QUOTE:
    case SIM_KUCOIN_OBU_1:
        return "bookTicker";
    case SIM_KUCOIN_LEVEL2:
    case SIM_KUCOIN_OBU:
    case SIM_KUCOIN_OBU_RAW:
        return "depth";
    case SIM_KUCOIN_DEPTH5:
    case SIM_KUCOIN_DEPTH50:
    case SIM_KUCOIN_OBU_5:
    case SIM_KUCOIN_OBU_50:
        return "partial";
    case SIM_KUCOIN_SNAPSHOT:
        return "ticker";
    case SIM_KUCOIN_INSTRUMENT:
    case SIM_KUCOIN_MARK:
    case SIM_KUCOIN_FUNDING:
    case SIM_KUCOIN_QUIET:
        return "mark";
    default:
        return "kline";
    }
}

/* "obu 50 BTC-USDT": for the fault log. */
static void stream_name(const struct sim *sim, uint32_t symbol, uint32_t stream, struct buf *out)
{
    static const char *const classic[] = {"match",   "level1",   "ticker",     "level2", "depth5",
                                          "depth50", "snapshot", "instrument", "quiet"};
    static const char *const unified[] = {
        "obu increment@10ms", "obu increment", "obu 1", "obu 5", "obu 50", "trade", "quote",
        "mark-price",         "funding-fee"};
    if (stream < SIM_KUCOIN_CANDLE) {
        buf_printf(out, "%s", classic[stream]);
    } else if (stream < SIM_KUCOIN_OBU) {
        buf_printf(out, "candles %s", sim_kucoin_candle_name((int)(stream - SIM_KUCOIN_CANDLE)));
    } else if (stream < SIM_KUCOIN_KLINE) {
        buf_printf(out, "%s", unified[stream - SIM_KUCOIN_OBU]);
    } else {
        buf_printf(out, "kline %s", sim_kucoin_candle_name((int)(stream - SIM_KUCOIN_KLINE)));
    }
    buf_printf(out, " %s", sim->model.symbols[symbol].name);
}

static bool needs_book(uint32_t stream)
{
    return stream != SIM_KUCOIN_MATCH && stream != SIM_KUCOIN_TRADE && stream != SIM_KUCOIN_QUIET;
}

static void spell_spot(const struct model_symbol *symbol, struct buf *out)
{
    buf_printf(out, "%.22s-%s", symbol->base, symbol->quote);
}

static void spell_futures(const struct model_symbol *symbol, struct buf *out)
{
    bool bitcoin = str_equal(str_from(symbol->base), STR("BTC"));
    buf_printf(out, "%.22s%sM", bitcoin ? "XBT" : symbol->base, symbol->quote);
}

/* ---- what happens */

void sim_kucoin_emit(struct sim *sim, uint32_t symbol, const struct sim_kucoin_event *event)
{
    struct buf out = sim_message_buf(sim);
    sim_kucoin_put_event(&out, sim, event);
    sim_feed_send(sim, symbol, event->stream, event->index, out.bytes, 0);
}

static struct sim_kucoin_event book_event(const struct sim_live *live, uint32_t stream,
                                          int64_t time_unix_ns, int64_t index)
{
    return (struct sim_kucoin_event){.stream = stream,
                                     .symbol = live->book.symbol,
                                     .book = &live->book,
                                     .index = index,
                                     .time_unix_ns = time_unix_ns};
}

static void on_order(struct sim *sim, uint32_t index, struct sim_live *live)
{
    static const uint32_t streams[2] = {SIM_KUCOIN_MATCH, SIM_KUCOIN_TRADE};
    for (int i = 0; i < 2; i++) {
        if (!sim_heard(sim, index, streams[i])) {
            continue;
        }
        uint32_t count;
        int64_t first = model_agg_first_trade(live->book.symbol, live->agg_next, &count);
        for (uint32_t k = 0; k < count; k++) {
            struct sim_kucoin_event event = {.stream = streams[i],
                                             .symbol = live->book.symbol,
                                             .index = first + k,
                                             .trade = model_trade_at(live->book.symbol, first + k)};
            sim_kucoin_emit(sim, index, &event);
        }
    }
}

/* The last trade at or before the moment; one without price when there was none. */
static struct model_trade last_trade(const struct model_symbol *symbol, int64_t time_unix_ns)
{
    int64_t trades = model_trades_until(symbol, time_unix_ns);
    return trades == 0 ? (struct model_trade){.time_unix_ns = time_unix_ns}
                       : model_trade_at(symbol, trades - 1);
}

static void change_add(struct sim_kucoin_event *event, uint32_t slot, bool ask, bool gone)
{
    struct sim_kucoin_change *change = &event->changes[event->change_count++];
    ASSERT(event->change_count <= SIM_KUCOIN_CHANGES);
    change->ask = ask;
    change->level = model_book_level(event->book, slot);
    change->level.quantity_e8 = gone ? 0 : change->level.quantity_e8;
}

/* When the mid moves by a slot, that slot's level leaves its old side first. */
static void changes_find(struct sim_kucoin_event *event, const struct sim_live *live)
{
    uint32_t mid = live->book.mid;
    if (live->touched_count > 1) {
        bool rose = model_mid(live->book.symbol, live->book.update - 1) < mid;
        change_add(event, rose ? mid - 1 : mid, rose, true);
    }
    for (uint32_t i = 0; i < live->touched_count; i++) {
        bool again = false;
        for (uint32_t k = 0; k < i; k++) {
            again |= live->touched[k] == live->touched[i];
        }
        if (!again) {
            change_add(event, live->touched[i], live->touched[i] >= mid, false);
        }
    }
}

static void level2_happens(struct sim *sim, uint32_t index, struct sim_kucoin_event *event)
{
    int64_t end = sim_kucoin_sequence(event->symbol, event->book->update);
    uint32_t count = event->change_count;
    event->stream = SIM_KUCOIN_LEVEL2;
    event->first = end - SIM_KUCOIN_CHANGES + 1;
    event->last = end;
    if (sim_kucoin_is_spot(sim)) {
        sim_kucoin_emit(sim, index, event);
        return;
    }
    for (uint32_t i = 0; i < SIM_KUCOIN_CHANGES; i++) {
        event->change_count = i < count ? i + 1 : count;
        event->first = event->last = end - SIM_KUCOIN_CHANGES + 1 + i;
        event->index = event->book->update * SIM_KUCOIN_CHANGES + i;
        sim_kucoin_emit(sim, index, event);
    }
    event->change_count = count;
}

/* The unified raw form: one message an update, without a snapshot. */
static void raw_happens(struct sim *sim, uint32_t index, struct sim_kucoin_event *event)
{
    event->stream = SIM_KUCOIN_OBU_RAW;
    event->index = event->book->update;
    event->last = sim_kucoin_sequence(event->symbol, event->book->update);
    event->first = event->last - SIM_KUCOIN_CHANGES + 1;
    event->levels = (struct sim_levels){.bids = sim->bids, .asks = sim->asks};
    for (uint32_t i = 0; i < event->change_count; i++) {
        const struct sim_kucoin_change *change = &event->changes[i];
        struct model_level *to = change->ask ? &sim->asks[event->levels.ask_count++]
                                             : &sim->bids[event->levels.bid_count++];
        *to = change->level;
    }
    sim_kucoin_emit(sim, index, event);
}

static void best_happens(struct sim *sim, uint32_t index, struct sim_live *live)
{
    struct sim_kucoin_event event =
        book_event(live, SIM_KUCOIN_LEVEL1, live->update_unix_ns, live->book.update);
    if (sim_heard(sim, index, SIM_KUCOIN_LEVEL1)) {
        sim_kucoin_emit(sim, index, &event);
    }
    if (sim_heard(sim, index, SIM_KUCOIN_QUOTE)) {
        event.stream = SIM_KUCOIN_QUOTE;
        event.trade = last_trade(event.symbol, live->update_unix_ns);
        sim_kucoin_emit(sim, index, &event);
    }
    if (sim_heard(sim, index, SIM_KUCOIN_OBU_1)) {
        event.stream = SIM_KUCOIN_OBU_1;
        event.snapshot = true;
        event.first = event.last = sim_kucoin_sequence(event.symbol, live->book.update);
        event.levels = (struct sim_levels){sim->bids, sim->asks, 1, 1};
        sim->bids[0] = model_book_level(&live->book, live->book.mid - 1);
        sim->asks[0] = model_book_level(&live->book, live->book.mid);
        sim_kucoin_emit(sim, index, &event);
    }
}

static void on_update(struct sim *sim, uint32_t index, struct sim_live *live, bool best_changed)
{
    bool level2 = sim_heard(sim, index, SIM_KUCOIN_LEVEL2);
    bool raw = sim_heard(sim, index, SIM_KUCOIN_OBU_RAW);
    if (best_changed) {
        best_happens(sim, index, live);
    }
    if (level2 || raw) {
        struct sim_kucoin_event event =
            book_event(live, SIM_KUCOIN_LEVEL2, live->update_unix_ns, live->book.update);
        changes_find(&event, live);
        if (level2) {
            level2_happens(sim, index, &event);
        }
        if (raw) {
            raw_happens(sim, index, &event);
        }
    }
    sim_kucoin_obu_update(sim, index, live);
}

/* Spot's depths and tickers when something changed; those of futures, and unified ones, always. */
static void depths_happen(struct sim *sim, uint32_t index, struct sim_live *live)
{
    static const struct {
        uint32_t stream, levels;
    } rows[] = {
        {SIM_KUCOIN_DEPTH5, 5},
        {SIM_KUCOIN_DEPTH50, 50},
        {SIM_KUCOIN_OBU_5, 5},
        {SIM_KUCOIN_OBU_50, 50},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool always = !sim_kucoin_is_spot(sim) || sim_kucoin_stream_is_unified(rows[i].stream);
        if (!sim_heard(sim, index, rows[i].stream) || (live->diff_100.touched == 0 && !always)) {
            continue;
        }
        struct sim_kucoin_event event = book_event(live, rows[i].stream, live->boundary_unix_ns,
                                                   live->boundary_unix_ns / TENTH_NS);
        event.snapshot = true;
        event.first = event.last = sim_kucoin_sequence(event.symbol, live->book.update);
        event.levels.bids = sim->bids;
        event.levels.asks = sim->asks;
        event.levels.bid_count = model_book_bids(&live->book, sim->bids, rows[i].levels);
        event.levels.ask_count = model_book_asks(&live->book, sim->asks, rows[i].levels);
        sim_kucoin_emit(sim, index, &event);
    }
}

static void ticker_happens(struct sim *sim, uint32_t index, struct sim_live *live)
{
    if (sim_heard(sim, index, SIM_KUCOIN_TICKER) && live->diff_100.touched > 0) {
        struct sim_kucoin_event event = book_event(live, SIM_KUCOIN_TICKER, live->boundary_unix_ns,
                                                   live->boundary_unix_ns / TENTH_NS);
        event.trade = last_trade(event.symbol, live->boundary_unix_ns);
        sim_kucoin_emit(sim, index, &event);
    }
}

static void candles_happen(struct sim *sim, uint32_t index, struct sim_live *live, uint32_t first)
{
    int64_t now = live->boundary_unix_ns;
    bool due = now / NS_PER_S % 2 == 0 && live->agg_next != live->kline_aggs;
    for (uint32_t i = 0; i < SIM_KUCOIN_CANDLES; i++) {
        if (!sim_heard(sim, index, first + i)) {
            continue;
        }
        struct sim_kucoin_event event = book_event(live, first + i, now, now / NS_PER_S);
        event.closed = sim_interval_start(sim_kucoin_candle_interval((int)i), now) == now;
        if (event.closed || due) {
            sim_kucoin_emit(sim, index, &event);
        }
    }
}

static void second_happens(struct sim *sim, uint32_t index, struct sim_live *live)
{
    int64_t now = live->boundary_unix_ns;
    bool minute = now % (60 * NS_PER_S) == 0;
    struct sim_kucoin_event event = book_event(live, SIM_KUCOIN_INSTRUMENT, now, now / NS_PER_S);
    if (sim_heard(sim, index, SIM_KUCOIN_INSTRUMENT)) {
        sim_kucoin_emit(sim, index, &event);
        event.funding = true;
        if (minute) {
            sim_kucoin_emit(sim, index, &event);
        }
    }
    event.stream = SIM_KUCOIN_MARK;
    if (sim_heard(sim, index, SIM_KUCOIN_MARK)) {
        sim_kucoin_emit(sim, index, &event);
    }
    event.stream = SIM_KUCOIN_FUNDING;
    if (minute && sim_heard(sim, index, SIM_KUCOIN_FUNDING)) {
        sim_kucoin_emit(sim, index, &event);
    }
    candles_happen(sim, index, live, SIM_KUCOIN_CANDLE);
    candles_happen(sim, index, live, SIM_KUCOIN_KLINE);
    if (now / NS_PER_S % 2 == 0) {
        live->kline_aggs = live->agg_next;
    }
}

static void on_tenth(struct sim *sim, uint32_t index, struct sim_live *live)
{
    int64_t number = live->boundary_unix_ns / TENTH_NS;
    bool spot = sim_kucoin_is_spot(sim);
    sim_kucoin_obu_tenth(sim, index, live);
    depths_happen(sim, index, live);
    ticker_happens(sim, index, live);
    if (number % (spot ? SNAPSHOT_EVERY_SPOT : SNAPSHOT_EVERY_FUTURES) == 0 &&
        sim_heard(sim, index, SIM_KUCOIN_SNAPSHOT)) {
        struct sim_kucoin_event event =
            book_event(live, SIM_KUCOIN_SNAPSHOT, live->boundary_unix_ns, number);
        sim_kucoin_emit(sim, index, &event);
    }
    if (live->boundary_unix_ns % NS_PER_S == 0) {
        second_happens(sim, index, live);
    }
}

#define ROW(id, exchange, spelling)                                                         \
    {                                                                                       \
        .venue = (id), .name = (exchange), .stream_count = SIM_KUCOIN_STREAM_COUNT,         \
        .own_bytes = sizeof(struct sim_kucoin),                                             \
        .own_symbol_bytes = sizeof(struct sim_kucoin_book), .spell = (spelling),            \
        .stream_group = stream_group, .stream_name = stream_name, .needs_book = needs_book, \
        .ws_open = sim_kucoin_ws_open, .ws_opened = sim_kucoin_ws_opened,                   \
        .ws_text = sim_kucoin_ws_text, .ws_turn = sim_kucoin_ws_turn,                       \
        .ws_shutdown = sim_kucoin_ws_shutdown, .on_subscribed = sim_kucoin_obu_subscribed,  \
        .on_order = on_order, .on_update = on_update, .on_tenth = on_tenth,                 \
        .rest = sim_kucoin_rest, .rest_piece = sim_kucoin_rest_piece,                       \
        .rest_head = sim_kucoin_rest_head                                                   \
    }

const struct sim_exchange sim_kucoin_spot = ROW(VENUE_KUCOIN, "kucoin", spell_spot);
const struct sim_exchange sim_kucoin_futures =
    ROW(VENUE_KUCOIN_FUTURES, "kucoin-futures", spell_futures);
