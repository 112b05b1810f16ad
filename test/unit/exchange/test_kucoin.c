/* KuCoin, spot and futures: what is asked of which socket, tokens, replies, and frames to events.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exchange/decoder.h"
#include "exchange/kucoin.h"

static char memory[8192];

static const char *text_of(struct buf *buf)
{
    assert_false(buf->overflow);
    memory[buf->bytes] = 0;
    return memory;
}

static const char *request_of(const struct venue *venue, bool subscribe,
                              const struct stream_request *wanted, uint32_t count, uint32_t which)
{
    static struct venue_stream made[4][VENUE_STREAMS_MAX];
    const struct venue_stream *streams[4];
    for (uint32_t i = 0; i < count; i++) {
        assert_true(venue->streams(&wanted[i], 0, made[i]) > which);
        streams[i] = &made[i][which];
    }
    struct venue_request request = {subscribe, streams, count, 7, 0};
    struct buf out = buf_over(memory, sizeof memory - 1);
    assert_int_equal(venue->subscribe(&request, &out), 0);
    return text_of(&out);
}

static const char *ask(const struct venue *venue, enum channel channel, const char *symbol,
                       const char *interval, uint32_t which)
{
    struct stream_request wanted = {channel, false, str_from(symbol), str_from(interval), false};
    return request_of(venue, true, &wanted, 1, which);
}

#define CLASSIC(topic)                                                                       \
    "{\"id\":\"7\",\"type\":\"subscribe\",\"topic\":\"" topic "\",\"privateChannel\":false," \
    "\"response\":true}"

static void requests_of_spot_are_those_of_the_sheet(void **state)
{
    (void)state;
    const struct venue *spot = &kucoin_spot;
    assert_string_equal(ask(spot, CHANNEL_TRADES, "BTC-USDT", "", 0),
                        CLASSIC("/market/match:BTC-USDT"));
    assert_string_equal(ask(spot, CHANNEL_BOOK_TICKER, "BTC-USDT", "", 0),
                        CLASSIC("/spotMarket/level1:BTC-USDT"));
    assert_string_equal(ask(spot, CHANNEL_BOOK_SNAPSHOT_5, "BTC-USDT", "", 0),
                        CLASSIC("/spotMarket/level2Depth5:BTC-USDT"));
    assert_string_equal(ask(spot, CHANNEL_BOOK_SNAPSHOT_50, "BTC-USDT", "", 0),
                        CLASSIC("/spotMarket/level2Depth50:BTC-USDT"));
    assert_string_equal(ask(spot, CHANNEL_CANDLES, "BTC-USDT", "4h", 0),
                        CLASSIC("/market/candles:BTC-USDT_4hour"));
    assert_string_equal(ask(spot, CHANNEL_TICKER, "BTC-USDT", "", 0),
                        CLASSIC("/market/snapshot:BTC-USDT"));
    assert_string_equal(ask(spot, CHANNEL_DEPTH, "BTC-USDT", "", 0),
                        "{\"id\":\"7\",\"action\":\"subscribe\",\"channel\":\"obu\","
                        "\"tradeType\":\"SPOT\",\"symbol\":\"BTC-USDT\","
                        "\"depth\":\"increment@10ms\",\"rpiFilter\":0}");
    struct stream_request several[] = {{CHANNEL_TRADES, false, STR("BTC-USDT"), {0}, false},
                                       {CHANNEL_TRADES, false, STR("ETH-USDT"), {0}, false},
                                       {CHANNEL_TRADES, false, STR("1INCH-BTC"), {0}, false}};
    assert_string_equal(request_of(spot, true, several, 3, 0),
                        CLASSIC("/market/match:BTC-USDT,ETH-USDT,1INCH-BTC"));
    assert_string_equal(request_of(spot, false, several, 2, 0),
                        "{\"id\":\"7\",\"type\":\"unsubscribe\",\"topic\":"
                        "\"/market/match:BTC-USDT,ETH-USDT\",\"privateChannel\":false,"
                        "\"response\":true}");
}

static void requests_of_futures_are_those_of_the_sheet(void **state)
{
    (void)state;
    const struct venue *futures = &kucoin_futures;
    assert_string_equal(ask(futures, CHANNEL_TRADES, "XBTUSDTM", "", 0),
                        CLASSIC("/contractMarket/execution:XBTUSDTM"));
    assert_string_equal(ask(futures, CHANNEL_BOOK_TICKER, "XBTUSDTM", "", 0),
                        CLASSIC("/contractMarket/tickerV2:XBTUSDTM"));
    assert_string_equal(ask(futures, CHANNEL_BOOK_SNAPSHOT_5, "XBTUSDTM", "", 0),
                        CLASSIC("/contractMarket/level2Depth5:XBTUSDTM"));
    assert_string_equal(ask(futures, CHANNEL_CANDLES, "XBTUSDTM", "1m", 0),
                        CLASSIC("/contractMarket/limitCandle:XBTUSDTM_1min"));
    assert_string_equal(ask(futures, CHANNEL_TICKER, "XBTUSDTM", "", 0),
                        CLASSIC("/contractMarket/snapshot:XBTUSDTM"));
    assert_string_equal(ask(futures, CHANNEL_DERIVATIVE_TICKER, "XBTUSDTM", "", 0),
                        CLASSIC("/contract/instrument:XBTUSDTM"));
    assert_string_equal(ask(futures, CHANNEL_DERIVATIVE_TICKER, "XBTUSDTM", "", 1),
                        "{\"id\":\"7\",\"action\":\"subscribe\",\"channel\":\"mark-price\","
                        "\"tradeType\":\"FUTURES\",\"symbol\":\"XBTUSDTM\"}");
    assert_string_equal(ask(futures, CHANNEL_DEPTH, "XBTUSDTM", "", 0),
                        "{\"id\":\"7\",\"action\":\"subscribe\",\"channel\":\"obu\","
                        "\"tradeType\":\"FUTURES\",\"symbol\":\"XBTUSDTM\","
                        "\"depth\":\"increment@10ms\",\"rpiFilter\":0}");
}

static uint32_t streams_of(const struct venue *venue, enum channel channel, bool aggregate,
                           const char *symbol, const char *interval)
{
    struct venue_stream made[VENUE_STREAMS_MAX];
    struct stream_request request = {channel, aggregate, str_from(symbol), str_from(interval),
                                     false};
    return venue->streams(&request, 0, made);
}

static void what_the_venue_has_not_is_not_asked_for(void **state)
{
    (void)state;
    assert_int_equal(streams_of(&kucoin_spot, CHANNEL_TRADES, true, "BTC-USDT", ""), 0);
    assert_int_equal(streams_of(&kucoin_spot, CHANNEL_BOOK_SNAPSHOT_20, false, "A-B", ""), 0);
    assert_int_equal(streams_of(&kucoin_spot, CHANNEL_DERIVATIVE_TICKER, false, "A-B", ""), 0);
    assert_int_equal(streams_of(&kucoin_futures, CHANNEL_LIQUIDATIONS, false, "XBTUSDTM", ""), 0);
    assert_int_equal(streams_of(&kucoin_spot, CHANNEL_CANDLES, false, "A-B", "6h"), 1);
    assert_int_equal(streams_of(&kucoin_futures, CHANNEL_CANDLES, false, "XBTUSDTM", "6h"), 0);
    assert_int_equal(streams_of(&kucoin_spot, CHANNEL_CANDLES, false, "A-B", "1s"), 0);
    assert_int_equal(streams_of(&kucoin_spot, CHANNEL_TRADES, false, "A\"B", ""), 0);
    assert_int_equal(streams_of(&kucoin_spot, CHANNEL_TRADES, false, "A,B", ""), 0);
    assert_int_equal(streams_of(&kucoin_spot, CHANNEL_TRADES, false, "A:B", ""), 0);
    assert_int_equal(streams_of(&kucoin_spot, CHANNEL_TRADES, false, "", ""), 0);
}

static void a_topic_takes_a_hundred_symbols_but_candles_and_unified_ones_go_alone(void **state)
{
    (void)state;
    struct venue_stream made[VENUE_STREAMS_MAX];
    struct stream_request trades = {CHANNEL_TRADES, false, STR("A-B"), {0}, false};
    struct stream_request candles = {CHANNEL_CANDLES, false, STR("A-B"), STR("1m"), false};
    struct stream_request depth = {CHANNEL_DEPTH, false, STR("A-B"), {0}, false};
    kucoin_spot.streams(&trades, 0, made);
    assert_int_equal(made[0].endpoint, KUCOIN_CLASSIC);
    assert_int_equal(kucoin_spot.streams_per_request(&made[0]), 100);
    kucoin_spot.streams(&candles, 0, made);
    assert_int_equal(kucoin_spot.streams_per_request(&made[0]), 1);
    kucoin_spot.streams(&depth, 0, made);
    assert_int_equal(made[0].endpoint, KUCOIN_UNIFIED);
    assert_int_equal(kucoin_spot.streams_per_request(&made[0]), 1);
}

/* ---- tokens */

