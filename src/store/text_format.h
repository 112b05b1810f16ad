#ifndef MD_STORE_TEXT_FORMAT_H
#define MD_STORE_TEXT_FORMAT_H

#include <stddef.h>
#include <stdint.h>

/* Numbers and times as text, for the text formats and for `inspect`. Each returns the length; `out`
 * is not terminated. */

#define TEXT_FORMAT_MAX 40

/* The shortest decimal text that reads back as the same double: 0.1, 63100.5, 1e-07. Not a number
 * and the infinities are "null": no text format has them. */
size_t text_format_double(double value, char out[TEXT_FORMAT_MAX]);
/* Microseconds since 1970 as 2026-11-23T09:00:00.123456Z, any int64. */
size_t text_format_time(int64_t unix_us, char out[TEXT_FORMAT_MAX]);
size_t text_format_i64(int64_t value, char out[TEXT_FORMAT_MAX]);

#endif
