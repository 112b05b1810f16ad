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

/* What the walk over a validated container finds is what reading it again would find. */
static void same_again(const struct scan_value *value)
{
    bool quoted = value->type == SCAN_STRING;
    bool word = value->type == SCAN_TRUE || value->type == SCAN_FALSE || value->type == SCAN_NULL;
    if (word) {
        return; /* has no text */
    }
    struct scan scan = {value->text.data - quoted, value->text.data + value->text.bytes + quoted};
    struct scan_value again;
    ASSERT(scan_value(&scan, &again));
    ASSERT(scan.p == scan.end);
    ASSERT(again.type == value->type);
    ASSERT(again.escaped == value->escaped);
    ASSERT(str_equal(again.text, value->text));
}

static uint64_t walk(const struct scan_value *container, int depth)
{
    struct scan scan = scan_enter(container);
    struct scan_value key, value;
    uint64_t count = 0;
    ASSERT(depth <= SCAN_DEPTH_MAX);
    while (container->type == SCAN_OBJECT ? scan_member(&scan, &key, &value)
                                          : scan_element(&scan, &value)) {
        if (container->type == SCAN_OBJECT) {
            ASSERT(key.type == SCAN_STRING);
            same_again(&key);
        }
        same_again(&value);
        count++;
        if (value.type == SCAN_OBJECT || value.type == SCAN_ARRAY) {
            count += walk(&value, depth + 1);
        }
    }
    ASSERT(scan_at_end(&scan)); /* the walk ended at the end, not at a surprise */
    return count;
}

static uint64_t values_of(json_t *parsed)
{
    const char *key;
    json_t *value;
    size_t index;
    uint64_t count = 0;
    json_object_foreach(parsed, key, value)
    {
        count += 1 + values_of(value);
    }
    json_array_foreach(parsed, index, value)
    {
        count += 1 + values_of(value);
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scan scan = {(const char *)data, (const char *)data + size};
    struct scan_value value;
    bool scanned = scan_value(&scan, &value) && scan_at_end(&scan);
    bool container = scanned && (value.type == SCAN_OBJECT || value.type == SCAN_ARRAY);
    uint64_t values = container ? walk(&value, 1) : 0;
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
    ASSERT(parsed == NULL || values_of(parsed) <= values); /* it keeps one of a repeated key */
    json_decref(parsed);
    return 0;
}
