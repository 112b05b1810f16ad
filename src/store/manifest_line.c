/* A line of the manifest: its form, and how it is read back. See manifest.h.
 * Invariants: a line is one JSON object, its last member the CRC-32C of all before it; what is not
 * such an object, whole and with the members there must be, is refused. Memory: none of its own;
 * texts are unescaped in place and are views into the line. */
#include "base/err.h"
#include "store/manifest.h"
#include "store/manifest_internal.h"

#include <stdio.h>
#include <string.h>

#define CRC_MEMBER ",\"crc32c\":\""
#define CRC_TAIL_BYTES (sizeof CRC_MEMBER - 1 + 8 + 2) /* the member, 8 digits, quote, brace */

/* ---- form */

static bool utf8_is_valid(struct str text)
{
    const uint8_t *p = (const uint8_t *)text.data;
    const uint8_t *end = p + text.bytes;
    while (p < end) {
        uint32_t more = *p < 0x80                 ? 0
                        : *p >= 0xc2 && *p < 0xe0 ? 1
                        : *p >= 0xe0 && *p < 0xf0 ? 2
                        : *p >= 0xf0 && *p < 0xf5 ? 3
                                                  : UINT32_MAX;
        if (more == UINT32_MAX || more >= (size_t)(end - p)) {
            return false;
        }
        uint32_t code = more == 0 ? *p : *p & (0x3fU >> more);
        p++;
        for (uint32_t i = 0; i < more; i++, p++) {
            if ((*p & 0xc0) != 0x80) {
                return false;
            }
            code = code << 6 | (*p & 0x3fU);
        }
        bool overlong = (more == 2 && code < 0x800) || (more == 3 && code < 0x10000);
        if (overlong || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
            return false;
        }
    }
    return true;
}

static void put_quoted(struct buf *out, struct str text)
{
    buf_put_char(out, '"');
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t c = (uint8_t)text.data[i];
        if (c == '"' || c == '\\') {
            buf_put_char(out, '\\');
            buf_put_char(out, (char)c);
        } else if (c < 0x20 || c == 0x7f) {
            buf_printf(out, "\\u%04x", c);
        } else {
            buf_put_char(out, (char)c);
        }
    }
    buf_put_char(out, '"');
}

static void put_text(struct buf *out, const char *name, struct str text)
{
    buf_printf(out, "\"%s\":", name);
    put_quoted(out, text);
    buf_put_char(out, ',');
}

/* Bytes that are no text as hex under "<name>_hex": exact, and the line stays JSON. */
static void put_any_text(struct buf *out, const char *name, struct str text)
{
    if (utf8_is_valid(text)) {
        put_text(out, name, text);
        return;
    }
    buf_printf(out, "\"%s_hex\":\"", name);
    for (size_t i = 0; i < text.bytes; i++) {
        buf_printf(out, "%02x", (uint8_t)text.data[i]);
    }
    buf_put_str(out, STR("\","));
}

static void put_u64(struct buf *out, const char *name, uint64_t value)
{
    buf_printf(out, "\"%s\":%llu,", name, (unsigned long long)value);
}

static void put_i64(struct buf *out, const char *name, int64_t value)
{
    if (value == ID_NONE) {
        buf_printf(out, "\"%s\":null,", name);
    } else {
        buf_printf(out, "\"%s\":%lld,", name, (long long)value);
    }
}

bool manifest_replaces_next(struct str *rest, struct str *path)
{
    const char *newline = rest->bytes == 0 ? NULL : memchr(rest->data, '\n', rest->bytes);
    if (newline == NULL) {
        return false;
    }
    *path = str_make(rest->data, (size_t)(newline - rest->data));
    *rest = str_make(newline + 1, rest->bytes - path->bytes - 1);
    return true;
}

static void put_replaces(struct buf *out, const struct manifest_entry *entry)
{
    buf_printf(out,
               "\"values_hash\":\"%016llx\",\"replaces\":", (unsigned long long)entry->values_hash);
    struct str rest = entry->replaces;
    struct str path;
    char before = '[';
    while (manifest_replaces_next(&rest, &path)) {
        buf_put_char(out, before);
        put_quoted(out, path);
        before = ',';
    }
    buf_put_str(out, STR("],"));
}

