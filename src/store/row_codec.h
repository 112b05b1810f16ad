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

/* Varints: seven bits a byte, the lowest first, the high bit says that more follow. Their lengths
 * change from row to row, so both ways go without a branch on the length: eight bytes at a time,
 * the groups of seven bits moved together or apart in three steps. Above 56 bits byte by byte. */
#define VARINT_STOPS 0x8080808080808080U

static inline const uint8_t *get_varint_slowly(const uint8_t *p, const uint8_t *end,
                                               uint64_t *value)
{
    uint64_t v = 0;
    for (uint32_t shift = 0; shift < 64 && p < end; shift += 7) {
        uint8_t byte = *p++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = v;
            return shift == 63 && byte > 1 ? NULL : p;
        }
    }
    return NULL;
}

/* The varint at p; NULL when there is none before `end`. */
static inline const uint8_t *get_varint(const uint8_t *p, const uint8_t *end, uint64_t *value)
{
    if (__builtin_expect(end - p < 8, 0)) {
        return get_varint_slowly(p, end, value);
    }
    uint64_t x = load_u64(p);
    uint64_t stops = ~x & VARINT_STOPS;
    if (__builtin_expect(stops == 0, 0)) {
        return get_varint_slowly(p, end, value);
    }
    x &= stops ^ (stops - 1); /* up to the first stop */
    x = (x & 0x007f007f007f007fU) | (x & 0x7f007f007f007f00U) >> 1;
    x = (x & 0x00003fff00003fffU) | (x & 0x3fff00003fff0000U) >> 2;
    *value = (x & 0x000000000fffffffU) | (x & 0x0fffffff00000000U) >> 4;
    return p + ((uint32_t)__builtin_ctzll(stops) + 1) / 8;
}

/* Writes up to 10 bytes and may touch 8 in any case. Returns where the next goes. */
static inline uint8_t *put_varint(uint8_t *p, uint64_t value)
{
    uint64_t x = value;
    if (__builtin_expect(x >> 56 != 0, 0)) {
        while (x >= 0x80) {
            *p++ = (uint8_t)(x | 0x80);
            x >>= 7;
        }
        *p++ = (uint8_t)x;
        return p;
    }
    uint32_t bytes = (70 - (uint32_t)__builtin_clzll(x | 1)) / 7;
    x = (x & 0x000000000fffffffU) | (x & 0x00fffffff0000000U) << 4;
    x = (x & 0x00003fff00003fffU) | (x & 0x0fffc0000fffc000U) << 2;
    x = (x & 0x007f007f007f007fU) | (x & 0x3f803f803f803f80U) << 1;
    store_u64(p, x | (VARINT_STOPS & (((uint64_t)1 << (8 * bytes - 8)) - 1)));
    return p + bytes;
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
