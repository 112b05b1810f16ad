/* Events and records in time order -> proven events: the one place where the sequence of each
 * stream is known. Deterministic: time is the records' time. A message whose ids were all seen
 * before (two connections overlap) is counted and not passed on; so is a book ticker or a partial
 * book of another connection than the last that is not newer. Channels without ids pass as they
 * are. Memory: all taken in normalise_create(). */
#include "normalise/normalise.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "normalise/normalise_internal.h"

static size_t table_size(const struct normalise_config *config)
{
    size_t size = 64;
    while (size < (size_t)config->streams_max * 2) {
        size *= 2;
    }
    return size;
}

#define LEVELS_BYTES (2 * BOOK_SIDE_LEVELS_MAX * sizeof(struct level))

size_t normalise_memory_bytes(const struct normalise_config *config, size_t *books_bytes)
{
    size_t books = book_pool_memory_bytes(config->book_bytes, config->books_max) +
                   config->books_max * sizeof(struct depth) + LEVELS_BYTES +
                   shadow_memory_bytes(config);
    if (books_bytes != NULL) {
        *books_bytes = books;
    }
    return books + sizeof(struct normalise) + config->streams_max * sizeof(struct stream) +
           table_size(config) * sizeof(struct stream_slot) + config->names_bytes +
           config->open_gaps_max * sizeof(struct open_gap) +
           config->recents_max * sizeof(struct recent);
}

struct normalise *normalise_create(const struct normalise_config *config,
                                   const struct normalise_handlers *handlers)
{
    ASSERT(config->symbol_bytes_max <= SYMBOL_BYTES_MOST);
    ASSERT(handlers->on_event != NULL);
    struct normalise *normalise = alloc_take(ALLOC_STREAMS, sizeof *normalise);
    if (normalise == NULL) {
        return NULL;
    }
    normalise->config = *config;
    normalise->handlers = *handlers;
    normalise->table_mask = (uint32_t)table_size(config) - 1;
    normalise->streams = alloc_take(ALLOC_STREAMS, config->streams_max * sizeof(struct stream));
    normalise->table = alloc_take(ALLOC_STREAMS, table_size(config) * sizeof(struct stream_slot));
    normalise->names = alloc_take(ALLOC_STREAMS, config->names_bytes);
    normalise->gaps = alloc_take(ALLOC_STREAMS, config->open_gaps_max * sizeof(struct open_gap));
    normalise->recents = alloc_take(ALLOC_STREAMS, config->recents_max * sizeof(struct recent));
    normalise->depths = alloc_take(ALLOC_BOOKS, config->books_max * sizeof(struct depth));
    normalise->levels = alloc_take(ALLOC_BOOKS, LEVELS_BYTES);
    normalise->books = book_pool_create(config->book_bytes, config->books_max);
    if (normalise->streams == NULL || normalise->table == NULL || normalise->names == NULL ||
        normalise->gaps == NULL || normalise->recents == NULL || normalise->depths == NULL ||
        normalise->levels == NULL || normalise->books == NULL || !shadow_create(normalise)) {
        normalise_destroy(normalise);
        return NULL;
    }
    normalise->pending_nodes_max = (uint32_t)(normalise->books->nodes.count / 2);
    normalise_reset(normalise);
    return normalise;
}

void normalise_destroy(struct normalise *normalise)
{
    if (normalise == NULL) {
        return;
    }
    shadow_destroy(normalise);
    book_pool_destroy(normalise->books);
    alloc_give(normalise->levels);
    alloc_give(normalise->depths);
    alloc_give(normalise->recents);
    alloc_give(normalise->gaps);
    alloc_give(normalise->names);
    alloc_give(normalise->table);
    alloc_give(normalise->streams);
    alloc_give(normalise);
}

