#ifndef MD_STORE_SEAL_FILE_H
#define MD_STORE_SEAL_FILE_H

#include "store/disk_sink.h"
#include "store/row_fill.h"
#include "store/seal.h"

/* One file being written: spool -> row group -> writer -> sink. The seal thread's own. */

struct seal_file {
    const struct store_config *config;
    struct mdio *io;
    struct spool_reader reader;
    struct row_group group;
    struct file_writer *writer;
    struct disk_sink sink;
    struct row_fill fill;
    /* of the file being written */
    uint64_t rows, digits_over_15;
    int64_t first_sequence, last_sequence;
    int first_column, last_column;
};

size_t seal_file_memory_bytes(const struct seal_config *config);
int seal_file_init(struct seal_file *file, const struct seal_config *config, struct mdio *io,
                   struct spool *spool, struct err *err);
void seal_file_deinit(struct seal_file *file);
/* Writes `job`'s rows to `path` (made new; an old one of that name is deleted) and syncs it. Fills
 * `entry` but for its path and recorder. After a failure the file may be there: delete it. The
 * spool is not released. */
int seal_file_write(struct seal_file *file, const struct seal_job *job, const char *path,
                    struct manifest_entry *entry);

#endif
