#ifndef MD_BASE_CLOCK_H
#define MD_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Time, passed in. Logic gets now as an argument; only the edges (main loops) read a clock, through
 * this, so that tests bring their own. */
struct clock {
    int64_t (*mono_ns)(void *context);
    int64_t (*unix_ns)(void *context);
    void *context;
};

/* CLOCK_MONOTONIC and CLOCK_REALTIME. */
extern const struct clock clock_system;

static inline int64_t clock_mono_ns(const struct clock *clock)
{
    return clock->mono_ns(clock->context);
}
static inline int64_t clock_unix_ns(const struct clock *clock)
{
    return clock->unix_ns(clock->context);
}

/* Receive time: real time kept monotonic. When the wall clock is set back, stamps go on at half
 * speed from the last one until the wall clock has caught up; a step forward is followed at once.
 * Strictly increasing. */
struct clock_stamp {
    int64_t last_unix_ns; /* last stamp given; set it from the journal after a restart */
    int64_t last_mono_ns;
    uint64_t steps_back; /* times the wall clock was seen behind the last stamp (episodes) */
    bool behind;         /* in such an episode now */
};
int64_t clock_stamp_next(struct clock_stamp *stamp, int64_t unix_ns, int64_t mono_ns);

/* UTC calendar of a unix time. */
struct clock_utc {
    int year, month, day, hour, minute, second; /* month and day count from 1 */
    int nanosecond;
};
struct clock_utc clock_utc_of(int64_t unix_ns);
int64_t clock_unix_of_utc(const struct clock_utc *utc); /* proleptic, no leap seconds */

#define NS_PER_US 1000LL
#define NS_PER_MS 1000000LL
#define NS_PER_S 1000000000LL
#define NS_PER_HOUR (3600 * NS_PER_S)
#define NS_PER_DAY (24 * NS_PER_HOUR)

#endif
