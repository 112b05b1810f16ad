#ifndef MD_STORE_TUNE_H
#define MD_STORE_TUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Self-tuning: figures in, decisions out. Pure: no clock, no memory, nothing is changed here. The
 * settings are the bounds: a level is never above the one that is set, an idle close never shorter,
 * row groups never larger, and memory never beyond the budget.
 *
 * What changes a file (levels, idle closes) goes into the journal as RECORD_TUNE and is applied
 * from there, so that landing stays a function of the journal; row groups are chosen at start and
 * stand in RECORD_CONFIG. What changes none (blocks in memory) is applied at once. */

/* What was seen in the second that ended. */
struct tune_figures {
    uint32_t seal_jobs;      /* closed partitions that wait to be sealed */
    uint32_t queue_permille; /* fill of the frame ring */
    uint64_t early_spools;   /* blocks thrown out, since the start */
    size_t pool_bytes, pool_used_bytes;
    uint32_t blocks; /* partitions with a block in memory */
};

struct tune_bounds {
    int zstd_level;                   /* output.parquet_zstd_level */
    uint32_t blocks_set, blocks_most; /* output.parquet_max_open_files; what the tables hold */
};

/* What is in force, and what has been seen since it was changed. Zeroed but for the first two. */
struct tuner {
    int zstd_level;
    uint32_t blocks_max;
    uint32_t busy_s, calm_s, since_level_s, since_blocks_s;
    uint64_t early_spools; /* at the last look at the blocks */
};

struct tune_decision { /* equal to what is in force: no change */
    int zstd_level;
    uint32_t blocks_max;
};
/* Call it once a second. The caller puts the decision into force (tuner->zstd_level when its record
 * is landed). */
struct tune_decision tune_second(struct tuner *tuner, const struct tune_bounds *bounds,
                                 const struct tune_figures *figures);

/* The idle close of a stream as a multiple of the one that is set, 1 .. TUNE_IDLE_FACTOR_MAX, from
 * how many events it had in a window of TUNE_IDLE_WINDOW times that: a slow but steady stream is
 * not cut into a file an event. `idle_close_s` is the set one; the product stays below an hour. */
#define TUNE_IDLE_WINDOW 8
#define TUNE_IDLE_FACTOR_MAX 64
uint32_t tune_idle_factor(uint32_t events, int64_t idle_close_s);

/* The size class a partition's next block starts with: what its last one held, within the fair
 * share of the pool. `used_bytes` = 0: it had none. Classes as in row_block.h. */
uint32_t tune_block_class(size_t used_bytes, size_t fair_bytes);

/* Rows a group, when `rows` do not fit: the next smaller step, 0 when there is none below
 * TUNE_ROW_GROUP_LEAST. */
#define TUNE_ROW_GROUP_LEAST 2000
uint32_t tune_row_group_next(uint32_t rows);

/* ---- RECORD_TUNE's payload: lines of "zstd_level=N" and "idle=FACTOR VENUE CHANNEL SYMBOL". */
struct tune_line {
    enum { TUNE_ZSTD_LEVEL, TUNE_IDLE } what;
    uint32_t value;                    /* the level, the factor: in range */
    struct str venue, channel, symbol; /* TUNE_IDLE: views into the text */
};
/* Takes one line off the front of `text`. 1 = *line set, 0 = at the end; MD_EPARSE: the line is not
 * one of ours and was passed over. */
int tune_line_next(struct str *text, struct tune_line *line);

#endif
