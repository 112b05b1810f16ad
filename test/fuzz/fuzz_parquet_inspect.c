/* Parquet files from outside: footer, printing, and rows of all groups. The input is a whole file;
 * one without the magic at its ends gets them, so that the fuzzer need not find them. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/parquet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int swallow(void *context, const void *data, size_t bytes)
{
    uint64_t *sum = context;
    const uint8_t *at = data;
    for (size_t i = 0; i < bytes; i++) {
        *sum += at[i];
    }
    return 0;
}

/* Every value is looked at: an index out of range would be seen. */
static int look(void *context, const struct row_group *group)
{
    uint64_t *sum = context;
    for (uint32_t c = 0; c < group->schema->column_count; c++) {
        const struct column *column = &group->columns[c];
        for (uint32_t r = 0; r < group->row_count; r++) {
            if (column->valid != NULL && column->valid[r] == 0) {
                continue;
            }
            switch (group->schema->columns[c].type) {
            case COLUMN_TEXT:
                *sum += column->text_values[column->text_index[r]].bytes;
                break;
            case COLUMN_DEC:
                *sum += (uint64_t)column->dec[r];
                break;
            case COLUMN_BOOL:
                *sum += column->boolean[r];
                break;
            case COLUMN_I64:
            case COLUMN_I32:
            case COLUMN_TIME:
            case COLUMN_F64:
            default:
                *sum += (uint64_t)column->i64[r];
                break;
            }
        }
    }
    return 0;
}

static void read_file(struct parquet_reader *reader, struct row_group *group, struct str bytes)
{
    uint64_t sum = 0;
    struct err err;
    if (parquet_reader_open(reader, file_source_memory(&bytes), &err) != 0) {
        return;
    }
    const struct parquet_info *info = parquet_reader_info(reader);
    for (uint32_t i = 0; i < info->kv_count && i < 100; i++) {
        struct str key;
        struct str value;
        parquet_reader_key_value(reader, i, &key, &value);
        sum += key.bytes + value.bytes;
    }
    if (info->group_count * info->column_count < 1000) {
        (void)parquet_inspect_print(reader, (struct file_sink){swallow, &sum});
    }
    for (uint32_t g = 0; g < info->group_count && g < 20; g++) {
        if (parquet_reader_rows(reader, g, group, &err) == 0) {
            (void)look(&sum, group);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct parquet_reader *reader;
    static struct row_group group;
    if (reader == NULL) {
        const struct parquet_limits limits = {.footer_bytes_max = 1 << 16,
                                              .columns_max = 64,
                                              .row_groups_max = 64,
                                              .page_bytes_max = 1 << 16};
        reader = parquet_reader_create(&limits);
        if (reader == NULL || row_group_init(&group, 5000, 64, 5000, 1 << 20) != 0) {
            abort();
        }
    }
    char *copy = malloc(size + 1); /* its own block, so that a read past the end is seen */
    if (copy == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(copy, data, size);
    }
    if (size >= 12) {
        memcpy(copy, "PAR1", 4);
        memcpy(copy + size - 4, "PAR1", 4);
    }
    read_file(reader, &group, str_make(copy, size));
    free(copy);
    return 0;
}
