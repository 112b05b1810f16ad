/* Manifest lines: form, parse, append; reading at start. See manifest.h.
 * Place: seal thread appends one line per sealed file; store_open() reads them back.
 * Invariants: a line is appended only after its file and the file's folder were synced; the lines
 * of one stream stand in the order of their seqs; a torn tail is cut off before the next line.
 * Memory: a read buffer of 256 KiB while reading at start, none afterwards (lines are built on the
 * stack). */
#include "store/manifest.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "store/manifest_intent.h"
#include "store/manifest_internal.h"

#include <stdio.h>
#include <stdlib.h>
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

/* ---- reading a file line by line */

struct line_reader {
    struct mdio *io;
    int handle;
    char *buffer;
    size_t capacity, begin, end;
    int64_t offset; /* of buffer[end] in the file */
    int64_t whole;  /* end of the last whole line */
};

/* 1 = a line (its newline is not part of it), 0 = no more whole lines, negative: the disk. A line
 * longer than the buffer counts as damage and is passed over. */
static int line_next(struct line_reader *reader, char **line, size_t *bytes)
{
    for (;;) {
        char *begin = reader->buffer + reader->begin;
        char *newline = memchr(begin, '\n', reader->end - reader->begin);
        if (newline != NULL) {
            *line = begin;
            *bytes = (size_t)(newline - begin);
            reader->begin += *bytes + 1;
            reader->whole = reader->offset - (int64_t)(reader->end - reader->begin);
            return 1;
        }
        if (reader->begin == 0 && reader->end == reader->capacity) {
            *line = begin;
            *bytes = reader->end;
            reader->begin = reader->end;
            return 1;
        }
        memmove(reader->buffer, begin, reader->end - reader->begin);
        reader->end -= reader->begin;
        reader->begin = 0;
        ssize_t got = mdio_read(reader->io, reader->handle, reader->buffer + reader->end,
                                reader->capacity - reader->end, reader->offset);
        if (got <= 0) {
            return (int)got;
        }
        reader->end += (size_t)got;
        reader->offset += got;
    }
}

static int line_reader_open(struct line_reader *reader, struct mdio *io, const char *path,
                            char *buffer, size_t capacity)
{
    *reader = (struct line_reader){io, -1, buffer, capacity, 0, 0, 0, 0};
    reader->handle = mdio_open(io, path, MDIO_READ);
    return reader->handle < 0 ? reader->handle : 0;
}

/* ---- appending */

void manifest_day_path(enum venue_id venue, int64_t day, bool compact,
                       char out[MANIFEST_DAY_PATH_MAX])
{
    struct clock_utc utc = clock_utc_of(day * NS_PER_DAY);
    int length =
        snprintf(out, MANIFEST_DAY_PATH_MAX, "manifest/%s-%04d-%02d-%02d%s.jsonl",
                 venue_name(venue), utc.year, utc.month, utc.day, compact ? ".compact" : "");
    ASSERT(length > 0);
    ASSERT(length < MANIFEST_DAY_PATH_MAX);
}

static int64_t day_of(int64_t unix_ns)
{
    return unix_ns / NS_PER_DAY - (unix_ns % NS_PER_DAY < 0);
}

int manifest_open(struct manifest *manifest, struct mdio *io, struct err *err)
{
    *manifest = (struct manifest){.io = io, .handle = -1, .end = -1, .intents_handle = -1};
    int code = mdio_mkdirs(io, "manifest");
    if (code >= 0) {
        code = mdio_mkdirs(io, "spool");
    }
    if (code >= 0) {
        code = intents_open(io, &manifest->intents_generation);
    }
    if (code < 0) {
        return err_set(err, code, "manifest: %s", err_text(code));
    }
    manifest->intents_handle = code;
    return 0;
}

int manifest_open_compact(struct manifest *manifest, struct mdio *io, struct err *err)
{
    *manifest =
        (struct manifest){.io = io, .handle = -1, .end = -1, .intents_handle = -1, .compact = true};
    int code = mdio_mkdirs(io, "manifest");
    return code < 0 ? err_set(err, code, "manifest: %s", err_text(code)) : 0;
}

