/* The watch thread's second: look, compare with the second before, judge, remember a sample, push
 * an event to the pages that are open. Answers to requests are made at most once a second each and
 * shared; one that is still being sent is never overwritten, another buffer is used. Memory: the
 * boards, the buffers and the table of symbols, all taken in watch_open(). */
#include "watch/watch.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "watch/board.h"
#include "watch/metrics.h"
#include "watch/page_files.h"
#include "watch/server.h"
#include "watch/status.h"
#include "watch/symbols.h"

#define WINDOW_NS (10 * NS_PER_S)
#define METRICS_BYTES (192 << 10)
#define HEALTH_BYTES (24 << 10)
#define HISTORY_BYTES (WATCH_HISTORY * 10 * 12 + 512)
#define SYMBOL_BYTES 160
#define BODIES 3 /* of each kind: one being made, two that slow readers still get */
#define STACK_BYTES (256 << 10)

/* What a histogram got in the last 10 to 20 seconds. */
struct window {
    struct histogram_counts older, newer;
};

/* An answer that changes; made anew when it is older than this second. */
struct body {
    char *memory;
    size_t capacity, bytes;
    uint32_t users;
    uint64_t second; /* it shows; 0 = none */
};
enum body_kind { BODY_METRICS, BODY_STATUS, BODY_SYMBOLS, BODY_HISTORY, BODY_HEALTH, BODY_KINDS };

struct watch {
    struct watch_config config;
    struct watch_sources sources;
    struct board net, land;
    struct watch_symbols symbols;
    struct server *server;
    char url[96];
    pthread_t thread;
    bool started;
    atomic_bool stop;

    /* watch thread */
    uint64_t second;
    struct watch_view view;
    struct health health;
    struct window latency[VENUE_ID_END], journal_write, journal_sync, seal;
    int64_t window_ns; /* since when `newer` is gathered */
    struct {
        int64_t mono_ns, net_ns, land_ns, cpu_ns;
        uint64_t messages, bytes, rows, dropped;
    } before;
    struct watch_sample samples[WATCH_HISTORY];
    uint32_t sample_count; /* ever */
    struct body bodies[BODY_KINDS][BODIES];
    struct status_since told; /* by events */
    int proc_fd;
};

static size_t body_bytes(const struct watch_config *config, enum body_kind kind)
{
    switch (kind) {
    case BODY_METRICS:
        return METRICS_BYTES;
    case BODY_STATUS:
        return status_bytes(config->connections_max);
    case BODY_SYMBOLS:
        return (size_t)config->symbols_max * SYMBOL_BYTES + (16 << 10);
    case BODY_HISTORY:
        return HISTORY_BYTES;
    case BODY_HEALTH:
        return HEALTH_BYTES;
    case BODY_KINDS:
        break;
    }
    ASSERT(false);
    return 0;
}

static size_t net_bytes(const struct watch_config *config)
{
    return sizeof(struct watch_net) + config->connections_max * sizeof(struct watch_connection);
}

static struct server_config server_config_of(const struct watch_config *config)
{
    return (struct server_config){
        .listen = config->listen,
        .token = config->token,
        .allowed_hosts = config->allowed_hosts,
        .event_bytes_max = status_bytes(config->connections_max),
    };
}

size_t watch_memory_bytes(const struct watch_config *config, size_t *library)
{
    struct server_config server = server_config_of(config);
    size_t bytes = sizeof(struct watch) + board_memory_bytes(net_bytes(config)) +
                   board_memory_bytes(sizeof(struct watch_land));
    bytes += server_memory_bytes(&server, library);
    if (config->listen.on) {
        bytes += watch_symbols_bytes(config->streams_max, config->symbols_max);
        for (int kind = 0; kind < BODY_KINDS; kind++) {
            bytes += BODIES * body_bytes(config, (enum body_kind)kind);
        }
    }
    return bytes;
}

/* ---- the other threads */

struct watch_net *watch_net_slot(struct watch *watch)
{
    return board_slot(&watch->net);
}

void watch_net_publish(struct watch *watch)
{
    board_publish(&watch->net);
}

struct watch_land *watch_land_slot(struct watch *watch)
{
    return board_slot(&watch->land);
}

void watch_land_publish(struct watch *watch, int64_t unix_ns)
{
    board_publish(&watch->land);
    if (watch->config.listen.on) {
        watch_symbols_fill(&watch->symbols, unix_ns);
    }
}

