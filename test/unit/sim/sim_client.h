#ifndef MD_TEST_SIM_CLIENT_H
#define MD_TEST_SIM_CLIENT_H

/* A simulator on a clock of the test's own and a small client for it, in one thread: the test turns
 * the simulator, then reads what came. Ports are free ones of the loopback. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/ws_frame.h"
#include "sim/sim.h"

#define TEST_UNIX_NS (1795455000LL * NS_PER_S)

static int64_t test_now_ns;

static int64_t test_mono(void *context)
{
    (void)context;
    return NS_PER_S + test_now_ns;
}

static int64_t test_unix(void *context)
{
    (void)context;
    return TEST_UNIX_NS + test_now_ns;
}

static const struct clock test_clock = {test_mono, test_unix, NULL};

static inline struct sim_config test_config(void)
{
    struct sim_config config = sim_config_default();
    config.plain = true;
    config.clock = &test_clock;
    config.connections_max = 8;
    return config;
}

static inline struct sim *test_sim(const struct sim_config *config)
{
    int code;
    struct err err = {{0}};
    test_now_ns = 0;
    struct sim *sim = sim_create(config, &code, &err);
    if (sim == NULL) {
        print_error("%s\n", err.text);
    }
    assert_non_null(sim);
    return sim;
}

/* Lets `ms` milliseconds pass, one turn each. */
static inline void test_pass(struct sim *sim, int64_t ms)
{
    for (int64_t i = 0; i < ms; i++) {
        test_now_ns += NS_PER_MS;
        sim_turn(sim, 0);
    }
}

static inline long long test_status(struct sim *sim, const char *key)
{
    static char text[16384];
    struct buf out = buf_over(text, sizeof text - 1);
    sim_status(sim, &out);
    text[out.bytes] = 0;
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"%s\":", key);
    char *at = strstr(text, wanted);
    assert_non_null(at);
    return strtoll(at + strlen(wanted), NULL, 10);
}

struct client {
    int fd;
    uint8_t in[1 << 20];
    size_t bytes, at;
    bool ended, reset;
};

