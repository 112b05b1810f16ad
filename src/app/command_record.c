/* record and check: the plan, and the recorder that obeys it. */
#include <stdio.h>
#include <unistd.h>

#include "app/command.h"
#include "app/notify.h"
#include "app/pipeline.h"
#include "base/log.h"

struct advice {
    const struct settings *settings;
    struct settings advised;
};

static void print_advised(void *context, const char *name, const char *value)
{
    struct advice *advice = context;
    char memory[2][256];
    struct buf now = buf_over(memory[0], sizeof memory[0]);
    struct buf advised = buf_over(memory[1], sizeof memory[1]);
    for (uint32_t i = 0; i < setting_count; i++) {
        if (strcmp(setting_rows[i].name, name) == 0) {
            settings_value(advice->settings, &setting_rows[i], &now);
            settings_value(&advice->advised, &setting_rows[i], &advised);
        }
    }
    bool same = str_equal(buf_view(&now), buf_view(&advised));
    printf("  %-34s %s%s%.*s\n", name, value, same ? "" : ", but is set to ",
           same ? 0 : (int)now.bytes, now.data);
}

/* What the profile advises, and what holds (one may be set otherwise). */
static void print_profile(const struct settings *settings)
{
    if (settings->profile != 0) {
        printf("profile %s advises\n", settings->profile == 1 ? "small" : "wide");
        static struct advice advice;
        advice.settings = settings;
        settings_init(&advice.advised);
        advice.advised.profile = settings->profile;
        settings_apply_profile(&advice.advised);
        settings_profile_each(settings, print_advised, &advice);
        printf("\n");
        fflush(stdout);
    }
}

int command_check(struct command_line *line)
{
    static struct plan plan;
    struct err err = {{0}};
    int code = plan_make(&plan, line->settings, line->offline, NULL, &err);
    if (code == 0 || code == MD_EBUDGET) {
        print_profile(line->settings);
        plan_print(&plan, line->settings, STDOUT_FILENO);
    }
    plan_deinit(&plan);
    return code == 0 ? EXIT_OK : command_fail(code, &err);
}

/* SIGHUP: all sources again, as at the start. */
static int reread(void *context, struct settings *out, struct err *err)
{
    struct command_line line = *(const struct command_line *)context;
    line.settings = out;
    int code = command_settings(&line, err);
    if (code == 0) {
        command_log_level((enum log_level)out->log_level);
    }
    return code;
}

int command_record(struct command_line *line)
{
    static struct plan plan;
    struct err err = {{0}};
    int code = plan_make(&plan, line->settings, line->offline, &command_stop, &err);
    if (code == 0 || code == MD_EBUDGET) {
        print_profile(line->settings);
        plan_print(&plan, line->settings, STDOUT_FILENO);
    }
    struct pipeline *pipeline = NULL;
    struct pipeline_reread again = {reread, line};
    code = code != 0 ? code : pipeline_open(&pipeline, line->settings, &plan, &again, &err);
    if (code != 0) {
        plan_deinit(&plan);
        return command_fail(code, &err);
    }
    notify_open();
    dprintf(STDOUT_FILENO, "recording; SIGINT or SIGTERM stops and seals\n");
    if (pipeline_url(pipeline)[0] != 0) {
        dprintf(STDOUT_FILENO, "page and metrics: %s\n", pipeline_url(pipeline));
    }
    enum pipeline_end end =
        pipeline_run(pipeline, &command_stop, &command_hangup, line->seconds, &err);
    notify_close();
    if (pipeline_stuck(pipeline)) {
        dprintf(STDERR_FILENO,
                "market-data: the disk below %s takes nothing: the journal holds what was "
                "synced; free some space, the next start lands it\n",
                line->settings->data_dir);
        _exit(EXIT_DISK);
    }
    if (end == PIPELINE_NOT_BEGUN) {
        code = pipeline_code(pipeline);
        pipeline_close(pipeline);
        plan_deinit(&plan);
        return command_fail(code, &err);
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
    case PIPELINE_NOT_BEGUN: /* see above */
        break;
    }
    return EXIT_FAILED;
}
