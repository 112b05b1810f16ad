/* Servers for tests: certificates, listeners, scripts on threads. */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static void must(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "test server: %s failed: %s\n", what, strerror(errno));
        abort();
    }
}

/* ---- certificates */

static void extension_add(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    must(extension != NULL, value);
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
}

struct cert cert_make(const struct cert_spec *spec, const struct cert *issuer)
{
    static long serial;
    struct cert cert = {X509_new(), EVP_EC_gen("P-256")};
    must(cert.x509 != NULL && cert.key != NULL, "certificate");
    const struct cert *by = issuer != NULL ? issuer : &cert;
    X509_set_version(cert.x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert.x509), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(cert.x509), 86400L * spec->from_days);
    X509_gmtime_adj(X509_getm_notAfter(cert.x509), 86400L * spec->to_days);
    X509_NAME *name = X509_get_subject_name(cert.x509);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)spec->name, -1, -1,
                               0);
    X509_set_pubkey(cert.x509, cert.key);
    X509_set_issuer_name(cert.x509, X509_get_subject_name(by->x509));
    if (spec->ca) {
        extension_add(cert.x509, by->x509, NID_basic_constraints, "critical,CA:TRUE");
        extension_add(cert.x509, by->x509, NID_key_usage, "critical,keyCertSign,cRLSign");
    }
    if (spec->alternative != NULL) {
        extension_add(cert.x509, by->x509, NID_subject_alt_name, spec->alternative);
    }
    must(X509_sign(cert.x509, by->key, EVP_sha256()) > 0, "signing");
    return cert;
}

void cert_free(struct cert *cert)
{
    X509_free(cert->x509);
    EVP_PKEY_free(cert->key);
    *cert = (struct cert){NULL, NULL};
}

void cert_file(const struct cert *cert, char path[64])
{
    strcpy(path, "/tmp/md_test_ca_XXXXXX");
    int fd = mkstemp(path);
    must(fd >= 0, "mkstemp");
    FILE *file = fdopen(fd, "w");
    must(file != NULL && PEM_write_X509(file, cert->x509) == 1, "writing a certificate");
    fclose(file);
}

SSL_CTX *cert_context(const struct cert *cert)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    must(context != NULL && SSL_CTX_use_certificate(context, cert->x509) == 1 &&
             SSL_CTX_use_PrivateKey(context, cert->key) == 1,
         "server context");
    return context;
}

static struct test_pki pki;

struct test_pki *test_pki(void)
{
    if (pki.context == NULL) {
        static const struct cert_spec ca = {"market-data test CA", NULL, -1, 10, true};
        static const struct cert_spec server = {
            "localhost", "DNS:localhost,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1", -1, 10, false};
        pki.ca = cert_make(&ca, NULL);
        pki.server = cert_make(&server, &pki.ca);
        cert_file(&pki.ca, pki.ca_file);
        pki.context = cert_context(&pki.server);
    }
    return &pki;
}

void test_pki_free(void)
{
    if (pki.context != NULL) {
        unlink(pki.ca_file);
        SSL_CTX_free(pki.context);
        cert_free(&pki.server);
        cert_free(&pki.ca);
        pki.context = NULL;
    }
}

/* ---- threads */

static void timeouts_set(int fd)
{
    struct timeval limit = {10, 0};
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void *peer_main(void *context)
{
    struct test_peer *peer = context;
    struct test_server *server = peer->server;
    bool good = true;
    sigset_t pipe;
    sigemptyset(&pipe); /* for OpenSSL's write(); the client under test must do without */
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, NULL);
    if (server->tls != NULL) {
        peer->ssl = SSL_new(server->tls);
        must(peer->ssl != NULL && SSL_set_fd(peer->ssl, peer->fd) == 1, "SSL_new");
        good = SSL_accept(peer->ssl) == 1;
        atomic_fetch_add(&server->tls_failed, !good);
    }
    if (good) {
        server->script(peer, server->context);
    }
    if (peer->fd >= 0) {
        shutdown(peer->fd, SHUT_RDWR); /* the number is closed by server_stop() */
    }
    SSL_free(peer->ssl);
    peer->ssl = NULL;
    ERR_clear_error();
    return NULL;
}

