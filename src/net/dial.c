/* Resolve, race, proxy. At most DIAL_TRIES sockets are under way at once; the first that connects
 * wins and the others are closed. Through a proxy the race is for the proxy's addresses, and the
 * target's name is resolved by the proxy (HTTP CONNECT, SOCKS5h). */
#include "net/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

#include "base/assert.h"

enum { STEP_HTTP_ANSWER, STEP_SOCKS_METHOD, STEP_SOCKS_AUTH, STEP_SOCKS_HEAD, STEP_SOCKS_ADDRESS };

/* ---- net.proxy */

static void percent_decode(struct str text, char *out, size_t capacity)
{
    size_t n = 0;
    for (size_t i = 0; i < text.bytes && n + 1 < capacity; i++) {
        unsigned value = 0;
        if (text.data[i] == '%' && i + 2 < text.bytes &&
            sscanf(text.data + i + 1, "%2x", &value) == 1) {
            out[n++] = (char)value;
            i += 2;
        } else {
            out[n++] = text.data[i];
        }
    }
    out[n] = 0;
}

int dial_proxy_parse(const char *text, struct dial_proxy *out, struct err *err)
{
    static const char wanted[] = "net.proxy: http://[user:password@]host:port or "
                                 "socks5h://[user:password@]host:port is wanted";
    memset(out, 0, sizeof *out);
    if (text == NULL || text[0] == 0) {
        return 0;
    }
    bool http = strncmp(text, "http://", 7) == 0;
    bool socks = strncmp(text, "socks5h://", 10) == 0;
    if (!http && !socks) {
        return err_set(err, MD_EPROXY, "%s", wanted);
    }
    const char *rest = text + (http ? 7 : 10);
    const char *at = strrchr(rest, '@');
    char url[320];
    if (at != NULL) {
        const char *colon = memchr(rest, ':', (size_t)(at - rest));
        const char *user_end = colon != NULL ? colon : at;
        percent_decode(str_make(rest, (size_t)(user_end - rest)), out->user, sizeof out->user);
        if (colon != NULL) {
            percent_decode(str_make(colon + 1, (size_t)(at - colon - 1)), out->password,
                           sizeof out->password);
        }
        rest = at + 1;
    }
    struct url parsed;
    int n = snprintf(url, sizeof url, "http://%s", rest);
    if (n < 0 || (size_t)n >= sizeof url || url_parse(url, &parsed, NULL) != 0 ||
        parsed.target.bytes > 1) {
        return err_set(err, MD_EPROXY, "%s", wanted);
    }
    memcpy(out->host, parsed.host.data, parsed.host.bytes);
    out->host[parsed.host.bytes] = 0;
    out->port = socks && memchr(rest, ':', strlen(rest)) == NULL ? 1080 : parsed.port;
    out->kind = http ? DIAL_HTTP : DIAL_SOCKS5;
    return 0;
}

/* ---- end */

static void close_try(struct dial *dial, struct dial_try *one)
{
    if (one->source.fd >= 0) {
        loop_remove(dial->loop, &one->source);
        close(one->source.fd);
        one->source.fd = -1;
    }
}

void dial_cancel(struct dial *dial)
{
    dns_cancel(dial->dns, dial->ticket);
    dial->ticket = 0;
    loop_timer_cancel(dial->loop, &dial->stagger);
    for (int i = 0; i < DIAL_TRIES; i++) {
        close_try(dial, &dial->tries[i]);
    }
    if (dial->proxied.fd >= 0) {
        loop_remove(dial->loop, &dial->proxied);
        close(dial->proxied.fd);
        dial->proxied.fd = -1;
    }
}

static void fail(struct dial *dial, int code, const char *why)
{
    dial_cancel(dial);
    dial->on_done(dial->context, -1, code, why, dial->peer);
}

static void succeed(struct dial *dial, int fd)
{
    dial_cancel(dial);
    dial->on_done(dial->context, fd, 0, "", dial->peer);
}

/* ---- proxy */

static void watch(struct dial *dial, int fd, int step);

