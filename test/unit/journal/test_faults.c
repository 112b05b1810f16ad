/* Failing and slow disks (faults.md rows 5 to 7): the n-th call fails, for every n; the disk is
 * full and comes back; a sync takes long. No crash, no leak, every record taken or refused, what
 * was promised is there. */
#include "fixture.h"
#include "spy.h"

#include <pthread.h>
#include <time.h>

#include "journal/segment.h"
#include "journal/writer.h"

#define SALT 31

/* A disk in memory behind a fault injector behind a spy (which counts open handles). */
struct stack {
    struct mdio memory;
    struct mdio_faults faults;
    struct mdio faulty;
    struct spy spy;
    struct mdio disk;
};

static void stack_open(struct stack *stack)
{
    memset(stack, 0, sizeof *stack);
    assert_int_equal(mdio_mem_open(&stack->memory), 0);
    assert_int_equal(mdio_faulty_open(&stack->faulty, &stack->memory, &stack->faults), 0);
    stack->spy.inner = &stack->faulty;
    stack->disk = spy_disk(&stack->spy);
}

static void stack_close(struct stack *stack)
{
    assert_int_equal(stack->spy.handles_open, 0);
    mdio_deinit(&stack->faulty);
    mdio_deinit(&stack->memory);
    fixture_no_leak();
}

static struct journal_config small_config(void)
{
    struct journal_config config = fixture_config();
    config.block_bytes = 1500;
    config.segment_bytes = 8000;
    config.unsynced_bytes = 30000;
    return config;
}

struct outcome {
    bool opened;
    uint64_t taken, refused;
    uint64_t promised;
    uint64_t trimmed;
    int close_code;
};

static struct outcome workload(struct mdio *disk)
{
    static char memory[FIXTURE_RECORD_MAX];
    struct outcome outcome = {0};
    struct journal_config config = small_config();
    struct journal *journal = NULL;
    if (journal_open(&journal, disk, &config, 1, NULL) != 0) {
        assert_null(journal);
        return outcome;
    }
    outcome.opened = true;
    for (int i = 0; i < 300; i++) {
        int64_t now_ns = i * 10 * MS;
        struct record record = fixture_make(SALT, journal_next_seq(journal), memory);
        if (journal_append(journal, &record, now_ns) == 0) {
            outcome.taken++;
            assert_true(record.seq == outcome.taken);
        } else {
            outcome.refused++;
        }
        if (i % 20 == 19) {
            (void)journal_sync(journal);
        }
        if (i % 45 == 44) {
            (void)journal_roll(journal);
        }
        if (i == 200 && journal_synced_seq(journal) > 100) {
            outcome.trimmed = 80;
            (void)journal_trim(journal, 81, INT64_MAX);
        }
    }
    outcome.promised = journal_synced_seq(journal);
    outcome.close_code = journal_close(journal);
    if (outcome.close_code == 0) {
        outcome.promised = outcome.taken;
    }
    return outcome;
}

/* All promised records are in what a power cut leaves, and they are right. */
static void check_promise(const struct stack *stack, uint64_t seed, const struct outcome *outcome)
{
    struct mdio after;
    memset(&after, 0, sizeof after);
    assert_int_equal(mdio_mem_crash(&stack->memory, seed, &after), 0);
    struct fixture_read read = fixture_read_all(&after, SALT);
    assert_int_equal(read.wrong, 0);
    assert_true(read.last_seq >= outcome->promised);
    assert_true(read.last_seq <= outcome->taken);
    if (read.last_seq > 0 && read.last_seq == outcome->promised) {
        assert_int_equal(read.jumps, 0);
        assert_true(read.first_seq <= outcome->trimmed + 1);
    }
    mdio_deinit(&after);
}

/* The n-th call fails for n = 1, 2, ... until a run has fewer calls, at most 500. Returns how many.
 */
