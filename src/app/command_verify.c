/* verify: what a data folder proves by itself, as a table or as JSON. Findings are printed as they
 * are found, so that their number needs no memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "base/clock.h"
#include "proof/verify.h"

#define PRINTED_MAX 1000 /* findings; more are only counted */
#define COLUMNS 100

struct printer {
    bool json;
    uint64_t findings;
};

/* ---- findings */

static const char *channel_word(int channel)
{
    return channel < 0 ? "*" : channel_name((enum channel)channel);
}

static void print_finding(void *context, const struct finding *finding)
{
    struct printer *printer = context;
    if (printer->findings++ >= PRINTED_MAX) {
        return;
    }
    char symbol[200], path[MDIO_PATH_BYTES_MAX * 4];
    str_printable(symbol, sizeof symbol, finding->symbol.data,
                  finding->symbol.bytes < 48 ? finding->symbol.bytes : 48);
    str_printable(path, sizeof path, finding->path.data, finding->path.bytes);
    if (!printer->json) {
        printf("%s: %s%s%s%s%s%s%s: %s\n", finding_name(finding->kind), venue_name(finding->venue),
               finding->channel < 0 ? "" : " ",
               finding->channel < 0 ? "" : channel_word(finding->channel),
               symbol[0] == 0 ? "" : " ", symbol, path[0] == 0 ? "" : ": ", path, finding->text);
        return;
    }
    printf("%s\n    {\"kind\":\"%s\",\"exchange\":\"%s\",\"channel\":",
           printer->findings == 1 ? "" : ",", finding_name(finding->kind),
           venue_name(finding->venue));
    printf(finding->channel < 0 ? "null" : "\"%s\"", channel_word(finding->channel));
    printf(",\"symbol\":");
    command_print_json_text(finding->symbol);
    printf(",\"path\":");
    command_print_json_text(finding->path);
    printf(",\"text\":");
    command_print_json_text(str_from(finding->text));
    printf("}");
}

/* ---- the table */

/* Never 100 where something is missing. */
static void percent(double share, char out[16])
{
    double value = share * 100;
    value = share < 1 && value > 99.9999 ? 99.9999 : value < 0 ? 0 : value;
    snprintf(out, 16, share < 1 ? "%.4f" : "%.0f", value);
}

static void add_counts(struct buf *out, const uint64_t *counts, int count,
                       const char *(*name)(int index))
{
    for (int i = 0; i < count; i++) {
        if (counts[i] > 0) {
            buf_printf(out, " %llu %s", (unsigned long long)counts[i], name(i));
        }
    }
}

static const char *kind_word(int index)
{
    return gap_kind_name((enum gap_kind)index);
}

static const char *resolved_word(int index)
{
    return index == GAP_RESOLVED_NONE ? "open" : gap_resolved_name((enum gap_resolved)index);
}

/* " 2 sequence 1 crash: 3 resync" */
static void gaps_text(const struct verify_stream *stream, char *out, size_t capacity)
{
    struct buf text = buf_over(out, capacity - 1);
    add_counts(&text, stream->gaps, GAP_KIND_COUNT, kind_word);
    if (text.bytes > 0) {
        buf_put_char(&text, ':');
        add_counts(&text, stream->resolved, GAP_RESOLVED_COUNT, resolved_word);
    }
    out[text.bytes] = 0;
}

static void print_row(const struct verify_stream *stream, const char *channel, const char *symbol)
{
    char covered[16], gaps[400], line[500];
    percent(verify_covered(stream), covered);
    gaps_text(stream, gaps, sizeof gaps);
    int bytes =
        snprintf(line, sizeof line, "  %-20.20s %-16.16s %8s %11llu %8llu %6llu ", channel, symbol,
                 covered, (unsigned long long)stream->rows, (unsigned long long)stream->missing,
                 (unsigned long long)stream->unexplained);
    if ((size_t)bytes + strlen(gaps) > COLUMNS) {
        printf("%s\n     %s\n", line, gaps);
    } else {
        printf("%s%s\n", line, gaps);
    }
}

static int worst_first(const void *a, const void *b)
{
    const struct verify_stream *x = a;
    const struct verify_stream *y = b;
    if (x->venue != y->venue) {
        return x->venue < y->venue ? -1 : 1;
    }
    if ((x->findings > 0) != (y->findings > 0)) {
        return x->findings > 0 ? -1 : 1;
    }
    double covered_x = verify_covered(x), covered_y = verify_covered(y);
    if (covered_x < covered_y || covered_x > covered_y) {
        return covered_x < covered_y ? -1 : 1;
    }
    if (x->missing != y->missing) {
        return x->missing > y->missing ? -1 : 1;
    }
    return x->channel != y->channel ? x->channel - y->channel : 0;
}

