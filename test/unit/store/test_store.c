/* The store as a whole: which rows are in which files, whatever the memory; when files end; names;
 * footers; what is needed of the journal; checkpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "store_kit.h"

static uint32_t drain(struct store *store)
{
    store_close_all(store, 0);
    return store_drain(store, 20000);
}

static void a_trade_lands_in_its_file(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct store_config config = kit_config();
    struct store *store = kit_store_open(&disk.io, &config, NULL);
    struct event event = kit_trade(1, 42, KIT_HOUR + 123456789);
    store_event(store, 0, &event);
    assert_int_equal(store_needed_seq(store), 42);
    assert_int_equal(store_stats(store).open_partitions, 1);
    assert_int_equal(drain(store), 0);
    assert_true(store_needed_seq(store) == UINT64_MAX);
    assert_int_equal(store_manifest_last_seq(store), 42);
    struct store_stats stats = store_stats(store);
    assert_int_equal(stats.rows, 1);
    assert_int_equal(stats.rows_by_channel[CHANNEL_TRADES], 1);
    assert_int_equal(stats.files_sealed, 1);
    assert_int_equal(stats.open_partitions, 0);
    store_destroy(store);
    struct kit_files files = kit_files_read(&disk.io);
    assert_int_equal(files.count, 1);
    assert_int_equal(files.inprogress, 0);
    assert_string_equal(files.file[0].path,
                        "exchange=binance/channel=trades/symbol=S0001/date=2026-11-23/hour=09/"
                        "20261123T090000.123456Z-rec-00.jsonl.zst");
    assert_string_equal(
        files.file[0].text,
        "binance|S0001|1795424400121456|1795424400123456|~|42|buy|64004.199999999997|"
        "0.23680000000000001|~|0|1|42|\n"
        "#group\n"
        "#producer=market-data\n"
        "#producer_version=" MD_VERSION "\n"
        "#recorder=rec\n"
        "#schema=trades\n"
        "#schema_version=1\n"
        "#venue=binance\n"
        "#feed=json\n"
        "#symbol=S0001\n"
        "#gap_count=0\n"
        "#missing_ids=0\n"
        "#first_sequence=42\n"
        "#last_sequence=42\n"
        "#journal_first_seq=42\n"
        "#journal_last_seq=42\n"
        "#digits_over_15=0\n");
    kit_files_free(&files);
    disk_close(&disk);
}

/* A busy stretch: 40 streams of trades and depth over the hour's end, some silent, ticks a second.
 */
static void busy_stretch(struct store *store)
{
    uint64_t seq = 1;
    uint64_t random = 7;
    int64_t now = KIT_HOUR + 3500 * KIT_S;
    for (int second = 0; second < 200; second++) {
        for (int i = 0; i < 60; i++) {
            random = random * 6364136223846793005U + 1442695040888963407U;
            uint32_t index = (uint32_t)(random >> 40) % 20;
            if (second > 50 && index < 5) {
                continue; /* silent for the rest */
            }
            struct event event =
                (random >> 60) % 2 == 0 ? kit_trade(index, seq, now) : kit_depth(index, seq, now);
            store_event(store, event.channel == CHANNEL_TRADES ? index : 20 + index, &event);
            seq++;
            now += 10 * KIT_MS;
        }
        if (second % 60 == 30) {
            struct event gap = kit_gap(7, CHANNEL_TRADES, seq++, now, 3);
            store_event(store, 40, &gap);
        }
        now = KIT_HOUR + (3501 + second) * KIT_S;
        store_tick(store, now);
        seq++;
    }
    assert_int_equal(drain(store), 0);
}

static void files_do_not_depend_on_memory(void **state)
{
    (void)state;
    static const struct {
        uint32_t batch, blocks;
        size_t bytes;
        bool thread;
    } rows[] = {
        {512, 64, 1 << 20, false}, {1, 64, 1 << 20, false}, {512, 2, 1 << 20, false},
        {512, 64, 1, false},       {7, 5, 65536, false},    {60000, 64, 1 << 22, true},
        {3, 2, 1, true},
    };
    struct kit_files first = {NULL, 0, 0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct disk disk;
        disk_open(&disk);
        struct store_config config = kit_config();
        config.record_batch_rows = rows[i].batch;
        config.open_blocks_max = rows[i].blocks;
        config.row_block_bytes = rows[i].bytes;
        config.seal_thread = rows[i].thread;
        config.roll_ns = 60 * KIT_S;
        config.idle_close_ns = 20 * KIT_S;
        config.close_spread_ns = 10 * KIT_S;
        struct store *store = kit_store_open(&disk.io, &config, NULL);
        busy_stretch(store);
        assert_int_equal(store_stats(store).rows_lost, 0);
        store_destroy(store);
        struct kit_files files = kit_files_read(&disk.io);
        assert_true(files.count > 100);
        if (i == 0) {
            first = files;
        } else {
            assert_true(kit_files_same(&first, &files));
            kit_files_free(&files);
        }
        disk_close(&disk);
    }
    kit_files_free(&first);
}

