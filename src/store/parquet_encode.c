/* Parquet's value encodings, arrays to bytes.
 * Place: below the chunk encoder; knows nothing of files, pages or columns.
 * Invariants: never writes beyond what _bytes_max() names; the bytes depend on the values alone.
 * Memory: the caller's. */
#include "store/parquet_encode.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"

#define BLOCK PARQUET_DELTA_BLOCK
#define MINIBLOCKS PARQUET_DELTA_MINIBLOCKS
#define MINIBLOCK (BLOCK / MINIBLOCKS)
#define EXACT_BLOCKS 16
#define SAMPLE_STEP 4

/* Packs `count` values (a multiple of 8) of `width` bits, lowest bit first. */
static uint8_t *pack(const uint64_t *values, size_t count, uint32_t width, uint8_t *out)
{
    if (width == 0) {
        return out;
    }
    uint64_t word = 0;
    uint32_t fill = 0;
    for (size_t i = 0; i < count; i++) {
        word |= values[i] << fill;
        fill += width;
        if (fill >= 64) {
            store_u64(out, word);
            out += 8;
            fill -= 64;
            word = fill == 0 ? 0 : values[i] >> (width - fill);
        }
    }
    /* 8 x width bits are whole bytes */
    memcpy(out, &word, fill / 8);
    return out + fill / 8;
}

/* ---- DELTA_BINARY_PACKED */

size_t parquet_encode_delta_bytes_max(size_t count)
{
    size_t blocks = (count + BLOCK - 1) / BLOCK;
    return 40 + blocks * (10 + MINIBLOCKS + (size_t)BLOCK * 8);
}

struct delta_block {
    uint64_t deltas[BLOCK]; /* less the smallest */
    int64_t min;
    uint32_t widths[MINIBLOCKS];
};

/* Up to BLOCK differences of values[0 .. count], that is values[i + 1] - values[i]. */
static void block_make(struct delta_block *block, const int64_t *values, size_t count, bool is_32)
{
    int64_t min = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        uint64_t delta = (uint64_t)values[i + 1] - (uint64_t)values[i];
        int64_t signed_delta = is_32 ? (int32_t)(uint32_t)delta : (int64_t)delta;
        block->deltas[i] = (uint64_t)signed_delta;
        min = signed_delta < min ? signed_delta : min;
    }
    block->min = min;
    uint64_t mask = is_32 ? UINT32_MAX : UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        block->deltas[i] = (block->deltas[i] - (uint64_t)min) & mask;
    }
    for (size_t i = count; i < BLOCK; i++) {
        block->deltas[i] = 0;
    }
    for (size_t m = 0; m < MINIBLOCKS; m++) {
        uint64_t bits = 0;
        for (size_t i = 0; i < MINIBLOCK; i++) {
            bits |= block->deltas[m * MINIBLOCK + i];
        }
        block->widths[m] = parquet_bit_width(bits);
    }
}

size_t parquet_encode_delta(const int64_t *values, size_t count, bool is_32, uint8_t *out)
{
    const uint8_t *begin = out;
    out += varint_put(out, BLOCK);
    out += varint_put(out, MINIBLOCKS);
    out += varint_put(out, count);
    out += varint_put(out, zigzag(count == 0 ? 0 : values[0]));
    struct delta_block block;
    for (size_t i = 1; i < count; i += BLOCK) {
        size_t left = count - i;
        size_t block_count = left < BLOCK ? left : BLOCK;
        block_make(&block, values + i - 1, block_count, is_32);
        out += varint_put(out, zigzag(block.min));
        for (size_t m = 0; m < MINIBLOCKS; m++) {
            *out++ = (uint8_t)block.widths[m];
        }
        for (size_t m = 0; m * MINIBLOCK < block_count; m++) {
            out = pack(block.deltas + m * MINIBLOCK, MINIBLOCK, block.widths[m], out);
        }
    }
    return (size_t)(out - begin);
}

