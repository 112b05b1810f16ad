#ifndef MD_EXCHANGE_FEED_INTERNAL_H
#define MD_EXCHANGE_FEED_INTERNAL_H

/* What the files of the feed share; nobody else includes it. */

#include "base/clock.h"
#include "exchange/feed.h"

#define FEED_NONE UINT32_MAX
#define REQUEST_BYTES_MAX 8192
#define REQUEST_STREAMS_MAX 200
#define TOKEN_BYTES_MAX 16384
#define WEIGHT_SLOTS 60 /* one a second: the venues' window is a minute or less */

/* A stream's subscription on the newest socket of its lane. */
enum stream_state {
    STREAM_FREE,    /* slot unused */
    STREAM_WANTED,  /* to be asked for */
    STREAM_ASKED,   /* request sent, ack awaited */
    STREAM_ON,      /* acknowledged */
    STREAM_LEAVING, /* to be unsubscribed; `renew`: and then asked for again */
    STREAM_UNASKED, /* unsubscribe sent, ack awaited */
    STREAM_REFUSED, /* the venue does not give it; asked again on the next connection */
    STREAM_STATES
};

struct feed_stream {
    struct venue_stream stream;
    uint32_t rate; /* expected messages, relative */
    uint32_t symbol;
    uint32_t next_of_symbol, next_in_lane;
    uint32_t lane;
    uint8_t state;
    bool spare; /* the second of a redundant request: never on one connection with the first */
    bool renew;
    bool alone;      /* a request that named others too was refused */
    uint8_t retries; /* requests without an answer */
    int64_t request_id;
    int64_t asked_ns; /* when the last request was sent */
};

struct feed_symbol {
    struct str name;
    char own[64];           /* the name, if it came while running */
    uint32_t first_stream;  /* FEED_NONE: slot unused */
    uint32_t next_in_table; /* of the same hash */
    bool snapshot_queued;
    bool trades_queued[2]; /* plain, aggregated */
    struct trades_hole trades[2];
    bool wants_open_interest;
};

struct lane;

/* A WebSocket client, lent to a lane. */
struct feed_socket {
    struct feed *feed;
    struct lane *lane; /* NULL: free */
    struct ws_client *client;
    uint32_t conn; /* number of the present or last connect */
    bool open;
    bool closing;
    int64_t opened_ns, market_ns /* last market data */, pinged_ns;
    size_t secret_at;
    char url[600];
};

enum lane_state {
    LANE_UNUSED,  /* room for streams that come while running */
    LANE_WAITING, /* for its turn to connect */
    LANE_TOKEN,   /* for its token */
    LANE_CONNECTING,
    LANE_WELCOME, /* open, but nothing may be sent yet */
    LANE_OPEN,
    LANE_STOPPED,
};

/* A place for streams, served by one socket after the other: while the newest is being subscribed,
 * the one before may still deliver (make before break). */
struct lane {
    struct feed *feed;
    uint32_t index, endpoint;
    bool spare; /* for spare streams only */
    struct feed_socket *socket, *old;
    struct loop_timer timer;
    struct backoff backoff;
    struct pace control_pace;
    enum lane_state state;
    uint32_t first, last; /* streams */
    uint32_t counts[STREAM_STATES];
    uint32_t streams;
    uint64_t rate;
    bool full;         /* the venue takes no more on it */
    uint32_t refusals; /* handshakes answered with an HTTP error since the last that opened */
    bool seeded;       /* the seed stream was asked for on this socket */
    bool has_talkers;  /* some stream is expected to speak */
    bool rotate_now;
    int64_t ping_ms;
    int64_t live_ns;   /* when everything was acknowledged on its socket first; 0 = not yet */
    int64_t rotate_ns; /* replaced then; INT64_MAX = never */
    int64_t quiet_ms;  /* least rhythm of its streams; 0 = none has one */
    int64_t opened_ns, down_ns, market_ns;
    uint64_t messages, bytes, reconnects;
    enum feed_end end;      /* of the last socket */
    enum feed_end given_up; /* why we close it ourselves; FEED_END_COUNT = we do not */
    char why[80];
};

enum rest_subject {
    REST_NOTHING,
    REST_INSTRUMENTS,
    REST_SNAPSHOT,
    REST_OPEN_INTEREST,
    REST_TRADES,
    REST_TOKEN,
    REST_CHECK, /* a snapshot to compare a book with */
};

/* What was asked in each of the last seconds. */
struct weight_window {
    int64_t second[WEIGHT_SLOTS];
    uint32_t weight[WEIGHT_SLOTS];
};

struct rest_queue {
    uint32_t *symbols; /* ring: snapshots wanted */
    uint32_t capacity, first, count;
    uint32_t check; /* symbol + 1 of the book to be checked; 0 = none */
    bool instruments_due;
    bool instruments_tried; /* answered once, well or not */
    enum rest_subject in_flight;
    uint32_t in_flight_index; /* symbol or lane */
    uint32_t open_interest_next;
    uint32_t open_interest_symbols;
    int64_t open_interest_ns; /* next one is due */
    int64_t paused_until_ns;
    int64_t instruments_ns;
    uint32_t *holes; /* ring: symbol * 2 + aggregated; trades wanted */
    uint32_t holes_first, holes_count;
    struct weight_window used, used_by_trades;
    struct loop_timer timer;
    char token_body[TOKEN_BYTES_MAX];
    size_t token_bytes;
    char url[600];
};