#define TOKEN_BODY(endpoint, rest)                                                      \
    "{\"code\":\"200000\",\"data\":{\"token\":\"2neA-_y/=.g==\",\"instanceServers\":[{" \
    "\"endpoint\":\"" endpoint "\",\"encrypt\":true,\"protocol\":\"websocket\"" rest "}]}}"

static void a_token_gives_the_url_and_where_its_secret_begins(void **state)
{
    (void)state;
    struct venue_token token = {0};
    assert_int_equal(
        kucoin_spot.token(STR(TOKEN_BODY("wss://ws-api-spot.kucoin.com/",
                                         ",\"pingInterval\":18000,\"pingTimeout\":10000")),
                          0xabcdef, &token),
        0);
    assert_string_equal(token.url, "wss://ws-api-spot.kucoin.com/?token=2neA-_y%2F%3D.g%3D%3D"
                                   "&connectId=0000000000abcdef");
    assert_int_equal(token.secret_at, strlen("wss://ws-api-spot.kucoin.com/"));
    assert_int_equal(token.ping_ms, 14400);
    assert_int_equal(kucoin_spot.token(STR(TOKEN_BODY("ws://127.0.0.1:5/e?a=b", "")), 1, &token),
                     0);
    assert_string_equal(token.url, "ws://127.0.0.1:5/e?a=b&token=2neA-_y%2F%3D.g%3D%3D"
                                   "&connectId=0000000000000001");
    assert_int_equal(token.ping_ms, 0);
}

static int64_t ping_asked(const char *body)
{
    struct venue_token token = {0};
    assert_int_equal(kucoin_spot.token(str_from(body), 1, &token), 0);
    return token.ping_ms;
}

