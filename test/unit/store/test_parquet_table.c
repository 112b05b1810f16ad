/* Whole files read row group by row group, and rows moved from one group to another. */
#include "columns_fixture.h"

#include "store/parquet_table.h"

#define ROWS 500

static struct writer_options options = {.zstd_level = 1,
                                        .page_rows = 64,
                                        .dictionary_bytes_max = 65536,
                                        .row_group_rows_max = ROWS,
                                        .row_groups_max = 64};

static void fill(struct row_group *group, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        struct cell cells[EVERY_COUNT];
        char text[16];
        snprintf(text, sizeof text, "t%u", i % 7 == 0 ? i : i % 3);
        every_cells(cells, i % 5 == 0, (int64_t)i * 1000003, (int32_t)i - 100, 1000000 + (int64_t)i,
                    (struct decimal){(int64_t)i, -2}, i % 2 == 0, text);
        assert_int_equal(row_group_append(group, cells), 0);
    }
}

/* `groups` groups of 1, 2, 3 ... x 50 rows, as a file on the disk. */
static uint32_t file_make(struct mdio *disk, const char *path, uint32_t groups)
{
    struct row_group group;
    struct memory_file file = {.fail_after = -1};
    struct file_writer *writer = parquet_writer_create(&options, EVERY_COUNT);
    assert_non_null(writer);
    assert_int_equal(row_group_init(&group, ROWS, EVERY_COUNT, ROWS, 1 << 20), 0);
    assert_int_equal(writer->ops->begin(writer, &every_schema, memory_sink(&file)), 0);
    uint32_t rows = 0;
    for (uint32_t g = 0; g < groups; g++) {
        row_group_reset(&group, &every_schema);
        fill(&group, rows, (g + 1) * 50);
        rows += (g + 1) * 50;
        assert_int_equal(writer->ops->write_group(writer, &group), 0);
    }
    assert_int_equal(writer->ops->end(writer, NULL, 0), 0);
    int handle = mdio_open(disk, path, MDIO_WRITE | MDIO_CREATE);
    assert_true(handle >= 0);
    assert_int_equal(mdio_write_all(disk, handle, file.data, file.bytes, 0), 0);
    mdio_close(disk, handle);
    writer->ops->destroy(writer);
    row_group_deinit(&group);
    free(file.data);
    return rows;
}

static void a_file_is_read_group_by_group(void **state)
{
    (void)state;
    struct mdio disk;
    struct parquet_table table;
    struct err err = {""};
    assert_int_equal(mdio_mem_open(&disk), 0);
    uint32_t rows = file_make(&disk, "a.parquet", 5);
    assert_int_equal(parquet_table_init(&table), 0);
    for (int turn = 0; turn < 2; turn++) { /* the same table for the next file */
        struct file_source_handle file;
        assert_int_equal(file_source_open(&file, &disk, "a.parquet"), 0);
        assert_int_equal(parquet_table_open(&table, file.source, &err), 0);
        int i64 = schema_column(parquet_reader_schema(table.reader), "n_i64");
        int text = schema_column(parquet_reader_schema(table.reader), "text");
        assert_int_equal(schema_column(parquet_reader_schema(table.reader), "nothing"), -1);
        assert_int_equal(i64, NULL_I64);
        uint32_t seen = 0;
        for (uint32_t g = 0; g < parquet_reader_info(table.reader)->group_count; g++) {
            assert_int_equal(parquet_reader_rows(table.reader, g, &table.group, &err), 0);
            for (uint32_t r = 0; r < table.group.row_count; r++, seen++) {
                char expected[16];
                snprintf(expected, sizeof expected, "t%u", seen % 7 == 0 ? seen : seen % 3);
                CHECK_TEXT(row_group_text_at(&table.group, text, r), expected);
                assert_int_equal(row_group_is_null(&table.group, i64, r), seen % 5 == 0);
                assert_false(row_group_is_null(&table.group, text, r));
                if (seen % 5 != 0) {
                    assert_true(table.group.columns[i64].i64[r] == (int64_t)seen * 1000003);
                }
            }
        }
        assert_int_equal(seen, rows);
        file_source_close(&file);
    }
    struct file_source_handle none;
    assert_int_equal(file_source_open(&none, &disk, "b.parquet"), MD_ENOENT);
    parquet_table_deinit(&table);
    mdio_deinit(&disk);
}

/* Row by row, in pieces of every length: the same rows, nothing that no row uses. */
static void rows_move_between_groups(void **state)
{
    (void)state;
    struct row_group from;
    struct row_group to;
    assert_int_equal(row_group_init(&from, ROWS, EVERY_COUNT, ROWS, 1 << 20), 0);
    assert_int_equal(row_group_init(&to, ROWS, EVERY_COUNT, ROWS, 1 << 20), 0);
    row_group_reset(&from, &every_schema);
    fill(&from, 3, 300);
    for (uint32_t piece = 1; piece < 320; piece = piece * 2 + 1) {
        row_group_reset(&to, &every_schema);
        for (uint32_t at = 0; at < 300; at += piece) {
            uint32_t count = 300 - at < piece ? 300 - at : piece;
            assert_int_equal(row_group_append_rows(&to, &from, at, count), count);
        }
        check_groups_equal(&from, &to);
        assert_int_equal(to.columns[TEXT].text_count, from.columns[TEXT].text_count);
    }
    row_group_deinit(&from);
    row_group_deinit(&to);
}

static void a_full_group_takes_what_fits_and_the_rest_later(void **state)
{
    (void)state;
    struct row_group from;
    struct row_group small;
    struct row_group again;
    assert_int_equal(row_group_init(&from, ROWS, EVERY_COUNT, ROWS, 1 << 20), 0);
    assert_int_equal(row_group_init(&again, ROWS, EVERY_COUNT, ROWS, 1 << 20), 0);
    /* 24 distinct texts a column: they end before the rows do */
    assert_int_equal(row_group_init(&small, 200, EVERY_COUNT, 24, 1 << 20), 0);
    row_group_reset(&from, &every_schema);
    row_group_reset(&again, &every_schema);
    fill(&from, 0, 480);
    uint32_t groups = 0;
    for (uint32_t at = 0; at < 480; groups++) {
        row_group_reset(&small, &every_schema);
        uint32_t rows = row_group_append_rows(&small, &from, at, 480 - at);
        assert_true(rows > 0);
        assert_int_equal(small.row_count, rows);
        /* each text that is there is some row's */
        for (int c = TEXT; c <= NULL_TEXT; c += NULL_TEXT - TEXT) {
            for (uint32_t t = 0; t < small.columns[c].text_count; t++) {
                uint32_t uses = 0;
                for (uint32_t r = 0; r < rows; r++) {
                    uses += !row_group_is_null(&small, c, r) && small.columns[c].text_index[r] == t;
                }
                assert_true(uses > 0);
            }
        }
        assert_int_equal(row_group_append_rows(&again, &small, 0, rows), rows);
        at += rows;
    }
    assert_true(groups >= 3);
    check_groups_equal(&from, &again);
    row_group_deinit(&from);
    row_group_deinit(&small);
    row_group_deinit(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_group_by_group),
        cmocka_unit_test(rows_move_between_groups),
        cmocka_unit_test(a_full_group_takes_what_fits_and_the_rest_later),
    };
    return cmocka_run_group_tests_name("parquet_table", tests, NULL, NULL);
}
