/* REST against small HTTP servers, good and bad. */
#include "fixture.h"

#include <unistd.h>
#include <zlib.h>

#include "net/rest.h"

struct reply {
    int done, code, status, parts;
    size_t bytes, part_bytes_max;
    uint32_t sum;
    int64_t retry_after_s, used_weight, recv_unix_ns;
    char why[600];
    struct rest *rest; /* asks `again` times more from its on_done */
    const char *url;
    int again;
};

static void on_part(void *context, const void *data, size_t bytes, int64_t recv_unix_ns)
{
    struct reply *reply = context;
    reply->parts++;
    reply->bytes += bytes;
    reply->part_bytes_max = bytes > reply->part_bytes_max ? bytes : reply->part_bytes_max;
    reply->sum = (uint32_t)crc32(reply->sum, data, (uInt)bytes);
    reply->recv_unix_ns = recv_unix_ns;
}

static void on_done(void *context, const struct rest_result *result)
{
    struct reply *reply = context;
    struct rest_handlers handlers = {on_part, on_done, reply};
    reply->done++;
    reply->code = result->code;
    reply->status = result->status;
    reply->retry_after_s = result->retry_after_s;
    reply->used_weight = result->used_weight;
    if (reply->again > 0) {
        reply->again--;
        assert_int_equal(rest_get(reply->rest, reply->url, NULL, &handlers), 0);
    }
    snprintf(reply->why, sizeof reply->why, "%s", result->why); /* still there, and still its own */
}

struct rest_fixture {
    struct loop *loop;
    struct rest *rest;
};

static struct rest_config test_config(void)
{
    return (struct rest_config){.ca_file = test_pki()->ca_file,
                                .proxy = "",
                                .timeout_ms = 10000,
                                .requests_max = 4,
                                .body_bytes_max = 1 << 20};
}

static void rest_open(struct rest_fixture *fixture, const struct rest_config *config)
{
    struct err err = {""};
    struct rest_config usual = test_config();
    fixture->loop = loop_create(&clock_system, 16, &err);
    assert_non_null(fixture->loop);
    fixture->rest = rest_create(fixture->loop, config != NULL ? config : &usual, &err);
    assert_non_null(fixture->rest);
}

static void rest_close(struct rest_fixture *fixture)
{
    rest_destroy(fixture->rest);
    loop_destroy(fixture->loop);
}

static void run_until(struct rest_fixture *fixture, const struct reply *reply, int done)
{
    int64_t limit = clock_mono_ns(&clock_system) + 20 * NS_PER_S;
    while (reply->done < done && clock_mono_ns(&clock_system) < limit) {
        loop_turn(fixture->loop, 10);
    }
    assert_int_equal(reply->done, done);
}

static void get(struct rest_fixture *fixture, const char *url, const char *header,
                struct reply *reply)
{
    struct rest_handlers handlers = {on_part, on_done, reply};
    memset(reply, 0, sizeof *reply);
    assert_int_equal(rest_get(fixture->rest, url, header, &handlers), 0);
    run_until(fixture, reply, 1);
}

/* ---- a server that answers each request of a connection with the same bytes */

struct answer {
    const char *head, *body;
    size_t body_bytes;
    int pause_ms; /* between head and body */
    bool hang, close_after;
    char asked[8192];
    atomic_int requests;
};

static void script_http(struct test_peer *peer, void *context)
{
    struct answer *answer = context;
    while (peer_head(peer)) {
        memcpy(answer->asked, peer->head, sizeof answer->asked);
        atomic_fetch_add(&answer->requests, 1);
        if (answer->hang) {
            peer_drain(peer);
            return;
        }
        peer_text(peer, answer->head);
        if (answer->pause_ms > 0) {
            usleep((useconds_t)answer->pause_ms * 1000);
        }
        peer_send(peer, answer->body, answer->body_bytes);
        if (answer->close_after) {
            return;
        }
    }
}

