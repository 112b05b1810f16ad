/* The record: one thing that came from outside, packed for the frame ring and the journal's blocks,
 * and as a line of the recording text format.
 *
 * Both readers here take bytes that may be damaged or hostile: record_unpack() what a block of the
 * journal held, record_parse() what a person or another tool wrote. What they accept is a record
 * the rest of the program may index by: the kind and the venue are known numbers, the argument is
 * no longer than RECORD_ARG_BYTES_MAX, and the views lie inside the given bytes.
 *
 * Text: `seconds[.fraction] TAB venue TAB conn TAB kind [TAB arg [TAB payload]]`. Tab, newline,
 * carriage return and backslash are \t \n \r \\ inside arg and payload, the payload of recv-hex is
 * hexadecimal; all other bytes stand for themselves, so a line has at most twice the bytes of the
 * packed record plus RECORD_TEXT_HEAD_BYTES_MAX. No memory is taken here. */
#include "journal/record.h"

#include "base/assert.h"
#include "base/clock.h"

_Static_assert(RECORD_HEAD_BYTES == 4 + 1 + 1 + 2 + 4 + 8 + 8, "packed head is on disk: fixed");
_Static_assert(RECORD_ARG_BYTES_MAX <= UINT16_MAX, "arg bytes are a u16 on disk");

/* Offsets in the packed head. */
enum {
    AT_BYTES = 0,
    AT_KIND = 4,
    AT_VENUE = 5,
    AT_ARG_BYTES = 6,
    AT_CONN = 8,
    AT_TIME = 12,
    AT_SEQ = 20,
};
_Static_assert(AT_SEQ + 8 == RECORD_HEAD_BYTES, "the head ends with seq");

const char *record_kind_name(enum record_kind kind)
{
    switch (kind) {
#define X(number, name, text) \
    case name:                \
        return text;
        RECORD_KIND_LIST(X)
#undef X
    default:
        return NULL;
    }
}

int record_kind_parse(struct str name)
{
#define X(number, kind, text)         \
    if (str_equal(name, STR(text))) { \
        return number;                \
    }
    RECORD_KIND_LIST(X)
#undef X
    return 0;
}

const char *venue_name(enum venue_id venue)
{
    switch (venue) {
    case VENUE_NONE:
        return "-";
#define X(number, name, text) \
    case name:                \
        return text;
        VENUE_LIST(X)
#undef X
    case VENUE_ID_END:
    default:
        return NULL;
    }
}

int venue_parse(struct str name)
{
    if (str_equal(name, STR("-"))) {
        return VENUE_NONE;
    }
#define X(number, venue, text)        \
    if (str_equal(name, STR(text))) { \
        return number;                \
    }
    VENUE_LIST(X)
#undef X
    return -1;
}

size_t record_packed_bytes(const struct record *record)
{
    return RECORD_HEAD_BYTES + record->arg.bytes + record->payload.bytes;
}

size_t record_pack(const struct record *record, void *out)
{
    size_t bytes = record_packed_bytes(record);
    ASSERT(record->arg.bytes <= RECORD_ARG_BYTES_MAX);
    ASSERT(bytes <= UINT32_MAX);
    ASSERT(record_kind_name(record->kind) != NULL);
    ASSERT(record->venue < VENUE_ID_END);
    char *p = out;
    store_u32(p + AT_BYTES, (uint32_t)bytes);
    p[AT_KIND] = (char)record->kind;
    p[AT_VENUE] = (char)record->venue;
    store_u16(p + AT_ARG_BYTES, (uint16_t)record->arg.bytes);
    store_u32(p + AT_CONN, record->conn);
    store_u64(p + AT_TIME, (uint64_t)record->time_unix_ns);
    store_u64(p + AT_SEQ, record->seq);
    p += RECORD_HEAD_BYTES;
    if (record->arg.bytes > 0) {
        memcpy(p, record->arg.data, record->arg.bytes);
        p += record->arg.bytes;
    }
    if (record->payload.bytes > 0) {
        memcpy(p, record->payload.data, record->payload.bytes);
    }
    return bytes;
}

int record_unpack(const void *data, size_t bytes, struct record *record)
{
    const char *p = data;
    if (bytes < RECORD_HEAD_BYTES || load_u32(p + AT_BYTES) != bytes) {
        return MD_ECORRUPT;
    }
    size_t arg_bytes = load_u16(p + AT_ARG_BYTES);
    uint8_t kind = (uint8_t)p[AT_KIND];
    uint8_t venue = (uint8_t)p[AT_VENUE];
    if (arg_bytes > RECORD_ARG_BYTES_MAX || arg_bytes > bytes - RECORD_HEAD_BYTES ||
        record_kind_name((enum record_kind)kind) == NULL || venue >= VENUE_ID_END) {
        return MD_ECORRUPT;
    }
    *record = (struct record){
        .seq = load_u64(p + AT_SEQ),
        .time_unix_ns = (int64_t)load_u64(p + AT_TIME),
        .kind = (enum record_kind)kind,
        .venue = (enum venue_id)venue,
        .conn = load_u32(p + AT_CONN),
        .arg = str_make(p + RECORD_HEAD_BYTES, arg_bytes),
        .payload =
            str_make(p + RECORD_HEAD_BYTES + arg_bytes, bytes - RECORD_HEAD_BYTES - arg_bytes),
    };
    return 0;
}

