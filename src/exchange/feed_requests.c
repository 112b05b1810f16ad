/* What a connection asks of the venue, and what it answers: requests paced, acks awaited, a
 * refusal, a 509 and an answer that never comes each dealt with.
 *
 * Invariants: requests on a connection keep the venue's spacing and window, and the family's; of
 * what is refused only the streams at fault are lost, and told. */
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "exchange/feed_internal.h"

#define ACK_RETRIES 1             /* a lost answer is asked for once more, then the socket goes */
#define THROTTLE_MEMORY_MS 600000 /* so long after a 509 spacings stay wider */
#define SLOWNESS_MAX 8

/* ---- requests */

/* Once the venue has said "too fast", a setting below the venue's own spacing counts no more: eight
 * times far too fast may still be too fast. */
static int64_t spacing_ns(const struct lane *lane)
{
    int slowness = lane->feed->family->slowness;
    int64_t spacing_ms = lane_limits(lane)->control_spacing_ms;
    int64_t own_ms = lane_endpoint(lane)->limits.control_spacing_ms;
    spacing_ms = slowness > 1 && spacing_ms < own_ms ? own_ms : spacing_ms;
    return spacing_ms * NS_PER_MS * slowness;
}

static int64_t request_earliest(const struct lane *lane, int64_t now)
{
    const struct feed_family *family = lane->feed->family;
    int64_t earliest = pace_earliest_ns(&lane->control_pace, now);
    if (lane->control_pace.last_ns != INT64_MIN) { /* slower than the pace itself says */
        int64_t spaced = lane->control_pace.last_ns + spacing_ns(lane);
        earliest = spaced > earliest ? spaced : earliest;
    }
    if (family->request_spacing_ns > 0 && family->request_last_ns != INT64_MIN) {
        int64_t shared =
            family->request_last_ns + family->request_spacing_ns * (int64_t)family->slowness;
        earliest = shared > earliest ? shared : earliest;
    }
    return family->paused_until_ns > earliest ? family->paused_until_ns : earliest;
}

struct chosen {
    const struct venue_stream *views[REQUEST_STREAMS_MAX];
    uint32_t indexes[REQUEST_STREAMS_MAX];
    uint32_t count;
    bool subscribe, seed;
};

/* The first stream there is work for, and those that may stand in its request. */
static void choose(const struct lane *lane, struct chosen *chosen)
{
    struct feed *feed = lane->feed;
    bool mixed = lane_endpoint(lane)->mixed_requests;
    uint8_t wanted = lane->counts[STREAM_LEAVING] > 0 ? STREAM_LEAVING : STREAM_WANTED;
    const struct feed_stream *first = NULL;
    uint32_t most = 1;
    chosen->subscribe = wanted == STREAM_WANTED;
    chosen->seed = chosen->subscribe && feed->has_seed && !lane->seeded &&
                   feed->seed_stream.endpoint == lane->endpoint;
    chosen->count = 0;
    if (chosen->seed) {
        chosen->indexes[0] = FEED_NONE;
        chosen->views[chosen->count++] = &feed->seed_stream;
    }
    for (uint32_t at = lane->first; at != FEED_NONE; at = feed->streams[at].next_in_lane) {
        const struct feed_stream *stream = &feed->streams[at];
        if (stream->state != wanted) {
            continue;
        }
        if (first == NULL) {
            first = stream;
            most = stream->alone ? 1 : feed->config.venue->streams_per_request(&stream->stream);
            most = most < REQUEST_STREAMS_MAX ? most : REQUEST_STREAMS_MAX;
        } else if (stream->alone || !(mixed || (stream->stream.kind == first->stream.kind &&
                                                str_equal(stream->stream.request.interval,
                                                          first->stream.request.interval)))) {
            continue;
        }
        chosen->indexes[chosen->count] = at;
        chosen->views[chosen->count++] = &stream->stream;
        if (chosen->count >= most) {
            break;
        }
    }
}

