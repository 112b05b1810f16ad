/* net.proxy taken apart, and the talk with a proxy as a state machine over bytes. One place makes
 * every text an operator reads about a proxy, so that each names the proxy and what helps. */
#include "net/proxy.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "net/ws_client.h"

enum { STEP_HTTP, STEP_SOCKS_METHOD, STEP_SOCKS_AUTH, STEP_SOCKS_REPLY };

/* ---- net.proxy */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Control characters are refused: none may get into a request line. */
static bool percent_decode(struct str text, char *out, size_t capacity)
{
    size_t n = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        int c = (unsigned char)text.data[i];
        if (c == '%') {
            int high = i + 2 < text.bytes ? hex_digit(text.data[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text.data[i + 2]) : -1;
            if (low < 0) {
                return false;
            }
            c = high * 16 + low;
            i += 2;
        }
        if (c < 0x20 || c == 0x7f || n + 1 >= capacity) {
            return false;
        }
        out[n++] = (char)c;
    }
    out[n] = 0;
    return true;
}

static bool user_parse(struct str text, struct proxy *out)
{
    const char *colon = text.bytes > 0 ? memchr(text.data, ':', text.bytes) : NULL;
    size_t user_bytes = colon != NULL ? (size_t)(colon - text.data) : text.bytes;
    struct str password =
        colon != NULL ? str_make(colon + 1, text.bytes - user_bytes - 1) : (struct str){"", 0};
    return user_bytes > 0 &&
           percent_decode(str_make(text.data, user_bytes), out->user, sizeof out->user) &&
           percent_decode(password, out->password, sizeof out->password);
}

/* The rest, as url_parse() reads it. A port must be given or is the kind's usual one. */
static bool address_parse(struct str text, struct proxy *out)
{
    char address[300];
    struct buf url = buf_over(address, sizeof address - 1);
    struct url parsed;
    buf_put_str(&url, STR("https://"));
    buf_put_str(&url, text);
    address[url.bytes] = 0;
    if (url.overflow || url_parse(address, &parsed, NULL) != 0 || parsed.target.bytes > 1) {
        return false;
    }
    memcpy(out->host, parsed.host.data, parsed.host.bytes);
    out->host[parsed.host.bytes] = 0;
    const char *behind = parsed.host.data + parsed.host.bytes;
    behind += *behind == ']';
    uint16_t usual = out->kind == PROXY_SOCKS5 ? 1080 : 8080;
    out->port = *behind == ':' ? parsed.port : usual;
    return true;
}

int proxy_parse(const char *text, struct proxy *out, struct err *err)
{
    memset(out, 0, sizeof *out);
    if (text == NULL || text[0] == 0) {
        return 0;
    }
    bool http = strncmp(text, "http://", 7) == 0;
    bool socks = strncmp(text, "socks5h://", 10) == 0;
    const char *rest = text + (http ? 7 : socks ? 10 : 0);
    const char *at = strrchr(rest, '@');
    out->kind = http ? PROXY_HTTP : PROXY_SOCKS5;
    bool good = (http || socks) &&
                (at == NULL || user_parse(str_make(rest, (size_t)(at - rest)), out)) &&
                address_parse(str_from(at != NULL ? at + 1 : rest), out);
    if (!good) {
        proxy_wipe(out);
        return err_set(err, MD_EPROXY,
                       "net.proxy: http://[user:password@]host:port or "
                       "socks5h://[user:password@]host:port is wanted (other characters than "
                       "letters and digits in user and password as %%XX)");
    }
    return 0;
}

void proxy_wipe(struct proxy *proxy)
{
    OPENSSL_cleanse(proxy, sizeof *proxy);
}

/* ---- words */

int proxy_failed(const struct proxy *proxy, const char *why, struct err *err)
{
    return err_set(err, MD_EPROXY, "proxy %s port %u: %s; check net.proxy", proxy->host,
                   proxy->port, why);
}

static int sign_in_failed(const struct proxy *proxy, struct err *err)
{
    const char *kind = proxy->kind == PROXY_HTTP ? "http" : "socks5h";
    return err_set(
        err, MD_EPROXY, "proxy %s port %u: %s; net.proxy takes %s://user:password@host:port",
        proxy->host, proxy->port,
        proxy->user[0] != 0 ? "user or password refused" : "wants user and password", kind);
}

static int target_failed(const struct proxy_talk *talk, int code, const char *why, struct err *err)
{
    return err_set(err, code, "proxy %s port %u: no connection to %s port %u: %s",
                   talk->proxy->host, talk->proxy->port, talk->host, talk->port, why);
}

/* ---- HTTP CONNECT */

