/* Depth streams and their books. Every delta that is not a duplicate lands at once, as received;
 * the book is emitted as one snapshot exactly when the stream stands at the book's id, so that a
 * reader who clears at the first snapshot row is right at every row.
 *
 *   WAITING  deltas land and are kept; a snapshot is asked for
 *   JOINING  the snapshot is loaded but ahead of the stream: deltas up to it land, not applied
 *   WHOLE    emitted; each delta lands, then is applied
 *
 * A book where nothing happens for JOIN_WAIT_NS is emitted as it is: then the book is ahead of the
 * stream for a while. Invariants: in WAITING the book is empty; in WHOLE without being ahead,
 * book_id is the stream's last id. The venue's rules stand in struct venue (joins, continuity).
 * Memory: one struct depth a book, levels and kept deltas in the books' pool. */
#include "base/assert.h"
#include "base/err.h"
#include "normalise/normalise_internal.h"

static struct sequence *sequence_of(struct normalise *normalise, const struct depth *depth)
{
    return &normalise->streams[depth->stream].sequences[SEQUENCE_MAIN];
}

void depth_attach(struct normalise *normalise, uint32_t index)
{
    struct stream *stream = &normalise->streams[index];
    const struct venue *venue = venue_of((enum venue_id)stream->venue);
    if (!normalise->config.book_enabled || venue == NULL ||
        venue->continuity(CHANNEL_DEPTH, 0) == CONTINUITY_NONE) {
        return;
    }
    struct book *book = book_acquire(normalise->books);
    if (book == NULL) {
        normalise->stats.books_refused++;
        return;
    }
    stream->depth = &normalise->depths[normalise->depth_count++];
    *stream->depth = (struct depth){
        .book = book,
        .stream = index,
        .state = BOOK_WAITING,
        .book_event_ns = TIME_NONE,
        .request_next_ns = TIME_NONE,
        .request_pause_ns = REQUEST_FIRST_NS,
    };
}

void depth_detach_all(struct normalise *normalise)
{
    for (uint32_t i = 0; i < normalise->depth_count; i++) {
        struct depth *depth = &normalise->depths[i];
        gap_resolve_all(normalise, depth->stream, GAP_RESOLVED_NONE);
        depth_lose(normalise, depth, false);
        book_release(depth->book);
        normalise->streams[depth->stream].depth = NULL;
    }
    normalise->depth_count = 0;
}

/* ---- asking for a snapshot */

static void request_if_due(struct normalise *normalise, struct depth *depth)
{
    const struct stream *stream = &normalise->streams[depth->stream];
    if (normalise->now_ns < depth->request_next_ns) {
        return; /* a tick will */
    }
    depth->request_next_ns = time_after(normalise->now_ns, depth->request_pause_ns);
    depth->request_pause_ns = depth->request_pause_ns < REQUEST_MOST_NS / 2
                                  ? depth->request_pause_ns * 2
                                  : REQUEST_MOST_NS;
    normalise->stats.snapshots_wanted++;
    if (normalise->handlers.on_snapshot_wanted != NULL) {
        normalise->handlers.on_snapshot_wanted(normalise->handlers.context,
                                               (enum venue_id)stream->venue, stream->symbol);
    }
}

/* Does the venue's depth stream begin with a snapshot of its own? */
static bool seeds_books(const struct venue *venue)
{
    for (uint32_t e = 0; e < venue->endpoint_count; e++) {
        if (venue->endpoints[e].seeds_books) {
            return true;
        }
    }
    return false;
}

void depth_subscribed(struct normalise *normalise, struct depth *depth)
{
    const struct stream *stream = &normalise->streams[depth->stream];
    if (seeds_books(venue_of((enum venue_id)stream->venue))) {
        int64_t soon_ns = time_after(normalise->now_ns, SEED_WAIT_NS);
        depth->request_next_ns =
            depth->request_next_ns > soon_ns ? depth->request_next_ns : soon_ns;
    } else if (depth->state == BOOK_WAITING) {
        request_if_due(normalise, depth);
    }
}

