/* See world.h. The recorder's side runs as threads of the kernel; everything here but
 * recorder_main() and what it calls is the world's turn, outside of its time.
 *
 * What the linker does: mdio_posix_open() is defined here, so the real disk's file is not linked at
 * all; land_record(), normalise_event() and journal_append() are wrapped (--wrap), to hear what
 * passes. Everything else is the recorder as shipped. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/secret.h"
#include "base/assert.h"
#include "base/log.h"
#include "journal/journal.h"
#include "kernel.h"
#include "sim/sim_exchange.h"

#define MEMORY_BUDGET_TEXT "1GiB"
#define LIVES_MAX 24
#define LIFE_SLACK_MS 15000
#define OPEN_AGAIN_NS (2 * NS_PER_S)

struct place {
    struct sim_config config;
    struct sim *sim;
    struct model model;
    void *model_memory;
    int64_t due_ns;
    int64_t accept_ns; /* refusing until then */
    uint32_t number;
};

static struct {
    struct world_config config;
    struct world_hooks hooks;
    struct place places[VENUE_ID_END];
    struct mdio disk, disk_after; /* after: the next life's, when this one was cut */
    bool cut;                     /* this life is as good as dead */
    bool finished;                /* the time is over */
    struct mdio_faults faults;
    int64_t heal_ns, fast_ns, net_up_ns;
    int64_t off_ns; /* how long until the next life */
    uint32_t event_next;
    int64_t start_ns;
    volatile sig_atomic_t stop;
    struct journal *journal; /* NULL: nothing was appended in this life */
    uint64_t promised_seq;   /* by the journal, when a life last ended */
    struct world_stats stats;
    struct settings settings;
    struct plan plan;
    size_t lines_before[ALLOC_LINE_COUNT]; /* the simulators' own */
    char open_words[512];                  /* why the last one did not begin */
} world;

static void fail(const char *what, const char *words)
{
    if (world.stats.failure == NULL) {
        world.stats.failure = what;
        snprintf(world.stats.words, sizeof world.stats.words, "%.250s", words);
    }
}

/* ---- wrapped calls of the recorder */

int mdio_posix_open(struct mdio *io, const char *root, struct err *err)
{
    (void)root;
    (void)err;
    world.faults.sync_lies = world.config.sync_lies;
    world.faults.read_sleep_ms = world.config.read_sleep_ms;
    return mdio_faulty_open(io, &world.disk, &world.faults);
}

void __real_land_record(struct land *land, const struct record *record);
void __wrap_land_record(struct land *land, const struct record *record);
void __wrap_land_record(struct land *land, const struct record *record)
{
    __real_land_record(land, record);
    if (world.hooks.on_landed != NULL && !world.cut) {
        world.hooks.on_landed(world.hooks.context, land, record);
    }
}

void __real_normalise_event(struct normalise *normalise, const struct event *event);
void __wrap_normalise_event(struct normalise *normalise, const struct event *event);
void __wrap_normalise_event(struct normalise *normalise, const struct event *event)
{
    if (world.hooks.on_decoded != NULL && !world.cut) {
        world.hooks.on_decoded(world.hooks.context, event);
    }
    if (world.config.lose_every == 0 || event->seq % world.config.lose_every != 0) {
        __real_normalise_event(normalise, event);
    }
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    for (size_t i = 0; i < bytes; i++) {
        hash = (hash ^ at[i]) * 0x100000001b3ULL;
    }
    return hash;
}

int __real_journal_append(struct journal *journal, struct record *record, int64_t now_mono_ns);
int __wrap_journal_append(struct journal *journal, struct record *record, int64_t now_mono_ns);
int __wrap_journal_append(struct journal *journal, struct record *record, int64_t now_mono_ns)
{
    int code = __real_journal_append(journal, record, now_mono_ns);
    world.journal = journal;
    if (code == 0) {
        uint64_t hash = world.stats.journal_hash;
        hash = hash_bytes(hash, &record->seq, sizeof record->seq);
        hash = hash_bytes(hash, &record->time_unix_ns, sizeof record->time_unix_ns);
        hash = hash_bytes(hash, &record->kind, sizeof record->kind);
        hash = hash_bytes(hash, &record->conn, sizeof record->conn);
        hash = hash_bytes(hash, record->arg.data, record->arg.bytes);
        world.stats.journal_hash = hash_bytes(hash, record->payload.data, record->payload.bytes);
        world.stats.records++;
    }
    return code;
}

