/* A data folder, held against itself. See verify.h.
 * Place: behind `verify`. Order: manifests; files no line names; gaps files; then stream by stream,
 * file by file, row by row. */
#include "proof/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "proof/verify_internal.h"

#define BOOK_BYTES ((size_t)4 << 20)

double verify_covered(const struct verify_stream *stream)
{
    int64_t whole_us = stream->last_us - stream->first_us;
    return stream->first_us == TIME_NONE || whole_us <= 0
               ? 1
               : 1 - (double)stream->open_us / (double)whole_us;
}

void verify_tell(struct verifier *verifier, enum finding_kind kind, bool file, const char *format,
                 ...)
{
    struct finding finding = {.kind = kind,
                              .venue = verifier->stream.venue,
                              .channel = verifier->stream.channel,
                              .symbol = verifier->stream.symbol};
    verifier->report->findings++;
    verifier->stream.findings++;
    if (verifier->told[kind]++ >= TOLD_MAX) {
        return;
    }
    if (file) {
        finding.path = verifier->file->entry.path;
    }
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(finding.text, sizeof finding.text, format, arguments);
    va_end(arguments);
    size_t used = bytes < 0 ? 0 : (size_t)bytes;
    used = used < sizeof finding.text ? used : sizeof finding.text - 1;
    bool by_line = kind == FINDING_FILE_MISSING || kind == FINDING_FILE_DIFFERS;
    if (file && by_line) {
        snprintf(finding.text + used, sizeof finding.text - used, " (%.*s line %u)",
                 (int)verifier->file->manifest.bytes, verifier->file->manifest.data,
                 verifier->file->line);
    }
    if (verifier->told[kind] == TOLD_MAX) {
        used = strlen(finding.text);
        snprintf(finding.text + used, sizeof finding.text - used,
                 "; more of this kind here are only counted");
    }
    verifier->on_finding(verifier->context, &finding);
}

/* ---- a stream */

static int keep_stream(struct verifier *verifier, struct verify_stream *stream)
{
    struct verify_report *report = verifier->report;
    void *streams = report->streams;
    int code = proof_grow(&streams, &report->capacity, report->count, sizeof *report->streams);
    report->streams = streams;
    code = code != 0 ? code : texts_keep(&report->texts, stream->symbol, &stream->symbol);
    if (code == 0) {
        report->streams[report->count++] = *stream;
    }
    return code;
}

static enum continuity rule_of(const struct venue *venue, int channel)
{
    if (venue == NULL || channel < 0) {
        return CONTINUITY_NONE;
    }
    enum continuity rule = venue->continuity((enum channel)channel, 0);
    return rule == CONTINUITY_NONE ? venue->continuity((enum channel)channel, TRADE_AGGREGATE)
                                   : rule;
}

static void stream_begin(struct verifier *verifier, enum venue_id venue, int channel,
                         struct str symbol)
{
    struct depth_check *depth = &verifier->depth;
    verifier->venue = venue_of(venue);
    verifier->stream = (struct verify_stream){
        .venue = venue,
        .channel = channel,
        .symbol = symbol,
        .rule = rule_of(verifier->venue, channel),
        .first_us = TIME_NONE,
        .last_us = TIME_NONE,
    };
    verifier->file = verifier->file_before = NULL;
    verifier->unordered = false;
    memset(verifier->told, 0, sizeof verifier->told);
    for (int i = 0; i < 2; i++) {
        struct id_check *ids = &verifier->ids[i];
        ids->skipped.count = ids->missing.count = 0;
        ids->first_id = ids->last_id = ID_NONE;
        ids->last_us = TIME_NONE;
        ids->excused = false;
    }
    depth->book_stands = depth->snapshot_alone = false;
    depth->snapshot_id = ID_NONE;
    verifier->breaks.count = 0;
    verifier->span_count = 0;
    verifier->last_us = verifier->rows_from_us = TIME_NONE;
    verifier->last_seq = 0;
}

static int stream_end(struct verifier *verifier)
{
    int code = verify_ids_end(verifier);
    code = code != 0 ? code : verify_match_stream(verifier);
    return code != 0 ? code : keep_stream(verifier, &verifier->stream);
}

/* Two files of one time: their ids are not one sequence. */
static void check_overlap(struct verifier *verifier)
{
    const struct catalog_file *file = verifier->file;
    const struct catalog_file *before = verifier->file_before;
    if (before == NULL || (file->entry.first_local_us >= before->entry.last_local_us &&
                           file->entry.first_seq >= before->entry.last_seq)) {
        return;
    }
    bool same = str_equal(file->entry.recorder, before->entry.recorder);
    bool anew = same && file->entry.first_local_us >= before->entry.last_local_us;
    verifier->unordered = true;
    verify_tell(verifier, FINDING_FILES_OVERLAP, true, "%s %.*s",
                anew   ? "its local_seq begins anew, so ids are not followed behind"
                : same ? "begins before the end of"
                       : "is another recorder's (market-data merge joins two) at the time of",
                (int)before->entry.path.bytes, before->entry.path.data);
}

static int verify_stream(struct verifier *verifier, uint32_t begin, uint32_t end)
{
    const struct manifest_entry *first = &verifier->catalog.files[begin].entry;
    stream_begin(verifier, first->venue, (int)first->channel, first->symbol);
    int code = 0;
    for (uint32_t i = begin; i < end && code == 0; i++) {
        verifier->file_before = verifier->file;
        verifier->file = &verifier->catalog.files[i];
        check_overlap(verifier);
        code = verify_file(verifier);
    }
    return code != 0 ? code : stream_end(verifier);
}