static uint64_t fail_each(enum mdio_call call, int code, size_t short_bytes, bool forever)
{
    for (uint64_t n = 1; n <= 500; n++) {
        struct stack stack;
        stack_open(&stack);
        stack.faults.fail_call = call;
        stack.faults.fail_at = n;
        stack.faults.fail_code = code;
        stack.faults.write_short_bytes = short_bytes;
        stack.faults.fail_forever = forever;
        struct outcome outcome = workload(&stack.disk);
        if (outcome.opened) {
            assert_int_equal(outcome.taken + outcome.refused, 300);
        }
        if (!forever && outcome.opened) {
            /* One failure is made good, whatever it hit. */
            assert_int_equal(outcome.close_code, 0);
            assert_int_equal(outcome.refused, 0);
        }
        check_promise(&stack, n, &outcome);
        bool clean = stack.faults.calls[call == MDIO_CALL_ANY ? 0 : call] < n &&
                     (call != MDIO_CALL_ANY || stack.faults.calls_total < n);
        if (clean) {
            assert_true(outcome.opened);
            assert_int_equal(outcome.refused, 0);
        }
        stack_close(&stack);
        if (clean) {
            return n;
        }
    }
    return 500;
}

static void journal_keeps_its_promise_when_the_nth_write_fails(void **state)
{
    (void)state;
    assert_true(fail_each(MDIO_CALL_WRITE, MD_EIO, 0, false) > 20);
    assert_true(fail_each(MDIO_CALL_WRITE, MD_ENOSPC, 100, false) > 20);
    assert_true(fail_each(MDIO_CALL_WRITE, MD_ENOSPC, 100, true) > 20);
}

static void journal_keeps_its_promise_when_the_nth_sync_fails(void **state)
{
    (void)state;
    assert_true(fail_each(MDIO_CALL_SYNC, MD_EIO, 0, false) > 10);
    assert_true(fail_each(MDIO_CALL_SYNC, MD_EIO, 0, true) > 10);
    assert_true(fail_each(MDIO_CALL_DIRSYNC, MD_EIO, 0, false) > 5);
    assert_true(fail_each(MDIO_CALL_DIRSYNC, MD_EIO, 0, true) > 5);
}

static void journal_keeps_its_promise_when_the_nth_open_or_unlink_fails(void **state)
{
    (void)state;
    assert_true(fail_each(MDIO_CALL_OPEN, MD_EMFILE, 0, false) > 5);
    assert_true(fail_each(MDIO_CALL_OPEN, MD_EIO, 0, true) > 5);
    assert_true(fail_each(MDIO_CALL_UNLINK, MD_EIO, 0, false) > 1);
    assert_true(fail_each(MDIO_CALL_MKDIR, MD_EACCES, 0, false) > 1);
    assert_true(fail_each(MDIO_CALL_RENAME, MD_EIO, 0, false) >= 1); /* it renames nothing */
}

static void journal_keeps_its_promise_when_the_nth_call_fails(void **state)
{
    (void)state;
    assert_true(fail_each(MDIO_CALL_ANY, MD_EIO, 0, false) > 40);
    assert_true(fail_each(MDIO_CALL_ANY, MD_EIO, 0, true) > 40);
}

static void journal_open_gives_back_its_memory_when_the_nth_allocation_fails(void **state)
{
    (void)state;
    struct stack stack;
    stack_open(&stack);
    struct journal_config config = small_config();
    uint64_t n = 1;
    for (;; n++) {
        struct journal *journal = NULL;
        alloc_fail_at(n);
        int code = journal_open(&journal, &stack.disk, &config, 1, NULL);
        alloc_fail_at(0);
        if (code == 0) {
            assert_int_equal(journal_close(journal), 0);
            break;
        }
        assert_int_equal(code, MD_ENOMEM);
        assert_null(journal);
        fixture_no_leak();
        assert_true(n < 50);
    }
    assert_true(n > 4);
    stack_close(&stack);
}

