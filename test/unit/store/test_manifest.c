/* Manifest: lines say what they were given, torn or altered ones are seen, intents clean up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "store/manifest.h"
#include "store_disk.h"

#define HOUR 1795424400000000000LL /* 2026-11-23T09:00:00Z */
#define FILE_NAME "manifest/binance-2026-11-23.jsonl"
#define FILE_PATH "exchange=binance/channel=trades/symbol=BTCUSDT/date=2026-11-23/hour=09/a.parquet"

static struct manifest_entry entry_make(void)
{
    struct manifest_entry entry = {
        .path = STR(FILE_PATH),
        .venue = VENUE_BINANCE,
        .channel = CHANNEL_TRADES,
        .symbol = STR("BTCUSDT"),
        .schema = STR("trades"),
        .schema_version = 1,
        .rows = 12,
        .bytes = 3456,
        .first_local_us = 1795424400000001,
        .last_local_us = 1795424409000001,
        .first_seq = 100,
        .last_seq = 900,
        .first_sequence = 5000,
        .last_sequence = 5011,
        .gaps = 1,
        .missing = 2,
        .digits_over_15 = 3,
        .recorder = STR("rec"),
    };
    memset(entry.sha256, 'a', 64);
    return entry;
}

static size_t line_make(const struct manifest_entry *entry, char *line)
{
    struct buf out = buf_over(line, MANIFEST_LINE_MAX);
    manifest_line_format(entry, &out);
    assert_false(out.overflow);
    assert_int_equal(line[out.bytes - 1], '\n');
    return out.bytes - 1;
}

static void a_line_is_what_is_documented(void **state)
{
    (void)state;
    struct manifest_entry entry = entry_make();
    char line[MANIFEST_LINE_MAX];
    size_t bytes = line_make(&entry, line);
    line[bytes] = 0;
    const char *begin =
        "{\"path\":\"" FILE_PATH "\",\"exchange\":\"binance\",\"channel\":\"trades\","
        "\"symbol\":\"BTCUSDT\",\"schema\":\"trades\",\"schema_version\":1,\"rows\":12,"
        "\"bytes\":3456,\"first_local_timestamp\":1795424400000001,"
        "\"last_local_timestamp\":1795424409000001,\"first_local_seq\":100,\"last_local_seq\":900,"
        "\"first_sequence\":5000,\"last_sequence\":5011,\"gaps\":1,\"missing_ids\":2,"
        "\"digits_over_15\":3,\"journal_first_seq\":100,\"journal_last_seq\":900,"
        "\"recorder\":\"rec\",\"sha256\":\""
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"crc32c\":\"";
    assert_memory_equal(line, begin, strlen(begin));
    assert_int_equal(bytes, strlen(begin) + 10);
}

static void a_line_reads_back(void **state)
{
    (void)state;
    struct manifest_entry entry = entry_make();
    entry.first_sequence = ID_NONE;
    entry.last_sequence = -7;
    char line[MANIFEST_LINE_MAX];
    size_t bytes = line_make(&entry, line);
    struct manifest_entry back;
    assert_int_equal(manifest_line_parse(line, bytes, &back), 0);
    assert_true(str_equal(back.path, entry.path));
    assert_int_equal(back.venue, VENUE_BINANCE);
    assert_int_equal(back.channel, CHANNEL_TRADES);
    assert_true(str_equal(back.symbol, entry.symbol));
    assert_int_equal(back.rows, 12);
    assert_int_equal(back.bytes, 3456);
    assert_int_equal(back.first_local_us, 1795424400000001);
    assert_int_equal(back.last_seq, 900);
    assert_true(back.first_sequence == ID_NONE);
    assert_int_equal(back.last_sequence, -7);
    assert_int_equal(back.missing, 2);
    assert_string_equal(back.sha256, entry.sha256);
    assert_true(str_equal(back.recorder, STR("rec")));
}

static void hostile_symbols_come_back_exactly(void **state)
{
    (void)state;
    const struct str symbols[] = {STR(""),         STR("a\"b\\c"),  STR("\n\r\t\0x"),
                                  STR("\xff\xfe"), STR("\xc3\xa9"), STR("\xed\xa0\x80"),
                                  STR("../.."),    STR("\x7f"),     STR("{\"x\":1}")};
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        struct manifest_entry entry = entry_make();
        entry.symbol = symbols[i];
        char line[MANIFEST_LINE_MAX];
        size_t bytes = line_make(&entry, line);
        struct manifest_entry back;
        assert_int_equal(manifest_line_parse(line, bytes, &back), 0);
        assert_true(str_equal(back.symbol, symbols[i]));
    }
}

