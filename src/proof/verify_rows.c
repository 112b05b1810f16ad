/* Rows in order, ids by the venue's rule, books. See verify.h.
 * Place: each event of a stream, in the order of its files and rows.
 * The rule is struct venue's (continuity, joins), over file ends; what it must not flag is what
 * normalise does on purpose: a REST book that is ahead of the stream is a bridge; ids that fall
 * back by a million are a new sequence (and must be a gap row); a backfilled trade, or a late one,
 * fills its hole wherever it stands. */
#include "base/assert.h"
#include "base/clock.h"
#include "proof/verify_internal.h"

#define SHOWN_MAX 24

static int64_t us_of(int64_t unix_ns)
{
    return unix_ns / NS_PER_US;
}

static int add_break(struct verifier *verifier, int64_t before_us, int64_t after_us)
{
    int64_t number = (int64_t)verifier->breaks.count;
    struct hole hole = {.from = number, .to = number, .before_us = before_us, .after_us = after_us};
    return holes_add(&verifier->breaks, &hole);
}

static int add_hole(struct id_check *ids, int64_t from, int64_t to, int64_t after_us, bool covered)
{
    struct hole hole = {.from = from,
                        .to = to,
                        .before_us = ids->last_us,
                        .after_us = after_us,
                        .covered = covered || ids->excused};
    int code = holes_add(&ids->skipped, &hole);
    return code != 0 ? code : holes_add(&ids->missing, &hole);
}

static bool is_restart(int64_t last, int64_t id)
{
    return id < last && (uint64_t)last - (uint64_t)id >= RESTART_DISTANCE;
}

/* The venue's sequence began anew: the holes so far are decided, one break is left. */
static int restart(struct verifier *verifier, struct id_check *ids, int64_t now_us)
{
    int code = add_break(verifier, ids->last_us, now_us);
    code = code != 0 ? code : verify_ids_end(verifier);
    verifier->depth.book_stands = false;
    verifier->depth.snapshot_id = ID_NONE;
    return code;
}

/* ---- trades */

static int check_trade(struct verifier *verifier, const struct event *event)
{
    const struct trade_event *trade = &event->trade;
    bool aggregate = (trade->flags & TRADE_AGGREGATE) != 0;
    bool backfilled = (trade->flags & TRADE_BACKFILL) != 0;
    struct id_check *ids = &verifier->ids[aggregate ? IDS_AGGREGATE : IDS_MAIN];
    int64_t id = trade->trade_id;
    int64_t now_us = us_of(event->recv_unix_ns);
    if (id == ID_NONE ||
        verifier->venue->continuity(CHANNEL_TRADES, trade->flags) != CONTINUITY_PLUS_ONE) {
        return 0;
    }
    if (!backfilled && ids->last_id != ID_NONE && is_restart(ids->last_id, id)) {
        int code = restart(verifier, ids, now_us);
        if (code != 0) {
            return code;
        }
    }
    if (ids->last_id != ID_NONE && id <= ids->last_id) {
        int filled = holes_fill(&ids->missing, id);
        if (filled == 0 && !(backfilled && id < ids->first_id)) {
            verify_tell(verifier, FINDING_IDS_TWICE, true, "%s trade %lld is there twice",
                        aggregate ? "aggregated" : "the", (long long)id);
        }
        return filled < 0 ? filled : 0;
    }
    int code = 0;
    if (ids->last_id == ID_NONE) {
        ids->first_id = id;
    } else if (id - 1 > ids->last_id) {
        code = add_hole(ids, id_after(ids->last_id), id - 1, now_us, false);
    }
    ids->excused = false;
    ids->last_id = id;
    ids->last_us = now_us;
    return code;
}

/* ---- books */

static bool level_is_possible(const struct level *level, bool snapshot)
{
    return level->price.mantissa > 0 && level->amount.mantissa >= (snapshot ? 1 : 0);
}

/* False: the book does not follow it. */
static bool apply_side(struct verifier *verifier, enum book_side side, const struct level *levels,
                       uint32_t count, bool snapshot)
{
    struct depth_check *depth = &verifier->depth;
    bool good = true;
    for (uint32_t i = 0; i < count; i++) {
        if (!level_is_possible(&levels[i], snapshot)) {
            char price[DECIMAL_TEXT_MAX], amount[DECIMAL_TEXT_MAX];
            price[decimal_format_short(levels[i].price, price)] = 0;
            amount[decimal_format_short(levels[i].amount, amount)] = 0;
            verify_tell(verifier, FINDING_BOOK_ROWS, true,
                        "a %s level of price %.*s and amount %.*s", snapshot ? "book's" : "delta's",
                        SHOWN_MAX, price, SHOWN_MAX, amount);
            good = false;
        } else if (book_level_set(depth->book, side, levels[i].price, levels[i].amount) < 0) {
            good = false; /* digits no book of ours holds: as in the recorder, it starts anew */
        }
    }
    return good;
}

