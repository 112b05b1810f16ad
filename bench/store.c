/* bench_store [OUT_DIR [CASES]]: what landing and sealing cost. 2 M trade rows of our own making (a
 * random walk per symbol, half of the rows on a twentieth of the symbols) over 200, 2,000 and
 * 10,000 partitions of one hour, in arrival order; each case in a process of its own, on a real
 * folder, without a seal thread so that the two costs are told apart. Also JSONL and CSV of the
 * same rows. Prints a table, writes OUT_DIR/store.json (default build/bench). */
#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mdio.h"
#include "store/store.h"

#define ROWS 2000000
#define HOUR_NS 1795424400000000000LL /* 2026-11-23T09:00:00Z */
#define PARTITIONS_MAX 10000

struct bench_case {
    const char *name;
    uint32_t partitions;
    size_t row_block_bytes;
    enum file_format format;
};

struct result {
    double land_ns, seal_ns, land_wall_ns, seal_wall_ns; /* a row */
    double seal_user_ns; /* without the kernel's part: making, syncing and naming files */
    double bytes_per_row, spooled_bytes_per_row;
    uint64_t files, blocks, early, peak_rss, memory_bytes, spool_high;
    uint32_t descriptors;
};

static const struct bench_case cases[] = {
    {"parquet", 200, 1 << 20, FORMAT_PARQUET},
    {"parquet", 2000, 8 << 20, FORMAT_PARQUET},
    {"parquet", 10000, 40 << 20, FORMAT_PARQUET},
    {"parquet, little memory", 10000, 4 << 20, FORMAT_PARQUET},
    {"jsonl", 200, 1 << 20, FORMAT_JSONL},
    {"csv", 200, 1 << 20, FORMAT_CSV},
};
#define CASES (sizeof cases / sizeof cases[0])

/* CPU time of this thread outside the kernel. */
static double user_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench_store: %s: %s\n", what, why);
    exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- rows */

struct generator {
    uint64_t random;
    int64_t now_ns;
    uint64_t seq;
    uint32_t partitions;
    struct {
        char name[8];
        int64_t price, trade_id;
    } symbol[PARTITIONS_MAX];
};

static struct generator generator;

static uint64_t random_next(void)
{
    generator.random ^= generator.random << 13;
    generator.random ^= generator.random >> 7;
    generator.random ^= generator.random << 17;
    return generator.random;
}

static void generator_start(uint32_t partitions)
{
    generator.random = 88172645463325252u;
    generator.now_ns = HOUR_NS;
    generator.seq = 1;
    generator.partitions = partitions;
    for (uint32_t i = 0; i < partitions; i++) {
        snprintf(generator.symbol[i].name, sizeof generator.symbol[i].name, "S%05u", i % 100000);
        generator.symbol[i].price = (int64_t)(1000 + random_next() % 6000000) * 1000000;
        generator.symbol[i].trade_id = (int64_t)(random_next() % 6000000000);
    }
}

static uint32_t generator_next(struct event *event)
{
    uint64_t r = random_next();
    uint32_t busy = generator.partitions / 20;
    uint32_t index = (uint32_t)(r >> 8) % ((r & 1) == 0 ? busy : generator.partitions);
    uint64_t amount = 1 + (r >> 40) % ((r & 6) == 0 ? 1000 : 100000);
    int64_t step = (int64_t)((r >> 33) % 3) - 1;
    if (generator.symbol[index].price + step * 1000000 > 0) {
        generator.symbol[index].price += step * 1000000; /* a tick of 0.01 */
    }
    generator.now_ns += 1700000;
    event->symbol = str_make(generator.symbol[index].name, 6);
    event->event_unix_ns =
        (generator.now_ns - 3000000 - (int64_t)(r >> 50) % 2000000) / 1000000 * 1000000;
    event->recv_unix_ns = generator.now_ns;
    event->seq = generator.seq++;
    event->trade.trade_id = ++generator.symbol[index].trade_id;
    event->trade.side = (r & 8) != 0 ? SIDE_BUY : SIDE_SELL;
    event->trade.price = (struct decimal){generator.symbol[index].price, -8};
    event->trade.amount = (struct decimal){(int64_t)amount * 1000, -8};
    return index;
}

