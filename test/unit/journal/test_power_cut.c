/* Power cuts (faults.md row 3): random workloads on a disk in memory that keeps the strict model;
 * at random steps, before any change to the disk, the power is cut and what may be left is read.
 * Every record that was promised must be there and be what was appended, none twice, none altered.
 *
 * The same workloads with a protection switched off must lose something: else the test would prove
 * nothing. A failing state prints its seed; MD_SEED runs one workload, MD_STATES sets how many. */
#include "fixture.h"
#include "spy.h"

#include "journal/segment.h"
#include "journal/writer.h"

#define SEQ_MAX 6000
#define STATES 2000
#define CONTROL_STATES 2000
#define BLOCK_BYTES 1500
#define GONE UINT64_MAX

struct world {
    uint64_t seed;
    struct fixture_random random;
    struct mdio memory; /* the platter and what the kernel has not written yet */
    struct spy spy;
    struct mdio disk; /* the spy before the platter */
    struct journal *journal;
    uint64_t salts[SEQ_MAX]; /* world of each number, as last appended */
    uint64_t run;
    uint64_t next;       /* number of the next record */
    uint64_t promised;   /* up to here, whatever happens */
    uint64_t trimmed;    /* up to here records may be deleted */
    uint64_t cut_one_in; /* chance of a cut at a change */
    uint64_t states;
    uint64_t violations; /* promised and not there, or not what was appended */
    uint64_t duplicates;
    uint64_t lost_unpromised; /* states in which something not promised was gone */
};

static uint64_t promised_now(const struct world *world)
{
    uint64_t synced = world->journal != NULL ? journal_synced_seq(world->journal) : 0;
    return synced > world->promised ? synced : world->promised;
}

static bool seen[SEQ_MAX]; /* by the last check */

/* Reads a disk and compares it with what was promised. Returns the last number. */
static uint64_t check(struct world *world, struct mdio *disk)
{
    struct journal_reader *reader = NULL;
    struct record record;
    uint64_t last = 0;
    uint64_t violations = 0;
    uint64_t promised = promised_now(world);
    memset(seen, 0, sizeof seen);
    int code = journal_reader_open(&reader, disk, "journal", FIXTURE_RECORD_MAX, 0, NULL);
    if (code == 0) {
        while ((code = journal_reader_next(reader, &record, NULL)) > 0) {
            bool known = record.seq < world->next;
            if (!known || seen[record.seq] || !fixture_is(&record, world->salts[record.seq])) {
                violations++;
            }
            world->duplicates += known && seen[record.seq];
            if (known) {
                seen[record.seq] = true;
            }
            violations += record.seq <= last;
            last = record.seq;
        }
        assert_int_equal(code, 0);
        world->duplicates += journal_reader_stats(reader).duplicate_blocks;
    } else {
        assert_int_equal(code, MD_ENOENT);
    }
    journal_reader_close(reader);
    for (uint64_t seq = world->trimmed + 1; seq <= promised; seq++) {
        violations += !seen[seq] && world->salts[seq] != GONE;
    }
    world->lost_unpromised += last + 1 < world->next;
    world->violations += violations;
    world->states++;
    return last;
}

static void on_change(void *context)
{
    struct world *world = context;
    if (fixture_below(&world->random, world->cut_one_in) != 0) {
        return;
    }
    struct mdio after;
    memset(&after, 0, sizeof after);
    assert_int_equal(mdio_mem_crash(&world->memory, fixture_next(&world->random), &after), 0);
    (void)check(world, &after);
    mdio_deinit(&after);
}

static struct journal_config world_config(struct world *world)
{
    struct journal_config config = fixture_config();
    config.block_bytes = BLOCK_BYTES;
    config.segment_bytes = 6000 + fixture_below(&world->random, 20000);
    config.unsynced_bytes = 20000;
    config.sync_ms = fixture_below(&world->random, 8) == 0 ? 0 : 200;
    return config;
}

/* Starts a run on what is left on the disk, like the recorder does. */
static void world_start(struct world *world)
{
    uint64_t last = check(world, &world->disk);
    last = last > world->trimmed ? last : world->trimmed;
    for (uint64_t seq = world->trimmed + 1; seq <= last; seq++) {
        if (!seen[seq]) {
            world->salts[seq] = GONE; /* was never promised, else the check would have said so */
        }
    }
    struct journal_config config = world_config(world);
    world->spy.sync_fail_in = 0; /* a recorder that does not start promises nothing */
    world->spy.write_fail_in = 0;
    world->next = last + 1;
    world->run++;
    int code = journal_open(&world->journal, &world->disk, &config, world->next, NULL);
    if (code != 0) {
        world->violations++; /* only where the disk lies does anything stand in the way */
        world->journal = NULL;
        return;
    }
    world->promised = promised_now(world);
}

static void world_append(struct world *world)
{
    static char memory[FIXTURE_RECORD_MAX];
    if (world->next >= SEQ_MAX) {
        return;
    }
    struct record record = fixture_make(world->seed * 1000 + world->run, world->next, memory);
    world->salts[world->next] = world->seed * 1000 + world->run;
    world->next++; /* may be on the disk from here on, even while the call still runs */
    int code = journal_append(world->journal, &record, 0);
    if (code != 0) {
        world->next--;
    } else {
        assert_true(record.seq == world->next - 1);
    }
    world->promised = promised_now(world);
}

