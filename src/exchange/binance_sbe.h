#ifndef MD_EXCHANGE_BINANCE_SBE_H
#define MD_EXCHANGE_BINANCE_SBE_H

#include "exchange/exchange.h"

/* Binance spot's binary market data, schema 1:0 (little-endian hosts, as all of ours are). */

/* RECORD_RECV_BINARY. Unknown templates and schemas are MD_EUNKNOWN, cut ones MD_EPARSE. */
struct decode_result binance_sbe_decode(struct decoder *decoder, const struct record *record,
                                        event_sink sink, void *context);
/* The channel by the template id; -1 = unknown. */
int binance_sbe_peek(struct str frame);

#endif
