#ifndef MD_EXCHANGE_BINANCE_FUTURES_H
#define MD_EXCHANGE_BINANCE_FUTURES_H

#include "exchange/exchange.h"

/* Binance USD-M futures, JSON. Facts: docs/exchanges/binance-futures.md. */
extern const struct venue binance_futures;

/* Kinds of streams, by what follows the @ of their names. */
enum binance_futures_kind {
    FUTURES_UNKNOWN,
    FUTURES_TRADE,
    FUTURES_AGG_TRADE,
    FUTURES_BOOK_TICKER,
    FUTURES_DEPTH,
    FUTURES_PARTIAL_5,
    FUTURES_PARTIAL_10, /* no channel of ours */
    FUTURES_PARTIAL_20,
    FUTURES_MARK_PRICE,
    FUTURES_FORCE_ORDER,
    FUTURES_KLINE,
    FUTURES_TICKER,
    FUTURES_MINI_TICKER,
    FUTURES_OTHER, /* known, not recorded: contractInfo, compositeIndex, rpiDepth, ... */
};
enum binance_futures_kind binance_futures_kind(struct str name, struct str *symbol);
int binance_futures_channel(enum binance_futures_kind kind); /* enum channel; -1 = none */

/* Decode side; binance_futures_decode.c and binance_rest.c. */
struct decode_result binance_futures_decode(struct decoder *decoder, const struct record *record,
                                            event_sink sink, void *context);
struct decode_result binance_futures_decode_general(struct decoder *decoder,
                                                    const struct record *record, event_sink sink,
                                                    void *context);
struct decode_result binance_futures_rest(struct decoder *decoder, const struct record *record,
                                          event_sink sink, void *context);

#endif
