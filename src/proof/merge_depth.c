/* Depth, joined by whole messages along the venue's rule. See merge.h.
 * A's message goes on where it follows what has landed; else B's, if that one does; else both have
 * missed something, and the one that begins first goes on behind a hole. Book rows are landed when
 * the book does not stand (or shows another), in front of the first message that goes beyond them;
 * a file's opening book comes from here, made of what has landed. Memory: one book; one hole a hole
 * that no book has mended yet. */
#include "base/clock.h"
#include "proof/merge_internal.h"

struct depth_merge {
    struct cursor sides[SIDES];
    int64_t last_id, book_id; /* of the last delta, and of a book row ahead of it; ID_NONE */
    int64_t last_us;
    struct holes open; /* not mended yet; without ids: numbered from INT64_MIN on */
    bool previous;     /* each names its predecessor: a hole has no ids */
};

static int64_t known_id(const struct depth_merge *depth)
{
    return depth->book_id > depth->last_id ? depth->book_id : depth->last_id;
}

static const struct depth_event *event_of(const struct depth_merge *depth, int side)
{
    return &depth->sides[side].event.depth;
}

static bool is_restart(int64_t known, int64_t id)
{
    return known != ID_NONE && id < known &&
           (uint64_t)known - (uint64_t)id >= MERGE_RESTART_DISTANCE;
}

static bool follows(const struct merge *merge, const struct depth_merge *depth,
                    const struct depth_event *delta)
{
    if (depth->last_id != ID_NONE &&
        (depth->previous ? delta->prev_update_id == depth->last_id
                         : delta->first_update_id <= id_after(depth->last_id))) {
        return true;
    }
    return depth->book_id != ID_NONE && merge->rules->joins(delta, depth->book_id);
}

/* ---- the book */

static bool side_is(struct merge *merge, enum book_side side, const struct level *levels,
                    uint32_t count)
{
    uint32_t known = book_levels(merge->book, side, merge->levels, BOOK_SIDE_LEVELS_MAX);
    bool same = count <= known; /* we may know levels farther out */
    for (uint32_t i = 0; i < count && same; i++) {
        same = decimal_compare(levels[i].price, merge->levels[i].price) == 0 &&
               decimal_compare(levels[i].amount, merge->levels[i].amount) == 0;
    }
    return same;
}

static bool book_is(struct merge *merge, const struct depth_event *book)
{
    return side_is(merge, BOOK_BID, book->bids, book->bid_count) &&
           side_is(merge, BOOK_ASK, book->asks, book->ask_count);
}

static bool apply(struct book *book, const struct depth_event *event)
{
    bool good = true;
    for (uint32_t i = 0; i < event->bid_count; i++) {
        good = book_level_set(book, BOOK_BID, event->bids[i].price, event->bids[i].amount) >= 0 &&
               good;
    }
    for (uint32_t i = 0; i < event->ask_count; i++) {
        good = book_level_set(book, BOOK_ASK, event->asks[i].price, event->asks[i].amount) >= 0 &&
               good;
    }
    return good;
}

/* ---- holes */

static int hole_open(struct depth_merge *depth, int64_t from, int64_t to, int64_t us)
{
    bool ids = !depth->previous && from <= to;
    int64_t number = INT64_MIN + 1 + (int64_t)depth->open.count;
    struct hole hole = {.from = ids ? from : number,
                        .to = ids ? to : number,
                        .before_us = depth->last_us,
                        .after_us = us};
    return holes_add(&depth->open, &hole);
}

/* A book has mended them (`us`), or nothing will any more. */
static int holes_told(struct merge *merge, struct depth_merge *depth, int64_t us,
                      enum gap_resolved resolved)
{
    int code = 0;
    for (size_t i = 0; i < depth->open.count && code == 0; i++) {
        const struct hole *hole = &depth->open.at[i];
        bool ids = hole->from > INT64_MIN / 2;
        int64_t end_us =
            resolved == GAP_RESOLVED_RESYNC && us > hole->after_us ? us : hole->after_us;
        code = merge_gap_found(merge, ids ? hole->from : ID_NONE, ids ? hole->to : ID_NONE,
                               hole->before_us, end_us, resolved);
    }
    depth->open.count = 0;
    return code;
}

