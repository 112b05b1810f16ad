#ifndef MD_NORMALISE_INTERNAL_H
#define MD_NORMALISE_INTERNAL_H

/* What the files of normalise share; nobody else includes it. */

#include "base/clock.h"
#include "normalise/book_internal.h"
#include "normalise/normalise.h"

#define NONE_INDEX UINT32_MAX
#define DECODE_BURSTS 32
#define OPEN_GAPS_A_STREAM 4 /* a further one ends the oldest as not mended */
#define OPEN_HOLES_A_STREAM                                              \
    16 /* the same of trades, whose holes are filled one after the other \
        */
#define BURST_QUIET_NS (60 * NS_PER_S)
/* Ids this far back are a new sequence of the venue, not a duplicate: a duplicate comes from the
 * overlap of two connections, and one wrong id must not silence a stream for ever. */
#define RESTART_DISTANCE 1000000u
/* Growing ids go by large steps. */
#define RESTART_DISTANCE_GROWING 1000000000u
#define RECENT_IDS 64          /* kept of a stream whose trade ids grow: a power of two */
#define HOLE_GRACE_NS NS_PER_S /* what was only late comes by itself */
#define HOLE_FIRST_NS NS_PER_S /* between two requests for one hole, doubling up to ... */
#define HOLE_MOST_NS (600 * NS_PER_S)
#define HOLE_UNANSWERED_NS (30 * NS_PER_S) /* ... and while no page came of it, up to this */
#define REQUEST_FIRST_NS NS_PER_S /* between two requests for one book, doubling up to ... */
#define REQUEST_MOST_NS (60 * NS_PER_S)
#define QUICK_LOSSES_MOST 6         /* 1 s << 6 is over REQUEST_MOST_NS */
#define SEED_WAIT_NS (5 * NS_PER_S) /* a stream that brings its own snapshot has so long for it */
#define WATCH_FIRST_NS                                                         \
    (30 * NS_PER_S) /* between two words on one silent stream, doubling to ... \
                     */
#define WATCH_MOST_NS (3600 * NS_PER_S)
#define JOIN_WAIT_NS                                                                        \
    (2 * NS_PER_S)             /* this long without an update a book stands at its snapshot \
                                */
#define AHEAD_NS NS_PER_S      /* a connection that spoke so recently is waited for */
#define SYMBOL_BYTES_MOST 4096 /* bound on config.symbol_bytes_max: one checkpoint entry */

/* One run of ids, and who carries it. Trades have two: plain ones and aggregated ones count apart,
 * are subscribed apart, and may come on different connections. */
struct sequence {
    int64_t last_id;        /* ID_NONE: none yet */
    int64_t last_recv_ns;   /* of the last message; TIME_NONE: none yet */
    int64_t interrupted_ns; /* when its connection ended; used if there was no message before */
    uint8_t interrupted;    /* 0, or 1 + enum gap_kind: the next message tells what was missed */
    bool subscribed;        /* seen or asked for since the recorder started */
    bool connected;         /* ... and its connection has not ended */
    uint32_t conn;          /* the newest connection that carries it: numbers only grow */
    int64_t conn_ns;        /* its last message of this sequence; TIME_NONE */
    int64_t conn_id;        /* ... and how far it has come, landed or not; ID_NONE */
    uint32_t other_conn;    /* an older connection that carries it too; 0: there is none */
    int64_t other_ns;
    int64_t other_id;
    uint32_t landed_conn; /* which brought the last message that landed; 0: it is closed */
    uint32_t ahead_conn;  /* whose messages are left to another connection, since `ahead_ns`: they
                             left a hole; 0 */
    int64_t ahead_ns;
};

/* The largest ids that landed, of trades whose ids grow; the newest is the sequence's last_id. */
struct recent {
    uint32_t next;  /* slot of the next one; counts on, used modulo RECENT_IDS */
    uint32_t count; /* 0: none landed yet */
    bool cut;       /* others below these landed, or may have */
    int64_t ids[RECENT_IDS];
};

enum { SEQUENCE_MAIN, SEQUENCE_AGGREGATE, SEQUENCE_COUNT };

struct stream {
    struct str symbol; /* in normalise.names */
    uint8_t venue, channel;
    uint32_t first_gap;      /* open gaps, oldest first; NONE_INDEX */
    uint32_t messages, gaps; /* of this run; for those who look on */
    int64_t subscribed_ns;   /* since when it is asked for; TIME_NONE: not by us */
    int64_t told_ns;         /* when it was last told as silent; TIME_NONE: never */
    int64_t watch_next_ns;   /* not told as silent before this; TIME_NONE: at once */
    int64_t watch_pause_ns;  /* ... and how long after the next time */
    struct depth *depth;     /* its book; NULL: not a depth stream, or books are off or used up */
    struct recent *recent;   /* NULL: no trades whose ids grow, or recents_max are used up */
    struct sequence sequences[SEQUENCE_COUNT];
};