/* Sums of one exchange; time is summed over its streams. */
static struct verify_stream total_of(const struct verify_stream *streams, size_t count,
                                     int64_t *first_us, int64_t *last_us)
{
    struct verify_stream total = {.venue = streams[0].venue, .channel = -1, .first_us = 0};
    *first_us = *last_us = TIME_NONE;
    for (size_t i = 0; i < count; i++) {
        const struct verify_stream *stream = &streams[i];
        total.files += stream->files;
        total.rows += stream->rows;
        total.bytes += stream->bytes;
        total.missing += stream->missing;
        total.unexplained += stream->unexplained;
        total.findings += stream->findings;
        for (int k = 0; k < GAP_KIND_COUNT; k++) {
            total.gaps[k] += stream->gaps[k];
        }
        for (int k = 0; k < GAP_RESOLVED_COUNT; k++) {
            total.resolved[k] += stream->resolved[k];
        }
        if (stream->first_us != TIME_NONE) {
            total.last_us += stream->last_us - stream->first_us;
            total.open_us += stream->open_us;
            *first_us = *first_us == TIME_NONE || stream->first_us < *first_us ? stream->first_us
                                                                               : *first_us;
            *last_us = stream->last_us > *last_us ? stream->last_us : *last_us;
        }
    }
    return total;
}

static size_t exchange_end(const struct verify_report *report, size_t begin)
{
    size_t end = begin;
    while (end < report->count && report->streams[end].venue == report->streams[begin].venue) {
        end++;
    }
    return end;
}

static void print_exchange(const struct verify_stream *streams, size_t count)
{
    int64_t first_us, last_us;
    char since[PROOF_TIME_BYTES], until[PROOF_TIME_BYTES];
    struct verify_stream total = total_of(streams, count, &first_us, &last_us);
    printf("\n%s: %llu files, %s to %s\n", venue_name(total.venue), (unsigned long long)total.files,
           proof_time(first_us, since), proof_time(last_us, until));
    printf("  %-20s %-16s %8s %11s %8s %6s  %s\n", "channel", "symbol", "covered%", "rows",
           "missing", "unexp.", "gaps: how they ended");
    print_row(&total, "all", "");
    for (size_t i = 0; i < count; i++) {
        char symbol[64];
        str_printable(symbol, sizeof symbol, streams[i].symbol.data,
                      streams[i].symbol.bytes < 15 ? streams[i].symbol.bytes : 15);
        print_row(&streams[i], channel_word(streams[i].channel), symbol[0] == 0 ? "*" : symbol);
    }
}

static void print_table(const struct verify_report *report, const struct printer *printer)
{
    if (printer->findings > PRINTED_MAX) {
        printf("... and %llu more findings\n",
               (unsigned long long)(printer->findings - PRINTED_MAX));
    }
    for (size_t i = 0, end = 0; i < report->count; i = end) {
        end = exchange_end(report, i);
        print_exchange(report->streams + i, end - i);
    }
    printf("\n%llu files, %llu rows, %llu manifests: ", (unsigned long long)report->files,
           (unsigned long long)report->rows, (unsigned long long)report->manifests);
    if (report->findings == 0) {
        printf("everything is there or explained\n");
    } else {
        printf("%llu findings\n", (unsigned long long)report->findings);
    }
}

/* ---- JSON */

static void print_json_time(const char *name, int64_t unix_us)
{
    char text[PROOF_TIME_BYTES];
    if (unix_us == TIME_NONE) {
        printf("\"%s\":null,", name);
    } else {
        printf("\"%s\":\"%s\",", name, proof_time(unix_us, text));
    }
}

static void print_json_counts(const char *name, const uint64_t *counts, int count,
                              const char *(*word)(int index))
{
    printf("\"%s\":{", name);
    bool any = false;
    for (int i = 0; i < count; i++) {
        if (counts[i] > 0) {
            printf("%s\"%s\":%llu", any ? "," : "", word(i), (unsigned long long)counts[i]);
            any = true;
        }
    }
    printf("}");
}

static const char *resolved_name(int index)
{
    return gap_resolved_name((enum gap_resolved)index);
}

