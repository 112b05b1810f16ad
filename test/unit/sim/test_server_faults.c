/* Each kind of scripted fault as a client sees it, and the replay of a recording. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <cmocka.h>

#include "sim_client.h"

static char text[1 << 19];
static char other[1 << 19];

static void quick_pings(struct sim_config *config)
{
    config->limits.ping_interval_ms = 1000;
    config->limits.pong_timeout_ms = 500;
}

/* The number behind a key of a message. */
static long long number_of(const char *message, const char *key)
{
    const char *at = strstr(message, key);
    assert_non_null(at);
    return strtoll(at + strlen(key), NULL, 10);
}

static struct sim *faulty_sim(struct sim_config *config, const char *script)
{
    config->faults = str_from(script);
    return test_sim(config);
}

/* Reads trades for a while; counts the ids left out, repeated and out of order. */
struct seen {
    long long missing, repeated, backward, broken, messages;
};

static struct seen trades_seen(struct sim *sim, struct client *client, int64_t ms)
{
    struct seen seen = {0};
    long long highest = -1;
    for (int64_t i = 0; i < ms; i++) {
        test_pass(sim, 1);
        while (client_next(client, text, sizeof text) == WS_TEXT) {
            seen.messages++;
            if (memchr(text, 1, strlen(text)) != NULL) {
                seen.broken++;
                highest++;
                continue;
            }
            long long id = number_of(text, "\"t\":");
            if (highest >= 0 && id > highest + 1) {
                seen.missing += id - highest - 1;
            }
            seen.repeated += id == highest;
            seen.backward += id < highest;
            highest = id > highest ? id : highest;
        }
    }
    return seen;
}

static void dropped_messages_are_exactly_those_counted(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = faulty_sim(&config, "every 20 drop trade BTCUSDT");
    struct client *client = client_websocket(sim, "/ws/btcusdt@trade");
    struct seen seen = trades_seen(sim, client, 10000);
    long long dropped = test_status(sim, "drop");
    assert_in_range(dropped, 40, 70);
    assert_in_range(seen.missing, dropped - 1, dropped); /* the last one may be at the very end */
    assert_int_equal(seen.repeated + seen.backward + seen.broken, 0);
    client_free(client);
    sim_destroy(sim);
}

static void doubled_messages_come_twice(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = faulty_sim(&config, "every 10 dup trade");
    struct client *client = client_websocket(sim, "/ws/btcusdt@trade");
    struct seen seen = trades_seen(sim, client, 3000);
    assert_true(seen.repeated > 20);
    assert_int_equal(seen.repeated, test_status(sim, "dup"));
    assert_int_equal(seen.missing + seen.backward, 0);
    client_free(client);
    sim_destroy(sim);
}

static void swapped_messages_come_after_their_successor(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = faulty_sim(&config, "every 10 swap trade");
    struct client *client = client_websocket(sim, "/ws/btcusdt@trade");
    struct seen seen = trades_seen(sim, client, 3000);
    long long swapped = test_status(sim, "swap");
    assert_true(swapped > 20);
    assert_in_range(seen.backward, swapped - 1, swapped);
    assert_in_range(seen.missing, seen.backward, seen.backward + 1);
    client_free(client);
    sim_destroy(sim);
}

static void corrupt_messages_hold_a_byte_no_json_has(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = faulty_sim(&config, "every 10 corrupt trade");
    struct client *client = client_websocket(sim, "/ws/btcusdt@trade");
    struct seen seen = trades_seen(sim, client, 3000);
    assert_true(seen.broken > 20);
    assert_int_equal(seen.broken, test_status(sim, "corrupt"));
    client_free(client);
    sim_destroy(sim);
}

