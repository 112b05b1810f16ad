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
#define DEMO_SYMBOLS 200 /* over all exchanges */
#define DEMO_RATE 4000

struct ready {
    int fd; /* the port is written here for the parent; -1 = print it */
    enum venue_id exchange;
    const char *ca;
    bool plain;
};

/* The settings that lead a recorder to a simulator of this exchange, one by one: paths as at the
 * venue. */
static void each_url(enum venue_id exchange, uint16_t port, bool plain,
                     void (*on_setting)(void *context, const char *pair), void *context)
{
    static const struct {
        enum venue_id exchange;
        const char *setting, *path;
        bool websocket;
    } urls[] = {
        {VENUE_BINANCE, "binance.ws_url", "", true},
        {VENUE_BINANCE, "binance.sbe_url", "/sbe", true},
        {VENUE_BINANCE, "binance.rest_url", "", false},
        {VENUE_BINANCE_FUTURES, "binance_futures.ws_url", "", true},
        {VENUE_BINANCE_FUTURES, "binance_futures.rest_url", "", false},
        {VENUE_KUCOIN, "kucoin.uta_url", "", true},
        {VENUE_KUCOIN, "kucoin.rest_url", "", false},
        {VENUE_KUCOIN_FUTURES, "kucoin_futures.uta_url", "", true},
        {VENUE_KUCOIN_FUTURES, "kucoin_futures.rest_url", "", false},
        {VENUE_GATE, "gate.ws_url", "/ws/v4/", true},
        {VENUE_GATE, "gate.rest_url", "/api/v4", false},
        {VENUE_GATE_FUTURES, "gate_futures.ws_url", "/v4/ws/usdt", true},
        {VENUE_GATE_FUTURES, "gate_futures.rest_url", "/api/v4", false},
    };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        if (urls[i].exchange == exchange) {
            char pair[200];
            snprintf(pair, sizeof pair, "%s=%s%s://127.0.0.1:%u%s", urls[i].setting,
                     urls[i].websocket ? "ws" : "http", plain ? "" : "s", port, urls[i].path);
            on_setting(context, pair);
        }
    }
}

static void print_setting(void *context, const char *pair)
{
    (void)context;
    dprintf(STDOUT_FILENO, "  --set %s\n", pair);
}

static void on_ready(void *context, uint16_t port)
{
    const struct ready *ready = context;
    if (ready->fd >= 0) {
        if (write(ready->fd, &port, sizeof port) != (ssize_t)sizeof port) {
            _exit(EXIT_FAILED); /* the parent is gone */
        }
        return;
    }
    dprintf(STDOUT_FILENO, "ready port=%u exchange=%s\n", port, venue_name(ready->exchange));
    each_url(ready->exchange, port, ready->plain, print_setting, NULL);
    if (ready->ca[0] != 0) {
        dprintf(STDOUT_FILENO, "  --set net.ca_file=%s\n", ready->ca);
    }
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
    config.exchange = ready->exchange;
    config.limits = sim_limits_of(ready->exchange);
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
    if (line->limits != NULL && !sim_limits_set(&config.limits, str_from(line->limits))) {
        return err_set(err, MD_EINVAL,
                       "--limits: %s: NAME=VALUE,... is wanted, with the names of "
                       "docs/simulator.md",
                       line->limits);
    }
    int code = line->faults != NULL ? read_script(line->faults, script, &config.faults, err) : 0;
    if (code == 0 && line->seconds > 0) {
        alarm((unsigned)line->seconds); /* SIGALRM sets the same flag as SIGTERM */
    }
    return code != 0 ? code : sim_run(&config, &command_stop, status_fd, err);
}

/* 0, or the words that name those that are played. */
static int exchange_of(const char *name, enum venue_id *out, struct err *err)
{
    char played[200];
    struct buf list = buf_over(played, sizeof played);
    for (int id = VENUE_NONE + 1; id < VENUE_ID_END; id++) {
        if (!sim_plays((enum venue_id)id)) {
            continue;
        }
        const char *one = venue_name((enum venue_id)id);
        if (strcmp(name, one) == 0) {
            *out = (enum venue_id)id;
            return 0;
        }
        buf_printf(&list, "%s%s", list.bytes > 0 ? ", " : "", one);
    }
    return err_set(err, MD_EINVAL, "--exchange: %s: not one of %.*s", name, (int)list.bytes,
                   list.data);
}

int command_simulate(struct command_line *line)
{
    struct err err = {{0}};
    struct ready ready = {-1, VENUE_BINANCE, line->ca_file != NULL ? line->ca_file : "",
                          line->plain};
    int code = 0;
    if (line->port > 65535) {
        code = err_set(&err, MD_ERANGE, "--port: 0 to 65535 is allowed");
    } else if (line->exchange != NULL) {
        code = exchange_of(line->exchange, &ready.exchange, &err);
    }
    code = code != 0 ? code : simulate(line, &ready, (uint16_t)line->port, STDOUT_FILENO, &err);
    return code == 0 ? EXIT_OK : command_fail(code, &err);
}

