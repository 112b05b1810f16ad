#ifndef TEST_NET_FIXTURE_H
#define TEST_NET_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "net/ws_client.h"
#include "server.h"

/* A client under test, its loop, and what it was told, as one line of text:
 *   open T(hello) B<70000> close */

static _Atomic int64_t clock_ahead_ns; /* tests that would have to wait move the clock instead */
static inline int64_t fixture_mono_ns(void *context)
{
    (void)context;
    return clock_mono_ns(&clock_system) + atomic_load(&clock_ahead_ns);
}
static inline int64_t fixture_unix_ns(void *context)
{
    (void)context;
    return clock_unix_ns(&clock_system);
}
static const struct clock fixture_clock = {fixture_mono_ns, fixture_unix_ns, NULL};

struct fixture;
struct fixture_client {
    struct fixture *fixture;
    struct ws_client *client;
    char text[16384];
    size_t text_bytes;
    uint64_t messages, message_bytes;
    int opens, closes;
    int code, ws_code, status;
    char why[512], peer[96];
    int64_t recv_unix_ns;
    void (*on_message)(struct fixture_client *one);
    void (*on_open)(struct fixture_client *one);
    void (*on_close)(struct fixture_client *one);
};
#define FIXTURE_CLIENTS_MAX 16
struct fixture {
    struct loop *loop;
    struct net_config config;
    struct net *net;
    struct fixture_client clients[FIXTURE_CLIENTS_MAX];
    uint32_t client_count;
};

static inline void fixture_note(struct fixture_client *one, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline void fixture_note(struct fixture_client *one, const char *format, ...)
{
    va_list arguments;
    size_t room = sizeof one->text - one->text_bytes;
    va_start(arguments, format);
    int n = vsnprintf(one->text + one->text_bytes, room, format, arguments);
    va_end(arguments);
    one->text_bytes += n > 0 && (size_t)n < room ? (size_t)n : 0;
}

static inline void fixture_on_open(void *context, const char *peer)
{
    struct fixture_client *one = context;
    one->opens++;
    snprintf(one->peer, sizeof one->peer, "%s", peer);
    fixture_note(one, "open ");
    if (one->on_open != NULL) {
        one->on_open(one);
    }
}

static inline void fixture_on_message(void *context, enum ws_opcode opcode, const uint8_t *data,
                                      size_t bytes, int64_t recv_unix_ns)
{
    struct fixture_client *one = context;
    char kind = opcode == WS_TEXT ? 'T' : opcode == WS_BINARY ? 'B' : '?';
    one->messages++;
    one->message_bytes += bytes;
    one->recv_unix_ns = recv_unix_ns;
    if (bytes <= 40) {
        fixture_note(one, "%c(%.*s) ", kind, (int)bytes, (const char *)data);
    } else {
        fixture_note(one, "%c<%zu> ", kind, bytes);
    }
    if (one->on_message != NULL) {
        one->on_message(one);
    }
}

static inline void fixture_on_close(void *context, int code, int ws_code, int status,
                                    const char *why)
{
    struct fixture_client *one = context;
    one->closes++;
    one->code = code;
    one->ws_code = ws_code;
    one->status = status;
    snprintf(one->why, sizeof one->why, "%s", why);
    fixture_note(one, "close ");
    if (one->on_close != NULL) {
        one->on_close(one);
    }
}

/* Fields of `config` that are 0 get test values. */
static inline void fixture_open(struct fixture *fixture, const struct net_config *config)
{
    struct err err = {""};
    memset(fixture, 0, sizeof *fixture);
    fixture->config = config != NULL ? *config : (struct net_config){0};
    struct net_config *c = &fixture->config;
    c->ca_file = c->ca_file != NULL ? c->ca_file : test_pki()->ca_file;
    c->message_bytes_max = c->message_bytes_max > 0 ? c->message_bytes_max : 1 << 20;
    c->read_bytes = c->read_bytes > 0 ? c->read_bytes : 64 << 10;
    c->send_bytes_max = c->send_bytes_max > 0 ? c->send_bytes_max : 8 << 10;
    c->connections_max = c->connections_max > 0 ? c->connections_max : FIXTURE_CLIENTS_MAX;
    c->connect_timeout_ms = c->connect_timeout_ms > 0 ? c->connect_timeout_ms : 10000;
    fixture->loop = loop_create(&fixture_clock, 256, &err);
    assert_non_null(fixture->loop);
    fixture->net = net_create(fixture->loop, c, &err);
    if (fixture->net == NULL) {
        fail_msg("net_create: %s", err.text);
    }
}

static inline struct fixture_client *fixture_client(struct fixture *fixture)
{
    static const struct ws_client_handlers handlers = {fixture_on_open, fixture_on_message,
                                                       fixture_on_close, NULL};
    assert_true(fixture->client_count < FIXTURE_CLIENTS_MAX);
    struct fixture_client *one = &fixture->clients[fixture->client_count++];
    struct ws_client_handlers mine = handlers;
    mine.context = one;
    one->fixture = fixture;
    one->client = ws_client_create(fixture->net, &mine);
    assert_non_null(one->client);
    return one;
}

static inline void fixture_close(struct fixture *fixture)
{
    for (uint32_t i = 0; i < fixture->client_count; i++) {
        ws_client_destroy(fixture->clients[i].client);
    }
    net_destroy(fixture->net);
    loop_destroy(fixture->loop);
    atomic_store(&clock_ahead_ns, 0);
}

static inline void fixture_connect(struct fixture_client *one, bool tls, const char *host,
                                   uint16_t port)
{
    char url[200];
    struct err err = {""};
    snprintf(url, sizeof url, "%s://%s:%u/stream?x=1", tls ? "wss" : "ws", host, port);
    if (ws_client_connect(one->client, url, (struct str){NULL, 0}, &err) != 0) {
        fail_msg("%s: %s", url, err.text);
    }
}

/* Turns the loop until `*value` is at least `least`, at most `ms`. */
static inline bool fixture_until(struct fixture *fixture, const int *value, int least, int ms)
{
    int64_t limit = clock_mono_ns(&clock_system) + ms * NS_PER_MS;
    while (*value < least && clock_mono_ns(&clock_system) < limit) {
        loop_turn(fixture->loop, 5);
    }
    return *value >= least;
}

static inline void fixture_run_ms(struct fixture *fixture, int ms)
{
    int never = 0;
    (void)fixture_until(fixture, &never, 1, ms);
}

#define WAIT_MS 20000
#define UNTIL_CLOSED(one) assert_true(fixture_until((one)->fixture, &(one)->closes, 1, WAIT_MS))
#define UNTIL_OPEN(one) assert_true(fixture_until((one)->fixture, &(one)->opens, 1, WAIT_MS))

#endif
