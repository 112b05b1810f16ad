/* Bytes in, messages out, for one connection.
 *
 * One recv() into the shared `cipher` buffer; OpenSSL takes it record by record through our BIO and
 * decrypts into a window: the shared `plain` buffer behind what the connection kept, or its large
 * buffer. All whole messages of the window are parsed first, pings are answered and sent, and only
 * then the data messages are handed out: a pong never waits for data work of the same read (up to
 * BATCH_MAX messages at a time). What is left over goes into `keep`, or into a large buffer.
 *
 * The shared buffers hold nothing between two calls. So a read must be taken whole, and it can be:
 * the window has room for all that one read can decrypt to. The exception is a connection that
 * might need a large buffer when none is free: its bytes are only looked at (MSG_PEEK), the window
 * is as large as `keep`, and what OpenSSL has taken is then dropped from the socket (MSG_TRUNC);
 * the rest stays in the kernel while it waits. */
#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "net/net_internal.h"

enum fill_result { FILL_DRAINED, FILL_FULL, FILL_CLOSED, FILL_FAILED };

struct window {
    uint8_t *data;
    size_t capacity, filled;
};

/* ---- filling the window */

static struct window window_open(struct ws_client *client, bool careful)
{
    struct net *net = client->net;
    if (client->large != NULL) {
        return (struct window){client->large->data, net->large_bytes, client->kept};
    }
    if (client->kept > 0) {
        memcpy(net->plain, client->keep, client->kept);
    }
    return (struct window){net->plain, careful ? KEEP_BYTES : net->plain_bytes, client->kept};
}

static enum fill_result fill_plain(struct ws_client *client, struct window *window)
{
    size_t room = window->capacity - window->filled;
    size_t n = client->input.bytes < room ? client->input.bytes : room;
    if (n > 0) {
        memcpy(window->data + window->filled, client->input.data, n);
    }
    window->filled += n;
    client->input.data += n;
    client->input.bytes -= n;
    return client->input.bytes > 0 ? FILL_FULL : FILL_DRAINED;
}

static enum fill_result fill_tls(struct ws_client *client, struct window *window)
{
    while (window->filled < window->capacity) {
        size_t n = 0;
        if (SSL_read_ex(client->ssl, window->data + window->filled,
                        window->capacity - window->filled, &n) != 1) {
            int why = SSL_get_error(client->ssl, 0);
            return why == SSL_ERROR_WANT_READ     ? FILL_DRAINED
                   : why == SSL_ERROR_ZERO_RETURN ? FILL_CLOSED
                                                  : FILL_FAILED;
        }
        window->filled += n;
    }
    return FILL_FULL;
}

/* ---- handing out */

static void message_deliver(struct ws_client *client, const struct ws_message *message)
{
    client->stats.messages++;
    client->handlers.on_message(client->handlers.context, message->opcode, message->data,
                                message->bytes, client->recv_unix_ns);
}

static void pong_queue(struct ws_client *client, const struct ws_message *ping)
{
    client->stats.pings_received++;
    if (ws_client_queue(client, WS_PONG, ping->data, ping->bytes) != 0) {
        client->stats.pongs_skipped++; /* a flood, and the peer does not read our answers */
    }
}

/* The peer's close frame: answered with the same code, and the end. */
static void close_take(struct ws_client *client, const struct ws_message *message)
{
    bool ours = client->state == CLIENT_CLOSING;
    char words[WORDS_BYTES] = "closed by the venue";
    if (message->bytes > 2) {
        str_printable(words, sizeof words, message->data + 2, message->bytes - 2);
    }
    ws_client_close_send(client, message->close_code);
    ws_client_flush(client);
    ws_client_end(client, ours ? 0 : MD_ECLOSED, message->close_code, 0, words);
}

static void refuse(struct ws_client *client, int code)
{
    uint16_t close_code = client->parser.close_code;
    ws_client_close_send(client, close_code);
    ws_client_flush(client);
    ws_client_end(client, code, close_code, 0, client->parser.why);
}

