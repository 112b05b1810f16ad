/* The life of a connection: wait for its turn -> token -> connect -> welcome -> subscribe (paced,
 * acks awaited) -> live -> replaced before the venue cuts it, or closed -> backoff -> again.
 *
 * Invariants: a stream's state speaks of the lane's newest socket; what was received or sent is
 * handed on as a record before anything is concluded from it; no token and no key reaches a record
 * or the log. What is asked of the venue and what it answers: feed_requests.c. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "exchange/feed_internal.h"

#define REFUSALS_FINAL 3     /* handshakes answered 4xx before the settings are blamed */
#define SETTLE_MS 1000       /* a replaced socket stays so long after the new one is complete ... */
#define SETTLE_SEEDS_MS 8000 /* ... or so long where books come in band, seconds after the ack */
/* A connection is replaced at this share of its life, evenly spread: 24 h gives 19 h to 22 h. */
#define LIFE_SHARE_LEAST 800
#define LIFE_SHARE_MOST 920

static void arm(struct lane *lane, int64_t deadline_ns)
{
    int code = loop_timer_set(lane->feed->loop, &lane->timer, deadline_ns);
    ASSERT(code == 0); /* the loop is created with a timer for each lane */
}

const char *lane_name(const struct lane *lane, char out[64])
{
    const struct venue *venue = lane->feed->config.venue;
    snprintf(out, 64, "%s%s%s", venue->name, venue->endpoint_count > 1 ? " " : "",
             venue->endpoint_count > 1 ? lane_endpoint(lane)->name : "");
    return out;
}

/* ---- streams of a lane */

void lane_set_state(struct lane *lane, struct feed_stream *stream, enum stream_state state)
{
    ASSERT(lane->counts[stream->state] > 0);
    lane->counts[stream->state]--;
    stream->state = (uint8_t)state;
    lane->counts[state]++;
}

void lane_append(struct lane *lane, uint32_t index)
{
    struct feed_stream *streams = lane->feed->streams;
    struct feed_stream *stream = &streams[index];
    stream->next_in_lane = FEED_NONE;
    stream->lane = lane->index;
    if (lane->first == FEED_NONE) {
        lane->first = index;
    } else {
        streams[lane->last].next_in_lane = index;
    }
    lane->last = index;
    lane->streams++;
    lane->rate += stream->rate;
    lane->counts[stream->state]++;
    lane->has_talkers = lane->has_talkers || stream->stream.request.channel != CHANNEL_LIQUIDATIONS;
    int64_t quiet_ms = lane->feed->config.venue->rhythm(stream->stream.request.channel).quiet_ms;
    if (quiet_ms > 0 && (lane->quiet_ms == 0 || quiet_ms < lane->quiet_ms)) {
        lane->quiet_ms = quiet_ms;
    }
}

void lane_remove(struct lane *lane, uint32_t index)
{
    struct feed_stream *streams = lane->feed->streams;
    uint32_t before = FEED_NONE;
    for (uint32_t at = lane->first; at != index; at = streams[at].next_in_lane) {
        ASSERT(at != FEED_NONE);
        before = at;
    }
    uint32_t next = streams[index].next_in_lane;
    if (before == FEED_NONE) {
        lane->first = next;
    } else {
        streams[before].next_in_lane = next;
    }
    if (lane->last == index) {
        lane->last = before;
    }
    lane->streams--;
    lane->rate -= streams[index].rate;
    lane->counts[streams[index].state]--;
}

bool lane_is_live(const struct lane *lane)
{
    return lane->state == LANE_OPEN &&
           lane->counts[STREAM_WANTED] + lane->counts[STREAM_ASKED] == 0;
}

/* The newest socket knows of no stream yet. What was to leave has left with the old one. */
static void streams_begin_anew(struct lane *lane)
{
    struct feed *feed = lane->feed;
    uint32_t next;
    for (uint32_t at = lane->first; at != FEED_NONE; at = next) {
        struct feed_stream *stream = &feed->streams[at];
        next = stream->next_in_lane;
        bool leaving =
            (stream->state == STREAM_LEAVING || stream->state == STREAM_UNASKED) && !stream->renew;
        if (leaving) {
            lane_remove(lane, at);
            feed_stream_free(feed, at);
            continue;
        }
        stream->renew = false;
        stream->retries = 0;
        lane_set_state(lane, stream, STREAM_WANTED);
    }
    lane->seeded = false;
    lane->live_ns = 0;
}

