/* Holes in trades: what is asked for, what lands, and the rows that tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "normalise_kit.h"

static struct kit *kit;

static struct normalise_config config_of(void)
{
    struct normalise_config config = kit_config;
    config.backfill_enabled = true;
    config.backfill_trades_max = 100;
    config.backfill_age_ns = 3600 * NS_PER_S;
    config.open_gaps_max = 40;
    return config;
}

static int open_kit(void **state)
{
    (void)state;
    struct normalise_config config = config_of();
    kit = kit_open(&config);
    return 0;
}

static int open_gate(void **state)
{
    open_kit(state);
    kit->venue = VENUE_GATE; /* growing ids, newest first */
    return 0;
}

static int open_kucoin(void **state)
{
    open_kit(state);
    kit->venue = VENUE_KUCOIN; /* growing ids, the last hundred, oldest first */
    return 0;
}

static int open_kucoin_futures(void **state)
{
    open_kit(state);
    kit->venue = VENUE_KUCOIN_FUTURES; /* the last hundred, newest first */
    return 0;
}

static int close_kit(void **state)
{
    (void)state;
    kit_close(kit);
    return 0;
}

#define PAGE(from, ...)                                                          \
    do {                                                                         \
        int64_t ids_[] = {__VA_ARGS__};                                          \
        kit_page(kit, "A", 0, (from), ids_, sizeof ids_ / sizeof ids_[0], true); \
    } while (0)

static void lose_connection(void)
{
    kit_record(kit, RECORD_CLOSE, "1006 reset", "");
    kit->conn++;
}

static void hole_of_three(void)
{
    kit_trade(kit, "A", 7);
    kit_trade(kit, "A", 11);
    EXPECT(kit, "trade A 7\ntrade A 11\n");
    kit_tick(kit);
    EXPECT(kit, "trades? A 8-10\n");
}

/* ---- counted ids */

static void hole_is_asked_for_and_told_when_full(void **state)
{
    (void)state;
    hole_of_three();
    PAGE(8, 8, 9, 10);
    EXPECT(kit, "trade A 8 rest\ntrade A 9 rest\ntrade A 10 rest\n"
                "gap trades A sequence 8-10 missing 3 0..0 backfill\n");
    struct normalise_stats stats = normalise_stats(kit->normalise);
    assert_int_equal(stats.trades_backfilled, 3);
    assert_int_equal(stats.holes_filled, 1);
    assert_int_equal(stats.open_gaps, 0);
    PAGE(8, 8, 9, 10); /* the same again */
    kit_trade(kit, "A", 12);
    EXPECT(kit, "trade A 12\n");
}

static void pages_go_on_where_the_last_one_ended(void **state)
{
    (void)state;
    hole_of_three();
    PAGE(8, 8); /* the venue's list trails the stream */
    EXPECT(kit, "trade A 8 rest\n");
    kit_tick(kit);
    EXPECT(kit, "trades? A 9-10\n");
    kit_page(kit, "A", 0, 9, NULL, 0, true);
    EXPECT(kit, "");
    kit_tick(kit); /* the pause has doubled since nothing came */
    EXPECT(kit, "trades? A 9-10\n");
    kit_tick(kit);
    EXPECT(kit, "");
    kit_tick(kit);
    EXPECT(kit, "trades? A 9-10\n");
    PAGE(9, 9, 10);
    EXPECT(kit, "trade A 9 rest\ntrade A 10 rest\n"
                "gap trades A sequence 8-10 missing 3 0..0 backfill\n");
}

/* REST refuses, or fills other holes of the symbol first: when it is well again the hole is not
 * forgotten for minutes. A list that trails the stream is asked ever more seldom. */
static void what_nobody_answers_is_asked_for_each_half_minute(void **state)
{
    (void)state;
    hole_of_three();
    for (int s = 0; s < 600; s++) {
        kit_tick(kit);
    }
    uint64_t unanswered = normalise_stats(kit->normalise).trades_wanted;
    assert_in_range(unanswered, 20, 30);
    uint64_t asked = unanswered;
    kit_page(kit, "A", 0, 8, NULL, 0, true);
    for (int s = 0; s < 600; s++) {
        if (normalise_stats(kit->normalise).trades_wanted > asked) {
            asked = normalise_stats(kit->normalise).trades_wanted;
            kit_page(kit, "A", 0, 8, NULL, 0, true);
        }
        kit_tick(kit);
    }
    assert_in_range(normalise_stats(kit->normalise).trades_wanted - unanswered, 0, 4);
}

