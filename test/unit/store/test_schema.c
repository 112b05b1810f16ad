/* Channels as columns: names, order, types and cells as schema.md says, written out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store/store.h"

/* "name:type" or "name:type?" for nullable, in order. */
static const char *const expected[CHANNEL_COUNT] = {
    [CHANNEL_TRADES] = "exchange:text symbol:text timestamp:time? local_timestamp:time id:text? "
                       "trade_id:i64? side:text price:f64 amount:f64 amount_base:f64? flags:i32 "
                       "conn_id:i32 local_seq:i64 ",
    [CHANNEL_BOOK_TICKER] =
        "exchange:text symbol:text timestamp:time? local_timestamp:time update_id:i64? "
        "ask_amount:f64? ask_price:f64? bid_price:f64? bid_amount:f64? conn_id:i32 local_seq:i64 ",
    [CHANNEL_DEPTH] =
        "exchange:text symbol:text timestamp:time? local_timestamp:time is_snapshot:bool "
        "side:text price:f64 amount:f64 first_update_id:i64? last_update_id:i64? "
        "prev_update_id:i64? conn_id:i32 local_seq:i64 ",
    [CHANNEL_BOOK_SNAPSHOT_5] =
        "exchange:text symbol:text timestamp:time? local_timestamp:time last_update_id:i64? "
        "asks_0_price:f64? asks_0_amount:f64? bids_0_price:f64? bids_0_amount:f64? "
        "asks_1_price:f64? asks_1_amount:f64? bids_1_price:f64? bids_1_amount:f64? "
        "asks_2_price:f64? asks_2_amount:f64? bids_2_price:f64? bids_2_amount:f64? "
        "asks_3_price:f64? asks_3_amount:f64? bids_3_price:f64? bids_3_amount:f64? "
        "asks_4_price:f64? asks_4_amount:f64? bids_4_price:f64? bids_4_amount:f64? "
        "conn_id:i32 local_seq:i64 ",
    [CHANNEL_DERIVATIVE_TICKER] =
        "exchange:text symbol:text timestamp:time? local_timestamp:time funding_timestamp:time? "
        "funding_rate:f64? predicted_funding_rate:f64? open_interest:f64? last_price:f64? "
        "index_price:f64? mark_price:f64? funding_interval_s:i32? conn_id:i32 local_seq:i64 ",
    [CHANNEL_LIQUIDATIONS] =
        "exchange:text symbol:text timestamp:time? local_timestamp:time id:text? side:text "
        "price:f64 amount:f64 average_price:f64? order_status:text? conn_id:i32 local_seq:i64 ",
    [CHANNEL_CANDLES] =
        "exchange:text symbol:text timestamp:time? local_timestamp:time interval:text "
        "open_time:time close_time:time open:f64 high:f64 low:f64 close:f64 volume:f64 "
        "quote_volume:f64? trade_count:i64? closed:bool? conn_id:i32 local_seq:i64 ",
    [CHANNEL_TICKER] =
        "exchange:text symbol:text timestamp:time? local_timestamp:time last_price:f64? open:f64? "
        "high:f64? low:f64? volume:f64? quote_volume:f64? bid_price:f64? ask_price:f64? "
        "conn_id:i32 local_seq:i64 ",
    [CHANNEL_GAPS] =
        "exchange:text symbol:text? timestamp:time? local_timestamp:time channel:text? kind:text "
        "from_id:i64? to_id:i64? missing:i64? start:time end:time resolved_by:text conn_id:i32 "
        "local_seq:i64 ",
    [CHANNEL_INSTRUMENTS] =
        "exchange:text symbol:text timestamp:time? local_timestamp:time base:text? quote:text? "
        "type:text? status:text? tick_size:f64? lot_size:f64? contract_multiplier:f64? "
        "unified_symbol:text? valid_from:time? conn_id:i32 local_seq:i64 ",
};

static const char *const type_names[] = {
    [COLUMN_I64] = "i64", [COLUMN_I32] = "i32",   [COLUMN_TIME] = "time",
    [COLUMN_F64] = "f64", [COLUMN_BOOL] = "bool", [COLUMN_TEXT] = "text",
};

