/* Trades whose ids only grow (Gate, KuCoin): the last ids that landed tell what came twice from
 * what one connection brings late, or never. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "normalise/normalise_internal.h"
#include "normalise_kit.h"

static struct kit *kit;
static struct normalise_config config;

static int open_kit(void **state)
{
    (void)state;
    config = kit_config;
    kit = kit_open(&config);
    kit->venue = VENUE_GATE_FUTURES;
    return 0;
}

static int close_kit(void **state)
{
    (void)state;
    kit_close(kit);
    return 0;
}

static void trades(uint32_t conn, const int64_t *ids, size_t count)
{
    kit->conn = conn;
    for (size_t i = 0; i < count; i++) {
        kit_trade(kit, "A", ids[i]);
    }
}
#define ON(conn, ...) \
    trades(conn, (int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static uint64_t duplicates(void)
{
    return normalise_stats(kit->normalise).duplicates;
}

/* ---- living twice */

static void on_part(void *context, struct str part)
{
    struct kit *next = context;
    assert_int_equal(normalise_restore(next->normalise, part), 0);
}

static void reborn(void)
{
    struct kit *next = kit_open(&config);
    normalise_checkpoint(kit->normalise, NORMALISE_PART_BYTES_MIN, on_part, next);
    normalise_check(next->normalise);
    next->venue = kit->venue;
    next->now_s = kit->now_s;
    next->seq = kit->seq;
    next->quiet = kit->quiet;
    kit_close(kit);
    kit = next;
}

/* ---- tests */

static void what_only_the_slower_connection_brings_lands(void **state)
{
    (void)state;
    ON(1, 215, 218);
    ON(2, 221, 227);
    ON(1, 221, 224, 227, 230);
    ON(2, 230, 233);
    EXPECT(kit, "trade A 215\ntrade A 218\ntrade A 221\ntrade A 227\ntrade A 224\ntrade A 230\n"
                "trade A 233\n");
    assert_int_equal(duplicates(), 3);
}

static void message_of_several_trades_lands_once(void **state)
{
    (void)state;
    ON(1, 10);
    ON(1, 11, 12, 14);
    ON(1, 11, 12, 14);
    ON(1, 15);
    EXPECT(kit, "trade A 10\ntrade A 11\ntrade A 12\ntrade A 14\ntrade A 15\n");
    assert_int_equal(duplicates(), 3);
}

static void swapped_messages_land_once_each(void **state)
{
    (void)state;
    ON(1, 10, 14, 15, 11, 12, 13, 14, 11, 16);
    EXPECT(kit, "trade A 10\ntrade A 14\ntrade A 15\ntrade A 11\ntrade A 12\ntrade A 13\n"
                "trade A 16\n");
}

/* Nothing landed before the first: what is older was never there. */
static void what_is_older_than_the_first_lands_once(void **state)
{
    (void)state;
    ON(2, 20);
    ON(1, 18, 20);
    ON(2, 18);
    EXPECT(kit, "trade A 20\ntrade A 18\n");
    reborn();
    ON(1, 18, 19, 20);
    EXPECT(kit, "trade A 19\n");
}

static void ring_turns_and_forgets_the_smallest(void **state)
{
    (void)state;
    kit->quiet = true;
    for (int64_t i = 0; i < 3 * RECENT_IDS + 5; i++) {
        ON(1, 1000 + 2 * i);
    }
    kit->quiet = false;
    int64_t last = 1000 + 2 * (3 * RECENT_IDS + 4);
    int64_t least = last - 2 * (RECENT_IDS - 1);
    ON(2, least - 2, least - 1, least, last - 2, last); /* the first two: too old to be known */
    EXPECT(kit, "");
    ON(2, least + 1); /* pushes `least` out */
    ON(1, least, last - 1, last + 2);
    char expected[96];
    snprintf(expected, sizeof expected, "trade A %lld\ntrade A %lld\ntrade A %lld\n",
             (long long)least + 1, (long long)last - 1, (long long)last + 2);
    assert_string_equal(kit_lines(kit), expected);
}

/* A venue's ids that fall back by little are no double for ever: on one connection they land. */
static void ids_that_fall_back_do_not_silence_a_stream(void **state)
{
    (void)state;
    kit->quiet = true;
    for (int64_t i = 0; i < 2 * RECENT_IDS; i++) {
        ON(1, 1000 + i);
    }
    kit->quiet = false;
    ON(1, 5, 6, 7);
    EXPECT(kit, "trade A 5\ntrade A 6\ntrade A 7\n");
}