static bool send_all(int fd, const void *data, size_t bytes)
{
    /* a few hundred bytes into a fresh socket's empty buffer: whole or broken */
    return send(fd, data, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

static void begin_http(struct dial *dial, int fd)
{
    char text[1024];
    struct buf out = buf_over(text, sizeof text);
    bool bracket = strchr(dial->host, ':') != NULL;
    buf_printf(&out, "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n", bracket ? "[" : "",
               dial->host, bracket ? "]" : "", dial->port, bracket ? "[" : "", dial->host,
               bracket ? "]" : "", dial->port);
    if (dial->proxy->user[0] != 0) {
        char pair[260], encoded[360];
        int n = snprintf(pair, sizeof pair, "%s:%s", dial->proxy->user, dial->proxy->password);
        EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)pair, n);
        buf_printf(&out, "Proxy-Authorization: Basic %s\r\n", encoded);
    }
    buf_put_str(&out, STR("\r\n"));
    watch(dial, fd, STEP_HTTP_ANSWER);
    if (out.overflow || !send_all(fd, out.data, out.bytes)) {
        fail(dial, MD_EPROXY, "proxy: the request could not be sent");
    }
}

static void begin_socks(struct dial *dial, int fd)
{
    bool auth = dial->proxy->user[0] != 0;
    uint8_t hello[4] = {5, auth ? 2 : 1, 0, 2}; /* RFC 1928, section 3 */
    watch(dial, fd, STEP_SOCKS_METHOD);
    if (!send_all(fd, hello, auth ? 4 : 3)) {
        fail(dial, MD_EPROXY, "proxy: the greeting could not be sent");
    }
}

static void socks_connect(struct dial *dial)
{
    uint8_t request[300] = {5, 1, 0, 3};
    size_t length = strlen(dial->host);
    request[4] = (uint8_t)length;
    memcpy(request + 5, dial->host, length);
    request[5 + length] = (uint8_t)(dial->port >> 8);
    request[6 + length] = (uint8_t)dial->port;
    dial->proxy_step = STEP_SOCKS_HEAD;
    dial->byte_count = 0;
    if (!send_all(dial->proxied.fd, request, 7 + length)) {
        fail(dial, MD_EPROXY, "proxy: the request could not be sent");
    }
}

static void socks_auth(struct dial *dial)
{
    uint8_t request[260] = {1}; /* RFC 1929 */
    size_t user = strlen(dial->proxy->user), password = strlen(dial->proxy->password);
    request[1] = (uint8_t)user;
    memcpy(request + 2, dial->proxy->user, user);
    request[2 + user] = (uint8_t)password;
    memcpy(request + 3 + user, dial->proxy->password, password);
    dial->proxy_step = STEP_SOCKS_AUTH;
    dial->byte_count = 0;
    if (!send_all(dial->proxied.fd, request, 3 + user + password)) {
        fail(dial, MD_EPROXY, "proxy: user and password could not be sent");
    }
}

static void proxied_done(struct dial *dial)
{
    int fd = dial->proxied.fd;
    loop_remove(dial->loop, &dial->proxied);
    dial->proxied.fd = -1;
    succeed(dial, fd);
}

/* Bytes this step still wants; exact, so that nothing of the target's is read. */
static size_t step_wants(const struct dial *dial)
{
    const uint8_t *b = dial->bytes;
    switch (dial->proxy_step) {
    case STEP_SOCKS_METHOD:
    case STEP_SOCKS_AUTH:
        return 2 - dial->byte_count;
    case STEP_SOCKS_HEAD:
        return 5 - dial->byte_count;
    case STEP_SOCKS_ADDRESS: {
        size_t address = b[3] == 1 ? 4 : b[3] == 4 ? 16 : (size_t)b[4] + 1;
        return 4 + address + 2 - dial->byte_count;
    }
    default:
        return 1; /* HTTP heads end anywhere: a byte at a time, a few hundred in all */
    }
}

static const char *socks_words(uint8_t reply)
{
    static const char *const words[] = {"granted",
                                        "proxy: general failure",
                                        "proxy: not allowed by its rules",
                                        "proxy: network unreachable",
                                        "proxy: host unreachable",
                                        "proxy: connection refused by the host",
                                        "proxy: time to live expired",
                                        "proxy: command not supported",
                                        "proxy: address not supported"};
    return reply < sizeof words / sizeof words[0] ? words[reply] : "proxy: refused";
}

