#ifndef MD_TEST_STORE_KIT_H
#define MD_TEST_STORE_KIT_H

#include "store/store.h"
#include "store_disk.h"

/* What the store's tests share: a writer of plain text, events of our own making, and a reader of
 * all that was sealed. The text writer writes one line a row, the cells in order with '|' between
 * ("~" = null), then one line "#key=value" a footer value, "#level=N" for a level above 1; nothing
 * is compressed, so tests compare what is on disk byte by byte. */

#define KIT_HOUR 1795424400000000000LL /* 2026-11-23T09:00:00Z */
#define KIT_MS 1000000LL
#define KIT_S 1000000000LL

struct file_writer *kit_writer_create(const struct writer_options *options);
/* Settings for tests: text writer, no seal thread, recorder "rec", 64 streams. */
struct store_config kit_config(void);

/* A trade of stream `index` ("S0001") with `seq` at `unix_ns`; trade_id = seq. */
struct event kit_trade(uint32_t index, uint64_t seq, int64_t unix_ns);
/* A depth update of one bid; update ids = seq. */
struct event kit_depth(uint32_t index, uint64_t seq, int64_t unix_ns);
struct event kit_gap(uint32_t index, enum channel channel, uint64_t seq, int64_t unix_ns,
                     int64_t missing);

/* Every sealed file below the root, by path; text whole. */
struct kit_file {
    char path[1024];
    char *text;
    size_t bytes;
};
struct kit_files {
    struct kit_file *file;
    uint32_t count;
    uint32_t inprogress; /* unfinished ones seen */
};
struct kit_files kit_files_read(struct mdio *io);
void kit_files_free(struct kit_files *files);
/* NULL when no path ends so. */
const struct kit_file *kit_file_of(const struct kit_files *files, const char *ending);
uint32_t kit_rows(const struct kit_file *file);
/* local_seq of row `row`. */
uint64_t kit_row_seq(const struct kit_file *file, uint32_t row);
/* "value" of a footer line, copied to `out`; false when there is none. */
bool kit_footer(const struct kit_file *file, const char *key, char *out, size_t out_bytes);
/* True when both trees hold the same files with the same bytes. */
bool kit_files_same(const struct kit_files *a, const struct kit_files *b);

/* Opens or fails the test's process with the words of the error. */
struct store *kit_store_open(struct mdio *io, const struct store_config *config,
                             const struct store_handlers *handlers);

#endif
