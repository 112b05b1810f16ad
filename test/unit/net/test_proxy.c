/* The talk with a proxy: as bytes alone, then through small real proxies. */
#include "fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/proxy.h"

/* ---- bytes alone */

struct talk_case {
    const char *proxy, *host;
    const char *steps[6]; /* what we send, what it answers, and so on */
    size_t bytes[6];
    int result;
    const char *words;
};
static const char http_plain[] = "CONNECT h.example:443 HTTP/1.1\r\nHost: h.example:443\r\n\r\n";
static const char http_auth[] = "CONNECT h.example:443 HTTP/1.1\r\nHost: h.example:443\r\n"
                                "Proxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n";
static const char http_six[] = "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n";
#define SOCKS_NAME "\x05\x01\x00\x03\x09h.example\x01\xbb"
#define SOCKS_OK "\x05\x00\x00\x01\x01\x02\x03\x04\x05\x06"

static const struct talk_case talks[] = {
    {"http://p:1", "h.example", {http_plain, "HTTP/1.1 200 OK\r\n\r\n"}, {0}, PROXY_DONE, ""},
    {"http://p:1",
     "h.example",
     {http_plain, "HTTP/1.0 200 Connection established\r\nA: b\r\n\r\n"},
     {0},
     PROXY_DONE,
     ""},
    {"http://p:1", "::1", {http_six, "HTTP/1.1 200 OK\r\n\r\n"}, {0}, PROXY_DONE, ""},
    {"http://user:p%40ss@p:1",
     "h.example",
     {http_auth, "HTTP/1.1 200 OK\r\n\r\n"},
     {0},
     PROXY_DONE,
     ""},
    {"http://user:p%40ss@p:1",
     "h.example",
     {http_auth, "HTTP/1.1 407 No\r\n\r\n"},
     {0},
     MD_EPROXY,
     "proxy p port 1: user or password refused; net.proxy takes http://user:password@host:port"},
    {"http://p:1",
     "h.example",
     {http_plain, "HTTP/1.1 407 No\r\n\r\nbody"},
     {0},
     MD_EPROXY,
     "proxy p port 1: wants user and password; net.proxy takes http://user:password@host:port"},
    {"http://p:1",
     "h.example",
     {http_plain, "HTTP/1.1 403 No\r\n\r\n"},
     {0},
     MD_EPROXY,
     "proxy p port 1: no connection to h.example port 443: CONNECT refused with status 403"},
    {"http://p:1",
     "h.example",
     {http_plain, "HTTP/1.1 502 No\r\n\r\n"},
     {0},
     MD_ECONNECT,
     "proxy p port 1: no connection to h.example port 443: CONNECT refused with status 502"},
    {"http://p:1",
     "h.example",
     {http_plain, "\x05\x00"},
     {0, 2},
     MD_EPROXY,
     "proxy p port 1: does not answer as an HTTP proxy (is it socks5h://?); check net.proxy"},
    {"http://p:1",
     "h.example",
     {http_plain, "HTTP/1.1 2x0 OK\r\n\r\n"},
     {0},
     MD_EPROXY,
     "proxy p port 1: does not answer as an HTTP proxy; check net.proxy"},
    {"http://p:1",
     "h.example",
     {http_plain, "HTTP/1.1 200 OK\r\n\r\nSSH-2.0"},
     {0},
     MD_EPROXY,
     "proxy p port 1: sent more than its answer; check net.proxy"},
    {"socks5h://p:1",
     "h.example",
     {"\x05\x01\x00", "\x05\x00", SOCKS_NAME, SOCKS_OK},
     {3, 2, 16, 10},
     PROXY_DONE,
     ""},
    {"socks5h://p:1",
     "h.example",
     {"\x05\x01\x00", "\x05\x00", SOCKS_NAME, "\x05\x00\x00\x03\x02hi\x05\x06"},
     {3, 2, 16, 9},
     PROXY_DONE,
     ""},
    {"socks5h://p:1",
     "h.example",
     {"\x05\x01\x00", "\x05\x00", SOCKS_NAME,
      "\x05\x00\x00\x04"
      "1234567890123456\x05\x06"},
     {3, 2, 16, 22},
     PROXY_DONE,
     ""},
    {"socks5h://p:1",
     "1.2.3.4",
     {"\x05\x01\x00", "\x05\x00", "\x05\x01\x00\x01\x01\x02\x03\x04\x01\xbb", SOCKS_OK},
     {3, 2, 10, 10},
     PROXY_DONE,
     ""},
    {"socks5h://p:1",
     "::1",
     {"\x05\x01\x00", "\x05\x00",
      "\x05\x01\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\xbb",
      SOCKS_OK},
     {3, 2, 22, 10},
     PROXY_DONE,
     ""},
    {"socks5h://user:pass@p:1",
     "h.example",
     {"\x05\x02\x00\x02", "\x05\x02", "\x01\x04user\x04pass", "\x01\x00", SOCKS_NAME, SOCKS_OK},
     {4, 2, 11, 2, 16, 10},
     PROXY_DONE,
     ""},
    {"socks5h://user:pass@p:1",
     "h.example",
     {"\x05\x02\x00\x02", "\x05\x00", SOCKS_NAME, SOCKS_OK},
     {4, 2, 16, 10},
     PROXY_DONE,
     ""},
    {"socks5h://user:pass@p:1",
     "h.example",
     {"\x05\x02\x00\x02", "\x05\x02", "\x01\x04user\x04pass", "\x01\x01"},
     {4, 2, 11, 2},
     MD_EPROXY,
     "proxy p port 1: user or password refused; net.proxy takes socks5h://user:password@host:port"},
    {"socks5h://p:1",
     "h.example",
     {"\x05\x01\x00", "\x05\xff"},
     {3, 2},
     MD_EPROXY,
     "proxy p port 1: wants user and password; net.proxy takes socks5h://user:password@host:port"},
    {"socks5h://p:1",
     "h.example",
     {"\x05\x01\x00", "\x05\x02"},
     {3, 2},
     MD_EPROXY,
     "proxy p port 1: wants user and password; net.proxy takes socks5h://user:password@host:port"},
    {"socks5h://p:1",
     "h.example",
     {"\x05\x01\x00", "\x05\x01"},
     {3, 2},
     MD_EPROXY,
     "proxy p port 1: asks for a way to sign in that we do not know; check net.proxy"},
    {"socks5h://p:1",
     "h.example",
     {"\x05\x01\x00", "HTTP/1.1 400"},
     {3, 12},
     MD_EPROXY,
     "proxy p port 1: does not answer as a SOCKS5 proxy (is it http://?); check net.proxy"},
    {"socks5h://p:1",
     "h.example",
     {"\x05\x01\x00", "\x05\x00", SOCKS_NAME, "\x05\x02"},
     {3, 2, 16, 2},
     MD_EPROXY,
     "proxy p port 1: no connection to h.example port 443: not allowed by its rules"},
    {"socks5h://p:1",
     "h.example",
     {"\x05\x01\x00", "\x05\x00", SOCKS_NAME, "\x05\x04"},
     {3, 2, 16, 2},
     MD_ECONNECT,
     "proxy p port 1: no connection to h.example port 443: host unreachable or name not known"},
    {"socks5h://p:1",
     "h.example",
     {"\x05\x01\x00", "\x05\x00", SOCKS_NAME, "\x05\x05"},
     {3, 2, 16, 2},
     MD_ECONNECT,
     "proxy p port 1: no connection to h.example port 443: connection refused"},
    {"socks5h://p:1",
     "h.example",
     {"\x05\x01\x00", "\x05\x00", SOCKS_NAME, "\x05\x63"},
     {3, 2, 16, 2},
     MD_EPROXY,
     "proxy p port 1: no connection to h.example port 443: unknown reply"},
    {"socks5h://p:1",
     "h.example",
     {"\x05\x01\x00", "\x05\x00", SOCKS_NAME, "\x04\x00"},
     {3, 2, 16, 2},
     MD_EPROXY,
     "proxy p port 1: does not answer as a SOCKS5 proxy; check net.proxy"},
    {"socks5h://p:1",
     "h.example",
     {"\x05\x01\x00", "\x05\x00", SOCKS_NAME, "\x05\x00\x00\x07\x01\x02\x03\x04\x05\x06"},
     {3, 2, 16, 10},
     MD_EPROXY,
     "proxy p port 1: does not answer as a SOCKS5 proxy; check net.proxy"},
};

