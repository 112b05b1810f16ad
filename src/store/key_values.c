/* Footer values, in the order in which they are put. See key_values.h. */
#include "store/key_values.h"

#include "base/assert.h"

void key_values_begin(struct key_values *values)
{
    values->count = 0;
    values->text = buf_over(values->memory, sizeof values->memory);
}

/* The value's text is put by the caller between these two. */
static void value_begin(struct key_values *values, const char *key)
{
    ASSERT(values->count < KEY_VALUES_MAX);
    values->kv[values->count].key = key;
    values->kv[values->count].value = values->memory + values->text.bytes;
}

static void value_end(struct key_values *values)
{
    buf_put_char(&values->text, 0);
    ASSERT(!values->text.overflow);
    values->count++;
}

void key_values_text(struct key_values *values, const char *key, struct str value)
{
    if (value.bytes > 0) {
        value_begin(values, key);
        buf_put_str(&values->text, value);
        value_end(values);
    }
}

void key_values_count(struct key_values *values, const char *key, uint64_t value)
{
    value_begin(values, key);
    buf_put_u64(&values->text, value);
    value_end(values);
}

void key_values_id(struct key_values *values, const char *key, int64_t value)
{
    if (value != ID_NONE) {
        value_begin(values, key);
        buf_put_i64(&values->text, value);
        value_end(values);
    }
}

void key_values_decimal(struct key_values *values, const char *key, struct decimal_opt value)
{
    if (value.set) {
        char text[DECIMAL_TEXT_MAX];
        size_t bytes = decimal_format(value.value, text);
        key_values_text(values, key, str_make(text, bytes));
    }
}
