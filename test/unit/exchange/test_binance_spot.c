/* Binance spot, feed side and stream names: what is asked, and how replies are told from data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exchange/binance_spot.h"

static char memory[8192];

static const char *text_of(struct buf *buf)
{
    assert_true(buf->bytes < sizeof memory - 1);
    memory[buf->bytes] = 0;
    return memory;
}

static const char *stream_of(enum channel channel, bool aggregate, const char *symbol,
                             const char *interval)
{
    struct stream_request request = {channel, aggregate, str_from(symbol), str_from(interval),
                                     false};
    struct venue_stream stream;
    struct venue_stream made[VENUE_STREAMS_MAX];
    if (binance_spot.streams(&request, 0, made) == 0) {
        return NULL;
    }
    stream = made[0];
    const struct venue_stream *one = &stream;
    struct venue_request ask = {true, &one, 1, 1, 0};
    struct buf out = buf_over(memory, sizeof memory - 1);
    assert_int_equal(binance_spot.subscribe(&ask, &out), 0);
    char *name = strchr(text_of(&out), '[') + 2;
    *strchr(name, '"') = 0;
    return name;
}

static void stream_names_are_lower_case_and_say_the_channel(void **state)
{
    (void)state;
    assert_string_equal(stream_of(CHANNEL_TRADES, false, "BTCUSDT", ""), "btcusdt@trade");
    assert_string_equal(stream_of(CHANNEL_TRADES, true, "BTCUSDT", ""), "btcusdt@aggTrade");
    assert_string_equal(stream_of(CHANNEL_BOOK_TICKER, false, "1INCHBTC", ""),
                        "1inchbtc@bookTicker");
    assert_string_equal(stream_of(CHANNEL_DEPTH, false, "BTCUSDT", ""), "btcusdt@depth@100ms");
    assert_string_equal(stream_of(CHANNEL_BOOK_SNAPSHOT_5, false, "A", ""), "a@depth5@100ms");
    assert_string_equal(stream_of(CHANNEL_BOOK_SNAPSHOT_20, false, "A", ""), "a@depth20@100ms");
    assert_string_equal(stream_of(CHANNEL_CANDLES, false, "A", "1m"), "a@kline_1m");
    assert_string_equal(stream_of(CHANNEL_TICKER, false, "A", ""), "a@ticker");
    assert_null(stream_of(CHANNEL_LIQUIDATIONS, false, "A", ""));
    assert_null(stream_of(CHANNEL_TRADES, false, "A\"B", ""));
    assert_null(stream_of(CHANNEL_TRADES, false, "A/B", ""));
}

static void every_stream_it_asks_for_it_understands(void **state)
{
    (void)state;
    static const enum channel channels[] = {
        CHANNEL_TRADES,           CHANNEL_BOOK_TICKER, CHANNEL_DEPTH, CHANNEL_BOOK_SNAPSHOT_5,
        CHANNEL_BOOK_SNAPSHOT_20, CHANNEL_CANDLES,     CHANNEL_TICKER};
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
        struct str symbol;
        const char *name = stream_of(channels[i], false, "ETHBTC", "15m");
        assert_int_equal(binance_spot_channel(binance_spot_stream(str_from(name), &symbol)),
                         channels[i]);
        assert_true(str_equal(symbol, STR("ethbtc")));
    }
    struct str symbol;
    assert_int_equal(binance_spot_stream(STR("btcusdt@depth10@100ms"), &symbol),
                     BINANCE_STREAM_UNKNOWN);
    assert_int_equal(binance_spot_stream(STR("btcusdt"), &symbol), BINANCE_STREAM_UNKNOWN);
    assert_int_equal(binance_spot_stream(STR("@trade"), &symbol), BINANCE_STREAM_UNKNOWN);
    assert_int_equal(binance_spot_stream(STR("btcusdt@kline_"), &symbol), BINANCE_STREAM_UNKNOWN);
    assert_int_equal(binance_spot_stream(STR(""), &symbol), BINANCE_STREAM_UNKNOWN);
}

static void requests_are_those_of_the_document(void **state)
{
    (void)state;
    struct stream_request wanted[] = {{CHANNEL_TRADES, false, STR("BTCUSDT"), {0}, false},
                                      {CHANNEL_DEPTH, false, STR("ETHUSDT"), {0}, false}};
    struct venue_stream made[2][VENUE_STREAMS_MAX];
    assert_int_equal(binance_spot.streams(&wanted[0], 0, made[0]), 1);
    assert_int_equal(binance_spot.streams(&wanted[1], 0, made[1]), 1);
    const struct venue_stream *both[] = {made[0], made[1]};
    struct venue_request request = {true, both, 2, 7, 0};
    struct buf out = buf_over(memory, sizeof memory - 1);
    assert_int_equal(binance_spot.subscribe(&request, &out), 0);
    assert_string_equal(text_of(&out), "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@trade\","
                                       "\"ethusdt@depth@100ms\"],\"id\":7}");
    out = buf_over(memory, 20);
    assert_int_equal(binance_spot.subscribe(&request, &out), MD_ETOOBIG);
    request = (struct venue_request){false, both, 1, 8, 0};
    out = buf_over(memory, sizeof memory - 1);
    assert_int_equal(binance_spot.subscribe(&request, &out), 0);
    assert_string_equal(text_of(&out),
                        "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"btcusdt@trade\"],\"id\":8}");
}

static void urls_ask_for_microseconds_and_escape_symbols(void **state)
{
    (void)state;
    struct buf out = buf_over(memory, sizeof memory - 1);
    assert_int_equal(binance_spot.connect_url(0, "wss://h", &out), 0);
    assert_string_equal(text_of(&out), "wss://h/stream?timeUnit=MICROSECOND");
    out = buf_over(memory, sizeof memory - 1);
    assert_int_equal(binance_spot.rest(VENUE_REST_SNAPSHOT, "https://h", STR("BTCUSDT"), &out), 0);
    assert_string_equal(text_of(&out), "https://h/api/v3/depth?symbol=BTCUSDT&limit=1000");
    out = buf_over(memory, sizeof memory - 1);
    assert_int_equal(
        binance_spot.rest(VENUE_REST_SNAPSHOT, "https://h", STR("\xe8\xbf\x99&x"), &out), 0);
    assert_string_equal(text_of(&out), "https://h/api/v3/depth?symbol=%E8%BF%99%26x&limit=1000");
}

static enum control_kind control(const char *frame, struct control_reply *reply)
{
    *reply = (struct control_reply){.id = -1};
    return binance_spot.control(str_from(frame), reply);
}

static void replies_are_told_from_data(void **state)
{
    (void)state;
    struct control_reply reply;
    assert_int_equal(control("{\"result\":null,\"id\":12}", &reply), CONTROL_ACK);
    assert_int_equal(reply.id, 12);
    assert_int_equal(control("{\"result\":[\"a@trade\"],\"id\":\"abc\"}", &reply), CONTROL_ACK);
    assert_int_equal(reply.id, -1);
    assert_int_equal(control("{\"code\":2,\"msg\":\"Invalid request\",\"id\":4}", &reply),
                     CONTROL_ERROR);
    assert_int_equal(reply.code, 2);
    assert_string_equal(reply.text, "Invalid request");
    assert_int_equal(
        control("{\"error\":{\"code\":3,\"msg\":\"Invalid \\u0001JSON\"},\"id\":5}", &reply),
        CONTROL_ERROR);
    assert_int_equal(reply.code, 3);
    assert_int_equal(reply.id, 5);
    assert_int_equal(control("{\"e\":\"serverShutdown\",\"E\":1}", &reply), CONTROL_SHUTDOWN);
    assert_int_equal(
        control("{\"stream\":\"!serverShutdown\",\"data\":{\"e\":\"serverShutdown\"}}", &reply),
        CONTROL_SHUTDOWN);
    assert_int_equal(control("{\"stream\":\"btcusdt@trade\",\"data\":{}}", &reply), CONTROL_NONE);
    assert_int_equal(control("{\"data\":{\"id\":1},\"stream\":\"btcusdt@trade\"}", &reply),
                     CONTROL_NONE);
    assert_int_equal(control("nonsense", &reply), CONTROL_NONE);
    assert_int_equal(control("", &reply), CONTROL_NONE);
}

static int peek(const char *frame)
{
    struct record record = {
        .kind = RECORD_RECV, .venue = VENUE_BINANCE, .payload = str_from(frame)};
    return binance_spot.peek_channel(&record);
}

static void a_frame_shows_its_channel_at_a_glance(void **state)
{
    (void)state;
    assert_int_equal(peek("{\"stream\":\"btcusdt@bookTicker\",\"data\":{"), CHANNEL_BOOK_TICKER);
    assert_int_equal(peek("{\"stream\":\"btcusdt@trade"), -1);
    assert_int_equal(peek("{\"data\":1}"), -1);
    assert_int_equal(peek(""), -1);
}

struct seen {
    int count;
    enum channel channels[8];
    char symbols[8][16];
    bool on;
};

static void on_stream(void *context, bool on, enum channel channel, bool aggregate,
                      struct str symbol)
{
    struct seen *seen = context;
    assert_false(aggregate);
    assert_true(seen->count < 8);
    assert_true(symbol.bytes < 16);
    seen->on = on;
    seen->channels[seen->count] = channel;
    memcpy(seen->symbols[seen->count], symbol.data, symbol.bytes);
    seen->symbols[seen->count++][symbol.bytes] = 0;
}

static void sent_requests_name_their_streams(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct record record = {
        .kind = RECORD_SENT,
        .venue = VENUE_BINANCE,
        .payload =
            STR("{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@trade\",\"ethbtc@depth@100ms\","
                "\"x@unknown\"],\"id\":1}")};
    binance_spot.decode_sent(&record, on_stream, &seen);
    assert_int_equal(seen.count, 2);
    assert_true(seen.on);
    assert_int_equal(seen.channels[0], CHANNEL_TRADES);
    assert_string_equal(seen.symbols[0], "BTCUSDT");
    assert_int_equal(seen.channels[1], CHANNEL_DEPTH);
    assert_string_equal(seen.symbols[1], "ETHBTC");
    record.payload = STR("{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":3}");
    binance_spot.decode_sent(&record, on_stream, &seen);
    record.payload = STR("{\"method\":\"SUBSCRIBE\",\"params\":");
    binance_spot.decode_sent(&record, on_stream, &seen);
    assert_int_equal(seen.count, 2);
}

static void on_event(void *context, const struct event *event)
{
    struct event *out = context;
    assert_int_equal(out->seq, 0); /* one event a message */
    *out = *event;
}

