/* bench_decode [OUT_DIR]: what it costs to turn a message into events, per venue, kind of socket
 * and channel: our decoder, our general path (any order of keys; a row of its own for messages that
 * only it can read, a column beside those that the predicted readers take), and what a
 * JSON library takes for parsing alone (a tree made and freed, no value looked at): jansson, and
 * yyjson where it is installed. Side by side in one run: each round measures all of them over the
 * same messages, one after the other; medians of ROUNDS. The messages are those of test/data and,
 * where they are found, the recorded ones (MD_SAMPLES or ../shared/samples); run it in the source
 * folder. Prints a table, writes OUT_DIR/decode.json (default build/bench). */
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "exchange/binance_futures.h"
#include "exchange/binance_sbe.h"
#include "exchange/binance_spot.h"
#include "exchange/gate.h"
#include "exchange/kucoin.h"

#ifdef MD_HAVE_YYJSON
#include <yyjson.h>
#endif

#define ROUNDS 7
#define ROUND_NS 3e6 /* for one decoder in one round */
#define MESSAGES_MAX 4096
#define ROWS_MAX 96

typedef struct decode_result (*decode_fn)(struct decoder *, const struct record *, event_sink,
                                          void *);

static const struct source {
    enum venue_id venue;
    const char *data;    /* below test/data */
    const char *samples; /* folder below the samples */
    decode_fn general;   /* NULL: there is but one path */
    bool binary;         /* lines hold "hex":".." */
} sources[] = {
    {VENUE_BINANCE, "binance/messages.jsonl", "binance-spot", binance_spot_decode_general, false},
    {VENUE_BINANCE, "binance-sbe/frames.jsonl", "binance-spot-sbe", NULL, true},
    {VENUE_BINANCE_FUTURES, "binance-futures/messages.jsonl", "binance-usdm",
     binance_futures_decode_general, false},
    {VENUE_KUCOIN, "kucoin/messages.jsonl", "kucoin-spot", kucoin_decode_general, false},
    {VENUE_KUCOIN_FUTURES, "kucoin-futures/messages.jsonl", "kucoin-futures", kucoin_decode_general,
     false},
    {VENUE_GATE, "gate-io/messages.jsonl", "gate-spot", gate_decode_general, false},
    {VENUE_GATE_FUTURES, "gate-io-futures/messages.jsonl", "gate-futures", gate_decode_general,
     false},
};

/* Messages of one venue, kind of socket, channel and path through our decoder. */
struct row {
    const struct source *source;
    const char *wire;
    int channel;
    bool general_path;
    struct str messages[MESSAGES_MAX];
    uint32_t count, own_count;
    size_t bytes;
};

static struct row *rows[ROWS_MAX];
static uint32_t row_count;
static struct decoder *decoder;
static uint64_t events, sink_sum;

static void on_event(void *context, const struct event *event)
{
    (void)context;
    events++;
    sink_sum += (uint64_t)event->channel + event->symbol.bytes;
}

/* ---- messages */

static struct record record_of(const struct source *source, struct str payload)
{
    return (struct record){.seq = 1,
                           .kind = source->binary ? RECORD_RECV_BINARY : RECORD_RECV,
                           .venue = source->venue,
                           .conn = 1,
                           .payload = payload};
}

static const char *wire_of(const struct source *source, struct str message)
{
    bool kucoin = source->venue == VENUE_KUCOIN || source->venue == VENUE_KUCOIN_FUTURES;
    bool unified = message.bytes > 5 && memcmp(message.data, "{\"T\":", 5) == 0;
    return source->binary ? "sbe" : !kucoin ? "json" : unified ? "unified" : "classic";
}

static struct row *row_for(const struct source *source, const char *wire,
                           const struct decode_result *result)
{
    for (uint32_t i = 0; i < row_count; i++) {
        if (rows[i]->source->venue == source->venue && strcmp(rows[i]->wire, wire) == 0 &&
            rows[i]->channel == result->channel && rows[i]->general_path == result->general_path) {
            return rows[i];
        }
    }
    if (row_count == ROWS_MAX) {
        return NULL;
    }
    struct row *row = calloc(1, sizeof *row);
    if (row != NULL) {
        row->source = source;
        row->wire = wire;
        row->channel = result->channel;
        row->general_path = result->general_path;
        rows[row_count++] = row;
    }
    return row;
}

