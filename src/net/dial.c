/* Resolve, race, proxy. At most DIAL_TRIES sockets are under way at once; the first that connects
 * wins and the others are closed. Through a proxy the race is for the proxy's addresses, and the
 * target's name is resolved by the proxy. Addresses written as numbers do not pass the resolver
 * thread, so that a slow name elsewhere cannot hold them up. */
#include "net/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/assert.h"

/* ---- end */

static void close_source(struct dial *dial, struct loop_source *source)
{
    if (source->fd >= 0) {
        loop_remove(dial->loop, source);
        close(source->fd);
        source->fd = -1;
    }
}

static void close_tries(struct dial *dial)
{
    loop_timer_cancel(dial->loop, &dial->timer);
    for (int i = 0; i < DIAL_TRIES; i++) {
        close_source(dial, &dial->tries[i].source);
    }
}

void dial_cancel(struct dial *dial)
{
    dns_cancel(dial->dns, dial->ticket);
    dial->ticket = 0;
    close_tries(dial);
    close_source(dial, &dial->proxied);
}

static void fail(struct dial *dial, int code, const char *why)
{
    dial_cancel(dial);
    dial->on_done(dial->context, -1, code, why, dial->peer);
}

static void fail_connect(struct dial *dial, const char *why)
{
    struct err err;
    if (dial->proxy->kind != PROXY_NONE) {
        proxy_failed(dial->proxy, why, &err);
        fail(dial, MD_EPROXY, err.text);
    } else {
        err_set(&err, 0, "%s port %u: %s", dial->host, dial->port, why);
        fail(dial, MD_ECONNECT, err.text);
    }
}

static void succeed(struct dial *dial, int fd)
{
    dial_cancel(dial);
    dial->on_done(dial->context, fd, 0, "", dial->peer);
}

/* ---- proxy */

static void proxy_fail(struct dial *dial, const char *why)
{
    struct err err;
    proxy_failed(dial->proxy, why, &err);
    fail(dial, MD_EPROXY, err.text);
}

/* A few hundred bytes into a fresh socket's empty buffer: whole, or the connection is broken. */
static bool proxy_send(struct dial *dial, const struct buf *out)
{
    return out->bytes == 0 ||
           send(dial->proxied.fd, out->data, out->bytes, MSG_NOSIGNAL) == (ssize_t)out->bytes;
}

static void on_proxied(void *context, unsigned events)
{
    struct dial *dial = context;
    uint8_t answer[PROXY_ANSWER_BYTES_MAX];
    char request[PROXY_SEND_BYTES_MAX];
    struct buf out = buf_over(request, sizeof request);
    struct err err;
    (void)events;
    ssize_t n = recv(dial->proxied.fd, answer, sizeof answer, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        proxy_fail(dial, n == 0 ? "it closed the connection" : strerror(errno));
        return;
    }
    int result = proxy_talk_feed(&dial->talk, answer, (size_t)n, &out, &err);
    if (result < 0) {
        fail(dial, result, err.text);
    } else if (result == PROXY_DONE) {
        int fd = dial->proxied.fd;
        loop_remove(dial->loop, &dial->proxied);
        dial->proxied.fd = -1;
        succeed(dial, fd);
    } else if (!proxy_send(dial, &out)) {
        proxy_fail(dial, "nothing could be sent");
    }
    OPENSSL_cleanse(request, sizeof request);
}

static void proxy_begin(struct dial *dial, int fd)
{
    char request[PROXY_SEND_BYTES_MAX];
    struct buf out = buf_over(request, sizeof request);
    dial->proxied = (struct loop_source){.fd = fd, .on_ready = on_proxied, .context = dial};
    if (loop_add(dial->loop, &dial->proxied, LOOP_READ) != 0) {
        fail(dial, MD_EMFILE, err_text(MD_EMFILE));
        return;
    }
    int result = proxy_talk_begin(&dial->talk, dial->proxy, str_from(dial->host), dial->port, &out);
    bool sent = result == PROXY_MORE && proxy_send(dial, &out);
    OPENSSL_cleanse(request, sizeof request);
    if (!sent) {
        proxy_fail(dial, "nothing could be sent");
    }
}

/* ---- race */

static void try_next(struct dial *dial);

static void note_peer(struct dial *dial, int fd)
{
    struct sockaddr_storage address;
    socklen_t bytes = sizeof address;
    char text[INET6_ADDRSTRLEN] = "?";
    unsigned port = 0;
    bool six = false;
    if (getpeername(fd, (struct sockaddr *)&address, &bytes) == 0) {
        six = address.ss_family == AF_INET6;
        if (six) {
            const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address;
            inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
            port = ntohs(in6->sin6_port);
        } else {
            const struct sockaddr_in *in4 = (const struct sockaddr_in *)&address;
            inet_ntop(AF_INET, &in4->sin_addr, text, sizeof text);
            port = ntohs(in4->sin_port);
        }
    }
    struct buf peer = buf_over(dial->peer, sizeof dial->peer - 1);
    buf_printf(&peer, six ? "[%s]:%u" : "%s:%u", text, port);
    dial->peer[peer.bytes] = 0;
}

static bool any_try_open(const struct dial *dial)
{
    for (int i = 0; i < DIAL_TRIES; i++) {
        if (dial->tries[i].source.fd >= 0) {
            return true;
        }
    }
    return false;
}

