#ifndef MD_NORMALISE_BOOK_H
#define MD_NORMALISE_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exchange/event.h"

/* One order book with exact levels from a shared pool of nodes (book_pool). Price and amount are
 * kept as mantissas of one exponent per book and side kind, rescaled when a finer value comes. */
struct book_pool;
struct book;

/* A side never holds more levels: the farthest go first, and the book says that it is truncated. */
#define BOOK_SIDE_LEVELS_MAX 8192

/* From ALLOC_BOOKS; NULL when there is no memory. */
struct book_pool *book_pool_create(size_t bytes, uint32_t books_max);
void book_pool_destroy(struct book_pool *pool);
size_t book_pool_memory_bytes(size_t bytes, uint32_t books_max); /* what create takes in all */
size_t book_pool_used_bytes(const struct book_pool *pool);

struct book *book_acquire(struct book_pool *pool); /* NULL when books_max are out */
void book_release(struct book *book);
void book_clear(struct book *book);

enum book_side { BOOK_BID, BOOK_ASK };

/* Sets (amount > 0) or deletes (0) one level. Deleting an absent level is normal: returns 1. When
 * the pool is empty, or the side full, the farthest levels of the deepest side of any book (or of
 * this side) go first and that book is marked truncated; if the new level would itself be the
 * farthest it is left out. MD_EFULL only if that cannot help; the book is truncated then too.
 * MD_ERANGE: an amount below 0, or exponents that cannot be brought together; nothing changed. */
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
