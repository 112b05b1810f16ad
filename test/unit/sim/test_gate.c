/* Gate as clients see it, on a clock of our own: streams that are the model's, books that can be
 * rebuilt from what was sent, what is odd about requests and replies, REST and its limit. Messages
 * are read by jansson. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <cmocka.h>

#include <jansson.h>

#include "sim_client.h"

#include "sim/model.h"

#define SPOT_PATH "/ws/v4/"
#define FUTURES_PATH "/v4/ws/usdt"
#define DECIMAL "X-Gate-Size-Decimal: 1\r\n"

static char text[1 << 19];

static struct sim_config gate_config(enum venue_id exchange)
{
    struct sim_config config = test_config();
    config.exchange = exchange;
    config.model.symbols = 10;
    return config;
}

struct market {
    struct model model;
    void *memory;
};

static struct market market_of(const struct sim_config *config)
{
    struct market market;
    market.memory = calloc(1, model_memory_bytes(&config->model));
    assert_non_null(market.memory);
    model_init(&market.model, &config->model, market.memory);
    return market;
}

static json_t *parsed(const char *message)
{
    json_error_t error;
    json_t *root = json_loads(message, 0, &error);
    if (root == NULL) {
        print_error("%s\n", message);
    }
    assert_non_null(root);
    return root;
}

static const char *string_of(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    assert_true(json_is_string(value));
    return json_string_value(value);
}

static long long integer_of(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

/* "65000.01" in units of 1e-8. */
static int64_t e8_of(const char *number)
{
    int64_t value = 0;
    int places = -1;
    bool negative = *number == '-';
    for (const char *c = number + negative; *c != 0; c++) {
        if (*c == '.') {
            places = 0;
            continue;
        }
        assert_true(*c >= '0' && *c <= '9');
        value = value * 10 + (*c - '0');
        places += places >= 0;
    }
    for (places = places < 0 ? 0 : places; places < 8; places++) {
        value *= 10;
    }
    return negative ? -value : value;
}

static void ask(struct client *client, const char *channel, const char *event, const char *payload)
{
    char request[1024];
    snprintf(request, sizeof request,
             "{\"time\":%lld,\"id\":7,\"channel\":\"%s\",\"event\":\"%s\",\"payload\":%s}",
             (TEST_UNIX_NS + test_now_ns) / NS_PER_S, channel, event, payload);
    client_frame(client, WS_TEXT, request);
}

/* The next message of a channel and event; others are passed over. The caller gives it back. */
static json_t *take(struct sim *sim, struct client *client, const char *channel, const char *event,
                    int64_t ms)
{
    for (int i = 0; i < 100000; i++) {
        client_expect(sim, client, WS_TEXT, text, sizeof text, ms);
        json_t *root = parsed(text);
        if (strcmp(string_of(root, "channel"), channel) == 0 &&
            strcmp(string_of(root, "event"), event) == 0) {
            return root;
        }
        json_decref(root);
    }
    fail();
    return NULL;
}

/* The reply to a request: true = success; `message` (may be NULL) gets the words of an error. */
static bool answered(struct sim *sim, struct client *client, const char *channel, const char *event,
                     long long *code, char message[200])
{
    json_t *root = take(sim, client, channel, event, 100);
    json_t *error = json_object_get(root, "error");
    bool good = strcmp(string_of(json_object_get(root, "result"), "status"), "success") == 0;
    assert_int_equal(integer_of(root, "id"), 7);
    assert_int_equal(good, error == NULL);
    if (error != NULL && code != NULL) {
        *code = integer_of(error, "code");
        snprintf(message, 200, "%s", string_of(error, "message"));
    }
    json_decref(root);
    return good;
}

static void subscribe(struct sim *sim, struct client *client, const char *channel,
                      const char *payload)
{
    ask(client, channel, "subscribe", payload);
    assert_true(answered(sim, client, channel, "subscribe", NULL, NULL));
}

/* How many messages come within so many milliseconds. */
static int heard(struct sim *sim, struct client *client, int64_t ms)
{
    int count = 0;
    for (int64_t i = 0; i < ms; i++) {
        test_pass(sim, 1);
        while (client_next(client, text, sizeof text) >= 0) {
            count++;
        }
    }
    return count;
}

static bool ended(struct sim *sim, struct client *client, int64_t ms)
{
    (void)heard(sim, client, ms);
    return client->ended || client->reset;
}

/* ---- trades */

static void spot_tells_each_trade_of_the_model_once(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE);
    struct sim *sim = test_sim(&config);
    struct market market = market_of(&config);
    const struct model_symbol *symbol = &market.model.symbols[0];
    struct client *client = client_websocket(sim, SPOT_PATH);
    subscribe(sim, client, "spot.trades", "[\"ETH_USDT\",\"BTC_USDT\"]");
    long long last = -1;
    for (int i = 0; i < 200;) {
        json_t *root = take(sim, client, "spot.trades", "update", 1000);
        json_t *result = json_object_get(root, "result");
        if (strcmp(string_of(result, "currency_pair"), "BTC_USDT") == 0) {
            long long id = integer_of(result, "id");
            struct model_trade trade = model_trade_at(symbol, id - symbol->trade_id0);
            char expected[64];
            snprintf(expected, sizeof expected, "%lld.%06lld",
                     (long long)(trade.time_unix_ns / NS_PER_MS),
                     (long long)(trade.time_unix_ns % NS_PER_MS));
            assert_string_equal(string_of(result, "create_time_ms"), expected);
            assert_int_equal(e8_of(string_of(result, "price")), trade.price_e8);
            assert_int_equal(e8_of(string_of(result, "amount")), trade.quantity_e8);
            assert_string_equal(string_of(result, "side"), trade.buyer_is_maker ? "sell" : "buy");
            assert_true(last < 0 || id == last + 1);
            last = id;
            i++;
        }
        json_decref(root);
    }
    assert_int_equal(test_status(sim, "violations"), 0);
    free(market.memory);
    client_free(client);
    sim_destroy(sim);
}

