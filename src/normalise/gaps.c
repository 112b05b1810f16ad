/* Gap rows: found, kept open while they may still be repaired, emitted once when their end is
 * known. Each is an event of channel gaps, whose symbol is the stream's. Memory: open_gaps_max of
 * them, four a stream, so that no stream's gaps show in another's; with none left a gap is emitted
 * at once, as not repaired. */
#include "base/assert.h"
#include "normalise/normalise_internal.h"

static void emit_gap(struct normalise *normalise, enum venue_id venue, struct str symbol,
                     const struct gap_event *gap, uint32_t conn)
{
    normalise->stats.gaps++;
    normalise->stats.gaps_by_kind[gap->kind]++;
    normalise->stats.gaps_by[venue][gap->kind][gap->resolved_by]++;
    uint32_t of =
        gap->all_channels ? NONE_INDEX : stream_lookup(normalise, venue, gap->of_channel, symbol);
    if (of != NONE_INDEX) {
        normalise->streams[of].gaps++;
    }
    if (gap->from_id != ID_NONE && gap->missing > 0 && gap->resolved_by != GAP_RESOLVED_BACKFILL) {
        normalise->stats.missing_ids += (uint64_t)gap->missing;
    }
    uint32_t index = venue == VENUE_NONE
                         ? NONE_INDEX
                         : stream_obtain(normalise, venue, CHANNEL_GAPS, (struct str){0});
    if (index == NONE_INDEX) {
        return; /* no venue to list it under; or refused and counted */
    }
    struct event event = {
        .channel = CHANNEL_GAPS,
        .venue = venue,
        .symbol = symbol,
        .event_unix_ns = TIME_NONE,
        .recv_unix_ns = normalise->now_ns,
        .conn = conn,
        .seq = normalise->now_seq,
        .gap = *gap,
    };
    normalise_emit(normalise, index, &event);
}

/* What made the hole that ends now: the connection, dropped messages in its time, or the venue. */
static enum gap_kind kind_of(const struct normalise *normalise, const struct stream *stream,
                             const struct sequence *sequence)
{
    const struct drop_window *drop = &normalise->drops[stream->venue][stream->channel];
    if (sequence->interrupted != 0) {
        return (enum gap_kind)(sequence->interrupted - 1);
    }
    return drop->used && drop->last_ns >= sequence->last_recv_ns &&
                   drop->first_ns <= normalise->now_ns
               ? GAP_QUEUE_DROP
               : GAP_SEQUENCE;
}

bool gap_keep(struct normalise *normalise, uint32_t index, const struct gap_event *gap,
              uint32_t conn)
{
    uint32_t at = normalise->gap_free;
    if (at == NONE_INDEX) {
        return false;
    }
    normalise->gap_free = normalise->gaps[at].next;
    normalise->gaps[at] = (struct open_gap){
        .used = true, .stream = index, .next = NONE_INDEX, .conn = conn, .gap = *gap};
    uint32_t *tail = &normalise->streams[index].first_gap;
    while (*tail != NONE_INDEX) {
        tail = &normalise->gaps[*tail].next;
    }
    *tail = at;
    normalise->stats.open_gaps++;
    return true;
}

void gap_tell(struct normalise *normalise, uint32_t index, const struct gap_event *gap,
              uint32_t conn)
{
    const struct stream *stream = &normalise->streams[index];
    emit_gap(normalise, (enum venue_id)stream->venue, stream->symbol, gap, conn);
}

void gap_free(struct normalise *normalise, uint32_t at)
{
    struct open_gap *open = &normalise->gaps[at];
    ASSERT(open->used);
    uint32_t *link = &normalise->streams[open->stream].first_gap;
    while (*link != at) {
        ASSERT(*link != NONE_INDEX);
        link = &normalise->gaps[*link].next;
    }
    *link = open->next;
    normalise->holes -= open->hole.open;
    open->used = false;
    open->hole.open = false;
    open->next = normalise->gap_free;
    normalise->gap_free = at;
    normalise->stats.open_gaps--;
}

