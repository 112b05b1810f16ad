#ifndef MD_WATCH_VIEW_H
#define MD_WATCH_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/histogram.h"
#include "exchange/feed.h"
#include "journal/journal.h"
#include "normalise/normalise.h"
#include "store/store.h"

/* What is known of the recorder at one moment. Each thread writes down its own part once a second
 * (struct watch_net, struct watch_land) and publishes it on a board; the watch thread puts them
 * together (struct watch_view), judges (health.h) and shows them (metrics.h, status.h). */

#define WATCH_VENUES_MAX VENUE_ID_END
#define WATCH_GAPS 64   /* last gap rows kept */
#define WATCH_SYMBOL 48 /* bytes of a symbol's name kept with a gap, and a zero */

struct watch_venue {
    enum venue_id id; /* VENUE_NONE: unused */
    bool given_up;    /* a fault only the operator can mend */
    char fault[160];  /* its words */
    struct feed_stats feed;
    uint64_t dropped[CHANNEL_COUNT + 1]; /* last: channel not known */
};

/* Written by the net thread. */
struct watch_net {
    int64_t mono_ns; /* when; 0 = never yet */
    bool stopping;
    bool replaying;    /* the journal of earlier runs; what comes waits in the queue */
    uint64_t replayed; /* records so far */
    bool paused;       /* output.queue_full: pause is stopping the sockets */
    uint64_t control_lost;
    int64_t loop_turn_ns_max;
    uint32_t venue_count, connection_count;
    struct watch_venue venues[WATCH_VENUES_MAX];
    struct watch_connection {
        uint32_t venue; /* index into venues */
        struct feed_connection feed;
    } connections[]; /* as many as the plan has */
};

struct watch_counts {
    uint64_t messages, bytes, events, undecodable;
};

struct watch_gap {
    uint64_t number; /* from 1 */
    int64_t told_unix_ns;
    enum venue_id venue;
    struct gap_event gap;
    char symbol[WATCH_SYMBOL]; /* cut; "" = the whole channel */
};

/* What landing counts while it lands; its own. */
struct watch_landing {
    struct watch_counts counts[VENUE_ID_END][CHANNEL_COUNT + 1];
    struct histogram latency[VENUE_ID_END]; /* receive time less the venue's event time */
    struct watch_gap gaps[WATCH_GAPS];
    uint64_t gaps_told;
};

/* Written by the landing thread. */
struct watch_land {
    int64_t mono_ns;  /* when; 0 = never yet */
    int64_t delay_ns; /* how long the tick at hand waited in the ring */
    struct watch_counts counts[VENUE_ID_END][CHANNEL_COUNT + 1];
    struct watch_gap gaps[WATCH_GAPS];
    uint64_t gaps_told;
    struct normalise_stats normalise;
    struct store_stats store;
    uint64_t records, undecodable;
};

/* Times of the last 10 to 20 seconds, in ns. */
struct watch_times {
    uint64_t count; /* in that time */
    int64_t p50_ns, p90_ns, p99_ns, max_ns;
    int64_t min_ns;       /* lower end of the lowest bucket used */
    uint64_t negative;    /* of them below 0 */
    uint64_t total_count; /* since the start */
    double total_s;
};

/* A value each second, for the page's charts. */
#define WATCH_HISTORY 300
struct watch_sample {
    int64_t unix_ms;
    uint32_t messages, rows, drops; /* a second */
    uint32_t bytes;                 /* a second */
    uint32_t queue_permille;        /* of what is allowed */
    uint32_t rss_kib;
    uint32_t latency_p50_us, latency_p99_us; /* over all venues: the worst */
    uint32_t lag_ms;                         /* journal not synced */
};

enum health_level { HEALTH_GREEN, HEALTH_AMBER, HEALTH_RED };

struct watch_view {
    int64_t unix_ns, mono_ns, started_mono_ns, started_unix_ns;
    const char *recorder, *data_dir;
    const struct watch_net *net;
    const struct watch_land *land;
    const struct normalise *normalise; /* names of streams only */
    struct journal_stats journal;
    bool journal_failing;
    int64_t sync_ms; /* setting */
    uint64_t ring_messages, ring_messages_high, ring_messages_max;
    size_t ring_bytes, ring_bytes_high, ring_bytes_max;
    struct alloc_stats lines[ALLOC_LINE_COUNT];
    const size_t *lines_planned;
    size_t planned, budget, rss, rss_high;
    int64_t cpu_ns;
    struct watch_times latency[VENUE_ID_END]; /* by venue id */
    struct watch_times journal_write, journal_sync, seal;
    /* since the last second, a second */
    double messages_per_s, bytes_per_s, rows_per_s, drops_per_s, cpu_share;
    uint64_t dropped; /* all, since the start */
    uint64_t log_errors, log_warnings, log_suppressed;
    /* HTTP */
    uint64_t requests, requests_refused;
    uint32_t events_clients;
};

#endif