/* ---- Text out. */

static void time_format(int64_t unix_ns, struct buf *out)
{
    uint64_t magnitude = unix_ns < 0 ? (uint64_t)0 - (uint64_t)unix_ns : (uint64_t)unix_ns;
    char fraction[10] = ".000000000";
    uint64_t rest = magnitude % (uint64_t)NS_PER_S;
    for (int i = 9; i > 0; i--) {
        fraction[i] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    }
    if (unix_ns < 0) {
        buf_put_char(out, '-');
    }
    buf_put_u64(out, magnitude / (uint64_t)NS_PER_S);
    buf_put(out, fraction, sizeof fraction);
}

/* The letter after the backslash, 0 for a byte that stands for itself. */
static char escape_letter(char c)
{
    switch (c) {
    case '\t':
        return 't';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\\':
        return '\\';
    default:
        return 0;
    }
}

static void put_escaped(struct buf *out, struct str s)
{
    size_t from = 0;
    for (size_t i = 0; i < s.bytes; i++) {
        char letter = escape_letter(s.data[i]);
        if (letter != 0) {
            buf_put(out, s.data + from, i - from);
            buf_put_char(out, '\\');
            buf_put_char(out, letter);
            from = i + 1;
        }
    }
    if (from < s.bytes) {
        buf_put(out, s.data + from, s.bytes - from);
    }
}

