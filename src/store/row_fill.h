#ifndef MD_STORE_ROW_FILL_H
#define MD_STORE_ROW_FILL_H

#include "store/columns.h"
#include "store/row_block.h"

/* Row blocks into a row group, as row_decode() and row_group_append() of each row would do it, but
 * by column: numbers are written with their row; what seldom changes (texts, booleans, nulls, the
 * constants of the partition) when it does, for all the rows since it last did. */

/* One column on its way. A lazy one owes the rows from `from` on: they have `value`. An eager one
 * owes nothing. What it says of nulls is lazy in both. */
struct fill_column {
    void *values;
    uint8_t *valid; /* NULL: not nullable */
    uint64_t value; /* as in the column: i64, the double's bits, boolean, text index */
    uint32_t from, valid_from;
    uint8_t type; /* enum column_type */
    uint8_t code; /* enum row_code */
    bool null, eager;
    bool long_digits; /* a decimal of more than 15 digits: each row with it counts */
};

struct row_fill {
    struct row_layout layout;
    struct row_state state;
    struct row_texts texts;
    struct row_group *group;
    uint32_t coded_bits, long_texts; /* bits as in a row's bitmap: all; long texts, never "again" */
    uint32_t eager_bits, eager_count;
    uint8_t eager[ROW_SLOTS_MAX]; /* column indexes, in order */
    bool columnwise;              /* no two columns share a slot */
    bool seeded;                  /* `columns` follow the group */
    struct cell cells[COLUMNS_MAX];
    struct fill_column columns[COLUMNS_MAX];
};

/* Begins a file. The group is borrowed and must be reset to `schema`. The caller sets the `skip`
 * constant cells of fill->cells before the first row. */
void row_fill_begin(struct row_fill *fill, const struct schema *schema, uint32_t skip,
                    struct row_group *group);
/* Takes rows from *p on, up to `end`, and moves *p on. 0: all taken. MD_EFULL: the next row does
 * not fit the group: end the group, reset it, call again (an empty group takes any row).
 * MD_ECORRUPT: not rows of ours. */
int row_fill(struct row_fill *fill, const uint8_t **p, const uint8_t *end);
/* Writes what is still owed to the group's columns: before the group is read. */
void row_fill_end_group(struct row_fill *fill);

#endif
