/* The receive parser against hostile and ordinary frames (faults.md row 13): every case whole, one
 * byte at a time, in four-way splits, and cut at every length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "parse_case.h"

#define LIMIT 70000

struct frame_case {
    const char *name;
    const char *bytes;
    size_t count;
    const char *expect;
};
#define CASE(name, literal, expect)                \
    {                                              \
        name, literal, sizeof(literal) - 1, expect \
    }

static const struct frame_case cases[] = {
    /* ordinary */
    CASE("empty text", "\x81\x00", "T()"),
    CASE("short text", "\x81\x05hello", "T(hello)"),
    CASE("empty binary", "\x82\x00", "B()"),
    CASE("short binary with a high byte", "\x82\x02\xff\xfe", "B(\xff\xfe)"),
    CASE("two texts", "\x81\x01x\x81\x01y", "T(x)T(y)"),
    CASE("ping without body", "\x89\x00", "P()"),
    CASE("ping with body", "\x89\x04ping", "P(ping)"),
    CASE("pong nobody asked for", "\x8a\x02hi", "O(hi)"),
    CASE("text in two fragments", "\x01\x03hel\x80\x02lo", "T(hello)"),
    CASE("text in four fragments", "\x01\x01w\x00\x01x\x00\x01y\x80\x01z", "T(wxyz)"),
    CASE("fragments, all empty", "\x01\x00\x00\x00\x80\x00", "T()"),
    CASE("binary in fragments, middle empty", "\x02\x01x\x00\x00\x80\x01y", "B(xy)"),
    CASE("ping between fragments", "\x01\x03hel\x89\x02hi\x80\x02lo", "P(hi)T(hello)"),
    CASE("empty ping between fragments", "\x01\x03hel\x89\x00\x80\x02lo", "P()T(hello)"),
    CASE("three pings between fragments", "\x01\x01x\x89\x01p\x89\x01q\x8a\x01r\x80\x01y",
         "P(p)P(q)O(r)T(xy)"),
    CASE("ping longer than what was gathered", "\x01\x01x\x89\x05hello\x80\x01y", "P(hello)T(xy)"),
    CASE("message behind a fragmented one", "\x01\x01x\x80\x01y\x81\x01z", "T(xy)T(z)"),
    CASE("close without body", "\x88\x00", "C1005()"),
    CASE("close 1000", "\x88\x02\x03\xe8", "C1000()"),
    CASE("close 1001 with a reason",
         "\x88\x05\x03\xe9"
         "bye",
         "C1001(bye)"),
    CASE("close 1003", "\x88\x02\x03\xeb", "C1003()"),
    CASE("close 1007", "\x88\x02\x03\xef", "C1007()"),
    CASE("close 1011", "\x88\x02\x03\xf3", "C1011()"),
    CASE("close 1012, service restart", "\x88\x02\x03\xf4", "C1012()"),
    CASE("close 1014", "\x88\x02\x03\xf6", "C1014()"),
    CASE("close 3000", "\x88\x02\x0b\xb8", "C3000()"),
    CASE("close 4999", "\x88\x02\x13\x87", "C4999()"),
    CASE("close between fragments", "\x01\x01x\x88\x02\x03\xe8", "C1000()"),
    CASE("UTF-8 of two, three and four bytes", "\x81\x09\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
         "T(\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80)"),
    CASE("a character split over fragments", "\x01\x01\xe2\x00\x01\x82\x80\x01\xac",
         "T(\xe2\x82\xac)"),
    CASE("a split character with a ping inside", "\x01\x02\xf0\x9f\x89\x01p\x80\x02\x98\x80",
         "P(p)T(\xf0\x9f\x98\x80)"),
    CASE("the highest code point", "\x81\x04\xf4\x8f\xbf\xbf", "T(\xf4\x8f\xbf\xbf)"),
    CASE("the code points round the surrogates", "\x81\x06\xed\x9f\xbf\xee\x80\x80",
         "T(\xed\x9f\xbf\xee\x80\x80)"),
    CASE("a non-character is text", "\x81\x03\xef\xbf\xbf", "T(\xef\xbf\xbf)"),
    /* reserved bits */
    CASE("RSV1", "\xc1\x05hello", "E1002"),
    CASE("RSV2", "\xa1\x05hello", "E1002"),
    CASE("RSV3", "\x91\x05hello", "E1002"),
    CASE("all reserved bits", "\xf1\x05hello", "E1002"),
    CASE("RSV1 on a ping", "\xc9\x00", "E1002"),
    CASE("RSV1 on a close", "\xc8\x00", "E1002"),
    CASE("RSV1 on a continuation", "\x01\x01x\xc0\x01y", "E1002"),
    CASE("RSV2 behind a good message", "\x81\x01x\xa1\x01y", "T(x)E1002"),
    /* opcodes */
    CASE("opcode 3", "\x83\x00", "E1002"),
    CASE("opcode 4", "\x84\x00", "E1002"),
    CASE("opcode 5", "\x85\x00", "E1002"),
    CASE("opcode 6", "\x86\x00", "E1002"),
    CASE("opcode 7", "\x87\x00", "E1002"),
    CASE("opcode 11", "\x8b\x00", "E1002"),
    CASE("opcode 12", "\x8c\x00", "E1002"),
    CASE("opcode 13", "\x8d\x00", "E1002"),
    CASE("opcode 14", "\x8e\x00", "E1002"),
    CASE("opcode 15", "\x8f\x00", "E1002"),
    CASE("opcode 3 inside fragments", "\x01\x01x\x83\x00", "E1002"),
    CASE("opcode 11 without FIN", "\x0b\x00", "E1002"),
    /* masks */
    CASE("masked text", "\x81\x81\x01\x02\x03\x04y", "E1002"),
    CASE("masked empty text", "\x81\x80\x01\x02\x03\x04", "E1002"),
    CASE("masked ping", "\x89\x80\x01\x02\x03\x04", "E1002"),
    CASE("masked close", "\x88\x82\x01\x02\x03\x04\x02\xea", "E1002"),
    CASE("masked 16-bit length", "\x81\xfe\x00\x7e", "E1002"),
    CASE("masked continuation", "\x01\x01x\x80\x81\x00\x00\x00\x00y", "E1002"),
    /* control frames */
    CASE("ping in fragments", "\x09\x01p\x80\x01q", "E1002"),
    CASE("pong in fragments", "\x0a\x00", "E1002"),
    CASE("close in fragments", "\x08\x02\x03\xe8", "E1002"),
    CASE("ping with a 16-bit length", "\x89\x7e\x00\x7e", "E1002"),
    CASE("ping with a 64-bit length", "\x89\x7f\x00\x00\x00\x00\x00\x01\x00\x00", "E1002"),
    CASE("pong with a 16-bit length", "\x8a\x7e\x00\x7e", "E1002"),
    CASE("close with a 16-bit length", "\x88\x7e\x00\x7e\x03\xe8", "E1002"),
    CASE("ping of 16-bit length 5", "\x89\x7e\x00\x05hello", "E1002"),
    /* lengths */
    CASE("16-bit length 0", "\x81\x7e\x00\x00", "E1002"),
    CASE("16-bit length 5", "\x81\x7e\x00\x05hello", "E1002"),
    CASE("16-bit length 125", "\x81\x7e\x00\x7d", "E1002"),
    CASE("64-bit length 0", "\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x00", "E1002"),
    CASE("64-bit length 125", "\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x7d", "E1002"),
    CASE("64-bit length 65535", "\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", "E1002"),
    CASE("64-bit length with the highest bit", "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", "E1002"),
    CASE("64-bit length, all ones", "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "E1002"),
    CASE("64-bit length 2^63 - 1", "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", "E1009"),
    CASE("one byte over the limit", "\x82\x7f\x00\x00\x00\x00\x00\x01\x11\x71", "E1009"),
    CASE("4 GiB", "\x82\x7f\x00\x00\x00\x01\x00\x00\x00\x00", "E1009"),
    CASE("2^32 + 5, wrong when cut to 32 bits", "\x81\x7f\x00\x00\x00\x01\x00\x00\x00\x05hello",
         "E1009"),
    CASE("fragments that grow over the limit",
         "\x02\x05hello\x80\x7f\x00\x00\x00\x00\x00\x01\x11\x6c", "E1009"),
    CASE("fragments whose sum overflows", "\x02\x05hello\x80\x7f\x7f\xff\xff\xff\xff\xff\xff\xff",
         "E1009"),
    CASE("over the limit behind a good message",
         "\x81\x01x\x82\x7f\x00\x00\x00\x00\x10\x00\x00\x00", "T(x)E1009"),
    /* fragments */
    CASE("continuation without a start", "\x80\x01x", "E1002"),
    CASE("continuation without a start, not final", "\x00\x01x", "E1002"),
    CASE("continuation behind a whole message", "\x81\x01x\x80\x01y", "T(x)E1002"),
    CASE("continuation behind a finished one", "\x01\x01x\x80\x01y\x80\x01z", "T(xy)E1002"),
    CASE("text inside fragments", "\x01\x01x\x81\x01y", "E1002"),
    CASE("text start inside fragments", "\x01\x01x\x01\x01y", "E1002"),
    CASE("binary inside text fragments", "\x01\x01x\x82\x01y", "E1002"),
    CASE("text inside binary fragments", "\x02\x01x\x81\x01y", "E1002"),
    CASE("text inside fragments behind a ping", "\x01\x01x\x89\x00\x81\x01y", "P()E1002"),
    /* UTF-8 in text */
    CASE("a lone continuation byte", "\x81\x01\x80", "E1007"),
    CASE("0xff", "\x81\x01\xff", "E1007"),
    CASE("0xfe", "\x81\x01\xfe", "E1007"),
    CASE("overlong slash of two bytes", "\x81\x02\xc0\xaf", "E1007"),
    CASE("overlong NUL", "\x81\x02\xc0\x80", "E1007"),
    CASE("overlong 0xc1", "\x81\x02\xc1\xbf", "E1007"),
    CASE("overlong of three bytes", "\x81\x03\xe0\x9f\xbf", "E1007"),
    CASE("overlong of four bytes", "\x81\x04\xf0\x8f\xbf\xbf", "E1007"),
    CASE("lowest surrogate", "\x81\x03\xed\xa0\x80", "E1007"),
    CASE("highest surrogate", "\x81\x03\xed\xbf\xbf", "E1007"),
    CASE("above the highest code point", "\x81\x04\xf4\x90\x80\x80", "E1007"),
    CASE("0xf5", "\x81\x04\xf5\x80\x80\x80", "E1007"),
    CASE("a two-byte form cut by the end", "\x81\x01\xc3", "E1007"),
    CASE("a three-byte form cut by the end", "\x81\x02\xe2\x82", "E1007"),
    CASE("a four-byte form cut by the end", "\x81\x03\xf0\x9f\x98", "E1007"),
    CASE("a form cut by ASCII", "\x81\x03\xe2\x82x", "E1007"),
    CASE("a bad byte behind eight good ones",
         "\x81\x09"
         "12345678\xff",
         "E1007"),
    CASE("a bad byte in the middle of sixteen",
         "\x81\x10"
         "1234567\xff"
         "12345678",
         "E1007"),
    CASE("bad in the first fragment", "\x01\x02x\xff\x80\x01y", "E1007"),
    CASE("bad in the last fragment", "\x01\x01x\x80\x01\xff", "E1007"),
    CASE("a form cut by the last fragment's end", "\x01\x01\xe2\x80\x01\x82", "E1007"),
    CASE("a form cut by the next fragment", "\x01\x01\xe2\x80\x01x", "E1007"),
    CASE("an unfinished form, then an empty end", "\x01\x01\xe2\x80\x00", "E1007"),
    CASE("bad UTF-8 is fine in binary", "\x82\x02\xc0\xaf", "B(\xc0\xaf)"),
    CASE("bad UTF-8 is fine in a ping", "\x89\x01\xff", "P(\xff)"),
    CASE("state does not leak into the next text", "\x02\x01\xe2\x80\x00\x81\x01x", "B(\xe2)T(x)"),
    /* close frames */
    CASE("close of one byte", "\x88\x01\x03", "E1002"),
    CASE("close 0", "\x88\x02\x00\x00", "E1002"),
    CASE("close 999", "\x88\x02\x03\xe7", "E1002"),
    CASE("close 1004", "\x88\x02\x03\xec", "E1002"),
    CASE("close 1005", "\x88\x02\x03\xed", "E1002"),
    CASE("close 1006", "\x88\x02\x03\xee", "E1002"),
    CASE("close 1015", "\x88\x02\x03\xf7", "E1002"),
    CASE("close 1016", "\x88\x02\x03\xf8", "E1002"),
    CASE("close 1100", "\x88\x02\x04\x4c", "E1002"),
    CASE("close 2000", "\x88\x02\x07\xd0", "E1002"),
    CASE("close 2999", "\x88\x02\x0b\xb7", "E1002"),
    CASE("close 5000", "\x88\x02\x13\x88", "E1002"),
    CASE("close 65535", "\x88\x02\xff\xff", "E1002"),
    CASE("close with a reason that is not UTF-8", "\x88\x04\x03\xe8\xc0\xaf", "E1007"),
    CASE("close with a reason cut inside a form", "\x88\x04\x03\xe8\xe2\x82", "E1007"),
    CASE("close with a surrogate", "\x88\x05\x03\xe8\xed\xa0\x80", "E1007"),
    CASE("bad close inside fragments", "\x01\x01x\x88\x01\x03", "E1002"),
};
#define CASE_COUNT (sizeof cases / sizeof cases[0])
_Static_assert(CASE_COUNT >= 80, "faults.md row 13 asks for about 80 cases");

