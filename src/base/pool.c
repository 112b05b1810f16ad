/* Fixed-size items on a free list that runs through the free items themselves. One piece of memory,
 * taken at init: the items, then a byte map that says which are out, by which a double or foreign
 * release is caught at once and not as another item's broken content. Acquire and release are a few
 * instructions and never allocate; an empty pool refuses and counts. One thread. */
#include "base/pool.h"

#include <string.h>

#include "base/assert.h"

static uint8_t *used_map(const struct pool *pool)
{
    return (uint8_t *)pool->memory + pool->item_bytes * pool->count;
}

int pool_init(struct pool *pool, enum alloc_line line, size_t item_bytes, size_t count)
{
    memset(pool, 0, sizeof *pool);
    item_bytes = (item_bytes + 15) & ~(size_t)15;
    item_bytes = item_bytes > 0 ? item_bytes : 16;
    size_t bytes = 0;
    if (__builtin_mul_overflow(item_bytes + 1, count, &bytes)) { /* the items and the byte map */
        return MD_ENOMEM;
    }
    pool->memory = alloc_take(line, bytes);
    if (pool->memory == NULL) {
        return MD_ENOMEM;
    }
    pool->item_bytes = item_bytes;
    pool->count = count;
    for (size_t i = count; i > 0; i--) {
        void *item = pool->memory + (i - 1) * item_bytes;
        memcpy(item, &pool->free_list, sizeof pool->free_list);
        pool->free_list = item;
    }
    return 0;
}

void pool_deinit(struct pool *pool)
{
    alloc_give(pool->memory);
    memset(pool, 0, sizeof *pool);
}

static size_t index_of(const struct pool *pool, const void *item)
{
    size_t offset = (size_t)((const char *)item - pool->memory);
    ASSERT(offset < pool->item_bytes * pool->count);
    ASSERT(offset % pool->item_bytes == 0);
    return offset / pool->item_bytes;
}

void *pool_acquire(struct pool *pool)
{
    void *item = pool->free_list;
    if (item == NULL) {
        pool->refused++;
        return NULL;
    }
    memcpy(&pool->free_list, item, sizeof pool->free_list);
    used_map(pool)[index_of(pool, item)] = 1;
    pool->used++;
    pool->used_max = pool->used > pool->used_max ? pool->used : pool->used_max;
    return item;
}

void pool_release(struct pool *pool, void *item)
{
    if (item == NULL) {
        return;
    }
    size_t index = index_of(pool, item);
    ASSERT(used_map(pool)[index] == 1);
    used_map(pool)[index] = 0;
    memcpy(item, &pool->free_list, sizeof pool->free_list);
    pool->free_list = item;
    pool->used--;
}