static void close_day(struct manifest *manifest)
{
    if (manifest->handle >= 0) {
        mdio_close(manifest->io, manifest->handle);
        manifest->handle = -1;
    }
}

void manifest_close(struct manifest *manifest)
{
    if (manifest->io == NULL) {
        return;
    }
    close_day(manifest);
    if (manifest->intents_handle >= 0) {
        mdio_close(manifest->io, manifest->intents_handle);
    }
    memset(manifest, 0, sizeof *manifest);
}

/* Where the last whole line ends: a torn tail (or what an aborted append left) is cut off. */
static int find_end(struct manifest *manifest)
{
    int64_t size = mdio_size(manifest->io, manifest->handle);
    int64_t end = size;
    char chunk[512];
    while (end > 0) {
        size_t bytes = end < (int64_t)sizeof chunk ? (size_t)end : sizeof chunk;
        int code =
            mdio_read_all(manifest->io, manifest->handle, chunk, bytes, end - (int64_t)bytes);
        if (code < 0) {
            return code;
        }
        while (bytes > 0 && chunk[bytes - 1] != '\n') {
            bytes--;
            end--;
        }
        if (bytes > 0) {
            break;
        }
    }
    if (size < 0) {
        return (int)size;
    }
    if (manifest->end >= 0 && manifest->end < end) {
        end = manifest->end; /* an append failed after it: not promised, written again */
    }
    manifest->end = end;
    return end < size ? mdio_truncate(manifest->io, manifest->handle, end) : 0;
}

static int open_day(struct manifest *manifest, enum venue_id venue, int64_t day)
{
    if (manifest->handle >= 0 && manifest->venue == venue && manifest->day == day &&
        !manifest->suspect) {
        return 0;
    }
    close_day(manifest);
    if (manifest->venue != venue || manifest->day != day) {
        manifest->end = -1;
    }
    char path[MANIFEST_DAY_PATH_MAX];
    manifest_day_path(venue, day, manifest->compact, path);
    int handle = mdio_open_in(manifest->io, "manifest", path, MDIO_READ | MDIO_WRITE | MDIO_CREATE);
    if (handle < 0) {
        return handle;
    }
    manifest->handle = handle;
    manifest->venue = venue;
    manifest->day = day;
    int code = mdio_dirsync(manifest->io, "manifest");
    if (code == 0) {
        code = find_end(manifest);
    }
    manifest->suspect = code != 0;
    return code;
}

int manifest_append(struct manifest *manifest, enum venue_id venue, int64_t unix_ns,
                    const struct manifest_entry *entry)
{
    char line[MANIFEST_LINE_MAX];
    struct buf out = buf_over(line, sizeof line);
    manifest_line_format(entry, &out);
    ASSERT(!out.overflow);
    return manifest_append_line(manifest, venue, unix_ns, buf_view(&out));
}

int manifest_append_line(struct manifest *manifest, enum venue_id venue, int64_t unix_ns,
                         struct str line)
{
    int code = open_day(manifest, venue, day_of(unix_ns));
    if (code == 0) {
        code = mdio_write_all(manifest->io, manifest->handle, line.data, line.bytes, manifest->end);
        /* Written again at the same place by the next try; a failed sync also wants a new
         * descriptor, and all of the line written again. */
    }
    if (code == 0) {
        code = mdio_sync(manifest->io, manifest->handle);
    }
    if (code < 0) {
        manifest->suspect = true;
        if (manifest->handle >= 0) {
            /* Best effort: what is left of the line has no newline or repeats itself exactly. */
            mdio_truncate(manifest->io, manifest->handle, manifest->end);
        }
        return code;
    }
    manifest->end += (int64_t)line.bytes;
    return 0;
}