/* ---- connecting */

void lane_give_up(struct lane *lane, enum feed_end end, const char *why)
{
    char name[64];
    lane->given_up = end;
    LOG_WARN("ws_replace", "%s: connection %u: %s: replaced", lane_name(lane, name),
             lane->socket->conn, why);
    ws_client_close(lane->socket->client, 1000);
}

void lane_schedule(struct lane *lane, int64_t delay_ms)
{
    struct feed *feed = lane->feed;
    lane->state = feed->stopping ? LANE_STOPPED : LANE_WAITING;
    if (!feed->stopping) {
        arm(lane, feed_now_ns(feed) + delay_ms * NS_PER_MS);
    }
}

static void socket_give(struct feed_socket *socket)
{
    struct lane *lane = socket->lane;
    if (lane->socket == socket) {
        lane->socket = NULL;
    } else {
        ASSERT(lane->old == socket);
        lane->old = NULL;
    }
    socket->lane = NULL;
    socket->open = false;
    socket->closing = false;
}

static void socket_connect(struct lane *lane)
{
    struct feed *feed = lane->feed;
    struct feed_socket *socket = lane->socket;
    const struct venue_endpoint *endpoint = lane_endpoint(lane);
    char text[512];
    struct buf headers = buf_over(text, sizeof text);
    if (endpoint->headers != NULL) {
        buf_put_str(&headers, str_from(endpoint->headers));
    }
    if (endpoint->needs_key) {
        buf_printf(&headers, "X-MBX-APIKEY: %s\r\n", feed->config.api_key);
    }
    ASSERT(!headers.overflow);
    feed->stats.connects++;
    socket->conn = feed->handlers.next_conn(feed->handlers.context);
    lane->state = LANE_CONNECTING;
    struct err err;
    int code = ws_client_connect(socket->client, socket->url, buf_view(&headers), &err);
    explicit_bzero(text, sizeof text);
    if (code != 0) {
        char name[64];
        LOG_ERROR("ws_connect", "%s: %s", lane_name(lane, name), err_text(code));
        socket_give(socket);
        lane_schedule(lane, feed->config.backoff_max_ms);
    }
}

/* Its turn has come: a socket, and a token or the URL that is known. */
static void lane_connect(struct lane *lane, int64_t now)
{
    struct feed *feed = lane->feed;
    struct pace *pace = &feed->family->connects[lane->endpoint];
    int64_t earliest = pace_earliest_ns(pace, now);
    earliest = feed->family->paused_until_ns > earliest ? feed->family->paused_until_ns : earliest;
    earliest = feed->hold_until_ns > earliest ? feed->hold_until_ns : earliest;
    if (earliest > now) {
        arm(lane, earliest);
        return;
    }
    ASSERT(lane->socket == NULL);
    lane->socket = feed_socket_take(feed, lane);
    if (lane->socket == NULL) { /* lent for a replacement elsewhere; back within seconds */
        arm(lane, now + NS_PER_S);
        return;
    }
    pace_take(pace, now);
    if (lane_endpoint(lane)->needs_token) {
        lane->state = LANE_TOKEN;
        feed_rest_next(feed, now);
        return;
    }
    struct buf url = buf_over(lane->socket->url, sizeof lane->socket->url - 1);
    int code =
        feed->config.venue->connect_url(lane->endpoint, feed->config.ws_urls[lane->endpoint], &url);
    ASSERT(code == 0); /* tried in feed_create() */
    lane->socket->url[url.bytes] = 0;
    lane->socket->secret_at = url.bytes;
    socket_connect(lane);
}

static void connect_later(struct lane *lane, int64_t least_ms)
{
    struct feed *feed = lane->feed;
    int64_t delay_ms = backoff_next_ms(&lane->backoff, feed_now_ns(feed), feed_random(feed));
    lane_schedule(lane, delay_ms > least_ms ? delay_ms : least_ms);
}

