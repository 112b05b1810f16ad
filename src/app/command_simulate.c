/* simulate and demo: the built-in exchange, alone or as a child process under a recorder. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/command.h"
#include "app/pipeline.h"
#include "base/alloc.h"
#include "sim/sim.h"

#define SCRIPT_BYTES_MAX 65536
#define DEMO_SECONDS 20
#define DEMO_SYMBOLS 50
#define DEMO_RATE 2000

struct ready {
    int fd; /* the port is written here for the parent; -1 = print it */
    const char *ca;
    bool plain;
};

static void on_ready(void *context, uint16_t port)
{
    const struct ready *ready = context;
    if (ready->fd >= 0) {
        if (write(ready->fd, &port, sizeof port) != (ssize_t)sizeof port) {
            _exit(EXIT_FAILED); /* the parent is gone */
        }
        return;
    }
    const char *tls = ready->plain ? "" : "s";
    dprintf(STDOUT_FILENO, "ready port=%u\n", port);
    dprintf(STDOUT_FILENO,
            "  --set binance.ws_url=ws%s://127.0.0.1:%u --set "
            "binance.rest_url=http%s://127.0.0.1:%u%s%s\n",
            tls, port, tls, port, ready->ca[0] != 0 ? " --set net.ca_file=" : "", ready->ca);
}

static int read_script(const char *path, char *out, struct str *script, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, SCRIPT_BYTES_MAX) : -1;
    int saved = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (n < 0) {
        return err_set(err, err_from_errno(saved), "%s: %s", path, strerror(saved));
    }
    if (n == SCRIPT_BYTES_MAX) {
        return err_set(err, MD_ETOOBIG, "%s: fault script over %d bytes", path, SCRIPT_BYTES_MAX);
    }
    *script = str_make(out, (size_t)n);
    return 0;
}

static int simulate(struct command_line *line, struct ready *ready, uint16_t port, int status_fd,
                    struct err *err)
{
    static char script[SCRIPT_BYTES_MAX];
    struct sim_config config = sim_config_default();
    config.port = port;
    config.plain = line->plain;
    config.ca_path = ready->ca;
    config.clock = &clock_system;
    config.on_ready = on_ready;
    config.context = ready;
    if (line->symbols > 0) {
        config.model.symbols = (uint32_t)line->symbols;
    }
    if (line->rate > 0) {
        config.model.trades_per_s = (double)line->rate;
    }
    if (line->seed > 0) {
        config.model.seed = (uint64_t)line->seed;
    }
    if (line->replay != NULL) {
        config.replay_path = line->replay;
    }
    int code = line->faults != NULL ? read_script(line->faults, script, &config.faults, err) : 0;
    if (code == 0 && line->seconds > 0) {
        alarm((unsigned)line->seconds); /* SIGALRM sets the same flag as SIGTERM */
    }
    return code != 0 ? code : sim_run(&config, &command_stop, status_fd, err);
}

int command_simulate(struct command_line *line)
{
    struct err err = {{0}};
    struct ready ready = {-1, line->ca_file != NULL ? line->ca_file : "", line->plain};
    if (line->port > 65535) {
        return command_fail(err_set(&err, MD_ERANGE, "--port: 0 to 65535 is allowed"), &err);
    }
    int code = simulate(line, &ready, (uint16_t)line->port, STDOUT_FILENO, &err);
    return code == 0 ? EXIT_OK : command_fail(code, &err);
}

/* ---- demo */

static pid_t start_simulator(struct command_line *line, const char *ca, uint16_t *port,
                             struct err *err)
{
    int ends[2];
    if (pipe(ends) != 0) {
        err_set(err, MD_EMFILE, "demo: %s", strerror(errno));
        return -1;
    }
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        signal(SIGINT, SIG_IGN); /* Ctrl-C is for the recorder; it ends the simulator when done */
        struct ready ready = {ends[1], ca, false};
        line->seconds = 0;
        int code = simulate(line, &ready, 0, -1, err);
        if (code != 0) {
            dprintf(STDERR_FILENO, "market-data: simulator: %s\n", err->text);
        }
        _exit(code == 0 ? EXIT_OK : EXIT_FAILED);
    }
    close(ends[1]);
    bool ready = child > 0 && read(ends[0], port, sizeof *port) == (ssize_t)sizeof *port;
    close(ends[0]);
    if (!ready) {
        err_set(err, MD_EIO, "demo: the simulator did not start");
        return -1;
    }
    return child;
}

static int demo_settings(struct command_line *line, const char *dir, const char *ca, uint16_t port,
                         struct err *err)
{
    char value[300];
    static const char *const fixed[] = {
        "binance.symbols=all",
        "binance.channels=trades,book_ticker,incremental_book_L2,book_snapshot_5,"
        "candles,ticker",
    };
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof fixed / sizeof fixed[0]; i++) {
        code = settings_set_pair(line->settings, fixed[i], err);
    }
    snprintf(value, sizeof value, "data_dir=%s", dir);
    code = code != 0 ? code : settings_set_pair(line->settings, value, err);
    snprintf(value, sizeof value, "net.ca_file=%s", ca);
    code = code != 0 ? code : settings_set_pair(line->settings, value, err);
    snprintf(value, sizeof value, "binance.ws_url=wss://127.0.0.1:%u", port);
    code = code != 0 ? code : settings_set_pair(line->settings, value, err);
    snprintf(value, sizeof value, "binance.rest_url=https://127.0.0.1:%u", port);
    return code != 0 ? code : settings_set_pair(line->settings, value, err);
}

