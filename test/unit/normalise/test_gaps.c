#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
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

static void reopen(const struct normalise_config *config)
{
    kit_close(kit);
    kit = kit_open(config);
}

static void stop(void)
{
    kit_record(kit, RECORD_STOP, "", "");
}

static void start(void)
{
    kit_record(kit, RECORD_START, "r1 0.1.0", "");
}

static void lose_connection(void)
{
    kit_record(kit, RECORD_CLOSE, "1006 reset", "");
    kit->conn++;
}

/* ---- ids */

static void trades_in_sequence_pass_without_a_gap(void **state)
{
    (void)state;
    kit_trade(kit, "A", 7);
    kit_trade(kit, "B", 1);
    kit_trade(kit, "A", 8);
    EXPECT(kit, "trade A 7\ntrade B 1\ntrade A 8\n");
    assert_int_equal(normalise_stats(kit->normalise).gaps, 0);
}

static void missing_trades_are_a_gap_before_the_next(void **state)
{
    (void)state;
    kit_trade(kit, "A", 7);
    kit->now_s = 5;
    kit_trade(kit, "A", 11);
    EXPECT(kit, "trade A 7\ngap trades A sequence 8-10 missing 3 0..5 none\ntrade A 11\n");
    assert_int_equal(normalise_stats(kit->normalise).missing_ids, 3);
}

static void trades_seen_before_are_counted_and_not_landed(void **state)
{
    (void)state;
    kit_trade(kit, "A", 7);
    kit_trade(kit, "A", 8);
    kit->conn = 2;
    kit_trade(kit, "A", 7);
    kit_trade(kit, "A", 8);
    kit_trade(kit, "A", 9);
    EXPECT(kit, "trade A 7\ntrade A 8\ntrade A 9\n");
    assert_int_equal(normalise_stats(kit->normalise).duplicates, 2);
}

static void trades_ahead_of_the_older_connection_wait_for_it(void **state)
{
    (void)state;
    kit_trade(kit, "A", 10);
    kit->conn = 2;
    kit_trade(kit, "A", 12); /* 11 is on its way */
    kit->conn = 1;
    kit_trade(kit, "A", 11);
    kit_trade(kit, "A", 12);
    kit->conn = 2;
    kit_trade(kit, "A", 13);
    kit_trade(kit, "A", 15); /* the older one may bring 14 */
    kit->conn = 1;
    kit_trade(kit, "A", 15); /* it does not: it is missing */
    EXPECT(kit, "trade A 10\ntrade A 11\ntrade A 12\ntrade A 13\n"
                "gap trades A sequence 14-14 missing 1 0..0 none\ntrade A 15\n");
    assert_int_equal(normalise_stats(kit->normalise).ahead, 2);
    assert_int_equal(normalise_stats(kit->normalise).duplicates, 0);
}

static void aggregated_trades_count_apart(void **state)
{
    (void)state;
    kit_trade(kit, "A", 100);
    kit_aggregate(kit, "A", 3);
    kit_trade(kit, "A", 101);
    kit_aggregate(kit, "A", 5);
    EXPECT(kit, "trade A 100\nagg A 3\ntrade A 101\n"
                "gap trades A sequence 4-4 missing 1 0..0 none\nagg A 5\n");
}

/* A connection that brings the one sort only is not waited for by the other. */
static void aggregated_trades_on_another_connection_hold_nothing_back(void **state)
{
    (void)state;
    kit_trade(kit, "A", 100);
    kit->conn = 2;
    kit_aggregate(kit, "A", 3);
    kit->conn = 1;
    kit_trade(kit, "A", 103); /* a hole of this connection: nobody else will bring it */
    kit->conn = 2;
    kit_aggregate(kit, "A", 4);
    EXPECT(kit, "trade A 100\nagg A 3\n"
                "gap trades A sequence 101-102 missing 2 0..0 none\ntrade A 103\nagg A 4\n");
    assert_int_equal(normalise_stats(kit->normalise).ahead, 0);
}

static void ids_that_fall_far_back_are_a_new_sequence(void **state)
{
    (void)state;
    kit_trade(kit, "A", 2000000);
    kit_trade(kit, "A", 1000001); /* 999,999 back: a duplicate */
    kit_trade(kit, "A", 1000000); /* a million back */
    kit_trade(kit, "A", 1000001);
    EXPECT(kit, "trade A 2000000\ngap trades A sequence --- missing - 0..0 none\n"
                "trade A 1000000\ntrade A 1000001\n");
}