static void pings_come_often_enough_for_our_own_patience(void **state)
{
    (void)state;
    assert_int_equal(ping_asked(TOKEN_BODY("wss://h/", ",\"pingInterval\":50000")), 14400);
    assert_int_equal(ping_asked(TOKEN_BODY("wss://h/", ",\"pingInterval\":\"10000\"")), 8000);
    assert_int_equal(ping_asked(TOKEN_BODY("wss://h/", ",\"pingInterval\":1")), 2000);
    assert_int_equal(ping_asked(TOKEN_BODY("wss://h/", ",\"pingInterval\":9223372036854775807")),
                     14400);
    assert_int_equal(ping_asked(TOKEN_BODY("wss://h/", ",\"pingInterval\":-5")), 0);
}

static void a_reply_without_a_usable_token_is_refused(void **state)
{
    (void)state;
    struct venue_token token = {0};
    assert_int_equal(kucoin_spot.token(STR("{\"code\":\"429000\",\"msg\":\"busy\"}"), 1, &token),
                     MD_EHTTP);
    assert_int_equal(kucoin_spot.token(STR(""), 1, &token), MD_EPARSE);
    assert_int_equal(kucoin_spot.token(STR("{\"code\":\"200000\"}"), 1, &token), MD_EPARSE);
    assert_int_equal(kucoin_spot.token(STR(TOKEN_BODY("https://h/", "")), 1, &token), MD_EPARSE);
    assert_int_equal(
        kucoin_spot.token(
            STR("{\"code\":\"200000\",\"data\":{\"token\":\"a\",\"instanceServers\":[]}}"), 1,
            &token),
        MD_EPARSE);
    static char body[2000];
    struct buf text = buf_over(body, sizeof body);
    buf_put_str(&text, STR("{\"code\":\"200000\",\"data\":{\"instanceServers\":[{\"endpoint\":"
                           "\"wss://h/\"}],\"token\":\""));
    for (int i = 0; i < 600; i++) {
        buf_put_char(&text, 'a');
    }
    buf_put_str(&text, STR("\"}}"));
    assert_int_equal(kucoin_spot.token(buf_view(&text), 1, &token), MD_ETOOBIG);
    struct str whole = STR(TOKEN_BODY("wss://h/", ",\"pingInterval\":18000"));
    for (size_t bytes = 0; bytes < whole.bytes; bytes++) {
        assert_int_not_equal(kucoin_spot.token(str_make(whole.data, bytes), 1, &token), 0);
    }
}

/* ---- replies */

static enum control_kind control(const char *frame, struct control_reply *reply)
{
    *reply = (struct control_reply){.id = -1};
    return kucoin_spot.control(str_from(frame), reply);
}

static void replies_are_told_from_data(void **state)
{
    (void)state;
    struct control_reply reply;
    assert_int_equal(control("{\"id\":\"hQvf8jkno\",\"type\":\"welcome\"}", &reply),
                     CONTROL_WELCOME);
    assert_int_equal(reply.ping_ms, 0);
    assert_int_equal(
        control("{\"sessionId\":\"e8\",\"message\":\"welcome\",\"pingInterval\":18000}", &reply),
        CONTROL_WELCOME);
    assert_int_equal(reply.ping_ms, 14400);
    assert_int_equal(control("{\"id\":\"17\",\"type\":\"ack\"}", &reply), CONTROL_ACK);
    assert_int_equal(reply.id, 17);
    assert_int_equal(control("{\"id\":\"18\",\"result\":true}", &reply), CONTROL_ACK);
    assert_int_equal(reply.id, 18);
    assert_int_equal(control("{\"id\":19,\"result\":\"true\"}", &reply), CONTROL_ACK);
    assert_int_equal(reply.id, 19);
    assert_int_equal(control("{\"id\":\"1\",\"type\":\"pong\",\"timestamp\":179}", &reply),
                     CONTROL_OTHER);
    assert_int_equal(control("{\"type\":\"pong\",\"id\":\"1\",\"ts\":1790}", &reply),
                     CONTROL_OTHER);
    assert_int_equal(control("{\"id\":\"6298\",\"type\":\"message\",\"topic\":\"/contractMarket/"
                             "snapshot:XBTUSDTM\",\"data\":{}}",
                             &reply),
                     CONTROL_NONE);
    assert_int_equal(control("{\"topic\":\"/market/match:A\",\"type\":\"message\"}", &reply),
                     CONTROL_NONE);
    assert_int_equal(control("{\"T\":\"obu.SPOT\", \"d\":{}}", &reply), CONTROL_NONE);
    assert_int_equal(control("{\"data\":{\"id\":1},\"type\":\"message\"}", &reply), CONTROL_NONE);
    assert_int_equal(control("nonsense", &reply), CONTROL_NONE);
    assert_int_equal(control("", &reply), CONTROL_NONE);
}

static struct control_reply error_of(const char *code, const char *words)
{
    struct control_reply reply;
    char text[300];
    struct buf frame = buf_over(text, sizeof text - 1);
    buf_printf(&frame, "{\"id\":\"5\",\"type\":\"error\",\"code\":%s,\"data\":\"%s\"}", code,
               words);
    text[frame.bytes] = 0;
    assert_int_equal(control(text, &reply), CONTROL_ERROR);
    return reply;
}