/* Steps of the model: size is in contracts, of which one is `per` steps. */
static void futures_trades_have_signed_sizes(bool decimal)
{
    struct sim_config config = gate_config(VENUE_GATE_FUTURES);
    struct sim *sim = test_sim(&config);
    struct market market = market_of(&config);
    const struct model_symbol *symbol = &market.model.symbols[1]; /* counted in tenths */
    struct client *client = client_websocket_with(sim, FUTURES_PATH, decimal ? DECIMAL : "");
    subscribe(sim, client, "futures.trades", "[\"ETH_USDT\"]");
    int buys = 0, sells = 0, fractions = 0, together = 0;
    long long last = -1;
    for (int i = 0; i < 150; i++) {
        json_t *root = take(sim, client, "futures.trades", "update", 1000);
        json_t *rows = json_object_get(root, "result");
        together += json_array_size(rows) > 1;
        size_t at;
        json_t *row;
        json_array_foreach(rows, at, row)
        {
            long long id = integer_of(row, "id");
            struct model_trade trade = model_trade_at(symbol, id - symbol->trade_id0);
            int64_t steps = trade.quantity_e8 / symbol->step_e8;
            steps = trade.buyer_is_maker ? -steps : steps;
            if (decimal) {
                assert_int_equal(e8_of(string_of(row, "size")), steps * 10000000);
            } else {
                assert_int_equal(integer_of(row, "size"), steps / 10);
            }
            assert_string_equal(string_of(row, "contract"), "ETH_USDT");
            assert_int_equal(integer_of(row, "create_time_ms"), trade.time_unix_ns / NS_PER_MS);
            assert_true(last < 0 || id == last + 1);
            last = id;
            buys += steps > 0;
            sells += steps < 0;
            fractions += steps % 10 != 0;
        }
        json_decref(root);
    }
    assert_true(buys > 0 && sells > 0 && fractions > 0 && together > 0);
    free(market.memory);
    client_free(client);
    sim_destroy(sim);
}

static void contracts_come_as_whole_numbers_cut_towards_zero(void **state)
{
    (void)state;
    futures_trades_have_signed_sizes(false);
}

static void contracts_come_as_decimal_strings_when_the_handshake_asks(void **state)
{
    (void)state;
    futures_trades_have_signed_sizes(true);
}

/* ---- books */

struct side {
    int64_t price[2048], size[2048];
    uint32_t count;
};

static void side_set(struct side *side, int64_t price, int64_t size)
{
    uint32_t i = 0;
    while (i < side->count && side->price[i] != price) {
        i++;
    }
    if (size == 0) {
        if (i < side->count) {
            side->count--;
            side->price[i] = side->price[side->count];
            side->size[i] = side->size[side->count];
        }
        return;
    }
    assert_true(i < 2048);
    side->count += i == side->count;
    side->price[i] = price;
    side->size[i] = size;
}

/* [["p","s"]] or [{"p":..,"s":..}]; absent = nothing. */
static void side_read(struct side *side, json_t *levels)
{
    size_t at;
    json_t *level;
    json_array_foreach(levels, at, level)
    {
        bool pair = json_is_array(level);
        json_t *price = pair ? json_array_get(level, 0) : json_object_get(level, "p");
        json_t *size = pair ? json_array_get(level, 1) : json_object_get(level, "s");
        char whole[32];
        snprintf(whole, sizeof whole, "%lld", json_integer_value(size));
        side_set(side, e8_of(json_string_value(price)),
                 e8_of(json_is_integer(size) ? whole : json_string_value(size)));
    }
}

/* Exactly the model's levels, and no others. `unit`: e8 of a size for one e8 of quantity. */
static void side_is(const struct side *side, const struct model_level *levels, uint32_t count,
                    int64_t size_e8_a_step, int64_t step_e8)
{
    assert_int_equal(side->count, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = 0;
        while (at < side->count && side->price[at] != levels[i].price_e8) {
            at++;
        }
        assert_true(at < side->count);
        assert_int_equal(side->size[at], levels[i].quantity_e8 / step_e8 * size_e8_a_step);
    }
}

struct followed {
    enum venue_id exchange;
    const char *path, *headers, *channel, *payload;
    uint32_t symbol, depth;
    int64_t size_e8_a_step; /* 0 = the step itself (spot) */
    bool seeded;            /* by a full book in the stream; else by the test, from the model */
};

static struct side bids, asks;

static void book_is_the_models(const struct model_symbol *symbol, long long id,
                               const struct followed *what)
{
    static uint32_t steps[MODEL_SLOTS_MAX];
    static struct model_level levels[MODEL_SLOTS_MAX];
    struct model_book book;
    int64_t size = what->size_e8_a_step == 0 ? symbol->step_e8 : what->size_e8_a_step;
    model_book_build(&book, symbol, steps, id - symbol->update_id0);
    side_is(&bids, levels, model_book_bids(&book, levels, what->depth), size, symbol->step_e8);
    side_is(&asks, levels, model_book_asks(&book, levels, what->depth), size, symbol->step_e8);
}

/* The book as the model has it, as if by REST. */
static void book_seed(const struct model_symbol *symbol, long long id, const struct followed *what)
{
    static uint32_t steps[MODEL_SLOTS_MAX];
    static struct model_level levels[MODEL_SLOTS_MAX];
    struct model_book book;
    int64_t size = what->size_e8_a_step == 0 ? symbol->step_e8 : what->size_e8_a_step;
    model_book_build(&book, symbol, steps, id - symbol->update_id0);
    for (int side = 0; side < 2; side++) {
        uint32_t count = side == 0 ? model_book_bids(&book, levels, what->depth)
                                   : model_book_asks(&book, levels, what->depth);
        for (uint32_t i = 0; i < count; i++) {
            side_set(side == 0 ? &bids : &asks, levels[i].price_e8,
                     levels[i].quantity_e8 / symbol->step_e8 * size);
        }
    }
}

