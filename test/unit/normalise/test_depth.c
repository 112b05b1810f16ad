#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/clock.h"
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
    kit_close(kit);
    return 0;
}

/* A whole book of A at id 10: b 100 1, a 101 1; nothing shown yet. */
static void whole_book(void)
{
    kit_delta(kit, "A", 9, 10, "");
    kit_snapshot(kit, "A", 10, "b 100 1, a 101 1");
    EXPECT(kit, "delta A 9-10\nwant A\nsnapshot A 10: b 100 1, a 101 1\n");
}

static void deltas_land_at_once_and_a_snapshot_is_asked_for_once(void **state)
{
    (void)state;
    kit_delta(kit, "A", 1, 2, "b 1 1");
    kit_delta(kit, "A", 3, 3, "b 2 1");
    EXPECT(kit, "delta A 1-2\nwant A\ndelta A 3-3\n");
    assert_null(normalise_book(kit->normalise, VENUE_BINANCE, STR("A")));
}

static void snapshot_is_asked_for_when_the_stream_is_subscribed(void **state)
{
    (void)state;
    kit_subscribe(kit, "\"a@depth@100ms\",\"a@trade\"");
    kit_delta(kit, "A", 1, 2, "");
    EXPECT(kit, "want A\ndelta A 1-2\n");
}

static void book_is_the_snapshot_and_the_deltas_kept_behind_it(void **state)
{
    (void)state;
    kit_delta(kit, "A", 1, 4, "b 7 7");
    kit_delta(kit, "A", 5, 8, "b 9 9, a 11 0");
    kit_delta(kit, "A", 9, 10, "a 12 2");
    kit->now_s = 3;
    kit_snapshot(kit, "A", 6, "b 10 1, a 11 1");
    EXPECT(kit, "delta A 1-4\nwant A\ndelta A 5-8\ndelta A 9-10\n"
                "snapshot A 10: b 10 1, b 9 9, a 12 2\n");
    assert_int_equal(kit->snapshot_recv_ns, 3 * NS_PER_S);
    assert_int_equal(kit->snapshot_conn, 0);
    assert_int_equal(kit->snapshot_seq, 4);
    kit_delta(kit, "A", 11, 11, "b 10 0");
    EXPECT(kit, "delta A 11-11\n");
    const struct book *book = normalise_book(kit->normalise, VENUE_BINANCE, STR("A"));
    assert_non_null(book);
    assert_int_equal(book_level_count(book, BOOK_BID), 1);
    struct normalise_stats stats = normalise_stats(kit->normalise);
    assert_int_equal(stats.books, 1);
    assert_int_equal(stats.snapshots_joined, 1);
    assert_int_equal(stats.rows_of_snapshots, 3);
    assert_int_equal(stats.gaps, 0);
}

static void snapshot_that_ends_right_before_the_first_delta_kept_joins(void **state)
{
    (void)state;
    kit_delta(kit, "A", 5, 6, "b 9 9");
    kit_snapshot(kit, "A", 4, "b 10 1");
    EXPECT(kit, "delta A 5-6\nwant A\nsnapshot A 6: b 10 1, b 9 9\n");
}

static void book_refuses_a_snapshot_older_than_the_deltas_and_asks_again(void **state)
{
    (void)state;
    kit_delta(kit, "A", 5, 6, "b 9 9");
    kit_snapshot(kit, "A", 3, "b 10 1");
    EXPECT(kit, "delta A 5-6\nwant A\n");
    assert_int_equal(normalise_stats(kit->normalise).snapshots_too_old, 1);
    kit_tick(kit);
    kit_snapshot(kit, "A", 5, "b 10 1");
    EXPECT(kit, "want A\nsnapshot A 6: b 10 1, b 9 9\n");
}

static void requests_are_repeated_with_growing_pauses(void **state)
{
    (void)state;
    kit_delta(kit, "A", 5, 6, "");
    int64_t asked[16] = {0};
    int count = 0;
    EXPECT(kit, "delta A 5-6\nwant A\n");
    while (kit->now_s < 250) {
        kit_tick(kit);
        if (kit_lines(kit)[0] != 0) {
            asked[count++] = kit->now_s;
        }
    }
    static const int64_t expected[] = {1, 3, 7, 15, 31, 63, 123, 183, 243};
    assert_int_equal(count, 9);
    assert_memory_equal(asked, expected, sizeof expected);
}