static void each_error_says_what_is_to_be_done(void **state)
{
    (void)state;
    struct control_reply reply = error_of("509", "exceed max permits per second");
    assert_int_equal(reply.pause_ms, 10000);
    assert_int_equal(reply.id, 5);
    assert_int_equal(reply.code, 509);
    assert_string_equal(reply.text, "exceed max permits per second");
    assert_int_equal(error_of("\"509\"", "exceed max permits per 10 seconds").pause_ms, 10000);
    reply = error_of("509", "exceed max subscription count limitation of 400 per session");
    assert_true(reply.full);
    assert_int_equal(reply.pause_ms, 0);
    reply = error_of("509", "exceed max subscription count limitation of 100 per time");
    assert_false(reply.full);
    assert_int_equal(reply.pause_ms, 0);
    assert_true(error_of("509", "exceed max session count limitation of 50").reconnect);
    assert_true(error_of("401", "token is expired").reconnect);
    assert_true(error_of("400", "ping timeout").reconnect);
    reply = error_of("404", "topic does not exist");
    assert_false(reply.reconnect || reply.full);
    assert_int_equal(reply.pause_ms, 0);
    assert_int_equal(error_of("500", "system error").pause_ms, 5000);
}

static void errors_without_our_id_have_none(void **state)
{
    (void)state;
    struct control_reply reply;
    assert_int_equal(
        control("{\"type\":\"error\",\"code\":401,\"data\":\"token is expired\"}", &reply),
        CONTROL_ERROR);
    assert_int_equal(reply.id, -1);
    assert_int_equal(control("{\"id\":\"695cb272a02344126eb870a6\",\"type\":\"error\",\"code\":509,"
                             "\"data\":\"exceed max permits per second\"}",
                             &reply),
                     CONTROL_ERROR);
    assert_int_equal(reply.id, -1);
    assert_int_equal(
        control("{\"id\":\"p22\",\"result\":false,\"reason\":\"symbols are not supported\"}",
                &reply),
        CONTROL_ERROR);
    assert_string_equal(reply.text, "symbols are not supported");
    assert_int_equal(
        control("{\"id\":\"8\",\"result\":false,\"message\":\"invalid \\u0001\"}", &reply),
        CONTROL_ERROR);
    assert_int_equal(reply.id, 8);
    assert_int_equal(control("{\"code\":429000,\"message\":\"too many\"}", &reply), CONTROL_ERROR);
    assert_int_equal(reply.pause_ms, 10000);
    assert_int_equal(control("{\"code\":\"501000\",\"message\":\"service stopping\"}", &reply),
                     CONTROL_SHUTDOWN);
}

static int peek(const char *frame)
{
    struct record record = {.kind = RECORD_RECV, .venue = VENUE_KUCOIN, .payload = str_from(frame)};
    return kucoin_spot.peek_channel(&record);
}

static void a_frame_shows_its_channel_at_a_glance(void **state)
{
    (void)state;
    assert_int_equal(peek("{\"topic\":\"/market/match:BTC-USDT\",\"type\""), CHANNEL_TRADES);
    assert_int_equal(peek("{\"type\":\"message\",\"topic\":\"/spotMarket/level1:BTC-USDT\","),
                     CHANNEL_BOOK_TICKER);
    assert_int_equal(peek("{\"T\":\"obu.SPOT\", \"dp\""), CHANNEL_DEPTH);
    assert_int_equal(peek("{\"T\":\"mark-price\", \"P\""), CHANNEL_DERIVATIVE_TICKER);
    assert_int_equal(peek("{\"topic\":\"/market/match:BTC-USDT"), -1);
    assert_int_equal(peek("{\"T\":\"obu"), -1);
    assert_int_equal(peek("{\"T\":\""), -1);
    assert_int_equal(peek(""), -1);
}

/* ---- requests read back */

struct seen {
    int count;
    bool on;
    enum channel channels[8];
    char symbols[8][16];
};

static void on_stream(void *context, bool on, enum channel channel, bool aggregate,
                      struct str symbol)
{
    struct seen *seen = context;
    assert_false(aggregate);
    assert_true(seen->count < 8 && symbol.bytes < 16);
    seen->on = on;
    seen->channels[seen->count] = channel;
    memcpy(seen->symbols[seen->count], symbol.data, symbol.bytes);
    seen->symbols[seen->count++][symbol.bytes] = 0;
}

static struct seen sent(const char *text)
{
    struct seen seen = {0};
    struct record record = {.kind = RECORD_SENT, .venue = VENUE_KUCOIN, .payload = str_from(text)};
    kucoin_spot.decode_sent(&record, on_stream, &seen);
    return seen;
}

static void every_request_it_makes_it_reads_back(void **state)
{
    (void)state;
    static const enum channel channels[] = {
        CHANNEL_TRADES,           CHANNEL_BOOK_TICKER, CHANNEL_DEPTH, CHANNEL_BOOK_SNAPSHOT_5,
        CHANNEL_BOOK_SNAPSHOT_50, CHANNEL_CANDLES,     CHANNEL_TICKER};
    static const struct venue *const venues[] = {&kucoin_spot, &kucoin_futures};
    for (size_t v = 0; v < 2; v++) {
        for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
            struct seen seen = sent(ask(venues[v], channels[i], "AB-C", "15m", 0));
            assert_int_equal(seen.count, 1);
            assert_true(seen.on);
            assert_int_equal(seen.channels[0], channels[i]);
            assert_string_equal(seen.symbols[0], "AB-C");
        }
    }
    for (uint32_t which = 0; which < 2; which++) {
        struct seen seen =
            sent(ask(&kucoin_futures, CHANNEL_DERIVATIVE_TICKER, "XBTUSDTM", "", which));
        assert_int_equal(seen.count, 1);
        assert_int_equal(seen.channels[0], CHANNEL_DERIVATIVE_TICKER);
    }
}

