/* Everything a fresh object needs to go on, as self-contained parts: a version byte, then entries
 * of one letter and varints. Streams come first and in order, so that their indexes are the same
 * again; books and pending deltas are cut into as many entries as fit. Restoring trusts nothing:
 * every count and index is checked, a part that is not usable leaves its streams cold. */
#include "base/assert.h"
#include "base/err.h"
#include "normalise/normalise_internal.h"

#define VERSION 1
#define PART_BYTES_MAX 65536
#define LEVELS_AN_ENTRY 512
#define ENTRY_BYTES_MAX 14000 /* the largest entry: LEVELS_AN_ENTRY levels, or a long symbol */
#define PENDING_AN_ENTRY 8192

struct writer {
    uint8_t bytes[PART_BYTES_MAX];
    size_t used, limit;
    void (*put)(void *context, struct str part);
    void *context;
};

static void flush(struct writer *writer)
{
    if (writer->used > 1) {
        writer->put(writer->context, str_make((const char *)writer->bytes, writer->used));
    }
    writer->bytes[0] = VERSION;
    writer->used = 1;
}

static void room(struct writer *writer)
{
    if (writer->used + ENTRY_BYTES_MAX > writer->limit) {
        flush(writer);
    }
}

static void put_u(struct writer *writer, uint64_t value)
{
    writer->used += varint_put(writer->bytes + writer->used, value);
    ASSERT(writer->used <= writer->limit);
}

static void put_i(struct writer *writer, int64_t value)
{
    put_u(writer, zigzag(value));
}

static void put_bytes(struct writer *writer, const void *data, size_t bytes)
{
    put_u(writer, bytes);
    ASSERT(writer->used + bytes <= writer->limit);
    if (bytes > 0) {
        memcpy(writer->bytes + writer->used, data, bytes);
    }
    writer->used += bytes;
}

static void put_stream(struct writer *writer, const struct stream *stream)
{
    room(writer);
    put_u(writer, 'S');
    put_u(writer, stream->venue);
    put_u(writer, stream->channel);
    put_bytes(writer, stream->symbol.data, stream->symbol.bytes);
    put_u(writer, (stream->subscribed ? 1u : 0u) | (stream->interrupted ? 2u : 0u));
    put_u(writer, stream->interrupted_kind);
    put_u(writer, stream->conn);
    put_i(writer, stream->last_id);
    put_i(writer, stream->last_agg_id);
    put_i(writer, stream->last_recv_ns);
    put_i(writer, stream->interrupted_ns);
    put_u(writer, stream->book_state);
    put_i(writer, stream->book_id);
    put_i(writer, stream->book_event_ns);
    put_i(writer, stream->joining_ns);
    put_i(writer, stream->request_at_ns);
    put_i(writer, stream->request_pause_ns);
}

static void put_side(struct writer *writer, uint32_t index, const struct book *book, int side)
{
    uint32_t left = book->counts[side];
    const struct book_node *node = book->first[side];
    uint32_t at = 0;
    while (left > 0) {
        uint32_t count = left < LEVELS_AN_ENTRY ? left : LEVELS_AN_ENTRY;
        room(writer);
        put_u(writer, 'B');
        put_u(writer, index);
        put_u(writer, (uint64_t)side | (book->truncated ? 2u : 0u));
        put_i(writer, book->price_exponent);
        put_i(writer, book->amount_exponent);
        put_u(writer, count);
        int64_t price = 0;
        for (uint32_t i = 0; i < count; i++) {
            while (at == node->count) {
                node = node->next;
                at = 0;
            }
            put_i(writer, (int64_t)((uint64_t)node->levels[at].price - (uint64_t)price));
            put_i(writer, node->levels[at].amount);
            price = node->levels[at].price;
            at++;
        }
        left -= count;
    }
}

static void put_pending(struct writer *writer, uint32_t index, const struct pending *pending)
{
    uint32_t count = pending->count;
    const size_t node_bytes = sizeof(struct book_node) - sizeof(struct book_node *);
    for (struct book_node *node = pending->first; node != NULL;) {
        uint8_t bytes[PENDING_AN_ENTRY];
        size_t used = 0;
        while (node != NULL && used + node_bytes <= sizeof bytes) {
            size_t n = node == pending->last ? pending->last_used : node_bytes;
            memcpy(bytes + used, (const uint8_t *)node + sizeof(struct book_node *), n);
            used += n;
            node = node->next;
        }
        room(writer);
        put_u(writer, 'P');
        put_u(writer, index);
        put_u(writer, count);
        put_i(writer, pending->first_id);
        put_bytes(writer, bytes, used);
        count = 0;
    }
}

static void put_gap(struct writer *writer, const struct open_gap *open)
{
    room(writer);
    put_u(writer, 'G');
    put_u(writer, open->stream);
    put_u(writer, open->gap.of_channel);
    put_u(writer, open->gap.kind);
    put_i(writer, open->gap.from_id);
    put_i(writer, open->gap.to_id);
    put_i(writer, open->gap.missing);
    put_i(writer, open->gap.start_unix_ns);
    put_i(writer, open->gap.end_unix_ns);
    put_u(writer, open->conn);
    put_u(writer, open->seq);
}

