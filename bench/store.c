/* bench_store [OUT_DIR] [--rows N] [--runs N] [--case "trades 200."] [--seconds N] [--memory MiB]
 * [--ours]: an hour of rows (store_rows.h) to one Parquet file a symbol, ours beside DuckDB's COPY
 * with PARTITION_BY and Polars, over 200, 2,000 and 10,000 symbols in arrival order; depth rows
 * over 200; and, ours alone, little memory, JSONL and CSV. 10,000,000 rows and 3 runs by default.
 *
 * Each run is a process of its own. Of it the kernel's account is taken: processor time (user and
 * system, all threads), peak resident memory; and from beside, every 5 ms, its open descriptors.
 * Whoever makes or reads the rows pays for that too, so each has a second run that does only this
 * ("rows alone"): "ns" is the difference, a row. Ours makes the rows as it goes; the others read
 * them from one Parquet file in arrival order. What they wrote is compared with that file, row by
 * row (peer/store.mjs check), after the first run, outside of what is timed.
 *
 * A run that takes longer than --seconds (300), or more memory than --memory (8192 MiB), is ended
 * and said to be so. Runs go round all contenders, so that a neighbour's load meets each.
 * Prints a table, writes OUT_DIR/store.json (default build/bench). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store_case.h"

#define RUNS_MAX 15
#define SAMPLE_US 5000
#define PATH_BYTES 4096 /* as realpath() wants */

static const struct bench_case cases[] = {
    {"trades", CHANNEL_TRADES, FORMAT_PARQUET, 200, 1 << 20, false},
    {"trades", CHANNEL_TRADES, FORMAT_PARQUET, 2000, 8 << 20, false},
    {"trades", CHANNEL_TRADES, FORMAT_PARQUET, 10000, 40 << 20, false},
    {"depth", CHANNEL_DEPTH, FORMAT_PARQUET, 200, 1 << 20, false},
    {"little memory", CHANNEL_TRADES, FORMAT_PARQUET, 10000, 4 << 20, true},
    {"jsonl", CHANNEL_TRADES, FORMAT_JSONL, 200, 1 << 20, true},
    {"csv", CHANNEL_TRADES, FORMAT_CSV, 200, 1 << 20, true},
};
#define CASES (sizeof cases / sizeof cases[0])

/* `work`, `nothing`: words of peer/store.mjs; NULL: our own process. */
static const struct contender {
    const char *name, *work, *nothing;
} contenders[] = {
    {"market-data", NULL, NULL},
    {"DuckDB", "duckdb", "duckdb-nothing"},
    {"DuckDB, one file each", "duckdb-one", "duckdb-nothing"},
    {"Polars", "polars", "polars-nothing"},
};
#define CONTENDERS (sizeof contenders / sizeof contenders[0])

struct options {
    char folder[PATH_BYTES]; /* where figures go; absolute */
    const char *only;        /* cases whose name holds it; "" = all */
    uint64_t rows, memory_bytes;
    uint32_t runs, seconds;
    bool ours_alone;
};

/* What became of one process. */
struct process {
    int status;        /* as wait() says */
    const char *ended; /* why we ended it; NULL = by itself */
    double cpu_ns, wall_s;
    uint64_t peak_bytes;
    uint32_t descriptors;
    char words[512]; /* its last line */
};

struct run {
    struct process work, nothing;
    double bytes_a_row;
    uint64_t files;
};

struct result {
    const struct contender *who;
    const struct bench_case *bench;
    struct run runs[RUNS_MAX];
    uint32_t run_count;
    char failed[600];  /* why there are no figures, or no more of them; "" = none */
    char checked[128]; /* what the comparison with the source said */
};

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench_store: %s: %s\n", what, why);
    exit(1);
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- a process, seen from beside */