void manifest_line_format(const struct manifest_entry *entry, struct buf *out)
{
    size_t begin = out->bytes;
    buf_put_char(out, '{');
    put_text(out, "path", entry->path);
    put_text(out, "exchange", str_from(venue_name(entry->venue)));
    put_text(out, "channel", str_from(channel_name(entry->channel)));
    put_any_text(out, "symbol", entry->symbol);
    put_text(out, "schema", entry->schema);
    put_u64(out, "schema_version", entry->schema_version);
    put_u64(out, "rows", entry->rows);
    put_u64(out, "bytes", entry->bytes);
    put_i64(out, "first_local_timestamp", entry->first_local_us);
    put_i64(out, "last_local_timestamp", entry->last_local_us);
    put_u64(out, "first_local_seq", entry->first_seq);
    put_u64(out, "last_local_seq", entry->last_seq);
    put_i64(out, "first_sequence", entry->first_sequence);
    put_i64(out, "last_sequence", entry->last_sequence);
    put_u64(out, "gaps", entry->gaps);
    put_u64(out, "missing_ids", entry->missing);
    put_u64(out, "digits_over_15", entry->digits_over_15);
    put_u64(out, "journal_first_seq", entry->first_seq);
    put_u64(out, "journal_last_seq", entry->last_seq);
    put_text(out, "recorder", entry->recorder);
    put_text(out, "sha256", str_from(entry->sha256));
    if (entry->replaces.bytes > 0) {
        put_replaces(out, entry);
    }
    if (out->overflow) {
        return;
    }
    out->bytes--; /* the last comma is the CRC member's */
    uint32_t crc = crc32c(0, out->data + begin, out->bytes - begin);
    buf_printf(out, CRC_MEMBER "%08x\"}\n", crc);
}

/* ---- parse: a flat object of texts, integers, true, false and null */

struct scan {
    char *p;
    char *end;
};

