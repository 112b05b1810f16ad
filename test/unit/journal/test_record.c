/* record.c: packed form and text form, both ways, and what both refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "journal/record.h"

/* A copy in memory of exactly its size, so that ASan sees a read past the end. */
static char *exact_copy(const char *data, size_t bytes)
{
    char *copy = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(copy);
    memcpy(copy, data, bytes);
    return copy;
}

static void assert_str(struct str s, const char *expected)
{
    assert_int_equal(s.bytes, strlen(expected));
    if (s.bytes > 0) {
        assert_memory_equal(s.data, expected, s.bytes);
    }
}

static const struct record sample = {
    .seq = 0x0807060504030201,
    .time_unix_ns = 0x1112131415161718,
    .kind = RECORD_REST,
    .venue = VENUE_KUCOIN,
    .conn = 0x21222324,
    .arg = {"GET", 3},
    .payload = {"{}", 2},
};

/* u32 bytes 33, kind 6, venue 3, arg bytes 3, conn, time, seq, arg, payload */
static const unsigned char sample_packed[33] = {
    33,   0,    0,    0,    6,    3,    3,    0,    0x24, 0x23, 0x22,
    0x21, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 0x01, 0x02,
    0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 'G',  'E',  'T',  '{',  '}'};

static void record_pack_writes_the_bytes_that_are_on_disk(void **state)
{
    (void)state;
    char packed[64];
    assert_int_equal(record_packed_bytes(&sample), 33);
    assert_int_equal(record_pack(&sample, packed), 33);
    assert_memory_equal(packed, sample_packed, 33);
}

static void record_unpack_gives_back_what_was_packed(void **state)
{
    (void)state;
    struct record record;
    assert_int_equal(record_unpack(sample_packed, 33, &record), 0);
    assert_true(record.seq == 0x0807060504030201);
    assert_true(record.time_unix_ns == 0x1112131415161718);
    assert_int_equal(record.kind, RECORD_REST);
    assert_int_equal(record.venue, VENUE_KUCOIN);
    assert_true(record.conn == 0x21222324);
    assert_str(record.arg, "GET");
    assert_str(record.payload, "{}");
}

static void record_unpack_refuses_every_shorter_and_longer_length(void **state)
{
    (void)state;
    struct record record;
    for (size_t bytes = 0; bytes < 33; bytes++) {
        char *cut = exact_copy((const char *)sample_packed, bytes);
        assert_int_equal(record_unpack(cut, bytes, &record), MD_ECORRUPT);
        free(cut);
    }
    char longer[34] = {0};
    memcpy(longer, sample_packed, 33);
    assert_int_equal(record_unpack(longer, 34, &record), MD_ECORRUPT);
}

static void record_unpack_refuses_unknown_kind_venue_and_arg_past_the_end(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        unsigned char value;
        int code;
    } cases[] = {
        {4, 0, MD_ECORRUPT},
        {4, 15, MD_ECORRUPT},
        {4, 255, MD_ECORRUPT},
        {4, 14, 0},
        {5, 7, MD_ECORRUPT},
        {5, 255, MD_ECORRUPT},
        {5, 0, 0},
        {5, 6, 0},
        {6, 6, MD_ECORRUPT},
        {6, 5, 0},
        {7, 1, MD_ECORRUPT},
        {0, 34, MD_ECORRUPT},
        {3, 1, MD_ECORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char bytes[33];
        struct record record;
        memcpy(bytes, sample_packed, 33);
        bytes[cases[i].at] = cases[i].value;
        assert_int_equal(record_unpack(bytes, 33, &record), cases[i].code);
    }
}

static void record_unpack_refuses_an_arg_above_the_limit(void **state)
{
    (void)state;
    static char packed[28 + 4097];
    static char arg[4096];
    struct record record = {.kind = RECORD_OPEN, .arg = {arg, 4096}};
    assert_int_equal(record_pack(&record, packed), 28 + 4096);
    assert_int_equal(record_unpack(packed, 28 + 4096, &record), 0);
    packed[0] = 0x1d; /* 28 + 4097 = 0x101d */
    packed[6] = 0x01; /* 4097 = 0x1001 */
    assert_int_equal(record_unpack(packed, 28 + 4097, &record), MD_ECORRUPT);
}

