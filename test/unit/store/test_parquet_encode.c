/* Value encodings against bytes worked out by hand from Encodings.md, and there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "store/parquet_decode.h"
#include "store/parquet_encode.h"

#define CHECK_BYTES(out, count, ...)                           \
    do {                                                       \
        const uint8_t expected_[] = {__VA_ARGS__};             \
        assert_int_equal(count, sizeof expected_);             \
        assert_memory_equal(out, expected_, sizeof expected_); \
    } while (0)

/* Encodings.md, "Delta Encoding", example 1: 1, 2, 3, 4, 5 has differences of 1, width 0. */
static void delta_of_steps_of_one_needs_no_bits(void **state)
{
    (void)state;
    const int64_t values[] = {1, 2, 3, 4, 5};
    uint8_t out[4096];
    size_t bytes = parquet_encode_delta(values, 5, false, out);
    CHECK_BYTES(out, bytes, 0x80, 0x01, 4, 5, 2, /* block 128, 4 miniblocks, 5 values, first 1 */
                2, 0, 0, 0, 0);                  /* smallest 1, four widths of 0 */
}

/* Example 2: 7, 5, 3, 1, 2, 3, 4, 5: smallest difference -2, the rest 0, 0, 0, 3, 3, 3, 3. The
 * miniblock is written whole: 32 values of 2 bits. */
static void delta_packs_what_is_above_the_smallest_difference(void **state)
{
    (void)state;
    const int64_t values[] = {7, 5, 3, 1, 2, 3, 4, 5};
    uint8_t out[4096];
    size_t bytes = parquet_encode_delta(values, 8, false, out);
    CHECK_BYTES(out, bytes, 0x80, 0x01, 4, 8, 14, 3, 2, 0, 0, 0, 0xc0, 0x3f, 0, 0, 0, 0, 0, 0);
}

static void delta_of_nothing_and_of_one_value_is_a_header(void **state)
{
    (void)state;
    const int64_t value = -3;
    uint8_t out[4096];
    size_t bytes = parquet_encode_delta(NULL, 0, false, out);
    CHECK_BYTES(out, bytes, 0x80, 0x01, 4, 0, 0);
    bytes = parquet_encode_delta(&value, 1, false, out);
    CHECK_BYTES(out, bytes, 0x80, 0x01, 4, 1, 5);
}

/* 2^31 - 1 after -2^31 is a step of -1 at 32 bits, of 2^32 - 1 at 64. */
static void delta_of_int32_wraps_at_32_bits(void **state)
{
    (void)state;
    const int64_t values[] = {INT32_MIN, INT32_MAX};
    uint8_t out[4096];
    size_t bytes = parquet_encode_delta(values, 2, true, out);
    CHECK_BYTES(out, bytes, 0x80, 0x01, 4, 2, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 0, 0, 0, 0);
}

static uint64_t random_state = 88172645463325252u;
static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void check_delta_round_trip(const int64_t *values, size_t count, bool is_32)
{
    size_t most = parquet_encode_delta_bytes_max(count);
    uint8_t *out = malloc(most);
    int64_t *back = malloc((count + 1) * sizeof *back);
    size_t bytes = parquet_encode_delta(values, count, is_32, out);
    assert_true(bytes <= most);
    assert_int_equal(bytes, parquet_estimate_delta(values, count, is_32));
    assert_int_equal(parquet_decode_delta(out, out + bytes, count, is_32, back), 0);
    assert_memory_equal(back, values, count * sizeof *values);
    for (size_t cut = 0; cut < bytes; cut++) {
        assert_int_equal(parquet_decode_delta(out, out + cut, count, is_32, back), MD_ECORRUPT);
    }
    free(out);
    free(back);
}

static void delta_round_trips_at_every_width(void **state)
{
    (void)state;
    int64_t values[300];
    for (unsigned width = 0; width <= 64; width++) {
        for (size_t i = 0; i < 300; i++) {
            values[i] = width == 0 ? 9 : (int64_t)(random_next() >> (64 - width));
        }
        for (size_t count = 0; count < 300; count += count < 140 ? 1 : 53) {
            if (count % 16 == 1 || width % 16 == 0 || count > 280) {
                check_delta_round_trip(values, count, false);
            }
        }
    }
}

