/* A feed against the simulator, both on one clock of the test's own and in one thread: subscribing,
 * replacing connections before their end, symbols that come and go, streams asked for again, and a
 * venue that says "too fast". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../sim/sim_client.h"

#include "exchange/binance_spot.h"
#include "exchange/feed.h"

#define TRADES_MAX 100000

static struct {
    struct sim_config sim_config;
    struct sim *sim;
    struct loop *loop;
    struct net *net;
    struct rest *rest;
    struct feed *feed;
    struct feed_family family;
    struct feed_config config;
    struct net_config net_config;
    struct rest_config rest_config;
    uint32_t conns, opens, closes, sents, faults;
    char sent[8192];                 /* the last request */
    long long trade_ids[TRADES_MAX]; /* of the first symbol, as received */
    uint32_t trade_count;
    char ws_url[64], rest_url[64];
    const char *ws_path; /* behind the port */
    struct venue venue;  /* Binance spot with changes of the test's */
} kit;

static void on_record(void *context, struct record *record, bool droppable)
{
    (void)context;
    (void)droppable;
    kit.opens += record->kind == RECORD_OPEN;
    kit.closes += record->kind == RECORD_CLOSE;
    if (record->kind == RECORD_SENT) {
        kit.sents++;
        assert_true(record->payload.bytes < sizeof kit.sent);
        memcpy(kit.sent, record->payload.data, record->payload.bytes);
        kit.sent[record->payload.bytes] = 0;
    }
    static const char head[] = "{\"stream\":\"btcusdt@trade\"";
    if (record->kind == RECORD_RECV && record->payload.bytes > sizeof head &&
        memcmp(record->payload.data, head, sizeof head - 1) == 0) {
        const char *at = memmem(record->payload.data, record->payload.bytes, ",\"t\":", 5);
        assert_non_null(at);
        assert_true(kit.trade_count < TRADES_MAX);
        kit.trade_ids[kit.trade_count++] = strtoll(at + 5, NULL, 10);
    }
}

static uint32_t next_conn(void *context)
{
    (void)context;
    return ++kit.conns;
}

static void on_config_fault(void *context, const struct venue *venue, int code, const char *why,
                            bool ever_open)
{
    (void)context;
    (void)venue;
    (void)code;
    (void)why;
    (void)ever_open;
    kit.faults++;
}

static const struct feed_handlers handlers = {on_record, next_conn, on_config_fault, NULL};

static int setup(void **state)
{
    (void)state;
    memset(&kit, 0, sizeof kit);
    kit.sim_config = test_config();
    kit.sim_config.model.symbols = 30;
    kit.sim_config.model.trades_per_s = 300;
    kit.venue = binance_spot;
    kit.config = (struct feed_config){
        .venue = &kit.venue,
        .rest_weight_percent = 80,
        .backoff_min_ms = 200,
        .backoff_max_ms = 2000,
        .stall_ms = 300000,
        .seed = 7,
    };
    return 0;
}

/* Trades and depth of the first `symbols` of the model. */
static void start(uint32_t symbols, uint32_t cap)
{
    static struct stream_request requests[200];
    static char names[100][MODEL_NAME_BYTES];
    struct err err = {{0}};
    kit.sim = test_sim(&kit.sim_config);
    snprintf(kit.ws_url, sizeof kit.ws_url, "ws://127.0.0.1:%u%s", sim_port(kit.sim),
             kit.ws_path != NULL ? kit.ws_path : "");
    snprintf(kit.rest_url, sizeof kit.rest_url, "http://127.0.0.1:%u", sim_port(kit.sim));
    kit.config.ws_urls[0] = kit.ws_url;
    kit.config.rest_url = kit.rest_url;
    for (uint32_t e = 0; e < kit.venue.endpoint_count; e++) {
        kit.config.limits[e] = kit.venue.endpoints[e].limits;
    }
    kit.config.limits[0].streams_per_connection = cap;
    void *memory = calloc(1, model_memory_bytes(&kit.sim_config.model));
    struct model model;
    model_init(&model, &kit.sim_config.model, memory);
    for (uint32_t i = 0; i < symbols; i++) {
        memcpy(names[i], model.symbols[i].name, sizeof names[i]);
        for (uint32_t c = 0; c < 2; c++) {
            requests[i * 2 + c] = (struct stream_request){
                .channel = c == 0 ? CHANNEL_TRADES : CHANNEL_DEPTH, .symbol = str_from(names[i])};
        }
    }
    free(memory);
    struct feed_plan plan;
    assert_int_equal(feed_plan(&kit.config, requests, NULL, symbols * 2, &plan, &err), 0);
    kit.net_config = (struct net_config){
        .ca_file = "",
        .proxy = "",
        .message_bytes_max = 1 << 20,
        .read_bytes = 65536,
        .send_bytes_max = 8192,
        .connections_max = plan.sockets,
        .connect_timeout_ms = 10000,
    };
    kit.rest_config = (struct rest_config){"", "", 10000, 1, 64u << 20};
    kit.loop = loop_create(&test_clock, 256, &err);
    assert_non_null(kit.loop);
    kit.net = net_create(kit.loop, &kit.net_config, &err);
    assert_non_null(kit.net);
    kit.rest = rest_create(kit.loop, &kit.rest_config, &err);
    assert_non_null(kit.rest);
    feed_family_init(&kit.family, &kit.config, 0);
    kit.feed = feed_create(&kit.config, &kit.family, requests, NULL, symbols * 2, kit.net, kit.rest,
                           kit.loop, &handlers, &err);
    if (kit.feed == NULL) {
        print_error("%s\n", err.text);
    }
    assert_non_null(kit.feed);
    loop_turn(kit.loop, 0);
    feed_start(kit.feed);
}

