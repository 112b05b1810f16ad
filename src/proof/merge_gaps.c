/* Gap rows of a merged folder: what both missed. See merge.h.
 * Holes in ids are found while joining; their cause is A's word for that time, or B's. Gap rows
 * without ids, and those of all symbols, stay where the other folder missed the time too. */
#include <stdlib.h>

#include "base/clock.h"
#include "proof/merge_internal.h"

static struct gap_slice slice_of(const struct merge *merge, int side, int channel,
                                 struct str symbol)
{
    return gap_table_stream(&merge->sides[side].gaps, merge->venue, channel, symbol);
}

static bool meets(const struct gap_row *row, int64_t start_us, int64_t end_us)
{
    return gap_is_open(row) && gap_start_us(row) <= end_us && gap_end_us(row) >= start_us;
}

static const struct gap_row *row_at(struct gap_slice gaps, int64_t start_us, int64_t end_us)
{
    for (size_t i = 0; i < gaps.count; i++) {
        if (meets(&gaps.rows[i], start_us, end_us)) {
            return &gaps.rows[i];
        }
    }
    return NULL;
}

static const struct gap_row *any_row_at(const struct merge *merge, int side, int64_t start_us,
                                        int64_t end_us)
{
    const struct gap_row *row =
        row_at(slice_of(merge, side, (int)merge->channel, merge->symbol), start_us, end_us);
    row = row != NULL
              ? row
              : row_at(slice_of(merge, side, (int)merge->channel, STR("")), start_us, end_us);
    return row != NULL ? row : row_at(slice_of(merge, side, -1, STR("")), start_us, end_us);
}

static bool was_away(const struct merge *merge, int side, int64_t start_us, int64_t end_us)
{
    const struct merge_side *of = &merge->sides[side];
    return start_us < of->first_us[merge->venue] || end_us > of->last_us[merge->venue];
}

bool merge_missed(const struct merge *merge, int side, int64_t start_us, int64_t end_us)
{
    return merge->begin[side] == merge->end[side] || was_away(merge, side, start_us, end_us) ||
           any_row_at(merge, side, start_us, end_us) != NULL;
}

static int keep(struct merge *merge, struct str symbol, const struct gap_event *gap,
                int64_t told_us)
{
    void *gaps = merge->gaps;
    int code = proof_grow(&gaps, &merge->gap_capacity, merge->gap_count, sizeof *merge->gaps);
    merge->gaps = gaps;
    struct merge_gap *kept = code == 0 ? &merge->gaps[merge->gap_count] : NULL;
    code = code != 0 ? code : texts_keep(&merge->texts, symbol, &kept->symbol);
    if (code != 0) {
        return err_set(merge->err, code, "no memory for gap rows");
    }
    kept->gap = *gap;
    kept->told_us = told_us;
    merge->gap_count++;
    return 0;
}

int merge_gap_found(struct merge *merge, int64_t from, int64_t to, int64_t start_us, int64_t end_us,
                    enum gap_resolved resolved)
{
    const struct gap_row *row = any_row_at(merge, SIDE_A, start_us, end_us);
    row = row != NULL ? row : any_row_at(merge, SIDE_B, start_us, end_us);
    uint64_t missing = from == ID_NONE ? UINT64_MAX : (uint64_t)to - (uint64_t)from + 1;
    struct gap_event gap = {
        .of_channel = merge->channel,
        .kind = row != NULL ? row->gap.kind : GAP_SEQUENCE,
        .from_id = from,
        .to_id = to,
        .missing = missing > INT64_MAX ? ID_NONE : (int64_t)missing,
        .start_unix_ns = start_us * NS_PER_US,
        .end_unix_ns = end_us * NS_PER_US,
        .resolved_by = resolved,
    };
    if (from != ID_NONE) {
        merge->report->missing += missing;
    }
    return keep(merge, merge->symbol, &gap, end_us);
}