static void url_of(char url[100], const struct test_server *server, bool tls)
{
    snprintf(url, 100, "%s://localhost:%u/api/v3/depth?symbol=BTCUSDT", tls ? "https" : "http",
             server->port);
}

static void body_comes_in_parts_with_status_and_weight(void **state)
{
    (void)state;
    enum { BYTES = 200000 };
    char *body = malloc(BYTES);
    for (int i = 0; i < BYTES; i++) {
        body[i] = (char)('a' + i % 23);
    }
    for (int tls = 0; tls < 2; tls++) {
        struct answer answer = {.head =
                                    "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n"
                                    "x-mbx-used-weight: 9\r\nX-MBX-USED-WEIGHT-1M: 1234\r\n\r\n",
                                .body = body,
                                .body_bytes = BYTES};
        struct test_server server;
        struct rest_fixture fixture;
        struct reply reply;
        char url[100];
        int64_t before = clock_unix_ns(&clock_system);
        server_start(&server, tls ? test_pki()->context : NULL, script_http, &answer);
        url_of(url, &server, tls);
        rest_open(&fixture, NULL);
        get(&fixture, url, "X-MBX-APIKEY: key", &reply);
        assert_int_equal(reply.code, 0);
        assert_int_equal(reply.status, 200);
        assert_string_equal(reply.why, "");
        assert_int_equal(reply.bytes, BYTES);
        assert_int_equal(reply.sum, crc32(0, (const Bytef *)body, BYTES));
        assert_true(reply.parts > 10);
        assert_true(reply.part_bytes_max <= 16384);
        assert_int_equal(reply.used_weight, 1234);
        assert_int_equal(reply.retry_after_s, -1);
        assert_true(reply.recv_unix_ns >= before);
        assert_memory_equal(answer.asked, "GET /api/v3/depth?symbol=BTCUSDT HTTP/1.1\r\n", 43);
        assert_non_null(strstr(answer.asked, "X-MBX-APIKEY: key\r\n"));
        assert_non_null(strstr(answer.asked, "User-Agent: market-data/"));
        get(&fixture, url, NULL, &reply); /* on the same connection, without the header */
        assert_int_equal(reply.bytes, BYTES);
        assert_null(strstr(answer.asked, "APIKEY"));
        assert_int_equal(atomic_load(&server.connections), 1);
        rest_close(&fixture);
        server_stop(&server);
    }
    free(body);
}

