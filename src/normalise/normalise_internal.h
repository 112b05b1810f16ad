#ifndef MD_NORMALISE_INTERNAL_H
#define MD_NORMALISE_INTERNAL_H

/* What the files of normalise share; nobody else includes it. */

#include "normalise/book_internal.h"
#include "normalise/normalise.h"

#define NONE_INDEX UINT32_MAX
#define DECODE_BURSTS 32
#define OPEN_GAPS_A_STREAM 4 /* a further one ends the oldest as not mended */
#define BURST_QUIET_NS (60 * 1000000000LL)
#define RESTART_DISTANCE 1000000 /* ids this far back are a new sequence, not a duplicate */
#define REQUEST_FIRST_NS 1000000000LL
#define REQUEST_MOST_NS (60 * 1000000000LL)
#define JOIN_WAIT_NS (2 * 1000000000LL)

/* A depth stream's book: waiting (buffering deltas) -> joining (snapshot loaded, the stream has not
 * come up to it yet) -> whole (emitted) -> waiting again at a hole. */
enum book_state { BOOK_OFF, BOOK_WAITING, BOOK_JOINING, BOOK_WHOLE };

struct pending { /* deltas as bytes in nodes of the books' pool, oldest first */
    struct book_node *first, *last;
    uint32_t last_used; /* bytes in the last node */
    uint32_t bytes, count;
    int64_t first_id; /* first_update_id of the oldest */
    bool restored;    /* came from a checkpoint: to be checked before it is read */
};

struct stream {
    uint64_t hash;
    struct str symbol;
    uint8_t venue, channel;
    bool subscribed;          /* seen or asked for since the recorder started */
    bool interrupted;         /* its connection ended: the next message tells what was missed */
    uint8_t interrupted_kind; /* enum gap_kind */
    uint32_t conn;
    int64_t last_id;      /* ID_NONE */
    int64_t last_agg_id;  /* aggregated trades count apart */
    int64_t last_recv_ns; /* TIME_NONE before the first message */
    int64_t interrupted_ns;
    uint32_t first_gap; /* open gaps, NONE_INDEX */
    /* depth only */
    uint8_t book_state;
    struct book *book;
    int64_t book_id;       /* joining, whole: last_update_id of the book */
    int64_t book_event_ns; /* event time of the last update applied; TIME_NONE */
    int64_t joining_ns;
    struct pending pending;
    int64_t request_at_ns; /* waiting: when to ask (again); TIME_NONE = not asked yet */
    int64_t request_pause_ns;
};

struct open_gap {
    bool used;
    uint32_t stream, next;
    struct gap_event gap;
    uint32_t conn;
    uint64_t seq;
};

struct decode_burst {
    bool used;
    uint8_t venue;
    int channel;
    char reason[64];
    uint64_t count;
    int64_t first_ns, last_ns;
    uint32_t conn;
};

struct normalise {
    struct normalise_config config;
    struct normalise_handlers handlers;
    struct stream *streams;
    uint32_t stream_count;
    uint32_t *table; /* open hash of stream index + 1 */
    uint32_t table_mask;
    char *names;
    size_t names_used;
    struct book_pool *books;
    struct open_gap *gaps;
    uint32_t gap_free; /* list through next */
    struct decode_burst bursts[DECODE_BURSTS];
    struct level *levels; /* scratch for one emitted book: levels_max a side */
    uint32_t levels_max;
    bool running;   /* a start or any message was seen, no stop after it */
    int64_t now_ns; /* time of the last record */
    uint64_t now_seq;
    struct normalise_stats stats;
};

/* streams.c */
uint32_t stream_lookup(struct normalise *normalise, enum venue_id venue, enum channel channel,
                     struct str symbol); /* NONE_INDEX */
uint32_t stream_obtain(struct normalise *normalise, enum venue_id venue, enum channel channel,
                       struct str symbol); /* NONE_INDEX: refused, counted */

/* gaps.c */
void gap_emit(struct normalise *normalise, const struct stream *stream, const struct gap_event *gap,
              uint32_t conn);
/* A hole found now; missing ids from..to inclusive, or ID_NONE. `repairable`: kept open until
 * gap_resolve_all(). Kind and start come from the stream's interruption if there is one. */
void gap_found(struct normalise *normalise, uint32_t index, int64_t from, int64_t to,
               int64_t missing, bool repairable, enum gap_resolved resolved, int64_t end_ns);
void gap_resolve_all(struct normalise *normalise, uint32_t index, enum gap_resolved resolved,
                     int64_t end_ns);
void stream_interrupt(struct stream *stream, enum gap_kind kind, int64_t since_ns);
void bursts_flush(struct normalise *normalise, int64_t now_ns, bool all);

/* pending.c */
void pending_clear(struct normalise *normalise, struct stream *stream);
/* False: it does not fit; the caller clears and begins anew. */
bool pending_put(struct normalise *normalise, struct stream *stream,
                 const struct depth_event *delta);
/* Reads all of them, oldest first; false from on_delta stops. Level arrays are scratch. */
bool pending_each(struct normalise *normalise, struct stream *stream,
                  bool (*on_delta)(void *context, const struct depth_event *delta), void *context);

/* Bytes of a checkpoint, as pending_each() will read them: the first run of a stream brings the
 * count. They are checked as a whole by pending_sound() before anything reads them. */
bool pending_restore(struct normalise *normalise, struct stream *stream, uint32_t count,
                     int64_t first_id, struct str bytes);
/* True when the bytes hold exactly `count` deltas within the bounds. */
bool pending_sound(const struct normalise *normalise, const struct stream *stream);

/* depth.c */
void depth_delta(struct normalise *normalise, uint32_t index, const struct event *event);
void depth_snapshot(struct normalise *normalise, const struct event *event);
void depth_tick(struct normalise *normalise, uint32_t index);
void depth_subscribed(struct normalise *normalise, uint32_t index);
bool depth_emit_book(struct normalise *normalise, uint32_t index, const struct event *cause);
void depth_wait(struct normalise *normalise, struct stream *stream);
bool depth_book_obtain(struct normalise *normalise, struct stream *stream);

#endif
