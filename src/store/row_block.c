/* Row codec: cells -> a few bytes, and back on the seal thread. See row_block.h for the form.
 * Place: landing thread encodes one row at a time into a scratch, seal thread decodes block by
 * block. Invariants: decode(encode(row)) has the same values (a decimal may carry another
 * exponent); encoder and decoder move the same row_state through the same states; arithmetic on
 * deltas wraps, so that any two values have one. Memory: none of its own; a row_state is 184 bytes
 * per open file. The block pool is one piece taken at start. */
#include "store/row_block.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "store/row_codec.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

/* "Absolute", an exponent and a varint; of a text its length. */
#define VALUE_BYTES_MAX 12
#define WORD_BYTES 16
static const char words[ROW_WORD_COUNT][WORD_BYTES] = {
#define X(word, text) text,
    ROW_WORD_LIST(X)
#undef X
};
static const uint8_t word_bytes[ROW_WORD_COUNT] = {
#define X(word, text) sizeof(text) - 1,
    ROW_WORD_LIST(X)
#undef X
};

struct str row_word(enum row_word word)
{
    return str_make(words[word], word_bytes[word]);
}

/* ---- layout */

static enum row_code code_of(enum column_type type)
{
    switch (type) {
    case COLUMN_F64:
    case COLUMN_DEC:
        return ROW_CODE_DECIMAL;
    case COLUMN_TEXT:
        return ROW_CODE_TEXT;
    case COLUMN_I64:
    case COLUMN_I32:
    case COLUMN_TIME:
    case COLUMN_BOOL:
        break;
    }
    return ROW_CODE_INT;
}

void row_layout_init(struct row_layout *layout, const struct schema *schema, uint32_t skip)
{
    ASSERT(schema->column_count <= COLUMNS_MAX);
    ASSERT(skip <= schema->column_count);
    memset(layout, 0, sizeof *layout);
    layout->schema = schema;
    layout->skip = skip;
    layout->coded = schema->column_count - skip;
    layout->bitmap_bytes = (layout->coded + 7) / 8;
    /* Levels lie between the last common column in front and conn_id, local_seq at the end. */
    uint32_t levels_end = schema->column_count - 2;
    uint32_t levels_begin = levels_end - schema->depth_levels * 4;
    uint32_t slots = 0;
    for (uint32_t i = skip; i < schema->column_count; i++) {
        layout->code[i] = (uint8_t)code_of(schema->columns[i].type);
        if (schema->depth_levels > 0 && i >= levels_begin + 4 && i < levels_end) {
            layout->slot[i] = layout->slot[i - 4];
        } else if (schema->columns[i].type == COLUMN_DEC) {
            /* as exact as the double beside it was: never differs, so takes no byte */
            layout->slot[i] = layout->slot[schema_decimal_of(schema, i)];
        } else {
            layout->slot[i] = (uint8_t)slots++;
        }
        if (layout->code[i] == ROW_CODE_TEXT) {
            ASSERT(layout->text_count < 16);
            layout->text_columns[layout->text_count++] = (uint16_t)i;
        }
    }
    ASSERT(slots <= ROW_SLOTS_MAX);
    layout->row_bytes = layout->bitmap_bytes + layout->coded * VALUE_BYTES_MAX + 8;
}

static int word_index(struct str text)
{
    uintptr_t offset = (uintptr_t)text.data - (uintptr_t)words;
    if (offset >= sizeof words || offset % WORD_BYTES != 0) {
        return -1;
    }
    size_t index = offset / WORD_BYTES;
    return text.bytes == word_bytes[index] ? (int)index : -1;
}

struct row_weight row_text_weight(const struct row_layout *layout, const struct cell *cells)
{
    struct row_weight weight = {0, 0};
    for (uint32_t i = 0; i < layout->text_count; i++) {
        const struct cell *cell = &cells[layout->text_columns[i]];
        if (!cell->null && word_index(cell->text) < 0) {
            size_t bytes = cell->text.bytes;
            weight.texts++;
            weight.text_bytes +=
                (uint32_t)(bytes < ROW_TEXT_BYTES_MAX ? bytes : ROW_TEXT_BYTES_MAX);
        }
    }
    return weight;
}

/* ---- encode */

/* Whether a value changed is as good as random from row to row. So what would be written is written
 * in any case, and `p` moves on or not: no branch. */
