/* Parquet's value encodings, bytes to arrays.
 * Place: below the row reader; the tests hold it against the encoder and the format's examples.
 * Invariants: as in the header; work is bounded by `count`, whatever the bytes claim.
 * Memory: the caller's. Written for checking, not for speed. */
#include "store/parquet_decode.h"

#include <string.h>

#include "base/err.h"
#include "base/str.h"

/* `width` (<= 64) bits at bit `bit` of the bytes at `at`; the caller checked that they are there.
 */
static uint64_t bits_at(const uint8_t *at, const uint8_t *end, uint64_t bit, uint32_t width)
{
    const uint8_t *p = at + bit / 8;
    uint32_t shift = (uint32_t)(bit % 8);
    uint64_t low = 0;
    size_t bytes = (size_t)(end - p);
    memcpy(&low, p, bytes < 8 ? bytes : 8);
    uint64_t value = low >> shift;
    if (shift + width > 64) {
        value |= (uint64_t)p[8] << (64 - shift);
    }
    return width == 64 ? value : value & ((1ULL << width) - 1);
}

/* ---- DELTA_BINARY_PACKED */

struct delta {
    const uint8_t *at, *end;
    uint64_t block, miniblocks, miniblock;
};

static bool delta_varint(struct delta *d, uint64_t *value)
{
    size_t bytes = varint_get(d->at, d->end, value);
    d->at += bytes;
    return bytes > 0;
}

/* Adds the values of one block to `out`; `value` is the last one before it. */
static int delta_block(struct delta *d, size_t count, bool is_32, uint64_t *value, int64_t *out)
{
    uint64_t min;
    if (!delta_varint(d, &min) || (uint64_t)(d->end - d->at) < d->miniblocks) {
        return MD_ECORRUPT;
    }
    min = (uint64_t)unzigzag(min);
    const uint8_t *widths = d->at;
    d->at += d->miniblocks;
    for (uint64_t m = 0; m < d->miniblocks && count > 0; m++) {
        uint32_t width = widths[m];
        uint64_t bytes = d->miniblock / 8 * width;
        if (width > 64 || bytes > (uint64_t)(d->end - d->at)) {
            return MD_ECORRUPT;
        }
        uint64_t n = count < d->miniblock ? count : d->miniblock;
        for (uint64_t i = 0; i < n; i++) {
            uint64_t packed = width == 0 ? 0 : bits_at(d->at, d->end, i * width, width);
            *value += min + packed;
            *out++ = is_32 ? (int32_t)(uint32_t)*value : (int64_t)*value;
        }
        d->at += bytes;
        count -= n;
    }
    return 0;
}

int parquet_decode_delta(const uint8_t *at, const uint8_t *end, size_t count, bool is_32,
                         int64_t *out)
{
    struct delta d = {at, end, 0, 0, 0};
    uint64_t total;
    uint64_t first;
    if (!delta_varint(&d, &d.block) || !delta_varint(&d, &d.miniblocks) ||
        !delta_varint(&d, &total) || !delta_varint(&d, &first)) {
        return MD_ECORRUPT;
    }
    if (d.block == 0 || d.block % 128 != 0 || d.block > 1 << 20 || d.miniblocks == 0 ||
        d.block % d.miniblocks != 0 || d.block / d.miniblocks % 32 != 0 || total != count) {
        return MD_ECORRUPT;
    }
    d.miniblock = d.block / d.miniblocks;
    if (count == 0) {
        return 0;
    }
    uint64_t value = (uint64_t)unzigzag(first);
    out[0] = is_32 ? (int32_t)(uint32_t)value : (int64_t)value;
    for (size_t done = 1; done < count;) {
        size_t n = count - done < d.block ? count - done : (size_t)d.block;
        if (delta_block(&d, n, is_32, &value, out + done) != 0) {
            return MD_ECORRUPT;
        }
        done += n;
    }
    return 0;
}

/* ---- RLE / bit-packing hybrid */

struct parquet_rle parquet_rle_over(const uint8_t *at, const uint8_t *end, uint32_t width)
{
    return (struct parquet_rle){.at = at, .end = end, .width = width};
}

/* Reads the head of the next run. */
static int rle_next(struct parquet_rle *rle)
{
    uint64_t head;
    size_t bytes = varint_get(rle->at, rle->end, &head);
    if (bytes == 0 || head >> 1 == 0) {
        return MD_ECORRUPT;
    }
    rle->at += bytes;
    size_t left = (size_t)(rle->end - rle->at);
    if ((head & 1) != 0) {
        uint64_t groups = head >> 1;
        /* the last run of a page may be cut short by some writers: what is there counts */
        uint64_t most = rle->width == 0 ? groups : left / rle->width;
        groups = groups < most ? groups : most;
        rle->packed_left = groups * 8;
        rle->packed_bit = 0;
        return groups == 0 ? MD_ECORRUPT : 0;
    }
    uint32_t value_bytes = (rle->width + 7) / 8;
    if (value_bytes > left) {
        return MD_ECORRUPT;
    }
    rle->run_value = 0;
    memcpy(&rle->run_value, rle->at, value_bytes);
    rle->at += value_bytes;
    rle->run_left = head >> 1;
    return 0;
}

static void rle_take_packed(struct parquet_rle *rle, uint32_t *out, uint64_t count)
{
    for (uint64_t i = 0; i < count && rle->width > 0; i++) {
        out[i] = (uint32_t)bits_at(rle->at, rle->end, rle->packed_bit, rle->width);
        rle->packed_bit += rle->width;
        rle->at += rle->packed_bit / 8;
        rle->packed_bit %= 8;
    }
    for (uint64_t i = 0; i < count && rle->width == 0; i++) {
        out[i] = 0;
    }
    rle->packed_left -= count;
}

int parquet_rle_read(struct parquet_rle *rle, uint32_t *out, size_t count)
{
    while (count > 0) {
        if (rle->run_left == 0 && rle->packed_left == 0) {
            int code = rle_next(rle);
            if (code != 0) {
                return code;
            }
        }
        uint64_t left = rle->run_left > 0 ? rle->run_left : rle->packed_left;
        uint64_t n = left < count ? left : count;
        if (rle->run_left > 0) {
            for (uint64_t i = 0; i < n; i++) {
                out[i] = rle->run_value;
            }
            rle->run_left -= n;
        } else {
            rle_take_packed(rle, out, n);
        }
        out += n;
        count -= (size_t)n;
    }
    return 0;
}
