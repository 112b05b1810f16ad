/* Whole Parquet files: written, read back by our own reader, and looked at byte by byte where the
 * format leaves no choice. Other readers look at the same files in test/e2e/readers.test.mjs. */
#include "parquet_fixture.h"

static void file_of_every_type_reads_back(void **state)
{
    (void)state;
    begin(&every_schema);
    for (uint32_t row = 0; row < ROWS; row++) {
        append_ordinary(row, row % 5 == 1);
    }
    write_group();
    end();
    open_file();
    const struct parquet_info *info = parquet_reader_info(reader);
    assert_int_equal(info->row_count, ROWS);
    assert_int_equal(info->group_count, 1);
    assert_int_equal(info->column_count, EVERY_COUNT);
    CHECK_TEXT(info->root, "every");
    CHECK_TEXT(info->created_by, "market-data version " MD_VERSION);
    check_group(0, &group);
}

static void one_row_reads_back(void **state)
{
    (void)state;
    begin(&every_schema);
    append_ordinary(3, false);
    write_group();
    end();
    open_file();
    check_group(0, &group);
    assert_int_equal(back.columns[I64].i64[0], 1000009);
    assert_true(back.columns[F64].f64[0] == 63101.11);
    CHECK_TEXT(group_text(&back, TEXT, 0), "sell");
}

static void file_without_rows_is_a_file(void **state)
{
    (void)state;
    begin(&every_schema);
    write_group(); /* an empty group is nothing */
    end();
    open_file();
    assert_int_equal(parquet_reader_info(reader)->row_count, 0);
    assert_int_equal(parquet_reader_info(reader)->group_count, 0);
    assert_int_equal(parquet_reader_info(reader)->column_count, EVERY_COUNT);
    assert_memory_equal(file.data, "PAR1", 4);
    assert_memory_equal(file.data + file.bytes - 4, "PAR1", 4);
}

static void several_groups_read_back_each(void **state)
{
    (void)state;
    begin(&every_schema);
    for (uint32_t row = 0; row < ROWS; row++) {
        append_ordinary(row, false);
    }
    write_group();
    row_group_reset(&group, &every_schema);
    for (uint32_t row = 0; row < 123; row++) {
        append_ordinary(row * 11, row < 100);
    }
    write_group();
    end();
    open_file();
    assert_int_equal(parquet_reader_info(reader)->group_count, 2);
    assert_int_equal(parquet_reader_info(reader)->row_count, ROWS + 123);
    check_group(1, &group);
    struct err err = {""};
    assert_int_equal(parquet_reader_rows(reader, 0, &back, &err), 0);
    assert_int_equal(back.row_count, ROWS);
    assert_int_equal(back.columns[I64].i64[999], 1002997);
}

static void nulls_anywhere_read_back(void **state)
{
    (void)state;
    static const char *const patterns[] = {"all",  "none",     "first",
                                           "last", "one page", "every other"};
    for (int pattern = 0; pattern < 6; pattern++) {
        file.bytes = 0;
        row_group_reset(&group, &every_schema);
        begin(&every_schema);
        for (uint32_t row = 0; row < 350; row++) {
            bool null = (pattern == 0) || (pattern == 2 && row == 0) ||
                        (pattern == 3 && row == 349) || (pattern == 4 && row >= 100 && row < 200) ||
                        (pattern == 5 && row % 2 == 1);
            append_ordinary(row, null);
        }
        write_group();
        end();
        open_file();
        print_message("nulls: %s\n", patterns[pattern]);
        check_group(0, &group);
    }
}

static void extremes_read_back(void **state)
{
    (void)state;
    begin(&every_schema);
    append(false, INT64_MIN, INT32_MIN, INT64_MIN, DEC(INT64_MAX, 38), false, "");
    append(true, INT64_MAX, INT32_MAX, INT64_MAX, DEC(-INT64_MAX, 38), true, "\xf0\x9f\x9a\x80");
    append(false, INT64_MAX, INT32_MAX, INT64_MAX, DEC(1, -38), true, "a\x01z");
    append(false, INT64_MIN, INT32_MIN, 0, DEC(0, 0), false, "");
    write_group();
    end();
    open_file();
    check_group(0, &group);
}

