#ifndef MD_STORE_COMPACT_INTERNAL_H
#define MD_STORE_COMPACT_INTERNAL_H

#include "store/compact.h"
#include "store/disk_sink.h"
#include "store/manifest.h"
#include "store/parquet_table.h"
#include "store/store.h"
#include "store/text_stream.h"
#include "store/values_hash.h"

/* Inside of compact: days and units (compact.c), one merged file (compact_merge.c), and the rows of
 * the formats (compact_parquet.c, compact_text.c). Nobody else includes this. */

/* One input, or a merged file that is to be merged again. */
struct compact_file {
    struct manifest_entry entry; /* texts in the list's memory */
    enum file_format format;
};

/* What was read or written, in order. */
struct compact_values {
    uint64_t rows, hash;
};

struct compact_text; /* compact_text.c */
struct compact_work {
    const struct compact_config *config;
    struct compact_stats *stats;
    struct mdio *io;
    struct manifest manifest;
    struct disk_sink sink;
    char *line; /* MANIFEST_COMPACT_LINE_MAX */
    char *replaces;
    char folder[MANIFEST_PATH_MAX], path[MANIFEST_PATH_MAX], inprogress[MANIFEST_PATH_MAX + 32];

    /* compact_parquet.c */
    struct parquet_table table;
    struct row_group out;
    struct schema schema; /* of the merged file: a copy, it outlives the reader's */
    struct column_spec specs[COLUMNS_MAX];
    char *names;
    struct values_hash hash;
    uint32_t input_groups;

    /* compact_text.c, by format; made when first needed */
    struct compact_text *text[FORMAT_COUNT];
};

/* Rows of one format. `err` says which file; codes of the world's mistakes (MD_ECORRUPT, MD_EPARSE,
 * MD_ENOTSUP, MD_ETOOBIG, MD_ENOENT) refuse this merge, others end the run. */
struct compact_format {
    /* How many of the first files have the same columns as the first, at least 1. */
    int (*alike)(struct compact_work *work, const struct compact_file *files, uint32_t count,
                 uint32_t *alike, struct err *err);
    /* Writes all rows to the open sink; entry is complete but for bytes and sha256. */
    int (*write)(struct compact_work *work, const struct compact_file *files, uint32_t count,
                 const struct manifest_entry *entry, struct compact_values *values,
                 struct err *err);
    /* Reads the merged file back. */
    int (*read)(struct compact_work *work, const char *path, enum file_format format,
                struct compact_values *values, struct err *err);
};
extern const struct compact_format compact_format_parquet, compact_format_text;

static inline const struct compact_format *compact_format_of(enum file_format format)
{
    return format == FORMAT_PARQUET ? &compact_format_parquet : &compact_format_text;
}

size_t compact_parquet_memory_bytes(const struct compact_config *config);
int compact_parquet_init(struct compact_work *work);
void compact_parquet_deinit(struct compact_work *work);
size_t compact_text_memory_bytes(const struct compact_config *config);
void compact_text_deinit(struct compact_work *work);

/* Merges the files, 2 at least, of one stream, in order; fills *made (texts in `work`, until the
 * next call). 0; a refusal (see above); or another code. */
int compact_merge_files(struct compact_work *work, int64_t day, const struct compact_file *files,
                        uint32_t count, struct manifest_entry *made, struct err *err);
/* Plans where the merged file goes: work->folder, work->path, work->inprogress. */
int compact_plan_path(struct compact_work *work, int64_t day, const struct compact_file *first,
                      struct err *err);
/* What is left to do after the line of a merged file was written: rename, delete. 1 = something
 * was, 0 = it was finished. */
int compact_finish(struct compact_work *work, const struct manifest_entry *made, struct err *err);
/* Is the code one that refuses a merge, and does not end the run? */
bool compact_is_refusal(int code);

#endif
