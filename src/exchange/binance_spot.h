#ifndef MD_EXCHANGE_BINANCE_SPOT_H
#define MD_EXCHANGE_BINANCE_SPOT_H

#include "exchange/exchange.h"

/* Binance spot, JSON. Facts: docs/exchanges/binance-spot.md. */
extern const struct venue binance_spot;

/* Decode side; binance_spot_decode.c and binance_rest.c. */
struct decode_result binance_spot_decode(struct decoder *decoder, const struct record *record,
                                         event_sink sink, void *context);
struct decode_result binance_spot_rest(struct decoder *decoder, const struct record *record,
                                       event_sink sink, void *context);
/* For tests and bench: never takes the predicted path. */
struct decode_result binance_spot_decode_general(struct decoder *decoder,
                                                 const struct record *record, event_sink sink,
                                                 void *context);
/* Channel and kind of a stream name, and where its symbol ends. */
enum binance_stream {
    BINANCE_STREAM_UNKNOWN,
    BINANCE_STREAM_TRADE,
    BINANCE_STREAM_AGG_TRADE,
    BINANCE_STREAM_BOOK_TICKER,
    BINANCE_STREAM_DEPTH,
    BINANCE_STREAM_PARTIAL_5,
    BINANCE_STREAM_PARTIAL_20,
    BINANCE_STREAM_KLINE,
    BINANCE_STREAM_TICKER,
    BINANCE_STREAM_MINI_TICKER,
};
enum binance_stream binance_spot_stream(struct str name, struct str *symbol);
int binance_spot_channel(enum binance_stream stream); /* enum channel; -1 = unknown */

#endif
