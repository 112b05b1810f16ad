/* Says whether rows that a recorder landed are the rows the simulator's market has.
 *
 *   oracle [--seed N] [--symbols N] [--rate TRADES_PER_S] [--updates N] [--flat] [--depth-ms 100]
 *          [--micro] [--print N] trades|depth|book_ticker FILE...
 *
 * FILE is CSV with a header line, written by any reader of the landed files ("-" = standard input).
 * Columns are found by name, others are ignored:
 *   trades       symbol, trade_id, side, price, amount; timestamp and flags (bit 0: aggregate) if
 * there depth        symbol, is_snapshot, side, price, amount, first_update_id, last_update_id;
 * timestamp book_ticker  symbol, update_id, bid_price, bid_amount, ask_price, ask_amount Rows of
 * one depth event stand together; else order does not matter.
 *
 * Prints one line `missing SYMBOL FIRST LAST` per run of ids that lie between the first and the
 * last one seen and are absent, `duplicate`, `invented` and `altered` likewise with what is wrong,
 * at most
 * --print of each (default 20), and last a JSON object with the counts. Exit code: 0 when nothing
 * is duplicate, invented or altered (missing ids are for the caller to judge), 1 when something is,
 * 2 when the input cannot be read. For a book ticker `missing` counts changes of the best that have
 * no row; for depth, update ids. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sim/model.h"

enum channel { TRADES, DEPTH, BOOK_TICKER };

enum column {
    COLUMN_SYMBOL,
    COLUMN_ID, /* trade_id, update_id, last_update_id */
    COLUMN_FIRST,
    COLUMN_SIDE,
    COLUMN_PRICE,
    COLUMN_AMOUNT,
    COLUMN_BID_PRICE,
    COLUMN_BID_AMOUNT,
    COLUMN_ASK_PRICE,
    COLUMN_ASK_AMOUNT,
    COLUMN_SNAPSHOT,
    COLUMN_TIMESTAMP,
    COLUMN_FLAGS,
    COLUMN_COUNT,
};

static const char *const column_names[COLUMN_COUNT] = {
    "symbol",     "",          "first_update_id", "side",        "price",     "amount", "bid_price",
    "bid_amount", "ask_price", "ask_amount",      "is_snapshot", "timestamp", "flags",
};
static const char *const id_names[] = {"trade_id", "last_update_id", "update_id"};

struct level {
    int side; /* 0 bid, 1 ask */
    double price, amount;
};

struct span {
    int64_t first, last;
};

/* What was seen of one symbol. */
struct seen {
    struct span *spans; /* ids, or id ranges of depth events */
    size_t count, capacity;
    struct span *aggs; /* aggregate ids */
    size_t agg_count, agg_capacity;
    uint32_t *steps; /* book kept between rows */
    struct model_book book;
};

static struct {
    struct model model;
    struct seen *seen;
    enum channel channel;
    int64_t depth_ns;
    bool micro;
    uint64_t print;
    uint64_t rows, events, snapshots, missing, duplicate, invented, altered, symbols;
} oracle;

static _Noreturn void die(const char *what, const char *detail)
{
    fprintf(stderr, "oracle: %s: %s\n", what, detail);
    exit(2);
}

static void *grow(void *memory, size_t *capacity, size_t count, size_t item_bytes)
{
    if (count < *capacity) {
        return memory;
    }
    *capacity = *capacity == 0 ? 1024 : *capacity * 2;
    memory = realloc(memory, *capacity * item_bytes);
    if (memory == NULL) {
        die("memory", "none left");
    }
    return memory;
}

static void report(uint64_t *counter, const char *kind, const struct model_symbol *symbol,
                   int64_t id, const char *what)
{
    if ((*counter)++ < oracle.print) {
        printf("%s %s %" PRId64 " %s\n", kind, symbol->name, id, what);
    }
}

/* ---- values */

static double as_double(int64_t e8)
{
    return (double)e8 / 1e8; /* both exact, so the quotient is the nearest double */
}