static void step_done(struct dial *dial)
{
    const uint8_t *b = dial->bytes;
    switch (dial->proxy_step) {
    case STEP_SOCKS_METHOD:
        if (b[0] != 5 || (b[1] != 0 && b[1] != 2)) {
            fail(dial, MD_EPROXY,
                 "proxy: refuses to talk SOCKS5 with us; check net.proxy, user and password");
        } else if (b[1] == 2) {
            socks_auth(dial);
        } else {
            socks_connect(dial);
        }
        return;
    case STEP_SOCKS_AUTH:
        if (b[1] != 0) {
            fail(dial, MD_EPROXY, "proxy: user or password refused; check net.proxy");
        } else {
            socks_connect(dial);
        }
        return;
    case STEP_SOCKS_HEAD:
        if (b[0] != 5 || b[1] != 0) {
            fail(dial, b[1] >= 3 && b[1] <= 6 ? MD_ECONNECT : MD_EPROXY, socks_words(b[1]));
        } else {
            dial->proxy_step = STEP_SOCKS_ADDRESS;
        }
        return;
    case STEP_SOCKS_ADDRESS:
        proxied_done(dial);
        return;
    default:
        return;
    }
}

static void http_byte(struct dial *dial)
{
    static char why[64];
    size_t n = dial->byte_count;
    if (n < 4 || memcmp(dial->bytes + n - 4, "\r\n\r\n", 4) != 0) {
        if (n == sizeof dial->bytes) {
            fail(dial, MD_EPROXY, "proxy: answer too long");
        }
        return;
    }
    int status = 0;
    dial->bytes[n - 1] = 0;
    if (sscanf((const char *)dial->bytes, "HTTP/1.%*1[01] %3d", &status) != 1) {
        fail(dial, MD_EPROXY, "proxy: does not answer as an HTTP proxy; check net.proxy");
    } else if (status == 407) {
        fail(dial, MD_EPROXY, "proxy: user or password refused (407); check net.proxy");
    } else if (status < 200 || status > 299) {
        snprintf(why, sizeof why, "proxy: CONNECT refused with status %d", status);
        fail(dial, status >= 500 ? MD_ECONNECT : MD_EPROXY, why);
    } else {
        proxied_done(dial);
    }
}

static void on_proxied(void *context, unsigned events)
{
    struct dial *dial = context;
    (void)events;
    while (dial->proxied.fd >= 0) {
        ssize_t n = recv(dial->proxied.fd, dial->bytes + dial->byte_count, step_wants(dial), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            fail(dial, MD_EPROXY, "proxy: closed the connection; check net.proxy");
            return;
        }
        dial->byte_count += (size_t)n;
        if (dial->proxy_step == STEP_HTTP_ANSWER) {
            http_byte(dial);
        } else if (step_wants(dial) == 0) {
            step_done(dial);
        }
    }
}

static void watch(struct dial *dial, int fd, int step)
{
    dial->proxied = (struct loop_source){.fd = fd, .on_ready = on_proxied, .context = dial};
    dial->proxy_step = step;
    dial->byte_count = 0;
    int code = loop_add(dial->loop, &dial->proxied, LOOP_READ);
    ASSERT(code == 0 || code == MD_EMFILE || code == MD_ENOMEM);
}

/* ---- race */

static void try_next(struct dial *dial);

static void note_peer(struct dial *dial, int fd)
{
    struct sockaddr_storage address;
    socklen_t bytes = sizeof address;
    char text[INET6_ADDRSTRLEN] = "?";
    unsigned port = 0;
    if (getpeername(fd, (struct sockaddr *)&address, &bytes) == 0) {
        if (address.ss_family == AF_INET6) {
            const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address;
            inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
            port = ntohs(six->sin6_port);
        } else {
            const struct sockaddr_in *four = (const struct sockaddr_in *)&address;
            inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
            port = ntohs(four->sin_port);
        }
    }
    snprintf(dial->peer, sizeof dial->peer, "%s:%u", text, port);
}

static bool any_try_open(const struct dial *dial)
{
    for (int i = 0; i < DIAL_TRIES; i++) {
        if (dial->tries[i].source.fd >= 0) {
            return true;
        }
    }
    return false;
}

static void try_failed(struct dial *dial, struct dial_try *one, int error)
{
    static char why[128];
    close_try(dial, one);
    dial->last_errno = error;
    if (dial->next_address < dial->answer.count) {
        try_next(dial);
    } else if (!any_try_open(dial)) {
        bool proxied = dial->proxy->kind != DIAL_DIRECT;
        snprintf(why, sizeof why, "%s%s%s", proxied ? "proxy: " : "", strerror(error),
                 proxied ? "; check net.proxy" : "");
        fail(dial, dial->proxy->kind != DIAL_DIRECT ? MD_EPROXY : MD_ECONNECT, why);
    }
}

