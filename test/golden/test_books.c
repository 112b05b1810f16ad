/* Messages in, books out: records go through the decoder and normalise, and the books are rebuilt
 * here from nothing but the depth events that come out, by the reader's rule of schema.md in
 * tardis's form (clear at the first snapshot row after a delta: here no two snapshots follow each
 * other without a delta between), in plain arrays. A session of our own making
 * (test/data/binance/session.tsv) against results written out below; the recorded session, where it
 * is found, against its expected_books.json, and once more with each depth message left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "exchange/exchange.h"
#include "normalise/normalise.h"

#define SYMBOLS_MAX 8
#define LEVELS_MAX 4096
#define DELTAS_MAX 1024
#define GAPS_MAX 64

/* ---- the book of a reader */

struct book_half {
    struct level levels[LEVELS_MAX];
    uint32_t count;
};

struct reader_book {
    char symbol[16];
    struct book_half bids, asks;
    int64_t last_id;
    bool in_snapshot; /* the last event was one */
    bool broken;      /* a hole in the ids since the last snapshot */
};

static void half_set(struct book_half *half, const struct level *level, bool falling)
{
    uint32_t at = 0;
    int order = 1;
    for (; at < half->count; at++) {
        order = decimal_compare(level->price, half->levels[at].price);
        if (falling ? order >= 0 : order <= 0) {
            break;
        }
    }
    bool present = at < half->count && order == 0;
    if (decimal_is_zero(level->amount)) {
        if (present) {
            half->count--;
            memmove(&half->levels[at], &half->levels[at + 1],
                    (half->count - at) * sizeof *half->levels);
        }
        return;
    }
    if (!present) {
        assert_true(half->count < LEVELS_MAX);
        memmove(&half->levels[at + 1], &half->levels[at],
                (half->count - at) * sizeof *half->levels);
        half->count++;
    }
    half->levels[at] = *level;
}

static void book_follow(struct reader_book *book, const struct depth_event *depth)
{
    if (depth->is_snapshot && !book->in_snapshot) {
        book->bids.count = book->asks.count = 0;
        book->broken = false;
    } else if (!depth->is_snapshot && book->last_id != 0) {
        book->broken = book->broken || depth->first_update_id > book->last_id + 1;
    }
    for (uint32_t i = 0; i < depth->bid_count; i++) {
        half_set(&book->bids, &depth->bids[i], true);
    }
    for (uint32_t i = 0; i < depth->ask_count; i++) {
        half_set(&book->asks, &depth->asks[i], false);
    }
    book->in_snapshot = depth->is_snapshot;
    book->last_id = depth->last_update_id;
}

static void put_half(struct buf *out, char letter, const struct book_half *half)
{
    for (uint32_t i = 0; i < half->count; i++) {
        char text[DECIMAL_TEXT_MAX];
        buf_put_char(out, letter);
        buf_put_char(out, ' ');
        buf_put(out, text, decimal_format_short(half->levels[i].price, text));
        buf_put_char(out, ' ');
        buf_put(out, text, decimal_format_short(half->levels[i].amount, text));
        buf_put_char(out, '\n');
    }
}

/* Bids falling, then asks rising, "b|a price qty\n", no trailing zeros. */
static struct str canonical(const struct reader_book *book)
{
    static char text[1 << 18];
    struct buf out = buf_over(text, sizeof text - 1);
    put_half(&out, 'b', &book->bids);
    put_half(&out, 'a', &book->asks);
    assert_false(out.overflow);
    text[out.bytes] = 0;
    return buf_view(&out);
}

/* ---- one replay */

struct delta {
    char symbol[16];
    int64_t first, last;
};

struct replay {
    struct decoder *decoder;
    struct normalise *normalise;
    struct reader_book books[SYMBOLS_MAX];
    uint32_t book_count;
    struct delta deltas[DELTAS_MAX]; /* as landed */
    uint32_t delta_count;
    struct gap_event gaps[GAPS_MAX];
    char gap_symbols[GAPS_MAX][16];
    uint32_t gap_count;
    struct buf words; /* gaps and requests in words */
    char text[4096];
};

