/* Control requests: each method, and each of the venue's error codes. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "sim/sim_control.h"

static char names[256];

static void on_stream(void *context, struct str name)
{
    (void)context;
    size_t used = strlen(names);
    snprintf(names + used, sizeof names - used, "%.*s;", (int)name.bytes, name.data);
}

static int parse(const char *text, struct sim_control *control, char reply[512])
{
    struct buf out = buf_over(reply, 511);
    names[0] = 0;
    int result = sim_control_parse(str_from(text), control, &out, on_stream, NULL);
    reply[out.bytes] = 0;
    return result;
}

static void check_error(const char *text, const char *start, const char *end)
{
    struct sim_control control;
    char reply[512];
    assert_int_equal(parse(text, &control, reply), -1);
    assert_int_equal(strncmp(reply, start, strlen(start)), 0);
    size_t n = strlen(reply);
    assert_true(n > strlen(end));
    assert_string_equal(reply + n - strlen(end), end);
    assert_string_equal(names, ""); /* nothing is subscribed by a request that is refused */
}

static void subscribe_names_its_streams_in_order(void **state)
{
    (void)state;
    struct sim_control control;
    char reply[512];
    assert_int_equal(
        parse("{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@trade\",\"ethusdt@depth\"],"
              "\"id\":1}",
              &control, reply),
        0);
    assert_int_equal(control.method, SIM_SUBSCRIBE);
    assert_string_equal(control.id, "1");
    assert_string_equal(names, "btcusdt@trade;ethusdt@depth;");
    assert_string_equal(reply, "");
}

static void ids_are_numbers_strings_or_null(void **state)
{
    (void)state;
    struct sim_control control;
    char reply[512];
    assert_int_equal(
        parse("{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":-9223372036854775808}", &control, reply),
        0);
    assert_string_equal(control.id, "-9223372036854775808");
    assert_int_equal(parse("{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":\"Ab-1\"}", &control, reply),
                     0);
    assert_string_equal(control.id, "\"Ab-1\"");
    assert_int_equal(parse("{\"method\":\"LIST_SUBSCRIPTIONS\"}", &control, reply), 0);
    assert_string_equal(control.id, "null");
    assert_int_equal(parse("{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":"
                           "\"012345678901234567890123456789012345\"}",
                           &control, reply),
                     0);
    assert_string_equal(control.id, "\"012345678901234567890123456789012345\"");
    check_error("{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":"
                "\"0123456789012345678901234567890123456\"}",
                "{\"code\":2,", ",\"id\":null}");
    check_error("{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":1.5}", "{\"code\":2,", ",\"id\":null}");
    check_error("{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":\"a b\"}", "{\"code\":2,",
                ",\"id\":null}");
}

static void errors_carry_the_venues_codes(void **state)
{
    (void)state;
    check_error("", "{\"code\":3,", ",\"id\":null}");
    check_error("{", "{\"code\":3,", ",\"id\":null}");
    check_error("\xff", "{\"code\":3,", ",\"id\":null}");
    check_error("[]", "{\"code\":2,", ",\"id\":null}");
    check_error("7", "{\"code\":2,", ",\"id\":null}");
    check_error("{\"id\":4}", "{\"code\":2,", ",\"id\":4}");
    check_error("{\"method\":\"GUESS\",\"id\":4}", "{\"code\":2,", ",\"id\":4}");
    check_error("{\"method\":5,\"id\":4}", "{\"code\":2,", ",\"id\":4}");
    check_error("{\"method\":\"SUBSCRIBE\",\"id\":4}", "{\"code\":2,", ",\"id\":4}");
    check_error("{\"method\":\"SUBSCRIBE\",\"params\":[],\"id\":4}", "{\"code\":2,", ",\"id\":4}");
    check_error("{\"method\":\"SUBSCRIBE\",\"params\":[\"a@trade\",5],\"id\":4}", "{\"code\":2,",
                ",\"id\":4}");
    check_error("{\"method\":\"SUBSCRIBE\",\"params\":[\"a@trade\"],\"id\":4,\"x\":1}",
                "{\"code\":2,", ",\"id\":4}");
    check_error("{\"method\":\"SET_PROPERTY\",\"params\":[\"combined\",5],\"id\":4}",
                "{\"code\":1,", ",\"id\":4}");
    check_error("{\"method\":\"SET_PROPERTY\",\"params\":[\"combined\"],\"id\":4}", "{\"code\":2,",
                ",\"id\":4}");
    check_error("{\"method\":\"GET_PROPERTY\",\"params\":[\"colour\"],\"id\":4}", "{\"code\":0,",
                ",\"id\":4}");
}

static void properties_are_read(void **state)
{
    (void)state;
    struct sim_control control;
    char reply[512];
    assert_int_equal(parse("{\"method\":\"SET_PROPERTY\",\"params\":[\"combined\",true],\"id\":5}",
                           &control, reply),
                     0);
    assert_true(control.property_value);
    assert_int_equal(
        parse("{\"method\":\"GET_PROPERTY\",\"params\":[\"combined\"],\"id\":5}", &control, reply),
        0);
    assert_int_equal(control.method, SIM_GET_PROPERTY);
}

static void strings_are_escaped(void **state)
{
    (void)state;
    char text[64];
    struct buf out = buf_over(text, sizeof text - 1);
    sim_control_put_string(&out, STR("a\"b\\c\n\x01"));
    text[out.bytes] = 0;
    assert_string_equal(text, "\"a\\\"b\\\\c\\u000a\\u0001\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscribe_names_its_streams_in_order),
        cmocka_unit_test(ids_are_numbers_strings_or_null),
        cmocka_unit_test(errors_carry_the_venues_codes),
        cmocka_unit_test(properties_are_read),
        cmocka_unit_test(strings_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
