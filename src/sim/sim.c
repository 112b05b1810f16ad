/* The simulator as a whole: memory, listener, the loop, the status. One turn: sockets, then the
 * market until now, then timed things and flushing of every connection.
 *
 * Memory (ALLOC_SIM, all at sim_create): model, one living book per trading symbol (slots x 4
 * bytes), subscriptions, send and request buffers of all connections, scratch; sim_memory_bytes()
 * adds it up. OpenSSL (ALLOC_LIB_TLS) and wslay take some more per connection, bounded by
 * connections_max. */
#include "sim/sim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"
#include "sim/sim_cert.h"
#include "sim/sim_exchange.h"

#define WAIT_MS_MAX 20
#define SUBS_MAX 262144U
#define FRAME_SCRATCH_BYTES (SIM_TEXT_BYTES + 4096)

struct sim_config sim_config_default(void)
{
    return (struct sim_config){
        .exchange = VENUE_BINANCE,
        .model = {.seed = 1,
                  .symbols = 50,
                  .symbols_idle = 4,
                  .trades_per_s = 500,
                  .updates_per_trade = 4},
        .address = "127.0.0.1",
        .ca_path = "",
        .connections_max = 32,
        .limits = sim_limits_default(),
        .replay_path = "",
        .replay_speed = 1,
        .clock = &clock_system,
    };
}

const struct sim_exchange *sim_exchange_of(enum venue_id venue)
{
    static const struct sim_exchange *const exchanges[VENUE_ID_END] = {
        [VENUE_BINANCE] = &sim_binance,
        [VENUE_KUCOIN] = &sim_kucoin_spot,
        [VENUE_KUCOIN_FUTURES] = &sim_kucoin_futures,
        [VENUE_GATE] = &sim_gate_spot,
        [VENUE_GATE_FUTURES] = &sim_gate_futures,
        [VENUE_BINANCE_FUTURES] = &sim_binance_futures,
    };
    return venue > VENUE_NONE && venue < VENUE_ID_END ? exchanges[venue] : NULL;
}

bool sim_plays(enum venue_id exchange)
{
    return sim_exchange_of(exchange) != NULL;
}

/* ---- memory */

/* 512 KiB, or a quarter second of all messages at the configured rate: whoever falls behind by more
 * does not read. */
static size_t send_buffer_bytes(const struct sim_config *config)
{
    double bytes = config->model.trades_per_s * 200 / 4;
    if (config->send_buffer_bytes != 0) {
        return config->send_buffer_bytes;
    }
    return bytes < 512 * 1024 ? 512 * 1024 : bytes > 16777216 ? 16777216 : (size_t)bytes;
}

static uint32_t subs_count(const struct sim_config *config)
{
    uint64_t subs = (uint64_t)config->connections_max * config->limits.streams_per_connection;
    return subs > SUBS_MAX ? SUBS_MAX : (uint32_t)subs;
}

static size_t steps_count(const struct model *model)
{
    size_t steps = 0;
    for (uint32_t i = 0; i < model->count; i++) {
        steps += model->symbols[i].trading ? model->symbols[i].slots : 0;
    }
    return steps;
}

/* Zeroed; 16 bytes of nothing for an exchange without. */
static size_t own_bytes(const struct sim_exchange *exchange, uint32_t symbols)
{
    return exchange == NULL
               ? 0
               : 16 + exchange->own_bytes + (size_t)exchange->own_symbol_bytes * symbols;
}

