/* Depth streams and their books. Every delta that is not a duplicate lands at once, as received;
 * the book is emitted as one snapshot exactly when the stream stands at the book's id, so that a
 * reader who clears at the first snapshot row is right at every row.
 *
 *   WAITING  deltas land and are kept; a snapshot is asked for
 *   JOINING  the snapshot is loaded but ahead of the stream: deltas up to it land and are not
 * applied WHOLE    emitted; each delta lands, then is applied
 *
 * The venue's rule of joining stands in struct venue (joins, continuity). */
#include "base/assert.h"
#include "base/err.h"
#include "normalise/normalise_internal.h"

static void emit_delta(struct normalise *normalise, uint32_t index, const struct event *event)
{
    normalise->stats.events++;
    normalise->handlers.on_event(normalise->handlers.context, index, event);
}

static void request(struct normalise *normalise, struct stream *stream)
{
    if (stream->request_at_ns == TIME_NONE) {
        stream->request_pause_ns = REQUEST_FIRST_NS;
    }
    stream->request_at_ns = normalise->now_ns + stream->request_pause_ns;
    stream->request_pause_ns = stream->request_pause_ns * 2 < REQUEST_MOST_NS
                                   ? stream->request_pause_ns * 2
                                   : REQUEST_MOST_NS;
    if (normalise->handlers.on_snapshot_wanted != NULL) {
        normalise->handlers.on_snapshot_wanted(normalise->handlers.context,
                                               (enum venue_id)stream->venue, stream->symbol);
    }
}

void depth_wait(struct normalise *normalise, struct stream *stream)
{
    if (stream->book_state == BOOK_OFF) {
        return;
    }
    normalise->stats.books -= stream->book_state == BOOK_WHOLE;
    if (stream->book != NULL) {
        book_clear(stream->book);
    }
    pending_clear(normalise, stream);
    stream->book_state = BOOK_WAITING;
    stream->book_event_ns = TIME_NONE;
    stream->request_at_ns = TIME_NONE;
}

void depth_subscribed(struct normalise *normalise, uint32_t index)
{
    struct stream *stream = &normalise->streams[index];
    if (stream->book_state == BOOK_WAITING && stream->request_at_ns == TIME_NONE) {
        request(normalise, stream);
    }
}

static void keep(struct normalise *normalise, struct stream *stream,
                 const struct depth_event *delta)
{
    if (!pending_put(normalise, stream, delta)) {
        /* a snapshot must now be newer than this delta, or than the next that can be kept */
        pending_clear(normalise, stream);
        if (!pending_put(normalise, stream, delta)) {
            pending_clear(normalise, stream);
        }
    }
    if (stream->request_at_ns == TIME_NONE) {
        request(normalise, stream);
    }
}

/* ---- the book */

static int set_levels(struct book *book, enum book_side side, const struct level *levels,
                      uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        int code = book_level_set(book, side, levels[i].price, levels[i].amount);
        if (code == MD_ERANGE) {
            return code;
        }
        if (code == MD_EFULL) {
            book->truncated = true;
        }
    }
    return 0;
}

static int apply(struct normalise *normalise, struct stream *stream,
                 const struct depth_event *delta)
{
    bool was_crossed = book_crossed(stream->book);
    int code = set_levels(stream->book, BOOK_BID, delta->bids, delta->bid_count);
    code = code != 0 ? code : set_levels(stream->book, BOOK_ASK, delta->asks, delta->ask_count);
    stream->book_id = delta->last_update_id;
    normalise->stats.crossed_books += !was_crossed && book_crossed(stream->book);
    return code;
}

bool depth_emit_book(struct normalise *normalise, uint32_t index, const struct event *cause)
{
    struct stream *stream = &normalise->streams[index];
    struct level *bids = normalise->levels;
    struct level *asks = bids + normalise->levels_max;
    struct event event = {
        .channel = CHANNEL_DEPTH,
        .venue = (enum venue_id)stream->venue,
        .symbol = stream->symbol,
        .event_unix_ns = stream->book_event_ns,
        .recv_unix_ns = cause->recv_unix_ns,
        .conn = cause->conn,
        .seq = cause->seq,
    };
    event.depth = (struct depth_event){
        .is_snapshot = true,
        .first_update_id = ID_NONE,
        .last_update_id = stream->book_id,
        .prev_update_id = ID_NONE,
        .bids = bids,
        .asks = asks,
        .bid_count = book_levels(stream->book, BOOK_BID, bids, normalise->levels_max),
        .ask_count = book_levels(stream->book, BOOK_ASK, asks, normalise->levels_max),
    };
    normalise->stats.rows_of_snapshots += event.depth.bid_count + event.depth.ask_count;
    emit_delta(normalise, index, &event);
    return true;
}

