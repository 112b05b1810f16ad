/* The row group: rows in by cells, out by columns. */
#include "columns_fixture.h"

static struct row_group group;

static int set_up(void **state)
{
    (void)state;
    return row_group_init(&group, 4, EVERY_COUNT, 4, COLUMN_TEXT_BYTES_MAX * 3 * 2);
}

static int tear_down(void **state)
{
    (void)state;
    row_group_deinit(&group);
    return 0;
}

static void rows_become_columns(void **state)
{
    (void)state;
    struct cell cells[EVERY_COUNT];
    row_group_reset(&group, &every_schema);
    every_cells(cells, false, INT64_MIN, INT32_MAX, -1, (struct decimal){6310025, -2}, true, "buy");
    assert_int_equal(row_group_append(&group, cells), 0);
    every_cells(cells, true, 5, -6, 7, (struct decimal){1, -1}, false, "sell");
    assert_int_equal(row_group_append(&group, cells), 0);
    assert_int_equal(group.row_count, 2);
    assert_true(group.columns[I64].i64[0] == INT64_MIN);
    assert_int_equal(group.columns[I32].i64[0], INT32_MAX);
    assert_int_equal(group.columns[TIME].i64[0], -1);
    assert_true(group.columns[F64].f64[0] == 63100.25);
    assert_int_equal(group.columns[BOOL].boolean[0], 1);
    assert_true(group.columns[F64].f64[1] == 0.1);
    CHECK_TEXT(group_text(&group, TEXT, 0), "buy");
    CHECK_TEXT(group_text(&group, TEXT, 1), "sell");
    assert_null(group.columns[I64].valid);
    for (int c = NULL_I64; c <= NULL_TEXT; c++) {
        assert_int_equal(group.columns[c].valid[0], 1);
        assert_int_equal(group.columns[c].valid[1], 0);
    }
    assert_int_equal(group.columns[NULL_I64].i64[1], 0);
    assert_int_equal(group.columns[NULL_TEXT].text_count, 1); /* a null's text is not kept */
}

static void texts_are_kept_once(void **state)
{
    (void)state;
    static const struct column_spec specs[] = {{"text", COLUMN_TEXT, false}};
    static const struct schema schema = {"texts", 1, 1, specs, 0};
    const char *const texts[] = {"a", "b", "a", ""};
    row_group_reset(&group, &schema);
    for (size_t i = 0; i < 4; i++) {
        struct cell cell = cell_text(texts[i]);
        assert_int_equal(row_group_append(&group, &cell), 0);
    }
    assert_int_equal(group.columns[0].text_count, 3);
    assert_int_equal(group.columns[0].text_index[0], 0);
    assert_int_equal(group.columns[0].text_index[1], 1);
    assert_int_equal(group.columns[0].text_index[2], 0);
    CHECK_TEXT(group_text(&group, 0, 3), "");
    assert_int_equal(group.text_used, 2);
}

static void full_group_takes_no_row_and_stays_as_it_was(void **state)
{
    (void)state;
    struct cell cells[EVERY_COUNT];
    row_group_reset(&group, &every_schema);
    for (int i = 0; i < 4; i++) {
        every_cells(cells, false, i, i, i, (struct decimal){i, 0}, false, "x");
        assert_int_equal(row_group_append(&group, cells), 0);
    }
    assert_int_equal(row_group_append(&group, cells), MD_EFULL);
    assert_int_equal(group.row_count, 4);
    assert_int_equal(group.columns[I64].i64[3], 3);
    row_group_reset(&group, &every_schema);
    assert_int_equal(group.row_count, 0);
    assert_int_equal(row_group_append(&group, cells), 0);
}

/* Two text columns; the second one's text does not fit, so the first one's goes again. */
static void text_that_does_not_fit_takes_its_row_back(void **state)
{
    (void)state;
    static const struct column_spec specs[] = {{"a", COLUMN_TEXT, false},
                                               {"b", COLUMN_TEXT, false}};
    static const struct schema schema = {"two", 1, 2, specs, 0};
    struct row_group small;
    assert_int_equal(row_group_init(&small, 8, 2, 8, 60), 0);
    row_group_reset(&small, &schema);
    struct cell cells[2] = {cell_text("0123456789"), cell_text("short")};
    assert_int_equal(row_group_append(&small, cells), 0);
    cells[0] = cell_text("new");
    cells[1] = cell_text("not valid utf-8 at all: \xff and long, too long");
    assert_int_equal(row_group_append(&small, cells), MD_EFULL);
    assert_int_equal(small.row_count, 1);
    assert_int_equal(small.text_used, 15);
    assert_int_equal(small.columns[0].text_count, 1);
    assert_int_equal(small.columns[1].text_count, 1);
    assert_int_equal(small.texts_repaired, 0);
    cells[1] = cell_text("short");
    assert_int_equal(row_group_append(&small, cells), 0);
    assert_int_equal(small.columns[0].text_index[1], 1);
    assert_int_equal(small.columns[0].text_count, 2);
    CHECK_TEXT(group_text(&small, 0, 1), "new");
    row_group_deinit(&small);
}