static void journal_on_a_full_disk_takes_into_memory_then_refuses_then_recovers(void **state)
{
    (void)state;
    static char memory[FIXTURE_RECORD_MAX];
    struct stack stack;
    stack_open(&stack);
    struct journal_config config = small_config();
    struct journal *journal = fixture_open(&stack.disk, &config, 1);
    fixture_append_many(journal, SALT, 50, 0);
    assert_int_equal(journal_sync(journal), 0);
    assert_false(journal_failing(journal));

    stack.faults.fail_call = MDIO_CALL_WRITE;
    stack.faults.fail_at = 1;
    stack.faults.fail_forever = true;
    stack.faults.fail_code = MD_ENOSPC;
    stack.faults.write_short_bytes = 10;
    uint64_t taken = 0;
    int code = 0;
    while (code == 0) {
        struct record record = fixture_make(SALT, journal_next_seq(journal), memory);
        code = journal_append(journal, &record, 0);
        taken += code == 0;
        assert_true(taken < 5000);
    }
    assert_int_equal(code, MD_ENOSPC);
    assert_true(taken > 100); /* the ring of 30000 bytes was filled first */
    assert_true(journal_failing(journal));
    assert_int_equal(journal_poll(journal, 0), MD_ENOSPC);
    assert_int_equal(journal_sync(journal), MD_ENOSPC);
    assert_int_equal(journal_next_seq(journal), 51 + taken);
    assert_int_equal(journal_synced_seq(journal), 50);

    stack.faults.fail_at = 0;
    stack.faults.fail_forever = false;
    fixture_append_many(journal, SALT, 10, 0);
    assert_false(journal_failing(journal));
    assert_int_equal(journal_close(journal), 0);
    struct fixture_read read = fixture_read_all(&stack.disk, SALT);
    assert_int_equal(read.stats.records, 60 + taken);
    assert_int_equal(read.wrong + read.jumps, 0);
    assert_int_equal(read.stats.skipped_bytes + read.stats.torn_tail_bytes, 0);
    stack_close(&stack);
}

/* A segment that begins because a sync failed has no checkpoint at its start: the older segments,
 * one of which has the last, stay until the caller has begun one of its own (seed 188 of `make
 * sim`). */
static void journal_keeps_the_last_checkpoint_after_a_failed_fsync(void **state)
{
    (void)state;
    struct stack stack;
    stack_open(&stack);
    struct journal_config config = small_config();
    struct journal *journal = fixture_open(&stack.disk, &config, 1);
    fixture_append_many(journal, SALT, 5, 0);
    assert_int_equal(journal_sync(journal), 0);
    fixture_append_many(journal, SALT, 3, 0);
    stack.spy.sync_fail_in = 1;
    assert_int_equal(journal_sync(journal), 0);
    assert_int_equal(journal_trim(journal, UINT64_MAX, INT64_MAX), 0);
    assert_true(journal_roll_due(journal));
    assert_int_equal(journal_roll(journal), 0); /* the caller's checkpoint comes now */
    fixture_append_many(journal, SALT, 1, 0);
    assert_int_equal(journal_sync(journal), 0);
    /* 8 is in the segment without: replay must begin before it (seed 244) */
    assert_int_equal(journal_trim(journal, 8, INT64_MAX), 0);
    assert_int_equal(journal_trim(journal, UINT64_MAX, INT64_MAX), 2);
    assert_int_equal(journal_close(journal), 0);
    stack_close(&stack);
}

