#ifndef MD_STORE_PARQUET_TABLE_H
#define MD_STORE_PARQUET_TABLE_H

#include "base/mdio.h"
#include "store/parquet.h"

/* All rows of Parquet files of ours, row group by row group: what `compact` and other commands over
 * finished files read with. One reader and one row group, made once, used for file after file:
 *
 *     struct parquet_table table;
 *     struct file_source_handle file;
 *     code = parquet_table_init(&table);
 *     code = file_source_open(&file, io, path);
 *     code = parquet_table_open(&table, file.source, &err);
 *     int price = schema_column(parquet_reader_schema(table.reader), "price");
 *     for (uint32_t g = 0; g < parquet_reader_info(table.reader)->group_count; g++) {
 *         code = parquet_reader_rows(table.reader, g, &table.group, &err);
 *         for (uint32_t r = 0; r < table.group.row_count; r++) {
 *             if (!row_group_is_null(&table.group, price, r)) {
 *                 ... table.group.columns[price].f64[r] ...
 *             }
 *         }
 *     }
 *     file_source_close(&file);
 *     parquet_table_deinit(&table);
 *
 * Columns are arrays (struct column): i64[] for I64, I32 and TIME (microseconds), f64[], boolean[],
 * text through row_group_text_at(). Valid until the next parquet_reader_rows() on the group.
 *
 * Memory: grows to what the largest footer, row group and page so far take, within the limits
 * below: at the default 50,000 rows a group about 10 MiB for a trades or depth file. */

#define PARQUET_TABLE_ROWS_MAX 1000000U /* output.parquet_batch_size goes no further */
#define PARQUET_TABLE_FOOTER_BYTES_MAX ((size_t)64 << 20)
#define PARQUET_TABLE_CHUNK_BYTES_MAX ((size_t)64 << 20) /* of a column in a row group */
#define PARQUET_TABLE_TEXT_BYTES_MAX ((size_t)128 << 20) /* of all text columns in a row group */

struct parquet_table {
    struct parquet_reader *reader;
    struct row_group group;
    /* parquet_table.c only: what they were made for */
    struct parquet_limits limits;
    uint32_t rows, columns;
    size_t text_bytes;
};

/* MD_ENOMEM. Memory from ALLOC_SEAL. */
int parquet_table_init(struct parquet_table *table);
void parquet_table_deinit(struct parquet_table *table); /* a zeroed one is allowed */
/* parquet_reader_open(); MD_ENOTSUP for a file with columns our writer does not make, MD_ETOOBIG
 * for one beyond the limits above, MD_ENOMEM. The reader and the group may be new ones afterwards.
 */
int parquet_table_open(struct parquet_table *table, struct file_source source, struct err *err);

/* A file below a data root as a source. Not to be moved while it is open. */
struct file_source_handle {
    struct file_source source;
    struct mdio *io;
    int handle;
};
int file_source_open(struct file_source_handle *file, struct mdio *io, const char *path);
void file_source_close(struct file_source_handle *file);

#endif
