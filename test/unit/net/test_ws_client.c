/* One client against servers that speak, stay silent, lie or hang up. */
#include "fixture.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/net_internal.h"

/* ---- opening, talking, closing */

struct talk {
    char got[256];
    char head[8192];
    int close_code;
    atomic_bool done;
};

static void script_talk(struct test_peer *peer, void *context)
{
    struct talk *talk = context;
    if (!peer_ws_accept(peer)) {
        return;
    }
    memcpy(talk->head, peer->head, sizeof talk->head);
    peer_frame(peer, 0x81, "hello", 5);
    peer_frame(peer, 0x82, "\x01\x02", 2);
    if (peer_frame_read(peer, talk->got, sizeof talk->got, NULL) != WS_TEXT) {
        return;
    }
    peer_frame(peer, 0x89, "are you there", 13);
    char pong[200];
    if (peer_frame_read(peer, pong, sizeof pong, NULL) != WS_PONG ||
        strcmp(pong, "are you there") != 0) {
        return;
    }
    peer_frame(peer, 0x81, "bye", 3);
    talk->close_code = peer_close_code(peer);
    peer_frame(peer, 0x88, "\x03\xe8", 2);
    peer_drain(peer);
    atomic_store(&talk->done, true);
}

static void say_hi(struct fixture_client *one)
{
    assert_int_equal(ws_client_send_text(one->client, STR("hi there")), 0);
}
static void close_after_three(struct fixture_client *one)
{
    if (one->messages == 3) {
        ws_client_close(one->client, 1000);
        ws_client_close(one->client, 1001); /* twice is allowed, the first counts */
        assert_int_equal(ws_client_send_text(one->client, STR("late")), MD_ECLOSED);
    }
}

static void talk_over(bool tls, const char *host)
{
    struct test_server server;
    struct talk talk = {0};
    struct fixture fixture;
    assert_true(server_start_at(&server, strchr(host, ':') ? "::1" : "127.0.0.1", 0,
                                tls ? test_pki()->context : NULL, script_talk, &talk));
    fixture_open(&fixture, NULL);
    struct fixture_client *one = fixture_client(&fixture);
    one->on_open = say_hi;
    one->on_message = close_after_three;
    int64_t before = clock_unix_ns(&clock_system);
    fixture_connect(one, tls, host, server.port);
    assert_false(ws_client_is_open(one->client));
    UNTIL_CLOSED(one);
    fixture_run_ms(&fixture, 20);
    server_stop(&server);
    assert_true(atomic_load(&talk.done));
    assert_string_equal(one->text, "open T(hello) B(\x01\x02) T(bye) close ");
    assert_string_equal(talk.got, "hi there");
    assert_int_equal(talk.close_code, 1000);
    assert_int_equal(one->code, 0);
    assert_int_equal(one->ws_code, 1000);
    assert_int_equal(one->closes, 1);
    assert_true(one->recv_unix_ns >= before);
    assert_true(one->recv_unix_ns <= clock_unix_ns(&clock_system));
    char want[128];
    snprintf(want, sizeof want, "GET /stream?x=1 HTTP/1.1\r\nHost: %s:%u\r\n", host, server.port);
    assert_memory_equal(talk.head, want, strlen(want));
    struct ws_client_stats stats = ws_client_stats(one->client);
    assert_int_equal(stats.messages, 3);
    assert_int_equal(stats.pings_received, 1);
    assert_true(stats.bytes_received > 0);
    assert_true(stats.last_data_mono_ns > 0);
    fixture_close(&fixture);
}

static void talks_over_plain_tcp(void **state)
{
    (void)state;
    talk_over(false, "127.0.0.1");
}
static void talks_over_tls(void **state)
{
    (void)state;
    talk_over(true, "127.0.0.1");
}
static void talks_over_tls_by_name(void **state)
{
    (void)state;
    talk_over(true, "localhost");
}
static void talks_over_ipv6(void **state)
{
    (void)state;
    talk_over(true, "[::1]");
}

static void script_close_1001(struct test_peer *peer, void *context)
{
    atomic_int *code = context;
    if (peer_ws_accept(peer)) {
        peer_send(peer,
                  "\x81\x01x\x88\x0d\x03\xe9"
                  "maintenance",
                  18);
        atomic_store(code, peer_close_code(peer));
    }
}

static void tells_the_close_of_the_peer_and_answers_it(void **state)
{
    (void)state;
    struct test_server server;
    struct fixture fixture;
    atomic_int code = 0;
    server_start(&server, NULL, script_close_1001, &code);
    fixture_open(&fixture, NULL);
    struct fixture_client *one = fixture_client(&fixture);
    fixture_connect(one, false, "127.0.0.1", server.port);
    UNTIL_CLOSED(one);
    server_stop(&server);
    assert_string_equal(one->text, "open T(x) close ");
    assert_int_equal(one->code, MD_ECLOSED);
    assert_int_equal(one->ws_code, 1001);
    assert_string_equal(one->why, "maintenance");
    assert_int_equal(atomic_load(&code), 1001);
    fixture_close(&fixture);
}

/* ---- what is wrong on the wire */

struct wire_case {
    const char *bytes;
    size_t count;
    const char *text;
    int code, ws_code;
    int answered; /* close code the server gets from us */
};
#define WIRE(bytes, text, code, ws_code)                       \
    {                                                          \
        bytes, sizeof(bytes) - 1, text, code, ws_code, ws_code \
    }