void normalise_reset(struct normalise *normalise)
{
    for (uint32_t i = 0; i < normalise->depth_count; i++) {
        pending_clear(normalise, &normalise->depths[i].pending);
        book_release(normalise->depths[i].book);
    }
    normalise_shadow_reset(normalise);
    ASSERT(normalise->pending_nodes == 0);
    ASSERT(normalise->books->nodes.used == 0);
    normalise->depth_count = 0;
    normalise->recent_count = 0;
    normalise->stream_count = 0;
    normalise->names_used = 0;
    memset(normalise->table, 0, (normalise->table_mask + 1) * sizeof normalise->table[0]);
    for (int venue = 0; venue < VENUE_ID_END; venue++) {
        normalise->gap_streams[venue] = NONE_INDEX;
    }
    uint32_t gaps = normalise->config.open_gaps_max;
    for (uint32_t i = 0; i < gaps; i++) {
        normalise->gaps[i] = (struct open_gap){.next = i + 1 < gaps ? i + 1 : NONE_INDEX};
    }
    normalise->gap_free = gaps > 0 ? 0 : NONE_INDEX;
    normalise->burst_count = 0;
    normalise->holes = 0;
    memset(normalise->pages, 0, sizeof normalise->pages);
    memset(normalise->drops, 0, sizeof normalise->drops);
    normalise->now_ns = 0;
    normalise->now_seq = 0;
    normalise->restore_next = 0;
    normalise->stats = (struct normalise_stats){0};
}

void normalise_emit(struct normalise *normalise, uint32_t index, const struct event *event)
{
    normalise->stats.events++;
    normalise->handlers.on_event(normalise->handlers.context, index, event);
}

/* ---- events */

static bool trade_is_proven(const struct event *event)
{
    const struct venue *venue = venue_of(event->venue);
    return event->trade.trade_id != ID_NONE && venue != NULL &&
           venue->continuity(CHANNEL_TRADES, event->trade.flags) == CONTINUITY_PLUS_ONE;
}

static bool trade_jumps(const struct sequence *sequence, const struct event *event)
{
    return sequence->last_id != ID_NONE && trade_is_proven(event) &&
           event->trade.trade_id > sequence->last_id &&
           event->trade.trade_id - 1 > sequence->last_id;
}

/* Is an id that is not above the last one that was there before? Growing ids may come in another
 * order than they were given in, and a slow connection may bring what another did not. What is too
 * old to be known is a double where two connections overlap. */
static bool is_double(const struct stream *stream, const struct sequence *sequence,
                      const struct event *event, bool counted)
{
    int64_t id = event->trade.trade_id;
    int64_t last = sequence->last_id;
    if (counted) {
        return ids_back(last, id) < RESTART_DISTANCE;
    }
    enum recent_finds finds = stream->recent != NULL ? recent_find(stream->recent, id)
                              : id == last           ? RECENT_THERE
                                                     : RECENT_BELOW;
    return finds == RECENT_THERE ||
           (finds == RECENT_BELOW && event->conn != sequence->landed_conn &&
            ids_back(last, id) < RESTART_DISTANCE_GROWING);
}

/* A trade whose id is not above the last one. False: a duplicate. */
static bool check_trade_behind(struct normalise *normalise, uint32_t index,
                               struct sequence *sequence, const struct event *event, bool counted)
{
    const struct stream *stream = &normalise->streams[index];
    bool aggregate = (event->trade.flags & TRADE_AGGREGATE) != 0;
    int64_t id = event->trade.trade_id;
    int64_t last = sequence->last_id;
    if (hole_take_late(normalise, index, aggregate, id)) {
        recent_add_if_any(stream, id);
        return true;
    }
    if (is_double(stream, sequence, event, counted)) {
        normalise->stats.duplicates++;
        return false;
    }
    if (counted || ids_back(last, id) >= RESTART_DISTANCE_GROWING) {
        holes_leave(normalise, index, aggregate);
        gap_unproven(normalise, index, sequence); /* the symbol's sequence began anew */
        sequence->last_id = id;
        if (stream->recent != NULL) {
            recent_begin(stream->recent, id, false);
        }
    }
    recent_add_if_any(stream, id);
    return true;
}

/* Trades: ids count up by one, or grow; aggregated trades have ids of their own. False: a
 * duplicate.
 */
