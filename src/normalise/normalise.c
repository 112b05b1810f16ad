/* Events and records in time order -> proven events: the one place where the sequence of each
 * stream is known. Deterministic: time is the records' time. Memory: all taken in
 * normalise_create(). */
#include "base/alloc.h"
#include "base/assert.h"
#include "normalise/normalise_internal.h"

#define LEVELS_EMITTED_MAX 8192 /* a side of one snapshot; deeper books are emitted cut */

static size_t table_size(const struct normalise_config *config)
{
    size_t size = 64;
    while (size < (size_t)config->streams_max * 2) {
        size *= 2;
    }
    return size;
}

size_t normalise_memory_bytes(const struct normalise_config *config, size_t *books_bytes)
{
    size_t books = book_pool_memory_bytes(config->book_bytes, config->books_max);
    if (books_bytes != NULL) {
        *books_bytes = books;
    }
    return books + sizeof(struct normalise) + config->streams_max * sizeof(struct stream) +
           table_size(config) * sizeof(uint32_t) + config->names_bytes +
           config->open_gaps_max * sizeof(struct open_gap) +
           2 * LEVELS_EMITTED_MAX * sizeof(struct level);
}

struct normalise *normalise_create(const struct normalise_config *config,
                                   const struct normalise_handlers *handlers)
{
    struct normalise *normalise = alloc_take(ALLOC_STREAMS, sizeof *normalise);
    if (normalise == NULL) {
        return NULL;
    }
    normalise->config = *config;
    normalise->handlers = *handlers;
    normalise->levels_max = LEVELS_EMITTED_MAX;
    normalise->table_mask = (uint32_t)table_size(config) - 1;
    normalise->streams = alloc_take(ALLOC_STREAMS, config->streams_max * sizeof(struct stream));
    normalise->table = alloc_take(ALLOC_STREAMS, table_size(config) * sizeof(uint32_t));
    normalise->names = alloc_take(ALLOC_STREAMS, config->names_bytes);
    normalise->gaps = alloc_take(ALLOC_STREAMS, config->open_gaps_max * sizeof(struct open_gap));
    normalise->levels =
        alloc_take(ALLOC_STREAMS, 2 * (size_t)LEVELS_EMITTED_MAX * sizeof(struct level));
    normalise->books = book_pool_create(config->book_bytes, config->books_max);
    if (normalise->streams == NULL || normalise->table == NULL || normalise->names == NULL ||
        normalise->gaps == NULL || normalise->levels == NULL || normalise->books == NULL) {
        normalise_destroy(normalise);
        return NULL;
    }
    for (uint32_t i = 0; i < config->open_gaps_max; i++) {
        normalise->gaps[i].next = i + 1 < config->open_gaps_max ? i + 1 : NONE_INDEX;
    }
    normalise->gap_free = config->open_gaps_max > 0 ? 0 : NONE_INDEX;
    return normalise;
}

void normalise_destroy(struct normalise *normalise)
{
    if (normalise == NULL) {
        return;
    }
    book_pool_destroy(normalise->books);
    alloc_give(normalise->levels);
    alloc_give(normalise->gaps);
    alloc_give(normalise->names);
    alloc_give(normalise->table);
    alloc_give(normalise->streams);
    alloc_give(normalise);
}

/* ---- events */

static void emit(struct normalise *normalise, uint32_t index, const struct event *event)
{
    normalise->stats.events++;
    normalise->handlers.on_event(normalise->handlers.context, index, event);
}

/* Trades: ids count up by one; aggregated trades have ids of their own. False: a duplicate. */
static bool check_trade(struct normalise *normalise, uint32_t index, const struct event *event)
{
    struct stream *stream = &normalise->streams[index];
    const struct trade_event *trade = &event->trade;
    const struct venue *venue = venue_of(event->venue);
    bool aggregate = (trade->flags & TRADE_AGGREGATE) != 0;
    int64_t *last_id = aggregate ? &stream->last_agg_id : &stream->last_id;
    int64_t id = trade->trade_id;
    int64_t last = *last_id;
    bool proven = id != ID_NONE && venue != NULL &&
                  venue->continuity(CHANNEL_TRADES, trade->flags) == CONTINUITY_PLUS_ONE;
    if (!proven || last == ID_NONE) {
        if (stream->interrupted) {
            gap_found(normalise, index, ID_NONE, ID_NONE, ID_NONE, false, GAP_RESOLVED_NONE,
                      event->recv_unix_ns);
        }
    } else if (id <= last) {
        if ((uint64_t)last - (uint64_t)id < RESTART_DISTANCE) {
            normalise->stats.duplicates++;
            return false;
        }
        gap_found(normalise, index, ID_NONE, ID_NONE, ID_NONE, false, GAP_RESOLVED_NONE,
                  event->recv_unix_ns); /* the symbol's sequence began anew */
    } else if (id - 1 > last) {
        uint64_t missing = (uint64_t)id - (uint64_t)last - 1;
        gap_found(normalise, index, last + 1, id - 1,
                  missing <= INT64_MAX ? (int64_t)missing : ID_NONE, false, GAP_RESOLVED_NONE,
                  event->recv_unix_ns);
    } else if (stream->interrupted) {
        gap_found(normalise, index, ID_NONE, ID_NONE, 0, false, GAP_RESOLVED_OVERLAP,
                  event->recv_unix_ns);
    }
    *last_id = proven ? id : last;
    return true;
}

