/* The simulator as clients see it, on a clock of our own: streams that are the model's, control
 * requests, the venue's limits and REST. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <cmocka.h>

#include "sim_client.h"

#include "sim/model.h"
#include "sim/sim_stream.h"

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

struct market {
    struct model model;
    void *memory;
};

static struct market market_of(const struct sim_config *config)
{
    struct market market;
    market.memory = calloc(1, model_memory_bytes(&config->model));
    assert_non_null(market.memory);
    model_init(&market.model, &config->model, market.memory);
    return market;
}

/* ---- streams */

static void trades_are_the_models_byte_for_byte(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = test_sim(&config);
    struct market market = market_of(&config);
    const struct model_symbol *symbol = &market.model.symbols[0];
    struct client *client = client_websocket(sim, "/ws/btcusdt@trade");
    long long last = -1;
    for (int i = 0; i < 300; i++) {
        client_expect(sim, client, WS_TEXT, text, sizeof text, 1000);
        long long id = number_of(text, "\"t\":");
        struct model_trade trade = model_trade_at(symbol, id - symbol->trade_id0);
        struct buf out = buf_over(other, sizeof other - 1);
        sim_put_trade(&out, symbol, &trade, false);
        other[out.bytes] = 0;
        assert_string_equal(text, other);
        assert_true(last < 0 || id == last + 1);
        assert_true(trade.time_unix_ns <= TEST_UNIX_NS + test_now_ns);
        last = id;
    }
    assert_int_equal(test_status(sim, "violations"), 0);
    assert_int_equal(test_status(sim, "messages_sent"), 300);
    free(market.memory);
    client_free(client);
    sim_destroy(sim);
}

static void combined_streams_are_wrapped_and_microseconds_are_given(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = test_sim(&config);
    struct client *client =
        client_websocket(sim, "/stream?streams=btcusdt@aggTrade&timeUnit=MICROSECOND");
    client_expect(sim, client, WS_TEXT, text, sizeof text, 1000);
    static const char head[] =
        "{\"stream\":\"btcusdt@aggTrade\",\"data\":{\"e\":\"aggTrade\",\"E\":"
        "1795455000";
    assert_int_equal(strncmp(text, head, sizeof head - 1), 0);
    assert_true(number_of(text, "\"E\":") > 1795455000000000LL);
    assert_string_equal(text + strlen(text) - 2, "}}");
    client_free(client);
    sim_destroy(sim);
}

/* A client's book by price, built only from what was sent. */
struct client_book {
    struct {
        double price, quantity;
    } side[2][16384];
    uint32_t count[2];
    long long id;
};

static void level_set(struct client_book *book, int side, double price, double quantity)
{
    uint32_t i = 0;
    while (i < book->count[side] && book->side[side][i].price != price) {
        i++;
    }
    assert_true(i < 16384);
    book->count[side] += i == book->count[side];
    book->side[side][i].price = price;
    book->side[side][i].quantity = quantity;
}

static void levels_read(struct client_book *book, int side, const char *message, const char *key)
{
    const char *at = strstr(message, key);
    assert_non_null(at);
    at += strlen(key);
    while (at[0] == '[' || at[0] == ',') {
        char *end;
        at += at[0] == ',' ? 3 : 2;
        double price = strtod(at, &end);
        double quantity = strtod(end + 3, &end);
        level_set(book, side, price, quantity);
        at = end + 2;
    }
}

static double best_of(const struct client_book *book, int side)
{
    double best = 0;
    for (uint32_t i = 0; i < book->count[side]; i++) {
        double price = book->side[side][i].price;
        if (book->side[side][i].quantity > 0 &&
            (best == 0 || (side == 0 ? price > best : price < best))) {
            best = price;
        }
    }
    return best;
}

static double sum_of(const struct client_book *book, int side)
{
    double sum = 0;
    for (uint32_t i = 0; i < book->count[side]; i++) {
        sum += book->side[side][i].quantity * book->side[side][i].price;
    }
    return sum;
}

static void book_apply(struct client_book *book, const char *message)
{
    long long first = number_of(message, "\"U\":");
    long long last = number_of(message, "\"u\":");
    if (last <= book->id) {
        return;
    }
    assert_true(first <= book->id + 1); /* no gap */
    levels_read(book, 0, message, "\"b\":[");
    levels_read(book, 1, message, "\"a\":[");
    book->id = last;
}

