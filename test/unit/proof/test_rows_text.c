/* Lines of JSONL and CSV read back: what they hold, and the words for lines that nobody of ours
 * wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proof/rows.h"
#include "store/text_stream.h"

static struct mdio io;
static struct rows *rows;
static int handle;
static int64_t at;

static int write_out(void *context, const void *data, size_t bytes)
{
    (void)context;
    at += (int64_t)bytes;
    return mdio_write_all(&io, handle, data, bytes, at - (int64_t)bytes);
}

static int open_all(void **state)
{
    (void)state;
    return mdio_mem_open(&io) != 0 || rows_create(&rows) != 0;
}

static int close_all(void **state)
{
    (void)state;
    rows_destroy(rows);
    mdio_deinit(&io);
    return 0;
}

/* Packs `text` and reads it; "id@local us" a trade, "bids/asks@local us" a depth message, then the
 * words of what is wrong. */
static const char *read_back(enum file_format format, enum channel channel, const char *text)
{
    static char out[4096];
    struct buf said = buf_over(out, sizeof out - 1);
    struct packer *packer = packer_create(format, 1);
    struct catalog_file file = {.entry = {.channel = channel, .path = STR("f")}, .format = format};
    struct event event;
    struct err err = {{0}};
    assert_non_null(packer);
    handle = mdio_open(&io, "f", MDIO_WRITE | MDIO_CREATE);
    assert_true(handle >= 0);
    assert_int_equal(mdio_truncate(&io, handle, 0), 0);
    at = 0;
    packer_begin(packer, (struct file_sink){write_out, NULL});
    assert_int_equal(packer_put(packer, str_from(text)), 0);
    assert_int_equal(packer_end(packer), 0);
    packer_destroy(packer);
    mdio_close(&io, handle);
    int code = rows_open(rows, &io, &file, true, &err);
    while (code == 0 && (code = rows_next(rows, &event, &err)) == 1) {
        code = 0;
        if (channel == CHANNEL_DEPTH) {
            buf_printf(&said, "%u/%u", event.depth.bid_count, event.depth.ask_count);
        } else {
            buf_printf(&said, "%lld", (long long)event.trade.trade_id);
        }
        buf_printf(&said, "@%lld ", (long long)(event.recv_unix_ns / 1000));
    }
    rows_close(rows);
    buf_printf(&said, "%s", code < 0 ? err.text : "");
    out[said.bytes] = 0;
    return out;
}

#define NAMES                                                                                    \
    "exchange,symbol,timestamp,local_timestamp,id,trade_id,side,price,amount,amount_base,flags," \
    "conn_id,local_seq\n"
#define ROW(id, us) "binance,AB,," #us ",," #id ",buy,1.5,1e-07,,0,1,7\n"

