/* Binance spot, SBE (schema 1:0): binary frames to events, by offset. Root block and group entries
 * are as long as the message says, so that a longer version reads alike; the symbol stands last, so
 * a message is walked whole before anything is emitted. Memory: the decoder's levels. Facts:
 * docs/exchanges/binance-spot.md, section 8. */
#include "exchange/binance_sbe.h"

#include "base/clock.h"
#include "exchange/reading.h"

#define HEAD_BYTES 8
#define SCHEMA_ID 1
#define TRADE_GROUP_HEAD_BYTES 6 /* u16 blockLength, u32 numInGroup */
#define LEVEL_GROUP_HEAD_BYTES 4 /* u16 blockLength, u16 numInGroup */
#define TRADE_BYTES 25
#define LEVEL_BYTES 16

enum {
    TEMPLATE_TRADES = 10000,
    TEMPLATE_BEST = 10001,
    TEMPLATE_BOOK = 10002,
    TEMPLATE_DIFF = 10003
};

struct cursor {
    const char *at, *end;
};

static int64_t i64_at(const char *p)
{
    return (int64_t)load_u64(p);
}

static size_t left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static bool truncated(struct reading *reading)
{
    return reading_refuse(reading, MD_EPARSE, "sbe: the message ends too early");
}

/* ---- parts */

struct group {
    const char *entries;
    uint32_t count;
    size_t stride;
};

/* A group whose entries have at least `entry_bytes`; count x stride is checked against what is
 * there before anything is read. */
static bool take_group(struct reading *reading, struct cursor *cursor, size_t head_bytes,
                       size_t entry_bytes, struct group *group)
{
    if (left(cursor) < head_bytes) {
        return truncated(reading);
    }
    group->stride = load_u16(cursor->at);
    group->count =
        head_bytes == TRADE_GROUP_HEAD_BYTES ? load_u32(cursor->at + 2) : load_u16(cursor->at + 2);
    cursor->at += head_bytes;
    group->entries = cursor->at;
    if (group->count > 0 && group->stride < entry_bytes) {
        return reading_refuse(reading, MD_EPARSE, "sbe: group entries shorter than known");
    }
    if ((uint64_t)group->count * group->stride > left(cursor)) {
        return truncated(reading);
    }
    cursor->at += (size_t)group->count * group->stride;
    return true;
}

static bool take_symbol(struct reading *reading, struct cursor *cursor)
{
    size_t bytes = left(cursor) > 0 ? (unsigned char)*cursor->at : 0;
    if (left(cursor) < 1 + bytes) {
        return truncated(reading);
    }
    if (bytes == 0) {
        return reading_refuse(reading, MD_EPARSE, "symbol: missing, empty or too long");
    }
    reading->event.symbol = str_make(cursor->at + 1, bytes);
    return true; /* what follows is of a later version */
}

static bool take_exponents(struct reading *reading, const char *at, int8_t exponents[2])
{
    exponents[0] = (int8_t)at[0];
    exponents[1] = (int8_t)at[1];
    for (int i = 0; i < 2; i++) {
        if (exponents[i] < -38 || exponents[i] > 38) {
            return reading_refuse(reading, MD_ERANGE, "sbe: exponent outside -38 to 38");
        }
    }
    return true;
}

static bool put_time(struct reading *reading, int64_t micros)
{
    if (micros < 0 || __builtin_mul_overflow(micros, NS_PER_US, &reading->event.event_unix_ns)) {
        return reading_refuse(reading, MD_ERANGE, "time out of range");
    }
    return true;
}

static struct decimal value_at(struct reading *reading, const char *at, int8_t exponent)
{
    struct decimal value = {i64_at(at), exponent};
    reading_count_digits(reading, value);
    return value;
}

static bool take_levels(struct reading *reading, const struct group *group,
                        const int8_t exponents[2], struct level *levels, uint32_t *count)
{
    if (group->count > reading->decoder->levels_max) {
        return reading_refuse(reading, MD_ETOOBIG, "more levels than a message may hold");
    }
    for (uint32_t i = 0; i < group->count; i++) {
        const char *entry = group->entries + (size_t)i * group->stride;
        levels[i].price = value_at(reading, entry, exponents[0]);
        levels[i].amount = value_at(reading, entry + 8, exponents[1]);
    }
    *count = group->count;
    return true;
}

static bool take_sides(struct reading *reading, struct cursor *cursor, const int8_t exponents[2],
                       uint32_t counts[2])
{
    struct group bids, asks;
    return take_group(reading, cursor, LEVEL_GROUP_HEAD_BYTES, LEVEL_BYTES, &bids) &&
           take_group(reading, cursor, LEVEL_GROUP_HEAD_BYTES, LEVEL_BYTES, &asks) &&
           take_levels(reading, &bids, exponents, reading_bids(reading), &counts[0]) &&
           take_levels(reading, &asks, exponents, reading_asks(reading), &counts[1]);
}

/* ---- messages: `root` has at least the known length; `cursor` stands behind it */

static bool read_trades(struct reading *reading, const char *root, struct cursor *cursor)
{
    struct group trades;
    int8_t exponents[2];
    reading_begin(reading, CHANNEL_TRADES);
    if (!take_exponents(reading, root + 16, exponents) || !put_time(reading, i64_at(root + 8)) ||
        !take_group(reading, cursor, TRADE_GROUP_HEAD_BYTES, TRADE_BYTES, &trades) ||
        !take_symbol(reading, cursor)) {
        return false;
    }
    struct trade_event *trade = &reading->event.trade;
    for (uint32_t i = 0; i < trades.count; i++) {
        const char *entry = trades.entries + (size_t)i * trades.stride;
        uint8_t maker = (uint8_t)entry[24];
        trade->trade_id = i64_at(entry);
        trade->price = value_at(reading, entry + 8, exponents[0]);
        trade->amount = value_at(reading, entry + 16, exponents[1]);
        trade->side = maker == 1 ? SIDE_SELL : maker == 0 ? SIDE_BUY : SIDE_UNKNOWN;
        reading_emit(reading);
    }
    return true;
}