/* Doubles by their bits: NaN with its payload, both zeros, infinities, the smallest. */
static void doubles_keep_their_bits(void **state)
{
    (void)state;
    static const uint64_t bits[] = {
        0x7ff8000000000001, 0xfff0000000000000, 0x7ff0000000000000, 0x8000000000000000, 0, 1,
        0x7fefffffffffffff, 0xfff8dead0000beef};
    for (int copies = 1; copies <= 100; copies += 99) { /* PLAIN, then a dictionary */
        file.bytes = 0;
        row_group_reset(&group, &every_schema);
        begin(&every_schema);
        for (int i = 0; i < 8 * copies; i++) {
            append(false, i, 0, 0, DEC(0, 0), false, "");
            memcpy(&group.columns[F64].f64[i], &bits[i % 8], 8);
            memcpy(&group.columns[NULL_F64].f64[i], &bits[i % 8], 8);
        }
        write_group();
        end();
        open_file();
        check_group(0, &group);
    }
}

static void dictionaries_that_overflow_read_back(void **state)
{
    (void)state;
    char text[80];
    begin(&every_schema);
    for (uint32_t row = 0; row < ROWS; row++) {
        /* 500 texts of 70 bytes twice: 37,000 bytes, then two of 150 KB */
        snprintf(text, sizeof text, "%070u", row % (ROWS / 2));
        append(row % 7 == 0, (int64_t)row * row * row * 977, (int32_t)(row * 2654435761u), row,
               DEC(row % 500, -1), row % 3 == 0, text);
    }
    write_group();
    end();
    open_file();
    check_group(0, &group);
}

static void long_texts_read_back(void **state)
{
    (void)state;
    static char text[COLUMN_TEXT_BYTES_MAX + 1];
    begin(&every_schema);
    for (uint32_t row = 0; row < 80; row++) {
        memset(text, 'a' + (int)(row % 26), sizeof text - 1);
        memcpy(text, &row, 4);
        text[0] = (char)('a' + row / 26);
        text[1] = text[2] = text[3] = '-';
        append(false, row, 0, 0, DEC(0, 0), false, text);
    }
    write_group();
    end();
    open_file();
    check_group(0, &group);
}

