/* Reconnect delays and sliding-window pacing; pure. */
#include "net/backoff.h"

#include "base/assert.h"
#include "base/clock.h"

void backoff_init(struct backoff *backoff, int64_t min_ms, int64_t max_ms, int64_t good_ms)
{
    *backoff = (struct backoff){.min_ms = min_ms, .max_ms = max_ms, .good_ms = good_ms};
}

void backoff_on_open(struct backoff *backoff, int64_t now_mono_ns)
{
    backoff->opened_mono_ns = now_mono_ns != 0 ? now_mono_ns : 1;
}

int64_t backoff_next_ms(struct backoff *backoff, int64_t now_mono_ns, uint64_t random)
{
    bool good = backoff->opened_mono_ns != 0 &&
                now_mono_ns - backoff->opened_mono_ns >= backoff->good_ms * NS_PER_MS;
    if (good || backoff->next_ms < backoff->min_ms) {
        backoff->next_ms = backoff->min_ms;
    }
    backoff->opened_mono_ns = 0;
    int64_t upper = backoff->next_ms;
    int64_t half = upper / 2;
    backoff->next_ms = upper * 2 < backoff->max_ms ? upper * 2 : backoff->max_ms;
    return half + (int64_t)(random % (uint64_t)(upper - half + 1));
}

void pace_init(struct pace *pace, int64_t *times_ns, uint32_t count, int64_t window_ns,
               int64_t spacing_ns)
{
    ASSERT(count > 0);
    *pace = (struct pace){.times_ns = times_ns,
                          .count = count,
                          .window_ns = window_ns,
                          .spacing_ns = spacing_ns,
                          .last_ns = INT64_MIN};
}

int64_t pace_earliest_ns(const struct pace *pace, int64_t now_ns)
{
    int64_t earliest = now_ns;
    if (pace->last_ns != INT64_MIN && pace->last_ns + pace->spacing_ns > earliest) {
        earliest = pace->last_ns + pace->spacing_ns;
    }
    if (pace->used == pace->count) { /* the oldest kept one must have left the window */
        int64_t oldest = pace->times_ns[pace->next];
        earliest = oldest + pace->window_ns > earliest ? oldest + pace->window_ns : earliest;
    }
    return earliest;
}

void pace_take(struct pace *pace, int64_t now_ns)
{
    pace->times_ns[pace->next] = now_ns;
    pace->next = (pace->next + 1) % pace->count;
    pace->used += pace->used < pace->count;
    pace->last_ns = now_ns;
}