/* Is the same time told by a row that is kept already? */
static bool is_told(const struct merge *merge, const struct gap_row *row)
{
    for (size_t i = merge->gap_count; i > 0; i--) {
        const struct merge_gap *told = &merge->gaps[i - 1];
        if (!str_equal(told->symbol, merge->symbol) || told->gap.of_channel != merge->channel) {
            return false; /* the stream's own stand last */
        }
        if (told->gap.start_unix_ns / NS_PER_US <= gap_end_us(row) &&
            told->gap.end_unix_ns / NS_PER_US >= gap_start_us(row)) {
            return true;
        }
    }
    return false;
}

int merge_gaps_by_time(struct merge *merge, bool with_ids)
{
    int code = 0;
    for (int side = SIDE_A; side < SIDES; side++) {
        struct gap_slice gaps = slice_of(merge, side, (int)merge->channel, merge->symbol);
        for (size_t i = 0; i < gaps.count && code == 0; i++) {
            const struct gap_row *row = &gaps.rows[i];
            bool by_ids =
                with_ids && (row->gap.from_id != ID_NONE ||
                             (row->gap.kind == GAP_SEQUENCE && merge->rule == CONTINUITY_PREVIOUS));
            if (gap_is_open(row) && !by_ids && !is_told(merge, row) &&
                merge_missed(merge, 1 - side, gap_start_us(row), gap_end_us(row))) {
                code = keep(merge, merge->symbol, &row->gap, gap_end_us(row));
            }
        }
    }
    return code;
}

/* Does a folder say that it missed something of all symbols of the channel at that time? */
static bool missed_of_all(const struct merge *merge, int side, const struct gap_row *row)
{
    int64_t start_us = gap_start_us(row), end_us = gap_end_us(row);
    int channel = row->gap.all_channels ? -1 : (int)row->gap.of_channel;
    return was_away(merge, side, start_us, end_us) ||
           row_at(slice_of(merge, side, channel, STR("")), start_us, end_us) != NULL ||
           row_at(slice_of(merge, side, -1, STR("")), start_us, end_us) != NULL;
}

int merge_gaps_of_all(struct merge *merge, enum venue_id venue)
{
    int code = 0;
    merge->venue = venue;
    for (int side = SIDE_A; side < SIDES; side++) {
        for (int channel = -1; channel < CHANNEL_COUNT; channel++) {
            struct gap_slice gaps = slice_of(merge, side, channel, STR(""));
            for (size_t i = 0; i < gaps.count && code == 0; i++) {
                const struct gap_row *row = &gaps.rows[i];
                if (gap_is_open(row) && missed_of_all(merge, 1 - side, row)) {
                    code = keep(merge, STR(""), &row->gap, gap_end_us(row));
                }
            }
        }
    }
    return code;
}

static int by_time(const void *a, const void *b)
{
    const struct merge_gap *x = a;
    const struct merge_gap *y = b;
    int order = (x->told_us > y->told_us) - (x->told_us < y->told_us);
    order = order != 0 ? order : (int)x->gap.of_channel - (int)y->gap.of_channel;
    if (order == 0) {
        size_t least = x->symbol.bytes < y->symbol.bytes ? x->symbol.bytes : y->symbol.bytes;
        order = least > 0 ? memcmp(x->symbol.data, y->symbol.data, least) : 0;
    }
    return order != 0 ? order
                      : (x->gap.from_id > y->gap.from_id) - (x->gap.from_id < y->gap.from_id);
}

void merge_gaps_write(struct merge *merge, enum venue_id venue, uint32_t outside)
{
    merge->venue = venue;
    merge->channel = CHANNEL_GAPS;
    merge->outside = outside;
    merge->last_seq = 0;
    merge->last_us = INT64_MIN / 2;
    if (merge->gap_count > 1) {
        qsort(merge->gaps, merge->gap_count, sizeof *merge->gaps, by_time);
    }
    for (size_t i = 0; i < merge->gap_count; i++) {
        struct event event = {.channel = CHANNEL_GAPS,
                              .venue = venue,
                              .symbol = merge->gaps[i].symbol,
                              .event_unix_ns = TIME_NONE,
                              .gap = merge->gaps[i].gap};
        merge_land(merge, &event, SIDE_A, merge->gaps[i].told_us);
    }
    merge->report->gaps += merge->gap_count;
    merge->gap_count = 0;
}
