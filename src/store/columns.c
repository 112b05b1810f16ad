/* One row group in memory, by column.
 * Place: the seal thread appends rows read back from row blocks; a file writer then encodes the
 * whole group. This is where exact decimals become doubles, and units of 10^-18.
 * Invariants: a failed append leaves the group as it was; every distinct text of a column is used
 * by a row at least; texts are valid UTF-8, so that no file says so falsely. Memory: one block
 * taken at init and laid out anew for each schema. Cost: reset clears only what the last group
 * used, so that a file of a hundred rows does not pay for fifty thousand. */
#include "store/columns.h"

#include "base/alloc.h"
#include "base/assert.h"

#define ALIGN 64
#define BYTES_PER_CELL 9 /* 8 and the validity */

static size_t align_up(size_t bytes)
{
    return (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static uint32_t power_of_two_at_least(uint32_t value)
{
    uint32_t power = 16;
    while (power < value) {
        power *= 2;
    }
    return power;
}

/* Slots of all text columns together: twice as many as values, so that probes stay short. */
static size_t slots_total(uint32_t text_values_max)
{
    return (size_t)ROW_GROUP_TEXT_COLUMNS * power_of_two_at_least(2 * text_values_max);
}

static size_t cells_bytes(uint32_t rows_max, uint32_t columns_max)
{
    /* each column's two arrays begin aligned */
    return (size_t)rows_max * columns_max * BYTES_PER_CELL + (size_t)2 * ALIGN * COLUMNS_MAX;
}

static size_t values_bytes(uint32_t text_values_max)
{
    size_t values = (size_t)ROW_GROUP_TEXT_COLUMNS * (text_values_max + 1);
    return align_up(values * (sizeof(struct str) + sizeof(uint32_t)) + (size_t)2 * ALIGN);
}

size_t row_group_memory_bytes(uint32_t rows_max, uint32_t columns_max, uint32_t text_values_max,
                              size_t text_bytes)
{
    return align_up(cells_bytes(rows_max, columns_max)) + values_bytes(text_values_max) +
           align_up(slots_total(text_values_max) * sizeof(uint32_t)) + align_up(text_bytes);
}

int row_group_init(struct row_group *group, uint32_t rows_max, uint32_t columns_max,
                   uint32_t text_values_max, size_t text_bytes)
{
    ASSERT(rows_max > 0);
    ASSERT(columns_max > 0);
    ASSERT(columns_max <= COLUMNS_MAX);
    ASSERT(text_values_max > 0);
    *group = (struct row_group){.rows_max = rows_max,
                                .columns_max = columns_max,
                                .text_values_limit = text_values_max,
                                .text_capacity = text_bytes};
    group->memory = alloc_take(
        ALLOC_SEAL, row_group_memory_bytes(rows_max, columns_max, text_values_max, text_bytes));
    return group->memory == NULL ? MD_ENOMEM : 0;
}

void row_group_deinit(struct row_group *group)
{
    alloc_give(group->memory);
    *group = (struct row_group){0};
}

int schema_column(const struct schema *schema, const char *name)
{
    for (uint32_t c = 0; c < schema->column_count; c++) {
        if (strcmp(schema->columns[c].name, name) == 0) {
            return (int)c;
        }
    }
    return -1;
}

uint32_t schema_decimal_of(const struct schema *schema, uint32_t column)
{
    const char *name = schema->columns[column].name;
    size_t bytes = strlen(name);
    size_t suffix = sizeof COLUMN_DEC_SUFFIX - 1;
    ASSERT(bytes > suffix);
    for (uint32_t c = 0; c < column; c++) {
        const struct column_spec *spec = &schema->columns[c];
        if (spec->type == COLUMN_F64 && strlen(spec->name) == bytes - suffix &&
            memcmp(spec->name, name, bytes - suffix) == 0) {
            return c;
        }
    }
    ASSERT(false);
    return 0;
}

/* ---- layout */

static size_t cell_bytes(enum column_type type)
{
    switch (type) {
    case COLUMN_BOOL:
        return 1;
    case COLUMN_TEXT:
        return 4;
    case COLUMN_DEC:
        return sizeof(column_dec);
    case COLUMN_I64:
    case COLUMN_I32:
    case COLUMN_TIME:
    case COLUMN_F64:
    default:
        return 8;
    }
}

static void texts_forget(struct row_group *group)
{
    for (uint32_t c = 0; c < group->columns_laid_out; c++) {
        struct column *column = &group->columns[c];
        for (uint32_t i = 0; i < column->text_count; i++) {
            column->text_slots[column->text_slot_of[i]] = 0;
        }
        column->text_count = 0;
    }
}

static uint32_t schema_text_columns(const struct schema *schema, size_t *row_bytes)
{
    uint32_t texts = 0;
    *row_bytes = 0;
    for (uint32_t c = 0; c < schema->column_count; c++) {
        *row_bytes += cell_bytes(schema->columns[c].type) + schema->columns[c].nullable;
        texts += schema->columns[c].type == COLUMN_TEXT;
    }
    return texts;
}

static void lay_out_texts(struct row_group *group, char *at, uint32_t texts)
{
    uint32_t limit = group->text_values_limit;
    uint32_t share = texts > ROW_GROUP_TEXT_COLUMNS ? texts : ROW_GROUP_TEXT_COLUMNS;
    uint32_t slots = 16;
    while ((size_t)slots * 2 * share <= slots_total(limit)) {
        slots *= 2;
    }
    uint32_t fair = limit * ROW_GROUP_TEXT_COLUMNS / share;
    group->text_values_max = fair < slots / 4 * 3 ? fair : slots / 4 * 3;
    group->text_values_max = group->text_values_max > 0 ? group->text_values_max : 1;

    char *slot_of = at + (size_t)ROW_GROUP_TEXT_COLUMNS * (limit + 1) * sizeof(struct str);
    char *table = at + values_bytes(limit);
    for (uint32_t c = 0; c < group->schema->column_count; c++) {
        struct column *column = &group->columns[c];
        if (group->schema->columns[c].type != COLUMN_TEXT) {
            continue;
        }
        column->text_values = (struct str *)(void *)at;
        column->text_slot_of = (uint32_t *)(void *)slot_of;
        column->text_slots = (uint32_t *)(void *)table;
        column->text_slot_mask = slots - 1;
        at += (size_t)group->text_values_max * sizeof(struct str);
        slot_of += (size_t)group->text_values_max * sizeof(uint32_t);
        table += (size_t)slots * sizeof(uint32_t);
    }
    group->text_bytes = (char *)group->memory +
                        align_up(cells_bytes(group->rows_max, group->columns_max)) +
                        values_bytes(limit) + align_up(slots_total(limit) * sizeof(uint32_t));
}

void row_group_reset(struct row_group *group, const struct schema *schema)
{
    ASSERT(schema->column_count > 0);
    ASSERT(schema->column_count <= COLUMNS_MAX);
    texts_forget(group);
    group->row_count = 0;
    group->text_used = 0;
    group->schema = schema;
    group->columns_laid_out = schema->column_count;
    size_t row_bytes;
    uint32_t texts = schema_text_columns(schema, &row_bytes);
    size_t room = (size_t)group->rows_max * group->columns_max * BYTES_PER_CELL;
    size_t rows = room / row_bytes;
    group->row_capacity = rows < group->rows_max ? (uint32_t)rows : group->rows_max;
    ASSERT(group->row_capacity > 0);

    char *at = group->memory;
    for (uint32_t c = 0; c < schema->column_count; c++) {
        struct column *column = &group->columns[c];
        *column = (struct column){0};
        column->i64 = (int64_t *)(void *)at;
        at += align_up(group->row_capacity * cell_bytes(schema->columns[c].type));
        if (schema->columns[c].nullable) {
            column->valid = (uint8_t *)at;
            at += align_up(group->row_capacity);
        }
    }
    at = (char *)group->memory + align_up(cells_bytes(group->rows_max, group->columns_max));
    lay_out_texts(group, at, texts);
}

/* ---- texts */

static bool is_continuation(const unsigned char *p, const unsigned char *end)
{
    return p < end && (*p & 0xc0) == 0x80;
}

/* Bytes of the well-formed character at p (RFC 3629), 0 if there is none. */
static size_t utf8_character(const unsigned char *p, const unsigned char *end)
{
    if (*p < 0x80) {
        return 1;
    }
    if (*p >= 0xc2 && *p <= 0xdf) {
        return is_continuation(p + 1, end) ? 2 : 0;
    }
    if (!is_continuation(p + 1, end) || !is_continuation(p + 2, end)) {
        return 0;
    }
    if (*p >= 0xe0 && *p <= 0xef) {
        bool overlong = *p == 0xe0 && p[1] < 0xa0;
        bool surrogate = *p == 0xed && p[1] > 0x9f;
        return overlong || surrogate ? 0 : 3;
    }
    bool in_range =
        (*p == 0xf0 && p[1] >= 0x90) || (*p >= 0xf1 && *p <= 0xf3) || (*p == 0xf4 && p[1] <= 0x8f);
    return in_range && is_continuation(p + 3, end) ? 4 : 0;
}

static bool utf8_valid(struct str text)
{
    const unsigned char *p = (const unsigned char *)text.data;
    const unsigned char *end = p + text.bytes;
    while (p < end) {
        size_t bytes = utf8_character(p, end);
        if (bytes == 0) {
            return false;
        }
        p += bytes;
    }
    return true;
}

/* Writes the repaired text to `out`, at most 3 bytes for each of the input. */
static size_t utf8_repair(struct str text, char *out)
{
    const unsigned char *p = (const unsigned char *)text.data;
    const unsigned char *end = p + text.bytes;
    size_t used = 0;
    while (p < end) {
        size_t bytes = utf8_character(p, end);
        if (bytes > 0) {
            memcpy(out + used, p, bytes);
            used += bytes;
            p += bytes;
        } else {
            memcpy(out + used, "\xef\xbf\xbd", 3);
            used += 3;
            p++;
        }
    }
    return used;
}

/* The slot that holds `text`, or the free one where it belongs. */
static uint32_t slot_find(const struct column *column, struct str text)
{
    uint32_t slot = (uint32_t)str_hash(text, 0) & column->text_slot_mask;
    while (column->text_slots[slot] != 0 &&
           !str_equal(column->text_values[column->text_slots[slot] - 1], text)) {
        slot = (slot + 1) & column->text_slot_mask;
    }
    return slot;
}

static int text_add(struct row_group *group, struct column *column, struct str text, uint32_t slot,
                    uint32_t *index)
{
    if (column->text_count == group->text_values_max ||
        text.bytes * 3 > group->text_capacity - group->text_used) {
        return MD_EFULL;
    }
    char *at = group->text_bytes + group->text_used;
    size_t bytes = text.bytes;
    if (utf8_valid(text)) {
        if (bytes > 0) {
            memcpy(at, text.data, bytes);
        }
    } else {
        bytes = utf8_repair(text, at);
        group->texts_repaired++;
        slot = slot_find(column, str_make(at, bytes));
        if (column->text_slots[slot] != 0) {
            *index = column->text_slots[slot] - 1;
            return 0;
        }
    }
    *index = column->text_count++;
    group->text_used += bytes;
    column->text_values[*index] = str_make(at, bytes);
    column->text_slot_of[*index] = slot;
    column->text_slots[slot] = *index + 1;
    return 0;
}

int row_group_text(struct row_group *group, uint32_t column_index, struct str text, uint32_t *index)
{
    struct column *column = &group->columns[column_index];
    if (text.bytes > COLUMN_TEXT_BYTES_MAX) {
        return MD_ETOOBIG;
    }
    uint32_t slot = slot_find(column, text);
    if (column->text_slots[slot] != 0) {
        *index = column->text_slots[slot] - 1;
        return 0;
    }
    return text_add(group, column, text, slot, index);
}

/* Takes back texts added by columns [0, end) for the row that then did not fit. */
static void texts_undo(struct row_group *group, const uint32_t *counts, uint32_t end)
{
    uint32_t text = 0;
    for (uint32_t c = 0; c < end; c++) {
        struct column *column = &group->columns[c];
        if (group->schema->columns[c].type == COLUMN_TEXT) {
            if (column->text_count > counts[text]) {
                column->text_count--;
                column->text_slots[column->text_slot_of[column->text_count]] = 0;
            }
            text++;
        }
    }
}

static int append_texts(struct row_group *group, const struct cell *cells)
{
    uint32_t row = group->row_count;
    uint32_t counts[COLUMNS_MAX];
    uint32_t texts = 0;
    size_t used = group->text_used;
    uint64_t repaired = group->texts_repaired;
    for (uint32_t c = 0; c < group->schema->column_count; c++) {
        struct column *column = &group->columns[c];
        if (group->schema->columns[c].type != COLUMN_TEXT) {
            continue;
        }
        counts[texts++] = column->text_count;
        if (cells[c].null) {
            column->text_index[row] = 0;
            continue;
        }
        /* mostly the text of the row before: exchange and symbol never change */
        if (row > 0 && column->text_count > 0) {
            uint32_t before = column->text_index[row - 1];
            if (str_equal(column->text_values[before], cells[c].text)) {
                column->text_index[row] = before;
                continue;
            }
        }
        int code = row_group_text(group, c, cells[c].text, &column->text_index[row]);
        if (code != 0) {
            texts_undo(group, counts, c);
            group->text_used = used;
            group->texts_repaired = repaired;
            return code;
        }
    }
    return 0;
}

/* ---- rows */

static double to_double(struct row_group *group, struct decimal value)
{
    const int64_t digits_15 = 1000000000000000;
    if (value.mantissa >= digits_15 || value.mantissa <= -digits_15) {
        group->digits_over_15 += decimal_digits(value) > 15;
    }
    return decimal_to_double(value);
}

bool column_dec_from(struct decimal value, column_dec *out)
{
    const column_dec max = (column_dec)10000000000000000000ULL * 10000000000000000000ULL - 1;
    column_dec scaled = value.mantissa;
    int shift = value.exponent + COLUMN_DEC_SCALE;
    for (; shift < 0 && scaled != 0; shift++) {
        if (scaled % 10 != 0) {
            return false;
        }
        scaled /= 10;
    }
    for (; shift > 0 && scaled != 0; shift--) {
        if (scaled > max / 10 || scaled < -max / 10) {
            return false;
        }
        scaled *= 10;
    }
    *out = scaled;
    return true;
}

size_t column_dec_format(column_dec value, char *out)
{
    char digits[COLUMN_DEC_DIGITS];
    int count = 0;
    __extension__ unsigned __int128 rest = (unsigned __int128)value;
    rest = value < 0 ? 0 - rest : rest;
    while (rest > 0 || count <= COLUMN_DEC_SCALE) {
        digits[count++] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    }
    char *at = out;
    if (value < 0) {
        *at++ = '-';
    }
    int last = 0; /* the last digit of the fraction that is not 0 */
    while (last < COLUMN_DEC_SCALE && digits[last] == '0') {
        last++;
    }
    for (int i = count; i-- > last;) {
        *at++ = digits[i];
        if (i == COLUMN_DEC_SCALE && i > last) {
            *at++ = '.';
        }
        if (i == COLUMN_DEC_SCALE && i == last) {
            break;
        }
    }
    return (size_t)(at - out);
}

/* Null where the cell is, or when it does not fit. */
static void append_dec(struct column *column, uint32_t row, const struct cell *cell)
{
    column->dec[row] = 0;
    column->valid[row] = !cell->null && column_dec_from(cell->dec, &column->dec[row]);
}

int row_group_append(struct row_group *group, const struct cell *cells)
{
    uint32_t row = group->row_count;
    if (row == group->row_capacity) {
        return MD_EFULL;
    }
    int code = append_texts(group, cells);
    if (code != 0) {
        return code;
    }
    const struct column_spec *specs = group->schema->columns;
    for (uint32_t c = 0; c < group->schema->column_count; c++) {
        struct column *column = &group->columns[c];
        bool null = cells[c].null;
        if (column->valid != NULL) {
            column->valid[row] = !null;
        } else {
            ASSERT(!null);
        }
        switch (specs[c].type) {
        case COLUMN_I64:
        case COLUMN_TIME:
            column->i64[row] = null ? 0 : cells[c].i64;
            break;
        case COLUMN_I32:
            column->i64[row] = null ? 0 : cells[c].i64;
            ASSERT(column->i64[row] == (int32_t)column->i64[row]);
            break;
        case COLUMN_F64:
            column->f64[row] = null ? 0 : to_double(group, cells[c].dec);
            break;
        case COLUMN_BOOL:
            column->boolean[row] = !null && cells[c].i64 != 0;
            break;
        case COLUMN_DEC:
            append_dec(column, row, &cells[c]);
            break;
        case COLUMN_TEXT:
            break;
        default:
            ASSERT(false);
        }
    }
    group->row_count++;
    return 0;
}

/* ---- rows of another group */

/* The texts of one row, or none of them. */
static int copy_texts(struct row_group *group, const struct row_group *from, uint32_t row)
{
    uint32_t counts[COLUMNS_MAX];
    uint32_t texts = 0;
    size_t used = group->text_used;
    uint32_t to = group->row_count;
    for (uint32_t c = 0; c < group->schema->column_count; c++) {
        if (group->schema->columns[c].type != COLUMN_TEXT) {
            continue;
        }
        uint32_t *out = group->columns[c].text_index + to;
        counts[texts++] = group->columns[c].text_count;
        const uint32_t *index = from->columns[c].text_index + row;
        if (row_group_is_null(from, (int)c, row)) {
            *out = 0;
        } else if (to > 0 && row > 0 && index[0] == index[-1] &&
                   str_equal(row_group_text_at(group, (int)c, to - 1),
                             row_group_text_at(from, (int)c, row))) {
            *out = out[-1]; /* mostly the text of the row before */
        } else {
            int code = row_group_text(group, c, row_group_text_at(from, (int)c, row), out);
            if (code != 0) {
                texts_undo(group, counts, c);
                group->text_used = used;
                return code;
            }
        }
    }
    return 0;
}

static void copy_values(struct column *to, uint32_t at, const struct column *from, uint32_t first,
                        uint32_t count, enum column_type type)
{
    if (type == COLUMN_BOOL) {
        memcpy(to->boolean + at, from->boolean + first, count);
    } else if (type == COLUMN_DEC) {
        memcpy(to->dec + at, from->dec + first, (size_t)count * sizeof *to->dec);
    } else if (type != COLUMN_TEXT) {
        memcpy(to->i64 + at, from->i64 + first, (size_t)count * sizeof *to->i64);
    }
    if (to->valid != NULL) {
        memcpy(to->valid + at, from->valid + first, count);
    }
}

uint32_t row_group_append_rows(struct row_group *group, const struct row_group *from,
                               uint32_t first, uint32_t count)
{
    const struct schema *schema = group->schema;
    ASSERT(schema->column_count == from->schema->column_count);
    uint32_t begin = group->row_count;
    uint32_t room = group->row_capacity - begin;
    uint32_t most = count < room ? count : room;
    uint32_t rows = 0;
    while (rows < most && copy_texts(group, from, first + rows) == 0) {
        rows++;
        group->row_count++;
    }
    for (uint32_t c = 0; c < schema->column_count; c++) {
        ASSERT(schema->columns[c].type == from->schema->columns[c].type);
        ASSERT(schema->columns[c].nullable == from->schema->columns[c].nullable);
        copy_values(&group->columns[c], begin, &from->columns[c], first, rows,
                    schema->columns[c].type);
    }
    return rows;
}
