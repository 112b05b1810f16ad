/* Hash of rows by value. See values_hash.h.
 * Each column is a chain of its own, so that rows may come in groups of any size; the end folds the
 * chains in the columns' order. */
#include "store/values_hash.h"

#include "base/assert.h"

#define NULL_VALUE 0x9e3779b97f4a7c15U /* stands for null; a value of these bits is told apart */
#define MULTIPLIER 0xff51afd7ed558ccdU

static inline uint64_t chain(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * MULTIPLIER;
    return hash ^ hash >> 32;
}

void values_hash_begin(struct values_hash *hash, const struct schema *schema)
{
    hash->rows = 0;
    hash->column_count = schema->column_count;
    for (uint32_t c = 0; c < schema->column_count; c++) {
        const struct column_spec *spec = &schema->columns[c];
        hash->column[c] = chain(str_hash(str_from(spec->name), c), (uint64_t)spec->type);
    }
}

static uint64_t add_texts(uint64_t hash, const struct row_group *group, uint32_t c)
{
    uint64_t value = 0;
    uint32_t before = UINT32_MAX;
    for (uint32_t r = 0; r < group->row_count; r++) {
        if (row_group_is_null(group, (int)c, r)) {
            hash = chain(chain(hash, NULL_VALUE), 1);
            continue;
        }
        uint32_t index = group->columns[c].text_index[r];
        if (index != before) {
            value = str_hash(group->columns[c].text_values[index], 3);
            before = index;
        }
        hash = chain(hash, value);
    }
    return hash;
}

static uint64_t add_values(uint64_t hash, const struct row_group *group, uint32_t c)
{
    const struct column *column = &group->columns[c];
    enum column_type type = group->schema->columns[c].type;
    for (uint32_t r = 0; r < group->row_count; r++) {
        if (row_group_is_null(group, (int)c, r)) {
            hash = chain(chain(hash, NULL_VALUE), 1);
        } else if (type == COLUMN_DEC) {
            hash = chain(chain(hash, (uint64_t)column->dec[r]), (uint64_t)(column->dec[r] >> 64));
        } else {
            bool is_bool = type == COLUMN_BOOL;
            hash = chain(hash, is_bool ? column->boolean[r] : (uint64_t)column->i64[r]);
        }
    }
    return hash;
}

void values_hash_add(struct values_hash *hash, const struct row_group *group)
{
    ASSERT(group->schema->column_count == hash->column_count);
    for (uint32_t c = 0; c < hash->column_count; c++) {
        enum column_type type = group->schema->columns[c].type;
        hash->column[c] = type == COLUMN_TEXT ? add_texts(hash->column[c], group, c)
                                              : add_values(hash->column[c], group, c);
    }
    hash->rows += group->row_count;
}

uint64_t values_hash_end(const struct values_hash *hash)
{
    uint64_t all = hash->rows;
    for (uint32_t c = 0; c < hash->column_count; c++) {
        all = chain(all, hash->column[c]);
    }
    return all;
}
