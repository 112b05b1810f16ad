#ifndef MD_PROOF_GAP_TABLE_H
#define MD_PROOF_GAP_TABLE_H

#include "proof/catalog.h"
#include "proof/rows.h"

/* All gap rows of the files in a catalog, by the stream they speak of. About 100 bytes a row. */

struct gap_row {
    enum venue_id venue;
    struct str symbol; /* bytes = 0: all symbols */
    struct gap_event gap;
    int64_t local_us; /* when it was told */
    uint32_t conn;
    bool filled_later; /* open when a stop told it; later rows say that all of it was backfilled */
};

struct gap_table {
    struct gap_row *rows;
    size_t count, capacity;
    struct texts texts;
    struct str last_symbol; /* kept already */
};

void gap_table_deinit(struct gap_table *table);
/* Takes one gap event in. MD_ENOMEM. */
int gap_table_add(struct gap_table *table, const struct event *event);
/* Once all are in: sorted by venue, symbol, channel (rows of all channels first), ids and start;
 * what was filled later is known. */
void gap_table_sort(struct gap_table *table);
/* The rows that name exactly this stream; `all`: rows of all symbols of the channel (and of all
 * channels with channel = -1). */
struct gap_slice {
    struct gap_row *rows;
    size_t count;
};
struct gap_slice gap_table_stream(const struct gap_table *table, enum venue_id venue, int channel,
                                  struct str symbol);
/* Sorts a slice by start; by ids again with gap_slice_by_ids(). */
void gap_slice_by_start(struct gap_slice slice);
void gap_slice_by_ids(struct gap_slice slice);
static inline int64_t gap_start_us(const struct gap_row *row)
{
    return row->gap.start_unix_ns == TIME_NONE ? row->local_us : row->gap.start_unix_ns / 1000;
}
static inline int64_t gap_end_us(const struct gap_row *row)
{
    return row->gap.end_unix_ns == TIME_NONE ? row->local_us : row->gap.end_unix_ns / 1000;
}
/* Is what was missed missing still? Not if it was backfilled, or nothing was missed. */
static inline bool gap_is_open(const struct gap_row *row)
{
    return (row->gap.resolved_by == GAP_RESOLVED_NONE && !row->filled_later) ||
           row->gap.resolved_by == GAP_RESOLVED_RESYNC;
}

#endif
