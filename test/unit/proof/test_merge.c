/* Two trees of our own making into one: which rows come out, in which order, from whom, and what
 * verify then says of them (nothing but what both missed). */
#include "proof_tree.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "proof/merge.h"

#define HOUR_MS (3600 * 1000)

struct pair {
    struct tree a, b, out; /* out has no store */
    struct merge_report report;
    uint32_t told;
};

static void pair_open(struct pair *pair, enum venue_id venue)
{
    memset(pair, 0, sizeof *pair);
    tree_open(&pair->a, venue, "a");
    tree_open(&pair->b, venue, "b");
    tree_wait(&pair->b, 30); /* its clock, or its way, is longer */
}

static void on_finding(void *context, const struct finding *finding)
{
    (void)finding;
    (*(uint32_t *)context)++;
}

static int merge_with(struct pair *pair, const char *recorder, struct err *err)
{
    struct store_config config = {
        .format = FORMAT_PARQUET,
        .layout = LAYOUT_HIVE,
        .record_batch_rows = 64,
        .row_group_rows = 20,
        .open_blocks_max = 8,
        .row_block_bytes = 1 << 20,
        .roll_ns = 3600 * NS_PER_S,
        .disk_reserve_bytes = 1,
        .writer = {.zstd_level = 1,
                   .page_rows = 8,
                   .dictionary_bytes_max = 1 << 16,
                   .row_group_rows_max = 20,
                   .row_groups_max = 64},
    };
    snprintf(config.recorder, sizeof config.recorder, "%s", recorder);
    if (pair->a.store != NULL) {
        tree_seal(&pair->a);
        tree_seal(&pair->b);
    }
    assert_int_equal(mdio_mem_open(&pair->out.io), 0);
    return merge_run(&pair->a.io, &pair->b.io, &pair->out.io, &config, &pair->report, on_finding,
                     &pair->told, err);
}

/* Merges; holds the rows of a channel against `rows`, and what is missing; verify finds nothing. */
static void check(struct pair *pair, enum channel channel, const char *rows, uint64_t missing)
{
    static struct found found;
    static char got[4000];
    struct err err = {{0}};
    if (merge_with(pair, "merged", &err) != 0) {
        fail_msg("%s", err.text);
    }
    tree_rows(&pair->out.io, channel, got, sizeof got);
    assert_string_equal(got, rows);
    assert_int_equal(pair->report.missing, missing);
    tree_verify(&pair->out, &found);
    if (found.names[0] != 0) {
        fail_msg("verify: %s:\n%s", found.names, found.texts);
    }
    assert_int_equal(found_stream(&found, channel)->missing, missing);
    found_free(&found);
}

static void pair_close(struct pair *pair)
{
    tree_close(&pair->a);
    tree_close(&pair->b);
    mdio_deinit(&pair->out.io);
}

static void check_and_close(struct pair *pair, enum channel channel, const char *rows,
                            uint64_t missing)
{
    check(pair, channel, rows, missing);
    pair_close(pair);
}

/* 0: nothing happens at this time in this folder */
static void trades_of(struct tree *tree, const int *ids)
{
    for (; *ids >= 0; ids++) {
        if (*ids > 0) {
            tree_trade(tree, *ids, 0);
        } else {
            tree_wait(tree, 100);
        }
    }
}
#define TRADES(tree, ...) trades_of(tree, (const int[]){__VA_ARGS__, -1})

static void told_gap(struct tree *tree, enum channel channel, int64_t from, int64_t to)
{
    tree_gap(tree, channel, GAP_SEQUENCE, from, to, GAP_RESOLVED_NONE, 1);
}

/* ---- by id */

static void holes_are_filled_from_the_other_folder(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, VENUE_BINANCE);
    TRADES(&pair.a, 1, 2, 0, 0, 5);
    told_gap(&pair.a, CHANNEL_TRADES, 3, 4);
    TRADES(&pair.a, 6, 7);
    TRADES(&pair.b, 1, 2, 3, 4, 5, 0, 7);
    told_gap(&pair.b, CHANNEL_TRADES, 6, 6);
    check_and_close(&pair, CHANNEL_TRADES, "1 2 3b 4b 5 6 7 ", 0);
}

