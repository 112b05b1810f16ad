/* The opening handshake: key, request, and every way an answer can be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/ws_frame.h"

/* RFC 6455 section 1.3 */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define GOOD "HTTP/1.1 101 Switching Protocols\r\n" UPGRADE ACCEPT "\r\n"

static int64_t answer(const char *text, size_t bytes, int *status, const char **why)
{
    /* exactly its size, so that a sanitizer sees a read past the end */
    uint8_t *copy = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(copy);
    if (bytes > 0) {
        memcpy(copy, text, bytes);
    }
    int64_t result = ws_handshake_response(copy, bytes, KEY, status, why);
    free(copy);
    return result;
}

static void key_is_base64_of_16_bytes(void **state)
{
    (void)state;
    char key[25];
    ws_handshake_key(key, (const uint8_t *)"the sample nonce");
    assert_string_equal(key, KEY);
}

static void request_is_what_rfc_6455_asks_for(void **state)
{
    (void)state;
    char text[512];
    struct buf out = buf_over(text, sizeof text);
    ws_handshake_request(&out, STR("example.com:8443"), STR("/stream?a=b"), KEY,
                         STR("X-API-KEY: abc\r\n"));
    buf_put_char(&out, 0);
    assert_string_equal(text, "GET /stream?a=b HTTP/1.1\r\nHost: example.com:8443\r\n"
                              "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n"
                              "User-Agent: market-data/" MD_VERSION "\r\n"
                              "X-API-KEY: abc\r\n\r\n");
}

static void good_answers_are_accepted(void **state)
{
    (void)state;
    static const char *const good[] = {
        GOOD,
        "HTTP/1.1 101\r\n" UPGRADE ACCEPT "\r\n",
        "HTTP/1.1 101 \r\n" UPGRADE ACCEPT "\r\n",
        "HTTP/1.1 101 x\r\nUPGRADE: WebSocket\r\nCONNECTION: upgrade\r\n" ACCEPT "\r\n",
        "HTTP/1.1 101 x\r\nupgrade:websocket\r\nconnection:keep-alive,Upgrade\r\n" ACCEPT "\r\n",
        "HTTP/1.1 101 x\r\nConnection: keep-alive, uPgRaDe \r\nUpgrade: websocket\t\r\n" ACCEPT
        "\r\n",
        "HTTP/1.1 101 x\r\nServer: a:b\r\nDate: today\r\n" UPGRADE
        "sec-websocket-accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\n\r\n",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int status = 0;
        const char *why = NULL;
        assert_int_equal(answer(good[i], strlen(good[i]), &status, &why), strlen(good[i]));
        assert_int_equal(status, 101);
    }
}

static void answer_cut_at_every_length_wants_more(void **state)
{
    (void)state;
    for (size_t n = 0; n < strlen(GOOD); n++) {
        int status = 0;
        const char *why = NULL;
        assert_int_equal(answer(GOOD, n, &status, &why), 0);
    }
}

static void bytes_behind_the_head_are_left_alone(void **state)
{
    (void)state;
    static const char text[] = GOOD "\x81\x05hello\r\n\r\n";
    int status = 0;
    const char *why = NULL;
    assert_int_equal(answer(text, sizeof text - 1, &status, &why), strlen(GOOD));
}

struct bad_case {
    const char *text;
    int code, status;
    const char *words;
};

