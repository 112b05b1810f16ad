/* The writer on a real folder: blocks, segments, group commit, trimming, and the sync thread. */
#include "fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "base/failpoint.h"
#include "journal/segment.h"

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

static void journal_gives_back_what_was_appended(void **state)
{
    (void)state;
    struct journal_config config = fixture_config();
    struct journal *journal = fixture_open(&disk, &config, 1);
    fixture_append_many(journal, 1, 1000, 0);
    assert_int_equal(journal_close(journal), 0);
    struct fixture_read read = fixture_read_all(&disk, 1);
    assert_int_equal(read.stats.records, 1000);
    assert_int_equal(read.first_seq, 1);
    assert_int_equal(read.last_seq, 1000);
    assert_int_equal(read.jumps, 0);
    assert_int_equal(read.wrong, 0);
    assert_int_equal(read.stats.segments, 1);
    assert_int_equal(read.stats.damaged_blocks, 0);
    assert_int_equal(read.stats.torn_tail_bytes, 0);
    assert_int_equal(read.stats.duplicate_blocks, 0);
}

static void journal_file_begins_with_the_bytes_of_the_format(void **state)
{
    (void)state;
    struct journal_config config = fixture_config();
    struct journal *journal = fixture_open(&disk, &config, 0x3e8);
    struct record record = {.time_unix_ns = 0x0102030405060708, .kind = RECORD_TICK};
    assert_int_equal(journal_append(journal, &record, 0), 0);
    assert_int_equal(record.seq, 1000);
    assert_int_equal(journal_close(journal), 0);

    unsigned char bytes[104];
    int handle = mdio_open(&disk, "journal/00000000000003e8.mdj", MDIO_READ);
    assert_true(handle >= 0);
    assert_int_equal(mdio_read_all(&disk, handle, bytes, sizeof bytes, 0), 0);
    mdio_close(&disk, handle);
    assert_memory_equal(bytes, "MDJSEG01test-1\0", 15);
    static const unsigned char rest[20] = {7, 0, 0, 0, 0xe8, 3, 0, 0, 0, 0, 0, 0};
    assert_memory_equal(bytes + 40, rest, 20); /* epoch, first seq, created 0 */
    assert_memory_equal(bytes + 64, "MDJB", 4);
    static const unsigned char raw[4] = {28, 0, 0, 0};
    assert_memory_equal(bytes + 68, raw, 4);
    static const unsigned char block[24] = {1, 0, 0, 0, 0xe8, 3, 0, 0, 0, 0, 0, 0,
                                            8, 7, 6, 5, 4,    3, 2, 1, 1, 0, 0, 0};
    assert_memory_equal(bytes + 76, block, 24); /* count, first seq, time, flags */
}

static void journal_keeps_a_record_larger_than_a_block_in_a_block_alone(void **state)
{
    (void)state;
    static char memory[FIXTURE_RECORD_MAX];
    struct journal_config config = fixture_config();
    struct journal *journal = fixture_open(&disk, &config, 1);
    static const size_t sizes[] = {10, 8192 - 28, 10, 4096, 4096 - 28, 0};
    for (size_t i = 0; i < 6; i++) {
        memset(memory, 'x', sizes[i]);
        struct record record = {.kind = RECORD_RECV, .payload = {memory, sizes[i]}};
        assert_int_equal(journal_append(journal, &record, 0), 0);
    }
    struct record too_big = {.kind = RECORD_RECV, .payload = {memory, 8192 - 27}};
    assert_int_equal(journal_append(journal, &too_big, 0), MD_ETOOBIG);
    assert_int_equal(too_big.seq, 0);
    assert_int_equal(journal_close(journal), 0);

    struct journal_reader *reader;
    assert_int_equal(journal_reader_open(&reader, &disk, "journal", 8192, 0, NULL), 0);
    for (size_t i = 0; i < 6; i++) {
        struct record record;
        assert_int_equal(journal_reader_next(reader, &record, NULL), 1);
        assert_int_equal(record.seq, i + 1);
        assert_int_equal(record.payload.bytes, sizes[i]);
    }
    /* 10 | 8164 | 10 | 4096 | 4068 | 0: a block of 4096 takes none of them beside another, but the
     * 4068 fill one to the byte. */
    assert_int_equal(journal_reader_stats(reader).blocks, 6);
    journal_reader_close(reader);
}

