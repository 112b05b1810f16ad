/* Each exchange for itself, with what its simulator injects as the measure: thousands of faults in
 * some minutes of virtual time (test/sim/kernel.h), by seed.
 *
 *   messages     lost, doubled, swapped, corrupted, on sound connections: the number and the extent
 *                of the gap rows are those of what was injected, message by message, and nothing
 *                else; trades that no id proves lost are missing exactly where they were taken away
 *   connections  silence, resets, cut frames, half-open, REST that is slow, behind, throttled,
 *                failing, broken off, with lost, doubled and corrupted messages in between: each
 *                fault of a connection is an interruption of every stream, each interruption has
 *                such a fault, and the gap rows are, in number and extent, what never arrived
 *
 * In both: each class of fault is counted and came often enough; trades, those filled in by REST
 * included, are the model's, each once; every book that says it is whole equals the model's, at
 * each second and in each file (oracle.c).
 *
 * `make test` runs the short form, five minutes of connection faults an exchange; MD_LONG=1 an
 * hour of them, a thousand and more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "oracle.h"
#include "sim/sim_exchange.h"
#include "world.h"

#define SYMBOLS 4
#define FAULTS_WANTED 1000
#define RUNS_MAX 16384
#define START_UNIX_NS (1795455000LL * NS_PER_S)
#define TENTH_NS (100 * NS_PER_MS)
#define END_S 90                    /* nothing goes wrong in: what is open is mended */
#define AT_ONCE_NS (20 * NS_PER_MS) /* between a fault and the last message before it */

struct exchange {
    const char *name;
    enum venue_id venue;
    bool binary;
};
static const struct exchange exchanges[] = {
    {"binance", VENUE_BINANCE, false},
    {"binance (SBE)", VENUE_BINANCE, true},
    {"binance-futures", VENUE_BINANCE_FUTURES, false},
    {"kucoin", VENUE_KUCOIN, false},
    {"kucoin-futures", VENUE_KUCOIN_FUTURES, false},
    {"gate-io", VENUE_GATE, false},
    {"gate-io-futures", VENUE_GATE_FUTURES, false},
};

static struct world_config config;
static const struct exchange *exchange;

static bool is_long(void)
{
    const char *text = getenv("MD_LONG");
    return text != NULL && strcmp(text, "1") == 0;
}

static void world_of(int64_t run_s, const char *faults)
{
    config = (struct world_config){.seed = 20 + (uint64_t)exchange->venue,
                                   .start_unix_ns = START_UNIX_NS,
                                   .run_ns = run_s * NS_PER_S,
                                   .place_count = 1};
    struct world_place *place = &config.places[0];
    place->venue = exchange->venue;
    place->binary = exchange->binary;
    place->symbols = SYMBOLS;
    place->trades_per_s = 60;
    snprintf(place->channels, sizeof place->channels, "trades,incremental_book_L2");
    snprintf(place->faults, sizeof place->faults, "%s", faults);
    snprintf(config.settings[config.setting_count++], sizeof config.settings[0],
             "net.silence_secs=5");
    snprintf(config.settings[config.setting_count++], sizeof config.settings[0],
             "net.backoff_max_ms=2000");
}

static uint64_t run(void)
{
    const struct world_hooks hooks = {.on_landed = oracle_on_landed,
                                      .on_decoded = oracle_on_decoded,
                                      .on_cut = oracle_on_cut,
                                      .on_fault = oracle_on_fault};
    oracle_open(&config, false);
    world_run(&config, &hooks);
    struct world_stats stats = world_stats();
    if (stats.failure != NULL) {
        oracle_find("%s: %s", stats.failure, stats.words);
    }
    return oracle_judge();
}

static int end(void **state)
{
    (void)state;
    oracle_close();
    world_close();
    return 0;
}

/* ---- what was injected, by class */

