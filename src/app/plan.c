/* The plan: which streams, over which connections, and what memory each consumer gets. The budget
 * is one function, plan_budget(), one line per consumer; the modules say themselves what they take.
 */
#include "app/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "app/land.h"
#include "app/pipeline.h"
#include "app/plan_scale.h"
#include "app/secret.h"
#include "app/symbols_watch.h"
#include "base/assert.h"
#include "base/log.h"
#include "journal/journal.h"
#include "net/dial.h"
#include "store/tune.h"

#define LEVELS_BYTES_PER_BOOK (80 << 10) /* about 2 x 1700 levels, leaves part-filled */
#define TLS_BYTES_PER_CONNECTION \
    (96 << 10)                    /* measured 39 KiB steady; handshakes and CA chains peak */
#define TLS_BYTES_FIXED (6 << 20) /* the CA store of two users (sockets, REST) */
#define CURL_BYTES (2 << 20)
#define JSON_BYTES (1 << 20)
#define THREAD_STACKS_BYTES (6 * (128 << 10))
/* Symbols that may come while running, beside those of the start. */
#define ROOM_SHARE 4 /* a fourth of them */
#define ROOM_LEAST 16

static const struct {
    const char *name;
    enum channel channel;
    bool aggregate;
} channel_words[] = {
    {"trades", CHANNEL_TRADES, false},
    {"agg_trades", CHANNEL_TRADES, true},
    {"book_ticker", CHANNEL_BOOK_TICKER, false},
    {"incremental_book_L2", CHANNEL_DEPTH, false},
    {"book_snapshot_5", CHANNEL_BOOK_SNAPSHOT_5, false},
    {"book_snapshot_20", CHANNEL_BOOK_SNAPSHOT_20, false},
    {"book_snapshot_50", CHANNEL_BOOK_SNAPSHOT_50, false},
    {"derivative_ticker", CHANNEL_DERIVATIVE_TICKER, false},
    {"liquidations", CHANNEL_LIQUIDATIONS, false},
    {"candles", CHANNEL_CANDLES, false},
    {"ticker", CHANNEL_TICKER, false},
};

const char *plan_bytes_text(char out[24], uint64_t bytes)
{
    if (bytes >= 10u << 20) {
        snprintf(out, 24, "%.1f MiB", (double)bytes / (1 << 20));
    } else if (bytes >= 1u << 20) {
        snprintf(out, 24, "%.2f MiB", (double)bytes / (1 << 20));
    } else if (bytes >= 1024) {
        snprintf(out, 24, "%.1f KiB", (double)bytes / 1024);
    } else {
        snprintf(out, 24, "%llu B", (unsigned long long)bytes);
    }
    return out;
}

/* ---- symbols */

static void wait_s(int64_t seconds, const volatile sig_atomic_t *stop)
{
    for (int64_t i = 0; i < seconds * 10 && *stop == 0; i++) {
        struct timespec tenth = {0, 100000000L};
        nanosleep(&tenth, NULL);
    }
}

/* Waits and asks again while `stop` is given and the failure may pass. */
static int fetch_patiently(struct symbol_source *source, struct symbol_list *list,
                           const struct plan_venue *venue, const volatile sig_atomic_t *stop,
                           struct err *err)
{
    bool turnover = symbols_need_turnover(venue->settings.symbols);
    for (int64_t pause_s = 2;; pause_s = pause_s * 2 < 60 ? pause_s * 2 : 60) {
        int64_t retry_after_s = -1;
        int code = symbol_source_fetch(source, list, venue->venue, venue->rest_url, turnover,
                                       &retry_after_s, err);
        if (code == 0 || stop == NULL || *stop != 0 || err_class_of(code) != ERR_CLASS_RETRY) {
            return code;
        }
        int64_t wait = retry_after_s > 0 ? retry_after_s : pause_s;
        LOG_WARN("symbols_wait", "%s: %s: asked again in %lld s", venue->venue->name, err->text,
                 (long long)wait);
        wait_s(wait, stop);
    }
}

struct resolving {
    struct symbol_source *source; /* NULL: offline */
    struct symbol_list list;
    struct listed *chosen;
};

/* Plain names with the venue down: go on; anything else is the caller's error. Returns how many
 * were chosen. */
