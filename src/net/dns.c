/* One resolver thread with a bounded table of requests. A slot goes free -> queued -> working ->
 * done
 * -> free; the lock guards the states, the answer belongs to the thread while working and to the
 * loop afterwards. */
#include "net/dns.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"

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
    bool stopping, started;
    uint64_t order_next;
    uint32_t slot_count;
    struct slot *slots;
};

size_t dns_memory_bytes(uint32_t requests_max)
{
    return sizeof(struct dns) + (size_t)requests_max * sizeof(struct slot);
}

/* IPv6 and IPv4 in turn, so that the race tries both kinds early. */
static void fill(struct dns_answer *answer, const struct addrinfo *list)
{
    const struct addrinfo *next[2] = {list, list};
    int family[2] = {AF_INET6, AF_INET};
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

static void *dns_main(void *context)
{
    struct dns *dns = context;
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
        if (write(dns->source.fd, &one, sizeof one) < 0) {
            continue; /* EAGAIN: the loop is told already */
        }
    }
    pthread_mutex_unlock(&dns->lock);
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
    if (dns->source.fd < 0 || loop_add(loop, &dns->source, LOOP_READ) != 0 ||
        pthread_create(&dns->thread, NULL, dns_main, dns) != 0) {
        err_set(err, MD_ENOMEM, "the resolver thread could not be started");
        dns_destroy(dns);
        return NULL;
    }
    dns->started = true;
    return dns;
}

void dns_destroy(struct dns *dns)
{
    if (dns == NULL) {
        return;
    }
    if (dns->started) {
        pthread_mutex_lock(&dns->lock);
        dns->stopping = true;
        pthread_cond_signal(&dns->more);
        pthread_mutex_unlock(&dns->lock);
        pthread_join(dns->thread, NULL);
    }
    loop_remove(dns->loop, &dns->source);
    if (dns->source.fd >= 0) {
        close(dns->source.fd);
    }
    pthread_cond_destroy(&dns->more);
    pthread_mutex_destroy(&dns->lock);
    alloc_give(dns);
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