static void gap_of_more_ids_than_a_number_holds_has_no_count(void **state)
{
    (void)state;
    kit_trade(kit, "A", INT64_MIN + 1);
    kit_trade(kit, "A", INT64_MAX);
    EXPECT(kit, "trade A -9223372036854775807\n"
                "gap trades A sequence -9223372036854775806-9223372036854775806 missing - 0..0 "
                "none\ntrade A 9223372036854775807\n");
    assert_int_equal(normalise_stats(kit->normalise).missing_ids, 0);
}

static void trades_without_ids_pass(void **state)
{
    (void)state;
    kit_trade(kit, "A", 7);
    kit_trade(kit, "A", ID_NONE);
    kit_trade(kit, "A", 9);
    EXPECT(kit, "trade A 7\ntrade A -\ngap trades A sequence 8-8 missing 1 0..0 none\n"
                "trade A 9\n");
}

static void book_tickers_of_one_connection_all_land(void **state)
{
    (void)state;
    kit_ticker(kit, "A", 5);
    kit_ticker(kit, "A", 5);
    kit_ticker(kit, "A", 9);
    kit_ticker(kit, "A", 8);
    EXPECT(kit, "ticker A 5\nticker A 5\nticker A 9\nticker A 8\n");
}

/* At a hand-over both connections say the same. */
static void book_tickers_of_a_second_connection_land_when_newer(void **state)
{
    (void)state;
    kit_ticker(kit, "A", 5);
    kit->conn = 2;
    kit_ticker(kit, "A", 4);
    kit_ticker(kit, "A", 5);
    kit->conn = 1;
    kit_ticker(kit, "A", 6);
    kit->conn = 2;
    kit_ticker(kit, "A", 6);
    kit_ticker(kit, "A", 7);
    kit->conn = 1;
    kit_ticker(kit, "A", 7);
    EXPECT(kit, "ticker A 5\nticker A 6\nticker A 7\n");
    assert_int_equal(normalise_stats(kit->normalise).duplicates, 4);
    kit_record(kit, RECORD_CLOSE, "1000 rotated", "");
    kit->conn = 2;
    kit_ticker(kit, "A", 8);
    EXPECT(kit, "ticker A 8\n"); /* the newer connection stood: nothing was missed */
}

/* ---- connections */

static void reconnect_without_missing_ids_is_an_overlap(void **state)
{
    (void)state;
    kit_trade(kit, "A", 7);
    kit->now_s = 3;
    lose_connection();
    EXPECT(kit, "trade A 7\n");
    kit->now_s = 8;
    kit_trade(kit, "A", 8);
    kit_trade(kit, "A", 9);
    EXPECT(kit, "gap trades A reconnect --- missing 0 0..8 overlap\ntrade A 8\ntrade A 9\n");
}

static void reconnect_with_missing_ids_names_them(void **state)
{
    (void)state;
    kit_trade(kit, "A", 7);
    lose_connection();
    kit->now_s = 8;
    kit_trade(kit, "A", 10);
    kit_trade(kit, "A", 12);
    EXPECT(kit, "trade A 7\ngap trades A reconnect 8-9 missing 2 0..8 none\ntrade A 10\n"
                "gap trades A sequence 11-11 missing 1 8..8 none\ntrade A 12\n");
}

/* The overlap is told by the first message that is new. */
static void duplicates_after_a_reconnect_prove_nothing_yet(void **state)
{
    (void)state;
    kit_trade(kit, "A", 7);
    lose_connection();
    kit_trade(kit, "A", 7);
    kit_trade(kit, "A", 8);
    EXPECT(kit, "trade A 7\ngap trades A reconnect --- missing 0 0..0 overlap\ntrade A 8\n");
}

static void reconnect_tells_both_sequences_of_trades(void **state)
{
    (void)state;
    kit_trade(kit, "A", 100);
    kit->now_s = 1;
    kit_aggregate(kit, "A", 3);
    kit->now_s = 2;
    lose_connection();
    kit->now_s = 4;
    kit_trade(kit, "A", 101);
    kit->now_s = 5;
    kit_aggregate(kit, "A", 9);
    EXPECT(kit, "trade A 100\nagg A 3\ngap trades A reconnect --- missing 0 0..4 overlap\n"
                "trade A 101\ngap trades A reconnect 4-8 missing 5 1..5 none\nagg A 9\n");
}

