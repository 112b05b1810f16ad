/* An hour of a market of our own making. See store_rows.h.
 * Place: bench only; bench_store lands it, and writes it out once for those it is compared with.
 * Cost: no logarithm and no division by a variable in the way of a row, so that making a row is
 * cheap against landing it (the symbol comes from an alias table, sizes and waits from tables). */
#include "store_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_NS 3600000000000LL
#define FILLED 0.97 /* of the hour */
#define SIZES 16384 /* odd sizes to choose from */
#define WAITS 4096
#define ROWS_A_BURST 2.83 /* on average, see burst_rows() */
#define BURST_NS 37000    /* how long it takes, on average */
#define LEVELS_A_MESSAGE 30.5

struct symbol {
    char name[12];
    int64_t price; /* in ticks */
    int64_t trade_id, update_id;
    int32_t step;         /* how far a move goes, in ticks */
    int8_t tick_exponent; /* 10^e a tick */
    int8_t lot_exponent;
    bool buying;
};

struct rows_market {
    enum channel channel;
    uint32_t symbols;
    uint64_t random, seq;
    int64_t now_ns;
    double wait_mean_ns;
    uint32_t burst_left, burst_symbol;
    int64_t burst_event_ns;
    int64_t sizes[SIZES];
    double waits[WAITS]; /* exponential, mean 1 */
    uint32_t alias_threshold[ROWS_SYMBOLS_MAX], alias[ROWS_SYMBOLS_MAX];
    struct level levels[ROWS_LEVELS_MAX];
    struct symbol symbol[ROWS_SYMBOLS_MAX];
};

static uint64_t random_next(struct rows_market *m)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return m->random;
}

static uint32_t random_below(struct rows_market *m, uint32_t n)
{
    return (uint32_t)(((random_next(m) >> 32) * n) >> 32);
}

/* ---- set-up */

/* Walker's alias table over weights 1 / (rank + 5). */
static void alias_make(struct rows_market *m)
{
    static double share[ROWS_SYMBOLS_MAX];
    static uint32_t small[ROWS_SYMBOLS_MAX], large[ROWS_SYMBOLS_MAX];
    uint32_t smalls = 0;
    uint32_t larges = 0;
    double sum = 0;
    for (uint32_t i = 0; i < m->symbols; i++) {
        sum += 1.0 / (i + 5);
    }
    for (uint32_t i = 0; i < m->symbols; i++) {
        share[i] = 1.0 / (i + 5) / sum * m->symbols;
        if (share[i] < 1) {
            small[smalls++] = i;
        } else {
            large[larges++] = i;
        }
    }
    while (smalls > 0 && larges > 0) {
        uint32_t s = small[--smalls];
        uint32_t l = large[larges - 1];
        m->alias_threshold[s] = (uint32_t)(share[s] * UINT32_MAX);
        m->alias[s] = l;
        share[l] -= 1 - share[s];
        if (share[l] < 1) {
            small[smalls++] = l;
            larges--;
        }
    }
    while (larges > 0) {
        m->alias_threshold[large[--larges]] = UINT32_MAX;
    }
    while (smalls > 0) {
        m->alias_threshold[small[--smalls]] = UINT32_MAX;
    }
}

static void tables_make(struct rows_market *m)
{
    for (uint32_t i = 0; i < SIZES; i++) {
        m->sizes[i] = (int64_t)exp((double)i / SIZES * 9) + 7;
    }
    for (uint32_t i = 0; i < WAITS; i++) {
        m->waits[i] = -log((i + 0.5) / WAITS);
    }
}

static void symbol_make(struct rows_market *m, uint32_t index)
{
    struct symbol *s = &m->symbol[index];
    snprintf(s->name, sizeof s->name, "S%05uUSDT", index % 100000);
    static const int8_t ticks[] = {-2, -4, -5, -3, -6, -8};
    static const int8_t lots[] = {-5, -2, -1, -3, 0, 0};
    uint32_t kind = random_below(m, 6);
    s->tick_exponent = ticks[kind];
    s->lot_exponent = lots[kind];
    s->price = 1200 + random_below(m, index < m->symbols / 20 ? 900000 : 40000);
    uint32_t restless = random_below(m, 10);
    s->step = restless < 5 ? 1 : restless < 8 ? 3 : 30;
    s->trade_id = 1000000 + (int64_t)random_below(m, 4000000000u);
    s->update_id = 5000000000 + (int64_t)random_below(m, 4000000000u);
}

struct rows_market *rows_open(enum channel channel, uint32_t symbols, uint64_t rows)
{
    struct rows_market *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    m->channel = channel;
    m->symbols = symbols;
    m->random = 88172645463325252u;
    m->now_ns = ROWS_HOUR_NS;
    double rows_a_step = channel == CHANNEL_TRADES ? ROWS_A_BURST : LEVELS_A_MESSAGE;
    m->wait_mean_ns = (double)HOUR_NS * FILLED / (double)rows * rows_a_step;
    m->wait_mean_ns -= channel == CHANNEL_TRADES ? BURST_NS : 0;
    alias_make(m);
    tables_make(m);
    for (uint32_t i = 0; i < symbols; i++) {
        symbol_make(m, i);
    }
    return m;
}