static const struct wire_case wire_cases[] = {
    WIRE("\x81\x01x\xc1\x01y", "open T(x) close ", MD_EPROTO, 1002),
    WIRE("\x81\x81\x01\x02\x03\x04y", "open close ", MD_EPROTO, 1002),
    WIRE("\x89\x7e\x00\x7e", "open close ", MD_EPROTO, 1002),
    WIRE("\x81\x7e\x00\x05hello", "open close ", MD_EPROTO, 1002),
    WIRE("\x80\x01x", "open close ", MD_EPROTO, 1002),
    WIRE("\x81\x01x\x81\x02\xc0\xaf", "open T(x) close ", MD_EPROTO, 1007),
    WIRE("\x88\x02\x03\xed", "open close ", MD_EPROTO, 1002),
    WIRE("\x88\x01\x03", "open close ", MD_EPROTO, 1002),
    WIRE("\x88\x04\x03\xe8\xc0\xaf", "open close ", MD_EPROTO, 1007),
    WIRE("\x82\x7f\x00\x00\x00\x00\x10\x00\x00\x00", "open close ", MD_ETOOBIG, 1009),
    WIRE("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", "open close ", MD_EPROTO, 1002),
};

struct wire {
    const struct wire_case *one;
    atomic_int answered;
};

static void script_wire(struct test_peer *peer, void *context)
{
    struct wire *wire = context;
    if (peer_ws_accept(peer)) {
        peer_send(peer, wire->one->bytes, wire->one->count);
        atomic_store(&wire->answered, peer_close_code(peer));
    }
}

static void hostile_frames_close_with_the_right_code_and_leave_others_alone(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    struct fixture_client *one = fixture_client(&fixture);
    struct fixture_client *other = fixture_client(&fixture);
    struct test_server server, good;
    struct talk talk = {0};
    server_start(&good, test_pki()->context, script_talk, &talk);
    fixture_connect(other, true, "127.0.0.1", good.port);
    UNTIL_OPEN(other);
    for (size_t i = 0; i < sizeof wire_cases / sizeof wire_cases[0]; i++) {
        struct wire wire = {&wire_cases[i], 0};
        server_start(&server, i % 2 ? test_pki()->context : NULL, script_wire, &wire);
        one->text_bytes = 0;
        one->closes = 0;
        fixture_connect(one, i % 2, "127.0.0.1", server.port);
        UNTIL_CLOSED(one);
        server_stop(&server);
        assert_string_equal(one->text, wire_cases[i].text);
        assert_int_equal(one->code, wire_cases[i].code);
        assert_int_equal(one->ws_code, wire_cases[i].ws_code);
        assert_int_equal(atomic_load(&wire.answered), wire_cases[i].answered);
    }
    assert_true(ws_client_is_open(other->client));
    assert_int_equal(other->closes, 0);
    server_stop(&good);
    fixture_close(&fixture);
}

/* ---- handshakes */

struct answer_case {
    const char *answer;
    int code, status;
    const char *why;
};
static const struct answer_case answer_cases[] = {
    {"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\n\r\n{\"code\":-1003}", MD_EHTTP, 429,
     "refused the WebSocket with status 429: {\"code\":-1003}"},
    {"HTTP/1.1 403 Forbidden\r\n\r\n", MD_EHTTP, 403, "status 403"},
    {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
     "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
     MD_EPROTO, 101, "Sec-WebSocket-Accept"},
    {"220 smtp.example ESMTP\r\n", MD_EPROTO, 0, "HTTP/1.1"},
};

static void script_answer(struct test_peer *peer, void *context)
{
    if (peer_head(peer)) {
        peer_text(peer, *(const char *const *)context);
        peer_drain(peer);
    }
}

static void bad_handshakes_end_with_status_and_words(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    struct fixture_client *one = fixture_client(&fixture);
    for (size_t i = 0; i < sizeof answer_cases / sizeof answer_cases[0]; i++) {
        struct test_server server;
        const char *answer = answer_cases[i].answer;
        server_start(&server, NULL, script_answer, &answer);
        one->closes = 0;
        fixture_connect(one, false, "127.0.0.1", server.port);
        UNTIL_CLOSED(one);
        server_stop(&server);
        assert_int_equal(one->code, answer_cases[i].code);
        assert_int_equal(one->status, answer_cases[i].status);
        assert_int_equal(one->ws_code, 1006);
        if (strstr(one->why, answer_cases[i].why) == NULL) {
            fail_msg("%s: want %s", one->why, answer_cases[i].why);
        }
    }
    assert_int_equal(one->opens, 0);
    fixture_close(&fixture);
}

static void script_huge_head(struct test_peer *peer, void *context)
{
    (void)context;
    if (!peer_head(peer)) {
        return;
    }
    char *text = malloc(65536);
    memset(text, 'x', 65536);
    memcpy(text, "HTTP/1.1 101 x\r\nA: ", 19);
    peer_send(peer, text, 65536);
    free(text);
    peer_drain(peer);
}

static void head_of_64_kib_ends_the_handshake(void **state)
{
    (void)state;
    struct test_server server;
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    struct fixture_client *one = fixture_client(&fixture);
    server_start(&server, test_pki()->context, script_huge_head, NULL);
    fixture_connect(one, true, "127.0.0.1", server.port);
    UNTIL_CLOSED(one);
    server_stop(&server);
    assert_int_equal(one->code, MD_ETOOBIG);
    fixture_close(&fixture);
}

