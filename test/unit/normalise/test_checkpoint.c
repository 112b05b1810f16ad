#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "normalise/book_internal.h"
#include "normalise_kit.h"

#define PARTS_MAX 64

struct parts {
    struct str parts[PARTS_MAX];
    size_t count;
};

static void on_part(void *context, struct str part)
{
    struct parts *parts = context;
    assert_true(parts->count < PARTS_MAX);
    char *copy = malloc(part.bytes);
    memcpy(copy, part.data, part.bytes);
    parts->parts[parts->count++] = str_make(copy, part.bytes);
}

static struct parts checkpoint_of(const struct kit *kit, size_t part_bytes)
{
    struct parts parts = {.count = 0};
    normalise_checkpoint(kit->normalise, part_bytes, on_part, &parts);
    for (size_t i = 0; i < parts.count; i++) {
        assert_true(parts.parts[i].bytes <= part_bytes);
    }
    return parts;
}

static void free_parts(struct parts *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        free((void *)(uintptr_t)parts->parts[i].data);
    }
    parts->count = 0;
}

static int restore(struct kit *kit, const struct parts *parts)
{
    int code = 0;
    for (size_t i = 0; i < parts->count; i++) {
        int part = normalise_restore(kit->normalise, parts->parts[i]);
        code = code != 0 ? code : part;
        normalise_check(kit->normalise);
    }
    return code;
}

/* A kit that goes on where `kit` stands. */
static struct kit *reborn(const struct kit *kit, const struct normalise_config *config)
{
    struct kit *next = kit_open(config);
    struct parts parts = checkpoint_of(kit, NORMALISE_PART_BYTES_MIN);
    assert_int_equal(restore(next, &parts), 0);
    free_parts(&parts);
    next->now_s = kit->now_s;
    next->seq = kit->seq;
    next->conn = kit->conn;
    next->digest = kit->digest;
    return next;
}

/* ---- random sessions */

static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

#define SYMBOLS 5

struct step {
    int what;
    const char *symbol;
    int64_t first, last;
    char text[600];
};

static const char *const symbols[SYMBOLS] = {"A", "BB", "CCC", "DDDDDDDDDDDD", "E"};
static int64_t ids[SYMBOLS][3];

static void random_levels(char *out, size_t capacity, uint64_t count)
{
    struct buf buf = buf_over(out, capacity - 1);
    for (uint64_t i = 0; i < count; i++) {
        const char *places[] = {"", ".0", ".00", ".125"};
        long long price =
            (long long)(random_below(8) == 0 ? random_below(3000) : random_below(200));
        bool bid = random_below(2) == 0;
        buf_printf(&buf, "%s%c %lld%s %llu%s", i > 0 ? ", " : "", bid ? 'b' : 'a',
                   bid ? 5000 - price : 5001 + price, places[random_below(4)],
                   (unsigned long long)random_below(3), places[random_below(4)]);
    }
    out[buf.bytes] = 0;
}

static struct step random_step(void)
{
    struct step step = {.what = (int)random_below(100)};
    if (step.what >= 80 && step.what < 89 && random_below(4) != 0) {
        step.what -= 80; /* most of the time nothing breaks, so that books can grow */
    }
    size_t s = random_below(SYMBOLS);
    step.symbol = symbols[s];
    int64_t *id = ids[s];
    int64_t jump = random_below(40) == 0 ? (int64_t)random_below(5) : 0;
    if (step.what < 45) { /* delta */
        int64_t back = random_below(30) == 0 ? (int64_t)random_below(6) : 0;
        step.first = id[0] + 1 + jump - back;
        step.last = step.first + (int64_t)random_below(3);
        id[0] = step.last > id[0] ? step.last : id[0];
        random_levels(step.text, sizeof step.text, random_below(12));
    } else if (step.what < 51) { /* snapshot */
        step.last = id[0] - 3 + (int64_t)random_below(6);
        random_levels(step.text, sizeof step.text, random_below(30));
    } else if (step.what < 71) { /* trade, aggregate */
        int k = step.what < 63 ? 1 : 2;
        step.last = id[k] += 1 + jump;
        step.last -= random_below(20) == 0;
    } else if (step.what < 80) {
        step.last = (int64_t)random_below(100);
    }
    return step;
}

