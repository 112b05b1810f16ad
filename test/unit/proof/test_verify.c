/* verify over trees of our own making: what is whole is found whole, and each way of being wrong is
 * named, and nothing else with it. Every case is its own negative control: the same rows with the
 * gap row, or without. */
#include "proof_tree.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define HOUR_MS (3600 * 1000)

/* Seals, verifies, and holds the findings' names against `expected` ("" = none); `words`: what the
 * texts must say too (NULL = nothing). */
static void check(struct tree *tree, const char *expected, const char *words)
{
    static struct found found;
    if (tree->store != NULL) {
        tree_seal(tree);
    }
    tree_verify(tree, &found);
    if (strcmp(found.names, expected) != 0 ||
        (words != NULL && strstr(found.texts, words) == NULL)) {
        fail_msg("expected '%s' with '%s', found '%s':\n%s", expected, words == NULL ? "" : words,
                 found.names, found.texts);
    }
    found_free(&found);
}

static void check_and_close(struct tree *tree, const char *expected, const char *words)
{
    check(tree, expected, words);
    tree_close(tree);
}

static void trades(struct tree *tree, int64_t first, int64_t last)
{
    for (int64_t id = first; id <= last; id++) {
        tree_trade(tree, id, 0);
    }
}

static void sequence_gap(struct tree *tree, enum channel channel, int64_t from, int64_t to,
                         enum gap_resolved resolved)
{
    tree_gap(tree, channel, GAP_SEQUENCE, from, to, resolved, 1);
}

/* ---- trades */

static void whole_stream_has_no_findings_and_is_covered(void **state)
{
    (void)state;
    struct tree tree;
    static struct found found;
    tree_open(&tree, VENUE_BINANCE, "a");
    trades(&tree, 1, 50);
    tree_wait(&tree, HOUR_MS);
    trades(&tree, 51, 60);
    tree_seal(&tree);
    tree_verify(&tree, &found);
    const struct verify_stream *stream = found_stream(&found, CHANNEL_TRADES);
    assert_string_equal(found.names, "");
    assert_int_equal(stream->rows, 60);
    assert_int_equal(stream->files, 2);
    assert_int_equal(stream->missing, 0);
    assert_true(verify_covered(stream) >= 1);
    found_free(&found);
    tree_close(&tree);
}

static void hole_with_its_gap_row_is_explained_and_measured(void **state)
{
    (void)state;
    struct tree tree;
    static struct found found;
    tree_open(&tree, VENUE_BINANCE, "a");
    trades(&tree, 1, 5);
    tree_wait(&tree, 400);
    trades(&tree, 9, 9);
    tree_gap(&tree, CHANNEL_TRADES, GAP_RECONNECT, 6, 8, GAP_RESOLVED_NONE, 5);
    trades(&tree, 10, 10);
    tree_seal(&tree);
    tree_verify(&tree, &found);
    const struct verify_stream *stream = found_stream(&found, CHANNEL_TRADES);
    assert_string_equal(found.names, "");
    assert_int_equal(stream->missing, 3);
    assert_int_equal(stream->unexplained, 0);
    assert_int_equal(stream->gaps[GAP_RECONNECT], 1);
    assert_int_equal(stream->resolved[GAP_RESOLVED_NONE], 1);
    assert_int_equal(stream->open_us, 500000); /* of 0.1 s times six and 0.4 s: */
    assert_int_equal(stream->last_us - stream->first_us, 1000000);
    assert_int_equal((int)(verify_covered(stream) * 1000), 500);
    found_free(&found);
    tree_close(&tree);
}

static void hole_without_a_gap_row_is_found_with_its_extent(void **state)
{
    (void)state;
    struct tree tree;
    tree_open(&tree, VENUE_BINANCE, "a");
    trades(&tree, 1, 5);
    trades(&tree, 9, 10);
    check_and_close(&tree, "ids_missing", "ids 6 to 8 (3)");
}