static void pauses_begin_anew_once_a_snapshot_has_joined(void **state)
{
    (void)state;
    kit_delta(kit, "A", 5, 6, "");
    while (kit->now_s < 8) {
        kit_tick(kit);
    }
    kit_snapshot(kit, "A", 6, ""); /* the next request would be at 15 */
    kit->now_s = 9;
    kit_lines(kit);
    kit_delta(kit, "A", 8, 8, "");
    EXPECT(kit, "delta A 8-8\nwant A\n");
    kit_tick(kit);
    EXPECT(kit, "want A\n");
}

static void nothing_is_asked_while_the_connection_is_down(void **state)
{
    (void)state;
    kit_delta(kit, "A", 5, 6, "");
    kit_record(kit, RECORD_CLOSE, "1006 reset", "");
    kit_lines(kit);
    kit_tick(kit);
    kit_tick(kit);
    EXPECT(kit, "");
    kit->conn = 2;
    kit_subscribe(kit, "\"a@depth@100ms\"");
    EXPECT(kit, "want A\n");
}

/* The snapshot is ahead: what is on its way lands first, then the book, then what follows. */
static void book_comes_out_where_the_stream_reaches_the_snapshot(void **state)
{
    (void)state;
    kit_delta(kit, "A", 1, 2, "b 5 5");
    kit_snapshot(kit, "A", 5, "b 10 1, a 11 1");
    EXPECT(kit, "delta A 1-2\nwant A\n");
    kit_delta(kit, "A", 3, 4, "b 6 6");
    EXPECT(kit, "delta A 3-4\n");
    kit->now_s = 1;
    kit_delta(kit, "A", 5, 7, "b 9 9");
    EXPECT(kit, "snapshot A 5: b 10 1, a 11 1\ndelta A 5-7\n");
    assert_int_equal(kit->snapshot_seq, 4); /* of the delta that joined */
    assert_int_equal(kit->snapshot_conn, 1);
    kit_delta(kit, "A", 8, 8, "b 10 0");
    kit_delta(kit, "A", 9, 9, "b 9 0");
    EXPECT(kit, "delta A 8-8\ndelta A 9-9\n");
    const struct book *book = normalise_book(kit->normalise, VENUE_BINANCE, STR("A"));
    assert_int_equal(book_level_count(book, BOOK_BID), 0);
    assert_int_equal(book_level_count(book, BOOK_ASK), 1);
}

static void book_comes_out_after_the_delta_that_ends_at_the_snapshot(void **state)
{
    (void)state;
    kit_delta(kit, "A", 1, 2, "");
    kit_snapshot(kit, "A", 4, "b 10 1");
    kit_delta(kit, "A", 3, 4, "b 6 6");
    EXPECT(kit, "delta A 1-2\nwant A\ndelta A 3-4\nsnapshot A 4: b 10 1\n");
}

static void book_without_updates_comes_out_after_two_seconds(void **state)
{
    (void)state;
    kit_subscribe(kit, "\"a@depth@100ms\"");
    kit_snapshot(kit, "A", 5, "b 10 1");
    kit_tick(kit);
    EXPECT(kit, "want A\n");
    kit_tick(kit);
    EXPECT(kit, "snapshot A 5: b 10 1\n");
    kit_delta(kit, "A", 4, 5, "b 10 7"); /* the snapshot holds it */
    EXPECT(kit, "");
    kit_delta(kit, "A", 6, 8, "b 10 3");
    EXPECT(kit, "delta A 6-8\n");
    assert_int_equal(normalise_stats(kit->normalise).gaps, 0);
    assert_int_equal(normalise_stats(kit->normalise).duplicates, 1);
}

static void first_delta_beyond_a_book_that_is_out_is_a_gap(void **state)
{
    (void)state;
    kit_subscribe(kit, "\"a@depth@100ms\"");
    kit_snapshot(kit, "A", 5, "b 10 1");
    kit_tick(kit);
    kit_tick(kit);
    kit_lines(kit);
    kit_delta(kit, "A", 9, 9, "b 10 3");
    EXPECT(kit, "delta A 9-9\nwant A\n");
    kit_snapshot(kit, "A", 9, "b 10 3");
    EXPECT(kit, "snapshot A 9: b 10 3\n"
                "gap incremental_book_L2 A sequence 6-8 missing 3 2..2 resync\n");
}

