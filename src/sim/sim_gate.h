#ifndef MD_SIM_GATE_H
#define MD_SIM_GATE_H

#include "sim/sim_exchange.h"
#include "sim/sim_stream.h"

/* What the files of Gate share. Spot and USDT futures are two rows of struct sim_exchange over the
 * same streams; what only one of them has is refused on the other. Source: exchanges/gate.md. */

#define SIM_GATE_CANDLES 16
#define SIM_GATE_STATS 10
#define SIM_GATE_BOOK_LEVELS 7

enum sim_gate_stream {
    SIM_GATE_TRADES,
    SIM_GATE_BOOK_TICKER,
    SIM_GATE_OBU_50,
    SIM_GATE_OBU_400,
    SIM_GATE_UPDATE_20,      /* order_book_update of so many levels, every 100 ms */
    SIM_GATE_UPDATE_50,      /* ... */
    SIM_GATE_UPDATE_100,     /* ... */
    SIM_GATE_UPDATE_20_FAST, /* "20ms"; here every 100 ms too */
    SIM_GATE_TICKERS,
    SIM_GATE_LIQUIDATIONS,
    SIM_GATE_BOOK, /* order_book of each level, every 100 ms ... */
    SIM_GATE_BOOK_SLOW = SIM_GATE_BOOK + SIM_GATE_BOOK_LEVELS, /* ... and every 1000 ms */
    SIM_GATE_CANDLE = SIM_GATE_BOOK_SLOW + SIM_GATE_BOOK_LEVELS,
    SIM_GATE_STAT = SIM_GATE_CANDLE + SIM_GATE_CANDLES,
    SIM_GATE_STREAM_COUNT = SIM_GATE_STAT + SIM_GATE_STATS,
};
_Static_assert(SIM_GATE_STREAM_COUNT <= SIM_STREAMS_MAX, "a bit for each stream");

/* Books that changes are sent of are cut to so many levels a side; what leaves is sent as "0". */
enum sim_gate_depth {
    SIM_GATE_DEPTH_20,
    SIM_GATE_DEPTH_50,
    SIM_GATE_DEPTH_100,
    SIM_GATE_DEPTH_400
};
#define SIM_GATE_DEPTHS 4

extern const uint32_t sim_gate_depth_levels[SIM_GATE_DEPTHS];
extern const uint32_t sim_gate_book_levels[SIM_GATE_BOOK_LEVELS];

/* Slots of the last level within each depth. */
struct sim_gate_window {
    uint32_t low[SIM_GATE_DEPTHS], high[SIM_GATE_DEPTHS];
};

struct sim_gate_symbol {
    struct sim_gate_window window; /* as of the last tenth of a second */
    uint32_t mid_low, mid_high;    /* where the mid has been since; 0 = not yet moved */
};

#define SIM_GATE_ENDPOINTS_MAX 16

/* sim->venue; a struct sim_gate_symbol for each symbol follows. */
struct sim_gate {
    struct {
        int64_t window_mono_ns;
        uint32_t used;
    } endpoints[SIM_GATE_ENDPOINTS_MAX];
    uint32_t left; /* of the endpoint asked last */
    int64_t reset_unix_s;
};

static inline struct sim_gate *sim_gate_own(const struct sim *sim)
{
    return sim->venue;
}
static inline struct sim_gate_symbol *sim_gate_symbol_of(const struct sim *sim, uint32_t symbol)
{
    return (struct sim_gate_symbol *)(sim_gate_own(sim) + 1) + symbol;
}
static inline bool sim_gate_is_spot(const struct sim *sim)
{
    return sim->config.exchange == VENUE_GATE;
}

/* ---- sim_gate_text.c: what the streams say */

/* "1m"; the number of a candle's interval, -1 if unknown on this market. */
int sim_gate_candle_parse(const struct sim *sim, struct str text);
const char *sim_gate_candle_name(int interval);
int64_t sim_gate_candle_ns(int interval);
int64_t sim_gate_candle_start(int interval, int64_t time_unix_ns);
int sim_gate_stat_parse(struct str text);
const char *sim_gate_stat_name(int interval);
int64_t sim_gate_stat_ns(int interval);

/* Contracts: some are counted in tenths (enable_decimal). A step of the model is one contract, or a
 * tenth of one. */
bool sim_gate_is_decimal(const struct sim *sim, const struct model_symbol *symbol);
int64_t sim_gate_multiplier_e8(const struct sim *sim, const struct model_symbol *symbol);
/* Open contracts at a moment, in steps. */
int64_t sim_gate_interest_steps(const struct model_symbol *symbol, int64_t time_unix_ns);

/* "65000.01", "2781.6": no zeros at the end. */
void sim_gate_put_e8(struct buf *out, int64_t value_e8);
/* Contracts of a quantity: a string with `decimal`, else a number cut towards zero. */
void sim_gate_put_size(struct buf *out, const struct sim *sim, const struct model_symbol *symbol,
                       int64_t quantity_e8, bool decimal);
/* Key and price or quantity of the base coin: ,"last":"65000.01" with its own comma. */
void sim_gate_put_member(struct buf *out, const char *key, int64_t value_e8);

struct sim_gate_event {
    uint32_t stream;
    const struct model_symbol *symbol;
    const struct model_book *book;
    int64_t index, time_unix_ns;
    int64_t first_trade; /* index */
    uint32_t trades;
    bool full, closed;
    int64_t first_id, last_id;
    struct sim_levels levels;
};

/* The whole message; `decimal`: the client asked for sizes as decimal strings. */
void sim_gate_put_event(struct buf *out, const struct sim *sim, const struct sim_gate_event *event,
                        bool decimal);
/* The members of a ticker, as streams and REST have them; `partial`: without the volumes. */
void sim_gate_put_ticker(struct buf *out, const struct sim *sim, const struct model_book *book,
                         int64_t time_unix_ns, bool decimal, bool partial);
/* [["p","s"],...], or [{"p":"p","s":s},...] with `objects` (contracts). */
void sim_gate_put_levels(struct buf *out, const struct sim *sim, const struct model_symbol *symbol,
                         const struct model_level *levels, uint32_t count, bool objects,
                         bool decimal);
struct sim_gate_prices {
    int64_t mark_e8, index_e8, funding_e8;
};
struct sim_gate_prices sim_gate_prices(const struct model_book *book, int64_t time_unix_ns);

/* ---- sim_gate_ws.c: requests and replies */
int sim_gate_ws_open(struct sim_conn *conn, const struct sim_request *request);
void sim_gate_ws_text(struct sim_conn *conn, struct str text);
void sim_gate_ws_turn(struct sim_conn *conn);
void sim_gate_ws_shutdown(struct sim_conn *conn);

/* ---- sim_gate_rest.c */
bool sim_gate_rest(struct sim_conn *conn, const struct sim_request *request, struct str path);
void sim_gate_rest_piece(struct sim *sim, struct sim_reply *reply, struct buf *out);
void sim_gate_rest_head(const struct sim_conn *conn, struct buf *out);

#endif