static void an_hour_ends_between_two_milliseconds(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct store_config config = kit_config();
    config.streams_max = 1000;
    config.seal_jobs_max = 1000;
    config.close_spread_ns = 30 * KIT_S;
    struct store *store = kit_store_open(&disk.io, &config, NULL);
    int64_t end = KIT_HOUR + 3600 * KIT_S;
    for (uint32_t i = 0; i < 1000; i++) {
        struct event event = kit_trade(i, 1 + i, end - KIT_MS);
        store_event(store, i, &event);
    }
    for (uint32_t i = 0; i < 1000; i += 2) {
        struct event event = kit_trade(i, 2001 + i, end + KIT_MS);
        store_event(store, i, &event);
    }
    assert_int_equal(store_stats(store).open_partitions, 1000);
    store_tick(store, end + KIT_S); /* the silent ones end one by one */
    uint32_t open = store_stats(store).open_partitions;
    assert_in_range(open, 900, 999);
    store_tick(store, end + 30 * KIT_S);
    assert_int_equal(store_stats(store).open_partitions, 500);
    assert_int_equal(drain(store), 0);
    assert_int_equal(store_stats(store).open_partitions_high, 1000);
    store_destroy(store);
    struct kit_files files = kit_files_read(&disk.io);
    assert_int_equal(files.count, 1500);
    for (uint32_t i = 0; i < files.count; i++) {
        bool next_hour = kit_row_seq(&files.file[i], 0) > 2000;
        assert_int_equal(kit_rows(&files.file[i]), 1);
        assert_non_null(strstr(files.file[i].path, next_hour ? "/hour=10/20261123T100000.001000Z"
                                                             : "/hour=09/20261123T095959.999000Z"));
    }
    kit_files_free(&files);
    disk_close(&disk);
}

static void a_roll_cuts_inside_the_hour_and_numbers(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct store_config config = kit_config();
    config.roll_ns = 600 * KIT_S;
    struct store *store = kit_store_open(&disk.io, &config, NULL);
    /* 09:05, 09:09:59.999, 09:10, (a tick at 09:20), 09:59, 10:00 */
    static const int64_t at_ms[] = {300000, 599999, 600000, 3540000, 3600000};
    for (uint64_t i = 0; i < 5; i++) {
        if (i == 3) {
            store_tick(store, KIT_HOUR + 1199 * KIT_S);
            assert_int_equal(store_stats(store).open_partitions, 1);
            store_tick(store, KIT_HOUR + 1200 * KIT_S);
            assert_int_equal(store_stats(store).open_partitions, 0);
        }
        struct event event = kit_trade(1, i + 1, KIT_HOUR + at_ms[i] * KIT_MS);
        store_event(store, 0, &event);
    }
    assert_int_equal(drain(store), 0);
    store_destroy(store);
    struct kit_files files = kit_files_read(&disk.io);
    assert_int_equal(files.count, 4);
    assert_int_equal(
        kit_rows(kit_file_of(&files, "/hour=09/20261123T090500.000000Z-rec-00.jsonl.zst")), 2);
    assert_int_equal(
        kit_rows(kit_file_of(&files, "/hour=09/20261123T091000.000000Z-rec-01.jsonl.zst")), 1);
    assert_int_equal(
        kit_rows(kit_file_of(&files, "/hour=09/20261123T095900.000000Z-rec-02.jsonl.zst")), 1);
    assert_int_equal(
        kit_rows(kit_file_of(&files, "/hour=10/20261123T100000.000000Z-rec-00.jsonl.zst")), 1);
    kit_files_free(&files);
    disk_close(&disk);
}

