#ifndef MD_PROOF_PROOF_H
#define MD_PROOF_PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "exchange/event.h"

/* What can be said of recorded files from the files alone: `verify`, `book` and `merge` stand on
 * this folder. What is found wrong is a finding, told through a callback as it is found. */

/* kind, name in JSON and in the report */
#define FINDING_LIST(X)                                                                      \
    X(FINDING_MANIFEST_LINE, "manifest_line") /* damaged or edited: its checksum is wrong */ \
    X(FINDING_FILE_MISSING, "file_missing")   /* a line names it, and it is not there */     \
    X(FINDING_FILE_UNNAMED, "file_unnamed")   /* it is there, and no line names it */        \
    X(FINDING_FILE_DAMAGED, "file_damaged")   /* cannot be read, or not as it was written */ \
    X(FINDING_FILE_DIFFERS, "file_differs")   /* readable, but not what its line says */     \
    X(FINDING_FILES_OVERLAP, "files_overlap") /* a file begins before the last one ends */   \
    X(FINDING_ROW_ORDER, "row_order")         /* time or local_seq go back */                \
    X(FINDING_ROW_STRANGE, "row_strange")     /* a row that does not belong where it is */   \
    X(FINDING_IDS_MISSING, "ids_missing")     /* ids are missing and no gap row says so */   \
    X(FINDING_IDS_TWICE, "ids_twice")                                                        \
    X(FINDING_IDS_BACK, "ids_back")                                                          \
    X(FINDING_GAP_UNSEEN, "gap_unseen")     /* a gap row, but the ids are all there */       \
    X(FINDING_GAP_UNFILLED, "gap_unfilled") /* said to be backfilled, and ids are missing */ \
    X(FINDING_BOOK_ROWS, "book_rows")       /* levels that no book has */                    \
    X(FINDING_BOOK_DIFFERS, "book_differs") /* a file's opening book is not the one before */

enum finding_kind {
#define X(kind, name) kind,
    FINDING_LIST(X)
#undef X
        FINDING_COUNT
};
const char *finding_name(enum finding_kind kind);

struct finding {
    enum finding_kind kind;
    enum venue_id venue;
    int channel;       /* enum channel; -1: not known */
    struct str symbol; /* bytes = 0: all, or not known */
    struct str path;   /* of the file or manifest, below the root; bytes = 0: none */
    char text[400];    /* what is wrong, in words; printable */
};
typedef void (*finding_sink)(void *context, const struct finding *finding);

/* Does every connection of the venue begin its depth streams with a book? Then a book row that is
 * ahead of the deltas before it says that they were lost; elsewhere it may have come by REST. */
struct venue;
bool proof_always_seeds(const struct venue *venue);

/* ---- memory of the offline commands: it grows with what is found, in pieces from alloc_take(). */

/* Makes room for one more of `count` items; `capacity` doubles. MD_ENOMEM: unchanged. */
int proof_grow(void **items, size_t *capacity, size_t count, size_t item_bytes);

/* Texts that stay until the end. */
struct texts {
    struct texts_piece *last;
};
int texts_keep(struct texts *texts, struct str text, struct str *kept); /* MD_ENOMEM */
void texts_deinit(struct texts *texts);

/* A file held against its manifest line: 1 = it is there with the size and the SHA-256 that the
 * line says; 0 = it is not like that, or the disk cannot read it; MD_ENOENT: there is none. `words`
 * says what. MD_ENOMEM. */
struct mdio;
struct manifest_entry;
int proof_check_file(struct mdio *io, const struct manifest_entry *entry, char *words,
                     size_t words_bytes);

/* 2026-11-23T09:00:00.123456Z, or "-" for TIME_NONE; in a buffer of the caller. */
#define PROOF_TIME_BYTES 40
const char *proof_time(int64_t unix_us, char out[PROOF_TIME_BYTES]);

#endif