static void journal_created_takes_its_memory_and_touches_no_file_before_it_begins(void **state)
{
    (void)state;
    struct journal_config config = fixture_config();
    struct journal *journal = NULL;
    struct journal_reader *reader = NULL;
    uint64_t found = 0;
    assert_int_equal(journal_create(&journal, &disk, &config, NULL), 0);
    assert_int_equal(segment_find(&disk, "journal", 0, &found), MD_ENOENT);
    assert_int_equal(journal_stats(journal, 0).synced_lag_ns, 0);
    assert_false(journal_failing(journal));
    assert_int_equal(journal_close(journal), 0); /* it never began */
    assert_int_equal(journal_reader_create(&reader, &disk, config.record_bytes_max, NULL), 0);
    assert_int_equal(journal_create(&journal, &disk, &config, NULL), 0);
    alloc_seal(); /* what follows takes nothing */
    assert_int_equal(journal_begin(journal, 7, 3, reader, NULL), 0);
    journal_reader_close(reader);
    fixture_append_many(journal, 7, 5, 0);
    assert_int_equal(journal_close(journal), 0);
    alloc_unseal();
    assert_int_equal(fixture_read_all(&disk, 1).stats.records, 5);
}

/* Blocks of one record a second; `span` skips all but the last few. */
static void reader_skips_to_the_end_of_the_last_segment(void **state)
{
    (void)state;
    struct journal_config config = fixture_config();
    config.sync_ms = 0; /* a block a record */
    struct journal *journal = fixture_open(&disk, &config, 1);
    for (int second = 1; second <= 100; second++) {
        struct record record = {.time_unix_ns = second * NS_PER_S, .kind = RECORD_TICK};
        assert_int_equal(journal_append(journal, &record, 0), 0);
        if (second == 20) {
            assert_int_equal(journal_roll(journal), 0);
        }
    }
    assert_int_equal(journal_close(journal), 0);
    static const struct {
        uint64_t from_seq;
        int64_t span_ns;
        uint64_t first;
    } cases[] = {
        {UINT64_MAX, 0, 99},              /* a mark at each: the one before the last */
        {UINT64_MAX, 3 * NS_PER_S, 96},   /* marks at 21, 24, .. 99 */
        {UINT64_MAX, 500 * NS_PER_S, 21}, /* more than there is: the segment from its start */
        {0, 3 * NS_PER_S, 16},            /* in the first segment, and on to the next */
    };
    struct journal_reader *reader = NULL;
    assert_int_equal(journal_reader_create(&reader, &disk, config.record_bytes_max, NULL), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct record record;
        assert_int_equal(journal_reader_again(reader, "journal", cases[i].from_seq, NULL), 0);
        assert_int_equal(journal_reader_skip(reader, cases[i].span_ns, NULL), 0);
        assert_int_equal(journal_reader_next(reader, &record, NULL), 1);
        assert_int_equal(record.seq, cases[i].first);
        while (journal_reader_next(reader, &record, NULL) == 1) {
        }
        assert_int_equal(journal_reader_last_seq(reader), 100);
        assert_int_equal(journal_reader_last_unix_ns(reader), 100 * NS_PER_S);
        assert_int_equal(journal_reader_stats(reader).damaged_blocks, 0);
    }
    journal_reader_close(reader);
}