static size_t step_bytes(const struct talk_case *one, int step)
{
    return one->bytes[step] > 0 ? one->bytes[step] : strlen(one->steps[step]);
}

/* Runs one talk, feeding each answer in pieces of `piece` bytes. */
static void run_talk(const struct talk_case *one, size_t piece)
{
    struct proxy proxy;
    struct proxy_talk talk;
    char memory[PROXY_SEND_BYTES_MAX];
    struct buf out = buf_over(memory, sizeof memory);
    struct err err = {""};
    assert_int_equal(proxy_parse(one->proxy, &proxy, NULL), 0);
    int result = proxy_talk_begin(&talk, &proxy, str_from(one->host), 443, &out);
    for (int step = 0; step < 6 && one->steps[step] != NULL; step += 2) {
        assert_int_equal(result, PROXY_MORE);
        assert_int_equal(out.bytes, step_bytes(one, step));
        assert_memory_equal(out.data, one->steps[step], out.bytes);
        size_t bytes = step_bytes(one, step + 1);
        for (size_t at = 0; at < bytes && result == PROXY_MORE; at += piece) {
            size_t n = bytes - at < piece ? bytes - at : piece;
            result = proxy_talk_feed(&talk, one->steps[step + 1] + at, n, &out, &err);
        }
    }
    /* bytes behind the answer are seen only when they come with it */
    bool behind = strstr(one->words, "more than its answer") != NULL;
    if (result != one->result && !(behind && piece < 20)) {
        fail_msg("%s, pieces of %zu: result %d (%s), want %d", one->words, piece, result, err.text,
                 one->result);
    }
    if (result < 0) {
        assert_string_equal(err.text, one->words);
    }
}