static void silence_withholds_data_but_not_pings(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    config.limits.ping_interval_ms = 1000;
    struct sim *sim = faulty_sim(&config, "at 1s silence 3s");
    struct client *client = client_websocket(sim, "/ws/btcusdt@trade");
    test_pass(sim, 1100);
    int got;
    while ((got = client_next(client, text, sizeof text)) >= 0) {
        if (got == WS_PING) {
            client_frame(client, WS_PONG, text);
        }
    }
    int texts = 0;
    int pings = 0;
    for (int i = 0; i < 2800; i++) {
        test_pass(sim, 1);
        got = client_next(client, text, sizeof text);
        texts += got == WS_TEXT;
        pings += got == WS_PING;
        if (got == WS_PING) {
            client_frame(client, WS_PONG, text);
        }
    }
    assert_int_equal(texts, 0);
    assert_true(pings >= 2);
    assert_true(test_status(sim, "messages_withheld") > 100);
    client_expect(sim, client, WS_TEXT, text, sizeof text, 1000);
    client_free(client);
    sim_destroy(sim);
}

static void split_frames_read_the_same(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *whole = test_sim(&config);
    struct client *client = client_websocket(whole, "/ws/btcusdt@trade");
    for (int i = 0; i < 20; i++) {
        client_expect(whole, client, WS_TEXT, other + i * 512, 512, 1000);
    }
    client_free(client);
    sim_destroy(whole);
    struct sim *split = faulty_sim(&config, "split 1");
    client = client_websocket(split, "/ws/btcusdt@trade");
    for (int i = 0; i < 20; i++) {
        client_expect(split, client, WS_TEXT, text, sizeof text, 1000);
        assert_string_equal(text, other + i * 512);
    }
    assert_int_equal(test_status(split, "split"), 1);
    client_free(client);
    sim_destroy(split);
}

static void scripted_closes_end_connections_as_told(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = faulty_sim(&config, "conn 1 after 1s close 1001\n"
                                          "conn 2 after 1s reset\n"
                                          "conn 3 after 1s fin\n"
                                          "conn 4 after 1s shutdown for 500ms\n");
    struct client *clients[4];
    for (int i = 0; i < 4; i++) {
        clients[i] = client_websocket(sim, "/stream");
    }
    test_pass(sim, 900);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(client_next(clients[i], text, sizeof text), -1);
        assert_false(clients[i]->ended || clients[i]->reset);
    }
    test_pass(sim, 200);
    assert_int_equal(client_next(clients[0], text, sizeof text), WS_CLOSE);
    assert_int_equal(close_code(text), 1001);
    client_read(clients[1]);
    assert_true(clients[1]->reset);
    client_read(clients[2]);
    assert_true(clients[2]->ended);
    assert_int_equal(client_next(clients[3], text, sizeof text), WS_TEXT);
    assert_int_equal(
        strncmp(text,
                "{\"stream\":\"!serverShutdown\",\"data\":{\"e\":\"serverShutdown\",\"E\":", 61),
        0);
    assert_int_equal(client_next(clients[3], text, sizeof text), -1);
    client_expect(sim, clients[3], WS_CLOSE, text, sizeof text, 600);
    assert_int_equal(close_code(text), 1001);
    assert_int_equal(test_status(sim, "faults"), 4);
    for (int i = 0; i < 4; i++) {
        client_free(clients[i]);
    }
    sim_destroy(sim);
}

static void a_cut_ends_within_a_message_at_each_offset(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = faulty_sim(&config, "after 10ms fin sweep");
    for (size_t offset = 0; offset < 40; offset++) {
        struct client *client = client_websocket(sim, "/ws/btcusdt@trade");
        client->bytes = client->at = 0; /* messages before the cut are of no interest */
        size_t sum = 0;
        for (int i = 0; i < 3000 && !client->ended; i++) {
            test_pass(sim, 1);
            while (client_next(client, text, sizeof text) >= 0) {
            }
        }
        assert_true(client->ended);
        sum = client->bytes - client->at;
        assert_int_equal(sum, offset);
        client_free(client);
        test_pass(sim, 5);
    }
    assert_int_equal(test_status(sim, "fin"), 40);
    sim_destroy(sim);
}

