/* Streams that should speak and do not. Binance: depth and bookTicker say something within 60 s and
 * are never silent for 15 minutes; trades may be silent for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
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

static void tick_at(int64_t s)
{
    kit->now_s = s - 1;
    kit_tick(kit);
}

static void first_data_is_waited_for_then_asked_less_and_less(void **state)
{
    (void)state;
    kit_subscribe(kit, "\"a@bookTicker\",\"b@bookTicker\",\"a@trade\"");
    kit_ticker(kit, "B", 1);
    kit_lines(kit);
    tick_at(59);
    EXPECT(kit, "");
    tick_at(60);
    EXPECT(kit, "silent book_ticker A\n");
    tick_at(89);
    EXPECT(kit, "");
    tick_at(90);
    EXPECT(kit, "silent book_ticker A\n");
    tick_at(149);
    EXPECT(kit, "");
    tick_at(150);
    EXPECT(kit, "silent book_ticker A\n");
    kit_ticker(kit, "A", 1);
    kit_lines(kit);
    tick_at(899);
    EXPECT(kit, "");
    assert_int_equal(normalise_stats(kit->normalise).silences, 3);
}

static void stall_is_noticed_per_stream_and_the_pause_begins_anew(void **state)
{
    (void)state;
    kit_subscribe(kit, "\"a@bookTicker\",\"b@bookTicker\"");
    kit_ticker(kit, "A", 1);
    kit_ticker(kit, "B", 1);
    kit->now_s = 500;
    kit_ticker(kit, "B", 2);
    kit_lines(kit);
    tick_at(900);
    EXPECT(kit, "silent book_ticker A\n");
    kit->now_s = 901;
    kit_subscribe(kit, "\"a@bookTicker\""); /* only it is asked for again */
    kit->now_s = 960;
    kit_ticker(kit, "A", 2);
    kit_ticker(kit, "B", 3);
    kit_lines(kit);
    tick_at(1859);
    EXPECT(kit, "");
    tick_at(1860);
    EXPECT(kit, "silent book_ticker A\nsilent book_ticker B\n");
    tick_at(1890);
    EXPECT(kit, "silent book_ticker A\nsilent book_ticker B\n");
}

static void what_is_closed_or_unsubscribed_is_not_watched(void **state)
{
    (void)state;
    kit_subscribe(kit, "\"a@bookTicker\",\"b@bookTicker\"");
    kit_record(kit, RECORD_SENT, "",
               "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"a@bookTicker\"],\"id\":2}");
    tick_at(70);
    EXPECT(kit, "silent book_ticker B\n");
    kit_record(kit, RECORD_CLOSE, "1006", "");
    tick_at(7000);
    EXPECT(kit, "");
}

static void settings_replace_the_venues_bounds_but_never_watch_what_may_be_silent(void **state)
{
    (void)state;
    struct normalise_config config = kit_config;
    config.first_data_ns = 5 * NS_PER_S;
    config.stream_stall_ns = 20 * NS_PER_S;
    kit_close(kit);
    kit = kit_open(&config);
    kit_subscribe(kit, "\"a@bookTicker\",\"b@bookTicker\",\"a@trade\"");
    kit_ticker(kit, "A", 1);
    kit_trade(kit, "A", 1);
    kit_lines(kit);
    tick_at(5);
    EXPECT(kit, "silent book_ticker B\n");
    tick_at(20);
    EXPECT(kit, "silent book_ticker A\n");
}

#define KIT_TEST(name) cmocka_unit_test_setup_teardown(name, open_kit, close_kit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(first_data_is_waited_for_then_asked_less_and_less),
        KIT_TEST(stall_is_noticed_per_stream_and_the_pause_begins_anew),
        KIT_TEST(what_is_closed_or_unsubscribed_is_not_watched),
        KIT_TEST(settings_replace_the_venues_bounds_but_never_watch_what_may_be_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
