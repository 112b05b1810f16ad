#ifndef MD_TEST_PROOF_TREE_H
#define MD_TEST_PROOF_TREE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proof/verify.h"
#include "store/store.h"

/* A data folder in memory, made by the real store from events of our own, and what verify finds in
 * it. One symbol, "AB", of one venue; each event is 100 ms and one local_seq after the one before.
 */

#define TREE_START_NS 1795424400000000000LL /* 2026-11-23T09:00:00Z */
#define TREE_MS 1000000LL

extern enum file_format tree_format; /* of the files of trees opened from now on; Parquet */

struct tree {
    struct mdio io;
    struct store *store;
    enum venue_id venue;
    struct str symbol;
    const char *recorder;
    uint64_t seq;
    int64_t now_ns;
};

void tree_open(struct tree *tree, enum venue_id venue, const char *recorder);
/* Seals everything; more may be opened on the same folder. */
void tree_seal(struct tree *tree);
void tree_reopen(struct tree *tree, const char *recorder);
void tree_close(struct tree *tree);
/* The next event is so much later. */
void tree_wait(struct tree *tree, int64_t ms);

void tree_trade(struct tree *tree, int64_t id, int32_t flags);
/* One level "price amount" a side; amount 0 deletes; price 0: no level. */
void tree_delta(struct tree *tree, int64_t first, int64_t last, int64_t previous, int bid_price,
                int bid_amount);
/* A whole book of two levels a side round `price`; `with_next`: of the record that makes the next
 * event. */
void tree_book(struct tree *tree, int64_t id, int price, bool with_next);
/* A 24 h ticker whose last price is `price`; the venue's time is the price in seconds after start.
 */
void tree_ticker(struct tree *tree, int price);
/* A gap row of the stream that starts at the last message of `back` events ago and ends now. */
void tree_gap(struct tree *tree, enum channel channel, enum gap_kind kind, int64_t from, int64_t to,
              enum gap_resolved resolved, int64_t back_events);

/* Runs verify: its findings as "name name ..." in the order found, and their texts. */
struct found {
    char names[1000];
    char texts[8000];
    struct verify_report report;
};
void tree_verify(struct tree *tree, struct found *found);
void tree_verify_with(struct tree *tree, const struct catalog_options *options,
                      struct found *found);
void found_free(struct found *found);
/* The report's row of that channel; fails the test when there is none. */
const struct verify_stream *found_stream(const struct found *found, enum channel channel);

/* The rows of a channel as words: a trade's id, a delta's ids 5-7, a book's [7], a ticker's price,
 * each with "b" behind it when conn_id is negative. */
void tree_rows(struct mdio *io, enum channel channel, char *out, size_t out_bytes);
/* The whole text of a file; to be freed. */
char *tree_read(struct tree *tree, const char *path, size_t *bytes);
void tree_write(struct tree *tree, const char *path, const char *text, size_t bytes);
/* The path of the `index`th file of a channel, by manifest order. */
void tree_path(struct tree *tree, enum channel channel, uint32_t index, char out[1024]);

#endif
