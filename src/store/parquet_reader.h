#ifndef MD_STORE_PARQUET_READER_H
#define MD_STORE_PARQUET_READER_H

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "store/parquet.h"

/* Inside of the reader, shared by its three parts: footer (parquet_reader.c), rows (parquet_rows.c)
 * and print (parquet_print.c). Nobody else includes this. */

#define PARQUET_NAME_BYTES 256

struct parquet_reader {
    struct parquet_limits limits;
    struct file_source source;
    struct parquet_info info;
    uint8_t *footer;         /* footer_bytes_max */
    uint32_t *group_offsets; /* in the footer, row_groups_max */
    uint32_t kv_offset;      /* of the first key-value in the footer */
    struct parquet_column *columns;
    char *names; /* columns_max + 1 of PARQUET_NAME_BYTES, terminated; the last is the root's */
    struct parquet_group group; /* scratch */

    struct schema schema;
    struct column_spec specs[COLUMNS_MAX];
    bool has_schema;

    /* rows: each page_bytes_max */
    uint8_t *packed;      /* a page as it stands in the file, with its header */
    uint8_t *body;        /* a data page */
    uint8_t *dictionary;  /* the chunk's dictionary page */
    uint32_t *text_index; /* dictionary entry -> distinct value of the row group */
    ZSTD_DCtx *zstd;
    void *memory;
};

/* Bytes a page header takes at most here; ours take 40. */
#define PARQUET_READ_HEADER_BYTES 1024

#endif