static void on_try_ready(void *context, unsigned events)
{
    struct dial_try *one = context;
    struct dial *dial = one->dial;
    int error = 0;
    socklen_t bytes = sizeof error;
    (void)events;
    if (getsockopt(one->source.fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0 || error != 0) {
        try_failed(dial, one, error != 0 ? error : errno);
        return;
    }
    int fd = one->source.fd;
    loop_remove(dial->loop, &one->source);
    one->source.fd = -1;
    note_peer(dial, fd);
    if (dial->proxy->kind == DIAL_DIRECT) {
        succeed(dial, fd);
        return;
    }
    dial_cancel(dial); /* the other tries */
    if (dial->proxy->kind == DIAL_HTTP) {
        begin_http(dial, fd);
    } else {
        begin_socks(dial, fd);
    }
}

static int open_socket(const struct sockaddr *address, socklen_t bytes)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    static const struct {
        int level, name, value;
    } options[] = {{IPPROTO_TCP, TCP_NODELAY, 1},
                   {SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, 30},
                   {IPPROTO_TCP, TCP_KEEPINTVL, 10},
                   {IPPROTO_TCP, TCP_KEEPCNT, 3}};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        /* best effort: a kernel that refuses one still connects */
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
    }
    if (connect(fd, address, bytes) != 0 && errno != EINPROGRESS) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static void try_next(struct dial *dial)
{
    while (dial->next_address < dial->answer.count) {
        struct dial_try *one = NULL;
        for (int i = 0; i < DIAL_TRIES && one == NULL; i++) {
            one = dial->tries[i].source.fd < 0 ? &dial->tries[i] : NULL;
        }
        if (one == NULL) {
            break;
        }
        uint32_t index = dial->next_address++;
        int fd = open_socket((const struct sockaddr *)&dial->answer.addresses[index].address,
                             dial->answer.addresses[index].bytes);
        if (fd < 0) {
            dial->last_errno = errno;
            continue;
        }
        one->source = (struct loop_source){.fd = fd, .on_ready = on_try_ready, .context = one};
        if (loop_add(dial->loop, &one->source, LOOP_WRITE) != 0) {
            close(fd);
            one->source.fd = -1;
            dial->last_errno = EMFILE;
            continue;
        }
        if (dial->next_address < dial->answer.count) {
            loop_timer_set(dial->loop, &dial->stagger,
                           loop_now_mono_ns(dial->loop) + DIAL_STAGGER_MS * NS_PER_MS);
        }
        return;
    }
    if (!any_try_open(dial)) {
        static char why[128];
        snprintf(why, sizeof why, "%s", strerror(dial->last_errno));
        fail(dial, MD_ECONNECT, why);
    }
}

static void on_stagger(void *context, int64_t now_mono_ns)
{
    (void)now_mono_ns;
    try_next(context);
}

static void on_answer(void *context, const struct dns_answer *answer)
{
    struct dial *dial = context;
    dial->ticket = 0;
    if (answer->code != 0) {
        static char why[300];
        const char *name = dial->proxy->kind != DIAL_DIRECT ? dial->proxy->host : dial->host;
        snprintf(why, sizeof why, "%s: %s", name, answer->why);
        fail(dial, dial->proxy->kind != DIAL_DIRECT ? MD_EPROXY : answer->code, why);
        return;
    }
    dial->answer = *answer;
    dial->next_address = 0;
    try_next(dial);
}

void dial_init(struct dial *dial, struct loop *loop, struct dns *dns,
               const struct dial_proxy *proxy)
{
    dial->loop = loop;
    dial->dns = dns;
    dial->proxy = proxy;
    dial->proxied.fd = -1;
    for (int i = 0; i < DIAL_TRIES; i++) {
        dial->tries[i].dial = dial;
        dial->tries[i].source.fd = -1;
    }
    dial->stagger.on_timer = on_stagger;
    dial->stagger.context = dial;
}

int dial_start(struct dial *dial, struct str host, uint16_t port)
{
    ASSERT(dial->ticket == 0);
    ASSERT(!any_try_open(dial));
    if (host.bytes >= sizeof dial->host) {
        return MD_EINVAL;
    }
    memcpy(dial->host, host.data, host.bytes);
    dial->host[host.bytes] = 0;
    dial->port = port;
    dial->peer[0] = 0;
    bool direct = dial->proxy->kind == DIAL_DIRECT;
    dial->ticket = direct ? dns_ask(dial->dns, host, port, on_answer, dial)
                          : dns_ask(dial->dns, str_from(dial->proxy->host), dial->proxy->port,
                                    on_answer, dial);
    return dial->ticket > 0 ? 0 : dial->ticket;
}