static void delta_that_does_not_join_means_another_snapshot(void **state)
{
    (void)state;
    kit_snapshot(kit, "A", 5, "b 10 1");
    kit_delta(kit, "A", 8, 9, "b 10 3");
    EXPECT(kit, "delta A 8-9\nwant A\n");
    assert_int_equal(normalise_stats(kit->normalise).snapshots_too_old, 1);
    assert_int_equal(normalise_stats(kit->normalise).gaps, 0);
    kit_snapshot(kit, "A", 9, "b 10 3");
    EXPECT(kit, "snapshot A 9: b 10 3\n");
}

static void gap_makes_one_symbol_stale_and_is_told_when_it_is_mended(void **state)
{
    (void)state;
    whole_book();
    kit_delta(kit, "B", 1, 1, "");
    kit_snapshot(kit, "B", 1, "b 5 5");
    kit->now_s = 4;
    kit_lines(kit);
    kit_delta(kit, "A", 14, 15, "b 99 9");
    EXPECT(kit, "delta A 14-15\nwant A\n");
    assert_null(normalise_book(kit->normalise, VENUE_BINANCE, STR("A")));
    assert_non_null(normalise_book(kit->normalise, VENUE_BINANCE, STR("B")));
    assert_int_equal(normalise_stats(kit->normalise).open_gaps, 1);
    kit->now_s = 6;
    kit_snapshot(kit, "A", 15, "b 100 2");
    EXPECT(kit, "snapshot A 15: b 100 2\n"
                "gap incremental_book_L2 A sequence 11-13 missing 3 0..6 resync\n");
    struct normalise_stats stats = normalise_stats(kit->normalise);
    assert_int_equal(stats.open_gaps, 0);
    assert_int_equal(stats.gaps, 1);
    assert_int_equal(stats.gaps_by_kind[GAP_SEQUENCE], 1);
    assert_int_equal(stats.missing_ids, 3);
    assert_int_equal(stats.resyncs, 1);
    assert_int_equal(stats.books, 2);
}

static void gaps_while_the_book_waits_are_told_too(void **state)
{
    (void)state;
    kit_delta(kit, "A", 1, 2, "");
    kit_delta(kit, "A", 5, 6, "");
    kit_delta(kit, "A", 9, 9, "");
    kit_snapshot(kit, "A", 6, ""); /* the last delta kept begins at 9 */
    EXPECT(kit, "delta A 1-2\nwant A\ndelta A 5-6\ndelta A 9-9\n");
    kit_snapshot(kit, "A", 8, "b 1 1");
    EXPECT(kit, "snapshot A 9: b 1 1\n"
                "gap incremental_book_L2 A sequence 3-4 missing 2 0..0 resync\n"
                "gap incremental_book_L2 A sequence 7-8 missing 2 0..0 resync\n");
}

/* A snapshot that is ahead holds what was missed: no second one is needed. */
static void gap_that_the_snapshot_covers_needs_no_other(void **state)
{
    (void)state;
    kit_delta(kit, "A", 1, 2, "");
    kit_snapshot(kit, "A", 9, "b 10 1");
    kit_delta(kit, "A", 5, 6, "");
    kit_delta(kit, "A", 9, 11, "b 10 2");
    EXPECT(kit, "delta A 1-2\nwant A\ndelta A 5-6\nsnapshot A 9: b 10 1\n"
                "gap incremental_book_L2 A sequence 3-4 missing 2 0..0 resync\n"
                "gap incremental_book_L2 A sequence 7-8 missing 2 0..0 resync\n"
                "delta A 9-11\n");
}

static void gap_that_ends_in_a_book_that_is_out_already_is_mended_at_once(void **state)
{
    (void)state;
    kit_delta(kit, "A", 1, 2, "");
    kit_snapshot(kit, "A", 9, "b 10 1");
    kit_tick(kit);
    kit_tick(kit);
    kit_delta(kit, "A", 8, 11, "b 10 2");
    EXPECT(kit, "delta A 1-2\nwant A\nsnapshot A 9: b 10 1\n"
                "gap incremental_book_L2 A sequence 3-7 missing 5 0..2 resync\ndelta A 8-11\n");
    assert_non_null(normalise_book(kit->normalise, VENUE_BINANCE, STR("A")));
}