/* The answer and what follows, one byte a write: a slow peer gives the same as a fast one. */
static void script_dribble(struct test_peer *peer, void *context)
{
    (void)context;
    char answer[256];
    uint8_t frames[800];
    size_t n = 0;
    char text[300];
    memset(text, 'm', sizeof text);
    if (!peer_head(peer)) {
        return;
    }
    peer_dribble(peer, answer, peer_ws_answer(peer, answer, sizeof answer));
    n += frame_make(frames + n, 0x81, "one", 3);
    n += frame_make(frames + n, 0x01, "fra", 3);
    n += frame_make(frames + n, 0x89, "p", 1);
    n += frame_make(frames + n, 0x80, "gment", 5);
    n += frame_make(frames + n, 0x82, text, sizeof text);
    n += frame_make(frames + n, 0x88, "\x03\xe8", 2);
    peer_dribble(peer, frames, n);
    peer_drain(peer);
}

static void one_byte_a_write_gives_the_same_messages(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct test_server server;
        struct fixture fixture;
        fixture_open(&fixture, NULL);
        struct fixture_client *one = fixture_client(&fixture);
        server_start(&server, tls ? test_pki()->context : NULL, script_dribble, NULL);
        fixture_connect(one, tls, "127.0.0.1", server.port);
        UNTIL_CLOSED(one);
        server_stop(&server);
        assert_string_equal(one->text, "open T(one) T(fragment) B<300> close ");
        assert_int_equal(one->ws_code, 1000);
        fixture_close(&fixture);
    }
}

/* Head and first frames in one write: nothing behind the head is lost. */
static void script_all_at_once(struct test_peer *peer, void *context)
{
    (void)context;
    char answer[300];
    if (peer_head(peer)) {
        size_t n = peer_ws_answer(peer, answer, sizeof answer);
        memcpy(answer + n, "\x81\x05hello\x81\x02", 9);
        peer_send(peer, answer, n + 9);
        usleep(20000);
        peer_send(peer, "ab\x88\x00", 4);
        peer_drain(peer);
    }
}

static void frames_behind_the_handshake_are_not_lost(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct test_server server;
        struct fixture fixture;
        fixture_open(&fixture, NULL);
        struct fixture_client *one = fixture_client(&fixture);
        server_start(&server, tls ? test_pki()->context : NULL, script_all_at_once, NULL);
        fixture_connect(one, tls, "127.0.0.1", server.port);
        UNTIL_CLOSED(one);
        server_stop(&server);
        assert_string_equal(one->text, "open T(hello) T(ab) close ");
        assert_int_equal(one->ws_code, 1005);
        fixture_close(&fixture);
    }
}

/* ---- pings */

/* Sixty messages and behind them a ping, in one TLS record. */
static void script_flood(struct test_peer *peer, void *context)
{
    atomic_int *pong = context;
    uint8_t frames[16000];
    char text[200];
    size_t n = 0;
    memset(text, 'm', sizeof text);
    for (int i = 0; i < 60; i++) {
        n += frame_make(frames + n, 0x81, text, sizeof text);
    }
    n += frame_make(frames + n, 0x89, "now", 3);
    if (peer_ws_accept(peer)) {
        usleep(50000);
        peer_send(peer, frames, n);
        atomic_store(pong, peer_frame_read(peer, text, sizeof text, NULL));
        peer_send(peer, "\x88\x00", 2);
        peer_drain(peer);
    }
}

static void pong_is_sent_before_the_data_work(struct fixture_client *one)
{
    struct ws_client_stats stats = ws_client_stats(one->client);
    if (one->messages == 1) {
        assert_int_equal(stats.pings_received, 1);
        assert_int_equal(one->client->send_filled, 0);
    }
    usleep(500); /* data work */
}

static void ping_in_a_flood_is_answered_before_the_data_of_the_same_read(void **state)
{
    (void)state;
    struct test_server server;
    struct fixture fixture;
    atomic_int pong = 0;
    fixture_open(&fixture, NULL);
    struct fixture_client *one = fixture_client(&fixture);
    one->on_message = pong_is_sent_before_the_data_work;
    server_start(&server, test_pki()->context, script_flood, &pong);
    fixture_connect(one, true, "127.0.0.1", server.port);
    UNTIL_CLOSED(one);
    server_stop(&server);
    assert_int_equal(one->messages, 60);
    assert_int_equal(atomic_load(&pong), WS_PONG);
    fixture_close(&fixture);
}

/* Pings without end from a peer that reads nothing: bounded, and the connection lives. */
static void script_ping_flood(struct test_peer *peer, void *context)
{
    (void)context;
    char body[125];
    memset(body, 'p', sizeof body);
    int one = 4096;
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &one, sizeof one);
    if (peer_ws_accept(peer)) {
        uint8_t frames[130 * 100];
        size_t n = 0;
        for (int i = 0; i < 100; i++) {
            n += frame_make(frames + n, 0x89, body, sizeof body);
        }
        for (int i = 0; i < 150; i++) {
            if (!peer_send(peer, frames, n)) {
                return;
            }
        }
        peer_text(peer, "\x81\x04"
                        "last");
        peer_drain(peer);
    }
}

static void close_on_last(struct fixture_client *one)
{
    ws_client_close(one->client, 1000);
}

static void flood_of_pings_with_unread_answers_is_bounded(void **state)
{
    (void)state;
    struct test_server server;
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    struct fixture_client *one = fixture_client(&fixture);
    one->on_message = close_on_last;
    server_start(&server, NULL, script_ping_flood, NULL);
    fixture_connect(one, false, "127.0.0.1", server.port);
    UNTIL_CLOSED(one);
    struct ws_client_stats stats = ws_client_stats(one->client);
    assert_string_equal(one->text, "open T(last) close ");
    assert_int_equal(stats.pings_received, 15000);
    fixture_close(&fixture);
    server_stop(&server);
}

/* ---- silence */

static void script_silent(struct test_peer *peer, void *context)
{
    (void)context;
    if (peer_ws_accept(peer)) {
        peer_drain(peer); /* reads, and says nothing */
    }
}

