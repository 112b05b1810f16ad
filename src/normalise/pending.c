/* Deltas kept while a book waits for its snapshot: a byte queue in nodes borrowed from the books'
 * pool, at most half of it for all, pending_deltas_bytes for one. One delta: first, last and
 * previous id, counts, then levels, as varints and exponent bytes.
 *
 * Invariant: with count 0 nothing reads the bytes (they may be a checkpoint's, half restored). */
#include "base/assert.h"
#include "normalise/normalise_internal.h"

#define LINK_BYTES sizeof(struct book_node *) /* a borrowed node keeps its link in front */
#define NODE_BYTES (sizeof(struct book_node) - LINK_BYTES)
#define LEVEL_BYTES_MAX 22 /* two varints of 10 bytes, two exponents */
#define HEAD_BYTES_MAX 50

static uint8_t *bytes_of(struct book_node *node)
{
    return (uint8_t *)node + LINK_BYTES;
}

const uint8_t *pending_node_data(const struct book_node *node)
{
    return (const uint8_t *)node + LINK_BYTES;
}

size_t pending_node_bytes(const struct pending *pending, const struct book_node *node)
{
    return node == pending->last ? pending->last_used : NODE_BYTES;
}

void pending_clear(struct normalise *normalise, struct pending *pending)
{
    struct book_node *node = pending->first;
    while (node != NULL) {
        struct book_node *next = node->next;
        pool_release(&normalise->books->nodes, node);
        normalise->pending_nodes--;
        node = next;
    }
    *pending = (struct pending){0};
}

static bool add_node(struct normalise *normalise, struct pending *pending)
{
    struct pool *nodes = &normalise->books->nodes;
    if (normalise->pending_nodes == normalise->pending_nodes_max || nodes->used == nodes->count) {
        return false;
    }
    struct book_node *node = pool_acquire(nodes);
    ASSERT(node != NULL);
    normalise->pending_nodes++;
    node->next = NULL;
    if (pending->last != NULL) {
        pending->last->next = node;
    } else {
        pending->first = node;
    }
    pending->last = node;
    pending->last_used = 0;
    return true;
}

static bool put_bytes(struct normalise *normalise, struct pending *pending, const uint8_t *data,
                      size_t bytes)
{
    while (bytes > 0) {
        if ((pending->last == NULL || pending->last_used == NODE_BYTES) &&
            !add_node(normalise, pending)) {
            return false;
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

bool pending_put(struct normalise *normalise, struct pending *pending,
                 const struct depth_event *delta)
{
    if (pending->count == 0) {
        pending_clear(normalise, pending);
    }
    size_t most = HEAD_BYTES_MAX + ((size_t)delta->bid_count + delta->ask_count) * LEVEL_BYTES_MAX;
    if (delta->bid_count > BOOK_SIDE_LEVELS_MAX || delta->ask_count > BOOK_SIDE_LEVELS_MAX ||
        pending->bytes + most > normalise->config.pending_deltas_bytes) {
        return false;
    }
    uint8_t head[HEAD_BYTES_MAX];
    size_t n = varint_put(head, zigzag(delta->first_update_id));
    n += varint_put(head + n, zigzag(delta->last_update_id));
    n += varint_put(head + n, zigzag(delta->prev_update_id));
    n += varint_put(head + n, delta->bid_count);
    n += varint_put(head + n, delta->ask_count);
    if (!put_bytes(normalise, pending, head, n) ||
        !put_levels(normalise, pending, delta->bids, delta->bid_count) ||
        !put_levels(normalise, pending, delta->asks, delta->ask_count)) {
        return false;
    }
    pending->count++;
    return true;
}

/* ---- reading; a checkpoint's bytes are read once with an eye on every bound */

struct cursor {
    const struct book_node *node;
    size_t at, left;
    bool failed;
};

static struct cursor cursor_of(const struct pending *pending)
{
    return (struct cursor){pending->first, 0, pending->bytes, false};
}

static uint8_t next_byte(struct cursor *cursor)
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
    return pending_node_data(cursor->node)[cursor->at++];
}

static uint64_t next_varint(struct cursor *cursor)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = next_byte(cursor);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    cursor->failed = true;
    return 0;
}

static struct decimal next_decimal(struct cursor *cursor)
{
    struct decimal value = {.mantissa = unzigzag(next_varint(cursor))};
    value.exponent = (int8_t)next_byte(cursor);
    cursor->failed = cursor->failed || value.exponent < -38 || value.exponent > 38;
    return value;
}

/* `out` NULL: looks only. */
static void next_levels(struct cursor *cursor, struct level *out, uint32_t count)
{
    for (uint32_t i = 0; i < count && !cursor->failed; i++) {
        struct level level;
        level.price = next_decimal(cursor);
        level.amount = next_decimal(cursor);
        if (out != NULL) {
            out[i] = level;
        }
    }
}

static void next_delta(struct cursor *cursor, struct depth_event *delta, struct level *levels)
{
    delta->first_update_id = unzigzag(next_varint(cursor));
    delta->last_update_id = unzigzag(next_varint(cursor));
    delta->prev_update_id = unzigzag(next_varint(cursor));
    uint64_t bids = next_varint(cursor);
    uint64_t asks = next_varint(cursor);
    if (cursor->failed || bids > BOOK_SIDE_LEVELS_MAX || asks > BOOK_SIDE_LEVELS_MAX) {
        cursor->failed = true;
        return;
    }
    delta->bid_count = (uint32_t)bids;
    delta->ask_count = (uint32_t)asks;
    next_levels(cursor, levels, delta->bid_count);
    next_levels(cursor, levels != NULL ? levels + BOOK_SIDE_LEVELS_MAX : NULL, delta->ask_count);
}

void pending_each(struct normalise *normalise, const struct pending *pending,
                  bool (*on_delta)(void *context, const struct depth_event *delta), void *context)
{
    struct cursor cursor = cursor_of(pending);
    for (uint32_t i = 0; i < pending->count; i++) {
        struct depth_event delta = {.bids = normalise->levels,
                                    .asks = normalise->levels + BOOK_SIDE_LEVELS_MAX};
        next_delta(&cursor, &delta, normalise->levels);
        ASSERT(!cursor.failed);
        if (!on_delta(context, &delta)) {
            return;
        }
    }
}

/* ---- restoring */

bool pending_restore(struct normalise *normalise, struct pending *pending, struct str bytes)
{
    if (pending->count > 0) {
        return false;
    }
    if (bytes.bytes > normalise->config.pending_deltas_bytes - pending->bytes ||
        !put_bytes(normalise, pending, (const uint8_t *)bytes.data, bytes.bytes)) {
        pending_clear(normalise, pending);
    }
    return true;
}

bool pending_restored(struct pending *pending, uint64_t count)
{
    struct cursor cursor = cursor_of(pending);
    for (uint64_t i = 0; i < count && !cursor.failed; i++) {
        struct depth_event delta = {0};
        next_delta(&cursor, &delta, NULL);
    }
    if (pending->count > 0 || cursor.failed || cursor.left > 0 || count > UINT32_MAX) {
        return false;
    }
    pending->count = (uint32_t)count;
    return true;
}

void pending_check(const struct pending *pending)
{
    struct pending copy = *pending;
    copy.count = 0;
    ASSERT((pending->first == NULL) == (pending->last == NULL));
    ASSERT(pending->last_used <= NODE_BYTES);
    ASSERT(pending->count == 0 || pending_restored(&copy, pending->count));
}