static void copy_symbol(char out[16], struct str symbol)
{
    assert_true(symbol.bytes < 16);
    memset(out, 0, 16);
    memcpy(out, symbol.data, symbol.bytes);
}

static struct reader_book *book_of(struct replay *replay, struct str symbol)
{
    for (uint32_t i = 0; i < replay->book_count; i++) {
        if (str_equal(str_from(replay->books[i].symbol), symbol)) {
            return &replay->books[i];
        }
    }
    assert_true(replay->book_count < SYMBOLS_MAX);
    struct reader_book *book = &replay->books[replay->book_count++];
    copy_symbol(book->symbol, symbol);
    return book;
}

static void put_gap(struct replay *replay, const struct event *event)
{
    const struct gap_event *gap = &event->gap;
    assert_true(replay->gap_count < GAPS_MAX);
    copy_symbol(replay->gap_symbols[replay->gap_count], event->symbol);
    replay->gaps[replay->gap_count++] = *gap;
    buf_printf(&replay->words, "%s %.*s: %s, %lld to %lld, %lld missing, %s\n",
               channel_name(gap->of_channel), (int)event->symbol.bytes, event->symbol.data,
               gap_kind_name(gap->kind), (long long)gap->from_id, (long long)gap->to_id,
               (long long)gap->missing, gap_resolved_name(gap->resolved_by));
}

static void on_event(void *context, uint32_t stream, const struct event *event)
{
    struct replay *replay = context;
    (void)stream;
    if (event->channel == CHANNEL_GAPS) {
        put_gap(replay, event);
    } else if (event->channel == CHANNEL_DEPTH) {
        book_follow(book_of(replay, event->symbol), &event->depth);
        if (!event->depth.is_snapshot) {
            assert_true(replay->delta_count < DELTAS_MAX);
            struct delta *delta = &replay->deltas[replay->delta_count++];
            copy_symbol(delta->symbol, event->symbol);
            delta->first = event->depth.first_update_id;
            delta->last = event->depth.last_update_id;
        }
    }
}

static void on_wanted(void *context, enum venue_id venue, struct str symbol)
{
    struct replay *replay = context;
    assert_int_equal(venue, VENUE_BINANCE);
    buf_printf(&replay->words, "wanted %.*s\n", (int)symbol.bytes, symbol.data);
}

static struct replay *replay_open(void)
{
    struct replay *replay = calloc(1, sizeof *replay);
    struct decoder_config decoder = {.levels_max = 8192};
    struct normalise_config config = {
        .streams_max = 64,
        .symbol_bytes_max = 64,
        .names_bytes = 4096,
        .book_bytes = 1 << 20,
        .books_max = SYMBOLS_MAX,
        .pending_deltas_bytes = 1 << 16,
        .open_gaps_max = 4 * SYMBOLS_MAX,
        .book_enabled = true,
    };
    struct normalise_handlers handlers = {
        .on_event = on_event, .on_snapshot_wanted = on_wanted, .context = replay};
    replay->decoder = decoder_create(&decoder);
    replay->normalise = normalise_create(&config, &handlers);
    assert_non_null(replay->decoder);
    assert_non_null(replay->normalise);
    replay->words = buf_over(replay->text, sizeof replay->text - 1);
    return replay;
}

static void replay_close(struct replay *replay)
{
    normalise_destroy(replay->normalise);
    decoder_destroy(replay->decoder);
    free(replay);
}

static void on_decoded(void *context, const struct event *event)
{
    struct replay *replay = context;
    normalise_event(replay->normalise, event);
}

static void feed(struct replay *replay, const struct record *record)
{
    if (record->kind == RECORD_RECV || record->kind == RECORD_REST) {
        struct decode_result result =
            venue_of(record->venue)->decode(replay->decoder, record, on_decoded, replay);
        assert_int_equal(result.code, 0);
    } else {
        normalise_record(replay->normalise, record);
    }
}

/* ---- files */

static char *read_file(const char *folder, const char *name, size_t *bytes)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return NULL;
    }
    fseek(file, 0, SEEK_END);
    long end = ftell(file);
    rewind(file);
    char *data = malloc((size_t)end + 1);
    assert_int_equal(fread(data, 1, (size_t)end, file), end);
    data[end] = 0;
    *bytes = (size_t)end;
    fclose(file);
    return data;
}