static void a_line_cut_or_altered_anywhere_is_refused(void **state)
{
    (void)state;
    struct manifest_entry entry = entry_make();
    char line[MANIFEST_LINE_MAX];
    char copy[MANIFEST_LINE_MAX];
    struct manifest_entry back;
    size_t bytes = line_make(&entry, line);
    for (size_t cut = 0; cut < bytes; cut++) {
        memcpy(copy, line, cut);
        assert_true(manifest_line_parse(copy, cut, &back) < 0);
    }
    for (size_t at = 0; at < bytes; at++) {
        memcpy(copy, line, bytes);
        copy[at] = (char)(copy[at] ^ 1);
        assert_true(manifest_line_parse(copy, bytes, &back) < 0);
    }
}

/* A line with a right CRC over any text. */
static int parse_with_crc(const char *text)
{
    char line[MANIFEST_LINE_MAX];
    struct buf out = buf_over(line, sizeof line);
    buf_put_str(&out, str_from(text));
    buf_printf(&out, ",\"crc32c\":\"%08x\"}", crc32c(0, line, out.bytes));
    struct manifest_entry back;
    return manifest_line_parse(line, out.bytes, &back);
}

#define NEEDED                                                                            \
    "{\"path\":\"p/x\",\"exchange\":\"binance\",\"channel\":\"trades\",\"symbol\":\"X\"," \
    "\"first_local_seq\":1,\"last_local_seq\":2"

static void wrong_types_and_missing_members_are_refused(void **state)
{
    (void)state;
    assert_int_equal(parse_with_crc(NEEDED), 0);
    assert_int_equal(parse_with_crc(NEEDED ",\"later\":null,\"more\":true,\"text\":\"x\""), 0);
    assert_int_equal(parse_with_crc("{\"path\":\"p/x\""), MD_EPARSE);
    assert_int_equal(parse_with_crc(NEEDED ",\"rows\":-1"), MD_EPARSE);
    assert_int_equal(parse_with_crc(NEEDED ",\"rows\":null"), MD_EPARSE);
    assert_int_equal(parse_with_crc(NEEDED ",\"rows\":99999999999999999999"), MD_EPARSE);
    assert_int_equal(parse_with_crc(NEEDED ",\"rows\":18446744073709551615"), 0);
    assert_int_equal(parse_with_crc(NEEDED ",\"first_sequence\":9223372036854775808"), MD_EPARSE);
    assert_int_equal(parse_with_crc(NEEDED ",\"x\":[1]"), MD_EPARSE);
    assert_int_equal(parse_with_crc(NEEDED ",\"x\":{}"), MD_EPARSE);
    assert_int_equal(parse_with_crc(NEEDED ",\"x\":1.5"), MD_EPARSE);
    assert_int_equal(parse_with_crc(NEEDED ",\"exchange\":\"nowhere\""), MD_EPARSE);
    assert_int_equal(parse_with_crc(NEEDED ",\"channel\":\"nothing\""), MD_EPARSE);
    assert_int_equal(parse_with_crc(NEEDED ",\"last_local_seq\":0"), MD_EPARSE);
    assert_int_equal(parse_with_crc(NEEDED ",\"symbol_hex\":\"abc\""), MD_EPARSE);
    assert_int_equal(parse_with_crc(NEEDED ",\"symbol\":\"\\u00\""), MD_EPARSE);
    assert_int_equal(parse_with_crc(NEEDED ",\"symbol\":\"\\x\""), MD_EPARSE);
    assert_int_equal(parse_with_crc(NEEDED ",\"sha256\":\"short\""), MD_EPARSE);
}

/* ---- on disk */

struct seen {
    uint32_t count;
    uint64_t last_seq[16];
};

static void on_entry(void *context, const struct manifest_entry *entry)
{
    struct seen *seen = context;
    if (seen->count < 16) {
        seen->last_seq[seen->count] = entry->last_seq;
    }
    seen->count++;
}

static struct seen read_all(struct disk *disk, int64_t since, struct manifest_stats *stats)
{
    struct seen seen = {0, {0}};
    struct err err = {""};
    assert_int_equal(manifest_read_all(&disk->io, since, on_entry, &seen, stats, &err), 0);
    return seen;
}

static void append(struct manifest *manifest, int64_t unix_ns, uint64_t last_seq)
{
    struct manifest_entry entry = entry_make();
    entry.last_seq = last_seq;
    assert_int_equal(manifest_append(manifest, VENUE_BINANCE, unix_ns, &entry), 0);
}

