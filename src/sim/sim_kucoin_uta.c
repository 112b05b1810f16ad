/* obu with depth increment@10ms: a snapshot of the best 500 levels a side some time after the
 * subscription, then what changed within them, at most one message in 10 ms. A level that leaves
 * the best 500 is told as "0", one that comes within is told. All subscribers of a symbol share the
 * increments; one that waits for its snapshot is muted. State: a set of touched slots a symbol
 * (struct sim_kucoin_book). Source: exchanges/kucoin.md section 8. */
#include "sim/sim_kucoin.h"

#include "base/assert.h"

#define TELL_NS (10 * NS_PER_MS)
#define SNAPSHOT_AFTER_NS (500 * NS_PER_MS) /* 0.5 to 6.2 s were seen */

/* Slots of the best 500 levels a side. */
static void window_find(const struct model_book *book, uint32_t *low, uint32_t *high)
{
    uint32_t count = 0;
    for (*low = book->mid; *low > 0 && count < SIM_KUCOIN_OBU_LEVELS; --*low) {
        count += book->steps[*low - 1] != 0;
    }
    count = 0;
    for (*high = book->mid; *high < book->symbol->slots && count < SIM_KUCOIN_OBU_LEVELS; ++*high) {
        count += book->steps[*high] != 0;
    }
}

static void book_begin(struct sim_kucoin_book *told, const struct sim_live *live,
                       int64_t time_unix_ns)
{
    told->active = true;
    told->told_unix_ns = time_unix_ns;
    model_diff_begin(&told->diff, &live->book);
    window_find(&live->book, &told->low, &told->high);
}

void sim_kucoin_obu_subscribed(struct sim *sim, uint32_t at)
{
    struct sim_sub *sub = &sim->subs[at];
    if (sub->stream != SIM_KUCOIN_OBU || !sim->model.symbols[sub->symbol].trading ||
        sim->replay != NULL) {
        return;
    }
    if (sub->stream_next == SIM_NONE && sub->stream_previous == SIM_NONE) {
        book_begin(sim_kucoin_book_of(sim, sub->symbol), &sim->live[sub->symbol], sim->now_unix_ns);
    }
    sub->muted = true;
    sub->due_unix_ns = sim->now_unix_ns + SNAPSHOT_AFTER_NS;
}

struct span {
    int64_t low_e8, high_e8; /* prices told, both ends */
};

static struct span span_of(const struct model_symbol *symbol, uint32_t low, uint32_t high)
{
    return (struct span){model_slot_price(symbol, low), model_slot_price(symbol, high - 1)};
}

static bool span_has(const struct span *span, int64_t price_e8)
{
    return price_e8 >= span->low_e8 && price_e8 <= span->high_e8;
}

/* What touched slots say to those who know the old span: a level that is in neither, nothing. */
static uint32_t levels_cut(struct model_level *levels, uint32_t count, const struct span *now,
                           const struct span *was)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct model_level level = levels[i];
        bool within = span_has(now, level.price_e8);
        if (within || span_has(was, level.price_e8)) {
            level.quantity_e8 *= within;
            levels[kept++] = level;
        }
    }
    return kept;
}

/* Slots that are within one window only count as touched. */
static void edge_touch(struct sim_kucoin_book *told, const struct model_book *book, uint32_t a,
                       uint32_t b)
{
    for (uint32_t slot = a < b ? a : b; slot < (a < b ? b : a); slot++) {
        if (book->steps[slot] != 0) {
            model_diff_touch(&told->diff, book, slot);
        }
    }
}

/* Has anybody had the snapshot? */
static bool somebody_knows(const struct sim *sim, uint32_t index)
{
    uint32_t at = sim->heads[index * sim->exchange->stream_count + SIM_KUCOIN_OBU];
    while (at != SIM_NONE && sim->subs[at].muted) {
        at = sim->subs[at].stream_next;
    }
    return at != SIM_NONE;
}

