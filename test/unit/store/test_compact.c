/* compact when the disk fails or the power goes (faults.md rows 3 and 6): whatever happened, one
 * run on the disk as it then stands gives the merged files, each row once. Negative controls:
 * without syncs the same search finds losses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "cut_disk.h"
#include "store/compact.h"
#include "store_rows.h"

#define EVENTS 90
#define STREAMS 2

static struct store_config config_of(enum file_format format)
{
    struct store_config config = kit_config();
    config.format = format;
    config.writer_create = NULL;
    config.row_group_rows = 14;
    config.writer.row_group_rows_max = 14;
    return config;
}

static bool is_row(uint64_t seq)
{
    return seq > 0;
}

/* Trades of two symbols over three hours, sealed. */
static void land(struct mdio *io, enum file_format format)
{
    struct store_config config = config_of(format);
    struct store *store = kit_store_open(io, &config, NULL);
    for (uint64_t seq = 1; seq <= EVENTS; seq++) {
        struct event event =
            kit_trade((uint32_t)(seq % STREAMS), seq, KIT_HOUR + (int64_t)seq * 120 * KIT_S);
        store_event(store, (uint32_t)(seq % STREAMS), &event);
    }
    store_close_all(store, 0);
    assert_int_equal(store_drain(store, 0), 0);
    store_destroy(store);
}

static int compact(struct mdio *io, struct compact_stats *stats)
{
    struct err err = {""};
    struct compact_config config = {
        .io = io,
        .writer = {.zstd_level = 1,
                   .page_rows = 20000,
                   .dictionary_bytes_max = 65536,
                   .row_group_rows_max = 20,
                   .row_groups_max = 64},
        .last_day = INT64_MAX,
    };
    return compact_run(&config, stats, &err);
}

/* What is wrong after a clean run: files that are not the merged two, rows lost or doubled. */
static uint32_t faults_after_a_clean_run(struct mdio *io)
{
    struct compact_stats stats;
    uint32_t faults = compact(io, &stats) != 0;
    faults += (uint32_t)stats.refused;
    struct kit_files files = kit_files_read(io);
    faults += files.count != STREAMS;
    for (uint32_t i = 0; i < files.count; i++) {
        faults += strstr(files.file[i].path, "/hour=all/") == NULL;
    }
    faults += files.inprogress;
    kit_files_free(&files);
    return faults + store_rows_faults(io, EVENTS, is_row);
}

static void files_of_a_day_become_one_a_stream(void **state)
{
    (void)state;
    static const enum file_format formats[] = {FORMAT_PARQUET, FORMAT_JSONL, FORMAT_CSV};
    for (size_t f = 0; f < 3; f++) {
        struct mdio disk;
        struct compact_stats stats;
        assert_int_equal(mdio_mem_open(&disk), 0);
        land(&disk, formats[f]);
        struct kit_files files = kit_files_read(&disk);
        assert_int_equal(files.count, STREAMS * 3 + 1); /* 09:02 to 12:00, one row of it */
        kit_files_free(&files);
        assert_int_equal(compact(&disk, &stats), 0);
        assert_int_equal(stats.files_merged, STREAMS * 3 + 1);
        assert_int_equal(stats.files_made, STREAMS);
        assert_int_equal(stats.rows, EVENTS);
        assert_int_equal(faults_after_a_clean_run(&disk), 0);
        assert_int_equal(compact(&disk, &stats), 0);
        assert_int_equal(stats.files_made, 0);
        assert_int_equal(stats.finished, 0);
        /* the recorder starts and lands nothing again */
        land(&disk, formats[f]);
        assert_int_equal(faults_after_a_clean_run(&disk), 0);
        mdio_deinit(&disk);
    }
}

/* Faults after the cut and a clean run; -1 when the run had fewer calls. */
static int cut_once(enum file_format format, uint64_t cut_at, uint64_t seed, bool skip_sync,
                    bool skip_dirsync)
{
    struct mdio disk;
    struct compact_stats stats;
    assert_int_equal(mdio_mem_open(&disk), 0);
    land(&disk, format);
    struct cut_disk cut = {.inner = &disk,
                           .cut_at = cut_at,
                           .seed = seed,
                           .skip_sync = skip_sync,
                           .skip_dirsync = skip_dirsync};
    struct mdio io = cut_io(&cut);
    assert_int_equal(compact(&io, &stats), 0);
    mdio_deinit(&disk);
    if (!cut.taken) {
        return -1;
    }
    uint32_t faults = faults_after_a_clean_run(&cut.after);
    mdio_deinit(&cut.after);
    return (int)faults;
}

