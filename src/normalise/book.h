#ifndef MD_NORMALISE_BOOK_H
#define MD_NORMALISE_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "exchange/event.h"

/* One order book with exact levels from a shared pool of nodes (book_pool). Price and amount are
 * kept as mantissas of one exponent per book and side kind, rescaled when a finer value comes. */
struct book_pool;
struct book;

struct book_pool *book_pool_create(size_t bytes, uint32_t books_max);
void book_pool_destroy(struct book_pool *pool);
size_t book_pool_memory_bytes(size_t bytes, uint32_t books_max);
size_t book_pool_used_bytes(const struct book_pool *pool);

struct book *book_acquire(struct book_pool *pool); /* NULL when books_max are out */
void book_release(struct book *book);
void book_clear(struct book *book);

enum book_side { BOOK_BID, BOOK_ASK };

/* Sets (amount > 0) or deletes (0) one level. Deleting an absent level is normal: returns 1. When
 * the pool is empty the farthest levels of the deepest book go first and that book is marked
 * truncated; MD_EFULL only if that cannot help. MD_ERANGE: exponents that cannot be brought
 * together. */
int book_level_set(struct book *book, enum book_side side, struct decimal price,
                   struct decimal amount);
uint32_t book_level_count(const struct book *book, enum book_side side);
bool book_truncated(const struct book *book);
bool book_crossed(const struct book *book); /* best bid >= best ask */

/* Levels best first, up to `max`; returns how many were written. Amounts and prices carry the
 * book's exponent. */
uint32_t book_levels(const struct book *book, enum book_side side, struct level *out, uint32_t max);
/* Walks all levels of a side best first. */
void book_walk(const struct book *book, enum book_side side,
               void (*on_level)(void *context, const struct level *level), void *context);
/* States every invariant; for tests and the simulator. */
void book_check(const struct book *book);

#endif
