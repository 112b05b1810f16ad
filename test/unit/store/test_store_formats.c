/* faults.md rows 3, 5, 6 and 7 with the writers that are used: Parquet, JSONL and CSV. As in
 * test_store_crash.c the journal is taken as safe: after a fault all records are landed again, and
 * then each row stands in exactly one sealed file that can be read to its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cut_disk.h"
#include "store_rows.h"

#define EVENTS 120
#define STREAMS 3

static const enum file_format formats[] = {FORMAT_PARQUET, FORMAT_JSONL, FORMAT_CSV};

static struct store_config config_of(enum file_format format)
{
    struct store_config config = kit_config();
    config.format = format;
    config.writer_create = NULL;
    config.roll_ns = 60 * KIT_S;
    config.record_batch_rows = 8;
    config.row_group_rows = 14; /* several groups a file */
    config.writer.row_group_rows_max = 14;
    return config;
}

static bool is_row(uint64_t seq)
{
    return seq % 5 != 0;
}

static void land_all(struct store *store)
{
    for (uint64_t seq = 1; seq <= EVENTS; seq++) {
        int64_t now = KIT_HOUR + (int64_t)seq * KIT_S;
        if (!is_row(seq)) {
            store_tick(store, now);
            continue;
        }
        struct event event = kit_trade((uint32_t)(seq % STREAMS), seq, now);
        store_event(store, (uint32_t)(seq % STREAMS), &event);
    }
    store_close_all(store, 0);
}

/* Faults left once all records were landed again on the disk as it is. */
static uint32_t recover(struct mdio *io, enum file_format format)
{
    struct store_config config = config_of(format);
    struct store *store = kit_store_open(io, &config, NULL);
    land_all(store);
    uint32_t left = store_drain(store, 0);
    uint32_t lost = (uint32_t)store_stats(store).rows_lost;
    store_destroy(store);
    return left + lost + store_rows_faults(io, EVENTS, is_row);
}

/* ---- row 3 */

/* Faults after the cut, or -1 when the run had fewer calls. */
static int cut_once(enum file_format format, uint64_t cut_at, uint64_t seed, bool skip_sync)
{
    struct mdio disk;
    assert_int_equal(mdio_mem_open(&disk), 0);
    struct cut_disk cut = {.inner = &disk, .cut_at = cut_at, .seed = seed, .skip_sync = skip_sync};
    struct mdio io = cut_io(&cut);
    struct store_config config = config_of(format);
    struct store *store = kit_store_open(&io, &config, NULL);
    land_all(store);
    store_drain(store, 0);
    store_destroy(store);
    mdio_deinit(&disk);
    if (!cut.taken) {
        return -1;
    }
    uint32_t faults = recover(&cut.after, format);
    mdio_deinit(&cut.after);
    return (int)faults;
}

static uint32_t cut_often(enum file_format format, uint64_t step, bool skip_sync, uint32_t *states)
{
    uint32_t bad = 0;
    *states = 0;
    for (uint64_t at = 1;; at += step) {
        for (uint64_t seed = 0; seed < 3; seed++) {
            int faults = cut_once(format, at, at * 1000 + seed, skip_sync);
            if (faults < 0) {
                return bad;
            }
            ++*states;
            bad += faults > 0;
        }
    }
}

static void a_power_cut_loses_and_doubles_nothing(void **state)
{
    (void)state;
    for (size_t f = 0; f < 3; f++) {
        uint32_t states = 0;
        assert_int_equal(cut_often(formats[f], 2, false, &states), 0);
        printf("# format %d: %u power cuts\n", (int)formats[f], states);
        assert_true(states >= 100);
    }
}

static void without_syncs_the_same_search_finds_losses(void **state)
{
    (void)state;
    for (size_t f = 0; f < 3; f++) {
        uint32_t states = 0;
        assert_true(cut_often(formats[f], 13, true, &states) > 0);
    }
}

/* ---- rows 5 and 6 */