struct feed {
    struct feed_config config;
    struct feed_handlers handlers;
    struct feed_family *family;
    struct net *net;
    struct rest *rest;
    struct loop *loop;
    struct feed_symbol *symbols;
    uint32_t symbols_max, symbol_count; /* slots used so far, holes among them */
    uint32_t *symbol_table;
    uint32_t symbol_mask;
    struct feed_stream *streams;
    uint32_t streams_max, stream_count; /* likewise */
    struct lane *lanes;
    uint32_t lane_count;
    struct feed_socket *sockets;
    uint32_t socket_count;
    struct rest_queue queue;
    struct venue_stream seed_stream;
    bool has_seed;
    uint64_t random;
    int64_t request_id;
    int64_t hold_until_ns; /* no connect before: the symbol list comes first */
    bool stopping, ever_open;
    struct feed_stats stats;
    char request[REQUEST_BYTES_MAX];
    void *memory[8];
};

static inline int64_t feed_now_ns(const struct feed *feed)
{
    return loop_now_mono_ns(feed->loop);
}

static inline int64_t feed_unix_ns(const struct feed *feed)
{
    return clock_unix_ns(loop_clock(feed->loop));
}

static inline const struct venue_endpoint *lane_endpoint(const struct lane *lane)
{
    return &lane->feed->config.venue->endpoints[lane->endpoint];
}

static inline const struct venue_limits *lane_limits(const struct lane *lane)
{
    return &lane->feed->config.limits[lane->endpoint];
}

/* ---- feed_plan.c */
/* Streams to lanes: the busiest first, each to the lane with the least to do that has room. Fills
 * streams[].lane; `lanes` gets endpoint, streams and rate of each. Returns the number of lanes. */
uint32_t feed_spread(const struct feed_config *config, struct feed_stream *streams, uint32_t count,
                     struct lane *lanes, uint32_t lanes_max, uint32_t *order);
/* The streams of the requests; returns how many, or a negative code. */
int feed_expand(const struct feed_config *config, const struct stream_request *requests,
                const uint32_t *weights, uint32_t count, struct feed_stream *streams,
                uint32_t streams_max, struct err *err);

/* ---- feed.c */
uint64_t feed_random(struct feed *feed);
void feed_hand_on(struct feed *feed, enum record_kind kind, uint32_t conn, int64_t time_unix_ns,
                  struct str arg, struct str payload, bool droppable);
uint32_t feed_symbol_find(const struct feed *feed, struct str name);        /* FEED_NONE */
struct feed_socket *feed_socket_take(struct feed *feed, struct lane *lane); /* NULL: none free */
void feed_stream_free(struct feed *feed, uint32_t stream);
/* Puts a stream on a lane of its endpoint that has room; false: there is none. */
bool feed_place(struct feed *feed, uint32_t stream);

/* ---- feed_lane.c */
void lane_init(struct lane *lane, struct feed *feed, uint32_t index, uint32_t endpoint, bool spare,
               int64_t *pace_slots);
int feed_socket_init(struct feed_socket *socket, struct feed *feed); /* 0 or MD_ENOMEM */
void lane_append(struct lane *lane, uint32_t stream);
void lane_remove(struct lane *lane, uint32_t stream);
void lane_set_state(struct lane *lane, struct feed_stream *stream, enum stream_state state);
void lane_schedule(struct lane *lane, int64_t delay_ms);
void lane_stop(struct lane *lane);
/* Something was added to its work. */
void lane_wake(struct lane *lane);
/* What is due: sends, pings, rotates, expires; and when to come again. */
void lane_tend(struct lane *lane, int64_t now);
void lane_on_token(struct lane *lane, int code, struct str body);
bool lane_is_live(const struct lane *lane);
const char *lane_name(const struct lane *lane, char out[64]); /* "kucoin spot"; out */
/* Closes the connection for a new one. */
void lane_give_up(struct lane *lane, enum feed_end end, const char *why);

/* ---- feed_requests.c */
/* Sends what may be sent now; returns when to come back for more, INT64_MAX: there is no more. */
int64_t lane_requests_send(struct lane *lane, int64_t now);
/* Answers that did not come: asked once more at the end of the line, then the connection goes.
 * False: it went. */
bool lane_requests_expire(struct lane *lane, int64_t now, int64_t *next);
void lane_on_control(struct lane *lane, enum control_kind kind, const struct control_reply *reply);

/* ---- feed_rest.c */
uint32_t feed_rest_weight(const struct feed *feed, uint32_t *limit); /* of the last minute */
int feed_rest_try_urls(struct feed *feed, struct err *err);
void feed_rest_start(struct feed *feed);
void feed_rest_next(struct feed *feed, int64_t now);
void feed_rest_on_timer(void *context, int64_t now);
/* Queues a snapshot of the symbol. */
void feed_rest_snapshot(struct feed *feed, uint32_t symbol);
void feed_rest_trades(struct feed *feed, uint32_t symbol, const struct trades_hole *hole);

#endif
