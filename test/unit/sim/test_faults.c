/* The fault script: what it means, what it refuses, and that hits follow from seed and index. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "sim/sim_faults.h"

static struct sim_faults faults;

static void script(const char *text)
{
    struct err err = {{0}};
    int result = sim_faults_parse(&faults, str_from(text), 1, &err);
    if (result != 0) {
        print_error("%s\n", err.text);
    }
    assert_int_equal(result, 0);
}

static void check_refused(const char *text, const char *why)
{
    struct err err = {{0}};
    assert_int_equal(sim_faults_parse(&faults, str_from(text), 1, &err), MD_EPARSE);
    assert_string_equal(err.text, why);
}

static void reads_every_kind_of_rule(void **state)
{
    (void)state;
    script("# a comment\n"
           "at 2.5s conn * reset\n"
           "\n"
           "every 100 drop depth BTCUSDT   # with a comment\n"
           "silence 5s\n"
           "dup; swap; corrupt trade\n"
           "after 250ms conn 2 slow 1000 for 1m\n"
           "split 1\n"
           "close 1001\n"
           "every 10s shutdown for 2s\n"
           "rest_status 429 for 3s\n"
           "every 3 rest_lag 500ms depth\n"
           "half_open from 1s until 2s\n"
           "every 1s fin sweep\n"
           "at 1s eof bytes 17\n"
           "every 2 ack wrong_id\n"
           "rest_delay 1s exchangeInfo\n"
           "rest_reset depth\n");
    assert_int_equal(faults.count, 18);
    assert_int_equal(faults.rules[0].fault, SIM_FAULT_RESET);
    assert_int_equal(faults.rules[0].trigger, SIM_TRIGGER_AT);
    assert_int_equal(faults.rules[0].value, 2500 * NS_PER_MS);
    assert_int_equal(faults.rules[0].line, 2);
    assert_int_equal(faults.rules[1].trigger, SIM_TRIGGER_NTH);
    assert_int_equal(faults.rules[1].value, 100);
    assert_string_equal(faults.rules[1].group, "depth");
    assert_string_equal(faults.rules[1].symbol, "BTCUSDT");
    assert_int_equal(faults.rules[2].for_ns, 5 * NS_PER_S);
    assert_int_equal(faults.rules[6].conn, 2);
    assert_int_equal(faults.rules[6].trigger, SIM_TRIGGER_AFTER);
    assert_int_equal(faults.rules[6].number, 1000);
    assert_int_equal(faults.rules[6].for_ns, 60 * NS_PER_S);
    assert_int_equal(faults.rules[8].number, 1001);
    assert_int_equal(faults.rules[9].trigger, SIM_TRIGGER_EVERY);
    assert_int_equal(faults.rules[11].time_ns, 500 * NS_PER_MS);
    assert_string_equal(faults.rules[11].path, "depth");
    assert_int_equal(faults.rules[12].from_ns, NS_PER_S);
    assert_int_equal(faults.rules[12].until_ns, 2 * NS_PER_S);
    assert_true(faults.rules[13].sweep);
    assert_int_equal(faults.rules[14].number, 17);
    assert_int_equal(faults.rules[15].number, SIM_ACK_WRONG_ID);
}

static void refuses_with_the_line_and_the_reason(void **state)
{
    (void)state;
    check_refused("drop\nexplode", "fault script: line 2: unknown action \"explode\"");
    check_refused("at", "fault script: line 1: at: expected a time such as 2.5s");
    check_refused("at 5 reset", "fault script: line 1: at: expected a time such as 2.5s");
    check_refused("every 0 drop", "fault script: line 1: every: expected more than 0");
    check_refused("every x drop",
                  "fault script: line 1: every: expected a count such as 100 or a time such as 5s");
    check_refused("close 7", "fault script: line 1: close: expected a code, 1000 to 4999");
    check_refused("close", "fault script: line 1: close: expected a code, 1000 to 4999");
    check_refused("split 0", "fault script: line 1: split: expected bytes a write, 1 to 16384");
    check_refused("ack maybe", "fault script: line 1: ack: expected none, error or wrong_id");
    check_refused("drop depth BTCUSDT now",
                  "fault script: line 1: words after the end of the rule");
    check_refused("conn x reset",
                  "fault script: line 1: conn: expected * or the connection's number, from 1");
    check_refused("every 5 reset",
                  "fault script: line 1: a fault of connections cannot come every N "
                  "messages, only every T");
    check_refused("every 5s drop",
                  "fault script: line 1: only faults of connections can come every T or after T");
    check_refused("conn 1 drop", "fault script: line 1: only faults of connections can name one");
    check_refused("1 2 3 4 5 6 7 8 9 a b c d e f g h", "fault script: line 1: too many words");
}

static void refuses_more_than_64_rules(void **state)
{
    (void)state;
    char text[512] = "";
    for (int i = 0; i < 65; i++) {
        strcat(text, "drop;");
    }
    assert_int_equal(sim_faults_parse(&faults, str_from(text), 1, NULL), MD_EFULL);
    text[strlen(text) - 5] = 0;
    assert_int_equal(sim_faults_parse(&faults, str_from(text), 1, NULL), 0);
}

static void one_message_of_a_hundred_is_hit_and_always_the_same(void **state)
{
    (void)state;
    script("every 100 drop trade BTCUSDT");
    int64_t hits[2] = {0, 0};
    int64_t first[2] = {-1, -1};
    for (int round = 0; round < 2; round++) {
        for (int64_t i = 5000; i < 6000; i++) {
            if (sim_faults_message(&faults, "trade", "BTCUSDT", i, i) != NULL) {
                first[round] = first[round] < 0 ? i : first[round];
                hits[round]++;
            }
        }
    }
    assert_int_equal(hits[0], 10);
    assert_int_equal(hits[1], 10);
    assert_int_equal(first[0], first[1]);
    for (int64_t i = 0; i < 1000; i++) {
        assert_null(sim_faults_message(&faults, "trade", "ETHUSDT", i, 0));
        assert_null(sim_faults_message(&faults, "depth", "BTCUSDT", i, 0));
    }
}

static void rules_live_from_and_until(void **state)
{
    (void)state;
    script("drop trade from 1s until 2s");
    assert_null(sim_faults_message(&faults, "trade", "X", 1, NS_PER_S - 1));
    assert_non_null(sim_faults_message(&faults, "trade", "X", 1, NS_PER_S));
    assert_null(sim_faults_message(&faults, "trade", "X", 1, 2 * NS_PER_S));
}

static void a_message_fault_at_a_time_hits_once(void **state)
{
    (void)state;
    script("at 1s drop");
    assert_null(sim_faults_message(&faults, "trade", "X", 1, NS_PER_S - 1));
    struct sim_fault_rule *rule = sim_faults_message(&faults, "trade", "X", 2, NS_PER_S);
    assert_non_null(rule);
    sim_faults_count(&faults, rule);
    assert_null(sim_faults_message(&faults, "trade", "X", 3, NS_PER_S + 1));
    assert_int_equal(faults.injected[SIM_FAULT_DROP], 1);
}

static void timed_connection_faults_come_when_due(void **state)
{
    (void)state;
    script("at 2s reset; every 3s close 1001; after 4s conn 2 fin; split 1");
    assert_false(sim_faults_due(&faults.rules[0], 2 * NS_PER_S - 1));
    assert_true(sim_faults_due(&faults.rules[0], 2 * NS_PER_S));
    assert_false(sim_faults_due(&faults.rules[0], 9 * NS_PER_S));
    assert_false(sim_faults_due(&faults.rules[1], 2 * NS_PER_S));
    assert_true(sim_faults_due(&faults.rules[1], 3 * NS_PER_S));
    assert_false(sim_faults_due(&faults.rules[1], 4 * NS_PER_S));
    assert_true(sim_faults_due(&faults.rules[1], 6 * NS_PER_S));
    assert_false(sim_faults_applies(&faults.rules[2], 1, 5 * NS_PER_S, 0));
    assert_false(sim_faults_applies(&faults.rules[2], 2, 3 * NS_PER_S, 0));
    assert_true(sim_faults_applies(&faults.rules[2], 2, 4 * NS_PER_S, 0));
    assert_true(sim_faults_applies(&faults.rules[3], 7, 0, 0));
    assert_false(sim_faults_applies(&faults.rules[0], 7, 0, 5 * NS_PER_S));
}

static struct sim_fault_rule *request(enum sim_fault fault, const char *path, int64_t at_s)
{
    return sim_faults_request(&faults, fault, str_from(path), at_s * NS_PER_S);
}

static void rest_faults_match_the_end_of_the_path(void **state)
{
    (void)state;
    script("at 1s rest_status 429 depth for 3s; every 2 rest_lag 1s ticker/24hr");
    assert_null(request(SIM_FAULT_REST_STATUS, "/api/v3/depth", 0));
    assert_non_null(request(SIM_FAULT_REST_STATUS, "/api/v3/depth", 1));
    assert_non_null(request(SIM_FAULT_REST_STATUS, "/api/v3/depth", 3));
    assert_null(request(SIM_FAULT_REST_STATUS, "/api/v3/depth", 4));
    assert_null(request(SIM_FAULT_REST_STATUS, "/api/v3/xdepth", 2));
    assert_null(request(SIM_FAULT_REST_LAG, "/api/v3/ticker/24hr", 0));
    assert_non_null(request(SIM_FAULT_REST_LAG, "/api/v3/ticker/24hr", 0));
    assert_null(request(SIM_FAULT_REST_LAG, "/api/v3/ticker/24hr", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind_of_rule),
        cmocka_unit_test(refuses_with_the_line_and_the_reason),
        cmocka_unit_test(refuses_more_than_64_rules),
        cmocka_unit_test(one_message_of_a_hundred_is_hit_and_always_the_same),
        cmocka_unit_test(rules_live_from_and_until),
        cmocka_unit_test(a_message_fault_at_a_time_hits_once),
        cmocka_unit_test(timed_connection_faults_come_when_due),
        cmocka_unit_test(rest_faults_match_the_end_of_the_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