/* Microseconds from an integer or from "2026-11-23 17:00:00.123456"; INT64_MIN when empty. */
static int64_t time_us(const char *text)
{
    if (text == NULL || text[0] == 0) {
        return INT64_MIN;
    }
    struct clock_utc utc = {0};
    int at = 0;
    if (sscanf(text, "%d-%d-%d%*1[ T]%d:%d:%d%n", &utc.year, &utc.month, &utc.day, &utc.hour,
               &utc.minute, &utc.second, &at) < 6) {
        return strtoll(text, NULL, 10);
    }
    int64_t us = clock_unix_of_utc(&utc) / NS_PER_US;
    int64_t place = 100000;
    if (text[at] == '.') {
        for (at++; text[at] >= '0' && text[at] <= '9' && place > 0; at++, place /= 10) {
            us += place * (text[at] - '0');
        }
    }
    return us;
}

static bool time_equal(const char *text, int64_t unix_ns)
{
    int64_t us = time_us(text);
    return us == INT64_MIN || us == unix_ns / NS_PER_US ||
           (!oracle.micro && us == unix_ns / NS_PER_MS * 1000);
}

static bool number_equal(const char *text, int64_t e8)
{
    return strtod(text, NULL) == as_double(e8);
}

static bool is_true(const char *text)
{
    return text[0] == 't' || text[0] == 'T' || text[0] == '1';
}

static void span_add(struct seen *seen, int64_t first, int64_t last)
{
    seen->spans = grow(seen->spans, &seen->capacity, seen->count, sizeof *seen->spans);
    seen->spans[seen->count++] = (struct span){first, last};
}

/* ---- trades */

static void check_agg(const struct model_symbol *symbol, struct seen *seen, char **row, int64_t id)
{
    int64_t index = id - symbol->agg_id0;
    if (index < 0) {
        report(&oracle.invented, "invented", symbol, id, "before the first aggregate");
        return;
    }
    struct model_agg agg = model_agg_at(symbol, index);
    if (!number_equal(row[COLUMN_PRICE], agg.price_e8) ||
        !number_equal(row[COLUMN_AMOUNT], agg.quantity_e8) ||
        strcmp(row[COLUMN_SIDE], agg.buyer_is_maker ? "sell" : "buy") != 0 ||
        !time_equal(row[COLUMN_TIMESTAMP], agg.time_unix_ns)) {
        report(&oracle.altered, "altered", symbol, id, "aggregate");
    }
    seen->aggs = grow(seen->aggs, &seen->agg_capacity, seen->agg_count, sizeof *seen->aggs);
    seen->aggs[seen->agg_count++] = (struct span){id, id};
}

static void check_trade(const struct model_symbol *symbol, struct seen *seen, char **row)
{
    int64_t id = strtoll(row[COLUMN_ID], NULL, 10);
    if (row[COLUMN_FLAGS] != NULL && (strtoll(row[COLUMN_FLAGS], NULL, 10) & 1) != 0) {
        check_agg(symbol, seen, row, id);
        return;
    }
    int64_t index = id - symbol->trade_id0;
    if (index < 0) {
        report(&oracle.invented, "invented", symbol, id, "before the first trade");
        return;
    }
    struct model_trade trade = model_trade_at(symbol, index);
    if (!number_equal(row[COLUMN_PRICE], trade.price_e8)) {
        report(&oracle.altered, "altered", symbol, id, "price");
    } else if (!number_equal(row[COLUMN_AMOUNT], trade.quantity_e8)) {
        report(&oracle.altered, "altered", symbol, id, "amount");
    } else if (strcmp(row[COLUMN_SIDE], trade.buyer_is_maker ? "sell" : "buy") != 0) {
        report(&oracle.altered, "altered", symbol, id, "side");
    } else if (!time_equal(row[COLUMN_TIMESTAMP], trade.time_unix_ns)) {
        report(&oracle.altered, "altered", symbol, id, "timestamp");
    }
    span_add(seen, id, id);
}

/* ---- books */