static void tell(struct sim *sim, uint32_t index, struct sim_live *live, int64_t time_unix_ns)
{
    struct sim_kucoin_book *told = sim_kucoin_book_of(sim, index);
    const struct model_symbol *symbol = live->book.symbol;
    uint32_t low = 0;
    uint32_t high = symbol->slots;
    if (symbol->slots > SIM_KUCOIN_OBU_LEVELS) {
        window_find(&live->book, &low, &high);
        edge_touch(told, &live->book, low, told->low);
        edge_touch(told, &live->book, high, told->high);
    }
    struct sim_kucoin_event event = {
        .stream = SIM_KUCOIN_OBU,
        .symbol = symbol,
        .book = &live->book,
        .index = live->book.update,
        .time_unix_ns = time_unix_ns,
        .first = sim_kucoin_sequence(symbol, told->diff.update_from) + 1,
        .last = sim_kucoin_sequence(symbol, live->book.update),
        .levels = {.bids = sim->bids, .asks = sim->asks},
    };
    model_diff_levels(&told->diff, &live->book, sim->bids, &event.levels.bid_count, sim->asks,
                      &event.levels.ask_count);
    struct span now = span_of(symbol, low, high);
    struct span was = span_of(symbol, told->low, told->high);
    event.levels.bid_count = levels_cut(sim->bids, event.levels.bid_count, &now, &was);
    event.levels.ask_count = levels_cut(sim->asks, event.levels.ask_count, &now, &was);
    if (somebody_knows(sim, index)) {
        sim_kucoin_emit(sim, index, &event);
    }
    model_diff_begin(&told->diff, &live->book);
    told->told_unix_ns = time_unix_ns;
    told->low = low;
    told->high = high;
}

void sim_kucoin_obu_update(struct sim *sim, uint32_t index, struct sim_live *live)
{
    struct sim_kucoin_book *told = sim_kucoin_book_of(sim, index);
    if (!told->active) {
        return;
    }
    if (!sim_heard(sim, index, SIM_KUCOIN_OBU)) {
        told->active = false;
        return;
    }
    for (uint32_t i = 0; i < live->touched_count; i++) {
        model_diff_touch(&told->diff, &live->book, live->touched[i]);
    }
    if (live->update_unix_ns - told->told_unix_ns >= TELL_NS) {
        tell(sim, index, live, live->update_unix_ns);
    }
}

static void snapshot_send(struct sim *sim, struct sim_live *live, const struct sim_sub *sub)
{
    struct sim_kucoin_event event = {
        .stream = SIM_KUCOIN_OBU,
        .symbol = live->book.symbol,
        .book = &live->book,
        .index = live->book.update,
        .time_unix_ns = live->boundary_unix_ns,
        .snapshot = true,
        .first = sim_kucoin_sequence(live->book.symbol, live->book.update),
        .last = sim_kucoin_sequence(live->book.symbol, live->book.update),
        .levels = {.bids = sim->bids, .asks = sim->asks},
    };
    event.levels.bid_count = model_book_bids(&live->book, sim->bids, SIM_KUCOIN_OBU_LEVELS);
    event.levels.ask_count = model_book_asks(&live->book, sim->asks, SIM_KUCOIN_OBU_LEVELS);
    struct buf out = sim_message_buf(sim);
    sim_kucoin_put_event(&out, sim, &event);
    sim_ws_send(&sim->conns[sub->conn], out.data, out.bytes);
}

void sim_kucoin_obu_tenth(struct sim *sim, uint32_t index, struct sim_live *live)
{
    struct sim_kucoin_book *told = sim_kucoin_book_of(sim, index);
    if (!told->active || !sim_heard(sim, index, SIM_KUCOIN_OBU)) {
        return;
    }
    if (told->diff.touched > 0) {
        tell(sim, index, live, live->boundary_unix_ns);
    }
    uint32_t at = sim->heads[index * sim->exchange->stream_count + SIM_KUCOIN_OBU];
    for (; at != SIM_NONE; at = sim->subs[at].stream_next) {
        struct sim_sub *sub = &sim->subs[at];
        if (sub->muted && live->boundary_unix_ns >= sub->due_unix_ns) {
            sub->muted = false;
            if (!sub->dead) {
                snapshot_send(sim, live, sub);
            }
        }
    }
}
