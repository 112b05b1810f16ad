/* Two folders into one: which files, which streams, and the store they land in. See merge.h.
 * Order: instruments first (contracts' facts), then stream by stream, the exchange's gap rows last:
 * they are known only then. */
#include "proof/merge.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "proof/merge_internal.h"
#include "proof/rows.h"

#define BOOK_BYTES ((size_t)4 << 20)
#define DRAIN_MS 600000
#define US_TO_SEQ 1000 /* local_seq of what is merged: microseconds, and room between two */

/* ---- landing */

void merge_land(struct merge *merge, const struct event *event, int side, int64_t us)
{
    struct event landed = *event;
    us = us > merge->last_us ? us : merge->last_us;
    uint64_t seq = (uint64_t)us * US_TO_SEQ;
    seq = seq > merge->last_seq ? seq : merge->last_seq + 1;
    landed.recv_unix_ns = us * NS_PER_US;
    landed.seq = seq;
    landed.conn = side == SIDE_A ? event->conn : 0u - event->conn;
    merge->last_us = us;
    merge->last_seq = seq;
    store_event(merge->store, merge->outside, &landed);
    if (event->channel != CHANNEL_GAPS) {
        *(side == SIDE_A ? &merge->report->rows_a : &merge->report->rows_b) +=
            schema_event_rows(event);
    }
}

int64_t merge_time(const struct merge *merge, const struct cursor *cursor, int side,
                   const struct cursor *a)
{
    int64_t us = cursor->us;
    if (side == SIDE_B && a->have && us > a->us) {
        us = a->us;
    }
    return us > merge->last_us ? us : merge->last_us;
}

/* A depth file begins with the book of all that landed before. */
static void on_file_begin(void *context, uint32_t outside, const struct event *cause)
{
    struct merge *merge = context;
    if (!merge->book_stands) {
        return;
    }
    struct level *bids = merge->levels;
    struct level *asks = bids + BOOK_SIDE_LEVELS_MAX;
    struct event event = {.channel = CHANNEL_DEPTH,
                          .venue = cause->venue,
                          .symbol = cause->symbol,
                          .event_unix_ns = TIME_NONE,
                          .recv_unix_ns = cause->recv_unix_ns,
                          .conn = cause->conn,
                          .seq = cause->seq};
    event.depth = (struct depth_event){
        .is_snapshot = true,
        .first_update_id = ID_NONE,
        .last_update_id = merge->book_id,
        .prev_update_id = ID_NONE,
        .bids = bids,
        .asks = asks,
        .bid_count = book_levels(merge->book, BOOK_BID, bids, BOOK_SIDE_LEVELS_MAX),
        .ask_count = book_levels(merge->book, BOOK_ASK, asks, BOOK_SIDE_LEVELS_MAX),
    };
    store_event(merge->store, outside, &event);
}

/* ---- the folders */

static bool same_recorder(const struct catalog *a, const struct catalog *b, struct str *name)
{
    struct str last = STR("");
    for (uint32_t i = 0; i < a->count; i++) {
        *name = a->files[i].entry.recorder;
        if (str_equal(*name, last)) {
            continue;
        }
        last = *name;
        for (uint32_t j = 0; j < b->count; j++) {
            if (str_equal(*name, b->files[j].entry.recorder)) {
                return true;
            }
        }
    }
    return false;
}

static int check_recorders(const struct merge *merge, struct err *err)
{
    const struct catalog *a = &merge->sides[SIDE_A].catalog, *b = &merge->sides[SIDE_B].catalog;
    struct str name;
    if (same_recorder(a, b, &name)) {
        return err_set(
            err, MD_EINVAL,
            "%s and %s both hold files of recorder %.*s: merge joins two recorders, each "
            "with a recorder.id of its own",
            a->io->root, b->io->root, (int)name.bytes, name.data);
    }
    for (int side = SIDE_A; side < SIDES; side++) {
        const struct catalog *catalog = &merge->sides[side].catalog;
        for (uint32_t i = 0; i < catalog->count; i++) {
            if (str_equal(catalog->files[i].entry.recorder, str_from(merge->config.recorder))) {
                return err_set(err, MD_EINVAL,
                               "%s holds files of recorder %s: give the result another name with "
                               "--set recorder.id=NAME",
                               catalog->io->root, merge->config.recorder);
            }
        }
    }
    return 0;
}

