#ifndef MD_SIM_SIM_INTERNAL_H
#define MD_SIM_SIM_INTERNAL_H

#include <openssl/ssl.h>
#include <wslay/wslay.h>

#include "net/loop.h"
#include "sim/model.h"
#include "sim/sim.h"
#include "sim/sim_faults.h"
#include "sim/sim_limits.h"
#include "sim/sim_request.h"

/* What the parts of the simulator share. sim.c owns the loop and the listener, sim_conn.c bytes of
 * a connection, sim_ws.c its WebSocket side, sim_rest.c its REST side, sim_feed.c what happens on
 * the market and who hears of it. */

/* name, label */
#define SIM_COUNTER_LIST(X)                                                             \
    X(SIM_COUNT_CONNECTIONS, "connections")     /* TCP connections accepted */          \
    X(SIM_COUNT_REFUSED, "connections_refused") /* no room for them */                  \
    X(SIM_COUNT_WEBSOCKETS, "websockets")       /* upgraded */                          \
    X(SIM_COUNT_TLS_FAILURES, "tls_failures")   /* handshakes that failed */            \
    X(SIM_COUNT_REQUESTS, "rest_requests")                                              \
    X(SIM_COUNT_MESSAGES, "messages_sent") /* data messages, acks not counted */        \
    X(SIM_COUNT_BYTES, "message_bytes_sent")                                            \
    X(SIM_COUNT_PINGS, "pings_sent")                                                    \
    X(SIM_COUNT_PONGS, "pongs_received")                                                \
    X(SIM_COUNT_CLIENT_MESSAGES, "client_messages")                                     \
    X(SIM_COUNT_SUBSCRIBED, "streams_subscribed")                                       \
    X(SIM_COUNT_UNKNOWN, "streams_unknown")       /* acked, then silent */              \
    X(SIM_COUNT_CONTROL_ERRORS, "control_errors") /* requests answered with an error */ \
    X(SIM_COUNT_WITHHELD, "messages_withheld")    /* by silence or half_open */         \
    X(SIM_COUNT_SWAPS_REFUSED, "swaps_refused")   /* one was still under way */         \
    X(SIM_COUNT_RATE_LIMITED, "rest_429")                                               \
    X(SIM_COUNT_BANNED, "rest_418")                                                     \
    X(SIM_COUNT_REPLAYED, "messages_replayed")                                          \
    X(SIM_COUNT_REPLAY_SKIPPED,                                                         \
      "replay_lines_skipped") /* no stream of ours, or not well-formed */               \
    X(SIM_COUNT_REPLAY_DONE, "replays_done")

enum sim_counter {
#define X(name, label) name,
    SIM_COUNTER_LIST(X)
#undef X
        SIM_COUNTER_COUNT
};

/* Limits of the venue a client broke. */
#define SIM_VIOLATION_LIST(X)                                                              \
    X(SIM_BROKE_MESSAGES, "messages_per_second")    /* closed 1008 */                      \
    X(SIM_BROKE_STREAMS, "streams_per_connection")  /* closed 1008 */                      \
    X(SIM_BROKE_SUBSCRIBE_BYTES, "subscribe_bytes") /* silence */                          \
    X(SIM_BROKE_SYMBOLS, "symbols_per_request")     /* KuCoin: error 509 */                \
    X(SIM_BROKE_TOKEN, "token")                     /* used, expired: error 401, closed */ \
    X(SIM_BROKE_CONNECTS, "connects_per_window")    /* 429 */                              \
    X(SIM_BROKE_PONG, "pong_timeout")               /* closed 1008 */                      \
    X(SIM_BROKE_IDLE, "idle_timeout")               /* no ping of the venue's: dropped */  \
    X(SIM_BROKE_LIFE, "life_expired")               /* not rotated in time: closed 1001 */ \
    X(SIM_BROKE_WEIGHT, "rest_weight")              /* 429 */                              \
    X(SIM_BROKE_RETRY_AFTER, "rest_retry_after")    /* asked in spite of 429 or 418 */     \
    X(SIM_BROKE_SLOW, "slow_client")                /* send buffer full: reset */          \
    X(SIM_BROKE_PROTOCOL, "websocket_protocol")     /* closed 1002, 1007 or 1009 */        \
    X(SIM_BROKE_REQUEST, "bad_request")             /* HTTP nobody should send */

enum sim_violation {
#define X(name, label) name,
    SIM_VIOLATION_LIST(X)
#undef X
        SIM_VIOLATION_COUNT
};

