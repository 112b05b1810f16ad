/* health.c: a healthy view has no condition; each fault gives exactly its own, with words and a
 * remedy, and it ends when the fault does. The metrics and the JSON of such views are well-formed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "watch/health.h"
#include "watch/metrics.h"
#include "watch/status.h"

#define NOW (1000 * NS_PER_S)

struct fixture {
    struct watch_view view;
    struct health health;
    struct watch_land land;
    size_t planned[ALLOC_LINE_COUNT];
    union {
        struct watch_net net;
        char room[sizeof(struct watch_net) + 2 * sizeof(struct watch_connection)];
    } net;
};
static struct fixture f;

static struct feed_connection *connection(int i)
{
    return &f.net.net.connections[i].feed;
}

/* Two exchanges with a connection each, all well. */
static void make_well(void)
{
    memset(&f, 0, sizeof f);
    f.view = (struct watch_view){
        .mono_ns = NOW,
        .unix_ns = NOW,
        .started_mono_ns = NOW - 500 * NS_PER_S,
        .recorder = "md",
        .data_dir = "/data",
        .net = &f.net.net,
        .land = &f.land,
        .lines_planned = f.planned,
        .budget = 100 << 20,
        .rss = 50 << 20,
        .ring_bytes_max = 1 << 20,
        .ring_messages_max = 1000,
        .sync_ms = 200,
    };
    f.net.net.mono_ns = f.land.mono_ns = NOW;
    f.net.net.venue_count = f.net.net.connection_count = 2;
    f.net.net.venues[0].id = VENUE_BINANCE;
    f.net.net.venues[1].id = VENUE_GATE;
    for (uint32_t i = 0; i < 2; i++) {
        f.net.net.connections[i].venue = i;
        *connection((int)i) = (struct feed_connection){
            .state = FEED_CONNECTION_LIVE,
            .endpoint = "json",
            .streams = 4,
            .on = 4,
            .opened_ns = NOW - 400 * NS_PER_S,
            .market_ns = NOW,
            .messages = 100000,
        };
    }
    health_judge(&f.health, &f.view);
}

static void pass(int64_t seconds)
{
    f.view.mono_ns += seconds * NS_PER_S;
    f.view.unix_ns += seconds * NS_PER_S;
    f.net.net.mono_ns = f.land.mono_ns = f.view.mono_ns;
    for (int i = 0; i < 2; i++) {
        if (connection(i)->market_ns > 0) {
            connection(i)->market_ns = f.view.mono_ns;
        }
    }
}

static void all_is_well(void **state)
{
    (void)state;
    char text[600];
    make_well();
    assert_int_equal(f.health.level, HEALTH_GREEN);
    assert_int_equal(f.health.on, 0);
    assert_int_equal(f.health.flowing, 2);
    struct buf out = buf_over(text, sizeof text - 1);
    health_headline(&f.health, &f.view, &out);
    text[out.bytes] = 0;
    assert_string_equal(text, "data flows on 2 of 2 connections, 0 messages a second");
}

/* ---- faults: how they begin, how they end */

