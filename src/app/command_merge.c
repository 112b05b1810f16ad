/* merge: two recorders' folders as one. */
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "base/clock.h"
#include "proof/merge.h"

#define RECORDER_DEFAULT "md" /* of the setting: for a merged folder it says nothing */

static void print_finding(void *context, const struct finding *finding)
{
    const char *const *folders = context;
    char path[MDIO_PATH_BYTES_MAX];
    str_printable(path, sizeof path, finding->path.data, finding->path.bytes);
    fprintf(stderr, "market-data: %s or %s: %s: %s: left out\n", folders[0], folders[1], path,
            finding->text);
}

static struct store_config config_of(const struct settings *settings)
{
    struct store_config config = {
        .format = (enum file_format)settings->output_format,
        .layout = (enum file_layout)settings->output_layout,
        .record_batch_rows = (uint32_t)settings->output_record_batch_size,
        .row_group_rows = (uint32_t)settings->output_batch_size,
        .open_blocks_max = 16, /* one stream at a time */
        .row_block_bytes = (size_t)1 << 20,
        .roll_ns = settings->output_roll_secs * NS_PER_S,
        .writer = {.zstd_level = (int)settings->output_zstd_level,
                   .page_rows = 20000,
                   .dictionary_bytes_max = 1 << 20,
                   .row_group_rows_max = (uint32_t)settings->output_batch_size,
                   .row_groups_max = 256},
    };
    bool named = strcmp(settings->recorder_id, RECORDER_DEFAULT) != 0;
    snprintf(config.recorder, sizeof config.recorder, "%.31s",
             named ? settings->recorder_id : "merged");
    return config;
}

int command_merge(struct command_line *line)
{
    struct err err = {{0}};
    struct mdio a = {0}, b = {0}, out = {0};
    struct merge_report report = {0};
    if (line->argument_count != 2 || line->output == NULL) {
        return command_fail(err_set(&err, MD_EINVAL,
                                    "usage: market-data merge DIR_A DIR_B -o OUT [--set "
                                    "NAME=VALUE]..."),
                            &err);
    }
    struct store_config config = config_of(line->settings);
    int code = command_data_folder(line->arguments[0], &a, &err);
    code = code != 0 ? code : command_data_folder(line->arguments[1], &b, &err);
    code = code != 0 ? code : mdio_posix_open(&out, line->output, &err);
    code = code != 0
               ? code
               : merge_run(&a, &b, &out, &config, &report, print_finding, line->arguments, &err);
    mdio_deinit(&a);
    mdio_deinit(&b);
    mdio_deinit(&out);
    if (code != 0) {
        return command_fail(code, &err);
    }
    printf("%llu rows of %s, %llu of %s, in %llu files; ids in neither: %llu, gap rows: %llu\n",
           (unsigned long long)report.rows_a, line->arguments[0], (unsigned long long)report.rows_b,
           line->arguments[1], (unsigned long long)report.files, (unsigned long long)report.missing,
           (unsigned long long)report.gaps);
    return EXIT_OK;
}