static void what_a_page_passes_over_is_left(void **state)
{
    (void)state;
    hole_of_three();
    PAGE(8, 8, 10, 11, 12);
    EXPECT(kit, "trade A 8 rest\ngap trades A sequence 8-8 missing 1 0..0 backfill\n"
                "gap trades A sequence 9-9 missing 1 0..0 none\ntrade A 10 rest\n"
                "gap trades A sequence 10-10 missing 1 0..0 backfill\n");
    assert_int_equal(normalise_stats(kit->normalise).open_gaps, 0);
}

static void page_of_later_trades_says_they_are_not_to_be_had(void **state)
{
    (void)state;
    hole_of_three();
    PAGE(8, 20, 21);
    EXPECT(kit, "gap trades A sequence 8-10 missing 3 0..0 none\n");
}

static void page_that_begins_inside_another_hole_does_not_touch_it(void **state)
{
    (void)state;
    kit_trade(kit, "A", 1);
    kit_trade(kit, "A", 5);
    kit_trade(kit, "A", 8);
    kit_lines(kit);
    PAGE(6, 6, 7, 8);
    EXPECT(kit, "trade A 6 rest\ntrade A 7 rest\n"
                "gap trades A sequence 6-7 missing 2 0..0 backfill\n");
    PAGE(3, 3, 4);
    EXPECT(kit, "");
    PAGE(2, 2, 3, 4, 5, 6);
    EXPECT(kit, "trade A 2 rest\ntrade A 3 rest\ntrade A 4 rest\n"
                "gap trades A sequence 2-4 missing 3 0..0 backfill\n");
}

static void cut_and_disordered_pages_land_each_trade_once(void **state)
{
    (void)state;
    hole_of_three();
    int64_t ids[] = {8, 8, 9, 8};
    kit_page(kit, "A", 0, 8, ids, 4, false);
    EXPECT(kit, "trade A 8 rest\ntrade A 9 rest\n");
    PAGE(8, 8, 9, 10);
    EXPECT(kit, "trade A 10 rest\ngap trades A sequence 8-10 missing 3 0..0 backfill\n");
}

static void aggregated_trades_have_holes_of_their_own(void **state)
{
    (void)state;
    kit_trade(kit, "A", 7);
    kit_aggregate(kit, "A", 1);
    kit_trade(kit, "A", 9);
    kit_aggregate(kit, "A", 3);
    kit_lines(kit);
    kit_tick(kit);
    EXPECT(kit, "trades? A 8-8\nagg? A 2-2\n");
    int64_t id = 2;
    kit_page(kit, "A", TRADE_AGGREGATE, 2, &id, 1, true);
    EXPECT(kit, "agg A 2 rest\ngap trades A sequence 2-2 missing 1 0..0 backfill\n");
    PAGE(8, 8);
    EXPECT(kit, "trade A 8 rest\ngap trades A sequence 8-8 missing 1 0..0 backfill\n");
}

static void late_trades_of_the_stream_are_no_gap(void **state)
{
    (void)state;
    kit_trade(kit, "A", 7);
    kit_trade(kit, "A", 9);
    kit_trade(kit, "A", 8); /* swapped */
    kit_trade(kit, "A", 9);
    EXPECT(kit, "trade A 7\ntrade A 9\ntrade A 8\n");
    struct normalise_stats stats = normalise_stats(kit->normalise);
    assert_int_equal(stats.gaps, 0);
    assert_int_equal(stats.trades_late, 1);
    assert_int_equal(stats.duplicates, 1);
    assert_int_equal(stats.open_gaps, 0);
}

static void late_trade_in_the_middle_leaves_two_holes(void **state)
{
    (void)state;
    kit_trade(kit, "A", 1);
    kit_trade(kit, "A", 10);
    PAGE(2, 2);
    kit_trade(kit, "A", 5);
    kit_trade(kit, "A", 9);
    kit_trade(kit, "A", 3);
    EXPECT(kit, "trade A 1\ntrade A 10\ntrade A 2 rest\ntrade A 5\ntrade A 9\n"
                "gap trades A sequence 2-2 missing 1 0..0 backfill\ntrade A 3\n");
    PAGE(4, 4, 5, 6, 7, 8, 9);
    EXPECT(kit, "trade A 4 rest\ngap trades A sequence 4-4 missing 1 0..0 backfill\n"
                "trade A 6 rest\ntrade A 7 rest\ntrade A 8 rest\n"
                "gap trades A sequence 6-8 missing 3 0..0 backfill\n");
}