/* Whether the run had an n-th call. */
static bool fail_nth(enum file_format format, uint64_t n, int code, size_t short_bytes,
                     bool forever)
{
    struct mdio disk;
    struct mdio io;
    static const struct store_handlers none = {NULL, NULL, NULL};
    assert_int_equal(mdio_mem_open(&disk), 0);
    struct mdio_faults faults = {.fail_at = n,
                                 .fail_forever = forever,
                                 .fail_call = MDIO_CALL_ANY,
                                 .fail_code = code,
                                 .write_short_bytes = short_bytes};
    assert_int_equal(mdio_faulty_open(&io, &disk, &faults), 0);
    struct store_config config = config_of(format);
    struct store *store = NULL;
    struct err err = {""};
    if (store_open(&store, &io, &config, &none, &err) == 0) {
        land_all(store);
        store_drain(store, 0);
        faults.fail_at = 0; /* room again */
        faults.fail_forever = false;
        bool lost = store_stats(store).rows_lost > 0;
        assert_int_equal(store_drain(store, 0), 0);
        assert_int_equal(store_rows_faults(&disk, EVENTS, lost ? NULL : is_row), 0);
        assert_true(!lost || store_needed_seq(store) <= EVENTS);
        store_destroy(store);
    }
    mdio_deinit(&io);
    assert_int_equal(recover(&disk, format), 0);
    mdio_deinit(&disk);
    return faults.calls_total >= n;
}

static void any_call_may_fail_or_write_short(void **state)
{
    (void)state;
    for (size_t f = 0; f < 3; f++) {
        uint64_t n = 1;
        while (fail_nth(formats[f], n, n % 2 == 0 ? MD_EIO : MD_ENOSPC, n % 3 * 50, false)) {
            n++;
        }
        printf("# format %d: %llu calls\n", (int)formats[f], (unsigned long long)n - 1);
        assert_true(n > 80);
    }
}

static void a_full_disk_costs_nothing_once_there_is_room(void **state)
{
    (void)state;
    for (size_t f = 0; f < 3; f++) {
        uint64_t n = 1;
        while (fail_nth(formats[f], n, MD_ENOSPC, 1 + n % 600, true)) {
            n += 5;
        }
        assert_true(n > 80);
    }
}

/* ---- row 7 */

/* Each sync takes so long that, would landing wait for one, not all rows were landed while the
 * first file is still being written. */
static void a_slow_disk_does_not_hold_landing_up(void **state)
{
    (void)state;
    for (size_t f = 0; f < 3; f++) {
        struct mdio disk;
        struct mdio io;
        assert_int_equal(mdio_mem_open(&disk), 0);
        struct mdio_faults faults = {.sync_sleep_ms = 0};
        assert_int_equal(mdio_faulty_open(&io, &disk, &faults), 0);
        struct store_config config = config_of(formats[f]);
        config.seal_thread = true;
        struct store *store = kit_store_open(&io, &config, NULL);
        faults.sync_sleep_ms = 400;
        land_all(store);
        struct store_stats stats = store_stats(store);
        assert_int_equal(stats.files_sealed, 0);
        assert_int_equal(stats.rows, EVENTS - EVENTS / 5);
        assert_true(stats.seal_jobs > STREAMS);
        faults.sync_sleep_ms = 0;
        assert_int_equal(store_drain(store, 60000), 0);
        assert_int_equal(store_stats(store).rows_lost, 0);
        store_destroy(store);
        assert_int_equal(store_rows_faults(&disk, EVENTS, is_row), 0);
        mdio_deinit(&io);
        mdio_deinit(&disk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_power_cut_loses_and_doubles_nothing),
        cmocka_unit_test(without_syncs_the_same_search_finds_losses),
        cmocka_unit_test(any_call_may_fail_or_write_short),
        cmocka_unit_test(a_full_disk_costs_nothing_once_there_is_room),
        cmocka_unit_test(a_slow_disk_does_not_hold_landing_up),
    };
    return cmocka_run_group_tests_name("store_formats", tests, NULL, NULL);
}