void depth_lose(struct normalise *normalise, struct depth *depth, bool renew)
{
    normalise->stats.books -= depth->state == BOOK_WHOLE;
    if (depth->state == BOOK_WHOLE) { /* one that never lasts is asked for ever less often */
        bool lasted = time_since(normalise->now_ns, depth->whole_ns) >= REQUEST_MOST_NS;
        depth->quick_losses = (uint8_t)(lasted ? 0 : depth->quick_losses + 1);
        depth->quick_losses =
            depth->quick_losses < QUICK_LOSSES_MOST ? depth->quick_losses : QUICK_LOSSES_MOST;
    }
    shadow_lost(normalise, depth);
    book_clear(depth->book);
    pending_clear(normalise, &depth->pending);
    depth->state = BOOK_WAITING;
    depth->book_event_ns = TIME_NONE;
    if (renew) {
        depth->quick_losses = 0;
        depth->request_next_ns = TIME_NONE;
        depth->request_pause_ns = REQUEST_FIRST_NS;
    }
}

static void keep(struct normalise *normalise, struct depth *depth, const struct depth_event *delta)
{
    if (!pending_put(normalise, &depth->pending, delta)) {
        /* a snapshot must now be newer than this delta, or than the next that can be kept */
        normalise->stats.deltas_not_kept += depth->pending.count;
        pending_clear(normalise, &depth->pending);
        if (!pending_put(normalise, &depth->pending, delta)) {
            normalise->stats.deltas_not_kept++;
            pending_clear(normalise, &depth->pending);
        }
    }
    request_if_due(normalise, depth);
}

/* The delta lands, but the book cannot follow it. */
static void lose_and_keep(struct normalise *normalise, struct depth *depth,
                          const struct event *event)
{
    depth_lose(normalise, depth, false);
    normalise_emit(normalise, depth->stream, event);
    keep(normalise, depth, &event->depth);
}

/* ---- the book */

static int set_levels(struct book *book, enum book_side side, const struct level *levels,
                      uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (book_level_set(book, side, levels[i].price, levels[i].amount) == MD_ERANGE) {
            return MD_ERANGE;
        }
    }
    return 0;
}

static int apply(struct normalise *normalise, struct depth *depth, const struct depth_event *delta)
{
    bool was_crossed = book_crossed(depth->book);
    int code = set_levels(depth->book, BOOK_BID, delta->bids, delta->bid_count);
    code = code != 0 ? code : set_levels(depth->book, BOOK_ASK, delta->asks, delta->ask_count);
    depth->book_id = delta->last_update_id;
    normalise->stats.crossed_books += !was_crossed && book_crossed(depth->book);
    return code;
}

void depth_emit_book(struct normalise *normalise, const struct depth *depth,
                     const struct event *cause)
{
    const struct stream *stream = &normalise->streams[depth->stream];
    struct level *bids = normalise->levels;
    struct level *asks = bids + BOOK_SIDE_LEVELS_MAX;
    struct event event = {
        .channel = CHANNEL_DEPTH,
        .venue = (enum venue_id)stream->venue,
        .symbol = stream->symbol,
        .event_unix_ns = depth->book_event_ns,
        .recv_unix_ns = cause->recv_unix_ns,
        .conn = cause->conn,
        .seq = cause->seq,
    };
    event.depth = (struct depth_event){
        .is_snapshot = true,
        .first_update_id = ID_NONE,
        .last_update_id = depth->book_id,
        .prev_update_id = ID_NONE,
        .bids = bids,
        .asks = asks,
        .bid_count = book_levels(depth->book, BOOK_BID, bids, BOOK_SIDE_LEVELS_MAX),
        .ask_count = book_levels(depth->book, BOOK_ASK, asks, BOOK_SIDE_LEVELS_MAX),
    };
    normalise->stats.rows_of_snapshots += event.depth.bid_count + event.depth.ask_count;
    normalise_emit(normalise, depth->stream, &event);
}

static void mend(struct normalise *normalise, uint32_t index)
{
    if (normalise->streams[index].first_gap != NONE_INDEX) {
        normalise->stats.resyncs++;
        gap_resolve_all(normalise, index, GAP_RESOLVED_RESYNC);
    }
}

/* The book is out; the holes before are mended. */
static void stands(struct normalise *normalise, struct depth *depth)
{
    depth->state = BOOK_WHOLE;
    depth->whole_ns = normalise->now_ns;
    int64_t pause_ns = REQUEST_FIRST_NS << depth->quick_losses;
    pause_ns = pause_ns < REQUEST_MOST_NS ? pause_ns : REQUEST_MOST_NS;
    int64_t soon_ns = time_after(normalise->now_ns, pause_ns);
    depth->request_pause_ns = pause_ns;
    depth->request_next_ns = depth->request_next_ns < soon_ns ? depth->request_next_ns : soon_ns;
    normalise->stats.books++;
    normalise->stats.snapshots_joined++;
    mend(normalise, depth->stream);
}