static bool check_trade(struct normalise *normalise, uint32_t index, struct sequence *sequence,
                        const struct event *event)
{
    const struct trade_event *trade = &event->trade;
    const struct venue *venue = venue_of(event->venue);
    int64_t id = trade->trade_id;
    int64_t last = sequence->last_id;
    enum continuity rule = id != ID_NONE && venue != NULL
                               ? venue->continuity(CHANNEL_TRADES, trade->flags)
                               : CONTINUITY_NONE;
    bool counted = rule == CONTINUITY_PLUS_ONE;
    if (rule == CONTINUITY_NONE || last == ID_NONE) {
        if (sequence->interrupted != 0) {
            gap_unproven(normalise, index, sequence);
        }
    } else if (id <= last) {
        return check_trade_behind(normalise, index, sequence, event, counted);
    } else if (id - 1 > last && (counted || sequence->interrupted != 0)) {
        hole_found(normalise, index, sequence, event, counted);
    } else if (sequence->interrupted != 0) {
        gap_overlap(normalise, index, sequence);
    }
    if (rule != CONTINUITY_NONE) {
        sequence->last_id = id;
        recent_add_if_any(&normalise->streams[index], id);
    }
    return true;
}

static int64_t id_of(const struct event *event)
{
    return event->channel == CHANNEL_BOOK_TICKER ? event->book_ticker.update_id
           : event->channel == CHANNEL_BOOK_SNAPSHOT_5 ||
                   event->channel == CHANNEL_BOOK_SNAPSHOT_20 ||
                   event->channel == CHANNEL_BOOK_SNAPSHOT_50
               ? event->book_snapshot.last_update_id
               : ID_NONE;
}

/* Channels whose ids do not count up by one. What a second connection brings again while both are
 * open is a duplicate; on one connection the venue may say the same id twice. */
static bool check_plain(struct normalise *normalise, uint32_t index, struct sequence *sequence,
                        const struct event *event)
{
    int64_t id = id_of(event);
    if (sequence->interrupted != 0) {
        gap_unproven(normalise, index, sequence);
    } else if (id != ID_NONE && id <= sequence->last_id && event->conn != sequence->landed_conn &&
               ids_back(sequence->last_id, id) < RESTART_DISTANCE) {
        normalise->stats.duplicates++;
        return false;
    }
    sequence->last_id = id;
    return true;
}

/* A sequence may be carried by two connections: while one is replaced, or all the time (redundant).
 * `spoke_ns`: when it brought a message, up to `id`; TIME_NONE: it was asked for it. */
static void note_carrier(struct sequence *sequence, uint32_t conn, int64_t spoke_ns, int64_t id)
{
    if (conn == sequence->other_conn) {
        sequence->other_ns = spoke_ns != TIME_NONE ? spoke_ns : sequence->other_ns;
        sequence->other_id = id != ID_NONE ? id : sequence->other_id;
        return;
    }
    if (conn > sequence->conn) {
        sequence->other_conn = sequence->connected ? sequence->conn : 0;
        sequence->other_ns = sequence->conn_ns;
        sequence->other_id = sequence->conn_id;
        sequence->conn_id = ID_NONE;
        sequence->conn = conn;
        sequence->conn_ns = TIME_NONE;
    } else if (conn < sequence->conn) {
        if (sequence->other_conn == 0) {
            sequence->other_conn = conn;
            sequence->other_ns = spoke_ns;
            sequence->other_id = id;
        }
        return;
    }
    sequence->conn_ns = spoke_ns != TIME_NONE ? spoke_ns : sequence->conn_ns;
    sequence->conn_id = id != ID_NONE ? id : sequence->conn_id;
}

/* The newest connection is gone, or carries it no more. True: another goes on. */
static bool fall_back(struct sequence *sequence)
{
    if (sequence->other_conn == 0) {
        return false;
    }
    sequence->conn = sequence->other_conn;
    sequence->conn_ns = sequence->other_ns;
    sequence->conn_id = sequence->other_id;
    sequence->other_id = ID_NONE;
    sequence->other_conn = 0;
    sequence->other_ns = TIME_NONE;
    return true;
}

static bool jumps(const struct stream *stream, const struct sequence *sequence,
                  const struct event *event)
{
    return event->channel == CHANNEL_DEPTH    ? depth_jumps(stream, event)
           : event->channel == CHANNEL_TRADES ? trade_jumps(sequence, event)
                                              : false;
}

static int64_t position_of(const struct event *event)
{
    return event->channel == CHANNEL_DEPTH    ? event->depth.last_update_id
           : event->channel == CHANNEL_TRADES ? event->trade.trade_id
                                              : ID_NONE;
}

/* Two connections say the same, and one may be ahead of the other by what is still on its way, or
 * miss what the other brings. What would leave a hole is left to the other, as long as that one
 * speaks, and for AHEAD_NS at most: it brings all of it, and soon both stand at the same id. When
 * it has passed the hole too, the hole is real. */
