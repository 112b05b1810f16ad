/* The life of a venue's connections, on the net thread: connect (paced) -> open -> subscribe
 * (paced, acks awaited) -> live -> closed -> backoff -> connect. And its REST queue: instruments
 * and book snapshots, one request in flight, within the venue's weight a minute.
 *
 * Invariants: a stream belongs to one connection for the feed's life; all streams of a symbol are
 * on the same one; requests on a connection keep the venue's spacing and window; what was received
 * or sent is handed on as a record before anything is concluded from it. Memory: fixed at
 * feed_create(); the connections' buffers belong to net. */
#include "exchange/feed.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"
#include "net/backoff.h"

#define REQUEST_BYTES_MAX 8192
#define WEIGHT_SLOTS 60 /* one a second: the venue's window is a minute */
#define REST_RETRY_MS 1000

enum connection_state {
    CONNECTION_WAITING, /* for its turn to connect */
    CONNECTION_CONNECTING,
    CONNECTION_SUBSCRIBING, /* open, requests left to send or acks outstanding */
    CONNECTION_LIVE,
    CONNECTION_STOPPED,
};

struct connection {
    struct feed *feed;
    struct ws_client *client;
    struct loop_timer timer;
    struct backoff backoff;
    struct pace control_pace;
    enum connection_state state;
    uint32_t index;
    uint32_t conn;     /* number of the present or last connect; 0 = none yet */
    uint32_t *streams; /* indexes into feed->streams */
    uint32_t stream_count;
    uint32_t stream_next; /* first one not asked for yet */
    uint32_t acks_missing;
    int64_t ack_deadline_ns;
    int64_t opened_mono_ns;
    char url[512];
};

struct rest_queue {
    uint32_t *symbols; /* ring of indexes into feed->symbols */
    uint8_t *queued;   /* one a symbol */
    uint32_t capacity, first, count;
    bool instruments_due;
    bool in_flight;
    bool in_flight_instruments;
    uint32_t in_flight_symbol;
    char url[512];
    int64_t paused_until_ns;
    int64_t instruments_at_ns;
    struct {
        int64_t second;
        uint32_t weight;
    } used[WEIGHT_SLOTS];
    struct loop_timer timer;
};

struct feed {
    struct feed_config config;
    struct feed_handlers handlers;
    struct net *net;
    struct rest *rest;
    struct loop *loop;
    const struct stream_request *streams;
    uint32_t stream_count;
    struct connection *connections;
    uint32_t connection_count;
    struct str *symbols; /* distinct, in order of the streams */
    uint32_t symbol_count;
    struct pace connect_pace;
    struct rest_queue queue;
    uint64_t random;
    int64_t request_id;
    bool stopping, ever_open;
    struct feed_stats stats;
    char request[REQUEST_BYTES_MAX];
    void *memory[8];
};

/* ---- plan */

static uint32_t symbols_of(const struct stream_request *streams, uint32_t count)
{
    uint32_t symbols = 0;
    for (uint32_t i = 0; i < count; i++) {
        symbols += i == 0 || !str_equal(streams[i].symbol, streams[i - 1].symbol);
    }
    return symbols;
}

static uint32_t streams_per_symbol_max(const struct stream_request *streams, uint32_t count)
{
    uint32_t most = 1;
    uint32_t run = 0;
    for (uint32_t i = 0; i < count; i++) {
        run = i > 0 && str_equal(streams[i].symbol, streams[i - 1].symbol) ? run + 1 : 1;
        most = run > most ? run : most;
    }
    return most;
}

static uint32_t cap_of(const struct feed_config *config)
{
    uint32_t cap = config->venue->endpoints[0].limits.streams_per_connection;
    return config->streams_per_connection < cap ? config->streams_per_connection : cap;
}

static uint32_t connections_for(const struct feed_config *config,
                                const struct stream_request *streams, uint32_t count)
{
    uint32_t per_symbol = streams_per_symbol_max(streams, count);
    uint32_t symbols_each = cap_of(config) / per_symbol;
    symbols_each = symbols_each > 0 ? symbols_each : 1;
    return (symbols_of(streams, count) + symbols_each - 1) / symbols_each;
}