static void old_holes_are_left(void **state)
{
    (void)state;
    hole_of_three();
    PAGE(8, 8);
    kit_lines(kit);
    kit->now_s += 3600;
    kit_tick(kit);
    EXPECT(kit, "gap trades A sequence 8-8 missing 1 0..0 backfill\n"
                "gap trades A sequence 9-10 missing 2 0..0 none\n");
}

static void of_a_large_hole_the_newest_part_is_asked_for(void **state)
{
    (void)state;
    kit_trade(kit, "A", 1);
    kit_trade(kit, "A", 1002);
    EXPECT(kit, "trade A 1\ngap trades A sequence 2-901 missing 900 0..0 none\ntrade A 1002\n");
    kit_tick(kit);
    EXPECT(kit, "trades? A 902-1001\n");
}

static void seventeenth_hole_ends_the_oldest(void **state)
{
    (void)state;
    for (int i = 0; i <= 17; i++) {
        kit_trade(kit, "A", 1 + 2 * i);
    }
    const char *lines = kit_lines(kit);
    assert_non_null(strstr(lines, "gap trades A sequence 2-2 missing 1 0..0 none\ntrade A 35\n"));
    assert_int_equal(normalise_stats(kit->normalise).open_gaps, 16);
}

static void crash_is_filled_by_the_next_run(void **state)
{
    (void)state;
    kit_trade(kit, "A", 7);
    kit->now_s = 5;
    kit_record(kit, RECORD_START, "r1", "");
    kit->conn++;
    kit->now_s = 9;
    kit_trade(kit, "A", 9);
    kit_tick(kit);
    EXPECT(kit, "trade A 7\ntrade A 9\ntrades? A 8-8\n");
    PAGE(8, 8);
    EXPECT(kit, "trade A 8 rest\ngap trades A crash 8-8 missing 1 0..9 backfill\n");
}

static void stop_tells_what_is_open_and_the_next_run_goes_on(void **state)
{
    (void)state;
    hole_of_three();
    PAGE(8, 8);
    kit_lines(kit);
    kit_record(kit, RECORD_STOP, "", "");
    EXPECT(kit, "gap trades A sequence 8-8 missing 1 0..0 backfill\n"
                "gap trades A sequence 9-10 missing 2 0..0 none\n");
    kit->now_s += 60;
    kit_record(kit, RECORD_START, "r1", "");
    kit->conn++;
    kit_tick(kit);
    EXPECT(kit, "trades? A 9-10\n");
    PAGE(9, 9, 10);
    EXPECT(kit, "trade A 9 rest\ntrade A 10 rest\n"
                "gap trades A sequence 9-10 missing 2 0..0 backfill\n");
}

static void new_sequence_leaves_the_holes_of_the_old_one(void **state)
{
    (void)state;
    kit_trade(kit, "A", 5000000);
    kit_trade(kit, "A", 5000002);
    kit_trade(kit, "A", 1);
    EXPECT(kit, "trade A 5000000\ntrade A 5000002\n"
                "gap trades A sequence 5000001-5000001 missing 1 0..0 none\n"
                "gap trades A sequence --- missing - 0..0 none\ntrade A 1\n");
}

static void rows_of_no_hole_and_of_no_stream_are_counted(void **state)
{
    (void)state;
    PAGE(8, 8, 9);
    kit_trade(kit, "A", 9);
    PAGE(8, 8, 9);
    EXPECT(kit, "trade A 9\n");
    assert_int_equal(normalise_stats(kit->normalise).trades_not_wanted, 4);
}

static void switched_off_holes_are_told_at_once(void **state)
{
    (void)state;
    kit_close(kit);
    kit = kit_open(NULL);
    kit_trade(kit, "A", 7);
    kit_trade(kit, "A", 9);
    PAGE(8, 8);
    EXPECT(kit, "trade A 7\ngap trades A sequence 8-8 missing 1 0..0 none\ntrade A 9\n");
}

/* ---- growing ids */

static void growing_ids_show_no_hole_but_doubles(void **state)
{
    (void)state;
    kit_trade(kit, "A", 10);
    kit_trade(kit, "A", 17);
    kit->conn = 2;
    kit_trade(kit, "A", 10);
    kit_trade(kit, "A", 17);
    kit_trade(kit, "A", 19);
    kit_trade(kit, "A", 18); /* swapped on one connection */
    kit_trade(kit, "A", 19);
    EXPECT(kit, "trade A 10\ntrade A 17\ntrade A 19\ntrade A 18\n");
    assert_int_equal(normalise_stats(kit->normalise).duplicates, 3);
}