static bool is_ahead(const struct normalise *normalise, const struct stream *stream,
                     struct sequence *sequence, const struct event *event)
{
    uint32_t landed = sequence->landed_conn;
    int64_t now_ns = normalise->now_ns;
    int64_t partner_ns = event->conn != sequence->conn ? sequence->conn_ns
                         : sequence->other_conn != 0   ? sequence->other_ns
                                                       : TIME_NONE;
    bool behind_speaks = landed != 0 && landed != event->conn &&
                         time_since(now_ns, sequence->last_recv_ns) < AHEAD_NS;
    bool partner_speaks = partner_ns != TIME_NONE && time_since(now_ns, partner_ns) < AHEAD_NS;
    int64_t partner_id = event->conn != sequence->conn ? sequence->conn_id : sequence->other_id;
    if (partner_ns != TIME_NONE && partner_id != ID_NONE && partner_id > sequence->last_id) {
        return false; /* that one has passed the hole too */
    }
    if (event->conn == 0 || sequence->interrupted != 0 || !(behind_speaks || partner_speaks) ||
        !jumps(stream, sequence, event)) {
        return false;
    }
    if (sequence->ahead_conn == 0) {
        sequence->ahead_conn = event->conn;
        sequence->ahead_ns = now_ns;
    }
    return sequence->ahead_conn == event->conn && time_since(now_ns, sequence->ahead_ns) < AHEAD_NS;
}

void normalise_event(struct normalise *normalise, const struct event *event)
{
    restore_end_if_begun(normalise);
    normalise->now_ns = event->recv_unix_ns;
    normalise->now_seq = event->seq;
    if (event->channel == CHANNEL_DEPTH && event->depth.is_snapshot && event->conn == 0) {
        depth_snapshot(normalise, event);
        return;
    }
    if (event->channel == CHANNEL_TRADES && (event->trade.flags & TRADE_BACKFILL) != 0) {
        hole_rest_event(normalise, event);
        return;
    }
    bool instrument = event->channel == CHANNEL_INSTRUMENTS;
    uint32_t index = stream_obtain(normalise, event->venue, event->channel,
                                   instrument ? (struct str){0} : event->symbol);
    if (index == NONE_INDEX) {
        return;
    }
    if (instrument) { /* from REST: no connection, no sequence */
        normalise_emit(normalise, index, event);
        return;
    }
    struct stream *stream = &normalise->streams[index];
    bool aggregate =
        event->channel == CHANNEL_TRADES && (event->trade.flags & TRADE_AGGREGATE) != 0;
    struct sequence *sequence = &stream->sequences[aggregate ? SEQUENCE_AGGREGATE : SEQUENCE_MAIN];
    stream->messages++;
    note_carrier(sequence, event->conn, event->recv_unix_ns, position_of(event));
    sequence->subscribed = true;
    sequence->connected = true;
    if (is_ahead(normalise, stream, sequence, event)) {
        normalise->stats.ahead++;
        return;
    }
    if (event->channel == CHANNEL_DEPTH) {
        bool landed = event->depth.is_snapshot ? depth_full(normalise, index, event)
                                               : depth_delta(normalise, index, event);
        sequence->landed_conn = landed ? event->conn : sequence->landed_conn;
        sequence->ahead_conn = landed ? 0 : sequence->ahead_conn;
    } else if (event->channel == CHANNEL_TRADES ? check_trade(normalise, index, sequence, event)
                                                : check_plain(normalise, index, sequence, event)) {
        sequence->landed_conn = event->conn;
        sequence->ahead_conn = 0;
        normalise_emit(normalise, index, event);
    }
    sequence->last_recv_ns = event->recv_unix_ns;
}

/* ---- records */

static void close_sequence(const struct stream *stream, struct sequence *sequence,
                           const struct record *record)
{
    if (sequence->other_conn == record->conn) {
        sequence->other_conn = 0;
        sequence->other_ns = TIME_NONE;
    } else if (sequence->connected && sequence->conn == record->conn && !fall_back(sequence)) {
        sequence->connected = false;
        sequence_interrupt(stream, sequence, GAP_RECONNECT, record->time_unix_ns);
    }
    if (sequence->landed_conn == record->conn) {
        sequence->landed_conn = 0;
    }
}