static void *server_main(void *context)
{
    struct test_server *server = context;
    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || atomic_load(&server->stopping)) {
            if (fd >= 0) {
                close(fd);
            }
            return NULL;
        }
        int index = atomic_load(&server->connections);
        must(index < TEST_PEERS_MAX, "more connections");
        timeouts_set(fd);
        struct test_peer *peer = calloc(1, sizeof *peer);
        must(peer != NULL, "memory");
        *peer = (struct test_peer){.server = server, .index = index, .fd = fd};
        pthread_mutex_init(&peer->lock, NULL);
        server->peers[index] = peer;
        must(pthread_create(&peer->thread, NULL, peer_main, peer) == 0, "thread");
        atomic_fetch_add(&server->connections, 1);
    }
}

bool server_start_at(struct test_server *server, const char *address, uint16_t port, SSL_CTX *tls,
                     void (*script)(struct test_peer *peer, void *context), void *context)
{
    memset(server, 0, sizeof *server);
    bool six = strchr(address, ':') != NULL;
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    inet_pton(AF_INET, address, &in4.sin_addr);
    inet_pton(AF_INET6, address, &in6.sin6_addr);
    struct sockaddr *bound = six ? (struct sockaddr *)&in6 : (struct sockaddr *)&in4;
    socklen_t bytes = six ? sizeof in6 : sizeof in4;
    int one = 1;
    server->listener = socket(bound->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(server->listener >= 0, "socket");
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(server->listener, bound, bytes) != 0 || listen(server->listener, 64) != 0 ||
        getsockname(server->listener, bound, &bytes) != 0) {
        close(server->listener);
        return false;
    }
    server->port = ntohs(six ? in6.sin6_port : in4.sin_port);
    server->tls = tls;
    server->script = script;
    server->context = context;
    must(pthread_create(&server->thread, NULL, server_main, server) == 0, "thread");
    return true;
}

void server_start(struct test_server *server, SSL_CTX *tls,
                  void (*script)(struct test_peer *peer, void *context), void *context)
{
    must(server_start_at(server, "127.0.0.1", 0, tls, script, context), "bind");
}

void server_stop(struct test_server *server)
{
    atomic_store(&server->stopping, true);
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    for (int i = 0; i < atomic_load(&server->connections); i++) {
        struct test_peer *peer = server->peers[i];
        pthread_mutex_lock(&peer->lock); /* its script may be closing it */
        if (peer->fd >= 0) {
            shutdown(peer->fd, SHUT_RDWR);
        }
        pthread_mutex_unlock(&peer->lock);
        pthread_join(peer->thread, NULL);
        if (peer->fd >= 0) {
            close(peer->fd);
        }
        pthread_mutex_destroy(&peer->lock);
        free(peer);
    }
}

/* ---- what scripts call */

