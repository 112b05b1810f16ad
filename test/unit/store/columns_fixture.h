#ifndef MD_TEST_COLUMNS_FIXTURE_H
#define MD_TEST_COLUMNS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/columns.h"
#include "store/parquet.h"

/* A file in memory, a schema with a column of every type, and cells in one line. */

struct memory_file {
    char *data;
    size_t bytes, capacity;
    int fail_after; /* writes until one fails with MD_ENOSPC; -1 = never */
    uint32_t writes;
};

static inline int memory_write(void *context, const void *data, size_t bytes)
{
    struct memory_file *file = context;
    file->writes++;
    if (file->fail_after == 0) {
        return MD_ENOSPC;
    }
    file->fail_after -= file->fail_after > 0;
    if (file->bytes + bytes > file->capacity) {
        file->capacity = (file->bytes + bytes) * 2;
        file->data = realloc(file->data, file->capacity);
        assert_non_null(file->data);
    }
    memcpy(file->data + file->bytes, data, bytes);
    file->bytes += bytes;
    return 0;
}

static inline struct file_sink memory_sink(struct memory_file *file)
{
    return (struct file_sink){memory_write, file};
}

enum {
    I64,
    I32,
    TIME,
    F64,
    BOOL,
    TEXT,
    NULL_I64,
    NULL_I32,
    NULL_TIME,
    NULL_F64,
    NULL_BOOL,
    NULL_TEXT,
    NULL_DEC,
    EVERY_COUNT
};

static const struct column_spec every_type[] = {
    {"i64", COLUMN_I64, false},  {"i32", COLUMN_I32, false},    {"time", COLUMN_TIME, false},
    {"f64", COLUMN_F64, false},  {"flag", COLUMN_BOOL, false},  {"text", COLUMN_TEXT, false},
    {"n_i64", COLUMN_I64, true}, {"n_i32", COLUMN_I32, true},   {"n_time", COLUMN_TIME, true},
    {"n_f64", COLUMN_F64, true}, {"n_flag", COLUMN_BOOL, true}, {"n_text", COLUMN_TEXT, true},
    {"n_dec", COLUMN_DEC, true},
};
static const struct schema every_schema = {"every", 1, EVERY_COUNT, every_type, 0};

static inline struct cell cell_null(void)
{
    return (struct cell){.null = true};
}
static inline struct cell cell_i64(int64_t value)
{
    return (struct cell){.i64 = value};
}
static inline struct cell cell_dec(int64_t mantissa, int8_t exponent)
{
    return (struct cell){.dec = {mantissa, exponent}};
}
static inline struct cell cell_text(const char *text)
{
    return (struct cell){.text = {text, strlen(text)}};
}

/* The same six values twice, the decimal a third time; the nullable ones null when `null`. */
static inline void every_cells(struct cell cells[EVERY_COUNT], bool null, int64_t i64, int32_t i32,
                               int64_t time, struct decimal f64, bool flag, const char *text)
{
    cells[I64] = cells[NULL_I64] = cell_i64(i64);
    cells[I32] = cells[NULL_I32] = cell_i64(i32);
    cells[TIME] = cells[NULL_TIME] = cell_i64(time);
    cells[F64] = cells[NULL_F64] = cells[NULL_DEC] = cell_dec(f64.mantissa, f64.exponent);
    cells[BOOL] = cells[NULL_BOOL] = cell_i64(flag);
    cells[TEXT] = cells[NULL_TEXT] = cell_text(text);
    for (int c = NULL_I64; c <= NULL_DEC && null; c++) {
        cells[c] = cell_null();
    }
}

static inline struct str group_text(const struct row_group *group, uint32_t column, uint32_t row)
{
    const struct column *data = &group->columns[column];
    return data->text_values[data->text_index[row]];
}

#define CHECK_TEXT(actual, expected)                            \
    do {                                                        \
        struct str text_ = (actual);                            \
        assert_int_equal(text_.bytes, strlen(expected));        \
        assert_memory_equal(text_.data, expected, text_.bytes); \
    } while (0)

/* Every cell of two groups alike, nulls too. */
static inline void check_groups_equal(const struct row_group *a, const struct row_group *b)
{
    assert_int_equal(a->row_count, b->row_count);
    assert_int_equal(a->schema->column_count, b->schema->column_count);
    for (uint32_t c = 0; c < a->schema->column_count; c++) {
        assert_int_equal(a->schema->columns[c].type, b->schema->columns[c].type);
        assert_string_equal(a->schema->columns[c].name, b->schema->columns[c].name);
        for (uint32_t r = 0; r < a->row_count; r++) {
            const struct column *x = &a->columns[c];
            const struct column *y = &b->columns[c];
            assert_int_equal(x->valid == NULL, y->valid == NULL);
            if (x->valid != NULL) {
                assert_int_equal(x->valid[r], y->valid[r]);
            }
            if (x->valid != NULL && x->valid[r] == 0) {
                continue;
            }
            if (a->schema->columns[c].type == COLUMN_TEXT) {
                assert_true(str_equal(group_text(a, c, r), group_text(b, c, r)));
            } else if (a->schema->columns[c].type == COLUMN_BOOL) {
                assert_int_equal(x->boolean[r], y->boolean[r]);
            } else if (a->schema->columns[c].type == COLUMN_DEC) {
                assert_true(x->dec[r] == y->dec[r]);
            } else {
                assert_true(x->i64[r] == y->i64[r]); /* doubles by their bits */
            }
        }
    }
}

#endif
