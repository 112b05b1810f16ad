#ifndef TEST_NET_SERVER_H
#define TEST_NET_SERVER_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Small servers for tests, on loopback addresses and ports the kernel picks. Each connection is
 * served by a script (a function) on a thread of its own, with blocking calls that give up after
 * 10 s. Scripts run beside cmocka's thread, so they do not assert: they stop, and the test sees
 * it. */

/* ---- certificates, made in this process */
struct cert {
    X509 *x509;
    EVP_PKEY *key;
};
struct cert_spec {
    const char *name;        /* subject */
    const char *alternative; /* e.g. "DNS:localhost,IP:127.0.0.1"; NULL = none */
    int from_days, to_days;  /* relative to now */
    bool ca;
};
struct cert cert_make(const struct cert_spec *spec,
                      const struct cert *issuer); /* NULL: self-signed */
void cert_free(struct cert *cert);
/* Writes `cert` in PEM form into a new temporary file. */
void cert_file(const struct cert *cert, char path[64]);
SSL_CTX *cert_context(const struct cert *cert); /* a server's */

/* A CA, a good certificate of it for localhost, 127.0.0.1 and ::1, and the CA's file; made once. */
struct test_pki {
    struct cert ca, server;
    char ca_file[64];
    SSL_CTX *context;
};
struct test_pki *test_pki(void);
void test_pki_free(void);

/* ---- servers */
struct test_server;
struct test_peer {
    struct test_server *server;
    int index;       /* of the connection, from 0 */
    int fd;          /* -1 when the script closed it */
    SSL *ssl;        /* NULL = plain */
    char head[8192]; /* the last request head read, terminated */
    pthread_t thread;
    pthread_mutex_t lock; /* fd's closing against server_stop() */
};
#define TEST_PEERS_MAX 2048

struct test_server {
    int listener;
    uint16_t port;
    SSL_CTX *tls; /* NULL = plain; borrowed */
    void (*script)(struct test_peer *peer, void *context);
    void *context;
    pthread_t thread;
    atomic_bool stopping;
    atomic_int connections, tls_failed;
    struct test_peer *peers[TEST_PEERS_MAX];
};
/* `address`: "127.0.0.1" or "::1"; port 0 = any. False: it cannot be bound. */
bool server_start_at(struct test_server *server, const char *address, uint16_t port, SSL_CTX *tls,
                     void (*script)(struct test_peer *peer, void *context), void *context);
void server_start(struct test_server *server, SSL_CTX *tls,
                  void (*script)(struct test_peer *peer, void *context), void *context);
/* Ends all scripts that wait, and joins every thread. */
void server_stop(struct test_server *server);

bool peer_send(struct test_peer *peer, const void *data, size_t bytes);
/* One byte a write. */
bool peer_dribble(struct test_peer *peer, const void *data, size_t bytes);
bool peer_text(struct test_peer *peer, const char *text);
/* At most `bytes`; 0 at the end, -1 on failure. */
long peer_recv(struct test_peer *peer, void *data, size_t bytes);
bool peer_recv_all(struct test_peer *peer, void *data, size_t bytes);
/* Reads a request head into peer->head. */
bool peer_head(struct test_peer *peer);
/* Reads the request and answers 101 as RFC 6455 asks. */
bool peer_ws_accept(struct test_peer *peer);
/* The 101 answer to peer->head. */
size_t peer_ws_answer(const struct test_peer *peer, char *out, size_t capacity);
bool peer_frame(struct test_peer *peer, unsigned first_byte, const void *payload, size_t bytes);
/* One masked frame of the client's. Returns its opcode, -1 on failure or a frame that is not
 * masked. `payload` is terminated. */
int peer_frame_read(struct test_peer *peer, char *payload, size_t capacity, size_t *bytes);
/* Reads until the client's close frame; its code, 1005 if it has none, -1 when none came. */
int peer_close_code(struct test_peer *peer);
/* Reads and drops until the client closes. */
void peer_drain(struct test_peer *peer);
void peer_fin(struct test_peer *peer);   /* no close_notify */
void peer_reset(struct test_peer *peer); /* RST */

/* Makes one frame; returns its bytes. */
size_t frame_make(uint8_t *out, unsigned first_byte, const void *payload, size_t bytes);

#endif