static void session(struct kit *kit, const struct step *step)
{
    int what = step->what;
    if (what < 45) {
        kit_delta(kit, step->symbol, step->first, step->last, step->text);
    } else if (what < 51) {
        kit_snapshot(kit, step->symbol, step->last, step->text);
    } else if (what < 63) {
        kit_trade(kit, step->symbol, step->last);
    } else if (what < 71) {
        kit_aggregate(kit, step->symbol, step->last);
    } else if (what < 80) {
        kit_ticker(kit, step->symbol, step->last);
    } else if (what < 84) {
        kit_record(kit, RECORD_CLOSE, "1006", "");
        kit->conn++;
        kit_subscribe(kit, "\"a@depth@100ms\",\"bb@trade\"");
    } else if (what < 86) {
        kit_undecodable(kit, what == 84 ? -1 : CHANNEL_TRADES, "no JSON");
    } else if (what < 87) {
        kit_record(kit, RECORD_DROP, "3 trades 0 9000000000000", "");
    } else if (what < 88) {
        kit_record(kit, RECORD_STOP, "", "");
        kit_record(kit, RECORD_START, "", "");
    } else if (what < 89) {
        kit_record(kit, RECORD_START, "", "");
    } else {
        kit_tick(kit);
    }
}

static void compare_stats(const struct kit *a, const struct kit *b)
{
    struct normalise_stats one = normalise_stats(a->normalise);
    struct normalise_stats two = normalise_stats(b->normalise);
    assert_int_equal(one.streams, two.streams);
    assert_int_equal(one.books, two.books);
    assert_int_equal(one.books_truncated, two.books_truncated);
    assert_int_equal(one.book_bytes_used, two.book_bytes_used);
    assert_int_equal(one.open_gaps, two.open_gaps);
}

/* Two go through the same session, one of them born again now and then: nobody can tell. Returns
 * whether memory ran short for levels and for deltas. */
static bool run_session(uint64_t seed, const struct normalise_config *config)
{
    random_state = seed;
    memset(ids, 0, sizeof ids);
    struct kit *steady = kit_open(config);
    struct kit *other = kit_open(config);
    bool truncated = false;
    steady->no_check = true;
    for (int i = 0; i < 3000; i++) {
        struct step step = random_step();
        session(steady, &step);
        session(other, &step);
        if (steady->lines.bytes != other->lines.bytes ||
            memcmp(steady->text, other->text, other->lines.bytes) != 0 ||
            steady->digest != other->digest) {
            fail_msg("seed %llu, step %d:\n%.*s---\n%.*s", (unsigned long long)seed, i,
                     (int)steady->lines.bytes, steady->text, (int)other->lines.bytes, other->text);
        }
        buf_reset(&steady->lines);
        buf_reset(&other->lines);
        compare_stats(steady, other);
        truncated = truncated || normalise_stats(steady->normalise).books_truncated > 0;
        if (random_below(25) == 0) {
            struct kit *next = reborn(other, config);
            kit_close(other);
            other = next;
        }
    }
    struct normalise_stats stats = normalise_stats(steady->normalise);
    assert_true(stats.gaps > 50); /* something happened */
    assert_true(config != NULL || stats.resyncs > 5);
    assert_true(config != NULL || stats.snapshots_joined > 20);
    kit_close(steady);
    kit_close(other);
    return truncated && stats.deltas_not_kept > 0;
}

static void restored_object_goes_on_as_if_it_had_never_stopped(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        run_session(seed, NULL);
    }
}

/* Truncated books and deltas that are not kept: what goes must not depend on the restart. */
static void restored_object_runs_short_of_memory_at_the_same_levels(void **state)
{
    (void)state;
    struct normalise_config config = kit_config;
    config.book_bytes = 24 * sizeof(struct book_node);
    config.pending_deltas_bytes = 700;
    config.open_gaps_max = 3;
    int short_runs = 0;
    for (uint64_t seed = 101; seed <= 108; seed++) {
        short_runs += run_session(seed, &config);
    }
    assert_in_range(short_runs, 4, 8);
    config.books_max = 2;
    run_session(200, &config);
    config.book_enabled = false;
    config.streams_max = 9;
    random_state = 300;
    struct kit *kit = kit_open(&config); /* too few gaps to count; only that it works */
    for (int i = 0; i < 500; i++) {
        struct step step = random_step();
        session(kit, &step);
        kit_close(reborn(kit, &config));
    }
    kit_close(kit);
}