/* The stream stands at the book's id: emit it; the holes before are mended. */
static void become_whole(struct normalise *normalise, uint32_t index, const struct event *cause)
{
    struct stream *stream = &normalise->streams[index];
    ASSERT(stream->book_state == BOOK_JOINING);
    /* the file's own opening snapshot would be this one again: not whole until it is out */
    depth_emit_book(normalise, index, cause);
    stream->book_state = BOOK_WHOLE;
    normalise->stats.books++;
    normalise->stats.snapshots_joined++;
    if (stream->first_gap != NONE_INDEX) {
        normalise->stats.resyncs++;
        gap_resolve_all(normalise, index, GAP_RESOLVED_RESYNC, cause->recv_unix_ns);
    }
}

/* ---- deltas */

/* False: a duplicate, not to be landed. Finds holes and restarted sequences. */
static bool check_sequence(struct normalise *normalise, uint32_t index, const struct event *event)
{
    struct stream *stream = &normalise->streams[index];
    const struct depth_event *delta = &event->depth;
    const struct venue *venue = venue_of(event->venue);
    enum continuity rule = venue != NULL ? venue->continuity(CHANNEL_DEPTH, 0) : CONTINUITY_NONE;
    int64_t last = stream->last_id;
    bool repairable = stream->book_state != BOOK_OFF;
    if (last == ID_NONE || rule == CONTINUITY_NONE) {
        if (stream->interrupted) {
            gap_found(normalise, index, ID_NONE, ID_NONE, ID_NONE, false, GAP_RESOLVED_NONE,
                      event->recv_unix_ns);
            depth_wait(normalise, stream);
        }
        return true;
    }
    if (delta->last_update_id <= last) {
        if ((uint64_t)last - (uint64_t)delta->last_update_id < RESTART_DISTANCE) {
            normalise->stats.duplicates++;
            return false;
        }
        gap_found(normalise, index, ID_NONE, ID_NONE, ID_NONE, repairable, GAP_RESOLVED_NONE,
                  event->recv_unix_ns);
        depth_wait(normalise, stream);
        return true;
    }
    bool follows =
        rule == CONTINUITY_PREVIOUS && delta->prev_update_id != ID_NONE
            ? delta->prev_update_id == last
            : delta->first_update_id <= last + 1; /* last < last_update_id: no overflow */
    if (!follows) {
        int64_t to = rule == CONTINUITY_RANGE ? delta->first_update_id - 1 : ID_NONE;
        uint64_t missing = (uint64_t)delta->first_update_id - (uint64_t)last - 1;
        gap_found(normalise, index, last + 1, to,
                  rule == CONTINUITY_RANGE && missing <= INT64_MAX ? (int64_t)missing : ID_NONE,
                  repairable, GAP_RESOLVED_NONE, event->recv_unix_ns);
        depth_wait(normalise, stream);
    } else if (stream->interrupted) {
        gap_found(normalise, index, ID_NONE, ID_NONE, 0, false, GAP_RESOLVED_OVERLAP,
                  event->recv_unix_ns);
    }
    return true;
}

static void delta_while_joining(struct normalise *normalise, uint32_t index,
                                const struct event *event)
{
    struct stream *stream = &normalise->streams[index];
    const struct depth_event *delta = &event->depth;
    if (delta->last_update_id <= stream->book_id) {
        emit_delta(normalise, index, event);
        if (delta->last_update_id == stream->book_id) {
            stream->book_event_ns = event->event_unix_ns;
            become_whole(normalise, index, event);
        }
        return;
    }
    const struct venue *venue = venue_of(event->venue);
    if (!venue->joins(delta, stream->book_id)) {
        normalise->stats.snapshots_too_old++;
        depth_wait(normalise, stream);
        emit_delta(normalise, index, event);
        keep(normalise, stream, delta);
        return;
    }
    become_whole(normalise, index, event);
    emit_delta(normalise, index, event);
    if (apply(normalise, stream, delta) != 0) {
        depth_wait(normalise, stream);
    }
    stream->book_event_ns = event->event_unix_ns;
}

static void delta_while_whole(struct normalise *normalise, uint32_t index,
                              const struct event *event)
{
    struct stream *stream = &normalise->streams[index];
    const struct depth_event *delta = &event->depth;
    if (delta->last_update_id <= stream->book_id) {
        normalise->stats.duplicates++; /* older than a snapshot that is out: holds nothing new */
        return;
    }
    if (stream->last_id == ID_NONE && !venue_of(event->venue)->joins(delta, stream->book_id)) {
        normalise->stats.snapshots_too_old++;
        depth_wait(normalise, stream);
        emit_delta(normalise, index, event);
        keep(normalise, stream, delta);
        return;
    }
    emit_delta(normalise, index, event);
    if (apply(normalise, stream, delta) != 0) {
        depth_wait(normalise, stream);
        keep(normalise, stream, delta);
        return;
    }
    stream->book_event_ns = event->event_unix_ns;
}