static int64_t closed_after_ms(const struct net_config *config,
                               void (*script)(struct test_peer *, void *), bool tls,
                               struct fixture_client *result)
{
    struct test_server server;
    static struct fixture fixture;
    fixture_open(&fixture, config);
    struct fixture_client *one = fixture_client(&fixture);
    server_start(&server, tls ? test_pki()->context : NULL, script, NULL);
    fixture_connect(one, tls, "127.0.0.1", server.port);
    UNTIL_OPEN(one);
    int64_t from = clock_mono_ns(&clock_system);
    UNTIL_CLOSED(one);
    int64_t took = (clock_mono_ns(&clock_system) - from) / NS_PER_MS;
    *result = *one;
    fixture_close(&fixture);
    server_stop(&server);
    return took;
}

static void half_open_connection_is_closed_within_the_silence_timeout(void **state)
{
    (void)state;
    struct fixture_client one;
    struct net_config config = {.silence_timeout_ms = 300};
    int64_t took = closed_after_ms(&config, script_silent, true, &one);
    assert_int_equal(one.code, MD_ETIMEOUT);
    assert_non_null(strstr(one.why, "net.silence_secs"));
    assert_in_range(took, 295, 3000);
}

static void half_open_connection_is_closed_when_no_pong_comes(void **state)
{
    (void)state;
    struct fixture_client one;
    struct net_config config = {.ping_interval_ms = 150, .pong_timeout_ms = 150};
    int64_t took = closed_after_ms(&config, script_silent, false, &one);
    assert_int_equal(one.code, MD_ETIMEOUT);
    assert_non_null(strstr(one.why, "no pong"));
    assert_in_range(took, 295, 3000);
}

/* A message that never ends: bytes come, whole frames do not. */
static void script_trickle(struct test_peer *peer, void *context)
{
    (void)context;
    if (peer_ws_accept(peer)) {
        peer_send(peer, "\x81\x7e\x40\x00", 4);
        for (int i = 0; i < 2000 && peer_send(peer, "x", 1); i++) {
            usleep(5000);
        }
    }
}

static void peer_that_trickles_for_ever_is_closed_when_no_pong_comes(void **state)
{
    (void)state;
    struct fixture_client one;
    /* the silence is long enough for a peer that waits for its turn on a busy machine */
    struct net_config config = {
        .ping_interval_ms = 1000, .pong_timeout_ms = 1000, .silence_timeout_ms = 1500};
    int64_t took = closed_after_ms(&config, script_trickle, true, &one);
    assert_int_equal(one.code, MD_ETIMEOUT);
    assert_non_null(strstr(one.why, "no pong"));
    assert_in_range(took, 1995, 9000);
}

static void script_answers_pings(struct test_peer *peer, void *context)
{
    (void)context;
    char payload[200];
    size_t bytes = 0;
    if (!peer_ws_accept(peer)) {
        return;
    }
    for (int i = 0; i < 5; i++) {
        if (peer_frame_read(peer, payload, sizeof payload, &bytes) != WS_PING ||
            !peer_frame(peer, 0x8a, payload, bytes)) {
            return;
        }
    }
    peer_send(peer, "\x88\x02\x03\xe8", 4);
    peer_drain(peer);
}

static void peer_that_answers_pings_is_kept(void **state)
{
    (void)state;
    struct fixture_client one;
    struct net_config config = {
        .ping_interval_ms = 50, .pong_timeout_ms = 1000, .silence_timeout_ms = 1000};
    closed_after_ms(&config, script_answers_pings, true, &one);
    assert_int_equal(one.code, MD_ECLOSED);
    assert_int_equal(one.ws_code, 1000);
}

static void script_no_tls(struct test_peer *peer, void *context)
{
    (void)context;
    peer_drain(peer);
}

static void connect_timeout_covers_tls_and_handshake(void **state)
{
    (void)state;
    static const char *const words[] = {"no WebSocket answer within", "no TLS within"};
    struct net_config config = {.connect_timeout_ms = 200};
    struct fixture fixture;
    struct test_server server;
    fixture_open(&fixture, &config);
    struct fixture_client *one = fixture_client(&fixture);
    for (int tls = 0; tls < 2; tls++) {
        server_start(&server, NULL, script_no_tls, NULL);
        one->closes = 0;
        int64_t from = clock_mono_ns(&clock_system);
        fixture_connect(one, tls, "127.0.0.1", server.port);
        UNTIL_CLOSED(one);
        int64_t took = (clock_mono_ns(&clock_system) - from) / NS_PER_MS;
        server_stop(&server);
        assert_int_equal(one->code, MD_ETIMEOUT);
        assert_non_null(strstr(one->why, words[tls]));
        assert_in_range(took, 195, 3000);
    }
    fixture_close(&fixture);
}

static void script_no_close(struct test_peer *peer, void *context)
{
    (void)context;
    if (peer_ws_accept(peer)) {
        peer_drain(peer);
    }
}

static void close_that_is_not_answered_ends_after_2_s(void **state)
{
    (void)state;
    struct fixture fixture;
    struct test_server server;
    fixture_open(&fixture, NULL);
    struct fixture_client *one = fixture_client(&fixture);
    server_start(&server, NULL, script_no_close, NULL);
    fixture_connect(one, false, "127.0.0.1", server.port);
    UNTIL_OPEN(one);
    ws_client_close(one->client, 1000);
    fixture_run_ms(&fixture, 100);
    assert_int_equal(one->closes, 0);
    atomic_fetch_add(&clock_ahead_ns, 2 * NS_PER_S);
    UNTIL_CLOSED(one);
    assert_int_equal(one->code, 0);
    assert_int_equal(one->ws_code, 1000);
    fixture_close(&fixture);
    server_stop(&server);
}

