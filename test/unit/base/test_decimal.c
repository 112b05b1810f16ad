#include "base_fixture.h"

#include <locale.h>
#include <math.h>

#include "base/decimal.h"
#include "base/err.h"

#define CHECK_PARSE(text, mantissa_, exponent_)              \
    do {                                                     \
        struct decimal d__ = {-5, -5};                       \
        assert_int_equal(decimal_parse(STR(text), &d__), 0); \
        assert_true(d__.mantissa == (mantissa_));            \
        assert_int_equal(d__.exponent, (exponent_));         \
    } while (0)

#define CHECK_REFUSED(text, code)                                 \
    do {                                                          \
        struct decimal d__ = {-5, -5};                            \
        assert_int_equal(decimal_parse(STR(text), &d__), (code)); \
        assert_true(d__.mantissa == -5 && d__.exponent == -5);    \
    } while (0)

static void decimal_parse_keeps_the_scale_as_received(void **state)
{
    (void)state;
    CHECK_PARSE("0.35130000", 35130000, -8);
    CHECK_PARSE("43210.01000000", 4321001000000, -8);
    CHECK_PARSE("0", 0, 0);
    CHECK_PARSE("-0", 0, 0);
    CHECK_PARSE("0.00000000", 0, -8);
    CHECK_PARSE("7", 7, 0);
    CHECK_PARSE("-1.50", -150, -2);
    CHECK_PARSE("007.10", 710, -2);
    CHECK_PARSE("100", 100, 0);
}

static void decimal_parse_reads_exponents(void **state)
{
    (void)state;
    CHECK_PARSE("1.5e-7", 15, -8);
    CHECK_PARSE("1E+3", 1, 3);
    CHECK_PARSE("1e3", 1, 3);
    CHECK_PARSE("-2.50e2", -250, 0);
    CHECK_PARSE("1e-38", 1, -38);
    CHECK_PARSE("1e38", 1, 38);
    CHECK_PARSE("0e99999999999", 0, 0);
}

static void decimal_parse_takes_18_digits_and_drops_zeroes_beyond(void **state)
{
    (void)state;
    CHECK_PARSE("999999999999999999", 999999999999999999, 0);
    CHECK_PARSE("-999999999999999999", -999999999999999999, 0);
    CHECK_PARSE("0.123456789012345678", 123456789012345678, -18);
    CHECK_PARSE("1.0000000000000000000000000", 100000000000000000, -17);
    CHECK_PARSE("123456.7800000000000000000", 123456780000000000, -12);
    CHECK_PARSE("100000000000000000000", 100000000000000000, 3);
    CHECK_PARSE("0.00000000000000000000000000000000000001", 1, -38);
    CHECK_PARSE("0.000000000000000000000000000000000000010", 1, -38);
    CHECK_PARSE("1.000e-37", 10, -38);
    CHECK_PARSE("0.0000000000000000000000000000000000000000000000000000", 0, 0);
    CHECK_PARSE("000000000000000000000000000000000000000000000000001", 1, 0);
    CHECK_PARSE("1e55", 100000000000000000, 38);
}

static void decimal_parse_refuses_values_it_cannot_hold(void **state)
{
    (void)state;
    CHECK_REFUSED("1000000000000000001", MD_ERANGE);
    CHECK_REFUSED("1234567890123456789", MD_ERANGE);
    CHECK_REFUSED("0.1234567890123456789", MD_ERANGE);
    CHECK_REFUSED("1e-39", MD_ERANGE);
    CHECK_REFUSED("1e56", MD_ERANGE);
    CHECK_REFUSED("1e99999999999", MD_ERANGE);
    CHECK_REFUSED("1e-99999999999", MD_ERANGE);
}

