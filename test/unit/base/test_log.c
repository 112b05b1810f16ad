#include "base_fixture.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"

/* 2026-11-23T09:00:01.123Z, and a monotonic clock that the test moves. */
static _Atomic int64_t mono_ns;
static int64_t fake_mono(void *context)
{
    (void)context;
    return mono_ns;
}
static int64_t fake_unix(void *context)
{
    (void)context;
    return 1795424401 * NS_PER_S + 123 * NS_PER_MS;
}
static const struct clock fake_clock = {fake_mono, fake_unix, NULL};

static int fd = -1;
static char output[1 << 20];

static void start(bool json)
{
    mono_ns = 1000 * NS_PER_S;
    if (fd < 0) {
        char path[] = "/tmp/md-log-XXXXXX";
        fd = mkstemp(path);
        assert_true(fd >= 0);
        unlink(path);
    }
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    log_init(fd, LOG_LEVEL_WARN, json, &fake_clock);
}

/* All that was logged since start(). */
static const char *logged(void)
{
    ssize_t n = pread(fd, output, sizeof output - 1, 0);
    assert_true(n >= 0);
    output[n] = 0;
    return output;
}

static size_t lines_logged(void)
{
    size_t lines = 0;
    for (const char *c = logged(); *c != 0; c++) {
        lines += *c == '\n';
    }
    return lines;
}

static void log_line_for_people_is_as_documented(void **state)
{
    (void)state;
    start(false);
    LOG_WARN("ws_closed", "%s: connection %u closed: %s", "binance", 3u, "1006");
    LOG_ERROR("disk_full", "%s", "no space");
    assert_string_equal(logged(),
                        "2026-11-23T09:00:01.123Z warn  ws_closed  binance: connection 3 closed: "
                        "1006\n2026-11-23T09:00:01.123Z error disk_full  no space\n");
}

static void log_line_as_json_is_one_object(void **state)
{
    (void)state;
    start(true);
    LOG_WARN("ws_closed", "say \"hi\" \\ %d", 3);
    assert_string_equal(logged(),
                        "{\"time\":\"2026-11-23T09:00:01.123Z\",\"level\":\"warn\","
                        "\"kind\":\"ws_closed\",\"message\":\"say \\\"hi\\\" \\\\ 3\"}\n");
}

static void log_below_the_level_is_neither_written_nor_counted(void **state)
{
    (void)state;
    start(false);
    LOG_INFO("a", "x");
    LOG_DEBUG("a", "x");
    assert_string_equal(logged(), "");
    assert_true(log_count(LOG_LEVEL_INFO) == 0);
    log_level_set(LOG_LEVEL_DEBUG);
    LOG_INFO("a", "x");
    LOG_DEBUG("a", "x");
    assert_int_equal(lines_logged(), 2);
    assert_true(log_count(LOG_LEVEL_INFO) == 1);
    log_level_set(LOG_LEVEL_ERROR);
    LOG_WARN("a", "x");
    assert_int_equal(lines_logged(), 2);
}

static void log_levels_have_names(void **state)
{
    (void)state;
    assert_int_equal(log_level_parse("error"), LOG_LEVEL_ERROR);
    assert_int_equal(log_level_parse("debug"), LOG_LEVEL_DEBUG);
    assert_int_equal(log_level_parse("WARN"), -1);
    assert_int_equal(log_level_parse(""), -1);
    assert_string_equal(log_level_name(LOG_LEVEL_INFO), "info");
}

static void log_prints_hostile_bytes_escaped_on_one_line(void **state)
{
    (void)state;
    start(false);
    LOG_WARN("k", "%s", "a\nfake line\r\x1b[2J\x7f\xc3\xa4 \\x0A");
    const char *line = strstr(logged(), "k  ");
    assert_non_null(line);
    assert_string_equal(line, "k  a\\x0Afake line\\x0D\\x1B[2J\\x7F\\xC3\\xA4 \\x0A\n");
}