/* Follows 60 messages; after each the client's book is the model's, to the depth. */
static void follow(const struct followed *what)
{
    struct sim_config config = gate_config(what->exchange);
    struct sim *sim = test_sim(&config);
    struct market market = market_of(&config);
    const struct model_symbol *symbol = &market.model.symbols[what->symbol];
    struct client *client = client_websocket_with(sim, what->path, what->headers);
    test_pass(sim, 30); /* not at a tenth of a second */
    subscribe(sim, client, what->channel, what->payload);
    long long last = -1;
    int bare = 0, trimmed = 0;
    bids.count = asks.count = 0;
    for (int i = 0; i < 60; i++) {
        json_t *root = take(sim, client, what->channel, "update", 500);
        json_t *result = json_object_get(root, "result");
        long long u = integer_of(result, "u");
        bool full = json_is_true(json_object_get(result, "full"));
        assert_int_equal(full, i == 0 && what->seeded);
        if (!full) {
            long long first = integer_of(result, "U");
            if (i == 0) {
                book_seed(symbol, first - 1, what);
            } else {
                assert_int_equal(first, last + 1);
            }
        }
        json_t *b = json_object_get(result, "b");
        json_t *a = json_object_get(result, "a");
        uint32_t before = bids.count + asks.count;
        side_read(&bids, b);
        side_read(&asks, a);
        bare += b == NULL && a == NULL;
        trimmed += !full && bids.count + asks.count < before + json_array_size(b);
        book_is_the_models(symbol, u, what);
        assert_true(integer_of(result, "t") <= (TEST_UNIX_NS + test_now_ns) / NS_PER_MS);
        last = u;
        json_decref(root);
    }
    assert_true(trimmed > 0 || bare > 0);
    assert_int_equal(test_status(sim, "violations"), 0);
    free(market.memory);
    client_free(client);
    sim_destroy(sim);
}

static void spot_obu_begins_full_and_its_changes_give_the_best_400(void **state)
{
    (void)state;
    follow(&(struct followed){VENUE_GATE, SPOT_PATH, "", "spot.obu", "[\"ob.BTC_USDT.400\"]", 0,
                              400, 0, true});
}

static void spot_obu_of_50_levels_drops_what_leaves_them(void **state)
{
    (void)state;
    follow(&(struct followed){VENUE_GATE, SPOT_PATH, "", "spot.obu", "[\"ob.ETH_USDT.50\"]", 1, 50,
                              0, true});
}

static void futures_obu_has_exact_sizes_without_the_header(void **state)
{
    (void)state;
    follow(&(struct followed){VENUE_GATE_FUTURES, FUTURES_PATH, "", "futures.obu",
                              "[\"ob.ETH_USDT.400\"]", 1, 400, 10000000, true});
}

static void futures_obu_counts_whole_contracts_too(void **state)
{
    (void)state;
    follow(&(struct followed){VENUE_GATE_FUTURES, FUTURES_PATH, DECIMAL, "futures.obu",
                              "[\"ob.BTC_USDT.50\"]", 0, 50, 100000000, true});
}

static void order_book_update_goes_on_from_a_snapshot(void **state)
{
    (void)state;
    follow(&(struct followed){VENUE_GATE, SPOT_PATH, "", "spot.order_book_update",
                              "[\"BTC_USDT\",\"100ms\"]", 0, 100, 0, false});
    follow(&(struct followed){VENUE_GATE_FUTURES, FUTURES_PATH, DECIMAL,
                              "futures.order_book_update", "[\"ETH_USDT\",\"100ms\",\"20\"]", 1, 20,
                              10000000, false});
}

static int64_t best_of(const struct side *side, bool highest)
{
    int64_t best = 0;
    for (uint32_t i = 0; i < side->count; i++) {
        bool better = highest ? side->price[i] > best : side->price[i] < best;
        best = best == 0 || better ? side->price[i] : best;
    }
    return best;
}

/* Levels as good as `price` or better. */
static uint32_t levels_until(const struct side *side, int64_t price, bool highest)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < side->count; i++) {
        count += highest ? side->price[i] >= price : side->price[i] <= price;
    }
    return count;
}

static void a_snapshot_within_a_message_gives_its_end_all_the_same(void **state)
{
    (void)state;
    static const struct followed what = {.symbol = 0, .depth = 100};
    struct sim_config config = gate_config(VENUE_GATE);
    config.model.trades_per_s = 20000;
    struct sim *sim = test_sim(&config);
    struct market market = market_of(&config);
    const struct model_symbol *symbol = &market.model.symbols[0];
    struct client *client = client_websocket(sim, SPOT_PATH);
    subscribe(sim, client, "spot.order_book_update", "[\"BTC_USDT\",\"100ms\"]");
    for (int i = 0; i < 100; i++) {
        json_t *root = take(sim, client, "spot.order_book_update", "update", 500);
        json_t *result = json_object_get(root, "result");
        long long first = integer_of(result, "U"), last = integer_of(result, "u");
        for (int k = 1; k < 4; k++) {
            static uint32_t steps[MODEL_SLOTS_MAX];
            struct model_book book;
            bids.count = asks.count = 0;
            book_seed(symbol, first + (last - first) * k / 4, &what);
            side_read(&bids, json_object_get(result, "b"));
            side_read(&asks, json_object_get(result, "a"));
            model_book_build(&book, symbol, steps, last - symbol->update_id0);
            assert_int_equal(best_of(&bids, true), model_slot_price(symbol, book.mid - 1));
            assert_int_equal(best_of(&asks, false), model_slot_price(symbol, book.mid));
            struct model_level levels[50];
            assert_int_equal(model_book_bids(&book, levels, 50), 50);
            assert_int_equal(levels_until(&bids, levels[49].price_e8, true), 50);
            assert_int_equal(model_book_asks(&book, levels, 50), 50);
            assert_int_equal(levels_until(&asks, levels[49].price_e8, false), 50);
        }
        json_decref(root);
    }
    free(market.memory);
    client_free(client);
    sim_destroy(sim);
}