int manifest_find(struct manifest *manifest, enum venue_id venue, int64_t unix_ns, struct str path,
                  char *line, uint64_t *first_seq, uint64_t *last_seq)
{
    char name[MANIFEST_DAY_PATH_MAX];
    manifest_day_path(venue, day_of(unix_ns), false, name);
    struct line_reader reader;
    int code = line_reader_open(&reader, manifest->io, name, line, MANIFEST_LINE_MAX);
    if (code < 0) {
        return code == MD_ENOENT ? 0 : code;
    }
    int found = 0;
    char *text = NULL;
    size_t bytes = 0;
    while (found == 0 && (code = line_next(&reader, &text, &bytes)) == 1) {
        struct manifest_entry entry;
        if (manifest_line_parse(text, bytes, &entry) == 0 && str_equal(entry.path, path)) {
            *first_seq = entry.first_seq;
            *last_seq = entry.last_seq;
            found = 1;
        }
    }
    mdio_close(manifest->io, reader.handle);
    return code < 0 ? code : found;
}

int manifest_intend(struct manifest *manifest, const struct manifest_intent *intents,
                    uint32_t count)
{
    if (manifest->intents_handle < 0) { /* a sync failed: a new descriptor */
        int handle = intents_open(manifest->io, NULL);
        if (handle < 0) {
            return handle;
        }
        manifest->intents_handle = handle;
    }
    int code = intents_write(manifest->io, manifest->intents_handle,
                             manifest->intents_generation + 1, intents, count);
    if (code < 0) {
        mdio_close(manifest->io, manifest->intents_handle);
        manifest->intents_handle = -1;
        return code;
    }
    manifest->intents_generation++;
    return 0;
}

int manifest_clean(struct manifest *manifest, struct err *err)
{
    struct intents *intents = alloc_take(ALLOC_SEAL, sizeof *intents + MANIFEST_LINE_MAX);
    if (intents == NULL) {
        return err_set(err, MD_ENOMEM, "manifest: no memory");
    }
    intents_read(manifest->io, manifest->intents_handle, intents);
    int code = 0;
    for (uint32_t i = 0; i < intents->count && code == 0; i++) {
        const struct manifest_intent *file = &intents->file[i];
        uint64_t first = 0;
        uint64_t last = 0;
        code = manifest_find(manifest, file->venue, file->unix_ns, str_from(file->path),
                             (char *)(intents + 1), &first, &last);
        if (code == 0) {
            code = intents_delete(manifest->io, file->path);
        }
        code = code == 1 ? 0 : code;
        if (code < 0) {
            err_set(err, code, "store: %s: cannot tell or delete a file that was not finished: %s",
                    file->path, err_text(code));
        }
    }
    alloc_give(intents);
    for (uint32_t slot = 0; slot < 2 && code == 0; slot++) {
        code = manifest_intend(manifest, NULL, 0);
        if (code < 0) {
            err_set(err, code, "store: spool/intents: %s", err_text(code));
        }
    }
    return code;
}

/* ---- reading at start */

#define NAMES_BYTES (1 << 20) /* six exchanges for fourteen years */

/* Names of manifest files, found by listing; sorted by nothing. */
struct names {
    char *text; /* one after another, each ended by 0 */
    size_t bytes;
    uint32_t refused;
    char newest[VENUE_ID_END][11]; /* date of each exchange's newest */
};

const char *manifest_name_date(const char *name, int *venue)
{
    size_t length = strlen(name);
    if (length < 18 || strcmp(name + length - 6, ".jsonl") != 0 || name[length - 17] != '-') {
        return NULL;
    }
    const char *date = name + length - 16;
    for (size_t i = 0; i < 10; i++) {
        bool dash = i == 4 || i == 7;
        if (dash ? date[i] != '-' : date[i] < '0' || date[i] > '9') {
            return NULL;
        }
    }
    *venue = venue_parse(str_make(name, length - 17));
    return *venue > 0 ? date : NULL;
}

int64_t manifest_date_day(const char *date)
{
    struct clock_utc utc = {.year = atoi(date), .month = atoi(date + 5), .day = atoi(date + 8)};
    return day_of(clock_unix_of_utc(&utc));
}