/* class, the simulator's word, status of a REST answer (0 = any), words, is it of connections */
#define CLASS_LIST(X)                                         \
    X(CLASS_LOST, "drop", 0, "lost", false)                   \
    X(CLASS_DOUBLED, "dup", 0, "doubled", false)              \
    X(CLASS_SWAPPED, "swap", 0, "swapped", false)             \
    X(CLASS_CORRUPTED, "corrupt", 0, "corrupted", false)      \
    X(CLASS_RESET, "reset", 0, "reset", true)                 \
    X(CLASS_SILENCE, "silence", 0, "silent", true)            \
    X(CLASS_HALF_OPEN, "half_open", 0, "half open", true)     \
    X(CLASS_CUT, "eof", 0, "cut", true)                       \
    X(CLASS_REST_SLOW, "rest_delay", 0, "REST slow", false)   \
    X(CLASS_REST_BEHIND, "rest_lag", 0, "REST behind", false) \
    X(CLASS_REST_429, "rest_status", 429, "429", false)       \
    X(CLASS_REST_503, "rest_status", 503, "503", false)       \
    X(CLASS_REST_BROKEN, "rest_reset", 0, "REST broken off", false)

enum class {
#define X(class, word, status, words, of_connections) class,
    CLASS_LIST(X)
#undef X
        CLASS_COUNT
};

static const struct {
    const char *word;
    int64_t status;
    const char *words;
    bool of_connections;
} classes[] = {
#define X(class, word, status, words, of_connections) {word, status, words, of_connections},
    CLASS_LIST(X)
#undef X
};

static enum class class_of(const struct world_fault *fault) {
    for (int i = 0; i < CLASS_COUNT; i++){
        if (strcmp(fault->fault, classes[i].word) == 0 &&
            (classes[i].status == 0 || classes[i].status == fault->index)){return (enum class)i;}
}
fail_msg("%s: of no class", fault->fault);
return CLASS_COUNT;
}

/* Counts them all, and those from `first` to `last`, each of which came `least` times. */
static size_t classes_count(enum class first, enum class last, size_t least)
{
    size_t all, counts[CLASS_COUNT] = {0}, sum = 0;
    const struct world_fault *faults = oracle_faults(0, &all);
    char text[512];
    struct buf out = buf_over(text, sizeof text - 1);
    for (size_t i = 0; i < all; i++) {
        counts[class_of(&faults[i])]++;
    }
    for (int i = 0; i < CLASS_COUNT; i++) {
        if (counts[i] > 0) {
            buf_printf(&out, "%s%zu %s", out.bytes > 0 ? ", " : "", counts[i], classes[i].words);
        }
    }
    text[out.bytes] = 0;
    print_message("# %s: %zu faults: %s\n", exchange->name, all, text);
    for (int i = (int)first; i <= (int)last; i++) {
        sum += counts[i];
        if (counts[i] < least) {
            fail_msg("%s: only %zu", classes[i].words, counts[i]);
        }
    }
    return sum;
}

/* ---- what was injected, as ids */

/* The last id of the depth message with this index in fault scripts. */
static int64_t last_id_of(enum venue_id venue, const struct model_symbol *symbol, int64_t index)
{
    switch ((int)venue) {
    case VENUE_KUCOIN: /* the update it ends with, four sequences each */
    case VENUE_KUCOIN_FUTURES:
        return 4 * (symbol->update_id0 + index);
    case VENUE_BINANCE_FUTURES: /* the number of the tenth of a second; ids are seven apart */
        return symbol->update_id0 + 7 * model_update_until(symbol, index * TENTH_NS);
    default:
        return symbol->update_id0 + model_update_until(symbol, index * TENTH_NS);
    }
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a;
    const int64_t *y = b;
    return *x < *y ? -1 : *x > *y;
}

struct run_of_ids {
    int64_t first, last;
};

static struct run_of_ids runs[RUNS_MAX];
static size_t run_count;

static bool is_lost(const struct world_fault *fault, bool late_is_lost)
{
    return strcmp(fault->fault, "drop") == 0 || strcmp(fault->fault, "corrupt") == 0 ||
           (late_is_lost && strcmp(fault->fault, "swap") == 0);
}

static bool names(const struct world_fault *fault, const struct model_symbol *symbol,
                  const char *kind)
{
    return (strstr(fault->stream, symbol->name) != NULL ||
            strstr(fault->stream, symbol->lower) != NULL) &&
           strstr(fault->stream, kind) != NULL;
}

static bool holds(const int64_t *values, size_t count, int64_t value)
{
    return count > 0 && bsearch(&value, values, count, sizeof *values, by_value) != NULL;
}

/* Lost messages of a stream as runs of ids: each begins behind the message before it, whether that
 * one came or not, and neighbours are one run. */
