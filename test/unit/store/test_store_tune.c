/* The store under tuning: what is journalled changes files, the same live and replayed; what is not
 * changes none; switched off nothing is done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "store/columns.h"
#include "store_kit.h"

#define STREAMS 18
#define SECONDS 600

static struct store_config tuned_config(void)
{
    struct store_config config = kit_config();
    config.tune = true;
    config.writer.zstd_level = 3;
    config.idle_close_ns = 10 * KIT_S;
    return config;
}

/* Payloads by the second in which they were decided: the journal. */
struct journal_kit {
    struct {
        int second;
        char text[4096];
        size_t bytes;
    } records[64];
    uint32_t count;
    int second;
    struct store *store; /* lands them at once, as the pipeline does */
};

static void put(void *context, struct str payload)
{
    struct journal_kit *journal = context;
    assert_true(journal->count < 64);
    assert_true(payload.bytes > 0 && payload.bytes <= 4096);
    journal->records[journal->count].second = journal->second;
    memcpy(journal->records[journal->count].text, payload.data, payload.bytes);
    journal->records[journal->count++].bytes = payload.bytes;
    store_tune(journal->store, payload);
}

/* Ten minutes: stream k speaks every k+1 seconds, for ever but for some that fall silent. */
static void second_land(struct store *store, int second)
{
    for (uint32_t k = 0; k < STREAMS; k++) {
        bool silent = k % 5 == 0 && second > 300;
        if (second % (int)(k + 1) == 0 && !silent) {
            struct event event =
                kit_trade(k, (uint64_t)second * STREAMS + k + 1, KIT_HOUR + second * KIT_S);
            store_event(store, k, &event);
        }
    }
    store_tick(store, KIT_HOUR + second * KIT_S + 1);
}

static struct kit_files files_of(struct disk *disk, struct store *store)
{
    store_close_all(store, 0);
    assert_int_equal(store_drain(store, 20000), 0);
    store_destroy(store);
    return kit_files_read(&disk->io);
}

/* Live with decisions (the ring is full for a while); returns what stands in the files. */
static struct kit_files land_live(struct journal_kit *journal, const struct store_config *config,
                                  struct store_stats *stats)
{
    struct disk disk;
    disk_open(&disk);
    struct store *store = kit_store_open(&disk.io, config, NULL);
    *journal = (struct journal_kit){.store = store};
    for (int second = 0; second < SECONDS; second++) {
        second_land(store, second);
        journal->second = second;
        store_tune_second(store, KIT_HOUR + second * KIT_S + 1, second < 150 ? 700 : 0, put,
                          journal);
    }
    *stats = store_stats(store);
    struct kit_files files = files_of(&disk, store);
    disk_close(&disk);
    return files;
}

static void land_journal(struct store *store, const struct journal_kit *journal, int from, int to)
{
    for (int second = from; second < to; second++) {
        second_land(store, second);
        for (uint32_t i = 0; i < journal->count; i++) {
            if (journal->records[i].second == second) {
                store_tune(store, str_make(journal->records[i].text, journal->records[i].bytes));
            }
        }
    }
}

static struct kit_files land_again(const struct journal_kit *journal,
                                   const struct store_config *config, struct store_stats *stats)
{
    struct disk disk;
    disk_open(&disk);
    struct store *store = kit_store_open(&disk.io, config, NULL);
    land_journal(store, journal, 0, SECONDS);
    *stats = store_stats(store);
    struct kit_files files = files_of(&disk, store);
    disk_close(&disk);
    return files;
}

