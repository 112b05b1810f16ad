/* A book at a moment. See book_at.h.
 * Place: behind `book`.
 * Invariants: the reader's rule of docs/schema.md, nothing else; ids are followed so that a hole
 * behind the book row is told, not hidden. */
#include "proof/book_at.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "exchange/exchange.h"
#include "proof/holes.h"
#include "proof/rows.h"

#define BOOK_BYTES ((size_t)4 << 20)

struct replay {
    struct book_at *out;
    const struct venue *venue;
    enum continuity rule;
    int64_t at_us;
    bool stands, in_book; /* a book row was met; the last message was one */
    bool past;            /* a message later than the moment was met */
};

/* ---- which files */

static void ignore(void *context, const struct finding *finding)
{
    (void)context;
    (void)finding; /* verify tells them */
}

static bool is_wanted(const struct catalog_file *file, enum venue_id venue, struct str symbol)
{
    return file->entry.channel == CHANNEL_DEPTH && str_equal(file->entry.symbol, symbol) &&
           (venue == VENUE_NONE || file->entry.venue == venue);
}

/* The stream's first file; catalog->count: there is none. */
static uint32_t stream_find(const struct catalog *catalog, enum venue_id venue, struct str symbol)
{
    uint32_t i = 0;
    while (i < catalog->count && !is_wanted(&catalog->files[i], venue, symbol)) {
        i++;
    }
    return i;
}

/* The last file that begins at or before the moment; `end`: none does. */
static uint32_t last_before(const struct catalog *catalog, uint32_t begin, uint32_t end,
                            int64_t at_us)
{
    uint32_t found = end;
    for (uint32_t i = begin; i < end; i++) {
        found = catalog->files[i].entry.first_local_us <= at_us ? i : found;
    }
    return found;
}

/* ---- messages */

static bool follows(const struct replay *replay, const struct depth_event *delta)
{
    const struct book_at *out = replay->out;
    if (replay->rule == CONTINUITY_NONE || out->update_id == ID_NONE ||
        delta->last_update_id == ID_NONE) {
        return true;
    }
    bool next = replay->rule == CONTINUITY_PREVIOUS
                    ? delta->prev_update_id == out->update_id
                    : delta->first_update_id <= id_after(out->update_id);
    return next || (replay->in_book && replay->venue->joins(delta, out->update_id));
}

static int set_levels(struct book *book, enum book_side side, const struct level *levels,
                      uint32_t count)
{
    int code = 0;
    for (uint32_t i = 0; i < count && code == 0; i++) {
        int set = book_level_set(book, side, levels[i].price, levels[i].amount);
        code = set == MD_ERANGE ? set : 0;
    }
    return code;
}

static int take(struct replay *replay, const struct event *event, struct err *err)
{
    struct book_at *out = replay->out;
    const struct depth_event *depth = &event->depth;
    int64_t local_us = event->recv_unix_ns / NS_PER_US;
    replay->past = replay->past || local_us > replay->at_us;
    if (replay->past || (!depth->is_snapshot && !replay->stands)) {
        return 0;
    }
    if (depth->is_snapshot) {
        book_clear(out->book);
        replay->stands = true;
        out->since_us = local_us;
        out->broken_us = TIME_NONE;
        out->deltas = 0;
    } else {
        out->deltas++;
        if (out->broken_us == TIME_NONE && !follows(replay, depth)) {
            out->broken_us = local_us;
        }
    }
    replay->in_book = depth->is_snapshot;
    out->update_id = depth->last_update_id;
    out->local_us = local_us;
    out->event_us =
        event->event_unix_ns == TIME_NONE ? TIME_NONE : event->event_unix_ns / NS_PER_US;
    int code = set_levels(out->book, BOOK_BID, depth->bids, depth->bid_count);
    code = code != 0 ? code : set_levels(out->book, BOOK_ASK, depth->asks, depth->ask_count);
    return code == 0 ? 0 : err_set(err, code, "a level that no book can hold");
}