static void resolve_first(struct normalise *normalise, uint32_t index, enum gap_resolved resolved)
{
    uint32_t at = normalise->streams[index].first_gap;
    struct open_gap *open = &normalise->gaps[at];
    ASSERT(open->stream == index);
    if (open->hole.open) {
        hole_leave(normalise, at);
        return;
    }
    struct gap_event gap = open->gap;
    uint32_t conn = open->conn;
    gap.resolved_by = resolved;
    if (resolved != GAP_RESOLVED_NONE) {
        gap.end_unix_ns = normalise->now_ns; /* else where the ids went on */
    }
    gap_free(normalise, at);
    gap_tell(normalise, index, &gap, conn);
}

void gap_resolve_all(struct normalise *normalise, uint32_t index, enum gap_resolved resolved)
{
    while (normalise->streams[index].first_gap != NONE_INDEX) {
        resolve_first(normalise, index, resolved);
    }
}

/* One more than a stream may have open ends the oldest as not mended. */
static void make_place(struct normalise *normalise, uint32_t index)
{
    uint32_t count = 0;
    for (uint32_t at = normalise->streams[index].first_gap; at != NONE_INDEX;
         at = normalise->gaps[at].next) {
        count++;
    }
    if (count >= OPEN_GAPS_A_STREAM) {
        resolve_first(normalise, index, GAP_RESOLVED_NONE);
    }
}

struct gap_event gap_make(struct normalise *normalise, uint32_t index, struct sequence *sequence,
                          int64_t from, int64_t to, int64_t missing, enum gap_resolved resolved)
{
    const struct stream *stream = &normalise->streams[index];
    struct gap_event gap = {
        .of_channel = (enum channel)stream->channel,
        .kind = kind_of(normalise, stream, sequence),
        .from_id = from,
        .to_id = to,
        .missing = missing,
        .start_unix_ns = sequence->last_recv_ns != TIME_NONE ? sequence->last_recv_ns
                         : sequence->interrupted != 0        ? sequence->interrupted_ns
                                                             : normalise->now_ns,
        .end_unix_ns = normalise->now_ns,
        .resolved_by = resolved,
    };
    sequence->interrupted = 0;
    return gap;
}

void gap_found(struct normalise *normalise, uint32_t index, struct sequence *sequence, int64_t from,
               int64_t to, int64_t missing, bool repairable, enum gap_resolved resolved)
{
    struct gap_event gap = gap_make(normalise, index, sequence, from, to, missing, resolved);
    if (repairable) {
        make_place(normalise, index);
    }
    if (!repairable || !gap_keep(normalise, index, &gap, sequence->conn)) {
        gap_tell(normalise, index, &gap, sequence->conn);
    }
}

void gap_between(struct normalise *normalise, uint32_t index, struct sequence *sequence,
                 int64_t last_id, int64_t next_id, bool repairable)
{
    if (next_id <= last_id || next_id - 1 == last_id) { /* a rule that no count of ids tells */
        gap_found(normalise, index, sequence, ID_NONE, ID_NONE, ID_NONE, repairable,
                  GAP_RESOLVED_NONE);
        return;
    }
    uint64_t missing = ids_back(next_id, last_id) - 1;
    gap_found(normalise, index, sequence, last_id + 1, next_id - 1,
              missing <= INT64_MAX ? (int64_t)missing : ID_NONE, repairable, GAP_RESOLVED_NONE);
}

void gap_unproven(struct normalise *normalise, uint32_t index, struct sequence *sequence)
{
    gap_found(normalise, index, sequence, ID_NONE, ID_NONE, ID_NONE, false, GAP_RESOLVED_NONE);
}

void gap_overlap(struct normalise *normalise, uint32_t index, struct sequence *sequence)
{
    gap_found(normalise, index, sequence, ID_NONE, ID_NONE, 0, false, GAP_RESOLVED_OVERLAP);
}

void sequence_interrupt(const struct stream *stream, struct sequence *sequence, enum gap_kind kind,
                        int64_t since_ns)
{
    if (stream->channel != CHANNEL_GAPS && stream->channel != CHANNEL_INSTRUMENTS &&
        sequence->interrupted == 0) {
        sequence->interrupted = (uint8_t)(1 + kind);
        sequence->interrupted_ns = since_ns;
    }
}

/* ---- dropped messages */

/* A whole number, else `other`. */
static int64_t number_of(struct str word, int64_t other)
{
    int64_t value = 0;
    for (size_t i = 0; i < word.bytes; i++) {
        int64_t digit = word.data[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return other;
        }
    }
    return word.bytes > 0 ? value : other;
}