/* Any message, however long and odd, is one whole line, and one whole JSON object. */
static void log_line_of_the_worst_message_is_whole(void **state)
{
    (void)state;
    static const char worst[] = {'\n', '"', '\\', '\xff', 'a'};
    for (int json = 0; json < 2; json++) {
        for (size_t i = 0; i < sizeof worst; i++) {
            char text[3000];
            memset(text, worst[i], sizeof text - 1);
            text[sizeof text - 1] = 0;
            start(json);
            LOG_WARN("k", "%s", text);
            assert_int_equal(lines_logged(), 1);
            assert_true(strlen(logged()) > 1023);
            if (json) {
                json_t *line = json_loads(logged(), 0, NULL);
                assert_non_null(line);
                assert_string_equal(json_string_value(json_object_get(line, "kind")), "k");
                json_decref(line);
            }
        }
    }
}

/* faults.md row 22 */
static void
log_flood_of_one_kind_passes_ten_lines_a_minute_at_most_and_counts_the_rest(void **state)
{
    (void)state;
    start(false);
    size_t lines_before = 0;
    for (int minute = 0; minute < 10; minute++) {
        for (int i = 0; i < 100000; i++) { /* a million in ten minutes */
            LOG_ERROR("flood", "number %d of minute %d", i, minute);
            mono_ns += 60 * NS_PER_S / 100000;
        }
        log_flush_suppressed();
        assert_in_range(lines_logged() - lines_before, 1, 10);
        lines_before = lines_logged();
    }
    assert_true(log_count(LOG_LEVEL_ERROR) == 1000000);
    assert_true(log_suppressed_count() == 1000000 - 10 * 5);
    uint64_t told = 0;
    for (const char *at = logged(); (at = strstr(at, "suppressed ")) != NULL; at++) {
        told += strtoull(at + strlen("suppressed "), NULL, 10);
    }
    for (const char *at = output; (at = strstr(at, "(and ")) != NULL; at++) {
        told += strtoull(at + strlen("(and "), NULL, 10);
    }
    assert_true(told == log_suppressed_count());
}

static void log_tells_the_suppressed_with_the_next_line_that_passes(void **state)
{
    (void)state;
    start(false);
    for (int i = 0; i < 12; i++) {
        LOG_WARN("a", "x");
        LOG_WARN("b", "y");
    }
    assert_int_equal(lines_logged(), 10); /* five of each */
    mono_ns += 61 * NS_PER_S;
    LOG_WARN("a", "x");
    assert_non_null(strstr(logged(), "a  x (and 7 more like it)\n"));
    log_flush_suppressed();
    assert_non_null(strstr(logged(), "b  suppressed 7 more of this kind\n"));
    assert_null(strstr(logged(), "a  suppressed"));
    size_t lines = lines_logged();
    log_flush_suppressed();
    assert_int_equal(lines_logged(), lines); /* told once */
    start(true);
    for (int i = 0; i < 6; i++) {
        LOG_WARN("a", "x");
    }
    mono_ns += 61 * NS_PER_S;
    LOG_WARN("a", "x");
    assert_non_null(strstr(logged(), "\"message\":\"x\",\"suppressed\":1}\n"));
}

static void log_kinds_beyond_the_table_share_one_entry(void **state)
{
    (void)state;
    start(false);
    for (int i = 0; i < LOG_KINDS + 100; i++) {
        char kind[32];
        snprintf(kind, sizeof kind, "kind_%d", i);
        LOG_WARN(kind, "x");
    }
    assert_int_equal(lines_logged(), LOG_KINDS - 1 + LOG_BURST);
    assert_non_null(strstr(logged(), " kind_510  x\n"));
    assert_null(strstr(logged(), " kind_511  x\n"));
    assert_non_null(strstr(logged(), " other  x\n"));
    assert_true(log_suppressed_count() == 101 - LOG_BURST);
}

static void *log_a_lot(void *name)
{
    for (int i = 0; i < 5000; i++) {
        LOG_WARN("shared", "%s %d", (const char *)name, i);
    }
    return NULL;
}