struct head_case {
    const char *head, *body;
    int code, status;
    int64_t retry_after_s;
    size_t bytes;
    const char *why;
};
static const struct head_case head_cases[] = {
    {"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 3\r\n\r\n", "no!", 0, 429, 7, 3,
     ""},
    {"HTTP/1.1 418 Banned\r\nretry-after:120\r\nContent-Length: 0\r\n\r\n", "", 0, 418, 120, 0, ""},
    {"HTTP/1.1 429 x\r\ngw-ratelimit-reset: 8200\r\nContent-Length: 0\r\n\r\n", "", 0, 429, 9, 0,
     ""},
    {"HTTP/1.1 429 x\r\ngw-ratelimit-reset: 0\r\nContent-Length: 0\r\n\r\n", "", 0, 429, 1, 0, ""},
    {"HTTP/1.1 429 x\r\ngw-ratelimit-reset: 9999999\r\nContent-Length: 0\r\n\r\n", "", 0, 429, 60,
     0, ""},
    {"HTTP/1.1 429 x\r\nX-Gate-RateLimit-Reset-Timestamp: 1700000000\r\nContent-Length: 0\r\n\r\n",
     "", 0, 429, 1, 0, ""},
    {"HTTP/1.1 429 x\r\nX-Gate-RateLimit-Reset-Timestamp: 9000000000000000\r\nContent-Length: "
     "0\r\n\r\n",
     "", 0, 429, 60, 0, ""},
    {"HTTP/1.1 429 x\r\nRetry-After: 3\r\ngw-ratelimit-reset: 8200\r\nContent-Length: 0\r\n\r\n",
     "", 0, 429, 3, 0, ""},
    {"HTTP/1.1 503 x\r\ngw-ratelimit-reset: 8200\r\nContent-Length: 0\r\n\r\n", "", 0, 503, -1, 0,
     ""},
    {"HTTP/1.1 503 Busy\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n", "", 0, 503, -1, 0, ""},
    {"HTTP/1.1 302 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "", 0, 302,
     -1, 0, ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", 0, 200, -1,
     5, ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "cut", MD_ECLOSED, 200, -1, 3, "97 bytes"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n", "x", MD_ETOOBIG, 200, -1, 0, "larger"},
    {"SSH-2.0-OpenSSH\r\n", "", MD_ENOTSUP, 0, -1, 0, ""},
    {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n", "hello", MD_EPROTO,
     200, -1, 0, ""},
};

static void heads_of_every_kind_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof head_cases / sizeof head_cases[0]; i++) {
        const struct head_case *c = &head_cases[i];
        struct answer answer = {
            .head = c->head, .body = c->body, .body_bytes = strlen(c->body), .close_after = true};
        struct test_server server;
        struct rest_fixture fixture;
        struct reply reply;
        char url[100];
        server_start(&server, NULL, script_http, &answer);
        url_of(url, &server, false);
        rest_open(&fixture, NULL);
        get(&fixture, url, NULL, &reply);
        if (c->code == MD_ENOTSUP ? reply.code >= 0 : reply.code != c->code) {
            fail_msg("case %zu: code %d, %s", i, reply.code, reply.why);
        }
        assert_int_equal(reply.status, c->status);
        assert_int_equal(reply.retry_after_s, c->retry_after_s);
        assert_int_equal(reply.bytes, c->bytes);
        assert_non_null(strstr(reply.why, c->why));
        rest_close(&fixture);
        server_stop(&server);
    }
}

static void a_window_may_end_at_a_time(void **state)
{
    (void)state;
    char head[200];
    snprintf(head, sizeof head,
             "HTTP/1.1 429 x\r\nX-Gate-RateLimit-Reset-Timestamp: %lld\r\nContent-Length: "
             "0\r\n\r\n",
             (long long)time(NULL) + 30);
    struct answer answer = {.head = head, .body = "", .close_after = true};
    struct test_server server;
    struct rest_fixture fixture;
    struct reply reply;
    char url[100];
    server_start(&server, NULL, script_http, &answer);
    url_of(url, &server, false);
    rest_open(&fixture, NULL);
    get(&fixture, url, NULL, &reply);
    assert_in_range(reply.retry_after_s, 15, 31);
    rest_close(&fixture);
    server_stop(&server);
}