static bool apply(struct verifier *verifier, const struct depth_event *event)
{
    bool bids = apply_side(verifier, BOOK_BID, event->bids, event->bid_count, event->is_snapshot);
    bool asks = apply_side(verifier, BOOK_ASK, event->asks, event->ask_count, event->is_snapshot);
    return bids && asks;
}

/* The rows before may know levels farther out than the book row tells; else they are the same. */
static void compare_side(struct verifier *verifier, enum book_side side, const struct level *levels,
                         uint32_t count)
{
    struct depth_check *depth = &verifier->depth;
    uint32_t known = book_levels(depth->book, side, depth->levels, BOOK_SIDE_LEVELS_MAX);
    uint32_t i = 0;
    while (i < count && i < known &&
           decimal_compare(levels[i].price, depth->levels[i].price) == 0 &&
           decimal_compare(levels[i].amount, depth->levels[i].amount) == 0) {
        i++;
    }
    if (i < count) {
        char price[DECIMAL_TEXT_MAX];
        price[decimal_format_short(levels[i].price, price)] = 0;
        verify_tell(verifier, FINDING_BOOK_DIFFERS, true,
                    "the opening book is not what the rows before make: %s %u, price %.*s",
                    side == BOOK_BID ? "bid" : "ask", i + 1, SHOWN_MAX, price);
    }
}

static int64_t known_id(const struct verifier *verifier)
{
    int64_t last = verifier->ids[IDS_MAIN].last_id;
    int64_t snapshot = verifier->depth.snapshot_id;
    return snapshot > last ? snapshot : last;
}

static int check_book(struct verifier *verifier, const struct event *event)
{
    struct depth_check *depth = &verifier->depth;
    struct id_check *ids = &verifier->ids[IDS_MAIN];
    const struct depth_event *book = &event->depth;
    int64_t known = known_id(verifier);
    int64_t id = book->last_update_id;
    bool opens = verifier->file_rows == rows_of_event(verifier->rows);
    int code = 0;
    if (id == ID_NONE) {
        depth->book_stands = false;
        return 0;
    }
    if (known != ID_NONE && is_restart(known, id)) {
        code = restart(verifier, ids, us_of(event->recv_unix_ns));
    } else if (known != ID_NONE && id < known) {
        verify_tell(verifier, FINDING_BOOK_ROWS, true, "a book of id %lld behind rows up to %lld",
                    (long long)id, (long long)known);
    } else if (opens && depth->book_stands && id == known) {
        compare_side(verifier, BOOK_BID, book->bids, book->bid_count);
        compare_side(verifier, BOOK_ASK, book->asks, book->ask_count);
    }
    book_clear(depth->book);
    depth->book_stands = apply(verifier, book);
    depth->snapshot_id = id;
    depth->snapshot_us = us_of(event->recv_unix_ns);
    depth->snapshot_seq = event->seq;
    depth->snapshot_alone = true;
    return code;
}

/* What a book row passed over: it holds it all, so nothing is lost but the deltas. Only a book that
 * came by REST stands there without a gap row: nothing happened before it. */
static int bridge(struct verifier *verifier, int64_t to)
{
    struct depth_check *depth = &verifier->depth;
    struct id_check *ids = &verifier->ids[IDS_MAIN];
    bool covered = ids->excused || (depth->snapshot_alone && !proof_always_seeds(verifier->venue));
    if (ids->last_id == ID_NONE || to <= ids->last_id) {
        return 0;
    }
    if (verifier->stream.rule == CONTINUITY_PREVIOUS) {
        return covered ? 0 : add_break(verifier, ids->last_us, depth->snapshot_us);
    }
    return add_hole(ids, id_after(ids->last_id), to, depth->snapshot_us, covered);
}

static int found_hole(struct verifier *verifier, const struct depth_event *delta, int64_t now_us)
{
    struct depth_check *depth = &verifier->depth;
    struct id_check *ids = &verifier->ids[IDS_MAIN];
    depth->book_stands = false;
    if (depth->snapshot_id > ids->last_id) {
        int code = bridge(verifier, depth->snapshot_id);
        if (code != 0) {
            return code;
        }
        ids->last_us = depth->snapshot_us;
    }
    int64_t known = known_id(verifier);
    if (verifier->stream.rule == CONTINUITY_PREVIOUS || delta->first_update_id <= id_after(known)) {
        return ids->excused ? 0 : add_break(verifier, ids->last_us, now_us);
    }
    return add_hole(ids, id_after(known), delta->first_update_id - 1, now_us, false);
}

/* Does the delta follow what is known? Holes are noted. 0, or a code. */
static int check_follows(struct verifier *verifier, const struct depth_event *delta, int64_t now_us)
{
    const struct depth_check *depth = &verifier->depth;
    const struct id_check *ids = &verifier->ids[IDS_MAIN];
    bool previous = verifier->stream.rule == CONTINUITY_PREVIOUS;
    if (ids->last_id == ID_NONE && depth->snapshot_id == ID_NONE) {
        return 0;
    }
    if (ids->last_id != ID_NONE && (previous ? delta->prev_update_id == ids->last_id
                                             : delta->first_update_id <= id_after(ids->last_id))) {
        return 0;
    }
    if (depth->snapshot_id != ID_NONE && verifier->venue->joins(delta, depth->snapshot_id)) {
        bool told_whole = depth->snapshot_alone && proof_always_seeds(verifier->venue);
        int64_t to = told_whole ? depth->snapshot_id : delta->first_update_id - 1;
        return bridge(verifier, to);
    }
    return found_hole(verifier, delta, now_us);
}

