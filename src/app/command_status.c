/* status: what the page says, in a terminal. It asks a running recorder for /status.json; all words
 * from there are printed as plain ASCII, whatever an exchange put into them. metrics: what the
 * metrics mean. */
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "app/command.h"
#include "app/http_settings.h"
#include "base/log.h"
#include "net/loop.h"
#include "net/rest.h"
#include "watch/metrics.h"

#define BODY_BYTES (2 << 20)
#define SCREEN_BYTES (64 << 10)
#define TIMEOUT_MS 5000
#define CONNECTIONS_SHOWN 12
#define LOG_SHOWN 5
#define CELL_BYTES 200

int command_metrics(struct command_line *line)
{
    (void)line;
    metrics_document(STDOUT_FILENO);
    return EXIT_OK;
}

/* ---- asking */

struct asking {
    struct loop *loop;
    struct rest *rest;
    char url[300], header[HTTP_TOKEN_BYTES + 32];
    char *body;
    size_t bytes;
    bool done;
    int code, status;
    char why[200];
};

static void on_part(void *context, const void *data, size_t bytes, int64_t recv_unix_ns)
{
    struct asking *asking = context;
    (void)recv_unix_ns;
    size_t room = BODY_BYTES - asking->bytes;
    size_t n = bytes < room ? bytes : room; /* what is cut is no JSON */
    memcpy(asking->body + asking->bytes, data, n);
    asking->bytes += n;
}

static void on_done(void *context, const struct rest_result *result)
{
    struct asking *asking = context;
    asking->code = result->code;
    asking->status = result->status;
    snprintf(asking->why, sizeof asking->why, "%s", result->why);
    asking->done = true;
}

static int verdict(const struct asking *asking, struct err *err)
{
    if (asking->code != 0) {
        return err_set(
            err, asking->code, "%s: %s%s%s: is the recorder running? --url says where its page is",
            asking->url, err_text(asking->code), asking->why[0] != 0 ? ": " : "", asking->why);
    }
    if (asking->status == 401) {
        return err_set(err, MD_EACCES,
                       "%s: a token is wanted: http.token_file or " HTTP_TOKEN_VARIABLE,
                       asking->url);
    }
    return asking->status == 200 ? 0
                                 : err_set(err, MD_EHTTP, "%s: HTTP status %d: is this a recorder?",
                                           asking->url, asking->status);
}

/* The body is in asking->body then. */
static int ask(struct asking *asking, struct err *err)
{
    struct rest_handlers handlers = {on_part, on_done, asking};
    asking->bytes = 0;
    asking->done = false;
    int code = rest_get(asking->rest, asking->url, asking->header[0] != 0 ? asking->header : NULL,
                        &handlers);
    while (code == 0 && !asking->done) {
        loop_turn(asking->loop, 100);
    }
    return code != 0 ? err_set(err, code, "%s: %s", asking->url, err_text(code))
                     : verdict(asking, err);
}

static int asking_url(struct asking *asking, const struct command_line *line, struct err *err)
{
    struct listen_address listen;
    if (line->url != NULL) {
        size_t bytes = strlen(line->url);
        bool slash = bytes > 0 && line->url[bytes - 1] == '/';
        snprintf(asking->url, sizeof asking->url, "%s%sstatus.json", line->url, slash ? "" : "/");
        return 0;
    }
    int code = http_listen(line->settings, &listen, err);
    if (code == 0 && (!listen.on || listen.port == 0)) {
        return err_set(err, MD_EINVAL, "http.listen: %s: no port to ask: --url http://HOST:PORT",
                       line->settings->http_listen);
    }
    snprintf(asking->url, sizeof asking->url, "http://%s%s%s:%u/status.json",
             listen.ipv6 ? "[" : "", listen.both ? "127.0.0.1" : listen.host,
             listen.ipv6 ? "]" : "", listen.port);
    return code;
}

static int asking_open(struct asking *asking, const struct command_line *line, struct err *err)
{
    static struct rest_config config;
    char token[HTTP_TOKEN_BYTES];
    config = (struct rest_config){
        .timeout_ms = TIMEOUT_MS, .requests_max = 1, .body_bytes_max = BODY_BYTES, .ca_file = ""};
    int code = asking_url(asking, line, err);
    code = code != 0 ? code : http_token(line->settings, token, err);
    if (code != 0) {
        return code;
    }
    if (token[0] != 0) {
        snprintf(asking->header, sizeof asking->header, "Authorization: Bearer %s", token);
    }
    explicit_bzero(token, sizeof token);
    asking->body = alloc_take(ALLOC_APP, BODY_BYTES);
    asking->loop = loop_create(&clock_system, 16, err);
    asking->rest = asking->loop != NULL ? rest_create(asking->loop, &config, err) : NULL;
    return asking->body != NULL && asking->rest != NULL ? 0 : MD_ENOMEM;
}