static void obu_of_a_quiet_book_has_messages_with_ids_alone(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE_FUTURES);
    config.model.trades_per_s = 20;
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, FUTURES_PATH);
    subscribe(sim, client, "futures.obu", "[\"ob.BTC_USDT.50\"]");
    long long last = -1;
    int bare = 0;
    for (int i = 0; i < 200; i++) {
        json_t *root = take(sim, client, "futures.obu", "update", 2000);
        json_t *result = json_object_get(root, "result");
        assert_true(last < 0 || integer_of(result, "U") == last + 1);
        last = integer_of(result, "u");
        bare += json_object_get(result, "b") == NULL && json_object_get(result, "a") == NULL;
        json_decref(root);
    }
    assert_true(bare > 0);
    client_free(client);
    sim_destroy(sim);
}

static void obu_subscribed_again_sends_a_new_full_book(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE);
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, SPOT_PATH);
    for (int round = 0; round < 3; round++) {
        subscribe(sim, client, "spot.obu", "[\"ob.BTC_USDT.400\"]");
        for (int i = 0; i < 3; i++) {
            json_t *root = take(sim, client, "spot.obu", "update", 500);
            json_t *result = json_object_get(root, "result");
            assert_int_equal(json_is_true(json_object_get(result, "full")), i == 0);
            assert_null(json_object_get(root, "time")); /* seen so */
            json_decref(root);
        }
        ask(client, "spot.obu", "unsubscribe", "[\"ob.BTC_USDT.400\"]");
        assert_true(answered(sim, client, "spot.obu", "unsubscribe", NULL, NULL));
        assert_int_equal(heard(sim, client, 300), 0);
    }
    client_free(client);
    sim_destroy(sim);
}

static void order_book_comes_whole_and_only_futures_calls_it_all(void **state)
{
    (void)state;
    static const struct {
        enum venue_id exchange;
        const char *path, *channel, *payload, *event;
        size_t levels;
    } rows[] = {
        {VENUE_GATE, SPOT_PATH, "spot.order_book", "[\"BTC_USDT\",\"5\",\"100ms\"]", "update", 5},
        {VENUE_GATE, SPOT_PATH, "spot.order_book", "[\"BTC_USDT\",\"50\",\"1000ms\"]", "update",
         50},
        {VENUE_GATE_FUTURES, FUTURES_PATH, "futures.order_book", "[\"BTC_USDT\",\"20\",\"0\"]",
         "all", 20},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sim_config config = gate_config(rows[i].exchange);
        struct sim *sim = test_sim(&config);
        struct client *client = client_websocket(sim, rows[i].path);
        subscribe(sim, client, rows[i].channel, rows[i].payload);
        json_t *root = take(sim, client, rows[i].channel, rows[i].event, 2000);
        json_t *result = json_object_get(root, "result");
        assert_int_equal(json_array_size(json_object_get(result, "bids")), rows[i].levels);
        assert_int_equal(json_array_size(json_object_get(result, "asks")), rows[i].levels);
        assert_true(integer_of(result, i < 2 ? "lastUpdateId" : "id") > 0);
        json_decref(root);
        client_free(client);
        sim_destroy(sim);
    }
}

static void a_dropped_message_leaves_a_gap_in_the_ids(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE);
    config.faults = str_from("every 7 drop depth BTC_USDT");
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, SPOT_PATH);
    subscribe(sim, client, "spot.obu", "[\"ob.BTC_USDT.400\"]");
    int gaps = 0;
    long long last = -1;
    for (int i = 0; i < 30; i++) {
        json_t *root = take(sim, client, "spot.obu", "update", 500);
        json_t *result = json_object_get(root, "result");
        gaps += last >= 0 && integer_of(result, "U") != last + 1;
        last = integer_of(result, "u");
        json_decref(root);
    }
    assert_in_range(gaps, 4, 5);
    assert_in_range(test_status(sim, "drop"), gaps, gaps + 1);
    client_free(client);
    sim_destroy(sim);
}

/* ---- tickers and what is told at whole seconds */

static void futures_tickers_have_mark_and_index_and_volumes_now_and_then(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE_FUTURES);
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket_with(sim, FUTURES_PATH, DECIMAL);
    subscribe(sim, client, "futures.tickers", "[\"BTC_USDT\"]");
    int whole = 0;
    for (int i = 0; i < 6; i++) {
        json_t *root = take(sim, client, "futures.tickers", "update", 2000);
        json_t *row = json_array_get(json_object_get(root, "result"), 0);
        double mark = strtod(string_of(row, "mark_price"), NULL);
        double last = strtod(string_of(row, "last"), NULL);
        assert_true(mark > last * 0.99 && mark < last * 1.01);
        assert_true(strtod(string_of(row, "index_price"), NULL) > last * 0.99);
        double rate = strtod(string_of(row, "funding_rate"), NULL);
        assert_true(rate >= -0.0001 && rate <= 0.0003);
        assert_int_equal(integer_of(row, "funding_next_apply") % 28800, 0);
        whole += json_object_get(row, "total_size") != NULL;
        assert_int_equal(json_object_get(row, "total_size") != NULL,
                         json_object_get(row, "volume_24h") != NULL);
        json_decref(root);
    }
    assert_int_equal(whole, 2);
    client_free(client);
    sim_destroy(sim);
}

static void spot_tickers_and_best_prices_agree(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE);
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, SPOT_PATH);
    subscribe(sim, client, "spot.tickers", "[\"BTC_USDT\"]");
    subscribe(sim, client, "spot.book_ticker", "[\"BTC_USDT\"]");
    json_t *best = take(sim, client, "spot.book_ticker", "update", 2000);
    json_t *ticker = take(sim, client, "spot.tickers", "update", 2000);
    json_t *b = json_object_get(best, "result");
    json_t *t = json_object_get(ticker, "result");
    assert_true(e8_of(string_of(b, "b")) < e8_of(string_of(b, "a")));
    assert_true(e8_of(string_of(t, "highest_bid")) < e8_of(string_of(t, "lowest_ask")));
    assert_true(e8_of(string_of(t, "low_24h")) <= e8_of(string_of(t, "last")));
    assert_true(e8_of(string_of(t, "last")) <= e8_of(string_of(t, "high_24h")));
    json_decref(best);
    json_decref(ticker);
    client_free(client);
    sim_destroy(sim);
}

