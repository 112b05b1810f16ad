#ifndef MD_EXCHANGE_JSON_STREAM_H
#define MD_EXCHANGE_JSON_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Push parser for JSON that arrives in parts: each byte is looked at once, no document is gathered.
 * Memory: this struct. Strings and numbers are bounded by JSON_TOKEN_BYTES_MAX, nesting by
 * JSON_DEPTH_MAX; what passes them is an error. */
#define JSON_TOKEN_BYTES_MAX 256
#define JSON_DEPTH_MAX 32

enum json_event {
    JSON_EVENT_OBJECT_BEGIN,
    JSON_EVENT_OBJECT_END,
    JSON_EVENT_ARRAY_BEGIN,
    JSON_EVENT_ARRAY_END,
    JSON_EVENT_KEY,    /* text: the key, escapes undone */
    JSON_EVENT_STRING, /* text: escapes undone; longer ones than the bound are cut, see
                          json_stream.cut */
    JSON_EVENT_NUMBER, /* text: as sent */
    JSON_EVENT_TRUE,
    JSON_EVENT_FALSE,
    JSON_EVENT_NULL,
};

struct json_stream {
    /* Called for each piece; `depth` counts the containers it stands in. False stops with an error.
     */
    bool (*on_event)(void *context, enum json_event event, struct str text, int depth);
    void *context;
    /* the parser's own: */
    int state;
    int depth;
    uint64_t objects; /* a bit a level: 1 = object */
    char token[JSON_TOKEN_BYTES_MAX];
    size_t token_bytes;
    bool cut; /* the present string was longer than the bound */
    bool is_key;
    int literal_at;
    const char *literal;
    uint32_t unit, high_surrogate;
    int unit_digits;
    uint8_t utf8_left, utf8_low, utf8_high;
    uint64_t offset; /* bytes taken so far; where an error is */
};

void json_stream_init(struct json_stream *stream,
                      bool (*on_event)(void *context, enum json_event event, struct str text,
                                       int depth),
                      void *context);
/* Feeds bytes. False: not well-formed, or the callback stopped it; further feeds are false too. */
bool json_stream_feed(struct json_stream *stream, const void *data, size_t bytes);
/* The end of the document: true when exactly one whole value was seen. */
bool json_stream_end(struct json_stream *stream);

#endif