static void decimal_parse_refuses_what_is_no_number(void **state)
{
    (void)state;
    CHECK_REFUSED("", MD_EPARSE);
    CHECK_REFUSED("-", MD_EPARSE);
    CHECK_REFUSED("--1", MD_EPARSE);
    CHECK_REFUSED("+1", MD_EPARSE);
    CHECK_REFUSED(" 1", MD_EPARSE);
    CHECK_REFUSED("1 ", MD_EPARSE);
    CHECK_REFUSED(".5", MD_EPARSE);
    CHECK_REFUSED("-.5", MD_EPARSE);
    CHECK_REFUSED("5.", MD_EPARSE);
    CHECK_REFUSED("5.e1", MD_EPARSE);
    CHECK_REFUSED("1.2.3", MD_EPARSE);
    CHECK_REFUSED("1e", MD_EPARSE);
    CHECK_REFUSED("1e-", MD_EPARSE);
    CHECK_REFUSED("1e1.5", MD_EPARSE);
    CHECK_REFUSED("e5", MD_EPARSE);
    CHECK_REFUSED("1x", MD_EPARSE);
    CHECK_REFUSED("0x10", MD_EPARSE);
    CHECK_REFUSED("1,5", MD_EPARSE);
    CHECK_REFUSED("1\0", MD_EPARSE);
    CHECK_REFUSED("nan", MD_EPARSE);
    CHECK_REFUSED("Infinity", MD_EPARSE);
    CHECK_REFUSED("12345678901234567890x", MD_EPARSE);
    CHECK_REFUSED("1234567890.1234567890.", MD_EPARSE);
}

#define CHECK_ROUNDED(text, mantissa_, exponent_, rounded_)                \
    do {                                                                   \
        struct decimal d__ = {-5, -5};                                     \
        bool r__ = !(rounded_);                                            \
        assert_int_equal(decimal_parse_rounded(STR(text), &d__, &r__), 0); \
        assert_true(d__.mantissa == (mantissa_));                          \
        assert_int_equal(d__.exponent, (exponent_));                       \
        assert_int_equal(r__, (rounded_));                                 \
    } while (0)

static void decimal_parse_rounded_keeps_18_digits_of_a_longer_value(void **state)
{
    (void)state;
    CHECK_ROUNDED("0.35130000", 35130000, -8, false);
    CHECK_ROUNDED("999999999999999999", 999999999999999999, 0, false);
    CHECK_ROUNDED("1234567890123456784", 123456789012345678, 1, true);
    CHECK_ROUNDED("1234567890123456785", 123456789012345679, 1, true);
    CHECK_ROUNDED("-1234567890123456785", -123456789012345679, 1, true);
    CHECK_ROUNDED("12345678901.12345678", 123456789011234568, -7, true);
    CHECK_ROUNDED("0.0001234567890123456789", 123456789012345679, -21, true);
    CHECK_ROUNDED("12345678901234567.89e-3", 123456789012345679, -4, true);
    CHECK_ROUNDED("9999999999999999995", 1000000000000000000, 1, true);
    CHECK_ROUNDED("1234567890123456780000.1", 123456789012345678, 4, true);
}

static void decimal_parse_rounded_refuses_what_parse_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "-",
                                      "1.",
                                      "x",
                                      "12345678901234567890x",
                                      "12345678901234567890.",
                                      "12345678901234567890e"};
    struct decimal d = {-5, -5};
    bool rounded = true;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(decimal_parse_rounded(str_from(bad[i]), &d, &rounded), MD_EPARSE);
        assert_false(rounded);
    }
    assert_int_equal(decimal_parse_rounded(STR("1e-39"), &d, &rounded), MD_ERANGE);
    assert_int_equal(decimal_parse_rounded(STR("12345678901234567890e38"), &d, &rounded),
                     MD_ERANGE);
    assert_true(d.mantissa == -5 && d.exponent == -5);
}

/* Every prefix of a number is a number or refused, and nothing behind it is read (ASan looks on).
 */
static void decimal_parse_stands_every_cut(void **state)
{
    (void)state;
    static const char text[] = "-123456.789012e-12";
    for (size_t cut = 0; cut < sizeof text; cut++) {
        char *exact = malloc(cut > 0 ? cut : 1);
        memcpy(exact, text, cut);
        struct decimal d;
        bool number = cut > 1 && cut != 8 && cut != 15 && cut != 16;
        int code = decimal_parse(str_make(exact, cut), &d);
        assert_int_equal(code, number ? 0 : MD_EPARSE);
        free(exact);
    }
}