/* One line per piece; the same sizes as in memory_take. Books are counted at their usual size. */
size_t sim_memory_bytes(const struct sim_config *config)
{
    uint32_t symbols = config->model.symbols + config->model.symbols_idle;
    uint32_t deep = config->model.symbols < 20 ? config->model.symbols : 20;
    uint32_t middle = config->model.symbols < 200 ? config->model.symbols : 200;
    size_t connection = send_buffer_bytes(config) + SIM_REQUEST_BYTES_MAX +
                        SIM_UNKNOWN_MAX * SIM_UNKNOWN_BYTES + config->coalesce_bytes +
                        sizeof(struct sim_conn);
    size_t bytes = sizeof(struct sim);
    bytes += model_memory_bytes(&config->model);
    bytes += symbols * (sizeof(struct sim_live) + SIM_STREAMS_MAX * sizeof(uint32_t));
    bytes += (deep * 4096UL + middle * 1024UL + config->model.symbols * 512UL) * sizeof(uint32_t);
    bytes += subs_count(config) * sizeof(struct sim_sub);
    bytes += config->connections_max * connection;
    bytes += sizeof(struct sim_addresses) + own_bytes(sim_exchange_of(config->exchange), symbols);
    bytes += 2UL * SIM_TEXT_BYTES + 2UL * (SIM_HELD_BYTES + SIM_PREFIX_BYTES + 1);
    bytes += FRAME_SCRATCH_BYTES + SIM_TEXT_BYTES;
    bytes += MODEL_SLOTS_MAX * (sizeof(uint32_t) + 2 * sizeof(struct model_level));
    return bytes;
}

static bool memory_take(struct sim *sim)
{
    void *model_memory = alloc_take(ALLOC_SIM, model_memory_bytes(&sim->config.model));
    if (model_memory == NULL) {
        return false;
    }
    model_init(&sim->model, &sim->config.model, model_memory);
    if (sim->exchange->spell != NULL && sim->config.model.names == NULL) {
        model_rename(&sim->model, sim->exchange->spell);
    }
    uint32_t symbols = sim->model.count;
    sim->subs_max = subs_count(&sim->config);
    sim->live = alloc_take(ALLOC_SIM, symbols * sizeof *sim->live);
    sim->live_steps = alloc_take(ALLOC_SIM, steps_count(&sim->model) * sizeof(uint32_t));
    sim->heads =
        alloc_take(ALLOC_SIM, (size_t)symbols * sim->exchange->stream_count * sizeof(uint32_t));
    sim->subs = alloc_take(ALLOC_SIM, sim->subs_max * sizeof *sim->subs);
    sim->addresses = alloc_take(ALLOC_SIM, sizeof *sim->addresses);
    sim->venue = alloc_take(ALLOC_SIM, own_bytes(sim->exchange, symbols));
    for (int unit = 0; unit < 2; unit++) {
        sim->text[unit] = alloc_take(ALLOC_SIM, SIM_TEXT_BYTES);
        sim->held_text[unit] = alloc_take(ALLOC_SIM, SIM_PREFIX_BYTES + SIM_HELD_BYTES + 1);
    }
    sim->frame_bytes = alloc_take(ALLOC_SIM, FRAME_SCRATCH_BYTES);
    sim->body = alloc_take(ALLOC_SIM, SIM_TEXT_BYTES);
    sim->steps = alloc_take(ALLOC_SIM, MODEL_SLOTS_MAX * sizeof(uint32_t));
    sim->bids = alloc_take(ALLOC_SIM, MODEL_SLOTS_MAX * sizeof(struct model_level));
    sim->asks = alloc_take(ALLOC_SIM, MODEL_SLOTS_MAX * sizeof(struct model_level));
    return sim->live != NULL && sim->live_steps != NULL && sim->heads != NULL &&
           sim->subs != NULL && sim->addresses != NULL && sim->venue != NULL &&
           sim->text[0] != NULL && sim->text[1] != NULL && sim->held_text[0] != NULL &&
           sim->held_text[1] != NULL && sim->frame_bytes != NULL && sim->body != NULL &&
           sim->steps != NULL && sim->bids != NULL && sim->asks != NULL;
}

static void memory_give(struct sim *sim)
{
    alloc_give(sim->model.symbols);
    alloc_give(sim->live);
    alloc_give(sim->live_steps);
    alloc_give(sim->heads);
    alloc_give(sim->subs);
    alloc_give(sim->addresses);
    alloc_give(sim->venue);
    for (int unit = 0; unit < 2; unit++) {
        alloc_give(sim->text[unit]);
        alloc_give(sim->held_text[unit]);
    }
    alloc_give(sim->frame_bytes);
    alloc_give(sim->body);
    alloc_give(sim->steps);
    alloc_give(sim->bids);
    alloc_give(sim->asks);
}

/* ---- listening */

static void address_bytes(const struct sockaddr_in *from, uint8_t ip[16])
{
    memset(ip, 0, 16);
    memcpy(ip, &from->sin_addr, sizeof from->sin_addr);
}

