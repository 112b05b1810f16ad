/* shadow.c: a whole book is held against a REST snapshot at the same update id, whichever came
 * first, as far as both know; only a real difference is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "normalise_kit.h"

static struct kit *kit;

static int open_kit(void **state)
{
    struct normalise_config config = kit_config;
    (void)state;
    config.shadow_secs = 10;
    kit = kit_open(&config);
    return 0;
}

static int close_kit(void **state)
{
    (void)state;
    kit_close(kit);
    return 0;
}

static void ticks(int count)
{
    for (int i = 0; i < count; i++) {
        kit_tick(kit);
    }
}

#define CHECKS(checked, differ, left)                                    \
    do {                                                                 \
        struct normalise_stats stats = normalise_stats(kit->normalise);  \
        assert_int_equal(stats.book_checks[VENUE_BINANCE], checked);     \
        assert_int_equal(stats.book_differences[VENUE_BINANCE], differ); \
        assert_int_equal(stats.book_checks_left[VENUE_BINANCE], left);   \
    } while (0)

/* The book stands at 10: bids 100 (1), 99 (2), 98 (3); asks 101 (1), 102 (2), 103 (3). It is asked
 * for at the next turn. */
#define BOOK "b 100 1, b 99 2, b 98 3, a 101 1, a 102 2, a 103 3"
static void asked(void)
{
    kit_subscribe(kit, "\"a@depth@100ms\"");
    kit_delta(kit, "A", 10, 10, "b 98 3");
    kit_snapshot(kit, "A", 10, BOOK);
    kit_lines(kit);
    ticks(10);
    EXPECT(kit, "check A\n");
}

static void equal_book_is_counted_and_left_alone(void **state)
{
    (void)state;
    asked();
    kit_snapshot(kit, "A", 10, BOOK);
    EXPECT(kit, "");
    CHECKS(1, 0, 0);
    ticks(9);
    EXPECT(kit, "");
    ticks(1); /* once in ten seconds */
    EXPECT(kit, "check A\n");
}

static void book_that_differs_is_a_gap_row_and_made_anew(void **state)
{
    (void)state;
    asked();
    kit_snapshot(kit, "A", 10, "b 100 1, b 99 2.5, b 98 3, a 101 1, a 102 2, a 103 3");
    EXPECT(kit, "want A\n");
    CHECKS(1, 1, 0);
    kit_delta(kit, "A", 11, 11, "b 100 4");
    kit_snapshot(kit, "A", 11, "b 100 4, b 99 2.5, b 98 3, a 101 1, a 102 2, a 103 3");
    EXPECT(kit, "delta A 11-11\n"
                "snapshot A 11: b 100 4, b 99 2.5, b 98 3, a 101 1, a 102 2, a 103 3\n"
                "gap incremental_book_L2 A sequence --- missing - 0..10 resync\n");
}

static void level_that_one_lacks_is_a_difference(void **state)
{
    static const char *const wrong[] = {
        "b 100 1, b 98 3, a 101 1, a 102 2, a 103 3",                   /* ours has one more */
        "b 100 1, b 99 2, b 98.5 1, b 98 3, a 101 1, a 102 2, a 103 3", /* ... one less */
        "b 100 1, b 99 2, b 98 3, a 100.5 1, a 101 1, a 102 2, a 103 3",
        "b 100 1, b 99 2, b 98 3, a 102 2, a 103 3",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (i > 0) {
            close_kit(state);
            open_kit(state);
        }
        asked();
        kit_snapshot(kit, "A", 10, wrong[i]);
        CHECKS(1, 1, 0);
    }
}

/* The snapshot is older than what the stream has said meanwhile. */
static void lagging_snapshot_is_brought_up_by_what_was_kept(void **state)
{
    (void)state;
    asked();
    kit_delta(kit, "A", 11, 12, "b 100 0, a 101 5");
    kit_delta(kit, "A", 13, 15, "b 99 7");
    kit_delta(kit, "A", 16, 16, "a 102 0");
    kit_lines(kit);
    /* at 14, within 13-15: whether 99 has changed by then does not matter */
    kit_snapshot(kit, "A", 14, "b 99 6, b 98 3, a 101 5, a 102 2, a 103 3");
    EXPECT(kit, "");
    CHECKS(1, 0, 0);
}

static void lagging_snapshot_shows_what_was_wrong_before_it(void **state)
{
    (void)state;
    asked();
    kit_delta(kit, "A", 11, 12, "b 100 9"); /* the venue meant 8 */
    kit_delta(kit, "A", 13, 15, "b 99 7");
    kit_lines(kit);
    kit_snapshot(kit, "A", 12, "b 100 8, b 99 2, b 98 3, a 101 1, a 102 2, a 103 3");
    EXPECT(kit, "want A\n");
    CHECKS(1, 1, 0);
}

/* The snapshot is ahead of the stream: it is held. */
static void leading_snapshot_waits_for_the_stream(void **state)
{
    (void)state;
    asked();
    kit_snapshot(kit, "A", 14, "b 99 7, b 98 3, a 101 5, a 102 2, a 103 3");
    CHECKS(0, 0, 0);
    kit_delta(kit, "A", 11, 12, "b 100 0, a 101 5");
    CHECKS(0, 0, 0);
    kit_delta(kit, "A", 13, 15, "b 99 7, a 103 4"); /* goes past it */
    CHECKS(1, 0, 0);
    ticks(10);
    kit_lines(kit);
    kit_snapshot(kit, "A", 17, "b 99 7, b 98 3, a 101 5, a 102 2, a 103 5");
    kit_delta(kit, "A", 16, 16, "b 98 3");
    CHECKS(1, 0, 0);
    kit_delta(kit, "A", 17, 17, "b 98 3"); /* stands at it: 103 should be 5 */
    EXPECT(kit, "delta A 16-16\ndelta A 17-17\nwant A\n");
    CHECKS(2, 1, 0);
}

