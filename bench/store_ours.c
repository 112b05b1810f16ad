/* What bench_store's own processes do: rows into the store, rows into nothing, rows into one file.
 * See store_case.h. */
#include "store_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/err.h"
#include "base/mdio.h"
#include "store_rows.h"

#define SOURCE_GROUP_ROWS 100000
#define DRAIN_MS 600000

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench_store: %s: %s\n", what, why);
    exit(1);
}

static struct rows_market *market_of(const struct bench_case *bench, uint64_t rows)
{
    struct rows_market *market = rows_open(bench->channel, bench->partitions, rows);
    if (market == NULL) {
        fail("rows", "no memory");
    }
    return market;
}

static double thread_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

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
        .seal_thread = true,
        .writer = {.zstd_level = 3,
                   .page_rows = 20000,
                   .dictionary_bytes_max = 1 << 20,
                   .row_group_rows_max = 50000,
                   .row_groups_max = 256},
    };
}

void store_ours(const struct bench_case *bench, const char *root, uint64_t rows)
{
    struct err err = {""};
    struct mdio io;
    struct store *store = NULL;
    struct store_config config = config_of(bench);
    const struct store_handlers handlers = {NULL, NULL, NULL};
    if (mdio_posix_open(&io, root, &err) != 0 ||
        store_open(&store, &io, &config, &handlers, &err) != 0) {
        fail(root, err.text);
    }
    struct rows_market *market = market_of(bench, rows);
    double begin_ns = thread_cpu_ns();
    uint64_t landed = 0;
    struct event event = {0};
    while (landed < rows) {
        uint32_t stream = rows_next(market, &event);
        store_event(store, stream, &event);
        landed += schema_event_rows(&event);
    }
    store_close_all(store, 0);
    double land_ns = thread_cpu_ns() - begin_ns;
    uint32_t left = store_drain(store, DRAIN_MS);
    struct store_stats stats = store_stats(store);
    if (left != 0 || stats.rows != landed || stats.rows_lost != 0) {
        fail(bench->name, "not all rows were sealed");
    }
    store_destroy(store);
    mdio_deinit(&io);
    rows_close(market);
    printf("rows=%llu land_ns=%.1f early=%llu spool=%llu planned=%zu\n", (unsigned long long)landed,
           land_ns / (double)landed, (unsigned long long)stats.early_spools,
           (unsigned long long)stats.spool_bytes_high, store_memory_bytes(&config));
}

void store_ours_nothing(const struct bench_case *bench, uint64_t rows)
{
    struct rows_market *market = market_of(bench, rows);
    uint64_t made = 0;
    uint64_t sum = 0;
    struct event event = {0};
    double begin_ns = thread_cpu_ns();
    while (made < rows) {
        sum += rows_next(market, &event) + (uint64_t)event.recv_unix_ns;
        made += schema_event_rows(&event);
    }
    double land_ns = thread_cpu_ns() - begin_ns;
    rows_close(market);
    printf("rows=%llu land_ns=%.1f sum=%llu\n", (unsigned long long)made, land_ns / (double)made,
           (unsigned long long)sum);
}

/* ---- the source of the others */

static int to_file(void *context, const void *data, size_t bytes)
{
    return fwrite(data, 1, bytes, context) == bytes ? 0 : MD_EIO;
}

static void append(struct file_writer *writer, struct row_group *group, const struct cell *cells)
{
    int code = row_group_append(group, cells);
    if (code == MD_EFULL) {
        code = writer->ops->write_group(writer, group);
        row_group_reset(group, group->schema);
        code = code == 0 ? row_group_append(group, cells) : code;
    }
    if (code != 0) {
        fail("source", err_text(code));
    }
}

void store_source(const struct bench_case *bench, const char *path, uint64_t rows)
{
    uint64_t groups = rows / SOURCE_GROUP_ROWS + 2;
    struct writer_options options = {.zstd_level = 1,
                                     .page_rows = 20000,
                                     .dictionary_bytes_max = 1 << 20,
                                     .row_group_rows_max = SOURCE_GROUP_ROWS,
                                     .row_groups_max = (uint32_t)groups};
    static struct row_group group;
    struct file_writer *writer = parquet_writer_create(&options, 16);
    FILE *file = fopen(path, "wb");
    if (writer == NULL || file == NULL ||
        row_group_init(&group, SOURCE_GROUP_ROWS, 16, 16384, 4 << 20) != 0) {
        fail(path, "cannot be made");
    }
    const struct schema *schema = schema_of(bench->channel);
    struct rows_market *market = market_of(bench, rows);
    int code = writer->ops->begin(writer, schema, (struct file_sink){to_file, file});
    row_group_reset(&group, schema);
    uint64_t made = 0;
    struct event event = {0};
    struct cell cells[COLUMNS_MAX];
    while (made < rows) {
        rows_next(market, &event);
        uint32_t count = schema_event_rows(&event);
        for (uint32_t row = 0; row < count; row++) {
            schema_event_cells(&event, row, cells);
            append(writer, &group, cells);
        }
        made += count;
    }
    code = code == 0 ? writer->ops->write_group(writer, &group) : code;
    code = code == 0 ? writer->ops->end(writer, NULL, 0) : code;
    if (code != 0 || fclose(file) != 0) {
        fail(path, err_text(code));
    }
    writer->ops->destroy(writer);
    row_group_deinit(&group);
    rows_close(market);
    printf("rows=%llu\n", (unsigned long long)made);
}
