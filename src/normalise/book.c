/* Order books of exact levels: each side is a list of nodes, best price first, each node a sorted
 * run of up to NODE_LEVELS levels. Updates near the top touch one node; nodes come from one pool
 * for all books and are given back as they empty.
 *
 * Invariants (book_check): prices strictly worsen along a side; no node is empty; counts add up; no
 * amount is zero. Memory: the pool, taken once. */
#include "normalise/book.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/pool.h"
#include "normalise/book_internal.h"

size_t book_pool_memory_bytes(size_t bytes, uint32_t books_max)
{
    return sizeof(struct book_pool) +
           bytes / sizeof(struct book_node) * (sizeof(struct book_node) + 1) +
           (size_t)books_max * (sizeof(struct book) + 17) + 64;
}

struct book_pool *book_pool_create(size_t bytes, uint32_t books_max)
{
    struct book_pool *pool = alloc_take(ALLOC_BOOKS, sizeof *pool);
    if (pool == NULL) {
        return NULL;
    }
    size_t nodes = bytes / sizeof(struct book_node);
    pool->books_max = books_max;
    pool->books = alloc_take(ALLOC_BOOKS, (size_t)books_max * sizeof(struct book) + 1);
    if (pool->books == NULL ||
        pool_init(&pool->nodes, ALLOC_BOOKS, sizeof(struct book_node), nodes) != 0) {
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

struct book *book_acquire(struct book_pool *pool)
{
    for (uint32_t i = 0; i < pool->books_max; i++) {
        uint32_t at = (pool->books_next + i) % pool->books_max;
        struct book *book = &pool->books[at];
        if (!book->used) {
            memset(book, 0, sizeof *book);
            book->pool = pool;
            book->used = true;
            pool->books_next = at + 1;
            return book;
        }
    }
    return NULL;
}

void book_clear(struct book *book)
{
    for (int side = 0; side < 2; side++) {
        struct book_node *node = book->first[side];
        while (node != NULL) {
            struct book_node *next = node->next;
            pool_release(&book->pool->nodes, node);
            node = next;
        }
        book->first[side] = NULL;
        book->counts[side] = 0;
    }
    book->scaled = false;
    book->truncated = false;
}

void book_release(struct book *book)
{
    if (book != NULL) {
        book_clear(book);
        book->used = false;
    }
}

/* ---- scale */

static bool rescale_one(int64_t *value, int steps)
{
    for (; steps > 0; steps--) {
        if (__builtin_mul_overflow(*value, (int64_t)10, value)) {
            return false;
        }
    }
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
            for (struct book_node *node = book->first[side]; node != NULL; node = node->next) {
                for (uint32_t i = 0; i < node->count; i++) {
                    int64_t *member = price ? &node->levels[i].price : &node->levels[i].amount;
                    int64_t value = *member;
                    if (!rescale_one(&value, steps)) {
                        return MD_ERANGE;
                    }
                    *member = pass == 1 ? value : *member;
                }
            }
        }
    }
    *now = exponent;
    return 0;
}

static int to_scale(struct book *book, bool price, struct decimal value, int64_t *out)
{
    int8_t exponent = price ? book->price_exponent : book->amount_exponent;
    if (decimal_rescale(value, exponent, out) == 0) {
        return 0;
    }
    if (value.exponent >= exponent) {
        return MD_ERANGE;
    }
    int code = rescale_all(book, price, value.exponent);
    *out = value.mantissa;
    return code;
}

/* ---- levels */

/* Is a strictly better than b on this side? */
static bool better(enum book_side side, int64_t a, int64_t b)
{
    return side == BOOK_BID ? a > b : a < b;
}