/* ---- all of them */

static int each_stream(struct verifier *verifier, bool gaps)
{
    const struct catalog *catalog = &verifier->catalog;
    int code = 0;
    for (uint32_t i = 0, end = 0; i < catalog->count && code == 0; i = end) {
        end = catalog_stream_end(catalog, i);
        if ((catalog->files[i].entry.channel == CHANNEL_GAPS) == gaps) {
            code = verify_stream(verifier, i, end);
        }
    }
    return code;
}

static int by_stream(const void *a, const void *b)
{
    const struct verify_stream *x = a;
    const struct verify_stream *y = b;
    int order = (int)x->venue - (int)y->venue;
    order = order != 0 ? order : x->channel - y->channel;
    if (order != 0) {
        return order;
    }
    size_t least = x->symbol.bytes < y->symbol.bytes ? x->symbol.bytes : y->symbol.bytes;
    order = least > 0 ? memcmp(x->symbol.data, y->symbol.data, least) : 0;
    return order != 0 ? order
                      : (x->symbol.bytes > y->symbol.bytes) - (x->symbol.bytes < y->symbol.bytes);
}

static void sort_report(struct verify_report *report)
{
    if (report->count > 1) {
        qsort(report->streams, report->count, sizeof *report->streams, by_stream);
    }
}

/* Streams that are nothing but gap rows. */
static int gaps_alone(struct verifier *verifier)
{
    const struct gap_table *gaps = &verifier->gaps;
    size_t known = verifier->report->count;
    int code = 0;
    sort_report(verifier->report);
    for (size_t i = 0; i < gaps->count && code == 0;) {
        const struct gap_row *row = &gaps->rows[i];
        struct verify_stream key = {.venue = row->venue,
                                    .channel =
                                        row->gap.all_channels ? -1 : (int)row->gap.of_channel,
                                    .symbol = row->symbol};
        i += gap_table_stream(gaps, key.venue, key.channel, key.symbol).count;
        if (known > 0 &&
            bsearch(&key, verifier->report->streams, known, sizeof key, by_stream) != NULL) {
            continue;
        }
        stream_begin(verifier, key.venue, key.channel, key.symbol);
        code = verify_match_stream(verifier);
        code = code != 0 ? code : keep_stream(verifier, &verifier->stream);
    }
    sort_report(verifier->report);
    return code;
}

static void on_catalog_finding(void *context, const struct finding *finding)
{
    struct verifier *verifier = context;
    verifier->report->findings++;
    verifier->on_finding(verifier->context, finding);
}

struct verifier *verifier_create(struct err *err)
{
    struct verifier *verifier = alloc_take(ALLOC_APP, sizeof *verifier);
    struct depth_check *depth = &verifier->depth;
    if (verifier != NULL) {
        depth->pool = book_pool_create(BOOK_BYTES, 1);
        depth->book = depth->pool == NULL ? NULL : book_acquire(depth->pool);
        depth->levels = alloc_take(ALLOC_BOOKS, BOOK_SIDE_LEVELS_MAX * sizeof(struct level));
    }
    if (verifier == NULL || depth->book == NULL || depth->levels == NULL ||
        rows_create(&verifier->rows) != 0) {
        verifier_destroy(verifier);
        err_set(err, MD_ENOMEM, "no memory to read rows");
        return NULL;
    }
    return verifier;
}

void verifier_destroy(struct verifier *verifier)
{
    if (verifier == NULL) {
        return;
    }
    struct depth_check *depth = &verifier->depth;
    rows_destroy(verifier->rows);
    if (depth->book != NULL) {
        book_release(depth->book);
    }
    book_pool_destroy(depth->pool);
    alloc_give(depth->levels);
    alloc_give(verifier->spans);
    holes_deinit(&verifier->breaks);
    for (int i = 0; i < 2; i++) {
        holes_deinit(&verifier->ids[i].skipped);
        holes_deinit(&verifier->ids[i].missing);
    }
    alloc_give(verifier);
}

int verifier_run(struct verifier *verifier, struct mdio *io, const struct catalog_options *options,
                 struct verify_report *report, finding_sink on_finding, void *context,
                 struct err *err)
{
    verifier->io = io;
    verifier->options = options;
    verifier->report = report;
    verifier->on_finding = on_finding;
    verifier->context = context;
    *report = (struct verify_report){0};
    struct catalog *catalog = &verifier->catalog;
    int code = catalog_load(catalog, io, options, on_catalog_finding, verifier, err);
    code = code != 0 ? code : catalog_check_unnamed(catalog, on_catalog_finding, verifier, err);
    if (code == 0) {
        report->manifests = catalog->manifests;
        code = each_stream(verifier, true);
        gap_table_sort(&verifier->gaps);
        code = code != 0 ? code : each_stream(verifier, false);
        code = code != 0 ? code : gaps_alone(verifier);
        if (code != 0) {
            err_set(err, code, "%s: %s", io->root, err_text(code));
        }
    }
    gap_table_deinit(&verifier->gaps);
    catalog_deinit(catalog);
    return code;
}

void verify_report_deinit(struct verify_report *report)
{
    alloc_give(report->streams);
    texts_deinit(&report->texts);
    *report = (struct verify_report){0};
}