void rows_close(struct rows_market *market)
{
    free(market);
}

/* ---- rows */

static uint32_t symbol_pick(struct rows_market *m)
{
    uint64_t r = random_next(m);
    uint32_t index = (uint32_t)(((r >> 32) * m->symbols) >> 32);
    return (uint32_t)r <= m->alias_threshold[index] ? index : m->alias[index];
}

/* Two of three orders meet one resting order, the third up to a dozen. */
static uint32_t burst_rows(struct rows_market *m)
{
    return random_below(m, 3) > 0 ? 1 : 1 + random_below(m, 12);
}

static int64_t size_pick(struct rows_market *m)
{
    uint32_t kind = random_below(m, 10);
    if (kind < 2) {
        return (int64_t)(1 + random_below(m, 20)) * 1000;
    }
    if (kind < 5) {
        return 8 + random_below(m, 40);
    }
    if (kind < 7) {
        return (int64_t)(1 + random_below(m, 100)) * 100;
    }
    return m->sizes[random_next(m) >> 50];
}

/* The moment of the next message of any symbol: now and then a rush, mostly none. */
static void wait_some(struct rows_market *m)
{
    m->now_ns += (int64_t)(m->waits[random_next(m) >> 52] * m->wait_mean_ns) + 1000;
}

static void price_move(struct rows_market *m, struct symbol *s)
{
    if (random_below(m, 4) == 0) {
        int64_t step = (int64_t)random_below(m, (uint32_t)s->step * 2 + 1) - s->step;
        s->price += s->price + step > 100 ? step : 0;
    }
}

static int64_t event_time(struct rows_market *m)
{
    int64_t late_ns = 3000000 + (int64_t)(random_next(m) >> 43);
    return (m->now_ns - late_ns) / 1000000 * 1000000;
}

static void trade_make(struct rows_market *m, struct symbol *s, struct event *event)
{
    if (m->burst_left == 0) {
        wait_some(m);
        m->burst_left = burst_rows(m);
        m->burst_event_ns = event_time(m);
        s->buying = random_below(m, 10) < 6 ? s->buying : !s->buying;
        price_move(m, s);
    } else {
        m->now_ns += random_below(m, 40) * 1000;
    }
    m->burst_left--;
    int64_t deeper = m->burst_left > 2 ? (int64_t)random_below(m, 3) : 0;
    int64_t price = s->price + (s->buying ? 1 + deeper : -deeper);
    event->event_unix_ns = m->burst_event_ns;
    event->trade = (struct trade_event){
        .trade_id = s->trade_id++,
        .side = s->buying ? SIDE_BUY : SIDE_SELL,
        .price = {price, s->tick_exponent},
        .amount = {size_pick(m), s->lot_exponent},
    };
}

static void depth_make(struct rows_market *m, struct symbol *s, struct event *event)
{
    wait_some(m);
    price_move(m, s);
    uint32_t levels = 1 + random_below(m, ROWS_LEVELS_MAX);
    uint32_t bids = levels / 2;
    int64_t far_max = s->price / 50 > 20 ? s->price / 50 : 20;
    for (uint32_t i = 0; i < levels; i++) {
        double far = (double)(random_next(m) >> 40) / (1 << 24);
        int64_t away = 1 + (int64_t)(far * far * far * (double)far_max);
        bool deleted = random_below(m, 3) == 0;
        m->levels[i].price =
            (struct decimal){i < bids ? s->price - away : s->price + away, s->tick_exponent};
        m->levels[i].amount = (struct decimal){deleted ? 0 : size_pick(m), s->lot_exponent};
    }
    int64_t first = s->update_id + 1;
    s->update_id += levels + random_below(m, 30);
    event->event_unix_ns = event_time(m);
    event->depth = (struct depth_event){.first_update_id = first,
                                        .last_update_id = s->update_id,
                                        .prev_update_id = ID_NONE,
                                        .bids = m->levels,
                                        .bid_count = bids,
                                        .asks = m->levels + bids,
                                        .ask_count = levels - bids};
}

uint32_t rows_next(struct rows_market *m, struct event *event)
{
    if (m->burst_left == 0) {
        m->burst_symbol = symbol_pick(m);
    }
    struct symbol *s = &m->symbol[m->burst_symbol];
    if (m->channel == CHANNEL_TRADES) {
        trade_make(m, s, event);
    } else {
        depth_make(m, s, event);
    }
    event->channel = m->channel;
    event->venue = VENUE_BINANCE;
    event->symbol = str_make(s->name, 10);
    event->recv_unix_ns = m->now_ns;
    event->conn = 1 + m->burst_symbol % 4;
    event->seq = ++m->seq;
    return m->burst_symbol;
}