static void gap_never_mended_is_told_at_the_stop(void **state)
{
    (void)state;
    whole_book();
    kit->now_s = 4;
    kit_delta(kit, "A", 20, 20, "");
    kit->now_s = 9;
    kit_lines(kit);
    kit_record(kit, RECORD_STOP, "", "");
    EXPECT(kit, "gap incremental_book_L2 A sequence 11-19 missing 9 0..4 none\n");
}

static void fifth_open_gap_of_a_stream_ends_the_first(void **state)
{
    (void)state;
    for (int64_t id = 1; id <= 11; id += 2) {
        kit->now_s++;
        kit_delta(kit, "A", id, id, "");
    }
    EXPECT(kit, "delta A 1-1\nwant A\ndelta A 3-3\nwant A\ndelta A 5-5\ndelta A 7-7\nwant A\n"
                "delta A 9-9\ngap incremental_book_L2 A sequence 2-2 missing 1 1..2 none\n"
                "delta A 11-11\n");
    kit_snapshot(kit, "A", 11, "");
    EXPECT(kit, "snapshot A 11:\ngap incremental_book_L2 A sequence 4-4 missing 1 2..6 resync\n"
                "gap incremental_book_L2 A sequence 6-6 missing 1 3..6 resync\n"
                "gap incremental_book_L2 A sequence 8-8 missing 1 4..6 resync\n"
                "gap incremental_book_L2 A sequence 10-10 missing 1 5..6 resync\n");
}

static void gap_without_a_place_to_wait_is_told_at_once(void **state)
{
    (void)state;
    struct normalise_config config = kit_config;
    config.open_gaps_max = 0;
    kit_close(kit);
    kit = kit_open(&config);
    whole_book();
    kit_delta(kit, "A", 12, 12, "");
    EXPECT(kit, "gap incremental_book_L2 A sequence 11-11 missing 1 0..0 none\n"
                "delta A 12-12\n"); /* asked a moment ago: the next tick will */
    kit_tick(kit);
    EXPECT(kit, "want A\n");
}

static void deltas_seen_before_are_neither_landed_nor_applied(void **state)
{
    (void)state;
    whole_book();
    kit_delta(kit, "A", 9, 10, "b 100 9");
    kit_delta(kit, "A", 1, 2, "b 100 9");
    EXPECT(kit, "");
    assert_int_equal(normalise_stats(kit->normalise).duplicates, 2);
    kit_delta(kit, "A", 10, 12, "b 98 1"); /* half new: absolute amounts may be set again */
    EXPECT(kit, "delta A 10-12\n");
}

static void sequence_that_begins_anew_is_a_gap_without_ids(void **state)
{
    (void)state;
    kit_delta(kit, "A", 5000000, 5000000, "");
    kit_snapshot(kit, "A", 5000000, "b 1 1");
    kit_lines(kit);
    kit_tick(kit);
    kit_delta(kit, "A", 1, 2, "b 2 2");
    EXPECT(kit, "delta A 1-2\nwant A\n");
    kit_snapshot(kit, "A", 2, "b 3 3");
    EXPECT(kit, "snapshot A 2: b 3 3\n"
                "gap incremental_book_L2 A sequence --- missing - 0..1 resync\n");
}

static void snapshot_not_asked_for_is_ignored(void **state)
{
    (void)state;
    whole_book();
    kit_snapshot(kit, "A", 50, "b 1 1");
    EXPECT(kit, "");
    assert_int_equal(normalise_stats(kit->normalise).snapshots_ignored, 1);
    kit_delta(kit, "A", 11, 11, "");
    EXPECT(kit, "delta A 11-11\n");
}