static void fail_case(const struct frame_case *one, const char *how, const char *got)
{
    fail_msg("%s, %s: want %s, got %s", one->name, how, one->expect, got);
}

static void run_split(const struct frame_case *one, const size_t *cuts, size_t cut_count,
                      const char *how)
{
    struct parse_run run;
    parse_run_open(&run, LIMIT);
    size_t from = 0;
    for (size_t i = 0; i <= cut_count; i++) {
        size_t to = i < cut_count ? cuts[i] : one->count;
        parse_feed(&run, (const uint8_t *)one->bytes + from, to - from);
        from = to;
    }
    if (strcmp(run.text, one->expect) != 0) {
        fail_case(one, how, run.text);
    }
    parse_run_close(&run);
}

static void table_whole(void **state)
{
    (void)state;
    for (size_t c = 0; c < CASE_COUNT; c++) {
        run_split(&cases[c], NULL, 0, "whole");
    }
}

static void table_one_byte_at_a_time(void **state)
{
    (void)state;
    for (size_t c = 0; c < CASE_COUNT; c++) {
        size_t cuts[64];
        assert_true(cases[c].count < 64);
        for (size_t i = 0; i + 1 < cases[c].count; i++) {
            cuts[i] = i + 1;
        }
        run_split(&cases[c], cuts, cases[c].count - 1, "one byte at a time");
    }
}