static void footer_says_where_each_chunk_is_and_what_it_holds(void **state)
{
    (void)state;
    static struct parquet_group meta;
    begin(&every_schema);
    for (uint32_t row = 0; row < 250; row++) {
        append_ordinary(row, row % 5 == 1);
    }
    write_group();
    end();
    open_file();
    parquet_reader_group(reader, 0, &meta);
    assert_int_equal(meta.row_count, 250);
    assert_int_equal(meta.column_count, EVERY_COUNT);
    assert_int_equal(meta.sorting_count, 0);
    int64_t at = 4;
    for (uint32_t c = 0; c < EVERY_COUNT; c++) {
        const struct parquet_column_chunk *chunk = &meta.columns[c];
        bool dictionary = chunk->dictionary_page_offset > 0;
        assert_int_equal(dictionary ? chunk->dictionary_page_offset : chunk->data_page_offset, at);
        at += chunk->compressed_bytes; /* chunks stand one behind the other */
        assert_int_equal(chunk->codec, PARQUET_ZSTD);
        assert_int_equal(chunk->value_count, 250);
        assert_int_equal(chunk->null_count, c >= NULL_I64 ? 50 : 0);
        assert_true(chunk->has_min && chunk->has_max);
        assert_true(chunk->min_exact && chunk->max_exact);
        assert_true(chunk->offset_index_offset > chunk->data_page_offset);
        assert_true(chunk->column_index_offset > chunk->data_page_offset);
        assert_true(chunk->column_index_bytes > 0 && chunk->offset_index_bytes > 0);
    }
    assert_int_equal(meta.compressed_bytes, at - 4);
    const struct parquet_column_chunk *i64 = &meta.columns[I64];
    assert_int_equal(i64->type, PARQUET_INT64);
    assert_int_equal(i64->data_encodings, 1u << PARQUET_DELTA_BINARY_PACKED);
    assert_int_equal(i64->encodings, 1u << PARQUET_DELTA_BINARY_PACKED | 1u << PARQUET_RLE);
    assert_memory_equal(i64->min.data, "\x40\x42\x0f\0\0\0\0\0", 8); /* 1000000 */
    assert_memory_equal(i64->max.data, "\x2b\x45\x0f\0\0\0\0\0", 8); /* 1000747 */
    CHECK_TEXT(meta.columns[TEXT].min, "");
    CHECK_TEXT(meta.columns[TEXT].max, "sell");
    assert_int_equal(meta.columns[BOOL].max.bytes, 1);
    assert_int_equal(meta.columns[I32].min.bytes, 4);
    const struct parquet_column *time = &parquet_reader_info(reader)->columns[TIME];
    assert_int_equal(time->logical, PARQUET_LOGICAL_TIMESTAMP);
    assert_int_equal(time->converted, PARQUET_TIMESTAMP_MICROS);
    assert_int_equal(time->time_unit, PARQUET_MICROS);
    assert_true(time->utc);
    assert_false(time->nullable);
    assert_true(parquet_reader_info(reader)->columns[NULL_TIME].nullable);
}

static void key_values_of_any_length_are_kept(void **state)
{
    (void)state;
    static char value[5000];
    memset(value, 'v', sizeof value - 1);
    const struct key_value kv[] = {{"venue", "binance"}, {"", ""}, {"long", value}, {"last", "x"}};
    begin(&every_schema);
    assert_int_equal(writer->ops->end(writer, kv, 4), 0);
    assert_int_equal(writer->ops->bytes_written(writer), file.bytes);
    open_file();
    assert_int_equal(parquet_reader_info(reader)->kv_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        struct str key;
        struct str found;
        parquet_reader_key_value(reader, i, &key, &found);
        CHECK_TEXT(key, kv[i].key);
        CHECK_TEXT(found, kv[i].value);
    }
}

static const struct column_spec ordered_columns[] = {{"local_timestamp", COLUMN_TIME, false},
                                                     {"price", COLUMN_F64, false},
                                                     {"local_seq", COLUMN_I64, false}};
static const struct schema ordered = {"ordered", 1, 3, ordered_columns, 0};

static void order_is_claimed_only_where_it_is_true(void **state)
{
    (void)state;
    static const int64_t rows[3][3][2] = {{{5, 1}, {5, 1}, {6, 0}},  /* in order */
                                          {{5, 2}, {5, 1}, {6, 0}},  /* the second is not */
                                          {{5, 2}, {4, 3}, {6, 4}}}; /* the first is not */
    static struct parquet_group meta;
    begin(&ordered);
    for (int g = 0; g < 3; g++) {
        row_group_reset(&group, &ordered);
        for (int r = 0; r < 3; r++) {
            struct cell cells[3] = {cell_i64(rows[g][r][0]), cell_dec(1, 0),
                                    cell_i64(rows[g][r][1])};
            assert_int_equal(row_group_append(&group, cells), 0);
        }
        write_group();
    }
    end();
    open_file();
    parquet_reader_group(reader, 0, &meta);
    assert_int_equal(meta.sorting_count, 2);
    assert_int_equal(meta.sorting[0], 0);
    assert_int_equal(meta.sorting[1], 2);
    parquet_reader_group(reader, 1, &meta);
    assert_int_equal(meta.sorting_count, 0);
    parquet_reader_group(reader, 2, &meta);
    assert_int_equal(meta.sorting_count, 0);
}

