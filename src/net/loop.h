#ifndef MD_NET_LOOP_H
#define MD_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

/* epoll loop with timers, one thread. Nothing here allocates after loop_init(): sources and timers
 * are embedded in their owners. A callback may remove any source or timer, its own included. */
struct loop;

enum loop_events { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4 };

struct loop_source {
    int fd; /* -1 = not added */
    unsigned events;
    void (*on_ready)(void *context, unsigned events);
    void *context;
    uint32_t generation; /* loop's own */
};

/* One-shot timer; re-arm from the callback to repeat. Zeroed = not armed. */
struct loop_timer {
    int64_t deadline_mono_ns;
    void (*on_timer)(void *context, int64_t now_mono_ns);
    void *context;
    uint32_t heap_index; /* 1-based place in the loop's heap; 0 = not armed (loop's own) */
};

/* `clock` is borrowed. `timers_max` bounds armed timers. NULL = no memory or no epoll (err says).
 */
struct loop *loop_create(const struct clock *clock, uint32_t timers_max, struct err *err);
void loop_destroy(struct loop *loop);

int loop_add(struct loop *loop, struct loop_source *source, unsigned events);
int loop_modify(struct loop *loop, struct loop_source *source, unsigned events);
void loop_remove(struct loop *loop, struct loop_source *source); /* before the fd is closed */

/* Arms or re-arms. MD_EFULL when timers_max are armed. */
int loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t deadline_mono_ns);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);

/* One turn: waits at most `wait_ms` (-1: until something happens), runs ready sources and due
 * timers. Returns how many callbacks ran. */
int loop_turn(struct loop *loop, int wait_ms);
/* Time at the start of this turn's callbacks. */
int64_t loop_now_mono_ns(const struct loop *loop);
const struct clock *loop_clock(const struct loop *loop);
/* Any thread, async-signal-safe: ends the current or next wait. */
void loop_wake(struct loop *loop);
/* The longest turn so far, without the wait. */
int64_t loop_turn_ns_max(const struct loop *loop);

#endif