static void asking_close(struct asking *asking)
{
    if (asking->rest != NULL) {
        rest_destroy(asking->rest);
    }
    if (asking->loop != NULL) {
        loop_destroy(asking->loop);
    }
    alloc_give(asking->body);
    explicit_bzero(asking->header, sizeof asking->header);
}

/* ---- drawing */

struct screen {
    struct buf out;
    bool colour;
    const json_t *root;
};

static const char *word(const json_t *object, const char *name, char out[CELL_BYTES])
{
    const char *text = json_string_value(json_object_get(object, name));
    size_t bytes = text != NULL ? strnlen(text, (CELL_BYTES - 1) / 4) : 0;
    str_printable(out, CELL_BYTES, text != NULL ? text : "", bytes);
    return out;
}

static double value(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static const json_t *part(const struct screen *screen, const char *name)
{
    return json_object_get(screen->root, name);
}

static const char *time_text(char out[24], double ms)
{
    snprintf(out, 24,
             ms >= 1000 ? "%.2f s"
             : ms >= 1  ? "%.1f ms"
                        : "%.3f ms",
             ms >= 1000 ? ms / 1000 : ms);
    return out;
}

static const char *size_text(char out[24], double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    for (; bytes >= 1024 && unit < 4; unit++) {
        bytes /= 1024;
    }
    snprintf(out, 24, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return out;
}

static const char *tone_of(const struct screen *screen, const char *level)
{
    return !screen->colour                ? ""
           : strcmp(level, "green") == 0  ? "\x1b[1;32m"
           : strcmp(level, "amber") == 0  ? "\x1b[1;33m"
           : strcmp(level, "red") == 0    ? "\x1b[1;31m"
           : strcmp(level, "strong") == 0 ? "\x1b[1m"
                                          : "\x1b[2m";
}

static const char *plain(const struct screen *screen)
{
    return screen->colour ? "\x1b[0m" : "";
}

static void draw_health(struct screen *screen)
{
    char a[CELL_BYTES], b[CELL_BYTES], c[CELL_BYTES];
    const json_t *health = part(screen, "health");
    const char *level = word(health, "level", a);
    buf_printf(&screen->out, "%s%s%s  market-data %s, %s, up %.0f s\n", tone_of(screen, level),
               level, plain(screen), word(screen->root, "version", b),
               word(screen->root, "recorder", c), value(screen->root, "uptime_s"));
    const char *headline = json_string_value(json_object_get(health, "headline"));
    char text[2400];
    str_printable(text, sizeof text, headline != NULL ? headline : "",
                  headline != NULL ? strnlen(headline, 590) : 0);
    buf_printf(&screen->out, "%s\n", text);
    size_t index;
    const json_t *condition;
    const json_t *conditions = json_object_get(health, "conditions");
    json_array_foreach(conditions, index, condition)
    {
        const char *words = json_string_value(json_object_get(condition, "words"));
        str_printable(text, sizeof text, words != NULL ? words : "",
                      words != NULL ? strnlen(words, 590) : 0);
        level = word(condition, "level", a);
        buf_printf(&screen->out, "  %s%-5s %s%s: %s\n", tone_of(screen, level), level,
                   word(condition, "name", b), plain(screen), text);
        const char *remedy = json_string_value(json_object_get(condition, "remedy"));
        str_printable(text, sizeof text, remedy != NULL ? remedy : "",
                      remedy != NULL ? strnlen(remedy, 590) : 0);
        buf_printf(&screen->out, "        %s\n", text);
    }
}

static void draw_totals(struct screen *screen)
{
    char a[24], b[24], c[24];
    const json_t *rates = part(screen, "rates");
    const json_t *totals = part(screen, "totals");
    const json_t *queue = part(screen, "queue");
    const json_t *memory = part(screen, "memory");
    const json_t *books = part(screen, "books");
    const json_t *journal = part(screen, "journal");
    buf_printf(&screen->out, "\n  now      %.0f messages/s, %s/s, %.0f rows/s, %.0f %% of a core\n",
               value(rates, "messages"), size_text(a, value(rates, "bytes")), value(rates, "rows"),
               value(rates, "cpu_percent"));
    buf_printf(&screen->out,
               "  in all   %.0f messages, %.0f rows, %.0f files of %s; dropped %.0f, gaps %.0f "
               "(%.0f ids), undecodable %.0f\n",
               value(totals, "messages"), value(totals, "rows"), value(totals, "files_sealed"),
               size_text(a, value(totals, "sealed_bytes")), value(totals, "dropped"),
               value(totals, "gaps"), value(totals, "missing_ids"), value(totals, "undecodable"));
    buf_printf(&screen->out, "  queue    %.0f messages, at most %.0f; %s of %s\n",
               value(queue, "messages"), value(queue, "messages_high"),
               size_text(a, value(queue, "bytes")), size_text(b, value(queue, "bytes_limit")));
    buf_printf(&screen->out, "  journal  %s behind the disk, a sync takes %s (99 %%: %s)\n",
               time_text(a, value(journal, "lag_ms")),
               time_text(b, value(json_object_get(journal, "sync_ms"), "p50")),
               time_text(c, value(json_object_get(journal, "sync_ms"), "p99")));
    buf_printf(&screen->out, "  memory   %s of %s allowed; books whole %.0f of %.0f\n",
               size_text(a, value(memory, "rss_bytes")),
               size_text(b, value(memory, "budget_bytes")), value(books, "whole"),
               value(books, "all"));
}

static void draw_exchanges(struct screen *screen)
{
    char a[CELL_BYTES], b[24], c[24];
    size_t index;
    const json_t *exchange;
    buf_printf(&screen->out, "\n%s  %-18s %12s %10s %10s %13s %10s %8s%s\n",
               tone_of(screen, "strong"), "exchange", "messages", "latency", "99 %", "streams",
               "reconnects", "dropped", plain(screen));
    json_array_foreach(part(screen, "exchanges"), index, exchange)
    {
        const json_t *latency = json_object_get(exchange, "latency_ms");
        bool some = value(latency, "count") > 0;
        buf_printf(&screen->out, "  %-18s %12.0f %10s %10s %6.0f/%6.0f %10.0f %8.0f\n",
                   word(exchange, "exchange", a), value(exchange, "messages"),
                   some ? time_text(b, value(latency, "p50")) : "-",
                   some ? time_text(c, value(latency, "p99")) : "-", value(exchange, "streams_on"),
                   value(exchange, "streams"), value(exchange, "reconnects"),
                   value(exchange, "dropped"));
    }
}

static void draw_connection(struct screen *screen, const json_t *connection)
{
    char a[CELL_BYTES], b[CELL_BYTES], c[CELL_BYTES], d[CELL_BYTES];
    bool flows = json_is_true(json_object_get(connection, "flows"));
    double age_s = value(connection, "data_age_s");
    buf_printf(&screen->out, "  %-18s %-10s %s%-12s%s %5.0f/%5.0f ",
               word(connection, "exchange", a), word(connection, "endpoint", b),
               tone_of(screen, flows ? "green" : "red"),
               flows ? "data flows" : word(connection, "state", c), plain(screen),
               value(connection, "on"), value(connection, "streams"));
    if (age_s < 0) {
        buf_printf(&screen->out, "%10s", "-");
    } else {
        buf_printf(&screen->out, "%8.1f s", age_s);
    }
    buf_printf(&screen->out, "  %s\n", word(connection, "why", d));
}

/* Those without data first; then as many as fit. */
static void draw_connections(struct screen *screen)
{
    size_t index, shown = 0;
    const json_t *connection;
    const json_t *all = part(screen, "connections");
    buf_printf(&screen->out, "\n%s  %-18s %-10s %-12s %11s %10s  %s%s\n", tone_of(screen, "strong"),
               "connection", "endpoint", "state", "streams", "last data", "why it ended last",
               plain(screen));
    for (int pass = 0; pass < 2; pass++) {
        json_array_foreach(all, index, connection)
        {
            bool flows = json_is_true(json_object_get(connection, "flows"));
            if (flows == (pass == 1) && shown < CONNECTIONS_SHOWN) {
                draw_connection(screen, connection);
                shown++;
            }
        }
    }
    if (json_array_size(all) > shown) {
        buf_printf(&screen->out, "  and %zu more\n", json_array_size(all) - shown);
    }
}

static void draw_log(struct screen *screen)
{
    char a[CELL_BYTES], b[CELL_BYTES], c[CELL_BYTES];
    const json_t *lines = part(screen, "log");
    size_t count = json_array_size(lines);
    buf_put_str(&screen->out, count > 0 ? STR("\n") : STR(""));
    for (size_t i = count > LOG_SHOWN ? count - LOG_SHOWN : 0; i < count; i++) {
        const json_t *row = json_array_get(lines, i);
        struct clock_utc t = clock_utc_of((int64_t)value(row, "unix_ms") * NS_PER_MS);
        buf_printf(&screen->out, "  %02d:%02d:%02d %-5s %s  %s\n", t.hour, t.minute, t.second,
                   word(row, "level", a), word(row, "kind", b), word(row, "message", c));
    }
}

/* 0, or MD_EPARSE. *red: something is wrong with the recorder. */
static int draw(const struct asking *asking, bool live, bool colour, bool *red, struct err *err)
{
    static char memory[SCREEN_BYTES];
    json_error_t error;
    json_t *root = json_loadb(asking->body, asking->bytes, 0, &error);
    if (root == NULL || !json_is_object(json_object_get(root, "health"))) {
        json_decref(root);
        return err_set(err, MD_EPARSE, "%s: not a recorder's status", asking->url);
    }
    struct screen screen = {buf_over(memory, sizeof memory), colour, root};
    if (live) {
        buf_put_str(&screen.out, STR("\x1b[H\x1b[2J"));
    }
    char level[CELL_BYTES];
    *red = strcmp(word(json_object_get(root, "health"), "level", level), "red") == 0;
    draw_health(&screen);
    draw_totals(&screen);
    draw_exchanges(&screen);
    draw_connections(&screen);
    draw_log(&screen);
    if (live) {
        buf_put_str(&screen.out, STR("\nq quits"));
    }
    json_decref(root);
    ssize_t written = write(STDOUT_FILENO, screen.out.data, screen.out.bytes);
    return written < 0 ? err_set(err, MD_EIO, "the terminal is gone") : 0;
}

/* ---- once, or live */

static int show_once(struct asking *asking, const struct command_line *line, struct err *err)
{
    bool red = false;
    int code = ask(asking, err);
    if (code == 0 && line->json) {
        json_t *root = json_loadb(asking->body, asking->bytes, 0, NULL);
        const char *level =
            json_string_value(json_object_get(json_object_get(root, "health"), "level"));
        red = level == NULL || strcmp(level, "red") == 0;
        json_decref(root);
        if (write(STDOUT_FILENO, asking->body, asking->bytes) < 0 ||
            write(STDOUT_FILENO, "\n", 1) < 0) {
            return err_set(err, MD_EIO, "the output takes nothing");
        }
    } else if (code == 0) {
        code = draw(asking, false, false, &red, err);
    }
    return code != 0 ? code : red;
}

/* Waits a second for a key; true: it was q. */
static bool quits(void)
{
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
    char key = 0;
    if (poll(&fd, 1, 1000) <= 0) {
        return false;
    }
    return read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q' || key == 3;
}

static int show_live(struct asking *asking, struct err *err)
{
    struct termios before, raw;
    bool keys = tcgetattr(STDIN_FILENO, &before) == 0;
    bool colour = getenv("NO_COLOR") == NULL;
    bool red = false;
    if (keys) {
        raw = before;
        raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    dprintf(STDOUT_FILENO, "\x1b[?1049h\x1b[?25l"); /* a screen of its own, no cursor */
    int code = 0;
    do {
        code = ask(asking, err);
        if (code == MD_ECONNECT || code == MD_ETIMEOUT || code == MD_ECLOSED) {
            dprintf(STDOUT_FILENO, "\x1b[H\x1b[2J%s\nasked again each second; q quits", err->text);
            code = 0;
        } else if (code == 0) {
            code = draw(asking, true, colour, &red, err);
        }
    } while (code == 0 && command_stop == 0 && !quits());
    dprintf(STDOUT_FILENO, "\x1b[?25h\x1b[?1049l");
    if (keys) {
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    }
    return code;
}

int command_status(struct command_line *line)
{
    struct err err = {{0}};
    static struct asking asking;
    int code = asking_open(&asking, line, &err);
    bool live = isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && !line->json && !line->plain;
    if (code == 0) {
        code = live ? show_live(&asking, &err) : show_once(&asking, line, &err);
    }
    asking_close(&asking);
    return code < 0 ? command_fail(code, &err) : code > 0 ? EXIT_FAILED : EXIT_OK;
}