/* Parses a batch, answers its pings, hands out its data. True: there may be more. */
static bool batch(struct ws_client *client, const struct window *window, size_t *offset)
{
    struct ws_message *messages = client->net->batch;
    struct ws_message message = {0};
    size_t count = 0;
    uint64_t pings = client->stats.pings_received;
    int result = WS_PARSE_MESSAGE;
    while (count < BATCH_MAX) {
        result = ws_parse(&client->parser, window->data, window->filled, offset, &message);
        if (result != WS_PARSE_MESSAGE || message.opcode == WS_CLOSE) {
            break;
        }
        client->last_frame_ns = client->last_byte_ns;
        client->pinged_ns = 0; /* any whole frame shows that the peer is alive */
        if (message.opcode == WS_PING) {
            pong_queue(client, &message);
        } else if (message.opcode != WS_PONG) {
            messages[count++] = message;
        }
    }
    if (client->stats.pings_received != pings) {
        ws_client_flush(client);
    }
    if (count > 0) {
        client->stats.last_data_mono_ns = client->last_byte_ns;
    }
    for (size_t i = 0; i < count; i++) {
        message_deliver(client, &messages[i]);
    }
    if (result == WS_PARSE_MESSAGE && message.opcode == WS_CLOSE && count < BATCH_MAX) {
        close_take(client, &message);
    } else if (result < 0) {
        refuse(client, result);
    }
    return count == BATCH_MAX;
}

static void handshake_refuse(struct ws_client *client, const struct window *window, int code,
                             int status, const char *why)
{
    char words[WORDS_BYTES], shown[160];
    struct buf text = buf_over(words, sizeof words - 1);
    const uint8_t *end = memmem(window->data, window->filled, "\r\n\r\n", 4);
    const uint8_t *body = end != NULL ? end + 4 : window->data + window->filled;
    size_t bytes = (size_t)(window->data + window->filled - body);
    str_printable(shown, sizeof shown, body, bytes < 120 ? bytes : 120);
    buf_put_str(&text, str_from(why));
    if (status > 0 && status != 101) {
        buf_printf(&text, " with status %d", status);
    }
    if (shown[0] != 0) {
        buf_printf(&text, ": %s", shown);
    }
    words[text.bytes] = 0;
    ws_client_end(client, code, 1006, status, words);
}

static void handshake_take(struct ws_client *client, const struct window *window, size_t *offset)
{
    int status = 0;
    const char *why = "";
    int64_t head = ws_handshake_response(window->data, window->filled, client->key, &status, &why);
    if (head < 0) {
        handshake_refuse(client, window, (int)head, status, why);
    } else if (head > 0) {
        *offset = (size_t)head;
        ws_client_opened(client);
    }
}

static bool is_reading(const struct ws_client *client)
{
    return client->state == CLIENT_OPEN || client->state == CLIENT_CLOSING;
}

/* Everything that is whole in the window. Returns how many bytes are done with. */
static size_t digest(struct ws_client *client, const struct window *window)
{
    size_t offset = 0;
    if (client->state == CLIENT_HANDSHAKE && window->filled > 0) {
        handshake_take(client, window, &offset);
    }
    while (is_reading(client) && batch(client, window, &offset)) {
    }
    return offset;
}

/* ---- keeping what is left */

static void window_keep(struct ws_client *client, const struct window *window, size_t offset)
{
    struct net *net = client->net;
    uint8_t *left = window->data + offset;
    size_t bytes = window->filled - offset;
    size_t needed = is_reading(client) ? ws_parse_bytes_needed(&client->parser, left, bytes) : 0;
    needed = needed > bytes ? needed : bytes + (bytes > 0);
    client->kept = bytes;
    if (needed <= KEEP_BYTES) {
        if (bytes > 0) {
            memcpy(client->keep, left, bytes);
        }
        net_large_release(client);
        return;
    }
    if (client->large != NULL) {
        if (offset > 0) {
            memmove(client->large->data, left, bytes);
        }
        return;
    }
    struct large_buffer *large = net_large_acquire(net, client);
    if (large != NULL) {
        memcpy(large->data, left, bytes);
        client->large = large;
        return;
    }
    ASSERT(bytes <= KEEP_BYTES); /* the window was opened carefully */
    memcpy(client->keep, left, bytes);
    net_large_wait(client, loop_now_mono_ns(net->loop));
}