static void talks_whole_and_in_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof talks / sizeof talks[0]; i++) {
        for (size_t piece = 1; piece < 6; piece++) {
            run_talk(&talks[i], piece);
        }
        run_talk(&talks[i], 4096);
    }
}

static void answers_cut_short_want_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof talks / sizeof talks[0]; i++) {
        const struct talk_case *one = &talks[i];
        struct proxy proxy;
        struct proxy_talk talk;
        char memory[PROXY_SEND_BYTES_MAX];
        struct buf out = buf_over(memory, sizeof memory);
        size_t bytes = step_bytes(one, 1);
        for (size_t n = 0; one->result == PROXY_DONE && n < bytes; n++) {
            assert_int_equal(proxy_parse(one->proxy, &proxy, NULL), 0);
            proxy_talk_begin(&talk, &proxy, str_from(one->host), 443, &out);
            assert_int_equal(proxy_talk_feed(&talk, one->steps[1], n, &out, NULL), PROXY_MORE);
        }
    }
}

static void endless_answers_are_refused(void **state)
{
    (void)state;
    struct proxy proxy;
    struct proxy_talk talk;
    char memory[PROXY_SEND_BYTES_MAX];
    struct buf out = buf_over(memory, sizeof memory);
    int result = 0, fed = 0;
    assert_int_equal(proxy_parse("http://p:1", &proxy, NULL), 0);
    proxy_talk_begin(&talk, &proxy, STR("h"), 443, &out);
    result = proxy_talk_feed(&talk, "HTTP/1.1 200 OK\r\nA: ", 20, &out, NULL);
    while (result == PROXY_MORE && fed++ < 100000) {
        result = proxy_talk_feed(&talk, "x", 1, &out, NULL);
    }
    assert_int_equal(result, MD_EPROXY);
    assert_int_equal(fed, PROXY_ANSWER_BYTES_MAX - 20);
}

/* ---- real ones */

