/* HTTP for what is not streamed: libcurl's multi interface on our loop. Its sockets become loop
 * sources, its timeout a loop timer; names are resolved on libcurl's own threads. No redirects, no
 * cookies, no protocol but http and https, nothing from the environment. Memory of ours: fixed
 * tables; libcurl's stands on ALLOC_LIB_CURL. */
#include "net/rest.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/str.h"

#define SOCKETS_MAX 64
#define WINDOW_S_MAX 60 /* venues count in windows of 10 s to a minute */

struct request {
    struct rest *rest;
    CURL *easy;
    struct curl_slist *headers;
    bool busy;
    struct rest_handlers handlers;
    struct rest_result result;
    int64_t window_left_ms; /* as the venue's own header says; -1: it says nothing */
    uint64_t body_bytes;
    bool too_big;
    char words[CURL_ERROR_SIZE];
};

struct rest_socket {
    struct rest *rest;
    struct loop_source source;
    bool used;
};

struct rest {
    struct loop *loop;
    struct rest_config config;
    CURLM *multi;
    struct loop_timer timer;
    struct rest_socket sockets[SOCKETS_MAX];
    struct request *requests;
};

static void reap(struct rest *rest);

static void act(struct rest *rest, curl_socket_t fd, int mask)
{
    int running = 0;
    curl_multi_socket_action(rest->multi, fd, mask, &running);
    reap(rest);
}

static void on_socket_ready(void *context, unsigned events)
{
    struct rest_socket *socket = context;
    int mask = ((events & LOOP_READ) != 0 ? CURL_CSELECT_IN : 0) |
               ((events & LOOP_WRITE) != 0 ? CURL_CSELECT_OUT : 0) |
               ((events & LOOP_HANGUP) != 0 ? CURL_CSELECT_IN | CURL_CSELECT_ERR : 0);
    act(socket->rest, socket->source.fd, mask);
}

static void on_timer(void *context, int64_t now_mono_ns)
{
    (void)now_mono_ns;
    act(context, CURL_SOCKET_TIMEOUT, 0);
}

static int on_multi_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct rest *rest = context;
    (void)multi;
    if (timeout_ms < 0) {
        loop_timer_cancel(rest->loop, &rest->timer);
        return 0;
    }
    int64_t now = clock_mono_ns(loop_clock(rest->loop));
    return loop_timer_set(rest->loop, &rest->timer, now + timeout_ms * NS_PER_MS) == 0 ? 0 : -1;
}

static struct rest_socket *socket_find(struct rest *rest, curl_socket_t fd, bool make)
{
    struct rest_socket *unused = NULL;
    for (int i = 0; i < SOCKETS_MAX; i++) {
        if (rest->sockets[i].used && rest->sockets[i].source.fd == fd) {
            return &rest->sockets[i];
        }
        unused = !rest->sockets[i].used ? &rest->sockets[i] : unused;
    }
    if (!make || unused == NULL) {
        return NULL;
    }
    unused->rest = rest;
    unused->used = true;
    unused->source = (struct loop_source){.fd = fd, .on_ready = on_socket_ready, .context = unused};
    return unused;
}

static int on_multi_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *own)
{
    struct rest *rest = context;
    (void)easy;
    (void)own;
    struct rest_socket *socket = socket_find(rest, fd, what != CURL_POLL_REMOVE);
    if (socket == NULL) {
        return what == CURL_POLL_REMOVE ? 0 : -1;
    }
    if (what == CURL_POLL_REMOVE) {
        loop_remove(rest->loop, &socket->source);
        socket->used = false;
        return 0;
    }
    unsigned events = ((what & CURL_POLL_IN) != 0 ? LOOP_READ : 0u) |
                      ((what & CURL_POLL_OUT) != 0 ? LOOP_WRITE : 0u);
    if (socket->source.generation == 0) {
        return loop_add(rest->loop, &socket->source, events) == 0 ? 0 : -1;
    }
    return loop_modify(rest->loop, &socket->source, events) == 0 ? 0 : -1;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct request *request = context;
    size_t bytes = size * count;
    struct rest *rest = request->rest;
    request->body_bytes += bytes;
    if (request->body_bytes > rest->config.body_bytes_max) {
        request->too_big = true;
        return 0;
    }
    request->result.recv_unix_ns = clock_unix_ns(loop_clock(rest->loop));
    for (size_t at = 0; at < bytes; at += 16384) {
        size_t part = bytes - at < 16384 ? bytes - at : 16384;
        request->handlers.on_part(request->handlers.context, data + at, part,
                                  request->result.recv_unix_ns);
    }
    return bytes;
}

