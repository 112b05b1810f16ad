#include "normalise_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "normalise/book_internal.h"

const struct normalise_config kit_config = {
    .streams_max = 64,
    .symbol_bytes_max = 32,
    .names_bytes = 1024,
    .book_bytes = 128 * sizeof(struct book_node),
    .books_max = 8,
    .pending_deltas_bytes = 4096,
    .open_gaps_max = 16,
    .recents_max = 4,
    .book_enabled = true,
};

/* ---- what comes out */

static void show_id(struct buf *out, int64_t id)
{
    if (id == ID_NONE) {
        buf_put_char(out, '-');
    } else {
        buf_put_i64(out, id);
    }
}

static void show_levels(struct buf *out, char side, const struct level *levels, uint32_t count,
                        const char *before)
{
    for (uint32_t i = 0; i < count; i++) {
        char price[DECIMAL_TEXT_MAX], amount[DECIMAL_TEXT_MAX];
        decimal_format_short(levels[i].price, price);
        decimal_format_short(levels[i].amount, amount);
        buf_printf(out, "%s%c %s %s", i == 0 ? before : ", ", side, price, amount);
    }
}

static void show_depth(struct kit *kit, const struct event *event)
{
    const struct depth_event *depth = &event->depth;
    struct buf *out = &kit->lines;
    if (!depth->is_snapshot) {
        buf_printf(out, "delta %.*s %lld-%lld\n", (int)event->symbol.bytes, event->symbol.data,
                   (long long)depth->first_update_id, (long long)depth->last_update_id);
        return;
    }
    kit->snapshot_recv_ns = event->recv_unix_ns;
    kit->snapshot_conn = event->conn;
    kit->snapshot_seq = event->seq;
    buf_printf(out, "snapshot %.*s %lld:", (int)event->symbol.bytes, event->symbol.data,
               (long long)depth->last_update_id);
    show_levels(out, 'b', depth->bids, depth->bid_count, " ");
    show_levels(out, 'a', depth->asks, depth->ask_count, depth->bid_count > 0 ? ", " : " ");
    buf_put_char(out, '\n');
}

static void show_gap(struct buf *out, const struct event *event)
{
    const struct gap_event *gap = &event->gap;
    buf_printf(out, "gap %s %.*s %s ", gap->all_channels ? "*" : channel_name(gap->of_channel),
               event->symbol.bytes > 0 ? (int)event->symbol.bytes : 1,
               event->symbol.bytes > 0 ? event->symbol.data : "-", gap_kind_name(gap->kind));
    show_id(out, gap->from_id);
    buf_put_char(out, '-');
    show_id(out, gap->to_id);
    buf_put_str(out, STR(" missing "));
    show_id(out, gap->missing);
    buf_printf(out, " %lld..%lld %s\n", (long long)(gap->start_unix_ns / NS_PER_S),
               (long long)(gap->end_unix_ns / NS_PER_S), gap_resolved_name(gap->resolved_by));
}

static void show(struct kit *kit, const struct event *event)
{
    struct buf *out = &kit->lines;
    int bytes = (int)event->symbol.bytes;
    if (event->channel == CHANNEL_TRADES) {
        bool aggregate = (event->trade.flags & TRADE_AGGREGATE) != 0;
        buf_printf(out, "%s %.*s ", aggregate ? "agg" : "trade", bytes, event->symbol.data);
        show_id(out, event->trade.trade_id);
        assert_int_equal(event->trade.flags & ~TRADE_FLAGS_LANDED, 0);
        buf_put_str(out, (event->trade.flags & TRADE_BACKFILL) != 0 ? STR(" rest\n") : STR("\n"));
    } else if (event->channel == CHANNEL_BOOK_TICKER) {
        buf_printf(out, "ticker %.*s %lld\n", bytes, event->symbol.data,
                   (long long)event->book_ticker.update_id);
    } else if (event->channel == CHANNEL_DEPTH) {
        show_depth(kit, event);
    } else if (event->channel == CHANNEL_GAPS) {
        show_gap(out, event);
    } else {
        buf_printf(out, "plain %s %.*s\n", channel_name(event->channel), bytes, event->symbol.data);
    }
}

static void digest(struct kit *kit, int64_t value)
{
    kit->digest = str_hash(str_make((const char *)&value, sizeof value), kit->digest);
}

static void digest_levels(struct kit *kit, const struct level *levels, uint32_t count)
{
    digest(kit, count);
    for (uint32_t i = 0; i < count; i++) {
        digest(kit, levels[i].price.mantissa);
        digest(kit, levels[i].price.exponent);
        digest(kit, levels[i].amount.mantissa);
        digest(kit, levels[i].amount.exponent);
    }
}

