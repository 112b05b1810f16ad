/* The loop: timers in order, sources, removal inside callbacks, wakes from elsewhere, fd reuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/loop.h"

/* ---- a clock by hand */

static int64_t hand_ns;
static int64_t hand_read(void *context)
{
    (void)context;
    return hand_ns;
}
static const struct clock hand = {hand_read, hand_read, NULL};

struct probe {
    struct loop *loop;
    struct loop_timer timer;
    struct loop_source source;
    int calls, order;
    unsigned events;
    struct probe *victim;
    int64_t again_ns;
};
static int order_next;

static void on_timer(void *context, int64_t now)
{
    struct probe *probe = context;
    probe->calls++;
    probe->order = ++order_next;
    if (probe->victim != NULL) {
        loop_timer_cancel(probe->loop, &probe->victim->timer);
    }
    if (probe->again_ns > 0) {
        assert_int_equal(loop_timer_set(probe->loop, &probe->timer, now + probe->again_ns), 0);
    }
}

static void arm(struct loop *loop, struct probe *probe, int64_t deadline)
{
    probe->loop = loop;
    probe->timer.on_timer = on_timer;
    probe->timer.context = probe;
    assert_int_equal(loop_timer_set(loop, &probe->timer, deadline), 0);
}

static void timers_run_in_the_order_of_their_deadlines(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    static struct probe probes[COUNT];
    hand_ns = 0;
    order_next = 0;
    struct loop *loop = loop_create(&hand, COUNT, NULL);
    for (int i = 0; i < COUNT; i++) {
        probes[i] = (struct probe){0};
        arm(loop, &probes[i], 1000 + (i * 73) % COUNT);
    }
    for (int i = 0; i < COUNT; i += 3) { /* moved to the very end, in their own order */
        assert_int_equal(loop_timer_set(loop, &probes[i].timer, 5000 + i), 0);
    }
    for (int i = 1; i < COUNT; i += 3) {
        loop_timer_cancel(loop, &probes[i].timer);
        loop_timer_cancel(loop, &probes[i].timer); /* twice is allowed */
    }
    hand_ns = 999;
    assert_int_equal(loop_turn(loop, 0), 0);
    hand_ns = 10000;
    int ran = 0;
    for (int n = 1; n > 0;) {
        n = loop_turn(loop, 0);
        ran += n;
    }
    assert_int_equal(ran, 133); /* 67 moved, 66 left in place; 67 cancelled */
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(probes[i].calls, i % 3 != 1);
        for (int j = 0; j < COUNT; j++) {
            if (i % 3 == 2 && j % 3 == 2 && (i * 73) % COUNT < (j * 73) % COUNT) {
                assert_true(probes[i].order < probes[j].order);
            }
            if (i % 3 == 2 && j % 3 == 0) {
                assert_true(probes[i].order < probes[j].order);
            }
        }
    }
    loop_destroy(loop);
}

static void timer_table_is_bounded_and_rearming_needs_no_further_place(void **state)
{
    (void)state;
    struct loop *loop = loop_create(&hand, 2, NULL);
    struct probe a = {0}, b = {0}, c = {0};
    arm(loop, &a, 10);
    arm(loop, &b, 20);
    c.timer.on_timer = on_timer;
    c.timer.context = &c;
    assert_int_equal(loop_timer_set(loop, &c.timer, 5), MD_EFULL);
    assert_int_equal(loop_timer_set(loop, &a.timer, 30), 0);
    loop_timer_cancel(loop, &b.timer);
    assert_int_equal(loop_timer_set(loop, &c.timer, 5), 0);
    loop_destroy(loop);
}

static void timer_armed_for_now_in_its_callback_waits_for_the_next_turn(void **state)
{
    (void)state;
    hand_ns = 100;
    struct loop *loop = loop_create(&hand, 4, NULL);
    struct probe a = {0};
    a.again_ns = 0;
    arm(loop, &a, 50);
    a.again_ns = -1; /* not again */
    assert_int_equal(loop_turn(loop, 0), 1);
    arm(loop, &a, 100);
    a.again_ns = 1;
    hand_ns = 200;
    assert_int_equal(loop_turn(loop, 0), 1);
    assert_int_equal(a.timer.deadline_mono_ns, 201);
    loop_destroy(loop);
}