static void an_idle_stream_gives_its_file_back(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct store_config config = kit_config();
    config.idle_close_ns = 60 * KIT_S;
    struct store *store = kit_store_open(&disk.io, &config, NULL);
    struct event event = kit_trade(1, 1, KIT_HOUR);
    store_event(store, 0, &event);
    store_tick(store, KIT_HOUR + 59 * KIT_S);
    assert_int_equal(store_stats(store).resident_blocks, 1);
    store_tick(store, KIT_HOUR + 60 * KIT_S);
    assert_int_equal(store_stats(store).resident_blocks, 0);
    assert_int_equal(store_stats(store).files_sealed, 1);
    event = kit_trade(1, 3, KIT_HOUR + 61 * KIT_S);
    store_event(store, 0, &event);
    /* No tick came, but the event itself says how long it was silent. */
    event = kit_trade(1, 4, KIT_HOUR + 121 * KIT_S);
    store_event(store, 0, &event);
    assert_int_equal(drain(store), 0);
    store_destroy(store);
    struct kit_files files = kit_files_read(&disk.io);
    assert_int_equal(files.count, 3);
    assert_non_null(kit_file_of(&files, "T090101.000000Z-rec-01.jsonl.zst"));
    assert_non_null(kit_file_of(&files, "T090201.000000Z-rec-02.jsonl.zst"));
    kit_files_free(&files);
    disk_close(&disk);
}

static void rows_of_one_message_stay_together(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct store_config config = kit_config();
    config.row_group_rows = 64;
    config.writer.row_group_rows_max = 64;
    config.writer.row_groups_max = 4; /* a file takes 128 rows, then ends with the message */
    struct store *store = kit_store_open(&disk.io, &config, NULL);
    uint64_t seq = 1;
    for (int message = 0; message < 10; message++, seq++) {
        for (int row = 0; row < 100; row++) { /* one REST answer: 100 trades of one seq */
            struct event event = kit_trade(1, seq, KIT_HOUR + message * KIT_S);
            store_event(store, 0, &event);
        }
    }
    assert_int_equal(drain(store), 0);
    store_destroy(store);
    struct kit_files files = kit_files_read(&disk.io);
    assert_int_equal(files.count, 5);
    for (uint32_t i = 0; i < files.count; i++) {
        assert_int_equal(kit_rows(&files.file[i]), 200);
        assert_int_equal(kit_row_seq(&files.file[i], 0), 1 + i * 2);
        assert_int_equal(kit_row_seq(&files.file[i], 199), 2 + i * 2);
    }
    kit_files_free(&files);
    disk_close(&disk);
}

/* Lands 2500 contracts at 64999.5 with these facts; the row. */
static void land_contracts(const char *type, struct decimal_opt multiplier, const char *expected)
{
    struct disk disk;
    disk_open(&disk);
    struct store_config config = kit_config();
    struct store *store = kit_store_open(&disk.io, &config, NULL);
    struct event trade = kit_trade(3, 2, KIT_HOUR + KIT_S);
    trade.trade.amount = (struct decimal){2500, 0};
    trade.trade.price = (struct decimal){649995, -1};
    struct event instrument = {.channel = CHANNEL_INSTRUMENTS,
                               .venue = VENUE_BINANCE,
                               .symbol = trade.symbol,
                               .recv_unix_ns = KIT_HOUR,
                               .seq = 1,
                               .instrument = {.type = str_from(type),
                                              .contract_multiplier = multiplier,
                                              .valid_from_unix_ns = TIME_NONE}};
    store_event(store, 13, &instrument);
    store_event(store, 3, &trade);
    assert_int_equal(drain(store), 0);
    store_destroy(store);
    struct kit_files files = kit_files_read(&disk.io);
    const struct kit_file *trades = kit_file_of(&files, "090001.000000Z-rec-00.jsonl.zst");
    assert_non_null(trades);
    if (strstr(trades->text, expected) == NULL) {
        print_error("%s in %s\n", expected, trades->text);
        fail();
    }
    kit_files_free(&files);
    disk_close(&disk);
}

static void contracts_land_in_base_units_too(void **state)
{
    (void)state;
    land_contracts("perpetual", (struct decimal_opt){{1, -4}, true}, "|2500|0.25|");
    land_contracts("inverse_perpetual", (struct decimal_opt){{1, 0}, true},
                   "|2500|0.0384618343218025");
    land_contracts("spot", (struct decimal_opt){0}, "|2500|~|");
}

