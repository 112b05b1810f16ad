#ifndef MD_SIM_SIM_H
#define MD_SIM_SIM_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "journal/record.h"
#include "sim/model.h"
#include "sim/sim_limits.h"

/* The exchange simulator: one exchange's WebSocket streams and REST on one port of the loopback,
 * over TLS. One thread. What it shows, which limits it enforces and how faults are scripted:
 * docs/simulator.md. */
struct sim_config {
    enum venue_id exchange; /* which one it plays; its real paths, on one port */
    struct model_config model;
    const char *address;      /* IPv4 to listen on */
    uint16_t port;            /* 0 = any free one */
    bool plain;               /* ws:// and http:// instead of TLS */
    const char *ca_path;      /* the authority's certificate is written here (PEM); "" = nowhere */
    uint32_t connections_max; /* at once, WebSocket and REST together; 1 .. 4096 */
    size_t send_buffer_bytes; /* a connection; a client that lets it fill is reset; >= 384 KiB,
                               * 0 = by the rate, 512 KiB or more */
    uint32_t coalesce_bytes;  /* put frames of one turn into TLS records up to this; 0 = each its
                               * own, at most 16384 */
    struct sim_limits_config limits;
    struct str faults;         /* fault script; may be empty */
    const char *replay_path;   /* recording (text format) served instead of the model; "" = none */
    double replay_speed;       /* 1 = as recorded, 10 = ten times faster */
    const struct clock *clock; /* borrowed */
    /* Called once, when connections are accepted. */
    void (*on_ready)(void *context, uint16_t port);
    /* For each fault committed: what, on which connection (0 = none) and stream ("" = none); index:
     * of the message, or the status of a REST answer. NULL = nobody asks. */
    void (*on_fault)(void *context, int64_t unix_ns, const char *fault, uint32_t conn,
                     const char *stream, int64_t index);
    void *context;
};

/* Is this one of the exchanges it can play? */
bool sim_plays(enum venue_id exchange);
/* 127.0.0.1, any port, TLS, seed 1, 50 symbols, 500 trades/s, the venue's limits. */
struct sim_config sim_config_default(void);

struct sim;

/* Takes all memory (ALLOC_SIM) and listens. `config` and what it points to are borrowed until
 * sim_destroy(). NULL on failure: MD_EPARSE in the script, MD_EIO, MD_ENOMEM, ... in *code, words
 * in `err`. */
struct sim *sim_create(const struct sim_config *config, int *code, struct err *err);
uint16_t sim_port(const struct sim *sim);
/* Serves until *stop is set (looked at every 20 ms at the latest) or `wait_ms` have passed (-1 =
 * for ever). */
void sim_serve(struct sim *sim, volatile sig_atomic_t *stop, int64_t wait_ms);
/* One turn: waits at most `wait` ms for sockets, lets the market go on, sends. Returns how long the
 * next turn may wait. */
int sim_turn(struct sim *sim, int wait_ms);
void sim_destroy(struct sim *sim);

/* The state of all counters as one JSON object: what GET /sim/status answers. */
void sim_status(const struct sim *sim, struct buf *out);
/* Limits of the venue that clients broke, all kinds together. */
uint64_t sim_violations(const struct sim *sim);
/* Bytes sim_create() takes from ALLOC_SIM. */
size_t sim_memory_bytes(const struct sim_config *config);

/* All of it: create, announce by on_ready, serve until *stop, print the status to `status_fd` (-1 =
 * not), destroy. 0 or a negative code. */
int sim_run(const struct sim_config *config, volatile sig_atomic_t *stop, int status_fd,
            struct err *err);

#endif
