/* compact: the files of days that are over become one a symbol and channel. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/command.h"
#include "app/pipeline.h"
#include "base/clock.h"
#include "store/compact.h"

#define COMPACT_LOCK_NAME ".market-data-compact.lock"
#define MIB (1024.0 * 1024.0)

/* YYYY-MM-DD to days since 1970. */
static int parse_date(const char *text, int64_t *day, struct err *err)
{
    struct clock_utc utc = {0};
    int used = 0;
    if (sscanf(text, "%4d-%2d-%2d%n", &utc.year, &utc.month, &utc.day, &used) == 3 && used == 10 &&
        text[10] == 0) {
        int64_t unix_ns = clock_unix_of_utc(&utc);
        struct clock_utc back = clock_utc_of(unix_ns);
        if (back.year == utc.year && back.month == utc.month && back.day == utc.day) {
            *day = unix_ns / NS_PER_DAY;
            return 0;
        }
    }
    return err_set(err, MD_EINVAL, "--date %s: a day as YYYY-MM-DD is wanted", text);
}

static int parse_exchange(const char *name, enum venue_id *venue, struct err *err)
{
    int id = venue_parse(str_from(name));
    if (id <= 0) {
        return err_set(err, MD_EINVAL,
                       "--exchange %s: no such exchange; there are binance, binance-futures, "
                       "kucoin, kucoin-futures, gate-io and gate-io-futures",
                       name);
    }
    *venue = (enum venue_id)id;
    return 0;
}

static int take_lock(struct mdio *io, const char *name, const char *remedy, int *handle,
                     struct err *err)
{
    *handle = mdio_open(io, name, MDIO_READ | MDIO_WRITE | MDIO_CREATE);
    int code = *handle < 0 ? *handle : mdio_lock(io, *handle);
    return code == 0 ? 0 : err_set(err, code, "%s: %s: %s", io->root, err_text(code), remedy);
}

/* The days over which it goes; those that are not over want the recorder's lock. */
static int choose_days(const struct command_line *line, struct compact_config *config,
                       bool *unfinished, struct err *err)
{
    int64_t today = clock_unix_ns(&clock_system) / NS_PER_DAY;
    config->first_day = 0;
    config->last_day = today - 1;
    *unfinished = false;
    if (line->date == NULL) {
        return 0;
    }
    int code = parse_date(line->date, &config->first_day, err);
    config->last_day = config->first_day;
    *unfinished = code == 0 && config->first_day >= today;
    return code;
}

struct printing {
    bool dry_run, terminal;
    uint64_t files;
};

static void on_merge(void *context, const struct compact_merge *merge)
{
    struct printing *printing = context;
    printing->files += merge->files;
    if (printing->terminal) {
        dprintf(STDERR_FILENO, "\r%llu files merged ", (unsigned long long)printing->files);
    }
    if (!printing->dry_run) {
        return;
    }
    struct clock_utc utc = clock_utc_of(merge->day * NS_PER_DAY);
    char symbol[128] = "-";
    if (merge->symbol.bytes > 0) {
        str_printable(symbol, sizeof symbol, merge->symbol.data,
                      merge->symbol.bytes < 30 ? merge->symbol.bytes : 30);
    }
    dprintf(STDOUT_FILENO, "%s %s %s %04d-%02d-%02d: %u files, %llu rows, %llu bytes -> %s\n",
            venue_name(merge->venue), channel_name(merge->channel), symbol, utc.year, utc.month,
            utc.day, merge->files, (unsigned long long)merge->rows,
            (unsigned long long)merge->bytes, merge->path);
}

static void print_stats(const struct compact_config *config, const struct compact_stats *stats)
{
    if (config->dry_run) {
        dprintf(STDOUT_FILENO, "%llu files would become %llu: %llu rows, %.1f MiB; nothing done\n",
                (unsigned long long)stats->files_merged, (unsigned long long)stats->files_made,
                (unsigned long long)stats->rows, (double)stats->bytes_before / MIB);
        return;
    }
    dprintf(STDOUT_FILENO, "%llu files became %llu: %llu rows, %.1f MiB before, %.1f MiB now\n",
            (unsigned long long)stats->files_merged, (unsigned long long)stats->files_made,
            (unsigned long long)stats->rows, (double)stats->bytes_before / MIB,
            (double)stats->bytes_after / MIB);
    if (stats->finished > 0) {
        dprintf(STDOUT_FILENO, "%llu merges that an earlier run had begun were finished\n",
                (unsigned long long)stats->finished);
    }
    if (stats->damaged_lines > 0) {
        dprintf(STDERR_FILENO, "market-data: %llu damaged manifest lines passed over\n",
                (unsigned long long)stats->damaged_lines);
    }
}

static int run(const struct command_line *line, struct compact_config *config,
               struct compact_stats *stats, struct err *err)
{
    struct printing printing = {.dry_run = config->dry_run,
                                .terminal = isatty(STDERR_FILENO) != 0 && !config->dry_run};
    config->on_merge = on_merge;
    config->context = &printing;
    config->stop = &command_stop;
    config->writer = (struct writer_options){
        .zstd_level = (int)line->settings->output_zstd_level,
        .page_rows = 20000,
        .dictionary_bytes_max = 1 << 20,
        .row_group_rows_max = (uint32_t)line->settings->output_batch_size,
        .row_groups_max = 256,
    };
    command_catch_signals();
    int code = compact_run(config, stats, err);
    if (printing.terminal && printing.files > 0) {
        dprintf(STDERR_FILENO, "\n");
    }
    print_stats(config, stats);
    return code;
}

int command_compact(struct command_line *line)
{
    struct err err = {{0}};
    const char *dir = line->argument_count == 1 ? line->arguments[0] : line->settings->data_dir;
    struct compact_config config = {.dry_run = line->dry_run};
    struct compact_stats stats = {0};
    struct mdio io = {0};
    struct stat status;
    int recorder_lock = -1;
    int lock = -1;
    bool unfinished = false;
    int code = line->argument_count > 1
                   ? err_set(&err, MD_EINVAL,
                             "usage: market-data compact [DIR] [--date YYYY-MM-DD] "
                             "[--exchange ID] [--dry-run]")
                   : choose_days(line, &config, &unfinished, &err);
    if (code == 0 && line->exchange != NULL) {
        code = parse_exchange(line->exchange, &config.venue, &err);
    }
    if (code == 0 && (stat(dir, &status) != 0 || !S_ISDIR(status.st_mode))) {
        code = err_set(&err, MD_ENOENT, "%s: no such folder", dir);
    }
    code = code != 0 ? code : mdio_posix_open(&io, dir, &err);
    if (code == 0 && !line->dry_run) {
        code = take_lock(&io, COMPACT_LOCK_NAME, "another compact runs: wait for it", &lock, &err);
    }
    if (code == 0 && unfinished) {
        code = take_lock(&io, PIPELINE_LOCK_NAME,
                         "the day is not over: stop the recorder, or wait for midnight UTC",
                         &recorder_lock, &err);
    }
    config.io = &io;
    code = code != 0 ? code : run(line, &config, &stats, &err);
    mdio_deinit(&io);
    if (code == 0 && stats.refused > 0) {
        code = err_set(&err, MD_ECORRUPT, "%llu merges refused, their files left as they are",
                       (unsigned long long)stats.refused);
    }
    if (code == 0 && command_stop != 0) {
        dprintf(STDERR_FILENO, "market-data: stopped; run again to go on\n");
    }
    return code == 0 ? EXIT_OK : command_fail(code, &err);
}
