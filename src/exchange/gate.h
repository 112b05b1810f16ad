#ifndef MD_EXCHANGE_GATE_H
#define MD_EXCHANGE_GATE_H

#include "exchange/exchange.h"

/* Gate, spot and USDT futures, WebSocket v4. Facts: docs/exchanges/gate.md. */
extern const struct venue gate_spot;
extern const struct venue gate_futures;

/* Kinds of streams. Each is one channel of the venue, on spot, futures or both. */
enum gate_kind {
    GATE_UNKNOWN,
    GATE_TRADES,
    GATE_BOOK_TICKER,
    GATE_OBU,
    GATE_ORDER_BOOK_UPDATE, /* not asked for by us, but understood */
    GATE_ORDER_BOOK,
    GATE_CANDLES,
    GATE_TICKERS,
    GATE_LIQUIDATIONS,
    GATE_CONTRACT_STATS,
    GATE_OTHER, /* known, not recorded: contract_info, autoorders, ... */
};
/* By the name behind "spot." or "futures.". */
enum gate_kind gate_kind_of(struct str channel);

/* Decode side; gate_decode.c and gate_rest.c. */
struct decode_result gate_decode(struct decoder *decoder, const struct record *record,
                                 event_sink sink, void *context);
struct decode_result gate_decode_general(struct decoder *decoder, const struct record *record,
                                         event_sink sink, void *context);
struct decode_result gate_rest(struct decoder *decoder, const struct record *record,
                               event_sink sink, void *context);
/* The symbol of an obu stream's name, "ob.BTC_USDT.400"; bytes = 0 if it is none. */
struct str gate_obu_symbol(struct str name);

#endif
