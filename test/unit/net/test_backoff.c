/* Reconnect delays and sliding-window pacing, with time and randomness given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/backoff.h"

static void delays_double_from_1_s_to_60_s(void **state)
{
    (void)state;
    static const int64_t upper[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000};
    struct backoff low, high;
    backoff_init(&low, 1000, 60000, 30000);
    backoff_init(&high, 1000, 60000, 30000);
    for (size_t i = 0; i < sizeof upper / sizeof upper[0]; i++) {
        assert_int_equal(backoff_next_ms(&low, 0, 0), upper[i] / 2);
        /* the largest draw: range = upper - half + 1, and range - 1 modulo range is range - 1 */
        assert_int_equal(backoff_next_ms(&high, 0, (uint64_t)(upper[i] / 2)), upper[i]);
    }
}

static void delays_stay_between_half_and_whole(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252ULL;
    int64_t lowest = INT64_MAX, highest = 0;
    for (int i = 0; i < 10000; i++) {
        struct backoff backoff;
        backoff_init(&backoff, 1000, 60000, 30000);
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        int64_t ms = backoff_next_ms(&backoff, 0, random);
        lowest = ms < lowest ? ms : lowest;
        highest = ms > highest ? ms : highest;
    }
    assert_int_equal(lowest, 500);
    assert_int_equal(highest, 1000);
}

static void a_good_connection_resets_the_delay_and_a_short_one_does_not(void **state)
{
    (void)state;
    struct backoff backoff;
    backoff_init(&backoff, 1000, 60000, 30000);
    assert_int_equal(backoff_next_ms(&backoff, 0, 0), 500);
    assert_int_equal(backoff_next_ms(&backoff, 0, 0), 1000);
    backoff_on_open(&backoff, 100 * NS_PER_S);
    assert_int_equal(backoff_next_ms(&backoff, 129 * NS_PER_S, 0), 2000);
    backoff_on_open(&backoff, 200 * NS_PER_S);
    assert_int_equal(backoff_next_ms(&backoff, 230 * NS_PER_S, 0), 500);
    assert_int_equal(backoff_next_ms(&backoff, 400 * NS_PER_S, 0), 1000);
}

static void six_events_wait_for_the_window_of_the_first(void **state)
{
    (void)state;
    int64_t times[5];
    struct pace pace;
    pace_init(&pace, times, 5, NS_PER_S, 0);
    for (int64_t i = 0; i < 5; i++) {
        assert_int_equal(pace_earliest_ns(&pace, 1000 + i), 1000 + i);
        pace_take(&pace, 1000 + i);
    }
    assert_int_equal(pace_earliest_ns(&pace, 1005), NS_PER_S + 1000);
    pace_take(&pace, NS_PER_S + 1000);
    assert_int_equal(pace_earliest_ns(&pace, NS_PER_S + 1000), NS_PER_S + 1001);
    assert_int_equal(pace_earliest_ns(&pace, 5 * NS_PER_S), 5 * NS_PER_S);
}

static void no_window_ever_holds_more_than_count(void **state)
{
    (void)state;
    enum { COUNT = 7, EVENTS = 500 };
    int64_t times[COUNT], taken[EVENTS];
    struct pace pace;
    uint64_t random = 42;
    int64_t now = 0;
    pace_init(&pace, times, COUNT, 1000, 10);
    for (int i = 0; i < EVENTS; i++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        now = pace_earliest_ns(&pace, now + (int64_t)(random >> 33) % 200);
        pace_take(&pace, now);
        taken[i] = now;
        assert_true(i < 1 || taken[i] - taken[i - 1] >= 10);
        assert_true(i < COUNT || taken[i] - taken[i - COUNT] >= 1000);
    }
}

static void spacing_holds_from_the_first_event_on(void **state)
{
    (void)state;
    int64_t times[2];
    struct pace pace;
    pace_init(&pace, times, 2, 0, 250);
    assert_int_equal(pace_earliest_ns(&pace, 0), 0);
    pace_take(&pace, 0);
    assert_int_equal(pace_earliest_ns(&pace, 1), 250);
    assert_int_equal(pace_earliest_ns(&pace, 251), 251);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_double_from_1_s_to_60_s),
        cmocka_unit_test(delays_stay_between_half_and_whole),
        cmocka_unit_test(a_good_connection_resets_the_delay_and_a_short_one_does_not),
        cmocka_unit_test(six_events_wait_for_the_window_of_the_first),
        cmocka_unit_test(no_window_ever_holds_more_than_count),
        cmocka_unit_test(spacing_holds_from_the_first_event_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
