/* Half an hour of all venues, simulated: each venue's simulator and the recorder's feed, decoder
 * and normalise in one thread on one clock. Connections live four minutes instead of 24 hours, are
 * reset, shut down and made silent by script. At the end every stream must be alive, and each id
 * between the first and the last of a provable stream must have come or be named by a gap row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../sim/sim_client.h"

#include "base/log.h"
#include "exchange/feed.h"
#include "normalise/normalise.h"
#include "sim/sim_exchange.h"

#define SYMBOLS 6
#define CHANNELS 3
#define STEP_NS (10 * NS_PER_MS)
#define LIFE_MS (4 * 60 * 1000)
#define MINUTES 30
#define REQUESTS_MAX 256
#define TRACKS_MAX 256
#define IDS_MAX (1 << 22)

/* What is known of one stream whose ids prove something: a bit for each id since the first. */
struct track {
    enum venue_id venue;
    enum channel channel;
    char symbol[32];
    size_t symbol_bytes;
    int64_t first, last; /* ids */
    int64_t last_ns;     /* of the last message */
    uint8_t *seen;       /* by id - first: 1 came, 2 named by a gap row */
    uint32_t gap_rows;
};

struct place { /* a venue */
    const struct venue *venue;
    struct sim_config sim_config;
    struct sim *sim;
    struct feed *feed;
    struct feed_family family;
    struct feed_config config;
    struct stream_request requests[SYMBOLS * CHANNELS];
    char names[SYMBOLS][64];
    uint32_t request_count;
    char urls[3][96];
    uint64_t closes, gap_rows_of_reconnects;
};

struct wish {
    uint8_t venue, channel;
    bool snapshot;
    char symbol[64];
    size_t bytes;
};

static struct {
    struct place places[VENUE_ID_END];
    uint32_t count;
    struct loop *loop;
    struct net *net;
    struct rest *rest;
    struct net_config net_config;
    struct rest_config rest_config;
    struct decoder *decoder;
    struct normalise *normalise;
    struct clock_stamp stamp;
    struct track tracks[TRACKS_MAX];
    uint32_t track_count;
    struct wish wishes[REQUESTS_MAX];
    uint32_t wish_count;
    uint32_t conns;
    uint64_t seq, undecodable, messages;
} life;

/* ---- what comes out */

static struct track *track_of(enum venue_id venue, enum channel channel, struct str symbol)
{
    for (uint32_t i = 0; i < life.track_count; i++) {
        struct track *track = &life.tracks[i];
        if (track->venue == venue && track->channel == channel &&
            str_equal(str_make(track->symbol, track->symbol_bytes), symbol)) {
            return track;
        }
    }
    assert_true(life.track_count < TRACKS_MAX);
    struct track *track = &life.tracks[life.track_count++];
    assert_true(symbol.bytes <= sizeof track->symbol);
    *track = (struct track){.venue = venue, .channel = channel, .first = ID_NONE, .last = ID_NONE};
    memcpy(track->symbol, symbol.data, symbol.bytes);
    track->symbol_bytes = symbol.bytes;
    track->seen = calloc(1, IDS_MAX);
    assert_non_null(track->seen);
    return track;
}

static void mark(struct track *track, int64_t from, int64_t to, uint8_t how)
{
    if (track->first == ID_NONE) {
        track->first = from;
    }
    from = from < track->first ? track->first : from;
    assert_true(to - track->first < IDS_MAX);
    for (int64_t id = from; id <= to; id++) {
        track->seen[id - track->first] |= how;
    }
    track->last = to > track->last || track->last == ID_NONE ? to : track->last;
}

static void on_gap(const struct event *event)
{
    const struct gap_event *gap = &event->gap;
    if (event->symbol.bytes == 0) {
        return;
    }
    struct track *track = track_of(event->venue, gap->of_channel, event->symbol);
    track->gap_rows++;
    if (gap->from_id != ID_NONE && gap->to_id != ID_NONE && track->first != ID_NONE) {
        mark(track, gap->from_id, gap->to_id, 2);
    }
}

static void on_event(void *context, uint32_t stream, const struct event *event)
{
    (void)context;
    (void)stream;
    if (event->channel == CHANNEL_GAPS) {
        on_gap(event);
        return;
    }
    if (event->channel == CHANNEL_INSTRUMENTS) {
        return;
    }
    const struct venue *venue = venue_of(event->venue);
    struct track *track = track_of(event->venue, event->channel, event->symbol);
    track->last_ns = event->recv_unix_ns;
    if (event->channel == CHANNEL_TRADES) {
        if (venue->continuity(CHANNEL_TRADES, event->trade.flags) == CONTINUITY_PLUS_ONE) {
            mark(track, event->trade.trade_id, event->trade.trade_id, 1);
        }
    } else if (event->channel == CHANNEL_DEPTH && !event->depth.is_snapshot &&
               venue->continuity(CHANNEL_DEPTH, 0) == CONTINUITY_RANGE) {
        mark(track, event->depth.first_update_id, event->depth.last_update_id, 1);
    }
}

