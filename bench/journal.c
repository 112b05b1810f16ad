/* bench_journal [OUT_DIR]: what the journal costs per message, how small it gets, how fast it is
 * read back. Messages: Binance spot combined streams of our own making (a random walk per symbol),
 * and, when found in MD_SAMPLES or ../shared/samples, the recorded sessions. Each figure is the
 * median of several runs on a real folder with the sync thread on, as live. Prints a table, writes
 * OUT_DIR/journal.json (default build/bench). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mdio.h"
#include "journal/journal.h"

#define RUNS 5
#define MESSAGES_PER_RUN 1000000
#define CORPUS_BYTES_MAX (64u << 20)
#define CORPUS_MESSAGES_MAX 300000

struct corpus {
    const char *name;
    char *bytes;
    size_t used;
    struct str *messages;
    size_t count;
};

struct result {
    double append_ns; /* wall time of the landing thread per message */
    double cpu_ns;    /* its CPU time */
    double ratio;
    double stored_bytes; /* per message */
    double replay_mb_s;  /* packed records */
    double replay_ns;
    uint64_t waits; /* times the tail ring was full */
};

static uint64_t random_state = 88172645463325252u;

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

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench_journal: %s: %s\n", what, why);
    exit(1);
}

/* ---- Messages. */

static void corpus_init(struct corpus *corpus, const char *name)
{
    corpus->name = name;
    corpus->bytes = malloc(CORPUS_BYTES_MAX);
    corpus->messages = calloc(CORPUS_MESSAGES_MAX, sizeof *corpus->messages);
    if (corpus->bytes == NULL || corpus->messages == NULL) {
        fail(name, "no memory");
    }
}

static void corpus_add(struct corpus *corpus, const char *data, size_t bytes)
{
    if (corpus->count == CORPUS_MESSAGES_MAX || corpus->used + bytes > CORPUS_BYTES_MAX) {
        return;
    }
    memcpy(corpus->bytes + corpus->used, data, bytes);
    corpus->messages[corpus->count++] = str_make(corpus->bytes + corpus->used, bytes);
    corpus->used += bytes;
}

struct symbol {
    char lower[16], upper[16];
    uint64_t price; /* in 1e-8 */
    uint64_t tick;
    uint64_t update_id, trade_id;
};

static void put_price(struct buf *out, uint64_t value)
{
    buf_printf(out, "\"%" PRIu64 ".%08" PRIu64 "\"", value / 100000000, value % 100000000);
}

static void put_quantity(struct buf *out)
{
    uint64_t digits = random_below(3) == 0 ? 1000 : 100000;
    put_price(out, (1 + random_below(digits)) * (100000000 / digits) * (1 + random_below(50)));
}

static void put_levels(struct buf *out, const struct symbol *s, size_t count, bool above)
{
    buf_put_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        uint64_t away = (i + random_below(3)) * s->tick;
        buf_put_str(out, i > 0 ? STR(",[") : STR("["));
        put_price(out, above ? s->price + s->tick + away : s->price - away);
        buf_put_char(out, ',');
        if (random_below(4) == 0) {
            buf_put_str(out, STR("\"0.00000000\""));
        } else {
            put_quantity(out);
        }
        buf_put_char(out, ']');
    }
    buf_put_char(out, ']');
}

static void put_depth(struct buf *out, struct symbol *s, uint64_t ms)
{
    uint64_t first = s->update_id + 1;
    s->update_id += 1 + random_below(20);
    buf_printf(out,
               "{\"stream\":\"%s@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":%" PRIu64
               ",\"s\":\"%s\",\"U\":%" PRIu64 ",\"u\":%" PRIu64 ",\"b\":",
               s->lower, ms, s->upper, first, s->update_id);
    put_levels(out, s, random_below(5), false);
    buf_put_str(out, STR(",\"a\":"));
    put_levels(out, s, random_below(5), true);
    buf_put_str(out, STR("}}"));
}

