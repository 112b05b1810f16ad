/* Order books of exact levels. A side is a list of inner nodes, best first; an inner node holds up
 * to NODE_ENTRIES leaves, a leaf up to NODE_ENTRIES levels. An update near the top touches one
 * inner node and one leaf, one far away a few inner nodes more; nodes come from one pool for all
 * books and are given back as they empty.
 *
 * Invariants (book_check): keys fall strictly along a side; no node is empty; an inner entry is its
 * leaf's worst key; counts add up. A node that shrinks joins a neighbour when both fit into
 * NODE_MERGE entries, so that memory follows the number of levels. The shape depends on nothing but
 * the updates: a checkpoint keeps it, and what is cut when the pool is empty comes out the same.
 * Memory: the pool, taken once. */
#include "normalise/book.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/pool.h"
#include "normalise/book_internal.h"

/* Where a key stands or would stand. */
struct spot {
    struct book_node *inner, *leaf; /* NULL: the side is empty */
    uint32_t slot, place;           /* of the leaf in inner, of the level in leaf */
};

size_t book_pool_memory_bytes(size_t bytes, uint32_t books_max)
{
    return sizeof(struct book_pool) +
           bytes / sizeof(struct book_node) * (sizeof(struct book_node) + 1) +
           (size_t)books_max * sizeof(struct book) + 1;
}

struct book_pool *book_pool_create(size_t bytes, uint32_t books_max)
{
    struct book_pool *pool = alloc_take(ALLOC_BOOKS, sizeof *pool);
    if (pool == NULL) {
        return NULL;
    }
    pool->books_max = books_max;
    pool->books = alloc_take(ALLOC_BOOKS, (size_t)books_max * sizeof(struct book) + 1);
    if (pool->books == NULL || pool_init(&pool->nodes, ALLOC_BOOKS, sizeof(struct book_node),
                                         bytes / sizeof(struct book_node)) != 0) {
        book_pool_destroy(pool);
        return NULL;
    }
    return pool;
}

void book_pool_destroy(struct book_pool *pool)
{
    if (pool != NULL) {
        pool_deinit(&pool->nodes);
        alloc_give(pool->books);
        alloc_give(pool);
    }
}

size_t book_pool_used_bytes(const struct book_pool *pool)
{
    return pool->nodes.used * pool->nodes.item_bytes;
}

/* The lowest that is free: who asks in the same order gets the same ones, and ties of
 * find_deepest() come out the same. */
struct book *book_acquire(struct book_pool *pool)
{
    if (pool->books_used == pool->books_max) {
        return NULL;
    }
    uint32_t at = pool->books[pool->books_used].used ? 0 : pool->books_used;
    while (pool->books[at].used) {
        at++;
    }
    struct book *book = &pool->books[at];
    *book = (struct book){.pool = pool, .used = true};
    pool->books_used++;
    return book;
}

void book_clear(struct book *book)
{
    for (int side = 0; side < 2; side++) {
        struct book_node *inner = book->first[side];
        while (inner != NULL) {
            struct book_node *next = inner->next;
            for (uint32_t i = 0; i < inner->count; i++) {
                pool_release(&book->pool->nodes, inner->leaves[i]);
            }
            pool_release(&book->pool->nodes, inner);
            inner = next;
        }
        book->first[side] = book->last[side] = NULL;
        book->counts[side] = 0;
    }
    book->scaled = false;
    book->truncated = false;
}

void book_release(struct book *book)
{
    if (book != NULL) {
        ASSERT(book->used);
        book_clear(book);
        book->used = false;
        book->pool->books_used--;
    }
}

/* ---- scale */

static bool rescale_one(int64_t *value, int steps)
{
    for (; steps > 0 && *value != 0; steps--) {
        if (__builtin_mul_overflow(*value, (int64_t)10, value)) {
            return false;
        }
    }
    return true;
}