static void snapshot_far_ahead_of_the_stream_is_not_believed(void **state)
{
    (void)state;
    kit_delta(kit, "A", 1, 2, "");
    kit_snapshot(kit, "A", INT64_MAX, "b 1 1");
    kit_tick(kit);
    kit_tick(kit);
    kit_lines(kit);
    kit_delta(kit, "A", 3, 4, "b 2 2");
    EXPECT(kit, "delta A 3-4\nwant A\n");
    kit_snapshot(kit, "A", 4, "b 2 2");
    EXPECT(kit, "snapshot A 4: b 2 2\n");
}

static void snapshot_far_ahead_of_the_next_delta_is_not_believed(void **state)
{
    (void)state;
    kit_delta(kit, "A", 1, 2, "");
    kit_snapshot(kit, "A", 1000004, "b 1 1");
    kit_delta(kit, "A", 3, 5, ""); /* 999,999 behind: it may come up */
    EXPECT(kit, "delta A 1-2\nwant A\ndelta A 3-5\n");
    assert_int_equal(normalise_stats(kit->normalise).snapshots_too_old, 0);
    kit_record(kit, RECORD_START, "", "");
    kit->now_s = 1;
    kit_delta(kit, "B", 1, 2, "");
    kit_snapshot(kit, "B", 1000005, "b 1 1");
    kit_delta(kit, "B", 3, 5, "");
    EXPECT(kit, "delta B 1-2\nwant B\ndelta B 3-5\n");
    assert_int_equal(normalise_stats(kit->normalise).snapshots_too_old, 1);
}

static void reconnect_without_loss_is_an_overlap_and_keeps_the_book(void **state)
{
    (void)state;
    whole_book();
    kit->now_s = 5;
    kit_record(kit, RECORD_CLOSE, "1006 reset", "");
    kit->conn = 2;
    kit->now_s = 7;
    kit_delta(kit, "A", 11, 12, "");
    EXPECT(kit, "gap incremental_book_L2 A reconnect --- missing 0 0..7 overlap\n"
                "delta A 11-12\n");
    assert_non_null(normalise_book(kit->normalise, VENUE_BINANCE, STR("A")));
}

static void reconnect_with_loss_is_resynced(void **state)
{
    (void)state;
    whole_book();
    kit_record(kit, RECORD_CLOSE, "1006 reset", "");
    kit->conn = 2;
    kit->now_s = 7;
    kit_delta(kit, "A", 21, 22, "");
    kit_snapshot(kit, "A", 22, "b 1 1");
    EXPECT(kit, "delta A 21-22\nwant A\nsnapshot A 22: b 1 1\n"
                "gap incremental_book_L2 A reconnect 11-20 missing 10 0..7 resync\n");
}

static void books_begin_anew_after_a_start(void **state)
{
    (void)state;
    whole_book();
    kit->now_s = 3;
    kit_record(kit, RECORD_START, "r1 0.1.0", "");
    assert_null(normalise_book(kit->normalise, VENUE_BINANCE, STR("A")));
    kit->now_s = 5;
    kit_subscribe(kit, "\"a@depth@100ms\"");
    kit_snapshot(kit, "A", 30, "b 7 7");
    kit_delta(kit, "A", 29, 31, "b 8 8"); /* the snapshot covers what the crash cost */
    EXPECT(kit, "want A\nsnapshot A 30: b 7 7\n"
                "gap incremental_book_L2 A crash 11-28 missing 18 0..5 resync\ndelta A 29-31\n");
}

static void file_begins_with_the_book_before_the_delta_at_hand(void **state)
{
    (void)state;
    whole_book();
    kit->begin_files = true;
    kit_delta(kit, "A", 11, 11, "b 100 5");
    kit_delta(kit, "A", 12, 12, "b 100 6");
    EXPECT(kit, "snapshot A 10: b 100 1, a 101 1\ndelta A 11-11\n"
                "snapshot A 11: b 100 5, a 101 1\ndelta A 12-12\n");
    assert_int_equal(kit->snapshot_seq, 4);
    kit_delta(kit, "A", 20, 20, ""); /* no whole book, no snapshot */
    EXPECT(kit, "delta A 20-20\n");
}

