/* bench_book [OUT_DIR]: what books and sequence checks cost, without decoding. Books: 1,000 symbols
 * of 1,000 levels a side, updates near the top, spread, and all over one deep book, and the
 * recorded session when found in MD_SAMPLES or ../shared/samples. normalise: trades, bookTicker and
 * depth events over 1,000 symbols in random order, ids in sequence. Medians of several runs. Prints
 * a table, writes OUT_DIR/book.json (default build/bench). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"
#include "normalise/book.h"
#include "normalise/normalise.h"

#define RUNS 5
#define SYMBOLS 1000
#define LEVELS 1000
#define UPDATES (1u << 20)
#define FIGURES_MAX 16

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

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *values)
{
    qsort(values, RUNS, sizeof values[0], by_value);
    return values[RUNS / 2];
}

static struct figure {
    const char *name, *words;
    double ns;
} figures[FIGURES_MAX];
static size_t figure_count;

static void report(const char *name, const char *words, double ns)
{
    figures[figure_count++] = (struct figure){name, words, ns};
    printf("  %-58s %9.1f ns\n", words, ns);
    fflush(stdout);
}

/* ---- books alone */

struct update {
    uint32_t book;
    enum book_side side;
    struct decimal price, amount;
};

/* How far from the top an update strikes: real feeds change the first ticks most of the time, and
 * now and then anything. */
static uint64_t distance(unsigned near_percent)
{
    return random_below(100) < near_percent ? random_below(4) * random_below(8)
                                            : random_below(LEVELS * 2);
}

static struct update make_update(uint32_t books, unsigned near_percent, uint64_t levels)
{
    uint64_t away = near_percent > 0 ? distance(near_percent) : random_below(levels * 2);
    enum book_side side = random_below(2) == 0 ? BOOK_BID : BOOK_ASK;
    int64_t price = side == BOOK_BID ? 1000000 - (int64_t)away : 1000001 + (int64_t)away;
    bool gone = random_below(100) < 35;
    return (struct update){(uint32_t)random_below(books),
                           side,
                           {price, -8},
                           {gone ? 0 : (int64_t)(1 + random_below(1000000)), -8}};
}

static void fill(struct book *book, uint32_t levels)
{
    for (uint32_t i = 0; i < levels; i++) {
        struct decimal amount = {(int64_t)(1 + random_below(1000000)), -8};
        book_level_set(book, BOOK_BID, (struct decimal){1000000 - 2 * (int64_t)i, -8}, amount);
        book_level_set(book, BOOK_ASK, (struct decimal){1000001 + 2 * (int64_t)i, -8}, amount);
    }
}

static double run_updates(uint32_t books, uint32_t levels, unsigned near_percent)
{
    struct book_pool *pool = book_pool_create((size_t)books * levels * 96 + (1u << 20), books);
    struct book **all = calloc(books, sizeof *all);
    struct update *updates = calloc(UPDATES, sizeof *updates);
    if (pool == NULL || all == NULL || updates == NULL) {
        fprintf(stderr, "bench_book: no memory\n");
        exit(1);
    }
    for (uint32_t i = 0; i < books; i++) {
        all[i] = book_acquire(pool);
        fill(all[i], levels);
    }
    for (uint32_t i = 0; i < UPDATES; i++) {
        updates[i] = make_update(books, near_percent, levels);
    }
    double took[RUNS];
    for (int run = 0; run < RUNS; run++) {
        double start = now_ns();
        for (uint32_t i = 0; i < UPDATES; i++) {
            const struct update *u = &updates[i];
            book_level_set(all[u->book], u->side, u->price, u->amount);
        }
        took[run] = (now_ns() - start) / UPDATES;
    }
    free(updates);
    free(all);
    book_pool_destroy(pool);
    return median(took);
}

static double run_load(uint32_t levels)
{
    struct book_pool *pool = book_pool_create((size_t)levels * 64 + (1u << 20), 1);
    struct book *book = book_acquire(pool);
    double took[RUNS];
    for (int run = 0; run < RUNS; run++) {
        double start = now_ns();
        for (int i = 0; i < 20; i++) {
            book_clear(book);
            fill(book, levels);
        }
        took[run] = (now_ns() - start) / 20 / levels / 2;
    }
    book_pool_destroy(pool);
    return median(took);
}

/* ---- normalise */

static uint64_t landed;

static void on_event(void *context, uint32_t stream, const struct event *event)
{
    (void)context;
    (void)stream;
    landed += event->seq > 0;
}

static char symbols[SYMBOLS][16];
static struct str names[SYMBOLS];

static struct normalise *make_normalise(void)
{
    struct normalise_config config = {
        .streams_max = 4 * SYMBOLS + 64,
        .symbol_bytes_max = 64,
        .names_bytes = 32 * 4 * SYMBOLS,
        .book_bytes = (size_t)SYMBOLS * LEVELS * 48,
        .books_max = SYMBOLS + 8,
        .pending_deltas_bytes = 1u << 16,
        .open_gaps_max = SYMBOLS,
        .book_enabled = true,
    };
    struct normalise_handlers handlers = {.on_event = on_event};
    struct normalise *normalise = normalise_create(&config, &handlers);
    if (normalise == NULL) {
        fprintf(stderr, "bench_book: no memory\n");
        exit(1);
    }
    return normalise;
}

static struct event base_event(enum channel channel, uint32_t symbol, uint64_t seq)
{
    return (struct event){.channel = channel,
                          .venue = VENUE_BINANCE,
                          .symbol = str_from(symbols[symbol]),
                          .event_unix_ns = (int64_t)seq,
                          .recv_unix_ns = (int64_t)seq,
                          .conn = 1,
                          .seq = seq};
}

