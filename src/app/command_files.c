/* Commands over what was recorded: symbols, inspect, journal cat and load, rederive. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "app/command.h"
#include "app/land.h"
#include "app/nearest.h"
#include "app/pipeline.h"
#include "app/symbols.h"

static int venue_argument(const char *name, const struct venue **out, struct err *err)
{
    int id = venue_parse(str_from(name));
    *out = id > 0 ? venue_of((enum venue_id)id) : NULL;
    if (*out == NULL) {
        return err_set(err, MD_ENOENT, "%s: no such exchange; this version knows binance", name);
    }
    return 0;
}

static void print_symbols(const struct symbol_list *list, struct str pattern, uint32_t *shown)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct listed *one = &list->symbols[i];
        if (symbol_matches(pattern, one->name)) {
            (*shown)++;
            dprintf(STDOUT_FILENO, "%.*s%s\n", (int)one->name.bytes, one->name.data,
                    one->trading ? "" : "\t(not trading)");
        }
    }
}

int command_symbols(struct command_line *line)
{
    struct err err = {{0}};
    const struct venue *venue = NULL;
    if (line->argument_count < 1 || line->argument_count > 2) {
        return command_fail(
            err_set(&err, MD_EINVAL, "usage: market-data symbols EXCHANGE [PATTERN]"), &err);
    }
    int code = venue_argument(line->arguments[0], &venue, &err);
    static struct symbol_list list;
    struct symbol_source *source = NULL;
    if (code == 0 && symbol_list_init(&list, SYMBOLS_LISTED_MAX) != 0) {
        code = err_set(&err, MD_ENOMEM, "no memory for the symbol list");
    }
    if (code == 0) {
        source = symbol_source_create(line->settings, &err);
        code = source != NULL ? 0 : MD_ENOMEM;
    }
    if (code == 0) {
        const char *url = settings_of_venue(line->settings, venue->id).rest_url;
        int64_t retry_after_s = -1;
        code = symbol_source_fetch(source, &list, venue, url[0] != 0 ? url : venue->rest_url, false,
                                   &retry_after_s, &err);
    }
    struct str pattern = line->argument_count == 2 ? str_from(line->arguments[1]) : STR("*");
    uint32_t shown = 0;
    if (code == 0) {
        print_symbols(&list, pattern, &shown);
    }
    if (code == 0 && shown == 0) {
        struct str nearest = symbol_list_nearest(&list, pattern);
        code =
            err_set(&err, MD_ENOENT, "%.*s: no such symbol%s%.*s", (int)pattern.bytes, pattern.data,
                    nearest.bytes > 0 ? "; the nearest is " : "", (int)nearest.bytes, nearest.data);
    }
    symbol_source_destroy(source);
    symbol_list_deinit(&list);
    return code == 0 ? EXIT_OK : command_fail(code, &err);
}

/* Splits a path into the folder that mdio is opened on and the rest. */
static int open_parent(struct mdio *io, const char *path, char *rest, size_t rest_bytes,
                       struct err *err)
{
    char folder[256];
    const char *slash = strrchr(path, '/');
    size_t bytes = slash != NULL ? (size_t)(slash - path) : 0;
    while (slash != NULL && slash[1] == 0 && bytes > 0) { /* a trailing slash names the same */
        return err_set(err, MD_EINVAL, "%s: give the path without the last /", path);
    }
    if (bytes >= sizeof folder || strlen(path) >= rest_bytes) {
        return err_set(err, MD_ETOOBIG, "%s: path too long", path);
    }
    snprintf(folder, sizeof folder, "%.*s", bytes > 0 ? (int)bytes : 1,
             bytes > 0 ? path : (slash != NULL ? "/" : "."));
    snprintf(rest, rest_bytes, "%s", slash != NULL ? slash + 1 : path);
    return mdio_posix_open(io, folder, err);
}

static struct journal_config journal_sizes(const struct settings *settings)
{
    struct journal_config config = pipeline_journal_config(settings, 0);
    config.sync_thread = false;
    return config;
}

static int journal_cat_command(struct command_line *line, struct err *err)
{
    struct mdio io = {0};
    char rest[512];
    struct journal_reader *reader = NULL;
    struct journal_config config = journal_sizes(line->settings);
    struct journal_text_stats stats = {0};
    int code = open_parent(&io, line->arguments[1], rest, sizeof rest, err);
    code =
        code != 0 ? code : journal_reader_open(&reader, &io, rest, config.record_bytes_max, 0, err);
    code = code != 0 ? code : journal_cat(reader, STDOUT_FILENO, &stats, err);
    if (reader != NULL) {
        struct journal_reader_stats read = journal_reader_stats(reader);
        if (read.damaged_blocks > 0) {
            dprintf(STDERR_FILENO, "market-data: %llu damaged blocks, %llu records lost\n",
                    (unsigned long long)read.damaged_blocks,
                    (unsigned long long)read.missing_records);
        }
        journal_reader_close(reader);
    }
    mdio_deinit(&io);
    return code;
}