static inline struct client *client_open(struct sim *sim)
{
    struct client *client = calloc(1, sizeof *client);
    assert_non_null(client);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(sim_port(sim))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client->fd >= 0);
    assert_int_equal(connect(client->fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
    int one = 1; /* real time stands still here: nothing may wait for a delayed acknowledgement */
    assert_int_equal(setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
    return client;
}

static inline void client_free(struct client *client)
{
    close(client->fd);
    free(client);
}

static inline void client_send(struct client *client, const void *data, size_t bytes)
{
    assert_int_equal(send(client->fd, data, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
}

static inline void client_read(struct client *client)
{
    while (!client->ended && !client->reset && client->bytes < sizeof client->in - 1) {
        ssize_t n =
            recv(client->fd, client->in + client->bytes, sizeof client->in - 1 - client->bytes, 0);
        if (n > 0) {
            client->bytes += (size_t)n;
        } else if (n == 0) {
            client->ended = true;
        } else if (errno == ECONNRESET) {
            client->reset = true;
        } else {
            break;
        }
    }
    client->in[client->bytes] = 0;
}

/* A whole HTTP answer: status, and its body in `in` from `at` on (terminated). */
static inline int client_get(struct sim *sim, struct client *client, const char *target)
{
    char request[1024];
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
    client->bytes = client->at = 0;
    client_send(client, request, (size_t)n);
    for (int i = 0; i < 50; i++) {
        test_pass(sim, 1);
        client_read(client);
        char *end = strstr((char *)client->in, "\r\n\r\n");
        char *length = strstr((char *)client->in, "Content-Length: ");
        char *last = strstr((char *)client->in, "\r\n0\r\n\r\n");
        if (end != NULL && length != NULL &&
            client->bytes >=
                (size_t)(end + 4 - (char *)client->in) + strtoul(length + 16, NULL, 10)) {
            client->at = (size_t)(end + 4 - (char *)client->in);
            break;
        }
        if (end != NULL && last != NULL) {
            client->at = (size_t)(end + 4 - (char *)client->in);
            break;
        }
    }
    assert_true(client->at > 0);
    return atoi((char *)client->in + 9);
}

/* `headers`: more lines of the handshake, each with its CRLF. */
static inline struct client *client_websocket_with(struct sim *sim, const char *target,
                                                   const char *headers)
{
    struct client *client = client_open(sim);
    char request[8192];
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: "
                     "Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                     "dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                     target, headers);
    client_send(client, request, (size_t)n);
    for (int i = 0; i < 20 && client->at == 0; i++) {
        test_pass(sim, 1);
        client_read(client);
        char *end = strstr((char *)client->in, "\r\n\r\n");
        if (end != NULL) {
            client->at = (size_t)(end + 4 - (char *)client->in);
        }
    }
    assert_int_equal(strncmp((char *)client->in, "HTTP/1.1 101 ", 13), 0);
    /* RFC 6455, 1.3: the accept value of that key. */
    assert_non_null(strstr((char *)client->in, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    return client;
}

static inline struct client *client_websocket(struct sim *sim, const char *target)
{
    return client_websocket_with(sim, target, "");
}

static inline void client_frame(struct client *client, enum ws_opcode opcode, const char *text)
{
    static uint8_t frame[70000];
    static const uint8_t mask[4] = {1, 2, 3, 4};
    size_t n = ws_frame_write_client(frame, sizeof frame, opcode, text, strlen(text), mask);
    assert_true(n > 0);
    client_send(client, frame, n);
}

/* The next whole frame: its opcode, its payload terminated in `text`; -1 if there is none yet. */
static inline int client_next(struct client *client, char *text, size_t capacity)
{
    client_read(client);
    size_t left = client->bytes - client->at;
    const uint8_t *p = client->in + client->at;
    if (left < 2) {
        return -1;
    }
    size_t head = 2;
    uint64_t length = p[1] & 0x7f;
    assert_int_equal(p[1] & 0x80, 0); /* a server does not mask */
    if (length >= 126) {
        size_t more = length == 126 ? 2 : 8;
        if (left < 2 + more) {
            return -1;
        }
        length = 0;
        for (size_t i = 0; i < more; i++) {
            length = length << 8 | p[2 + i];
        }
        head += more;
    }
    if (left < head + length) {
        return -1;
    }
    assert_int_equal(p[0] & 0xf0, 0x80); /* whole messages, no extensions */
    assert_true(length < capacity);
    memcpy(text, p + head, length);
    text[length] = 0;
    client->at += head + length;
    if (client->at == client->bytes) {
        client->at = client->bytes = 0;
    }
    return p[0] & 0x0f;
}

/* Waits for a frame of this opcode; other frames are passed over. */
static inline void client_expect(struct sim *sim, struct client *client, int opcode, char *text,
                                 size_t capacity, int64_t ms)
{
    for (int64_t i = 0; i < ms; i++) {
        int got;
        while ((got = client_next(client, text, capacity)) >= 0) {
            if (got == opcode) {
                return;
            }
        }
        test_pass(sim, 1);
    }
    assert_string_equal("the frame came", "the frame did not come");
}

static inline int close_code(const char *text)
{
    return (uint8_t)text[0] << 8 | (uint8_t)text[1];
}

/* Sends a control request and reads frames until a reply that is no market data. */
static inline void client_control(struct sim *sim, struct client *client, const char *request,
                                  char *reply, size_t capacity)
{
    client_frame(client, WS_TEXT, request);
    for (int i = 0; i < 100; i++) {
        client_expect(sim, client, WS_TEXT, reply, capacity, 300);
        if (strncmp(reply, "{\"result\"", 9) == 0 || strncmp(reply, "{\"code\"", 7) == 0) {
            return;
        }
    }
    assert_string_equal("a reply", "no reply");
}

#endif