static void on_listener(void *context, unsigned events)
{
    struct sim *sim = context;
    (void)events;
    for (int i = 0; i < 64; i++) {
        struct sockaddr_in from;
        socklen_t from_bytes = sizeof from;
        int fd = accept4(sim->listener.fd, (struct sockaddr *)&from, &from_bytes,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return; /* none left, or no descriptors: the next turn tries again */
        }
        uint8_t ip[16];
        address_bytes(&from, ip);
        sim->counters[SIM_COUNT_CONNECTIONS]++;
        if (!sim_conn_open(sim, fd, ip)) {
            sim->counters[SIM_COUNT_REFUSED]++;
            (void)close(fd);
        }
    }
}

static int listen_open(struct sim *sim, struct err *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(sim->config.port)};
    socklen_t at_bytes = sizeof at;
    if (inet_pton(AF_INET, sim->config.address, &at.sin_addr) != 1) {
        return err_set(err, MD_EINVAL, "sim: %s: not an IPv4 address", sim->config.address);
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_set(err, err_from_errno(errno), "sim: socket: %s", strerror(errno));
    }
    int one = 1;
    sim->listener = (struct loop_source){.fd = fd, .on_ready = on_listener, .context = sim};
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 256) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &at_bytes) != 0) {
        int code = err_set(err, err_from_errno(errno), "sim: %s:%u: %s", sim->config.address,
                           sim->config.port, strerror(errno));
        (void)close(fd);
        sim->listener.fd = -1;
        return code;
    }
    sim->port = ntohs(at.sin_port);
    return loop_add(sim->loop, &sim->listener, LOOP_READ);
}

/* ---- create and destroy */

static ssize_t frame_send(const uint8_t *data, size_t bytes, int flags, void *context)
{
    (void)flags;
    struct sim *sim = context;
    if (bytes > FRAME_SCRATCH_BYTES - sim->frame_used) {
        return -1;
    }
    memcpy(sim->frame_bytes + sim->frame_used, data, bytes);
    sim->frame_used += bytes;
    return (ssize_t)bytes;
}

static int frame_mask(uint8_t *data, size_t bytes, void *context)
{
    (void)context; /* a server does not mask; wslay never asks */
    memset(data, 0, bytes);
    return 0;
}

static void time_read(struct sim *sim)
{
    int64_t now = clock_unix_ns(sim->config.clock);
    sim->now_mono_ns = clock_mono_ns(sim->config.clock);
    sim->now_unix_ns = now > sim->now_unix_ns ? now : sim->now_unix_ns;
}

static int config_check(const struct sim_config *config, struct err *err)
{
    if (sim_exchange_of(config->exchange) == NULL) {
        return err_set(err, MD_ENOTSUP, "sim: %s: not an exchange the simulator plays",
                       venue_name(config->exchange) != NULL ? venue_name(config->exchange) : "?");
    }
    if (config->connections_max < 1 || config->connections_max > 4096) {
        return err_set(err, MD_EINVAL, "sim: connections_max: %u: not within 1 .. 4096",
                       config->connections_max);
    }
    if (config->send_buffer_bytes != 0 && config->send_buffer_bytes < SIM_TEXT_BYTES) {
        return err_set(err, MD_EINVAL, "sim: send_buffer_bytes: %zu: less than %u",
                       config->send_buffer_bytes, SIM_TEXT_BYTES);
    }
    if (config->coalesce_bytes > 16384) {
        return err_set(err, MD_EINVAL, "sim: coalesce_bytes: %u: more than 16384",
                       config->coalesce_bytes);
    }
    if (config->model.symbols < 1 ||
        (uint64_t)config->model.symbols + config->model.symbols_idle > MODEL_SYMBOLS_MAX) {
        return err_set(err, MD_EINVAL, "sim: symbols: not within 1 .. %d", MODEL_SYMBOLS_MAX);
    }
    return 0;
}

