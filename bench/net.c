/* bench_net [OUT_DIR]: what a message costs from the socket to the owner, on the receiving thread's
 * own CPU clock: 250-byte text messages, one per TLS record, blasted over loopback by a server
 * thread. Side by side in one run: our client; OpenSSL on the socket as usual (two reads a record),
 * and with its read-ahead, both with our parser behind; the frame parser alone, ours and wslay; and
 * the bare decryption of such a record, the floor. Medians of several runs. Prints a table, writes
 * OUT_DIR/net.json (default build/bench). */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <wslay/wslay.h>

#include "../test/unit/net/server.h"
#include "base/alloc.h"
#include "net/ws_client.h"
#include "net/ws_frame.h"

#define RUNS 5
#define MESSAGES 300000
#define MESSAGE_BYTES 250
#define PARSE_ROUNDS 300

static void fail(const char *what)
{
    fprintf(stderr, "bench_net: %s failed\n", what);
    exit(1);
}

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Runs once to warm up, then RUNS times. */
static double median(double (*run)(void))
{
    double results[RUNS];
    (void)run();
    for (int i = 0; i < RUNS; i++) {
        results[i] = run();
    }
    qsort(results, RUNS, sizeof results[0], compare_doubles);
    return results[RUNS / 2];
}

static void message_make(char text[MESSAGE_BYTES])
{
    static const char shape[] =
        "{\"stream\":\"btcusdt@aggTrade\",\"data\":{\"e\":\"aggTrade\",\"E\":1700000000000123,"
        "\"s\":\"BTCUSDT\",\"a\":2900000000,\"p\":\"43210.12000000\",\"q\":\"0.00123000\","
        "\"f\":3300000000,\"l\":3300000001,\"T\":1700000000000100,\"m\":true,\"M\":true}}";
    memset(text, ' ', MESSAGE_BYTES);
    memcpy(text, shape, sizeof shape - 1 < MESSAGE_BYTES ? sizeof shape - 1 : MESSAGE_BYTES);
}

/* ---- the server */

/* Records are gathered into 64 KiB writes, so that the receiver is what limits. */
static void script_blast(struct test_peer *peer, void *context)
{
    char text[MESSAGE_BYTES];
    uint8_t frame[MESSAGE_BYTES + 14];
    (void)context;
    message_make(text);
    size_t bytes = frame_make(frame, 0x81, text, sizeof text);
    if (!peer_ws_accept(peer)) {
        return;
    }
    BIO *buffer = BIO_new(BIO_f_buffer());
    BIO *socket_bio = SSL_get_wbio(peer->ssl);
    BIO_up_ref(socket_bio);
    BIO_set_write_buffer_size(buffer, 65536);
    SSL_set0_wbio(peer->ssl, BIO_push(buffer, socket_bio));
    for (int i = 0; i < MESSAGES; i++) {
        if (SSL_write(peer->ssl, frame, (int)bytes) <= 0) {
            return;
        }
    }
    SSL_write(peer->ssl, "\x88\x02\x03\xe8", 4);
    (void)BIO_flush(SSL_get_wbio(peer->ssl));
    char ignored[64];
    (void)peer_recv(peer, ignored, sizeof ignored);
}

/* ---- our client */

struct receiver {
    uint64_t messages;
    double started_ns, ended_ns;
    int opened, closed;
};

static void on_open(void *context, const char *peer)
{
    struct receiver *receiver = context;
    (void)peer;
    receiver->opened = 1;
    receiver->started_ns = cpu_ns();
}
static void on_message(void *context, enum ws_opcode opcode, const uint8_t *data, size_t bytes,
                       int64_t recv_unix_ns)
{
    struct receiver *receiver = context;
    (void)opcode;
    (void)recv_unix_ns;
    receiver->messages += bytes == MESSAGE_BYTES && data[0] == '{';
}
static void on_close(void *context, int code, int ws_code, int status, const char *why)
{
    struct receiver *receiver = context;
    (void)code;
    (void)ws_code;
    (void)status;
    (void)why;
    receiver->ended_ns = cpu_ns();
    receiver->closed = 1;
}

static uint64_t reads_last;

static double run_client(void)
{
    struct test_server server;
    struct receiver receiver = {0};
    struct ws_client_handlers handlers = {on_open, on_message, on_close, &receiver};
    struct net_config config = {.ca_file = test_pki()->ca_file,
                                .message_bytes_max = 1 << 20,
                                .read_bytes = 64 << 10,
                                .send_bytes_max = 8 << 10,
                                .connections_max = 1,
                                .connect_timeout_ms = 10000};
    char url[64];
    server_start(&server, test_pki()->context, script_blast, NULL);
    struct loop *loop = loop_create(&clock_system, 16, NULL);
    struct net *net = loop != NULL ? net_create(loop, &config, NULL) : NULL;
    struct ws_client *client = net != NULL ? ws_client_create(net, &handlers) : NULL;
    snprintf(url, sizeof url, "wss://127.0.0.1:%u/", server.port);
    if (client == NULL || ws_client_connect(client, url, (struct str){NULL, 0}, NULL) != 0) {
        fail("connecting");
    }
    while (!receiver.closed) {
        loop_turn(loop, 1000);
    }
    reads_last = ws_client_stats(client).reads;
    ws_client_destroy(client);
    net_destroy(net);
    loop_destroy(loop);
    server_stop(&server);
    if (receiver.messages != MESSAGES) {
        fail("receiving every message");
    }
    return (receiver.ended_ns - receiver.started_ns) / MESSAGES;
}

