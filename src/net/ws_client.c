/* One WebSocket client: dialing, TLS, handshake, open, closing, ended; a small state machine on the
 * loop's thread. Bytes that arrive are ws_receive.c's; the shared buffers are net.c's.
 *
 * Invariants: on_close is told exactly once per ws_client_connect() that returned 0, from the
 * timer, so never inside a call of the owner; before it everything is closed and given back, after
 * it the client is idle and may connect again or be destroyed. One timer is armed from connect to
 * on_close, so a place for it is certain. A sending side that breaks does not end the connect by
 * itself: what the peer sent before is still read, and the reading side tells the end. Memory:
 * sizeof(struct ws_client) and a send buffer, taken at create. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "net/net_internal.h"

static int64_t now_of(const struct ws_client *client)
{
    return loop_now_mono_ns(client->net->loop);
}

/* ---- timer and loop */

void ws_client_wake_at(struct ws_client *client, int64_t at_ns)
{
    if (client->timer.heap_index != 0 && client->timer.deadline_mono_ns <= at_ns) {
        return;
    }
    int code = loop_timer_set(client->net->loop, &client->timer, at_ns);
    ASSERT(code == 0); /* its place in the loop is kept from connect to on_close */
}

static bool wants_read(const struct ws_client *client)
{
    if (client->waiting) {
        return false;
    }
    return !client->paused || client->state != CLIENT_OPEN;
}

/* A source that wants nothing is taken off the loop: the kernel would report hangups for ever. */
void ws_client_watch(struct ws_client *client)
{
    struct loop *loop = client->net->loop;
    if (client->source.fd < 0) {
        return;
    }
    unsigned events = (wants_read(client) ? LOOP_READ : 0u) |
                      (client->send_filled > 0 && !client->broken ? LOOP_WRITE : 0u);
    int code = 0;
    if (events == 0 && client->watched) {
        loop_remove(loop, &client->source);
        client->watched = false;
    } else if (events != 0 && !client->watched) {
        code = loop_add(loop, &client->source, events);
        client->watched = code == 0;
    } else if (events != 0) {
        code = loop_modify(loop, &client->source, events);
    }
    if (code != 0) {
        ws_client_end(client, code, 1006, 0, err_text(code));
    }
}

/* ---- sending */

int ws_client_queue(struct ws_client *client, enum ws_opcode opcode, const void *payload,
                    size_t bytes)
{
    uint8_t mask[4];
    /* control frames may use the reserve, text may not: a pong always finds room */
    size_t reserve = opcode == WS_TEXT || opcode == WS_BINARY ? CONTROL_RESERVE : 0;
    size_t capacity = client->send_capacity - reserve;
    if (client->send_filled >= capacity || RAND_bytes(mask, sizeof mask) != 1) {
        return MD_EFULL;
    }
    size_t n = ws_frame_write_client(client->send_buffer + client->send_filled,
                                     capacity - client->send_filled, opcode, payload, bytes, mask);
    client->send_filled += n;
    return n > 0 ? 0 : MD_EFULL;
}

static void send_broken(struct ws_client *client)
{
    client->broken = true;
    client->send_filled = 0;
    if (client->state == CLIENT_OPEN) {
        /* the reading side tells the end; if it does not soon, the timer does */
        client->deadline_ns = now_of(client) + CLOSE_TIMEOUT_MS * NS_PER_MS;
        ws_client_wake_at(client, client->deadline_ns);
    }
}

/* Bytes sent, 0 when the socket takes no more now, -1 when it is broken. */
static ssize_t send_some(struct ws_client *client, const uint8_t *data, size_t bytes)
{
    if (client->ssl == NULL) {
        ssize_t n = send(client->source.fd, data, bytes, MSG_NOSIGNAL);
        return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? 0 : -1;
    }
    size_t n = 0;
    ERR_clear_error();
    if (SSL_write_ex(client->ssl, data, bytes, &n) == 1) {
        return (ssize_t)n;
    }
    int why = SSL_get_error(client->ssl, 0);
    return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? 0 : -1;
}