static void on_decoded(void *context, const struct event *event)
{
    (void)context;
    normalise_event(life.normalise, event);
}

static void wish(enum venue_id venue, enum channel channel, struct str symbol, bool snapshot)
{
    if (life.wish_count == REQUESTS_MAX) {
        return; /* asked again */
    }
    struct wish *one = &life.wishes[life.wish_count++];
    *one = (struct wish){(uint8_t)venue, (uint8_t)channel, snapshot, {0}, symbol.bytes};
    memcpy(one->symbol, symbol.data, symbol.bytes);
}

static void on_snapshot_wanted(void *context, enum venue_id venue, struct str symbol)
{
    (void)context;
    wish(venue, CHANNEL_DEPTH, symbol, true);
}

static void on_record(void *context, struct record *record, bool droppable)
{
    struct place *place = context;
    (void)droppable;
    record->seq = ++life.seq;
    record->time_unix_ns =
        clock_stamp_next(&life.stamp, record->time_unix_ns, clock_mono_ns(&test_clock));
    place->closes += record->kind == RECORD_CLOSE;
    if (record->kind == RECORD_RECV || record->kind == RECORD_RECV_BINARY ||
        record->kind == RECORD_REST || record->kind == RECORD_REST_PART) {
        life.messages++;
        struct decode_result result = place->venue->decode(life.decoder, record, on_decoded, NULL);
        if (result.code != 0) {
            life.undecodable++;
            print_error("%s: %s: %.*s\n", place->venue->name, result.reason,
                        record->payload.bytes < 300 ? (int)record->payload.bytes : 300,
                        record->payload.data);
        }
    } else {
        normalise_record(life.normalise, record);
    }
}

static uint32_t next_conn(void *context)
{
    (void)context;
    return ++life.conns;
}

static void on_config_fault(void *context, const struct venue *venue, int code, const char *why,
                            bool ever_open)
{
    (void)context;
    (void)ever_open;
    print_error("%s: %d %s\n", venue->name, code, why);
    fail();
}

/* ---- the venues */

/* Connections die, are told to go, and one stops answering, each venue at times of its own. */
static const char *faults_of(enum venue_id id)
{
    static char text[VENUE_ID_END][200];
    snprintf(text[id], sizeof text[id],
             "every %ds reset\nat %ds shutdown for 5s\nat %ds half_open for 4m\n", 410 + 17 * id,
             600 + 7 * id, 1200 + 11 * id);
    return text[id];
}

static const char *base_of(struct place *place, uint32_t which, bool websocket)
{
    const char *path = "";
    if (place->venue->id == VENUE_GATE || place->venue->id == VENUE_GATE_FUTURES) {
        path = !websocket ? "/api/v4" : place->venue->id == VENUE_GATE ? "/ws/v4/" : "/v4/ws/usdt";
    }
    snprintf(place->urls[which], sizeof place->urls[which], "%s://127.0.0.1:%u%s",
             websocket ? "ws" : "http", sim_port(place->sim), path);
    return place->urls[which];
}

static void name_symbols(struct place *place)
{
    const struct sim_exchange *exchange = sim_exchange_of(place->venue->id);
    void *memory = calloc(1, model_memory_bytes(&place->sim_config.model));
    struct model model;
    model_init(&model, &place->sim_config.model, memory);
    if (exchange->spell != NULL) {
        model_rename(&model, exchange->spell);
    }
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        snprintf(place->names[s], sizeof place->names[s], "%s", model.symbols[s].name);
    }
    free(memory);
}

