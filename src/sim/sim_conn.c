/* One connection's bytes: TLS through a BIO of our own (reads the socket, writes into the bounded
 * send buffer), flushing, endings, and the faults of bytes (slow, split, cut, half-open).
 *
 * Each write to a connection becomes TLS records in the send buffer at once; sockets are written
 * once a turn, so a record a message does not cost a system call a message. A client that does not
 * read lets the buffer fill and is reset: memory stays bounded by connections x send_buffer_bytes.
 */
#include "sim/sim_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"

#define RECORD_BYTES_MAX 16384
#define RECORD_OVERHEAD_BYTES 64
#define TLS_HANDSHAKE_NS (10 * NS_PER_S)
#define IDLE_NS (120 * NS_PER_S) /* HTTP connections that ask nothing */
#define ENDING_NS (2 * NS_PER_S) /* patience with a peer that does not close */

/* ---- the send buffer */

static size_t out_room(const struct sim_conn *conn)
{
    return conn->sim->config.send_buffer_bytes - conn->out_bytes;
}

static void out_append(struct sim_conn *conn, const void *data, size_t bytes)
{
    size_t capacity = conn->sim->config.send_buffer_bytes;
    ASSERT(bytes <= capacity - conn->out_bytes);
    if (conn->out_head + conn->out_bytes + bytes > capacity) {
        memmove(conn->out, conn->out + conn->out_head, conn->out_bytes);
        conn->out_head = 0;
    }
    memcpy(conn->out + conn->out_head + conn->out_bytes, data, bytes);
    conn->out_bytes += bytes;
}

size_t sim_conn_room(const struct sim_conn *conn)
{
    size_t room = out_room(conn);
    if (conn->split_bytes != 0) {
        room /= conn->ssl == NULL ? 1 : 1 + RECORD_OVERHEAD_BYTES / conn->split_bytes + 1;
    }
    size_t overhead = (room / RECORD_BYTES_MAX + 2) * RECORD_OVERHEAD_BYTES;
    return room < overhead ? 0 : room - overhead;
}

/* ---- BIO: OpenSSL's face towards us */

static int bio_write(BIO *bio, const char *data, int bytes)
{
    struct sim_conn *conn = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (bytes <= 0) {
        return 0;
    }
    if ((size_t)bytes > out_room(conn)) {
        BIO_set_retry_write(bio);
        return -1;
    }
    out_append(conn, data, (size_t)bytes);
    return bytes;
}

static int bio_read(BIO *bio, char *data, int bytes)
{
    struct sim_conn *conn = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n = recv(conn->source.fd, data, (size_t)bytes, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_read(bio);
    }
    return (int)n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static int bio_method_make(struct sim *sim)
{
    sim->bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "simulator");
    if (sim->bio_method == NULL || BIO_meth_set_write(sim->bio_method, bio_write) != 1 ||
        BIO_meth_set_read(sim->bio_method, bio_read) != 1 ||
        BIO_meth_set_ctrl(sim->bio_method, bio_ctrl) != 1 ||
        BIO_meth_set_create(sim->bio_method, bio_create) != 1) {
        return MD_ENOMEM;
    }
    return 0;
}

static int tls_begin(struct sim_conn *conn)
{
    BIO *bio = BIO_new(conn->sim->bio_method);
    conn->ssl = SSL_new(conn->sim->tls);
    if (bio == NULL || conn->ssl == NULL) {
        BIO_free(bio);
        SSL_free(conn->ssl);
        conn->ssl = NULL;
        return MD_ENOMEM;
    }
    BIO_set_data(bio, conn);
    SSL_set_bio(conn->ssl, bio, bio);
    SSL_set_accept_state(conn->ssl);
    return 0;
}

/* ---- writing */

static void write_record(struct sim_conn *conn, const uint8_t *data, size_t bytes)
{
    if (conn->ssl == NULL) {
        out_append(conn, data, bytes);
        return;
    }
    while (bytes > 0) {
        int part = (int)(bytes > RECORD_BYTES_MAX ? RECORD_BYTES_MAX : bytes);
        ERR_clear_error();
        int n = SSL_write(conn->ssl, data, part);
        if (n <= 0) {
            sim_conn_kill(conn); /* room was checked, so it is TLS that failed */
            return;
        }
        data += n;
        bytes -= (size_t)n;
    }
}

