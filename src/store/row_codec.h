#ifndef MD_STORE_ROW_CODEC_H
#define MD_STORE_ROW_CODEC_H

#include "store/row_block.h"

/* What the row codec (row_block.c) and its columnwise reader (row_fill.c) share of a row's form,
 * which row_block.h tells. For these two alone. */

#define V_NULL 0
#define V_ABSOLUTE 1
#define V_DELTA 2

/* A text's key in its slot: known words and texts of up to 7 bytes have one; a longer text has none
 * and is never "the same as last". 0 is the key of nothing. */
#define KEY_NONE 0
#define KEY_SHORT_MAX 7
#define KEY_WORD_TAG 0x80

/* Varints: the lowest set bit of the first byte says how many bytes there are, and the value stands
 * above it; a first byte of 0: eight bytes follow. Seven bits a byte, as with a stop bit in each,
 * but shifts alone take it apart. Lengths change from row to row: no branch asks for them. */
#define VARINT_BYTES_MAX 9
#define VARINT_BYTE(value) ((value) << 1 | 1) /* of a value below 128 */

/* The varint in the lowest bytes of `x`, of which the very lowest is not 0. */
static inline uint64_t varint_of(uint64_t x, uint32_t *bytes)
{
    *bytes = (uint32_t)__builtin_ctzll(x) + 1;
    return x << (64 - 8 * *bytes) >> (64 - 7 * *bytes);
}

/* What stands at `p`, where VARINT_BYTES_MAX bytes can be read. */
static inline const uint8_t *get_varint_here(const uint8_t *p, uint64_t *value)
{
    uint64_t x = load_u64(p);
    if (__builtin_expect((x & 0xff) == 0, 0)) {
        *value = load_u64(p + 1);
        return p + VARINT_BYTES_MAX;
    }
    uint32_t bytes = 0;
    *value = varint_of(x, &bytes);
    return p + bytes;
}

static inline const uint8_t *get_varint_at_end(const uint8_t *p, const uint8_t *end,
                                               uint64_t *value)
{
    uint8_t padded[VARINT_BYTES_MAX] = {0};
    size_t left = (size_t)(end - p);
    for (size_t i = 0; i < left; i++) {
        padded[i] = p[i];
    }
    size_t bytes = (size_t)(get_varint_here(padded, value) - padded);
    return bytes <= left ? p + bytes : NULL;
}

/* The varint at p; NULL when there is none before `end`. */
static inline const uint8_t *get_varint(const uint8_t *p, const uint8_t *end, uint64_t *value)
{
    return __builtin_expect(end - p < VARINT_BYTES_MAX, 0) ? get_varint_at_end(p, end, value)
                                                           : get_varint_here(p, value);
}

/* Of a value below 2^56: writes 8 bytes, of which so many count. */
static inline uint32_t put_short_varint(uint8_t *p, uint64_t value)
{
    uint32_t highest = 63 - (uint32_t)__builtin_clzll(value | 1);
    uint32_t bytes = (highest * 9 + 73) / 64; /* highest / 7 + 1 */
    store_u64(p, (value << 1 | 1) << (bytes - 1));
    return bytes;
}

/* Writes up to VARINT_BYTES_MAX bytes and may touch 8 in any case. Returns where the next goes. */
static inline uint8_t *put_varint(uint8_t *p, uint64_t value)
{
    if (__builtin_expect(value >> 56 != 0, 0)) {
        *p = 0;
        store_u64(p + 1, value);
        return p + VARINT_BYTES_MAX;
    }
    return p + put_short_varint(p, value);
}

/* A number that differs from last: `v` was read, what follows it is. Moves the slot on. */
static inline const uint8_t *decode_number(enum row_code code, struct row_state *state,
                                           uint32_t slot, uint64_t v, const uint8_t *p,
                                           const uint8_t *end)
{
    if (__builtin_expect(v == V_ABSOLUTE, 0)) {
        if (code == ROW_CODE_DECIMAL) {
            if (p == end || (int8_t)*p > 38 || (int8_t)*p < -38) {
                return NULL;
            }
            state->exponent[slot] = (int8_t)*p++;
        }
        uint64_t value = 0;
        p = get_varint(p, end, &value);
        state->last[slot] = unzigzag(value);
        return p;
    }
    state->last[slot] = (int64_t)((uint64_t)state->last[slot] + (uint64_t)unzigzag(v - V_DELTA));
    return p;
}

/* The same of a text; the view is into the row. */
const uint8_t *row_decode_text(struct row_state *state, uint32_t slot, uint64_t v, const uint8_t *p,
                               const uint8_t *end, struct str *text);

#endif
