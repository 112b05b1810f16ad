/* What must hold, whatever goes wrong:
 *
 *   altered   every trade, book ticker and book level in a file is the model's, at its id
 *   invented  no id is in a file that the model does not have
 *   twice     no trade and no depth message stands in two rows (files together)
 *   missing   what was decoded from a synced record is in a file (a promise is kept); of streams
 *             whose ids prove something, every id between the first and the last is in a file or in
 *             exactly one gap row, never in both, and each gap row is a whole hole: what stands
 *             right before and right behind it is there
 *   books     a book of ours that says it is whole equals the model's at its id: live at every tick
 *             of every life, replays included, and rebuilt from each depth file
 *   manifest  every file has its one line, with its rows, and every line its file
 *
 * Memory: plain malloc; given back by oracle_close(). */
#include "oracle.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "kernel.h"
#include "normalise/normalise_internal.h"
#include "sim/sim_exchange.h"
#include "sim/sim_gate.h"
#include "sim/sim_kucoin.h"
#include "store/manifest.h"
#include "store/parquet.h"
#include "store/store.h"

#define PRINT_MAX 12
#define SYMBOLS_MAX 16
#define STREAMS_MAX (VENUE_ID_END * CHANNEL_COUNT * SYMBOLS_MAX * 2)
#define NEAR_LEVELS 20      /* of each side: must be there */
#define BOOK_CHECK_EVERY 25 /* messages of a file, and its last */
#define STOPS_MAX 32
#define FAULTS_MAX 100000
#define BFUT_ID_STEP 7 /* sim_binance_futures.c */
#define BFUT_PLACEHOLDER_EVERY 64

struct cursor { /* the model's book of a stream, moved along */
    struct model_book book;
    uint32_t *steps;
};

static struct {
    struct world_config config;
    struct oracle_stream *streams[STREAMS_MAX];
    struct cursor cursors[VENUE_ID_END][SYMBOLS_MAX];
    struct world_fault *faults[VENUE_ID_END];
    size_t fault_count[VENUE_ID_END];
    uint64_t findings, books_checked, rows, files;
    bool quiet;
    uint64_t stops[STOPS_MAX]; /* numbers of the stop records */
    uint32_t stop_count;
} oracle;

void oracle_find(const char *format, ...)
{
    if (oracle.findings++ < (oracle.quiet ? 0 : PRINT_MAX)) {
        va_list list;
        va_start(list, format);
        fprintf(stderr, "finding: ");
        vfprintf(stderr, format, list);
        fprintf(stderr, "\n");
        va_end(list);
    }
}

/* ---- streams */

static int place_of(enum venue_id venue)
{
    for (uint32_t p = 0; p < oracle.config.place_count; p++) {
        if (oracle.config.places[p].venue == venue) {
            return (int)p;
        }
    }
    return -1;
}

static size_t slot_of(uint32_t place, enum channel channel, uint32_t symbol, bool aggregate)
{
    return ((place * CHANNEL_COUNT + (size_t)channel) * SYMBOLS_MAX + symbol) * 2 + aggregate;
}

const struct oracle_stream *oracle_stream_of(uint32_t place, enum channel channel, uint32_t symbol,
                                             bool aggregate)
{
    return oracle.streams[slot_of(place, channel, symbol, aggregate)];
}

static struct oracle_stream *stream_make(enum venue_id venue, enum channel channel,
                                         struct str symbol, bool aggregate)
{
    int place = place_of(venue);
    const struct model *model = place >= 0 ? world_model((uint32_t)place) : NULL;
    const struct model_symbol *found = model != NULL ? model_find(model, symbol, false) : NULL;
    if (found == NULL || found - model->symbols >= SYMBOLS_MAX) {
        oracle_find("%s %s: symbol %.*s: no such", venue_name(venue), channel_name(channel),
                    (int)symbol.bytes, symbol.data);
        return NULL;
    }
    uint32_t index = (uint32_t)(found - model->symbols);
    struct oracle_stream **slot =
        &oracle.streams[slot_of((uint32_t)place, channel, index, aggregate)];
    if (*slot == NULL) {
        *slot = calloc(1, sizeof **slot);
        ASSERT(*slot != NULL);
        **slot = (struct oracle_stream){.venue = venue,
                                        .place = (uint32_t)place,
                                        .symbol = index,
                                        .channel = channel,
                                        .aggregate = aggregate};
    }
    return *slot;
}

static const struct model_symbol *symbol_of(const struct oracle_stream *stream)
{
    return &world_model(stream->place)->symbols[stream->symbol];
}

static void span_add(struct oracle_span **spans, size_t *count, const struct oracle_span *span)
{
    if ((*count & (*count - 1)) == 0) { /* a power of two, or none */
        *spans = realloc(*spans, (*count == 0 ? 1 : *count * 2) * sizeof **spans);
        ASSERT(*spans != NULL);
    }
    (*spans)[(*count)++] = *span;
}

static const char *name_of(const struct oracle_stream *stream, char out[96])
{
    snprintf(out, 96, "%s %s%s %s", venue_name(stream->venue),
             stream->aggregate ? "aggregate " : "", channel_name(stream->channel),
             symbol_of(stream)->name);
    return out;
}

/* ---- ids and values */

int64_t oracle_trade_index(uint32_t place, uint32_t symbol, int64_t id, bool *placeholder)
{
    const struct model_symbol *s = &world_model(place)->symbols[symbol];
    enum venue_id venue = oracle.config.places[place].venue;
    *placeholder = false;
    if (venue == VENUE_BINANCE_FUTURES) {
        int64_t n = id - s->trade_id0; /* each 65th is none */
        *placeholder = n % (BFUT_PLACEHOLDER_EVERY + 1) == BFUT_PLACEHOLDER_EVERY;
        return n - n / (BFUT_PLACEHOLDER_EVERY + 1);
    }
    if (venue == VENUE_KUCOIN || venue == VENUE_KUCOIN_FUTURES) {
        int64_t base = sim_kucoin_trade_id(world_sim(place), 0);
        return (id - base) % 3 == 0 ? (id - base) / 3 - s->trade_id0 : -1;
    }
    return id - s->trade_id0;
}

int64_t oracle_update_index(uint32_t place, uint32_t symbol, int64_t id, bool *whole)
{
    const struct model_symbol *s = &world_model(place)->symbols[symbol];
    enum venue_id venue = oracle.config.places[place].venue;
    *whole = true;
    if (venue == VENUE_BINANCE_FUTURES) {
        *whole = (id - s->update_id0) % BFUT_ID_STEP == 0;
        return (id - s->update_id0) / BFUT_ID_STEP;
    }
    if (venue == VENUE_KUCOIN || venue == VENUE_KUCOIN_FUTURES) {
        *whole = id % SIM_KUCOIN_CHANGES == 0;
        return (id + SIM_KUCOIN_CHANGES - 1) / SIM_KUCOIN_CHANGES - s->update_id0;
    }
    return id - s->update_id0;
}

