/* Deltas kept while a book waits for its snapshot: a byte queue in nodes borrowed from the books'
 * pool. One delta: first id, last id, event time, counts, then levels, all as varints. */
#include "base/assert.h"
#include "normalise/normalise_internal.h"

#define NODE_BYTES (sizeof(struct book_node) - sizeof(struct book_node *))
#define LEVEL_BYTES_MAX 22 /* two varints of 10 bytes, two exponents */
#define HEAD_BYTES_MAX 50

/* The payload of a borrowed node begins behind its link. */
static uint8_t *bytes_of(struct book_node *node)
{
    return (uint8_t *)node + sizeof(struct book_node *);
}

void pending_clear(struct normalise *normalise, struct stream *stream)
{
    struct book_node *node = stream->pending.first;
    while (node != NULL) {
        struct book_node *next = node->next;
        pool_release(&normalise->books->nodes, node);
        node = next;
    }
    stream->pending = (struct pending){0};
}

static bool put_bytes(struct normalise *normalise, struct pending *pending, const uint8_t *data,
                      size_t bytes)
{
    while (bytes > 0) {
        if (pending->last == NULL || pending->last_used == NODE_BYTES) {
            struct book_node *node = pool_acquire(&normalise->books->nodes);
            if (node == NULL) {
                return false;
            }
            node->next = NULL;
            if (pending->last != NULL) {
                pending->last->next = node;
            } else {
                pending->first = node;
            }
            pending->last = node;
            pending->last_used = 0;
        }
        size_t room = NODE_BYTES - pending->last_used;
        size_t part = bytes < room ? bytes : room;
        memcpy(bytes_of(pending->last) + pending->last_used, data, part);
        pending->last_used += (uint32_t)part;
        pending->bytes += (uint32_t)part;
        data += part;
        bytes -= part;
    }
    return true;
}

static bool put_levels(struct normalise *normalise, struct pending *pending,
                       const struct level *levels, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t bytes[LEVEL_BYTES_MAX];
        size_t n = varint_put(bytes, zigzag(levels[i].price.mantissa));
        bytes[n++] = (uint8_t)levels[i].price.exponent;
        n += varint_put(bytes + n, zigzag(levels[i].amount.mantissa));
        bytes[n++] = (uint8_t)levels[i].amount.exponent;
        if (!put_bytes(normalise, pending, bytes, n)) {
            return false;
        }
    }
    return true;
}

bool pending_put(struct normalise *normalise, struct stream *stream,
                 const struct depth_event *delta)
{
    struct pending *pending = &stream->pending;
    size_t most = HEAD_BYTES_MAX + ((size_t)delta->bid_count + delta->ask_count) * LEVEL_BYTES_MAX;
    if (delta->bid_count > normalise->levels_max || delta->ask_count > normalise->levels_max ||
        pending->bytes + most > normalise->config.pending_deltas_bytes) {
        return false;
    }
    uint8_t head[HEAD_BYTES_MAX];
    size_t n = varint_put(head, zigzag(delta->first_update_id));
    n += varint_put(head + n, zigzag(delta->last_update_id));
    n += varint_put(head + n, zigzag(delta->prev_update_id));
    n += varint_put(head + n, delta->bid_count);
    n += varint_put(head + n, delta->ask_count);
    if (pending->count == 0) {
        pending->first_id = delta->first_update_id;
    }
    if (!put_bytes(normalise, pending, head, n) ||
        !put_levels(normalise, pending, delta->bids, delta->bid_count) ||
        !put_levels(normalise, pending, delta->asks, delta->ask_count)) {
        return false;
    }
    pending->count++;
    return true;
}

struct cursor {
    struct book_node *node;
    size_t at;
};

static uint8_t next_byte(struct cursor *cursor)
{
    if (cursor->at == NODE_BYTES) {
        cursor->node = cursor->node->next;
        cursor->at = 0;
    }
    ASSERT(cursor->node != NULL);
    return bytes_of(cursor->node)[cursor->at++];
}

