/* The plan: which streams, over which connections, and what memory each consumer gets. The budget
 * is one function, plan_budget(), one line per consumer; the modules say themselves what they take.
 */
#include "app/plan.h"

#include <stdio.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "app/land.h"
#include "app/pipeline.h"
#include "base/assert.h"
#include "base/log.h"
#include "journal/journal.h"

#define SYMBOLS_LISTED_MAX 16384
#define LEVELS_BYTES_PER_BOOK (80 << 10) /* about 2 x 1700 levels, leaves part-filled */
#define TLS_BYTES_PER_CONNECTION \
    (96 << 10)                    /* measured 39 KiB steady; handshakes and CA chains peak */
#define TLS_BYTES_FIXED (6 << 20) /* the CA store of two users (sockets, REST) */
#define CURL_BYTES (2 << 20)
#define JSON_BYTES (1 << 20)
#define THREAD_STACKS_BYTES (5 * (128 << 10))

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

struct chooser {
    struct plan *plan;
    const struct symbol_list *list; /* NULL: take names as they stand */
    struct str *chosen;
    uint32_t count, capacity;
    bool has_pattern;
    const char *venue;
    struct err *err;
    int code;
};

static bool is_pattern(struct str item)
{
    return memchr(item.data, '*', item.bytes) != NULL ||
           memchr(item.data, '?', item.bytes) != NULL || str_equal(item, STR("all"));
}

static void choose(struct chooser *chooser, struct str name)
{
    for (uint32_t i = 0; i < chooser->count; i++) {
        if (str_equal(chooser->chosen[i], name)) {
            return;
        }
    }
    struct plan *plan = chooser->plan;
    if (chooser->count == chooser->capacity ||
        plan->names_used + name.bytes > plan->names_capacity) {
        chooser->code = err_set(chooser->err, MD_ETOOBIG, "%s.symbols: more than %u symbols",
                                chooser->venue, chooser->capacity);
        return;
    }
    char *copy = plan->names + plan->names_used;
    memcpy(copy, name.data, name.bytes);
    plan->names_used += name.bytes;
    chooser->chosen[chooser->count++] = str_make(copy, name.bytes);
}

static void choose_from_list(struct chooser *chooser, struct str item)
{
    const struct symbol_list *list = chooser->list;
    bool all = str_equal(item, STR("all"));
    uint32_t found = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        /* a pattern takes what trades; a plain name takes that symbol whatever its status */
        bool match = all || symbol_matches(item, list->symbols[i]);
        if (match && (list->trading[i] || !is_pattern(item))) {
            choose(chooser, list->symbols[i]);
            found++;
        }
    }
    if (found == 0 && chooser->code == 0) {
        struct str nearest = symbol_list_nearest(list, item);
        chooser->code = err_set(
            chooser->err, MD_ENOENT, "%s.symbols: %.*s: no such symbol at the venue%s%.*s%s",
            chooser->venue, (int)item.bytes, item.data, nearest.bytes > 0 ? "; did you mean " : "",
            (int)nearest.bytes, nearest.data, nearest.bytes > 0 ? "?" : "");
    }
}

static void on_symbol_item(void *context, struct str item)
{
    struct chooser *chooser = context;
    if (chooser->code != 0 || item.data[0] == '-') {
        return;
    }
    if (is_pattern(item)) {
        chooser->has_pattern = true;
    }
    if (chooser->list != NULL) {
        choose_from_list(chooser, item);
    } else if (!is_pattern(item)) {
        choose(chooser, item);
    }
}

static void on_excluded_item(void *context, struct str item)
{
    struct chooser *chooser = context;
    if (item.data[0] != '-') {
        return;
    }
    struct str pattern = str_make(item.data + 1, item.bytes - 1);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < chooser->count; i++) {
        if (!symbol_matches(pattern, chooser->chosen[i])) {
            chooser->chosen[kept++] = chooser->chosen[i];
        }
    }
    chooser->count = kept;
}