/* ---- the exchanges */

static void on_fault(void *context, int64_t unix_ns, const char *fault, uint32_t conn,
                     const char *stream, int64_t index)
{
    const struct place *place = context;
    world.stats.faults_injected++;
    if (world.hooks.on_fault != NULL) {
        struct world_fault told = {.index = index, .conn = conn, .unix_ns = unix_ns};
        snprintf(told.fault, sizeof told.fault, "%s", fault);
        snprintf(told.stream, sizeof told.stream, "%s", stream);
        world.hooks.on_fault(world.hooks.context, place->number, &told);
    }
}

static void place_open(struct place *place, const struct world_place *wanted, uint32_t number)
{
    struct err err = {{0}};
    int code = 0;
    const struct sim_exchange *exchange = sim_exchange_of(wanted->venue);
    place->number = number;
    place->config = sim_config_default();
    place->config.exchange = wanted->venue;
    place->config.plain = true;
    place->config.clock = &kernel_world_clock;
    place->config.connections_max = 24;
    place->config.model = (struct model_config){.seed = world.config.seed * 8 + number,
                                                .symbols = wanted->symbols,
                                                .trades_per_s = wanted->trades_per_s,
                                                .updates_per_trade = 4,
                                                .flat = true};
    place->config.limits = sim_limits_of(wanted->venue);
    place->config.limits.streams_per_connection = 64;
    if (wanted->life_ms > 0) {
        /* the recorder is told a shorter one: a tenth of a minute is no time to replace a
         * connection that gets eight seconds for its books */
        place->config.limits.life_ms = wanted->life_ms + LIFE_SLACK_MS;
    }
    place->config.faults = str_from(wanted->faults);
    place->config.on_fault = on_fault;
    place->config.context = place;
    kernel_owner_set((int)number);
    place->sim = sim_create(&place->config, &code, &err);
    kernel_owner_set(KERNEL_RECORDER);
    if (place->sim == NULL) {
        fprintf(stderr, "%s: %s\n", venue_name(wanted->venue), err.text);
    }
    ASSERT(place->sim != NULL);
    place->model_memory = calloc(1, model_memory_bytes(&place->config.model));
    ASSERT(place->model_memory != NULL);
    model_init(&place->model, &place->config.model, place->model_memory);
    if (exchange->spell != NULL) {
        model_rename(&place->model, exchange->spell);
    }
}

/* ---- what goes wrong */

static int64_t since_start_ns(void)
{
    return kernel_mono_ns() - world.start_ns;
}

/* A life that ends while it still replays has promised nothing new. */
static void note_promise(void)
{
    if (world.journal != NULL) {
        world.promised_seq = journal_synced_seq(world.journal);
    }
}

/* From here on nothing this life does counts: it is told to end at once, on a disk that nobody will
 * look at again. */
static void cut(const struct world_event *event)
{
    if (world.cut) {
        return;
    }
    if (event->what == WORLD_POWER_CUT) {
        mdio_mem_crash(&world.disk, event->seed, &world.disk_after);
    } else {
        mdio_mem_kill(&world.disk, &world.disk_after);
    }
    note_promise();
    if (world.hooks.on_cut != NULL) {
        world.hooks.on_cut(world.hooks.context, world.promised_seq);
    }
    world.cut = true;
    world.stats.cuts++;
    world.off_ns = event->value;
    world.faults = (struct mdio_faults){0};
    world.heal_ns = world.fast_ns = INT64_MAX;
    kernel_net_down(true);
    world.stop = 2;
}