/* ---- demo: one simulator process an exchange, and a recorder of them all */

struct simulator {
    enum venue_id exchange;
    pid_t pid;
    int status_fd;
    uint16_t port;
    char ca[200];
};

struct demo {
    struct simulator simulators[VENUE_ID_END];
    uint32_t count;
    char dir[180], ca[200];
    struct command_line *line;
    struct err *err;
    int code;
};

static int start_simulator(struct demo *demo, struct simulator *simulator)
{
    int ends[2], status[2];
    if (pipe(ends) != 0 || pipe(status) != 0) {
        return err_set(demo->err, MD_EMFILE, "demo: %s", strerror(errno));
    }
    simulator->pid = fork();
    if (simulator->pid == 0) {
        close(ends[0]);
        close(status[0]);
        signal(SIGINT, SIG_IGN); /* Ctrl-C is for the recorder; it ends the simulators when done */
        struct ready ready = {ends[1], simulator->exchange, simulator->ca, false};
        demo->line->seconds = 0;
        int code = simulate(demo->line, &ready, 0, status[1], demo->err);
        if (code != 0) {
            dprintf(STDERR_FILENO, "market-data: simulator: %s\n", demo->err->text);
        }
        _exit(code == 0 ? EXIT_OK : EXIT_FAILED);
    }
    close(ends[1]);
    close(status[1]);
    simulator->status_fd = status[0];
    bool ready = simulator->pid > 0 && read(ends[0], &simulator->port, sizeof simulator->port) ==
                                           (ssize_t)sizeof simulator->port;
    close(ends[0]);
    return ready ? 0
                 : err_set(demo->err, MD_EIO, "demo: the simulator of %s did not start",
                           venue_name(simulator->exchange));
}

static void set_pair(void *context, const char *pair)
{
    struct demo *demo = context;
    if (demo->code == 0) {
        demo->code = settings_set_pair(demo->line->settings, pair, demo->err);
    }
}