static int teardown(void **state)
{
    (void)state;
    feed_destroy(kit.feed);
    if (kit.rest != NULL) {
        rest_destroy(kit.rest);
    }
    if (kit.net != NULL) {
        net_destroy(kit.net);
    }
    if (kit.loop != NULL) {
        loop_destroy(kit.loop);
    }
    if (kit.sim != NULL) {
        sim_destroy(kit.sim);
    }
    return 0;
}

/* Time goes on, a millisecond a turn; names are resolved on a thread that lives in real time, so a
 * turn waits a little while a connection is being made. */
static void pass(int64_t ms)
{
    for (int64_t i = 0; i < ms; i++) {
        struct feed_stats stats = feed_stats(kit.feed);
        test_now_ns += NS_PER_MS;
        sim_turn(kit.sim, 0);
        loop_turn(kit.loop, stats.open < stats.connections ? 1 : 0);
    }
}

static struct feed_stats live_within(int64_t ms)
{
    struct feed_stats stats = feed_stats(kit.feed);
    for (; ms > 0 && (stats.live < stats.connections || stats.streams_on < stats.streams);
         ms -= 10) {
        pass(10);
        stats = feed_stats(kit.feed);
    }
    assert_int_equal(stats.live, stats.connections);
    assert_int_equal(stats.streams_on, stats.streams);
    return stats;
}

/* Every id between the first and the last is there, on whichever connection. */
static void no_trade_is_missing(void)
{
    assert_true(kit.trade_count > 20);
    long long first = kit.trade_ids[0], last = kit.trade_ids[0];
    static uint8_t seen[TRADES_MAX];
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < kit.trade_count; i++) {
        long long at = kit.trade_ids[i] - first;
        assert_true(at >= 0 && at < TRADES_MAX);
        seen[at] = 1;
        last = kit.trade_ids[i] > last ? kit.trade_ids[i] : last;
    }
    for (long long at = 0; at <= last - first; at++) {
        assert_int_equal(seen[at], 1);
    }
}

static void all_streams_are_acknowledged_within_the_limits(void **state)
{
    (void)state;
    start(30, 20);
    struct feed_stats stats = live_within(20000);
    assert_int_equal(stats.connections, 3);
    assert_int_equal(stats.streams, 60);
    assert_int_equal(stats.refused, 0);
    assert_int_equal(kit.opens, 3);
    assert_int_equal(test_status(kit.sim, "streams_subscribed"), 60);
    assert_int_equal(test_status(kit.sim, "violations"), 0);
    pass(2000);
    no_trade_is_missing();
}

static void a_connection_is_replaced_before_its_end_without_a_hole(void **state)
{
    (void)state;
    kit.sim_config.limits.life_ms = 30000;
    kit.config.life_ms = 30000;
    start(10, 10);
    live_within(20000);
    pass(90000);
    struct feed_stats stats = live_within(20000);
    assert_true(stats.rotations >= 4); /* two connections, three lives each */
    assert_int_equal(stats.reconnects, 0);
    assert_int_equal(test_status(kit.sim, "violations"), 0);
    assert_int_equal(kit.opens, 2 + stats.rotations);
    assert_in_range(kit.opens - kit.closes, 2, 4);
    no_trade_is_missing();
}

/* Books in band that are lost again and again are asked for again, each for itself (seed 446 of
 * `make sim`). */