/* As in landing: one event, written anew for each message. */
static double run_trades(struct normalise *normalise, const uint32_t *order)
{
    static int64_t ids[SYMBOLS];
    double took[RUNS];
    struct event event = base_event(CHANNEL_TRADES, 0, 1);
    event.trade = (struct trade_event){.price = {1000000, -8}, .amount = {1000, -8}};
    for (int run = 0; run < RUNS; run++) {
        double start = now_ns();
        for (uint32_t i = 0; i < UPDATES; i++) {
            event.symbol = names[order[i]];
            event.seq = event.seq + 1;
            event.trade.trade_id = ++ids[order[i]];
            normalise_event(normalise, &event);
        }
        took[run] = (now_ns() - start) / UPDATES;
    }
    return median(took);
}

static double run_tickers(struct normalise *normalise, const uint32_t *order)
{
    double took[RUNS];
    struct event event = base_event(CHANNEL_BOOK_TICKER, 0, 1);
    for (int run = 0; run < RUNS; run++) {
        double start = now_ns();
        for (uint32_t i = 0; i < UPDATES; i++) {
            event.symbol = names[order[i]];
            event.seq = event.seq + 1;
            event.book_ticker.update_id = (int64_t)event.seq;
            normalise_event(normalise, &event);
        }
        took[run] = (now_ns() - start) / UPDATES;
    }
    return median(took);
}

static void snapshot_all(struct normalise *normalise)
{
    static struct level bids[LEVELS], asks[LEVELS];
    for (uint32_t i = 0; i < LEVELS; i++) {
        bids[i] = (struct level){{1000000 - 2 * (int64_t)i, -8}, {500, -8}};
        asks[i] = (struct level){{1000001 + 2 * (int64_t)i, -8}, {500, -8}};
    }
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        struct event event = base_event(CHANNEL_DEPTH, s, 1);
        event.depth = (struct depth_event){true, ID_NONE, 1, ID_NONE, bids, asks, LEVELS, LEVELS};
        normalise_event(normalise, &event);
    }
}

/* Four levels a message, as depth@100ms has about; per level. */
static double run_depth(struct normalise *normalise, const uint32_t *order)
{
    static int64_t ids[SYMBOLS];
    struct event *events = calloc(UPDATES / 4, sizeof *events);
    struct level *levels = calloc(UPDATES, sizeof *levels);
    double took[RUNS];
    snapshot_all(normalise);
    for (int run = 0; run < RUNS; run++) {
        for (uint32_t i = 0; i < UPDATES / 4; i++) {
            uint32_t bids = 0, asks = 0;
            struct level *at = &levels[i * 4];
            for (int k = 0; k < 4; k++) {
                struct update u = make_update(1, 80, LEVELS);
                struct level level = {u.price, u.amount};
                if (u.side == BOOK_BID) {
                    at[bids++] = level;
                } else {
                    at[3 - asks++] = level;
                }
            }
            events[i] = base_event(CHANNEL_DEPTH, order[i], i + 1);
            int64_t id = 2 + ids[order[i]]++;
            events[i].depth =
                (struct depth_event){false, id, id, ID_NONE, at, at + bids, bids, asks};
        }
        double start = now_ns();
        for (uint32_t i = 0; i < UPDATES / 4; i++) {
            normalise_event(normalise, &events[i]);
        }
        took[run] = (now_ns() - start) / (UPDATES / 4);
    }
    free(levels);
    free(events);
    return median(took);
}

static void write_json(const char *folder)
{
    char path[512];
    snprintf(path, sizeof path, "%s/book.json", folder);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        fprintf(stderr, "bench_book: %s: cannot be written\n", path);
        exit(1);
    }
    fprintf(file, "{\"bench\":\"book\",\"unit\":\"ns\"");
    for (size_t i = 0; i < figure_count; i++) {
        fprintf(file, ",\"%s\":%.1f", figures[i].name, figures[i].ns);
    }
    fprintf(file, "}\n");
    fclose(file);
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "build/bench";
    mkdir(folder, 0755);
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        snprintf(symbols[s], sizeof symbols[s], "SYM%uUSDT", s);
        names[s] = str_from(symbols[s]);
    }
    uint32_t *order = calloc(UPDATES, sizeof *order);
    for (uint32_t i = 0; i < UPDATES; i++) {
        order[i] = (uint32_t)random_below(SYMBOLS);
    }
    printf("books: one level set or deleted\n");
    report("level_near_one", "one book of 1,000 levels a side, near the top",
           run_updates(1, LEVELS, 100));
    report("level_mixed_one", "one book of 1,000 levels a side, 80 % near the top",
           run_updates(1, LEVELS, 80));
    report("level_mixed_1000", "1,000 books of 1,000 levels a side, 80 % near the top",
           run_updates(SYMBOLS, LEVELS, 80));
    report("level_anywhere_5000", "one book of 5,000 levels a side, anywhere",
           run_updates(1, 5000, 0));
    report("level_loaded_5000", "a snapshot of 5,000 levels a side, each level", run_load(5000));
    printf("normalise: one event, 1,000 symbols in random order\n");
    struct normalise *normalise = make_normalise();
    report("trade", "trade, id checked", run_trades(normalise, order));
    report("book_ticker", "bookTicker", run_tickers(normalise, order));
    report("depth", "depth update of four levels, checked and applied",
           run_depth(normalise, order));
    struct normalise_stats stats = normalise_stats(normalise);
    if (stats.gaps != 0 || stats.books != SYMBOLS || landed == 0) {
        fprintf(stderr, "bench_book: not what was meant: %" PRIu64 " gaps, %" PRIu64 " books\n",
                stats.gaps, stats.books);
        return 1;
    }
    normalise_destroy(normalise);
    free(order);
    write_json(folder);
    return 0;
}
