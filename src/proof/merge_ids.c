/* Trades and book tickers, joined by id: the lowest first, A's where both have it. See merge.h.
 * An id that comes late (backfilled, or out of order) lands if nobody has brought it by then; B's
 * message lies between A's neighbours, whatever B's clock said. Memory: one hole a run of ids that
 * neither had yet; where ids only grow, the newest 4096. */
#include "proof/merge_internal.h"

#define GROWING_HOLES_MAX 4096

struct id_merge {
    struct cursor sides[SIDES];
    int64_t first_id, last_id; /* ID_NONE: none yet */
    int last_side;
    int64_t last_us;
    bool counted; /* ids count up by one: what is missing is known */
    bool ticker;
    struct holes missing;
    int chosen; /* side of the message to land next; -1: not looked yet */
};

static int64_t id_of(const struct cursor *cursor)
{
    const struct event *event = &cursor->event;
    return event->channel == CHANNEL_TRADES ? event->trade.trade_id : event->book_ticker.update_id;
}

static bool is_restart(int64_t last, int64_t id)
{
    return id < last && (uint64_t)last - (uint64_t)id >= MERGE_RESTART_DISTANCE;
}

/* A message whose id is not above the last: 1 = it lands, 0 = another has brought it. */
static int late(struct id_merge *ids, int side)
{
    const struct cursor *cursor = &ids->sides[side];
    int64_t id = id_of(cursor);
    if (ids->ticker) { /* a venue may say an id twice; B says nothing that A does not */
        return side == SIDE_A && !(id == ids->last_id && ids->last_side == SIDE_B);
    }
    bool before_all = id < ids->first_id && (cursor->event.trade.flags & TRADE_BACKFILL) != 0;
    return before_all && side == SIDE_A ? 1 : holes_fill(&ids->missing, id);
}

/* What is to be done with this side's message: 1 = it may land now, 2 = it waits its turn by id,
 * 0 = it is of no use. Negative: no memory. */
static int judge(struct id_merge *ids, int side)
{
    const struct cursor *cursor = &ids->sides[side];
    int64_t id = id_of(cursor);
    if (id == ID_NONE) {
        return side == SIDE_A;
    }
    if (ids->last_id == ID_NONE) {
        return 2;
    }
    if (is_restart(ids->last_id, id)) {
        return side == SIDE_A;
    }
    if (id <= ids->last_id) {
        return late(ids, side);
    }
    bool stale = side == SIDE_B && cursor->us < ids->last_us - MERGE_STALE_US;
    return stale ? 0 : 2;
}

/* Sets `chosen`; -1: no more. */
static int choose(struct merge *merge, struct id_merge *ids)
{
    ids->chosen = -1;
    for (int side = SIDE_A; side < SIDES; side++) {
        struct cursor *cursor = &ids->sides[side];
        int verdict = 0;
        while (cursor->have && (verdict = judge(ids, side)) == 0) {
            int code = cursor_next(merge, cursor);
            if (code != 0) {
                return code;
            }
        }
        if (cursor->have && verdict < 0) {
            return err_set(merge->err, verdict, "no memory for holes");
        }
        if (cursor->have && verdict == 1) {
            ids->chosen = side;
            return 0;
        }
    }
    const struct cursor *a = &ids->sides[SIDE_A], *b = &ids->sides[SIDE_B];
    if (a->have || b->have) {
        ids->chosen = !b->have || (a->have && id_of(a) <= id_of(b)) ? SIDE_A : SIDE_B;
    }
    return 0;
}

static int hole_add(struct id_merge *ids, int64_t id, int64_t us)
{
    struct hole hole = {
        .from = id_after(ids->last_id), .to = id - 1, .before_us = ids->last_us, .after_us = us};
    int code = holes_add(&ids->missing, &hole);
    if (code == 0 && !ids->counted && ids->missing.count > GROWING_HOLES_MAX) {
        size_t kept = ids->missing.count / 2;
        memmove(ids->missing.at, ids->missing.at + (ids->missing.count - kept), kept * sizeof hole);
        ids->missing.count = kept;
    }
    return code;
}