void watch_landing_gap(struct watch_landing *landing, const struct event *event)
{
    struct watch_gap *row = &landing->gaps[landing->gaps_told++ % WATCH_GAPS];
    size_t bytes = event->symbol.bytes < WATCH_SYMBOL - 1 ? event->symbol.bytes : WATCH_SYMBOL - 1;
    *row = (struct watch_gap){.number = landing->gaps_told,
                              .told_unix_ns = event->recv_unix_ns,
                              .venue = event->venue,
                              .gap = event->gap};
    if (bytes > 0) {
        memcpy(row->symbol, event->symbol.data, bytes);
    }
}

/* ---- a second's look */

static void times_of(struct window *window, const struct histogram *histogram, bool roll,
                     struct watch_times *out)
{
    struct histogram_counts now, since;
    histogram_read(histogram, &now);
    histogram_since(&now, &window->older, &since);
    if (roll) {
        window->older = window->newer;
        window->newer = now;
    }
    out->total_count = now.total;
    out->total_s = (double)now.sum_ns / 1e9;
    out->negative = since.negative;
    out->count = since.total;
    out->p50_ns = histogram_quantile_ns(&since, 0.5);
    out->p90_ns = histogram_quantile_ns(&since, 0.9);
    out->p99_ns = histogram_quantile_ns(&since, 0.99);
    out->max_ns = histogram_quantile_ns(&since, 1);
    out->min_ns = histogram_quantile_ns(&since, 0);
}

static void look_at_times(struct watch *watch)
{
    struct watch_view *view = &watch->view;
    const struct watch_sources *sources = &watch->sources;
    bool roll = view->mono_ns - watch->window_ns >= WINDOW_NS;
    watch->window_ns = roll ? view->mono_ns : watch->window_ns;
    for (uint32_t v = 0; v < view->net->venue_count; v++) {
        uint32_t id = view->net->venues[v].id;
        times_of(&watch->latency[id], &sources->landing->latency[id], roll, &view->latency[id]);
    }
    times_of(&watch->journal_write, journal_write_times(sources->journal), roll,
             &view->journal_write);
    times_of(&watch->journal_sync, journal_sync_times(sources->journal), roll, &view->journal_sync);
    times_of(&watch->seal, store_seal_times(sources->store), roll, &view->seal);
}