static void put_ticker(struct buf *out, struct symbol *s)
{
    buf_printf(out, "{\"stream\":\"%s@bookTicker\",\"data\":{\"u\":%" PRIu64 ",\"s\":\"%s\",\"b\":",
               s->lower, ++s->update_id, s->upper);
    put_price(out, s->price);
    buf_put_str(out, STR(",\"B\":"));
    put_quantity(out);
    buf_put_str(out, STR(",\"a\":"));
    put_price(out, s->price + s->tick);
    buf_put_str(out, STR(",\"A\":"));
    put_quantity(out);
    buf_put_str(out, STR("}}"));
}

static void put_trade(struct buf *out, struct symbol *s, uint64_t ms)
{
    bool sold = random_below(2) == 0;
    buf_printf(out,
               "{\"stream\":\"%s@trade\",\"data\":{\"e\":\"trade\",\"E\":%" PRIu64
               ",\"s\":\"%s\",\"t\":%" PRIu64 ",\"p\":",
               s->lower, ms, s->upper, ++s->trade_id);
    put_price(out, sold ? s->price : s->price + s->tick);
    buf_put_str(out, STR(",\"q\":"));
    put_quantity(out);
    buf_printf(out, ",\"T\":%" PRIu64 ",\"m\":%s,\"M\":true}}", ms - random_below(3),
               sold ? "true" : "false");
}

/* 50 symbols; of 100 messages 50 best prices, 30 book updates, 20 trades. */
static void corpus_make(struct corpus *corpus)
{
    static const char *const bases[10] = {"btc", "eth",  "sol", "xrp",  "doge",
                                          "ada", "avax", "dot", "link", "nkn"};
    static const char *const quotes[5] = {"usdt", "usdc", "fdusd", "eur", "try"};
    struct symbol symbols[50];
    corpus_init(corpus, "own");
    for (size_t i = 0; i < 50; i++) {
        struct symbol *s = &symbols[i];
        snprintf(s->lower, sizeof s->lower, "%s%s", bases[i % 10], quotes[i / 10]);
        for (size_t c = 0; c < sizeof s->lower; c++) {
            char letter = s->lower[c];
            s->upper[c] = letter >= 'a' && letter <= 'z' ? (char)(letter - 'a' + 'A') : letter;
        }
        s->tick = i % 3 == 0 ? 1000000 : 10000;
        s->price = s->tick * (1000 + random_below(6000000));
        s->update_id = 1000000000 + random_below(60000000000);
        s->trade_id = 1000000 + random_below(6000000000);
    }
    uint64_t ms = 1786183200055;
    for (size_t i = 0; i < 200000; i++) {
        char text[2048];
        struct buf out = buf_over(text, sizeof text);
        struct symbol *s = &symbols[random_below(4) == 0 ? random_below(50) : random_below(5)];
        uint64_t kind = random_below(100);
        ms += random_below(4) == 0 ? 1 : 0;
        s->price += (random_below(3) * s->tick);
        s->price -= s->price > 900 * s->tick ? s->tick : 0;
        if (kind < 50) {
            put_ticker(&out, s);
        } else if (kind < 80) {
            put_depth(&out, s, ms);
        } else {
            put_trade(&out, s, ms);
        }
        corpus_add(corpus, text, out.bytes);
    }
}

/* Lines of "unix seconds TAB message". False when there is no such file. */
static bool corpus_read(struct corpus *corpus, const char *folder, const char *file)
{
    char path[1024];
    char *line = NULL;
    size_t capacity = 0;
    ssize_t bytes;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *in = fopen(path, "r");
    if (in == NULL) {
        return false;
    }
    while ((bytes = getline(&line, &capacity, in)) > 0) {
        const char *tab = memchr(line, '\t', (size_t)bytes);
        if (tab != NULL) {
            corpus_add(corpus, tab + 1, (size_t)(line + bytes - 1 - (tab + 1)));
        }
    }
    free(line);
    fclose(in);
    return true;
}

