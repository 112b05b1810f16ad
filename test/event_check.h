#ifndef MD_TEST_EVENT_CHECK_H
#define MD_TEST_EVENT_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exchange/exchange.h"

/* For tests of decoders on bad input: an event as one line of text, every member of it, and what
 * any event must satisfy whatever was sent. Header only: fuzz targets and unit tests share it. */

/* ---- as text */

static inline void event_put_decimal(struct buf *out, struct decimal d)
{
    buf_printf(out, " %lld/%d", (long long)d.mantissa, d.exponent);
}

static inline void event_put_opt(struct buf *out, struct decimal_opt d)
{
    if (d.set) {
        event_put_decimal(out, d.value);
    } else {
        buf_put_str(out, STR(" -"));
    }
}

static inline void event_put_levels(struct buf *out, const struct level *levels, uint32_t count)
{
    buf_printf(out, " %u:", count);
    for (uint32_t i = 0; i < count; i++) {
        event_put_decimal(out, levels[i].price);
        event_put_decimal(out, levels[i].amount);
    }
}

static inline void event_put_text(struct buf *out, struct str text)
{
    buf_put_char(out, ' ');
    buf_put_str(out, text);
}

static inline void event_put_trade(struct buf *out, const struct trade_event *trade)
{
    event_put_text(out, trade->id);
    buf_printf(out, " %lld %d %d", (long long)trade->trade_id, trade->side, trade->flags);
    event_put_decimal(out, trade->price);
    event_put_decimal(out, trade->amount);
    event_put_opt(out, trade->amount_base);
}

static inline void event_put_derivative(struct buf *out,
                                        const struct derivative_ticker_event *ticker)
{
    buf_printf(out, " %lld %d", (long long)ticker->funding_unix_ns, ticker->funding_interval_s);
    const struct decimal_opt values[] = {ticker->funding_rate,  ticker->predicted_funding_rate,
                                         ticker->open_interest, ticker->last_price,
                                         ticker->index_price,   ticker->mark_price};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        event_put_opt(out, values[i]);
    }
}

static inline void event_put_candle(struct buf *out, const struct candle_event *candle)
{
    event_put_text(out, candle->interval);
    buf_printf(out, " %lld %lld %lld %d", (long long)candle->open_unix_ns,
               (long long)candle->close_unix_ns, (long long)candle->trade_count, candle->closed);
    const struct decimal values[] = {candle->open, candle->high, candle->low, candle->close,
                                     candle->volume};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        event_put_decimal(out, values[i]);
    }
    event_put_opt(out, candle->quote_volume);
}

static inline void event_put_ticker(struct buf *out, const struct ticker_event *ticker)
{
    const struct decimal_opt values[] = {ticker->last_price, ticker->open,     ticker->high,
                                         ticker->low,        ticker->volume,   ticker->quote_volume,
                                         ticker->bid_price,  ticker->ask_price};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        event_put_opt(out, values[i]);
    }
}

static inline void event_put_instrument(struct buf *out, const struct instrument_event *instrument)
{
    event_put_text(out, instrument->base);
    event_put_text(out, instrument->quote);
    event_put_text(out, instrument->type);
    event_put_text(out, instrument->status);
    event_put_text(out, instrument->unified_symbol);
    event_put_opt(out, instrument->tick_size);
    event_put_opt(out, instrument->lot_size);
    event_put_opt(out, instrument->contract_multiplier);
    buf_printf(out, " %lld", (long long)instrument->valid_from_unix_ns);
}

