/* ws://, wss://, http:// and https:// URLs taken apart. */
#include "net/ws_client.h"

int url_parse(const char *url, struct url *out, struct err *err)
{
    static const struct {
        const char *scheme;
        bool tls;
        uint16_t port;
    } schemes[] = {{"wss://", true, 443},
                   {"ws://", false, 80},
                   {"https://", true, 443},
                   {"http://", false, 80}};
    const char *at = NULL;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0] && at == NULL; i++) {
        size_t bytes = strlen(schemes[i].scheme);
        if (strncmp(url, schemes[i].scheme, bytes) == 0) {
            at = url + bytes;
            out->tls = schemes[i].tls;
            out->port = schemes[i].port;
        }
    }
    if (at == NULL) {
        return err_set(err, MD_EINVAL,
                       "%.100s: a URL begins with wss://, ws://, https:// or http://", url);
    }
    for (const char *c = at; *c != 0; c++) {
        if ((unsigned char)*c <= 0x20 || *c == 0x7f) {
            return err_set(err, MD_EINVAL, "%.100s: blank or control character in the URL", url);
        }
    }
    const char *end = at + strcspn(at, "/?#");
    if (*at == '[') { /* IPv6 */
        const char *close = memchr(at, ']', (size_t)(end - at));
        if (close == NULL) {
            return err_set(err, MD_EINVAL, "%.100s: ] is missing", url);
        }
        out->host = str_make(at + 1, (size_t)(close - at - 1));
        at = close + 1;
    } else {
        size_t bytes = strcspn(at, ":/?#");
        out->host = str_make(at, bytes);
        at += bytes;
    }
    if (out->host.bytes == 0 || out->host.bytes > 253) {
        return err_set(err, MD_EINVAL, "%.100s: no host, or one of more than 253 characters", url);
    }
    if (*at == ':') {
        uint32_t port = 0;
        for (at++; at < end && *at >= '0' && *at <= '9' && port < 100000; at++) {
            port = port * 10 + (uint32_t)(*at - '0');
        }
        if (at != end || port == 0 || port > 65535) {
            return err_set(err, MD_EINVAL, "%.100s: port: 1 to 65535 is wanted", url);
        }
        out->port = (uint16_t)port;
    }
    if (at != end || *at == '#') {
        return err_set(err, MD_EINVAL, "%.100s: not understood behind the host", url);
    }
    out->target = *at == '/' ? str_from(at) : STR("/");
    if (*at == '?') {
        return err_set(err, MD_EINVAL, "%.100s: / is missing before the ?", url);
    }
    return 0;
}
