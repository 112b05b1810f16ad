/* The market model: the same index is the same message, indexes and times are inverse, and a book
 * kept from a snapshot and diffs is the oracle's book. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sim/model.h"

#define NOW (1795455129LL * NS_PER_S + 123456789)

struct fixture {
    struct model model;
    void *memory;
};

static struct model_config config_of(uint64_t seed, uint32_t symbols, double rate)
{
    return (struct model_config){
        .seed = seed, .symbols = symbols, .symbols_idle = 4, .trades_per_s = rate};
}

static struct fixture fixture_make(struct model_config config)
{
    struct fixture f;
    f.memory = calloc(1, model_memory_bytes(&config));
    assert_non_null(f.memory);
    model_init(&f.model, &config, f.memory);
    return f;
}

static void same_settings_give_the_same_market(void **state)
{
    (void)state;
    struct fixture a = fixture_make(config_of(7, 50, 500));
    struct fixture b = fixture_make(config_of(7, 50, 500));
    struct fixture other = fixture_make(config_of(8, 50, 500));
    uint32_t differ = 0;
    for (int64_t i = 0; i < 2000; i++) {
        struct model_trade x = model_trade_at(&a.model.symbols[3], i * 7919);
        struct model_trade y = model_trade_at(&b.model.symbols[3], i * 7919);
        struct model_trade z = model_trade_at(&other.model.symbols[3], i * 7919);
        assert_int_equal(x.id, y.id);
        assert_int_equal(x.price_e8, y.price_e8);
        assert_int_equal(x.quantity_e8, y.quantity_e8);
        assert_int_equal(x.time_unix_ns, y.time_unix_ns);
        assert_int_equal(x.buyer_is_maker, y.buyer_is_maker);
        differ += x.price_e8 != z.price_e8 || x.quantity_e8 != z.quantity_e8;
    }
    assert_true(differ > 1900);
    free(a.memory);
    free(b.memory);
    free(other.memory);
}

/* Written out once: whoever changes the model changes these, and every stored recording. */
static void values_of_seed_1_stay_what_they_are(void **state)
{
    (void)state;
    struct fixture f = fixture_make(config_of(1, 50, 500));
    const struct model_symbol *symbol = &f.model.symbols[0];
    struct model_trade trade = model_trade_at(symbol, 1000000);
    assert_string_equal(symbol->name, "BTCUSDT");
    assert_int_equal(trade.id, 785204827);
    assert_int_equal(trade.price_e8, 6520814000000);
    assert_int_equal(trade.quantity_e8, 32000);
    assert_int_equal(trade.time_unix_ns, 1704076198474591800);
    free(f.memory);
}

static void index_and_time_are_inverse(void **state)
{
    (void)state;
    struct fixture f = fixture_make(config_of(1, 300, 2000));
    for (uint32_t s = 0; s < 300; s += 7) {
        const struct model_symbol *symbol = &f.model.symbols[s];
        int64_t from = model_aggs_until(symbol, NOW);
        int64_t before = 0;
        for (int64_t i = from; i < from + 200; i++) {
            int64_t time = model_agg_time(symbol, i);
            assert_true(time >= before);
            assert_true(model_aggs_until(symbol, time) > i);
            assert_true(model_aggs_until(symbol, time - 1) <= i);
            before = time;
        }
        int64_t update = model_update_until(symbol, NOW);
        for (int64_t u = update; u < update + 200; u++) {
            assert_int_equal(model_update_until(symbol, model_update_time(symbol, u)), u);
            assert_int_equal(model_update_until(symbol, model_update_time(symbol, u) - 1), u - 1);
        }
    }
    free(f.memory);
}