static void interrupted(void)
{
    kit_trade(kit, "A", 10);
    lose_connection();
    kit->now_s = 30;
    kit_trade(kit, "A", 50);
    EXPECT(kit, "trade A 10\ntrade A 50\n");
    kit_tick(kit);
    EXPECT(kit, "trades? A 11-49\n");
}

static void newest_first_is_full_when_it_reaches_what_was_before(void **state)
{
    (void)state;
    interrupted();
    PAGE(ID_NONE, 60, 50, 44, 31);
    EXPECT(kit, "trade A 44 rest\ntrade A 31 rest\n");
    kit_tick(kit);
    EXPECT(kit, "trades? A 11-30\n");
    PAGE(ID_NONE, 44, 31, 20, 10, 3);
    EXPECT(kit, "trade A 20 rest\ngap trades A reconnect --- missing 3 0..30 backfill\n");
}

static void newest_first_without_the_newest_waits(void **state)
{
    (void)state;
    interrupted();
    PAGE(ID_NONE, 44, 31, 20, 10, 3); /* nothing says that none is between 44 and 50 */
    EXPECT(kit, "");
    PAGE(ID_NONE, 50, 47, 44, 31, 20, 10);
    EXPECT(kit, "trade A 47 rest\ntrade A 44 rest\ntrade A 31 rest\ntrade A 20 rest\n"
                "gap trades A reconnect --- missing 4 0..30 backfill\n");
}

static void interruption_without_trades_is_told_as_such(void **state)
{
    (void)state;
    interrupted();
    PAGE(ID_NONE, 50, 10);
    EXPECT(kit, "gap trades A reconnect --- missing 0 0..30 backfill\n");
}

static void interruption_between_neighbours_missed_nothing(void **state)
{
    (void)state;
    kit_trade(kit, "A", 10);
    lose_connection();
    kit->now_s = 30;
    kit_trade(kit, "A", 11);
    EXPECT(kit, "trade A 10\ngap trades A reconnect --- missing 0 0..30 overlap\ntrade A 11\n");
}

static void last_hundred_oldest_first(void **state)
{
    (void)state;
    interrupted();
    PAGE(ID_NONE, 3, 10, 20, 31);
    EXPECT(kit, "trade A 20 rest\ntrade A 31 rest\n");
    PAGE(ID_NONE, 10, 20, 31, 44, 50);
    EXPECT(kit, "trade A 44 rest\ngap trades A reconnect --- missing 3 0..30 backfill\n");
}

static void last_hundred_that_do_not_reach_back_leave_the_hole_open(void **state)
{
    (void)state;
    interrupted();
    PAGE(ID_NONE, 31, 44, 50, 60);
    EXPECT(kit, "trade A 31 rest\ntrade A 44 rest\n"
                "gap trades A reconnect --- missing - 0..30 none\n");
    assert_int_equal(normalise_stats(kit->normalise).holes_left, 1);
}

static void last_hundred_newest_first_that_do_not_reach_back(void **state)
{
    (void)state;
    interrupted();
    PAGE(ID_NONE, 60, 50, 44, 31);
    EXPECT(kit, "trade A 44 rest\ntrade A 31 rest\n"
                "gap trades A reconnect --- missing - 0..30 none\n");
}

/* ---- the whole: whatever is lost, late, doubled, cut and asked twice, each trade lands once */

#define IDS 400

struct world {
    uint64_t random;
    bool lost[IDS];
    int32_t times[IDS];
    bool told[IDS];
};
static struct world world;

static uint32_t pick(uint32_t below)
{
    world.random = world.random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((world.random >> 33) % below);
}

static void note(const char *lines)
{
    long long id, to;
    char word[16];
    while (*lines != 0) {
        if (sscanf(lines, "trade A %lld", &id) == 1) {
            world.times[id]++;
        } else if (sscanf(lines, "gap trades A %*s %lld-%lld missing %*s %*s %15s", &id, &to,
                          word) == 3 &&
                   strcmp(word, "none") == 0) {
            for (; id <= to; id++) {
                world.told[id] = true;
            }
        }
        lines = strchr(lines, '\n') + 1;
    }
}

static void copy_part(void *context, struct str part)
{
    struct kit *other = context;
    assert_int_equal(normalise_restore(other->normalise, part), 0);
}

/* The object gives way to one made from its checkpoint. */
static void be_reborn(void)
{
    struct normalise_config config = config_of();
    struct kit *other = kit_open(&config);
    normalise_checkpoint(kit->normalise, NORMALISE_PART_BYTES_MIN, copy_part, other);
    other->now_s = kit->now_s;
    other->seq = kit->seq;
    other->conn = kit->conn;
    kit_close(kit);
    kit = other;
}