/* ---- what cannot be restored */

static struct kit *kit;
static struct normalise_config config;

static int open_kit(void **state)
{
    (void)state;
    config = kit_config;
    config.book_bytes = 512 * sizeof(struct book_node);
    kit = kit_open(&config);
    kit->no_check = true;
    kit->quiet = true;
    for (int s = 0; s < 5; s++) { /* books of several parts */
        char symbol[8], levels[64];
        snprintf(symbol, sizeof symbol, "S%d", s);
        kit_delta(kit, symbol, 1, 1, "");
        kit_snapshot(kit, symbol, 1, "b 1.5 1, a 900000 7");
        for (int i = 0; i < 400; i++) {
            snprintf(levels, sizeof levels, "b %d.25 1234567890.12345678", 1000 + (i * 37) % 400);
            kit_delta(kit, symbol, i + 2, i + 2, levels);
        }
    }
    for (int i = 0; i < 1500; i++) { /* several inner nodes, half full */
        char levels[64];
        snprintf(levels, sizeof levels, "a %d 5", 5000 + (i * 787) % 1500);
        kit_delta(kit, "DEEP", i, i, levels);
        if (i == 0) {
            kit_snapshot(kit, "DEEP", 0, "b 1 1");
        }
    }
    kit_trade(kit, "S1", 7);
    kit_trade(kit, "S4", 7);
    kit_delta(kit, "S5", 5, 5, "b 1 1");
    kit_delta(kit, "S5", 9, 9, "b 2 2");
    return 0;
}

static int close_kit(void **state)
{
    (void)state;
    kit_close(kit);
    return 0;
}

static bool has_book(const struct kit *of, const char *symbol)
{
    const struct book *book = normalise_book(of->normalise, VENUE_BINANCE, str_from(symbol));
    if (book != NULL) {
        assert_int_equal(book_level_count(book, BOOK_BID), 401);
        assert_int_equal(book_level_count(book, BOOK_ASK), 1);
    }
    return book != NULL;
}

static void checkpoint_comes_in_parts_that_bring_everything_back(void **state)
{
    (void)state;
    struct parts parts = checkpoint_of(kit, NORMALISE_PART_BYTES_MIN);
    assert_in_range(parts.count, 4, PARTS_MAX);
    struct kit *other = kit_open(&config);
    assert_int_equal(restore(other, &parts), 0);
    assert_true(has_book(other, "S0"));
    assert_true(has_book(other, "S4"));
    compare_stats(kit, other);
    assert_int_equal(normalise_stats(other->normalise).books, 6);
    assert_int_equal(normalise_stats(other->normalise).open_gaps, 1);
    struct parts again = checkpoint_of(other, NORMALISE_PART_BYTES_MIN);
    assert_int_equal(again.count, parts.count);
    for (size_t i = 0; i < parts.count; i++) {
        assert_true(str_equal(parts.parts[i], again.parts[i]));
    }
    kit_snapshot(other, "S5", 9, "b 3 3");
    EXPECT(other, "snapshot S5 9: b 3 3\n"
                  "gap incremental_book_L2 S5 sequence 6-8 missing 3 0..0 resync\n");
    free_parts(&again);
    free_parts(&parts);
    kit_close(other);
}

static void larger_parts_hold_the_same(void **state)
{
    (void)state;
    struct parts parts = checkpoint_of(kit, 1 << 20);
    assert_int_equal(parts.count, 1);
    struct kit *other = kit_open(&config);
    assert_int_equal(restore(other, &parts), 0);
    assert_true(has_book(other, "S4"));
    free_parts(&parts);
    kit_close(other);
}

