/* Time passing over the market, and who hears of it. Each symbol with a listener has a living book
 * and places in its sequences; a turn lets each go on, in the order of its own times, until now.
 * Symbols nobody listens to cost nothing: their state is computed when somebody comes, since the
 * model has no history.
 *
 * A message is written once per time unit and sent to every subscriber. At most TURN_EVENTS events
 * a symbol and turn; what is left is due at once (and lag_ms_max in the status says so). */
#include "sim/sim_internal.h"

#include <string.h>

#include "base/assert.h"
#include "sim/sim_exchange.h"

#define TURN_EVENTS 256
#define TENTH_NS (100 * NS_PER_MS)
#define SECOND_NS NS_PER_S

/* ---- subscriptions */

static uint32_t *stream_head(struct sim *sim, uint32_t symbol, uint32_t stream)
{
    return &sim->heads[symbol * sim->exchange->stream_count + stream];
}

void sim_feed_init(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->model.count * sim->exchange->stream_count; i++) {
        sim->heads[i] = SIM_NONE;
    }
    for (uint32_t i = 0; i < sim->subs_max; i++) {
        sim->subs[i].stream_next = i + 1 < sim->subs_max ? i + 1 : SIM_NONE;
    }
    sim->subs_free = 0;
    size_t steps = 0;
    for (uint32_t i = 0; i < sim->model.count; i++) {
        sim->live[i].due_unix_ns = INT64_MAX;
        sim->live[i].book.symbol = &sim->model.symbols[i];
        sim->live[i].book.steps = sim->live_steps + steps;
        steps += sim->model.symbols[i].trading ? sim->model.symbols[i].slots : 0;
    }
}

static int64_t live_due(const struct sim_live *live)
{
    if (live->sub_count == 0) {
        return INT64_MAX;
    }
    int64_t due = live->agg_unix_ns;
    if (live->book_active) {
        due = live->update_unix_ns < due ? live->update_unix_ns : due;
        due = live->boundary_unix_ns < due ? live->boundary_unix_ns : due;
    }
    return due;
}

/* The book as of the last whole second, brought forward, so that both kinds of depth events start
 * with everything since their last boundary. */
static void book_start(struct sim *sim, struct sim_live *live)
{
    const struct model_symbol *symbol = live->book.symbol;
    int64_t second = sim->now_unix_ns / SECOND_NS * SECOND_NS;
    int64_t tenth = sim->now_unix_ns / TENTH_NS * TENTH_NS;
    int64_t tenth_update = model_update_until(symbol, tenth);
    int64_t now_update = model_update_until(symbol, sim->now_unix_ns);
    model_book_build(&live->book, symbol, live->book.steps, model_update_until(symbol, second));
    model_diff_begin(&live->diff_1000, &live->book);
    model_diff_begin(&live->diff_100, &live->book);
    while (live->book.update < now_update) {
        uint32_t touched[MODEL_TOUCHES_MAX];
        bool best_changed;
        if (live->book.update == tenth_update) {
            model_diff_begin(&live->diff_100, &live->book);
        }
        uint32_t count = model_book_advance(&live->book, touched, &best_changed);
        for (uint32_t i = 0; i < count; i++) {
            model_diff_touch(&live->diff_100, &live->book, touched[i]);
            model_diff_touch(&live->diff_1000, &live->book, touched[i]);
        }
    }
    if (live->book.update == tenth_update) {
        model_diff_begin(&live->diff_100, &live->book);
    }
    live->update_unix_ns = model_update_time(symbol, live->book.update + 1);
    live->boundary_unix_ns = tenth + TENTH_NS;
    live->second_aggs = live->agg_next;
    live->second_update = live->book.update;
    live->kline_aggs = live->agg_next;
    live->book_active = true;
}

static void live_start(struct sim *sim, struct sim_live *live, uint32_t stream)
{
    const struct model_symbol *symbol = live->book.symbol;
    if (live->sub_count == 0) {
        live->agg_next = model_aggs_until(symbol, sim->now_unix_ns);
        live->agg_unix_ns = model_agg_time(symbol, live->agg_next);
        live->book_active = false;
    }
    if (sim->exchange->needs_book(stream) && !live->book_active) {
        book_start(sim, live);
    }
}

uint32_t sim_feed_find(const struct sim_conn *conn, uint32_t symbol, uint32_t stream)
{
    const struct sim *sim = conn->sim;
    uint32_t at = sim->heads[symbol * sim->exchange->stream_count + stream];
    while (at != SIM_NONE && sim->subs[at].conn != conn->index) {
        at = sim->subs[at].stream_next;
    }
    return at;
}