static void hole_over_an_hour_s_end_is_found(void **state)
{
    (void)state;
    struct tree tree;
    tree_open(&tree, VENUE_BINANCE, "a");
    trades(&tree, 1, 5);
    tree_wait(&tree, HOUR_MS);
    trades(&tree, 7, 10);
    check_and_close(&tree, "ids_missing", "ids 6 to 6 (1)");
}

static void gap_row_of_a_part_leaves_the_rest_unexplained(void **state)
{
    (void)state;
    struct tree tree;
    tree_open(&tree, VENUE_BINANCE, "a");
    trades(&tree, 1, 1);
    trades(&tree, 10, 10);
    sequence_gap(&tree, CHANNEL_TRADES, 2, 3, GAP_RESOLVED_NONE);
    sequence_gap(&tree, CHANNEL_TRADES, 6, 7, GAP_RESOLVED_NONE);
    check_and_close(&tree, "ids_missing ids_missing", "ids 8 to 9 (2)");
}

static void gap_row_of_ids_that_are_there_is_found(void **state)
{
    (void)state;
    struct tree tree;
    tree_open(&tree, VENUE_BINANCE, "a");
    trades(&tree, 1, 10);
    sequence_gap(&tree, CHANNEL_TRADES, 4, 5, GAP_RESOLVED_NONE);
    check_and_close(&tree, "gap_unseen", "ids 4 to 5");
}

static void backfilled_rows_fill_a_hole_wherever_they_stand(void **state)
{
    (void)state;
    struct tree tree;
    tree_open(&tree, VENUE_BINANCE, "a");
    trades(&tree, 1, 3);
    trades(&tree, 7, 9);
    tree_wait(&tree, HOUR_MS);
    for (int64_t id = 4; id <= 6; id++) {
        tree_trade(&tree, id, TRADE_BACKFILL);
    }
    sequence_gap(&tree, CHANNEL_TRADES, 4, 6, GAP_RESOLVED_BACKFILL);
    check_and_close(&tree, "", NULL);
}

static void gap_row_told_at_a_stop_and_filled_after_it_is_no_lie(void **state)
{
    (void)state;
    struct tree tree;
    tree_open(&tree, VENUE_BINANCE, "a");
    trades(&tree, 1, 3);
    trades(&tree, 5, 6);
    sequence_gap(&tree, CHANNEL_TRADES, 4, 4, GAP_RESOLVED_NONE);
    tree_trade(&tree, 4, TRADE_BACKFILL);
    sequence_gap(&tree, CHANNEL_TRADES, 4, 4, GAP_RESOLVED_BACKFILL);
    check_and_close(&tree, "", NULL);
}

/* Half a second without 6 to 8, told open; then so many of them by REST. */
static void check_open_time(enum venue_id venue, int64_t filled, int64_t open_us)
{
    struct tree tree;
    static struct found found;
    bool counted = venue == VENUE_BINANCE;
    tree_open(&tree, venue, "a");
    trades(&tree, 1, 5);
    tree_wait(&tree, 400);
    trades(&tree, 9, 9);
    tree_gap(&tree, CHANNEL_TRADES, GAP_RECONNECT, counted ? 6 : ID_NONE, counted ? 8 : ID_NONE,
             GAP_RESOLVED_NONE, 5);
    trades(&tree, 10, 10);
    for (int64_t i = 0; i < filled; i++) {
        tree_trade(&tree, 6 + i, TRADE_BACKFILL);
        if (counted) { /* part by part */
            tree_gap(&tree, CHANNEL_TRADES, GAP_RECONNECT, 6 + i, 6 + i, GAP_RESOLVED_BACKFILL,
                     7 + i);
        }
    }
    if (!counted && filled > 0) {
        tree_gap(&tree, CHANNEL_TRADES, GAP_RECONNECT, ID_NONE, ID_NONE, GAP_RESOLVED_BACKFILL,
                 6 + filled);
    }
    tree_seal(&tree);
    tree_verify(&tree, &found);
    const struct verify_stream *stream = found_stream(&found, CHANNEL_TRADES);
    assert_string_equal(found.names, "");
    assert_int_equal(stream->resolved[GAP_RESOLVED_NONE], 1);
    assert_int_equal(stream->open_us, open_us);
    found_free(&found);
    tree_close(&tree);
}

