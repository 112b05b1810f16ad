#ifndef MD_EXCHANGE_EXCHANGE_H
#define MD_EXCHANGE_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "exchange/event.h"
#include "journal/record.h"

/* A venue as data plus a few functions. Connecting, throttling, retrying and planning are written
 * once (exchange/feed*.c) and read this. A new venue is one pair of files and one row in venues.c.
 *
 * Two faces: the *feed* side runs on the net thread (what to subscribe, how, how fast), the
 * *decode* side on the landing thread or in rederive (what a record says). They share nothing but
 * constants. */

/* ---- limits, each with its source in the venue's .c file */
struct venue_limits {
    uint32_t streams_per_connection; /* venue's cap, or the lowest one known */
    uint32_t streams_preset;         /* default of the setting streams_per_connection */
    uint32_t control_messages;       /* client messages ... */
    int64_t control_window_ms;       /* ... in any such window, per connection */
    int64_t control_spacing_ms;      /* least distance we keep between two of ours */
    uint32_t subscribe_bytes_max;    /* payload of one request */
    uint32_t connects;               /* connection attempts ... */
    int64_t connects_window_ms;      /* ... per address */
    int64_t connect_spacing_ms;      /* stagger between two of ours */
    int64_t connection_life_ms;      /* the venue cuts after this; 0 = never */
    int64_t ack_timeout_ms;
};

/* What is to be recorded at a venue: symbols x channels. */
struct stream_request {
    enum channel channel;
    bool aggregate;      /* trades: the aggregated stream */
    struct str symbol;   /* venue's spelling, as in its symbol list */
    struct str interval; /* candles, in our spelling: 1m, 1h, 1d, ... */
    bool redundant;      /* over two connections all the time; its ids must tell doubles */
};

/* One subscription at a venue. A request may need several (KuCoin futures: mark price on one
 * socket, open interest on another). */
struct venue_stream {
    struct stream_request request;
    uint8_t endpoint; /* index into venue.endpoints */
    uint8_t kind;     /* the venue's own number for the sort of stream */
};

#define VENUE_STREAMS_MAX 4 /* of one request */
#define VENUE_ENDPOINTS_MAX 2

/* A kind of connection of a venue. Each has its own base URL, limits and manners. */
struct venue_endpoint {
    const char *name;   /* "json", "sbe", "public", "market", "classic", "unified" */
    const char *ws_url; /* base: scheme://host[:port][/path]; NULL: the token reply names it */
    struct venue_limits limits;
    bool binary_json;    /* binary frames hold JSON text, control messages among them */
    bool needs_key;      /* handshake header X-MBX-APIKEY */
    bool needs_token;    /* VENUE_REST_TOKEN before each connect, read by token() */
    bool waits_welcome;  /* nothing is sent before control() says CONTROL_WELCOME */
    bool mixed_requests; /* one request may name streams of several kinds */
    bool seeds_books;    /* its depth streams begin with a snapshot: a lost book is renewed by
                            subscribing again, not by REST */
    int64_t ping_ms;     /* our own ping() this often, if the venue does not say; 0 = none */
    int64_t silence_ms;  /* no frame of any kind for so long: dead; 0 = net.silence_secs */
    const char *headers; /* further request lines of the handshake, "Name: value\r\n"; NULL */
};

/* One subscribe or unsubscribe request. All streams are of one endpoint, and of one kind and
 * interval unless the endpoint has mixed_requests. */
struct venue_request {
    bool subscribe;
    const struct venue_stream *const *streams;
    uint32_t count;
    int64_t id;     /* unique on the connection, positive */
    int64_t unix_s; /* wall clock */
};

/* A control message of the venue as the feed side needs it. */
struct control_reply {
    int64_t id;       /* request id, -1 if none */
    int code;         /* venue's error code, 0 */
    int64_t pause_ms; /* ERROR: too fast: the whole venue pauses so long, the request is made
                         again (KuCoin 509); 0 = the request itself is refused */
    bool reconnect;   /* ERROR: this connection is of no more use (token expired) */
    bool full;        /* ERROR: the connection takes no more streams */
    int64_t ping_ms;  /* WELCOME: ping interval it asks for; 0 = not said */
    char text[160];   /* venue's words */
};

