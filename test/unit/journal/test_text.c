/* journal cat and journal load: text out, text in, and what a load refuses. */
#include "fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/types.h>

static struct mdio disk;
static char folder[256];

static int setup(void **state)
{
    (void)state;
    fixture_folder(&disk, folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_folder_remove(&disk, folder);
    fixture_no_leak();
    return 0;
}

/* A file that is gone when it is closed. */
static int scratch_file(void)
{
    char path[300];
    snprintf(path, sizeof path, "%s/scratch-XXXXXX", folder);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    return fd;
}

static int file_with(const char *text, size_t bytes)
{
    int fd = scratch_file();
    assert_true(write(fd, text, bytes) == (ssize_t)bytes);
    assert_true(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static struct journal *open_at(uint64_t first_seq)
{
    struct journal_config config = fixture_config();
    return fixture_open(&disk, &config, first_seq);
}

static struct journal_text_stats load_text(const char *text, size_t bytes, bool strict,
                                           int expected, struct err *err)
{
    struct journal_text_stats stats;
    int fd = file_with(text, bytes);
    struct journal *journal = open_at(1);
    assert_int_equal(journal_load(journal, fd, strict, &stats, err), expected);
    assert_int_equal(journal_synced_seq(journal) + 1, journal_next_seq(journal));
    assert_int_equal(journal_close(journal), 0);
    close(fd);
    return stats;
}

static struct journal_text_stats cat_into(int fd)
{
    struct journal_text_stats stats;
    struct journal_reader *reader = NULL;
    assert_int_equal(journal_reader_open(&reader, &disk, "journal", FIXTURE_RECORD_MAX, 0, NULL),
                     0);
    assert_int_equal(journal_cat(reader, fd, &stats, NULL), 0);
    journal_reader_close(reader);
    return stats;
}

static char *cat_text(size_t *bytes)
{
    int fd = scratch_file();
    (void)cat_into(fd);
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = malloc((size_t)size + 1);
    assert_non_null(text);
    assert_true(pread(fd, text, (size_t)size, 0) == size);
    text[size] = '\0';
    *bytes = (size_t)size;
    close(fd);
    return text;
}

static void assert_cat(const char *expected)
{
    size_t bytes;
    char *text = cat_text(&bytes);
    assert_string_equal(text, expected);
    free(text);
}

static void journal_load_and_cat_keep_lines_as_they_are(void **state)
{
    (void)state;
    static const char text[] =
        "1633998512.063356900\t-\t0\tstart\trec-1 0.1.0\t\n"
        "1633998512.063356900\t-\t0\tconfig\t\tbooks=1\\nlevels=20\\n\n"
        "1633998512.100000000\tbinance\t1\topen\twss://stream.binance.com:9443/stream\t\n"
        "1633998512.200000000\tbinance\t1\tsent\t\t{\"method\":\"SUBSCRIBE\"}\n"
        "1633998512.300000000\tbinance\t1\trecv\t\t{\"stream\":\"x\",\"data\":\"\\\\u00e9\"}\n"
        "1633998512.300000001\tbinance\t2\trecv-hex\t\t00ff0a09\n"
        "1633998512.400000000\tbinance\t0\trest\tGET http://x/depth 200\t{\"a\":\\t1}\n"
        "1633998513.000000000\t-\t0\ttick\t\t\n"
        "1633998513.000000000\tkucoin\t3\tdrop\t7 trade 1 2\t\n"
        "1633998514.000000000\tbinance\t1\tclose\t1006 gone\t\n"
        "1633998514.000000000\t-\t0\tstate\t\tbinary\x01\x02\xff\n"
        "1633998515.000000000\t-\t0\tstop\t\t\n";
    struct err err = {""};
    struct journal_text_stats stats = load_text(text, sizeof text - 1, true, 0, &err);
    assert_int_equal(stats.records, 12);
    assert_int_equal(stats.lines_skipped, 0);
    assert_int_equal(stats.lines_refused, 0);
    assert_string_equal(err.text, "");
    assert_cat(text);
}

static void journal_load_skips_and_counts_comments_and_blank_lines(void **state)
{
    (void)state;
    static const char text[] =
        "# a recording\n\n1\t-\t0\ttick\r\n\n2\t-\t0\ttick"; /* no last newline */
    struct journal_text_stats stats = load_text(text, sizeof text - 1, true, 0, NULL);
    assert_int_equal(stats.records, 2);
    assert_int_equal(stats.lines_skipped, 3);
    assert_cat("1.000000000\t-\t0\ttick\t\t\n2.000000000\t-\t0\ttick\t\t\n");
}

static void journal_load_refuses_wrong_lines_with_their_number_and_goes_on(void **state)
{
    (void)state;
    static const char text[] = "1\t-\t0\ttick\n"
                               "2\tnowhere\t0\ttick\n"
                               "3\t-\t0\ttick\n"
                               "2.5\t-\t0\ttick\n"
                               "4\t-\t0\ttick\n";
    struct err err = {""};
    struct journal_text_stats stats = load_text(text, sizeof text - 1, false, 0, &err);
    assert_int_equal(stats.records, 3);
    assert_int_equal(stats.lines_refused, 2);
    assert_string_equal(err.text, "line 2: record: exchange: unknown: \"nowhere\"");
    assert_cat("1.000000000\t-\t0\ttick\t\t\n3.000000000\t-\t0\ttick\t\t\n"
               "4.000000000\t-\t0\ttick\t\t\n");
}

static void journal_load_strict_ends_at_the_first_wrong_line(void **state)
{
    (void)state;
    static const char text[] = "1\t-\t0\ttick\n0.5\t-\t0\ttick\n3\t-\t0\ttick\n";
    struct err err = {""};
    struct journal_text_stats stats = load_text(text, sizeof text - 1, true, MD_EPARSE, &err);
    assert_int_equal(stats.records, 1);
    assert_int_equal(stats.lines_refused, 1);
    assert_string_equal(err.text,
                        "line 2: time: 0.500 s before the line above: sort the lines by time");
    assert_cat("1.000000000\t-\t0\ttick\t\t\n");
}

/* record_bytes_max is 8192 here: lines up to 2 * 8192 + 128 bytes. */
static void journal_load_refuses_lines_longer_than_twice_the_largest_record(void **state)
{
    (void)state;
    static const size_t lengths[] = {16511, 16512, 16513, 300000, 1000000};
    static char text[1100000];
    for (size_t i = 0; i < 5; i++) {
        struct err err = {""};
        size_t bytes = (size_t)sprintf(text, "1\t-\t0\ttick\n#");
        memset(text + bytes, 'c', lengths[i] - 1);
        bytes += lengths[i] - 1;
        bytes += (size_t)sprintf(text + bytes, "\n2\t-\t0\ttick\n");
        struct journal_text_stats stats = load_text(text, bytes, false, 0, &err);
        assert_int_equal(stats.records, 2);
        assert_int_equal(stats.lines_skipped, i < 2);
        assert_int_equal(stats.lines_refused, i >= 2);
        assert_string_equal(err.text, i < 2 ? "" : "line 2: longer than 16512 bytes");
        assert_cat("1.000000000\t-\t0\ttick\t\t\n2.000000000\t-\t0\ttick\t\t\n");
        assert_int_equal(mdio_unlink(&disk, "journal/0000000000000001.mdj"), 0);
    }
    /* The same as the last line, cut off. */
    struct err err = {""};
    size_t bytes = (size_t)sprintf(text, "1\t-\t0\ttick\n#");
    memset(text + bytes, 'c', 600000);
    struct journal_text_stats stats = load_text(text, bytes + 600000, true, MD_ETOOBIG, &err);
    assert_int_equal(stats.records, 1);
    assert_string_equal(err.text, "line 2: longer than 16512 bytes");
}

static void journal_load_refuses_a_record_above_the_limit_and_goes_on(void **state)
{
    (void)state;
    static char text[20000];
    size_t bytes = (size_t)sprintf(text, "1\tbinance\t1\trecv\t\t");
    memset(text + bytes, 'x', 8165); /* with the head of 28: 8193 */
    bytes += 8165;
    bytes += (size_t)sprintf(text + bytes, "\n2\t-\t0\ttick\n");
    struct err err = {""};
    struct journal_text_stats stats = load_text(text, bytes, false, 0, &err);
    assert_int_equal(stats.records, 1);
    assert_int_equal(stats.lines_refused, 1);
    assert_string_equal(err.text, "line 1: a record of 8193 bytes, at most 8192 are kept");
}

static void journal_load_splits_a_large_rest_body_into_parts(void **state)
{
    (void)state;
    struct journal_config config = fixture_config();
    config.record_bytes_max = 1 << 20;
    static const size_t sizes[] = {32768, 32769, 100000};
    static const size_t parts[] = {0, 1, 3};
    static char text[110000];
    for (size_t i = 0; i < 3; i++) {
        struct journal_text_stats stats;
        struct record record;
        size_t bytes = (size_t)sprintf(text, "1\tbinance\t0\trest\tGET http://x 200\t");
        size_t body = bytes;
        for (size_t b = 0; b < sizes[i]; b++) {
            text[bytes++] = (char)('a' + b % 26);
        }
        int fd = file_with(text, bytes);
        struct journal *journal = fixture_open(&disk, &config, 1);
        assert_int_equal(journal_load(journal, fd, true, &stats, NULL), 0);
        assert_int_equal(stats.records, 1);
        assert_int_equal(journal_close(journal), 0);
        close(fd);
        struct journal_reader *reader = NULL;
        size_t at = 0;
        assert_int_equal(journal_reader_open(&reader, &disk, "journal", 1 << 20, 0, NULL), 0);
        for (size_t part = 0; part <= parts[i]; part++) {
            assert_int_equal(journal_reader_next(reader, &record, NULL), 1);
            assert_int_equal(record.kind, part < parts[i] ? RECORD_REST_PART : RECORD_REST);
            assert_true(str_equal(record.arg, STR("GET http://x 200")));
            assert_int_equal(record.payload.bytes, part < parts[i] ? 32768 : sizes[i] - at);
            assert_memory_equal(record.payload.data, text + body + at, record.payload.bytes);
            at += record.payload.bytes;
        }
        assert_int_equal(journal_reader_next(reader, &record, NULL), 0);
        journal_reader_close(reader);
        assert_int_equal(mdio_unlink(&disk, "journal/0000000000000001.mdj"), 0);
    }
}

/* Writes text into a pipe a few bytes at a time. */
struct feeder {
    const char *text;
    size_t bytes;
    size_t step;
    int fd;
};

static void *feed(void *context)
{
    struct feeder *feeder = context;
    size_t at = 0;
    while (at < feeder->bytes) {
        size_t n = feeder->bytes - at < feeder->step ? feeder->bytes - at : feeder->step;
        ssize_t written = write(feeder->fd, feeder->text + at, n);
        if (written <= 0) {
            break;
        }
        at += (size_t)written;
    }
    close(feeder->fd);
    return NULL;
}

static void journal_load_of_cat_gives_the_same_records_through_pipes_of_any_step(void **state)
{
    (void)state;
    struct fixture_random random = {77};
    static char payload[3000];
    struct journal *journal = open_at(1);
    for (int i = 0; i < 400; i++) {
        size_t payload_bytes = fixture_below(&random, 50) == 0 ? fixture_below(&random, 3000)
                                                               : fixture_below(&random, 60);
        size_t arg_bytes = fixture_below(&random, 20);
        for (size_t b = 0; b < payload_bytes + arg_bytes; b++) {
            payload[b % sizeof payload] = (char)fixture_next(&random);
        }
        struct record record = {.time_unix_ns = i * 1000003,
                                .kind = (enum record_kind)(1 + fixture_below(&random, 13)),
                                .venue = (enum venue_id)fixture_below(&random, 7),
                                .conn = (uint32_t)fixture_next(&random),
                                .arg = {payload, arg_bytes},
                                .payload = {payload, payload_bytes}};
        assert_int_equal(journal_append(journal, &record, 0), 0);
    }
    assert_int_equal(journal_close(journal), 0);
    size_t bytes;
    char *text = cat_text(&bytes);
    assert_int_equal(mdio_unlink(&disk, "journal/0000000000000001.mdj"), 0);
    static const size_t steps[] = {1, 7, 4096, 1 << 20};
    for (size_t i = 0; i < 4; i++) {
        int ends[2];
        struct journal_text_stats stats;
        assert_int_equal(pipe(ends), 0);
        struct feeder feeder = {text, bytes, steps[i], ends[1]};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, feed, &feeder), 0);
        journal = open_at(1);
        assert_int_equal(journal_load(journal, ends[0], true, &stats, NULL), 0);
        assert_int_equal(stats.records, 400);
        assert_int_equal(journal_close(journal), 0);
        pthread_join(thread, NULL);
        close(ends[0]);
        size_t again_bytes;
        char *again = cat_text(&again_bytes);
        assert_int_equal(again_bytes, bytes);
        assert_memory_equal(again, text, bytes);
        free(again);
        assert_int_equal(mdio_unlink(&disk, "journal/0000000000000001.mdj"), 0);
    }
    free(text);
}

static void journal_cat_says_when_it_cannot_write(void **state)
{
    (void)state;
    struct journal *journal = open_at(1);
    fixture_append_many(journal, 3, 5000, 0);
    assert_int_equal(journal_close(journal), 0);
    struct journal_text_stats stats;
    struct journal_reader *reader = NULL;
    struct err err = {""};
    int full = open("/dev/full", O_WRONLY);
    assert_true(full >= 0);
    assert_int_equal(journal_reader_open(&reader, &disk, "journal", FIXTURE_RECORD_MAX, 0, NULL),
                     0);
    assert_int_equal(journal_cat(reader, full, &stats, &err), MD_ENOSPC);
    assert_non_null(strstr(err.text, "output"));
    journal_reader_close(reader);
    close(full);
}

static void journal_load_says_when_it_cannot_read(void **state)
{
    (void)state;
    struct journal_text_stats stats;
    struct err err = {""};
    struct journal *journal = open_at(1);
    int fd = open(folder, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    assert_true(journal_load(journal, fd, true, &stats, &err) < 0);
    assert_non_null(strstr(err.text, "input"));
    close(fd);
    assert_int_equal(journal_close(journal), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(journal_load_and_cat_keep_lines_as_they_are),
        TEST(journal_load_skips_and_counts_comments_and_blank_lines),
        TEST(journal_load_refuses_wrong_lines_with_their_number_and_goes_on),
        TEST(journal_load_strict_ends_at_the_first_wrong_line),
        TEST(journal_load_refuses_lines_longer_than_twice_the_largest_record),
        TEST(journal_load_refuses_a_record_above_the_limit_and_goes_on),
        TEST(journal_load_splits_a_large_rest_body_into_parts),
        TEST(journal_load_of_cat_gives_the_same_records_through_pipes_of_any_step),
        TEST(journal_cat_says_when_it_cannot_write),
        TEST(journal_load_says_when_it_cannot_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
