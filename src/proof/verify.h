#ifndef MD_PROOF_VERIFY_H
#define MD_PROOF_VERIFY_H

#include "exchange/exchange.h"
#include "proof/catalog.h"

/* What a data folder proves by itself. Each file is held against its manifest line (size, SHA-256,
 * footer, rows, bounds); each stream's rows against the venue's own continuity rule, over all file
 * ends; each hole against the gap rows, and each gap row with ids against the rows; each depth
 * file's opening book against the book the rows before it make.
 *
 * Memory: about 500 bytes a file and 100 a gap row of the period, 150 a stream; and for one stream
 * at a time its holes (40 bytes each), one row group, one book: about 40 MiB. Rows are streamed. */

struct verify_stream {
    enum venue_id venue;
    int channel;       /* -1: gap rows of all channels */
    struct str symbol; /* bytes = 0: rows of all symbols, gaps, instruments */
    enum continuity rule;
    uint64_t files, rows, bytes;
    int64_t first_us, last_us; /* of rows and gaps; TIME_NONE: none */
    uint64_t missing;          /* ids that are in no file; breaks where ids do not count up */
    uint64_t unexplained;      /* ... and in no gap row */
    uint64_t findings;
    uint64_t gaps[GAP_KIND_COUNT], resolved[GAP_RESOLVED_COUNT];
    int64_t open_us; /* time within [first_us, last_us] in which something is missing */
};

struct verify_report {
    struct verify_stream *streams; /* by exchange, channel, symbol */
    size_t count, capacity;
    uint64_t files, rows, bytes, findings, partial_files; /* tardis's columns: no ids */
    uint32_t manifests;
    struct texts texts; /* of the symbols */
};

/* Share of a stream's time in which nothing is missing, 0 .. 1. */
double verify_covered(const struct verify_stream *stream);

struct verifier;
struct verifier *verifier_create(struct err *err); /* NULL: no memory */
void verifier_destroy(struct verifier *verifier);  /* NULL is allowed */
/* Everything found is told to `on_finding`; the report is filled and belongs to the caller. An
 * error is a folder that is not one of ours, a failing disk or no memory, not a finding. May be
 * called again. */
int verifier_run(struct verifier *verifier, struct mdio *io, const struct catalog_options *options,
                 struct verify_report *report, finding_sink on_finding, void *context,
                 struct err *err);
void verify_report_deinit(struct verify_report *report);

#endif
