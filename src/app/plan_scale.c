/* The scale check: what the plan comes to in rows, bytes and files a day, and warnings with the
 * value to use. Estimates rest on the message rates that venues' busy symbols show (struct venue's
 * rate()), falling with a symbol's turnover where it is known, else with its place in the list; and
 * on bytes a message measured with our files (docs/measured.md). Memory: none. */
#include "app/plan_scale.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#define MANY_SYMBOLS 200
#define SMALL_MACHINE_BYTES (4608ULL << 20) /* 4 GB machines tell a little more or less */
#define SMALL_BUDGET_BYTES (256u << 20)
#define FILES_A_DAY_MANY 500000
#define ROWS_FOR_HIGH_LEVELS 5000
#define SECONDS_A_DAY 86400

/* ---- the machine */

/* The number in a file of one number; UINT64_MAX when there is none ("max"). */
static uint64_t number_in(const char *path)
{
    unsigned long long value = 0;
    FILE *file = fopen(path, "r");
    bool read = file != NULL && fscanf(file, "%llu", &value) == 1;
    if (file != NULL) {
        fclose(file);
    }
    return read ? value : UINT64_MAX;
}

/* The memory limit of our control group, version 2 or 1; UINT64_MAX = none. */
static uint64_t group_bytes(void)
{
    uint64_t least = UINT64_MAX;
    char line[600], path[700];
    FILE *file = fopen("/proc/self/cgroup", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = 0;
        const char *memory = strstr(line, ":memory:");
        path[0] = 0;
        if (strncmp(line, "0::", 3) == 0) {
            snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", line + 3);
        } else if (memory != NULL) {
            snprintf(path, sizeof path, "/sys/fs/cgroup/memory%s/memory.limit_in_bytes",
                     memory + strlen(":memory:"));
        }
        uint64_t bytes = path[0] != 0 ? number_in(path) : UINT64_MAX;
        least = bytes < least ? bytes : least;
    }
    if (file != NULL) {
        fclose(file);
    }
    return least;
}

uint64_t plan_machine_bytes(void)
{
    struct sysinfo info;
    uint64_t ram = sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : 2ULL << 30;
    uint64_t group = group_bytes();
    return group < ram ? group : ram;
}

/* ---- estimates */

/* Of one message, on average: rows, bytes of them in a file, bytes in the journal. */
static const struct {
    double rows, file_bytes, journal_bytes;
} per_message[CHANNEL_COUNT] = {
    [CHANNEL_TRADES] = {1, 8, 30},
    [CHANNEL_BOOK_TICKER] = {1, 10, 30},
    [CHANNEL_DEPTH] = {12, 65, 110},
    [CHANNEL_BOOK_SNAPSHOT_5] = {1, 60, 80},
    [CHANNEL_BOOK_SNAPSHOT_20] = {1, 220, 220},
    [CHANNEL_BOOK_SNAPSHOT_50] = {1, 520, 480},
    [CHANNEL_DERIVATIVE_TICKER] = {1, 25, 60},
    [CHANNEL_LIQUIDATIONS] = {1, 20, 60},
    [CHANNEL_CANDLES] = {1, 40, 70},
    [CHANNEL_TICKER] = {1, 70, 110},
};

/* How busy a symbol is beside the venue's busiest. Weights are 1 + 99 x the root of its share of
 * the turnover; where none was asked for all are 1, and people name the busy ones first. */
static double share_of(const struct plan_venue *venue, uint32_t request, bool weighed)
{
    uint32_t each = venue->request_count / venue->symbol_count;
    return weighed ? venue->weights[request] / 100.0 : 1 / sqrt(1.0 + request / each);
}

static void add_venue(const struct plan_venue *venue, struct plan_scale *scale)
{
    bool weighed = false;
    for (uint32_t i = 0; i < venue->request_count; i++) {
        weighed = weighed || venue->weights[i] > 1;
    }
    for (uint32_t i = 0; i < venue->request_count; i++) {
        struct venue_stream out[VENUE_STREAMS_MAX];
        const struct stream_request *request = &venue->requests[i];
        uint32_t n = venue->venue->streams(request, venue->feed.options, out);
        for (uint32_t k = 0; k < n; k++) {
            double rate = venue->venue->rate(&out[k]) * share_of(venue, i, weighed);
            scale->messages_a_second += rate;
            scale->rows_a_second += rate * per_message[request->channel].rows;
            scale->file_bytes_a_day +=
                rate * per_message[request->channel].file_bytes * SECONDS_A_DAY;
            scale->journal_bytes_a_day +=
                rate * per_message[request->channel].journal_bytes * SECONDS_A_DAY;
        }
    }
}

struct plan_scale plan_scale_of(const struct plan *plan, const struct settings *settings)
{
    struct plan_scale scale = {0};
    for (uint32_t v = 0; v < plan->venue_count; v++) {
        const struct plan_venue *venue = &plan->venues[v];
        add_venue(venue, &scale);
        /* a stream is a file; tickers of contracts land in two channels */
        scale.partitions += venue->feed_plan.streams + venue->venue->futures * venue->symbol_count;
    }
    uint64_t rolls =
        (uint64_t)((3600 + settings->output_roll_secs - 1) / settings->output_roll_secs);
    scale.files_a_day = scale.partitions * rolls * 24;
    return scale;
}

/* ---- warnings */