static int choose_symbols(struct plan_venue *venue, struct resolving *resolving,
                          const volatile sig_atomic_t *stop, struct err *err)
{
    const char *words = venue->settings.symbols;
    const char *section = venue->venue->section;
    venue->changes = symbols_need_list(words);
    if (resolving->source == NULL && venue->changes) {
        return err_set(err, MD_EINVAL,
                       "%s.symbols: patterns need the venue's list: run without --offline",
                       section);
    }
    int code = MD_ENOTSUP;
    if (resolving->source != NULL) {
        code = fetch_patiently(resolving->source, &resolving->list, venue,
                               venue->changes ? stop : NULL, err);
        venue->resolved = code == 0;
        if (code != 0 && (err_class_of(code) == ERR_CLASS_CONFIG || venue->changes)) {
            return err_append(err, code, "%s: symbols cannot be resolved", venue->venue->name);
        }
        if (code != 0) {
            LOG_WARN("symbols_unchecked", "%s: symbol names taken as they stand: %s",
                     venue->venue->name, err->text);
        }
    }
    return symbols_choose(venue->resolved ? &resolving->list : NULL, words, section,
                          resolving->chosen, SYMBOLS_LISTED_MAX, false, err);
}

/* ---- streams */

struct channel_words {
    struct plan_venue *venue;
    struct err *err;
    int code;
};

static bool venue_has(const struct plan_venue *venue, enum channel channel, bool aggregate)
{
    struct venue_stream out[VENUE_STREAMS_MAX];
    struct stream_request request = {
        .channel = channel, .aggregate = aggregate, .symbol = STR("A"), .interval = STR("1m")};
    return venue->venue->streams(&request, venue->feed.options, out) > 0;
}

static int refuse_channel(struct channel_words *words, struct str item)
{
    char allowed[400];
    struct buf out = buf_over(allowed, sizeof allowed - 1);
    for (size_t i = 0; i < sizeof channel_words / sizeof channel_words[0]; i++) {
        if (venue_has(words->venue, channel_words[i].channel, channel_words[i].aggregate)) {
            buf_printf(&out, "%s%s", out.bytes > 0 ? ", " : "", channel_words[i].name);
        }
    }
    allowed[out.bytes] = 0;
    return err_set(words->err, MD_EINVAL, "%s.channels: %.*s: no such channel; allowed are %s",
                   words->venue->venue->section, (int)item.bytes, item.data, allowed);
}

static void on_channel_item(void *context, struct str item)
{
    struct channel_words *words = context;
    struct plan_channels *channels = &words->venue->channels;
    for (size_t i = 0; i < sizeof channel_words / sizeof channel_words[0]; i++) {
        if (str_equal(item, str_from(channel_words[i].name)) &&
            channels->count < PLAN_CHANNELS_MAX &&
            venue_has(words->venue, channel_words[i].channel, channel_words[i].aggregate)) {
            channels->wanted[channels->count].channel = channel_words[i].channel;
            channels->wanted[channels->count].aggregate = channel_words[i].aggregate;
            channels->count++;
            return;
        }
    }
    words->code = words->code != 0 ? words->code : refuse_channel(words, item);
}

static void on_interval_item(void *context, struct str item)
{
    struct plan_channels *channels = context;
    if (channels->interval_count < PLAN_INTERVALS_MAX) {
        channels->intervals[channels->interval_count++] = item;
    }
}

struct matching {
    struct str symbol;
    bool found;
};

static void on_pattern(void *context, struct str pattern)
{
    struct matching *matching = context;
    matching->found = matching->found || symbol_matches(pattern, matching->symbol);
}

uint32_t plan_requests(const struct plan_channels *channels, struct str symbol,
                       struct stream_request *out)
{
    uint32_t count = 0;
    struct matching matching = {.symbol = symbol};
    if (channels->redundant != NULL) {
        settings_list_each(channels->redundant, on_pattern, &matching);
    }
    for (uint32_t c = 0; c < channels->count; c++) {
        enum channel channel = channels->wanted[c].channel;
        bool candles = channels->wanted[c].channel == CHANNEL_CANDLES;
        uint32_t times = candles ? channels->interval_count : 1;
        for (uint32_t i = 0; i < times; i++) {
            out[count++] = (struct stream_request){
                .channel = channels->wanted[c].channel,
                .aggregate = channels->wanted[c].aggregate,
                .redundant =
                    matching.found && (channel == CHANNEL_TRADES || channel == CHANNEL_DEPTH),
                .symbol = symbol,
                .interval = candles ? channels->intervals[i] : (struct str){0},
            };
        }
    }
    return count;
}

