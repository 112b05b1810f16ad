/* Holes in trades, kept open while REST may fill them. A hole is asked for page by page; each trade
 * lands once, in the order it comes, and shrinks the hole. What a page passes over is not to be had
 * and is told as such; a hole that is full, or too old, is told and gone. Late trades of the stream
 * (another connection's, or swapped ones) shrink it too, and are no gap at all.
 *
 *   counted ids (Binance): pages come oldest first; the hole is full when no id is left
 *   growing ids (Gate, KuCoin): nobody knows how many are missing; the hole is full when one page
 *     after the other has led from a trade behind it to a trade before it without a break
 *
 * Invariants: low..high lies within what is not told; counted, gap.from_id..to_id is what one row
 * will tell. Memory: open gaps, OPEN_HOLES_A_STREAM a stream at most. */
#include "base/assert.h"
#include "normalise/normalise_internal.h"

static const struct venue_backfill *offer_of(const struct normalise *normalise,
                                             const struct stream *stream, bool aggregate)
{
    const struct venue *venue = venue_of((enum venue_id)stream->venue);
    return normalise->config.backfill_enabled && venue != NULL ? venue->backfill(aggregate) : NULL;
}

/* ---- telling */

/* One row about ids from..to (not counted: about all of it). A stop has told already what is not
 * filled; then only what is filled is news. */
static void tell(struct normalise *normalise, struct open_gap *open, int64_t from, int64_t to,
                 enum gap_resolved resolved)
{
    struct hole *hole = &open->hole;
    struct gap_event gap = open->gap;
    gap.resolved_by = resolved;
    if (hole->counted) {
        gap.from_id = from;
        gap.to_id = to;
        gap.missing = (int64_t)(ids_back(to, from) + 1);
    } else {
        gap.missing = resolved == GAP_RESOLVED_BACKFILL ? (int64_t)hole->landed : ID_NONE;
    }
    if (resolved != GAP_RESOLVED_NONE || !hole->told) {
        gap_tell(normalise, open->stream, &gap, open->conn);
    }
}

/* What was filled up to where it is now. */
static void tell_filled(struct normalise *normalise, struct open_gap *open)
{
    if (open->hole.counted && open->gap.from_id < open->hole.low) {
        tell(normalise, open, open->gap.from_id, open->hole.low - 1, GAP_RESOLVED_BACKFILL);
        open->gap.from_id = open->hole.low;
    }
}

static void leave_open(struct normalise *normalise, struct open_gap *open)
{
    tell_filled(normalise, open);
    tell(normalise, open, open->hole.low, open->hole.high, GAP_RESOLVED_NONE);
}

void hole_leave(struct normalise *normalise, uint32_t at)
{
    leave_open(normalise, &normalise->gaps[at]);
    normalise->stats.holes_left++;
    gap_free(normalise, at);
}

static void close_filled(struct normalise *normalise, uint32_t at)
{
    struct open_gap *open = &normalise->gaps[at];
    if (!open->hole.counted && (open->hole.torn || !open->hole.late || open->hole.landed > 0)) {
        tell(normalise, open, 0, 0, open->hole.torn ? GAP_RESOLVED_NONE : GAP_RESOLVED_BACKFILL);
    } else if (open->gap.from_id < open->hole.low) {
        tell_filled(normalise, open);
    } /* else all of it came late, by itself */
    normalise->stats.holes_filled += !open->hole.torn;
    normalise->stats.holes_left += open->hole.torn;
    gap_free(normalise, at);
}

/* Counted ids below `next` that are wanted still are not to be had. True: the hole is gone. */
static bool pass_over(struct normalise *normalise, uint32_t at, int64_t next)
{
    struct open_gap *open = &normalise->gaps[at];
    struct hole *hole = &open->hole;
    if (next > hole->high) {
        hole_leave(normalise, at);
        return true;
    }
    if (next > hole->low) {
        tell_filled(normalise, open);
        tell(normalise, open, hole->low, next - 1, GAP_RESOLVED_NONE);
        normalise->stats.holes_left++;
        open->gap.from_id = next;
        hole->low = next;
    }
    return false;
}

/* ---- found */

static void make_place(struct normalise *normalise, uint32_t index)
{
    uint32_t count = 0;
    for (uint32_t at = normalise->streams[index].first_gap; at != NONE_INDEX;
         at = normalise->gaps[at].next) {
        count++;
    }
    if (count >= OPEN_HOLES_A_STREAM || (normalise->gap_free == NONE_INDEX && count > 0)) {
        hole_leave(normalise, normalise->streams[index].first_gap);
    }
}