static void on_close(struct normalise *normalise, const struct record *record)
{
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        struct stream *stream = &normalise->streams[i];
        if (stream->venue == (uint8_t)record->venue) {
            close_sequence(stream, &stream->sequences[SEQUENCE_MAIN], record);
            close_sequence(stream, &stream->sequences[SEQUENCE_AGGREGATE], record);
        }
    }
}

/* We asked for no more of it. If it is asked for again (a silent stream, a lost book, a symbol that
 * is listed again), what it did not say meanwhile is missing since its last message. */
static void unsubscribed(struct normalise *normalise, const struct stream *stream,
                         struct sequence *sequence)
{
    sequence->subscribed = false;
    sequence->connected = false;
    if (sequence->last_recv_ns == TIME_NONE) {
        sequence->interrupted = 0; /* it never spoke: nothing of it can be missed */
    } else if (sequence->interrupted == 0) {
        sequence->interrupted = 1 + GAP_STALL;
        sequence->interrupted_ns = normalise->now_ns;
    }
    if (stream->depth != NULL) {
        depth_lose(normalise, stream->depth, false);
    }
}

struct sent {
    struct normalise *normalise;
    const struct record *record;
};

static void on_sent_stream(void *context, bool subscribe, enum channel channel, bool aggregate,
                           struct str symbol)
{
    const struct sent *sent = context;
    struct normalise *normalise = sent->normalise;
    const struct record *record = sent->record;
    uint32_t index = stream_obtain(normalise, record->venue, channel, symbol);
    if (index == NONE_INDEX) {
        return;
    }
    struct stream *stream = &normalise->streams[index];
    struct sequence *sequence = &stream->sequences[aggregate ? SEQUENCE_AGGREGATE : SEQUENCE_MAIN];
    if (!subscribe) {
        if (sequence->other_conn == record->conn) {
            sequence->other_conn = 0;
            sequence->other_ns = TIME_NONE;
        } else if (sequence->conn == record->conn && !fall_back(sequence)) {
            unsubscribed(normalise, stream, sequence);
        }
        return;
    }
    note_carrier(sequence, record->conn, TIME_NONE, ID_NONE);
    sequence->subscribed = true;
    sequence->connected = true;
    stream->subscribed_ns = record->time_unix_ns;
    if (stream->depth != NULL) {
        depth_subscribed(normalise, stream->depth);
    }
}

static void on_sent(struct normalise *normalise, const struct record *record)
{
    const struct venue *venue = venue_of(record->venue);
    struct sent sent = {normalise, record};
    if (venue != NULL) {
        venue->decode_sent(record, on_sent_stream, &sent);
    }
}

static void on_tick(struct normalise *normalise)
{
    for (uint32_t i = 0; i < normalise->depth_count; i++) {
        depth_tick(normalise, &normalise->depths[i]);
    }
    shadow_tick(normalise);
    holes_tick(normalise);
    watch_streams(normalise);
    bursts_flush(normalise, false);
}

/* A stop has interrupted every stream; one that is not, was recorded until the recorder died: what
 * it missed ends with its next message. */
static void start_sequence(const struct stream *stream, struct sequence *sequence,
                           int64_t previous_ns)
{
    if (sequence->subscribed) {
        sequence_interrupt(stream, sequence, GAP_CRASH, previous_ns);
    }
    sequence->subscribed = false;
    sequence->connected = false;
    sequence->landed_conn = 0;
    sequence->other_conn = 0;
    sequence->other_ns = TIME_NONE;
}

static void on_start(struct normalise *normalise, int64_t previous_ns)
{
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        struct stream *stream = &normalise->streams[i];
        start_sequence(stream, &stream->sequences[SEQUENCE_MAIN], previous_ns);
        start_sequence(stream, &stream->sequences[SEQUENCE_AGGREGATE], previous_ns);
    }
    for (uint32_t i = 0; i < normalise->depth_count; i++) {
        depth_lose(normalise, &normalise->depths[i], true);
    }
    holes_start(normalise);
}

/* An interruption that never ended is told now: of a stream of this run, or by a crash. A stream
 * that was recorded until now is interrupted until it is recorded again. */