static uint32_t descriptors_of(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    uint32_t count = 0;
    while (folder != NULL && readdir(folder) != NULL) {
        count++;
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return count > 2 ? count - 2 : 0; /* "." and ".." */
}

static uint64_t resident_of(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "r");
    unsigned long long total = 0;
    unsigned long long resident = 0;
    if (file != NULL && fscanf(file, "%llu %llu", &total, &resident) != 2) {
        resident = 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void last_line(const char *path, char *out, size_t out_bytes)
{
    char line[512];
    FILE *file = fopen(path, "r");
    out[0] = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = 0;
        if (strstr(line, "Error") != NULL || strstr(out, "Error") == NULL) {
            snprintf(out, out_bytes, "%s", line); /* of a stack trace its first words */
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

static void process_watch(struct process *process, pid_t pid, const struct options *options)
{
    double begin_s = seconds_now();
    struct rusage usage = {0};
    while (wait4(pid, &process->status, WNOHANG, &usage) == 0) {
        uint32_t descriptors = descriptors_of(pid);
        process->descriptors =
            descriptors > process->descriptors ? descriptors : process->descriptors;
        if (process->ended == NULL) {
            process->ended = seconds_now() - begin_s > options->seconds ? "too slow"
                             : resident_of(pid) > options->memory_bytes ? "too much memory"
                                                                        : NULL;
            if (process->ended != NULL) {
                kill(pid, SIGKILL);
            }
        }
        usleep(SAMPLE_US);
    }
    process->wall_s = seconds_now() - begin_s;
    process->cpu_ns = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
                      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3;
    process->peak_bytes = (uint64_t)usage.ru_maxrss * 1024;
}

/* Runs a program in `folder`; what it prints goes to a file there. */
static struct process process_run(char *const *arguments, const char *folder,
                                  const struct options *options)
{
    struct process process = {0};
    char log[PATH_BYTES + 16];
    snprintf(log, sizeof log, "%s/log", folder);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) {
            _exit(126);
        }
        close(fd);
        execvp(arguments[0], arguments);
        fprintf(stderr, "%s: %s\n", arguments[0], strerror(errno));
        _exit(127);
    }
    if (pid < 0) {
        fail(arguments[0], strerror(errno));
    }
    process_watch(&process, pid, options);
    last_line(log, process.words, sizeof process.words);
    return process;
}

static bool process_failed(const struct process *process, char *why, size_t why_bytes)
{
    if (process->ended != NULL) {
        snprintf(why, why_bytes, "ended after %.0f s at %.0f MiB: %s", process->wall_s,
                 (double)process->peak_bytes / 1048576, process->ended);
        return true;
    }
    if (process->status != 0) {
        snprintf(why, why_bytes, "failed (status %d): %s", process->status, process->words);
        return true;
    }
    return false;
}

/* ---- folders */

static uint64_t files_seen, bytes_seen;

static int count_file(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    const char *name = path + at->base;
    bool ours = strncmp(path, "./out/manifest", 14) == 0 || strncmp(path, "./out/spool", 11) == 0;
    if (kind == FTW_F && !ours && name[0] != '.') {
        files_seen++;
        bytes_seen += (uint64_t)status->st_size;
    }
    return 0;
}

static int remove_any(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status;
    (void)kind;
    (void)at;
    return remove(path);
}

static void tree_remove(const char *path)
{
    if (nftw(path, remove_any, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) {
        fail(path, "not deleted");
    }
}

/* ---- one run of one contender; in the scratch folder, where rows.parquet is */

static struct process step(const struct contender *who, size_t case_index, bool nothing,
                           const struct options *options)
{
    char rows[24];
    char index[24];
    char peer[PATH_BYTES];
    snprintf(rows, sizeof rows, "%" PRIu64, options->rows);
    snprintf(index, sizeof index, "%zu", case_index);
    snprintf(peer, sizeof peer, "%s/bench/peer/store.mjs", MD_SOURCE_ROOT);
    char *ours[] = {(char[]){"/proc/self/exe"},
                    (char[]){"--child"},
                    (char[]){"ours"},
                    index,
                    rows,
                    (char[]){"out"},
                    NULL};
    char word[32];
    char *theirs[] = {(char[]){"node"}, peer, word, (char[]){"rows.parquet"},
                      (char[]){"out"},  NULL};
    if (who->work == NULL) {
        char none[] = "nothing";
        ours[2] = nothing ? none : ours[2];
        return process_run(ours, ".", options);
    }
    snprintf(word, sizeof word, "%s", nothing ? who->nothing : who->work);
    return process_run(theirs, ".", options);
}

static void source_write(size_t case_index, const struct options *options)
{
    char rows[24];
    char index[24];
    snprintf(rows, sizeof rows, "%" PRIu64, options->rows);
    snprintf(index, sizeof index, "%zu", case_index);
    char *arguments[] = {(char[]){"/proc/self/exe"},
                         (char[]){"--child"},
                         (char[]){"source"},
                         index,
                         rows,
                         (char[]){"rows.parquet"},
                         NULL};
    struct process process = process_run(arguments, ".", options);
    if (process.status != 0) {
        fail("source", process.words);
    }
}

static void check(struct result *result, const struct options *options)
{
    char peer[PATH_BYTES];
    snprintf(peer, sizeof peer, "%s/bench/peer/store.mjs", MD_SOURCE_ROOT);
    char *arguments[] = {(char[]){"node"}, peer, (char[]){"check"}, (char[]){"rows.parquet"},
                         (char[]){"out"},  NULL};
    struct process process = process_run(arguments, ".", options);
    char why[256] = "";
    bool failed = process_failed(&process, why, sizeof why);
    snprintf(result->checked, sizeof result->checked, "%.126s", failed ? why : "the same rows");
    if (failed && process.ended == NULL) {
        snprintf(result->failed, sizeof result->failed, "%s", why);
    }
}

static void run_once(struct result *result, size_t case_index, const struct options *options)
{
    struct run *run = &result->runs[result->run_count];
    run->nothing = step(result->who, case_index, true, options);
    if (process_failed(&run->nothing, result->failed, sizeof result->failed)) {
        return;
    }
    run->work = step(result->who, case_index, false, options);
    files_seen = bytes_seen = 0;
    nftw("./out", count_file, 16, FTW_PHYS); /* none there: nothing was written */
    run->files = files_seen;
    run->bytes_a_row = (double)bytes_seen / (double)options->rows;
    if (!process_failed(&run->work, result->failed, sizeof result->failed)) {
        result->run_count++;
        if (result->run_count == 1 && !result->bench->ours_alone && !options->ours_alone) {
            check(result, options);
        }
    }
    tree_remove("./out");
}

/* ---- figures */

enum figure {
    NS,
    NOTHING_NS,
    TOTAL_NS,
    WALL_S,
    PEAK,
    NOTHING_PEAK,
    BYTES,
    FILES,
    DESCRIPTORS,
    NOTHING_DESCRIPTORS,
    FIGURES
};
static const char *const figure_names[FIGURES] = {
    [NS] = "cpu_ns_per_row",
    [NOTHING_NS] = "rows_alone_cpu_ns_per_row",
    [TOTAL_NS] = "process_cpu_ns_per_row",
    [WALL_S] = "wall_seconds",
    [PEAK] = "peak_rss_bytes",
    [NOTHING_PEAK] = "rows_alone_peak_rss_bytes",
    [BYTES] = "bytes_per_row",
    [FILES] = "files",
    [DESCRIPTORS] = "descriptors",
    [NOTHING_DESCRIPTORS] = "rows_alone_descriptors",
};

static double figure_of(const struct run *run, enum figure figure, double rows)
{
    switch (figure) {
    case NS:
        return (run->work.cpu_ns - run->nothing.cpu_ns) / rows;
    case NOTHING_NS:
        return run->nothing.cpu_ns / rows;
    case TOTAL_NS:
        return run->work.cpu_ns / rows;
    case WALL_S:
        return run->work.wall_s;
    case PEAK:
        return (double)run->work.peak_bytes;
    case NOTHING_PEAK:
        return (double)run->nothing.peak_bytes;
    case BYTES:
        return run->bytes_a_row;
    case FILES:
        return (double)run->files;
    case DESCRIPTORS:
        return run->work.descriptors;
    case NOTHING_DESCRIPTORS:
        return run->nothing.descriptors;
    case FIGURES:
    default:
        return 0;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(const struct result *result, enum figure figure, double rows)
{
    double values[RUNS_MAX];
    for (uint32_t i = 0; i < result->run_count; i++) {
        values[i] = figure_of(&result->runs[i], figure, rows);
    }
    qsort(values, result->run_count, sizeof values[0], by_value);
    return values[result->run_count / 2];
}

static void print_result(const struct result *result, const struct options *options)
{
    double rows = (double)options->rows;
    printf("%-14s %6u  %-22s", result->bench->name, result->bench->partitions, result->who->name);
    if (result->run_count == 0) {
        printf(" %s\n", result->failed);
        return;
    }
    printf("%8.1f %8.1f %8.1f %9.1f %7.2f %7.0f %6.0f  %s%s%s\n", median(result, NS, rows),
           median(result, NOTHING_NS, rows), median(result, WALL_S, rows),
           median(result, PEAK, rows) / 1048576, median(result, BYTES, rows),
           median(result, FILES, rows), median(result, DESCRIPTORS, rows), result->checked,
           result->failed[0] != 0 ? "; then: " : "", result->failed);
    if (result->who->work == NULL) {
        printf("%-46s%s\n", "", result->runs[result->run_count - 1].work.words);
    }
    fflush(stdout);
}

static void json_text(FILE *out, const char *key, const char *text)
{
    fprintf(out, ",\"%s\":\"", key);
    for (; *text != 0; text++) {
        bool plain = *text >= ' ' && *text != '"' && *text != '\\';
        fputc(plain ? *text : '\'', out);
    }
    fputc('"', out);
}

static void json_result(FILE *out, const struct result *result, const struct options *options)
{
    fprintf(out, "{\"case\":\"%s\",\"partitions\":%u,\"who\":\"%s\",\"runs\":%u",
            result->bench->name, result->bench->partitions, result->who->name, result->run_count);
    for (int figure = 0; figure < FIGURES && result->run_count > 0; figure++) {
        fprintf(out, ",\"%s\":%.3f", figure_names[figure],
                median(result, (enum figure)figure, (double)options->rows));
    }
    for (uint32_t i = 0; i < result->run_count; i++) {
        fprintf(out, "%s%.1f", i == 0 ? ",\"cpu_ns_per_row_each\":[" : ",",
                figure_of(&result->runs[i], NS, (double)options->rows));
    }
    fputs(result->run_count > 0 ? "]" : "", out);
    json_text(out, "checked", result->checked);
    json_text(out, "failed", result->failed);
    if (result->who->work == NULL && result->run_count > 0) {
        json_text(out, "words", result->runs[result->run_count - 1].work.words);
    }
    fputc('}', out);
}

/* ---- all of it */

static bool is_wanted(const struct bench_case *bench, const struct options *options)
{
    char text[64];
    snprintf(text, sizeof text, "%s %u.", bench->name, bench->partitions); /* "200." is no 2000 */
    return strstr(text, options->only) != NULL;
}

/* All contenders of a case, turn by turn. Returns how many rows of the table it has. */
static size_t case_run(size_t case_index, struct result *results, const struct options *options)
{
    const struct bench_case *bench = &cases[case_index];
    bool alone = bench->ours_alone || options->ours_alone;
    size_t count = alone ? 1 : CONTENDERS;
    for (size_t i = 0; i < count; i++) {
        results[i].who = &contenders[i];
        results[i].bench = bench;
    }
    if (!alone) {
        source_write(case_index, options);
    }
    for (uint32_t run = 0; run < options->runs; run++) {
        for (size_t i = 0; i < count; i++) {
            if (results[i].failed[0] == 0) {
                run_once(&results[i], case_index, options);
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        print_result(&results[i], options);
    }
    unlink("rows.parquet"); /* not there when we are alone */
    return count;
}

static void write_json(const struct result *results, size_t count, const struct options *options)
{
    char path[PATH_BYTES + 16];
    snprintf(path, sizeof path, "%s/store.json", options->folder);
    FILE *out = fopen(path, "w");
    if (out == NULL) {
        fail(path, "cannot be written");
    }
    fprintf(out, "{\"bench\":\"store\",\"rows\":%" PRIu64 ",\"results\":[", options->rows);
    for (size_t i = 0; i < count; i++) {
        fputs(i > 0 ? ",\n" : "\n", out);
        json_result(out, &results[i], options);
    }
    fprintf(out, "\n]}\n");
    if (fclose(out) != 0) {
        fail(path, "cannot be written");
    }
    printf("written: %s\n", path);
}

static int child(char **argv)
{
    const struct bench_case *bench = &cases[strtoul(argv[3], NULL, 10) % CASES];
    uint64_t rows = strtoull(argv[4], NULL, 10);
    if (strcmp(argv[2], "ours") == 0) {
        store_ours(bench, argv[5], rows);
    } else if (strcmp(argv[2], "nothing") == 0) {
        store_ours_nothing(bench, rows);
    } else {
        store_source(bench, argv[5], rows);
    }
    return 0;
}

static struct options options_read(int argc, char **argv)
{
    struct options options = {
        .only = "", .rows = 10000000, .memory_bytes = 8192ULL << 20, .runs = 3, .seconds = 300};
    const char *folder = "build/bench";
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--ours") == 0) {
            options.ours_alone = true;
            continue;
        }
        if (strncmp(argv[i], "--", 2) != 0) {
            folder = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--rows") == 0) {
            options.rows = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--runs") == 0) {
            options.runs = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(argv[i], "--case") == 0) {
            options.only = value;
        } else if (strcmp(argv[i], "--seconds") == 0) {
            options.seconds = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(argv[i], "--memory") == 0) {
            options.memory_bytes = strtoull(value, NULL, 10) << 20;
        } else {
            fail(argv[i], "no such option");
        }
        i++;
    }
    if (options.rows < 1000 || options.runs < 1 || options.runs > RUNS_MAX || options.seconds < 1) {
        fail("options", "--rows from 1000, --runs 1 to 15, --seconds from 1");
    }
    mkdir(folder, 0755); /* best effort: the next line says if it is not there */
    if (realpath(folder, options.folder) == NULL) {
        fail(folder, strerror(errno));
    }
    return options;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "--child") == 0) {
        return child(argv);
    }
    struct options options = options_read(argc, argv);
    char scratch[PATH_BYTES + 32];
    snprintf(scratch, sizeof scratch, "%s/store-XXXXXX", options.folder);
    if (mkdtemp(scratch) == NULL || chdir(scratch) != 0) {
        fail(scratch, "no folder");
    }
    struct result *results = calloc(CASES * CONTENDERS, sizeof *results);
    if (results == NULL) {
        fail("results", "no memory");
    }
    printf("store: %" PRIu64 " rows, medians of %u; a run is ended after %u s or at %" PRIu64
           " MiB\n",
           options.rows, options.runs, options.seconds, options.memory_bytes >> 20);
    printf("%-14s %6s  %-22s%8s %8s %8s %9s %7s %7s %6s\n", "", "parts", "", "ns/row", "rows ns",
           "wall s", "peak MiB", "B/row", "files", "fds");
    size_t count = 0;
    for (size_t i = 0; i < CASES; i++) {
        if (is_wanted(&cases[i], &options)) {
            count += case_run(i, results + count, &options);
        }
    }
    write_json(results, count, &options);
    free(results);
    tree_remove(scratch);
    return 0;
}