/* ---- OpenSSL as usual, our parser behind */

static SSL *plain_connect(const struct test_server *server, SSL_CTX *context)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SSL *ssl = SSL_new(context);
    if (fd < 0 || ssl == NULL || connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1) {
        fail("plain connect");
    }
    static const char request[] = "GET / HTTP/1.1\r\nSec-WebSocket-Key: 000000000000000000000000"
                                  "\r\n\r\n";
    SSL_write(ssl, request, sizeof request - 1);
    char head[512];
    size_t n = 0;
    while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0) {
        if (n == sizeof head || SSL_read(ssl, head + n, 1) != 1) {
            fail("plain handshake");
        }
        n++;
    }
    return ssl;
}

static double run_plain(bool read_ahead)
{
    static uint8_t buffer[32768];
    struct test_server server;
    struct ws_parser parser;
    struct ws_message message;
    size_t filled = 0;
    uint64_t messages = 0;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_read_ahead(context, read_ahead);
    if (read_ahead) {
        SSL_CTX_set_default_read_buffer_len(context, 65536);
    }
    server_start(&server, test_pki()->context, script_blast, NULL);
    SSL *ssl = plain_connect(&server, context);
    ws_parser_init(&parser, 16384);
    double started = cpu_ns();
    for (bool open = true; open;) {
        int n = SSL_read(ssl, buffer + filled, (int)(sizeof buffer - filled));
        size_t offset = 0;
        if (n <= 0) {
            fail("plain read");
        }
        filled += (size_t)n;
        while (ws_parse(&parser, buffer, filled, &offset, &message) == WS_PARSE_MESSAGE && open) {
            messages += message.bytes == MESSAGE_BYTES && message.data[0] == '{';
            open = message.opcode != WS_CLOSE;
        }
        filled -= offset;
        memmove(buffer, buffer + offset, filled);
    }
    double took = cpu_ns() - started;
    int fd = SSL_get_fd(ssl);
    SSL_free(ssl);
    close(fd);
    SSL_CTX_free(context);
    server_stop(&server);
    if (messages != MESSAGES) {
        fail("receiving every message");
    }
    return took / MESSAGES;
}

static double run_plain_usual(void)
{
    return run_plain(false);
}
static double run_plain_ahead(void)
{
    return run_plain(true);
}

/* ---- the parser alone: 64 KiB of frames at a time */

#define FRAMES 258
static uint8_t frames[FRAMES * (MESSAGE_BYTES + 4)];

static size_t frames_make(void)
{
    char text[MESSAGE_BYTES];
    size_t n = 0;
    message_make(text);
    for (int i = 0; i < FRAMES; i++) {
        n += frame_make(frames + n, 0x81, text, sizeof text);
    }
    return n;
}

static double run_parse(void)
{
    size_t bytes = frames_make();
    uint64_t messages = 0;
    double started = cpu_ns();
    for (int round = 0; round < PARSE_ROUNDS; round++) {
        struct ws_parser parser;
        struct ws_message message;
        size_t offset = 0;
        ws_parser_init(&parser, 1 << 20);
        while (ws_parse(&parser, frames, bytes, &offset, &message) == WS_PARSE_MESSAGE) {
            messages += message.bytes == MESSAGE_BYTES;
        }
    }
    double took = cpu_ns() - started;
    if (messages != (uint64_t)FRAMES * PARSE_ROUNDS) {
        fail("parsing every message");
    }
    return took / (FRAMES * PARSE_ROUNDS);
}

struct feed {
    size_t bytes, at;
    uint64_t messages;
};