enum control_kind {
    CONTROL_NONE,     /* market data: not for the feed side */
    CONTROL_ACK,      /* of request id */
    CONTROL_ERROR,    /* of request id, or of the connection */
    CONTROL_SHUTDOWN, /* the venue will close soon: replace this connection */
    CONTROL_WELCOME,  /* sending is allowed from now on */
    CONTROL_OTHER,    /* pong and the like: nothing to be done */
};

/* REST calls the feed side makes. TOKEN is a POST with an empty body, all others are GET. */
enum venue_rest {
    VENUE_REST_INSTRUMENTS,   /* all symbols; decode gives instrument events */
    VENUE_REST_VOLUMES,       /* 24 h volumes of all symbols; decode gives ticker events with
                                 quote_volume; never landed, read by the symbol list only */
    VENUE_REST_SNAPSHOT,      /* one symbol's book; decode gives a depth event, is_snapshot */
    VENUE_REST_OPEN_INTEREST, /* one symbol's; decode gives a derivative_ticker event */
    VENUE_REST_TOKEN,
    VENUE_REST_COUNT
};

/* A hole in a symbol's trades that REST may fill. */
struct trades_hole {
    bool aggregate;
    int64_t from_id, to_id;             /* what is missing lies within, inclusive */
    int64_t start_unix_ns, end_unix_ns; /* times of the trades on both sides, as received */
};

/* What a venue gives by REST of trades that were said before. */
struct venue_backfill {
    uint32_t weight;   /* of one call */
    uint32_t rows_max; /* of a page */
    bool newest_first; /* order of its rows; else oldest first */
    bool last_only;    /* the last rows_max alone: what is older is gone */
    bool history_host; /* asked at feed_config.history_url */
};

struct venue_token {
    char url[512]; /* to connect to; the part that must stay secret begins at secret_at */
    size_t secret_at;
    int64_t ping_ms;
};

/* How often a stream of a traded symbol speaks in good health. 0 = it may be silent for ever. */
struct rhythm {
    int64_t first_ms; /* until its first message after the subscription */
    int64_t quiet_ms; /* between two messages */
};

/* ---- decode side */

/* Why a record gave no event; counted by venue, channel and reason. */
struct decode_result {
    int code;                /* 0, or MD_EPARSE, MD_ERANGE, MD_ETOOBIG, MD_EUNKNOWN ... */
    int channel;             /* enum channel, -1 if not known */
    const char *reason;      /* static words, e.g. "price: not a number" */
    bool control;            /* an ack or other control message: no event, not an error */
    bool general_path;       /* the predicted shape did not fit, the general scanner read it */
    uint32_t digits_over_15; /* values with more than 15 significant digits */
};

struct decoder; /* scratch for levels and streamed REST bodies; one per landing thread */

struct decoder_config {
    uint32_t levels_max; /* levels of one side of one message; more is MD_ETOOBIG */
};
size_t decoder_memory_bytes(const struct decoder_config *config);
struct decoder *decoder_create(const struct decoder_config *config); /* NULL: no memory */
void decoder_destroy(struct decoder *decoder);
/* Forgets REST bodies of which a part has come. */
void decoder_restart(struct decoder *decoder);
/* A REST body of which a part has come is under way. */
bool decoder_in_body(const struct decoder *decoder);

/* Receives each event of a record; the event and all it points to are valid during the call. */
typedef void (*event_sink)(void *context, const struct event *event);

#define VENUE_OPTION_BINARY 1u /* binance.feed: sbe */
/* Receives each stream that a request of ours named; the symbol is valid during the call.
 * `aggregate`: of trades, the aggregated ones. */
typedef void (*sent_sink)(void *context, bool subscribe, enum channel channel, bool aggregate,
                          struct str symbol);

