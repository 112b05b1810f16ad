#ifndef MD_EXCHANGE_EVENT_H
#define MD_EXCHANGE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/decimal.h"
#include "base/str.h"
#include "journal/record.h"

/* The one vocabulary: what a venue's message says, in exact values. Decoders make events, normalise
 * passes them on and adds its own (book snapshots, gaps), store makes rows of them (schema.md). */

/* enum, name in paths and settings, drop priority when the ring is full (0 goes first, 255 never)
 */
#define CHANNEL_LIST(X)                                  \
    X(CHANNEL_TRADES, "trades", 3)                       \
    X(CHANNEL_BOOK_TICKER, "book_ticker", 0)             \
    X(CHANNEL_DEPTH, "incremental_book_L2", 2)           \
    X(CHANNEL_BOOK_SNAPSHOT_5, "book_snapshot_5", 1)     \
    X(CHANNEL_BOOK_SNAPSHOT_20, "book_snapshot_20", 1)   \
    X(CHANNEL_BOOK_SNAPSHOT_50, "book_snapshot_50", 1)   \
    X(CHANNEL_DERIVATIVE_TICKER, "derivative_ticker", 1) \
    X(CHANNEL_LIQUIDATIONS, "liquidations", 3)           \
    X(CHANNEL_CANDLES, "candles", 1)                     \
    X(CHANNEL_TICKER, "ticker", 1)                       \
    X(CHANNEL_GAPS, "gaps", 255)                         \
    X(CHANNEL_INSTRUMENTS, "instruments", 255)

enum channel {
#define X(channel, name, priority) channel,
    CHANNEL_LIST(X)
#undef X
        CHANNEL_COUNT
};

const char *channel_name(enum channel channel);
int channel_parse(struct str name); /* -1 if unknown */
int channel_drop_priority(enum channel channel);

#define TIME_NONE INT64_MIN /* an absent time */
#define ID_NONE INT64_MIN   /* an absent id or count */

/* A decimal the venue may leave out. */
struct decimal_opt {
    struct decimal value;
    bool set;
};

struct level {
    struct decimal price, amount; /* amount 0 deletes in a delta */
};

enum side { SIDE_UNKNOWN, SIDE_BUY, SIDE_SELL }; /* the taker's */

enum trade_flags {
    TRADE_AGGREGATE = 1,
    TRADE_LIQUIDATION = 2,  /* liquidation, ADL, insurance fund */
    TRADE_OFF_BOOK = 4,     /* off-book or block */
    TRADE_BACKFILL = 8,     /* from REST backfill */
    TRADE_PLACEHOLDER = 16, /* no trade: the venue's row that uses up an id */
    /* Not landed; what normalise is told of a REST page. */
    TRADE_PAGE_FIRST = 1 << 16, /* the page's first row */
    TRADE_PAGE_END = 1 << 17,   /* no trade: the page came whole */
};
#define TRADE_FLAGS_LANDED 31

struct trade_event {
    struct str id;    /* non-numeric id; bytes = 0 if there is none */
    int64_t trade_id; /* ID_NONE if there is none */
    enum side side;
    struct decimal price, amount;
    struct decimal_opt amount_base;
    int32_t flags;
    int64_t page_from_id; /* TRADE_BACKFILL: the first id that was asked for; ID_NONE: not by id */
};

struct book_ticker_event {
    int64_t update_id; /* ID_NONE */
    struct decimal_opt ask_amount, ask_price, bid_price, bid_amount;
};

/* Both deltas and full books. Level order is as received; for snapshots best first. */
struct depth_event {
    bool is_snapshot;
    int64_t first_update_id, last_update_id, prev_update_id; /* ID_NONE */
    const struct level *bids, *asks;                         /* borrowed for the call */
    uint32_t bid_count, ask_count;
};

/* Partial depth, best first. */
struct book_snapshot_event {
    int64_t last_update_id;
    const struct level *bids, *asks;
    uint32_t bid_count, ask_count;
};

struct derivative_ticker_event {
    int64_t funding_unix_ns; /* TIME_NONE */
    struct decimal_opt funding_rate, predicted_funding_rate, open_interest, last_price, index_price,
        mark_price;
    int32_t funding_interval_s; /* 0 = not said */
};

struct liquidation_event {
    struct str id;
    enum side side;
    struct decimal price, amount;
    struct decimal_opt average_price;
    struct str order_status;
};

struct candle_event {
    struct str interval;
    int64_t open_unix_ns, close_unix_ns; /* close inclusive, as the venue says it */
    struct decimal open, high, low, close, volume;
    struct decimal_opt quote_volume;
    int64_t trade_count; /* ID_NONE */
    int closed;          /* 1, 0, -1 = not said */
};

struct ticker_event {
    struct decimal_opt last_price, open, high, low, volume, quote_volume, bid_price, ask_price;
};

/* kind number, name in the gaps table; `kind` of struct gap_event */
#define GAP_KIND_LIST(X)            \
    X(GAP_SEQUENCE, "sequence")     \
    X(GAP_RECONNECT, "reconnect")   \
    X(GAP_QUEUE_DROP, "queue_drop") \
    X(GAP_STALL, "stall")           \
    X(GAP_CRASH, "crash")           \
    X(GAP_DECODE, "decode")         \
    X(GAP_DISK, "disk")
enum gap_kind {
#define X(kind, name) kind,
    GAP_KIND_LIST(X)
#undef X
        GAP_KIND_COUNT
};
#define GAP_RESOLVED_LIST(X)             \
    X(GAP_RESOLVED_NONE, "none")         \
    X(GAP_RESOLVED_OVERLAP, "overlap")   \
    X(GAP_RESOLVED_BACKFILL, "backfill") \
    X(GAP_RESOLVED_RESYNC, "resync")
enum gap_resolved {
#define X(resolved, name) resolved,
    GAP_RESOLVED_LIST(X)
#undef X
        GAP_RESOLVED_COUNT
};
const char *gap_kind_name(enum gap_kind kind);
const char *gap_resolved_name(enum gap_resolved resolved);

struct gap_event {
    enum channel of_channel; /* the event's own channel is CHANNEL_GAPS */
    bool all_channels;       /* of_channel unknown: the text is null */
    enum gap_kind kind;
    int64_t from_id, to_id, missing; /* first and last missing id, inclusive; ID_NONE */
    int64_t start_unix_ns, end_unix_ns;
    enum gap_resolved resolved_by;
};

struct instrument_event {
    struct str base, quote, type, status, unified_symbol; /* bytes = 0: null */
    struct decimal_opt tick_size, lot_size, contract_multiplier;
    int64_t valid_from_unix_ns;
};

struct event {
    enum channel channel;
    enum venue_id venue;
    struct str symbol;     /* venue's spelling, upper case as in its payloads; bytes = 0: null */
    int64_t event_unix_ns; /* the venue's event time; TIME_NONE if it sent none */
    int64_t recv_unix_ns;  /* stamp of the record that made it */
    uint32_t conn;
    uint64_t seq; /* record.seq: local_seq */
    union {
        struct trade_event trade;
        struct book_ticker_event book_ticker;
        struct depth_event depth;
        struct book_snapshot_event book_snapshot;
        struct derivative_ticker_event derivative_ticker;
        struct liquidation_event liquidation;
        struct candle_event candle;
        struct ticker_event ticker;
        struct gap_event gap;
        struct instrument_event instrument;
    };
};

#endif