static void on_try_ready(void *context, unsigned events)
{
    struct dial_try *one = context;
    struct dial *dial = one->dial;
    int error = 0;
    socklen_t bytes = sizeof error;
    (void)events;
    if (getsockopt(one->source.fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) {
        error = errno;
    }
    if (error != 0) {
        close_source(dial, &one->source);
        dial->last_errno = error;
        try_next(dial);
        return;
    }
    int fd = one->source.fd;
    loop_remove(dial->loop, &one->source);
    one->source.fd = -1;
    close_tries(dial);
    note_peer(dial, fd);
    if (dial->proxy->kind == PROXY_NONE) {
        succeed(dial, fd);
    } else {
        proxy_begin(dial, fd);
    }
}

/* Numbers are given from the lowest on: one near the limit says how few are left. */
static bool leaves_files_room(int fd)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
           (rlim_t)fd + DIAL_DESCRIPTORS_KEPT < limit.rlim_cur;
}

static int open_socket(const struct sockaddr *address, socklen_t bytes)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && !leaves_files_room(fd)) {
        close(fd);
        errno = EMFILE;
        return -1;
    }
    if (fd < 0) {
        return -1;
    }
    static const struct {
        int level, name, value;
    } options[] = {{IPPROTO_TCP, TCP_NODELAY, 1},
                   {SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, 30},
                   {IPPROTO_TCP, TCP_KEEPINTVL, 10},
                   {IPPROTO_TCP, TCP_KEEPCNT, 3}};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        /* best effort: a kernel that refuses one still connects */
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
    }
    if (connect(fd, address, bytes) != 0 && errno != EINPROGRESS) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* True: a try is under way in `one`. */
static bool try_open(struct dial *dial, struct dial_try *one, uint32_t index)
{
    int fd = open_socket((const struct sockaddr *)&dial->answer.addresses[index].address,
                         dial->answer.addresses[index].bytes);
    if (fd < 0) {
        dial->last_errno = errno;
        return false;
    }
    one->source = (struct loop_source){.fd = fd, .on_ready = on_try_ready, .context = one};
    if (loop_add(dial->loop, &one->source, LOOP_WRITE) != 0) {
        close(fd);
        one->source.fd = -1;
        dial->last_errno = EMFILE;
        return false;
    }
    return true;
}

/* Starts the next address that can be tried; ends the dial when none is left and none is open. */
static void try_next(struct dial *dial)
{
    struct dial_try *one = NULL;
    for (int i = 0; i < DIAL_TRIES && one == NULL; i++) {
        one = dial->tries[i].source.fd < 0 ? &dial->tries[i] : NULL;
    }
    bool started = false;
    while (one != NULL && !started && dial->next_address < dial->answer.count) {
        started = try_open(dial, one, dial->next_address++);
    }
    if (started && dial->next_address < dial->answer.count) {
        /* cannot be full: dial_start() made sure of a place, and keeps it by re-arming */
        (void)loop_timer_set(dial->loop, &dial->timer,
                             loop_now_mono_ns(dial->loop) + DIAL_STAGGER_MS * NS_PER_MS);
    }
    if (!any_try_open(dial)) {
        fail_connect(dial, strerror(dial->last_errno));
    }
}

static void on_timer(void *context, int64_t now_mono_ns)
{
    (void)now_mono_ns;
    try_next(context);
}

static void on_answer(void *context, const struct dns_answer *answer)
{
    struct dial *dial = context;
    dial->ticket = 0;
    if (answer->code != 0) {
        struct err err;
        if (dial->proxy->kind != PROXY_NONE) {
            proxy_fail(dial, answer->why);
            return;
        }
        err_set(&err, 0, "%s: %s", dial->host, answer->why);
        fail(dial, MD_EDNS, err.text);
        return;
    }
    dial->answer = *answer;
    dial->next_address = 0;
    try_next(dial);
}

/* ---- start */

void dial_init(struct dial *dial, struct loop *loop, struct dns *dns, const struct proxy *proxy)
{
    dial->loop = loop;
    dial->dns = dns;
    dial->proxy = proxy;
    dial->proxied.fd = -1;
    for (int i = 0; i < DIAL_TRIES; i++) {
        dial->tries[i].dial = dial;
        dial->tries[i].source.fd = -1;
    }
    dial->timer.on_timer = on_timer;
    dial->timer.context = dial;
}

int dial_start(struct dial *dial, struct str host, uint16_t port)
{
    ASSERT(dial->ticket == 0);
    ASSERT(dial->proxied.fd < 0);
    ASSERT(!any_try_open(dial));
    if (host.bytes >= sizeof dial->host) {
        return MD_EINVAL;
    }
    memcpy(dial->host, host.data, host.bytes);
    dial->host[host.bytes] = 0;
    dial->port = port;
    dial->peer[0] = 0;
    dial->last_errno = 0;
    dial->next_address = 0;
    bool direct = dial->proxy->kind == PROXY_NONE;
    struct str name = direct ? host : str_from(dial->proxy->host);
    uint16_t name_port = direct ? port : dial->proxy->port;
    if (dns_numeric(name, name_port, &dial->answer)) {
        return loop_timer_set(dial->loop, &dial->timer, loop_now_mono_ns(dial->loop));
    }
    int ticket = dns_ask(dial->dns, name, name_port, on_answer, dial);
    dial->ticket = ticket > 0 ? ticket : 0;
    return ticket > 0 ? 0 : ticket;
}