/* From turnover: the busiest symbol has 100 times the weight of a quiet one. */
static uint32_t weight_of(const struct listed *listed, double most)
{
    return most > 0 && listed->turnover > 0 ? 1 + (uint32_t)(99.0 * sqrt(listed->turnover / most))
                                            : 1;
}

static int keep_names(struct plan *plan, struct listed *chosen, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += chosen[i].name.bytes;
    }
    if (plan->names_used + bytes > plan->names_capacity) {
        return MD_ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        char *copy = plan->names + plan->names_used;
        memcpy(copy, chosen[i].name.data, chosen[i].name.bytes);
        plan->names_used += chosen[i].name.bytes;
        chosen[i].name.data = copy;
    }
    return 0;
}

static int make_requests(struct plan *plan, struct plan_venue *venue, struct listed *chosen,
                         uint32_t count, struct err *err)
{
    struct stream_request requests[PLAN_REQUESTS_A_SYMBOL];
    struct channel_words words = {venue, err, 0};
    venue->channels.redundant = venue->settings.redundant;
    settings_list_each(venue->settings.channels, on_channel_item, &words);
    settings_list_each(venue->settings.candles, on_interval_item, &venue->channels);
    if (words.code != 0) {
        return words.code;
    }
    uint32_t each = plan_requests(&venue->channels, (struct str){0}, requests);
    if (each == 0 || count == 0) {
        return err_set(err, MD_EINVAL, "%s: nothing to record: no %s are chosen",
                       venue->venue->section, each == 0 ? "channels" : "symbols");
    }
    venue->requests = alloc_take(ALLOC_APP, (size_t)each * count * sizeof *venue->requests);
    venue->weights = alloc_take(ALLOC_APP, (size_t)each * count * sizeof *venue->weights);
    if (venue->requests == NULL || venue->weights == NULL || keep_names(plan, chosen, count) != 0) {
        return err_set(err, MD_ENOMEM, "no memory for the stream list");
    }
    double most = 0;
    for (uint32_t s = 0; s < count; s++) {
        most = chosen[s].turnover > most ? chosen[s].turnover : most;
    }
    for (uint32_t s = 0; s < count; s++) {
        plan_requests(&venue->channels, chosen[s].name, venue->requests + venue->request_count);
        for (uint32_t i = 0; i < each; i++) {
            venue->weights[venue->request_count++] = weight_of(&chosen[s], most);
        }
    }
    venue->symbol_count = count;
    for (uint32_t c = 0; c < venue->channels.count; c++) {
        venue->depth_symbols += venue->channels.wanted[c].channel == CHANNEL_DEPTH ? count : 0;
        venue->trade_symbols += venue->channels.wanted[c].channel == CHANNEL_TRADES ? count : 0;
    }
    return 0;
}

/* ---- venues */

static void apply_kucoin(struct plan_venue *venue, const struct settings *settings)
{
    for (uint32_t e = 0; e < venue->venue->endpoint_count; e++) {
        venue->feed.limits[e].control_spacing_ms = settings->kucoin_subscribe_delay_ms;
    }
    venue->feed.limits[0].connect_spacing_ms = settings->kucoin_conn_stagger_ms;
    venue->request_spacing_ms = settings->kucoin_global_subscribe_delay_ms;
}

/* Where trades of the past are asked for: with a rest_url of one's own, there. */
static const char *history_of(const struct plan_venue *venue)
{
    const char *own = venue->settings.history_url;
    return own != NULL && own[0] != 0         ? own
           : venue->settings.rest_url[0] != 0 ? venue->rest_url
                                              : venue->venue->history_url;
}

