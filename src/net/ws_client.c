/* One WebSocket client over dial and tls: a small state machine on the loop's thread.
 *
 * Invariants: on_close is told exactly once per ws_client_connect() that returned 0; after it the
 * client is idle and may connect again. A ping is answered as soon as its frame is parsed, into the
 * send buffer that is flushed at the end of the same read.
 * Memory: per client a receive buffer of SMALL_BYTES and a send buffer; a message that does not fit
 * borrows one of LARGE_COUNT large buffers shared by all; when none is free the connection is
 * closed (MD_EFULL, 1009) and its owner connects again. */
#include "net/ws_client.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "net/dial.h"
#include "net/tls.h"

#define SMALL_BYTES (20 << 10) /* a TLS record of 16 KiB and what was left before it */
#define LARGE_COUNT 4
#define CLOSE_TIMEOUT_MS 2000
#define URL_BYTES_MAX 4096
#define HEADERS_BYTES_MAX 1024

enum client_state {
    CLIENT_IDLE,
    CLIENT_DIALING,
    CLIENT_TLS,
    CLIENT_HANDSHAKE,
    CLIENT_OPEN,
    CLIENT_CLOSING
};

struct large_buffer {
    uint8_t *data;
    const struct ws_client *owner; /* NULL = free */
};

struct net {
    struct loop *loop;
    struct net_config config;
    struct dial_proxy proxy;
    struct dns *dns;
    SSL_CTX *tls;
    uint8_t *read_buffer; /* one socket read, shared */
    struct large_buffer large[LARGE_COUNT];
    uint32_t clients;
};

struct ws_client {
    struct net *net;
    struct ws_client_handlers handlers;
    enum client_state state;
    struct dial dial;
    struct loop_source source;
    struct loop_timer timer; /* connect and close deadlines, silence, pings */
    int64_t deadline_ns;     /* of the present state; 0 = none */
    SSL *ssl;
    struct tls_input input;
    struct ws_parser parser;
    struct ws_client_stats stats;
    char url_text[URL_BYTES_MAX + 1];
    struct url url;
    char headers[HEADERS_BYTES_MAX];
    size_t headers_bytes;
    char key[25];
    uint8_t *small;
    uint8_t *buffer; /* small, or a large one */
    size_t capacity, offset, filled;
    uint8_t *send_buffer;
    size_t send_capacity, send_filled;
    bool paused;
    bool close_sent;
    uint16_t close_code;             /* sent or received */
    int64_t last_byte_ns, pinged_ns; /* 0 = no ping outstanding */
    uint32_t connects;               /* tells a callback's caller that this connect is over */
    uint64_t random;
};

static void finish(struct ws_client *client, int code, int ws_code, int status, const char *why);

/* ---- shared part */

size_t net_memory_bytes(const struct net_config *config)
{
    size_t large = config->message_bytes_max + 14;
    size_t each = sizeof(struct ws_client) + SMALL_BYTES + config->send_bytes_max * 2;
    return sizeof(struct net) + config->read_bytes + LARGE_COUNT * large +
           config->connections_max * each + dns_memory_bytes(config->connections_max + 1) +
           8192 * sizeof(void *) + ((size_t)config->connections_max * 8 + 64) * sizeof(void *) +
           (64 << 10); /* loop and REST tables */
}

struct net *net_create(struct loop *loop, const struct net_config *config, struct err *err)
{
    struct net *net = alloc_take(ALLOC_CONNECTIONS, sizeof *net);
    if (net == NULL) {
        err_set(err, MD_ENOMEM, "no memory for connections");
        return NULL;
    }
    net->loop = loop;
    net->config = *config;
    net->read_buffer = alloc_take(ALLOC_CONNECTIONS, config->read_bytes);
    bool good = net->read_buffer != NULL;
    for (int i = 0; i < LARGE_COUNT; i++) {
        net->large[i].data = alloc_take(ALLOC_CONNECTIONS, config->message_bytes_max + 14);
        good = good && net->large[i].data != NULL;
    }
    if (!good) {
        err_set(err, MD_ENOMEM, "no memory for connections");
    }
    good = good && dial_proxy_parse(config->proxy, &net->proxy, err) == 0;
    net->tls = good ? tls_context_create(config->ca_file, err) : NULL;
    net->dns = net->tls != NULL ? dns_create(loop, config->connections_max + 1, err) : NULL;
    if (net->dns == NULL) {
        net_destroy(net);
        return NULL;
    }
    return net;
}

