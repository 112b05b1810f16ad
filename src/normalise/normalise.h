#ifndef MD_NORMALISE_NORMALISE_H
#define MD_NORMALISE_NORMALISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exchange/event.h"
#include "exchange/exchange.h"

/* From a venue's events to proven ones: per stream (venue, channel, symbol) it keeps the sequence,
 * finds gaps, keeps books, and passes everything on, in order, with its own events put between
 * (snapshot rows of our book, gap rows). Pure: no clock, no socket, only records in time order.
 * Landing thread only; nothing is allocated after normalise_create().
 *
 * Not passed on, but counted: what was there before (a trade or delta whose id is not above the
 * last; where ids only grow, one that is among the last 64, or below them on another connection
 * than the last; a book ticker or partial book of a second connection that is not newer), deltas
 * that an emitted snapshot holds already, and streams beyond the limits. Ids that fall back by a
 * million or more (that only grow: a billion) are a new sequence, not duplicates. */

struct normalise_config {
    uint32_t streams_max;      /* venue x channel x symbol */
    uint32_t symbol_bytes_max; /* longest symbol taken; longer ones are counted and refused */
    size_t names_bytes;        /* memory for all symbols' names */
    size_t book_bytes;         /* memory for all books' levels */
    uint32_t books_max;
    uint32_t pending_deltas_bytes; /* deltas kept per book while it waits for its snapshot come from
                                      the books' memory; this caps one book's share */
    uint32_t open_gaps_max;      /* gaps whose end is not known yet; 4 a book and a trade stream */
    uint32_t recents_max;        /* trade streams whose ids grow and that keep the last 64 of them
                                    (half a KiB each); one beyond knows its last id only */
    bool book_enabled;           /* book.enabled */
    bool settings_fixed;         /* these hold throughout, whatever a checkpoint says */
    bool backfill_enabled;       /* backfill.enabled: holes in trades are asked for by REST */
    int64_t backfill_trades_max; /* ... so many trades of a hole at most */
    int64_t backfill_age_ns;     /* ... and no longer than so after it began */
    int64_t shadow_secs;         /* book.shadow_check_secs; 0 = off */
    int64_t first_data_ns;       /* net.first_data_secs; 0 = the venue's rhythm */
    int64_t stream_stall_ns;     /* net.stream_stall_secs; 0 = the venue's rhythm */
};

struct normalise_handlers {
    /* One proven event, to be landed. `stream` is a dense index below streams_max, stable for the
     * life of the object; the same for each event of a (venue, channel, symbol). */
    void (*on_event)(void *context, uint32_t stream, const struct event *event);
    /* This symbol's book needs a fresh snapshot, by REST or (endpoints with seeds_books) by a new
     * subscription. Asked once per loss, at most once a second; asked again by ticks (1 s, doubling
     * to 60 s) as long as none joins and the stream's connection stands. */
    void (*on_snapshot_wanted)(void *context, enum venue_id venue, struct str symbol);
    /* A REST snapshot of this symbol's book is wanted, to be compared with ours: when there is time
     * for it, and not asked again. NULL = nobody to ask. */
    void (*on_check_wanted)(void *context, enum venue_id venue, struct str symbol);
    /* A subscribed stream that should have spoken by now (venue->rhythm) has not: it wants to be
     * subscribed again. Told by ticks, after 30 s again, doubling to an hour. NULL = not watched.
     */
    void (*on_silent)(void *context, enum venue_id venue, enum channel channel, struct str symbol);
    /* Trades of a hole are wanted by REST: the next page of it. Asked again by ticks as long as the
     * hole is open (after 1 s, doubling to 10 minutes while nothing comes). NULL = nobody to ask.
     */
    void (*on_trades_wanted)(void *context, enum venue_id venue, struct str symbol,
                             const struct trades_hole *hole);
    void *context;
};

struct normalise;
size_t normalise_memory_bytes(const struct normalise_config *config, size_t *books_bytes);
struct normalise *normalise_create(const struct normalise_config *config,
                                   const struct normalise_handlers *handlers);
void normalise_destroy(struct normalise *normalise);

/* An event from a decoder: a frame's, or a REST snapshot's (depth with is_snapshot and conn 0; with
 * a connection it is the full book that the stream itself brings, and lands as it is). */
void normalise_event(struct normalise *normalise, const struct event *event);
/* Everything else of the journal: open, close, sent (streams of a connection), the end of a REST
 * body (behind its events), drop, tick, start, stop; the caller passes each such record. */
void normalise_record(struct normalise *normalise, const struct record *record);
/* A run begins (RECORD_CONFIG) with other settings: book_enabled, backfill_enabled,
 * backfill_trades_max and backfill_age_ns of `config` hold from here on; what was recorded before
 * is replayed with those of its time, which checkpoints hold. Gaps that can be mended no more are
 * told. Without effect where config.settings_fixed. */
void normalise_configure(struct normalise *normalise, const struct record *record,
                         const struct normalise_config *config);