static void open_place(struct place *place, const struct venue *venue)
{
    struct err err = {{0}};
    int code = 0;
    place->venue = venue;
    place->sim_config = test_config();
    place->sim_config.exchange = venue->id;
    place->sim_config.connections_max = 64;
    place->sim_config.model.symbols = SYMBOLS;
    place->sim_config.model.trades_per_s = 12;
    place->sim_config.model.flat = true;
    place->sim_config.limits = sim_limits_of(venue->id);
    place->sim_config.limits.life_ms = LIFE_MS;
    place->sim_config.faults = str_from(faults_of(venue->id));
    place->sim = sim_create(&place->sim_config, &code, &err);
    if (place->sim == NULL) {
        print_error("%s\n", err.text);
    }
    assert_non_null(place->sim);
    place->config = (struct feed_config){
        .venue = venue,
        .rest_url = base_of(place, 2, false),
        .rest_weight_percent = 80,
        .backoff_min_ms = 1000,
        .backoff_max_ms = 30000,
        .stall_ms = 60000,
        .life_ms = LIFE_MS,
        .seed = (uint64_t)venue->id,
    };
    for (uint32_t e = 0; e < venue->endpoint_count; e++) {
        place->config.ws_urls[e] = base_of(place, e, true);
        place->config.limits[e] = venue->endpoints[e].limits;
        place->config.limits[e].streams_per_connection = 8;
    }
    name_symbols(place);
    static const enum channel channels[CHANNELS] = {CHANNEL_TRADES, CHANNEL_DEPTH,
                                                    CHANNEL_BOOK_TICKER};
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        for (uint32_t c = 0; c < CHANNELS; c++) {
            place->requests[place->request_count++] = (struct stream_request){
                .channel = channels[c], .symbol = str_from(place->names[s])};
        }
    }
}

static void on_silent(void *context, enum venue_id venue, enum channel channel, struct str symbol)
{
    (void)context;
    wish(venue, channel, symbol, false);
}

static void open_recorder(void)
{
    struct err err = {{0}};
    uint32_t sockets = 0;
    for (uint32_t p = 0; p < life.count; p++) {
        struct place *place = &life.places[p];
        struct feed_plan plan;
        assert_int_equal(
            feed_plan(&place->config, place->requests, NULL, place->request_count, &plan, &err), 0);
        sockets += plan.sockets;
    }
    life.net_config = (struct net_config){
        .ca_file = "",
        .proxy = "",
        .message_bytes_max = 1 << 20,
        .read_bytes = 65536,
        .send_bytes_max = 8192,
        .connections_max = sockets,
        .connect_timeout_ms = 10000,
    };
    life.rest_config = (struct rest_config){"", "", 10000, 4, 64u << 20};
    life.loop = loop_create(&test_clock, 256, &err);
    life.net = net_create(life.loop, &life.net_config, &err);
    life.rest = rest_create(life.loop, &life.rest_config, &err);
    assert_non_null(life.rest);
    struct decoder_config decoder = {.levels_max = 5000};
    life.decoder = decoder_create(&decoder);
    struct normalise_config normalise = {
        .streams_max = 1024,
        .symbol_bytes_max = 64,
        .names_bytes = 64 << 10,
        .book_bytes = 16 << 20,
        .books_max = 64,
        .pending_deltas_bytes = 256 << 10,
        .open_gaps_max = 256,
        .recents_max = 64,
        .book_enabled = true,
    };
    struct normalise_handlers handlers = {
        .on_event = on_event, .on_snapshot_wanted = on_snapshot_wanted, .on_silent = on_silent};
    life.normalise = normalise_create(&normalise, &handlers);
    assert_non_null(life.normalise);
    for (uint32_t p = 0; p < life.count; p++) {
        struct place *place = &life.places[p];
        struct feed_handlers feed_handlers = {on_record, next_conn, on_config_fault, place};
        feed_family_init(&place->family, &place->config, 0);
        place->feed =
            feed_create(&place->config, &place->family, place->requests, NULL, place->request_count,
                        life.net, life.rest, life.loop, &feed_handlers, &err);
        if (place->feed == NULL) {
            print_error("%s: %s\n", place->venue->name, err.text);
        }
        assert_non_null(place->feed);
    }
    loop_turn(life.loop, 0);
    for (uint32_t p = 0; p < life.count; p++) {
        feed_start(life.places[p].feed);
    }
}

static void grant_wishes(void)
{
    for (uint32_t w = 0; w < life.wish_count; w++) {
        const struct wish *one = &life.wishes[w];
        for (uint32_t p = 0; p < life.count; p++) {
            struct feed *feed = life.places[p].feed;
            struct str symbol = str_make(one->symbol, one->bytes);
            if (life.places[p].venue->id == one->venue) {
                int code = one->snapshot ? feed_snapshot(feed, symbol)
                                         : feed_renew(feed, (enum channel)one->channel, symbol);
                assert_int_equal(code, 0);
            }
        }
    }
    life.wish_count = 0;
}

static bool settled(void)
{
    for (uint32_t p = 0; p < life.count; p++) {
        struct feed_stats stats = feed_stats(life.places[p].feed);
        if (stats.open < stats.connections || stats.rest_queued > 0) {
            return false;
        }
    }
    return true;
}

/* Names are resolved and REST is read on threads and sockets that live in real time, so a turn
 * waits a little while something is being made. */