static void happen(const struct world_event *event)
{
    int64_t until_ns = kernel_mono_ns() + event->value;
    switch (event->what) {
    case WORLD_POWER_CUT:
    case WORLD_KILL:
        cut(event);
        break;
    case WORLD_STOP:
        world.off_ns = event->value;
        world.stop = world.stop == 0 ? 1 : world.stop;
        break;
    case WORLD_CLOCK:
        kernel_clock_skew(event->value);
        break;
    case WORLD_NET_DOWN:
        kernel_net_down(true);
        world.net_up_ns = until_ns;
        break;
    case WORLD_REFUSE:
    case WORLD_HANG:
        if ((uint32_t)event->which < world.config.place_count) {
            kernel_net_refuse(event->which, true, event->what == WORLD_HANG);
            world.places[event->which].accept_ns = until_ns;
        }
        break;
    case WORLD_DISK_FAIL:
    case WORLD_DISK_ONCE:
        if (!world.cut) {
            world.faults.fail_call = (enum mdio_call)event->which;
            world.faults.fail_at = 1;
            world.faults.fail_forever = event->what == WORLD_DISK_FAIL;
            world.faults.fail_code = event->code;
            world.faults.write_short_bytes = event->code == MD_ENOSPC ? 100 : 0;
            world.heal_ns = event->what == WORLD_DISK_FAIL ? until_ns : INT64_MAX;
        }
        break;
    case WORLD_DISK_SLOW:
        world.faults.sync_sleep_ms = event->which;
        world.fast_ns = until_ns;
        break;
    case WORLD_WHAT_COUNT:
        ASSERT(false);
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What was for a time only comes right again. Returns when the next does. */
static int64_t mend(int64_t now)
{
    int64_t next = INT64_MAX;
    if (world.heal_ns <= now) {
        world.faults.fail_at = 0;
        world.faults.fail_forever = false;
        world.heal_ns = INT64_MAX;
    }
    if (world.fast_ns <= now) {
        world.faults.sync_sleep_ms = 0;
        world.fast_ns = INT64_MAX;
    }
    if (world.net_up_ns <= now && !world.cut) {
        kernel_net_down(false);
        world.net_up_ns = INT64_MAX;
    }
    for (uint32_t p = 0; p < world.config.place_count; p++) {
        if (world.places[p].accept_ns <= now) {
            kernel_net_refuse((int)p, false, false);
            world.places[p].accept_ns = INT64_MAX;
        }
        next = earlier(next, world.places[p].accept_ns);
    }
    next = earlier(next, earlier(world.heal_ns, world.fast_ns));
    return world.cut ? next : earlier(next, world.net_up_ns);
}

static int64_t turn(void *context)
{
    (void)context;
    int64_t now = kernel_mono_ns();
    int64_t next = INT64_MAX;
    while (world.event_next < world.config.event_count &&
           world.config.events[world.event_next].at_ns <= since_start_ns()) {
        happen(&world.config.events[world.event_next++]);
    }
    if (since_start_ns() >= world.config.run_ns && !world.finished) {
        world.finished = true;
        world.stop = world.stop == 0 ? 1 : world.stop;
    }
    next = mend(now);
    for (uint32_t p = 0; p < world.config.place_count; p++) {
        struct place *place = &world.places[p];
        if (kernel_owner_touched((int)p) || place->due_ns <= now) {
            kernel_owner_set((int)p);
            int wait_ms = sim_turn(place->sim, 0);
            kernel_owner_set(KERNEL_RECORDER);
            place->due_ns = now + (wait_ms > 0 ? wait_ms : 1) * NS_PER_MS;
        }
        next = earlier(next, place->due_ns);
    }
    if (world.event_next < world.config.event_count) {
        next = earlier(next, world.start_ns + world.config.events[world.event_next].at_ns);
    }
    if (!world.finished) {
        next = earlier(next, world.start_ns + world.config.run_ns);
    }
    return next > now ? next : now + NS_PER_MS;
}

/* ---- the recorder's lives */

static void set(const char *name, const char *value)
{
    struct err err = {{0}};
    int code = settings_set(&world.settings, str_from(name), str_from(value), &err);
    if (code != 0) {
        fprintf(stderr, "%s=%s: %s\n", name, value, err.text);
    }
    ASSERT(code == 0);
}

static void set_of_place(const struct world_place *wanted, const struct place *place)
{
    static char symbols[4096];
    const char *section = venue_of(wanted->venue)->section;
    const bool gate = wanted->venue == VENUE_GATE || wanted->venue == VENUE_GATE_FUTURES;
    const bool kucoin = wanted->venue == VENUE_KUCOIN || wanted->venue == VENUE_KUCOIN_FUTURES;
    const char *path = !gate ? "" : wanted->venue == VENUE_GATE ? "/ws/v4/" : "/v4/ws/usdt";
    char name[64];
    char url[96];
    struct buf out = buf_over(symbols, sizeof symbols - 1);
    for (uint32_t s = 0; s < wanted->symbols; s++) {
        buf_printf(&out, "%s%s", s > 0 ? "," : "", place->model.symbols[s].name);
    }
    symbols[out.bytes] = 0;
    snprintf(name, sizeof name, "%s.symbols", section);
    set(name, symbols);
    snprintf(name, sizeof name, "%s.channels", section);
    set(name, wanted->channels);
    snprintf(name, sizeof name, "%s.rest_url", section);
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", sim_port(place->sim), gate ? "/api/v4" : "");
    set(name, url);
    snprintf(name, sizeof name, "%s.%s", section, kucoin ? "uta_url" : "ws_url");
    snprintf(url, sizeof url, "ws://127.0.0.1:%u%s", sim_port(place->sim), path);
    set(name, url);
    snprintf(name, sizeof name, "%s.streams_per_connection", section);
    set(name, "8");
    if (wanted->binary) {
        ASSERT(wanted->venue == VENUE_BINANCE);
        snprintf(url, sizeof url, "ws://127.0.0.1:%u/sbe", sim_port(place->sim));
        set("binance.sbe_url", url);
        set("binance.feed", "sbe");
    }
}

static void settings_make(void)
{
    static const char *const base[][2] = {
        {"data_dir", "sim"},
        {"memory.budget", MEMORY_BUDGET_TEXT},
        {"memory.queue_bytes", "1MiB"},
        {"memory.row_block_bytes", "1MiB"},
        {"memory.book_bytes", "8MiB"},
        {"output.parquet_batch_size", "2000"},
        {"output.close_spread_secs", "2"},
        {"journal.segment_bytes", "1MiB"},
        {"symbols.refresh_secs", "0"},
        {"kucoin.conn_stagger_ms", "2000"},
        {"log.level", "error"},
        {"http.listen", "off"}, /* a server with real sockets and threads of its own */
    };
    settings_init(&world.settings);
    for (size_t i = 0; i < sizeof base / sizeof base[0]; i++) {
        set(base[i][0], base[i][1]);
    }
    for (uint32_t i = 0; i < world.config.setting_count; i++) {
        struct err err = {{0}};
        int code = settings_set_pair(&world.settings, world.config.settings[i], &err);
        if (code != 0) {
            fprintf(stderr, "%s: %s\n", world.config.settings[i], err.text);
        }
        ASSERT(code == 0);
    }
    for (uint32_t p = 0; p < world.config.place_count; p++) {
        set_of_place(&world.config.places[p], &world.places[p]);
    }
}

/* All lines of ours stay within what the plan said. */
static void check_budget(void)
{
    for (int line = 0; line < ALLOC_LINE_COUNT; line++) {
        size_t used = alloc_line_stats((enum alloc_line)line).bytes - world.lines_before[line];
        size_t planned = world.plan.lines[line];
        bool ours = !alloc_line_is_library((enum alloc_line)line) && line != ALLOC_SIM;
        if (ours && used > planned) {
            char words[128];
            snprintf(words, sizeof words, "%s: %zu bytes taken, %zu planned",
                     alloc_line_label((enum alloc_line)line), used, planned);
            fail("over the budget", words);
        }
    }
}

static void pause_ns(int64_t ns)
{
    struct timespec pause = {ns / NS_PER_S, ns % NS_PER_S};
    nanosleep(&pause, NULL);
}

static void take_stats(struct pipeline *pipeline)
{
    struct pipeline_stats stats = pipeline_stats(pipeline);
    world.stats.messages += stats.land.messages;
    world.stats.replayed += stats.replayed_records;
    world.stats.drops += stats.dropped_all;
    world.stats.reconnects += stats.feed.reconnects;
    world.stats.rotations += stats.feed.rotations;
    world.stats.gaps += stats.normalise.gaps;
    for (int venue = 0; venue < VENUE_ID_END; venue++) {
        world.stats.book_checks += stats.normalise.book_checks[venue];
        world.stats.book_differences += stats.normalise.book_differences[venue];
    }
    if (stats.normalise.books_truncated == 0 && world.stats.book_differences > 0) {
        fail("a book differs from the venue's", "though nothing was falsified");
    }
}

/* True: the recorder ended in good order with everything sealed. */
static bool live(void)
{
    struct err err = {{0}};
    struct pipeline *pipeline = NULL;
    world.journal = NULL;
    setenv(API_KEY_VARIABLE, "any", 1); /* for binary places; each life takes it away */
    int code = plan_make(&world.plan, &world.settings, false, &world.stop, &err);
    if (code == 0 && world.stop == 0) {
        code = pipeline_open(&pipeline, &world.settings, &world.plan, NULL, &err);
    }
    if (pipeline == NULL) {
        world.stats.open_failures++;
        snprintf(world.open_words, sizeof world.open_words, "%s", err.text);
        plan_deinit(&world.plan);
        if (code == MD_EBUDGET || code == MD_EINVAL) {
            fail("the recorder does not start", err.text);
        }
        return false;
    }
    check_budget();
    enum pipeline_end end = pipeline_run(pipeline, &world.stop, NULL, 0, &err);
    if (pipeline_stuck(pipeline)) {
        fail("stuck", "the landing thread could not be ended");
    }
    if (end == PIPELINE_CONFIG_FAULT) {
        fail("configuration fault", err.text);
    }
    if (end == PIPELINE_NOT_BEGUN) {
        world.stats.open_failures++;
        snprintf(world.open_words, sizeof world.open_words, "%s", err.text);
    }
    if (!world.cut) {
        note_promise();
    }
    if (end == PIPELINE_LEFT_JOURNAL && !world.cut && world.hooks.on_cut != NULL) {
        /* the disk took nothing to the end: what was not synced is gone with the process */
        world.hooks.on_cut(world.hooks.context, world.promised_seq);
    }
    take_stats(pipeline);
    pipeline_close(pipeline);
    world.journal = NULL;
    alloc_unseal();
    plan_deinit(&world.plan);
    return end == PIPELINE_STOPPED;
}

static void recorder_main(void *context)
{
    (void)context;
    bool sealed = false;
    while (!sealed || !world.finished) {
        if (++world.stats.lives > LIVES_MAX) {
            fail("more lives than there are reasons to die", world.open_words);
            return;
        }
        world.stop = 0;
        world.off_ns = OPEN_AGAIN_NS;
        sealed = live();
        if (world.cut) {
            mdio_deinit(&world.disk);
            world.disk = world.disk_after;
            pause_ns(world.off_ns);
            world.cut = false;
            sealed = false;
            if (world.net_up_ns == INT64_MAX) {
                kernel_net_down(false);
            }
        } else if (!world.finished || !sealed) {
            pause_ns(world.off_ns);
        }
        if (world.finished && !sealed) {
            /* the last life: everything is in order, and it may run for a while */
            world.faults = (struct mdio_faults){0};
            world.config.read_sleep_ms = 0;
            world.finished = false;
            world.config.run_ns = since_start_ns() + 5 * NS_PER_S;
        }
    }
}

void world_run(const struct world_config *config, const struct world_hooks *hooks)
{
    static bool hooked;
    if (!hooked) {
        hooked = true;
        alloc_hook_libraries();
    }
    memset(&world, 0, sizeof world);
    world.config = *config;
    world.hooks = *hooks;
    world.heal_ns = world.fast_ns = world.net_up_ns = INT64_MAX;
    log_level_set(LOG_LEVEL_ERROR);
    mdio_mem_open(&world.disk);
    struct kernel_config kernel = {
        .seed = config->seed, .unix_ns = config->start_unix_ns, .turn = turn};
    kernel_open(&kernel);
    kernel_net_cut(config->cut_bytes_max);
    world.start_ns = kernel_mono_ns();
    world.stats.journal_hash = 0xcbf29ce484222325ULL;
    for (uint32_t p = 0; p < config->place_count; p++) {
        world.places[p].accept_ns = INT64_MAX;
        place_open(&world.places[p], &config->places[p], p);
    }
    for (int line = 0; line < ALLOC_LINE_COUNT; line++) {
        world.lines_before[line] = alloc_line_stats((enum alloc_line)line).bytes;
    }
    settings_make();
    kernel_run(recorder_main, NULL);
    for (uint32_t p = 0; p < config->place_count; p++) {
        world.stats.violations += sim_violations(world.places[p].sim);
    }
}

void world_close(void)
{
    for (uint32_t p = 0; p < world.config.place_count; p++) {
        sim_destroy(world.places[p].sim);
        free(world.places[p].model_memory);
    }
    world.stats.sockets_left = kernel_close();
    mdio_deinit(&world.disk);
}

struct mdio *world_disk(void)
{
    return &world.disk;
}

struct sim *world_sim(uint32_t place)
{
    return world.places[place].sim;
}

const struct model *world_model(uint32_t place)
{
    return &world.places[place].model;
}

struct world_stats world_stats(void)
{
    return world.stats;
}

/* ---- the disk's hash: sums of each file's own, since folders list in any order */

struct hashing {
    const char *path;
    uint64_t sum;
};

static uint64_t hash_file(const char *path)
{
    static uint8_t bytes[65536];
    int handle = mdio_open(&world.disk, path, MDIO_READ);
    ASSERT(handle >= 0);
    uint64_t hash = hash_bytes(0xcbf29ce484222325ULL, path, strlen(path));
    ssize_t n;
    for (int64_t at = 0; (n = mdio_read(&world.disk, handle, bytes, sizeof bytes, at)) > 0;
         at += n) {
        hash = hash_bytes(hash, bytes, (size_t)n);
    }
    mdio_close(&world.disk, handle);
    return hash;
}

static void hash_entry(void *context, const char *name, bool is_directory)
{
    struct hashing *hashing = context;
    char path[MDIO_PATH_BYTES_MAX];
    snprintf(path, sizeof path, "%s%s%s", hashing->path, hashing->path[0] != 0 ? "/" : "", name);
    if (!is_directory) {
        hashing->sum += hash_file(path);
        return;
    }
    struct hashing below = {path, 0};
    mdio_list(&world.disk, path, hash_entry, &below);
    hashing->sum += below.sum;
}

uint64_t world_disk_hash(void)
{
    struct hashing root = {"", 0};
    mdio_list(&world.disk, "", hash_entry, &root);
    return root.sum;
}

void world_print(const struct world_config *config)
{
    static const char *const words[WORLD_WHAT_COUNT] = {
        "power cut",         "kill -9",  "stop",          "clock wrong",
        "network down",      "refuse",   "do not answer", "disk calls fail",
        "a disk call fails", "slow disk"};
    printf("# seed %llu: %lld s, sockets cut at %u bytes, reading the journal %d ms a piece\n",
           (unsigned long long)config->seed, (long long)(config->run_ns / NS_PER_S),
           config->cut_bytes_max, config->read_sleep_ms);
    for (uint32_t p = 0; p < config->place_count; p++) {
        const struct world_place *place = &config->places[p];
        printf("#   %s: %u symbols, %.0f trades/s, lives of %lld s, %s\n", venue_name(place->venue),
               place->symbols, place->trades_per_s, (long long)(place->life_ms / 1000),
               place->channels);
        for (const char *line = place->faults; *line != 0;) {
            size_t n = strcspn(line, "\n");
            printf("#     %.*s\n", (int)n, line);
            line += n + (line[n] != 0);
        }
    }
    for (uint32_t i = 0; i < config->setting_count; i++) {
        printf("#   %s\n", config->settings[i]);
    }
    for (uint32_t i = 0; i < config->event_count; i++) {
        const struct world_event *event = &config->events[i];
        printf("#   at %.3f s: %s, %.3f s, %d, %d\n", (double)event->at_ns / 1e9,
               words[event->what], (double)event->value / 1e9, event->which, event->code);
    }
}
