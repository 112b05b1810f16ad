/* What commands share: signals, start-up of log and libraries, errors to exit codes. */
#include "app/command.h"

#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/failpoint.h"
#include "base/log.h"

volatile sig_atomic_t command_stop;
volatile sig_atomic_t command_hangup;

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

void command_catch_signals(void)
{
    struct sigaction hangup = {.sa_handler = on_hangup};
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGALRM, &action, NULL); /* --seconds of simulate */
    sigaction(SIGHUP, &hangup, NULL);
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

int command_prepare(struct command_line *line)
{
    failpoint_init();
    alloc_hook_libraries();
    log_init(STDERR_FILENO, (enum log_level)line->settings->log_level,
             line->settings->log_format == 1, &clock_system);
    command_catch_signals();
    return 0;
}
