/* The Parquet reader before files that are not ours, damaged or hostile, and what it prints. */
#include "parquet_fixture.h"

/* ---- a file that our writer did not make */

/* test/fuzz/corpus/parquet_inspect/uncompressed_no_crc, made by hand: no compression, no CRC, nine
 * columns of eight rows. The caller frees it. */
static struct str load_hand_made(void)
{
    char path[1024];
    const char *source = getenv("MD_SOURCE");
    snprintf(path, sizeof path, "%s/test/fuzz/corpus/parquet_inspect/uncompressed_no_crc",
             source != NULL ? source : ".");
    FILE *in = fopen(path, "rb");
    if (in == NULL) {
        fail_msg("cannot open %s", path);
    }
    char *data = malloc(4096);
    size_t bytes = fread(data, 1, 4096, in);
    fclose(in);
    return str_make(data, bytes);
}

static int read_hand_made(struct str bytes)
{
    int code = parquet_reader_open(reader, file_source_memory(&bytes), NULL);
    return code != 0 ? code : parquet_reader_rows(reader, 0, &back, NULL);
}

static void hand_made_file_is_read(void **state)
{
    (void)state;
    struct str bytes = load_hand_made();
    assert_int_equal(read_hand_made(bytes), 0);
    static const int64_t i[] = {1, 2, 3, 4, 5, 7, 5, 3};
    static const uint8_t d_valid[] = {1, 0, 1, 1, 0, 1, 1, 1};
    static const int64_t n[] = {-7, -7, -7, -7, -7, 7, 7, 7};
    static const uint8_t f[] = {1, 0, 1, 0, 0, 1, 0, 1};
    static const int64_t w[] = {7, 5, 3, 1, 2, 3, 4, 5};
    assert_int_equal(back.row_count, 8);
    assert_memory_equal(back.columns[0].i64, i, sizeof i);
    assert_memory_equal(back.columns[1].valid, d_valid, 8);
    assert_true(back.columns[1].f64[0] == 1 && back.columns[1].f64[2] == 2);
    assert_true(back.columns[1].f64[3] == -0.5 && back.columns[1].f64[7] == 9);
    CHECK_TEXT(group_text(&back, 2, 0), "buy");
    CHECK_TEXT(group_text(&back, 2, 1), "sell");
    CHECK_TEXT(group_text(&back, 2, 3), "caf\xc3\xa9");
    assert_int_equal(back.columns[2].valid[7], 0);
    CHECK_TEXT(group_text(&back, 3, 3), "\xef\xbf\xbd"); /* was not UTF-8 */
    CHECK_TEXT(group_text(&back, 3, 7), "long text");
    assert_memory_equal(back.columns[4].boolean, f, 8);
    assert_memory_equal(back.columns[5].i64, n, sizeof n);
    assert_int_equal(back.columns[6].i64[7], 7);
    assert_true(back.columns[7].f64[7] == 2.5);
    assert_memory_equal(back.columns[8].i64, w, sizeof w);
    assert_int_equal(parquet_reader_schema(reader)->columns[8].type, COLUMN_TIME);
    free((void *)(uintptr_t)bytes.data);
}

