/* ws://, wss://, http:// and https:// URLs taken apart. What a URL may hold is kept narrow, because
 * host and target are copied into request lines: no blanks, no control characters, nothing but
 * ASCII, no user part, no fragment. Words about a bad URL show its scheme and host only: the rest
 * may hold a key. */
#include <arpa/inet.h>

#include "net/ws_client.h"

#define HOST_BYTES_MAX 253

static const struct {
    struct str text;
    bool tls;
    uint16_t port;
} schemes[] = {{{"wss://", 6}, true, 443},
               {{"ws://", 5}, false, 80},
               {{"https://", 8}, true, 443},
               {{"http://", 7}, false, 80}};

static int refuse(const char *url, struct err *err, const char *why)
{
    const char *host = strstr(url, "://");
    host = host != NULL ? host + 3 : url;
    const char *user = memchr(host, '@', strcspn(host, "/?#"));
    host = user != NULL ? user + 1 : host;
    size_t bytes = strcspn(host, "/?#");
    char shown[101];
    str_printable(shown, sizeof shown, host, bytes < 60 ? bytes : 60);
    return err_set(err, MD_EINVAL, "URL of host \"%s\": %s", shown, why);
}

static bool host_is_name(struct str host)
{
    for (size_t i = 0; i < host.bytes; i++) {
        char c = host.data[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '-' || c == '_';
        if (!good) {
            return false;
        }
    }
    return true;
}

static bool host_is_ipv6(struct str host)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    if (host.bytes >= sizeof text) {
        return false;
    }
    memcpy(text, host.data, host.bytes);
    text[host.bytes] = 0;
    return inet_pton(AF_INET6, text, bytes) == 1;
}

static bool port_parse(struct str text, uint16_t *out)
{
    uint32_t port = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || port > 65535) {
            return false;
        }
        port = port * 10 + (uint32_t)(text.data[i] - '0');
    }
    *out = (uint16_t)port;
    return port > 0 && port <= 65535;
}

/* host, [host] or either with :port */
static int authority_parse(const char *url, struct str text, struct url *out, struct err *err)
{
    bool six = text.bytes > 0 && text.data[0] == '[';
    const char *end = six ? memchr(text.data, ']', text.bytes)
                          : (text.bytes > 0 ? memchr(text.data, ':', text.bytes) : NULL);
    if (six && end == NULL) {
        return refuse(url, err, "] is missing");
    }
    size_t host_bytes = end != NULL ? (size_t)(end - text.data) - six : text.bytes;
    out->host = str_make(text.data + six, host_bytes);
    if (host_bytes == 0 || host_bytes > HOST_BYTES_MAX) {
        return refuse(url, err, "no host, or one of more than 253 characters");
    }
    if (six ? !host_is_ipv6(out->host) : !host_is_name(out->host)) {
        return refuse(url, err,
                      six ? "no IPv6 address in the brackets"
                          : "the host may hold A-Z a-z 0-9 . - _ only");
    }
    size_t used = host_bytes + (six ? 2 : 0);
    if (used == text.bytes) {
        return 0;
    }
    if (text.data[used] != ':' ||
        !port_parse(str_make(text.data + used + 1, text.bytes - used - 1), &out->port)) {
        return refuse(url, err, "a port of 1 to 65535 is wanted behind the host");
    }
    return 0;
}

int url_parse(const char *url, struct url *out, struct err *err)
{
    const char *at = NULL;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0] && at == NULL; i++) {
        if (strncmp(url, schemes[i].text.data, schemes[i].text.bytes) == 0) {
            at = url + schemes[i].text.bytes;
            out->tls = schemes[i].tls;
            out->port = schemes[i].port;
        }
    }
    if (at == NULL) {
        return refuse(url, err, "it must begin with wss://, ws://, https:// or http://");
    }
    for (const char *c = at; *c != 0; c++) {
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f) {
            return refuse(url, err, "a blank, control or non-ASCII character");
        }
    }
    size_t bytes = strcspn(at, "/?#");
    if (memchr(at, '@', bytes) != NULL) {
        return refuse(url, err, "user and password do not belong into a URL");
    }
    int code = authority_parse(url, str_make(at, bytes), out, err);
    if (code != 0) {
        return code;
    }
    at += bytes;
    if (*at == '?' || strchr(at, '#') != NULL) {
        return refuse(url, err, *at == '?' ? "/ is missing before the ?" : "a # part");
    }
    out->target = *at == '/' ? str_from(at) : STR("/");
    return 0;
}