static void plain_event(struct normalise *normalise, uint32_t index, const struct event *event)
{
    if (normalise->streams[index].interrupted) {
        gap_found(normalise, index, ID_NONE, ID_NONE, ID_NONE, false, GAP_RESOLVED_NONE,
                  event->recv_unix_ns);
    }
    emit(normalise, index, event);
}

void normalise_event(struct normalise *normalise, const struct event *event)
{
    normalise->now_ns = event->recv_unix_ns;
    normalise->now_seq = event->seq;
    normalise->running = true;
    if (event->channel == CHANNEL_DEPTH && event->depth.is_snapshot) {
        depth_snapshot(normalise, event);
        return;
    }
    bool instrument = event->channel == CHANNEL_INSTRUMENTS;
    uint32_t index = stream_obtain(normalise, event->venue, event->channel,
                                   instrument ? (struct str){0} : event->symbol);
    if (index == NONE_INDEX) {
        return;
    }
    struct stream *stream = &normalise->streams[index];
    stream->subscribed = true;
    if (event->channel == CHANNEL_DEPTH) {
        depth_delta(normalise, index, event);
    } else if (event->channel == CHANNEL_TRADES) {
        if (check_trade(normalise, index, event)) {
            emit(normalise, index, event);
        }
    } else if (instrument) {
        emit(normalise, index, event);
        return;
    } else {
        plain_event(normalise, index, event);
    }
    stream->conn = event->conn;
    stream->last_recv_ns = event->recv_unix_ns;
}

/* ---- records */

static void interrupt_conn(struct normalise *normalise, const struct record *record)
{
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        struct stream *stream = &normalise->streams[i];
        if (stream->subscribed && stream->conn == record->conn &&
            stream->venue == (uint8_t)record->venue) {
            stream_interrupt(stream, GAP_RECONNECT, record->time_unix_ns);
        }
    }
}

static void interrupt_all(struct normalise *normalise, enum gap_kind kind, int64_t since_ns)
{
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        struct stream *stream = &normalise->streams[i];
        if (stream->subscribed) {
            stream_interrupt(stream, kind, since_ns);
        }
    }
}

struct sent {
    struct normalise *normalise;
    const struct record *record;
};

