#ifndef MD_SIM_KUCOIN_H
#define MD_SIM_KUCOIN_H

#include "sim/sim_exchange.h"
#include "sim/sim_stream.h"

/* What the files of KuCoin share. Spot and futures are two rows of struct sim_exchange over the
 * same streams; what only one of them has is refused on the other. Classic and unified (UTA)
 * sockets have streams of their own, since their messages differ. Source: exchanges/kucoin.md. */

#define SIM_KUCOIN_CANDLES 14

enum sim_kucoin_stream {
    /* classic */
    SIM_KUCOIN_MATCH,  /* /market/match, /contractMarket/execution */
    SIM_KUCOIN_LEVEL1, /* /spotMarket/level1, /contractMarket/tickerV2 */
    SIM_KUCOIN_TICKER, /* /market/ticker, /contractMarket/ticker */
    SIM_KUCOIN_LEVEL2,
    SIM_KUCOIN_DEPTH5,
    SIM_KUCOIN_DEPTH50,
    SIM_KUCOIN_SNAPSHOT,   /* 24 h figures */
    SIM_KUCOIN_INSTRUMENT, /* mark and index prices, funding rates */
    SIM_KUCOIN_QUIET,      /* topics that exist and say nothing here */
    SIM_KUCOIN_CANDLE,
    /* unified */
    SIM_KUCOIN_OBU = SIM_KUCOIN_CANDLE + SIM_KUCOIN_CANDLES, /* increment@10ms */
    SIM_KUCOIN_OBU_RAW,                                      /* increment: no snapshot */
    SIM_KUCOIN_OBU_1,
    SIM_KUCOIN_OBU_5,
    SIM_KUCOIN_OBU_50,
    SIM_KUCOIN_TRADE,
    SIM_KUCOIN_QUOTE, /* channel ticker */
    SIM_KUCOIN_MARK,
    SIM_KUCOIN_FUNDING,
    SIM_KUCOIN_KLINE,
    SIM_KUCOIN_STREAM_COUNT = SIM_KUCOIN_KLINE + SIM_KUCOIN_CANDLES,
};
_Static_assert(SIM_KUCOIN_STREAM_COUNT <= SIM_STREAMS_MAX, "a bit for each stream");

#define SIM_KUCOIN_OBU_LEVELS 500 /* of a side, in increments */

/* What obu's increments have told so far, while somebody listens. */
struct sim_kucoin_book {
    bool active;
    int64_t told_unix_ns;
    uint32_t low, high; /* slots told: [low, high) */
    struct model_diff diff;
};

#define SIM_KUCOIN_TOKENS 1024
#define SIM_KUCOIN_CONNECTS_MAX 256

struct sim_kucoin_token {
    uint64_t number; /* random; 0 = none */
    int64_t issued_mono_ns;
    bool used;
};

/* Connection attempts of the last window. All clients are one: they come from one address. */
struct sim_kucoin_connects {
    int64_t times_mono_ns[SIM_KUCOIN_CONNECTS_MAX];
    uint32_t next;
};

/* sim->venue; a struct sim_kucoin_book for each symbol follows. */
struct sim_kucoin {
    struct sim_kucoin_token tokens[SIM_KUCOIN_TOKENS];
    uint64_t tokens_issued;
    struct sim_kucoin_connects connects[2]; /* classic, unified */
};

static inline struct sim_kucoin *sim_kucoin_own(const struct sim *sim)
{
    return sim->venue;
}
static inline struct sim_kucoin_book *sim_kucoin_book_of(const struct sim *sim, uint32_t symbol)
{
    return (struct sim_kucoin_book *)(sim_kucoin_own(sim) + 1) + symbol;
}
static inline bool sim_kucoin_is_spot(const struct sim *sim)
{
    return sim->config.exchange == VENUE_KUCOIN;
}
static inline bool sim_kucoin_stream_is_unified(uint32_t stream)
{
    return stream >= SIM_KUCOIN_OBU;
}

/* A setting of struct sim_limits_config counts when it is another than its preset (Binance's);
 * otherwise this venue's own value does. */
#define SIM_KUCOIN_LIMIT(sim, field, own) \
    ((sim)->config.limits.field != sim_limits_default().field ? (sim)->config.limits.field : (own))

/* ---- sim_kucoin_text.c: what the streams say */

