/* The settings table: defaults, units, ranges, refusals with their remedies, YAML, environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/nearest.h"
#include "app/settings.h"

static struct settings settings;
static struct err err;

static int fresh(void **state)
{
    (void)state;
    settings_init(&settings);
    err.text[0] = 0;
    return 0;
}

static int set(const char *name, const char *value)
{
    return settings_set(&settings, str_from(name), str_from(value), &err);
}

static int load(const char *yaml)
{
    char path[] = "/tmp/md-settings-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
    close(fd);
    int code = settings_load(&settings, path, &err);
    unlink(path);
    return code;
}

static void defaults_are_those_of_the_design(void **state)
{
    (void)state;
    assert_int_equal(settings.output_record_batch_size, 512);
    assert_int_equal(settings.output_batch_size, 50000);
    assert_int_equal(settings.output_max_open_files, 128);
    assert_int_equal(settings.output_idle_close_secs, 0);
    assert_int_equal(settings.output_zstd_level, 3);
    assert_int_equal(settings.output_queue_capacity, 200000);
    assert_int_equal(settings.output_roll_secs, 3600);
    assert_int_equal(settings.journal_sync_ms, 200);
    assert_int_equal(settings.output_format, 0);
    assert_int_equal(settings.log_level, 1);
    assert_true(settings.book_enabled);
    assert_string_equal(settings.binance_channels, "trades,book_ticker,incremental_book_L2");
}

/* design.md, section 3, and what issue 4 adds: name, default, what lies outside on either side. */
static void the_settings_of_the_reference_system_work_under_their_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *preset, *good, *below, *above;
    } rows[] = {
        {"output.format", "parquet", "csv", "", "orc"},
        {"output.parquet_record_batch_size", "512", "1", "0", "65537"},
        {"output.parquet_batch_size", "50000", "2000", "99", "1000001"},
        {"output.parquet_max_open_files", "128", "8", "7", "65537"},
        {"output.parquet_idle_close_secs", "0", "86400", "-1", "86401"},
        {"output.parquet_zstd_level", "3", "19", "0", "20"},
        {"output.queue_capacity", "200000", "0", "-1", "100000001"},
        {"output.queue_full", "drop", "pause", "", "grow"},
        {"kucoin.subscribe_delay_ms", "150", "1", "0", "60001"},
        {"kucoin.conn_stagger_ms", "2500", "1", "0", "600001"},
        {"kucoin.global_subscribe_delay_ms", "150", "0", "-1", "60001"},
        {"log.level", "warn", "debug", "", "loud"},
        {"output.roll_secs", "3600", "1", "0", "3601"},
        {"memory.budget", "0", "128MiB", "-1", "2048GiB"},
        {"journal.keep", "0", "36500", "-1", "36501"},
        {"tune", "auto", "off", "", "on"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t r = 0;
        while (r < setting_count - 1 && strcmp(setting_rows[r].name, rows[i].name) != 0) {
            r++;
        }
        assert_string_equal(setting_rows[r].name, rows[i].name);
        assert_string_equal(setting_rows[r].preset, rows[i].preset);
        assert_int_equal(set(rows[i].name, rows[i].good), 0);
        assert_true(set(rows[i].name, rows[i].below) < 0);
        assert_true(set(rows[i].name, rows[i].above) < 0);
        assert_non_null(strstr(err.text, rows[i].name));
    }
}

static void every_row_takes_its_own_default_and_has_a_sentence(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < setting_count; i++) {
        assert_int_equal(set(setting_rows[i].name, setting_rows[i].preset), 0);
        assert_true(strlen(setting_rows[i].help) > 10);
        assert_int_equal(setting_rows[i].help[strlen(setting_rows[i].help) - 1], '.');
    }
}

static void sizes_take_binary_units(void **state)
{
    (void)state;
    assert_int_equal(set("memory.budget", "128MiB"), 0);
    assert_int_equal(settings.memory_budget, 134217728);
    assert_int_equal(set("memory.budget", "2GiB"), 0);
    assert_int_equal(settings.memory_budget, 2147483648LL);
    assert_int_equal(set("memory.budget", "65536"), 0);
    assert_int_equal(settings.memory_budget, 65536);
    assert_int_equal(set("memory.budget", "12 parsecs"), MD_EINVAL);
    assert_int_equal(set("memory.budget", "9999999999GiB"), MD_ERANGE);
    assert_int_equal(settings.memory_budget, 65536);
}

static void a_value_out_of_range_names_the_allowed_range(void **state)
{
    (void)state;
    assert_int_equal(set("output.parquet_zstd_level", "22"), MD_ERANGE);
    assert_string_equal(err.text, "output.parquet_zstd_level: 22: allowed is 1 to 19 level");
    assert_int_equal(settings.output_zstd_level, 3);
    assert_int_equal(set("output.parquet_zstd_level", "-1"), MD_ERANGE);
    assert_int_equal(set("output.parquet_zstd_level", "three"), MD_EINVAL);
    assert_int_equal(set("output.parquet_zstd_level", ""), MD_EINVAL);
    assert_int_equal(set("output.parquet_zstd_level", "99999999999999999999999"), MD_EINVAL);
}