/* Its rows cannot be read: the folder missed that time. */
static int leave_out(struct merge *merge, struct merge_side *side, const struct catalog_file *file)
{
    struct event event = {
        .channel = CHANNEL_GAPS,
        .venue = file->entry.venue,
        .symbol = file->entry.symbol,
        .recv_unix_ns = file->entry.last_local_us * NS_PER_US,
        .gap = {.of_channel = file->entry.channel,
                .kind = GAP_DISK,
                .from_id = ID_NONE,
                .to_id = ID_NONE,
                .missing = ID_NONE,
                .start_unix_ns = file->entry.first_local_us * NS_PER_US,
                .end_unix_ns = file->entry.last_local_us * NS_PER_US,
                .resolved_by = GAP_RESOLVED_NONE},
    };
    merge->report->files_left_out++;
    return gap_table_add(&side->gaps, &event);
}

static int check_files(struct merge *merge, struct merge_side *side, finding_sink on_finding,
                       void *context, struct err *err)
{
    struct catalog *catalog = &side->catalog;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < catalog->count; i++) {
        const struct catalog_file *file = &catalog->files[i];
        struct finding finding = {.kind = FINDING_FILE_DAMAGED,
                                  .venue = file->entry.venue,
                                  .channel = (int)file->entry.channel,
                                  .symbol = file->entry.symbol,
                                  .path = file->entry.path};
        int code = proof_check_file(catalog->io, &file->entry, finding.text, sizeof finding.text);
        if (code < 0 && code != MD_ENOENT) {
            return err_set(err, code, "%s: %s", catalog->io->root, err_text(code));
        }
        if (code == 1) {
            catalog->files[kept++] = *file;
            continue;
        }
        on_finding(context, &finding);
        code = leave_out(merge, side, file);
        if (code != 0) {
            return err_set(err, code, "no memory for gap rows");
        }
    }
    catalog->count = kept;
    return 0;
}

static int read_gaps(struct merge *merge, struct merge_side *side, struct err *err)
{
    struct event event;
    int code = 0;
    struct rows **rows = &merge->rows[SIDE_A][0];
    if (*rows == NULL && rows_create(rows) != 0) {
        return err_set(err, MD_ENOMEM, "no memory to read rows");
    }
    for (uint32_t i = 0; i < side->catalog.count && code == 0; i++) {
        const struct catalog_file *file = &side->catalog.files[i];
        const struct manifest_entry *entry = &file->entry;
        if (entry->channel != CHANNEL_GAPS) {
            continue;
        }
        code = rows_open(*rows, side->catalog.io, file, true, err);
        while (code == 0 && (code = rows_next(*rows, &event, err)) == 1) {
            code = gap_table_add(&side->gaps, &event);
        }
        rows_close(*rows);
        if (code != 0) {
            err_append(err, code, "%s/%.*s", side->catalog.io->root, (int)entry->path.bytes,
                       entry->path.data);
        }
    }
    gap_table_sort(&side->gaps);
    return code;
}

static void note_span(struct merge_side *side)
{
    for (int v = 0; v < VENUE_ID_END; v++) {
        side->first_us[v] = INT64_MAX;
        side->last_us[v] = INT64_MIN;
    }
    for (uint32_t i = 0; i < side->catalog.count; i++) {
        const struct manifest_entry *entry = &side->catalog.files[i].entry;
        int64_t *first_us = &side->first_us[entry->venue];
        int64_t *last_us = &side->last_us[entry->venue];
        *first_us = entry->first_local_us < *first_us ? entry->first_local_us : *first_us;
        *last_us = entry->last_local_us > *last_us ? entry->last_local_us : *last_us;
    }
}