static void what_is_filled_after_a_stop_is_not_open_time(void **state)
{
    (void)state;
    check_open_time(VENUE_BINANCE, 0, 500000);
    check_open_time(VENUE_BINANCE, 2, 500000); /* 8 is missing still */
    check_open_time(VENUE_BINANCE, 3, 0);
    check_open_time(VENUE_GATE, 0, 500000);
    check_open_time(VENUE_GATE, 3, 0);
}

static void backfill_that_is_said_and_not_done_is_found(void **state)
{
    (void)state;
    struct tree tree;
    tree_open(&tree, VENUE_BINANCE, "a");
    trades(&tree, 1, 3);
    trades(&tree, 7, 9);
    tree_trade(&tree, 4, TRADE_BACKFILL);
    tree_trade(&tree, 6, TRADE_BACKFILL);
    sequence_gap(&tree, CHANNEL_TRADES, 4, 6, GAP_RESOLVED_BACKFILL);
    check_and_close(&tree, "gap_unfilled", "ids 5 to 5 (1)");
}

static void backfill_in_a_file_that_is_lost_is_that_file_s_matter(void **state)
{
    (void)state;
    struct tree tree;
    char path[1024];
    tree_open(&tree, VENUE_BINANCE, "a");
    trades(&tree, 1, 3);
    trades(&tree, 7, 9);
    tree_wait(&tree, HOUR_MS);
    tree_trade(&tree, 10, 0);
    for (int64_t id = 4; id <= 6; id++) {
        tree_trade(&tree, id, TRADE_BACKFILL);
    }
    sequence_gap(&tree, CHANNEL_TRADES, 4, 6, GAP_RESOLVED_BACKFILL);
    tree_wait(&tree, HOUR_MS);
    tree_trade(&tree, 12, 0); /* 10 was in the file, 11 may have been */
    tree_seal(&tree);
    tree_path(&tree, CHANNEL_TRADES, 1, path);
    assert_int_equal(mdio_unlink(&tree.io, path), 0);
    check_and_close(&tree, "file_missing", NULL);
}

static void doubled_ids_are_found(void **state)
{
    (void)state;
    struct tree tree;
    tree_open(&tree, VENUE_BINANCE, "a");
    trades(&tree, 1, 5);
    trades(&tree, 4, 6);
    check_and_close(&tree, "ids_twice ids_twice", "the trade 5 is there twice");
}

static void plain_and_aggregated_trades_count_apart(void **state)
{
    (void)state;
    struct tree tree;
    tree_open(&tree, VENUE_BINANCE, "a");
    for (int64_t i = 0; i < 10; i++) {
        tree_trade(&tree, 100 + i, 0);
        if (i != 5) {
            tree_trade(&tree, 104 + i, TRADE_AGGREGATE);
        }
    }
    check(&tree, "ids_missing", "ids 109 to 109 (1)");
    tree_reopen(&tree, "a");
    sequence_gap(&tree, CHANNEL_TRADES, 109, 109, GAP_RESOLVED_NONE); /* plain has it */
    check_and_close(&tree, "", NULL);
}

static void ids_that_begin_anew_need_a_gap_row(void **state)
{
    (void)state;
    struct tree tree;
    tree_open(&tree, VENUE_BINANCE, "a");
    trades(&tree, 5000001, 5000003);
    trades(&tree, 1, 3);
    check(&tree, "ids_missing", "do not follow each other");
    tree_close(&tree);
    tree_open(&tree, VENUE_BINANCE, "a");
    trades(&tree, 5000001, 5000003);
    trades(&tree, 1, 1);
    sequence_gap(&tree, CHANNEL_TRADES, ID_NONE, ID_NONE, GAP_RESOLVED_NONE);
    trades(&tree, 2, 3);
    check_and_close(&tree, "", NULL);
}