static void stop_sequence(struct normalise *normalise, uint32_t index, struct sequence *sequence)
{
    if (sequence->interrupted != 0 &&
        (sequence->subscribed || sequence->interrupted == 1 + GAP_CRASH)) {
        gap_unproven(normalise, index, sequence);
    }
    if (sequence->subscribed) {
        sequence_interrupt(&normalise->streams[index], sequence, GAP_RECONNECT, normalise->now_ns);
    }
    sequence->connected = false;
}

static void on_stop(struct normalise *normalise)
{
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        struct stream *stream = &normalise->streams[i];
        stop_sequence(normalise, i, &stream->sequences[SEQUENCE_MAIN]);
        stop_sequence(normalise, i, &stream->sequences[SEQUENCE_AGGREGATE]);
        if (stream->channel == CHANNEL_TRADES) {
            holes_stop(normalise, i);
        } else {
            gap_resolve_all(normalise, i, GAP_RESOLVED_NONE);
        }
    }
    bursts_flush(normalise, true);
}

void normalise_record(struct normalise *normalise, const struct record *record)
{
    restore_end_if_begun(normalise);
    int64_t previous_ns = normalise->now_ns;
    normalise->now_ns = record->time_unix_ns;
    normalise->now_seq = record->seq;
    switch (record->kind) {
    case RECORD_CLOSE:
        on_close(normalise, record);
        break;
    case RECORD_SENT:
        on_sent(normalise, record);
        break;
    case RECORD_DROP:
        gap_dropped(normalise, record);
        break;
    case RECORD_TICK:
        on_tick(normalise);
        break;
    case RECORD_START:
        on_start(normalise, previous_ns);
        break;
    case RECORD_STOP:
        on_stop(normalise);
        break;
    case RECORD_REST:
        normalise->pages[record->venue].open = false; /* if it broke off */
        break;
    case RECORD_OPEN:
    case RECORD_RECV:
    case RECORD_RECV_BINARY:
    case RECORD_REST_PART:
    case RECORD_CONFIG:
    case RECORD_STATE:
    case RECORD_TUNE:
        break;
    }
}

void normalise_configure(struct normalise *normalise, const struct record *record,
                         const struct normalise_config *config)
{
    struct normalise_config *own = &normalise->config;
    restore_end_if_begun(normalise);
    normalise->now_ns = record->time_unix_ns;
    normalise->now_seq = record->seq;
    if (own->settings_fixed) {
        return;
    }
    for (uint32_t i = 0; i < normalise->stream_count && !config->backfill_enabled; i++) {
        holes_leave(normalise, i, false);
        holes_leave(normalise, i, true);
    }
    if (!config->book_enabled) {
        depth_detach_all(normalise);
    }
    own->book_enabled = config->book_enabled;
    own->backfill_enabled = config->backfill_enabled;
    own->backfill_trades_max = config->backfill_trades_max;
    own->backfill_age_ns = config->backfill_age_ns;
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        if (normalise->streams[i].channel == CHANNEL_DEPTH && normalise->streams[i].depth == NULL) {
            depth_attach(normalise, i);
        }
    }
}

bool normalise_book_snapshot(struct normalise *normalise, uint32_t stream,
                             const struct event *cause)
{
    ASSERT(stream < normalise->stream_count);
    const struct depth *depth = normalise->streams[stream].depth;
    if (depth == NULL || depth->state != BOOK_WHOLE) {
        return false;
    }
    depth_emit_book(normalise, depth, cause);
    return true;
}

/* ---- looks */

struct normalise_stats normalise_stats(const struct normalise *normalise)
{
    struct normalise_stats stats = normalise->stats;
    stats.book_bytes_used = book_pool_used_bytes(normalise->books);
    stats.book_bytes_high = normalise->books->nodes.used_max * normalise->books->nodes.item_bytes;
    stats.books_all = normalise->depth_count;
    stats.books_truncated = 0;
    for (uint32_t i = 0; i < normalise->depth_count; i++) {
        stats.books_truncated += book_truncated(normalise->depths[i].book);
    }
    return stats;
}

const struct book *normalise_book(const struct normalise *normalise, enum venue_id venue,
                                  struct str symbol)
{
    uint32_t index = stream_lookup(normalise, venue, CHANNEL_DEPTH, symbol);
    const struct depth *depth = index != NONE_INDEX ? normalise->streams[index].depth : NULL;
    return depth != NULL && depth->state == BOOK_WHOLE ? depth->book : NULL;
}