static void full_file_says_so_and_is_still_a_file(void **state)
{
    (void)state;
    begin(&every_schema);
    append_ordinary(1, false);
    uint32_t groups = parquet_writer_groups_max(&options, 12, 12);
    assert_int_equal(groups, 8);
    for (uint32_t i = 0; i < groups; i++) {
        write_group();
    }
    size_t bytes = file.bytes;
    assert_int_equal(writer->ops->write_group(writer, &group), MD_EFULL);
    assert_int_equal(writer->ops->write_group(writer, &group), MD_EFULL);
    assert_int_equal(file.bytes, bytes);
    end();
    open_file();
    assert_int_equal(parquet_reader_info(reader)->group_count, 8);
    check_group(7, &group);
}

static void wide_schema_gets_fewer_groups(void **state)
{
    (void)state;
    static struct column_spec specs[COLUMNS_MAX];
    static char names[COLUMNS_MAX][8];
    static struct row_group wide;
    for (int c = 0; c < COLUMNS_MAX; c++) {
        snprintf(names[c], sizeof names[c], "c%d", c);
        specs[c] = (struct column_spec){names[c], COLUMN_F64, true};
    }
    const struct schema schema = {"wide", 1, COLUMNS_MAX, specs, 0};
    assert_int_equal(row_group_init(&wide, 100, COLUMNS_MAX, 1, 64), 0);
    row_group_reset(&wide, &schema);
    struct cell cells[COLUMNS_MAX];
    for (int row = 0; row < 50; row++) {
        for (int c = 0; c < COLUMNS_MAX; c++) {
            cells[c] = (row + c) % 4 == 0 ? cell_null() : cell_dec(row * c, -1);
        }
        assert_int_equal(row_group_append(&wide, cells), 0);
    }
    begin(&schema);
    assert_int_equal(parquet_writer_groups_max(&options, 12, COLUMNS_MAX), 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(writer->ops->write_group(writer, &wide), 0);
    }
    assert_int_equal(writer->ops->write_group(writer, &wide), MD_EFULL);
    end();
    open_file();
    static struct row_group wide_back;
    assert_int_equal(row_group_init(&wide_back, 100, COLUMNS_MAX, 1, 64), 0);
    assert_int_equal(parquet_reader_rows(reader, 3, &wide_back, NULL), 0);
    check_groups_equal(&wide, &wide_back);
    row_group_deinit(&wide);
    row_group_deinit(&wide_back);
}

static void same_rows_give_the_same_bytes(void **state)
{
    (void)state;
    for (uint32_t row = 0; row < 700; row++) {
        append_ordinary(row, row % 3 == 1);
    }
    begin(&every_schema);
    write_group();
    end();
    struct memory_file first = file;
    file = (struct memory_file){.fail_after = -1};
    begin(&ordered); /* another file between must leave no trace */
    end();
    file.bytes = 0;
    begin(&every_schema);
    write_group();
    end();
    assert_int_equal(first.bytes, file.bytes);
    assert_memory_equal(first.data, file.data, file.bytes);
    free(first.data);
}

static void failed_write_is_said_and_the_next_file_is_whole(void **state)
{
    (void)state;
    for (uint32_t row = 0; row < 300; row++) {
        append_ordinary(row, row % 3 == 1);
    }
    const struct key_value kv = {"key", "value"};
    begin(&every_schema);
    write_group();
    assert_int_equal(writer->ops->end(writer, &kv, 1), 0);
    uint32_t writes = file.writes;
    assert_true(writes > 50);
    for (uint32_t n = 0; n < writes; n++) {
        file.bytes = 0;
        file.fail_after = (int)n;
        int code = writer->ops->begin(writer, &every_schema, memory_sink(&file));
        assert_int_equal(code, n == 0 ? MD_ENOSPC : 0);
        code = writer->ops->write_group(writer, &group);
        int again = writer->ops->write_group(writer, &group);
        assert_true(code == 0 || again == MD_ENOSPC);
        assert_int_equal(writer->ops->end(writer, &kv, 1), MD_ENOSPC);
        file.fail_after = -1;
    }
    file.bytes = 0;
    begin(&every_schema);
    write_group();
    end();
    open_file();
    check_group(0, &group);
}