static void distinct_values_are_bounded(void **state)
{
    (void)state;
    static const struct column_spec specs[] = {{"a", COLUMN_TEXT, false}};
    static const struct schema schema = {"one", 1, 1, specs, 0};
    struct row_group small;
    char text[16];
    assert_int_equal(row_group_init(&small, 100, 2, 10, 4096), 0);
    row_group_reset(&small, &schema);
    for (int i = 0; i < 10; i++) {
        snprintf(text, sizeof text, "text %d", i);
        struct cell cell = cell_text(text);
        assert_int_equal(row_group_append(&small, &cell), 0);
    }
    struct cell more = cell_text("one more");
    assert_int_equal(row_group_append(&small, &more), MD_EFULL);
    struct cell known = cell_text("text 3");
    assert_int_equal(row_group_append(&small, &known), 0);
    row_group_reset(&small, &schema);
    assert_int_equal(row_group_append(&small, &more), 0);
    assert_int_equal(small.columns[0].text_count, 1);
    row_group_deinit(&small);
}

static void text_too_long_is_refused_for_good(void **state)
{
    (void)state;
    static char text[COLUMN_TEXT_BYTES_MAX + 1];
    static const struct column_spec specs[] = {{"a", COLUMN_TEXT, false}};
    static const struct schema schema = {"one", 1, 1, specs, 0};
    memset(text, 'x', sizeof text);
    row_group_reset(&group, &schema);
    struct cell cell = {.text = {text, sizeof text}};
    assert_int_equal(row_group_append(&group, &cell), MD_ETOOBIG);
    cell.text.bytes = COLUMN_TEXT_BYTES_MAX;
    assert_int_equal(row_group_append(&group, &cell), 0);
}

static void wrong_utf8_is_repaired_and_counted(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"\xf0\x9f\x9a\x80", "\xf0\x9f\x9a\x80"},
        {"a\xffz", "a\xef\xbf\xbdz"},
        {"\xc3", "\xef\xbf\xbd"},                                                 /* cut */
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                                 /* overlong */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                 /* a surrogate */
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* > 10FFFF */
        {"\xe5\xb8\x81", "\xe5\xb8\x81"},
    };
    static const struct column_spec specs[] = {{"a", COLUMN_TEXT, false}};
    static const struct schema schema = {"one", 1, 1, specs, 0};
    struct row_group wide;
    assert_int_equal(row_group_init(&wide, 20, 2, 20, 4096), 0);
    row_group_reset(&wide, &schema);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cell cell = cell_text(cases[i].in);
        assert_int_equal(row_group_append(&wide, &cell), 0);
        CHECK_TEXT(group_text(&wide, 0, (uint32_t)i), cases[i].out);
    }
    assert_int_equal(wide.texts_repaired, 5);
    assert_int_equal(wide.columns[0].text_count, 8);
    struct cell again = cell_text("a\xff"
                                  "z");
    assert_int_equal(row_group_append(&wide, &again), 0);
    assert_int_equal(wide.columns[0].text_count, 8); /* the repaired text is known */
    row_group_deinit(&wide);
}

static void more_than_fifteen_digits_are_counted(void **state)
{
    (void)state;
    static const struct column_spec specs[] = {{"price", COLUMN_F64, false}};
    static const struct schema schema = {"one", 1, 1, specs, 0};
    static const struct {
        int64_t mantissa;
        int8_t exponent;
        uint64_t count;
        double value;
    } cases[] = {
        {999999999999999, 0, 0, 999999999999999.0},
        {1234567890123456, -8, 1, 12345678.90123456},
        {1000000000000000000, -18, 1, 1.0}, /* one digit, then zeros */
        {-1234567890123456, -8, 2, -12345678.90123456},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        row_group_reset(&group, &schema);
        struct cell cell = cell_dec(cases[i].mantissa, cases[i].exponent);
        assert_int_equal(row_group_append(&group, &cell), 0);
        assert_int_equal(group.digits_over_15, cases[i].count);
        assert_true(group.columns[0].f64[0] == cases[i].value);
    }
}