static void digest_event(struct kit *kit, uint32_t stream, const struct event *event)
{
    digest(kit, stream);
    digest(kit, (int64_t)event->channel);
    digest(kit, event->event_unix_ns);
    digest(kit, event->recv_unix_ns);
    digest(kit, event->conn);
    digest(kit, (int64_t)event->seq);
    if (event->channel == CHANNEL_DEPTH) {
        digest_levels(kit, event->depth.bids, event->depth.bid_count);
        digest_levels(kit, event->depth.asks, event->depth.ask_count);
    } else if (event->channel == CHANNEL_GAPS) {
        digest(kit, event->gap.start_unix_ns);
        digest(kit, event->gap.end_unix_ns);
    }
}

static void on_event(void *context, uint32_t stream, const struct event *event)
{
    struct kit *kit = context;
    struct str symbol = normalise_stream_symbol(kit->normalise, stream);
    assert_true(event->channel == CHANNEL_GAPS || event->channel == CHANNEL_INSTRUMENTS
                    ? symbol.bytes == 0
                    : str_equal(symbol, event->symbol));
    bool snapshot = event->channel == CHANNEL_DEPTH && event->depth.is_snapshot;
    if (kit->begin_files && !snapshot) {
        normalise_book_snapshot(kit->normalise, stream, event);
    }
    kit->stream_of_last = stream;
    digest_event(kit, stream, event);
    if (!kit->quiet) {
        show(kit, event);
    }
}

static void on_snapshot_wanted(void *context, enum venue_id venue, struct str symbol)
{
    struct kit *kit = context;
    if (!kit->quiet) {
        assert_int_equal(venue, kit->venue);
        buf_printf(&kit->lines, "want %.*s\n", (int)symbol.bytes, symbol.data);
    }
}

static void on_check_wanted(void *context, enum venue_id venue, struct str symbol)
{
    struct kit *kit = context;
    assert_int_equal(venue, kit->venue);
    if (!kit->quiet) {
        buf_printf(&kit->lines, "check %.*s\n", (int)symbol.bytes, symbol.data);
    }
}

static void on_silent(void *context, enum venue_id venue, enum channel channel, struct str symbol)
{
    struct kit *kit = context;
    (void)venue;
    if (!kit->quiet) {
        buf_printf(&kit->lines, "silent %s %.*s\n", channel_name(channel), (int)symbol.bytes,
                   symbol.data);
    }
}

static void on_trades_wanted(void *context, enum venue_id venue, struct str symbol,
                             const struct trades_hole *hole)
{
    struct kit *kit = context;
    assert_int_equal(venue, kit->venue);
    assert_true(hole->from_id <= hole->to_id);
    assert_true(hole->start_unix_ns <= hole->end_unix_ns);
    if (!kit->quiet) {
        buf_printf(&kit->lines, "%s? %.*s %lld-%lld\n", hole->aggregate ? "agg" : "trades",
                   (int)symbol.bytes, symbol.data, (long long)hole->from_id,
                   (long long)hole->to_id);
    }
}

const char *kit_lines(struct kit *kit)
{
    static char shown[sizeof kit->text];
    assert_false(kit->lines.overflow);
    memcpy(shown, kit->text, kit->lines.bytes);
    shown[kit->lines.bytes] = 0;
    buf_reset(&kit->lines);
    return shown;
}

struct kit *kit_open(const struct normalise_config *config)
{
    struct kit *kit = calloc(1, sizeof *kit);
    assert_non_null(kit);
    struct normalise_handlers handlers = {.on_event = on_event,
                                          .on_snapshot_wanted = on_snapshot_wanted,
                                          .on_check_wanted = on_check_wanted,
                                          .on_trades_wanted = on_trades_wanted,
                                          .on_silent = on_silent,
                                          .context = kit};
    kit->normalise = normalise_create(config != NULL ? config : &kit_config, &handlers);
    assert_non_null(kit->normalise);
    kit->lines = buf_over(kit->text, sizeof kit->text - 1);
    kit->conn = 1;
    kit->venue = VENUE_BINANCE;
    return kit;
}

void kit_close(struct kit *kit)
{
    normalise_destroy(kit->normalise);
    free(kit);
}

/* ---- what goes in */

static void check(const struct kit *kit)
{
    if (!kit->no_check) {
        normalise_check(kit->normalise);
    }
}

void kit_event(struct kit *kit, const struct event *event)
{
    struct event stamped = *event;
    stamped.venue = kit->venue;
    stamped.recv_unix_ns = kit->now_s * NS_PER_S;
    stamped.event_unix_ns = stamped.recv_unix_ns - 1000 * (int64_t)kit->seq;
    stamped.conn = kit->conn;
    stamped.seq = ++kit->seq;
    normalise_event(kit->normalise, &stamped);
    check(kit);
}

static void trade(struct kit *kit, const char *symbol, int64_t id, int32_t flags)
{
    struct event event = {.channel = CHANNEL_TRADES, .symbol = str_from(symbol)};
    event.trade =
        (struct trade_event){.trade_id = id, .price = {1, 0}, .amount = {1, 0}, .flags = flags};
    kit_event(kit, &event);
}