static void snapshot_and_diffs_give_the_book_of_a_later_snapshot(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = test_sim(&config);
    static struct client_book book, later;
    memset(&book, 0, sizeof book);
    memset(&later, 0, sizeof later);
    struct client *client = client_websocket(sim, "/ws/linkusdt@depth@100ms");
    struct client *rest = client_open(sim);
    test_pass(sim, 250);
    assert_int_equal(client_get(sim, rest, "/api/v3/depth?symbol=LINKUSDT&limit=5000"), 200);
    const char *body = (char *)rest->in + rest->at;
    book.id = number_of(body, "\"lastUpdateId\":");
    levels_read(&book, 0, body, "\"bids\":[");
    levels_read(&book, 1, body, "\"asks\":[");
    assert_true(book.count[0] > 500);
    assert_true(book.count[1] > 500);
    for (int i = 0; i < 100; i++) {
        client_expect(sim, client, WS_TEXT, text, sizeof text, 5000);
        book_apply(&book, text);
        assert_true(best_of(&book, 0) < best_of(&book, 1));
    }
    assert_int_equal(client_get(sim, rest, "/api/v3/depth?symbol=LINKUSDT&limit=5000"), 200);
    body = (char *)rest->in + rest->at;
    later.id = number_of(body, "\"lastUpdateId\":");
    levels_read(&later, 0, body, "\"bids\":[");
    levels_read(&later, 1, body, "\"asks\":[");
    while (book.id < later.id) { /* what happened since the last event is in the next ones */
        client_expect(sim, client, WS_TEXT, text, sizeof text, 5000);
        if (number_of(text, "\"u\":") > later.id) {
            memcpy(other, text, sizeof text);
            book_apply(&later, other);
        }
        book_apply(&book, text);
    }
    assert_true(sum_of(&book, 0) > 0);
    assert_float_equal(sum_of(&book, 0), sum_of(&later, 0), 1e-3);
    assert_float_equal(sum_of(&book, 1), sum_of(&later, 1), 1e-3);
    client_free(client);
    client_free(rest);
    sim_destroy(sim);
}

static void book_ticker_shows_the_best_of_the_book_with_its_id(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = test_sim(&config);
    struct market market = market_of(&config);
    const struct model_symbol *symbol = model_find(&market.model, STR("ETHUSDT"), false);
    struct client *client = client_websocket(sim, "/ws/ethusdt@bookTicker");
    static uint32_t steps[MODEL_SLOTS_MAX];
    for (int i = 0; i < 50; i++) {
        client_expect(sim, client, WS_TEXT, text, sizeof text, 5000);
        struct model_book book;
        model_book_build(&book, symbol, steps, number_of(text, "\"u\":") - symbol->update_id0);
        struct buf out = buf_over(other, sizeof other - 1);
        sim_put_book_ticker(&out, &book);
        other[out.bytes] = 0;
        assert_string_equal(text, other);
    }
    free(market.memory);
    client_free(client);
    sim_destroy(sim);
}

static void every_kind_of_stream_sends(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = test_sim(&config);
    for (int stream = 0; stream < SIM_STREAM_COUNT; stream++) {
        char target[64];
        snprintf(target, sizeof target, "/stream?streams=btcusdt@%s",
                 sim_stream_suffix((enum sim_stream)stream));
        struct client *client = client_websocket(sim, target);
        client_expect(sim, client, WS_TEXT, text, sizeof text, 2500);
        char wanted[64];
        snprintf(wanted, sizeof wanted, "{\"stream\":\"btcusdt@%s\",\"data\":{",
                 sim_stream_suffix((enum sim_stream)stream));
        assert_int_equal(strncmp(text, wanted, strlen(wanted)), 0);
        client_free(client);
        test_pass(sim, 2);
    }
    assert_int_equal(test_status(sim, "violations"), 0);
    sim_destroy(sim);
}

static void two_connections_get_the_same_messages(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = test_sim(&config);
    struct client *a = client_websocket(sim, "/ws/btcusdt@trade/ethusdt@depth@100ms");
    test_pass(sim, 500);
    struct client *b = client_websocket(sim, "/ws/btcusdt@trade/ethusdt@depth@100ms");
    client_expect(sim, b, WS_TEXT, other, sizeof other, 1000);
    bool found = false;
    for (int i = 0; i < 1000 && !found; i++) {
        client_expect(sim, a, WS_TEXT, text, sizeof text, 1000);
        found = strcmp(text, other) == 0;
    }
    assert_true(found);
    for (int i = 0; i < 200; i++) {
        client_expect(sim, a, WS_TEXT, text, sizeof text, 1000);
        client_expect(sim, b, WS_TEXT, other, sizeof other, 1000);
        assert_string_equal(text, other);
    }
    client_free(a);
    client_free(b);
    sim_destroy(sim);
}