void lane_on_token(struct lane *lane, int code, struct str body)
{
    struct feed *feed = lane->feed;
    struct venue_token token = {0};
    char name[64];
    if (lane->state != LANE_TOKEN) {
        return; /* stopped meanwhile */
    }
    if (code == 0) {
        code = feed->config.venue->token(body, feed_random(feed), &token);
    }
    if (code != 0) {
        LOG_WARN("token_failed", "%s: no token: %s", lane_name(lane, name), err_text(code));
        socket_give(lane->socket);
        lane->end = FEED_END_UNREACHED;
        lane->down_ns = lane->down_ns == 0 ? feed_now_ns(feed) : lane->down_ns;
        snprintf(lane->why, sizeof lane->why, "no token: %s", err_text(code));
        connect_later(lane, 0);
        return;
    }
    feed->stats.tokens++;
    struct feed_socket *socket = lane->socket;
    size_t bytes = strlen(token.url);
    ASSERT(bytes < sizeof socket->url);
    memcpy(socket->url, token.url, bytes + 1);
    socket->secret_at = token.secret_at < bytes ? token.secret_at : bytes;
    lane->ping_ms = token.ping_ms > 0 ? token.ping_ms : lane->ping_ms;
    explicit_bzero(&token, sizeof token);
    socket_connect(lane);
}

/* ---- an open connection */

static void ping_if_due(struct lane *lane, struct feed_socket *socket, int64_t now, int64_t *next)
{
    struct feed *feed = lane->feed;
    if (socket == NULL || !socket->open || socket->closing || lane->ping_ms == 0) {
        return;
    }
    if (now >= socket->pinged_ns + lane->ping_ms * NS_PER_MS) {
        struct buf out = buf_over(feed->request, sizeof feed->request);
        int code = feed->config.venue->ping(lane->endpoint, ++feed->request_id,
                                            feed_unix_ns(feed) / NS_PER_S, &out);
        ASSERT(code == 0);
        socket->pinged_ns = now;
        if (ws_client_send_text(socket->client, buf_view(&out)) == 0 && socket == lane->socket) {
            pace_take(&lane->control_pace, now);
        }
    }
    int64_t due = socket->pinged_ns + lane->ping_ms * NS_PER_MS;
    *next = due < *next ? due : *next;
}

/* False: it was silent for too long and is being replaced. */
static bool is_alive(struct lane *lane, int64_t now)
{
    struct feed *feed = lane->feed;
    struct feed_socket *socket = lane->socket;
    int64_t silence_ns = lane_endpoint(lane)->silence_ms * NS_PER_MS;
    int64_t last = ws_client_stats(socket->client).last_data_mono_ns;
    last = last > socket->opened_ns ? last : socket->opened_ns;
    if (silence_ns > 0 && now - last >= silence_ns) {
        feed->stats.stalls++;
        lane_give_up(lane, FEED_END_SILENT, "no frame of any kind for too long");
        return false;
    }
    int64_t stall_ns = feed->config.stall_ms * NS_PER_MS;
    if (stall_ns > 0 && lane->has_talkers && lane->counts[STREAM_ON] > 0 &&
        now - socket->market_ns >= stall_ns) {
        feed->stats.stalls++;
        lane_give_up(lane, FEED_END_STALLED, "no market data within net.stall_secs");
        return false;
    }
    return true;
}

/* Make before break: a second socket takes over; the first goes when that one is complete. */
static void rotate_if_due(struct lane *lane, int64_t now)
{
    struct feed *feed = lane->feed;
    bool due = lane->rotate_now || now >= lane->rotate_ns;
    char name[64];
    if (!due || lane->old != NULL || feed->stopping) {
        return;
    }
    bool spare = false; /* one that no waiting lane counts on */
    uint32_t lent = 0, lanes = 0;
    for (uint32_t i = 0; i < feed->socket_count; i++) {
        lent += feed->sockets[i].lane != NULL;
    }
    for (uint32_t i = 0; i < feed->lane_count; i++) {
        lanes += feed->lanes[i].state != LANE_UNUSED && feed->lanes[i].socket == NULL;
    }
    spare = lent + lanes < feed->socket_count;
    if (!spare) {
        return; /* asked again within a second */
    }
    LOG_INFO("ws_rotate", "%s: connection %u: replaced before its end", lane_name(lane, name),
             lane->socket->conn);
    feed->stats.rotations++;
    lane->rotate_now = false;
    lane->rotate_ns = INT64_MAX;
    lane->old = lane->socket;
    lane->socket = NULL;
    streams_begin_anew(lane);
    lane->state = LANE_WAITING;
    arm(lane, now);
}

