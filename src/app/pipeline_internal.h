#ifndef MD_APP_PIPELINE_INTERNAL_H
#define MD_APP_PIPELINE_INTERNAL_H

/* What pipeline.c and pipeline_stats.c share; nobody else includes it. */

#include <pthread.h>
#include <stdatomic.h>

#include "app/http_settings.h"
#include "app/pipeline.h"
#include "app/symbols_watch.h"
#include "base/log.h"
#include "base/ring.h"
#include "watch/watch.h"

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
    pthread_t land_thread;
    bool land_started;
    atomic_bool land_done;
    atomic_bool
        land_abandon; /* second signal or disk that stays full: end without the stop record */

    /* net thread */
    struct clock_stamp stamp;
    struct loop_timer tick;
    uint32_t conn_next;
    bool paused;
    bool stuck;                     /* the landing thread could not be ended */
    bool closed;                    /* the stop record is in the ring */
    bool rest_broken[VENUE_ID_END]; /* a part of the body under way was refused */
    struct drop_burst bursts[VENUE_ID_END][CHANNEL_COUNT + 1];
    uint64_t dropped[CHANNEL_COUNT + 1];
    uint64_t dropped_at[VENUE_ID_END][CHANNEL_COUNT + 1];
    char faults[PLAN_VENUES_MAX][160]; /* why a venue was given up */
    uint64_t control_lost;
    int config_fault_code;
    char config_fault[256];
    int64_t started_mono_ns;
    uint32_t minute_ticks;
    enum log_level log_level; /* as last told */

    uint64_t replayed;
    uint64_t replay_last_seq;
    int64_t run_ns;
    int64_t cpu_started_ns;
};

/* Processor time of the process so far. */
int64_t pipeline_cpu_ns(void);

/* ---- pipeline_watch.c */
int pipeline_watch_open(struct pipeline *pipeline, struct err *err); /* before the seal */
int pipeline_watch_start(struct pipeline *pipeline);
void pipeline_watch_close(struct pipeline *pipeline);
/* Once a second, what each thread knows: net thread; landing thread, with the tick it landed. */
void pipeline_watch_net(struct pipeline *pipeline);
void pipeline_watch_land(struct pipeline *pipeline, const struct record *tick);

#endif