static void table_in_every_four_way_split(void **state)
{
    (void)state;
    for (size_t c = 0; c < CASE_COUNT; c++) {
        size_t n = cases[c].count;
        for (size_t i = 0; i <= n; i++) {
            for (size_t j = i; j <= n; j++) {
                for (size_t k = j; k <= n; k += n > 12 ? 2 : 1) {
                    run_split(&cases[c], (const size_t[]){i, j, k}, 3, "four parts");
                }
            }
        }
    }
}

/* Cut short, a stream gives a prefix of what the whole one gives: nothing partial, nothing new. */
static void table_cut_at_every_length(void **state)
{
    (void)state;
    for (size_t c = 0; c < CASE_COUNT; c++) {
        for (size_t n = 0; n < cases[c].count; n++) {
            struct parse_run run;
            parse_run_open(&run, LIMIT);
            parse_feed(&run, (const uint8_t *)cases[c].bytes, n);
            if (strncmp(run.text, cases[c].expect, strlen(run.text)) != 0) {
                fail_case(&cases[c], "cut", run.text);
            }
            parse_run_close(&run);
        }
    }
}

static size_t make_frame(uint8_t *out, uint8_t first, const void *payload, size_t bytes)
{
    size_t n = 0;
    out[n++] = first;
    if (bytes < 126) {
        out[n++] = (uint8_t)bytes;
    } else if (bytes < 65536) {
        out[n++] = 126;
        out[n++] = (uint8_t)(bytes >> 8);
        out[n++] = (uint8_t)bytes;
    } else {
        out[n++] = 127;
        for (int shift = 56; shift >= 0; shift -= 8) {
            out[n++] = (uint8_t)((uint64_t)bytes >> shift);
        }
    }
    if (bytes > 0) {
        memcpy(out + n, payload, bytes);
    }
    return n + bytes;
}