static void retry_after_may_be_a_date(void **state)
{
    (void)state;
    char head[200];
    time_t at = time(NULL) + 90;
    struct tm tm;
    char date[64];
    gmtime_r(&at, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    snprintf(head, sizeof head, "HTTP/1.1 429 x\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n",
             date);
    struct answer answer = {.head = head, .body = "", .close_after = true};
    struct test_server server;
    struct rest_fixture fixture;
    struct reply reply;
    char url[100];
    server_start(&server, NULL, script_http, &answer);
    url_of(url, &server, false);
    rest_open(&fixture, NULL);
    get(&fixture, url, NULL, &reply);
    assert_in_range(reply.retry_after_s, 80, 90);
    rest_close(&fixture);
    server_stop(&server);
}

/* A body without an end, chunked; and one that is small on the wire only. */
static void body_over_the_limit_is_stopped(void **state)
{
    (void)state;
    enum { PLAIN = 3 << 20, CHUNK = 70000 };
    char *plain = calloc(1, PLAIN), *chunk = malloc(CHUNK + 100), *packed = malloc(PLAIN);
    memset(chunk, 'x', CHUNK + 100);
    struct rest_config config = test_config();
    config.body_bytes_max = 65536;
    int n = snprintf(chunk, 20, "%x\r\n", CHUNK);
    chunk[n] = 'x';
    chunk[n + CHUNK] = '\r';
    chunk[n + CHUNK + 1] = '\n';
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)plain;
    z.avail_in = PLAIN;
    z.next_out = (Bytef *)packed;
    z.avail_out = PLAIN;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    char head[200];
    snprintf(head, sizeof head,
             "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %lu\r\n\r\n",
             z.total_out);
    assert_true(z.total_out < 65536);
    struct answer answers[2] = {
        {.head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
         .body = chunk,
         .body_bytes = (size_t)n + CHUNK + 2},
        {.head = head, .body = packed, .body_bytes = z.total_out},
    };
    for (int i = 0; i < 2; i++) {
        struct test_server server;
        struct rest_fixture fixture;
        struct reply reply;
        char url[100];
        server_start(&server, NULL, script_http, &answers[i]);
        url_of(url, &server, false);
        rest_open(&fixture, &config);
        get(&fixture, url, NULL, &reply);
        assert_int_equal(reply.code, MD_ETOOBIG);
        assert_true(reply.bytes <= 65536);
        assert_int_equal(rest_in_flight(fixture.rest), 0);
        rest_close(&fixture);
        server_stop(&server);
    }
    deflateEnd(&z);
    free(plain);
    free(chunk);
    free(packed);
}

static void silence_ends_in_time(void **state)
{
    (void)state;
    struct answer answer = {.hang = true};
    struct test_server server;
    struct rest_fixture fixture;
    struct reply reply;
    char url[100];
    struct rest_config config = test_config();
    config.timeout_ms = 200;
    server_start(&server, NULL, script_http, &answer);
    url_of(url, &server, false);
    rest_open(&fixture, &config);
    int64_t from = clock_mono_ns(&clock_system);
    get(&fixture, url, NULL, &reply);
    int64_t took = (clock_mono_ns(&clock_system) - from) / NS_PER_MS;
    assert_int_equal(reply.code, MD_ETIMEOUT);
    assert_in_range(took, 190, 3000);
    rest_close(&fixture);
    server_stop(&server);
}