/* What a quantity of the model is in the venue's messages, as e8. */
static int64_t amount_e8(const struct oracle_stream *stream, int64_t quantity_e8)
{
    const struct model_symbol *symbol = symbol_of(stream);
    if (stream->venue == VENUE_KUCOIN_FUTURES) {
        return quantity_e8 / symbol->step_e8 * 100000000;
    }
    if (stream->venue == VENUE_GATE_FUTURES) {
        struct sim *sim = world_sim(stream->place);
        bool tenths = sim_gate_is_decimal(sim, &sim->model.symbols[stream->symbol]);
        return quantity_e8 / symbol->step_e8 * (tenths ? 10000000 : 100000000);
    }
    return quantity_e8;
}

static double as_double(int64_t e8)
{
    return (double)e8 / 1e8; /* both exact, so the quotient is the nearest double */
}

static bool is_e8(struct decimal value, int64_t e8)
{
    return decimal_compare(value, (struct decimal){e8, -8}) == 0;
}

/* ---- the model's book at an update */

static const struct model_book *book_at(const struct oracle_stream *stream, int64_t update)
{
    const struct model_symbol *symbol = symbol_of(stream);
    struct cursor *cursor = &oracle.cursors[stream->place][stream->symbol];
    if (cursor->steps == NULL) {
        cursor->steps = calloc(symbol->slots, sizeof *cursor->steps);
        ASSERT(cursor->steps != NULL);
        cursor->book.update = INT64_MIN;
    }
    bool fresh = cursor->book.update == INT64_MIN || update < cursor->book.update ||
                 update - cursor->book.update > 4 * (int64_t)symbol->slots;
    if (fresh) {
        model_book_build(&cursor->book, symbol, cursor->steps, update);
    }
    while (cursor->book.update < update) {
        uint32_t touched[MODEL_TOUCHES_MAX];
        bool best_changed;
        model_book_advance(&cursor->book, touched, &best_changed);
    }
    return &cursor->book;
}

/* The slot of a price; slots when there is none such. */
static uint32_t slot_at(const struct model_symbol *symbol, int64_t price_e8)
{
    uint32_t low = 0;
    uint32_t high = symbol->slots;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (model_slot_price(symbol, middle) < price_e8) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < symbol->slots && model_slot_price(symbol, low) == price_e8 ? low : symbol->slots;
}

/* ---- live books */

struct walk {
    const struct oracle_stream *stream;
    const struct model_book *book;
    bool bid;
    uint32_t slot; /* the next filled one that must come, while `near` are not through */
    uint32_t near;
    const char *wrong;
};

/* The nearest filled slot of a side from `slot` on, outwards; slots (or UINT32_MAX) when none. */
static uint32_t filled_from(const struct model_book *book, uint32_t slot, bool bid)
{
    while (slot < book->symbol->slots && book->steps[slot] == 0) {
        slot = bid ? slot - 1 : slot + 1; /* below 0 it wraps to above all */
    }
    return slot;
}

static void on_level(void *context, const struct level *level)
{
    struct walk *walk = context;
    const struct model_symbol *symbol = walk->book->symbol;
    int64_t price_e8 = 0;
    if (walk->wrong != NULL) {
        return;
    }
    if (decimal_rescale(level->price, -8, &price_e8) != 0) {
        walk->wrong = "a price too fine";
        return;
    }
    uint32_t slot = slot_at(symbol, price_e8);
    if (slot == symbol->slots || (slot < walk->book->mid) != walk->bid) {
        walk->wrong = "a level that the model does not have";
        return;
    }
    struct model_level wanted = model_book_level(walk->book, slot);
    if (walk->book->steps[slot] == 0 ||
        !is_e8(level->amount, amount_e8(walk->stream, wanted.quantity_e8))) {
        walk->wrong = "another amount";
        return;
    }
    if (walk->near > 0) {
        uint32_t next = filled_from(walk->book, walk->slot, walk->bid);
        walk->wrong = next != slot ? "a level is missing" : NULL;
        walk->slot = walk->bid ? slot - 1 : slot + 1;
        walk->near--;
    }
}

static const char *compare_side(const struct oracle_stream *stream, const struct book *book,
                                const struct model_book *model, enum book_side side)
{
    struct walk walk = {.stream = stream,
                        .book = model,
                        .bid = side == BOOK_BID,
                        .slot = side == BOOK_BID ? model->mid - 1 : model->mid,
                        .near = NEAR_LEVELS};
    book_walk(book, side, on_level, &walk);
    if (walk.wrong == NULL && walk.near > 0 &&
        filled_from(model, walk.slot, walk.bid) < model->symbol->slots) {
        return "too few levels";
    }
    return walk.wrong;
}

static void check_book(const struct normalise *normalise, const struct depth *depth, uint64_t seq)
{
    const struct stream *own = &normalise->streams[depth->stream];
    struct oracle_stream *stream =
        stream_make((enum venue_id)own->venue, CHANNEL_DEPTH, own->symbol, false);
    bool whole = true;
    if (stream == NULL) {
        return;
    }
    int64_t update = oracle_update_index(stream->place, stream->symbol, depth->book_id, &whole);
    if (!whole) {
        return; /* KuCoin futures: four messages an update */
    }
    if (book_truncated(depth->book)) {
        return;
    }
    oracle.books_checked++;
    const struct model_book *model = book_at(stream, update);
    const char *wrong = compare_side(stream, depth->book, model, BOOK_BID);
    wrong = wrong != NULL ? wrong : compare_side(stream, depth->book, model, BOOK_ASK);
    if (wrong != NULL) {
        char name[96];
        oracle_find("%s: book at %lld, record %llu: %s", name_of(stream, name),
                    (long long)depth->book_id, (unsigned long long)seq, wrong);
    }
}

void oracle_on_landed(void *context, struct land *land, const struct record *record)
{
    (void)context;
    if (record->kind == RECORD_STOP && oracle.stop_count < STOPS_MAX) {
        oracle.stops[oracle.stop_count++] = record->seq;
    }
    if (record->kind != RECORD_TICK) {
        return;
    }
    const struct normalise *normalise = land_normalise(land);
    for (uint32_t i = 0; i < normalise->depth_count; i++) {
        if (normalise->depths[i].state == BOOK_WHOLE) {
            check_book(normalise, &normalise->depths[i], record->seq);
        }
    }
    if (record->seq % 7 == 0) {
        normalise_check(normalise);
    }
}

/* ---- what was received */