void net_destroy(struct net *net)
{
    if (net == NULL) {
        return;
    }
    ASSERT(net->clients == 0);
    dns_destroy(net->dns);
    SSL_CTX_free(net->tls);
    for (int i = 0; i < LARGE_COUNT; i++) {
        alloc_give(net->large[i].data);
    }
    alloc_give(net->read_buffer);
    alloc_give(net);
}

static struct large_buffer *large_of(struct net *net, const struct ws_client *owner)
{
    for (int i = 0; i < LARGE_COUNT; i++) {
        if (net->large[i].owner == owner) {
            return &net->large[i];
        }
    }
    return NULL;
}

/* ---- receive buffer */

static void buffer_release(struct ws_client *client)
{
    struct large_buffer *large =
        client->buffer != client->small ? large_of(client->net, client) : NULL;
    if (large != NULL) {
        large->owner = NULL;
    }
    client->buffer = client->small;
    client->capacity = SMALL_BYTES;
}

/* What is left moves to the front; back to the small buffer when it fits there. */
static void buffer_compact(struct ws_client *client)
{
    size_t left = client->filled - client->offset;
    if (client->buffer != client->small && left <= SMALL_BYTES / 4) {
        memcpy(client->small, client->buffer + client->offset, left);
        buffer_release(client);
    } else if (client->offset > 0) {
        memmove(client->buffer, client->buffer + client->offset, left);
    }
    client->offset = 0;
    client->filled = left;
}

/* Makes room for more of a message that fills the buffer. False: no large buffer is free now. */
static bool buffer_grow(struct ws_client *client)
{
    if (client->buffer != client->small) {
        return true; /* it holds the largest message there may be */
    }
    struct large_buffer *large = large_of(client->net, NULL);
    if (large == NULL) {
        return false;
    }
    large->owner = client;
    memcpy(large->data, client->buffer, client->filled);
    client->buffer = large->data;
    client->capacity = client->net->config.message_bytes_max + 14;
    return true;
}

/* ---- sending */

static void watch(struct ws_client *client)
{
    unsigned events = client->send_filled > 0 || client->state == CLIENT_TLS ? LOOP_WRITE : 0u;
    if (!client->paused || client->state != CLIENT_OPEN) {
        events |= LOOP_READ;
    }
    if (client->source.fd >= 0) {
        int code = loop_modify(client->net->loop, &client->source, events);
        ASSERT(code == 0);
    }
}

/* 0, or a negative code: the connection is broken. */
static int flush(struct ws_client *client)
{
    size_t sent = 0;
    while (sent < client->send_filled) {
        size_t left = client->send_filled - sent;
        ssize_t n = 0;
        if (client->ssl != NULL) {
            ERR_clear_error();
            n = SSL_write(client->ssl, client->send_buffer + sent, (int)left);
            if (n <= 0) {
                int why = SSL_get_error(client->ssl, (int)n);
                if (why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ) {
                    break;
                }
                return MD_ECLOSED;
            }
        } else {
            n = send(client->source.fd, client->send_buffer + sent, left, MSG_NOSIGNAL);
            if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
                break;
            }
            if (n <= 0) {
                return MD_ECLOSED;
            }
        }
        sent += (size_t)n;
    }
    memmove(client->send_buffer, client->send_buffer + sent, client->send_filled - sent);
    client->send_filled -= sent;
    client->stats.bytes_sent += sent;
    watch(client);
    return 0;
}