static uint32_t weight_limit(const struct feed_config *config)
{
    return config->venue->rest_weight_per_minute * config->rest_weight_percent / 100;
}

struct feed_plan feed_plan(const struct feed_config *config, const struct stream_request *streams,
                           uint32_t count)
{
    struct feed_plan plan = {.streams = count};
    if (count == 0) {
        return plan;
    }
    const struct venue_limits *limits = &config->venue->endpoints[0].limits;
    plan.connections = connections_for(config, streams, count);
    uint32_t symbols = symbols_of(streams, count);
    uint32_t depth_symbols = 0;
    for (uint32_t i = 0; i < count; i++) {
        depth_symbols += streams[i].channel == CHANNEL_DEPTH;
    }
    uint32_t symbols_each = (symbols + plan.connections - 1) / plan.connections;
    plan.streams_on_fullest = symbols_each * streams_per_symbol_max(streams, count);
    uint32_t names_each = limits->subscribe_bytes_max / 32; /* names are about 30 bytes */
    uint32_t requests_each = (plan.streams_on_fullest + names_each - 1) / names_each;
    plan.requests = requests_each * plan.connections;
    plan.subscribe_ms = limits->connect_spacing_ms * (plan.connections - 1) +
                        limits->control_spacing_ms * (requests_each - 1);
    plan.rest_weight_start = config->venue->rest_weights[VENUE_REST_INSTRUMENTS] +
                             depth_symbols * config->venue->rest_weights[VENUE_REST_SNAPSHOT];
    uint32_t minute = weight_limit(config);
    plan.snapshots_ms = plan.rest_weight_start <= minute || minute == 0
                            ? 0
                            : (int64_t)(plan.rest_weight_start - minute) * 60000 / minute;
    return plan;
}

/* ---- helpers */

static int64_t now_ns(const struct feed *feed)
{
    return loop_now_mono_ns(feed->loop);
}

static int64_t unix_ns(const struct feed *feed)
{
    return clock_unix_ns(loop_clock(feed->loop));
}

