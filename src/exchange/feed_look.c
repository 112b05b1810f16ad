/* A feed's connections as those see them who look on: net thread, reads only. */
#include <string.h>

#include "base/assert.h"
#include "exchange/feed_internal.h"

static const struct {
    const char *name, *words;
} ends[] = {
#define X(end, name, words) {name, words},
    FEED_END_LIST(X)
#undef X
};

static const char *const state_names[] = {"waiting", "connecting", "subscribing", "live",
                                          "stopped"};
_Static_assert(sizeof state_names / sizeof state_names[0] == FEED_CONNECTION_STATES,
               "a name for each state");

const char *feed_end_name(enum feed_end end)
{
    ASSERT(end < FEED_END_COUNT);
    return ends[end].name;
}

const char *feed_end_words(enum feed_end end)
{
    ASSERT(end < FEED_END_COUNT);
    return ends[end].words;
}

const char *feed_connection_state_name(enum feed_connection_state state)
{
    ASSERT(state < FEED_CONNECTION_STATES);
    return state_names[state];
}

static enum feed_connection_state state_of(const struct lane *lane)
{
    switch (lane->state) {
    case LANE_UNUSED:
    case LANE_WAITING:
        return FEED_CONNECTION_WAITING;
    case LANE_TOKEN:
    case LANE_CONNECTING:
        return FEED_CONNECTION_CONNECTING;
    case LANE_WELCOME:
        return FEED_CONNECTION_OPEN;
    case LANE_OPEN:
        return lane_is_live(lane) ? FEED_CONNECTION_LIVE : FEED_CONNECTION_OPEN;
    case LANE_STOPPED:
        return FEED_CONNECTION_STOPPED;
    }
    ASSERT(false);
    return FEED_CONNECTION_STOPPED;
}

static struct feed_connection look(const struct lane *lane)
{
    struct feed_connection connection = {
        .state = state_of(lane),
        .endpoint = lane_endpoint(lane)->name,
        .conn = lane->socket != NULL ? lane->socket->conn
                : lane->old != NULL  ? lane->old->conn
                                     : 0,
        .streams = lane->streams,
        .on = lane->counts[STREAM_ON],
        .pending = lane->counts[STREAM_WANTED] + lane->counts[STREAM_ASKED],
        .refused = lane->counts[STREAM_REFUSED],
        .replacing = lane->old != NULL,
        .opened_ns = lane->opened_ns,
        .down_ns = lane->down_ns,
        .next_try_ns = lane->state == LANE_WAITING ? lane->timer.deadline_mono_ns : 0,
        .market_ns = lane->market_ns,
        .quiet_ms = lane->quiet_ms,
        .messages = lane->messages,
        .bytes = lane->bytes,
        .reconnects = lane->reconnects,
        .end = lane->end,
    };
    memcpy(connection.why, lane->why, sizeof connection.why);
    return connection;
}

uint32_t feed_connections(const struct feed *feed, uint32_t from, struct feed_connection *out,
                          uint32_t count)
{
    uint32_t found = 0;
    for (uint32_t i = from; i < feed->lane_count && i - from < count; i++) {
        if (feed->lanes[i].streams > 0) {
            out[found++] = look(&feed->lanes[i]);
        }
    }
    return found;
}