static ssize_t wslay_recv(wslay_event_context_ptr context, uint8_t *out, size_t capacity, int flags,
                          void *user)
{
    struct feed *feed = user;
    size_t n = feed->bytes - feed->at < capacity ? feed->bytes - feed->at : capacity;
    (void)flags;
    if (n == 0) {
        wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(out, frames + feed->at, n);
    feed->at += n;
    return (ssize_t)n;
}
static void wslay_message(wslay_event_context_ptr context,
                          const struct wslay_event_on_msg_recv_arg *arg, void *user)
{
    struct feed *feed = user;
    (void)context;
    feed->messages += arg->msg_length == MESSAGE_BYTES;
}

static double run_wslay(void)
{
    struct feed feed = {.bytes = frames_make()};
    static const struct wslay_event_callbacks callbacks = {.recv_callback = wslay_recv,
                                                           .on_msg_recv_callback = wslay_message};
    wslay_event_context_ptr context = NULL;
    if (wslay_event_context_client_init(&context, &callbacks, &feed) != 0) {
        fail("wslay");
    }
    double started = cpu_ns();
    for (int round = 0; round < PARSE_ROUNDS; round++) {
        feed.at = 0;
        if (wslay_event_recv(context) != 0) {
            fail("wslay");
        }
    }
    double took = cpu_ns() - started;
    wslay_event_context_free(context);
    if (feed.messages != (uint64_t)FRAMES * PARSE_ROUNDS) {
        fail("wslay parsing every message");
    }
    return took / (FRAMES * PARSE_ROUNDS);
}

/* ---- the floor: AES-256-GCM over one record, as TLS 1.3 does it */

static double run_decrypt(void)
{
    uint8_t key[32] = {1}, nonce[12] = {2}, head[5] = {23, 3, 3, 1, 15}, tag[16];
    uint8_t sealed[MESSAGE_BYTES + 5], open[MESSAGE_BYTES + 5] = {0};
    int n = 0;
    uint64_t good = 0;
    EVP_CIPHER_CTX *seal = EVP_CIPHER_CTX_new(), *unseal = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex(seal, EVP_aes_256_gcm(), NULL, key, nonce);
    EVP_EncryptUpdate(seal, NULL, &n, head, sizeof head);
    EVP_EncryptUpdate(seal, sealed, &n, open, sizeof open);
    EVP_EncryptFinal_ex(seal, sealed + n, &n);
    EVP_CIPHER_CTX_ctrl(seal, EVP_CTRL_GCM_GET_TAG, 16, tag);
    EVP_DecryptInit_ex(unseal, EVP_aes_256_gcm(), NULL, key, nonce);
    double started = cpu_ns();
    for (int i = 0; i < MESSAGES; i++) {
        EVP_DecryptInit_ex(unseal, NULL, NULL, NULL, nonce);
        EVP_DecryptUpdate(unseal, NULL, &n, head, sizeof head);
        EVP_DecryptUpdate(unseal, open, &n, sealed, sizeof sealed);
        EVP_CIPHER_CTX_ctrl(unseal, EVP_CTRL_GCM_SET_TAG, 16, tag);
        good += EVP_DecryptFinal_ex(unseal, open + n, &n) == 1;
    }
    double took = cpu_ns() - started;
    EVP_CIPHER_CTX_free(seal);
    EVP_CIPHER_CTX_free(unseal);
    if (good != MESSAGES) {
        fail("decrypting");
    }
    return took / MESSAGES;
}

static const struct {
    const char *name, *label;
    double (*run)(void);
} rows[] = {
    {"tls_frame_ns", "TLS + frame, our client", run_client},
    {"tls_frame_read_ahead_ns", "TLS + frame, OpenSSL with read-ahead", run_plain_ahead},
    {"tls_frame_usual_ns", "TLS + frame, OpenSSL as usual", run_plain_usual},
    {"frame_ns", "frame alone, ours", run_parse},
    {"frame_wslay_ns", "frame alone, wslay", run_wslay},
    {"decrypt_ns", "decryption of the record alone", run_decrypt},
};

int main(int argc, char **argv)
{
    const char *out = argc > 1 ? argv[1] : "build/bench";
    char path[1024];
    (void)mkdir("build", 0755); /* either may be there already; fopen tells what is wrong */
    (void)mkdir(out, 0755);
    snprintf(path, sizeof path, "%s/net.json", out);
    FILE *json = fopen(path, "w");
    if (json == NULL) {
        fail(path);
    }
    alloc_hook_libraries();
    signal(SIGPIPE, SIG_IGN);
    printf(
        "net: %d-byte messages, one a TLS record, %d a run, CPU of the receiving thread, medians "
        "of %d\n",
        MESSAGE_BYTES, MESSAGES, RUNS);
    fprintf(json, "{\"bench\": \"net\", \"message_bytes\": %d, \"messages\": %d, \"runs\": %d",
            MESSAGE_BYTES, MESSAGES, RUNS);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double ns = median(rows[i].run);
        printf("%-38s %8.0f ns a message\n", rows[i].label, ns);
        fprintf(json, ", \"%s\": %.1f", rows[i].name, ns);
    }
    printf("(our client: %.0f messages a socket read)\n", MESSAGES / (double)reads_last);
    fprintf(json, ", \"messages_a_read\": %.1f}\n", MESSAGES / (double)reads_last);
    test_pki_free();
    if (fclose(json) != 0) {
        fail(path);
    }
    return 0;
}