static uint64_t next_random(struct feed *feed)
{
    uint64_t z = (feed->random += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static void hand_on(struct feed *feed, enum record_kind kind, uint32_t conn, int64_t time_unix_ns,
                    struct str arg, struct str payload, bool droppable)
{
    struct record record = {
        .time_unix_ns = time_unix_ns,
        .kind = kind,
        .venue = feed->config.venue->id,
        .conn = conn,
        .arg = arg,
        .payload = payload,
    };
    feed->handlers.on_record(feed->handlers.context, &record, droppable);
}

static void arm(struct connection *connection, int64_t deadline_ns)
{
    int code = loop_timer_set(connection->feed->loop, &connection->timer, deadline_ns);
    ASSERT(code == 0); /* the loop is created with a timer for each connection */
}

/* ---- connections */

static void connection_schedule(struct connection *connection, int64_t delay_ms)
{
    struct feed *feed = connection->feed;
    connection->state = feed->stopping ? CONNECTION_STOPPED : CONNECTION_WAITING;
    if (!feed->stopping) {
        arm(connection, now_ns(feed) + delay_ms * NS_PER_MS);
    }
}

static void connection_connect(struct connection *connection, int64_t now)
{
    struct feed *feed = connection->feed;
    int64_t earliest = pace_earliest_ns(&feed->connect_pace, now);
    if (earliest > now) {
        arm(connection, earliest);
        return;
    }
    pace_take(&feed->connect_pace, now);
    feed->stats.connects++;
    connection->conn = feed->handlers.next_conn(feed->handlers.context);
    connection->state = CONNECTION_CONNECTING;
    struct err err;
    int code = ws_client_connect(connection->client, connection->url, (struct str){0}, &err);
    if (code != 0) {
        LOG_ERROR("ws_connect", "%s: %s", feed->config.venue->name, err.text);
        connection_schedule(connection, feed->config.backoff_max_ms);
    }
}

/* Sends the next request: as many names as the venue's request size allows. */
static void connection_subscribe(struct connection *connection, int64_t now)
{
    struct feed *feed = connection->feed;
    const struct venue *venue = feed->config.venue;
    struct venue_stream streams[200];
    const struct venue_stream *views[200];
    uint32_t count = 0;
    while (connection->stream_next + count < connection->stream_count && count < 200) {
        struct venue_stream made[VENUE_STREAMS_MAX];
        uint32_t n = venue->streams(
            &feed->streams[connection->streams[connection->stream_next + count]], 0, made);
        ASSERT(n == 1); /* tried in feed_create() */
        streams[count] = made[0];
        views[count] = &streams[count];
        count++;
    }
    struct buf out = buf_over(feed->request, sizeof feed->request);
    struct venue_request request = {true, views, count, ++feed->request_id, 0};
    for (;;) {
        out = buf_over(feed->request, venue->endpoints[0].limits.subscribe_bytes_max);
        request.count = count;
        if (venue->subscribe(&request, &out) == 0) {
            break;
        }
        ASSERT(count > 1);
        count = count * 3 / 4;
    }
    if (ws_client_send_text(connection->client, buf_view(&out)) != 0) {
        arm(connection, now + venue->endpoints[0].limits.control_spacing_ms * NS_PER_MS);
        return;
    }
    pace_take(&connection->control_pace, now);
    hand_on(feed, RECORD_SENT, connection->conn, unix_ns(feed), (struct str){0}, buf_view(&out),
            false);
    connection->stream_next += count;
    connection->acks_missing++;
    connection->ack_deadline_ns = now + venue->endpoints[0].limits.ack_timeout_ms * NS_PER_MS;
}

static void connection_give_up(struct connection *connection, const char *why)
{
    LOG_WARN("ws_replace", "%s: connection %u: %s: replaced", connection->feed->config.venue->name,
             connection->conn, why);
    ws_client_close(connection->client, 1000);
}

/* Open: sends what is due, watches acks and silence, arms the timer for the next of these. */
static void connection_tend(struct connection *connection, int64_t now)
{
    struct feed *feed = connection->feed;
    int64_t next = now + NS_PER_S;
    if (connection->stream_next < connection->stream_count) {
        int64_t earliest = pace_earliest_ns(&connection->control_pace, now);
        if (earliest <= now) {
            connection_subscribe(connection, now);
            earliest = pace_earliest_ns(&connection->control_pace, now);
        }
        next = earliest > now && earliest < next ? earliest : next;
    } else if (connection->acks_missing == 0) {
        connection->state = CONNECTION_LIVE;
    }
    if (connection->acks_missing > 0 && now >= connection->ack_deadline_ns) {
        feed->stats.ack_timeouts++;
        connection_give_up(connection, "no answer to a subscribe request in time");
        return;
    }
    int64_t stall_ns = feed->config.stall_ms * NS_PER_MS;
    int64_t last = ws_client_stats(connection->client).last_data_mono_ns;
    last = last > connection->opened_mono_ns ? last : connection->opened_mono_ns;
    if (stall_ns > 0 && now - last >= stall_ns) {
        feed->stats.stalls++;
        connection_give_up(connection, "no market data within net.stall_secs");
        return;
    }
    arm(connection, next);
}

static void on_connection_timer(void *context, int64_t now)
{
    struct connection *connection = context;
    switch (connection->state) {
    case CONNECTION_WAITING:
        connection_connect(connection, now);
        return;
    case CONNECTION_SUBSCRIBING:
    case CONNECTION_LIVE:
        if (ws_client_is_open(connection->client)) {
            connection_tend(connection, now);
        }
        return;
    case CONNECTION_CONNECTING:
    case CONNECTION_STOPPED:
        return;
    }
}

static void on_ws_open(void *context, const char *peer)
{
    struct connection *connection = context;
    struct feed *feed = connection->feed;
    int64_t now = now_ns(feed);
    LOG_INFO("ws_open", "%s: connection %u: open to %s", feed->config.venue->name, connection->conn,
             peer);
    feed->ever_open = true;
    backoff_on_open(&connection->backoff, now);
    connection->state = CONNECTION_SUBSCRIBING;
    connection->stream_next = 0;
    connection->acks_missing = 0;
    connection->opened_mono_ns = now;
    hand_on(feed, RECORD_OPEN, connection->conn, unix_ns(feed), str_from(connection->url),
            (struct str){0}, false);
    connection_tend(connection, now);
}

static void on_control(struct connection *connection, enum control_kind kind,
                       const struct control_reply *reply)
{
    struct feed *feed = connection->feed;
    const char *venue = feed->config.venue->name;
    if (kind == CONTROL_ACK) {
        feed->stats.acks++;
        connection->acks_missing -= connection->acks_missing > 0;
    } else if (kind == CONTROL_ERROR) {
        feed->stats.refused++;
        connection->acks_missing -= connection->acks_missing > 0;
        LOG_WARN("subscribe_refused", "%s: connection %u: request %lld refused: %d %s", venue,
                 connection->conn, (long long)reply->id, reply->code, reply->text);
    } else if (kind == CONTROL_SHUTDOWN) {
        feed->stats.shutdowns++;
        LOG_INFO("server_shutdown", "%s: connection %u: the venue announces a shutdown", venue,
                 connection->conn);
        ws_client_close(connection->client, 1001);
    }
}

static void on_ws_message(void *context, enum ws_opcode opcode, const uint8_t *data, size_t bytes,
                          int64_t recv_unix_ns)
{
    struct connection *connection = context;
    struct feed *feed = connection->feed;
    struct str frame = str_make((const char *)data, bytes);
    feed->stats.messages++;
    feed->stats.bytes += bytes;
    enum control_kind kind = CONTROL_NONE;
    struct control_reply reply = {.id = -1};
    if (opcode == WS_TEXT) {
        kind = feed->config.venue->control(frame, &reply);
    }
    hand_on(feed, opcode == WS_TEXT ? RECORD_RECV : RECORD_RECV_BINARY, connection->conn,
            recv_unix_ns, (struct str){0}, frame, kind == CONTROL_NONE);
    if (kind != CONTROL_NONE) {
        on_control(connection, kind, &reply);
    }
}

static bool is_config_fault(int code, int status)
{
    return code == MD_ECERT || code == MD_EPROXY ||
           (code == MD_EHTTP && status >= 400 && status < 500 && status != 429 && status != 418);
}

static void on_ws_close(void *context, int code, int ws_code, int status, const char *why)
{
    struct connection *connection = context;
    struct feed *feed = connection->feed;
    bool was_open =
        connection->state == CONNECTION_SUBSCRIBING || connection->state == CONNECTION_LIVE;
    loop_timer_cancel(feed->loop, &connection->timer);
    if (was_open) {
        char text[256];
        struct buf arg = buf_over(text, sizeof text);
        buf_printf(&arg, "%d %.200s", ws_code, why);
        hand_on(feed, RECORD_CLOSE, connection->conn, unix_ns(feed), buf_view(&arg),
                (struct str){0}, false);
    }
    if (feed->stopping) {
        connection->state = CONNECTION_STOPPED;
        return;
    }
    feed->stats.reconnects++;
    int64_t delay_ms = backoff_next_ms(&connection->backoff, now_ns(feed), next_random(feed));
    if (is_config_fault(code, status)) {
        delay_ms = feed->config.backoff_max_ms;
        feed->handlers.on_config_fault(feed->handlers.context, code, why, feed->ever_open);
    } else {
        LOG_WARN("ws_closed", "%s: connection %u: %s (%s, close code %d); again in %.1f s",
                 feed->config.venue->name, connection->conn, why, err_text(code), ws_code,
                 (double)delay_ms / 1000);
    }
    connection_schedule(connection, delay_ms);
}

/* ---- REST */

static uint32_t weight_used(const struct rest_queue *queue, int64_t second)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < WEIGHT_SLOTS; i++) {
        sum += queue->used[i].second > second - WEIGHT_SLOTS ? queue->used[i].weight : 0;
    }
    return sum;
}