static void down(void)
{
    *connection(1) = (struct feed_connection){.state = FEED_CONNECTION_WAITING,
                                              .endpoint = "json",
                                              .opened_ns = NOW - 400 * NS_PER_S,
                                              .down_ns = NOW - 3 * NS_PER_S,
                                              .messages = 5,
                                              .end = FEED_END_UNREACHED,
                                              .why = "connection refused"};
}
static void silent(void)
{
    connection(1)->market_ns = NOW - 11 * NS_PER_S;
}
static void given_up(void)
{
    f.net.net.venues[0].given_up = true;
    snprintf(f.net.net.venues[0].fault, 160, "certificate not trusted");
}
static void replaying(void)
{
    f.net.net.replaying = true;
    f.net.net.replayed = 1234;
    f.view.ring_messages = 7;
}
static void failing(void)
{
    f.view.journal_failing = true;
}
static void stuck(void)
{
    f.land.mono_ns = NOW - 6 * NS_PER_S;
}
static void low(void)
{
    f.land.store.disk_low = true;
}
static void frozen(void)
{
    f.land.store.streams_frozen = 3;
}
static void dropped(void)
{
    f.view.dropped += 17;
    f.net.net.venues[1].dropped[CHANNEL_TRADES] = 17;
}
static void control_lost(void)
{
    f.net.net.control_lost = 1;
}
static void filling(void)
{
    f.view.ring_messages = 600;
}
static void paused(void)
{
    f.net.net.paused = true;
}
static void landing_late(void)
{
    f.land.delay_ns = 3 * NS_PER_S;
}
static void lagging(void)
{
    f.view.journal.synced_lag_ns = 3 * NS_PER_S;
}
static void files_failed(void)
{
    f.land.store.files_failed = 2;
}
static void refused(void)
{
    f.net.net.venues[1].feed.streams_refused = 2;
}
static void pending(void)
{
    *connection(1) = (struct feed_connection){.endpoint = "json", .streams = 4, .pending = 4};
}
static void books(void)
{
    f.land.normalise.books_all = 4;
    f.land.normalise.books = 3;
    health_judge(&f.health, &f.view);
    pass(31);
}
static void undecodable(void)
{
    f.land.undecodable = 1;
}
static void throttled(void)
{
    f.net.net.venues[1].feed.throttled = 1;
}
static void clock_behind(void)
{
    f.view.latency[VENUE_GATE] = (struct watch_times){.count = 9, .min_ns = -NS_PER_S};
}
static void late(void)
{
    f.view.latency[VENUE_GATE] = (struct watch_times){.count = 9, .p50_ns = 5 * NS_PER_S};
}
static void memory_over(void)
{
    f.view.rss = 101 << 20;
}
static void stopping(void)
{
    f.net.net.stopping = true;
}

static const struct {
    void (*begin)(void);
    enum health_condition condition;
    const char *words; /* a part of them */
} cases[] = {
    {down, HEALTH_CONNECTION_DOWN,
     "gate-io: 1 of 1 connections for 3 s: the venue could not be "
     "reached: connection refused"},
    {silent, HEALTH_NO_DATA, "gate-io: 1 of 1 connections for 11 s"},
    {given_up, HEALTH_EXCHANGE_GIVEN_UP, "binance is not recorded: certificate not trusted"},
    {replaying, HEALTH_REPLAYING,
     "replaying the journal of earlier runs: 1234 records so far; 7 messages wait"},
    {failing, HEALTH_JOURNAL_FAILING, "the journal in /data cannot be written"},
    {stuck, HEALTH_LANDING_STUCK, "stood still for 6 s"},
    {low, HEALTH_DISK_LOW, "nothing is sealed"},
    {frozen, HEALTH_ROWS_FROZEN, "3 streams"},
    {dropped, HEALTH_QUEUE_DROP, "17 messages dropped: gate-io 17"},
    {control_lost, HEALTH_CONTROL_LOST, "1 control records"},
    {filling, HEALTH_QUEUE_FILLING, "60 % full"},
    {paused, HEALTH_PAUSED, "paused"},
    {landing_late, HEALTH_LANDING_LATE, "3.0 s"},
    {lagging, HEALTH_JOURNAL_LAG, "3.0 s ahead of the disk"},
    {files_failed, HEALTH_FILES_FAILED, "2 files"},
    {refused, HEALTH_STREAMS_REFUSED, "gate-io: 2 streams"},
    {pending, HEALTH_SUBSCRIPTIONS_PENDING, "4 of 8 subscriptions and 1 of 2 connections"},
    {books, HEALTH_BOOKS_INCOMPLETE, "1 of 4 books"},
    {undecodable, HEALTH_UNDECODABLE, "1 messages"},
    {throttled, HEALTH_THROTTLED, "1 times"},
    {clock_behind, HEALTH_CLOCK_BEHIND, "gate-io's messages come up to 1.00 s before"},
    {late, HEALTH_LATE, "gate-io's messages are 5.0 s old"},
    {memory_over, HEALTH_MEMORY_OVER, "101 MiB of memory are in use, 100 MiB"},
    {stopping, HEALTH_STOPPING, "sealed"},
};