/* ---- large messages */

struct large {
    atomic_int stage;
    size_t bytes;
};

/* Half a message, then the rest once the test says so. */
static void script_large(struct test_peer *peer, void *context)
{
    struct large *large = context;
    if (!peer_ws_accept(peer)) {
        return;
    }
    uint8_t *frame = malloc(large->bytes + 14);
    char *text = malloc(large->bytes);
    memset(text, 'x', large->bytes);
    size_t n = frame_make(frame, 0x81, text, large->bytes);
    peer_send(peer, frame, n / 2);
    while (atomic_load(&large->stage) <= peer->index) {
        usleep(2000);
    }
    peer_send(peer, frame + n / 2, n - n / 2);
    peer_send(peer,
              "\x81\x03"
              "end\x88\x00",
              7);
    peer_drain(peer);
    free(frame);
    free(text);
}

static void large_messages_share_a_few_buffers_and_none_is_lost(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct test_server server;
        struct fixture fixture;
        struct large large = {.stage = 0, .bytes = 300000};
        enum { COUNT = 12 };
        struct fixture_client *all[COUNT];
        fixture_open(&fixture, NULL);
        server_start(&server, tls ? test_pki()->context : NULL, script_large, &large);
        for (int i = 0; i < COUNT; i++) {
            all[i] = fixture_client(&fixture);
            fixture_connect(all[i], tls, "127.0.0.1", server.port);
            UNTIL_OPEN(all[i]);
        }
        fixture_run_ms(&fixture, 100); /* every half has arrived; 4 have a buffer, 8 wait */
        uint64_t waits = 0;
        for (int i = 0; i < COUNT; i++) {
            waits += ws_client_stats(all[i]->client).large_waits;
            assert_int_equal(all[i]->messages, 0);
        }
        assert_int_equal(waits, COUNT - LARGE_COUNT);
        for (int i = 0; i < COUNT; i++) {
            atomic_fetch_add(&large.stage, 1);
            fixture_run_ms(&fixture, 5);
        }
        for (int i = 0; i < COUNT; i++) {
            UNTIL_CLOSED(all[i]);
            assert_string_equal(all[i]->text, "open T<300000> T(end) close ");
        }
        assert_int_equal(fixture.net->large_free, LARGE_COUNT);
        assert_null(fixture.net->waiting_first);
        fixture_close(&fixture);
        server_stop(&server);
    }
}

static void connection_that_waits_10_s_for_a_large_buffer_is_closed_and_counted(void **state)
{
    (void)state;
    struct test_server server;
    struct fixture fixture;
    struct large large = {.stage = 0, .bytes = 100000};
    enum { COUNT = LARGE_COUNT + 1 };
    struct fixture_client *all[COUNT];
    struct net_config config = {.silence_timeout_ms = 60000};
    fixture_open(&fixture, &config);
    server_start(&server, test_pki()->context, script_large, &large);
    for (int i = 0; i < COUNT; i++) {
        all[i] = fixture_client(&fixture);
        fixture_connect(all[i], true, "127.0.0.1", server.port);
        UNTIL_OPEN(all[i]);
    }
    fixture_run_ms(&fixture, 50);
    atomic_fetch_add(&clock_ahead_ns, 11 * NS_PER_S);
    int closes = 0;
    for (int i = 0; i < 200 && closes == 0; i++) {
        fixture_run_ms(&fixture, 5);
        for (int c = 0; c < COUNT; c++) {
            closes += all[c]->closes;
        }
    }
    assert_int_equal(closes, 1);
    for (int i = 0; i < COUNT; i++) {
        if (all[i]->closes == 1) {
            assert_int_equal(all[i]->code, MD_EFULL);
            assert_int_equal(all[i]->ws_code, 1009);
            assert_int_equal(ws_client_stats(all[i]->client).large_refused, 1);
        }
    }
    atomic_store(&large.stage, COUNT);
    fixture_close(&fixture);
    server_stop(&server);
}

static void script_largest(struct test_peer *peer, void *context)
{
    size_t bytes = *(const size_t *)context;
    char *text = malloc(bytes + 20000);
    memset(text, 'x', bytes + 20000);
    if (peer_ws_accept(peer)) {
        peer_frame(peer, 0x01, text, bytes / 2);
        peer_frame(peer, 0x89, text, 125);
        peer_frame(peer, 0x80, text, bytes - bytes / 2);
        peer_frame(peer, 0x82, text, bytes);
        for (int i = 0; i < 50; i++) {
            peer_frame(peer, 0x81, text, (size_t)i * 400);
        }
        peer_frame(peer, 0x82, text, bytes + 1);
        peer_drain(peer);
    }
    free(text);
}

static void messages_of_every_size_up_to_the_limit_are_taken(void **state)
{
    (void)state;
    static const size_t limits[] = {4000, 5000, 65536, 1 << 20};
    for (size_t i = 0; i < 8; i++) {
        struct test_server server;
        struct fixture fixture;
        size_t limit = limits[i / 2];
        struct net_config config = {.message_bytes_max = limit, .read_bytes = i == 6 ? 777 : 0};
        fixture_open(&fixture, &config);
        struct fixture_client *one = fixture_client(&fixture);
        server_start(&server, i % 2 ? test_pki()->context : NULL, script_largest, &limit);
        fixture_connect(one, i % 2, "127.0.0.1", server.port);
        UNTIL_CLOSED(one);
        /* 2 of full size, then 0, 400, 800 .. 19600 as far as they are within the limit */
        uint64_t small = limit < 19600 ? limit / 400 + 1 : 50;
        assert_int_equal(one->messages, 2 + small);
        assert_int_equal(one->message_bytes, 2 * limit + small * (small - 1) / 2 * 400);
        assert_int_equal(one->code, MD_ETOOBIG);
        assert_int_equal(one->ws_code, 1009);
        fixture_close(&fixture);
        server_stop(&server);
    }
}