/* What the settings of KuCoin come to, beside what it allows (exchanges/kucoin.md, section 3). */
static void warn_kucoin(const struct plan *plan, const struct settings *settings, int fd)
{
    bool used = false;
    for (uint32_t v = 0; v < plan->venue_count; v++) {
        enum venue_id id = plan->venues[v].venue->id;
        used = used || id == VENUE_KUCOIN || id == VENUE_KUCOIN_FUTURES;
    }
    int64_t delay = settings->kucoin_subscribe_delay_ms;
    int64_t global = settings->kucoin_global_subscribe_delay_ms;
    int64_t stagger = settings->kucoin_conn_stagger_ms;
    int64_t least = delay > global ? delay : global; /* what paces one connection's requests */
    if (used && 10000 / least + 1 > 100) {
        dprintf(fd,
                "warning: kucoin.subscribe_delay_ms %lld: %lld requests and a ping in 10 s on a "
                "connection; the venue allows 100 and answers 509: use 150\n",
                (long long)delay, (long long)(10000 / least));
    }
    if (used && 60000 / stagger > 30) {
        dprintf(fd,
                "warning: kucoin.conn_stagger_ms %lld: %lld connects a minute; the venue allows "
                "30: use 2500\n",
                (long long)stagger, (long long)(60000 / stagger));
    }
    if (used && global > 0 && global < 100) {
        dprintf(fd,
                "warning: kucoin.global_subscribe_delay_ms %lld: %lld requests in 10 s from this "
                "address; if the venue counts by address it allows 100: use 150\n",
                (long long)global, (long long)(10000 / global));
    }
}

/* Row groups and blocks against the number of symbols and the memory; files against the disk. */
static void warn_store(const struct plan *plan, const struct settings *settings,
                       const struct plan_scale *scale, int fd)
{
    bool small = plan_machine_bytes() <= SMALL_MACHINE_BYTES || plan->budget <= SMALL_BUDGET_BYTES;
    if (plan->symbols >= MANY_SYMBOLS && plan->row_group_rows > 5000 && small) {
        dprintf(fd,
                "warning: %u symbols with output.parquet_batch_size %u on a small machine: use "
                "5000\n",
                plan->symbols, plan->row_group_rows);
    }
    if (plan->partitions > (uint32_t)settings->output_max_open_files * 8) {
        dprintf(
            fd,
            "warning: %u partitions share %lld blocks (output.parquet_max_open_files): rows are "
            "spooled early; use %u or more\n",
            plan->partitions, (long long)settings->output_max_open_files, plan->partitions / 8);
    }
    if (scale->files_a_day > FILES_A_DAY_MANY && settings->output_roll_secs < 3600) {
        dprintf(fd,
                "warning: output.roll_secs %lld: %llu files a day; file systems and readers slow "
                "down: use 3600\n",
                (long long)settings->output_roll_secs, (unsigned long long)scale->files_a_day);
    }
    if (settings->output_zstd_level > 9 && scale->rows_a_second > ROWS_FOR_HIGH_LEVELS) {
        dprintf(fd,
                "warning: output.parquet_zstd_level %lld at about %.0f rows a second: sealing may "
                "not keep up: use 3 to 9\n",
                (long long)settings->output_zstd_level, scale->rows_a_second);
    }
}

static void warn_descriptors(const struct plan *plan, int fd)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < plan->descriptors) {
        dprintf(fd,
                "warning: about %u file descriptors wanted, %llu allowed: connections beyond that "
                "are not made: ulimit -n %u, or more streams a connection\n",
                plan->descriptors, (unsigned long long)limit.rlim_max, plan->descriptors + 64);
    }
}

static void warn_venues(const struct plan *plan, int fd)
{
    for (uint32_t v = 0; v < plan->venue_count; v++) {
        const struct plan_venue *venue = &plan->venues[v];
        if (!venue->resolved) {
            dprintf(fd, "warning: %s: symbol names were not checked with the venue\n",
                    venue->venue->name);
        }
        if (venue->venue->id == VENUE_BINANCE_FUTURES && venue->feed.open_interest_every_ms > 0 &&
            (int64_t)venue->symbol_count * 60000 / venue->feed.open_interest_every_ms >
                venue->venue->rest_weight_per_minute / 2) {
            dprintf(fd,
                    "warning: binance_futures.open_interest_secs %lld: %u symbols need over half "
                    "of the REST weight: use %u\n",
                    (long long)venue->feed.open_interest_every_ms / 1000, venue->symbol_count,
                    venue->symbol_count / 10);
        }
        if (venue->feed_plan.snapshots_ms > 300000) {
            dprintf(fd, "warning: %s: book snapshots need %.0f minutes within the REST weight\n",
                    venue->venue->name, (double)venue->feed_plan.snapshots_ms / 60000);
        }
    }
}

void plan_print_scale(const struct plan *plan, const struct settings *settings, int fd)
{
    char files[24], journal[24], kept[40] = "gone when sealed";
    struct plan_scale scale = plan_scale_of(plan, settings);
    if (settings->journal_keep_days > 0) {
        snprintf(kept, sizeof kept, "kept %lld days", (long long)settings->journal_keep_days);
    }
    dprintf(fd, "Scale, as of busy symbols (an estimate)\n");
    dprintf(fd, "  %-16s about %.0f messages and %.0f rows a second\n", "rate",
            scale.messages_a_second, scale.rows_a_second);
    dprintf(fd, "  %-16s about %llu files and %s a day; journal %s a day, %s\n", "disk",
            (unsigned long long)scale.files_a_day,
            plan_bytes_text(files, (uint64_t)scale.file_bytes_a_day),
            plan_bytes_text(journal, (uint64_t)scale.journal_bytes_a_day), kept);
    warn_store(plan, settings, &scale, fd);
    warn_descriptors(plan, fd);
    warn_venues(plan, fd);
    warn_kucoin(plan, settings, fd);
}
