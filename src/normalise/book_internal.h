#ifndef MD_NORMALISE_BOOK_INTERNAL_H
#define MD_NORMALISE_BOOK_INTERNAL_H

/* What book.c and the pending deltas (which borrow nodes) share. */

#include "base/pool.h"
#include "normalise/book.h"

#define NODE_LEVELS 31

struct book_level {
    int64_t price, amount; /* mantissas at the book's exponents; amount is never 0 */
};

struct book_node {
    struct book_node *next;
    uint32_t count; /* 1 .. NODE_LEVELS in a book */
    struct book_level levels[NODE_LEVELS];
};
_Static_assert(sizeof(struct book_node) == 512, "a node is half a kilobyte");

struct book {
    struct book_pool *pool;
    bool used, scaled, truncated;
    int8_t price_exponent, amount_exponent;
    struct book_node *first[2]; /* best first */
    uint32_t counts[2];
};

struct book_pool {
    struct pool nodes;
    struct book *books;
    uint32_t books_max, books_next;
};

#endif
