/* Paths and names of files: the layouts, and hostile symbols (faults.md row 16). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "store/store.h"

#define HOUR 1795424400000000000LL /* 2026-11-23T09:00:00Z */

static char path[640];

static const char *path_of(enum file_layout layout, enum channel channel, struct str symbol)
{
    int length =
        store_partition_path(layout, VENUE_BINANCE, channel, symbol, HOUR, path, sizeof path);
    assert_int_equal(length, (int)strlen(path));
    return path;
}

static void layouts_are_as_documented(void **state)
{
    (void)state;
    struct str symbol = STR("BTCUSDT");
    assert_string_equal(path_of(LAYOUT_HIVE, CHANNEL_TRADES, symbol),
                        "exchange=binance/channel=trades/symbol=BTCUSDT/date=2026-11-23/hour=09");
    assert_string_equal(path_of(LAYOUT_PLAIN, CHANNEL_DEPTH, symbol),
                        "binance/incremental_book_L2/BTCUSDT/2026-11-23/09");
    assert_string_equal(path_of(LAYOUT_HIVE, CHANNEL_GAPS, symbol),
                        "exchange=binance/channel=gaps/date=2026-11-23");
    assert_string_equal(path_of(LAYOUT_PLAIN, CHANNEL_INSTRUMENTS, symbol),
                        "binance/instruments/2026-11-23");
}

static void names_say_start_recorder_and_number(void **state)
{
    (void)state;
    char name[128];
    assert_int_equal(
        store_file_name(HOUR + 123456789, "rec-1", 0, FORMAT_PARQUET, name, sizeof name), 40);
    assert_string_equal(name, "20261123T090000.123456Z-rec-1-00.parquet");
    store_file_name(HOUR, "a", 7, FORMAT_JSONL, name, sizeof name);
    assert_string_equal(name, "20261123T090000.000000Z-a-07.jsonl.zst");
    store_file_name(HOUR, "a", 123, FORMAT_CSV, name, sizeof name);
    assert_string_equal(name, "20261123T090000.000000Z-a-123.csv.gz");
    assert_int_equal(store_file_name(HOUR, "a", 0, FORMAT_CSV, name, 10), MD_ETOOBIG);
}

static void hostile_symbols_stay_one_component(void **state)
{
    (void)state;
    static char long_symbol[300];
    memset(long_symbol, 'L', sizeof long_symbol);
    const struct {
        struct str symbol;
        const char *component; /* NULL: only looked over */
    } rows[] = {
        {STR("../x"), "%2E.%2Fx"},   {STR("a/b"), "a%2Fb"},
        {STR("."), "%2E"},           {STR(""), "%00empty"},
        {STR("a\0b"), "a%00b"},      {STR("CON"), "CON"},
        {STR("\xc3\xa9"), "%C3%A9"}, {STR("%2e%2e"), "%252e%252e"},
        {STR(".."), "%2E."},         {str_make(long_symbol, sizeof long_symbol), NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        path_of(LAYOUT_HIVE, CHANNEL_TRADES, rows[i].symbol);
        char *begin = strstr(path, "/symbol=");
        assert_non_null(begin);
        begin += strlen("/symbol=");
        char *end = strstr(begin, "/date=2026-11-23/hour=09");
        assert_non_null(end);
        *end = 0;
        assert_null(strchr(begin, '/'));
        assert_true(strlen(begin) > 0 && strlen(begin) < 250);
        assert_true(begin[0] != '.');
        if (rows[i].component != NULL) {
            assert_string_equal(begin, rows[i].component);
        }
    }
}

static void symbols_that_differ_in_case_differ_in_path(void **state)
{
    (void)state;
    char upper[640];
    strcpy(upper, path_of(LAYOUT_HIVE, CHANNEL_TRADES, STR("BTC")));
    assert_string_not_equal(upper, path_of(LAYOUT_HIVE, CHANNEL_TRADES, STR("btc")));
}

static void a_path_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct str symbol = STR("BTCUSDT");
    int whole = store_partition_path(LAYOUT_HIVE, VENUE_BINANCE, CHANNEL_TRADES, symbol, HOUR, path,
                                     sizeof path);
    for (size_t room = 0; room <= (size_t)whole; room++) {
        char small[128];
        assert_int_equal(store_partition_path(LAYOUT_HIVE, VENUE_BINANCE, CHANNEL_TRADES, symbol,
                                              HOUR, small, room),
                         MD_ETOOBIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts_are_as_documented),
        cmocka_unit_test(names_say_start_recorder_and_number),
        cmocka_unit_test(hostile_symbols_stay_one_component),
        cmocka_unit_test(symbols_that_differ_in_case_differ_in_path),
        cmocka_unit_test(a_path_that_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
