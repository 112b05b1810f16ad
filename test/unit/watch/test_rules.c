/* http_rules.c and text.c: who may ask, and hostile text that stays text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "watch/http_rules.h"
#include "watch/text.h"

static struct listen_address parsed(const char *text)
{
    struct listen_address out;
    struct err err;
    assert_int_equal(listen_parse(str_from(text), &out, &err), 0);
    return out;
}

static void listen_takes_numeric_addresses_and_localhost(void **state)
{
    (void)state;
    struct listen_address a = parsed("localhost:9464");
    assert_true(a.on && a.both && a.loopback);
    assert_int_equal(a.port, 9464);
    a = parsed("127.0.0.1:0");
    assert_true(a.on && !a.both && a.loopback && !a.ipv6);
    a = parsed("127.9.9.9:65535");
    assert_true(a.loopback);
    a = parsed("[::1]:80");
    assert_true(a.loopback && a.ipv6);
    assert_string_equal(a.host, "::1");
    assert_false(parsed("0.0.0.0:9464").loopback);
    assert_false(parsed("[::]:9464").loopback);
    assert_false(parsed("192.168.1.4:9464").loopback);
    assert_false(parsed("off").on);
    assert_false(parsed("").on);
}

static void listen_refuses_the_rest_with_words(void **state)
{
    (void)state;
    static const char *const wrong[] = {"9464",        ":9464",        "localhost",
                                        "localhost:",  "localhost:x",  "127.0.0.1:65536",
                                        "example:80",  "[::1]",        "[::1",
                                        "[::1]x:80",   "127.0.0.1:-1", "127.0.0.1:999999999999",
                                        "1.2.3.4.5:1", "::1:80",       "[127.0.0.1]:1x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct listen_address out;
        struct err err = {""};
        assert_int_equal(listen_parse(str_from(wrong[i]), &out, &err), MD_EINVAL);
        assert_non_null(strstr(err.text, "http.listen"));
    }
}

static bool host(const char *text)
{
    struct listen_address listen = parsed("10.1.2.3:9464");
    return host_allowed(str_from(text), &listen, STR("md.example, grafana"));
}

static void host_of_a_request_is_checked_against_rebinding(void **state)
{
    (void)state;
    assert_true(host("localhost:9464"));
    assert_true(host("LOCALHOST"));
    assert_true(host("127.0.0.1:1"));
    assert_true(host("[::1]:9464"));
    assert_true(host("10.1.2.3:9464"));
    assert_true(host("md.example"));
    assert_true(host("Grafana:80"));
    assert_false(host(""));
    assert_false(host("evil.example"));
    assert_false(host("localhost.evil.example"));
    assert_false(host("md.example.evil"));
    assert_false(host("md.example,"));
    assert_false(host("10.1.2.4:9464"));
    assert_false(host("[::1"));
    assert_false(host("localhost:99999"));
    assert_false(host("localhost:9464:1"));
}

static bool given(const char *authorization)
{
    return token_given(str_from(authorization), STR("0123456789abcdef"));
}

static void token_comes_as_bearer_or_as_password(void **state)
{
    (void)state;
    assert_true(given("Bearer 0123456789abcdef"));
    assert_true(given("bearer 0123456789abcdef"));
    assert_true(given("Basic bWU6MDEyMzQ1Njc4OWFiY2RlZg=="));  /* me:... */
    assert_true(given("Basic OjAxMjM0NTY3ODlhYmNkZWY="));      /* :... */
    assert_false(given("Basic MDEyMzQ1Njc4OWFiY2RlZg=="));     /* no colon */
    assert_false(given("Basic bWU6MDEyMzQ1Njc4OWFiY2RlZw==")); /* ...deg */
    assert_false(given("Basic !"));
    assert_false(given("Bearer 0123456789abcdeg"));
    assert_false(given("Bearer 0123456789abcde"));
    assert_false(given("Bearer 0123456789abcdef0123456789abcdef"));
    assert_false(given("Bearer "));
    assert_false(given("Bearer"));
    assert_false(given("0123456789abcdef"));
    assert_false(given(""));
    assert_false(token_given(STR("Bearer "), STR("")));
    assert_false(token_given(STR("Bearer x"), STR("")));
}

#define CHECK_TEXT(function, input, wanted)                      \
    do {                                                         \
        char memory[256];                                        \
        struct buf out = buf_over(memory, sizeof memory);        \
        function(&out, STR(input));                              \
        assert_int_equal(out.bytes, sizeof(wanted) - 1);         \
        assert_memory_equal(memory, wanted, sizeof(wanted) - 1); \
    } while (0)

static void text_from_outside_stays_text(void **state)
{
    (void)state;
    CHECK_TEXT(text_json, "BTCUSDT", "\"BTCUSDT\"");
    CHECK_TEXT(text_json, "a\"b\\c\nd\te\x01\x7f", "\"a\\\"b\\\\c\\nd\\u0009e\\u0001\\u007f\"");
    CHECK_TEXT(text_json, "</script><img src=x>", "\"</script><img src=x>\"");
    CHECK_TEXT(text_json,
               "\xe8\xbf\x99"
               "1",
               "\"\xe8\xbf\x99"
               "1\"");
    CHECK_TEXT(text_json, "\xff\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    CHECK_TEXT(text_json, "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    CHECK_TEXT(text_json, "x\xe8\xbf", "\"x\xef\xbf\xbd\xef\xbf\xbd\"");
    CHECK_TEXT(text_label, "a\"b\\c\nd", "a\\\"b\\\\c\\nd");
    CHECK_TEXT(text_label, "\r\x01", "\xef\xbf\xbd\xef\xbf\xbd");
    CHECK_TEXT(text_label, "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listen_takes_numeric_addresses_and_localhost),
        cmocka_unit_test(listen_refuses_the_rest_with_words),
        cmocka_unit_test(host_of_a_request_is_checked_against_rebinding),
        cmocka_unit_test(token_comes_as_bearer_or_as_password),
        cmocka_unit_test(text_from_outside_stays_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
