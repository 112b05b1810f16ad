/* A Parquet reader and a row group that fit every file the writer can make; files below a data
 * root as sources. See parquet_table.h. */
#include "store/parquet_table.h"

static const struct parquet_limits limits = {.footer_bytes_max = (size_t)64 << 20,
                                             .columns_max = COLUMNS_MAX,
                                             .row_groups_max = 65536,
                                             .page_bytes_max = PARQUET_TABLE_PAGE_BYTES};

int parquet_table_init(struct parquet_table *table)
{
    *table = (struct parquet_table){.reader = parquet_reader_create(&limits)};
    int code = row_group_init(&table->group, PARQUET_TABLE_ROWS_MAX, PARQUET_TABLE_COLUMNS,
                              PARQUET_TABLE_ROWS_MAX, PARQUET_TABLE_TEXT_BYTES);
    if (table->reader == NULL || code != 0) {
        parquet_table_deinit(table);
        return MD_ENOMEM;
    }
    return 0;
}

void parquet_table_deinit(struct parquet_table *table)
{
    row_group_deinit(&table->group);
    parquet_reader_destroy(table->reader);
    *table = (struct parquet_table){0};
}

int parquet_table_open(struct parquet_table *table, struct file_source source, struct err *err)
{
    int code = parquet_reader_open(table->reader, source, err);
    if (code == 0 && parquet_reader_schema(table->reader) == NULL) {
        code = err_set(err, MD_ENOTSUP, "parquet: columns of a kind our writer does not make");
    }
    return code;
}

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