/* Whatever is behind the lost part is cold, and nothing stands in another's place. */
static void lost_part_costs_what_is_behind_it(void **state)
{
    (void)state;
    struct parts parts = checkpoint_of(kit, NORMALISE_PART_BYTES_MIN);
    int before = 0; /* books that came back when a part less was there */
    for (size_t lost = 0; lost < parts.count; lost++) {
        struct kit *other = kit_open(&config);
        int whole = 0;
        for (size_t i = 0; i < parts.count; i++) {
            if (i != lost) {
                int code = normalise_restore(other->normalise, parts.parts[i]);
                assert_int_equal(code, i < lost ? 0 : MD_ECORRUPT);
                normalise_check(other->normalise);
            }
        }
        for (int s = 0; s < 5; s++) {
            char symbol[8];
            snprintf(symbol, sizeof symbol, "S%d", s);
            if (has_book(other, symbol)) {
                whole++;
                continue;
            }
            kit_delta(other, symbol, 402, 402, ""); /* cold: begins anew, from nothing */
            kit_lines(other);
            kit_snapshot(other, symbol, 402, "b 1 1");
            char expected[64];
            snprintf(expected, sizeof expected, "snapshot S%d 402: b 1 1\n", s);
            EXPECT(other, expected);
        }
        assert_in_range(whole, before, lost == 0 ? 0 : 5);
        before = whole;
        assert_in_range(normalise_stats(other->normalise).books, 5, 6); /* DEEP may be cold */
        kit_close(other);
    }
    assert_in_range(before, 3, 5);
    free_parts(&parts);
}

static void newer_checkpoint_replaces_an_older_one(void **state)
{
    (void)state;
    struct kit *other = kit_open(&config);
    struct parts parts = checkpoint_of(kit, NORMALISE_PART_BYTES_MIN);
    normalise_restore(other->normalise, parts.parts[0]);
    normalise_restore(other->normalise, parts.parts[1]);
    assert_int_equal(restore(other, &parts), 0);
    assert_int_equal(restore(other, &parts), 0);
    assert_int_equal(normalise_stats(other->normalise).books, 6);
    assert_int_equal(normalise_stats(other->normalise).open_gaps, 1);
    free_parts(&parts);
    kit_close(other);
}

static void books_that_do_not_fit_any_more_begin_cold(void **state)
{
    (void)state;
    config.book_bytes = 32 * sizeof(struct book_node);
    struct kit *other = reborn(kit, &config);
    int whole = 0;
    for (int s = 0; s < 5; s++) {
        char symbol[8];
        snprintf(symbol, sizeof symbol, "S%d", s);
        whole += has_book(other, symbol);
    }
    assert_in_range(whole, 1, 3);
    kit_trade(other, "S4", 9);
    EXPECT(other, "gap trades S4 sequence 8-8 missing 1 0..0 none\ntrade S4 9\n");
    kit_tick(other);
    kit_lines(other);
    kit_close(other);
    config.book_enabled = false;
    config.settings_fixed = true;
    other = reborn(kit, &config);
    assert_int_equal(normalise_stats(other->normalise).books, 0);
    kit_delta(other, "S4", 403, 403, "");
    EXPECT(other, "gap incremental_book_L2 S4 sequence 402-402 missing 1 0..0 none\n"
                  "delta S4 403-403\n");
    kit_close(other);
}

static void settings_of_a_checkpoint_hold_until_a_run_brings_its_own(void **state)
{
    (void)state;
    config.book_enabled = false;
    struct kit *other = reborn(kit, &config);
    assert_int_equal(normalise_stats(other->normalise).books, 6);
    assert_int_equal(normalise_stats(other->normalise).open_gaps, 1);
    struct record record = {.seq = 99, .time_unix_ns = 9 * NS_PER_S, .kind = RECORD_CONFIG};
    other->quiet = true;
    normalise_configure(other->normalise, &record, &config);
    other->quiet = false;
    normalise_check(other->normalise);
    assert_int_equal(normalise_stats(other->normalise).books, 0);
    assert_int_equal(normalise_stats(other->normalise).open_gaps, 0);
    kit_delta(other, "S4", 403, 403, "");
    EXPECT(other, "gap incremental_book_L2 S4 sequence 402-402 missing 1 0..0 none\n"
                  "delta S4 403-403\n");
    config.book_enabled = true;
    normalise_configure(other->normalise, &record, &config);
    normalise_check(other->normalise);
    kit_delta(other, "S4", 404, 404, "");
    EXPECT(other, "delta S4 404-404\nwant S4\n");
    kit_close(other);
}