static void weight_take(struct rest_queue *queue, int64_t second, uint32_t weight)
{
    uint32_t slot = (uint32_t)(second % WEIGHT_SLOTS);
    if (queue->used[slot].second != second) {
        queue->used[slot].second = second;
        queue->used[slot].weight = 0;
    }
    queue->used[slot].weight += weight;
}

static void rest_next(struct feed *feed, int64_t now);

static void rest_arm(struct feed *feed, int64_t deadline_ns)
{
    int code = loop_timer_set(feed->loop, &feed->queue.timer, deadline_ns);
    ASSERT(code == 0);
}

static void queue_push(struct rest_queue *queue, uint32_t symbol)
{
    if (queue->queued[symbol]) {
        return;
    }
    ASSERT(queue->count < queue->capacity);
    queue->queued[symbol] = 1;
    queue->symbols[(queue->first + queue->count) % queue->capacity] = symbol;
    queue->count++;
}

static void rest_record(struct feed *feed, enum record_kind kind, int status, int64_t time_unix_ns,
                        struct str body)
{
    char text[600];
    struct buf arg = buf_over(text, sizeof text);
    buf_printf(&arg, "GET %s", feed->queue.url);
    if (kind == RECORD_REST) {
        buf_printf(&arg, " %d", status);
    }
    hand_on(feed, kind, 0, time_unix_ns, buf_view(&arg), body, false);
}

