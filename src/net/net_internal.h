#ifndef MD_NET_NET_INTERNAL_H
#define MD_NET_NET_INTERNAL_H

/* What net.c (shared buffers), ws_client.c (states) and ws_receive.c (bytes in, messages out) know
 * of each other. Nothing else includes this. */

#include "net/dial.h"
#include "net/tls.h"
#include "net/ws_client.h"

#define KEEP_BYTES 4096        /* a connection's own: what one read left over */
#define LARGE_COUNT 4          /* buffers for messages that outgrow it, shared by all */
#define HEAD_BYTES_MAX 16384   /* the handshake's answer */
#define BATCH_MAX 512          /* messages parsed before they are handed out */
#define TLS_RECORD_BYTES 16384 /* plaintext of the largest record */
#define CONTROL_BYTES 131      /* a control frame of ours at most */
#define CONTROL_RESERVE (4 * CONTROL_BYTES)
#define URL_BYTES_MAX 4096
#define HEADERS_BYTES_MAX 1024
#define REQUEST_BYTES_MAX (URL_BYTES_MAX + HEADERS_BYTES_MAX + 1024)
#define WORDS_BYTES 320
#define CLOSE_TIMEOUT_MS 2000 /* for the peer's close frame, and for a broken sending side */
#define LARGE_WAIT_MS 10000   /* for a large buffer */

struct large_buffer {
    uint8_t *data;
    struct ws_client *owner; /* NULL = free */
};

struct net {
    struct loop *loop;
    struct net_config config;
    struct proxy proxy;
    struct dns *dns;
    SSL_CTX *tls;
    uint8_t *cipher; /* one socket read */
    uint8_t *plain;  /* what it decrypts to, behind what the connection kept */
    size_t plain_bytes;
    struct large_buffer large[LARGE_COUNT];
    size_t large_bytes; /* each */
    uint32_t large_count, large_free;
    struct ws_client *waiting_first; /* for a large buffer, in order of arrival */
    uint32_t clients;
    struct ws_message batch[BATCH_MAX];
};

enum client_state {
    CLIENT_IDLE,
    CLIENT_DIALING,
    CLIENT_TLS,
    CLIENT_HANDSHAKE,
    CLIENT_OPEN,
    CLIENT_CLOSING,
    CLIENT_ENDED /* torn down; on_close is told by the timer, so never from inside another call */
};

struct client_end { /* what on_close will say */
    int code, ws_code, status;
    char why[WORDS_BYTES];
};

struct ws_client {
    struct net *net;
    struct ws_client_handlers handlers;
    struct ws_client_stats stats;
    enum client_state state;
    struct dial dial;
    struct loop_source source;
    bool watched;            /* source is on the loop */
    struct loop_timer timer; /* armed from connect to on_close, for the next deadline of any kind */
    int64_t deadline_ns;     /* connecting or closing must be over; 0 = none */
    SSL *ssl;
    struct tls_input input;
    /* receiving */
    struct ws_parser parser;
    uint8_t keep[KEEP_BYTES];
    size_t kept;                /* bytes in keep, or in the large buffer */
    struct large_buffer *large; /* NULL = none held */
    struct ws_client *waiting_next;
    bool waiting;
    bool resume; /* a large buffer was handed over while waiting */
    bool paused;
    int64_t waiting_since_ns;
    int64_t recv_unix_ns; /* of the last socket read */
    int64_t last_byte_ns, last_frame_ns;
    int64_t pinged_ns; /* 0 = no ping of ours is unanswered */
    /* sending */
    uint8_t *send_buffer;
    size_t send_capacity, send_filled;
    bool send_secret; /* headers are in it: wipe when sent */
    bool broken;      /* nothing can be sent any more; reading goes on to the end */
    bool close_sent;
    uint16_t close_code; /* ours or theirs, whichever came first; 0 = none */
    /* what to connect to */
    char url_text[URL_BYTES_MAX + 1];
    struct url url;
    char headers[HEADERS_BYTES_MAX];
    size_t headers_bytes;
    char key[25];
    struct client_end end;
};

/* ---- net.c */

/* NULL when none is free. */
struct large_buffer *net_large_acquire(struct net *net, struct ws_client *owner);
/* Gives `client`'s large buffer back, or on to the first that waits (which then goes on reading
 * from its timer). Nothing happens when it holds none. */
void net_large_release(struct ws_client *client);
void net_large_wait(struct ws_client *client, int64_t now_ns);
void net_large_wait_cancel(struct ws_client *client);

/* ---- ws_client.c */

/* Ends the connect: everything is closed now, on_close follows from the loop. */
void ws_client_end(struct ws_client *client, int code, int ws_code, int status, const char *why);
void ws_client_opened(struct ws_client *client);
/* What the loop should watch for, after any change of state. */
void ws_client_watch(struct ws_client *client);
/* The timer runs at `at_ns` at the latest. */
void ws_client_wake_at(struct ws_client *client, int64_t at_ns);
void ws_client_close_send(struct ws_client *client, uint16_t code);
int ws_client_queue(struct ws_client *client, enum ws_opcode opcode, const void *payload,
                    size_t bytes);
/* Sends what is queued, as far as the socket takes it. */
void ws_client_flush(struct ws_client *client);
/* One step of the TLS handshake with what is in client->input. */
void ws_client_tls_step(struct ws_client *client);

/* ---- ws_receive.c */

/* One socket read and all that follows from it. */
void ws_receive(struct ws_client *client);
/* Goes on with what was kept, after a large buffer was handed over. */
void ws_receive_resume(struct ws_client *client);

#endif
