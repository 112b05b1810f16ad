/* Row codec and block pool: what goes in comes out, in few bytes, and wrong bytes are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "store/row_block.h"
#include "store/row_codec.h"
#include "store/store.h"

static uint8_t bytes[ROW_BYTES_MAX];

static struct cell cell_i64(int64_t value)
{
    return (struct cell){.null = false, .i64 = value};
}
static struct cell cell_dec(int64_t mantissa, int8_t exponent)
{
    return (struct cell){.null = false, .dec = {mantissa, exponent}};
}
static struct cell cell_text(struct str text)
{
    return (struct cell){.null = false, .text = text};
}
static struct cell cell_null(void)
{
    return (struct cell){.null = true};
}

/* One column of each kind, the first not coded. */
static const struct column_spec columns[] = {
    {"constant", COLUMN_TEXT, false}, {"id", COLUMN_I64, true},     {"price", COLUMN_F64, true},
    {"text", COLUMN_TEXT, true},      {"flag", COLUMN_BOOL, false},
};
static const struct schema schema = {"test", 1, 5, columns, 0};

struct codec {
    struct row_layout layout;
    struct row_state in, out;
    struct row_texts texts;
    uint64_t cut;
};

static struct codec codec_make(const struct schema *of, uint32_t skip)
{
    struct codec codec;
    memset(&codec, 0, sizeof codec);
    row_layout_init(&codec.layout, of, skip);
    return codec;
}

/* Encodes and decodes one row; returns its bytes. */
static size_t round_trip(struct codec *codec, const struct cell *cells, struct cell *back)
{
    size_t size = row_encode(&codec->layout, &codec->in, cells, bytes, &codec->cut);
    assert_true(size > 0);
    size_t read = row_decode(&codec->layout, &codec->out, &codec->texts, bytes, bytes + size, back);
    assert_int_equal(read, size);
    return size;
}

static void check_decimal(struct decimal got, int64_t mantissa, int8_t exponent)
{
    assert_int_equal(decimal_compare(got, (struct decimal){mantissa, exponent}), 0);
}

static void an_unchanged_row_is_its_bitmap_alone(void **state)
{
    (void)state;
    struct codec codec = codec_make(&schema, 1);
    struct cell row[5] = {cell_text(STR("x")), cell_i64(7), cell_dec(3500, -4),
                          cell_text(STR("1m")), cell_i64(1)};
    struct cell back[5];
    assert_true(round_trip(&codec, row, back) > 1);
    assert_int_equal(round_trip(&codec, row, back), 1);
    assert_int_equal(back[1].i64, 7);
    check_decimal(back[2].dec, 35, -2);
    assert_true(str_equal(back[3].text, STR("1m")));
    assert_int_equal(back[4].i64, 1);
}

static void integers_keep_their_extremes(void **state)
{
    (void)state;
    static const int64_t values[] = {0,         1,         -1,        INT64_MAX, INT64_MIN,
                                     INT64_MAX, INT64_MIN, 0,         INT64_MIN, -1,
                                     INT64_MAX, 5,         INT64_MIN, INT64_MIN, 4};
    struct codec codec = codec_make(&schema, 1);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct cell row[5] = {cell_text(STR("x")), cell_i64(values[i]), cell_null(), cell_null(),
                              cell_i64(0)};
        struct cell back[5];
        round_trip(&codec, row, back);
        assert_false(back[1].null);
        assert_int_equal(back[1].i64, values[i]);
        assert_true(back[2].null);
        assert_true(back[3].null);
    }
}

static void decimals_keep_their_value(void **state)
{
    (void)state;
    static const struct decimal values[] = {
        {3500, -4},
        {35, -2},
        {640001000000, -8},
        {640002000000, -8},
        {64000, 0},
        {1, -8},
        {64000, 0},
        {0, -8},
        {0, 0},
        {INT64_MAX, -18},
        {INT64_MAX, 0},
        {-35, -2},
        {-3500, -4},
        {1, 38},
        {1, -38},
        {INT64_MIN, -18},
        {1000000, -38},
        {7, 5},
        {100000000000000000, -17},
        {-1, 0},
        {999999999999999999, -18},
        {9, 18},
        {1, 0},
        {INT64_MIN, 0},
    };
    struct codec codec = codec_make(&schema, 1);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct cell row[5] = {cell_text(STR("x")), cell_null(),
                              cell_dec(values[i].mantissa, values[i].exponent), cell_null(),
                              cell_i64(0)};
        struct cell back[5];
        round_trip(&codec, row, back);
        assert_false(back[2].null);
        check_decimal(back[2].dec, values[i].mantissa, values[i].exponent);
    }
}