static int queue_frame(struct ws_client *client, enum ws_opcode opcode, const void *payload,
                       size_t bytes)
{
    uint8_t mask[4];
    client->random = client->random * 6364136223846793005ULL + 1442695040888963407ULL;
    store_u32(mask, (uint32_t)(client->random >> 32));
    size_t n = ws_frame_write_client(client->send_buffer + client->send_filled,
                                     client->send_capacity - client->send_filled, opcode, payload,
                                     bytes, mask);
    client->send_filled += n;
    return n > 0 ? 0 : MD_EFULL;
}

static void send_close(struct ws_client *client, uint16_t code)
{
    uint8_t body[2] = {(uint8_t)(code >> 8), (uint8_t)code};
    if (!client->close_sent) {
        client->close_sent = true;
        client->close_code = client->close_code != 0 ? client->close_code : code;
        (void)queue_frame(client, WS_CLOSE, body, code != 1005 ? 2 : 0); /* full: it ends unsaid */
    }
}

/* ---- end */

static void teardown(struct ws_client *client)
{
    loop_timer_cancel(client->net->loop, &client->timer);
    dial_cancel(&client->dial);
    if (client->source.fd >= 0) {
        loop_remove(client->net->loop, &client->source);
        close(client->source.fd);
        client->source.fd = -1;
    }
    SSL_free(client->ssl);
    client->ssl = NULL;
    buffer_release(client);
    OPENSSL_cleanse(client->headers, sizeof client->headers);
    client->headers_bytes = 0;
    client->state = CLIENT_IDLE;
}

static void finish(struct ws_client *client, int code, int ws_code, int status, const char *why)
{
    char words[512];
    struct buf text = buf_over(words, sizeof words - 1);
    buf_printf(&text, "%.500s", why);
    words[text.bytes] = 0;
    client->connects++;
    teardown(client);
    client->handlers.on_close(client->handlers.context, code, ws_code, status, words);
}

/* ---- receiving */

static void take_close(struct ws_client *client, const struct ws_message *message)
{
    client->close_code = message->close_code;
    send_close(client, message->close_code);
    (void)flush(client); /* best effort: it is over either way */
    char words[160];
    if (message->bytes > 2) {
        str_printable(words, sizeof words, message->data + 2, message->bytes - 2);
    } else {
        memcpy(words, "closed by the venue", 20);
    }
    finish(client, client->state == CLIENT_CLOSING ? 0 : MD_ECLOSED, message->close_code, 0, words);
}

/* Hands out every whole message of the buffer. False: the connect is over. */
static bool take_messages(struct ws_client *client, int64_t recv_unix_ns)
{
    uint32_t connect = client->connects;
    struct ws_message message;
    for (;;) {
        int result =
            ws_parse(&client->parser, client->buffer, client->filled, &client->offset, &message);
        if (result == WS_PARSE_MORE) {
            return true;
        }
        if (result < 0) {
            const char *why = client->parser.why;
            uint16_t close_code = client->parser.close_code;
            send_close(client, close_code);
            (void)flush(client);
            finish(client, result, close_code, 0, why);
            return false;
        }
        switch (message.opcode) {
        case WS_TEXT:
        case WS_BINARY:
            client->stats.messages++;
            client->stats.last_data_mono_ns = loop_now_mono_ns(client->net->loop);
            client->handlers.on_message(client->handlers.context, message.opcode, message.data,
                                        message.bytes, recv_unix_ns);
            break;
        case WS_PING:
            client->stats.pings_received++;
            (void)queue_frame(client, WS_PONG, message.data,
                              message.bytes); /* full: flood of pings */
            break;
        case WS_PONG:
            client->pinged_ns = 0;
            break;
        case WS_CLOSE:
            take_close(client, &message);
            return false;
        case WS_CONTINUATION:
            break;
        }
        if (client->connects != connect) {
            return false;
        }
    }
}