static void decimal_compare_is_exact_for_any_two(void **state)
{
    (void)state;
    static const struct {
        struct decimal a, b;
        int expected;
    } rows[] = {
        {{3500, -4}, {35, -2}, 0},
        {{35, -2}, {36, -2}, -1},
        {{0, 5}, {0, -5}, 0},
        {{-1, 0}, {0, 0}, -1},
        {{-1, 0}, {1, 0}, -1},
        {{-2, 0}, {-15, -1}, -1},
        {{1, 38}, {999999999999999999, -38}, 1},
        {{-1, 38}, {999999999999999999, 38}, -1},
        {{INT64_MAX, 0}, {INT64_MIN, 0}, 1},
        {{INT64_MAX, -38}, {INT64_MAX, 38}, -1},
        {{1, 18}, {999999999999999999, 0}, 1},
        {{1, 18}, {1000000000000000000, 0}, 0},
        {{1, 18}, {1000000000000000001, 0}, -1},
        {{9, 17}, {899999999999999999, 0}, 1},
        {{INT64_MIN, 0}, {-922337203685477581, 1}, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(decimal_compare(rows[i].a, rows[i].b), rows[i].expected);
        assert_int_equal(decimal_compare(rows[i].b, rows[i].a), -rows[i].expected);
    }
}

static void decimal_rescale_is_exact_or_refuses(void **state)
{
    (void)state;
    int64_t m = -5;
    assert_int_equal(decimal_rescale((struct decimal){35, -2}, -4, &m), 0);
    assert_true(m == 3500);
    assert_int_equal(decimal_rescale((struct decimal){-3500, -4}, -2, &m), 0);
    assert_true(m == -35);
    assert_int_equal(decimal_rescale((struct decimal){0, 38}, -38, &m), 0);
    assert_true(m == 0);
    m = 7;
    assert_int_equal(decimal_rescale((struct decimal){3501, -4}, -2, &m), MD_ERANGE);
    assert_int_equal(decimal_rescale((struct decimal){1, 38}, -38, &m), MD_ERANGE);
    assert_int_equal(decimal_rescale((struct decimal){10, 0}, -18, &m), MD_ERANGE);
    assert_true(m == 7);
    assert_int_equal(decimal_rescale((struct decimal){9, 0}, -18, &m), 0);
    assert_true(m == 9000000000000000000);
}

#define CHECK_FORMAT(mantissa, exponent, expected, expected_short)                \
    do {                                                                          \
        char out__[DECIMAL_TEXT_MAX];                                             \
        size_t n__ = decimal_format((struct decimal){mantissa, exponent}, out__); \
        assert_string_equal(out__, expected);                                     \
        assert_int_equal(n__, strlen(expected));                                  \
        n__ = decimal_format_short((struct decimal){mantissa, exponent}, out__);  \
        assert_string_equal(out__, expected_short);                               \
        assert_int_equal(n__, strlen(expected_short));                            \
    } while (0)

static void decimal_format_is_plain_notation(void **state)
{
    (void)state;
    CHECK_FORMAT(3500, -4, "0.3500", "0.35");
    CHECK_FORMAT(5, 2, "500", "500");
    CHECK_FORMAT(0, 0, "0", "0");
    CHECK_FORMAT(0, 5, "0", "0");
    CHECK_FORMAT(0, -3, "0.000", "0");
    CHECK_FORMAT(-15, -1, "-1.5", "-1.5");
    CHECK_FORMAT(-100, -2, "-1.00", "-1");
    CHECK_FORMAT(1, -8, "0.00000001", "0.00000001");
    CHECK_FORMAT(123, -3, "0.123", "0.123");
    CHECK_FORMAT(1000, 0, "1000", "1000");
    CHECK_FORMAT(INT64_MIN, 38, "-922337203685477580800000000000000000000000000000000000000",
                 "-922337203685477580800000000000000000000000000000000000000");
    CHECK_FORMAT(INT64_MIN, -38, "-0.00000000000000000009223372036854775808",
                 "-0.00000000000000000009223372036854775808");
}

static void decimal_digits_counts_significant_ones(void **state)
{
    (void)state;
    assert_int_equal(decimal_digits((struct decimal){3500, -4}), 2);
    assert_int_equal(decimal_digits((struct decimal){0, -4}), 1);
    assert_int_equal(decimal_digits((struct decimal){-101, 0}), 3);
    assert_int_equal(decimal_digits((struct decimal){INT64_MAX, 0}), 19);
    assert_int_equal(decimal_digits((struct decimal){INT64_MIN, 0}), 19);
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* Expected values are the compiler's own reading of the literal. */
static void decimal_to_double_rounds_the_hard_cases(void **state)
{
    (void)state;
    static const struct {
        struct decimal d;
        double expected;
    } rows[] = {
        {{35130000, -8}, 0.3513},
        {{1, -1}, 0.1},
        {{3, -1}, 0.3},
        {{0, -8}, 0.0},
        {{0, 38}, 0.0},
        {{9007199254740992, 0}, 9007199254740992.0},
        {{9007199254740993, 0}, 9007199254740992.0}, /* tie to even */
        {{9007199254740995, 0}, 9007199254740996.0},
        {{9007199254740991, -22}, 9007199254740991e-22},
        {{9007199254740991, 22}, 9007199254740991e22},
        {{9007199254740993, -22}, 9007199254740993e-22},
        {{1, 23}, 1e23}, /* not 1e22 * 10 */
        {{9, 23}, 9e23},
        {{1, -23}, 1e-23},
        {{89255, -26}, 89255e-26}, /* Clinger's and Gay's */
        {{5, -38}, 5e-38},
        {{123456789012345678, -18}, 123456789012345678e-18},
        {{999999999999999999, 38}, 999999999999999999e38},
        {{999999999999999999, -38}, 999999999999999999e-38},
        {{4503599627370497, -1}, 4503599627370497e-1},
        {{INT64_MIN, 0}, -9223372036854775808.0},
        {{INT64_MAX, 0}, 9223372036854775807.0},
        {{-7, -3}, -0.007},
        {{6929495644600920, 15}, 6929495644600920e15}, /* hard for short cuts, after Paxson */
        {{3738048178790005, -27}, 3738048178790005e-27},
        {{2653779529, -25}, 2653779529e-25},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(same_bits(decimal_to_double(rows[i].d), rows[i].expected));
    }
}

static void decimal_to_double_equals_strtod_on_a_million(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (int i = 0; i < 1000000; i++) {
        uint64_t draw = fixture_next(&random);
        int64_t mantissa = (int64_t)(fixture_next(&random) >> (draw % 63));
        mantissa = draw & 64 ? -mantissa : mantissa;
        struct decimal d = {mantissa, (int8_t)((int)(draw / 128 % 77) - 38)};
        if (draw / 65536 % 2 == 0) { /* as venues send them */
            d = (struct decimal){mantissa % 1000000000000000, (int8_t) - (int)(draw / 128 % 13)};
        }
        char text[64];
        snprintf(text, sizeof text, "%llde%d", (long long)d.mantissa, d.exponent);
        double expected = strtod(text, NULL);
        if (d.mantissa != 0 && !same_bits(decimal_to_double(d), expected)) {
            print_error("%s: %a, awaited %a\n", text, decimal_to_double(d), expected);
            fail();
        }
    }
}

static void decimal_round_trip_of_texts_is_exact(void **state)
{
    (void)state;
    uint64_t random = 2;
    for (int i = 0; i < 200000; i++) {
        int64_t mantissa = (int64_t)(fixture_next(&random) % 1000000000000000000);
        mantissa >>= fixture_next(&random) % 60;
        struct decimal d = {fixture_next(&random) % 2 ? mantissa : -mantissa,
                            (int8_t) - (int)(fixture_next(&random) % 20)};
        char text[DECIMAL_TEXT_MAX];
        struct decimal back = {0};
        size_t n = decimal_format(d, text);
        assert_int_equal(decimal_parse(str_make(text, n), &back), 0);
        assert_int_equal(decimal_compare(d, back), 0);
        assert_true(back.mantissa == d.mantissa && (back.exponent == d.exponent));
    }
}

/* Any locale with a decimal comma; passes over it where none is installed. */
static void decimal_to_double_does_not_heed_the_locale(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "C.UTF-8"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (setlocale(LC_NUMERIC, names[i]) != NULL) {
            assert_true(same_bits(decimal_to_double((struct decimal){123456789012345678, -17}),
                                  1.23456789012345678));
        }
    }
    setlocale(LC_NUMERIC, "C");
}

static struct decimal made_of(const char *text)
{
    struct decimal d = {0};
    assert_int_equal(decimal_parse(str_from(text), &d), 0);
    return d;
}

static void decimal_multiply_is_exact_or_refuses(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"12", "0.001", "0.012"},
        {"-3", "10", "-30"},
        {"0", "-7", "0"},
        {"1.50", "0.0001", "0.000150"},
        {"999999999", "1000000001", "999999999999999999"},
        {"5e17", "2", "1e18"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct decimal product = {0};
        assert_int_equal(decimal_multiply(made_of(cases[i][0]), made_of(cases[i][1]), &product), 0);
        assert_int_equal(decimal_compare(product, made_of(cases[i][2])), 0);
    }
    struct decimal product = {7, 0};
    assert_int_equal(decimal_multiply(made_of("999999999999999999"), made_of("3"), &product),
                     MD_ERANGE);
    assert_int_equal(decimal_multiply(made_of("1e30"), made_of("1e30"), &product), MD_ERANGE);
    assert_int_equal(decimal_multiply(made_of("3e-30"), made_of("1e-30"), &product), MD_ERANGE);
    assert_int_equal(product.mantissa, 7);
}