static struct str next_word(struct str *text)
{
    const char *space = text->bytes > 0 ? memchr(text->data, ' ', text->bytes) : NULL;
    if (space == NULL) {
        struct str word = *text;
        *text = (struct str){0};
        return word;
    }
    size_t bytes = (size_t)(space - text->data);
    struct str word = str_make(text->data, bytes);
    *text = str_make(space + 1, text->bytes - bytes - 1);
    return word;
}

/* arg = "COUNT CHANNEL first_unix_ns last_unix_ns". One row with the count; holes in the ids that
 * span the time of the drops follow as rows of the same kind, stream by stream. */
void gap_dropped(struct normalise *normalise, const struct record *record)
{
    struct str rest = record->arg;
    int64_t count = number_of(next_word(&rest), ID_NONE);
    int channel = channel_parse(next_word(&rest));
    int64_t first_ns = number_of(next_word(&rest), record->time_unix_ns);
    int64_t last_ns = number_of(next_word(&rest), record->time_unix_ns);
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        if (channel < 0 || channel == i) {
            normalise->drops[record->venue][i] = (struct drop_window){true, first_ns, last_ns};
        }
    }
    struct gap_event gap = {
        .of_channel = channel >= 0 ? (enum channel)channel : CHANNEL_TRADES,
        .all_channels = channel < 0,
        .kind = GAP_QUEUE_DROP,
        .from_id = ID_NONE,
        .to_id = ID_NONE,
        .missing = count,
        .start_unix_ns = first_ns,
        .end_unix_ns = last_ns,
        .resolved_by = GAP_RESOLVED_NONE,
    };
    emit_gap(normalise, record->venue, (struct str){0}, &gap, record->conn);
}

/* ---- undecodable messages: one row a burst */

static void burst_emit(struct normalise *normalise, const struct decode_burst *burst)
{
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
    emit_gap(normalise, (enum venue_id)burst->venue, (struct str){0}, &gap, burst->conn);
}

void bursts_flush(struct normalise *normalise, bool all)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < normalise->burst_count; i++) {
        struct decode_burst burst = normalise->bursts[i];
        if (all || time_since(normalise->now_ns, burst.last_ns) >= BURST_QUIET_NS) {
            burst_emit(normalise, &burst);
        } else {
            normalise->bursts[kept++] = burst;
        }
    }
    normalise->burst_count = kept;
}

/* The burst this message belongs to; a new one, in place of the one quiet for longest if it must.
 * They stand in the order they began: a restored object tells them in the same. */
static struct decode_burst *burst_obtain(struct normalise *normalise, const struct record *record,
                                         int channel, const char *reason)
{
    struct decode_burst *bursts = normalise->bursts;
    uint32_t oldest = 0;
    for (uint32_t i = 0; i < normalise->burst_count; i++) {
        if (bursts[i].venue == (uint8_t)record->venue && bursts[i].channel == channel &&
            strncmp(bursts[i].reason, reason, sizeof bursts[i].reason - 1) == 0) {
            return &bursts[i];
        }
        oldest = bursts[i].last_ns < bursts[oldest].last_ns ? i : oldest;
    }
    if (normalise->burst_count == DECODE_BURSTS) {
        burst_emit(normalise, &bursts[oldest]);
        memmove(&bursts[oldest], &bursts[oldest + 1],
                (DECODE_BURSTS - oldest - 1) * sizeof bursts[0]);
        normalise->burst_count--;
    }
    struct decode_burst *burst = &bursts[normalise->burst_count++];
    *burst = (struct decode_burst){
        .venue = (uint8_t)record->venue,
        .channel = channel,
        .first_ns = record->time_unix_ns,
    };
    memcpy(burst->reason, reason, strnlen(reason, sizeof burst->reason - 1));
    return burst;
}

void normalise_undecodable(struct normalise *normalise, const struct record *record,
                           const struct decode_result *result)
{
    restore_end_if_begun(normalise);
    int channel = result->channel >= 0 && result->channel < CHANNEL_COUNT ? result->channel : -1;
    normalise->now_ns = record->time_unix_ns;
    normalise->now_seq = record->seq;
    struct decode_burst *burst =
        burst_obtain(normalise, record, channel, result->reason != NULL ? result->reason : "");
    burst->count++;
    burst->last_ns = record->time_unix_ns;
    burst->conn = record->conn;
}
