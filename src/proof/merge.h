#ifndef MD_PROOF_MERGE_H
#define MD_PROOF_MERGE_H

#include "proof/catalog.h"
#include "store/store.h"

/* Two recorders' folders as one: A's rows as they are, and B's where A has none. Trades and book
 * tickers are joined by id, depth by whole messages along the venue's rule, all else by time: B's
 * rows within A's gaps. What both missed is a gap row. The numbering of what comes out is told in
 * docs/schema.md. A function of the two folders and the settings: the same every time.
 *
 * Memory: about 500 bytes a file and 100 a gap row of both folders, 48 a hole of the stream at
 * hand; up to four readers (parquet_table.h), one book, one store. Rows are streamed, stream by
 * stream. */

struct merge_report {
    uint64_t rows_a, rows_b; /* landed, of each */
    uint64_t missing;        /* ids in neither */
    uint64_t gaps;           /* gap rows */
    uint64_t files;
    uint64_t files_left_out; /* missing or damaged: their rows are taken from the other folder */
};

/* `config` says format, layout and writer; its recorder must be neither folder's. `out` holds no
 * manifest yet. MD_EINVAL: a recorder is in both folders, or named like the result; MD_EEXIST:
 * `out` is in use; MD_ENOTSUP: files that are not Parquet; `err` says which. Files left out are
 * told. */
int merge_run(struct mdio *a, struct mdio *b, struct mdio *out, const struct store_config *config,
              struct merge_report *report, finding_sink on_finding, void *context, struct err *err);

#endif
