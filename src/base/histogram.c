/* Looks at histograms: copies, differences, quantiles. Bucket 0 ends at 1,024 ns; bucket 1 + 4 k +
 * m covers (4 + m) << (8 + k) up to (5 + m) << (8 + k). */
#include "base/histogram.h"

#include "base/assert.h"

void histogram_read(const struct histogram *histogram, struct histogram_counts *out)
{
    out->total = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        out->counts[i] = atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        out->total += out->counts[i];
    }
    out->negative = atomic_load_explicit(&histogram->negative, memory_order_relaxed);
    out->sum_ns = atomic_load_explicit(&histogram->sum_ns, memory_order_relaxed);
}

void histogram_since(const struct histogram_counts *now, const struct histogram_counts *then,
                     struct histogram_counts *out)
{
    out->total = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        ASSERT(now->counts[i] >= then->counts[i]);
        out->counts[i] = now->counts[i] - then->counts[i];
        out->total += out->counts[i];
    }
    out->negative = now->negative - then->negative;
    out->sum_ns = now->sum_ns - then->sum_ns;
}

static int64_t bucket_end_ns(uint32_t bucket)
{
    return bucket == 0 ? 1024 : (int64_t)(5 + (bucket - 1) % 4) << (8 + (bucket - 1) / 4);
}

int64_t histogram_quantile_ns(const struct histogram_counts *counts, double share)
{
    double wanted = share * (double)counts->total;
    double before = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        double here = (double)counts->counts[i];
        if (here > 0 && before + here >= wanted) {
            int64_t begin_ns = i == 0 ? 0 : bucket_end_ns(i - 1);
            double part = (wanted - before) / here;
            return begin_ns + (int64_t)((double)(bucket_end_ns(i) - begin_ns) * part);
        }
        before += here;
    }
    return 0;
}
