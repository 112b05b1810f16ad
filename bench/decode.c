/* bench_decode [OUT_DIR]: what it costs to turn a message into an event, per channel: our predicted
 * path, our general path, and jansson (parse and fetch the same members), side by side in one run,
 * medians of five. Messages: one of our own per channel, and the recorded session when it is found
 * (MD_SAMPLES or
 * ../shared/samples). Prints a table, writes OUT_DIR/decode.json (default build/bench). */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "exchange/binance_spot.h"

#define RUNS 5
#define MESSAGES_MAX 4096

struct set {
    const char *name;
    struct str messages[MESSAGES_MAX];
    size_t count;
};

static uint64_t sink_sum;

static void on_event(void *context, const struct event *event)
{
    (void)context;
    sink_sum += (uint64_t)event->channel + event->symbol.bytes;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

typedef void (*decode_one)(struct decoder *decoder, const struct record *record);

static void predicted(struct decoder *decoder, const struct record *record)
{
    binance_spot.decode(decoder, record, on_event, NULL);
}

static void general(struct decoder *decoder, const struct record *record)
{
    binance_spot_decode_general(decoder, record, on_event, NULL);
}

/* Every string or number of the payload is fetched, as a decoder on jansson would have to. */
static void touch(const json_t *value)
{
    const char *key;
    const json_t *member;
    size_t index;
    if (json_is_object(value)) {
        void *at = json_object_iter((json_t *)(uintptr_t)value);
        for (; at != NULL; at = json_object_iter_next((json_t *)(uintptr_t)value, at)) {
            key = json_object_iter_key(at);
            sink_sum += (uint64_t)key[0];
            touch(json_object_iter_value(at));
        }
    } else if (json_is_array(value)) {
        json_array_foreach(value, index, member)
        {
            touch(member);
        }
    } else if (json_is_string(value)) {
        sink_sum += (uint64_t)strtod(json_string_value(value), NULL);
    } else if (json_is_integer(value)) {
        sink_sum += (uint64_t)json_integer_value(value);
    }
}

static void with_jansson(struct decoder *decoder, const struct record *record)
{
    json_error_t error;
    (void)decoder;
    json_t *parsed = json_loadb(record->payload.data, record->payload.bytes, 0, &error);
    touch(parsed);
    json_decref(parsed);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double measure(struct decoder *decoder, const struct set *set, decode_one decode)
{
    double runs[RUNS];
    size_t rounds = 400000 / set->count + 1;
    for (int run = 0; run < RUNS; run++) {
        double start = now_ns();
        for (size_t round = 0; round < rounds; round++) {
            for (size_t i = 0; i < set->count; i++) {
                struct record record = {.seq = i + 1,
                                        .kind = RECORD_RECV,
                                        .venue = VENUE_BINANCE,
                                        .conn = 1,
                                        .payload = set->messages[i]};
                decode(decoder, &record);
            }
        }
        runs[run] = (now_ns() - start) / (double)(rounds * set->count);
    }
    qsort(runs, RUNS, sizeof runs[0], by_value);
    return runs[RUNS / 2];
}

static void load(struct set *set, const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t capacity = 0;
    ssize_t bytes = 0;
    while (file != NULL && set->count < MESSAGES_MAX &&
           (bytes = getline(&line, &capacity, file)) > 0) {
        const char *tab = strchr(line, '\t');
        const char *from = tab != NULL ? tab + 1 : line;
        size_t length = strcspn(from, "\n");
        char *copy = malloc(length + 1);
        memcpy(copy, from, length);
        set->messages[set->count++] = str_make(copy, length);
    }
    free(line);
    if (file != NULL) {
        fclose(file);
    }
}

static struct set sets[] = {
    {"trade",
     {STR("{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1786183200055123,\"s\":"
          "\"BTCUSDT\","
          "\"t\":6564147733,\"p\":\"64994.31000000\",\"q\":\"0.00330000\",\"T\":1786183200055000,"
          "\"m\":true,"
          "\"M\":true}}")},
     1},
    {"aggTrade",
     {STR("{\"stream\":\"nknusdt@aggTrade\",\"data\":{\"e\":\"aggTrade\",\"E\":1786183200055123,"
          "\"s\":"
          "\"NKNUSDT\",\"a\":15683430,\"p\":\"0.35280000\",\"q\":\"58.00000000\",\"f\":19862790,"
          "\"l\":"
          "19862790,\"T\":1786183200055000,\"m\":false,\"M\":true}}")},
     1},
    {"bookTicker",
     {STR("{\"stream\":\"nknusdt@bookTicker\",\"data\":{\"u\":499869768,\"s\":\"NKNUSDT\",\"b\":"
          "\"0.35210000\",\"B\":\"672.00000000\",\"a\":\"0.35260000\",\"A\":\"3199.00000000\"}}")},
     1},
    {"depth",
     {STR("{\"stream\":\"nknusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":"
          "1786183200055000,"
          "\"s\":\"NKNUSDT\",\"U\":499869761,\"u\":499869764,\"b\":[[\"0.35090000\",\"59."
          "00000000\"]],\"a\":"
          "[[\"0.35280000\",\"7231.00000000\"],[\"0.35300000\",\"6500.00000000\"]]}}")},
     1},
    {"kline",
     {STR("{\"stream\":\"nknusdt@kline_1m\",\"data\":{\"e\":\"kline\",\"E\":1633998523963,\"s\":"
          "\"NKNUSDT\","
          "\"k\":{\"t\":1633998480000,\"T\":1633998539999,\"s\":\"NKNUSDT\",\"i\":\"1m\",\"f\":"
          "19862761,\"L\":"
          "19862790,\"o\":\"0.35270000\",\"c\":\"0.35280000\",\"h\":\"0.35280000\",\"l\":\"0."
          "35220000\",\"v\":"
          "\"25877.00000000\",\"n\":30,\"x\":false,\"q\":\"9116.04600000\",\"V\":\"58.00000000\","
          "\"Q\":"
          "\"20.46240000\",\"B\":\"0\"}}}")},
     1},
    {"recorded session", {{0}}, 0},
};

int main(int argc, char **argv)
{
    const char *out_dir = argc > 1 ? argv[1] : "build/bench";
    const char *samples = getenv("MD_SAMPLES");
    char path[512];
    snprintf(path, sizeof path, "%s/binance-spot/session.tsv",
             samples != NULL ? samples : "../shared/samples");
    struct set *recorded = &sets[sizeof sets / sizeof sets[0] - 1];
    load(recorded, path);
    struct decoder_config config = {.levels_max = 8192};
    struct decoder *decoder = decoder_create(&config);
    if (decoder == NULL) {
        return 1;
    }
    snprintf(path, sizeof path, "%s/decode.json", out_dir);
    FILE *json = fopen(path, "w");
    printf("%-18s %12s %12s %12s   ns a message, median of %d\n", "", "predicted", "general",
           "jansson", RUNS);
    if (json != NULL) {
        fprintf(json, "{\"unit\":\"ns per message\",\"runs\":%d", RUNS);
    }
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        if (sets[i].count == 0) {
            printf("%-18s not found: %s\n", sets[i].name, "MD_SAMPLES");
            continue;
        }
        double a = measure(decoder, &sets[i], predicted);
        double b = measure(decoder, &sets[i], general);
        double c = measure(decoder, &sets[i], with_jansson);
        printf("%-18s %12.1f %12.1f %12.1f\n", sets[i].name, a, b, c);
        if (json != NULL) {
            fprintf(json, ",\"%s\":{\"predicted\":%.1f,\"general\":%.1f,\"jansson\":%.1f}",
                    sets[i].name, a, b, c);
        }
    }
    if (json != NULL) {
        fprintf(json, "}\n");
        fclose(json);
    }
    decoder_destroy(decoder);
    return sink_sum == 0;
}
