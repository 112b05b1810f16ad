/* Landing from records: a checkpoint taken wherever one may stand leads to the same end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "app/land.h"
#include "app/settings.h"
#include "base/clock.h"

#define START_NS (1795455000LL * NS_PER_S)
#define STATE_BYTES (1u << 20)

static struct settings settings;

struct state {
    char bytes[STATE_BYTES];
    size_t used;
};

struct running {
    struct mdio disk;
    struct land *land;
};

static void begin(struct running *running)
{
    struct err err = {{0}};
    struct land_sizes sizes = {.streams_max = 16,
                               .books_max = 2,
                               .trades_max = 2,
                               .book_bytes = 1u << 20,
                               .row_block_bytes = 1u << 20,
                               .row_group_rows = 1000};
    struct land_handlers handlers = {0};
    running->land = NULL;
    assert_int_equal(mdio_mem_open(&running->disk), 0);
    assert_int_equal(land_open(&running->land, &running->disk, &settings, &sizes, false, &handlers,
                               NULL, NULL, &err),
                     0);
}

static void end(struct running *running)
{
    land_close(running->land);
    mdio_deinit(&running->disk);
}

/* ---- records: a hole in trades that a page in three parts fills */

static const struct {
    enum record_kind kind;
    uint32_t conn;
    const char *arg, *payload;
} script[] = {
    {RECORD_START, 0, "r 1", ""},
    {RECORD_OPEN, 1, "", ""},
    {RECORD_SENT, 1, "", "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@trade\"],\"id\":1}"},
#define TRADE(id)                                                                                \
    {                                                                                            \
        RECORD_RECV, 1, "",                                                                      \
            "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1795455000000,\"s\":" \
            "\"BTCUSDT\",\"t\":" #id                                                             \
            ",\"p\":\"1.5\",\"q\":\"2\",\"T\":1795455000000,\"m\":true,\"M\":true}}"             \
    }
    TRADE(10),
    TRADE(15),
#define URL "GET http://h/api/v3/historicalTrades?symbol=BTCUSDT&fromId=11&limit=1000"
#define ROW(id)                                                                                  \
    "{\"id\":" #id ",\"price\":\"1.5\",\"qty\":\"2\",\"quoteQty\":\"3\",\"time\":1795455000000," \
    "\"isBuyerMaker\":true,\"isBestMatch\":true}"
    {RECORD_REST_PART, 0, URL, "[" ROW(11) "," ROW(12)},
    TRADE(16),
    {RECORD_REST_PART, 0, URL, "," ROW(13)},
    {RECORD_REST_PART, 0, URL, "," ROW(14) "]"},
    {RECORD_REST, 0, URL " 200", ""},
    {RECORD_TICK, 0, "", ""},
    /* one that breaks off: no page is left open */
    TRADE(19),
    {RECORD_REST_PART, 0, URL, "[" ROW(17)},
    {RECORD_REST, 0, URL " 0", ""},
    {RECORD_TICK, 0, "", ""},
    {RECORD_REST_PART, 0, URL, "[]"},
    {RECORD_REST, 0, URL " 200", ""},
    {RECORD_TICK, 0, "", ""},
};
#define SCRIPT_COUNT (sizeof script / sizeof script[0])

static void land_one(struct land *land, size_t i)
{
    enum record_kind kind = script[i].kind;
    bool of_venue = kind != RECORD_START && kind != RECORD_TICK;
    struct record record = {.seq = i + 1,
                            .time_unix_ns = START_NS + (int64_t)i * NS_PER_S,
                            .kind = kind,
                            .venue = of_venue ? VENUE_BINANCE : VENUE_NONE,
                            .conn = script[i].conn,
                            .arg = str_from(script[i].arg),
                            .payload = str_from(script[i].payload)};
    land_record(land, &record);
}

static void on_part(void *context, struct str payload)
{
    struct state *state = context;
    assert_true(state->used + 4 + payload.bytes <= sizeof state->bytes);
    uint32_t bytes = (uint32_t)payload.bytes;
    memcpy(state->bytes + state->used, &bytes, 4);
    memcpy(state->bytes + state->used + 4, payload.data, payload.bytes);
    state->used += 4 + payload.bytes;
}

static void save(struct land *land, struct state *state)
{
    state->used = 0;
    land_checkpoint(land, on_part, state);
}

static void restore(struct land *land, const struct state *state)
{
    for (size_t at = 0; at < state->used;) {
        uint32_t bytes = 0;
        memcpy(&bytes, state->bytes + at, 4);
        struct record record = {.kind = RECORD_STATE,
                                .payload = str_make(state->bytes + at + 4, bytes)};
        land_record(land, &record);
        at += 4 + bytes;
    }
    assert_int_equal(land_stats(land)->state_parts_damaged, 0);
}

