#ifndef MD_EXCHANGE_SCAN_H
#define MD_EXCHANGE_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/decimal.h"
#include "base/str.h"

/* Forward-only JSON scanner over one whole message. The predicted calls (scan_expect and friends)
 * read the key order a venue is known to send and fail softly at the first surprise; the general
 * calls read any well-formed JSON. Nothing is copied, nothing is allocated. */
struct scan {
    const char *p;
    const char *end;
};

static inline struct scan scan_of(struct str text)
{
    return (struct scan){text.data, text.data + text.bytes};
}

static inline bool scan_expect_bytes(struct scan *scan, const char *text, size_t bytes)
{
    if ((size_t)(scan->end - scan->p) < bytes || memcmp(scan->p, text, bytes) != 0) {
        return false;
    }
    scan->p += bytes;
    return true;
}

/* Predicted: these very bytes come next. `literal` is a string literal. */
#define scan_expect(scan, literal) scan_expect_bytes((scan), (literal), sizeof(literal) - 1)

/* Predicted: the text up to the closing quote (the opening one is read already), which is skipped.
 * A backslash or control character is a surprise. */
static inline bool scan_text(struct scan *scan, struct str *out)
{
    const char *p = scan->p;
    while (p < scan->end && *p != '"') {
        if (*p == '\\' || (unsigned char)*p < 0x20 || (unsigned char)*p >= 0x80) {
            return false;
        }
        p++;
    }
    if (p == scan->end) {
        return false;
    }
    *out = str_make(scan->p, (size_t)(p - scan->p));
    scan->p = p + 1;
    return true;
}

/* Predicted: a whole number of at most 18 digits without leading zeros, perhaps negative. */
static inline bool scan_i64(struct scan *scan, int64_t *out)
{
    const char *p = scan->p;
    bool negative = p < scan->end && *p == '-';
    p += negative;
    const char *digits = p;
    int64_t value = 0;
    while (p < scan->end && (unsigned char)(*p - '0') < 10 && p - digits < 18) {
        value = value * 10 + (*p - '0');
        p++;
    }
    bool longer = p < scan->end && (unsigned char)(*p - '0') < 10;
    if (p == digits || longer || (*digits == '0' && p - digits > 1)) {
        return false;
    }
    *out = negative ? -value : value;
    scan->p = p;
    return true;
}

/* A plain decimal of at most 18 digits, perhaps negative, up to the first byte that is not of it.
 */
static inline bool scan_digits(struct scan *scan, struct decimal *out)
{
    const char *p = scan->p;
    const char *end = scan->end;
    bool negative = p < end && *p == '-';
    p += negative;
    uint64_t mantissa = 0;
    const char *whole = p;
    while (p < end && (unsigned char)(*p - '0') < 10) {
        mantissa = mantissa * 10 + (uint64_t)(*p++ - '0');
    }
    size_t digits = (size_t)(p - whole);
    size_t places = 0;
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        while (p < end && (unsigned char)(*p - '0') < 10) {
            mantissa = mantissa * 10 + (uint64_t)(*p++ - '0');
        }
        places = (size_t)(p - fraction);
        if (places == 0) {
            return false;
        }
    }
    if (digits == 0 || digits + places > 18) {
        return false;
    }
    *out =
        (struct decimal){negative ? -(int64_t)mantissa : (int64_t)mantissa, (int8_t) - (int)places};
    scan->p = p;
    return true;
}

/* Predicted: such a decimal up to the closing quote, which is skipped: parsed in the same pass that
 * looks for the quote. */
static inline bool scan_decimal(struct scan *scan, struct decimal *out)
{
    if (!scan_digits(scan, out) || scan->p == scan->end || *scan->p != '"') {
        return false;
    }
    scan->p++;
    return true;
}

/* Predicted: such a decimal as a JSON number (no leading zeros); what follows is the caller's. */
static inline bool scan_number(struct scan *scan, struct decimal *out)
{
    const char *first = scan->p + (scan->p < scan->end && *scan->p == '-');
    bool zero = scan->end - first > 1 && first[0] == '0' && (unsigned char)(first[1] - '0') < 10;
    return !zero && scan_digits(scan, out);
}

/* ---- general */

enum scan_type {
    SCAN_NONE,
    SCAN_OBJECT,
    SCAN_ARRAY,
    SCAN_STRING,
    SCAN_NUMBER,
    SCAN_TRUE,
    SCAN_FALSE,
    SCAN_NULL
};

struct scan_value {
    enum scan_type type;
    struct str text; /* STRING: between the quotes, escapes as sent; NUMBER: its text; OBJECT and
                        ARRAY: with their brackets */
    bool escaped;    /* STRING holds a backslash */
};

#define SCAN_DEPTH_MAX 32

void scan_space(struct scan *scan);
/* Reads one value, validating all of it (strings' escapes and UTF-8, numbers' grammar, nesting up
 * to SCAN_DEPTH_MAX). False: not well-formed. */
bool scan_value(struct scan *scan, struct scan_value *out);
/* True when only blanks are left. */
bool scan_at_end(struct scan *scan);

/* Walks an object or array that scan_value() has validated. */
struct scan scan_enter(const struct scan_value *container);
/* The next member; false at the end. `key` is as sent, escapes not undone. */
bool scan_member(struct scan *scan, struct scan_value *key, struct scan_value *value);
bool scan_element(struct scan *scan, struct scan_value *value);
/* Finds each of `keys` (count at most 32) among an object's members in one walk; absent ones get
 * SCAN_NONE. Of a repeated key the last counts. */
void scan_find(const struct scan_value *object, const struct str *keys, uint32_t count,
               struct scan_value *values);

/* A whole number written as number or as string; 64 bits exact. */
bool scan_value_i64(const struct scan_value *value, int64_t *out);
/* The text of a decimal, whether sent as number or as string. */
bool scan_value_decimal(const struct scan_value *value, struct str *out);
/* A string with its escapes undone into `out` (UTF-8; lone surrogates become U+FFFD). Without
 * escapes nothing is copied. False: not a string, or longer than `capacity`. */
bool scan_value_string(const struct scan_value *value, char *out, size_t capacity,
                       struct str *text);

#endif
