#ifndef MD_APP_PIPELINE_INTERNAL_H
#define MD_APP_PIPELINE_INTERNAL_H

/* What the files of the pipeline share; nobody else includes it. */

#include <pthread.h>
#include <stdatomic.h>

#include "app/http_settings.h"
#include "app/pipeline.h"
#include "app/symbols_watch.h"
#include "base/log.h"
#include "base/ring.h"
#include "watch/watch.h"

/* What the landing thread asks of the net thread: u8 what, u8 venue, u8 channel, a hole or nothing,
 * the symbol. */
#define REQUEST_HEAD_BYTES 3
#define REQUEST_SNAPSHOT 's'
#define REQUEST_CHECK 'c'
#define REQUEST_RENEW 'r'
#define REQUEST_TRADES 't'

struct drop_burst {
    uint64_t count;
    int64_t first_unix_ns, last_unix_ns;
};

struct pipeline {
    const struct settings *settings;
    const struct plan *plan;
    struct mdio io;
    int lock_handle;
    struct loop *loop;
    struct net *net;
    struct rest *rest;
    struct feed *feeds[PLAN_VENUES_MAX];
    struct feed_family families[PLAN_VENUES_MAX];
    bool given_up[PLAN_VENUES_MAX]; /* a fault only the operator can mend, before it ever worked */
    struct feed_stats at_stop[PLAN_VENUES_MAX]; /* while the connections still stood */
    struct symbols_watch *watch;
    struct watch *watcher;        /* metrics and page */
    struct watch_landing landing; /* landing thread */
    char http_token[HTTP_TOKEN_BYTES];
    struct ring *ring;     /* net -> landing: packed records */
    struct ring *requests; /* landing -> net: u8 what, u8 venue, u8 channel, ... */
    struct journal *journal;
    struct land *land;
    struct journal_reader *reader; /* landing thread, from when it runs; NULL after the replay */
    pthread_t land_thread;
    bool land_started;
    atomic_bool begun;     /* the journal of earlier runs is replayed, that of this one has begun */
    atomic_bool land_done; /* with begun false: see land_code */
    atomic_bool
        land_abandon; /* second signal or disk that stays full: end without the stop record */
    int land_code;    /* why it did not begin; 0 = it was told to give up */
    struct err land_err;
    atomic_uint_least64_t replayed;        /* records */
    atomic_uint_least64_t replay_last_seq; /* UINT64_MAX until the journal of this run has begun */
    int64_t start_unix_ns;                 /* of START */

    /* net thread */
    struct clock_stamp stamp;
    struct loop_timer tick;
    uint32_t conn_next;
    bool paused;
    bool told_begun;                /* to the service manager */
    bool stuck;                     /* the landing thread could not be ended */
    bool closed;                    /* the stop record is in the ring */
    bool rest_broken[VENUE_ID_END]; /* a part of the body under way was refused */
    struct drop_burst bursts[VENUE_ID_END][CHANNEL_COUNT + 1];
    uint64_t dropped[CHANNEL_COUNT + 1];
    uint64_t dropped_at[VENUE_ID_END][CHANNEL_COUNT + 1];
    char faults[PLAN_VENUES_MAX][160]; /* why a venue was given up */
    uint64_t control_lost;
    uint64_t not_kept; /* messages that waited in the ring when the landing thread had ended */
    int config_fault_code;
    char config_fault[256];
    int64_t started_mono_ns;
    uint32_t minute_ticks;
    enum log_level log_level; /* as last told */

    int64_t run_ns;
    int64_t cpu_started_ns;
};

/* Processor time of the process so far. */
int64_t pipeline_cpu_ns(void);

/* Any thread. */
static inline bool pipeline_begun(const struct pipeline *pipeline)
{
    return atomic_load_explicit(&pipeline->begun, memory_order_acquire);
}

/* ---- pipeline.c */
uint32_t pipeline_ring_fill(const struct pipeline *pipeline); /* in 1/1000 of what is allowed */

/* ---- pipeline_land.c */
/* Time of the journal's first record; 0 when there is none. What is still to be landed may be of
 * more streams than are planned now: `sizes` grows to what the journal was recorded with. */
int64_t pipeline_journal_since(struct pipeline *pipeline, struct land_sizes *sizes);
/* Reads the journal's end and sets where stamps and connection numbers go on. */
int pipeline_journal_end(struct pipeline *pipeline, struct err *err);
void *pipeline_land_main(void *pipeline);
void pipeline_trim(struct pipeline *pipeline, int64_t unix_ns);
/* Handlers of land and store; `context` is the pipeline. */
void pipeline_on_snapshot_wanted(void *context, enum venue_id venue, struct str symbol);
void pipeline_on_check_wanted(void *context, enum venue_id venue, struct str symbol);
void pipeline_on_trades_wanted(void *context, enum venue_id venue, struct str symbol,
                               const struct trades_hole *hole);
void pipeline_on_silent(void *context, enum venue_id venue, enum channel channel,
                        struct str symbol);
int pipeline_wait_synced(void *context, uint64_t seq); /* seal thread */

/* ---- pipeline_watch.c */
int pipeline_watch_open(struct pipeline *pipeline, struct err *err); /* before the seal */
int pipeline_watch_start(struct pipeline *pipeline);
void pipeline_watch_close(struct pipeline *pipeline);
/* Once a second, what each thread knows: net thread; landing thread, with the tick it landed. */
void pipeline_watch_net(struct pipeline *pipeline);
void pipeline_watch_land(struct pipeline *pipeline, const struct record *tick);

#endif
