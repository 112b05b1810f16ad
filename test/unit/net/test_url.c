/* URLs and net.proxy, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "net/proxy.h"
#include "net/ws_client.h"

static void good_urls_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool tls;
        const char *host;
        uint16_t port;
        const char *target;
    } cases[] = {
        {"wss://stream.example.com", true, "stream.example.com", 443, "/"},
        {"wss://stream.example.com/", true, "stream.example.com", 443, "/"},
        {"ws://stream.example.com", false, "stream.example.com", 80, "/"},
        {"https://a", true, "a", 443, "/"},
        {"http://a:1", false, "a", 1, "/"},
        {"wss://a:65535/stream?streams=b@trade/c@trade", true, "a", 65535,
         "/stream?streams=b@trade/c@trade"},
        {"wss://127.0.0.1:9443/ws", true, "127.0.0.1", 9443, "/ws"},
        {"wss://[::1]:9443/ws", true, "::1", 9443, "/ws"},
        {"wss://[fe80::1]/", true, "fe80::1", 443, "/"},
        {"ws://a:080/", false, "a", 80, "/"},
        {"ws://a/?q", false, "a", 80, "/?q"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct url url;
        struct err err = {""};
        assert_int_equal(url_parse(cases[i].url, &url, &err), 0);
        assert_int_equal(url.tls, cases[i].tls);
        assert_int_equal(url.port, cases[i].port);
        assert_true(str_equal(url.host, str_from(cases[i].host)));
        assert_true(str_equal(url.target, str_from(cases[i].target)));
    }
}

static void bad_urls_are_refused_with_words(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "stream.example.com",
        "ftp://a/",
        "WSS://a/",
        "wss:/a",
        "wss://",
        "wss:///x",
        "wss://:443/",
        "wss://a:/",
        "wss://a:0/",
        "wss://a:65536/",
        "wss://a:99999999999/",
        "wss://a:-1/",
        "wss://a:4x/",
        "wss://a b/",
        "wss://a/x y",
        "wss://a/x\r\nHost: evil",
        "wss://a/x\ty",
        "wss://a\x7f/",
        "wss://a#x",
        "wss://a/x#fragment",
        "wss://a?x",
        "wss://user@a/",
        "wss://user:secret@a/",
        "wss://[::1/",
        "wss://[::1]x/",
        "wss://[]/",
        "wss://[not-an-address]/",
        "wss://a\\b/",
        "wss://a\"b/",
        "wss://a%00b/",
        "wss://\xc3\xa9.example/",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct url url;
        struct err err = {""};
        if (url_parse(bad[i], &url, &err) != MD_EINVAL || err.text[0] == 0) {
            fail_msg("%s: taken, or without words", bad[i]);
        }
        assert_null(strstr(err.text, "secret"));
    }
}

static void host_of_254_characters_is_refused(void **state)
{
    (void)state;
    char text[300] = "wss://";
    struct url url;
    memset(text + 6, 'a', 253);
    assert_int_equal(url_parse(text, &url, NULL), 0);
    assert_int_equal(url.host.bytes, 253);
    text[6 + 253] = 'a';
    assert_int_equal(url_parse(text, &url, NULL), MD_EINVAL);
}

static void proxies_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int kind;
        const char *host;
        uint16_t port;
        const char *user, *password;
    } cases[] = {
        {"", PROXY_NONE, "", 0, "", ""},
        {"http://proxy.example:3128", PROXY_HTTP, "proxy.example", 3128, "", ""},
        {"http://proxy.example:3128/", PROXY_HTTP, "proxy.example", 3128, "", ""},
        {"http://proxy.example", PROXY_HTTP, "proxy.example", 8080, "", ""},
        {"http://u:p@h:1", PROXY_HTTP, "h", 1, "u", "p"},
        {"http://u@h:1", PROXY_HTTP, "h", 1, "u", ""},
        {"http://u:p%40q%3A@h:1", PROXY_HTTP, "h", 1, "u", "p@q:"},
        {"http://u:a@b@h:1", PROXY_HTTP, "h", 1, "u", "a@b"},
        {"socks5h://h", PROXY_SOCKS5, "h", 1080, "", ""},
        {"socks5h://u:p@[::1]:9050", PROXY_SOCKS5, "::1", 9050, "u", "p"},
        {"socks5h://[::1]", PROXY_SOCKS5, "::1", 1080, "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct proxy proxy;
        assert_int_equal(proxy_parse(cases[i].text, &proxy, NULL), 0);
        assert_int_equal(proxy.kind, cases[i].kind);
        assert_string_equal(proxy.host, cases[i].host);
        assert_int_equal(proxy.port, cases[i].port);
        assert_string_equal(proxy.user, cases[i].user);
        assert_string_equal(proxy.password, cases[i].password);
    }
}

static void bad_proxies_are_refused_without_their_password(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "proxy.example:3128",
        "https://h:1",
        "socks5://h:1",
        "socks4://h:1",
        "http://",
        "http://h:0",
        "http://h:70000",
        "http://h:1/path",
        "http://u:secret@",
        "http://u:sec%zzret@h:1",
        "http://u:sec%0@h:1",
        "http://u%00:secret@h:1",
        "http://u:secret%0d@h:1",
        "http://h h:1",
        "http://:secret@h:1",
        "socks5h://u:secret@h:1x",
        "http://u:secret@h:1#",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct proxy proxy;
        struct err err = {""};
        if (proxy_parse(bad[i], &proxy, &err) != MD_EPROXY) {
            fail_msg("%s: taken", bad[i]);
        }
        assert_non_null(strstr(err.text, "net.proxy"));
        assert_null(strstr(err.text, "sec"));
    }
    char text[300] = "http://u:";
    struct proxy proxy;
    memset(text + 9, 's', 200);
    memcpy(text + 209, "@h:1", 5);
    assert_int_equal(proxy_parse(text, &proxy, NULL), MD_EPROXY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls_are_taken_apart),
        cmocka_unit_test(bad_urls_are_refused_with_words),
        cmocka_unit_test(host_of_254_characters_is_refused),
        cmocka_unit_test(proxies_are_taken_apart),
        cmocka_unit_test(bad_proxies_are_refused_without_their_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
