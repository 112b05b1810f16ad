/* CSV files: exact lines inside gzip. */
#include <math.h>
#include <zlib.h>

#include "columns_fixture.h"

static const struct writer_options options = {.zstd_level = 3};
static struct row_group group;
static struct file_writer *writer;
static struct memory_file file;

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(row_group_init(&group, 5000, EVERY_COUNT, 5000, 1 << 20), 0);
    row_group_reset(&group, &every_schema);
    writer = csv_writer_create(&options);
    assert_non_null(writer);
    file = (struct memory_file){.fail_after = -1};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    row_group_deinit(&group);
    writer->ops->destroy(writer);
    free(file.data);
    return 0;
}

static char *unpack(void)
{
    const size_t most = 16 << 20;
    char *text = malloc(most);
    z_stream zlib = {.next_in = (unsigned char *)file.data,
                     .avail_in = (unsigned)file.bytes,
                     .next_out = (unsigned char *)text,
                     .avail_out = (unsigned)most - 1};
    assert_int_equal(inflateInit2(&zlib, 15 + 16), Z_OK);
    assert_int_equal(inflate(&zlib, Z_FINISH), Z_STREAM_END);
    assert_int_equal(zlib.avail_in, 0);
    text[zlib.total_out] = '\0';
    inflateEnd(&zlib);
    return text;
}

static void write_all(void)
{
    assert_int_equal(writer->ops->begin(writer, &every_schema, memory_sink(&file)), 0);
    assert_int_equal(writer->ops->write_group(writer, &group), 0);
    assert_int_equal(writer->ops->end(writer, NULL, 0), 0);
    assert_int_equal(writer->ops->bytes_written(writer), file.bytes);
}

#define HEAD "i64,i32,time,f64,flag,text,n_i64,n_i32,n_time,n_f64,n_flag,n_text,n_dec\n"

static void row_is_a_line_and_null_is_empty(void **state)
{
    (void)state;
    struct cell cells[EVERY_COUNT];
    every_cells(cells, false, INT64_MIN, -5, 1795424400123456, (struct decimal){6310025, -2}, true,
                "buy");
    assert_int_equal(row_group_append(&group, cells), 0);
    every_cells(cells, true, 1, 0, -1, (struct decimal){5, -1}, false, "");
    assert_int_equal(row_group_append(&group, cells), 0);
    write_all();
    char *text = unpack();
    assert_string_equal(text,
                        HEAD "-9223372036854775808,-5,1795424400123456,63100.25,true,buy,"
                             "-9223372036854775808,-5,1795424400123456,63100.25,true,buy,63100.25\n"
                             "1,0,-1,0.5,false,\"\",,,,,,,\n");
    free(text);
}

static void texts_are_quoted_where_they_must_be(void **state)
{
    (void)state;
    static const struct column_spec specs[] = {{"a,b", COLUMN_TEXT, false}};
    static const struct schema schema = {"one", 1, 1, specs, 0};
    const char *const texts[] = {"plain", "a,b",    "say \"hi\"", "two\nlines",
                                 "cr\r",  " blank", "caf\xc3\xa9"};
    row_group_reset(&group, &schema);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct cell cell = cell_text(texts[i]);
        assert_int_equal(row_group_append(&group, &cell), 0);
    }
    assert_int_equal(writer->ops->begin(writer, &schema, memory_sink(&file)), 0);
    assert_int_equal(writer->ops->write_group(writer, &group), 0);
    assert_int_equal(writer->ops->end(writer, NULL, 0), 0);
    char *text = unpack();
    assert_string_equal(text,
                        "\"a,b\"\nplain\n\"a,b\"\n\"say \"\"hi\"\"\"\n\"two\nlines\"\n\"cr\r\"\n"
                        "\" blank\"\ncaf\xc3\xa9\n");
    free(text);
}