/* Each case changes bytes of that file, which no CRC covers. */
static void wrong_values_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *find, *put;
        size_t bytes;
        int code;
    } cases[] = {
        {"\x02\x03\x24\x09", "\x02\x03\x27\x09", 4, MD_ECORRUPT}, /* index 3 of 3 */
        {"\x02\x03\x24\x09", "\x21\x03\x24\x09", 4, MD_ECORRUPT}, /* indices of 33 bits */
        {"\x02\x03\x24\x09", "\x02\x02\x24\x09", 4, MD_ECORRUPT}, /* a run of index 36 */
        {"\x80\x01\x04\x05", "\x80\x01\x04\x06", 4, MD_ECORRUPT}, /* another count */
        {"\x03\x00\x00\x00"
         "buy",
         "\xff\x00\x00\x00"
         "buy",
         7, MD_ECORRUPT}, /* text beyond its page */
        {"\x09\x00\x00\x00long", "\x0a\x00\x00\x00long", 8, MD_ECORRUPT},
        {"\x02\x00\x00\x00\x03\xed", "\x00\x00\x00\x00\x03\xed", 6, MD_ECORRUPT}, /* no levels */
        {"\x02\x00\x00\x00\x03\xed", "\x02\x00\x00\x00\x04\x03", 6, MD_ECORRUPT}, /* level 3 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str bytes = load_hand_made();
        char *at = memmem(bytes.data, bytes.bytes, cases[i].find, cases[i].bytes);
        assert_non_null(at);
        memcpy(at, cases[i].put, cases[i].bytes);
        print_message("case %zu\n", i);
        assert_int_equal(read_hand_made(bytes), cases[i].code);
        free((void *)(uintptr_t)bytes.data);
    }
}

/* ---- hostile files */

static void write_small_file(void)
{
    const struct key_value kv = {"venue", "binance"};
    row_group_reset(&group, &every_schema);
    begin(&every_schema);
    for (uint32_t row = 0; row < 40; row++) {
        append_ordinary(row, row % 5 == 1);
    }
    write_group();
    assert_int_equal(writer->ops->end(writer, &kv, 1), 0);
}

static int read_all(struct str bytes)
{
    int code = parquet_reader_open(reader, file_source_memory(&bytes), NULL);
    for (uint32_t g = 0; code == 0 && g < parquet_reader_info(reader)->group_count; g++) {
        code = parquet_reader_rows(reader, g, &back, NULL);
    }
    return code;
}

static void file_cut_anywhere_is_refused(void **state)
{
    (void)state;
    write_small_file();
    for (size_t bytes = 0; bytes < file.bytes; bytes++) {
        char *cut = malloc(bytes + 1); /* its own, so that a read past the end is seen */
        memcpy(cut, file.data, bytes);
        int code = read_all(str_make(cut, bytes));
        assert_true(code == MD_EPARSE || code == MD_ECORRUPT);
        free(cut);
    }
}

/* Marks the bytes of the page at `at` that its CRC covers; returns the end of the page. */
static size_t mark_page(size_t at, bool *covered)
{
    struct thrift_reader r = thrift_reader_over(file.data + at, file.bytes - at);
    struct thrift_field field = {0};
    size_t bytes = 0;
    while (thrift_next_field(&r, &field)) {
        if (field.id == 3) {
            bytes = (size_t)thrift_get_i32(&r, field.type);
        } else {
            thrift_skip(&r, field.type);
        }
    }
    assert_false(r.failed);
    size_t begin = file.bytes - (size_t)(r.end - r.at);
    for (size_t i = 0; i < bytes; i++) {
        covered[begin + i] = true;
    }
    return begin + bytes;
}

/* A flip in the values is always seen, thanks to the CRCs. In headers and in the footer it may make
 * another valid file; it must never do harm. */
static void flipped_bits_are_seen_in_every_page_and_harm_nowhere(void **state)
{
    (void)state;
    static struct parquet_group meta;
    write_small_file();
    open_file();
    parquet_reader_group(reader, 0, &meta);
    bool *covered = calloc(file.bytes, 1);
    size_t pages = 0;
    for (size_t at = 4; at < 4 + (size_t)meta.compressed_bytes; pages++) {
        at = mark_page(at, covered);
    }
    assert_true(pages >= 12);
    char *copy = malloc(file.bytes);
    for (size_t at = 0; at < file.bytes; at++) {
        for (int bit = 0; bit < 8; bit++) {
            memcpy(copy, file.data, file.bytes);
            copy[at] = (char)(copy[at] ^ (1 << bit));
            int code = read_all(str_make(copy, file.bytes));
            if (at < 4 || covered[at]) {
                assert_int_equal(code, at < 4 ? MD_EPARSE : MD_ECORRUPT);
            }
        }
    }
    free(copy);
    free(covered);
}

static void limits_are_kept(void **state)
{
    (void)state;
    struct err err;
    write_small_file();
    file_bytes = str_make(file.data, file.bytes);
    struct parquet_limits tight[] = {limits, limits, limits, limits};
    tight[0].footer_bytes_max = 500;
    tight[1].columns_max = 11;
    tight[2].row_groups_max = 0;
    tight[3].page_bytes_max = 20;
    for (int i = 0; i < 4; i++) {
        struct parquet_reader *other = parquet_reader_create(&tight[i]);
        int code = parquet_reader_open(other, file_source_memory(&file_bytes), &err);
        assert_int_equal(code, i < 3 ? MD_ETOOBIG : 0);
        if (i == 3) {
            assert_int_equal(parquet_reader_rows(other, 0, &back, &err), MD_ETOOBIG);
        }
        parquet_reader_destroy(other);
    }
    static struct row_group small;
    assert_int_equal(row_group_init(&small, 39, EVERY_COUNT, 50, 1 << 20), 0);
    open_file();
    assert_int_equal(parquet_reader_rows(reader, 0, &small, &err), MD_ETOOBIG);
    assert_string_equal(err.text, "parquet: row group 0 has 40 rows, at most 39");
    row_group_deinit(&small);
}

static void what_is_not_parquet_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"", "PAR1", "PAR1PAR1",
                                        "hello, this is a text of some length", "PAR1\0\0\0\0PAR1"};
    static const size_t bytes[] = {0, 4, 8, 36, 12};
    for (int i = 0; i < 5; i++) {
        struct str text = str_make(cases[i], bytes[i]);
        int code = parquet_reader_open(reader, file_source_memory(&text), NULL);
        assert_int_equal(code, i < 4 ? MD_EPARSE : MD_ECORRUPT);
        assert_int_equal(parquet_reader_info(reader)->group_count, 0);
    }
    const char lie[] = "PAR1xxxx\xff\xff\xff\x7fPAR1";
    struct str text = str_make(lie, 16);
    assert_int_equal(parquet_reader_open(reader, file_source_memory(&text), NULL), MD_ECORRUPT);
}