/* Resident memory, from /proc/self/statm: pages in all, pages resident, ... */
static void look_at_memory(struct watch *watch)
{
    char text[128];
    ssize_t n = pread(watch->proc_fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    char *end = text;
    (void)strtoull(text, &end, 10);
    watch->view.rss = (size_t)strtoull(end, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
    watch->view.rss_high =
        watch->view.rss > watch->view.rss_high ? watch->view.rss : watch->view.rss_high;
    for (int line = 0; line < ALLOC_LINE_COUNT; line++) {
        watch->view.lines[line] = alloc_line_stats((enum alloc_line)line);
    }
}

static double per_second(uint64_t now, uint64_t before, int64_t passed_ns)
{
    return passed_ns > 0 && now > before ? (double)(now - before) * 1e9 / (double)passed_ns : 0;
}

static void look_at_rates(struct watch *watch)
{
    struct watch_view *view = &watch->view;
    const struct watch_net *net = view->net;
    uint64_t messages = 0, bytes = 0, dropped = 0;
    for (uint32_t v = 0; v < net->venue_count; v++) {
        messages += net->venues[v].feed.messages;
        bytes += net->venues[v].feed.bytes;
        for (int c = 0; c <= CHANNEL_COUNT; c++) {
            dropped += net->venues[v].dropped[c];
        }
    }
    int64_t net_ns = net->mono_ns - watch->before.net_ns;
    int64_t land_ns = view->land->mono_ns - watch->before.land_ns;
    if (net_ns > 0) { /* else nothing new was published: the last rates stand */
        bool first = watch->before.net_ns == 0;
        view->messages_per_s = first ? 0 : per_second(messages, watch->before.messages, net_ns);
        view->bytes_per_s = first ? 0 : per_second(bytes, watch->before.bytes, net_ns);
        view->drops_per_s = first ? 0 : per_second(dropped, watch->before.dropped, net_ns);
        watch->before.net_ns = net->mono_ns;
        watch->before.messages = messages;
        watch->before.bytes = bytes;
        watch->before.dropped = dropped;
    }
    if (land_ns > 0) {
        view->rows_per_s = watch->before.land_ns == 0
                               ? 0
                               : per_second(view->land->store.rows, watch->before.rows, land_ns);
        watch->before.land_ns = view->land->mono_ns;
        watch->before.rows = view->land->store.rows;
    }
    view->cpu_share = per_second((uint64_t)view->cpu_ns, (uint64_t)watch->before.cpu_ns,
                                 view->mono_ns - watch->before.mono_ns) /
                      1e9;
    watch->before.cpu_ns = view->cpu_ns;
    watch->before.mono_ns = view->mono_ns;
    view->dropped = dropped;
}

static int64_t process_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* cannot fail for this clock */
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void look(struct watch *watch)
{
    struct watch_view *view = &watch->view;
    const struct watch_sources *sources = &watch->sources;
    view->mono_ns = clock_mono_ns(&clock_system);
    view->unix_ns = clock_unix_ns(&clock_system);
    view->net = board_newest(&watch->net);
    view->land = board_newest(&watch->land);
    view->journal = journal_stats(sources->journal, view->mono_ns);
    view->journal_failing = journal_failing(sources->journal);
    view->ring_messages = ring_messages(sources->ring);
    view->ring_messages_high = ring_messages_high(sources->ring);
    view->ring_bytes = ring_bytes(sources->ring);
    view->ring_bytes_high = ring_bytes_high(sources->ring);
    view->ring_bytes_max = ring_capacity(sources->ring);
    view->cpu_ns = process_cpu_ns();
    view->log_errors = log_count(LOG_LEVEL_ERROR);
    view->log_warnings = log_count(LOG_LEVEL_WARN);
    view->log_suppressed = log_suppressed_count();
    if (watch->server != NULL) {
        struct server_stats stats = server_stats(watch->server);
        view->requests = stats.requests;
        view->requests_refused = stats.refused;
        view->events_clients = stats.event_clients;
    }
    look_at_memory(watch);
    look_at_times(watch);
    look_at_rates(watch);
    health_judge(&watch->health, view);
}

static uint32_t whole(double value)
{
    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static void remember(struct watch *watch)
{
    const struct watch_view *view = &watch->view;
    int64_t p50_ns = 0, p99_ns = 0;
    for (uint32_t v = 0; v < VENUE_ID_END; v++) {
        p50_ns = view->latency[v].p50_ns > p50_ns ? view->latency[v].p50_ns : p50_ns;
        p99_ns = view->latency[v].p99_ns > p99_ns ? view->latency[v].p99_ns : p99_ns;
    }
    double queue = (double)view->ring_bytes / (double)view->ring_bytes_max;
    if (view->ring_messages_max > 0) {
        double messages = (double)view->ring_messages / (double)view->ring_messages_max;
        queue = messages > queue ? messages : queue;
    }
    watch->samples[watch->sample_count++ % WATCH_HISTORY] = (struct watch_sample){
        .unix_ms = view->unix_ns / NS_PER_MS,
        .messages = whole(view->messages_per_s),
        .rows = whole(view->rows_per_s),
        .drops = whole(view->drops_per_s),
        .bytes = whole(view->bytes_per_s),
        .queue_permille = whole(queue * 1000),
        .rss_kib = (uint32_t)(view->rss / 1024),
        .latency_p50_us = (uint32_t)(p50_ns / NS_PER_US),
        .latency_p99_us = (uint32_t)(p99_ns / NS_PER_US),
        .lag_ms = (uint32_t)(view->journal.synced_lag_ns / NS_PER_MS),
    };
}

/* ---- answers */

static void write_health(struct buf *out, const struct watch *watch)
{
    const struct health *health = &watch->health;
    buf_printf(out, "%s\n", health_level_name(health->level));
    health_headline(health, &watch->view, out);
    buf_put_char(out, '\n');
    for (int i = 0; i < HEALTH_COUNT; i++) {
        enum health_condition condition = (enum health_condition)i;
        if (health->states[i].on) {
            buf_printf(out, "%s %s: %s: %s\n", health_level_name(health_level_of(condition)),
                       health_name(condition), health->states[i].words, health_remedy(condition));
        }
    }
    if (health->flowing < health->connections) {
        buf_printf(out, "data flows on %u of %u connections\n", health->flowing,
                   health->connections);
    }
}

static void write_body(struct watch *watch, enum body_kind kind, struct buf *out)
{
    uint32_t kept = watch->sample_count < WATCH_HISTORY ? watch->sample_count : WATCH_HISTORY;
    switch (kind) {
    case BODY_METRICS:
        metrics_write(out, &watch->view, &watch->health);
        return;
    case BODY_STATUS:
        status_write(out, &watch->view, &watch->health, (struct status_since){0, 0});
        return;
    case BODY_SYMBOLS:
        watch_symbols_take(&watch->symbols);
        watch_symbols_want(&watch->symbols);
        watch_symbols_write(out, &watch->symbols);
        return;
    case BODY_HISTORY:
        status_history(out, watch->samples, (watch->sample_count - kept) % WATCH_HISTORY, kept);
        return;
    case BODY_HEALTH:
        write_health(out, watch);
        return;
    case BODY_KINDS:
        break;
    }
    ASSERT(false);
}

/* This second's answer, made now if there is none. NULL: every buffer is being sent. */
static struct body *body_of(struct watch *watch, enum body_kind kind)
{
    struct body *unused = NULL;
    for (int i = 0; i < BODIES; i++) {
        struct body *body = &watch->bodies[kind][i];
        if (body->second == watch->second) {
            return body;
        }
        unused = body->users == 0 ? body : unused;
    }
    if (unused != NULL) {
        struct buf out = buf_over(unused->memory, unused->capacity);
        write_body(watch, kind, &out);
        if (out.overflow) {
            LOG_WARN("answer_cut", "an answer to HTTP is longer than its %zu bytes",
                     unused->capacity);
        }
        unused->bytes = out.bytes;
        unused->second = watch->second;
    }
    return unused;
}

static bool is_ready(const struct watch *watch)
{
    return watch->health.begun && !watch->view.net->stopping;
}

static bool is_healthy(const struct watch *watch)
{
    const struct health *health = &watch->health;
    return is_ready(watch) && health->level != HEALTH_RED && health->flowing == health->connections;
}

static struct server_body on_request(void *context, struct str path)
{
    static const struct {
        const char *path, *type;
        enum body_kind kind;
    } routes[] = {
        {"/metrics", "text/plain; version=0.0.4; charset=utf-8", BODY_METRICS},
        {"/status.json", "application/json", BODY_STATUS},
        {"/symbols.json", "application/json", BODY_SYMBOLS},
        {"/history.json", "application/json", BODY_HISTORY},
        {"/healthz", "text/plain; charset=utf-8", BODY_HEALTH},
        {"/readyz", "text/plain; charset=utf-8", BODY_HEALTH},
    };
    struct watch *watch = context;
    for (size_t i = 0; i < page_file_count; i++) {
        if (str_equal(path, str_from(page_files[i].path))) {
            return (struct server_body){.status = 200,
                                        .type = page_files[i].type,
                                        .data = (const char *)page_files[i].data,
                                        .bytes = page_files[i].bytes,
                                        .etag = page_files[i].etag};
        }
    }
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!str_equal(path, str_from(routes[i].path))) {
            continue;
        }
        struct body *body = body_of(watch, routes[i].kind);
        if (body == NULL) {
            return (struct server_body){
                .status = 503, .type = "text/plain", .data = "busy\n", .bytes = 5};
        }
        bool good = routes[i].kind != BODY_HEALTH ||
                    (routes[i].path[1] == 'r' ? is_ready(watch) : is_healthy(watch));
        return (struct server_body){.status = good ? 200 : 503,
                                    .type = routes[i].type,
                                    .data = body->memory,
                                    .bytes = body->bytes,
                                    .users = &body->users};
    }
    return (struct server_body){.status = 0};
}

static void write_event(void *context, struct buf *out)
{
    struct watch *watch = context;
    status_write(out, &watch->view, &watch->health, watch->told);
}

/* ---- the thread */

static void sleep_until(struct watch *watch, int64_t deadline_ns)
{
    int64_t now = clock_mono_ns(&clock_system);
    int64_t left_ms = deadline_ns > now ? (deadline_ns - now) / NS_PER_MS : 0;
    left_ms = left_ms < 200 ? left_ms : 200; /* looks whether it shall stop */
    if (watch->server != NULL) {
        server_turn(watch->server, now, (int)left_ms);
    } else {
        struct timespec pause = {0, left_ms * NS_PER_MS};
        nanosleep(&pause, NULL);
    }
}

static void ignore_line(void *context, const struct log_line *line)
{
    (void)context, (void)line;
}

static void *watch_main(void *context)
{
    struct watch *watch = context;
    int64_t next_ns = clock_mono_ns(&clock_system);
    while (!atomic_load(&watch->stop)) {
        if (clock_mono_ns(&clock_system) < next_ns) {
            sleep_until(watch, next_ns);
            continue;
        }
        next_ns += NS_PER_S;
        watch->second++;
        look(watch);
        remember(watch);
        if (watch->server != NULL) {
            server_event(watch->server, write_event, watch);
            watch->told.gap = watch->view.land->gaps_told;
            watch->told.log = log_tail(UINT64_MAX, ignore_line, NULL);
        }
    }
    return NULL;
}

int watch_start(struct watch *watch, const struct watch_sources *sources)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    watch->sources = *sources;
    watch->view.normalise = sources->normalise;
    watch->symbols.normalise = sources->normalise;
    watch->view.started_mono_ns = clock_mono_ns(&clock_system);
    watch->view.started_unix_ns = clock_unix_ns(&clock_system);
    watch->view.mono_ns = watch->view.started_mono_ns;
    watch->view.unix_ns = watch->view.started_unix_ns;
    watch->view.net = board_newest(&watch->net);
    watch->view.land = board_newest(&watch->land);
    if (pthread_attr_init(&attributes) != 0) {
        return MD_ENOMEM;
    }
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES); /* else the default: larger */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
    watch->started = pthread_create(&watch->thread, &attributes, watch_main, watch) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (!watch->started) {
        return MD_ENOMEM;
    }
    (void)pthread_setname_np(watch->thread, "watch"); /* for people's eyes only */
    return 0;
}

