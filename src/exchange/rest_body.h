#ifndef MD_EXCHANGE_REST_BODY_H
#define MD_EXCHANGE_REST_BODY_H

#include "exchange/decoder.h"

/* What the REST decoders of all venues share: a body that comes in parts is pushed through the
 * venue's JSON callback; nothing is gathered. A venue says by a table what its URLs mean. */
struct rest_route {
    const char *path;       /* found anywhere in the URL; the first row that fits counts */
    int channel;            /* enum channel of what it gives; -1 = not for us */
    const char *symbol_key; /* the query's member that names the symbol, "symbol="; NULL = none */
    bool (*on_event)(void *context, enum json_event event, struct str text, int depth);
    bool (*on_end)(struct decoder_rest *rest); /* the document is whole and good */
};

/* `routes` end with a NULL path. REST_PART records give no result but their channel; the last
 * record tells how it went. An unknown URL is MD_EUNKNOWN; a status other than 200 is a control. */
struct decode_result rest_body_decode(struct decoder *decoder, const struct rest_route *routes,
                                      const struct record *record, event_sink sink, void *context);

/* For the venues' callbacks. */
bool rest_body_refuse(struct decoder_rest *rest, int code, const char *reason);
struct event rest_body_event(const struct decoder_rest *rest, enum channel channel);
/* A text kept by slot (below REST_TEXTS): at most REST_TEXT_BYTES_MAX bytes, else false. */
bool rest_body_keep(struct decoder_rest *rest, int slot, struct str text);
struct str rest_body_text(const struct decoder_rest *rest, int slot);
/* Emits the event. */
void rest_body_emit(struct decoder_rest *rest, const struct event *event);
/* Adds a number of a level list: the element-th (0 price, 1 amount) of the next level of a side;
 * rest_body_level_end() when the level's list is over. */
bool rest_body_level(struct decoder_rest *rest, uint32_t side, struct str text);
bool rest_body_level_end(struct decoder_rest *rest, uint32_t side);
/* The book so far as one snapshot event of rest->symbol, last_update_id = rest->id. */
void rest_body_emit_book(struct decoder_rest *rest, int64_t event_unix_ns);

#endif