/* What stands in a file after a failed fsync is not believed: the tail goes into a new segment. */
static void journal_writes_the_unsynced_tail_again_after_a_failed_fsync(void **state)
{
    (void)state;
    struct stack stack;
    stack_open(&stack);
    struct journal_config config = small_config();
    struct journal *journal = fixture_open(&stack.disk, &config, 1);
    fixture_append_many(journal, SALT, 5, 0);
    assert_int_equal(journal_sync(journal), 0);
    fixture_append_many(journal, SALT, 3, 0);
    stack.spy.sync_fail_in = 1; /* from then on that handle says yes and does nothing */
    assert_int_equal(journal_sync(journal), 0);
    assert_int_equal(journal_synced_seq(journal), 8);
    assert_false(journal_failing(journal));
    struct fixture_names names;
    fixture_list(&stack.disk, &names);
    assert_int_equal(names.count, 2);
    assert_string_equal(names.names[1], "0000000000000006.mdj");
    struct outcome outcome = {.taken = 8, .promised = 8};
    for (uint64_t seed = 0; seed < 50; seed++) {
        check_promise(&stack, seed, &outcome);
    }
    struct fixture_read read = fixture_read_all(&stack.disk, SALT);
    assert_int_equal(read.stats.records, 8);
    assert_int_equal(read.stats.duplicate_blocks, 1);
    assert_int_equal(read.stats.damaged_blocks, 0);
    /* Failing again with nothing synced since: the same name once more. */
    fixture_append_many(journal, SALT, 2, 0);
    stack.spy.sync_fail_in = 1;
    assert_int_equal(journal_sync(journal), 0);
    fixture_append_many(journal, SALT, 1, 0);
    stack.faults.fail_call = MDIO_CALL_SYNC;
    stack.faults.fail_at = 1;
    stack.faults.fail_forever = true;
    stack.faults.fail_code = MD_EIO;
    assert_int_equal(journal_sync(journal), MD_EIO);
    assert_true(journal_failing(journal));
    fixture_list(&stack.disk, &names);
    assert_int_equal(names.count, 4);
    assert_string_equal(names.names[2], "0000000000000009.mdj");
    assert_string_equal(names.names[3], "000000000000000b.mdj");
    stack.faults.fail_at = 0;
    stack.faults.fail_forever = false;
    assert_int_equal(journal_close(journal), 0);
    assert_int_equal(fixture_read_all(&stack.disk, SALT).stats.records, 11);
    stack_close(&stack);
}

/* While every sync fails, the tail is not written anew with each record, nor with each look at
 * whether a segment is due, but once in JOURNAL_RESCUE_PAUSE_NS; then all is made good. */
static void journal_tries_a_failing_disk_now_and_then(void **state)
{
    (void)state;
    for (int sync_ms = 0; sync_ms < 2; sync_ms++) {
        struct stack stack;
        stack_open(&stack);
        struct journal_config config = small_config();
        config.unsynced_bytes = 1 << 20;
        config.sync_ms = sync_ms;
        struct journal *journal = fixture_open(&stack.disk, &config, 1);
        stack.faults.fail_call = MDIO_CALL_SYNC;
        stack.faults.fail_at = 1;
        stack.faults.fail_forever = true;
        stack.faults.fail_code = MD_EIO;
        static char memory[FIXTURE_RECORD_MAX];
        for (int i = 0; i < 400; i++) { /* a second */
            struct record record = fixture_make(SALT, journal_next_seq(journal), memory);
            assert_int_equal(journal_append(journal, &record, i * 5 * MS / 2), 0);
            if (journal_roll_due(journal)) {
                (void)journal_roll(journal);
            }
        }
        assert_true(stack.faults.calls[MDIO_CALL_SYNC] <= 25);
        assert_true(journal_stats(journal, 0).segments <= 25);
        stack.faults.fail_at = 0;
        stack.faults.fail_forever = false;
        assert_int_equal(journal_close(journal), 0);
        struct fixture_read read = fixture_read_all(&stack.disk, SALT);
        assert_int_equal(read.stats.records, 400);
        assert_int_equal(read.wrong, 0);
        stack_close(&stack);
    }
}

/* The checkpoint that a new segment begins with may be lost with the power as long as it is not
 * synced: until then the older one's is the last. */
static void journal_keeps_older_segments_until_the_new_checkpoint_is_safe(void **state)
{
    (void)state;
    struct stack stack;
    stack_open(&stack);
    struct journal_config config = small_config();
    struct journal *journal = fixture_open(&stack.disk, &config, 1);
    fixture_append_many(journal, SALT, 5, 0);
    assert_int_equal(journal_sync(journal), 0);
    assert_int_equal(journal_roll(journal), 0);
    fixture_append_many(journal, SALT, 1, 0);
    assert_int_equal(journal_sync(journal), 0); /* of its first part alone */
    fixture_append_many(journal, SALT, 2, 0);
    journal_checkpointed(journal);
    assert_int_equal(journal_trim(journal, 6, INT64_MAX), 0);
    assert_int_equal(journal_sync(journal), 0);
    assert_int_equal(journal_trim(journal, 6, INT64_MAX), 1);
    assert_int_equal(journal_close(journal), 0);
    stack_close(&stack);
}

