/* The general scanner: strict JSON (RFC 8259), validated in one pass without copies. Depth is
 * bounded by SCAN_DEPTH_MAX, work by the message's length. */
#include "exchange/scan.h"

#include "base/assert.h"

static void skip_blanks(struct scan *scan)
{
    while (scan->p < scan->end &&
           (*scan->p == ' ' || *scan->p == '\t' || *scan->p == '\n' || *scan->p == '\r')) {
        scan->p++;
    }
}

static inline void skip_space(struct scan *scan)
{
    if (scan->p < scan->end && *scan->p <= ' ') { /* hardly ever */
        skip_blanks(scan);
    }
}

void scan_space(struct scan *scan)
{
    skip_space(scan);
}

bool scan_at_end(struct scan *scan)
{
    skip_space(scan);
    return scan->p == scan->end;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Length of a well-formed UTF-8 sequence at p, 0 if it is none (Unicode table 3-7). */
static size_t utf8_length(const unsigned char *p, const unsigned char *end)
{
    size_t left = (size_t)(end - p);
    if (p[0] < 0x80) {
        return 1;
    }
    size_t n = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
               : (p[0] & 0xf0) == 0xe0        ? 3
               : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                              : 0;
    if (n == 0 || n > left) {
        return 0;
    }
    unsigned char low = 0x80, high = 0xbf;
    low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : low;
    high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : high;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

static bool skip_escape(const char **at, const char *end)
{
    const char *p = *at + 1;
    if (p == end) {
        return false;
    }
    if (*p != 'u') {
        *at = p + 1;
        return memchr("\"\\/bfnrt", *p, 8) != NULL;
    }
    if (end - p < 5) {
        return false;
    }
    for (int i = 1; i <= 4; i++) {
        if (hex_value(p[i]) < 0) {
            return false;
        }
    }
    *at = p + 5;
    return true;
}

/* ---- strings, eight bytes at a time. The lowest bit set marks the first byte that is meant; bits
 * above it may be set for nothing, since a borrow runs upwards. */

#define EACH(byte) (0x0101010101010101ULL * (byte))

static inline uint64_t bytes_below(uint64_t v, uint8_t limit)
{
    return (v - EACH(limit)) & ~v & EACH(0x80);
}

static inline uint64_t bytes_equal(uint64_t v, char c)
{
    return bytes_below(v ^ EACH((uint8_t)c), 1);
}

static inline const char *first_of(const char *p, uint64_t marks)
{
    return p + __builtin_ctzll(marks) / 8;
}

/* Behind the bytes that stand for themselves within a string: ASCII but quote, backslash, control
 * characters. */
static inline const char *skip_plain(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t v = load_u64(p);
        uint64_t marks =
            bytes_equal(v, '"') | bytes_equal(v, '\\') | bytes_below(v, 0x20) | (v & EACH(0x80));
        if (marks != 0) {
            return first_of(p, marks);
        }
        p += 8;
    }
    while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' &&
           *p != '\\') {
        p++;
    }
    return p;
}

/* The next quote or backslash; `end`: there is none. */
static inline const char *find_quote(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t v = load_u64(p);
        uint64_t marks = bytes_equal(v, '"') | bytes_equal(v, '\\');
        if (marks != 0) {
            return first_of(p, marks);
        }
        p += 8;
    }
    while (p < end && *p != '"' && *p != '\\') {
        p++;
    }
    return p;
}

static bool read_string(struct scan *scan, struct scan_value *out)
{
    const char *p = scan->p + 1;
    out->type = SCAN_STRING;
    out->escaped = false;
    while ((p = skip_plain(p, scan->end)) < scan->end) {
        unsigned char c = (unsigned char)*p;
        if (c == '"') {
            out->text = str_make(scan->p + 1, (size_t)(p - scan->p - 1));
            scan->p = p + 1;
            return true;
        }
        if (c < 0x20) {
            return false;
        }
        if (c == '\\') {
            out->escaped = true;
            if (!skip_escape(&p, scan->end)) {
                return false;
            }
            continue;
        }
        size_t n = utf8_length((const unsigned char *)p, (const unsigned char *)scan->end);
        if (n == 0) {
            return false;
        }
        p += n;
    }
    return false;
}

static const char *digits_from(const char *p, const char *end)
{
    while (p < end && (unsigned char)(*p - '0') < 10) {
        p++;
    }
    return p;
}

static bool read_number(struct scan *scan, struct scan_value *out)
{
    const char *p = scan->p;
    p += *p == '-';
    const char *whole = p;
    p = digits_from(p, scan->end);
    if (p == whole || (*whole == '0' && p - whole > 1)) {
        return false;
    }
    if (p < scan->end && *p == '.') {
        const char *fraction = ++p;
        p = digits_from(p, scan->end);
        if (p == fraction) {
            return false;
        }
    }
    if (p < scan->end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < scan->end && (*p == '+' || *p == '-');
        const char *exponent = p;
        p = digits_from(p, scan->end);
        if (p == exponent) {
            return false;
        }
    }
    out->type = SCAN_NUMBER;
    out->text = str_make(scan->p, (size_t)(p - scan->p));
    scan->p = p;
    return true;
}