static void fewer_streams_than_before_refuse_the_rest(void **state)
{
    (void)state;
    config.streams_max = 3;
    struct kit *other = kit_open(&config);
    struct parts parts = checkpoint_of(kit, NORMALISE_PART_BYTES_MIN);
    assert_int_equal(restore(other, &parts), MD_ECORRUPT);
    kit_delta(other, "S0", 402, 402, "");
    EXPECT(other, "delta S0 402-402\nwant S0\n");
    free_parts(&parts);
    kit_close(other);
}

static void other_versions_and_nothing_are_refused(void **state)
{
    (void)state;
    struct kit *other = kit_open(NULL);
    assert_int_equal(normalise_restore(other->normalise, (struct str){0}), MD_ECORRUPT);
    assert_int_equal(normalise_restore(other->normalise, STR("\005\000N")), MD_ECORRUPT);
    assert_int_equal(normalise_restore(other->normalise, STR("\006")), MD_ECORRUPT);
    assert_int_equal(normalise_restore(other->normalise, STR("\006\000?")), MD_ECORRUPT);
    assert_int_equal(normalise_restore(other->normalise, STR("\006\000")), 0);
    kit_close(other);
}

/* Cut at every length, and with every byte wrong: refused or harmless, never unsound. */
static void damaged_parts_leave_a_sound_object(void **state)
{
    (void)state;
    struct kit *small = kit_open(NULL);
    small->quiet = true;
    kit_delta(small, "A", 1, 1, "");
    kit_snapshot(small, "A", 1, "b 1 1, b 2 2, a 3 3");
    kit_delta(small, "B", 1, 1, "b 7.5 1");
    kit_delta(small, "B", 4, 4, "a 8 1");
    kit_trade(small, "A", 7);
    kit_undecodable(small, 1, "x");
    kit_record(small, RECORD_DROP, "1 trades 1 2", "");
    struct parts parts = checkpoint_of(small, NORMALISE_PART_BYTES_MIN);
    assert_int_equal(parts.count, 1);
    struct str part = parts.parts[0];
    char *bytes = malloc(part.bytes);
    for (size_t i = 0; i < part.bytes * 10; i++) {
        size_t at = i / 10;
        static const char masks[] = {1, 2, 4, 8, 16, 32, 64, (char)128, (char)255};
        memcpy(bytes, part.data, part.bytes);
        bytes[at] = (char)(bytes[at] ^ (i % 10 < 9 ? masks[i % 10] : 0));
        struct kit *other = kit_open(NULL);
        other->quiet = true;
        normalise_restore(other->normalise, str_make(bytes, i % 10 < 9 ? part.bytes : at));
        normalise_check(other->normalise);
        kit_delta(other, "A", 2, 2, "b 1 0");
        kit_delta(other, "B", 5, 5, "");
        kit_snapshot(other, "B", 4, "b 1 1");
        kit_tick(other);
        kit_record(other, RECORD_STOP, "", "");
        kit_close(other);
    }
    free(bytes);
    free_parts(&parts);
    kit_close(small);
}

#define KIT_TEST(name) cmocka_unit_test_setup_teardown(name, open_kit, close_kit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(checkpoint_comes_in_parts_that_bring_everything_back),
        KIT_TEST(larger_parts_hold_the_same),
        KIT_TEST(lost_part_costs_what_is_behind_it),
        KIT_TEST(newer_checkpoint_replaces_an_older_one),
        KIT_TEST(books_that_do_not_fit_any_more_begin_cold),
        KIT_TEST(settings_of_a_checkpoint_hold_until_a_run_brings_its_own),
        KIT_TEST(fewer_streams_than_before_refuse_the_rest),
        KIT_TEST(other_versions_and_nothing_are_refused),
        KIT_TEST(damaged_parts_leave_a_sound_object),
        cmocka_unit_test(restored_object_goes_on_as_if_it_had_never_stopped),
        cmocka_unit_test(restored_object_runs_short_of_memory_at_the_same_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
