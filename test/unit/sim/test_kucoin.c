/* KuCoin as clients see it, on a clock of our own: tokens, two kinds of sockets, limits and what
 * the venue says when they are broken, ids that go on. Messages are read by jansson. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <cmocka.h>

#include <jansson.h>

#include "sim_client.h"

static char text[1 << 19];

static struct sim_config kucoin_config(enum venue_id exchange)
{
    struct sim_config config = test_config();
    config.exchange = exchange;
    config.limits = sim_limits_of(exchange);
    config.model.symbols = 10;
    return config;
}

static json_t *parsed(const char *message)
{
    json_error_t error;
    json_t *root = json_loads(message, 0, &error);
    if (root == NULL) {
        print_error("%s\n", message);
    }
    assert_non_null(root);
    return root;
}

static const char *string_of(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    assert_true(json_is_string(value));
    return json_string_value(value);
}

static long long integer_of(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

/* ---- sockets */

/* "/endpoint?token=.." for a fresh token. */
static void fetch_token(struct sim *sim, char path[512])
{
    static const char request[] =
        "POST /api/v1/bullet-public HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    struct client *client = client_open(sim);
    client_send(client, request, sizeof request - 1);
    test_pass(sim, 5);
    client_read(client);
    char *body = strstr((char *)client->in, "\r\n\r\n");
    assert_non_null(body);
    json_t *root = parsed(body + 4);
    assert_string_equal(string_of(root, "code"), "200000");
    json_t *data = json_object_get(root, "data");
    json_t *server = json_array_get(json_object_get(data, "instanceServers"), 0);
    assert_non_null(strstr(string_of(server, "endpoint"), "/endpoint"));
    assert_int_equal(integer_of(server, "pingInterval"), 18000);
    size_t n = (size_t)snprintf(path, 512, "/endpoint?connectId=me&token=");
    for (const char *c = string_of(data, "token"); *c != 0; c++) {
        n += (size_t)snprintf(path + n, 512 - n, *c == '=' ? "%%3D" : "%c", *c);
    }
    json_decref(root);
    client_free(client);
}

/* The next message of this opcode; the caller gives it back. */
static json_t *next(struct sim *sim, struct client *client, int opcode, int64_t ms)
{
    client_expect(sim, client, opcode, text, sizeof text, ms);
    return parsed(text);
}

static struct client *classic(struct sim *sim)
{
    char path[512];
    fetch_token(sim, path);
    struct client *client = client_websocket(sim, path);
    json_t *welcome = next(sim, client, WS_TEXT, 100);
    assert_string_equal(string_of(welcome, "type"), "welcome");
    assert_string_equal(string_of(welcome, "id"), "me");
    json_decref(welcome);
    return client;
}

static struct client *unified(struct sim *sim)
{
    struct client *client = client_websocket(sim, "/");
    json_t *welcome = next(sim, client, WS_BINARY, 100);
    assert_string_equal(string_of(welcome, "message"), "welcome");
    json_decref(welcome);
    return client;
}

static void ask(struct client *client, const char *topic)
{
    static char request[65536];
    snprintf(request, sizeof request,
             "{\"id\":\"5\",\"type\":\"subscribe\",\"topic\":\"%s\",\"privateChannel\":false,"
             "\"response\":true}",
             topic);
    client_frame(client, WS_TEXT, request);
}

/* The reply to what was asked; market data is passed over. 0 = acknowledged, else the code. */
static long long answer(struct sim *sim, struct client *client, char words[200])
{
    for (int i = 0; i < 10000; i++) {
        json_t *root = next(sim, client, WS_TEXT, 200);
        const char *type = string_of(root, "type");
        long long code = strcmp(type, "ack") == 0     ? 0
                         : strcmp(type, "error") == 0 ? integer_of(root, "code")
                                                      : -1;
        if (code > 0 && words != NULL) {
            snprintf(words, 200, "%s", string_of(root, "data"));
        }
        json_decref(root);
        if (code >= 0) {
            return code;
        }
    }
    fail();
    return -1;
}

static int heard(struct sim *sim, struct client *client, int64_t ms)
{
    int count = 0;
    for (int64_t i = 0; i < ms; i++) {
        test_pass(sim, 1);
        while (client_next(client, text, sizeof text) >= 0) {
            count++;
        }
    }
    return count;
}

