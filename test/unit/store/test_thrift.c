/* Thrift compact protocol, against bytes worked out from its specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "store/thrift.h"

#define CHECK_WRITTEN(w, ...)                                       \
    do {                                                            \
        const uint8_t expected_[] = {__VA_ARGS__};                  \
        assert_false((w).overflow);                                 \
        assert_int_equal((w).bytes, sizeof expected_);              \
        assert_memory_equal((w).data, expected_, sizeof expected_); \
    } while (0)

static uint8_t memory[512];

static void fields_are_short_when_ids_are_near(void **state)
{
    (void)state;
    struct thrift_writer w;
    thrift_writer_init(&w, memory, sizeof memory);
    thrift_put_i32(&w, 1, -1);
    thrift_put_i64(&w, 3, 300);
    thrift_put_bool(&w, 4, true);
    thrift_put_bool(&w, 5, false);
    thrift_put_i8(&w, 20, -2);
    thrift_put_i16(&w, 40, 5); /* too far for a nibble: type, then the id as a varint */
    thrift_put_text(&w, 41, "ab");
    thrift_end(&w);
    CHECK_WRITTEN(w, 0x15, 0x01, 0x26, 0xd8, 0x04, 0x11, 0x12, 0xf3, 0xfe, 0x04, 80, 10, 0x18, 2,
                  'a', 'b', 0);
}

static void structs_and_lists_nest(void **state)
{
    (void)state;
    struct thrift_writer w;
    thrift_writer_init(&w, memory, sizeof memory);
    thrift_put_struct(&w, 2);
    thrift_put_i32(&w, 1, 1);
    thrift_end(&w);
    thrift_put_list(&w, 3, THRIFT_I32, 2);
    thrift_element_i32(&w, 1);
    thrift_element_i32(&w, -1);
    thrift_put_list(&w, 4, THRIFT_TRUE, 2);
    thrift_element_bool(&w, true);
    thrift_element_bool(&w, false);
    thrift_put_list(&w, 5, THRIFT_STRUCT, 16);
    for (int i = 0; i < 16; i++) {
        thrift_element_struct(&w);
        thrift_end(&w);
    }
    thrift_end(&w);
    CHECK_WRITTEN(w, 0x2c, 0x15, 2, 0, 0x19, 0x25, 2, 1, 0x19, 0x21, 1, 2, 0x19, 0xfc, 16, 0, 0, 0,
                  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

static void writer_keeps_within_its_memory(void **state)
{
    (void)state;
    for (size_t capacity = 0; capacity < 12; capacity++) {
        uint8_t small[13];
        memset(small, 0xaa, sizeof small);
        struct thrift_writer w;
        thrift_writer_init(&w, small, capacity);
        thrift_put_i32(&w, 1, 100000);
        thrift_put_text(&w, 2, "hello");
        thrift_end(&w);
        assert_true(w.overflow);
        assert_true(w.bytes <= capacity);
        assert_int_equal(small[capacity], 0xaa);
    }
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    struct thrift_writer w;
    thrift_writer_init(&w, memory, sizeof memory);
    thrift_put_i32(&w, 1, INT32_MIN);
    thrift_put_i64(&w, 2, INT64_MIN);
    thrift_put_bool(&w, 3, true);
    thrift_put_text(&w, 30, "text");
    thrift_put_list(&w, 31, THRIFT_I64, 1);
    thrift_element_i64(&w, 77);
    thrift_end(&w);
    struct thrift_reader r = thrift_reader_over(memory, w.bytes);
    struct thrift_field field = {0};
    assert_true(thrift_next_field(&r, &field));
    assert_int_equal(thrift_get_i32(&r, field.type), INT32_MIN);
    assert_true(thrift_next_field(&r, &field));
    assert_true(thrift_get_int(&r, field.type) == INT64_MIN);
    assert_true(thrift_next_field(&r, &field));
    assert_true(thrift_get_bool(&r, field));
    assert_true(thrift_next_field(&r, &field));
    assert_int_equal(field.id, 30);
    assert_true(str_equal(thrift_get_binary(&r, field.type), STR("text")));
    assert_true(thrift_next_field(&r, &field));
    enum thrift_type element;
    assert_int_equal(thrift_get_list(&r, field.type, &element), 1);
    assert_int_equal(element, THRIFT_I64);
    assert_int_equal(thrift_get_int(&r, element), 77);
    assert_false(thrift_next_field(&r, &field));
    assert_false(r.failed);
    assert_ptr_equal(r.at, r.end);
}

/* A struct with every type, among them those Parquet does not use. */
static const uint8_t every_type[] = {0x11, 0x12, 0x13, 0x55, 0x14, 0x02, 0x15, 0x02,
                                     0x16, 0x02, 0x17, 1,    2,    3,    4,    5,
                                     6,    7,    8,    0x18, 2,    'x',  'y',  0x19,
                                     0x35, 2,    4,    6,    0x1a, 0x21, 1,    2, /* list, set */
                                     0x1b, 1,    0x58, 2,    1,    'k', /* map i32 -> text */
                                     0x1b, 0,                           /* empty map */
                                     0x1c, 0x15, 2,    0,    0x1d, 0,    1,    2,
                                     3,    4,    5,    6,    7,    8,    9,    10,
                                     11,   12,   13,   14,   15,   0};

static void unknown_fields_are_skipped(void **state)
{
    (void)state;
    struct thrift_reader r = thrift_reader_over(every_type, sizeof every_type);
    struct thrift_field field = {0};
    int fields = 0;
    while (thrift_next_field(&r, &field)) {
        thrift_skip(&r, field.type);
        fields++;
    }
    assert_false(r.failed);
    assert_int_equal(fields, 14);
    assert_ptr_equal(r.at, r.end);
}

static void cut_structs_fail_at_every_length(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof every_type; cut++) {
        struct thrift_reader r = thrift_reader_over(every_type, cut);
        struct thrift_field field = {0};
        while (thrift_next_field(&r, &field)) {
            thrift_skip(&r, field.type);
        }
        assert_true(r.failed);
    }
}

static void lies_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[12];
        size_t count;
    } cases[] = {
        {{0x18, 0xff, 0xff, 0xff, 0xff, 0x0f}, 6}, /* a text of 4 GiB */
        {{0x19, 0xf5, 0xff, 0xff, 0xff, 0x0f}, 6}, /* a list of 2^28 integers */
        {{0x19, 0x20, 1, 1, 0}, 5},                /* a list of nothing */
        {{0x1e, 0}, 2},                            /* type 14 */
        {{0x16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 11}, /* 65 bits */
        {{0x1b, 0xff, 0x7f, 0x00, 0, 0}, 6}, /* a map of types that are none */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct thrift_reader r = thrift_reader_over(cases[i].bytes, cases[i].count);
        struct thrift_field field = {0};
        while (thrift_next_field(&r, &field)) {
            thrift_skip(&r, field.type);
        }
        assert_true(r.failed);
    }
}