static void depth_runs(const struct oracle_stream *stream)
{
    size_t fault_count, end_count = 0, lost_count = 0, full_count = 0;
    const struct world_fault *faults = oracle_faults(0, &fault_count);
    const struct model_symbol *symbol = &world_model(0)->symbols[stream->symbol];
    int64_t *ends = malloc((stream->received_count + fault_count) * sizeof *ends);
    int64_t *lost = malloc((fault_count + 1) * sizeof *lost);
    int64_t *full = malloc((stream->received_count + 1) * sizeof *full);
    ASSERT(ends != NULL && lost != NULL && full != NULL);
    for (size_t i = 0; i < stream->received_count; i++) {
        ends[end_count++] = stream->received[i].last;
        if (stream->received[i].snapshot) { /* what follows a full book is a hole of its own */
            full[full_count++] = stream->received[i].last;
        }
    }
    for (size_t i = 0; i < fault_count; i++) {
        bool depth = names(&faults[i], symbol, "depth") || names(&faults[i], symbol, "obu");
        if (depth && is_lost(&faults[i], true)) {
            lost[lost_count++] = last_id_of(stream->venue, symbol, faults[i].index);
            ends[end_count++] = lost[lost_count - 1];
        }
    }
    qsort(ends, end_count, sizeof *ends, by_value);
    qsort(lost, lost_count, sizeof *lost, by_value);
    qsort(full, full_count, sizeof *full, by_value);
    run_count = 0;
    for (size_t i = 1; i < end_count; i++) {
        if (ends[i] == ends[i - 1] || !holds(lost, lost_count, ends[i])) {
            continue;
        }
        bool goes_on = run_count > 0 && runs[run_count - 1].last == ends[i - 1] &&
                       !holds(full, full_count, ends[i - 1]);
        if (goes_on) {
            runs[run_count - 1].last = ends[i];
        } else {
            ASSERT(run_count < RUNS_MAX);
            runs[run_count++] = (struct run_of_ids){ends[i - 1] + 1, ends[i]};
        }
    }
    free(ends);
    free(lost);
    free(full);
}

static int64_t *values_make(size_t count)
{
    int64_t *values = malloc((count + 1) * sizeof *values);
    ASSERT(values != NULL);
    return values;
}

/* The trades of a message with this index in fault scripts: one; those of a taker order that is
 * numbered by its first (SBE) or as an order (Gate futures). */
static int64_t trades_of_message(const struct model_symbol *symbol, int64_t index, uint32_t *count)
{
    *count = 1;
    if (exchange->venue == VENUE_GATE_FUTURES) {
        return model_agg_first_trade(symbol, index, count);
    }
    if (exchange->binary) {
        int64_t order = model_aggs_until(symbol, model_trade_at(symbol, index).time_unix_ns);
        while (model_agg_first_trade(symbol, order, count) > index) {
            order--;
        }
    }
    return index;
}

/* The model's numbers of the trades that were taken away, in order; the caller frees them. */
static int64_t *trades_lost(const struct oracle_stream *stream, size_t *count)
{
    size_t fault_count;
    const struct world_fault *faults = oracle_faults(0, &fault_count);
    const struct model_symbol *symbol = &world_model(0)->symbols[stream->symbol];
    int64_t *lost = values_make(16 * fault_count);
    *count = 0;
    for (size_t i = 0; i < fault_count; i++) {
        bool trade = names(&faults[i], symbol, "trade") || names(&faults[i], symbol, "match");
        if (!trade || !is_lost(&faults[i], false)) {
            continue;
        }
        uint32_t trades;
        int64_t first = trades_of_message(symbol, faults[i].index, &trades);
        ASSERT(trades <= 16);
        for (uint32_t t = 0; t < trades; t++) {
            lost[(*count)++] = first + t;
        }
    }
    qsort(lost, *count, sizeof *lost, by_value);
    return lost;
}

static int64_t trade_id_of(enum venue_id venue, const struct model_symbol *symbol, int64_t index)
{
    return symbol->trade_id0 + index + (venue == VENUE_BINANCE_FUTURES ? index / 64 : 0);
}

/* As runs of ids. Binance futures' placeholders have the index of the trade before, and share its
 * fate. */
