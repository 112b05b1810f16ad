#ifndef MD_STORE_PARQUET_H
#define MD_STORE_PARQUET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "store/columns.h"
#include "store/parquet_format.h"

/* Parquet files, read: the footer of any file (what `inspect` shows), and the rows of files of the
 * kinds our writer makes. The writer is parquet_writer_create() of columns.h. Bytes are hostile:
 * every length and count is checked, memory is bounded by the limits, nothing is allocated after
 * creation. One thread at a time. */

/* A file to read from. `read` fills exactly `bytes` at `offset`, 0 or a code; the range is within
 * `bytes_total`. */
struct file_source {
    int (*read)(void *context, uint64_t offset, void *data, size_t bytes);
    void *context;
    uint64_t bytes_total;
};
/* Over memory (borrowed), and over an open descriptor (borrowed; MD_EIO if it has no size). */
struct file_source file_source_memory(struct str *memory);
int file_source_fd(int *fd, struct file_source *source);

struct parquet_limits {
    size_t footer_bytes_max; /* of one file's footer; 16 MiB does for millions of rows */
    uint32_t columns_max;    /* leaf columns of a file, at most COLUMNS_MAX */
    uint32_t row_groups_max;
    size_t page_bytes_max; /* of one page, compressed or not; 0: no rows are read */
};

/* A leaf column, as the footer's schema says. */
struct parquet_column {
    struct str name; /* with its parents, a.b.c, cut at 255 bytes */
    enum parquet_type type;
    int32_t converted; /* enum parquet_converted, -1 = none */
    int32_t logical;   /* enum parquet_logical, 0 = none */
    enum parquet_time_unit time_unit;
    int32_t fixed_bytes;      /* of PARQUET_FIXED */
    int32_t scale, precision; /* of a decimal's converted type */
    bool utc;      /* of a timestamp: isAdjustedToUTC */
    bool nullable; /* itself or a parent is */
    bool nested;   /* has a parent other than the root, or is repeated */
};

/* A column chunk. Views into the reader, until it opens another file. */
struct parquet_column_chunk {
    enum parquet_type type;
    int32_t codec;
    uint32_t encodings;      /* bit n: encoding n is used, levels included */
    uint32_t data_encodings; /* the same of the data pages alone; 0 when the file does not say */
    int64_t value_count;
    int64_t uncompressed_bytes, compressed_bytes;
    int64_t data_page_offset, dictionary_page_offset; /* 0 = none */
    int64_t column_index_offset, offset_index_offset; /* 0 = none */
    int32_t column_index_bytes, offset_index_bytes;
    int64_t null_count; /* -1 = not said */
    bool has_min, has_max;
    struct str min, max; /* PLAIN bytes */
    bool min_exact, max_exact;
};

struct parquet_group {
    int64_t row_count;
    int64_t uncompressed_bytes, compressed_bytes; /* sums over the chunks */
    uint32_t sorting_count; /* columns the footer says the rows are sorted by */
    int32_t sorting[4];
    uint32_t column_count;
    struct parquet_column_chunk columns[COLUMNS_MAX];
};

struct parquet_info {
    int32_t version;
    int64_t row_count;
    uint32_t group_count, column_count, kv_count;
    struct str root; /* the schema's name */
    struct str created_by;
    size_t footer_bytes;
    uint64_t file_bytes;
    const struct parquet_column *columns;
};

struct parquet_reader;
size_t parquet_reader_memory_bytes(const struct parquet_limits *limits);
/* Memory from ALLOC_SEAL; NULL = none. */
struct parquet_reader *parquet_reader_create(const struct parquet_limits *limits);
void parquet_reader_destroy(struct parquet_reader *reader); /* NULL is allowed */

/* Reads and checks the footer. The source's context is borrowed until the next open. MD_EPARSE: not
 * a Parquet file; MD_ECORRUPT: damaged; MD_ETOOBIG: beyond a limit, named in `err`. */
int parquet_reader_open(struct parquet_reader *reader, struct file_source source, struct err *err);
const struct parquet_info *parquet_reader_info(const struct parquet_reader *reader);
/* Entry `index` < kv_count. */
void parquet_reader_key_value(const struct parquet_reader *reader, uint32_t index, struct str *key,
                              struct str *value);
/* Group `index` < group_count, as checked at open. */
void parquet_reader_group(const struct parquet_reader *reader, uint32_t index,
                          struct parquet_group *out);

/* The columns as a schema of ours, for parquet_reader_rows(); NULL when the file has columns our
 * writer does not make (nested, other types). Valid until the next open. */
const struct schema *parquet_reader_schema(const struct parquet_reader *reader);
/* Reads group `index` into `group` (reset to the schema above), CRCs checked. Reads the encodings
 * and codecs of our writer: PLAIN, RLE_DICTIONARY, DELTA_BINARY_PACKED, RLE levels, zstd or none,
 * data pages v1. MD_ENOTSUP: another; MD_ETOOBIG: more rows than group->row_capacity, or a page
 * above the limit; MD_ECORRUPT. */
int parquet_reader_rows(struct parquet_reader *reader, uint32_t index, struct row_group *group,
                        struct err *err);
/* All groups in order, each handed to on_group (which returns 0 to go on). */
int parquet_reader_each(struct parquet_reader *reader, struct row_group *group,
                        int (*on_group)(void *context, const struct row_group *group),
                        void *context, struct err *err);

/* Prints what the footer says, for people: file, schema, key-values, then per column bytes,
 * encodings and bounds over all groups, then the groups. Texts from the file are made printable. */
int parquet_inspect_print(struct parquet_reader *reader, struct file_sink out);
/* "PLAIN", "RLE_DICTIONARY" ...; "?" if unknown. */
const char *parquet_encoding_name(uint32_t encoding);
const char *parquet_type_name(enum parquet_type type);
const char *parquet_codec_name(int32_t codec);

#endif
