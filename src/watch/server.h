#ifndef MD_WATCH_SERVER_H
#define MD_WATCH_SERVER_H

#include "watch/http_rules.h"

/* HTTP for people and scrapers, by libmicrohttpd on the caller's thread: GET and HEAD, at most
 * SERVER_CONNECTIONS connections, 8 KiB of request head, 10 s for each request, 100 requests a
 * connection; Host and token checked (http_rules.h); no CORS, no sniffing, no foreign script. */
struct server;

#define SERVER_CONNECTIONS 32
#define SERVER_EVENT_CLIENTS 12

/* What is sent for a path. */
struct server_body {
    int status; /* 0 = no such path */
    const char *type;
    const char *data; /* stays as it is while *users > 0 */
    size_t bytes;
    uint32_t *users;  /* held up while it is being sent; NULL = constant */
    const char *etag; /* with quotes; NULL = must not be kept by anyone */
};

struct server_config {
    struct listen_address listen;
    struct str token;         /* "" = none; borrowed */
    struct str allowed_hosts; /* comma-separated; borrowed */
    size_t event_bytes_max;   /* the longest event of /events */
    struct server_body (*on_request)(void *context, struct str path);
    void *context;
};

/* Ours, from ALLOC_WATCH, and the most that the library takes by itself. */
size_t server_memory_bytes(const struct server_config *config, size_t *library);
/* Listens. MD_EFULL: the port is in use; MD_EACCES, MD_EINVAL ...; err has words. */
int server_open(struct server **out, const struct server_config *config, struct err *err);
void server_close(struct server *server); /* NULL is allowed */
uint16_t server_port(const struct server *server);

/* Serves until `wait_ms` went by. */
void server_turn(struct server *server, int64_t now_mono_ns, int wait_ms);
/* Sends an event to all who listen to /events; `write` fills the data, one line. Nothing is made
 * when nobody listens. */
void server_event(struct server *server, void (*write)(void *context, struct buf *out),
                  void *context);

struct server_stats {
    uint64_t requests, refused;
    uint32_t event_clients;
};
struct server_stats server_stats(const struct server *server);

#endif
