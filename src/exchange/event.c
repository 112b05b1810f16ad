/* Names of the vocabulary, from the lists in event.h. */
#include "exchange/event.h"

static const struct {
    const char *name;
    int drop_priority;
} channels[] = {
#define X(channel, name, priority) {name, priority},
    CHANNEL_LIST(X)
#undef X
};
_Static_assert(sizeof channels / sizeof channels[0] == CHANNEL_COUNT, "a name for each channel");

const char *channel_name(enum channel channel)
{
    return channels[channel].name;
}

int channel_parse(struct str name)
{
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        if (str_equal(name, str_from(channels[i].name))) {
            return i;
        }
    }
    return -1;
}

int channel_drop_priority(enum channel channel)
{
    return channels[channel].drop_priority;
}

const char *gap_kind_name(enum gap_kind kind)
{
    static const char *const names[] = {
#define X(kind, name) name,
        GAP_KIND_LIST(X)
#undef X
    };
    return names[kind];
}

const char *gap_resolved_name(enum gap_resolved resolved)
{
    static const char *const names[] = {
#define X(resolved, name) name,
        GAP_RESOLVED_LIST(X)
#undef X
    };
    return names[resolved];
}
