/* The bounded builder and varints: texts, paths, journal records and row blocks are put together
 * here, always over memory the caller owns. A write that does not fit sets `overflow` and changes
 * nothing, then and from then on: callers look once, at the end. Takes no memory; buf_printf() has
 * 1 KiB of stack for the common case and formats longer texts in place. */
#include <stdarg.h>
#include <stdio.h>

#include "base/str.h"

void buf_reset(struct buf *buf)
{
    buf->bytes = 0;
    buf->overflow = false;
}

void buf_put(struct buf *buf, const void *data, size_t bytes)
{
    if (buf->overflow || bytes > buf->capacity - buf->bytes) {
        buf->overflow = true;
        return;
    }
    if (bytes > 0) {
        memcpy(buf->data + buf->bytes, data, bytes);
        buf->bytes += bytes;
    }
}

void buf_put_char(struct buf *buf, char c)
{
    buf_put(buf, &c, 1);
}

void buf_put_str(struct buf *buf, struct str s)
{
    buf_put(buf, s.data, s.bytes);
}

void buf_put_u64(struct buf *buf, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_put(buf, digits + at, sizeof digits - at);
}

void buf_put_i64(struct buf *buf, int64_t value)
{
    char digits[21];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        digits[--at] = '-';
    }
    buf_put(buf, digits + at, sizeof digits - at);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    if (buf->overflow) {
        return;
    }
    char small[1024];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(small, sizeof small, format, arguments);
    va_end(arguments);
    if (n < 0) {
        buf->overflow = true;
    } else if ((size_t)n < sizeof small) {
        buf_put(buf, small, (size_t)n);
    } else if ((size_t)n < buf->capacity - buf->bytes) { /* room for the terminator too */
        va_start(arguments, format);
        vsnprintf(buf->data + buf->bytes, (size_t)n + 1, format, arguments);
        va_end(arguments);
        buf->bytes += (size_t)n;
    } else {
        buf->overflow = true;
    }
}

struct str buf_view(const struct buf *buf)
{
    return str_make(buf->data, buf->bytes);
}

size_t varint_put(uint8_t *p, uint64_t value)
{
    size_t n = 0;
    while (value >= 0x80) {
        p[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    p[n++] = (uint8_t)value;
    return n;
}

size_t varint_get(const uint8_t *p, const uint8_t *end, uint64_t *value)
{
    uint64_t result = 0;
    for (size_t n = 0; p + n < end && n < 10; n++) {
        uint64_t bits = p[n] & 0x7f;
        if (n == 9 && bits > 1) {
            return 0; /* more than 64 bits */
        }
        result |= bits << (7 * n);
        if ((p[n] & 0x80) == 0) {
            *value = result;
            return n + 1;
        }
    }
    return 0;
}
