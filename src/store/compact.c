/* Which files are merged: days, streams, runs of files. See compact.h.
 * Place: behind `market-data compact`; above the manifests and compact_merge.c.
 * Invariants: what an earlier run left is finished before anything of the day is begun; only files
 * that the manifests list and that count are looked at; a day is done in shares of its streams, so
 * that the list of files is bounded. Memory: compact_memory_bytes(). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/compact_internal.h"

#define FILES_MAX 16384
#define TEXT_BYTES ((size_t)6 << 20) /* paths, symbols and recorders of so many files */
#define DAYS_MAX 65536
#define SHARES_MAX 4096
/* Of a merged file's line, what is not the paths it replaces. */
#define LINE_REST_BYTES 16384

/* ---- the files of a day, or of a share of its streams */

struct list {
    struct compact_file *files;
    uint32_t count;
    char *text;
    size_t text_used;
    uint32_t share, shares; /* streams whose hash falls into the share */
    bool overflow;
};

static bool format_of(struct str path, enum file_format *format)
{
    static const struct {
        const char *ending;
        enum file_format format;
    } endings[] = {
        {".parquet", FORMAT_PARQUET}, {".jsonl.zst", FORMAT_JSONL}, {".csv.gz", FORMAT_CSV}};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t bytes = strlen(endings[i].ending);
        if (path.bytes > bytes &&
            memcmp(path.data + path.bytes - bytes, endings[i].ending, bytes) == 0) {
            *format = endings[i].format;
            return true;
        }
    }
    return false;
}

/* The text in the list's memory; false when that is full. */
static bool keep_text(struct list *list, struct str *text)
{
    if (text->bytes > TEXT_BYTES - list->text_used) {
        return false;
    }
    char *at = list->text + list->text_used;
    if (text->bytes > 0) {
        memcpy(at, text->data, text->bytes);
    }
    list->text_used += text->bytes;
    *text = str_make(at, text->bytes);
    return true;
}

static bool keep_texts(struct list *list, struct manifest_entry *entry)
{
    entry->replaces = STR("");
    return keep_text(list, &entry->path) && keep_text(list, &entry->symbol) &&
           keep_text(list, &entry->schema) && keep_text(list, &entry->recorder);
}

static void on_live(void *context, const struct manifest_entry *entry)
{
    struct list *list = context;
    struct compact_file file = {.entry = *entry};
    uint64_t stream = str_hash(entry->symbol, (uint64_t)entry->channel + 1);
    if (stream % list->shares != list->share || list->overflow ||
        !format_of(entry->path, &file.format)) {
        return;
    }
    if (list->count == FILES_MAX || !keep_texts(list, &file.entry)) {
        list->overflow = true;
        return;
    }
    list->files[list->count++] = file;
}

static int text_order(struct str a, struct str b)
{
    size_t bytes = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order = bytes == 0 ? 0 : memcmp(a.data, b.data, bytes);
    return order != 0 ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

static int stream_order(const struct compact_file *a, const struct compact_file *b)
{
    if (a->entry.channel != b->entry.channel) {
        return a->entry.channel < b->entry.channel ? -1 : 1;
    }
    int order = text_order(a->entry.symbol, b->entry.symbol);
    order = order != 0 ? order : text_order(a->entry.recorder, b->entry.recorder);
    return order != 0 ? order : (a->format > b->format) - (a->format < b->format);
}

static int file_order(const void *a, const void *b)
{
    const struct compact_file *x = a;
    const struct compact_file *y = b;
    int order = stream_order(x, y);
    return order != 0 ? order
                      : (x->entry.first_seq > y->entry.first_seq) -
                            (x->entry.first_seq < y->entry.first_seq);
}

/* ---- one stream's files */

struct day_run {
    struct compact_work *work;
    struct list *list;
    int64_t day;
    struct err *err;
};

static bool stopped(const struct compact_config *config)
{
    return config->stop != NULL && *config->stop != 0;
}

/* Says why a merge was not done. 0, or the code when the run cannot go on. */
static int refuse(struct compact_work *work, int code, const struct err *err)
{
    if (!compact_is_refusal(code)) {
        return code;
    }
    work->stats->refused++;
    LOG_ERROR("compact_refused", "not merged: %s", err->text);
    return 0;
}

static int check_overlap(const struct compact_file *files, uint32_t count, struct err *err)
{
    for (uint32_t i = 1; i < count; i++) {
        const struct manifest_entry *a = &files[i - 1].entry;
        const struct manifest_entry *b = &files[i].entry;
        if (b->first_seq <= a->last_seq) {
            return err_set(err, MD_EEXIST,
                           "%.*s and %.*s: both hold record %llu: not of one recorder's life",
                           (int)a->path.bytes, a->path.data, (int)b->path.bytes, b->path.data,
                           (unsigned long long)b->first_seq);
        }
    }
    return 0;
}

/* How many of the first files one line can name. */
static uint32_t line_fits(const struct compact_file *files, uint32_t count)
{
    size_t bytes = LINE_REST_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        bytes += files[i].entry.path.bytes + 3;
        if (bytes > MANIFEST_COMPACT_LINE_MAX) {
            return i;
        }
    }
    return count;
}