static void on_pattern_probe(void *context, struct str item)
{
    *(bool *)context |= item.data[0] != '-' && is_pattern(item);
}

static void wait_s(int64_t seconds, const volatile sig_atomic_t *stop)
{
    for (int64_t i = 0; i < seconds * 10 && *stop == 0; i++) {
        struct timespec tenth = {0, 100000000L};
        nanosleep(&tenth, NULL);
    }
}

static int fetch_patiently(struct symbol_list *list, const struct plan_venue *venue,
                           const struct settings *settings, const volatile sig_atomic_t *stop,
                           struct err *err)
{
    for (int64_t pause_s = 2;; pause_s = pause_s * 2 < 60 ? pause_s * 2 : 60) {
        int64_t retry_after_s = -1;
        int code =
            symbol_list_fetch(list, venue->venue, venue->rest_url, settings, &retry_after_s, err);
        if (code == 0 || stop == NULL || *stop != 0 || err_class_of(code) != ERR_CLASS_RETRY) {
            return code;
        }
        int64_t wait = retry_after_s > 0 ? retry_after_s : pause_s;
        LOG_WARN("symbols_wait", "%s: %s: asked again in %lld s", venue->venue->name, err->text,
                 (long long)wait);
        wait_s(wait, stop);
    }
}

/* Plain names with the venue down: go on; anything else is the caller's error. */
static int list_or_names(struct chooser *chooser, struct symbol_list *list, const char *symbols,
                         const struct plan_venue *venue, const struct settings *settings,
                         const volatile sig_atomic_t *stop)
{
    bool has_pattern = false;
    settings_list_each(symbols, on_pattern_probe, &has_pattern);
    int code = fetch_patiently(list, venue, settings, has_pattern ? stop : NULL, chooser->err);
    if (code == 0) {
        chooser->list = list;
        return 0;
    }
    if (err_class_of(code) == ERR_CLASS_CONFIG || has_pattern) {
        return err_append(chooser->err, code, "%s: symbols cannot be resolved", venue->venue->name);
    }
    LOG_WARN("symbols_unchecked", "%s: symbol names taken as they stand: %s", venue->venue->name,
             chooser->err->text);
    return 0;
}

/* ---- streams */

struct channel_set {
    struct {
        enum channel channel;
        bool aggregate;
    } wanted[16];
    uint32_t count;
    const char *venue;
    struct err *err;
    int code;
};

static void on_channel_item(void *context, struct str item)
{
    struct channel_set *set = context;
    for (size_t i = 0; i < sizeof channel_words / sizeof channel_words[0]; i++) {
        if (str_equal(item, str_from(channel_words[i].name)) && set->count < 16) {
            set->wanted[set->count].channel = channel_words[i].channel;
            set->wanted[set->count].aggregate = channel_words[i].aggregate;
            set->count++;
            return;
        }
    }
    set->code = err_set(set->err, MD_EINVAL,
                        "%s.channels: %.*s: no such channel; allowed are trades, agg_trades, "
                        "book_ticker, incremental_book_L2, book_snapshot_5, book_snapshot_20, "
                        "candles, ticker",
                        set->venue, (int)item.bytes, item.data);
}

struct interval_set {
    struct str intervals[16];
    uint32_t count;
};

static void on_interval_item(void *context, struct str item)
{
    struct interval_set *set = context;
    if (set->count < 16) {
        set->intervals[set->count++] = item;
    }
}

static uint32_t put_streams(struct stream_request *out, struct str symbol,
                            const struct channel_set *channels,
                            const struct interval_set *intervals)
{
    uint32_t count = 0;
    for (uint32_t c = 0; c < channels->count; c++) {
        bool candles = channels->wanted[c].channel == CHANNEL_CANDLES;
        uint32_t times = candles ? intervals->count : 1;
        for (uint32_t i = 0; i < times; i++) {
            if (out != NULL) {
                out[count] = (struct stream_request){
                    .channel = channels->wanted[c].channel,
                    .aggregate = channels->wanted[c].aggregate,
                    .symbol = symbol,
                    .interval = candles ? intervals->intervals[i] : (struct str){0},
                };
            }
            count++;
        }
    }
    return count;
}

