/* The WebSocket side of a connection: handshake, control requests and their replies, pings with a
 * deadline, the venue's limits, and the faults scripted for connections. Framing is wslay's, both
 * ways, so that it owes nothing to the recorder's own parser. */
#include "sim/sim_internal.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "sim/sim_exchange.h"

#define FRAME_HEAD_BYTES 16
#define CLOSE_WAIT_NS (2 * NS_PER_S)
#define SHUTDOWN_GRACE_NS (5 * NS_PER_S)

/* ---- framing out */

static bool frame_append(struct sim *sim, const uint8_t *data, size_t bytes)
{
    if (bytes > SIM_TEXT_BYTES + 4096 - sim->frame_used) {
        return false;
    }
    memcpy(sim->frame_bytes + sim->frame_used, data, bytes);
    sim->frame_used += bytes;
    return true;
}

static ssize_t on_event_send(wslay_event_context_ptr ws, const uint8_t *data, size_t bytes,
                             int flags, void *context)
{
    (void)flags;
    struct sim_conn *conn = context;
    if (!frame_append(conn->sim, data, bytes)) {
        wslay_event_set_error(ws, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    return (ssize_t)bytes;
}

/* Writes what wslay has queued: pongs, pings, close. */
static void events_write(struct sim_conn *conn)
{
    while (conn->state == SIM_CONN_WS && wslay_event_want_write(conn->ws)) {
        conn->sim->frame_used = 0;
        if (wslay_event_send(conn->ws) != 0 || conn->sim->frame_used == 0) {
            break;
        }
        sim_conn_write(conn, conn->sim->frame_bytes, conn->sim->frame_used);
    }
}

static size_t data_frame(struct sim *sim, bool binary, const char *text, size_t bytes)
{
    struct wslay_frame_iocb frame = {.fin = 1,
                                     .opcode = binary ? WSLAY_BINARY_FRAME : WSLAY_TEXT_FRAME,
                                     .payload_length = bytes,
                                     .data = (const uint8_t *)text,
                                     .data_length = bytes};
    sim->frame_used = 0;
    ssize_t n = wslay_frame_send(sim->frame, &frame);
    ASSERT(n == (ssize_t)bytes); /* the scratch holds the largest text */
    return sim->frame_used;
}

static void cut_message(struct sim_conn *conn, size_t frame_bytes)
{
    size_t bytes = (size_t)conn->cut_after_bytes;
    bytes = bytes > frame_bytes ? frame_bytes : bytes;
    conn->cut_after_bytes = -1;
    if (bytes > 0) {
        sim_conn_write(conn, conn->sim->frame_bytes, bytes);
        sim_conn_flush(conn);
    }
    sim_conn_end(conn, conn->cut_ending);
}

void sim_ws_send(struct sim_conn *conn, const char *text, size_t bytes)
{
    struct sim *sim = conn->sim;
    if (conn->state != SIM_CONN_WS || !wslay_event_get_write_enabled(conn->ws)) {
        return;
    }
    if (conn->half_open || sim->now_mono_ns < conn->silent_until_mono_ns) {
        sim->counters[SIM_COUNT_WITHHELD]++;
        return;
    }
    size_t frame_bytes = data_frame(sim, conn->binary, text, bytes);
    if (conn->cut_after_bytes >= 0) {
        cut_message(conn, frame_bytes);
        return;
    }
    sim->counters[SIM_COUNT_MESSAGES]++;
    sim->counters[SIM_COUNT_BYTES] += bytes;
    conn->told_mono_ns = sim->now_mono_ns;
    sim_conn_write(conn, sim->frame_bytes, frame_bytes);
}

void sim_ws_send_control_text(struct sim_conn *conn, struct str text)
{
    if (conn->state != SIM_CONN_WS || conn->half_open || conn->deaf ||
        !wslay_event_get_write_enabled(conn->ws)) {
        return;
    }
    size_t frame_bytes = data_frame(conn->sim, conn->binary_control, text.data, text.bytes);
    sim_conn_write(conn, conn->sim->frame_bytes, frame_bytes);
}

void sim_ws_close(struct sim_conn *conn, uint16_t code, const char *reason)
{
    if (conn->state != SIM_CONN_WS) {
        return;
    }
    LOG_INFO("sim_close", "connection %u: close %u %s", conn->number, code, reason);
    /* A second close is refused by wslay; the first one stands. */
    (void)wslay_event_queue_close(conn->ws, code, (const uint8_t *)reason, strlen(reason));
    events_write(conn);
    if (conn->close_mono_ns == 0 || conn->close_mono_ns > conn->sim->now_mono_ns + CLOSE_WAIT_NS) {
        conn->close_mono_ns = conn->sim->now_mono_ns + CLOSE_WAIT_NS;
    }
}

void sim_ws_drop(struct sim_conn *conn)
{
    sim_conn_end(conn, SIM_END_FIN);
}

const struct sim_fault_rule *sim_ws_ack_fault(struct sim_conn *conn)
{
    struct sim *sim = conn->sim;
    struct sim_fault_rule *rule =
        sim_faults_request(&sim->faults, SIM_FAULT_ACK, STR(""), sim_since_start_ns(sim));
    if (rule != NULL) {
        sim_fault_note(sim, rule, conn->number, "", 0);
    }
    return rule;
}

/* ---- framing in */

static ssize_t on_event_receive(wslay_event_context_ptr ws, uint8_t *data, size_t bytes, int flags,
                                void *context)
{
    (void)flags;
    struct sim_conn *conn = context;
    if (conn->in_bytes > conn->in_head) { /* what came behind the handshake */
        size_t left = conn->in_bytes - conn->in_head;
        bytes = bytes < left ? bytes : left;
        memcpy(data, conn->in + conn->in_head, bytes);
        conn->in_head += bytes;
        return (ssize_t)bytes;
    }
    ssize_t n = sim_conn_read(conn, data, bytes);
    if (n <= 0) {
        wslay_event_set_error(ws, n == 0 ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    return n;
}

static void pong_received(struct sim_conn *conn, const struct wslay_event_on_msg_recv_arg *message)
{
    char expected[32];
    int n = snprintf(expected, sizeof expected, "%llu", (unsigned long long)conn->ping_number);
    conn->sim->counters[SIM_COUNT_PONGS]++;
    /* An unsolicited pong, or one with another payload, does not keep the connection alive. */
    if (message->msg_length == (size_t)n && memcmp(message->msg, expected, (size_t)n) == 0) {
        conn->pong_awaited = false;
    }
}

static void on_message(wslay_event_context_ptr ws,
                       const struct wslay_event_on_msg_recv_arg *message, void *context)
{
    struct sim_conn *conn = context;
    struct sim *sim = conn->sim;
    if (message->opcode == WSLAY_CONNECTION_CLOSE || conn->state != SIM_CONN_WS) {
        return;
    }
    sim->counters[SIM_COUNT_CLIENT_MESSAGES]++;
    conn->heard_mono_ns = sim->now_mono_ns;
    if (sim->exchange->frame_limit &&
        !sim_limits_message(&conn->message_limit, &sim->config.limits, sim->now_mono_ns)) {
        sim_violate(sim, SIM_BROKE_MESSAGES);
        wslay_event_shutdown_read(ws);
        sim_ws_close(conn, WSLAY_CODE_POLICY_VIOLATION, "Too many requests");
        return;
    }
    if (message->opcode == WSLAY_PONG) {
        pong_received(conn, message);
    } else if (message->opcode == WSLAY_TEXT_FRAME) {
        sim->exchange->ws_text(conn, str_make((const char *)message->msg, message->msg_length));
    } else if (message->opcode == WSLAY_BINARY_FRAME) {
        sim->counters[SIM_COUNT_CONTROL_ERRORS]++;
    }
}

void sim_ws_readable(struct sim_conn *conn)
{
    if (conn->state != SIM_CONN_WS || conn->half_open) {
        return;
    }
    bool was_reading = wslay_event_get_read_enabled(conn->ws);
    int result = wslay_event_recv(conn->ws);
    if (conn->state != SIM_CONN_WS) {
        return;
    }
    if (result != 0) {
        sim_conn_kill(conn);
        return;
    }
    bool close_received = wslay_event_get_close_received(conn->ws);
    if (was_reading && !wslay_event_get_read_enabled(conn->ws) && !close_received &&
        !wslay_event_get_close_sent(conn->ws)) {
        sim_violate(conn->sim, SIM_BROKE_PROTOCOL);
    }
    events_write(conn);
    if (close_received) {
        sim_conn_end(conn, SIM_END_CLOSE);
    }
    if (!wslay_event_get_read_enabled(conn->ws) && conn->close_mono_ns == 0) {
        conn->close_mono_ns = conn->sim->now_mono_ns + CLOSE_WAIT_NS;
    }
}

/* ---- handshake */

static void accept_key(struct str key, char out[32])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, 1.3 */
    char text[64];
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_bytes = 0;
    memcpy(text, key.data, 24);
    memcpy(text + 24, guid, sizeof guid - 1);
    int ok = EVP_Digest(text, 24 + sizeof guid - 1, digest, &digest_bytes, EVP_sha1(), NULL);
    ASSERT(ok == 1);
    EVP_EncodeBlock((unsigned char *)out, digest, (int)digest_bytes);
}

static int ws_context_make(struct sim_conn *conn)
{
    struct wslay_event_callbacks callbacks = {.recv_callback = on_event_receive,
                                              .send_callback = on_event_send,
                                              .on_msg_recv_callback = on_message};
    if (wslay_event_context_server_init(&conn->ws, &callbacks, conn) != 0) {
        conn->ws = NULL;
        return MD_ENOMEM;
    }
    wslay_event_config_set_max_recv_msg_length(conn->ws, SIM_CLIENT_MESSAGE_BYTES);
    return 0;
}

int sim_ws_start(struct sim_conn *conn, const struct sim_request *request)
{
    struct sim *sim = conn->sim;
    if (!sim_limits_connect(conn->address, &sim->config.limits, sim->now_mono_ns)) {
        sim_violate(sim, SIM_BROKE_CONNECTS);
        return 429;
    }
    memset(conn->state_bytes, 0, sizeof conn->state_bytes);
    int status = sim->exchange->ws_open(conn, request);
    if (status != 0) {
        return status;
    }
    if (ws_context_make(conn) != 0) {
        return 503;
    }
    char key[32];
    accept_key(request->websocket_key, key);
    conn->state = SIM_CONN_WS;
    conn->number = ++sim->websocket_numbers;
    conn->opened_mono_ns = sim->now_mono_ns;
    conn->ping_mono_ns = sim->now_mono_ns;
    conn->heard_mono_ns = sim->now_mono_ns;
    conn->told_mono_ns = sim->now_mono_ns;
    sim->counters[SIM_COUNT_WEBSOCKETS]++;
    char reply[256];
    int n = snprintf(reply, sizeof reply,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                     key);
    sim_conn_write(conn, reply, (size_t)n);
    if (sim->exchange->ws_opened != NULL) {
        sim->exchange->ws_opened(conn, request);
    }
    return 0;
}

void sim_ws_deinit(struct sim_conn *conn)
{
    sim_feed_forget(conn);
    wslay_event_context_free(conn->ws);
    conn->ws = NULL;
}

/* ---- time */

static void ping_turn(struct sim_conn *conn)
{
    struct sim *sim = conn->sim;
    const struct sim_limits_config *limits = &sim->config.limits;
    int64_t since_ns = sim->now_mono_ns - conn->ping_mono_ns;
    if (conn->pong_awaited && since_ns >= limits->pong_timeout_ms * NS_PER_MS) {
        sim_violate(sim, SIM_BROKE_PONG);
        conn->pong_awaited = false;
        sim_ws_close(conn, WSLAY_CODE_POLICY_VIOLATION, "Pong timeout");
        return;
    }
    if (conn->pong_awaited || since_ns < limits->ping_interval_ms * NS_PER_MS) {
        return;
    }
    conn->ping_mono_ns = sim->now_mono_ns;
    conn->ping_number = (uint64_t)(sim->now_unix_ns / NS_PER_MS);
    conn->pong_awaited = true;
    char payload[32];
    int n = snprintf(payload, sizeof payload, "%llu", (unsigned long long)conn->ping_number);
    struct wslay_event_msg ping = {
        .opcode = WSLAY_PING, .msg = (const uint8_t *)payload, .msg_length = (size_t)n};
    if (wslay_event_queue_msg(conn->ws, &ping) == 0) {
        sim->counters[SIM_COUNT_PINGS]++;
        events_write(conn);
    }
}

static int64_t until_mono(const struct sim *sim, int64_t for_ns)
{
    return for_ns > INT64_MAX - sim->now_mono_ns ? INT64_MAX : sim->now_mono_ns + for_ns;
}

static void ending_commit(struct sim_conn *conn, const struct sim_fault_rule *rule,
                          enum sim_ending ending)
{
    if (rule->sweep || rule->number >= 0) {
        conn->cut_after_bytes = rule->sweep ? (int64_t)rule->hits : rule->number;
        conn->cut_ending = ending;
        return;
    }
    sim_conn_end(conn, ending);
}

/* Before the fault is counted: hits is how many came before. */
static void conn_fault_commit(struct sim_conn *conn, const struct sim_fault_rule *rule)
{
    struct sim *sim = conn->sim;
    int64_t now = sim->now_mono_ns;
    switch ((int)rule->fault) {
    case SIM_FAULT_RESET:
        ending_commit(conn, rule, SIM_END_RESET);
        break;
    case SIM_FAULT_FIN:
        ending_commit(conn, rule, SIM_END_FIN);
        break;
    case SIM_FAULT_EOF:
        ending_commit(conn, rule, SIM_END_EOF);
        break;
    case SIM_FAULT_CLOSE:
        sim_ws_close(conn, (uint16_t)rule->number, "scripted");
        break;
    case SIM_FAULT_SHUTDOWN:
        if (sim->exchange->ws_shutdown != NULL) {
            sim->exchange->ws_shutdown(conn);
        }
        conn->close_mono_ns =
            sim->now_mono_ns + (rule->for_ns == INT64_MAX ? SHUTDOWN_GRACE_NS : rule->for_ns);
        break;
    case SIM_FAULT_SILENCE:
        conn->silent_until_mono_ns = until_mono(sim, rule->for_ns);
        break;
    case SIM_FAULT_HALF_OPEN:
        conn->half_open_until_mono_ns = until_mono(sim, rule->for_ns);
        sim_conn_half_open(conn);
        break;
    case SIM_FAULT_SLOW:
        conn->slow_bytes_per_s = rule->number;
        conn->slow_until_mono_ns = until_mono(sim, rule->for_ns);
        conn->slow_mono_ns = now;
        conn->slow_credit_bytes = 0;
        break;
    case SIM_FAULT_SPLIT:
        conn->split_bytes = (uint32_t)rule->number;
        conn->split_until_mono_ns = until_mono(sim, rule->for_ns);
        break;
    default:
        ASSERT(false); /* only faults of connections come here */
    }
}

static void conn_fault(struct sim_conn *conn, struct sim_fault_rule *rule)
{
    conn_fault_commit(conn, rule);
    sim_fault_note(conn->sim, rule, conn->number, "", 0);
}

static bool conn_hit(const struct sim_conn *conn, const struct sim_fault_rule *rule)
{
    return conn->state == SIM_CONN_WS && !conn->half_open &&
           (rule->conn == 0 || rule->conn == conn->number);
}

/* What the connection has subscribed of the rule's streams dies. */
static void mute(struct sim_conn *conn, struct sim_fault_rule *rule)
{
    struct sim *sim = conn->sim;
    for (uint32_t at = conn->subs; at != SIM_NONE; at = sim->subs[at].conn_next) {
        struct sim_sub *sub = &sim->subs[at];
        const char *group = sim->exchange->stream_group(sub->stream);
        if (sim_faults_names(rule, group, sim->model.symbols[sub->symbol].name)) {
            sub->dead = true;
            sim_fault_note(sim, rule, conn->number, group, 0);
        }
    }
}

void sim_ws_faults_turn(struct sim *sim)
{
    int64_t since = sim_since_start_ns(sim);
    for (uint32_t r = 0; r < sim->faults.count; r++) {
        struct sim_fault_rule *rule = &sim->faults.rules[r];
        if (rule->fault == SIM_FAULT_MUTE && sim_faults_due(rule, since)) {
            for (uint32_t i = 0; i < sim->config.connections_max; i++) {
                if (sim->conns[i].state == SIM_CONN_WS) {
                    mute(&sim->conns[i], rule);
                }
            }
        }
        if (!sim_faults_is_conn(rule) || !sim_faults_due(rule, since)) {
            continue;
        }
        for (uint32_t i = 0; i < sim->config.connections_max; i++) {
            if (conn_hit(&sim->conns[i], rule)) {
                conn_fault(&sim->conns[i], rule);
            }
        }
    }
}

static void own_faults_turn(struct sim_conn *conn)
{
    struct sim *sim = conn->sim;
    int64_t since = sim_since_start_ns(sim);
    int64_t age = sim->now_mono_ns - conn->opened_mono_ns;
    for (uint32_t r = 0; r < sim->faults.count && conn->state == SIM_CONN_WS; r++) {
        struct sim_fault_rule *rule = &sim->faults.rules[r];
        if (sim_faults_is_conn(rule) && (conn->rules_applied >> r & 1) == 0 &&
            sim_faults_applies(rule, conn->number, age, since)) {
            conn->rules_applied |= 1ULL << r;
            conn_fault(conn, rule);
        }
    }
    if (conn->split_bytes != 0 && sim->now_mono_ns >= conn->split_until_mono_ns) {
        conn->split_bytes = 0;
    }
}

void sim_ws_turn(struct sim_conn *conn)
{
    struct sim *sim = conn->sim;
    if (conn->half_open) {
        if (sim->now_mono_ns >= conn->half_open_until_mono_ns) {
            conn->ending = SIM_END_RESET;
            sim_conn_kill(conn);
        }
        return;
    }
    own_faults_turn(conn);
    if (conn->state != SIM_CONN_WS || conn->half_open) {
        return;
    }
    bool close_sent = wslay_event_get_close_sent(conn->ws);
    if (conn->close_mono_ns != 0 && sim->now_mono_ns >= conn->close_mono_ns) {
        if (close_sent) {
            sim_conn_end(conn, SIM_END_CLOSE);
        } else {
            conn->close_mono_ns = 0;
            sim_ws_close(conn, WSLAY_CODE_GOING_AWAY, "going away");
        }
        return;
    }
    if (close_sent) {
        return;
    }
    int64_t life_ms = sim->config.limits.life_ms;
    if (life_ms > 0 && sim->now_mono_ns - conn->opened_mono_ns >= life_ms * NS_PER_MS) {
        sim_violate(sim, SIM_BROKE_LIFE);
        sim_ws_close(conn, WSLAY_CODE_GOING_AWAY, "24 hours are over");
        return;
    }
    if (sim->exchange->protocol_pings) {
        ping_turn(conn);
    }
    if (sim->exchange->ws_turn != NULL && conn->state == SIM_CONN_WS) {
        sim->exchange->ws_turn(conn);
    }
}
