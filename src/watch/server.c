/* libmicrohttpd on the watch thread: its epoll descriptors are polled here, so that a tick of a
 * second can push events without locks. Events go through one ring of bytes; each listener has its
 * place in it, and one that falls behind by a whole ring is cut off (its browser comes again).
 * Memory: the ring and the tables; the library has its own, bounded by connections and its pools.
 */
#include "watch/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"

#define POOL_BYTES (16 << 10)        /* the library's memory for a connection */
#define LIBRARY_BYTES_EACH (4 << 10) /* its own structures beside it */
#define LIBRARY_BYTES (256 << 10)
#define HEAD_BYTES_MAX 8192
#define REQUEST_NS (10 * NS_PER_S)
#define REQUESTS_MAX 100
#define EVENTS_KEPT 4
#define EVENT_BLOCK_BYTES (16 << 10)

struct slot { /* a connection */
    struct server *server;
    struct MHD_Connection *connection; /* NULL = free */
    int64_t since_ns;                  /* connected, or the last answer was sent */
    uint32_t requests;
    bool events, suspended;
    uint64_t at; /* events: bytes of the ring that were sent */
};

struct server {
    struct server_config config;
    struct MHD_Daemon *daemons[2];
    int epolls[2];
    uint32_t daemon_count;
    uint16_t port;
    int64_t now_ns;
    struct slot slots[SERVER_CONNECTIONS];
    char *ring;
    size_t ring_bytes;
    uint64_t ring_end; /* bytes ever put into it */
    char *event;       /* the one being made */
    struct server_stats stats;
};

size_t server_memory_bytes(const struct server_config *config, size_t *library)
{
    if (!config->listen.on) {
        *library = 0;
        return 0;
    }
    *library = LIBRARY_BYTES + SERVER_CONNECTIONS * (POOL_BYTES + LIBRARY_BYTES_EACH) +
               SERVER_EVENT_CLIENTS * EVENT_BLOCK_BYTES;
    return sizeof(struct server) + (EVENTS_KEPT + 1) * config->event_bytes_max;
}

/* ---- answers */

static void add_headers(struct MHD_Response *response, const char *type, const char *etag,
                        bool last)
{
    static const char *const fixed[][2] = {
        {"X-Content-Type-Options", "nosniff"},
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
         "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"X-Frame-Options", "DENY"},
    };
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        MHD_add_response_header(response, fixed[i][0], fixed[i][1]);
    }
    MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "Cache-Control", etag != NULL ? "no-cache" : "no-store");
    if (etag != NULL) {
        MHD_add_response_header(response, "ETag", etag);
    }
    if (last) {
        MHD_add_response_header(response, "Connection", "close");
    }
}

static enum MHD_Result send_words(struct slot *slot, unsigned status, const char *words,
                                  const char *header, const char *value)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(words), (void *)(uintptr_t)words, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        return MHD_NO;
    }
    add_headers(response, "text/plain; charset=utf-8", NULL, status != MHD_HTTP_NOT_FOUND);
    if (header != NULL) {
        MHD_add_response_header(response, header, value);
    }
    enum MHD_Result result = MHD_queue_response(slot->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct slot *slot, unsigned status, const char *words,
                              const char *header, const char *value)
{
    slot->server->stats.refused++;
    return send_words(slot, status, words, header, value);
}

static void on_sent(void *context)
{
    uint32_t *users = context;
    ASSERT(*users > 0);
    (*users)--;
}