static void ids_that_begin_anew_forget_the_old_ones(void **state)
{
    (void)state;
    ON(1, 5000000000, 5000000001);
    ON(1, 1, 2, 1);
    ON(2, 2, 3);
    EXPECT(kit, "trade A 5000000000\ntrade A 5000000001\n"
                "gap trades A sequence --- missing - 0..0 none\ntrade A 1\ntrade A 2\ntrade A 3\n");
}

static void without_a_ring_the_last_id_tells(void **state)
{
    (void)state;
    kit_close(kit);
    config.recents_max = 0;
    kit = kit_open(&config);
    kit->venue = VENUE_KUCOIN;
    ON(1, 10, 12);
    ON(2, 10, 11, 12, 13, 13);
    EXPECT(kit, "trade A 10\ntrade A 12\ntrade A 13\n");
    config.recents_max = 1; /* more than before: what is below the last id is not known */
    reborn();
    ON(2, 13);
    ON(1, 11, 13, 15, 14);
    EXPECT(kit, "trade A 15\ntrade A 14\n");
    config.recents_max = 0;
    reborn();
    ON(1, 15, 16);
    EXPECT(kit, "trade A 16\n");
}

/* What REST brought into a hole is there too, when a connection brings it again. */
static void filled_holes_are_remembered(void **state)
{
    (void)state;
    kit_close(kit);
    config.backfill_enabled = true;
    config.backfill_trades_max = 1000;
    config.backfill_age_ns = 3600 * NS_PER_S;
    kit = kit_open(&config);
    kit->venue = VENUE_GATE;
    ON(1, 10);
    kit_record(kit, RECORD_CLOSE, "1006 reset", "");
    kit->now_s = 30;
    ON(2, 50);
    kit_lines(kit);
    ON(2, 30); /* late, into the hole */
    EXPECT(kit, "trade A 30\n");
    static const int64_t ids[] = {50, 44, 30, 20, 10};
    kit_page(kit, "A", 0, ID_NONE, ids, 5, true);
    EXPECT(kit, "trade A 44 rest\ngap trades A reconnect --- missing 1 0..30 backfill\n"
                "trade A 20 rest\ngap trades A reconnect --- missing 1 0..30 backfill\n");
    reborn();
    ON(3, 20, 30, 44, 45, 50, 51);
    EXPECT(kit, "trade A 45\ntrade A 51\n");
}

/* ---- against a list of all that landed */

static uint64_t random_state;

static int64_t random_below(int64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int64_t)(random_state % (uint64_t)n);
}

#define TRADES 2000

static void two_connections_with_losses_land_each_trade_once(void **state)
{
    (void)state;
    int64_t ids[TRADES];
    uint64_t landed = 0, wanted = 0;
    random_state = 7;
    kit->quiet = true;
    kit->no_check = true;
    for (int i = 0; i < TRADES; i++) {
        ids[i] = (i > 0 ? ids[i - 1] : 0) + 1 + random_below(4);
    }
    bool there[TRADES] = {false};
    ptrdiff_t at[2] = {0, 0};
    while (at[0] < TRADES || at[1] < TRADES) {
        int conn = at[0] < TRADES && (at[1] >= TRADES || at[0] - at[1] < 50) &&
                   (at[1] - at[0] >= 50 || random_below(2) == 0);
        ptrdiff_t *next = &at[!conn];
        ptrdiff_t from = *next - random_below(3); /* some of it again */
        for (ptrdiff_t i = from < 0 ? 0 : from; i <= *next; i++) {
            if (random_below(5) != 0) {
                uint64_t events = normalise_stats(kit->normalise).events;
                ON(conn ? 1 : 2, ids[i]);
                landed += normalise_stats(kit->normalise).events - events;
                wanted += !there[i];
                there[i] = true;
                assert_int_equal(landed, wanted);
            }
        }
        ++*next;
        if (random_below(20) == 0) {
            reborn();
            kit->no_check = true;
        }
    }
    assert_in_range(landed, TRADES * 9 / 10, TRADES);
}

#define KIT_TEST(name) cmocka_unit_test_setup_teardown(name, open_kit, close_kit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(what_only_the_slower_connection_brings_lands),
        KIT_TEST(message_of_several_trades_lands_once),
        KIT_TEST(swapped_messages_land_once_each),
        KIT_TEST(what_is_older_than_the_first_lands_once),
        KIT_TEST(ring_turns_and_forgets_the_smallest),
        KIT_TEST(ids_that_fall_back_do_not_silence_a_stream),
        KIT_TEST(ids_that_begin_anew_forget_the_old_ones),
        KIT_TEST(without_a_ring_the_last_id_tells),
        KIT_TEST(filled_holes_are_remembered),
        KIT_TEST(two_connections_with_losses_land_each_trade_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
