/* What every venue's feed side must keep, and the words each of them sends: requests, URLs,
 * replies. The expected texts are those of the venues' documents (docs/exchanges). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "exchange/exchange.h"

static char memory[16384];

static const char *text_of(struct buf *buf)
{
    assert_true(buf->bytes < sizeof memory - 1);
    memory[buf->bytes] = 0;
    return memory;
}

static const char *symbol_of(enum venue_id id)
{
    switch (id) {
    case VENUE_KUCOIN:
        return "BTC-USDT";
    case VENUE_KUCOIN_FUTURES:
        return "XBTUSDTM";
    case VENUE_GATE:
    case VENUE_GATE_FUTURES:
        return "BTC_USDT";
    case VENUE_BINANCE:
    case VENUE_BINANCE_FUTURES:
    case VENUE_NONE:
    case VENUE_ID_END:
        return "BTCUSDT";
    }
    return NULL;
}

static struct stream_request request_of(enum venue_id id, uint32_t channel, bool aggregate)
{
    return (struct stream_request){.channel = (enum channel)channel,
                                   .aggregate = aggregate,
                                   .symbol = str_from(symbol_of(id)),
                                   .interval = STR("1m")};
}

/* The request for the `which`th subscription of a channel; NULL = there is none. */
static const char *asked(enum venue_id id, enum channel channel, bool aggregate, uint32_t which)
{
    const struct venue *venue = venue_of(id);
    struct stream_request request = request_of(id, channel, aggregate);
    struct venue_stream made[VENUE_STREAMS_MAX];
    if (venue->streams(&request, 0, made) <= which) {
        return NULL;
    }
    const struct venue_stream *one = &made[which];
    struct venue_request ask = {true, &one, 1, 7, 1700000000};
    struct buf out = buf_over(memory, sizeof memory - 1);
    assert_int_equal(venue->subscribe(&ask, &out), 0);
    return text_of(&out);
}

struct seen {
    uint32_t count;
    bool on;
    int channel;
    bool aggregate;
    char symbol[32];
};

static void on_stream(void *context, bool on, enum channel channel, bool aggregate,
                      struct str symbol)
{
    struct seen *seen = context;
    assert_true(symbol.bytes < sizeof seen->symbol);
    seen->count++;
    seen->on = on;
    seen->channel = (int)channel;
    seen->aggregate = aggregate;
    memcpy(seen->symbol, symbol.data, symbol.bytes);
    seen->symbol[symbol.bytes] = 0;
}

static void sent_is_understood(const struct venue *venue, const struct venue_stream *stream,
                               bool subscribe)
{
    struct venue_request ask = {subscribe, &stream, 1, 7, 1700000000};
    struct buf out = buf_over(memory, sizeof memory - 1);
    assert_int_equal(venue->subscribe(&ask, &out), 0);
    assert_true(out.bytes <= venue->endpoints[stream->endpoint].limits.subscribe_bytes_max);
    struct record record = {
        .kind = RECORD_SENT, .venue = venue->id, .conn = 1, .payload = buf_view(&out)};
    struct seen seen = {0};
    venue->decode_sent(&record, on_stream, &seen);
    if (seen.count != 1 || seen.on != subscribe || seen.channel != (int)stream->request.channel ||
        seen.aggregate !=
            (stream->request.aggregate && stream->request.channel == CHANNEL_TRADES) ||
        strcmp(seen.symbol, symbol_of(venue->id)) != 0) {
        print_error("%s: %s read as %u streams, channel %d, symbol %s\n", venue->name,
                    text_of(&out), seen.count, seen.channel, seen.symbol);
        fail();
    }
}

static void every_stream_that_is_asked_for_is_read_back(void **state)
{
    (void)state;
    for (int id = VENUE_NONE + 1; id < VENUE_ID_END; id++) {
        const struct venue *venue = venue_of((enum venue_id)id);
        uint32_t streams = 0;
        for (uint32_t channel = 0; venue != NULL && channel < CHANNEL_COUNT * 2; channel++) {
            struct stream_request request =
                request_of(venue->id, channel % CHANNEL_COUNT, channel >= CHANNEL_COUNT);
            struct venue_stream made[VENUE_STREAMS_MAX];
            uint32_t count = venue->streams(&request, 0, made);
            assert_true(count <= VENUE_STREAMS_MAX);
            for (uint32_t i = 0; i < count; i++) {
                assert_true(made[i].endpoint < venue->endpoint_count);
                assert_true(venue->streams_per_request(&made[i]) > 0);
                assert_true(venue->rate(&made[i]) > 0);
                sent_is_understood(venue, &made[i], true);
                sent_is_understood(venue, &made[i], false);
                streams++;
            }
        }
        assert_true(venue == NULL || streams >= 6);
    }
}