static bool rescale_run(int64_t *values, uint32_t count, int steps, bool keep)
{
    for (uint32_t i = 0; i < count; i++) {
        int64_t value = values[i];
        if (!rescale_one(&value, steps)) {
            return false;
        }
        values[i] = keep ? value : values[i];
    }
    return true;
}

static bool rescale_inner(struct book_node *inner, bool price, int steps, bool keep)
{
    for (uint32_t i = 0; i < inner->count; i++) {
        struct book_node *leaf = inner->leaves[i];
        if (!rescale_run(price ? leaf->keys : leaf->amounts, leaf->count, steps, keep)) {
            return false;
        }
        leaf->worst = leaf->keys[leaf->count - 1];
        inner->keys[i] = leaf->worst;
    }
    inner->worst = inner->keys[inner->count - 1];
    return true;
}

/* All prices (or amounts) of the book to a finer exponent; two passes, so that a book whose values
 * would overflow is left as it was. */
static int rescale_all(struct book *book, bool price, int8_t exponent)
{
    int8_t *now = price ? &book->price_exponent : &book->amount_exponent;
    int steps = *now - exponent;
    for (int pass = 0; pass < 2; pass++) {
        for (int side = 0; side < 2; side++) {
            for (struct book_node *at = book->first[side]; at != NULL; at = at->next) {
                if (!rescale_inner(at, price, steps, pass == 1)) {
                    return MD_ERANGE;
                }
            }
        }
    }
    *now = exponent;
    return 0;
}

/* `value` at the book's exponent, which gets finer if it must. */
static int to_scale(struct book *book, bool price, struct decimal value, int64_t *out)
{
    int8_t exponent = price ? book->price_exponent : book->amount_exponent;
    if (__builtin_expect(value.exponent == exponent, 1)) {
        *out = value.mantissa;
        return 0;
    }
    if (decimal_rescale(value, exponent, out) == 0) {
        return 0;
    }
    while (value.exponent < exponent && value.mantissa % 10 == 0) {
        value.mantissa /= 10; /* no finer than it must be */
        value.exponent++;
    }
    if (value.exponent >= exponent) {
        return MD_ERANGE;
    }
    *out = value.mantissa;
    return rescale_all(book, price, value.exponent);
}

/* ---- finding */

/* The first entry whose key is not better; `count` if there is none. No branch depends on a key:
 * they cannot be predicted here. */
static inline uint32_t place_of(const struct book_node *node, int64_t key)
{
    const int64_t *at = node->keys;
    uint32_t left = node->count;
    while (left > 1) {
        uint32_t half = left / 2;
        at += at[half - 1] > key ? half : 0;
        left -= half;
    }
    return (uint32_t)(at - node->keys) + (*at > key);
}

static inline struct spot locate(const struct book *book, int side, int64_t key)
{
    struct spot spot = {.inner = book->first[side]};
    if (spot.inner == NULL) {
        return spot;
    }
    if (book->last[side]->worst > key) { /* worse than all: books load in this order */
        spot.inner = book->last[side];
        spot.slot = spot.inner->count - 1;
        spot.leaf = spot.inner->leaves[spot.slot];
        spot.place = spot.leaf->count;
        return spot;
    }
    while (spot.inner->worst > key) {
        spot.inner = spot.inner->next;
    }
    spot.slot = place_of(spot.inner, key);
    spot.leaf = spot.inner->leaves[spot.slot];
    spot.place = place_of(spot.leaf, key);
    return spot;
}

/* ---- nodes */

static void entry_insert(struct book_node *node, uint32_t at, int64_t key, int64_t amount,
                         struct book_node *leaf)
{
    uint32_t behind = node->count - at;
    ASSERT(node->count < NODE_ENTRIES);
    memmove(&node->keys[at + 1], &node->keys[at], behind * sizeof node->keys[0]);
    memmove(&node->amounts[at + 1], &node->amounts[at], behind * sizeof node->amounts[0]);
    node->keys[at] = key;
    if (leaf != NULL) {
        node->leaves[at] = leaf;
    } else {
        node->amounts[at] = amount;
    }
    node->count++;
    node->worst = node->keys[node->count - 1];
}

