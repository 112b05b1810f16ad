/* The shadow check (book.shadow_check_secs): now and then a book is held against a fresh REST
 * snapshot. What the ids prove is that no message is missing; this looks for what they cannot show,
 * a message that was wrong or that we read wrong.
 *
 * A book of the venue is chosen by the tick's second, one at a time. From the asking on its deltas
 * are kept; the snapshot is loaded into a book of its own, brought up to where ours stands by the
 * kept deltas (it lags), or held until ours has come up to it (it leads). At the same id both are
 * compared, level by level, as far as both know: to where the snapshot ends, and to where the one
 * that ours began with ended. So a difference is one; a level that changed between the snapshot and
 * the comparison is not looked at this time.
 *
 * Everything is a function of the journal: the tick asks, the body stands in the journal. What is
 * under way is not in checkpoints: it is dropped where one is written, and where one is read over.
 * Memory (only when on): a book and the kept deltas a venue, shadow_memory_bytes(). */
#include <stdio.h>

#include "base/assert.h"
#include "base/log.h"
#include "normalise/normalise_internal.h"

#define SHADOW_BOOK_BYTES (512u << 10)
#define SHADOW_DELTAS 512
#define SHADOW_LEVELS 8192
#define SHADOW_WAIT_NS (30 * NS_PER_S) /* for the body, and for the ids to meet */

struct kept {
    int64_t first_id, last_id, prev_id;
    uint32_t bids, asks;
};

struct shadow {
    struct book_pool *pool; /* its own: it takes no level from the books */
    struct book *book;
    struct kept *kept;    /* SHADOW_DELTAS; from the asking to the snapshot */
    struct level *levels; /* SHADOW_LEVELS: of the kept deltas, bids before asks */
    uint32_t kept_count, level_count;
    uint32_t depth; /* index + 1 of the book that is looked at; 0 = none */
    bool loaded;
    bool reaches[2]; /* the snapshot has levels on this side */
    int64_t asked_ns, asked_id, id;
    struct decimal reach[2]; /* its farthest price */
};

static bool venue_can(const struct venue *venue)
{
    return venue != NULL && venue->rest_book_ids;
}

size_t shadow_memory_bytes(const struct normalise_config *config)
{
    size_t one = sizeof(struct shadow) + book_pool_memory_bytes(SHADOW_BOOK_BYTES, 1) +
                 SHADOW_DELTAS * sizeof(struct kept) + SHADOW_LEVELS * sizeof(struct level);
    size_t bytes = 0;
    for (int id = 0; config->shadow_secs > 0 && config->book_enabled && id < VENUE_ID_END; id++) {
        bytes += venue_can(venue_of((enum venue_id)id)) ? one : 0;
    }
    return bytes;
}

bool shadow_create(struct normalise *normalise)
{
    const struct normalise_config *config = &normalise->config;
    for (int id = 0; config->shadow_secs > 0 && config->book_enabled && id < VENUE_ID_END; id++) {
        if (!venue_can(venue_of((enum venue_id)id))) {
            continue;
        }
        struct shadow *shadow = alloc_take(ALLOC_BOOKS, sizeof *shadow);
        normalise->shadows[id] = shadow;
        if (shadow == NULL) {
            return false;
        }
        shadow->pool = book_pool_create(SHADOW_BOOK_BYTES, 1);
        shadow->kept = alloc_take(ALLOC_BOOKS, SHADOW_DELTAS * sizeof *shadow->kept);
        shadow->levels = alloc_take(ALLOC_BOOKS, SHADOW_LEVELS * sizeof *shadow->levels);
        if (shadow->pool == NULL || shadow->kept == NULL || shadow->levels == NULL) {
            return false;
        }
        shadow->book = book_acquire(shadow->pool);
    }
    return true;
}

void shadow_destroy(struct normalise *normalise)
{
    for (int id = 0; id < VENUE_ID_END; id++) {
        struct shadow *shadow = normalise->shadows[id];
        if (shadow != NULL) {
            book_release(shadow->book);
            book_pool_destroy(shadow->pool);
            alloc_give(shadow->levels);
            alloc_give(shadow->kept);
            alloc_give(shadow);
        }
    }
}

static void drop(struct shadow *shadow)
{
    if (shadow->depth != 0) {
        book_clear(shadow->book);
        shadow->depth = 0;
        shadow->loaded = false;
        shadow->kept_count = shadow->level_count = 0;
    }
}

