#ifndef MD_STORE_COLUMNS_H
#define MD_STORE_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/decimal.h"
#include "base/err.h"
#include "base/str.h"

/* One row group in memory, by column: what the seal thread fills from row blocks and what the file
 * writers (parquet, jsonl, csv) encode. Knows nothing of markets. */

enum column_type {
    COLUMN_I64,  /* INT64 */
    COLUMN_I32,  /* INT32 */
    COLUMN_TIME, /* INT64 TIMESTAMP(MICROS, UTC); the value is microseconds */
    COLUMN_F64,  /* DOUBLE; kept as exact decimal until the file encoder */
    COLUMN_BOOL,
    COLUMN_TEXT, /* UTF-8 */
    COLUMN_DEC,  /* DECIMAL(38,18); always nullable: a value that does not fit is null */
};

struct column_spec {
    const char *name;
    enum column_type type;
    bool nullable;
};

struct schema {
    const char *name; /* channel name: "trades" */
    uint32_t version;
    uint32_t column_count;
    const struct column_spec *columns;
    uint32_t depth_levels; /* book_snapshot_N: N, else 0 */
};

/* Index of the column of that name; -1 = none. */
int schema_column(const struct schema *schema, const char *name);
/* Of a DEC column "price_decimal": the index of "price", which stands before it. */
#define COLUMN_DEC_SUFFIX "_decimal"
uint32_t schema_decimal_of(const struct schema *schema, uint32_t column);

/* The largest schema is book_snapshot_50: 4 + 1 + 200 + 2 columns. */
#define COLUMNS_MAX 208

/* One value of a row. Which member counts is the column's type; `null` over all. */
struct cell {
    bool null;
    union {
        int64_t i64;        /* I64, I32, TIME, BOOL (0/1) */
        struct decimal dec; /* F64, DEC */
        struct str text;    /* TEXT, borrowed */
    };
};

/* One text takes at most this many bytes; row_group_append() refuses a longer one. */
#define COLUMN_TEXT_BYTES_MAX 4096

/* Rows are appended in the order of these columns, where a schema has both; the Parquet writer
 * looks and then says so in the footer (sorting_columns). */
#define COLUMN_ORDER_FIRST "local_timestamp"
#define COLUMN_ORDER_SECOND "local_seq"

/* A DEC value: so many units of 10^-COLUMN_DEC_SCALE. */
__extension__ typedef __int128 column_dec;
#define COLUMN_DEC_SCALE 18
#define COLUMN_DEC_DIGITS 38
/* Exactly, or false: finer than the scale, or more digits than there are. */
bool column_dec_from(struct decimal value, column_dec *out);
/* Plain notation without trailing zeros. Returns the bytes, at most COLUMN_DEC_TEXT_MAX. */
#define COLUMN_DEC_TEXT_MAX 40
size_t column_dec_format(column_dec value, char *out);

/* Arrays are indexed by row; the entry of a null row is 0. */
struct column {
    uint8_t *valid; /* one byte a row, 1 = set; NULL for a column that is not nullable */
    union {
        int64_t *i64;         /* I64, I32, TIME */
        double *f64;          /* F64, as converted */
        column_dec *dec;      /* DEC */
        uint8_t *boolean;     /* BOOL */
        uint32_t *text_index; /* TEXT: index into text_values */
    };
    /* TEXT: distinct values of this group, in order of first appearance. */
    struct str *text_values;
    uint32_t text_count;
    /* columns.c only: the table of distinct texts (index + 1, 0 = free), and each one's slot */
    uint32_t *text_slots, *text_slot_of;
    uint32_t text_slot_mask;
};

struct row_group {
    const struct schema *schema;
    uint32_t row_count, row_capacity;
    struct column columns[COLUMNS_MAX];
    /* the text pool and distinct tables of all TEXT columns */
    char *text_bytes;
    size_t text_used, text_capacity;
    uint32_t text_values_max; /* per column */
    uint64_t digits_over_15;  /* F64 values with more than 15 significant digits so far */
    uint64_t texts_repaired;  /* texts that were not UTF-8: each wrong byte became U+FFFD; so far */
    /* columns.c only */
    uint32_t rows_max, columns_max, text_values_limit, columns_laid_out;
    void *memory;
};

/* Text columns that may hold `text_values_max` distinct texts each; a schema with more of them
 * shares the same room. */
#define ROW_GROUP_TEXT_COLUMNS 4

/* Bytes row_group_init() takes from ALLOC_SEAL: room for `rows_max` rows of `columns_max` columns
 * of 8 bytes. A wider schema (book_snapshot_50) gets fewer rows in the same room. `text_bytes` is
 * the pool of all texts of a group, at least COLUMN_TEXT_BYTES_MAX * 3 a text column. */