/* The last one may be taken: the node is empty then, and its worst key not defined. */
static void entry_remove(struct book_node *node, uint32_t at)
{
    uint32_t behind = node->count - at - 1;
    memmove(&node->keys[at], &node->keys[at + 1], behind * sizeof node->keys[0]);
    memmove(&node->amounts[at], &node->amounts[at + 1], behind * sizeof node->amounts[0]);
    node->count--;
    node->worst = node->count > 0 ? node->keys[node->count - 1] : 0;
}

/* Everything of `from` behind the entries of `to`. */
static void node_append(struct book_node *to, const struct book_node *from)
{
    memcpy(&to->keys[to->count], from->keys, from->count * sizeof from->keys[0]);
    memcpy(&to->amounts[to->count], from->amounts, from->count * sizeof from->amounts[0]);
    to->count += from->count;
    to->worst = from->worst;
}

/* The second half of a full node goes to `upper`. */
static void node_halve(struct book_node *node, struct book_node *upper)
{
    uint32_t half = NODE_ENTRIES / 2;
    upper->count = NODE_ENTRIES - half;
    memcpy(upper->keys, &node->keys[half], upper->count * sizeof node->keys[0]);
    memcpy(upper->amounts, &node->amounts[half], upper->count * sizeof node->amounts[0]);
    upper->worst = node->worst;
    node->count = half;
    node->worst = node->keys[half - 1];
}

static struct book_node *node_new(struct book *book)
{
    struct book_node *node = pool_acquire(&book->pool->nodes);
    ASSERT(node != NULL); /* room was made */
    node->next = node->previous = NULL;
    node->count = 0;
    node->worst = 0;
    node->unused = 0;
    return node;
}

static void inner_link(struct book *book, int side, struct book_node *after,
                       struct book_node *inner)
{
    inner->previous = after;
    inner->next = after != NULL ? after->next : NULL;
    if (after == NULL) {
        book->first[side] = inner;
    } else {
        after->next = inner;
    }
    if (inner->next == NULL) {
        book->last[side] = inner;
    } else {
        inner->next->previous = inner;
    }
}

static void inner_unlink(struct book *book, int side, struct book_node *inner)
{
    if (inner->previous != NULL) {
        inner->previous->next = inner->next;
    } else {
        book->first[side] = inner->next;
    }
    if (inner->next != NULL) {
        inner->next->previous = inner->previous;
    } else {
        book->last[side] = inner->previous;
    }
    pool_release(&book->pool->nodes, inner);
}

/* An inner entry follows its leaf. */
static void inner_refresh(struct book_node *inner, uint32_t slot)
{
    inner->keys[slot] = inner->leaves[slot]->worst;
    inner->worst = inner->keys[inner->count - 1];
}

/* A leaf is gone from `inner`: it goes too when empty, or joins a small neighbour. */
static void inner_shrunk(struct book *book, int side, struct book_node *inner)
{
    if (inner->count == 0) {
        inner_unlink(book, side, inner);
        return;
    }
    struct book_node *next = inner->next;
    struct book_node *previous = inner->previous;
    if (next != NULL && inner->count + next->count <= NODE_MERGE) {
        node_append(inner, next);
        inner_unlink(book, side, next);
    } else if (previous != NULL && previous->count + inner->count <= NODE_MERGE) {
        node_append(previous, inner);
        inner_unlink(book, side, inner);
    }
}

/* Puts a leaf that holds something at `slot`; splits a full inner node. A node for that is there.
 */
static void inner_insert(struct book *book, int side, struct book_node *inner, uint32_t slot,
                         struct book_node *leaf)
{
    if (inner->count == NODE_ENTRIES) {
        struct book_node *upper = node_new(book);
        inner_link(book, side, inner, upper);
        if (slot < NODE_ENTRIES) { /* at the very end both stay full: books fill in order */
            node_halve(inner, upper);
        }
        if (slot > inner->count || inner->count == NODE_ENTRIES) {
            slot -= inner->count;
            inner = upper;
        }
    }
    entry_insert(inner, slot, leaf->worst, 0, leaf);
}