static void a_wrong_choice_names_the_choices(void **state)
{
    (void)state;
    assert_int_equal(set("output.format", "orc"), MD_EINVAL);
    assert_string_equal(err.text, "output.format: orc: allowed is parquet|jsonl|csv");
    assert_int_equal(set("output.format", "csv"), 0);
    assert_int_equal(settings.output_format, 2);
    assert_int_equal(set("book.enabled", "yes"), MD_EINVAL);
    assert_int_equal(set("book.enabled", "false"), 0);
    assert_false(settings.book_enabled);
}

static void an_unknown_setting_names_the_nearest(void **state)
{
    (void)state;
    assert_int_equal(set("output.parquet_zstd_levle", "3"), MD_ENOENT);
    assert_string_equal(err.text, "output.parquet_zstd_levle: no such setting; did you mean "
                                  "output.parquet_zstd_level?");
    assert_int_equal(set("zzzz", "3"), MD_ENOENT);
    assert_non_null(strstr(err.text, "--help"));
}

static void control_characters_and_long_texts_are_refused(void **state)
{
    (void)state;
    assert_int_equal(set("data_dir", "a\nb"), MD_EINVAL);
    char long_text[300];
    memset(long_text, 'a', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    assert_int_equal(set("data_dir", long_text), MD_ERANGE);
    assert_int_equal(set("data_dir", ""), MD_ERANGE);
    assert_string_equal(settings.data_dir, "data");
}

static void yaml_takes_sections_lists_and_plain_values(void **state)
{
    (void)state;
    assert_int_equal(load("data_dir: /var/lib/md\n"
                          "output:\n  format: jsonl\n  parquet_batch_size: 5000\n"
                          "log.level: debug\n"
                          "binance:\n  symbols: [BTCUSDT, ETHUSDT]\n  channels:\n    - trades\n"),
                     0);
    assert_string_equal(settings.data_dir, "/var/lib/md");
    assert_int_equal(settings.output_format, 1);
    assert_int_equal(settings.output_batch_size, 5000);
    assert_int_equal(settings.log_level, 3);
    assert_string_equal(settings.binance_symbols, "BTCUSDT,ETHUSDT");
    assert_string_equal(settings.binance_channels, "trades");
}

static void yaml_errors_name_file_and_line(void **state)
{
    (void)state;
    assert_int_equal(load("data_dir: x\noutput:\n  fromat: csv\n"), MD_ENOENT);
    assert_non_null(
        strstr(err.text, ":3: output.fromat: no such setting; did you mean output.format?"));
    assert_int_equal(load("output:\n  parquet_zstd_level: 40\n"), MD_ERANGE);
    assert_non_null(strstr(err.text, ":2: output.parquet_zstd_level: 40: allowed is 1 to 19"));
    assert_int_equal(load("output: [\n"), MD_EPARSE);
    assert_non_null(strstr(err.text, "not YAML"));
    assert_int_equal(load("output:\n  format:\n    deep: er\n"), MD_EINVAL);
    assert_non_null(strstr(err.text, ":3:"));
    assert_int_equal(load("- a\n- b\n"), MD_EINVAL);
    assert_int_equal(load("binance:\n  symbols: [[A]]\n"), MD_EINVAL);
    assert_int_equal(load(""), 0);
    assert_int_equal(settings_load(&settings, "/nonexistent/x.yaml", &err), MD_ENOENT);
    assert_string_equal(err.text, "/nonexistent/x.yaml: No such file or directory");
}

static void the_environment_names_settings_in_capitals(void **state)
{
    (void)state;
    const char *const good[] = {"PATH=/bin", "MARKET_DATA_LOG=debug",
                                "MARKET_DATA_OUTPUT_ROLL_SECS=60", NULL};
    assert_int_equal(settings_from_environment(&settings, good, &err), 0);
    assert_int_equal(settings.log_level, 3);
    assert_int_equal(settings.output_roll_secs, 60);
    const char *const unknown[] = {"MARKET_DATA_OUTPUT_ROL_SECS=60", NULL};
    assert_int_equal(settings_from_environment(&settings, unknown, &err), MD_ENOENT);
    const char *const wrong[] = {"MARKET_DATA_LOG=loud", NULL};
    assert_int_equal(settings_from_environment(&settings, wrong, &err), MD_EINVAL);
    assert_non_null(strstr(err.text, "environment MARKET_DATA_LOG"));
}

static void pairs_of_the_command_line_are_taken_and_refused(void **state)
{
    (void)state;
    assert_int_equal(settings_set_pair(&settings, "output.format=csv", &err), 0);
    assert_int_equal(settings.output_format, 2);
    assert_int_equal(settings_set_pair(&settings, "output.format", &err), MD_EINVAL);
    assert_int_equal(settings_set_pair(&settings, "=csv", &err), MD_EINVAL);
}

static void rules_between_settings_are_checked(void **state)
{
    (void)state;
    assert_int_equal(settings_check(&settings, &err), 0);
    assert_int_equal(set("net.backoff_max_ms", "500"), 0);
    assert_int_equal(settings_check(&settings, &err), MD_ERANGE);
    settings_init(&settings);
    assert_int_equal(set("recorder.id", "Node_1"), 0);
    assert_int_equal(settings_check(&settings, &err), MD_EINVAL);
    settings_init(&settings);
    assert_int_equal(set("net.message_bytes_max", "8MiB"), 0);
    assert_int_equal(settings_check(&settings, &err), MD_ERANGE);
    assert_non_null(strstr(err.text, "memory.queue_bytes"));
}

static void landing_settings_survive_the_journal(void **state)
{
    (void)state;
    assert_int_equal(set("output.format", "csv"), 0);
    assert_int_equal(set("output.roll_secs", "7"), 0);
    assert_int_equal(set("book.enabled", "false"), 0);
    char text[4096];
    struct buf lines = buf_over(text, sizeof text);
    settings_landing_format(&settings, &lines);
    assert_false(lines.overflow);
    settings_init(&settings);
    assert_int_equal(settings_landing_parse(&settings, buf_view(&lines), &err), 0);
    assert_int_equal(settings.output_format, 2);
    assert_int_equal(settings.output_roll_secs, 7);
    assert_false(settings.book_enabled);
    assert_int_equal(settings_landing_parse(&settings, STR("no equal sign"), &err), MD_EPARSE);
    assert_int_equal(settings_landing_parse(&settings, STR("later.version=1\n"), &err), 0);
}

static void overlay_takes_only_what_was_asked_for(void **state)
{
    (void)state;
    static struct settings given;
    settings_init(&given);
    given.output_format = 1;
    settings.output_roll_secs = 9;
    settings_overlay(&settings, &given);
    assert_int_equal(settings.output_format, 1);
    assert_int_equal(settings.output_roll_secs, 9);
}

static void collect(void *context, struct str item)
{
    char *out = context;
    size_t length = strlen(out);
    snprintf(out + length, 100 - length, "<%.*s>", (int)item.bytes, item.data);
}

static void lists_are_split_and_trimmed(void **state)
{
    (void)state;
    char seen[100] = "";
    settings_list_each(" BTCUSDT,ETHUSDT ,, *BTC,-BNBBTC", collect, seen);
    assert_string_equal(seen, "<BTCUSDT><ETHUSDT><*BTC><-BNBBTC>");
}

static void distances_are_edit_distances(void **state)
{
    (void)state;
    assert_int_equal(nearest_distance(STR("kitten"), STR("sitting")), 3);
    assert_int_equal(nearest_distance(STR(""), STR("abc")), 3);
    assert_int_equal(nearest_distance(STR("BTCUSDT"), STR("btcusdt")), 0);
    assert_int_equal(nearest_distance(STR("BTCUSD"), STR("BTCUSDT")), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(defaults_are_those_of_the_design, fresh),
        cmocka_unit_test_setup(the_settings_of_the_reference_system_work_under_their_names, fresh),
        cmocka_unit_test_setup(every_row_takes_its_own_default_and_has_a_sentence, fresh),
        cmocka_unit_test_setup(sizes_take_binary_units, fresh),
        cmocka_unit_test_setup(a_value_out_of_range_names_the_allowed_range, fresh),
        cmocka_unit_test_setup(a_wrong_choice_names_the_choices, fresh),
        cmocka_unit_test_setup(an_unknown_setting_names_the_nearest, fresh),
        cmocka_unit_test_setup(control_characters_and_long_texts_are_refused, fresh),
        cmocka_unit_test_setup(yaml_takes_sections_lists_and_plain_values, fresh),
        cmocka_unit_test_setup(yaml_errors_name_file_and_line, fresh),
        cmocka_unit_test_setup(the_environment_names_settings_in_capitals, fresh),
        cmocka_unit_test_setup(pairs_of_the_command_line_are_taken_and_refused, fresh),
        cmocka_unit_test_setup(rules_between_settings_are_checked, fresh),
        cmocka_unit_test_setup(landing_settings_survive_the_journal, fresh),
        cmocka_unit_test_setup(overlay_takes_only_what_was_asked_for, fresh),
        cmocka_unit_test_setup(lists_are_split_and_trimmed, fresh),
        cmocka_unit_test_setup(distances_are_edit_distances, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