static void journal_refuses_settings_out_of_range(void **state)
{
    (void)state;
    for (int i = 0; i < 7; i++) {
        struct journal_config config = fixture_config();
        struct journal *journal = NULL;
        struct err err = {""};
        config.block_bytes = i == 0 ? (256 << 10) + 1 : config.block_bytes;
        config.record_bytes_max = i == 1 ? 27 : i == 2 ? (256 << 20) + 1 : config.record_bytes_max;
        config.zstd_level = i == 3 ? 20 : i == 4 ? -1 : config.zstd_level;
        config.sync_ms = i == 5 ? -1 : config.sync_ms;
        assert_int_equal(journal_open(&journal, &disk, &config, i == 6 ? 0 : 1, &err), MD_EINVAL);
        assert_null(journal);
        assert_true(strncmp(err.text, "journal: ", 9) == 0);
    }
}

static void journal_takes_the_memory_it_says(void **state)
{
    (void)state;
    struct journal_config config = fixture_config();
    config.record_bytes_max = 1 << 20;
    struct journal *journal = fixture_open(&disk, &config, 1);
    size_t said = journal_memory_bytes(&config);
    size_t took = alloc_line_stats(ALLOC_JOURNAL).bytes;
    assert_true(took <= said + 4096);
    assert_true(took + 4096 >= said);
    assert_int_equal(journal_close(journal), 0);
}

static void journal_continues_over_segments_and_runs(void **state)
{
    (void)state;
    struct journal_config config = fixture_config();
    config.segment_bytes = 8000;
    struct journal *journal = fixture_open(&disk, &config, 1);
    fixture_append_many(journal, 2, 500, 0);
    assert_int_equal(journal_close(journal), 0);
    journal = fixture_open(&disk, &config, 501);
    assert_int_equal(journal_next_seq(journal), 501);
    assert_int_equal(journal_synced_seq(journal), 500);
    fixture_append_many(journal, 2, 500, 0);
    assert_true(journal_stats(journal, 0).segments > 3);
    assert_int_equal(journal_close(journal), 0);
    struct fixture_read read = fixture_read_all(&disk, 2);
    assert_int_equal(read.stats.records, 1000);
    assert_int_equal(read.jumps, 0);
    assert_int_equal(read.wrong, 0);
    assert_true(read.stats.segments > 6);
}

static void journal_open_replaces_an_empty_segment_and_refuses_one_with_records(void **state)
{
    (void)state;
    struct journal_config config = fixture_config();
    assert_int_equal(journal_close(fixture_open(&disk, &config, 1)), 0);
    assert_int_equal(journal_close(fixture_open(&disk, &config, 9)), 0);
    struct journal *journal = fixture_open(&disk, &config, 1); /* both are empty: away with them */
    struct fixture_names names;
    fixture_list(&disk, &names);
    assert_int_equal(names.count, 1);
    assert_string_equal(names.names[0], "0000000000000001.mdj");
    fixture_append_many(journal, 3, 20, 0);
    assert_int_equal(journal_close(journal), 0);

    struct err err = {""};
    assert_int_equal(journal_open(&journal, &disk, &config, 1, &err), MD_EINVAL);
    assert_non_null(strstr(err.text, "0000000000000001.mdj"));
    journal = fixture_open(&disk, &config, 21);
    assert_int_equal(journal_close(journal), 0);
    assert_int_equal(fixture_read_all(&disk, 3).stats.records, 20);
}

static void journal_writes_an_old_block_when_polled(void **state)
{
    (void)state;
    struct journal_config config = fixture_config();
    struct journal *journal = fixture_open(&disk, &config, 1);
    fixture_append(journal, 4, 1000 * MS);
    assert_int_equal(journal_stats(journal, 1100 * MS).synced_lag_ns, 100 * MS);
    assert_int_equal(journal_poll(journal, 1199 * MS), 0);
    assert_int_equal(journal_stats(journal, 0).blocks, 0);
    assert_int_equal(journal_poll(journal, 1200 * MS), 0);
    assert_int_equal(journal_stats(journal, 0).blocks, 1);
    assert_int_equal(journal_synced_seq(journal), 0); /* no sync thread here: written, not synced */
    assert_int_equal(journal_sync(journal), 0);
    assert_int_equal(journal_synced_seq(journal), 1);
    assert_int_equal(journal_stats(journal, 9000 * MS).synced_lag_ns, 0);
    /* The same by appending. */
    fixture_append(journal, 4, 2000 * MS);
    fixture_append(journal, 4, 2199 * MS);
    assert_int_equal(journal_stats(journal, 0).blocks, 1);
    fixture_append(journal, 4, 2200 * MS);
    assert_int_equal(journal_stats(journal, 0).blocks, 2);
    assert_int_equal(journal_close(journal), 0);
}