static int make_streams(struct plan *plan, struct plan_venue *venue, const struct chooser *chooser,
                        const char *channels, const char *candles, struct err *err)
{
    struct channel_set set = {.venue = venue->venue->name, .err = err};
    struct interval_set intervals = {0};
    settings_list_each(channels, on_channel_item, &set);
    settings_list_each(candles, on_interval_item, &intervals);
    if (set.code != 0) {
        return set.code;
    }
    uint32_t each = put_streams(NULL, (struct str){0}, &set, &intervals);
    if (each == 0 || chooser->count == 0) {
        return err_set(err, MD_EINVAL, "%s: nothing to record: no %s are chosen",
                       venue->venue->name, each == 0 ? "channels" : "symbols");
    }
    venue->streams = alloc_take(ALLOC_APP, (size_t)each * chooser->count * sizeof *venue->streams);
    if (venue->streams == NULL) {
        return err_set(err, MD_ENOMEM, "no memory for the stream list");
    }
    for (uint32_t s = 0; s < chooser->count; s++) {
        venue->stream_count +=
            put_streams(venue->streams + venue->stream_count, chooser->chosen[s], &set, &intervals);
    }
    venue->symbol_count = chooser->count;
    for (uint32_t c = 0; c < set.count; c++) {
        venue->depth_symbols += set.wanted[c].channel == CHANNEL_DEPTH ? chooser->count : 0;
    }
    plan->streams += venue->stream_count;
    plan->symbols += venue->symbol_count;
    plan->depth_symbols += venue->depth_symbols;
    return 0;
}

static int plan_binance(struct plan *plan, const struct settings *settings, bool offline,
                        const volatile sig_atomic_t *stop, struct err *err)
{
    if (settings->binance_symbols[0] == 0) {
        return 0;
    }
    struct plan_venue *venue = &plan->venues[plan->venue_count];
    venue->venue = venue_of(VENUE_BINANCE);
    venue->ws_url =
        settings->binance_ws_url[0] != 0 ? settings->binance_ws_url : venue->venue->endpoints[0].ws_url;
    venue->rest_url =
        settings->binance_rest_url[0] != 0 ? settings->binance_rest_url : venue->venue->rest_url;
    static struct str chosen[SYMBOLS_LISTED_MAX];
    struct chooser chooser = {.plan = plan,
                              .chosen = chosen,
                              .capacity = SYMBOLS_LISTED_MAX,
                              .venue = venue->venue->name,
                              .err = err};
    struct symbol_list list = {0};
    if (symbol_list_init(&list, SYMBOLS_LISTED_MAX) != 0) {
        return err_set(err, MD_ENOMEM, "no memory for the symbol list");
    }
    if (!offline) {
        chooser.code =
            list_or_names(&chooser, &list, settings->binance_symbols, venue, settings, stop);
    }
    if (chooser.code == 0) {
        settings_list_each(settings->binance_symbols, on_symbol_item, &chooser);
        settings_list_each(settings->binance_symbols, on_excluded_item, &chooser);
    }
    venue->resolved = chooser.list != NULL;
    symbol_list_deinit(&list);
    if (chooser.code == 0 && offline && chooser.has_pattern) {
        chooser.code = err_set(err, MD_EINVAL,
                               "binance.symbols: patterns need the venue's list: "
                               "run without --offline");
    }
    if (chooser.code != 0) {
        return chooser.code;
    }
    plan->venue_count++;
    int code = make_streams(plan, venue, &chooser, settings->binance_channels,
                            settings->binance_candles, err);
    venue->feed = (struct feed_config){
        .venue = venue->venue,
        .ws_url = venue->ws_url,
        .rest_url = venue->rest_url,
        .streams_per_connection = (uint32_t)settings->binance_streams_per_conn,
        .rest_weight_percent = (uint32_t)settings->binance_rest_weight_percent,
        .backoff_min_ms = settings->net_backoff_min_ms,
        .backoff_max_ms = settings->net_backoff_max_ms,
        .stall_ms = settings->net_stall_secs * 1000,
        .instruments_every_ms = 86400 * 1000LL,
    };
    return code;
}