static int parts_open(struct sim *sim, struct err *err)
{
    const struct wslay_frame_callbacks callbacks = {.send_callback = frame_send,
                                                    .genmask_callback = frame_mask};
    if (sim->config.replay_path != NULL && sim->config.replay_path[0] != 0) {
        int result = sim_replay_open(sim, err);
        if (result != 0) {
            return result;
        }
    }
    if (!memory_take(sim) || sim_conn_init(sim) != 0 ||
        wslay_frame_context_init(&sim->frame, &callbacks, sim) != 0) {
        return err_set(err, MD_ENOMEM, "sim: no memory");
    }
    int result = sim_faults_parse(&sim->faults, sim->config.faults, sim->config.model.seed, err);
    if (result == 0 && !sim->config.plain) {
        result = sim_cert_context(sim->config.ca_path, &sim->tls, err);
    }
    if (result != 0) {
        return result;
    }
    sim_feed_init(sim);
    sim->loop = loop_create(sim->config.clock, 1, err);
    return sim->loop == NULL ? MD_ENOMEM : listen_open(sim, err);
}

struct sim *sim_create(const struct sim_config *config, int *code, struct err *err)
{
    *code = config_check(config, err);
    if (*code != 0) {
        return NULL;
    }
    struct sim *sim = alloc_take(ALLOC_SIM, sizeof *sim);
    if (sim == NULL) {
        *code = err_set(err, MD_ENOMEM, "sim: no memory");
        return NULL;
    }
    sim->config = *config;
    sim->exchange = sim_exchange_of(config->exchange);
    sim->config.send_buffer_bytes = send_buffer_bytes(config);
    sim->listener.fd = -1;
    *code = parts_open(sim, err);
    if (*code != 0) {
        sim_destroy(sim);
        return NULL;
    }
    time_read(sim);
    sim->start_mono_ns = sim->now_mono_ns;
    sim->start_unix_ns = sim->now_unix_ns;
    return sim;
}

void sim_destroy(struct sim *sim)
{
    if (sim == NULL) {
        return;
    }
    sim_conn_deinit(sim);
    if (sim->listener.fd >= 0) {
        loop_remove(sim->loop, &sim->listener);
        (void)close(sim->listener.fd);
    }
    if (sim->loop != NULL) {
        loop_destroy(sim->loop);
    }
    if (sim->frame != NULL) {
        wslay_frame_context_free(sim->frame);
    }
    SSL_CTX_free(sim->tls);
    sim_replay_close(sim);
    memory_give(sim);
    alloc_give(sim);
}

uint16_t sim_port(const struct sim *sim)
{
    return sim->port;
}

/* ---- serving */

static int wait_ms(const struct sim *sim, int64_t due_unix_ns)
{
    int64_t wait_ns = due_unix_ns - sim->now_unix_ns;
    if (wait_ns <= 0) {
        return 0;
    }
    int64_t ms = wait_ns / NS_PER_MS + 1;
    return ms > WAIT_MS_MAX ? WAIT_MS_MAX : (int)ms;
}

int sim_turn(struct sim *sim, int wait)
{
    loop_turn(sim->loop, wait);
    time_read(sim);
    int64_t due = sim_feed_turn(sim);
    bool busy = sim_conn_turn(sim);
    return busy ? 0 : wait_ms(sim, due);
}

void sim_serve(struct sim *sim, volatile sig_atomic_t *stop, int64_t serve_ms)
{
    int wait = 0;
    time_read(sim);
    int64_t until = serve_ms < 0 ? INT64_MAX : sim->now_mono_ns + serve_ms * NS_PER_MS;
    while ((stop == NULL || !*stop) && sim->now_mono_ns < until) {
        wait = sim_turn(sim, wait);
    }
}

/* ---- counters */

static const char *const counter_names[] = {
#define X(name, label) label,
    SIM_COUNTER_LIST(X)
#undef X
};
static const char *const violation_names[] = {
#define X(name, label) label,
    SIM_VIOLATION_LIST(X)
#undef X
};

void sim_violate(struct sim *sim, enum sim_violation violation)
{
    sim->violations[violation]++;
    LOG_INFO("sim_violation", "a client broke the limit %s", violation_names[violation]);
}

