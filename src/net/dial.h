#ifndef MD_NET_DIAL_H
#define MD_NET_DIAL_H

#include "net/dns.h"
#include "net/ws_client.h"

/* From a host name to a connected socket: resolve, race the addresses (the next one starts 250 ms
 * after the last, RFC 8305), and go through the proxy if there is one. Embedded in its owner. */

#define DIAL_TRIES 4
#define DIAL_STAGGER_MS 250

struct dial_proxy { /* net.proxy taken apart */
    enum { DIAL_DIRECT, DIAL_HTTP, DIAL_SOCKS5 } kind;
    char host[254];
    uint16_t port;
    char user[128], password[128]; /* "" = none */
};
/* "" is DIAL_DIRECT. MD_EPROXY with the form that is wanted. */
int dial_proxy_parse(const char *text, struct dial_proxy *out, struct err *err);

struct dial;
struct dial_try {
    struct dial *dial;
    struct loop_source source;
};

struct dial {
    struct loop *loop;
    struct dns *dns;
    const struct dial_proxy *proxy;
    /* fd is the owner's from here on (non-blocking); on failure -1 with code and words. Called once
     * per dial_start(), never from inside it. */
    void (*on_done)(void *context, int fd, int code, const char *why, const char *peer);
    void *context;
    /* dial's own: */
    char host[254];
    uint16_t port;
    int ticket;
    struct dns_answer answer;
    uint32_t next_address;
    struct dial_try tries[DIAL_TRIES];
    struct loop_timer stagger;
    int last_errno;
    struct loop_source proxied; /* the connected socket while the proxy is talked to */
    int proxy_step;
    char peer[80];
    uint8_t bytes[1024];
    size_t byte_count;
};

void dial_init(struct dial *dial, struct loop *loop, struct dns *dns,
               const struct dial_proxy *proxy);
int dial_start(struct dial *dial, struct str host, uint16_t port);
/* Stops without on_done; closes all sockets that are still its own. */
void dial_cancel(struct dial *dial);

#endif