static void book_that_crosses_is_counted_and_made_anew(void **state)
{
    (void)state;
    whole_book();
    kit->now_s = 100;
    kit_delta(kit, "A", 11, 11, "b 102 1");
    kit_delta(kit, "A", 12, 12, "b 103 1");
    EXPECT(kit, "delta A 11-11\nwant A\ndelta A 12-12\n");
    assert_int_equal(normalise_stats(kit->normalise).crossed_books, 1);
    kit_snapshot(kit, "A", 12, "b 100 1, a 104 1");
    kit_delta(kit, "A", 13, 13, "a 100 1");
    EXPECT(kit, "snapshot A 12: b 100 1, a 104 1\ndelta A 13-13\n");
    assert_int_equal(normalise_stats(kit->normalise).crossed_books, 2);
}

/* A venue whose books are wrong each time they are made is not asked without end. */
static void book_that_never_lasts_is_asked_for_ever_less_often(void **state)
{
    (void)state;
    int64_t asked[16] = {0};
    int count = 0;
    kit_delta(kit, "A", 1, 1, "");
    kit_lines(kit);
    for (int64_t id = 1; kit->now_s < 250;) {
        kit_snapshot(kit, "A", id, "b 100 1, a 101 1");
        id++;
        kit_delta(kit, "A", id, id, "b 102 1"); /* crossed at once */
        while (strstr(kit_lines(kit), "want A") == NULL && kit->now_s < 250) {
            kit_tick(kit);
        }
        asked[count++] = kit->now_s;
        assert_true(count < 16);
    }
    static const int64_t expected[] = {1, 2, 4, 8, 16, 32, 64, 124, 184, 244, 250};
    assert_int_equal(count, 11);
    assert_memory_equal(asked, expected, sizeof expected);
    assert_int_equal(normalise_stats(kit->normalise).crossed_books, 11);
}

static void level_that_cannot_be_kept_costs_the_book_not_the_row(void **state)
{
    (void)state;
    whole_book();
    kit_tick(kit);
    kit_delta(kit, "A", 11, 11, "a 900000000000000000 1");
    kit_delta(kit, "A", 12, 12, "b 0.0000000001 1");
    EXPECT(kit, "delta A 11-11\ndelta A 12-12\nwant A\n");
    assert_int_equal(normalise_stats(kit->normalise).books_lost, 1);
    kit_delta(kit, "A", 13, 13, "");
    kit_snapshot(kit, "A", 13, "b 1 1");
    EXPECT(kit, "delta A 13-13\nsnapshot A 13: b 1 1\n");
}

static void deltas_beyond_the_share_of_a_book_mean_a_newer_snapshot(void **state)
{
    (void)state;
    struct normalise_config config = kit_config;
    config.pending_deltas_bytes = 600;
    kit_close(kit);
    kit = kit_open(&config);
    for (int64_t id = 1; id <= 200; id++) {
        kit_delta(kit, "A", id, id, "b 10 1, b 9 2, a 11 3");
    }
    assert_true(normalise_stats(kit->normalise).deltas_not_kept > 100);
    kit_lines(kit);
    kit_snapshot(kit, "A", 100, "b 10 1");
    EXPECT(kit, "");
    kit_snapshot(kit, "A", 199, "b 10 5");
    EXPECT(kit, "snapshot A 200: b 10 1, b 9 2, a 11 3\n");
}

static void delta_that_is_too_large_to_keep_lands(void **state)
{
    (void)state;
    struct normalise_config config = kit_config;
    config.pending_deltas_bytes = 100;
    kit_close(kit);
    kit = kit_open(&config);
    kit_delta(kit, "A", 1, 1, "b 10 1, b 9 2, a 11 3");
    kit_snapshot(kit, "A", 0, "b 10 5"); /* older than a delta that was not kept */
    kit_snapshot(kit, "A", 1, "b 10 5");
    EXPECT(kit, "delta A 1-1\nwant A\nsnapshot A 1: b 10 5\n");
    assert_int_equal(normalise_stats(kit->normalise).deltas_not_kept, 1);
}

static void waiting_books_leave_half_of_the_memory_to_the_others(void **state)
{
    (void)state;
    struct normalise_config config = kit_config;
    config.pending_deltas_bytes = 1 << 20;
    kit_close(kit);
    kit = kit_open(&config);
    kit->no_check = true;
    for (int64_t id = 1; id <= 3000; id++) {
        kit_delta(kit, "A", id, id, "b 10 1, b 9 2, a 11 3");
        kit_delta(kit, "B", id, id, "b 10 1, b 9 2, a 11 3");
        kit_lines(kit);
        assert_true(normalise_stats(kit->normalise).book_bytes_used <= config.book_bytes / 2);
    }
    normalise_check(kit->normalise);
}