static void trailing_zeros_of_a_venue_cost_nothing(void **state)
{
    (void)state;
    struct codec codec = codec_make(&schema, 1);
    struct cell back[5];
    struct cell row[5] = {cell_text(STR("x")), cell_null(), cell_dec(6400001000000, -8),
                          cell_null(), cell_i64(0)};
    round_trip(&codec, row, back);
    row[2] = cell_dec(6400002000000, -8); /* one tick of 0.01 up */
    assert_int_equal(round_trip(&codec, row, back), 2);
}

static void nulls_come_and_go(void **state)
{
    (void)state;
    struct codec codec = codec_make(&schema, 1);
    struct cell back[5];
    for (int i = 0; i < 8; i++) {
        bool null = (i & 1) != 0;
        struct cell row[5] = {cell_text(STR("x")), null ? cell_null() : cell_i64(9),
                              null ? cell_null() : cell_dec(15, -1),
                              null ? cell_null() : cell_text(STR("abc")), cell_i64(1)};
        round_trip(&codec, row, back);
        assert_int_equal(back[1].null, null);
        assert_int_equal(back[2].null, null);
        assert_int_equal(back[3].null, null);
        if (!null) {
            assert_int_equal(back[1].i64, 9);
            check_decimal(back[2].dec, 15, -1);
            assert_true(str_equal(back[3].text, STR("abc")));
        }
    }
}

static void texts_of_every_kind_come_back(void **state)
{
    (void)state;
    const struct str texts[] = {
        STR(""),
        STR("a"),
        STR("a"),
        STR("seven77"),
        STR("seven77"),
        STR("eight888"),
        STR("eight888"),
        row_word(ROW_WORD_BUY),
        row_word(ROW_WORD_BUY),
        row_word(ROW_WORD_UNKNOWN),
        STR("buy"),
        STR("buy"),
        STR("a text of more than a few bytes"),
        STR("\0\0"),
        STR("\0"),
        STR(""),
    };
    struct codec codec = codec_make(&schema, 1);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct cell row[5] = {cell_text(STR("x")), cell_null(), cell_null(), cell_text(texts[i]),
                              cell_i64(0)};
        struct cell back[5];
        round_trip(&codec, row, back);
        assert_false(back[3].null);
        assert_true(str_equal(back[3].text, texts[i]));
    }
}

static void a_text_beyond_the_limit_is_cut_between_characters(void **state)
{
    (void)state;
    static char text[ROW_TEXT_BYTES_MAX + 10];
    memset(text, 'a', sizeof text);
    text[ROW_TEXT_BYTES_MAX - 1] = (char)0xc3; /* a two-byte character over the edge */
    text[ROW_TEXT_BYTES_MAX] = (char)0xa9;
    struct codec codec = codec_make(&schema, 1);
    struct cell row[5] = {cell_text(STR("x")), cell_null(), cell_null(),
                          cell_text(str_make(text, sizeof text)), cell_i64(0)};
    struct cell back[5];
    round_trip(&codec, row, back);
    assert_int_equal(back[3].text.bytes, ROW_TEXT_BYTES_MAX - 1);
    assert_int_equal(codec.cut, 1);
}

static struct event trade_at(int64_t index)
{
    return (struct event){
        .channel = CHANNEL_TRADES,
        .venue = VENUE_BINANCE,
        .symbol = STR("BTCUSDT"),
        .event_unix_ns = 1795424400000000000 + index * 31000000,
        .recv_unix_ns = 1795424400040000000 + index * 31000000 + index % 7 * 133000,
        .conn = 3,
        .seq = (uint64_t)(100 + index * 17),
        .trade = {.trade_id = 5000000 + index,
                  .side = index % 3 == 0 ? SIDE_BUY : SIDE_SELL,
                  .price = {6400001000000 + index % 11 * 1000000, -8},
                  .amount = {(index * 7919 % 9973) * 1000, -8}},
    };
}

