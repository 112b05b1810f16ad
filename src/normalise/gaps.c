/* Gap rows: found, kept open while they may still be repaired, emitted once when their end is
 * known. Each is an event of channel gaps, whose symbol is the stream's. */
#include "base/assert.h"
#include "normalise/normalise_internal.h"

void gap_emit(struct normalise *normalise, const struct stream *stream, const struct gap_event *gap,
              uint32_t conn)
{
    uint32_t index =
        stream_obtain(normalise, (enum venue_id)stream->venue, CHANNEL_GAPS, (struct str){0});
    normalise->stats.gaps++;
    normalise->stats.gaps_by_kind[gap->kind]++;
    if (gap->missing != ID_NONE && gap->missing > 0) {
        normalise->stats.missing_ids += (uint64_t)gap->missing;
    }
    if (index == NONE_INDEX) {
        return; /* counted by stream_obtain() */
    }
    struct event event = {
        .channel = CHANNEL_GAPS,
        .venue = (enum venue_id)stream->venue,
        .symbol = stream->symbol,
        .event_unix_ns = TIME_NONE,
        .recv_unix_ns = normalise->now_ns,
        .conn = conn,
        .seq = normalise->now_seq,
        .gap = *gap,
    };
    normalise->stats.events++;
    normalise->handlers.on_event(normalise->handlers.context, index, &event);
}

static uint32_t open_count(const struct normalise *normalise, const struct stream *stream)
{
    uint32_t count = 0;
    for (uint32_t at = stream->first_gap; at != NONE_INDEX; at = normalise->gaps[at].next) {
        count++;
    }
    return count;
}

static void resolve_first(struct normalise *normalise, struct stream *stream,
                          enum gap_resolved resolved, int64_t end_ns)
{
    uint32_t at = stream->first_gap;
    struct open_gap *open = &normalise->gaps[at];
    ASSERT(open->used);
    struct gap_event gap = open->gap;
    uint32_t conn = open->conn;
    gap.resolved_by = resolved;
    gap.end_unix_ns = resolved == GAP_RESOLVED_NONE ? gap.end_unix_ns : end_ns;
    stream->first_gap = open->next;
    open->used = false;
    open->next = normalise->gap_free;
    normalise->gap_free = at;
    normalise->stats.open_gaps--;
    gap_emit(normalise, stream, &gap, conn);
}

void gap_found(struct normalise *normalise, uint32_t index, int64_t from, int64_t to,
               int64_t missing, bool repairable, enum gap_resolved resolved, int64_t end_ns)
{
    struct stream *stream = &normalise->streams[index];
    struct gap_event gap = {
        .of_channel = (enum channel)stream->channel,
        .kind = stream->interrupted ? (enum gap_kind)stream->interrupted_kind : GAP_SEQUENCE,
        .from_id = from,
        .to_id = to,
        .missing = missing,
        .start_unix_ns = stream->last_recv_ns != TIME_NONE ? stream->last_recv_ns
                         : stream->interrupted             ? stream->interrupted_ns
                                                           : end_ns,
        .end_unix_ns = end_ns,
        .resolved_by = resolved,
    };
    stream->interrupted = false;
    if (repairable && open_count(normalise, stream) == OPEN_GAPS_A_STREAM) {
        resolve_first(normalise, stream, GAP_RESOLVED_NONE, end_ns);
    }
    if (!repairable || normalise->gap_free == NONE_INDEX) {
        gap_emit(normalise, stream, &gap, stream->conn);
        return;
    }
    uint32_t at = normalise->gap_free;
    struct open_gap *open = &normalise->gaps[at];
    normalise->gap_free = open->next;
    *open = (struct open_gap){true, index, NONE_INDEX, gap, stream->conn, normalise->now_seq};
    uint32_t *tail = &stream->first_gap;
    while (*tail != NONE_INDEX) {
        tail = &normalise->gaps[*tail].next;
    }
    *tail = at;
    normalise->stats.open_gaps++;
}

void gap_resolve_all(struct normalise *normalise, uint32_t index, enum gap_resolved resolved,
                     int64_t end_ns)
{
    struct stream *stream = &normalise->streams[index];
    while (stream->first_gap != NONE_INDEX) {
        resolve_first(normalise, stream, resolved, end_ns);
    }
}

void stream_interrupt(struct stream *stream, enum gap_kind kind, int64_t since_ns)
{
    if (!stream->interrupted && stream->channel != CHANNEL_GAPS &&
        stream->channel != CHANNEL_INSTRUMENTS) {
        stream->interrupted = true;
        stream->interrupted_kind = (uint8_t)kind;
        stream->interrupted_ns = since_ns;
    }
}

/* ---- undecodable messages: one row a burst */

static void burst_emit(struct normalise *normalise, struct decode_burst *burst)
{
    struct stream of = {.venue = burst->venue};
    struct gap_event gap = {
        .of_channel = burst->channel >= 0 ? (enum channel)burst->channel : CHANNEL_TRADES,
        .all_channels = burst->channel < 0,
        .kind = GAP_DECODE,
        .from_id = ID_NONE,
        .to_id = ID_NONE,
        .missing = (int64_t)burst->count,
        .start_unix_ns = burst->first_ns,
        .end_unix_ns = burst->last_ns,
        .resolved_by = GAP_RESOLVED_NONE,
    };
    burst->used = false;
    gap_emit(normalise, &of, &gap, burst->conn);
}

void bursts_flush(struct normalise *normalise, int64_t now_ns, bool all)
{
    for (uint32_t i = 0; i < DECODE_BURSTS; i++) {
        struct decode_burst *burst = &normalise->bursts[i];
        if (burst->used && (all || now_ns - burst->last_ns >= BURST_QUIET_NS)) {
            burst_emit(normalise, burst);
        }
    }
}

void normalise_undecodable(struct normalise *normalise, const struct record *record,
                           const struct decode_result *result)
{
    struct decode_burst *place = NULL;
    char reason[sizeof place->reason] = {0};
    memcpy(reason, result->reason, strnlen(result->reason, sizeof reason - 1));
    struct decode_burst *oldest = &normalise->bursts[0];
    normalise->now_ns = record->time_unix_ns;
    normalise->now_seq = record->seq;
    for (uint32_t i = 0; i < DECODE_BURSTS; i++) {
        struct decode_burst *burst = &normalise->bursts[i];
        if (burst->used && burst->venue == record->venue && burst->channel == result->channel &&
            strncmp(burst->reason, reason, sizeof burst->reason) == 0) {
            burst->count++;
            burst->last_ns = record->time_unix_ns;
            return;
        }
        if (!burst->used) {
            place = place == NULL ? burst : place;
        } else if (burst->last_ns < oldest->last_ns) {
            oldest = burst;
        }
    }
    if (place == NULL) {
        burst_emit(normalise, oldest);
        place = oldest;
    }
    *place = (struct decode_burst){
        .used = true,
        .venue = (uint8_t)record->venue,
        .channel = result->channel,
        .count = 1,
        .first_ns = record->time_unix_ns,
        .last_ns = record->time_unix_ns,
        .conn = record->conn,
    };
    memcpy(place->reason, reason, sizeof reason);
}
