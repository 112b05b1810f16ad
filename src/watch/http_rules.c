/* Addresses, names and tokens. Nothing here keeps what it was given. */
#include "watch/http_rules.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <strings.h>

#define TOKEN_BYTES_MAX 256

/* Splits "host:port" or "[host]:port"; the port may be missing (-1). False: neither. */
static bool split(struct str text, struct str *host, int *port)
{
    *port = -1;
    const char *end = text.data + text.bytes;
    const char *colon = NULL;
    if (text.bytes > 0 && text.data[0] == '[') {
        const char *close = memchr(text.data, ']', text.bytes);
        if (close == NULL) {
            return false;
        }
        *host = str_make(text.data + 1, (size_t)(close - text.data) - 1);
        colon = close + 1 < end ? close + 1 : NULL;
        if (colon != NULL && *colon != ':') {
            return false;
        }
    } else {
        colon = text.bytes > 0 ? memchr(text.data, ':', text.bytes) : NULL;
        *host = str_make(text.data, colon != NULL ? (size_t)(colon - text.data) : text.bytes);
    }
    if (colon == NULL) {
        return true;
    }
    size_t digits = (size_t)(end - colon) - 1;
    int number = 0;
    for (size_t i = 0; i < digits; i++) {
        if (colon[1 + i] < '0' || colon[1 + i] > '9' || digits > 5) {
            return false;
        }
        number = number * 10 + (colon[1 + i] - '0');
    }
    *port = digits > 0 && number <= 65535 ? number : -1;
    return *port >= 0;
}

static bool same_name(struct str a, struct str b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || strncasecmp(a.data, b.data, a.bytes) == 0);
}

int listen_parse(struct str text, struct listen_address *out, struct err *err)
{
    struct str host = {0};
    int port = -1;
    *out = (struct listen_address){0};
    if (text.bytes == 0 || same_name(text, STR("off"))) {
        return 0;
    }
    if (!split(text, &host, &port) || port < 0 || host.bytes == 0 ||
        host.bytes >= sizeof out->host) {
        return err_set(err, MD_EINVAL,
                       "http.listen: %.*s: ADDRESS:PORT is wanted, such as localhost:9464, or off",
                       (int)text.bytes, text.data);
    }
    memcpy(out->host, host.data, host.bytes);
    out->port = (uint16_t)port;
    out->on = true;
    out->both = same_name(host, STR("localhost"));
    struct in_addr v4;
    struct in6_addr v6;
    if (out->both) {
        out->loopback = true;
    } else if (inet_pton(AF_INET, out->host, &v4) == 1) {
        out->loopback = ntohl(v4.s_addr) >> 24 == 127;
    } else if (inet_pton(AF_INET6, out->host, &v6) == 1) {
        out->ipv6 = true;
        out->loopback = IN6_IS_ADDR_LOOPBACK(&v6);
    } else {
        return err_set(err, MD_EINVAL,
                       "http.listen: %.*s: not an address: numbers or localhost are wanted",
                       (int)text.bytes, text.data);
    }
    return 0;
}

bool host_allowed(struct str host, const struct listen_address *listen, struct str allowed)
{
    struct str name = {0};
    int port = -1;
    if (!split(host, &name, &port) || name.bytes == 0) {
        return false;
    }
    if (same_name(name, STR("localhost")) || same_name(name, STR("127.0.0.1")) ||
        same_name(name, STR("::1")) || same_name(name, str_from(listen->host))) {
        return true;
    }
    while (allowed.bytes > 0) {
        const char *comma = memchr(allowed.data, ',', allowed.bytes);
        size_t bytes = comma != NULL ? (size_t)(comma - allowed.data) : allowed.bytes;
        struct str item = str_make(allowed.data, bytes);
        while (item.bytes > 0 && item.data[0] == ' ') {
            item = str_make(item.data + 1, item.bytes - 1);
        }
        while (item.bytes > 0 && item.data[item.bytes - 1] == ' ') {
            item.bytes--;
        }
        if (item.bytes > 0 && same_name(name, item)) {
            return true;
        }
        bytes += comma != NULL;
        allowed = str_make(allowed.data + bytes, allowed.bytes - bytes);
    }
    return false;
}

static bool equal_secret(struct str a, struct str b)
{
    unsigned char different = a.bytes != b.bytes;
    for (size_t i = 0; i < b.bytes; i++) {
        different |= (unsigned char)((a.bytes > 0 ? a.data[i % a.bytes] : 0) ^ b.data[i]);
    }
    return different == 0;
}

static int base64_value(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

/* Returns the bytes written, 0 for what is not base64 or does not fit. */
static size_t base64_decode(struct str text, char *out, size_t capacity)
{
    uint32_t bits = 0;
    int have = 0;
    size_t n = 0;
    while (text.bytes > 0 && text.data[text.bytes - 1] == '=') {
        text.bytes--;
    }
    for (size_t i = 0; i < text.bytes; i++) {
        int value = base64_value(text.data[i]);
        if (value < 0) {
            return 0;
        }
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            if (n == capacity) {
                return 0;
            }
            out[n++] = (char)(bits >> have & 0xff);
        }
    }
    return n;
}

static bool after_word(struct str text, struct str word, struct str *rest)
{
    if (text.bytes <= word.bytes || !same_name(str_make(text.data, word.bytes), word) ||
        text.data[word.bytes] != ' ') {
        return false;
    }
    *rest = str_make(text.data + word.bytes + 1, text.bytes - word.bytes - 1);
    return true;
}

bool token_given(struct str authorization, struct str token)
{
    struct str rest = {0};
    char text[TOKEN_BYTES_MAX + 128];
    if (token.bytes == 0) {
        return false;
    }
    if (after_word(authorization, STR("bearer"), &rest)) {
        return equal_secret(rest, token);
    }
    if (!after_word(authorization, STR("basic"), &rest)) {
        return false;
    }
    size_t bytes = base64_decode(rest, text, sizeof text);
    const char *colon = bytes > 0 ? memchr(text, ':', bytes) : NULL;
    bool same = colon != NULL &&
                equal_secret(str_make(colon + 1, bytes - (size_t)(colon - text) - 1), token);
    explicit_bzero(text, sizeof text);
    return same;
}