static void pass(int64_t until_ns)
{
    int64_t tick_ns = test_now_ns;
    while (test_now_ns < until_ns) {
        bool calm = settled();
        test_now_ns += calm ? STEP_NS : STEP_NS / 2;
        for (uint32_t p = 0; p < life.count; p++) {
            sim_turn(life.places[p].sim, 0);
        }
        loop_turn(life.loop, calm ? 0 : 1);
        grant_wishes();
        if (test_now_ns - tick_ns >= NS_PER_S) {
            tick_ns = test_now_ns;
            struct record tick = {.kind = RECORD_TICK, .seq = ++life.seq};
            tick.time_unix_ns = clock_stamp_next(&life.stamp, clock_unix_ns(&test_clock),
                                                 clock_mono_ns(&test_clock));
            normalise_record(life.normalise, &tick);
        }
    }
}

/* ---- what must hold */

static void place_is_alive(const struct place *place)
{
    struct feed_stats stats = feed_stats(place->feed);
    print_message("# %s: %u connections, %llu connects, %llu rotations, %llu reconnects, %llu "
                  "tokens, %llu messages, %lld violations\n",
                  place->venue->name, stats.connections, (unsigned long long)stats.connects,
                  (unsigned long long)stats.rotations, (unsigned long long)stats.reconnects,
                  (unsigned long long)stats.tokens, (unsigned long long)stats.messages,
                  test_status(place->sim, "violations"));
    assert_int_equal(stats.live, stats.connections);
    assert_int_equal(stats.streams_on, stats.streams);
    assert_int_equal(stats.streams_refused, 0);
    assert_int_equal(stats.throttled, 0);
    assert_true(stats.rotations >= 4 * stats.connections);
    assert_true(stats.reconnects >= 3 * (uint64_t)stats.connections);
    assert_true(stats.shutdowns >= 1 || sim_exchange_of(place->venue->id)->ws_shutdown == NULL);
    assert_int_equal(test_status(place->sim, "violations"), 0);
}

static void track_is_whole(const struct track *track)
{
    char name[64];
    snprintf(name, sizeof name, "%s %s %.*s", venue_name(track->venue),
             channel_name(track->channel), (int)track->symbol_bytes, track->symbol);
    int64_t silent_s = (test_unix(NULL) - track->last_ns) / NS_PER_S;
    int64_t nowhere = 0, named = 0;
    for (int64_t id = 0; track->first != ID_NONE && id <= track->last - track->first; id++) {
        nowhere += track->seen[id] == 0;
        named += track->seen[id] == 2;
    }
    if (silent_s > 60 || nowhere > 0 || track->gap_rows < 3) {
        print_error("%s: silent for %lld s, %lld ids nowhere, %lld named as missing, %u gap rows\n",
                    name, (long long)silent_s, (long long)nowhere, (long long)named,
                    track->gap_rows);
        fail();
    }
}

static void half_an_hour_of_all_venues_ends_with_every_stream_alive(void **state)
{
    (void)state;
    log_level_set(LOG_LEVEL_ERROR);
    test_now_ns = 0;
    for (int id = VENUE_NONE + 1; id < VENUE_ID_END; id++) {
        if (sim_plays((enum venue_id)id)) {
            open_place(&life.places[life.count++], venue_of((enum venue_id)id));
        }
    }
    open_recorder();
    pass((int64_t)MINUTES * 60 * NS_PER_S);
    for (uint32_t i = 0; i < 60 && !settled(); i++) { /* a fault may have come just now */
        pass(test_now_ns + NS_PER_S);
    }
    pass(test_now_ns + 30 * NS_PER_S);
    for (uint32_t p = 0; p < life.count; p++) {
        place_is_alive(&life.places[p]);
    }
    assert_int_equal(life.undecodable, 0);
    assert_int_equal(life.track_count, life.count * SYMBOLS * CHANNELS);
    for (uint32_t i = 0; i < life.track_count; i++) {
        track_is_whole(&life.tracks[i]);
    }
}

static int close_all(void **state)
{
    (void)state;
    for (uint32_t p = 0; p < life.count; p++) {
        feed_destroy(life.places[p].feed);
    }
    if (life.rest != NULL) {
        rest_destroy(life.rest);
    }
    if (life.net != NULL) {
        net_destroy(life.net);
    }
    if (life.loop != NULL) {
        loop_destroy(life.loop);
    }
    for (uint32_t p = 0; p < life.count; p++) {
        if (life.places[p].sim != NULL) {
            sim_destroy(life.places[p].sim);
        }
    }
    normalise_destroy(life.normalise);
    decoder_destroy(life.decoder);
    for (uint32_t i = 0; i < life.track_count; i++) {
        free(life.tracks[i].seen);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(half_an_hour_of_all_venues_ends_with_every_stream_alive,
                                  close_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