static void ignore(void *context, const struct finding *finding)
{
    (void)context;
    (void)finding; /* lines that cannot be read name no file; verify tells them */
}

static int load_side(struct merge *merge, int side, struct mdio *io, finding_sink on_finding,
                     void *context, struct err *err)
{
    static const struct catalog_options all = {.since_us = TIME_NONE, .until_us = TIME_NONE};
    struct merge_side *loaded = &merge->sides[side];
    int code = catalog_load(&loaded->catalog, io, &all, ignore, NULL, err);
    code = code != 0 ? code : check_files(merge, loaded, on_finding, context, err);
    note_span(loaded);
    return code != 0 ? code : read_gaps(merge, loaded, err);
}

/* ---- streams of both */

/* Steps to the next stream of either folder; false: no more. */
static bool stream_next(struct merge *merge)
{
    const struct catalog *catalogs[SIDES] = {&merge->sides[SIDE_A].catalog,
                                             &merge->sides[SIDE_B].catalog};
    const struct manifest_entry *first = NULL;
    for (int side = SIDE_A; side < SIDES; side++) {
        merge->begin[side] = merge->end[side];
        if (merge->begin[side] < catalogs[side]->count) {
            const struct manifest_entry *entry = &catalogs[side]->files[merge->begin[side]].entry;
            bool before = first == NULL || catalog_stream_compare(entry, first) < 0;
            first = before ? entry : first;
        }
    }
    for (int side = SIDE_A; side < SIDES && first != NULL; side++) {
        uint32_t begin = merge->begin[side];
        if (begin < catalogs[side]->count &&
            catalog_stream_compare(&catalogs[side]->files[begin].entry, first) == 0) {
            merge->end[side] = catalog_stream_end(catalogs[side], begin);
        }
    }
    if (first == NULL) {
        return false;
    }
    merge->venue = first->venue;
    merge->channel = first->channel;
    merge->symbol = first->symbol;
    merge->rules = venue_of(first->venue);
    merge->rule =
        merge->rules == NULL ? CONTINUITY_NONE : merge->rules->continuity(first->channel, 0);
    merge->last_seq = 0;
    merge->last_us = INT64_MIN / (2 * NS_PER_US);
    merge->book_stands = false;
    merge->outside++;
    book_clear(merge->book);
    return true;
}

static int stream_merge(struct merge *merge)
{
    bool ids = merge->rule != CONTINUITY_NONE;
    int code = 0;
    if (merge->channel == CHANNEL_TRADES && ids) {
        code = merge_trades(merge);
    } else if (merge->channel == CHANNEL_DEPTH && ids) {
        code = merge_depth(merge);
    } else if (merge->channel == CHANNEL_BOOK_TICKER && merge->rules != NULL) {
        code = merge_book_ticker(merge);
    } else {
        code = merge_by_time(merge);
    }
    store_close_all(merge->store, 0);
    if (code == 0 && store_drain(merge->store, DRAIN_MS) > 0) {
        code = err_set(merge->err, MD_EIO, "not every file could be sealed");
    }
    return code;
}

static void to_first_stream(struct merge *merge)
{
    merge->end[SIDE_A] = merge->end[SIDE_B] = 0;
    merge->outside = 0;
}

static uint32_t stream_count(struct merge *merge)
{
    to_first_stream(merge);
    while (stream_next(merge)) {
    }
    return merge->outside;
}

/* An exchange's streams in order: its instruments, or all else but its gaps. */
static int each_stream(struct merge *merge, enum venue_id venue, bool instruments)
{
    int code = 0;
    to_first_stream(merge);
    while (code == 0 && stream_next(merge)) {
        bool wanted = instruments
                          ? merge->channel == CHANNEL_INSTRUMENTS
                          : merge->channel != CHANNEL_INSTRUMENTS && merge->channel != CHANNEL_GAPS;
        if (merge->venue == venue && wanted) {
            code = stream_merge(merge);
        }
    }
    return code;
}