static inline void event_put_payload(struct buf *out, const struct event *event)
{
    switch (event->channel) {
    case CHANNEL_TRADES:
        event_put_trade(out, &event->trade);
        break;
    case CHANNEL_BOOK_TICKER:
        buf_printf(out, " %lld", (long long)event->book_ticker.update_id);
        event_put_opt(out, event->book_ticker.bid_price);
        event_put_opt(out, event->book_ticker.bid_amount);
        event_put_opt(out, event->book_ticker.ask_price);
        event_put_opt(out, event->book_ticker.ask_amount);
        break;
    case CHANNEL_DEPTH:
        buf_printf(out, " %d %lld %lld %lld", event->depth.is_snapshot,
                   (long long)event->depth.first_update_id, (long long)event->depth.last_update_id,
                   (long long)event->depth.prev_update_id);
        event_put_levels(out, event->depth.bids, event->depth.bid_count);
        event_put_levels(out, event->depth.asks, event->depth.ask_count);
        break;
    case CHANNEL_BOOK_SNAPSHOT_5:
    case CHANNEL_BOOK_SNAPSHOT_20:
    case CHANNEL_BOOK_SNAPSHOT_50:
        buf_printf(out, " %lld", (long long)event->book_snapshot.last_update_id);
        event_put_levels(out, event->book_snapshot.bids, event->book_snapshot.bid_count);
        event_put_levels(out, event->book_snapshot.asks, event->book_snapshot.ask_count);
        break;
    case CHANNEL_DERIVATIVE_TICKER:
        event_put_derivative(out, &event->derivative_ticker);
        break;
    case CHANNEL_LIQUIDATIONS:
        event_put_text(out, event->liquidation.id);
        buf_printf(out, " %d", event->liquidation.side);
        event_put_decimal(out, event->liquidation.price);
        event_put_decimal(out, event->liquidation.amount);
        event_put_opt(out, event->liquidation.average_price);
        event_put_text(out, event->liquidation.order_status);
        break;
    case CHANNEL_CANDLES:
        event_put_candle(out, &event->candle);
        break;
    case CHANNEL_TICKER:
        event_put_ticker(out, &event->ticker);
        break;
    case CHANNEL_INSTRUMENTS:
        event_put_instrument(out, &event->instrument);
        break;
    case CHANNEL_GAPS:
    case CHANNEL_COUNT:
        break;
    }
}

/* One line: channel, symbol, event time, then the members in the order of event.h. */
static inline void event_put(struct buf *out, const struct event *event)
{
    buf_printf(out, "%d ", event->channel);
    buf_put_str(out, event->symbol);
    buf_printf(out, " %lld", (long long)event->event_unix_ns);
    event_put_payload(out, event);
    buf_put_char(out, '\n');
}

/* ---- what must hold */

static inline bool event_decimal_holds(struct decimal d)
{
    return d.exponent >= -38 && d.exponent <= 38;
}

static inline bool event_opt_holds(struct decimal_opt d)
{
    return !d.set || event_decimal_holds(d.value);
}

static inline bool event_levels_hold(const struct level *levels, uint32_t count, uint32_t most)
{
    if (count > most || (count > 0 && levels == NULL)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!event_decimal_holds(levels[i].price) || !event_decimal_holds(levels[i].amount)) {
            return false;
        }
    }
    return true;
}

static inline bool event_time_holds(int64_t unix_ns)
{
    return unix_ns == TIME_NONE || unix_ns >= 0;
}

/* Those it may have: REST pages have two more. */
static inline int32_t event_trade_flags(const struct trade_event *trade)
{
    return (trade->flags & TRADE_BACKFILL) != 0
               ? TRADE_FLAGS_LANDED | TRADE_PAGE_FIRST | TRADE_PAGE_END
               : TRADE_FLAGS_LANDED;
}

static inline const char *event_trade_wrong(const struct trade_event *trade)
{
    return trade->side > SIDE_SELL                                             ? "side"
           : (trade->flags & ~event_trade_flags(trade)) != 0                   ? "flags"
           : !event_decimal_holds(trade->price)                                ? "price"
           : !event_decimal_holds(trade->amount)                               ? "amount"
           : !event_opt_holds(trade->amount_base)                              ? "amount_base"
           : trade->id.bytes > 256 || (trade->id.bytes > 0 && !trade->id.data) ? "id"
                                                                               : NULL;
}

static inline const char *event_depth_wrong(const struct depth_event *depth, uint32_t levels_max)
{
    if (depth->last_update_id == ID_NONE) {
        return "last_update_id";
    }
    if (depth->first_update_id != ID_NONE && depth->first_update_id > depth->last_update_id) {
        return "first_update_id beyond last_update_id";
    }
    if (!depth->is_snapshot && depth->first_update_id == ID_NONE) {
        return "a delta without first_update_id";
    }
    return !event_levels_hold(depth->bids, depth->bid_count, levels_max)   ? "bids"
           : !event_levels_hold(depth->asks, depth->ask_count, levels_max) ? "asks"
                                                                           : NULL;
}

static inline const char *event_candle_wrong(const struct candle_event *candle)
{
    if (candle->interval.bytes == 0 || candle->interval.bytes > 16) {
        return "interval";
    }
    if (candle->open_unix_ns < 0 || candle->close_unix_ns < 0) {
        return "open or close time";
    }
    return candle->closed < -1 || candle->closed > 1 ? "closed"
           : event_decimal_holds(candle->open) && event_decimal_holds(candle->high) &&
                   event_decimal_holds(candle->low) && event_decimal_holds(candle->close) &&
                   event_decimal_holds(candle->volume) && event_opt_holds(candle->quote_volume)
               ? NULL
               : "a price or volume";
}

