/* Channels without ids: all of A, and B's messages within what A missed. See merge.h.
 * The venue's own time keeps the same message from landing twice at the edges of a gap: B's lies
 * between the events of A's neighbours. */
#include "base/clock.h"
#include "proof/merge_internal.h"

/* Instruments are told once a day, all of them: a day of A's is whole. */
static bool has_day(const struct merge *merge, int64_t us)
{
    const struct catalog *catalog = &merge->sides[SIDE_A].catalog;
    const int64_t day_us = NS_PER_DAY / NS_PER_US;
    for (uint32_t i = merge->begin[SIDE_A]; i < merge->end[SIDE_A]; i++) {
        if (catalog->files[i].entry.first_local_us / day_us == us / day_us) {
            return true;
        }
    }
    return false;
}

static bool is_wanted(const struct merge *merge, const struct cursor *b, const struct cursor *a,
                      int64_t a_event_ns)
{
    int64_t event_ns = b->event.event_unix_ns;
    if (merge->channel == CHANNEL_INSTRUMENTS) {
        return !has_day(merge, b->us);
    }
    if (!merge_missed(merge, SIDE_A, b->us, b->us)) {
        return false;
    }
    if (event_ns == TIME_NONE) {
        return true;
    }
    bool behind = a_event_ns == TIME_NONE || event_ns > a_event_ns;
    bool before =
        !a->have || a->event.event_unix_ns == TIME_NONE || event_ns < a->event.event_unix_ns;
    return behind && before;
}

int merge_by_time(struct merge *merge)
{
    struct cursor a, b;
    int64_t a_event_ns = TIME_NONE;
    int code = cursor_begin(merge, &a, SIDE_A, -1);
    code = code != 0 ? code : cursor_begin(merge, &b, SIDE_B, -1);
    while (code == 0 && (a.have || b.have)) {
        bool from_b = b.have && (!a.have || b.us <= a.us);
        if (!from_b) {
            a_event_ns = a.event.event_unix_ns != TIME_NONE ? a.event.event_unix_ns : a_event_ns;
            merge_land(merge, &a.event, SIDE_A, merge_time(merge, &a, SIDE_A, &a));
        } else if (is_wanted(merge, &b, &a, a_event_ns)) {
            merge_land(merge, &b.event, SIDE_B, merge_time(merge, &b, SIDE_B, &a));
        }
        code = cursor_next(merge, from_b ? &b : &a);
    }
    return code != 0 ? code : merge_gaps_by_time(merge, false);
}