#define SIM_NONE UINT32_MAX
#define SIM_TEXT_BYTES (384U * 1024) /* the largest message or REST body */
#define SIM_PREFIX_BYTES 128         /* {"stream":"...","data": */
#define SIM_CLIENT_MESSAGE_BYTES 65536
#define SIM_HELD_BYTES 32768
#define SIM_UNKNOWN_MAX                                                      \
    16 /* unknown stream names a connection remembers for LIST_SUBSCRIPTIONS \
        */
#define SIM_UNKNOWN_BYTES 64
#define SIM_CONN_STATE_BYTES 512

/* One subscription: in the list of its stream and in the list of its connection. */
struct sim_sub {
    uint32_t conn, symbol, stream;
    uint32_t stream_next, stream_previous;
    uint32_t conn_next, conn_previous;
    bool muted;          /* gets nothing yet (its snapshot has not been sent) */
    bool dead;           /* gets nothing until it is subscribed again (scripted mute) */
    int64_t due_unix_ns; /* the venue's own */
    int64_t own[2];
};

enum sim_conn_state {
    SIM_CONN_FREE,
    SIM_CONN_TLS,  /* handshake under way */
    SIM_CONN_HTTP, /* waiting for a request, or answering one */
    SIM_CONN_WS,
    SIM_CONN_CLOSING, /* what is in the buffer is still sent, then it ends */
    SIM_CONN_DEAD,    /* ended; given back at the end of the turn */
};

enum sim_ending {
    SIM_END_CLOSE, /* plain close after the buffer is sent */
    SIM_END_RESET,
    SIM_END_FIN,
    SIM_END_EOF,
};

/* Kinds of long answers are the venue's own; 0 = none. */
#define SIM_REPLY_NONE 0

/* A REST answer too long for the buffer: made piece by piece as the buffer empties. */
struct sim_reply {
    int kind;
    uint32_t next; /* symbol */
    bool first;    /* no element was written yet */
    bool permission_sets, trading_only, micro;
    int ticker; /* 0 24hr, 1 price, 2 bookTicker */
    int64_t time_unix_ns;
};

struct sim_conn {
    struct sim *sim;
    struct loop_source source;
    enum sim_conn_state state;
    uint32_t index;  /* in sim->conns */
    uint32_t number; /* of the WebSocket connection, from 1; 0 = REST */
    SSL *ssl;        /* NULL = plain */
    struct sim_address *address;
    int64_t opened_mono_ns; /* WebSocket: when upgraded */
    int64_t active_mono_ns;
    int64_t heard_mono_ns,
        told_mono_ns; /* WebSocket: last frame from, last message to the client */
    /* out: bytes on their way to the socket */
    uint8_t *out;
    size_t out_head, out_bytes;
    bool want_write;
    uint8_t *plain; /* coalescing: plaintext of frames not yet in a record */
    size_t plain_bytes;
    /* in: an HTTP head, and what follows it */
    uint8_t *in;
    size_t in_bytes, in_head;
    bool close_after_reply;
    struct sim_reply reply;
    /* WebSocket */
    wslay_event_context_ptr ws;
    bool combined, micro;
    bool deaf; /* a request was over the size limit: no more answers */
    bool pong_awaited;
    int64_t ping_mono_ns; /* when the last ping was sent */
    uint64_t ping_number;
    struct sim_message_limit message_limit;
    uint32_t subs, sub_count;
    uint32_t unknown_count;
    char (*unknown)[SIM_UNKNOWN_BYTES];
    bool binary, binary_control; /* data, control messages go out as binary frames */
    _Alignas(16) uint8_t state_bytes[SIM_CONN_STATE_BYTES]; /* the exchange's own */
    /* faults */
    uint64_t rules_applied; /* bit per rule */
    int64_t silent_until_mono_ns;
    bool half_open;
    int64_t half_open_until_mono_ns;
    int64_t slow_bytes_per_s; /* 0 = not slowed */
    int64_t slow_until_mono_ns;
    int64_t slow_credit_bytes, slow_mono_ns;
    uint32_t split_bytes; /* 0 = not split */
    int64_t split_until_mono_ns;
    int64_t cut_after_bytes; /* of the next message, then `cut_ending`; -1 = not */
    enum sim_ending cut_ending;
    int64_t close_mono_ns;  /* scripted close; 0 = none */
    int64_t delay_mono_ns;  /* the request in `in` is answered then; 0 = now */
    int64_t ending_mono_ns; /* CLOSING: when patience ends */
    enum sim_ending ending;
    bool fin_sent;
};