static void lengths_round_their_borders_are_read(void **state)
{
    (void)state;
    static const size_t lengths[] = {124, 125, 126, 127, 65534, 65535, 65536, 65537, LIMIT};
    static uint8_t payload[LIMIT], frame[LIMIT + 14];
    memset(payload, 'x', sizeof payload);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t n = make_frame(frame, 0x81, payload, lengths[i]);
        struct ws_parser parser;
        struct ws_message message;
        size_t offset = 0;
        ws_parser_init(&parser, LIMIT);
        assert_int_equal(ws_parse(&parser, frame, n - 1, &offset, &message), WS_PARSE_MORE);
        assert_int_equal(offset, 0);
        assert_int_equal(ws_parse_bytes_needed(&parser, frame, n - 1), n);
        assert_int_equal(ws_parse(&parser, frame, n, &offset, &message), WS_PARSE_MESSAGE);
        assert_int_equal(message.bytes, lengths[i]);
        assert_int_equal(offset, n);
    }
}

/* The largest message in fragments with a full ping before its end fits the promised buffer. */
static void largest_fragmented_message_with_a_ping_fits_the_promised_buffer(void **state)
{
    (void)state;
    enum { MAX = 300 };
    uint8_t payload[MAX], ping[125], stream[2 * MAX + 400];
    memset(payload, 'x', sizeof payload);
    memset(ping, 'p', sizeof ping);
    size_t n = make_frame(stream, 0x01, payload, MAX);
    n += make_frame(stream + n, 0x89, ping, sizeof ping);
    n += make_frame(stream + n, 0x80, NULL, 0);
    for (size_t step = 1; step <= n; step += 7) {
        struct parse_run run;
        parse_run_open(&run, MAX);
        for (size_t at = 0; at < n; at += step) {
            parse_feed(&run, stream + at, n - at < step ? n - at : step);
        }
        assert_non_null(strstr(run.text, "P<125:"));
        assert_non_null(strstr(run.text, "T<300:"));
        assert_null(strstr(run.text, "full"));
        parse_run_close(&run);
    }
}