static void each_fault_gives_its_condition_and_no_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        make_well();
        cases[i].begin();
        health_judge(&f.health, &f.view);
        for (int c = 0; c < HEALTH_COUNT; c++) {
            if (f.health.states[c].on != (c == (int)cases[i].condition)) {
                fail_msg("%s: %s is %d", health_name(cases[i].condition),
                         health_name((enum health_condition)c), f.health.states[c].on);
            }
        }
        if (strstr(f.health.states[cases[i].condition].words, cases[i].words) == NULL) {
            fail_msg("%s: \"%s\" lacks \"%s\"", health_name(cases[i].condition),
                     f.health.states[cases[i].condition].words, cases[i].words);
        }
        assert_int_equal(f.health.level, health_level_of(cases[i].condition));
        assert_true(strlen(health_remedy(cases[i].condition)) > 10);
    }
    /* all that can be made here: silent streams want a normalise, and are shown end to end */
    assert_int_equal(sizeof cases / sizeof cases[0], HEALTH_COUNT - 1);
}

static void what_happened_is_remembered_for_its_time_and_then_over(void **state)
{
    (void)state;
    make_well();
    dropped();
    health_judge(&f.health, &f.view);
    pass(9);
    health_judge(&f.health, &f.view);
    assert_true(f.health.states[HEALTH_QUEUE_DROP].on);
    pass(2);
    health_judge(&f.health, &f.view);
    assert_false(f.health.states[HEALTH_QUEUE_DROP].on);
    assert_int_equal(f.health.level, HEALTH_GREEN);
    f.view.dropped += 3; /* a new episode counts its own */
    health_judge(&f.health, &f.view);
    assert_non_null(strstr(f.health.states[HEALTH_QUEUE_DROP].words, ": 3 messages dropped"));
}

static void data_flows_only_on_live_connections_that_speak(void **state)
{
    (void)state;
    make_well();
    assert_true(health_connection_flows(connection(0), NOW));
    connection(0)->messages = 0;
    assert_false(health_connection_flows(connection(0), NOW));
    connection(0)->messages = 9; /* a quiet one: its rhythm counts, not the ten seconds */
    connection(0)->market_ns = NOW - 50 * NS_PER_S;
    assert_true(health_connection_flows(connection(0), NOW));
    connection(0)->quiet_ms = 30000;
    assert_false(health_connection_flows(connection(0), NOW));
    connection(0)->quiet_ms = 60000;
    assert_true(health_connection_flows(connection(0), NOW));
    connection(0)->state = FEED_CONNECTION_OPEN;
    assert_false(health_connection_flows(connection(0), NOW));
    connection(0)->replacing = true; /* the old socket still delivers */
    assert_true(health_connection_flows(connection(0), NOW));
}

static char text[256 << 10];

static json_t *status_of(struct status_since since)
{
    struct buf out = buf_over(text, status_bytes(2));
    status_write(&out, &f.view, &f.health, since);
    assert_false(out.overflow);
    json_error_t error;
    json_t *root = json_loadb(out.data, out.bytes, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        fail_msg("line %d: %s", error.line, error.text);
    }
    return root;
}

static void status_is_json_whatever_the_words(void **state)
{
    (void)state;
    make_well();
    down();
    snprintf(connection(1)->why, sizeof connection(1)->why, "\"</script>\\ \x01\xff");
    f.land.gaps_told = 2;
    f.land.gaps[0] = (struct watch_gap){.number = 1, .venue = VENUE_GATE, .symbol = "A\"B\n"};
    f.land.gaps[1] = (struct watch_gap){.number = 2, .venue = VENUE_GATE, .symbol = "C"};
    health_judge(&f.health, &f.view);
    json_t *root = status_of((struct status_since){0, 0});
    json_t *health = json_object_get(root, "health");
    assert_string_equal(json_string_value(json_object_get(health, "level")), "red");
    json_t *second = json_array_get(json_object_get(root, "connections"), 1);
    assert_string_equal(json_string_value(json_object_get(second, "why")),
                        "\"</script>\\ \x01\xef\xbf\xbd");
    assert_int_equal(json_array_size(json_object_get(root, "gaps")), 2);
    assert_true(json_is_false(json_object_get(root, "cut")));
    json_decref(root);
    root = status_of((struct status_since){1, UINT64_MAX});
    assert_int_equal(json_array_size(json_object_get(root, "gaps")), 1);
    assert_int_equal(json_array_size(json_object_get(root, "log")), 0);
    json_decref(root);
}