static void closed_candles_say_so_at_the_end_of_their_second(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, "/ws/btcusdt@kline_1s");
    for (int i = 0; i < 4; i++) {
        client_expect(sim, client, WS_TEXT, text, sizeof text, 2500);
        assert_int_equal(number_of(text, "\"t\":"), 1795455000000LL + i * 1000);
        assert_int_equal(number_of(text, "\"T\":"), 1795455000999LL + i * 1000);
        assert_non_null(strstr(text, "\"x\":true"));
        assert_int_equal(number_of(text, "\"n\":"),
                         number_of(text, "\"L\":") - number_of(text, "\"f\":") + 1);
    }
    client_free(client);
    sim_destroy(sim);
}

/* ---- control */

static void control_requests_get_the_exact_replies(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    config.limits.messages_per_s = 60;
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, "/ws");
    static const char *const rows[][2] = {
        {"{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":1}", "{\"result\":[],\"id\":1}"},
        {"{\"method\":\"SUBSCRIBE\",\"params\":[\"nosuch@trade\"],\"id\":\"x1\"}",
         "{\"result\":null,\"id\":\"x1\"}"},
        {"{\"method\":\"SUBSCRIBE\",\"params\":[\"nknusdt@kline_1w\"],\"id\":null}",
         "{\"result\":null,\"id\":null}"},
        {"{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":3}",
         "{\"result\":[\"nknusdt@kline_1w\",\"nosuch@trade\"],\"id\":3}"},
        {"{\"method\":\"UNSUBSCRIBE\",\"params\":[\"nknusdt@kline_1w\"],\"id\":312}",
         "{\"result\":null,\"id\":312}"},
        {"{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":4}",
         "{\"result\":[\"nosuch@trade\"],\"id\":4}"},
        {"{\"method\":\"GET_PROPERTY\",\"params\":[\"combined\"],\"id\":5}",
         "{\"result\":false,\"id\":5}"},
        {"{\"method\":\"SET_PROPERTY\",\"params\":[\"combined\",true],\"id\":6}",
         "{\"result\":null,\"id\":6}"},
        {"{\"method\":\"GET_PROPERTY\",\"params\":[\"combined\"],\"id\":7}",
         "{\"result\":true,\"id\":7}"},
        {"{\"method\":\"SET_PROPERTY\",\"params\":[\"combined\",1],\"id\":8}",
         "{\"code\":1,\"msg\":\"Invalid value type: expected Boolean\",\"id\":8}"},
        {"{\"method\":\"GET_PROPERTY\",\"params\":[\"size\"],\"id\":9}",
         "{\"code\":0,\"msg\":\"Unknown property\",\"id\":9}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        client_control(sim, client, rows[i][0], text, sizeof text);
        assert_string_equal(text, rows[i][1]);
    }
    assert_int_equal(test_status(sim, "violations"), 0);
    assert_int_equal(test_status(sim, "control_errors"), 2);
    assert_int_equal(test_status(sim, "streams_unknown"), 1);
    client_free(client);
    sim_destroy(sim);
}

static void unsubscribed_streams_stop_and_others_go_on(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, "/stream?streams=btcusdt@trade/ethusdt@trade");
    client_expect(sim, client, WS_TEXT, text, sizeof text, 1000);
    client_control(sim, client,
                   "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"btcusdt@trade\"],\"id\":1}", text,
                   sizeof text);
    for (int i = 0; i < 50; i++) {
        client_expect(sim, client, WS_TEXT, text, sizeof text, 1000);
        assert_non_null(strstr(text, "ethusdt@trade"));
    }
    client_free(client);
    sim_destroy(sim);
}

/* ---- limits */

