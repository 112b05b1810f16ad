#include "base_fixture.h"

#include "base/err.h"
#include "base/str.h"

#define CHECK_TEXT(text_, expected)                               \
    do {                                                          \
        struct str text__ = (text_);                              \
        assert_int_equal(text__.bytes, strlen(expected));         \
        assert_memory_equal(text__.data, expected, text__.bytes); \
    } while (0)

static void buf_holds_what_is_put_in_order(void **state)
{
    (void)state;
    char memory[128];
    struct buf buf = buf_over(memory, sizeof memory);
    buf_put(&buf, "ab", 2);
    buf_put(&buf, NULL, 0);
    buf_put_char(&buf, '|');
    buf_put_str(&buf, STR("cd"));
    buf_put_char(&buf, ' ');
    buf_put_i64(&buf, INT64_MIN);
    buf_put_char(&buf, ' ');
    buf_put_i64(&buf, 0);
    buf_put_char(&buf, ' ');
    buf_put_u64(&buf, UINT64_MAX);
    buf_printf(&buf, " %d-%s", -7, "x");
    CHECK_TEXT(buf_view(&buf), "ab|cd -9223372036854775808 0 18446744073709551615 -7-x");
    assert_false(buf.overflow);
}

static void buf_overflow_keeps_the_last_whole_write_and_stays(void **state)
{
    (void)state;
    char memory[9] = "????????";
    struct buf buf = buf_over(memory, 8);
    buf_put_str(&buf, STR("12345"));
    buf_put_i64(&buf, 6789);
    assert_true(buf.overflow);
    buf_put_char(&buf, 'x'); /* would fit, but comes after the loss */
    CHECK_TEXT(buf_view(&buf), "12345");
    assert_int_equal(memory[8], 0);
    buf_reset(&buf);
    buf_put_str(&buf, STR("12345678"));
    assert_false(buf.overflow);
    CHECK_TEXT(buf_view(&buf), "12345678");
    buf_put_char(&buf, '9');
    assert_true(buf.overflow);
}

static void buf_printf_of_long_texts_needs_room_for_all_of_it(void **state)
{
    (void)state;
    char memory[3000];
    struct buf buf = buf_over(memory, 2001);
    memory[2001] = '!';
    buf_printf(&buf, "%02000d", 7);
    assert_false(buf.overflow);
    assert_int_equal(buf.bytes, 2000);
    assert_int_equal(memory[1999], '7');
    buf_printf(&buf, "%s", "xy");
    assert_true(buf.overflow);
    assert_int_equal(buf.bytes, 2000);
    buf_reset(&buf);
    buf_printf(&buf, "%02001d", 7);
    assert_true(buf.overflow);
    assert_int_equal(buf.bytes, 0);
    assert_int_equal(memory[2001], '!');
}

static void varint_takes_the_bytes_of_its_size(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        size_t bytes;
        uint8_t first, last;
    } rows[] = {
        {0, 1, 0x00, 0x00},           {127, 1, 0x7f, 0x7f},         {128, 2, 0x80, 0x01},
        {300, 2, 0xac, 0x02},         {16383, 2, 0xff, 0x7f},       {16384, 3, 0x80, 0x01},
        {1ULL << 63, 10, 0x80, 0x01}, {UINT64_MAX, 10, 0xff, 0x01},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bytes[11];
        memset(bytes, 0xee, sizeof bytes);
        assert_int_equal(varint_put(bytes, rows[i].value), rows[i].bytes);
        assert_int_equal(bytes[0], rows[i].first);
        assert_int_equal(bytes[rows[i].bytes - 1], rows[i].last);
        assert_int_equal(bytes[rows[i].bytes], 0xee);
        uint64_t value = 1;
        assert_int_equal(varint_get(bytes, bytes + sizeof bytes, &value), rows[i].bytes);
        assert_true(value == rows[i].value);
        for (size_t cut = 0; cut < rows[i].bytes; cut++) {
            assert_int_equal(varint_get(bytes, bytes + cut, &value), 0);
        }
    }
}