static void depth_lands_with_gaps_told_at_once_when_books_are_off(void **state)
{
    (void)state;
    struct normalise_config config = kit_config;
    config.book_enabled = false;
    kit_close(kit);
    kit = kit_open(&config);
    kit_delta(kit, "A", 1, 2, "");
    kit_delta(kit, "A", 2, 2, "");
    kit_delta(kit, "A", 4, 5, "");
    kit_snapshot(kit, "A", 5, "b 1 1");
    EXPECT(kit, "delta A 1-2\ngap incremental_book_L2 A sequence 3-3 missing 1 0..0 none\n"
                "delta A 4-5\n");
    assert_int_equal(normalise_stats(kit->normalise).snapshots_ignored, 1);
}

static void streams_beyond_the_books_land_without_one(void **state)
{
    (void)state;
    struct normalise_config config = kit_config;
    config.books_max = 1;
    kit_close(kit);
    kit = kit_open(&config);
    whole_book();
    kit_delta(kit, "B", 1, 1, "");
    kit_delta(kit, "B", 3, 3, "");
    EXPECT(kit, "delta B 1-1\ngap incremental_book_L2 B sequence 2-2 missing 1 0..0 none\n"
                "delta B 3-3\n");
    assert_int_equal(normalise_stats(kit->normalise).books_refused, 1);
}

static void unsubscribing_forgets_the_book_and_the_sequence(void **state)
{
    (void)state;
    whole_book();
    kit->conn = 2; /* of another connection: it goes on here */
    kit_record(kit, RECORD_SENT, "",
               "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"a@depth@100ms\"],\"id\":1}");
    assert_non_null(normalise_book(kit->normalise, VENUE_BINANCE, STR("A")));
    kit->conn = 1;
    kit_record(kit, RECORD_SENT, "",
               "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"a@depth@100ms\"],\"id\":2}");
    assert_null(normalise_book(kit->normalise, VENUE_BINANCE, STR("A")));
    kit_tick(kit);
    kit_record(kit, RECORD_STOP, "", "");
    EXPECT(kit, "");
}

/* Ids at the ends of the range, in any order: no overflow (the sanitizer looks), nothing sticks. */
static void hostile_ids_do_no_harm(void **state)
{
    (void)state;
    static const int64_t ids[] = {INT64_MIN, INT64_MIN + 1, -1,       0, 1, 2, 5000000,
                                  INT64_MAX, INT64_MAX - 1, INT64_MAX};
    const int count = sizeof ids / sizeof ids[0];
    for (int a = 0; a < count; a++) {
        for (int b = 0; b < count; b++) {
            for (int c = 0; c < count; c++) {
                kit_delta(kit, "A", ids[a], ids[b], "b 1 1");
                kit_snapshot(kit, "A", ids[c], "b 1 2");
                kit_delta(kit, "A", ids[c], ids[a], "b 1 0");
                kit_tick(kit);
                kit_trade(kit, "A", ids[a]);
                kit_trade(kit, "A", ids[b]);
                kit_aggregate(kit, "A", ids[c]);
                kit_ticker(kit, "A", ids[c]);
                kit->conn = 1 + (uint32_t)(c & 1);
                kit_lines(kit);
            }
        }
    }
    kit_delta(kit, "A", 100, 100, "");
    kit_delta(kit, "A", 101, 101, "");
    kit_snapshot(kit, "A", 101, "b 3 3");
    kit_lines(kit);
    kit_delta(kit, "A", 102, 102, "");
    kit_trade(kit, "A", 7);
    kit_trade(kit, "A", 8);
    const char *lines = kit_lines(kit);
    assert_non_null(strstr(lines, "delta A 102-102\n"));
    assert_non_null(strstr(lines, "trade A 8\n"));
    assert_non_null(normalise_book(kit->normalise, VENUE_BINANCE, STR("A")));
}

