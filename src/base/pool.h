#ifndef MD_BASE_POOL_H
#define MD_BASE_POOL_H

#include "base/alloc.h"
#include "base/err.h"

/* Fixed-size items from one piece of memory taken at init. One thread. */
struct pool {
    char *memory;
    void *free_list;
    size_t item_bytes;
    size_t count;     /* items in all */
    size_t used;      /* items out now */
    size_t used_max;  /* high-water mark */
    uint64_t refused; /* acquires that found it empty */
};

/* MD_ENOMEM when the memory is not to be had. `item_bytes` is rounded up to 16. */
int pool_init(struct pool *pool, enum alloc_line line, size_t item_bytes, size_t count);
void pool_deinit(struct pool *pool);
/* NULL when empty (counted). The item's bytes are not cleared. */
void *pool_acquire(struct pool *pool);
/* NULL is allowed. An item that is not this pool's, or free already, is an assertion failure. */
void pool_release(struct pool *pool, void *item);

#endif