static void reconnect_of_a_channel_without_ids_is_unproven(void **state)
{
    (void)state;
    kit_plain(kit, CHANNEL_CANDLES, "A");
    kit_ticker(kit, "A", 5);
    kit->now_s = 2;
    lose_connection();
    kit->now_s = 4;
    kit_plain(kit, CHANNEL_CANDLES, "A");
    kit_ticker(kit, "A", 5);
    kit_plain(kit, CHANNEL_CANDLES, "A");
    EXPECT(kit, "plain candles A\nticker A 5\ngap candles A reconnect --- missing - 0..4 none\n"
                "plain candles A\ngap book_ticker A reconnect --- missing - 0..4 none\n"
                "ticker A 5\nplain candles A\n");
}

static void only_streams_of_the_lost_connection_are_interrupted(void **state)
{
    (void)state;
    kit_trade(kit, "A", 7);
    kit->conn = 2;
    kit_trade(kit, "B", 7);
    kit_record(kit, RECORD_CLOSE, "1006 reset", "");
    kit->conn = 1;
    kit_trade(kit, "A", 8);
    kit->conn = 3;
    kit_trade(kit, "B", 8);
    EXPECT(kit, "trade A 7\ntrade B 7\ntrade A 8\n"
                "gap trades B reconnect --- missing 0 0..0 overlap\ntrade B 8\n");
}

/* Both feed, then the old one goes: no hole, no row. */
static void hand_over_to_a_second_connection_is_no_interruption(void **state)
{
    (void)state;
    kit_subscribe(kit, "\"a@trade\"");
    kit_trade(kit, "A", 7);
    kit->conn = 2;
    kit_subscribe(kit, "\"a@trade\"");
    kit_trade(kit, "A", 8);
    kit->conn = 1;
    kit_trade(kit, "A", 8);
    kit_trade(kit, "A", 9); /* the old one brings the last */
    kit_record(kit, RECORD_CLOSE, "1000 rotated", "");
    kit->conn = 2;
    kit_trade(kit, "A", 9);
    kit_trade(kit, "A", 10);
    EXPECT(kit, "trade A 7\ntrade A 8\ntrade A 9\ntrade A 10\n");
    assert_int_equal(normalise_stats(kit->normalise).duplicates, 2);
}

static void stream_that_was_only_subscribed_is_interrupted_from_the_close(void **state)
{
    (void)state;
    kit_subscribe(kit, "\"a@trade\",\"b@bookTicker\"");
    kit->now_s = 3;
    lose_connection();
    kit->now_s = 7;
    kit_trade(kit, "A", 7);
    EXPECT(kit, "gap trades A reconnect --- missing - 3..7 none\ntrade A 7\n");
    kit->now_s = 9;
    stop();
    EXPECT(kit, "gap book_ticker B reconnect --- missing - 3..9 none\n");
}

static void stream_never_seen_again_is_told_at_the_stop_once(void **state)
{
    (void)state;
    kit_trade(kit, "A", 7);
    lose_connection();
    kit->now_s = 9;
    stop();
    EXPECT(kit, "trade A 7\ngap trades A reconnect --- missing - 0..9 none\n");
    start();
    stop();
    EXPECT(kit, "");
}

/* ---- starts and stops */

static void time_between_a_stop_and_a_start_is_a_reconnect(void **state)
{
    (void)state;
    start();
    kit_trade(kit, "A", 7);
    kit->now_s = 2;
    stop();
    EXPECT(kit, "trade A 7\n");
    kit->now_s = 100;
    start();
    kit_trade(kit, "A", 8);
    EXPECT(kit, "gap trades A reconnect --- missing 0 0..100 overlap\ntrade A 8\n");
}

static void stream_no_longer_recorded_after_a_stop_is_no_gap(void **state)
{
    (void)state;
    start();
    kit_trade(kit, "A", 7);
    stop();
    start();
    kit_trade(kit, "B", 7);
    stop();
    EXPECT(kit, "trade A 7\ntrade B 7\n");
}

static void start_without_a_stop_is_a_crash_of_every_stream(void **state)
{
    (void)state;
    start();
    kit_trade(kit, "A", 7);
    kit_ticker(kit, "A", 5);
    kit_trade(kit, "B", 1);
    kit->now_s = 60;
    start();
    kit->conn = 2;
    kit->now_s = 61;
    kit_trade(kit, "A", 9);
    kit_ticker(kit, "A", 6);
    EXPECT(kit, "trade A 7\nticker A 5\ntrade B 1\n"
                "gap trades A crash 8-8 missing 1 0..61 none\ntrade A 9\n"
                "gap book_ticker A crash --- missing - 0..61 none\nticker A 6\n");
    kit->now_s = 70;
    stop();
    EXPECT(kit, "gap trades B crash --- missing - 0..70 none\n");
}