static void csv_lines_are_rows(void **state)
{
    (void)state;
    const struct {
        const char *text, *expected;
    } cases[] = {
        {NAMES ROW(5, 10) ROW(6, 20), "5@10 6@20 "},
        {NAMES, ""},
        {"", "no line of names"},
        {"exchange,symbol\n", "no column timestamp of our kind"},
        {NAMES ROW(5, 10) "binance,AB,,20,,6,buy,1.5,1,,0,1\n",
         "5@10 line 3: not the 13 fields of its names"},
        {NAMES "binance,AB,,20,,6,buy,1.5,1,,0,1,7,8\n", "line 2: not the 13 fields of its names"},
        {NAMES "binance,AB,,20,,6,buy,one,1,,0,1,7\n", "line 2: price: not a value of this column"},
        {NAMES "binance,AB,,,,6,buy,1,1,,0,1,7\n", "line 2: local_timestamp: not given"},
        {NAMES "binance,AB,,20,,6,buy,1,1,,0,9999999999,7\n",
         "line 2: conn_id: not a value of this column"},
        {NAMES ROW(5, 10) "binance,AB,,20", "5@10 it ends within line 3"},
        {NAMES "\"binance\"x,AB,,20,,6,buy,1,1,,0,1,7\n", "line 2: not the 13 fields of its names"},
        {NAMES "\"binance\",\"A\"\"B\",,20,\"\",6,buy,1,1,,0,1,7\n", "6@20 "},
        /* tardis's columns: no ids, numbers and flags */
        {"exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
         "binance,AB,9,10,5,buy,1.5,2\n",
         "-9223372036854775808@10 "},
        {"exchange,symbol,timestamp,local_timestamp,id,side,price\n"
         "binance,AB,9,10,5,buy,1.5\n",
         "no column trade_id of our kind"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(read_back(FORMAT_CSV, CHANNEL_TRADES, cases[i].text),
                            cases[i].expected);
    }
}

static void tardis_depth_is_a_message_a_moment(void **state)
{
    (void)state;
    const char *text = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n"
                       "binance,AB,9,10,true,bid,1,2\nbinance,AB,9,10,true,ask,2,2\n"
                       "binance,AB,19,20,false,bid,1,0\nbinance,AB,29,30,false,bid,1,1\n";
    assert_string_equal(read_back(FORMAT_CSV, CHANNEL_DEPTH, text), "1/1@10 1/0@20 1/0@30 ");
    assert_false(rows_whole(rows));
}

#define MEMBERS(id, time)                                                                       \
    "{\"exchange\":\"binance\",\"symbol\":\"A\\u0042\",\"timestamp\":null,\"local_timestamp\":" \
    "\"" time "\",\"id\":null,\"trade_id\":" id ",\"side\":\"buy\",\"price\":1.5,\"amount\":2," \
    "\"amount_base\":null,\"flags\":0,\"conn_id\":1,\"local_seq\":7"
#define OBJECT(id, time) MEMBERS(id, time) "}\n"

static void json_lines_are_rows(void **state)
{
    (void)state;
    const struct {
        const char *text, *expected;
    } cases[] = {
        {OBJECT("5", "1970-01-01T00:00:00.000010Z") OBJECT("6", "2000-02-29T23:59:59.999999Z"),
         "5@10 6@951868799999999 "},
        {"", ""},
        {MEMBERS("5", "1970-01-01T00:00:00.000010Z") ",\"of_later\":[1,{\"a\":2}]}\n", "5@10 "},
        {OBJECT("5", "1970-01-01T00:00:00.000010Z") "{\"exchange\":\"binance\"}\n",
         "5@10 line 2: symbol: not given"},
        {OBJECT("5", "1970-13-01T00:00:00.000010Z"),
         "line 1: local_timestamp: not a value of this column"},
        {OBJECT("\"5\"", "1970-01-01T00:00:00.000010Z"),
         "line 1: trade_id: not a value of this column"},
        {OBJECT("5.5", "1970-01-01T00:00:00.000010Z"),
         "line 1: trade_id: not a value of this column"},
        {"[1]\n", "line 1: not one JSON object"},
        {OBJECT("5", "1970-01-01T00:00:00.000010Z") "{\"a\":1\n",
         "5@10 line 2: not one JSON object"},
        {"{\"a\":1}", "it ends within line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(read_back(FORMAT_JSONL, CHANNEL_TRADES, cases[i].text),
                            cases[i].expected);
    }
}

/* Row groups end within messages, and texts stay. */
static void many_lines_are_all_read(void **state)
{
    (void)state;
    static char text[1 << 21];
    struct buf out = buf_over(text, sizeof text - 1);
    buf_put_str(&out, STR("exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount,"
                          "first_update_id,last_update_id,prev_update_id,conn_id,local_seq\n"));
    for (int i = 0; i < 10000; i++) {
        buf_printf(&out, "binance,AB,,%d,false,%s,%d,1,%d,%d,,1,%d\n", i / 1000,
                   i % 2 == 0 ? "bid" : "ask", 1 + i, i / 1000, i / 1000, i / 1000);
    }
    assert_false(out.overflow);
    text[out.bytes] = 0;
    assert_string_equal(read_back(FORMAT_CSV, CHANNEL_DEPTH, text),
                        "500/500@0 500/500@1 500/500@2 500/500@3 500/500@4 500/500@5 500/500@6 "
                        "500/500@7 500/500@8 500/500@9 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_lines_are_rows),
        cmocka_unit_test(tardis_depth_is_a_message_a_moment),
        cmocka_unit_test(json_lines_are_rows),
        cmocka_unit_test(many_lines_are_all_read),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