static void a_candle_ends_together_with_the_next_ones_begin(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE_FUTURES);
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, FUTURES_PATH);
    subscribe(sim, client, "futures.candlesticks", "[\"10s\",\"BTC_USDT\"]");
    long long closed = 0;
    for (int i = 0; i < 20 && closed == 0; i++) {
        json_t *root = take(sim, client, "futures.candlesticks", "update", 3000);
        json_t *rows = json_object_get(root, "result");
        json_t *row = json_array_get(rows, 0);
        assert_string_equal(string_of(row, "n"), "10s_BTC_USDT");
        assert_int_equal(integer_of(row, "t") % 10, 0);
        if (json_is_true(json_object_get(row, "w"))) {
            closed = integer_of(row, "t");
            assert_int_equal(json_array_size(rows), 2);
            json_t *next = json_array_get(rows, 1);
            assert_int_equal(integer_of(next, "t"), closed + 10);
            assert_true(json_is_false(json_object_get(next, "w")));
        }
        json_decref(root);
    }
    assert_true(closed > 0);
    client_free(client);
    sim_destroy(sim);
}

static void spot_candles_have_their_second_in_a_string(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE);
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, SPOT_PATH);
    subscribe(sim, client, "spot.candlesticks", "[\"7d\",\"BTC_USDT\"]");
    json_t *root = take(sim, client, "spot.candlesticks", "update", 5000);
    json_t *row = json_object_get(root, "result");
    /* 2026-11-23 was the Monday before the test's moment. */
    assert_string_equal(string_of(row, "t"), "1795392000");
    assert_true(e8_of(string_of(row, "v")) > e8_of(string_of(row, "a")));
    json_decref(root);
    client_free(client);
    sim_destroy(sim);
}

static void statistics_come_when_their_minute_is_over(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE_FUTURES);
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket_with(sim, FUTURES_PATH, DECIMAL);
    subscribe(sim, client, "futures.contract_stats", "[\"ETH_USDT\",\"1m\"]");
    json_t *root = take(sim, client, "futures.contract_stats", "update", 61000);
    json_t *row = json_array_get(json_object_get(root, "result"), 0);
    assert_int_equal(integer_of(row, "time") % 60, 0);
    assert_int_equal((TEST_UNIX_NS + test_now_ns) / NS_PER_S - integer_of(row, "time"), 60);
    assert_true(e8_of(string_of(row, "open_interest")) > 0);
    json_decref(root);
    client_free(client);
    sim_destroy(sim);
}

static void liquidations_are_told_of_all_contracts(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE_FUTURES);
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, FUTURES_PATH);
    subscribe(sim, client, "futures.public_liquidates", "[\"!all\"]");
    int rows = 0, negative = 0;
    for (int i = 0; i < 30; i++) {
        json_t *root = take(sim, client, "futures.public_liquidates", "update", 5000);
        size_t at;
        json_t *row;
        json_array_foreach(json_object_get(root, "result"), at, row)
        {
            assert_true(integer_of(row, "time") > 1700000000000LL);
            assert_true(e8_of(string_of(row, "price")) > 0);
            assert_int_not_equal(integer_of(row, "size"), 0);
            negative += integer_of(row, "size") < 0;
            rows++;
        }
        json_decref(root);
    }
    assert_true(rows > 30 && negative > 0 && negative < rows);
    client_free(client);
    sim_destroy(sim);
}

/* ---- requests and replies */

static void refused(struct sim *sim, struct client *client, const char *channel,
                    const char *payload, long long expected_code, const char *expected)
{
    long long code = 0;
    char message[200] = "";
    ask(client, channel, "subscribe", payload);
    assert_false(answered(sim, client, channel, "subscribe", &code, message));
    assert_string_equal(message, expected);
    assert_int_equal(code, expected_code);
}

static void one_unknown_pair_refuses_the_whole_request(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE);
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, SPOT_PATH);
    refused(sim, client, "spot.trades", "[\"BTC_USDT\",\"NO_SUCH\"]", 2,
            "unknown currency pair: NO_SUCH");
    assert_int_equal(heard(sim, client, 2000), 0);
    assert_int_equal(test_status(sim, "streams_subscribed"), 0);
    assert_int_equal(test_status(sim, "control_errors"), 1);
    client_free(client);
    sim_destroy(sim);
}

static void bad_parameters_are_refused_in_the_venues_words(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE);
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, SPOT_PATH);
    refused(sim, client, "spot.order_book", "[\"BTC_USDT\",\"31\",\"100ms\"]", 2,
            "provided level not supported: 31");
    refused(sim, client, "spot.order_book", "[\"BTC_USDT\",\"20\",\"20ms\"]", 2,
            "incorrect update interval specified: 20ms");
    refused(sim, client, "spot.order_book_update", "[\"BTC_USDT\",\"1000ms\"]", 2,
            "incorrect update interval specified: 1000ms");
    refused(sim, client, "spot.nothing", "[\"BTC_USDT\"]", 2, "Unknown channel spot.nothing");
    refused(sim, client, "spot.contract_stats", "[\"BTC_USDT\",\"1m\"]", 2,
            "Unknown channel spot.contract_stats");
    refused(sim, client, "spot.candlesticks", "[\"2m\",\"BTC_USDT\"]", 2,
            "incorrect update interval specified: 2m");
    refused(sim, client, "spot.trades", "[]", 1, "invalid request body: payload");
    refused(sim, client, "spot.trades", "[7]", 1, "invalid request body: payload");
    refused(sim, client, "spot.trades", "null", 1, "invalid request body: payload");
    assert_int_equal(test_status(sim, "control_errors"), 9);
    client_free(client);
    sim_destroy(sim);
}