static void show_query(const char *dir)
{
    char command[1200];
    const char *sql = "SELECT symbol, count(*) AS trades, round(min(price), 4) AS low, "
                      "round(max(price), 4) AS high, round(sum(price * amount), 2) AS turnover "
                      "FROM read_parquet('%s/exchange=*/channel=trades/**/*.parquet', "
                      "hive_partitioning = true) GROUP BY symbol ORDER BY turnover DESC LIMIT 5";
    char query[800];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(query, sizeof query, sql, dir);
#pragma GCC diagnostic pop
    bool has_duckdb = system("command -v duckdb >/dev/null 2>&1") == 0;
    if (has_duckdb) {
        dprintf(STDOUT_FILENO, "\nOne query over them\n");
        snprintf(command, sizeof command, "duckdb -c \"%s\"", query);
    } else { /* no reader on this machine: what our own says of one file */
        dprintf(STDOUT_FILENO, "\nOne of them, by market-data inspect\n");
        snprintf(command, sizeof command,
                 "/proc/%d/exe inspect \"$(find '%s' -path '*channel=trades/symbol=BTCUSDT/*' "
                 "-name '*.parquet' | sort | head -n 1)\"",
                 getpid(), dir);
    }
    if (system(command) != 0) {
        dprintf(STDERR_FILENO, "market-data: the files could not be shown\n");
    }
    dprintf(STDOUT_FILENO,
            "\nOpen it\n"
            "  duckdb -c \"%s\"\n"
            "  python3 -c \"import polars as pl; "
            "print(pl.scan_parquet('%s/exchange=binance/channel=trades/**/*.parquet')"
            ".group_by('symbol').len().sort('len').collect())\"\n"
            "  build/market-data inspect FILE      schema, row groups, encodings, bytes a column\n",
            query, dir);
    dprintf(STDOUT_FILENO,
            "Files\n  %s/exchange=binance/channel=.../symbol=.../date=.../hour=.../\n", dir);
}

static int demo_record(struct command_line *line, int64_t seconds, struct err *err)
{
    static struct plan plan;
    struct pipeline *pipeline = NULL;
    int code = plan_make(&plan, line->settings, false, &command_stop, err);
    if (code == 0) {
        plan_print(&plan, line->settings, STDOUT_FILENO);
        code = pipeline_open(&pipeline, line->settings, &plan, err);
    }
    if (code != 0) {
        plan_deinit(&plan);
        return code;
    }
    dprintf(STDOUT_FILENO, "\nRecording %lld s from the simulator ...\n", (long long)seconds);
    enum pipeline_end end = pipeline_run(pipeline, &command_stop, NULL, seconds, err);
    struct pipeline_stats stats = pipeline_stats(pipeline);
    pipeline_print_summary(&stats, &plan, line->settings, STDOUT_FILENO);
    pipeline_close(pipeline);
    plan_deinit(&plan);
    return end == PIPELINE_STOPPED ? 0 : err_set(err, MD_EIO, "demo: not everything was sealed");
}

int command_demo(struct command_line *line)
{
    struct err err = {{0}};
    char dir[180], ca[200];
    int64_t seconds = line->seconds > 0 ? line->seconds : DEMO_SECONDS;
    line->symbols = line->symbols > 0 ? line->symbols : DEMO_SYMBOLS;
    line->rate = line->rate > 0 ? line->rate : DEMO_RATE;
    int n = line->output != NULL ? snprintf(dir, sizeof dir, "%s", line->output)
                                 : snprintf(dir, sizeof dir, "demo-data");
    if (n < 0 || (size_t)n >= sizeof dir) {
        return command_fail(err_set(&err, MD_ETOOBIG, "-o: path too long"), &err);
    }
    if (mkdir(dir, 0750) != 0 && errno != EEXIST) {
        return command_fail(err_set(&err, err_from_errno(errno), "%s: %s", dir, strerror(errno)),
                            &err);
    }
    snprintf(ca, sizeof ca, "%s/simulator-ca.pem", dir);
    uint16_t port = 0;
    pid_t child = start_simulator(line, ca, &port, &err);
    if (child < 0) {
        return command_fail(MD_EIO, &err);
    }
    int code = demo_settings(line, dir, ca, port, &err);
    code = code != 0 ? code : demo_record(line, seconds, &err);
    kill(child, SIGTERM);
    int status = 0;
    waitpid(child, &status, 0);
    if (code != 0) {
        return command_fail(code, &err);
    }
    show_query(dir);
    return EXIT_OK;
}
