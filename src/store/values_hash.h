#ifndef MD_STORE_VALUES_HASH_H
#define MD_STORE_VALUES_HASH_H

#include "store/columns.h"

/* A 64-bit hash over the values of rows, in their order: the same for the same rows however they
 * lie in row groups, pages, encodings and files; another when a value, a null, a row, two rows'
 * order or a column's name or type differs (but for one chance in 2^64). Not for enemies: it shows
 * that merging lost and altered nothing. */

struct values_hash {
    uint64_t rows;
    uint32_t column_count;
    uint64_t column[COLUMNS_MAX];
};

void values_hash_begin(struct values_hash *hash, const struct schema *schema);
/* `group` has the columns of begin's schema. */
void values_hash_add(struct values_hash *hash, const struct row_group *group);
uint64_t values_hash_end(const struct values_hash *hash);

#endif
