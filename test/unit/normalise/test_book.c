#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "normalise/book_internal.h"

static struct decimal number(const char *text)
{
    struct decimal value;
    assert_int_equal(decimal_parse(str_from(text), &value), 0);
    return value;
}

static int set(struct book *book, enum book_side side, const char *price, const char *amount)
{
    int code = book_level_set(book, side, number(price), number(amount));
    book_check(book);
    return code;
}

/* "price amount" of each level, best first, bids then asks. */
static const char *shown(const struct book *book)
{
    static char text[4096];
    struct level levels[64];
    struct buf out = buf_over(text, sizeof text - 1);
    for (int side = 0; side < 2; side++) {
        uint32_t count = book_levels(book, (enum book_side)side, levels, 64);
        for (uint32_t i = 0; i < count; i++) {
            char price[DECIMAL_TEXT_MAX], amount[DECIMAL_TEXT_MAX];
            decimal_format_short(levels[i].price, price);
            decimal_format_short(levels[i].amount, amount);
            buf_printf(&out, "%s%c %s %s", out.bytes > 0 ? ", " : "", side == 0 ? 'b' : 'a', price,
                       amount);
        }
    }
    text[out.bytes] = 0;
    return text;
}

static struct book_pool *pool;
static struct book *book;

static int open_books(void **state)
{
    (void)state;
    pool = book_pool_create(64 * sizeof(struct book_node), 3);
    book = book_acquire(pool);
    return book == NULL;
}

static int close_books(void **state)
{
    (void)state;
    book_pool_destroy(pool);
    return 0;
}

static void book_keeps_levels_best_first(void **state)
{
    (void)state;
    set(book, BOOK_BID, "10.1", "1");
    set(book, BOOK_BID, "10.3", "3");
    set(book, BOOK_BID, "10.2", "2");
    set(book, BOOK_ASK, "10.6", "6");
    set(book, BOOK_ASK, "10.4", "4");
    set(book, BOOK_ASK, "10.5", "5");
    assert_string_equal(shown(book), "b 10.3 3, b 10.2 2, b 10.1 1, a 10.4 4, a 10.5 5, a 10.6 6");
    assert_int_equal(book_level_count(book, BOOK_BID), 3);
    assert_int_equal(book_level_count(book, BOOK_ASK), 3);
    assert_false(book_crossed(book));
}

static void book_replaces_an_amount_and_deletes_at_zero(void **state)
{
    (void)state;
    set(book, BOOK_BID, "10", "1");
    set(book, BOOK_BID, "9", "2");
    assert_int_equal(set(book, BOOK_BID, "10", "7.5"), 0);
    assert_string_equal(shown(book), "b 10 7.5, b 9 2");
    assert_int_equal(set(book, BOOK_BID, "10", "0"), 0);
    assert_string_equal(shown(book), "b 9 2");
    assert_int_equal(set(book, BOOK_BID, "9", "0.000"), 0);
    assert_string_equal(shown(book), "");
    assert_int_equal(book_pool_used_bytes(pool), 0);
}

static void book_says_when_a_deleted_level_was_absent(void **state)
{
    (void)state;
    assert_int_equal(set(book, BOOK_ASK, "10", "0"), 1);
    set(book, BOOK_ASK, "10", "1");
    assert_int_equal(set(book, BOOK_ASK, "9", "0"), 1);
    assert_int_equal(set(book, BOOK_ASK, "11", "0"), 1);
    assert_string_equal(shown(book), "a 10 1");
}

static void book_knows_a_price_whatever_its_trailing_zeros(void **state)
{
    (void)state;
    set(book, BOOK_BID, "0.3500", "1.0");
    set(book, BOOK_BID, "0.35", "2");
    set(book, BOOK_BID, "0.350000000", "3.000000");
    assert_string_equal(shown(book), "b 0.35 3");
}

static void book_gets_finer_when_a_value_does(void **state)
{
    (void)state;
    set(book, BOOK_BID, "5", "1");
    set(book, BOOK_ASK, "7", "2");
    set(book, BOOK_BID, "5.25", "0.125");
    set(book, BOOK_ASK, "6.9999", "10");
    assert_string_equal(shown(book), "b 5.25 0.125, b 5 1, a 6.9999 10, a 7 2");
    struct level best;
    assert_int_equal(book_levels(book, BOOK_BID, &best, 1), 1);
    assert_int_equal(best.price.exponent, -4);
    assert_int_equal(best.price.mantissa, 52500);
    assert_int_equal(best.amount.exponent, -3);
    assert_int_equal(best.amount.mantissa, 125);
}

