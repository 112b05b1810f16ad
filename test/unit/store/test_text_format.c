/* Numbers and times as text. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/text_format.h"

#define CHECK(call, expected)                  \
    do {                                       \
        char out[TEXT_FORMAT_MAX + 1];         \
        size_t bytes = call;                   \
        assert_true(bytes <= TEXT_FORMAT_MAX); \
        out[bytes] = '\0';                     \
        assert_string_equal(out, expected);    \
    } while (0)

static void doubles_are_the_shortest_text_that_reads_back(void **state)
{
    (void)state;
    CHECK(text_format_double(0.0, out), "0");
    CHECK(text_format_double(-0.0, out), "-0");
    CHECK(text_format_double(1.0, out), "1");
    CHECK(text_format_double(0.1, out), "0.1");
    CHECK(text_format_double(-63100.25, out), "-63100.25");
    CHECK(text_format_double(0.00001, out), "0.00001");
    CHECK(text_format_double(0.00000001, out), "0.00000001");
    CHECK(text_format_double(12345678.90123456, out), "12345678.90123456");
    CHECK(text_format_double(999999999999999.0, out), "999999999999999");
    CHECK(text_format_double(1e15, out), "1e+15");
    CHECK(text_format_double(1e300, out), "1e+300");
    CHECK(text_format_double(0.1 + 0.2, out), "0.30000000000000004");
    CHECK(text_format_double(1.0 / 3, out), "0.3333333333333333");
    CHECK(text_format_double(5e-324, out), "4.94065645841247e-324");
    CHECK(text_format_double(1.7976931348623157e308, out), "1.7976931348623157e+308");
    CHECK(text_format_double(9007199254740993.0, out), "9007199254740992");
    CHECK(text_format_double(NAN, out), "null");
    CHECK(text_format_double(-INFINITY, out), "null");
}

static void every_double_reads_back(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    char out[TEXT_FORMAT_MAX + 1];
    for (int i = 0; i < 200000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        double value;
        if (i % 2 == 0) {
            memcpy(&value, &random, 8);
        } else {
            value = (double)(int64_t)(random >> 24) / pow(10, (double)(random % 13));
        }
        if (!isfinite(value)) {
            continue;
        }
        size_t bytes = text_format_double(value, out);
        assert_true(bytes <= TEXT_FORMAT_MAX);
        out[bytes] = '\0';
        assert_true(strtod(out, NULL) == value);
    }
}

static void integers_are_whole(void **state)
{
    (void)state;
    CHECK(text_format_i64(0, out), "0");
    CHECK(text_format_i64(-1, out), "-1");
    CHECK(text_format_i64(INT64_MAX, out), "9223372036854775807");
    CHECK(text_format_i64(INT64_MIN, out), "-9223372036854775808");
}

static void times_are_iso_8601_with_microseconds(void **state)
{
    (void)state;
    CHECK(text_format_time(0, out), "1970-01-01T00:00:00.000000Z");
    CHECK(text_format_time(-1, out), "1969-12-31T23:59:59.999999Z");
    CHECK(text_format_time(1795424400123456, out), "2026-11-23T09:00:00.123456Z");
    CHECK(text_format_time(951782400000000, out), "2000-02-29T00:00:00.000000Z");
    CHECK(text_format_time(4107542399999999, out), "2100-02-28T23:59:59.999999Z");
    CHECK(text_format_time(4107542400000000, out), "2100-03-01T00:00:00.000000Z");
    CHECK(text_format_time(253402300799999999, out), "9999-12-31T23:59:59.999999Z");
    CHECK(text_format_time(253402300800000000, out), "10000-01-01T00:00:00.000000Z");
    CHECK(text_format_time(INT64_MAX, out), "294247-01-10T04:00:54.775807Z");
    CHECK(text_format_time(INT64_MIN, out), "-290308-12-21T19:59:05.224192Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_are_the_shortest_text_that_reads_back),
        cmocka_unit_test(every_double_reads_back),
        cmocka_unit_test(integers_are_whole),
        cmocka_unit_test(times_are_iso_8601_with_microseconds),
    };
    return cmocka_run_group_tests_name("text_format", tests, NULL, NULL);
}