static void make_feed_config(struct plan_venue *venue, const struct plan *plan,
                             const struct settings *settings)
{
    const struct venue *own = venue->venue;
    struct feed_config *feed = &venue->feed;
    *feed = (struct feed_config){
        .venue = own,
        .rest_url = venue->rest_url,
        .api_key = plan->api_key,
        .history_url = history_of(venue),
        .rest_weight_percent = (uint32_t)venue->settings.rest_weight_percent,
        .backfill_percent = (uint32_t)settings->backfill_percent,
        .backoff_min_ms = settings->net_backoff_min_ms,
        .backoff_max_ms = settings->net_backoff_max_ms,
        .stall_ms = settings->net_stall_secs * 1000,
        .life_ms = settings->net_life_secs * 1000,
        .instruments_every_ms = 86400 * 1000LL,
    };
    for (uint32_t e = 0; e < own->endpoint_count; e++) {
        const char *url = venue->settings.ws_urls[e];
        struct venue_limits *limits = &feed->limits[e];
        int64_t asked = venue->settings.streams_per_connection;
        feed->ws_urls[e] = url[0] != 0 ? url : own->endpoints[e].ws_url;
        *limits = own->endpoints[e].limits;
        asked = asked > 0 ? asked : limits->streams_preset;
        if (asked < limits->streams_per_connection) {
            limits->streams_per_connection = (uint32_t)asked;
        }
    }
    if (own->id == VENUE_BINANCE && settings->binance_feed == 1) {
        feed->options |= VENUE_OPTION_BINARY;
    } else if (own->id == VENUE_BINANCE_FUTURES) {
        feed->open_interest_every_ms = settings->binance_futures_open_interest_secs * 1000;
    } else if (own->id == VENUE_KUCOIN || own->id == VENUE_KUCOIN_FUTURES) {
        apply_kucoin(venue, settings);
    }
}

struct feed_config plan_feed_config(const struct plan *plan, uint32_t venue,
                                    const struct settings *settings, int64_t *spacing_ms)
{
    static struct plan_venue again; /* large; net thread only */
    again = plan->venues[venue];
    again.settings = settings_of_venue(settings, again.venue->id);
    make_feed_config(&again, plan, settings);
    *spacing_ms = again.request_spacing_ms;
    return again.feed;
}

/* Symbols may come while running: new listings, or a configuration that is read again. */
static uint32_t room(uint32_t count)
{
    return count + (count / ROOM_SHARE > ROOM_LEAST ? count / ROOM_SHARE : ROOM_LEAST);
}

static int plan_one(struct plan *plan, const struct venue *own, const struct settings *settings,
                    struct resolving *resolving, const volatile sig_atomic_t *stop, struct err *err)
{
    struct plan_venue *venue = &plan->venues[plan->venue_count];
    venue->venue = own;
    venue->settings = settings_of_venue(settings, own->id);
    if (venue->settings.symbols[0] == 0) {
        return 0;
    }
    plan->venue_count++;
    venue->rest_url = venue->settings.rest_url[0] != 0 ? venue->settings.rest_url : own->rest_url;
    make_feed_config(venue, plan, settings);
    int chosen = choose_symbols(venue, resolving, stop, err);
    int code =
        chosen < 0 ? chosen : make_requests(plan, venue, resolving->chosen, (uint32_t)chosen, err);
    code = code != 0 ? code
                     : feed_plan(&venue->feed, venue->requests, venue->weights,
                                 venue->request_count, &venue->feed_plan, err);
    if (code != 0) {
        return code;
    }
    uint32_t symbols = room(venue->symbol_count);
    uint32_t each = (venue->feed_plan.streams + venue->symbol_count - 1) / venue->symbol_count;
    venue->feed.symbols_max = symbols;
    venue->feed.streams_max = symbols * each;
    /* a stream may land in two channels (tickers of contracts); gaps and instruments besides */
    venue->partitions = symbols * (each + own->futures) + 2;
    uint32_t books = venue->depth_symbols > 0 ? symbols : 0;
    plan->streams += venue->feed_plan.streams;
    plan->symbols += venue->symbol_count;
    plan->depth_symbols += books;
    plan->trade_symbols += venue->trade_symbols > 0 ? symbols : 0;
    plan->connections += venue->feed_plan.connections;
    plan->sockets += venue->feed_plan.sockets;
    plan->partitions += venue->partitions;
    return 0;
}