static void write_split(struct sim_conn *conn, const uint8_t *data, size_t bytes)
{
    while (bytes > 0 && conn->state != SIM_CONN_DEAD) {
        size_t part = bytes > conn->split_bytes ? conn->split_bytes : bytes;
        write_record(conn, data, part);
        sim_conn_flush(conn); /* each part in a segment of its own */
        data += part;
        bytes -= part;
    }
}

static void plain_flush(struct sim_conn *conn)
{
    if (conn->plain_bytes > 0 && conn->state != SIM_CONN_DEAD) {
        size_t bytes = conn->plain_bytes;
        conn->plain_bytes = 0;
        write_record(conn, conn->plain, bytes);
    }
}

void sim_conn_write(struct sim_conn *conn, const void *data, size_t bytes)
{
    if (conn->state == SIM_CONN_DEAD || conn->half_open || conn->fin_sent) {
        return;
    }
    if (bytes + conn->plain_bytes > sim_conn_room(conn)) {
        sim_violate(conn->sim, SIM_BROKE_SLOW);
        LOG_INFO("sim_slow_client", "connection %u does not read: reset", conn->number);
        conn->ending = SIM_END_RESET;
        sim_conn_kill(conn);
        return;
    }
    if (conn->split_bytes != 0) {
        plain_flush(conn);
        write_split(conn, data, bytes);
        return;
    }
    size_t coalesce = conn->sim->config.coalesce_bytes;
    if (coalesce == 0 || conn->state != SIM_CONN_WS) {
        plain_flush(conn);
        write_record(conn, data, bytes);
        return;
    }
    if (conn->plain_bytes + bytes > coalesce) {
        plain_flush(conn);
    }
    if (bytes > coalesce) {
        write_record(conn, data, bytes);
    } else {
        memcpy(conn->plain + conn->plain_bytes, data, bytes);
        conn->plain_bytes += bytes;
    }
}

static size_t slow_allowed(struct sim_conn *conn)
{
    int64_t now = conn->sim->now_mono_ns;
    if (conn->slow_bytes_per_s == 0 || now >= conn->slow_until_mono_ns) {
        conn->slow_bytes_per_s = 0;
        return SIZE_MAX;
    }
    int64_t passed = now - conn->slow_mono_ns;
    conn->slow_mono_ns = now;
    conn->slow_credit_bytes += passed / NS_PER_US * conn->slow_bytes_per_s / 1000000;
    if (conn->slow_credit_bytes > conn->slow_bytes_per_s) {
        conn->slow_credit_bytes = conn->slow_bytes_per_s;
    }
    return (size_t)conn->slow_credit_bytes;
}

static void want_write_set(struct sim_conn *conn, bool want)
{
    if (want != conn->want_write) {
        conn->want_write = want;
        unsigned events = LOOP_READ | (want ? (unsigned)LOOP_WRITE : 0U);
        if (loop_modify(conn->sim->loop, &conn->source, events) != 0) {
            sim_conn_kill(conn);
        }
    }
}

void sim_conn_flush(struct sim_conn *conn)
{
    if (conn->state == SIM_CONN_FREE || conn->state == SIM_CONN_DEAD || conn->half_open) {
        return;
    }
    size_t allowed = slow_allowed(conn);
    bool slowed = allowed != SIZE_MAX;
    while (conn->out_bytes > 0 && allowed > 0) {
        size_t part = conn->out_bytes < allowed ? conn->out_bytes : allowed;
        ssize_t n = send(conn->source.fd, conn->out + conn->out_head, part, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            break;
        }
        if (n <= 0) {
            sim_conn_kill(conn);
            return;
        }
        conn->out_head += (size_t)n;
        conn->out_bytes -= (size_t)n;
        if (slowed) {
            allowed -= (size_t)n;
            conn->slow_credit_bytes -= n;
        }
    }
    if (conn->out_bytes == 0) {
        conn->out_head = 0;
    }
    want_write_set(conn, conn->out_bytes > 0 && !slowed);
}

/* ---- reading */