/* ---- what goes when the pool is empty */

/* The side with most levels of any book that has more than one leaf there; the first of equals. */
static struct book *find_deepest(struct book_pool *pool, int *deep_side)
{
    struct book *deepest = NULL;
    for (uint32_t i = 0; i < pool->books_max; i++) {
        struct book *book = &pool->books[i];
        for (int side = 0; side < 2; side++) {
            const struct book_node *first = book->used ? book->first[side] : NULL;
            if (first != NULL && (first->count > 1 || first->next != NULL) &&
                (deepest == NULL || book->counts[side] > deepest->counts[*deep_side])) {
                deepest = book;
                *deep_side = side;
            }
        }
    }
    return deepest;
}

static void drop_last_leaf(struct book *book, int side)
{
    struct book_node *inner = book->last[side];
    struct book_node *leaf = inner->leaves[inner->count - 1];
    book->counts[side] -= leaf->count;
    book->truncated = true;
    pool_release(&book->pool->nodes, leaf);
    entry_remove(inner, inner->count - 1);
    inner_shrunk(book, side, inner);
}

/* Nodes that an insertion at `spot` takes. */
static size_t nodes_needed(struct spot spot)
{
    if (spot.inner == NULL) {
        return 2;
    }
    return spot.leaf->count < NODE_ENTRIES ? 0 : spot.inner->count < NODE_ENTRIES ? 1 : 2;
}

/* Until the insertion finds its nodes and the side has room. 0: *spot is where `key` goes; 1: the
 * level is the farthest itself and is left out; MD_EFULL. Ends: each turn gives back a leaf. */
static int make_room(struct book *book, int side, int64_t key, struct spot *spot)
{
    const struct pool *nodes = &book->pool->nodes;
    for (;;) {
        struct book *from = book;
        int from_side = side;
        if (book->counts[side] < BOOK_SIDE_LEVELS_MAX) {
            if (nodes_needed(*spot) <= nodes->count - nodes->used) {
                return 0;
            }
            from = find_deepest(book->pool, &from_side);
        }
        if (from == NULL) {
            book->truncated = true;
            return MD_EFULL;
        }
        if (from == book && from_side == side && key < book->last[side]->worst) {
            book->truncated = true;
            return 1;
        }
        drop_last_leaf(from, from_side);
        *spot = locate(book, side, key);
    }
}

/* ---- levels */

static void insert(struct book *book, int side, struct spot spot, int64_t key, int64_t amount)
{
    if (spot.inner == NULL) {
        struct book_node *inner = node_new(book);
        struct book_node *leaf = node_new(book);
        inner_link(book, side, NULL, inner);
        entry_insert(leaf, 0, key, amount, NULL);
        entry_insert(inner, 0, key, 0, leaf);
    } else if (spot.leaf->count < NODE_ENTRIES) {
        entry_insert(spot.leaf, spot.place, key, amount, NULL);
        inner_refresh(spot.inner, spot.slot);
    } else {
        struct book_node *upper = node_new(book);
        struct book_node *into = spot.leaf;
        if (spot.place < NODE_ENTRIES) { /* at the very end both stay full: books fill in order */
            node_halve(spot.leaf, upper);
        }
        if (spot.place > spot.leaf->count || spot.place == NODE_ENTRIES) {
            spot.place -= spot.leaf->count;
            into = upper;
        }
        entry_insert(into, spot.place, key, amount, NULL);
        inner_refresh(spot.inner, spot.slot);
        inner_insert(book, side, spot.inner, spot.slot + 1, upper);
    }
    book->counts[side]++;
}

