#ifndef MD_APP_COMMAND_H
#define MD_APP_COMMAND_H

#include <signal.h>

#include "app/settings.h"
#include "base/log.h"
#include "base/str.h"

/* Commands of the program: one row in main.c, one function each. */

/* Exit codes; README lists them. */
enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,      /* the command did not do what was asked; the text says why */
    EXIT_USAGE = 2,       /* command line or configuration */
    EXIT_BUDGET = 3,      /* the plan does not fit memory.budget */
    EXIT_DISK = 4,        /* folder not writable, disk full, or rows left to the journal */
    EXIT_LOCKED = 5,      /* another recorder uses the folder */
    EXIT_TRUST = 6,       /* certificate, proxy or key refused */
    EXIT_UNREACHABLE = 7, /* a venue needed for the plan did not answer */
};

/* What every command gets: settings from defaults, environment, file and --set in this order. */
struct command_line {
    struct settings *settings;
    const char *config_path; /* NULL: none */
    int argument_count;      /* what is left after options */
    char **arguments;
    /* options of single commands; NULL or 0 when not given */
    const char *output;   /* -o */
    int64_t seconds;      /* --seconds */
    int64_t port;         /* --port */
    int64_t symbols;      /* --symbols N (simulate, demo) */
    int64_t rate;         /* --rate (simulate, demo) */
    int64_t seed;         /* --seed */
    const char *exchange; /* --exchange (simulate) */
    const char *faults;   /* --faults */
    const char *replay;   /* --replay */
    const char *limits;   /* --limits (simulate) */
    const char *ca_file;  /* --ca-file */
    const char *since;    /* --since, --until, --at: see command_time() */
    const char *until, *at;
    int64_t levels; /* --levels */
    const char *schema;   /* --schema native|tardis (rederive) */
    const char *date;     /* --date YYYY-MM-DD (compact) */
    bool offline, strict, keep, plain, json, dry_run;
    int argc; /* all of it, for command_settings() */
    char **argv;
    bool serve;      /* --serve (demo) */
    const char *url; /* --url (status) */
};

/* Reads all sources of settings into line->settings: defaults, profile, file, environment, --set,
 * the later ones over the earlier. Again at any time (SIGHUP). err names the place. */
int command_settings(struct command_line *line, struct err *err);

/* The tables of main.c, from which help, manual and completions are made. */
struct command_row {
    const char *name;
    const char *arguments;
    const char *help;
    int (*run)(struct command_line *line);
    bool settings; /* --help lists the settings */
};
extern const struct command_row command_rows[];
extern const size_t command_count;
struct exit_row {
    enum exit_code code;
    const char *text;
};
extern const struct exit_row exit_rows[];
extern const size_t exit_row_count;
const char *command_option(size_t index); /* options of single commands; NULL behind the last */

extern volatile sig_atomic_t command_stop;   /* counts SIGINT and SIGTERM */
extern volatile sig_atomic_t command_hangup; /* counts SIGHUP */
void command_catch_signals(void);

/* log.level, read again: in force at once, and what SIGUSR2 goes back to. Any thread. */
void command_log_level(enum log_level level);

/* Maps an error code to the exit code, and prints `market-data: text` to stderr. */
int command_fail(int code, const struct err *err);
/* memory, log, settings check: before any other part is used. 0 or an exit code. */
int command_prepare(struct command_line *line);

/* A time on the command line: 2026-11-23, 2026-11-23T09:00, ...:30.123456Z (all UTC), or seconds
 * since 1970. MD_EINVAL: `err` names `option` and says the forms. */
int command_time(const char *option, const char *text, int64_t *unix_us, struct err *err);
/* --exchange; VENUE_NONE when it is not given. MD_ENOENT: no such exchange. */
int command_venue(const struct command_line *line, enum venue_id *venue, struct err *err);
/* Opens a data folder for reading. MD_ENOENT when there is none: it is not made. */
struct mdio;
int command_data_folder(const char *path, struct mdio *io, struct err *err);
/* Writes `text` as a JSON string, quotes and all; bytes that are not printable ASCII as \xNN. */
void command_print_json_text(struct str text);

int command_record(struct command_line *line);
int command_demo(struct command_line *line);
int command_simulate(struct command_line *line);
int command_check(struct command_line *line);
int command_symbols(struct command_line *line);
int command_inspect(struct command_line *line);
int command_journal(struct command_line *line);
int command_compact(struct command_line *line);
int command_rederive(struct command_line *line);
int command_config(struct command_line *line);
int command_manual(struct command_line *line);
int command_completion(struct command_line *line);
int command_metrics(struct command_line *line);
int command_status(struct command_line *line);
int command_verify(struct command_line *line);
int command_book(struct command_line *line);
int command_merge(struct command_line *line);

#endif