static ssize_t read_tls(struct sim_conn *conn, void *data, size_t bytes)
{
    ERR_clear_error();
    int n = SSL_read(conn->ssl, data, (int)bytes);
    if (n > 0) {
        return n;
    }
    int why = SSL_get_error(conn->ssl, n);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        return 0;
    }
    sim_conn_kill(conn);
    return -1;
}

ssize_t sim_conn_read(struct sim_conn *conn, void *data, size_t bytes)
{
    if (conn->state == SIM_CONN_DEAD) {
        return -1;
    }
    if (conn->ssl != NULL) {
        return read_tls(conn, data, bytes);
    }
    ssize_t n = recv(conn->source.fd, data, bytes, 0);
    if (n > 0) {
        return n;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    sim_conn_kill(conn);
    return -1;
}

/* ---- HTTP: requests in, one after the other */

static void http_process(struct sim_conn *conn)
{
    while (conn->state == SIM_CONN_HTTP && conn->reply.kind == SIM_REPLY_NONE) {
        if (conn->out_bytes > 0 || conn->sim->now_mono_ns < conn->delay_mono_ns) {
            return; /* one answer at a time */
        }
        struct sim_request request;
        int64_t head = sim_request_parse(conn->in, conn->in_bytes, &request);
        if (head == 0) {
            return;
        }
        if (head < 0) {
            sim_violate(conn->sim, SIM_BROKE_REQUEST);
            sim_rest_error(conn, request.error_status, request.error);
            sim_conn_end(conn, SIM_END_CLOSE);
            return;
        }
        conn->in_head = (size_t)head; /* what follows belongs to the WebSocket */
        if (request.upgrade) {
            int status = sim_ws_start(conn, &request);
            if (status == 0) {
                sim_ws_readable(conn);
                return;
            }
            sim_rest_error(conn, status, "the WebSocket handshake is refused");
            sim_conn_end(conn, SIM_END_CLOSE);
            return;
        }
        sim_rest_request(conn, &request);
        if (conn->state == SIM_CONN_HTTP && conn->delay_mono_ns == 0) {
            conn->in_bytes -= conn->in_head;
            memmove(conn->in, conn->in + conn->in_head, conn->in_bytes);
            if (!request.keep_alive && conn->reply.kind == SIM_REPLY_NONE) {
                sim_conn_end(conn, SIM_END_CLOSE);
            }
            conn->close_after_reply = !request.keep_alive;
        }
        conn->in_head = 0;
        sim_conn_flush(conn);
    }
}

static void http_readable(struct sim_conn *conn)
{
    while (conn->state == SIM_CONN_HTTP) {
        size_t room = SIM_REQUEST_BYTES_MAX - conn->in_bytes;
        if (room == 0) {
            break; /* a client that sends on without reading answers waits */
        }
        ssize_t n = sim_conn_read(conn, conn->in + conn->in_bytes, room);
        if (n <= 0) {
            break;
        }
        conn->active_mono_ns = conn->sim->now_mono_ns;
        conn->in_bytes += (size_t)n;
        http_process(conn);
    }
}

static void tls_readable(struct sim_conn *conn)
{
    ERR_clear_error();
    int n = SSL_accept(conn->ssl);
    if (n == 1) {
        conn->state = SIM_CONN_HTTP;
        sim_conn_flush(conn);
        http_readable(conn);
        return;
    }
    int why = SSL_get_error(conn->ssl, n);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        conn->sim->counters[SIM_COUNT_TLS_FAILURES]++;
        sim_conn_flush(conn); /* the alert that says why */
        sim_conn_kill(conn);
        return;
    }
    sim_conn_flush(conn);
}

/* The peer's last words are read and thrown away until it closes. */
static void closing_readable(struct sim_conn *conn)
{
    uint8_t waste[4096];
    for (int i = 0; i < 64; i++) {
        ssize_t n = recv(conn->source.fd, waste, sizeof waste, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            sim_conn_kill(conn);
            return;
        }
    }
}