static void varint_of_more_than_64_bits_is_refused(void **state)
{
    (void)state;
    uint64_t value = 5;
    const uint8_t eleven[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0x00};
    const uint8_t two[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    assert_int_equal(varint_get(eleven, eleven + sizeof eleven, &value), 0);
    assert_int_equal(varint_get(two, two + sizeof two, &value), 0);
    assert_true(value == 5);
}

static void zigzag_puts_small_values_of_either_sign_first(void **state)
{
    (void)state;
    assert_true(zigzag(0) == 0);
    assert_true(zigzag(-1) == 1);
    assert_true(zigzag(1) == 2);
    assert_true(zigzag(INT64_MIN) == UINT64_MAX);
    static const int64_t values[] = {0, 1, -1, 63, -64, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_true(unzigzag(zigzag(values[i])) == values[i]);
    }
}

static void str_equal_compares_bytes_not_pointers(void **state)
{
    (void)state;
    assert_true(str_equal(STR("a\0b"), str_make("a\0bc", 3)));
    assert_false(str_equal(STR("a"), STR("b")));
    assert_false(str_equal(STR("a"), STR("ab")));
    assert_true(str_equal(str_make(NULL, 0), STR("")));
}

static void loads_and_stores_are_little_endian_at_any_alignment(void **state)
{
    (void)state;
    uint8_t bytes[] = {9, 1, 2, 3, 4, 5, 6, 7, 8};
    assert_int_equal(load_u16(bytes + 1), 0x0201);
    assert_true(load_u32(bytes + 1) == 0x04030201u);
    assert_true(load_u64(bytes + 1) == 0x0807060504030201u);
    store_u16(bytes + 1, 0xa1a2);
    store_u32(bytes + 3, 0xb1b2b3b4u);
    static const uint8_t expected[] = {9, 0xa2, 0xa1, 0xb4, 0xb3, 0xb2, 0xb1, 7, 8};
    assert_memory_equal(bytes, expected, sizeof expected);
    store_u64(bytes + 1, 0x0807060504030201u);
    assert_int_equal(bytes[8], 8);
}

static void str_printable_shows_hostile_bytes_on_one_line(void **state)
{
    (void)state;
    char out[64];
    size_t n = str_printable(out, sizeof out, "ok\n\x1b[2J\\ \x7f\0\xff~", 13);
    assert_string_equal(out, "ok\\x0A\\x1B[2J\\\\ \\x7F\\x00\\xFF~");
    assert_int_equal(n, strlen(out));
}

static void str_printable_never_cuts_an_escape_and_always_terminates(void **state)
{
    (void)state;
    char out[16];
    for (size_t capacity = 1; capacity <= 10; capacity++) {
        memset(out, '!', sizeof out);
        size_t n = str_printable(out, capacity, "a\nb", 3);
        const char *expected = capacity < 2   ? ""
                               : capacity < 6 ? "a"
                               : capacity < 7 ? "a\\x0A"
                                              : "a\\x0Ab";
        assert_string_equal(out, expected);
        assert_int_equal(n, strlen(expected));
        assert_int_equal(out[capacity], '!');
    }
    out[0] = '!';
    assert_int_equal(str_printable(out, 0, "a", 1), 0);
    assert_int_equal(out[0], '!');
}

#define CHECK_COMPONENT(name_, expected)                                                        \
    do {                                                                                        \
        char out__[256], back__[256];                                                           \
        size_t bytes__ = 0;                                                                     \
        struct str name__ = (name_);                                                            \
        assert_int_equal(str_path_component(out__, name__), strlen(expected));                  \
        assert_string_equal(out__, expected);                                                   \
        assert_int_equal(str_path_decode(str_from(out__), back__, sizeof back__, &bytes__), 0); \
        assert_int_equal(bytes__, name__.bytes);                                                \
        assert_memory_equal(back__, name__.data, bytes__);                                      \
    } while (0)

static void path_component_of_each_name_in_faults_row_16_is_safe_and_reversible(void **state)
{
    (void)state;
    CHECK_COMPONENT(STR("BTCUSDT"), "BTCUSDT");
    CHECK_COMPONENT(STR("btcusdt"), "btcusdt");
    CHECK_COMPONENT(STR("BTC-USD_240628.5"), "BTC-USD_240628.5");
    CHECK_COMPONENT(STR("../x"), "%2E.%2Fx");
    CHECK_COMPONENT(STR("a/b"), "a%2Fb");
    CHECK_COMPONENT(STR("."), "%2E");
    CHECK_COMPONENT(STR(".."), "%2E.");
    CHECK_COMPONENT(STR("CON"), "CON");
    CHECK_COMPONENT(STR("a\0b"), "a%00b");
    CHECK_COMPONENT(STR("%2e%2e"), "%252e%252e");
    CHECK_COMPONENT(STR("\xe5\xb8\x81"), "%E5%B8%81");
    CHECK_COMPONENT(STR(" "), "%20");
}

static void path_component_of_no_name_differs_from_every_name(void **state)
{
    (void)state;
    CHECK_COMPONENT(STR(""), "%00empty");
    CHECK_COMPONENT(STR("\0empty"), "%00%65mpty");
    CHECK_COMPONENT(STR("%00empty"), "%2500empty");
    CHECK_COMPONENT(STR("%00%65mpty"), "%2500%2565mpty");
}

static void path_component_of_a_long_name_is_cut_with_its_hash(void **state)
{
    (void)state;
    char name[300], out[256], other[256], back[256];
    size_t bytes = 0;
    memset(name, 'a', sizeof name);
    assert_int_equal(str_path_component(out, str_make(name, 200)), 200);
    assert_null(strchr(out, '%'));
    assert_int_equal(str_path_component(out, str_make(name, 300)), 200);
    assert_memory_equal(out + 182, "%~", 2);
    assert_int_equal(strspn(out + 184, "0123456789ABCDEF"), 16);
    assert_int_equal(str_path_decode(str_from(out), back, sizeof back, &bytes), MD_ENOTSUP);
    name[299] = 'b'; /* differs behind the cut only */
    assert_int_equal(str_path_component(other, str_make(name, 300)), 200);
    assert_string_not_equal(out, other);
    memset(name, '/',
           sizeof name); /* an escape is never cut in two: 60 of 3 bytes, then the hash */
    assert_int_equal(str_path_component(out, str_make(name, 67)), 198);
    assert_memory_equal(out + 177, "%2F%~", 5);
}

/* These files exist on disks: the hash may not change. */
static void path_component_hash_is_what_it_always_was(void **state)
{
    (void)state;
    char name[201], out[256];
    memset(name, 'a', sizeof name);
    str_path_component(out, str_make(name, sizeof name));
    assert_string_equal(out + 182, "%~2AAB91651E6753A5");
}

static void path_decode_refuses_what_path_component_never_writes(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "a/b", ".a",          "%",    "%2",  "a%2",
                                      "%2f", "%zz", "%41",         "a%2E", "a b", "\x80",
                                      "a%",  "%-1", "%00%65mptyx", "%65"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char out[256];
        size_t bytes = 9;
        assert_int_equal(str_path_decode(str_from(bad[i]), out, sizeof out, &bytes), MD_EPARSE);
        assert_int_equal(bytes, 0);
    }
}

