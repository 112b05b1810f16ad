/* What all connections share: the DNS thread, the TLS context, the buffers of one socket read, and
 * a few large buffers.
 *
 * A connection owns KEEP_BYTES only: what one read left over of a message. A message that outgrows
 * this borrows one of LARGE_COUNT large buffers until it is whole, so that memory does not grow
 * with connections x net.message_bytes_max. When all are out, a connection that needs one waits in
 * line with its bytes left in the kernel (ws_receive.c), so TCP holds the venue back and nothing is
 * lost; one that waited LARGE_WAIT_MS is closed with 1009 (MD_EFULL) and connects again. */
#include <openssl/crypto.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "net/net_internal.h"

static size_t large_bytes(const struct net_config *config)
{
    size_t message = config->message_bytes_max + WS_PARSE_SLACK_BYTES;
    return message > HEAD_BYTES_MAX + 1 ? message : HEAD_BYTES_MAX + 1;
}

/* What was kept, one read's plaintext, and a record begun in earlier reads. */
static size_t plain_bytes(const struct net_config *config)
{
    return KEEP_BYTES + config->read_bytes + TLS_RECORD_BYTES;
}

size_t net_memory_bytes(const struct net_config *config)
{
    size_t send =
        config->send_bytes_max > REQUEST_BYTES_MAX ? config->send_bytes_max : REQUEST_BYTES_MAX;
    size_t each = sizeof(struct ws_client) + send + CONTROL_RESERVE + 14;
    size_t count = config->connections_max;
    size_t bytes = 0;
    bytes += sizeof(struct net);
    bytes += config->read_bytes + plain_bytes(config); /* one read, encrypted and plain */
    bytes += LARGE_COUNT * large_bytes(config);
    bytes += count * each;
    bytes += dns_memory_bytes(config->connections_max + 1);
    bytes += (8192 + count * 8 + 64) * sizeof(void *); /* the loop's tables */
    bytes += 96 << 10; /* REST's tables, block heads; the symbol list has a loop of its own */
    return bytes;
}

static bool buffers_take(struct net *net)
{
    const struct net_config *config = &net->config;
    net->plain_bytes = plain_bytes(config);
    net->large_bytes = large_bytes(config);
    net->large_count =
        config->connections_max < LARGE_COUNT ? config->connections_max : LARGE_COUNT;
    net->large_free = net->large_count;
    net->cipher = alloc_take(ALLOC_CONNECTIONS, config->read_bytes);
    net->plain = alloc_take(ALLOC_CONNECTIONS, net->plain_bytes);
    bool good = net->cipher != NULL && net->plain != NULL;
    for (uint32_t i = 0; i < net->large_count && good; i++) {
        net->large[i].data = alloc_take(ALLOC_CONNECTIONS, net->large_bytes);
        good = net->large[i].data != NULL;
    }
    return good;
}

struct net *net_create(struct loop *loop, const struct net_config *config, struct err *err)
{
    ASSERT(config->read_bytes > 0);
    ASSERT(config->connections_max > 0);
    struct net *net = alloc_take(ALLOC_CONNECTIONS, sizeof *net);
    if (net == NULL) {
        err_set(err, MD_ENOMEM, "no memory for connections");
        return NULL;
    }
    net->loop = loop;
    net->config = *config;
    if (!buffers_take(net)) {
        err_set(err, MD_ENOMEM, "no memory for connections");
    } else if (proxy_parse(config->proxy, &net->proxy, err) == 0) {
        net->tls = tls_context_create(config->ca_file, err);
    }
    net->dns = net->tls != NULL ? dns_create(loop, config->connections_max + 1, err) : NULL;
    if (net->dns == NULL) {
        net_destroy(net);
        return NULL;
    }
    return net;
}

void net_destroy(struct net *net)
{
    if (net == NULL) {
        return;
    }
    ASSERT(net->clients == 0);
    dns_destroy(net->dns);
    SSL_CTX_free(net->tls);
    for (uint32_t i = 0; i < LARGE_COUNT; i++) {
        alloc_give(net->large[i].data);
    }
    alloc_give(net->plain);
    alloc_give(net->cipher);
    proxy_wipe(&net->proxy);
    alloc_give(net);
}

/* ---- large buffers */

struct large_buffer *net_large_acquire(struct net *net, struct ws_client *owner)
{
    for (uint32_t i = 0; i < net->large_count; i++) {
        if (net->large[i].owner == NULL) {
            ASSERT(net->large_free > 0);
            net->large_free--;
            net->large[i].owner = owner;
            return &net->large[i];
        }
    }
    ASSERT(net->large_free == 0);
    return NULL;
}

void net_large_release(struct ws_client *client)
{
    struct net *net = client->net;
    struct large_buffer *large = client->large;
    if (large == NULL) {
        return;
    }
    ASSERT(large->owner == client);
    client->large = NULL;
    struct ws_client *next = net->waiting_first;
    if (next == NULL) {
        large->owner = NULL;
        net->large_free++;
        return;
    }
    net_large_wait_cancel(next);
    large->owner = next;
    memcpy(large->data, next->keep, next->kept);
    next->large = large;
    next->resume = true;
    ws_client_wake_at(next, loop_now_mono_ns(net->loop));
}

void net_large_wait(struct ws_client *client, int64_t now_ns)
{
    ASSERT(!client->waiting);
    struct ws_client **place = &client->net->waiting_first;
    while (*place != NULL) {
        place = &(*place)->waiting_next;
    }
    *place = client;
    client->waiting_next = NULL;
    client->waiting = true;
    client->waiting_since_ns = now_ns;
    client->stats.large_waits++;
    ws_client_wake_at(client, now_ns + LARGE_WAIT_MS * NS_PER_MS);
}

void net_large_wait_cancel(struct ws_client *client)
{
    struct ws_client **place = &client->net->waiting_first;
    if (!client->waiting) {
        return;
    }
    while (*place != client) {
        ASSERT(*place != NULL);
        place = &(*place)->waiting_next;
    }
    *place = client->waiting_next;
    client->waiting_next = NULL;
    client->waiting = false;
}