static void decimal_divide_rounds_to_the_digits(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int digits;
        const char *quotient;
    } cases[] = {
        {"100", "8", 15, "12.5"},
        {"1", "3", 15, "0.333333333333333"},
        {"2", "3", 15, "0.666666666666667"},
        {"-2", "3", 3, "-0.667"},
        {"2500", "64999.5", 15, "0.0384618343218025"},
        {"0", "7", 15, "0"},
        {"123456789012345678", "1", 15, "123456789012346000"},
        {"123456789012345678", "0.1", 18, "1234567890123456780"},
        {"999999999999999999", "1", 15, "1000000000000000000"},
        {"1", "999999999999999999", 18, "0.00000000000000000100000000000000000"},
        {"999999999999999999", "999999999999999998", 18, "1"},
        {"25", "10", 1, "3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct decimal quotient = {0};
        assert_int_equal(
            decimal_divide(made_of(cases[i].a), made_of(cases[i].b), cases[i].digits, &quotient),
            0);
        if (decimal_compare(quotient, made_of(cases[i].quotient)) != 0) {
            print_error("%s / %s\n", cases[i].a, cases[i].b);
            fail();
        }
    }
    struct decimal quotient = {7, 0};
    assert_int_equal(decimal_divide(made_of("1"), made_of("0"), 15, &quotient), MD_ERANGE);
    assert_int_equal(decimal_divide(made_of("1e38"), made_of("1e-38"), 15, &quotient), MD_ERANGE);
    assert_int_equal(quotient.mantissa, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimal_parse_keeps_the_scale_as_received),
        cmocka_unit_test(decimal_parse_reads_exponents),
        cmocka_unit_test(decimal_parse_takes_18_digits_and_drops_zeroes_beyond),
        cmocka_unit_test(decimal_parse_refuses_values_it_cannot_hold),
        cmocka_unit_test(decimal_parse_refuses_what_is_no_number),
        cmocka_unit_test(decimal_parse_rounded_keeps_18_digits_of_a_longer_value),
        cmocka_unit_test(decimal_parse_rounded_refuses_what_parse_refuses),
        cmocka_unit_test(decimal_parse_stands_every_cut),
        cmocka_unit_test(decimal_compare_is_exact_for_any_two),
        cmocka_unit_test(decimal_rescale_is_exact_or_refuses),
        cmocka_unit_test(decimal_multiply_is_exact_or_refuses),
        cmocka_unit_test(decimal_divide_rounds_to_the_digits),
        cmocka_unit_test(decimal_format_is_plain_notation),
        cmocka_unit_test(decimal_digits_counts_significant_ones),
        cmocka_unit_test(decimal_to_double_rounds_the_hard_cases),
        cmocka_unit_test(decimal_to_double_equals_strtod_on_a_million),
        cmocka_unit_test(decimal_round_trip_of_texts_is_exact),
        cmocka_unit_test(decimal_to_double_does_not_heed_the_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
