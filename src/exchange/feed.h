#ifndef MD_EXCHANGE_FEED_H
#define MD_EXCHANGE_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "exchange/exchange.h"
#include "net/rest.h"
#include "net/ws_client.h"

/* One venue's feed: streams spread over connections, connects and requests paced within the venue's
 * limits, acks awaited, closed connections replaced with jittered backoff, REST requests queued by
 * weight. Written once for all venues; what differs stands in struct venue. Net thread only; all
 * memory is taken in feed_create(). Knows no prices: whole messages go to on_record as they came.
 */

struct feed_config {
    const struct venue *venue;
    const char *ws_url;   /* base, borrowed */
    const char *rest_url; /* base, borrowed */
    uint32_t streams_per_connection;
    uint32_t rest_weight_percent;
    int64_t backoff_min_ms, backoff_max_ms;
    int64_t stall_ms; /* a connection without market data for so long is replaced; 0 = off */
    int64_t instruments_every_ms; /* exchangeInfo again after this; 0 = once */
    uint64_t seed;                /* jitter */
};

struct feed_handlers {
    /* One record, time_unix_ns as read from the wall clock. Market data (`droppable`) may be
     * refused by the callee, which counts it; everything else must be taken. */
    void (*on_record)(void *context, struct record *record, bool droppable);
    /* A number for a new connection, never reused in the recorder's life. */
    uint32_t (*next_conn)(void *context);
    /* A failure that only the operator can mend (certificate, proxy, HTTP 4xx at the handshake).
     * `ever_open`: a connection of this feed has worked before. */
    void (*on_config_fault)(void *context, int code, const char *why, bool ever_open);
    void *context;
};

/* The plan for a list of streams, also for `check`: how many connections, requests and how long. */
struct feed_plan {
    uint32_t streams, connections, streams_on_fullest;
    uint32_t requests;          /* subscribe requests over all connections */
    int64_t subscribe_ms;       /* until the last request is sent, counted from the first connect */
    int64_t snapshots_ms;       /* until every depth symbol had its snapshot within the weight */
    uint32_t rest_weight_start; /* weight of all requests at start */
};
/* `streams` are grouped by symbol: all streams of a symbol stand together. */
struct feed_plan feed_plan(const struct feed_config *config, const struct stream_request *streams,
                           uint32_t count);

struct feed;
size_t feed_memory_bytes(const struct feed_config *config, uint32_t streams);
/* `streams` and all they point to are borrowed for the feed's life. */
struct feed *feed_create(const struct feed_config *config, const struct stream_request *streams,
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
/* Queues a book snapshot; asked twice it is fetched once. MD_ENOENT: not a symbol of this feed. */
int feed_snapshot(struct feed *feed, struct str symbol);

struct feed_stats {
    uint32_t connections, open, live; /* live: every stream acknowledged */
    uint64_t connects, reconnects, acks, ack_timeouts, refused, stalls, shutdowns;
    uint64_t messages, bytes;
    uint64_t rest_requests, rest_failures, rest_throttled;
    uint32_t rest_queued;
    int64_t rest_weight_used; /* as the venue last said; -1 = not said */
};
struct feed_stats feed_stats(const struct feed *feed);

#endif
