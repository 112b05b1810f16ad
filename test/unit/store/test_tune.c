/* Self-tuning's decisions, as tables: figures in, decision out; and the text they are journalled
 * as.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/tune.h"

static const struct tune_bounds bounds = {.zstd_level = 3, .blocks_set = 100, .blocks_most = 1000};

/* `seconds` with the same figures; returns the last decision, put into force as the store does. */
static struct tune_decision run(struct tuner *tuner, struct tune_figures figures, int seconds)
{
    struct tune_decision decision = {0};
    for (int i = 0; i < seconds; i++) {
        decision = tune_second(tuner, &bounds, &figures);
        tuner->zstd_level = decision.zstd_level;
        tuner->blocks_max = decision.blocks_max;
    }
    return decision;
}

static void a_backlog_that_stays_lowers_the_level_and_calm_raises_it_again(void **state)
{
    (void)state;
    static const struct {
        uint32_t seal_jobs, queue_permille;
        int seconds, level;
    } steps[] = {
        {0, 0, 300, 3},                                   /* never above the setting */
        {50, 0, 59, 3},                                   /* an hour's end */
        {50, 0, 1, 2},                                    /* a backlog that stays */
        {50, 0, 59, 2}, {50, 0, 1, 1},  {50, 0, 300, 1},  /* never below 1 */
        {0, 0, 119, 1}, {0, 0, 1, 2},   {0, 200, 300, 2}, /* the ring is not empty: not calm */
        {0, 0, 120, 3}, {7, 0, 30, 3},  {0, 0, 1, 3},     {7, 0, 59, 3}, /* counted anew */
        {0, 600, 1, 2},                 /* the ring fills: at once */
        {0, 600, 9, 2}, {0, 600, 1, 1}, /* but not more often than every ten seconds */
    };
    struct tuner tuner = {.zstd_level = 3, .blocks_max = 100};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct tune_figures figures = {.seal_jobs = steps[i].seal_jobs,
                                       .queue_permille = steps[i].queue_permille};
        assert_int_equal(run(&tuner, figures, steps[i].seconds).zstd_level, steps[i].level);
    }
}

static void blocks_follow_the_pool(void **state)
{
    (void)state;
    struct tuner tuner = {.zstd_level = 3, .blocks_max = 100};
    struct tune_figures figures = {.pool_bytes = 1000000, .pool_used_bytes = 400000, .blocks = 100};
    assert_int_equal(run(&tuner, figures, 30).blocks_max, 100); /* nothing is thrown out */
    figures.early_spools = 5;
    assert_int_equal(run(&tuner, figures, 10).blocks_max, 126); /* room: more may have one */
    assert_int_equal(run(&tuner, figures, 10).blocks_max, 126); /* none since */
    figures.early_spools = 6;
    assert_int_equal(run(&tuner, figures, 10).blocks_max, 126); /* not for want of blocks */
    for (int i = 0; i < 20; i++) {
        figures.blocks = tuner.blocks_max;
        figures.early_spools++;
        run(&tuner, figures, 10);
    }
    assert_int_equal(tuner.blocks_max, 1000); /* what the tables hold */
    figures.pool_used_bytes = 960000;
    figures.early_spools++;
    assert_int_equal(run(&tuner, figures, 10).blocks_max, 874); /* full: fewer, larger ones */
    for (int i = 0; i < 40; i++) {
        figures.early_spools++;
        run(&tuner, figures, 10);
    }
    assert_int_equal(tuner.blocks_max, 100); /* not below the setting */
}

static void a_slow_but_steady_stream_is_not_cut_into_a_file_an_event(void **state)
{
    (void)state;
    static const struct {
        uint32_t events;
        int64_t idle_close_s;
        uint32_t factor;
    } rows[] = {
        {0, 60, 1},   {1, 60, 1},   {2, 60, 16},    {4, 60, 8},          {16, 60, 2},
        {31, 60, 2},  {32, 60, 1},  {10000, 60, 1}, {UINT16_MAX, 60, 1}, {2, 900, 4},
        {2, 1800, 2}, {2, 3600, 1}, {2, 86400, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(tune_idle_factor(rows[i].events, rows[i].idle_close_s), rows[i].factor);
    }
}

static void a_block_is_as_large_as_the_last_one_was_filled(void **state)
{
    (void)state;
    static const struct {
        size_t used_bytes, fair_bytes;
        uint32_t class;
    } rows[] = {
        {0, 4096, 0},        {256, 4096, 0},  {257, 4096, 1},  {4096, 4096, 4},
        {60000, 1 << 20, 4}, {4096, 1024, 2}, {4096, 1023, 1}, {4096, 100, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(tune_block_class(rows[i].used_bytes, rows[i].fair_bytes), rows[i].class);
    }
}

static void row_groups_shrink_by_halves(void **state)
{
    (void)state;
    assert_int_equal(tune_row_group_next(50000), 25000);
    assert_int_equal(tune_row_group_next(4000), 2000);
    assert_int_equal(tune_row_group_next(3999), 0);
    assert_int_equal(tune_row_group_next(100), 0);
}

static void lines_are_read_back_or_refused(void **state)
{
    (void)state;
    struct str text = STR("zstd_level=2\nidle=8 gate-io trades A B\nzstd_level=0\nzstd_level=20\n"
                          "zstd_level=2x\nidle=0 binance trades X\nidle=65 binance trades X\n"
                          "later=1\n\nidle=2 binance");
    struct tune_line line;
    assert_int_equal(tune_line_next(&text, &line), 1);
    assert_int_equal(line.what, TUNE_ZSTD_LEVEL);
    assert_int_equal(line.value, 2);
    assert_int_equal(tune_line_next(&text, &line), 1);
    assert_int_equal(line.what, TUNE_IDLE);
    assert_int_equal(line.value, 8);
    assert_true(str_equal(line.venue, STR("gate-io")));
    assert_true(str_equal(line.channel, STR("trades")));
    assert_true(str_equal(line.symbol, STR("A B"))); /* symbols are the rest of the line */
    for (int i = 0; i < 7; i++) {
        assert_int_equal(tune_line_next(&text, &line), MD_EPARSE);
    }
    assert_int_equal(tune_line_next(&text, &line), 1);
    assert_int_equal(line.channel.bytes, 0);
    assert_int_equal(tune_line_next(&text, &line), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backlog_that_stays_lowers_the_level_and_calm_raises_it_again),
        cmocka_unit_test(blocks_follow_the_pool),
        cmocka_unit_test(a_slow_but_steady_stream_is_not_cut_into_a_file_an_event),
        cmocka_unit_test(a_block_is_as_large_as_the_last_one_was_filled),
        cmocka_unit_test(row_groups_shrink_by_halves),
        cmocka_unit_test(lines_are_read_back_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