static int64_t header_number(const char *data, size_t bytes, const char *name)
{
    size_t length = strlen(name);
    if (bytes <= length || bytes - length > 32 || strncasecmp(data, name, length) != 0) {
        return -1;
    }
    char text[40] = {0};
    memcpy(text, data + length, bytes - length);
    char *end = NULL;
    long long number = strtoll(text, &end, 10);
    return end != text && number >= 0 ? number : -1;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct request *request = context;
    size_t bytes = size * count;
    int64_t retry = header_number(data, bytes, "retry-after:");
    int64_t weight = header_number(data, bytes, "x-mbx-used-weight-1m:");
    request->result.retry_after_s = retry >= 0 ? retry : request->result.retry_after_s;
    request->result.used_weight = weight >= 0 ? weight : request->result.used_weight;
    int64_t left_ms = header_number(data, bytes, "gw-ratelimit-reset:");
    int64_t end_unix_s = header_number(data, bytes, "x-gate-ratelimit-reset-timestamp:");
    if (left_ms >= 0) {
        request->window_left_ms = left_ms;
    } else if (end_unix_s >= 0 && end_unix_s < INT64_MAX / 1000) {
        int64_t now_ms = clock_unix_ns(loop_clock(request->rest->loop)) / NS_PER_MS;
        request->window_left_ms = end_unix_s * 1000 > now_ms ? end_unix_s * 1000 - now_ms : 0;
    }
    return bytes;
}

static bool is_proxied(const struct rest *rest)
{
    return rest->config.proxy != NULL && rest->config.proxy[0] != 0;
}

static int code_of(const struct request *request, CURLcode curl)
{
    long proxy_status = 0;
    curl_easy_getinfo(request->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    if (request->too_big) {
        return MD_ETOOBIG;
    }
    if (curl != CURLE_OK && is_proxied(request->rest) && proxy_status >= 400) {
        return proxy_status >= 500 ? MD_ECONNECT : MD_EPROXY; /* it, or what is behind it */
    }
    switch ((int)curl) {
    case CURLE_OK:
        return 0;
    case CURLE_COULDNT_RESOLVE_HOST:
        return MD_EDNS;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
        return MD_EPROXY;
    case CURLE_COULDNT_CONNECT:
        return is_proxied(request->rest) ? MD_EPROXY : MD_ECONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return MD_ETIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return MD_ECERT;
    case CURLE_SSL_CONNECT_ERROR:
        return MD_ETLS;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return MD_EINVAL;
    case CURLE_OUT_OF_MEMORY:
        return MD_ENOMEM;
    case CURLE_FILESIZE_EXCEEDED:
        return MD_ETOOBIG;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
        return MD_EPROTO;
    default:
        return MD_ECLOSED;
    }
}

/* What helps, behind libcurl's words. */
static const char *remedy(int code)
{
    switch (code) {
    case MD_ECERT:
        return "; install the package ca-certificates, or set net.ca_file if it is your own";
    case MD_EPROXY:
        return "; check net.proxy";
    case MD_ETOOBIG:
        return "; larger than a reply may be";
    default:
        return "";
    }
}

static void headers_free(struct request *request)
{
    for (struct curl_slist *one = request->headers; one != NULL; one = one->next) {
        OPENSSL_cleanse(one->data, strlen(one->data)); /* it may hold an API key */
    }
    curl_slist_free_all(request->headers);
    request->headers = NULL;
}

/* The slot is free before on_done, which may start the next request in it: so all that on_done is
 * told lies here. */
static void finish(struct request *request, CURLcode curl)
{
    struct rest_result result = request->result;
    struct rest_handlers handlers = request->handlers;
    char words[2 * CURL_ERROR_SIZE];
    long status = 0;
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    result.code = code_of(request, curl);
    result.status = (int)status;
    if (result.retry_after_s < 0 && retry_after_s > 0) {
        result.retry_after_s = retry_after_s; /* given as a date */
    }
    if (result.retry_after_s < 0 && status == 429 && request->window_left_ms >= 0) {
        int64_t left_s = request->window_left_ms / 1000 + 1;
        result.retry_after_s = left_s < WINDOW_S_MAX ? left_s : WINDOW_S_MAX;
    }
    words[0] = 0;
    if (result.code != 0) {
        const char *why = request->words[0] != 0 ? request->words : curl_easy_strerror(curl);
        size_t n = str_printable(words, sizeof words - 100, why, strlen(why));
        snprintf(words + n, sizeof words - n, "%s", remedy(result.code));
    }
    result.why = words;
    curl_multi_remove_handle(request->rest->multi, request->easy);
    headers_free(request);
    request->busy = false;
    handlers.on_done(handlers.context, &result);
}

static void reap(struct rest *rest)
{
    CURLMsg *message = NULL;
    int left = 0;
    while ((message = curl_multi_info_read(rest->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            struct request *request = NULL;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
            finish(request, message->data.result);
        }
    }
}

struct rest *rest_create(struct loop *loop, const struct rest_config *config, struct err *err)
{
    struct rest *rest =
        alloc_take(ALLOC_CONNECTIONS, sizeof *rest + config->requests_max * sizeof(struct request));
    if (rest == NULL) {
        err_set(err, MD_ENOMEM, "no memory for REST");
        return NULL;
    }
    rest->loop = loop;
    rest->config = *config;
    rest->requests = (struct request *)(void *)(rest + 1);
    rest->timer.on_timer = on_timer;
    rest->timer.context = rest;
    rest->multi = curl_multi_init();
    bool good = rest->multi != NULL;
    for (uint32_t i = 0; i < config->requests_max; i++) {
        rest->requests[i].rest = rest;
        rest->requests[i].easy = curl_easy_init();
        good = good && rest->requests[i].easy != NULL;
    }
    if (!good) {
        err_set(err, MD_ENOMEM, "no memory for REST");
        rest_destroy(rest);
        return NULL;
    }
    curl_multi_setopt(rest->multi, CURLMOPT_SOCKETFUNCTION, on_multi_socket);
    curl_multi_setopt(rest->multi, CURLMOPT_SOCKETDATA, rest);
    curl_multi_setopt(rest->multi, CURLMOPT_TIMERFUNCTION, on_multi_timer);
    curl_multi_setopt(rest->multi, CURLMOPT_TIMERDATA, rest);
    curl_multi_setopt(rest->multi, CURLMOPT_MAXCONNECTS, (long)config->requests_max);
    return rest;
}

void rest_destroy(struct rest *rest)
{
    if (rest == NULL) {
        return;
    }
    for (uint32_t i = 0; i < rest->config.requests_max; i++) {
        struct request *request = &rest->requests[i];
        if (request->busy) {
            curl_multi_remove_handle(rest->multi, request->easy);
        }
        if (request->easy != NULL) {
            curl_easy_cleanup(request->easy);
        }
        headers_free(request);
    }
    if (rest->multi != NULL) {
        curl_multi_cleanup(rest->multi);
    }
    loop_timer_cancel(rest->loop, &rest->timer);
    alloc_give(rest);
}

static void set_options(struct request *request, const char *url)
{
    const struct rest_config *config = &request->rest->config;
    CURL *easy = request->easy;
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)config->body_bytes_max);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)config->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "market-data/" MD_VERSION);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->words);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    /* "" and not NULL: the environment's proxies do not count, net.proxy does. A tunnel always, so
     * that a proxy sees hosts only, and its refusals cannot be taken for the venue's answers. */
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, config->proxy != NULL ? config->proxy : "");
    if (config->ca_file != NULL && config->ca_file[0] != 0) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_file);
    }
}