struct str normalise_stream_symbol(const struct normalise *normalise, uint32_t stream)
{
    ASSERT(stream < normalise->stream_count);
    return normalise->streams[stream].symbol;
}

struct str normalise_stream_name(const struct normalise *normalise, uint32_t stream,
                                 enum venue_id *venue, enum channel *channel)
{
    *venue = (enum venue_id)normalise->streams[stream].venue;
    *channel = (enum channel)normalise->streams[stream].channel;
    return normalise->streams[stream].symbol;
}

uint32_t normalise_look(const struct normalise *normalise, struct normalise_look *out, uint32_t max)
{
    uint32_t count = normalise->stream_count < max ? normalise->stream_count : max;
    for (uint32_t i = 0; i < count; i++) {
        const struct stream *stream = &normalise->streams[i];
        int64_t last_ns = stream_last_ns(stream);
        out[i] = (struct normalise_look){
            .last_unix_ns = last_ns,
            .messages = stream->messages,
            .gaps = (uint16_t)(stream->gaps < UINT16_MAX ? stream->gaps : UINT16_MAX),
            .book = (uint8_t)(stream->depth == NULL ? 0 : 1 + stream->depth->state),
            .flags = (uint8_t)((stream_subscribed(stream) && stream_connected(stream)
                                    ? NORMALISE_LOOK_SUBSCRIBED
                                    : 0) |
                               (stream_is_silent(stream) ? NORMALISE_LOOK_SILENT : 0)),
        };
    }
    return count;
}

/* ---- invariants */

static void check_depth(const struct normalise *normalise, const struct depth *depth)
{
    ASSERT(depth->stream < normalise->stream_count);
    ASSERT(normalise->streams[depth->stream].depth == depth);
    ASSERT(depth->state <= BOOK_WHOLE);
    ASSERT(depth->state == BOOK_WAITING || depth->pending.bytes == 0);
    ASSERT(normalise->restore_next != 0 || depth->state != BOOK_WAITING ||
           depth->book->counts[0] + depth->book->counts[1] == 0);
    ASSERT(normalise->restore_next != 0 || depth->pending.count > 0 || depth->pending.bytes == 0);
    ASSERT(depth->request_pause_ns >= REQUEST_FIRST_NS);
    ASSERT(depth->request_pause_ns <= REQUEST_MOST_NS);
    ASSERT(depth->pending.bytes <= normalise->config.pending_deltas_bytes);
    pending_check(&depth->pending);
    book_check(depth->book);
}

static void check_gaps(const struct normalise *normalise)
{
    uint64_t open = 0, unused = 0, holes = 0;
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        for (uint32_t at = normalise->streams[i].first_gap; at != NONE_INDEX;
             at = normalise->gaps[at].next) {
            ASSERT(normalise->gaps[at].used);
            ASSERT(normalise->gaps[at].stream == i);
            if (normalise->gaps[at].hole.open) {
                hole_check(normalise, &normalise->gaps[at]);
                holes++;
            }
            open++;
        }
    }
    for (uint32_t at = normalise->gap_free; at != NONE_INDEX; at = normalise->gaps[at].next) {
        ASSERT(!normalise->gaps[at].used);
        unused++;
    }
    ASSERT(open == normalise->stats.open_gaps);
    ASSERT(holes == normalise->holes);
    ASSERT(open + unused == normalise->config.open_gaps_max);
}

void normalise_check(const struct normalise *normalise)
{
    uint64_t whole = 0;
    size_t pending_nodes = 0;
    stream_table_check(normalise);
    check_gaps(normalise);
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        const struct stream *stream = &normalise->streams[i];
        if (stream->recent != NULL) {
            recent_check(stream->recent, stream->sequences[SEQUENCE_MAIN].last_id);
        }
    }
    for (uint32_t i = 0; i < normalise->depth_count; i++) {
        const struct depth *depth = &normalise->depths[i];
        check_depth(normalise, depth);
        whole += depth->state == BOOK_WHOLE;
        for (const struct book_node *at = depth->pending.first; at != NULL; at = at->next) {
            pending_nodes++;
        }
    }
    ASSERT(whole == normalise->stats.books);
    ASSERT(pending_nodes == normalise->pending_nodes);
    ASSERT(pending_nodes <= normalise->pending_nodes_max);
}