void watch_stop(struct watch *watch)
{
    if (watch != NULL && watch->started) {
        atomic_store(&watch->stop, true);
        pthread_join(watch->thread, NULL);
        watch->started = false;
    }
}

/* ---- open and close */

static int take_bodies(struct watch *watch)
{
    for (int kind = 0; kind < BODY_KINDS; kind++) {
        for (int i = 0; i < BODIES; i++) {
            struct body *body = &watch->bodies[kind][i];
            body->capacity = body_bytes(&watch->config, (enum body_kind)kind);
            body->memory = alloc_take(ALLOC_WATCH, body->capacity);
            if (body->memory == NULL) {
                return MD_ENOMEM;
            }
        }
    }
    return watch_symbols_init(&watch->symbols, NULL, watch->config.streams_max,
                              watch->config.symbols_max);
}

static int serve(struct watch *watch, struct err *err)
{
    struct server_config config = server_config_of(&watch->config);
    config.on_request = on_request;
    config.context = watch;
    int code = server_open(&watch->server, &config, err);
    if (code == MD_EFULL) {
        LOG_WARN("http_port", "%s: no page and no metrics: set another http.listen", err->text);
        return 0;
    }
    if (code == 0) {
        const struct listen_address *listen = &watch->config.listen;
        snprintf(watch->url, sizeof watch->url, "http://%s%s%s:%u/", listen->ipv6 ? "[" : "",
                 listen->host, listen->ipv6 ? "]" : "", server_port(watch->server));
    }
    return code;
}