/* While syncs fail a new segment would only cost room in the tail for its checkpoint (seed 398 of
 * `make sim`). */
static void journal_begins_no_segment_while_syncs_fail(void **state)
{
    (void)state;
    struct stack stack;
    stack_open(&stack);
    struct journal_config config = small_config();
    config.sync_ms = 0;
    struct journal *journal = fixture_open(&stack.disk, &config, 1);
    fixture_append_many(journal, SALT, 5, 0);
    stack.faults = (struct mdio_faults){
        .fail_call = MDIO_CALL_SYNC, .fail_at = 1, .fail_forever = true, .fail_code = MD_EIO};
    for (int64_t i = 0; i < 50; i++) {
        fixture_append(journal, SALT, 10 * MS + i * MS);
        assert_false(journal_roll_due(journal));
    }
    assert_int_equal(journal_synced_seq(journal), 5);
    stack.faults.fail_at = 0;
    fixture_append(journal, SALT, 60 * MS + JOURNAL_RESCUE_PAUSE_NS);
    assert_int_equal(journal_synced_seq(journal), 56);
    assert_true(journal_roll_due(journal)); /* the last checkpoint is in an older segment */
    assert_int_equal(journal_close(journal), 0);
    stack_close(&stack);
}

/* What a run whose disk failed left in the kernel's memory is read by the next run, which builds on
 * it: then it must be on the disk too, though a sync alone would not write it (seed 68 of `make
 * sim`). */
static void journal_makes_safe_what_it_goes_on_from(void **state)
{
    (void)state;
    struct stack stack;
    stack_open(&stack);
    struct journal_config config = small_config();
    struct journal *journal = fixture_open(&stack.disk, &config, 1);
    fixture_append_many(journal, SALT, 20, 0);
    assert_int_equal(journal_sync(journal), 0);
    stack.faults = (struct mdio_faults){
        .fail_call = MDIO_CALL_SYNC, .fail_at = 1, .fail_forever = true, .fail_code = MD_EIO};
    for (int i = 0; i < 3; i++) {
        fixture_append_many(journal, SALT, 20, 0);
        assert_int_equal(journal_sync(journal), MD_EIO);
    }
    assert_int_equal(journal_close(journal), MD_EIO);
    stack.faults.fail_at = 0;
    struct fixture_read read = fixture_read_all(&stack.disk, SALT);
    assert_true(read.last_seq > 20);
    assert_int_equal(read.wrong + read.jumps, 0);
    journal = fixture_open(&stack.disk, &config, read.last_seq + 1);
    fixture_append_many(journal, SALT, 20, 0);
    assert_int_equal(journal_sync(journal), 0);
    struct outcome outcome = {.taken = read.last_seq + 20, .promised = read.last_seq + 20};
    for (uint64_t seed = 0; seed < 50; seed++) {
        check_promise(&stack, seed, &outcome);
    }
    assert_int_equal(journal_close(journal), 0);
    stack_close(&stack);
}

/* ---- Slow disk, with the sync thread, on a real folder. */

static int64_t mono_ns(void)
{
    return clock_mono_ns(&clock_system);
}