static void symbols_that_would_break_a_request_are_not_asked_for(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "A\"B", "A B", "A\\", "A\nB"};
    for (int id = VENUE_NONE + 1; id < VENUE_ID_END; id++) {
        const struct venue *venue = venue_of((enum venue_id)id);
        for (size_t i = 0; venue != NULL && i < sizeof bad / sizeof bad[0]; i++) {
            for (uint32_t channel = 0; channel < CHANNEL_COUNT; channel++) {
                struct stream_request request = request_of(venue->id, channel, false);
                struct venue_stream made[VENUE_STREAMS_MAX];
                request.symbol = str_from(bad[i]);
                if (venue->streams(&request, 0, made) != 0) {
                    print_error("%s: \"%s\" is asked for\n", venue->name, bad[i]);
                    fail();
                }
            }
        }
    }
}

static void a_request_that_does_not_fit_is_refused_at_every_size(void **state)
{
    (void)state;
    for (int id = VENUE_NONE + 1; id < VENUE_ID_END; id++) {
        const struct venue *venue = venue_of((enum venue_id)id);
        struct stream_request request =
            request_of((enum venue_id)id, CHANNEL_TRADES, id == VENUE_BINANCE_FUTURES);
        struct venue_stream made[VENUE_STREAMS_MAX];
        if (venue == NULL) {
            continue;
        }
        assert_true(venue->streams(&request, 0, made) > 0);
        const struct venue_stream *one = made;
        struct venue_request ask = {true, &one, 1, 7, 1700000000};
        struct buf out = buf_over(memory, sizeof memory - 1);
        assert_int_equal(venue->subscribe(&ask, &out), 0);
        size_t whole = out.bytes;
        for (size_t bytes = 0; bytes < whole; bytes++) {
            out = buf_over(memory, bytes);
            assert_int_equal(venue->subscribe(&ask, &out), MD_ETOOBIG);
        }
    }
}

static void limits_are_whole(void **state)
{
    (void)state;
    for (int id = VENUE_NONE + 1; id < VENUE_ID_END; id++) {
        const struct venue *venue = venue_of((enum venue_id)id);
        for (uint32_t e = 0; venue != NULL && e < venue->endpoint_count; e++) {
            const struct venue_limits *limits = &venue->endpoints[e].limits;
            assert_int_equal(venue->id, id);
            assert_true(limits->streams_preset > 0);
            assert_true(limits->streams_preset <= limits->streams_per_connection);
            assert_true(limits->control_messages > 0 && limits->control_window_ms > 0);
            /* our own spacing keeps the window by itself */
            assert_true(limits->control_window_ms / limits->control_spacing_ms <=
                        limits->control_messages);
            assert_true(limits->connects > 0 && limits->connects_window_ms > 0);
            assert_true(limits->connect_spacing_ms > 0);
            assert_true(limits->subscribe_bytes_max >= 512);
            assert_true(limits->ack_timeout_ms > 0);
            assert_true(venue->endpoints[e].ping_ms == 0 || venue->ping != NULL);
            assert_true(!venue->endpoints[e].needs_token || venue->token != NULL);
        }
    }
}

/* A stream can die while its connection lives: books and best prices are watched everywhere, trades
 * and liquidations may be silent for ever. */