static struct decode_result decode(struct decoder *decoder, struct str payload, struct event *event)
{
    struct record record = {.seq = 5,
                            .time_unix_ns = 77,
                            .kind = RECORD_RECV,
                            .venue = VENUE_BINANCE,
                            .conn = 3,
                            .payload = payload};
    *event = (struct event){0};
    return binance_spot.decode(decoder, &record, on_event, event);
}

/* Cut anywhere, a message is refused; not one event comes of it. */
static void a_cut_message_gives_nothing(void **state)
{
    (void)state;
    struct decoder_config config = {.levels_max = 16};
    struct decoder *decoder = decoder_create(&config);
    static const struct str whole[] = {
        STR("{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1700000000000,\"s\":"
            "\"BTCUSDT\",\"t\":5,"
            "\"p\":\"1.5\",\"q\":\"2\",\"T\":1700000000000,\"m\":true,\"M\":true}}"),
        STR("{\"stream\":\"bnbbtc@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":"
            "1700000000000,\"s\":\"BNBBTC\","
            "\"U\":157,\"u\":160,\"b\":[[\"0.0024\",\"10\"]],\"a\":[[\"0.0026\",\"100\"]]}}"),
        STR("{\"stream\":\"btcusdt@bookTicker\",\"data\":{\"u\":4,\"s\":\"BTCUSDT\",\"b\":\"1\","
            "\"B\":\"2\",\"a\":\"3\","
            "\"A\":\"4\"}}"),
    };
    for (size_t i = 0; i < 3; i++) {
        struct event event;
        assert_int_equal(decode(decoder, whole[i], &event).code, 0);
        assert_int_equal(event.seq, 5);
        assert_int_equal(event.conn, 3);
        for (size_t cut = 0; cut < whole[i].bytes; cut++) {
            assert_int_not_equal(decode(decoder, str_make(whole[i].data, cut), &event).code, 0);
            assert_int_equal(event.seq, 0);
        }
    }
    decoder_destroy(decoder);
}