/* The text's own scale would be ten places finer than what it needs. */
static void book_gets_no_finer_than_needed(void **state)
{
    (void)state;
    set(book, BOOK_BID, "90000000000000", "1");
    assert_int_equal(set(book, BOOK_BID, "1.50000000000", "1"), 0);
    assert_string_equal(shown(book), "b 90000000000000 1, b 1.5 1");
}

static void book_refuses_what_cannot_be_brought_to_one_scale_and_stays(void **state)
{
    (void)state;
    set(book, BOOK_BID, "900000000000000000", "1");
    set(book, BOOK_BID, "5", "1");
    assert_int_equal(set(book, BOOK_BID, "0.0000000001", "1"), MD_ERANGE);
    assert_int_equal(set(book, BOOK_BID, "7", "0.5"), 0);
    struct decimal huge = {1, 38}, one = {1, 0};
    assert_int_equal(book_level_set(book, BOOK_BID, huge, one), MD_ERANGE);
    assert_int_equal(book_level_set(book, BOOK_BID, one, huge), MD_ERANGE);
    book_check(book);
    assert_string_equal(shown(book), "b 900000000000000000 1, b 7 0.5, b 5 1");
    book_clear(book);
    set(book, BOOK_ASK, "8", "1"); /* the one that overflows comes last */
    set(book, BOOK_ASK, "900000000000000000", "1");
    assert_int_equal(set(book, BOOK_ASK, "0.0000000001", "1"), MD_ERANGE);
    assert_string_equal(shown(book), "a 8 1, a 900000000000000000 1");
}

static void book_refuses_amounts_below_zero(void **state)
{
    (void)state;
    assert_int_equal(set(book, BOOK_BID, "5", "-1"), MD_ERANGE);
    assert_string_equal(shown(book), "");
}

static void book_takes_prices_at_the_ends_of_the_range(void **state)
{
    (void)state;
    struct decimal lowest = {INT64_MIN, 0}, low = {INT64_MIN + 1, 0}, high = {INT64_MAX, 0};
    struct decimal one = {1, 0}, most = {INT64_MAX, 0};
    for (int side = 0; side < 2; side++) {
        assert_int_equal(book_level_set(book, (enum book_side)side, lowest, one), MD_ERANGE);
        assert_int_equal(book_level_set(book, (enum book_side)side, low, most), 0);
        assert_int_equal(book_level_set(book, (enum book_side)side, high, one), 0);
        book_check(book);
    }
    struct level levels[2];
    assert_int_equal(book_levels(book, BOOK_ASK, levels, 2), 2);
    assert_true(levels[0].price.mantissa == INT64_MIN + 1);
    assert_true(levels[0].amount.mantissa == INT64_MAX);
    assert_true(levels[1].price.mantissa == INT64_MAX);
}

static void book_sees_when_it_is_crossed(void **state)
{
    (void)state;
    set(book, BOOK_BID, "10", "1");
    assert_false(book_crossed(book));
    set(book, BOOK_ASK, "10.01", "1");
    assert_false(book_crossed(book));
    set(book, BOOK_ASK, "10", "1");
    assert_true(book_crossed(book));
    set(book, BOOK_ASK, "10", "0");
    assert_false(book_crossed(book));
}

static void on_level(void *context, const struct level *level)
{
    int64_t *sum = context;
    *sum = *sum * 100 + level->price.mantissa;
}

static void book_walks_each_level_best_first(void **state)
{
    (void)state;
    set(book, BOOK_ASK, "12", "1");
    set(book, BOOK_ASK, "11", "1");
    set(book, BOOK_ASK, "13", "1");
    int64_t sum = 0;
    book_walk(book, BOOK_ASK, on_level, &sum);
    assert_int_equal(sum, 111213);
}

static void pool_has_so_many_books_and_takes_them_back(void **state)
{
    (void)state;
    struct book *second = book_acquire(pool);
    struct book *third = book_acquire(pool);
    assert_non_null(second);
    assert_non_null(third);
    assert_null(book_acquire(pool));
    set(second, BOOK_BID, "1", "1");
    book_release(second);
    assert_int_equal(book_pool_used_bytes(pool), 0);
    assert_ptr_equal(book_acquire(pool), second);
    assert_string_equal(shown(second), "");
}

static void pool_is_not_made_without_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 3; n++) {
        alloc_fail_at(n);
        assert_null(book_pool_create(1 << 16, 4));
    }
    alloc_fail_at(0);
}

/* ---- many levels, against an array indexed by price */

#define PRICES 3000

static uint64_t random_state = 1;

static uint64_t random_below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

struct model {
    int64_t amounts[2][PRICES];
    uint32_t at;
};

static struct model model;

