/* Parquet files as row groups, and the choice of the reader. See row_reader.h.
 * Place: between the Parquet reader and the offline commands. Invariants: columns are found by name
 * once a file; further ones are passed over. Memory: parquet_table.h's. */
#include "store/row_reader.h"

#include "base/alloc.h"
#include "store/parquet_table.h"

struct reader {
    struct row_reader base;
    struct parquet_table table;
    struct file_source_handle file;
    bool open;
    uint32_t next_group;
    int column_of[COLUMNS_MAX]; /* ours -> the file's */
};

static struct reader *self(struct row_reader *base)
{
    return (struct reader *)(void *)base;
}

static void reader_close(struct row_reader *base)
{
    struct reader *r = self(base);
    if (r->open) {
        file_source_close(&r->file);
        r->open = false;
    }
}

static int columns_find(struct reader *r, const struct schema *ours, struct err *err)
{
    const struct schema *theirs = parquet_reader_schema(r->table.reader);
    for (uint32_t i = 0; i < ours->column_count; i++) {
        int column = schema_column(theirs, ours->columns[i].name);
        if (column < 0 || theirs->columns[column].type != ours->columns[i].type) {
            return err_set(err, MD_ENOTSUP, "no column %s of our kind", ours->columns[i].name);
        }
        r->column_of[i] = column;
    }
    return 0;
}

static int reader_open(struct row_reader *base, struct mdio *io, const char *path,
                       const struct schema *ours, struct err *err)
{
    struct reader *r = self(base);
    reader_close(base);
    r->next_group = 0;
    int code = file_source_open(&r->file, io, path);
    if (code != 0) {
        return err_set(err, code, "%s", err_text(code));
    }
    r->open = true;
    code = parquet_table_open(&r->table, r->file.source, err);
    code = code != 0 ? code : columns_find(r, ours, err);
    if (code != 0) {
        reader_close(base);
    }
    return code;
}

static int reader_next(struct row_reader *base, const struct row_group **group, struct err *err)
{
    struct reader *r = self(base);
    if (r->next_group == parquet_reader_info(r->table.reader)->group_count) {
        return 0;
    }
    int code = parquet_reader_rows(r->table.reader, r->next_group++, &r->table.group, err);
    *group = &r->table.group;
    return code != 0 ? code : 1;
}

static int reader_column(const struct row_reader *base, uint32_t index)
{
    return ((const struct reader *)(const void *)base)->column_of[index];
}

static struct str reader_footer(const struct row_reader *base, const char *key)
{
    const struct reader *r = (const struct reader *)(const void *)base;
    const struct parquet_info *info = parquet_reader_info(r->table.reader);
    for (uint32_t i = 0; i < info->kv_count; i++) {
        struct str name, value;
        parquet_reader_key_value(r->table.reader, i, &name, &value);
        if (str_equal(name, str_from(key))) {
            return value;
        }
    }
    return STR("");
}

static void reader_destroy(struct row_reader *base)
{
    if (base != NULL) {
        reader_close(base);
        parquet_table_deinit(&self(base)->table);
        alloc_give(base);
    }
}

static const struct row_reader_ops ops = {
    .open = reader_open,
    .next = reader_next,
    .column = reader_column,
    .footer = reader_footer,
    .close = reader_close,
    .destroy = reader_destroy,
};

struct row_reader *row_reader_create(enum file_format format)
{
    if (format != FORMAT_PARQUET) {
        return text_row_reader_create(format);
    }
    struct reader *r = alloc_take(ALLOC_SEAL, sizeof *r);
    if (r == NULL || parquet_table_init(&r->table) != 0) {
        alloc_give(r);
        return NULL;
    }
    r->base.ops = &ops;
    return &r->base;
}
