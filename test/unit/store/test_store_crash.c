/* What the store keeps when the disk fails or the power goes (faults.md rows 3, 5 and 6). The
 * journal is taken as safe: after each fault the store is opened anew and all records are landed
 * again; then every row must be in exactly one sealed file. Negative controls: with a protection
 * taken away, the same search must find a loss or a double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "cut_disk.h"
#include "store_kit.h"

#define EVENTS 240
#define STREAMS 3

/* ---- the records: three streams, a roll a minute, ticks */

static struct store_config crash_config(void)
{
    struct store_config config = kit_config();
    config.roll_ns = 60 * KIT_S;
    config.record_batch_rows = 8;
    return config;
}

static void land_all(struct store *store)
{
    for (uint64_t seq = 1; seq <= EVENTS; seq++) {
        int64_t now = KIT_HOUR + (int64_t)seq * KIT_S;
        if (seq % 5 == 0) {
            store_tick(store, now);
            continue;
        }
        struct event event = kit_trade((uint32_t)(seq % STREAMS), seq, now);
        store_event(store, (uint32_t)(seq % STREAMS), &event);
    }
    store_close_all(store, 0);
}

/* What is wrong with the sealed files: rows that are missing or there more than once. */
static uint32_t faults_of(struct mdio *io, bool whole)
{
    struct kit_files files = kit_files_read(io);
    uint8_t seen[EVENTS + 1] = {0};
    uint32_t faults = 0;
    for (uint32_t i = 0; i < files.count; i++) {
        char last[32];
        if (!kit_footer(&files.file[i], "digits_over_15", last, sizeof last)) {
            faults++; /* a sealed file without its end */
            continue;
        }
        uint32_t rows = kit_rows(&files.file[i]);
        for (uint32_t row = 0; row < rows; row++) {
            uint64_t seq = kit_row_seq(&files.file[i], row);
            if (seq > EVENTS || seen[seq] != 0) {
                faults++;
            } else {
                seen[seq] = 1;
            }
        }
    }
    for (uint64_t seq = 1; seq <= EVENTS && whole; seq++) {
        faults += seen[seq] != (seq % 5 != 0);
    }
    kit_files_free(&files);
    return faults;
}

/* Lands everything again on the disk as it is; returns what is wrong then. */
static uint32_t recover(struct mdio *io)
{
    struct store_config config = crash_config();
    struct store *store = kit_store_open(io, &config, NULL);
    land_all(store);
    uint32_t left = store_drain(store, 0);
    uint32_t lost = (uint32_t)store_stats(store).rows_lost;
    store_destroy(store);
    return left + lost + faults_of(io, true);
}

/* One run with the power cut before call `cut_at`. Returns faults after recovery, or -1 when the
 * run had fewer calls. */
static int cut_once(uint64_t cut_at, uint64_t seed, bool skip_sync, bool skip_dirsync,
                    bool forget_intents)
{
    struct mdio disk;
    assert_int_equal(mdio_mem_open(&disk), 0);
    struct cut_disk cut = {.inner = &disk,
                           .cut_at = cut_at,
                           .seed = seed,
                           .skip_sync = skip_sync,
                           .skip_dirsync = skip_dirsync};
    struct mdio io = cut_io(&cut);
    struct store_config config = crash_config();
    struct store *store = kit_store_open(&io, &config, NULL);
    land_all(store);
    store_drain(store, 0);
    store_destroy(store);
    mdio_deinit(&disk);
    if (!cut.taken) {
        return -1;
    }
    if (forget_intents) {
        mdio_unlink(&cut.after, "spool/intents");
    }
    uint32_t faults = recover(&cut.after);
    mdio_deinit(&cut.after);
    return (int)faults;
}

