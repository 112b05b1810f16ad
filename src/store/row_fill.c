/* Row blocks into a row group, by column. See row_fill.h.
 * Place: seal thread, between the spool's reader and the file writer.
 * Invariants: the group is the same, to the byte, as by row_decode() and row_group_append(): the
 * first row of a group, and any row that may not fit any more, are taken by these two, which then
 * say where the group ends. Columns that share a slot (levels of a book snapshot) go by them
 * altogether. Memory: the caller's struct, some 20 KiB. */
#include "store/row_fill.h"

#include "base/assert.h"
#include "base/err.h"
#include "store/row_codec.h"

#include <assert.h>

static_assert(ROW_SLOTS_MAX < 32, "a bit each");
#define DIGITS_15 1000000000000000LL

void row_fill_begin(struct row_fill *fill, const struct schema *schema, uint32_t skip,
                    struct row_group *group)
{
    row_layout_init(&fill->layout, schema, skip);
    memset(&fill->state, 0, sizeof fill->state);
    fill->group = group;
    fill->seeded = false;
    fill->columnwise = fill->layout.coded <= ROW_SLOTS_MAX;
    for (uint32_t i = skip; i < schema->column_count && fill->columnwise; i++) {
        fill->columnwise = fill->layout.slot[i] == i - skip;
    }
    fill->coded_bits = fill->columnwise ? (1U << fill->layout.coded) - 1 : 0;
}

/* ---- what is owed: lazy columns */

static bool is_long(struct decimal value)
{
    bool may_be = value.mantissa >= DIGITS_15 || value.mantissa <= -DIGITS_15;
    return may_be && decimal_digits(value) > 15;
}

static void put_values(struct fill_column *column, struct row_group *group, uint32_t end)
{
    uint32_t from = column->from;
    column->from = end;
    switch ((enum column_type)column->type) {
    case COLUMN_BOOL:
        memset((uint8_t *)column->values + from, (int)column->value, end - from);
        break;
    case COLUMN_TEXT:
        for (uint32_t row = from; row < end; row++) {
            ((uint32_t *)column->values)[row] = (uint32_t)column->value;
        }
        break;
    case COLUMN_DEC: /* shares a slot: such rows are taken one at a time */
        ASSERT(false);
        break;
    case COLUMN_F64:
        group->digits_over_15 += column->long_digits ? end - from : 0;
        __attribute__((fallthrough));
    case COLUMN_I64:
    case COLUMN_I32:
    case COLUMN_TIME:
    default:
        for (uint32_t row = from; row < end; row++) {
            ((uint64_t *)column->values)[row] = column->value;
        }
        break;
    }
}

static void put_valid(struct fill_column *column, uint32_t end)
{
    memset(column->valid + column->valid_from, !column->null, end - column->valid_from);
    column->valid_from = end;
}

/* Row `row` and those after it have another value. */
static inline void value_set(struct fill_column *column, struct row_group *group, uint32_t row,
                             uint64_t value)
{
    if (row > column->from) {
        put_values(column, group, row);
    }
    column->value = value;
}

static inline void null_set(struct fill_column *column, uint32_t row, bool null)
{
    if (column->valid != NULL && column->null != null) {
        put_valid(column, row);
        column->null = null;
    }
}

void row_fill_end_group(struct row_fill *fill)
{
    if (!fill->seeded) {
        return;
    }
    struct row_group *group = fill->group;
    for (uint32_t i = 0; i < fill->layout.schema->column_count; i++) {
        if (!fill->columns[i].eager) {
            put_values(&fill->columns[i], group, group->row_count);
        }
        if (fill->columns[i].valid != NULL) {
            put_valid(&fill->columns[i], group->row_count);
        }
    }
    fill->seeded = false;
}

/* ---- a row at a time */

static uint64_t value_at(const struct column *data, enum column_type type, uint32_t row)
{
    switch (type) {
    case COLUMN_BOOL:
        return data->boolean[row];
    case COLUMN_TEXT:
        return data->text_index[row];
    case COLUMN_I64:
    case COLUMN_I32:
    case COLUMN_TIME:
    case COLUMN_F64:
    case COLUMN_DEC:
    default:
        return (uint64_t)data->i64[row];
    }
}

/* Numbers that are set are written each row, without asking whether they changed: see take_eager().
 * Texts, booleans and what is null are owed until they change. */
static bool is_eager(const struct fill_column *column)
{
    return !column->null && column->type != COLUMN_TEXT && column->type != COLUMN_BOOL;
}

static void eager_list(struct row_fill *fill)
{
    fill->eager_count = 0;
    fill->eager_bits = 0;
    for (uint32_t i = fill->layout.skip; i < fill->layout.schema->column_count; i++) {
        if (fill->columns[i].eager) {
            fill->eager[fill->eager_count++] = (uint8_t)i;
            fill->eager_bits |= 1U << fill->layout.slot[i];
        }
    }
}

