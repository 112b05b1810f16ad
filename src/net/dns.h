#ifndef MD_NET_DNS_H
#define MD_NET_DNS_H

#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"
#include "net/loop.h"

/* Names resolved off the loop: one thread calls getaddrinfo(), answers come back through the loop.
 */
#define DNS_ADDRESSES_MAX 8

struct dns_answer {
    int code;        /* 0 or MD_EDNS */
    const char *why; /* static words of the resolver */
    uint32_t count;
    struct {
        struct sockaddr_storage address;
        socklen_t bytes;
    } addresses[DNS_ADDRESSES_MAX]; /* IPv6 and IPv4 in turn, in the resolver's order */
};

struct dns;
/* At most `requests_max` names at once. Starts the thread. */
struct dns *dns_create(struct loop *loop, uint32_t requests_max, struct err *err);
/* Does not wait for a name under way (getaddrinfo() may take half a minute and cannot be stopped):
 * the thread then gives the memory back itself when the name is done. No callback comes any more.
 */
void dns_destroy(struct dns *dns);
/* An address written as numbers is answered at once, without the thread. False: it is a name. */
bool dns_numeric(struct str host, uint16_t port, struct dns_answer *answer);
/* Asks; on_answer runs on the loop's thread, from the loop. Returns a ticket (> 0), MD_EFULL, or
 * MD_EINVAL (name too long). `host` is copied. */
int dns_ask(struct dns *dns, struct str host, uint16_t port,
            void (*on_answer)(void *context, const struct dns_answer *answer), void *context);
/* The answer will not be told. Ticket 0 is allowed. */
void dns_cancel(struct dns *dns, int ticket);
size_t dns_memory_bytes(uint32_t requests_max);

#endif