static void what_was_decided_gives_the_same_files_again(void **state)
{
    (void)state;
    static struct journal_kit journal, none;
    struct store_config config = tuned_config();
    struct store_stats live, again, untuned;
    struct kit_files files = land_live(&journal, &config, &live);
    assert_true(journal.count >= 3);
    assert_true(live.tune.level_changes >= 3); /* down twice, up again */
    assert_true(live.tune.idle_changes >= 8);
    assert_int_equal(live.tune.lines_refused, 0);
    struct kit_files replayed = land_again(&journal, &config, &again);
    assert_true(kit_files_same(&files, &replayed));
    assert_int_equal(again.tune.level_changes, live.tune.level_changes);
    assert_int_equal(again.tune.idle_changes, live.tune.idle_changes);
    /* The control: without the records the files are others, and many more. */
    struct kit_files plain = land_again(&none, &config, &untuned);
    assert_false(kit_files_same(&files, &plain));
    assert_true(plain.count > files.count * 3 / 2);
    kit_files_free(&files);
    kit_files_free(&replayed);
    kit_files_free(&plain);
}

static void switched_off_nothing_changes(void **state)
{
    (void)state;
    static struct journal_kit journal, none, decided;
    struct store_config config = tuned_config();
    struct store_stats stats;
    struct kit_files tuned = land_live(&journal, &config, &stats);
    config.tune = false;
    struct kit_files off = land_live(&decided, &config, &stats);
    assert_int_equal(decided.count, 0);
    struct kit_files ignored = land_again(&journal, &config, &stats);
    assert_int_equal(stats.tune.level_changes + stats.tune.idle_changes +
                         stats.tune.blocks_changes + stats.tune.blocks_sized,
                     0);
    struct kit_files without = land_again(&none, &config, &stats);
    assert_true(kit_files_same(&off, &without));
    assert_true(kit_files_same(&off, &ignored));
    assert_false(kit_files_same(&off, &tuned));
    kit_files_free(&tuned);
    kit_files_free(&off);
    kit_files_free(&ignored);
    kit_files_free(&without);
}

static void blocks_in_memory_never_show_in_files(void **state)
{
    (void)state;
    static struct journal_kit journal;
    struct store_config config = tuned_config();
    struct store_stats roomy, tight;
    config.idle_close_ns = 0;
    config.writer.zstd_level = 1; /* nothing is left to be journalled */
    struct kit_files expected = land_live(&journal, &config, &roomy);
    config.open_blocks_max = 8; /* of 18 */
    struct kit_files files = land_live(&journal, &config, &tight);
    assert_int_equal(journal.count, 0);
    assert_true(tight.tune.blocks_changes > 0);
    assert_true(tight.tune.blocks_max > 8);
    assert_true(tight.early_spools > 0);
    assert_int_equal(roomy.early_spools, 0);
    assert_true(kit_files_same(&expected, &files));
    kit_files_free(&expected);
    kit_files_free(&files);
}

struct parts {
    char bytes[8][32768];
    size_t size[8];
    uint32_t count;
};

static void keep_part(void *context, struct str part)
{
    struct parts *parts = context;
    assert_true(parts->count < 8);
    memcpy(parts->bytes[parts->count], part.data, part.bytes);
    parts->size[parts->count++] = part.bytes;
}

static void a_checkpoint_keeps_what_is_in_force(void **state)
{
    (void)state;
    static struct journal_kit journal;
    static struct parts parts;
    struct store_config config = tuned_config();
    struct store_stats stats;
    struct kit_files files = land_live(&journal, &config, &stats);
    kit_files_free(&files);
    struct disk one, two;
    disk_open(&one);
    disk_open(&two);
    struct store *store = kit_store_open(&one.io, &config, NULL);
    land_journal(store, &journal, 0, 140); /* the level is 1, idle closes are longer */
    assert_int_equal(store_stats(store).tune.zstd_level, 1);
    store_close_all(store, 0);
    parts.count = 0;
    store_checkpoint(store, 32768, keep_part, &parts);
    struct store *fresh = kit_store_open(&two.io, &config, NULL);
    for (uint32_t i = 0; i < parts.count; i++) {
        assert_int_equal(store_restore(fresh, str_make(parts.bytes[i], parts.size[i])), 0);
    }
    assert_int_equal(store_stats(fresh).tune.zstd_level, 1);
    assert_int_equal(store_drain(store, 20000), 0);
    struct kit_files before = kit_files_read(&one.io);
    land_journal(store, &journal, 280, SECONDS);
    land_journal(fresh, &journal, 280, SECONDS);
    struct kit_files all = files_of(&one, store);
    struct kit_files after = files_of(&two, fresh);
    assert_int_equal(all.count, before.count + after.count);
    for (uint32_t i = 0; i < after.count; i++) {
        const struct kit_file *same = kit_file_of(&all, after.file[i].path);
        assert_non_null(same);
        assert_int_equal(same->bytes, after.file[i].bytes);
        assert_memory_equal(same->text, after.file[i].text, same->bytes);
    }
    kit_files_free(&before);
    kit_files_free(&all);
    kit_files_free(&after);
    disk_close(&one);
    disk_close(&two);
}