static void record_kind_and_venue_names_go_both_ways(void **state)
{
    (void)state;
    static const struct {
        int number;
        const char *name;
    } kinds[] = {{1, "open"},  {2, "recv"},    {3, "recv-hex"}, {4, "sent"}, {5, "rest-part"},
                 {6, "rest"},  {7, "close"},   {8, "drop"},     {9, "tick"}, {10, "start"},
                 {11, "stop"}, {12, "config"}, {13, "state"},   {14, "tune"}},
      venues[] = {{0, "-"},
                  {1, "binance"},
                  {2, "binance-futures"},
                  {3, "kucoin"},
                  {4, "kucoin-futures"},
                  {5, "gate-io"},
                  {6, "gate-io-futures"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        assert_string_equal(record_kind_name((enum record_kind)kinds[i].number), kinds[i].name);
        assert_int_equal(record_kind_parse(str_from(kinds[i].name)), kinds[i].number);
    }
    for (size_t i = 0; i < sizeof venues / sizeof venues[0]; i++) {
        assert_string_equal(venue_name((enum venue_id)venues[i].number), venues[i].name);
        assert_int_equal(venue_parse(str_from(venues[i].name)), venues[i].number);
    }
    assert_null(record_kind_name((enum record_kind)0));
    assert_null(record_kind_name((enum record_kind)15));
    assert_int_equal(record_kind_parse(STR("rec")), 0);
    assert_int_equal(record_kind_parse(STR("recvx")), 0);
    assert_int_equal(record_kind_parse(str_make(NULL, 0)), 0);
    assert_null(venue_name(VENUE_ID_END));
    assert_int_equal(venue_parse(STR("Binance")), -1);
    assert_int_equal(venue_parse(str_make(NULL, 0)), -1);
}

static void format_into(const struct record *record, char *out, size_t capacity)
{
    struct buf buf = buf_over(out, capacity - 1);
    record_format(record, &buf);
    assert_false(buf.overflow);
    out[buf.bytes] = '\0';
}

static void record_format_writes_one_line_of_the_text_format(void **state)
{
    (void)state;
    char line[512];
    struct record record = {.seq = 99,
                            .time_unix_ns = 1633998512063356900,
                            .kind = RECORD_RECV,
                            .venue = VENUE_BINANCE,
                            .conn = 7,
                            .payload = STR("{\"a\":\"x\\ty\"}")};
    format_into(&record, line, sizeof line);
    assert_string_equal(line, "1633998512.063356900\tbinance\t7\trecv\t\t{\"a\":\"x\\\\ty\"}");

    record = (struct record){.time_unix_ns = 5,
                             .kind = RECORD_RECV_BINARY,
                             .venue = VENUE_GATE_FUTURES,
                             .conn = 4294967295u,
                             .arg = STR("a\tb\nc\rd\\e"),
                             .payload = str_make("\x00\x7f\xff\n", 4)};
    format_into(&record, line, sizeof line);
    assert_string_equal(
        line, "0.000000005\tgate-io-futures\t4294967295\trecv-hex\ta\\tb\\nc\\rd\\\\e\t007fff0a");

    record = (struct record){.time_unix_ns = -1500000000, .kind = RECORD_TICK};
    format_into(&record, line, sizeof line);
    assert_string_equal(line, "-1.500000000\t-\t0\ttick\t\t");

    record.time_unix_ns = INT64_MIN;
    format_into(&record, line, sizeof line);
    assert_string_equal(line, "-9223372036.854775808\t-\t0\ttick\t\t");
}

static int parse(const char *text, struct record *record, char **memory, struct err *err)
{
    size_t bytes = strlen(text);
    *memory = exact_copy(text, bytes);
    return record_parse(*memory, bytes, record, err);
}

static void record_parse_reads_a_line(void **state)
{
    (void)state;
    struct record record;
    char *memory;
    assert_int_equal(
        parse("1633998512.0633569\tbinance\t7\trecv\t\t{\"a\":1}", &record, &memory, NULL), 0);
    assert_true(record.time_unix_ns == 1633998512063356900);
    assert_int_equal(record.venue, VENUE_BINANCE);
    assert_int_equal(record.conn, 7);
    assert_int_equal(record.kind, RECORD_RECV);
    assert_true(record.seq == 0);
    assert_str(record.arg, "");
    assert_str(record.payload, "{\"a\":1}");
    free(memory);

    assert_int_equal(parse("3\tkucoin\t0\trest\tGET http://x/\\\\y 200\t[\\n\\t\\r\\\\]\r", &record,
                           &memory, NULL),
                     0);
    assert_true(record.time_unix_ns == 3000000000);
    assert_str(record.arg, "GET http://x/\\y 200");
    assert_str(record.payload, "[\n\t\r\\]");
    free(memory);

    assert_int_equal(parse("1.5\t-\t0\ttick", &record, &memory, NULL), 0);
    assert_true(record.time_unix_ns == 1500000000);
    assert_int_equal(record.venue, VENUE_NONE);
    assert_str(record.arg, "");
    assert_str(record.payload, "");
    free(memory);

    assert_int_equal(parse("1\tgate-io\t2\trecv-hex\t\t00fFAb", &record, &memory, NULL), 0);
    assert_int_equal(record.payload.bytes, 3);
    assert_memory_equal(record.payload.data, "\x00\xff\xab", 3);
    free(memory);

    assert_int_equal(parse("-0.25\tbinance\t1\tclose\t1006 gone", &record, &memory, NULL), 0);
    assert_true(record.time_unix_ns == -250000000);
    assert_str(record.arg, "1006 gone");
    free(memory);
}

static void record_parse_skips_blank_lines_and_comments(void **state)
{
    (void)state;
    static const char *const lines[] = {"", "\r", "#", "# 1\tbinance\t1\trecv"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct record record;
        char *memory;
        assert_int_equal(parse(lines[i], &record, &memory, NULL), 1);
        free(memory);
    }
}

static void record_parse_refuses_each_wrong_field_and_says_which(void **state)
{
    (void)state;
    static const struct {
        const char *line, *word;
    } cases[] = {
        {"x\tbinance\t1\trecv\t\t", "time"},
        {"\tbinance\t1\trecv\t\t", "time"},
        {"1.\tbinance\t1\trecv\t\t", "time"},
        {".5\tbinance\t1\trecv\t\t", "time"},
        {"-\tbinance\t1\trecv\t\t", "time"},
        {"+1\tbinance\t1\trecv\t\t", "time"},
        {"1.5.5\tbinance\t1\trecv\t\t", "time"},
        {"1.1234567890\tbinance\t1\trecv\t\t", "time"},
        {"9223372036.854775808\tbinance\t1\trecv\t\t", "time"},
        {"-9223372036.854775809\tbinance\t1\trecv\t\t", "time"},
        {"9223372037\tbinance\t1\trecv\t\t", "time"},
        {"18446744073709551617\tbinance\t1\trecv\t\t", "time"},
        {"1 \tbinance\t1\trecv\t\t", "time"},
        {"1\tBinance\t1\trecv\t\t", "exchange"},
        {"1\t\t1\trecv\t\t", "exchange"},
        {"1", "exchange"},
        {"1\tbinance", "conn"},
        {"1\tbinance\t-1\trecv\t\t", "conn"},
        {"1\tbinance\t4294967296\trecv\t\t", "conn"},
        {"1\tbinance\t1", "kind"},
        {"1\tbinance\t1\treceive\t\t", "kind"},
        {"1\tbinance\t1\trecv\t\\x\t", "arg"},
        {"1\tbinance\t1\trecv\t\\", "arg"},
        {"1\tbinance\t1\trecv\t\ta\tb", "payload"},
        {"1\tbinance\t1\trecv\t\ta\\", "payload"},
        {"1\tbinance\t1\trecv\t\t\\u0041", "payload"},
        {"1\tbinance\t1\trecv-hex\t\t0", "payload"},
        {"1\tbinance\t1\trecv-hex\t\t0g", "payload"},
        {"1\tbinance\t1\trecv-hex\t\t\\t\\t", "payload"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct record record;
        struct err err = {""};
        char *memory;
        assert_int_equal(parse(cases[i].line, &record, &memory, &err), MD_EPARSE);
        assert_non_null(strstr(err.text, cases[i].word));
        free(memory);
    }
}

static void record_parse_holds_the_arg_to_its_limit_after_unescaping(void **state)
{
    (void)state;
    static char line[16384];
    for (size_t arg_bytes = 4096; arg_bytes <= 4097; arg_bytes++) {
        size_t bytes = 0;
        memcpy(line, "1\t-\t0\topen\t", 11);
        bytes = 11;
        for (size_t i = 0; i < arg_bytes; i++) {
            line[bytes++] = '\\';
            line[bytes++] = '\\';
        }
        struct record record;
        assert_int_equal(record_parse(line, bytes, &record, NULL),
                         arg_bytes == 4096 ? 0 : MD_EPARSE);
    }
}

static void record_parse_never_reads_past_a_line_cut_at_any_length(void **state)
{
    (void)state;
    static const char line[] = "1633998512.0633569\tbinance\t7\trecv-hex\ta\\tb\t00ff";
    for (size_t bytes = 0; bytes <= sizeof line - 1; bytes++) {
        struct record record;
        char *memory = exact_copy(line, bytes);
        int code = record_parse(memory, bytes, &record, NULL);
        assert_true(code == 0 || code == 1 || code == MD_EPARSE);
        free(memory);
    }
}

static void record_text_goes_both_ways_for_every_byte_and_keeps_its_size_bound(void **state)
{
    (void)state;
    char all[256];
    for (size_t i = 0; i < 256; i++) {
        all[i] = (char)i;
    }
    static const int64_t times[] = {0, 1, -1, 999999999, -999999999, INT64_MAX, INT64_MIN};
    for (int kind = 1; kind <= 14; kind++) {
        for (size_t t = 0; t < sizeof times / sizeof times[0]; t++) {
            struct record in = {.time_unix_ns = times[t],
                                .kind = (enum record_kind)kind,
                                .venue = (enum venue_id)(t % 7),
                                .conn = 4294967295u,
                                .arg = str_make(all, 256),
                                .payload = str_make(all, 256)};
            char line[2048];
            struct buf buf = buf_over(line, sizeof line);
            record_format(&in, &buf);
            assert_false(buf.overflow);
            assert_true(buf.bytes <= 2 * record_packed_bytes(&in) + RECORD_TEXT_HEAD_BYTES_MAX);
            assert_null(memchr(line, '\n', buf.bytes));
            struct record out;
            assert_int_equal(record_parse(line, buf.bytes, &out, NULL), 0);
            assert_true(out.time_unix_ns == in.time_unix_ns);
            assert_int_equal(out.kind, in.kind);
            assert_int_equal(out.venue, in.venue);
            assert_true(out.conn == in.conn);
            assert_true(str_equal(out.arg, in.arg));
            assert_true(str_equal(out.payload, in.payload));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_pack_writes_the_bytes_that_are_on_disk),
        cmocka_unit_test(record_unpack_gives_back_what_was_packed),
        cmocka_unit_test(record_unpack_refuses_every_shorter_and_longer_length),
        cmocka_unit_test(record_unpack_refuses_unknown_kind_venue_and_arg_past_the_end),
        cmocka_unit_test(record_unpack_refuses_an_arg_above_the_limit),
        cmocka_unit_test(record_kind_and_venue_names_go_both_ways),
        cmocka_unit_test(record_format_writes_one_line_of_the_text_format),
        cmocka_unit_test(record_parse_reads_a_line),
        cmocka_unit_test(record_parse_skips_blank_lines_and_comments),
        cmocka_unit_test(record_parse_refuses_each_wrong_field_and_says_which),
        cmocka_unit_test(record_parse_holds_the_arg_to_its_limit_after_unescaping),
        cmocka_unit_test(record_parse_never_reads_past_a_line_cut_at_any_length),
        cmocka_unit_test(record_text_goes_both_ways_for_every_byte_and_keeps_its_size_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