static void on_sent_stream(void *context, bool subscribe, enum channel channel, struct str symbol)
{
    const struct sent *sent = context;
    struct normalise *normalise = sent->normalise;
    uint32_t index = stream_obtain(normalise, sent->record->venue, channel, symbol);
    if (index == NONE_INDEX) {
        return;
    }
    struct stream *stream = &normalise->streams[index];
    if (!subscribe) {
        stream->subscribed = false;
        return;
    }
    stream->subscribed = true;
    stream->conn = sent->record->conn;
    if (channel == CHANNEL_DEPTH) {
        depth_subscribed(normalise, index);
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

/* arg = "COUNT CHANNEL first_unix_ns last_unix_ns" */
static void on_drop(struct normalise *normalise, const struct record *record)
{
    int64_t numbers[3] = {ID_NONE, record->time_unix_ns, record->time_unix_ns};
    struct str channel = {0};
    const char *at = record->arg.data;
    const char *end = at + record->arg.bytes;
    for (int word = 0; word < 4 && at < end; word++) {
        const char *space = memchr(at, ' ', (size_t)(end - at));
        const char *stop = space != NULL ? space : end;
        if (word == 1) {
            channel = str_make(at, (size_t)(stop - at));
        } else {
            int64_t value = 0;
            bool good = stop > at;
            for (const char *c = at; c < stop; c++) {
                good = good && *c >= '0' && *c <= '9' &&
                       !__builtin_mul_overflow(value, (int64_t)10, &value) &&
                       !__builtin_add_overflow(value, (int64_t)(*c - '0'), &value);
            }
            int slot = word == 0 ? 0 : word - 1;
            numbers[slot] = good ? value : numbers[slot];
        }
        at = stop + 1;
    }
    int known = channel_parse(channel);
    struct stream of = {.venue = (uint8_t)record->venue};
    struct gap_event gap = {
        .of_channel = known >= 0 ? (enum channel)known : CHANNEL_TRADES,
        .all_channels = known < 0,
        .kind = GAP_QUEUE_DROP,
        .from_id = ID_NONE,
        .to_id = ID_NONE,
        .missing = numbers[0],
        .start_unix_ns = numbers[1],
        .end_unix_ns = numbers[2],
        .resolved_by = GAP_RESOLVED_NONE,
    };
    gap_emit(normalise, &of, &gap, record->conn);
}

static void on_start(struct normalise *normalise, int64_t previous_ns)
{
    if (normalise->running) {
        interrupt_all(normalise, GAP_CRASH, previous_ns);
    }
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        struct stream *stream = &normalise->streams[i];
        stream->subscribed = false;
        depth_wait(normalise, stream);
    }
    normalise->running = true;
}

static void on_stop(struct normalise *normalise, int64_t now_ns)
{
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        struct stream *stream = &normalise->streams[i];
        if (stream->interrupted && stream->subscribed) {
            gap_found(normalise, i, ID_NONE, ID_NONE, ID_NONE, false, GAP_RESOLVED_NONE, now_ns);
        }
        gap_resolve_all(normalise, i, GAP_RESOLVED_NONE, now_ns);
        if (stream->subscribed) {
            stream_interrupt(stream, GAP_RECONNECT, now_ns);
        }
    }
    bursts_flush(normalise, now_ns, true);
    normalise->running = false;
}

void normalise_record(struct normalise *normalise, const struct record *record)
{
    int64_t previous_ns = normalise->now_ns;
    normalise->now_ns = record->time_unix_ns;
    normalise->now_seq = record->seq;
    switch (record->kind) {
    case RECORD_CLOSE:
        interrupt_conn(normalise, record);
        break;
    case RECORD_SENT:
        on_sent(normalise, record);
        break;
    case RECORD_DROP:
        on_drop(normalise, record);
        break;
    case RECORD_TICK:
        for (uint32_t i = 0; i < normalise->stream_count; i++) {
            if (normalise->streams[i].channel == CHANNEL_DEPTH) {
                depth_tick(normalise, i);
            }
        }
        bursts_flush(normalise, record->time_unix_ns, false);
        break;
    case RECORD_START:
        on_start(normalise, previous_ns);
        break;
    case RECORD_STOP:
        on_stop(normalise, record->time_unix_ns);
        break;
    case RECORD_OPEN:
    case RECORD_RECV:
    case RECORD_RECV_BINARY:
    case RECORD_REST:
    case RECORD_REST_PART:
    case RECORD_CONFIG:
    case RECORD_STATE:
        break;
    }
}

bool normalise_book_snapshot(struct normalise *normalise, uint32_t stream,
                             const struct event *cause)
{
    ASSERT(stream < normalise->stream_count);
    return normalise->streams[stream].book_state == BOOK_WHOLE &&
           depth_emit_book(normalise, stream, cause);
}

/* ---- looks */

struct normalise_stats normalise_stats(const struct normalise *normalise)
{
    struct normalise_stats stats = normalise->stats;
    stats.book_bytes_used = book_pool_used_bytes(normalise->books);
    stats.book_bytes_high = normalise->books->nodes.used_max * normalise->books->nodes.item_bytes;
    stats.books_truncated = 0;
    for (uint32_t i = 0; i < normalise->books->books_max; i++) {
        const struct book *book = &normalise->books->books[i];
        stats.books_truncated += book->used && book->truncated;
    }
    return stats;
}

const struct book *normalise_book(const struct normalise *normalise, enum venue_id venue,
                                  struct str symbol)
{
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        const struct stream *stream = &normalise->streams[i];
        if (stream->channel == CHANNEL_DEPTH && stream->venue == venue &&
            stream->book_state == BOOK_WHOLE && str_equal(stream->symbol, symbol)) {
            return stream->book;
        }
    }
    return NULL;
}

struct str normalise_stream_symbol(const struct normalise *normalise, uint32_t stream)
{
    ASSERT(stream < normalise->stream_count);
    return normalise->streams[stream].symbol;
}
