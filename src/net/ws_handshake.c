/* The opening handshake of RFC 6455, section 4, client side: request out, response in. */
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <strings.h>

#include "base/err.h"
#include "net/ws_frame.h"

#define HEAD_BYTES_MAX 16384

void ws_handshake_key(char key[25], const uint8_t random16[16])
{
    EVP_EncodeBlock((unsigned char *)key, random16, 16);
}

void ws_handshake_request(struct buf *out, struct str host_port, struct str target, const char *key,
                          struct str headers)
{
    buf_put_str(out, STR("GET "));
    buf_put_str(out, target);
    buf_put_str(out, STR(" HTTP/1.1\r\nHost: "));
    buf_put_str(out, host_port);
    buf_put_str(out, STR("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "));
    buf_put_str(out, str_from(key));
    buf_put_str(out,
                STR("\r\nSec-WebSocket-Version: 13\r\nUser-Agent: market-data/" MD_VERSION "\r\n"));
    buf_put_str(out, headers);
    buf_put_str(out, STR("\r\n"));
}

static void accept_of(const char *key, char accept[29])
{
    char text[25 + 36];
    struct buf joined = buf_over(text, sizeof text);
    unsigned char digest[20];
    buf_put_str(&joined, str_from(key));
    buf_put_str(&joined, STR("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    SHA1((const unsigned char *)text, joined.bytes, digest);
    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof digest);
}

/* The value of a header, blanks trimmed; false when it is absent. Names ignore case. */
static bool header_find(struct str head, const char *name, struct str *value)
{
    size_t name_bytes = strlen(name);
    const char *end = head.data + head.bytes;
    const char *line = memchr(head.data, '\n', head.bytes);
    while (line != NULL && ++line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        const char *stop = next != NULL ? next : end;
        if ((size_t)(stop - line) > name_bytes && line[name_bytes] == ':' &&
            strncasecmp(line, name, name_bytes) == 0) {
            const char *from = line + name_bytes + 1;
            while (from < stop && (*from == ' ' || *from == '\t')) {
                from++;
            }
            while (stop > from && (stop[-1] == '\r' || stop[-1] == ' ' || stop[-1] == '\t')) {
                stop--;
            }
            *value = str_make(from, (size_t)(stop - from));
            return true;
        }
        line = next;
    }
    return false;
}

/* Is `token` one of a comma-separated list, case ignored? */
static bool has_token(struct str list, const char *token)
{
    size_t token_bytes = strlen(token);
    const char *at = list.data;
    const char *end = list.data + list.bytes;
    while (at < end) {
        while (at < end && (*at == ' ' || *at == ',' || *at == '\t')) {
            at++;
        }
        const char *from = at;
        while (at < end && *at != ',' && *at != ' ' && *at != '\t') {
            at++;
        }
        if ((size_t)(at - from) == token_bytes && strncasecmp(from, token, token_bytes) == 0) {
            return true;
        }
    }
    return false;
}

int64_t ws_handshake_response(const uint8_t *data, size_t bytes, const char *key, int *status,
                              const char **why)
{
    const char *text = (const char *)data;
    const char *end = memmem(text, bytes, "\r\n\r\n", 4);
    *status = 0;
    *why = "";
    if (memcmp(text, "HTTP/1.1 ", bytes < 9 ? bytes : 9) != 0) {
        *why = "the answer is not HTTP/1.1";
        return MD_EPROTO;
    }
    if (end == NULL) {
        *why = "response head over 16 KiB";
        return bytes > HEAD_BYTES_MAX ? MD_ETOOBIG : 0;
    }
    if (end - text > HEAD_BYTES_MAX) {
        *why = "response head over 16 KiB";
        return MD_ETOOBIG;
    }
    struct str head = str_make(text, (size_t)(end - text) + 2);
    if (head.bytes < 14) {
        *why = "no status in the response";
        return MD_EPROTO;
    }
    for (int i = 9; i < 12; i++) {
        if (text[i] < '0' || text[i] > '9') {
            *why = "no status in the response";
            *status = 0;
            return MD_EPROTO;
        }
        *status = *status * 10 + (text[i] - '0');
    }
    if (text[12] != ' ' && text[12] != '\r') {
        *why = "no status in the response";
        *status = 0;
        return MD_EPROTO;
    }
    if (*status != 101) {
        *why = "the server refused the WebSocket";
        return MD_EHTTP;
    }
    char accept[29];
    struct str value;
    accept_of(key, accept);
    if (!header_find(head, "upgrade", &value) || !has_token(value, "websocket") ||
        !header_find(head, "connection", &value) || !has_token(value, "upgrade")) {
        *why = "no upgrade in the response";
        return MD_EPROTO;
    }
    if (!header_find(head, "sec-websocket-accept", &value) ||
        !str_equal(value, str_make(accept, 28))) {
        *why = "wrong Sec-WebSocket-Accept";
        return MD_EPROTO;
    }
    if (header_find(head, "sec-websocket-extensions", &value) ||
        header_find(head, "sec-websocket-protocol", &value)) {
        *why = "an extension or protocol that was not asked for";
        return MD_EPROTO;
    }
    return (int64_t)head.bytes + 2;
}