void oracle_on_decoded(void *context, const struct event *event)
{
    (void)context;
    struct oracle_span span = {
        .seq = event->seq, .first = ID_NONE, .last = ID_NONE, .prev = ID_NONE};
    bool aggregate = false;
    switch ((int)event->channel) {
    case CHANNEL_TRADES:
        if ((event->trade.flags & TRADE_BACKFILL) != 0) {
            return; /* a page holds more than the hole */
        }
        aggregate = (event->trade.flags & TRADE_AGGREGATE) != 0;
        span.first = span.last = event->trade.trade_id;
        break;
    case CHANNEL_DEPTH:
        if (event->depth.is_snapshot && event->conn == 0) {
            return; /* by REST: lands when it joins */
        }
        span.first = event->depth.first_update_id;
        span.last = event->depth.last_update_id;
        span.prev = event->depth.prev_update_id;
        span.snapshot = event->depth.is_snapshot;
        break;
    case CHANNEL_BOOK_TICKER:
        span.first = span.last = event->book_ticker.update_id;
        break;
    case CHANNEL_BOOK_SNAPSHOT_5:
    case CHANNEL_BOOK_SNAPSHOT_20:
    case CHANNEL_BOOK_SNAPSHOT_50:
        span.first = span.last = event->book_snapshot.last_update_id;
        break;
    case CHANNEL_INSTRUMENTS:
        return;
    default:
        break;
    }
    span.conn = event->conn;
    span.recv_ns = event->recv_unix_ns;
    struct oracle_stream *stream =
        stream_make(event->venue, event->channel, event->symbol, aggregate);
    if (stream != NULL) {
        span_add(&stream->received, &stream->received_count, &span);
    }
}

void oracle_on_cut(void *context, uint64_t synced_seq)
{
    (void)context;
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        struct oracle_stream *stream = oracle.streams[i];
        if (stream == NULL) {
            continue;
        }
        size_t kept = 0;
        size_t before = stream->received_count;
        for (size_t k = 0; k < before; k++) {
            if (stream->received[k].seq <= synced_seq) {
                stream->received[kept++] = stream->received[k];
            }
        }
        if (kept != before) { /* span_add() counts on the capacity being a power of two */
            struct oracle_span *spans = NULL;
            size_t count = 0;
            for (size_t k = 0; k < kept; k++) {
                span_add(&spans, &count, &stream->received[k]);
            }
            free(stream->received);
            stream->received = spans;
            stream->received_count = count;
        }
    }
}

void oracle_on_fault(void *context, uint32_t place, const struct world_fault *fault)
{
    (void)context;
    if (oracle.fault_count[place] < FAULTS_MAX) {
        if (oracle.faults[place] == NULL) {
            oracle.faults[place] = calloc(FAULTS_MAX, sizeof *oracle.faults[place]);
            ASSERT(oracle.faults[place] != NULL);
        }
        oracle.faults[place][oracle.fault_count[place]++] = *fault;
    }
}

const struct world_fault *oracle_faults(uint32_t place, size_t *count)
{
    *count = oracle.fault_count[place];
    return oracle.faults[place];
}

/* ---- reading files */

struct columns {
    int symbol, timestamp, seq, trade_id, side, price, amount, flags;
    int is_snapshot, first_id, last_id, prev_id;
    int update_id, bid_price, bid_amount, ask_price, ask_amount;
    int channel, kind, from_id, to_id, missing, start, end, resolved_by;
};

/* name, member */
#define COLUMN_LIST(X)             \
    X("symbol", symbol)            \
    X("timestamp", timestamp)      \
    X("local_seq", seq)            \
    X("trade_id", trade_id)        \
    X("side", side)                \
    X("price", price)              \
    X("amount", amount)            \
    X("flags", flags)              \
    X("is_snapshot", is_snapshot)  \
    X("first_update_id", first_id) \
    X("last_update_id", last_id)   \
    X("prev_update_id", prev_id)   \
    X("update_id", update_id)      \
    X("bid_price", bid_price)      \
    X("bid_amount", bid_amount)    \
    X("ask_price", ask_price)      \
    X("ask_amount", ask_amount)    \
    X("channel", channel)          \
    X("kind", kind)                \
    X("from_id", from_id)          \
    X("to_id", to_id)              \
    X("missing", missing)          \
    X("start", start)              \
    X("end", end)                  \
    X("resolved_by", resolved_by)

struct reading { /* one file */
    char path[MDIO_PATH_BYTES_MAX];
    int handle;
    enum venue_id venue;
    enum channel channel;
    uint64_t rows;
    struct columns columns;
    /* depth: the book as a reader of this file has it, by slot */
    struct oracle_stream *stream;
    double *bids, *asks;
    bool any_book;
    uint64_t group_seq; /* the message at hand */
    bool group_snapshot, group_open;
    int64_t group_last;
    uint32_t groups;
};

static void columns_find(struct columns *columns, const struct schema *schema)
{
    static const struct {
        const char *name;
        size_t offset;
    } rows[] = {
#define X(name, member) {name, offsetof(struct columns, member)},
        COLUMN_LIST(X)
#undef X
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int found = -1;
        for (uint32_t c = 0; c < schema->column_count; c++) {
            found = strcmp(schema->columns[c].name, rows[i].name) == 0 ? (int)c : found;
        }
        memcpy((char *)columns + rows[i].offset, &found, sizeof found);
    }
}

static bool is_null(const struct row_group *group, int column, uint32_t row)
{
    const uint8_t *valid = column >= 0 ? group->columns[column].valid : NULL;
    return column < 0 || (valid != NULL && valid[row] == 0);
}

static int64_t integer(const struct row_group *group, int column, uint32_t row)
{
    return is_null(group, column, row) ? ID_NONE : group->columns[column].i64[row];
}

static double number(const struct row_group *group, int column, uint32_t row)
{
    return is_null(group, column, row) ? NAN : group->columns[column].f64[row];
}

static struct str text(const struct row_group *group, int column, uint32_t row)
{
    return is_null(group, column, row)
               ? (struct str){0}
               : group->columns[column].text_values[group->columns[column].text_index[row]];
}

static bool is_number(const struct row_group *group, int column, uint32_t row, int64_t e8)
{
    return number(group, column, row) == as_double(e8);
}

/* ---- trades */

static bool time_is(const struct row_group *group, int column, uint32_t row, int64_t unix_ns)
{
    int64_t us = integer(group, column, row);
    /* times of more than 18 digits are read to tens of nanoseconds: exchange/reading.c */
    return us == ID_NONE || us == unix_ns / NS_PER_US || us == unix_ns / NS_PER_MS * 1000 ||
           us == (unix_ns + 5) / 10 * 10 / NS_PER_US;
}