static void obu_acks_what_it_never_sends(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE_FUTURES);
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, FUTURES_PATH);
    subscribe(sim, client, "futures.obu", "[\"ob.NOPE_USDT.50\"]");
    subscribe(sim, client, "futures.obu", "[\"ob.BTC_USDT.60\"]");
    subscribe(sim, client, "futures.obu", "[\"BTC_USDT\"]");
    subscribe(sim, client, "futures.trades", "[\"BTC_USD\"]"); /* another settle currency */
    assert_int_equal(heard(sim, client, 2000), 0);
    assert_int_equal(test_status(sim, "streams_unknown"), 4);
    assert_int_equal(test_status(sim, "control_errors"), 0);
    refused(sim, client, "futures.trades", "[\"NOPE_USDT\"]", 2, "unknown contract NOPE_USDT");
    client_free(client);
    sim_destroy(sim);
}

static void obu_twice_is_alerted_and_goes_on(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE_FUTURES);
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, FUTURES_PATH);
    subscribe(sim, client, "futures.obu", "[\"ob.BTC_USDT.50\"]");
    refused(sim, client, "futures.obu", "[\"ob.BTC_USDT.50\"]", 2, "Alert sub ob.BTC_USDT.50");
    assert_true(heard(sim, client, 1000) >= 8);
    client_free(client);
    sim_destroy(sim);
}

static void what_is_not_json_is_answered_on_futures_only(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE_FUTURES);
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, FUTURES_PATH);
    client_frame(client, WS_TEXT, "hello");
    client_expect(sim, client, WS_TEXT, text, sizeof text, 100);
    json_t *root = parsed(text);
    json_t *error = json_object_get(root, "error");
    assert_int_equal(integer_of(error, "code"), 1);
    assert_string_equal(string_of(error, "message"), "request message need json scheme");
    json_decref(root);
    subscribe(sim, client, "futures.trades", "[\"BTC_USDT\"]"); /* the socket is still open */
    client_free(client);
    sim_destroy(sim);

    config = gate_config(VENUE_GATE);
    sim = test_sim(&config);
    client = client_websocket(sim, SPOT_PATH);
    client_frame(client, WS_TEXT, "hello");
    assert_int_equal(heard(sim, client, 500), 0);
    subscribe(sim, client, "spot.trades", "[\"BTC_USDT\"]");
    client_free(client);
    sim_destroy(sim);
}

static void replies_echo_what_was_asked(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE);
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, SPOT_PATH);
    ask(client, "spot.order_book", "subscribe", "[\"BTC_USDT\", \"20\", \"100ms\"]");
    json_t *root = take(sim, client, "spot.order_book", "subscribe", 100);
    json_t *payload = json_object_get(root, "payload");
    assert_int_equal(json_array_size(payload), 3);
    assert_string_equal(json_string_value(json_array_get(payload, 1)), "20");
    assert_int_equal(strlen(string_of(root, "conn_id")), 16);
    assert_int_equal(strlen(string_of(root, "trace_id")), 32);
    assert_int_equal(integer_of(root, "time"), TEST_UNIX_NS / NS_PER_S);
    json_decref(root);
    /* A request without id has none in its reply, and time may be left out. */
    client_frame(
        client, WS_TEXT,
        "{\"channel\":\"spot.trades\",\"event\":\"subscribe\",\"payload\":[\"BTC_USDT\"]}");
    root = take(sim, client, "spot.trades", "subscribe", 100);
    assert_null(json_object_get(root, "id"));
    assert_null(json_object_get(root, "error"));
    json_decref(root);
    client_frame(client, WS_TEXT,
                 "{\"time\":1795454000,\"id\":7,\"channel\":\"spot.tickers\",\"event\":"
                 "\"subscribe\",\"payload\":[\"BTC_USDT\"]}");
    long long code = 0;
    char message[200];
    assert_false(answered(sim, client, "spot.tickers", "subscribe", &code, message));
    assert_int_equal(code, 2);
    client_free(client);
    sim_destroy(sim);
}

static void scripted_acks_are_errors_wrong_or_none(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE);
    config.faults = str_from("every 3 ack error");
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, SPOT_PATH);
    int errors = 0;
    for (int i = 0; i < 6; i++) {
        ask(client, "spot.trades", "subscribe", "[\"BTC_USDT\"]");
        json_t *root = take(sim, client, "spot.trades", "subscribe", 100);
        errors += json_object_get(root, "error") != NULL;
        json_decref(root);
    }
    assert_int_equal(errors, 2);
    client_free(client);
    sim_destroy(sim);
}

static void other_paths_are_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {"/ws/v4/x", "/v4/ws", "/v4/ws/btc", "/", "/ws/v4/"};
    struct sim_config config = gate_config(VENUE_GATE_FUTURES);
    struct sim *sim = test_sim(&config);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct client *client = client_open(sim);
        char request[512];
        int n = snprintf(request, sizeof request,
                         "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                         paths[i]);
        client_send(client, request, (size_t)n);
        test_pass(sim, 5);
        client_read(client);
        assert_int_equal(strncmp((char *)client->in, "HTTP/1.1 404 ", 13), 0);
        client_free(client);
    }
    sim_destroy(sim);
}

/* ---- pings, idle connections, maintenance */

static void a_client_that_says_nothing_is_cut_without_a_close_frame(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE);
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, SPOT_PATH);
    assert_false(ended(sim, client, 29900));
    assert_true(ended(sim, client, 200));
    assert_int_equal(test_status(sim, "idle_timeout"), 1);
    client_free(client);
    sim_destroy(sim);
}

