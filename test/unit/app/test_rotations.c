/* Connections that live two minutes instead of a day, with two hundred symbols under load:
 * simulator, feed, decoder and normalise in one thread on one clock. Each connection is replaced
 * again and again, the new one first: every trade and every change of every book lands, once,
 * without a gap row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../sim/sim_client.h"

#include "base/log.h"
#include "exchange/feed.h"
#include "normalise/normalise.h"
#include "sim/sim_exchange.h"

#define SYMBOLS 200
#define REQUESTS (SYMBOLS * 4)
#define STEP_NS (10 * NS_PER_MS)
#define LIFE_MS 120000
#define ROTATIONS 100
#define TRACKS (SYMBOLS * 3)

/* A run of ids that count: trades, aggregated trades, depth. */
struct track {
    int64_t first, last;
    uint64_t count; /* of trades: those that landed */
};

static struct {
    const struct venue *venue;
    struct sim *sim;
    struct loop *loop;
    struct net *net;
    struct rest *rest;
    struct net_config net_config;
    struct rest_config rest_config;
    struct feed *feed;
    struct feed_config config;
    struct feed_family family;
    struct model model;
    void *model_memory;
    struct stream_request requests[REQUESTS];
    struct decoder *decoder;
    struct normalise *normalise;
    struct clock_stamp stamp;
    struct track tracks[TRACKS];
    uint32_t conns;
    uint64_t seq, undecodable, not_next;
    char urls[2][64];
} rig;

/* ---- what comes out */

static uint32_t symbol_of(struct str name)
{
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        if (str_equal(name, str_from(rig.model.symbols[s].name))) {
            return s;
        }
    }
    fail();
    return 0;
}

static void follow(struct track *track, int64_t first, int64_t last)
{
    if (track->count == 0) {
        track->first = first;
    } else if (first != track->last + 1) {
        rig.not_next++;
    }
    track->last = last;
    track->count++;
}

static void on_event(void *context, uint32_t stream, const struct event *event)
{
    (void)context;
    (void)stream;
    if (event->channel == CHANNEL_GAPS) {
        const struct gap_event *gap = &event->gap;
        print_message("# gap %s %.*s %s %lld-%lld %s after %lld s\n", channel_name(gap->of_channel),
                      (int)event->symbol.bytes, event->symbol.data, gap_kind_name(gap->kind),
                      (long long)gap->from_id, (long long)gap->to_id,
                      gap_resolved_name(gap->resolved_by), (long long)(test_now_ns / NS_PER_S));
    } else if (event->channel == CHANNEL_TRADES) {
        bool aggregate = (event->trade.flags & TRADE_AGGREGATE) != 0;
        follow(&rig.tracks[symbol_of(event->symbol) * 3 + aggregate], event->trade.trade_id,
               event->trade.trade_id);
    } else if (event->channel == CHANNEL_DEPTH && !event->depth.is_snapshot) {
        follow(&rig.tracks[symbol_of(event->symbol) * 3 + 2], event->depth.first_update_id,
               event->depth.last_update_id);
    }
}

static void on_decoded(void *context, const struct event *event)
{
    (void)context;
    normalise_event(rig.normalise, event);
}

static void on_snapshot_wanted(void *context, enum venue_id venue, struct str symbol)
{
    (void)context;
    (void)venue;
    feed_snapshot(rig.feed, symbol);
}

static void on_record(void *context, struct record *record, bool droppable)
{
    (void)context;
    (void)droppable;
    record->seq = ++rig.seq;
    record->time_unix_ns =
        clock_stamp_next(&rig.stamp, record->time_unix_ns, clock_mono_ns(&test_clock));
    if (record->kind == RECORD_RECV || record->kind == RECORD_REST ||
        record->kind == RECORD_REST_PART) {
        struct decode_result result = rig.venue->decode(rig.decoder, record, on_decoded, NULL);
        rig.undecodable += result.code != 0;
    } else {
        normalise_record(rig.normalise, record);
    }
}

static uint32_t next_conn(void *context)
{
    (void)context;
    return ++rig.conns;
}