static void status_says_when_it_is_cut(void **state)
{
    (void)state;
    make_well();
    for (size_t room = 16; room < 16000; room += 61) {
        struct buf out = buf_over(text, room);
        status_write(&out, &f.view, &f.health, (struct status_since){0, UINT64_MAX});
        if (!out.overflow) { /* whole JSON, and honest */
            json_t *root = json_loadb(out.data, out.bytes, 0, NULL);
            assert_non_null(root);
            size_t n = json_array_size(json_object_get(root, "connections"));
            assert_true(n == 2 || json_is_true(json_object_get(root, "cut")));
            json_decref(root);
        }
    }
}

static void history_is_columns_oldest_first(void **state)
{
    (void)state;
    static struct watch_sample samples[WATCH_HISTORY];
    for (uint32_t i = 0; i < WATCH_HISTORY; i++) {
        samples[i].unix_ms = i;
    }
    struct buf out = buf_over(text, sizeof text);
    status_history(&out, samples, WATCH_HISTORY - 1, 3);
    json_t *root = json_loadb(out.data, out.bytes, 0, NULL);
    json_t *times = json_object_get(root, "unix_ms");
    assert_int_equal(json_array_size(times), 3);
    assert_int_equal(json_integer_value(json_array_get(times, 0)), WATCH_HISTORY - 1);
    assert_int_equal(json_integer_value(json_array_get(times, 1)), 0);
    json_decref(root);
}

static void metrics_show_the_view(void **state)
{
    (void)state;
    make_well();
    dropped();
    f.land.counts[VENUE_GATE][CHANNEL_TRADES].messages = 12;
    f.land.normalise.gaps_by[VENUE_GATE][GAP_STALL][GAP_RESOLVED_RESYNC] = 5;
    f.view.latency[VENUE_GATE] =
        (struct watch_times){.count = 2, .p50_ns = 1500000, .total_count = 3, .total_s = 0.25};
    health_judge(&f.health, &f.view);
    struct buf out = buf_over(text, sizeof text - 1);
    metrics_write(&out, &f.view, &f.health);
    assert_false(out.overflow);
    text[out.bytes] = 0;
    static const char *const lines[] = {
        "\nmarket_data_health 2\n",
        "\nmarket_data_condition{condition=\"queue_drop\"} 1\n",
        "\nmarket_data_condition{condition=\"disk_low\"} 0\n",
        "\nmarket_data_dropped_messages_total{exchange=\"gate-io\",channel=\"trades\"} 17\n",
        "\nmarket_data_messages_total{exchange=\"gate-io\",channel=\"trades\"} 12\n",
        "\nmarket_data_gaps_total{exchange=\"gate-io\",cause=\"stall\",resolution=\"resync\"} 5\n",
        "\nmarket_data_latency_seconds{exchange=\"gate-io\",quantile=\"0.5\"} 0.0015\n",
        "\nmarket_data_latency_seconds_count{exchange=\"gate-io\"} 3\n",
        "\nmarket_data_latency_seconds_sum{exchange=\"gate-io\"} 0.25\n",
        "\nmarket_data_latency_seconds{exchange=\"binance\",quantile=\"0.5\"} NaN\n",
        "\n# TYPE market_data_latency_seconds summary\n",
        "\n# TYPE market_data_dropped_messages_total counter\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (strstr(text, lines[i]) == NULL) {
            fail_msg("lacks %s", lines[i]);
        }
    }
}

/* The conditions' log lines are not what is looked at here. */
static int quiet(void **state)
{
    (void)state;
    log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_LEVEL_ERROR, false, &clock_system);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_well),
        cmocka_unit_test(each_fault_gives_its_condition_and_no_other),
        cmocka_unit_test(what_happened_is_remembered_for_its_time_and_then_over),
        cmocka_unit_test(data_flows_only_on_live_connections_that_speak),
        cmocka_unit_test(status_is_json_whatever_the_words),
        cmocka_unit_test(status_says_when_it_is_cut),
        cmocka_unit_test(history_is_columns_oldest_first),
        cmocka_unit_test(metrics_show_the_view),
    };
    return cmocka_run_group_tests(tests, quiet, NULL);
}