static int journal_load_command(struct command_line *line, struct err *err)
{
    struct mdio io = {0};
    struct journal *journal = NULL;
    struct journal_config config = journal_sizes(line->settings);
    struct journal_text_stats stats = {0};
    int code = mdio_posix_open(&io, line->arguments[1], err);
    code = code != 0 ? code : journal_open(&journal, &io, &config, 1, err);
    code = code != 0 ? code : journal_load(journal, STDIN_FILENO, line->strict, &stats, err);
    if (journal != NULL) {
        int closed = journal_close(journal);
        code =
            code != 0 || closed == 0 ? code : err_set(err, closed, "journal: %s", err_text(closed));
    }
    mdio_deinit(&io);
    if (code == 0) {
        dprintf(STDERR_FILENO, "%llu records into %s/journal; %llu lines refused\n",
                (unsigned long long)stats.records, line->arguments[1],
                (unsigned long long)stats.lines_refused);
    }
    return code;
}

int command_journal(struct command_line *line)
{
    struct err err = {{0}};
    if (line->argument_count == 2 && strcmp(line->arguments[0], "cat") == 0) {
        int code = journal_cat_command(line, &err);
        return code == 0 ? EXIT_OK : command_fail(code, &err);
    }
    if (line->argument_count == 2 && strcmp(line->arguments[0], "load") == 0) {
        int code = journal_load_command(line, &err);
        return code == 0 ? EXIT_OK : command_fail(code, &err);
    }
    return command_fail(err_set(&err, MD_EINVAL,
                                "usage: market-data journal cat PATH, or market-data journal load "
                                "DIR < TEXT"),
                        &err);
}

/* Streams and sizes a journal needs: its first config record, and what `demo` and `record` plan for
 * a machine of this size. */
static struct land_sizes rederive_sizes(void)
{
    return (struct land_sizes){.settings_fixed = true, /* --set counts throughout */
                               .streams_max = 16384,
                               .books_max = 4096,
                               .trades_max = 4096,
                               .book_bytes = 128u << 20,
                               .row_block_bytes = 32u << 20};
}

static int rederive_run(struct journal_reader *reader, struct land *land, struct err *err)
{
    struct record record;
    int code;
    bool stopped = false;
    while ((code = journal_reader_next(reader, &record, err)) == 1) {
        land_record(land, &record);
        stopped = record.kind == RECORD_STOP;
    }
    if (code == 0 && !stopped) {
        land_finish(land);
    }
    if (code == 0 && store_drain(land_store(land), 600000) > 0) {
        code = err_set(err, MD_EIO, "not every file could be sealed");
    }
    uint64_t lost = store_stats(land_store(land)).rows_lost;
    if (code == 0 && lost > 0) {
        code = err_set(err, MD_ENOSPC,
                       "%llu rows found no room on the disk: free some and do it again",
                       (unsigned long long)lost);
    }
    return code;
}

/* The settings the journal was recorded with; the command line's --set go on top. */
static int settings_of_journal(struct command_line *line, struct journal_reader *reader,
                               struct land_sizes *sizes, struct err *err)
{
    struct record record;
    int code;
    for (int i = 0; i < 4096 && (code = journal_reader_next(reader, &record, err)) == 1; i++) {
        if (record.kind == RECORD_CONFIG) {
            land_sizes_parse(sizes, record.payload);
            return settings_landing_parse(line->settings, record.payload, err);
        }
    }
    return 0; /* made by journal load from a bare recording: the settings as they stand */
}

/* --schema NAME: CSV with these columns. */
static int set_schema(struct command_line *line, struct err *err)
{
    char pair[128];
    if (line->schema == NULL) {
        return 0;
    }
    snprintf(pair, sizeof pair, "output.csv_schema=%s", line->schema);
    int code = settings_set_pair(line->settings, "output.format=csv", err);
    return code != 0 ? code : settings_set_pair(line->settings, pair, err);
}

/* What was asked for on the command line counts even where it is the default. */
static int set_again(struct command_line *line, struct err *err)
{
    int code = set_schema(line, err);
    for (int i = 0; i + 1 < line->argc && code == 0; i++) {
        if (strcmp(line->argv[i], "--set") == 0) {
            code = settings_set_pair(line->settings, line->argv[++i], err);
        }
    }
    return code;
}