static void every_level_has_the_memory_it_needs(void **state)
{
    (void)state;
    for (uint32_t row = 0; row < ROWS; row++) {
        append(row % 9 == 0, (int64_t)row * 2654435761u, (int32_t)row, row * 7919,
               DEC(row % 400, -2), row % 2, row % 2 == 0 ? "even" : "odd");
    }
    for (int level = 1; level <= 19; level++) {
        struct writer_options other = options;
        other.zstd_level = level;
        other.page_rows = level % 2 == 0 ? 3 : 5000;
        writer->ops->destroy(writer);
        writer = parquet_writer_create(&other, EVERY_COUNT);
        assert_non_null(writer);
        file.bytes = 0;
        begin(&every_schema);
        write_group();
        end();
        open_file();
        check_group(0, &group);
    }
}

/* ---- page indexes */

/* Fields 1, 2 and 3 of each PageLocation. */
static uint32_t read_offset_index(const struct parquet_column_chunk *chunk, int64_t pages[][3])
{
    struct thrift_reader r = thrift_reader_over(file.data + chunk->offset_index_offset,
                                                (size_t)chunk->offset_index_bytes);
    struct thrift_field field = {0};
    enum thrift_type element;
    assert_true(thrift_next_field(&r, &field));
    uint32_t count = thrift_get_list(&r, field.type, &element);
    for (uint32_t i = 0; i < count; i++) {
        struct thrift_field inner = {0};
        while (thrift_next_field(&r, &inner)) {
            pages[i][inner.id - 1] = thrift_get_int(&r, inner.type);
        }
    }
    assert_false(thrift_next_field(&r, &field));
    assert_false(r.failed);
    assert_ptr_equal(r.at, r.end);
    return count;
}

struct column_index {
    uint32_t count;
    bool nulls[4];
    int64_t min[4], max[4], null_counts[4];
    int32_t order;
};

static void read_bounds(struct thrift_reader *r, enum thrift_type element, uint32_t count,
                        int64_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        struct str bound = thrift_get_binary(r, element);
        out[i] = bound.bytes == 8 ? (int64_t)load_u64(bound.data) : -(int64_t)bound.bytes - 1;
    }
}

static struct column_index read_column_index(const struct parquet_column_chunk *chunk)
{
    struct thrift_reader r = thrift_reader_over(file.data + chunk->column_index_offset,
                                                (size_t)chunk->column_index_bytes);
    struct column_index index = {.order = -1};
    struct thrift_field field = {0};
    while (thrift_next_field(&r, &field)) {
        enum thrift_type element = THRIFT_STOP;
        uint32_t count = 0;
        if (field.id != 4) {
            count = thrift_get_list(&r, field.type, &element);
            assert_true(count <= 4);
            index.count = count;
        }
        for (uint32_t i = 0; i < count && field.id == 1; i++) {
            index.nulls[i] = thrift_get_bool_element(&r);
        }
        for (uint32_t i = 0; i < count && field.id == 5; i++) {
            index.null_counts[i] = thrift_get_int(&r, element);
        }
        if (field.id == 2 || field.id == 3) {
            read_bounds(&r, element, count, field.id == 2 ? index.min : index.max);
        }
        if (field.id == 4) {
            index.order = thrift_get_i32(&r, field.type);
        }
    }
    assert_false(r.failed);
    assert_ptr_equal(r.at, r.end);
    return index;
}

static const struct column_spec indexed_columns[] = {{"up", COLUMN_I64, false},
                                                     {"down", COLUMN_I64, true},
                                                     {"both", COLUMN_I64, false},
                                                     {"time", COLUMN_TIME, true},
                                                     {"nan", COLUMN_F64, false}};
static const struct schema indexed = {"indexed", 1, 5, indexed_columns, 0};

