/* The power-cut model of mdio_mem: what must survive, what may be lost, and that each of the ways
 * to lose it does come up. A model that never loses would prove nothing about those who use it. */
#include "base_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/err.h"
#include "base/mdio.h"

#define ALL (MDIO_READ | MDIO_WRITE | MDIO_CREATE)
#define SEEDS 2000

static struct mdio disk;

static int setup(void **state)
{
    (void)state;
    return mdio_mem_open(&disk);
}

static int teardown(void **state)
{
    (void)state;
    mdio_deinit(&disk);
    return 0;
}

static int open_all(const char *path)
{
    int handle = mdio_open(&disk, path, ALL);
    assert_true(handle >= 0);
    return handle;
}

static void put(int handle, const char *text, int64_t offset)
{
    assert_int_equal(mdio_write_all(&disk, handle, text, strlen(text), offset), 0);
}

/* A file with this content, synced, its name not. */
static void make_synced(const char *path, const char *text)
{
    int handle = open_all(path);
    put(handle, text, 0);
    assert_int_equal(mdio_sync(&disk, handle), 0);
    assert_int_equal(mdio_close(&disk, handle), 0);
}

/* The content of `path` on `io`, or NULL when there is no such file. */
static const char *content(struct mdio *io, const char *path)
{
    static char text[4096];
    int handle = mdio_open(io, path, MDIO_READ);
    if (handle < 0) {
        assert_int_equal(handle, MD_ENOENT);
        return NULL;
    }
    ssize_t n = mdio_read(io, handle, text, sizeof text - 1, 0);
    assert_true(n >= 0);
    for (ssize_t i = 0; i < n; i++) {
        text[i] = text[i] != 0 ? text[i] : '0'; /* so that it reads as a text */
    }
    text[n] = 0;
    assert_int_equal(mdio_close(io, handle), 0);
    return text;
}

/* How often each of the `expected` contents (NULL = no file) is what a crash leaves of `path`.
 * Anything else fails the test. */
static void crash_often(const char *path, size_t count, const char *const expected[], size_t seen[])
{
    memset(seen, 0, count * sizeof seen[0]);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct mdio after;
        assert_int_equal(mdio_mem_crash(&disk, seed, &after), 0);
        const char *text = content(&after, path);
        size_t i = 0;
        while (i < count && !(text == NULL ? expected[i] == NULL
                                           : expected[i] != NULL && !strcmp(text, expected[i]))) {
            i++;
        }
        if (i == count) {
            print_error("seed %llu leaves \"%s\"\n", (unsigned long long)seed,
                        text != NULL ? text : "(no file)");
            fail();
        }
        seen[i]++;
        mdio_deinit(&after);
    }
}

/* Each of the contents, and nothing else, comes up at least once in a hundred. */
#define CHECK_CRASHES(path, ...)                                                         \
    do {                                                                                 \
        static const char *const expected__[] = {__VA_ARGS__};                           \
        size_t seen__[sizeof expected__ / sizeof expected__[0]];                         \
        crash_often(path, sizeof expected__ / sizeof expected__[0], expected__, seen__); \
        for (size_t i__ = 0; i__ < sizeof expected__ / sizeof expected__[0]; i__++) {    \
            assert_in_range(seen__[i__], SEEDS / 100, SEEDS);                            \
        }                                                                                \
    } while (0)

static void crash_keeps_what_was_synced_with_its_name(void **state)
{
    (void)state;
    make_synced("a", "safe");
    assert_int_equal(mdio_dirsync(&disk, ""), 0);
    CHECK_CRASHES("a", "safe");
}

static void crash_may_lose_the_name_of_a_synced_file(void **state)
{
    (void)state;
    make_synced("a", "safe");
    CHECK_CRASHES("a", "safe", NULL);
}

static void crash_may_lose_the_data_behind_a_synced_name(void **state)
{
    (void)state;
    int handle = open_all("a");
    assert_int_equal(mdio_dirsync(&disk, ""), 0);
    put(handle, "data", 0);
    /* dropped, kept, or its sector lost when the size was written already */
    CHECK_CRASHES("a", "", "data", "0000");
    assert_int_equal(mdio_close(&disk, handle), 0);
    CHECK_CRASHES("a", "", "data", "0000"); /* closing syncs nothing */
}