struct relay {
    uint16_t target; /* on 127.0.0.1 */
    bool socks;
    const char *answer; /* instead of connecting */
    size_t answer_bytes;
    char asked[600]; /* what the client asked for */
};

static void relay_bytes(struct test_peer *peer, int target)
{
    char data[4096];
    struct pollfd fds[2] = {{peer->fd, POLLIN, 0}, {target, POLLIN, 0}};
    while (poll(fds, 2, 10000) > 0) {
        for (int i = 0; i < 2; i++) {
            if (fds[i].revents != 0) {
                ssize_t n = recv(fds[i].fd, data, sizeof data, 0);
                if (n <= 0 || send(fds[1 - i].fd, data, (size_t)n, MSG_NOSIGNAL) != n) {
                    return;
                }
            }
        }
    }
}

static void relay_to_target(struct test_peer *peer, const struct relay *relay, const char *reply,
                            size_t bytes)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(relay->target)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int target = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(target, (struct sockaddr *)&address, sizeof address) == 0 &&
        peer_send(peer, reply, bytes)) {
        relay_bytes(peer, target);
    }
    close(target);
}

static void script_http_proxy(struct test_peer *peer, void *context)
{
    struct relay *relay = context;
    if (!peer_head(peer)) {
        return;
    }
    memcpy(relay->asked, peer->head, sizeof relay->asked - 1);
    if (relay->answer != NULL) {
        peer_send(peer, relay->answer, relay->answer_bytes);
        peer_drain(peer);
    } else {
        relay_to_target(peer, relay, "HTTP/1.1 200 OK\r\n\r\n", 19);
    }
}

static void script_socks_proxy(struct test_peer *peer, void *context)
{
    struct relay *relay = context;
    uint8_t b[300];
    if (!peer_recv_all(peer, b, 2) || !peer_recv_all(peer, b + 2, b[1])) {
        return;
    }
    if (b[1] == 2) { /* user and password offered: wanted */
        uint8_t user[256] = {0}, password[256] = {0};
        peer_send(peer, "\x05\x02", 2);
        if (!peer_recv_all(peer, b, 2) || !peer_recv_all(peer, user, b[1]) ||
            !peer_recv_all(peer, b, 1) || !peer_recv_all(peer, password, b[0])) {
            return;
        }
        bool good = strcmp((char *)user, "user") == 0 && strcmp((char *)password, "pass") == 0;
        peer_send(peer, good ? "\x01\x00" : "\x01\x01", 2);
        if (!good) {
            peer_drain(peer);
            return;
        }
    } else {
        peer_send(peer, "\x05\x00", 2);
    }
    if (!peer_recv_all(peer, b, 5) || !peer_recv_all(peer, b + 5, (size_t)b[4] + 2)) {
        return;
    }
    memcpy(relay->asked, b + 5, b[4]);
    if (relay->answer != NULL) {
        peer_send(peer, relay->answer, relay->answer_bytes);
        peer_drain(peer);
    } else {
        relay_to_target(peer, relay, SOCKS_OK, 10);
    }
}

static void script_hello(struct test_peer *peer, void *context)
{
    (void)context;
    if (peer_ws_accept(peer)) {
        peer_send(peer, "\x81\x02hi\x88\x00", 6);
        peer_drain(peer);
    }
}

static void through(struct fixture_client *result, struct relay *relay, const char *credentials,
                    bool tls)
{
    struct test_server target, proxy;
    static struct fixture fixture;
    char text[200];
    server_start(&target, tls ? test_pki()->context : NULL, script_hello, NULL);
    relay->target = target.port;
    memset(relay->asked, 0, sizeof relay->asked);
    server_start(&proxy, NULL, relay->socks ? script_socks_proxy : script_http_proxy, relay);
    snprintf(text, sizeof text, "%s://%s127.0.0.1:%u", relay->socks ? "socks5h" : "http",
             credentials, proxy.port);
    struct net_config config = {.proxy = text};
    fixture_open(&fixture, &config);
    struct fixture_client *one = fixture_client(&fixture);
    /* the name is the proxy's to resolve; only the certificate must be for it */
    fixture_connect(one, tls, "localhost", target.port);
    UNTIL_CLOSED(one);
    *result = *one;
    fixture_close(&fixture);
    server_stop(&proxy);
    server_stop(&target);
}