static int start(struct rest *rest, const char *url, const char *header, bool post,
                 const struct rest_handlers *handlers)
{
    struct request *request = NULL;
    for (uint32_t i = 0; i < rest->config.requests_max && request == NULL; i++) {
        request = rest->requests[i].busy ? NULL : &rest->requests[i];
    }
    if (request == NULL) {
        return MD_EFULL;
    }
    request->handlers = *handlers;
    request->result = (struct rest_result){.retry_after_s = -1, .used_weight = -1};
    request->window_left_ms = -1;
    request->body_bytes = 0;
    request->too_big = false;
    request->words[0] = 0;
    set_options(request, url);
    if (header != NULL) {
        request->headers = curl_slist_append(NULL, header);
        if (request->headers == NULL) {
            return MD_ENOMEM;
        }
        curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers);
    }
    if (post) {
        curl_easy_setopt(request->easy, CURLOPT_POSTFIELDSIZE, 0L);
        curl_easy_setopt(request->easy, CURLOPT_POSTFIELDS, "");
    }
    if (curl_multi_add_handle(rest->multi, request->easy) != CURLM_OK) {
        headers_free(request);
        return MD_ENOMEM;
    }
    request->busy = true;
    return 0;
}

int rest_get(struct rest *rest, const char *url, const char *header,
             const struct rest_handlers *handlers)
{
    return start(rest, url, header, false, handlers);
}

int rest_post(struct rest *rest, const char *url, const char *header,
              const struct rest_handlers *handlers)
{
    return start(rest, url, header, true, handlers);
}

uint32_t rest_in_flight(const struct rest *rest)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rest->config.requests_max; i++) {
        count += rest->requests[i].busy;
    }
    return count;
}