static void crash_may_keep_a_later_write_and_lose_an_earlier(void **state)
{
    (void)state;
    int handle = open_all("a");
    put(handle, "....", 0);
    assert_int_equal(mdio_sync(&disk, handle), 0);
    assert_int_equal(mdio_dirsync(&disk, ""), 0);
    put(handle, "AA", 0);
    put(handle, "BB", 2);
    CHECK_CRASHES("a", "....", "AA..", "..BB", "AABB");
}

/* Dropped means that its size did not get through either; torn, that the size did. */
static void crash_may_drop_a_write_with_its_size(void **state)
{
    (void)state;
    int handle = open_all("a");
    assert_int_equal(mdio_dirsync(&disk, ""), 0);
    put(handle, "AA", 0);
    put(handle, "BB", 2);
    CHECK_CRASHES("a", "", "AA", "00", "00BB", "0000", "AA00", "AABB");
}

static void crash_may_tear_a_write_at_sectors_only(void **state)
{
    (void)state;
    uint8_t data[2048];
    size_t combinations[16] = {0};
    memset(data, 'x', sizeof data);
    int handle = open_all("a");
    assert_int_equal(mdio_truncate(&disk, handle, 2048), 0);
    assert_int_equal(mdio_sync(&disk, handle), 0);
    assert_int_equal(mdio_dirsync(&disk, ""), 0);
    assert_int_equal(mdio_write_all(&disk, handle, data, 1548, 250), 0); /* sectors 0 to 3 */
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct mdio after;
        uint8_t back[2048];
        mdio_mem_crash(&disk, seed, &after);
        int read = mdio_open(&after, "a", MDIO_READ);
        assert_int_equal(mdio_read_all(&after, read, back, 2048, 0), 0);
        static const size_t edges[] = {250, 512, 1024, 1536, 1798};
        size_t kept = 0;
        for (size_t sector = 0; sector < 4; sector++) {
            for (size_t at = edges[sector]; at < edges[sector + 1]; at++) {
                assert_int_equal(back[at], back[edges[sector]]); /* all of it or nothing */
            }
            kept |= (size_t)(back[edges[sector]] == 'x') << sector;
        }
        assert_int_equal(back[249], 0);
        assert_int_equal(back[1798], 0);
        combinations[kept]++;
        mdio_deinit(&after);
    }
    for (size_t i = 0; i < 16; i++) {
        assert_in_range(combinations[i], 5, SEEDS);
    }
}

static void crash_may_undo_truncate_and_punch(void **state)
{
    (void)state;
    make_synced("a", "abcdef");
    make_synced("b", "abcdef");
    assert_int_equal(mdio_dirsync(&disk, ""), 0);
    assert_int_equal(mdio_truncate(&disk, open_all("a"), 2), 0);
    assert_int_equal(mdio_punch(&disk, open_all("b"), 1, 2), 0);
    CHECK_CRASHES("a", "ab", "abcdef");
    CHECK_CRASHES("b", "a00def", "abcdef");
}

static void crash_keeps_names_up_to_a_point_in_their_order(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c"};
    size_t seen[4] = {0};
    for (size_t i = 0; i < 3; i++) {
        make_synced(names[i], "x");
    }
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct mdio after;
        mdio_mem_crash(&disk, seed, &after);
        size_t kept = 0;
        while (kept < 3 && content(&after, names[kept]) != NULL) {
            kept++;
        }
        for (size_t i = kept; i < 3; i++) {
            assert_null(content(&after, names[i]));
        }
        seen[kept]++;
        mdio_deinit(&after);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_in_range(seen[i], SEEDS / 100, SEEDS);
    }
}