static void a_renewed_stream_does_not_keep_the_replaced_connection(void **state)
{
    (void)state;
    kit.sim_config.limits.life_ms = 100000;
    kit.config.life_ms = 60000;
    kit.venue.endpoints[0].seeds_books = true;
    start(5, 20);
    live_within(20000);
    for (int i = 0; i < 30; i++) {
        pass(3000);
        feed_renew(kit.feed, CHANNEL_DEPTH, STR("BTCUSDT"));
    }
    struct feed_stats stats = live_within(20000);
    assert_true(stats.rotations >= 1);
    assert_int_equal(stats.reconnects, 0);
    assert_true(kit.closes >= 1);
    pass(20000);
    assert_int_equal(test_status(kit.sim, "violations"), 0);
    no_trade_is_missing();
}

static void a_reset_is_survived_by_connecting_again(void **state)
{
    (void)state;
    kit.sim_config.faults = STR("at 5s reset\n");
    start(10, 20);
    live_within(20000);
    pass(8000);
    struct feed_stats stats = live_within(20000);
    assert_int_equal(stats.reconnects, 1);
    assert_int_equal(kit.closes, 1);
    assert_int_equal(test_status(kit.sim, "violations"), 0);
}

static void a_silent_stream_is_asked_for_again_and_no_other(void **state)
{
    (void)state;
    start(10, 20);
    live_within(20000);
    uint32_t before = kit.sents;
    assert_int_equal(feed_renew(kit.feed, CHANNEL_DEPTH, STR("ETHUSDT")), 0);
    pass(100);
    assert_int_equal(kit.sents, before); /* too soon: it was just asked for */
    pass(15000);
    assert_int_equal(feed_renew(kit.feed, CHANNEL_DEPTH, STR("ETHUSDT")), 0);
    pass(300);
    assert_string_equal(strchr(kit.sent, 'U'), "UNSUBSCRIBE\",\"params\":[\"ethusdt@depth@100ms\"],"
                                               "\"id\":2}");
    struct feed_stats stats = live_within(5000);
    assert_int_equal(kit.sents, before + 2);
    assert_non_null(strstr(kit.sent, "\"SUBSCRIBE\",\"params\":[\"ethusdt@depth@100ms\"]"));
    assert_int_equal(stats.renewed, 1);
    assert_int_equal(stats.connects, 1);
    assert_int_equal(feed_renew(kit.feed, CHANNEL_CANDLES, STR("ETHUSDT")), MD_ENOENT);
    assert_int_equal(feed_renew(kit.feed, CHANNEL_DEPTH, STR("NOSUCH")), MD_ENOENT);
}

static void count_symbol(void *context, struct str symbol)
{
    (void)symbol;
    (*(uint32_t *)context)++;
}

static uint32_t symbols_now(void)
{
    uint32_t count = 0;
    feed_symbols(kit.feed, count_symbol, &count);
    return count;
}

static void symbols_come_and_go_without_touching_others(void **state)
{
    (void)state;
    kit.config.symbols_max = 12;
    kit.config.streams_max = 24;
    start(10, 20);
    live_within(20000);
    uint32_t opens = kit.opens;
    struct stream_request coming[] = {{.channel = CHANNEL_TRADES, .symbol = STR("NEWUSDT")},
                                      {.channel = CHANNEL_DEPTH, .symbol = STR("NEWUSDT")}};
    assert_int_equal(feed_add(kit.feed, coming, 2), 0);
    assert_int_equal(feed_add(kit.feed, coming, 2), MD_EEXIST);
    struct feed_stats stats = live_within(20000);
    assert_int_equal(stats.streams, 22);
    assert_int_equal(symbols_now(), 11);
    /* the connection was full: a further one was opened, the first was left alone */
    assert_int_equal(kit.opens, opens + 1);
    assert_int_equal(stats.connections, 2);
    assert_int_equal(stats.reconnects, 0);
    assert_int_equal(feed_remove(kit.feed, STR("ETHUSDT")), 0);
    pass(2000);
    stats = live_within(20000);
    assert_int_equal(stats.streams, 20);
    assert_int_equal(symbols_now(), 10);
    assert_non_null(strstr(kit.sent, "UNSUBSCRIBE"));
    assert_int_equal(feed_remove(kit.feed, STR("ETHUSDT")), MD_ENOENT);
    /* what left makes room */
    struct stream_request more[] = {{.channel = CHANNEL_TRADES, .symbol = STR("MOREUSDT")}};
    struct stream_request last[] = {{.channel = CHANNEL_TRADES, .symbol = STR("LASTUSDT")}};
    struct stream_request over[] = {{.channel = CHANNEL_TRADES, .symbol = STR("OVERUSDT")}};
    assert_int_equal(feed_add(kit.feed, more, 1), 0);
    assert_int_equal(feed_add(kit.feed, last, 1), 0);
    assert_int_equal(feed_add(kit.feed, over, 1), MD_EFULL);
    stats = live_within(20000);
    assert_int_equal(stats.added, 3);
    assert_int_equal(stats.removed, 1);
    assert_int_equal(test_status(kit.sim, "violations"), 0);
}