/* ---- tokens */

static void a_token_opens_one_connection_once(void **state)
{
    (void)state;
    struct sim_config config = kucoin_config(VENUE_KUCOIN);
    struct sim *sim = test_sim(&config);
    char path[512];
    fetch_token(sim, path);
    struct client *first = client_websocket(sim, path);
    json_t *root = next(sim, first, WS_TEXT, 100);
    assert_string_equal(string_of(root, "type"), "welcome");
    json_decref(root);
    static const char *const bad[] = {NULL, "/endpoint", "/endpoint?token=xyz"};
    for (size_t i = 0; i < 3; i++) {
        struct client *again = client_websocket(sim, bad[i] == NULL ? path : bad[i]);
        root = next(sim, again, WS_TEXT, 100);
        assert_int_equal(integer_of(root, "code"), 401);
        assert_string_equal(string_of(root, "data"), "token is invalid");
        json_decref(root);
        client_expect(sim, again, WS_CLOSE, text, sizeof text, 100);
        assert_int_equal(close_code(text), 1000);
        client_free(again);
    }
    assert_int_equal(test_status(sim, "token"), 3); /* of violations */
    client_free(first);
    sim_destroy(sim);
}

static void a_token_expires(void **state)
{
    (void)state;
    struct sim_config config = kucoin_config(VENUE_KUCOIN_FUTURES);
    config.limits.life_ms = 5000;
    struct sim *sim = test_sim(&config);
    char path[512];
    fetch_token(sim, path);
    test_pass(sim, 5001);
    struct client *client = client_websocket(sim, path);
    json_t *root = next(sim, client, WS_TEXT, 100);
    assert_int_equal(integer_of(root, "code"), 401);
    assert_string_equal(string_of(root, "data"), "token is expired");
    json_decref(root);
    client_free(client);
    sim_destroy(sim);
}

static void more_connects_than_a_minute_allows_are_refused(void **state)
{
    (void)state;
    struct sim_config config = kucoin_config(VENUE_KUCOIN);
    struct sim *sim = test_sim(&config);
    char path[512];
    for (int i = 0; i < 30; i++) {
        client_free(classic(sim));
        test_pass(sim, 10);
    }
    fetch_token(sim, path);
    struct client *client = client_open(sim);
    char request[1024];
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: "
                     "Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                     "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                     path);
    client_send(client, request, (size_t)n);
    test_pass(sim, 5);
    client_read(client);
    assert_int_equal(strncmp((char *)client->in, "HTTP/1.1 429 ", 13), 0);
    assert_int_equal(test_status(sim, "connects_per_window"), 1);
    client_free(client);
    test_pass(sim, 60000);
    client_free(classic(sim)); /* the window is over */
    sim_destroy(sim);
}

/* ---- requests */

static void wrong_requests_get_their_codes(void **state)
{
    (void)state;
    static const struct {
        const char *topic;
        long long code;
    } cases[] = {
        {"/market/match:BTC-USDT,ETH-USDT", 0},
        {"/market/level1:BTC-USDT", 404}, /* the prefix matters */
        {"/contractMarket/execution:XBTUSDTM", 404},
        {"/account/balance", 403},
        {"", 406},
        {"/market/match:", 400},
        {"/market/match:BTC-USDT,,ETH-USDT", 400},
        {"/market/candles:BTC-USDT_2min", 400},
        {"/market/candles:BTC-USDT_1min", 0},
    };
    struct sim_config config = kucoin_config(VENUE_KUCOIN);
    struct sim *sim = test_sim(&config);
    struct client *client = classic(sim);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(client, cases[i].topic);
        assert_int_equal(answer(sim, client, NULL), cases[i].code);
        test_pass(sim, 150);
    }
    client_frame(client, WS_TEXT, "{\"id\":\"5\",\"type\":\"nonsense\"}");
    assert_int_equal(answer(sim, client, NULL), 415);
    assert_int_equal(test_status(sim, "violations"), 0);
    client_free(client);
    sim_destroy(sim);
}

