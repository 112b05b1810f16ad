/* The two JSON readers against each other and against jansson: whoever accepts a text, all accept
 * it. The push parser is also fed a byte at a time. */
#include <jansson.h>
#include <stdint.h>

#include "base/assert.h"
#include "exchange/json_stream.h"
#include "exchange/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct tally {
    uint64_t events, bytes;
};

static bool on_json(void *context, enum json_event event, struct str text, int depth)
{
    struct tally *tally = context;
    ASSERT(depth >= 0);
    ASSERT(depth <= JSON_DEPTH_MAX);
    tally->events += 1 + (uint64_t)event;
    tally->bytes += text.bytes;
    return true;
}

static bool push(const uint8_t *data, size_t size, size_t step, struct tally *tally)
{
    struct json_stream stream;
    *tally = (struct tally){0, 0};
    json_stream_init(&stream, on_json, tally);
    for (size_t at = 0; at < size; at += step) {
        if (!json_stream_feed(&stream, data + at, size - at < step ? size - at : step)) {
            return false;
        }
    }
    return json_stream_end(&stream);
}

/* Bounds that jansson does not have: depth, and length of a number. */
static bool beyond_bounds(const uint8_t *data, size_t size)
{
    int depth = 0, deepest = 0;
    size_t digits = 0, longest = 0;
    for (size_t i = 0; i < size; i++) {
        depth += data[i] == '[' || data[i] == '{';
        depth -= data[i] == ']' || data[i] == '}';
        deepest = depth > deepest ? depth : deepest;
        bool number = (data[i] >= '0' && data[i] <= '9') || data[i] == '.' || data[i] == '-' ||
                      data[i] == '+' || (data[i] | 0x20) == 'e';
        digits = number ? digits + 1 : 0;
        longest = digits > longest ? digits : longest;
    }
    return deepest >= SCAN_DEPTH_MAX || longest >= JSON_TOKEN_BYTES_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scan scan = {(const char *)data, (const char *)data + size};
    struct scan_value value;
    bool scanned = scan_value(&scan, &value) && scan_at_end(&scan);
    struct tally whole, single;
    bool pushed = push(data, size, size > 0 ? size : 1, &whole);
    bool stepped = push(data, size, 1, &single);
    ASSERT(pushed == stepped);
    ASSERT(!pushed || (whole.events == single.events && whole.bytes == single.bytes));
    if (beyond_bounds(data, size)) {
        return 0;
    }
    ASSERT(scanned == pushed);
    if (memchr(data, 0, size) != NULL) {
        return 0; /* jansson takes a NUL for the end */
    }
    json_error_t error;
    json_t *parsed = json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    /* jansson also refuses numbers beyond its types and lone surrogates, which we let pass */
    ASSERT(parsed == NULL || scanned);
    json_decref(parsed);
    return 0;
}