static void columns_are_those_of_the_schema_in_order(void **state)
{
    (void)state;
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        const struct schema *schema = schema_of((enum channel)channel);
        assert_string_equal(schema->name, channel_name((enum channel)channel));
        assert_int_equal(schema->version, 1);
        if (expected[channel] == NULL) {
            continue;
        }
        char text[4096] = "";
        size_t at = 0;
        for (uint32_t c = 0; c < schema->column_count; c++) {
            at += (size_t)snprintf(text + at, sizeof text - at, "%s:%s%s ", schema->columns[c].name,
                                   type_names[schema->columns[c].type],
                                   schema->columns[c].nullable ? "?" : "");
        }
        assert_string_equal(text, expected[channel]);
    }
}

static void deep_snapshots_number_their_levels(void **state)
{
    (void)state;
    const struct schema *schema = schema_of(CHANNEL_BOOK_SNAPSHOT_50);
    assert_int_equal(schema->column_count, 4 + 1 + 200 + 2);
    assert_int_equal(schema->depth_levels, 50);
    assert_string_equal(schema->columns[5].name, "asks_0_price");
    assert_string_equal(schema->columns[5 + 10 * 4 + 3].name, "bids_10_amount");
    assert_string_equal(schema->columns[5 + 49 * 4].name, "asks_49_price");
    assert_string_equal(schema->columns[204].name, "bids_49_amount");
    schema = schema_of(CHANNEL_BOOK_SNAPSHOT_20);
    assert_int_equal(schema->column_count, 4 + 1 + 80 + 2);
    assert_string_equal(schema->columns[5 + 19 * 4 + 2].name, "bids_19_price");
}

static void local_ns_follows_local_timestamp(void **state)
{
    (void)state;
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        const struct schema *plain = schema_of((enum channel)channel);
        const struct schema *with = schema_of_with((enum channel)channel, SCHEMA_LOCAL_NS);
        assert_int_equal(with->column_count, plain->column_count + 1);
        assert_string_equal(with->columns[3].name, "local_timestamp");
        assert_string_equal(with->columns[4].name, "local_ns");
        assert_int_equal(with->columns[4].type, COLUMN_I64);
        assert_string_equal(with->columns[5].name, plain->columns[4].name);
    }
}

/* Each double again, in its order, before conn_id; books of N levels stay as they are. */
static void decimals_stand_behind_the_columns_of_the_channel(void **state)
{
    (void)state;
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        const struct schema *plain = schema_of((enum channel)channel);
        const struct schema *with = schema_of_with((enum channel)channel, SCHEMA_DECIMALS);
        uint32_t at = plain->column_count - 2;
        for (uint32_t c = 0; c < plain->column_count && plain->depth_levels == 0; c++) {
            if (plain->columns[c].type == COLUMN_F64) {
                assert_int_equal(with->columns[at].type, COLUMN_DEC);
                assert_true(with->columns[at].nullable);
                assert_int_equal(schema_decimal_of(with, at), c);
                at++;
            }
        }
        assert_int_equal(with->column_count, at + 2);
        assert_string_equal(with->columns[at].name, "conn_id");
        assert_string_equal(with->columns[at + 1].name, "local_seq");
    }
}

/* Also of a depth row that is set from the row before it. */
static void decimal_cells_are_those_of_the_doubles(void **state)
{
    (void)state;
    const struct level bids[2] = {{{6400050, -2}, {15, -3}}, {{6400049, -2}, {0, 0}}};
    struct event event = {.channel = CHANNEL_DEPTH, .symbol = STR("BTCUSDT"), .seq = 9};
    event.depth.bids = bids;
    event.depth.bid_count = 2;
    for (uint32_t options = SCHEMA_DECIMALS; options < SCHEMA_OPTIONS_COUNT; options++) {
        const struct schema *schema = schema_of_with(CHANNEL_DEPTH, options);
        int price = schema_column(schema, "price_decimal");
        int amount = schema_column(schema, "amount_decimal");
        struct cell cells[COLUMNS_MAX];
        assert_int_equal(schema_event_cells_with(&event, 0, options, cells), schema->column_count);
        assert_int_equal(cells[price].dec.mantissa, 6400050);
        assert_int_equal(cells[amount].dec.mantissa, 15);
        assert_int_equal(cells[amount].dec.exponent, -3);
        schema_event_cells_next(&event, 1, options, cells);
        assert_int_equal(cells[price].dec.mantissa, 6400049);
        assert_int_equal(cells[amount].dec.mantissa, 0);
        assert_int_equal(cells[schema_column(schema, "price")].dec.mantissa, 6400049);
        assert_int_equal(cells[schema->column_count - 1].i64, 9);
    }
}

