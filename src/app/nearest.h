#ifndef MD_APP_NEAREST_H
#define MD_APP_NEAREST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* Edit distance of two names (insert, delete, replace), ASCII case ignored; only the first 63 bytes
 * count. For "did you mean". */
uint32_t nearest_distance(struct str a, struct str b);

#endif