static void trade_runs(const struct oracle_stream *stream)
{
    size_t lost_count = 0;
    const struct model_symbol *symbol = &world_model(0)->symbols[stream->symbol];
    bool placeholders = stream->venue == VENUE_BINANCE_FUTURES;
    int64_t *lost = trades_lost(stream, &lost_count);
    run_count = 0;
    for (size_t i = 0; i < lost_count; i++) {
        int64_t index = lost[i];
        int64_t first = trade_id_of(stream->venue, symbol, index);
        int64_t last = first + (placeholders && (index + 1) % 64 == 0);
        if (run_count > 0 && runs[run_count - 1].last >= first - 1) {
            runs[run_count - 1].last = last;
        } else {
            ASSERT(run_count < RUNS_MAX);
            runs[run_count++] = (struct run_of_ids){first, last};
        }
    }
    free(lost);
}

/* The model's numbers of the trades in the files, placeholders left out, in order. */
static int64_t *trades_landed(const struct oracle_stream *stream, size_t *count)
{
    int64_t *landed = values_make(stream->landed_count);
    *count = 0;
    for (size_t i = 0; i < stream->landed_count; i++) {
        bool placeholder;
        int64_t index = oracle_trade_index(0, stream->symbol, stream->landed[i].last, &placeholder);
        if (!placeholder) {
            landed[(*count)++] = index;
        }
    }
    qsort(landed, *count, sizeof *landed, by_value);
    return landed;
}

/* ---- comparing */

/* Where a lost book is renewed by subscribing again, what is said between the two requests is
 * missed too: the row before its full book, or of another kind, may hold further lost messages. */
static bool before_full_book(const struct oracle_stream *stream, const struct oracle_span *gap);
static bool swallowed(const struct oracle_stream *stream, const struct run_of_ids *one)
{
    for (size_t i = 0; i < stream->gap_count; i++) {
        const struct oracle_span *gap = &stream->gaps[i];
        if ((gap->kind != GAP_SEQUENCE || before_full_book(stream, gap)) &&
            gap->first <= one->last && gap->last >= one->first) {
            return true;
        }
    }
    return false;
}

static size_t sequence_rows(const struct oracle_stream *stream)
{
    size_t rows = 0;
    for (size_t i = 0; i < stream->gap_count; i++) {
        rows += stream->gaps[i].kind == GAP_SEQUENCE &&
                stream->gaps[i].resolved != GAP_RESOLVED_OVERLAP;
    }
    return rows;
}

/* A book that is lost anew before it is mended ends its oldest hole as not mended: four are kept.
 */
static bool has_row(const struct oracle_stream *stream, const struct run_of_ids *one,
                    enum gap_resolved resolved)
{
    for (size_t i = 0; i < stream->gap_count; i++) {
        const struct oracle_span *gap = &stream->gaps[i];
        if (gap->kind == GAP_SEQUENCE && gap->first == one->first && gap->last == one->last &&
            (gap->resolved == resolved ||
             (resolved == GAP_RESOLVED_RESYNC && gap->resolved == GAP_RESOLVED_NONE))) {
            return true;
        }
    }
    return false;
}

static void print_rows_at(const struct oracle_stream *stream, const struct run_of_ids *one)
{
    for (size_t i = 0; i < stream->gap_count; i++) {
        const struct oracle_span *gap = &stream->gaps[i];
        if (gap->first <= one->last + 20 && gap->last >= one->first - 20) {
            print_error("  %lld..%lld %s, %s\n", (long long)gap->first, (long long)gap->last,
                        gap_kind_name(gap->kind), gap_resolved_name(gap->resolved));
        }
    }
}

/* The hole before a full book that came because we subscribed again: not injected, ours. */
static bool before_full_book(const struct oracle_stream *stream, const struct oracle_span *gap)
{
    for (size_t i = 0; i < stream->received_count; i++) {
        if (stream->received[i].snapshot && stream->received[i].last == gap->last) {
            return true;
        }
    }
    return false;
}

/* Rows of holes that nobody made. */
static size_t rows_without_run(const struct oracle_stream *stream)
{
    size_t count = 0;
    for (size_t i = 0; i < stream->gap_count; i++) {
        const struct oracle_span *gap = &stream->gaps[i];
        bool known = gap->kind != GAP_SEQUENCE || before_full_book(stream, gap);
        for (size_t k = 0; k < run_count; k++) {
            known = known || (runs[k].first == gap->first && runs[k].last == gap->last);
        }
        if (!known) {
            count++;
            print_error("  %lld..%lld %s, %s: not taken away\n", (long long)gap->first,
                        (long long)gap->last, gap_kind_name(gap->kind),
                        gap_resolved_name(gap->resolved));
        }
    }
    return count;
}