/* ---- pausing */

struct counted {
    atomic_int sent;
    int count;
};
static void script_counted(struct test_peer *peer, void *context)
{
    struct counted *counted = context;
    char text[1000];
    memset(text, 'x', sizeof text);
    if (!peer_ws_accept(peer)) {
        return;
    }
    for (int i = 0; i < counted->count; i++) {
        if (!peer_frame(peer, 0x81, text, sizeof text)) {
            return;
        }
        atomic_fetch_add(&counted->sent, 1);
    }
    peer_send(peer, "\x88\x00", 2);
    peer_drain(peer);
}

static void pause_now(struct fixture_client *one)
{
    ws_client_pause(one->client, true);
}

static void paused_connection_holds_the_peer_back_and_loses_nothing(void **state)
{
    (void)state;
    struct test_server server;
    struct fixture fixture;
    struct counted counted = {.count = 20000};
    struct net_config config = {
        .silence_timeout_ms = 300, .ping_interval_ms = 100, .pong_timeout_ms = 100};
    fixture_open(&fixture, &config);
    struct fixture_client *one = fixture_client(&fixture);
    one->on_open = pause_now;
    server_start(&server, test_pki()->context, script_counted, &counted);
    fixture_connect(one, true, "127.0.0.1", server.port);
    UNTIL_OPEN(one);
    fixture_run_ms(&fixture, 700); /* longer than the silence timeout: it is we who are silent */
    assert_int_equal(one->closes, 0);
    assert_true(one->messages <= 64); /* at most the read that was under way */
    assert_true(atomic_load(&counted.sent) < 15000);
    ws_client_pause(one->client, false);
    UNTIL_CLOSED(one);
    assert_int_equal(one->messages, 20000);
    assert_int_equal(one->ws_code, 1005);
    fixture_close(&fixture);
    server_stop(&server);
}

static void script_reset_later(struct test_peer *peer, void *context)
{
    atomic_bool *go = context;
    if (peer_ws_accept(peer)) {
        peer_text(peer, "\x81\x05hello");
        while (!atomic_load(go)) {
            usleep(1000);
        }
        peer_reset(peer);
    }
}

static void reset_while_paused_costs_no_busy_loop_and_is_told_after_resuming(void **state)
{
    (void)state;
    struct test_server server;
    struct fixture fixture;
    atomic_bool go = false;
    fixture_open(&fixture, NULL);
    struct fixture_client *one = fixture_client(&fixture);
    one->on_open = pause_now;
    server_start(&server, NULL, script_reset_later, &go);
    fixture_connect(one, false, "127.0.0.1", server.port);
    UNTIL_OPEN(one);
    atomic_store(&go, true);
    usleep(50000);
    int turns = 0, ran = 0;
    int64_t limit = clock_mono_ns(&clock_system) + 200 * NS_PER_MS;
    while (clock_mono_ns(&clock_system) < limit) {
        ran += loop_turn(fixture.loop, 20);
        turns++;
    }
    assert_true(turns < 40);
    assert_true(ran < 10);
    assert_int_equal(one->closes, 0);
    ws_client_pause(one->client, false);
    UNTIL_CLOSED(one);
    assert_int_equal(one->code, MD_ECLOSED);
    assert_int_equal(one->closes, 1);
    fixture_close(&fixture);
    server_stop(&server);
}

/* ---- lives of a client */

static uint16_t again_port;
static void connect_again(struct fixture_client *one)
{
    if (one->closes < 3) {
        fixture_connect(one, false, "127.0.0.1", again_port);
    }
}

static void client_connects_again_from_its_on_close(void **state)
{
    (void)state;
    struct test_server server;
    struct fixture fixture;
    atomic_int code = 0;
    fixture_open(&fixture, NULL);
    struct fixture_client *one = fixture_client(&fixture);
    one->on_close = connect_again;
    server_start(&server, NULL, script_close_1001, &code);
    again_port = server.port;
    fixture_connect(one, false, "127.0.0.1", server.port);
    assert_true(fixture_until(&fixture, &one->closes, 3, WAIT_MS));
    assert_string_equal(one->text, "open T(x) close open T(x) close open T(x) close ");
    fixture_close(&fixture);
    server_stop(&server);
}

static void destroy_now(struct fixture_client *one)
{
    ws_client_destroy(one->client);
    one->client = NULL;
}

static void client_may_be_destroyed_in_its_on_close(void **state)
{
    (void)state;
    struct test_server server;
    struct fixture fixture;
    atomic_int code = 0;
    fixture_open(&fixture, NULL);
    server_start(&server, test_pki()->context, script_close_1001, &code);
    struct fixture_client *one = fixture_client(&fixture);
    one->on_close = destroy_now;
    fixture_connect(one, true, "127.0.0.1", server.port);
    UNTIL_CLOSED(one);
    server_stop(&server);
    struct fixture_client *two = fixture_client(&fixture); /* and its place is free again */
    two->on_close = destroy_now;
    fixture_connect(two, true, "127.0.0.1", server.port); /* refused now */
    UNTIL_CLOSED(two);
    assert_int_equal(two->code, MD_ECONNECT);
    fixture_close(&fixture);
}