static bool read_best(struct reading *reading, const char *root, struct cursor *cursor)
{
    struct book_ticker_event *ticker = &reading->event.book_ticker;
    int8_t exponents[2];
    reading_begin(reading, CHANNEL_BOOK_TICKER);
    if (!take_exponents(reading, root + 16, exponents) || !put_time(reading, i64_at(root)) ||
        !take_symbol(reading, cursor)) {
        return false;
    }
    ticker->update_id = i64_at(root + 8);
    ticker->bid_price = (struct decimal_opt){value_at(reading, root + 18, exponents[0]), true};
    ticker->bid_amount = (struct decimal_opt){value_at(reading, root + 26, exponents[1]), true};
    ticker->ask_price = (struct decimal_opt){value_at(reading, root + 34, exponents[0]), true};
    ticker->ask_amount = (struct decimal_opt){value_at(reading, root + 42, exponents[1]), true};
    reading_emit(reading);
    return true;
}

static bool read_book(struct reading *reading, const char *root, struct cursor *cursor)
{
    struct book_snapshot_event *book = &reading->event.book_snapshot;
    int8_t exponents[2];
    uint32_t counts[2];
    reading_begin(reading, CHANNEL_BOOK_SNAPSHOT_20);
    if (!take_exponents(reading, root + 16, exponents) || !put_time(reading, i64_at(root)) ||
        !take_sides(reading, cursor, exponents, counts) || !take_symbol(reading, cursor)) {
        return false;
    }
    book->last_update_id = i64_at(root + 8);
    book->bids = reading_bids(reading);
    book->asks = reading_asks(reading);
    book->bid_count = counts[0];
    book->ask_count = counts[1];
    reading_emit(reading);
    return true;
}

static bool read_diff(struct reading *reading, const char *root, struct cursor *cursor)
{
    struct depth_event *depth = &reading->event.depth;
    int8_t exponents[2];
    uint32_t counts[2];
    reading_begin(reading, CHANNEL_DEPTH);
    depth->first_update_id = i64_at(root + 8);
    depth->last_update_id = i64_at(root + 16);
    if (depth->first_update_id == ID_NONE) { /* how SBE says that there is none */
        return reading_refuse(reading, MD_EPARSE, "depth: no first update id");
    }
    if (!take_exponents(reading, root + 24, exponents) || !put_time(reading, i64_at(root)) ||
        !take_sides(reading, cursor, exponents, counts) || !take_symbol(reading, cursor)) {
        return false;
    }
    if (depth->first_update_id > depth->last_update_id) {
        return reading_refuse(reading, MD_EPARSE, "depth: first update id beyond the last");
    }
    depth->bids = reading_bids(reading);
    depth->asks = reading_asks(reading);
    depth->bid_count = counts[0];
    depth->ask_count = counts[1];
    reading_emit(reading);
    return true;
}

static const struct message {
    uint16_t template_id, root_bytes;
    enum channel channel;
    bool (*read)(struct reading *reading, const char *root, struct cursor *cursor);
} messages[] = {
    {TEMPLATE_TRADES, 18, CHANNEL_TRADES, read_trades},
    {TEMPLATE_BEST, 50, CHANNEL_BOOK_TICKER, read_best},
    {TEMPLATE_BOOK, 18, CHANNEL_BOOK_SNAPSHOT_20, read_book},
    {TEMPLATE_DIFF, 26, CHANNEL_DEPTH, read_diff},
};

static const struct message *message_of(uint16_t template_id)
{
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        if (messages[i].template_id == template_id) {
            return &messages[i];
        }
    }
    return NULL;
}

static bool read_message(struct reading *reading)
{
    struct str frame = reading->record->payload;
    if (frame.bytes < HEAD_BYTES) {
        return truncated(reading);
    }
    uint16_t root_bytes = load_u16(frame.data);
    if (load_u16(frame.data + 4) != SCHEMA_ID) {
        return reading_refuse(reading, MD_EUNKNOWN, "sbe: unknown schema");
    }
    const struct message *message = message_of(load_u16(frame.data + 2));
    if (message == NULL) {
        return reading_refuse(reading, MD_EUNKNOWN, "sbe: unknown template");
    }
    reading->result.channel = (int)message->channel;
    if (root_bytes < message->root_bytes) {
        return reading_refuse(reading, MD_EPARSE, "sbe: root block shorter than known");
    }
    struct cursor cursor = {frame.data + HEAD_BYTES, frame.data + frame.bytes};
    if (left(&cursor) < root_bytes) {
        return truncated(reading);
    }
    cursor.at += root_bytes;
    return message->read(reading, frame.data + HEAD_BYTES, &cursor);
}

struct decode_result binance_sbe_decode(struct decoder *decoder, const struct record *record,
                                        event_sink sink, void *context)
{
    struct reading reading = reading_of(decoder, record, sink, context);
    (void)read_message(&reading);
    return reading.result;
}

int binance_sbe_peek(struct str frame)
{
    const struct message *message = frame.bytes >= 4 ? message_of(load_u16(frame.data + 2)) : NULL;
    return message != NULL ? (int)message->channel : -1;
}