static void compare_side(struct book *of, enum book_side side)
{
    static struct level levels[PRICES];
    uint32_t count = book_levels(of, side, levels, PRICES);
    assert_int_equal(count, book_level_count(of, side));
    uint32_t at = 0;
    for (int i = 0; i < PRICES; i++) {
        int price = side == BOOK_BID ? PRICES - 1 - i : i;
        if (model.amounts[side][price] != 0) {
            assert_true(at < count);
            assert_int_equal(levels[at].price.mantissa, price);
            assert_int_equal(levels[at].amount.mantissa, model.amounts[side][price]);
            at++;
        }
    }
    assert_int_equal(at, count);
}

/* Prices cluster round a top that wanders, as in a market; in turns the book grows and shrinks. */
static void book_equals_an_array_after_many_updates(void **state)
{
    (void)state;
    struct book_pool *big = book_pool_create(4 << 20, 1);
    struct book *of = book_acquire(big);
    model = (struct model){.at = PRICES / 2};
    for (int step = 0; step < 60000; step++) {
        model.at = (uint32_t)((model.at + PRICES + random_below(3) - 1) % PRICES);
        uint64_t away = random_below(4) != 0 ? random_below(40) : random_below(PRICES);
        uint32_t price = (uint32_t)((model.at + away) % PRICES);
        enum book_side side = random_below(2) == 0 ? BOOK_BID : BOOK_ASK;
        bool grows = step / 10000 % 2 == 0;
        int64_t amount = random_below(10) < (grows ? 8 : 2) ? (int64_t)(1 + random_below(1000)) : 0;
        int code =
            book_level_set(of, side, (struct decimal){price, 0}, (struct decimal){amount, 0});
        assert_int_equal(code, amount == 0 && model.amounts[side][price] == 0);
        model.amounts[side][price] = amount;
        if (step % 64 == 0) {
            book_check(of);
        }
        if (step % 1000 == 0) {
            compare_side(of, BOOK_BID);
            compare_side(of, BOOK_ASK);
        }
    }
    for (int i = 0; i < 2 * PRICES; i++) { /* memory follows the levels down */
        struct decimal price = {random_below(2) == 0 ? i / 2 : PRICES - 1 - i / 2, 0};
        book_level_set(of, BOOK_BID, price, (struct decimal){0, 0});
        book_level_set(of, BOOK_ASK, price, (struct decimal){0, 0});
        size_t levels = book_level_count(of, BOOK_BID) + book_level_count(of, BOOK_ASK);
        assert_true(big->nodes.used <= levels / 8 + 12);
    }
    book_check(of);
    book_pool_destroy(big);
}

static void book_loaded_in_order_fills_its_nodes(void **state)
{
    (void)state;
    for (int64_t i = 0; i < 600; i++) {
        struct decimal one = {1, 0};
        book_level_set(book, BOOK_BID, (struct decimal){-i, 0}, one);
    }
    book_check(book);
    assert_int_equal(pool->nodes.used, 20 + 1);
}

/* ---- the pool runs short */

static void fill(struct book *of, enum book_side side, int64_t levels)
{
    for (int64_t i = 0; i < levels; i++) {
        struct decimal price = {side == BOOK_BID ? 10000 - i : 10001 + i, 0};
        assert_int_equal(book_level_set(of, side, price, (struct decimal){1, 0}), 0);
    }
    book_check(of);
}

static int64_t worst(const struct book *of, enum book_side side)
{
    static struct level levels[4096];
    uint32_t count = book_levels(of, side, levels, 4096);
    return levels[count - 1].price.mantissa;
}

static void farthest_levels_of_the_deepest_book_go_first(void **state)
{
    (void)state;
    struct book *deep = book_acquire(pool);
    fill(book, BOOK_BID, 300); /* 10 + 1 nodes */
    fill(deep, BOOK_BID, 900); /* 30 + 1 */
    fill(deep, BOOK_ASK, 600); /* 20 + 1 */
    assert_int_equal(pool->nodes.used, 63);
    fill(book, BOOK_ASK, 1); /* takes two: one is there, one must come */
    assert_int_equal(book_level_count(deep, BOOK_BID), 870);
    assert_int_equal(worst(deep, BOOK_BID), 10000 - 869);
    assert_true(book_truncated(deep));
    assert_false(book_truncated(book));
    assert_int_equal(book_level_count(deep, BOOK_ASK), 600);
    assert_int_equal(book_level_count(book, BOOK_BID), 300);
    book_check(deep);
    book_check(book);
    book_clear(deep);
    assert_false(book_truncated(deep));
}

