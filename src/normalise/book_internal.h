#ifndef MD_NORMALISE_BOOK_INTERNAL_H
#define MD_NORMALISE_BOOK_INTERNAL_H

/* What book.c, the pending deltas (which borrow nodes) and the checkpoint share. */

#include "base/pool.h"
#include "normalise/book.h"

#define NODE_ENTRIES 30
#define NODE_MERGE 24 /* neighbours that together hold no more become one */

/* A sorted run. In a leaf an entry is a level: its key and its amount. In an inner node it is a
 * leaf: that leaf's worst key, and the leaf. Keys fall strictly: bids keep their price's mantissa,
 * asks its negative, so that the best comes first on both sides. */
struct book_node {
    struct book_node *next, *previous; /* inner nodes only: a list, best first */
    int64_t worst;                     /* keys[count - 1]: a walk reads one cache line a node */
    uint32_t count;                    /* 1 .. NODE_ENTRIES in a book */
    uint32_t unused;
    int64_t keys[NODE_ENTRIES];
    union {
        int64_t amounts[NODE_ENTRIES]; /* mantissas; above 0 */
        struct book_node *leaves[NODE_ENTRIES];
    };
};
_Static_assert(sizeof(struct book_node) == 512, "a node is half a kilobyte");

struct book {
    struct book_pool *pool;
    bool used, scaled, truncated;
    int8_t price_exponent, amount_exponent;
    struct book_node *first[2], *last[2]; /* inner nodes; NULL: the side is empty */
    uint32_t counts[2];
};

struct book_pool {
    struct pool nodes;
    struct book *books;
    uint32_t books_max, books_used;
};

/* All leaves of a side in order; `first`: the first of its inner node. */
void book_leaves(const struct book *book, enum book_side side,
                 void (*on_leaf)(void *context, const struct book_node *leaf, bool first),
                 void *context);
/* Restoring a book: one leaf behind the others of the side. MD_ECORRUPT: no sorted run of at most
 * NODE_ENTRIES levels that are worse than those before. MD_EFULL: no node left. */
int book_leaf_append(struct book *book, enum book_side side, bool first, const int64_t *keys,
                     const int64_t *amounts, uint32_t count);

#endif
