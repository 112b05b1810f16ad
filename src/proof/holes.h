#ifndef MD_PROOF_HOLES_H
#define MD_PROOF_HOLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Runs of ids that a stream skipped, inclusive, sorted and apart. 40 bytes a hole. */
struct hole {
    int64_t from, to;
    int64_t before_us, after_us; /* receive times of the messages on both sides */
    bool covered;                /* the book that follows holds them: a gap row may say so or not */
    bool file_lost;              /* a later file cannot be read: what filled it may be in there */
};

/* The id behind `id`; the last one has none behind it. */
static inline int64_t id_after(int64_t id)
{
    return id < INT64_MAX ? id + 1 : id;
}

struct holes {
    struct hole *at;
    size_t count, capacity;
};

void holes_deinit(struct holes *holes);
/* Adds a run that touches no other; mostly behind the last. MD_ENOMEM. */
int holes_add(struct holes *holes, const struct hole *hole);
/* Takes one id out of its hole, which shrinks, goes or becomes two. 1 = it was in one, 0 = in none;
 * MD_ENOMEM. */
int holes_fill(struct holes *holes, int64_t id);
/* How many of [from, to] are in holes. */
uint64_t holes_overlap(const struct holes *holes, int64_t from, int64_t to);
/* The first hole that ends at `id` or later; holes->count: none. */
size_t holes_find(const struct holes *holes, int64_t id);

#endif
