/* One resolver thread with a bounded table of requests. A slot goes free -> queued -> working ->
 * done
 * -> free; the lock guards the states, the answer belongs to the thread while working and to the
 * loop afterwards. */
#include "net/dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"

#define STACK_BYTES (256 << 10) /* getaddrinfo() and the name services it loads */

enum slot_state { SLOT_FREE, SLOT_QUEUED, SLOT_WORKING, SLOT_DONE };

struct slot {
    enum slot_state state;
    bool cancelled;
    char host[254];
    char port[6];
    uint64_t order; /* first come, first served */
    struct dns_answer answer;
    void (*on_answer)(void *context, const struct dns_answer *answer);
    void *context;
};

struct dns {
    struct loop *loop;
    struct loop_source source;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    bool stopping, started, orphan;
    uint64_t order_next;
    uint32_t slot_count;
    struct slot *slots;
};

size_t dns_memory_bytes(uint32_t requests_max)
{
    return sizeof(struct dns) + (size_t)requests_max * sizeof(struct slot);
}

/* The two families in turn, so that the race tries both early; first the one the resolver put first
 * (RFC 6724 order). */
static void fill(struct dns_answer *answer, const struct addrinfo *list)
{
    const struct addrinfo *next[2] = {list, list};
    bool four_first = list != NULL && list->ai_family == AF_INET;
    int family[2] = {four_first ? AF_INET : AF_INET6, four_first ? AF_INET6 : AF_INET};
    for (int turn = 0; answer->count < DNS_ADDRESSES_MAX && (next[0] != NULL || next[1] != NULL);
         turn = !turn) {
        while (next[turn] != NULL && next[turn]->ai_family != family[turn]) {
            next[turn] = next[turn]->ai_next;
        }
        if (next[turn] != NULL) {
            memcpy(&answer->addresses[answer->count].address, next[turn]->ai_addr,
                   next[turn]->ai_addrlen);
            answer->addresses[answer->count++].bytes = next[turn]->ai_addrlen;
            next[turn] = next[turn]->ai_next;
        }
    }
}

static void resolve(struct slot *slot)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    slot->answer = (struct dns_answer){0};
    int code = getaddrinfo(slot->host, slot->port, &hints, &list);
    if (code != 0) {
        slot->answer.code = MD_EDNS;
        slot->answer.why = gai_strerror(code);
        return;
    }
    fill(&slot->answer, list);
    freeaddrinfo(list);
    if (slot->answer.count == 0) {
        slot->answer.code = MD_EDNS;
        slot->answer.why = "no address";
    }
}

static struct slot *oldest(struct dns *dns, enum slot_state state)
{
    struct slot *found = NULL;
    for (uint32_t i = 0; i < dns->slot_count; i++) {
        struct slot *slot = &dns->slots[i];
        if (slot->state == state && (found == NULL || slot->order < found->order)) {
            found = slot;
        }
    }
    return found;
}

static void give_back(struct dns *dns)
{
    pthread_cond_destroy(&dns->more);
    pthread_mutex_destroy(&dns->lock);
    alloc_give(dns);
}

static void *dns_main(void *context)
{
    struct dns *dns = context;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL); /* signals are the main thread's */
    pthread_mutex_lock(&dns->lock);
    while (!dns->stopping) {
        struct slot *slot = oldest(dns, SLOT_QUEUED);
        if (slot == NULL) {
            pthread_cond_wait(&dns->more, &dns->lock);
            continue;
        }
        slot->state = SLOT_WORKING;
        pthread_mutex_unlock(&dns->lock);
        resolve(slot);
        pthread_mutex_lock(&dns->lock);
        slot->state = SLOT_DONE;
        uint64_t one = 1;
        if (!dns->stopping && write(dns->source.fd, &one, sizeof one) < 0) {
            continue; /* EAGAIN: the loop is told already */
        }
    }
    bool orphan = dns->orphan;
    pthread_mutex_unlock(&dns->lock);
    if (orphan) {
        give_back(dns);
    }
    return NULL;
}

static void on_ready(void *context, unsigned events)
{
    struct dns *dns = context;
    uint64_t ignored;
    (void)events;
    if (read(dns->source.fd, &ignored, sizeof ignored) < 0) {
        return;
    }
    for (;;) {
        pthread_mutex_lock(&dns->lock);
        struct slot *slot = oldest(dns, SLOT_DONE);
        if (slot == NULL) {
            pthread_mutex_unlock(&dns->lock);
            return;
        }
        struct dns_answer answer = slot->answer;
        bool cancelled = slot->cancelled;
        slot->state = SLOT_FREE;
        pthread_mutex_unlock(&dns->lock);
        if (!cancelled) {
            slot->on_answer(slot->context, &answer);
        }
    }
}

