/* record and check: the plan, and the recorder that obeys it. */
#include <stdio.h>
#include <unistd.h>

#include "app/command.h"
#include "app/pipeline.h"

int command_check(struct command_line *line)
{
    static struct plan plan;
    struct err err = {{0}};
    int code = plan_make(&plan, line->settings, line->offline, NULL, &err);
    if (code == 0 || code == MD_EBUDGET) {
        plan_print(&plan, line->settings, STDOUT_FILENO);
    }
    plan_deinit(&plan);
    return code == 0 ? EXIT_OK : command_fail(code, &err);
}

int command_record(struct command_line *line)
{
    static struct plan plan;
    struct err err = {{0}};
    int code = plan_make(&plan, line->settings, line->offline, &command_stop, &err);
    if (code == 0 || code == MD_EBUDGET) {
        plan_print(&plan, line->settings, STDOUT_FILENO);
    }
    struct pipeline *pipeline = NULL;
    code = code != 0 ? code : pipeline_open(&pipeline, line->settings, &plan, &err);
    if (code != 0) {
        plan_deinit(&plan);
        return command_fail(code, &err);
    }
    dprintf(STDOUT_FILENO, "recording; SIGINT or SIGTERM stops and seals\n");
    enum pipeline_end end =
        pipeline_run(pipeline, &command_stop, &command_hangup, line->seconds, &err);
    if (pipeline_stuck(pipeline)) {
        dprintf(STDERR_FILENO,
                "market-data: the disk below %s takes nothing: the journal holds what was "
                "synced; free some space, the next start lands it\n",
                line->settings->data_dir);
        _exit(EXIT_DISK);
    }
    struct pipeline_stats stats = pipeline_stats(pipeline);
    pipeline_print_summary(&stats, &plan, line->settings, STDOUT_FILENO);
    pipeline_close(pipeline);
    plan_deinit(&plan);
    switch (end) {
    case PIPELINE_STOPPED:
        return EXIT_OK;
    case PIPELINE_LEFT_JOURNAL:
        dprintf(STDERR_FILENO,
                "market-data: not everything is sealed: the journal in %s holds the "
                "rest; the next start lands it\n",
                line->settings->data_dir);
        return EXIT_DISK;
    case PIPELINE_CONFIG_FAULT:
        return command_fail(MD_ECERT, &err);
    }
    return EXIT_FAILED;
}