static void on_ready(void *context, unsigned events)
{
    struct sim_conn *conn = context;
    if ((events & LOOP_WRITE) != 0) {
        sim_conn_flush(conn);
    }
    if ((events & (LOOP_READ | LOOP_HANGUP)) == 0) {
        return;
    }
    switch (conn->state) {
    case SIM_CONN_TLS:
        tls_readable(conn);
        break;
    case SIM_CONN_HTTP:
        http_readable(conn);
        break;
    case SIM_CONN_WS:
        sim_ws_readable(conn);
        break;
    case SIM_CONN_CLOSING:
        closing_readable(conn);
        break;
    case SIM_CONN_FREE:
    case SIM_CONN_DEAD:
        break;
    }
}

/* ---- life and death */

bool sim_conn_open(struct sim *sim, int fd, const uint8_t ip[16])
{
    struct sim_conn *conn = NULL;
    for (uint32_t i = 0; i < sim->config.connections_max && conn == NULL; i++) {
        conn = sim->conns[i].state == SIM_CONN_FREE ? &sim->conns[i] : NULL;
    }
    if (conn == NULL) {
        return false;
    }
    int one = 1;
    /* Best effort: without it small writes only come later. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    conn->source = (struct loop_source){.fd = fd, .on_ready = on_ready, .context = conn};
    conn->state = sim->config.plain ? SIM_CONN_HTTP : SIM_CONN_TLS;
    conn->active_mono_ns = sim->now_mono_ns;
    conn->address = sim_limits_address(sim->addresses, ip, sim->now_mono_ns);
    conn->cut_after_bytes = -1;
    conn->subs = SIM_NONE;
    if ((!sim->config.plain && tls_begin(conn) != 0) ||
        loop_add(sim->loop, &conn->source, LOOP_READ) != 0) {
        SSL_free(conn->ssl);
        conn->ssl = NULL;
        conn->state = SIM_CONN_FREE;
        return false;
    }
    sim->open_count++;
    return true;
}

void sim_conn_kill(struct sim_conn *conn)
{
    if (conn->state != SIM_CONN_FREE) {
        conn->state = SIM_CONN_DEAD;
    }
}

void sim_conn_half_open(struct sim_conn *conn)
{
    plain_flush(conn);
    sim_conn_flush(conn); /* what was said before it fell silent */
    conn->half_open = true;
    loop_remove(conn->sim->loop, &conn->source);
}

void sim_conn_end(struct sim_conn *conn, enum sim_ending ending)
{
    if (conn->state == SIM_CONN_FREE || conn->state == SIM_CONN_DEAD ||
        conn->state == SIM_CONN_CLOSING) {
        return;
    }
    if (conn->half_open) {
        conn->ending = SIM_END_RESET;
        sim_conn_kill(conn);
        return;
    }
    plain_flush(conn);
    conn->ending = ending;
    if (conn->state == SIM_CONN_DEAD) {
        return;
    }
    conn->state = SIM_CONN_CLOSING;
    conn->ending_mono_ns = conn->sim->now_mono_ns + ENDING_NS;
    if (ending == SIM_END_RESET) {
        sim_conn_flush(conn);
        sim_conn_kill(conn);
        return;
    }
    if (conn->ssl != NULL && ending != SIM_END_FIN) {
        ERR_clear_error();
        (void)SSL_shutdown(conn->ssl); /* best effort: writes close_notify into the buffer */
    }
    sim_conn_flush(conn);
}

/* CLOSING: once all is sent, FIN; then wait for the peer to close. */
static void closing_turn(struct sim_conn *conn)
{
    if (conn->out_bytes == 0 && !conn->fin_sent) {
        conn->fin_sent = true;
        (void)shutdown(conn->source.fd, SHUT_WR); /* best effort: the peer may be gone */
    }
    if (conn->sim->now_mono_ns >= conn->ending_mono_ns) {
        sim_conn_kill(conn);
    }
}