static inline uint8_t *put_delta(uint8_t *p, uint64_t delta, bool changed)
{
    if (__builtin_expect((delta + V_DELTA) >> 56 != 0, 0)) {
        return put_varint(p, delta + V_DELTA); /* so it did change */
    }
    uint32_t bytes = put_short_varint(p, delta + V_DELTA);
    return p + (bytes & (0 - (uint32_t)changed)); /* a compiler makes ?: a branch */
}

/* Two values have no delta: the value itself. Decimals then say their exponent again. */
static uint8_t *put_absolute(uint8_t *p, int64_t value, bool decimal, int8_t exponent)
{
    *p++ = VARINT_BYTE(V_ABSOLUTE);
    if (decimal) {
        *p++ = (uint8_t)exponent;
    }
    return put_varint(p, zigzag(value));
}

/* 5^-d modulo 2^64 and the largest quotient: m is a multiple of 10^d exactly when
 * rotr(m * inverse, d) <= limit, and that is then the quotient (Hacker's Delight, 10-17). */
static const struct {
    uint64_t inverse, limit;
} exact_tenths[19] = {
    {1U, UINT64_MAX},
    {0xcccccccccccccccdU, UINT64_MAX / 10U},
    {0x8f5c28f5c28f5c29U, UINT64_MAX / 100U},
    {0x1cac083126e978d5U, UINT64_MAX / 1000U},
    {0xd288ce703afb7e91U, UINT64_MAX / 10000U},
    {0x5d4e8fb00bcbe61dU, UINT64_MAX / 100000U},
    {0x790fb65668c26139U, UINT64_MAX / 1000000U},
    {0xe5032477ae8d46a5U, UINT64_MAX / 10000000U},
    {0xc767074b22e90e21U, UINT64_MAX / 100000000U},
    {0x8e47ce423a2e9c6dU, UINT64_MAX / 1000000000U},
    {0x4fa7f60d3ed61f49U, UINT64_MAX / 10000000000U},
    {0x0fee64690c913975U, UINT64_MAX / 100000000000U},
    {0x3662e0e1cf503eb1U, UINT64_MAX / 1000000000000U},
    {0xa47a2cf9f6433fbdU, UINT64_MAX / 10000000000000U},
    {0x54186f653140a659U, UINT64_MAX / 100000000000000U},
    {0x7738164770402145U, UINT64_MAX / 1000000000000000U},
    {0xe4a4d1417cd9a041U, UINT64_MAX / 10000000000000000U},
    {0xc75429d9e5c5200dU, UINT64_MAX / 100000000000000000U},
    {0xc1773b91fac10669U, UINT64_MAX / 1000000000000000000U},
};

static const int64_t powers_of_ten[19] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
};

static inline bool exact_quotient(uint64_t m, uint32_t digits, uint64_t *quotient)
{
    uint64_t product = m * exact_tenths[digits].inverse;
    uint64_t rotated = product >> digits | product << (64 - digits) % 64;
    *quotient = rotated;
    return rotated <= exact_tenths[digits].limit;
}

/* The mantissa of `value` at `exponent`; false when it has none. */
static inline bool mantissa_at(struct decimal value, int exponent, int64_t *mantissa)
{
    int shift = exponent - value.exponent;
    if (shift == 0 || value.mantissa == 0) {
        *mantissa = value.mantissa;
        return true;
    }
    if (shift > 0) {
        if (shift > 18 || value.mantissa == INT64_MIN) {
            return false;
        }
        bool negative = value.mantissa < 0;
        uint64_t quotient = 0;
        if (!exact_quotient((uint64_t)(negative ? -value.mantissa : value.mantissa),
                            (uint32_t)shift, &quotient)) {
            return false;
        }
        *mantissa = negative ? -(int64_t)quotient : (int64_t)quotient;
        return true;
    }
    return shift >= -18 && !__builtin_mul_overflow(value.mantissa, powers_of_ten[-shift], mantissa);
}

/* Without trailing zeros, as far as the exponent's range goes. */
static struct decimal stripped(struct decimal value)
{
    while (value.mantissa != 0 && value.mantissa % 10 == 0 && value.exponent < 38) {
        value.mantissa /= 10;
        value.exponent++;
    }
    return value;
}

/* A finer (or far coarser) value: from here on in its exponent. */
static uint8_t *encode_rescaled(struct row_state *state, uint32_t slot, struct decimal value,
                                uint8_t *p)
{
    value = stripped(value);
    state->exponent[slot] = value.exponent;
    state->last[slot] = value.mantissa;
    return put_absolute(p, value.mantissa, true, value.exponent);
}