static struct event event_start(void)
{
    return (struct event){.channel = CHANNEL_TRADES, .venue = VENUE_BINANCE, .conn = 1};
}

/* CPU time a row of making the rows alone. */
static double generator_cost(uint32_t partitions)
{
    generator_start(partitions);
    struct event event = event_start();
    uint64_t sum = 0;
    double begin = seconds(CLOCK_THREAD_CPUTIME_ID);
    for (uint32_t i = 0; i < ROWS; i++) {
        sum += generator_next(&event) + (uint64_t)event.trade.price.mantissa;
    }
    double took = seconds(CLOCK_THREAD_CPUTIME_ID) - begin;
    if (sum == 0) {
        fail("rows", "all the same");
    }
    return took / ROWS * 1e9;
}

/* ---- descriptors, seen from beside */

static _Atomic bool sampling = true;
static _Atomic uint32_t descriptors_high;

static void *sample(void *context)
{
    (void)context;
    while (atomic_load(&sampling)) {
        uint32_t count = 0;
        DIR *folder = opendir("/proc/self/fd");
        while (folder != NULL && readdir(folder) != NULL) {
            count++;
        }
        if (folder != NULL) {
            closedir(folder);
            count -= 3; /* ".", ".." and the folder itself */
        }
        if (count > atomic_load(&descriptors_high)) {
            atomic_store(&descriptors_high, count);
        }
        usleep(2000);
    }
    return NULL;
}

/* ---- one case, in a process of its own */

static struct store_config config_of(const struct bench_case *bench)
{
    return (struct store_config){
        .format = bench->format,
        .layout = LAYOUT_HIVE,
        .recorder = "bench",
        .streams_max = bench->partitions,
        .record_batch_rows = 512,
        .row_group_rows = 50000,
        .open_blocks_max = bench->partitions,
        .row_block_bytes = bench->row_block_bytes,
        .roll_ns = 3600 * 1000000000LL,
        .seal_jobs_max = bench->partitions,
        .writer = {.zstd_level = 3,
                   .page_rows = 20000,
                   .dictionary_bytes_max = 1 << 20,
                   .row_group_rows_max = 50000,
                   .row_groups_max = 64},
    };
}

static void run(const struct bench_case *bench, const char *root, struct result *result)
{
    double making_ns = generator_cost(bench->partitions);
    struct err err = {""};
    struct mdio io;
    struct store *store = NULL;
    struct store_config config = config_of(bench);
    const struct store_handlers handlers = {NULL, NULL, NULL};
    if (mdio_posix_open(&io, root, &err) != 0 ||
        store_open(&store, &io, &config, &handlers, &err) != 0) {
        fail(root, err.text);
    }
    pthread_t sampler;
    if (pthread_create(&sampler, NULL, sample, NULL) != 0) {
        fail("sampler", "no thread");
    }
    generator_start(bench->partitions);
    struct event event = event_start();
    double cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
    double wall = seconds(CLOCK_MONOTONIC);
    for (uint32_t i = 0; i < ROWS; i++) {
        uint32_t stream = generator_next(&event);
        store_event(store, stream, &event);
    }
    store_close_all(store, 0);
    result->land_ns = (seconds(CLOCK_THREAD_CPUTIME_ID) - cpu) / ROWS * 1e9 - making_ns;
    result->land_wall_ns = (seconds(CLOCK_MONOTONIC) - wall) / ROWS * 1e9 - making_ns;
    cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
    wall = seconds(CLOCK_MONOTONIC);
    double user = user_seconds();
    uint32_t left = store_drain(store, 0);
    result->seal_user_ns = (user_seconds() - user) / ROWS * 1e9;
    result->seal_ns = (seconds(CLOCK_THREAD_CPUTIME_ID) - cpu) / ROWS * 1e9;
    result->seal_wall_ns = (seconds(CLOCK_MONOTONIC) - wall) / ROWS * 1e9;
    struct store_stats stats = store_stats(store);
    if (left != 0 || stats.rows != ROWS || stats.rows_lost != 0) {
        fail(bench->name, "not all rows were sealed");
    }
    atomic_store(&sampling, false);
    pthread_join(sampler, NULL);
    result->bytes_per_row = (double)stats.bytes_sealed / ROWS;
    result->files = stats.files_sealed;
    result->blocks = stats.blocks_spooled;
    result->early = stats.early_spools;
    result->spool_high = stats.spool_bytes_high;
    result->memory_bytes = store_memory_bytes(&config);
    result->descriptors = atomic_load(&descriptors_high);
    store_destroy(store);
    mdio_deinit(&io);
}