static void on_name(void *context, const char *name, bool is_directory)
{
    struct names *names = context;
    int venue = 0;
    const char *date = is_directory ? NULL : manifest_name_date(name, &venue);
    if (date == NULL) {
        return;
    }
    if (strncmp(date, names->newest[venue], 10) > 0) {
        memcpy(names->newest[venue], date, 10);
    }
    size_t bytes = strlen(name) + 1;
    if (names->bytes + bytes > NAMES_BYTES) {
        names->refused++;
        return;
    }
    memcpy(names->text + names->bytes, name, bytes);
    names->bytes += bytes;
}

int manifest_file_read(struct mdio *io, const char *path, char *buffer, size_t buffer_bytes,
                       void (*on_entry)(void *context, const struct manifest_entry *entry),
                       void *context, struct manifest_stats *stats)
{
    struct line_reader reader;
    int code = line_reader_open(&reader, io, path, buffer, buffer_bytes);
    if (code < 0) {
        return code;
    }
    char *line = NULL;
    size_t bytes = 0;
    while ((code = line_next(&reader, &line, &bytes)) == 1) {
        struct manifest_entry entry;
        if (manifest_line_parse(line, bytes, &entry) != 0) {
            stats->damaged_lines++;
            continue;
        }
        stats->lines++;
        on_entry(context, &entry);
    }
    if (code == 0 && reader.end > reader.begin) {
        stats->damaged_lines++; /* torn: the file ended in the middle of a line */
    }
    mdio_close(io, reader.handle);
    stats->files++;
    return code;
}

static int read_files(struct mdio *io, int64_t since_unix_ns, struct names *names, char *buffer,
                      void (*on_entry)(void *context, const struct manifest_entry *entry),
                      void *context, struct manifest_stats *stats, struct err *err)
{
    char since[16];
    struct clock_utc utc = clock_utc_of(since_unix_ns < 0 ? 0 : since_unix_ns);
    snprintf(since, sizeof since, "%04d-%02d-%02d", utc.year % 10000, utc.month, utc.day);
    for (size_t at = 0; at < names->bytes; at += strlen(names->text + at) + 1) {
        const char *name = names->text + at;
        int venue = 0;
        const char *date = manifest_name_date(name, &venue);
        ASSERT(date != NULL);
        bool newest = strncmp(date, names->newest[venue], 10) == 0;
        if (!newest && strncmp(date, since, 10) < 0) {
            continue;
        }
        char path[MANIFEST_DAY_PATH_MAX];
        int64_t day = manifest_date_day(date);
        manifest_day_path((enum venue_id)venue, day, false, path);
        int code =
            manifest_file_read(io, path, buffer, MANIFEST_READ_BYTES, on_entry, context, stats);
        if (code < 0) {
            return err_set(err, code, "manifest/%s: %s", name, err_text(code));
        }
    }
    return 0;
}

int manifest_read_all(struct mdio *io, int64_t since_unix_ns,
                      void (*on_entry)(void *context, const struct manifest_entry *entry),
                      void *context, struct manifest_stats *stats, struct err *err)
{
    *stats = (struct manifest_stats){0, 0, 0};
    char *memory = alloc_take(ALLOC_SEAL, MANIFEST_READ_BYTES + NAMES_BYTES);
    if (memory == NULL) {
        return err_set(err, MD_ENOMEM, "manifest: no memory");
    }
    struct names names = {.text = memory + MANIFEST_READ_BYTES};
    int code = mdio_list(io, "manifest", on_name, &names);
    code = code == MD_ENOENT ? 0 : code;
    if (code < 0) {
        err_set(err, code, "manifest: %s", err_text(code));
    } else if (names.refused > 0) {
        code = err_set(err, MD_EFULL, "manifest: more than %u files: move old ones away",
                       (unsigned)(NAMES_BYTES / 32));
    } else {
        code = read_files(io, since_unix_ns, &names, memory, on_entry, context, stats, err);
    }
    alloc_give(memory);
    return code;
}
