/* The planner: streams to connections within the caps, evenly by expected rate, and the timetable
 * that follows from the pacing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "exchange/binance_spot.h"
#include "exchange/feed_internal.h"

#define REQUESTS_MAX 8192

static struct stream_request requests[REQUESTS_MAX];
static uint32_t weights[REQUESTS_MAX];
static char names[REQUESTS_MAX][16];
static struct err err;

static struct feed_config config_of(uint32_t cap)
{
    struct feed_config config = {.venue = &binance_spot, .rest_weight_percent = 80};
    config.ws_urls[0] = "wss://h";
    config.rest_url = "https://h";
    config.limits[0] = binance_spot.endpoints[0].limits;
    config.limits[0].streams_per_connection = cap;
    return config;
}

/* `each` channels of so many symbols; returns the number of requests. */
static uint32_t make(uint32_t symbols, uint32_t each)
{
    static const enum channel channels[] = {CHANNEL_BOOK_TICKER, CHANNEL_TRADES, CHANNEL_DEPTH,
                                            CHANNEL_TICKER};
    uint32_t count = 0;
    for (uint32_t s = 0; s < symbols; s++) {
        snprintf(names[s], sizeof names[s], "S%uUSDT", s);
        for (uint32_t c = 0; c < each; c++) {
            assert_true(count < REQUESTS_MAX);
            weights[count] = 1;
            requests[count++] =
                (struct stream_request){.channel = channels[c], .symbol = str_from(names[s])};
        }
    }
    return count;
}

static void nothing_to_record_needs_no_connection(void **state)
{
    (void)state;
    struct feed_config config = config_of(300);
    struct feed_plan plan;
    assert_int_equal(feed_plan(&config, requests, NULL, 0, &plan, &err), 0);
    assert_int_equal(plan.connections, 0);
    assert_int_equal(plan.sockets, 0);
}

static void as_few_connections_as_the_cap_allows(void **state)
{
    (void)state;
    static const struct {
        uint32_t symbols, each, cap, connections, fullest;
    } cases[] = {{1, 1, 300, 1, 1}, {100, 3, 300, 1, 300}, {101, 3, 300, 2, 152},
                 {10, 2, 7, 3, 7},  {3, 3, 1, 9, 1},       {2000, 4, 300, 27, 300}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct feed_config config = config_of(cases[i].cap);
        struct feed_plan plan;
        uint32_t count = make(cases[i].symbols, cases[i].each);
        assert_int_equal(feed_plan(&config, requests, NULL, count, &plan, &err), 0);
        assert_int_equal(plan.streams, count);
        assert_int_equal(plan.symbols, cases[i].symbols);
        assert_int_equal(plan.connections, cases[i].connections);
        assert_true(plan.endpoints[0].fullest <= cases[i].cap);
        assert_true(plan.endpoints[0].fullest >= (count + plan.connections - 1) / plan.connections);
        /* room for one more connection, and a socket that can replace one */
        assert_int_equal(plan.lanes, plan.connections + 1);
        assert_int_equal(plan.sockets, plan.connections + 2);
    }
}

static void the_load_is_even_where_symbols_are_not(void **state)
{
    (void)state;
    enum { SYMBOLS = 90, LANES = 3 };
    struct feed_config config = config_of(100);
    uint32_t count = make(SYMBOLS, 3);
    for (uint32_t i = 0; i < count; i++) {
        weights[i] = 1 + 99 / (1 + i / 3); /* a few are most of the market */
    }
    static struct feed_stream streams[SYMBOLS * 3];
    static struct lane lanes[8];
    static uint32_t order[SYMBOLS * 3];
    assert_int_equal(feed_expand(&config, requests, weights, count, streams, count, &err), count);
    assert_int_equal(feed_spread(&config, streams, count, lanes, 8, order), LANES);
    uint64_t least = UINT64_MAX, most = 0;
    uint32_t seen = 0;
    for (int k = 0; k < LANES; k++) {
        uint32_t in_lane = 0;
        for (uint32_t at = lanes[k].first; at != FEED_NONE; at = streams[at].next_in_lane) {
            assert_int_equal(streams[at].lane, k);
            in_lane++;
        }
        assert_int_equal(in_lane, lanes[k].streams);
        assert_true(in_lane <= 100);
        seen += in_lane;
        least = lanes[k].rate < least ? lanes[k].rate : least;
        most = lanes[k].rate > most ? lanes[k].rate : most;
    }
    assert_int_equal(seen, count);
    assert_true(most * 100 <= least * 115); /* within 15 % though one symbol is 30 % of it all */
}

static void the_timetable_follows_from_the_pacing(void **state)
{
    (void)state;
    struct feed_config config = config_of(100);
    config.limits[0].connect_spacing_ms = 250;
    config.limits[0].control_spacing_ms = 350;
    struct feed_plan plan;
    uint32_t count = make(100, 3);
    assert_int_equal(feed_plan(&config, requests, NULL, count, &plan, &err), 0);
    assert_int_equal(plan.connections, 3);
    assert_int_equal(plan.endpoints[0].connected_ms, 500); /* the third connect */
    assert_int_equal(plan.requests, 3);                    /* 100 names fit one request */
    assert_int_equal(plan.subscribed_ms, 500);
    config.limits[0].streams_per_connection = 300;
    assert_int_equal(feed_plan(&config, requests, NULL, count, &plan, &err), 0);
    assert_int_equal(plan.connections, 1);
    assert_int_equal(plan.requests, 3); /* 121 names a request by its size */
    assert_int_equal(plan.subscribed_ms, 700);
    /* 20 for the list and 50 a book, of 4800 a minute */
    assert_int_equal(plan.rest_weight_start, 20 + 100 * 50);
    assert_int_equal(plan.snapshots_ms, 220 * 60000 / 4800);
}

static void the_connect_window_counts_beside_the_stagger(void **state)
{
    (void)state;
    struct feed_config config = config_of(1);
    config.limits[0].connects = 24;
    config.limits[0].connects_window_ms = 60000;
    config.limits[0].connect_spacing_ms = 100;
    struct feed_plan plan;
    uint32_t count = make(49, 1);
    assert_int_equal(feed_plan(&config, requests, NULL, count, &plan, &err), 0);
    assert_int_equal(plan.connections, 49);
    assert_int_equal(plan.endpoints[0].connected_ms, 120000); /* 24 each minute, the 49th then */
}

static void what_the_venue_does_not_have_is_refused_with_words(void **state)
{
    (void)state;
    struct feed_config config = config_of(300);
    struct feed_plan plan;
    requests[0] = (struct stream_request){.channel = CHANNEL_LIQUIDATIONS, .symbol = STR("A")};
    assert_int_equal(feed_plan(&config, requests, NULL, 1, &plan, &err), MD_ENOTSUP);
    assert_string_equal(err.text, "binance: A: no liquidations at this venue");
    requests[0] = (struct stream_request){
        .channel = CHANNEL_CANDLES, .symbol = STR("BTCUSDT"), .interval = STR("7m")};
    assert_int_equal(feed_plan(&config, requests, NULL, 1, &plan, &err), MD_ENOTSUP);
    assert_string_equal(err.text, "binance: BTCUSDT: no candles of interval 7m at this venue");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_record_needs_no_connection),
        cmocka_unit_test(as_few_connections_as_the_cap_allows),
        cmocka_unit_test(the_load_is_even_where_symbols_are_not),
        cmocka_unit_test(the_timetable_follows_from_the_pacing),
        cmocka_unit_test(the_connect_window_counts_beside_the_stagger),
        cmocka_unit_test(what_the_venue_does_not_have_is_refused_with_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