static void become_open(struct ws_client *client)
{
    client->state = CLIENT_OPEN;
    client->deadline_ns = 0;
    client->last_byte_ns = loop_now_mono_ns(client->net->loop);
    ws_parser_init(&client->parser, client->net->config.message_bytes_max);
    loop_timer_set(client->net->loop, &client->timer, client->last_byte_ns + NS_PER_S);
    client->handlers.on_open(client->handlers.context, client->dial.peer);
}

static bool take_handshake(struct ws_client *client)
{
    int status = 0;
    const char *why = "";
    int64_t head =
        ws_handshake_response(client->buffer, client->filled, client->key, &status, &why);
    if (head == 0) {
        return true;
    }
    if (head < 0) {
        char words[300];
        char shown[121];
        struct buf text = buf_over(words, sizeof words - 1);
        const uint8_t *body = memmem(client->buffer, client->filled, "\r\n\r\n", 4);
        size_t body_bytes = body != NULL ? client->filled - (size_t)(body + 4 - client->buffer) : 0;
        str_printable(shown, sizeof shown, body != NULL ? body + 4 : NULL,
                      body_bytes < 120 ? body_bytes : 120);
        buf_printf(&text, "%s%s%s", why, shown[0] != 0 ? ": " : "", shown);
        words[text.bytes] = 0;
        finish(client, (int)head, 1006, status, words);
        return false;
    }
    client->offset = (size_t)head;
    become_open(client);
    return true;
}

/* Everything that is whole in the buffer. False: the connect is over. */
static bool digest(struct ws_client *client, int64_t recv_unix_ns)
{
    uint32_t connect = client->connects;
    if (client->state == CLIENT_HANDSHAKE &&
        (!take_handshake(client) || client->connects != connect)) {
        return false;
    }
    if ((client->state == CLIENT_OPEN || client->state == CLIENT_CLOSING) &&
        !take_messages(client, recv_unix_ns)) {
        return false;
    }
    buffer_compact(client);
    return true;
}

/* Decrypts (or copies) what the shared buffer holds into the client's. False: over. */
static bool pump(struct ws_client *client, int64_t recv_unix_ns)
{
    for (;;) {
        if (client->filled == client->capacity && !buffer_grow(client)) {
            /* what the shared buffer still holds cannot be kept: better a clean new start */
            finish(client, MD_EFULL, 1009, 0, "too many large messages at once");
            return false;
        }
        size_t room = client->capacity - client->filled;
        if (room == 0) {
            finish(client, MD_ETOOBIG, 1009, 0, "response or message larger than allowed");
            return false;
        }
        int n = 0;
        if (client->ssl != NULL) {
            ERR_clear_error();
            n = SSL_read(client->ssl, client->buffer + client->filled, (int)room);
        } else {
            size_t take = client->input.bytes < room ? client->input.bytes : room;
            memcpy(client->buffer + client->filled, client->input.data, take);
            client->input.data += take;
            client->input.bytes -= take;
            n = (int)take;
        }
        if (n <= 0) {
            break;
        }
        client->filled += (size_t)n;
        if (!digest(client, recv_unix_ns)) {
            return false;
        }
        if (client->ssl == NULL && client->input.bytes == 0) {
            return true;
        }
    }
    if (client->ssl == NULL) {
        return true;
    }
    int why = SSL_get_error(client->ssl, 0);
    if (SSL_get_shutdown(client->ssl) & SSL_RECEIVED_SHUTDOWN) {
        finish(client, MD_ECLOSED, 1006, 0, "TLS closed without a close frame");
        return false;
    }
    if (why == SSL_ERROR_SSL) {
        struct err err;
        int code = tls_failure(client->ssl, client->url.host, &err);
        finish(client, code, 1006, 0, err.text);
        return false;
    }
    return true;
}

/* ---- TLS and handshake */

