/* One column chunk: which encoding the data calls for, page bodies byte by byte, statistics. */
#include <math.h>

#include "columns_fixture.h"
#include "store/parquet_chunk.h"

#define ROWS 3000
#define DICTIONARY_MAX 4096

static struct row_group group;
static struct parquet_scratch scratch;
static uint8_t body[1 << 20];
static uint32_t levels[ROWS];
static struct parquet_chunk chunk;
static struct parquet_page_span span;
static struct parquet_stats stats;

static int set_up(void **state)
{
    (void)state;
    scratch = (struct parquet_scratch){.dense = calloc(ROWS, 8),
                                       .indices = calloc(ROWS, 4),
                                       .dictionary = calloc(ROWS + 1, 8),
                                       .slots = calloc(8192, 4),
                                       .levels = levels};
    assert_true(parquet_chunk_body_bytes_max(ROWS, DICTIONARY_MAX) <= sizeof body);
    return row_group_init(&group, ROWS, 2, ROWS, 1 << 20);
}

static int tear_down(void **state)
{
    (void)state;
    row_group_deinit(&group);
    free(scratch.dense);
    free(scratch.indices);
    free(scratch.dictionary);
    free(scratch.slots);
    return 0;
}

static struct column_spec spec;
static const struct schema one = {"one", 1, 1, &spec, 0};

static void column_of(enum column_type type, bool nullable)
{
    spec = (struct column_spec){"c", type, nullable};
    row_group_reset(&group, &one);
}

static void add(struct cell cell)
{
    assert_int_equal(row_group_append(&group, &cell), 0);
}

static void add_double(double value)
{
    add(cell_dec(0, 0));
    group.columns[0].f64[group.row_count - 1] = value;
}

static void plan(void)
{
    parquet_chunk_plan(&chunk, &group, 0, &scratch, DICTIONARY_MAX);
    memset(&span, 0, sizeof span);
}

/* The next page's body; 0 bytes when there is none. */
static size_t next_page(uint32_t page_rows)
{
    if (!parquet_chunk_next_page(&chunk, page_rows, &span)) {
        return 0;
    }
    return parquet_chunk_page(&chunk, &span, levels, body, &stats);
}

#define CHECK_BODY(bytes, ...)                                  \
    do {                                                        \
        const uint8_t expected_[] = {__VA_ARGS__};              \
        size_t bytes_ = (bytes);                                \
        assert_int_equal(bytes_, sizeof expected_);             \
        assert_memory_equal(body, expected_, sizeof expected_); \
    } while (0)

static void levels_stand_before_the_values(void **state)
{
    (void)state;
    column_of(COLUMN_BOOL, true);
    add(cell_i64(1));
    add(cell_null());
    add(cell_i64(1));
    add(cell_i64(0));
    plan();
    assert_int_equal(chunk.encoding, PARQUET_PLAIN);
    assert_int_equal(chunk.value_count, 3);
    /* 4 bytes of length; one group of 8 at 1 bit: 1, 0, 1, 1; the bits 1, 1, 0 */
    CHECK_BODY(next_page(100), 2, 0, 0, 0, 1 << 1 | 1, 0x0d, 0x03);
    assert_int_equal(stats.null_count, 1);
    assert_true(stats.has_bounds);
    assert_int_equal(stats.min.i64, 0);
    assert_int_equal(stats.max.i64, 1);
    assert_int_equal(next_page(100), 0);
}

static void levels_without_nulls_are_one_run(void **state)
{
    (void)state;
    column_of(COLUMN_BOOL, true);
    for (int i = 0; i < 100; i++) {
        add(cell_i64(0));
    }
    plan();
    size_t bytes = next_page(100);
    assert_int_equal(bytes, 4 + 3 + 13);
    const uint8_t expected[] = {3, 0, 0, 0, 0xc8, 0x01, 1}; /* 100 << 1, the value 1 */
    assert_memory_equal(body, expected, sizeof expected);
}

static void column_of_nulls_has_levels_alone(void **state)
{
    (void)state;
    for (int type = COLUMN_I64; type <= COLUMN_TEXT; type++) {
        column_of((enum column_type)type, true);
        for (int i = 0; i < 5; i++) {
            add(cell_null());
        }
        plan();
        assert_int_equal(chunk.encoding, PARQUET_PLAIN);
        CHECK_BODY(next_page(100), 2, 0, 0, 0, 10, 0);
        assert_int_equal(stats.null_count, 5);
        assert_false(stats.has_bounds);
        assert_false(stats.unbounded);
    }
}