void kit_trade(struct kit *kit, const char *symbol, int64_t id)
{
    trade(kit, symbol, id, 0);
}

void kit_aggregate(struct kit *kit, const char *symbol, int64_t id)
{
    trade(kit, symbol, id, TRADE_AGGREGATE);
}

void kit_page(struct kit *kit, const char *symbol, int32_t flags, int64_t from, const int64_t *ids,
              uint32_t count, bool whole)
{
    uint32_t conn = kit->conn;
    kit->conn = 0;
    for (uint32_t i = 0; i < count + whole; i++) {
        struct event event = {.channel = CHANNEL_TRADES, .symbol = str_from(symbol)};
        int32_t place = i == count ? TRADE_PAGE_END : i == 0 ? TRADE_PAGE_FIRST : 0;
        event.trade = (struct trade_event){.trade_id = i < count ? ids[i] : ID_NONE,
                                           .price = {1, 0},
                                           .amount = {1, 0},
                                           .flags = flags | TRADE_BACKFILL | place,
                                           .page_from_id = from};
        kit_event(kit, &event);
    }
    kit->conn = conn;
}

void kit_ticker(struct kit *kit, const char *symbol, int64_t update_id)
{
    struct event event = {.channel = CHANNEL_BOOK_TICKER, .symbol = str_from(symbol)};
    event.book_ticker.update_id = update_id;
    kit_event(kit, &event);
}

void kit_plain(struct kit *kit, enum channel channel, const char *symbol)
{
    struct event event = {.channel = channel, .symbol = str_from(symbol)};
    kit_event(kit, &event);
}

static void depth(struct kit *kit, const char *symbol, struct depth_event delta, const char *text)
{
    static struct level bids[64], asks[64];
    for (const char *at = text; *at != 0;) {
        char side = 0, price[32], amount[32];
        int n = 0;
        assert_int_equal(sscanf(at, " %c %31s %31[^, ]%n", &side, price, amount, &n), 3);
        struct level level;
        assert_int_equal(decimal_parse(str_from(price), &level.price), 0);
        assert_int_equal(decimal_parse(str_from(amount), &level.amount), 0);
        if (side == 'b') {
            bids[delta.bid_count++] = level;
        } else {
            asks[delta.ask_count++] = level;
        }
        at += n;
        at += *at == ',';
    }
    delta.bids = bids;
    delta.asks = asks;
    delta.prev_update_id = ID_NONE;
    struct event event = {.channel = CHANNEL_DEPTH, .symbol = str_from(symbol), .depth = delta};
    kit_event(kit, &event);
}

void kit_delta(struct kit *kit, const char *symbol, int64_t first, int64_t last, const char *levels)
{
    struct depth_event delta = {.first_update_id = first, .last_update_id = last};
    depth(kit, symbol, delta, levels);
}

void kit_snapshot(struct kit *kit, const char *symbol, int64_t id, const char *levels)
{
    struct depth_event snapshot = {
        .is_snapshot = true, .first_update_id = ID_NONE, .last_update_id = id};
    uint32_t conn = kit->conn;
    kit->conn = 0;
    depth(kit, symbol, snapshot, levels);
    kit->conn = conn;
}

void kit_full(struct kit *kit, const char *symbol, int64_t id, const char *levels)
{
    struct depth_event full = {
        .is_snapshot = true, .first_update_id = ID_NONE, .last_update_id = id};
    depth(kit, symbol, full, levels);
}

static struct record record_of(struct kit *kit, enum record_kind kind)
{
    bool of_venue = kind != RECORD_TICK && kind != RECORD_START && kind != RECORD_STOP;
    return (struct record){.seq = ++kit->seq,
                           .time_unix_ns = kit->now_s * NS_PER_S,
                           .kind = kind,
                           .venue = of_venue ? kit->venue : VENUE_NONE,
                           .conn = of_venue ? kit->conn : 0};
}

void kit_record(struct kit *kit, enum record_kind kind, const char *arg, const char *payload)
{
    struct record record = record_of(kit, kind);
    record.arg = str_from(arg);
    record.payload = str_from(payload);
    normalise_record(kit->normalise, &record);
    check(kit);
}

void kit_subscribe(struct kit *kit, const char *streams)
{
    char text[512];
    snprintf(text, sizeof text, "{\"method\":\"SUBSCRIBE\",\"params\":[%s],\"id\":1}", streams);
    kit_record(kit, RECORD_SENT, "", text);
}

void kit_tick(struct kit *kit)
{
    kit->now_s++;
    kit_record(kit, RECORD_TICK, "", "");
}

void kit_undecodable(struct kit *kit, int channel, const char *reason)
{
    struct record record = record_of(kit, RECORD_RECV);
    struct decode_result result = {.code = -6, .channel = channel, .reason = reason};
    normalise_undecodable(kit->normalise, &record, &result);
    check(kit);
}