static void begin_handshake(struct ws_client *client)
{
    uint8_t random[24];
    if (RAND_bytes(random, sizeof random) != 1) {
        finish(client, MD_ETLS, 1006, 0, "no random numbers");
        return;
    }
    client->random = load_u64(random + 16);
    ws_handshake_key(client->key, random);
    char host[300];
    struct buf host_port = buf_over(host, sizeof host);
    bool six = memchr(client->url.host.data, ':', client->url.host.bytes) != NULL;
    buf_put_str(&host_port, six ? STR("[") : STR(""));
    buf_put_str(&host_port, client->url.host);
    buf_put_str(&host_port, six ? STR("]") : STR(""));
    if (client->url.port != (client->url.tls ? 443 : 80)) {
        buf_printf(&host_port, ":%u", client->url.port);
    }
    struct buf request = buf_over((char *)client->send_buffer, client->send_capacity);
    ws_handshake_request(&request, buf_view(&host_port), client->url.target, client->key,
                         str_make(client->headers, client->headers_bytes));
    if (request.overflow) {
        finish(client, MD_ETOOBIG, 1006, 0, "URL or headers too long");
        return;
    }
    client->send_filled = request.bytes;
    client->state = CLIENT_HANDSHAKE;
    int code = flush(client);
    if (code != 0) {
        finish(client, code, 1006, 0, "connection lost while the request was sent");
    } else if (client->send_filled == 0) {
        OPENSSL_cleanse(client->send_buffer, client->send_capacity);
        OPENSSL_cleanse(client->headers, sizeof client->headers);
    }
}

/* False: over. */
static bool tls_step(struct ws_client *client)
{
    ERR_clear_error();
    int result = SSL_do_handshake(client->ssl);
    if (result == 1) {
        begin_handshake(client);
        return client->state == CLIENT_HANDSHAKE;
    }
    int why = SSL_get_error(client->ssl, result);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        unsigned events = LOOP_READ | (why == SSL_ERROR_WANT_WRITE ? LOOP_WRITE : 0u);
        loop_modify(client->net->loop, &client->source, events);
        return true;
    }
    struct err err;
    int code = tls_failure(client->ssl, client->url.host, &err);
    finish(client, code, 1006, 0, err.text);
    return false;
}

/* One socket read, shared by all connections; the clock is read right behind it. */
static void read_socket(struct ws_client *client)
{
    struct net *net = client->net;
    uint32_t connect = client->connects;
    ssize_t n = recv(client->source.fd, net->read_buffer, net->config.read_bytes, 0);
    int error = errno;
    int64_t recv_unix_ns = clock_unix_ns(loop_clock(net->loop));
    if (n < 0 && (error == EAGAIN || error == EINTR)) {
        return;
    }
    if (n <= 0) {
        bool closing = client->state == CLIENT_CLOSING;
        finish(client, closing ? 0 : MD_ECLOSED,
               client->close_code != 0 ? client->close_code : 1006, 0,
               n == 0 ? "connection closed without a close frame" : strerror(error));
        return;
    }
    client->stats.reads++;
    client->stats.bytes_received += (uint64_t)n;
    client->last_byte_ns = loop_now_mono_ns(net->loop);
    client->input.data = net->read_buffer;
    client->input.bytes = (size_t)n;
    if (client->state == CLIENT_TLS && !tls_step(client)) {
        return;
    }
    if (client->connects == connect && client->state >= CLIENT_HANDSHAKE &&
        !pump(client, recv_unix_ns)) {
        return;
    }
    if (client->connects == connect && client->send_filled > 0) {
        int code = flush(client);
        if (code != 0) {
            finish(client, code, 1006, 0, "connection lost while sending");
        }
    }
    client->input.bytes = 0;
}

static void on_ready(void *context, unsigned events)
{
    struct ws_client *client = context;
    uint32_t connect = client->connects;
    if ((events & LOOP_WRITE) != 0) {
        if (client->state == CLIENT_TLS) {
            client->input.bytes = 0;
            if (!tls_step(client)) {
                return;
            }
        } else {
            int code = flush(client);
            if (code != 0) {
                finish(client, code, 1006, 0, "connection lost while sending");
                return;
            }
        }
    }
    bool reading = !client->paused || client->state != CLIENT_OPEN;
    if (client->connects == connect && (events & (LOOP_READ | LOOP_HANGUP)) != 0 &&
        (reading || (events & LOOP_HANGUP) != 0)) {
        read_socket(client);
    }
}