static const char *source_folder(void)
{
    const char *folder = getenv("MD_SOURCE");
    return folder != NULL ? folder : ".";
}

/* ---- our own session */

static const char *const own_words = "wanted AAAUSDT\n"
                                     "wanted BBBUSDT\n"
                                     "wanted CCCUSDT\n"
                                     "wanted BBBUSDT\n"
                                     "wanted CCCUSDT\n"
                                     "trades AAAUSDT: sequence, 3 to 4, 2 missing, none\n"
                                     "wanted CCCUSDT\n"
                                     "incremental_book_L2 CCCUSDT: sequence, 13 to 14, 2 missing, "
                                     "resync\n";

static const struct own_book {
    const char *symbol;
    int64_t last_id;
    const char *levels;
} own_books[] = {
    {"AAAUSDT", 107, "b 10.125 0.001\nb 10.05 4\na 10.35 6\na 10.4 1\n"},
    {"BBBUSDT", 56, "b 0.000011 10\na 0.00002 25\na 0.000025 3\n"},
    {"CCCUSDT", 18, "b 5.35 1\nb 5.3 6.5\na 5.45 0.1\na 5.5 9\na 5.6 2\n"},
};

static void own_session_gives_the_books_and_gaps_written_here(void **state)
{
    (void)state;
    size_t bytes = 0;
    char *text = read_file(source_folder(), "test/data/binance/session.tsv", &bytes);
    assert_non_null(text);
    struct replay *replay = replay_open();
    uint64_t seq = 0;
    for (char *line = text; line < text + bytes;) {
        char *end = strchr(line, '\n');
        struct record record;
        struct err err;
        int code = record_parse(line, (size_t)(end - line), &record, &err);
        assert_in_range(code, 0, 1);
        if (code == 0) {
            record.seq = ++seq;
            feed(replay, &record);
            normalise_check(replay->normalise);
        }
        line = end + 1;
    }
    assert_string_equal(replay->text, own_words);
    assert_int_equal(replay->book_count, 3);
    for (int i = 0; i < 3; i++) {
        struct reader_book *book = book_of(replay, str_from(own_books[i].symbol));
        assert_int_equal(book->last_id, own_books[i].last_id);
        assert_false(book->broken);
        assert_string_equal(canonical(book).data, own_books[i].levels);
    }
    assert_int_equal(replay->delta_count, 11);
    replay_close(replay);
    free(text);
}

/* ---- the recorded session */

#define LINES_MAX 512

struct recording {
    struct record records[LINES_MAX];
    uint32_t count;
    char *files[16];
    uint32_t file_count;
    json_t *expected;
};

static struct recording recorded;
static char samples[900];

static int64_t stamp(const char *text)
{
    char *rest = NULL;
    int64_t ns = strtoll(text, &rest, 10) * NS_PER_S;
    int64_t unit = NS_PER_S / 10;
    for (rest += *rest == '.'; *rest >= '0' && *rest <= '9'; rest++, unit /= 10) {
        ns += (*rest - '0') * unit;
    }
    return ns;
}

static char *take_file(const char *name, size_t *bytes)
{
    char *data = read_file(samples, name, bytes);
    assert_non_null(data);
    return recorded.files[recorded.file_count++] = data;
}

static struct record *add_record(enum record_kind kind, const char *time)
{
    assert_true(recorded.count < LINES_MAX);
    struct record *record = &recorded.records[recorded.count++];
    *record = (struct record){
        .kind = kind, .venue = VENUE_BINANCE, .conn = 1, .time_unix_ns = stamp(time)};
    return record;
}

/* time TAB message */
static void take_messages(void)
{
    size_t bytes = 0;
    char *text = take_file("session.tsv", &bytes);
    for (char *line = text; line < text + bytes;) {
        char *tab = strchr(line, '\t');
        char *end = tab + strcspn(tab, "\n");
        add_record(RECORD_RECV, line)->payload = str_make(tab + 1, (size_t)(end - tab - 1));
        line = end + 1;
    }
}

