/* Resident row blocks: where a row lies between landing and the spool.
 * Place: landing thread, under store_event().
 * Invariants: rows of a file leave its block in order; a block that is grown or thrown out loses
 * nothing; who is thrown out never changes what a file holds.
 * Policy: a block starts at 256 bytes (with tuning: as large as the partition's last one was
 * filled) and doubles while there is room. When there is none, a block
 * smaller than its fair share throws out one that was not used lately (a clock hand), a larger one
 * is spooled itself. Memory: the pool, row_block_bytes; at most
 * tuner.blocks_max blocks (open_blocks_max, or what tuning makes of it). */
#include "base/assert.h"
#include "base/err.h"
#include "store/store_internal.h"

#define THROW_OUTS_MAX 8 /* for one block: small ones may not make room for a large one */

int block_spool(struct store *store, struct open_file *open)
{
    if (open->block_rows == 0) {
        return 0;
    }
    int code = spool_append(&store->spool, &open->chain, open->block_rows, open->block, open->used);
    if (code < 0) {
        return code;
    }
    store->streams.streams[open->stream].block_used = open->used;
    open->used = 0;
    open->block_rows = 0;
    count_add(&store->counters.blocks_spooled, 1);
    return 0;
}

void block_drop(struct store *store, struct open_file *open)
{
    if (open->resident_at == NO_INDEX) {
        return;
    }
    block_pool_release(&store->pool, open->block, open->class);
    uint32_t last = store->resident[--store->resident_count];
    store->resident[open->resident_at] = last;
    store->open[last].resident_at = open->resident_at;
    open->resident_at = NO_INDEX;
    open->block = NULL;
    open->used = 0;
    open->block_rows = 0;
    atomic_store_explicit(&store->counters.resident_blocks, store->resident_count,
                          memory_order_relaxed);
}

/* Throws out a block that was not used since the hand last passed. MD_ENOMEM: there is no other. */
static int throw_one_out(struct store *store, const struct open_file *keep)
{
    for (uint32_t looked = 0; looked <= 2 * store->resident_count; looked++) {
        store->hand = store->hand + 1 < store->resident_count ? store->hand + 1 : 0;
        if (store->resident_count == 0) {
            break;
        }
        struct open_file *open = &store->open[store->resident[store->hand]];
        if (open == keep || open->referenced) {
            open->referenced = false;
            continue;
        }
        int code = block_spool(store, open);
        if (code < 0) {
            return code;
        }
        block_drop(store, open);
        count_add(&store->counters.early_spools, 1);
        return 0;
    }
    return MD_ENOMEM;
}

static uint32_t class_for(size_t bytes)
{
    uint32_t class = 0;
    while (block_class_bytes(class) < bytes) {
        class ++;
    }
    return class;
}

/* With tuning: a first block as large as the partition's last one was filled, if there is room for
 * it without throwing anybody out. */
static uint8_t *sized_block(struct store *store, const struct open_file *open, uint32_t *class)
{
    uint32_t used = store->streams.streams[open->stream].block_used;
    uint32_t wanted = tune_block_class(used, store->pool_bytes / (store->resident_count + 1));
    uint8_t *block = NULL;
    if (store->config.tune && wanted > *class) {
        block = block_pool_acquire(&store->pool, wanted);
    }
    if (block != NULL) {
        *class = wanted;
        count_add(&store->counters.blocks_sized, 1);
    }
    return block;
}

static int block_get(struct store *store, struct open_file *open, uint32_t bytes)
{
    while (store->resident_count >= store->tuner.blocks_max) {
        int code = throw_one_out(store, open);
        if (code < 0) {
            return code;
        }
    }
    uint32_t class = class_for(bytes);
    uint8_t *block = sized_block(store, open, &class);
    block = block != NULL ? block : block_pool_acquire(&store->pool, class);
    while (block == NULL) {
        int code = throw_one_out(store, open);
        if (code < 0) {
            return code;
        }
        block = block_pool_acquire(&store->pool, class);
    }
    open->block = block;
    open->class = (uint8_t) class;
    open->used = 0;
    open->block_rows = 0;
    open->resident_at = store->resident_count;
    store->resident[store->resident_count++] = (uint32_t)(open - store->open);
    atomic_store_explicit(&store->counters.resident_blocks, store->resident_count,
                          memory_order_relaxed);
    return 0;
}

/* A larger block with the same rows; false when there is none to be had. */
static bool block_grow(struct store *store, struct open_file *open, size_t bytes)
{
    if (bytes > ROW_BLOCK_BYTES_MAX) {
        return false;
    }
    uint32_t class = class_for(bytes);
    uint8_t *block = block_pool_acquire(&store->pool, class);
    size_t fair = store->pool_bytes / store->resident_count;
    bool small = block_class_bytes(open->class) * 2 <= fair;
    for (int i = 0; block == NULL && small && i < THROW_OUTS_MAX; i++) {
        if (throw_one_out(store, open) < 0) {
            return false;
        }
        block = block_pool_acquire(&store->pool, class);
    }
    if (block == NULL) {
        return false;
    }
    memcpy(block, open->block, open->used);
    block_pool_release(&store->pool, open->block, open->class);
    open->block = block;
    open->class = (uint8_t) class;
    return true;
}

/* Room for `bytes` behind what is in the block. */
static int make_room(struct store *store, struct open_file *open, uint32_t bytes)
{
    if (open->resident_at == NO_INDEX) {
        return block_get(store, open, bytes);
    }
    if (open->used + bytes <= block_class_bytes(open->class) ||
        block_grow(store, open, open->used + bytes)) {
        return 0;
    }
    int code = block_spool(store, open);
    if (code == 0 && bytes > block_class_bytes(open->class)) {
        block_drop(store, open);
        code = block_get(store, open, bytes);
    }
    return code;
}

void block_took_row(struct store *store, struct open_file *open, uint32_t bytes)
{
    open->used = (uint16_t)(open->used + bytes);
    open->block_rows++;
    open->referenced = true;
    if (open->block_rows >= store->config.record_batch_rows) {
        /* Best effort: when the disk takes nothing now, the block goes on until it is full. */
        block_spool(store, open);
    }
}

int block_put_row(struct store *store, struct open_file *open, uint32_t bytes)
{
    if (bytes > ROW_BLOCK_BYTES_MAX) { /* a long text: a record of its own */
        int code = block_spool(store, open);
        return code < 0 ? code : spool_append(&store->spool, &open->chain, 1, store->row, bytes);
    }
    int code = make_room(store, open, bytes);
    if (code < 0) {
        return code;
    }
    memcpy(open->block + open->used, store->row, bytes);
    block_took_row(store, open, bytes);
    return 0;
}
