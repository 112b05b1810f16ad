#ifndef MD_BENCH_STORE_CASE_H
#define MD_BENCH_STORE_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

/* One row of bench_store's table, and what a process of its own does for it. */

struct bench_case {
    const char *name;
    enum channel channel;
    enum file_format format;
    uint32_t partitions;
    size_t row_block_bytes;
    bool ours_alone; /* nobody to compare with */
};

/* Each prints its last line to standard output, or ends the process with words on standard error.
 * Lands `rows` rows below `root` and seals them, as `record` would: a landing and a seal thread. */
void store_ours(const struct bench_case *bench, const char *root, uint64_t rows);
/* Makes the rows and does nothing with them: what store_ours() must not be charged with. */
void store_ours_nothing(const struct bench_case *bench, uint64_t rows);
/* The same rows as one Parquet file in arrival order, for those we are compared with. */
void store_source(const struct bench_case *bench, const char *path, uint64_t rows);

#endif
