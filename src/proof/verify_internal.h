#ifndef MD_PROOF_VERIFY_INTERNAL_H
#define MD_PROOF_VERIFY_INTERNAL_H

/* What the files of verify share; nobody else includes it. */

#include "normalise/book.h"
#include "proof/gap_table.h"
#include "proof/holes.h"
#include "proof/verify.h"

#define TOLD_MAX 20 /* findings of a kind that a stream tells one by one; the rest is counted */
/* As in normalise: ids this far back are a new sequence of the venue, not a duplicate. */
#define RESTART_DISTANCE 1000000u

/* One run of ids: plain trades, aggregated trades, or depth. */
struct id_check {
    int64_t first_id, last_id; /* ID_NONE: none yet */
    int64_t last_us;
    bool excused;         /* a file before could not be read: what is missing now is its rows */
    struct holes skipped; /* what the stream passed over */
    struct holes missing; /* ... and nothing brought later */
};

struct depth_check {
    struct book_pool *pool;
    struct book *book;
    struct level *levels; /* scratch: one side */
    bool book_stands;     /* `book` is what the rows so far make */
    int64_t snapshot_id;  /* of a book row that the stream has not come up to; ID_NONE */
    int64_t snapshot_us;
    uint64_t snapshot_seq;
    bool snapshot_alone; /* no delta of the same record stands behind it */
};

struct span {
    int64_t start_us, end_us;
};

struct verifier {
    struct mdio *io;
    const struct catalog_options *options;
    struct catalog catalog;
    struct gap_table gaps;
    struct rows *rows;
    struct verify_report *report;
    finding_sink on_finding;
    void *context;

    /* the stream at hand */
    struct verify_stream stream;
    const struct venue *venue;
    const struct catalog_file *file, *file_before; /* NULL: none yet */
    uint32_t told[FINDING_COUNT];
    bool unordered; /* its files overlap: ids cannot be followed */
    struct id_check ids[2];
    struct depth_check depth;
    struct holes breaks; /* where ids do not count up or began anew: by number, from 0 */
    struct span *spans;  /* times in which something is missing */
    size_t span_count, span_capacity;
    int64_t rows_from_us; /* of the stream's first row; TIME_NONE */
    int64_t last_us;      /* of the row before; TIME_NONE */
    uint64_t last_seq;
    uint64_t file_rows;
    int64_t file_first_us, file_first_sequence, file_last_sequence;
    uint64_t file_first_seq;
};

enum { IDS_MAIN, IDS_AGGREGATE };

/* Tells (and counts) a finding about the stream at hand; `file`: it is about that file. */
void verify_tell(struct verifier *verifier, enum finding_kind kind, bool file, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

/* verify_file.c: one file and all its rows. A code is a failing disk or no memory. */
int verify_file(struct verifier *verifier);

/* verify_rows.c */
int verify_event(struct verifier *verifier, const struct event *event);
/* No more rows of the stream, or its ids begin anew: what is open is decided. */
int verify_ids_end(struct verifier *verifier);

/* verify_gaps.c: holes against gap rows, and the other way round; the time that is covered. */
int verify_match_ids(struct verifier *verifier);
int verify_match_stream(struct verifier *verifier);

#endif