/* Everything is acknowledged now, and was so long enough ago for the first time: a stream that is
 * renewed in between does not keep the old connection. */
static void old_close_if_done(struct lane *lane, int64_t now)
{
    if (lane->old == NULL || lane->old->closing || lane->live_ns == 0) {
        return;
    }
    int64_t settle_ms = lane_endpoint(lane)->seeds_books ? SETTLE_SEEDS_MS : SETTLE_MS;
    if (now - lane->live_ns >= settle_ms * NS_PER_MS) {
        lane->old->closing = true;
        ws_client_close(lane->old->client, 1000);
    }
}

/* Sends what is due, watches acks and silence, arms the timer for the next of these. */
void lane_tend(struct lane *lane, int64_t now)
{
    struct feed_family *family = lane->feed->family;
    int64_t next = now + NS_PER_S;
    if (family->slowness > 1 && now >= family->slow_until_ns) {
        family->slowness = 1;
    }
    if (lane->state == LANE_WELCOME) {
        if (now - lane->socket->opened_ns >= lane_limits(lane)->ack_timeout_ms * NS_PER_MS) {
            lane->feed->stats.ack_timeouts++;
            lane_give_up(lane, FEED_END_NO_ANSWER, "no welcome in time");
            return;
        }
        arm(lane, next);
        return;
    }
    if (!lane_requests_expire(lane, now, &next)) {
        return;
    }
    int64_t more = lane_requests_send(lane, now);
    next = more < next ? more : next;
    ping_if_due(lane, lane->socket, now, &next);
    ping_if_due(lane, lane->old, now, &next);
    if (lane_is_live(lane)) {
        lane->live_ns = lane->live_ns == 0 ? now : lane->live_ns;
        old_close_if_done(lane, now);
    }
    if (!is_alive(lane, now)) {
        return;
    }
    rotate_if_due(lane, now);
    if (lane->state == LANE_OPEN) {
        arm(lane, next > now ? next : now + NS_PER_MS);
    }
}

void lane_wake(struct lane *lane)
{
    if (lane->state == LANE_OPEN) {
        arm(lane, feed_now_ns(lane->feed));
    } else if (lane->state == LANE_UNUSED) {
        lane_schedule(lane, 0);
    }
}

static void on_lane_timer(void *context, int64_t now)
{
    struct lane *lane = context;
    switch (lane->state) {
    case LANE_WAITING:
        lane_connect(lane, now);
        return;
    case LANE_WELCOME:
    case LANE_OPEN:
        if (ws_client_is_open(lane->socket->client)) {
            lane_tend(lane, now);
        }
        return;
    case LANE_UNUSED:
    case LANE_TOKEN:
    case LANE_CONNECTING:
    case LANE_STOPPED:
        return;
    }
}

static int64_t life_ns(struct lane *lane)
{
    struct feed *feed = lane->feed;
    int64_t life_ms = lane_limits(lane)->connection_life_ms;
    if (feed->config.life_ms > 0 && (life_ms == 0 || feed->config.life_ms < life_ms)) {
        life_ms = feed->config.life_ms;
    }
    if (life_ms == 0) {
        return INT64_MAX;
    }
    int64_t share =
        LIFE_SHARE_LEAST + (int64_t)(feed_random(feed) % (LIFE_SHARE_MOST - LIFE_SHARE_LEAST + 1));
    return life_ms * share / 1000 * NS_PER_MS;
}