static void trades_and_aggregates_agree(void **state)
{
    (void)state;
    struct fixture f = fixture_make(config_of(3, 20, 200));
    const struct model_symbol *symbol = &f.model.symbols[5];
    int64_t next = -1;
    for (int64_t a = 12345; a < 12345 + 1000; a++) {
        struct model_agg agg = model_agg_at(symbol, a);
        int64_t sum = 0;
        assert_true(next < 0 || agg.first_id == next);
        for (int64_t id = agg.first_id; id <= agg.last_id; id++) {
            struct model_trade trade = model_trade_at(symbol, id - symbol->trade_id0);
            assert_int_equal(trade.id, id);
            assert_int_equal(trade.price_e8, agg.price_e8);
            assert_int_equal(trade.time_unix_ns, agg.time_unix_ns);
            assert_int_equal(trade.buyer_is_maker, agg.buyer_is_maker);
            sum += trade.quantity_e8;
        }
        assert_int_equal(sum, agg.quantity_e8);
        next = agg.last_id + 1;
    }
    free(f.memory);
}

static void rates_are_as_configured_and_skewed(void **state)
{
    (void)state;
    struct fixture f = fixture_make(config_of(1, 10, 1000));
    int64_t sum = 0;
    int64_t first = 0;
    int64_t last = 0;
    for (uint32_t s = 0; s < 10; s++) {
        const struct model_symbol *symbol = &f.model.symbols[s];
        int64_t trades =
            model_trades_until(symbol, NOW + 100 * NS_PER_S) - model_trades_until(symbol, NOW);
        sum += trades;
        first = s == 0 ? trades : first;
        last = trades;
    }
    assert_in_range(sum, 99000, 101000);
    assert_in_range(first / last, 9, 11); /* shares of 1 and 1/10 */
    free(f.memory);
}

static void prices_stand_on_their_tick_and_sizes_on_their_step(void **state)
{
    (void)state;
    struct fixture f = fixture_make(config_of(1, 500, 5000));
    for (uint32_t s = 0; s < 500; s++) {
        const struct model_symbol *symbol = &f.model.symbols[s];
        int64_t from = model_trades_until(symbol, NOW);
        for (int64_t i = from; i < from + 50; i++) {
            struct model_trade trade = model_trade_at(symbol, i);
            assert_true(trade.price_e8 > 0);
            assert_int_equal(trade.price_e8 % symbol->tick_e8, 0);
            assert_true(trade.quantity_e8 > 0);
            assert_int_equal(trade.quantity_e8 % symbol->step_e8, 0);
        }
        int64_t before = 0;
        for (uint32_t slot = 0; slot < symbol->slots; slot++) {
            int64_t price = model_slot_price(symbol, slot);
            assert_true(price > before);
            assert_int_equal(price % symbol->tick_e8, 0);
            before = price;
        }
    }
    free(f.memory);
}

static void names_are_unique_and_found_again(void **state)
{
    (void)state;
    struct fixture f = fixture_make(config_of(1, 2000, 5000));
    for (uint32_t s = 0; s < f.model.count; s++) {
        const struct model_symbol *symbol = &f.model.symbols[s];
        assert_ptr_equal(model_find(&f.model, str_from(symbol->name), false), symbol);
        assert_ptr_equal(model_find(&f.model, str_from(symbol->lower), true), symbol);
    }
    assert_null(model_find(&f.model, STR("btcusdt"), false));
    assert_null(model_find(&f.model, STR("BTCUSDT"), true));
    assert_null(model_find(&f.model, STR(""), true));
    assert_null(model_find(&f.model, STR("NOSUCHSYMBOL"), false));
    assert_string_equal(f.model.symbols[63].name, "这是测试币456");
    assert_string_equal(f.model.symbols[2000].status, "BREAK");
    free(f.memory);
}

