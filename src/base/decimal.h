#ifndef MD_BASE_DECIMAL_H
#define MD_BASE_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* An exact decimal: mantissa x 10^exponent. As received: "0.3500" is {3500, -4}; comparing treats
 * {35, -2} as equal. */
struct decimal {
    int64_t mantissa;
    int8_t exponent; /* -38 .. 38 */
};

/* Reads an optional minus, digits, an optional fraction and an optional exponent (1.5e-7), as
 * venues send them. No blanks, no leading '+', a digit before the point and after it. The scale
 * stays as received while 18 digits hold it; beyond them, trailing zeros go. MD_ERANGE when the
 * value wants more than 18 significant digits or an exponent outside -38 .. 38; anything else is
 * MD_EPARSE. `out` is written on success only. */
int decimal_parse(struct str text, struct decimal *out);
/* The same, but a value of more than 18 significant digits is rounded (half away from zero) to 18
 * and *rounded is set: for totals (volumes, turnover) that some venues send longer than any price.
 * Its mantissa can be 10^18 exactly; its double can be one unit in the last place off the text's.
 */
int decimal_parse_rounded(struct str text, struct decimal *out, bool *rounded);
/* -1, 0, 1; exact for any two values. */
int decimal_compare(struct decimal a, struct decimal b);
static inline bool decimal_is_zero(struct decimal d)
{
    return d.mantissa == 0;
}
/* Exact; MD_ERANGE when the product wants more than 18 digits or another exponent. */
int decimal_multiply(struct decimal a, struct decimal b, struct decimal *out);
/* a / b to `digits` (1 .. 18) significant digits, rounded half away from zero, without trailing
 * zeros. MD_ERANGE: b is 0, or the exponent does not fit. */
int decimal_divide(struct decimal a, struct decimal b, int digits, struct decimal *out);
/* Rescales to `exponent` exactly; MD_ERANGE when digits would be lost or the mantissa overflows. */
int decimal_rescale(struct decimal d, int8_t exponent, int64_t *mantissa);
/* The nearest double (ties to even), whatever the mantissa and exponent. */
double decimal_to_double(struct decimal d);
/* The decimal of fewest digits that decimal_to_double() makes `value` of: exactly what was there
 * before, if it had 15 digits or fewer. MD_ERANGE: not a number, or infinite. */
int decimal_from_double(double value, struct decimal *out);
/* Significant digits without trailing zeros: {3500,-4} has 2; 0 has 1. */
int decimal_digits(struct decimal d);
/* Plain notation, never an exponent: {3500,-4} is "0.3500", {5,2} is "500". Returns the length;
 * `out` must hold DECIMAL_TEXT_MAX bytes. */
#define DECIMAL_TEXT_MAX 64
size_t decimal_format(struct decimal d, char out[DECIMAL_TEXT_MAX]);
/* The same without trailing zeros of the fraction. */
size_t decimal_format_short(struct decimal d, char out[DECIMAL_TEXT_MAX]);

#endif
