/* Holes against gap rows, gap rows against holes, and the time that is covered.
 * Place: at the end of each stream (ids also where a sequence began anew).
 * Rules: an id that is in no file must be in a gap row that leaves it open; a gap row with ids that
 * says they are missing must be where the rows skipped them; one that says backfilled must have
 * them. Where ids do not count up, a break must have a gap row at its time, one each, and a gap row
 * of kind "sequence" a break. Gap rows beyond the first and last id seen prove nothing.
 * Memory: one span a gap row or unexplained hole of the stream. */
#include <stdlib.h>

#include "base/assert.h"
#include "proof/verify_internal.h"

#define TIMES char before[PROOF_TIME_BYTES], after[PROOF_TIME_BYTES]

static struct gap_slice slice_of(const struct verifier *verifier)
{
    return gap_table_stream(&verifier->gaps, verifier->stream.venue, verifier->stream.channel,
                            verifier->stream.symbol);
}

static int add_span(struct verifier *verifier, int64_t start_us, int64_t end_us)
{
    void *spans = verifier->spans;
    int code =
        proof_grow(&spans, &verifier->span_capacity, verifier->span_count, sizeof *verifier->spans);
    verifier->spans = spans;
    if (code == 0) {
        verifier->spans[verifier->span_count++] = (struct span){start_us, end_us};
    }
    return code;
}

/* ---- ids in no file */

static bool has_ids(const struct gap_row *row)
{
    return row->gap.from_id != ID_NONE && row->gap.to_id != ID_NONE &&
           row->gap.from_id <= row->gap.to_id;
}

static int unexplained(struct verifier *verifier, const struct hole *hole, int64_t from, int64_t to,
                       bool said_filled)
{
    TIMES;
    uint64_t count = (uint64_t)to - (uint64_t)from + 1;
    if (said_filled && hole->file_lost) {
        return add_span(verifier, hole->before_us, hole->after_us);
    }
    verifier->stream.unexplained += count;
    verify_tell(verifier, said_filled ? FINDING_GAP_UNFILLED : FINDING_IDS_MISSING, false,
                "ids %lld to %lld (%llu) between %s and %s: %s", (long long)from, (long long)to,
                (unsigned long long)count, proof_time(hole->before_us, before),
                proof_time(hole->after_us, after),
                said_filled ? "the gap row says they were backfilled" : "no gap row says so");
    return add_span(verifier, hole->before_us, hole->after_us);
}

static bool said_filled(struct gap_slice gaps, int64_t from, int64_t to)
{
    for (size_t i = 0; i < gaps.count && gaps.rows[i].gap.from_id <= to; i++) {
        const struct gap_row *row = &gaps.rows[i];
        if (has_ids(row) && row->gap.resolved_by == GAP_RESOLVED_BACKFILL &&
            row->gap.to_id >= from) {
            return true;
        }
    }
    return false;
}

/* `first`: gap rows before it end before the hole, and every later one's. */
static int explain_hole(struct verifier *verifier, const struct hole *hole, struct gap_slice gaps,
                        size_t *first)
{
    verifier->stream.missing += (uint64_t)hole->to - (uint64_t)hole->from + 1;
    while (*first < gaps.count &&
           (!has_ids(&gaps.rows[*first]) || gaps.rows[*first].gap.to_id < hole->from)) {
        (*first)++;
    }
    int64_t next = hole->from; /* not explained yet from here on */
    for (size_t i = *first; i < gaps.count && gaps.rows[i].gap.from_id <= hole->to; i++) {
        const struct gap_row *row = &gaps.rows[i];
        if (!has_ids(row) || !gap_is_open(row) || row->gap.to_id < next) {
            continue;
        }
        if (row->gap.from_id > next) {
            int64_t to = row->gap.from_id - 1;
            int code = unexplained(verifier, hole, next, to, said_filled(gaps, next, to));
            if (code != 0) {
                return code;
            }
        }
        if (row->gap.to_id >= hole->to) {
            return 0;
        }
        next = row->gap.to_id + 1;
    }
    return unexplained(verifier, hole, next, hole->to, said_filled(gaps, next, hole->to));
}

