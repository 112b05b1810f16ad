/* HTTP request heads: right ones whole and in pieces, hostile ones refused with the right status.
 */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <cmocka.h>

#include <string.h>

#include "sim/sim_request.h"

static int64_t parse(const char *text, struct sim_request *request)
{
    return sim_request_parse((const uint8_t *)text, strlen(text), request);
}

static void check_refused(const char *text, int status)
{
    struct sim_request request;
    assert_int_equal(parse(text, &request), -1);
    assert_int_equal(request.error_status, status);
    assert_non_null(request.error);
}

static const char rest_request[] = "GET /api/v3/depth?symbol=BTCUSDT&limit=5 HTTP/1.1\r\n"
                                   "Host: localhost:1234\r\nX-MBX-TIME-UNIT: MICROSECOND\r\n\r\n";
static const char ws_request[] =
    "GET /stream?streams=btcusdt@trade HTTP/1.1\r\nHost: localhost\r\nUpgrade: WebSocket\r\n"
    "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static void reads_a_rest_request(void **state)
{
    (void)state;
    struct sim_request request;
    assert_int_equal(parse(rest_request, &request), sizeof rest_request - 1);
    assert_true(str_equal(request.path, STR("/api/v3/depth")));
    assert_true(str_equal(request.query, STR("symbol=BTCUSDT&limit=5")));
    assert_true(request.keep_alive);
    assert_true(request.microseconds);
    assert_false(request.upgrade);
}

static void reads_a_websocket_handshake(void **state)
{
    (void)state;
    struct sim_request request;
    assert_int_equal(parse(ws_request, &request), sizeof ws_request - 1);
    assert_true(request.upgrade);
    assert_true(str_equal(request.websocket_key, STR("dGhlIHNhbXBsZSBub25jZQ==")));
}

static void every_cut_asks_for_more(void **state)
{
    (void)state;
    struct sim_request request;
    for (size_t cut = 0; cut < sizeof ws_request - 1; cut++) {
        assert_int_equal(sim_request_parse((const uint8_t *)ws_request, cut, &request), 0);
    }
}

static void what_follows_the_head_is_not_read(void **state)
{
    (void)state;
    struct sim_request request;
    char text[512];
    memcpy(text, rest_request, sizeof rest_request);
    strcat(text, "GET /second HTTP/1.1\r\n\x01\x02");
    assert_int_equal(parse(text, &request), sizeof rest_request - 1);
}

static void a_post_is_whole_with_its_body(void **state)
{
    (void)state;
    static const char text[] = "POST /api/v1/bullet-public HTTP/1.1\r\nHost: h:1\r\n"
                               "X-MBX-APIKEY: k\r\nX-Gate-Size-Decimal: 1\r\n"
                               "Content-Length: 2\r\n\r\n{}GET";
    struct sim_request request;
    size_t whole = sizeof text - 1 - 3;
    for (size_t bytes = 0; bytes < whole; bytes++) {
        assert_int_equal(sim_request_parse((const uint8_t *)text, bytes, &request), 0);
    }
    assert_int_equal(sim_request_parse((const uint8_t *)text, sizeof text - 1, &request), whole);
    assert_true(request.post);
    assert_int_equal(request.body_bytes, 2);
    assert_true(str_equal(request.host, STR("h:1")));
    assert_true(str_equal(request.api_key, STR("k")));
    assert_true(str_equal(request.size_decimal, STR("1")));
}

