/* bench_parquet [OUT_DIR]: what a row costs on its way into a Parquet file, and how small it gets.
 * Rows of our own making in the shapes the venues send (ticks, round and odd sizes, bursts, depth
 * messages of a few dozen levels), 1,000,000 trades and 2,000,000 depth rows in groups of 50,000.
 * Append (cells to columns, decimals to doubles) and write (encode, compress, CRC) are timed apart,
 * in CPU time, medians of 3 runs. Writes OUT_DIR/trades.parquet, depth.parquet (the rows that
 * parquet_duckdb.mjs then copies) and parquet.json (default folder build/bench). The text formats
 * of the same trades are timed too. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "store/parquet.h"
#include "store/store.h"

#define RUNS 3
#define GROUP_ROWS 50000
#define BASE_US 1795424400000000 /* 2026-11-23T09:00:00Z */
#define ROW_CELLS 13

static uint64_t random_state;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t random_below(uint64_t n)
{
    return random_next() % n;
}

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- rows */

struct market {
    int64_t time_us, local_us, id, seq, mid, update_id;
    bool buying;
};

static struct cell c_i64(int64_t value)
{
    return (struct cell){.i64 = value};
}

static struct cell c_dec(int64_t mantissa, int8_t exponent)
{
    return (struct cell){.dec = {mantissa, exponent}};
}

static void head(struct cell *cells, struct market *m)
{
    cells[0].text = STR("binance");
    cells[1].text = STR("BTCUSDT");
    cells[2] = c_i64(m->time_us);
    cells[3] = c_i64(m->local_us);
}

/* Sizes as people and programs send them: many round, many of the smallest lots, some odd. */
static int64_t trade_size(void)
{
    switch (random_below(10)) {
    case 0:
    case 1:
        return (int64_t)(1 + random_below(20)) * 1000;
    case 2:
    case 3:
    case 4:
        return (int64_t)(8 + random_below(40));
    case 5:
    case 6:
        return (int64_t)(1 + random_below(100)) * 100;
    default:
        return (int64_t)exp((double)random_below(1000) / 1000 * 7.5) + 7;
    }
}

/* One market order eats one to a dozen resting ones at the same moment. */
static void trades_make(struct cell (*rows)[ROW_CELLS], uint64_t count, struct market *m)
{
    uint64_t left = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (left == 0) {
            left = random_below(3) > 0 ? 1 : 1 + random_below(12);
            uint64_t wait = random_below(4) > 0 ? random_below(3000) : random_below(250000);
            m->time_us += (int64_t)wait;
            m->buying = random_below(10) < 6 ? m->buying : !m->buying;
            m->mid += random_below(4) == 0 ? (int64_t)random_below(61) - 30 : 0;
            m->local_us = m->time_us + 4200 + (int64_t)random_below(900);
        } else {
            m->local_us += (int64_t)random_below(40);
        }
        left--;
        struct cell *c = rows[i];
        memset(c, 0, sizeof(struct cell) * ROW_CELLS);
        head(c, m);
        c[4].null = true;
        c[5] = c_i64(m->id++);
        c[6].text = m->buying ? STR("buy") : STR("sell");
        c[7] = c_dec(m->mid + (m->buying ? 1 : 0) + (left > 2 ? (int64_t)random_below(3) : 0), -2);
        c[8] = c_dec(trade_size(), -5);
        c[9] = c[8];
        c[10] = c_i64(0);
        c[11] = c_i64(3);
        m->seq += 1 + (int64_t)random_below(4);
        c[12] = c_i64(m->seq);
    }
}

/* Every 100 ms a message of up to 60 levels, near the price more often than far from it. */
static void depth_make(struct cell (*rows)[ROW_CELLS], uint64_t count, struct market *m)
{
    uint64_t i = 0;
    while (i < count) {
        m->time_us += 100000 + (int64_t)random_below(700);
        m->local_us = m->time_us + 4200 + (int64_t)random_below(900);
        m->seq += 1 + (int64_t)random_below(9);
        m->mid += (int64_t)random_below(101) - 50;
        int64_t first = m->update_id + 1;
        uint64_t levels = 1 + random_below(60);
        m->update_id += (int64_t)(levels + random_below(30));
        for (uint64_t k = 0; k < levels && i < count; k++, i++) {
            bool bid = k < levels / 2;
            double far = (double)random_below(1000) / 1000;
            int64_t away = 1 + (int64_t)(far * far * far * 20000);
            struct cell *c = rows[i];
            memset(c, 0, sizeof(struct cell) * ROW_CELLS);
            head(c, m);
            c[4] = c_i64(0);
            c[5].text = bid ? STR("bid") : STR("ask");
            c[6] = c_dec(bid ? m->mid - away : m->mid + away, -2);
            c[7] = c_dec(random_below(3) == 0 ? 0 : trade_size(), -5);
            c[8] = c_i64(first);
            c[9] = c_i64(m->update_id);
            c[10].null = true;
            c[11] = c_i64(3);
            c[12] = c_i64(m->seq);
        }
    }
}

/* ---- one run */

/* What is written, and how often: `files` files of `rows` rows each. */
struct work {
    const char *name; /* of the figures; the file's name too */
    const char *extension;
    enum channel channel;
    void (*make)(struct cell (*rows)[ROW_CELLS], uint64_t count, struct market *market);
    uint64_t files, rows;
};

struct figures {
    double append_ns, write_ns; /* a row */
    double bytes;               /* a row */
};

static struct cell batch[GROUP_ROWS][ROW_CELLS]; /* made as we go: memory stays what it is */

static int to_file(void *context, const void *data, size_t bytes)
{
    return fwrite(data, 1, bytes, context) == bytes ? 0 : MD_EIO;
}