/* Number and extent of the rows are those of `runs`. Returns how many there were. */
static size_t rows_equal_runs(const struct oracle_stream *stream, enum gap_resolved resolved)
{
    size_t own = 0;
    const char *symbol = world_model(0)->symbols[stream->symbol].name;
    for (size_t i = 0; i < run_count; i++) {
        if (has_row(stream, &runs[i], resolved)) {
            own++;
        } else if (!swallowed(stream, &runs[i])) {
            print_error("%s %s: ids %lld..%lld were taken away, and no gap row is just that\n",
                        symbol, channel_name(stream->channel), (long long)runs[i].first,
                        (long long)runs[i].last);
            print_rows_at(stream, &runs[i]);
            fail();
        }
    }
    if (rows_without_run(stream) > 0) {
        print_error("%s %s: gap rows of holes that nobody made\n", symbol,
                    channel_name(stream->channel));
        fail();
    }
    return own;
}

/* The gap rows are `runs`, one by one; a hole in trades that is filled in part is told as rows side
 * by side, which together are one. Returns how many holes there were. */
static size_t rows_are_the_runs(const struct oracle_stream *stream)
{
    size_t at = 0;
    const struct oracle_span *gaps = stream->gaps;
    bool parts = stream->channel == CHANNEL_TRADES;
    for (size_t i = 0; i < stream->gap_count; at++) {
        int64_t first = gaps[i].first;
        int64_t last = gaps[i].last;
        for (i++; parts && i < stream->gap_count && gaps[i].first == last + 1; i++) {
            last = gaps[i].last;
        }
        if (at == run_count || runs[at].first != first || runs[at].last != last) {
            fail_msg("gap rows %lld..%lld: not what was taken away", (long long)first,
                     (long long)last);
        }
    }
    assert_int_equal(at, run_count);
    return at;
}

/* What is missing between the first trade and the last is what was taken away where ids prove
 * nothing, and nothing where REST fills it. Sorted landed trades: each once. */
static void trades_equal(const struct oracle_stream *stream, bool filled)
{
    size_t landed_count, lost_count, l = 0;
    int64_t *landed = trades_landed(stream, &landed_count);
    int64_t *lost = trades_lost(stream, &lost_count);
    for (size_t i = 1; i < landed_count; i++) {
        assert_true(landed[i] > landed[i - 1]);
        for (int64_t missing = landed[i - 1] + 1; missing < landed[i]; missing++) {
            while (l < lost_count && lost[l] < missing) {
                assert_false(lost[l] > landed[0] && !filled &&
                             !holds(landed, landed_count, lost[l]));
                l++;
            }
            if (filled || l == lost_count || lost[l] != missing) {
                fail_msg("trade %lld is missing", (long long)missing);
            }
            l++;
        }
    }
    for (size_t i = 0; i < lost_count && !filled; i++) {
        assert_false(holds(landed, landed_count, lost[i]));
    }
    free(landed);
    free(lost);
}