/* The columns go on from the group's last row. */
static void seed(struct row_fill *fill)
{
    const struct row_layout *layout = &fill->layout;
    uint32_t rows = fill->group->row_count;
    fill->long_texts = 0;
    for (uint32_t i = 0; i < layout->schema->column_count; i++) {
        const struct column *data = &fill->group->columns[i];
        enum column_type type = layout->schema->columns[i].type;
        struct fill_column *column = &fill->columns[i];
        *column = (struct fill_column){
            .values = data->i64,
            .valid = data->valid,
            .value = value_at(data, type, rows - 1),
            .from = rows,
            .valid_from = rows,
            .type = (uint8_t)type,
            .code = layout->code[i],
            .null = data->valid != NULL && data->valid[rows - 1] == 0,
        };
        if (i < layout->skip) {
            continue;
        }
        column->eager = is_eager(column);
        uint32_t slot = layout->slot[i];
        if (type == COLUMN_TEXT && !column->null && fill->state.last[slot] == KEY_NONE) {
            fill->long_texts |= 1U << slot;
        }
    }
    eager_list(fill);
    fill->seeded = true;
}

static int take_row(struct row_fill *fill, const uint8_t **p, const uint8_t *end)
{
    row_fill_end_group(fill);
    struct row_state before = fill->state;
    size_t bytes = row_decode(&fill->layout, &fill->state, &fill->texts, *p, end, fill->cells);
    if (bytes == 0) {
        return MD_ECORRUPT;
    }
    int code = row_group_append(fill->group, fill->cells);
    if (code < 0) {
        fill->state = before;
        return code;
    }
    *p += bytes;
    if (fill->columnwise) {
        seed(fill);
    }
    return 0;
}

/* ---- by column */

static const uint8_t *take_text(struct row_fill *fill, uint32_t index, uint64_t v, uint32_t row,
                                const uint8_t *p, const uint8_t *end)
{
    uint32_t slot = fill->layout.slot[index];
    struct str text;
    p = row_decode_text(&fill->state, slot, v, p, end, &text);
    uint32_t text_index = 0;
    if (p == NULL || row_group_text(fill->group, index, text, &text_index) < 0) {
        return NULL; /* there was room: see texts_fit() */
    }
    uint32_t bit = 1U << slot;
    bool is_long_text = fill->state.last[slot] == KEY_NONE;
    fill->long_texts = is_long_text ? fill->long_texts | bit : fill->long_texts & ~bit;
    value_set(&fill->columns[index], fill->group, row, text_index);
    return p;
}

/* A number of a lazy column, or one that take_eager() does not know. */
static bool set_number(struct row_fill *fill, uint32_t index, uint32_t row)
{
    struct fill_column *column = &fill->columns[index];
    uint32_t slot = fill->layout.slot[index];
    int64_t last = fill->state.last[slot];
    uint64_t value = (uint64_t)last;
    bool long_digits = false;
    if (column->code == ROW_CODE_DECIMAL) {
        struct decimal decimal = {last, fill->state.exponent[slot]};
        double converted = decimal_to_double(decimal);
        memcpy(&value, &converted, sizeof value);
        long_digits = is_long(decimal);
    } else if (column->type == COLUMN_BOOL) {
        value = last != 0;
    } else if (column->type == COLUMN_I32 && last != (int32_t)last) {
        return false;
    }
    if (!column->eager) { /* else it is written with the row */
        value_set(column, fill->group, row, value);
        column->long_digits = long_digits;
    }
    return true;
}

/* A column that was set is null from `row` on; an eager one becomes lazy. */
static void set_null(struct row_fill *fill, uint32_t index, uint32_t row)
{
    struct fill_column *column = &fill->columns[index];
    uint32_t slot = fill->layout.slot[index];
    fill->state.null_bits |= 1U << slot;
    fill->long_texts &= ~(1U << slot);
    if (column->eager) {
        column->eager = false;
        column->from = row;
        eager_list(fill);
    }
    value_set(column, fill->group, row, 0);
    column->long_digits = false;
}

static const uint8_t *take_change(struct row_fill *fill, uint32_t index, uint32_t row,
                                  const uint8_t *p, const uint8_t *end)
{
    struct fill_column *column = &fill->columns[index];
    struct row_state *state = &fill->state;
    uint32_t slot = fill->layout.slot[index];
    uint64_t v = 0;
    p = get_varint(p, end, &v);
    if (p == NULL || (v == V_NULL && column->valid == NULL)) {
        return NULL;
    }
    null_set(column, row, v == V_NULL);
    if (v == V_NULL) {
        set_null(fill, index, row);
        return p;
    }
    state->null_bits &= ~(1U << slot);
    if (column->code == ROW_CODE_TEXT) {
        return take_text(fill, index, v, row, p, end);
    }
    p = decode_number((enum row_code)column->code, state, slot, v, p, end);
    return p != NULL && set_number(fill, index, row) ? p : NULL;
}

/* ---- eager columns: what row `row` has of them, written */