/* ---- which message */

/* Of no use: another has brought it. */
static bool is_spent(struct merge *merge, const struct depth_merge *depth, int side)
{
    const struct depth_event *event = event_of(depth, side);
    int64_t known = known_id(depth);
    int64_t id = event->last_update_id;
    if (id == ID_NONE) {
        return side == SIDE_B;
    }
    if (known == ID_NONE) {
        return false;
    }
    if (is_restart(known, id)) {
        return side == SIDE_B;
    }
    bool stale =
        side == SIDE_B && id > known && depth->sides[side].us < depth->last_us - MERGE_STALE_US;
    if (stale || id < known || (!event->is_snapshot && id == known)) {
        return true;
    }
    return event->is_snapshot && id == known && merge->book_stands &&
           (side == SIDE_B || book_is(merge, event));
}

static int64_t place_of(const struct depth_merge *depth, int side)
{
    const struct depth_event *event = event_of(depth, side);
    return event->is_snapshot || depth->previous || event->first_update_id == ID_NONE
               ? event->last_update_id
               : event->first_update_id;
}

static bool is_kind(const struct depth_merge *depth, int side, bool book)
{
    return depth->sides[side].have && event_of(depth, side)->is_snapshot == book;
}

/* The delta to go on with: one that follows, A's before B's; else the one that begins first. */
static int choose_delta(const struct merge *merge, const struct depth_merge *depth)
{
    int chosen = -1;
    for (int side = SIDE_A; side < SIDES; side++) {
        if (!is_kind(depth, side, false)) {
            continue;
        }
        const struct depth_event *delta = event_of(depth, side);
        if (delta->last_update_id == ID_NONE ||
            is_restart(known_id(depth), delta->last_update_id) || follows(merge, depth, delta)) {
            return side;
        }
        if (chosen < 0 || place_of(depth, side) < place_of(depth, chosen)) {
            chosen = side;
        }
    }
    return chosen;
}

/* -1: no more. */
static int choose(const struct merge *merge, const struct depth_merge *depth)
{
    int delta = choose_delta(merge, depth);
    int book = is_kind(depth, SIDE_A, true) ? SIDE_A : is_kind(depth, SIDE_B, true) ? SIDE_B : -1;
    if (book >= 0 && is_kind(depth, SIDE_B, true) &&
        event_of(depth, SIDE_B)->last_update_id < event_of(depth, book)->last_update_id) {
        book = SIDE_B;
    }
    if (book < 0 || delta < 0) {
        return book >= 0 ? book : delta;
    }
    const struct depth_event *next = event_of(depth, delta);
    int64_t id = event_of(depth, book)->last_update_id;
    if (next->last_update_id == ID_NONE || next->last_update_id <= id) {
        return id == known_id(depth) ? book : delta; /* the stream comes up to the book first */
    }
    bool goes_on = known_id(depth) != ID_NONE && follows(merge, depth, next);
    if (goes_on && merge->book_stands) {
        return id == known_id(depth) ? book : delta; /* at its own place it may tell more */
    }
    return book;
}

/* ---- landing it */

static int land_book(struct merge *merge, struct depth_merge *depth, const struct event *event,
                     int side, int64_t us)
{
    int64_t id = event->depth.last_update_id;
    int code = 0;
    if (is_restart(known_id(depth), id)) {
        code = hole_open(depth, 0, -1, us);
        depth->last_id = ID_NONE;
    }
    book_clear(merge->book);
    merge->book_stands = false; /* the row itself is the book: none is to be put before it */
    merge_land(merge, event, side, us);
    merge->book_stands = apply(merge->book, &event->depth) && id != ID_NONE;
    merge->book_id = id;
    depth->book_id = id;
    return code != 0 ? code : holes_told(merge, depth, us, GAP_RESOLVED_RESYNC);
}