static void messages(void)
{
    /* Binance's books and holes in trades share a REST weight: what is asked for must fit it */
    enum venue_id venue = exchange->venue;
    bool weighed = venue_of(venue)->continuity(CHANNEL_TRADES, 0) == CONTINUITY_PLUS_ONE;
    bool gate = venue == VENUE_GATE || venue == VENUE_GATE_FUTURES; /* few messages */
    int run_s = exchange->binary ? 900 : weighed ? 600 : gate ? 400 : 300;
    char script[512];
    struct buf out = buf_over(script, sizeof script - 1);
    for (int i = 0; i < 4; i++) {
        static const char *const faults[4] = {"drop", "dup", "swap", "corrupt"};
        static const int every[2][4] = {{41, 37, 43, 47}, {331, 337, 347, 349}};
        static const int every_trade[2][4] = {{61, 53, 59, 67}, {113, 127, 131, 137}};
        buf_printf(&out, "from 5s until %ds every %d %s depth\n", run_s - 10, every[weighed][i],
                   faults[i]);
        buf_printf(&out, "from 5s until %ds every %d %s trade\n", run_s - 10,
                   every_trade[weighed][i], faults[i]);
    }
    script[out.bytes] = 0;
    world_of(run_s, script);
    assert_int_equal(run(), 0);
    size_t rows = 0;
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        const struct oracle_stream *depth = oracle_stream_of(0, CHANNEL_DEPTH, s, false);
        const struct oracle_stream *trades = oracle_stream_of(0, CHANNEL_TRADES, s, false);
        assert_non_null(depth);
        assert_non_null(trades);
        depth_runs(depth);
        if (venue == VENUE_BINANCE_FUTURES) { /* its rows have no ids: their number counts */
            assert_int_equal(sequence_rows(depth), run_count);
            rows += run_count;
        } else {
            rows += rows_equal_runs(depth, GAP_RESOLVED_RESYNC);
        }
        trades_equal(trades, weighed);
        if (weighed) {
            trade_runs(trades);
            rows += venue == VENUE_BINANCE_FUTURES /* no placeholder is in its REST answers */
                        ? rows_are_the_runs(trades)
                        : rows_equal_runs(trades, GAP_RESOLVED_BACKFILL);
        }
    }
    print_message("# %s: %zu holes, each one gap row of its extent; %llu books compared, %llu "
                  "rows\n",
                  exchange->name, rows, (unsigned long long)oracle_books_checked(),
                  (unsigned long long)oracle_rows());
    assert_true(classes_count(CLASS_LOST, CLASS_CORRUPTED, FAULTS_WANTED / 10) >= FAULTS_WANTED);
    assert_true(rows > FAULTS_WANTED / 10);
}

/* ---- connections
 *
 * Three accounts of the same minutes must agree: the faults the simulator told, what was decoded
 * (message by message, with its connection), and the gap rows. */

struct span_ns {
    int64_t from, to;
};
static struct span_ns pauses[RUNS_MAX]; /* a connection's end, and the next one's first message */
static size_t pause_count;

static void pauses_find(const struct oracle_stream *stream)
{
    pause_count = 0;
    for (size_t i = 1; i < stream->received_count; i++) {
        const struct oracle_span *before = &stream->received[i - 1];
        const struct oracle_span *now = &stream->received[i];
        if (now->conn != before->conn) {
            ASSERT(pause_count < RUNS_MAX);
            pauses[pause_count++] = (struct span_ns){before->recv_ns, now->recv_ns};
        }
    }
}

static bool in_pause(const struct span_ns *pause, int64_t unix_ns)
{
    return pause->from - AT_ONCE_NS <= unix_ns && unix_ns <= pause->to;
}

/* Each fault of a connection interrupted the stream, and nothing else did. */
static void pauses_equal_faults(const struct oracle_stream *stream)
{
    size_t fault_count;
    const struct world_fault *faults = oracle_faults(0, &fault_count);
    const char *symbol = world_model(0)->symbols[stream->symbol].name;
    bool *caused = calloc(pause_count + 1, sizeof *caused);
    ASSERT(caused != NULL);
    for (size_t f = 0; f < fault_count; f++) {
        bool found = !classes[class_of(&faults[f])].of_connections;
        for (size_t i = 0; i < pause_count; i++) {
            bool in = in_pause(&pauses[i], faults[f].unix_ns);
            caused[i] = caused[i] || (in && classes[class_of(&faults[f])].of_connections);
            found = found || in;
        }
        if (!found) {
            fail_msg("%s %s: %s at %lld interrupted nothing", symbol, channel_name(stream->channel),
                     faults[f].fault, (long long)faults[f].unix_ns);
        }
    }
    for (size_t i = 0; i < pause_count; i++) {
        if (!caused[i]) {
            fail_msg("%s %s: nobody interrupted it from %lld to %lld", symbol,
                     channel_name(stream->channel), (long long)pauses[i].from,
                     (long long)pauses[i].to);
        }
    }
    free(caused);
}

/* What never arrived, as runs of ids: between one message and the next that goes further. A full
 * book in the stream stands for all ids up to its own. */
static void depth_holes(const struct oracle_stream *stream)
{
    int64_t last = ID_NONE;
    run_count = 0;
    for (size_t i = 0; i < stream->received_count; i++) {
        const struct oracle_span *now = &stream->received[i];
        int64_t first = now->snapshot ? now->last + 1 : now->first;
        if (last != ID_NONE && first > last + 1) {
            ASSERT(run_count < RUNS_MAX);
            runs[run_count++] = (struct run_of_ids){last + 1, first - 1};
        }
        last = last == ID_NONE || now->last > last ? now->last : last;
    }
}