/* ---- budget */

static size_t machine_budget(void)
{
    struct sysinfo info;
    uint64_t ram = sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : 2ULL << 30;
    uint64_t quarter = ram / 4;
    return quarter < (512u << 20) ? (size_t)quarter : (size_t)512 << 20;
}

void plan_budget(struct plan *plan, const struct settings *settings)
{
    size_t *lines = plan->lines;
    memset(lines, 0, sizeof plan->lines);
    plan->partitions = plan->streams + 2 * plan->venue_count;
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
        lines[ALLOC_FEED] += feed_memory_bytes(&plan->venues[v].feed, plan->venues[v].stream_count);
        lines[ALLOC_APP] += plan->venues[v].stream_count * sizeof(struct stream_request);
    }
    lines[ALLOC_JOURNAL] += journal_memory_bytes(&journal);
    land_memory_lines(settings, &sizes, lines);
    lines[ALLOC_APP] += sizeof(struct settings) + plan->names_capacity + (64 << 10);
    lines[ALLOC_LOG] += 256 << 10;
    lines[ALLOC_STACKS] += THREAD_STACKS_BYTES;
    lines[ALLOC_LIB_TLS] += TLS_BYTES_FIXED + (size_t)plan->connections * TLS_BYTES_PER_CONNECTION;
    lines[ALLOC_LIB_CURL] += CURL_BYTES;
    lines[ALLOC_LIB_JSON] += JSON_BYTES;

    plan->bytes = 0;
    for (int line = 0; line < ALLOC_LINE_COUNT; line++) {
        plan->bytes += lines[line];
    }
    plan->budget = settings->memory_budget > 0 ? (size_t)settings->memory_budget : machine_budget();
    plan->descriptors = plan->connections + 24;
}

