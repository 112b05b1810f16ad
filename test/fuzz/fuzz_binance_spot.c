/* Binance spot frames and REST bodies. Invariants besides "no crash": what the predicted path
 * reads, the general path reads too, to the same event; an event is emitted exactly when the code
 * is 0 and the message is no control message. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/err.h"
#include "exchange/binance_spot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    int count;
    char text[65536];
    struct buf buf;
};

static void put(struct seen *seen, struct decimal d)
{
    buf_printf(&seen->buf, " %lld/%d", (long long)d.mantissa, d.exponent);
}

static void put_levels(struct seen *seen, const struct level *levels, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        put(seen, levels[i].price);
        put(seen, levels[i].amount);
    }
}

static void on_event(void *context, const struct event *event)
{
    struct seen *seen = context;
    seen->count++;
    buf_printf(&seen->buf, "%d %lld ", event->channel, (long long)event->event_unix_ns);
    buf_put_str(&seen->buf, event->symbol);
    if (event->channel == CHANNEL_TRADES) {
        buf_printf(&seen->buf, " %lld %d %d", (long long)event->trade.trade_id, event->trade.side,
                   event->trade.flags);
        put(seen, event->trade.price);
        put(seen, event->trade.amount);
    } else if (event->channel == CHANNEL_BOOK_TICKER) {
        put(seen, event->book_ticker.bid_price.value);
        put(seen, event->book_ticker.ask_amount.value);
    } else if (event->channel == CHANNEL_DEPTH) {
        buf_printf(&seen->buf, " %lld %lld", (long long)event->depth.first_update_id,
                   (long long)event->depth.last_update_id);
        put_levels(seen, event->depth.bids, event->depth.bid_count);
        put_levels(seen, event->depth.asks, event->depth.ask_count);
    } else if (event->channel == CHANNEL_BOOK_SNAPSHOT_5) {
        put_levels(seen, event->book_snapshot.bids, event->book_snapshot.bid_count);
        put_levels(seen, event->book_snapshot.asks, event->book_snapshot.ask_count);
    }
}

static void frame(struct decoder *decoder, struct str payload)
{
    static struct seen one, two;
    struct record record = {
        .seq = 1, .kind = RECORD_RECV, .venue = VENUE_BINANCE, .conn = 1, .payload = payload};
    one.count = two.count = 0;
    one.buf = buf_over(one.text, sizeof one.text);
    two.buf = buf_over(two.text, sizeof two.text);
    struct decode_result a = binance_spot.decode(decoder, &record, on_event, &one);
    struct decode_result b = binance_spot_decode_general(decoder, &record, on_event, &two);
    ASSERT(a.code == b.code);
    ASSERT(a.control == b.control);
    ASSERT(one.count == two.count);
    ASSERT(one.count == (a.code == 0 && !a.control));
    ASSERT(str_equal(buf_view(&one.buf), buf_view(&two.buf)));
    struct control_reply reply;
    binance_spot.control(payload, &reply);
    binance_spot.peek_channel(&record);
}

static void on_stream(void *context, bool on, enum channel channel, bool aggregate,
                      struct str symbol)
{
    (void)context;
    (void)on;
    ASSERT(!aggregate || channel == CHANNEL_TRADES);
    ASSERT(channel < CHANNEL_COUNT);
    ASSERT(symbol.bytes <= 512);
}

/* The same body in two parts must do the same as whole. */
static void body(struct decoder *decoder, const char *url, struct str text)
{
    static struct seen seen;
    struct decode_result results[2];
    int counts[2];
    for (int parts = 0; parts < 2; parts++) {
        seen.count = 0;
        seen.buf = buf_over(seen.text, sizeof seen.text);
        struct record record = {.seq = 1,
                                .kind = RECORD_REST_PART,
                                .venue = VENUE_BINANCE,
                                .arg = str_from(url),
                                .payload = str_make(text.data, text.bytes / 3)};
        if (parts == 1) {
            binance_spot.decode(decoder, &record, on_event, &seen);
        }
        size_t from = parts == 1 ? text.bytes / 3 : 0;
        record.kind = RECORD_REST;
        record.payload = str_make(text.data + from, text.bytes - from);
        results[parts] = binance_spot.decode(decoder, &record, on_event, &seen);
        counts[parts] = seen.count;
    }
    ASSERT(results[0].code == results[1].code);
    ASSERT(counts[0] == counts[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct decoder *decoder;
    if (decoder == NULL) {
        struct decoder_config config = {.levels_max = 64};
        decoder = decoder_create(&config);
        ASSERT(decoder != NULL);
    }
    struct str text = str_make((const char *)data, size);
    frame(decoder, text);
    body(decoder, "GET https://h/api/v3/depth?symbol=BTCUSDT&limit=5", text);
    body(decoder, "GET https://h/api/v3/exchangeInfo", text);
    body(decoder, "GET https://h/api/v3/historicalTrades?symbol=BTCUSDT&fromId=28457&limit=2",
         text);
    body(decoder, "GET https://h/api/v3/aggTrades?symbol=BTCUSDT&fromId=26129&limit=2", text);
    struct record sent = {.kind = RECORD_SENT, .venue = VENUE_BINANCE, .payload = text};
    binance_spot.decode_sent(&sent, on_stream, NULL);
    return 0;
}
