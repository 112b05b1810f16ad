/* What the REST answers of all exchanges share: heads, scripted faults, long answers made piece by
 * piece (chunked) as the send buffer empties, so that one of many megabytes needs no memory. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sim/sim_exchange.h"

#define PIECE_BYTES 32768 /* of a chunked answer: room in the send buffer for one more */

/* ---- answers */

static const char *status_words(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 401:
        return "Unauthorized";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 418:
        return "I'm a teapot";
    case 426:
        return "Upgrade Required";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    default:
        return "Error";
    }
}

void sim_rest_head(struct sim_conn *conn, int status, int64_t body_bytes, int64_t retry_after_s)
{
    char text[1024];
    struct buf out = buf_over(text, sizeof text);
    buf_printf(&out, "HTTP/1.1 %d %s\r\nContent-Type: application/json;charset=UTF-8\r\n", status,
               status_words(status));
    if (conn->sim->exchange->rest_head != NULL) {
        conn->sim->exchange->rest_head(conn, &out);
    }
    if (retry_after_s >= 0) {
        buf_printf(&out, "Retry-After: %lld\r\n", (long long)retry_after_s);
    }
    if (body_bytes < 0) {
        buf_printf(&out, "Transfer-Encoding: chunked\r\n\r\n");
    } else {
        buf_printf(&out, "Content-Length: %lld\r\n\r\n", (long long)body_bytes);
    }
    ASSERT(!out.overflow);
    sim_conn_write(conn, out.data, out.bytes);
}

void sim_rest_answer(struct sim_conn *conn, int status, struct str body, int64_t retry_after_s)
{
    sim_rest_head(conn, status, (int64_t)body.bytes, retry_after_s);
    sim_conn_write(conn, body.data, body.bytes);
}

void sim_rest_error(struct sim_conn *conn, int status, const char *why)
{
    char text[512];
    int n = snprintf(text, sizeof text, "{\"code\":%d,\"msg\":\"%s\"}",
                     status == 429 ? -1003 : -1000, why);
    ASSERT(n > 0);
    ASSERT((size_t)n < sizeof text);
    sim_rest_answer(conn, status, str_make(text, (size_t)n), status == 429 ? 60 : -1);
}

struct sim_fault_rule *sim_rest_fault(struct sim *sim, enum sim_fault fault, struct str path)
{
    if (sim->faults.count == 0) {
        return NULL;
    }
    struct sim_fault_rule *rule =
        sim_faults_request(&sim->faults, fault, path, sim_since_start_ns(sim));
    if (rule != NULL) {
        sim_fault_note(sim, rule, 0, "", fault == SIM_FAULT_REST_STATUS ? rule->number : 0);
    }
    return rule;
}

bool sim_rest_status_fault(struct sim_conn *conn, struct str path,
                           void (*error)(struct sim_conn *conn, int status, int64_t retry_after_s))
{
    struct sim_fault_rule *rule = sim_rest_fault(conn->sim, SIM_FAULT_REST_STATUS, path);
    if (rule == NULL) {
        return false;
    }
    bool limited = rule->number == 429 || rule->number == 418;
    int64_t left_ns = NS_PER_S;
    if (rule->for_ns != INT64_MAX) {
        left_ns = rule->for_ns - (sim_since_start_ns(conn->sim) - rule->value);
    }
    int64_t retry_s = left_ns <= 0 ? 1 : (left_ns + NS_PER_S - 1) / NS_PER_S;
    error(conn, (int)rule->number, limited ? retry_s : -1);
    return true;
}

bool sim_rest_delayed(struct sim_conn *conn, struct str path)
{
    if (conn->delay_mono_ns != 0) { /* this request has waited already */
        conn->delay_mono_ns = 0;
        return false;
    }
    struct sim_fault_rule *rule = sim_rest_fault(conn->sim, SIM_FAULT_REST_DELAY, path);
    if (rule != NULL) {
        conn->delay_mono_ns = conn->sim->now_mono_ns + rule->time_ns;
    }
    return rule != NULL;
}

int64_t sim_rest_moment(struct sim *sim, struct str path)
{
    const struct sim_fault_rule *lag = sim_rest_fault(sim, SIM_FAULT_REST_LAG, path);
    return lag != NULL ? sim->now_unix_ns - lag->time_ns : sim->now_unix_ns;
}

void sim_rest_answer_body(struct sim_conn *conn, struct str path, const struct buf *out)
{
    ASSERT(!out->overflow); /* limits keep every body below SIM_TEXT_BYTES */
    if (sim_rest_fault(conn->sim, SIM_FAULT_REST_RESET, path) != NULL) {
        sim_rest_head(conn, 200, (int64_t)out->bytes, -1);
        sim_conn_write(conn, out->data, out->bytes / 2);
        sim_conn_end(conn, SIM_END_RESET);
        return;
    }
    sim_rest_answer(conn, 200, buf_view(out), -1);
}

void sim_rest_request(struct sim_conn *conn, const struct sim_request *request)
{
    struct sim *sim = conn->sim;
    char path_text[256];
    struct buf path = buf_over(path_text, sizeof path_text);
    if (!sim_request_decode(request->path, &path)) {
        sim_rest_error(conn, 404, "no such path");
    } else if (str_equal(buf_view(&path), STR("/sim/status"))) {
        struct buf out = buf_over(sim->body, SIM_TEXT_BYTES);
        sim_status(sim, &out);
        sim_rest_answer(conn, 200, buf_view(&out), -1);
    } else if (!sim->exchange->rest(conn, request, buf_view(&path))) {
        sim_rest_error(conn, 404, "no such path");
    }
}

/* ---- long answers */

void sim_rest_more(struct sim_conn *conn)
{
    struct sim *sim = conn->sim;
    while (conn->reply.kind != SIM_REPLY_NONE && conn->state == SIM_CONN_HTTP &&
           conn->out_bytes < sim->config.send_buffer_bytes / 4) {
        struct buf out = buf_over(sim->body, PIECE_BYTES);
        sim->exchange->rest_piece(sim, &conn->reply, &out);
        ASSERT(!out.overflow);
        bool last = conn->reply.next >= sim->model.count;
        char head[32];
        int n = snprintf(head, sizeof head, "%zx\r\n", out.bytes);
        sim_conn_write(conn, head, (size_t)n);
        sim_conn_write(conn, out.data, out.bytes);
        sim_conn_write(conn, last ? "\r\n0\r\n\r\n" : "\r\n", last ? 7 : 2);
        if (last) {
            conn->reply.kind = SIM_REPLY_NONE;
        }
        conn->active_mono_ns = sim->now_mono_ns;
    }
}
