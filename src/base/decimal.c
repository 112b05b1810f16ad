/* Exact decimals: parsing the venues' number texts, comparing, and the one conversion to double.
 * decimal_parse() runs some forty times for a depth message. Prices and quantities stay exact from
 * the text to the file's encoder: comparing and rescaling never round, and decimal_to_double() is
 * correctly rounded for every mantissa and exponent. A parsed mantissa has at most 18 digits, so it
 * can be negated, and compared at another's scale in 128 bits. Takes no memory. */
#include "base/decimal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/err.h"

#define DIGITS_MAX 18
#define EXPONENT_MAX 38

static const int64_t powers[19] = {1LL,
                                   10LL,
                                   100LL,
                                   1000LL,
                                   10000LL,
                                   100000LL,
                                   1000000LL,
                                   10000000LL,
                                   100000000LL,
                                   1000000000LL,
                                   10000000000LL,
                                   100000000000LL,
                                   1000000000000LL,
                                   10000000000000LL,
                                   100000000000000LL,
                                   1000000000000000LL,
                                   10000000000000000LL,
                                   100000000000000000LL,
                                   1000000000000000000LL};

static const double double_powers[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                         1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                         1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* "e-7" and the like; *at stands behind the e. */
static int parse_exponent(const char *at, const char *end, int *exponent)
{
    bool negative = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    if (at == end) {
        return MD_EPARSE;
    }
    int value = 0;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9') {
            return MD_EPARSE;
        }
        value = value < 10000 ? value * 10 + (*at - '0') : value;
    }
    *exponent = negative ? -value : value;
    return 0;
}

/* The general way: any number of digits, zeros that carry nothing are left away. */
static int parse_long(const char *at, const char *end, bool negative, struct decimal *out)
{
    int64_t mantissa = 0;
    int digits = 0;   /* significant ones taken */
    int zeros = 0;    /* seen after them, not taken yet */
    int fraction = 0; /* places after the point, taken or held back */
    int seen = 0;
    int exponent = 0;
    bool point = false;
    bool too_long = false;
    for (; at < end; at++) {
        if (*at == '.' && !point) {
            point = true;
            continue;
        }
        if (*at == 'e' || *at == 'E') {
            break;
        }
        if (*at < '0' || *at > '9') {
            return MD_EPARSE;
        }
        seen++;
        fraction += point;
        if (*at == '0') {
            zeros += mantissa != 0;
            continue;
        }
        if (digits + zeros + 1 > DIGITS_MAX) {
            too_long = true; /* unless what follows is no number at all */
            continue;
        }
        mantissa = mantissa * powers[zeros + 1] + (*at - '0');
        digits += zeros + 1;
        zeros = 0;
    }
    if (seen == 0 || at[-1] == '.') {
        return MD_EPARSE;
    }
    int scientific = 0;
    if (at < end && parse_exponent(at + 1, end, &scientific) != 0) {
        return MD_EPARSE;
    }
    if (too_long) {
        return MD_ERANGE;
    }
    exponent = scientific - fraction + zeros;
    if (mantissa == 0) {
        exponent = exponent < -EXPONENT_MAX || exponent > EXPONENT_MAX ? 0 : exponent;
    }
    /* keep trailing zeros where they fit, so that a text's scale survives */
    while (zeros > 0 && digits < DIGITS_MAX && mantissa != 0 && exponent > -EXPONENT_MAX) {
        mantissa *= 10;
        digits++;
        zeros--;
        exponent--;
    }
    while (exponent > EXPONENT_MAX && digits < DIGITS_MAX) {
        mantissa *= 10;
        digits++;
        exponent--;
    }
    if (exponent < -EXPONENT_MAX || exponent > EXPONENT_MAX) {
        return MD_ERANGE;
    }
    *out = (struct decimal){negative ? -mantissa : mantissa, (int8_t)exponent};
    return 0;
}

/* A plain loop: 5 ns for 3 characters, 7-8 for "43210.55", 12 for "43210.01000000". Taking 16
 * characters at once by multiplication was tried and took 9-10 ns for any of them. */
int decimal_parse(struct str text, struct decimal *out)
{
    const char *at = text.data;
    const char *end = text.data + text.bytes;
    bool negative = at < end && *at == '-';
    at += negative;
    if (at == end || *at == '.') {
        return MD_EPARSE;
    }
    if (end - at > DIGITS_MAX) { /* with the point, at most 18 digits follow the fast way */
        return parse_long(at, end, negative, out);
    }
    int64_t mantissa = 0;
    const char *p = at;
    for (; p < end && (unsigned char)(*p - '0') < 10; p++) {
        mantissa = mantissa * 10 + (*p - '0');
    }
    int places = 0;
    if (p < end && *p == '.' && p > at) {
        const char *fraction = ++p;
        for (; p < end && (unsigned char)(*p - '0') < 10; p++) {
            mantissa = mantissa * 10 + (*p - '0');
        }
        places = (int)(p - fraction);
        if (places == 0) {
            return MD_EPARSE;
        }
    }
    if (p < end) {
        return parse_long(at, end, negative, out);
    }
    *out = (struct decimal){negative ? -mantissa : mantissa, (int8_t)-places};
    return 0;
}

