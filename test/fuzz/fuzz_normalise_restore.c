/* Checkpoint parts from a damaged journal: whatever the bytes, the object stays sound and goes on.
 */
#include <stdint.h>

#include "base/assert.h"
#include "normalise/normalise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t streams_max = 16;

static void on_event(void *context, uint32_t stream, const struct event *event)
{
    (void)context;
    ASSERT(stream < streams_max);
    ASSERT(event->channel < CHANNEL_COUNT);
}

static void on_part(void *context, struct str part)
{
    *(size_t *)context += part.bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct normalise_config config = {
        .streams_max = streams_max,
        .symbol_bytes_max = 64,
        .names_bytes = 1024,
        .book_bytes = 64 << 10,
        .books_max = 4,
        .pending_deltas_bytes = 16 << 10,
        .open_gaps_max = 16,
        .book_enabled = true,
    };
    struct normalise_handlers handlers = {.on_event = on_event};
    struct normalise *normalise = normalise_create(&config, &handlers);
    ASSERT(normalise != NULL);
    normalise_restore(normalise, str_make((const char *)data, size));
    struct level level = {{100, -2}, {5, 0}};
    struct event event = {.channel = CHANNEL_DEPTH,
                          .venue = VENUE_BINANCE,
                          .symbol = STR("BTCUSDT"),
                          .recv_unix_ns = 2000000000000000000LL,
                          .conn = 1,
                          .seq = 1};
    event.depth = (struct depth_event){.first_update_id = 10,
                                       .last_update_id = 12,
                                       .prev_update_id = ID_NONE,
                                       .bids = &level,
                                       .bid_count = 1};
    normalise_event(normalise, &event);
    event.depth.is_snapshot = true;
    event.depth.last_update_id = 11;
    normalise_event(normalise, &event);
    static const enum record_kind kinds[] = {RECORD_TICK, RECORD_START, RECORD_CLOSE, RECORD_STOP};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct record record = {.seq = 2 + i,
                                .kind = kinds[i],
                                .venue = kinds[i] == RECORD_CLOSE ? VENUE_BINANCE : VENUE_NONE,
                                .conn = 1,
                                .time_unix_ns = 2000000001000000000LL + (int64_t)i * 60000000000LL};
        normalise_record(normalise, &record);
    }
    size_t bytes = 0;
    normalise_checkpoint(normalise, 32768, on_part, &bytes);
    ASSERT(bytes > 0);
    normalise_destroy(normalise);
    return 0;
}
