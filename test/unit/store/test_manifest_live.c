/* Which listed files count: merged files replace what they name, a path counts once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "store/manifest.h"
#include "store_disk.h"

#define DAY_NS (20780 * NS_PER_DAY) /* 2026-11-23 */

static struct manifest_entry entry_make(const char *path, uint64_t first_seq, uint64_t last_seq)
{
    struct manifest_entry entry = {
        .path = str_from(path),
        .venue = VENUE_BINANCE,
        .channel = CHANNEL_TRADES,
        .symbol = STR("BTCUSDT"),
        .schema = STR("trades"),
        .schema_version = 1,
        .rows = last_seq - first_seq + 1,
        .bytes = 10,
        .first_seq = first_seq,
        .last_seq = last_seq,
        .recorder = STR("rec"),
    };
    memset(entry.sha256, 'a', 64);
    return entry;
}

static void append(struct manifest *manifest, const struct manifest_entry *entry)
{
    static char line[MANIFEST_COMPACT_LINE_MAX];
    struct buf out = buf_over(line, sizeof line);
    manifest_line_format(entry, &out);
    assert_false(out.overflow);
    assert_int_equal(manifest_append_line(manifest, VENUE_BINANCE, DAY_NS, buf_view(&out)), 0);
}

struct seen {
    char paths[1024]; /* "a b c " */
    uint32_t count;
};

static void on_entry(void *context, const struct manifest_entry *entry)
{
    struct seen *seen = context;
    size_t used = strlen(seen->paths);
    if (used + entry->path.bytes + 2 < sizeof seen->paths) {
        snprintf(seen->paths + used, sizeof seen->paths - used, "%.*s ", (int)entry->path.bytes,
                 entry->path.data);
    }
    seen->count++;
}

static struct seen read_live(struct mdio *io)
{
    struct seen seen = {{0}, 0};
    struct err err = {""};
    struct manifest_stats stats;
    const struct manifest_day day = {VENUE_BINANCE, 20780};
    assert_int_equal(manifest_read_live(io, &day, on_entry, &seen, &stats, &err), 0);
    assert_int_equal(stats.damaged_lines, 0);
    return seen;
}

static void a_merged_file_replaces_what_it_names(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct manifest recorder;
    struct manifest compact;
    struct err err = {""};
    assert_int_equal(manifest_open(&recorder, &disk.io, &err), 0);
    const char *const names[] = {"h/a", "h/b", "h/c"};
    for (uint64_t i = 0; i < 3; i++) {
        struct manifest_entry entry = entry_make(names[i], i * 10 + 1, i * 10 + 10);
        append(&recorder, &entry);
    }
    struct manifest_entry twice = entry_make("h/c", 21, 30);
    append(&recorder, &twice);
    assert_string_equal(read_live(&disk.io).paths, "h/a h/b h/c ");

    assert_int_equal(manifest_open_compact(&compact, &disk.io, &err), 0);
    struct manifest_entry merged = entry_make("all/ab", 1, 20);
    merged.replaces = STR("h/a\nh/b\n");
    merged.values_hash = 0x0123456789abcdefULL;
    append(&compact, &merged);
    assert_string_equal(read_live(&disk.io).paths, "all/ab h/c ");
    merged = entry_make("all/abc", 1, 30);
    merged.replaces = STR("all/ab\nh/c\n");
    append(&compact, &merged);
    assert_string_equal(read_live(&disk.io).paths, "all/abc ");

    /* the recorder's lines are all still there, and it goes on in its own file */
    struct manifest_entry late = entry_make("h/d", 31, 40);
    append(&recorder, &late);
    assert_string_equal(read_live(&disk.io).paths, "all/abc h/d ");
    struct seen all = {{0}, 0};
    struct manifest_stats stats;
    assert_int_equal(manifest_read_all(&disk.io, 0, on_entry, &all, &stats, &err), 0);
    assert_string_equal(all.paths, "h/a h/b h/c h/c h/d ");
    manifest_close(&recorder);
    manifest_close(&compact);
    disk_close(&disk);
}