/* The state but for the store's, whose files differ. */
static bool same_streams(const struct state *a, const struct state *b)
{
    size_t x = 0, y = 0;
    while (x < a->used && y < b->used && a->bytes[x + 4] != 's' && b->bytes[y + 4] != 's') {
        uint32_t bytes = 0;
        memcpy(&bytes, a->bytes + x, 4);
        if (bytes > b->used - y || memcmp(a->bytes + x, b->bytes + y, 4 + bytes) != 0) {
            return false;
        }
        x += 4 + bytes;
        y += 4 + bytes;
    }
    return x > 0;
}

static struct normalise_stats land_from(struct land *land, size_t from, struct state *state)
{
    for (size_t i = from; i < SCRIPT_COUNT; i++) {
        land_one(land, i);
    }
    save(land, state);
    return normalise_stats(land_normalise(land));
}

static void a_checkpoint_between_bodies_leads_to_the_same_end(void **state)
{
    (void)state;
    static struct state whole, middle, resumed;
    struct running all;
    begin(&all);
    struct normalise_stats stats = land_from(all.land, 0, &whole);
    assert_int_equal(land_stats(all.land)->undecodable, 0);
    assert_int_equal(stats.trades_backfilled, 5); /* 11..14 and 17; 18 is open still */
    assert_int_equal(stats.open_gaps, 1);
    end(&all);
    size_t within = 0;
    for (size_t i = 1; i < SCRIPT_COUNT; i++) {
        struct running first;
        begin(&first);
        for (size_t k = 0; k < i; k++) {
            land_one(first.land, k);
        }
        bool between = land_between_bodies(first.land);
        assert_true(between == (script[i - 1].kind != RECORD_REST_PART && i != 7));
        save(first.land, &middle);
        end(&first);
        struct running second;
        begin(&second);
        restore(second.land, &middle);
        (void)land_from(second.land, i, &resumed);
        end(&second);
        bool same = same_streams(&resumed, &whole);
        if (between && !same) {
            print_error("from record %zu on it is another end\n", i + 1);
        }
        assert_true(same || !between);
        within += !same;
    }
    assert_true(within > 0); /* within a body it is another end: that is why */
}

static void land_config(struct land *land, uint64_t seq, const struct settings *of)
{
    static char text[8192];
    struct buf lines = buf_over(text, sizeof text);
    settings_landing_format(of, &lines);
    struct record record = {.seq = seq,
                            .time_unix_ns = START_NS + (int64_t)seq * NS_PER_S,
                            .kind = RECORD_CONFIG,
                            .payload = buf_view(&lines)};
    land_record(land, &record);
}

/* What was recorded with backfill keeps its hole open when it is replayed by a run without, and the
 * other way round it was told: so no gap row moves to where its file is sealed already. */
static void a_replay_lands_with_the_settings_of_its_time(void **state)
{
    (void)state;
    static struct settings other;
    static struct state before;
    for (int then = 0; then < 2; then++) {
        for (int from_config = 0; from_config < 2; from_config++) {
            struct running first, second;
            other = settings;
            settings.backfill_enabled = then == 1;
            begin(&first);
            save(first.land, &before);
            end(&first);
            other.backfill_enabled = then == 0;
            struct settings recorded = settings;
            settings = other; /* the run that replays */
            begin(&second);
            if (from_config == 1) {
                land_config(second.land, 1, &recorded);
            } else {
                restore(second.land, &before);
            }
            for (size_t i = 1; i < 5; i++) { /* trades 10 and 15 */
                land_one(second.land, i);
            }
            struct normalise_stats stats = normalise_stats(land_normalise(second.land));
            assert_int_equal(stats.gaps, then == 1 ? 0 : 1);
            assert_int_equal(stats.open_gaps, then == 1 ? 1 : 0);
            land_config(second.land, 6, &settings); /* its own settings, behind the replay */
            stats = normalise_stats(land_normalise(second.land));
            assert_int_equal(stats.gaps, 1);
            assert_int_equal(stats.open_gaps, 0);
            assert_int_equal(stats.gaps_by[VENUE_BINANCE][GAP_SEQUENCE][GAP_RESOLVED_NONE], 1);
            end(&second);
        }
    }
    settings.backfill_enabled = true;
}

int main(void)
{
    settings_init(&settings);
    settings.backfill_enabled = true;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_checkpoint_between_bodies_leads_to_the_same_end),
        cmocka_unit_test(a_replay_lands_with_the_settings_of_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