/* The stream stands at the book's id: emit it. */
static void become_whole(struct normalise *normalise, struct depth *depth,
                         const struct event *cause)
{
    ASSERT(depth->state == BOOK_JOINING);
    /* not whole until it is out: a file that begins with it needs no other opening snapshot */
    depth_emit_book(normalise, depth, cause);
    stands(normalise, depth);
}

/* ---- deltas */

/* Does the book hold what was missed before this delta? Only one that is ahead of the stream can.
 */
static bool book_bridges(const struct venue *venue, const struct depth *depth, int64_t last_id,
                         const struct depth_event *delta)
{
    return depth != NULL && depth->state != BOOK_WAITING && depth->book_id > last_id &&
           (delta->last_update_id <= depth->book_id || venue->joins(delta, depth->book_id));
}

static void found_hole(struct normalise *normalise, uint32_t index, enum continuity rule,
                       const struct event *event)
{
    struct stream *stream = &normalise->streams[index];
    struct sequence *sequence = &stream->sequences[SEQUENCE_MAIN];
    struct depth *depth = stream->depth;
    const struct depth_event *delta = &event->depth;
    int64_t last = sequence->last_id;
    bool bridged = book_bridges(venue_of(event->venue), depth, last, delta);
    if (rule == CONTINUITY_RANGE) {
        gap_between(normalise, index, sequence, last, delta->first_update_id, depth != NULL);
    } else {
        gap_found(normalise, index, sequence, ID_NONE, ID_NONE, ID_NONE, depth != NULL,
                  GAP_RESOLVED_NONE);
    }
    if (bridged && depth->state == BOOK_WHOLE) {
        mend(normalise, index);
    } else if (depth != NULL && !bridged) {
        depth_lose(normalise, depth, false);
    }
}

/* The rule that proves this delta; CONTINUITY_NONE: nothing does. */
static enum continuity rule_of(const struct event *event)
{
    const struct venue *venue = venue_of(event->venue);
    const struct depth_event *delta = &event->depth;
    enum continuity rule = venue != NULL ? venue->continuity(CHANNEL_DEPTH, 0) : CONTINUITY_NONE;
    bool has_ids = delta->last_update_id != ID_NONE &&
                   (rule == CONTINUITY_PREVIOUS || delta->first_update_id != ID_NONE);
    return has_ids ? rule : CONTINUITY_NONE;
}

/* Does a delta that is newer than `last` go on where the stream stands? */
static bool goes_on(enum continuity rule, const struct depth_event *delta, int64_t last)
{
    return rule == CONTINUITY_PREVIOUS
               ? delta->prev_update_id == last
               : delta->first_update_id <= last + 1; /* last < last_update_id: it fits */
}

/* False: a duplicate, not to be landed. Finds holes and restarted sequences. */
static bool check_sequence(struct normalise *normalise, uint32_t index, enum continuity rule,
                           const struct event *event)
{
    struct stream *stream = &normalise->streams[index];
    struct sequence *sequence = &stream->sequences[SEQUENCE_MAIN];
    const struct depth_event *delta = &event->depth;
    int64_t last = sequence->last_id;
    if (last == ID_NONE) {
        if (sequence->interrupted != 0) {
            gap_unproven(normalise, index, sequence);
        }
        return true;
    }
    if (delta->last_update_id <= last) {
        if (ids_back(last, delta->last_update_id) < RESTART_DISTANCE) {
            normalise->stats.duplicates++;
            return false;
        }
        gap_found(normalise, index, sequence, ID_NONE, ID_NONE, ID_NONE, stream->depth != NULL,
                  GAP_RESOLVED_NONE);
        if (stream->depth != NULL) {
            depth_lose(normalise, stream->depth, false);
        }
        return true;
    }
    if (!goes_on(rule, delta, last)) {
        found_hole(normalise, index, rule, event);
    } else if (sequence->interrupted != 0) {
        gap_overlap(normalise, index, sequence);
    }
    return true;
}

/* A snapshot this far ahead of what comes is not of this sequence. */
static bool far_behind(const struct depth *depth, const struct depth_event *delta)
{
    return delta->last_update_id < depth->book_id &&
           ids_back(depth->book_id, delta->last_update_id) >= RESTART_DISTANCE;
}