static bool thread_start(struct dns *dns)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    bool good = pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0 &&
                pthread_create(&dns->thread, &attributes, dns_main, dns) == 0;
    pthread_attr_destroy(&attributes);
    return good;
}

struct dns *dns_create(struct loop *loop, uint32_t requests_max, struct err *err)
{
    struct dns *dns = alloc_take(ALLOC_CONNECTIONS, dns_memory_bytes(requests_max));
    if (dns == NULL) {
        err_set(err, MD_ENOMEM, "no memory for the resolver");
        return NULL;
    }
    dns->loop = loop;
    dns->slots = (struct slot *)(void *)(dns + 1);
    dns->slot_count = requests_max;
    pthread_mutex_init(&dns->lock, NULL);
    pthread_cond_init(&dns->more, NULL);
    dns->source = (struct loop_source){
        .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .on_ready = on_ready, .context = dns};
    dns->started =
        dns->source.fd >= 0 && loop_add(loop, &dns->source, LOOP_READ) == 0 && thread_start(dns);
    if (!dns->started) {
        err_set(err, MD_ENOMEM, "the resolver thread could not be started");
        dns_destroy(dns);
        return NULL;
    }
    return dns;
}

void dns_destroy(struct dns *dns)
{
    if (dns == NULL) {
        return;
    }
    loop_remove(dns->loop, &dns->source);
    bool working = false;
    pthread_mutex_lock(&dns->lock);
    dns->stopping = true;
    for (uint32_t i = 0; i < dns->slot_count; i++) {
        working = working || dns->slots[i].state == SLOT_WORKING;
    }
    dns->orphan = working;
    if (dns->source.fd >= 0) {
        close(dns->source.fd); /* the thread does not write to it any more */
    }
    if (working) {
        pthread_detach(dns->thread); /* it gives the memory back when the name is done */
    }
    pthread_cond_signal(&dns->more);
    pthread_mutex_unlock(&dns->lock);
    if (!working) {
        if (dns->started) {
            pthread_join(dns->thread, NULL);
        }
        give_back(dns);
    }
}

bool dns_numeric(struct str host, uint16_t port, struct dns_answer *answer)
{
    char text[INET6_ADDRSTRLEN];
    *answer = (struct dns_answer){.count = 1};
    if (host.bytes >= sizeof text) {
        return false;
    }
    memcpy(text, host.data, host.bytes);
    text[host.bytes] = 0;
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET, text, &in4.sin_addr) == 1) {
        memcpy(&answer->addresses[0].address, &in4, sizeof in4);
        answer->addresses[0].bytes = sizeof in4;
        return true;
    }
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1) {
        memcpy(&answer->addresses[0].address, &in6, sizeof in6);
        answer->addresses[0].bytes = sizeof in6;
        return true;
    }
    return false;
}

int dns_ask(struct dns *dns, struct str host, uint16_t port,
            void (*on_answer)(void *context, const struct dns_answer *answer), void *context)
{
    int ticket = MD_EFULL;
    if (host.bytes >= sizeof dns->slots[0].host) {
        return MD_EINVAL;
    }
    pthread_mutex_lock(&dns->lock);
    struct slot *slot = oldest(dns, SLOT_FREE);
    if (slot != NULL) {
        memcpy(slot->host, host.data, host.bytes);
        slot->host[host.bytes] = 0;
        snprintf(slot->port, sizeof slot->port, "%u", (unsigned)port);
        slot->on_answer = on_answer;
        slot->context = context;
        slot->cancelled = false;
        slot->order = ++dns->order_next;
        slot->state = SLOT_QUEUED;
        ticket = (int)(slot - dns->slots) + 1;
        pthread_cond_signal(&dns->more);
    }
    pthread_mutex_unlock(&dns->lock);
    return ticket;
}

void dns_cancel(struct dns *dns, int ticket)
{
    if (ticket <= 0) {
        return;
    }
    pthread_mutex_lock(&dns->lock);
    struct slot *slot = &dns->slots[ticket - 1];
    slot->cancelled = true;
    if (slot->state == SLOT_QUEUED) {
        slot->state = SLOT_FREE;
    }
    pthread_mutex_unlock(&dns->lock);
}