static void a_trade_becomes_its_cells(void **state)
{
    (void)state;
    struct event event = {.channel = CHANNEL_TRADES,
                          .venue = VENUE_BINANCE,
                          .symbol = STR("BTCUSDT"),
                          .event_unix_ns = 1795424400123456789,
                          .recv_unix_ns = 1795424400123999999,
                          .conn = 4,
                          .seq = 77,
                          .trade = {.trade_id = 12,
                                    .side = SIDE_SELL,
                                    .price = {6400050, -2},
                                    .amount = {15, -3},
                                    .flags = TRADE_AGGREGATE | TRADE_BACKFILL}};
    struct cell cells[COLUMNS_MAX];
    assert_int_equal(schema_event_rows(&event), 1);
    assert_int_equal(schema_event_cells(&event, 0, cells), 13);
    assert_true(str_equal(cells[0].text, STR("binance")));
    assert_true(str_equal(cells[1].text, STR("BTCUSDT")));
    assert_int_equal(cells[2].i64, 1795424400123456); /* floor of ns */
    assert_int_equal(cells[3].i64, 1795424400123999);
    assert_true(cells[4].null);
    assert_int_equal(cells[5].i64, 12);
    assert_true(str_equal(cells[6].text, STR("sell")));
    assert_int_equal(cells[7].dec.mantissa, 6400050);
    assert_int_equal(cells[8].dec.exponent, -3);
    assert_true(cells[9].null);
    assert_int_equal(cells[10].i64, 9);
    assert_int_equal(cells[11].i64, 4);
    assert_int_equal(cells[12].i64, 77);
    event.trade.trade_id = ID_NONE;
    event.trade.id = STR("t-1");
    event.trade.side = SIDE_UNKNOWN;
    event.event_unix_ns = TIME_NONE;
    schema_event_cells(&event, 0, cells);
    assert_true(cells[2].null);
    assert_true(str_equal(cells[4].text, STR("t-1")));
    assert_true(cells[5].null);
    assert_true(str_equal(cells[6].text, STR("unknown")));
}

static void a_time_before_1970_is_floored_too(void **state)
{
    (void)state;
    struct event event = {.channel = CHANNEL_TICKER, .venue = VENUE_GATE, .event_unix_ns = -1};
    struct cell cells[COLUMNS_MAX];
    schema_event_cells(&event, 0, cells);
    assert_int_equal(cells[2].i64, -1);
}

static void a_depth_update_has_a_row_a_level_bids_first(void **state)
{
    (void)state;
    const struct level bids[] = {{{100, 0}, {1, 0}}, {{99, 0}, {0, 0}}};
    const struct level asks[] = {{{101, 0}, {3, 0}}};
    struct event event = {.channel = CHANNEL_DEPTH,
                          .venue = VENUE_BINANCE,
                          .symbol = STR("X"),
                          .depth = {.first_update_id = 5,
                                    .last_update_id = 6,
                                    .prev_update_id = ID_NONE,
                                    .bids = bids,
                                    .asks = asks,
                                    .bid_count = 2,
                                    .ask_count = 1}};
    struct cell cells[COLUMNS_MAX];
    struct cell next[COLUMNS_MAX];
    assert_int_equal(schema_event_rows(&event), 3);
    schema_event_cells(&event, 0, next);
    static const struct {
        const char *side;
        int64_t price, amount;
    } rows[] = {{"bid", 100, 1}, {"bid", 99, 0}, {"ask", 101, 3}};
    for (uint32_t row = 0; row < 3; row++) {
        assert_int_equal(schema_event_cells(&event, row, cells), 13);
        if (row > 0) {
            schema_event_cells_next(&event, row, false, next);
        }
        for (int i = 0; i < 2; i++) {
            const struct cell *of = i == 0 ? cells : next;
            assert_int_equal(of[4].i64, 0);
            assert_true(str_equal(of[5].text, str_from(rows[row].side)));
            assert_int_equal(of[6].dec.mantissa, rows[row].price);
            assert_int_equal(of[7].dec.mantissa, rows[row].amount);
            assert_int_equal(of[8].i64, 5);
            assert_int_equal(of[9].i64, 6);
            assert_true(of[10].null);
        }
    }
}