static void venue_without_a_rule_proves_nothing_and_is_not_blamed(void **state)
{
    (void)state;
    struct tree tree;
    static struct found found;
    tree_open(&tree, VENUE_GATE, "a");
    trades(&tree, 1, 3);
    trades(&tree, 70, 71);
    tree_seal(&tree);
    tree_verify(&tree, &found);
    assert_string_equal(found.names, "");
    assert_true(found_stream(&found, CHANNEL_TRADES)->rule != CONTINUITY_PLUS_ONE);
    found_free(&found);
    tree_close(&tree);
}

/* ---- depth */

static void opening_book_must_be_what_the_rows_before_make(void **state)
{
    (void)state;
    struct tree tree;
    for (int wrong = 0; wrong < 2; wrong++) {
        tree_open(&tree, VENUE_BINANCE, "a");
        tree_book(&tree, 10, 100, true);
        tree_delta(&tree, 11, 12, ID_NONE, 98, 0);
        tree_delta(&tree, 13, 14, ID_NONE, 97, 7);
        tree_delta(&tree, 15, 16, ID_NONE, 98, 2);
        tree_delta(&tree, 17, 18, ID_NONE, 97, 0);
        tree_wait(&tree, HOUR_MS);
        tree_book(&tree, 18, 100 + wrong, true);
        tree_delta(&tree, 19, 20, ID_NONE, 99, 3);
        check_and_close(&tree, wrong ? "book_differs book_differs" : "",
                        wrong ? "bid 1, price 100" : NULL);
    }
}

static void delta_lost_before_an_hour_s_end_is_found_behind_the_opening_book(void **state)
{
    (void)state;
    struct tree tree;
    tree_open(&tree, VENUE_BINANCE, "a");
    tree_book(&tree, 10, 100, true);
    tree_delta(&tree, 11, 12, ID_NONE, 98, 5);
    tree_wait(&tree, HOUR_MS); /* 13 to 14 were here */
    tree_book(&tree, 14, 100, true);
    tree_delta(&tree, 15, 16, ID_NONE, 99, 3);
    check_and_close(&tree, "ids_missing", "ids 13 to 14 (2)");
}

static void mended_hole_in_depth_is_explained(void **state)
{
    (void)state;
    struct tree tree;
    for (int told = 0; told < 2; told++) {
        tree_open(&tree, VENUE_BINANCE, "a");
        tree_book(&tree, 10, 100, true);
        tree_delta(&tree, 11, 12, ID_NONE, 98, 5);
        tree_delta(&tree, 20, 21, ID_NONE, 97, 5);
        tree_book(&tree, 21, 100, false);
        if (told) {
            tree_gap(&tree, CHANNEL_DEPTH, GAP_SEQUENCE, 13, 19, GAP_RESOLVED_RESYNC, 2);
        }
        tree_delta(&tree, 22, 23, ID_NONE, 97, 5);
        check_and_close(&tree, told ? "" : "ids_missing", told ? NULL : "ids 13 to 19 (7)");
    }
}

static void rest_book_ahead_of_a_quiet_stream_is_a_bridge(void **state)
{
    (void)state;
    struct tree tree;
    tree_open(&tree, VENUE_BINANCE, "a");
    tree_delta(&tree, 11, 12, ID_NONE, 98, 5);
    tree_book(&tree, 15, 100, false);
    tree_delta(&tree, 16, 17, ID_NONE, 97, 5);
    check_and_close(&tree, "", NULL);
}

static void book_in_the_stream_ahead_of_it_needs_a_gap_row(void **state)
{
    (void)state;
    struct tree tree;
    for (int told = 0; told < 2; told++) {
        tree_open(&tree, VENUE_GATE, "a");
        tree_book(&tree, 10, 100, false);
        tree_delta(&tree, 11, 12, ID_NONE, 98, 5);
        tree_book(&tree, 15, 100, false);
        if (told) {
            tree_gap(&tree, CHANNEL_DEPTH, GAP_RECONNECT, 13, 15, GAP_RESOLVED_RESYNC, 1);
        }
        tree_delta(&tree, 16, 17, ID_NONE, 97, 5);
        check_and_close(&tree, told ? "" : "ids_missing", told ? NULL : "ids 13 to 15 (3)");
    }
}