/* Good market data only: refusals and acks are not what a recorder's day is made of. */
static void add(const struct source *source, struct str message, bool own)
{
    struct record record = record_of(source, message);
    events = 0;
    struct decode_result result = venue_of(source->venue)->decode(decoder, &record, on_event, NULL);
    if (result.code != 0 || events == 0) {
        return;
    }
    struct row *row = row_for(source, wire_of(source, message), &result);
    char *copy = row != NULL && row->count < MESSAGES_MAX ? malloc(message.bytes) : NULL;
    if (copy == NULL) {
        return;
    }
    memcpy(copy, message.data, message.bytes);
    row->messages[row->count++] = str_make(copy, message.bytes);
    row->own_count += own;
    row->bytes += message.bytes;
}

static void load_file(const struct source *source, const char *path, bool own)
{
    static char binary[65536];
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t capacity = 0;
    while (file != NULL && getline(&line, &capacity, file) > 0) {
        const char *tab = strrchr(line, '\t');
        const char *from = tab != NULL ? tab + 1 : line;
        const char *hex = source->binary ? strstr(line, "\"hex\":\"") : NULL;
        size_t bytes = 0;
        if (!source->binary) {
            add(source, str_make(from, strcspn(from, "\r\n")), own);
        } else if (hex != NULL) {
            unsigned value = 0;
            for (hex += 7; bytes < sizeof binary && sscanf(hex, "%2x", &value) == 1; hex += 2) {
                binary[bytes++] = (char)value;
            }
            add(source, str_make(binary, bytes), own);
        }
    }
    free(line);
    if (file != NULL) {
        fclose(file);
    }
}

static bool is_messages(const char *name)
{
    const char *dot = strrchr(name, '.');
    bool known = dot != NULL && (strcmp(dot, ".jsonl") == 0 || strcmp(dot, ".tsv") == 0);
    return known && strstr(name, "expect") == NULL && strstr(name, "rest-") == NULL &&
           strstr(name, "normalised") == NULL && strstr(name, "request") == NULL;
}