static void tell(struct day_run *run, const struct compact_file *files, uint32_t count)
{
    const struct compact_config *config = run->work->config;
    struct compact_merge merge = {
        .venue = files[0].entry.venue,
        .channel = files[0].entry.channel,
        .symbol = files[0].entry.symbol,
        .day = run->day,
        .files = count,
        .path = run->work->path,
    };
    for (uint32_t i = 0; i < count; i++) {
        merge.rows += files[i].entry.rows;
        merge.bytes += files[i].entry.bytes;
    }
    run->work->stats->files_merged += count;
    run->work->stats->files_made++;
    run->work->stats->rows += merge.rows;
    run->work->stats->bytes_before += merge.bytes;
    if (config->on_merge != NULL) {
        config->on_merge(config->context, &merge);
    }
}

/* Merges files[0 .. count); the merged file takes the place of the last. */
static int merge(struct day_run *run, struct compact_file *files, uint32_t count)
{
    struct err *err = run->err;
    int code = compact_plan_path(run->work, run->day, &files[0], err);
    if (code != 0 || run->work->config->dry_run) {
        if (code == 0) {
            tell(run, files, count);
        }
        return code;
    }
    struct manifest_entry made;
    code = compact_merge_files(run->work, run->day, files, count, &made, err);
    if (code != 0) {
        return code;
    }
    tell(run, files, count);
    run->work->stats->bytes_after += made.bytes;
    if (!keep_texts(run->list, &made)) {
        return err_set(err, MD_EFULL, "compact: too many files a day: run again to go on");
    }
    files[count - 1].entry = made;
    return 0;
}

/* Files of one stream in order. A run of files with the same columns becomes one file; where that
 * needs more than a line can name, it is done in steps, each beginning with the file just made. */
static int merge_stream(struct day_run *run, struct compact_file *files, uint32_t count)
{
    struct compact_work *work = run->work;
    struct err *err = run->err;
    int code = check_overlap(files, count, err);
    if (code != 0) {
        return refuse(work, code, err);
    }
    for (uint32_t i = 0; i + 1 < count && !stopped(work->config);) {
        uint32_t same = line_fits(files + i, count - i);
        bool cut = same < count - i;
        uint32_t alike = 0;
        code = compact_format_of(files[i].format)->alike(work, files + i, same, &alike, err);
        if (code != 0) {
            return refuse(work, code, err);
        }
        if (alike >= 2) {
            code = merge(run, files + i, alike);
            if (code != 0) {
                return refuse(work, code, err);
            }
        }
        i += cut && alike == same && alike >= 2 ? alike - 1 : alike;
    }
    return 0;
}

static int merge_list(struct day_run *run)
{
    struct list *list = run->list;
    int code = 0;
    if (list->count > 0) {
        qsort(list->files, list->count, sizeof *list->files, file_order);
    }
    for (uint32_t i = 0; i < list->count && code == 0 && !stopped(run->work->config);) {
        uint32_t end = i + 1;
        while (end < list->count && stream_order(&list->files[i], &list->files[end]) == 0) {
            end++;
        }
        if (end - i >= 2) {
            code = merge_stream(run, list->files + i, end - i);
        }
        i = end;
    }
    return code;
}

/* ---- one day of an exchange */

struct finishing {
    struct compact_work *work;
    int code;
    struct err err;
};

static void on_compacted(void *context, const struct manifest_entry *entry)
{
    struct finishing *finishing = context;
    if (finishing->code < 0 || entry->replaces.bytes == 0) {
        return;
    }
    int code = compact_finish(finishing->work, entry, &finishing->err);
    if (compact_is_refusal(code)) {
        code = refuse(finishing->work, code, &finishing->err);
    }
    finishing->work->stats->finished += code == 1;
    finishing->code = code < 0 ? code : 0;
}

static int finish_left(struct compact_work *work, const struct manifest_day *day, struct err *err)
{
    struct finishing finishing = {.work = work};
    struct manifest_stats stats;
    int code = manifest_read_compact(work->io, day, on_compacted, &finishing, &stats, err);
    if (code == 0 && finishing.code < 0) {
        *err = finishing.err;
        return finishing.code;
    }
    return code;
}