static void what_both_missed_stays_a_gap(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, VENUE_BINANCE);
    TRADES(&pair.a, 1, 2, 3, 0, 0, 6);
    told_gap(&pair.a, CHANNEL_TRADES, 4, 5);
    TRADES(&pair.b, 1, 2, 0, 0, 5, 6);
    told_gap(&pair.b, CHANNEL_TRADES, 3, 4);
    check_and_close(&pair, CHANNEL_TRADES, "1 2 3 5b 6 ", 1);
}

static void folders_that_begin_and_end_apart_are_one(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, VENUE_BINANCE);
    TRADES(&pair.a, 1, 2, 3, 4);
    TRADES(&pair.b, 0, 0, 3, 4, 5, 6);
    tree_wait(&pair.b, HOUR_MS);
    TRADES(&pair.b, 7);
    check(&pair, CHANNEL_TRADES, "1 2 3 4 5b 6b 7b ", 0);
    mdio_deinit(&pair.out.io);
    struct tree swapped = pair.a;
    pair.a = pair.b;
    pair.b = swapped;
    check_and_close(&pair, CHANNEL_TRADES, "1b 2b 3 4 5 6 7 ", 0);
}

static void backfilled_rows_count_only_where_nobody_was_there(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, VENUE_BINANCE);
    TRADES(&pair.a, 1, 0, 0, 4);
    tree_trade(&pair.a, 2, TRADE_BACKFILL);
    tree_trade(&pair.a, 3, TRADE_BACKFILL);
    tree_gap(&pair.a, CHANNEL_TRADES, GAP_SEQUENCE, 2, 3, GAP_RESOLVED_BACKFILL, 3);
    TRADES(&pair.a, 5);
    TRADES(&pair.b, 1, 2, 0, 4, 5);
    told_gap(&pair.b, CHANNEL_TRADES, 3, 3);
    check_and_close(&pair, CHANNEL_TRADES, "1 2b 4 3 5 ", 0);
}

static void plain_and_aggregated_trades_are_joined_apart(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, VENUE_BINANCE);
    for (int i = 0; i < 6; i++) {
        for (int side = 0; side < 2; side++) {
            struct tree *tree = side == 0 ? &pair.a : &pair.b;
            if (i != 2 + side) {
                tree_trade(tree, 10 + i, 0);
            } else {
                tree_wait(tree, 100);
            }
            if (i != 4 - side) {
                tree_trade(tree, 12 + i, TRADE_AGGREGATE); /* ids of its own that look alike */
            } else {
                tree_wait(tree, 100);
            }
        }
    }
    told_gap(&pair.a, CHANNEL_TRADES, 12, 12);
    told_gap(&pair.a, CHANNEL_TRADES, 16, 16);
    told_gap(&pair.b, CHANNEL_TRADES, 13, 13);
    told_gap(&pair.b, CHANNEL_TRADES, 15, 15);
    check_and_close(&pair, CHANNEL_TRADES, "10 12 11 13 12b 14 13 15 14 16b 15 17 ", 0);
}

static void damaged_file_is_left_out_and_filled(void **state)
{
    (void)state;
    struct pair pair;
    char path[1024];
    char byte = 0x55;
    pair_open(&pair, VENUE_BINANCE);
    for (int side = 0; side < 2; side++) {
        struct tree *tree = side == 0 ? &pair.a : &pair.b;
        TRADES(tree, 1, 2, 3);
        tree_wait(tree, HOUR_MS);
        TRADES(tree, 4, 5);
        tree_wait(tree, HOUR_MS);
        TRADES(tree, 6);
        tree_seal(tree);
    }
    tree_path(&pair.a, CHANNEL_TRADES, 1, path);
    assert_int_equal(mdio_mem_damage(&pair.a.io, path, 100, &byte, 1), 0);
    check(&pair, CHANNEL_TRADES, "1 2 3 4b 5b 6 ", 0);
    assert_int_equal(pair.told, 1);
    assert_int_equal(pair.report.files_left_out, 1);
    pair_close(&pair);
}

/* ---- depth */