static void on_close_never_comes_inside_a_call_and_comes_once(void **state)
{
    (void)state;
    struct test_server server;
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    struct fixture_client *one = fixture_client(&fixture);
    server_start(&server, test_pki()->context, script_silent, NULL);
    fixture_connect(one, true, "127.0.0.1", server.port);
    ws_client_close(one->client, 1000); /* while dialing */
    assert_int_equal(one->closes, 0);
    UNTIL_CLOSED(one);
    assert_int_equal(one->code, 0);
    for (int turns = 1; turns < 8; turns++) { /* at various stages */
        one->closes = 0;
        fixture_connect(one, true, "localhost", server.port);
        for (int i = 0; i < turns; i++) {
            loop_turn(fixture.loop, 5);
        }
        ws_client_close(one->client, 1000);
        ws_client_close(one->client, 1000);
        atomic_fetch_add(&clock_ahead_ns, 3 * NS_PER_S);
        UNTIL_CLOSED(one);
        fixture_run_ms(&fixture, 5);
        assert_int_equal(one->closes, 1);
    }
    fixture_close(&fixture);
    server_stop(&server);
}

static void clients_may_be_destroyed_at_any_stage(void **state)
{
    (void)state;
    struct test_server server;
    server_start(&server, test_pki()->context, script_silent, NULL);
    for (int turns = 0; turns < 10; turns++) {
        struct fixture fixture;
        fixture_open(&fixture, NULL);
        struct fixture_client *one = fixture_client(&fixture);
        fixture_connect(one, true, turns % 2 ? "localhost" : "127.0.0.1", server.port);
        for (int i = 0; i < turns; i++) {
            loop_turn(fixture.loop, 2);
        }
        fixture_close(&fixture); /* net too, with a name perhaps under way */
        assert_int_equal(one->closes, 0);
    }
    server_stop(&server);
}

/* ---- secrets, memory */

static bool memory_holds(const void *memory, size_t bytes, const char *text)
{
    return memmem(memory, bytes, text, strlen(text)) != NULL;
}

static void headers_are_sent_and_then_wiped(void **state)
{
    (void)state;
    static const char secret[] = "k3y-0123456789-s3cr3t";
    struct test_server server;
    struct fixture fixture;
    struct talk talk = {0};
    char header[100];
    for (int tls = 0; tls < 2; tls++) {
        fixture_open(&fixture, NULL);
        server_start(&server, tls ? test_pki()->context : NULL, script_talk, &talk);
        struct fixture_client *one = fixture_client(&fixture);
        char url[100];
        snprintf(url, sizeof url, "%s://127.0.0.1:%u/", tls ? "wss" : "ws", server.port);
        int n = snprintf(header, sizeof header, "X-MBX-APIKEY: %s\r\n", secret);
        assert_int_equal(ws_client_connect(one->client, url, str_make(header, (size_t)n), NULL), 0);
        assert_true(memory_holds(one->client, sizeof *one->client, secret));
        UNTIL_OPEN(one);
        assert_false(memory_holds(one->client, sizeof *one->client, secret));
        assert_false(memory_holds(one->client->send_buffer, one->client->send_capacity, secret));
        assert_false(memory_holds(fixture.net->plain, fixture.net->plain_bytes, secret));
        fixture_close(&fixture);
        server_stop(&server);
        assert_true(memory_holds(talk.head, sizeof talk.head, header));
    }
}

static void bad_urls_and_headers_are_refused_at_once(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    static char longest[URL_BYTES_MAX + 100];
    fixture_open(&fixture, NULL);
    struct ws_client *client = fixture_client(&fixture)->client;
    static const char *const headers[] = {
        "A: b", "A: b\r\n\r\n", "A: b\r\n\r\nGET / HTTP", "A: b\nC: d\r\n", "A\r: b\r\n",
        "\r\n", "A: b\x01\r\n"};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        assert_int_equal(ws_client_connect(client, "ws://127.0.0.1:1/", str_from(headers[i]), &err),
                         MD_EINVAL);
    }
    assert_int_equal(ws_client_connect(client, "nonsense", (struct str){0}, &err), MD_EINVAL);
    memset(longest, 'a', sizeof longest - 1);
    memcpy(longest, "ws://127.0.0.1:1/", 17);
    assert_int_equal(ws_client_connect(client, longest, (struct str){0}, &err), MD_EINVAL);
    longest[URL_BYTES_MAX] = 0;
    assert_int_equal(ws_client_connect(client, longest, (struct str){0}, &err), 0);
    fixture_close(&fixture);
}

static void send_queue_is_bounded(void **state)
{
    (void)state;
    struct test_server server;
    struct fixture fixture;
    static char text[8193];
    fixture_open(&fixture, NULL);
    server_start(&server, NULL, script_answers_pings, NULL); /* reads one frame, then stops */
    struct fixture_client *one = fixture_client(&fixture);
    fixture_connect(one, false, "127.0.0.1", server.port);
    UNTIL_OPEN(one);
    assert_int_equal(ws_client_send_text(one->client, str_make(text, 8193)), MD_ETOOBIG);
    int code = 0;
    uint64_t sent = 0;
    while ((code = ws_client_send_text(one->client, str_make(text, 8192))) == 0 && sent < 100000) {
        sent++;
    }
    assert_true(code == MD_EFULL || code == MD_ECLOSED);
    fixture_close(&fixture);
    server_stop(&server);
}