static void refuses_what_nobody_should_send(void **state)
{
    (void)state;
    check_refused("\r\n\r\n", 400);
    check_refused("GET\r\n\r\n", 400);
    check_refused("GET /\r\n\r\n", 400);
    check_refused("PUT / HTTP/1.1\r\n\r\n", 405);
    check_refused("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4097\r\n\r\n", 400);
    check_refused("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", 400);
    check_refused("POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", 400);
    check_refused("get / HTTP/1.1\r\n\r\n", 405);
    check_refused("GET / HTTP/1.0\r\n\r\n", 505);
    check_refused("GET / HTTP/2\r\n\r\n", 505);
    check_refused("GET  HTTP/1.1\r\n\r\n", 400);
    check_refused("GET http://host/ HTTP/1.1\r\n\r\n", 400);
    check_refused("GET /\x01 HTTP/1.1\r\n\r\n", 400);
    check_refused("GET / HTTP/1.1\r\n\r\n", 400); /* no Host */
    check_refused("GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400);
    check_refused("GET / HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n", 400);
    check_refused("GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400);
    check_refused("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", 400);
    check_refused("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
}

static void refuses_broken_handshakes(void **state)
{
    (void)state;
    check_refused("GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n", 400);
    check_refused("GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                  426);
    check_refused("GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n",
                  400);
    check_refused(
        "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: close\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        400);
}

static void a_head_without_end_is_refused_at_16_KiB(void **state)
{
    (void)state;
    static uint8_t text[SIM_REQUEST_BYTES_MAX + 100];
    struct sim_request request;
    memset(text, 'a', sizeof text);
    memcpy(text, "GET /", 5);
    assert_int_equal(sim_request_parse(text, SIM_REQUEST_BYTES_MAX - 1, &request), 0);
    assert_int_equal(sim_request_parse(text, SIM_REQUEST_BYTES_MAX, &request), -1);
    assert_int_equal(request.error_status, 431);
}

static void too_many_header_lines_are_refused(void **state)
{
    (void)state;
    static char text[8192];
    struct sim_request request;
    strcpy(text, "GET / HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 100; i++) {
        strcat(text, "a: b\r\n");
    }
    strcat(text, "\r\n");
    assert_int_equal(parse(text, &request), -1);
    assert_int_equal(request.error_status, 431);
}

static void connection_close_ends_keep_alive(void **state)
{
    (void)state;
    struct sim_request request;
    assert_true(parse("GET / HTTP/1.1\nHost: x\nConnection: Close\n\n", &request) > 0);
    assert_false(request.keep_alive);
}

static void check_query(const char *query, const char *name, int found, const char *value)
{
    char text[16];
    struct buf out = buf_over(text, sizeof text);
    assert_int_equal(sim_request_query(str_from(query), name, &out), found);
    if (found == 1) {
        assert_true(str_equal(buf_view(&out), str_from(value)));
    }
}

static void query_values_are_found_and_decoded(void **state)
{
    (void)state;
    check_query("a=1&b=2", "b", 1, "2");
    check_query("a=1&b=2", "a", 1, "1");
    check_query("ab=1", "a", 0, "");
    check_query("a", "a", 0, "");
    check_query("a=", "a", 1, "");
    check_query("", "a", 0, "");
    check_query("&&a=x&", "a", 1, "x");
    check_query("a=%5B%22X%22%5d", "a", 1, "[\"X\"]");
    check_query("a=%e8%bf%99", "a", 1, "这");
    check_query("a=%", "a", -1, "");
    check_query("a=%4", "a", -1, "");
    check_query("a=%zz", "a", -1, "");
    check_query("a=%00", "a", -1, "");
    check_query("a=12345678901234567", "a", -1, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_rest_request),
        cmocka_unit_test(reads_a_websocket_handshake),
        cmocka_unit_test(every_cut_asks_for_more),
        cmocka_unit_test(what_follows_the_head_is_not_read),
        cmocka_unit_test(a_post_is_whole_with_its_body),
        cmocka_unit_test(refuses_what_nobody_should_send),
        cmocka_unit_test(refuses_broken_handshakes),
        cmocka_unit_test(a_head_without_end_is_refused_at_16_KiB),
        cmocka_unit_test(too_many_header_lines_are_refused),
        cmocka_unit_test(connection_close_ends_keep_alive),
        cmocka_unit_test(query_values_are_found_and_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
