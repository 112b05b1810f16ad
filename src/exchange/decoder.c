/* The decoders' scratch, taken once. */
#include "exchange/decoder.h"

#include "base/alloc.h"

#define REST_LEVELS_MAX 5000 /* a side, the deepest REST book of any venue */

static uint32_t venues_with_rest(void)
{
    uint32_t count = 0;
    for (int id = 1; id < VENUE_ID_END; id++) {
        count += venue_of((enum venue_id)id) != NULL;
    }
    return count;
}

static uint32_t rest_levels(const struct decoder_config *config)
{
    return config->levels_max < REST_LEVELS_MAX ? config->levels_max : REST_LEVELS_MAX;
}

size_t decoder_memory_bytes(const struct decoder_config *config)
{
    return sizeof(struct decoder) + (size_t)config->levels_max * 2 * sizeof(struct level) +
           (size_t)venues_with_rest() * rest_levels(config) * 2 * sizeof(struct level);
}

struct decoder *decoder_create(const struct decoder_config *config)
{
    struct decoder *decoder = alloc_take(ALLOC_DECODE, decoder_memory_bytes(config));
    if (decoder == NULL) {
        return NULL;
    }
    struct level *levels = (struct level *)(void *)(decoder + 1);
    decoder->levels = levels;
    decoder->levels_max = config->levels_max;
    levels += (size_t)config->levels_max * 2;
    for (int id = 1; id < VENUE_ID_END; id++) {
        if (venue_of((enum venue_id)id) != NULL) {
            decoder->rest[id].levels = levels;
            decoder->rest[id].levels_max = rest_levels(config);
            levels += (size_t)rest_levels(config) * 2;
        }
    }
    return decoder;
}

void decoder_restart(struct decoder *decoder)
{
    for (int id = 1; id < VENUE_ID_END; id++) {
        decoder->rest[id].active = false;
    }
}

bool decoder_in_body(const struct decoder *decoder)
{
    bool active = false;
    for (int id = 1; id < VENUE_ID_END; id++) {
        active = active || decoder->rest[id].active;
    }
    return active;
}

void decoder_destroy(struct decoder *decoder)
{
    alloc_give(decoder);
}