static void delta_while_joining(struct normalise *normalise, struct depth *depth,
                                const struct event *event)
{
    const struct depth_event *delta = &event->depth;
    if (far_behind(depth, delta) || (delta->last_update_id > depth->book_id &&
                                     !venue_of(event->venue)->joins(delta, depth->book_id))) {
        normalise->stats.snapshots_too_old++;
        lose_and_keep(normalise, depth, event);
        return;
    }
    if (delta->last_update_id <= depth->book_id) {
        normalise_emit(normalise, depth->stream, event);
        if (delta->last_update_id == depth->book_id) {
            depth->book_event_ns = event->event_unix_ns;
            become_whole(normalise, depth, event);
        }
        return;
    }
    become_whole(normalise, depth, event);
    normalise_emit(normalise, depth->stream, event);
    depth->book_event_ns = event->event_unix_ns;
    if (apply(normalise, depth, delta) != 0) {
        normalise->stats.books_lost++;
        depth_lose(normalise, depth, false);
    }
}

/* The book was emitted before the stream came up to it. False: not to be landed or applied here. */
static bool catch_up(struct normalise *normalise, struct depth *depth, const struct event *event)
{
    const struct depth_event *delta = &event->depth;
    struct sequence *sequence = sequence_of(normalise, depth);
    if (far_behind(depth, delta)) {
        normalise->stats.snapshots_too_old++;
        lose_and_keep(normalise, depth, event);
        return false;
    }
    if (delta->last_update_id <= depth->book_id) {
        normalise->stats.duplicates++; /* the snapshot that is out holds it */
        return false;
    }
    if (!venue_of(event->venue)->joins(delta, depth->book_id)) {
        /* nothing came before: what is missing is missing behind the snapshot */
        gap_between(normalise, depth->stream, sequence, depth->book_id, delta->first_update_id,
                    true);
        lose_and_keep(normalise, depth, event);
        return false;
    }
    return true;
}

static void delta_while_whole(struct normalise *normalise, struct depth *depth,
                              const struct event *event)
{
    if (depth->book_id != sequence_of(normalise, depth)->last_id &&
        !catch_up(normalise, depth, event)) {
        return;
    }
    normalise_emit(normalise, depth->stream, event);
    depth->book_event_ns = event->event_unix_ns;
    bool was_crossed = book_crossed(depth->book);
    if (apply(normalise, depth, &event->depth) != 0) {
        normalise->stats.books_lost++;
        depth_lose(normalise, depth, false);
        keep(normalise, depth, &event->depth);
    } else if (!was_crossed && book_crossed(depth->book)) {
        depth_lose(normalise, depth, false); /* it is wrong, whatever the ids say */
        keep(normalise, depth, &event->depth);
    } else {
        shadow_delta(normalise, depth, &event->depth);
    }
}

void depth_is_wrong(struct normalise *normalise, struct depth *depth)
{
    gap_found(normalise, depth->stream, sequence_of(normalise, depth), ID_NONE, ID_NONE, ID_NONE,
              true, GAP_RESOLVED_NONE);
    depth_lose(normalise, depth, false);
    request_if_due(normalise, depth);
}

static void follow(struct normalise *normalise, struct depth *depth, const struct event *event)
{
    switch ((enum book_state)depth->state) {
    case BOOK_WAITING:
        normalise_emit(normalise, depth->stream, event);
        keep(normalise, depth, &event->depth);
        break;
    case BOOK_JOINING:
        delta_while_joining(normalise, depth, event);
        break;
    case BOOK_WHOLE:
        delta_while_whole(normalise, depth, event);
        break;
    }
}

/* Without ids a book cannot follow it. */
static void land_unproven(struct normalise *normalise, uint32_t index, const struct event *event)
{
    struct stream *stream = &normalise->streams[index];
    struct sequence *sequence = &stream->sequences[SEQUENCE_MAIN];
    if (sequence->interrupted != 0) {
        gap_unproven(normalise, index, sequence);
    }
    normalise_emit(normalise, index, event);
    if (stream->depth != NULL) {
        depth_lose(normalise, stream->depth, false);
    }
}

bool depth_delta(struct normalise *normalise, uint32_t index, const struct event *event)
{
    struct stream *stream = &normalise->streams[index];
    struct sequence *sequence = &stream->sequences[SEQUENCE_MAIN];
    const struct depth_event *delta = &event->depth;
    enum continuity rule = rule_of(event);
    if (rule == CONTINUITY_NONE) {
        land_unproven(normalise, index, event);
        return true;
    }
    if (!check_sequence(normalise, index, rule, event)) {
        return false;
    }
    if (stream->depth != NULL) {
        follow(normalise, stream->depth, event);
    } else {
        normalise_emit(normalise, index, event);
    }
    sequence->last_id = delta->last_update_id;
    return true;
}