static void gaps_and_instruments_have_one_file_an_exchange(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct store_config config = kit_config();
    struct store *store = kit_store_open(&disk.io, &config, NULL);
    struct event trade = kit_trade(3, 1, KIT_HOUR);
    store_event(store, 3, &trade);
    struct event gap = kit_gap(3, CHANNEL_TRADES, 2, KIT_HOUR + KIT_S, 5);
    store_event(store, 10, &gap);
    gap = kit_gap(4, CHANNEL_TRADES, 3, KIT_HOUR + 2 * KIT_S, 6);
    store_event(store, 11, &gap); /* another number of the caller's, the same file */
    gap.symbol = str_make(NULL, 0);
    gap.gap.all_channels = true;
    gap.seq = 4;
    store_event(store, 12, &gap);
    struct event instrument = {.channel = CHANNEL_INSTRUMENTS,
                               .venue = VENUE_BINANCE,
                               .symbol = trade.symbol,
                               .recv_unix_ns = KIT_HOUR + 3 * KIT_S,
                               .seq = 5,
                               .instrument = {.base = STR("BTC"),
                                              .quote = STR("USDT"),
                                              .tick_size = {{100, -4}, true},
                                              .valid_from_unix_ns = TIME_NONE}};
    store_event(store, 13, &instrument);
    trade = kit_trade(3, 6, KIT_HOUR + 4 * KIT_S);
    store_event(store, 3, &trade);
    trade = kit_trade(3, 7, KIT_HOUR + 3600 * KIT_S); /* the gaps were told before: not its own */
    store_event(store, 3, &trade);
    assert_int_equal(drain(store), 0);
    store_destroy(store);
    struct kit_files files = kit_files_read(&disk.io);
    assert_int_equal(files.count, 4);
    const struct kit_file *gaps = kit_file_of(
        &files, "channel=gaps/date=2026-11-23/20261123T090001.000000Z-rec-00.jsonl.zst");
    assert_non_null(gaps);
    assert_int_equal(kit_rows(gaps), 3);
    assert_non_null(strstr(gaps->text, "binance|S0003|~|1795424401000000|trades|sequence|1|5|5|"));
    assert_non_null(strstr(gaps->text, "binance|~|~|"));
    assert_non_null(kit_file_of(
        &files, "channel=instruments/date=2026-11-23/20261123T090003.000000Z-rec-00.jsonl.zst"));
    const struct kit_file *trades = kit_file_of(&files, "090000.000000Z-rec-00.jsonl.zst");
    char value[64];
    assert_true(kit_footer(trades, "gap_count", value, sizeof value));
    assert_string_equal(value, "2"); /* its own, and the one of all; not S0004's */
    assert_true(kit_footer(trades, "missing_ids", value, sizeof value));
    assert_string_equal(value, "11");
    assert_true(kit_footer(trades, "base", value, sizeof value));
    assert_string_equal(value, "BTC");
    assert_true(kit_footer(trades, "tick_size", value, sizeof value));
    assert_string_equal(value, "0.0100");
    assert_false(kit_footer(trades, "lot_size", value, sizeof value));
    trades = kit_file_of(&files, "100000.000000Z-rec-00.jsonl.zst");
    assert_true(kit_footer(trades, "gap_count", value, sizeof value));
    assert_string_equal(value, "0");
    assert_true(kit_footer(trades, "base", value, sizeof value));
    assert_string_equal(value, "BTC");
    kit_files_free(&files);
    disk_close(&disk);
}

/* ---- depth files begin with a snapshot */

struct snapshots {
    struct store *store;
    uint32_t asked;
};

static void on_file_begin(void *context, uint32_t stream, const struct event *event)
{
    struct snapshots *snapshots = context;
    static const struct level levels[] = {{{100, 0}, {1, 0}}, {{99, 0}, {2, 0}}};
    snapshots->asked++;
    struct event snapshot = *event;
    snapshot.depth.is_snapshot = true;
    snapshot.depth.bids = levels;
    snapshot.depth.bid_count = 2;
    store_event(snapshots->store, stream, &snapshot);
}

static void a_depth_file_begins_with_the_book(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct store_config config = kit_config();
    struct snapshots snapshots = {NULL, 0};
    struct store_handlers handlers = {on_file_begin, NULL, &snapshots};
    struct store *store = kit_store_open(&disk.io, &config, &handlers);
    snapshots.store = store;
    struct event event = kit_depth(1, 1, KIT_HOUR);
    assert_true(store_needs_snapshot(store, 0, &event));
    store_event(store, 0, &event);
    assert_false(store_needs_snapshot(store, 0, &event));
    event = kit_depth(1, 2, KIT_HOUR + KIT_S);
    store_event(store, 0, &event);
    event = kit_depth(1, 3, KIT_HOUR + 3600 * KIT_S);
    assert_true(store_needs_snapshot(store, 0, &event));
    store_event(store, 0, &event);
    event = kit_depth(2, 4, KIT_HOUR + 3600 * KIT_S);
    event.depth.is_snapshot = true; /* begins with one of its own */
    assert_false(store_needs_snapshot(store, 1, &event));
    store_event(store, 1, &event);
    assert_int_equal(snapshots.asked, 2);
    assert_int_equal(drain(store), 0);
    store_destroy(store);
    struct kit_files files = kit_files_read(&disk.io);
    assert_int_equal(files.count, 3);
    const struct kit_file *first = kit_file_of(&files, "T090000.000000Z-rec-00.jsonl.zst");
    assert_int_equal(kit_rows(first), 4);
    assert_non_null(strstr(first->text, "|1|bid|100|1|1|1|~|1|1|\n"));
    assert_non_null(strstr(first->text, "|0|bid|100|2|1|1|~|1|1|\n"));
    kit_files_free(&files);
    disk_close(&disk);
}