static void ids_are_delta(void **state)
{
    (void)state;
    column_of(COLUMN_I64, false);
    for (int i = 0; i < 5; i++) {
        add(cell_i64(i + 1));
    }
    plan();
    assert_int_equal(chunk.encoding, PARQUET_DELTA_BINARY_PACKED);
    CHECK_BODY(next_page(100), 0x80, 0x01, 4, 5, 2, 2, 0, 0, 0, 0);
    assert_int_equal(stats.min.i64, 1);
    assert_int_equal(stats.max.i64, 5);
}

static void constants_are_a_dictionary_of_one(void **state)
{
    (void)state;
    column_of(COLUMN_I32, false);
    for (int i = 0; i < ROWS; i++) {
        add(cell_i64(-7));
    }
    plan();
    assert_int_equal(chunk.encoding, PARQUET_RLE_DICTIONARY);
    assert_int_equal(chunk.dictionary_count, 1);
    assert_int_equal(parquet_chunk_dictionary_page(&chunk, body), 4);
    assert_memory_equal(body, "\xf9\xff\xff\xff", 4);
    CHECK_BODY(next_page(ROWS), 0, 0xf0, 0x2e); /* width 0, a run of 3000 */
}

static void few_distinct_integers_are_a_dictionary(void **state)
{
    (void)state;
    const int64_t values[] = {900, -1, 44, INT64_MAX};
    column_of(COLUMN_I64, false);
    for (int i = 0; i < ROWS; i++) {
        add(cell_i64(values[i * 7 % 11 % 4]));
    }
    plan();
    assert_int_equal(chunk.encoding, PARQUET_RLE_DICTIONARY);
    assert_int_equal(chunk.dictionary_count, 4);
    assert_int_equal(chunk.index_width, 2);
}

static void noise_is_plain(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    column_of(COLUMN_I64, false);
    for (int i = 0; i < ROWS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        add(cell_i64((int64_t)random));
    }
    plan();
    assert_int_equal(chunk.encoding, PARQUET_PLAIN);
    assert_int_equal(next_page(ROWS), ROWS * 8);
    assert_memory_equal(body, group.columns[0].i64, ROWS * 8);
}

static void prices_are_a_dictionary_in_order_of_appearance(void **state)
{
    (void)state;
    column_of(COLUMN_F64, false);
    for (int i = 0; i < 100; i++) {
        add(cell_dec(i % 2 == 0 ? 25 : -50, -2)); /* 0.25, -0.5 */
    }
    plan();
    assert_int_equal(chunk.encoding, PARQUET_RLE_DICTIONARY);
    assert_int_equal(parquet_chunk_dictionary_page(&chunk, body), 16);
    assert_memory_equal(body, "\0\0\0\0\0\0\xd0\x3f\0\0\0\0\0\0\xe0\xbf", 16);
    size_t bytes = next_page(100);
    assert_int_equal(bytes, 1 + 1 + 13); /* width; 13 groups of 8 bits */
    assert_int_equal(body[0], 1);
    assert_int_equal(body[1], 13 << 1 | 1);
    assert_int_equal(body[2], 0xaa);
    assert_true(stats.min.f64 == -0.5);
    assert_true(stats.max.f64 == 0.25);
}

static void doubles_that_do_not_repeat_are_plain(void **state)
{
    (void)state;
    column_of(COLUMN_F64, false);
    for (int i = 0; i < 300; i++) {
        add(cell_dec(i, -3));
    }
    plan();
    assert_int_equal(chunk.encoding, PARQUET_PLAIN);
    assert_int_equal(next_page(300), 2400);
}

/* 513 doubles of 8 bytes pass the cap of 4096, though each comes five times. */
static void dictionary_above_the_cap_is_plain(void **state)
{
    (void)state;
    for (int distinct = 512; distinct <= 513; distinct++) {
        column_of(COLUMN_F64, false);
        for (int i = 0; i < distinct * 5; i++) {
            add(cell_dec(i % distinct, -1));
        }
        plan();
        assert_int_equal(chunk.encoding, distinct == 512 ? PARQUET_RLE_DICTIONARY : PARQUET_PLAIN);
    }
}

