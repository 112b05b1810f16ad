#ifndef MD_STORE_PARQUET_FOOTER_H
#define MD_STORE_PARQUET_FOOTER_H

#include <stdint.h>

#include "store/columns.h"
#include "store/parquet_chunk.h"

/* What stands in a Parquet file beside the values: page headers, page indexes and the footer, from
 * the writer's tables of pages, chunks and groups. */

struct parquet_page_meta {
    uint64_t offset;    /* in the file */
    uint32_t bytes;     /* with its header */
    uint32_t first_row; /* in the group */
    struct parquet_stats stats;
};

struct parquet_chunk_meta {
    uint32_t first_page, page_count; /* data pages, in the table of pages */
    enum parquet_encoding encoding;
    uint64_t dictionary_offset;                    /* 0 = none */
    uint64_t uncompressed_bytes, compressed_bytes; /* all pages with their headers */
    struct parquet_stats stats;
    /* set while the footer is written; length 0 = none */
    uint64_t column_index_offset, offset_index_offset;
    uint32_t column_index_bytes, offset_index_bytes;
};

struct parquet_group_meta {
    uint64_t offset;
    uint32_t row_count;
    bool in_order; /* by COLUMN_ORDER_FIRST, then COLUMN_ORDER_SECOND */
};

#define PARQUET_PAGE_HEADER_BYTES_MAX 96
/* The header of a data page (is_dictionary: of a dictionary page), before its compressed bytes.
 * Returns its length. */
size_t parquet_page_header(uint8_t out[PARQUET_PAGE_HEADER_BYTES_MAX], bool is_dictionary,
                           enum parquet_encoding encoding, uint32_t value_count,
                           uint32_t uncompressed_bytes, uint32_t compressed_bytes, uint32_t crc);

/* Bytes one page takes at most in the longer of the two indexes of its chunk. */
#define PARQUET_INDEX_BYTES_A_PAGE 96

struct parquet_footer {
    const struct schema *schema;
    const struct parquet_group_meta *groups;
    struct parquet_chunk_meta *chunks; /* group by group, column_count each */
    const struct parquet_page_meta *pages;
    uint32_t group_count;
    uint64_t row_count;
    const struct key_value *kv;
    uint32_t kv_count;
    /* scratch for one index or one chunk's metadata */
    uint8_t *buffer;
    size_t buffer_bytes;
    /* where it goes, and the offset in the file where it begins */
    struct file_sink sink;
    uint64_t offset;
};

/* Writes the page indexes, the footer, its length and the magic. Returns 0 or what the sink said;
 * footer->offset is then the file's size. */
int parquet_footer_write(struct parquet_footer *footer);

#endif