int decimal_parse_rounded(struct str text, struct decimal *out, bool *rounded)
{
    int code = decimal_parse(text, out);
    *rounded = false;
    if (code != MD_ERANGE) {
        return code;
    }
    const char *at = text.data;
    const char *end = text.data + text.bytes;
    bool negative = *at == '-';
    bool point = false;
    int64_t mantissa = 0;
    int digits = 0, dropped = 0, fraction = 0, first_dropped = 0;
    for (at += negative; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.' && !point) {
            point = true;
            continue;
        }
        if (*at < '0' || *at > '9') {
            return MD_EPARSE;
        }
        fraction += point;
        if (digits < DIGITS_MAX) {
            mantissa = mantissa * 10 + (*at - '0');
            digits += mantissa != 0;
        } else {
            first_dropped = dropped == 0 ? *at - '0' : first_dropped;
            dropped++;
        }
    }
    int scientific = 0;
    if (at < end && parse_exponent(at + 1, end, &scientific) != 0) {
        return MD_EPARSE;
    }
    int exponent = scientific - fraction + dropped;
    if (exponent < -EXPONENT_MAX || exponent > EXPONENT_MAX) {
        return MD_ERANGE;
    }
    mantissa += first_dropped >= 5; /* at most 10^18: fits */
    *out = (struct decimal){negative ? -mantissa : mantissa, (int8_t)exponent};
    *rounded = true;
    return 0;
}

static int digits_in(uint64_t value)
{
    int digits = 1;
    while (digits < 19 && value >= (uint64_t)powers[digits]) {
        digits++;
    }
    return digits;
}