static void message_without_levels_carries_its_ids(void **state)
{
    (void)state;
    struct tree tree;
    tree_open(&tree, VENUE_KUCOIN, "a");
    tree_book(&tree, 10, 100, true);
    tree_delta(&tree, 11, 12, ID_NONE, 98, 5);
    tree_delta(&tree, 13, 14, ID_NONE, 0, 0);
    tree_delta(&tree, 15, 15, ID_NONE, 98, 0);
    check_and_close(&tree, "", NULL);
}

static void doubled_updates_and_impossible_levels_are_found(void **state)
{
    (void)state;
    struct tree tree;
    tree_open(&tree, VENUE_BINANCE, "a");
    tree_book(&tree, 10, 100, true);
    tree_delta(&tree, 11, 12, ID_NONE, 98, 5);
    tree_delta(&tree, 11, 12, ID_NONE, 98, 5);
    tree_delta(&tree, 13, 14, ID_NONE, -98, 5);
    tree_delta(&tree, 15, 16, ID_NONE, 98, 5);
    tree_book(&tree, 12, 100, false);
    check_and_close(&tree, "ids_twice book_rows book_rows", "a book of id 12 behind rows up to 16");
}

static void ids_that_name_their_predecessor_break_by_time(void **state)
{
    (void)state;
    struct tree tree;
    for (int told = 0; told < 2; told++) {
        tree_open(&tree, VENUE_BINANCE_FUTURES, "a");
        tree_book(&tree, 10, 100, true);
        tree_delta(&tree, 9, 15, 8, 98, 5);
        tree_delta(&tree, 20, 25, 15, 98, 5);
        tree_delta(&tree, 31, 35, 30, 98, 5); /* 25 .. 30 is not here */
        if (told) {
            sequence_gap(&tree, CHANNEL_DEPTH, ID_NONE, ID_NONE, GAP_RESOLVED_NONE);
        }
        tree_delta(&tree, 36, 39, 35, 98, 5);
        check_and_close(&tree, told ? "" : "ids_missing", NULL);
    }
    tree_open(&tree, VENUE_BINANCE_FUTURES, "a");
    tree_delta(&tree, 9, 15, 8, 98, 5);
    tree_delta(&tree, 20, 25, 15, 98, 5);
    tree_delta(&tree, 31, 35, 25, 98, 5);
    tree_gap(&tree, CHANNEL_DEPTH, GAP_SEQUENCE, ID_NONE, ID_NONE, GAP_RESOLVED_NONE, 1);
    tree_delta(&tree, 36, 39, 35, 98, 5);
    check_and_close(&tree, "gap_unseen", "the rows follow each other there");
}

/* ---- rows and files */

static void rows_that_go_back_are_found(void **state)
{
    (void)state;
    struct tree tree;
    tree_open(&tree, VENUE_BINANCE, "a");
    trades(&tree, 1, 3);
    tree_wait(&tree, -250);
    trades(&tree, 4, 4);
    tree_wait(&tree, 250);
    trades(&tree, 5, 6);
    check(&tree, "row_order", "time goes back");
    tree_close(&tree);
    tree_open(&tree, VENUE_BINANCE, "a");
    tree.seq = 10;
    trades(&tree, 1, 3);
    tree.seq = 10;
    trades(&tree, 4, 20);
    check_and_close(&tree, "row_order", "local_seq goes back from 13 to 11");
}

static void two_recorders_at_one_time_are_told_apart(void **state)
{
    (void)state;
    struct tree tree;
    tree_open(&tree, VENUE_BINANCE, "a");
    trades(&tree, 1, 10);
    tree_seal(&tree);
    tree_reopen(&tree, "b");
    tree_wait(&tree, -500);
    trades(&tree, 5, 15);
    check_and_close(&tree, "files_overlap", "another recorder's");
}

