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

/* The varint at p; NULL when there is none before `end`. */
static inline const uint8_t *get_varint(const uint8_t *p, const uint8_t *end, uint64_t *value)
{
    if (p < end && *p < 0x80) {
        *value = *p;
        return p + 1;
    }
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
