/* Gap rows by stream. See gap_table.h.
 * Place: verify and merge read all gaps files of a period before the rows they explain: a gap is
 * told when it ends, which may be hours and files later.
 * Invariants: sorted once; slices are looked up by bisection. Memory: about 100 bytes a gap row. */
#include "proof/gap_table.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"

void gap_table_deinit(struct gap_table *table)
{
    alloc_give(table->rows);
    texts_deinit(&table->texts);
    *table = (struct gap_table){0};
}

int gap_table_add(struct gap_table *table, const struct event *event)
{
    void *rows = table->rows;
    int code = proof_grow(&rows, &table->capacity, table->count, sizeof *table->rows);
    table->rows = rows;
    if (code == 0 && !str_equal(table->last_symbol, event->symbol)) {
        code = texts_keep(&table->texts, event->symbol, &table->last_symbol);
    }
    if (code == 0) {
        table->rows[table->count++] = (struct gap_row){
            .venue = event->venue,
            .symbol = table->last_symbol,
            .gap = event->gap,
            .local_us = event->recv_unix_ns / NS_PER_US,
            .conn = event->conn,
        };
    }
    return code;
}

/* ---- order */

static int compare(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int channel_of(const struct gap_row *row)
{
    return row->gap.all_channels ? -1 : (int)row->gap.of_channel;
}

static int by_stream(const struct gap_row *row, enum venue_id venue, int channel, struct str symbol)
{
    int order = compare(row->venue, venue);
    if (order == 0) {
        size_t least = row->symbol.bytes < symbol.bytes ? row->symbol.bytes : symbol.bytes;
        order = least > 0 ? memcmp(row->symbol.data, symbol.data, least) : 0;
        order = order != 0 ? order : compare((int64_t)row->symbol.bytes, (int64_t)symbol.bytes);
    }
    return order != 0 ? order : compare(channel_of(row), channel);
}

static int by_ids(const void *a, const void *b)
{
    const struct gap_row *x = a;
    const struct gap_row *y = b;
    int order = compare(x->gap.from_id, y->gap.from_id);
    order = order != 0 ? order : compare(gap_start_us(x), gap_start_us(y));
    order = order != 0 ? order : compare(x->gap.to_id, y->gap.to_id);
    return order != 0 ? order : compare(x->local_us, y->local_us);
}

static int by_start(const void *a, const void *b)
{
    const struct gap_row *x = a;
    const struct gap_row *y = b;
    int order = compare(gap_start_us(x), gap_start_us(y));
    return order != 0 ? order : by_ids(a, b);
}

static int by_all(const void *a, const void *b)
{
    const struct gap_row *x = a;
    const struct gap_row *y = b;
    int order = by_stream(x, y->venue, channel_of(y), y->symbol);
    return order != 0 ? order : by_ids(a, b);
}

static void sort(struct gap_slice slice, int (*order)(const void *a, const void *b))
{
    if (slice.count > 1) {
        qsort(slice.rows, slice.count, sizeof *slice.rows, order);
    }
}

/* A stop tells a hole in trades that is open; the next run tells what it fills of it, by rows of
 * the same ids (each from where the one before ended) or, where ids do not count, of the same time.
 * `at`: in order, so that those rows follow. */
static bool is_filled_later(const struct gap_table *table, size_t at)
{
    const struct gap_row *row = &table->rows[at];
    size_t i = at;
    while (i > 0 && table->rows[i - 1].gap.from_id == row->gap.from_id &&
           by_stream(&table->rows[i - 1], row->venue, channel_of(row), row->symbol) == 0) {
        i--;
    }
    int64_t next = row->gap.from_id;
    for (; i < table->count && table->rows[i].gap.from_id <= next &&
           by_stream(&table->rows[i], row->venue, channel_of(row), row->symbol) == 0;
         i++) {
        const struct gap_row *later = &table->rows[i];
        bool counts = later->gap.resolved_by == GAP_RESOLVED_BACKFILL &&
                      later->gap.start_unix_ns == row->gap.start_unix_ns &&
                      later->local_us >= row->local_us;
        if (counts && row->gap.from_id == ID_NONE) {
            return true;
        }
        if (counts && later->gap.to_id >= row->gap.to_id) {
            return true;
        }
        next = counts && later->gap.to_id >= next ? later->gap.to_id + 1 : next;
    }
    return false;
}

void gap_table_sort(struct gap_table *table)
{
    sort((struct gap_slice){table->rows, table->count}, by_all);
    for (size_t i = 0; i < table->count; i++) {
        struct gap_row *row = &table->rows[i];
        bool may = row->gap.resolved_by == GAP_RESOLVED_NONE && !row->gap.all_channels &&
                   row->gap.of_channel == CHANNEL_TRADES;
        row->filled_later = may && is_filled_later(table, i);
    }
}

void gap_slice_by_start(struct gap_slice slice)
{
    sort(slice, by_start);
}

void gap_slice_by_ids(struct gap_slice slice)
{
    sort(slice, by_ids);
}

/* The first row at or behind the stream (`behind`: behind it). */
static size_t bound(const struct gap_table *table, enum venue_id venue, int channel,
                    struct str symbol, bool behind)
{
    size_t low = 0;
    size_t high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = by_stream(&table->rows[middle], venue, channel, symbol);
        if (order < 0 || (behind && order == 0)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct gap_slice gap_table_stream(const struct gap_table *table, enum venue_id venue, int channel,
                                  struct str symbol)
{
    size_t begin = bound(table, venue, channel, symbol, false);
    size_t end = bound(table, venue, channel, symbol, true);
    return (struct gap_slice){table->rows + begin, end - begin};
}