static void an_unknown_symbol_is_acknowledged_and_silent(void **state)
{
    (void)state;
    struct sim_config config = kucoin_config(VENUE_KUCOIN);
    struct sim *sim = test_sim(&config);
    struct client *client = classic(sim);
    ask(client, "/market/match:NO-SUCH,NEITHER-THIS");
    assert_int_equal(answer(sim, client, NULL), 0);
    assert_int_equal(heard(sim, client, 3000), 0);
    assert_int_equal(test_status(sim, "streams_unknown"), 2);
    client_free(client);
    client = unified(sim);
    client_frame(client, WS_TEXT,
                 "{\"id\":\"6\",\"action\":\"subscribe\",\"channel\":\"trade\",\"tradeType\":"
                 "\"SPOT\",\"symbol\":\"NO-SUCH\"}");
    json_t *root = next(sim, client, WS_BINARY, 100);
    assert_true(json_is_true(json_object_get(root, "result")));
    json_decref(root);
    assert_int_equal(heard(sim, client, 3000), 0);
    client_free(client);
    sim_destroy(sim);
}

static void a_topic_takes_a_hundred_symbols_and_a_connection_four_hundred(void **state)
{
    (void)state;
    static char topic[8192];
    char words[200];
    struct sim_config config = kucoin_config(VENUE_KUCOIN);
    struct sim *sim = test_sim(&config);
    struct client *client = classic(sim);
    for (int round = 0; round < 6; round++) { /* 101, 4 x 100, 100 */
        int names = round == 0 ? 101 : 100;
        size_t n = (size_t)snprintf(topic, sizeof topic, "/market/match:");
        for (int i = 0; i < names; i++) { /* those that do not exist count too */
            n += (size_t)snprintf(topic + n, sizeof topic - n, "%sA%d-B%d", i > 0 ? "," : "", i,
                                  round);
        }
        ask(client, topic);
        long long code = answer(sim, client, words);
        if (round == 0) {
            assert_int_equal(code, 509);
            assert_non_null(strstr(words, "of 100 per time"));
        } else if (round == 5) {
            assert_int_equal(code, 509);
            assert_non_null(strstr(words, "of 400 per session"));
        } else {
            assert_int_equal(code, 0);
        }
        test_pass(sim, 150);
    }
    assert_int_equal(test_status(sim, "symbols_per_request"), 1);
    assert_int_equal(test_status(sim, "streams_per_connection"), 1);
    client_free(client);
    sim_destroy(sim);
}

/* 509 and "Bye"; what is behind it is not looked at. */
static void too_many_messages_are_told_and_the_connection_closed(void **state)
{
    (void)state;
    char words[200];
    struct sim_config config = kucoin_config(VENUE_KUCOIN);
    struct sim *sim = test_sim(&config);
    struct client *client = classic(sim);
    for (int i = 0; i < 16; i++) {
        ask(client, "/spotMarket/level1:NO-SUCH");
    }
    for (int i = 0; i < 14; i++) {
        assert_int_equal(answer(sim, client, NULL), 0);
    }
    assert_int_equal(answer(sim, client, words), 509);
    assert_string_equal(words, "exceed max permits per second");
    client_expect(sim, client, WS_CLOSE, text, sizeof text, 200);
    assert_int_equal(close_code(text), 1000);
    assert_string_equal(text + 2, "Bye");
    assert_int_equal(test_status(sim, "messages_per_second"), 1);
    client_free(client);

    client = classic(sim); /* 100 in 10 s */
    for (int i = 0; i < 100; i++) {
        ask(client, "/spotMarket/level1:NO-SUCH");
        assert_int_equal(answer(sim, client, NULL), 0);
        test_pass(sim, 90);
    }
    ask(client, "/spotMarket/level1:NO-SUCH");
    assert_int_equal(answer(sim, client, words), 509);
    assert_string_equal(words, "exceed max permits per 10 seconds");
    client_free(client);
    sim_destroy(sim);
}

/* Only what the client says counts, and only JSON pings are answered. */
static void a_client_that_says_nothing_is_cut_after_a_minute(void **state)
{
    (void)state;
    struct sim_config config = kucoin_config(VENUE_KUCOIN);
    struct sim *sim = test_sim(&config);
    struct client *client = classic(sim);
    for (int i = 0; i < 3; i++) {
        (void)heard(sim, client, 50000);
        client_frame(client, WS_TEXT, "{\"id\":\"9\",\"type\":\"ping\"}");
        json_t *root = next(sim, client, WS_TEXT, 100);
        assert_string_equal(string_of(root, "type"), "pong");
        assert_string_equal(string_of(root, "id"), "9");
        json_decref(root);
    }
    (void)heard(sim, client, 59000);
    assert_int_equal(test_status(sim, "idle_timeout"), 0);
    json_t *root = next(sim, client, WS_TEXT, 2000);
    assert_int_equal(integer_of(root, "code"), 400);
    assert_string_equal(string_of(root, "data"), "ping timeout");
    json_decref(root);
    assert_int_equal(test_status(sim, "idle_timeout"), 1);
    client_free(client);
    sim_destroy(sim);
}