/* Either name, never both and never none. */
static void crash_keeps_a_rename_inside_a_folder_whole(void **state)
{
    (void)state;
    make_synced("tmp", "file");
    assert_int_equal(mdio_dirsync(&disk, ""), 0);
    assert_int_equal(mdio_rename(&disk, "tmp", "final"), 0);
    size_t renamed = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct mdio after;
        mdio_mem_crash(&disk, seed, &after);
        bool is_tmp = content(&after, "tmp") != NULL;
        bool is_final = content(&after, "final") != NULL;
        assert_true(is_tmp != is_final);
        assert_string_equal(content(&after, is_tmp ? "tmp" : "final"), "file");
        renamed += is_final;
        mdio_deinit(&after);
    }
    assert_in_range(renamed, SEEDS / 10, SEEDS * 9 / 10);
    assert_int_equal(mdio_dirsync(&disk, ""), 0);
    CHECK_CRASHES("final", "file");
    CHECK_CRASHES("tmp", NULL);
}

static void crash_may_undo_an_unlink_until_the_folder_is_synced(void **state)
{
    (void)state;
    make_synced("a", "x");
    assert_int_equal(mdio_dirsync(&disk, ""), 0);
    assert_int_equal(mdio_unlink(&disk, "a"), 0);
    CHECK_CRASHES("a", "x", NULL);
    assert_int_equal(mdio_dirsync(&disk, ""), 0);
    CHECK_CRASHES("a", NULL);
}

static void crash_may_lose_a_folder_with_all_below(void **state)
{
    (void)state;
    assert_int_equal(mdio_mkdir(&disk, "d"), 1);
    make_synced("d/a", "x");
    assert_int_equal(mdio_dirsync(&disk, "d"), 0);
    CHECK_CRASHES("d/a", "x", NULL);
    assert_int_equal(mdio_dirsync(&disk, ""), 0);
    CHECK_CRASHES("d/a", "x");
}

static void mkdirs_makes_folders_that_survive(void **state)
{
    (void)state;
    assert_int_equal(mdio_mkdirs(&disk, "a/b/c"), 0);
    make_synced("a/b/c/f", "x");
    assert_int_equal(mdio_dirsync(&disk, "a/b/c"), 0);
    CHECK_CRASHES("a/b/c/f", "x");
}

static void crash_is_the_same_for_the_same_seed(void **state)
{
    (void)state;
    int handle = open_all("a");
    for (int i = 0; i < 20; i++) {
        put(handle, "0123456789012345678901234567890123456789", i * 40);
    }
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct mdio one, two;
        mdio_mem_crash(&disk, seed, &one);
        mdio_mem_crash(&disk, seed, &two);
        char first[4096] = "";
        const char *text = content(&one, "a");
        snprintf(first, sizeof first, "%s", text != NULL ? text : "(none)");
        text = content(&two, "a");
        assert_string_equal(text != NULL ? text : "(none)", first);
        mdio_deinit(&one);
        mdio_deinit(&two);
    }
}

static void crash_leaves_the_disk_itself_unharmed(void **state)
{
    (void)state;
    struct mdio after, later;
    int handle = open_all("a");
    put(handle, "one", 0);
    mdio_mem_crash(&disk, 3, &after);
    put(handle, "two", 3);
    assert_string_equal(content(&disk, "a"), "onetwo");
    assert_int_equal(mdio_sync(&disk, handle), 0);
    assert_int_equal(mdio_dirsync(&disk, ""), 0);
    assert_int_equal(mdio_lock(&disk, handle), 0);
    mdio_mem_crash(&disk, 0, &later);
    mdio_deinit(&disk); /* the copies stand alone */
    assert_string_equal(content(&later, "a"), "onetwo");
    int again = mdio_open(&later, "a", ALL);
    assert_int_equal(mdio_lock(&later, again), 0); /* locks died with the power */
    mdio_deinit(&after);
    mdio_deinit(&later);
}

static void kill_keeps_all_that_was_written_and_frees_locks(void **state)
{
    (void)state;
    struct mdio after;
    int handle = open_all("a");
    put(handle, "one", 0);
    assert_int_equal(mdio_lock(&disk, handle), 0);
    assert_int_equal(mdio_rename(&disk, "a", "b"), 0);
    mdio_mem_kill(&disk, &after);
    put(handle, "two", 3); /* the disk itself goes on, the copy stands alone */
    assert_string_equal(content(&after, "b"), "one");
    assert_null(content(&after, "a"));
    int again = mdio_open(&after, "b", ALL);
    assert_int_equal(mdio_lock(&after, again), 0);
    mdio_deinit(&after);
}