/* The hole as the stream's newest open gap; NONE_INDEX: there is no place. */
static uint32_t keep(struct normalise *normalise, uint32_t index, const struct gap_event *gap,
                     uint32_t conn, const struct hole *hole)
{
    make_place(normalise, index);
    uint32_t at = normalise->gap_free;
    if (!gap_keep(normalise, index, gap, conn)) {
        return NONE_INDEX;
    }
    normalise->gaps[at].hole = *hole;
    normalise->holes++;
    return at;
}

void hole_found(struct normalise *normalise, uint32_t index, struct sequence *sequence,
                const struct event *event, bool counted)
{
    bool aggregate = (event->trade.flags & TRADE_AGGREGATE) != 0;
    int64_t last_id = sequence->last_id;
    int64_t next_id = event->trade.trade_id;
    const struct stream *stream = &normalise->streams[index];
    const struct normalise_config *config = &normalise->config;
    int64_t since_ns = sequence->last_recv_ns;
    bool ids_fit = next_id - 1 > last_id && ids_back(next_id, last_id) <= INT64_MAX;
    if (offer_of(normalise, stream, aggregate) == NULL || since_ns == TIME_NONE || !ids_fit ||
        time_since(normalise->now_ns, since_ns) > config->backfill_age_ns) {
        if (counted) {
            gap_between(normalise, index, sequence, last_id, next_id, false);
        } else {
            gap_unproven(normalise, index, sequence);
        }
        return;
    }
    int64_t from = last_id + 1, to = next_id - 1;
    if (counted && to - from >= config->backfill_trades_max) { /* the newest of it */
        struct sequence same = *sequence;
        int64_t rest = to - config->backfill_trades_max + 1;
        gap_between(normalise, index, &same, last_id, rest, false);
        from = rest;
    }
    struct hole hole = {
        .open = true,
        .aggregate = aggregate,
        .counted = counted,
        .low = from,
        .high = to,
        .until_ns =
            event->event_unix_ns > normalise->now_ns ? event->event_unix_ns : normalise->now_ns,
        .ask_next_ns = time_after(normalise->now_ns, HOLE_GRACE_NS),
        .ask_pause_ns = HOLE_FIRST_NS,
    };
    struct gap_event gap =
        gap_make(normalise, index, sequence, counted ? from : ID_NONE, counted ? to : ID_NONE,
                 counted ? to - from + 1 : ID_NONE, GAP_RESOLVED_NONE);
    if (keep(normalise, index, &gap, sequence->conn, &hole) == NONE_INDEX) {
        normalise->stats.holes_left++;
        gap_tell(normalise, index, &gap, sequence->conn);
    }
}

/* ---- late trades of the stream itself */

/* The open hole that wants the id; NONE_INDEX. */
static uint32_t wanting(const struct normalise *normalise, uint32_t index, bool aggregate,
                        int64_t id)
{
    uint32_t at = normalise->streams[index].first_gap;
    for (; at != NONE_INDEX; at = normalise->gaps[at].next) {
        const struct hole *hole = &normalise->gaps[at].hole;
        if (hole->open && hole->aggregate == aggregate && hole->low <= id && id <= hole->high) {
            return at;
        }
    }
    return NONE_INDEX;
}

/* The part of the hole before `id` becomes a hole of its own. False: no place. */
static bool cut_off_before(struct normalise *normalise, struct open_gap *open, int64_t id)
{
    struct hole before = open->hole;
    struct gap_event gap = open->gap;
    uint32_t count = 0;
    for (uint32_t at = normalise->streams[open->stream].first_gap; at != NONE_INDEX;
         at = normalise->gaps[at].next) {
        count++;
    }
    if (count >= OPEN_HOLES_A_STREAM || normalise->gap_free == NONE_INDEX) {
        return false;
    }
    before.high = id - 1;
    if (before.counted) {
        gap.to_id = id - 1;
        gap.missing = gap.to_id - gap.from_id + 1;
    }
    uint32_t made = keep(normalise, open->stream, &gap, open->conn, &before);
    ASSERT(made != NONE_INDEX);
    return true;
}

