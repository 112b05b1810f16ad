/* The largest ids of trades that landed lately, of a stream whose ids only grow. They tell a double
 * from a trade that one connection brings late, or never. Sorted, in a ring: the usual next id
 * costs one store, a late one a walk back from the newest. */
#include "base/assert.h"
#include "normalise/normalise_internal.h"

#define MASK (RECENT_IDS - 1)
_Static_assert((RECENT_IDS & MASK) == 0, "a power of two");

static int64_t *at(struct recent *recent, uint32_t back)
{
    return &recent->ids[(recent->next - 1 - back) & MASK];
}

int64_t recent_id(const struct recent *recent, uint32_t back)
{
    return recent->ids[(recent->next - 1 - back) & MASK];
}

/* How many are above the id. */
static uint32_t above(const struct recent *recent, int64_t id)
{
    uint32_t back = 0;
    while (back < recent->count && recent_id(recent, back) > id) {
        back++;
    }
    return back;
}

enum recent_finds recent_find(const struct recent *recent, int64_t id)
{
    uint32_t back = above(recent, id);
    return back < recent->count ? (recent_id(recent, back) == id ? RECENT_THERE : RECENT_NEW)
           : recent->cut        ? RECENT_BELOW
                                : RECENT_NEW;
}

void recent_add(struct recent *recent, int64_t id)
{
    uint32_t back = above(recent, id);
    if (back < recent->count && recent_id(recent, back) == id) {
        return;
    }
    recent->cut = recent->cut || recent->count == RECENT_IDS;
    if (back == RECENT_IDS) {
        return; /* below all of them */
    }
    recent->next++;
    for (uint32_t i = 0; i < back; i++) {
        *at(recent, i) = *at(recent, i + 1);
    }
    *at(recent, back) = id;
    recent->count += recent->count < RECENT_IDS;
}

void recent_begin(struct recent *recent, int64_t id, bool cut)
{
    *recent = (struct recent){.count = 1, .next = 1, .cut = cut, .ids = {id}};
}

void recent_check(const struct recent *recent, int64_t last_id)
{
    ASSERT(recent->count <= RECENT_IDS);
    ASSERT(recent->count > 0 || last_id == ID_NONE);
    for (uint32_t i = 1; i < recent->count; i++) {
        ASSERT(recent_id(recent, i) < recent_id(recent, i - 1));
    }
}