/* 250 rows in pages of 100. `down` is null in the second page, and in row 0. */
static void page_indexes_say_where_pages_are_and_what_they_hold(void **state)
{
    (void)state;
    static struct parquet_group meta;
    row_group_reset(&group, &indexed);
    for (int64_t row = 0; row < 250; row++) {
        bool null = row == 0 || (row >= 100 && row < 200);
        struct cell cells[5] = {cell_i64(row * row), null ? cell_null() : cell_i64(-row * row),
                                cell_i64(row / 100 == 1 ? -1 : row),
                                null ? cell_null() : cell_i64(row), cell_dec(1, 0)};
        assert_int_equal(row_group_append(&group, cells), 0);
    }
    for (int row = 200; row < 250; row++) {
        memcpy(&group.columns[4].f64[row], "\0\0\0\0\0\0\xf8\x7f", 8);
    }
    begin(&indexed);
    write_group();
    end();
    open_file();
    parquet_reader_group(reader, 0, &meta);
    int64_t pages[4][3];
    assert_int_equal(read_offset_index(&meta.columns[0], pages), 3);
    assert_int_equal(pages[0][0], meta.columns[0].data_page_offset);
    assert_int_equal(pages[1][0], pages[0][0] + pages[0][1]);
    assert_int_equal(pages[2][0], pages[1][0] + pages[1][1]);
    assert_int_equal(pages[2][0] + pages[2][1], meta.columns[1].data_page_offset);
    assert_int_equal(pages[0][2], 0);
    assert_int_equal(pages[1][2], 100);
    assert_int_equal(pages[2][2], 200);

    struct column_index up = read_column_index(&meta.columns[0]);
    assert_int_equal(up.count, 3);
    assert_int_equal(up.order, PARQUET_ASCENDING);
    assert_int_equal(up.min[1], 10000);
    assert_int_equal(up.max[1], 199 * 199);
    assert_int_equal(up.null_counts[1], 0);

    struct column_index down = read_column_index(&meta.columns[1]);
    assert_int_equal(down.order, PARQUET_DESCENDING);
    assert_true(!down.nulls[0] && down.nulls[1] && !down.nulls[2]);
    assert_int_equal(down.null_counts[0], 1);
    assert_int_equal(down.null_counts[1], 100);
    assert_int_equal(down.min[0], -99 * 99);
    assert_int_equal(down.max[0], -1);
    assert_int_equal(down.min[1], -1); /* no bytes */

    assert_int_equal(read_column_index(&meta.columns[2]).order, PARQUET_UNORDERED);
    /* none for times with a page of nulls, none where a page holds NaN alone; chunk bounds stay */
    assert_int_equal(meta.columns[3].column_index_bytes, 0);
    assert_int_equal(meta.columns[4].column_index_bytes, 0);
    assert_true(meta.columns[4].has_min);
    assert_int_equal(read_offset_index(&meta.columns[3], pages), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_row_reads_back),
        TEST(file_without_rows_is_a_file),
        TEST(file_of_every_type_reads_back),
        TEST(several_groups_read_back_each),
        TEST(nulls_anywhere_read_back),
        TEST(extremes_read_back),
        TEST(doubles_keep_their_bits),
        TEST(dictionaries_that_overflow_read_back),
        TEST(long_texts_read_back),
        TEST(footer_says_where_each_chunk_is_and_what_it_holds),
        TEST(key_values_of_any_length_are_kept),
        TEST(order_is_claimed_only_where_it_is_true),
        TEST(full_file_says_so_and_is_still_a_file),
        TEST(wide_schema_gets_fewer_groups),
        TEST(same_rows_give_the_same_bytes),
        TEST(failed_write_is_said_and_the_next_file_is_whole),
        TEST(every_level_has_the_memory_it_needs),
        TEST(page_indexes_say_where_pages_are_and_what_they_hold),
    };
    return cmocka_run_group_tests_name("parquet", tests, NULL, NULL);
}
