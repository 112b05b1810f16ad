/* Lists of trades by REST: each venue's form, whole and cut at every byte, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event_check.h"
#include "exchange/exchange.h"

struct page {
    enum venue_id venue;
    const char *url;
    const char *body;
    const char *lines;
};

/* Rows as TRADE id side price amount time flags from. */
static const struct page pages[] = {
    {VENUE_BINANCE, "https://h/api/v3/historicalTrades?symbol=BTCUSDT&fromId=28457&limit=2",
     "[{\"id\":28457,\"price\":\"4.00000100\",\"qty\":\"12.00000000\",\"quoteQty\":\"48.000012\","
     "\"time\":1499865549590123,\"isBuyerMaker\":true,\"isBestMatch\":true},"
     "{\"isBuyerMaker\":false,\"time\":1499865549590,\"qty\":\"1\",\"price\":\"4.1\",\"id\":28458}"
     "]",
     "BTCUSDT 28457 sell 4.000001 12 1499865549590123000 8 first from 28457\n"
     "BTCUSDT 28458 buy 4.1 1 1499865549590000000 8 from 28457\nBTCUSDT end\n"},
    {VENUE_BINANCE, "https://h/api/v3/aggTrades?symbol=%42TCUSDT&fromId=26129&limit=1000",
     "[{\"a\":26129,\"p\":\"0.01633102\",\"q\":\"4.70443515\",\"f\":27781,\"l\":27781,"
     "\"T\":1498793709153,\"m\":true,\"M\":true}]",
     "BTCUSDT 26129 sell 0.01633102 4.70443515 1498793709153000000 9 first from 26129\n"
     "BTCUSDT end\n"},
    {VENUE_BINANCE_FUTURES, "https://h/fapi/v1/trades?symbol=BTCUSDT&limit=1000",
     "[{\"id\":28457,\"price\":\"4.00000100\",\"qty\":\"12.00000000\",\"quoteQty\":\"48.00\","
     "\"time\":1499865549590,\"isBuyerMaker\":true,\"isRPITrade\":true}]",
     "BTCUSDT 28457 sell 4.000001 12 1499865549590000000 8 first from -\nBTCUSDT end\n"},
    {VENUE_BINANCE_FUTURES, "https://h/fapi/v1/aggTrades?symbol=BTCUSDT&fromId=1&limit=1000", "[]",
     "BTCUSDT end\n"},
    {VENUE_KUCOIN, "https://h/api/v1/market/histories?symbol=BTC-USDT",
     "{\"code\":\"200000\",\"data\":[{\"sequence\":\"10976028003549185\",\"price\":\"67122\","
     "\"size\":\"0.000025\",\"side\":\"buy\",\"time\":1729177117877000000}]}",
     "BTC-USDT 10976028003549185 buy 67122 0.000025 1729177117877000000 8 first from -\n"
     "BTC-USDT end\n"},
    {VENUE_KUCOIN_FUTURES, "https://h/api/v1/trade/history?symbol=XBTUSDTM",
     "{\"code\":\"200000\",\"data\":[{\"sequence\":1697915257909,\"contractId\":1,"
     "\"tradeId\":\"1697915257909\",\"makerOrderId\":\"1\",\"takerOrderId\":\"2\","
     "\"ts\":1729242032152000000,\"size\":1,\"price\":\"67878\",\"side\":\"sell\"}]}",
     "XBTUSDTM 1697915257909 sell 67878 1 1729242032152000000 8 first from -\nXBTUSDTM end\n"},
    {VENUE_GATE, "https://h/api/v4/spot/trades?currency_pair=BTC_USDT&limit=1000&from=1&to=9",
     "[{\"id\":\"1232893232\",\"create_time\":\"1548000000\","
     "\"create_time_ms\":\"1548000000123.456\",\"side\":\"buy\",\"amount\":\"0.15\","
     "\"price\":\"0.03\",\"currency_pair\":\"BTC_USDT\",\"sequence_id\":\"588018\"}]",
     "BTC_USDT 1232893232 buy 0.03 0.15 1548000000123456000 8 first from -\nBTC_USDT end\n"},
    {VENUE_GATE_FUTURES, "https://h/api/v4/futures/usdt/trades?contract=BTC_USDT&from=1&to=9",
     "[{\"id\":121234231,\"create_time\":1514764800.123,\"create_time_ms\":1514764800.123,"
     "\"contract\":\"BTC_USDT\",\"size\":\"-100.5\",\"price\":\"100.123\"},"
     "{\"id\":121234230,\"create_time_ms\":1514764800,\"size\":3,\"price\":1}]",
     "BTC_USDT 121234231 sell 100.123 100.5 1514764800123000000 8 first from -\n"
     "BTC_USDT 121234230 buy 1 3 1514764800000000000 8 from -\nBTC_USDT end\n"},
};

