/* histogram.c: buckets, quantiles, differences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/histogram.h"

static void histogram_buckets_cover_all_times_in_order(void **state)
{
    (void)state;
    assert_int_equal(histogram_bucket(INT64_MIN), 0);
    assert_int_equal(histogram_bucket(-1), 0);
    assert_int_equal(histogram_bucket(1023), 0);
    assert_int_equal(histogram_bucket(1024), 1);
    assert_int_equal(histogram_bucket(1279), 1);
    assert_int_equal(histogram_bucket(1280), 2);
    assert_int_equal(histogram_bucket(2047), 4);
    assert_int_equal(histogram_bucket(2048), 5);
    assert_int_equal(histogram_bucket(INT64_MAX), HISTOGRAM_BUCKETS - 1);
    for (int64_t ns = 1; ns < INT64_MAX / 2; ns += ns / 7 + 1) {
        assert_true(histogram_bucket(ns + ns / 7 + 1) >= histogram_bucket(ns));
    }
}

static void histogram_quantiles_are_right_to_an_eighth(void **state)
{
    (void)state;
    static struct histogram histogram;
    struct histogram_counts counts;
    for (int64_t us = 1; us <= 100000; us++) {
        histogram_add(&histogram, us * 1000);
    }
    histogram_read(&histogram, &counts);
    assert_int_equal(counts.total, 100000);
    assert_int_equal(counts.negative, 0);
    assert_true(counts.sum_ns == 100000LL * 100001 / 2 * 1000);
    static const double shares[] = {0.01, 0.1, 0.5, 0.9, 0.99};
    for (int i = 0; i < 5; i++) {
        double wanted = shares[i] * 1e8;
        double got = (double)histogram_quantile_ns(&counts, shares[i]);
        assert_true(got > wanted * 0.875);
        assert_true(got < wanted * 1.125);
    }
    assert_true(histogram_quantile_ns(&counts, 1) >= 100000000);
}

static void histogram_since_is_what_came_between(void **state)
{
    (void)state;
    static struct histogram histogram;
    struct histogram_counts before, after, since;
    histogram_add(&histogram, 5000000000);
    histogram_read(&histogram, &before);
    histogram_add(&histogram, -3);
    histogram_add(&histogram, 2000);
    histogram_read(&histogram, &after);
    histogram_since(&after, &before, &since);
    assert_int_equal(since.total, 2);
    assert_int_equal(since.negative, 1);
    assert_int_equal(since.sum_ns, 1997);
    assert_true(histogram_quantile_ns(&since, 1) < 3000);
    histogram_since(&after, &after, &since);
    assert_int_equal(histogram_quantile_ns(&since, 0.5), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histogram_buckets_cover_all_times_in_order),
        cmocka_unit_test(histogram_quantiles_are_right_to_an_eighth),
        cmocka_unit_test(histogram_since_is_what_came_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