struct pending { /* deltas as bytes in nodes of the books' pool, oldest first */
    struct book_node *first, *last;
    uint32_t last_used; /* bytes in the last node */
    uint32_t bytes, count;
};

/* A depth stream's book: waiting (buffering deltas) -> joining (snapshot loaded, the stream has not
 * come up to it yet) -> whole (emitted) -> waiting again at a hole. */
enum book_state { BOOK_WAITING, BOOK_JOINING, BOOK_WHOLE };

struct depth {
    struct book *book;
    uint32_t stream;
    uint8_t state;            /* enum book_state */
    uint8_t quick_losses;     /* in a row, each within a minute of standing */
    bool reaches[2];          /* joining, whole: what the book began with has levels on this side */
    struct decimal reach[2];  /* ... and its farthest price */
    int64_t book_id;          /* joining, whole: last_update_id of the book */
    int64_t book_event_ns;    /* event time of the last update applied; TIME_NONE */
    int64_t joining_ns;       /* since when it is joining */
    int64_t whole_ns;         /* since when it is whole */
    int64_t request_next_ns;  /* no request before this; TIME_NONE: at once */
    int64_t request_pause_ns; /* what the next request adds to it */
    struct pending pending;
};

/* A hole in trades that may still be filled; `gap` is its part that is not told yet. */
struct hole {
    bool open;         /* else the gap is not of trades */
    bool aggregate;    /* which of the stream's two sequences */
    bool counted;      /* ids count: each that is missing is known; else what came between is not */
    bool torn;         /* the venue has forgotten its beginning */
    bool told;         /* a stop has told it as not filled */
    bool late;         /* trades of the stream itself came into it */
    bool moved;        /* by the page at hand; not kept in checkpoints */
    int64_t low, high; /* ids still wanted, inclusive; not counted: wanted lies within */
    uint64_t landed;   /* from REST */
    int64_t until_ns;  /* time of the trade behind what is wanted */
    int64_t ask_next_ns, ask_pause_ns;
};

struct open_gap {
    bool used;
    uint32_t stream, next;
    uint32_t conn;
    struct gap_event gap;
    struct hole hole;
};

/* The page of trades that a venue's REST reply brings now. */
struct trades_page {
    bool open;
    bool aggregate;
    uint32_t stream;
    int64_t from_id; /* no id between this and the first row is left out */
    int64_t last_id; /* of the row before */
    uint32_t rows;
};

struct decode_burst {
    uint8_t venue;
    int channel; /* -1: not known */
    char reason[64];
    uint64_t count;
    int64_t first_ns, last_ns;
    uint32_t conn;
};

/* The last burst of dropped messages of a channel: a hole that spans it is its work. */
struct drop_window {
    bool used;
    int64_t first_ns, last_ns;
};

struct stream_slot {
    uint32_t tag;   /* high half of the hash */
    uint32_t index; /* stream + 1; 0: free */
};

struct normalise {
    struct normalise_config config;
    struct normalise_handlers handlers;
    struct stream *streams;
    uint32_t stream_count;
    struct stream_slot *table; /* open hash, at most half full */
    uint32_t table_mask;
    uint32_t gap_streams[VENUE_ID_END]; /* NONE_INDEX before the venue's first stream */
    char *names;
    size_t names_used;
    struct depth *depths; /* books_max */
    uint32_t depth_count;
    struct recent *recents; /* recents_max */
    uint32_t recent_count;
    struct book_pool *books;
    uint32_t pending_nodes, pending_nodes_max; /* of the books' pool: at most half */
    struct open_gap *gaps;
    uint32_t gap_free;                         /* list through next */
    struct decode_burst bursts[DECODE_BURSTS]; /* in the order they began */
    uint32_t burst_count;
    struct drop_window drops[VENUE_ID_END][CHANNEL_COUNT];
    struct trades_page
        pages[VENUE_ID_END];              /* not kept in checkpoints: those stand between bodies */
    uint32_t holes;                       /* open gaps that are holes in trades */
    struct shadow *shadows[VENUE_ID_END]; /* checks of books; NULL: off, or not of this venue */
    int64_t shadow_second;                /* of the last tick that looked; 0 = none */
    struct level *levels;                 /* scratch: both sides of the largest book */
    int64_t now_ns;                       /* time and number of the record at hand */
    uint64_t now_seq;
    uint32_t restore_next; /* checkpoint part to come; 0: none was; NONE_INDEX: refuse all */
    struct normalise_stats stats;
};

