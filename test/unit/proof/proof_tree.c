/* See proof_tree.h. Plain malloc: tests only. */
#include "proof_tree.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "proof/rows.h"

enum file_format tree_format = FORMAT_PARQUET;

static void open_store(struct tree *tree, const char *recorder)
{
    struct store_config config = {
        .format = tree_format,
        .layout = LAYOUT_HIVE,
        .streams_max = 16,
        .record_batch_rows = 64,
        .row_group_rows = 20, /* small: row groups end inside messages */
        .open_blocks_max = 8,
        .row_block_bytes = 1 << 20,
        .roll_ns = 3600 * NS_PER_S,
        .seal_jobs_max = 16,
        .writer = {.zstd_level = 1,
                   .page_rows = 8,
                   .dictionary_bytes_max = 1 << 16,
                   .row_group_rows_max = 20,
                   .row_groups_max = 64},
        .skip_existing = false,
        .disk_reserve_bytes = 1,
    };
    snprintf(config.recorder, sizeof config.recorder, "%s", recorder);
    struct store_handlers handlers = {0};
    struct err err = {{0}};
    tree->recorder = recorder;
    if (store_open(&tree->store, &tree->io, &config, &handlers, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

void tree_open(struct tree *tree, enum venue_id venue, const char *recorder)
{
    *tree = (struct tree){.venue = venue, .symbol = STR("AB"), .now_ns = TREE_START_NS};
    assert_int_equal(mdio_mem_open(&tree->io), 0);
    open_store(tree, recorder);
}

void tree_seal(struct tree *tree)
{
    store_close_all(tree->store, tree->now_ns);
    assert_int_equal(store_drain(tree->store, 1000), 0);
    store_destroy(tree->store);
    tree->store = NULL;
}

void tree_reopen(struct tree *tree, const char *recorder)
{
    open_store(tree, recorder);
}

void tree_close(struct tree *tree)
{
    store_destroy(tree->store);
    mdio_deinit(&tree->io);
}

void tree_wait(struct tree *tree, int64_t ms)
{
    tree->now_ns += ms * TREE_MS;
}

/* ---- events */

static struct event next_event(struct tree *tree, enum channel channel)
{
    tree->now_ns += 100 * TREE_MS;
    tree->seq++;
    return (struct event){
        .channel = channel,
        .venue = tree->venue,
        .symbol = tree->symbol,
        .event_unix_ns = tree->now_ns - 5 * TREE_MS,
        .recv_unix_ns = tree->now_ns,
        .conn = 1,
        .seq = tree->seq,
    };
}

static void land(struct tree *tree, const struct event *event)
{
    store_event(tree->store, (uint32_t)event->channel, event);
}

void tree_trade(struct tree *tree, int64_t id, int32_t flags)
{
    struct event event = next_event(tree, CHANNEL_TRADES);
    event.trade = (struct trade_event){
        .trade_id = id, .side = SIDE_BUY, .price = {100, 0}, .amount = {15, -1}, .flags = flags};
    land(tree, &event);
}

void tree_delta(struct tree *tree, int64_t first, int64_t last, int64_t previous, int bid_price,
                int bid_amount)
{
    struct event event = next_event(tree, CHANNEL_DEPTH);
    struct level bid = {{bid_price, 0}, {bid_amount, 0}};
    event.depth = (struct depth_event){.first_update_id = first,
                                       .last_update_id = last,
                                       .prev_update_id = previous,
                                       .bids = &bid,
                                       .bid_count = bid_price != 0};
    land(tree, &event);
}

void tree_book(struct tree *tree, int64_t id, int price, bool with_next)
{
    struct event event = next_event(tree, CHANNEL_DEPTH);
    struct level bids[2] = {{{price - 1, 0}, {1, 0}}, {{price - 2, 0}, {2, 0}}};
    struct level asks[2] = {{{price + 1, 0}, {1, 0}}, {{price + 2, 0}, {2, 0}}};
    event.depth = (struct depth_event){.is_snapshot = true,
                                       .first_update_id = ID_NONE,
                                       .last_update_id = id,
                                       .prev_update_id = ID_NONE,
                                       .bids = bids,
                                       .asks = asks,
                                       .bid_count = 2,
                                       .ask_count = 2};
    land(tree, &event);
    if (with_next) {
        tree->seq--;
        tree->now_ns -= 100 * TREE_MS;
    }
}

void tree_ticker(struct tree *tree, int price)
{
    struct event event = next_event(tree, CHANNEL_TICKER);
    event.event_unix_ns = TREE_START_NS + price * NS_PER_S;
    event.ticker = (struct ticker_event){.last_price = {{price, 0}, true}};
    land(tree, &event);
}

void tree_gap(struct tree *tree, enum channel channel, enum gap_kind kind, int64_t from, int64_t to,
              enum gap_resolved resolved, int64_t back_events)
{
    struct event event = next_event(tree, CHANNEL_GAPS);
    tree->now_ns -= 100 * TREE_MS; /* told by the last event */
    tree->seq--;
    event.recv_unix_ns = tree->now_ns;
    event.seq = tree->seq;
    event.event_unix_ns = TIME_NONE;
    event.gap = (struct gap_event){.of_channel = channel,
                                   .kind = kind,
                                   .from_id = from,
                                   .to_id = to,
                                   .missing = from == ID_NONE ? ID_NONE : to - from + 1,
                                   .start_unix_ns = tree->now_ns - back_events * 100 * TREE_MS,
                                   .end_unix_ns = tree->now_ns,
                                   .resolved_by = resolved};
    land(tree, &event);
}

/* ---- verify */

static void on_finding(void *context, const struct finding *finding)
{
    struct found *found = context;
    size_t used = strlen(found->names);
    snprintf(found->names + used, sizeof found->names - used, "%s%s", used > 0 ? " " : "",
             finding_name(finding->kind));
    used = strlen(found->texts);
    snprintf(found->texts + used, sizeof found->texts - used, "%.*s: %s\n",
             (int)finding->path.bytes, finding->path.data, finding->text);
}

void tree_verify_with(struct tree *tree, const struct catalog_options *options, struct found *found)
{
    static struct verifier *verifier; /* one for all tests: it reserves much */
    struct err err = {{0}};
    memset(found, 0, sizeof *found);
    verifier = verifier != NULL ? verifier : verifier_create(&err);
    if (verifier == NULL ||
        verifier_run(verifier, &tree->io, options, &found->report, on_finding, found, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

void tree_verify(struct tree *tree, struct found *found)
{
    static const struct catalog_options all = {.since_us = TIME_NONE, .until_us = TIME_NONE};
    tree_verify_with(tree, &all, found);
}

void found_free(struct found *found)
{
    verify_report_deinit(&found->report);
}

const struct verify_stream *found_stream(const struct found *found, enum channel channel)
{
    for (size_t i = 0; i < found->report.count; i++) {
        if (found->report.streams[i].channel == (int)channel) {
            return &found->report.streams[i];
        }
    }
    fail_msg("no stream of %s", channel_name(channel));
    return NULL;
}

/* ---- rows */

static void put_row(struct buf *text, const struct event *event)
{
    const struct depth_event *depth = &event->depth;
    if (event->channel == CHANNEL_TRADES) {
        buf_put_i64(text, event->trade.trade_id);
    } else if (event->channel == CHANNEL_TICKER) {
        buf_put_i64(text, event->ticker.last_price.value.mantissa);
    } else if (depth->is_snapshot) {
        buf_printf(text, "[%lld]", (long long)depth->last_update_id);
    } else {
        buf_printf(text, "%lld-%lld", (long long)depth->first_update_id,
                   (long long)depth->last_update_id);
    }
    buf_put_str(text, (int32_t)event->conn < 0 ? STR("b ") : STR(" "));
}

static void ignore(void *context, const struct finding *finding);

void tree_rows(struct mdio *io, enum channel channel, char *out, size_t out_bytes)
{
    static struct rows *rows;
    struct catalog catalog;
    struct catalog_options all = {.since_us = TIME_NONE, .until_us = TIME_NONE};
    struct err err;
    struct event event;
    struct buf text = buf_over(out, out_bytes - 1);
    if (rows == NULL) {
        assert_int_equal(rows_create(&rows), 0);
    }
    assert_int_equal(catalog_load(&catalog, io, &all, ignore, NULL, &err), 0);
    int64_t last_ns = 0;
    uint64_t last_seq = 0;
    for (uint32_t i = 0; i < catalog.count; i++) {
        if (catalog.files[i].entry.channel != channel) {
            continue;
        }
        assert_int_equal(rows_open(rows, io, &catalog.files[i], true, &err), 0);
        while (rows_next(rows, &event, &err) == 1) {
            assert_true(event.recv_unix_ns >= last_ns);
            assert_true(event.seq >= last_seq);
            last_ns = event.recv_unix_ns;
            last_seq = event.seq;
            put_row(&text, &event);
        }
        rows_close(rows);
    }
    out[text.bytes] = 0;
    assert_false(text.overflow);
    catalog_deinit(&catalog);
}

/* ---- files */

char *tree_read(struct tree *tree, const char *path, size_t *bytes)
{
    int handle = mdio_open(&tree->io, path, MDIO_READ);
    if (handle < 0) {
        fail_msg("%s: %s", path, err_text(handle));
    }
    *bytes = (size_t)mdio_size(&tree->io, handle);
    char *text = malloc(*bytes + 1);
    assert_non_null(text);
    assert_int_equal(mdio_read_all(&tree->io, handle, text, *bytes, 0), 0);
    text[*bytes] = 0;
    mdio_close(&tree->io, handle);
    return text;
}

void tree_write(struct tree *tree, const char *path, const char *text, size_t bytes)
{
    int handle = mdio_open(&tree->io, path, MDIO_WRITE | MDIO_CREATE);
    assert_true(handle >= 0);
    assert_int_equal(mdio_truncate(&tree->io, handle, 0), 0);
    assert_int_equal(mdio_write_all(&tree->io, handle, text, bytes, 0), 0);
    mdio_close(&tree->io, handle);
}

static void ignore(void *context, const struct finding *finding)
{
    (void)context;
    (void)finding;
}

void tree_path(struct tree *tree, enum channel channel, uint32_t index, char out[1024])
{
    struct catalog catalog;
    struct catalog_options all = {.since_us = TIME_NONE, .until_us = TIME_NONE};
    struct err err;
    assert_int_equal(catalog_load(&catalog, &tree->io, &all, ignore, NULL, &err), 0);
    out[0] = 0;
    for (uint32_t i = 0; i < catalog.count; i++) {
        if (catalog.files[i].entry.channel == channel && index-- == 0) {
            struct str path = catalog.files[i].entry.path;
            snprintf(out, 1024, "%.*s", (int)path.bytes, path.data);
        }
    }
    catalog_deinit(&catalog);
    assert_true(out[0] != 0);
}