/* Sessions as they came, and single messages by channel. */
static bool load_samples(const struct source *source, const char *samples)
{
    char folder[1024], path[2048];
    snprintf(folder, sizeof folder, "%s/%s", samples, source->samples);
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (is_messages(entry->d_name)) {
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            load_file(source, path, false);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return dir != NULL;
}

/* ---- what is measured: each does one message of a row */

static void ours(const struct row *row, struct str message)
{
    struct record record = record_of(row->source, message);
    venue_of(row->source->venue)->decode(decoder, &record, on_event, NULL);
}

static void general(const struct row *row, struct str message)
{
    struct record record = record_of(row->source, message);
    row->source->general(decoder, &record, on_event, NULL);
}

static void with_jansson(const struct row *row, struct str message)
{
    json_error_t error;
    (void)row;
    json_t *parsed = json_loadb(message.data, message.bytes, 0, &error);
    sink_sum += parsed != NULL;
    json_decref(parsed);
}

#ifdef MD_HAVE_YYJSON
static void with_yyjson(const struct row *row, struct str message)
{
    (void)row;
    yyjson_doc *parsed = yyjson_read(message.data, message.bytes, 0);
    sink_sum += parsed != NULL;
    yyjson_doc_free(parsed);
}
#endif

enum { OURS, GENERAL, JANSSON, YYJSON, DECODERS };

static const struct {
    const char *name;
    void (*one)(const struct row *row, struct str message);
} decoders[DECODERS] = {
    [OURS] = {"ours", ours},
    [GENERAL] = {"general", general},
    [JANSSON] = {"jansson", with_jansson},
#ifdef MD_HAVE_YYJSON
    [YYJSON] = {"yyjson", with_yyjson},
#else
    [YYJSON] = {"yyjson", NULL},
#endif
};

static bool applies(const struct row *row, int which)
{
    if (which == OURS) {
        return true;
    }
    return decoders[which].one != NULL && !row->source->binary &&
           !(which == GENERAL && row->general_path); /* the same as ours */
}

/* ---- measuring */

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double pass_ns(const struct row *row, int which, size_t passes)
{
    double start = now_ns();
    for (size_t pass = 0; pass < passes; pass++) {
        for (uint32_t i = 0; i < row->count; i++) {
            decoders[which].one(row, row->messages[i]);
        }
    }
    return now_ns() - start;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ns a message; 0 where a decoder does not apply. */
static void measure(const struct row *row, double out[DECODERS])
{
    double runs[DECODERS][ROUNDS];
    size_t passes[DECODERS] = {0};
    for (int which = 0; which < DECODERS; which++) {
        if (applies(row, which)) {
            double once = pass_ns(row, which, 1);
            once = pass_ns(row, which, 1); /* the first one warms up */
            passes[which] = 1 + (size_t)(ROUND_NS / (once > 1 ? once : 1));
        }
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int which = 0; which < DECODERS; which++) {
            if (passes[which] > 0) {
                double messages = (double)passes[which] * row->count;
                runs[which][round] = pass_ns(row, which, passes[which]) / messages;
            }
        }
    }
    for (int which = 0; which < DECODERS; which++) {
        out[which] = 0;
        if (passes[which] > 0) {
            qsort(runs[which], ROUNDS, sizeof runs[which][0], by_value);
            out[which] = runs[which][ROUNDS / 2];
        }
    }
}

/* ---- output */

static int by_name(const void *a, const void *b)
{
    const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;
    int order = (int)x->source->venue - (int)y->source->venue;
    order = order != 0 ? order : strcmp(x->wire, y->wire);
    order = order != 0 ? order : x->channel - y->channel;
    return order != 0 ? order : x->general_path - y->general_path;
}

static void print_cell(double value, int decimals, const char *unit)
{
    char text[32] = "-";
    if (value > 0) {
        snprintf(text, sizeof text, "%.*f%s", decimals, value, unit);
    }
    printf("%9s", text);
}

static void print_head(bool found)
{
    printf("ns a message, medians of %d rounds%s; libraries: parse and free alone\n", ROUNDS,
           found ? "" : "; recorded messages not found (MD_SAMPLES)");
    printf("%-15s %-8s %-20s %-9s %8s %6s", "", "", "", "keys", "messages", "bytes");
    for (int which = 0; which < DECODERS; which++) {
        printf("%9s", decoders[which].name);
    }
    printf("%9s%9s\n", "jansson/", "yyjson/");
}

static const char *keys_of(const struct row *row)
{
    return row->source->binary ? "-" : row->general_path ? "any" : "predicted";
}

static void print_row(const struct row *row, const double ns[DECODERS])
{
    printf("%-15s %-8s %-20s %-9s %8u %6zu", venue_name(row->source->venue), row->wire,
           channel_name((enum channel)row->channel), keys_of(row), row->count,
           row->bytes / row->count);
    for (int which = 0; which < DECODERS; which++) {
        print_cell(ns[which], 0, "");
    }
    print_cell(ns[JANSSON] / ns[OURS], 1, "x");
    print_cell(ns[YYJSON] / ns[OURS], 1, "x");
    printf("\n");
}

static void write_row(FILE *json, const struct row *row, const double ns[DECODERS], bool first)
{
    fprintf(json,
            "%s\n{\"exchange\":\"%s\",\"socket\":\"%s\",\"channel\":\"%s\",\"keys\":\"%s\","
            "\"messages\":%u,\"own\":%u,\"bytes\":%zu",
            first ? "" : ",", venue_name(row->source->venue), row->wire,
            channel_name((enum channel)row->channel), keys_of(row), row->count, row->own_count,
            row->bytes / row->count);
    for (int which = 0; which < DECODERS; which++) {
        if (ns[which] > 0) {
            fprintf(json, ",\"%s\":%.1f", decoders[which].name, ns[which]);
        }
    }
    fprintf(json, "}");
}

int main(int argc, char **argv)
{
    char path[1024];
    const char *set = getenv("MD_SAMPLES");
    const char *samples = set != NULL ? set : "../shared/samples";
    struct decoder_config config = {.levels_max = 8192};
    decoder = decoder_create(&config);
    if (decoder == NULL) {
        return 1;
    }
    bool found = false;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        snprintf(path, sizeof path, "test/data/%s", sources[i].data);
        load_file(&sources[i], path, true);
        found = load_samples(&sources[i], samples) || found;
    }
    if (row_count == 0) {
        fprintf(stderr, "no messages in test/data: run it in the source folder\n");
        return 1;
    }
    qsort(rows, row_count, sizeof rows[0], by_name);
    snprintf(path, sizeof path, "%s/decode.json", argc > 1 ? argv[1] : "build/bench");
    FILE *json = fopen(path, "w");
    if (json != NULL) {
        fprintf(json, "{\"unit\":\"ns per message\",\"rounds\":%d,\"rows\":[", ROUNDS);
    }
    print_head(found);
    for (uint32_t i = 0; i < row_count; i++) {
        double ns[DECODERS];
        measure(rows[i], ns);
        print_row(rows[i], ns);
        fflush(stdout);
        if (json != NULL) {
            write_row(json, rows[i], ns, i == 0);
        }
    }
    if (json != NULL) {
        fprintf(json, "]}\n");
        fclose(json);
    }
    for (uint32_t i = 0; i < row_count; i++) {
        for (uint32_t k = 0; k < rows[i]->count; k++) {
            free((char *)(uintptr_t)rows[i]->messages[k].data);
        }
        free(rows[i]);
    }
    decoder_destroy(decoder);
    return sink_sum == 0;
}