void depth_delta(struct normalise *normalise, uint32_t index, const struct event *event)
{
    struct stream *stream = &normalise->streams[index];
    if (!check_sequence(normalise, index, event)) {
        return;
    }
    switch ((enum book_state)stream->book_state) {
    case BOOK_OFF:
        emit_delta(normalise, index, event);
        break;
    case BOOK_WAITING:
        emit_delta(normalise, index, event);
        keep(normalise, stream, &event->depth);
        break;
    case BOOK_JOINING:
        delta_while_joining(normalise, index, event);
        break;
    case BOOK_WHOLE:
        delta_while_whole(normalise, index, event);
        break;
    }
    stream->last_id = event->depth.last_update_id;
}

/* ---- snapshots */

struct joining {
    struct normalise *normalise;
    struct stream *stream;
    bool failed;
};

static bool on_pending(void *context, const struct depth_event *delta)
{
    struct joining *joining = context;
    if (delta->last_update_id <= joining->stream->book_id) {
        return true;
    }
    joining->failed = apply(joining->normalise, joining->stream, delta) != 0;
    return !joining->failed;
}

bool depth_book_obtain(struct normalise *normalise, struct stream *stream)
{
    if (stream->book == NULL) {
        stream->book = book_acquire(normalise->books);
    }
    return stream->book != NULL;
}

/* Too old, or it cannot be held: asked again by the ticks, with growing pauses. */
static void snapshot_useless(struct normalise *normalise, struct stream *stream)
{
    normalise->stats.snapshots_too_old++;
    if (stream->book != NULL) {
        book_clear(stream->book);
    }
    stream->book_state = BOOK_WAITING;
    if (stream->request_at_ns == TIME_NONE) {
        stream->request_pause_ns = REQUEST_FIRST_NS;
        stream->request_at_ns = normalise->now_ns + REQUEST_FIRST_NS;
    }
}

void depth_snapshot(struct normalise *normalise, const struct event *event)
{
    uint32_t index = stream_obtain(normalise, event->venue, CHANNEL_DEPTH, event->symbol);
    if (index == NONE_INDEX) {
        return;
    }
    struct stream *stream = &normalise->streams[index];
    const struct depth_event *depth = &event->depth;
    if (stream->book_state != BOOK_WAITING || !depth_book_obtain(normalise, stream)) {
        return; /* not asked for (any more) */
    }
    bool pending = stream->pending.count > 0;
    bool too_old = pending ? stream->pending.first_id > depth->last_update_id &&
                                 stream->pending.first_id - depth->last_update_id > 1
                           : stream->last_id != ID_NONE && depth->last_update_id < stream->last_id;
    book_clear(stream->book);
    if (too_old || set_levels(stream->book, BOOK_BID, depth->bids, depth->bid_count) != 0 ||
        set_levels(stream->book, BOOK_ASK, depth->asks, depth->ask_count) != 0) {
        snapshot_useless(normalise, stream);
        return;
    }
    stream->book_id = depth->last_update_id;
    struct joining joining = {normalise, stream, false};
    pending_each(normalise, stream, on_pending, &joining);
    if (joining.failed) {
        pending_clear(normalise, stream);
        snapshot_useless(normalise, stream);
        return;
    }
    pending_clear(normalise, stream);
    stream->book_state = BOOK_JOINING;
    stream->joining_ns = normalise->now_ns;
    if (stream->last_id != ID_NONE && stream->book_id == stream->last_id) {
        stream->book_event_ns = TIME_NONE;
        become_whole(normalise, index, event);
    }
}

void depth_tick(struct normalise *normalise, uint32_t index)
{
    struct stream *stream = &normalise->streams[index];
    if (stream->book_state == BOOK_WAITING && stream->request_at_ns != TIME_NONE &&
        normalise->now_ns >= stream->request_at_ns && !stream->interrupted) {
        request(normalise, stream);
    }
    if (stream->book_state == BOOK_JOINING &&
        normalise->now_ns - stream->joining_ns >= JOIN_WAIT_NS) {
        /* nothing changes in this book now: it stands at the snapshot */
        struct event cause = {
            .recv_unix_ns = normalise->now_ns, .conn = stream->conn, .seq = normalise->now_seq};
        become_whole(normalise, index, &cause);
    }
}