static void thousand_fragments_make_one_message(void **state)
{
    (void)state;
    static uint8_t stream[8192];
    size_t n = 0;
    for (int i = 0; i < 1000; i++) {
        uint8_t c = (uint8_t)('a' + i % 26);
        n += make_frame(stream + n, i == 0 ? 0x01 : i == 999 ? 0x80 : 0x00, &c, 1);
    }
    static const size_t steps[] = {1, 2, 3, 5, 1000, 8192};
    for (size_t s = 0; s < 6; s++) {
        struct parse_run run;
        parse_run_open(&run, 1000);
        for (size_t at = 0; at < n; at += steps[s]) {
            parse_feed(&run, stream + at, n - at < steps[s] ? n - at : steps[s]);
        }
        assert_string_equal(run.text, "T<1000:61d1>");
        parse_run_close(&run);
    }
}

/* Messages handed out one after the other lie side by side: a batch of them may be kept until the
 * buffer is moved (ws_client does). */
static void earlier_messages_stay_whole_while_later_ones_are_parsed(void **state)
{
    (void)state;
    uint8_t stream[] = "\x81\x02hi\x01\x03hel\x89\x03"
                       "abc\x80\x02lo\x82\x01z";
    struct ws_parser parser;
    struct ws_message message[4];
    size_t offset = 0;
    ws_parser_init(&parser, 100);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ws_parse(&parser, stream, sizeof stream - 1, &offset, &message[i]),
                         WS_PARSE_MESSAGE);
    }
    assert_memory_equal(message[0].data, "hi", 2);
    assert_memory_equal(message[1].data, "abc", 3);
    assert_memory_equal(message[2].data, "hello", 5);
    assert_memory_equal(message[3].data, "z", 1);
}