static void put_burst(struct writer *writer, const struct decode_burst *burst)
{
    room(writer);
    put_u(writer, 'D');
    put_u(writer, burst->venue);
    put_i(writer, burst->channel);
    put_bytes(writer, burst->reason, strnlen(burst->reason, sizeof burst->reason));
    put_u(writer, burst->count);
    put_i(writer, burst->first_ns);
    put_i(writer, burst->last_ns);
    put_u(writer, burst->conn);
}

void normalise_checkpoint(const struct normalise *normalise, size_t part_bytes,
                          void (*put)(void *context, struct str part), void *context)
{
    ASSERT(part_bytes >= ENTRY_BYTES_MAX + 1);
    struct writer writer = {.limit = part_bytes < PART_BYTES_MAX ? part_bytes : PART_BYTES_MAX,
                            .put = put,
                            .context = context};
    flush(&writer);
    put_u(&writer, 'N');
    put_u(&writer, normalise->running);
    put_i(&writer, normalise->now_ns);
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        put_stream(&writer, &normalise->streams[i]);
    }
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        const struct stream *stream = &normalise->streams[i];
        for (int side = 0; stream->book != NULL && side < 2; side++) {
            put_side(&writer, i, stream->book, side);
        }
        put_pending(&writer, i, &stream->pending);
        for (uint32_t at = stream->first_gap; at != NONE_INDEX; at = normalise->gaps[at].next) {
            put_gap(&writer, &normalise->gaps[at]);
        }
    }
    for (uint32_t i = 0; i < DECODE_BURSTS; i++) {
        if (normalise->bursts[i].used) {
            put_burst(&writer, &normalise->bursts[i]);
        }
    }
    flush(&writer);
}

/* ---- restore */

struct reader {
    const uint8_t *at, *end;
    bool failed;
};

static uint64_t get_u(struct reader *reader)
{
    uint64_t value = 0;
    size_t n = varint_get(reader->at, reader->end, &value);
    reader->failed = reader->failed || n == 0;
    reader->at += n;
    return n > 0 ? value : 0;
}

static int64_t get_i(struct reader *reader)
{
    return unzigzag(get_u(reader));
}

static struct str get_bytes(struct reader *reader)
{
    uint64_t bytes = get_u(reader);
    if (bytes > (size_t)(reader->end - reader->at)) {
        reader->failed = true;
        return (struct str){0};
    }
    struct str view = str_make((const char *)reader->at, (size_t)bytes);
    reader->at += bytes;
    return view;
}

static bool get_stream(struct normalise *normalise, struct reader *reader)
{
    uint64_t venue = get_u(reader);
    uint64_t channel = get_u(reader);
    struct str symbol = get_bytes(reader);
    if (reader->failed || venue == 0 || venue >= VENUE_ID_END || channel >= CHANNEL_COUNT) {
        return false;
    }
    uint32_t index = stream_obtain(normalise, (enum venue_id)venue, (enum channel)channel, symbol);
    if (index == NONE_INDEX) {
        return false;
    }
    struct stream read = normalise->streams[index];
    uint64_t flags = get_u(reader);
    uint64_t kind = get_u(reader);
    read.subscribed = (flags & 1) != 0;
    read.interrupted = (flags & 2) != 0;
    read.interrupted_kind = (uint8_t)kind;
    read.conn = (uint32_t)get_u(reader);
    read.last_id = get_i(reader);
    read.last_agg_id = get_i(reader);
    read.last_recv_ns = get_i(reader);
    read.interrupted_ns = get_i(reader);
    uint64_t state = get_u(reader);
    read.book_id = get_i(reader);
    read.book_event_ns = get_i(reader);
    read.joining_ns = get_i(reader);
    read.request_at_ns = get_i(reader);
    read.request_pause_ns = get_i(reader);
    bool depth = channel == CHANNEL_DEPTH && normalise->config.book_enabled;
    if (reader->failed || kind >= GAP_KIND_COUNT || state > BOOK_WHOLE ||
        read.request_pause_ns < 0 || read.request_pause_ns > REQUEST_MOST_NS) {
        return false;
    }
    read.book_state = depth ? (state == BOOK_OFF ? BOOK_WAITING : (uint8_t)state) : BOOK_OFF;
    if (read.book_state >= BOOK_JOINING && !depth_book_obtain(normalise, &read)) {
        read.book_state = BOOK_WAITING;
    }
    normalise->stats.books +=
        read.book_state == BOOK_WHOLE && normalise->streams[index].book_state != BOOK_WHOLE;
    normalise->streams[index] = read;
    return true;
}

static struct stream *get_index(struct normalise *normalise, struct reader *reader)
{
    uint64_t index = get_u(reader);
    if (reader->failed || index >= normalise->stream_count) {
        reader->failed = true;
        return NULL;
    }
    return &normalise->streams[index];
}