size_t parquet_estimate_delta(const int64_t *values, size_t count, bool is_32)
{
    uint8_t scratch[10];
    size_t head = varint_put(scratch, BLOCK) + varint_put(scratch, MINIBLOCKS) +
                  varint_put(scratch, count) +
                  varint_put(scratch, zigzag(count == 0 ? 0 : values[0]));
    size_t step = count > EXACT_BLOCKS * BLOCK ? SAMPLE_STEP : 1;
    size_t bytes = 0;
    size_t seen = 0;
    struct delta_block block;
    for (size_t i = 1; i < count; i += step * BLOCK) {
        size_t left = count - i;
        size_t block_count = left < BLOCK ? left : BLOCK;
        block_make(&block, values + i - 1, block_count, is_32);
        bytes += varint_put(scratch, zigzag(block.min)) + MINIBLOCKS;
        for (size_t m = 0; m < MINIBLOCKS; m++) {
            bytes += (size_t)block.widths[m] * (MINIBLOCK / 8);
        }
        seen += block_count;
    }
    return seen == 0 ? head : head + bytes * (count - 1) / seen;
}

/* ---- RLE / bit-packing hybrid */

/* Worst: runs and literals by turns. A run is only taken where it is no longer than the literals it
 * replaces, so the literals alone (padded to 8), and a head for each group of 8, bound it. */
size_t parquet_encode_rle_bytes_max(size_t count, uint32_t width)
{
    size_t groups = (count + 7) / 8;
    return groups * (width + 1) + 16;
}

static uint8_t *put_literals(const uint32_t *values, size_t count, uint32_t width, uint8_t *out)
{
    size_t groups = (count + 7) / 8;
    if (groups == 0) {
        return out;
    }
    out += varint_put(out, (uint64_t)groups << 1 | 1);
    for (size_t i = 0; i < count; i += 64) {
        uint64_t wide[64];
        size_t n = count - i < 64 ? count - i : 64;
        for (size_t k = 0; k < n; k++) {
            wide[k] = values[i + k];
        }
        size_t padded = (n + 7) & ~(size_t)7;
        for (size_t k = n; k < padded; k++) {
            wide[k] = 0;
        }
        out = pack(wide, padded, width, out);
    }
    return out;
}

static uint8_t *put_run(uint32_t value, size_t count, uint32_t width, uint8_t *out)
{
    out += varint_put(out, (uint64_t)count << 1);
    uint32_t bytes = (width + 7) / 8;
    memcpy(out, &value, bytes);
    return out + bytes;
}

/* The shortest run that costs less than the literals it replaces: its head and value, and the head
 * of the literals that follow. */
static size_t run_threshold(uint32_t width)
{
    if (width == 0) {
        return 1;
    }
    size_t cost_bits = (size_t)(4 + (width + 7) / 8) * 8;
    size_t threshold = (cost_bits + width - 1) / width;
    return threshold < 8 ? 8 : threshold;
}

size_t parquet_encode_rle(const uint32_t *values, size_t count, uint32_t width, uint8_t *out)
{
    ASSERT(width <= 32);
    const uint8_t *begin = out;
    size_t threshold = run_threshold(width);
    size_t literals = 0; /* where the values not yet written begin */
    for (size_t i = 0; i < count;) {
        size_t end = i + 1;
        while (end < count && values[end] == values[i]) {
            end++;
        }
        /* literals before a run must be a multiple of 8: the run lends the rest */
        size_t lent = (8 - (i - literals) % 8) % 8;
        if (end - i >= threshold + lent) {
            out = put_literals(values + literals, i + lent - literals, width, out);
            out = put_run(values[i], end - i - lent, width, out);
            literals = end;
        }
        i = end;
    }
    out = put_literals(values + literals, count - literals, width, out);
    return (size_t)(out - begin);
}

size_t parquet_encode_bits(const uint8_t *values, size_t count, uint8_t *out)
{
    size_t bytes = (count + 7) / 8;
    memset(out, 0, bytes);
    for (size_t i = 0; i < count; i++) {
        out[i / 8] |= (uint8_t)((values[i] & 1u) << (i % 8));
    }
    return bytes;
}
