#ifndef MD_STORE_PARQUET_DECODE_H
#define MD_STORE_PARQUET_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Parquet's value encodings, bytes to arrays: the reverse of parquet_encode.h, over hostile bytes.
 * Nothing is read at or after `end`, nothing is written beyond `count`.
 * Source: apache/parquet-format, Encodings.md. */

/* DELTA_BINARY_PACKED of exactly `count` values; any block shape the format allows. INT32 when
 * `is_32`: results are wrapped to 32 bits. 0 or MD_ECORRUPT. */
int parquet_decode_delta(const uint8_t *at, const uint8_t *end, size_t count, bool is_32,
                         int64_t *out);

/* The RLE / bit-packing hybrid, read in pieces. */
struct parquet_rle {
    const uint8_t *at, *end;
    uint32_t width;    /* 0..32 */
    uint64_t run_left; /* values of run_value still to give */
    uint32_t run_value;
    uint64_t packed_left; /* values still packed at `at` */
    uint32_t packed_bit;  /* bits of *at already given */
};
struct parquet_rle parquet_rle_over(const uint8_t *at, const uint8_t *end, uint32_t width);
/* The next `count` values; MD_ECORRUPT when the bytes do not hold them. */
int parquet_rle_read(struct parquet_rle *rle, uint32_t *out, size_t count);

#endif