static void wider_schema_gets_fewer_rows_in_the_same_room(void **state)
{
    (void)state;
    static struct column_spec specs[COLUMNS_MAX];
    for (int c = 0; c < COLUMNS_MAX; c++) {
        specs[c] = (struct column_spec){"f", COLUMN_F64, true};
    }
    const struct schema wide = {"wide", 1, COLUMNS_MAX, specs, 0};
    const struct schema narrow = {"narrow", 1, 1, specs, 0};
    struct row_group g;
    assert_int_equal(row_group_init(&g, 1000, 13, 16, 4096), 0);
    row_group_reset(&g, &wide);
    assert_int_equal(g.row_capacity, 62); /* 1000 x 13 / 208 */
    struct cell cells[COLUMNS_MAX];
    for (int row = 0; row < 62; row++) {
        for (int c = 0; c < COLUMNS_MAX; c++) {
            cells[c] = cell_dec(row * 1000 + c, 0);
        }
        assert_int_equal(row_group_append(&g, cells), 0);
    }
    assert_int_equal(row_group_append(&g, cells), MD_EFULL);
    assert_true(g.columns[207].f64[61] == 61207);
    assert_true(g.columns[0].f64[0] == 0);
    row_group_reset(&g, &narrow);
    assert_int_equal(g.row_capacity, 1000);
    row_group_deinit(&g);
}

/* Ten text columns share the room of four. */
static void many_text_columns_share_the_room(void **state)
{
    (void)state;
    static struct column_spec specs[10];
    for (int c = 0; c < 10; c++) {
        specs[c] = (struct column_spec){"t", COLUMN_TEXT, false};
    }
    const struct schema schema = {"texts", 1, 10, specs, 0};
    struct row_group g;
    assert_int_equal(row_group_init(&g, 2000, 10, 1000, 1 << 20), 0);
    row_group_reset(&g, &schema);
    assert_int_equal(g.text_values_max, 384); /* three quarters of 512 slots */
    char text[16];
    struct cell cells[10];
    for (int row = 0; row < 384; row++) {
        snprintf(text, sizeof text, "%d", row);
        for (int c = 0; c < 10; c++) {
            cells[c] = cell_text(text);
        }
        assert_int_equal(row_group_append(&g, cells), 0);
    }
    CHECK_TEXT(group_text(&g, 9, 383), "383");
    CHECK_TEXT(group_text(&g, 0, 17), "17");
    row_group_deinit(&g);
}

static void decimals_are_exact_or_null(void **state)
{
    (void)state;
    static const struct {
        struct decimal value;
        const char *text; /* NULL: does not fit */
    } cases[] = {
        {{0, 0}, "0"},
        {{0, -38}, "0"},
        {{6400050, -2}, "64000.5"},
        {{-15, -3}, "-0.015"},
        {{1, -18}, "0.000000000000000001"},
        {{-1, -18}, "-0.000000000000000001"},
        {{10, -19}, "0.000000000000000001"},
        {{1, -19}, NULL},
        {{123456789012345678, -18}, "0.123456789012345678"},
        {{999999999999999999, 0}, "999999999999999999"},
        {{5, 2}, "500"},
        {{9, 19}, "90000000000000000000"},
        {{1, 20}, NULL},
        {{-1, 38}, NULL},
        {{INT64_MIN, 0}, "-9223372036854775808"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        column_dec value = 0;
        char text[COLUMN_DEC_TEXT_MAX + 1];
        bool fits = column_dec_from(cases[i].value, &value);
        assert_int_equal(fits, cases[i].text != NULL);
        if (fits) {
            text[column_dec_format(value, text)] = '\0';
            assert_string_equal(text, cases[i].text);
        }
    }
}

static void no_memory_is_said(void **state)
{
    (void)state;
    struct row_group g;
    assert_int_equal(row_group_init(&g, 1000, 10, UINT32_MAX / 8, SIZE_MAX / 2), MD_ENOMEM);
    row_group_deinit(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_become_columns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(texts_are_kept_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_group_takes_no_row_and_stays_as_it_was, set_up,
                                        tear_down),
        cmocka_unit_test(text_that_does_not_fit_takes_its_row_back),
        cmocka_unit_test(distinct_values_are_bounded),
        cmocka_unit_test_setup_teardown(text_too_long_is_refused_for_good, set_up, tear_down),
        cmocka_unit_test(wrong_utf8_is_repaired_and_counted),
        cmocka_unit_test_setup_teardown(more_than_fifteen_digits_are_counted, set_up, tear_down),
        cmocka_unit_test(wider_schema_gets_fewer_rows_in_the_same_room),
        cmocka_unit_test(many_text_columns_share_the_room),
        cmocka_unit_test(decimals_are_exact_or_null),
        cmocka_unit_test(no_memory_is_said),
    };
    return cmocka_run_group_tests_name("columns", tests, NULL, NULL);
}