/* The kept book at an update: moved on when that is cheaper than building it. */
static struct model_book *book_at(const struct model_symbol *symbol, struct seen *seen,
                                  int64_t update)
{
    if (seen->steps == NULL) {
        seen->steps = calloc(symbol->slots, sizeof *seen->steps);
        if (seen->steps == NULL) {
            die("memory", "none left");
        }
        seen->book.update = INT64_MIN;
    }
    int64_t behind = seen->book.update == INT64_MIN ? -1 : update - seen->book.update;
    if (behind < 0 || behind > 4 * (int64_t)symbol->slots) {
        model_book_build(&seen->book, symbol, seen->steps, update);
    }
    while (seen->book.update < update) {
        uint32_t touched[MODEL_TOUCHES_MAX];
        bool best_changed;
        model_book_advance(&seen->book, touched, &best_changed);
    }
    return &seen->book;
}

static void check_ticker(const struct model_symbol *symbol, struct seen *seen, char **row)
{
    int64_t id = strtoll(row[COLUMN_ID], NULL, 10);
    int64_t update = id - symbol->update_id0;
    if (update <= 4 * (int64_t)symbol->slots) {
        report(&oracle.invented, "invented", symbol, id, "before the first book");
        return;
    }
    struct model_book *book = book_at(symbol, seen, update - 1);
    uint32_t touched[MODEL_TOUCHES_MAX];
    bool best_changed;
    model_book_advance(book, touched, &best_changed);
    struct model_level bid = model_book_level(book, book->mid - 1);
    struct model_level ask = model_book_level(book, book->mid);
    if (!best_changed) {
        report(&oracle.invented, "invented", symbol, id, "the best did not change");
    } else if (!number_equal(row[COLUMN_BID_PRICE], bid.price_e8) ||
               !number_equal(row[COLUMN_BID_AMOUNT], bid.quantity_e8) ||
               !number_equal(row[COLUMN_ASK_PRICE], ask.price_e8) ||
               !number_equal(row[COLUMN_ASK_AMOUNT], ask.quantity_e8)) {
        report(&oracle.altered, "altered", symbol, id, "best");
    }
    span_add(seen, id, id);
}

static int by_side_and_price(const void *a, const void *b)
{
    const struct level *x = a;
    const struct level *y = b;
    if (x->side != y->side) {
        return x->side - y->side;
    }
    return x->price < y->price ? -1 : x->price > y->price;
}

/* One depth event or snapshot, gathered from rows that stand together. */
static struct {
    const struct model_symbol *symbol;
    bool is_snapshot;
    int64_t first, last;
    char timestamp[64];
    struct level levels[2 * MODEL_SLOTS_MAX];
    size_t count;
} group;

static struct level expected[2 * MODEL_SLOTS_MAX];

static size_t expected_take(size_t count, int side, const struct model_level *levels, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        expected[count++] =
            (struct level){side, as_double(levels[i].price_e8), as_double(levels[i].quantity_e8)};
    }
    return count;
}

static void check_snapshot(struct model_book *book)
{
    static struct model_level bids[MODEL_SLOTS_MAX];
    static struct model_level asks[MODEL_SLOTS_MAX];
    uint32_t bid_count = model_book_bids(book, bids, MODEL_SLOTS_MAX);
    uint32_t ask_count = model_book_asks(book, asks, MODEL_SLOTS_MAX);
    size_t count = expected_take(0, 0, bids, bid_count);
    count = expected_take(count, 1, asks, ask_count);
    qsort(expected, count, sizeof expected[0], by_side_and_price);
    oracle.snapshots++;
    for (size_t i = 0; i < group.count; i++) {
        const struct level *level = &group.levels[i];
        const struct level *found =
            bsearch(level, expected, count, sizeof expected[0], by_side_and_price);
        if (found == NULL || found->amount != level->amount) {
            report(&oracle.altered, "altered", group.symbol, group.last, "snapshot level");
            return;
        }
    }
    /* A snapshot may end early (the venue's limit), but not miss what is near. */
    qsort(group.levels, group.count, sizeof group.levels[0], by_side_and_price);
    for (uint32_t i = 0; i < 40; i++) {
        int side = i < 20 ? 0 : 1;
        uint32_t at = i % 20;
        if (at >= (side == 0 ? bid_count : ask_count)) {
            continue;
        }
        struct level wanted = {side, as_double((side == 0 ? bids : asks)[at].price_e8), 0};
        if (bsearch(&wanted, group.levels, group.count, sizeof group.levels[0],
                    by_side_and_price) == NULL) {
            report(&oracle.altered, "altered", group.symbol, group.last, "snapshot lacks a level");
            return;
        }
    }
}