static bool read_scalar(struct scan *scan, struct scan_value *out)
{
    out->escaped = false;
    if (scan->p == scan->end) {
        return false;
    }
    switch (*scan->p) {
    case '"':
        return read_string(scan, out);
    case 't':
        out->type = SCAN_TRUE;
        return scan_expect(scan, "true");
    case 'f':
        out->type = SCAN_FALSE;
        return scan_expect(scan, "false");
    case 'n':
        out->type = SCAN_NULL;
        return scan_expect(scan, "null");
    default:
        return (*scan->p == '-' || (*scan->p >= '0' && *scan->p <= '9')) && read_number(scan, out);
    }
}

/* Reads `"key" :`. */
static bool read_key(struct scan *scan, struct scan_value *key)
{
    skip_space(scan);
    if (scan->p == scan->end || *scan->p != '"' || !read_string(scan, key)) {
        return false;
    }
    skip_space(scan);
    return scan_expect(scan, ":");
}

/* One container with all in it. `kinds` is a bit a level: 1 = object. */
static bool read_container(struct scan *scan)
{
    uint64_t kinds = 0;
    int depth = 0;
    for (;;) { /* at the beginning of a value */
        struct scan_value ignored;
        skip_space(scan);
        bool opened = scan->p < scan->end && (*scan->p == '{' || *scan->p == '[');
        if (opened) {
            if (++depth > SCAN_DEPTH_MAX) {
                return false;
            }
            bool object = *scan->p++ == '{';
            kinds = kinds << 1 | object;
            skip_space(scan);
            bool empty = scan->p < scan->end && *scan->p == (object ? '}' : ']');
            if (!empty) {
                if (object && !read_key(scan, &ignored)) {
                    return false;
                }
                continue;
            }
        } else if (!read_scalar(scan, &ignored)) {
            return false;
        }
        for (;;) { /* behind a value, or at the end of an empty container */
            skip_space(scan);
            if (scan->p == scan->end) {
                return false;
            }
            bool object = (kinds & 1) != 0;
            if (*scan->p == (object ? '}' : ']')) {
                scan->p++;
                kinds >>= 1;
                if (--depth == 0) {
                    return true;
                }
                continue;
            }
            if (*scan->p != ',') {
                return false;
            }
            scan->p++;
            if (object && !read_key(scan, &ignored)) {
                return false;
            }
            break;
        }
    }
}

bool scan_value(struct scan *scan, struct scan_value *out)
{
    skip_space(scan);
    if (scan->p == scan->end) {
        return false;
    }
    if (*scan->p != '{' && *scan->p != '[') {
        return read_scalar(scan, out);
    }
    const char *start = scan->p;
    out->type = *start == '{' ? SCAN_OBJECT : SCAN_ARRAY;
    out->escaped = false;
    if (!read_container(scan)) {
        return false;
    }
    out->text = str_make(start, (size_t)(scan->p - start));
    return true;
}

struct scan scan_enter(const struct scan_value *container)
{
    ASSERT(container->type == SCAN_OBJECT || container->type == SCAN_ARRAY);
    return (struct scan){container->text.data + 1,
                         container->text.data + container->text.bytes - 1};
}

/* ---- what scan_value() has validated is found by its ends and not read again. The bounds are
 * checked all the same: nobody else's mistake shall lead out of the text. */

static bool skip_comma(struct scan *scan)
{
    skip_space(scan);
    if (scan->p < scan->end && *scan->p == ',') {
        scan->p++;
        skip_space(scan);
    }
    return scan->p < scan->end;
}

/* `p` is behind the opening quote; returns the closing one, or `end`. */
static inline const char *end_of_string(const char *p, const char *end, bool *escaped)
{
    while ((p = find_quote(p, end)) < end && *p == '\\') {
        *escaped = true;
        p = end - p > 2 ? p + 2 : end;
    }
    return p;
}

static bool known_string(struct scan *scan, struct scan_value *out)
{
    const char *start = scan->p + 1;
    out->type = SCAN_STRING;
    out->escaped = false;
    const char *quote = end_of_string(start, scan->end, &out->escaped);
    out->text = str_make(start, (size_t)(quote - start));
    scan->p = quote + (quote < scan->end);
    return quote < scan->end;
}