static void book_built_at_an_update_equals_the_book_kept_until_it(void **state)
{
    (void)state;
    struct fixture f = fixture_make(config_of(11, 250, 5000));
    static const uint32_t which[] = {0, 15, 20, 34, 100, 249};
    static uint32_t kept_steps[MODEL_SLOTS_MAX];
    static uint32_t built_steps[MODEL_SLOTS_MAX];
    for (size_t w = 0; w < 6; w++) {
        const struct model_symbol *symbol = &f.model.symbols[which[w]];
        int64_t start = model_update_until(symbol, NOW);
        struct model_book kept;
        model_book_build(&kept, symbol, kept_steps, start);
        for (int i = 0; i < 30000; i++) {
            uint32_t touched[MODEL_TOUCHES_MAX];
            bool best_changed;
            model_book_advance(&kept, touched, &best_changed);
            assert_true(kept.steps[kept.mid] > 0);
            assert_true(kept.steps[kept.mid - 1] > 0);
            if (i % 4999 == 0) {
                struct model_book built;
                model_book_build(&built, symbol, built_steps, kept.update);
                assert_int_equal(built.mid, kept.mid);
                assert_memory_equal(built_steps, kept_steps, symbol->slots * sizeof(uint32_t));
            }
        }
    }
    free(f.memory);
}

static void mid_moves_one_slot_at_most_and_stays_inside(void **state)
{
    (void)state;
    struct fixture f = fixture_make(config_of(5, 400, 5000));
    static const uint32_t which[] = {0, 15, 150, 300};
    for (size_t w = 0; w < 4; w++) {
        const struct model_symbol *symbol = &f.model.symbols[which[w]];
        uint32_t before = model_mid(symbol, 1LL << 30);
        uint32_t moves = 0;
        for (int64_t u = (1LL << 30) + 1; u < (1LL << 30) + 200000; u++) {
            uint32_t mid = model_mid(symbol, u);
            assert_true(mid > symbol->slots / 16);
            assert_true(mid < symbol->slots - symbol->slots / 16);
            assert_true(mid + 1 >= before);
            assert_true(mid <= before + 1);
            moves += mid != before;
            before = mid;
        }
        assert_in_range(moves, 2000, 100000);
    }
    free(f.memory);
}

/* A client's book: quantity by price and side. */
struct side_map {
    int64_t price[4 * MODEL_SLOTS_MAX], quantity[4 * MODEL_SLOTS_MAX];
    uint32_t count;
};

static void side_set(struct side_map *map, int64_t price, int64_t quantity)
{
    uint32_t i = 0;
    while (i < map->count && map->price[i] != price) {
        i++;
    }
    if (i == map->count) {
        assert_true(map->count < 4 * MODEL_SLOTS_MAX);
        map->price[map->count++] = price;
    }
    map->quantity[i] = quantity;
}

static uint32_t side_levels(const struct side_map *map)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < map->count; i++) {
        count += map->quantity[i] != 0;
    }
    return count;
}

static void side_equals(const struct side_map *map, const struct model_level *levels,
                        uint32_t count)
{
    assert_int_equal(side_levels(map), count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = 0;
        while (at < map->count && map->price[at] != levels[i].price_e8) {
            at++;
        }
        assert_true(at < map->count);
        assert_int_equal(map->quantity[at], levels[i].quantity_e8);
    }
}

/* The whole book; `bids` and `asks` are scratch. */
static void sides_set(const struct model_book *book, struct side_map *bid_map,
                      struct side_map *ask_map, struct model_level *bids, struct model_level *asks)
{
    uint32_t bid_count = model_book_bids(book, bids, MODEL_SLOTS_MAX);
    uint32_t ask_count = model_book_asks(book, asks, MODEL_SLOTS_MAX);
    for (uint32_t i = 0; i < bid_count; i++) {
        side_set(bid_map, bids[i].price_e8, bids[i].quantity_e8);
    }
    for (uint32_t i = 0; i < ask_count; i++) {
        side_set(ask_map, asks[i].price_e8, asks[i].quantity_e8);
    }
}