static void the_sixth_message_of_a_second_closes_1008(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, "/ws");
    for (int i = 0; i < 6; i++) {
        client_frame(client, i % 2 == 0 ? WS_PING : WS_PONG, "x");
    }
    client_expect(sim, client, WS_CLOSE, text, sizeof text, 100);
    assert_int_equal(close_code(text), 1008);
    assert_string_equal(text + 2, "Too many requests");
    assert_int_equal(test_status(sim, "messages_per_second"), 1);
    assert_int_equal(test_status(sim, "violations"), 1);
    client_free(client);
    sim_destroy(sim);
}

static void a_request_above_4096_bytes_is_met_with_silence(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, "/ws");
    static char request[8192];
    for (int size = 4088; size <= 4089; size++) {
        strcpy(request, "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@kline_1M\"],\"id\":1");
        memset(request + strlen(request), ' ', (size_t)size - strlen(request));
        request[size - 1] = '}';
        request[size] = 0;
        client_frame(client, WS_TEXT, request);
        test_pass(sim, 100);
        int got = client_next(client, text, sizeof text);
        assert_int_equal(got, size == 4088 ? WS_TEXT : -1);
    }
    assert_int_equal(test_status(sim, "subscribe_bytes"), 1);
    client_free(client);
    sim_destroy(sim);
}

static void more_than_1024_streams_close_1008(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    config.model.symbols = 1030;
    struct sim *sim = test_sim(&config);
    struct market market = market_of(&config);
    struct client *client = client_websocket(sim, "/ws");
    static char request[8192];
    for (uint32_t s = 0; s < 1025;) {
        strcpy(request, "{\"method\":\"SUBSCRIBE\",\"params\":[");
        for (int i = 0; i < 128 && s < (s < 1024 ? 1024U : 1025U); i++, s++) {
            snprintf(request + strlen(request), 64, "%s\"%s@trade\"", i == 0 ? "" : ",",
                     market.model.symbols[s].lower);
        }
        strcat(request, "],\"id\":1}");
        client_frame(client, WS_TEXT, request);
        test_pass(sim, 300);
        if (s == 1024) {
            assert_int_equal(test_status(sim, "streams_per_connection"), 0);
        }
    }
    client_expect(sim, client, WS_CLOSE, text, sizeof text, 100);
    assert_int_equal(close_code(text), 1008);
    assert_int_equal(test_status(sim, "streams_per_connection"), 1);
    free(market.memory);
    client_free(client);
    sim_destroy(sim);
}

static void pings_want_their_payload_back_in_time(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    quick_pings(&config);
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, "/ws");
    for (int i = 0; i < 3; i++) {
        client_expect(sim, client, WS_PING, text, sizeof text, 1100);
        client_frame(client, WS_PONG, text);
        test_pass(sim, 10);
    }
    assert_int_equal(test_status(sim, "pongs_received"), 3);
    assert_int_equal(test_status(sim, "violations"), 0);
    client_expect(sim, client, WS_PING, text, sizeof text, 1100);
    client_frame(client, WS_PONG, "something else");
    client_expect(sim, client, WS_CLOSE, text, sizeof text, 600);
    assert_int_equal(close_code(text), 1008);
    assert_int_equal(test_status(sim, "pong_timeout"), 1);
    client_free(client);
    sim_destroy(sim);
}

static void a_connection_lives_only_so_long(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    config.limits.life_ms = 3000;
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, "/ws");
    test_pass(sim, 2900);
    assert_int_equal(client_next(client, text, sizeof text), -1);
    client_expect(sim, client, WS_CLOSE, text, sizeof text, 200);
    assert_int_equal(close_code(text), 1001);
    assert_int_equal(test_status(sim, "life_expired"), 1);
    client_free(client);
    sim_destroy(sim);
}

static void too_many_connects_are_answered_with_429(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    config.limits.connects = 2;
    struct sim *sim = test_sim(&config);
    struct client *a = client_websocket(sim, "/ws");
    struct client *b = client_websocket(sim, "/ws");
    struct client *c = client_open(sim);
    static const char request[] =
        "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client_send(c, request, sizeof request - 1);
    test_pass(sim, 5);
    client_read(c);
    assert_int_equal(strncmp((char *)c->in, "HTTP/1.1 429 ", 13), 0);
    assert_int_equal(test_status(sim, "connects_per_window"), 1);
    client_free(a);
    client_free(b);
    client_free(c);
    sim_destroy(sim);
}