static bool known_container(struct scan *scan, struct scan_value *out)
{
    const char *start = scan->p;
    const char *end = scan->end;
    const char *p = start;
    int depth = 0;
    bool ignored = false;
    out->type = *start == '{' ? SCAN_OBJECT : SCAN_ARRAY;
    out->escaped = false;
    do {
        char c = *p++;
        if (c == '"') {
            p = end_of_string(p, end, &ignored);
            p += p < end;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    } while (depth > 0 && p < end);
    out->text = str_make(start, (size_t)(p - start));
    scan->p = p;
    return depth == 0;
}

static bool known_value(struct scan *scan, struct scan_value *out)
{
    skip_space(scan);
    if (scan->p == scan->end) {
        return false;
    }
    switch (*scan->p) {
    case '"':
        return known_string(scan, out);
    case '{':
    case '[':
        return known_container(scan, out);
    default:
        return read_scalar(scan, out);
    }
}

bool scan_member(struct scan *scan, struct scan_value *key, struct scan_value *value)
{
    if (!skip_comma(scan) || *scan->p != '"' || !known_string(scan, key)) {
        return false;
    }
    skip_space(scan);
    return scan_expect(scan, ":") && known_value(scan, value);
}

bool scan_element(struct scan *scan, struct scan_value *value)
{
    return skip_comma(scan) && known_value(scan, value);
}

static bool is_key(struct str name, struct str key)
{
    return name.bytes == key.bytes && name.bytes > 0 && name.data[0] == key.data[0] &&
           (name.bytes == 1 || memcmp(name.data, key.data, name.bytes) == 0);
}

void scan_find(const struct scan_value *object, const struct str *keys, uint32_t count,
               struct scan_value *values)
{
    ASSERT(count <= 32);
    for (uint32_t i = 0; i < count; i++) {
        values[i].type = SCAN_NONE;
    }
    struct scan scan = scan_enter(object);
    struct scan_value key, value;
    while (scan_member(&scan, &key, &value)) {
        char undone[64];
        struct str name = key.text;
        if (key.escaped && !scan_value_string(&key, undone, sizeof undone, &name)) {
            continue;
        }
        for (uint32_t i = 0; i < count; i++) {
            if (is_key(name, keys[i])) {
                values[i] = value;
                break;
            }
        }
    }
}

bool scan_value_i64(const struct scan_value *value, int64_t *out)
{
    if (value->type != SCAN_NUMBER && value->type != SCAN_STRING) {
        return false;
    }
    const char *p = value->text.data;
    const char *end = p + value->text.bytes;
    bool negative = p < end && *p == '-';
    p += negative;
    if (p == end) {
        return false;
    }
    int64_t result = 0;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(result, (int64_t)10, &result) ||
            __builtin_sub_overflow(result, (int64_t)(*p - '0'), &result)) {
            return false;
        }
    }
    if (!negative && result == INT64_MIN) {
        return false;
    }
    *out = negative ? result : -result;
    return true;
}

bool scan_value_decimal(const struct scan_value *value, struct str *out)
{
    *out = value->text;
    return (value->type == SCAN_NUMBER || value->type == SCAN_STRING) && !value->escaped;
}

static uint32_t unit_at(const char *p)
{
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        unit = unit * 16 + (uint32_t)hex_value(p[i]);
    }
    return unit;
}

static void put_utf8(struct buf *out, uint32_t code)
{
    if (code < 0x80) {
        buf_put_char(out, (char)code);
    } else if (code < 0x800) {
        buf_put_char(out, (char)(0xc0 | code >> 6));
        buf_put_char(out, (char)(0x80 | (code & 0x3f)));
    } else if (code < 0x10000) {
        buf_put_char(out, (char)(0xe0 | code >> 12));
        buf_put_char(out, (char)(0x80 | (code >> 6 & 0x3f)));
        buf_put_char(out, (char)(0x80 | (code & 0x3f)));
    } else {
        buf_put_char(out, (char)(0xf0 | code >> 18));
        buf_put_char(out, (char)(0x80 | (code >> 12 & 0x3f)));
        buf_put_char(out, (char)(0x80 | (code >> 6 & 0x3f)));
        buf_put_char(out, (char)(0x80 | (code & 0x3f)));
    }
}

/* p is behind "\u"; returns behind what was read. */
static const char *put_unit(struct buf *out, const char *p, const char *end)
{
    uint32_t code = unit_at(p);
    p += 4;
    if (code >= 0xd800 && code <= 0xdbff && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
        uint32_t low = unit_at(p + 2);
        if (low >= 0xdc00 && low <= 0xdfff) {
            put_utf8(out, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
            return p + 6;
        }
    }
    put_utf8(out, code >= 0xd800 && code <= 0xdfff ? 0xfffd : code);
    return p;
}

bool scan_value_string(const struct scan_value *value, char *out, size_t capacity, struct str *text)
{
    if (value->type != SCAN_STRING) {
        return false;
    }
    if (!value->escaped) {
        *text = value->text;
        return value->text.bytes <= capacity;
    }
    struct buf undone = buf_over(out, capacity);
    const char *end = value->text.data + value->text.bytes;
    for (const char *p = value->text.data; p < end;) {
        if (*p != '\\') {
            buf_put_char(&undone, *p++);
            continue;
        }
        p++;
        char c = *p++;
        if (c == 'u') {
            p = put_unit(&undone, p, end);
            continue;
        }
        c = c == 'n'   ? '\n'
            : c == 't' ? '\t'
            : c == 'r' ? '\r'
            : c == 'b' ? '\b'
            : c == 'f' ? '\f'
                       : c;
        buf_put_char(&undone, c);
    }
    *text = buf_view(&undone);
    return !undone.overflow;
}
