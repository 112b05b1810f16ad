/* The subscription planner, one for all venues: requests to streams, streams to connections evenly
 * by expected rate within the venue's caps, and when each step happens under the venue's pacing.
 * `check` prints it, feed.c obeys the same functions. Pure; memory is the caller's, or taken and
 * given back within the call. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "exchange/feed_internal.h"

#define LANES_MAX 4096

/* Two channels of a symbol may be served by one stream. */
static bool is_there(const struct feed_stream *streams, uint32_t count,
                     const struct venue_stream *wanted, bool spare)
{
    for (uint32_t i = count; i-- > 0;) {
        const struct venue_stream *one = &streams[i].stream;
        if (!str_equal(one->request.symbol, wanted->request.symbol)) {
            return false; /* a symbol's requests stand together */
        }
        if (streams[i].spare == spare && one->endpoint == wanted->endpoint &&
            one->kind == wanted->kind && one->request.channel == wanted->request.channel &&
            one->request.aggregate == wanted->request.aggregate &&
            str_equal(one->request.interval, wanted->request.interval)) {
            return true;
        }
    }
    return false;
}

int feed_expand(const struct feed_config *config, const struct stream_request *requests,
                const uint32_t *weights, uint32_t count, struct feed_stream *streams,
                uint32_t streams_max, struct err *err)
{
    const struct venue *venue = config->venue;
    uint32_t made = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct venue_stream out[VENUE_STREAMS_MAX];
        uint32_t n = venue->streams(&requests[i], config->options, out);
        if (n == 0) {
            bool candles = requests[i].channel == CHANNEL_CANDLES;
            return err_set(err, MD_ENOTSUP, "%s: %.*s: no %s%s%.*s at this venue", venue->name,
                           (int)requests[i].symbol.bytes, requests[i].symbol.data,
                           channel_name(requests[i].channel), candles ? " of interval " : "",
                           candles ? (int)requests[i].interval.bytes : 0,
                           candles ? requests[i].interval.data : "");
        }
        uint32_t times = requests[i].redundant ? 2 : 1;
        for (uint32_t t = 0; t < n * times; t++) {
            uint32_t k = t / times;
            bool spare = t % times == 1;
            if (is_there(streams, made, &out[k], spare)) {
                continue;
            }
            if (made == streams_max) {
                return err_set(err, MD_EFULL, "%s: more than %u streams", venue->name, streams_max);
            }
            uint64_t rate = (uint64_t)venue->rate(&out[k]) * (weights != NULL ? weights[i] : 1) + 1;
            streams[made++] = (struct feed_stream){
                .stream = out[k],
                .spare = spare,
                .rate = rate < UINT32_MAX ? (uint32_t)rate : UINT32_MAX,
                .symbol = FEED_NONE,
                .next_of_symbol = FEED_NONE,
                .next_in_lane = FEED_NONE,
                .lane = FEED_NONE,
            };
        }
    }
    return (int)made;
}

static int by_rate(const void *a, const void *b, void *context)
{
    const struct feed_stream *streams = context;
    uint32_t one = *(const uint32_t *)a;
    uint32_t two = *(const uint32_t *)b;
    if (streams[one].rate != streams[two].rate) {
        return streams[one].rate > streams[two].rate ? -1 : 1;
    }
    return one < two ? -1 : one > two;
}

static uint32_t cap_of(const struct feed_config *config, uint32_t endpoint)
{
    uint32_t cap = config->limits[endpoint].streams_per_connection;
    return cap > 0 ? cap : 1;
}

static void chain(struct lane *lane, struct feed_stream *streams, uint32_t stream)
{
    if (lane->streams++ == 0) {
        lane->first = stream;
    } else {
        streams[lane->last].next_in_lane = stream;
    }
    lane->last = stream;
    streams[stream].next_in_lane = FEED_NONE;
    lane->rate += streams[stream].rate;
}

/* Streams of one endpoint, plain or spare, have lanes of their own. */
static uint32_t group_of(uint32_t endpoint, bool spare)
{
    return endpoint * 2 + spare;
}

#define GROUPS (VENUE_ENDPOINTS_MAX * 2)