static void journal_with_sync_ms_0_returns_from_append_when_the_record_is_safe(void **state)
{
    (void)state;
    for (int thread = 0; thread < 2; thread++) {
        struct journal_config config = fixture_config();
        config.sync_ms = 0;
        config.sync_thread = thread == 1;
        struct journal *journal = fixture_open(&disk, &config, thread == 1 ? 11 : 1);
        for (int i = 0; i < 10; i++) {
            uint64_t seq = fixture_append(journal, 5, 0);
            assert_int_equal(journal_synced_seq(journal), seq);
            assert_int_equal(journal_wait_synced(journal, seq, 0), 0);
        }
        assert_int_equal(journal_stats(journal, 0).syncs, 10);
        assert_int_equal(journal_close(journal), 0);
    }
    assert_int_equal(fixture_read_all(&disk, 5).stats.records, 20);
}

static void journal_wait_synced_without_a_thread_does_the_sync_itself(void **state)
{
    (void)state;
    struct journal_config config = fixture_config();
    struct journal *journal = fixture_open(&disk, &config, 1);
    fixture_append_many(journal, 6, 3, 0);
    assert_int_equal(journal_wait_synced(journal, 3, 0), 0);
    assert_int_equal(journal_synced_seq(journal), 3);
    assert_int_equal(journal_wait_synced(journal, 4, 0), MD_ETIMEOUT); /* not appended yet */
    assert_int_equal(journal_close(journal), 0);
}

static void journal_rolls_on_request_and_when_full(void **state)
{
    (void)state;
    struct journal_config config = fixture_config();
    config.segment_bytes = 6000;
    struct journal *journal = fixture_open(&disk, &config, 1);
    assert_int_equal(journal_roll(journal), 0); /* nothing in it: nothing to do */
    fixture_append_many(journal, 7, 5, 0);
    assert_int_equal(journal_roll(journal), 0);
    fixture_append_many(journal, 7, 5, 0);
    struct fixture_names names;
    fixture_list(&disk, &names);
    assert_int_equal(names.count, 2);
    assert_string_equal(names.names[1], "0000000000000006.mdj");
    while (!journal_roll_due(journal)) {
        fixture_append(journal, 7, 0);
    }
    journal_roll_later(journal);
    assert_false(journal_roll_due(journal));
    for (int block = 0; !journal_roll_due(journal); block++) {
        assert_true(block < 1000);
        fixture_append(journal, 7, 0);
    }
    fixture_list(&disk, &names);
    assert_int_equal(names.count, 2); /* the segment has gone on */
    uint64_t next = journal_next_seq(journal);
    assert_int_equal(journal_roll(journal), 0);
    assert_false(journal_roll_due(journal));
    fixture_append(journal, 7, 0);
    fixture_list(&disk, &names);
    assert_int_equal(names.count, 3);
    char expected[32];
    snprintf(expected, sizeof expected, "%016llx.mdj", (unsigned long long)next);
    assert_string_equal(names.names[2], expected);
    assert_int_equal(journal_close(journal), 0);
}

/* Segments 1-10, 11-20, 21-30, open one from 31. */
static struct journal *four_segments(void)
{
    struct journal_config config = fixture_config();
    struct journal *journal = fixture_open(&disk, &config, 1);
    for (int i = 0; i < 3; i++) {
        fixture_append_many(journal, 8, 10, 0);
        assert_int_equal(journal_roll(journal), 0);
    }
    assert_int_equal(journal_sync(journal), 0);
    return journal;
}

