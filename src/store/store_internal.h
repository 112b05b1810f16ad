#ifndef MD_STORE_INTERNAL_H
#define MD_STORE_INTERNAL_H

#include <stdatomic.h>

#include "store/manifest.h"
#include "store/partition.h"
#include "store/row_block.h"
#include "store/seal.h"
#include "store/spool.h"
#include "store/store.h"
#include "store/tune.h"

/* The store's own parts, for store.c (landing), store_block.c (resident blocks), store_state.c
 * (checkpoints) and store_tune.c. Landing thread, but for what says otherwise. */

/* A file that takes rows. */
struct open_file {
    uint32_t stream;
    uint32_t active_at;   /* index in store->active; or the next free one */
    uint32_t resident_at; /* index in store->resident, NO_INDEX = no block in memory */
    uint16_t used;        /* bytes in the block */
    uint16_t block_rows;
    uint8_t class;   /* block_class_bytes() */
    bool referenced; /* used since the hand passed by */
    uint8_t *block;
    int64_t first_unix_ns;
    uint64_t first_seq, missing;
    uint32_t gaps;
    struct spool_chain chain;
    struct row_state state;
};

struct store_counters {
    _Atomic uint64_t rows, rows_by_channel[CHANNEL_COUNT], rows_skipped, rows_lost;
    _Atomic uint64_t blocks_spooled, early_spools, texts_cut;
    _Atomic uint64_t level_changes, blocks_changes, idle_changes, blocks_sized, tune_refused;
    _Atomic uint32_t zstd_level, blocks_max;
    _Atomic uint32_t open_partitions, open_partitions_high, resident_blocks, streams_frozen;
};

struct store {
    struct store_config config;
    struct store_handlers handlers;
    struct mdio *io;

    struct stream_table streams;
    struct facts_table facts;
    struct sealed_table sealed;
    int sealed_code;          /* of filling it */
    struct open_file *open;   /* streams_max */
    uint64_t *open_first_seq; /* per open file; UINT64_MAX = free */
    uint32_t *active;         /* indexes of the open ones, dense */
    uint32_t active_count, open_free;

    struct seal_job *jobs; /* seal_jobs_max */
    uint64_t *job_first_seq;
    struct seal_job *job_free;

    struct block_pool pool;
    size_t pool_bytes;
    uint32_t *resident;                           /* open files with a block, dense */
    uint32_t resident_count, resident_most, hand; /* at most tuner.blocks_max at a time */

    struct tuner tuner;
    struct tune_bounds tune_bounds;
    int64_t tune_window_end_ns; /* of the count of events a stream; 0 = not begun */

    struct spool spool;
    struct manifest manifest;
    struct sealer *sealer;
    struct row_layout layouts[CHANNEL_COUNT];
    struct seal_bounds bounds[CHANNEL_COUNT];

    uint8_t *row;        /* ROW_BYTES_MAX: the row being encoded */
    uint64_t frozen_seq; /* lowest seq of a frozen stream; UINT64_MAX = none */
    uint64_t manifest_last_seq;
    int64_t waited_ms; /* in this episode of a disk that takes nothing */
    bool failing;
    struct manifest_stats manifest_stats;
    struct store_counters counters;
};

/* Counters have one writer: no read-modify-write is needed. */
static inline void count_add(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + n, memory_order_relaxed);
}

/* store_block.c. Where a row of at most `bytes` can be written in the file's block as it is, to be
 * told by block_took_row(); NULL: it goes to store->row and block_put_row(). */
static inline uint8_t *block_place(const struct open_file *open, uint32_t bytes)
{
    bool fits =
        open->resident_at != NO_INDEX && open->used + bytes <= block_class_bytes(open->class);
    return fits ? open->block + open->used : NULL;
}
void block_took_row(struct store *store, struct open_file *open, uint32_t bytes);
/* The row of `bytes` in store->row goes to the file's block, or past it. 0, or a
 * negative code when neither memory nor disk takes it: nothing changed, try again. */
int block_put_row(struct store *store, struct open_file *open, uint32_t bytes);
/* Spools what is in the file's block; the block stays. */
int block_spool(struct store *store, struct open_file *open);
/* Gives the block's memory back; what is in it is gone. */
void block_drop(struct store *store, struct open_file *open);

/* store_tune.c: what the settings say is in force. */
void tune_init(struct store *store);
/* The level and a stream's factor, from a checkpoint; out of bounds: the bound. */
void tune_restore_level(struct store *store, uint32_t zstd_level);

#endif
