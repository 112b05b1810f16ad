#ifndef MD_PROOF_BOOK_AT_H
#define MD_PROOF_BOOK_AT_H

#include "normalise/book.h"
#include "proof/catalog.h"

/* An order book at a moment, from files: the last book row at or before it, then every delta up to
 * it, over file ends. Memory: the catalog's and rows.h's, one book. */

struct book_at {
    struct book_pool *pool;
    struct book *book;
    enum venue_id venue;
    int64_t update_id; /* of the last message in it; ID_NONE: the venue tells none */
    int64_t local_us;  /* receive time of that message */
    int64_t event_us;  /* the venue's time of it; TIME_NONE */
    int64_t since_us;  /* receive time of the book row it stands on */
    int64_t broken_us; /* when ids were passed over behind that row; TIME_NONE: never */
    uint32_t files;    /* read for it */
    uint64_t deltas;
};

/* Rebuilds it. `venue` may be VENUE_NONE when only one exchange has the symbol. MD_ENOENT: no such
 * symbol, or no book at or before `at_us`; MD_EINVAL: several exchanges have the symbol; what a
 * damaged file gives. `err` says which. On success the caller ends it with book_at_deinit(). */
int book_at_rebuild(struct book_at *out, struct mdio *io, enum venue_id venue, struct str symbol,
                    int64_t at_us, struct err *err);
void book_at_deinit(struct book_at *at);

#endif
