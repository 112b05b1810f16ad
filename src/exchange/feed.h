#ifndef MD_EXCHANGE_FEED_H
#define MD_EXCHANGE_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "exchange/exchange.h"
#include "net/backoff.h"
#include "net/rest.h"
#include "net/ws_client.h"

/* One venue's feed: streams spread over connections, connects and requests paced within the venue's
 * limits, acks awaited, connections replaced before the venue cuts them and after it did, REST
 * requests queued by weight. Written once for all venues; what differs stands in struct venue. Net
 * thread only; all memory is taken in feed_create(). Knows no prices: whole messages go to
 * on_record as they came. */

struct feed_config {
    const struct venue *venue;
    const char *ws_urls[VENUE_ENDPOINTS_MAX]; /* bases, borrowed; NULL where the token names it */
    const char *rest_url;                     /* base, borrowed */
    const char *history_url;                  /* base for trades of the past; NULL = rest_url */
    struct venue_limits limits[VENUE_ENDPOINTS_MAX]; /* the venue's, with the settings applied */
    uint32_t options;                                /* VENUE_OPTION_... */
    const char *api_key;                             /* borrowed, never printed; NULL = none */
    uint32_t rest_weight_percent;
    uint32_t backfill_percent; /* of the weight that is ours: what holes in trades may take */
    int64_t backoff_min_ms, backoff_max_ms;
    int64_t stall_ms; /* a connection without market data for so long is replaced; 0 = off */
    int64_t life_ms;  /* connections are replaced before this age; 0 = the venue's rule alone */
    int64_t instruments_every_ms;      /* the symbol list again after this; 0 = once */
    int64_t open_interest_every_ms;    /* each symbol's, where it is asked by REST; 0 = never */
    uint32_t symbols_max, streams_max; /* room while running; 0 = what is given at the start */
    uint64_t seed;                     /* jitter */
};

struct feed_handlers {
    /* One record, time_unix_ns as read from the wall clock. Market data (`droppable`) may be
     * refused by the callee, which counts it; everything else must be taken. */
    void (*on_record)(void *context, struct record *record, bool droppable);
    /* A number for a new connection, never reused in the recorder's life. */
    uint32_t (*next_conn)(void *context);
    /* A failure that only the operator can mend (certificate, proxy, key, HTTP 4xx again and again
     * at the handshake). `ever_open`: a connection of this feed has worked before. */
    void (*on_config_fault)(void *context, const struct venue *venue, int code, const char *why,
                            bool ever_open);
    void *context;
};

/* What the feeds of one operator share, because it counts them together: KuCoin spot and futures.
 * Everyone else has one for itself. */
#define FEED_CONNECTS_MAX 256
struct feed_family {
    struct pace connects[VENUE_ENDPOINTS_MAX];
    int64_t connect_times_ns[VENUE_ENDPOINTS_MAX][FEED_CONNECTS_MAX];
    int64_t request_spacing_ns; /* between any two requests; 0 = no such rule */
    int64_t request_last_ns;
    int64_t paused_until_ns; /* told to be slower */
    int slowness;            /* spacings are this many times wider; 1 = as set */
    int64_t slow_until_ns;
};
void feed_family_init(struct feed_family *family, const struct feed_config *config,
                      int64_t request_spacing_ms);

/* The plan for a list of streams, also for `check`. */
struct feed_plan_endpoint {
    uint32_t streams, connections, fullest; /* streams on the fullest connection */
    uint32_t requests;                      /* subscribe requests over all connections */
    uint32_t requests_fullest;              /* of the connection that needs most */
    int64_t connected_ms;                   /* the last connect, counted from the start */
    int64_t subscribed_ms;                  /* the last request */
};
struct feed_plan {
    uint32_t streams, connections, symbols;
    uint32_t sockets; /* connections that may stand at once: with those that replace others */
    uint32_t lanes;   /* connections, and room for one more of each kind */
    uint32_t requests;
    int64_t subscribed_ms;
    int64_t snapshots_ms;       /* until every book that needs REST had it within the weight */
    uint32_t rest_weight_start; /* weight of all requests at the start */
    struct feed_plan_endpoint endpoints[VENUE_ENDPOINTS_MAX];
};
/* `requests` are grouped by symbol: all of a symbol stand together. `weights` (1 or more; NULL =
 * all alike) say how busy each request's symbol is. MD_ENOTSUP with words when the venue has no
 * such channel for a symbol. */
int feed_plan(const struct feed_config *config, const struct stream_request *requests,
              const uint32_t *weights, uint32_t count, struct feed_plan *plan, struct err *err);

struct feed;
size_t feed_memory_bytes(const struct feed_config *config, const struct feed_plan *plan);
/* `family`, `requests` and all they point to are borrowed for the feed's life. */
struct feed *feed_create(const struct feed_config *config, struct feed_family *family,
                         const struct stream_request *requests, const uint32_t *weights,
                         uint32_t count, struct net *net, struct rest *rest, struct loop *loop,
                         const struct feed_handlers *handlers, struct err *err);
void feed_destroy(struct feed *feed);

void feed_start(struct feed *feed);
/* Closes every connection (their close records follow) and makes no new one. */
void feed_stop(struct feed *feed);
/* Connections that are not closed yet. */
uint32_t feed_connections_busy(const struct feed *feed);
/* Stops or resumes reading on all connections (output.queue_full: pause). */
void feed_pause(struct feed *feed, bool paused);
/* A fresh book of a symbol: by REST, or by subscribing its depth stream again where that gives one.
 * Asked twice it is done once. MD_ENOENT: not a symbol of this feed. */