static void journal_syncs_after_a_roll_of_a_segment_that_was_safe_already(void **state)
{
    (void)state;
    struct journal_config config = fixture_config();
    struct journal *journal = fixture_open(&disk, &config, 1);
    for (int i = 0; i < 12; i++) { /* more than may be open at once */
        fixture_append_many(journal, 14, 3, 0);
        assert_int_equal(journal_sync(journal), 0);
        assert_int_equal(journal_roll(journal), 0);
    }
    assert_int_equal(journal_synced_seq(journal), 36);
    assert_int_equal(journal_close(journal), 0);
    assert_int_equal(fixture_read_all(&disk, 14).stats.records, 36);
}

static void journal_trim_deletes_whole_segments_that_end_before(void **state)
{
    (void)state;
    struct journal *journal = four_segments();
    assert_int_equal(journal_trim(journal, 10, INT64_MAX), 0); /* 10 is in the first */
    assert_int_equal(journal_trim(journal, 11, INT64_MAX), 1);
    assert_int_equal(journal_trim(journal, 30, INT64_MAX), 1);
    assert_int_equal(journal_trim(journal, UINT64_MAX, INT64_MAX), 0); /* no checkpoint behind it */
    fixture_append_many(journal, 8, 1, 0);
    assert_int_equal(journal_sync(journal), 0);
    assert_int_equal(journal_trim(journal, UINT64_MAX, INT64_MAX), 1); /* never the open one */
    struct fixture_names names;
    fixture_list(&disk, &names);
    assert_int_equal(names.count, 1);
    assert_string_equal(names.names[0], "000000000000001f.mdj");
    assert_int_equal(journal_close(journal), 0);
}

static void journal_trim_keeps_segments_that_are_young(void **state)
{
    (void)state;
    struct journal *journal = four_segments();
    /* The last record of the first segment is number 10, at 16e17 + 10 us. */
    int64_t last_ns = 1600000000000010000;
    assert_int_equal(journal_trim(journal, 100, last_ns), 0);
    assert_int_equal(journal_trim(journal, 100, last_ns + 1), 1);
    assert_int_equal(journal_trim(journal, 100, last_ns + 1), 0);
    fixture_append_many(journal, 8, 1, 0);
    assert_int_equal(journal_close(journal), 0);
    /* A segment of another run: the first block behind it says when it ended. */
    struct journal_config config = fixture_config();
    journal = fixture_open(&disk, &config, 32);
    fixture_append_many(journal, 8, 1, 0);
    assert_int_equal(journal_sync(journal), 0);
    assert_int_equal(journal_trim(journal, 100, 1600000000000030001), 2);
    assert_int_equal(journal_trim(journal, 100, 1600000000000032000), 0);
    assert_int_equal(journal_trim(journal, 100, 1600000000000032001), 1);
    assert_int_equal(journal_close(journal), 0);
}

/* After a power cut a name can be back whose file was deleted, or be there without its data. */
static void journal_takes_no_notice_of_a_segment_without_a_good_block(void **state)
{
    (void)state;
    struct journal *journal = four_segments();
    fixture_append_many(journal, 8, 5, 0);
    assert_int_equal(journal_close(journal), 0);
    static const char *const empty[] = {"journal/0000000000000005.mdj",
                                        "journal/000000000000000f.mdj",
                                        "journal/0000000000000022.mdj"};
    char torn[SEGMENT_HEAD_BYTES + BLOCK_HEAD_BYTES] = {0};
    for (size_t i = 0; i < 3; i++) {
        int handle = mdio_open(&disk, empty[i], MDIO_WRITE | MDIO_CREATE | MDIO_EXCLUSIVE);
        assert_true(handle >= 0);
        assert_int_equal(mdio_write_all(&disk, handle, torn, i * 50, 0), 0);
        assert_int_equal(mdio_close(&disk, handle), 0);
    }
    struct fixture_read read = fixture_read_all(&disk, 8);
    assert_int_equal(read.stats.records, 35);
    assert_int_equal(read.wrong + read.jumps, 0);
    assert_int_equal(read.stats.missing_records, 0);
    struct journal_config config = fixture_config();
    journal = fixture_open(&disk, &config, 36);
    assert_int_equal(journal_trim(journal, 10, INT64_MAX), 0); /* 6 to 10 are in the first */
    assert_int_equal(journal_trim(journal, 11, INT64_MAX), 2); /* it, and the one without records */
    assert_int_equal(journal_trim(journal, 20, INT64_MAX), 0);
    assert_int_equal(journal_trim(journal, 35, INT64_MAX), 3);
    assert_int_equal(fixture_read_all(&disk, 8).first_seq, 31);
    assert_int_equal(journal_close(journal), 0);
}

