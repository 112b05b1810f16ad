#ifndef MD_NET_REST_H
#define MD_NET_REST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/loop.h"

/* HTTP through libcurl's multi interface on our loop. Bodies are handed over in parts as they
 * arrive; nothing is gathered here. */
struct rest;

struct rest_config {
    const char *ca_file; /* as net_config */
    const char *proxy;
    int64_t timeout_ms;      /* whole request */
    uint32_t requests_max;   /* in flight at once */
    uint64_t body_bytes_max; /* larger bodies end as MD_ETOOBIG */
};

struct rest_result {
    int code;   /* 0 when an HTTP answer arrived whole, whatever its status; else MD_E... */
    int status; /* HTTP status, 0 if none */
    /* Seconds from now: the Retry-After header; with a 429 that has none, the end of the venue's
     * window (KuCoin's gw-ratelimit-reset, Gate's X-Gate-RateLimit-Reset-Timestamp), 1 to 60. -1 if
     * absent. */
    int64_t retry_after_s;
    int64_t used_weight;   /* X-MBX-USED-WEIGHT-1M; -1 if absent */
    int64_t recv_unix_ns;  /* when the last part arrived */
    const char *why;       /* words for a failure, with what helps; "" else; valid in the call */
};

struct rest_handlers {
    /* A part of the body, 1 to 16384 bytes; valid during the call, which must not call rest_. Comes
     * for every status; a body whose on_done tells a failure is not whole. */
    void (*on_part)(void *context, const void *data, size_t bytes, int64_t recv_unix_ns);
    /* Once per request; the slot is free again, a new request may be made from here. */
    void (*on_done)(void *context, const struct rest_result *result);
    void *context;
};

struct rest *rest_create(struct loop *loop, const struct rest_config *config, struct err *err);
void rest_destroy(struct rest *rest); /* requests in flight end without callback */
/* `url` is copied by libcurl; `headers` is NULL or one "Name: value" line. MD_EFULL when
 * requests_max are in flight. */
int rest_get(struct rest *rest, const char *url, const char *header,
             const struct rest_handlers *handlers);
/* The same as POST with an empty body. */
int rest_post(struct rest *rest, const char *url, const char *header,
              const struct rest_handlers *handlers);
uint32_t rest_in_flight(const struct rest *rest);

#endif