static int read_file(struct replay *replay, struct rows *rows, struct mdio *io,
                     const struct catalog_file *file, struct err *err)
{
    struct event event;
    int code = rows_open(rows, io, file, true, err);
    if (code == 0 && !rows_whole(rows)) {
        code = err_set(err, MD_ENOTSUP, "no ids in it: rederive the journal");
    }
    while (code == 0 && !replay->past && (code = rows_next(rows, &event, err)) == 1) {
        code = take(replay, &event, err);
    }
    rows_close(rows);
    replay->out->files++;
    return code == 0
               ? 0
               : err_append(err, code, "%.*s", (int)file->entry.path.bytes, file->entry.path.data);
}

/* From file `first` on: each further one of the same recorder until the moment is passed. */
static int replay_from(struct replay *replay, struct rows *rows, const struct catalog *catalog,
                       uint32_t first, uint32_t end, struct err *err)
{
    struct str recorder = catalog->files[first].entry.recorder;
    int code = 0;
    book_clear(replay->out->book);
    replay->stands = replay->in_book = replay->past = false;
    replay->out->files = 0;
    for (uint32_t i = first; i < end && code == 0 && !replay->past; i++) {
        const struct catalog_file *file = &catalog->files[i];
        if (file->entry.first_local_us <= replay->at_us &&
            str_equal(file->entry.recorder, recorder)) {
            code = read_file(replay, rows, catalog->io, file, err);
        }
    }
    return code;
}

static int rebuild(struct book_at *out, const struct catalog *catalog, struct rows *rows,
                   uint32_t begin, uint32_t end, int64_t at_us, struct err *err)
{
    char text[PROOF_TIME_BYTES];
    uint32_t last = last_before(catalog, begin, end, at_us);
    struct replay replay = {.out = out, .venue = venue_of(out->venue), .at_us = at_us};
    replay.rule =
        replay.venue == NULL ? CONTINUITY_NONE : replay.venue->continuity(CHANNEL_DEPTH, 0);
    int code = 0;
    /* a file begins with a book, so mostly the first try finds one */
    for (uint32_t first = last + 1; last < end && first > begin && code == 0 && !replay.stands;) {
        first--;
        code = replay_from(&replay, rows, catalog, first, end, err);
    }
    if (code == 0 && !replay.stands) {
        code = err_set(err, MD_ENOENT,
                       "no book at or before that time: the first depth file begins at %s",
                       proof_time(catalog->files[begin].entry.first_local_us, text));
    }
    return code;
}

int book_at_rebuild(struct book_at *out, struct mdio *io, enum venue_id venue, struct str symbol,
                    int64_t at_us, struct err *err)
{
    struct catalog catalog = {0};
    struct rows *rows = NULL;
    struct catalog_options all = {.since_us = TIME_NONE, .until_us = at_us, .venue = venue};
    *out = (struct book_at){.update_id = ID_NONE, .event_us = TIME_NONE, .broken_us = TIME_NONE};
    out->pool = book_pool_create(BOOK_BYTES, 1);
    out->book = out->pool == NULL ? NULL : book_acquire(out->pool);
    int code = out->book == NULL || rows_create(&rows) != 0
                   ? err_set(err, MD_ENOMEM, "no memory for a book")
                   : catalog_load(&catalog, io, &all, ignore, NULL, err);
    uint32_t begin = code == 0 ? stream_find(&catalog, venue, symbol) : 0;
    if (code == 0 && begin == catalog.count) {
        code = err_set(err, MD_ENOENT, "%.*s: no depth files of this symbol at or before that time",
                       (int)symbol.bytes, symbol.data);
    }
    if (code == 0) {
        uint32_t end = catalog_stream_end(&catalog, begin);
        out->venue = catalog.files[begin].entry.venue;
        uint32_t other = end;
        while (other < catalog.count && !is_wanted(&catalog.files[other], venue, symbol)) {
            other++;
        }
        code = other < catalog.count
                   ? err_set(err, MD_EINVAL, "%.*s is recorded of %s and %s: say --exchange",
                             (int)symbol.bytes, symbol.data, venue_name(out->venue),
                             venue_name(catalog.files[other].entry.venue))
                   : rebuild(out, &catalog, rows, begin, end, at_us, err);
    }
    rows_destroy(rows);
    catalog_deinit(&catalog);
    if (code != 0) {
        book_at_deinit(out);
    }
    return code;
}

void book_at_deinit(struct book_at *at)
{
    if (at->book != NULL) {
        book_release(at->book);
    }
    book_pool_destroy(at->pool);
    *at = (struct book_at){0};
}