bool peer_send(struct test_peer *peer, const void *data, size_t bytes)
{
    const char *at = data;
    while (bytes > 0) {
        long n = peer->ssl != NULL ? SSL_write(peer->ssl, at, (int)bytes)
                                   : send(peer->fd, at, bytes, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

bool peer_dribble(struct test_peer *peer, const void *data, size_t bytes)
{
    const char *at = data;
    for (size_t i = 0; i < bytes; i++) {
        if (!peer_send(peer, at + i, 1)) {
            return false;
        }
        if (i % 16 == 0) {
            usleep(200); /* so that the reader sees pieces */
        }
    }
    return true;
}

bool peer_text(struct test_peer *peer, const char *text)
{
    return peer_send(peer, text, strlen(text));
}

long peer_recv(struct test_peer *peer, void *data, size_t bytes)
{
    if (peer->ssl == NULL) {
        return recv(peer->fd, data, bytes, 0);
    }
    int n = SSL_read(peer->ssl, data, (int)bytes);
    return n > 0 ? n : SSL_get_error(peer->ssl, n) == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

bool peer_recv_all(struct test_peer *peer, void *data, size_t bytes)
{
    char *at = data;
    while (bytes > 0) {
        long n = peer_recv(peer, at, bytes);
        if (n <= 0) {
            return false;
        }
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

bool peer_head(struct test_peer *peer)
{
    size_t n = 0;
    while (n + 1 < sizeof peer->head) {
        if (peer_recv(peer, peer->head + n, 1) != 1) {
            return false;
        }
        n++;
        peer->head[n] = 0;
        if (n >= 4 && memcmp(peer->head + n - 4, "\r\n\r\n", 4) == 0) {
            return true;
        }
    }
    return false;
}

size_t peer_ws_answer(const struct test_peer *peer, char *out, size_t capacity)
{
    char joined[100] = "", accept[32];
    unsigned char digest[20];
    const char *key = strcasestr(peer->head, "Sec-WebSocket-Key: ");
    if (key != NULL) {
        snprintf(joined, sizeof joined, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
    }
    SHA1((const unsigned char *)joined, strlen(joined), digest);
    EVP_EncodeBlock((unsigned char *)accept, digest, 20);
    return (size_t)snprintf(out, capacity,
                            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                            "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                            accept);
}

bool peer_ws_accept(struct test_peer *peer)
{
    char answer[256];
    return peer_head(peer) && peer_send(peer, answer, peer_ws_answer(peer, answer, sizeof answer));
}

size_t frame_make(uint8_t *out, unsigned first_byte, const void *payload, size_t bytes)
{
    size_t n = 0;
    out[n++] = (uint8_t)first_byte;
    if (bytes < 126) {
        out[n++] = (uint8_t)bytes;
    } else if (bytes < 65536) {
        out[n++] = 126;
        out[n++] = (uint8_t)(bytes >> 8);
        out[n++] = (uint8_t)bytes;
    } else {
        out[n++] = 127;
        for (int shift = 56; shift >= 0; shift -= 8) {
            out[n++] = (uint8_t)((uint64_t)bytes >> shift);
        }
    }
    if (bytes > 0) {
        memcpy(out + n, payload, bytes);
    }
    return n + bytes;
}

bool peer_frame(struct test_peer *peer, unsigned first_byte, const void *payload, size_t bytes)
{
    uint8_t *frame = malloc(bytes + 14);
    must(frame != NULL, "memory");
    bool good = peer_send(peer, frame, frame_make(frame, first_byte, payload, bytes));
    free(frame);
    return good;
}

int peer_frame_read(struct test_peer *peer, char *payload, size_t capacity, size_t *bytes)
{
    uint8_t head[2], longer[8], mask[4];
    if (!peer_recv_all(peer, head, 2) || (head[1] & 0x80) == 0 || (head[0] & 0xf0) != 0x80) {
        return -1;
    }
    size_t length = head[1] & 0x7f;
    size_t more = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (more > 0) {
        if (!peer_recv_all(peer, longer, more)) {
            return -1;
        }
        length = 0;
        for (size_t i = 0; i < more; i++) {
            length = length << 8 | longer[i];
        }
    }
    if (length >= capacity || !peer_recv_all(peer, mask, 4) ||
        !peer_recv_all(peer, payload, length)) {
        return -1;
    }
    for (size_t i = 0; i < length; i++) {
        payload[i] = (char)(payload[i] ^ mask[i & 3]);
    }
    payload[length] = 0;
    if (bytes != NULL) {
        *bytes = length;
    }
    return head[0] & 0x0f;
}

int peer_close_code(struct test_peer *peer)
{
    char payload[8192];
    size_t bytes = 0;
    for (;;) {
        int opcode = peer_frame_read(peer, payload, sizeof payload, &bytes);
        if (opcode < 0) {
            return -1;
        }
        if (opcode == 8) {
            return bytes < 2 ? 1005 : (uint8_t)payload[0] << 8 | (uint8_t)payload[1];
        }
    }
}

void peer_drain(struct test_peer *peer)
{
    char ignored[4096];
    while (peer_recv(peer, ignored, sizeof ignored) > 0) {
    }
}

void peer_fin(struct test_peer *peer)
{
    shutdown(peer->fd, SHUT_WR);
    char ignored[4096];
    while (recv(peer->fd, ignored, sizeof ignored, 0) > 0) {
    }
}

void peer_reset(struct test_peer *peer)
{
    struct linger now = {1, 0};
    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    pthread_mutex_lock(&peer->lock);
    close(peer->fd);
    peer->fd = -1;
    pthread_mutex_unlock(&peer->lock);
}
