/* Checkpoint parts from a damaged journal: whatever the bytes, the object stays sound and goes on,
 * and what it then checkpoints restores to the same. Input: parts, each after its length as u16. */
#include <stdint.h>
#include <stdlib.h>

#include "base/assert.h"
#include "normalise/normalise.h"

#define STREAMS_MAX 16
#define SAVED_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void on_event(void *context, uint32_t stream, const struct event *event)
{
    (void)context;
    ASSERT(stream < STREAMS_MAX);
    ASSERT(event->channel < CHANNEL_COUNT);
}

static struct normalise *create(void)
{
    struct normalise_config config = {
        .streams_max = STREAMS_MAX,
        .symbol_bytes_max = 64,
        .names_bytes = 512,
        .book_bytes = 32 << 10,
        .books_max = 4,
        .pending_deltas_bytes = 8 << 10,
        .open_gaps_max = 6,
        .recents_max = 2,
        .book_enabled = true,
        .backfill_enabled = true,
        .backfill_trades_max = 1000,
        .backfill_age_ns = INT64_MAX,
    };
    struct normalise_handlers handlers = {.on_event = on_event};
    struct normalise *normalise = normalise_create(&config, &handlers);
    ASSERT(normalise != NULL);
    return normalise;
}

struct saved {
    uint8_t bytes[SAVED_MAX];
    size_t used;
};

static void on_part(void *context, struct str part)
{
    struct saved *saved = context;
    ASSERT(part.bytes <= NORMALISE_PART_BYTES_MIN);
    ASSERT(saved->used + 2 + part.bytes <= SAVED_MAX);
    store_u16(saved->bytes + saved->used, (uint16_t)part.bytes);
    memcpy(saved->bytes + saved->used + 2, part.data, part.bytes);
    saved->used += 2 + part.bytes;
}

/* Returns the first code that is not 0. */
static int restore_all(struct normalise *normalise, const uint8_t *data, size_t bytes)
{
    int code = 0;
    for (size_t at = 0; at + 2 <= bytes;) {
        size_t part = load_u16(data + at);
        at += 2;
        part = part <= bytes - at ? part : bytes - at;
        int this = normalise_restore(normalise, str_make((const char *)data + at, part));
        code = code != 0 ? code : this;
        normalise_check(normalise);
        at += part;
    }
    return code;
}

static void save_and_compare(const struct normalise *normalise)
{
    static struct saved first, second;
    first.used = second.used = 0;
    normalise_checkpoint(normalise, NORMALISE_PART_BYTES_MIN, on_part, &first);
    struct normalise *other = create();
    ASSERT(restore_all(other, first.bytes, first.used) == 0);
    normalise_checkpoint(other, NORMALISE_PART_BYTES_MIN, on_part, &second);
    ASSERT(first.used == second.used);
    ASSERT(memcmp(first.bytes, second.bytes, first.used) == 0);
    normalise_destroy(other);
}

static void go_on(struct normalise *normalise)
{
    static const struct level level = {{100, -2}, {5, 0}};
    for (int64_t id = 8; id < 14; id++) {
        struct event event = {.channel = CHANNEL_DEPTH,
                              .venue = VENUE_BINANCE,
                              .symbol = STR("A"),
                              .recv_unix_ns = 2000000000000000000LL + id,
                              .conn = 1,
                              .seq = (uint64_t)id};
        event.depth = (struct depth_event){.is_snapshot = id == 11,
                                           .first_update_id = id - (id & 1),
                                           .last_update_id = id,
                                           .prev_update_id = ID_NONE,
                                           .bids = &level,
                                           .bid_count = 1};
        normalise_event(normalise, &event);
        event.channel = CHANNEL_TRADES;
        event.trade = (struct trade_event){.trade_id = id, .flags = (int32_t)(id & 1)};
        normalise_event(normalise, &event);
        event.venue = VENUE_GATE; /* ids that grow: among those of a seed, and behind them */
        event.symbol = STR("A_B");
        event.trade = (struct trade_event){.trade_id = 890 + 2 * id - (id & 1) * 17};
        normalise_event(normalise, &event);
        event.venue = VENUE_BINANCE;
        event.symbol = STR("A");
        int64_t asked = id - 6; /* into the hole of a seed */
        event.conn = 0;
        event.trade =
            (struct trade_event){.trade_id = asked,
                                 .page_from_id = asked,
                                 .flags = (int32_t)(id & 1) | TRADE_BACKFILL | TRADE_PAGE_FIRST};
        normalise_event(normalise, &event);
        event.trade.flags = (int32_t)(id & 1) | TRADE_BACKFILL | TRADE_PAGE_END;
        normalise_event(normalise, &event);
        normalise_check(normalise);
    }
    static const enum record_kind kinds[] = {RECORD_TICK, RECORD_START, RECORD_CLOSE, RECORD_TICK,
                                             RECORD_STOP};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct record record = {.seq = 20 + i,
                                .kind = kinds[i],
                                .venue = kinds[i] == RECORD_CLOSE ? VENUE_BINANCE : VENUE_NONE,
                                .conn = 1,
                                .time_unix_ns = 2000000001000000000LL + (int64_t)i * 60000000000LL};
        normalise_record(normalise, &record);
        normalise_check(normalise);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct normalise *normalise = create();
    restore_all(normalise, data, bytes);
    save_and_compare(normalise);
    go_on(normalise);
    save_and_compare(normalise);
    normalise_destroy(normalise);
    return 0;
}