static bool corpus_recorded(struct corpus *corpus)
{
    const char *given = getenv("MD_SAMPLES");
    const char *folders[2] = {given != NULL ? given : "../shared/samples", "../../shared/samples"};
    corpus_init(corpus, "recorded");
    for (size_t i = 0; i < 2; i++) {
        bool spot = corpus_read(corpus, folders[i], "binance-spot/session.tsv");
        bool usdm = corpus_read(corpus, folders[i], "binance-usdm/session.tsv");
        if (spot || usdm) {
            return true;
        }
    }
    return false;
}

/* ---- One run. */

static void run_append(struct mdio *io, const struct corpus *corpus, struct result *result)
{
    struct journal_config config = {.sync_ms = 200,
                                    .record_bytes_max = 1 << 20,
                                    .recorder = "bench",
                                    .boot_epoch = 1,
                                    .sync_thread = true};
    struct journal *journal = NULL;
    struct err err = {""};
    if (journal_open(&journal, io, &config, 1, &err) < 0) {
        fail("open", err.text);
    }
    int64_t unix_ns = 1786183200000000000;
    double cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
    double wall = seconds(CLOCK_MONOTONIC);
    for (size_t i = 0; i < MESSAGES_PER_RUN; i++) {
        unix_ns += 20011;
        struct record record = {.time_unix_ns = unix_ns,
                                .kind = RECORD_RECV,
                                .venue = VENUE_BINANCE,
                                .conn = 1 + (uint32_t)(i % 2),
                                .payload = corpus->messages[i % corpus->count]};
        int64_t now_ns = clock_mono_ns(&clock_system);
        while (journal_append(journal, &record, now_ns) != 0) {
            result->waits++;
            if (journal_sync(journal) != 0) {
                fail("sync", "the disk fails");
            }
        }
    }
    result->append_ns = (seconds(CLOCK_MONOTONIC) - wall) * 1e9 / MESSAGES_PER_RUN;
    result->cpu_ns = (seconds(CLOCK_THREAD_CPUTIME_ID) - cpu) * 1e9 / MESSAGES_PER_RUN;
    if (journal_sync(journal) != 0) {
        fail("sync", "the disk fails");
    }
    struct journal_stats stats = journal_stats(journal, 0);
    result->ratio = (double)stats.raw_bytes / (double)stats.stored_bytes;
    result->stored_bytes = (double)stats.stored_bytes / MESSAGES_PER_RUN;
    if (journal_close(journal) != 0) {
        fail("close", "the disk fails");
    }
}

static void run_replay(struct mdio *io, struct result *result)
{
    struct journal_reader *reader = NULL;
    struct record record;
    struct err err = {""};
    uint64_t bytes = 0;
    uint64_t records = 0;
    if (journal_reader_open(&reader, io, "journal", 1 << 20, 0, &err) < 0) {
        fail("replay", err.text);
    }
    double wall = seconds(CLOCK_MONOTONIC);
    while (journal_reader_next(reader, &record, &err) > 0) {
        bytes += record_packed_bytes(&record);
        records++;
    }
    wall = seconds(CLOCK_MONOTONIC) - wall;
    if (records != MESSAGES_PER_RUN) {
        fail("replay", "records are missing");
    }
    result->replay_mb_s = (double)bytes / wall / 1e6;
    result->replay_ns = wall * 1e9 / (double)records;
    journal_reader_close(reader);
}

static void remove_on_name(void *context, const char *name, bool is_directory)
{
    char path[512];
    snprintf(path, sizeof path, "journal/%s", name);
    if (!is_directory) {
        (void)mdio_unlink(context, path); /* a scratch folder: the rmdir after it would tell */
    }
}