static void a_trade_row_takes_about_thirteen_bytes(void **state)
{
    (void)state;
    struct codec codec = codec_make(schema_of(CHANNEL_TRADES), 2);
    size_t total = 0;
    for (int64_t i = 0; i < 1000; i++) {
        struct event event = trade_at(i);
        struct cell cells[COLUMNS_MAX];
        struct cell back[COLUMNS_MAX];
        assert_int_equal(schema_event_cells(&event, 0, cells), 13);
        total += round_trip(&codec, cells, back);
        assert_int_equal(back[5].i64, 5000000 + i);
        assert_int_equal(back[3].i64, cells[3].i64);
        check_decimal(back[8].dec, cells[8].dec.mantissa, cells[8].dec.exponent);
    }
    assert_in_range(total / 1000, 8, 17);
}

static void every_channel_round_trips(void **state)
{
    (void)state;
    struct level bids[60];
    struct level asks[60];
    for (int64_t i = 0; i < 60; i++) {
        bids[i] = (struct level){{6400000 - i, -2}, {100 + i * 3, -4}};
        asks[i] = (struct level){{6400001 + i, -2}, {200 + i * 5, -4}};
    }
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        for (uint32_t options = 0; options < SCHEMA_OPTIONS_COUNT; options++) {
            const struct schema *of = schema_of_with((enum channel)channel, options);
            struct codec codec =
                codec_make(of, schema_has_symbol_path((enum channel)channel) ? 2 : 1);
            struct event event = {.channel = (enum channel)channel,
                                  .venue = VENUE_BINANCE,
                                  .symbol = STR("BTCUSDT"),
                                  .event_unix_ns = TIME_NONE,
                                  .recv_unix_ns = 1795424400040000001,
                                  .seq = 12};
            if (channel == CHANNEL_DEPTH) {
                event.depth.bids = bids;
                event.depth.bid_count = 1;
            } else if (channel >= CHANNEL_BOOK_SNAPSHOT_5 && channel <= CHANNEL_BOOK_SNAPSHOT_50) {
                event.book_snapshot.bids = bids;
                event.book_snapshot.asks = asks;
                event.book_snapshot.bid_count = 60;
                event.book_snapshot.ask_count = 60;
            }
            struct cell cells[COLUMNS_MAX];
            struct cell back[COLUMNS_MAX];
            uint32_t count = schema_event_cells_with(&event, 0, options, cells);
            assert_int_equal(count, of->column_count);
            for (int again = 0; again < 2; again++) {
                round_trip(&codec, cells, back);
                for (uint32_t c = codec.layout.skip; c < count; c++) {
                    assert_int_equal(back[c].null, cells[c].null);
                    assert_false(cells[c].null && !of->columns[c].nullable);
                    if (cells[c].null) {
                        continue;
                    }
                    if (of->columns[c].type == COLUMN_F64 || of->columns[c].type == COLUMN_DEC) {
                        check_decimal(back[c].dec, cells[c].dec.mantissa, cells[c].dec.exponent);
                    } else if (of->columns[c].type == COLUMN_TEXT) {
                        assert_true(str_equal(back[c].text, cells[c].text));
                    } else {
                        assert_int_equal(back[c].i64, cells[c].i64);
                    }
                }
            }
        }
    }
}

static void varints_of_every_length_come_back_and_none_is_read_past_its_end(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits <= 64; bits++) {
        uint64_t ends[] = {bits < 64 ? ((uint64_t)1 << bits) - 1 : UINT64_MAX,
                           bits < 64 ? (uint64_t)1 << bits : UINT64_MAX - 1};
        for (size_t i = 0; i < 2; i++) {
            uint8_t out[VARINT_BYTES_MAX + 1];
            size_t size = (size_t)(put_varint(out, ends[i]) - out);
            uint32_t needed = ends[i] == 0 ? 1 : 64 - (uint32_t)__builtin_clzll(ends[i]);
            assert_int_equal(size, needed > 56 ? 9 : (needed + 6) / 7);
            uint64_t value = 0;
            assert_ptr_equal(get_varint(out, out + sizeof out, &value), out + size);
            assert_int_equal(value, ends[i]);
            for (size_t cut = 0; cut <= size; cut++) {
                uint8_t *part = malloc(cut + 1); /* so that reading past is caught */
                memcpy(part, out, cut);
                const uint8_t *end = get_varint(part, part + cut, &value);
                assert_ptr_equal(end, cut == size ? part + cut : NULL);
                free(part);
            }
        }
    }
}

