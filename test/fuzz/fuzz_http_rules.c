/* What a request says (Host, Authorization) and text from outside in JSON and labels: any bytes.
 * The result of escaping cannot end its string and is what jansson reads. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "watch/http_rules.h"
#include "watch/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(int good)
{
    if (!good) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct str text = str_make((const char *)data, bytes);
    struct listen_address listen;
    struct err err = {""};
    if (listen_parse(text, &listen, &err) == 0) {
        require(strlen(listen.host) < sizeof listen.host);
        require(!listen.both || listen.loopback);
    } else {
        require(err.text[0] != 0);
    }
    struct listen_address own = {.on = true, .host = "10.0.0.1"};
    bool allowed = host_allowed(text, &own, STR("a.example,b"));
    require(!allowed || bytes <= sizeof "[localhost]:65535" + 8);
    (void)host_allowed(STR("c"), &own, text);
    (void)token_given(text, STR("secret-of-16-bytes"));
    if (bytes > 0 && bytes < 4096) {
        char *memory = malloc(bytes * 6 + 2);
        require(memory != NULL);
        struct buf out = buf_over(memory, bytes * 6 + 2);
        text_json(&out, text);
        require(!out.overflow);
        json_t *read = json_loadb(out.data, out.bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        require(json_is_string(read));
        json_decref(read);
        out = buf_over(memory, bytes * 6 + 2);
        text_label(&out, text);
        for (size_t i = 0; i < out.bytes; i++) {
            require((unsigned char)out.data[i] >= 0x20);
            i += out.data[i] == '\\';
            require(out.data[i] != '"' || out.data[i - 1] == '\\');
        }
        free(memory);
    }
    return 0;
}
