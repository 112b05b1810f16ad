/* config, manual, completion: what is made from the tables of settings and commands, so that it can
 * never say something else than the program does. All goes to stdout. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/command.h"

#define PAGE_COLUMNS 88

/* Words of `text` in lines that begin with `start`. */
static void print_wrapped(const char *start, const char *text)
{
    size_t column = 0;
    while (*text != 0) {
        size_t bytes = strcspn(text, " ");
        if (column > 0 && column + 1 + bytes > PAGE_COLUMNS - strlen(start)) {
            printf("\n");
            column = 0;
        }
        printf("%s%.*s", column == 0 ? start : " ", (int)bytes, text);
        column += bytes + (column > 0);
        text += bytes + (text[bytes] == ' ');
    }
    printf("\n");
}

/* ---- config */

static void print_quoted(struct str text)
{
    putchar('\'');
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] == '\'') {
            putchar('\'');
        }
        putchar(text.data[i]);
    }
    putchar('\'');
}

static void print_item(void *context, struct str item)
{
    bool *some = context;
    printf("%s", *some ? ", " : "");
    print_quoted(item);
    *some = true;
}

static void print_value(const struct setting_row *row, struct buf *value)
{
    bool some = false;
    if (row->type == SETTING_LIST || row->type == SETTING_WORDS) {
        buf_put_char(value, 0);
        putchar('[');
        settings_list_each(value->data, print_item, &some);
        printf("]\n");
    } else if (row->type == SETTING_TEXT) {
        print_quoted(buf_view(value));
        putchar('\n');
    } else {
        printf("%.*s\n", (int)value->bytes, value->data);
    }
}

static size_t section_bytes(const struct setting_row *row)
{
    const char *dot = strchr(row->name, '.');
    return dot != NULL ? (size_t)(dot - row->name) : 0;
}

static bool same_section(const struct setting_row *a, const struct setting_row *b)
{
    return section_bytes(a) == section_bytes(b) && memcmp(a->name, b->name, section_bytes(a)) == 0;
}

/* A password never leaves the configuration: `user:***@`, and the line is a comment. */
static bool hide_password(struct buf *value)
{
    const char *at = memrchr(value->data, '@', value->bytes);
    const char *start = memmem(value->data, value->bytes, "://", 3);
    const char *colon =
        at == NULL || start == NULL ? NULL : memchr(start + 3, ':', (size_t)(at - start) - 3);
    if (colon == NULL || colon > at) {
        return false;
    }
    char host[256];
    size_t host_bytes = (size_t)(value->data + value->bytes - at);
    memcpy(host, at, host_bytes);
    value->bytes = (size_t)(colon - value->data) + 1;
    buf_put_str(value, STR("***"));
    buf_put(value, host, host_bytes);
    return true;
}

static void print_setting(const struct settings *settings, const struct settings *preset,
                          const struct setting_row *row)
{
    static char memory[2][65600];
    struct buf now = buf_over(memory[0], sizeof memory[0]);
    struct buf before = buf_over(memory[1], sizeof memory[1]);
    char range[64];
    size_t section = section_bytes(row);
    const char *indent = section > 0 ? "  " : "";
    settings_value(settings, row, &now);
    settings_value(preset, row, &before);
    settings_range_text(row, range, sizeof range);
    print_wrapped(section > 0 ? "  # " : "# ", row->help);
    printf("%s# (%s; default %s)\n", indent, range, row->preset[0] != 0 ? row->preset : "empty");
    bool same = str_equal(buf_view(&now), buf_view(&before));
    bool hidden = row->type == SETTING_TEXT && hide_password(&now);
    printf("%s%s%s: ", indent, same || hidden ? "#" : "",
           row->name + (section > 0 ? section + 1 : 0));
    print_value(row, &now);
}

int command_config(struct command_line *line)
{
    static struct settings preset;
    settings_init(&preset);
    printf("# market-data %s: every setting. Those behind a # are at their default.\n", MD_VERSION);
    for (uint32_t i = 0; i < setting_count; i++) {
        bool first = true;
        for (uint32_t j = 0; j < i && first; j++) {
            first = section_bytes(&setting_rows[i]) == 0 ||
                    !same_section(&setting_rows[i], &setting_rows[j]);
        }
        if (!first) {
            continue;
        }
        if (section_bytes(&setting_rows[i]) == 0) {
            print_setting(line->settings, &preset, &setting_rows[i]);
            continue;
        }
        printf("\n%.*s:\n", (int)section_bytes(&setting_rows[i]), setting_rows[i].name);
        for (uint32_t j = i; j < setting_count; j++) {
            if (same_section(&setting_rows[i], &setting_rows[j])) {
                print_setting(line->settings, &preset, &setting_rows[j]);
            }
        }
    }
    return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}

/* ---- manual */

