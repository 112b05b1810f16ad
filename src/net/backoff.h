#ifndef MD_NET_BACKOFF_H
#define MD_NET_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

/* Reconnect delays: 1 s doubling to 60 s (by settings), each drawn evenly from [half, whole], reset
 * after the connection has stayed good for `good_ms`. Pure: time and randomness are arguments. */
struct backoff {
    int64_t min_ms, max_ms, good_ms;
    int64_t next_ms; /* upper end of the next draw; 0 = min_ms */
    int64_t opened_mono_ns;
};
void backoff_init(struct backoff *backoff, int64_t min_ms, int64_t max_ms, int64_t good_ms);
void backoff_on_open(struct backoff *backoff, int64_t now_mono_ns);
/* The delay before the next try, after a failure or a close. `random` is any 64 random bits. */
int64_t backoff_next_ms(struct backoff *backoff, int64_t now_mono_ns, uint64_t random);

/* Sliding-window limit: at most `count` events in any `window_ns`. Keeps the last `count` times in
 * the caller's array. */
struct pace {
    int64_t *times_ns; /* count entries */
    uint32_t count, used, next;
    int64_t window_ns;
    int64_t spacing_ns; /* least distance between two events; 0 = none */
    int64_t last_ns;
};
void pace_init(struct pace *pace, int64_t *times_ns, uint32_t count, int64_t window_ns,
               int64_t spacing_ns);
/* The earliest time >= now at which one more event is allowed. */
int64_t pace_earliest_ns(const struct pace *pace, int64_t now_ns);
/* Notes one event at `now_ns`; the caller has waited for pace_earliest_ns(). */
void pace_take(struct pace *pace, int64_t now_ns);

#endif