static void on_rest_part(void *context, const void *data, size_t bytes, int64_t recv_unix_ns)
{
    struct feed *feed = context;
    rest_record(feed, RECORD_REST_PART, 0, recv_unix_ns, str_make(data, bytes));
}

static void on_rest_done(void *context, const struct rest_result *result)
{
    struct feed *feed = context;
    struct rest_queue *queue = &feed->queue;
    int64_t now = now_ns(feed);
    queue->in_flight = false;
    rest_record(feed, RECORD_REST, result->code == 0 ? result->status : 0, unix_ns(feed),
                (struct str){0});
    if (result->used_weight >= 0) {
        feed->stats.rest_weight_used = result->used_weight;
    }
    bool throttled = result->status == 429 || result->status == 418;
    bool retry = result->code != 0 || throttled || result->status >= 500;
    if (retry) {
        int64_t pause_s = result->retry_after_s > 0 ? result->retry_after_s : throttled ? 60 : 0;
        queue->paused_until_ns =
            now + (pause_s > 0 ? pause_s * NS_PER_S : REST_RETRY_MS * NS_PER_MS);
        if (queue->in_flight_instruments) {
            queue->instruments_due = true;
        } else {
            queue_push(queue, queue->in_flight_symbol);
        }
    }
    feed->stats.rest_throttled += throttled;
    if (retry || result->status != 200) {
        feed->stats.rest_failures++;
        LOG_WARN("rest_failed", "%s: %s: %s%s%s (HTTP status %d)%s", feed->config.venue->name,
                 queue->url, result->code != 0 ? err_text(result->code) : "answered",
                 result->why[0] != 0 ? ": " : "", result->why, result->status,
                 retry ? "; asked again" : "");
    }
    rest_next(feed, now);
}

static void rest_send(struct feed *feed, int64_t now, bool instruments)
{
    struct rest_queue *queue = &feed->queue;
    const struct venue *venue = feed->config.venue;
    struct buf url = buf_over(queue->url, sizeof queue->url - 1);
    int code = 0;
    if (instruments) {
        queue->instruments_due = false;
        code = venue->rest(VENUE_REST_INSTRUMENTS, feed->config.rest_url, (struct str){0}, &url);
    } else {
        queue->in_flight_symbol = queue->symbols[queue->first];
        queue->first = (queue->first + 1) % queue->capacity;
        queue->count--;
        queue->queued[queue->in_flight_symbol] = 0;
        code = venue->rest(VENUE_REST_SNAPSHOT, feed->config.rest_url,
                           feed->symbols[queue->in_flight_symbol], &url);
    }
    ASSERT(code == 0); /* URLs were tried in feed_create() */
    queue->url[url.bytes] = 0;
    queue->in_flight_instruments = instruments;
    weight_take(queue, now / NS_PER_S,
                instruments ? venue->rest_weights[VENUE_REST_INSTRUMENTS]
                            : venue->rest_weights[VENUE_REST_SNAPSHOT]);
    feed->stats.rest_requests++;
    struct rest_handlers handlers = {on_rest_part, on_rest_done, feed};
    code = rest_get(feed->rest, queue->url, NULL, &handlers);
    if (code == 0) {
        queue->in_flight = true;
        return;
    }
    queue->paused_until_ns = now + REST_RETRY_MS * NS_PER_MS;
    if (instruments) {
        queue->instruments_due = true;
    } else {
        queue_push(queue, queue->in_flight_symbol);
    }
    rest_arm(feed, queue->paused_until_ns);
}