static void level_beyond_the_deepest_book_is_left_out_when_the_pool_is_empty(void **state)
{
    (void)state;
    fill(book, BOOK_BID, 62 * 30); /* two inner nodes, three with the next leaf */
    while (pool->nodes.used < pool->nodes.count) {
        pool_acquire(&pool->nodes);
    }
    uint32_t count = book_level_count(book, BOOK_BID);
    struct decimal far = {1, 0}, near = {10001, 0}, one = {1, 0};
    assert_int_equal(book_level_set(book, BOOK_BID, far, one), 0);
    assert_int_equal(book_level_count(book, BOOK_BID), count);
    assert_true(book_truncated(book));
    assert_int_equal(book_level_set(book, BOOK_BID, near, one), 0);
    struct level best;
    book_levels(book, BOOK_BID, &best, 1);
    assert_int_equal(best.price.mantissa, 10001);
    book_check(book);
}

static void level_without_any_node_is_refused(void **state)
{
    (void)state;
    while (pool->nodes.used < pool->nodes.count) {
        pool_acquire(&pool->nodes);
    }
    assert_int_equal(set(book, BOOK_BID, "1", "1"), MD_EFULL);
    assert_true(book_truncated(book));
    assert_string_equal(shown(book), "");
}

static void side_holds_no_more_than_its_bound(void **state)
{
    (void)state;
    struct book_pool *big = book_pool_create(1 << 20, 1);
    struct book *of = book_acquire(big);
    for (int64_t i = 0; i < BOOK_SIDE_LEVELS_MAX + 100; i++) {
        book_level_set(of, BOOK_ASK, (struct decimal){100000 + i, 0}, (struct decimal){1, 0});
    }
    book_check(of);
    assert_int_equal(book_level_count(of, BOOK_ASK), BOOK_SIDE_LEVELS_MAX);
    assert_true(book_truncated(of));
    book_level_set(of, BOOK_ASK, (struct decimal){99999, 0}, (struct decimal){1, 0});
    assert_int_equal(book_level_count(of, BOOK_ASK), BOOK_SIDE_LEVELS_MAX - 2 + 1);
    struct level best;
    book_levels(of, BOOK_ASK, &best, 1);
    assert_int_equal(best.price.mantissa, 99999);
    book_check(of);
    book_pool_destroy(big);
}

/* Many books over a pool that never suffices: nothing breaks, and near levels stay. */
static void books_share_a_pool_that_is_too_small(void **state)
{
    (void)state;
    struct book *all[3] = {book, book_acquire(pool), book_acquire(pool)};
    for (int step = 0; step < 60000; step++) {
        struct book *of = all[random_below(3)];
        enum book_side side = random_below(2) == 0 ? BOOK_BID : BOOK_ASK;
        int64_t away = (int64_t)random_below(random_below(3) == 0 ? 2000 : 20);
        struct decimal price = {side == BOOK_BID ? 5000 - away : 5001 + away, 0};
        struct decimal amount = {(int64_t)random_below(4), 0};
        assert_true(book_level_set(of, side, price, amount) >= 0);
        if (step % 50 == 0) {
            book_check(all[0]);
            book_check(all[1]);
            book_check(all[2]);
        }
    }
    assert_true(book_truncated(all[0]) || book_truncated(all[1]) || book_truncated(all[2]));
    for (int i = 0; i < 3; i++) {
        book_clear(all[i]);
    }
    assert_int_equal(pool->nodes.used, 0);
}

#define BOOK_TEST(name) cmocka_unit_test_setup_teardown(name, open_books, close_books)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOOK_TEST(book_keeps_levels_best_first),
        BOOK_TEST(book_replaces_an_amount_and_deletes_at_zero),
        BOOK_TEST(book_says_when_a_deleted_level_was_absent),
        BOOK_TEST(book_knows_a_price_whatever_its_trailing_zeros),
        BOOK_TEST(book_gets_finer_when_a_value_does),
        BOOK_TEST(book_gets_no_finer_than_needed),
        BOOK_TEST(book_refuses_what_cannot_be_brought_to_one_scale_and_stays),
        BOOK_TEST(book_refuses_amounts_below_zero),
        BOOK_TEST(book_takes_prices_at_the_ends_of_the_range),
        BOOK_TEST(book_sees_when_it_is_crossed),
        BOOK_TEST(book_walks_each_level_best_first),
        BOOK_TEST(pool_has_so_many_books_and_takes_them_back),
        BOOK_TEST(pool_is_not_made_without_memory),
        BOOK_TEST(book_equals_an_array_after_many_updates),
        BOOK_TEST(book_loaded_in_order_fills_its_nodes),
        BOOK_TEST(farthest_levels_of_the_deepest_book_go_first),
        BOOK_TEST(level_beyond_the_deepest_book_is_left_out_when_the_pool_is_empty),
        BOOK_TEST(level_without_any_node_is_refused),
        BOOK_TEST(side_holds_no_more_than_its_bound),
        BOOK_TEST(books_share_a_pool_that_is_too_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
