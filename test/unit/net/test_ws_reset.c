/* faults.md row 10: the peer goes at every byte of a stream of frames, by RST, by close_notify, or
 * by FIN alone. Whole messages before the cut are told, a partial one never, on_close exactly once.
 */
#include "fixture.h"

#define OFFSETS 301

enum how { HOW_RST, HOW_NOTIFY, HOW_FIN };

struct cut {
    enum how how;
    const uint8_t *stream;
};

/* Connection n sends n bytes and goes. */
static void script_cut(struct test_peer *peer, void *context)
{
    const struct cut *cut = context;
    if (!peer_ws_accept(peer)) {
        return;
    }
    if (peer->index > 0) {
        peer_send(peer, cut->stream, (size_t)peer->index);
    }
    if (cut->how == HOW_RST) {
        peer_reset(peer);
    } else if (cut->how == HOW_NOTIFY && peer->ssl != NULL) {
        SSL_shutdown(peer->ssl);
        peer_fin(peer);
    } else {
        peer_fin(peer);
    }
}

/* Frames of 3 + 40 + 125 + 135 payload bytes, a fragmented text and a ping among them. */
static size_t make_stream(uint8_t out[512], size_t ends[5])
{
    char text[200];
    size_t n = 0;
    memset(text, 'x', sizeof text);
    n += frame_make(out + n, 0x81, text, 3);
    ends[0] = n;
    n += frame_make(out + n, 0x82, text, 40);
    ends[1] = n;
    n += frame_make(out + n, 0x01, text, 60);
    n += frame_make(out + n, 0x89, "p", 1);
    n += frame_make(out + n, 0x80, text, 65);
    ends[2] = n;
    n += frame_make(out + n, 0x81, text, 130);
    ends[3] = n;
    return n;
}

#define TOLD_1 "T(xxx) "
#define TOLD_2 TOLD_1 "B(xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx) "
#define TOLD_3 TOLD_2 "T<125> "
#define TOLD_4 TOLD_3 "T<130> "

static void cut_everywhere(enum how how, bool tls)
{
    static const char *const told[] = {"", TOLD_1, TOLD_2, TOLD_3, TOLD_4};
    uint8_t stream[512];
    size_t ends[5] = {0};
    size_t bytes = make_stream(stream, ends);
    assert_true(bytes >= OFFSETS - 1);
    struct test_server server;
    struct fixture fixture;
    struct cut cut = {how, stream};
    fixture_open(&fixture, NULL);
    struct fixture_client *one = fixture_client(&fixture);
    server_start(&server, tls ? test_pki()->context : NULL, script_cut, &cut);
    for (size_t offset = 0; offset < OFFSETS; offset++) {
        size_t whole = 0;
        while (whole < 4 && ends[whole] <= offset) {
            whole++;
        }
        one->text_bytes = 0;
        one->closes = 0;
        one->text[0] = 0;
        fixture_connect(one, tls, "127.0.0.1", server.port);
        UNTIL_CLOSED(one);
        loop_turn(fixture.loop, 0);
        loop_turn(fixture.loop, 0);
        assert_int_equal(one->closes, 1);
        assert_int_equal(one->ws_code, 1006);
        char want[300];
        snprintf(want, sizeof want, "open %sclose ", told[whole]);
        /* an RST may overtake the end of the stream, or even the handshake's answer: then fewer
         * whole messages come, never a partial one */
        if (how == HOW_RST) {
            size_t same = strspn(one->text, "openTB(x)<>0123456789 ");
            size_t n = strlen(one->text);
            assert_string_equal(one->text + n - 6, "close ");
            assert_int_equal(same, n - 6);
            assert_int_equal(strncmp(one->text, want, n - 6), 0);
        } else {
            assert_string_equal(one->text, want);
        }
        assert_true(one->code == MD_ECLOSED || (how == HOW_RST && one->opens == 0));
        if (how != HOW_RST) {
            assert_non_null(strstr(one->why, "without a close frame"));
        }
    }
    fixture_close(&fixture);
    server_stop(&server);
}

static void fin_at_every_offset(void **state)
{
    (void)state;
    cut_everywhere(HOW_FIN, false);
}
static void fin_at_every_offset_of_tls(void **state)
{
    (void)state;
    cut_everywhere(HOW_FIN, true);
}
static void close_notify_at_every_offset(void **state)
{
    (void)state;
    cut_everywhere(HOW_NOTIFY, true);
}
static void reset_at_every_offset(void **state)
{
    (void)state;
    cut_everywhere(HOW_RST, false);
}
static void reset_at_every_offset_of_tls(void **state)
{
    (void)state;
    cut_everywhere(HOW_RST, true);
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
        cmocka_unit_test(fin_at_every_offset),
        cmocka_unit_test(fin_at_every_offset_of_tls),
        cmocka_unit_test(close_notify_at_every_offset),
        cmocka_unit_test(reset_at_every_offset),
        cmocka_unit_test(reset_at_every_offset_of_tls),
    };
    return cmocka_run_group_tests(tests, setup, teardown_all);
}