static int check_delta(struct verifier *verifier, const struct event *event)
{
    struct depth_check *depth = &verifier->depth;
    struct id_check *ids = &verifier->ids[IDS_MAIN];
    const struct depth_event *delta = &event->depth;
    int64_t now_us = us_of(event->recv_unix_ns);
    int64_t known = known_id(verifier);
    int code = 0;
    if (delta->last_update_id == ID_NONE ||
        (verifier->stream.rule == CONTINUITY_RANGE && delta->first_update_id == ID_NONE)) {
        depth->book_stands = false;
        return 0;
    }
    depth->snapshot_alone = depth->snapshot_alone && depth->snapshot_seq != event->seq;
    if (known != ID_NONE && delta->last_update_id <= known) {
        if (!is_restart(known, delta->last_update_id)) {
            verify_tell(verifier, FINDING_IDS_TWICE, true,
                        "updates %lld to %lld behind %lld: they are there twice",
                        (long long)delta->first_update_id, (long long)delta->last_update_id,
                        (long long)known);
            return 0;
        }
        code = restart(verifier, ids, now_us);
    }
    code = code != 0 ? code : check_follows(verifier, delta, now_us);
    if (ids->last_id == ID_NONE) {
        ids->first_id = delta->last_update_id;
    }
    ids->last_id = delta->last_update_id;
    ids->last_us = now_us;
    ids->excused = false;
    depth->snapshot_id = ID_NONE;
    depth->book_stands = depth->book_stands && apply(verifier, delta);
    return code;
}

int verify_ids_end(struct verifier *verifier)
{
    int code = 0;
    if (verifier->depth.snapshot_id > verifier->ids[IDS_MAIN].last_id) {
        code = bridge(verifier, verifier->depth.snapshot_id);
    }
    code = code != 0 ? code : verify_match_ids(verifier);
    for (int i = 0; i < 2; i++) {
        struct id_check *ids = &verifier->ids[i];
        ids->skipped.count = ids->missing.count = 0;
        ids->first_id = ids->last_id = ID_NONE;
    }
    return code;
}

/* ---- every channel */

static void check_place(struct verifier *verifier, const struct event *event)
{
    const struct manifest_entry *entry = &verifier->file->entry;
    bool own_symbol =
        !schema_has_symbol_path(event->channel) || str_equal(event->symbol, entry->symbol);
    if (event->venue != entry->venue || !own_symbol) {
        char symbol[100];
        str_printable(symbol, sizeof symbol, event->symbol.data,
                      event->symbol.bytes < SHOWN_MAX ? event->symbol.bytes : SHOWN_MAX);
        verify_tell(verifier, FINDING_ROW_STRANGE, true, "a row of %s %s", venue_name(event->venue),
                    symbol);
    }
}

static void check_order(struct verifier *verifier, const struct event *event)
{
    char before[PROOF_TIME_BYTES], after[PROOF_TIME_BYTES];
    int64_t now_us = us_of(event->recv_unix_ns);
    if (verifier->last_us != TIME_NONE && now_us < verifier->last_us) {
        verify_tell(verifier, FINDING_ROW_ORDER, true, "time goes back from %s to %s",
                    proof_time(verifier->last_us, before), proof_time(now_us, after));
    }
    if (event->seq < verifier->last_seq) {
        verify_tell(verifier, FINDING_ROW_ORDER, true, "local_seq goes back from %llu to %llu",
                    (unsigned long long)verifier->last_seq, (unsigned long long)event->seq);
    }
    verifier->last_us = now_us;
    verifier->last_seq = event->seq;
}

int verify_event(struct verifier *verifier, const struct event *event)
{
    if (!verifier->unordered || verifier->file_rows > rows_of_event(verifier->rows)) {
        check_order(verifier, event);
    } else { /* the first row of a file that lies over another: told already */
        verifier->last_us = us_of(event->recv_unix_ns);
        verifier->last_seq = event->seq;
    }
    check_place(verifier, event);
    struct verify_stream *stream = &verifier->stream;
    int64_t now_us = us_of(event->recv_unix_ns);
    if (stream->first_us == TIME_NONE) {
        stream->first_us = verifier->rows_from_us = now_us;
    }
    stream->last_us = now_us > stream->last_us ? now_us : stream->last_us;
    if (event->channel == CHANNEL_GAPS) {
        return gap_table_add(&verifier->gaps, event);
    }
    if (stream->rule == CONTINUITY_NONE || verifier->unordered) {
        return 0;
    }
    if (event->channel == CHANNEL_TRADES) {
        return check_trade(verifier, event);
    }
    return event->depth.is_snapshot ? check_book(verifier, event) : check_delta(verifier, event);
}