int watch_open(struct watch **out, const struct watch_config *config, struct err *err)
{
    struct watch *watch = alloc_take(ALLOC_WATCH, sizeof *watch);
    if (watch == NULL) {
        return err_set(err, MD_ENOMEM, "watch: no memory");
    }
    watch->config = *config;
    watch->proc_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC); /* -1: memory shows as 0 */
    watch->view.recorder = config->recorder;
    watch->view.data_dir = config->data_dir;
    watch->view.sync_ms = config->sync_ms;
    watch->view.lines_planned = config->lines_planned;
    watch->view.planned = config->planned;
    watch->view.budget = config->budget;
    watch->view.ring_messages_max = config->queue_messages_max;
    int code = board_init(&watch->net, net_bytes(config));
    code = code != 0 ? code : board_init(&watch->land, sizeof(struct watch_land));
    code = code != 0 || !config->listen.on ? code : take_bodies(watch);
    if (code != 0) {
        err_set(err, code, "watch: no memory");
    } else if (config->listen.on) {
        code = serve(watch, err);
    }
    if (code != 0) {
        watch_close(watch);
        return code;
    }
    *out = watch;
    return 0;
}

const char *watch_url(const struct watch *watch)
{
    return watch->url;
}

void watch_close(struct watch *watch)
{
    if (watch == NULL) {
        return;
    }
    ASSERT(!watch->started);
    server_close(watch->server);
    for (int kind = 0; kind < BODY_KINDS; kind++) {
        for (int i = 0; i < BODIES; i++) {
            alloc_give(watch->bodies[kind][i].memory);
        }
    }
    watch_symbols_deinit(&watch->symbols);
    board_deinit(&watch->net);
    board_deinit(&watch->land);
    if (watch->proc_fd >= 0) {
        close(watch->proc_fd);
    }
    alloc_give(watch);
}
