#ifndef MD_EXCHANGE_DECODER_H
#define MD_EXCHANGE_DECODER_H

#include "exchange/exchange.h"
#include "exchange/json_stream.h"

/* The decoders' scratch, shared by all venues' decode sides (one message at a time). */

#define SYMBOL_BYTES_MAX 512
#define REST_TEXTS 12
#define REST_TEXT_BYTES_MAX 64

/* One REST body under way per venue: its parts arrive in order. What texts and field mean is the
 * venue's business. */
struct decoder_rest {
    struct json_stream json;
    bool active;
    bool (*on_end)(struct decoder_rest *rest); /* the document is whole and good */
    char url[512];
    size_t url_bytes;
    char symbol[SYMBOL_BYTES_MAX];
    size_t symbol_bytes;
    int field; /* which member the next value belongs to */
    int inner_field;
    uint32_t element; /* place within the innermost list */
    char texts[REST_TEXTS][REST_TEXT_BYTES_MAX];
    size_t text_bytes[REST_TEXTS];
    struct decimal_opt numbers[6];
    int64_t id;
    struct level *levels; /* levels_max bids, then levels_max asks */
    uint32_t levels_max;
    uint32_t counts[2];
    const struct record *record; /* the part being read */
    event_sink sink;
    void *sink_context;
    struct decode_result result;
};

struct decoder {
    struct level *levels; /* levels_max bids, then levels_max asks */
    uint32_t levels_max;
    char symbol[SYMBOL_BYTES_MAX];
    struct decoder_rest rest[VENUE_ID_END];
};

#endif