static enum MHD_Result send_body(struct slot *slot, const struct server_body *body, bool last)
{
    const char *known =
        MHD_lookup_connection_value(slot->connection, MHD_HEADER_KIND, "If-None-Match");
    bool same = body->etag != NULL && known != NULL && strcmp(known, body->etag) == 0;
    struct MHD_Response *response = NULL;
    if (same || body->users == NULL) {
        response = MHD_create_response_from_buffer(
            same ? 0 : body->bytes, (void *)(uintptr_t)body->data, MHD_RESPMEM_PERSISTENT);
    } else {
        (*body->users)++;
        response = MHD_create_response_from_buffer_with_free_callback_cls(
            body->bytes, (void *)(uintptr_t)body->data, on_sent, body->users);
        if (response == NULL) {
            (*body->users)--;
        }
    }
    if (response == NULL) {
        return MHD_NO;
    }
    add_headers(response, body->type, body->etag, last);
    enum MHD_Result result = MHD_queue_response(
        slot->connection, same ? MHD_HTTP_NOT_MODIFIED : (unsigned)body->status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- events */

static ssize_t on_events_wanted(void *context, uint64_t position, char *out, size_t bytes_max)
{
    struct slot *slot = context;
    struct server *server = slot->server;
    (void)position;
    uint64_t behind = server->ring_end - slot->at;
    if (behind > server->ring_bytes) {
        return MHD_CONTENT_READER_END_WITH_ERROR; /* too slow: what it had not read is gone */
    }
    if (behind == 0) {
        slot->suspended = true;
        MHD_suspend_connection(slot->connection);
        return 0;
    }
    size_t from = (size_t)(slot->at % server->ring_bytes);
    size_t bytes = server->ring_bytes - from;
    bytes = bytes < behind ? bytes : (size_t)behind;
    bytes = bytes < bytes_max ? bytes : bytes_max;
    memcpy(out, server->ring + from, bytes);
    slot->at += bytes;
    return (ssize_t)bytes;
}

static enum MHD_Result send_events(struct slot *slot)
{
    struct server *server = slot->server;
    if (server->stats.event_clients >= SERVER_EVENT_CLIENTS) {
        return refuse(slot, MHD_HTTP_SERVICE_UNAVAILABLE, "too many listeners: close a page\n",
                      "Retry-After", "5");
    }
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, EVENT_BLOCK_BYTES, on_events_wanted, slot, NULL);
    if (response == NULL) {
        return MHD_NO;
    }
    slot->events = true;
    slot->at = server->ring_end;
    server->stats.event_clients++;
    add_headers(response, "text/event-stream", NULL, false);
    enum MHD_Result result = MHD_queue_response(slot->connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static void ring_put(struct server *server, const char *data, size_t bytes)
{
    size_t at = (size_t)(server->ring_end % server->ring_bytes);
    size_t first = server->ring_bytes - at < bytes ? server->ring_bytes - at : bytes;
    memcpy(server->ring + at, data, first);
    memcpy(server->ring, data + first, bytes - first);
    server->ring_end += bytes;
}

static void resume_all(struct server *server)
{
    for (uint32_t i = 0; i < SERVER_CONNECTIONS; i++) {
        if (server->slots[i].suspended) {
            server->slots[i].suspended = false;
            MHD_resume_connection(server->slots[i].connection);
        }
    }
}

void server_event(struct server *server, void (*write)(void *context, struct buf *out),
                  void *context)
{
    if (server->stats.event_clients == 0) {
        return;
    }
    struct buf out = buf_over(server->event, server->config.event_bytes_max - 2);
    buf_put_str(&out, STR("retry: 2000\ndata: "));
    write(context, &out);
    if (out.overflow) {
        LOG_WARN("event_cut", "an event for the page is longer than %zu bytes: left out",
                 server->config.event_bytes_max);
    } else {
        memcpy(server->event + out.bytes, "\n\n", 2);
        ring_put(server, server->event, out.bytes + 2);
    }
    resume_all(server); /* also those whose peer went away: the library sees it then */
}

/* ---- requests */

static struct str header_of(struct slot *slot, const char *name)
{
    const char *value = NULL;
    size_t bytes = 0;
    if (MHD_lookup_connection_value_n(slot->connection, MHD_HEADER_KIND, name, strlen(name), &value,
                                      &bytes) != MHD_YES ||
        value == NULL) {
        return (struct str){0};
    }
    return str_make(value, bytes);
}

static struct slot *slot_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static size_t head_bytes(struct slot *slot)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(slot->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info != NULL ? info->header_size : 0;
}

static enum MHD_Result answer(struct slot *slot, const char *url, const char *method)
{
    struct server *server = slot->server;
    const struct server_config *config = &server->config;
    server->stats.requests++;
    slot->requests++;
    if (head_bytes(slot) > HEAD_BYTES_MAX) {
        return refuse(slot, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
                      "the head of a request is at most 8 KiB here\n", NULL, NULL);
    }
    if (!host_allowed(header_of(slot, "Host"), &config->listen, config->allowed_hosts)) {
        return refuse(slot, MHD_HTTP_MISDIRECTED_REQUEST,
                      "this name is not served here: put it into http.allow_hosts\n", NULL, NULL);
    }
    if (config->token.bytes > 0 && !token_given(header_of(slot, "Authorization"), config->token)) {
        return refuse(slot, MHD_HTTP_UNAUTHORIZED,
                      "a token is wanted: Authorization: Bearer TOKEN, or as the password\n",
                      "WWW-Authenticate", "Basic realm=\"market-data\", charset=\"UTF-8\"");
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return refuse(slot, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or HEAD is wanted\n", "Allow",
                      "GET, HEAD");
    }
    if (strcmp(url, "/events") == 0 && strcmp(method, MHD_HTTP_METHOD_GET) == 0) {
        return send_events(slot);
    }
    struct server_body body = config->on_request(config->context, str_from(url));
    if (body.status == 0) {
        return send_words(slot, MHD_HTTP_NOT_FOUND, "no such page\n", NULL, NULL);
    }
    return send_body(slot, &body, slot->requests >= REQUESTS_MAX);
}

static enum MHD_Result on_access(void *context, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_bytes, void **request)
{
    (void)context, (void)version, (void)upload, (void)upload_bytes, (void)request;
    struct slot *slot = slot_of(connection);
    return slot == NULL ? MHD_NO : answer(slot, url, method);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code)
{
    (void)context, (void)request, (void)code;
    struct slot *slot = slot_of(connection);
    if (slot != NULL) {
        slot->since_ns = slot->server->now_ns;
    }
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct server *server = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct slot *slot = *socket_context;
        if (slot != NULL) {
            server->stats.event_clients -= slot->events;
            *slot = (struct slot){0};
        }
        return;
    }
    *socket_context = NULL; /* no slot: its requests are refused */
    for (uint32_t i = 0; i < SERVER_CONNECTIONS; i++) {
        if (server->slots[i].connection == NULL) {
            server->slots[i] = (struct slot){
                .server = server, .connection = connection, .since_ns = server->now_ns};
            *socket_context = &server->slots[i];
            return;
        }
    }
}

/* A request, its answer and the wait for the next one have 10 seconds together. */
static void cut_slow(struct server *server)
{
    for (uint32_t i = 0; i < SERVER_CONNECTIONS; i++) {
        struct slot *slot = &server->slots[i];
        if (slot->connection == NULL || slot->events ||
            server->now_ns - slot->since_ns < REQUEST_NS) {
            continue;
        }
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(slot->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        if (info != NULL) {
            (void)shutdown(info->connect_fd, SHUT_RDWR); /* it may be closed already */
        }
        slot->since_ns = server->now_ns;
    }
}

void server_turn(struct server *server, int64_t now_mono_ns, int wait_ms)
{
    struct pollfd fds[2];
    server->now_ns = now_mono_ns;
    int64_t until_ns = now_mono_ns + wait_ms * NS_PER_MS;
    do {
        int64_t left_ms = (until_ns - server->now_ns + NS_PER_MS - 1) / NS_PER_MS;
        for (uint32_t i = 0; i < server->daemon_count; i++) {
            fds[i] = (struct pollfd){.fd = server->epolls[i], .events = POLLIN};
            MHD_UNSIGNED_LONG_LONG library_ms = 0;
            if (MHD_get_timeout(server->daemons[i], &library_ms) == MHD_YES &&
                (int64_t)library_ms < left_ms) {
                left_ms = (int64_t)library_ms;
            }
        }
        (void)poll(fds, server->daemon_count, left_ms > 0 ? (int)left_ms : 0);
        server->now_ns = clock_mono_ns(&clock_system);
        for (uint32_t i = 0; i < server->daemon_count; i++) {
            MHD_run(server->daemons[i]);
        }
    } while (server->now_ns < until_ns);
    cut_slow(server);
}

struct server_stats server_stats(const struct server *server)
{
    return server->stats;
}

/* ---- open and close */

static int listen_on(const char *host, bool ipv6, uint16_t port, struct err *err)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int on = 1;
    int parsed =
        ipv6 ? inet_pton(AF_INET6, host, &v6.sin6_addr) : inet_pton(AF_INET, host, &v4.sin_addr);
    ASSERT(parsed == 1);
    int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int failed = fd < 0;
    if (!failed) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* a restart at once */
        if (ipv6) {
            failed = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        }
        failed = failed != 0 ||
                 bind(fd, ipv6 ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4,
                      ipv6 ? sizeof v6 : sizeof v4) != 0 ||
                 listen(fd, SERVER_CONNECTIONS) != 0;
    }
    if (failed) {
        int saved = errno;
        if (fd >= 0) {
            close(fd);
        }
        return err_set(err, saved == EADDRINUSE ? MD_EFULL : err_from_errno(saved),
                       "http.listen: %s port %u: %s", host, port, strerror(saved));
    }
    return fd;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t bytes = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &bytes) != 0) {
        return 0;
    }
    return ntohs(address.ss_family == AF_INET6
                     ? ((const struct sockaddr_in6 *)(const void *)&address)->sin6_port
                     : ((const struct sockaddr_in *)(const void *)&address)->sin_port);
}