static void remove_at(struct book *book, int side, struct spot spot)
{
    struct book_node *inner = spot.inner;
    uint32_t slot = spot.slot;
    entry_remove(spot.leaf, spot.place);
    book->counts[side]--;
    if (spot.leaf->count == 0) {
        pool_release(&book->pool->nodes, spot.leaf);
        entry_remove(inner, slot);
        inner_shrunk(book, side, inner);
        return;
    }
    inner_refresh(inner, slot);
    if (spot.leaf->count >= NODE_MERGE) {
        return; /* its neighbours have one level at least */
    }
    if (slot + 1 == inner->count ||
        spot.leaf->count + inner->leaves[slot + 1]->count > NODE_MERGE) {
        if (slot == 0 || inner->leaves[slot - 1]->count + spot.leaf->count > NODE_MERGE) {
            return;
        }
        slot--;
    }
    struct book_node *upper = inner->leaves[slot + 1];
    node_append(inner->leaves[slot], upper);
    pool_release(&book->pool->nodes, upper);
    entry_remove(inner, slot + 1);
    inner_refresh(inner, slot);
    inner_shrunk(book, side, inner);
}

int book_level_set(struct book *book, enum book_side side, struct decimal price,
                   struct decimal amount)
{
    if (amount.mantissa < 0 || price.mantissa == INT64_MIN) {
        return MD_ERANGE;
    }
    if (!book->scaled) {
        book->scaled = true;
        book->price_exponent = price.exponent;
        book->amount_exponent = amount.exponent;
    }
    int64_t key = 0, a = 0;
    int code = to_scale(book, true, price, &key);
    code = code != 0 ? code : to_scale(book, false, amount, &a);
    if (code != 0 || key == INT64_MIN) {
        return MD_ERANGE;
    }
    key = side == BOOK_ASK ? -key : key;
    struct spot spot = locate(book, (int)side, key);
    bool present =
        spot.leaf != NULL && spot.place < spot.leaf->count && spot.leaf->keys[spot.place] == key;
    if (present && a != 0) {
        spot.leaf->amounts[spot.place] = a;
        return 0;
    }
    if (present) {
        remove_at(book, (int)side, spot);
        return 0;
    }
    if (a == 0) {
        return 1;
    }
    code = make_room(book, (int)side, key, &spot);
    if (code == 0) {
        insert(book, (int)side, spot, key, a);
    }
    return code < 0 ? code : 0;
}

uint32_t book_level_count(const struct book *book, enum book_side side)
{
    return book->counts[side];
}

bool book_truncated(const struct book *book)
{
    return book->truncated;
}

bool book_crossed(const struct book *book)
{
    const struct book_node *bid = book->first[BOOK_BID];
    const struct book_node *ask = book->first[BOOK_ASK];
    return bid != NULL && ask != NULL && bid->leaves[0]->keys[0] >= -ask->leaves[0]->keys[0];
}

/* ---- looking */

void book_leaves(const struct book *book, enum book_side side,
                 void (*on_leaf)(void *context, const struct book_node *leaf, bool first),
                 void *context)
{
    for (const struct book_node *inner = book->first[side]; inner != NULL; inner = inner->next) {
        for (uint32_t i = 0; i < inner->count; i++) {
            on_leaf(context, inner->leaves[i], i == 0);
        }
    }
}

static struct level level_of(const struct book *book, enum book_side side,
                             const struct book_node *leaf, uint32_t i)
{
    int64_t price = side == BOOK_ASK ? -leaf->keys[i] : leaf->keys[i];
    return (struct level){{price, book->price_exponent}, {leaf->amounts[i], book->amount_exponent}};
}

void book_walk(const struct book *book, enum book_side side,
               void (*on_level)(void *context, const struct level *level), void *context)
{
    for (const struct book_node *inner = book->first[side]; inner != NULL; inner = inner->next) {
        for (uint32_t k = 0; k < inner->count; k++) {
            for (uint32_t i = 0; i < inner->leaves[k]->count; i++) {
                struct level level = level_of(book, side, inner->leaves[k], i);
                on_level(context, &level);
            }
        }
    }
}