void ws_client_flush(struct ws_client *client)
{
    size_t sent = 0;
    while (sent < client->send_filled) {
        ssize_t n = send_some(client, client->send_buffer + sent, client->send_filled - sent);
        if (n < 0) {
            send_broken(client);
            sent = 0;
        }
        if (n <= 0) {
            break;
        }
        sent += (size_t)n;
    }
    client->stats.bytes_sent += sent;
    client->send_filled -= sent;
    if (sent > 0 && client->send_filled > 0) {
        memmove(client->send_buffer, client->send_buffer + sent, client->send_filled);
    }
    if (client->send_filled == 0 && client->send_secret) {
        OPENSSL_cleanse(client->send_buffer, client->send_capacity);
        client->send_secret = false;
    }
    ws_client_watch(client);
}

void ws_client_close_send(struct ws_client *client, uint16_t code)
{
    uint8_t body[2] = {(uint8_t)(code >> 8), (uint8_t)code};
    client->close_code = client->close_code != 0 ? client->close_code : code;
    if (!client->close_sent && !client->broken) {
        client->close_sent = true;
        /* full: the peer reads nothing, and so would not read this */
        (void)ws_client_queue(client, WS_CLOSE, body, code != 1005 ? 2 : 0);
    }
}

/* ---- end */

static void teardown(struct ws_client *client)
{
    dial_cancel(&client->dial);
    net_large_wait_cancel(client);
    net_large_release(client);
    if (client->source.fd >= 0) {
        if (client->watched) {
            loop_remove(client->net->loop, &client->source);
        }
        if (client->ssl != NULL && SSL_is_init_finished(client->ssl) && !client->broken) {
            (void)SSL_shutdown(client->ssl); /* best effort: tells the peer that this is the end */
        }
        close(client->source.fd);
    }
    client->source.fd = -1;
    client->watched = false;
    SSL_free(client->ssl);
    client->ssl = NULL;
    client->kept = 0;
    client->send_filled = 0;
    OPENSSL_cleanse(client->headers, sizeof client->headers);
    client->headers_bytes = 0;
    if (client->send_secret) {
        OPENSSL_cleanse(client->send_buffer, client->send_capacity);
        client->send_secret = false;
    }
    ERR_clear_error();
}

void ws_client_end(struct ws_client *client, int code, int ws_code, int status, const char *why)
{
    if (client->state == CLIENT_IDLE || client->state == CLIENT_ENDED) {
        return;
    }
    struct buf words = buf_over(client->end.why, sizeof client->end.why - 1);
    size_t bytes = strlen(why);
    buf_put(&words, why, bytes < words.capacity ? bytes : words.capacity);
    client->end.why[words.bytes] = 0;
    client->end.code = code;
    client->end.ws_code = ws_code;
    client->end.status = status;
    teardown(client);
    client->state = CLIENT_ENDED;
    ws_client_wake_at(client, now_of(client));
}

static void ended_tell(struct ws_client *client)
{
    struct client_end end = client->end;
    client->state = CLIENT_IDLE;
    client->handlers.on_close(client->handlers.context, end.code, end.ws_code, end.status, end.why);
    /* the client may be gone now */
}

/* ---- connecting */

static void handshake_begin(struct ws_client *client)
{
    uint8_t random[16];
    char host[300];
    struct buf host_port = buf_over(host, sizeof host);
    bool six = memchr(client->url.host.data, ':', client->url.host.bytes) != NULL;
    if (RAND_bytes(random, sizeof random) != 1) {
        ws_client_end(client, MD_ETLS, 1006, 0, "no random numbers from OpenSSL");
        return;
    }
    ws_handshake_key(client->key, random);
    buf_put_str(&host_port, six ? STR("[") : STR(""));
    buf_put_str(&host_port, client->url.host);
    buf_put_str(&host_port, six ? STR("]") : STR(""));
    if (client->url.port != (client->url.tls ? 443 : 80)) {
        buf_printf(&host_port, ":%u", client->url.port);
    }
    struct buf request = buf_over((char *)client->send_buffer, client->send_capacity);
    ws_handshake_request(&request, buf_view(&host_port), client->url.target, client->key,
                         str_make(client->headers, client->headers_bytes));
    ASSERT(!request.overflow); /* REQUEST_BYTES_MAX holds the longest URL and headers */
    client->send_filled = request.bytes;
    client->send_secret = true;
    OPENSSL_cleanse(client->headers, sizeof client->headers);
    client->headers_bytes = 0;
    client->state = CLIENT_HANDSHAKE;
    ws_client_flush(client);
}