static void on_ws_open(void *context, const char *peer)
{
    struct feed_socket *socket = context;
    struct lane *lane = socket->lane;
    struct feed *feed = socket->feed;
    int64_t now = feed_now_ns(feed);
    int64_t life = life_ns(lane);
    char name[64];
    LOG_INFO("ws_open", "%s: connection %u: open to %s", lane_name(lane, name), socket->conn, peer);
    ASSERT(lane->socket == socket);
    feed->ever_open = true;
    lane->refusals = 0;
    backoff_on_open(&lane->backoff, now);
    socket->open = true;
    socket->opened_ns = socket->market_ns = socket->pinged_ns = now;
    lane->opened_ns = lane->market_ns = now;
    lane->down_ns = 0;
    lane->given_up = FEED_END_COUNT;
    streams_begin_anew(lane);
    lane->full = false;
    lane->rotate_now = false;
    lane->rotate_ns = life == INT64_MAX ? INT64_MAX : now + life;
    lane->state = lane_endpoint(lane)->waits_welcome ? LANE_WELCOME : LANE_OPEN;
    feed_hand_on(feed, RECORD_OPEN, socket->conn, feed_unix_ns(feed),
                 str_make(socket->url, socket->secret_at), (struct str){0}, false);
    explicit_bzero(socket->url + socket->secret_at, sizeof socket->url - socket->secret_at);
    lane_tend(lane, now);
}

static void on_ws_message(void *context, enum ws_opcode opcode, const uint8_t *data, size_t bytes,
                          int64_t recv_unix_ns)
{
    struct feed_socket *socket = context;
    struct lane *lane = socket->lane;
    struct feed *feed = socket->feed;
    struct str frame = str_make((const char *)data, bytes);
    feed->stats.messages++;
    feed->stats.bytes += bytes;
    lane->messages++;
    lane->bytes += bytes;
    enum control_kind kind = CONTROL_NONE;
    struct control_reply reply = {.id = -1};
    if (opcode == WS_TEXT || lane_endpoint(lane)->binary_json) {
        kind = feed->config.venue->control(frame, &reply);
    }
    feed_hand_on(feed, opcode == WS_TEXT ? RECORD_RECV : RECORD_RECV_BINARY, socket->conn,
                 recv_unix_ns, (struct str){0}, frame, kind == CONTROL_NONE);
    if (kind == CONTROL_NONE) {
        socket->market_ns = lane->market_ns = feed_now_ns(feed);
    } else if (socket == lane->socket && !feed->stopping) {
        lane_on_control(lane, kind, &reply);
    }
}

/* A refused handshake is final at once where a key was shown; else a firewall may have said it, and
 * only the third in succession is. Too fast (429, 418) and an old token (401) never are. */
static bool is_config_fault(const struct lane *lane, int code, int status)
{
    bool refused = code == MD_EHTTP && status >= 400 && status < 500 && status != 429 &&
                   status != 418 && !(status == 401 && lane_endpoint(lane)->needs_token);
    refused = refused && (lane_endpoint(lane)->needs_key || lane->refusals >= REFUSALS_FINAL);
    return code == MD_ECERT || code == MD_EPROXY || refused;
}

static enum feed_end end_of(const struct lane *lane, bool was_open, int code)
{
    if (lane->given_up != FEED_END_COUNT) {
        return lane->given_up;
    }
    switch (code) {
    case MD_ECERT:
    case MD_EPROXY:
    case MD_EHTTP:
        return FEED_END_REFUSED;
    case MD_EDNS:
    case MD_ECONNECT:
        return FEED_END_UNREACHED;
    case MD_EPROTO:
    case MD_ETOOBIG:
    case MD_EFULL:
        return FEED_END_PROTOCOL;
    case MD_ETIMEOUT:
        return was_open ? FEED_END_SILENT : FEED_END_UNREACHED;
    case 0:
    case MD_ECLOSED:
    case MD_ETLS:
    case MD_EIO:
        return was_open ? FEED_END_CLOSED : FEED_END_UNREACHED;
    default:
        return FEED_END_OTHER;
    }
}

static void note_end(struct lane *lane, bool was_open, int code, const char *why)
{
    lane->end = end_of(lane, was_open, code);
    lane->given_up = FEED_END_COUNT;
    lane->reconnects++;
    lane->feed->stats.ends[lane->end]++;
    lane->down_ns = lane->down_ns == 0 ? feed_now_ns(lane->feed) : lane->down_ns;
    snprintf(lane->why, sizeof lane->why, "%s", why[0] != 0 ? why : err_text(code));
}