static void crash_of_a_crash_starts_from_what_was_left(void **state)
{
    (void)state;
    struct mdio after, twice;
    int handle = open_all("a");
    put(handle, "data", 0);
    for (uint64_t seed = 0; seed < 100; seed++) {
        mdio_mem_crash(&disk, seed, &after);
        char left[16] = "";
        const char *text = content(&after, "a");
        snprintf(left, sizeof left, "%s", text != NULL ? text : "(none)");
        mdio_mem_crash(&after, seed + 1, &twice); /* what is on the disk now is durable */
        text = content(&twice, "a");
        assert_string_equal(text != NULL ? text : "(none)", left);
        mdio_deinit(&after);
        mdio_deinit(&twice);
    }
}

static void damage_is_there_now_and_after_a_crash(void **state)
{
    (void)state;
    make_synced("a", "abcdefgh");
    assert_int_equal(mdio_dirsync(&disk, ""), 0);
    assert_int_equal(mdio_mem_damage(&disk, "a", 1, "X", 1), 0);
    assert_int_equal(mdio_mem_damage(&disk, "a", 3, NULL, 2), 0);
    assert_string_equal(content(&disk, "a"), "aXc00fgh");
    CHECK_CRASHES("a", "aXc00fgh");
    assert_int_equal(mdio_mem_damage(&disk, "a", 6, NULL, 0), 0);
    assert_string_equal(content(&disk, "a"), "aXc00f");
    CHECK_CRASHES("a", "aXc00f");
    assert_int_equal(mdio_mem_damage(&disk, "b", 0, "X", 1), MD_ENOENT);
    assert_int_equal(mdio_mem_damage(&disk, "a", 6, "X", 1), MD_ERANGE);
    assert_int_equal(mdio_mem_damage(&disk, "a", 7, NULL, 0), MD_ERANGE);
    assert_int_equal(mdio_mem_damage(&disk, "a", -1, "X", 1), MD_ERANGE);
}

/* ATC 2020: after a failed fsync the pages are clean, and the next fsync has nothing to write. */
static void sync_after_a_failed_sync_does_not_bring_the_data_back(void **state)
{
    (void)state;
    size_t lost = 0, kept = 0;
    for (int i = 0; i < 100; i++) {
        struct mdio after;
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        int handle = open_all(name);
        assert_int_equal(mdio_dirsync(&disk, ""), 0);
        put(handle, "data", 0);
        mdio_mem_sync_failed(&disk, handle);
        assert_string_equal(content(&disk, name), "data"); /* the cache has it still */
        assert_int_equal(mdio_sync(&disk, handle), 0);
        mdio_mem_crash(&disk, (uint64_t)i, &after);
        bool there = strcmp(content(&after, name), "data") == 0;
        lost += !there;
        kept += there;
        mdio_deinit(&after);
    }
    assert_in_range(lost, 20, 80); /* nor is it gone for certain */
    assert_in_range(kept, 20, 80);
}

/* ---- a small store upon it, as a measure of the model: a file is made under another name, synced,
 * renamed, its folder synced, and then promised. With every step nothing promised is ever lost;
 * with any one left out, some state loses. */
enum step { STEP_SYNC = 1, STEP_DIRSYNC = 2, STEP_ALL = 3 };

static size_t losses(unsigned steps)
{
    size_t lost = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct mdio after;
        setup(NULL);
        int promised = (int)(seed % 5);
        for (int i = 0; i <= promised; i++) {
            char name[16], text[600];
            snprintf(name, sizeof name, "f%d", i);
            memset(text, 'a' + i, sizeof text - 1);
            text[sizeof text - 1] = 0;
            int handle = open_all("tmp");
            put(handle, text, 0);
            if (steps & STEP_SYNC) {
                assert_int_equal(mdio_sync(&disk, handle), 0);
            }
            assert_int_equal(mdio_close(&disk, handle), 0);
            if (i < promised) { /* the last is still on its way */
                assert_int_equal(mdio_rename(&disk, "tmp", name), 0);
                if (steps & STEP_DIRSYNC) {
                    assert_int_equal(mdio_dirsync(&disk, ""), 0);
                }
            }
        }
        mdio_mem_crash(&disk, seed, &after);
        for (int i = 0; i < promised; i++) {
            char name[16];
            snprintf(name, sizeof name, "f%d", i);
            const char *text = content(&after, name);
            lost += text == NULL || strlen(text) != 599 ||
                    strspn(text, (char[]){(char)('a' + i), 0}) != 599;
        }
        mdio_deinit(&after);
        teardown(NULL);
    }
    return lost;
}