static const char *trade_wrong(const struct reading *reading, const struct row_group *group,
                               uint32_t row, const struct oracle_stream *stream, int64_t id)
{
    const struct columns *at = &reading->columns;
    const struct model_symbol *symbol = symbol_of(stream);
    int64_t price_e8, quantity_e8, unix_ns;
    bool sold, placeholder = false;
    if (stream->aggregate) {
        int64_t index = id - symbol->agg_id0;
        if (index < 0) {
            return "no such aggregate";
        }
        struct model_agg agg = model_agg_at(symbol, index);
        price_e8 = agg.price_e8;
        quantity_e8 = agg.quantity_e8;
        unix_ns = agg.time_unix_ns;
        sold = agg.buyer_is_maker;
    } else {
        int64_t index = oracle_trade_index(stream->place, stream->symbol, id, &placeholder);
        if (index < 0) {
            return "no such trade";
        }
        if (placeholder) {
            return (integer(group, at->flags, row) & TRADE_PLACEHOLDER) != 0 ? NULL
                                                                             : "a placeholder";
        }
        struct model_trade trade = model_trade_at(symbol, index);
        price_e8 = trade.price_e8;
        quantity_e8 = trade.quantity_e8;
        unix_ns = trade.time_unix_ns;
        sold = trade.buyer_is_maker;
    }
    struct str side = text(group, at->side, row);
    return unix_ns > kernel_world_clock.unix_ns(NULL)                           ? "of the future"
           : !is_number(group, at->price, row, price_e8)                        ? "price"
           : !is_number(group, at->amount, row, amount_e8(stream, quantity_e8)) ? "amount"
           : !str_equal(side, sold ? STR("sell") : STR("buy")) ? "side"
           : !time_is(group, at->timestamp, row, unix_ns)                       ? "timestamp"
                                                                                : NULL;
}

static void take_trade(struct reading *reading, const struct row_group *group, uint32_t row)
{
    const struct columns *at = &reading->columns;
    int64_t id = integer(group, at->trade_id, row);
    bool aggregate = (integer(group, at->flags, row) & TRADE_AGGREGATE) != 0;
    struct oracle_stream *stream =
        stream_make(reading->venue, CHANNEL_TRADES, text(group, at->symbol, row), aggregate);
    if (stream == NULL) {
        return;
    }
    const char *wrong = id == ID_NONE ? "no id" : trade_wrong(reading, group, row, stream, id);
    if (wrong != NULL) {
        char name[96];
        oracle_find("%s: trade %lld altered or invented: %s", name_of(stream, name), (long long)id,
                    wrong);
    }
    struct oracle_span span = {
        .first = id, .last = id, .prev = ID_NONE, .seq = (uint64_t)integer(group, at->seq, row)};
    span_add(&stream->landed, &stream->landed_count, &span);
}

/* ---- book tickers */

static void take_ticker(struct reading *reading, const struct row_group *group, uint32_t row)
{
    const struct columns *at = &reading->columns;
    struct oracle_stream *stream =
        stream_make(reading->venue, CHANNEL_BOOK_TICKER, text(group, at->symbol, row), false);
    if (stream == NULL) {
        return;
    }
    int64_t id = integer(group, at->update_id, row);
    struct oracle_span span = {
        .first = id, .last = id, .prev = ID_NONE, .seq = (uint64_t)integer(group, at->seq, row)};
    span_add(&stream->landed, &stream->landed_count, &span);
    if (id == ID_NONE) {
        return; /* KuCoin spot: the venue numbers none */
    }
    bool whole = true;
    int64_t update = oracle_update_index(stream->place, stream->symbol, id, &whole);
    const struct model_book *book = book_at(stream, update);
    struct model_level bid = model_book_level(book, book->mid - 1);
    struct model_level ask = model_book_level(book, book->mid);
    if (!whole || !is_number(group, at->bid_price, row, bid.price_e8) ||
        !is_number(group, at->ask_price, row, ask.price_e8) ||
        !is_number(group, at->bid_amount, row, amount_e8(stream, bid.quantity_e8)) ||
        !is_number(group, at->ask_amount, row, amount_e8(stream, ask.quantity_e8))) {
        char name[96];
        oracle_find("%s: book ticker %lld altered", name_of(stream, name), (long long)id);
    }
}

/* ---- depth */

static void reader_clear(struct reading *reading)
{
    uint32_t slots = symbol_of(reading->stream)->slots;
    memset(reading->bids, 0, slots * sizeof *reading->bids);
    memset(reading->asks, 0, slots * sizeof *reading->asks);
}

/* The reader's book against the model's: what is there is right, and what is near is there. */
static const char *reader_side_wrong(const struct reading *reading, const struct model_book *model,
                                     bool bid)
{
    const double *amounts = bid ? reading->bids : reading->asks;
    uint32_t near = NEAR_LEVELS;
    for (uint32_t n = 0; n < model->symbol->slots; n++) {
        uint32_t slot = bid ? model->symbol->slots - 1 - n : n;
        bool own_side = (slot < model->mid) == bid;
        bool filled = own_side && model->steps[slot] != 0;
        if (amounts[slot] != 0 && !filled) {
            return "a level that the model does not have";
        }
        if (!filled) {
            continue;
        }
        struct model_level level = model_book_level(model, slot);
        if (amounts[slot] != 0 &&
            amounts[slot] != as_double(amount_e8(reading->stream, level.quantity_e8))) {
            return "another amount";
        }
        if (near > 0 && amounts[slot] == 0) {
            return "a level is missing";
        }
        near -= near > 0;
    }
    return NULL;
}

static bool hole_since(const struct reading *reading);

static void group_end(struct reading *reading, bool last)
{
    bool whole = true;
    if (!reading->group_open) {
        return;
    }
    reading->group_open = false;
    int64_t update = oracle_update_index(reading->stream->place, reading->stream->symbol,
                                         reading->group_last, &whole);
    bool due = last || reading->group_snapshot || reading->groups % BOOK_CHECK_EVERY == 0;
    if (!due || !whole || !reading->any_book || hole_since(reading)) {
        return;
    }
    const struct model_book *model = book_at(reading->stream, update);
    const char *wrong = reader_side_wrong(reading, model, true);
    wrong = wrong != NULL ? wrong : reader_side_wrong(reading, model, false);
    oracle.books_checked++;
    if (wrong != NULL) {
        char name[96];
        oracle_find("%s: a reader's book at %lld, record %llu: %s", name_of(reading->stream, name),
                    (long long)reading->group_last, (unsigned long long)reading->group_seq, wrong);
    }
}

/* A hole was not mended yet when this message came: until the next snapshot no book can be right.
 */
static bool hole_since(const struct reading *reading)
{
    const struct oracle_stream *stream = reading->stream;
    size_t n = stream->landed_count;
    /* back to the last snapshot, message by message: each must follow the one before */
    for (size_t i = n - 1; i > 0; i--) {
        const struct oracle_span *now = &stream->landed[i];
        const struct oracle_span *before = &stream->landed[i - 1];
        if (now->snapshot) {
            return false;
        }
        bool follows =
            now->prev == before->last || now->first == ID_NONE ||
            (now->first <= before->last + 1 && (now->prev == ID_NONE || now->last >= before->last));
        if (!follows) {
            return true;
        }
        if (before->snapshot) {
            return false;
        }
    }
    return false;
}