/* ---- starting again */

static void land_range(struct store *store, uint64_t from, uint64_t to)
{
    for (uint64_t seq = from; seq <= to; seq++) {
        int64_t now = KIT_HOUR + (int64_t)seq * KIT_S;
        if (seq % 10 == 0) {
            store_tick(store, now);
            continue;
        }
        struct event event = kit_trade((uint32_t)(seq % 3), seq, now);
        store_event(store, (uint32_t)(seq % 3), &event);
    }
}

static void check_every_row_once(struct mdio *io, uint64_t last)
{
    struct kit_files files = kit_files_read(io);
    uint8_t *seen = calloc(last + 1, 1);
    for (uint32_t i = 0; i < files.count; i++) {
        uint32_t rows = kit_rows(&files.file[i]);
        for (uint32_t row = 0; row < rows; row++) {
            uint64_t seq = kit_row_seq(&files.file[i], row);
            assert_in_range(seq, 1, last);
            assert_int_equal(seen[seq], 0);
            seen[seq] = 1;
        }
    }
    for (uint64_t seq = 1; seq <= last; seq++) {
        assert_int_equal(seen[seq], seq % 10 != 0);
    }
    free(seen);
    kit_files_free(&files);
}

static void a_replay_after_a_crash_lands_each_row_once(void **state)
{
    (void)state;
    struct store_config config = kit_config();
    config.roll_ns = 60 * KIT_S;
    struct disk whole;
    disk_open(&whole);
    struct store *store = kit_store_open(&whole.io, &config, NULL);
    land_range(store, 1, 1000);
    drain(store);
    store_destroy(store);
    struct kit_files expected = kit_files_read(&whole.io);
    for (uint64_t cut = 100; cut < 1000; cut += 83) {
        struct disk disk;
        disk_open(&disk);
        store = kit_store_open(&disk.io, &config, NULL);
        land_range(store, 1, cut);
        store_destroy(store); /* nothing is closed: as if killed */
        store = kit_store_open(&disk.io, &config, NULL);
        land_range(store, 1, 1000);
        assert_int_equal(drain(store), 0);
        assert_true(store_stats(store).rows_skipped > 0);
        store_destroy(store);
        struct kit_files files = kit_files_read(&disk.io);
        assert_true(kit_files_same(&expected, &files));
        kit_files_free(&files);
        check_every_row_once(&disk.io, 1000);
        disk_close(&disk);
    }
    kit_files_free(&expected);
    disk_close(&whole);
}

static void rows_after_a_stop_begin_a_further_file(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct store_config config = kit_config();
    struct store *store = kit_store_open(&disk.io, &config, NULL);
    land_range(store, 1, 100);
    assert_int_equal(drain(store), 0); /* a stop that the replay does not know of */
    store_destroy(store);
    store = kit_store_open(&disk.io, &config, NULL);
    land_range(store, 1, 200);
    assert_int_equal(drain(store), 0);
    assert_int_equal(store_stats(store).rows_skipped, 90);
    store_destroy(store);
    check_every_row_once(&disk.io, 200);
    struct kit_files files = kit_files_read(&disk.io);
    assert_int_equal(files.count, 6);
    assert_non_null(kit_file_of(&files, "S0000/date=2026-11-23/hour=09/"
                                        "20261123T090142.000000Z-rec-01.jsonl.zst"));
    kit_files_free(&files);
    disk_close(&disk);
}