size_t row_group_memory_bytes(uint32_t rows_max, uint32_t columns_max, uint32_t text_values_max,
                              size_t text_bytes);
int row_group_init(struct row_group *group, uint32_t rows_max, uint32_t columns_max,
                   uint32_t text_values_max, size_t text_bytes);
void row_group_deinit(struct row_group *group);
/* Empties it and lays the columns out for `schema` (row capacity shrinks when columns are more than
 * columns_max, and is never beyond rows_max). The counters "so far" stay. */
void row_group_reset(struct row_group *group, const struct schema *schema);
/* Appends one row of schema->column_count cells. MD_EFULL when a row, a text or a distinct value
 * does not fit any more: nothing was appended, write the group out and reset (an empty group takes
 * any row). MD_ETOOBIG when a text is longer than COLUMN_TEXT_BYTES_MAX: nothing was appended, and
 * never will be. A null in a column that is not nullable is an assertion failure. */
int row_group_append(struct row_group *group, const struct cell *cells);
/* For readers that fill a group by column: the index of `text` in the column's distinct values,
 * added if it is new. Codes as above. */
int row_group_text(struct row_group *group, uint32_t column, struct str text, uint32_t *index);
/* Appends rows [first, first + count) of `from`, a group with the same columns and no text longer
 * than COLUMN_TEXT_BYTES_MAX, as far as they fit. Returns how many were appended; fewer than
 * `count`: write the group out, reset it and go on (an empty group takes one row at least). */
uint32_t row_group_append_rows(struct row_group *group, const struct row_group *from,
                               uint32_t first, uint32_t count);

static inline bool row_group_is_null(const struct row_group *group, int column, uint32_t row)
{
    const uint8_t *valid = group->columns[column].valid;
    return valid != NULL && valid[row] == 0;
}

/* Of a TEXT column, not null. */
static inline struct str row_group_text_at(const struct row_group *group, int column, uint32_t row)
{
    const struct column *texts = &group->columns[column];
    return texts->text_values[texts->text_index[row]];
}

/* ---- File writers: one interface, three formats. The sink is written in order, front to back. */
struct file_sink {
    /* 0 or a negative code, which the writer hands up. */
    int (*write)(void *context, const void *data, size_t bytes);
    void *context;
};

struct key_value {
    const char *key;
    const char *value;
};

struct writer_options {
    int zstd_level;                /* 1-19 (gzip for csv takes min(level, 9)) */
    uint32_t page_rows;            /* parquet: about 20000 */
    uint32_t dictionary_bytes_max; /* parquet: cap of one column chunk's dictionary; 1 MiB */
    uint32_t row_group_rows_max;
    uint32_t row_groups_max; /* parquet: groups in one file (metadata memory is bounded) */
    bool csv_tardis;         /* csv: columns and names of tardis.dev's files (csv_schema.h) */
};

struct file_writer;
struct file_writer_ops {
    /* Begins a file; `kv` is written to the footer (parquet) or a first comment (csv: none). */
    int (*begin)(struct file_writer *writer, const struct schema *schema, struct file_sink sink);
    int (*write_group)(struct file_writer *writer, const struct row_group *group);
    /* Ends the file: nothing is written afterwards. `kv` entries are known only now. */
    int (*end)(struct file_writer *writer, const struct key_value *kv, uint32_t kv_count);
    uint64_t (*bytes_written)(const struct file_writer *writer);
    /* Rows given to it that have no place in the file; after end(). NULL: none. */
    uint64_t (*rows_left_out)(const struct file_writer *writer);
    /* Level of the files begun from now on, 1 .. the options'; before begin(), a file under way
     * is given up. NULL: the writer knows none. */
    void (*set_level)(struct file_writer *writer, int zstd_level);
    void (*destroy)(struct file_writer *writer);
};
struct file_writer {
    const struct file_writer_ops *ops;
};

/* Created once, used for one file after another (begin resets). Memory from ALLOC_SEAL; NULL =
 * none. Nothing is allocated after creation. */
struct file_writer *parquet_writer_create(const struct writer_options *options,
                                          uint32_t columns_max);
size_t parquet_writer_memory_bytes(const struct writer_options *options, uint32_t columns_max);
/* Row groups such a writer takes into one file of `column_count` columns before write_group() says
 * MD_EFULL: row_groups_max, or fewer when the schema is wider than columns_max (4 at least). */
uint32_t parquet_writer_groups_max(const struct writer_options *options, uint32_t columns_max,
                                   uint32_t column_count);
struct file_writer *jsonl_writer_create(const struct writer_options *options);
size_t jsonl_writer_memory_bytes(const struct writer_options *options);
struct file_writer *csv_writer_create(const struct writer_options *options);
size_t csv_writer_memory_bytes(const struct writer_options *options);

#endif