static uint64_t next_varint(struct cursor *cursor)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = next_byte(cursor);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            break;
        }
    }
    return value;
}

static void next_levels(struct cursor *cursor, struct level *out, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        out[i].price.mantissa = unzigzag(next_varint(cursor));
        out[i].price.exponent = (int8_t)next_byte(cursor);
        out[i].amount.mantissa = unzigzag(next_varint(cursor));
        out[i].amount.exponent = (int8_t)next_byte(cursor);
    }
}

bool pending_each(struct normalise *normalise, struct stream *stream,
                  bool (*on_delta)(void *context, const struct depth_event *delta), void *context)
{
    struct cursor cursor = {stream->pending.first, 0};
    if (stream->pending.restored && !pending_sound(normalise, stream)) {
        pending_clear(normalise, stream); /* a damaged checkpoint: as if nothing had been kept */
        return false;
    }
    for (uint32_t i = 0; i < stream->pending.count; i++) {
        struct depth_event delta = {.bids = normalise->levels,
                                    .asks = normalise->levels + normalise->levels_max};
        delta.first_update_id = unzigzag(next_varint(&cursor));
        delta.last_update_id = unzigzag(next_varint(&cursor));
        delta.prev_update_id = unzigzag(next_varint(&cursor));
        delta.bid_count = (uint32_t)next_varint(&cursor);
        delta.ask_count = (uint32_t)next_varint(&cursor);
        next_levels(&cursor, normalise->levels, delta.bid_count);
        next_levels(&cursor, normalise->levels + normalise->levels_max, delta.ask_count);
        if (!on_delta(context, &delta)) {
            return false;
        }
    }
    return true;
}

bool pending_restore(struct normalise *normalise, struct stream *stream, uint32_t count,
                     int64_t first_id, struct str bytes)
{
    struct pending *pending = &stream->pending;
    if (count > 0) {
        pending_clear(normalise, stream);
        pending->count = count;
        pending->first_id = first_id;
    }
    if (pending->count == 0 ||
        pending->bytes + bytes.bytes > normalise->config.pending_deltas_bytes ||
        !put_bytes(normalise, pending, (const uint8_t *)bytes.data, bytes.bytes)) {
        pending_clear(normalise, stream);
        return false;
    }
    pending->restored = true;
    return true;
}

/* A cursor that knows its end. */
struct bounded {
    const struct book_node *node;
    size_t at, left;
    bool failed;
};

static uint8_t bounded_byte(struct bounded *cursor)
{
    if (cursor->left == 0) {
        cursor->failed = true;
        return 0;
    }
    if (cursor->at == NODE_BYTES) {
        cursor->node = cursor->node->next;
        cursor->at = 0;
    }
    cursor->left--;
    return ((const uint8_t *)cursor->node)[sizeof(struct book_node *) + cursor->at++];
}

static uint64_t bounded_varint(struct bounded *cursor)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = bounded_byte(cursor);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    cursor->failed = true;
    return 0;
}

static bool bounded_exponent(struct bounded *cursor)
{
    int8_t exponent = (int8_t)bounded_byte(cursor);
    return exponent >= -38 && exponent <= 38;
}

bool pending_sound(const struct normalise *normalise, const struct stream *stream)
{
    struct bounded cursor = {stream->pending.first, 0, stream->pending.bytes, false};
    for (uint32_t i = 0; i < stream->pending.count && !cursor.failed; i++) {
        for (int id = 0; id < 3; id++) {
            bounded_varint(&cursor);
        }
        uint64_t bids = bounded_varint(&cursor);
        uint64_t asks = bounded_varint(&cursor);
        if (cursor.failed || bids > normalise->levels_max || asks > normalise->levels_max) {
            return false;
        }
        for (uint64_t level = 0; level < bids + asks && !cursor.failed; level++) {
            bounded_varint(&cursor);
            bool good = bounded_exponent(&cursor);
            bounded_varint(&cursor);
            if (!good || !bounded_exponent(&cursor)) {
                return false;
            }
        }
    }
    return !cursor.failed && cursor.left == 0;
}
