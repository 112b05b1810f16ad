/* What commands share: signals, start-up of log and libraries, errors to exit codes. */
#include "app/command.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/failpoint.h"
#include "base/log.h"

volatile sig_atomic_t command_stop;
volatile sig_atomic_t command_hangup;
static atomic_int level_set; /* log.level, to which SIGUSR2 goes back */

static void on_signal(int signal_number)
{
    (void)signal_number;
    command_stop = command_stop + 1;
}

static void on_hangup(int signal_number)
{
    (void)signal_number;
    command_hangup = command_hangup + 1;
}

/* Both are safe in a handler: the level is one atomic. */
static void on_more(int signal_number)
{
    (void)signal_number;
    enum log_level level = log_level_get();
    log_level_set(level < LOG_LEVEL_DEBUG ? level + 1 : LOG_LEVEL_DEBUG);
}

static void on_less(int signal_number)
{
    (void)signal_number;
    log_level_set((enum log_level)atomic_load(&level_set));
}

void command_log_level(enum log_level level)
{
    atomic_store(&level_set, (int)level);
    log_level_set(level);
}

void command_catch_signals(void)
{
    struct sigaction hangup = {.sa_handler = on_hangup};
    struct sigaction more = {.sa_handler = on_more, .sa_flags = SA_RESTART};
    struct sigaction less = {.sa_handler = on_less, .sa_flags = SA_RESTART};
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGALRM, &action, NULL); /* --seconds of simulate */
    sigaction(SIGHUP, &hangup, NULL);
    sigaction(SIGUSR1, &more, NULL);
    sigaction(SIGUSR2, &less, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int exit_code_of(int code)
{
    switch (code) {
    case MD_EBUDGET:
        return EXIT_BUDGET;
    case MD_ELOCKED:
        return EXIT_LOCKED;
    case MD_ECERT:
    case MD_EPROXY:
        return EXIT_TRUST;
    case MD_EACCES:
    case MD_ENOSPC:
    case MD_EIO:
        return EXIT_DISK;
    case MD_EDNS:
    case MD_ECONNECT:
    case MD_ETIMEOUT:
    case MD_EHTTP:
    case MD_ETLS:
    case MD_ECLOSED:
        return EXIT_UNREACHABLE;
    case MD_EINVAL:
    case MD_ERANGE:
    case MD_ENOENT:
    case MD_EPARSE:
    case MD_ETOOBIG:
    case MD_ENOTSUP:
        return EXIT_USAGE;
    default:
        return EXIT_FAILED;
    }
}

int command_fail(int code, const struct err *err)
{
    dprintf(STDERR_FILENO, "market-data: %s\n", err->text);
    return exit_code_of(code);
}

static int open_log(const struct settings *settings)
{
    atomic_store(&level_set, settings->log_level);
    log_init(STDERR_FILENO, (enum log_level)settings->log_level, settings->log_format == 1,
             &clock_system);
    if (settings->log_file[0] == 0) {
        return 0;
    }
    int code = log_file_open(settings->log_file, (uint64_t)settings->log_file_bytes,
                             (uint32_t)settings->log_files);
    struct err err;
    return code == 0 ? 0
                     : command_fail(err_set(&err, code, "log.file: %s: cannot be written: %s",
                                            settings->log_file, err_text(code)),
                                    &err);
}

int command_prepare(struct command_line *line)
{
    failpoint_init();
    alloc_hook_libraries();
    int code = open_log(line->settings);
    command_catch_signals();
    return code;
}
