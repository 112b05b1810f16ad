#ifndef MD_SIM_LIMITS_H
#define MD_SIM_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "journal/record.h"

/* The venue's limits, enforced as the venue does, on a clock that is passed in.
 * Source: exchanges/binance-spot.md sections 2 and 6. */
#define SIM_MESSAGES_PER_S_MAX 64
#define SIM_CONNECTS_MAX 512
#define SIM_ADDRESSES_MAX 64

struct sim_limits_config {
    uint32_t messages_per_s;         /* client messages, pings and pongs a connection; 5 */
    uint32_t streams_per_connection; /* 1024 */
    uint32_t subscribe_bytes;        /* a request above gets silence; 4096 with the frame's head */
    uint32_t connects;               /* WebSocket connects an address ... 300 */
    int64_t connects_window_ms;      /* ... in 5 min */
    int64_t ping_interval_ms;        /* 20 s */
    int64_t pong_timeout_ms;         /* 1 min */
    int64_t life_ms;                 /* 24 h; 0 = for ever */
    uint32_t weight;                 /* REST weight an address ... 6000 */
    int64_t weight_window_ms;        /* ... in 1 min */
    uint32_t ignored_before_ban;     /* requests made in spite of a 429 before 418; 5 */
    int64_t ban_ms;                  /* 2 min */
};
struct sim_limits_config sim_limits_default(void);
/* Those of an exchange, where they are other ones. */
struct sim_limits_config sim_limits_of(enum venue_id exchange);

/* "NAME=VALUE[,NAME=VALUE]", names as the members above. False: one that is not known, or no
 * number; those before it are set. */
bool sim_limits_set(struct sim_limits_config *limits, struct str text);

/* Client messages of one connection in the last second. Zeroed = none yet. */
struct sim_message_limit {
    int64_t times_mono_ns[SIM_MESSAGES_PER_S_MAX];
    uint32_t next;
    uint32_t count;
};
/* One message arrived. False: one more than allowed within a second. */
bool sim_limits_message(struct sim_message_limit *limit, const struct sim_limits_config *config,
                        int64_t now_mono_ns);

/* What one address did. */
struct sim_address {
    uint8_t ip[16]; /* IPv4 in the first 4 */
    bool used;
    int64_t last_mono_ns;
    int64_t connects_mono_ns[SIM_CONNECTS_MAX];
    uint32_t connects_next, connects_count;
    int64_t weight_window_mono_ns;
    uint32_t weight_used;
    int64_t retry_mono_ns; /* a 429 was answered: until then come no more requests */
    uint32_t ignored;
    int64_t ban_mono_ns;
};
struct sim_addresses {
    struct sim_address table[SIM_ADDRESSES_MAX];
};
/* The address's entry; the longest unused one is taken over when the table is full. */
struct sim_address *sim_limits_address(struct sim_addresses *addresses, const uint8_t ip[16],
                                       int64_t now_mono_ns);
/* A WebSocket connect. False: too many in the window. */
bool sim_limits_connect(struct sim_address *address, const struct sim_limits_config *config,
                        int64_t now_mono_ns);

struct sim_weight_verdict {
    int status;            /* 200, 429 or 418 */
    uint32_t used;         /* X-MBX-USED-WEIGHT-1M */
    int64_t retry_after_s; /* with 429 and 418 */
};
/* A REST request of this weight. */
struct sim_weight_verdict sim_limits_weight(struct sim_address *address,
                                            const struct sim_limits_config *config, uint32_t weight,
                                            int64_t now_mono_ns);

#endif