static void check_delta(struct seen *seen, int64_t update)
{
    static struct model_diff diff;
    static struct model_level bids[MODEL_SLOTS_MAX];
    static struct model_level asks[MODEL_SLOTS_MAX];
    const struct model_symbol *symbol = group.symbol;
    int64_t boundary = model_depth_boundary(model_update_time(symbol, update), oracle.depth_ns);
    int64_t before = model_update_until(symbol, boundary - oracle.depth_ns);
    if (model_update_until(symbol, boundary) != update ||
        group.first != symbol->update_id0 + before + 1) {
        report(&oracle.invented, "invented", symbol, group.last, "no such event");
        return;
    }
    struct model_book *book = book_at(symbol, seen, before);
    model_diff_begin(&diff, book);
    while (book->update < update) {
        uint32_t touched[MODEL_TOUCHES_MAX];
        bool best_changed;
        uint32_t n = model_book_advance(book, touched, &best_changed);
        for (uint32_t i = 0; i < n; i++) {
            model_diff_touch(&diff, book, touched[i]);
        }
    }
    uint32_t bid_count;
    uint32_t ask_count;
    model_diff_levels(&diff, book, bids, &bid_count, asks, &ask_count);
    size_t count = expected_take(0, 0, bids, bid_count);
    count = expected_take(count, 1, asks, ask_count);
    qsort(expected, count, sizeof expected[0], by_side_and_price);
    qsort(group.levels, group.count, sizeof group.levels[0], by_side_and_price);
    bool same = count == group.count && time_equal(group.timestamp, boundary);
    for (size_t i = 0; i < count && same; i++) {
        same = expected[i].side == group.levels[i].side &&
               expected[i].price == group.levels[i].price &&
               expected[i].amount == group.levels[i].amount;
    }
    if (!same) {
        report(&oracle.altered, "altered", symbol, group.last, "event");
    }
    span_add(seen, group.first, group.last);
}

static void group_check(void)
{
    if (group.symbol == NULL) {
        return;
    }
    int64_t update = group.last - group.symbol->update_id0;
    struct seen *seen = &oracle.seen[group.symbol - oracle.model.symbols];
    oracle.events++;
    if (update <= 4 * (int64_t)group.symbol->slots) {
        report(&oracle.invented, "invented", group.symbol, group.last, "before the first book");
    } else if (group.is_snapshot) {
        check_snapshot(book_at(group.symbol, seen, update));
    } else {
        check_delta(seen, update);
    }
    group.symbol = NULL;
}

static void check_depth(const struct model_symbol *symbol, char **row)
{
    bool is_snapshot = is_true(row[COLUMN_SNAPSHOT]);
    int64_t last = strtoll(row[COLUMN_ID], NULL, 10);
    if (symbol != group.symbol || is_snapshot != group.is_snapshot || last != group.last) {
        group_check();
        group.symbol = symbol;
        group.is_snapshot = is_snapshot;
        group.last = last;
        group.first = strtoll(row[COLUMN_FIRST], NULL, 10);
        group.count = 0;
        snprintf(group.timestamp, sizeof group.timestamp, "%s",
                 row[COLUMN_TIMESTAMP] == NULL ? "" : row[COLUMN_TIMESTAMP]);
    }
    if (group.count == 2 * MODEL_SLOTS_MAX) {
        report(&oracle.invented, "invented", symbol, last, "too many levels");
        return;
    }
    double price = strtod(row[COLUMN_PRICE], NULL);
    if (price > 0) { /* else a message that changes no level: it only carries its ids */
        group.levels[group.count++] = (struct level){strcmp(row[COLUMN_SIDE], "ask") == 0, price,
                                                     strtod(row[COLUMN_AMOUNT], NULL)};
    }
}

/* ---- input */

static size_t fields_split(char *line, char **fields, size_t most)
{
    size_t count = 0;
    line[strcspn(line, "\r\n")] = 0;
    for (char *at = line; at != NULL && count < most;) {
        char *comma = strchr(at, ',');
        if (comma != NULL) {
            *comma = 0;
        }
        size_t n = strlen(at);
        if (n >= 2 && at[0] == '"' && at[n - 1] == '"') {
            at[n - 1] = 0;
            at++;
        }
        fields[count++] = at;
        at = comma == NULL ? NULL : comma + 1;
    }
    return count;
}

