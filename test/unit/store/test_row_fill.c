/* Rows by column are rows one by one: row_fill() against row_decode() and row_group_append(), over
 * every channel, through groups that end at rows, at texts and at text bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/row_fill.h"
#include "store/store.h"

#define ROWS 3000
#define BLOCK_ROWS 70

static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

/* ---- rows that change a little, a lot, or not at all */

static char text_memory[COLUMNS_MAX][ROW_TEXT_BYTES_MAX];

static struct str some_text(uint32_t column, uint32_t longest)
{
    if (random_below(3) > 0) {
        return row_word((enum row_word)random_below(ROW_WORD_COUNT));
    }
    size_t bytes = random_below(random_below(4) == 0 ? longest : 9);
    for (size_t i = 0; i < bytes; i++) {
        text_memory[column][i] = (char)('a' + random_below(3));
    }
    return str_make(text_memory[column], bytes);
}

static void change(struct cell *cell, const struct column_spec *spec, uint32_t column,
                   uint32_t longest)
{
    cell->null = spec->nullable && random_below(5) == 0;
    if (cell->null) {
        return;
    }
    bool far = random_below(20) == 0;
    switch (spec->type) {
    case COLUMN_TEXT:
        cell->text = some_text(column, longest);
        break;
    case COLUMN_F64:
    case COLUMN_DEC:
        cell->dec = (struct decimal){far ? (int64_t)random_below(UINT64_MAX) / 10
                                         : (int64_t)random_below(2000) - 1000,
                                     (int8_t)(far ? (int)random_below(20) - 15 : -4)};
        break;
    case COLUMN_BOOL:
        cell->i64 = (int64_t)random_below(2);
        break;
    case COLUMN_I32:
        cell->i64 = far ? INT32_MIN : (int64_t)random_below(100);
        break;
    case COLUMN_I64:
    case COLUMN_TIME:
    default:
        cell->i64 = far ? (int64_t)random_below(UINT64_MAX) : (int64_t)random_below(3000);
        break;
    }
}

/* ---- the two ways */

struct way {
    struct row_group group;
    struct row_layout layout; /* rows one by one */
    struct row_state state;
    struct row_texts texts;
    struct cell cells[COLUMNS_MAX];
    struct row_fill fill; /* by column */
};

static void same_groups(const struct row_group *a, const struct row_group *b)
{
    assert_int_equal(a->row_count, b->row_count);
    assert_int_equal(a->digits_over_15, b->digits_over_15);
    assert_int_equal(a->text_used, b->text_used);
    size_t rows = a->row_count;
    for (uint32_t c = 0; c < a->schema->column_count && rows > 0; c++) {
        const struct column *x = &a->columns[c];
        const struct column *y = &b->columns[c];
        enum column_type type = a->schema->columns[c].type;
        size_t width = type == COLUMN_TEXT ? 4 : type == COLUMN_BOOL ? 1 : 8;
        assert_memory_equal(x->i64, y->i64, rows * width);
        if (a->schema->columns[c].nullable) {
            assert_memory_equal(x->valid, y->valid, rows);
        }
        assert_int_equal(x->text_count, y->text_count);
        for (uint32_t i = 0; i < x->text_count; i++) {
            assert_true(str_equal(x->text_values[i], y->text_values[i]));
        }
    }
}

static void end_groups(struct way *one, struct way *many)
{
    row_fill_end_group(&many->fill);
    same_groups(&one->group, &many->group);
    row_group_reset(&one->group, one->group.schema);
    row_group_reset(&many->group, many->group.schema);
}

/* Takes a block both ways; the groups must end at the same rows. Returns how many ended. */
static uint32_t take(struct way *one, struct way *many, const uint8_t *block, size_t bytes)
{
    const uint8_t *p = block;
    const uint8_t *q = block;
    const uint8_t *end = block + bytes;
    uint32_t ended = 0;
    while (p < end) {
        struct row_state before = one->state;
        size_t row = row_decode(&one->layout, &one->state, &one->texts, p, end, one->cells);
        assert_true(row > 0);
        int code = row_group_append(&one->group, one->cells);
        if (code == 0) {
            p += row;
            continue;
        }
        assert_int_equal(code, MD_EFULL);
        one->state = before;
        assert_int_equal(row_fill(&many->fill, &q, end), MD_EFULL);
        assert_ptr_equal(p, q);
        end_groups(one, many);
        ended++;
    }
    assert_int_equal(row_fill(&many->fill, &q, end), 0);
    assert_ptr_equal(q, end);
    return ended;
}

