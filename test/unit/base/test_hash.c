#include "base_fixture.h"

#include "base/str.h"

typedef uint32_t crc_function(uint32_t crc, const void *data, size_t bytes);
static crc_function *const both[] = {crc32c, crc32c_table};

/* RFC 3720, B.4 (iSCSI), and the check value of the catalogue of CRC algorithms. */
static void crc32c_gives_the_published_values(void **state)
{
    (void)state;
    uint8_t zeroes[32] = {0}, ones[32], up[32], down[32];
    memset(ones, 0xff, sizeof ones);
    for (size_t i = 0; i < 32; i++) {
        up[i] = (uint8_t)i;
        down[i] = (uint8_t)(31 - i);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_true(both[i](0, "123456789", 9) == 0xe3069283u);
        assert_true(both[i](0, zeroes, 32) == 0x8a9136aau);
        assert_true(both[i](0, ones, 32) == 0x62a8ab43u);
        assert_true(both[i](0, up, 32) == 0x46dd794eu);
        assert_true(both[i](0, down, 32) == 0x113fdb5cu);
        assert_true(both[i](0, "a", 1) == 0xc1d04330u);
        assert_true(both[i](0, NULL, 0) == 0);
    }
}

static void crc32c_of_pieces_is_the_crc_of_the_whole(void **state)
{
    (void)state;
    static const char digits[] = "123456789";
    for (size_t i = 0; i < 2; i++) {
        for (size_t cut = 0; cut <= 9; cut++) {
            uint32_t crc = both[i](0, digits, cut);
            assert_true(both[i](crc, digits + cut, 9 - cut) == 0xe3069283u);
        }
    }
}

static void crc32c_by_processor_and_by_table_agree_at_every_length_and_alignment(void **state)
{
    (void)state;
    uint8_t data[600];
    uint64_t random = 3;
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)fixture_next(&random);
    }
    for (size_t from = 0; from < 16; from++) {
        for (size_t bytes = 0; bytes + from <= sizeof data; bytes++) {
            assert_true(crc32c(77, data + from, bytes) == crc32c_table(77, data + from, bytes));
        }
    }
}

/* Cut names on disk carry this hash (str_path_component): its values may not change. */
static void hash_values_are_what_they_always_were(void **state)
{
    (void)state;
    assert_true(str_hash(STR(""), 0) == 0x832ff0d450935050u);
    assert_true(str_hash(STR("BTCUSDT"), 0) == 0x370cc00a2776b9b5u);
    assert_true(str_hash(STR("btcusdt@depth@100ms"), 0) == 0xc35243ffa5141577u);
    assert_true(str_hash(STR("BTCUSDT"), 1) != str_hash(STR("BTCUSDT"), 0));
}

/* 200,000 names like a venue's into 2^18 places: chance alone leaves 46.6 % of them empty. */
static void hash_spreads_names_that_look_alike(void **state)
{
    (void)state;
    static uint8_t seen[1 << 18];
    memset(seen, 0, sizeof seen);
    size_t empty = 0;
    for (int i = 0; i < 200000; i++) {
        char name[32];
        int n = snprintf(name, sizeof name, "S%dUSDT", i);
        seen[str_hash(str_make(name, (size_t)n), 0) % (1 << 18)] = 1;
    }
    for (size_t i = 0; i < sizeof seen; i++) {
        empty += seen[i] == 0;
    }
    assert_in_range(empty, 262144 * 455 / 1000, 262144 * 477 / 1000);
}

static void hash_tells_trailing_zero_bytes_apart(void **state)
{
    (void)state;
    static const char zeroes[64];
    for (size_t a = 0; a < 64; a++) {
        for (size_t b = 0; b < a; b++) {
            assert_true(str_hash(str_make(zeroes, a), 0) != str_hash(str_make(zeroes, b), 0));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_gives_the_published_values),
        cmocka_unit_test(crc32c_of_pieces_is_the_crc_of_the_whole),
        cmocka_unit_test(crc32c_by_processor_and_by_table_agree_at_every_length_and_alignment),
        cmocka_unit_test(hash_values_are_what_they_always_were),
        cmocka_unit_test(hash_spreads_names_that_look_alike),
        cmocka_unit_test(hash_tells_trailing_zero_bytes_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