/* The ids so far are decided: what is missing still is a gap row each. */
static int holes_told(struct merge *merge, struct id_merge *ids)
{
    int code = 0;
    for (size_t i = 0; i < ids->missing.count && ids->counted && code == 0; i++) {
        const struct hole *hole = &ids->missing.at[i];
        code = merge_gap_found(merge, hole->from, hole->to, hole->before_us, hole->after_us,
                               GAP_RESOLVED_NONE);
    }
    ids->missing.count = 0;
    return code;
}

static int land(struct merge *merge, struct id_merge *ids)
{
    int side = ids->chosen;
    struct cursor *cursor = &ids->sides[side];
    int64_t id = id_of(cursor);
    int64_t us = merge_time(merge, cursor, side, &ids->sides[SIDE_A]);
    int code = 0;
    if (id != ID_NONE && ids->last_id != ID_NONE && is_restart(ids->last_id, id)) {
        code = holes_told(merge, ids);
        code = code != 0
                   ? code
                   : merge_gap_found(merge, ID_NONE, ID_NONE, ids->last_us, us, GAP_RESOLVED_NONE);
        ids->last_id = ID_NONE;
    }
    if (code == 0 && id != ID_NONE && !ids->ticker && ids->last_id != ID_NONE &&
        id > ids->last_id && id - 1 > ids->last_id) {
        code = hole_add(ids, id, us);
    }
    merge_land(merge, &cursor->event, side, us);
    if (id != ID_NONE && (ids->last_id == ID_NONE || id >= ids->last_id)) {
        ids->first_id = ids->last_id == ID_NONE ? id : ids->first_id;
        ids->last_id = id;
        ids->last_side = side;
    }
    ids->last_us = us;
    ids->chosen = -1;
    return code != 0 ? code : cursor_next(merge, cursor);
}

static int begin(struct merge *merge, struct id_merge *ids, int aggregate)
{
    *ids = (struct id_merge){.first_id = ID_NONE,
                             .last_id = ID_NONE,
                             .last_us = INT64_MIN / 2,
                             .ticker = merge->channel == CHANNEL_BOOK_TICKER,
                             .chosen = -1};
    int32_t flags = aggregate == 1 ? TRADE_AGGREGATE : 0;
    ids->counted = merge->rules->continuity(merge->channel, flags) == CONTINUITY_PLUS_ONE;
    int code = 0;
    for (int side = SIDE_A; side < SIDES && code == 0; side++) {
        code = cursor_begin(merge, &ids->sides[side], side, aggregate);
    }
    return code;
}

/* Runs of ids that share a stream, by the time of their next messages. */
static int run(struct merge *merge, struct id_merge *ids, int count)
{
    for (;;) {
        struct id_merge *next = NULL;
        int64_t next_us = 0;
        for (int i = 0; i < count; i++) {
            int code = ids[i].chosen < 0 ? choose(merge, &ids[i]) : 0;
            if (code != 0) {
                return code;
            }
            if (ids[i].chosen >= 0) {
                int64_t us = merge_time(merge, &ids[i].sides[ids[i].chosen], ids[i].chosen,
                                        &ids[i].sides[SIDE_A]);
                if (next == NULL || us < next_us) {
                    next = &ids[i];
                    next_us = us;
                }
            }
        }
        if (next == NULL) {
            return 0;
        }
        int code = land(merge, next);
        if (code != 0) {
            return code;
        }
    }
}

int merge_trades(struct merge *merge)
{
    struct id_merge ids[2] = {{.chosen = -1}, {.chosen = -1}};
    int code = begin(merge, &ids[0], 0);
    code = code != 0 ? code : begin(merge, &ids[1], 1);
    code = code != 0 ? code : run(merge, ids, 2);
    for (int i = 0; i < 2; i++) {
        code = code != 0 ? code : holes_told(merge, &ids[i]);
        holes_deinit(&ids[i].missing);
    }
    return code != 0 ? code : merge_gaps_by_time(merge, ids[0].counted || ids[1].counted);
}

int merge_book_ticker(struct merge *merge)
{
    struct id_merge ids = {.chosen = -1};
    int code = begin(merge, &ids, -1);
    const struct cursor *first = &ids.sides[ids.sides[SIDE_A].have ? SIDE_A : SIDE_B];
    if (code == 0 && first->have && id_of(first) == ID_NONE) {
        return merge_by_time(merge); /* the venue numbers none */
    }
    code = code != 0 ? code : run(merge, &ids, 1);
    holes_deinit(&ids.missing);
    return code != 0 ? code : merge_gaps_by_time(merge, false);
}