static void a_shallow_snapshot_leaves_nulls(void **state)
{
    (void)state;
    const struct level bids[] = {{{100, 0}, {1, 0}}};
    struct event event = {.channel = CHANNEL_BOOK_SNAPSHOT_5,
                          .venue = VENUE_BINANCE,
                          .symbol = STR("X"),
                          .book_snapshot = {.last_update_id = 9, .bids = bids, .bid_count = 1}};
    struct cell cells[COLUMNS_MAX];
    assert_int_equal(schema_event_cells(&event, 0, cells), 27);
    assert_true(cells[5].null);
    assert_false(cells[7].null);
    assert_int_equal(cells[7].dec.mantissa, 100);
    assert_true(cells[11].null);
}

static void a_gap_of_everything_has_null_symbol_and_channel(void **state)
{
    (void)state;
    struct event event = {.channel = CHANNEL_GAPS,
                          .venue = VENUE_BINANCE,
                          .recv_unix_ns = 5000,
                          .gap = {.all_channels = true,
                                  .kind = GAP_QUEUE_DROP,
                                  .from_id = ID_NONE,
                                  .to_id = ID_NONE,
                                  .missing = 3,
                                  .start_unix_ns = 1000,
                                  .end_unix_ns = TIME_NONE,
                                  .resolved_by = GAP_RESOLVED_BACKFILL}};
    struct cell cells[COLUMNS_MAX];
    schema_event_cells(&event, 0, cells);
    assert_true(cells[1].null);
    assert_true(cells[4].null);
    assert_true(str_equal(cells[5].text, STR("queue_drop")));
    assert_true(cells[6].null);
    assert_int_equal(cells[8].i64, 3);
    assert_int_equal(cells[9].i64, 1);
    assert_int_equal(cells[10].i64, 5); /* an end that is not known: when it was told */
    assert_true(str_equal(cells[11].text, STR("backfill")));
    event.symbol = STR("A");
    event.gap.all_channels = false;
    event.gap.of_channel = CHANNEL_DEPTH;
    schema_event_cells(&event, 0, cells);
    assert_true(str_equal(cells[1].text, STR("A")));
    assert_true(str_equal(cells[4].text, STR("incremental_book_L2")));
}

static void sequences_are_the_ids_of_the_channel(void **state)
{
    (void)state;
    static const struct {
        enum channel channel;
        const char *first, *last;
    } rows[] = {
        {CHANNEL_TRADES, "trade_id", "trade_id"},
        {CHANNEL_BOOK_TICKER, "update_id", "update_id"},
        {CHANNEL_DEPTH, "first_update_id", "last_update_id"},
        {CHANNEL_BOOK_SNAPSHOT_5, "last_update_id", "last_update_id"},
        {CHANNEL_TICKER, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct schema *schema = schema_of(rows[i].channel);
        int first = 0;
        int last = 0;
        schema_sequence_columns(schema, &first, &last);
        if (rows[i].first == NULL) {
            assert_int_equal(first, -1);
            assert_int_equal(last, -1);
        } else {
            assert_string_equal(schema->columns[first].name, rows[i].first);
            assert_string_equal(schema->columns[last].name, rows[i].last);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_those_of_the_schema_in_order),
        cmocka_unit_test(deep_snapshots_number_their_levels),
        cmocka_unit_test(local_ns_follows_local_timestamp),
        cmocka_unit_test(decimals_stand_behind_the_columns_of_the_channel),
        cmocka_unit_test(decimal_cells_are_those_of_the_doubles),
        cmocka_unit_test(a_trade_becomes_its_cells),
        cmocka_unit_test(a_time_before_1970_is_floored_too),
        cmocka_unit_test(a_depth_update_has_a_row_a_level_bids_first),
        cmocka_unit_test(a_shallow_snapshot_leaves_nulls),
        cmocka_unit_test(a_gap_of_everything_has_null_symbol_and_channel),
        cmocka_unit_test(sequences_are_the_ids_of_the_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