/* Sends one request for what is due first. False: the socket takes nothing now. */
static bool request_send(struct lane *lane, int64_t now)
{
    struct feed *feed = lane->feed;
    struct chosen chosen;
    choose(lane, &chosen);
    ASSERT(chosen.count > 0);
    struct venue_request request = {
        .subscribe = chosen.subscribe,
        .streams = chosen.views,
        .count = chosen.count,
        .id = ++feed->request_id,
        .unix_s = feed_unix_ns(feed) / NS_PER_S,
    };
    struct buf out;
    for (;;) {
        size_t most = lane_limits(lane)->subscribe_bytes_max;
        out = buf_over(feed->request, most < sizeof feed->request ? most : sizeof feed->request);
        if (feed->config.venue->subscribe(&request, &out) == 0) {
            break;
        }
        ASSERT(request.count > 1); /* each alone fits: tried in feed_create() and feed_add() */
        request.count = request.count * 3 / 4;
    }
    if (ws_client_send_text(lane->socket->client, buf_view(&out)) != 0) {
        return false;
    }
    pace_take(&lane->control_pace, now);
    feed->family->request_last_ns = now;
    feed_hand_on(feed, RECORD_SENT, lane->socket->conn, feed_unix_ns(feed), (struct str){0},
                 buf_view(&out), false);
    lane->seeded = lane->seeded || chosen.seed;
    for (uint32_t i = 0; i < request.count; i++) {
        if (chosen.indexes[i] != FEED_NONE) {
            struct feed_stream *stream = &feed->streams[chosen.indexes[i]];
            stream->request_id = request.id;
            stream->asked_ns = now;
            lane_set_state(lane, stream, chosen.subscribe ? STREAM_ASKED : STREAM_UNASKED);
        }
    }
    return true;
}

int64_t lane_requests_send(struct lane *lane, int64_t now)
{
    while (lane->counts[STREAM_WANTED] + lane->counts[STREAM_LEAVING] > 0) {
        int64_t earliest = request_earliest(lane, now);
        if (earliest > now) {
            return earliest;
        }
        if (!request_send(lane, now)) {
            return now + lane_limits(lane)->control_spacing_ms * NS_PER_MS;
        }
    }
    return INT64_MAX;
}

/* The unsubscribed stream is over, or begins anew. */
static void stream_left(struct lane *lane, uint32_t at)
{
    struct feed_stream *stream = &lane->feed->streams[at];
    if (stream->renew) {
        stream->renew = false;
        lane_set_state(lane, stream, STREAM_WANTED);
        return;
    }
    lane_remove(lane, at);
    feed_stream_free(lane->feed, at);
}

bool lane_requests_expire(struct lane *lane, int64_t now, int64_t *next)
{
    struct feed *feed = lane->feed;
    int64_t timeout = lane_limits(lane)->ack_timeout_ms * NS_PER_MS;
    if (lane->counts[STREAM_ASKED] + lane->counts[STREAM_UNASKED] == 0) {
        return true;
    }
    uint32_t following;
    for (uint32_t at = lane->first; at != FEED_NONE; at = following) {
        struct feed_stream *stream = &feed->streams[at];
        following = stream->next_in_lane;
        if (stream->state != STREAM_ASKED && stream->state != STREAM_UNASKED) {
            continue;
        }
        if (now < stream->asked_ns + timeout) {
            *next = stream->asked_ns + timeout < *next ? stream->asked_ns + timeout : *next;
        } else if (stream->state == STREAM_UNASKED) {
            stream_left(lane, at);
        } else if (stream->retries >= ACK_RETRIES) {
            feed->stats.ack_timeouts++;
            lane_give_up(lane, FEED_END_NO_ANSWER, "no answer to a subscribe request in time");
            return false;
        } else {
            feed->stats.ack_timeouts++;
            stream->retries++;
            lane_set_state(lane, stream, STREAM_WANTED);
        }
    }
    return true;
}

/* ---- replies */

/* The oldest request without an answer. */
static int64_t request_oldest(const struct lane *lane)
{
    int64_t oldest = -1;
    for (uint32_t at = lane->first; at != FEED_NONE; at = lane->feed->streams[at].next_in_lane) {
        const struct feed_stream *stream = &lane->feed->streams[at];
        if ((stream->state == STREAM_ASKED || stream->state == STREAM_UNASKED) &&
            (oldest < 0 || stream->request_id < oldest)) {
            oldest = stream->request_id;
        }
    }
    return oldest;
}

static void on_ack(struct lane *lane, int64_t id)
{
    struct feed *feed = lane->feed;
    uint32_t next;
    feed->stats.acks++;
    for (uint32_t at = lane->first; at != FEED_NONE; at = next) {
        struct feed_stream *stream = &feed->streams[at];
        next = stream->next_in_lane;
        if (stream->request_id == id && stream->state == STREAM_ASKED) {
            stream->retries = 0;
            lane_set_state(lane, stream, STREAM_ON);
        } else if (stream->request_id == id && stream->state == STREAM_UNASKED) {
            stream_left(lane, at);
        }
    }
}

/* Too fast: everyone of the family is quiet for a while and slower afterwards; what was asked and
 * not yet answered is asked again. */