static void pause_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static void journal_append_does_not_wait_for_a_slow_sync(void **state)
{
    (void)state;
    static char memory[FIXTURE_RECORD_MAX];
    struct mdio real;
    struct mdio disk;
    char folder[256];
    static struct mdio_faults faults;
    memset(&faults, 0, sizeof faults);
    fixture_folder(&real, folder);
    assert_int_equal(mdio_faulty_open(&disk, &real, &faults), 0);
    struct journal_config config = small_config();
    config.sync_thread = true;
    config.sync_ms = 10;
    config.segment_bytes = 1 << 20;
    config.unsynced_bytes = 200000;
    struct journal *journal = fixture_open(&disk, &config, 1);
    faults.sync_sleep_ms = 1000; /* before the first sync of the thread: nothing was appended yet */
    uint64_t taken = 0;
    uint64_t refused = 0;
    int64_t longest_ns = 0;
    int64_t begin_ns = mono_ns();
    while (refused < 1000) {
        struct record record = fixture_make(SALT, journal_next_seq(journal), memory);
        int64_t now_ns = mono_ns();
        int code = journal_append(journal, &record, now_ns);
        int64_t took_ns = mono_ns() - now_ns;
        longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
        assert_true(code == 0 || code == MD_EFULL);
        taken += code == 0;
        refused += code != 0;
    }
    int64_t took_ns = mono_ns() - begin_ns;
    assert_true(taken > 400); /* the ring's 200000 bytes, before anything was refused */
    assert_true(longest_ns < 500 * MS);
    assert_true(took_ns < 1000 * MS); /* all of it while the first sync slept */
    assert_true(journal_stats(journal, mono_ns()).synced_lag_ns > 0);
    assert_false(journal_failing(journal)); /* slow is not failing */
    /* It comes out of it by itself. */
    while (journal_synced_seq(journal) == 0 && mono_ns() < begin_ns + 20000 * MS) {
        (void)journal_poll(journal, mono_ns());
        pause_ms(5);
    }
    struct record record = fixture_make(SALT, journal_next_seq(journal), memory);
    assert_int_equal(journal_append(journal, &record, mono_ns()), 0);
    assert_int_equal(journal_close(journal), 0);
    struct fixture_read read = fixture_read_all(&real, SALT);
    assert_int_equal(read.stats.records, taken + 1);
    assert_int_equal(read.wrong + read.jumps, 0);
    mdio_deinit(&disk);
    fixture_folder_remove(&real, folder);
    fixture_no_leak();
}

static void journal_thread_recovers_from_failed_syncs(void **state)
{
    (void)state;
    struct mdio real;
    struct mdio disk;
    char folder[256];
    static struct mdio_faults faults;
    memset(&faults, 0, sizeof faults);
    fixture_folder(&real, folder);
    assert_int_equal(mdio_faulty_open(&disk, &real, &faults), 0);
    struct journal_config config = small_config();
    config.sync_thread = true;
    config.sync_ms = 5;
    faults.fail_call = MDIO_CALL_SYNC;
    faults.fail_code = MD_EIO;
    faults.fail_at = 3;
    struct journal *journal = fixture_open(&disk, &config, 1);
    int64_t begin_ns = mono_ns();
    uint64_t appended = 0;
    while (mono_ns() < begin_ns + 5000 * MS &&
           (appended < 400 || journal_stats(journal, 0).failures == 0)) {
        fixture_append(journal, SALT, mono_ns());
        appended++;
        pause_ms(1);
    }
    assert_true(journal_stats(journal, 0).failures > 0);
    assert_int_equal(journal_close(journal), 0);
    struct fixture_read read = fixture_read_all(&real, SALT);
    assert_int_equal(read.stats.records, appended);
    assert_int_equal(read.wrong + read.jumps, 0);
    mdio_deinit(&disk);
    fixture_folder_remove(&real, folder);
    fixture_no_leak();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(journal_keeps_its_promise_when_the_nth_write_fails),
        cmocka_unit_test(journal_keeps_its_promise_when_the_nth_sync_fails),
        cmocka_unit_test(journal_keeps_its_promise_when_the_nth_open_or_unlink_fails),
        cmocka_unit_test(journal_keeps_its_promise_when_the_nth_call_fails),
        cmocka_unit_test(journal_open_gives_back_its_memory_when_the_nth_allocation_fails),
        cmocka_unit_test(journal_on_a_full_disk_takes_into_memory_then_refuses_then_recovers),
        cmocka_unit_test(journal_keeps_the_last_checkpoint_after_a_failed_fsync),
        cmocka_unit_test(journal_writes_the_unsynced_tail_again_after_a_failed_fsync),
        cmocka_unit_test(journal_tries_a_failing_disk_now_and_then),
        cmocka_unit_test(journal_keeps_older_segments_until_the_new_checkpoint_is_safe),
        cmocka_unit_test(journal_begins_no_segment_while_syncs_fail),
        cmocka_unit_test(journal_makes_safe_what_it_goes_on_from),
        cmocka_unit_test(journal_append_does_not_wait_for_a_slow_sync),
        cmocka_unit_test(journal_thread_recovers_from_failed_syncs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
