/* The Parquet writer and reader by themselves: this program is linked with src/base and the files
 * of src/store named in test/meson.build, and with nothing else of the program. Writes a table of a
 * schema of its own to memory, reads it back. */
#include <stdio.h>
#include <string.h>

#include "store/parquet.h"

#define ROWS 1000

static const struct column_spec columns[] = {
    {"n", COLUMN_I64, false}, {"x", COLUMN_F64, true}, {"word", COLUMN_TEXT, false}};
static const struct schema schema = {"alone", 1, 3, columns, 0};

static char file[1 << 20];
static size_t file_bytes;

static int to_memory(void *context, const void *data, size_t bytes)
{
    (void)context;
    if (bytes > sizeof file - file_bytes) {
        return MD_EFULL;
    }
    memcpy(file + file_bytes, data, bytes);
    file_bytes += bytes;
    return 0;
}

static int write_table(struct row_group *group)
{
    const struct writer_options options = {.zstd_level = 3,
                                           .page_rows = 300,
                                           .dictionary_bytes_max = 1 << 16,
                                           .row_group_rows_max = ROWS,
                                           .row_groups_max = 4};
    struct file_writer *writer = parquet_writer_create(&options, 4);
    if (writer == NULL) {
        return MD_ENOMEM;
    }
    row_group_reset(group, &schema);
    int code = writer->ops->begin(writer, &schema, (struct file_sink){to_memory, NULL});
    for (int64_t i = 0; i < ROWS && code == 0; i++) {
        struct cell cells[] = {{.i64 = i * i},
                               {.null = i % 7 == 0, .dec = {i * 25, -2}},
                               {.text = i % 3 == 0 ? STR("fizz") : STR("x")}};
        code = row_group_append(group, cells);
    }
    code = code == 0 ? writer->ops->write_group(writer, group) : code;
    code = code == 0 ? writer->ops->end(writer, NULL, 0) : code;
    writer->ops->destroy(writer);
    return code;
}

static bool right(const struct row_group *group)
{
    bool good = group->row_count == ROWS;
    for (uint32_t i = 0; i < ROWS && good; i++) {
        const struct column *c = group->columns;
        bool null = i % 7 == 0;
        struct str word = c[2].text_values[c[2].text_index[i]];
        good = c[0].i64[i] == (int64_t)i * i && c[1].valid[i] == !null &&
               (null || c[1].f64[i] == i * 25 / 100.0) &&
               str_equal(word, i % 3 == 0 ? STR("fizz") : STR("x"));
    }
    return good;
}

static int read_table(struct row_group *group)
{
    const struct parquet_limits limits = {.footer_bytes_max = 1 << 16,
                                          .columns_max = 8,
                                          .row_groups_max = 8,
                                          .page_bytes_max = 1 << 16};
    struct parquet_reader *reader = parquet_reader_create(&limits);
    if (reader == NULL) {
        return MD_ENOMEM;
    }
    struct str memory = str_make(file, file_bytes);
    struct err err = {""};
    int code = parquet_reader_open(reader, file_source_memory(&memory), &err);
    const struct schema *found = code == 0 ? parquet_reader_schema(reader) : NULL;
    if (found == NULL || found->column_count != 3) {
        code = MD_ECORRUPT;
    } else {
        row_group_reset(group, found);
        code = parquet_reader_rows(reader, 0, group, &err);
        code = code == 0 && !right(group) ? MD_ECORRUPT : code;
    }
    parquet_reader_destroy(reader);
    return code;
}

int main(void)
{
    static struct row_group group;
    int code = row_group_init(&group, ROWS, 4, 16, 64 << 10);
    code = code == 0 ? write_table(&group) : code;
    code = code == 0 ? read_table(&group) : code;
    row_group_deinit(&group);
    printf("1..1\n%s 1 - a table by the Parquet files alone\n", code == 0 ? "ok" : "not ok");
    return code == 0 ? 0 : 1;
}