static void group_begin(struct reading *reading, const struct row_group *group, uint32_t row)
{
    const struct columns *at = &reading->columns;
    struct oracle_span span = {
        .first = integer(group, at->first_id, row),
        .last = integer(group, at->last_id, row),
        .prev = integer(group, at->prev_id, row),
        .seq = (uint64_t)integer(group, at->seq, row),
        .snapshot = group->columns[at->is_snapshot].boolean[row] != 0,
    };
    reading->group_open = true;
    reading->groups++;
    reading->group_seq = span.seq;
    reading->group_snapshot = span.snapshot;
    reading->group_last = span.last;
    if (span.snapshot) {
        reader_clear(reading); /* the reader's rule: each snapshot message begins anew */
    }
    reading->any_book |= span.snapshot;
    span_add(&reading->stream->landed, &reading->stream->landed_count, &span);
}

static void take_depth(struct reading *reading, const struct row_group *group, uint32_t row)
{
    const struct columns *at = &reading->columns;
    if (reading->stream == NULL) {
        reading->stream =
            stream_make(reading->venue, CHANNEL_DEPTH, text(group, at->symbol, row), false);
        if (reading->stream == NULL) {
            return;
        }
        uint32_t slots = symbol_of(reading->stream)->slots;
        reading->bids = calloc(slots, sizeof *reading->bids);
        reading->asks = calloc(slots, sizeof *reading->asks);
        ASSERT(reading->bids != NULL && reading->asks != NULL);
    }
    uint64_t seq = (uint64_t)integer(group, at->seq, row);
    bool snapshot = group->columns[at->is_snapshot].boolean[row] != 0;
    if (!reading->group_open || seq != reading->group_seq || snapshot != reading->group_snapshot) {
        group_end(reading, false);
        group_begin(reading, group, row);
    }
    const struct model_symbol *symbol = symbol_of(reading->stream);
    int64_t price_e8 = llround(number(group, at->price, row) * 1e8);
    if (price_e8 == 0 && number(group, at->amount, row) == 0 && !snapshot) {
        return; /* a delta without levels: a row for its ids alone */
    }
    uint32_t slot = slot_at(symbol, price_e8);
    if (slot == symbol->slots || number(group, at->price, row) != as_double(price_e8)) {
        char name[96];
        oracle_find("%s: a price the model does not have: %.17g, record %llu",
                    name_of(reading->stream, name), number(group, at->price, row),
                    (unsigned long long)seq);
        return;
    }
    bool bid = str_equal(text(group, at->side, row), STR("bid"));
    (bid ? reading->bids : reading->asks)[slot] = number(group, at->amount, row);
}

/* ---- gaps */

static int kind_of_name(struct str name, const char *(*namer)(int), int count)
{
    for (int i = 0; i < count; i++) {
        if (str_equal(name, str_from(namer(i)))) {
            return i;
        }
    }
    return -1;
}

static const char *kind_name(int kind)
{
    return gap_kind_name((enum gap_kind)kind);
}

static const char *resolved_name(int resolved)
{
    return gap_resolved_name((enum gap_resolved)resolved);
}

/* Trades and aggregates count apart, and a gap row does not say which: the one of these two that
 * happened at about its time. */
static bool is_of_aggregates(const struct oracle_stream *stream, const struct oracle_span *gap)
{
    const struct model_symbol *symbol = symbol_of(stream);
    bool placeholder;
    if (stream->channel != CHANNEL_TRADES || gap->last == ID_NONE) {
        return false;
    }
    int64_t trade = oracle_trade_index(stream->place, stream->symbol, gap->last, &placeholder);
    int64_t agg = gap->last - symbol->agg_id0;
    if (agg < 0 || trade < 0) {
        return trade < 0;
    }
    int64_t from_trade = model_trade_at(symbol, trade).time_unix_ns - gap->end_ns;
    int64_t from_agg = model_agg_time(symbol, agg) - gap->end_ns;
    return llabs(from_agg) < llabs(from_trade);
}

static void take_gap(struct reading *reading, const struct row_group *group, uint32_t row)
{
    const struct columns *at = &reading->columns;
    struct str symbol = text(group, at->symbol, row);
    int channel = channel_parse(text(group, at->channel, row));
    int kind = kind_of_name(text(group, at->kind, row), kind_name, GAP_KIND_COUNT);
    int resolved =
        kind_of_name(text(group, at->resolved_by, row), resolved_name, GAP_RESOLVED_COUNT);
    if (kind < 0 || resolved < 0) {
        oracle_find("%s: a gap row of unknown kind", venue_name(reading->venue));
        return;
    }
    if (symbol.bytes == 0 || channel < 0) {
        return; /* counts of dropped or undecodable messages */
    }
    struct oracle_span span = {
        .first = integer(group, at->from_id, row),
        .last = integer(group, at->to_id, row),
        .missing = integer(group, at->missing, row),
        .start_ns = integer(group, at->start, row) * NS_PER_US,
        .end_ns = integer(group, at->end, row) * NS_PER_US,
        .seq = (uint64_t)integer(group, at->seq, row),
        .kind = (enum gap_kind)kind,
        .resolved = (enum gap_resolved)resolved,
    };
    struct oracle_stream *stream =
        stream_make(reading->venue, (enum channel)channel, symbol, false);
    if (stream != NULL && is_of_aggregates(stream, &span)) {
        stream = stream_make(reading->venue, (enum channel)channel, symbol, true);
    }
    if (stream != NULL) {
        span_add(&stream->gaps, &stream->gap_count, &span);
    }
}

static void take_other(struct reading *reading, const struct row_group *group, uint32_t row)
{
    struct oracle_stream *stream = stream_make(reading->venue, reading->channel,
                                               text(group, reading->columns.symbol, row), false);
    int64_t id = integer(group, reading->columns.last_id, row); /* of partial books */
    struct oracle_span span = {.first = id,
                               .last = id,
                               .prev = ID_NONE,
                               .seq = (uint64_t)integer(group, reading->columns.seq, row)};
    if (stream != NULL) {
        span_add(&stream->landed, &stream->landed_count, &span);
    }
}

static int on_group(void *context, const struct row_group *group)
{
    struct reading *reading = context;
    columns_find(&reading->columns, group->schema);
    for (uint32_t row = 0; row < group->row_count; row++) {
        switch ((int)reading->channel) {
        case CHANNEL_TRADES:
            take_trade(reading, group, row);
            break;
        case CHANNEL_BOOK_TICKER:
            take_ticker(reading, group, row);
            break;
        case CHANNEL_DEPTH:
            take_depth(reading, group, row);
            break;
        case CHANNEL_GAPS:
            take_gap(reading, group, row);
            break;
        case CHANNEL_INSTRUMENTS:
            break;
        default:
            take_other(reading, group, row);
            break;
        }
    }
    reading->rows += group->row_count;
    oracle.rows += group->row_count;
    return 0;
}

static int read_at(void *context, uint64_t offset, void *data, size_t bytes)
{
    const struct reading *reading = context;
    return mdio_read_all(world_disk(), reading->handle, data, bytes, (int64_t)offset);
}