static const double powers_of_ten[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                         1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                         1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* decimal_to_double(), its common case inlined: both operands exact, one correctly rounded
 * operation; and the count of long ones. */
static inline double to_double(struct row_group *group, int64_t mantissa, int8_t exponent)
{
    bool usual = mantissa < DIGITS_15 && mantissa > -DIGITS_15 && exponent <= 0 && exponent >= -22;
    if (__builtin_expect(usual, 1)) {
        return (double)mantissa / powers_of_ten[-exponent];
    }
    struct decimal decimal = {mantissa, exponent};
    group->digits_over_15 += is_long(decimal);
    return decimal_to_double(decimal);
}

static inline void put_eager(struct row_fill *fill, uint32_t index, uint32_t row)
{
    const struct fill_column *column = &fill->columns[index];
    uint32_t slot = fill->layout.slot[index];
    int64_t last = fill->state.last[slot];
    if (column->code == ROW_CODE_DECIMAL) {
        ((double *)column->values)[row] = to_double(fill->group, last, fill->state.exponent[slot]);
    } else {
        ((int64_t *)column->values)[row] = last;
    }
}

/* The row as it may be, too: lazy columns change. The first `done` eager columns are written. */
static const uint8_t *take_any(struct row_fill *fill, uint32_t bits, uint32_t done, uint32_t row,
                               const uint8_t *p, const uint8_t *end)
{
    while (bits != 0 && p != NULL) {
        p = take_change(fill, fill->layout.skip + (uint32_t)__builtin_ctz(bits), row, p, end);
        bits &= bits - 1;
    }
    for (uint32_t i = done; i < fill->eager_count; i++) {
        put_eager(fill, fill->eager[i], row);
    }
    return p;
}

/* The row as it mostly is: only eager columns change, by deltas. Whether one did is as good as
 * random, so what would stand there is read in any case, and `p` moves on or not: no branch. */
static const uint8_t *take_eager(struct row_fill *fill, uint32_t bits, uint32_t row,
                                 const uint8_t *p, const uint8_t *end)
{
    struct row_state *state = &fill->state;
    for (uint32_t i = 0; i < fill->eager_count; i++) {
        uint32_t index = fill->eager[i];
        uint32_t slot = fill->layout.slot[index];
        uint64_t changed = bits >> slot & 1;
        uint64_t x = __builtin_expect(end - p >= 8, 1) ? load_u64(p) : 0;
        uint32_t bytes = 0;
        uint64_t v = __builtin_expect((x & 0xff) != 0, 1) ? varint_of(x, &bytes) : V_NULL;
        if (__builtin_expect((bytes == 0) | ((v < V_DELTA) & (changed != 0)), 0)) {
            return take_any(fill, bits & ~((1U << slot) - 1), i, row, p, end);
        }
        state->last[slot] = (int64_t)((uint64_t)state->last[slot] +
                                      ((uint64_t)unzigzag(v - V_DELTA) & (0 - changed)));
        p += bytes & (0 - (uint32_t)changed); /* a compiler makes ?: a branch */
        if (fill->columns[index].type == COLUMN_I32 &&
            state->last[slot] != (int32_t)state->last[slot]) {
            return NULL;
        }
        put_eager(fill, index, row);
    }
    return p;
}

static const uint8_t *take_changes(struct row_fill *fill, uint32_t row, const uint8_t *p,
                                   const uint8_t *end)
{
    uint32_t bits = 0;
    uint32_t bitmap_bytes = fill->layout.bitmap_bytes;
    if ((size_t)(end - p) < bitmap_bytes) {
        return NULL;
    }
    for (uint32_t i = 0; i < bitmap_bytes; i++) {
        bits |= (uint32_t)p[i] << (8 * i);
    }
    p += bitmap_bytes;
    bits &= fill->coded_bits;
    if ((bits & fill->long_texts) != fill->long_texts) {
        return NULL;
    }
    return (bits & ~fill->eager_bits) == 0 ? take_eager(fill, bits, row, p, end)
                                           : take_any(fill, bits, 0, row, p, end);
}

/* Whether any texts a row may bring find room in the group's tables. */
static bool texts_fit(const struct row_fill *fill)
{
    const struct row_group *group = fill->group;
    const struct row_layout *layout = &fill->layout;
    size_t most = (size_t)layout->text_count * COLUMN_TEXT_BYTES_MAX * 3;
    bool fit = group->text_capacity - group->text_used >= most;
    for (uint32_t i = 0; i < layout->text_count && fit; i++) {
        fit = group->columns[layout->text_columns[i]].text_count < group->text_values_max;
    }
    return fit;
}

int row_fill(struct row_fill *fill, const uint8_t **p, const uint8_t *end)
{
    struct row_group *group = fill->group;
    while (*p < end) {
        if (group->row_count == group->row_capacity) {
            return MD_EFULL;
        }
        if (!fill->seeded || !texts_fit(fill)) {
            int code = take_row(fill, p, end);
            if (code < 0) {
                return code;
            }
            continue;
        }
        const uint8_t *next = take_changes(fill, group->row_count, *p, end);
        if (next == NULL) {
            return MD_ECORRUPT;
        }
        *p = next;
        group->row_count++;
    }
    return 0;
}