void normalise_shadow_reset(struct normalise *normalise)
{
    normalise->shadow_second = 0;
    for (int id = 0; id < VENUE_ID_END; id++) {
        if (normalise->shadows[id] != NULL) {
            drop(normalise->shadows[id]);
        }
    }
}

/* The check of this book that is under way; NULL. */
static struct shadow *shadow_of(const struct normalise *normalise, const struct depth *depth)
{
    struct shadow *shadow = normalise->shadows[normalise->streams[depth->stream].venue];
    return shadow != NULL && shadow->depth == (uint32_t)(depth - normalise->depths) + 1 ? shadow
                                                                                        : NULL;
}

/* It ends without a comparison. */
static void leave(struct normalise *normalise, struct shadow *shadow, uint32_t venue)
{
    normalise->stats.book_checks_left[venue]++;
    drop(shadow);
}

void shadow_lost(struct normalise *normalise, const struct depth *depth)
{
    struct shadow *shadow = shadow_of(normalise, depth);
    if (shadow != NULL) {
        leave(normalise, shadow, normalise->streams[depth->stream].venue);
    }
}

/* ---- asking */

/* The books of a venue take turns over shadow_secs, or over as many seconds as there are books. */
static uint32_t turn_of(const struct normalise *normalise, uint32_t count, int64_t second)
{
    int64_t round = normalise->config.shadow_secs;
    round = round > count ? round : count;
    return (uint32_t)(second % round * count / round);
}

static void ask(struct normalise *normalise, struct shadow *shadow, struct depth *depth)
{
    const struct stream *stream = &normalise->streams[depth->stream];
    const struct sequence *sequence = &stream->sequences[SEQUENCE_MAIN];
    if (depth->state != BOOK_WHOLE || !sequence->connected || book_truncated(depth->book) ||
        depth->book_id != sequence->last_id) {
        return; /* its next turn comes */
    }
    shadow->depth = (uint32_t)(depth - normalise->depths) + 1;
    shadow->asked_ns = normalise->now_ns;
    shadow->asked_id = depth->book_id;
    if (normalise->handlers.on_check_wanted != NULL) {
        normalise->handlers.on_check_wanted(normalise->handlers.context,
                                            (enum venue_id)stream->venue, stream->symbol);
    }
}

static void tick_venue(struct normalise *normalise, uint32_t venue, int64_t from, int64_t second)
{
    struct shadow *shadow = normalise->shadows[venue];
    uint32_t count = 0;
    for (uint32_t i = 0; i < normalise->depth_count; i++) {
        count += normalise->streams[normalise->depths[i].stream].venue == venue;
    }
    if (shadow->depth != 0 && time_since(normalise->now_ns, shadow->asked_ns) >= SHADOW_WAIT_NS) {
        leave(normalise, shadow, venue);
    }
    if (shadow->depth != 0 || count == 0) {
        return;
    }
    uint32_t turn = turn_of(normalise, count, second);
    if (count > 1 ? turn == turn_of(normalise, count, from - 1)
                  : second / normalise->config.shadow_secs ==
                        (from - 1) / normalise->config.shadow_secs) {
        return;
    }
    for (uint32_t i = 0; i < normalise->depth_count; i++) {
        struct depth *depth = &normalise->depths[i];
        if (normalise->streams[depth->stream].venue == venue && turn-- == 0) {
            ask(normalise, shadow, depth);
            return;
        }
    }
}

void shadow_tick(struct normalise *normalise)
{
    int64_t second = normalise->now_ns / NS_PER_S;
    if (normalise->config.shadow_secs == 0 || second <= 0) {
        return;
    }
    bool goes_on = normalise->shadow_second > 0 && normalise->shadow_second < second &&
                   second - normalise->shadow_second < 10;
    int64_t from = goes_on ? normalise->shadow_second + 1 : second;
    for (uint32_t venue = 0; venue < VENUE_ID_END; venue++) {
        if (normalise->shadows[venue] != NULL) {
            tick_venue(normalise, venue, from, second);
        }
    }
    normalise->shadow_second = second;
}

/* ---- comparing */

struct finding {
    uint32_t levels; /* that differ */
    enum book_side side;
    struct decimal price, ours, theirs; /* of the best that differs; 0 = no such level */
};

static bool beyond(enum book_side side, struct decimal price, struct decimal reach)
{
    int order = decimal_compare(price, reach);
    return side == BOOK_BID ? order < 0 : order > 0;
}