static void appended_lines_are_read_at_the_next_start(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct manifest manifest;
    struct err err = {""};
    assert_int_equal(manifest_open(&manifest, &disk.io, &err), 0);
    append(&manifest, HOUR, 901);
    append(&manifest, HOUR, 902);
    append(&manifest, HOUR + NS_PER_DAY, 903);
    append(&manifest, HOUR, 904); /* back in the first day's file */
    manifest_close(&manifest);
    struct manifest_stats stats;
    struct seen seen = read_all(&disk, 0, &stats);
    assert_int_equal(seen.count, 4);
    assert_int_equal(stats.files, 2);
    assert_int_equal(stats.damaged_lines, 0);
    seen = read_all(&disk, HOUR + 3 * NS_PER_DAY, &stats); /* but always the newest */
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last_seq[0], 903);
    disk_close(&disk);
}

static void a_torn_tail_is_counted_and_cut_off_by_the_next_append(void **state)
{
    (void)state;
    struct manifest_entry entry = entry_make();
    char line[MANIFEST_LINE_MAX];
    size_t bytes = line_make(&entry, line);
    for (size_t cut = 1; cut <= bytes; cut += 97) {
        struct disk disk;
        disk_open(&disk);
        struct manifest manifest;
        struct err err = {""};
        assert_int_equal(manifest_open(&manifest, &disk.io, &err), 0);
        append(&manifest, HOUR, 901);
        int64_t end = manifest.end;
        assert_int_equal(mdio_write_all(&disk.io, manifest.handle, line, cut, end), 0);
        manifest_close(&manifest);
        struct manifest_stats stats;
        assert_int_equal(read_all(&disk, 0, &stats).count, 1);
        assert_int_equal(stats.damaged_lines, 1);
        assert_int_equal(manifest_open(&manifest, &disk.io, &err), 0);
        append(&manifest, HOUR, 902);
        manifest_close(&manifest);
        struct seen seen = read_all(&disk, 0, &stats);
        assert_int_equal(seen.count, 2);
        assert_int_equal(seen.last_seq[1], 902);
        assert_int_equal(stats.damaged_lines, 0);
        disk_close(&disk);
    }
}

static void an_append_tried_again_leaves_one_line(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 12; n++) { /* from its n-th call on the disk fails, then it is well */
        struct mdio disk;
        struct mdio io;
        struct mdio_faults faults = {
            .fail_call = MDIO_CALL_ANY, .fail_code = MD_EIO, .fail_forever = true};
        assert_int_equal(mdio_mem_open(&disk), 0);
        assert_int_equal(mdio_faulty_open(&io, &disk, &faults), 0);
        struct manifest manifest;
        struct err err = {""};
        assert_int_equal(manifest_open(&manifest, &io, &err), 0);
        struct manifest_entry entry = entry_make();
        assert_int_equal(manifest_append(&manifest, VENUE_BINANCE, HOUR, &entry), 0);
        entry.last_seq = 901;
        faults.fail_at = n;
        int code = manifest_append(&manifest, VENUE_BINANCE, HOUR, &entry);
        faults.fail_at = 0;
        faults.fail_forever = false;
        if (code != 0) {
            assert_int_equal(code, MD_EIO);
            assert_int_equal(manifest_append(&manifest, VENUE_BINANCE, HOUR, &entry), 0);
        }
        manifest_close(&manifest);
        struct seen seen = {0, {0}};
        struct manifest_stats stats;
        assert_int_equal(manifest_read_all(&disk, 0, on_entry, &seen, &stats, &err), 0);
        assert_int_equal(seen.count, 2);
        assert_int_equal(seen.last_seq[1], 901);
        assert_int_equal(stats.damaged_lines, 0);
        mdio_deinit(&io);
        mdio_deinit(&disk);
    }
}

static void garbage_in_the_middle_costs_its_line_alone(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct manifest manifest;
    struct err err = {""};
    assert_int_equal(manifest_open(&manifest, &disk.io, &err), 0);
    append(&manifest, HOUR, 901);
    int64_t middle = manifest.end + 100;
    append(&manifest, HOUR, 902);
    append(&manifest, HOUR, 903);
    assert_int_equal(mdio_write_all(&disk.io, manifest.handle, "\0\0\0\0", 4, middle), 0);
    manifest_close(&manifest);
    struct manifest_stats stats;
    struct seen seen = read_all(&disk, 0, &stats);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.last_seq[1], 903);
    assert_int_equal(stats.damaged_lines, 1);
    disk_close(&disk);
}