static void on_config_fault(void *context, const struct venue *venue, int code, const char *why,
                            bool ever_open)
{
    (void)context;
    (void)ever_open;
    print_error("%s: %d %s\n", venue->name, code, why);
    fail();
}

/* ---- the rig */

static void open_sim(void)
{
    struct sim_config config = test_config();
    config.exchange = VENUE_BINANCE;
    config.connections_max = 128;
    config.model.symbols = SYMBOLS;
    config.model.trades_per_s = 400;
    config.model.flat = true;
    config.limits = sim_limits_of(VENUE_BINANCE);
    config.limits.life_ms = LIFE_MS;
    rig.sim = test_sim(&config);
    rig.model_memory = calloc(1, model_memory_bytes(&config.model));
    assert_non_null(rig.model_memory);
    model_init(&rig.model, &config.model, rig.model_memory);
    snprintf(rig.urls[0], sizeof rig.urls[0], "ws://127.0.0.1:%u", sim_port(rig.sim));
    snprintf(rig.urls[1], sizeof rig.urls[1], "http://127.0.0.1:%u", sim_port(rig.sim));
}

static void open_feed(void)
{
    struct err err = {{0}};
    rig.venue = venue_of(VENUE_BINANCE);
    rig.config = (struct feed_config){
        .venue = rig.venue,
        .rest_url = rig.urls[1],
        .rest_weight_percent = 80,
        .backfill_percent = 50,
        .backoff_min_ms = 1000,
        .backoff_max_ms = 30000,
        .stall_ms = 60000,
        .life_ms = LIFE_MS,
        .seed = 5,
    };
    for (uint32_t e = 0; e < rig.venue->endpoint_count; e++) {
        rig.config.ws_urls[e] = rig.urls[0];
        rig.config.limits[e] = rig.venue->endpoints[e].limits;
        rig.config.limits[e].streams_per_connection = 50;
    }
    for (uint32_t i = 0; i < REQUESTS; i++) {
        static const enum channel channels[] = {CHANNEL_TRADES, CHANNEL_TRADES, CHANNEL_DEPTH,
                                                CHANNEL_BOOK_TICKER};
        rig.requests[i] =
            (struct stream_request){.channel = channels[i % 4],
                                    .aggregate = i % 4 == 1,
                                    .symbol = str_from(rig.model.symbols[i / 4].name)};
    }
    struct feed_plan plan;
    assert_int_equal(feed_plan(&rig.config, rig.requests, NULL, REQUESTS, &plan, &err), 0);
    rig.net_config = (struct net_config){.ca_file = "",
                                         .proxy = "",
                                         .message_bytes_max = 1 << 20,
                                         .read_bytes = 65536,
                                         .send_bytes_max = 8192,
                                         .connections_max = plan.sockets,
                                         .connect_timeout_ms = 10000};
    rig.rest_config = (struct rest_config){"", "", 10000, 4, 64u << 20};
    rig.loop = loop_create(&test_clock, 512, &err);
    rig.net = net_create(rig.loop, &rig.net_config, &err);
    rig.rest = rest_create(rig.loop, &rig.rest_config, &err);
    assert_non_null(rig.rest);
    struct feed_handlers handlers = {on_record, next_conn, on_config_fault, NULL};
    feed_family_init(&rig.family, &rig.config, 0);
    rig.feed = feed_create(&rig.config, &rig.family, rig.requests, NULL, REQUESTS, rig.net,
                           rig.rest, rig.loop, &handlers, &err);
    assert_non_null(rig.feed);
}

static void open_normalise(void)
{
    struct decoder_config decoder = {.levels_max = 5000};
    struct normalise_config config = {
        .streams_max = 1024,
        .symbol_bytes_max = 64,
        .names_bytes = 64 << 10,
        .book_bytes = 64 << 20,
        .books_max = SYMBOLS,
        .pending_deltas_bytes = 256 << 10,
        .open_gaps_max = 1024,
        .recents_max = 64,
        .book_enabled = true,
        .backfill_enabled = true,
        .backfill_trades_max = 1000,
        .backfill_age_ns = 3600 * NS_PER_S,
    };
    struct normalise_handlers handlers = {.on_event = on_event,
                                          .on_snapshot_wanted = on_snapshot_wanted};
    rig.decoder = decoder_create(&decoder);
    rig.normalise = normalise_create(&config, &handlers);
    assert_non_null(rig.decoder);
    assert_non_null(rig.normalise);
}

