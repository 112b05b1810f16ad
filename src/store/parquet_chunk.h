#ifndef MD_STORE_PARQUET_CHUNK_H
#define MD_STORE_PARQUET_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/columns.h"
#include "store/parquet_format.h"

/* One column of one row group on its way into a file: which encoding its data calls for, the bytes
 * of its pages before compression, and their statistics. */

/* Bounds of texts are cut to this many bytes (at a character's edge). */
#define PARQUET_TEXT_BOUND_BYTES 32
/* A PLAIN text page is cut when its body passes this. */
#define PARQUET_TEXT_PAGE_BYTES ((size_t)256 * 1024)

/* A lower or upper bound of a page or a chunk. */
struct parquet_bound {
    union {
        int64_t i64; /* I64, I32, TIME, BOOL */
        double f64;
        column_dec dec;
        char text[PARQUET_TEXT_BOUND_BYTES];
    };
    uint8_t text_bytes;
    bool exact; /* false: a text cut short; still a bound */
};

struct parquet_stats {
    uint32_t null_count;
    bool has_bounds; /* min and max hold */
    bool unbounded;  /* has values that no bound covers (NaN; a text with no upper bound) */
    struct parquet_bound min, max;
};

/* Memory shared by all chunks, one at a time. `rows` is the largest group, `page_rows` the page. */
struct parquet_scratch {
    int64_t *dense;       /* rows: values without the nulls between them */
    uint32_t *indices;    /* rows: dictionary indices */
    uint64_t *dictionary; /* rows or what the cap allows: distinct 64-bit values */
    uint32_t *slots;      /* hash table of the above; for texts: page in which each was last seen */
    uint32_t *levels;     /* page_rows */
};

struct parquet_chunk {
    const struct column_spec *spec;
    uint32_t row_count, value_count;
    const uint8_t *valid; /* NULL when no row of the chunk is null */
    enum parquet_encoding encoding;
    /* values without nulls: one of these by type; indices when encoding is RLE_DICTIONARY or TEXT
     */
    const int64_t *i64;
    const double *f64;
    const column_dec *dec; /* by row, nulls included */
    const uint8_t *boolean;
    const uint32_t *indices;
    const uint64_t *dictionary;
    const struct str *texts;
    uint32_t dictionary_count;
    uint32_t index_width;
    uint32_t *text_seen; /* scratch: page number + 1 in which each text was last seen */
};

/* Bytes of the largest page body (data or dictionary) any chunk can ask for. */
size_t parquet_chunk_body_bytes_max(uint32_t page_rows, uint32_t dictionary_bytes_max);

/* Looks at the column and chooses the encoding. Borrows `group` and `scratch` until the chunk is
 * written. Deterministic in the data and the options. */
void parquet_chunk_plan(struct parquet_chunk *chunk, const struct row_group *group, uint32_t column,
                        const struct parquet_scratch *scratch, uint32_t dictionary_bytes_max);

/* One data page: rows [row, row + rows), values [value, value + values). */
struct parquet_page_span {
    uint32_t number;
    uint32_t row, rows;
    uint32_t value, values;
};
/* The page after `span` (all zero: the first one); false when there is none. */
bool parquet_chunk_next_page(const struct parquet_chunk *chunk, uint32_t page_rows,
                             struct parquet_page_span *span);
/* The body of that page: levels (when the column is nullable), then values. Returns its bytes. */
size_t parquet_chunk_page(const struct parquet_chunk *chunk, const struct parquet_page_span *span,
                          uint32_t *levels, uint8_t *body, struct parquet_stats *stats);
/* The body of the dictionary page. */
size_t parquet_chunk_dictionary_page(const struct parquet_chunk *chunk, uint8_t *body);

/* `into` becomes the statistics of both. `first`: into holds nothing yet. */
void parquet_stats_merge(struct parquet_stats *into, const struct parquet_stats *page,
                         enum column_type type, bool first);
/* -1, 0, 1. Texts by unsigned bytes, as the format's UTF8 order says. */
int parquet_bound_compare(const struct parquet_bound *a, const struct parquet_bound *b,
                          enum column_type type);

#endif
