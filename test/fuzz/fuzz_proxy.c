/* What a proxy answers: any bytes. First byte: kind of proxy and size of the pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(int good)
{
    if (!good) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char *const proxies[] = {"http://h:1", "http://user:pass@h:1", "socks5h://h:1",
                                          "socks5h://user:pass@h:1"};
    struct proxy proxy;
    struct proxy_talk talk;
    struct err err = {""};
    char memory[PROXY_SEND_BYTES_MAX];
    struct buf out = buf_over(memory, sizeof memory);
    if (bytes < 1) {
        return 0;
    }
    size_t piece = 1 + (size_t)(data[0] >> 2);
    require(proxy_parse(proxies[data[0] & 3], &proxy, NULL) == 0);
    int result = proxy_talk_begin(&talk, &proxy, STR("venue.example"), 443, &out);
    for (size_t at = 1; at < bytes && result == PROXY_MORE; at += piece) {
        require(!out.overflow);
        size_t n = bytes - at < piece ? bytes - at : piece;
        result = proxy_talk_feed(&talk, data + at, n, &out, &err);
        require(talk.answer_bytes <= PROXY_ANSWER_BYTES_MAX);
    }
    require(result >= 0 || (err.text[0] != 0 && strstr(err.text, "pass@") == NULL));
    require(result == PROXY_MORE || result == PROXY_DONE || result == MD_EPROXY ||
            result == MD_ECONNECT);
    return 0;
}