bool sim_feed_subscribe(struct sim_conn *conn, uint32_t symbol, uint32_t stream)
{
    struct sim *sim = conn->sim;
    if (sim_feed_find(conn, symbol, stream) != SIM_NONE) {
        return true;
    }
    uint32_t at = sim->subs_free;
    if (at == SIM_NONE) {
        return false;
    }
    struct sim_sub *sub = &sim->subs[at];
    sim->subs_free = sub->stream_next;
    uint32_t *head = stream_head(sim, symbol, stream);
    *sub = (struct sim_sub){.conn = conn->index,
                            .symbol = symbol,
                            .stream = stream,
                            .stream_next = *head,
                            .stream_previous = SIM_NONE,
                            .conn_next = conn->subs,
                            .conn_previous = SIM_NONE};
    if (*head != SIM_NONE) {
        sim->subs[*head].stream_previous = at;
    }
    if (conn->subs != SIM_NONE) {
        sim->subs[conn->subs].conn_previous = at;
    }
    *head = at;
    conn->subs = at;
    conn->sub_count++;
    sim->counters[SIM_COUNT_SUBSCRIBED]++;
    struct sim_live *live = &sim->live[symbol];
    if (sim->replay != NULL) {
        sim_replay_subscribed(sim);
    } else if (live->book.symbol->trading) {
        live_start(sim, live, stream);
        live->sub_count++;
        live->due_unix_ns = live_due(live);
    }
    if (sim->exchange->on_subscribed != NULL) {
        sim->exchange->on_subscribed(sim, at);
    }
    return true;
}

static void sub_remove(struct sim_conn *conn, uint32_t at)
{
    struct sim *sim = conn->sim;
    struct sim_sub *sub = &sim->subs[at];
    if (sub->stream_previous != SIM_NONE) {
        sim->subs[sub->stream_previous].stream_next = sub->stream_next;
    } else {
        *stream_head(sim, sub->symbol, sub->stream) = sub->stream_next;
    }
    if (sub->stream_next != SIM_NONE) {
        sim->subs[sub->stream_next].stream_previous = sub->stream_previous;
    }
    if (sub->conn_previous != SIM_NONE) {
        sim->subs[sub->conn_previous].conn_next = sub->conn_next;
    } else {
        conn->subs = sub->conn_next;
    }
    if (sub->conn_next != SIM_NONE) {
        sim->subs[sub->conn_next].conn_previous = sub->conn_previous;
    }
    struct sim_live *live = &sim->live[sub->symbol];
    if (live->sub_count > 0) {
        live->sub_count--;
        live->due_unix_ns = live_due(live);
    }
    sub->stream_next = sim->subs_free;
    sim->subs_free = at;
    conn->sub_count--;
}

bool sim_feed_unsubscribe(struct sim_conn *conn, uint32_t symbol, uint32_t stream)
{
    uint32_t at = sim_feed_find(conn, symbol, stream);
    if (at == SIM_NONE) {
        return false;
    }
    sub_remove(conn, at);
    return true;
}

void sim_feed_forget(struct sim_conn *conn)
{
    while (conn->subs != SIM_NONE) {
        sub_remove(conn, conn->subs);
    }
}

/* ---- sending */

bool sim_feed_wants_micro(const struct sim *sim, uint32_t symbol, uint32_t stream)
{
    uint32_t at = sim->heads[symbol * sim->exchange->stream_count + stream];
    for (; at != SIM_NONE; at = sim->subs[at].stream_next) {
        if (sim->conns[sim->subs[at].conn].micro) {
            return true;
        }
    }
    return false;
}

/* Puts {"stream":"<name>","data": right before the payload and } behind it. Returns where the whole
 * begins. */
static char *wrap(const struct sim *sim, uint32_t symbol, uint32_t stream, char *text, size_t bytes)
{
    char prefix[SIM_PREFIX_BYTES];
    struct buf out = buf_over(prefix, sizeof prefix);
    buf_put_str(&out, STR("{\"stream\":\""));
    sim->exchange->stream_name(sim, symbol, stream, &out);
    buf_put_str(&out, STR("\",\"data\":"));
    ASSERT(!out.overflow);
    char *start = text + SIM_PREFIX_BYTES - out.bytes;
    memcpy(start, prefix, out.bytes);
    text[SIM_PREFIX_BYTES + bytes] = '}';
    return start;
}