static bool take(struct scan *scan, char c)
{
    if (scan->p < scan->end && *scan->p == c) {
        scan->p++;
        return true;
    }
    return false;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* After a backslash. Only what put_text() makes: \" \\ and \u00XX below 0x80. */
static int unescape(struct scan *scan)
{
    if (take(scan, '"')) {
        return '"';
    }
    if (take(scan, '\\')) {
        return '\\';
    }
    if (scan->end - scan->p < 5 || memcmp(scan->p, "u00", 3) != 0) {
        return -1;
    }
    int high = hex_digit(scan->p[3]);
    int low = hex_digit(scan->p[4]);
    scan->p += 5;
    return high < 0 || high > 7 || low < 0 ? -1 : high * 16 + low;
}

static bool scan_text(struct scan *scan, struct str *text)
{
    if (!take(scan, '"')) {
        return false;
    }
    char *begin = scan->p;
    char *write = begin;
    while (scan->p < scan->end) {
        char c = *scan->p++;
        if (c == '"') {
            *text = str_make(begin, (size_t)(write - begin));
            return true;
        }
        if (c == '\\') {
            int code = unescape(scan);
            if (code < 0) {
                return false;
            }
            c = (char)code;
        } else if ((uint8_t)c < 0x20) {
            return false;
        }
        *write++ = c;
    }
    return false;
}

/* An integer as magnitude and sign. */
struct number {
    bool negative, null;
    uint64_t magnitude;
};

static bool scan_number(struct scan *scan, struct number *number)
{
    *number = (struct number){take(scan, '-'), false, 0};
    char *begin = scan->p;
    while (scan->p < scan->end && *scan->p >= '0' && *scan->p <= '9') {
        if (__builtin_mul_overflow(number->magnitude, 10U, &number->magnitude) ||
            __builtin_add_overflow(number->magnitude, (uint64_t)(*scan->p - '0'),
                                   &number->magnitude)) {
            return false;
        }
        scan->p++;
    }
    return scan->p > begin;
}

static bool scan_word(struct scan *scan, const char *word)
{
    size_t bytes = strlen(word);
    if ((size_t)(scan->end - scan->p) < bytes || memcmp(scan->p, word, bytes) != 0) {
        return false;
    }
    scan->p += bytes;
    return true;
}

static bool number_u64(struct number number, uint64_t *out)
{
    *out = number.magnitude;
    return !number.negative && !number.null;
}

static bool number_i64(struct number number, int64_t *out)
{
    if (number.null) {
        *out = ID_NONE;
        return true;
    }
    if (number.magnitude > INT64_MAX) {
        return false; /* -2^63 is ID_NONE and never written */
    }
    *out = number.negative ? -(int64_t)number.magnitude : (int64_t)number.magnitude;
    return true;
}

static bool text_hex(struct str text, struct str *out, char *memory)
{
    if (text.bytes % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i < text.bytes / 2; i++) {
        int high = hex_digit(text.data[i * 2]);
        int low = hex_digit(text.data[i * 2 + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        memory[i] = (char)(high * 16 + low);
    }
    *out = str_make(memory, text.bytes / 2);
    return true;
}

enum seen {
    SEEN_PATH = 1,
    SEEN_EXCHANGE = 2,
    SEEN_CHANNEL = 4,
    SEEN_SYMBOL = 8,
    SEEN_FIRST_SEQ = 16,
    SEEN_LAST_SEQ = 32,
    SEEN_ALL = 63,
};

static bool member_text(struct manifest_entry *entry, struct str name, struct str text,
                        uint32_t *seen)
{
    if (str_equal(name, STR("path"))) {
        entry->path = text;
        *seen |= SEEN_PATH;
        return text.bytes > 0 && text.bytes < MANIFEST_PATH_MAX;
    }
    if (str_equal(name, STR("exchange"))) {
        int venue = venue_parse(text);
        entry->venue = venue > 0 ? (enum venue_id)venue : VENUE_NONE;
        *seen |= SEEN_EXCHANGE;
        return venue > 0;
    }
    if (str_equal(name, STR("channel"))) {
        int channel = channel_parse(text);
        entry->channel = channel >= 0 ? (enum channel)channel : CHANNEL_COUNT;
        *seen |= SEEN_CHANNEL;
        return channel >= 0;
    }
    if (str_equal(name, STR("symbol"))) {
        entry->symbol = text;
        *seen |= SEEN_SYMBOL;
    } else if (str_equal(name, STR("symbol_hex"))) {
        *seen |= SEEN_SYMBOL;
        /* In place: two digits become the one byte before them. */
        return text_hex(text, &entry->symbol, (char *)(uintptr_t)text.data);
    } else if (str_equal(name, STR("schema"))) {
        entry->schema = text;
    } else if (str_equal(name, STR("recorder"))) {
        entry->recorder = text;
    } else if (str_equal(name, STR("values_hash"))) {
        entry->values_hash = 0;
        for (size_t i = 0; i < text.bytes; i++) {
            int digit = hex_digit(text.data[i]);
            if (digit < 0) {
                return false;
            }
            entry->values_hash = entry->values_hash << 4 | (uint64_t)digit;
        }
        return text.bytes == 16;
    } else if (str_equal(name, STR("sha256"))) {
        for (size_t i = 0; i < text.bytes; i++) {
            if (hex_digit(text.data[i]) < 0) {
                return false;
            }
        }
        if (text.bytes != 64) {
            return false;
        }
        memcpy(entry->sha256, text.data, 64);
        entry->sha256[64] = 0;
    }
    return true;
}

static bool member_number(struct manifest_entry *entry, struct str name, struct number number,
                          uint32_t *seen)
{
    const struct {
        struct str name;
        uint64_t *value;
        uint32_t seen;
    } counts[] = {
        {STR("rows"), &entry->rows, 0},
        {STR("bytes"), &entry->bytes, 0},
        {STR("first_local_seq"), &entry->first_seq, SEEN_FIRST_SEQ},
        {STR("last_local_seq"), &entry->last_seq, SEEN_LAST_SEQ},
        {STR("gaps"), &entry->gaps, 0},
        {STR("missing_ids"), &entry->missing, 0},
        {STR("digits_over_15"), &entry->digits_over_15, 0},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (str_equal(name, counts[i].name)) {
            *seen |= counts[i].seen;
            return number_u64(number, counts[i].value);
        }
    }
    const struct {
        struct str name;
        int64_t *value;
    } values[] = {
        {STR("first_local_timestamp"), &entry->first_local_us},
        {STR("last_local_timestamp"), &entry->last_local_us},
        {STR("first_sequence"), &entry->first_sequence},
        {STR("last_sequence"), &entry->last_sequence},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if (str_equal(name, values[i].name)) {
            return number_i64(number, values[i].value);
        }
    }
    if (str_equal(name, STR("schema_version"))) {
        entry->schema_version = (uint32_t)number.magnitude;
    }
    return true;
}

/* ["path",...] in place as path, newline, path, newline. */
static bool scan_replaces(struct scan *scan, struct manifest_entry *entry)
{
    char *begin = scan->p;
    char *write = begin;
    struct str path;
    if (!take(scan, '[')) {
        return false;
    }
    do {
        if (!scan_text(scan, &path) || path.bytes == 0 || path.bytes >= MANIFEST_PATH_MAX ||
            memchr(path.data, '\n', path.bytes) != NULL) {
            return false;
        }
        memmove(write, path.data, path.bytes); /* before where it was: two quotes went */
        write += path.bytes;
        *write++ = '\n';
    } while (take(scan, ','));
    entry->replaces = str_make(begin, (size_t)(write - begin));
    return take(scan, ']');
}

static bool scan_member(struct scan *scan, struct manifest_entry *entry, uint32_t *seen)
{
    struct str name;
    struct str text;
    if (!scan_text(scan, &name) || !take(scan, ':')) {
        return false;
    }
    if (str_equal(name, STR("replaces"))) {
        return scan_replaces(scan, entry);
    }
    if (scan->p < scan->end && *scan->p == '"') {
        return scan_text(scan, &text) && member_text(entry, name, text, seen);
    }
    struct number number = {false, true, 0};
    if (scan_word(scan, "true") || scan_word(scan, "false")) {
        return true;
    }
    if (!scan_word(scan, "null") && !scan_number(scan, &number)) {
        return false;
    }
    return member_number(entry, name, number, seen);
}

static bool crc_is_right(const char *line, size_t bytes)
{
    if (bytes < CRC_TAIL_BYTES + 1 || memcmp(line + bytes - 2, "\"}", 2) != 0) {
        return false;
    }
    const char *tail = line + bytes - CRC_TAIL_BYTES;
    if (memcmp(tail, CRC_MEMBER, sizeof CRC_MEMBER - 1) != 0) {
        return false;
    }
    uint32_t crc = 0;
    for (size_t i = 0; i < 8; i++) {
        int digit = hex_digit(tail[sizeof CRC_MEMBER - 1 + i]);
        if (digit < 0) {
            return false;
        }
        crc = crc << 4 | (uint32_t)digit;
    }
    return crc == crc32c(0, line, bytes - CRC_TAIL_BYTES);
}

int manifest_line_parse(char *line, size_t bytes, struct manifest_entry *entry)
{
    memset(entry, 0, sizeof *entry);
    entry->first_sequence = entry->last_sequence = ID_NONE;
    if (!crc_is_right(line, bytes)) {
        return MD_ECORRUPT;
    }
    struct scan scan = {line, line + bytes};
    uint32_t seen = 0;
    if (!take(&scan, '{')) {
        return MD_EPARSE;
    }
    do {
        if (!scan_member(&scan, entry, &seen)) {
            return MD_EPARSE;
        }
    } while (take(&scan, ','));
    if (!take(&scan, '}') || scan.p != scan.end || seen != SEEN_ALL) {
        return MD_EPARSE;
    }
    return entry->first_seq <= entry->last_seq ? 0 : MD_EPARSE;
}
