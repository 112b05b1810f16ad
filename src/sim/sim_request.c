/* Reads request heads from hostile bytes: nothing is copied, every length is checked, and a head of
 * more than 16 KiB or 64 lines is refused. */
#include "sim/sim_request.h"

#include <string.h>
#include <strings.h>

static int64_t refuse(struct sim_request *request, int status, const char *why)
{
    request->error_status = status;
    request->error = why;
    return -1;
}

/* One line without its CRLF, from *at on; false when it does not end within the bytes. */
static bool line_next(const uint8_t *data, size_t bytes, size_t *at, struct str *line)
{
    const uint8_t *end = memchr(data + *at, '\n', bytes - *at);
    if (end == NULL) {
        return false;
    }
    size_t length = (size_t)(end - data) - *at;
    *line = str_make((const char *)data + *at, length);
    if (length > 0 && line->data[length - 1] == '\r') {
        line->bytes--;
    }
    *at += length + 1;
    return true;
}

static bool printable(struct str text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t c = (uint8_t)text.data[i];
        if (c <= 0x20 || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool text_is(struct str text, const char *expected)
{
    return text.bytes == strlen(expected) && strncasecmp(text.data, expected, text.bytes) == 0;
}

static struct str trimmed(struct str text)
{
    while (text.bytes > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.bytes--;
    }
    while (text.bytes > 0 &&
           (text.data[text.bytes - 1] == ' ' || text.data[text.bytes - 1] == '\t')) {
        text.bytes--;
    }
    return text;
}

/* Whether a comma-separated header value has the token. */
static bool has_token(struct str value, const char *token)
{
    while (value.bytes > 0) {
        const char *comma = memchr(value.data, ',', value.bytes);
        size_t length = comma == NULL ? value.bytes : (size_t)(comma - value.data);
        if (text_is(trimmed(str_make(value.data, length)), token)) {
            return true;
        }
        size_t skip = comma == NULL ? length : length + 1;
        value = str_make(value.data + skip, value.bytes - skip);
    }
    return false;
}

static int64_t request_line(struct str line, struct sim_request *request)
{
    const char *first = line.bytes == 0 ? NULL : memchr(line.data, ' ', line.bytes);
    if (first == NULL) {
        return refuse(request, 400, "no request line");
    }
    struct str method = str_make(line.data, (size_t)(first - line.data));
    struct str rest = str_make(first + 1, line.bytes - method.bytes - 1);
    const char *second = rest.bytes == 0 ? NULL : memchr(rest.data, ' ', rest.bytes);
    if (second == NULL) {
        return refuse(request, 400, "no version in the request line");
    }
    struct str target = str_make(rest.data, (size_t)(second - rest.data));
    struct str version = str_make(second + 1, rest.bytes - target.bytes - 1);
    request->post = str_equal(method, STR("POST"));
    if (!request->post && !str_equal(method, STR("GET"))) {
        return refuse(request, 405, "only GET and POST are served");
    }
    if (!str_equal(version, STR("HTTP/1.1"))) {
        return refuse(request, 505, "only HTTP/1.1 is spoken");
    }
    if (target.bytes == 0 || target.data[0] != '/' || !printable(target)) {
        return refuse(request, 400, "the target is not a path");
    }
    const char *mark = memchr(target.data, '?', target.bytes);
    size_t path_bytes = mark == NULL ? target.bytes : (size_t)(mark - target.data);
    request->path = str_make(target.data, path_bytes);
    request->query =
        mark == NULL ? str_make("", 0) : str_make(mark + 1, target.bytes - path_bytes - 1);
    return 1;
}

struct upgrade_headers {
    bool upgrade, connection, version, host, bad_version;
};

static int64_t body_length(struct str value, struct sim_request *request)
{
    size_t bytes = 0;
    for (size_t i = 0; i < value.bytes; i++) {
        if (value.data[i] < '0' || value.data[i] > '9' || bytes > SIM_REQUEST_BODY_MAX) {
            return refuse(request, 400, "a body's length that is no number, or too large");
        }
        bytes = bytes * 10 + (size_t)(value.data[i] - '0');
    }
    if (value.bytes == 0 || bytes > SIM_REQUEST_BODY_MAX) {
        return refuse(request, 400, "a body's length that is no number, or too large");
    }
    request->body_bytes = bytes;
    return 1;
}

static int64_t header_line(struct str line, struct sim_request *request, struct upgrade_headers *up)
{
    const char *colon = memchr(line.data, ':', line.bytes);
    if (colon == NULL || colon == line.data) {
        return refuse(request, 400, "a header line without a name");
    }
    struct str name = str_make(line.data, (size_t)(colon - line.data));
    struct str value = trimmed(str_make(colon + 1, line.bytes - name.bytes - 1));
    if (!printable(name)) {
        return refuse(request, 400, "a header name with blanks");
    }
    if (text_is(name, "host")) {
        up->host = true;
        request->host = value;
    } else if (text_is(name, "x-mbx-apikey")) {
        request->api_key = value;
    } else if (text_is(name, "x-gate-size-decimal")) {
        request->size_decimal = value;
    } else if (text_is(name, "content-length") && request->post) {
        return body_length(value, request);
    } else if (text_is(name, "connection")) {
        up->connection |= has_token(value, "upgrade");
        request->keep_alive &= !has_token(value, "close");
    } else if (text_is(name, "upgrade")) {
        up->upgrade |= has_token(value, "websocket");
    } else if (text_is(name, "sec-websocket-version")) {
        up->version = str_equal(value, STR("13"));
        up->bad_version = !up->version;
    } else if (text_is(name, "sec-websocket-key")) {
        request->websocket_key = value;
    } else if (text_is(name, "x-mbx-time-unit")) {
        request->microseconds = text_is(value, "MICROSECOND");
    } else if (text_is(name, "transfer-encoding") ||
               (text_is(name, "content-length") && !str_equal(value, STR("0")))) {
        return refuse(request, 400, "a request with a body");
    }
    return 1;
}

static int64_t upgrade_check(struct sim_request *request, const struct upgrade_headers *up)
{
    if (!up->host) {
        return refuse(request, 400, "no Host header");
    }
    if (!up->upgrade) {
        return 1;
    }
    if (up->bad_version) {
        return refuse(request, 426, "only WebSocket version 13 is spoken");
    }
    if (!up->connection || !up->version || request->websocket_key.bytes != 24) {
        return refuse(request, 400, "a WebSocket handshake that is not whole");
    }
    request->upgrade = true;
    return 1;
}

int64_t sim_request_parse(const uint8_t *data, size_t bytes, struct sim_request *request)
{
    memset(request, 0, sizeof *request);
    request->keep_alive = true;
    size_t seen = bytes > SIM_REQUEST_BYTES_MAX ? SIM_REQUEST_BYTES_MAX : bytes;
    size_t at = 0;
    struct str line;
    struct upgrade_headers up = {0};
    for (int i = 0; i <= SIM_REQUEST_HEADERS_MAX; i++) {
        if (seen == 0 || !line_next(data, seen, &at, &line)) {
            return seen == SIM_REQUEST_BYTES_MAX ? refuse(request, 431, "the head is too long") : 0;
        }
        if (i > 0 && line.bytes == 0) {
            if (upgrade_check(request, &up) < 0) {
                return -1;
            }
            if (request->body_bytes > seen - at) {
                return seen == SIM_REQUEST_BYTES_MAX ? refuse(request, 431, "the head is too long")
                                                     : 0;
            }
            return (int64_t)(at + request->body_bytes);
        }
        if ((i == 0 ? request_line(line, request) : header_line(line, request, &up)) < 0) {
            return -1;
        }
    }
    return refuse(request, 431, "too many header lines");
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool sim_request_decode(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.data[i];
        if (c == '%') {
            int high = i + 2 < text.bytes ? hex_value(text.data[i + 1]) : -1;
            int low = i + 2 < text.bytes ? hex_value(text.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == 0) {
            return false;
        }
        buf_put_char(out, c);
    }
    return !out->overflow;
}

int sim_request_query(struct str query, const char *name, struct buf *out)
{
    buf_reset(out);
    size_t name_bytes = strlen(name);
    while (query.bytes > 0) {
        const char *amp = memchr(query.data, '&', query.bytes);
        size_t length = amp == NULL ? query.bytes : (size_t)(amp - query.data);
        if (length > name_bytes && query.data[name_bytes] == '=' &&
            memcmp(query.data, name, name_bytes) == 0) {
            struct str value = str_make(query.data + name_bytes + 1, length - name_bytes - 1);
            return sim_request_decode(value, out) ? 1 : -1;
        }
        size_t skip = amp == NULL ? length : length + 1;
        query = str_make(query.data + skip, query.bytes - skip);
    }
    return 0;
}