bool hole_take_late(struct normalise *normalise, uint32_t index, bool aggregate, int64_t id)
{
    uint32_t at = wanting(normalise, index, aggregate, id);
    if (at == NONE_INDEX) {
        return false;
    }
    struct open_gap *open = &normalise->gaps[at];
    struct hole *hole = &open->hole;
    if (id == hole->high && id > hole->low) {
        hole->high = id - 1;
        open->gap.to_id = hole->counted ? id - 1 : ID_NONE;
    } else {
        if (id > hole->low && !cut_off_before(normalise, open, id)) {
            return false;
        }
        if (id == hole->low) {
            tell_filled(normalise, open);
        }
        hole->low = id + 1;
        hole->landed = 0;
        open->gap.from_id = hole->counted ? id + 1 : ID_NONE;
    }
    if (hole->counted) {
        open->gap.missing = open->gap.to_id - open->gap.from_id + 1;
    }
    hole->late = true;
    normalise->stats.trades_late++;
    if (hole->low > hole->high) {
        close_filled(normalise, at);
    }
    return true;
}

/* ---- REST pages */

/* A row of ids that count, oldest first: what it passes over is not to be had. */
static bool row_counted(struct normalise *normalise, uint32_t at, const struct trades_page *page,
                        const struct venue_backfill *offer, int64_t id)
{
    struct hole *hole = &normalise->gaps[at].hole;
    if (page->from_id > hole->low && !offer->last_only) {
        return false; /* it begins inside: this hole's own page is to come */
    }
    if (id < hole->low || pass_over(normalise, at, id) || id != hole->low) {
        return false;
    }
    hole->low = id + 1;
    return true;
}

/* Ids that grow, oldest first. */
static bool row_rising(struct normalise *normalise, uint32_t at, const struct trades_page *page,
                       int64_t id)
{
    struct hole *hole = &normalise->gaps[at].hole;
    hole->torn = hole->torn || page->from_id > hole->low;
    if (id > hole->high) {
        close_filled(normalise, at);
        return false;
    }
    if (id < hole->low) {
        return false;
    }
    hole->low = id + 1;
    return true;
}

/* Ids that grow, newest first. */
static bool row_falling(struct normalise *normalise, uint32_t at, const struct trades_page *page,
                        int64_t id)
{
    struct hole *hole = &normalise->gaps[at].hole;
    if (page->from_id <= hole->high || id > hole->high) {
        return false; /* the newest of it are not in the page; or it has not come to it yet */
    }
    if (id < hole->low) {
        close_filled(normalise, at);
        return false;
    }
    hole->high = id - 1;
    return true;
}

/* The hole that wants the row and has shrunk by it; NONE_INDEX. */
static uint32_t row_taker(struct normalise *normalise, const struct trades_page *page,
                          const struct venue_backfill *offer, int64_t id)
{
    uint32_t taker = NONE_INDEX;
    uint32_t next = NONE_INDEX;
    for (uint32_t at = normalise->streams[page->stream].first_gap; at != NONE_INDEX; at = next) {
        const struct open_gap *open = &normalise->gaps[at];
        next = open->next;
        if (!open->hole.open || open->hole.aggregate != page->aggregate) {
            continue;
        }
        bool taken = open->hole.counted    ? row_counted(normalise, at, page, offer, id)
                     : offer->newest_first ? row_falling(normalise, at, page, id)
                                           : row_rising(normalise, at, page, id);
        taker = taken ? at : taker;
    }
    return taker;
}

static void land_row(struct normalise *normalise, uint32_t at, const struct venue_backfill *offer,
                     const struct event *event)
{
    struct open_gap *open = &normalise->gaps[at];
    struct hole *hole = &open->hole;
    struct event landing = *event;
    const struct recent *recent = normalise->streams[open->stream].recent;
    bool there = recent != NULL && recent_find(recent, event->trade.trade_id) == RECENT_THERE;
    hole->moved = true;
    if (offer->newest_first && event->event_unix_ns != TIME_NONE) {
        hole->until_ns = event->event_unix_ns;
    }
    landing.trade.flags &= TRADE_FLAGS_LANDED;
    if (there) { /* it came late, when no hole could be cut out for it */
        normalise->stats.trades_not_wanted++;
    } else {
        hole->landed++;
        normalise->stats.trades_backfilled++;
        recent_add_if_any(&normalise->streams[open->stream], event->trade.trade_id);
        normalise_emit(normalise, open->stream, &landing);
    }
    if (hole->low > hole->high) { /* no id is left in between */
        close_filled(normalise, at);
    }
}