static void timer_cancelled_by_an_earlier_one_of_the_same_turn_does_not_run(void **state)
{
    (void)state;
    hand_ns = 0;
    struct loop *loop = loop_create(&hand, 4, NULL);
    struct probe a = {0}, b = {0};
    arm(loop, &a, 1);
    arm(loop, &b, 2);
    a.victim = &b;
    hand_ns = 10;
    assert_int_equal(loop_turn(loop, 0), 1);
    assert_int_equal(b.calls, 0);
    loop_destroy(loop);
}

static void on_ready(void *context, unsigned events)
{
    struct probe *probe = context;
    probe->calls++;
    probe->events |= events;
    if (probe->victim != NULL) {
        loop_remove(probe->loop, &probe->victim->source);
        close(probe->victim->source.fd);
        probe->victim->source.fd = -1;
    }
}

static void watch(struct loop *loop, struct probe *probe, int fd, unsigned events)
{
    probe->loop = loop;
    probe->source = (struct loop_source){.fd = fd, .on_ready = on_ready, .context = probe};
    assert_int_equal(loop_add(loop, &probe->source, events), 0);
}

static void pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void source_tells_read_write_and_hangup(void **state)
{
    (void)state;
    struct loop *loop = loop_create(&clock_system, 4, NULL);
    int fds[2];
    pair(fds);
    struct probe a = {0};
    watch(loop, &a, fds[0], LOOP_READ);
    assert_int_equal(loop_turn(loop, 0), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(loop_turn(loop, 1000), 1);
    assert_int_equal(a.events, LOOP_READ);
    assert_int_equal(loop_modify(loop, &a.source, LOOP_WRITE), 0);
    a.events = 0;
    assert_int_equal(loop_turn(loop, 1000), 1);
    assert_int_equal(a.events, LOOP_WRITE);
    close(fds[1]);
    assert_int_equal(loop_modify(loop, &a.source, LOOP_READ), 0);
    a.events = 0;
    assert_int_equal(loop_turn(loop, 1000), 1);
    assert_int_equal(a.events, LOOP_READ | LOOP_HANGUP);
    loop_remove(loop, &a.source);
    loop_remove(loop, &a.source); /* twice is allowed */
    close(fds[0]);
    loop_destroy(loop);
}

static void source_removed_by_another_of_the_same_turn_is_not_called(void **state)
{
    (void)state;
    struct loop *loop = loop_create(&clock_system, 4, NULL);
    int one[2], two[2];
    pair(one);
    pair(two);
    struct probe a = {0}, b = {0};
    watch(loop, &a, one[0], LOOP_READ);
    watch(loop, &b, two[0], LOOP_READ);
    a.victim = &b;
    b.victim = &a;
    assert_int_equal(write(one[1], "x", 1), 1);
    assert_int_equal(write(two[1], "x", 1), 1);
    assert_int_equal(loop_turn(loop, 1000), 1);
    assert_int_equal(a.calls + b.calls, 1);
    loop_remove(loop, a.calls ? &a.source : &b.source);
    close(a.calls ? one[0] : two[0]);
    close(one[1]);
    close(two[1]);
    loop_destroy(loop);
}

/* a closes b's socket and opens another that gets the same number, in one callback. */
static struct probe *swap_new;
static int swap_pair[2];
static void on_ready_swaps(void *context, unsigned events)
{
    struct probe *probe = context;
    (void)events;
    probe->calls++;
    int number = probe->victim->source.fd;
    loop_remove(probe->loop, &probe->victim->source);
    close(number);
    pair(swap_pair);
    assert_int_equal(swap_pair[0], number);
    watch(probe->loop, swap_new, swap_pair[0], LOOP_READ);
}

static void event_of_an_old_socket_does_not_reach_a_new_one_of_the_same_number(void **state)
{
    (void)state;
    struct loop *loop = loop_create(&clock_system, 4, NULL);
    int one[2], two[2];
    pair(one);
    pair(two);
    struct probe a = {0}, b = {0}, c = {0};
    a.loop = loop;
    a.source = (struct loop_source){.fd = one[0], .on_ready = on_ready_swaps, .context = &a};
    assert_int_equal(loop_add(loop, &a.source, LOOP_READ), 0);
    watch(loop, &b, two[0], LOOP_READ);
    a.victim = &b;
    swap_new = &c;
    assert_int_equal(write(one[1], "x", 1), 1);
    assert_int_equal(write(two[1], "x", 1), 1);
    assert_true(loop_turn(loop, 1000) >= 1);
    assert_int_equal(a.calls, 1);
    assert_int_equal(c.calls, 0);
    loop_remove(loop, &a.source);
    loop_remove(loop, &c.source);
    for (int i = 0; i < 2; i++) {
        close(one[i]);
        close(swap_pair[i]);
    }
    close(two[1]);
    loop_destroy(loop);
}

static void *wake_soon(void *context)
{
    usleep(20000);
    errno = 77;
    loop_wake(context);
    assert_int_equal(errno, 77);
    return NULL;
}

static void wake_from_another_thread_ends_the_wait(void **state)
{
    (void)state;
    struct loop *loop = loop_create(&clock_system, 4, NULL);
    pthread_t thread;
    int64_t started = clock_mono_ns(&clock_system);
    assert_int_equal(pthread_create(&thread, NULL, wake_soon, loop), 0);
    assert_int_equal(loop_turn(loop, 10000), 0);
    assert_true(clock_mono_ns(&clock_system) - started < 5 * NS_PER_S);
    pthread_join(thread, NULL);
    loop_wake(loop); /* before the wait: the next one ends at once */
    loop_wake(loop);
    started = clock_mono_ns(&clock_system);
    assert_int_equal(loop_turn(loop, 10000), 0);
    assert_true(clock_mono_ns(&clock_system) - started < 5 * NS_PER_S);
    loop_destroy(loop);
}

static void on_slow(void *context, int64_t now)
{
    (void)context;
    (void)now;
    usleep(30000);
}

static void longest_turn_is_measured_without_the_wait(void **state)
{
    (void)state;
    struct loop *loop = loop_create(&clock_system, 4, NULL);
    struct loop_timer slow = {.on_timer = on_slow};
    assert_int_equal(loop_turn(loop, 50), 0);
    assert_true(loop_turn_ns_max(loop) < 30 * NS_PER_MS);
    assert_int_equal(loop_timer_set(loop, &slow, clock_mono_ns(&clock_system)), 0);
    assert_int_equal(loop_turn(loop, 1000), 1);
    assert_true(loop_turn_ns_max(loop) >= 30 * NS_PER_MS);
    loop_destroy(loop);
}

static void timer_shortens_the_wait(void **state)
{
    (void)state;
    struct loop *loop = loop_create(&clock_system, 4, NULL);
    struct probe a = {0};
    int64_t started = clock_mono_ns(&clock_system);
    arm(loop, &a, started + 20 * NS_PER_MS);
    while (a.calls == 0) {
        loop_turn(loop, -1);
    }
    int64_t took = clock_mono_ns(&clock_system) - started;
    assert_true(took >= 20 * NS_PER_MS);
    assert_true(took < 5 * NS_PER_S);
    loop_destroy(loop);
}

static void creation_fails_cleanly_at_each_allocation(void **state)
{
    (void)state;
    size_t before = alloc_line_stats(ALLOC_CONNECTIONS).bytes;
    for (uint64_t n = 1;; n++) {
        struct err err = {""};
        alloc_fail_at(n);
        struct loop *loop = loop_create(&clock_system, 4, &err);
        alloc_fail_at(0);
        if (loop != NULL) {
            assert_int_equal(n, 4); /* three pieces */
            loop_destroy(loop);
            break;
        }
        assert_string_not_equal(err.text, "");
        assert_int_equal(alloc_line_stats(ALLOC_CONNECTIONS).bytes, before);
    }
    assert_int_equal(alloc_line_stats(ALLOC_CONNECTIONS).bytes, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_run_in_the_order_of_their_deadlines),
        cmocka_unit_test(timer_table_is_bounded_and_rearming_needs_no_further_place),
        cmocka_unit_test(timer_armed_for_now_in_its_callback_waits_for_the_next_turn),
        cmocka_unit_test(timer_cancelled_by_an_earlier_one_of_the_same_turn_does_not_run),
        cmocka_unit_test(source_tells_read_write_and_hangup),
        cmocka_unit_test(source_removed_by_another_of_the_same_turn_is_not_called),
        cmocka_unit_test(event_of_an_old_socket_does_not_reach_a_new_one_of_the_same_number),
        cmocka_unit_test(wake_from_another_thread_ends_the_wait),
        cmocka_unit_test(longest_turn_is_measured_without_the_wait),
        cmocka_unit_test(timer_shortens_the_wait),
        cmocka_unit_test(creation_fails_cleanly_at_each_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