static void book_from_snapshot_and_diffs_equals_the_oracles(void **state)
{
    (void)state;
    struct fixture f = fixture_make(config_of(2, 250, 5000));
    const struct model_symbol *symbol = &f.model.symbols[240];
    static uint32_t steps[MODEL_SLOTS_MAX], oracle_steps[MODEL_SLOTS_MAX];
    static struct model_level bids[MODEL_SLOTS_MAX], asks[MODEL_SLOTS_MAX];
    static struct side_map bid_map, ask_map;
    struct model_book book;
    model_book_build(&book, symbol, steps, model_update_until(symbol, NOW));
    sides_set(&book, &bid_map, &ask_map, bids, asks);
    for (int event = 0; event < 400; event++) {
        struct model_diff diff;
        uint32_t bid_count, ask_count;
        model_diff_begin(&diff, &book);
        for (int u = 0; u < 1 + event % 60; u++) {
            uint32_t touched[MODEL_TOUCHES_MAX];
            bool best_changed;
            uint32_t count = model_book_advance(&book, touched, &best_changed);
            for (uint32_t i = 0; i < count; i++) {
                model_diff_touch(&diff, &book, touched[i]);
            }
        }
        model_diff_levels(&diff, &book, bids, &bid_count, asks, &ask_count);
        assert_true(bid_count + ask_count > 0);
        for (uint32_t i = 0; i < bid_count; i++) {
            assert_true(i == 0 || bids[i].price_e8 < bids[i - 1].price_e8);
            side_set(&bid_map, bids[i].price_e8, bids[i].quantity_e8);
        }
        for (uint32_t i = 0; i < ask_count; i++) {
            assert_true(i == 0 || asks[i].price_e8 > asks[i - 1].price_e8);
            side_set(&ask_map, asks[i].price_e8, asks[i].quantity_e8);
        }
        struct model_book oracle;
        model_book_build(&oracle, symbol, oracle_steps, book.update);
        bid_count = model_book_bids(&oracle, bids, MODEL_SLOTS_MAX);
        ask_count = model_book_asks(&oracle, asks, MODEL_SLOTS_MAX);
        side_equals(&bid_map, bids, bid_count);
        side_equals(&ask_map, asks, ask_count);
        assert_true(bids[0].price_e8 < asks[0].price_e8);
    }
    free(f.memory);
}

/* A snapshot may be of the middle of an event: what the event says upon it is the book all the
 * same, though the mid went back and forth. */
static void an_event_upon_a_book_of_its_middle_equals_the_oracles(void **state)
{
    (void)state;
    struct fixture f = fixture_make(config_of(2, 250, 5000));
    const struct model_symbol *symbol = &f.model.symbols[240];
    static uint32_t steps[MODEL_SLOTS_MAX], middle_steps[MODEL_SLOTS_MAX];
    static struct model_level bids[MODEL_SLOTS_MAX], asks[MODEL_SLOTS_MAX];
    static struct side_map bid_map, ask_map;
    struct model_book book;
    model_book_build(&book, symbol, steps, model_update_until(symbol, NOW));
    for (int event = 0; event < 400; event++) {
        struct model_diff diff;
        struct model_book middle;
        uint32_t bid_count, ask_count;
        int updates = 2 + event % 20;
        model_diff_begin(&diff, &book);
        model_book_build(&middle, symbol, middle_steps, book.update + 1 + event % updates);
        for (int u = 0; u < updates; u++) {
            uint32_t touched[MODEL_TOUCHES_MAX];
            bool best_changed;
            uint32_t count = model_book_advance(&book, touched, &best_changed);
            for (uint32_t i = 0; i < count; i++) {
                model_diff_touch(&diff, &book, touched[i]);
            }
        }
        memset(&bid_map, 0, sizeof bid_map);
        memset(&ask_map, 0, sizeof ask_map);
        sides_set(&middle, &bid_map, &ask_map, bids, asks);
        model_diff_levels(&diff, &book, bids, &bid_count, asks, &ask_count);
        for (uint32_t i = 0; i < bid_count; i++) {
            side_set(&bid_map, bids[i].price_e8, bids[i].quantity_e8);
        }
        for (uint32_t i = 0; i < ask_count; i++) {
            side_set(&ask_map, asks[i].price_e8, asks[i].quantity_e8);
        }
        bid_count = model_book_bids(&book, bids, MODEL_SLOTS_MAX);
        ask_count = model_book_asks(&book, asks, MODEL_SLOTS_MAX);
        side_equals(&bid_map, bids, bid_count);
        side_equals(&ask_map, asks, ask_count);
    }
    free(f.memory);
}