/* A trading symbol as time passes over it. */
struct sim_live {
    int64_t due_unix_ns; /* next thing that happens; INT64_MAX = nobody listens */
    uint32_t sub_count;
    bool book_active;
    int64_t agg_next;                   /* index of the next taker order */
    int64_t agg_unix_ns;                /* and its time */
    int64_t update_unix_ns;             /* time of book.update + 1 */
    int64_t boundary_unix_ns;           /* next multiple of 100 ms */
    int64_t second_aggs, second_update; /* at the last ticker */
    int64_t kline_aggs;                 /* at the last candles */
    uint32_t touched[MODEL_TOUCHES_MAX], touched_count; /* by the update on_update() tells of */
    struct model_book book;
    struct model_diff diff_100, diff_1000;
};

struct sim_replay;
struct sim_exchange;

struct sim {
    struct sim_config config;
    const struct sim_exchange *exchange;
    struct model model;
    struct loop *loop;
    struct loop_source listener;
    uint16_t port;
    SSL_CTX *tls;
    BIO_METHOD *bio_method;
    wslay_frame_context_ptr frame; /* writes data frames of all connections */
    int64_t start_mono_ns, start_unix_ns;
    int64_t now_mono_ns, now_unix_ns; /* of this turn; now_unix_ns never decreases */
    struct sim_conn *conns;
    struct sim_conn *current; /* connection a wslay callback works for */
    uint32_t websocket_numbers;
    struct sim_addresses *addresses;
    struct sim_sub *subs;
    uint32_t subs_max, subs_free;
    uint32_t *heads; /* [symbol * exchange->stream_count + stream] */
    struct sim_live *live;
    uint32_t *live_steps;
    struct sim_faults faults;
    struct sim_replay *replay; /* NULL = the model */
    /* a message that waits for its stream's next one (fault swap) */
    bool held;
    uint32_t held_symbol, held_stream;
    char *held_text[2]; /* milliseconds, microseconds */
    size_t held_bytes[2];
    /* scratch, used within one call */
    char *text[2];        /* a message: prefix room, payload, closing brace */
    uint8_t *frame_bytes; /* a WebSocket frame */
    size_t frame_used;
    char *body;      /* a REST body, or a piece of one */
    uint32_t *steps; /* a book as of another time */
    struct model_level *bids, *asks;
    void *venue; /* the exchange's own, for the whole simulator */
    uint64_t counters[SIM_COUNTER_COUNT];
    uint64_t violations[SIM_VIOLATION_COUNT];
    int64_t lag_ns_max; /* how far the market lagged behind the clock */
    uint32_t open_count;
};

static inline int64_t sim_since_start_ns(const struct sim *sim)
{
    return sim->now_mono_ns - sim->start_mono_ns;
}

/* ---- sim.c */
void sim_violate(struct sim *sim, enum sim_violation violation);
void sim_fault_note(struct sim *sim, struct sim_fault_rule *rule, uint32_t conn, const char *stream,
                    int64_t index);

/* Scripted listings: hidden before `list`, halted after `delist`, else as the model has it. */
enum sim_listing { SIM_HIDDEN, SIM_TRADES, SIM_HALTED };
enum sim_listing sim_listing_of(const struct sim *sim, uint32_t symbol);

/* ---- sim_conn.c: bytes of one connection */
int sim_conn_init(struct sim *sim); /* BIO method, buffers; 0 or MD_ENOMEM */
void sim_conn_deinit(struct sim *sim);
/* Takes over an accepted socket. False: no room. */
bool sim_conn_open(struct sim *sim, int fd, const uint8_t ip[16]);
/* Queues plaintext. The connection dies as a slow client when it does not fit. */
void sim_conn_write(struct sim_conn *conn, const void *data, size_t bytes);
/* Plaintext bytes that surely fit now. */
size_t sim_conn_room(const struct sim_conn *conn);
void sim_conn_flush(struct sim_conn *conn);
/* Reads plaintext: > 0 bytes, 0 = nothing now, -1 = the peer is gone (the connection is dead). */
ssize_t sim_conn_read(struct sim_conn *conn, void *data, size_t bytes);
/* Ends it after what is queued was sent. */
void sim_conn_end(struct sim_conn *conn, enum sim_ending ending);
void sim_conn_kill(struct sim_conn *conn); /* at once */
/* Timed things of all connections; flushing; gives dead ones back. True: a long answer could go on
 * at once. */
bool sim_conn_turn(struct sim *sim);
void sim_conn_half_open(struct sim_conn *conn);

