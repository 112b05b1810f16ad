#ifndef MD_EXCHANGE_KUCOIN_H
#define MD_EXCHANGE_KUCOIN_H

#include "exchange/exchange.h"
#include "exchange/reading.h"

/* KuCoin, spot and futures: classic sockets (token, text frames) and unified ones (binary frames
 * that hold JSON text). Facts: docs/exchanges/kucoin.md. */
extern const struct venue kucoin_spot;
extern const struct venue kucoin_futures;

enum { KUCOIN_CLASSIC, KUCOIN_UNIFIED }; /* endpoints */

/* Kinds of streams: topics of the classic sockets, channels of the unified ones. */
enum kucoin_kind {
    KUCOIN_UNKNOWN,
    KUCOIN_MATCH,
    KUCOIN_TICKER,    /* best bid and ask beside the last trade; not asked for, but understood */
    KUCOIN_TICKER_V2, /* futures */
    KUCOIN_LEVEL1,    /* spot */
    KUCOIN_LEVEL2,    /* not asked for, but understood */
    KUCOIN_DEPTH5,
    KUCOIN_DEPTH50,
    KUCOIN_CANDLES,
    KUCOIN_CANDLES_2022, /* futures, an object a candle; only in old recordings */
    KUCOIN_SNAPSHOT,     /* the last 24 hours */
    KUCOIN_INSTRUMENT,   /* mark and index price, funding rate */
    KUCOIN_ANNOUNCEMENT, /* funding begins and ends */
    KUCOIN_OTHER,        /* known, not recorded: call auctions, margin indexes, level3 */
    KUCOIN_OBU,          /* unified from here on */
    KUCOIN_MARK_PRICE,
    KUCOIN_FUNDING_FEE,
    KUCOIN_UNIFIED_TRADE,
    KUCOIN_UNIFIED_TICKER,
    KUCOIN_UNIFIED_KLINE,
};

/* Names are a few bytes: the C library's wide compare costs more than all of a message's when one
 * of them ends near the end of a page (masked loads; measured 440 ns in a trade). */
static inline bool kucoin_same(struct str a, struct str b)
{
    size_t i = 0;
    if (a.bytes != b.bytes) {
        return false;
    }
    while (i < a.bytes && a.data[i] == b.data[i]) {
        i++;
    }
    return i == a.bytes;
}

/* "/market/match:BTC-USDT" -> kind; *symbols gets what is behind the colon (bytes = 0: nothing). */
enum kucoin_kind kucoin_kind_of_topic(struct str topic, struct str *symbols);
/* "obu", or "obu.SPOT" as in pushes. */
enum kucoin_kind kucoin_kind_of_channel(struct str channel);
/* Where a kind's messages land; -1: by what they say (obu), or not at all. */
int kucoin_channel_of_kind(enum kucoin_kind kind);
/* "1min", "4hour" -> "1m", "4h"; bytes = 0: unknown. Static text. */
struct str kucoin_interval_of(struct str type);
/* The reverse; bytes = 0: the venue has none. */
struct str kucoin_type_of_interval(struct str interval, bool spot);
/* "/market/match"; the kind must be one of the classic sockets. */
struct str kucoin_topic_of_kind(int kind, bool spot);
/* The channel of a book stream of the unified sockets, by its depth: "increment@10ms", "1", "5",
 * "50"; -1: unknown. */
int kucoin_channel_of_depth(struct str depth);
/* "BTC-USDT_1hour" into its two parts; false: no underscore. */
bool kucoin_candle_name(struct str name, struct str *symbol, struct str *type);

/* venue.decode_sent */
void kucoin_decode_sent(const struct record *record, sent_sink on_stream, void *context);

/* Decode side; kucoin_decode.c, kucoin_uta.c and kucoin_rest.c. */
struct decode_result kucoin_decode(struct decoder *decoder, const struct record *record,
                                   event_sink sink, void *context);
struct decode_result kucoin_decode_general(struct decoder *decoder, const struct record *record,
                                           event_sink sink, void *context);
struct decode_result kucoin_rest(struct decoder *decoder, const struct record *record,
                                 event_sink sink, void *context);
/* A push of a unified socket, an object with "T". False with the reason in reading->result. */
bool kucoin_uta_general(struct reading *reading, const struct scan_value *frame);
/* The same by the letters of its keys, without validating first; false: not of the known shape,
 * nothing was emitted. */
bool kucoin_uta_predicted(struct reading *reading);
/* What every event must satisfy before it goes out. */
bool kucoin_checks(struct reading *reading);

#endif
