/* Full books that the stream itself brings (Gate and KuCoin obu). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "normalise/book.h"
#include "normalise_kit.h"

static struct kit *kit;

static int open_kit(void **state)
{
    (void)state;
    kit = kit_open(NULL);
    return 0;
}

static int close_kit(void **state)
{
    (void)state;
    normalise_check(kit->normalise);
    kit_close(kit);
    return 0;
}

static void first_full_book_lands_as_it_is_and_is_followed(void **state)
{
    (void)state;
    kit_full(kit, "A", 10, "b 5 1, a 6 2");
    kit_delta(kit, "A", 11, 12, "b 5 0");
    kit_delta(kit, "A", 13, 13, ""); /* ids only: nothing changed, the sequence goes on */
    kit_delta(kit, "A", 14, 14, "b 4 1");
    EXPECT(kit, "snapshot A 10: b 5 1, a 6 2\ndelta A 11-12\ndelta A 13-13\n"
                "delta A 14-14\n");
    assert_int_equal(normalise_stats(kit->normalise).books, 1);
    assert_int_equal(normalise_stats(kit->normalise).gaps, 0);
}

static void full_book_after_a_hole_mends_it(void **state)
{
    (void)state;
    kit_full(kit, "A", 10, "b 5 1");
    kit_delta(kit, "A", 12, 13, "b 5 2");
    EXPECT(kit, "snapshot A 10: b 5 1\ndelta A 12-13\nwant A\n");
    kit->now_s = 3;
    kit_full(kit, "A", 20, "b 7 1");
    kit_delta(kit, "A", 21, 21, "b 7 0");
    EXPECT(kit, "snapshot A 20: b 7 1\n"
                "gap incremental_book_L2 A sequence 11-11 missing 1 0..3 resync\n"
                "gap incremental_book_L2 A sequence 14-20 missing 7 0..3 resync\n"
                "delta A 21-21\n");
}

static void newer_full_book_replaces_a_whole_one(void **state)
{
    (void)state;
    kit_full(kit, "A", 10, "b 5 1, a 6 2");
    kit_lines(kit);
    kit->now_s = 4;
    kit_full(kit, "A", 15, "b 5.5 1");
    EXPECT(kit, "snapshot A 15: b 5.5 1\n"
                "gap incremental_book_L2 A sequence 11-15 missing 5 0..4 resync\n");
    assert_int_equal(
        book_level_count(normalise_book(kit->normalise, VENUE_BINANCE, STR("A")), BOOK_ASK), 0);
}

static void full_book_of_what_was_said_is_a_duplicate(void **state)
{
    (void)state;
    kit_full(kit, "A", 10, "b 5 1");
    kit_delta(kit, "A", 11, 14, "b 5 2");
    kit_lines(kit);
    kit->conn = 2; /* a connection that replaces the first, both open */
    kit_full(kit, "A", 12, "b 5 1.5");
    kit_delta(kit, "A", 13, 14, "b 5 2");
    kit_delta(kit, "A", 15, 15, "b 5 3");
    kit->conn = 1;
    kit_delta(kit, "A", 15, 15, "b 5 3");
    EXPECT(kit, "delta A 15-15\n");
    assert_int_equal(normalise_stats(kit->normalise).duplicates, 3);
    assert_int_equal(normalise_stats(kit->normalise).gaps, 0);
}

static void replacing_connection_that_is_ahead_waits_for_the_older(void **state)
{
    (void)state;
    kit_full(kit, "A", 10, "b 5 1");
    kit_lines(kit);
    kit->conn = 2;
    kit_full(kit, "A", 12, "b 5 2"); /* what it holds is on its way */
    kit_delta(kit, "A", 13, 13, "b 5 3");
    kit->conn = 1;
    kit_delta(kit, "A", 11, 12, "b 5 2");
    kit_delta(kit, "A", 13, 13, "b 5 3");
    kit->conn = 2;
    kit_delta(kit, "A", 14, 14, "b 5 4");
    kit->conn = 1;
    kit_delta(kit, "A", 15, 16, "b 5 6"); /* now this one is the faster */
    kit_record(kit, RECORD_CLOSE, "1000", "");
    kit->conn = 2;
    kit_delta(kit, "A", 15, 15, "b 5 5");
    kit_delta(kit, "A", 16, 17, "b 5 7");
    EXPECT(kit, "delta A 11-12\ndelta A 13-13\ndelta A 14-14\ndelta A 15-16\ndelta A 16-17\n");
    assert_int_equal(normalise_stats(kit->normalise).ahead, 2);
    assert_int_equal(normalise_stats(kit->normalise).gaps, 0);
}

/* Half open: it says nothing any more and is not closed either. */
static void replacing_connection_does_not_wait_for_a_silent_one(void **state)
{
    (void)state;
    kit_full(kit, "A", 10, "b 5 1");
    kit_lines(kit);
    kit->now_s = 2;
    kit->conn = 2;
    kit_full(kit, "A", 12, "b 5 2");
    kit_delta(kit, "A", 13, 13, "b 5 3");
    EXPECT(kit, "snapshot A 12: b 5 2\n"
                "gap incremental_book_L2 A reconnect 11-12 missing 2 0..2 resync\n"
                "delta A 13-13\n");
}