/* A snapshot of the best levels says nothing of what is deeper. */
static void deeper_book_than_the_snapshot_is_compared_to_its_end(void **state)
{
    (void)state;
    asked();
    kit_snapshot(kit, "A", 10, "b 100 1, b 99 2, a 101 1");
    CHECKS(1, 0, 0);
    ticks(10);
    kit_snapshot(kit, "A", 10, "b 100 1, b 99 1, a 101 1");
    CHECKS(2, 1, 0);
}

/* What was beyond the snapshot that ours began with is not known to us. */
static void deeper_snapshot_than_what_ours_began_with_is_compared_to_where_that_ended(void **state)
{
    (void)state;
    asked();
    kit_snapshot(kit, "A", 10, BOOK ", b 97 4, b 90 1, a 104 4");
    CHECKS(1, 0, 0);
    ticks(10);
    kit_lines(kit);
    kit_delta(kit, "A", 11, 11, "b 97.5 2"); /* seen, but not all of what is there */
    kit_snapshot(kit, "A", 11, BOOK ", b 97.7 4, b 97.5 2, b 90 1");
    CHECKS(2, 0, 0);
}

static void check_that_leads_nowhere_is_left(void **state)
{
    (void)state;
    asked();
    kit_snapshot(kit, "A", 9, BOOK); /* of before it was asked for */
    CHECKS(0, 0, 1);
    ticks(10);
    EXPECT(kit, "check A\n");
    ticks(30); /* no answer */
    CHECKS(0, 0, 2);
    EXPECT(kit, "check A\n");
    kit_delta(kit, "A", 20, 20, "b 100 3"); /* a hole: the book is lost */
    CHECKS(0, 0, 3);
    EXPECT(kit, "delta A 20-20\nwant A\n");
    kit_snapshot(kit, "A", 20, BOOK); /* seeds it */
    CHECKS(0, 0, 3);
    assert_int_equal(normalise_stats(kit->normalise).books, 1);
}

/* Gate's books come in the stream: what REST says of one that was lost meanwhile seeds none. */
static void body_of_a_check_seeds_no_book_that_comes_in_band(void **state)
{
    (void)state;
    kit->venue = VENUE_GATE;
    kit_full(kit, "A", 10, BOOK);
    ticks(20);
    kit_lines(kit);
    kit_delta(kit, "A", 20, 20, "b 100 3"); /* a hole */
    kit_snapshot(kit, "A", 20, BOOK);
    assert_int_equal(normalise_stats(kit->normalise).books, 0);
    assert_int_equal(normalise_stats(kit->normalise).snapshots_ignored, 1);
}

static void more_than_can_be_kept_ends_the_check(void **state)
{
    (void)state;
    asked();
    for (int64_t id = 11; id <= 11 + 512; id++) {
        kit_delta(kit, "A", id, id, "b 98 3");
        kit_lines(kit);
    }
    CHECKS(0, 0, 1);
}

static void books_take_turns(void **state)
{
    (void)state;
    static const char *const names[] = {"A", "B", "C"};
    for (int i = 0; i < 3; i++) {
        kit_delta(kit, names[i], 10, 10, "b 98 3");
        kit_snapshot(kit, names[i], 10, BOOK);
    }
    kit_lines(kit);
    uint32_t asked_of[3] = {0};
    for (int second = 0; second < 100; second++) {
        kit_tick(kit);
        const char *lines = kit_lines(kit);
        for (int i = 0; i < 3; i++) {
            char line[16];
            snprintf(line, sizeof line, "check %s\n", names[i]);
            if (strcmp(lines, line) == 0) {
                asked_of[i]++;
                kit_snapshot(kit, names[i], 10, BOOK);
                lines = "";
            }
        }
        assert_string_equal(lines, ""); /* one at a time */
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(asked_of[i], 10);
    }
    CHECKS(30, 0, 0);
}

static void checkpoint_drops_what_is_under_way(void **state)
{
    (void)state;
    asked();
    normalise_shadow_reset(kit->normalise);
    kit_snapshot(kit, "A", 10, "b 100 9");
    EXPECT(kit, "");
    CHECKS(0, 0, 0);
}

#define KIT_TEST(name) cmocka_unit_test_setup_teardown(name, open_kit, close_kit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(equal_book_is_counted_and_left_alone),
        KIT_TEST(book_that_differs_is_a_gap_row_and_made_anew),
        KIT_TEST(level_that_one_lacks_is_a_difference),
        KIT_TEST(lagging_snapshot_is_brought_up_by_what_was_kept),
        KIT_TEST(lagging_snapshot_shows_what_was_wrong_before_it),
        KIT_TEST(leading_snapshot_waits_for_the_stream),
        KIT_TEST(deeper_book_than_the_snapshot_is_compared_to_its_end),
        KIT_TEST(deeper_snapshot_than_what_ours_began_with_is_compared_to_where_that_ended),
        KIT_TEST(check_that_leads_nowhere_is_left),
        KIT_TEST(body_of_a_check_seeds_no_book_that_comes_in_band),
        KIT_TEST(more_than_can_be_kept_ends_the_check),
        KIT_TEST(books_take_turns),
        KIT_TEST(checkpoint_drops_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