static void columns_find(char **fields, size_t count, int places[COLUMN_COUNT])
{
    static const bool needed[3][COLUMN_COUNT] = {
        [TRADES] = {[COLUMN_SYMBOL] = true,
                    [COLUMN_ID] = true,
                    [COLUMN_SIDE] = true,
                    [COLUMN_PRICE] = true,
                    [COLUMN_AMOUNT] = true},
        [DEPTH] = {[COLUMN_SYMBOL] = true,
                   [COLUMN_ID] = true,
                   [COLUMN_FIRST] = true,
                   [COLUMN_SIDE] = true,
                   [COLUMN_PRICE] = true,
                   [COLUMN_AMOUNT] = true,
                   [COLUMN_SNAPSHOT] = true},
        [BOOK_TICKER] = {[COLUMN_SYMBOL] = true,
                         [COLUMN_ID] = true,
                         [COLUMN_BID_PRICE] = true,
                         [COLUMN_BID_AMOUNT] = true,
                         [COLUMN_ASK_PRICE] = true,
                         [COLUMN_ASK_AMOUNT] = true},
    };
    for (int c = 0; c < COLUMN_COUNT; c++) {
        const char *name = c == COLUMN_ID ? id_names[oracle.channel] : column_names[c];
        places[c] = -1;
        for (size_t i = 0; i < count; i++) {
            places[c] = strcmp(fields[i], name) == 0 ? (int)i : places[c];
        }
        if (places[c] < 0 && needed[oracle.channel][c]) {
            die("a column is not there", name);
        }
    }
}

static void row_check(char **fields, size_t count, const int places[COLUMN_COUNT])
{
    char *row[COLUMN_COUNT] = {0};
    for (int c = 0; c < COLUMN_COUNT; c++) {
        row[c] = places[c] >= 0 && (size_t)places[c] < count ? fields[places[c]] : NULL;
    }
    if (row[COLUMN_SYMBOL] == NULL || row[COLUMN_ID] == NULL) {
        die("a row is too short", fields[0]);
    }
    oracle.rows++;
    const struct model_symbol *symbol =
        model_find(&oracle.model, str_from(row[COLUMN_SYMBOL]), false);
    if (symbol == NULL || !symbol->trading) {
        oracle.invented++;
        printf("invented %s 0 no such symbol\n", row[COLUMN_SYMBOL]);
        return;
    }
    struct seen *seen = &oracle.seen[symbol - oracle.model.symbols];
    if (oracle.channel == TRADES) {
        check_trade(symbol, seen, row);
    } else if (oracle.channel == DEPTH) {
        check_depth(symbol, row);
    } else {
        check_ticker(symbol, seen, row);
    }
}

static void file_check(const char *path)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (file == NULL) {
        die(path, "cannot be opened");
    }
    static char line[65536];
    char *fields[64];
    int places[COLUMN_COUNT];
    if (fgets(line, sizeof line, file) == NULL) {
        die(path, "is empty");
    }
    columns_find(fields, fields_split(line, fields, 64), places);
    while (fgets(line, sizeof line, file) != NULL) {
        size_t count = fields_split(line, fields, 64);
        if (count > 1) {
            row_check(fields, count, places);
        }
    }
    group_check();
    if (file != stdin && fclose(file) != 0) {
        die(path, "cannot be read");
    }
}

/* ---- the end: what lies between first and last */