static void failures_to_connect_are_told(void **state)
{
    (void)state;
    struct answer answer = {.head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", .body = ""};
    struct test_server server, gone;
    struct rest_fixture fixture;
    struct reply reply;
    char url[100];
    rest_open(&fixture, NULL);
    server_start(&gone, NULL, script_http, &answer);
    url_of(url, &gone, false);
    server_stop(&gone);
    get(&fixture, url, NULL, &reply);
    assert_int_equal(reply.code, MD_ECONNECT);
    get(&fixture,
        "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example/", NULL,
        &reply);
    assert_int_equal(reply.code, MD_EDNS);
    static const char *const refused[] = {"file:///etc/hostname", "ftp://127.0.0.1/",
                                          "gopher://x/"};
    for (int i = 0; i < 3; i++) {
        get(&fixture, refused[i], NULL, &reply);
        assert_int_equal(reply.code, MD_EINVAL);
        assert_int_equal(reply.bytes, 0);
    }
    rest_close(&fixture);
    struct rest_config config = test_config(); /* our CA is unknown to the system's store */
    config.ca_file = "";
    rest_open(&fixture, &config);
    server_start(&server, test_pki()->context, script_http, &answer);
    url_of(url, &server, true);
    get(&fixture, url, NULL, &reply);
    assert_int_equal(reply.code, MD_ECERT);
    assert_non_null(strstr(reply.why, "net.ca_file"));
    assert_int_equal(atomic_load(&answer.requests), 0);
    rest_close(&fixture);
    server_stop(&server);
}

static void requests_in_flight_are_bounded_and_may_follow_from_on_done(void **state)
{
    (void)state;
    struct answer answer = {.head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
                            .body = "ok",
                            .body_bytes = 2,
                            .pause_ms = 30};
    struct test_server server;
    struct rest_fixture fixture;
    struct reply replies[5] = {0};
    char url[100];
    server_start(&server, NULL, script_http, &answer);
    url_of(url, &server, false);
    rest_open(&fixture, NULL);
    for (int i = 0; i < 5; i++) {
        struct rest_handlers handlers = {on_part, on_done, &replies[i]};
        replies[i].rest = fixture.rest;
        replies[i].url = url;
        replies[i].again = i == 0 ? 6 : 0;
        assert_int_equal(rest_get(fixture.rest, url, NULL, &handlers), i < 4 ? 0 : MD_EFULL);
    }
    assert_int_equal(rest_in_flight(fixture.rest), 4);
    for (int i = 0; i < 4; i++) {
        run_until(&fixture, &replies[i], i == 0 ? 7 : 1);
        assert_int_equal(replies[i].code, 0);
        assert_int_equal(replies[i].bytes, i == 0 ? 14 : 2);
        assert_string_equal(replies[i].why, "");
    }
    assert_int_equal(rest_in_flight(fixture.rest), 0);
    rest_close(&fixture);
    server_stop(&server);
}

/* ---- proxies */

static void script_refusing_proxy(struct test_peer *peer, void *context)
{
    if (peer_head(peer)) {
        peer_text(peer, context);
        peer_drain(peer);
    }
}

static void refusals_of_a_proxy_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        int code;
    } cases[] = {{"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n", MD_EPROXY},
                 {"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", MD_EPROXY},
                 {"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n", MD_ECONNECT}};
    for (int i = 0; i < 6; i++) {
        struct test_server proxy;
        struct rest_fixture fixture;
        struct reply reply;
        char text[100], answer[100];
        snprintf(answer, sizeof answer, "%s", cases[i / 2].answer);
        server_start(&proxy, NULL, script_refusing_proxy, answer);
        snprintf(text, sizeof text, "http://127.0.0.1:%u", proxy.port);
        struct rest_config config = test_config();
        config.proxy = text;
        rest_open(&fixture, &config);
        get(&fixture, i & 1 ? "http://venue.example/" : "https://venue.example/", NULL, &reply);
        assert_int_equal(reply.code, cases[i / 2].code);
        assert_int_equal(reply.bytes, 0);
        if (reply.code == MD_EPROXY) {
            assert_non_null(strstr(reply.why, "check net.proxy"));
        }
        rest_close(&fixture);
        server_stop(&proxy);
        rest_open(&fixture, &config); /* and now it is gone */
        get(&fixture, "https://venue.example/", NULL, &reply);
        assert_int_equal(reply.code, MD_EPROXY);
        rest_close(&fixture);
    }
}