/* Where ids only say what came before (Binance futures): how often that was not what came. */
static size_t depth_breaks(const struct oracle_stream *stream)
{
    size_t count = 0;
    int64_t last = ID_NONE;
    for (size_t i = 0; i < stream->received_count; i++) {
        const struct oracle_span *now = &stream->received[i];
        if (last == ID_NONE || now->last > last) { /* else a double */
            count += last != ID_NONE && now->prev != last;
            last = now->last;
        }
    }
    return count;
}

static void trade_holes(const struct oracle_stream *stream)
{
    int64_t *ids = values_make(stream->received_count);
    run_count = 0;
    for (size_t i = 0; i < stream->received_count; i++) {
        ids[i] = stream->received[i].last;
    }
    qsort(ids, stream->received_count, sizeof *ids, by_value);
    for (size_t i = 1; i < stream->received_count; i++) {
        if (ids[i] > ids[i - 1] + 1) {
            ASSERT(run_count < RUNS_MAX);
            runs[run_count++] = (struct run_of_ids){ids[i - 1] + 1, ids[i] - 1};
        }
    }
    free(ids);
}

/* Rows without ids: one a pause, which begins with the last message before it. */
static void rows_equal_pauses(const struct oracle_stream *stream)
{
    assert_int_equal(stream->gap_count, pause_count);
    for (size_t i = 0; i < pause_count; i++) {
        size_t rows = 0;
        for (size_t g = 0; g < stream->gap_count; g++) {
            rows += stream->gaps[g].start_ns / NS_PER_US == pauses[i].from / NS_PER_US;
        }
        assert_int_equal(rows, 1);
    }
}

/* The id is in a row that says it was not filled. */
static bool told_as_missing(const struct oracle_stream *stream, int64_t id)
{
    for (size_t g = 0; g < stream->gap_count; g++) {
        const struct oracle_span *gap = &stream->gaps[g];
        if (gap->resolved == GAP_RESOLVED_NONE && gap->first <= id && id <= gap->last) {
            return true;
        }
    }
    return false;
}

/* A moment within an interruption that says it was not filled. */
static bool told_as_missing_at(const struct oracle_stream *stream, int64_t unix_ns)
{
    for (size_t g = 0; g < stream->gap_count; g++) {
        const struct oracle_span *gap = &stream->gaps[g];
        for (size_t i = 0; i < pause_count && gap->resolved == GAP_RESOLVED_NONE; i++) {
            if (gap->start_ns / NS_PER_US == pauses[i].from / NS_PER_US &&
                in_pause(&pauses[i], unix_ns)) {
                return true;
            }
        }
    }
    return false;
}

/* Every trade from the first to the last is in a file, once, or told as missing, or was taken away
 * where no id shows it. Returns how many were told as missing. */
static size_t trades_accounted(const struct oracle_stream *stream, bool counted)
{
    const struct model_symbol *symbol = &world_model(0)->symbols[stream->symbol];
    size_t landed_count, lost_count, told = 0;
    int64_t *landed = trades_landed(stream, &landed_count);
    int64_t *lost = trades_lost(stream, &lost_count);
    for (size_t i = 1; i < landed_count; i++) {
        assert_true(landed[i] > landed[i - 1]);
        for (int64_t missing = landed[i - 1] + 1; missing < landed[i]; missing++) {
            if (!counted && holds(lost, lost_count, missing)) {
                continue;
            }
            int64_t id = trade_id_of(stream->venue, symbol, missing);
            int64_t unix_ns = model_trade_at(symbol, missing).time_unix_ns;
            if (counted ? told_as_missing(stream, id) : told_as_missing_at(stream, unix_ns)) {
                told++;
            } else {
                fail_msg("%s: trade %lld is missing, and nothing says so", symbol->name,
                         (long long)missing);
            }
        }
    }
    free(landed);
    free(lost);
    return told;
}