static void half_open_connections_neither_speak_nor_end(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    quick_pings(&config);
    struct sim *sim = faulty_sim(&config, "half_open for 5s");
    struct client *client = client_websocket(sim, "/ws/btcusdt@trade");
    test_pass(sim, 4900);
    assert_int_equal(client_next(client, text, sizeof text), -1);
    assert_false(client->ended || client->reset);
    test_pass(sim, 200);
    client_read(client);
    assert_true(client->reset);
    assert_int_equal(test_status(sim, "violations"), 0);
    client_free(client);
    sim_destroy(sim);
}

static void rest_faults_come_as_scripted(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = faulty_sim(&config, "rest_status 429 time for 3s\n"
                                          "rest_lag 10s depth\n"
                                          "every 2 rest_status 503 ping\n"
                                          "rest_delay 40ms avgPrice\n"
                                          "rest_reset trades\n");
    struct client *client = client_open(sim);
    struct client *stream = client_websocket(sim, "/ws/btcusdt@depth@100ms");
    assert_int_equal(client_get(sim, client, "/api/v3/time"), 429);
    assert_non_null(strstr((char *)client->in, "Retry-After: 3\r\n"));
    test_pass(sim, 3000);
    assert_int_equal(client_get(sim, client, "/api/v3/time"), 200);
    assert_int_equal(client_get(sim, client, "/api/v3/ping"), 200);
    assert_int_equal(client_get(sim, client, "/api/v3/ping"), 503);
    client_expect(sim, stream, WS_TEXT, text, sizeof text, 1000);
    assert_int_equal(client_get(sim, client, "/api/v3/depth?symbol=BTCUSDT&limit=5"), 200);
    assert_true(number_of((char *)client->in + client->at, "\"lastUpdateId\":") <
                number_of(text, "\"U\":"));
    int64_t before = test_now_ns;
    assert_int_equal(client_get(sim, client, "/api/v3/avgPrice?symbol=BTCUSDT"), 200);
    assert_true(test_now_ns - before >= 40 * NS_PER_MS);
    static const char request[] = "GET /api/v3/trades?symbol=BTCUSDT HTTP/1.1\r\nHost: x\r\n\r\n";
    client_send(client, request, sizeof request - 1);
    test_pass(sim, 10);
    client_read(client);
    assert_true(client->reset);
    client_free(client);
    client_free(stream);
    sim_destroy(sim);
}

static void acks_can_be_withheld_wrong_or_errors(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = faulty_sim(&config, "ack none until 1s\n"
                                          "ack error from 1s until 2s\n"
                                          "ack wrong_id from 2s\n");
    struct client *client = client_websocket(sim, "/ws");
    static const char request[] =
        "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@kline_1M\"],\"id\":5}";
    client_frame(client, WS_TEXT, request);
    test_pass(sim, 1000);
    assert_int_equal(client_next(client, text, sizeof text), -1);
    client_control(sim, client, request, text, sizeof text);
    assert_string_equal(text, "{\"code\":2,\"msg\":\"Invalid request: scripted fault\",\"id\":5}");
    test_pass(sim, 1000);
    client_control(sim, client, request, text, sizeof text);
    assert_string_equal(text, "{\"result\":null,\"id\":987654321}");
    client_free(client);
    sim_destroy(sim);
}

static void a_bad_script_is_refused_at_start(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    config.faults = STR("explode");
    int code;
    struct err err = {{0}};
    assert_null(sim_create(&config, &code, &err));
    assert_int_equal(code, MD_EPARSE);
    assert_string_equal(err.text, "fault script: line 1: unknown action \"explode\"");
}

/* ---- replay */