static uint32_t cut_everywhere(uint64_t step, uint64_t seeds, bool skip_sync, bool skip_dirsync,
                               bool forget_intents, uint32_t *states)
{
    uint32_t bad = 0;
    *states = 0;
    for (uint64_t at = 1;; at += step) {
        for (uint64_t seed = 0; seed < seeds; seed++) {
            int faults = cut_once(at, at * 1000 + seed, skip_sync, skip_dirsync, forget_intents);
            if (faults < 0) {
                return bad;
            }
            ++*states;
            if (faults > 0 && !skip_sync && !skip_dirsync && !forget_intents) {
                fprintf(stderr, "cut before call %llu, seed %llu: %d rows wrong\n",
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
    assert_int_equal(cut_everywhere(1, 13, false, false, false, &states), 0);
    printf("# %u power cuts\n", states);
    assert_true(states >= 2000);
}

static void without_syncs_the_same_search_finds_losses(void **state)
{
    (void)state;
    uint32_t states = 0;
    assert_true(cut_everywhere(7, 2, true, false, false, &states) > 0);
}

static void without_folder_syncs_the_same_search_finds_losses(void **state)
{
    (void)state;
    uint32_t states = 0;
    assert_true(cut_everywhere(7, 2, false, true, false, &states) > 0);
}

static void without_intents_the_same_search_finds_doubles(void **state)
{
    (void)state;
    uint32_t states = 0;
    assert_true(cut_everywhere(2, 2, false, false, true, &states) > 0);
}

/* ---- one file cannot be made */

/* A later file of a stream must not be listed before an earlier one: its line would say that all
 * before it is there. Other streams go on. */
static void a_file_that_cannot_be_made_holds_back_its_stream_alone(void **state)
{
    (void)state;
    struct mdio disk;
    assert_int_equal(mdio_mem_open(&disk), 0);
    const char *date = "exchange=binance/channel=trades/symbol=S0001/date=2026-11-23";
    char blocked[256];
    snprintf(blocked, sizeof blocked, "%s/hour=09", date);
    assert_int_equal(mdio_mkdirs(&disk, date), 0);
    int handle = mdio_open(&disk, blocked, MDIO_WRITE | MDIO_CREATE); /* a file, not a folder */
    assert_true(handle >= 0);
    mdio_close(&disk, handle);
    struct store_config config = crash_config();
    for (int again = 0; again < 2; again++) {
        struct store *store = kit_store_open(&disk, &config, NULL);
        for (uint32_t index = 1; index <= 2; index++) {
            for (int hour = 0; hour < 3; hour++) {
                struct event event =
                    kit_trade(index, (uint64_t)(hour * 2) + index, KIT_HOUR + hour * 3600 * KIT_S);
                store_event(store, index, &event);
            }
        }
        store_close_all(store, 0);
        assert_int_equal(store_drain(store, 0), again == 0 ? 3 : 0);
        assert_int_equal(store_stats(store).files_sealed, 3);
        store_destroy(store);
        if (again == 0) {
            assert_int_equal(mdio_unlink(&disk, blocked), 0);
        }
    }
    struct kit_files files = kit_files_read(&disk);
    assert_int_equal(files.count, 6);
    kit_files_free(&files);
    mdio_deinit(&disk);
}

/* ---- kill -9 at the named steps */

static void killed_child(const char *root, const char *failpoint)
{
    struct mdio io;
    struct err err = {""};
    setenv("MD_FAILPOINT", failpoint, 1);
    if (!failpoint_init() || mdio_posix_open(&io, root, &err) != 0) {
        _exit(2);
    }
    struct store_config config = crash_config();
    struct store *store = kit_store_open(&io, &config, NULL);
    land_all(store);
    store_drain(store, 0);
    _exit(3); /* the step was never reached */
}

static void a_kill_at_each_step_loses_and_doubles_nothing(void **state)
{
    (void)state;
    static const char *const steps[] = {
        "seal_after_tmp_create", "seal_after_row_group", "seal_before_footer", "seal_before_rename",
        "seal_before_dirsync",   "seal_before_manifest", "seal_after_manifest"};
    for (size_t step = 0; step < sizeof steps / sizeof steps[0]; step++) {
        for (int pass = 1; pass <= 9; pass += 4) {
            struct disk disk;
            char failpoint[64];
            snprintf(failpoint, sizeof failpoint, "%s:%d", steps[step], pass);
            disk_open(&disk);
            pid_t child = fork();
            if (child == 0) {
                killed_child(disk.root, failpoint);
            }
            int status = 0;
            assert_int_equal(waitpid(child, &status, 0), child);
            assert_true(WIFSIGNALED(status));
            assert_int_equal(WTERMSIG(status), SIGKILL);
            assert_int_equal(recover(&disk.io), 0);
            struct kit_files files = kit_files_read(&disk.io);
            assert_int_equal(files.inprogress, 0);
            kit_files_free(&files);
            disk_close(&disk);
        }
    }
}

/* ---- the n-th call fails */

static void fail_nth(uint64_t n, int code, size_t short_bytes, bool forever)
{
    struct mdio disk;
    struct mdio io;
    assert_int_equal(mdio_mem_open(&disk), 0);
    struct mdio_faults faults = {.fail_at = n,
                                 .fail_forever = forever,
                                 .fail_call = MDIO_CALL_ANY,
                                 .fail_code = code,
                                 .write_short_bytes = short_bytes};
    assert_int_equal(mdio_faulty_open(&io, &disk, &faults), 0);
    struct store_config config = crash_config();
    static const struct store_handlers none = {NULL, NULL, NULL};
    struct store *store = NULL;
    struct err err = {""};
    if (store_open(&store, &io, &config, &none, &err) == 0) {
        land_all(store);
        uint32_t left = store_drain(store, 0);
        left = left > 0 ? store_drain(store, 0) : 0; /* a failed job is tried again */
        struct store_stats stats = store_stats(store);
        if (!forever) {
            assert_int_equal(left, 0);
            if (stats.rows_lost == 0) {
                assert_int_equal(faults_of(&disk, true), 0);
            } else {
                assert_true(stats.streams_frozen > 0);
                assert_true(store_needed_seq(store) <= EVENTS);
            }
        }
        store_destroy(store);
        assert_int_equal(faults_of(&disk, false), 0); /* nothing half, nothing twice */
    } else {
        assert_true(err.text[0] != 0);
    }
    mdio_deinit(&io);
    assert_int_equal(recover(&disk), 0);
    mdio_deinit(&disk);
}

static void any_call_may_fail_once(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 300; n++) {
        fail_nth(n, n % 2 == 0 ? MD_EIO : MD_ENOSPC, 0, false);
    }
}

static void any_write_may_be_short(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 300; n += 3) {
        fail_nth(n, MD_ENOSPC, 1 + n % 600, false);
    }
}

static void a_disk_may_die_at_any_call(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 300; n += 2) {
        fail_nth(n, n % 4 == 1 ? MD_EIO : MD_ENOSPC, n % 3 * 100, true);
    }
}

/* ---- a full disk */

static int low_space(struct mdio *io, struct mdio_space *out)
{
    (void)io;
    *out = (struct mdio_space){.bytes_total = 1000 << 20, .bytes_free = 5 << 20};
    return 0;
}

static void below_the_reserve_nothing_is_begun_until_there_is_room(void **state)
{
    (void)state;
    struct mdio disk;
    assert_int_equal(mdio_mem_open(&disk), 0);
    struct mdio_ops ops = *disk.ops;
    const struct mdio_ops *real = disk.ops;
    ops.space = low_space;
    struct store_config config = crash_config();
    config.disk_reserve_bytes = 0; /* 1 %: 10 MiB */
    struct store *store = kit_store_open(&disk, &config, NULL);
    disk.ops = &ops;
    uint64_t errors = log_count(LOG_LEVEL_ERROR);
    land_all(store);
    assert_true(store_drain(store, 0) > 0);
    assert_true(store_stats(store).disk_low);
    assert_int_equal(store_stats(store).files_sealed, 0);
    assert_int_equal(store_stats(store).rows_lost, 0);
    assert_int_equal(log_count(LOG_LEVEL_ERROR), errors + 1); /* said once */
    assert_int_equal(store_needed_seq(store), 1);
    disk.ops = real;
    assert_int_equal(store_drain(store, 0), 0);
    assert_false(store_stats(store).disk_low);
    store_destroy(store);
    assert_int_equal(faults_of(&disk, true), 0);
    mdio_deinit(&disk);
}

static void a_stream_that_cannot_be_kept_is_frozen_and_lands_at_the_next_start(void **state)
{
    (void)state;
    struct mdio disk;
    struct mdio io;
    assert_int_equal(mdio_mem_open(&disk), 0);
    struct mdio_faults faults = {
        .fail_call = MDIO_CALL_WRITE, .fail_code = MD_ENOSPC, .fail_forever = true};
    assert_int_equal(mdio_faulty_open(&io, &disk, &faults), 0);
    struct store_config config = crash_config();
    config.record_batch_rows = 1;
    struct store *store = kit_store_open(&io, &config, NULL);
    faults.fail_at = 1;
    uint64_t seq = 1;
    while (store_stats(store).streams_frozen == 0) {
        struct event event = kit_trade(1, seq, KIT_HOUR + (int64_t)seq * KIT_MS);
        store_event(store, 0, &event);
        seq++;
        assert_true(seq < 100000);
    }
    faults.fail_at = 0;
    faults.fail_forever = false;
    struct event event = kit_trade(1, seq, KIT_HOUR + (int64_t)seq * KIT_MS);
    store_event(store, 0,
                &event); /* also now: a later file must not say that all before is there */
    assert_int_equal(store_stats(store).rows_lost, seq);
    assert_int_equal(store_needed_seq(store), 1);
    event = kit_trade(2, seq + 1, KIT_HOUR + (int64_t)seq * KIT_MS);
    store_event(store, 1, &event); /* others go on */
    store_close_all(store, 0);
    assert_int_equal(store_drain(store, 0), 0);
    assert_int_equal(store_stats(store).files_sealed, 1);
    store_destroy(store);
    store = kit_store_open(&io, &config, NULL);
    for (uint64_t again = 1; again <= seq; again++) {
        event = kit_trade(1, again, KIT_HOUR + (int64_t)again * KIT_MS);
        store_event(store, 0, &event);
    }
    store_close_all(store, 0);
    assert_int_equal(store_drain(store, 0), 0);
    assert_int_equal(store_stats(store).rows, seq);
    store_destroy(store);
    mdio_deinit(&io);
    mdio_deinit(&disk);
}

/* ---- memory */

static void the_plan_is_what_is_taken(void **state)
{
    (void)state;
    static const enum file_format formats[] = {FORMAT_PARQUET, FORMAT_JSONL, FORMAT_CSV};
    for (size_t i = 0; i < 3; i++) {
        struct mdio disk;
        assert_int_equal(mdio_mem_open(&disk), 0);
        struct store_config config = crash_config();
        config.writer_create = NULL;
        config.format = formats[i];
        size_t lines[ALLOC_LINE_COUNT] = {0};
        store_memory_lines(&config, lines);
        size_t before[ALLOC_LINE_COUNT];
        for (int line = 0; line < ALLOC_LINE_COUNT; line++) {
            before[line] = alloc_line_stats((enum alloc_line)line).bytes;
        }
        struct store *store = kit_store_open(&disk, &config, NULL);
        size_t all = 0;
        for (int line = 0; line < ALLOC_LINE_COUNT; line++) {
            size_t taken = alloc_line_stats((enum alloc_line)line).bytes - before[line];
            if (!alloc_line_is_library((enum alloc_line)line)) {
                assert_int_equal(taken, lines[line]);
            }
            all += lines[line];
        }
        assert_int_equal(store_memory_bytes(&config), all);
        store_destroy(store);
        mdio_deinit(&disk);
    }
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    struct mdio disk;
    assert_int_equal(mdio_mem_open(&disk), 0);
    struct store_config config = crash_config();
    config.writer_create = NULL;
    config.format = FORMAT_PARQUET;
    static const struct store_handlers none = {NULL, NULL, NULL};
    struct store *store = NULL;
    size_t before = alloc_line_stats(ALLOC_SEAL).bytes + alloc_line_stats(ALLOC_PARTITIONS).bytes;
    uint64_t n = 0;
    int code = MD_ENOMEM;
    while (code != 0) {
        struct err err = {""};
        assert_true(++n < 100);
        alloc_fail_at(n);
        code = store_open(&store, &disk, &config, &none, &err);
        alloc_fail_at(0);
        if (code != 0) {
            assert_int_equal(code, MD_ENOMEM);
            assert_true(err.text[0] != 0);
            assert_int_equal(alloc_line_stats(ALLOC_SEAL).bytes +
                                 alloc_line_stats(ALLOC_PARTITIONS).bytes,
                             before);
        }
    }
    assert_true(n > 10);
    store_destroy(store);
    mdio_deinit(&disk);
}

static int silence(void **state)
{
    (void)state;
    static const struct clock *clock = &clock_system;
    log_init(2, LOG_LEVEL_ERROR, false, clock);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plan_is_what_is_taken),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(any_call_may_fail_once),
        cmocka_unit_test(any_write_may_be_short),
        cmocka_unit_test(a_disk_may_die_at_any_call),
        cmocka_unit_test(below_the_reserve_nothing_is_begun_until_there_is_room),
        cmocka_unit_test(a_stream_that_cannot_be_kept_is_frozen_and_lands_at_the_next_start),
        cmocka_unit_test(a_file_that_cannot_be_made_holds_back_its_stream_alone),
        cmocka_unit_test(a_kill_at_each_step_loses_and_doubles_nothing),
        cmocka_unit_test(a_power_cut_anywhere_loses_and_doubles_nothing),
        cmocka_unit_test(without_syncs_the_same_search_finds_losses),
        cmocka_unit_test(without_folder_syncs_the_same_search_finds_losses),
        cmocka_unit_test(without_intents_the_same_search_finds_doubles),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