static struct decoder *decoder;
static char text[4096];
static struct buf seen;

static void on_event(void *context, const struct event *event)
{
    static const char *const sides[] = {"unknown", "buy", "sell"};
    const struct trade_event *trade = &event->trade;
    char price[DECIMAL_TEXT_MAX], amount[DECIMAL_TEXT_MAX];
    assert_null(event_wrong(event, context, 64));
    assert_int_equal(event->channel, CHANNEL_TRADES);
    assert_int_equal(event->conn, 0);
    buf_printf(&seen, "%.*s ", (int)event->symbol.bytes, event->symbol.data);
    if ((trade->flags & TRADE_PAGE_END) != 0) {
        buf_put_str(&seen, STR("end\n"));
        return;
    }
    decimal_format_short(trade->price, price);
    decimal_format_short(trade->amount, amount);
    buf_printf(&seen, "%lld %s %s %s %lld %d%s from ", (long long)trade->trade_id,
               sides[trade->side], price, amount, (long long)event->event_unix_ns,
               trade->flags & TRADE_FLAGS_LANDED,
               (trade->flags & TRADE_PAGE_FIRST) != 0 ? " first" : "");
    if (trade->page_from_id == ID_NONE) {
        buf_put_str(&seen, STR("-\n"));
    } else {
        buf_printf(&seen, "%lld\n", (long long)trade->page_from_id);
    }
}

static struct decode_result decode(enum venue_id venue, enum record_kind kind, const char *url,
                                   struct str body)
{
    char arg[300];
    struct buf out = buf_over(arg, sizeof arg);
    buf_printf(&out, "GET %s%s", url, kind == RECORD_REST ? " 200" : "");
    struct record record = {.seq = 7,
                            .time_unix_ns = 1700000000000000000LL,
                            .kind = kind,
                            .venue = venue,
                            .arg = buf_view(&out),
                            .payload = body};
    return venue_of(venue)->decode(decoder, &record, on_event, &record);
}

static const char *lines(void)
{
    assert_false(seen.overflow);
    text[seen.bytes] = 0;
    buf_reset(&seen);
    return text;
}

static void each_venue_gives_its_rows_and_an_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        struct decode_result result =
            decode(pages[i].venue, RECORD_REST, pages[i].url, str_from(pages[i].body));
        assert_int_equal(result.code, 0);
        assert_int_equal(result.channel, CHANNEL_TRADES);
        assert_string_equal(lines(), pages[i].lines);
    }
}

static void parts_say_what_the_whole_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        const struct page *page = &pages[i];
        size_t bytes = strlen(page->body);
        for (size_t cut = 0; cut <= bytes; cut++) {
            decode(page->venue, RECORD_REST_PART, page->url, str_make(page->body, cut));
            struct decode_result result = decode(page->venue, RECORD_REST, page->url,
                                                 str_make(page->body + cut, bytes - cut));
            assert_int_equal(result.code, 0);
            assert_string_equal(lines(), page->lines);
        }
    }
}

/* The rows that came whole are given; the page has no end. */
static void page_that_is_cut_has_no_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        const struct page *page = &pages[i];
        for (size_t cut = 0; cut < strlen(page->body); cut++) {
            struct decode_result result =
                decode(page->venue, RECORD_REST, page->url, str_make(page->body, cut));
            assert_true(result.code < 0);
            assert_non_null(result.reason);
            const char *got = lines();
            assert_null(strstr(got, " end\n"));
            assert_memory_equal(got, page->lines, strlen(got));
        }
    }
}