/* Starts the next request if the pause is over and the weight allows it; else arms the timer. */
static void rest_next(struct feed *feed, int64_t now)
{
    struct rest_queue *queue = &feed->queue;
    if (queue->in_flight || feed->stopping) {
        return;
    }
    if (feed->config.instruments_every_ms > 0 && now >= queue->instruments_at_ns) {
        queue->instruments_at_ns = now + feed->config.instruments_every_ms * NS_PER_MS;
        queue->instruments_due = true;
    }
    if (!queue->instruments_due && queue->count == 0) {
        rest_arm(feed, now + 10 * NS_PER_S);
        return;
    }
    if (now < queue->paused_until_ns) {
        rest_arm(feed, queue->paused_until_ns);
        return;
    }
    bool instruments = queue->instruments_due;
    uint32_t weight = instruments ? feed->config.venue->rest_weights[VENUE_REST_INSTRUMENTS]
                                  : feed->config.venue->rest_weights[VENUE_REST_SNAPSHOT];
    if (weight_used(queue, now / NS_PER_S) + weight > weight_limit(&feed->config)) {
        rest_arm(feed, now + NS_PER_S);
        return;
    }
    rest_send(feed, now, instruments);
}

static void on_rest_timer(void *context, int64_t now)
{
    rest_next(context, now);
}

int feed_snapshot(struct feed *feed, struct str symbol)
{
    for (uint32_t i = 0; i < feed->symbol_count; i++) {
        if (str_equal(feed->symbols[i], symbol)) {
            queue_push(&feed->queue, i);
            feed->stats.rest_queued = feed->queue.count;
            rest_next(feed, now_ns(feed));
            return 0;
        }
    }
    return MD_ENOENT;
}

/* ---- create, start, stop */

static void *take(struct feed *feed, size_t slot, size_t bytes)
{
    feed->memory[slot] = alloc_take(ALLOC_FEED, bytes > 0 ? bytes : 1);
    return feed->memory[slot];
}

size_t feed_memory_bytes(const struct feed_config *config, uint32_t streams)
{
    size_t control = config->venue->endpoints[0].limits.control_messages;
    size_t connects = config->venue->endpoints[0].limits.connects;
    /* at worst one symbol a stream and one connection a symbol */
    uint32_t per = cap_of(config) > 0 ? cap_of(config) : 1;
    size_t connections = streams / per * 2 + 2;
    return sizeof(struct feed) + connections * (sizeof(struct connection) + control * 8) +
           connects * 8 + (size_t)streams * (4 + sizeof(struct str) + 4 + 1) + 8 * 128;
}

