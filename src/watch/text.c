/* Escaping, byte by byte; runs of plain bytes are copied whole. */
#include "watch/text.h"

#define REPLACEMENT STR("\xef\xbf\xbd")

/* Bytes of the UTF-8 character at `p`, 0 when it is none (overlong, surrogate, cut, too high). */
static size_t utf8_bytes(const unsigned char *p, size_t left)
{
    static const struct {
        unsigned char mask, lead, least_second, most_second;
        size_t bytes;
    } forms[] = {
        {0xff, 0xe0, 0xa0, 0xbf, 3}, {0xff, 0xed, 0x80, 0x9f, 3}, {0xff, 0xf0, 0x90, 0xbf, 4},
        {0xff, 0xf4, 0x80, 0x8f, 4}, {0xe0, 0xc0, 0x80, 0xbf, 2}, {0xf0, 0xe0, 0x80, 0xbf, 3},
        {0xf8, 0xf0, 0x80, 0xbf, 4},
    };
    if (p[0] == 0xc0 || p[0] == 0xc1 || p[0] > 0xf4) {
        return 0;
    }
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if ((p[0] & forms[i].mask) != forms[i].lead) {
            continue;
        }
        bool good =
            left >= forms[i].bytes && p[1] >= forms[i].least_second && p[1] <= forms[i].most_second;
        for (size_t k = 2; good && k < forms[i].bytes; k++) {
            good = p[k] >= 0x80 && p[k] <= 0xbf;
        }
        return good ? forms[i].bytes : 0;
    }
    return 0;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void put_special(struct buf *out, unsigned char c, bool json)
{
    if (c == '"' || c == '\\') {
        buf_put_char(out, '\\');
        buf_put_char(out, (char)c);
    } else if (c == '\n') {
        buf_put_str(out, STR("\\n"));
    } else if (json) {
        buf_printf(out, "\\u%04x", c);
    } else {
        buf_put_str(out, REPLACEMENT);
    }
}

static void escape(struct buf *out, struct str text, bool json)
{
    const unsigned char *p = (const unsigned char *)text.data;
    size_t at = 0;
    while (at < text.bytes) {
        size_t begin = at;
        while (at < text.bytes && is_plain(p[at])) {
            at++;
        }
        if (at > begin) {
            buf_put(out, text.data + begin, at - begin);
        }
        if (at == text.bytes) {
            break;
        }
        if (p[at] < 0x80) {
            put_special(out, p[at++], json);
            continue;
        }
        size_t bytes = utf8_bytes(p + at, text.bytes - at);
        if (bytes == 0) {
            buf_put_str(out, REPLACEMENT);
            at++;
        } else {
            buf_put(out, text.data + at, bytes);
            at += bytes;
        }
    }
}

void text_json(struct buf *out, struct str text)
{
    buf_put_char(out, '"');
    escape(out, text, true);
    buf_put_char(out, '"');
}

void text_label(struct buf *out, struct str text)
{
    escape(out, text, false);
}