/* ---- books */

/* Frames are binary, hold JSON, begin with a full book and go on without a hole. */
static void obu_begins_with_a_full_book_in_binary_frames(void **state)
{
    (void)state;
    struct sim_config config = kucoin_config(VENUE_KUCOIN_FUTURES);
    struct sim *sim = test_sim(&config);
    struct client *client = unified(sim);
    client_frame(client, WS_TEXT,
                 "{\"id\":\"6\",\"action\":\"subscribe\",\"channel\":\"obu\",\"tradeType\":"
                 "\"FUTURES\",\"symbol\":\"XBTUSDTM\",\"depth\":\"increment@10ms\",\"rpiFilter\":"
                 "0}");
    json_t *root = next(sim, client, WS_BINARY, 100);
    assert_true(json_is_true(json_object_get(root, "result")));
    json_decref(root);
    long long last = 0;
    for (int i = 0; i < 200; i++) {
        root = next(sim, client, WS_BINARY, 2000);
        json_t *data = json_object_get(root, "d");
        bool first = i == 0;
        assert_string_equal(string_of(root, "T"), "obu.FUTURES");
        assert_string_equal(string_of(root, "t"), first ? "snapshot" : "delta");
        assert_string_equal(string_of(data, "s"), "XBTUSDTM");
        long long from = integer_of(data, "O");
        long long to = integer_of(data, "C");
        assert_true(first ? from == to : from == last + 1 && to >= from);
        assert_true(!first || json_array_size(json_object_get(data, "b")) == 500);
        last = to;
        json_decref(root);
    }
    client_free(client);
    sim_destroy(sim);
}

static void level2_tells_every_sequence_once(void **state)
{
    (void)state;
    struct sim_config config = kucoin_config(VENUE_KUCOIN);
    struct sim *sim = test_sim(&config);
    struct client *client = classic(sim);
    ask(client, "/market/level2:BTC-USDT");
    assert_int_equal(answer(sim, client, NULL), 0);
    long long last = 0;
    for (int i = 0; i < 100; i++) {
        json_t *root = next(sim, client, WS_TEXT, 2000);
        json_t *data = json_object_get(root, "data");
        long long from = integer_of(data, "sequenceStart");
        long long to = integer_of(data, "sequenceEnd");
        assert_true(last == 0 || from == last + 1);
        unsigned seen = 0;
        static const char *const sides[2] = {"bids", "asks"};
        for (int side = 0; side < 2; side++) {
            json_t *list = json_object_get(json_object_get(data, "changes"), sides[side]);
            for (size_t k = 0; k < json_array_size(list); k++) {
                const char *id = json_string_value(json_array_get(json_array_get(list, k), 2));
                long long sequence = strtoll(id, NULL, 10);
                assert_in_range(sequence, from, to);
                seen |= 1u << (sequence - from);
            }
        }
        assert_int_equal(seen, (1u << (to - from + 1)) - 1); /* price 0 where nothing changed */
        last = to;
        json_decref(root);
    }
    client_free(client);
    sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_opens_one_connection_once),
        cmocka_unit_test(a_token_expires),
        cmocka_unit_test(more_connects_than_a_minute_allows_are_refused),
        cmocka_unit_test(wrong_requests_get_their_codes),
        cmocka_unit_test(an_unknown_symbol_is_acknowledged_and_silent),
        cmocka_unit_test(a_topic_takes_a_hundred_symbols_and_a_connection_four_hundred),
        cmocka_unit_test(too_many_messages_are_told_and_the_connection_closed),
        cmocka_unit_test(a_client_that_says_nothing_is_cut_after_a_minute),
        cmocka_unit_test(obu_begins_with_a_full_book_in_binary_frames),
        cmocka_unit_test(level2_tells_every_sequence_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