static int daemon_start(struct server *server, int fd, struct err *err)
{
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access, server,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)SERVER_CONNECTIONS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        daemon != NULL ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (info == NULL) {
        if (daemon != NULL) {
            MHD_stop_daemon(daemon);
        } else {
            close(fd);
        }
        return err_set(err, MD_ENOMEM, "http.listen: the server could not be started");
    }
    server->daemons[server->daemon_count] = daemon;
    server->epolls[server->daemon_count++] = info->epoll_fd;
    return 0;
}

static int open_all(struct server *server, struct err *err)
{
    const struct listen_address *listen = &server->config.listen;
    bool ipv6 = listen->ipv6;
    int fd = listen_on(listen->both ? "127.0.0.1" : listen->host, ipv6, listen->port, err);
    if (fd < 0) {
        return fd;
    }
    server->port = port_of(fd);
    int code = daemon_start(server, fd, err);
    if (code == 0 && listen->both) {
        struct err second;
        fd = listen_on("::1", true, server->port, &second); /* a machine may be without IPv6 */
        code = fd >= 0 ? daemon_start(server, fd, err) : 0;
    }
    return code;
}

int server_open(struct server **out, const struct server_config *config, struct err *err)
{
    ASSERT(config->listen.on);
    struct server *server = alloc_take(ALLOC_WATCH, sizeof *server);
    if (server == NULL) {
        return err_set(err, MD_ENOMEM, "http: no memory");
    }
    server->config = *config;
    server->now_ns = clock_mono_ns(&clock_system);
    server->ring_bytes = EVENTS_KEPT * config->event_bytes_max;
    server->ring = alloc_take(ALLOC_WATCH, server->ring_bytes);
    server->event = alloc_take(ALLOC_WATCH, config->event_bytes_max);
    int code = server->ring == NULL || server->event == NULL
                   ? err_set(err, MD_ENOMEM, "http: no memory")
                   : open_all(server, err);
    if (code != 0) {
        server_close(server);
        return code;
    }
    *out = server;
    return 0;
}

uint16_t server_port(const struct server *server)
{
    return server->port;
}

void server_close(struct server *server)
{
    if (server == NULL) {
        return;
    }
    resume_all(server); /* the library wants none of them suspended */
    for (uint32_t i = 0; i < server->daemon_count; i++) {
        MHD_run(server->daemons[i]);
        resume_all(server);
        MHD_stop_daemon(server->daemons[i]);
    }
    alloc_give(server->ring);
    alloc_give(server->event);
    alloc_give(server);
}
