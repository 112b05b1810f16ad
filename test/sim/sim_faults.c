/* Each exchange for itself, with what its simulator injects as the measure: over a thousand faults
 * in some minutes of virtual time (test/sim/kernel.h), by seed.
 *
 *   messages     lost, doubled, swapped, corrupted, on sound connections: the number and the extent
 * of the gap rows are those of what was injected, message by message, and nothing else connections
 * silence, resets, cut frames, half-open, REST that is slow, behind, throttled, broken off: every
 * id is in a file or in one gap row, and a row is a whole hole
 *
 * In both: trades, those filled in by REST included, are the model's, each once; every book that
 * says it is whole equals the model's, at each second and in each file (oracle.c). */
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
#define RUNS_MAX 4096
#define START_UNIX_NS (1795455000LL * NS_PER_S)
#define TENTH_NS (100 * NS_PER_MS)

static struct world_config config;

static void world_of(enum venue_id venue, int64_t run_s, const char *faults)
{
    config = (struct world_config){.seed = 20 + (uint64_t)venue,
                                   .start_unix_ns = START_UNIX_NS,
                                   .run_ns = run_s * NS_PER_S,
                                   .place_count = 1};
    struct world_place *place = &config.places[0];
    place->venue = venue;
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

static void trade_runs(const struct oracle_stream *stream)
{
    size_t fault_count, lost_count = 0;
    const struct world_fault *faults = oracle_faults(0, &fault_count);
    const struct model_symbol *symbol = &world_model(0)->symbols[stream->symbol];
    int64_t *lost = malloc((fault_count + 1) * sizeof *lost);
    ASSERT(lost != NULL);
    for (size_t i = 0; i < fault_count; i++) {
        if (names(&faults[i], symbol, "trade") && is_lost(&faults[i], false)) {
            lost[lost_count++] = symbol->trade_id0 + faults[i].index;
        }
    }
    qsort(lost, lost_count, sizeof *lost, by_value);
    run_count = 0;
    for (size_t i = 0; i < lost_count; i++) {
        if (run_count > 0 && runs[run_count - 1].last == lost[i] - 1) {
            runs[run_count - 1].last = lost[i];
        } else {
            ASSERT(run_count < RUNS_MAX);
            runs[run_count++] = (struct run_of_ids){lost[i], lost[i]};
        }
    }
    free(lost);
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

static void messages_of(enum venue_id venue)
{
    /* Binance's books and holes in trades share a REST weight: what is asked for must fit it */
    bool weighed = venue_of(venue)->continuity(CHANNEL_TRADES, 0) == CONTINUITY_PLUS_ONE;
    bool gate = venue == VENUE_GATE || venue == VENUE_GATE_FUTURES; /* few messages */
    int run_s = weighed ? 600 : gate ? 400 : 300;
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
    world_of(venue, run_s, script);
    assert_int_equal(run(), 0);
    size_t faults, rows = 0;
    oracle_faults(0, &faults);
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
        if (venue == VENUE_BINANCE) {
            trade_runs(trades);
            rows += rows_equal_runs(trades, GAP_RESOLVED_BACKFILL);
        }
    }
    print_message(
        "# %s: %zu faults injected, %zu holes, each one gap row of its extent; %llu books "
        "compared, %llu rows\n",
        venue_name(venue), faults, rows, (unsigned long long)oracle_books_checked(),
        (unsigned long long)oracle_rows());
    assert_true(faults >= FAULTS_WANTED);
    assert_true(rows > FAULTS_WANTED / 10);
}

static void connections_of(enum venue_id venue)
{
    world_of(venue, 300,
             "every 17s until 280s reset\nevery 41s until 280s silence 7s\n"
             "every 67s until 280s half_open for 20s\nevery 53s until 280s eof bytes 30\n"
             "at 30s rest_delay 3s for 20s\nat 90s rest_lag 4s for 20s\n"
             "at 140s rest_status 429 for 5s\nat 180s rest_status 503 for 5s\n"
             "at 210s rest_reset for 10s\nfrom 240s until 280s every 29 drop depth\n");
    assert_int_equal(run(), 0);
    struct world_stats stats = world_stats();
    size_t faults;
    oracle_faults(0, &faults);
    print_message("# %s: %zu faults injected, %llu reconnects, %llu gap rows; %llu books compared, "
                  "%llu rows\n",
                  venue_name(venue), faults, (unsigned long long)stats.reconnects,
                  (unsigned long long)stats.gaps, (unsigned long long)oracle_books_checked(),
                  (unsigned long long)oracle_rows());
    assert_true(stats.reconnects >= 15);
    assert_true(stats.gaps >= 15);
}

#define OF(name, venue)                                                      \
    static void name##_messages_lost_doubled_swapped_corrupted(void **state) \
    {                                                                        \
        (void)state;                                                         \
        messages_of(venue);                                                  \
    }                                                                        \
    static void name##_connections_silent_reset_and_rest_late(void **state)  \
    {                                                                        \
        (void)state;                                                         \
        connections_of(venue);                                               \
    }
OF(binance, VENUE_BINANCE)
OF(binance_futures, VENUE_BINANCE_FUTURES)
OF(kucoin, VENUE_KUCOIN)
OF(kucoin_futures, VENUE_KUCOIN_FUTURES)
OF(gate, VENUE_GATE)
OF(gate_futures, VENUE_GATE_FUTURES)

int main(void)
{
#define TESTS(name)                                                                 \
    cmocka_unit_test_teardown(name##_messages_lost_doubled_swapped_corrupted, end), \
        cmocka_unit_test_teardown(name##_connections_silent_reset_and_rest_late, end)
    const struct CMUnitTest tests[] = {
        TESTS(binance), TESTS(binance_futures), TESTS(kucoin), TESTS(kucoin_futures),
        TESTS(gate),    TESTS(gate_futures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