static void depth_is_filled_by_whole_messages(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, VENUE_BINANCE);
    for (int side = 0; side < 2; side++) {
        struct tree *tree = side == 0 ? &pair.a : &pair.b;
        tree_book(tree, 10, 100, true);
        tree_delta(tree, 11, 12, ID_NONE, 98, 5);
        if (side == 1) {
            tree_delta(tree, 13, 15, ID_NONE, 97, 5);
        } else {
            tree_wait(tree, 100);
        }
        tree_delta(tree, 16, 17, ID_NONE, 97, 6);
        if (side == 0) {
            told_gap(tree, CHANNEL_DEPTH, 13, 15);
        }
        tree_wait(tree, HOUR_MS);
        if (side == 1) { /* A's book is lost: it begins the hour without one */
            tree_delta(tree, 18, 18, ID_NONE, 97, 0);
        } else {
            tree_wait(tree, 100);
        }
        tree_delta(tree, 19, 20, ID_NONE, 98, 7);
        if (side == 0) {
            told_gap(tree, CHANNEL_DEPTH, 18, 18);
        }
    }
    check_and_close(&pair, CHANNEL_DEPTH, "[10] 11-12 13-15b 16-17 [17]b 18-18b 19-20 ", 0);
}

static void depth_that_both_missed_is_mended_by_a_book(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, VENUE_BINANCE);
    for (int side = 0; side < 2; side++) {
        struct tree *tree = side == 0 ? &pair.a : &pair.b;
        tree_book(tree, 10, 100, true);
        tree_delta(tree, 11, 12, ID_NONE, 98, 5);
        tree_wait(tree, 200);
        if (side == 1) {
            tree_delta(tree, 16, 17, ID_NONE, 97, 5);
        } else {
            tree_wait(tree, 100);
        }
        tree_delta(tree, 18, 19, ID_NONE, 97, 6);
        tree_book(tree, 19, 100, false);
        tree_gap(tree, CHANNEL_DEPTH, GAP_RECONNECT, 13, side == 1 ? 15 : 17, GAP_RESOLVED_RESYNC,
                 3);
        tree_delta(tree, 20, 22, ID_NONE, 97, 0);
    }
    check_and_close(&pair, CHANNEL_DEPTH, "[10] 11-12 16-17b 18-19 [19] 20-22 ", 3);
}

/* Gate's books come in the stream: what one passes over is a gap row, even if the next hole begins
 * right behind it. */
static void book_in_the_stream_between_two_holes(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, VENUE_GATE);
    tree_book(&pair.a, 10, 100, false);
    tree_delta(&pair.a, 11, 12, ID_NONE, 98, 5);
    tree_wait(&pair.a, 300);
    tree_book(&pair.a, 30, 100, false);
    tree_gap(&pair.a, CHANNEL_DEPTH, GAP_RECONNECT, 13, 30, GAP_RESOLVED_RESYNC, 4);
    tree_delta(&pair.a, 31, 32, ID_NONE, 98, 6);
    tree_wait(&pair.b, 300);
    tree_book(&pair.b, 20, 100, false);
    tree_delta(&pair.b, 25, 30, ID_NONE, 97, 5);
    tree_gap(&pair.b, CHANNEL_DEPTH, GAP_SEQUENCE, 21, 24, GAP_RESOLVED_NONE, 1);
    check_and_close(&pair, CHANNEL_DEPTH, "[10] 11-12 [20]b 25-30b [30] 31-32 ", 8 + 4);
}

static void depth_whose_messages_name_their_predecessor(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, VENUE_BINANCE_FUTURES);
    for (int side = 0; side < 2; side++) {
        struct tree *tree = side == 0 ? &pair.a : &pair.b;
        tree_book(tree, 10, 100, true);
        tree_delta(tree, 9, 12, 8, 98, 5);
        if (side == 1) {
            tree_delta(tree, 14, 20, 12, 97, 5);
        } else {
            tree_wait(tree, 100);
        }
        tree_delta(tree, 25, 30, 20, 97, 6);
        if (side == 0) {
            told_gap(tree, CHANNEL_DEPTH, ID_NONE, ID_NONE);
        }
    }
    check_and_close(&pair, CHANNEL_DEPTH, "[10] 9-12 14-20b 25-30 ", 0);
}

/* ---- by time */

