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
static uint64_t trades_make(struct cell (*rows)[ROW_CELLS], uint64_t count, struct market *m)
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
    return count;
}

/* Every 100 ms a message of up to 60 levels, near the price more often than far from it. */
static uint64_t depth_make(struct cell (*rows)[ROW_CELLS], uint64_t count, struct market *m)
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
    return count;
}

/* ---- one run */

struct figures {
    double append_ns, write_ns; /* a row */
    double bytes;               /* a row */
};

static int to_file(void *context, const void *data, size_t bytes)
{
    return fwrite(data, 1, bytes, context) == bytes ? 0 : MD_EIO;
}

static struct figures run(struct file_writer *writer, struct row_group *group,
                          const struct schema *schema, struct cell (*rows)[ROW_CELLS],
                          uint64_t count, const char *path)
{
    FILE *file = fopen(path, "wb");
    ASSERT(file != NULL);
    setvbuf(file, NULL, _IOFBF, 1 << 20);
    struct file_sink sink = {to_file, file};
    double append = 0;
    double write = 0;
    double begin = cpu_ns();
    ASSERT(writer->ops->begin(writer, schema, sink) == 0);
    write += cpu_ns() - begin;
    row_group_reset(group, schema);
    for (uint64_t i = 0; i < count;) {
        begin = cpu_ns();
        while (i < count && row_group_append(group, rows[i]) == 0) {
            i++;
        }
        double filled = cpu_ns();
        append += filled - begin;
        ASSERT(writer->ops->write_group(writer, group) == 0);
        row_group_reset(group, schema);
        write += cpu_ns() - filled;
    }
    begin = cpu_ns();
    ASSERT(writer->ops->end(writer, NULL, 0) == 0);
    write += cpu_ns() - begin;
    ASSERT(fclose(file) == 0);
    double bytes = (double)writer->ops->bytes_written(writer);
    return (struct figures){append / (double)count, write / (double)count, bytes / (double)count};
}

static double median(double a, double b, double c)
{
    double low = a < b ? a : b;
    double high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

static struct figures measure(struct file_writer *writer, struct row_group *group,
                              const struct schema *schema, struct cell (*rows)[ROW_CELLS],
                              uint64_t count, const char *path)
{
    struct figures f[RUNS];
    for (int i = 0; i < RUNS; i++) {
        f[i] = run(writer, group, schema, rows, count, path);
    }
    return (struct figures){median(f[0].append_ns, f[1].append_ns, f[2].append_ns),
                            median(f[0].write_ns, f[1].write_ns, f[2].write_ns), f[0].bytes};
}

static void show(FILE *json, const char *name, uint64_t rows, struct figures f, bool last)
{
    printf(
        "%-16s %9llu rows  append %6.1f ns  write %7.1f ns  together %7.1f ns  %6.2f bytes a row\n",
        name, (unsigned long long)rows, f.append_ns, f.write_ns, f.append_ns + f.write_ns, f.bytes);
    fprintf(json,
            "  \"%s\": {\"rows\": %llu, \"append_ns\": %.1f, \"write_ns\": %.1f, \"ns\": %.1f, "
            "\"bytes\": %.3f}%s\n",
            name, (unsigned long long)rows, f.append_ns, f.write_ns, f.append_ns + f.write_ns,
            f.bytes, last ? "" : ",");
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "build/bench";
    const uint64_t trade_count = 1000000;
    const uint64_t depth_count = 2000000;
    struct writer_options options = {.zstd_level = 3,
                                     .page_rows = 20000,
                                     .dictionary_bytes_max = 1 << 20,
                                     .row_group_rows_max = GROUP_ROWS,
                                     .row_groups_max = 64};
    static struct row_group group;
    char path[512];
    struct market market = {.time_us = BASE_US, .id = 6100000000, .mid = 6310000, .update_id = 9};
    struct cell(*rows)[ROW_CELLS] = malloc(depth_count * sizeof *rows);
    ASSERT(rows != NULL);
    struct file_writer *parquet = parquet_writer_create(&options, 16);
    struct file_writer *jsonl = jsonl_writer_create(&options);
    struct file_writer *csv = csv_writer_create(&options);
    ASSERT(row_group_init(&group, GROUP_ROWS, 16, 16384, 2 << 20) == 0);
    options.zstd_level = 1;
    struct file_writer *fast = parquet_writer_create(&options, 16);
    ASSERT(parquet != NULL && jsonl != NULL && csv != NULL && fast != NULL);

    snprintf(path, sizeof path, "%s/parquet.json", folder);
    FILE *json = fopen(path, "w");
    if (json == NULL) {
        fprintf(stderr, "bench_parquet: cannot write %s\n", path);
        return 1;
    }
    fprintf(json, "{\n");
    random_state = 88172645463325252u;
    trades_make(rows, trade_count, &market);
    snprintf(path, sizeof path, "%s/trades_zstd1.parquet", folder);
    const struct schema *trades = schema_of(CHANNEL_TRADES);
    show(json, "trades_zstd1", trade_count, measure(fast, &group, trades, rows, trade_count, path),
         false);
    snprintf(path, sizeof path, "%s/trades.parquet", folder);
    show(json, "trades", trade_count, measure(parquet, &group, trades, rows, trade_count, path),
         false);
    snprintf(path, sizeof path, "%s/trades.jsonl.zst", folder);
    show(json, "trades_jsonl", trade_count, measure(jsonl, &group, trades, rows, trade_count, path),
         false);
    snprintf(path, sizeof path, "%s/trades.csv.gz", folder);
    show(json, "trades_csv", trade_count, measure(csv, &group, trades, rows, trade_count, path),
         false);
    depth_make(rows, depth_count, &market);
    snprintf(path, sizeof path, "%s/depth.parquet", folder);
    show(json, "depth", depth_count,
         measure(parquet, &group, schema_of(CHANNEL_DEPTH), rows, depth_count, path), false);

    options.zstd_level = 3;
    size_t memory = parquet_writer_memory_bytes(&options, 16) +
                    row_group_memory_bytes(GROUP_ROWS, 16, 16384, 2 << 20);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    size_t generated = depth_count * sizeof *rows;
    printf("memory of row group and writer %.1f MiB; peak RSS %.1f MiB, of these %.1f MiB the rows "
           "to be written\n",
           (double)memory / (1 << 20), (double)usage.ru_maxrss / 1024,
           (double)generated / (1 << 20));
    fprintf(json, "  \"memory_bytes\": %zu\n}\n", memory);
    fclose(json);
    free(rows);
    return 0;
}