/* Names are resolved on a thread that lives in real time: while something is being made a turn
 * waits a little. */
static void pass(int64_t until_ns)
{
    int64_t tick_ns = test_now_ns;
    while (test_now_ns < until_ns) {
        struct feed_stats stats = feed_stats(rig.feed);
        bool calm = stats.live == stats.connections && stats.rest_queued == 0;
        test_now_ns += STEP_NS;
        sim_turn(rig.sim, 0);
        loop_turn(rig.loop, calm ? 0 : 1);
        if (test_now_ns - tick_ns >= NS_PER_S) {
            tick_ns = test_now_ns;
            struct record tick = {.kind = RECORD_TICK, .seq = ++rig.seq};
            tick.time_unix_ns = clock_stamp_next(&rig.stamp, clock_unix_ns(&test_clock),
                                                 clock_mono_ns(&test_clock));
            normalise_record(rig.normalise, &tick);
        }
    }
}

static void hundred_rotations_lose_and_double_nothing(void **state)
{
    (void)state;
    log_level_set(LOG_LEVEL_ERROR);
    open_sim();
    open_feed();
    open_normalise();
    loop_turn(rig.loop, 0);
    feed_start(rig.feed);
    for (int s = 0; s < 1800 && feed_stats(rig.feed).rotations < ROTATIONS; s++) {
        pass(test_now_ns + NS_PER_S);
    }
    pass(test_now_ns + 10 * NS_PER_S);
    struct feed_stats feed = feed_stats(rig.feed);
    struct normalise_stats stats = normalise_stats(rig.normalise);
    uint64_t trades = 0, missing = 0;
    for (uint32_t i = 0; i < TRACKS; i++) {
        const struct track *track = &rig.tracks[i];
        assert_true(track->count > 0);
        trades += i % 3 < 2 ? track->count : 0;
        missing += i % 3 < 2 ? (uint64_t)(track->last - track->first) + 1 - track->count : 0;
    }
    print_message("# %u connections, %llu rotations in %lld s, %llu trades landed, %llu missing, "
                  "%llu doubles dropped, %llu waited for\n",
                  feed.connections, (unsigned long long)feed.rotations,
                  (long long)(test_now_ns / NS_PER_S), (unsigned long long)trades,
                  (unsigned long long)missing, (unsigned long long)stats.duplicates,
                  (unsigned long long)stats.ahead);
    assert_true(feed.rotations >= ROTATIONS);
    assert_int_equal(feed.reconnects, 0);
    if (test_status(rig.sim, "violations") != 0) {
        char text[8192];
        struct buf out = buf_over(text, sizeof text);
        sim_status(rig.sim, &out);
        print_error("%.*s\n", (int)out.bytes, text);
    }
    assert_int_equal(test_status(rig.sim, "violations"), 0);
    assert_int_equal(rig.undecodable, 0);
    assert_int_equal(rig.not_next, 0); /* each id follows the one before: none is twice */
    assert_int_equal(missing, 0);
    assert_int_equal(stats.gaps, 0);
    assert_int_equal(stats.open_gaps, 0);
    assert_int_equal(stats.books, SYMBOLS);
    assert_true(stats.duplicates > ROTATIONS * 50); /* both were flowing */
}

static int close_all(void **state)
{
    (void)state;
    feed_destroy(rig.feed);
    rest_destroy(rig.rest);
    net_destroy(rig.net);
    loop_destroy(rig.loop);
    sim_destroy(rig.sim);
    normalise_destroy(rig.normalise);
    decoder_destroy(rig.decoder);
    free(rig.model_memory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(hundred_rotations_lose_and_double_nothing, close_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