static void delta_round_trips_extremes(void **state)
{
    (void)state;
    const int64_t wide[] = {INT64_MIN, INT64_MAX, 0, -1, INT64_MAX, INT64_MIN, 1, INT64_MIN};
    const int64_t narrow[] = {INT32_MIN, INT32_MAX, 0, -1, INT32_MAX, INT32_MIN, 1, INT32_MIN};
    check_delta_round_trip(wide, 8, false);
    check_delta_round_trip(narrow, 8, true);
}

/* Encodings.md: block 8, 1 miniblock is its example only; readers must take any legal shape. */
static void delta_of_another_block_shape_is_read(void **state)
{
    (void)state;
    /* block 256, 2 miniblocks of 128, 4 values, first 5; smallest -1, widths 2 and (garbage) 77 */
    uint8_t bytes[4 + 1 + 2 + 1 + 2 + 32] = {0x80, 0x02, 2, 4, 10, 1, 2, 77, 0x39};
    int64_t back[4];
    /* 0x39: 1, 2, 3 at 2 bits: steps 0, 1, 2 */
    assert_int_equal(parquet_decode_delta(bytes, bytes + sizeof bytes, 4, false, back), 0);
    assert_int_equal(back[0], 5);
    assert_int_equal(back[1], 5);
    assert_int_equal(back[2], 6);
    assert_int_equal(back[3], 8);
}

static void delta_of_wrong_heads_is_refused(void **state)
{
    (void)state;
    int64_t back[8];
    const uint8_t cases[][8] = {
        {0x00, 4, 2, 0, 0, 0, 0, 0},          /* block 0 */
        {0x81, 0x01, 4, 2, 0, 0, 0, 0},       /* block 129 */
        {0x80, 0x01, 0, 2, 0, 0, 0, 0},       /* no miniblocks */
        {0x80, 0x01, 8, 2, 0, 0, 0, 0},       /* miniblocks of 16 */
        {0x80, 0x01, 4, 3, 0, 0, 0, 0},       /* another count than the page's */
        {0x80, 0x01, 4, 2, 0, 0, 65, 0},      /* 65 bits */
        {0xff, 0xff, 0xff, 0xff, 0xff, 1, 2}, /* a huge block */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parquet_decode_delta(cases[i], cases[i] + 8, 2, false, back), MD_ECORRUPT);
    }
}

/* Encodings.md, "RLE / Bit-Packing Hybrid": 0 to 7 at 3 bits are 88 C6 FA. */
static void bits_are_packed_from_the_lowest(void **state)
{
    (void)state;
    const uint32_t values[] = {0, 1, 2, 3, 4, 5, 6, 7};
    uint8_t out[64];
    size_t bytes = parquet_encode_rle(values, 8, 3, out);
    CHECK_BYTES(out, bytes, 1 << 1 | 1, 0x88, 0xc6, 0xfa);
}

static void long_runs_are_a_head_and_a_value(void **state)
{
    (void)state;
    uint32_t values[1000];
    uint8_t out[1024];
    for (int i = 0; i < 1000; i++) {
        values[i] = 0x1234;
    }
    size_t bytes = parquet_encode_rle(values, 1000, 13, out);
    CHECK_BYTES(out, bytes, 0xd0, 0x0f, 0x34, 0x12); /* 1000 << 1 */
    memset(values, 0, sizeof values);
    bytes = parquet_encode_rle(values, 1000, 0, out);
    CHECK_BYTES(out, bytes, 0xd0, 0x0f);
    bytes = parquet_encode_rle(values, 0, 5, out);
    assert_int_equal(bytes, 0);
}

static void literals_are_padded_and_lent_to_by_the_run(void **state)
{
    (void)state;
    /* 3 literals, then 40 of the same: 5 of them fill the literals' group of 8 */
    uint32_t values[43] = {1, 2, 3};
    uint8_t out[64];
    for (int i = 3; i < 43; i++) {
        values[i] = 9;
    }
    size_t bytes = parquet_encode_rle(values, 43, 8, out);
    CHECK_BYTES(out, bytes, 1 << 1 | 1, 1, 2, 3, 9, 9, 9, 9, 9, 35 << 1, 9);
    bytes = parquet_encode_rle(values, 3, 8, out);
    CHECK_BYTES(out, bytes, 1 << 1 | 1, 1, 2, 3, 0, 0, 0, 0, 0);
}

