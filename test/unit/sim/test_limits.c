/* The venue's limits on a clock of our own. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "sim/sim_limits.h"

#define MS NS_PER_MS
#define START (1000 * NS_PER_S)

static void five_messages_a_second_pass_and_the_sixth_does_not(void **state)
{
    (void)state;
    struct sim_limits_config config = sim_limits_default();
    struct sim_message_limit limit = {0};
    for (int i = 0; i < 5; i++) {
        assert_true(sim_limits_message(&limit, &config, START + i * MS));
    }
    assert_false(sim_limits_message(&limit, &config, START + 999 * MS));
}

static void messages_spaced_at_200_ms_never_break_the_limit(void **state)
{
    (void)state;
    struct sim_limits_config config = sim_limits_default();
    struct sim_message_limit limit = {0};
    for (int i = 0; i < 1000; i++) {
        assert_true(sim_limits_message(&limit, &config, START + i * 200 * MS));
    }
    assert_true(sim_limits_message(&limit, &config, START + 1000 * 200 * MS));
    assert_false(sim_limits_message(&limit, &config, START + 1000 * 200 * MS + 1));
}

static void connects_are_counted_per_address_and_window(void **state)
{
    (void)state;
    static struct sim_addresses addresses;
    memset(&addresses, 0, sizeof addresses);
    struct sim_limits_config config = sim_limits_default();
    const uint8_t one[16] = {127, 0, 0, 1};
    const uint8_t two[16] = {127, 0, 0, 2};
    struct sim_address *a = sim_limits_address(&addresses, one, START);
    for (int i = 0; i < 300; i++) {
        assert_true(sim_limits_connect(a, &config, START + i * MS));
    }
    assert_false(sim_limits_connect(a, &config, START + 300 * MS));
    struct sim_address *b = sim_limits_address(&addresses, two, START + 301 * MS);
    assert_ptr_not_equal(a, b);
    assert_true(sim_limits_connect(b, &config, START + 301 * MS));
    assert_ptr_equal(sim_limits_address(&addresses, one, START + 302 * MS), a);
    assert_true(sim_limits_connect(a, &config, START + 300 * NS_PER_S));
    assert_false(sim_limits_connect(a, &config, START + 300 * NS_PER_S));
}

static void the_longest_unused_address_is_forgotten_first(void **state)
{
    (void)state;
    static struct sim_addresses addresses;
    memset(&addresses, 0, sizeof addresses);
    struct sim_limits_config config = sim_limits_default();
    for (uint8_t i = 0; i < SIM_ADDRESSES_MAX; i++) {
        const uint8_t ip[16] = {10, 0, 0, i};
        (void)sim_limits_weight(sim_limits_address(&addresses, ip, START + i), &config, 7,
                                START + i);
    }
    const uint8_t second[16] = {10, 0, 0, 1};
    const uint8_t first[16] = {10, 0, 0, 0};
    const uint8_t newcomer[16] = {10, 0, 1, 0};
    assert_int_equal(sim_limits_address(&addresses, newcomer, START + 100)->weight_used, 0);
    assert_int_equal(sim_limits_address(&addresses, second, START + 101)->weight_used, 7);
    assert_int_equal(sim_limits_address(&addresses, first, START + 102)->weight_used, 0);
}

static struct sim_weight_verdict ask(struct sim_address *address, uint32_t weight, int64_t at_ms)
{
    struct sim_limits_config config = sim_limits_default();
    return sim_limits_weight(address, &config, weight, START + at_ms * MS);
}

static void weight_over_the_limit_is_429_until_the_window_ends(void **state)
{
    (void)state;
    struct sim_address address = {.weight_window_mono_ns = START};
    assert_int_equal(ask(&address, 5999, 0).status, 200);
    assert_int_equal(ask(&address, 1, 10).status, 200);
    assert_int_equal(ask(&address, 1, 20000).status, 429);
    assert_int_equal(ask(&address, 0, 20001).retry_after_s, 40);
    struct sim_weight_verdict after = ask(&address, 50, 60000);
    assert_int_equal(after.status, 200);
    assert_int_equal(after.used, 50);
}

static void requests_that_ignore_a_429_are_banned_with_418(void **state)
{
    (void)state;
    struct sim_address address = {.weight_window_mono_ns = START};
    assert_int_equal(ask(&address, 6001, 0).status, 429);
    for (int i = 1; i < 5; i++) {
        assert_int_equal(ask(&address, 1, i).status, 429);
    }
    struct sim_weight_verdict banned = ask(&address, 1, 5);
    assert_int_equal(banned.status, 418);
    assert_int_equal(banned.retry_after_s, 120);
    assert_int_equal(ask(&address, 1, 70000).status, 418); /* a new minute does not help */
    assert_int_equal(ask(&address, 1, 70000).retry_after_s, 51);
    assert_int_equal(ask(&address, 1, 120005).status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_messages_a_second_pass_and_the_sixth_does_not),
        cmocka_unit_test(messages_spaced_at_200_ms_never_break_the_limit),
        cmocka_unit_test(connects_are_counted_per_address_and_window),
        cmocka_unit_test(the_longest_unused_address_is_forgotten_first),
        cmocka_unit_test(weight_over_the_limit_is_429_until_the_window_ends),
        cmocka_unit_test(requests_that_ignore_a_429_are_banned_with_418),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