/* `calm`: of so many cells one changes. Returns how many groups were full. */
static uint32_t compare(const struct schema *schema, uint32_t skip, uint32_t calm, uint32_t longest)
{
    static struct way one;
    static struct way many;
    static uint8_t block[BLOCK_ROWS * ROW_BYTES_MAX];
    struct row_state writer = {.null_bits = 0};
    uint64_t cut = 0;
    uint32_t ended = 0;
    memset(&one, 0, sizeof one);
    memset(&many, 0, sizeof many);
    assert_int_equal(row_group_init(&one.group, 400, 16, 40, 64 << 10), 0);
    assert_int_equal(row_group_init(&many.group, 400, 16, 40, 64 << 10), 0);
    row_group_reset(&one.group, schema);
    row_group_reset(&many.group, schema);
    row_layout_init(&one.layout, schema, skip);
    row_fill_begin(&many.fill, schema, skip, &many.group);
    struct cell cells[COLUMNS_MAX] = {{.null = false}};
    for (uint32_t c = 0; c < schema->column_count; c++) {
        cells[c].text = schema->columns[c].type == COLUMN_TEXT ? STR("venue") : (struct str){0};
        one.cells[c] = many.fill.cells[c] = cells[c];
    }
    for (uint32_t row = 0; row < ROWS;) {
        size_t bytes = 0;
        for (uint32_t i = 0; i < BLOCK_ROWS; i++, row++) {
            for (uint32_t c = skip; c < schema->column_count; c++) {
                if (row == 0 || random_below(calm) == 0) {
                    change(&cells[c], &schema->columns[c], c, longest);
                }
            }
            bytes += row_encode(&one.layout, &writer, cells, block + bytes, &cut);
        }
        ended += take(&one, &many, block, bytes);
    }
    end_groups(&one, &many);
    row_group_deinit(&one.group);
    row_group_deinit(&many.group);
    return ended;
}

static void every_channel_fills_as_row_by_row(void **state)
{
    (void)state;
    random_state = 88172645463325252u;
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        uint32_t skip = schema_has_symbol_path((enum channel)channel) ? 2 : 1;
        for (int ns = 0; ns < 2; ns++) {
            const struct schema *schema = schema_of_with((enum channel)channel, ns == 1);
            for (uint32_t calm = 1; calm < 40; calm *= 6) {
                assert_true(compare(schema, skip, calm, 60) > 0);
            }
        }
    }
}

static void groups_end_where_texts_do(void **state)
{
    (void)state;
    random_state = 5;
    const struct schema *schema = schema_of(CHANNEL_INSTRUMENTS);
    assert_true(compare(schema, 1, 3, ROW_TEXT_BYTES_MAX) > ROWS / 400);
}

/* ---- bytes that are no rows */

static void rows_that_say_what_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct column_spec columns[] = {{"flags", COLUMN_I32, false},
                                                 {"text", COLUMN_TEXT, false}};
    static const struct schema schema = {"test", 1, 2, columns, 0};
    static const uint8_t null_flags[] = {0x01, 0x01};
    static const uint8_t too_large[] = {0x01, 0x20, 0xff, 0xff, 0xff, 0xff, 0x01};
    static const uint8_t text_again[] = {0x00};
    static const uint8_t cut_short[] = {0x01};
    static const uint8_t text_cut_short[] = {0x02, 0x1f, 'l'};
    static const struct {
        const uint8_t *bytes;
        size_t count;
    } bad[] = {{null_flags, sizeof null_flags},
               {too_large, sizeof too_large},
               {text_again, sizeof text_again},
               {cut_short, sizeof cut_short},
               {text_cut_short, sizeof text_cut_short}};
    static struct row_fill fill;
    struct row_group group;
    assert_int_equal(row_group_init(&group, 100, 16, 40, 64 << 10), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        /* a good first row: flags 1, a text too long to be told "again" */
        static const uint8_t first[] = {0x03, 0x09, 0x21, 'l', 'o', 'n', 'g',
                                        ' ',  't',  'e',  'x', 't', '.', '.'};
        row_group_reset(&group, &schema);
        row_fill_begin(&fill, &schema, 0, &group);
        const uint8_t *p = first;
        assert_int_equal(row_fill(&fill, &p, first + sizeof first - 1), 0);
        p = bad[i].bytes;
        assert_int_equal(row_fill(&fill, &p, bad[i].bytes + bad[i].count), MD_ECORRUPT);
    }
    row_group_deinit(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_channel_fills_as_row_by_row),
        cmocka_unit_test(groups_end_where_texts_do),
        cmocka_unit_test(rows_that_say_what_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