static void send_all(struct sim *sim, uint32_t symbol, uint32_t stream, char *const text[2],
                     const size_t bytes[2])
{
    char *whole[2] = {NULL, NULL};
    for (int unit = 0; unit < 2; unit++) {
        if (bytes[unit] > 0) {
            whole[unit] = wrap(sim, symbol, stream, text[unit], bytes[unit]);
        }
    }
    uint32_t next;
    for (uint32_t at = *stream_head(sim, symbol, stream); at != SIM_NONE; at = next) {
        next = sim->subs[at].stream_next;
        struct sim_conn *conn = &sim->conns[sim->subs[at].conn];
        int unit = conn->micro ? 1 : 0;
        if (bytes[unit] == 0 || sim->subs[at].muted || sim->subs[at].dead) {
            continue; /* came after the text was held back, or waits for its snapshot */
        }
        char *payload = text[unit] + SIM_PREFIX_BYTES;
        if (conn->combined) {
            sim_ws_send(conn, whole[unit], (size_t)(payload - whole[unit]) + bytes[unit] + 1);
        } else {
            sim_ws_send(conn, payload, bytes[unit]);
        }
    }
}

static bool hold_back(struct sim *sim, uint32_t symbol, uint32_t stream, const size_t bytes[2])
{
    if (sim->held || bytes[0] > SIM_HELD_BYTES || bytes[1] > SIM_HELD_BYTES) {
        sim->counters[SIM_COUNT_SWAPS_REFUSED]++;
        return false;
    }
    for (int unit = 0; unit < 2; unit++) {
        memcpy(sim->held_text[unit] + SIM_PREFIX_BYTES, sim->text[unit] + SIM_PREFIX_BYTES,
               bytes[unit]);
        sim->held_bytes[unit] = bytes[unit];
    }
    sim->held = true;
    sim->held_symbol = symbol;
    sim->held_stream = stream;
    return true;
}

/* JSON: any byte. A binary message (SBE): its template's number, since nothing in the format shows
 * that a value was altered. */
static void corrupt(struct sim *sim, int64_t index, const size_t bytes[2])
{
    for (int unit = 0; unit < 2; unit++) {
        if (bytes[unit] > 0) {
            char *text = sim->text[unit] + SIM_PREFIX_BYTES;
            bool json = text[0] == '{' || text[0] == '[';
            uint64_t place = model_mix(sim->faults.seed, (uint64_t)index) % bytes[unit];
            text[json ? place : 2] = 1;
        }
    }
}

/* The last digit of the first level's amount, of a side that is spelled [["price","amount"]: what
 * no id shows. False: no such level. */
static bool falsify(struct sim *sim, const size_t bytes[2])
{
    bool any = false;
    for (int unit = 0; unit < 2; unit++) {
        char *text = sim->text[unit] + SIM_PREFIX_BYTES;
        char *end = text + bytes[unit];
        char *at = bytes[unit] > 0 ? memmem(text, bytes[unit], "[[\"", 3) : NULL;
        at = at != NULL ? memmem(at + 3, (size_t)(end - at - 3), "\",\"", 3) : NULL;
        char *quote = at != NULL ? memchr(at + 3, '"', (size_t)(end - at - 3)) : NULL;
        if (quote != NULL && quote[-1] >= '0' && quote[-1] <= '9') {
            quote[-1] = quote[-1] == '9' ? '1' : (char)(quote[-1] + 1);
            any = true;
        }
    }
    return any;
}

static uint32_t subscribers(const struct sim *sim, uint32_t symbol, uint32_t stream)
{
    uint32_t count = 0;
    uint32_t at = sim->heads[symbol * sim->exchange->stream_count + stream];
    for (; at != SIM_NONE; at = sim->subs[at].stream_next) {
        count++;
    }
    return count;
}

/* Commits the fault; returns how often the message is still to be sent. */
static int message_fault(struct sim *sim, struct sim_fault_rule *rule, uint32_t symbol,
                         uint32_t stream, int64_t index, const size_t bytes[2])
{
    int times = 1;
    if (rule->fault == SIM_FAULT_DROP) {
        times = 0;
    } else if (rule->fault == SIM_FAULT_DUP) {
        times = 2;
    } else if (rule->fault == SIM_FAULT_CORRUPT) {
        corrupt(sim, index, bytes);
    } else if (rule->fault == SIM_FAULT_FALSIFY) {
        if (!falsify(sim, bytes)) {
            return 1;
        }
    } else if (hold_back(sim, symbol, stream, bytes)) {
        times = 0;
    } else {
        return 1; /* refused and counted */
    }
    char name[SIM_PREFIX_BYTES];
    struct buf out = buf_over(name, sizeof name - 1);
    sim->exchange->stream_name(sim, symbol, stream, &out);
    name[out.bytes] = 0;
    sim_fault_note(sim, rule, 0, name, index);
    return times;
}

