#ifndef MD_EXCHANGE_BINANCE_COMMON_H
#define MD_EXCHANGE_BINANCE_COMMON_H

#include "exchange/exchange.h"
#include "exchange/scan.h"

/* What Binance's venues share on the feed side: stream names in lower case, SUBSCRIBE requests,
 * acks and errors. Source: docs/exchanges/binance-spot.md sections 1 to 3; the futures do the same.
 */

int binance_fit(const struct buf *out); /* MD_ETOOBIG when it overflowed */
/* A symbol that may stand in a stream's name. */
bool binance_symbol_fits(struct str symbol);
bool binance_interval_known(struct str interval);
void binance_put_lower(struct buf *out, struct str symbol);
void binance_put_percent_encoded(struct buf *out, struct str text);
/* "SYMBOL&fromId=..&limit=.." of a list of trades: as many as the hole wants, at most 1000. */
int binance_put_trades_from(struct buf *out, struct str symbol, const struct trades_hole *hole);
int binance_subscribe(const struct venue_request *request,
                      void (*put_name)(struct buf *out, const struct venue_stream *stream),
                      struct buf *out);
enum control_kind binance_control(struct str frame, struct control_reply *reply);
/* The stream's name of a wrapped frame at its first bytes; bytes = 0: it does not show. */
struct str binance_peek_stream(struct str frame);
/* `channel_of` gives a stream name's channel (-1 = unknown), whether its trades are aggregated, and
 * its symbol as sent. */
void binance_decode_sent(const struct record *record,
                         int (*channel_of)(struct str name, bool *aggregate, struct str *symbol),
                         sent_sink on_stream, void *context);

#endif