static int try_names(struct feed *feed, struct err *err)
{
    const struct venue *venue = feed->config.venue;
    for (uint32_t i = 0; i < feed->stream_count; i++) {
        struct venue_stream made[VENUE_STREAMS_MAX];
        if (venue->streams(&feed->streams[i], 0, made) != 1) {
            return err_set(err, MD_EINVAL, "%s: %.*s: no stream name for channel %s", venue->name,
                           (int)feed->streams[i].symbol.bytes, feed->streams[i].symbol.data,
                           channel_name(feed->streams[i].channel));
        }
    }
    for (uint32_t i = 0; i < feed->symbol_count; i++) {
        struct buf url = buf_over(feed->queue.url, sizeof feed->queue.url - 1);
        if (venue->rest(VENUE_REST_SNAPSHOT, feed->config.rest_url, feed->symbols[i], &url) != 0 ||
            url.overflow) {
            return err_set(err, MD_EINVAL, "%s: %.*s: no snapshot URL", venue->name,
                           (int)feed->symbols[i].bytes, feed->symbols[i].data);
        }
    }
    struct buf url = buf_over(feed->connections[0].url, sizeof feed->connections[0].url - 1);
    if (venue->connect_url(0, feed->config.ws_url, &url) != 0 || url.overflow) {
        return err_set(err, MD_EINVAL, "%s: %s: not a usable base URL", venue->name,
                       feed->config.ws_url);
    }
    return 0;
}

static int connections_init(struct feed *feed, uint32_t *stream_slots, int64_t *pace_slots)
{
    const struct venue_limits *limits = &feed->config.venue->endpoints[0].limits;
    uint32_t symbol = UINT32_MAX;
    for (int pass = 0; pass < 2; pass++) { /* count, then place */
        for (uint32_t i = 0; i < feed->stream_count; i++) {
            bool same = i > 0 && str_equal(feed->streams[i].symbol, feed->streams[i - 1].symbol);
            symbol = i == 0 ? 0 : same ? symbol : symbol + 1;
            struct connection *connection = &feed->connections[symbol % feed->connection_count];
            if (pass == 1) {
                connection->streams[connection->stream_count] = i;
            }
            connection->stream_count++;
        }
        for (uint32_t c = 0; pass == 0 && c < feed->connection_count; c++) {
            feed->connections[c].streams = stream_slots;
            stream_slots += feed->connections[c].stream_count;
            feed->connections[c].stream_count = 0;
        }
    }
    for (uint32_t c = 0; c < feed->connection_count; c++) {
        struct connection *connection = &feed->connections[c];
        connection->feed = feed;
        connection->index = c;
        connection->state = CONNECTION_STOPPED;
        connection->timer.on_timer = on_connection_timer;
        connection->timer.context = connection;
        if (c > 0) {
            memcpy(connection->url, feed->connections[0].url, sizeof connection->url);
        }
        backoff_init(&connection->backoff, feed->config.backoff_min_ms, feed->config.backoff_max_ms,
                     60000);
        pace_init(&connection->control_pace, pace_slots, limits->control_messages,
                  limits->control_window_ms * NS_PER_MS, limits->control_spacing_ms * NS_PER_MS);
        pace_slots += limits->control_messages;
        struct ws_client_handlers handlers = {on_ws_open, on_ws_message, on_ws_close, connection};
        connection->client = ws_client_create(feed->net, &handlers);
        if (connection->client == NULL) {
            return MD_ENOMEM;
        }
    }
    return 0;
}