static void check_rle_round_trip(const uint32_t *values, size_t count, uint32_t width)
{
    size_t most = parquet_encode_rle_bytes_max(count, width);
    uint8_t *out = malloc(most);
    uint32_t *back = malloc((count + 1) * sizeof *back);
    size_t bytes = parquet_encode_rle(values, count, width, out);
    assert_true(bytes <= most);
    struct parquet_rle rle = parquet_rle_over(out, out + bytes, width);
    /* in uneven pieces */
    for (size_t done = 0, piece = 1; done < count; done += piece, piece = piece % 37 + 1) {
        piece = piece < count - done ? piece : count - done;
        assert_int_equal(parquet_rle_read(&rle, back + done, piece), 0);
    }
    assert_memory_equal(back, values, count * sizeof *values);
    free(out);
    free(back);
}

static void rle_round_trips_at_every_width(void **state)
{
    (void)state;
    uint32_t values[2000];
    for (uint32_t width = 0; width <= 32; width++) {
        uint32_t mask = width == 32 ? UINT32_MAX : (1u << width) - 1;
        for (size_t i = 0; i < 2000;) {
            uint32_t value = (uint32_t)random_next() & mask;
            size_t run = random_next() % 4 == 0 ? random_next() % 90 : 1 + random_next() % 3;
            for (; run > 0 && i < 2000; run--) {
                values[i++] = value;
            }
        }
        for (size_t count = 0; count <= 2000; count += 1 + count / 7) {
            check_rle_round_trip(values, count, width);
        }
    }
}

static void cut_runs_are_refused(void **state)
{
    (void)state;
    uint32_t back[64];
    const uint8_t run[] = {16 << 1, 0x34, 0x12};
    for (size_t cut = 0; cut < 3; cut++) {
        struct parquet_rle rle = parquet_rle_over(run, run + cut, 16);
        assert_int_equal(parquet_rle_read(&rle, back, 16), MD_ECORRUPT);
    }
    struct parquet_rle rle = parquet_rle_over(run, run + 3, 16);
    assert_int_equal(parquet_rle_read(&rle, back, 16), 0);
    assert_int_equal(parquet_rle_read(&rle, back, 1), MD_ECORRUPT);
    const uint8_t none[] = {0, 0, 0, 0};
    rle = parquet_rle_over(none, none + 4, 16);
    assert_int_equal(parquet_rle_read(&rle, back, 1), MD_ECORRUPT);
}

static void booleans_are_bits(void **state)
{
    (void)state;
    const uint8_t values[] = {1, 0, 1, 1, 0, 0, 0, 1, 1, 0};
    uint8_t out[2];
    size_t bytes = parquet_encode_bits(values, 10, out);
    CHECK_BYTES(out, bytes, 0x8d, 0x01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delta_of_steps_of_one_needs_no_bits),
        cmocka_unit_test(delta_packs_what_is_above_the_smallest_difference),
        cmocka_unit_test(delta_of_nothing_and_of_one_value_is_a_header),
        cmocka_unit_test(delta_of_int32_wraps_at_32_bits),
        cmocka_unit_test(delta_round_trips_at_every_width),
        cmocka_unit_test(delta_round_trips_extremes),
        cmocka_unit_test(delta_of_another_block_shape_is_read),
        cmocka_unit_test(delta_of_wrong_heads_is_refused),
        cmocka_unit_test(bits_are_packed_from_the_lowest),
        cmocka_unit_test(long_runs_are_a_head_and_a_value),
        cmocka_unit_test(literals_are_padded_and_lent_to_by_the_run),
        cmocka_unit_test(rle_round_trips_at_every_width),
        cmocka_unit_test(cut_runs_are_refused),
        cmocka_unit_test(booleans_are_bits),
    };
    return cmocka_run_group_tests_name("parquet_encode", tests, NULL, NULL);
}