/* Each simulator has an authority of its own; the recorder trusts them all. */
static void gather_authorities(struct demo *demo)
{
    int out = open(demo->ca, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    for (uint32_t i = 0; i < demo->count && out >= 0; i++) {
        char text[8192];
        int in = open(demo->simulators[i].ca, O_RDONLY | O_CLOEXEC);
        ssize_t n = in >= 0 ? read(in, text, sizeof text) : -1;
        if (in >= 0) {
            close(in);
        }
        if (n <= 0 || write(out, text, (size_t)n) != n) {
            demo->code = err_set(demo->err, MD_EIO, "%s: %s", demo->ca, strerror(errno));
        }
        unlink(demo->simulators[i].ca);
    }
    if (out < 0 || close(out) != 0) {
        demo->code = err_set(demo->err, err_from_errno(errno), "%s: %s", demo->ca, strerror(errno));
    }
}

static int demo_start(struct demo *demo)
{
    struct command_line *line = demo->line;
    int64_t symbols = line->symbols > 0 ? line->symbols : DEMO_SYMBOLS;
    int64_t rate = line->rate > 0 ? line->rate : DEMO_RATE;
    int64_t players = 0;
    for (int id = VENUE_NONE + 1; id < VENUE_ID_END; id++) {
        players += sim_plays((enum venue_id)id);
    }
    for (int id = VENUE_NONE + 1; id < VENUE_ID_END && demo->code == 0; id++) {
        if (!sim_plays((enum venue_id)id)) {
            continue;
        }
        struct simulator *simulator = &demo->simulators[demo->count++];
        simulator->exchange = (enum venue_id)id;
        snprintf(simulator->ca, sizeof simulator->ca, "%s/ca-%s.pem", demo->dir,
                 venue_name(simulator->exchange));
        /* shared out evenly; the first take what is over */
        line->symbols = (symbols + players - demo->count) / players;
        line->rate = (rate + players - demo->count) / players;
        demo->code = line->symbols > 0
                         ? start_simulator(demo, simulator)
                         : err_set(demo->err, MD_ERANGE,
                                   "--symbols: at least one an exchange: %lld", (long long)players);
    }
    if (demo->code == 0) {
        gather_authorities(demo);
    }
    return demo->code;
}

static int demo_settings(struct demo *demo)
{
    char value[300];
    snprintf(value, sizeof value, "data_dir=%s", demo->dir);
    set_pair(demo, value);
    snprintf(value, sizeof value, "net.ca_file=%s", demo->ca);
    set_pair(demo, value);
    set_pair(demo, "output.parquet_batch_size=5000"); /* as check advises for so many symbols */
    set_pair(demo, "output.parquet_max_open_files=256");
    set_pair(demo, "http.listen=localhost:0"); /* one that is free */
    for (uint32_t i = 0; i < demo->count; i++) {
        const struct simulator *simulator = &demo->simulators[i];
        snprintf(value, sizeof value, "%s.symbols=all", venue_of(simulator->exchange)->section);
        set_pair(demo, value);
        each_url(simulator->exchange, simulator->port, false, set_pair, demo);
    }
    return demo->code;
}

/* Ends the simulators and says what they counted. */
static void demo_end(struct demo *demo)
{
    dprintf(STDOUT_FILENO, "%s", demo->count > 0 ? "Simulators\n" : "");
    for (uint32_t i = 0; i < demo->count; i++) {
        struct simulator *simulator = &demo->simulators[i];
        if (simulator->pid <= 0) {
            continue;
        }
        char text[16384];
        size_t used = 0;
        int status = 0;
        kill(simulator->pid, SIGTERM);
        for (ssize_t n = 1; n > 0 && used<sizeof text - 1; used += n> 0 ? (size_t)n : 0) {
            n = read(simulator->status_fd, text + used, sizeof text - 1 - used);
        }
        text[used] = 0;
        waitpid(simulator->pid, &status, 0);
        const char *violations = strstr(text, "\"violations\":");
        const char *messages = strstr(text, "\"messages_sent\":");
        long long broken = violations != NULL ? strtoll(violations + 13, NULL, 10) : -1;
        dprintf(STDOUT_FILENO, "  %-18s sent %lld messages; protocol violations %lld\n",
                venue_name(simulator->exchange),
                messages != NULL ? strtoll(messages + 16, NULL, 10) : -1, broken);
        if (broken != 0 && demo->code == 0) {
            demo->code = err_set(demo->err, MD_EPROTO, "demo: the simulator of %s: %s",
                                 venue_name(simulator->exchange),
                                 broken < 0 ? "ended without its counts" : "limits were broken");
        }
    }
}

static void show_query(const char *dir)
{
    char command[1200];
    const char *sql = "SELECT exchange, symbol, count(*) AS trades, round(min(price), 4) AS low, "
                      "round(max(price), 4) AS high, round(sum(price * amount), 2) AS turnover "
                      "FROM read_parquet('%s/exchange=*/channel=trades/**/*.parquet', "
                      "hive_partitioning = true) GROUP BY ALL ORDER BY turnover DESC LIMIT 5";
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
            "print(pl.scan_parquet('%s/exchange=*/channel=trades/**/*.parquet')"
            ".group_by('symbol').len().sort('len').collect())\"\n"
            "  build/market-data inspect FILE      schema, row groups, encodings, bytes a column\n",
            query, dir);
    dprintf(STDOUT_FILENO, "Files\n  %s/exchange=.../channel=.../symbol=.../date=.../hour=.../\n",
            dir);
}

static int demo_record(struct command_line *line, int64_t seconds, struct err *err)
{
    static struct plan plan;
    struct pipeline *pipeline = NULL;
    int code = plan_make(&plan, line->settings, false, &command_stop, err);
    if (code == 0) {
        plan_print(&plan, line->settings, STDOUT_FILENO);
        code = pipeline_open(&pipeline, line->settings, &plan, NULL, err);
    }
    if (code != 0) {
        plan_deinit(&plan);
        return code;
    }
    if (seconds > 0) {
        dprintf(STDOUT_FILENO, "\nRecording %lld s from the simulators ...\n", (long long)seconds);
    } else {
        dprintf(STDOUT_FILENO, "\nRecording from the simulators until Ctrl-C ...\n");
    }
    if (pipeline_url(pipeline)[0] != 0) {
        dprintf(STDOUT_FILENO, "Page  %s\n", pipeline_url(pipeline));
    }
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
    static struct demo demo;
    demo = (struct demo){.line = line, .err = &err};
    int64_t seconds = line->seconds > 0 ? line->seconds : line->serve ? 0 : DEMO_SECONDS;
    int n = snprintf(demo.dir, sizeof demo.dir, "%s",
                     line->output != NULL ? line->output : "demo-data");
    if (n < 0 || (size_t)n >= sizeof demo.dir) {
        return command_fail(err_set(&err, MD_ETOOBIG, "-o: path too long"), &err);
    }
    if (mkdir(demo.dir, 0750) != 0 && errno != EEXIST) {
        return command_fail(
            err_set(&err, err_from_errno(errno), "%s: %s", demo.dir, strerror(errno)), &err);
    }
    snprintf(demo.ca, sizeof demo.ca, "%s/simulator-ca.pem", demo.dir);
    if (demo_start(&demo) == 0 && demo_settings(&demo) == 0) {
        demo.code = demo_record(line, seconds, &err);
    }
    demo_end(&demo);
    if (demo.code != 0) {
        return command_fail(demo.code, &err);
    }
    show_query(demo.dir);
    return EXIT_OK;
}