static void ask(struct normalise *normalise, struct open_gap *open)
{
    struct hole *hole = &open->hole;
    const struct stream *stream = &normalise->streams[open->stream];
    struct trades_hole wanted = {
        .aggregate = hole->aggregate,
        .from_id = hole->low,
        .to_id = hole->high,
        .start_unix_ns = open->gap.start_unix_ns,
        .end_unix_ns = hole->until_ns,
    };
    hole->ask_next_ns = time_after(normalise->now_ns, hole->ask_pause_ns);
    if (hole->ask_pause_ns < HOLE_UNANSWERED_NS) {
        hole->ask_pause_ns = hole->ask_pause_ns < HOLE_UNANSWERED_NS / 2 ? hole->ask_pause_ns * 2
                                                                         : HOLE_UNANSWERED_NS;
    }
    normalise->stats.trades_wanted++;
    if (normalise->handlers.on_trades_wanted != NULL) {
        normalise->handlers.on_trades_wanted(normalise->handlers.context,
                                             (enum venue_id)stream->venue, stream->symbol, &wanted);
    }
}

/* Its own page has nothing for it yet. A request that is refused, or whose place another hole of
 * the stream took, does not count: it would be made again long after the venue is well. */
static void answered_in_vain(const struct normalise *normalise, struct hole *hole)
{
    if (hole->ask_pause_ns >= HOLE_UNANSWERED_NS) { /* below, asking has doubled it */
        hole->ask_next_ns = time_after(normalise->now_ns, hole->ask_pause_ns);
        hole->ask_pause_ns =
            hole->ask_pause_ns < HOLE_MOST_NS / 2 ? hole->ask_pause_ns * 2 : HOLE_MOST_NS;
    }
}

/* What a page that came whole says of a hole that is still open. */
static void page_ended(struct normalise *normalise, uint32_t at, const struct trades_page *page,
                       const struct venue_backfill *offer)
{
    struct open_gap *open = &normalise->gaps[at];
    struct hole *hole = &open->hole;
    if (offer->newest_first && offer->last_only && page->from_id > hole->high) {
        hole->torn = true; /* what is older than its last row is gone */
        close_filled(normalise, at);
    } else if (hole->landed > (uint64_t)normalise->config.backfill_trades_max) {
        hole_leave(normalise, at);
    } else if (hole->moved) {
        hole->ask_pause_ns = HOLE_FIRST_NS;
        hole->ask_next_ns = time_after(normalise->now_ns, HOLE_FIRST_NS);
        if (page->rows >= offer->rows_max) {
            ask(normalise, open);
        } /* else the venue's own list trails the stream: a tick asks */
    } else if (offer->last_only || (hole->counted && page->from_id == hole->low)) {
        answered_in_vain(normalise, hole);
    }
}

/* A list without a row: the venue has nothing yet behind what was asked for. */
static void empty_page_ended(struct normalise *normalise, uint32_t index, bool aggregate,
                             int64_t from_id)
{
    for (uint32_t at = normalise->streams[index].first_gap; at != NONE_INDEX;
         at = normalise->gaps[at].next) {
        struct hole *hole = &normalise->gaps[at].hole;
        if (hole->open && hole->aggregate == aggregate && hole->counted && hole->low == from_id) {
            answered_in_vain(normalise, hole);
        }
    }
}

static void end_page(struct normalise *normalise, struct trades_page *page,
                     const struct venue_backfill *offer)
{
    uint32_t next = NONE_INDEX;
    for (uint32_t at = normalise->streams[page->stream].first_gap; at != NONE_INDEX; at = next) {
        const struct open_gap *open = &normalise->gaps[at];
        next = open->next;
        if (open->hole.open && open->hole.aggregate == page->aggregate) {
            page_ended(normalise, at, page, offer);
        }
    }
    page->open = false;
}

static void begin_page(struct normalise *normalise, struct trades_page *page, uint32_t index,
                       const struct trade_event *first)
{
    int64_t from = first->page_from_id != ID_NONE ? first->page_from_id : first->trade_id;
    *page = (struct trades_page){.open = true,
                                 .aggregate = (first->flags & TRADE_AGGREGATE) != 0,
                                 .stream = index,
                                 .from_id = from};
    for (uint32_t at = normalise->streams[index].first_gap; at != NONE_INDEX;
         at = normalise->gaps[at].next) {
        normalise->gaps[at].hole.moved = false;
    }
}

static bool in_order(const struct trades_page *page, bool newest_first, int64_t id)
{
    return page->rows == 0 || (newest_first ? id < page->last_id : id > page->last_id);
}

