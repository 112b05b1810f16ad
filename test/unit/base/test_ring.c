#include "base_fixture.h"

#include <pthread.h>
#include <time.h>

#include "base/ring.h"

static struct ring *ring;

static void create(size_t capacity_bytes, uint64_t messages_max)
{
    ring = ring_create(ALLOC_FRAME_RING, capacity_bytes, messages_max);
    assert_non_null(ring);
}

static int destroy(void **state)
{
    (void)state;
    ring_destroy(ring);
    ring = NULL;
    assert_int_equal(alloc_line_stats(ALLOC_FRAME_RING).bytes, 0);
    return 0;
}

/* A message of `bytes` bytes, each `fill`; false when it is refused. */
static bool push(size_t bytes, int fill)
{
    char *p = ring_reserve(ring, bytes);
    if (p == NULL) {
        return false;
    }
    assert_int_equal((uintptr_t)p % 8, 0);
    memset(p, fill, bytes);
    ring_commit(ring);
    return true;
}

/* Takes the next message, which must be `bytes` bytes of `fill`. */
static void pop(size_t bytes, int fill)
{
    size_t n = 99;
    const char *p = ring_peek(ring, &n);
    assert_non_null(p);
    assert_int_equal(n, bytes);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(p[i], (char)fill);
    }
    ring_consume(ring);
}

static void ring_gives_messages_in_order_and_whole(void **state)
{
    (void)state;
    size_t n = 0;
    create(4096, 0);
    assert_null(ring_peek(ring, &n));
    assert_true(push(3, 'a'));
    assert_true(push(0, 0));
    assert_true(push(100, 'b'));
    assert_int_equal(ring_messages(ring), 3);
    pop(3, 'a');
    pop(0, 0);
    pop(100, 'b');
    assert_null(ring_peek(ring, &n));
    assert_int_equal(ring_messages(ring), 0);
    assert_int_equal(ring_bytes(ring), 0);
}

static void ring_peek_twice_shows_the_same_message(void **state)
{
    (void)state;
    size_t n = 0;
    create(4096, 0);
    assert_true(push(8, 'a'));
    const void *first = ring_peek(ring, &n);
    assert_ptr_equal(ring_peek(ring, &n), first);
    pop(8, 'a');
}

static void ring_reserve_without_commit_is_not_seen(void **state)
{
    (void)state;
    size_t n = 0;
    create(4096, 0);
    assert_non_null(ring_reserve(ring, 100));
    assert_null(ring_peek(ring, &n));
    assert_int_equal(ring_messages(ring), 0);
    assert_true(push(5, 'x')); /* takes its place */
    pop(5, 'x');
    assert_null(ring_peek(ring, &n));
}

static void ring_wraps_at_every_alignment(void **state)
{
    (void)state;
    create(4096, 0);
    uint64_t random = 4;
    size_t sizes[4096];
    size_t pushed = 0, popped = 0;
    while (pushed < 200000) {
        size_t bytes = fixture_next(&random) % (pushed % 7 == 0 ? 2041 : 60);
        if (push(bytes, (int)(pushed % 127))) {
            sizes[pushed++ % 4096] = bytes;
        } else {
            assert_true(popped < pushed); /* what fits alone always fits an empty ring */
        }
        while (popped < pushed && fixture_next(&random) % 2 == 0) {
            pop(sizes[popped % 4096], (int)(popped % 127));
            popped++;
        }
    }
}

static void ring_refuses_what_does_not_fit_and_takes_it_after_a_consume(void **state)
{
    (void)state;
    create(4096, 0);
    size_t count = 0;
    while (push(56, (int)count)) { /* 64 with its head */
        count++;
    }
    assert_int_equal(count, 64);
    assert_int_equal(ring_bytes(ring), 4096);
    assert_false(push(0, 0));
    pop(56, 0);
    assert_true(push(56, 100));
    assert_false(push(0, 0));
    assert_int_equal(ring_bytes_high(ring), 4096);
    assert_int_equal(ring_messages_high(ring), 64);
}

static void ring_message_bound_holds_too(void **state)
{
    (void)state;
    create(4096, 3);
    assert_true(push(1, 1));
    assert_true(push(1, 2));
    assert_true(push(1, 3));
    assert_false(push(1, 4));
    pop(1, 1);
    assert_true(push(1, 4));
    assert_false(push(1, 5));
    assert_int_equal(ring_messages_high(ring), 3);
}

static void ring_takes_the_largest_message_whatever_its_place(void **state)
{
    (void)state;
    create(5000, 0); /* rounded up */
    assert_int_equal(ring_capacity(ring), 8192);
    size_t most = ring_message_bytes_max(ring);
    assert_int_equal(most, 4088);
    assert_null(ring_reserve(ring, most + 1));
    assert_null(ring_reserve(ring, SIZE_MAX));
    for (int i = 0; i < 3000; i++) {
        assert_true(push(most, i % 100));
        pop(most, i % 100);
        size_t small = (size_t)i % 50;
        assert_true(push(small, 1));
        pop(small, 1);
    }
}

static void commit_without_reserve(void)
{
    ring_commit(ring);
}

static void consume_without_peek(void)
{
    ring_consume(ring);
}

static void ring_mistakes_are_assertion_failures(void **state)
{
    (void)state;
    create(4096, 0);
    assert_true(fixture_asserts(commit_without_reserve));
    assert_true(fixture_asserts(consume_without_peek));
    assert_true(push(1, 1));
    assert_true(fixture_asserts(commit_without_reserve));
}