static void a_lost_answer_is_asked_for_once_more(void **state)
{
    (void)state;
    kit.sim_config.faults = STR("ack none until 1s\n");
    start(10, 20);
    struct feed_stats stats = live_within(40000);
    assert_true(stats.ack_timeouts > 0);
    assert_int_equal(stats.connects, 1);
    assert_int_equal(kit.sents, 2);
}

static void a_refused_request_is_split_and_a_refused_stream_is_left(void **state)
{
    (void)state;
    kit.sim_config.faults = STR("ack error until 250ms\n");
    start(3, 20);
    struct feed_stats stats = live_within(20000);
    assert_int_equal(stats.streams_on, 6);
    assert_int_equal(kit.sents, 1 + 6); /* each by itself after the one for all */
    assert_int_equal(stats.reconnects, 0);
}

/* A firewall says 403 or 404 now and then; wrong settings say it always. */
static void a_refused_handshake_is_tried_again_before_the_settings_are_blamed(void **state)
{
    (void)state;
    kit.ws_path = "/nowhere";
    start(3, 20);
    while (kit.conns < 2) {
        pass(1);
    }
    assert_int_equal(kit.faults, 0);
    for (int i = 0; i < 20000 && kit.faults == 0; i++) {
        pass(1);
    }
    assert_int_equal(kit.faults, 1);
    assert_int_equal(kit.conns, 3);
}

static void a_refused_handshake_with_a_key_is_final_at_once(void **state)
{
    (void)state;
    kit.venue.endpoints[0].needs_key = true;
    kit.config.api_key = "refused";
    kit.ws_path = "/nowhere";
    start(3, 20);
    for (int i = 0; i < 20000 && kit.faults == 0; i++) {
        pass(1);
    }
    assert_int_equal(kit.faults, 1);
    assert_int_equal(kit.conns, 1);
}

/* ---- a venue that says "too fast" */

static uint32_t throttles_left;

static enum control_kind throttling_control(struct str frame, struct control_reply *reply)
{
    enum control_kind kind = binance_spot.control(frame, reply);
    if (kind == CONTROL_ACK && throttles_left > 0) {
        throttles_left--;
        reply->code = 509;
        reply->pause_ms = 10000;
        memcpy(reply->text, "exceed max permits per second", 30);
        return CONTROL_ERROR;
    }
    return kind;
}

static void too_fast_pauses_the_whole_venue_and_asks_again(void **state)
{
    (void)state;
    throttles_left = 1;
    kit.venue.control = throttling_control;
    start(20, 10); /* four connections, one request each */
    pass(2000);
    uint32_t before = kit.sents;
    struct feed_stats stats = feed_stats(kit.feed);
    assert_int_equal(stats.throttled, 1);
    assert_true(stats.streams_on < stats.streams);
    pass(7000); /* still within the pause: nobody asks, nobody connects */
    assert_int_equal(kit.sents, before);
    assert_int_equal(feed_stats(kit.feed).connects, stats.connects);
    stats = live_within(30000);
    assert_int_equal(stats.streams_on, 40);
    assert_int_equal(stats.throttled, 1);
    assert_int_equal(kit.family.slowness, 2);
    assert_int_equal(test_status(kit.sim, "violations"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(all_streams_are_acknowledged_within_the_limits),
        TEST(a_connection_is_replaced_before_its_end_without_a_hole),
        TEST(a_renewed_stream_does_not_keep_the_replaced_connection),
        TEST(a_reset_is_survived_by_connecting_again),
        TEST(a_silent_stream_is_asked_for_again_and_no_other),
        TEST(symbols_come_and_go_without_touching_others),
        TEST(a_lost_answer_is_asked_for_once_more),
        TEST(a_refused_request_is_split_and_a_refused_stream_is_left),
        TEST(a_refused_handshake_is_tried_again_before_the_settings_are_blamed),
        TEST(a_refused_handshake_with_a_key_is_final_at_once),
        TEST(too_fast_pauses_the_whole_venue_and_asks_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