static void http_request(const struct proxy_talk *talk, struct buf *out)
{
    bool six = strchr(talk->host, ':') != NULL;
    char target[264];
    struct buf name = buf_over(target, sizeof target);
    buf_printf(&name, "%s%s%s:%u", six ? "[" : "", talk->host, six ? "]" : "", talk->port);
    buf_put_str(out, STR("CONNECT "));
    buf_put_str(out, buf_view(&name));
    buf_put_str(out, STR(" HTTP/1.1\r\nHost: "));
    buf_put_str(out, buf_view(&name));
    buf_put_str(out, STR("\r\n"));
    if (talk->proxy->user[0] != 0) {
        char pair[256], encoded[352];
        struct buf both = buf_over(pair, sizeof pair);
        buf_put_str(&both, str_from(talk->proxy->user));
        buf_put_char(&both, ':');
        buf_put_str(&both, str_from(talk->proxy->password));
        EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)pair, (int)both.bytes);
        buf_put_str(out, STR("Proxy-Authorization: Basic "));
        buf_put_str(out, str_from(encoded));
        buf_put_str(out, STR("\r\n"));
        OPENSSL_cleanse(pair, sizeof pair);
        OPENSSL_cleanse(encoded, sizeof encoded);
    }
    buf_put_str(out, STR("\r\n"));
}

static int http_status(struct str head)
{
    static const char form[] = "HTTP/1.x ddd";
    if (head.bytes < sizeof form - 1) {
        return -1;
    }
    int status = 0;
    for (size_t i = 0; i < sizeof form - 1; i++) {
        char c = head.data[i];
        if (form[i] == 'd' || form[i] == 'x') {
            if (c < '0' || c > '9') {
                return -1;
            }
            status = form[i] == 'd' ? status * 10 + (c - '0') : 0;
        } else if (c != form[i]) {
            return -1;
        }
    }
    return status;
}

static int http_feed(struct proxy_talk *talk, struct err *err)
{
    const char *text = (const char *)talk->answer;
    size_t bytes = talk->answer_bytes;
    if (memcmp(text, "HTTP/1.", bytes < 7 ? bytes : 7) != 0) {
        return proxy_failed(talk->proxy, "does not answer as an HTTP proxy (is it socks5h://?)",
                            err);
    }
    const char *end = memmem(text, bytes, "\r\n\r\n", 4);
    if (end == NULL) {
        return bytes < sizeof talk->answer
                   ? PROXY_MORE
                   : proxy_failed(talk->proxy, "its answer is larger than 4 KiB", err);
    }
    int status = http_status(str_make(text, (size_t)(end - text)));
    char words[64];
    struct buf why = buf_over(words, sizeof words - 1);
    if (status < 0) {
        return proxy_failed(talk->proxy, "does not answer as an HTTP proxy", err);
    }
    if (status == 407) {
        return sign_in_failed(talk->proxy, err);
    }
    if (status < 200 || status > 299) {
        buf_printf(&why, "CONNECT refused with status %d", status);
        words[why.bytes] = 0;
        return target_failed(talk, status >= 500 ? MD_ECONNECT : MD_EPROXY, words, err);
    }
    if (end + 4 != text + bytes) {
        return proxy_failed(talk->proxy, "sent more than its answer", err);
    }
    return PROXY_DONE;
}

/* ---- SOCKS5 */

static void socks_connect(const struct proxy_talk *talk, struct buf *out)
{
    uint8_t address[16];
    size_t length = strlen(talk->host);
    uint8_t port[2] = {(uint8_t)(talk->port >> 8), (uint8_t)talk->port};
    if (inet_pton(AF_INET, talk->host, address) == 1) {
        buf_put(out, "\x05\x01\x00\x01", 4);
        buf_put(out, address, 4);
    } else if (inet_pton(AF_INET6, talk->host, address) == 1) {
        buf_put(out, "\x05\x01\x00\x04", 4);
        buf_put(out, address, 16);
    } else {
        buf_put(out, "\x05\x01\x00\x03", 4);
        buf_put_char(out, (char)length);
        buf_put(out, talk->host, length);
    }
    buf_put(out, port, 2);
}

static void socks_auth(const struct proxy *proxy, struct buf *out)
{
    buf_put_char(out, 1);
    buf_put_char(out, (char)strlen(proxy->user));
    buf_put_str(out, str_from(proxy->user));
    buf_put_char(out, (char)strlen(proxy->password));
    buf_put_str(out, str_from(proxy->password));
}

static int socks_refused(const struct proxy_talk *talk, uint8_t reply, struct err *err)
{
    static const struct {
        int code;
        const char *words;
    } replies[] = {{MD_EPROXY, "unknown reply"},
                   {MD_ECONNECT, "general failure"},
                   {MD_EPROXY, "not allowed by its rules"},
                   {MD_ECONNECT, "network unreachable"},
                   {MD_ECONNECT, "host unreachable or name not known"},
                   {MD_ECONNECT, "connection refused"},
                   {MD_ECONNECT, "time to live expired"},
                   {MD_EPROXY, "it knows no CONNECT"},
                   {MD_EPROXY, "it does not take this kind of address"}};
    size_t index = reply < sizeof replies / sizeof replies[0] ? reply : 0;
    return target_failed(talk, replies[index].code, replies[index].words, err);
}

