#ifndef MD_NET_WS_CLIENT_H
#define MD_NET_WS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "net/loop.h"
#include "net/ws_frame.h"

/* One client connection: DNS (off the loop) -> TCP, IPv6 and IPv4 raced -> proxy -> TLS ->
 * WebSocket. Answers pings at once, before any data work. Does not reconnect: its owner does
 * (net/backoff.h). Buffers are taken at ws_client_create(); nothing of ours is allocated
 * afterwards. */
struct net; /* what all connections share: loop, DNS thread, TLS context, shared read buffer */

struct net_config {
    const char *ca_file; /* NULL or "": the system's store */
    const char *proxy;   /* "", "http://[user:pass@]host:port", "socks5h://[user:pass@]host:port" */
    size_t message_bytes_max; /* whole WebSocket message */
    size_t read_bytes;        /* one socket read, shared by all connections; e.g. 64 KiB */
    size_t send_bytes_max;    /* one queued send per connection; e.g. 8 KiB */
    uint32_t connections_max;
    int64_t connect_timeout_ms; /* DNS + TCP + proxy + TLS + handshake together */
    /* After our own ping, until a pong or any other whole frame: closed as MD_ETIMEOUT; 0 = off. */
    int64_t pong_timeout_ms;
    /* Our own pings when no whole frame arrived for this long (so a peer that trickles a message
     * for ever is found too); 0 = none. */
    int64_t ping_interval_ms;
    int64_t silence_timeout_ms; /* no byte at all for this long: closed as MD_ETIMEOUT; 0 = off */
};

/* `loop`, `config` are borrowed. NULL on failure (err says). Starts the DNS thread. */
struct net *net_create(struct loop *loop, const struct net_config *config, struct err *err);
void net_destroy(struct net *net); /* all clients must be destroyed before */
/* Bytes net_create and `connections` clients take from ALLOC_CONNECTIONS; for the budget. */
size_t net_memory_bytes(const struct net_config *config);

struct ws_client;

struct ws_client_handlers {
    /* TLS and handshake done: sending is allowed. `peer` is "address:port". */
    void (*on_open)(void *context, const char *peer);
    /* A whole text or binary message. `recv_unix_ns`: wall clock read once right after the socket
     * read that completed it (before any parsing), to be passed through clock_stamp_next(). The
     * view is valid during the call. The callback may send or close, not destroy. */
    void (*on_message)(void *context, enum ws_opcode opcode, const uint8_t *data, size_t bytes,
                       int64_t recv_unix_ns);
    /* The end, once per connect that got past ws_client_connect(), from the loop and never inside a
     * call of the owner. `code`: 0 when we closed it (ws_client_close()), else an MD_E code;
     * `ws_code`: close code received or sent, 1006 if none; `status`: HTTP status if the handshake
     * was answered with one, else 0. The client may be connected again or destroyed from here. */
    void (*on_close)(void *context, int code, int ws_code, int status, const char *why);
    void *context;
};

struct ws_client *ws_client_create(struct net *net, const struct ws_client_handlers *handlers);
void ws_client_destroy(struct ws_client *client); /* closes at once, without callback */

/* `url`: ws:// or wss://host[:port]/target, copied (at most 4 KiB). `headers`: extra request lines,
 * "Name: value\r\n" each, copied into the request and wiped after it was sent. 0, or MD_EINVAL. */
int ws_client_connect(struct ws_client *client, const char *url, struct str headers,
                      struct err *err);
/* Queues one text message. MD_EFULL when a send is still under way and this one does not fit behind
 * it; MD_ETOOBIG when it is over send_bytes_max; MD_ECLOSED when not open. */
int ws_client_send_text(struct ws_client *client, struct str text);
int ws_client_send_ping(struct ws_client *client);
/* Starts the closing handshake (code 1000 or 1001); on_close follows at the latest after 2 s. What
 * the peer sent before its own close frame is still handed out. */
void ws_client_close(struct ws_client *client, uint16_t code);
/* Stops or resumes reading (output.queue_full: pause). From inside on_message, what the same socket
 * read brought (at most read_bytes) is still handed out. No timeout runs while paused. A new
 * connect starts unpaused. */
void ws_client_pause(struct ws_client *client, bool paused);
bool ws_client_is_open(const struct ws_client *client);

struct ws_client_stats {
    uint64_t messages, bytes_received, bytes_sent, pings_received, reads;
    uint64_t pongs_skipped;    /* the peer floods us with pings and does not read the answers */
    uint64_t large_waits;      /* times it waited for one of the shared large buffers */
    uint64_t large_refused;    /* closed with 1009 because none became free in 10 s */
    int64_t last_data_mono_ns; /* last text or binary message; 0 = none yet */
};
struct ws_client_stats ws_client_stats(const struct ws_client *client);

/* Splits ws://, wss://, http://, https:// URLs; views into `url`. MD_EINVAL with the reason. */
struct url {
    bool tls;
    struct str host; /* without brackets */
    uint16_t port;
    struct str target; /* path and query, "/" if absent */
};
int url_parse(const char *url, struct url *out, struct err *err);

#endif