/* What the older connection still had when it closed is missing, and said to be. */
static void replacing_connection_that_was_never_met_says_what_it_jumped(void **state)
{
    (void)state;
    kit_full(kit, "A", 10, "b 5 1");
    kit_lines(kit);
    kit->conn = 2;
    kit_full(kit, "A", 12, "b 5 2");
    kit->conn = 1;
    kit_record(kit, RECORD_CLOSE, "1000", "");
    kit->conn = 2;
    kit_delta(kit, "A", 13, 13, "b 5 3");
    EXPECT(kit, "delta A 13-13\nwant A\n");
    kit->now_s = 1;
    kit_full(kit, "A", 14, "b 5 4");
    EXPECT(kit, "snapshot A 14: b 5 4\n"
                "gap incremental_book_L2 A sequence 11-12 missing 2 0..1 resync\n"
                "gap incremental_book_L2 A sequence 14-14 missing 1 0..1 resync\n");
}

static void full_book_after_a_reconnect_tells_what_was_missed(void **state)
{
    (void)state;
    kit_subscribe(kit, "\"a@depth@100ms\"");
    kit_full(kit, "A", 10, "b 5 1");
    kit_lines(kit);
    kit->now_s = 2;
    kit_record(kit, RECORD_CLOSE, "1006", "");
    kit->conn = 2;
    kit->now_s = 5;
    kit_full(kit, "A", 30, "b 9 1");
    EXPECT(kit, "snapshot A 30: b 9 1\n"
                "gap incremental_book_L2 A reconnect 11-30 missing 20 0..5 resync\n");
    kit_record(kit, RECORD_CLOSE, "1006", "");
    kit->conn = 3;
    kit_full(kit, "A", 30, "b 9 1"); /* nothing happened meanwhile */
    kit_delta(kit, "A", 31, 31, "b 9 2");
    EXPECT(kit, "gap incremental_book_L2 A reconnect --- missing 0 5..5 overlap\n"
                "delta A 31-31\n");
}

static void subscribing_again_is_a_stall_that_the_full_book_mends(void **state)
{
    (void)state;
    kit_subscribe(kit, "\"a@depth@100ms\"");
    kit_full(kit, "A", 10, "b 5 1");
    kit_lines(kit);
    kit_record(kit, RECORD_SENT, "",
               "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"a@depth@100ms\"],\"id\":1}");
    kit->now_s = 1;
    kit_subscribe(kit, "\"a@depth@100ms\"");
    kit_lines(kit);
    kit_full(kit, "A", 12, "b 5 2");
    EXPECT(kit, "snapshot A 12: b 5 2\n"
                "gap incremental_book_L2 A stall 11-12 missing 2 0..1 resync\n");
}

static void sequence_that_began_anew_is_taken(void **state)
{
    (void)state;
    kit_full(kit, "A", 900000000, "b 5 1");
    kit_lines(kit);
    kit_full(kit, "A", 3, "b 4 1");
    kit_delta(kit, "A", 4, 4, "b 4 2");
    EXPECT(kit, "snapshot A 3: b 4 1\n"
                "gap incremental_book_L2 A sequence --- missing - 0..0 resync\n"
                "delta A 4-4\n");
}

static void deltas_kept_from_another_connection_join(void **state)
{
    (void)state;
    kit_delta(kit, "A", 8, 10, "b 5 1");
    kit_delta(kit, "A", 11, 12, "b 6 1");
    kit_lines(kit);
    kit->conn = 2;
    kit_full(kit, "A", 10, "b 5 1, a 9 1");
    kit_delta(kit, "A", 13, 13, "a 9 0");
    EXPECT(kit, "snapshot A 12: b 6 1, b 5 1, a 9 1\ndelta A 13-13\n");
}

static void without_books_sequences_are_still_proven(void **state)
{
    (void)state;
    struct normalise_config config = kit_config;
    config.book_enabled = false;
    kit_close(kit);
    kit = kit_open(&config);
    kit_full(kit, "A", 10, "b 5 1");
    kit_delta(kit, "A", 11, 11, "b 5 2");
    kit_full(kit, "A", 11, "b 5 2");
    kit_full(kit, "A", 14, "b 5 3");
    EXPECT(kit, "snapshot A 10: b 5 1\ndelta A 11-11\nsnapshot A 14: b 5 3\n"
                "gap incremental_book_L2 A sequence 12-14 missing 3 0..0 resync\n");
}

static void full_book_without_an_id_lands_and_proves_nothing(void **state)
{
    (void)state;
    kit_full(kit, "A", 10, "b 5 1");
    kit_full(kit, "A", ID_NONE, "b 6 1");
    assert_null(normalise_book(kit->normalise, VENUE_BINANCE, STR("A")));
    assert_non_null(strstr(kit_lines(kit), "b 6 1"));
}

#define KIT_TEST(name) cmocka_unit_test_setup_teardown(name, open_kit, close_kit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(first_full_book_lands_as_it_is_and_is_followed),
        KIT_TEST(full_book_after_a_hole_mends_it),
        KIT_TEST(newer_full_book_replaces_a_whole_one),
        KIT_TEST(full_book_of_what_was_said_is_a_duplicate),
        KIT_TEST(replacing_connection_that_is_ahead_waits_for_the_older),
        KIT_TEST(replacing_connection_does_not_wait_for_a_silent_one),
        KIT_TEST(replacing_connection_that_was_never_met_says_what_it_jumped),
        KIT_TEST(full_book_after_a_reconnect_tells_what_was_missed),
        KIT_TEST(subscribing_again_is_a_stall_that_the_full_book_mends),
        KIT_TEST(sequence_that_began_anew_is_taken),
        KIT_TEST(deltas_kept_from_another_connection_join),
        KIT_TEST(without_books_sequences_are_still_proven),
        KIT_TEST(full_book_without_an_id_lands_and_proves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
