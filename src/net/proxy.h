#ifndef MD_NET_PROXY_H
#define MD_NET_PROXY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* net.proxy, and the talk with a proxy up to "connected": bytes in, bytes out, no input/output
 * here. HTTP CONNECT (RFC 9110 section 9.3.6) with Basic sign-in, SOCKS5 (RFC 1928) with names
 * resolved by the proxy and optional user and password (RFC 1929). */

enum proxy_kind { PROXY_NONE, PROXY_HTTP, PROXY_SOCKS5 };

struct proxy {
    enum proxy_kind kind;
    char host[254];
    uint16_t port;
    char user[128], password[128]; /* "" = none; wipe with proxy_wipe() */
};

/* "" or NULL is PROXY_NONE. User and password are percent-decoded. MD_EPROXY with the form that is
 * wanted; the words never repeat user or password. */
int proxy_parse(const char *text, struct proxy *out, struct err *err);
void proxy_wipe(struct proxy *proxy);

#define PROXY_SEND_BYTES_MAX 1024
#define PROXY_ANSWER_BYTES_MAX 4096

enum proxy_result {
    PROXY_MORE = 0, /* send what is in `out`, then feed the answer */
    PROXY_DONE = 1, /* the next byte on the socket is the target's */
    /* negative: MD_EPROXY (the operator must change something) or MD_ECONNECT (the target cannot be
     * reached from the proxy now); err says which and what helps */
};

struct proxy_talk {
    const struct proxy *proxy;
    char host[254]; /* the target */
    uint16_t port;
    int step;
    uint8_t answer[PROXY_ANSWER_BYTES_MAX];
    size_t answer_bytes;
};

/* Starts the talk on a fresh connection to the proxy. `proxy` is borrowed; `host` is a name or an
 * address without brackets. `out` (PROXY_SEND_BYTES_MAX) gets what to send first. */
int proxy_talk_begin(struct proxy_talk *talk, const struct proxy *proxy, struct str host,
                     uint16_t port, struct buf *out);
/* Takes what arrived, however it was cut. `out` is reset and gets what to send now. Bytes behind
 * the last answer are refused: a target does not speak before we do. */
int proxy_talk_feed(struct proxy_talk *talk, const void *data, size_t bytes, struct buf *out,
                    struct err *err);
/* For failures before or during the talk: "proxy HOST:PORT: why; check net.proxy". */
int proxy_failed(const struct proxy *proxy, const char *why, struct err *err);

#endif