struct feed *feed_create(const struct feed_config *config, const struct stream_request *streams,
                         uint32_t count, struct net *net, struct rest *rest, struct loop *loop,
                         const struct feed_handlers *handlers, struct err *err)
{
    ASSERT(count > 0);
    const struct venue_limits *limits = &config->venue->endpoints[0].limits;
    struct feed *feed = alloc_take(ALLOC_FEED, sizeof *feed);
    if (feed == NULL) {
        err_set(err, MD_ENOMEM, "%s: no memory for the feed", config->venue->name);
        return NULL;
    }
    feed->config = *config;
    feed->handlers = *handlers;
    feed->net = net;
    feed->rest = rest;
    feed->loop = loop;
    feed->streams = streams;
    feed->stream_count = count;
    feed->random = config->seed;
    feed->stats.rest_weight_used = -1;
    feed->symbol_count = symbols_of(streams, count);
    feed->connection_count = connections_for(config, streams, count);
    feed->connections = take(feed, 0, feed->connection_count * sizeof *feed->connections);
    feed->symbols = take(feed, 1, feed->symbol_count * sizeof *feed->symbols);
    feed->queue.symbols = take(feed, 2, feed->symbol_count * sizeof *feed->queue.symbols);
    feed->queue.queued = take(feed, 3, feed->symbol_count);
    uint32_t *stream_slots = take(feed, 4, count * sizeof *stream_slots);
    int64_t *pace_slots =
        take(feed, 5, (size_t)feed->connection_count * limits->control_messages * 8);
    int64_t *connect_slots = take(feed, 6, limits->connects * sizeof *connect_slots);
    for (int i = 0; i <= 6; i++) {
        if (feed->memory[i] == NULL) {
            err_set(err, MD_ENOMEM, "%s: no memory for the feed", config->venue->name);
            feed_destroy(feed);
            return NULL;
        }
    }
    feed->queue.capacity = feed->symbol_count;
    feed->queue.timer.on_timer = on_rest_timer;
    feed->queue.timer.context = feed;
    uint32_t symbols = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || !str_equal(streams[i].symbol, streams[i - 1].symbol)) {
            feed->symbols[symbols++] = streams[i].symbol;
        }
    }
    pace_init(&feed->connect_pace, connect_slots, limits->connects,
              limits->connects_window_ms * NS_PER_MS, limits->connect_spacing_ms * NS_PER_MS);
    int code = try_names(feed, err);
    if (code == 0 && connections_init(feed, stream_slots, pace_slots) != 0) {
        code = err_set(err, MD_ENOMEM, "%s: no memory for %u connections", config->venue->name,
                       feed->connection_count);
    }
    if (code != 0) {
        feed_destroy(feed);
        return NULL;
    }
    return feed;
}

void feed_destroy(struct feed *feed)
{
    if (feed == NULL) {
        return;
    }
    for (uint32_t c = 0; feed->connections != NULL && c < feed->connection_count; c++) {
        loop_timer_cancel(feed->loop, &feed->connections[c].timer);
        if (feed->connections[c].client != NULL) {
            ws_client_destroy(feed->connections[c].client);
        }
    }
    loop_timer_cancel(feed->loop, &feed->queue.timer);
    for (size_t i = 0; i < sizeof feed->memory / sizeof feed->memory[0]; i++) {
        alloc_give(feed->memory[i]);
    }
    alloc_give(feed);
}

void feed_start(struct feed *feed)
{
    feed->stopping = false;
    for (uint32_t c = 0; c < feed->connection_count; c++) {
        connection_schedule(&feed->connections[c], 0);
    }
    feed->queue.instruments_due = true;
    int64_t now = now_ns(feed);
    feed->queue.instruments_at_ns = now + feed->config.instruments_every_ms * NS_PER_MS;
    rest_next(feed, now);
}

void feed_stop(struct feed *feed)
{
    feed->stopping = true;
    loop_timer_cancel(feed->loop, &feed->queue.timer);
    for (uint32_t c = 0; c < feed->connection_count; c++) {
        struct connection *connection = &feed->connections[c];
        loop_timer_cancel(feed->loop, &connection->timer);
        if (connection->state == CONNECTION_WAITING) {
            connection->state = CONNECTION_STOPPED;
        } else if (connection->state != CONNECTION_STOPPED) {
            ws_client_close(connection->client, 1000);
        }
    }
}

uint32_t feed_connections_busy(const struct feed *feed)
{
    uint32_t busy = 0;
    for (uint32_t c = 0; c < feed->connection_count; c++) {
        busy += feed->connections[c].state != CONNECTION_STOPPED;
    }
    return busy;
}

void feed_pause(struct feed *feed, bool paused)
{
    for (uint32_t c = 0; c < feed->connection_count; c++) {
        ws_client_pause(feed->connections[c].client, paused);
    }
}

struct feed_stats feed_stats(const struct feed *feed)
{
    struct feed_stats stats = feed->stats;
    stats.connections = feed->connection_count;
    stats.rest_queued = feed->queue.count;
    for (uint32_t c = 0; c < feed->connection_count; c++) {
        stats.open += feed->connections[c].state == CONNECTION_SUBSCRIBING ||
                      feed->connections[c].state == CONNECTION_LIVE;
        stats.live += feed->connections[c].state == CONNECTION_LIVE;
    }
    return stats;
}