/* The deltas that a book row has passed over: it holds what they said. */
static int told_bridge(struct merge *merge, struct depth_merge *depth, int64_t to, int64_t us)
{
    if (depth->book_id <= depth->last_id || depth->last_id == ID_NONE || depth->previous ||
        to <= depth->last_id) {
        return 0;
    }
    int code = hole_open(depth, id_after(depth->last_id), to, us);
    return code != 0 ? code : holes_told(merge, depth, us, GAP_RESOLVED_RESYNC);
}

/* Notes what is missing before the delta. */
static int check_hole(struct merge *merge, struct depth_merge *depth,
                      const struct depth_event *delta, int64_t us)
{
    int64_t known = known_id(depth);
    if (known == ID_NONE || delta->last_update_id == ID_NONE) {
        return 0;
    }
    if (is_restart(known, delta->last_update_id)) {
        merge->book_stands = false;
        return hole_open(depth, 0, -1, us);
    }
    bool seeds = proof_always_seeds(merge->rules);
    if (follows(merge, depth, delta)) {
        bool by_book =
            depth->last_id != ID_NONE && delta->first_update_id > id_after(depth->last_id);
        int64_t to = seeds ? depth->book_id : delta->first_update_id - 1;
        return by_book ? told_bridge(merge, depth, to, us) : 0;
    }
    int code = told_bridge(merge, depth, depth->book_id, us);
    merge->book_stands = false;
    return code != 0 ? code : hole_open(depth, id_after(known), delta->first_update_id - 1, us);
}

static int land_delta(struct merge *merge, struct depth_merge *depth, const struct event *event,
                      int side, int64_t us)
{
    const struct depth_event *delta = &event->depth;
    int code = check_hole(merge, depth, delta, us);
    merge_land(merge, event, side, us);
    merge->book_stands = merge->book_stands && apply(merge->book, delta);
    merge->book_id = delta->last_update_id;
    if (delta->last_update_id != ID_NONE) {
        depth->last_id = delta->last_update_id;
        depth->book_id = ID_NONE;
    }
    return code;
}

static int step(struct merge *merge, struct depth_merge *depth)
{
    for (int side = SIDE_A; side < SIDES; side++) {
        struct cursor *cursor = &depth->sides[side];
        while (cursor->have && is_spent(merge, depth, side)) {
            int code = cursor_next(merge, cursor);
            if (code != 0) {
                return code;
            }
        }
    }
    int side = choose(merge, depth);
    if (side < 0) {
        return 0;
    }
    struct cursor *cursor = &depth->sides[side];
    int64_t us = merge_time(merge, cursor, side, &depth->sides[SIDE_A]);
    int code = cursor->event.depth.is_snapshot ? land_book(merge, depth, &cursor->event, side, us)
                                               : land_delta(merge, depth, &cursor->event, side, us);
    depth->last_us = us;
    code = code != 0 ? code : cursor_next(merge, cursor);
    return code != 0 ? code : 1;
}

int merge_depth(struct merge *merge)
{
    struct depth_merge depth = {.last_id = ID_NONE,
                                .book_id = ID_NONE,
                                .last_us = INT64_MIN / 2,
                                .previous = merge->rule == CONTINUITY_PREVIOUS};
    int code = cursor_begin(merge, &depth.sides[SIDE_A], SIDE_A, -1);
    code = code != 0 ? code : cursor_begin(merge, &depth.sides[SIDE_B], SIDE_B, -1);
    code = code != 0 ? code : 1;
    while (code == 1) {
        code = step(merge, &depth);
    }
    code = code != 0 ? code : told_bridge(merge, &depth, depth.book_id, depth.last_us);
    code = code != 0 ? code : holes_told(merge, &depth, 0, GAP_RESOLVED_NONE);
    holes_deinit(&depth.open);
    return code != 0 ? code : merge_gaps_by_time(merge, true);
}