static void frames_that_break_the_protocol_are_counted_and_closed(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, "/ws");
    client_send(client, "\xc1\x80\x01\x02\x03\x04", 6); /* a reserved bit */
    client_expect(sim, client, WS_CLOSE, text, sizeof text, 100);
    assert_int_equal(close_code(text), 1002);
    assert_int_equal(test_status(sim, "websocket_protocol"), 1);
    client_free(client);
    sim_destroy(sim);
}

static void a_client_that_does_not_read_is_reset(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    config.model.trades_per_s = 200000;
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, "/ws/btcusdt@trade");
    for (int i = 0; i < 2000 && test_status(sim, "slow_client") == 0; i++) {
        test_pass(sim, 10);
    }
    assert_int_equal(test_status(sim, "slow_client"), 1);
    assert_int_equal(test_status(sim, "connections_open"), 0);
    client_free(client);
    sim_destroy(sim);
}

/* ---- REST */

static void check_body(struct sim *sim, struct client *client, const char *target, int status,
                       const char *start)
{
    assert_int_equal(client_get(sim, client, target), status);
    assert_int_equal(strncmp((char *)client->in + client->at, start, strlen(start)), 0);
}

static void rest_answers_as_the_venue_does(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = test_sim(&config);
    struct client *client = client_open(sim);
    check_body(sim, client, "/api/v3/ping", 200, "{}");
    check_body(sim, client, "/api/v3/time", 200, "{\"serverTime\":1795455000");
    check_body(sim, client, "/api/v3/depth?symbol=NOSUCH", 400,
               "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}");
    check_body(sim, client, "/api/v3/depth?symbol=btcusdt", 400, "{\"code\":-1121,");
    check_body(sim, client, "/api/v3/depth", 400, "{\"code\":-1102,");
    check_body(sim, client, "/api/v3/depth?symbol=BTCUSDT&limit=x", 400, "{\"code\":-1100,");
    check_body(sim, client, "/api/v3/depth?symbol=BTCUSDT&limit=0", 400, "{\"code\":-1128,");
    check_body(sim, client, "/api/v3/klines?symbol=BTCUSDT&interval=9m", 400, "{\"code\":-1120,");
    check_body(sim, client, "/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22,%22XX%22%5D", 400,
               "{\"code\":-1121,");
    check_body(sim, client, "/api/v3/exchangeInfo?symbols=BTCUSDT", 400, "{\"code\":-1100,");
    check_body(sim, client, "/nothing", 404, "{\"code\":-1000,");
    check_body(sim, client, "/api/v3/exchangeInfo?symbol=BTCUSDT", 200, "{\"timezone\":\"UTC\",");
    assert_non_null(strstr((char *)client->in, "\"symbol\":\"BTCUSDT\",\"status\":\"TRADING\""));
    assert_non_null(strstr((char *)client->in, "\"tickSize\":\"0.01000000\""));
    assert_non_null(strstr((char *)client->in, "x-mbx-used-weight-1m: "));
    client_free(client);
    sim_destroy(sim);
}

static void exchange_info_lists_all_symbols_in_pieces(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    config.model.symbols = 100;
    struct sim *sim = test_sim(&config);
    struct client *client = client_open(sim);
    assert_int_equal(client_get(sim, client, "/api/v3/exchangeInfo"), 200);
    int symbols = 0;
    int trading = 0;
    for (char *at = (char *)client->in; (at = strstr(at, "{\"symbol\":")) != NULL; at++) {
        symbols++;
    }
    for (char *at = (char *)client->in; (at = strstr(at, "\"TRADING\"")) != NULL; at++) {
        trading++;
    }
    assert_int_equal(symbols, 104);
    assert_int_equal(trading, 100);
    assert_int_equal(client_get(sim, client, "/api/v3/ping"), 200); /* the connection lives on */
    client_free(client);
    sim_destroy(sim);
}

static void historical_trades_page_by_id_and_are_the_streams(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = test_sim(&config);
    struct client *client = client_open(sim);
    assert_int_equal(client_get(sim, client, "/api/v3/trades?symbol=BTCUSDT&limit=10"), 200);
    long long id = number_of((char *)client->in + client->at, "\"id\":");
    char target[128];
    snprintf(target, sizeof target, "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=%lld&limit=3",
             id + 2);
    assert_int_equal(client_get(sim, client, target), 200);
    const char *body = (char *)client->in + client->at;
    int count = 0;
    for (const char *at = body; (at = strstr(at, "{\"id\":")) != NULL; at++, count++) {
        assert_int_equal(number_of(at, "{\"id\":"), id + 2 + count);
    }
    assert_int_equal(count, 3);
    check_body(sim, client, "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=99999999999999", 200,
               "[]");
    client_free(client);
    sim_destroy(sim);
}

