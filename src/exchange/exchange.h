#ifndef MD_EXCHANGE_EXCHANGE_H
#define MD_EXCHANGE_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "exchange/event.h"
#include "journal/record.h"

/* A venue as data plus a few functions. Connecting, throttling, retrying and planning are written
 * once (exchange/feed.c) and read this. A new venue is one pair of files and one row in venues.c.
 *
 * Two faces: the *feed* side runs on the net thread (what to subscribe, how, how fast), the
 * *decode* side on the landing thread or in rederive (what a record says). They share nothing but
 * constants. */

/* ---- limits, each with its source in the venue's .c file */
struct venue_limits {
    uint32_t streams_per_connection; /* venue's cap */
    uint32_t control_messages;       /* client messages ... */
    int64_t control_window_ms;       /* ... in any such window, per connection */
    int64_t control_spacing_ms;      /* least distance we keep between two of ours */
    uint32_t subscribe_bytes_max;    /* payload of one request */
    uint32_t connects;               /* connection attempts ... */
    int64_t connects_window_ms;      /* ... per address */
    int64_t connect_spacing_ms;      /* stagger between two of ours */
    int64_t connection_life_ms;      /* the venue cuts after this; 0 = never */
    int64_t ack_timeout_ms;
    uint32_t rest_weight_per_minute;
};

/* What is to be recorded at a venue: symbols x streams. */
struct stream_request {
    enum channel channel;
    bool aggregate;      /* trades: the aggregated stream */
    struct str symbol;   /* venue's spelling, as in exchangeInfo */
    struct str interval; /* candles */
};

/* A control reply (ack, error) as the feed side needs it. */
struct control_reply {
    int64_t id; /* request id, -1 if none */
    bool ok;
    int code;       /* venue's error code, 0 */
    char text[160]; /* venue's words */
};

enum control_kind {
    CONTROL_NONE,     /* market data: not for the feed side */
    CONTROL_ACK,      /* reply set */
    CONTROL_ERROR,    /* reply set */
    CONTROL_SHUTDOWN, /* the venue will close soon: replace this connection */
};

/* ---- decode side */

/* Why a record gave no event; counted by venue, channel and reason. */
struct decode_result {
    int code;                /* 0, or MD_EPARSE, MD_ERANGE, MD_ETOOBIG, MD_EUNKNOWN ... */
    int channel;             /* enum channel, -1 if not known */
    const char *reason;      /* static words, e.g. "price: not a number" */
    bool control;            /* an ack or other control message: no event, not an error */
    bool general_path;       /* the predicted shape did not fit, the general scanner read it */
    uint32_t digits_over_15; /* values with more than 15 significant digits */
};

struct decoder; /* scratch for levels and streamed REST bodies; one per landing thread */

struct decoder_config {
    uint32_t levels_max; /* levels of one side of one message; more is MD_ETOOBIG */
};
size_t decoder_memory_bytes(const struct decoder_config *config);
struct decoder *decoder_create(const struct decoder_config *config); /* NULL: no memory */
void decoder_destroy(struct decoder *decoder);

/* Receives each event of a record; the event and all it points to are valid during the call. */
typedef void (*event_sink)(void *context, const struct event *event);

struct venue {
    enum venue_id id;
    const char *name;
    const char *ws_url; /* base: scheme://host[:port] */
    const char *rest_url;
    struct venue_limits limits;

    /* Feed side. Each returns 0 or a negative code; text goes to `out` (overflow = MD_ETOOBIG). */
    bool (*has_channel)(enum channel channel);
    int (*connect_url)(const char *ws_base, struct buf *out);
    int (*stream_name)(const struct stream_request *request, struct buf *out);
    /* One subscribe (or unsubscribe) request for `count` stream names. */
    int (*subscribe)(bool subscribe, const struct str *names, uint32_t count, int64_t id,
                     struct buf *out);
    /* Looks at a text frame: fast "no" for market data. */
    enum control_kind (*control)(struct str frame, struct control_reply *reply);
    /* The channel of a market data frame at a glance, -1 if it does not show; asked only while the
     * frame ring is filling up, to choose what to drop. */
    int (*peek_channel)(struct str frame);
    int (*snapshot_url)(const char *rest_base, struct str symbol, struct buf *out);
    uint32_t snapshot_weight;
    int (*instruments_url)(const char *rest_base, struct buf *out);
    uint32_t instruments_weight;

    /* Decode side. Frames (RECORD_RECV, RECORD_RECV_BINARY), REST bodies in parts and whole
     * (RECORD_REST_PART, RECORD_REST) and requests (RECORD_SENT). Never stops at bad input. */
    struct decode_result (*decode)(struct decoder *decoder, const struct record *record,
                                   event_sink sink, void *context);
    /* RECORD_SENT: calls on_stream for each stream the request names. */
    void (*decode_sent)(const struct record *record,
                        void (*on_stream)(void *context, bool subscribe, enum channel channel,
                                          struct str symbol),
                        void *context);
    /* Continuity rule for normalise: what ids must do on a channel. */
    enum continuity {
        CONTINUITY_NONE,     /* nothing can be proven */
        CONTINUITY_PLUS_ONE, /* trade_id = last + 1 */
        CONTINUITY_RANGE,    /* depth: first_update_id = last u + 1 */
        CONTINUITY_PREVIOUS, /* depth: prev_update_id = last u */
    } (*continuity)(enum channel channel, int32_t trade_flags);
    /* First join of a buffered delta to a REST snapshot: true when `delta` may follow snapshot_id
     * (normalise has dropped those that end at or before it). */
    bool (*joins)(const struct depth_event *delta, int64_t snapshot_id);
};

/* NULL for an id without a venue. */
const struct venue *venue_of(enum venue_id id);

#endif
