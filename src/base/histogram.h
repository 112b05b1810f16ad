#ifndef MD_BASE_HISTOGRAM_H
#define MD_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

/* Durations on a log scale of four steps an octave, 1 us to 137 s: a quantile is right to an eighth
 * or better. One thread adds, without locks or read-modify-writes; any thread may read meanwhile
 * (each count by itself is right; together they are as of about now). Zeroed = empty. */
#define HISTOGRAM_BUCKETS 110

struct histogram {
    _Atomic uint64_t counts[HISTOGRAM_BUCKETS]; /* first: below 1.024 us; last: from 137 s */
    _Atomic uint64_t negative;                  /* additions below 0; they are in counts[0] too */
    _Atomic int64_t sum_ns;
};

/* A look at one. */
struct histogram_counts {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t negative, total;
    int64_t sum_ns;
};

static inline uint32_t histogram_bucket(int64_t ns)
{
    if (ns < 1024) {
        return 0;
    }
    uint32_t octave = 63 - (uint32_t)__builtin_clzll((unsigned long long)ns);
    uint32_t bucket = 1 + (octave - 10) * 4 + (uint32_t)((uint64_t)ns >> (octave - 2) & 3);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* Its one writer. `ns` of any value. */
static inline void histogram_add(struct histogram *histogram, int64_t ns)
{
    _Atomic uint64_t *count = &histogram->counts[histogram_bucket(ns)];
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&histogram->sum_ns,
                          atomic_load_explicit(&histogram->sum_ns, memory_order_relaxed) + ns,
                          memory_order_relaxed);
    if (__builtin_expect(ns < 0, 0)) {
        atomic_store_explicit(&histogram->negative,
                              atomic_load_explicit(&histogram->negative, memory_order_relaxed) + 1,
                              memory_order_relaxed);
    }
}

void histogram_read(const struct histogram *histogram, struct histogram_counts *out);
/* What came to `now` since `then`, an earlier look at the same one. */
void histogram_since(const struct histogram_counts *now, const struct histogram_counts *then,
                     struct histogram_counts *out);
/* The value below which `share` (0 to 1) of the additions lie, in ns; 0 when there are none. Within
 * its bucket it is taken as evenly spread; share 1 is the upper end of the highest bucket used. */
int64_t histogram_quantile_ns(const struct histogram_counts *counts, double share);

#endif