void sim_feed_send(struct sim *sim, uint32_t symbol, uint32_t stream, int64_t index, size_t bytes,
                   size_t micro_bytes)
{
    const size_t both[2] = {bytes, micro_bytes};
    int times = 1;
    bool release = sim->held && sim->held_symbol == symbol && sim->held_stream == stream;
    if (sim->faults.any_message && !release && subscribers(sim, symbol, stream) > 0) {
        struct sim_fault_rule *rule =
            sim_faults_message(&sim->faults, sim->exchange->stream_group(stream),
                               sim->model.symbols[symbol].name, index, sim_since_start_ns(sim));
        if (rule != NULL) {
            times = message_fault(sim, rule, symbol, stream, index, both);
        }
    }
    for (int i = 0; i < times; i++) {
        send_all(sim, symbol, stream, sim->text, both);
    }
    if (release) {
        sim->held = false;
        send_all(sim, symbol, stream, sim->held_text, sim->held_bytes);
    }
}

/* ---- what happens */

static void order_happens(struct sim *sim, uint32_t index, struct sim_live *live)
{
    sim->exchange->on_order(sim, index, live);
    live->agg_next++;
    live->agg_unix_ns = model_agg_time(live->book.symbol, live->agg_next);
}

static void update_happens(struct sim *sim, uint32_t index, struct sim_live *live)
{
    bool best_changed;
    live->touched_count = model_book_advance(&live->book, live->touched, &best_changed);
    for (uint32_t i = 0; i < live->touched_count; i++) {
        model_diff_touch(&live->diff_100, &live->book, live->touched[i]);
        model_diff_touch(&live->diff_1000, &live->book, live->touched[i]);
    }
    sim->exchange->on_update(sim, index, live, best_changed);
    live->update_unix_ns = model_update_time(live->book.symbol, live->book.update + 1);
}

static void boundary_happens(struct sim *sim, uint32_t index, struct sim_live *live)
{
    sim->exchange->on_tenth(sim, index, live);
    if (live->diff_100.touched > 0) {
        model_diff_begin(&live->diff_100, &live->book);
    }
    if (live->boundary_unix_ns % SECOND_NS == 0 && live->diff_1000.touched > 0) {
        model_diff_begin(&live->diff_1000, &live->book);
    }
    live->boundary_unix_ns += TENTH_NS;
}

/* Updates come before the boundary of the same moment, orders after updates. */
static void live_turn(struct sim *sim, uint32_t index, struct sim_live *live)
{
    for (int i = 0; i < TURN_EVENTS; i++) {
        int64_t due = live_due(live);
        if (due > sim->now_unix_ns) {
            break;
        }
        if (live->book_active && live->update_unix_ns == due) {
            update_happens(sim, index, live);
        } else if (live->agg_unix_ns == due) {
            order_happens(sim, index, live);
        } else {
            boundary_happens(sim, index, live);
        }
    }
    live->due_unix_ns = live_due(live);
}

int64_t sim_feed_turn(struct sim *sim)
{
    if (sim->replay != NULL) {
        return sim_replay_turn(sim);
    }
    int64_t next = INT64_MAX;
    for (uint32_t i = 0; i < sim->model.config.symbols; i++) {
        struct sim_live *live = &sim->live[i];
        if (live->due_unix_ns <= sim->now_unix_ns) {
            live_turn(sim, i, live);
            int64_t lag = sim->now_unix_ns - live->due_unix_ns;
            sim->lag_ns_max = lag > sim->lag_ns_max ? lag : sim->lag_ns_max;
        }
        next = live->due_unix_ns < next ? live->due_unix_ns : next;
    }
    return next;
}

const struct model_book *sim_feed_book(struct sim *sim, uint32_t symbol, int64_t time_unix_ns,
                                       struct model_book *built)
{
    struct sim_live *live = &sim->live[symbol];
    if (live->sub_count > 0 && live->book_active && time_unix_ns >= sim->now_unix_ns) {
        return &live->book;
    }
    const struct model_symbol *wanted = &sim->model.symbols[symbol];
    model_book_build(built, wanted, sim->steps, model_update_until(wanted, time_unix_ns));
    return built;
}