void ws_client_tls_step(struct ws_client *client)
{
    ERR_clear_error();
    int result = SSL_do_handshake(client->ssl);
    if (result == 1) {
        handshake_begin(client);
        return;
    }
    int why = SSL_get_error(client->ssl, result);
    if (why == SSL_ERROR_WANT_READ) {
        return;
    }
    if (why == SSL_ERROR_WANT_WRITE && client->input.bytes == 0) {
        /* a flight of some hundred bytes does not fit an empty socket: tried again when it does */
        int code = loop_modify(client->net->loop, &client->source, LOOP_READ | LOOP_WRITE);
        ASSERT(code == 0);
        return;
    }
    struct err err;
    int code = tls_failure(&client->input, client->url.host, &err);
    ws_client_end(client, code, 1006, 0, err.text);
}

static void on_ready(void *context, unsigned events)
{
    struct ws_client *client = context;
    if ((events & LOOP_WRITE) != 0) {
        if (client->state == CLIENT_TLS) {
            client->input.bytes = 0;
            ws_client_watch(client); /* reading only, until the step says otherwise */
            ws_client_tls_step(client);
        } else {
            ws_client_flush(client);
        }
    }
    if ((events & (LOOP_READ | LOOP_HANGUP)) != 0 && client->state != CLIENT_ENDED) {
        if (wants_read(client)) {
            ws_receive(client);
        } else if ((events & LOOP_HANGUP) != 0) {
            send_broken(client); /* seen while reading is paused: the end is read later */
            ws_client_watch(client);
        }
    }
}

static void on_dialed(void *context, int fd, int code, const char *why, const char *peer)
{
    struct ws_client *client = context;
    struct err err;
    (void)peer;
    if (fd < 0) {
        ws_client_end(client, code, 1006, 0, why);
        return;
    }
    client->source = (struct loop_source){.fd = fd, .on_ready = on_ready, .context = client};
    client->input = (struct tls_input){.fd = fd};
    if (client->url.tls) {
        client->state = CLIENT_TLS;
        client->ssl =
            tls_connection_create(client->net->tls, client->url.host, &client->input, &err);
        if (client->ssl == NULL) {
            ws_client_end(client, MD_ETLS, 1006, 0, err.text);
            return;
        }
    }
    ws_client_watch(client);
    if (client->state == CLIENT_TLS) {
        ws_client_tls_step(client);
    } else if (client->state == CLIENT_DIALING) {
        handshake_begin(client);
    }
}

void ws_client_opened(struct ws_client *client)
{
    client->state = CLIENT_OPEN;
    client->deadline_ns = 0;
    client->last_byte_ns = client->last_frame_ns = now_of(client);
    client->pinged_ns = 0;
    ws_parser_init(&client->parser, client->net->config.message_bytes_max);
    ws_client_wake_at(client, now_of(client)); /* it works out its next time itself */
    client->handlers.on_open(client->handlers.context, client->dial.peer);
}

/* ---- deadlines */