static void texts_are_a_dictionary_or_plain(void **state)
{
    (void)state;
    column_of(COLUMN_TEXT, false);
    for (int i = 0; i < 90; i++) {
        add(cell_text(i % 3 == 0 ? "sell" : "buy"));
    }
    plan();
    assert_int_equal(chunk.encoding, PARQUET_RLE_DICTIONARY);
    assert_int_equal(parquet_chunk_dictionary_page(&chunk, body), 15);
    assert_memory_equal(body, "\4\0\0\0sell\3\0\0\0buy", 15);
    assert_true(next_page(90) > 0);
    assert_int_equal(stats.min.text_bytes, 3);
    assert_memory_equal(stats.min.text, "buy", 3);
    assert_memory_equal(stats.max.text, "sell", 4);

    column_of(COLUMN_TEXT, true);
    add(cell_text("x1"));
    add(cell_null());
    add(cell_text(""));
    plan();
    assert_int_equal(chunk.encoding, PARQUET_PLAIN);
    CHECK_BODY(next_page(90), 2, 0, 0, 0, 3, 0x05, 2, 0, 0, 0, 'x', '1', 0, 0, 0, 0);
}

static void long_texts_cut_a_page_before_its_rows_do(void **state)
{
    (void)state;
    char text[1025];
    uint32_t rows = 0;
    uint32_t pages = 0;
    column_of(COLUMN_TEXT, true);
    memset(text, 'a', sizeof text);
    text[1024] = '\0';
    for (int i = 0; i < 600; i++) {
        snprintf(text, 5, "%04d", i);
        text[4] = 'a';
        add(i % 10 == 9 ? cell_null() : cell_text(text));
    }
    plan();
    assert_int_equal(chunk.encoding, PARQUET_PLAIN);
    size_t bytes;
    while ((bytes = next_page(ROWS)) > 0) {
        assert_int_equal(span.row, rows);
        assert_int_equal(span.number, pages);
        assert_true(bytes < PARQUET_TEXT_PAGE_BYTES + 1028 + 200);
        assert_int_equal(stats.null_count, span.rows - span.values);
        rows += span.rows;
        pages++;
    }
    assert_int_equal(rows, 600);
    assert_int_equal(pages, 3); /* 540 x 1028 bytes, 256 KiB a page */
}

static void pages_split_values_and_nulls_alike(void **state)
{
    (void)state;
    column_of(COLUMN_I32, true);
    for (int i = 0; i < 250; i++) {
        add(i % 5 == 0 ? cell_null() : cell_i64(i * i));
    }
    plan();
    for (uint32_t page = 0; page < 3; page++) {
        assert_true(next_page(100) > 0);
        assert_int_equal(span.row, page * 100);
        assert_int_equal(span.rows, page < 2 ? 100 : 50);
        assert_int_equal(span.values, span.rows * 4 / 5);
        assert_int_equal(stats.min.i64, page == 0 ? 1 : page == 1 ? 101 * 101 : 201 * 201);
        assert_int_equal(stats.max.i64, page == 0 ? 99 * 99 : page == 1 ? 199 * 199 : 249 * 249);
    }
    assert_int_equal(next_page(100), 0);
}

static void bounds_of_doubles_know_no_nan_and_sign_their_zeros(void **state)
{
    (void)state;
    static const struct {
        double values[3];
        bool has_bounds;
        double min, max;
    } cases[] = {
        {{1, NAN, -2}, true, -2, 1},
        {{NAN, NAN, NAN}, false, 0, 0},
        {{0.0, 0.0, 0.0}, true, -0.0, 0.0},
        {{-0.0, -0.0, 3}, true, -0.0, 3},
        {{-5, -0.0, -0.0}, true, -5, 0.0},
        {{INFINITY, -INFINITY, 0}, true, -INFINITY, INFINITY},
        {{INFINITY, INFINITY, INFINITY}, true, INFINITY, INFINITY},
        {{5e-324, 1.7976931348623157e308, 1}, true, 5e-324, 1.7976931348623157e308},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        column_of(COLUMN_F64, false);
        for (int k = 0; k < 3; k++) {
            add_double(cases[i].values[k]);
        }
        plan();
        assert_true(next_page(10) > 0);
        assert_int_equal(stats.has_bounds, cases[i].has_bounds);
        assert_int_equal(stats.unbounded, !cases[i].has_bounds);
        if (stats.has_bounds) {
            assert_memory_equal(&stats.min.f64, &cases[i].min, 8);
            assert_memory_equal(&stats.max.f64, &cases[i].max, 8);
        }
    }
}