static struct parquet_reader *reader;
static struct row_group rows_scratch;

static void read_file(const struct manifest_entry *entry)
{
    struct reading reading = {.venue = entry->venue, .channel = entry->channel};
    struct err err = {{0}};
    snprintf(reading.path, sizeof reading.path, "%.*s", (int)entry->path.bytes, entry->path.data);
    reading.handle = mdio_open(world_disk(), reading.path, MDIO_READ);
    if (reading.handle < 0) {
        oracle_find("%s: in the manifest, but not on the disk", reading.path);
        return;
    }
    oracle.files++;
    struct file_source source = {read_at, &reading,
                                 (uint64_t)mdio_size(world_disk(), reading.handle)};
    int code = parquet_reader_open(reader, source, &err);
    code = code != 0 ? code : parquet_reader_each(reader, &rows_scratch, on_group, &reading, &err);
    if (code != 0) {
        oracle_find("%s: not readable: %s", reading.path, err.text);
    } else if (reading.rows != entry->rows || source.bytes_total != entry->bytes) {
        oracle_find("%s: %llu rows and %llu bytes, the manifest says %llu and %llu", reading.path,
                    (unsigned long long)reading.rows, (unsigned long long)source.bytes_total,
                    (unsigned long long)entry->rows, (unsigned long long)entry->bytes);
    }
    if (reading.stream != NULL) {
        group_end(&reading, true);
    }
    free(reading.bids);
    free(reading.asks);
    mdio_close(world_disk(), reading.handle);
}

/* Files in the order of their rows, so that a stream's messages stand in order. */
struct file_listed {
    struct manifest_entry entry;
    char path[MANIFEST_PATH_MAX];
};
static struct file_listed *listed;
static size_t listed_count;

static void on_entry(void *context, const struct manifest_entry *entry)
{
    (void)context;
    for (size_t i = 0; i < listed_count; i++) {
        if (str_equal(entry->path, str_from(listed[i].path))) {
            return; /* a line twice counts once */
        }
    }
    if (listed_count % 256 == 0) {
        listed = realloc(listed, (listed_count + 256) * sizeof *listed);
        ASSERT(listed != NULL);
    }
    struct file_listed *one = &listed[listed_count++];
    one->entry = *entry;
    snprintf(one->path, sizeof one->path, "%.*s", (int)entry->path.bytes, entry->path.data);
}

static int by_first_seq(const void *a, const void *b)
{
    const struct file_listed *x = a;
    const struct file_listed *y = b;
    return x->entry.first_seq < y->entry.first_seq   ? -1
           : x->entry.first_seq > y->entry.first_seq ? 1
                                                     : strcmp(x->path, y->path);
}

struct searching {
    const char *path;
    uint64_t files;
};

static void on_name(void *context, const char *name, bool is_directory)
{
    struct searching *searching = context;
    char path[MDIO_PATH_BYTES_MAX];
    snprintf(path, sizeof path, "%s%s%s", searching->path, searching->path[0] != 0 ? "/" : "",
             name);
    if (is_directory) {
        struct searching below = {path, 0};
        mdio_list(world_disk(), path, on_name, &below);
        searching->files += below.files;
        return;
    }
    if (strncmp(name, STORE_INPROGRESS, strlen(STORE_INPROGRESS)) == 0) {
        oracle_find("%s: left behind", path);
        return;
    }
    bool known = false;
    for (size_t i = 0; i < listed_count && !known; i++) {
        known = strcmp(listed[i].path, path) == 0;
    }
    if (strstr(name, ".parquet") != NULL) {
        searching->files++;
        if (!known) {
            oracle_find("%s: on the disk, but not in the manifest", path);
        }
    }
}

static void read_disk(void)
{
    static const struct parquet_limits limits = {16 << 20, COLUMNS_MAX, 256, 8 << 20};
    struct err err = {{0}};
    struct manifest_stats stats = {0};
    reader = parquet_reader_create(&limits);
    int code = row_group_init(&rows_scratch, 65536, 24, 4096, 4 << 20);
    ASSERT(reader != NULL && code == 0);
    listed_count = 0;
    code = manifest_read_all(world_disk(), 0, on_entry, NULL, &stats, &err);
    if (code != 0 || stats.damaged_lines > 0) {
        oracle_find("manifest: %d %s, %llu damaged lines", code, err.text,
                    (unsigned long long)stats.damaged_lines);
    }
    qsort(listed, listed_count, sizeof *listed, by_first_seq);
    for (size_t i = 0; i < listed_count; i++) {
        listed[i].entry.path = str_from(listed[i].path);
        read_file(&listed[i].entry);
    }
    struct searching root = {"", 0};
    mdio_list(world_disk(), "", on_name, &root);
    free(listed);
    listed = NULL;
    row_group_deinit(&rows_scratch);
    parquet_reader_destroy(reader);
}

/* ---- judging a stream */

