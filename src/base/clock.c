/* System clocks, the monotonic receive stamp, and the UTC calendar. The clocks are read here alone;
 * everything else gets `now` as an argument. Stamps strictly increase, whatever the wall clock
 * does, because files and sequence checks are cut by them; how far a stamp runs ahead of a clock
 * that was set back shrinks by half a second each second. Calendar: proleptic, no leap seconds, the
 * whole range of 64-bit nanoseconds (1677 to 2262). Takes no memory. */
#include "base/clock.h"

#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t); /* cannot fail for these two */
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int64_t system_mono_ns(void *context)
{
    (void)context;
    return read_clock(CLOCK_MONOTONIC);
}

static int64_t system_unix_ns(void *context)
{
    (void)context;
    return read_clock(CLOCK_REALTIME);
}

const struct clock clock_system = {system_mono_ns, system_unix_ns, 0};

/* Within this the wall clock counts as not set back: several stamps from one read, slewing. */
#define BEHIND_NS (10 * NS_PER_MS)

int64_t clock_stamp_next(struct clock_stamp *stamp, int64_t unix_ns, int64_t mono_ns)
{
    int64_t next = unix_ns;
    if (unix_ns <= stamp->last_unix_ns) {
        int64_t passed = mono_ns - stamp->last_mono_ns;
        bool first = stamp->last_mono_ns == 0; /* last_unix_ns came from an earlier run */
        next = stamp->last_unix_ns + (passed > 2 && !first ? passed / 2 : 1);
        if (stamp->last_unix_ns - unix_ns > BEHIND_NS && !stamp->behind) {
            stamp->behind = true;
            stamp->steps_back++;
        }
    } else {
        stamp->behind = false;
    }
    stamp->last_unix_ns = next;
    stamp->last_mono_ns = mono_ns;
    return next;
}

/* Howard Hinnant's civil calendar arithmetic (days from the era of 400 years). */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

struct clock_utc clock_utc_of(int64_t unix_ns)
{
    int64_t seconds = unix_ns / NS_PER_S - (unix_ns % NS_PER_S < 0);
    int64_t days = seconds / 86400 - (seconds % 86400 < 0);
    int64_t in_day = seconds - days * 86400;
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_index = (5 * day_of_year + 2) / 153;
    int month = (int)(month_index < 10 ? month_index + 3 : month_index - 9);
    return (struct clock_utc){
        .year = (int)(year_of_era + era * 400) + (month <= 2),
        .month = month,
        .day = (int)(day_of_year - (153 * month_index + 2) / 5 + 1),
        .hour = (int)(in_day / 3600),
        .minute = (int)(in_day / 60 % 60),
        .second = (int)(in_day % 60),
        .nanosecond = (int)(unix_ns - seconds * NS_PER_S),
    };
}

int64_t clock_unix_of_utc(const struct clock_utc *utc)
{
    int64_t days = days_of(utc->year, utc->month, utc->day);
    int64_t seconds = days * 86400 + utc->hour * 3600 + utc->minute * 60 + utc->second;
    return seconds * NS_PER_S + utc->nanosecond;
}