static void journal_reader_begins_with_the_segment_that_holds_from_seq(void **state)
{
    (void)state;
    struct journal *journal = four_segments();
    fixture_append_many(journal, 8, 5, 0);
    assert_int_equal(journal_close(journal), 0);
    static const uint64_t cases[][2] = {{0, 1},   {1, 1},   {10, 1}, {11, 11},
                                        {25, 21}, {31, 31}, {99, 31}};
    for (size_t i = 0; i < 7; i++) {
        struct fixture_read read = fixture_read_path(&disk, "journal", cases[i][0], 8);
        assert_int_equal(read.first_seq, cases[i][1]);
        assert_int_equal(read.last_seq, 35);
        assert_int_equal(read.wrong + read.jumps, 0);
    }
    struct fixture_read one = fixture_read_path(&disk, "journal/000000000000000b.mdj", 0, 8);
    assert_int_equal(one.first_seq, 11);
    assert_int_equal(one.last_seq, 20);
}

static void journal_reader_of_nothing_says_so(void **state)
{
    (void)state;
    struct journal_reader *reader = NULL;
    struct record record;
    assert_int_equal(journal_reader_open(&reader, &disk, "journal", 8192, 0, NULL), MD_ENOENT);
    assert_null(reader);
    assert_int_equal(journal_reader_open(&reader, &disk, "journal/x.mdj", 8192, 0, NULL),
                     MD_ENOENT);
    assert_null(reader);
    assert_true(mdio_mkdir(&disk, "journal") >= 0);
    assert_int_equal(journal_reader_open(&reader, &disk, "journal", 8192, 0, NULL), MD_ENOENT);
    assert_non_null(reader);
    assert_int_equal(journal_reader_next(reader, &record, NULL), 0);
    assert_int_equal(journal_reader_first_seq(reader), 0);
    assert_int_equal(journal_reader_last_seq(reader), 0);
    journal_reader_close(reader);
}

static void journal_reader_says_when_a_block_is_larger_than_it_may_read(void **state)
{
    (void)state;
    struct journal_config config = fixture_config();
    config.record_bytes_max = 4 << 20;
    struct journal *journal = fixture_open(&disk, &config, 1);
    static char memory[3 << 20];
    struct fixture_random random = {9};
    for (size_t i = 0; i < sizeof memory; i += 8) {
        store_u64(memory + i, fixture_next(&random));
    }
    for (int i = 0; i < 3; i++) {
        struct record record = {.kind = RECORD_RECV,
                                .payload = {memory, i == 1 ? sizeof memory : 10}};
        assert_int_equal(journal_append(journal, &record, 0), 0);
    }
    assert_int_equal(journal_close(journal), 0);
    struct journal_reader *reader;
    struct record record;
    struct err err = {""};
    assert_int_equal(journal_reader_open(&reader, &disk, "journal", 8192, 0, NULL), 0);
    assert_int_equal(journal_reader_next(reader, &record, &err), 1);
    assert_int_equal(journal_reader_next(reader, &record, &err), MD_ETOOBIG);
    assert_non_null(strstr(err.text, "record 2"));
    assert_int_equal(journal_reader_next(reader, &record, &err), 1);
    assert_int_equal(record.seq, 3);
    assert_int_equal(journal_reader_next(reader, &record, &err), 0);
    journal_reader_close(reader);
}