static void hostile_times_do_no_harm(void **state)
{
    (void)state;
    static const int64_t times[] = {INT64_MIN, INT64_MAX, 0, INT64_MIN, -1, INT64_MAX, INT64_MIN};
    for (int i = 0; i < 7; i++) {
        struct record tick = {.kind = RECORD_TICK, .time_unix_ns = times[i]};
        struct event event = {.channel = CHANNEL_DEPTH,
                              .venue = VENUE_BINANCE,
                              .symbol = STR("A"),
                              .recv_unix_ns = times[i]};
        event.depth = (struct depth_event){.first_update_id = 3 * i, .last_update_id = 3 * i};
        struct decode_result bad = {.code = -6, .channel = -1, .reason = NULL};
        kit_undecodable(kit, 3, "x");
        normalise_undecodable(kit->normalise, &tick, &bad);
        normalise_event(kit->normalise, &event);
        normalise_record(kit->normalise, &tick);
        normalise_check(kit->normalise);
    }
}

#define KIT_TEST(name) cmocka_unit_test_setup_teardown(name, open_kit, close_kit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(deltas_land_at_once_and_a_snapshot_is_asked_for_once),
        KIT_TEST(snapshot_is_asked_for_when_the_stream_is_subscribed),
        KIT_TEST(book_is_the_snapshot_and_the_deltas_kept_behind_it),
        KIT_TEST(snapshot_that_ends_right_before_the_first_delta_kept_joins),
        KIT_TEST(book_refuses_a_snapshot_older_than_the_deltas_and_asks_again),
        KIT_TEST(requests_are_repeated_with_growing_pauses),
        KIT_TEST(pauses_begin_anew_once_a_snapshot_has_joined),
        KIT_TEST(nothing_is_asked_while_the_connection_is_down),
        KIT_TEST(book_comes_out_where_the_stream_reaches_the_snapshot),
        KIT_TEST(book_comes_out_after_the_delta_that_ends_at_the_snapshot),
        KIT_TEST(book_without_updates_comes_out_after_two_seconds),
        KIT_TEST(first_delta_beyond_a_book_that_is_out_is_a_gap),
        KIT_TEST(delta_that_does_not_join_means_another_snapshot),
        KIT_TEST(gap_makes_one_symbol_stale_and_is_told_when_it_is_mended),
        KIT_TEST(gaps_while_the_book_waits_are_told_too),
        KIT_TEST(gap_that_the_snapshot_covers_needs_no_other),
        KIT_TEST(gap_that_ends_in_a_book_that_is_out_already_is_mended_at_once),
        KIT_TEST(gap_never_mended_is_told_at_the_stop),
        KIT_TEST(fifth_open_gap_of_a_stream_ends_the_first),
        KIT_TEST(gap_without_a_place_to_wait_is_told_at_once),
        KIT_TEST(deltas_seen_before_are_neither_landed_nor_applied),
        KIT_TEST(sequence_that_begins_anew_is_a_gap_without_ids),
        KIT_TEST(snapshot_not_asked_for_is_ignored),
        KIT_TEST(snapshot_far_ahead_of_the_stream_is_not_believed),
        KIT_TEST(snapshot_far_ahead_of_the_next_delta_is_not_believed),
        KIT_TEST(reconnect_without_loss_is_an_overlap_and_keeps_the_book),
        KIT_TEST(reconnect_with_loss_is_resynced),
        KIT_TEST(books_begin_anew_after_a_start),
        KIT_TEST(file_begins_with_the_book_before_the_delta_at_hand),
        KIT_TEST(book_that_crosses_is_counted_and_made_anew),
        KIT_TEST(book_that_never_lasts_is_asked_for_ever_less_often),
        KIT_TEST(level_that_cannot_be_kept_costs_the_book_not_the_row),
        KIT_TEST(deltas_beyond_the_share_of_a_book_mean_a_newer_snapshot),
        KIT_TEST(delta_that_is_too_large_to_keep_lands),
        KIT_TEST(waiting_books_leave_half_of_the_memory_to_the_others),
        KIT_TEST(depth_lands_with_gaps_told_at_once_when_books_are_off),
        KIT_TEST(streams_beyond_the_books_land_without_one),
        KIT_TEST(unsubscribing_forgets_the_book_and_the_sequence),
        KIT_TEST(hostile_ids_do_no_harm),
        KIT_TEST(hostile_times_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