static void log_from_many_threads_counts_each_line(void **state)
{
    (void)state;
    static char names[3][2] = {"a", "b", "c"};
    start(false);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_a_lot, names[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(lines_logged(), 5);
    assert_true(log_count(LOG_LEVEL_WARN) == 15000);
    assert_true(log_suppressed_count() == 14995);
}

static void log_to_a_closed_descriptor_is_not_fatal(void **state)
{
    (void)state;
    start(false);
    log_init(-1, LOG_LEVEL_WARN, false, &fake_clock);
    LOG_WARN("a", "x");
    assert_true(log_count(LOG_LEVEL_WARN) == 1);
}

/* ---- the file */

static char folder[] = "/tmp/md-log-dir-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static size_t bytes_of(const char *name)
{
    struct stat stat_of;
    return stat(path_of(name), &stat_of) == 0 ? (size_t)stat_of.st_size : SIZE_MAX;
}

static void log_goes_to_a_file_that_turns_over_and_keeps_so_many(void **state)
{
    (void)state;
    start(false);
    char path[128];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s", path_of("log"));
    assert_int_equal(log_file_open(path, 200, 2), 0);
    char line[64];
    for (int i = 0; i < 9; i++) { /* of about 74 bytes: two a file */
        snprintf(line, sizeof line, "kind_%d", i);
        log_write(LOG_LEVEL_WARN, line, "%s", "some words that make the line longer ....");
    }
    assert_string_equal(logged(), "");
    size_t whole = bytes_of("log.1");
    assert_in_range(whole, 1, 200);
    assert_int_equal(bytes_of("log.2"), whole);
    assert_int_equal(bytes_of("log"), whole / 2); /* the ninth */
    assert_int_equal(bytes_of("log.3"), SIZE_MAX);
}

static void log_file_moved_away_is_made_again_when_told(void **state)
{
    (void)state;
    start(false);
    char path[128];
    snprintf(path, sizeof path, "%s", path_of("log"));
    assert_int_equal(log_file_open(path, 0, 0), 0);
    size_t before = bytes_of("log");
    assert_int_equal(rename(path, path_of("moved")), 0);
    LOG_WARN("still", "to the moved one");
    assert_true(bytes_of("moved") > before);
    assert_int_equal(bytes_of("log"), SIZE_MAX);
    log_file_reopen();
    LOG_WARN("anew", "to the new one");
    assert_true(bytes_of("log") < before);
}

static void log_file_that_cannot_be_opened_leaves_the_lines_to_the_descriptor(void **state)
{
    (void)state;
    start(false);
    char path[128];
    snprintf(path, sizeof path, "%s", path_of("link"));
    assert_int_equal(symlink("moved", path), 0);
    assert_true(log_file_open(path, 0, 0) < 0); /* no link is followed */
    LOG_WARN("kept", "here");
    assert_non_null(strstr(logged(), "kept  here"));
    char remove[160];
    snprintf(remove, sizeof remove, "rm -r %s", folder);
    assert_int_equal(system(remove), 0);
}

static void log_to_journald_has_priorities_and_no_time(void **state)
{
    (void)state;
    start(false);
    struct stat stat_of;
    char stream[64];
    assert_int_equal(fstat(fd, &stat_of), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)stat_of.st_dev,
             (unsigned long long)stat_of.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_init(fd, LOG_LEVEL_INFO, false, &fake_clock);
    LOG_ERROR("a", "one");
    LOG_WARN("b", "two");
    LOG_INFO("c", "three");
    assert_string_equal(logged(), "<3>a  one\n<4>b  two\n<6>c  three\n");
    setenv("JOURNAL_STREAM", "1:1", 1);
    start(false);
    LOG_WARN("b", "two");
    assert_string_equal(logged(), "2026-11-23T09:00:01.123Z warn  b  two\n");
    unsetenv("JOURNAL_STREAM");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_line_for_people_is_as_documented),
        cmocka_unit_test(log_line_as_json_is_one_object),
        cmocka_unit_test(log_below_the_level_is_neither_written_nor_counted),
        cmocka_unit_test(log_levels_have_names),
        cmocka_unit_test(log_prints_hostile_bytes_escaped_on_one_line),
        cmocka_unit_test(log_line_of_the_worst_message_is_whole),
        cmocka_unit_test(
            log_flood_of_one_kind_passes_ten_lines_a_minute_at_most_and_counts_the_rest),
        cmocka_unit_test(log_tells_the_suppressed_with_the_next_line_that_passes),
        cmocka_unit_test(log_kinds_beyond_the_table_share_one_entry),
        cmocka_unit_test(log_from_many_threads_counts_each_line),
        cmocka_unit_test(log_to_a_closed_descriptor_is_not_fatal),
        cmocka_unit_test(log_goes_to_a_file_that_turns_over_and_keeps_so_many),
        cmocka_unit_test(log_file_moved_away_is_made_again_when_told),
        cmocka_unit_test(log_file_that_cannot_be_opened_leaves_the_lines_to_the_descriptor),
        cmocka_unit_test(log_to_journald_has_priorities_and_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