static struct result run_apart(const struct bench_case *bench)
{
    char root[] = "bench-store-XXXXXX";
    int channel[2];
    if (mkdtemp(root) == NULL || pipe(channel) != 0) {
        fail(root, "no folder");
    }
    struct result result = {0};
    pid_t child = fork();
    if (child == 0) {
        run(bench, root, &result);
        ssize_t wrote = write(channel[1], &result, sizeof result);
        _exit(wrote == (ssize_t)sizeof result ? 0 : 1);
    }
    close(channel[1]);
    ssize_t got = read(channel[0], &result, sizeof result);
    close(channel[0]);
    int status = 0;
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) < 0 || status != 0 ||
        got != (ssize_t)sizeof result) {
        fail(bench->name, "the run failed");
    }
    result.peak_rss = (uint64_t)usage.ru_maxrss * 1024;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", root);
    if (system(command) != 0) {
        fail(root, "not deleted");
    }
    return result;
}

/* ---- out */

static void print_result(const struct bench_case *bench, const struct result *r)
{
    printf("%-24s %6u %7.1f %7.1f %7.1f %8.1f %8.2f %7" PRIu64 " %8.1f %8.1f %9.1f %4u\n",
           bench->name, bench->partitions, r->land_ns, r->seal_ns, r->seal_user_ns, r->seal_wall_ns,
           r->bytes_per_row, r->files, (double)bench->row_block_bytes / 1048576,
           (double)r->memory_bytes / 1048576, (double)r->peak_rss / 1048576, r->descriptors);
    fflush(stdout);
}

static void write_json(const char *folder, const struct result *results)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/store.json", folder);
    FILE *out = fopen(path, "w");
    if (out == NULL) {
        fail(path, "cannot be written");
    }
    fprintf(out, "{\"bench\":\"store\",\"rows\":%d,\"cases\":[", ROWS);
    for (size_t i = 0; i < CASES; i++) {
        const struct result *r = &results[i];
        fprintf(out,
                "%s\n{\"name\":\"%s\",\"partitions\":%u,\"row_block_bytes\":%zu,"
                "\"land_cpu_ns_per_row\":%.1f,\"seal_cpu_ns_per_row\":%.1f,"
                "\"seal_user_ns_per_row\":%.1f,\"land_wall_ns_per_row\":%.1f,\"seal_wall_ns_per_"
                "row\":%.1f,"
                "\"bytes_per_row\":%.3f,\"files\":%" PRIu64 ",\"blocks_spooled\":%" PRIu64
                ",\"early_spools\":%" PRIu64 ",\"spool_bytes_high\":%" PRIu64
                ",\"memory_bytes\":%" PRIu64 ",\"peak_rss_bytes\":%" PRIu64 ",\"descriptors\":%u}",
                i > 0 ? "," : "", cases[i].name, cases[i].partitions, cases[i].row_block_bytes,
                r->land_ns, r->seal_ns, r->seal_user_ns, r->land_wall_ns, r->seal_wall_ns,
                r->bytes_per_row, r->files, r->blocks, r->early, r->spool_high, r->memory_bytes,
                r->peak_rss, r->descriptors);
    }
    fprintf(out, "\n]}\n");
    if (fclose(out) != 0) {
        fail(path, "cannot be written");
    }
    printf("written: %s\n", path);
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "build/bench";
    mkdir(folder, 0755); /* best effort: the write below says if it is not there */
    static struct result results[CASES];
    printf("store: %d trade rows; CPU and wall time in ns a row, memory in MiB\n", ROWS);
    printf("%-24s %6s %7s %7s %7s %8s %8s %7s %8s %8s %9s %4s\n", "", "parts", "land", "seal",
           "user", "wall", "bytes", "files", "blocks", "planned", "peak RSS", "fds");
    size_t wanted = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : CASES;
    for (size_t i = 0; i < CASES && i < wanted; i++) {
        results[i] = run_apart(&cases[i]);
        print_result(&cases[i], &results[i]);
    }
    if (wanted >= CASES) {
        write_json(folder, results);
    }
    return 0;
}
