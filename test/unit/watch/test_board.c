/* board.c and symbols.c between two threads: what is read is whole, and never older than before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "watch/board.h"

#define WORDS 64
#define ROUNDS 20000

static void board_reads_zeroes_before_the_first(void **state)
{
    (void)state;
    struct board board;
    assert_int_equal(board_init(&board, WORDS * sizeof(uint64_t)), 0);
    const uint64_t *words = board_newest(&board);
    assert_int_equal(words[0], 0);
    uint64_t *slot = board_slot(&board);
    slot[0] = 7;
    words = board_newest(&board);
    assert_int_equal(words[0], 0); /* not published yet */
    board_publish(&board);
    words = board_newest(&board);
    assert_int_equal(words[0], 7);
    assert_ptr_equal(board_newest(&board), words); /* the same until the next is there */
    board_deinit(&board);
}

static void *write_all(void *context)
{
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        uint64_t *words = board_slot(context);
        for (int i = 0; i < WORDS; i++) {
            words[i] = round;
        }
        board_publish(context);
    }
    return NULL;
}

static void board_shows_whole_states_in_order(void **state)
{
    (void)state;
    struct board board;
    pthread_t thread;
    uint64_t last = 0;
    assert_int_equal(board_init(&board, WORDS * sizeof(uint64_t)), 0);
    assert_int_equal(pthread_create(&thread, NULL, write_all, &board), 0);
    while (last < ROUNDS) {
        const uint64_t *words = board_newest(&board);
        assert_true(words[0] >= last);
        for (int i = 1; i < WORDS; i++) {
            assert_int_equal(words[i], words[0]);
        }
        last = words[0];
    }
    pthread_join(thread, NULL);
    board_deinit(&board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(board_reads_zeroes_before_the_first),
        cmocka_unit_test(board_shows_whole_states_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