static void a_smaller_plan_still_knows_what_larger_ones_sealed(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct store_config config = kit_config();
    config.streams_max = 400;
    config.seal_jobs_max = 400;
    struct store *store = kit_store_open(&disk.io, &config, NULL);
    for (uint32_t i = 0; i < 400; i++) {
        struct event event = kit_trade(i, i + 1, KIT_HOUR);
        store_event(store, i, &event);
    }
    assert_int_equal(drain(store), 0);
    store_destroy(store);
    config.streams_max = 2;
    store = kit_store_open(&disk.io, &config, NULL);
    assert_int_equal(store_stats(store).manifest_lines, 400);
    assert_int_equal(store_manifest_last_seq(store), 400);
    for (uint32_t i = 0; i < 2; i++) {
        struct event event = kit_trade(150 * i, 150 * i + 1, KIT_HOUR);
        store_event(store, i, &event);
    }
    assert_int_equal(drain(store), 0);
    assert_int_equal(store_stats(store).rows_skipped, 2);
    store_destroy(store);
    disk_close(&disk);
}

struct parts {
    char bytes[16][32768];
    size_t size[16];
    uint32_t count;
};

static void keep_part(void *context, struct str part)
{
    struct parts *parts = context;
    assert_true(parts->count < 16);
    memcpy(parts->bytes[parts->count], part.data, part.bytes);
    parts->size[parts->count++] = part.bytes;
}

/* A stream that is silent across the checkpoint: its open file ends before it speaks again. */
static void land_seldom(struct store *store, uint64_t seq)
{
    struct event event = kit_trade(9, seq, KIT_HOUR + (int64_t)seq * KIT_S);
    store_event(store, 9, &event);
}

static void land_after(struct store *store, uint64_t last)
{
    land_range(store, 502, 599);
    land_seldom(store, 600);
    land_range(store, 601, 900);
    if (last > 900) {
        land_seldom(store, 901);
        land_range(store, 902, last);
    }
}

static void a_replay_from_a_checkpoint_gives_the_same_files(void **state)
{
    (void)state;
    struct store_config config = kit_config();
    config.roll_ns = 90 * KIT_S;
    struct disk whole;
    disk_open(&whole);
    struct store *store = kit_store_open(&whole.io, &config, NULL);
    static struct parts parts;
    parts.count = 0;
    struct event instrument = {.channel = CHANNEL_INSTRUMENTS,
                               .venue = VENUE_BINANCE,
                               .symbol = STR("S0001"),
                               .recv_unix_ns = KIT_HOUR,
                               .seq = 1,
                               .instrument = {.base = STR("ETH"),
                                              .lot_size = {{1, -5}, true},
                                              .valid_from_unix_ns = TIME_NONE}};
    store_event(store, 5, &instrument);
    land_range(store, 2, 499);
    land_seldom(store, 500);
    struct event gap = kit_gap(1, CHANNEL_TRADES, 501, KIT_HOUR + 501 * KIT_S, 4);
    store_event(store, 6, &gap);
    uint64_t needed = store_needed_seq(store);
    store_checkpoint(store, 2048, keep_part, &parts);
    assert_int_equal(store_state_needed_seq(str_make(parts.bytes[0], parts.size[0])), needed);
    land_after(store, 1000);
    drain(store);
    store_destroy(store);
    struct kit_files expected = kit_files_read(&whole.io);

    /* The same, but killed at 900 and replayed from the checkpoint at 502: all before was sealed.
     */
    struct disk disk;
    disk_open(&disk);
    store = kit_store_open(&disk.io, &config, NULL);
    store_event(store, 5, &instrument);
    land_range(store, 2, 499);
    land_seldom(store, 500);
    store_event(store, 6, &gap);
    land_after(store, 900);
    for (int64_t later = 0; store_needed_seq(store) < 502; later++) {
        store_tick(store,
                   KIT_HOUR + (900 + later) * KIT_S); /* instruments and gaps: an hour's end */
        assert_true(later < 3600);
    }
    store_destroy(store);
    store = kit_store_open(&disk.io, &config, NULL);
    for (uint32_t i = 0; i < parts.count; i++) {
        assert_int_equal(store_restore(store, str_make(parts.bytes[i], parts.size[i])), 0);
    }
    land_after(store, 1000);
    drain(store);
    store_destroy(store);
    struct kit_files files = kit_files_read(&disk.io);
    assert_true(kit_files_same(&expected, &files));
    char value[64];
    const struct kit_file *file = kit_file_of(&files, "S0001/date=2026-11-23/hour=09/"
                                                      "20261123T090901.000000Z-rec-06.jsonl.zst");
    assert_non_null(file);
    assert_true(kit_footer(file, "base", value, sizeof value));
    assert_string_equal(value, "ETH");
    kit_files_free(&files);
    kit_files_free(&expected);
    disk_close(&disk);
    disk_close(&whole);
}