static void refusals_carry_code_and_words(void **state)
{
    (void)state;
    uint8_t big[] = {0x82, 0x7f, 0, 0, 0, 0, 1, 0, 0, 0}, reserved[] = {0xc1, 0x00};
    struct ws_parser parser;
    struct ws_message message;
    size_t offset = 0;
    ws_parser_init(&parser, 1000);
    assert_int_equal(ws_parse(&parser, big, sizeof big, &offset, &message), MD_ETOOBIG);
    assert_int_equal(parser.close_code, 1009);
    assert_non_null(strstr(parser.why, "net.message_bytes_max"));
    ws_parser_init(&parser, 1000);
    assert_int_equal(ws_parse(&parser, reserved, sizeof reserved, &offset, &message), MD_EPROTO);
    assert_int_equal(parser.close_code, 1002);
}

static void client_frames_are_masked(void **state)
{
    (void)state;
    uint8_t out[32];
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    /* RFC 6455 section 5.7: the masked "Hello" */
    static const uint8_t want[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d,
                                   0x7f, 0x9f, 0x4d, 0x51, 0x58};
    assert_int_equal(ws_frame_write_client(out, sizeof out, WS_TEXT, "Hello", 5, mask), 11);
    assert_memory_equal(out, want, 11);
    assert_int_equal(ws_frame_write_client(out, 10, WS_TEXT, "Hello", 5, mask), 0);
    assert_int_equal(ws_frame_write_client(out, 5, WS_PING, "", 0, mask), 0);
    assert_int_equal(ws_frame_write_client(out, 6, WS_PING, "", 0, mask), 6);
}

static void client_frame_lengths_are_minimal(void **state)
{
    (void)state;
    static uint8_t out[70000], payload[65536];
    static const uint8_t mask[4] = {0, 0, 0, 0};
    assert_int_equal(ws_frame_write_client(out, sizeof out, WS_BINARY, payload, 125, mask), 131);
    assert_memory_equal(out, "\x82\xfd", 2);
    assert_int_equal(ws_frame_write_client(out, sizeof out, WS_BINARY, payload, 126, mask), 134);
    assert_memory_equal(out, "\x82\xfe\x00\x7e", 4);
    assert_int_equal(ws_frame_write_client(out, sizeof out, WS_BINARY, payload, 65535, mask),
                     65543);
    assert_memory_equal(out, "\x82\xfe\xff\xff", 4);
    assert_int_equal(ws_frame_write_client(out, sizeof out, WS_BINARY, payload, 65536, mask),
                     65550);
    assert_memory_equal(out, "\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00", 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_whole),
        cmocka_unit_test(table_one_byte_at_a_time),
        cmocka_unit_test(table_in_every_four_way_split),
        cmocka_unit_test(table_cut_at_every_length),
        cmocka_unit_test(lengths_round_their_borders_are_read),
        cmocka_unit_test(largest_fragmented_message_with_a_ping_fits_the_promised_buffer),
        cmocka_unit_test(thousand_fragments_make_one_message),
        cmocka_unit_test(earlier_messages_stay_whole_while_later_ones_are_parsed),
        cmocka_unit_test(refusals_carry_code_and_words),
        cmocka_unit_test(client_frames_are_masked),
        cmocka_unit_test(client_frame_lengths_are_minimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
