#include "base_fixture.h"

#include <pthread.h>
#include <time.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/mdio.h"

#define ALL (MDIO_READ | MDIO_WRITE | MDIO_CREATE)

static struct mdio disk, io;
static struct mdio_faults faults;

static int setup(void **state)
{
    (void)state;
    faults = (struct mdio_faults){.fail_call = MDIO_CALL_ANY};
    assert_int_equal(mdio_mem_open(&disk), 0);
    return mdio_faulty_open(&io, &disk, &faults);
}

static int teardown(void **state)
{
    (void)state;
    mdio_deinit(&io);
    mdio_deinit(&disk);
    assert_int_equal(alloc_line_stats(ALLOC_APP).bytes, 0);
    return 0;
}

static int open_all(const char *path)
{
    int handle = mdio_open(&io, path, ALL);
    assert_true(handle >= 0);
    return handle;
}

static ssize_t write_once(int handle, const char *text, int64_t offset)
{
    return io.ops->write(&io, handle, text, strlen(text), offset);
}

static void faulty_counts_each_call(void **state)
{
    (void)state;
    char data[4];
    struct mdio_space space;
    int handle = open_all("a");
    assert_int_equal(mdio_write_all(&io, handle, "abcd", 4, 0), 0);
    assert_int_equal(mdio_read_all(&io, handle, data, 4, 0), 0);
    assert_int_equal(mdio_sync(&io, handle), 0);
    assert_int_equal(mdio_sync(&io, handle), 0);
    assert_int_equal(mdio_truncate(&io, handle, 1), 0);
    assert_int_equal(mdio_rename(&io, "a", "b"), 0);
    assert_int_equal(mdio_unlink(&io, "b"), 0);
    assert_int_equal(mdio_mkdir(&io, "d"), 1);
    assert_int_equal(mdio_dirsync(&io, "d"), 0);
    assert_int_equal(mdio_space(&io, &space), 0);
    assert_int_equal(mdio_close(&io, handle), 0);
    static const uint64_t expected[MDIO_CALL_COUNT] = {
        [MDIO_CALL_OPEN] = 1,    [MDIO_CALL_READ] = 1,    [MDIO_CALL_WRITE] = 1,
        [MDIO_CALL_SYNC] = 2,    [MDIO_CALL_RENAME] = 1,  [MDIO_CALL_UNLINK] = 1,
        [MDIO_CALL_MKDIR] = 1,   [MDIO_CALL_DIRSYNC] = 1, [MDIO_CALL_SPACE] = 1,
        [MDIO_CALL_TRUNCATE] = 1};
    assert_memory_equal(faults.calls, expected, sizeof expected);
    assert_true(faults.calls_total == 11);
}

static void faulty_fails_the_nth_call_of_its_kind_once(void **state)
{
    (void)state;
    faults.fail_at = 3;
    faults.fail_call = MDIO_CALL_WRITE;
    faults.fail_code = MD_ENOSPC;
    int handle = open_all("a");
    assert_int_equal(write_once(handle, "a", 0), 1);
    assert_int_equal(mdio_sync(&io, handle), 0);
    assert_int_equal(write_once(handle, "b", 1), 1);
    assert_int_equal(write_once(handle, "c", 2), MD_ENOSPC);
    assert_true(mdio_size(&io, handle) == 2);
    assert_int_equal(write_once(handle, "c", 2), 1);
    assert_true(faults.fail_at == 0);
}

static void faulty_fails_each_call_after_it_when_told_so(void **state)
{
    (void)state;
    faults.fail_at = 2;
    faults.fail_call = MDIO_CALL_SYNC;
    faults.fail_forever = true;
    int handle = open_all("a");
    assert_int_equal(mdio_sync(&io, handle), 0);
    assert_int_equal(mdio_sync(&io, handle), MD_EIO); /* the code when none is set */
    assert_int_equal(mdio_sync(&io, handle), MD_EIO);
    assert_int_equal(write_once(handle, "a", 0), 1);
    faults.fail_at = 0; /* the disk was mended */
    assert_int_equal(mdio_sync(&io, handle), 0);
}