/* Well-formed, but no metadata nests so deep: 40 structs, one in another. */
static void deep_nesting_is_refused(void **state)
{
    (void)state;
    uint8_t deep[81];
    for (size_t depth = 10; depth <= 40; depth += 30) {
        memset(deep, 0x1c, depth);
        memset(deep + depth, 0, depth + 1);
        struct thrift_reader r = thrift_reader_over(deep, 2 * depth + 1);
        thrift_skip(&r, THRIFT_STRUCT);
        assert_int_equal(r.failed, depth == 40);
        assert_ptr_equal(r.at, r.end);
    }
    /* a list of one list of one list */
    memset(deep, 0x19, sizeof deep);
    deep[80] = 0x03;
    struct thrift_reader r = thrift_reader_over(deep, sizeof deep);
    thrift_skip(&r, THRIFT_LIST);
    assert_true(r.failed);
}

static void wrong_types_fail(void **state)
{
    (void)state;
    struct thrift_reader r = thrift_reader_over(every_type, sizeof every_type);
    assert_int_equal(thrift_get_int(&r, THRIFT_BINARY), 0);
    assert_true(r.failed);
    r = thrift_reader_over(every_type, sizeof every_type);
    assert_int_equal(thrift_get_binary(&r, THRIFT_I32).bytes, 0);
    assert_true(r.failed);
    r = thrift_reader_over(every_type, sizeof every_type);
    assert_false(thrift_get_bool(&r, (struct thrift_field){1, THRIFT_I32}));
    assert_true(r.failed);
    uint8_t wide[] = {0x16, 0x80, 0x80, 0x80, 0x80, 0x20};
    r = thrift_reader_over(wide + 1, sizeof wide - 1);
    assert_int_equal(thrift_get_i32(&r, THRIFT_I64), 0); /* 2^32 does not fit */
    assert_true(r.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_short_when_ids_are_near),
        cmocka_unit_test(structs_and_lists_nest),
        cmocka_unit_test(writer_keeps_within_its_memory),
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(cut_structs_fail_at_every_length),
        cmocka_unit_test(lies_are_refused),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(wrong_types_fail),
    };
    return cmocka_run_group_tests_name("thrift", tests, NULL, NULL);
}