static bool get_levels(struct normalise *normalise, struct reader *reader)
{
    struct stream *stream = get_index(normalise, reader);
    uint64_t flags = get_u(reader);
    int64_t price_exponent = get_i(reader);
    int64_t amount_exponent = get_i(reader);
    uint64_t count = get_u(reader);
    if (reader->failed || price_exponent < -38 || price_exponent > 38 || amount_exponent < -38 ||
        amount_exponent > 38 || flags > 3 || count > LEVELS_AN_ENTRY) {
        return false;
    }
    int64_t price = 0;
    for (uint64_t i = 0; i < count; i++) {
        price = (int64_t)((uint64_t)price + (uint64_t)get_i(reader));
        int64_t amount = get_i(reader);
        if (reader->failed) {
            return false;
        }
        if (stream->book != NULL &&
            book_level_set(stream->book, (flags & 1) != 0 ? BOOK_ASK : BOOK_BID,
                           (struct decimal){price, (int8_t)price_exponent},
                           (struct decimal){amount, (int8_t)amount_exponent}) == MD_ERANGE) {
            return false;
        }
    }
    if (stream->book != NULL) {
        stream->book->truncated = stream->book->truncated || (flags & 2) != 0;
    }
    return true;
}

/* Pending deltas come as the bytes they were kept in; pending_each() checks them before it reads.
 */
static bool get_pending(struct normalise *normalise, struct reader *reader)
{
    struct stream *stream = get_index(normalise, reader);
    uint64_t count = get_u(reader);
    int64_t first_id = get_i(reader);
    struct str bytes = get_bytes(reader);
    if (reader->failed || stream->book_state != BOOK_WAITING) {
        return !reader->failed;
    }
    return pending_restore(normalise, stream, (uint32_t)count, first_id, bytes);
}

static bool get_gap(struct normalise *normalise, struct reader *reader)
{
    const struct stream *stream = get_index(normalise, reader);
    uint64_t channel = get_u(reader);
    uint64_t kind = get_u(reader);
    struct gap_event gap = {0};
    gap.from_id = get_i(reader);
    gap.to_id = get_i(reader);
    gap.missing = get_i(reader);
    gap.start_unix_ns = get_i(reader);
    gap.end_unix_ns = get_i(reader);
    uint32_t conn = (uint32_t)get_u(reader);
    uint64_t seq = get_u(reader);
    uint32_t at = normalise->gap_free;
    if (reader->failed || channel >= CHANNEL_COUNT || kind >= GAP_KIND_COUNT || at == NONE_INDEX) {
        return false;
    }
    gap.of_channel = (enum channel)channel;
    gap.kind = (enum gap_kind)kind;
    uint32_t index = (uint32_t)(stream - normalise->streams);
    normalise->gap_free = normalise->gaps[at].next;
    normalise->gaps[at] = (struct open_gap){true, index, NONE_INDEX, gap, conn, seq};
    uint32_t *tail = &normalise->streams[index].first_gap;
    while (*tail != NONE_INDEX) {
        tail = &normalise->gaps[*tail].next;
    }
    *tail = at;
    normalise->stats.open_gaps++;
    return true;
}

static bool get_burst(struct normalise *normalise, struct reader *reader)
{
    struct decode_burst read = {.used = true};
    uint64_t venue = get_u(reader);
    int64_t channel = get_i(reader);
    struct str reason = get_bytes(reader);
    read.count = get_u(reader);
    read.first_ns = get_i(reader);
    read.last_ns = get_i(reader);
    read.conn = (uint32_t)get_u(reader);
    if (reader->failed || venue >= VENUE_ID_END || channel < -1 || channel >= CHANNEL_COUNT ||
        reason.bytes >= sizeof read.reason || read.count > INT64_MAX) {
        return false;
    }
    read.venue = (uint8_t)venue;
    read.channel = (int)channel;
    memcpy(read.reason, reason.data, reason.bytes);
    for (uint32_t i = 0; i < DECODE_BURSTS; i++) {
        if (!normalise->bursts[i].used) {
            normalise->bursts[i] = read;
            return true;
        }
    }
    return true;
}

static bool get_entry(struct normalise *normalise, struct reader *reader)
{
    switch (get_u(reader)) {
    case 'N':
        normalise->running = get_u(reader) != 0;
        normalise->now_ns = get_i(reader);
        return !reader->failed;
    case 'S':
        return get_stream(normalise, reader);
    case 'B':
        return get_levels(normalise, reader);
    case 'P':
        return get_pending(normalise, reader);
    case 'G':
        return get_gap(normalise, reader);
    case 'D':
        return get_burst(normalise, reader);
    default:
        return false;
    }
}

int normalise_restore(struct normalise *normalise, struct str part)
{
    struct reader reader = {(const uint8_t *)part.data, (const uint8_t *)part.data + part.bytes,
                            false};
    if (part.bytes == 0 || *reader.at++ != VERSION) {
        return MD_ECORRUPT;
    }
    while (reader.at < reader.end) {
        if (!get_entry(normalise, &reader)) {
            return MD_ECORRUPT;
        }
    }
    return 0;
}
