#ifndef MD_TEST_PARQUET_FIXTURE_H
#define MD_TEST_PARQUET_FIXTURE_H

#include "columns_fixture.h"
#include "store/thrift.h"

/* A writer, a file in memory, a reader, and a row group on either side. */

#define ROWS 1000

static struct writer_options options = {.zstd_level = 3,
                                        .page_rows = 100,
                                        .dictionary_bytes_max = 65536,
                                        .row_group_rows_max = ROWS,
                                        .row_groups_max = 8};
static const struct parquet_limits limits = {.footer_bytes_max = 1 << 20,
                                             .columns_max = COLUMNS_MAX,
                                             .row_groups_max = 64,
                                             .page_bytes_max = 1 << 20};

static struct row_group group, back;
static struct file_writer *writer;
static struct parquet_reader *reader;
static struct memory_file file;
static struct str file_bytes;

static inline int set_up(void **state)
{
    (void)state;
    assert_int_equal(row_group_init(&group, ROWS, EVERY_COUNT, ROWS, 1 << 20), 0);
    assert_int_equal(row_group_init(&back, ROWS, EVERY_COUNT, ROWS, 1 << 20), 0);
    writer = parquet_writer_create(&options, EVERY_COUNT);
    reader = parquet_reader_create(&limits);
    assert_non_null(writer);
    assert_non_null(reader);
    file = (struct memory_file){.fail_after = -1};
    row_group_reset(&group, &every_schema);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    row_group_deinit(&group);
    row_group_deinit(&back);
    writer->ops->destroy(writer);
    parquet_reader_destroy(reader);
    free(file.data);
    return 0;
}

static inline void begin(const struct schema *schema)
{
    assert_int_equal(writer->ops->begin(writer, schema, memory_sink(&file)), 0);
}

static inline void write_group(void)
{
    assert_int_equal(writer->ops->write_group(writer, &group), 0);
}

static inline void end(void)
{
    assert_int_equal(writer->ops->end(writer, NULL, 0), 0);
    assert_int_equal(writer->ops->bytes_written(writer), file.bytes);
}

static inline void open_file(void)
{
    struct err err = {""};
    file_bytes = str_make(file.data, file.bytes);
    int code = parquet_reader_open(reader, file_source_memory(&file_bytes), &err);
    assert_string_equal(err.text, "");
    assert_int_equal(code, 0);
}

static inline void check_group(uint32_t index, const struct row_group *expected)
{
    struct err err = {""};
    int code = parquet_reader_rows(reader, index, &back, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(code, 0);
    check_groups_equal(expected, &back);
}

static inline void append(bool null, int64_t i64, int32_t i32, int64_t time, struct decimal f64,
                          bool flag, const char *text)
{
    struct cell cells[EVERY_COUNT];
    every_cells(cells, null, i64, i32, time, f64, flag, text);
    assert_int_equal(row_group_append(&group, cells), 0);
}

#define DEC(mantissa, exponent) ((struct decimal){mantissa, exponent})

static inline void append_ordinary(uint32_t row, bool null)
{
    static const char *const texts[] = {"buy", "sell", "", "caf\xc3\xa9"};
    append(null, 1000000 + row * 3, (int32_t)(row % 7) - 3, 1795424400000000 + row * 1500,
           DEC(6310000 + row * 37 % 290, -2), row / 50 % 2, texts[row / 3 % 4]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