static void fill_failed(struct ws_client *client)
{
    struct err err;
    int code = tls_failure(&client->input, client->url.host, &err);
    ws_client_end(client, code, 1006, 0, err.text);
}

/* Takes all of client->input. */
static void take(struct ws_client *client, bool careful)
{
    enum fill_result fill = FILL_FULL;
    while (fill == FILL_FULL && client->state >= CLIENT_HANDSHAKE &&
           client->state != CLIENT_ENDED && !client->waiting) {
        struct window window = window_open(client, careful);
        if (window.filled == window.capacity) {
            ws_client_end(client, MD_ETOOBIG, 1009, 0, "more bytes than a message may have");
            return;
        }
        if (client->ssl != NULL) {
            ERR_clear_error();
        }
        fill = client->ssl != NULL ? fill_tls(client, &window) : fill_plain(client, &window);
        size_t offset = digest(client, &window);
        if (client->state == CLIENT_ENDED) {
            return;
        }
        window_keep(client, &window, offset);
    }
    if (fill == FILL_CLOSED) {
        bool ours = client->state == CLIENT_CLOSING;
        ws_client_end(client, ours ? 0 : MD_ECLOSED, client->close_code ? client->close_code : 1006,
                      0, "TLS closed without a close frame");
    } else if (fill == FILL_FAILED) {
        fill_failed(client);
    }
}

/* ---- the socket */

static void socket_ended(struct ws_client *client, ssize_t n, int error)
{
    static const char *const at[] = {
        [CLIENT_TLS] = "closed by the peer in the TLS handshake",
        [CLIENT_HANDSHAKE] = "closed by the peer in the WebSocket handshake",
        [CLIENT_OPEN] = "closed by the peer without a close frame",
        [CLIENT_CLOSING] = "closed by the peer without a close frame",
    };
    bool ours = client->state == CLIENT_CLOSING;
    ws_client_end(client, ours ? 0 : MD_ECLOSED, client->close_code ? client->close_code : 1006, 0,
                  n == 0 ? at[client->state] : strerror(error));
}

/* Drops `bytes` that were only looked at; they are there, so a short count cannot last. */
static bool socket_drop(int fd, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = recv(fd, NULL, bytes, MSG_TRUNC);
        if (n <= 0 && errno != EINTR) {
            return false;
        }
        bytes -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

void ws_receive(struct ws_client *client)
{
    struct net *net = client->net;
    bool careful = client->large == NULL && net->large_free == 0;
    ssize_t n =
        recv(client->source.fd, net->cipher, net->config.read_bytes, careful ? MSG_PEEK : 0);
    int error = errno;
    /* right behind the read, before any parsing: this is the receive time */
    client->recv_unix_ns = clock_unix_ns(loop_clock(net->loop));
    if (n < 0 && (error == EAGAIN || error == EINTR)) {
        return;
    }
    if (n <= 0) {
        socket_ended(client, n, error);
        return;
    }
    client->stats.reads++;
    client->last_byte_ns = loop_now_mono_ns(net->loop);
    client->input.data = net->cipher;
    client->input.bytes = (size_t)n;
    if (client->state == CLIENT_TLS) {
        ws_client_tls_step(client);
    }
    take(client, careful);
    size_t taken = (size_t)n - client->input.bytes;
    client->stats.bytes_received += taken;
    client->input.bytes = 0;
    if (client->state == CLIENT_ENDED) {
        return;
    }
    ASSERT(careful || taken == (size_t)n);
    if (careful && !socket_drop(client->source.fd, taken)) {
        ws_client_end(client, MD_EIO, 1006, 0, strerror(errno));
        return;
    }
    ws_client_watch(client);
}

void ws_receive_resume(struct ws_client *client)
{
    ASSERT(client->large != NULL);
    take(client, false);
    if (client->state != CLIENT_ENDED) {
        ws_client_watch(client);
    }
}