static int each_venue(struct merge *merge, uint32_t streams)
{
    int code = 0;
    for (int v = VENUE_NONE + 1; v < VENUE_ID_END && code == 0; v++) {
        enum venue_id venue = (enum venue_id)v;
        code = each_stream(merge, venue, true);
        code = code != 0 ? code : each_stream(merge, venue, false);
        code = code != 0 ? code : merge_gaps_of_all(merge, venue);
        if (code == 0) {
            merge_gaps_write(merge, venue, streams + 1 + (uint32_t)v);
            store_close_all(merge->store, 0);
        }
        if (code == 0 && store_drain(merge->store, DRAIN_MS) > 0) {
            code = err_set(merge->err, MD_EIO, "not every file could be sealed");
        }
    }
    return code;
}

static int store_run(struct merge *merge, struct mdio *out, struct err *err)
{
    uint32_t streams = stream_count(merge);
    struct store_config *config = &merge->config;
    struct store_handlers handlers = {.on_file_begin = on_file_begin, .context = merge};
    config->streams_max = streams + VENUE_ID_END + 16;
    config->seal_jobs_max = 64;
    config->seal_thread = config->tune = config->skip_existing = false;
    int code = store_open(&merge->store, out, config, &handlers, err);
    code = code != 0 ? code : each_venue(merge, streams);
    if (code == 0) {
        struct store_stats stats = store_stats(merge->store);
        merge->report->files = stats.files_sealed;
        if (stats.rows_lost > 0) {
            code = err_set(err, MD_ENOSPC, "%llu rows found no room on the disk",
                           (unsigned long long)stats.rows_lost);
        }
    }
    store_destroy(merge->store);
    return code;
}

static void on_any_name(void *context, const char *name, bool is_directory)
{
    bool *any = context;
    (void)name;
    (void)is_directory;
    *any = true;
}

static int check_out(struct mdio *out, struct err *err)
{
    bool any = false;
    int code = mdio_list(out, "", on_any_name, &any);
    if (code != 0) {
        return err_set(err, code, "%s: %s", out->root, err_text(code));
    }
    return any ? err_set(err, MD_EEXIST, "%s: not empty: the result wants a folder of its own",
                         out->root)
               : 0;
}

static void deinit(struct merge *merge)
{
    for (int side = SIDE_A; side < SIDES; side++) {
        catalog_deinit(&merge->sides[side].catalog);
        gap_table_deinit(&merge->sides[side].gaps);
        rows_destroy(merge->rows[side][0]);
        rows_destroy(merge->rows[side][1]);
    }
    if (merge->book != NULL) {
        book_release(merge->book);
    }
    book_pool_destroy(merge->pool);
    alloc_give(merge->levels);
    alloc_give(merge->gaps);
    texts_deinit(&merge->texts);
    alloc_give(merge);
}

int merge_run(struct mdio *a, struct mdio *b, struct mdio *out, const struct store_config *config,
              struct merge_report *report, finding_sink on_finding, void *context, struct err *err)
{
    struct merge *merge = alloc_take(ALLOC_APP, sizeof *merge);
    if (merge == NULL) {
        return err_set(err, MD_ENOMEM, "no memory for merging");
    }
    merge->config = *config;
    merge->report = report;
    merge->err = err;
    *report = (struct merge_report){0};
    merge->pool = book_pool_create(BOOK_BYTES, 1);
    merge->book = merge->pool == NULL ? NULL : book_acquire(merge->pool);
    merge->levels = alloc_take(ALLOC_BOOKS, 2 * BOOK_SIDE_LEVELS_MAX * sizeof(struct level));
    int code = merge->book == NULL || merge->levels == NULL
                   ? err_set(err, MD_ENOMEM, "no memory for a book")
                   : check_out(out, err);
    code = code != 0 ? code : load_side(merge, SIDE_A, a, on_finding, context, err);
    code = code != 0 ? code : load_side(merge, SIDE_B, b, on_finding, context, err);
    code = code != 0 ? code : check_recorders(merge, err);
    code = code != 0 ? code : store_run(merge, out, err);
    deinit(merge);
    return code;
}
