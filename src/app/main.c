/* The program: command line -> settings -> one command. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/command.h"

extern char **environ;

const struct command_row command_rows[] = {
    {"record", "[-c FILE] [--set NAME=VALUE]... [--seconds N]",
     "Records until SIGINT or SIGTERM (or N seconds), then seals everything.", command_record,
     true},
    {"demo", "[-o DIR] [--seconds N] [--symbols N] [--rate N] [--seed N] [--keep] [--serve]",
     "Records from the built-in simulator and shows what landed. No internet needed. --serve goes "
     "on until Ctrl-C, with the page up.",
     command_demo, false},
    {"check", "[-c FILE] [--set NAME=VALUE]... [--offline]",
     "Prints the plan and the memory budget, line by line; records nothing.", command_check, true},
    {"symbols", "EXCHANGE [PATTERN] [-c FILE]", "Lists a venue's symbols.", command_symbols, false},
    {"inspect", "FILE...", "Shows a Parquet file: schema, row groups, encodings, bytes per column.",
     command_inspect, false},
    {"journal", "cat PATH | load PATH < TEXT", "Prints a journal as text, or makes one from text.",
     command_journal, false},
    {"rederive", "JOURNAL -o DIR [--schema tardis] [--set NAME=VALUE]...",
     "Lands a journal again; the same journal gives the same bytes. VENUE.symbols lands fewer;\n"
     "      --schema tardis lands CSV with the columns of tardis.dev's files.",
     command_rederive, false},
    {"status", "[--json] [--plain] [--url URL] [-c FILE]",
     "Shows how a running recorder is, live in a terminal (q quits), else once; exit 1 if it is "
     "red.",
     command_status, false},
    {"metrics", "", "Prints what every metric means and what to do when it moves (Markdown).",
     command_metrics, false},
    {"verify", "DIR [--since TIME] [--until TIME] [--exchange ID] [--json]",
     "Proves from the files alone what is there and what is missing; exit 1 when anything is\n"
     "      unexplained.",
     command_verify, false},
    {"compact", "[DIR] [--date YYYY-MM-DD] [--exchange ID] [--dry-run]",
     "Merges the files of days that are over into one a symbol and channel.", command_compact,
     false},
    {"merge", "DIR_A DIR_B -o OUT [--set NAME=VALUE]...",
     "Joins two recorders' folders: A's rows, and B's where A has none; what both missed stays a\n"
     "      gap.",
     command_merge, false},
    {"book", "DIR SYMBOL --at TIME [--levels N] [--exchange ID] [--json]",
     "Rebuilds an order book from files; exit 1 when updates are missing in it.", command_book,
     false},
    {"simulate",
     "[--exchange ID] [--port N] [--symbols N] [--rate N] [--seed N] [--faults FILE] [--replay "
     "FILE]\n"
     "           [--limits NAME=VALUE,...] [--ca-file FILE] [--seconds N] [--plain]",
     "Runs the exchange simulator on 127.0.0.1.", command_simulate, false},
    {"config", "[-c FILE] [--set NAME=VALUE]...",
     "Prints every setting with its help as a YAML file; what is not at its default stands free.",
     command_config, true},
    {"manual", "", "Prints the manual page: market-data manual | man -l -", command_manual, false},
    {"completion", "bash | zsh", "Prints the shell's completions.", command_completion, false},
};
const size_t command_count = sizeof command_rows / sizeof command_rows[0];

const struct exit_row exit_rows[] = {
    {EXIT_OK, "done"},
    {EXIT_FAILED, "failed"},
    {EXIT_USAGE, "command line or configuration"},
    {EXIT_BUDGET, "memory budget"},
    {EXIT_DISK, "disk"},
    {EXIT_LOCKED, "folder in use by another recorder"},
    {EXIT_TRUST, "certificate, proxy or key refused"},
    {EXIT_UNREACHABLE, "venue unreachable"},
};
const size_t exit_row_count = sizeof exit_rows / sizeof exit_rows[0];

static void print_usage(int fd)
{
    dprintf(fd, "market-data %s: records exchanges' market data feeds to disk\n\n", MD_VERSION);
    for (size_t i = 0; i < command_count; i++) {
        dprintf(fd, "  market-data %s %s\n      %s\n", command_rows[i].name,
                command_rows[i].arguments, command_rows[i].help);
    }
    dprintf(fd, "\n  market-data COMMAND --help   more on a command\n"
                "  market-data --version\n\nExit codes:\n");
    for (size_t i = 0; i < exit_row_count; i++) {
        dprintf(fd, "  %d  %s\n", exit_rows[i].code, exit_rows[i].text);
    }
}

static void print_command_help(const struct command_row *command)
{
    dprintf(STDOUT_FILENO, "market-data %s %s\n  %s\n", command->name, command->arguments,
            command->help);
    if (command->settings) {
        dprintf(STDOUT_FILENO, "\n");
        settings_print_help(STDOUT_FILENO);
    }
}

struct option_row {
    const char *name;
    enum { OPTION_FLAG, OPTION_TEXT, OPTION_NUMBER } kind;
    size_t offset;
};

static const struct option_row options[] = {
    {"-o", OPTION_TEXT, offsetof(struct command_line, output)},
    {"--seconds", OPTION_NUMBER, offsetof(struct command_line, seconds)},
    {"--port", OPTION_NUMBER, offsetof(struct command_line, port)},
    {"--symbols", OPTION_NUMBER, offsetof(struct command_line, symbols)},
    {"--rate", OPTION_NUMBER, offsetof(struct command_line, rate)},
    {"--seed", OPTION_NUMBER, offsetof(struct command_line, seed)},
    {"--exchange", OPTION_TEXT, offsetof(struct command_line, exchange)},
    {"--faults", OPTION_TEXT, offsetof(struct command_line, faults)},
    {"--limits", OPTION_TEXT, offsetof(struct command_line, limits)},
    {"--replay", OPTION_TEXT, offsetof(struct command_line, replay)},
    {"--ca-file", OPTION_TEXT, offsetof(struct command_line, ca_file)},
    {"--url", OPTION_TEXT, offsetof(struct command_line, url)},
    {"--since", OPTION_TEXT, offsetof(struct command_line, since)},
    {"--until", OPTION_TEXT, offsetof(struct command_line, until)},
    {"--at", OPTION_TEXT, offsetof(struct command_line, at)},
    {"--levels", OPTION_NUMBER, offsetof(struct command_line, levels)},
    {"--json", OPTION_FLAG, offsetof(struct command_line, json)},
    {"--schema", OPTION_TEXT, offsetof(struct command_line, schema)},
    {"--date", OPTION_TEXT, offsetof(struct command_line, date)},
    {"--dry-run", OPTION_FLAG, offsetof(struct command_line, dry_run)},
    {"--offline", OPTION_FLAG, offsetof(struct command_line, offline)},
    {"--strict", OPTION_FLAG, offsetof(struct command_line, strict)},
    {"--keep", OPTION_FLAG, offsetof(struct command_line, keep)},
    {"--serve", OPTION_FLAG, offsetof(struct command_line, serve)},
    {"--plain", OPTION_FLAG, offsetof(struct command_line, plain)},
};

const char *command_option(size_t index)
{
    return index < sizeof options / sizeof options[0] ? options[index].name : NULL;
}

static int take_option(struct command_line *line, const struct option_row *row, const char *value,
                       struct err *err)
{
    char *member = (char *)line + row->offset;
    if (row->kind == OPTION_FLAG) {
        bool on = true;
        memcpy(member, &on, sizeof on);
        return 0;
    }
    if (value == NULL) {
        return err_set(err, MD_EINVAL, "%s: a value is wanted", row->name);
    }
    if (row->kind == OPTION_TEXT) {
        memcpy(member, &value, sizeof value);
        return 0;
    }
    char *end = NULL;
    errno = 0;
    int64_t number = strtoll(value, &end, 10);
    if (end == value || *end != 0 || errno != 0 || number < 0) {
        return err_set(err, MD_EINVAL, "%s: %s: a whole number is wanted", row->name, value);
    }
    memcpy(member, &number, sizeof number);
    return 0;
}

/* Two passes: -c before --set, whatever their order on the line. */
static int parse(struct command_line *line, int argc, char **argv, bool files_only, struct err *err)
{
    line->argument_count = 0;
    for (int i = 0; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        int code = 0;
        if (strcmp(argv[i], "-c") == 0 || strcmp(argv[i], "--set") == 0) {
            bool file = argv[i][1] == 'c';
            if (value == NULL) {
                return err_set(err, MD_EINVAL, "%s: a value is wanted", argv[i]);
            }
            if (file && files_only) {
                line->config_path = value;
                code = settings_load(line->settings, value, err);
            } else if (!file && !files_only) {
                code = settings_set_pair(line->settings, value, err);
            }
            i++;
        } else if (argv[i][0] == '-' && argv[i][1] != 0) {
            const struct option_row *row = NULL;
            for (size_t o = 0; o < sizeof options / sizeof options[0]; o++) {
                row = strcmp(argv[i], options[o].name) == 0 ? &options[o] : row;
            }
            if (row == NULL) {
                return err_set(err, MD_EINVAL, "%s: no such option; see --help", argv[i]);
            }
            code = take_option(line, row, value, err);
            i += row->kind != OPTION_FLAG;
        } else {
            line->arguments[line->argument_count++] = argv[i];
        }
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

/* All sources of settings, the weakest first. */
static int read_settings(struct command_line *line, int argc, char **argv, struct err *err)
{
    int code = parse(line, argc, argv, true, err);
    code = code != 0 ? code
                     : settings_from_environment(line->settings, (const char *const *)environ, err);
    return code != 0 ? code : parse(line, argc, argv, false, err);
}

int command_settings(struct command_line *line, struct err *err)
{
    settings_init(line->settings);
    int code = read_settings(line, line->argc, line->argv, err);
    int profile = line->settings->profile;
    if (code == 0 && profile != 0) { /* again, over what the profile advises */
        settings_init(line->settings);
        line->settings->profile = profile;
        settings_apply_profile(line->settings);
        code = read_settings(line, line->argc, line->argv, err);
    }
    return code != 0 ? code : settings_check(line->settings, err);
}

int main(int argc, char **argv)
{
    static struct settings settings;
    static char *arguments[64];
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_usage(argc < 2 ? STDERR_FILENO : STDOUT_FILENO);
        return argc < 2 ? EXIT_USAGE : EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        dprintf(STDOUT_FILENO, "market-data %s\n", MD_VERSION);
        return EXIT_OK;
    }
    const struct command_row *command = NULL;
    for (size_t i = 0; i < command_count; i++) {
        command = strcmp(argv[1], command_rows[i].name) == 0 ? &command_rows[i] : command;
    }
    if (command == NULL) {
        dprintf(STDERR_FILENO, "market-data: %s: no such command; see market-data --help\n",
                argv[1]);
        return EXIT_USAGE;
    }
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_command_help(command);
            return EXIT_OK;
        }
    }
    struct command_line line = {
        .settings = &settings, .arguments = arguments, .argc = argc - 2, .argv = argv + 2};
    struct err err;
    int code = argc - 2 > 64 ? err_set(&err, MD_EINVAL, "more than 64 arguments") : 0;
    code = code != 0 ? code : command_settings(&line, &err);
    if (code != 0) {
        return command_fail(code, &err);
    }
    int prepared = command_prepare(&line);
    return prepared != 0 ? prepared : command->run(&line);
}