/* Lists a share of the day's streams; more shares when they are too many. */
static int list_share(struct compact_work *work, const struct manifest_day *day, struct list *list,
                      struct err *err)
{
    struct manifest_stats stats;
    for (;;) {
        list->count = 0;
        list->text_used = 0;
        list->overflow = false;
        int code = manifest_read_live(work->io, day, on_live, list, &stats, err);
        if (code != 0 || !list->overflow) {
            work->stats->damaged_lines += list->share == 0 ? stats.damaged_lines : 0;
            return code;
        }
        if (list->shares >= SHARES_MAX) {
            return err_set(err, MD_EFULL, "compact: more than %d files of one stream a day",
                           FILES_MAX);
        }
        list->shares *= 2;
        list->share = 0;
    }
}

static int run_day(struct compact_work *work, const struct manifest_day *day, struct list *list,
                   struct err *err)
{
    struct day_run run = {work, list, day->day, err};
    int code = work->config->dry_run ? 0 : finish_left(work, day, err);
    list->shares = 1;
    for (list->share = 0; list->share < list->shares && code == 0 && !stopped(work->config);
         list->share++) {
        code = list_share(work, day, list, err);
        code = code != 0 ? code : merge_list(&run);
    }
    work->stats->days++;
    return code;
}

/* ---- the run */

struct days {
    const struct compact_config *config;
    struct manifest_day *day;
    uint32_t count;
};

static void on_day(void *context, const struct manifest_day *day)
{
    struct days *days = context;
    const struct compact_config *config = days->config;
    bool wanted = (config->venue == VENUE_NONE || config->venue == day->venue) &&
                  day->day >= config->first_day && day->day <= config->last_day;
    if (wanted && days->count < DAYS_MAX) {
        days->day[days->count++] = *day;
    }
}

static size_t lists_bytes(void)
{
    return FILES_MAX * sizeof(struct compact_file) + TEXT_BYTES +
           DAYS_MAX * sizeof(struct manifest_day);
}

size_t compact_memory_bytes(const struct compact_config *config)
{
    return sizeof(struct compact_work) + lists_bytes() + (size_t)2 * MANIFEST_COMPACT_LINE_MAX +
           DISK_SINK_BYTES + compact_parquet_memory_bytes(config) +
           compact_text_memory_bytes(config);
}

static int work_init(struct compact_work *work, struct err *err)
{
    work->line = alloc_take(ALLOC_APP, MANIFEST_COMPACT_LINE_MAX);
    work->replaces = alloc_take(ALLOC_APP, MANIFEST_COMPACT_LINE_MAX);
    int code = compact_parquet_init(work);
    code = code != 0 ? code : disk_sink_init(&work->sink, work->io);
    if (code != 0 || work->line == NULL || work->replaces == NULL) {
        return err_set(err, MD_ENOMEM, "compact: no memory");
    }
    return 0;
}

static void work_deinit(struct compact_work *work)
{
    manifest_close(&work->manifest);
    disk_sink_deinit(&work->sink);
    compact_text_deinit(work);
    compact_parquet_deinit(work);
    alloc_give(work->replaces);
    alloc_give(work->line);
    alloc_give(work);
}

int compact_run(const struct compact_config *config, struct compact_stats *stats, struct err *err)
{
    struct compact_work *work = alloc_take(ALLOC_APP, sizeof *work);
    char *memory = alloc_take(ALLOC_APP, lists_bytes());
    *stats = (struct compact_stats){0};
    if (work == NULL || memory == NULL) {
        alloc_give(memory);
        alloc_give(work);
        return err_set(err, MD_ENOMEM, "compact: no memory");
    }
    work->config = config;
    work->stats = stats;
    work->io = config->io;
    struct list list = {.files = (struct compact_file *)(void *)memory};
    list.text = memory + FILES_MAX * sizeof(struct compact_file);
    struct days days = {.config = config};
    days.day = (struct manifest_day *)(void *)(list.text + TEXT_BYTES);
    int code = work_init(work, err);
    if (code == 0) {
        code = manifest_days(config->io, on_day, &days, err);
        code = code > 0 ? 0 : code;
    }
    if (code == 0 && !config->dry_run) {
        code = manifest_open_compact(&work->manifest, work->io, err);
    }
    for (uint32_t i = 0; i < days.count && code == 0 && !stopped(config); i++) {
        code = run_day(work, &days.day[i], &list, err);
    }
    work_deinit(work);
    alloc_give(memory);
    return code;
}