void hole_rest_event(struct normalise *normalise, const struct event *event)
{
    const struct trade_event *trade = &event->trade;
    struct trades_page *page = &normalise->pages[event->venue];
    bool aggregate = (trade->flags & TRADE_AGGREGATE) != 0;
    uint32_t index = stream_lookup(normalise, event->venue, CHANNEL_TRADES, event->symbol);
    const struct venue_backfill *offer =
        index != NONE_INDEX ? offer_of(normalise, &normalise->streams[index], aggregate) : NULL;
    if (offer == NULL) {
        normalise->stats.trades_not_wanted += (trade->flags & TRADE_PAGE_END) == 0;
        return;
    }
    if ((trade->flags & TRADE_PAGE_FIRST) != 0) {
        begin_page(normalise, page, index, trade);
    }
    bool end = (trade->flags & TRADE_PAGE_END) != 0;
    if (!page->open || page->stream != index || page->aggregate != aggregate) {
        if (end && trade->page_from_id != ID_NONE) {
            empty_page_ended(normalise, index, aggregate, trade->page_from_id);
        }
        return; /* or the rest of a page that was cut off by a checkpoint */
    }
    if (end) {
        end_page(normalise, page, offer);
        return;
    }
    bool good = trade->trade_id != ID_NONE && in_order(page, offer->newest_first, trade->trade_id);
    uint32_t at = good ? row_taker(normalise, page, offer, trade->trade_id) : NONE_INDEX;
    page->rows++;
    page->last_id = good ? trade->trade_id : page->last_id;
    if (at != NONE_INDEX) {
        land_row(normalise, at, offer, event);
    } else {
        normalise->stats.trades_not_wanted++;
    }
}

/* ---- time */

/* Gives up what is too old and asks for one hole of each sort, the oldest. */
static void tick_stream(struct normalise *normalise, uint32_t index)
{
    bool asked[2] = {false, false};
    uint32_t next = NONE_INDEX;
    for (uint32_t at = normalise->streams[index].first_gap; at != NONE_INDEX; at = next) {
        struct open_gap *open = &normalise->gaps[at];
        struct hole *hole = &open->hole;
        next = open->next;
        if (!hole->open) {
            continue;
        }
        if (time_since(normalise->now_ns, open->gap.start_unix_ns) >
            normalise->config.backfill_age_ns) {
            hole_leave(normalise, at);
        } else if (!asked[hole->aggregate] && normalise->now_ns >= hole->ask_next_ns) {
            asked[hole->aggregate] = true;
            ask(normalise, open);
        }
    }
}

void holes_tick(struct normalise *normalise)
{
    for (uint32_t i = 0; normalise->holes > 0 && i < normalise->stream_count; i++) {
        if (normalise->streams[i].channel == CHANNEL_TRADES) {
            tick_stream(normalise, i);
        }
    }
}

void holes_start(struct normalise *normalise)
{
    memset(normalise->pages, 0, sizeof normalise->pages);
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        for (uint32_t at = normalise->streams[i].first_gap; at != NONE_INDEX;
             at = normalise->gaps[at].next) {
            struct hole *hole = &normalise->gaps[at].hole;
            if (hole->open) {
                hole->ask_next_ns = normalise->now_ns;
                hole->ask_pause_ns = HOLE_FIRST_NS;
            }
        }
    }
}

/* What is not filled is told, so that the files alone are true; the next run goes on with it. */
void holes_stop(struct normalise *normalise, uint32_t index)
{
    for (uint32_t at = normalise->streams[index].first_gap; at != NONE_INDEX;
         at = normalise->gaps[at].next) {
        struct open_gap *open = &normalise->gaps[at];
        if (open->hole.open) {
            leave_open(normalise, open);
            open->hole.told = true;
        }
    }
}

void hole_check(const struct normalise *normalise, const struct open_gap *open)
{
    const struct hole *hole = &open->hole;
    ASSERT(normalise->streams[open->stream].channel == CHANNEL_TRADES);
    ASSERT(hole->low <= hole->high);
    ASSERT(!hole->counted || open->gap.from_id <= hole->low);
    ASSERT(!hole->counted || open->gap.to_id == hole->high);
    ASSERT(hole->ask_pause_ns >= HOLE_FIRST_NS);
    ASSERT(hole->ask_pause_ns <= HOLE_MOST_NS);
}

void holes_leave(struct normalise *normalise, uint32_t index, bool aggregate)
{
    uint32_t next = NONE_INDEX;
    for (uint32_t at = normalise->streams[index].first_gap; at != NONE_INDEX; at = next) {
        const struct open_gap *open = &normalise->gaps[at];
        next = open->next;
        if (open->hole.open && open->hole.aggregate == aggregate) {
            hole_leave(normalise, at);
        }
    }
}
