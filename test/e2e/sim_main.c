/* The simulator as a small program of its own, for tests that need only it.
 *
 *   sim_main [--ca FILE] [--plain] [--port N] [--seed N] [--symbols N] [--rate TRADES_PER_S]
 * [--flat]
 *            [--updates N] [--faults SCRIPT] [--faults-file FILE] [--fault-log] [--replay FILE]
 *            [--speed X] [--exchange ID] [--coalesce BYTES] [--connections N] [--limit
 * NAME=VALUE]...
 *
 * Prints "ready port=N" when it serves, runs until SIGTERM or SIGINT, prints the status as its last
 * line. With --fault-log each fault committed is a line "fault ...". */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "sim/sim.h"

static volatile sig_atomic_t stop;

static void on_signal(int signal_number)
{
    (void)signal_number;
    stop = 1;
}

static void on_ready(void *context, uint16_t port)
{
    (void)context;
    printf("ready port=%u\n", port);
    fflush(stdout);
}

static void on_fault(void *context, int64_t unix_ns, const char *fault, uint32_t conn,
                     const char *stream, int64_t index)
{
    (void)context;
    printf("fault %lld %s conn=%u stream=%s index=%lld\n", (long long)unix_ns, fault, conn, stream,
           (long long)index);
    fflush(stdout);
}

static char *file_text(const char *path)
{
    static char text[65536];
    FILE *file = fopen(path, "r");
    size_t bytes = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
    if (file == NULL || fclose(file) != 0) {
        fprintf(stderr, "sim_main: %s: cannot be read\n", path);
        exit(2);
    }
    text[bytes] = 0;
    return text;
}

static bool switch_set(struct sim_config *config, const char *name)
{
    if (strcmp(name, "--plain") == 0) {
        config->plain = true;
    } else if (strcmp(name, "--flat") == 0) {
        config->model.flat = true;
    } else if (strcmp(name, "--fault-log") == 0) {
        config->on_fault = on_fault;
    } else if (strcmp(name, "--verbose") == 0) {
        log_level_set(LOG_LEVEL_INFO);
    } else {
        return false;
    }
    return true;
}

static bool value_set(struct sim_config *config, const char *name, char *value)
{
    uint64_t number = strtoull(value, NULL, 10);
    if (strcmp(name, "--ca") == 0) {
        config->ca_path = value;
    } else if (strcmp(name, "--port") == 0) {
        config->port = (uint16_t)number;
    } else if (strcmp(name, "--seed") == 0) {
        config->model.seed = number;
    } else if (strcmp(name, "--symbols") == 0) {
        config->model.symbols = (uint32_t)number;
    } else if (strcmp(name, "--updates") == 0) {
        config->model.updates_per_trade = (uint32_t)number;
    } else if (strcmp(name, "--rate") == 0) {
        config->model.trades_per_s = strtod(value, NULL);
    } else if (strcmp(name, "--faults") == 0) {
        config->faults = str_from(value);
    } else if (strcmp(name, "--faults-file") == 0) {
        config->faults = str_from(file_text(value));
    } else if (strcmp(name, "--replay") == 0) {
        config->replay_path = value;
    } else if (strcmp(name, "--speed") == 0) {
        config->replay_speed = strtod(value, NULL);
    } else if (strcmp(name, "--exchange") == 0) {
        for (int id = VENUE_NONE + 1; id < VENUE_ID_END; id++) {
            if (strcmp(value, venue_name((enum venue_id)id)) == 0) {
                config->exchange = (enum venue_id)id;
                config->limits = sim_limits_of(config->exchange);
            }
        }
    } else if (strcmp(name, "--coalesce") == 0) {
        config->coalesce_bytes = (uint32_t)number;
    } else if (strcmp(name, "--connections") == 0) {
        config->connections_max = (uint32_t)number;
    } else {
        return strcmp(name, "--limit") == 0 && sim_limits_set(&config->limits, str_from(value));
    }
    return true;
}

int main(int argc, char **argv)
{
    struct sim_config config = sim_config_default();
    config.on_ready = on_ready;
    log_init(2, LOG_LEVEL_WARN, false, &clock_system);
    for (int i = 1; i < argc; i++) {
        if (switch_set(&config, argv[i])) {
            continue;
        }
        if (i + 1 == argc || !value_set(&config, argv[i], argv[i + 1])) {
            fprintf(stderr, "sim_main: %s: unknown or without its value\n", argv[i]);
            return 2;
        }
        i++;
    }
    struct sigaction action = {.sa_handler = on_signal};
    if (sigaction(SIGTERM, &action, NULL) != 0 || sigaction(SIGINT, &action, NULL) != 0) {
        return 1;
    }
    struct err err = {{0}};
    if (sim_run(&config, &stop, 1, &err) != 0) {
        fprintf(stderr, "sim_main: %s\n", err.text);
        return 1;
    }
    return 0;
}