/* `changed` is set beforehand if the slot was null. */
static inline uint8_t *encode_number(struct row_state *state, uint32_t slot, int64_t value,
                                     bool decimal, uint8_t *p, bool *changed)
{
    uint64_t delta = zigzag((int64_t)((uint64_t)value - (uint64_t)state->last[slot]));
    *changed |= delta != 0;
    state->last[slot] = value;
    if (__builtin_expect(delta > UINT64_MAX - V_DELTA, 0)) {
        return put_absolute(p, value, decimal, state->exponent[slot]);
    }
    return put_delta(p, delta, *changed);
}

static int64_t text_key(struct str text, int word)
{
    if (word >= 0) {
        return (int64_t)((uint64_t)KEY_WORD_TAG << 56 | (uint64_t)word);
    }
    if (text.bytes > KEY_SHORT_MAX) {
        return KEY_NONE;
    }
    uint64_t key = 0;
    if (text.bytes > 0) {
        memcpy(&key, text.data, text.bytes);
    }
    return (int64_t)(key | (uint64_t)(text.bytes + 1) << 56);
}

static uint8_t *encode_text(struct row_state *state, uint32_t slot, struct str text, uint8_t *p,
                            bool *changed, uint64_t *texts_cut)
{
    int word = word_index(text);
    int64_t key = text_key(text, word);
    *changed |= key == KEY_NONE || key != state->last[slot];
    state->last[slot] = key;
    if (word >= 0) {
        *p = (uint8_t)VARINT_BYTE(1 + word);
        return p + *changed;
    }
    if (!*changed) {
        return p;
    }
    if (text.bytes > ROW_TEXT_BYTES_MAX) {
        text.bytes = ROW_TEXT_BYTES_MAX;
        while (text.bytes > 0 && ((uint8_t)text.data[text.bytes] & 0xc0) == 0x80) {
            text.bytes--; /* not inside a UTF-8 character */
        }
        (*texts_cut)++;
    }
    p = put_varint(p, 1 + ROW_WORD_COUNT + text.bytes);
    if (text.bytes > 0) {
        memcpy(p, text.data, text.bytes);
    }
    return p + text.bytes;
}

/* A cell that is not null. `changed` is set beforehand if the slot was null. */
static inline uint8_t *encode_value(struct row_state *state, uint32_t code, uint32_t slot,
                                    const struct cell *cell, uint8_t *p, bool *changed,
                                    uint64_t *texts_cut)
{
    if (code == ROW_CODE_INT) {
        return encode_number(state, slot, cell->i64, false, p, changed);
    }
    if (code == ROW_CODE_TEXT) {
        return encode_text(state, slot, cell->text, p, changed, texts_cut);
    }
    int64_t mantissa = 0;
    if (__builtin_expect(mantissa_at(cell->dec, state->exponent[slot], &mantissa), 1)) {
        return encode_number(state, slot, mantissa, true, p, changed);
    }
    *changed = true;
    return encode_rescaled(state, slot, cell->dec, p);
}

size_t row_encode(const struct row_layout *layout, struct row_state *state,
                  const struct cell *cells, uint8_t *out, uint64_t *texts_cut)
{
    uint8_t *p = out + layout->bitmap_bytes;
    const uint8_t *codes = layout->code + layout->skip;
    const uint8_t *slots = layout->slot + layout->skip;
    const struct cell *cell = cells + layout->skip;
    uint32_t nulls = state->null_bits;
    uint32_t bits = 0;
    uint32_t coded = layout->coded;
    for (uint32_t i = 0; i < coded; i++, cell++) {
        uint32_t slot = slots[i];
        uint32_t null_bit = 1U << slot;
        bool changed = (nulls & null_bit) != 0;
        if (cell->null) {
            changed = !changed;
            nulls |= null_bit;
            *p = VARINT_BYTE(V_NULL);
            p += changed;
        } else {
            nulls &= ~null_bit;
            p = encode_value(state, codes[i], slot, cell, p, &changed, texts_cut);
        }
        bits |= (uint32_t)changed << (i & 7);
        if ((i & 7) == 7) {
            out[i >> 3] = (uint8_t)bits;
            bits = 0;
        }
    }
    if ((coded & 7) != 0) {
        out[coded >> 3] = (uint8_t)bits;
    }
    state->null_bits = nulls;
    DCHECK(p - out <= ROW_BYTES_MAX);
    return (size_t)(p - out);
}

/* ---- decode */