/* time TAB method TAB URL TAB file */
static void take_requests(void)
{
    static char args[16][256];
    size_t bytes = 0;
    char *text = take_file("rest/requests.tsv", &bytes);
    int at = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char time[32], method[8], url[200], file[64];
        assert_int_equal(sscanf(line, "%31s %7s %199s %63s", time, method, url, file), 4);
        int n = snprintf(args[at], sizeof args[at], "%s %s 200", method, url);
        struct record *record = add_record(RECORD_REST, time);
        record->arg = str_make(args[at++], (size_t)n);
        record->conn = 0;
        record->payload.data = take_file(file, &record->payload.bytes);
    }
}

static int by_time(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    if (x->time_unix_ns != y->time_unix_ns) {
        return x->time_unix_ns < y->time_unix_ns ? -1 : 1;
    }
    return (x > y) - (x < y);
}

static int find_samples(void **state)
{
    (void)state;
    const char *set = getenv("MD_SAMPLES");
    if (set != NULL) {
        snprintf(samples, sizeof samples, "%s/binance-spot", set);
    } else {
        snprintf(samples, sizeof samples, "%s/../shared/samples/binance-spot", source_folder());
    }
    size_t bytes = 0;
    char *found = read_file(samples, "session.tsv", &bytes);
    if (found == NULL) {
        print_message("# no %s/session.tsv (MD_SAMPLES): the recorded session is skipped\n",
                      samples);
        return 0;
    }
    free(found);
    take_messages();
    take_requests();
    qsort(recorded.records, recorded.count, sizeof recorded.records[0], by_time);
    recorded.expected = json_loads(take_file("expected_books.json", &bytes), 0, NULL);
    assert_non_null(recorded.expected);
    return 0;
}

static int forget_samples(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < recorded.file_count; i++) {
        free(recorded.files[i]);
    }
    json_decref(recorded.expected);
    return 0;
}

/* All records but one (UINT32_MAX: all), then a stop. */
static struct replay *replay_without(uint32_t left_out)
{
    struct replay *replay = replay_open();
    for (uint32_t i = 0; i < recorded.count; i++) {
        struct record record = recorded.records[i];
        record.seq = i + 1;
        if (i != left_out) {
            feed(replay, &record);
        }
    }
    struct record stop = {.kind = RECORD_STOP,
                          .time_unix_ns = recorded.records[recorded.count - 1].time_unix_ns,
                          .seq = recorded.count + 1};
    feed(replay, &stop);
    normalise_check(replay->normalise);
    return replay;
}

static void check_hash(const struct reader_book *book, const char *expected)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int bytes = 0;
    char hex[65];
    struct str text = canonical(book);
    assert_int_equal(EVP_Digest(text.data, text.bytes, digest, &bytes, EVP_sha256(), NULL), 1);
    for (unsigned int i = 0; i < 32; i++) {
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    assert_string_equal(hex, expected);
}

static void check_top(const struct book_half *half, json_t *top)
{
    assert_int_equal(json_array_size(top), 5);
    for (size_t i = 0; i < 5; i++) {
        char text[DECIMAL_TEXT_MAX];
        decimal_format_short(half->levels[i].price, text);
        assert_string_equal(text, json_string_value(json_array_get(json_array_get(top, i), 0)));
        decimal_format_short(half->levels[i].amount, text);
        assert_string_equal(text, json_string_value(json_array_get(json_array_get(top, i), 1)));
    }
}

static void check_book(struct replay *replay, const char *symbol)
{
    json_t *expected = json_object_get(recorded.expected, symbol);
    struct reader_book *book = book_of(replay, str_from(symbol));
    assert_int_equal(book->last_id,
                     json_integer_value(json_object_get(expected, "final_update_id")));
    assert_int_equal(book->bids.count, json_integer_value(json_object_get(expected, "bid_levels")));
    assert_int_equal(book->asks.count, json_integer_value(json_object_get(expected, "ask_levels")));
    check_top(&book->bids, json_object_get(expected, "top5_bids"));
    check_top(&book->asks, json_object_get(expected, "top5_asks"));
    check_hash(book, json_string_value(json_object_get(expected, "canonical_sha256")));
    assert_false(book->broken);
}