static void first_cause_of_an_interruption_stays(void **state)
{
    (void)state;
    kit_trade(kit, "A", 7);
    lose_connection();
    kit->now_s = 5;
    start();
    kit_trade(kit, "A", 9);
    EXPECT(kit, "trade A 7\ngap trades A reconnect 8-8 missing 1 0..5 none\ntrade A 9\n");
}

static void what_was_not_said_until_subscribed_again_is_a_stall(void **state)
{
    (void)state;
    kit_subscribe(kit, "\"a@trade\",\"c@trade\"");
    kit_trade(kit, "A", 7);
    kit_record(kit, RECORD_SENT, "",
               "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"a@trade\",\"c@trade\"],\"id\":1}");
    kit_record(kit, RECORD_CLOSE, "1006", "");
    kit->conn = 2;
    kit->now_s = 5;
    kit_subscribe(kit, "\"a@trade\",\"c@trade\"");
    kit_trade(kit, "A", 90);
    kit_trade(kit, "C", 1); /* never spoke before: nothing of it was missed */
    EXPECT(kit, "trade A 7\ngap trades A stall 8-89 missing 82 0..5 none\ntrade A 90\n"
                "trade C 1\n");
    kit_record(kit, RECORD_SENT, "",
               "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"a@trade\"],\"id\":2}");
    start();
    stop(); /* never asked for again: no row */
    EXPECT(kit, "gap trades C crash --- missing - 5..5 none\n");
}

static void first_start_is_no_crash(void **state)
{
    (void)state;
    start();
    kit_trade(kit, "A", 7);
    stop();
    start();
    stop();
    EXPECT(kit, "trade A 7\n");
}

/* ---- drops and undecodable messages */

static void drop_is_a_row_with_its_count(void **state)
{
    (void)state;
    kit->now_s = 5;
    kit_record(kit, RECORD_DROP, "12 book_ticker 3000000000 4000000000", "");
    kit_record(kit, RECORD_DROP, "7 * 1000000000 2000000000", "");
    kit_record(kit, RECORD_DROP, "", "");
    kit_record(kit, RECORD_DROP, "-1 nonsense 99999999999999999999 x", "");
    EXPECT(kit, "gap book_ticker - queue_drop --- missing 12 3..4 none\n"
                "gap * - queue_drop --- missing 7 1..2 none\n"
                "gap * - queue_drop --- missing - 5..5 none\n"
                "gap * - queue_drop --- missing - 5..5 none\n");
    assert_int_equal(normalise_stats(kit->normalise).missing_ids, 0);
}

static void drop_of_a_clock_of_today_is_read(void **state)
{
    (void)state;
    kit_record(kit, RECORD_DROP, "1 trades 1795456789000000001 1795456790000000002", "");
    EXPECT(kit, "gap trades - queue_drop --- missing 1 1795456789..1795456790 none\n");
}

static void hole_in_the_time_of_a_drop_is_its_work(void **state)
{
    (void)state;
    kit_trade(kit, "A", 7);
    kit_trade(kit, "B", 7);
    kit_delta(kit, "A", 1, 1, "");
    kit->now_s = 5;
    kit_record(kit, RECORD_DROP, "2 trades 3000000000 4000000000", "");
    kit_lines(kit);
    kit_trade(kit, "A", 10);
    EXPECT(kit, "gap trades A queue_drop 8-9 missing 2 0..5 none\ntrade A 10\n");
    kit_trade(kit, "A", 12); /* later than the drop */
    EXPECT(kit, "gap trades A sequence 11-11 missing 1 5..5 none\ntrade A 12\n");
    kit_trade(kit, "B", 8); /* no hole */
    EXPECT(kit, "trade B 8\n");
    kit_delta(kit, "A", 5, 5, ""); /* another channel */
    stop();
    EXPECT(kit, "delta A 5-5\nwant A\n"
                "gap incremental_book_L2 A sequence 2-4 missing 3 0..5 none\n");
}