/* ---- snapshots */

struct joining {
    struct normalise *normalise;
    struct depth *depth;
    const struct venue *venue;
    bool first, failed;
};

static bool on_pending(void *context, const struct depth_event *delta)
{
    struct joining *joining = context;
    struct depth *depth = joining->depth;
    if (delta->last_update_id <= depth->book_id) {
        return true;
    }
    joining->failed = (joining->first && !joining->venue->joins(delta, depth->book_id)) ||
                      apply(joining->normalise, depth, delta) != 0;
    joining->first = false;
    return !joining->failed;
}

/* Older than what the stream has shown and was not kept. What was kept must join: on_pending(). */
static bool too_old(const struct depth *depth, const struct sequence *sequence, int64_t id)
{
    return id == ID_NONE ||
           (depth->pending.count == 0 && sequence->last_id != ID_NONE && id < sequence->last_id);
}

/* How far a side of the snapshot goes. */
static void note_reach(struct depth *depth, enum book_side side, const struct level *levels,
                       uint32_t count)
{
    depth->reaches[side] = count > 0;
    for (uint32_t i = 0; i < count; i++) {
        int order = i == 0 ? 0 : decimal_compare(levels[i].price, depth->reach[side]);
        bool farther = i == 0 || (side == BOOK_BID ? order < 0 : order > 0);
        depth->reach[side] = farther ? levels[i].price : depth->reach[side];
    }
}

/* Loads the snapshot and what was kept behind it. False: it is of no use. */
static bool load(struct normalise *normalise, struct depth *depth, const struct event *event)
{
    const struct depth_event *snapshot = &event->depth;
    if (too_old(depth, sequence_of(normalise, depth), snapshot->last_update_id)) {
        return false;
    }
    depth->book_id = snapshot->last_update_id;
    note_reach(depth, BOOK_BID, snapshot->bids, snapshot->bid_count);
    note_reach(depth, BOOK_ASK, snapshot->asks, snapshot->ask_count);
    if (set_levels(depth->book, BOOK_BID, snapshot->bids, snapshot->bid_count) != 0 ||
        set_levels(depth->book, BOOK_ASK, snapshot->asks, snapshot->ask_count) != 0) {
        return false;
    }
    struct joining joining = {normalise, depth, venue_of(event->venue), true, false};
    pending_each(normalise, &depth->pending, on_pending, &joining);
    return !joining.failed;
}

void depth_snapshot(struct normalise *normalise, const struct event *event)
{
    uint32_t index = stream_obtain(normalise, event->venue, CHANNEL_DEPTH, event->symbol);
    struct depth *depth = index != NONE_INDEX ? normalise->streams[index].depth : NULL;
    if (depth != NULL && depth->state == BOOK_WHOLE &&
        shadow_snapshot(normalise, depth, &event->depth)) {
        return;
    }
    bool for_check = normalise->shadows[event->venue] != NULL && /* its book was lost meanwhile */
                     seeds_books(venue_of(event->venue));
    if (depth == NULL || depth->state != BOOK_WAITING || for_check) {
        normalise->stats.snapshots_ignored++; /* not asked for (any more) */
        return;
    }
    if (!load(normalise, depth, event)) {
        normalise->stats.snapshots_too_old++;
        book_clear(depth->book); /* what was kept stays; the ticks ask again */
        return;
    }
    pending_clear(normalise, &depth->pending);
    depth->state = BOOK_JOINING;
    depth->joining_ns = normalise->now_ns;
    if (depth->book_id == sequence_of(normalise, depth)->last_id) {
        become_whole(normalise, depth, event);
    }
}

/* ---- full books in the stream itself */

/* How far the stream has come: what it said, or the book that is out already. */
static int64_t known_id(const struct depth *depth, const struct sequence *sequence)
{
    return depth != NULL && depth->state == BOOK_WHOLE && depth->book_id > sequence->last_id
               ? depth->book_id
               : sequence->last_id;
}