static void put_hex(struct buf *out, struct str s)
{
    static const char digits[16] = {'0', '1', '2', '3', '4', '5', '6', '7',
                                    '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
    for (size_t i = 0; i < s.bytes; i++) {
        uint8_t byte = (uint8_t)s.data[i];
        char pair[2] = {digits[byte >> 4], digits[byte & 15]};
        buf_put(out, pair, sizeof pair);
    }
}

void record_format(const struct record *record, struct buf *out)
{
    const char *kind = record_kind_name(record->kind);
    const char *venue = venue_name(record->venue);
    ASSERT(kind != NULL);
    ASSERT(venue != NULL);
    time_format(record->time_unix_ns, out);
    buf_put_char(out, '\t');
    buf_put_str(out, str_from(venue));
    buf_put_char(out, '\t');
    buf_put_u64(out, record->conn);
    buf_put_char(out, '\t');
    buf_put_str(out, str_from(kind));
    buf_put_char(out, '\t');
    put_escaped(out, record->arg);
    buf_put_char(out, '\t');
    if (record->kind == RECORD_RECV_BINARY) {
        put_hex(out, record->payload);
    } else {
        put_escaped(out, record->payload);
    }
}

/* ---- Text in. */

/* Takes the field up to the next tab or the end of the line. */
static struct str field_next(char **at, char *end)
{
    char *start = *at;
    char *tab = start < end ? memchr(start, '\t', (size_t)(end - start)) : NULL;
    char *stop = tab != NULL ? tab : end;
    *at = tab != NULL ? tab + 1 : end;
    return str_make(start, (size_t)(stop - start));
}

/* Plain decimal digits; false when there is none, another byte, or a value above `max`. */
static bool digits_parse(struct str s, uint64_t max, uint64_t *value)
{
    uint64_t v = 0;
    if (s.bytes == 0) {
        return false;
    }
    for (size_t i = 0; i < s.bytes; i++) {
        if (s.data[i] < '0' || s.data[i] > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(s.data[i] - '0');
        if (v > (max - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    *value = v;
    return true;
}

static bool time_parse(struct str s, int64_t *unix_ns)
{
    bool negative = s.bytes > 0 && s.data[0] == '-';
    if (negative) {
        s = str_make(s.data + 1, s.bytes - 1);
    }
    const char *dot = s.bytes > 0 ? memchr(s.data, '.', s.bytes) : NULL;
    struct str whole = dot != NULL ? str_make(s.data, (size_t)(dot - s.data)) : s;
    uint64_t seconds = 0;
    uint64_t ns = 0;
    if (!digits_parse(whole, (uint64_t)(INT64_MAX / NS_PER_S), &seconds)) {
        return false;
    }
    if (dot != NULL) {
        struct str fraction = str_make(dot + 1, s.bytes - whole.bytes - 1);
        if (fraction.bytes > 9 || !digits_parse(fraction, 999999999, &ns)) {
            return false;
        }
        for (size_t i = fraction.bytes; i < 9; i++) {
            ns *= 10;
        }
    }
    uint64_t magnitude = seconds * (uint64_t)NS_PER_S + ns;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    *unix_ns = negative ? (int64_t)((uint64_t)0 - magnitude) : (int64_t)magnitude;
    return true;
}

/* Unescapes `s`, whose memory is writable, in place. */
static bool unescape(char *data, size_t *bytes)
{
    char *in = *bytes > 0 ? memchr(data, '\\', *bytes) : NULL;
    if (in == NULL) {
        return true;
    }
    char *end = data + *bytes;
    char *out = in;
    while (in < end) {
        char c = *in++;
        if (c == '\\') {
            if (in == end) {
                return false;
            }
            switch (*in++) {
            case 't':
                c = '\t';
                break;
            case 'n':
                c = '\n';
                break;
            case 'r':
                c = '\r';
                break;
            case '\\':
                break;
            default:
                return false;
            }
        }
        *out++ = c;
    }
    *bytes = (size_t)(out - data);
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

static bool unhex(char *data, size_t *bytes)
{
    if (*bytes % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i < *bytes; i += 2) {
        int high = hex_digit(data[i]);
        int low = hex_digit(data[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        data[i / 2] = (char)(uint8_t)(high * 16 + low);
    }
    *bytes /= 2;
    return true;
}

/* Says what is wrong with the field, its first bytes made printable. */
static int refuse(struct err *err, const char *what, struct str field)
{
    char shown[128];
    size_t shown_bytes = field.bytes < 24 ? field.bytes : 24;
    str_printable(shown, sizeof shown, field.data, shown_bytes);
    return err_set(err, MD_EPARSE, "record: %s: \"%s\"%s", what, shown,
                   shown_bytes < field.bytes ? " ..." : "");
}

static int body_parse(char *arg, size_t arg_bytes, char *payload, size_t payload_bytes,
                      struct record *record, struct err *err)
{
    struct str arg_raw = str_make(arg, arg_bytes);
    struct str payload_raw = str_make(payload, payload_bytes);
    if (!unescape(arg, &arg_bytes)) {
        return refuse(err, "arg: a backslash not followed by t, n, r or \\", arg_raw);
    }
    if (arg_bytes > RECORD_ARG_BYTES_MAX) {
        return err_set(err, MD_EPARSE, "record: arg: %zu bytes, at most %d are kept", arg_bytes,
                       RECORD_ARG_BYTES_MAX);
    }
    if (payload_bytes > 0 && memchr(payload, '\t', payload_bytes) != NULL) {
        return refuse(err, "payload: a raw tab (write \\t)", payload_raw);
    }
    if (record->kind == RECORD_RECV_BINARY) {
        if (!unhex(payload, &payload_bytes)) {
            return refuse(err, "payload: not pairs of hexadecimal digits", payload_raw);
        }
    } else if (!unescape(payload, &payload_bytes)) {
        return refuse(err, "payload: a backslash not followed by t, n, r or \\", payload_raw);
    }
    record->arg = str_make(arg, arg_bytes);
    record->payload = str_make(payload, payload_bytes);
    return 0;
}

int record_parse(char *line, size_t bytes, struct record *record, struct err *err)
{
    if (bytes > 0 && line[bytes - 1] == '\r') {
        bytes--; /* a file that went through an editor with CRLF; our own \r are escaped */
    }
    if (bytes == 0 || line[0] == '#') {
        return 1;
    }
    if (bytes > UINT32_MAX) {
        return err_set(err, MD_EPARSE, "record: a line of %zu bytes", bytes);
    }
    char *at = line;
    char *end = line + bytes;
    struct str time = field_next(&at, end);
    struct str venue = field_next(&at, end);
    struct str conn = field_next(&at, end);
    struct str kind = field_next(&at, end);
    struct str arg = field_next(&at, end);

    *record = (struct record){0};
    uint64_t conn_number = 0;
    if (!time_parse(time, &record->time_unix_ns)) {
        return refuse(err, "time: not unix seconds with at most 9 decimals", time);
    }
    int venue_number = venue_parse(venue);
    if (venue_number < 0) {
        return refuse(err, "exchange: unknown", venue);
    }
    if (!digits_parse(conn, UINT32_MAX, &conn_number)) {
        return refuse(err, "conn: not a number from 0 to 4294967295", conn);
    }
    int kind_number = record_kind_parse(kind);
    if (kind_number == 0) {
        return refuse(err, "kind: unknown", kind);
    }
    record->venue = (enum venue_id)venue_number;
    record->conn = (uint32_t)conn_number;
    record->kind = (enum record_kind)kind_number;
    size_t arg_at = (size_t)(arg.data - line);
    return body_parse(line + arg_at, arg.bytes, at, (size_t)(end - at), record, err);
}
