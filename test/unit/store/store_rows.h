#ifndef MD_TEST_STORE_ROWS_H
#define MD_TEST_STORE_ROWS_H

#include "store_kit.h"

/* local_seq of every row below the root, of files of any format, file by file in the order of
 * paths: what the tests of the real writers count rows by. */

/* Returns false when a file cannot be read to its end. */
bool store_rows_of(const struct kit_file *file, void (*on_seq)(void *context, uint64_t seq),
                   void *context);
/* Faults in all files: rows beyond `last`, rows twice, files that cannot be read; and, where
 * `wanted` is given, rows of seq 1 .. last that are missing or there for nothing. */
uint32_t store_rows_faults(struct mdio *io, uint64_t last, bool (*wanted)(uint64_t seq));

#endif