/* A record that could not be decoded. One gap row (`decode`) a burst: the same venue, channel and
 * reason, until nothing came for 60 s or the recorder stops; `missing` is the count. */
void normalise_undecodable(struct normalise *normalise, const struct record *record,
                           const struct decode_result *result);

/* The file of a depth stream begins: if its book is whole, emits it as one snapshot event (rows
 * with is_snapshot) through on_event, stamped with `cause`'s receive time, conn and seq. May be
 * called from inside on_event, before the rows of the delta at hand: the book stands before it. */
bool normalise_book_snapshot(struct normalise *normalise, uint32_t stream,
                             const struct event *cause);

/* Checkpoint: everything a fresh object needs to go on from here, as RECORD_STATE payloads of at
 * most `part_bytes` (at least NORMALISE_PART_BYTES_MIN) each, handed to `put`. Restoring all of
 * them in order into a fresh object and going on gives the same events as never having stopped;
 * counters begin anew. */
#define NORMALISE_PART_BYTES_MIN 8192
void normalise_checkpoint(const struct normalise *normalise, size_t part_bytes,
                          void (*put)(void *context, struct str part), void *context);
/* Drops the book checks that are under way: they are not in a checkpoint. Wherever one is written,
 * and wherever one is passed over in a replay. */
void normalise_shadow_reset(struct normalise *normalise);
/* MD_ECORRUPT: the part is not usable, or one before it is missing; what it and the parts behind it
 * hold starts cold. A first part makes the object fresh: the last checkpoint counts. */
int normalise_restore(struct normalise *normalise, struct str part);

#define NORMALISE_SILENT_NAMED 4
struct normalise_stats {
    uint64_t events, rows_of_snapshots, gaps, gaps_by_kind[GAP_KIND_COUNT];
    uint64_t gaps_by[VENUE_ID_END][GAP_KIND_COUNT][GAP_RESOLVED_COUNT];
    uint64_t ahead;       /* left to the connection that landed the last message */
    uint64_t missing_ids; /* of gaps whose ids are known and that were not filled */
    uint64_t duplicates, resyncs, snapshots_joined, snapshots_too_old;
    uint64_t streams, streams_refused /* events */, books, books_truncated, crossed_books;
    size_t book_bytes_used, book_bytes_high;
    uint64_t open_gaps;
    uint64_t snapshots_wanted;  /* asked for */
    uint64_t snapshots_ignored; /* came when none was wanted */
    uint64_t books_refused;     /* depth streams without a book: books_max */
    uint64_t books_lost;        /* a level whose digits do not fit; a new snapshot was asked for */
    uint64_t deltas_not_kept;   /* of books that wait; they landed, the snapshot must be newer */
    uint64_t silences;          /* told by on_silent */
    uint64_t books_all;         /* whole or not */
    uint32_t silent;            /* streams told that have not spoken since, at the last tick */
    uint32_t silent_first[NORMALISE_SILENT_NAMED]; /* the first of them */
    uint64_t trades_wanted;                        /* pages asked for */
    uint64_t trades_backfilled;                    /* landed from REST */
    uint64_t trades_late;       /* of the stream, landed into a hole that was open */
    uint64_t trades_not_wanted; /* rows of REST pages that were there, or of no open hole */
    /* books held against a REST snapshot, those that differed, checks without a result */
    uint64_t book_checks[VENUE_ID_END], book_differences[VENUE_ID_END];
    uint64_t book_checks_left[VENUE_ID_END];
    uint64_t holes_filled, holes_left; /* in trades: by REST, and given up (in part) */
};
struct normalise_stats normalise_stats(const struct normalise *normalise);

/* A stream at a glance, for those who look on. */
#define NORMALISE_LOOK_SUBSCRIBED 1u
#define NORMALISE_LOOK_SILENT 2u /* should have spoken, told so, and has not since */
struct normalise_look {
    int64_t last_unix_ns; /* last message; TIME_NONE: none */
    uint32_t messages;    /* of this run */
    uint16_t gaps;        /* at most 65535 */
    uint8_t book;         /* 0 none, 1 waiting, 2 joining, 3 whole */
    uint8_t flags;        /* NORMALISE_LOOK_... */
};
/* Streams 0 .. into `out`, at most `max`; returns how many. Landing thread. */
uint32_t normalise_look(const struct normalise *normalise, struct normalise_look *out,
                        uint32_t max);
/* Who a stream is; never changes, so any thread that was told of the stream may ask. */
struct str normalise_stream_name(const struct normalise *normalise, uint32_t stream,
                                 enum venue_id *venue, enum channel *channel);

/* For inspection and tests; NULL if there is no whole book. */
struct book;
const struct book *normalise_book(const struct normalise *normalise, enum venue_id venue,
                                  struct str symbol);
struct str normalise_stream_symbol(const struct normalise *normalise, uint32_t stream);
/* States every invariant; for tests and the simulator. Slow. */
void normalise_check(const struct normalise *normalise);

#endif