enum sim_listing sim_listing_of(const struct sim *sim, uint32_t symbol)
{
    enum sim_listing listing = sim->model.symbols[symbol].trading ? SIM_TRADES : SIM_HALTED;
    for (uint32_t r = 0; r < sim->faults.count; r++) {
        const struct sim_fault_rule *rule = &sim->faults.rules[r];
        bool concerns = (rule->fault == SIM_FAULT_LIST || rule->fault == SIM_FAULT_DELIST) &&
                        strcmp(rule->symbol, sim->model.symbols[symbol].name) == 0;
        bool over = sim_since_start_ns(sim) >= rule->value;
        if (concerns && rule->fault == SIM_FAULT_LIST && !over) {
            return SIM_HIDDEN;
        }
        if (concerns && rule->fault == SIM_FAULT_DELIST && over) {
            listing = SIM_HALTED;
        }
    }
    return listing;
}

void sim_fault_note(struct sim *sim, struct sim_fault_rule *rule, uint32_t conn, const char *stream,
                    int64_t index)
{
    sim_faults_count(&sim->faults, rule);
    if (sim->config.on_fault != NULL) {
        sim->config.on_fault(sim->config.context, sim->now_unix_ns, sim_fault_name(rule->fault),
                             conn, stream, index);
    }
}

uint64_t sim_violations(const struct sim *sim)
{
    uint64_t sum = 0;
    for (int i = 0; i < SIM_VIOLATION_COUNT; i++) {
        sum += sim->violations[i];
    }
    return sum;
}

static void put_counter(struct buf *out, const char *name, uint64_t value)
{
    buf_printf(out, ",\"%s\":%llu", name, (unsigned long long)value);
}

void sim_status(const struct sim *sim, struct buf *out)
{
    uint64_t injected = 0;
    buf_printf(out, "{\"exchange\":\"%s\",", sim->exchange->name);
    buf_printf(out, "\"seed\":%llu,\"symbols\":%u,\"uptime_ms\":%lld,\"connections_open\":%u",
               (unsigned long long)sim->config.model.seed, sim->model.config.symbols,
               (long long)(sim_since_start_ns(sim) / NS_PER_MS), sim->open_count);
    for (int i = 0; i < SIM_COUNTER_COUNT; i++) {
        put_counter(out, counter_names[i], sim->counters[i]);
    }
    put_counter(out, "lag_us_max", (uint64_t)sim->lag_ns_max / 1000);
    put_counter(out, "violations", sim_violations(sim));
    buf_printf(out, ",\"violations_by_kind\":{");
    for (int i = 0; i < SIM_VIOLATION_COUNT; i++) {
        buf_printf(out, "%s\"%s\":%llu", i == 0 ? "" : ",", violation_names[i],
                   (unsigned long long)sim->violations[i]);
    }
    buf_printf(out, "},\"faults_by_kind\":{");
    for (int i = 0; i < SIM_FAULT_COUNT; i++) {
        injected += sim->faults.injected[i];
        buf_printf(out, "%s\"%s\":%llu", i == 0 ? "" : ",", sim_fault_name((enum sim_fault)i),
                   (unsigned long long)sim->faults.injected[i]);
    }
    buf_printf(out, "},\"fault_rules\":[");
    for (uint32_t i = 0; i < sim->faults.count; i++) {
        buf_printf(out, "%s{\"line\":%u,\"fault\":\"%s\",\"hits\":%llu}", i == 0 ? "" : ",",
                   sim->faults.rules[i].line, sim_fault_name(sim->faults.rules[i].fault),
                   (unsigned long long)sim->faults.rules[i].hits);
    }
    buf_printf(out, "]");
    put_counter(out, "faults", injected);
    buf_printf(out, "}");
}

int sim_run(const struct sim_config *config, volatile sig_atomic_t *stop, int status_fd,
            struct err *err)
{
    int code;
    struct sim *sim = sim_create(config, &code, err);
    if (sim == NULL) {
        return code;
    }
    if (config->on_ready != NULL) {
        config->on_ready(config->context, sim->port);
    }
    sim_serve(sim, stop, -1);
    if (status_fd >= 0) {
        struct buf out = buf_over(sim->body, SIM_TEXT_BYTES);
        sim_status(sim, &out);
        buf_put_char(&out, '\n');
        ssize_t n = write(status_fd, out.data, out.bytes);
        if (n != (ssize_t)out.bytes) {
            code = err_set(err, MD_EIO, "sim: the status could not be written");
        }
    }
    sim_destroy(sim);
    return code;
}