/* Text for roff: a line must not begin with a dot or quote, a backslash begins a command. */
static void print_roff(const char *text)
{
    if (*text == '.' || *text == '\'') {
        printf("\\&");
    }
    for (; *text != 0; text++) {
        if (*text == '\n' || (*text == ' ' && text[1] == ' ')) {
            continue; /* the table's own line breaks are for --help */
        }
        if (*text == '\\') {
            printf("\\e");
        } else if (*text == '-') {
            printf("\\-");
        } else {
            putchar(*text);
        }
    }
    putchar('\n');
}

int command_manual(struct command_line *line)
{
    (void)line;
    printf(".TH MARKET\\-DATA 1 \"\" \"market\\-data %s\" \"User commands\"\n", MD_VERSION);
    printf(".ad l\n.nh\n"); /* long names of settings leave nothing to fill lines with */
    printf(".SH NAME\nmarket\\-data \\- records the public market data of crypto exchanges\n"
           ".SH SYNOPSIS\n.B market\\-data\n.I COMMAND\n[options]\n.SH COMMANDS\n");
    for (size_t i = 0; i < command_count; i++) {
        printf(".TP\n.B %s\n", command_rows[i].name);
        print_roff(command_rows[i].arguments);
        printf(".br\n");
        print_roff(command_rows[i].help);
    }
    printf(".SH SETTINGS\nFor the YAML file (sections before the dot), for "
           "\\-\\-set NAME=VALUE, or the environment.\n");
    for (uint32_t i = 0; i < setting_count; i++) {
        char range[64];
        char name[96];
        settings_range_text(&setting_rows[i], range, sizeof range);
        settings_environment_name(&setting_rows[i], name);
        printf(".TP\n.B %s\n", setting_rows[i].name);
        print_roff(setting_rows[i].help);
        printf("(%s; default %s; %s)\n", range,
               setting_rows[i].preset[0] != 0 ? setting_rows[i].preset : "empty", name);
    }
    printf(".SH SIGNALS\n.TP\n.B SIGINT, SIGTERM\nstops, seals every file within ten seconds and "
           "says what is left to the journal; a second one ends at once.\n"
           ".TP\n.B SIGHUP\nreads the configuration again and asks the venues' symbol lists.\n"
           ".TP\n.B SIGUSR1, SIGUSR2\nthe log one level more talkative; back to log.level.\n"
           ".SH EXIT STATUS\n");
    for (size_t i = 0; i < exit_row_count; i++) {
        printf(".TP\n.B %d\n%s\n", exit_rows[i].code, exit_rows[i].text);
    }
    printf(".SH FILES\n.TP\n.I /etc/market\\-data/config.yaml\nconfiguration of the service.\n"
           ".TP\n.I /var/lib/market\\-data\ndata of the service.\n");
    return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}

/* ---- completion */

static void print_words(void)
{
    for (size_t i = 0; i < command_count; i++) {
        printf("%s%s", i > 0 ? " " : "", command_rows[i].name);
    }
}

static void print_setting_words(void)
{
    for (uint32_t i = 0; i < setting_count; i++) {
        printf("%s%s=", i > 0 ? " " : "", setting_rows[i].name);
    }
}

static void completion_bash(void)
{
    printf("# bash completion of market-data; made by: market-data completion bash\n"
           "_market_data()\n{\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        COMPREPLY=($(compgen -W \"");
    print_words();
    printf("\" -- \"$word\"))\n    elif [ \"$before\" = --set ]; then\n        compopt -o nospace\n"
           "        COMPREPLY=($(compgen -W \"");
    print_setting_words();
    printf(
        "\" -- \"$word\"))\n    elif [[ $word == -* ]]; then\n        COMPREPLY=($(compgen -W \"");
    for (size_t i = 0; command_option(i) != NULL; i++) {
        printf("%s ", command_option(i));
    }
    printf("-c --set --help\" -- \"$word\"))\n    else\n        COMPREPLY=($(compgen -f -- "
           "\"$word\"))\n    fi\n}\ncomplete -o filenames -F _market_data market-data\n");
}

static void completion_zsh(void)
{
    printf("#compdef market-data\n# made by: market-data completion zsh\n"
           "if (( CURRENT == 2 )); then\n    compadd -- ");
    print_words();
    printf("\nelif [[ $words[CURRENT-1] == --set ]]; then\n    compadd -S '' -- ");
    print_setting_words();
    printf("\nelif [[ $words[CURRENT] == -* ]]; then\n    compadd -- ");
    for (size_t i = 0; command_option(i) != NULL; i++) {
        printf("%s ", command_option(i));
    }
    printf("-c --set --help\nelse\n    _files\nfi\n");
}

int command_completion(struct command_line *line)
{
    const char *shell = line->argument_count == 1 ? line->arguments[0] : "";
    if (strcmp(shell, "bash") == 0) {
        completion_bash();
    } else if (strcmp(shell, "zsh") == 0) {
        completion_zsh();
    } else {
        dprintf(STDERR_FILENO, "market-data completion: bash or zsh is wanted\n");
        return EXIT_USAGE;
    }
    return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}