const uint8_t *row_decode_text(struct row_state *state, uint32_t slot, uint64_t v, const uint8_t *p,
                               const uint8_t *end, struct str *text)
{
    if (v <= ROW_WORD_COUNT) {
        *text = row_word((enum row_word)(v - 1));
        state->last[slot] = text_key(*text, (int)(v - 1));
        return p;
    }
    uint64_t bytes = v - 1 - ROW_WORD_COUNT;
    if (bytes > ROW_TEXT_BYTES_MAX || bytes > (uint64_t)(end - p)) {
        return NULL;
    }
    *text = str_make((const char *)p, bytes);
    state->last[slot] = text_key(*text, -1);
    return p + bytes;
}

/* A text that is the same as last: out of its key. */
static bool text_again(const struct row_state *state, uint32_t slot, struct row_texts *texts,
                       struct cell *cell)
{
    uint64_t key = (uint64_t)state->last[slot];
    if (key >> 56 == KEY_WORD_TAG) {
        cell->text = row_word((enum row_word)(key & 0xff));
        return true;
    }
    if (key == KEY_NONE) {
        return false;
    }
    memcpy(texts->short_text[slot], &key, 8);
    cell->text = str_make(texts->short_text[slot], (size_t)(key >> 56) - 1);
    return true;
}

static const uint8_t *decode_changed(const struct row_layout *layout, uint32_t column,
                                     struct row_state *state, const uint8_t *p, const uint8_t *end,
                                     struct cell *cell)
{
    uint32_t slot = layout->slot[column];
    uint64_t v = 0;
    p = get_varint(p, end, &v);
    if (p == NULL) {
        return NULL;
    }
    if (v == V_NULL) {
        if (!layout->schema->columns[column].nullable) {
            return NULL;
        }
        state->null_bits |= 1U << slot;
        cell->null = true;
        return p;
    }
    state->null_bits &= ~(1U << slot);
    cell->null = false;
    if (layout->code[column] == ROW_CODE_TEXT) {
        return row_decode_text(state, slot, v, p, end, &cell->text);
    }
    return decode_number((enum row_code)layout->code[column], state, slot, v, p, end);
}

size_t row_decode(const struct row_layout *layout, struct row_state *state, struct row_texts *texts,
                  const uint8_t *p, const uint8_t *end, struct cell *cells)
{
    const uint8_t *begin = p;
    if ((size_t)(end - p) < layout->bitmap_bytes) {
        return 0;
    }
    p += layout->bitmap_bytes;
    for (uint32_t i = 0; i < layout->coded; i++) {
        uint32_t column = layout->skip + i;
        uint32_t slot = layout->slot[column];
        struct cell *cell = &cells[column];
        bool changed = (begin[i >> 3] >> (i & 7) & 1) != 0;
        if (changed) {
            p = decode_changed(layout, column, state, p, end, cell);
            if (p == NULL) {
                return 0;
            }
        } else {
            cell->null = (state->null_bits >> slot & 1) != 0;
            if (cell->null && !layout->schema->columns[column].nullable) {
                return 0;
            }
            if (!cell->null && layout->code[column] == ROW_CODE_TEXT &&
                !text_again(state, slot, texts, cell)) {
                return 0;
            }
        }
        if (cell->null) {
            continue;
        }
        if (layout->code[column] == ROW_CODE_INT) {
            cell->i64 = state->last[slot];
        } else if (layout->code[column] == ROW_CODE_DECIMAL) {
            cell->dec = (struct decimal){state->last[slot], state->exponent[slot]};
        }
    }
    return (size_t)(p - begin);
}

/* ---- block pool */

#define PAGE_UNITS (ROW_BLOCK_BYTES_MAX / ROW_BLOCK_BYTES_MIN)
#define NO_PAGE UINT32_MAX
static_assert(PAGE_UNITS == 16, "one bit a unit in a uint16_t");
static_assert(ROW_BLOCK_BYTES_MIN << (ROW_BLOCK_CLASSES - 1) == ROW_BLOCK_BYTES_MAX, "classes");

size_t block_pool_memory_bytes(size_t bytes)
{
    size_t pages = bytes / ROW_BLOCK_BYTES_MAX;
    return pages * (ROW_BLOCK_BYTES_MAX + 2 + 4 + 4 + 1);
}

static void page_link(struct block_pool *pool, uint32_t page, uint32_t class)
{
    pool->page_class[page] = (uint8_t) class;
    pool->prev[page] = NO_PAGE;
    pool->next[page] = pool->head[class];
    if (pool->head[class] != NO_PAGE) {
        pool->prev[pool->head[class]] = page;
    }
    pool->head[class] = page;
}