static void trades_take_the_best_price_of_their_time(void **state)
{
    (void)state;
    struct fixture f = fixture_make(config_of(4, 50, 500));
    const struct model_symbol *symbol = &f.model.symbols[30];
    static uint32_t steps[MODEL_SLOTS_MAX];
    int64_t from = model_trades_until(symbol, NOW);
    for (int64_t i = from; i < from + 100; i++) {
        struct model_trade trade = model_trade_at(symbol, i);
        struct model_book book;
        model_book_build(&book, symbol, steps, model_update_until(symbol, trade.time_unix_ns));
        struct model_level best;
        if (trade.buyer_is_maker) {
            assert_int_equal(model_book_bids(&book, &best, 1), 1);
        } else {
            assert_int_equal(model_book_asks(&book, &best, 1), 1);
        }
        assert_int_equal(trade.price_e8, best.price_e8);
    }
    free(f.memory);
}

static void window_of_few_trades_is_exact(void **state)
{
    (void)state;
    struct fixture f = fixture_make(config_of(4, 50, 500));
    const struct model_symbol *symbol = &f.model.symbols[10];
    struct model_window w;
    int64_t from = NOW / NS_PER_S * NS_PER_S;
    int64_t to = from + 60 * NS_PER_S;
    model_window(symbol, from, to, MODEL_SCAN_BLOCKS, &w);
    int64_t first = model_trades_until(symbol, from - 1);
    int64_t end = model_trades_until(symbol, to - 1);
    int64_t volume = 0;
    int64_t high = 0;
    for (int64_t i = first; i < end; i++) {
        struct model_trade trade = model_trade_at(symbol, i);
        volume += trade.quantity_e8;
        high = trade.price_e8 > high ? trade.price_e8 : high;
    }
    assert_true(end - first > 100);
    assert_int_equal(w.count, end - first);
    assert_int_equal(w.volume_e8, volume);
    assert_int_equal(w.high_e8, high);
    assert_int_equal(w.first_id, symbol->trade_id0 + first);
    assert_int_equal(w.last_id, symbol->trade_id0 + end - 1);
    assert_int_equal(w.open_e8, model_trade_at(symbol, first).price_e8);
    assert_int_equal(w.close_e8, model_trade_at(symbol, end - 1).price_e8);
    model_window(symbol, from, from, MODEL_SCAN_BLOCKS, &w);
    assert_int_equal(w.count, 0);
    assert_int_equal(w.first_id, -1);
    free(f.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_settings_give_the_same_market),
        cmocka_unit_test(values_of_seed_1_stay_what_they_are),
        cmocka_unit_test(names_are_unique_and_found_again),
        cmocka_unit_test(index_and_time_are_inverse),
        cmocka_unit_test(rates_are_as_configured_and_skewed),
        cmocka_unit_test(prices_stand_on_their_tick_and_sizes_on_their_step),
        cmocka_unit_test(trades_and_aggregates_agree),
        cmocka_unit_test(window_of_few_trades_is_exact),
        cmocka_unit_test(mid_moves_one_slot_at_most_and_stays_inside),
        cmocka_unit_test(book_built_at_an_update_equals_the_book_kept_until_it),
        cmocka_unit_test(book_from_snapshot_and_diffs_equals_the_oracles),
        cmocka_unit_test(an_event_upon_a_book_of_its_middle_equals_the_oracles),
        cmocka_unit_test(trades_take_the_best_price_of_their_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