/* How far both know the side. False: not at all. */
static bool reach_of(const struct normalise *normalise, const struct shadow *shadow,
                     const struct depth *depth, enum book_side side, const struct level *ours,
                     uint32_t count, struct decimal *reach)
{
    const struct venue *venue = venue_of((enum venue_id)normalise->streams[depth->stream].venue);
    bool windowed = venue->endpoints[0].seeds_books; /* levels that leave it are deleted */
    bool known = windowed ? count > 0 : depth->reaches[side];
    if (!known || !shadow->reaches[side]) {
        return false;
    }
    struct decimal own = windowed ? ours[count - 1].price : depth->reach[side];
    *reach = beyond(side, own, shadow->reach[side]) ? shadow->reach[side] : own;
    return true;
}

static void differs(struct finding *finding, enum book_side side, struct decimal price,
                    struct decimal ours, struct decimal theirs)
{
    if (finding->levels++ == 0) {
        finding->side = side;
        finding->price = price;
        finding->ours = ours;
        finding->theirs = theirs;
    }
}

/* False: nothing of the side could be compared. */
static bool compare_side(struct normalise *normalise, const struct shadow *shadow,
                         const struct depth *depth, enum book_side side, struct finding *finding)
{
    static const struct decimal none = {0};
    struct level *a = normalise->levels;
    struct level *b = a + BOOK_SIDE_LEVELS_MAX;
    uint32_t as = book_levels(depth->book, side, a, BOOK_SIDE_LEVELS_MAX);
    uint32_t bs = book_levels(shadow->book, side, b, BOOK_SIDE_LEVELS_MAX);
    struct decimal reach;
    if (!reach_of(normalise, shadow, depth, side, a, as, &reach)) {
        return false;
    }
    uint32_t i = 0, k = 0;
    for (;;) {
        bool ours = i < as && !beyond(side, a[i].price, reach);
        bool theirs = k < bs && !beyond(side, b[k].price, reach);
        if (!ours && !theirs) {
            return true;
        }
        bool same = ours && theirs && decimal_compare(a[i].price, b[k].price) == 0;
        if (same) {
            if (decimal_compare(a[i].amount, b[k].amount) != 0) {
                differs(finding, side, a[i].price, a[i].amount, b[k].amount);
            }
            i++;
            k++;
        } else if (ours && (!theirs || beyond(side, b[k].price, a[i].price))) {
            differs(finding, side, a[i].price, a[i].amount, none);
            i++;
        } else {
            differs(finding, side, b[k].price, none, b[k].amount);
            k++;
        }
    }
}

static void tell(const struct normalise *normalise, const struct depth *depth,
                 const struct finding *finding)
{
    const struct stream *stream = &normalise->streams[depth->stream];
    char price[DECIMAL_TEXT_MAX], ours[DECIMAL_TEXT_MAX], theirs[DECIMAL_TEXT_MAX];
    decimal_format_short(finding->price, price);
    decimal_format_short(finding->ours, ours);
    decimal_format_short(finding->theirs, theirs);
    LOG_WARN("book_differs",
             "%s: %.*s: at update %lld our book has %s at the %s %s, the venue's has %s; %u levels "
             "differ: it is made anew",
             venue_name((enum venue_id)stream->venue), (int)stream->symbol.bytes,
             stream->symbol.data, (long long)depth->book_id, ours,
             finding->side == BOOK_BID ? "bid" : "ask", price, theirs, finding->levels);
}

/* Both stand at the same id. */
static void compare(struct normalise *normalise, struct shadow *shadow, struct depth *depth)
{
    uint32_t venue = normalise->streams[depth->stream].venue;
    struct finding finding = {0};
    bool any = compare_side(normalise, shadow, depth, BOOK_BID, &finding);
    any = compare_side(normalise, shadow, depth, BOOK_ASK, &finding) || any;
    if (!any || book_truncated(shadow->book) || book_truncated(depth->book)) {
        leave(normalise, shadow, venue);
        return;
    }
    normalise->stats.book_checks[venue]++;
    drop(shadow);
    if (finding.levels > 0) {
        normalise->stats.book_differences[venue]++;
        tell(normalise, depth, &finding);
        depth_is_wrong(normalise, depth);
    }
}

/* ---- bringing both to the same id */