static void bounds_of_long_texts_are_cut_and_still_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *text, *min, *max; /* max NULL: no bounds */
        bool exact;
    } cases[] = {
        {"12345678901234567890123456789012", "12345678901234567890123456789012",
         "12345678901234567890123456789012", true},
        {"12345678901234567890123456789012x", "12345678901234567890123456789012",
         "12345678901234567890123456789013", false},
        {"a\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f"
         "\x7f"
         "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f",
         "a\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f"
         "\x7f"
         "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f",
         "b", false},
        /* 31 bytes, then a character of two: it does not fit whole */
        {"1234567890123456789012345678901\xc3\xa9", "1234567890123456789012345678901",
         "1234567890123456789012345678902", false},
        /* eleven characters of three bytes: nothing that could be raised */
        {"\xe5\xb8\x81\xe5\xb8\x81\xe5\xb8\x81\xe5\xb8\x81\xe5\xb8\x81\xe5\xb8\x81\xe5\xb8\x81\xe5"
         "\xb8"
         "\x81\xe5\xb8\x81\xe5\xb8\x81\xe5\xb8\x81",
         NULL, NULL, false},
        {"", "", "", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        column_of(COLUMN_TEXT, false);
        add(cell_text(cases[i].text));
        plan();
        assert_true(next_page(10) > 0);
        assert_int_equal(stats.has_bounds, cases[i].max != NULL);
        assert_int_equal(stats.unbounded, cases[i].max == NULL);
        if (cases[i].max != NULL) {
            CHECK_TEXT(str_make(stats.min.text, stats.min.text_bytes), cases[i].min);
            CHECK_TEXT(str_make(stats.max.text, stats.max.text_bytes), cases[i].max);
            assert_int_equal(stats.min.exact, cases[i].exact);
            assert_int_equal(stats.max.exact, cases[i].exact);
        }
    }
}

static struct parquet_stats stats_of_texts(const char *text)
{
    column_of(COLUMN_TEXT, true);
    add(text == NULL ? cell_null() : cell_text(text));
    plan();
    assert_true(next_page(10) > 0);
    return stats;
}

static void statistics_of_pages_add_up(void **state)
{
    (void)state;
    struct parquet_stats all = stats_of_texts(NULL);
    struct parquet_stats page = stats_of_texts("m");
    parquet_stats_merge(&all, &page, COLUMN_TEXT, false);
    page = stats_of_texts("b");
    parquet_stats_merge(&all, &page, COLUMN_TEXT, false);
    page = stats_of_texts("12345678901234567890123456789012x");
    parquet_stats_merge(&all, &page, COLUMN_TEXT, false);
    assert_int_equal(all.null_count, 1);
    assert_true(all.has_bounds);
    CHECK_TEXT(str_make(all.min.text, all.min.text_bytes), "12345678901234567890123456789012");
    CHECK_TEXT(str_make(all.max.text, all.max.text_bytes), "m");
    assert_false(all.min.exact);
    assert_true(all.max.exact);
    /* the cut bound of one page is the whole value of another */
    page = stats_of_texts("12345678901234567890123456789012");
    parquet_stats_merge(&all, &page, COLUMN_TEXT, false);
    assert_true(all.min.exact);
    /* one page without a bound leaves the chunk without */
    page = stats_of_texts("\xe5\xb8\x81\xe5\xb8\x81\xe5\xb8\x81\xe5\xb8\x81\xe5\xb8\x81\xe5\xb8\x81"
                          "\xe5\xb8\x81\xe5\xb8\x81\xe5\xb8\x81\xe5\xb8\x81\xe5\xb8\x81");
    parquet_stats_merge(&all, &page, COLUMN_TEXT, false);
    assert_false(all.has_bounds);
    page = stats_of_texts("z");
    parquet_stats_merge(&all, &page, COLUMN_TEXT, false);
    assert_false(all.has_bounds);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(levels_stand_before_the_values),
        TEST(levels_without_nulls_are_one_run),
        TEST(column_of_nulls_has_levels_alone),
        TEST(ids_are_delta),
        TEST(constants_are_a_dictionary_of_one),
        TEST(few_distinct_integers_are_a_dictionary),
        TEST(noise_is_plain),
        TEST(prices_are_a_dictionary_in_order_of_appearance),
        TEST(doubles_that_do_not_repeat_are_plain),
        TEST(dictionary_above_the_cap_is_plain),
        TEST(texts_are_a_dictionary_or_plain),
        TEST(long_texts_cut_a_page_before_its_rows_do),
        TEST(pages_split_values_and_nulls_alike),
        TEST(bounds_of_doubles_know_no_nan_and_sign_their_zeros),
        TEST(bounds_of_long_texts_are_cut_and_still_bounds),
        TEST(statistics_of_pages_add_up),
    };
    return cmocka_run_group_tests_name("parquet_chunk", tests, NULL, NULL);
}