static void script_socks(struct test_peer *peer, void *context)
{
    char *asked = context;
    uint8_t b[300];
    if (peer_recv_all(peer, b, 2) && peer_recv_all(peer, b + 2, b[1]) &&
        peer_send(peer, "\x05\x00", 2) && peer_recv_all(peer, b, 5) &&
        peer_recv_all(peer, b + 5, (size_t)b[4] + 2)) {
        memcpy(asked, b + 5, b[4]);
        peer_send(peer, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", 10);
        if (peer_head(peer)) { /* it plays the target too */
            peer_text(peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
            peer_drain(peer);
        }
    }
}

static void names_go_to_the_socks_proxy_unresolved(void **state)
{
    (void)state;
    struct test_server proxy;
    struct rest_fixture fixture;
    struct reply reply;
    char text[100], asked[300] = "";
    server_start(&proxy, NULL, script_socks, asked);
    snprintf(text, sizeof text, "socks5h://127.0.0.1:%u", proxy.port);
    struct rest_config config = test_config();
    config.proxy = text;
    setenv("no_proxy", "*", 1); /* nothing from the environment counts */
    rest_open(&fixture, &config);
    get(&fixture, "http://venue.example/", NULL, &reply);
    unsetenv("no_proxy");
    assert_int_equal(reply.code, 0);
    assert_int_equal(reply.bytes, 2);
    assert_string_equal(asked, "venue.example");
    rest_close(&fixture);
    server_stop(&proxy);
}

static void destroy_with_requests_in_flight_is_quiet(void **state)
{
    (void)state;
    struct answer answer = {.hang = true};
    struct test_server server;
    server_start(&server, test_pki()->context, script_http, &answer);
    for (int turns = 0; turns < 12; turns++) {
        struct rest_fixture fixture;
        struct reply reply = {0};
        struct rest_handlers handlers = {on_part, on_done, &reply};
        char url[100];
        url_of(url, &server, true);
        rest_open(&fixture, NULL);
        assert_int_equal(rest_get(fixture.rest, url, NULL, &handlers), 0);
        for (int i = 0; i < turns; i++) {
            loop_turn(fixture.loop, 3);
        }
        rest_close(&fixture);
        assert_int_equal(reply.done, 0);
    }
    server_stop(&server);
}

static void creation_fails_cleanly_at_each_allocation(void **state)
{
    (void)state;
    struct rest_config config = test_config();
    struct loop *loop = loop_create(&clock_system, 16, NULL);
    rest_destroy(rest_create(loop, &config, NULL)); /* what libcurl makes once is made */
    size_t before = alloc_line_stats(ALLOC_CONNECTIONS).bytes;
    size_t curl_before = alloc_line_stats(ALLOC_LIB_CURL).bytes;
    int failures = 0;
    struct rest *rest = NULL;
    for (uint64_t n = 1; n < 1000 && rest == NULL; n++) {
        struct err err = {""};
        alloc_fail_at(n);
        rest = rest_create(loop, &config, &err);
        alloc_fail_at(0);
        if (rest == NULL) {
            failures++;
            assert_string_not_equal(err.text, "");
            assert_int_equal(alloc_line_stats(ALLOC_CONNECTIONS).bytes, before);
            assert_int_equal(alloc_line_stats(ALLOC_LIB_CURL).bytes, curl_before);
        }
    }
    assert_non_null(rest);
    assert_true(failures >= 5);
    rest_destroy(rest);
    loop_destroy(loop);
}

static void nothing_of_ours_is_allocated_for_a_request(void **state)
{
    (void)state;
    struct answer answer = {
        .head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", .body = "ok", .body_bytes = 2};
    struct test_server server;
    struct rest_fixture fixture;
    struct reply reply;
    char url[100];
    server_start(&server, NULL, script_http, &answer);
    url_of(url, &server, false);
    rest_open(&fixture, NULL);
    alloc_seal();
    get(&fixture, url, "A: b", &reply);
    alloc_unseal();
    assert_int_equal(reply.code, 0);
    rest_close(&fixture);
    server_stop(&server);
}

static int setup(void **state)
{
    (void)state;
    alloc_hook_libraries();
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
        cmocka_unit_test(body_comes_in_parts_with_status_and_weight),
        cmocka_unit_test(heads_of_every_kind_are_told),
        cmocka_unit_test(a_window_may_end_at_a_time),
        cmocka_unit_test(retry_after_may_be_a_date),
        cmocka_unit_test(body_over_the_limit_is_stopped),
        cmocka_unit_test(silence_ends_in_time),
        cmocka_unit_test(failures_to_connect_are_told),
        cmocka_unit_test(requests_in_flight_are_bounded_and_may_follow_from_on_done),
        cmocka_unit_test(refusals_of_a_proxy_are_told),
        cmocka_unit_test(names_go_to_the_socks_proxy_unresolved),
        cmocka_unit_test(destroy_with_requests_in_flight_is_quiet),
        cmocka_unit_test(creation_fails_cleanly_at_each_allocation),
        cmocka_unit_test(nothing_of_ours_is_allocated_for_a_request),
    };
    return cmocka_run_group_tests(tests, setup, teardown_all);
}