static uint32_t cut_everywhere(enum file_format format, uint64_t step, uint64_t seeds,
                               bool skip_sync, bool skip_dirsync, uint32_t *states)
{
    uint32_t bad = 0;
    *states = 0;
    for (uint64_t at = 1;; at += step) {
        for (uint64_t seed = 0; seed < seeds; seed++) {
            int faults = cut_once(format, at, at * 1000 + seed, skip_sync, skip_dirsync);
            if (faults < 0) {
                return bad;
            }
            ++*states;
            if (faults > 0 && !skip_sync && !skip_dirsync) {
                fprintf(stderr, "cut before call %llu, seed %llu: %d faults\n",
                        (unsigned long long)at, (unsigned long long)(at * 1000 + seed), faults);
            }
            bad += faults > 0;
        }
    }
}

static void a_power_cut_anywhere_loses_and_doubles_nothing(void **state)
{
    (void)state;
    uint32_t states = 0;
    assert_int_equal(cut_everywhere(FORMAT_PARQUET, 1, 4, false, false, &states), 0);
    printf("# %u power cuts\n", states);
    assert_true(states >= 300);
    assert_int_equal(cut_everywhere(FORMAT_CSV, 3, 2, false, false, &states), 0);
}

static void without_syncs_the_same_search_finds_losses(void **state)
{
    (void)state;
    uint32_t states = 0;
    assert_true(cut_everywhere(FORMAT_PARQUET, 1, 2, true, false, &states) > 0);
}

static void without_folder_syncs_the_same_search_finds_losses(void **state)
{
    (void)state;
    uint32_t states = 0;
    assert_true(cut_everywhere(FORMAT_PARQUET, 1, 6, false, true, &states) > 0);
}

/* ---- the n-th call fails */

static void fail_nth(uint64_t n, int code, size_t short_bytes, bool forever)
{
    struct mdio disk;
    struct mdio io;
    struct compact_stats stats;
    assert_int_equal(mdio_mem_open(&disk), 0);
    land(&disk, FORMAT_PARQUET);
    struct mdio_faults faults = {.fail_at = n,
                                 .fail_forever = forever,
                                 .fail_call = MDIO_CALL_ANY,
                                 .fail_code = code,
                                 .write_short_bytes = short_bytes};
    assert_int_equal(mdio_faulty_open(&io, &disk, &faults), 0);
    compact(&io, &stats); /* whatever it says */
    mdio_deinit(&io);
    assert_int_equal(faults_after_a_clean_run(&disk), 0);
    mdio_deinit(&disk);
}

static void any_call_may_fail(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 150; n++) {
        fail_nth(n, n % 2 == 0 ? MD_EIO : MD_ENOSPC, n % 3 * 70, n % 4 == 0);
    }
}

/* ---- other columns */

static void files_with_other_columns_stay_apart(void **state)
{
    (void)state;
    struct mdio disk;
    struct compact_stats stats;
    assert_int_equal(mdio_mem_open(&disk), 0);
    for (int run = 0; run < 2; run++) { /* hours 9 and 10; then 11 and 12 with one column more */
        struct store_config config = config_of(FORMAT_PARQUET);
        config.schema_options = run == 1 ? SCHEMA_LOCAL_NS : 0;
        struct store *store = kit_store_open(&disk, &config, NULL);
        for (uint64_t seq = 1; seq <= 20; seq++) {
            struct event event =
                kit_trade(1, (uint64_t)run * 20 + seq,
                          KIT_HOUR + ((int64_t)run * 20 + (int64_t)seq) * 360 * KIT_S);
            store_event(store, 0, &event);
        }
        store_close_all(store, 0);
        assert_int_equal(store_drain(store, 0), 0);
        store_destroy(store);
    }
    assert_int_equal(compact(&disk, &stats), 0);
    assert_int_equal(stats.files_made, 2);
    assert_int_equal(stats.refused, 0);
    assert_int_equal(store_rows_faults(&disk, 40, is_row), 0);
    assert_int_equal(compact(&disk, &stats), 0);
    assert_int_equal(stats.files_made, 0);
    mdio_deinit(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_a_day_become_one_a_stream),
        cmocka_unit_test(a_power_cut_anywhere_loses_and_doubles_nothing),
        cmocka_unit_test(without_syncs_the_same_search_finds_losses),
        cmocka_unit_test(without_folder_syncs_the_same_search_finds_losses),
        cmocka_unit_test(any_call_may_fail),
        cmocka_unit_test(files_with_other_columns_stay_apart),
    };
    return cmocka_run_group_tests_name("compact", tests, NULL, NULL);
}