/* Each kind of call can be the n-th of all. */
static void faulty_any_counts_all_kinds(void **state)
{
    (void)state;
    struct mdio_space space;
    char data[1];
    int handle = open_all("a");
    assert_int_equal(write_once(handle, "a", 0), 1);
    for (uint64_t n = 1; n <= 10; n++) {
        faults.fail_at = n;
        faults.fail_code = MD_EIO;
        int other = mdio_open(&io, "b", ALL);
        int failed = other == MD_EIO;
        failed += mdio_read(&io, handle, data, 1, 0) == MD_EIO;
        failed += write_once(handle, "a", 0) == MD_EIO;
        failed += mdio_sync(&io, handle) == MD_EIO;
        failed += mdio_truncate(&io, handle, 1) == MD_EIO;
        failed += mdio_mkdir(&io, "d") == MD_EIO;
        failed += mdio_dirsync(&io, "") == MD_EIO;
        failed += mdio_rename(&io, "b", "c") == MD_EIO;
        failed += mdio_unlink(&io, "c") == MD_EIO;
        failed += mdio_space(&io, &space) == MD_EIO;
        assert_int_equal(failed, 1);
        if (other >= 0) {
            assert_int_equal(mdio_close(&io, other), 0);
        }
        (void)mdio_unlink(&io, "b");
        (void)mdio_unlink(&io, "c");
    }
}

/* The trap of faults.md: the full disk first takes a part, and says so only to the next call. */
static void faulty_short_write_comes_before_the_error(void **state)
{
    (void)state;
    faults.fail_at = 2;
    faults.fail_call = MDIO_CALL_WRITE;
    faults.fail_code = MD_ENOSPC;
    faults.write_short_bytes = 3;
    int handle = open_all("a");
    assert_int_equal(write_once(handle, "12345", 0), 5);
    assert_int_equal(write_once(handle, "67890", 5), 3);
    assert_true(mdio_size(&io, handle) == 8);
    assert_int_equal(write_once(handle, "90", 8), MD_ENOSPC);
    assert_true(mdio_size(&io, handle) == 8);
    assert_int_equal(write_once(handle, "90", 8), 2);
}

static void faulty_short_write_of_a_small_write_is_shorter_still(void **state)
{
    (void)state;
    faults.fail_call = MDIO_CALL_WRITE;
    faults.fail_at = 1;
    faults.write_short_bytes = 100;
    int handle = open_all("a");
    assert_int_equal(write_once(handle, "12345", 0), 4);
    assert_int_equal(write_once(handle, "5", 4), MD_EIO);
    faults.fail_at = 1;
    faults.write_short_bytes = 100;
    assert_int_equal(write_once(handle, "5", 4), MD_EIO); /* one byte cannot be half written */
}

static void write_all_completes_short_counts_and_reports_the_error_after(void **state)
{
    (void)state;
    char data[10];
    faults.fail_call = MDIO_CALL_WRITE;
    faults.fail_at = 1;
    faults.write_short_bytes = 4;
    faults.fail_code = MD_ENOSPC;
    int handle = open_all("a");
    assert_int_equal(mdio_write_all(&io, handle, "0123456789", 10, 0), MD_ENOSPC);
    assert_true(mdio_size(&io, handle) == 4);
    assert_int_equal(mdio_write_all(&io, handle, "0123456789", 10, 0), 0);
    assert_int_equal(mdio_read_all(&io, handle, data, 10, 0), 0);
    assert_memory_equal(data, "0123456789", 10);
}

static ssize_t takes_three(struct mdio *self, int handle, const void *data, size_t bytes,
                           int64_t offset)
{
    return self->state != NULL ? disk.ops->write(&disk, handle, data, bytes < 3 ? bytes : 3, offset)
                               : 0;
}

static void write_all_goes_on_after_each_short_count_and_ends_at_none(void **state)
{
    (void)state;
    char data[10];
    int handle = open_all("a");
    struct mdio_ops ops = {.write = takes_three};
    struct mdio slow = {.ops = &ops, .state = &disk};
    assert_int_equal(mdio_write_all(&slow, handle, "0123456789", 10, 0), 0);
    assert_int_equal(mdio_read_all(&io, handle, data, 10, 0), 0);
    assert_memory_equal(data, "0123456789", 10);
    slow.state = NULL;
    assert_int_equal(mdio_write_all(&slow, handle, "x", 1, 0), MD_ENOSPC);
}

