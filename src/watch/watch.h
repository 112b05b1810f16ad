#ifndef MD_WATCH_WATCH_H
#define MD_WATCH_WATCH_H

#include "base/ring.h"
#include "watch/health.h"
#include "watch/http_rules.h"
#include "watch/view.h"

/* The watch thread: once a second it puts together what the other threads published, judges it, and
 * serves it: `/` the page, /events, /status.json, /symbols.json, /history.json, /metrics, /healthz,
 * /readyz. The others pay for it by filling a struct a second; nothing on their way of a message
 * waits for it. */
struct watch;

struct watch_config {
    struct listen_address listen;    /* off: no server; conditions are logged all the same */
    struct str token, allowed_hosts; /* borrowed */
    const char *recorder, *data_dir; /* borrowed */
    int64_t sync_ms;
    const size_t *lines_planned; /* ALLOC_LINE_COUNT of them; borrowed */
    size_t planned, budget;
    uint64_t queue_messages_max;
    uint32_t connections_max, streams_max, symbols_max;
};

/* What it reads by itself, from its own thread; borrowed until watch_close(). */
struct watch_sources {
    const struct ring *ring;
    const struct journal *journal;
    const struct normalise *normalise;
    const struct store *store;           /* times of seals only */
    const struct watch_landing *landing; /* latencies only */
};

/* Ours, on ALLOC_WATCH; *library: what libmicrohttpd may take by itself. */
size_t watch_memory_bytes(const struct watch_config *config, size_t *library);
/* Takes all memory and listens. A port that is in use is a warning: the recorder goes on without a
 * page. Other failures: MD_ENOMEM, MD_EACCES, MD_EINVAL with words. */
int watch_open(struct watch **out, const struct watch_config *config, struct err *err);
/* Starts the thread. 0 or MD_ENOMEM. */
int watch_start(struct watch *watch, const struct watch_sources *sources);
void watch_stop(struct watch *watch);  /* ends the thread; may be called twice */
void watch_close(struct watch *watch); /* NULL is allowed; stopped before */
/* "http://127.0.0.1:9464/", or "" when nothing is served. */
const char *watch_url(const struct watch *watch);

/* Net thread, once a second: the struct to fill (it holds older values), then published. */
struct watch_net *watch_net_slot(struct watch *watch);
void watch_net_publish(struct watch *watch);
/* Landing thread, likewise; publishing also looks at the streams if the page wants them. */
struct watch_land *watch_land_slot(struct watch *watch);
void watch_land_publish(struct watch *watch, int64_t unix_ns);

/* Landing's own hooks. */
void watch_landing_gap(struct watch_landing *landing, const struct event *event);

#endif