static void sent_requests_name_their_streams(void **state)
{
    (void)state;
    struct seen seen = sent("{\"id\":1,\"type\":\"subscribe\",\"topic\":\"/market/ticker:EQZ-BTC,"
                            "ANKR-BTC,SNX-BTC\",\"privateChannel\":false,\"response\":true}");
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.channels[2], CHANNEL_BOOK_TICKER);
    assert_string_equal(seen.symbols[1], "ANKR-BTC");
    seen = sent("{\"type\":\"unsubscribe\",\"topic\":\"/market/candles:A-B_1min,C-D_1day\"}");
    assert_int_equal(seen.count, 2);
    assert_false(seen.on);
    assert_string_equal(seen.symbols[1], "C-D");
    seen = sent("{\"action\":\"SUBSCRIBE\",\"channel\":\"ticker\",\"symbols\":[\"A-B\",\"C-D\"]}");
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.channels[0], CHANNEL_BOOK_TICKER);
    seen =
        sent("{\"action\":\"subscribe\",\"channel\":\"obu\",\"symbol\":\"A-B\",\"depth\":\"5\"}");
    assert_int_equal(seen.channels[0], CHANNEL_BOOK_SNAPSHOT_5);
    assert_int_equal(sent("{\"type\":\"subscribe\",\"topic\":\"/market/ticker:all\"}").count, 0);
    assert_int_equal(sent("{\"type\":\"subscribe\",\"topic\":\"/contract/announcement\"}").count,
                     0);
    assert_int_equal(sent("{\"id\":\"3\",\"type\":\"ping\"}").count, 0);
    assert_int_equal(sent("{\"type\":\"subscribe\",\"topic\":\"/market/match:,,A-B,\"}").count, 1);
    assert_int_equal(sent("{\"type\":\"subscribe\"").count, 0);
}

/* ---- frames */

struct caught {
    int count;
    struct event events[8];
    struct level levels[8][4]; /* bids, then asks */
    char symbols[8][16];
};

static void on_event(void *context, const struct event *event)
{
    struct caught *caught = context;
    assert_true(caught->count < 8);
    int at = caught->count++;
    caught->events[at] = *event;
    memcpy(caught->symbols[at], event->symbol.data,
           event->symbol.bytes < 15 ? event->symbol.bytes : 15);
    if (event->channel == CHANNEL_DEPTH) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < event->depth.bid_count && n < 4; i++) {
            caught->levels[at][n++] = event->depth.bids[i];
        }
        for (uint32_t i = 0; i < event->depth.ask_count && n < 4; i++) {
            caught->levels[at][n++] = event->depth.asks[i];
        }
    }
}

static struct decode_result decode(const struct venue *venue, struct str payload, uint32_t levels,
                                   struct caught *caught)
{
    struct decoder_config config = {.levels_max = levels};
    struct decoder *decoder = decoder_create(&config);
    assert_non_null(decoder);
    struct record record = {.seq = 1,
                            .time_unix_ns = 5,
                            .kind = RECORD_RECV_BINARY,
                            .venue = venue->id,
                            .conn = 1,
                            .payload = payload};
    *caught = (struct caught){0};
    struct decode_result result = venue->decode(decoder, &record, on_event, caught);
    decoder_destroy(decoder);
    return result;
}

#define LEVEL2(body)                                                           \
    "{\"topic\":\"/market/level2:BTC-USDT\",\"type\":\"message\",\"subject\":" \
    "\"trade.l2update\",\"data\":{" body ",\"symbol\":\"BTC-USDT\",\"time\":1732320005725}}"

static void each_change_is_an_event_in_the_order_of_its_sequence(void **state)
{
    (void)state;
    struct caught caught;
    struct decode_result result =
        decode(&kucoin_spot,
               STR(LEVEL2("\"changes\":{\"asks\":[[\"7\",\"0\",\"14\"],[\"6\",\"2\",\"11\"]],"
                          "\"bids\":[[\"5\",\"1\",\"12\"],[\"0\",\"0\",\"10\"]]},"
                          "\"sequenceStart\":10,\"sequenceEnd\":15")),
               16, &caught);
    assert_int_equal(result.code, 0);
    static const struct {
        int64_t first, last;
        uint32_t bids, asks;
        int64_t price;
    } expected[] = {{10, 10, 0, 0, 0},
                    {11, 11, 0, 1, 6},
                    {12, 12, 1, 0, 5},
                    {13, 14, 0, 1, 7},
                    {15, 15, 0, 0, 0}};
    assert_int_equal(caught.count, 5);
    for (int i = 0; i < 5; i++) {
        const struct depth_event *depth = &caught.events[i].depth;
        assert_int_equal(depth->first_update_id, expected[i].first);
        assert_int_equal(depth->last_update_id, expected[i].last);
        assert_int_equal(depth->bid_count, expected[i].bids);
        assert_int_equal(depth->ask_count, expected[i].asks);
        assert_int_equal(caught.levels[i][0].price.mantissa, expected[i].price);
        assert_false(depth->is_snapshot);
    }
}