static void only_the_period_asked_for_is_looked_at(void **state)
{
    (void)state;
    struct tree tree;
    static struct found found;
    tree_open(&tree, VENUE_BINANCE, "a");
    trades(&tree, 1, 5);
    trades(&tree, 9, 10);
    tree_wait(&tree, HOUR_MS);
    trades(&tree, 11, 13);
    tree_seal(&tree);
    int64_t later_us = (TREE_START_NS + NS_PER_HOUR) / NS_PER_US;
    struct catalog_options options = {.since_us = later_us, .until_us = TIME_NONE};
    tree_verify_with(&tree, &options, &found);
    assert_string_equal(found.names, "");
    assert_int_equal(found_stream(&found, CHANNEL_TRADES)->rows, 3);
    found_free(&found);
    options = (struct catalog_options){.since_us = TIME_NONE, .until_us = later_us};
    tree_verify_with(&tree, &options, &found);
    assert_string_equal(found.names, "ids_missing");
    assert_int_equal(found_stream(&found, CHANNEL_TRADES)->rows, 7);
    found_free(&found);
    tree_close(&tree);
}

static struct tree two_hours(void)
{
    struct tree tree;
    tree_open(&tree, VENUE_BINANCE, "a");
    trades(&tree, 1, 30);
    tree_wait(&tree, HOUR_MS);
    trades(&tree, 31, 40);
    tree_seal(&tree);
    return tree;
}

/* Every so many bytes of a file, one bit: named, wherever it is. */
static void damaged_file_is_named(void **state)
{
    (void)state;
    struct tree tree = two_hours();
    static struct found found;
    char path[1024];
    size_t bytes;
    tree_path(&tree, CHANNEL_TRADES, 0, path);
    char *whole = tree_read(&tree, path, &bytes);
    for (size_t at = 0; at < bytes; at += 101) {
        char bit = (char)(whole[at] ^ (1 << (at % 8)));
        assert_int_equal(mdio_mem_damage(&tree.io, path, (int64_t)at, &bit, 1), 0);
        tree_verify(&tree, &found);
        assert_non_null(strstr(found.names, "file_damaged"));
        assert_non_null(strstr(found.texts, path));
        assert_null(strstr(found.names, "ids_missing")); /* its rows are not lost twice */
        found_free(&found);
        assert_int_equal(mdio_mem_damage(&tree.io, path, (int64_t)at, &whole[at], 1), 0);
    }
    check(&tree, "", NULL);
    for (size_t cut = 0; cut < bytes; cut += bytes / 5) {
        assert_int_equal(mdio_mem_damage(&tree.io, path, (int64_t)cut, NULL, 0), 0);
        tree_verify(&tree, &found);
        assert_non_null(strstr(found.names, "file_damaged"));
        assert_non_null(strstr(found.texts, "bytes, its manifest line says"));
        found_free(&found);
        tree_write(&tree, path, whole, bytes);
    }
    free(whole);
    tree_close(&tree);
}

static void missing_file_and_strange_file_are_named(void **state)
{
    (void)state;
    struct tree tree = two_hours();
    char path[1024], away[1100];
    tree_path(&tree, CHANNEL_TRADES, 1, path);
    snprintf(away, sizeof away, "%s", path);
    memcpy(strstr(away, "-a-"), "-b-", 3);
    assert_int_equal(mdio_rename(&tree.io, path, away), 0);
    check(&tree, "file_unnamed file_missing", path);
    check(&tree, "file_unnamed file_missing", away);
    check(&tree, "file_unnamed file_missing", "manifest/binance-2026-11-23.jsonl line 2");
    assert_int_equal(mdio_unlink(&tree.io, away), 0);
    check_and_close(&tree, "file_missing", "10 rows of local_seq 31 to 40");
}

#define MANIFEST "manifest/binance-2026-11-23.jsonl"