static void channel_without_ids_takes_the_other_s_rows_in_gaps_alone(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, VENUE_BINANCE);
    for (int side = 0; side < 2; side++) {
        struct tree *tree = side == 0 ? &pair.a : &pair.b;
        for (int i = 1; i <= 9; i++) {
            bool lost = side == 0 && i >= 4 && i <= 6;
            if (lost) {
                tree_wait(tree, 100);
            } else {
                tree_ticker(tree, i);
            }
            if (side == 0 && i == 7) {
                tree_gap(tree, CHANNEL_TICKER, GAP_RECONNECT, ID_NONE, ID_NONE, GAP_RESOLVED_NONE,
                         4);
            }
        }
    }
    check_and_close(&pair, CHANNEL_TICKER, "1 2 3 4b 5b 6b 7 8 9 ", 0);
}

static void without_a_gap_row_nothing_is_taken(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, VENUE_BINANCE);
    tree_ticker(&pair.a, 1);
    tree_wait(&pair.a, 300);
    tree_ticker(&pair.a, 5);
    for (int i = 1; i <= 5; i++) {
        tree_ticker(&pair.b, i);
    }
    check_and_close(&pair, CHANNEL_TICKER, "1 5 ", 0);
}

/* ---- refusals, and the same again */

static void same_recorder_and_used_folder_are_refused(void **state)
{
    (void)state;
    struct pair pair;
    struct err err = {{0}};
    pair_open(&pair, VENUE_BINANCE);
    TRADES(&pair.a, 1, 2);
    TRADES(&pair.b, 1, 2);
    assert_int_equal(merge_with(&pair, "a", &err), MD_EINVAL);
    assert_non_null(strstr(err.text, "give the result another name"));
    mdio_deinit(&pair.out.io);
    struct tree copy = pair.b;
    pair.b = pair.a;
    assert_int_equal(merge_with(&pair, "merged", &err), MD_EINVAL);
    assert_non_null(strstr(err.text, "both hold files of recorder a"));
    mdio_deinit(&pair.out.io);
    pair.b = copy;
    assert_int_equal(merge_with(&pair, "merged", &err), 0);
    struct mdio used = pair.out.io;
    struct merge_report report;
    struct store_config config = {.format = FORMAT_PARQUET};
    assert_int_equal(
        merge_run(&pair.a.io, &pair.b.io, &used, &config, &report, on_finding, &pair.told, &err),
        MD_EEXIST);
    pair_close(&pair);
}

static void merging_again_gives_the_same_bytes(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, VENUE_BINANCE);
    for (int i = 1; i < 60; i++) {
        TRADES(&pair.a, i % 7 == 0 ? 0 : i);
        TRADES(&pair.b, i % 5 == 0 ? 0 : i);
    }
    char *texts[2];
    size_t bytes[2];
    struct err err;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(merge_with(&pair, "merged", &err), 0);
        texts[i] = tree_read(&pair.out, "manifest/binance-2026-11-23.jsonl", &bytes[i]);
        mdio_deinit(&pair.out.io);
    }
    assert_true(bytes[0] > 500);
    assert_int_equal(bytes[0], bytes[1]);
    assert_memory_equal(texts[0], texts[1], bytes[0]); /* each file's SHA-256 among it */
    free(texts[0]);
    free(texts[1]);
    tree_close(&pair.a);
    tree_close(&pair.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holes_are_filled_from_the_other_folder),
        cmocka_unit_test(what_both_missed_stays_a_gap),
        cmocka_unit_test(folders_that_begin_and_end_apart_are_one),
        cmocka_unit_test(backfilled_rows_count_only_where_nobody_was_there),
        cmocka_unit_test(plain_and_aggregated_trades_are_joined_apart),
        cmocka_unit_test(damaged_file_is_left_out_and_filled),
        cmocka_unit_test(depth_is_filled_by_whole_messages),
        cmocka_unit_test(depth_that_both_missed_is_mended_by_a_book),
        cmocka_unit_test(book_in_the_stream_between_two_holes),
        cmocka_unit_test(depth_whose_messages_name_their_predecessor),
        cmocka_unit_test(channel_without_ids_takes_the_other_s_rows_in_gaps_alone),
        cmocka_unit_test(without_a_gap_row_nothing_is_taken),
        cmocka_unit_test(same_recorder_and_used_folder_are_refused),
        cmocka_unit_test(merging_again_gives_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
