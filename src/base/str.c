/* Hostile text made safe to print, and names from outside made safe path components. Symbols and
 * reasons come from venues: both may hold any byte, and the one must not write to a terminal nor
 * the other outside of its folder (faults.md row 16). The component of a name is one to one up to
 * 200 bytes: the decoder takes nothing but what the encoder writes. Components are on disk, so
 * their form may not change. Takes no memory. */
#include "base/str.h"

#include "base/err.h"

#define COMPONENT_BYTES_MAX 200
#define HASH_TAIL_BYTES 18 /* %~ and 16 digits */

static const char hex_digits[] = "0123456789ABCDEF";

size_t str_printable(char *out, size_t out_capacity, const void *data, size_t bytes)
{
    const unsigned char *in = data;
    size_t n = 0;
    if (out_capacity == 0) {
        return 0;
    }
    for (size_t i = 0; i < bytes; i++) {
        char piece[4];
        size_t length = 1;
        piece[0] = (char)in[i];
        if (in[i] == '\\') {
            piece[1] = '\\';
            length = 2;
        } else if (in[i] < 0x20 || in[i] > 0x7e) {
            piece[0] = '\\';
            piece[1] = 'x';
            piece[2] = hex_digits[in[i] >> 4];
            piece[3] = hex_digits[in[i] & 15];
            length = 4;
        }
        if (n + length >= out_capacity) {
            break;
        }
        memcpy(out + n, piece, length);
        n += length;
    }
    out[n] = 0;
    return n;
}

static bool passes(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || (c == '.' && !first);
}

/* No name at all, and the one name whose escape would read the same. */
#define EMPTY_NAME "%00empty"
#define NUL_EMPTY_NAME "%00%65mpty"

size_t str_path_component(char out[256], struct str name)
{
    if (name.bytes == 0) {
        memcpy(out, EMPTY_NAME, sizeof EMPTY_NAME);
        return sizeof EMPTY_NAME - 1;
    }
    if (str_equal(name, STR("\0empty"))) {
        memcpy(out, NUL_EMPTY_NAME, sizeof NUL_EMPTY_NAME);
        return sizeof NUL_EMPTY_NAME - 1;
    }
    size_t n = 0;
    size_t cut_at = 0; /* longest whole prefix that leaves room for the hash */
    for (size_t i = 0; i < name.bytes; i++) {
        char c = name.data[i];
        size_t length = passes(c, i == 0) ? 1 : 3;
        if (n + length > COMPONENT_BYTES_MAX) {
            out[cut_at] = '%';
            out[cut_at + 1] = '~';
            uint64_t hash = str_hash(name, 0);
            for (size_t d = 0; d < 16; d++) {
                out[cut_at + 2 + d] = hex_digits[(hash >> (60 - 4 * d)) & 15];
            }
            out[cut_at + HASH_TAIL_BYTES] = 0;
            return cut_at + HASH_TAIL_BYTES;
        }
        if (length == 1) {
            out[n] = c;
        } else {
            out[n] = '%';
            out[n + 1] = hex_digits[(unsigned char)c >> 4];
            out[n + 2] = hex_digits[(unsigned char)c & 15];
        }
        n += length;
        if (n <= COMPONENT_BYTES_MAX - HASH_TAIL_BYTES) {
            cut_at = n;
        }
    }
    out[n] = 0;
    return n;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int str_path_decode(struct str component, char *out, size_t out_capacity, size_t *out_bytes)
{
    *out_bytes = 0;
    if (str_equal(component, STR(EMPTY_NAME))) {
        return 0;
    }
    if (str_equal(component, STR(NUL_EMPTY_NAME))) {
        component = STR("%00empty"); /* below, its bytes are read one by one */
    }
    if (component.bytes == 0 || component.bytes > COMPONENT_BYTES_MAX) {
        return MD_EPARSE;
    }
    size_t n = 0;
    for (size_t i = 0; i < component.bytes; i++) {
        char c = component.data[i];
        if (c == '%') {
            if (i + 1 < component.bytes && component.data[i + 1] == '~') {
                return MD_ENOTSUP;
            }
            int high = i + 2 < component.bytes ? hex_value(component.data[i + 1]) : -1;
            int low = i + 2 < component.bytes ? hex_value(component.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return MD_EPARSE;
            }
            c = (char)(high * 16 + low);
            if (passes(c, i == 0)) {
                return MD_EPARSE; /* never written that way: the mapping is one to one */
            }
            i += 2;
        } else if (!passes(c, i == 0)) {
            return MD_EPARSE;
        }
        if (n == out_capacity) {
            return MD_ETOOBIG;
        }
        out[n++] = c;
    }
    *out_bytes = n;
    return 0;
}