static bool survives(const char *path, uint64_t seed)
{
    struct mdio after;
    assert_int_equal(mdio_mem_crash(&disk, seed, &after), 0);
    int handle = mdio_open(&after, path, MDIO_READ);
    bool whole = handle >= 0 && mdio_size(&after, handle) == 4;
    mdio_deinit(&after);
    return whole;
}

static size_t losses(void)
{
    size_t lost = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        lost += !survives("a", seed);
    }
    return lost;
}

/* The negative control: everything reports success, and a power cut shows the lie. */
static void faulty_lying_sync_syncs_nothing(void **state)
{
    (void)state;
    int handle = open_all("a");
    assert_int_equal(write_once(handle, "data", 0), 4);
    assert_int_equal(mdio_dirsync(&io, ""), 0);
    faults.sync_lies = true;
    assert_int_equal(mdio_sync(&io, handle), 0);
    assert_in_range(losses(), 20, 100);
    faults.sync_lies = false;
    assert_int_equal(mdio_sync(&io, handle), 0);
    assert_int_equal(losses(), 0);
}

static void faulty_lying_dirsync_syncs_no_name(void **state)
{
    (void)state;
    int handle = open_all("a");
    assert_int_equal(write_once(handle, "data", 0), 4);
    assert_int_equal(mdio_sync(&io, handle), 0);
    faults.sync_lies = true;
    assert_int_equal(mdio_dirsync(&io, ""), 0);
    assert_in_range(losses(), 20, 100);
    faults.sync_lies = false;
    assert_int_equal(mdio_dirsync(&io, ""), 0);
    assert_int_equal(losses(), 0);
}

static void faulty_failed_sync_is_not_made_good_by_the_next(void **state)
{
    (void)state;
    size_t lost = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        int handle = open_all("a");
        assert_int_equal(mdio_dirsync(&io, ""), 0);
        assert_int_equal(write_once(handle, "data", 0), 4);
        faults.fail_call = MDIO_CALL_SYNC;
        faults.fail_at = 1;
        assert_int_equal(mdio_sync(&io, handle), MD_EIO);
        assert_int_equal(mdio_sync(&io, handle), 0);
        lost += !survives("a", seed);
        assert_int_equal(mdio_unlink(&io, "a"), 0);
        assert_int_equal(mdio_close(&io, handle), 0);
    }
    assert_in_range(lost, 5, 55);
}

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *sync_slowly(void *argument)
{
    assert_int_equal(mdio_sync(&io, *(int *)argument), 0);
    return NULL;
}

static void faulty_slow_sync_stops_nobody_else(void **state)
{
    (void)state;
    pthread_t thread;
    int handle = open_all("a");
    faults.sync_sleep_ms = 1000;
    int64_t start = mono_ms();
    assert_int_equal(pthread_create(&thread, NULL, sync_slowly, &handle), 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(write_once(handle, "data", 0), 4);
    }
    int64_t written = mono_ms() - start;
    pthread_join(thread, NULL);
    assert_true(mono_ms() - start >= 1000);
    assert_in_range(written, 0, 900);
}

static void faulty_without_memory_says_so(void **state)
{
    (void)state;
    struct mdio other = {0};
    alloc_fail_at(1);
    assert_int_equal(mdio_faulty_open(&other, &disk, &faults), MD_ENOMEM);
    mdio_deinit(&other);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(faulty_counts_each_call),
        TEST(faulty_fails_the_nth_call_of_its_kind_once),
        TEST(faulty_fails_each_call_after_it_when_told_so),
        TEST(faulty_any_counts_all_kinds),
        TEST(faulty_short_write_comes_before_the_error),
        TEST(faulty_short_write_of_a_small_write_is_shorter_still),
        TEST(write_all_completes_short_counts_and_reports_the_error_after),
        TEST(write_all_goes_on_after_each_short_count_and_ends_at_none),
        TEST(faulty_lying_sync_syncs_nothing),
        TEST(faulty_lying_dirsync_syncs_no_name),
        TEST(faulty_failed_sync_is_not_made_good_by_the_next),
        TEST(faulty_slow_sync_stops_nobody_else),
        TEST(faulty_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