int feed_snapshot(struct feed *feed, struct str symbol);
/* A REST snapshot to compare a book with: when nothing else waits and half of the weight is unused;
 * not tried again. One at a time: another replaces it. MD_ENOENT if the symbol is not recorded. */
int feed_check(struct feed *feed, struct str symbol);
/* A page of the trades of a hole, by REST, after everything else that REST is wanted for. One a
 * symbol and sort waits: the last one asked for. MD_ENOENT: not a symbol of this feed. MD_ENOTSUP:
 * the venue does not give them. */
int feed_trades(struct feed *feed, struct str symbol, const struct trades_hole *hole);
/* A stream that does not speak is subscribed again; the others of its connection are not touched.
 * MD_ENOENT: no such stream. */
int feed_renew(struct feed *feed, enum channel channel, struct str symbol);
/* One more symbol with its streams, while running: subscribed where there is room. `requests` are
 * all of this symbol, which is copied; intervals stay borrowed. MD_EFULL: no room for it. */
int feed_add(struct feed *feed, const struct stream_request *requests, uint32_t count);
/* Unsubscribes all streams of a symbol. MD_ENOENT: not one of this feed. */
int feed_remove(struct feed *feed, struct str symbol);
/* Takes from `config` what may change while running: pauses between connects and requests,
 * stall_ms, life_ms (of connections made from now on), backoff, rest_weight_percent. No connection
 * is touched.
 */
void feed_retune(struct feed *feed, const struct feed_config *config, int64_t request_spacing_ms);
/* Calls on_symbol for each symbol. */
void feed_symbols(const struct feed *feed, void (*on_symbol)(void *context, struct str symbol),
                  void *context);

/* Why a connection ended, other than that we stopped: name in metrics, words. */
#define FEED_END_LIST(X)                                                 \
    X(FEED_END_CLOSED, "closed", "closed by the venue")                  \
    X(FEED_END_SILENT, "silent", "no byte for too long")                 \
    X(FEED_END_STALLED, "stalled", "no market data for too long")        \
    X(FEED_END_NO_ANSWER, "no_answer", "requests were not answered")     \
    X(FEED_END_UNREACHED, "unreached", "the venue could not be reached") \
    X(FEED_END_REFUSED, "refused", "the venue or a proxy refused it")    \
    X(FEED_END_PROTOCOL, "protocol", "the venue broke the protocol")     \
    X(FEED_END_OTHER, "other", "another failure")
enum feed_end {
#define X(end, name, words) end,
    FEED_END_LIST(X)
#undef X
        FEED_END_COUNT
};
const char *feed_end_name(enum feed_end end);
const char *feed_end_words(enum feed_end end);

struct feed_stats {
    uint32_t connections, open, live; /* live: every stream acknowledged */
    uint32_t streams, streams_on, streams_refused, symbols;
    uint64_t connects, reconnects, rotations, acks, ack_timeouts, refused, stalls, shutdowns;
    uint64_t renewed;   /* streams subscribed again because they were silent or lost their book */
    uint64_t throttled; /* the venue said "too fast" on a socket (KuCoin 509) */
    uint64_t tokens;    /* fetched */
    uint64_t added, removed; /* symbols while running */
    uint64_t messages, bytes;
    uint64_t rest_requests, rest_failures, rest_throttled;
    uint64_t trade_pages; /* asked for by REST */
    uint32_t rest_queued;
    int64_t rest_weight_used;                       /* as the venue last said; -1 = not said */
    uint32_t rest_weight_minute, rest_weight_limit; /* what we used in the last minute, and may */
    uint64_t ends[FEED_END_COUNT];                  /* reconnects by reason; their sum */
};
struct feed_stats feed_stats(const struct feed *feed);

/* A connection at a glance, for those who look on. Times are monotonic; 0 = never. */
struct feed_connection {
    enum feed_connection_state {
        FEED_CONNECTION_WAITING,    /* for its turn, or until it is tried again */
        FEED_CONNECTION_CONNECTING, /* token, TCP, TLS, handshake */
        FEED_CONNECTION_OPEN,       /* subscriptions pending */
        FEED_CONNECTION_LIVE,       /* everything is acknowledged */
        FEED_CONNECTION_STOPPED,
        FEED_CONNECTION_STATES
    } state;
    const char *endpoint;
    uint32_t conn; /* number of the present or last socket */
    uint32_t streams, on, pending, refused;
    bool replacing;                          /* an older socket still delivers */
    int64_t opened_ns, down_ns, next_try_ns; /* since when it is open, or down */
    int64_t market_ns;                       /* last market data */
    int64_t
        quiet_ms; /* its busiest stream is never silent for longer in good health; 0 = no rule */
    uint64_t messages, bytes, reconnects;
    enum feed_end end; /* of the last socket, when reconnects > 0 */
    char why[80];      /* in words; may hold the venue's */
};
const char *feed_connection_state_name(enum feed_connection_state state);
/* Those that carry streams, of places `from` to `from` + `count` - 1, into `out` (`count` of them);
 * returns how many. */
uint32_t feed_connections(const struct feed *feed, uint32_t from, struct feed_connection *out,
                          uint32_t count);

#endif