uint32_t book_levels(const struct book *book, enum book_side side, struct level *out, uint32_t max)
{
    uint32_t count = 0;
    for (const struct book_node *inner = book->first[side]; inner != NULL; inner = inner->next) {
        for (uint32_t k = 0; k < inner->count && count < max; k++) {
            const struct book_node *leaf = inner->leaves[k];
            for (uint32_t i = 0; i < leaf->count && count < max; i++) {
                out[count++] = level_of(book, side, leaf, i);
            }
        }
    }
    return count;
}

/* ---- restoring and checking */

static bool run_is_sound(const struct book *book, int side, const int64_t *keys,
                         const int64_t *amounts, uint32_t count)
{
    if (count == 0 || count > NODE_ENTRIES || book->counts[side] + count > BOOK_SIDE_LEVELS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        bool falls = i > 0                      ? keys[i] < keys[i - 1]
                     : book->last[side] != NULL ? keys[i] < book->last[side]->worst
                                                : true;
        if (!falls || keys[i] == INT64_MIN || amounts[i] <= 0) {
            return false;
        }
    }
    return true;
}

int book_leaf_append(struct book *book, enum book_side side, bool first, const int64_t *keys,
                     const int64_t *amounts, uint32_t count)
{
    struct book_node *inner = book->last[side];
    if (!run_is_sound(book, (int)side, keys, amounts, count)) {
        return MD_ECORRUPT;
    }
    bool new_inner = first || inner == NULL || inner->count == NODE_ENTRIES;
    const struct pool *nodes = &book->pool->nodes;
    if (nodes->count - nodes->used < 1 + (size_t)new_inner) {
        return MD_EFULL;
    }
    struct book_node *leaf = node_new(book);
    memcpy(leaf->keys, keys, count * sizeof keys[0]);
    memcpy(leaf->amounts, amounts, count * sizeof amounts[0]);
    leaf->count = count;
    leaf->worst = keys[count - 1];
    if (new_inner) {
        inner = node_new(book);
        inner_link(book, (int)side, book->last[side], inner);
    }
    entry_insert(inner, inner->count, leaf->worst, 0, leaf);
    book->counts[side] += count;
    return 0;
}

static void check_leaf(const struct book_node *leaf, const int64_t **last)
{
    ASSERT(leaf->count > 0);
    ASSERT(leaf->count <= NODE_ENTRIES);
    ASSERT(leaf->worst == leaf->keys[leaf->count - 1]);
    for (uint32_t i = 0; i < leaf->count; i++) {
        ASSERT(leaf->amounts[i] > 0);
        ASSERT(*last == NULL || **last > leaf->keys[i]);
        *last = &leaf->keys[i];
    }
}

static void check_inner(const struct book *book, int side, const struct book_node *inner)
{
    ASSERT(inner->count > 0);
    ASSERT(inner->count <= NODE_ENTRIES);
    ASSERT(inner->worst == inner->keys[inner->count - 1]);
    ASSERT(inner->next != NULL || book->last[side] == inner);
    ASSERT(inner->next == NULL || inner->next->previous == inner);
    ASSERT(inner->previous != NULL || book->first[side] == inner);
    for (uint32_t i = 0; i < inner->count; i++) {
        ASSERT(inner->keys[i] == inner->leaves[i]->worst);
    }
}

void book_check(const struct book *book)
{
    ASSERT(book->used);
    for (int side = 0; side < 2; side++) {
        uint32_t count = 0;
        const int64_t *last = NULL;
        ASSERT((book->first[side] == NULL) == (book->last[side] == NULL));
        for (const struct book_node *at = book->first[side]; at != NULL; at = at->next) {
            check_inner(book, side, at);
            for (uint32_t i = 0; i < at->count; i++) {
                check_leaf(at->leaves[i], &last);
                count += at->leaves[i]->count;
            }
        }
        ASSERT(count == book->counts[side]);
        ASSERT(count <= BOOK_SIDE_LEVELS_MAX);
    }
}
