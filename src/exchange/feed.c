/* A venue's feed as its owner sees it: made from the plan, started, stopped, changed while it runs.
 * The lives of connections are in feed_lane.c, REST in feed_rest.c, the plan in feed_plan.c.
 *
 * Invariants: every stream stands in the list of exactly one lane and of its symbol; a socket is
 * lent to one lane at a time. Memory: fixed at feed_create(); the sockets' buffers belong to net.
 */
#include "exchange/feed.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"
#include "exchange/feed_internal.h"

#define RENEW_LEAST_MS 5000 /* a stream is not renewed sooner after it was asked for */
#define HOLD_MS 10000       /* the longest wait for the symbol list before the first connect */

uint64_t feed_random(struct feed *feed)
{
    uint64_t z = (feed->random += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

void feed_hand_on(struct feed *feed, enum record_kind kind, uint32_t conn, int64_t time_unix_ns,
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

void feed_family_init(struct feed_family *family, const struct feed_config *config,
                      int64_t request_spacing_ms)
{
    memset(family, 0, sizeof *family);
    for (uint32_t e = 0; e < config->venue->endpoint_count; e++) {
        const struct venue_limits *limits = &config->limits[e];
        ASSERT(limits->connects > 0 && limits->connects <= FEED_CONNECTS_MAX);
        pace_init(&family->connects[e], family->connect_times_ns[e], limits->connects,
                  limits->connects_window_ms * NS_PER_MS, limits->connect_spacing_ms * NS_PER_MS);
    }
    family->request_spacing_ns = request_spacing_ms * NS_PER_MS;
    family->request_last_ns = INT64_MIN;
    family->slowness = 1;
}

static void retune_connects(struct feed_family *family, const struct feed_config *config)
{
    for (uint32_t e = 0; e < config->venue->endpoint_count; e++) {
        family->connects[e].spacing_ns = config->limits[e].connect_spacing_ms * NS_PER_MS;
    }
}

void feed_retune(struct feed *feed, const struct feed_config *config, int64_t request_spacing_ms)
{
    ASSERT(config->venue == feed->config.venue);
    feed->config.rest_weight_percent = config->rest_weight_percent;
    feed->config.backoff_min_ms = config->backoff_min_ms;
    feed->config.backoff_max_ms = config->backoff_max_ms;
    feed->config.stall_ms = config->stall_ms;
    feed->config.life_ms = config->life_ms;
    for (uint32_t i = 0; i < feed->lane_count; i++) {
        struct lane *lane = &feed->lanes[i];
        int64_t spacing_ms = config->limits[lane->endpoint].control_spacing_ms;
        lane->backoff.min_ms = config->backoff_min_ms;
        lane->backoff.max_ms = config->backoff_max_ms;
        lane->control_pace.spacing_ns = spacing_ms * NS_PER_MS;
        feed->config.limits[lane->endpoint].control_spacing_ms = spacing_ms;
    }
    retune_connects(feed->family, config);
    feed->family->request_spacing_ns = request_spacing_ms * NS_PER_MS;
}

/* ---- symbols and streams */

static uint32_t *symbol_slot(const struct feed *feed, struct str name)
{
    return &feed->symbol_table[str_hash(name, 0) & feed->symbol_mask];
}

uint32_t feed_symbol_find(const struct feed *feed, struct str name)
{
    uint32_t at = *symbol_slot(feed, name);
    while (at != FEED_NONE && !str_equal(feed->symbols[at].name, name)) {
        at = feed->symbols[at].next_in_table;
    }
    return at;
}

static uint32_t symbol_add(struct feed *feed, struct str name, bool copy)
{
    uint32_t at = 0;
    while (at < feed->symbol_count && feed->symbols[at].first_stream != FEED_NONE) {
        at++;
    }
    if (!copy) {
        at = feed->symbol_count; /* at the start slots are used in order */
    }
    if (at == feed->symbols_max || (copy && name.bytes > sizeof feed->symbols[0].own)) {
        return FEED_NONE;
    }
    feed->symbol_count = at == feed->symbol_count ? at + 1 : feed->symbol_count;
    struct feed_symbol *symbol = &feed->symbols[at];
    struct feed_symbol left = *symbol; /* what it queued is dropped when its turn comes */
    *symbol = (struct feed_symbol){.name = name, .first_stream = FEED_NONE};
    symbol->snapshot_queued = left.snapshot_queued;
    for (int kind = 0; kind < 2; kind++) {
        symbol->trades_queued[kind] = left.trades_queued[kind];
        symbol->trades[kind] = left.trades[kind];
    }
    if (copy) {
        memcpy(symbol->own, name.data, name.bytes);
        symbol->name = str_make(symbol->own, name.bytes);
    }
    uint32_t *slot = symbol_slot(feed, symbol->name);
    symbol->next_in_table = *slot;
    *slot = at;
    feed->stats.symbols++;
    return at;
}

static void symbol_free(struct feed *feed, uint32_t index)
{
    uint32_t *at = symbol_slot(feed, feed->symbols[index].name);
    while (*at != index) {
        at = &feed->symbols[*at].next_in_table;
    }
    *at = feed->symbols[index].next_in_table;
    feed->queue.open_interest_symbols -= feed->symbols[index].wants_open_interest;
    feed->symbols[index].wants_open_interest = false;
    feed->stats.symbols--;
}

/* The stream of a slot belongs to a symbol from here on. */
static void stream_join(struct feed *feed, uint32_t index, uint32_t symbol)
{
    struct feed_stream *stream = &feed->streams[index];
    const struct venue *venue = feed->config.venue;
    stream->symbol = symbol;
    stream->state = STREAM_WANTED;
    stream->stream.request.symbol = feed->symbols[symbol].name;
    stream->next_of_symbol = feed->symbols[symbol].first_stream;
    feed->symbols[symbol].first_stream = index;
    bool asks = venue->rest_weights[VENUE_REST_OPEN_INTEREST] > 0 &&
                stream->stream.request.channel == CHANNEL_DERIVATIVE_TICKER;
    if (asks && !feed->symbols[symbol].wants_open_interest) {
        feed->symbols[symbol].wants_open_interest = true;
        feed->queue.open_interest_symbols++;
    }
}

void feed_stream_free(struct feed *feed, uint32_t index)
{
    struct feed_stream *stream = &feed->streams[index];
    uint32_t symbol = stream->symbol;
    uint32_t *at = &feed->symbols[symbol].first_stream;
    while (*at != index) {
        at = &feed->streams[*at].next_of_symbol;
    }
    *at = stream->next_of_symbol;
    stream->state = STREAM_FREE;
    if (feed->symbols[symbol].first_stream == FEED_NONE) {
        symbol_free(feed, symbol);
    }
}

bool feed_place(struct feed *feed, uint32_t index)
{
    uint32_t endpoint = feed->streams[index].stream.endpoint;
    struct lane *best = NULL;
    for (uint32_t i = 0; i < feed->lane_count; i++) {
        struct lane *lane = &feed->lanes[i];
        bool fits = lane->endpoint == endpoint && lane->spare == feed->streams[index].spare &&
                    !lane->full &&
                    lane->streams < feed->config.limits[endpoint].streams_per_connection;
        /* one that is in use before one that would have to be opened */
        bool better = best == NULL || (lane->state != LANE_UNUSED && best->state == LANE_UNUSED) ||
                      ((lane->state == LANE_UNUSED) == (best->state == LANE_UNUSED) &&
                       lane->rate < best->rate);
        best = fits && better ? lane : best;
    }
    if (best == NULL) {
        return false;
    }
    lane_append(best, index);
    lane_wake(best);
    return true;
}

struct feed_socket *feed_socket_take(struct feed *feed, struct lane *lane)
{
    for (uint32_t i = 0; i < feed->socket_count; i++) {
        if (feed->sockets[i].lane == NULL) {
            feed->sockets[i].lane = lane;
            feed->sockets[i].open = feed->sockets[i].closing = false;
            return &feed->sockets[i];
        }
    }
    return NULL;
}

/* ---- changes while running */

static bool renew(struct feed *feed, uint32_t index, int64_t now)
{
    struct feed_stream *stream = &feed->streams[index];
    if (stream->state != STREAM_ON || now - stream->asked_ns < RENEW_LEAST_MS * NS_PER_MS) {
        return false; /* its connection is at work on it */
    }
    struct lane *lane = &feed->lanes[stream->lane];
    stream->renew = true;
    lane_set_state(lane, stream, STREAM_LEAVING);
    feed->stats.renewed++;
    lane_wake(lane);
    return true;
}

int feed_check(struct feed *feed, struct str name)
{
    uint32_t symbol = feed_symbol_find(feed, name);
    if (symbol == FEED_NONE) {
        return MD_ENOENT;
    }
    feed->queue.check = symbol + 1;
    feed_rest_next(feed, feed_now_ns(feed));
    return 0;
}

int feed_snapshot(struct feed *feed, struct str name)
{
    uint32_t symbol = feed_symbol_find(feed, name);
    int64_t now = feed_now_ns(feed);
    if (symbol == FEED_NONE) {
        return MD_ENOENT;
    }
    for (uint32_t at = feed->symbols[symbol].first_stream; at != FEED_NONE;
         at = feed->streams[at].next_of_symbol) {
        const struct venue_stream *stream = &feed->streams[at].stream;
        if (stream->request.channel != CHANNEL_DEPTH || feed->streams[at].spare) {
            continue;
        }
        if (feed->config.venue->endpoints[stream->endpoint].seeds_books) {
            renew(feed, at, now);
        } else {
            feed_rest_snapshot(feed, symbol);
            feed_rest_next(feed, now);
        }
    }
    return 0;
}

int feed_trades(struct feed *feed, struct str name, const struct trades_hole *hole)
{
    uint32_t symbol = feed_symbol_find(feed, name);
    if (symbol == FEED_NONE) {
        return MD_ENOENT;
    }
    if (feed->config.venue->backfill(hole->aggregate) == NULL) {
        return MD_ENOTSUP;
    }
    feed_rest_trades(feed, symbol, hole);
    feed_rest_next(feed, feed_now_ns(feed));
    return 0;
}

int feed_renew(struct feed *feed, enum channel channel, struct str name)
{
    uint32_t symbol = feed_symbol_find(feed, name);
    int64_t now = feed_now_ns(feed);
    int code = MD_ENOENT;
    for (uint32_t at = symbol != FEED_NONE ? feed->symbols[symbol].first_stream : FEED_NONE;
         at != FEED_NONE; at = feed->streams[at].next_of_symbol) {
        if (feed->streams[at].stream.request.channel == channel) {
            code = 0;
            if (renew(feed, at, now)) {
                LOG_WARN("stream_silent", "%s: %.*s %s is silent: subscribed again",
                         feed->config.venue->name, (int)name.bytes, name.data,
                         channel_name(channel));
            }
        }
    }
    return code;
}

int feed_add(struct feed *feed, const struct stream_request *requests, uint32_t count)
{
    struct feed_stream made[32];
    struct err err;
    ASSERT(count > 0);
    if (feed_symbol_find(feed, requests[0].symbol) != FEED_NONE) {
        return MD_EEXIST;
    }
    int n = feed_expand(&feed->config, requests, NULL, count, made, 32, &err);
    if (n < 0) {
        return n;
    }
    uint32_t slots[32];
    uint32_t found = 0;
    for (uint32_t i = 0; i < feed->streams_max && found < (uint32_t)n; i++) {
        if (i >= feed->stream_count || feed->streams[i].state == STREAM_FREE) {
            slots[found++] = i;
        }
    }
    uint32_t symbol = found == (uint32_t)n ? symbol_add(feed, requests[0].symbol, true) : FEED_NONE;
    if (symbol == FEED_NONE) {
        return MD_EFULL;
    }
    uint32_t placed = 0;
    for (uint32_t i = 0; i < found; i++) {
        feed->streams[slots[i]] = made[i];
        feed->stream_count = slots[i] >= feed->stream_count ? slots[i] + 1 : feed->stream_count;
        stream_join(feed, slots[i], symbol);
        if (feed_place(feed, slots[i])) {
            placed++;
        } else {
            feed_stream_free(feed, slots[i]);
        }
    }
    feed->stats.added += placed > 0;
    return placed == found ? 0 : MD_EFULL;
}

int feed_remove(struct feed *feed, struct str name)
{
    uint32_t symbol = feed_symbol_find(feed, name);
    if (symbol == FEED_NONE) {
        return MD_ENOENT;
    }
    feed->stats.removed++;
    uint32_t next;
    for (uint32_t at = feed->symbols[symbol].first_stream; at != FEED_NONE; at = next) {
        struct feed_stream *stream = &feed->streams[at];
        struct lane *lane = &feed->lanes[stream->lane];
        next = stream->next_of_symbol;
        stream->renew = false;
        if (stream->state == STREAM_ON || stream->state == STREAM_ASKED) {
            lane_set_state(lane, stream, STREAM_LEAVING);
            lane_wake(lane);
        } else if (stream->state == STREAM_WANTED || stream->state == STREAM_REFUSED) {
            lane_remove(lane, at);
            feed_stream_free(feed, at);
        }
    }
    return 0;
}

void feed_symbols(const struct feed *feed, void (*on_symbol)(void *context, struct str symbol),
                  void *context)
{
    for (uint32_t i = 0; i < feed->symbol_count; i++) {
        if (feed->symbols[i].first_stream != FEED_NONE) {
            on_symbol(context, feed->symbols[i].name);
        }
    }
}

/* ---- create, start, stop */

static uint32_t streams_room(const struct feed_config *config, const struct feed_plan *plan)
{
    return config->streams_max > plan->streams ? config->streams_max : plan->streams;
}

static uint32_t symbols_room(const struct feed_config *config, const struct feed_plan *plan)
{
    return config->symbols_max > plan->symbols ? config->symbols_max : plan->symbols;
}

static uint32_t table_slots(uint32_t symbols)
{
    uint32_t slots = 16;
    while (slots < symbols) {
        slots *= 2;
    }
    return slots;
}

static uint32_t control_slots(const struct feed_config *config)
{
    uint32_t most = 1;
    for (uint32_t e = 0; e < config->venue->endpoint_count; e++) {
        uint32_t count = config->limits[e].control_messages;
        most = count > most ? count : most;
    }
    return most;
}

enum {
    MEMORY_SYMBOLS,
    MEMORY_TABLE,
    MEMORY_STREAMS,
    MEMORY_LANES,
    MEMORY_SOCKETS,
    MEMORY_QUEUE,
    MEMORY_PACES,
    MEMORY_COUNT
};

static void memory_sizes(const struct feed_config *config, const struct feed_plan *plan,
                         size_t sizes[MEMORY_COUNT])
{
    uint32_t symbols = symbols_room(config, plan);
    sizes[MEMORY_SYMBOLS] = symbols * sizeof(struct feed_symbol);
    sizes[MEMORY_TABLE] = table_slots(symbols) * sizeof(uint32_t);
    sizes[MEMORY_STREAMS] = streams_room(config, plan) * sizeof(struct feed_stream);
    sizes[MEMORY_LANES] = plan->lanes * sizeof(struct lane);
    sizes[MEMORY_SOCKETS] = plan->sockets * sizeof(struct feed_socket);
    sizes[MEMORY_QUEUE] = symbols * 3 * sizeof(uint32_t); /* a snapshot, and trades of two sorts */
    sizes[MEMORY_PACES] = (size_t)plan->lanes * control_slots(config) * sizeof(int64_t);
}

size_t feed_memory_bytes(const struct feed_config *config, const struct feed_plan *plan)
{
    size_t sizes[MEMORY_COUNT];
    size_t bytes = sizeof(struct feed) + 8 * 64;
    memory_sizes(config, plan, sizes);
    for (int i = 0; i < MEMORY_COUNT; i++) {
        bytes += sizes[i];
    }
    return bytes;
}

static int try_requests(struct feed *feed, struct err *err)
{
    const struct venue *venue = feed->config.venue;
    for (uint32_t i = 0; i < feed->stream_count; i++) {
        const struct venue_stream *stream = &feed->streams[i].stream;
        struct venue_request request = {true, &stream, 1, INT64_MAX, INT32_MAX};
        struct buf out =
            buf_over(feed->request, feed->config.limits[stream->endpoint].subscribe_bytes_max);
        if (venue->subscribe(&request, &out) != 0) {
            return err_set(err, MD_EINVAL, "%s: %.*s: a name that cannot be subscribed",
                           venue->name, (int)stream->request.symbol.bytes,
                           stream->request.symbol.data);
        }
    }
    for (uint32_t e = 0; e < venue->endpoint_count; e++) {
        char text[512];
        struct buf url = buf_over(text, sizeof text);
        if (!venue->endpoints[e].needs_token &&
            venue->connect_url(e, feed->config.ws_urls[e], &url) != 0) {
            return err_set(err, MD_EINVAL, "%s: %s: not a usable base URL", venue->name,
                           feed->config.ws_urls[e]);
        }
    }
    return feed_rest_try_urls(feed, err);
}

static void find_seed(struct feed *feed)
{
    const struct venue *venue = feed->config.venue;
    if (venue->seed_symbol == NULL) {
        return;
    }
    struct stream_request request = {.channel = CHANNEL_TRADES,
                                     .symbol = str_from(venue->seed_symbol)};
    struct venue_stream out[VENUE_STREAMS_MAX];
    if (venue->streams(&request, feed->config.options, out) > 0 &&
        venue->endpoints[out[0].endpoint].needs_key) {
        feed->seed_stream = out[0];
        feed->has_seed = true;
    }
}

static int place_all(struct feed *feed, const struct stream_request *requests,
                     const uint32_t *weights, uint32_t count, const struct feed_plan *plan,
                     struct err *err)
{
    int made =
        feed_expand(&feed->config, requests, weights, count, feed->streams, feed->streams_max, err);
    if (made < 0) {
        return made;
    }
    feed->stream_count = (uint32_t)made;
    uint32_t *order = alloc_take(ALLOC_FEED, (size_t)made * sizeof *order);
    if (order == NULL) {
        return err_set(err, MD_ENOMEM, "%s: no memory for the feed", feed->config.venue->name);
    }
    uint32_t used = feed_spread(&feed->config, feed->streams, feed->stream_count, feed->lanes,
                                plan->lanes, order);
    ASSERT(used == plan->connections);
    uint32_t lanes[VENUE_ENDPOINTS_MAX][2] = {{0}}; /* plain, spare */
    int64_t *slots = feed->memory[MEMORY_PACES];
    uint32_t each = control_slots(&feed->config);
    for (uint32_t i = 0; i < used; i++) {
        uint32_t endpoint = feed->lanes[i].endpoint;
        bool spare = feed->lanes[i].spare;
        lane_init(&feed->lanes[i], feed, i, endpoint, spare, slots + (size_t)i * each);
        lanes[endpoint][spare]++;
    }
    feed->lane_count = used;
    for (uint32_t g = 0; g < feed->config.venue->endpoint_count * 2; g++) {
        if (lanes[g / 2][g % 2] > 0) {
            uint32_t i = feed->lane_count++;
            ASSERT(i < plan->lanes);
            lane_init(&feed->lanes[i], feed, i, g / 2, g % 2 == 1, slots + (size_t)i * each);
        }
    }
    for (uint32_t i = 0; i < feed->stream_count; i++) {
        struct str name = feed->streams[i].stream.request.symbol;
        uint32_t symbol = feed_symbol_find(feed, name);
        symbol = symbol != FEED_NONE ? symbol : symbol_add(feed, name, false);
        ASSERT(symbol != FEED_NONE);
        stream_join(feed, i, symbol);
    }
    for (uint32_t i = 0; i < feed->stream_count; i++) { /* the busiest first */
        lane_append(&feed->lanes[feed->streams[order[i]].lane], order[i]);
    }
    alloc_give(order);
    return 0;
}

static int take_memory(struct feed *feed, const struct feed_plan *plan)
{
    size_t sizes[MEMORY_COUNT];
    memory_sizes(&feed->config, plan, sizes);
    for (int i = 0; i < MEMORY_COUNT; i++) {
        feed->memory[i] = alloc_take(ALLOC_FEED, sizes[i] > 0 ? sizes[i] : 1);
        if (feed->memory[i] == NULL) {
            return MD_ENOMEM;
        }
    }
    feed->symbols = feed->memory[MEMORY_SYMBOLS];
    feed->symbols_max = symbols_room(&feed->config, plan);
    feed->symbol_table = feed->memory[MEMORY_TABLE];
    feed->symbol_mask = table_slots(feed->symbols_max) - 1;
    memset(feed->symbol_table, 0xff, sizes[MEMORY_TABLE]);
    feed->streams = feed->memory[MEMORY_STREAMS];
    feed->streams_max = streams_room(&feed->config, plan);
    feed->lanes = feed->memory[MEMORY_LANES];
    feed->sockets = feed->memory[MEMORY_SOCKETS];
    feed->queue.symbols = feed->memory[MEMORY_QUEUE];
    feed->queue.capacity = feed->symbols_max;
    feed->queue.holes = feed->queue.symbols + feed->symbols_max;
    for (uint32_t i = 0; i < plan->sockets; i++) {
        if (feed_socket_init(&feed->sockets[i], feed) != 0) {
            return MD_ENOMEM;
        }
        feed->socket_count++;
    }
    return 0;
}

struct feed *feed_create(const struct feed_config *config, struct feed_family *family,
                         const struct stream_request *requests, const uint32_t *weights,
                         uint32_t count, struct net *net, struct rest *rest, struct loop *loop,
                         const struct feed_handlers *handlers, struct err *err)
{
    struct feed_plan plan;
    ASSERT(count > 0);
    if (feed_plan(config, requests, weights, count, &plan, err) != 0) {
        return NULL;
    }
    struct feed *feed = alloc_take(ALLOC_FEED, sizeof *feed);
    if (feed == NULL) {
        err_set(err, MD_ENOMEM, "%s: no memory for the feed", config->venue->name);
        return NULL;
    }
    feed->config = *config;
    feed->handlers = *handlers;
    feed->family = family;
    feed->net = net;
    feed->rest = rest;
    feed->loop = loop;
    feed->random = config->seed;
    feed->stats.rest_weight_used = -1;
    feed->queue.timer.on_timer = feed_rest_on_timer;
    feed->queue.timer.context = feed;
    int code = take_memory(feed, &plan);
    if (code != 0) {
        err_set(err, code, "%s: no memory for %u connections", config->venue->name, plan.sockets);
    } else {
        code = place_all(feed, requests, weights, count, &plan, err);
    }
    code = code != 0 ? code : try_requests(feed, err);
    if (code != 0) {
        feed_destroy(feed);
        return NULL;
    }
    find_seed(feed);
    return feed;
}

void feed_destroy(struct feed *feed)
{
    if (feed == NULL) {
        return;
    }
    for (uint32_t i = 0; i < feed->lane_count; i++) {
        loop_timer_cancel(feed->loop, &feed->lanes[i].timer);
    }
    for (uint32_t i = 0; i < feed->socket_count; i++) {
        ws_client_destroy(feed->sockets[i].client);
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
    /* contracts are worth what the symbol list says: it comes first, if it comes soon */
    feed->hold_until_ns =
        feed->config.venue->futures ? feed_now_ns(feed) + HOLD_MS * NS_PER_MS : INT64_MIN;
    for (uint32_t i = 0; i < feed->lane_count; i++) {
        if (feed->lanes[i].streams > 0) {
            lane_schedule(&feed->lanes[i], 0);
        }
    }
    feed_rest_start(feed);
}

void feed_stop(struct feed *feed)
{
    feed->stopping = true;
    loop_timer_cancel(feed->loop, &feed->queue.timer);
    for (uint32_t i = 0; i < feed->lane_count; i++) {
        lane_stop(&feed->lanes[i]);
    }
}

uint32_t feed_connections_busy(const struct feed *feed)
{
    uint32_t busy = 0;
    for (uint32_t i = 0; i < feed->socket_count; i++) {
        busy += feed->sockets[i].lane != NULL;
    }
    return busy;
}

void feed_pause(struct feed *feed, bool paused)
{
    for (uint32_t i = 0; i < feed->socket_count; i++) {
        ws_client_pause(feed->sockets[i].client, paused);
    }
}

struct feed_stats feed_stats(const struct feed *feed)
{
    struct feed_stats stats = feed->stats;
    stats.rest_queued = feed->queue.count;
    stats.rest_weight_minute = feed_rest_weight(feed, &stats.rest_weight_limit);
    for (uint32_t i = 0; i < feed->lane_count; i++) {
        const struct lane *lane = &feed->lanes[i];
        stats.connections += lane->streams > 0;
        stats.open += lane->state == LANE_OPEN || lane->state == LANE_WELCOME;
        stats.live += lane->streams > 0 && lane_is_live(lane);
        stats.streams += lane->streams;
        stats.streams_on += lane->counts[STREAM_ON];
        stats.streams_refused += lane->counts[STREAM_REFUSED];
    }
    return stats;
}