static void more_levels_than_the_scratch_holds_are_refused(void **state)
{
    (void)state;
    struct decoder_config config = {.levels_max = 2};
    struct decoder *decoder = decoder_create(&config);
    struct event event;
    struct decode_result result = decode(decoder,
                                         STR("{\"stream\":\"bnbbtc@depth@100ms\",\"data\":{\"e\":"
                                             "\"depthUpdate\",\"E\":1700000000000,"
                                             "\"s\":\"BNBBTC\",\"U\":1,\"u\":2,\"b\":[[\"1\",\"1\"]"
                                             ",[\"2\",\"1\"],[\"3\",\"1\"]],\"a\":[]}}"),
                                         &event);
    assert_int_equal(result.code, MD_ETOOBIG);
    assert_int_equal(result.channel, CHANNEL_DEPTH);
    assert_int_equal(event.seq, 0);
    decoder_destroy(decoder);
}

static void milliseconds_and_microseconds_are_told_apart(void **state)
{
    (void)state;
    struct decoder_config config = {.levels_max = 16};
    struct decoder *decoder = decoder_create(&config);
    struct event event;
    assert_int_equal(decode(decoder,
                            STR("{\"stream\":\"a@trade\",\"data\":{\"e\":\"trade\",\"E\":1,\"s\":"
                                "\"A\",\"t\":1,\"p\":"
                                "\"1\",\"q\":\"1\",\"T\":1700000000123,\"m\":true,\"M\":true}}"),
                            &event)
                         .code,
                     0);
    assert_int_equal(event.event_unix_ns, 1700000000123000000LL);
    assert_int_equal(decode(decoder,
                            STR("{\"stream\":\"a@trade\",\"data\":{\"e\":\"trade\",\"E\":1,\"s\":"
                                "\"A\",\"t\":1,\"p\":"
                                "\"1\",\"q\":\"1\",\"T\":1700000000123456,\"m\":true,\"M\":true}}"),
                            &event)
                         .code,
                     0);
    assert_int_equal(event.event_unix_ns, 1700000000123456000LL);
    assert_int_equal(
        decode(decoder,
               STR("{\"stream\":\"a@trade\",\"data\":{\"e\":\"trade\",\"E\":1,\"s\":\"A\",\"t\":1,"
                   "\"p\":"
                   "\"1\",\"q\":\"1\",\"T\":9223372036854775807,\"m\":true,\"M\":true}}"),
               &event)
            .code,
        MD_ERANGE);
    decoder_destroy(decoder);
}