struct venue {
    enum venue_id id;
    const char *name;
    const char *section;     /* of its settings: "binance", "binance_futures", ... */
    const char *rest_url;    /* base */
    const char *history_url; /* base for trades of the past, if rest_url does not give them; NULL */
    const char *rest_header; /* one further request line of every REST call; NULL */
    uint32_t rest_weight_per_minute;
    uint32_t rest_weights[VENUE_REST_COUNT]; /* of one call */
    struct venue_endpoint endpoints[VENUE_ENDPOINTS_MAX];
    uint32_t endpoint_count;
    /* The first stream of each connection's first subscription, if it is wanted at all: symbols
     * that are sure to be alive, so that a connection is not judged by a dead one. NULL. */
    const char *seed_symbol;
    /* The REST book's id counts in the depth stream's own sequence, so that the two can be compared
     * at one id (book.shadow_check_secs). */
    bool rest_book_ids;
    bool futures; /* contracts: amounts are converted by the multiplier */

    /* ---- Feed side. Text goes to `out` (overflow = MD_ETOOBIG). */

    /* The subscriptions a request needs; 0: the venue has no such channel, or no such interval.
     * A symbol that cannot stand in a request (quotes, blanks, commas) gives 0 too. */
    uint32_t (*streams)(const struct stream_request *request, uint32_t options,
                        struct venue_stream out[VENUE_STREAMS_MAX]);
    /* How many streams of this one's kind a request may name. */
    uint32_t (*streams_per_request)(const struct venue_stream *stream);
    /* Messages a second to expect of a busy symbol's stream; for spreading the load. */
    uint32_t (*rate)(const struct venue_stream *stream);
    /* Whole URL to connect to. `base` is the endpoint's ws_url or its setting. */
    int (*connect_url)(uint32_t endpoint, const char *base, struct buf *out);
    int (*subscribe)(const struct venue_request *request, struct buf *out);
    /* Endpoints with ping_ms. */
    int (*ping)(uint32_t endpoint, int64_t id, int64_t unix_s, struct buf *out);
    /* Endpoints with needs_token: reads the reply's body. `nonce` makes the connect id unique. */
    int (*token)(struct str body, uint64_t nonce, struct venue_token *out);
    /* Looks at a frame that may be a control message: fast "no" for market data. */
    enum control_kind (*control)(struct str frame, struct control_reply *reply);
    /* The channel of a market data frame at a glance, -1 if it does not show; asked only while the
     * frame ring is filling up, to choose what to drop. */
    int (*peek_channel)(const struct record *record);
    /* MD_ENOTSUP: the venue has no such call. `symbol` is empty for those about all symbols. */
    int (*rest)(enum venue_rest call, const char *base, struct str symbol, struct buf *out);
    /* NULL: trades of this sort cannot be had by REST. */
    const struct venue_backfill *(*backfill)(bool aggregate);
    /* The URL of the next page for a hole. */
    int (*rest_trades)(const char *base, struct str symbol, const struct trades_hole *hole,
                       struct buf *out);
    struct rhythm (*rhythm)(enum channel channel);

    /* ---- Decode side. Frames (RECORD_RECV, RECORD_RECV_BINARY), REST bodies in parts and whole
     * (RECORD_REST_PART, RECORD_REST) and requests (RECORD_SENT). Never stops at bad input. */
    struct decode_result (*decode)(struct decoder *decoder, const struct record *record,
                                   event_sink sink, void *context);
    /* RECORD_SENT: calls on_stream for each stream the request names; pings name none. */
    void (*decode_sent)(const struct record *record, sent_sink on_stream, void *context);
    /* Continuity rule for normalise: what ids must do on a channel. */
    enum continuity {
        CONTINUITY_NONE,     /* nothing can be proven */
        CONTINUITY_GROWING,  /* trades: ids grow, by steps: they tell doubles, but no hole */
        CONTINUITY_PLUS_ONE, /* trade_id = last + 1 */
        CONTINUITY_RANGE,    /* depth: first_update_id <= last u + 1 <= last_update_id */
        CONTINUITY_PREVIOUS, /* depth: prev_update_id = last u */
    } (*continuity)(enum channel channel, int32_t trade_flags);
    /* First join of a buffered delta to a REST snapshot: true when `delta` may follow snapshot_id
     * (normalise has dropped those that end at or before it). */
    bool (*joins)(const struct depth_event *delta, int64_t snapshot_id);
};

/* NULL for an id without a venue. */
const struct venue *venue_of(enum venue_id id);

#endif