static void on_throttled(struct lane *lane, const struct control_reply *reply)
{
    struct feed *feed = lane->feed;
    struct feed_family *family = feed->family;
    int64_t now = feed_now_ns(feed);
    int64_t until = now + reply->pause_ms * NS_PER_MS;
    char name[64];
    feed->stats.throttled++;
    if (until > family->paused_until_ns) {
        family->paused_until_ns = until;
    }
    if (now >= family->slow_until_ns || family->slowness < SLOWNESS_MAX) {
        family->slowness =
            family->slowness * 2 < SLOWNESS_MAX ? family->slowness * 2 : SLOWNESS_MAX;
    }
    family->slow_until_ns = now + THROTTLE_MEMORY_MS * NS_PER_MS;
    for (uint32_t at = lane->first; at != FEED_NONE; at = feed->streams[at].next_in_lane) {
        struct feed_stream *stream = &feed->streams[at];
        if (stream->state == STREAM_ASKED && (reply->id < 0 || stream->request_id == reply->id)) {
            lane_set_state(lane, stream, STREAM_WANTED);
        }
    }
    LOG_WARN("throttled",
             "%s: connection %u: %d %s: all requests pause %.0f s, then come %.2f s apart",
             lane_name(lane, name), lane->socket->conn, reply->code, reply->text,
             (double)reply->pause_ms / 1000, (double)spacing_ns(lane) / NS_PER_S);
}

/* This connection takes no more: its streams that were refused find another. */
static void move_away(struct lane *lane, uint32_t at)
{
    struct feed *feed = lane->feed;
    lane_set_state(lane, &feed->streams[at], STREAM_WANTED);
    lane_remove(lane, at);
    if (!feed_place(feed, at)) {
        lane_append(lane, at);
        lane_set_state(lane, &feed->streams[at], STREAM_REFUSED);
        feed->stats.refused++;
    }
}

static void on_refused(struct lane *lane, const struct control_reply *reply)
{
    struct feed *feed = lane->feed;
    int64_t id = reply->id >= 0 ? reply->id : request_oldest(lane);
    uint32_t named = 0, last = FEED_NONE, next;
    char name[64];
    for (uint32_t at = lane->first; at != FEED_NONE; at = feed->streams[at].next_in_lane) {
        bool one = feed->streams[at].request_id == id && feed->streams[at].state == STREAM_ASKED;
        named += one;
        last = one ? at : last;
    }
    lane->full = lane->full || reply->full;
    for (uint32_t at = lane->first; at != FEED_NONE; at = next) {
        struct feed_stream *stream = &feed->streams[at];
        next = stream->next_in_lane;
        if (stream->request_id != id) {
            continue;
        }
        if (stream->state == STREAM_UNASKED) {
            stream_left(lane, at);
        } else if (stream->state == STREAM_ASKED && reply->full) {
            move_away(lane, at);
        } else if (stream->state == STREAM_ASKED) {
            /* one bad name spoils a request: each is asked for by itself */
            stream->alone = true;
            lane_set_state(lane, stream, named > 1 ? STREAM_WANTED : STREAM_REFUSED);
        }
    }
    feed->stats.refused += named == 1 && !reply->full;
    if (named == 1) {
        const struct stream_request *request = &feed->streams[last].stream.request;
        LOG_WARN("subscribe_refused", "%s: connection %u: %s of %.*s refused: %d %s",
                 lane_name(lane, name), lane->socket->conn, channel_name(request->channel),
                 (int)request->symbol.bytes, request->symbol.data, reply->code, reply->text);
    } else {
        LOG_WARN("subscribe_refused", "%s: connection %u: request %lld (%u streams) refused: %d %s",
                 lane_name(lane, name), lane->socket->conn, (long long)id, named, reply->code,
                 reply->text);
    }
}

void lane_on_control(struct lane *lane, enum control_kind kind, const struct control_reply *reply)
{
    struct feed *feed = lane->feed;
    int64_t now = feed_now_ns(feed);
    char name[64];
    switch (kind) {
    case CONTROL_WELCOME:
        lane->ping_ms = reply->ping_ms > 0 ? reply->ping_ms : lane->ping_ms;
        if (lane->state == LANE_WELCOME) {
            lane->state = LANE_OPEN;
            lane_tend(lane, now);
        }
        return;
    case CONTROL_ACK:
        on_ack(lane, reply->id >= 0 ? reply->id : request_oldest(lane));
        break;
    case CONTROL_ERROR:
        if (reply->pause_ms > 0) {
            on_throttled(lane, reply);
        } else if (reply->reconnect) {
            lane_give_up(lane, FEED_END_REFUSED, reply->text);
            return;
        } else {
            on_refused(lane, reply);
        }
        break;
    case CONTROL_SHUTDOWN:
        feed->stats.shutdowns++;
        LOG_INFO("server_shutdown", "%s: connection %u: the venue announces a shutdown",
                 lane_name(lane, name), lane->socket->conn);
        lane->rotate_now = true;
        break;
    case CONTROL_OTHER:
    case CONTROL_NONE:
        return;
    }
    if (lane->state == LANE_OPEN && ws_client_is_open(lane->socket->client)) {
        lane_tend(lane, now);
    }
}