static int by_first(const void *a, const void *b)
{
    const struct span *x = a;
    const struct span *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* Changes of the best after `from` and before `to` (ids). */
static uint64_t changes_between(const struct model_symbol *symbol, struct seen *seen, int64_t from,
                                int64_t to)
{
    uint64_t changes = 0;
    struct model_book *book = book_at(symbol, seen, from - symbol->update_id0);
    while (book->update + 1 < to - symbol->update_id0) {
        uint32_t touched[MODEL_TOUCHES_MAX];
        bool best_changed;
        model_book_advance(book, touched, &best_changed);
        changes += best_changed;
    }
    return changes;
}

static void spans_check(const struct model_symbol *symbol, struct seen *seen, struct span *spans,
                        size_t count)
{
    static uint64_t printed;
    qsort(spans, count, sizeof *spans, by_first);
    for (size_t i = 1; i < count; i++) {
        if (spans[i].first <= spans[i - 1].last) {
            report(&oracle.duplicate, "duplicate", symbol, spans[i].last, "");
            continue;
        }
        uint64_t missing = (uint64_t)(spans[i].first - spans[i - 1].last - 1);
        if (oracle.channel == BOOK_TICKER && missing > 0) {
            missing = changes_between(symbol, seen, spans[i - 1].last, spans[i].first);
        }
        if (missing > 0 && printed++ < oracle.print) {
            printf("missing %s %" PRId64 " %" PRId64 "\n", symbol->name, spans[i - 1].last + 1,
                   spans[i].first - 1);
        }
        oracle.missing += missing;
    }
}

static void all_check(void)
{
    for (uint32_t i = 0; i < oracle.model.count; i++) {
        struct seen *seen = &oracle.seen[i];
        const struct model_symbol *symbol = &oracle.model.symbols[i];
        oracle.symbols += seen->count > 0 || seen->agg_count > 0;
        spans_check(symbol, seen, seen->spans, seen->count);
        spans_check(symbol, seen, seen->aggs, seen->agg_count);
        free(seen->spans);
        free(seen->aggs);
        free(seen->steps);
    }
}

int main(int argc, char **argv)
{
    struct model_config config = {.seed = 1, .symbols = 50, .symbols_idle = 4, .trades_per_s = 500};
    static const char *const channels[] = {"trades", "depth", "book_ticker"};
    oracle.depth_ns = 100 * NS_PER_MS;
    oracle.print = 20;
    int at = 1;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        const char *name = argv[at];
        const char *value = at + 1 < argc ? argv[at + 1] : "";
        if (strcmp(name, "--flat") == 0) {
            config.flat = true;
            continue;
        }
        if (strcmp(name, "--micro") == 0) {
            oracle.micro = true;
            continue;
        }
        if (strcmp(name, "--seed") == 0) {
            config.seed = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--symbols") == 0) {
            config.symbols = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--rate") == 0) {
            config.trades_per_s = strtod(value, NULL);
        } else if (strcmp(name, "--updates") == 0) {
            config.updates_per_trade = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--depth-ms") == 0) {
            oracle.depth_ns = strtoll(value, NULL, 10) * NS_PER_MS;
        } else if (strcmp(name, "--print") == 0) {
            oracle.print = strtoull(value, NULL, 10);
        } else {
            die("unknown option", name);
        }
        at++;
    }
    int channel = -1;
    for (int i = 0; i < 3 && at < argc; i++) {
        channel = strcmp(argv[at], channels[i]) == 0 ? i : channel;
    }
    if (channel < 0 || at + 1 >= argc || oracle.depth_ns <= 0) {
        die("usage", "oracle [options] trades|depth|book_ticker FILE...");
    }
    oracle.channel = (enum channel)channel;
    void *memory = calloc(1, model_memory_bytes(&config));
    if (memory == NULL) {
        die("memory", "none left");
    }
    model_init(&oracle.model, &config, memory);
    oracle.seen = calloc(oracle.model.count, sizeof *oracle.seen);
    if (oracle.seen == NULL) {
        die("memory", "none left");
    }
    for (at++; at < argc; at++) {
        file_check(argv[at]);
    }
    all_check();
    printf("{\"channel\":\"%s\",\"rows\":%" PRIu64 ",\"symbols\":%" PRIu64 ",\"events\":%" PRIu64
           ",\"snapshots\":%" PRIu64 ",\"missing\":%" PRIu64 ",\"duplicate\":%" PRIu64
           ",\"invented\":%" PRIu64 ",\"altered\":%" PRIu64 "}\n",
           channels[channel], oracle.rows, oracle.symbols, oracle.events, oracle.snapshots,
           oracle.missing, oracle.duplicate, oracle.invented, oracle.altered);
    free(oracle.seen);
    free(memory);
    return oracle.duplicate + oracle.invented + oracle.altered == 0 ? 0 : 1;
}