/* ---- connecting */

static void on_dialed(void *context, int fd, int code, const char *why, const char *peer)
{
    struct ws_client *client = context;
    (void)peer;
    if (fd < 0) {
        finish(client, code, 1006, 0, why);
        return;
    }
    client->source = (struct loop_source){.fd = fd, .on_ready = on_ready, .context = client};
    client->input = (struct tls_input){.fd = fd};
    if (loop_add(client->net->loop, &client->source, LOOP_READ) != 0) {
        close(fd);
        client->source.fd = -1;
        finish(client, MD_EMFILE, 1006, 0, "too many open files");
        return;
    }
    if (!client->url.tls) {
        begin_handshake(client);
        return;
    }
    struct err err;
    client->state = CLIENT_TLS;
    client->ssl = tls_connection_create(client->net->tls, client->url.host, &client->input, &err);
    if (client->ssl == NULL) {
        finish(client, MD_ETLS, 1006, 0, err.text);
        return;
    }
    tls_step(client);
}

static void on_open_timer(struct ws_client *client, int64_t now)
{
    const struct net_config *config = &client->net->config;
    int64_t silent_ms = (now - client->last_byte_ns) / NS_PER_MS;
    if (client->pinged_ns != 0 && now - client->pinged_ns > config->pong_timeout_ms * NS_PER_MS) {
        finish(client, MD_ETIMEOUT, 1006, 0, "no pong in time");
        return;
    }
    if (config->silence_timeout_ms > 0 && silent_ms >= config->silence_timeout_ms) {
        finish(client, MD_ETIMEOUT, 1006, 0, "no byte within net.silence_secs");
        return;
    }
    if (config->ping_interval_ms > 0 && client->pinged_ns == 0 &&
        silent_ms >= config->ping_interval_ms) {
        (void)ws_client_send_ping(client); /* full: asked again at the next tick */
    }
    int64_t step_ms = 1000;
    step_ms = config->silence_timeout_ms > 0 && config->silence_timeout_ms / 4 < step_ms
                  ? config->silence_timeout_ms / 4 + 1
                  : step_ms;
    loop_timer_set(client->net->loop, &client->timer, now + step_ms * NS_PER_MS);
}

static void on_timer(void *context, int64_t now)
{
    struct ws_client *client = context;
    if (client->state == CLIENT_OPEN) {
        on_open_timer(client, now);
    } else if (client->state == CLIENT_CLOSING) {
        finish(client, 0, client->close_code, 0, "closed by us; the venue did not answer");
    } else if (client->state != CLIENT_IDLE) {
        static const char *const at[] = {"", "connecting", "in the TLS handshake",
                                         "in the WebSocket handshake"};
        char words[80];
        struct buf text = buf_over(words, sizeof words - 1);
        buf_printf(&text, "timed out %s", at[client->state]);
        words[text.bytes] = 0;
        finish(client, MD_ETIMEOUT, 1006, 0, words);
    }
}

struct ws_client *ws_client_create(struct net *net, const struct ws_client_handlers *handlers)
{
    if (net->clients == net->config.connections_max) {
        return NULL;
    }
    struct ws_client *client = alloc_take(ALLOC_CONNECTIONS, sizeof *client);
    uint8_t *small = alloc_take(ALLOC_CONNECTIONS, SMALL_BYTES);
    uint8_t *send_buffer = alloc_take(ALLOC_CONNECTIONS, net->config.send_bytes_max * 2);
    if (client == NULL || small == NULL || send_buffer == NULL) {
        alloc_give(client);
        alloc_give(small);
        alloc_give(send_buffer);
        return NULL;
    }
    client->net = net;
    client->handlers = *handlers;
    client->source.fd = -1;
    client->timer.on_timer = on_timer;
    client->timer.context = client;
    client->small = small;
    client->buffer = small;
    client->capacity = SMALL_BYTES;
    client->send_buffer = send_buffer;
    client->send_capacity = net->config.send_bytes_max * 2;
    dial_init(&client->dial, net->loop, net->dns, &net->proxy);
    client->dial.on_done = on_dialed;
    client->dial.context = client;
    net->clients++;
    return client;
}