static void inspect_prints_what_the_footer_says(void **state)
{
    (void)state;
    write_small_file();
    open_file();
    struct memory_file out = {.fail_after = -1};
    assert_int_equal(parquet_inspect_print(reader, memory_sink(&out)), 0);
    assert_int_equal(memory_write(&out, "", 1), 0);
    static const char *const lines[] = {
        "written by  market-data version " MD_VERSION "\n",
        "schema      every, 13 columns\n",
        "rows        40 in 1 row groups, ",
        "key-values  venue                        binance\n",
        "i64    INT64 ",
        "n_time TIMESTAMP(us, UTC) null",
        "DELTA_BINARY_PACKED",
        "2026-11-23T09:00:00.000000Z .. 2026-11-23T09:00:00.058500Z\n",
        "63100 .. 63102.83\n",
        "n_dec  DECIMAL(38,18) null",
        " 63100 .. 63102.83\n",
        "false .. false\n",
        " .. sell\n",
        "zstd",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (strstr(out.data, lines[i]) == NULL) {
            fail_msg("no \"%s\" in:\n%s", lines[i], out.data);
        }
    }
    out.fail_after = 3;
    assert_int_equal(parquet_inspect_print(reader, memory_sink(&out)), MD_ENOSPC);
    free(out.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hand_made_file_is_read),
        TEST(wrong_values_are_refused),
        TEST(file_cut_anywhere_is_refused),
        TEST(flipped_bits_are_seen_in_every_page_and_harm_nowhere),
        TEST(limits_are_kept),
        TEST(what_is_not_parquet_is_refused),
        TEST(inspect_prints_what_the_footer_says),
    };
    return cmocka_run_group_tests_name("parquet_reader", tests, NULL, NULL);
}