static void recorded_session_gives_the_expected_books(void **state)
{
    (void)state;
    if (recorded.count == 0) {
        return; /* said at the start; this cmocka's skip() counts as a failure in TAP */
    }
    struct replay *replay = replay_without(UINT32_MAX);
    const char *symbol = NULL;
    json_t *expected = NULL;
    int64_t deltas = 0;
    assert_int_equal(json_object_size(recorded.expected), 4);
    json_object_foreach(recorded.expected, symbol, expected)
    {
        check_book(replay, symbol);
        deltas += json_integer_value(json_object_get(expected, "diffs_total"));
    }
    assert_int_equal(replay->gap_count, 0);
    assert_int_equal(replay->delta_count, deltas); /* each one landed */
    struct normalise_stats stats = normalise_stats(replay->normalise);
    assert_int_equal(stats.snapshots_joined, 4);
    assert_int_equal(stats.duplicates, 0);
    assert_int_equal(stats.crossed_books, 0);
    replay_close(replay);
}

/* The symbol's delta before (step -1) or behind (1) number `at`; NULL: it is the first or last. */
static const struct delta *neighbour(const struct replay *replay, uint32_t at, int step)
{
    for (int64_t i = (int64_t)at + step; i >= 0 && i < replay->delta_count; i += step) {
        if (strcmp(replay->deltas[i].symbol, replay->deltas[at].symbol) == 0) {
            return &replay->deltas[i];
        }
    }
    return NULL;
}

static void check_gap(const struct replay *replay, const char *symbol, const struct delta *before,
                      const struct delta *behind)
{
    assert_int_equal(replay->gap_count, 1);
    const struct gap_event *gap = &replay->gaps[0];
    assert_string_equal(replay->gap_symbols[0], symbol);
    assert_int_equal(gap->of_channel, CHANNEL_DEPTH);
    assert_int_equal(gap->kind, GAP_SEQUENCE);
    assert_int_equal(gap->from_id, before->last + 1);
    assert_int_equal(gap->to_id, behind->first - 1);
    assert_int_equal(gap->missing, behind->first - before->last - 1);
}

static void recorded_session_without_a_depth_message_has_that_gap_alone(void **state)
{
    (void)state;
    if (recorded.count == 0) {
        return; /* said at the start; this cmocka's skip() counts as a failure in TAP */
    }
    struct replay *whole = replay_without(UINT32_MAX);
    uint32_t at = 0, gaps = 0, resynced = 0;
    for (uint32_t i = 0; i < recorded.count; i++) {
        struct str text = recorded.records[i].payload;
        if (recorded.records[i].kind != RECORD_RECV ||
            memmem(text.data, text.bytes, "\"depthUpdate\"", 13) == NULL) {
            continue;
        }
        const struct delta *before = neighbour(whole, at, -1);
        const struct delta *behind = neighbour(whole, at, 1);
        const char *symbol = whole->deltas[at].symbol;
        struct replay *replay = replay_without(i);
        if (before != NULL && behind != NULL) {
            check_gap(replay, symbol, before, behind);
            gaps++;
            if (replay->gaps[0].resolved_by == GAP_RESOLVED_RESYNC) {
                check_book(replay, symbol); /* the snapshot came behind the hole */
                resynced++;
            } else {
                assert_true(book_of(replay, str_from(symbol))->broken);
            }
        } else {
            assert_int_equal(replay->gap_count, 0); /* at the ends nothing shows it */
        }
        const char *other = NULL;
        json_t *expected = NULL;
        json_object_foreach(recorded.expected, other, expected)
        {
            if (strcmp(other, symbol) != 0) {
                check_book(replay, other);
            }
        }
        replay_close(replay);
        at++;
    }
    assert_int_equal(at, whole->delta_count);
    assert_int_equal(at, 177);
    assert_int_equal(gaps, 177 - 4 * 2);
    print_message("# %u depth messages left out, one by one: %u gaps, %u of them resynced\n", at,
                  gaps, resynced);
    replay_close(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_session_gives_the_books_and_gaps_written_here),
        cmocka_unit_test(recorded_session_gives_the_expected_books),
        cmocka_unit_test(recorded_session_without_a_depth_message_has_that_gap_alone),
    };
    return cmocka_run_group_tests(tests, find_samples, forget_samples);
}