static void store_that_syncs_loses_nothing_and_one_that_does_not_loses(void **state)
{
    (void)state;
    assert_int_equal(losses(STEP_ALL), 0);
    assert_in_range(losses(STEP_DIRSYNC), 20, 400);
    assert_in_range(losses(STEP_SYNC), 20, 400);
}

/* ---- threads, as the journal uses it: one writes and adds files, one syncs, one crashes it */
static atomic_bool stop;

static void *write_on(void *argument)
{
    int handle = *(int *)argument;
    for (int i = 0; i < 3000; i++) {
        put(handle, "0123456789", i * 10);
        char name[16];
        snprintf(name, sizeof name, "g%d", i % 7);
        int other = open_all(name);
        assert_int_equal(mdio_close(&disk, other), 0);
        assert_int_equal(mdio_unlink(&disk, name), 0);
    }
    stop = true;
    return NULL;
}

static void *sync_on(void *argument)
{
    int handle = *(int *)argument;
    while (!stop) {
        assert_int_equal(mdio_sync(&disk, handle), 0);
        assert_int_equal(mdio_dirsync(&disk, ""), 0);
    }
    return NULL;
}

static void disk_may_be_used_by_many_threads(void **state)
{
    (void)state;
    pthread_t writer, syncer;
    struct mdio after;
    int handle = open_all("a");
    stop = false;
    assert_int_equal(pthread_create(&writer, NULL, write_on, &handle), 0);
    assert_int_equal(pthread_create(&syncer, NULL, sync_on, &handle), 0);
    for (uint64_t seed = 0; !stop; seed++) {
        mdio_mem_crash(&disk, seed, &after);
        mdio_deinit(&after);
    }
    pthread_join(writer, NULL);
    pthread_join(syncer, NULL);
    assert_int_equal(mdio_sync(&disk, handle), 0);
    assert_int_equal(mdio_dirsync(&disk, ""), 0);
    mdio_mem_crash(&disk, 1, &after);
    int read = mdio_open(&after, "a", MDIO_READ);
    assert_true(mdio_size(&after, read) == 30000);
    mdio_deinit(&after);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(crash_keeps_what_was_synced_with_its_name),
        TEST(crash_may_lose_the_name_of_a_synced_file),
        TEST(crash_may_lose_the_data_behind_a_synced_name),
        TEST(crash_may_keep_a_later_write_and_lose_an_earlier),
        TEST(crash_may_drop_a_write_with_its_size),
        TEST(crash_may_tear_a_write_at_sectors_only),
        TEST(crash_may_undo_truncate_and_punch),
        TEST(crash_keeps_names_up_to_a_point_in_their_order),
        TEST(crash_keeps_a_rename_inside_a_folder_whole),
        TEST(crash_may_undo_an_unlink_until_the_folder_is_synced),
        TEST(crash_may_lose_a_folder_with_all_below),
        TEST(mkdirs_makes_folders_that_survive),
        TEST(crash_is_the_same_for_the_same_seed),
        TEST(crash_leaves_the_disk_itself_unharmed),
        TEST(kill_keeps_all_that_was_written_and_frees_locks),
        TEST(crash_of_a_crash_starts_from_what_was_left),
        TEST(damage_is_there_now_and_after_a_crash),
        TEST(sync_after_a_failed_sync_does_not_bring_the_data_back),
        cmocka_unit_test(store_that_syncs_loses_nothing_and_one_that_does_not_loses),
        TEST(disk_may_be_used_by_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