/* Lanes for so many streams of a group, empty. Returns how many; FEED_NONE: over lanes_max. */
static uint32_t make_lanes(const struct feed_config *config, uint32_t group, uint32_t streams,
                           struct lane *lanes, uint32_t lanes_max)
{
    uint32_t cap = cap_of(config, group / 2);
    uint32_t number = (streams + cap - 1) / cap;
    for (uint32_t k = 0; k < number && number <= lanes_max; k++) {
        lanes[k].endpoint = group / 2;
        lanes[k].spare = group % 2 == 1;
        lanes[k].streams = 0;
        lanes[k].rate = 0;
        lanes[k].first = lanes[k].last = FEED_NONE;
    }
    return number <= lanes_max ? number : FEED_NONE;
}

uint32_t feed_spread(const struct feed_config *config, struct feed_stream *streams, uint32_t count,
                     struct lane *lanes, uint32_t lanes_max, uint32_t *order)
{
    uint32_t first[GROUPS], number[GROUPS];
    uint32_t totals[GROUPS] = {0};
    uint32_t lane_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        totals[group_of(streams[i].stream.endpoint, streams[i].spare)]++;
        order[i] = i;
    }
    for (uint32_t g = 0; g < GROUPS; g++) {
        first[g] = lane_count;
        number[g] = make_lanes(config, g, totals[g], lanes + lane_count, lanes_max - lane_count);
        if (number[g] == FEED_NONE) {
            return FEED_NONE;
        }
        lane_count += number[g];
    }
    qsort_r(order, count, sizeof *order, by_rate, streams);
    for (uint32_t i = 0; i < count; i++) {
        struct feed_stream *stream = &streams[order[i]];
        uint32_t g = group_of(stream->stream.endpoint, stream->spare);
        uint32_t best = FEED_NONE;
        for (uint32_t k = first[g]; k < first[g] + number[g]; k++) {
            bool room = lanes[k].streams < cap_of(config, lanes[k].endpoint);
            if (room && (best == FEED_NONE || lanes[k].rate < lanes[best].rate)) {
                best = k;
            }
        }
        ASSERT(best != FEED_NONE);
        stream->lane = best;
        chain(&lanes[best], streams, order[i]);
    }
    return lane_count;
}

static bool share_request(const struct venue_endpoint *endpoint, const struct venue_stream *a,
                          const struct venue_stream *b)
{
    return endpoint->mixed_requests ||
           (a->kind == b->kind && str_equal(a->request.interval, b->request.interval));
}

/* Requests of a lane: streams of one kind and interval share them, as many as the venue allows and
 * as its request size holds (names are about 30 bytes). */
static uint32_t requests_of(const struct feed_config *config, const struct feed_stream *streams,
                            const struct lane *lane)
{
    const struct venue *venue = config->venue;
    const struct venue_endpoint *endpoint = &venue->endpoints[lane->endpoint];
    uint32_t names = config->limits[lane->endpoint].subscribe_bytes_max / 32;
    uint32_t requests = 0;
    for (uint32_t i = lane->first; i != FEED_NONE; i = streams[i].next_in_lane) {
        const struct venue_stream *one = &streams[i].stream;
        uint32_t k = lane->first;
        while (k != i && !share_request(endpoint, one, &streams[k].stream)) {
            k = streams[k].next_in_lane;
        }
        if (k != i) {
            continue; /* counted with the first of its kind */
        }
        uint32_t alike = 0;
        for (; k != FEED_NONE; k = streams[k].next_in_lane) {
            alike += share_request(endpoint, one, &streams[k].stream);
        }
        uint32_t most = venue->streams_per_request(one);
        most = names > 0 && names < most ? names : most;
        requests += (alike + most - 1) / most;
    }
    return requests;
}

/* When the k-th event of a paced kind may happen. */
static int64_t paced_ms(uint32_t k, uint32_t in_window, int64_t window_ms, int64_t spacing_ms)
{
    int64_t by_window = in_window > 0 ? (int64_t)(k / in_window) * window_ms : 0;
    int64_t by_spacing = (int64_t)k * spacing_ms;
    return by_window > by_spacing ? by_window : by_spacing;
}

