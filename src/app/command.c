/* What commands share: signals, start-up of log and libraries, errors to exit codes. */
#include "app/command.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mdio.h"

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
    case MD_EEXIST:
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

/* ---- arguments and output of the commands over finished files */

/* Up to six digits behind a point, as microseconds; *text is set behind them. False: not digits. */
static bool take_fraction(const char **text, int64_t *us)
{
    *us = 0;
    if (**text != '.') {
        return true;
    }
    (*text)++;
    int64_t place = 100000;
    const char *begin = *text;
    for (; **text >= '0' && **text <= '9'; (*text)++, place /= 10) {
        *us += (**text - '0') * place;
    }
    return *text > begin && *text - begin <= 6;
}

static bool time_of_date(const char *text, int64_t *unix_us)
{
    struct clock_utc utc = {0};
    int end = 0;
    if (sscanf(text, "%4d-%2d-%2d%n", &utc.year, &utc.month, &utc.day, &end) != 3 || end != 10 ||
        utc.month < 1 || utc.month > 12 || utc.day < 1 || utc.day > 31) {
        return false;
    }
    text += end;
    int64_t fraction_us = 0;
    if (*text == 'T' || *text == ' ') {
        int minute_end = 0, second_end = 0;
        sscanf(text + 1, "%2d:%2d%n:%2d%n", &utc.hour, &utc.minute, &minute_end, &utc.second,
               &second_end);
        if (minute_end != 5 || utc.hour > 23 || utc.minute > 59 || utc.second > 60) {
            return false;
        }
        text += 1 + (second_end > 0 ? second_end : minute_end);
        if (!take_fraction(&text, &fraction_us)) {
            return false;
        }
        text += *text == 'Z';
    }
    *unix_us = clock_unix_of_utc(&utc) / NS_PER_US + fraction_us;
    return *text == 0;
}

static bool time_of_seconds(const char *text, int64_t *unix_us)
{
    int64_t seconds = 0, fraction_us = 0;
    const char *begin = text;
    for (; *text >= '0' && *text <= '9' && text - begin < 12; text++) {
        seconds = seconds * 10 + (*text - '0');
    }
    bool good = text > begin && take_fraction(&text, &fraction_us) && *text == 0;
    *unix_us = seconds * 1000000 + fraction_us;
    return good;
}

int command_time(const char *option, const char *text, int64_t *unix_us, struct err *err)
{
    if (time_of_date(text, unix_us) || time_of_seconds(text, unix_us)) {
        return 0;
    }
    return err_set(err, MD_EINVAL,
                   "%s: %s: a time is wanted: 2026-11-23, 2026-11-23T09:00:30.123456Z (UTC), or "
                   "seconds since 1970",
                   option, text);
}

int command_venue(const struct command_line *line, enum venue_id *venue, struct err *err)
{
    int id = line->exchange == NULL ? VENUE_NONE : venue_parse(str_from(line->exchange));
    if (id < 0 || (line->exchange != NULL && id == VENUE_NONE)) {
        return err_set(err, MD_ENOENT, "--exchange: %s: no such exchange", line->exchange);
    }
    *venue = (enum venue_id)id;
    return 0;
}

int command_data_folder(const char *path, struct mdio *io, struct err *err)
{
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        return err_set(err, MD_ENOENT, "%s: no such folder", path);
    }
    return mdio_posix_open(io, path, err);
}

void command_print_json_text(struct str text)
{
    putchar('"');
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c >= 0x20 && c < 0x7f) {
            putchar(c);
        } else {
            printf("\\\\x%02x", c);
        }
    }
    putchar('"');
}