/* now - then, held at the ends of the range; a TIME_NONE `then` is for ever ago. */
static inline int64_t time_since(int64_t now_ns, int64_t then_ns)
{
    int64_t span = 0;
    return __builtin_sub_overflow(now_ns, then_ns, &span)
               ? (now_ns < then_ns ? INT64_MIN : INT64_MAX)
               : span;
}

static inline int64_t time_after(int64_t now_ns, int64_t pause_ns)
{
    int64_t then = 0;
    return __builtin_add_overflow(now_ns, pause_ns, &then) ? INT64_MAX : then;
}

static inline bool stream_subscribed(const struct stream *stream)
{
    return stream->sequences[SEQUENCE_MAIN].subscribed ||
           stream->sequences[SEQUENCE_AGGREGATE].subscribed;
}

static inline bool stream_connected(const struct stream *stream)
{
    return stream->sequences[SEQUENCE_MAIN].connected ||
           stream->sequences[SEQUENCE_AGGREGATE].connected;
}

/* `late` is at most `early`: how far back, without overflow. */
static inline uint64_t ids_back(int64_t early, int64_t late)
{
    return (uint64_t)early - (uint64_t)late;
}

/* normalise.c */
void normalise_emit(struct normalise *normalise, uint32_t index, const struct event *event);
void normalise_reset(struct normalise *normalise); /* as after normalise_create() */

/* streams.c */
uint32_t stream_lookup(const struct normalise *normalise, enum venue_id venue, enum channel channel,
                       struct str symbol); /* NONE_INDEX */
uint32_t stream_obtain(struct normalise *normalise, enum venue_id venue, enum channel channel,
                       struct str symbol); /* NONE_INDEX: refused, counted */
void stream_table_check(const struct normalise *normalise);
/* Trades whose ids grow: such a stream has `recent`, if there is one left. */
bool stream_grows(enum venue_id venue, enum channel channel);

/* recent.c */
enum recent_finds {
    RECENT_NEW,   /* has not landed */
    RECENT_THERE, /* has landed */
    RECENT_BELOW, /* below all that are kept: who knows */
};
enum recent_finds recent_find(const struct recent *recent, int64_t id);
void recent_add(struct recent *recent, int64_t id);
/* Forgets all but this one. `cut`: others below it may have landed. */
void recent_begin(struct recent *recent, int64_t id, bool cut);
/* The newest is 0 `back`. */
int64_t recent_id(const struct recent *recent, uint32_t back);
void recent_check(const struct recent *recent, int64_t last_id);

/* gaps.c */
/* A hole found now; missing ids from..to inclusive, or ID_NONE. `repairable`: kept open until
 * gap_resolve_all(). Kind and start come from the sequence's interruption if there is one. */
void gap_found(struct normalise *normalise, uint32_t index, struct sequence *sequence, int64_t from,
               int64_t to, int64_t missing, bool repairable, enum gap_resolved resolved);
/* The hole between two ids, both of which are there. */
void gap_between(struct normalise *normalise, uint32_t index, struct sequence *sequence,
                 int64_t last_id, int64_t next_id, bool repairable);
/* The rows of an interruption without ids, or with none missing. */
void gap_unproven(struct normalise *normalise, uint32_t index, struct sequence *sequence);
void gap_overlap(struct normalise *normalise, uint32_t index, struct sequence *sequence);
void gap_resolve_all(struct normalise *normalise, uint32_t index, enum gap_resolved resolved);
/* What a hole that ends now is told with; ends the sequence's interruption. */
struct gap_event gap_make(struct normalise *normalise, uint32_t index, struct sequence *sequence,
                          int64_t from, int64_t to, int64_t missing, enum gap_resolved resolved);
void gap_tell(struct normalise *normalise, uint32_t index, const struct gap_event *gap,
              uint32_t conn);
/* Takes it from its stream's list, untold. */
void gap_free(struct normalise *normalise, uint32_t at);
/* False: no place for it. */
bool gap_keep(struct normalise *normalise, uint32_t index, const struct gap_event *gap,
              uint32_t conn);
void gap_dropped(struct normalise *normalise, const struct record *record);
/* Unless it is already. */
void sequence_interrupt(const struct stream *stream, struct sequence *sequence, enum gap_kind kind,
                        int64_t since_ns);
void bursts_flush(struct normalise *normalise, bool all);