/* The three settings whose lowering frees most, with values that would do. */
static int refuse_budget(const struct plan *plan, const struct settings *settings, struct err *err)
{
    char need[24], have[24];
    size_t over = plan->bytes - plan->budget;
    char hint[300];
    struct buf hints = buf_over(hint, sizeof hint - 1);
    size_t half_ring = (size_t)settings->memory_queue_bytes / 2;
    buf_printf(&hints, "memory.queue_bytes=%zuMiB", (half_ring >> 20) > 0 ? half_ring >> 20 : 1);
    buf_printf(&hints, ", output.parquet_batch_size=%lld",
               settings->output_batch_size > 10000 ? 5000LL : 2000LL);
    if (settings->book_enabled && plan->lines[ALLOC_BOOKS] > over) {
        buf_printf(&hints, ", memory.book_bytes=%zuMiB",
                   (plan->lines[ALLOC_BOOKS] - over) >> 20 > 0
                       ? (plan->lines[ALLOC_BOOKS] - over) >> 20
                       : 1);
    } else {
        buf_printf(&hints, ", memory.budget=%zuMiB", (plan->bytes >> 20) + 1);
    }
    hint[hints.bytes] = 0;
    return err_set(err, MD_EBUDGET,
                   "memory.budget: the plan needs %s, allowed are %s; lower one or more of: %s "
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
    if (plan->names == NULL) {
        return err_set(err, MD_ENOMEM, "no memory for symbol names");
    }
    int code = plan_binance(plan, settings, offline, stop, err);
    if (code == 0 && plan->venue_count == 0) {
        code = err_set(err, MD_EINVAL,
                       "nothing to record: set binance.symbols, for instance "
                       "--set binance.symbols=BTCUSDT,ETHUSDT");
    }
    if (code != 0) {
        plan_deinit(plan);
        return code;
    }
    for (uint32_t v = 0; v < plan->venue_count; v++) {
        struct plan_venue *venue = &plan->venues[v];
        venue->feed_plan = feed_plan(&venue->feed, venue->streams, venue->stream_count);
        plan->connections += venue->feed_plan.connections;
    }
    plan_budget(plan, settings);
    return plan->bytes <= plan->budget ? 0 : refuse_budget(plan, settings, err);
}

void plan_deinit(struct plan *plan)
{
    for (uint32_t v = 0; v < PLAN_VENUES_MAX; v++) {
        alloc_give(plan->venues[v].streams);
    }
    alloc_give(plan->names);
    memset(plan, 0, sizeof *plan);
}

/* ---- print */

static void print_warnings(const struct plan *plan, const struct settings *settings, int fd)
{
    if (plan->symbols >= 200 && settings->output_batch_size > 5000 && plan->budget <= (1u << 30)) {
        dprintf(fd, "warning: %u symbols with output.parquet_batch_size %lld: use 5000 or less\n",
                plan->symbols, (long long)settings->output_batch_size);
    }
    if (plan->partitions > (uint32_t)settings->output_max_open_files * 8) {
        dprintf(
            fd,
            "warning: %u partitions share %lld blocks (output.parquet_max_open_files): rows are "
            "spooled early; use %u or more\n",
            plan->partitions, (long long)settings->output_max_open_files, plan->partitions / 8);
    }
    for (uint32_t v = 0; v < plan->venue_count; v++) {
        const struct plan_venue *venue = &plan->venues[v];
        if (!venue->resolved) {
            dprintf(fd, "warning: %s: symbol names were not checked with the venue\n",
                    venue->venue->name);
        }
        if (venue->feed_plan.snapshots_ms > 300000) {
            dprintf(fd, "warning: %s: book snapshots need %.0f minutes within the REST weight\n",
                    venue->venue->name, (double)venue->feed_plan.snapshots_ms / 60000);
        }
    }
}

void plan_print(const struct plan *plan, const struct settings *settings, int fd)
{
    char text[24];
    static const char *const formats[] = {"parquet", "jsonl", "csv"};
    dprintf(fd, "Plan\n");
    for (uint32_t v = 0; v < plan->venue_count; v++) {
        const struct plan_venue *venue = &plan->venues[v];
        const struct feed_plan *feed = &venue->feed_plan;
        dprintf(fd, "  %-16s %u symbols, %u streams over %u connections (at most %u on one)\n",
                venue->venue->name, venue->symbol_count, feed->streams, feed->connections,
                feed->streams_on_fullest);
        dprintf(fd, "  %-16s %u subscribe requests, all sent after %.1f s\n", "", feed->requests,
                (double)feed->subscribe_ms / 1000);
        dprintf(fd,
                "  %-16s REST weight at start %u of %u a minute; last book snapshot after %.0f s\n",
                "", feed->rest_weight_start, venue->venue->rest_weight_per_minute,
                (double)feed->snapshots_ms / 1000);
        dprintf(fd, "  %-16s %s, %s\n", "", venue->ws_url, venue->rest_url);
    }
    dprintf(fd, "  %-16s %s below %s, a file per exchange, channel, symbol and hour\n", "files",
            formats[settings->output_format], settings->data_dir);
    dprintf(fd,
            "  %-16s %u partitions open, at most %lld with a block in memory; about %u file "
            "descriptors\n",
            "", plan->partitions, (long long)settings->output_max_open_files, plan->descriptors);
    dprintf(fd, "Memory\n");
    for (int line = 0; line < ALLOC_LINE_COUNT; line++) {
        if (plan->lines[line] > 0) {
            dprintf(fd, "  %-40s %12s\n", alloc_line_label((enum alloc_line)line),
                    plan_bytes_text(text, plan->lines[line]));
        }
    }
    dprintf(fd, "  %-40s %12s", "sum", plan_bytes_text(text, plan->bytes));
    dprintf(fd, " of %s allowed (memory.budget)\n", plan_bytes_text(text, plan->budget));
    print_warnings(plan, settings, fd);
}