static void plan_lane(const struct feed_config *config, const struct lane *lane, uint32_t requests,
                      struct feed_plan *plan)
{
    const struct venue_limits *limits = &config->limits[lane->endpoint];
    struct feed_plan_endpoint *endpoint = &plan->endpoints[lane->endpoint];
    int64_t connected = paced_ms(endpoint->connections, limits->connects,
                                 limits->connects_window_ms, limits->connect_spacing_ms);
    int64_t subscribed =
        connected + paced_ms(requests > 0 ? requests - 1 : 0, limits->control_messages,
                             limits->control_window_ms, limits->control_spacing_ms);
    endpoint->connections++;
    endpoint->streams += lane->streams;
    endpoint->fullest = lane->streams > endpoint->fullest ? lane->streams : endpoint->fullest;
    endpoint->requests += requests;
    endpoint->requests_fullest =
        requests > endpoint->requests_fullest ? requests : endpoint->requests_fullest;
    endpoint->connected_ms = connected;
    endpoint->subscribed_ms =
        subscribed > endpoint->subscribed_ms ? subscribed : endpoint->subscribed_ms;
    plan->requests += requests;
    plan->connections++;
    plan->subscribed_ms = subscribed > plan->subscribed_ms ? subscribed : plan->subscribed_ms;
}

static void plan_rest(const struct feed_config *config, const struct feed_stream *streams,
                      uint32_t count, struct feed_plan *plan)
{
    const struct venue *venue = config->venue;
    uint32_t books = 0;
    for (uint32_t i = 0; i < count; i++) {
        books += streams[i].stream.request.channel == CHANNEL_DEPTH && !streams[i].spare &&
                 !venue->endpoints[streams[i].stream.endpoint].seeds_books;
    }
    plan->rest_weight_start = venue->rest_weights[VENUE_REST_INSTRUMENTS] +
                              books * venue->rest_weights[VENUE_REST_SNAPSHOT];
    uint32_t minute = venue->rest_weight_per_minute * config->rest_weight_percent / 100;
    plan->snapshots_ms = plan->rest_weight_start <= minute || minute == 0
                             ? 0
                             : (int64_t)(plan->rest_weight_start - minute) * 60000 / minute;
}

int feed_plan(const struct feed_config *config, const struct stream_request *requests,
              const uint32_t *weights, uint32_t count, struct feed_plan *plan, struct err *err)
{
    memset(plan, 0, sizeof *plan);
    if (count == 0) {
        return 0;
    }
    uint32_t most = count * VENUE_STREAMS_MAX;
    struct feed_stream *streams = alloc_take(ALLOC_FEED, most * sizeof *streams);
    uint32_t *order = alloc_take(ALLOC_FEED, most * sizeof *order);
    struct lane *lanes = alloc_take(ALLOC_FEED, LANES_MAX * sizeof *lanes);
    int code = MD_ENOMEM;
    if (streams != NULL && order != NULL && lanes != NULL) {
        code = feed_expand(config, requests, weights, count, streams, most, err);
    } else {
        err_set(err, MD_ENOMEM, "%s: no memory for the plan", config->venue->name);
    }
    if (code > 0) {
        uint32_t made = (uint32_t)code;
        uint32_t lane_count = feed_spread(config, streams, made, lanes, LANES_MAX, order);
        if (lane_count == FEED_NONE) {
            lane_count = 0;
            code = err_set(err, MD_EFULL, "%s: %u streams need over %d connections",
                           config->venue->name, made, LANES_MAX);
        }
        plan->streams = made;
        for (uint32_t k = 0; k < lane_count; k++) {
            plan_lane(config, &lanes[k], requests_of(config, streams, &lanes[k]), plan);
        }
        for (uint32_t i = 0; i < count; i++) {
            plan->symbols += i == 0 || !str_equal(requests[i].symbol, requests[i - 1].symbol);
        }
        plan->lanes = plan->sockets = lane_count;
        for (uint32_t g = 0; g < GROUPS; g++) {
            bool used = false;
            for (uint32_t k = 0; k < lane_count; k++) {
                used = used || group_of(lanes[k].endpoint, lanes[k].spare) == g;
            }
            plan->lanes += used;        /* for streams that come later */
            plan->sockets += used * 2u; /* its socket, and one for replacing */
        }
        plan_rest(config, streams, made, plan);
        code = code < 0 ? code : 0;
    }
    alloc_give(lanes);
    alloc_give(order);
    alloc_give(streams);
    return code;
}