static void nothing_of_ours_is_allocated_after_create(void **state)
{
    (void)state;
    struct test_server server;
    struct fixture fixture;
    struct talk talk = {0};
    server_start(&server, test_pki()->context, script_talk, &talk);
    fixture_open(&fixture, NULL);
    struct fixture_client *one = fixture_client(&fixture);
    one->on_open = say_hi;
    one->on_message = close_after_three;
    size_t before = alloc_line_stats(ALLOC_CONNECTIONS).bytes;
    size_t tls_before = alloc_line_stats(ALLOC_LIB_TLS).bytes;
    alloc_seal();
    fixture_connect(one, true, "localhost", server.port);
    UNTIL_OPEN(one);
    assert_true(alloc_line_stats(ALLOC_LIB_TLS).bytes > tls_before);
    UNTIL_CLOSED(one);
    assert_int_equal(alloc_line_stats(ALLOC_CONNECTIONS).bytes, before);
    alloc_unseal();
    fixture_close(&fixture);
    server_stop(&server);
}

static void create_takes_no_more_than_it_says(void **state)
{
    (void)state;
    struct fixture fixture;
    size_t before = alloc_line_stats(ALLOC_CONNECTIONS).bytes;
    fixture_open(&fixture, NULL);
    for (int i = 0; i < FIXTURE_CLIENTS_MAX; i++) {
        fixture_client(&fixture);
    }
    size_t took = alloc_line_stats(ALLOC_CONNECTIONS).bytes - before;
    assert_true(took <= net_memory_bytes(&fixture.config));
    assert_true(took * 10 >= net_memory_bytes(&fixture.config) * 9);
    struct ws_client_handlers handlers = {0};
    assert_null(ws_client_create(fixture.net, &handlers)); /* connections_max */
    fixture_close(&fixture);
    assert_int_equal(alloc_line_stats(ALLOC_CONNECTIONS).bytes, before);
}

static void creation_fails_cleanly_at_each_allocation(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, NULL); /* what OpenSSL makes once is made */
    size_t before = alloc_line_stats(ALLOC_CONNECTIONS).bytes;
    size_t tls_before = alloc_line_stats(ALLOC_LIB_TLS).bytes;
    bool made = false;
    int failures = 0;
    for (uint64_t n = 1; n < 5000 && !made; n++) {
        struct err err = {""};
        alloc_fail_at(n);
        struct net *net = net_create(fixture.loop, &fixture.config, &err);
        struct ws_client_handlers handlers = {fixture_on_open, fixture_on_message, fixture_on_close,
                                              &fixture};
        struct ws_client *client = net != NULL ? ws_client_create(net, &handlers) : NULL;
        made = client != NULL && n > 20;
        alloc_fail_at(0);
        failures += client == NULL;
        assert_true(net != NULL || err.text[0] != 0);
        ws_client_destroy(client);
        net_destroy(net);
        assert_int_equal(alloc_line_stats(ALLOC_CONNECTIONS).bytes, before);
    }
    assert_true(made);
    assert_true(failures >= 8);
    assert_true(alloc_line_stats(ALLOC_LIB_TLS).bytes <= tls_before + 65536);
    fixture_close(&fixture);
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
        cmocka_unit_test(talks_over_plain_tcp),
        cmocka_unit_test(talks_over_tls),
        cmocka_unit_test(talks_over_tls_by_name),
        cmocka_unit_test(talks_over_ipv6),
        cmocka_unit_test(tells_the_close_of_the_peer_and_answers_it),
        cmocka_unit_test(hostile_frames_close_with_the_right_code_and_leave_others_alone),
        cmocka_unit_test(bad_handshakes_end_with_status_and_words),
        cmocka_unit_test(head_of_64_kib_ends_the_handshake),
        cmocka_unit_test(one_byte_a_write_gives_the_same_messages),
        cmocka_unit_test(frames_behind_the_handshake_are_not_lost),
        cmocka_unit_test(ping_in_a_flood_is_answered_before_the_data_of_the_same_read),
        cmocka_unit_test(flood_of_pings_with_unread_answers_is_bounded),
        cmocka_unit_test(half_open_connection_is_closed_within_the_silence_timeout),
        cmocka_unit_test(half_open_connection_is_closed_when_no_pong_comes),
        cmocka_unit_test(peer_that_trickles_for_ever_is_closed_when_no_pong_comes),
        cmocka_unit_test(peer_that_answers_pings_is_kept),
        cmocka_unit_test(connect_timeout_covers_tls_and_handshake),
        cmocka_unit_test(close_that_is_not_answered_ends_after_2_s),
        cmocka_unit_test(large_messages_share_a_few_buffers_and_none_is_lost),
        cmocka_unit_test(connection_that_waits_10_s_for_a_large_buffer_is_closed_and_counted),
        cmocka_unit_test(messages_of_every_size_up_to_the_limit_are_taken),
        cmocka_unit_test(paused_connection_holds_the_peer_back_and_loses_nothing),
        cmocka_unit_test(reset_while_paused_costs_no_busy_loop_and_is_told_after_resuming),
        cmocka_unit_test(client_connects_again_from_its_on_close),
        cmocka_unit_test(client_may_be_destroyed_in_its_on_close),
        cmocka_unit_test(on_close_never_comes_inside_a_call_and_comes_once),
        cmocka_unit_test(clients_may_be_destroyed_at_any_stage),
        cmocka_unit_test(headers_are_sent_and_then_wiped),
        cmocka_unit_test(bad_urls_and_headers_are_refused_at_once),
        cmocka_unit_test(send_queue_is_bounded),
        cmocka_unit_test(nothing_of_ours_is_allocated_after_create),
        cmocka_unit_test(create_takes_no_more_than_it_says),
        cmocka_unit_test(creation_fails_cleanly_at_each_allocation),
    };
    return cmocka_run_group_tests(tests, setup, teardown_all);
}