static void file_without_rows_is_the_head(void **state)
{
    (void)state;
    write_all();
    char *text = unpack();
    assert_string_equal(text, HEAD);
    free(text);
}

static void not_a_number_is_empty(void **state)
{
    (void)state;
    static const struct column_spec specs[] = {{"a", COLUMN_F64, false}, {"b", COLUMN_I64, false}};
    static const struct schema schema = {"two", 1, 2, specs, 0};
    struct cell cells[2] = {cell_dec(0, 0), cell_i64(1)};
    row_group_reset(&group, &schema);
    assert_int_equal(row_group_append(&group, cells), 0);
    group.columns[0].f64[0] = NAN;
    assert_int_equal(writer->ops->begin(writer, &schema, memory_sink(&file)), 0);
    assert_int_equal(writer->ops->write_group(writer, &group), 0);
    assert_int_equal(writer->ops->end(writer, NULL, 0), 0);
    char *text = unpack();
    assert_string_equal(text, "a,b\n,1\n");
    free(text);
}

static void add_many(void)
{
    struct cell cells[EVERY_COUNT];
    char text[COLUMN_TEXT_BYTES_MAX + 1];
    memset(text, '"', sizeof text);
    text[COLUMN_TEXT_BYTES_MAX] = '\0';
    for (int i = 0; i < 5000; i++) {
        every_cells(cells, i % 3 == 0, i, i, i, (struct decimal){i, -3}, i % 2,
                    i % 100 == 7 ? text : "x");
        assert_int_equal(row_group_append(&group, cells), 0);
    }
}

static void many_rows_and_the_longest_texts_pass_through_small_buffers(void **state)
{
    (void)state;
    add_many();
    write_all();
    char *text = unpack();
    size_t lines = 0;
    size_t quotes = 0;
    for (char *at = text; *at != '\0'; at++) {
        lines += *at == '\n';
        quotes += *at == '"';
    }
    size_t cells = 0;
    for (int i = 7; i < 5000; i += 100) {
        cells += i % 3 != 0 ? 2 : 1;
    }
    assert_int_equal(lines, 5001);
    assert_int_equal(quotes, cells * (2 * COLUMN_TEXT_BYTES_MAX + 2));
    assert_non_null(
        strstr(text, "\n4999,4999,4999,4.999,true,x,4999,4999,4999,4.999,true,x,4.999\n"));
    free(text);
}

static void same_rows_give_the_same_bytes(void **state)
{
    (void)state;
    add_many();
    write_all();
    struct memory_file first = file;
    file = (struct memory_file){.fail_after = -1};
    write_all();
    assert_int_equal(first.bytes, file.bytes);
    assert_memory_equal(first.data, file.data, file.bytes);
    assert_memory_equal(file.data + 4, "\0\0\0\0", 4); /* RFC 1952: no time of writing */
    free(first.data);
}

static void failed_write_is_said_and_the_next_file_is_whole(void **state)
{
    (void)state;
    add_many();
    write_all();
    uint32_t writes = file.writes;
    assert_true(writes >= 2);
    for (uint32_t n = 0; n < writes; n++) {
        file.bytes = 0;
        file.fail_after = (int)n;
        (void)writer->ops->begin(writer, &every_schema, memory_sink(&file));
        (void)writer->ops->write_group(writer, &group);
        assert_int_equal(writer->ops->end(writer, NULL, 0), MD_ENOSPC);
        assert_int_equal(writer->ops->bytes_written(writer), file.bytes);
    }
    file.bytes = 0;
    file.fail_after = -1;
    write_all();
    free(unpack());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(row_is_a_line_and_null_is_empty),
        TEST(texts_are_quoted_where_they_must_be),
        TEST(file_without_rows_is_the_head),
        TEST(not_a_number_is_empty),
        TEST(many_rows_and_the_longest_texts_pass_through_small_buffers),
        TEST(same_rows_give_the_same_bytes),
        TEST(failed_write_is_said_and_the_next_file_is_whole),
    };
    return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
