/* Small files become durable together: what is synced once for all of them, and that neither a slow
 * disk nor large files make a batch long. That nothing is lost by it: test_store_crash.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/manifest.h"
#include "store_kit.h"

struct count {
    uint64_t syncs, dirsyncs;
    uint32_t files;
};

/* Seals `streams` files of `rows` rows each; what it took from the close on. */
static struct count seal(uint32_t streams, uint32_t rows, int sync_sleep_ms)
{
    struct mdio disk;
    struct mdio io;
    struct mdio_faults faults = {.fail_at = 0};
    assert_int_equal(mdio_mem_open(&disk), 0);
    assert_int_equal(mdio_faulty_open(&io, &disk, &faults), 0);
    struct store_config config = kit_config();
    struct store *store = kit_store_open(&io, &config, NULL);
    uint64_t seq = 0;
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t i = 0; i < streams; i++) {
            seq++;
            struct event event = kit_trade(i, seq, KIT_HOUR + (int64_t)seq * KIT_MS);
            store_event(store, i, &event);
        }
    }
    store_close_all(store, 0);
    uint64_t syncs = faults.calls[MDIO_CALL_SYNC];
    uint64_t dirsyncs = faults.calls[MDIO_CALL_DIRSYNC];
    faults.sync_sleep_ms = sync_sleep_ms;
    assert_int_equal(store_drain(store, 0), 0);
    faults.sync_sleep_ms = 0;
    struct count count = {faults.calls[MDIO_CALL_SYNC] - syncs,
                          faults.calls[MDIO_CALL_DIRSYNC] - dirsyncs, 0};
    store_destroy(store);
    struct kit_files files = kit_files_read(&disk);
    count.files = files.count;
    assert_int_equal(files.inprogress, 0);
    kit_files_free(&files);
    mdio_deinit(&io);
    mdio_deinit(&disk);
    return count;
}

static void sixteen_small_files_share_their_syncs(void **state)
{
    (void)state;
    struct count count = seal(MANIFEST_INTENTS_MAX, 3, 0);
    assert_int_equal(count.files, 16);
    /* the intents, each file, the manifest */
    assert_int_equal(count.syncs, 1 + 16 + 1);
    /* each file's hour, date and symbol; channel, exchange and root; the manifest's folder */
    assert_int_equal(count.dirsyncs, 16 * 3 + 3 + 1);
}

static void one_file_more_is_another_batch(void **state)
{
    (void)state;
    struct count count = seal(MANIFEST_INTENTS_MAX + 1, 3, 0);
    assert_int_equal(count.files, 17);
    assert_int_equal(count.syncs, (1 + 16 + 1) + (1 + 1 + 1));
    /* the other file's symbol is new in a channel that is not */
    assert_int_equal(count.dirsyncs, (16 * 3 + 3 + 1) + (3 + 1));
}

static void on_a_slow_disk_a_batch_ends_early(void **state)
{
    (void)state;
    struct count count = seal(3, 1, 260);
    assert_int_equal(count.files, 3);
    /* the intents and the first file take 520 ms: the others wait for the next batch */
    assert_true(count.syncs >= 3 + 2 * 2);
}

/* Folders synced for a file of the next hour, in folders that this run made for the first one. */
static uint64_t dirsyncs_of_next_hour(bool first_fails)
{
    struct mdio disk;
    struct mdio io;
    struct mdio_faults faults = {.fail_at = 0};
    assert_int_equal(mdio_mem_open(&disk), 0);
    assert_int_equal(mdio_faulty_open(&io, &disk, &faults), 0);
    struct store_config config = kit_config();
    struct store *store = kit_store_open(&io, &config, NULL);
    uint64_t before = 0;
    for (int hour = 0; hour < 2; hour++) {
        struct event event = kit_trade(1, (uint64_t)hour + 1, KIT_HOUR + hour * 3600 * KIT_S);
        store_event(store, 1, &event);
        store_close_all(store, 0);
        before = faults.calls[MDIO_CALL_DIRSYNC];
        if (hour == 0 && first_fails) {
            faults.fail_call = MDIO_CALL_DIRSYNC;
            faults.fail_code = MD_EIO;
            faults.fail_at = 1;
            assert_int_equal(store_drain(store, 0), 1);
        }
        assert_int_equal(store_drain(store, 0), 0);
    }
    uint64_t dirsyncs = faults.calls[MDIO_CALL_DIRSYNC] - before;
    store_destroy(store);
    mdio_deinit(&io);
    mdio_deinit(&disk);
    return dirsyncs;
}

static void after_a_failure_every_folder_above_is_synced(void **state)
{
    (void)state;
    /* the hour's folder is new in the date's */
    assert_int_equal(dirsyncs_of_next_hour(false), 2);
    /* a folder that was made may not be durable: hour, date, symbol, channel, exchange, root */
    assert_int_equal(dirsyncs_of_next_hour(true), 6);
}

static void folders_made_say_what_was_there(void **state)
{
    (void)state;
    struct mdio disk;
    assert_int_equal(mdio_mem_open(&disk), 0);
    size_t kept = 0;
    assert_int_equal(mdio_mkdirs_unsynced(&disk, "a/bb/c", 0, &kept), 0);
    assert_int_equal(kept, 0);
    assert_int_equal(mdio_mkdirs_unsynced(&disk, "a/bb/c", 0, &kept), 0);
    assert_int_equal(kept, 6);
    assert_int_equal(mdio_mkdirs_unsynced(&disk, "a/bb/d/e", 4, &kept), 0);
    assert_int_equal(kept, 4);
    assert_int_equal(mdio_mkdirs_unsynced(&disk, "a/../x", 0, &kept), MD_EINVAL);
    mdio_deinit(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixteen_small_files_share_their_syncs),
        cmocka_unit_test(one_file_more_is_another_batch),
        cmocka_unit_test(on_a_slow_disk_a_batch_ends_early),
        cmocka_unit_test(after_a_failure_every_folder_above_is_synced),
        cmocka_unit_test(folders_made_say_what_was_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