/* Takes the answer's first `bytes` out; what is behind them is the next answer. */
static void answer_drop(struct proxy_talk *talk, size_t bytes)
{
    talk->answer_bytes -= bytes;
    memmove(talk->answer, talk->answer + bytes, talk->answer_bytes);
}

static int socks_reply(struct proxy_talk *talk, struct err *err)
{
    const uint8_t *b = talk->answer;
    size_t bytes = talk->answer_bytes;
    if (bytes >= 1 && b[0] != 5) {
        return proxy_failed(talk->proxy, "does not answer as a SOCKS5 proxy", err);
    }
    if (bytes >= 2 && b[1] != 0) {
        return socks_refused(talk, b[1], err);
    }
    if (bytes < 5) {
        return PROXY_MORE;
    }
    size_t address = b[3] == 1 ? 4 : b[3] == 4 ? 16 : b[3] == 3 ? (size_t)b[4] + 1 : 0;
    if (address == 0) {
        return proxy_failed(talk->proxy, "does not answer as a SOCKS5 proxy", err);
    }
    if (bytes < 4 + address + 2) {
        return PROXY_MORE;
    }
    return bytes == 4 + address + 2 ? PROXY_DONE
                                    : proxy_failed(talk->proxy, "sent more than its answer", err);
}

static int socks_method(struct proxy_talk *talk, struct buf *out, struct err *err)
{
    const uint8_t *b = talk->answer;
    if (b[0] != 5) {
        return proxy_failed(talk->proxy, "does not answer as a SOCKS5 proxy (is it http://?)", err);
    }
    if (talk->answer_bytes < 2) {
        return PROXY_MORE;
    }
    if (b[1] == 0xff || (b[1] == 2 && talk->proxy->user[0] == 0)) {
        return sign_in_failed(talk->proxy, err);
    }
    if (b[1] != 0 && b[1] != 2) {
        return proxy_failed(talk->proxy, "asks for a way to sign in that we do not know", err);
    }
    talk->step = b[1] == 2 ? STEP_SOCKS_AUTH : STEP_SOCKS_REPLY;
    answer_drop(talk, 2);
    if (talk->step == STEP_SOCKS_AUTH) {
        socks_auth(talk->proxy, out);
    } else {
        socks_connect(talk, out);
    }
    return PROXY_MORE;
}

static int socks_auth_reply(struct proxy_talk *talk, struct buf *out, struct err *err)
{
    if (talk->answer_bytes < 2) {
        return PROXY_MORE;
    }
    if (talk->answer[1] != 0) {
        return sign_in_failed(talk->proxy, err);
    }
    talk->step = STEP_SOCKS_REPLY;
    answer_drop(talk, 2);
    socks_connect(talk, out);
    return PROXY_MORE;
}

/* ---- the talk */

int proxy_talk_begin(struct proxy_talk *talk, const struct proxy *proxy, struct str host,
                     uint16_t port, struct buf *out)
{
    if (host.bytes >= sizeof talk->host) {
        return MD_EINVAL;
    }
    memcpy(talk->host, host.data, host.bytes);
    talk->host[host.bytes] = 0;
    talk->proxy = proxy;
    talk->port = port;
    talk->answer_bytes = 0;
    buf_reset(out);
    if (proxy->kind == PROXY_HTTP) {
        talk->step = STEP_HTTP;
        http_request(talk, out);
    } else {
        talk->step = STEP_SOCKS_METHOD;
        bool auth = proxy->user[0] != 0;
        buf_put(out, auth ? "\x05\x02\x00\x02" : "\x05\x01\x00", auth ? 4 : 3);
    }
    return out->overflow ? MD_EINVAL : PROXY_MORE;
}

int proxy_talk_feed(struct proxy_talk *talk, const void *data, size_t bytes, struct buf *out,
                    struct err *err)
{
    buf_reset(out);
    if (bytes == 0) {
        return PROXY_MORE;
    }
    if (bytes > sizeof talk->answer - talk->answer_bytes) {
        return proxy_failed(talk->proxy, "its answer is larger than 4 KiB", err);
    }
    memcpy(talk->answer + talk->answer_bytes, data, bytes);
    talk->answer_bytes += bytes;
    int step = talk->step;
    int result = step == STEP_HTTP           ? http_feed(talk, err)
                 : step == STEP_SOCKS_METHOD ? socks_method(talk, out, err)
                 : step == STEP_SOCKS_AUTH   ? socks_auth_reply(talk, out, err)
                                             : socks_reply(talk, err);
    if (result == PROXY_MORE && step != talk->step && talk->answer_bytes > 0) {
        /* the answer to what we have not sent yet */
        return proxy_failed(talk->proxy, "sent more than its answer", err);
    }
    return result;
}