static void rest_answers(int64_t newest)
{
    int64_t from = 1 + pick((uint32_t)newest);
    int64_t ids[40];
    uint32_t count = 0;
    while (count < 1 + pick(40) && from + count <= newest - pick(3)) {
        ids[count] = from + count;
        count++;
    }
    kit_page(kit, "A", 0, from, ids, count, pick(4) > 0);
    if (pick(3) == 0) {
        kit_page(kit, "A", 0, from, ids, count, true);
    }
}

static void each_trade_lands_once_or_is_told(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        world = (struct world){.random = seed * 7919};
        for (int64_t id = 1; id < IDS; id++) {
            world.lost[id] = id > 1 && id < IDS - 1 && pick(6) == 0;
            if (!world.lost[id]) {
                kit_trade(kit, "A", id);
            }
            if (id > 8 && pick(9) == 0) { /* late, or a double */
                kit_trade(kit, "A", id - 1 - pick(7));
            }
            if (pick(5) == 0) {
                rest_answers(id);
            }
            if (pick(12) == 0) {
                kit_tick(kit);
            }
            note(kit_lines(kit));
            if (pick(60) == 0) {
                be_reborn();
            }
        }
        kit_record(kit, RECORD_STOP, "", "");
        note(kit_lines(kit));
        for (int64_t id = 1; id < IDS; id++) {
            if (world.times[id] > 1 || (world.times[id] == 0) != world.told[id]) {
                print_error("seed %llu: id %lld: landed %d times, told as missing: %d\n",
                            (unsigned long long)seed, (long long)id, world.times[id],
                            world.told[id]);
                fail();
            }
        }
        close_kit(state);
        open_kit(state);
    }
}

#define BINANCE_TEST(name) cmocka_unit_test_setup_teardown(name, open_kit, close_kit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BINANCE_TEST(hole_is_asked_for_and_told_when_full),
        BINANCE_TEST(what_nobody_answers_is_asked_for_each_half_minute),
        BINANCE_TEST(pages_go_on_where_the_last_one_ended),
        BINANCE_TEST(what_a_page_passes_over_is_left),
        BINANCE_TEST(page_of_later_trades_says_they_are_not_to_be_had),
        BINANCE_TEST(page_that_begins_inside_another_hole_does_not_touch_it),
        BINANCE_TEST(cut_and_disordered_pages_land_each_trade_once),
        BINANCE_TEST(aggregated_trades_have_holes_of_their_own),
        BINANCE_TEST(late_trades_of_the_stream_are_no_gap),
        BINANCE_TEST(late_trade_in_the_middle_leaves_two_holes),
        BINANCE_TEST(old_holes_are_left),
        BINANCE_TEST(of_a_large_hole_the_newest_part_is_asked_for),
        BINANCE_TEST(seventeenth_hole_ends_the_oldest),
        BINANCE_TEST(crash_is_filled_by_the_next_run),
        BINANCE_TEST(stop_tells_what_is_open_and_the_next_run_goes_on),
        BINANCE_TEST(new_sequence_leaves_the_holes_of_the_old_one),
        BINANCE_TEST(rows_of_no_hole_and_of_no_stream_are_counted),
        BINANCE_TEST(switched_off_holes_are_told_at_once),
        cmocka_unit_test_setup_teardown(growing_ids_show_no_hole_but_doubles, open_gate, close_kit),
        cmocka_unit_test_setup_teardown(newest_first_is_full_when_it_reaches_what_was_before,
                                        open_gate, close_kit),
        cmocka_unit_test_setup_teardown(newest_first_without_the_newest_waits, open_gate,
                                        close_kit),
        cmocka_unit_test_setup_teardown(interruption_without_trades_is_told_as_such, open_gate,
                                        close_kit),
        cmocka_unit_test_setup_teardown(interruption_between_neighbours_missed_nothing, open_gate,
                                        close_kit),
        cmocka_unit_test_setup_teardown(last_hundred_oldest_first, open_kucoin, close_kit),
        cmocka_unit_test_setup_teardown(last_hundred_that_do_not_reach_back_leave_the_hole_open,
                                        open_kucoin, close_kit),
        cmocka_unit_test_setup_teardown(last_hundred_newest_first_that_do_not_reach_back,
                                        open_kucoin_futures, close_kit),
        BINANCE_TEST(each_trade_lands_once_or_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