static void a_subscribed_connection_without_traffic_lives_a_minute(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE);
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, SPOT_PATH);
    subscribe(sim, client, "spot.trades", "[\"SOL_USDT\"]");
    assert_false(ended(sim, client, 70000)); /* traffic keeps it */
    client_free(client);
    sim_destroy(sim);

    config.model.trades_per_s = 0.002; /* a quiet one: nothing comes */
    sim = test_sim(&config);
    client = client_websocket(sim, SPOT_PATH);
    subscribe(sim, client, "spot.trades", "[\"SOL_USDT\"]");
    assert_false(ended(sim, client, 59900));
    assert_true(ended(sim, client, 200));
    assert_int_equal(test_status(sim, "idle_timeout"), 1);
    client_free(client);
    sim_destroy(sim);
}

static void pings_of_both_kinds_keep_a_connection(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE_FUTURES);
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, FUTURES_PATH);
    for (int i = 0; i < 3; i++) {
        client_frame(client, WS_TEXT, "{\"time\":1795455000,\"channel\":\"futures.ping\"}");
        json_t *root = take(sim, client, "futures.pong", "", 100);
        assert_true(json_is_null(json_object_get(root, "result")));
        json_decref(root);
        assert_false(ended(sim, client, 25000));
    }
    for (int i = 0; i < 3; i++) {
        client_frame(client, WS_PING, "x");
        assert_false(ended(sim, client, 25000));
    }
    assert_int_equal(test_status(sim, "violations"), 0);
    client_free(client);
    sim_destroy(sim);
}

static void maintenance_is_announced(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE);
    config.faults = str_from("at 1s shutdown for 2s");
    struct sim *sim = test_sim(&config);
    struct client *client = client_websocket(sim, SPOT_PATH);
    json_t *root = take(sim, client, "spot.system", "update", 2000);
    assert_string_equal(string_of(json_object_get(root, "result"), "type"), "upgrade");
    json_decref(root);
    client_expect(sim, client, WS_CLOSE, text, sizeof text, 3000);
    client_free(client);
    sim_destroy(sim);
}

/* ---- REST */

static json_t *get(struct sim *sim, const char *target, int expected_status)
{
    struct client *client = client_open(sim);
    int status = client_get(sim, client, target);
    assert_int_equal(status, expected_status);
    char *body = (char *)client->in + client->at;
    if (strstr((char *)client->in, "Transfer-Encoding: chunked") != NULL) {
        char *out = text;
        unsigned long bytes;
        while ((bytes = strtoul(body, &body, 16)) > 0) {
            memcpy(out, body + 2, bytes);
            out += bytes;
            body += 2 + bytes + 2;
        }
        *out = 0;
        body = text;
    }
    json_t *root = parsed(body);
    client_free(client);
    return root;
}

static void label_is(struct sim *sim, const char *target, int status, const char *label)
{
    json_t *root = get(sim, target, status);
    assert_string_equal(string_of(root, "label"), label);
    json_decref(root);
}

static void pairs_are_listed_with_their_precision(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE);
    config.faults = str_from("at 1h list SOL_USDT");
    struct sim *sim = test_sim(&config);
    json_t *root = get(sim, "/api/v4/spot/currency_pairs", 200);
    assert_int_equal(json_array_size(root), 10 + 4 - 1); /* four that do not trade, one to come */
    json_t *btc = json_array_get(root, 0);
    assert_string_equal(string_of(btc, "id"), "BTC_USDT");
    assert_int_equal(integer_of(btc, "precision"), 2);
    assert_int_equal(integer_of(btc, "amount_precision"), 5);
    assert_string_equal(string_of(btc, "trade_status"), "tradable");
    assert_string_equal(string_of(json_array_get(root, 12), "trade_status"), "untradable");
    json_decref(root);
    root = get(sim, "/api/v4/spot/tickers", 200);
    assert_int_equal(json_array_size(root), 9);
    json_decref(root);
    root = get(sim, "/api/v4/spot/tickers?currency_pair=BTC_USDT", 200);
    assert_int_equal(json_array_size(root), 1);
    json_decref(root);
    label_is(sim, "/api/v4/spot/tickers?currency_pair=SOL_USDT", 400, "INVALID_CURRENCY_PAIR");
    sim_destroy(sim);
}

static void contracts_are_listed_with_their_multiplier(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE_FUTURES);
    struct sim *sim = test_sim(&config);
    json_t *root = get(sim, "/api/v4/futures/usdt/contracts", 200);
    assert_int_equal(json_array_size(root), 14);
    json_t *btc = json_array_get(root, 0), *eth = json_array_get(root, 1);
    assert_string_equal(string_of(btc, "quanto_multiplier"), "0.00001");
    assert_true(json_is_false(json_object_get(btc, "enable_decimal")));
    assert_string_equal(string_of(eth, "quanto_multiplier"), "0.001");
    assert_true(json_is_true(json_object_get(eth, "enable_decimal")));
    assert_string_equal(string_of(json_array_get(root, 7), "name"), "ETHBTC_USDT");
    assert_string_equal(string_of(json_array_get(root, 12), "status"), "delisting");
    json_decref(root);
    root = get(sim, "/api/v4/futures/usdt/tickers", 200);
    assert_int_equal(json_array_size(root), 10);
    json_decref(root);
    sim_destroy(sim);
}

static void the_id_of_a_book_comes_only_when_asked_for(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE);
    struct sim *sim = test_sim(&config);
    json_t *root = get(sim, "/api/v4/spot/order_book?currency_pair=BTC_USDT", 200);
    assert_null(json_object_get(root, "id"));
    assert_int_equal(json_array_size(json_object_get(root, "bids")), 10);
    assert_true(integer_of(root, "update") > 1700000000000LL);
    json_decref(root);
    root = get(sim, "/api/v4/spot/order_book?currency_pair=BTC_USDT&limit=100&with_id=true", 200);
    assert_true(integer_of(root, "id") > 0);
    assert_int_equal(json_array_size(json_object_get(root, "asks")), 100);
    json_decref(root);
    sim_destroy(sim);

    config = gate_config(VENUE_GATE_FUTURES);
    sim = test_sim(&config);
    root = get(sim, "/api/v4/futures/usdt/order_book?contract=ETH_USDT&with_id=true&limit=5", 200);
    json_t *level = json_array_get(json_object_get(root, "bids"), 0);
    assert_true(json_is_integer(json_object_get(level, "s")));
    assert_true(json_is_real(json_object_get(root, "update"))); /* seconds */
    assert_true(json_real_value(json_object_get(root, "update")) < 2e9);
    json_decref(root);
    sim_destroy(sim);
}