/* ---- With the sync thread. */

static int64_t mono_ns(void)
{
    return clock_mono_ns(&clock_system);
}

static void pause_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static void journal_thread_syncs_within_sync_ms_of_polling(void **state)
{
    (void)state;
    struct journal_config config = fixture_config();
    config.sync_thread = true;
    config.sync_ms = 20;
    struct journal *journal = fixture_open(&disk, &config, 1);
    int64_t begin_ns = mono_ns();
    fixture_append_many(journal, 10, 3, begin_ns);
    while (journal_synced_seq(journal) < 3 && mono_ns() < begin_ns + 10000 * MS) {
        assert_int_equal(journal_poll(journal, mono_ns()), 0);
        pause_ms(1);
    }
    assert_int_equal(journal_synced_seq(journal), 3);
    assert_true(mono_ns() - begin_ns >= 20 * MS);
    assert_int_equal(journal_close(journal), 0);
    assert_int_equal(fixture_read_all(&disk, 10).stats.records, 3);
}

struct waiter {
    struct journal *journal;
    uint64_t seq;
    int code;
};

static void *wait_for(void *context)
{
    struct waiter *waiter = context;
    waiter->code = journal_wait_synced(waiter->journal, waiter->seq, 20000);
    return NULL;
}

static void journal_wait_synced_from_another_thread_hurries_the_sync(void **state)
{
    (void)state;
    struct journal_config config = fixture_config();
    config.sync_thread = true;
    config.sync_ms = 3600000; /* would take an hour by itself */
    struct journal *journal = fixture_open(&disk, &config, 1);
    fixture_append_many(journal, 11, 5, 0);
    assert_int_equal(journal_wait_synced(journal, 5, 10), MD_ETIMEOUT); /* nobody polls */
    struct waiter waiter = {journal, 5, 1};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_for, &waiter), 0);
    int64_t begin_ns = mono_ns();
    while (journal_synced_seq(journal) < 5 && mono_ns() < begin_ns + 10000 * MS) {
        assert_int_equal(journal_poll(journal, 1), 0); /* the test's time stands still */
        pause_ms(1);
    }
    pthread_join(thread, NULL);
    assert_int_equal(waiter.code, 0);
    assert_int_equal(journal_close(journal), 0);
}

static void journal_thread_keeps_up_over_many_small_segments(void **state)
{
    (void)state;
    struct journal_config config = fixture_config();
    config.sync_thread = true;
    config.sync_ms = 1;
    config.segment_bytes = 20000;
    struct journal *journal = fixture_open(&disk, &config, 1);
    uint64_t appended = 0;
    static char memory[FIXTURE_RECORD_MAX];
    while (appended < 20000) {
        struct record record = fixture_make(12, journal_next_seq(journal), memory);
        int code = journal_append(journal, &record, mono_ns());
        assert_true(code == 0 || code == MD_EFULL);
        appended += code == 0;
        assert_true(journal_synced_seq(journal) < journal_next_seq(journal));
        if (code == 0 && record.seq % 1024 == 0) {
            (void)journal_stats(journal, mono_ns());
            assert_true(journal_trim(journal, journal_synced_seq(journal) / 2, INT64_MAX) >= 0);
        }
        if (code != 0) {
            pause_ms(1);
        }
    }
    assert_int_equal(journal_sync(journal), 0);
    assert_int_equal(journal_synced_seq(journal), 20000);
    assert_int_equal(journal_close(journal), 0);
    struct fixture_read read = fixture_read_all(&disk, 12);
    assert_int_equal(read.last_seq, 20000);
    assert_int_equal(read.jumps + read.wrong, 0);
}

/* ---- Killed at the named steps (faults.md row 2). */

/* In a child: appends, syncs, rolls, trims; tells what was promised and trimmed through the pipe.
 */