static void page_unlink(struct block_pool *pool, uint32_t page)
{
    uint32_t next = pool->next[page];
    uint32_t prev = pool->prev[page];
    if (next != NO_PAGE) {
        pool->prev[next] = prev;
    }
    if (prev != NO_PAGE) {
        pool->next[prev] = next;
    } else {
        pool->head[pool->page_class[page]] = next;
    }
}

int block_pool_init(struct block_pool *pool, size_t bytes)
{
    memset(pool, 0, sizeof *pool);
    size_t pages = bytes / ROW_BLOCK_BYTES_MAX;
    ASSERT(pages > 0);
    ASSERT(pages < NO_PAGE);
    uint8_t *memory = alloc_take(ALLOC_ROW_BLOCKS, block_pool_memory_bytes(bytes));
    if (memory == NULL) {
        return MD_ENOMEM;
    }
    pool->memory = memory;
    pool->page_count = (uint32_t)pages;
    memory += pages * ROW_BLOCK_BYTES_MAX;
    pool->next = (uint32_t *)(void *)memory;
    pool->prev = pool->next + pages;
    pool->used_units = (uint16_t *)(pool->prev + pages);
    pool->page_class = (uint8_t *)(pool->used_units + pages);
    for (uint32_t class = 0; class <= ROW_BLOCK_CLASSES; class ++) {
        pool->head[class] = NO_PAGE;
    }
    for (uint32_t page = pool->page_count; page > 0; page--) {
        page_link(pool, page - 1, ROW_BLOCK_CLASSES - 1);
    }
    return 0;
}

void block_pool_deinit(struct block_pool *pool)
{
    alloc_give(pool->memory);
    memset(pool, 0, sizeof *pool);
}

/* The first aligned free run of a class in a page; -1 if there is none. */
static int page_find(uint16_t used, uint32_t class)
{
    uint32_t units = 1U << class;
    uint32_t mask = (1U << units) - 1;
    for (uint32_t unit = 0; unit < PAGE_UNITS; unit += units) {
        if ((used & mask << unit) == 0) {
            return (int)unit;
        }
    }
    return -1;
}

static uint32_t page_largest(uint16_t used)
{
    for (uint32_t class = ROW_BLOCK_CLASSES; class > 0; class --) {
        if (page_find(used, class - 1) >= 0) {
            return class - 1;
        }
    }
    return ROW_BLOCK_CLASSES;
}

static void page_mark(struct block_pool *pool, uint32_t page, uint16_t used)
{
    pool->used_units[page] = used;
    uint32_t class = page_largest(used);
    if (class != pool->page_class[page]) {
        page_unlink(pool, page);
        page_link(pool, page, class);
    }
}

uint8_t *block_pool_acquire(struct block_pool *pool, uint32_t class)
{
    ASSERT(class < ROW_BLOCK_CLASSES);
    uint32_t fit = class;
    while (fit < ROW_BLOCK_CLASSES && pool->head[fit] == NO_PAGE) {
        fit++;
    }
    if (fit == ROW_BLOCK_CLASSES) {
        return NULL;
    }
    uint32_t page = pool->head[fit];
    int unit = page_find(pool->used_units[page], class);
    ASSERT(unit >= 0);
    uint32_t mask = ((1U << (1U << class)) - 1) << unit;
    page_mark(pool, page, (uint16_t)(pool->used_units[page] | mask));
    pool->used_bytes += block_class_bytes(class);
    if (pool->used_bytes > pool->used_bytes_high) {
        pool->used_bytes_high = pool->used_bytes;
    }
    return pool->memory + (size_t)page * ROW_BLOCK_BYTES_MAX + (size_t)unit * ROW_BLOCK_BYTES_MIN;
}

void block_pool_release(struct block_pool *pool, uint8_t *block, uint32_t class)
{
    ASSERT(block >= pool->memory);
    size_t offset = (size_t)(block - pool->memory);
    uint32_t page = (uint32_t)(offset / ROW_BLOCK_BYTES_MAX);
    uint32_t unit = (uint32_t)(offset % ROW_BLOCK_BYTES_MAX / ROW_BLOCK_BYTES_MIN);
    ASSERT(page < pool->page_count);
    uint32_t mask = ((1U << (1U << class)) - 1) << unit;
    ASSERT((pool->used_units[page] & mask) == mask);
    page_mark(pool, page, (uint16_t)(pool->used_units[page] & ~mask));
    pool->used_bytes -= block_class_bytes(class);
}