static void path_decode_says_when_the_name_does_not_fit(void **state)
{
    (void)state;
    char out[4] = "???";
    size_t bytes = 0;
    assert_int_equal(str_path_decode(STR("ab%2F"), out, 3, &bytes), 0);
    assert_int_equal(bytes, 3);
    assert_int_equal(str_path_decode(STR("ab%2Fd"), out, 3, &bytes), MD_ETOOBIG);
    assert_int_equal(out[3], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_holds_what_is_put_in_order),
        cmocka_unit_test(buf_overflow_keeps_the_last_whole_write_and_stays),
        cmocka_unit_test(buf_printf_of_long_texts_needs_room_for_all_of_it),
        cmocka_unit_test(varint_takes_the_bytes_of_its_size),
        cmocka_unit_test(varint_of_more_than_64_bits_is_refused),
        cmocka_unit_test(zigzag_puts_small_values_of_either_sign_first),
        cmocka_unit_test(str_equal_compares_bytes_not_pointers),
        cmocka_unit_test(loads_and_stores_are_little_endian_at_any_alignment),
        cmocka_unit_test(str_printable_shows_hostile_bytes_on_one_line),
        cmocka_unit_test(str_printable_never_cuts_an_escape_and_always_terminates),
        cmocka_unit_test(path_component_of_each_name_in_faults_row_16_is_safe_and_reversible),
        cmocka_unit_test(path_component_of_no_name_differs_from_every_name),
        cmocka_unit_test(path_component_of_a_long_name_is_cut_with_its_hash),
        cmocka_unit_test(path_component_hash_is_what_it_always_was),
        cmocka_unit_test(path_decode_refuses_what_path_component_never_writes),
        cmocka_unit_test(path_decode_says_when_the_name_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