static void a_rest_body_that_failed_gives_nothing(void **state)
{
    (void)state;
    struct decoder_config config = {.levels_max = 16};
    struct decoder *decoder = decoder_create(&config);
    struct event event = {0};
    struct record record = {.seq = 1,
                            .kind = RECORD_REST_PART,
                            .venue = VENUE_BINANCE,
                            .arg = STR("GET https://h/api/v3/depth?symbol=A&limit=5"),
                            .payload = STR("{\"lastUpdateId\":1,\"bids\":[[\"1\",")};
    binance_spot.decode(decoder, &record, on_event, &event);
    record.kind = RECORD_REST;
    record.arg = STR("GET https://h/api/v3/depth?symbol=A&limit=5 0");
    record.payload = (struct str){0};
    assert_int_equal(binance_spot.decode(decoder, &record, on_event, &event).code, 0);
    record.arg = STR("GET https://h/api/v3/depth?symbol=A&limit=5 200");
    record.payload = STR("{\"lastUpdateId\":7,\"bids\":[[\"1\",\"2\"]],\"asks\":[]}");
    assert_int_equal(binance_spot.decode(decoder, &record, on_event, &event).code, 0);
    assert_true(event.depth.is_snapshot);
    assert_int_equal(event.depth.last_update_id, 7);
    assert_int_equal(event.depth.bid_count, 1);
    assert_int_equal(event.depth.ask_count, 0);
    event = (struct event){0};
    record.payload = STR("{\"lastUpdateId\":7,\"bids\":[[\"1\"]],\"asks\":[]}");
    assert_int_equal(binance_spot.decode(decoder, &record, on_event, &event).code, MD_EPARSE);
    record.payload = STR("{\"bids\":[],\"asks\":[]}");
    assert_int_equal(binance_spot.decode(decoder, &record, on_event, &event).code, MD_EPARSE);
    assert_int_equal(event.seq, 0);
    decoder_destroy(decoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream_names_are_lower_case_and_say_the_channel),
        cmocka_unit_test(every_stream_it_asks_for_it_understands),
        cmocka_unit_test(requests_are_those_of_the_document),
        cmocka_unit_test(urls_ask_for_microseconds_and_escape_symbols),
        cmocka_unit_test(replies_are_told_from_data),
        cmocka_unit_test(a_frame_shows_its_channel_at_a_glance),
        cmocka_unit_test(sent_requests_name_their_streams),
        cmocka_unit_test(a_cut_message_gives_nothing),
        cmocka_unit_test(more_levels_than_the_scratch_holds_are_refused),
        cmocka_unit_test(milliseconds_and_microseconds_are_told_apart),
        cmocka_unit_test(a_rest_body_that_failed_gives_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