/* What was between the last message and this full book is missing; the book mends it. */
static void hole_before_full(struct normalise *normalise, uint32_t index, const struct event *event,
                             int64_t known)
{
    struct stream *stream = &normalise->streams[index];
    struct sequence *sequence = &stream->sequences[SEQUENCE_MAIN];
    int64_t id = event->depth.last_update_id;
    if (known == ID_NONE || id < known) {
        if (sequence->interrupted != 0 || known != ID_NONE) {
            gap_found(normalise, index, sequence, ID_NONE, ID_NONE, ID_NONE, true,
                      GAP_RESOLVED_NONE);
        }
    } else if (id == known) {
        if (sequence->interrupted != 0) {
            gap_overlap(normalise, index, sequence);
        }
    } else {
        if (sequence->interrupted == 0 && event->conn != sequence->landed_conn) {
            sequence->interrupted = 1 + GAP_RECONNECT; /* the newer connection is ahead */
            sequence->interrupted_ns = event->recv_unix_ns;
        }
        gap_between(normalise, index, sequence, known, id < INT64_MAX ? id + 1 : id, true);
    }
}

/* The book as the stream brings it, and what came before it and goes on behind it. */
static void land_full(struct normalise *normalise, struct depth *depth, const struct event *event)
{
    if (depth->state != BOOK_WAITING) {
        depth_lose(normalise, depth, false);
    }
    if (!load(normalise, depth, event)) {
        normalise->stats.snapshots_too_old++;
        book_clear(depth->book);
        request_if_due(normalise, depth);
        return;
    }
    if (depth->book_id == event->depth.last_update_id) {
        normalise->stats.rows_of_snapshots += event->depth.bid_count + event->depth.ask_count;
        normalise_emit(normalise, depth->stream, event);
        depth->book_event_ns = event->event_unix_ns;
    } else {
        depth_emit_book(normalise, depth, event);
    }
    pending_clear(normalise, &depth->pending);
    sequence_of(normalise, depth)->last_id = depth->book_id;
    stands(normalise, depth);
}

bool depth_full(struct normalise *normalise, uint32_t index, const struct event *event)
{
    struct stream *stream = &normalise->streams[index];
    struct sequence *sequence = &stream->sequences[SEQUENCE_MAIN];
    struct depth *depth = stream->depth;
    int64_t id = event->depth.last_update_id;
    int64_t known = known_id(depth, sequence);
    if (id == ID_NONE) {
        land_unproven(normalise, index, event);
        return true;
    }
    bool restarted = known != ID_NONE && id < known && ids_back(known, id) >= RESTART_DISTANCE;
    bool waits = depth != NULL && depth->state != BOOK_WHOLE;
    if (known != ID_NONE && id <= known && !restarted && !waits) {
        if (id == known && sequence->interrupted != 0) {
            gap_overlap(normalise, index, sequence);
        }
        normalise->stats.duplicates++; /* another connection has said all of it */
        return false;
    }
    if (!waits || id >= known || restarted) {
        hole_before_full(normalise, index, event, known);
    }
    if (restarted) {
        sequence->last_id = ID_NONE;
        if (depth != NULL) {
            depth_lose(normalise, depth, false); /* what was kept is of the old sequence */
        }
    }
    if (depth != NULL) {
        land_full(normalise, depth, event);
    } else {
        normalise_emit(normalise, index, event);
        sequence->last_id = id;
        mend(normalise, index);
    }
    return true;
}

bool depth_jumps(const struct stream *stream, const struct event *event)
{
    const struct depth_event *depth = &event->depth;
    int64_t known = known_id(stream->depth, &stream->sequences[SEQUENCE_MAIN]);
    if (known == ID_NONE || depth->last_update_id == ID_NONE || depth->last_update_id <= known) {
        return false;
    }
    if (depth->is_snapshot) { /* where the book is lost any new one is welcome */
        return stream->depth == NULL || stream->depth->state == BOOK_WHOLE;
    }
    enum continuity rule = rule_of(event);
    return rule != CONTINUITY_NONE && !goes_on(rule, depth, known);
}

void depth_tick(struct normalise *normalise, struct depth *depth)
{
    const struct sequence *sequence = sequence_of(normalise, depth);
    if (depth->state == BOOK_WAITING && sequence->connected) {
        request_if_due(normalise, depth);
    } else if (depth->state == BOOK_JOINING &&
               time_since(normalise->now_ns, depth->joining_ns) >= JOIN_WAIT_NS) {
        /* nothing changes in this book now: it stands at the snapshot */
        struct event cause = {
            .recv_unix_ns = normalise->now_ns, .conn = sequence->conn, .seq = normalise->now_seq};
        become_whole(normalise, depth, &cause);
    }
}
