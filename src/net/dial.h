#ifndef MD_NET_DIAL_H
#define MD_NET_DIAL_H

#include "net/dns.h"
#include "net/loop.h"
#include "net/proxy.h"

/* From a host name to a connected socket: resolve, race the addresses (the next one starts 250 ms
 * after the last, RFC 8305), and go through the proxy if there is one. Embedded in its owner. */

#define DIAL_TRIES 4
#define DIAL_STAGGER_MS 250
#define DIAL_PEER_BYTES 80
/* Descriptors that sockets leave for files (segments, spool, the file being sealed, folders on the
 * way to it): a connection more is worth less than a journal that cannot begin a segment. */
#define DIAL_DESCRIPTORS_KEPT 24

struct dial;
struct dial_try {
    struct dial *dial;
    struct loop_source source;
};

struct dial {
    struct loop *loop;
    struct dns *dns;
    const struct proxy *proxy;
    /* fd is the owner's from here on (non-blocking, not on the loop); on failure -1 with code and
     * words. `peer` is the address connected to (the proxy's, if there is one). Called once per
     * dial_start() that returned 0, from the loop, never from inside dial_start(). The words are
     * valid during the call; the callback may start again. */
    void (*on_done)(void *context, int fd, int code, const char *why, const char *peer);
    void *context;
    /* dial's own: */
    char host[254];
    uint16_t port;
    int ticket;
    struct dns_answer answer;
    uint32_t next_address;
    struct dial_try tries[DIAL_TRIES];
    struct loop_timer timer;
    int last_errno;
    struct loop_source proxied; /* the connected socket while the proxy is talked to */
    struct proxy_talk talk;
    char peer[DIAL_PEER_BYTES];
};

void dial_init(struct dial *dial, struct loop *loop, struct dns *dns, const struct proxy *proxy);
/* 0; MD_EINVAL (host too long), MD_EFULL (too many names asked for, or no timer free). No deadline
 * of its own: the owner calls dial_cancel(). */
int dial_start(struct dial *dial, struct str host, uint16_t port);
/* Stops without on_done; closes all sockets that are still its own. */
void dial_cancel(struct dial *dial);

#endif
