#ifndef MD_STORE_CSV_SCHEMA_H
#define MD_STORE_CSV_SCHEMA_H

#include "store/columns.h"

/* Which columns a CSV file has, in which order and under which names: ours, or those of
 * tardis.dev's downloadable CSV files, which hftbacktest, nautilus and others import as they are.
 */

struct csv_column {
    uint16_t index;    /* in the schema */
    int16_t otherwise; /* the column whose value stands where this one is null; -1 = none */
};

struct csv_schema {
    uint32_t count;
    struct csv_column columns[COLUMNS_MAX];
    bool tardis; /* names as tardis writes them */
    /* Rows with one of these bits set in column skip_column are left out; -1 = none. */
    int32_t skip_column;
    int64_t skip_bits;
};

/* `tardis`: a channel that tardis has no file of keeps our columns. */
void csv_schema_init(struct csv_schema *out, const struct schema *schema, bool tardis);
/* The name in the first line; a view into `memory` or into the schema. */
struct str csv_schema_name(const struct csv_schema *csv, const struct schema *schema,
                           uint32_t column, char memory[64]);

#endif