/* Brings the snapshot on by a delta. False: it does not go on there, or does not fit. */
static bool follow(struct shadow *shadow, const struct venue *venue,
                   const struct depth_event *delta)
{
    if (delta->last_update_id <= shadow->id) {
        return true;
    }
    bool next = delta->prev_update_id != ID_NONE
                    ? delta->prev_update_id == shadow->id
                    : shadow->id < INT64_MAX && delta->first_update_id == shadow->id + 1;
    if (!next && !venue->joins(delta, shadow->id)) {
        return false;
    }
    for (uint32_t i = 0; i < delta->bid_count + delta->ask_count; i++) {
        bool bid = i < delta->bid_count;
        const struct level *level = bid ? &delta->bids[i] : &delta->asks[i - delta->bid_count];
        if (book_level_set(shadow->book, bid ? BOOK_BID : BOOK_ASK, level->price, level->amount) <
            0) {
            return false;
        }
    }
    shadow->id = delta->last_update_id;
    return true;
}

static bool keep(struct shadow *shadow, const struct depth_event *delta)
{
    uint32_t count = delta->bid_count + delta->ask_count;
    if (shadow->kept_count == SHADOW_DELTAS || count > SHADOW_LEVELS - shadow->level_count) {
        return false;
    }
    struct level *levels = shadow->levels + shadow->level_count;
    for (uint32_t i = 0; i < count; i++) {
        levels[i] = i < delta->bid_count ? delta->bids[i] : delta->asks[i - delta->bid_count];
    }
    shadow->kept[shadow->kept_count++] =
        (struct kept){delta->first_update_id, delta->last_update_id, delta->prev_update_id,
                      delta->bid_count, delta->ask_count};
    shadow->level_count += count;
    return true;
}

void shadow_delta(struct normalise *normalise, struct depth *depth, const struct depth_event *delta)
{
    struct shadow *shadow = shadow_of(normalise, depth);
    if (shadow == NULL) {
        return;
    }
    uint32_t venue = normalise->streams[depth->stream].venue;
    bool good = shadow->loaded ? follow(shadow, venue_of((enum venue_id)venue), delta)
                               : keep(shadow, delta);
    if (!good) {
        leave(normalise, shadow, venue);
    } else if (shadow->loaded && shadow->id == depth->book_id) {
        compare(normalise, shadow, depth);
    }
}

static bool load_side(struct shadow *shadow, enum book_side side, const struct level *levels,
                      uint32_t count)
{
    shadow->reaches[side] = count > 0;
    for (uint32_t i = 0; i < count; i++) {
        if (book_level_set(shadow->book, side, levels[i].price, levels[i].amount) < 0) {
            return false;
        }
        bool farther = i == 0 || beyond(side, levels[i].price, shadow->reach[side]);
        shadow->reach[side] = farther ? levels[i].price : shadow->reach[side];
    }
    return true;
}

static bool load(struct shadow *shadow, const struct venue *venue,
                 const struct depth_event *snapshot)
{
    if (snapshot->last_update_id == ID_NONE || snapshot->last_update_id < shadow->asked_id ||
        !load_side(shadow, BOOK_BID, snapshot->bids, snapshot->bid_count) ||
        !load_side(shadow, BOOK_ASK, snapshot->asks, snapshot->ask_count)) {
        return false;
    }
    shadow->id = snapshot->last_update_id;
    const struct level *levels = shadow->levels;
    for (uint32_t i = 0; i < shadow->kept_count; i++) {
        const struct kept *kept = &shadow->kept[i];
        struct depth_event delta = {.first_update_id = kept->first_id,
                                    .last_update_id = kept->last_id,
                                    .prev_update_id = kept->prev_id,
                                    .bids = levels,
                                    .asks = levels + kept->bids,
                                    .bid_count = kept->bids,
                                    .ask_count = kept->asks};
        levels += kept->bids + kept->asks;
        if (!follow(shadow, venue, &delta)) {
            return false;
        }
    }
    shadow->loaded = true;
    return true;
}

bool shadow_snapshot(struct normalise *normalise, struct depth *depth,
                     const struct depth_event *snapshot)
{
    struct shadow *shadow = shadow_of(normalise, depth);
    if (shadow == NULL || shadow->loaded) {
        return false;
    }
    uint32_t venue = normalise->streams[depth->stream].venue;
    if (!load(shadow, venue_of((enum venue_id)venue), snapshot)) {
        leave(normalise, shadow, venue);
    } else if (shadow->id == depth->book_id) {
        compare(normalise, shadow, depth);
    }
    return true;
}
