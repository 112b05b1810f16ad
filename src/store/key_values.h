#ifndef MD_STORE_KEY_VALUES_H
#define MD_STORE_KEY_VALUES_H

#include "exchange/event.h"
#include "store/columns.h"

/* What a file says of itself in its footer, built in place. Too many or too long is an assertion
 * failure: all of it is ours. */

#define KEY_VALUES_MAX 28

struct key_values {
    struct key_value kv[KEY_VALUES_MAX];
    uint32_t count;
    struct buf text;
    char memory[8192];
};

/* Keys are borrowed, values copied. */
void key_values_begin(struct key_values *values);
void key_values_text(struct key_values *values, const char *key, struct str value); /* "" = none */
void key_values_count(struct key_values *values, const char *key, uint64_t value);
void key_values_id(struct key_values *values, const char *key, int64_t value); /* ID_NONE = none */
void key_values_decimal(struct key_values *values, const char *key, struct decimal_opt value);

#endif