static void closed_current(struct lane *lane, uint32_t conn, int code, int ws_code, int status,
                           const char *why)
{
    struct feed *feed = lane->feed;
    char name[64];
    loop_timer_cancel(feed->loop, &lane->timer);
    if (feed->stopping) {
        lane->state = LANE_STOPPED;
        return;
    }
    feed->stats.reconnects++;
    lane->refusals += code == MD_EHTTP;
    if (is_config_fault(lane, code, status)) {
        char text[400];
        snprintf(text, sizeof text, "%.300s%s", why,
                 lane_endpoint(lane)->needs_key && status >= 400
                     ? "; check the API key (Ed25519, binance.api_key_file)"
                     : "");
        feed->handlers.on_config_fault(feed->handlers.context, feed->config.venue, code, text,
                                       feed->ever_open);
        if (feed->stopping) { /* its owner gave it up */
            lane->state = LANE_STOPPED;
            return;
        }
        connect_later(lane, feed->config.backoff_max_ms);
    } else {
        connect_later(lane, 0);
        LOG_WARN("ws_closed", "%s: connection %u: %s (%s, close code %d); again in %.1f s",
                 lane_name(lane, name), conn, why, err_text(code), ws_code,
                 (double)(lane->timer.deadline_mono_ns - feed_now_ns(feed)) / 1e9);
    }
}

static void on_ws_close(void *context, int code, int ws_code, int status, const char *why)
{
    struct feed_socket *socket = context;
    struct lane *lane = socket->lane;
    struct feed *feed = socket->feed;
    bool current = lane->socket == socket;
    if (socket->open) {
        char text[256];
        struct buf arg = buf_over(text, sizeof text);
        buf_printf(&arg, "%d %.200s", ws_code, why);
        feed_hand_on(feed, RECORD_CLOSE, socket->conn, feed_unix_ns(feed), buf_view(&arg),
                     (struct str){0}, false);
    }
    uint32_t conn = socket->conn;
    bool was_open = socket->open;
    socket_give(socket);
    if (current) {
        if (!feed->stopping) {
            note_end(lane, was_open, code, why);
        }
        closed_current(lane, conn, code, ws_code, status, why);
    }
}

void lane_stop(struct lane *lane)
{
    loop_timer_cancel(lane->feed->loop, &lane->timer);
    if (lane->old != NULL && !lane->old->closing) {
        lane->old->closing = true;
        ws_client_close(lane->old->client, 1000);
    }
    if (lane->state == LANE_TOKEN) { /* not connected yet: nothing to close */
        socket_give(lane->socket);
    }
    if (lane->socket == NULL) {
        lane->state = LANE_STOPPED;
    } else {
        ws_client_close(lane->socket->client, 1000);
    }
}

int feed_socket_init(struct feed_socket *socket, struct feed *feed)
{
    struct ws_client_handlers handlers = {on_ws_open, on_ws_message, on_ws_close, socket};
    socket->feed = feed;
    socket->client = ws_client_create(feed->net, &handlers);
    return socket->client != NULL ? 0 : MD_ENOMEM;
}

void lane_init(struct lane *lane, struct feed *feed, uint32_t index, uint32_t endpoint, bool spare,
               int64_t *pace_slots)
{
    const struct venue_limits *limits = &feed->config.limits[endpoint];
    *lane = (struct lane){
        .feed = feed,
        .index = index,
        .endpoint = endpoint,
        .spare = spare,
        .state = LANE_UNUSED,
        .first = FEED_NONE,
        .last = FEED_NONE,
        .ping_ms = feed->config.venue->endpoints[endpoint].ping_ms,
        .rotate_ns = INT64_MAX,
        .given_up = FEED_END_COUNT,
    };
    lane->timer.on_timer = on_lane_timer;
    lane->timer.context = lane;
    backoff_init(&lane->backoff, feed->config.backoff_min_ms, feed->config.backoff_max_ms, 30000);
    pace_init(&lane->control_pace, pace_slots, limits->control_messages,
              limits->control_window_ms * NS_PER_MS, limits->control_spacing_ms * NS_PER_MS);
}