static int explain_holes(struct verifier *verifier, const struct id_check *ids,
                         struct gap_slice gaps)
{
    size_t first = 0;
    for (size_t i = 0; i < ids->missing.count; i++) {
        const struct hole *hole = &ids->missing.at[i];
        int code = 0;
        if (!hole->covered) {
            code = explain_hole(verifier, hole, gaps, &first);
        }
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

/* ---- gap rows whose ids are there */

/* -1: the run of ids cannot tell; 0: the ids are there; 1: they were skipped, as the row says. */
static int was_skipped(const struct id_check *ids, const struct gap_event *gap)
{
    if (ids->last_id == ID_NONE || gap->to_id < ids->first_id || gap->from_id > ids->last_id) {
        return -1;
    }
    int64_t from = gap->from_id > ids->first_id ? gap->from_id : ids->first_id;
    int64_t to = gap->to_id < ids->last_id ? gap->to_id : ids->last_id;
    uint64_t count = (uint64_t)to - (uint64_t)from + 1;
    return holes_overlap(&ids->skipped, from, to) == count;
}

static void check_gap_rows(struct verifier *verifier, struct gap_slice gaps)
{
    for (size_t i = 0; i < gaps.count; i++) {
        const struct gap_row *row = &gaps.rows[i];
        if (!has_ids(row) || !gap_is_open(row)) {
            continue;
        }
        int main = was_skipped(&verifier->ids[IDS_MAIN], &row->gap);
        int aggregate = was_skipped(&verifier->ids[IDS_AGGREGATE], &row->gap);
        /* trades: the row does not say which of the two runs it speaks of */
        if (main < 1 && aggregate < 1 && (main == 0 || aggregate == 0)) {
            verify_tell(verifier, FINDING_GAP_UNSEEN, false,
                        "a gap row says ids %lld to %lld are missing, and they are there",
                        (long long)row->gap.from_id, (long long)row->gap.to_id);
        }
    }
}

int verify_match_ids(struct verifier *verifier)
{
    struct gap_slice gaps = slice_of(verifier);
    enum continuity rule = verifier->stream.rule;
    int code = 0;
    if (rule == CONTINUITY_NONE || rule == CONTINUITY_PREVIOUS || verifier->unordered) {
        return 0;
    }
    gap_slice_by_ids(gaps);
    for (int i = 0; i < 2 && code == 0; i++) {
        code = explain_holes(verifier, &verifier->ids[i], gaps);
    }
    check_gap_rows(verifier, gaps);
    return code;
}

/* ---- breaks, by time */

/* The gap row of a break: told between the messages on both sides, and open until the later. */
static bool explains_break(const struct gap_row *row, const struct hole *broken)
{
    return gap_start_us(row) >= broken->before_us && gap_start_us(row) <= broken->after_us &&
           gap_end_us(row) >= broken->after_us;
}

static int match_breaks(struct verifier *verifier, struct gap_slice gaps)
{
    size_t at = 0;
    for (size_t i = 0; i < verifier->breaks.count; i++) {
        const struct hole *broken = &verifier->breaks.at[i];
        while (at < gaps.count && gap_start_us(&gaps.rows[at]) < broken->before_us) {
            at++;
        }
        size_t found = at;
        while (found < gaps.count && gap_start_us(&gaps.rows[found]) <= broken->after_us &&
               !explains_break(&gaps.rows[found], broken)) {
            found++;
        }
        verifier->stream.missing++;
        if (found < gaps.count && explains_break(&gaps.rows[found], broken)) {
            at = found + 1; /* each explains one */
            continue;
        }
        TIMES;
        verifier->stream.unexplained++;
        verify_tell(verifier, FINDING_IDS_MISSING, false,
                    "the rows do not follow each other between %s and %s: no gap row says so",
                    proof_time(broken->before_us, before), proof_time(broken->after_us, after));
        int code = add_span(verifier, broken->before_us, broken->after_us);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

static bool breaks_at(const struct holes *breaks, int64_t us)
{
    for (size_t i = 0; i < breaks->count; i++) {
        if (breaks->at[i].before_us <= us && us <= breaks->at[i].after_us) {
            return true;
        }
    }
    return false;
}

/* A "sequence" row without ids tells of a break that any reader can see. */
static void check_breaks(struct verifier *verifier, struct gap_slice gaps)
{
    for (size_t i = 0; i < gaps.count; i++) {
        const struct gap_row *row = &gaps.rows[i];
        int64_t start_us = gap_start_us(row);
        bool within = verifier->rows_from_us != TIME_NONE && start_us > verifier->rows_from_us &&
                      start_us < verifier->last_us;
        if (row->gap.kind == GAP_SEQUENCE && !has_ids(row) && gap_is_open(row) && within &&
            !breaks_at(&verifier->breaks, start_us)) {
            TIMES;
            verify_tell(verifier, FINDING_GAP_UNSEEN, false,
                        "a gap row of %s to %s, and the rows follow each other there",
                        proof_time(start_us, before), proof_time(gap_end_us(row), after));
        }
    }
}

/* ---- the time that is covered */

static int by_start(const void *a, const void *b)
{
    const struct span *x = a;
    const struct span *y = b;
    return (x->start_us > y->start_us) - (x->start_us < y->start_us);
}

static void measure(struct verifier *verifier)
{
    struct verify_stream *stream = &verifier->stream;
    const struct catalog_options *options = verifier->options;
    int64_t since_us = stream->first_us;
    int64_t until_us = stream->last_us;
    if (options->since_us != TIME_NONE && options->since_us > since_us) {
        since_us = options->since_us;
    }
    if (options->until_us != TIME_NONE && options->until_us < until_us) {
        until_us = options->until_us;
    }
    if (verifier->span_count > 0) {
        qsort(verifier->spans, verifier->span_count, sizeof *verifier->spans, by_start);
    }
    int64_t covered_to_us = since_us; /* what lies before is counted */
    for (size_t i = 0; i < verifier->span_count; i++) {
        const struct span *span = &verifier->spans[i];
        int64_t start_us = span->start_us > covered_to_us ? span->start_us : covered_to_us;
        int64_t end_us = span->end_us < until_us ? span->end_us : until_us;
        if (end_us > start_us) {
            stream->open_us += end_us - start_us;
            covered_to_us = end_us;
        }
    }
    stream->first_us = since_us;
    stream->last_us = until_us > since_us ? until_us : since_us;
}

static bool in_period(const struct catalog_options *options, const struct gap_row *row)
{
    return (options->since_us == TIME_NONE || gap_end_us(row) >= options->since_us) &&
           (options->until_us == TIME_NONE || gap_start_us(row) <= options->until_us);
}

int verify_match_stream(struct verifier *verifier)
{
    struct verify_stream *stream = &verifier->stream;
    struct gap_slice gaps = slice_of(verifier);
    int code = 0;
    gap_slice_by_start(gaps);
    if (!verifier->unordered) {
        code = match_breaks(verifier, gaps);
        if (stream->rule == CONTINUITY_PREVIOUS) {
            check_breaks(verifier, gaps);
        }
    }
    for (size_t i = 0; i < gaps.count && code == 0; i++) {
        const struct gap_row *row = &gaps.rows[i];
        if (!in_period(verifier->options, row)) {
            continue;
        }
        int64_t start_us = gap_start_us(row);
        int64_t end_us = gap_end_us(row);
        stream->gaps[row->gap.kind]++;
        stream->resolved[row->gap.resolved_by]++;
        if (stream->symbol.bytes == 0) {
            continue; /* of all symbols: no one's time */
        }
        stream->first_us = stream->first_us == TIME_NONE || start_us < stream->first_us
                               ? start_us
                               : stream->first_us;
        stream->last_us = end_us > stream->last_us ? end_us : stream->last_us;
        code = gap_is_open(row) ? add_span(verifier, start_us, end_us) : 0;
    }
    if (code == 0 && stream->first_us != TIME_NONE) {
        measure(verifier);
    }
    return code;
}