static struct result run(const char *folder, const struct corpus *corpus)
{
    struct result result = {0};
    struct mdio io;
    struct err err = {""};
    if (mdio_posix_open(&io, folder, &err) < 0) {
        fail("folder", err.text);
    }
    run_append(&io, corpus, &result);
    run_replay(&io, &result);
    (void)mdio_list(&io, "journal", remove_on_name, &io);
    mdio_deinit(&io);
    return result;
}

/* ---- Results. */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(const struct result *results, size_t offset)
{
    double values[RUNS];
    for (size_t i = 0; i < RUNS; i++) {
        memcpy(&values[i], (const char *)&results[i] + offset, sizeof values[i]);
    }
    qsort(values, RUNS, sizeof values[0], compare_doubles);
    return values[RUNS / 2];
}

static void measure(const char *folder, const struct corpus *corpus, FILE *json, bool first)
{
    struct result runs[RUNS];
    uint64_t waits = 0;
    for (size_t i = 0; i < RUNS; i++) {
        runs[i] = run(folder, corpus);
        waits += runs[i].waits;
    }
#define MEDIAN(field) median(runs, offsetof(struct result, field))
    double message_bytes = (double)corpus->used / (double)corpus->count;
    printf("%-9s %7.0f %9.0f %8.0f %7.2f %8.1f %12.0f %10.0f\n", corpus->name, message_bytes,
           MEDIAN(append_ns), MEDIAN(cpu_ns), MEDIAN(ratio), MEDIAN(stored_bytes),
           MEDIAN(replay_mb_s), MEDIAN(replay_ns));
    fprintf(json,
            "%s\n  {\"messages\": \"%s\", \"message_bytes\": %.1f, \"append_ns\": %.1f, "
            "\"append_cpu_ns\": %.1f, \"ratio\": %.3f, \"stored_bytes_per_message\": %.2f, "
            "\"replay_mb_per_s\": %.1f, \"replay_ns\": %.1f, \"runs\": %d, "
            "\"messages_per_run\": %d, \"waits_for_disk\": %" PRIu64 "}",
            first ? "" : ",", corpus->name, message_bytes, MEDIAN(append_ns), MEDIAN(cpu_ns),
            MEDIAN(ratio), MEDIAN(stored_bytes), MEDIAN(replay_mb_s), MEDIAN(replay_ns), RUNS,
            MESSAGES_PER_RUN, waits);
}

int main(int argc, char **argv)
{
    const char *out = argc > 1 ? argv[1] : "build/bench";
    char path[1024];
    char folder[200];
    (void)mkdir("build", 0755); /* either may be there already; fopen tells what is wrong */
    (void)mkdir(out, 0755);
    snprintf(path, sizeof path, "%s/journal.json", out);
    FILE *json = fopen(path, "w");
    if (json == NULL) {
        fail(path, "cannot be written");
    }
    snprintf(folder, sizeof folder, "%s/journal-scratch", out);
    printf("journal: append with group commit every 200 ms, %d x %d messages, medians\n", RUNS,
           MESSAGES_PER_RUN);
    printf("%-9s %7s %9s %8s %7s %8s %12s %10s\n", "messages", "bytes", "ns/append", "cpu ns",
           "ratio", "stored", "replay MB/s", "ns/replay");
    fprintf(json, "{\"bench\": \"journal\", \"results\": [");
    struct corpus own = {0};
    struct corpus recorded = {0};
    corpus_make(&own);
    measure(folder, &own, json, true);
    if (corpus_recorded(&recorded)) {
        measure(folder, &recorded, json, false);
    } else {
        printf("recorded: skipped, no recordings in MD_SAMPLES or ../shared/samples\n");
    }
    fprintf(json, "\n]}\n");
    if (fclose(json) != 0) {
        fail(path, "cannot be written");
    }
    snprintf(path, sizeof path, "%s/journal", folder);
    (void)rmdir(path); /* empty by now; what is left over is a scratch folder below build */
    (void)rmdir(folder);
    return 0;
}