/* Returns how many gap rows there are. */
static size_t stream_equals_faults(const struct oracle_stream *stream, size_t *told)
{
    enum continuity rule = venue_of(stream->venue)->continuity(stream->channel, 0);
    pauses_find(stream);
    pauses_equal_faults(stream);
    if (stream->channel == CHANNEL_TRADES) {
        trade_holes(stream);
        *told += trades_accounted(stream, rule == CONTINUITY_PLUS_ONE);
    } else {
        run_count = 0;
    }
    if (rule == CONTINUITY_RANGE ||
        (rule == CONTINUITY_PLUS_ONE && stream->channel == CHANNEL_DEPTH)) {
        depth_holes(stream);
    }
    if (rule == CONTINUITY_PREVIOUS) {
        assert_int_equal(stream->gap_count, depth_breaks(stream));
    } else if (rule == CONTINUITY_GROWING) {
        rows_equal_pauses(stream);
    } else {
        rows_are_the_runs(stream);
    }
    return stream->gap_count;
}

/* What goes wrong, with %lld = when it ends. */
static const char *const connection_rules[] = {
    "every 17s until %llds reset",
    "every 41s until %llds silence 12s",
    "every 67s until %llds half_open for 20s",
    "every 53s until %llds eof bytes 30",
    "every 7 until %llds rest_delay 3s",
    "every 6 until %llds rest_lag 4s",
    "every 11 until %llds rest_status 429",
    "every 9 until %llds rest_status 503",
    "every 8 until %llds rest_reset",
    "every 223 until %llds drop",
    "every 227 until %llds corrupt",
    "every 229 until %llds dup",
};

static void connections(void)
{
    int64_t run_s = is_long() ? 3600 : 300;
    bool kucoin = exchange->venue == VENUE_KUCOIN || exchange->venue == VENUE_KUCOIN_FUTURES;
    char script[WORLD_FAULTS_BYTES];
    struct buf out = buf_over(script, sizeof script - 1);
    for (size_t i = 0; i < sizeof connection_rules / sizeof connection_rules[0]; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        buf_printf(&out, connection_rules[i], (long long)run_s - END_S);
#pragma GCC diagnostic pop
        buf_put_str(&out, STR("\n"));
    }
    script[out.bytes] = 0;
    ASSERT(!out.overflow);
    world_of(run_s, script);
    if (kucoin) { /* its REST has the last 100 trades: those of half a minute */
        config.places[0].trades_per_s = 12;
    }
    assert_int_equal(run(), 0);
    size_t rows = 0, told = 0;
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        const struct oracle_stream *depth = oracle_stream_of(0, CHANNEL_DEPTH, s, false);
        const struct oracle_stream *trades = oracle_stream_of(0, CHANNEL_TRADES, s, false);
        assert_non_null(depth);
        assert_non_null(trades);
        rows += stream_equals_faults(depth, &told);
        rows += stream_equals_faults(trades, &told);
    }
    print_message("# %s: %llu reconnects, %zu gap rows, all of what never arrived; %zu trades told "
                  "as missing; %llu books compared, %llu rows\n",
                  exchange->name, (unsigned long long)world_stats().reconnects, rows, told,
                  (unsigned long long)oracle_books_checked(), (unsigned long long)oracle_rows());
    size_t sum = classes_count(CLASS_RESET, CLASS_REST_BROKEN, is_long() ? 40 : 2);
    assert_true(sum >= (is_long() ? FAULTS_WANTED : 60));
    assert_true(told == 0 || kucoin);
}

#define OF(name, number)                                                     \
    static void name##_messages_lost_doubled_swapped_corrupted(void **state) \
    {                                                                        \
        (void)state;                                                         \
        exchange = &exchanges[number];                                       \
        messages();                                                          \
    }                                                                        \
    static void name##_connections_silent_reset_and_rest_late(void **state)  \
    {                                                                        \
        (void)state;                                                         \
        exchange = &exchanges[number];                                       \
        connections();                                                       \
    }
OF(binance, 0)
OF(binance_binary, 1)
OF(binance_futures, 2)
OF(kucoin, 3)
OF(kucoin_futures, 4)
OF(gate, 5)
OF(gate_futures, 6)

int main(void)
{
#define TESTS(name)                                                                 \
    cmocka_unit_test_teardown(name##_messages_lost_doubled_swapped_corrupted, end), \
        cmocka_unit_test_teardown(name##_connections_silent_reset_and_rest_late, end)
    const struct CMUnitTest tests[] = {
        TESTS(binance),        TESTS(binance_binary), TESTS(binance_futures), TESTS(kucoin),
        TESTS(kucoin_futures), TESTS(gate),           TESTS(gate_futures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