/* ---- sim_ws.c */
int sim_ws_start(struct sim_conn *conn, const struct sim_request *request); /* 0, or HTTP status */
void sim_ws_readable(struct sim_conn *conn);
/* A data message, already in the connection's form. */
void sim_ws_send(struct sim_conn *conn, const char *text, size_t bytes);
/* Acks, errors, events: as a text frame, or a binary one where conn->binary_control says so. */
void sim_ws_send_control_text(struct sim_conn *conn, struct str text);
void sim_ws_close(struct sim_conn *conn, uint16_t code, const char *reason);
/* What was sent goes out, then the connection ends without a close frame. */
void sim_ws_drop(struct sim_conn *conn);
void sim_ws_turn(struct sim_conn *conn);  /* pings, deadlines, scripted faults */
void sim_ws_faults_turn(struct sim *sim); /* AT and EVERY rules */
void sim_ws_deinit(struct sim_conn *conn);
/* The scripted fault for the next answer to a control request: NULL, or its rule, noted. */
const struct sim_fault_rule *sim_ws_ack_fault(struct sim_conn *conn);

/* ---- sim_rest.c: what all venues' answers share */
void sim_rest_request(struct sim_conn *conn, const struct sim_request *request);
void sim_rest_error(struct sim_conn *conn, int status, const char *why);
void sim_rest_more(struct sim_conn *conn); /* next pieces of a long answer */
void sim_rest_head(struct sim_conn *conn, int status, int64_t body_bytes, int64_t retry_after_s);
void sim_rest_answer(struct sim_conn *conn, int status, struct str body, int64_t retry_after_s);
struct sim_fault_rule *sim_rest_fault(struct sim *sim, enum sim_fault fault, struct str path);
/* Scripted rest_delay and rest_status: true when the request is dealt with. `error` writes the
 * venue's body for a status. */
bool sim_rest_delayed(struct sim_conn *conn, struct str path);
bool sim_rest_status_fault(struct sim_conn *conn, struct str path,
                           void (*error)(struct sim_conn *conn, int status, int64_t retry_after_s));
/* Answers 200 with what `out` holds; commits a scripted rest_reset. */
void sim_rest_answer_body(struct sim_conn *conn, struct str path, const struct buf *out);
/* The moment an answer speaks of: now, or earlier (scripted rest_lag). */
int64_t sim_rest_moment(struct sim *sim, struct str path);

/* ---- sim_feed.c */
void sim_feed_init(struct sim *sim);
/* False: no room in the table of subscriptions. Subscribing twice is one subscription. */
bool sim_feed_subscribe(struct sim_conn *conn, uint32_t symbol, uint32_t stream);
/* False: it was not subscribed. */
bool sim_feed_unsubscribe(struct sim_conn *conn, uint32_t symbol, uint32_t stream);
void sim_feed_forget(struct sim_conn *conn); /* all of them */
uint32_t sim_feed_find(const struct sim_conn *conn, uint32_t symbol,
                       uint32_t stream); /* the subscription, or SIM_NONE */
/* Lets the market go on until now_unix_ns. Returns when something is due next. */
int64_t sim_feed_turn(struct sim *sim);
/* The book at a time: the living one if it is, else built in sim->steps. */
const struct model_book *sim_feed_book(struct sim *sim, uint32_t symbol, int64_t time_unix_ns,
                                       struct model_book *built);
/* Sends a payload to all subscribers of a stream that are not muted; `micro` may be empty when
 * nobody needs it. The texts lie in sim->text behind SIM_PREFIX_BYTES. `index` names the message in
 * fault scripts. */
void sim_feed_send(struct sim *sim, uint32_t symbol, uint32_t stream, int64_t index, size_t bytes,
                   size_t micro_bytes);
bool sim_feed_wants_micro(const struct sim *sim, uint32_t symbol, uint32_t stream);

/* ---- sim_binance_info.c: exchangeInfo, up to `"symbols":[`, and one symbol */
void sim_info_put_head(struct buf *out, const struct sim *sim, bool micro);
void sim_info_put_symbol(struct buf *out, const struct model_symbol *symbol, bool halted,
                         bool permission_sets);
/* The same of the futures: every symbol a perpetual contract. */
void sim_info_put_contract(struct buf *out, const struct model_symbol *symbol, bool halted);
/* ---- sim_binance_rest.c */
bool sim_binance_rest(struct sim_conn *conn, const struct sim_request *request, struct str path);
void sim_binance_rest_piece(struct sim *sim, struct sim_reply *reply, struct buf *out);
void sim_binance_rest_head(const struct sim_conn *conn, struct buf *out);

/* ---- sim_replay.c: a recording in the model's place */
/* Maps the file, finds its symbols; sets sim->config.model to them. */
int sim_replay_open(struct sim *sim, struct err *err);
void sim_replay_close(struct sim *sim);
void sim_replay_subscribed(struct sim *sim); /* it starts when nobody subscribes any more */
int64_t sim_replay_turn(struct sim *sim);    /* as sim_feed_turn */
/* A recorded REST body for the request; false: there is none. `path` is decoded. */
bool sim_replay_rest(struct sim *sim, struct str path, struct str query, struct buf *out);

#endif