static void a_row_cut_at_any_byte_is_refused(void **state)
{
    (void)state;
    struct codec codec = codec_make(schema_of(CHANNEL_TRADES), 2);
    struct event event = trade_at(1);
    struct cell cells[COLUMNS_MAX];
    schema_event_cells(&event, 0, cells);
    size_t size = row_encode(&codec.layout, &codec.in, cells, bytes, &codec.cut);
    for (size_t cut = 0; cut < size; cut++) {
        struct row_state fresh;
        memset(&fresh, 0, sizeof fresh);
        struct cell back[COLUMNS_MAX];
        uint8_t part[256];
        memcpy(part, bytes, cut);
        assert_int_equal(row_decode(&codec.layout, &fresh, &codec.texts, part, part + cut, back),
                         0);
    }
}

static void a_null_where_none_may_be_is_refused(void **state)
{
    (void)state;
    struct codec codec = codec_make(&schema, 1);
    const uint8_t null_flag[] = {0x08, 0x01}; /* the fourth coded column, null */
    struct cell back[5];
    assert_int_equal(
        row_decode(&codec.layout, &codec.out, &codec.texts, null_flag, null_flag + 2, back), 0);
}

/* ---- block pool */

static void pool_splits_and_joins_pages(void **state)
{
    (void)state;
    struct block_pool pool;
    assert_int_equal(block_pool_init(&pool, 2 * 4096), 0);
    uint8_t *small[16];
    for (int i = 0; i < 16; i++) {
        small[i] = block_pool_acquire(&pool, 0);
        assert_non_null(small[i]);
    }
    uint8_t *whole = block_pool_acquire(&pool, 4);
    assert_non_null(whole); /* the small ones share one page */
    assert_null(block_pool_acquire(&pool, 0));
    block_pool_release(&pool, small[3], 0);
    assert_null(block_pool_acquire(&pool, 1));
    block_pool_release(&pool, small[2], 0);
    uint8_t *pair = block_pool_acquire(&pool, 1);
    assert_ptr_equal(pair, small[2]);
    block_pool_release(&pool, pair, 1);
    for (int i = 0; i < 16; i++) {
        if (i != 2 && i != 3) {
            block_pool_release(&pool, small[i], 0);
        }
    }
    uint8_t *second = block_pool_acquire(&pool, 4);
    assert_non_null(second);
    assert_int_equal(pool.used_bytes, 8192);
    block_pool_release(&pool, second, 4);
    block_pool_release(&pool, whole, 4);
    assert_int_equal(pool.used_bytes, 0);
    block_pool_deinit(&pool);
}

static void pool_never_hands_out_the_same_bytes_twice(void **state)
{
    (void)state;
    struct block_pool pool;
    assert_int_equal(block_pool_init(&pool, 8 * 4096), 0);
    struct {
        uint8_t *block;
        uint32_t class;
    } held[128] = {{NULL, 0}};
    uint64_t random = 12345;
    for (int step = 0; step < 20000; step++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        size_t i = random >> 33 & 127;
        if (held[i].block != NULL) {
            for (size_t b = 0; b < block_class_bytes(held[i].class); b++) {
                assert_int_equal(held[i].block[b], (uint8_t)i);
            }
            block_pool_release(&pool, held[i].block, held[i].class);
            held[i].block = NULL;
            continue;
        }
        held[i].class = (uint32_t)(random >> 50) % ROW_BLOCK_CLASSES;
        held[i].block = block_pool_acquire(&pool, held[i].class);
        if (held[i].block != NULL) {
            memset(held[i].block, (int)i, block_class_bytes(held[i].class));
        }
    }
    block_pool_deinit(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unchanged_row_is_its_bitmap_alone),
        cmocka_unit_test(integers_keep_their_extremes),
        cmocka_unit_test(decimals_keep_their_value),
        cmocka_unit_test(trailing_zeros_of_a_venue_cost_nothing),
        cmocka_unit_test(nulls_come_and_go),
        cmocka_unit_test(texts_of_every_kind_come_back),
        cmocka_unit_test(a_text_beyond_the_limit_is_cut_between_characters),
        cmocka_unit_test(a_trade_row_takes_about_thirteen_bytes),
        cmocka_unit_test(every_channel_round_trips),
        cmocka_unit_test(varints_of_every_length_come_back_and_none_is_read_past_its_end),
        cmocka_unit_test(a_row_cut_at_any_byte_is_refused),
        cmocka_unit_test(a_null_where_none_may_be_is_refused),
        cmocka_unit_test(pool_splits_and_joins_pages),
        cmocka_unit_test(pool_never_hands_out_the_same_bytes_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
