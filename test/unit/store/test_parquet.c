/* Whole Parquet files: written, read back by our own reader, and looked at byte by byte where the
 * format leaves no choice. Other readers look at the same files in test/e2e/readers.test.mjs. */
#include <math.h>
#include <zlib.h>

#include "columns_fixture.h"

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

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(row_group_init(&group, ROWS, 12, ROWS, 1 << 20), 0);
    assert_int_equal(row_group_init(&back, ROWS, 12, ROWS, 1 << 20), 0);
    writer = parquet_writer_create(&options, 12);
    reader = parquet_reader_create(&limits);
    assert_non_null(writer);
    assert_non_null(reader);
    file = (struct memory_file){.fail_after = -1};
    row_group_reset(&group, &every_schema);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    row_group_deinit(&group);
    row_group_deinit(&back);
    writer->ops->destroy(writer);
    parquet_reader_destroy(reader);
    free(file.data);
    return 0;
}

static void begin(const struct schema *schema)
{
    assert_int_equal(writer->ops->begin(writer, schema, memory_sink(&file)), 0);
}

static void write_group(void)
{
    assert_int_equal(writer->ops->write_group(writer, &group), 0);
}

static void end(void)
{
    assert_int_equal(writer->ops->end(writer, NULL, 0), 0);
    assert_int_equal(writer->ops->bytes_written(writer), file.bytes);
}

static void open_file(void)
{
    struct err err = {""};
    file_bytes = str_make(file.data, file.bytes);
    int code = parquet_reader_open(reader, file_source_memory(&file_bytes), &err);
    assert_string_equal(err.text, "");
    assert_int_equal(code, 0);
}

static void check_group(uint32_t index, const struct row_group *expected)
{
    struct err err = {""};
    int code = parquet_reader_rows(reader, index, &back, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(code, 0);
    check_groups_equal(expected, &back);
}

static void append(bool null, int64_t i64, int32_t i32, int64_t time, struct decimal f64, bool flag,
                   const char *text)
{
    struct cell cells[12];
    every_cells(cells, null, i64, i32, time, f64, flag, text);
    assert_int_equal(row_group_append(&group, cells), 0);
}

#define DEC(mantissa, exponent) ((struct decimal){mantissa, exponent})

static void append_ordinary(uint32_t row, bool null)
{
    static const char *const texts[] = {"buy", "sell", "", "caf\xc3\xa9"};
    append(null, 1000000 + row * 3, (int32_t)(row % 7) - 3, 1795424400000000 + row * 1500,
           DEC(6310000 + row * 37 % 290, -2), row / 50 % 2, texts[row / 3 % 4]);
}

/* ---- */

static void file_of_every_type_reads_back(void **state)
{
    (void)state;
    begin(&every_schema);
    for (uint32_t row = 0; row < ROWS; row++) {
        append_ordinary(row, row % 5 == 1);
    }
    write_group();
    end();
    open_file();
    const struct parquet_info *info = parquet_reader_info(reader);
    assert_int_equal(info->row_count, ROWS);
    assert_int_equal(info->group_count, 1);
    assert_int_equal(info->column_count, 12);
    CHECK_TEXT(info->root, "every");
    CHECK_TEXT(info->created_by, "market-data version " MD_VERSION);
    check_group(0, &group);
}

static void one_row_reads_back(void **state)
{
    (void)state;
    begin(&every_schema);
    append_ordinary(3, false);
    write_group();
    end();
    open_file();
    check_group(0, &group);
    assert_int_equal(back.columns[I64].i64[0], 1000009);
    assert_true(back.columns[F64].f64[0] == 63101.11);
    CHECK_TEXT(group_text(&back, TEXT, 0), "sell");
}

static void file_without_rows_is_a_file(void **state)
{
    (void)state;
    begin(&every_schema);
    write_group(); /* an empty group is nothing */
    end();
    open_file();
    assert_int_equal(parquet_reader_info(reader)->row_count, 0);
    assert_int_equal(parquet_reader_info(reader)->group_count, 0);
    assert_int_equal(parquet_reader_info(reader)->column_count, 12);
    assert_memory_equal(file.data, "PAR1", 4);
    assert_memory_equal(file.data + file.bytes - 4, "PAR1", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_row_reads_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(file_without_rows_is_a_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(file_of_every_type_reads_back, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("parquet", tests, NULL, NULL);
}