static void what_was_replaced_reads_back(void **state)
{
    (void)state;
    struct manifest_entry entry = entry_make("all/x", 1, 2);
    entry.replaces = STR("h/\"quoted\"\nh/back\\slash\nh/plain\n");
    entry.values_hash = 0xfedcba9876543210ULL;
    char line[MANIFEST_LINE_MAX];
    struct buf out = buf_over(line, sizeof line);
    manifest_line_format(&entry, &out);
    struct manifest_entry back;
    assert_int_equal(manifest_line_parse(line, out.bytes - 1, &back), 0);
    assert_true(str_equal(back.replaces, entry.replaces));
    assert_true(back.values_hash == entry.values_hash);
    assert_true(str_equal(back.path, STR("all/x")));
    struct str rest = back.replaces;
    struct str path;
    assert_true(manifest_replaces_next(&rest, &path));
    assert_true(str_equal(path, STR("h/\"quoted\"")));
    assert_true(manifest_replaces_next(&rest, &path));
    assert_true(manifest_replaces_next(&rest, &path));
    assert_true(str_equal(path, STR("h/plain")));
    assert_false(manifest_replaces_next(&rest, &path));
}

static void on_day(void *context, const struct manifest_day *day)
{
    struct seen *seen = context;
    size_t used = strlen(seen->paths);
    snprintf(seen->paths + used, sizeof seen->paths - used, "%s:%lld ", venue_name(day->venue),
             (long long)day->day);
}

static void days_come_in_order_and_once(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct err err = {""};
    struct seen seen = {{0}, 0};
    assert_int_equal(manifest_days(&disk.io, on_day, &seen, &err), MD_ENOENT);
    struct manifest recorder;
    struct manifest compact;
    assert_int_equal(manifest_open(&recorder, &disk.io, &err), 0);
    assert_int_equal(manifest_open_compact(&compact, &disk.io, &err), 0);
    struct manifest_entry entry = entry_make("h/a", 1, 2);
    assert_int_equal(manifest_append(&recorder, VENUE_GATE, DAY_NS, &entry), 0);
    assert_int_equal(manifest_append(&recorder, VENUE_BINANCE, DAY_NS + NS_PER_DAY, &entry), 0);
    assert_int_equal(manifest_append(&recorder, VENUE_BINANCE, DAY_NS - 1, &entry), 0);
    assert_int_equal(manifest_append(&compact, VENUE_BINANCE, DAY_NS - 1, &entry), 0);
    assert_int_equal(manifest_days(&disk.io, on_day, &seen, &err), 3);
    assert_string_equal(seen.paths, "binance:20779 binance:20781 gate-io:20780 ");
    manifest_close(&recorder);
    manifest_close(&compact);
    disk_close(&disk);
}

/* More paths than the set begins with. */
static void many_files_each_count_once(void **state)
{
    (void)state;
    struct mdio disk;
    struct err err = {""};
    struct manifest recorder;
    assert_int_equal(mdio_mem_open(&disk), 0);
    assert_int_equal(manifest_open(&recorder, &disk, &err), 0);
    for (uint32_t i = 0; i < 3000; i++) {
        char path[32];
        snprintf(path, sizeof path, "h/%u", i);
        struct manifest_entry entry = entry_make(path, i + 1, i + 1);
        append(&recorder, &entry);
    }
    assert_int_equal(read_live(&disk).count, 3000);
    manifest_close(&recorder);
    mdio_deinit(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_replaced_reads_back),
        cmocka_unit_test(a_merged_file_replaces_what_it_names),
        cmocka_unit_test(days_come_in_order_and_once),
        cmocka_unit_test(many_files_each_count_once),
    };
    return cmocka_run_group_tests_name("manifest_live", tests, NULL, NULL);
}