static void find_tells_the_rows_of_a_path(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct manifest manifest;
    struct err err = {""};
    char line[MANIFEST_LINE_MAX];
    uint64_t first = 0;
    uint64_t last = 0;
    assert_int_equal(manifest_open(&manifest, &disk.io, &err), 0);
    assert_int_equal(
        manifest_find(&manifest, VENUE_BINANCE, HOUR, STR(FILE_PATH), line, &first, &last), 0);
    append(&manifest, HOUR, 901);
    assert_int_equal(
        manifest_find(&manifest, VENUE_BINANCE, HOUR, STR(FILE_PATH), line, &first, &last), 1);
    assert_int_equal(first, 100);
    assert_int_equal(last, 901);
    assert_int_equal(
        manifest_find(&manifest, VENUE_BINANCE, HOUR, STR("else"), line, &first, &last), 0);
    manifest_close(&manifest);
    disk_close(&disk);
}

static void write_file(struct disk *disk, const char *path)
{
    int handle = mdio_open(&disk->io, path, MDIO_WRITE | MDIO_CREATE);
    assert_true(handle >= 0);
    assert_int_equal(mdio_write_all(&disk->io, handle, "x", 1, 0), 0);
    mdio_close(&disk->io, handle);
}

static bool exists(struct disk *disk, const char *path)
{
    int handle = mdio_open(&disk->io, path, MDIO_READ);
    if (handle >= 0) {
        mdio_close(&disk->io, handle);
    }
    return handle >= 0;
}

static void intended_files_without_a_line_are_deleted(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct manifest manifest;
    struct err err = {""};
    assert_int_equal(manifest_open(&manifest, &disk.io, &err), 0);
    assert_int_equal(mdio_mkdirs(&disk.io, "d"), 0);
    static struct manifest_intent intents[3] = {{VENUE_BINANCE, HOUR, FILE_PATH},
                                                {VENUE_BINANCE, HOUR, "d/b"},
                                                {VENUE_BINANCE, HOUR, "d/c"}};
    assert_int_equal(mdio_mkdirs(&disk.io, "exchange=binance/channel=trades/symbol=BTCUSDT/"
                                           "date=2026-11-23/hour=09"),
                     0);
    write_file(&disk, "d/b"); /* of an older slot, which is still good */
    assert_int_equal(manifest_intend(&manifest, intents + 1, 1), 0);
    assert_int_equal(manifest_intend(&manifest, intents, 3), 0);
    write_file(&disk, FILE_PATH);
    write_file(&disk, "d/" STORE_INPROGRESS "c" STORE_INPROGRESS_END);
    write_file(&disk, "d/not-ours");
    append(&manifest, HOUR, 901); /* FILE_PATH is listed */
    manifest_close(&manifest);
    assert_int_equal(manifest_open(&manifest, &disk.io, &err), 0);
    assert_int_equal(manifest_clean(&manifest, &err), 0);
    assert_true(exists(&disk, FILE_PATH));
    assert_false(exists(&disk, "d/b"));
    assert_false(exists(&disk, "d/" STORE_INPROGRESS "c" STORE_INPROGRESS_END));
    assert_true(exists(&disk, "d/not-ours"));
    write_file(&disk, "d/b"); /* intents are forgotten: nothing is deleted twice */
    manifest_close(&manifest);
    assert_int_equal(manifest_open(&manifest, &disk.io, &err), 0);
    assert_int_equal(manifest_clean(&manifest, &err), 0);
    assert_true(exists(&disk, "d/b"));
    manifest_close(&manifest);
    disk_close(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_what_is_documented),
        cmocka_unit_test(a_line_reads_back),
        cmocka_unit_test(hostile_symbols_come_back_exactly),
        cmocka_unit_test(a_line_cut_or_altered_anywhere_is_refused),
        cmocka_unit_test(wrong_types_and_missing_members_are_refused),
        cmocka_unit_test(appended_lines_are_read_at_the_next_start),
        cmocka_unit_test(a_torn_tail_is_counted_and_cut_off_by_the_next_append),
        cmocka_unit_test(an_append_tried_again_leaves_one_line),
        cmocka_unit_test(garbage_in_the_middle_costs_its_line_alone),
        cmocka_unit_test(find_tells_the_rows_of_a_path),
        cmocka_unit_test(intended_files_without_a_line_are_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
