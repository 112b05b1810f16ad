/* Edit distance for "did you mean": one row of the table, bounded at 64 columns. */
#include "app/nearest.h"

#include <ctype.h>

#define COLUMNS 64

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

uint32_t nearest_distance(struct str a, struct str b)
{
    uint32_t row[COLUMNS];
    size_t rows = a.bytes < COLUMNS ? a.bytes : COLUMNS - 1;
    size_t columns = b.bytes < COLUMNS ? b.bytes : COLUMNS - 1;
    for (size_t j = 0; j <= columns; j++) {
        row[j] = (uint32_t)j;
    }
    for (size_t i = 1; i <= rows; i++) {
        uint32_t diagonal = row[0];
        row[0] = (uint32_t)i;
        for (size_t j = 1; j <= columns; j++) {
            bool same =
                toupper((unsigned char)a.data[i - 1]) == toupper((unsigned char)b.data[j - 1]);
            uint32_t best = least(diagonal + !same, least(row[j], row[j - 1]) + 1);
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[columns];
}