static int by_last(const void *a, const void *b)
{
    const struct oracle_span *x = a;
    const struct oracle_span *y = b;
    if (x->last != y->last) {
        return x->last < y->last ? -1 : 1;
    }
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int by_seq(const void *a, const void *b)
{
    const struct oracle_span *x = a;
    const struct oracle_span *y = b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Is there a span that ends at `last`, by binary search in spans sorted by_last? */
static const struct oracle_span *find_last(const struct oracle_span *spans, size_t count,
                                           int64_t last)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (spans[middle].last < last) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && spans[low].last == last ? &spans[low] : NULL;
}

static bool find_seq(const struct oracle_span *spans, size_t count, uint64_t seq)
{
    struct oracle_span key = {.seq = seq};
    return count > 0 && bsearch(&key, spans, count, sizeof *spans, by_seq) != NULL;
}

/* A depth message need not land when a book that holds it is in a file. */
static bool in_a_snapshot(const struct oracle_stream *stream, const struct oracle_span *received)
{
    for (size_t i = 0; i < stream->landed_count; i++) {
        const struct oracle_span *landed = &stream->landed[i];
        if (landed->snapshot && landed->last >= received->last && landed->seq <= received->seq) {
            return true;
        }
    }
    return false;
}

static bool in_a_gap_row(const struct oracle_stream *stream, int64_t id)
{
    for (size_t i = 0; i < stream->gap_count; i++) {
        const struct oracle_span *gap = &stream->gaps[i];
        if (gap->first <= id && id <= gap->last) {
            return true;
        }
    }
    return false;
}

/* What was received needs no row of its own when it is
 *   a full book: it may say nothing new, or be left to the connection it replaces;
 *   late, behind a later one: its hole was told (or filled) before it came. Best prices and partial
 *     books of another connection that are not newer say nothing new at all;
 *   ahead, before an earlier one: while two connections overlap, what jumps is left to the one that
 *     is behind, and if that one ends, the gap row holds it;
 *   from before the first that landed. */
#define CONNS_KEPT 4
#define LEFT_TO_ANOTHER_NS (1100 * NS_PER_MS) /* AHEAD_NS of normalise, and the message at hand */

struct said { /* the last of each connection */
    struct oracle_span last[CONNS_KEPT];
    int64_t highest;
};

/* Another connection that is behind has spoken just now: what jumps is left to it. */
static bool left_to_another(const struct said *said, const struct oracle_span *span)
{
    for (size_t i = 0; i < CONNS_KEPT; i++) {
        const struct oracle_span *other = &said->last[i];
        if (other->conn != 0 && other->conn != span->conn && other->last < span->last &&
            span->recv_ns - other->recv_ns < LEFT_TO_ANOTHER_NS) {
            return true;
        }
    }
    return false;
}

static void said_add(struct said *said, const struct oracle_span *span)
{
    size_t place = 0;
    for (size_t i = 0; i < CONNS_KEPT; i++) {
        if (said->last[i].conn == span->conn) {
            place = i;
            break;
        }
        place = said->last[i].recv_ns < said->last[place].recv_ns ? i : place;
    }
    said->last[place] = *span;
    said->highest = span->last > said->highest ? span->last : said->highest;
}

static bool excused(const struct oracle_stream *stream, const struct oracle_span *span,
                    const struct said *said)
{
    bool counts = stream->channel == CHANNEL_TRADES || stream->channel == CHANNEL_DEPTH;
    bool late = span->last < said->highest;
    if (span->snapshot || span->last == ID_NONE) {
        return span->snapshot;
    }
    if (late && (!counts || (stream->landed_count > 0 && span->last < stream->landed[0].last))) {
        return true;
    }
    enum continuity rule = venue_of(stream->venue)->continuity(stream->channel, 0);
    return (late || left_to_another(said, span)) &&
           (rule == CONTINUITY_PREVIOUS || in_a_gap_row(stream, span->last));
}

static bool is_kept(const struct oracle_stream *stream, const struct oracle_span *by_number,
                    const struct oracle_span *span)
{
    bool has_id = span->last != ID_NONE;
    bool landed = has_id && find_last(stream->landed, stream->landed_count, span->last) != NULL;
    if (stream->channel == CHANNEL_TRADES && has_id) {
        return landed;
    }
    return landed || find_seq(by_number, stream->landed_count, span->seq) ||
           (stream->channel == CHANNEL_DEPTH && in_a_snapshot(stream, span));
}

/* Promises: `landed` is sorted by_last, `by_number` is a copy sorted by_seq, as is `received`. */
static void check_promises(const struct oracle_stream *stream, const struct oracle_span *by_number)
{
    uint64_t broken = 0;
    struct said said = {.highest = ID_NONE};
    const struct oracle_span *first = NULL;
    for (size_t i = 0; i < stream->received_count; i++) {
        const struct oracle_span *span = &stream->received[i];
        if (!is_kept(stream, by_number, span) && !excused(stream, span, &said)) {
            broken++;
            first = first == NULL ? span : first;
        }
        said_add(&said, span);
    }
    if (broken > 0) {
        char name[96];
        oracle_find("%s: %llu promised messages are missing, the first is record %llu, id %lld",
                    name_of(stream, name), (unsigned long long)broken,
                    (unsigned long long)first->seq, (long long)first->last);
    }
}

static void check_twice(const struct oracle_stream *stream)
{
    for (size_t i = 1; i < stream->landed_count; i++) {
        const struct oracle_span *a = &stream->landed[i - 1];
        const struct oracle_span *b = &stream->landed[i];
        if (a->last != ID_NONE && a->last == b->last && !a->snapshot && !b->snapshot) {
            char name[96];
            oracle_find("%s: id %lld is there twice, records %llu and %llu", name_of(stream, name),
                        (long long)a->last, (unsigned long long)a->seq, (unsigned long long)b->seq);
        }
    }
}

static bool is_a_stop(uint64_t seq)
{
    for (uint32_t i = 0; i < oracle.stop_count; i++) {
        if (oracle.stops[i] == seq) {
            return true;
        }
    }
    return false;
}

/* A stop tells an open hole as not mended, so that the files alone are true; the next run goes on
 * with it, and what it fills is told again, as filled. What is left of a gap row behind those. */
static void supersede(struct oracle_stream *stream)
{
    struct oracle_span *left = NULL;
    size_t count = 0;
    for (size_t i = 0; i < stream->gap_count; i++) {
        struct oracle_span gap = stream->gaps[i];
        if (gap.resolved != GAP_RESOLVED_NONE || gap.first == ID_NONE || !is_a_stop(gap.seq)) {
            span_add(&left, &count, &gap);
            continue;
        }
        for (size_t k = 0; k < stream->gap_count && gap.first <= gap.last; k++) {
            const struct oracle_span *later = &stream->gaps[k]; /* by last id: in order */
            bool over = later->seq > gap.seq && later->first != ID_NONE &&
                        later->first <= gap.last && later->last >= gap.first;
            if (!over) {
                continue;
            }
            if (later->first > gap.first) {
                struct oracle_span before = gap;
                before.last = later->first - 1;
                before.missing = before.last - before.first + 1;
                span_add(&left, &count, &before);
            }
            gap.first = later->last + 1;
            gap.missing = gap.last - gap.first + 1;
        }
        if (gap.first <= gap.last) {
            span_add(&left, &count, &gap);
        }
    }
    free(stream->gaps);
    stream->gaps = left;
    stream->gap_count = count;
    if (count > 0) {
        qsort(stream->gaps, count, sizeof *stream->gaps, by_last);
    }
}

/* Both sorted by_last; together they must be one unbroken line of ids, each id once. Full books
 * that the stream brings (Gate, KuCoin) stand for all ids up to theirs: a gap row says which. */
static void check_line(const struct oracle_stream *stream)
{
    char name[96];
    size_t l = 0, g = 0;
    int64_t at = ID_NONE; /* the last id accounted for */
    bool before_was_gap = false;
    while (l < stream->landed_count || g < stream->gap_count) {
        while (l < stream->landed_count &&
               (stream->landed[l].snapshot || stream->landed[l].first == ID_NONE)) {
            l++;
        }
        while (g < stream->gap_count && stream->gaps[g].first == ID_NONE) {
            g++;
        }
        const struct oracle_span *landed = l < stream->landed_count ? &stream->landed[l] : NULL;
        const struct oracle_span *gap = g < stream->gap_count ? &stream->gaps[g] : NULL;
        if (landed == NULL && gap == NULL) {
            break;
        }
        bool is_gap = landed == NULL || (gap != NULL && gap->first <= landed->first);
        const struct oracle_span *span = is_gap ? gap : landed;
        l += !is_gap;
        g += is_gap;
        if (is_gap && gap->resolved == GAP_RESOLVED_BACKFILL) {
            continue; /* its ids have landed: they are judged as such */
        }
        if (is_gap && span->missing != span->last - span->first + 1) {
            oracle_find("%s: gap row %lld..%lld says %lld missing", name_of(stream, name),
                        (long long)span->first, (long long)span->last, (long long)span->missing);
        }
        if (at != ID_NONE && span->first > at + 1) {
            oracle_find("%s: ids %lld..%lld are nowhere", name_of(stream, name),
                        (long long)(at + 1), (long long)(span->first - 1));
        } else if (at != ID_NONE && span->first <= at && (is_gap || before_was_gap)) {
            oracle_find("%s: ids %lld..%lld are in a file and in a gap row, or in two gap rows",
                        name_of(stream, name), (long long)span->first, (long long)at);
        }
        at = at == ID_NONE || span->last > at ? span->last : at;
        before_was_gap = is_gap;
    }
}

/* Ids that only say what came before: each message that does not follow has its gap row, found when
 * it came, and no gap row is without one. By number of the record. Where a book by REST came before
 * the stream had come up to it, what it holds does not land and is not missing (docs/proof.md): a
 * message that joins it needs no gap row, and has one only behind an interruption. */
static void check_chain(struct oracle_stream *stream)
{
    size_t broken = 0;
    size_t joined = 0; /* of those: to a book that was ahead */
    size_t rows = 0;
    int64_t last = ID_NONE;
    int64_t book = ID_NONE;
    uint64_t first_seq = UINT64_MAX;
    qsort(stream->landed, stream->landed_count, sizeof *stream->landed, by_seq);
    for (size_t i = 0; i < stream->landed_count; i++) {
        const struct oracle_span *span = &stream->landed[i];
        if (span->snapshot || span->prev == ID_NONE) {
            book = span->snapshot ? span->last : book;
            continue;
        }
        bool breaks = last != ID_NONE && span->prev != last;
        first_seq = last == ID_NONE ? span->seq : first_seq;
        broken += breaks;
        joined += breaks && book != ID_NONE && book > last &&
                  (span->prev == book || (span->first <= book && book <= span->last));
        last = span->last;
    }
    size_t at_stops = 0;
    for (size_t i = 0; i < stream->gap_count; i++) {
        const struct oracle_span *gap = &stream->gaps[i];
        /* before the first message nothing can break; of the rows told at a stop some are holes,
         * others interruptions that are told again, whole, by the first message of the next life */
        bool counts = gap->resolved != GAP_RESOLVED_OVERLAP && gap->seq > first_seq;
        rows += counts && !is_a_stop(gap->seq);
        at_stops += counts && is_a_stop(gap->seq);
    }
    if (broken < rows || broken - joined > rows + at_stops) {
        char name[96];
        oracle_find("%s: %zu breaks in the chain of ids, %zu gap rows", name_of(stream, name),
                    broken, rows);
    }
    qsort(stream->landed, stream->landed_count, sizeof *stream->landed, by_last);
}

static void judge_stream(struct oracle_stream *stream)
{
    const struct venue *venue = venue_of(stream->venue);
    struct oracle_span *by_number = malloc((stream->landed_count + 1) * sizeof *by_number);
    ASSERT(by_number != NULL);
    if (stream->landed_count > 0) {
        memcpy(by_number, stream->landed, stream->landed_count * sizeof *by_number);
        qsort(by_number, stream->landed_count, sizeof *by_number, by_seq);
        qsort(stream->landed, stream->landed_count, sizeof *stream->landed, by_last);
    }
    if (stream->gap_count > 0) {
        qsort(stream->gaps, stream->gap_count, sizeof *stream->gaps, by_last);
    }
    if (stream->received_count > 0) {
        qsort(stream->received, stream->received_count, sizeof *stream->received, by_seq);
    }
    check_promises(stream, by_number);
    free(by_number);
    if (stream->channel != CHANNEL_TRADES && stream->channel != CHANNEL_DEPTH) {
        return;
    }
    int32_t flags = stream->aggregate ? TRADE_AGGREGATE : 0;
    enum continuity rule = venue->continuity(stream->channel, flags);
    if (rule != CONTINUITY_NONE) { /* else the recorder cannot know */
        check_twice(stream);
    }
    if (rule == CONTINUITY_PLUS_ONE || rule == CONTINUITY_RANGE) {
        supersede(stream);
        check_line(stream);
    } else if (rule == CONTINUITY_PREVIOUS) {
        check_chain(stream);
    }
}

static void dump_spans(const char *what, const struct oracle_span *spans, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct oracle_span *span = &spans[i];
        printf("%s record %llu: %lld..%lld%s", what, (unsigned long long)span->seq,
               (long long)span->first, (long long)span->last, span->snapshot ? " snapshot" : "");
        if (what[0] == 'g') {
            printf(" %s, %s, missing %lld", gap_kind_name(span->kind),
                   gap_resolved_name(span->resolved), (long long)span->missing);
        } else if (what[0] == 'r') {
            printf(" connection %u, %.3f s", span->conn,
                   (double)(span->recv_ns - oracle.config.start_unix_ns) / 1e9);
        }
        printf("\n");
    }
}