static void conn_release(struct sim_conn *conn)
{
    struct sim *sim = conn->sim;
    sim_ws_deinit(conn);
    if (!conn->half_open) {
        loop_remove(sim->loop, &conn->source);
    }
    if (conn->ending == SIM_END_RESET) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(conn->source.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    (void)close(conn->source.fd); /* nothing can be done about a failure */
    SSL_free(conn->ssl);
    struct sim_conn empty = {.sim = sim,
                             .index = conn->index,
                             .source = {.fd = -1},
                             .out = conn->out,
                             .plain = conn->plain,
                             .in = conn->in,
                             .unknown = conn->unknown,
                             .subs = SIM_NONE};
    *conn = empty;
    sim->open_count--;
}

static void http_turn(struct sim_conn *conn)
{
    if (conn->state == SIM_CONN_HTTP && conn->reply.kind != SIM_REPLY_NONE) {
        sim_rest_more(conn);
        if (conn->reply.kind == SIM_REPLY_NONE && conn->close_after_reply) {
            sim_conn_end(conn, SIM_END_CLOSE);
        }
    } else if (conn->state == SIM_CONN_HTTP && conn->in_bytes > 0) {
        http_process(conn);
    }
    int64_t limit = conn->state == SIM_CONN_TLS ? TLS_HANDSHAKE_NS : IDLE_NS;
    if (conn->sim->now_mono_ns - conn->active_mono_ns > limit) {
        sim_conn_kill(conn);
    }
}

bool sim_conn_turn(struct sim *sim)
{
    bool busy = false;
    sim_ws_faults_turn(sim);
    for (uint32_t i = 0; i < sim->config.connections_max; i++) {
        struct sim_conn *conn = &sim->conns[i];
        if (conn->state == SIM_CONN_FREE) {
            continue;
        }
        if (conn->state == SIM_CONN_HTTP || conn->state == SIM_CONN_TLS) {
            http_turn(conn);
        } else if (conn->state == SIM_CONN_WS) {
            sim_ws_turn(conn);
        }
        plain_flush(conn);
        if (!conn->want_write) {
            sim_conn_flush(conn);
        }
        if (conn->state == SIM_CONN_CLOSING) {
            closing_turn(conn);
        }
        if (conn->state == SIM_CONN_DEAD) {
            conn_release(conn);
        }
        busy |= conn->reply.kind != SIM_REPLY_NONE && conn->out_bytes == 0;
    }
    return busy;
}

int sim_conn_init(struct sim *sim)
{
    uint32_t count = sim->config.connections_max;
    size_t coalesce = sim->config.coalesce_bytes;
    uint8_t *out = alloc_take(ALLOC_SIM, count * sim->config.send_buffer_bytes);
    uint8_t *in = alloc_take(ALLOC_SIM, count * (size_t)SIM_REQUEST_BYTES_MAX);
    char(*unknown)[SIM_UNKNOWN_BYTES] =
        alloc_take(ALLOC_SIM, count * (size_t)SIM_UNKNOWN_MAX * SIM_UNKNOWN_BYTES);
    uint8_t *plain = coalesce == 0 ? NULL : alloc_take(ALLOC_SIM, count * coalesce);
    sim->conns = alloc_take(ALLOC_SIM, count * sizeof *sim->conns);
    if (sim->conns == NULL) {
        alloc_give(out);
        alloc_give(in);
        alloc_give(unknown);
        alloc_give(plain);
        return MD_ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct sim_conn *conn = &sim->conns[i];
        *conn = (struct sim_conn){.sim = sim, .index = i, .source = {.fd = -1}, .subs = SIM_NONE};
        conn->out = out == NULL ? NULL : out + i * sim->config.send_buffer_bytes;
        conn->in = in == NULL ? NULL : in + i * (size_t)SIM_REQUEST_BYTES_MAX;
        conn->unknown = unknown == NULL ? NULL : unknown + i * (size_t)SIM_UNKNOWN_MAX;
        conn->plain = plain == NULL ? NULL : plain + i * coalesce;
    }
    bool whole = out != NULL && in != NULL && unknown != NULL && (coalesce == 0 || plain != NULL);
    return whole ? bio_method_make(sim) : MD_ENOMEM;
}

void sim_conn_deinit(struct sim *sim)
{
    if (sim->conns == NULL) {
        return;
    }
    for (uint32_t i = 0; i < sim->config.connections_max; i++) {
        if (sim->conns[i].state != SIM_CONN_FREE) {
            conn_release(&sim->conns[i]);
        }
    }
    alloc_give(sim->conns[0].out);
    alloc_give(sim->conns[0].in);
    alloc_give(sim->conns[0].unknown);
    alloc_give(sim->conns[0].plain);
    alloc_give(sim->conns);
    sim->conns = NULL;
    BIO_meth_free(sim->bio_method);
    sim->bio_method = NULL;
}