/* KuCoin counts an address's connects and requests over spot and futures together. */
static void find_families(struct plan *plan)
{
    uint32_t kucoin = UINT32_MAX;
    for (uint32_t v = 0; v < plan->venue_count; v++) {
        enum venue_id id = plan->venues[v].venue->id;
        bool shares = id == VENUE_KUCOIN || id == VENUE_KUCOIN_FUTURES;
        kucoin = shares && kucoin == UINT32_MAX ? v : kucoin;
        plan->venues[v].family = shares ? kucoin : v;
    }
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* What a family shares comes later: each venue's connects wait for those of the others, and no two
 * requests stand closer than the family's spacing. */
static void share_pacing(struct plan *plan, uint32_t v)
{
    struct plan_venue *venue = &plan->venues[v];
    struct feed_plan *own = &venue->feed_plan;
    uint32_t requests = 0;
    uint32_t others[VENUE_ENDPOINTS_MAX] = {0};
    for (uint32_t u = 0; u < plan->venue_count; u++) {
        const struct plan_venue *one = &plan->venues[u];
        if (one->family != venue->family) {
            continue;
        }
        requests += one->feed_plan.requests;
        for (uint32_t e = 0; e < one->venue->endpoint_count && u != v; e++) {
            others[e] += one->feed_plan.endpoints[e].connections;
        }
    }
    int64_t shared_ms = requests > 0 ? (requests - 1) * venue->request_spacing_ms : 0;
    for (uint32_t e = 0; e < venue->venue->endpoint_count; e++) {
        struct feed_plan_endpoint *endpoint = &own->endpoints[e];
        int64_t shift_ms = others[e] * venue->feed.limits[e].connect_spacing_ms;
        if (endpoint->connections > 0) {
            endpoint->connected_ms += shift_ms;
            endpoint->subscribed_ms = later(endpoint->subscribed_ms + shift_ms, shared_ms);
            own->subscribed_ms = later(own->subscribed_ms, endpoint->subscribed_ms);
        }
    }
}

/* The key's text, never the private key. */
static int read_key(struct plan *plan, const struct settings *settings, struct err *err)
{
    if (settings->binance_feed != 1 || settings->binance_symbols[0] == 0) {
        return 0;
    }
    struct secret_source source = secret_api_key;
    source.path = settings->binance_api_key_file;
    int code = secret_read(&source, plan->api_key, sizeof plan->api_key, err);
    return code != 0 || plan->api_key[0] != 0
               ? code
               : err_set(err, MD_EINVAL,
                         "binance.feed: sbe needs an API key (type Ed25519): set "
                         "binance.api_key_file or the environment's " API_KEY_VARIABLE
                         ", or use binance.feed=json");
}

static int plan_venues(struct plan *plan, const struct settings *settings, bool offline,
                       const volatile sig_atomic_t *stop, struct err *err)
{
    struct resolving resolving = {0};
    int code = symbol_list_init(&resolving.list, SYMBOLS_LISTED_MAX);
    resolving.chosen = alloc_take(ALLOC_APP, SYMBOLS_LISTED_MAX * sizeof *resolving.chosen);
    if (code != 0 || resolving.chosen == NULL) {
        code = err_set(err, MD_ENOMEM, "no memory for the symbol list");
    } else if (!offline) {
        resolving.source = symbol_source_create(settings, err);
        code = resolving.source != NULL ? 0 : MD_ENOMEM;
    }
    for (int id = 1; id < VENUE_ID_END && code == 0; id++) {
        const struct venue *venue = venue_of((enum venue_id)id);
        if (venue != NULL) {
            code = plan_one(plan, venue, settings, &resolving, stop, err);
        }
    }
    symbol_source_destroy(resolving.source);
    alloc_give(resolving.chosen);
    symbol_list_deinit(&resolving.list);
    return code;
}

/* ---- budget */

static size_t machine_budget(void)
{
    uint64_t quarter = plan_machine_bytes() / 4;
    return quarter < (512u << 20) ? (size_t)quarter : (size_t)512 << 20;
}

void plan_budget(struct plan *plan, const struct settings *settings)
{
    size_t *lines = plan->lines;
    memset(lines, 0, sizeof plan->lines);
    plan->book_bytes = settings->memory_book_bytes > 0
                           ? (size_t)settings->memory_book_bytes
                           : (size_t)plan->depth_symbols * LEVELS_BYTES_PER_BOOK + (256 << 10);
    uint32_t resident = (uint32_t)settings->output_max_open_files;
    resident = resident < plan->partitions ? resident : plan->partitions;
    plan->row_block_bytes = settings->memory_row_block_bytes > 0
                                ? (size_t)settings->memory_row_block_bytes
                                : (size_t)resident * 4096 + (256 << 10);
    struct land_sizes sizes = pipeline_land_sizes(plan);
    struct journal_config journal = pipeline_journal_config(settings, 0);
    struct net_config net = pipeline_net_config(settings, plan);

    lines[ALLOC_FRAME_RING] += pipeline_ring_bytes(settings);
    lines[ALLOC_CONNECTIONS] += net_memory_bytes(&net);
    for (uint32_t v = 0; v < plan->venue_count; v++) {
        const struct plan_venue *venue = &plan->venues[v];
        lines[ALLOC_FEED] += feed_memory_bytes(&venue->feed, &venue->feed_plan);
        lines[ALLOC_APP] +=
            venue->request_count * (sizeof(struct stream_request) + sizeof(uint32_t));
    }
    lines[ALLOC_APP] +=
        symbols_watch_bytes(plan) - symbol_source_decode_bytes() - symbol_source_net_bytes();
    lines[ALLOC_DECODE] += symbol_source_decode_bytes();
    lines[ALLOC_CONNECTIONS] += symbol_source_net_bytes();
    lines[ALLOC_JOURNAL] += journal_memory_bytes(&journal);
    lines[ALLOC_JOURNAL] += journal_reader_memory_bytes(journal.record_bytes_max); /* replay */
    land_memory_lines(settings, &sizes, lines);
    lines[ALLOC_APP] += sizeof(struct settings) + plan->names_capacity + (64 << 10);
    lines[ALLOC_LOG] += 256 << 10;
    size_t http = 0;
    lines[ALLOC_WATCH] += pipeline_watch_bytes(settings, plan, &http);
    lines[ALLOC_LIB_HTTP] += http;
    lines[ALLOC_STACKS] += THREAD_STACKS_BYTES;
    lines[ALLOC_LIB_TLS] += TLS_BYTES_FIXED + (size_t)plan->sockets * TLS_BYTES_PER_CONNECTION;
    lines[ALLOC_LIB_CURL] += CURL_BYTES;
    lines[ALLOC_LIB_JSON] += JSON_BYTES;

    plan->bytes = 0;
    for (int line = 0; line < ALLOC_LINE_COUNT; line++) {
        plan->bytes += lines[line];
    }
    plan->budget = settings->memory_budget > 0 ? (size_t)settings->memory_budget : machine_budget();
    plan->descriptors = plan->sockets + DIAL_DESCRIPTORS_KEPT;
}

/* Row groups are what gives way when the plan does not fit, if tuning may choose. */
static void tune_row_group(struct plan *plan, const struct settings *settings)
{
    uint32_t rows = plan->row_group_rows;
    while (settings->tune == 0 && plan->bytes > plan->budget && rows > 0) {
        rows = tune_row_group_next(rows);
        plan->row_group_rows = rows > 0 ? rows : plan->row_group_rows;
        plan_budget(plan, settings);
    }
    if (plan->bytes > plan->budget) { /* in vain: refused with what was asked for */
        plan->row_group_rows = (uint32_t)settings->output_batch_size;
        plan_budget(plan, settings);
    }
}

/* ---- a plan that does not fit */

enum { KNOB_QUEUE, KNOB_GROUP, KNOB_THIRD, KNOB_COUNT };

/* Three settings that can be lowered, each to its floor: the ring, the row group, and the third
 * that costs most here. */
struct knobs {
    const char *name[KNOB_COUNT];
    int64_t *value[KNOB_COUNT], floor[KNOB_COUNT];
};

static struct knobs knobs_of(const struct plan *plan, struct settings *settings)
{
    struct knobs knobs = {
        .name = {"memory.queue_bytes", "output.parquet_batch_size", "net.message_bytes_max"},
        .value = {&settings->memory_queue_bytes, &settings->output_batch_size,
                  &settings->net_message_bytes_max},
        .floor = {4 * settings->net_message_bytes_max, TUNE_ROW_GROUP_LEAST, 65536},
    };
    size_t blocks = plan->lines[ALLOC_ROW_BLOCKS];
    size_t most = plan->lines[ALLOC_CONNECTIONS] + plan->lines[ALLOC_DECODE];
    if (blocks > most) {
        most = blocks;
        knobs.name[KNOB_THIRD] = "memory.row_block_bytes";
        knobs.value[KNOB_THIRD] = &settings->memory_row_block_bytes;
        settings->memory_row_block_bytes = (int64_t)plan->row_block_bytes;
        knobs.floor[KNOB_THIRD] = 1 << 20;
    }
    if (settings->book_enabled && plan->lines[ALLOC_BOOKS] > most) {
        knobs.name[KNOB_THIRD] = "memory.book_bytes";
        knobs.value[KNOB_THIRD] = &settings->memory_book_bytes;
        settings->memory_book_bytes = (int64_t)plan->book_bytes;
        knobs.floor[KNOB_THIRD] = 1 << 20;
    }
    return knobs;
}

/* Halves the knobs in turn until the plan fits, or none can be lowered any more. True: it fits. */
static bool knobs_lower(struct plan *trial, struct settings *lowered, const struct knobs *knobs)
{
    bool some = true;
    while (trial->bytes > trial->budget && some) {
        some = false;
        for (int i = 0; i < KNOB_COUNT && trial->bytes > trial->budget; i++) {
            int64_t half = *knobs->value[i] / 2;
            if (half < knobs->floor[i]) {
                continue;
            }
            *knobs->value[i] = half;
            trial->row_group_rows = (uint32_t)lowered->output_batch_size;
            plan_budget(trial, lowered);
            some = true;
        }
    }
    return trial->bytes <= trial->budget;
}

static void put_knob(struct buf *out, const struct knobs *knobs, int i)
{
    buf_printf(out, "%s%s=%lld", out->bytes > 0 ? ", " : "", knobs->name[i],
               (long long)*knobs->value[i]);
}

/* Names three settings with which the plan fits: tried out here, not guessed. */
static int refuse_budget(const struct plan *plan, const struct settings *settings, struct err *err)
{
    static struct plan trial;
    static struct settings lowered;
    char need[24], have[24], hint[300];
    struct buf hints = buf_over(hint, sizeof hint - 1);
    trial = *plan;
    lowered = *settings;
    struct knobs knobs = knobs_of(plan, &lowered);
    bool fits = knobs_lower(&trial, &lowered, &knobs);
    put_knob(&hints, &knobs, KNOB_QUEUE);
    put_knob(&hints, &knobs, KNOB_GROUP);
    if (fits) {
        put_knob(&hints, &knobs, KNOB_THIRD);
    } else { /* not even so: then more memory, with what the first two save */
        *knobs.value[KNOB_THIRD] = knobs.value[KNOB_THIRD] == &lowered.net_message_bytes_max
                                       ? settings->net_message_bytes_max
                                   : knobs.value[KNOB_THIRD] == &lowered.memory_book_bytes
                                       ? settings->memory_book_bytes
                                       : settings->memory_row_block_bytes;
        plan_budget(&trial, &lowered);
        buf_printf(&hints, ", memory.budget=%zuMiB", (trial.bytes >> 20) + 1);
    }
    hint[hints.bytes] = 0;
    explicit_bzero(&trial, sizeof trial); /* holds a copy of the key */
    return err_set(err, MD_EBUDGET,
                   "memory.budget: the plan needs %s, allowed are %s; it fits with: %s "
                   "(market-data check shows every line)",
                   plan_bytes_text(need, plan->bytes), plan_bytes_text(have, plan->budget), hint);
}

int plan_make(struct plan *plan, const struct settings *settings, bool offline,
              const volatile sig_atomic_t *stop, struct err *err)
{
    memset(plan, 0, sizeof *plan);
    struct err local;
    err = err != NULL ? err : &local;
    plan->names_capacity = SYMBOLS_LISTED_MAX * 12;
    plan->names = alloc_take(ALLOC_APP, plan->names_capacity);
    int code = plan->names == NULL ? err_set(err, MD_ENOMEM, "no memory for symbol names")
                                   : read_key(plan, settings, err);
    code = code != 0 ? code : plan_venues(plan, settings, offline, stop, err);
    if (code == 0 && plan->venue_count == 0) {
        code = err_set(err, MD_EINVAL,
                       "nothing to record: set the symbols of an exchange, for instance "
                       "--set binance.symbols=BTCUSDT,ETHUSDT");
    }
    if (code != 0) {
        plan_deinit(plan);
        return code;
    }
    find_families(plan);
    for (uint32_t v = 0; v < plan->venue_count; v++) {
        share_pacing(plan, v);
    }
    plan->row_group_rows = (uint32_t)settings->output_batch_size;
    plan_budget(plan, settings);
    tune_row_group(plan, settings);
    return plan->bytes <= plan->budget ? 0 : refuse_budget(plan, settings, err);
}

void plan_deinit(struct plan *plan)
{
    for (uint32_t v = 0; v < PLAN_VENUES_MAX; v++) {
        alloc_give(plan->venues[v].requests);
        alloc_give(plan->venues[v].weights);
    }
    alloc_give(plan->names);
    explicit_bzero(plan, sizeof *plan);
}

/* ---- print */

/* The timetable of a venue: one line a kind of connection. */
static void print_venue(const struct plan_venue *venue, int fd)
{
    const struct feed_plan *feed = &venue->feed_plan;
    const struct venue *own = venue->venue;
    dprintf(fd, "  %-16s %u symbols, %u streams over %u connection%s, all asked for after %.1f s\n",
            own->name, venue->symbol_count, feed->streams, feed->connections,
            feed->connections == 1 ? "" : "s", (double)feed->subscribed_ms / 1000);
    for (uint32_t e = 0; e < own->endpoint_count; e++) {
        const struct feed_plan_endpoint *endpoint = &feed->endpoints[e];
        const char *url = venue->feed.ws_urls[e];
        if (endpoint->streams == 0) {
            continue;
        }
        dprintf(fd, "    %-14s %s\n", own->endpoints[e].name,
                url != NULL ? url : "address by token, a fresh one for each connect");
        dprintf(fd, "    %-14s %u streams over %u connection%s, at most %u on one (%u allowed)\n",
                "", endpoint->streams, endpoint->connections, endpoint->connections == 1 ? "" : "s",
                endpoint->fullest, own->endpoints[e].limits.streams_per_connection);
        dprintf(fd, "    %-14s connects %.2f s apart, the last at %.1f s\n", "",
                (double)venue->feed.limits[e].connect_spacing_ms / 1000,
                (double)endpoint->connected_ms / 1000);
        char over_all[48] = "";
        if (venue->request_spacing_ms > 0) {
            snprintf(over_all, sizeof over_all, " and %.2f s over all",
                     (double)venue->request_spacing_ms / 1000);
        }
        dprintf(fd, "    %-14s %u requests, %.2f s apart on a connection%s, the last at %.1f s\n",
                "", endpoint->requests, (double)venue->feed.limits[e].control_spacing_ms / 1000,
                over_all, (double)endpoint->subscribed_ms / 1000);
    }
    dprintf(fd,
            "    %-14s weight at start %u of %u a minute; last book snapshot after %.0f s, %s\n",
            "rest", feed->rest_weight_start, own->rest_weight_per_minute,
            (double)feed->snapshots_ms / 1000, venue->rest_url);
    if (venue->changes) {
        dprintf(fd, "    %-14s the list is asked again while running; room for %u symbols\n",
                "symbols", venue->feed.symbols_max);
    }
}

void plan_print(const struct plan *plan, const struct settings *settings, int fd)
{
    char text[24];
    static const char *const formats[] = {"parquet", "jsonl", "csv"};
    dprintf(fd, "Plan\n");
    for (uint32_t v = 0; v < plan->venue_count; v++) {
        print_venue(&plan->venues[v], fd);
    }
    dprintf(fd, "  %-16s %s below %s, a file per exchange, channel, symbol and hour\n", "files",
            formats[settings->output_format], settings->data_dir);
    dprintf(fd,
            "  %-16s %u partitions open, at most %lld with a block in memory; about %u file "
            "descriptors\n",
            "", plan->partitions, (long long)settings->output_max_open_files, plan->descriptors);
    if (plan->row_group_rows != (uint32_t)settings->output_batch_size) {
        dprintf(fd, "  %-16s row groups of %u rows, not %lld: memory.budget holds no more\n",
                "tuning", plan->row_group_rows, (long long)settings->output_batch_size);
    }
    dprintf(fd, "Memory\n");
    for (int line = 0; line < ALLOC_LINE_COUNT; line++) {
        if (plan->lines[line] > 0) {
            dprintf(fd, "  %-40s %12s\n", alloc_line_label((enum alloc_line)line),
                    plan_bytes_text(text, plan->lines[line]));
        }
    }
    dprintf(fd, "  %-40s %12s", "sum", plan_bytes_text(text, plan->bytes));
    dprintf(fd, " of %s allowed (memory.budget)\n", plan_bytes_text(text, plan->budget));
    plan_print_scale(plan, settings, fd);
}