/* An update of the model is four changes, numbered by the book's sequence. */
#define SIM_KUCOIN_CHANGES 4
static inline int64_t sim_kucoin_sequence(const struct model_symbol *symbol, int64_t update)
{
    return SIM_KUCOIN_CHANGES * (symbol->update_id0 + update);
}
/* Above 2^53 on spot, with steps. */
int64_t sim_kucoin_trade_id(const struct sim *sim, int64_t id);

struct sim_kucoin_change {
    bool ask;
    struct model_level level; /* quantity 0: it is gone */
};

struct sim_kucoin_event {
    uint32_t stream;
    const struct model_symbol *symbol;
    const struct model_book *book;
    int64_t index, time_unix_ns;
    struct model_trade trade;
    bool snapshot, funding, closed; /* obu: whole; instrument: funding rate; candle: ended */
    int64_t first, last;            /* sequences of a delta */
    struct sim_kucoin_change changes[SIM_KUCOIN_CHANGES]; /* of one update */
    uint32_t change_count;
    struct sim_levels levels;
};

/* The whole message. */
void sim_kucoin_put_event(struct buf *out, const struct sim *sim,
                          const struct sim_kucoin_event *event);

/* "65000.01", "2781.6": no zeros at the end. */
void sim_kucoin_put_e8(struct buf *out, int64_t value_e8);
/* ,"key":"65000.01" with its own comma. */
void sim_kucoin_put_text_e8(struct buf *out, const char *key, int64_t value_e8);
/* ,"key":65000.01 */
void sim_kucoin_put_number_e8(struct buf *out, const char *key, int64_t value_e8);
/* Contracts: a step of the model is one lot. */
int64_t sim_kucoin_lots(const struct model_symbol *symbol, int64_t quantity_e8);
/* [["p","s"],..] on spot; [["p",lots],..] in futures topics, [[p,lots],..] in futures REST. */
enum sim_kucoin_levels { SIM_KUCOIN_STRINGS, SIM_KUCOIN_LOTS, SIM_KUCOIN_NUMBERS };
void sim_kucoin_put_levels(struct buf *out, const struct model_symbol *symbol,
                           const struct model_level *levels, uint32_t count,
                           enum sim_kucoin_levels form);
/* Taker and maker of a trade: 24 hexadecimal digits. */
void sim_kucoin_put_order(struct buf *out, const struct model_trade *trade, uint64_t side);

/* Index and mark price, open interest in lots, funding rate in 1e-8: all of a moment. */
int64_t sim_kucoin_index_e8(const struct model_book *book);
int64_t sim_kucoin_mark_e8(const struct model_book *book, int64_t time_unix_ns);
int64_t sim_kucoin_interest(const struct model_symbol *symbol, int64_t time_unix_ns);
int64_t sim_kucoin_funding_e8(const struct model_symbol *symbol, int64_t time_unix_ns);
#define SIM_KUCOIN_FUNDING_NS (8 * 3600 * NS_PER_S)

/* Candles: "1min", ...; the number of an interval (0 .. 13), -1 if there is none such. */
int sim_kucoin_candle_parse(const struct sim *sim, struct str type);
const char *sim_kucoin_candle_name(int candle);
/* Its number among sim_interval_...() (sim_stream.h). */
int sim_kucoin_candle_interval(int candle);

/* ---- sim_kucoin_uta.c: increments of the unified order book */
void sim_kucoin_obu_subscribed(struct sim *sim, uint32_t sub);
void sim_kucoin_obu_update(struct sim *sim, uint32_t symbol, struct sim_live *live);
void sim_kucoin_obu_tenth(struct sim *sim, uint32_t symbol, struct sim_live *live);
/* Writes the event and sends it to whoever listens. */
void sim_kucoin_emit(struct sim *sim, uint32_t symbol, const struct sim_kucoin_event *event);

/* ---- sim_kucoin_ws.c: sockets */
int sim_kucoin_ws_open(struct sim_conn *conn, const struct sim_request *request);
void sim_kucoin_ws_opened(struct sim_conn *conn, const struct sim_request *request);
void sim_kucoin_ws_text(struct sim_conn *conn, struct str text);
void sim_kucoin_ws_turn(struct sim_conn *conn);
void sim_kucoin_ws_shutdown(struct sim_conn *conn);
/* A new token's text. */
void sim_kucoin_token_put(struct sim *sim, struct buf *out);

/* ---- sim_kucoin_rest.c */
bool sim_kucoin_rest(struct sim_conn *conn, const struct sim_request *request, struct str path);
void sim_kucoin_rest_piece(struct sim *sim, struct sim_reply *reply, struct buf *out);
void sim_kucoin_rest_head(const struct sim_conn *conn, struct buf *out);

#endif
