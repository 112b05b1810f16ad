/* Sets of missing ids. See holes.h.
 * Place: verify keeps one a sequence; merge another, to know what a backfilled row mends.
 * Invariants: sorted, from <= to, no two touch. Cost: binary search; holes come in order, so that
 * what is moved is next to nothing. */
#include "proof/holes.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "proof/proof.h"

void holes_deinit(struct holes *holes)
{
    alloc_give(holes->at);
    *holes = (struct holes){0};
}

size_t holes_find(const struct holes *holes, int64_t id)
{
    size_t low = 0;
    size_t high = holes->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (holes->at[middle].to < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int insert(struct holes *holes, size_t index, const struct hole *hole)
{
    void *items = holes->at;
    int code = proof_grow(&items, &holes->capacity, holes->count, sizeof *hole);
    holes->at = items;
    if (code == 0) {
        memmove(&holes->at[index + 1], &holes->at[index], (holes->count - index) * sizeof *hole);
        holes->at[index] = *hole;
        holes->count++;
    }
    return code;
}

int holes_add(struct holes *holes, const struct hole *hole)
{
    ASSERT(hole->from <= hole->to);
    return insert(holes, holes_find(holes, hole->from), hole);
}

int holes_fill(struct holes *holes, int64_t id)
{
    size_t index = holes_find(holes, id);
    if (index == holes->count || holes->at[index].from > id) {
        return 0;
    }
    struct hole *hole = &holes->at[index];
    if (hole->from == id && hole->to == id) {
        memmove(hole, hole + 1, (holes->count - index - 1) * sizeof *hole);
        holes->count--;
    } else if (hole->from == id) {
        hole->from++;
    } else if (hole->to == id) {
        hole->to--;
    } else {
        struct hole behind = *hole;
        behind.from = id + 1;
        int code = insert(holes, index + 1, &behind);
        if (code != 0) {
            return code;
        }
        holes->at[index].to = id - 1;
    }
    return 1;
}

uint64_t holes_overlap(const struct holes *holes, int64_t from, int64_t to)
{
    uint64_t ids = 0;
    for (size_t i = holes_find(holes, from); i < holes->count && holes->at[i].from <= to; i++) {
        int64_t first = holes->at[i].from > from ? holes->at[i].from : from;
        int64_t last = holes->at[i].to < to ? holes->at[i].to : to;
        ids += (uint64_t)last - (uint64_t)first + 1;
    }
    return ids;
}