static void a_recording_is_served_in_its_order_and_pace(void **state)
{
    (void)state;
    char path[] = "/tmp/md-test-sim-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    static const char recording[] =
        "1700000000.0\tbinance\t1\topen\twss://x/stream\t\n"
        "1700000000.1\tbinance\t1\trecv\t\t{\"stream\":\"aaausdt@trade\",\"data\":{\"t\":1}}\n"
        "1700000000.2\tbinance\t2\trest-part\tGET https://h/api/v3/depth?symbol=AAAUSDT&limit=5 "
        "200\t{\"lastUpd\n"
        "1700000000.2\tbinance\t2\trest\tGET https://h/api/v3/depth?symbol=AAAUSDT&limit=5 200\t"
        "ateId\":7}\n"
        "1700000000.5\tbinance\t1\trecv\t\t{\"stream\":\"bbbbtc@depth@100ms\",\"data\":{\"t\":2}}\n"
        "1700000001.5\tbinance\t1\trecv\t\t{\"stream\":\"aaausdt@trade\",\"data\":{\"t\":3}}\n"
        "1700000001.6\tbinance\t1\trecv\t\t{\"result\":null,\"id\":1}\n";
    assert_int_equal(write(fd, recording, sizeof recording - 1), sizeof recording - 1);
    close(fd);
    struct sim_config config = test_config();
    config.replay_path = path;
    struct sim *sim = test_sim(&config);
    struct client *rest = client_open(sim);
    assert_int_equal(client_get(sim, rest, "/api/v3/exchangeInfo"), 200);
    assert_non_null(strstr((char *)rest->in, "\"symbol\":\"BBBBTC\",\"status\":\"TRADING\","
                                             "\"baseAsset\":\"BBB\""));
    struct client *client =
        client_websocket(sim, "/stream?streams=aaausdt@trade/bbbbtc@depth@100ms");
    test_pass(sim, 1090);
    assert_int_equal(client_next(client, text, sizeof text), -1);
    test_pass(sim, 20);
    assert_int_equal(client_next(client, text, sizeof text), WS_TEXT);
    assert_string_equal(text, "{\"stream\":\"aaausdt@trade\",\"data\":{\"t\":1}}");
    assert_int_equal(client_next(client, text, sizeof text), -1);
    test_pass(sim, 400);
    assert_int_equal(client_next(client, text, sizeof text), WS_TEXT);
    assert_string_equal(text, "{\"stream\":\"bbbbtc@depth@100ms\",\"data\":{\"t\":2}}");
    assert_int_equal(client_get(sim, rest, "/api/v3/depth?symbol=AAAUSDT&limit=1000"), 200);
    assert_string_equal((char *)rest->in + rest->at, "{\"lastUpdateId\":7}");
    client_expect(sim, client, WS_TEXT, text, sizeof text, 1100);
    assert_string_equal(text, "{\"stream\":\"aaausdt@trade\",\"data\":{\"t\":3}}");
    test_pass(sim, 200);
    assert_int_equal(test_status(sim, "messages_replayed"), 3);
    assert_int_equal(test_status(sim, "replay_lines_skipped"), 1);
    assert_int_equal(test_status(sim, "replays_done"), 1);
    client_free(client);
    client_free(rest);
    sim_destroy(sim);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dropped_messages_are_exactly_those_counted),
        cmocka_unit_test(doubled_messages_come_twice),
        cmocka_unit_test(swapped_messages_come_after_their_successor),
        cmocka_unit_test(corrupt_messages_hold_a_byte_no_json_has),
        cmocka_unit_test(silence_withholds_data_but_not_pings),
        cmocka_unit_test(split_frames_read_the_same),
        cmocka_unit_test(scripted_closes_end_connections_as_told),
        cmocka_unit_test(a_cut_ends_within_a_message_at_each_offset),
        cmocka_unit_test(half_open_connections_neither_speak_nor_end),
        cmocka_unit_test(rest_faults_come_as_scripted),
        cmocka_unit_test(acks_can_be_withheld_wrong_or_errors),
        cmocka_unit_test(a_bad_script_is_refused_at_start),
        cmocka_unit_test(a_recording_is_served_in_its_order_and_pace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
