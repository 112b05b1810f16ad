/* URLs and net.proxy: any text. What is taken apart lies inside the text and is clean enough for a
 * request line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/proxy.h"
#include "net/ws_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(int good)
{
    if (!good) {
        abort();
    }
}

static void check_clean(struct str s, const char *from, const char *to)
{
    for (size_t i = 0; i < s.bytes; i++) {
        require(s.data[i] > 0x20 && s.data[i] < 0x7f);
    }
    /* an absent target is "/" of its own */
    require((s.bytes == 1 && s.data[0] == '/') || (s.data >= from && s.data + s.bytes <= to));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes + 1);
    struct url url;
    struct err err = {""};
    struct proxy proxy;
    require(text != NULL);
    if (bytes > 0) {
        memcpy(text, data, bytes);
    }
    text[bytes] = 0;
    if (url_parse(text, &url, &err) == 0) {
        check_clean(url.host, text, text + bytes);
        check_clean(url.target, text, text + bytes);
        require(url.port > 0 && url.host.bytes > 0 && url.host.bytes <= 253);
        require(url.target.bytes > 0 && url.target.data[0] == '/');
    } else {
        require(err.text[0] != 0);
    }
    int code = proxy_parse(text, &proxy, &err);
    require(code == 0 || (code == MD_EPROXY && proxy.host[0] == 0 && proxy.password[0] == 0));
    if (code == 0 && proxy.kind != PROXY_NONE) {
        require(proxy.port > 0 && strlen(proxy.host) > 0 && strlen(proxy.host) <= 253);
        struct proxy_talk talk;
        char memory[PROXY_SEND_BYTES_MAX];
        struct buf out = buf_over(memory, sizeof memory);
        require(proxy_talk_begin(&talk, &proxy, STR("h"), 443, &out) == PROXY_MORE);
    }
    free(text);
    return 0;
}