static void changes_of_one_sequence_stay_together(void **state)
{
    (void)state;
    struct caught caught;
    struct decode_result result = decode(
        &kucoin_spot,
        STR(LEVEL2("\"changes\":{\"asks\":[[\"6\",\"2\",\"10\"]],\"bids\":[[\"5\",\"1\","
                   "\"10\"],[\"4\",\"1\",\"10\"]]},\"sequenceStart\":10,\"sequenceEnd\":10")),
        16, &caught);
    assert_int_equal(result.code, 0);
    assert_int_equal(caught.count, 1);
    assert_int_equal(caught.events[0].depth.bid_count, 2);
    assert_int_equal(caught.events[0].depth.ask_count, 1);
    assert_int_equal(caught.levels[0][0].price.mantissa, 5);
    assert_int_equal(caught.levels[0][1].price.mantissa, 4);
    assert_int_equal(caught.levels[0][2].price.mantissa, 6);
}

static void on_ordered(void *context, const struct event *event)
{
    int64_t *next = context;
    assert_int_equal(event->depth.first_update_id, *next);
    assert_int_equal(event->depth.asks[0].price.mantissa, *next);
    ++*next;
}

static void many_changes_in_any_order_come_out_sorted(void **state)
{
    (void)state;
    static char text[200000];
    struct buf out = buf_over(text, sizeof text);
    buf_put_str(&out, STR("{\"topic\":\"/market/level2:A-B\",\"type\":\"message\",\"data\":{"
                          "\"sequenceStart\":1,\"sequenceEnd\":3000,\"changes\":{\"asks\":["));
    for (int i = 3000; i > 0; i--) {
        buf_printf(&out, "[\"%d\",\"1\",\"%d\"]%s", i, i, i > 1 ? "," : "]}}}");
    }
    assert_false(out.overflow);
    struct decoder_config config = {.levels_max = 3000};
    struct decoder *decoder = decoder_create(&config);
    struct record record = {
        .seq = 1, .kind = RECORD_RECV, .venue = VENUE_KUCOIN, .payload = buf_view(&out)};
    int64_t next = 1;
    assert_int_equal(kucoin_spot.decode(decoder, &record, on_ordered, &next).code, 0);
    assert_int_equal(next, 3001);
    decoder_destroy(decoder);
}

static void a_change_outside_its_message_is_refused(void **state)
{
    (void)state;
    struct caught caught;
    assert_int_equal(decode(&kucoin_spot,
                            STR(LEVEL2("\"changes\":{\"asks\":[[\"7\",\"0\",\"16\"]],\"bids\":[]},"
                                       "\"sequenceStart\":10,\"sequenceEnd\":15")),
                            16, &caught)
                         .code,
                     MD_EPARSE);
    assert_int_equal(caught.count, 0);
    assert_int_equal(decode(&kucoin_spot,
                            STR(LEVEL2("\"changes\":{},\"sequenceStart\":16,\"sequenceEnd\":15")),
                            16, &caught)
                         .code,
                     MD_EPARSE);
    assert_int_equal(caught.count, 0);
}

static void more_levels_than_the_scratch_holds_are_refused(void **state)
{
    (void)state;
    struct caught caught;
    static const char *const messages[] = {
        LEVEL2("\"changes\":{\"asks\":[[\"1\",\"1\",\"1\"],[\"2\",\"1\",\"2\"],[\"3\",\"1\",\"3\"]]"
               ",\"bids\":[]},\"sequenceStart\":1,\"sequenceEnd\":3"),
        "{\"topic\":\"/spotMarket/level2Depth5:A-B\",\"type\":\"message\",\"data\":{\"asks\":[],"
        "\"bids\":[[\"1\",\"1\"],[\"2\",\"1\"],[\"3\",\"1\"]]}}",
        "{\"T\":\"obu.SPOT\", \"dp\":\"increment@10ms\", \"t\":\"delta\", "
        "\"P\":1732320009010007701, \"d\":{\"a\":[[\"1\",\"1\"],[\"2\",\"1\"],[\"3\",\"1\"]],"
        "\"b\":[],\"C\":2,\"s\":\"A-B\",\"M\":1732320009000000000,\"O\":1}}"};
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        assert_int_equal(decode(&kucoin_spot, str_from(messages[i]), 2, &caught).code, MD_ETOOBIG);
        assert_int_equal(caught.count, 0);
        assert_int_equal(decode(&kucoin_spot, str_from(messages[i]), 8, &caught).code, 0);
    }
}

#define DELTA                                                                                   \
    "{\"T\":\"obu.FUTURES\", \"dp\":\"increment@10ms\", \"t\":\"delta\", "                      \
    "\"P\":1790114459840641662, "                                                               \
    "\"d\":{\"a\":[],\"b\":[[\"85973.3\",\"16236\"],[\"85887.1\",\"98\"]],\"C\":1747821262585," \
    "\"s\":\"XBTUSDTM\",\"M\":1790114459839000000,\"O\":1747821262584}}"

static void a_delta_is_read_by_its_known_shape(void **state)
{
    (void)state;
    struct caught caught;
    struct decode_result result = decode(&kucoin_futures, STR(DELTA), 16, &caught);
    assert_int_equal(result.code, 0);
    assert_false(result.general_path);
    assert_int_equal(caught.count, 1);
    const struct event *event = &caught.events[0];
    assert_string_equal(caught.symbols[0], "XBTUSDTM");
    assert_int_equal(event->event_unix_ns, 1790114459839000000);
    assert_int_equal(event->depth.first_update_id, 1747821262584);
    assert_int_equal(event->depth.last_update_id, 1747821262585);
    assert_int_equal(event->depth.bid_count, 2);
    assert_int_equal(event->depth.ask_count, 0);
    assert_int_equal(caught.levels[0][0].price.mantissa, 859733);
    assert_int_equal(caught.levels[0][0].price.exponent, -1);
}