/* ---- the writers' own level */

static char out[3][1 << 20];
static size_t out_bytes[3];

static int keep(void *context, const void *data, size_t bytes)
{
    size_t n = *(size_t *)context;
    assert_true(out_bytes[n] + bytes <= sizeof out[n]);
    memcpy(out[n] + out_bytes[n], data, bytes);
    out_bytes[n] += bytes;
    return 0;
}

static void write_trades(struct file_writer *writer, struct row_group *group, size_t n)
{
    struct file_sink sink = {keep, &n};
    out_bytes[n] = 0;
    assert_int_equal(writer->ops->begin(writer, group->schema, sink), 0);
    assert_int_equal(writer->ops->write_group(writer, group), 0);
    assert_int_equal(writer->ops->end(writer, NULL, 0), 0);
}

static struct file_writer *parquet_16(const struct writer_options *options)
{
    return parquet_writer_create(options, 16);
}

static void a_writer_set_to_a_level_writes_as_one_made_for_it(void **state)
{
    (void)state;
    struct file_writer *(*const create[])(const struct writer_options *) = {
        parquet_16, jsonl_writer_create, csv_writer_create};
    struct row_group group;
    assert_int_equal(row_group_init(&group, 2000, 16, 2000, 1 << 20), 0);
    row_group_reset(&group, schema_of(CHANNEL_TRADES));
    for (uint32_t i = 0; i < 2000; i++) {
        struct cell cells[COLUMNS_MAX];
        struct event event = kit_trade(1, i * i, KIT_HOUR + i * i * 7919LL);
        schema_event_cells(&event, 0, cells);
        assert_int_equal(row_group_append(&group, cells), 0);
    }
    for (size_t format = 0; format < 3; format++) {
        struct writer_options options = {.zstd_level = 19,
                                         .page_rows = 500,
                                         .dictionary_bytes_max = 65536,
                                         .row_group_rows_max = 2000,
                                         .row_groups_max = 4};
        struct file_writer *high = create[format](&options);
        options.zstd_level = 2;
        struct file_writer *low = create[format](&options);
        assert_non_null(high);
        assert_non_null(low);
        write_trades(low, &group, 0);
        write_trades(high, &group, 1);
        assert_true(out_bytes[0] != out_bytes[1] || memcmp(out[0], out[1], out_bytes[0]) != 0);
        for (int level = 1; level <= 19; level++) { /* any level fits the workspace */
            high->ops->set_level(high, level);
            write_trades(high, &group, 2);
        }
        assert_int_equal(out_bytes[2], out_bytes[1]);
        assert_memory_equal(out[2], out[1], out_bytes[1]);
        high->ops->set_level(high, 2);
        write_trades(high, &group, 2);
        assert_int_equal(out_bytes[2], out_bytes[0]);
        assert_memory_equal(out[2], out[0], out_bytes[0]);
        high->ops->destroy(high);
        low->ops->destroy(low);
    }
    row_group_deinit(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_decided_gives_the_same_files_again),
        cmocka_unit_test(switched_off_nothing_changes),
        cmocka_unit_test(blocks_in_memory_never_show_in_files),
        cmocka_unit_test(a_checkpoint_keeps_what_is_in_force),
        cmocka_unit_test(a_writer_set_to_a_level_writes_as_one_made_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