static void a_damaged_checkpoint_is_refused(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct store_config config = kit_config();
    struct store *store = kit_store_open(&disk.io, &config, NULL);
    static struct parts parts;
    parts.count = 0;
    land_range(store, 1, 50);
    store_checkpoint(store, 32768, keep_part, &parts);
    assert_int_equal(parts.count, 1);
    store_destroy(store);
    for (size_t cut = 0; cut < parts.size[0]; cut++) {
        store = kit_store_open(&disk.io, &config, NULL);
        int code = store_restore(store, str_make(parts.bytes[0], cut));
        assert_true(code == 0 || code == MD_ECORRUPT); /* 0: cut between two entries */
        store_destroy(store);
    }
    disk_close(&disk);
}

static void a_taken_name_is_never_overwritten(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct store_config config = kit_config();
    const char *folder = "exchange=binance/channel=trades/symbol=S0001/date=2026-11-23/hour=09";
    char path[256];
    snprintf(path, sizeof path, "%s/20261123T090000.000000Z-rec-00.jsonl.zst", folder);
    assert_int_equal(mdio_mkdirs(&disk.io, folder), 0);
    int handle = mdio_open(&disk.io, path, MDIO_WRITE | MDIO_CREATE);
    assert_int_equal(mdio_write_all(&disk.io, handle, "foreign", 7, 0), 0);
    mdio_close(&disk.io, handle);
    struct store *store = kit_store_open(&disk.io, &config, NULL);
    struct event event = kit_trade(1, 1, KIT_HOUR);
    store_event(store, 0, &event);
    assert_int_equal(drain(store), 0);
    store_destroy(store);
    struct kit_files files = kit_files_read(&disk.io);
    assert_int_equal(files.count, 2);
    assert_string_equal(kit_file_of(&files, "rec-00.jsonl.zst")->text, "foreign");
    assert_int_equal(kit_rows(kit_file_of(&files, "rec-01.jsonl.zst")), 1);
    kit_files_free(&files);
    /* The same rows again, not known as sealed: the manifest tells that they are there. */
    config.skip_existing = false;
    store = kit_store_open(&disk.io, &config, NULL);
    store_event(store, 0, &event);
    assert_int_equal(drain(store), 0);
    store_destroy(store);
    files = kit_files_read(&disk.io);
    assert_int_equal(files.count, 2);
    kit_files_free(&files);
    disk_close(&disk);
}

static void hostile_symbols_stay_below_the_root(void **state)
{
    (void)state;
    static char long_symbol[300];
    memset(long_symbol, 'L', sizeof long_symbol);
    const struct str symbols[] = {
        STR("../../x"), STR("a/b"), STR("."),      STR(""),     STR("a\0b"),
        STR("CON"),     STR("con"), STR("%2e%2e"), STR("\xff"), str_make(long_symbol, 300)};
    uint32_t count = sizeof symbols / sizeof symbols[0];
    struct disk disk;
    disk_open(&disk);
    struct store_config config = kit_config();
    for (int again = 0; again < 2; again++) { /* the second time all is known from the manifest */
        struct store *store = kit_store_open(&disk.io, &config, NULL);
        for (uint32_t i = 0; i < count; i++) {
            struct event event = kit_trade(1, i + 1, KIT_HOUR);
            event.symbol = symbols[i];
            store_event(store, i, &event);
        }
        assert_int_equal(drain(store), 0);
        assert_int_equal(store_stats(store).rows_skipped, again == 0 ? 0 : count);
        store_destroy(store);
    }
    struct kit_files files = kit_files_read(&disk.io);
    assert_int_equal(files.count, count);
    kit_files_free(&files);
    disk_close(&disk);
}

static void a_text_longer_than_a_block_lands(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct store_config config = kit_config();
    struct store *store = kit_store_open(&disk.io, &config, NULL);
    static char id[5000];
    memset(id, 'i', sizeof id);
    for (uint64_t seq = 1; seq <= 30; seq++) {
        struct event event = kit_trade(1, seq, KIT_HOUR + (int64_t)seq);
        if (seq % 3 == 0) {
            event.trade.id = str_make(id, seq % 2 == 0 ? 4096 : 5000);
        }
        store_event(store, 0, &event);
    }
    assert_int_equal(drain(store), 0);
    assert_int_equal(store_stats(store).texts_cut, 5);
    store_destroy(store);
    struct kit_files files = kit_files_read(&disk.io);
    assert_int_equal(files.count, 1);
    assert_int_equal(kit_rows(&files.file[0]), 30);
    for (uint32_t row = 0; row < 30; row++) {
        assert_int_equal(kit_row_seq(&files.file[0], row), row + 1);
    }
    kit_files_free(&files);
    disk_close(&disk);
}