static inline const char *event_derivative_wrong(const struct derivative_ticker_event *ticker)
{
    return !event_time_holds(ticker->funding_unix_ns) ? "funding time"
           : ticker->funding_interval_s < 0           ? "funding interval"
           : event_opt_holds(ticker->funding_rate) &&
                   event_opt_holds(ticker->predicted_funding_rate) &&
                   event_opt_holds(ticker->open_interest) && event_opt_holds(ticker->last_price) &&
                   event_opt_holds(ticker->index_price) && event_opt_holds(ticker->mark_price)
               ? NULL
               : "a rate, interest or price";
}

static inline const char *event_payload_wrong(const struct event *event, uint32_t levels_max)
{
    const struct liquidation_event *liquidation = &event->liquidation;
    const struct book_snapshot_event *book = &event->book_snapshot;
    switch (event->channel) {
    case CHANNEL_TRADES:
        return event_trade_wrong(&event->trade);
    case CHANNEL_BOOK_TICKER:
        return event_opt_holds(event->book_ticker.bid_price) &&
                       event_opt_holds(event->book_ticker.bid_amount) &&
                       event_opt_holds(event->book_ticker.ask_price) &&
                       event_opt_holds(event->book_ticker.ask_amount)
                   ? NULL
                   : "a best price or amount";
    case CHANNEL_DEPTH:
        return event_depth_wrong(&event->depth, levels_max);
    case CHANNEL_BOOK_SNAPSHOT_5:
    case CHANNEL_BOOK_SNAPSHOT_20:
    case CHANNEL_BOOK_SNAPSHOT_50:
        return event_levels_hold(book->bids, book->bid_count, levels_max) &&
                       event_levels_hold(book->asks, book->ask_count, levels_max)
                   ? NULL
                   : "levels";
    case CHANNEL_DERIVATIVE_TICKER:
        return event_derivative_wrong(&event->derivative_ticker);
    case CHANNEL_LIQUIDATIONS:
        return liquidation->side > SIDE_SELL                  ? "side"
               : !event_decimal_holds(liquidation->price)     ? "price"
               : !event_decimal_holds(liquidation->amount)    ? "amount"
               : !event_opt_holds(liquidation->average_price) ? "average_price"
               : liquidation->order_status.bytes > 32         ? "order_status"
                                                              : NULL;
    case CHANNEL_CANDLES:
        return event_candle_wrong(&event->candle);
    case CHANNEL_TICKER:
        return event_opt_holds(event->ticker.last_price) && event_opt_holds(event->ticker.open) &&
                       event_opt_holds(event->ticker.high) && event_opt_holds(event->ticker.low) &&
                       event_opt_holds(event->ticker.volume) &&
                       event_opt_holds(event->ticker.quote_volume) &&
                       event_opt_holds(event->ticker.bid_price) &&
                       event_opt_holds(event->ticker.ask_price)
                   ? NULL
                   : "a price or volume";
    case CHANNEL_INSTRUMENTS:
        return event_opt_holds(event->instrument.tick_size) &&
                       event_opt_holds(event->instrument.lot_size) &&
                       event_opt_holds(event->instrument.contract_multiplier)
                   ? NULL
                   : "a size or multiplier";
    case CHANNEL_GAPS:
    case CHANNEL_COUNT:
        break;
    }
    return "no decoder's channel";
}

/* NULL, or what is wrong with an event that a decoder made of `record`. */
static inline const char *event_wrong(const struct event *event, const struct record *record,
                                      uint32_t levels_max)
{
    if (event->venue != record->venue || event->seq != record->seq || event->conn != record->conn ||
        event->recv_unix_ns != record->time_unix_ns) {
        return "not its record's venue, seq, conn or stamp";
    }
    if (event->symbol.data == NULL || event->symbol.bytes == 0 || event->symbol.bytes > 512) {
        return "symbol";
    }
    if (!event_time_holds(event->event_unix_ns)) {
        return "event time";
    }
    return event_payload_wrong(event, levels_max);
}

/* NULL, or what is wrong with a result that came with `events` events. */
static inline const char *result_wrong(const struct decode_result *result, uint32_t events)
{
    return result->code > 0                              ? "a positive code"
           : result->code != 0 && result->reason == NULL ? "an error without a reason"
           : result->code == 0 && result->reason != NULL ? "a reason without an error"
           : result->code != 0 && result->control        ? "a control message with an error"
           : result->control && events > 0               ? "a control message with events"
           : result->channel < -1 || result->channel >= CHANNEL_COUNT ? "channel"
                                                                      : NULL;
}

#endif
