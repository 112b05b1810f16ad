#ifndef MD_STORE_PARQUET_ENCODE_H
#define MD_STORE_PARQUET_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/columns.h"

/* Parquet's value encodings, arrays to bytes. Every function writes to `out`, which must hold the
 * bytes its _bytes_max() names, and returns how many were written.
 * Source: apache/parquet-format, Encodings.md. */

#define PARQUET_DELTA_BLOCK 128
#define PARQUET_DELTA_MINIBLOCKS 4

/* Bits that hold `value`: 0 for 0, 64 at most. */
static inline uint32_t parquet_bit_width(uint64_t value)
{
    return value == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(value);
}

/* DELTA_BINARY_PACKED of INT64, or of INT32 when `is_32` (values must fit; differences then wrap at
 * 32 bits, so that no width is above 32). Blocks of 128 values in 4 miniblocks; a miniblock that
 * has values is written whole, padded with zeros; one that has none has width 0 and no bytes. */
size_t parquet_encode_delta_bytes_max(size_t count);
size_t parquet_encode_delta(const int64_t *values, size_t count, bool is_32, uint8_t *out);
/* About what parquet_encode_delta() would return, without writing: exact up to 16 blocks of values,
 * of more every fourth is looked at. */
size_t parquet_estimate_delta(const int64_t *values, size_t count, bool is_32);

/* The RLE / bit-packing hybrid, `width` 0..32 bits a value, no length in front. */
size_t parquet_encode_rle_bytes_max(size_t count, uint32_t width);
size_t parquet_encode_rle(const uint32_t *values, size_t count, uint32_t width, uint8_t *out);

/* PLAIN booleans: one bit a value, lowest first. `values` are 0 or 1. */
size_t parquet_encode_bits(const uint8_t *values, size_t count, uint8_t *out);

/* A DECIMAL(38,18) in FIXED_LEN_BYTE_ARRAY(16): big-endian two's complement (LogicalTypes.md). */
static inline void parquet_put_dec(column_dec value, uint8_t out[sizeof(column_dec)])
{
    for (size_t i = sizeof value; i-- > 0; value >>= 8) {
        out[i] = (uint8_t)value;
    }
}

static inline column_dec parquet_get_dec(const uint8_t in[sizeof(column_dec)])
{
    uint64_t high = 0, low = 0;
    for (size_t i = 0; i < 8; i++) {
        high = high << 8 | in[i];
        low = low << 8 | in[8 + i];
    }
    return (column_dec)(int64_t)high * ((column_dec)1 << 64) + low;
}

#endif