static void bad_answers_are_refused(void **state)
{
    (void)state;
    static const struct bad_case bad[] = {
        {"HTTP/1.1 400 Bad Request\r\n\r\n", MD_EHTTP, 400, "refused"},
        {"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\n\r\n", MD_EHTTP, 429, "refused"},
        {"HTTP/1.1 200 OK\r\n\r\n", MD_EHTTP, 200, "refused"},
        {"HTTP/1.1 301 Moved\r\nLocation: wss://elsewhere/\r\n\r\n", MD_EHTTP, 301, "refused"},
        {"HTTP/1.1 503 No\r\n\r\nbody", MD_EHTTP, 503, "refused"},
        {"HTTP/1.0 101 x\r\n" UPGRADE ACCEPT "\r\n", MD_EPROTO, 0, "HTTP/1.1"},
        {"HTTP/2 101 x\r\n" UPGRADE ACCEPT "\r\n", MD_EPROTO, 0, "HTTP/1.1"},
        {"SSH-2.0-OpenSSH_9.2\r\n", MD_EPROTO, 0, "HTTP/1.1"},
        {"HTTP/1.1 1x1 x\r\n" UPGRADE ACCEPT "\r\n", MD_EPROTO, 0, "status"},
        {"HTTP/1.1 1010 x\r\n" UPGRADE ACCEPT "\r\n", MD_EPROTO, 0, "status"},
        {"HTTP/1.1 \r\n\r\n", MD_EPROTO, 0, "status"},
        {"HTTP/1.1 101 x\r\nConnection: Upgrade\r\n" ACCEPT "\r\n", MD_EPROTO, 101, "upgrade"},
        {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n" ACCEPT "\r\n", MD_EPROTO, 101, "upgrade"},
        {"HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n" ACCEPT "\r\n", MD_EPROTO, 101,
         "upgrade"},
        {"HTTP/1.1 101 x\r\nUpgrade: websockets\r\nConnection: Upgrade\r\n" ACCEPT "\r\n",
         MD_EPROTO, 101, "upgrade"},
        {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: close\r\n" ACCEPT "\r\n", MD_EPROTO,
         101, "upgrade"},
        {"HTTP/1.1 101 x\r\n" UPGRADE "\r\n", MD_EPROTO, 101, "Accept"},
        {"HTTP/1.1 101 x\r\n" UPGRADE "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n\r\n",
         MD_EPROTO, 101, "Accept"},
        {"HTTP/1.1 101 x\r\n" UPGRADE "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
         MD_EPROTO, 101, "Accept"},
        {"HTTP/1.1 101 x\r\n" UPGRADE "Sec-WebSocket-Accept: " KEY "\r\n\r\n", MD_EPROTO, 101,
         "Accept"},
        {"HTTP/1.1 101 x\r\n" UPGRADE ACCEPT "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
         MD_EPROTO, 101, "not asked"},
        {"HTTP/1.1 101 x\r\n" UPGRADE ACCEPT "Sec-WebSocket-Protocol: chat\r\n\r\n", MD_EPROTO, 101,
         "not asked"},
        {"HTTP/1.1 101 x\r\n" UPGRADE "X-Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
         "\r\n\r\n",
         MD_EPROTO, 101, "Accept"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int status = -1;
        const char *why = NULL;
        int64_t code = answer(bad[i].text, strlen(bad[i].text), &status, &why);
        if (code != bad[i].code || status != bad[i].status || strstr(why, bad[i].words) == NULL) {
            fail_msg("case %zu: code %lld, status %d, %s", i, (long long)code, status, why);
        }
    }
}

static void head_of_64_kib_is_refused(void **state)
{
    (void)state;
    size_t bytes = 65536;
    char *text = malloc(bytes);
    assert_non_null(text);
    memset(text, 'x', bytes);
    memcpy(text, "HTTP/1.1 101 x\r\nA: ", 19);
    int status = 0;
    const char *why = NULL;
    assert_int_equal(answer(text, 16384, &status, &why), 0);
    assert_int_equal(answer(text, 16385, &status, &why), MD_ETOOBIG);
    memcpy(text + bytes - 4, "\r\n\r\n", 4);
    assert_int_equal(answer(text, bytes, &status, &why), MD_ETOOBIG);
    free(text);
}

static void other_protocols_are_refused_at_their_first_bytes(void **state)
{
    (void)state;
    int status = 0;
    const char *why = NULL;
    assert_int_equal(answer("\x15\x03\x03", 3, &status, &why), MD_EPROTO);
    assert_int_equal(answer("HTTX", 4, &status, &why), MD_EPROTO);
    assert_int_equal(answer("HTTP", 4, &status, &why), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_is_base64_of_16_bytes),
        cmocka_unit_test(request_is_what_rfc_6455_asks_for),
        cmocka_unit_test(good_answers_are_accepted),
        cmocka_unit_test(answer_cut_at_every_length_wants_more),
        cmocka_unit_test(bytes_behind_the_head_are_left_alone),
        cmocka_unit_test(bad_answers_are_refused),
        cmocka_unit_test(head_of_64_kib_is_refused),
        cmocka_unit_test(other_protocols_are_refused_at_their_first_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