static void rest_errors_have_labels(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE_FUTURES);
    struct sim *sim = test_sim(&config);
    label_is(sim, "/api/v4/futures/usdt/order_book", 400, "MISSING_REQUIRED_PARAM");
    label_is(sim, "/api/v4/futures/usdt/order_book?contract=NOPE_USDT", 400, "CONTRACT_NOT_FOUND");
    label_is(sim, "/api/v4/futures/usdt/order_book?contract=BTC_USDT&limit=301", 400, "TOO_BIG");
    label_is(sim, "/api/v4/futures/usdt/order_book?contract=BTC_USDT&limit=x", 400,
             "INVALID_PARAM_VALUE");
    label_is(sim, "/api/v4/futures/usdt/trades?contract=BTC_USDT&limit=0", 400,
             "INVALID_PARAM_VALUE");
    json_t *root = get(sim, "/api/v4/spot/tickers", 404); /* the other market's */
    json_decref(root);
    sim_destroy(sim);
}

static void rest_trades_come_newest_first(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE);
    struct sim *sim = test_sim(&config);
    json_t *root = get(sim, "/api/v4/spot/trades?currency_pair=BTC_USDT&limit=50", 200);
    assert_int_equal(json_array_size(root), 50);
    for (size_t i = 1; i < 50; i++) {
        long long newer = atoll(string_of(json_array_get(root, i - 1), "id"));
        assert_int_equal(atoll(string_of(json_array_get(root, i), "id")), newer - 1);
    }
    json_decref(root);
    sim_destroy(sim);
}

static void the_limit_of_requests_is_each_endpoints_own(void **state)
{
    (void)state;
    struct sim_config config = gate_config(VENUE_GATE);
    struct sim *sim = test_sim(&config);
    struct client *client = client_open(sim);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(client_get(sim, client, "/api/v4/spot/time"), 200);
    }
    assert_non_null(strstr((char *)client->in, "X-Gate-RateLimit-Requests-Remain: 0\r\n"));
    assert_int_equal(client_get(sim, client, "/api/v4/spot/time"), 429);
    assert_non_null(strstr((char *)client->in + client->at, "\"TOO_MANY_REQUESTS\""));
    assert_int_equal(client_get(sim, client, "/api/v4/spot/trades?currency_pair=BTC_USDT"), 200);
    assert_int_equal(test_status(sim, "rest_429"), 1);
    assert_int_equal(test_status(sim, "rest_weight"), 1);
    test_pass(sim, 10000);
    assert_int_equal(client_get(sim, client, "/api/v4/spot/time"), 200);
    client_free(client);
    sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spot_tells_each_trade_of_the_model_once),
        cmocka_unit_test(contracts_come_as_whole_numbers_cut_towards_zero),
        cmocka_unit_test(contracts_come_as_decimal_strings_when_the_handshake_asks),
        cmocka_unit_test(spot_obu_begins_full_and_its_changes_give_the_best_400),
        cmocka_unit_test(spot_obu_of_50_levels_drops_what_leaves_them),
        cmocka_unit_test(futures_obu_has_exact_sizes_without_the_header),
        cmocka_unit_test(futures_obu_counts_whole_contracts_too),
        cmocka_unit_test(order_book_update_goes_on_from_a_snapshot),
        cmocka_unit_test(a_snapshot_within_a_message_gives_its_end_all_the_same),
        cmocka_unit_test(obu_of_a_quiet_book_has_messages_with_ids_alone),
        cmocka_unit_test(obu_subscribed_again_sends_a_new_full_book),
        cmocka_unit_test(order_book_comes_whole_and_only_futures_calls_it_all),
        cmocka_unit_test(a_dropped_message_leaves_a_gap_in_the_ids),
        cmocka_unit_test(futures_tickers_have_mark_and_index_and_volumes_now_and_then),
        cmocka_unit_test(spot_tickers_and_best_prices_agree),
        cmocka_unit_test(a_candle_ends_together_with_the_next_ones_begin),
        cmocka_unit_test(spot_candles_have_their_second_in_a_string),
        cmocka_unit_test(statistics_come_when_their_minute_is_over),
        cmocka_unit_test(liquidations_are_told_of_all_contracts),
        cmocka_unit_test(one_unknown_pair_refuses_the_whole_request),
        cmocka_unit_test(bad_parameters_are_refused_in_the_venues_words),
        cmocka_unit_test(obu_acks_what_it_never_sends),
        cmocka_unit_test(obu_twice_is_alerted_and_goes_on),
        cmocka_unit_test(what_is_not_json_is_answered_on_futures_only),
        cmocka_unit_test(replies_echo_what_was_asked),
        cmocka_unit_test(scripted_acks_are_errors_wrong_or_none),
        cmocka_unit_test(other_paths_are_refused),
        cmocka_unit_test(a_client_that_says_nothing_is_cut_without_a_close_frame),
        cmocka_unit_test(a_subscribed_connection_without_traffic_lives_a_minute),
        cmocka_unit_test(pings_of_both_kinds_keep_a_connection),
        cmocka_unit_test(maintenance_is_announced),
        cmocka_unit_test(pairs_are_listed_with_their_precision),
        cmocka_unit_test(contracts_are_listed_with_their_multiplier),
        cmocka_unit_test(the_id_of_a_book_comes_only_when_asked_for),
        cmocka_unit_test(rest_errors_have_labels),
        cmocka_unit_test(rest_trades_come_newest_first),
        cmocka_unit_test(the_limit_of_requests_is_each_endpoints_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