static void what_should_speak_is_watched_at_every_venue(void **state)
{
    (void)state;
    for (int id = VENUE_NONE + 1; id < VENUE_ID_END; id++) {
        const struct venue *venue = venue_of((enum venue_id)id);
        static const enum channel watched[] = {CHANNEL_DEPTH, CHANNEL_BOOK_TICKER};
        static const enum channel quiet[] = {CHANNEL_TRADES, CHANNEL_LIQUIDATIONS};
        for (int i = 0; i < 2; i++) {
            struct rhythm rhythm = venue->rhythm(watched[i]);
            assert_in_range(rhythm.first_ms, 5000, 60000);
            assert_in_range(rhythm.quiet_ms, 60000, 900000);
            rhythm = venue->rhythm(quiet[i]);
            assert_int_equal(rhythm.first_ms + rhythm.quiet_ms, 0);
        }
    }
}

static void binance_futures_asks_on_its_two_routes(void **state)
{
    (void)state;
    enum venue_id id = VENUE_BINANCE_FUTURES;
    static const struct {
        enum channel channel;
        bool aggregate;
        const char *name;
        uint32_t route;
    } cases[] = {
        {CHANNEL_TRADES, false, "btcusdt@trade", 0},
        {CHANNEL_TRADES, true, "btcusdt@aggTrade", 1},
        {CHANNEL_BOOK_TICKER, false, "btcusdt@bookTicker", 0},
        {CHANNEL_DEPTH, false, "btcusdt@depth@100ms", 0},
        {CHANNEL_BOOK_SNAPSHOT_5, false, "btcusdt@depth5@100ms", 0},
        {CHANNEL_BOOK_SNAPSHOT_20, false, "btcusdt@depth20@100ms", 0},
        {CHANNEL_DERIVATIVE_TICKER, false, "btcusdt@markPrice@1s", 1},
        {CHANNEL_LIQUIDATIONS, false, "btcusdt@forceOrder", 1},
        {CHANNEL_CANDLES, false, "btcusdt@kline_1m", 1},
        {CHANNEL_TICKER, false, "btcusdt@ticker", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[200];
        snprintf(expected, sizeof expected,
                 "{\"method\":\"SUBSCRIBE\",\"params\":[\"%s\"],\"id\":7}", cases[i].name);
        assert_string_equal(asked(id, cases[i].channel, cases[i].aggregate, 0), expected);
        struct stream_request request = request_of(id, cases[i].channel, cases[i].aggregate);
        struct venue_stream made[VENUE_STREAMS_MAX];
        assert_int_equal(venue_of(id)->streams(&request, 0, made), 1);
        assert_int_equal(made[0].endpoint, cases[i].route);
    }
    assert_null(asked(id, CHANNEL_BOOK_SNAPSHOT_50, false, 0));
    struct buf out = buf_over(memory, sizeof memory - 1);
    assert_int_equal(venue_of(id)->connect_url(0, "wss://h", &out), 0);
    assert_string_equal(text_of(&out), "wss://h/public/stream");
    out = buf_over(memory, sizeof memory - 1);
    assert_int_equal(venue_of(id)->connect_url(1, "wss://h", &out), 0);
    assert_string_equal(text_of(&out), "wss://h/market/stream");
}

static void gate_asks_with_time_id_and_payload(void **state)
{
    (void)state;
#define HEAD "{\"time\":1700000000,\"id\":7,\"channel\":\""
    assert_string_equal(asked(VENUE_GATE, CHANNEL_TRADES, false, 0),
                        HEAD "spot.trades\",\"event\":\"subscribe\",\"payload\":[\"BTC_USDT\"]}");
    assert_string_equal(asked(VENUE_GATE, CHANNEL_DEPTH, false, 0), HEAD
                        "spot.obu\",\"event\":\"subscribe\",\"payload\":[\"ob.BTC_USDT.400\"]}");
    assert_string_equal(
        asked(VENUE_GATE, CHANNEL_CANDLES, false, 0),
        HEAD "spot.candlesticks\",\"event\":\"subscribe\",\"payload\":[\"1m\",\"BTC_USDT\"]}");
    assert_string_equal(asked(VENUE_GATE, CHANNEL_BOOK_SNAPSHOT_20, false, 0),
                        HEAD "spot.order_book\",\"event\":\"subscribe\",\"payload\":[\"BTC_USDT\","
                             "\"20\",\"100ms\"]}");
    assert_string_equal(asked(VENUE_GATE_FUTURES, CHANNEL_DERIVATIVE_TICKER, false, 0), HEAD
                        "futures.tickers\",\"event\":\"subscribe\",\"payload\":[\"BTC_USDT\"]}");
    assert_string_equal(
        asked(VENUE_GATE_FUTURES, CHANNEL_DERIVATIVE_TICKER, false, 1),
        HEAD "futures.contract_stats\",\"event\":\"subscribe\",\"payload\":[\"BTC_USDT\",\"1m\"]}");
    assert_string_equal(
        asked(VENUE_GATE_FUTURES, CHANNEL_LIQUIDATIONS, false, 0),
        HEAD "futures.public_liquidates\",\"event\":\"subscribe\",\"payload\":[\"BTC_USDT\"]}");
    assert_null(asked(VENUE_GATE, CHANNEL_LIQUIDATIONS, false, 0));
    struct buf out = buf_over(memory, sizeof memory - 1);
    assert_int_equal(venue_of(VENUE_GATE)->ping(0, 3, 1700000001, &out), 0);
    assert_string_equal(text_of(&out), "{\"time\":1700000001,\"channel\":\"spot.ping\"}");
}

static enum control_kind control(enum venue_id id, const char *frame, struct control_reply *reply)
{
    *reply = (struct control_reply){.id = -1};
    return venue_of(id)->control(str_from(frame), reply);
}

static void gate_replies_are_told_from_data(void **state)
{
    (void)state;
    struct control_reply reply;
    assert_int_equal(control(VENUE_GATE,
                             "{\"time\":1,\"id\":12,\"channel\":\"spot.trades\",\"event\":"
                             "\"subscribe\",\"error\":null,\"result\":{\"status\":\"success\"}}",
                             &reply),
                     CONTROL_ACK);
    assert_int_equal(reply.id, 12);
    assert_int_equal(control(VENUE_GATE,
                             "{\"time\":1,\"id\":3,\"channel\":\"spot.trades\",\"event\":"
                             "\"subscribe\",\"error\":{\"code\":2,\"message\":\"unknown currency "
                             "pair: X\"},\"result\":{\"status\":\"fail\"}}",
                             &reply),
                     CONTROL_ERROR);
    assert_int_equal(reply.id, 3);
    assert_int_equal(reply.code, 2);
    assert_string_equal(reply.text, "unknown currency pair: X");
    assert_int_equal(
        control(VENUE_GATE, "{\"time\":1,\"channel\":\"spot.pong\",\"event\":\"\",\"result\":null}",
                &reply),
        CONTROL_OTHER);
    assert_int_equal(control(VENUE_GATE,
                             "{\"time\":1,\"channel\":\"spot.trades\",\"event\":\"update\","
                             "\"result\":{\"id\":5}}",
                             &reply),
                     CONTROL_NONE);
}

static void no_reply_can_be_cut_into_another(void **state)
{
    (void)state;
    static const char *const frames[] = {
        "{\"result\":null,\"id\":12}",
        ("{\"time\":1,\"id\":12,\"channel\":\"spot.trades\",\"event\":\"subscribe\",\"error\":null,"
         "\"result\":{\"status\":\"success\"}}"),
        "{\"id\":\"12\",\"type\":\"ack\"}",
    };
    for (int id = VENUE_NONE + 1; id < VENUE_ID_END; id++) {
        const struct venue *venue = venue_of((enum venue_id)id);
        for (size_t i = 0; venue != NULL && i < 3; i++) {
            for (size_t cut = 0; cut < strlen(frames[i]); cut++) {
                struct control_reply reply = {.id = -1};
                assert_int_equal(venue->control(str_make(frames[i], cut), &reply), CONTROL_NONE);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stream_that_is_asked_for_is_read_back),
        cmocka_unit_test(symbols_that_would_break_a_request_are_not_asked_for),
        cmocka_unit_test(a_request_that_does_not_fit_is_refused_at_every_size),
        cmocka_unit_test(limits_are_whole),
        cmocka_unit_test(what_should_speak_is_watched_at_every_venue),
        cmocka_unit_test(binance_futures_asks_on_its_two_routes),
        cmocka_unit_test(gate_asks_with_time_id_and_payload),
        cmocka_unit_test(gate_replies_are_told_from_data),
        cmocka_unit_test(no_reply_can_be_cut_into_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