/* Every byte of a line: its checksum tells, and the file it named is named by none. */
static void edited_manifest_is_named(void **state)
{
    (void)state;
    struct tree tree = two_hours();
    static struct found found;
    size_t bytes;
    char *text = tree_read(&tree, MANIFEST, &bytes);
    size_t line = (size_t)(strchr(text, '\n') - text);
    for (size_t at = 0; at < line; at += 13) {
        char other = text[at] == '1' ? '2' : '1';
        assert_int_equal(mdio_mem_damage(&tree.io, MANIFEST, (int64_t)at, &other, 1), 0);
        tree_verify(&tree, &found);
        assert_string_equal(found.names, "manifest_line file_unnamed");
        assert_non_null(strstr(found.texts, "line 1: damaged or edited"));
        found_free(&found);
        assert_int_equal(mdio_mem_damage(&tree.io, MANIFEST, (int64_t)at, &text[at], 1), 0);
    }
    tree_write(&tree, MANIFEST, text + line + 1, bytes - line - 1); /* a line cut out */
    check(&tree, "file_unnamed", "no manifest line names this file");
    free(text);
    tree_close(&tree);
}

/* `from` becomes `to` in line 1, and its checksum is made anew: what only the file can tell. */
static void forge(struct tree *tree, const char *text, const char *from, const char *to)
{
    char line[2 * MANIFEST_LINE_MAX];
    const char *end = strchr(text, '\n');
    const char *at = strstr(text, from);
    assert_non_null(at);
    assert_true(at < end);
    int bytes = snprintf(line, sizeof line, "%.*s%s%.*s", (int)(at - text), text, to,
                         (int)(end - at - (ptrdiff_t)strlen(from)), at + strlen(from));
    char *crc = strstr(line, ",\"crc32c\"");
    assert_non_null(crc);
    snprintf(crc, sizeof line - (size_t)(crc - line), ",\"crc32c\":\"%08x\"}%s",
             crc32c(0, line, (size_t)(crc - line)), end);
    (void)bytes;
    tree_write(tree, MANIFEST, line, strlen(line));
}

static void manifest_forged_with_its_checksum_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *names, *words;
        const char *in_text; /* findings where the file says nothing of itself; NULL = the same */
    } edits[] = {
        {"\"rows\":30", "\"rows\":31", "file_differs", "rows: the manifest line says 31", NULL},
        {"\"bytes\":", "\"bytes\":1", "file_damaged", "its manifest line says 1", NULL},
        {"\"first_local_seq\":1,", "\"first_local_seq\":2,", "file_differs file_differs",
         "first_local_seq", "file_differs"},
        {"\"last_local_seq\":30", "\"last_local_seq\":29", "file_differs file_differs",
         "last_local_seq", "file_differs"},
        {"\"first_sequence\":1,", "\"first_sequence\":4,", "file_differs", "first_sequence", NULL},
        {"\"last_sequence\":30", "\"last_sequence\":34", "file_differs", "last_sequence", NULL},
        {"\"first_local_timestamp\":17954244001", "\"first_local_timestamp\":17954244002",
         "file_differs", "first_local_timestamp", NULL},
        {"\"last_local_timestamp\":1795424403", "\"last_local_timestamp\":1795424402",
         "file_differs", "last_local_timestamp", NULL},
        {"\"gaps\":0", "\"gaps\":1", "file_differs", "gaps: the manifest line says 1", ""},
        {"\"missing_ids\":0", "\"missing_ids\":9", "file_differs", "missing_ids", ""},
        {"\"digits_over_15\":0", "\"digits_over_15\":1", "file_differs", "digits_over_15", ""},
        {"\"recorder\":\"a\"", "\"recorder\":\"z\"", "file_differs", "recorder", ""},
        {"\"schema\":\"trades\"", "\"schema\":\"tradez\"", "file_differs", "schema", ""},
        {"\"schema_version\":1", "\"schema_version\":2", "file_differs", "schema_version", ""},
        {"\"sha256\":\"", "\"sha256\":\"0", NULL, NULL, NULL}, /* made right below */
    };
    struct tree tree = two_hours();
    size_t bytes;
    char *text = tree_read(&tree, MANIFEST, &bytes);
    for (size_t i = 0; i + 1 < sizeof edits / sizeof edits[0]; i++) {
        forge(&tree, text, edits[i].from, edits[i].to);
        bool in_text = tree_format != FORMAT_PARQUET && edits[i].in_text != NULL;
        const char *names = in_text ? edits[i].in_text : edits[i].names;
        check(&tree, names, names[0] != 0 ? edits[i].words : NULL);
    }
    char from[32], to[32];
    const char *sha = strstr(text, "\"sha256\":\"");
    snprintf(from, sizeof from, "%.20s", sha);
    snprintf(to, sizeof to, "%.19s%c", sha, sha[19] == '0' ? '1' : '0');
    forge(&tree, text, from, to);
    check(&tree, "file_damaged", "SHA-256");
    /* another symbol: the file is not where such a file lies, nor are its rows */
    forge(&tree, text, "\"symbol\":\"AB\"", "\"symbol\":\"AC\"");
    static struct found found;
    tree_verify(&tree, &found);
    assert_non_null(strstr(found.names, "row_strange"));
    assert_non_null(strstr(found.texts, tree_format == FORMAT_PARQUET
                                            ? "symbol: the manifest line says AC"
                                            : "a row of binance AB"));
    found_free(&found);
    free(text);
    tree_close(&tree);
}