static void undecodable_messages_are_one_row_a_burst(void **state)
{
    (void)state;
    kit_undecodable(kit, CHANNEL_TRADES, "price: not a number");
    kit->now_s = 10;
    kit_undecodable(kit, CHANNEL_TRADES, "price: not a number");
    kit_undecodable(kit, -1, "not JSON");
    kit->now_s = 68;
    kit_tick(kit); /* 69: 59 s quiet */
    EXPECT(kit, "");
    kit_tick(kit);
    EXPECT(kit, "gap trades - decode --- missing 2 0..10 none\n"
                "gap * - decode --- missing 1 10..10 none\n");
    kit_undecodable(kit, CHANNEL_TRADES, "price: not a number");
    kit_undecodable(kit, CHANNEL_TRADES, "no symbol");
    stop();
    EXPECT(kit, "gap trades - decode --- missing 1 70..70 none\n"
                "gap trades - decode --- missing 1 70..70 none\n");
}

static void bursts_beyond_the_table_are_told_early(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        char reason[100];
        snprintf(reason, sizeof reason,
                 "%02d reason that is longer than what is kept of a reason, "
                 "which is a good deal shorter",
                 i);
        kit->now_s = i;
        kit_undecodable(kit, CHANNEL_TRADES, reason);
        kit_undecodable(kit, CHANNEL_TRADES, reason);
    }
    assert_int_equal(normalise_stats(kit->normalise).gaps, 8);
    stop();
    assert_int_equal(normalise_stats(kit->normalise).gaps, 40);
    assert_int_equal(normalise_stats(kit->normalise).gaps_by_kind[GAP_DECODE], 40);
}

/* ---- streams */

static void streams_have_stable_dense_indexes(void **state)
{
    (void)state;
    kit_trade(kit, "A", 1);
    uint64_t first = kit->stream_of_last;
    kit_ticker(kit, "A", 1);
    uint64_t second = kit->stream_of_last;
    kit_trade(kit, "AB", 1);
    assert_int_equal(first, 1); /* 0 is the venue's gap stream */
    assert_int_equal(second, 2);
    assert_int_equal(kit->stream_of_last, 3);
    kit_trade(kit, "A", 2);
    assert_int_equal(kit->stream_of_last, first);
    kit_trade(kit, "A", 5);
    assert_int_equal(normalise_stats(kit->normalise).streams, 4);
}

static void instruments_share_one_stream(void **state)
{
    (void)state;
    kit_plain(kit, CHANNEL_INSTRUMENTS, "A");
    kit_plain(kit, CHANNEL_INSTRUMENTS, "B");
    kit_record(kit, RECORD_CLOSE, "1006", "");
    kit_plain(kit, CHANNEL_INSTRUMENTS, "A");
    EXPECT(kit, "plain instruments A\nplain instruments B\nplain instruments A\n");
    assert_int_equal(normalise_stats(kit->normalise).streams, 2);
}

static void streams_beyond_the_limits_are_refused_and_counted(void **state)
{
    (void)state;
    struct normalise_config config = kit_config;
    config.streams_max = 3;
    config.symbol_bytes_max = 4;
    reopen(&config);
    kit_trade(kit, "A", 1);
    kit_trade(kit, "ABCDE", 1);
    kit_trade(kit, "ABCD", 1);
    kit_trade(kit, "B", 1);
    kit_subscribe(kit, "\"c@trade\"");
    kit_trade(kit, "A", 3);
    EXPECT(kit, "trade A 1\ntrade ABCD 1\ngap trades A sequence 2-2 missing 1 0..0 none\n"
                "trade A 3\n"); /* a gap can still be told */
    assert_int_equal(normalise_stats(kit->normalise).streams_refused, 3);
    assert_int_equal(normalise_stats(kit->normalise).streams, 3);
}

static void names_beyond_their_memory_are_refused(void **state)
{
    (void)state;
    struct normalise_config config = kit_config;
    config.names_bytes = 5;
    reopen(&config);
    kit_trade(kit, "ABC", 1);
    kit_trade(kit, "DEF", 1);
    kit_trade(kit, "DE", 1);
    EXPECT(kit, "trade ABC 1\ntrade DE 1\n");
    assert_int_equal(normalise_stats(kit->normalise).streams_refused, 1);
}

static void thousand_symbols_are_told_apart(void **state)
{
    (void)state;
    struct normalise_config config = kit_config;
    config.streams_max = 3001;
    config.names_bytes = 1 << 16;
    reopen(&config);
    kit->quiet = true;
    kit->no_check = true;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1500; i++) {
            char symbol[16];
            snprintf(symbol, sizeof symbol, "S%dUSDT", i);
            kit_trade(kit, symbol, i * 10 + round);
            assert_int_equal(kit->stream_of_last, 1 + 2 * i);
            kit_ticker(kit, symbol, round);
            assert_int_equal(kit->stream_of_last, 2 + 2 * i);
        }
    }
    normalise_check(kit->normalise);
    struct normalise_stats stats = normalise_stats(kit->normalise);
    assert_int_equal(stats.events, 9000);
    assert_int_equal(stats.gaps + stats.duplicates + stats.streams_refused, 0);
}

