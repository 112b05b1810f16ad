/* Sets of missing ids: added, filled from either end and the middle, counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>

#include "proof/holes.h"

static void add(struct holes *holes, int64_t from, int64_t to)
{
    struct hole hole = {.from = from, .to = to};
    assert_int_equal(holes_add(holes, &hole), 0);
}

static void check(const struct holes *holes, const char *expected)
{
    char text[400] = "";
    for (size_t i = 0; i < holes->count; i++) {
        size_t used = 0;
        while (text[used] != 0) {
            used++;
        }
        snprintf(text + used, sizeof text - used, "%lld-%lld ", (long long)holes->at[i].from,
                 (long long)holes->at[i].to);
    }
    assert_string_equal(text, expected);
}

static void filling_shrinks_splits_and_ends_a_hole(void **state)
{
    (void)state;
    struct holes holes = {0};
    add(&holes, 10, 14);
    add(&holes, 20, 20);
    assert_int_equal(holes_fill(&holes, 9), 0);
    assert_int_equal(holes_fill(&holes, 15), 0);
    check(&holes, "10-14 20-20 ");
    assert_int_equal(holes_fill(&holes, 10), 1);
    assert_int_equal(holes_fill(&holes, 14), 1);
    check(&holes, "11-13 20-20 ");
    assert_int_equal(holes_fill(&holes, 12), 1);
    check(&holes, "11-11 13-13 20-20 ");
    assert_int_equal(holes_fill(&holes, 12), 0);
    assert_int_equal(holes_fill(&holes, 20), 1);
    assert_int_equal(holes_fill(&holes, 11), 1);
    assert_int_equal(holes_fill(&holes, 13), 1);
    check(&holes, "");
    holes_deinit(&holes);
}

static void overlap_counts_ids_over_many_holes(void **state)
{
    (void)state;
    struct holes holes = {0};
    for (int64_t i = 0; i < 1000; i++) { /* out of order: from both ends to the middle */
        int64_t at = i % 2 == 0 ? i / 2 : 999 - i / 2;
        add(&holes, at * 10, at * 10 + 3);
    }
    assert_int_equal(holes.count, 1000);
    assert_int_equal(holes_overlap(&holes, 0, 9999), 4000);
    assert_int_equal(holes_overlap(&holes, 2, 21), 2 + 4 + 2);
    assert_int_equal(holes_overlap(&holes, 4, 9), 0);
    assert_int_equal(holes_overlap(&holes, INT64_MIN, INT64_MAX), 4000);
    assert_int_equal(holes_find(&holes, 9994), 1000);
    holes_deinit(&holes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filling_shrinks_splits_and_ends_a_hole),
        cmocka_unit_test(overlap_counts_ids_over_many_holes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