static void rest_weight_ends_in_429_and_then_418(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    config.limits.weight = 600;
    struct sim *sim = test_sim(&config);
    struct client *client = client_open(sim);
    assert_int_equal(client_get(sim, client, "/api/v3/depth?symbol=BTCUSDT&limit=5000"), 200);
    assert_int_equal(client_get(sim, client, "/api/v3/depth?symbol=BTCUSDT&limit=5000"), 200);
    assert_non_null(strstr((char *)client->in, "x-mbx-used-weight-1m: 500\r\n"));
    assert_int_equal(client_get(sim, client, "/api/v3/depth?symbol=BTCUSDT&limit=1000"), 200);
    assert_int_equal(client_get(sim, client, "/api/v3/depth?symbol=BTCUSDT&limit=1000"), 200);
    assert_int_equal(client_get(sim, client, "/api/v3/ping"), 429);
    assert_non_null(strstr((char *)client->in, "Retry-After: 60\r\n"));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(client_get(sim, client, "/api/v3/ping"), 429);
    }
    assert_int_equal(client_get(sim, client, "/api/v3/ping"), 418);
    assert_non_null(strstr((char *)client->in, "Retry-After: 120\r\n"));
    assert_int_equal(client_get(sim, client, "/sim/status"), 200); /* ours is always answered */
    assert_int_equal(test_status(sim, "rest_weight"), 1);
    assert_int_equal(test_status(sim, "rest_retry_after"), 5);
    client_free(client);
    sim_destroy(sim);
}

static void a_pipeline_of_requests_is_answered_in_order(void **state)
{
    (void)state;
    struct sim_config config = test_config();
    struct sim *sim = test_sim(&config);
    struct client *client = client_open(sim);
    static const char requests[] =
        "GET /api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n"
        "GET /api/v3/depth?symbol=NOSUCH HTTP/1.1\r\nHost: x\r\n\r\n"
        "GET /api/v3/time HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for (size_t i = 0; i < sizeof requests - 1; i++) { /* one byte at a time */
        client_send(client, requests + i, 1);
        test_pass(sim, 1);
    }
    test_pass(sim, 20);
    client_read(client);
    char *a = strstr((char *)client->in, "\r\n\r\n{}HTTP/1.1 400");
    char *b = strstr((char *)client->in, "Invalid symbol");
    char *c = strstr((char *)client->in, "serverTime");
    assert_non_null(a);
    assert_true(a < b);
    assert_true(b < c);
    assert_true(client->ended);
    client_free(client);
    sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rest_answers_as_the_venue_does),
        cmocka_unit_test(exchange_info_lists_all_symbols_in_pieces),
        cmocka_unit_test(historical_trades_page_by_id_and_are_the_streams),
        cmocka_unit_test(a_pipeline_of_requests_is_answered_in_order),
        cmocka_unit_test(rest_weight_ends_in_429_and_then_418),
        cmocka_unit_test(trades_are_the_models_byte_for_byte),
        cmocka_unit_test(combined_streams_are_wrapped_and_microseconds_are_given),
        cmocka_unit_test(book_ticker_shows_the_best_of_the_book_with_its_id),
        cmocka_unit_test(snapshot_and_diffs_give_the_book_of_a_later_snapshot),
        cmocka_unit_test(every_kind_of_stream_sends),
        cmocka_unit_test(two_connections_get_the_same_messages),
        cmocka_unit_test(closed_candles_say_so_at_the_end_of_their_second),
        cmocka_unit_test(control_requests_get_the_exact_replies),
        cmocka_unit_test(unsubscribed_streams_stop_and_others_go_on),
        cmocka_unit_test(the_sixth_message_of_a_second_closes_1008),
        cmocka_unit_test(a_request_above_4096_bytes_is_met_with_silence),
        cmocka_unit_test(more_than_1024_streams_close_1008),
        cmocka_unit_test(pings_want_their_payload_back_in_time),
        cmocka_unit_test(a_connection_lives_only_so_long),
        cmocka_unit_test(too_many_connects_are_answered_with_429),
        cmocka_unit_test(frames_that_break_the_protocol_are_counted_and_closed),
        cmocka_unit_test(a_client_that_does_not_read_is_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
