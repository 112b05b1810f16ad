/* Columns of CSV files: ours as they are, tardis's to the letter. Expected first lines are those of
 * docs.tardis.dev/downloadable-csv-files/data-types, as hftbacktest and nautilus compare them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "store/csv_schema.h"
#include "store/store.h"

#define HEAD "exchange,symbol,timestamp,local_timestamp,"

static void first_line(enum channel channel, uint32_t options, bool tardis, char *out,
                       size_t out_bytes)
{
    const struct schema *schema = schema_of_with(channel, options);
    struct csv_schema csv;
    csv_schema_init(&csv, schema, tardis);
    struct buf line = buf_over(out, out_bytes - 1);
    for (uint32_t c = 0; c < csv.count; c++) {
        char memory[64];
        buf_printf(&line, "%s", c > 0 ? "," : "");
        buf_put_str(&line, csv_schema_name(&csv, schema, c, memory));
    }
    assert_false(line.overflow);
    out[line.bytes] = 0;
}

static void tardis_names_stand_in_tardis_order(void **state)
{
    (void)state;
    static const struct {
        enum channel channel;
        const char *line;
    } files[] = {
        {CHANNEL_TRADES, HEAD "id,side,price,amount"},
        {CHANNEL_DEPTH, HEAD "is_snapshot,side,price,amount"},
        {CHANNEL_BOOK_TICKER, HEAD "ask_amount,ask_price,bid_price,bid_amount"},
        {CHANNEL_DERIVATIVE_TICKER,
         HEAD "funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,"
              "index_price,mark_price"},
        {CHANNEL_LIQUIDATIONS, HEAD "id,side,price,amount"},
        {CHANNEL_BOOK_SNAPSHOT_5, HEAD "asks[0].price,asks[0].amount,bids[0].price,bids[0].amount,"
                                       "asks[1].price,asks[1].amount,bids[1].price,bids[1].amount,"
                                       "asks[2].price,asks[2].amount,bids[2].price,bids[2].amount,"
                                       "asks[3].price,asks[3].amount,bids[3].price,bids[3].amount,"
                                       "asks[4].price,asks[4].amount,bids[4].price,bids[4].amount"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        for (uint32_t options = 0; options < SCHEMA_OPTIONS_COUNT; options++) {
            char line[8192];
            first_line(files[i].channel, options, true, line, sizeof line);
            assert_string_equal(line, files[i].line);
        }
    }
    char line[16384];
    first_line(CHANNEL_BOOK_SNAPSHOT_50, 0, true, line, sizeof line);
    assert_non_null(strstr(line, ",asks[49].price,asks[49].amount,bids[49].price,bids[49].amount"));
    assert_null(strstr(line, "last_update_id"));
}

static void other_channels_and_native_keep_our_columns(void **state)
{
    (void)state;
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        const struct schema *schema = schema_of((enum channel)channel);
        struct csv_schema csv;
        csv_schema_init(&csv, schema, false);
        assert_int_equal(csv.count, schema->column_count);
        for (uint32_t c = 0; c < csv.count; c++) {
            char memory[64];
            assert_int_equal(csv.columns[c].index, c);
            assert_true(str_equal(csv_schema_name(&csv, schema, c, memory),
                                  str_from(schema->columns[c].name)));
        }
    }
    char line[1024];
    first_line(CHANNEL_GAPS, false, true, line, sizeof line);
    assert_non_null(strstr(line, "resolved_by,conn_id,local_seq"));
}

/* ---- rows */

struct file {
    unsigned char data[8192];
    size_t bytes;
};

static int file_write(void *context, const void *data, size_t bytes)
{
    struct file *file = context;
    assert_true(bytes <= sizeof file->data - file->bytes);
    memcpy(file->data + file->bytes, data, bytes);
    file->bytes += bytes;
    return 0;
}

static struct event trade(int64_t id, int64_t event_unix_ns, int32_t flags)
{
    return (struct event){
        .channel = CHANNEL_TRADES,
        .venue = VENUE_BINANCE_FUTURES,
        .symbol = STR("BTCUSDT"),
        .event_unix_ns = event_unix_ns,
        .recv_unix_ns = 1795424400123456789,
        .seq = 7,
        .trade = {.trade_id = id,
                  .side = SIDE_SELL,
                  .price = {631005, -1},
                  .amount = {2, -3},
                  .flags = flags},
    };
}

static void absent_values_are_what_tardis_puts_and_no_trades_are_left_out(void **state)
{
    (void)state;
    const struct writer_options options = {.zstd_level = 3, .csv_tardis = true};
    struct file_writer *writer = csv_writer_create(&options);
    struct row_group group;
    struct file file = {.bytes = 0};
    assert_int_equal(row_group_init(&group, 100, 16, 100, 1 << 18), 0);
    row_group_reset(&group, schema_of(CHANNEL_TRADES));
    struct event events[] = {
        trade(5000, 1795424400120000000, 0), trade(5001, TIME_NONE, TRADE_BACKFILL),
        trade(5002, 1795424400120000000, TRADE_PLACEHOLDER), trade(5003, 1795424400121000000, 0)};
    events[3].trade.id = STR("a-text-id");
    for (size_t i = 0; i < 4; i++) {
        struct cell cells[COLUMNS_MAX];
        schema_event_cells(&events[i], 0, cells);
        assert_int_equal(row_group_append(&group, cells), 0);
    }
    struct file_sink sink = {file_write, &file};
    assert_int_equal(writer->ops->begin(writer, schema_of(CHANNEL_TRADES), sink), 0);
    assert_int_equal(writer->ops->write_group(writer, &group), 0);
    assert_int_equal(writer->ops->end(writer, NULL, 0), 0);
    assert_int_equal(writer->ops->rows_left_out(writer), 1);
    char text[4096];
    z_stream zlib = {.next_in = file.data,
                     .avail_in = (unsigned)file.bytes,
                     .next_out = (unsigned char *)text,
                     .avail_out = sizeof text - 1};
    assert_int_equal(inflateInit2(&zlib, 15 + 16), Z_OK);
    assert_int_equal(inflate(&zlib, Z_FINISH), Z_STREAM_END);
    text[zlib.total_out] = 0;
    inflateEnd(&zlib);
    assert_string_equal(
        text, HEAD "id,side,price,amount\n"
                   "binance-futures,BTCUSDT,1795424400120000,1795424400123456,5000,sell,63100.5,"
                   "0.002\n"
                   "binance-futures,BTCUSDT,1795424400123456,1795424400123456,5001,sell,63100.5,"
                   "0.002\n"
                   "binance-futures,BTCUSDT,1795424400121000,1795424400123456,a-text-id,sell,"
                   "63100.5,0.002\n");
    row_group_deinit(&group);
    writer->ops->destroy(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tardis_names_stand_in_tardis_order),
        cmocka_unit_test(other_channels_and_native_keep_our_columns),
        cmocka_unit_test(absent_values_are_what_tardis_puts_and_no_trades_are_left_out),
    };
    return cmocka_run_group_tests_name("csv_schema", tests, NULL, NULL);
}