#define TEST_LIST(X)                                                    \
    X(whole_stream_has_no_findings_and_is_covered)                      \
    X(hole_with_its_gap_row_is_explained_and_measured)                  \
    X(hole_without_a_gap_row_is_found_with_its_extent)                  \
    X(hole_over_an_hour_s_end_is_found)                                 \
    X(gap_row_of_a_part_leaves_the_rest_unexplained)                    \
    X(gap_row_of_ids_that_are_there_is_found)                           \
    X(backfilled_rows_fill_a_hole_wherever_they_stand)                  \
    X(gap_row_told_at_a_stop_and_filled_after_it_is_no_lie)             \
    X(what_is_filled_after_a_stop_is_not_open_time)                     \
    X(backfill_that_is_said_and_not_done_is_found)                      \
    X(backfill_in_a_file_that_is_lost_is_that_file_s_matter)            \
    X(doubled_ids_are_found)                                            \
    X(plain_and_aggregated_trades_count_apart)                          \
    X(ids_that_begin_anew_need_a_gap_row)                               \
    X(venue_without_a_rule_proves_nothing_and_is_not_blamed)            \
    X(opening_book_must_be_what_the_rows_before_make)                   \
    X(delta_lost_before_an_hour_s_end_is_found_behind_the_opening_book) \
    X(mended_hole_in_depth_is_explained)                                \
    X(rest_book_ahead_of_a_quiet_stream_is_a_bridge)                    \
    X(book_in_the_stream_ahead_of_it_needs_a_gap_row)                   \
    X(message_without_levels_carries_its_ids)                           \
    X(doubled_updates_and_impossible_levels_are_found)                  \
    X(ids_that_name_their_predecessor_break_by_time)                    \
    X(rows_that_go_back_are_found)                                      \
    X(two_recorders_at_one_time_are_told_apart)                         \
    X(only_the_period_asked_for_is_looked_at)                           \
    X(damaged_file_is_named)                                            \
    X(missing_file_and_strange_file_are_named)                          \
    X(edited_manifest_is_named)                                         \
    X(manifest_forged_with_its_checksum_is_named)

/* All of it on files of each format: what is found does not depend on it. */
static int parquet(void **state)
{
    (void)state;
    tree_format = FORMAT_PARQUET;
    return 0;
}

static int jsonl(void **state)
{
    (void)state;
    tree_format = FORMAT_JSONL;
    return 0;
}

static int csv(void **state)
{
    (void)state;
    tree_format = FORMAT_CSV;
    return 0;
}

int main(void)
{
#define ON_PARQUET(name) {#name ", Parquet", name, parquet, NULL, NULL},
#define ON_JSONL(name) {#name ", JSONL", name, jsonl, NULL, NULL},
#define ON_CSV(name) {#name ", CSV", name, csv, NULL, NULL},
    const struct CMUnitTest tests[] = {TEST_LIST(ON_PARQUET) TEST_LIST(ON_JSONL) TEST_LIST(ON_CSV)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