void ws_client_destroy(struct ws_client *client)
{
    if (client == NULL) {
        return;
    }
    client->connects++;
    teardown(client);
    client->net->clients--;
    alloc_give(client->small);
    alloc_give(client->send_buffer);
    alloc_give(client);
}

int ws_client_connect(struct ws_client *client, const char *url, struct str headers,
                      struct err *err)
{
    ASSERT(client->state == CLIENT_IDLE);
    size_t bytes = strlen(url);
    if (bytes > URL_BYTES_MAX || headers.bytes > HEADERS_BYTES_MAX) {
        return err_set(err, MD_EINVAL, "URL or headers too long");
    }
    memcpy(client->url_text, url, bytes + 1);
    int code = url_parse(client->url_text, &client->url, err);
    if (code != 0) {
        return code;
    }
    if (headers.bytes > 0) {
        memcpy(client->headers, headers.data, headers.bytes);
    }
    client->headers_bytes = headers.bytes;
    client->offset = client->filled = client->send_filled = 0;
    client->close_sent = client->paused = false;
    client->close_code = 0;
    client->pinged_ns = 0;
    client->stats.last_data_mono_ns = 0;
    client->state = CLIENT_DIALING;
    code = dial_start(&client->dial, client->url.host, client->url.port);
    if (code != 0) {
        client->state = CLIENT_IDLE;
        return err_set(err, code, "%s: %s", url, err_text(code));
    }
    int64_t now = clock_mono_ns(loop_clock(client->net->loop));
    loop_timer_set(client->net->loop, &client->timer,
                   now + client->net->config.connect_timeout_ms * NS_PER_MS);
    return 0;
}

static int send_frame(struct ws_client *client, enum ws_opcode opcode, struct str payload)
{
    if (client->state != CLIENT_OPEN) {
        return MD_ECLOSED;
    }
    int code = queue_frame(client, opcode, payload.data, payload.bytes);
    if (code != 0) {
        return code;
    }
    /* a broken connection shows at the next read; the callback must not run inside this call */
    (void)flush(client);
    return 0;
}

int ws_client_send_text(struct ws_client *client, struct str text)
{
    return send_frame(client, WS_TEXT, text);
}

int ws_client_send_ping(struct ws_client *client)
{
    int code = send_frame(client, WS_PING, (struct str){"", 0});
    if (code == 0) {
        client->pinged_ns = loop_now_mono_ns(client->net->loop);
    }
    return code;
}

void ws_client_close(struct ws_client *client, uint16_t code)
{
    if (client->state == CLIENT_IDLE || client->state == CLIENT_CLOSING) {
        return;
    }
    if (client->state == CLIENT_OPEN) {
        send_close(client, code);
        (void)flush(client);
        client->state = CLIENT_CLOSING;
        loop_timer_set(client->net->loop, &client->timer,
                       loop_now_mono_ns(client->net->loop) + CLOSE_TIMEOUT_MS * NS_PER_MS);
        watch(client);
        return;
    }
    finish(client, 0, code, 0, "closed by us before it was open");
}

void ws_client_pause(struct ws_client *client, bool paused)
{
    client->paused = paused;
    if (client->state == CLIENT_OPEN) {
        client->last_byte_ns = loop_now_mono_ns(client->net->loop);
        watch(client);
    }
}

bool ws_client_is_open(const struct ws_client *client)
{
    return client->state == CLIENT_OPEN;
}

struct ws_client_stats ws_client_stats(const struct ws_client *client)
{
    return client->stats;
}