static void wrong_members_are_refused_with_words(void **state)
{
    (void)state;
    static const struct {
        const char *row, *reason;
    } rows[] = {
        {"{}", "trades: id: not a whole number"},
        {"{\"id\":1.5,\"price\":\"1\",\"qty\":\"1\",\"time\":1499865549590}",
         "trades: id: not a whole number"},
        {"{\"id\":null,\"price\":\"1\",\"qty\":\"1\",\"time\":1499865549590}",
         "trades: id: not a whole number"},
        {"{\"id\":99999999999999999999,\"price\":\"1\",\"qty\":\"1\",\"time\":1499865549590}",
         "trades: id: not a whole number"},
        {"{\"id\":1,\"price\":\"x\",\"qty\":\"1\",\"time\":1499865549590}",
         "trades: price or amount: not a number"},
        {"{\"id\":1,\"price\":\"1\",\"time\":1499865549590}",
         "trades: price or amount: not a number"},
        {"{\"id\":1,\"price\":\"1\",\"qty\":[1],\"time\":1499865549590}",
         "trades: price or amount: not a number"},
        {"{\"id\":1,\"price\":\"1\",\"qty\":\"1\"}", "trades: time: not one"},
        {"{\"id\":1,\"price\":\"1\",\"qty\":\"1\",\"time\":-5}", "trades: time: not one"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char body[300];
        snprintf(body, sizeof body, "[%s]", rows[i].row);
        struct decode_result result =
            decode(VENUE_BINANCE, RECORD_REST, pages[0].url, str_from(body));
        assert_true(result.code < 0);
        assert_string_equal(result.reason, rows[i].reason);
        assert_string_equal(lines(), "");
    }
}

static void error_of_the_venue_is_no_page(void **state)
{
    (void)state;
    struct decode_result result =
        decode(VENUE_KUCOIN, RECORD_REST, pages[4].url,
               STR("{\"code\":\"429000\",\"msg\":\"too many\",\"data\":[]}"));
    assert_true(result.code < 0);
    assert_string_equal(lines(), "");
}

static void urls_ask_for_what_is_missing(void **state)
{
    (void)state;
    static const struct {
        enum venue_id venue;
        bool aggregate;
        const char *url;
    } rows[] = {
        {VENUE_BINANCE, false, "B/api/v3/historicalTrades?symbol=A%26B&fromId=100&limit=51"},
        {VENUE_BINANCE, true, "B/api/v3/aggTrades?symbol=A%26B&fromId=100&limit=51"},
        {VENUE_BINANCE_FUTURES, false, "B/fapi/v1/trades?symbol=A%26B&limit=1000"},
        {VENUE_BINANCE_FUTURES, true, "B/fapi/v1/aggTrades?symbol=A%26B&fromId=100&limit=51"},
        {VENUE_KUCOIN, false, "B/api/v1/market/histories?symbol=A%26B"},
        {VENUE_KUCOIN_FUTURES, false, "B/api/v1/trade/history?symbol=A%26B"},
        {VENUE_GATE, false, "B/spot/trades?currency_pair=A%26B&limit=1000&from=990&to=1007"},
        {VENUE_GATE_FUTURES, false,
         "B/futures/usdt/trades?contract=A%26B&limit=1000&from=990&to=1007"},
    };
    struct trades_hole hole = {
        .from_id = 100,
        .to_id = 150,
        .start_unix_ns = 1000000000000LL,
        .end_unix_ns = 1005999999999LL,
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct venue *venue = venue_of(rows[i].venue);
        char url[300];
        struct buf out = buf_over(url, sizeof url - 1);
        hole.aggregate = rows[i].aggregate;
        assert_non_null(venue->backfill(rows[i].aggregate));
        assert_int_equal(venue->rest_trades("B", STR("A&B"), &hole, &out), 0);
        url[out.bytes] = 0;
        assert_string_equal(url, rows[i].url);
    }
    assert_null(venue_of(VENUE_GATE)->backfill(true));
    assert_null(venue_of(VENUE_KUCOIN)->backfill(true));
}

static int open_decoder(void **state)
{
    (void)state;
    struct decoder_config config = {.levels_max = 64};
    decoder = decoder_create(&config);
    seen = buf_over(text, sizeof text - 1);
    return decoder != NULL ? 0 : -1;
}

static int close_decoder(void **state)
{
    (void)state;
    decoder_destroy(decoder);
    return 0;
}

#define TRADES_TEST(name) cmocka_unit_test_setup_teardown(name, open_decoder, close_decoder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TRADES_TEST(each_venue_gives_its_rows_and_an_end),
        TRADES_TEST(parts_say_what_the_whole_says),
        TRADES_TEST(page_that_is_cut_has_no_end),
        TRADES_TEST(wrong_members_are_refused_with_words),
        TRADES_TEST(error_of_the_venue_is_no_page),
        TRADES_TEST(urls_ask_for_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