static void websocket_goes_through_both_kinds_of_proxy(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct fixture_client one;
        struct relay relay = {.socks = i & 1};
        through(&one, &relay, (i & 4) != 0 ? "user:pass@" : "", (i & 2) != 0);
        assert_string_equal(one.text, "open T(hi) close ");
        if (relay.socks) {
            assert_string_equal(relay.asked, "localhost");
        } else {
            assert_memory_equal(relay.asked, "CONNECT localhost:", 18);
            assert_int_equal(strstr(relay.asked, "Basic dXNlcjpwYXNz") != NULL, (i & 4) != 0);
        }
    }
}

static void refusals_of_a_proxy_are_named(void **state)
{
    (void)state;
    static const struct {
        struct relay relay;
        const char *credentials;
        int code;
        const char *why;
    } cases[] = {
        {{.answer = "HTTP/1.1 407 Who?\r\n\r\n", .answer_bytes = 21},
         "user:bad@",
         MD_EPROXY,
         "user or password refused; net.proxy takes http://"},
        {{.answer = "HTTP/1.1 403 No\r\n\r\n", .answer_bytes = 19}, "", MD_EPROXY, "status 403"},
        {{.answer = "HTTP/1.1 504 No\r\n\r\n", .answer_bytes = 19}, "", MD_ECONNECT, "status 504"},
        {{.socks = true}, "user:bad@", MD_EPROXY, "user or password refused"},
        {{.socks = true, .answer = "\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00", .answer_bytes = 10},
         "",
         MD_EPROXY,
         "not allowed by its rules"},
        {{.socks = true, .answer = "\x05\x04\x00\x01\x00\x00\x00\x00\x00\x00", .answer_bytes = 10},
         "",
         MD_ECONNECT,
         "host unreachable"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture_client one;
        struct relay relay = cases[i].relay;
        through(&one, &relay, cases[i].credentials, true);
        assert_int_equal(one.opens, 0);
        assert_int_equal(one.code, cases[i].code);
        if (strstr(one.why, cases[i].why) == NULL || strstr(one.why, "proxy 127.0.0.1") == NULL) {
            fail_msg("%s: want %s", one.why, cases[i].why);
        }
        assert_null(strstr(one.why, "bad"));
    }
}

static void script_hang_up(struct test_peer *peer, void *context)
{
    (void)context;
    peer_head(peer);
}

static void proxy_that_hangs_up_or_is_not_there_is_named(void **state)
{
    (void)state;
    struct test_server proxy;
    char text[100];
    server_start(&proxy, NULL, script_hang_up, NULL);
    snprintf(text, sizeof text, "http://127.0.0.1:%u", proxy.port);
    struct net_config config = {.proxy = text};
    struct fixture fixture;
    fixture_open(&fixture, &config);
    struct fixture_client *one = fixture_client(&fixture);
    fixture_connect(one, true, "localhost", 443);
    UNTIL_CLOSED(one);
    assert_int_equal(one->code, MD_EPROXY);
    assert_non_null(strstr(one->why, "closed the connection; check net.proxy"));
    server_stop(&proxy);
    one->closes = 0;
    fixture_connect(one, true, "localhost", 443);
    UNTIL_CLOSED(one);
    assert_int_equal(one->code, MD_EPROXY);
    assert_non_null(strstr(one->why, "Connection refused; check net.proxy"));
    fixture_close(&fixture);
}

static int setup(void **state)
{
    (void)state;
    (void)test_pki();
    return 0;
}
static int teardown_all(void **state)
{
    (void)state;
    test_pki_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(talks_whole_and_in_pieces),
        cmocka_unit_test(answers_cut_short_want_more),
        cmocka_unit_test(endless_answers_are_refused),
        cmocka_unit_test(websocket_goes_through_both_kinds_of_proxy),
        cmocka_unit_test(refusals_of_a_proxy_are_named),
        cmocka_unit_test(proxy_that_hangs_up_or_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown_all);
}
