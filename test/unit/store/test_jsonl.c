/* JSONL files: exact lines inside one zstd frame. */
#include <zstd.h>

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
    writer = jsonl_writer_create(&options);
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

/* The file's text, terminated; the caller frees it. */
static char *unpack(void)
{
    const size_t most = 16 << 20;
    char *text = malloc(most);
    size_t bytes = ZSTD_decompress(text, most - 1, file.data, file.bytes);
    assert_false(ZSTD_isError(bytes));
    text[bytes] = '\0';
    return text;
}

static void write_all(void)
{
    assert_int_equal(writer->ops->begin(writer, &every_schema, memory_sink(&file)), 0);
    assert_int_equal(writer->ops->write_group(writer, &group), 0);
    const struct key_value kv = {"key", "value"};
    assert_int_equal(writer->ops->end(writer, &kv, 1), 0);
    assert_int_equal(writer->ops->bytes_written(writer), file.bytes);
}

static void row_is_one_object_a_line(void **state)
{
    (void)state;
    struct cell cells[EVERY_COUNT];
    every_cells(cells, false, INT64_MIN, INT32_MIN, 1795424400123456, (struct decimal){6310025, -2},
                true, "caf\xc3\xa9");
    assert_int_equal(row_group_append(&group, cells), 0);
    every_cells(cells, true, INT64_MAX, 0, 0, (struct decimal){1, -8}, false,
                "a\"b\\c/\n\t\x01\x1f\x7f");
    assert_int_equal(row_group_append(&group, cells), 0);
    write_all();
    char *text = unpack();
    assert_string_equal(
        text, "{\"i64\":-9223372036854775808,\"i32\":-2147483648,\"time\":\"2026-11-23T09:00:00."
              "123456Z\","
              "\"f64\":63100.25,\"flag\":true,\"text\":\"caf\xc3\xa9\","
              "\"n_i64\":-9223372036854775808,\"n_i32\":-2147483648,"
              "\"n_time\":\"2026-11-23T09:00:00.123456Z\",\"n_f64\":63100.25,\"n_flag\":true,"
              "\"n_text\":\"caf\xc3\xa9\",\"n_dec\":\"63100.25\"}\n"
              "{\"i64\":9223372036854775807,\"i32\":0,\"time\":\"1970-01-01T00:00:00.000000Z\","
              "\"f64\":0.00000001,\"flag\":false,"
              "\"text\":\"a\\\"b\\\\c/\\u000a\\u0009\\u0001\\u001f\x7f\","
              "\"n_i64\":null,\"n_i32\":null,\"n_time\":null,\"n_f64\":null,\"n_flag\":null,"
              "\"n_text\":null,\"n_dec\":null}\n");
    free(text);
}

static void file_without_rows_is_an_empty_text(void **state)
{
    (void)state;
    write_all();
    assert_true(file.bytes > 0);
    char *text = unpack();
    assert_string_equal(text, "");
    free(text);
}

static void add_many(void)
{
    struct cell cells[EVERY_COUNT];
    char text[COLUMN_TEXT_BYTES_MAX + 1];
    memset(text, 1, sizeof text); /* six bytes each when escaped */
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
    size_t escaped = 0;
    for (char *at = text; *at != '\0'; at++) {
        lines += *at == '\n';
        escaped += strncmp(at, "\\u0001", 6) == 0;
    }
    assert_int_equal(lines, 5000);
    /* 50 rows hold the text in `text`, 33 of them in `n_text` too */
    size_t rows = 0;
    size_t twice = 0;
    for (int i = 7; i < 5000; i += 100) {
        rows++;
        twice += i % 3 != 0;
    }
    assert_int_equal(escaped, (rows + twice) * COLUMN_TEXT_BYTES_MAX);
    assert_non_null(strstr(text,
                           "{\"i64\":4999,\"i32\":4999,\"time\":\"1970-01-01T00:00:00.004999Z\","
                           "\"f64\":4.999,\"flag\":true,\"text\":\"x\",\"n_i64\":4999,"));
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
        assert_int_equal(writer->ops->begin(writer, &every_schema, memory_sink(&file)), 0);
        (void)writer->ops->write_group(writer, &group);
        assert_int_equal(writer->ops->end(writer, NULL, 0), MD_ENOSPC);
        assert_int_equal(writer->ops->bytes_written(writer), file.bytes);
    }
    file.bytes = 0;
    file.fail_after = -1;
    write_all();
    free(unpack());
}

static void every_level_has_the_memory_it_needs(void **state)
{
    (void)state;
    add_many();
    for (int level = 1; level <= 19; level += 3) {
        const struct writer_options other = {.zstd_level = level};
        assert_true(jsonl_writer_memory_bytes(&other) < (size_t)64 << 20);
        writer->ops->destroy(writer);
        writer = jsonl_writer_create(&other);
        file.bytes = 0;
        write_all();
        free(unpack());
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(row_is_one_object_a_line),
        TEST(file_without_rows_is_an_empty_text),
        TEST(many_rows_and_the_longest_texts_pass_through_small_buffers),
        TEST(same_rows_give_the_same_bytes),
        TEST(failed_write_is_said_and_the_next_file_is_whole),
        TEST(every_level_has_the_memory_it_needs),
    };
    return cmocka_run_group_tests_name("jsonl", tests, NULL, NULL);
}