static void each_format_is_written_by_its_own_writer(void **state)
{
    (void)state;
    static const struct {
        enum file_format format;
        const char *ending;
        const char *magic;
    } rows[] = {
        {FORMAT_PARQUET, "-rec-00.parquet", "PAR1"},
        {FORMAT_JSONL, "-rec-00.jsonl.zst", "\x28\xb5\x2f\xfd"},
        {FORMAT_CSV, "-rec-00.csv.gz", "\x1f\x8b"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct disk disk;
        disk_open(&disk);
        struct store_config config = kit_config();
        config.writer_create = NULL;
        config.format = rows[i].format;
        struct store *store = kit_store_open(&disk.io, &config, NULL);
        for (uint64_t seq = 1; seq < 3000; seq++) {
            struct event event = kit_trade(1, seq, KIT_HOUR + (int64_t)seq * KIT_MS);
            store_event(store, 0, &event);
        }
        assert_int_equal(drain(store), 0);
        assert_int_equal(store_stats(store).bytes_sealed,
                         store_stats(store).bytes_by_channel[CHANNEL_TRADES]);
        struct kit_files files = kit_files_read(&disk.io);
        assert_int_equal(files.count, 1);
        const struct kit_file *file = kit_file_of(&files, rows[i].ending);
        assert_non_null(file);
        assert_memory_equal(file->text, rows[i].magic, strlen(rows[i].magic));
        assert_int_equal(file->bytes, store_stats(store).bytes_sealed);
        kit_files_free(&files);
        store_destroy(store);
        disk_close(&disk);
    }
}

/* ---- the journal's sync comes first */

struct waits {
    uint64_t asked;
    int code;
};

static int on_wait(void *context, uint64_t seq)
{
    struct waits *waits = context;
    waits->asked = seq;
    return waits->code;
}

static void nothing_is_renamed_before_the_journal_is_synced(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct store_config config = kit_config();
    struct waits waits = {0, MD_ETIMEOUT};
    struct store_handlers handlers = {NULL, on_wait, &waits};
    struct store *store = kit_store_open(&disk.io, &config, &handlers);
    struct event event = kit_trade(1, 77, KIT_HOUR);
    store_event(store, 0, &event);
    assert_int_equal(drain(store), 1);
    assert_int_equal(waits.asked, 77);
    assert_int_equal(store_needed_seq(store), 77);
    struct kit_files files = kit_files_read(&disk.io);
    assert_int_equal(files.count, 0);
    kit_files_free(&files);
    waits.code = 0;
    assert_int_equal(store_drain(store, 0), 0);
    assert_int_equal(store_stats(store).files_failed, 1);
    store_destroy(store);
    files = kit_files_read(&disk.io);
    assert_int_equal(files.count, 1);
    kit_files_free(&files);
    disk_close(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trade_lands_in_its_file),
        cmocka_unit_test(an_hour_ends_between_two_milliseconds),
        cmocka_unit_test(a_roll_cuts_inside_the_hour_and_numbers),
        cmocka_unit_test(an_idle_stream_gives_its_file_back),
        cmocka_unit_test(rows_of_one_message_stay_together),
        cmocka_unit_test(contracts_land_in_base_units_too),
        cmocka_unit_test(gaps_and_instruments_have_one_file_an_exchange),
        cmocka_unit_test(a_depth_file_begins_with_the_book),
        cmocka_unit_test(a_text_longer_than_a_block_lands),
        cmocka_unit_test(each_format_is_written_by_its_own_writer),
        cmocka_unit_test(a_taken_name_is_never_overwritten),
        cmocka_unit_test(hostile_symbols_stay_below_the_root),
        cmocka_unit_test(nothing_is_renamed_before_the_journal_is_synced),
        cmocka_unit_test(files_do_not_depend_on_memory),
        cmocka_unit_test(a_replay_after_a_crash_lands_each_row_once),
        cmocka_unit_test(rows_after_a_stop_begin_a_further_file),
        cmocka_unit_test(a_smaller_plan_still_knows_what_larger_ones_sealed),
        cmocka_unit_test(a_replay_from_a_checkpoint_gives_the_same_files),
        cmocka_unit_test(a_damaged_checkpoint_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