static void a_cut_message_gives_nothing(void **state)
{
    (void)state;
    static const char *const messages[] = {
        DELTA,
        LEVEL2("\"changes\":{\"asks\":[[\"7\",\"0\",\"14\"]],\"bids\":[]},\"sequenceStart\":14,"
               "\"sequenceEnd\":14"),
        "{\"topic\":\"/market/match:A-B\",\"type\":\"message\",\"data\":{\"price\":\"1\",\"size\":"
        "\"2\",\"side\":\"buy\",\"time\":\"1732320000000000000\",\"tradeId\":\"1\"}}",
        "{\"topic\":\"/spotMarket/level1:BTC-USDT\",\"type\":\"message\",\"subject\":\"level1\","
        "\"data\":{\"asks\":[\"68145.8\",\"0.5\"],\"bids\":[\"68145.7\",\"1.2\"],\"timestamp\":"
        "1729816058766}}"};
    struct caught caught;
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        struct str whole = str_from(messages[i]);
        assert_int_equal(decode(&kucoin_spot, whole, 16, &caught).code, 0);
        assert_int_equal(caught.count, 1);
        for (size_t bytes = 0; bytes < whole.bytes; bytes++) {
            struct decode_result result =
                decode(&kucoin_spot, str_make(whole.data, bytes), 16, &caught);
            assert_int_not_equal(result.code, 0);
            assert_int_equal(caught.count, 0);
        }
    }
}

static void known_topics_that_are_not_recorded_are_no_errors(void **state)
{
    (void)state;
    struct caught caught;
    struct decode_result result =
        decode(&kucoin_spot, STR("{\"topic\":\"/indicator/index:A-B\",\"data\":{}}"), 4, &caught);
    assert_int_equal(result.code, 0);
    assert_true(result.control);
    result = decode(&kucoin_spot, STR("{\"topic\":\"/market/new:A-B\",\"data\":{}}"), 4, &caught);
    assert_int_equal(result.code, MD_EUNKNOWN);
    result = decode(&kucoin_spot, STR("{\"T\":\"new.SPOT\",\"d\":{}}"), 4, &caught);
    assert_int_equal(result.code, MD_EUNKNOWN);
}