/* MD_SIM_DUMP=CHANNEL:SYMBOL prints all that is known of these streams, by id. */
static void dump(const struct oracle_stream *stream)
{
    const char *wanted = getenv("MD_SIM_DUMP");
    char name[96];
    char text[128];
    snprintf(text, sizeof text, "%s:%s", channel_name(stream->channel), symbol_of(stream)->name);
    if (wanted != NULL && strcmp(wanted, text) == 0) {
        printf("%s\n", name_of(stream, name));
        dump_spans("received", stream->received, stream->received_count);
        dump_spans("landed  ", stream->landed, stream->landed_count);
        dump_spans("gap     ", stream->gaps, stream->gap_count);
    }
}

uint64_t oracle_judge(void)
{
    read_disk();
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        if (oracle.streams[i] != NULL) {
            judge_stream(oracle.streams[i]);
            dump(oracle.streams[i]);
        }
    }
    return oracle.findings;
}

uint64_t oracle_books_checked(void)
{
    return oracle.books_checked;
}

uint64_t oracle_rows(void)
{
    return oracle.rows;
}

void oracle_open(const struct world_config *config, bool quiet)
{
    memset(&oracle, 0, sizeof oracle);
    oracle.quiet = quiet;
    oracle.config = *config;
}

void oracle_close(void)
{
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        struct oracle_stream *stream = oracle.streams[i];
        if (stream != NULL) {
            free(stream->landed);
            free(stream->received);
            free(stream->gaps);
            free(stream);
        }
    }
    for (uint32_t p = 0; p < VENUE_ID_END; p++) {
        free(oracle.faults[p]);
        for (uint32_t s = 0; s < SYMBOLS_MAX; s++) {
            free(oracle.cursors[p][s].steps);
        }
    }
    memset(&oracle, 0, sizeof oracle);
}