static const char *stage(enum client_state state)
{
    switch (state) {
    case CLIENT_DIALING:
        return "no connection within net.connect_timeout_ms (name, address or proxy)";
    case CLIENT_TLS:
        return "no TLS within net.connect_timeout_ms";
    case CLIENT_HANDSHAKE:
        return "no WebSocket answer within net.connect_timeout_ms";
    case CLIENT_CLOSING:
        return "closed by us; the venue did not answer";
    case CLIENT_OPEN:
        return "connection lost while sending";
    case CLIENT_IDLE:
    case CLIENT_ENDED:
        break;
    }
    return "";
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Silence, pings and the wait for a large buffer. Returns when to look again; INT64_MAX never.
 * While we do not read, the peer's silence is ours. */
static int64_t open_check(struct ws_client *client, int64_t now)
{
    const struct net_config *config = &client->net->config;
    int64_t silence_ns = config->silence_timeout_ms * NS_PER_MS;
    int64_t pong_ns = config->pong_timeout_ms * NS_PER_MS;
    int64_t ping_ns = config->ping_interval_ms * NS_PER_MS;
    int64_t next = INT64_MAX;
    if (client->waiting) {
        int64_t limit = client->waiting_since_ns + LARGE_WAIT_MS * NS_PER_MS;
        if (now >= limit) {
            client->stats.large_refused++;
            ws_client_close_send(client, 1009);
            ws_client_flush(client);
            ws_client_end(client, MD_EFULL, 1009, 0,
                          "no buffer for a large message became free in 10 s");
        }
        return limit;
    }
    if (!wants_read(client)) {
        return next;
    }
    if (silence_ns > 0) {
        if (now - client->last_byte_ns >= silence_ns) {
            ws_client_end(client, MD_ETIMEOUT, 1006, 0, "no byte within net.silence_secs");
            return next;
        }
        next = earlier(next, client->last_byte_ns + silence_ns);
    }
    if (client->pinged_ns != 0 && pong_ns > 0) {
        if (now - client->pinged_ns >= pong_ns) {
            ws_client_end(client, MD_ETIMEOUT, 1006, 0, "no pong and no whole message in time");
            return next;
        }
        next = earlier(next, client->pinged_ns + pong_ns);
    }
    if (ping_ns > 0) {
        int64_t due = client->last_frame_ns + ping_ns;
        if (client->pinged_ns == 0 && now >= due) {
            (void)ws_client_send_ping(client); /* full: asked again at the next look */
        }
        next = earlier(next, due > now ? due : now + ping_ns);
    }
    return next;
}

/* Silence counts from here, and an unanswered ping is not held against the peer. */
static void reading_again(struct ws_client *client, int64_t now)
{
    client->last_byte_ns = client->last_frame_ns = now;
    client->pinged_ns = 0;
    if (client->broken && client->state == CLIENT_OPEN) {
        client->deadline_ns = now + CLOSE_TIMEOUT_MS * NS_PER_MS;
    }
}

/* One timer for all deadlines. Traffic does not move it; it looks, and sleeps on. */
static void on_timer(void *context, int64_t now)
{
    struct ws_client *client = context;
    if (client->state == CLIENT_ENDED) {
        ended_tell(client);
        return;
    }
    ws_client_wake_at(client, now + 60 * NS_PER_S); /* first of all: keeps its place in the loop */
    if (client->resume) {
        client->resume = false;
        reading_again(client, now);
        ws_receive_resume(client);
    }
    if (client->state == CLIENT_OPEN) {
        int64_t next = open_check(client, now);
        if (client->state == CLIENT_OPEN && next != INT64_MAX) {
            ws_client_wake_at(client, next);
        }
    }
    bool counts = client->deadline_ns != 0 && (client->state != CLIENT_OPEN || wants_read(client));
    if (client->state == CLIENT_ENDED || !counts) {
        return;
    }
    if (now < client->deadline_ns) {
        ws_client_wake_at(client, client->deadline_ns);
        return;
    }
    bool closing = client->state == CLIENT_CLOSING;
    int code = closing ? 0 : client->state == CLIENT_OPEN ? MD_ECLOSED : MD_ETIMEOUT;
    ws_client_end(client, code, closing ? client->close_code : 1006, 0, stage(client->state));
}

/* ---- what the owner calls */

struct ws_client *ws_client_create(struct net *net, const struct ws_client_handlers *handlers)
{
    if (net->clients == net->config.connections_max) {
        return NULL;
    }
    size_t send = net->config.send_bytes_max > REQUEST_BYTES_MAX ? net->config.send_bytes_max
                                                                 : REQUEST_BYTES_MAX;
    struct ws_client *client = alloc_take(ALLOC_CONNECTIONS, sizeof *client);
    uint8_t *send_buffer = alloc_take(ALLOC_CONNECTIONS, send + CONTROL_RESERVE + 14);
    if (client == NULL || send_buffer == NULL) {
        alloc_give(client);
        alloc_give(send_buffer);
        return NULL;
    }
    client->net = net;
    client->handlers = *handlers;
    client->source.fd = -1;
    client->timer.on_timer = on_timer;
    client->timer.context = client;
    client->send_buffer = send_buffer;
    client->send_capacity = send + CONTROL_RESERVE + 14;
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
    teardown(client);
    loop_timer_cancel(client->net->loop, &client->timer);
    client->net->clients--;
    alloc_give(client->send_buffer);
    alloc_give(client);
}

/* Extra request lines end in \r\n and hold no other control character: nothing can be smuggled. */
static bool headers_good(struct str headers)
{
    for (size_t i = 0; i < headers.bytes; i++) {
        unsigned char c = (unsigned char)headers.data[i];
        bool end = c == '\r' && i + 1 < headers.bytes && headers.data[i + 1] == '\n';
        bool line_good = !end || (i > 0 && headers.data[i - 1] != '\n');
        if (!line_good || ((c < 0x20 && c != '\t') && !end)) {
            return false;
        }
        i += end;
    }
    return headers.bytes == 0 || (headers.bytes >= 2 && headers.data[headers.bytes - 1] == '\n');
}

static void connect_reset(struct ws_client *client)
{
    client->kept = client->send_filled = 0;
    client->close_sent = client->paused = client->broken = false;
    client->waiting = client->resume = client->send_secret = false;
    client->close_code = 0;
    client->pinged_ns = 0;
    client->stats.last_data_mono_ns = 0;
}

int ws_client_connect(struct ws_client *client, const char *url, struct str headers,
                      struct err *err)
{
    struct net *net = client->net;
    ASSERT(client->state == CLIENT_IDLE);
    size_t bytes = strlen(url);
    if (bytes > URL_BYTES_MAX || headers.bytes > HEADERS_BYTES_MAX || !headers_good(headers)) {
        return err_set(err, MD_EINVAL,
                       "URL over 4 KiB, or headers over 1 KiB or not \"Name: value\\r\\n\"");
    }
    memcpy(client->url_text, url, bytes + 1);
    int code = url_parse(client->url_text, &client->url, err);
    if (code != 0) {
        return code;
    }
    connect_reset(client);
    int64_t deadline =
        clock_mono_ns(loop_clock(net->loop)) + net->config.connect_timeout_ms * NS_PER_MS;
    code = loop_timer_set(net->loop, &client->timer, deadline);
    if (code == 0) {
        code = dial_start(&client->dial, client->url.host, client->url.port);
    }
    if (code != 0) {
        loop_timer_cancel(net->loop, &client->timer);
        return err_set(err, code, "%.*s: %s", (int)client->url.host.bytes, client->url.host.data,
                       err_text(code));
    }
    if (headers.bytes > 0) {
        memcpy(client->headers, headers.data, headers.bytes);
    }
    client->headers_bytes = headers.bytes;
    client->deadline_ns = deadline;
    client->state = CLIENT_DIALING;
    return 0;
}

static int send_frame(struct ws_client *client, enum ws_opcode opcode, struct str payload)
{
    if (client->state != CLIENT_OPEN || client->broken) {
        return MD_ECLOSED;
    }
    int code = ws_client_queue(client, opcode, payload.data, payload.bytes);
    if (code == 0) {
        ws_client_flush(client);
    }
    return code;
}

int ws_client_send_text(struct ws_client *client, struct str text)
{
    if (text.bytes > client->net->config.send_bytes_max) {
        return MD_ETOOBIG;
    }
    return send_frame(client, WS_TEXT, text);
}

int ws_client_send_ping(struct ws_client *client)
{
    int code = send_frame(client, WS_PING, (struct str){"", 0});
    if (code == 0 && client->pinged_ns == 0 && client->state == CLIENT_OPEN) {
        int64_t now = now_of(client);
        client->pinged_ns = now;
        if (client->net->config.pong_timeout_ms > 0) {
            ws_client_wake_at(client, now + client->net->config.pong_timeout_ms * NS_PER_MS);
        }
    }
    return code;
}

void ws_client_close(struct ws_client *client, uint16_t code)
{
    switch (client->state) {
    case CLIENT_IDLE:
    case CLIENT_ENDED:
    case CLIENT_CLOSING:
        return;
    case CLIENT_OPEN:
        client->state = CLIENT_CLOSING;
        ws_client_close_send(client, code);
        client->deadline_ns = now_of(client) + CLOSE_TIMEOUT_MS * NS_PER_MS;
        ws_client_wake_at(client, client->deadline_ns);
        ws_client_flush(client);
        return;
    case CLIENT_DIALING:
    case CLIENT_TLS:
    case CLIENT_HANDSHAKE:
        ws_client_end(client, 0, code, 0, "closed by us before it was open");
        return;
    }
}

void ws_client_pause(struct ws_client *client, bool paused)
{
    bool resumed = client->paused && !paused;
    client->paused = paused;
    if (client->state != CLIENT_OPEN) {
        return;
    }
    if (resumed) { /* silence counts from here, and unanswered pings are not held against the peer
                    */
        client->last_byte_ns = client->last_frame_ns = now_of(client);
        client->pinged_ns = 0;
        ws_client_wake_at(client, now_of(client));
    }
    ws_client_watch(client);
}

bool ws_client_is_open(const struct ws_client *client)
{
    return client->state == CLIENT_OPEN;
}

struct ws_client_stats ws_client_stats(const struct ws_client *client)
{
    return client->stats;
}
