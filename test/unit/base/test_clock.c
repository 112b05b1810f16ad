#include "base_fixture.h"

#include "base/clock.h"

#define T0 (1700000000 * NS_PER_S)

static void clock_stamp_follows_the_wall_clock_and_strictly_increases(void **state)
{
    (void)state;
    struct clock_stamp stamp = {0};
    assert_true(clock_stamp_next(&stamp, T0, 1000) == T0);
    assert_true(clock_stamp_next(&stamp, T0, 1000) == T0 + 1); /* same read, next frame */
    assert_true(clock_stamp_next(&stamp, T0, 1000) == T0 + 2);
    assert_true(clock_stamp_next(&stamp, T0 + 50, 1050) == T0 + 50);
    assert_true(stamp.steps_back == 0);
}

static void clock_stamp_follows_a_step_forward_at_once(void **state)
{
    (void)state;
    struct clock_stamp stamp = {0};
    clock_stamp_next(&stamp, T0, 1000);
    assert_true(clock_stamp_next(&stamp, T0 + NS_PER_DAY, 2000) == T0 + NS_PER_DAY);
    assert_true(stamp.steps_back == 0);
}

/* faults.md row 8: set back one hour. Half speed meets the wall clock two hours later. */
static void clock_stamp_goes_on_at_half_speed_until_the_wall_clock_caught_up(void **state)
{
    (void)state;
    struct clock_stamp stamp = {0};
    int64_t mono = 5 * NS_PER_S;
    clock_stamp_next(&stamp, T0, mono);
    int64_t last = T0;
    int64_t second = 0;
    for (;;) {
        second++;
        int64_t unix_ns = T0 - NS_PER_HOUR + second * NS_PER_S;
        int64_t next = clock_stamp_next(&stamp, unix_ns, mono + second * NS_PER_S);
        assert_true(next > last);
        last = next;
        if (next == unix_ns) {
            break;
        }
        assert_true(next == T0 + second * NS_PER_S / 2);
        assert_true(second < 3 * 3600);
    }
    assert_int_equal(second, 7200);
    assert_true(stamp.steps_back == 1);
    assert_false(stamp.behind);
    clock_stamp_next(&stamp, last - NS_PER_S,
                     mono + (second + 1) * NS_PER_S); /* a second episode */
    assert_true(stamp.steps_back == 2);
}

static void clock_stamp_of_an_earlier_run_is_never_passed_under(void **state)
{
    (void)state;
    struct clock_stamp stamp = {.last_unix_ns = T0};
    assert_true(clock_stamp_next(&stamp, T0 - NS_PER_HOUR, 77 * NS_PER_S) == T0 + 1);
    assert_true(clock_stamp_next(&stamp, T0 - NS_PER_HOUR, 77 * NS_PER_S + 1000) == T0 + 501);
}

#define CHECK_UTC(unix_ns, y, mo, d, h, mi, s, ns)         \
    do {                                                   \
        struct clock_utc t__ = clock_utc_of(unix_ns);      \
        assert_int_equal(t__.year, y);                     \
        assert_int_equal(t__.month, mo);                   \
        assert_int_equal(t__.day, d);                      \
        assert_int_equal(t__.hour, h);                     \
        assert_int_equal(t__.minute, mi);                  \
        assert_int_equal(t__.second, s);                   \
        assert_int_equal(t__.nanosecond, ns);              \
        assert_true(clock_unix_of_utc(&t__) == (unix_ns)); \
    } while (0)

static void clock_utc_knows_the_calendar(void **state)
{
    (void)state;
    CHECK_UTC(0, 1970, 1, 1, 0, 0, 0, 0);
    CHECK_UTC(-1LL, 1969, 12, 31, 23, 59, 59, 999999999);
    CHECK_UTC(951782399 * NS_PER_S, 2000, 2, 28, 23, 59, 59, 0);
    CHECK_UTC(951782400 * NS_PER_S, 2000, 2, 29, 0, 0, 0, 0);
    CHECK_UTC(1709251199 * NS_PER_S + 5, 2024, 2, 29, 23, 59, 59, 5);
    CHECK_UTC(1767225599 * NS_PER_S, 2025, 12, 31, 23, 59, 59, 0);
    CHECK_UTC(1767225600 * NS_PER_S, 2026, 1, 1, 0, 0, 0, 0);
    CHECK_UTC(4107542399 * NS_PER_S, 2100, 2, 28, 23, 59, 59, 0);
    CHECK_UTC(4107542400 * NS_PER_S, 2100, 3, 1, 0, 0, 0, 0); /* no leap year */
    CHECK_UTC(INT64_MAX, 2262, 4, 11, 23, 47, 16, 854775807);
    CHECK_UTC(-9223372036 * NS_PER_S, 1677, 9, 21, 0, 12, 44, 0);
}

static void clock_utc_round_trips_each_day_of_five_centuries(void **state)
{
    (void)state;
    for (int64_t day = -106751; day <= 106751; day++) {
        struct clock_utc t = clock_utc_of(day * NS_PER_DAY + 1);
        assert_true(clock_unix_of_utc(&t) == day * NS_PER_DAY + 1);
        assert_in_range(t.day, 1, 31);
        assert_in_range(t.month, 1, 12);
    }
}

static void clock_system_reads_both_clocks(void **state)
{
    (void)state;
    int64_t mono = clock_mono_ns(&clock_system);
    assert_true(mono > 0);
    assert_true(clock_mono_ns(&clock_system) >= mono);
    assert_true(clock_unix_ns(&clock_system) > 1577836800 * NS_PER_S); /* 2020 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_stamp_follows_the_wall_clock_and_strictly_increases),
        cmocka_unit_test(clock_stamp_follows_a_step_forward_at_once),
        cmocka_unit_test(clock_stamp_goes_on_at_half_speed_until_the_wall_clock_caught_up),
        cmocka_unit_test(clock_stamp_of_an_earlier_run_is_never_passed_under),
        cmocka_unit_test(clock_utc_knows_the_calendar),
        cmocka_unit_test(clock_utc_round_trips_each_day_of_five_centuries),
        cmocka_unit_test(clock_system_reads_both_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