/* The node that holds `price` or would, and the place in it. `previous` is the node before. */
static struct book_node *locate(struct book *book, enum book_side side, int64_t price,
                                struct book_node **previous, uint32_t *place)
{
    struct book_node *before = NULL;
    struct book_node *node = book->first[side];
    while (node != NULL && node->next != NULL &&
           better(side, node->levels[node->count - 1].price, price)) {
        before = node;
        node = node->next;
    }
    uint32_t low = 0, high = node != NULL ? node->count : 0;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (better(side, node->levels[middle].price, price)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *previous = before;
    *place = low;
    return node;
}

static void unlink_node(struct book *book, enum book_side side, struct book_node *previous,
                        struct book_node *node)
{
    if (previous != NULL) {
        previous->next = node->next;
    } else {
        book->first[side] = node->next;
    }
    pool_release(&book->pool->nodes, node);
}

static void remove_at(struct book *book, enum book_side side, struct book_node *previous,
                      struct book_node *node, uint32_t place)
{
    node->count--;
    book->counts[side]--;
    memmove(&node->levels[place], &node->levels[place + 1],
            (node->count - place) * sizeof node->levels[0]);
    struct book_node *next = node->next;
    if (node->count == 0) {
        unlink_node(book, side, previous, node);
    } else if (next != NULL && node->count + next->count <= NODE_LEVELS / 2) {
        memcpy(&node->levels[node->count], next->levels, next->count * sizeof next->levels[0]);
        node->count += next->count;
        unlink_node(book, side, node, next);
    }
}

/* The pool is empty: the farthest node of the side with most levels of any book goes. */
static bool truncate_deepest(struct book_pool *pool)
{
    struct book *deepest = NULL;
    int deep_side = 0;
    for (uint32_t i = 0; i < pool->books_max; i++) {
        for (int side = 0; side < 2; side++) {
            struct book *book = &pool->books[i];
            if (book->used && book->first[side] != NULL && book->first[side]->next != NULL &&
                (deepest == NULL || book->counts[side] > deepest->counts[deep_side])) {
                deepest = book;
                deep_side = side;
            }
        }
    }
    if (deepest == NULL) {
        return false;
    }
    struct book_node *previous = deepest->first[deep_side];
    while (previous->next->next != NULL) {
        previous = previous->next;
    }
    deepest->counts[deep_side] -= previous->next->count;
    deepest->truncated = true;
    unlink_node(deepest, (enum book_side)deep_side, previous, previous->next);
    return true;
}

/* A node that may be filled, linked behind `previous` (NULL = first). */
static struct book_node *new_node(struct book *book, enum book_side side,
                                  struct book_node *previous)
{
    struct book_node *node = pool_acquire(&book->pool->nodes);
    if (node == NULL) {
        return NULL;
    }
    node->count = 0;
    node->next = previous != NULL ? previous->next : book->first[side];
    if (previous != NULL) {
        previous->next = node;
    } else {
        book->first[side] = node;
    }
    return node;
}

static int insert(struct book *book, enum book_side side, int64_t price, int64_t amount)
{
    struct book_node *previous = NULL;
    uint32_t place = 0;
    struct book_node *node = locate(book, side, price, &previous, &place);
    bool needs_node = node == NULL || node->count == NODE_LEVELS;
    if (needs_node && book->pool->nodes.used == book->pool->nodes.count) {
        if (!truncate_deepest(book->pool)) {
            return MD_EFULL;
        }
        node = locate(book, side, price, &previous, &place);
        needs_node = node == NULL || node->count == NODE_LEVELS;
    }
    if (node == NULL) {
        node = new_node(book, side, NULL);
    } else if (needs_node && place == NODE_LEVELS && node->next == NULL) {
        node = new_node(book, side, node); /* books fill in order: keep the nodes full */
        place = 0;
    } else if (needs_node) {
        struct book_node *upper = new_node(book, side, node);
        ASSERT(upper != NULL);
        uint32_t half = NODE_LEVELS / 2;
        upper->count = NODE_LEVELS - half;
        memcpy(upper->levels, &node->levels[half], upper->count * sizeof node->levels[0]);
        node->count = half;
        if (place > half) {
            node = upper;
            place -= half;
        }
    }
    ASSERT(node != NULL);
    memmove(&node->levels[place + 1], &node->levels[place],
            (node->count - place) * sizeof node->levels[0]);
    node->levels[place] = (struct book_level){price, amount};
    node->count++;
    book->counts[side]++;
    return 0;
}

int book_level_set(struct book *book, enum book_side side, struct decimal price,
                   struct decimal amount)
{
    if (!book->scaled) {
        book->scaled = true;
        book->price_exponent = price.exponent;
        book->amount_exponent = amount.exponent;
    }
    int64_t p = 0, a = 0;
    int code = to_scale(book, true, price, &p);
    code = code != 0 ? code : to_scale(book, false, amount, &a);
    if (code != 0) {
        return code;
    }
    struct book_node *previous = NULL;
    uint32_t place = 0;
    struct book_node *node = locate(book, side, p, &previous, &place);
    bool present = node != NULL && place < node->count && node->levels[place].price == p;
    if (a == 0) {
        if (!present) {
            return 1;
        }
        remove_at(book, side, previous, node, place);
        return 0;
    }
    if (present) {
        node->levels[place].amount = a;
        return 0;
    }
    return insert(book, side, p, a);
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
    return book->first[BOOK_BID] != NULL && book->first[BOOK_ASK] != NULL &&
           book->first[BOOK_BID]->levels[0].price >= book->first[BOOK_ASK]->levels[0].price;
}

static struct level level_of(const struct book *book, const struct book_level *level)
{
    return (struct level){{level->price, book->price_exponent},
                          {level->amount, book->amount_exponent}};
}

void book_walk(const struct book *book, enum book_side side,
               void (*on_level)(void *context, const struct level *level), void *context)
{
    for (const struct book_node *node = book->first[side]; node != NULL; node = node->next) {
        for (uint32_t i = 0; i < node->count; i++) {
            struct level level = level_of(book, &node->levels[i]);
            on_level(context, &level);
        }
    }
}

uint32_t book_levels(const struct book *book, enum book_side side, struct level *out, uint32_t max)
{
    uint32_t count = 0;
    for (const struct book_node *node = book->first[side]; node != NULL; node = node->next) {
        for (uint32_t i = 0; i < node->count && count < max; i++) {
            out[count++] = level_of(book, &node->levels[i]);
        }
    }
    return count;
}

void book_check(const struct book *book)
{
    ASSERT(book->used);
    for (int side = 0; side < 2; side++) {
        uint32_t count = 0;
        const struct book_level *last = NULL;
        for (const struct book_node *node = book->first[side]; node != NULL; node = node->next) {
            ASSERT(node->count > 0);
            ASSERT(node->count <= NODE_LEVELS);
            for (uint32_t i = 0; i < node->count; i++) {
                ASSERT(node->levels[i].amount != 0);
                ASSERT(last == NULL ||
                       better((enum book_side)side, last->price, node->levels[i].price));
                last = &node->levels[i];
            }
            count += node->count;
        }
        ASSERT(count == book->counts[side]);
    }
}