static uint64_t magnitude(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

int decimal_compare(struct decimal a, struct decimal b)
{
    int sign_a = (a.mantissa > 0) - (a.mantissa < 0);
    int sign_b = (b.mantissa > 0) - (b.mantissa < 0);
    if (a.exponent == b.exponent || sign_a != sign_b || sign_a == 0) {
        return sign_a != sign_b ? (sign_a > sign_b) - (sign_a < sign_b)
                                : (a.mantissa > b.mantissa) - (a.mantissa < b.mantissa);
    }
    uint64_t ma = magnitude(a.mantissa), mb = magnitude(b.mantissa);
    int top_a = digits_in(ma) + a.exponent, top_b = digits_in(mb) + b.exponent;
    int by_size = (top_a > top_b) - (top_a < top_b);
    if (by_size == 0) { /* at the finer scale both have at most 19 digits: 128 bits hold them */
        __extension__ typedef unsigned __int128 wide;
        wide wa = ma, wb = mb;
        for (int e = a.exponent; e > b.exponent; e--) {
            wa *= 10;
        }
        for (int e = b.exponent; e > a.exponent; e--) {
            wb *= 10;
        }
        by_size = (wa > wb) - (wa < wb);
    }
    return sign_a > 0 ? by_size : -by_size;
}

/* Not a decimal yet: a mantissa of any size. Loses trailing zeros until it fits. */
static int fit(__int128 mantissa, int exponent, struct decimal *out)
{
    while (mantissa != 0 && mantissa % 10 == 0 &&
           (mantissa >= powers[DIGITS_MAX] || mantissa <= -powers[DIGITS_MAX] ||
            exponent < -EXPONENT_MAX)) {
        mantissa /= 10;
        exponent++;
    }
    if (mantissa >= powers[DIGITS_MAX] || mantissa <= -powers[DIGITS_MAX] ||
        exponent < -EXPONENT_MAX || exponent > EXPONENT_MAX) {
        return MD_ERANGE;
    }
    *out = (struct decimal){(int64_t)mantissa, (int8_t)exponent};
    return 0;
}

int decimal_multiply(struct decimal a, struct decimal b, struct decimal *out)
{
    return fit((__int128)a.mantissa * b.mantissa, a.exponent + b.exponent, out);
}

int decimal_divide(struct decimal a, struct decimal b, int digits, struct decimal *out)
{
    ASSERT(digits > 0 && digits <= DIGITS_MAX);
    if (b.mantissa == 0) {
        return MD_ERANGE;
    }
    bool negative = (a.mantissa < 0) != (b.mantissa < 0);
    unsigned __int128 rest =
        a.mantissa < 0 ? -(unsigned __int128)a.mantissa : (unsigned __int128)a.mantissa;
    unsigned __int128 by =
        b.mantissa < 0 ? -(unsigned __int128)b.mantissa : (unsigned __int128)b.mantissa;
    int exponent = a.exponent - b.exponent;
    /* below 2^64 x 10^18 < 2^128: one digit more than asked for at most */
    while (rest != 0 && rest < by * (unsigned __int128)powers[digits - 1]) {
        rest *= 10;
        exponent--;
    }
    unsigned __int128 quotient = rest / by;
    bool up = rest % by >= by - rest % by;
    while (quotient >= (unsigned __int128)powers[digits]) {
        up = quotient % 10 >= 5;
        quotient /= 10;
        exponent++;
    }
    quotient += up;
    while (quotient != 0 && quotient % 10 == 0) {
        quotient /= 10;
        exponent++;
    }
    return fit(negative ? -(__int128)quotient : (__int128)quotient, quotient == 0 ? 0 : exponent,
               out);
}

int decimal_rescale(struct decimal d, int8_t exponent, int64_t *mantissa)
{
    int64_t value = d.mantissa;
    int steps = d.exponent - exponent;
    if (value == 0) {
        *mantissa = 0;
        return 0;
    }
    for (; steps > 0; steps--) {
        if (__builtin_mul_overflow(value, (int64_t)10, &value)) {
            return MD_ERANGE;
        }
    }
    for (; steps < 0; steps++) {
        if (value % 10 != 0) {
            return MD_ERANGE;
        }
        value /= 10;
    }
    *mantissa = value;
    return 0;
}

static double slow_double(struct decimal d)
{
    char text[40];
    struct buf buf = buf_over(text, sizeof text - 1);
    buf_put_i64(&buf, d.mantissa);
    buf_put_char(&buf, 'e');
    buf_put_i64(&buf, d.exponent);
    text[buf.bytes] = 0;
    return strtod(text, NULL); /* no point in the text: any locale reads it alike */
}

double decimal_to_double(struct decimal d)
{
    uint64_t size = magnitude(d.mantissa);
    if (size <= (1ULL << 53)) { /* both operands exact, so one correctly rounded operation */
        if (d.exponent <= 0 && d.exponent >= -22) {
            return (double)d.mantissa / double_powers[-d.exponent];
        }
        if (d.exponent > 0 && d.exponent <= 22) {
            return (double)d.mantissa * double_powers[d.exponent];
        }
    }
    return slow_double(d);
}

int decimal_digits(struct decimal d)
{
    uint64_t value = magnitude(d.mantissa);
    while (value != 0 && value % 10 == 0) {
        value /= 10;
    }
    return digits_in(value);
}

size_t decimal_format(struct decimal d, char out[DECIMAL_TEXT_MAX])
{
    char digits[24];
    struct buf number = buf_over(digits, sizeof digits);
    buf_put_u64(&number, magnitude(d.mantissa));
    struct buf text = buf_over(out, DECIMAL_TEXT_MAX - 1);
    if (d.mantissa < 0) {
        buf_put_char(&text, '-');
    }
    int whole = (int)number.bytes + (d.exponent < 0 ? d.exponent : 0); /* digits before the point */
    if (whole > 0) {
        buf_put(&text, digits, (size_t)whole);
    } else {
        buf_put_char(&text, '0');
    }
    for (int i = 0; i < d.exponent && d.mantissa != 0; i++) {
        buf_put_char(&text, '0');
    }
    if (d.exponent < 0) {
        buf_put_char(&text, '.');
        for (int i = whole; i < 0; i++) {
            buf_put_char(&text, '0');
        }
        size_t from = whole > 0 ? (size_t)whole : 0;
        buf_put(&text, digits + from, number.bytes - from);
    }
    ASSERT(!text.overflow);
    out[text.bytes] = 0;
    return text.bytes;
}

size_t decimal_format_short(struct decimal d, char out[DECIMAL_TEXT_MAX])
{
    while (d.exponent < 0 && d.mantissa % 10 == 0) {
        d.mantissa /= 10;
        d.exponent++;
    }
    return decimal_format(d, out);
}

#define PLACES_MAX 22 /* 10^22 is the last power of ten that is an exact double */

/* A whole number below 10^15 divided by an exact power of ten is the nearest double to that
 * decimal, and no two such decimals share a double: the first that gives `value` back is the one.
 */
int decimal_from_double(double value, struct decimal *out)
{
    if (!isfinite(value)) {
        return MD_ERANGE;
    }
    double size = fabs(value);
    for (int places = 0; places <= PLACES_MAX; places++) {
        double scaled = size * double_powers[places];
        double whole = floor(scaled + 0.5);
        if (!(whole < 1e15)) {
            break;
        }
        if (whole / double_powers[places] == size) {
            int64_t mantissa = (int64_t)whole;
            *out = (struct decimal){value < 0 ? -mantissa : mantissa, (int8_t)-places};
            return 0;
        }
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        int bytes = snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            return decimal_parse(str_make(text, (size_t)bytes), out);
        }
    }
    return MD_ERANGE;
}
