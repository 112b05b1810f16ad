#ifndef MD_SIM_REQUEST_H
#define MD_SIM_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* HTTP/1.1 requests as the simulator accepts them: GET without a body, POST with a short one, which
 * is skipped. */
#define SIM_REQUEST_BODY_MAX 4096
#define SIM_REQUEST_BYTES_MAX 16384
#define SIM_REQUEST_HEADERS_MAX 64

struct sim_request {
    struct str path;  /* before '?', as sent */
    struct str query; /* after '?', as sent; may be empty */
    bool keep_alive;
    bool post;
    size_t body_bytes;        /* of a POST */
    struct str host;          /* Host header */
    struct str api_key;       /* X-MBX-APIKEY; bytes = 0: none */
    struct str size_decimal;  /* X-Gate-Size-Decimal; likewise */
    bool upgrade;             /* asks for a WebSocket, and rightly */
    struct str websocket_key; /* 24 characters */
    bool microseconds;        /* X-MBX-TIME-UNIT: MICROSECOND */
    int error_status;         /* with a negative result: what to answer */
    const char *error;        /* static words */
};

/* 0: more bytes needed; > 0: bytes of the head and the body, `request` set, its views into `data`;
 * -1: refused, error_status (400, 405, 426, 431, 505) says how, and the connection must end. */
int64_t sim_request_parse(const uint8_t *data, size_t bytes, struct sim_request *request);

/* Percent-decodes; false on a broken escape, a zero byte or no room. '+' stays '+'. */
bool sim_request_decode(struct str text, struct buf *out);
/* The decoded value of a query parameter into `out` (reset first). 1 = found, 0 = absent, -1 = it
 * is broken or too long. */
int sim_request_query(struct str query, const char *name, struct buf *out);

#endif
