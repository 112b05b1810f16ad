#ifndef MD_SIM_EXCHANGE_H
#define MD_SIM_EXCHANGE_H

#include "journal/record.h"
#include "sim/sim_internal.h"

/* An exchange as the simulator plays it: a table and the files behind it. What is shared (sockets,
 * TLS, framing, subscription lists, the passing of time over the market, faults, counters) knows
 * nothing of any venue. One struct sim plays one exchange. */

#define SIM_STREAMS_MAX 64

struct sim_exchange {
    enum venue_id venue;
    const char *name; /* exchange id */
    uint32_t stream_count;
    uint32_t own_bytes, own_symbol_bytes; /* sim->venue: so much, and so much a symbol behind it */
    bool protocol_pings; /* limits.ping_interval_ms, with a deadline for the pong */
    bool frame_limit;    /* limits.messages_per_s over all client frames; else ws_text() counts */
    /* The venue's spelling of a symbol; NULL = as the model has it (BTCUSDT). */
    void (*spell)(const struct model_symbol *symbol, struct buf *out);
    /* Group of a stream in fault scripts: trade, depth, bookTicker, ... */
    const char *(*stream_group)(uint32_t stream);
    /* Its name for the fault log. */
    void (*stream_name)(const struct sim *sim, uint32_t symbol, uint32_t stream, struct buf *out);
    bool (*needs_book)(uint32_t stream);
    /* ---- Binance's only (sim_binance_ws.c) */
    /* The stream a name stands for on this connection; -1: none, it is acked and silent. */
    int (*stream_parse)(const struct sim_conn *conn, struct str name, uint32_t *symbol);
    const char *(*stream_suffix)(uint32_t stream); /* what follows "<symbol>@" */
    size_t (*path_prefix)(struct str path);        /* bytes before /stream and /ws */

    /* ---- WebSocket. conn->state_bytes is the venue's own, zeroed at the handshake. */
    /* The handshake's target and headers: 0, or the HTTP status that refuses it. */
    int (*ws_open)(struct sim_conn *conn, const struct sim_request *request);
    /* After the 101: a welcome, subscriptions of the URL. NULL = nothing. */
    void (*ws_opened)(struct sim_conn *conn, const struct sim_request *request);
    void (*ws_text)(struct sim_conn *conn, struct str text);
    void (*ws_turn)(struct sim_conn *conn);     /* timed things; NULL = none */
    void (*ws_shutdown)(struct sim_conn *conn); /* announces it; NULL = no such message */

    /* ---- The market, for symbols somebody listens to. */
    void (*on_subscribed)(struct sim *sim, uint32_t sub); /* live is set; NULL = nothing */
    /* The taker order live->agg_next at live->agg_unix_ns. */
    void (*on_order)(struct sim *sim, uint32_t symbol, struct sim_live *live);
    /* live->book has just gone on by one update. */
    void (*on_update)(struct sim *sim, uint32_t symbol, struct sim_live *live, bool best_changed);
    /* A tenth of a second is over (live->boundary_unix_ns); live->diff_100 holds what changed, and
     * at whole seconds live->diff_1000. */
    void (*on_tenth)(struct sim *sim, uint32_t symbol, struct sim_live *live);

    /* ---- REST: answers through sim_rest_answer() and its like; false = no such path. */
    bool (*rest)(struct sim_conn *conn, const struct sim_request *request, struct str path);
    /* One piece of a long answer (conn->reply); sets reply->next >= model.count at its end. */
    void (*rest_piece)(struct sim *sim, struct sim_reply *reply, struct buf *out);
    /* Header lines of every REST answer, after the content type. NULL = none. */
    void (*rest_head)(const struct sim_conn *conn, struct buf *out);
};

extern const struct sim_exchange sim_binance;
extern const struct sim_exchange sim_kucoin_spot;
extern const struct sim_exchange sim_kucoin_futures;
extern const struct sim_exchange sim_gate_spot;
extern const struct sim_exchange sim_gate_futures;
extern const struct sim_exchange sim_binance_futures;

/* NULL: the simulator does not play this exchange. */
const struct sim_exchange *sim_exchange_of(enum venue_id venue);

/* ---- what the venues' files use */

/* Room for one message's payload: sim->text[0] behind SIM_PREFIX_BYTES. */
static inline struct buf sim_message_buf(struct sim *sim)
{
    return buf_over(sim->text[0] + SIM_PREFIX_BYTES, SIM_TEXT_BYTES - SIM_PREFIX_BYTES - 1);
}
static inline bool sim_heard(const struct sim *sim, uint32_t symbol, uint32_t stream)
{
    return sim->heads[symbol * sim->exchange->stream_count + stream] != SIM_NONE;
}

#endif
