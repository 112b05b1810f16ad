/* A Parquet reader and a row group that fit every file the writer can make; files below a data
 * root as sources. See parquet_table.h. */
#include "store/parquet_table.h"

#include "base/alloc.h"

#define FOOTER_BYTES_FIRST ((size_t)256 << 10)
#define PAGE_BYTES_FIRST ((size_t)256 << 10)
#define ROWS_FIRST 4096U
#define COLUMNS_FIRST 16U
#define TEXT_BYTES_FIRST ((size_t)256 << 10)

/* ---- growing */

static size_t grown(size_t have, size_t needed)
{
    while (have < needed) {
        have *= 2;
    }
    return have;
}

static int reader_make(struct parquet_table *table, size_t footer_bytes, size_t page_bytes)
{
    if (table->reader != NULL && footer_bytes <= table->limits.footer_bytes_max &&
        page_bytes <= table->limits.page_bytes_max) {
        return 0;
    }
    parquet_reader_destroy(table->reader);
    table->limits.footer_bytes_max = grown(table->limits.footer_bytes_max, footer_bytes);
    table->limits.page_bytes_max = grown(table->limits.page_bytes_max, page_bytes);
    table->reader = parquet_reader_create(&table->limits);
    return table->reader != NULL ? 0 : MD_ENOMEM;
}

static int group_make(struct parquet_table *table, uint32_t rows, uint32_t columns,
                      size_t text_bytes)
{
    if (table->group.memory != NULL && rows <= table->rows && columns <= table->columns &&
        text_bytes <= table->text_bytes) {
        return 0;
    }
    row_group_deinit(&table->group);
    table->rows = (uint32_t)grown(table->rows, rows);
    table->columns = columns > table->columns ? columns : table->columns;
    table->text_bytes = grown(table->text_bytes, text_bytes);
    return row_group_init(&table->group, table->rows, table->columns, table->rows,
                          table->text_bytes);
}

int parquet_table_init(struct parquet_table *table)
{
    *table = (struct parquet_table){.limits = {.footer_bytes_max = FOOTER_BYTES_FIRST,
                                               .columns_max = COLUMNS_MAX,
                                               .row_groups_max = 65536,
                                               .page_bytes_max = PAGE_BYTES_FIRST},
                                    .rows = ROWS_FIRST,
                                    .columns = COLUMNS_FIRST,
                                    .text_bytes = TEXT_BYTES_FIRST};
    int code = reader_make(table, 0, 0);
    code = code != 0 ? code : group_make(table, 0, 0, 0);
    if (code != 0) {
        parquet_table_deinit(table);
    }
    return code;
}

void parquet_table_deinit(struct parquet_table *table)
{
    row_group_deinit(&table->group);
    parquet_reader_destroy(table->reader);
    *table = (struct parquet_table){0};
}

/* ---- opening */

/* What a file's row groups take; bounds from its footer, which is checked but not believed: what a
 * row group then holds is checked against the group's room. */
struct needs {
    int64_t rows, chunk_bytes, text_bytes;
};

static struct needs needs_of(const struct parquet_reader *reader, struct parquet_group *group)
{
    const struct parquet_info *info = parquet_reader_info(reader);
    struct needs needs = {0, 0, 0};
    for (uint32_t g = 0; g < info->group_count; g++) {
        parquet_reader_group(reader, g, group);
        int64_t texts = 0;
        needs.rows = group->row_count > needs.rows ? group->row_count : needs.rows;
        for (uint32_t c = 0; c < group->column_count; c++) {
            const struct parquet_column_chunk *chunk = &group->columns[c];
            int64_t bytes = chunk->uncompressed_bytes > chunk->compressed_bytes
                                ? chunk->uncompressed_bytes
                                : chunk->compressed_bytes;
            bytes = bytes < INT32_MAX ? bytes : INT32_MAX; /* beyond the limit already */
            needs.chunk_bytes = bytes > needs.chunk_bytes ? bytes : needs.chunk_bytes;
            texts += chunk->type == PARQUET_BYTE_ARRAY ? bytes : 0;
        }
        needs.text_bytes = texts > needs.text_bytes ? texts : needs.text_bytes;
    }
    return needs;
}

/* Room for a text of any length behind those that are there. */
static size_t text_room(int64_t text_bytes)
{
    return (size_t)text_bytes + (size_t)4 * 3 * COLUMN_TEXT_BYTES_MAX;
}

static size_t footer_bytes(struct file_source source)
{
    uint8_t tail[8];
    if (source.bytes_total < sizeof tail ||
        source.read(source.context, source.bytes_total - sizeof tail, tail, sizeof tail) != 0) {
        return 0; /* the reader finds the words for it */
    }
    size_t bytes = load_u32(tail);
    return bytes < PARQUET_TABLE_FOOTER_BYTES_MAX ? bytes : 0;
}

int parquet_table_open(struct parquet_table *table, struct file_source source, struct err *err)
{
    if (reader_make(table, footer_bytes(source), 0) != 0) {
        return err_set(err, MD_ENOMEM, "parquet: no memory for the footer");
    }
    int code = parquet_reader_open(table->reader, source, err);
    if (code == 0 && parquet_reader_schema(table->reader) == NULL) {
        code = err_set(err, MD_ENOTSUP, "parquet: columns of a kind our writer does not make");
    }
    if (code != 0) {
        return code;
    }
    struct parquet_group *scratch = alloc_take(ALLOC_SEAL, sizeof *scratch);
    if (scratch == NULL) {
        return err_set(err, MD_ENOMEM, "parquet: no memory");
    }
    struct needs needs = needs_of(table->reader, scratch);
    alloc_give(scratch);
    if (needs.rows > PARQUET_TABLE_ROWS_MAX ||
        needs.chunk_bytes > (int64_t)PARQUET_TABLE_CHUNK_BYTES_MAX ||
        needs.text_bytes > (int64_t)PARQUET_TABLE_TEXT_BYTES_MAX) {
        return err_set(err, MD_ETOOBIG,
                       "parquet: a row group of %lld rows, %lld bytes in a column, %lld of texts",
                       (long long)needs.rows, (long long)needs.chunk_bytes,
                       (long long)needs.text_bytes);
    }
    const struct parquet_reader *before = table->reader;
    uint32_t columns = parquet_reader_info(table->reader)->column_count;
    code = group_make(table, (uint32_t)needs.rows, columns, text_room(needs.text_bytes));
    code = code != 0 ? code : reader_make(table, 0, (size_t)needs.chunk_bytes);
    if (code != 0) {
        return err_set(err, code, "parquet: no memory for a row group of %lld rows",
                       (long long)needs.rows);
    }
    return table->reader == before ? 0 : parquet_reader_open(table->reader, source, err);
}

/* ---- files */

static int handle_read(void *context, uint64_t offset, void *data, size_t bytes)
{
    const struct file_source_handle *file = context;
    return mdio_read_all(file->io, file->handle, data, bytes, (int64_t)offset);
}

int file_source_open(struct file_source_handle *file, struct mdio *io, const char *path)
{
    *file = (struct file_source_handle){.io = io, .handle = mdio_open(io, path, MDIO_READ)};
    if (file->handle < 0) {
        return file->handle;
    }
    int64_t bytes = mdio_size(io, file->handle);
    if (bytes < 0) {
        file_source_close(file);
        return (int)bytes;
    }
    file->source = (struct file_source){handle_read, file, (uint64_t)bytes};
    return 0;
}

void file_source_close(struct file_source_handle *file)
{
    if (file->handle >= 0) {
        mdio_close(file->io, file->handle);
        file->handle = -1;
    }
}