/* ---- rederive's symbols: the words of VENUE.symbols, of which a journal can tell all but top:N */

struct wanted {
    struct str symbol;
    bool any, taken, out; /* some word takes in; one takes this symbol in; one takes it out */
    bool top;
};

static void on_word(void *context, struct str word)
{
    struct wanted *wanted = context;
    bool out = word.bytes > 1 && word.data[0] == '-';
    struct str pattern = out ? str_make(word.data + 1, word.bytes - 1) : word;
    bool matches = str_equal(pattern, STR("all")) || symbol_matches(pattern, wanted->symbol);
    wanted->top = wanted->top || (word.bytes > 4 && memcmp(word.data, "top:", 4) == 0);
    wanted->any = wanted->any || !out;
    wanted->taken = wanted->taken || (matches && !out);
    wanted->out = wanted->out || (matches && out);
}

static bool keep_symbol(void *context, enum venue_id venue, struct str symbol)
{
    const struct settings *given = context;
    struct wanted wanted = {.symbol = symbol};
    settings_list_each(settings_of_venue(given, venue).symbols, on_word, &wanted);
    return (wanted.taken || !wanted.any) && !wanted.out;
}

/* Are there any, and can a journal tell them? 1 = yes, 0 = none. */
static int symbols_given(const struct settings *given, struct err *err)
{
    int any = 0;
    for (int v = VENUE_NONE + 1; v < VENUE_ID_END; v++) {
        const char *words = settings_of_venue(given, (enum venue_id)v).symbols;
        struct wanted wanted = {.symbol = STR("")};
        settings_list_each(words, on_word, &wanted);
        if (wanted.top) {
            return err_set(err, MD_EINVAL,
                           "%s: %s: a journal does not tell turnover: give names or patterns",
                           venue_name((enum venue_id)v), words);
        }
        any |= words[0] != 0;
    }
    return any;
}

int command_rederive(struct command_line *line)
{
    struct err err = {{0}};
    if (line->argument_count != 1 || line->output == NULL) {
        return command_fail(err_set(&err, MD_EINVAL, "usage: market-data rederive JOURNAL -o DIR"),
                            &err);
    }
    struct mdio in = {0}, out = {0};
    struct journal_reader *reader = NULL;
    struct land *land = NULL;
    struct land_sizes sizes = rederive_sizes();
    char rest[512];
    uint32_t record_bytes_max = journal_sizes(line->settings).record_bytes_max;
    int code = open_parent(&in, line->arguments[0], rest, sizeof rest, &err);
    code = code != 0 ? code : journal_reader_open(&reader, &in, rest, record_bytes_max, 0, &err);
    static struct settings given;
    given = *line->settings;
    if (code == 0) {
        code = settings_of_journal(line, reader, &sizes, &err);
        int64_t recorded_rows = line->settings->output_batch_size;
        settings_overlay(line->settings, &given);
        code = code != 0 ? code : set_again(line, &err);
        int64_t rows = line->settings->output_batch_size;
        if (sizes.row_group_rows == 0 || line->settings->tune != 0 || rows != recorded_rows) {
            sizes.row_group_rows = (uint32_t)rows; /* as set, not as tuned while recording */
        }
        journal_reader_close(reader);
        reader = NULL;
    }
    code = code != 0 ? code : journal_reader_open(&reader, &in, rest, record_bytes_max, 0, &err);
    code = code != 0 ? code : mdio_posix_open(&out, line->output, &err);
    struct land_handlers handlers = {.context = &given};
    int some = code != 0 ? code : symbols_given(&given, &err);
    code = some < 0 ? some : 0;
    handlers.on_keep = some > 0 ? keep_symbol : NULL;
    code = code != 0
               ? code
               : land_open(&land, &out, line->settings, &sizes, false, &handlers, NULL, NULL, &err);
    code = code != 0 ? code : rederive_run(reader, land, &err);
    if (code == 0) {
        struct store_stats stats = store_stats(land_store(land));
        dprintf(STDOUT_FILENO, "%llu records, %llu rows, %llu files, %llu undecodable\n",
                (unsigned long long)land_stats(land)->records, (unsigned long long)stats.rows,
                (unsigned long long)stats.files_sealed,
                (unsigned long long)land_stats(land)->undecodable);
    }
    land_close(land);
    if (reader != NULL) {
        journal_reader_close(reader);
    }
    mdio_deinit(&in);
    mdio_deinit(&out);
    return code == 0 ? EXIT_OK : command_fail(code, &err);
}