static void file_write(struct file_writer *writer, struct row_group *group, const struct work *work,
                       const char *path, struct market *market, struct figures *sum)
{
    const struct schema *schema = schema_of(work->channel);
    FILE *file = fopen(path, "wb");
    ASSERT(file != NULL);
    double begin = cpu_ns();
    ASSERT(writer->ops->begin(writer, schema, (struct file_sink){to_file, file}) == 0);
    sum->write_ns += cpu_ns() - begin;
    for (uint64_t done = 0; done < work->rows; done += GROUP_ROWS) {
        uint64_t count = work->rows - done < GROUP_ROWS ? work->rows - done : GROUP_ROWS;
        work->make(batch, count, market);
        begin = cpu_ns();
        row_group_reset(group, schema);
        for (uint64_t i = 0; i < count; i++) {
            ASSERT(row_group_append(group, batch[i]) == 0);
        }
        double filled = cpu_ns();
        ASSERT(writer->ops->write_group(writer, group) == 0);
        sum->append_ns += filled - begin;
        sum->write_ns += cpu_ns() - filled;
    }
    begin = cpu_ns();
    ASSERT(writer->ops->end(writer, NULL, 0) == 0);
    sum->write_ns += cpu_ns() - begin;
    sum->bytes += (double)writer->ops->bytes_written(writer);
    ASSERT(fclose(file) == 0);
}

static struct figures run(struct file_writer *writer, struct row_group *group,
                          const struct work *work, const char *path)
{
    struct market market = {.time_us = BASE_US, .id = 6100000000, .mid = 6310000, .update_id = 9};
    struct figures f = {0, 0, 0};
    double rows = (double)(work->files * work->rows);
    random_state = 88172645463325252u;
    for (uint64_t i = 0; i < work->files; i++) {
        file_write(writer, group, work, path, &market, &f);
    }
    return (struct figures){f.append_ns / rows, f.write_ns / rows, f.bytes / rows};
}

static double median(double a, double b, double c)
{
    double low = a < b ? a : b;
    double high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

static void measure(FILE *json, const char *folder, struct file_writer *writer,
                    struct row_group *group, const struct work *work)
{
    struct figures f[RUNS];
    char path[512];
    snprintf(path, sizeof path, "%s/%s.%s", folder, work->name, work->extension);
    for (int i = 0; i < RUNS; i++) {
        f[i] = run(writer, group, work, path);
    }
    double append = median(f[0].append_ns, f[1].append_ns, f[2].append_ns);
    double write = median(f[0].write_ns, f[1].write_ns, f[2].write_ns);
    printf(
        "%-14s %9llu rows  append %5.1f ns  write %7.1f ns  together %7.1f ns  %6.2f bytes a row\n",
        work->name, (unsigned long long)(work->files * work->rows), append, write, append + write,
        f[0].bytes);
    fprintf(json,
            "  \"%s\": {\"rows\": %llu, \"append_ns\": %.1f, \"write_ns\": %.1f, \"ns\": %.1f, "
            "\"bytes\": %.3f},\n",
            work->name, (unsigned long long)(work->files * work->rows), append, write,
            append + write, f[0].bytes);
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "build/bench";
    struct writer_options options = {.zstd_level = 3,
                                     .page_rows = 20000,
                                     .dictionary_bytes_max = 1 << 20,
                                     .row_group_rows_max = GROUP_ROWS,
                                     .row_groups_max = 64};
    const struct work trades = {"trades", "parquet", CHANNEL_TRADES, trades_make, 1, 1000000};
    const struct work depth = {"depth", "parquet", CHANNEL_DEPTH, depth_make, 1, 2000000};
    const struct work small = {"trades_small", "parquet", CHANNEL_TRADES, trades_make, 1000, 100};
    const struct work jsonl = {"trades_jsonl", "jsonl.zst", CHANNEL_TRADES,
                               trades_make,    1,           1000000};
    const struct work csv = {"trades_csv", "csv.gz", CHANNEL_TRADES, trades_make, 1, 1000000};
    static struct row_group group;
    char path[512];
    snprintf(path, sizeof path, "%s/parquet.json", folder);
    FILE *json = fopen(path, "w");
    if (json == NULL) {
        fprintf(stderr, "bench_parquet: cannot write %s\n", path);
        return 1;
    }
    fprintf(json, "{\n");
    struct file_writer *writer = parquet_writer_create(&options, 16);
    ASSERT(writer != NULL);
    ASSERT(row_group_init(&group, GROUP_ROWS, 16, 16384, 2 << 20) == 0);
    measure(json, folder, writer, &group, &trades);
    measure(json, folder, writer, &group, &depth);
    measure(json, folder, writer, &group, &small);
    size_t memory = parquet_writer_memory_bytes(&options, 16) +
                    row_group_memory_bytes(GROUP_ROWS, 16, 16384, 2 << 20);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf(
        "memory of row group and writer %.1f MiB; peak RSS %.1f MiB, of these %.1f MiB the rows to "
        "be written\n",
        (double)memory / (1 << 20), (double)usage.ru_maxrss / 1024,
        (double)sizeof batch / (1 << 20));
    writer->ops->destroy(writer);
    writer = jsonl_writer_create(&options);
    measure(json, folder, writer, &group, &jsonl);
    writer->ops->destroy(writer);
    writer = csv_writer_create(&options);
    measure(json, folder, writer, &group, &csv);
    writer->ops->destroy(writer);
    row_group_deinit(&group);
    fprintf(json,
            "  \"memory_bytes\": %zu,\n  \"peak_rss_bytes\": %zu,\n  \"batch_bytes\": %zu\n}\n",
            memory, (size_t)usage.ru_maxrss * 1024, sizeof batch);
    fclose(json);
    return 0;
}