/* pending.c */
void pending_clear(struct normalise *normalise, struct pending *pending);
/* False: it does not fit; the caller clears and begins anew. */
bool pending_put(struct normalise *normalise, struct pending *pending,
                 const struct depth_event *delta);
/* Reads all of them, oldest first; false from on_delta stops. Level arrays are scratch. */
void pending_each(struct normalise *normalise, const struct pending *pending,
                  bool (*on_delta)(void *context, const struct depth_event *delta), void *context);
/* Bytes of a checkpoint, behind those that are there; nothing reads them before
 * pending_restored() has found that they hold exactly `count` deltas within the bounds. */
bool pending_restore(struct normalise *normalise, struct pending *pending, struct str bytes);
bool pending_restored(struct pending *pending, uint64_t count);
size_t pending_node_bytes(const struct pending *pending, const struct book_node *node);
const uint8_t *pending_node_data(const struct book_node *node);
void pending_check(const struct pending *pending);

/* checkpoint.c */
/* After the last part, before anything else: books and deltas whose closing entry never came go. */
void restore_end(struct normalise *normalise);
static inline void restore_end_if_begun(struct normalise *normalise)
{
    if (__builtin_expect(normalise->restore_next != 0, 0)) {
        restore_end(normalise);
    }
}

static inline void recent_add_if_any(const struct stream *stream, int64_t id)
{
    if (stream->recent != NULL) {
        recent_add(stream->recent, id);
    }
}

/* backfill.c */
/* A hole in trades, between the sequence's last one and this: told at once, or kept open to be
 * filled. `counted`: each id between was a trade. */
void hole_found(struct normalise *normalise, uint32_t index, struct sequence *sequence,
                const struct event *event, bool counted);
/* A trade of the stream that comes late: true if an open hole wants it, which shrinks by it. */
bool hole_take_late(struct normalise *normalise, uint32_t index, bool aggregate, int64_t id);
/* A row of a REST page, or its end. */
void hole_rest_event(struct normalise *normalise, const struct event *event);
void holes_tick(struct normalise *normalise);
void holes_start(struct normalise *normalise);
void holes_stop(struct normalise *normalise, uint32_t index);
/* Gives up all of one sort: the ids begin anew. */
void holes_leave(struct normalise *normalise, uint32_t index, bool aggregate);
/* Gives it up: what was filled and what was not are told. */
void hole_leave(struct normalise *normalise, uint32_t at);
void hole_check(const struct normalise *normalise, const struct open_gap *open);

/* watch.c */
void watch_streams(struct normalise *normalise);
int64_t stream_last_ns(const struct stream *stream); /* last message; TIME_NONE */
bool stream_is_silent(const struct stream *stream);  /* told, and has not spoken since */

/* shadow.c */
size_t shadow_memory_bytes(const struct normalise_config *config);
bool shadow_create(
    struct normalise *normalise); /* false: no memory; shadow_destroy() all the same */
void shadow_destroy(struct normalise *normalise);
void shadow_tick(struct normalise *normalise);
/* A delta was applied to a whole book. The book may be lost behind it. */
void shadow_delta(struct normalise *normalise, struct depth *depth,
                  const struct depth_event *delta);
/* A REST snapshot of a whole book. False: none was asked for. The book may be lost behind it. */
bool shadow_snapshot(struct normalise *normalise, struct depth *depth,
                     const struct depth_event *snapshot);
void shadow_lost(struct normalise *normalise, const struct depth *depth);

/* depth.c */
/* The book is wrong though the ids show nothing: a gap row without ids, and a new book. */
void depth_is_wrong(struct normalise *normalise, struct depth *depth);
/* False: a duplicate. */
bool depth_full(struct normalise *normalise, uint32_t index, const struct event *event);
bool depth_delta(struct normalise *normalise, uint32_t index, const struct event *event);
/* Would this message, full book or delta, leave a hole before it? */
bool depth_jumps(const struct stream *stream, const struct event *event);
void depth_snapshot(struct normalise *normalise, const struct event *event);
void depth_tick(struct normalise *normalise, struct depth *depth);
void depth_subscribed(struct normalise *normalise, struct depth *depth);
/* The book is lost: cleared, deltas are kept from here on. `renew`: requests may start at once. */
void depth_lose(struct normalise *normalise, struct depth *depth, bool renew);
/* A book for a new depth stream, if there is one; sets stream->depth. */
void depth_attach(struct normalise *normalise, uint32_t index);
/* Takes all books away; gaps that they would have mended are told. */
void depth_detach_all(struct normalise *normalise);
void depth_emit_book(struct normalise *normalise, const struct depth *depth,
                     const struct event *cause);

#endif
