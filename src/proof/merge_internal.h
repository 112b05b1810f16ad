#ifndef MD_PROOF_MERGE_INTERNAL_H
#define MD_PROOF_MERGE_INTERNAL_H

/* What the files of merge share; nobody else includes it. */

#include "exchange/exchange.h"
#include "normalise/book.h"
#include "proof/gap_table.h"
#include "proof/holes.h"
#include "proof/merge.h"

#define MERGE_RESTART_DISTANCE 1000000u /* as in normalise */
#define MERGE_STALE_US                                                         \
    (60 * 1000000LL) /* ids ahead at a time so long ago are another sequence's \
                      */

enum { SIDE_A, SIDE_B, SIDES };

struct merge_side {
    struct catalog catalog;
    struct gap_table gaps;
    int64_t first_us[VENUE_ID_END], last_us[VENUE_ID_END]; /* of an exchange's rows: it recorded */
};

/* The messages of a stream in one folder, one after another. */
struct cursor {
    const struct merge_side *side;
    struct rows *rows;
    uint32_t next_file, end_file;
    int aggregate; /* 0 or 1: trades of that sort alone; -1: all */
    bool open, have;
    struct event event; /* when `have` */
    int64_t us;         /* its receive time */
};

/* A gap row to be written at the end. */
struct merge_gap {
    struct str symbol;
    struct gap_event gap;
    int64_t told_us;
};

struct merge {
    struct merge_side sides[SIDES];
    struct store *store;
    struct store_config config;
    struct rows *rows[SIDES][2]; /* plain and aggregated trades are read apart */
    struct merge_report *report;
    struct err *err;
    struct book_pool *pool;
    struct book *book;
    struct level *levels; /* scratch: both sides */

    /* the stream at hand */
    enum venue_id venue;
    enum channel channel;
    struct str symbol;
    const struct venue *rules;
    enum continuity rule;
    uint32_t outside;                  /* its number for the store */
    uint32_t begin[SIDES], end[SIDES]; /* its files */
    uint64_t last_seq;
    int64_t last_us;
    int64_t book_id; /* depth: of `book` while it stands */
    bool book_stands;
    struct merge_gap *gaps; /* of the exchange */
    size_t gap_count, gap_capacity;
    struct texts texts;
};

/* merge_cursor.c */
int cursor_begin(struct merge *merge, struct cursor *cursor, int side, int aggregate);
/* 0 or a code; `have` says whether there is one. */
int cursor_next(struct merge *merge, struct cursor *cursor);

/* merge.c: lands the event, received at `us` or, if that is before the last one, then. */
void merge_land(struct merge *merge, const struct event *event, int side, int64_t us);
/* The time of B's message between A's: not before the last landed, not behind A's next. */
int64_t merge_time(const struct merge *merge, const struct cursor *cursor, int side,
                   const struct cursor *a);

/* One stream each. */
int merge_trades(struct merge *merge);      /* merge_ids.c */
int merge_book_ticker(struct merge *merge); /* merge_ids.c */
int merge_depth(struct merge *merge);       /* merge_depth.c */
int merge_by_time(struct merge *merge);     /* merge_time.c */

/* merge_gaps.c */
/* Ids (or, with ID_NONE, messages) that both missed. */
int merge_gap_found(struct merge *merge, int64_t from, int64_t to, int64_t start_us, int64_t end_us,
                    enum gap_resolved resolved);
/* Gap rows without ids of the stream at hand that the other folder does not fill. */
int merge_gaps_by_time(struct merge *merge, bool with_ids);
/* Does this folder lack something of the stream in that time: by gap rows of it, its channel or
 * all; because it did not record the exchange then; or has nothing of the stream at all? */
bool merge_missed(const struct merge *merge, int side, int64_t start_us, int64_t end_us);
int merge_gaps_of_all(struct merge *merge, enum venue_id venue);
void merge_gaps_write(struct merge *merge, enum venue_id venue, uint32_t outside);

#endif