static void urls_are_those_of_the_sheet(void **state)
{
    (void)state;
    static const struct {
        const struct venue *venue;
        enum venue_rest call;
        const char *url;
    } rows[] = {
        {&kucoin_spot, VENUE_REST_INSTRUMENTS, "https://h/api/v2/symbols"},
        {&kucoin_spot, VENUE_REST_VOLUMES, "https://h/api/v1/market/allTickers"},
        {&kucoin_spot, VENUE_REST_SNAPSHOT,
         "https://h/api/v1/market/orderbook/level2_100?symbol=A-B%2F"},
        {&kucoin_spot, VENUE_REST_TOKEN, "https://h/api/v1/bullet-public"},
        {&kucoin_futures, VENUE_REST_INSTRUMENTS, "https://h/api/v1/contracts/active"},
        {&kucoin_futures, VENUE_REST_SNAPSHOT, "https://h/api/v1/level2/snapshot?symbol=A-B%2F"},
        {&kucoin_futures, VENUE_REST_TOKEN, "https://h/api/v1/bullet-public"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = buf_over(memory, sizeof memory - 1);
        assert_int_equal(rows[i].venue->rest(rows[i].call, "https://h", STR("A-B/"), &out), 0);
        assert_string_equal(text_of(&out), rows[i].url);
    }
    struct buf out = buf_over(memory, sizeof memory - 1);
    assert_int_equal(kucoin_futures.rest(VENUE_REST_OPEN_INTEREST, "https://h", STR("A"), &out),
                     MD_ENOTSUP);
    out = buf_over(memory, sizeof memory - 1);
    assert_int_equal(kucoin_spot.connect_url(KUCOIN_UNIFIED, "wss://h", &out), 0);
    assert_string_equal(text_of(&out), "wss://h");
    out = buf_over(memory, sizeof memory - 1);
    assert_int_equal(kucoin_spot.ping(KUCOIN_CLASSIC, 9, 0, &out), 0);
    assert_string_equal(text_of(&out), "{\"id\":\"9\",\"type\":\"ping\"}");
}

static int rest_events(const struct venue *venue, const char *url, const char *body, size_t cut,
                       struct caught *caught)
{
    struct decoder_config config = {.levels_max = 16};
    struct decoder *decoder = decoder_create(&config);
    struct str whole = str_from(body);
    struct record record = {.seq = 1,
                            .kind = RECORD_REST_PART,
                            .venue = venue->id,
                            .arg = str_from(url),
                            .payload = str_make(body, cut)};
    *caught = (struct caught){0};
    venue->decode(decoder, &record, on_event, caught);
    record.kind = RECORD_REST;
    record.payload = str_make(body + cut, whole.bytes - cut);
    int code = venue->decode(decoder, &record, on_event, caught).code;
    decoder_destroy(decoder);
    return code;
}

static void turnover_of_both_markets_comes_as_tickers(void **state)
{
    (void)state;
    struct caught caught;
    static const char spot[] =
        "{\"code\":\"200000\",\"data\":{\"time\":1,\"ticker\":[{\"symbol\":\"A-B\",\"last\":\"2\","
        "\"volValue\":\"345.5\"},{\"symbol\":\"C-D\",\"last\":null,\"volValue\":\"1\"}]}}";
    static const char futures[] =
        "{\"code\":\"200000\",\"data\":[{\"symbol\":\"XBTUSDTM\",\"turnoverOf24h\":"
        "1034643198.3265533,\"sourceExchanges\":[\"okex\"]}]}";
    for (size_t cut = 0; cut < sizeof spot; cut++) {
        assert_int_equal(
            rest_events(&kucoin_spot, "GET https://h/api/v1/market/allTickers", spot, cut, &caught),
            0);
        assert_int_equal(caught.count, 2);
    }
    assert_int_equal(caught.events[0].channel, CHANNEL_TICKER);
    assert_int_equal(caught.events[0].ticker.quote_volume.value.mantissa, 3455);
    assert_int_equal(rest_events(&kucoin_futures, "GET https://h/api/v1/contracts/active?turnover",
                                 futures, 5, &caught),
                     0);
    assert_int_equal(caught.count, 1);
    assert_int_equal(caught.events[0].ticker.quote_volume.value.mantissa, 10346431983265533);
}

static void a_rest_book_that_is_not_one_gives_nothing(void **state)
{
    (void)state;
    static const char url[] = "GET https://h/api/v1/level2/snapshot?symbol=XBTUSDTM";
    static const char *const bad[] = {
        "{\"code\":\"200000\",\"data\":{\"bids\":[],\"asks\":[]}}",
        "{\"code\":\"200000\",\"data\":{\"sequence\":1.5,\"bids\":[],\"asks\":[]}}",
        "{\"code\":\"200000\",\"data\":{\"sequence\":1,\"bids\":[[1]],\"asks\":[]}}",
        "{\"code\":\"200000\",\"data\":{\"sequence\":1,\"bids\":[1,2],\"asks\":[]}}",
        "{\"code\":\"200000\",\"data\":{\"sequence\":1,\"bids\":[[1,null]],\"asks\":[]}}",
        "{\"code\":\"429000\",\"data\":{\"sequence\":1,\"bids\":[],\"asks\":[]}}",
        "{\"code\":\"200000\",\"data\":{\"sequence\":1,\"bids\":[],\"asks\":[]}"};
    struct caught caught;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_not_equal(rest_events(&kucoin_futures, url, bad[i], 3, &caught), 0);
        assert_int_equal(caught.count, 0);
    }
    static const char good[] = "{\"code\":\"200000\",\"data\":{\"sequence\":\"7\",\"ts\":"
                               "1654326922830525196,\"bids\":[[1,2],[\"0.5\",\"3\"]],"
                               "\"asks\":null}}";
    for (size_t cut = 0; cut < sizeof good; cut++) {
        assert_int_equal(rest_events(&kucoin_futures, url, good, cut, &caught), 0);
        assert_int_equal(caught.count, 1);
    }
    assert_string_equal(caught.symbols[0], "XBTUSDTM");
    assert_int_equal(caught.events[0].event_unix_ns, 1654326922830525196);
    assert_int_equal(caught.events[0].depth.last_update_id, 7);
    assert_int_equal(caught.events[0].depth.bid_count, 2);
    assert_int_equal(caught.events[0].depth.ask_count, 0);
    assert_true(caught.events[0].depth.is_snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_of_spot_are_those_of_the_sheet),
        cmocka_unit_test(requests_of_futures_are_those_of_the_sheet),
        cmocka_unit_test(what_the_venue_has_not_is_not_asked_for),
        cmocka_unit_test(a_topic_takes_a_hundred_symbols_but_candles_and_unified_ones_go_alone),
        cmocka_unit_test(a_token_gives_the_url_and_where_its_secret_begins),
        cmocka_unit_test(pings_come_often_enough_for_our_own_patience),
        cmocka_unit_test(a_reply_without_a_usable_token_is_refused),
        cmocka_unit_test(replies_are_told_from_data),
        cmocka_unit_test(each_error_says_what_is_to_be_done),
        cmocka_unit_test(errors_without_our_id_have_none),
        cmocka_unit_test(a_frame_shows_its_channel_at_a_glance),
        cmocka_unit_test(every_request_it_makes_it_reads_back),
        cmocka_unit_test(sent_requests_name_their_streams),
        cmocka_unit_test(each_change_is_an_event_in_the_order_of_its_sequence),
        cmocka_unit_test(changes_of_one_sequence_stay_together),
        cmocka_unit_test(many_changes_in_any_order_come_out_sorted),
        cmocka_unit_test(a_change_outside_its_message_is_refused),
        cmocka_unit_test(more_levels_than_the_scratch_holds_are_refused),
        cmocka_unit_test(a_delta_is_read_by_its_known_shape),
        cmocka_unit_test(a_cut_message_gives_nothing),
        cmocka_unit_test(known_topics_that_are_not_recorded_are_no_errors),
        cmocka_unit_test(urls_are_those_of_the_sheet),
        cmocka_unit_test(turnover_of_both_markets_comes_as_tickers),
        cmocka_unit_test(a_rest_book_that_is_not_one_gives_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