static void ring_without_memory_is_null(void **state)
{
    (void)state;
    alloc_fail_at(1);
    assert_null(ring_create(ALLOC_FRAME_RING, 4096, 0));
    alloc_fail_at(2);
    assert_null(ring_create(ALLOC_FRAME_RING, 4096, 0));
    assert_null(ring_create(ALLOC_FRAME_RING, SIZE_MAX, 0));
    ring_destroy(NULL);
}

/* ---- two threads */

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void ring_wait_ends_with_its_timeout(void **state)
{
    (void)state;
    create(4096, 0);
    int64_t start = mono_ms();
    ring_wait(ring, 0);
    ring_wait(ring, 50);
    assert_in_range(mono_ms() - start, 45, 5000);
    assert_true(push(1, 1));
    start = mono_ms();
    ring_wait(ring, 60000); /* there is a message: returns at once */
    assert_in_range(mono_ms() - start, 0, 5000);
}

#define MESSAGES 400000
struct traffic {
    uint64_t messages;
    unsigned pause_every; /* the producer lets the consumer fall asleep now and then */
    uint64_t wrong;
    int64_t slept_ms_max;
};

/* Message i is 8 bytes of i, then (i % 300) bytes of its low byte. */
static void *produce(void *argument)
{
    struct traffic *traffic = argument;
    for (uint64_t i = 0; i < traffic->messages;) {
        size_t bytes = 8 + i % 300;
        uint8_t *p = ring_reserve(ring, bytes);
        if (p == NULL) {
            sched_yield();
            continue;
        }
        store_u64(p, i);
        memset(p + 8, (uint8_t)i, bytes - 8);
        ring_commit(ring);
        i++;
        if (traffic->pause_every > 0 && i % traffic->pause_every == 0) {
            nanosleep(&(struct timespec){0, 20000}, NULL);
        }
    }
    return NULL;
}

/* A wait of a minute that is not woken makes the test fail by its time. */
static void *consume(void *argument)
{
    struct traffic *traffic = argument;
    for (uint64_t i = 0; i < traffic->messages;) {
        size_t bytes = 0;
        const uint8_t *p = ring_peek(ring, &bytes);
        if (p == NULL) {
            int64_t start = mono_ms();
            ring_wait(ring, 60000);
            int64_t slept = mono_ms() - start;
            traffic->slept_ms_max = slept > traffic->slept_ms_max ? slept : traffic->slept_ms_max;
            continue;
        }
        traffic->wrong += bytes != 8 + i % 300 || load_u64(p) != i;
        for (size_t at = 8; at < bytes; at++) {
            traffic->wrong += p[at] != (uint8_t)i;
        }
        ring_consume(ring);
        i++;
    }
    return NULL;
}

static void run_traffic(struct traffic traffic)
{
    pthread_t producer, consumer;
    assert_int_equal(pthread_create(&consumer, NULL, consume, &traffic), 0);
    assert_int_equal(pthread_create(&producer, NULL, produce, &traffic), 0);
    pthread_join(producer, NULL);
    pthread_join(consumer, NULL);
    assert_true(traffic.wrong == 0);
    assert_in_range(traffic.slept_ms_max, 0, 30000); /* no wake-up was lost */
    assert_int_equal(ring_messages(ring), 0);
}

static void ring_between_two_threads_loses_and_alters_nothing(void **state)
{
    (void)state;
    create(8192, 0);
    run_traffic((struct traffic){.messages = MESSAGES});
    assert_in_range(ring_bytes_high(ring), 300, 8192);
}

static void ring_between_two_threads_keeps_the_message_bound(void **state)
{
    (void)state;
    create(65536, 5);
    run_traffic((struct traffic){.messages = MESSAGES / 4});
    assert_in_range(ring_messages_high(ring), 1, 5);
}

static void ring_wait_misses_no_wake_up(void **state)
{
    (void)state;
    create(65536, 0);
    run_traffic((struct traffic){.messages = 20000, .pause_every = 3});
    ring_destroy(ring);
    create(65536, 1);
    run_traffic((struct traffic){.messages = 50000});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(ring_gives_messages_in_order_and_whole, destroy),
        cmocka_unit_test_teardown(ring_peek_twice_shows_the_same_message, destroy),
        cmocka_unit_test_teardown(ring_reserve_without_commit_is_not_seen, destroy),
        cmocka_unit_test_teardown(ring_wraps_at_every_alignment, destroy),
        cmocka_unit_test_teardown(ring_refuses_what_does_not_fit_and_takes_it_after_a_consume,
                                  destroy),
        cmocka_unit_test_teardown(ring_message_bound_holds_too, destroy),
        cmocka_unit_test_teardown(ring_takes_the_largest_message_whatever_its_place, destroy),
        cmocka_unit_test_teardown(ring_mistakes_are_assertion_failures, destroy),
        cmocka_unit_test_teardown(ring_without_memory_is_null, destroy),
        cmocka_unit_test_teardown(ring_wait_ends_with_its_timeout, destroy),
        cmocka_unit_test_teardown(ring_between_two_threads_loses_and_alters_nothing, destroy),
        cmocka_unit_test_teardown(ring_between_two_threads_keeps_the_message_bound, destroy),
        cmocka_unit_test_teardown(ring_wait_misses_no_wake_up, destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