/* kill -9 with or without a power cut, and a new start. */
static void world_restart(struct world *world, bool power_cut)
{
    world->promised = promised_now(world);
    journal_abandon(world->journal);
    world->journal = NULL;
    assert_int_equal(world->spy.handles_open, 0);
    if (power_cut) {
        struct mdio after;
        memset(&after, 0, sizeof after);
        assert_int_equal(mdio_mem_crash(&world->memory, fixture_next(&world->random), &after), 0);
        mdio_deinit(&world->memory);
        world->memory = after;
    }
    world_start(world);
}

static void world_step(struct world *world, bool failures)
{
    switch (fixture_below(&world->random, 16)) {
    case 0:
    case 1:
        (void)journal_sync(world->journal);
        break;
    case 2:
        (void)journal_roll(world->journal);
        break;
    case 3: {
        uint64_t upto = world->promised > 0 ? fixture_below(&world->random, world->promised) : 0;
        world->trimmed = upto > world->trimmed ? upto : world->trimmed;
        (void)journal_trim(world->journal, upto + 1, INT64_MAX);
        break;
    }
    case 4:
        if (fixture_below(&world->random, 4) == 0) {
            world_restart(world, fixture_below(&world->random, 2) == 0);
        }
        break;
    case 5:
        (void)journal_poll(world->journal, (int64_t)fixture_below(&world->random, 1000) * MS);
        break;
    case 6:
        if (failures && fixture_below(&world->random, 4) == 0) {
            world->spy.sync_fail_in = 1 + fixture_below(&world->random, 4);
        }
        break;
    case 7:
        if (failures && fixture_below(&world->random, 4) == 0) {
            world->spy.write_fail_in = 2 + fixture_below(&world->random, 4);
        }
        break;
    default:
        for (uint64_t n = fixture_below(&world->random, 30); n > 0; n--) {
            world_append(world);
        }
        break;
    }
    if (world->journal != NULL) {
        world->promised = promised_now(world);
    }
}

enum control { CONTROL_NONE, CONTROL_SYNC_LIES, CONTROL_DIRSYNC_LIES, CONTROL_CRC_OFF };

/* One workload of some 60 steps; adds its figures to *total. */
static void world_run(uint64_t seed, enum control control, struct world *total)
{
    static struct world world;
    memset(&world, 0, sizeof world);
    world.seed = seed;
    world.random.state = fixture_mix(seed);
    world.next = 1;
    world.cut_one_in = 6;
    world.spy.sync_lies = control == CONTROL_SYNC_LIES;
    world.spy.dirsync_lies = control == CONTROL_DIRSYNC_LIES;
    segment_test_crc_off = control == CONTROL_CRC_OFF;
    assert_int_equal(mdio_mem_open(&world.memory), 0);
    world.spy.inner = &world.memory;
    world.spy.before_change = on_change;
    world.spy.context = &world;
    world.disk = spy_disk(&world.spy);
    bool failures = seed % 2 == 0;
    world_start(&world);
    for (int step = 0; step < 60 && world.journal != NULL; step++) {
        world_step(&world, failures);
    }
    if (world.journal != NULL) {
        world.spy.sync_fail_in = 0;
        world.spy.write_fail_in = 0;
        int code = journal_close(world.journal);
        world.journal = NULL;
        if (code == 0) {
            world.promised = world.next - 1; /* closed in good order: all of it */
        } else {
            world.violations++;
        }
        (void)check(&world, &world.disk);
    }
    assert_int_equal(world.spy.handles_open, 0);
    mdio_deinit(&world.memory);
    segment_test_crc_off = false;
    if (world.violations > 0 && control == CONTROL_NONE) {
        print_error("seed %llu: %llu violations\n", (unsigned long long)seed,
                    (unsigned long long)world.violations);
    }
    total->states += world.states;
    total->violations += world.violations;
    total->duplicates += world.duplicates;
    total->lost_unpromised += world.lost_unpromised;
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static struct world run_states(uint64_t states, enum control control)
{
    static struct world total;
    memset(&total, 0, sizeof total);
    uint64_t only = number_from("MD_SEED", 0);
    for (uint64_t seed = only > 0 ? only : 1; total.states < states; seed++) {
        world_run(seed, control, &total);
        if (only > 0) {
            break;
        }
    }
    return total;
}

static void journal_loses_nothing_promised_to_a_power_cut(void **state)
{
    (void)state;
    struct world total = run_states(number_from("MD_STATES", STATES), CONTROL_NONE);
    assert_int_equal(total.violations, 0);
    /* The workloads do reach what they are for. */
    assert_true(total.lost_unpromised > total.states / 10);
    assert_true(total.duplicates > 0);
    fixture_no_leak();
}

static void control_without_sync_something_is_lost(void **state)
{
    (void)state;
    struct world total = run_states(CONTROL_STATES, CONTROL_SYNC_LIES);
    assert_true(total.violations > 0);
    fixture_no_leak();
}

static void control_without_folder_sync_something_is_lost(void **state)
{
    (void)state;
    struct world total = run_states(CONTROL_STATES, CONTROL_DIRSYNC_LIES);
    assert_true(total.violations > 0);
    fixture_no_leak();
}

static void control_without_crc_something_is_altered(void **state)
{
    (void)state;
    struct world total = run_states(CONTROL_STATES, CONTROL_CRC_OFF);
    assert_true(total.violations > 0);
    fixture_no_leak();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(journal_loses_nothing_promised_to_a_power_cut),
        cmocka_unit_test(control_without_sync_something_is_lost),
        cmocka_unit_test(control_without_folder_sync_something_is_lost),
        cmocka_unit_test(control_without_crc_something_is_altered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