static void print_json_stream(const struct verify_stream *stream, int64_t first_us, int64_t last_us)
{
    char covered[16];
    percent(verify_covered(stream), covered);
    print_json_time("first", first_us);
    print_json_time("last", last_us);
    printf(
        "\"covered_percent\":%s,\"files\":%llu,\"rows\":%llu,\"bytes\":%llu,\"missing_ids\":%llu,"
        "\"unexplained_ids\":%llu,\"findings\":%llu,",
        covered, (unsigned long long)stream->files, (unsigned long long)stream->rows,
        (unsigned long long)stream->bytes, (unsigned long long)stream->missing,
        (unsigned long long)stream->unexplained, (unsigned long long)stream->findings);
    print_json_counts("gaps", stream->gaps, GAP_KIND_COUNT, kind_word);
    printf(",");
    print_json_counts("resolved", stream->resolved, GAP_RESOLVED_COUNT, resolved_name);
    printf("}");
}

static void print_json(const struct verify_report *report)
{
    static const char *const rules[] = {[CONTINUITY_NONE] = "none",
                                        [CONTINUITY_PLUS_ONE] = "ids",
                                        [CONTINUITY_RANGE] = "ids",
                                        [CONTINUITY_PREVIOUS] = "previous"};
    printf("\n  ],\n  \"streams\": [");
    for (size_t i = 0; i < report->count; i++) {
        const struct verify_stream *stream = &report->streams[i];
        printf("%s\n    {\"exchange\":\"%s\",\"channel\":", i == 0 ? "" : ",",
               venue_name(stream->venue));
        printf(stream->channel < 0 ? "null" : "\"%s\"", channel_word(stream->channel));
        printf(",\"symbol\":");
        command_print_json_text(stream->symbol);
        printf(",\"proven_by\":\"%s\",", rules[stream->rule]);
        print_json_stream(stream, stream->first_us, stream->last_us);
    }
    printf("\n  ],\n  \"exchanges\": [");
    for (size_t i = 0, end = 0; i < report->count; i = end) {
        int64_t first_us, last_us;
        end = exchange_end(report, i);
        struct verify_stream total = total_of(report->streams + i, end - i, &first_us, &last_us);
        printf("%s\n    {\"exchange\":\"%s\",", i == 0 ? "" : ",", venue_name(total.venue));
        print_json_stream(&total, first_us, last_us);
    }
    printf("\n  ],\n  \"files\": %llu, \"rows\": %llu, \"bytes\": %llu, \"manifests\": %u, "
           "\"finding_count\": %llu\n}\n",
           (unsigned long long)report->files, (unsigned long long)report->rows,
           (unsigned long long)report->bytes, report->manifests,
           (unsigned long long)report->findings);
}

/* ---- the command */

static int read_options(const struct command_line *line, struct catalog_options *options,
                        struct err *err)
{
    *options = (struct catalog_options){.since_us = TIME_NONE, .until_us = TIME_NONE};
    int code = 0;
    if (line->argument_count != 1) {
        return err_set(err, MD_EINVAL,
                       "usage: market-data verify DIR [--since TIME] [--until TIME] [--exchange "
                       "ID] [--json]");
    }
    if (line->since != NULL) {
        code = command_time("--since", line->since, &options->since_us, err);
    }
    if (code == 0 && line->until != NULL) {
        code = command_time("--until", line->until, &options->until_us, err);
    }
    return code != 0 ? code : command_venue(line, &options->venue, err);
}

int command_verify(struct command_line *line)
{
    struct err err = {{0}};
    struct mdio io = {0};
    struct catalog_options options;
    struct verify_report report = {0};
    struct printer printer = {.json = line->json};
    struct verifier *verifier = NULL;
    int code = read_options(line, &options, &err);
    code = code != 0 ? code : command_data_folder(line->arguments[0], &io, &err);
    if (code == 0) {
        verifier = verifier_create(&err);
        code = verifier != NULL ? 0 : MD_ENOMEM;
    }
    if (code == 0 && line->json) {
        printf("{\n  \"findings\": [");
    }
    code = code != 0
               ? code
               : verifier_run(verifier, &io, &options, &report, print_finding, &printer, &err);
    if (code == 0) {
        if (line->json) {
            print_json(&report);
        } else {
            qsort(report.streams, report.count, report.count > 0 ? sizeof *report.streams : 1,
                  worst_first);
            print_table(&report, &printer);
        }
        fflush(stdout);
        if (report.partial_files > 0) {
            code = err_set(&err, MD_ENOTSUP,
                           "%llu CSV files have tardis's columns, and so no ids: their place, "
                           "times, order and number of rows were checked, not whether any are "
                           "missing; rederive the journal to prove that",
                           (unsigned long long)report.partial_files);
        }
    }
    bool found = report.findings > 0;
    verify_report_deinit(&report);
    verifier_destroy(verifier);
    mdio_deinit(&io);
    if (code != 0) {
        int status = command_fail(code, &err);
        return found ? EXIT_FAILED : status;
    }
    return found ? EXIT_FAILED : EXIT_OK;
}