static void work_until_killed(const char *failpoint, int out)
{
    struct journal_config config = fixture_config();
    setenv("MD_FAILPOINT", failpoint, 1);
    if (!failpoint_init()) {
        _exit(9);
    }
    struct journal *journal = fixture_open(&disk, &config, 1);
    for (int i = 0; i < 400; i++) {
        fixture_append(journal, 13, 0);
        if (i % 7 == 6) {
            (void)journal_sync(journal);
            uint64_t promise[2] = {journal_synced_seq(journal), 0};
            if (i % 35 == 34) {
                (void)journal_roll(journal);
                promise[1] = promise[0] / 2;
            }
            (void)!write(out, promise, sizeof promise);
            if (promise[1] > 0) {
                (void)journal_trim(journal, promise[1] + 1, INT64_MAX);
            }
        }
    }
    _exit(0);
}

static void journal_loses_nothing_promised_when_killed_at_a_named_step(void **state)
{
    (void)state;
    static const char *const steps[] = {"journal_after_write", "journal_after_sync",
                                        "journal_before_trim"};
    static struct fixture_names names;
    int kills = 0;
    for (int i = 0; i < 60; i++) {
        char failpoint[64];
        int ends[2];
        int status = 0;
        uint64_t promise[2];
        uint64_t promised = 0;
        uint64_t trimmed = 0;
        snprintf(failpoint, sizeof failpoint, "%s:%d", steps[i % 3], i / 3 + 1);
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            work_until_killed(failpoint, ends[1]);
        }
        close(ends[1]);
        while (read(ends[0], promise, sizeof promise) == (ssize_t)sizeof promise) {
            promised = promise[0];
            trimmed = promise[1] > trimmed ? promise[1] : trimmed;
        }
        close(ends[0]);
        assert_true(waitpid(child, &status, 0) == child);
        bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        assert_true(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
        kills += killed;
        struct fixture_read read = fixture_read_all(&disk, 13);
        assert_true(read.last_seq >= promised);
        assert_int_equal(read.jumps + read.wrong, 0);
        if (promised > 0) {
            assert_true(read.first_seq <= trimmed + 1);
        }
        fixture_list(&disk, &names);
        for (size_t n = 0; n < names.count; n++) {
            char path[128];
            snprintf(path, sizeof path, "journal/%s", names.names[n]);
            assert_int_equal(mdio_unlink(&disk, path), 0);
        }
    }
    assert_true(kills > 40);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(journal_gives_back_what_was_appended),
        TEST(journal_file_begins_with_the_bytes_of_the_format),
        TEST(journal_keeps_a_record_larger_than_a_block_in_a_block_alone),
        TEST(journal_created_takes_its_memory_and_touches_no_file_before_it_begins),
        TEST(reader_skips_to_the_end_of_the_last_segment),
        TEST(journal_refuses_settings_out_of_range),
        TEST(journal_takes_the_memory_it_says),
        TEST(journal_continues_over_segments_and_runs),
        TEST(journal_open_replaces_an_empty_segment_and_refuses_one_with_records),
        TEST(journal_writes_an_old_block_when_polled),
        TEST(journal_with_sync_ms_0_returns_from_append_when_the_record_is_safe),
        TEST(journal_wait_synced_without_a_thread_does_the_sync_itself),
        TEST(journal_rolls_on_request_and_when_full),
        TEST(journal_syncs_after_a_roll_of_a_segment_that_was_safe_already),
        TEST(journal_trim_deletes_whole_segments_that_end_before),
        TEST(journal_trim_keeps_segments_that_are_young),
        TEST(journal_takes_no_notice_of_a_segment_without_a_good_block),
        TEST(journal_reader_begins_with_the_segment_that_holds_from_seq),
        TEST(journal_reader_of_nothing_says_so),
        TEST(journal_reader_says_when_a_block_is_larger_than_it_may_read),
        TEST(journal_thread_syncs_within_sync_ms_of_polling),
        TEST(journal_wait_synced_from_another_thread_hurries_the_sync),
        TEST(journal_thread_keeps_up_over_many_small_segments),
        TEST(journal_loses_nothing_promised_when_killed_at_a_named_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