static void normalise_is_not_made_without_memory(void **state)
{
    (void)state;
    struct normalise_handlers handlers = {
        .on_event = (void (*)(void *, uint32_t, const struct event *))abort};
    uint64_t n = 1;
    for (;; n++) {
        alloc_fail_at(n);
        struct normalise *made = normalise_create(&kit_config, &handlers);
        if (made != NULL) {
            normalise_destroy(made);
            break;
        }
    }
    alloc_fail_at(0);
    assert_int_equal(n, 12); /* eleven pieces */
}

static void memory_is_what_was_said(void **state)
{
    (void)state;
    kit_close(kit);
    size_t before = alloc_line_stats(ALLOC_STREAMS).bytes + alloc_line_stats(ALLOC_BOOKS).bytes;
    kit = kit_open(NULL);
    size_t taken =
        alloc_line_stats(ALLOC_STREAMS).bytes + alloc_line_stats(ALLOC_BOOKS).bytes - before;
    size_t books = 0;
    size_t said = normalise_memory_bytes(&kit_config, &books);
    assert_true(taken <= said + 16 * 64); /* rounding of each piece */
    assert_true(said <= taken + 16 * 64);
    assert_true(books < said);
}

#define KIT_TEST(name) cmocka_unit_test_setup_teardown(name, open_kit, close_kit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(trades_in_sequence_pass_without_a_gap),
        KIT_TEST(missing_trades_are_a_gap_before_the_next),
        KIT_TEST(trades_seen_before_are_counted_and_not_landed),
        KIT_TEST(trades_ahead_of_the_older_connection_wait_for_it),
        KIT_TEST(aggregated_trades_count_apart),
        KIT_TEST(aggregated_trades_on_another_connection_hold_nothing_back),
        KIT_TEST(ids_that_fall_far_back_are_a_new_sequence),
        KIT_TEST(gap_of_more_ids_than_a_number_holds_has_no_count),
        KIT_TEST(trades_without_ids_pass),
        KIT_TEST(book_tickers_of_one_connection_all_land),
        KIT_TEST(book_tickers_of_a_second_connection_land_when_newer),
        KIT_TEST(reconnect_without_missing_ids_is_an_overlap),
        KIT_TEST(reconnect_with_missing_ids_names_them),
        KIT_TEST(duplicates_after_a_reconnect_prove_nothing_yet),
        KIT_TEST(reconnect_tells_both_sequences_of_trades),
        KIT_TEST(reconnect_of_a_channel_without_ids_is_unproven),
        KIT_TEST(only_streams_of_the_lost_connection_are_interrupted),
        KIT_TEST(hand_over_to_a_second_connection_is_no_interruption),
        KIT_TEST(stream_that_was_only_subscribed_is_interrupted_from_the_close),
        KIT_TEST(stream_never_seen_again_is_told_at_the_stop_once),
        KIT_TEST(time_between_a_stop_and_a_start_is_a_reconnect),
        KIT_TEST(stream_no_longer_recorded_after_a_stop_is_no_gap),
        KIT_TEST(start_without_a_stop_is_a_crash_of_every_stream),
        KIT_TEST(first_cause_of_an_interruption_stays),
        KIT_TEST(what_was_not_said_until_subscribed_again_is_a_stall),
        KIT_TEST(first_start_is_no_crash),
        KIT_TEST(drop_is_a_row_with_its_count),
        KIT_TEST(drop_of_a_clock_of_today_is_read),
        KIT_TEST(hole_in_the_time_of_a_drop_is_its_work),
        KIT_TEST(undecodable_messages_are_one_row_a_burst),
        KIT_TEST(bursts_beyond_the_table_are_told_early),
        KIT_TEST(streams_have_stable_dense_indexes),
        KIT_TEST(instruments_share_one_stream),
        KIT_TEST(streams_beyond_the_limits_are_refused_and_counted),
        KIT_TEST(names_beyond_their_memory_are_refused),
        KIT_TEST(thousand_symbols_are_told_apart),
        KIT_TEST(normalise_is_not_made_without_memory),
        KIT_TEST(memory_is_what_was_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
