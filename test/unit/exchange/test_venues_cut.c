/* Every venue's decoder on messages that came damaged: each message of test/data, and of the
 * recorded samples where they are found (MD_SAMPLES or ../shared/samples), cut at every length,
 * with every member at its extremes, of wrong types and under another name. Nothing crashes, what
 * comes out is plausible (event_check.h), what is refused has a reason, the predicted reader and
 * the general one agree, and the whole message decodes with the same decoder afterwards as before.
 *
 * Messages are sampled: at most SHAPE_MAX of one shape (its keys and punctuation) a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "event_check.h"
#include "exchange/binance_futures.h"
#include "exchange/binance_sbe.h"
#include "exchange/binance_spot.h"
#include "exchange/gate.h"
#include "exchange/kucoin.h"

#define LEVELS_MAX 2000
#define MESSAGES_MAX 1024
#define SHAPE_MAX 2   /* messages of one shape in a file */
#define FILE_MAX 24   /* messages of one file */
#define CUTS_MAX 600  /* lengths tried of a long message */
#define FIELDS_MAX 32 /* members tried of a message with many levels */
#define MUTANT_BYTES 65536

typedef struct decode_result (*decode_fn)(struct decoder *, const struct record *, event_sink,
                                          void *);

struct source {
    enum venue_id venue;
    const char *data;    /* file below test/data */
    const char *samples; /* folder below the samples; NULL: none */
    decode_fn general;
    bool binary; /* lines are {"hex":"..."} */
    struct str messages[MESSAGES_MAX];
    uint32_t own_count, count;
};

static struct source sources[] = {
    {VENUE_BINANCE,
     "binance/messages.jsonl",
     "binance-spot",
     binance_spot_decode_general,
     false,
     {{0}},
     0,
     0},
    {VENUE_BINANCE,
     "binance-sbe/frames.jsonl",
     "binance-spot-sbe",
     binance_sbe_decode,
     true,
     {{0}},
     0,
     0},
    {VENUE_BINANCE_FUTURES,
     "binance-futures/messages.jsonl",
     "binance-usdm",
     binance_futures_decode_general,
     false,
     {{0}},
     0,
     0},
    {VENUE_KUCOIN,
     "kucoin/messages.jsonl",
     "kucoin-spot",
     kucoin_decode_general,
     false,
     {{0}},
     0,
     0},
    {VENUE_KUCOIN_FUTURES,
     "kucoin-futures/messages.jsonl",
     "kucoin-futures",
     kucoin_decode_general,
     false,
     {{0}},
     0,
     0},
    {VENUE_GATE, "gate-io/messages.jsonl", "gate-spot", gate_decode_general, false, {{0}}, 0, 0},
    {VENUE_GATE_FUTURES,
     "gate-io-futures/messages.jsonl",
     "gate-futures",
     gate_decode_general,
     false,
     {{0}},
     0,
     0},
};
#define SOURCES (sizeof sources / sizeof sources[0])

static struct decoder *decoder;
static uint32_t levels_max = LEVELS_MAX; /* of that decoder */

/* ---- decoding and checking */

struct seen {
    const struct record *record;
    const char *what; /* is being done, in words */
    uint32_t count;
    struct decode_result result;
    struct buf text;
    char memory[1 << 20];
};

__attribute__((noreturn)) static void blame(const struct seen *seen, const char *wrong)
{
    struct str payload = seen->record->payload;
    char shown[4096];
    str_printable(shown, sizeof shown, payload.data, payload.bytes < 1000 ? payload.bytes : 1000);
    print_error("%s, %s: %s\n%s\n", venue_name(seen->record->venue), seen->what, wrong, shown);
    fail();
    abort();
}

static void on_event(void *context, const struct event *event)
{
    struct seen *seen = context;
    const char *wrong = event_wrong(event, seen->record, levels_max);
    if (wrong != NULL) {
        blame(seen, wrong);
    }
    seen->count++;
    event_put(&seen->text, event);
}

static void decode_into(struct seen *seen, decode_fn decode, const struct record *record,
                        const char *what)
{
    seen->record = record;
    seen->what = what;
    seen->count = 0;
    seen->text = buf_over(seen->memory, sizeof seen->memory);
    seen->result = decode(decoder, record, on_event, seen);
    const char *wrong = result_wrong(&seen->result, seen->count);
    if (wrong != NULL) {
        blame(seen, wrong);
    }
}

static bool same(const struct seen *a, const struct seen *b)
{
    bool same_channel = a->result.channel == b->result.channel || a->result.code != 0;
    return a->result.code == b->result.code && a->result.control == b->result.control &&
           same_channel && a->count == b->count &&
           str_equal(buf_view(&a->text), buf_view(&b->text));
}

static struct record record_of(const struct source *source, struct str payload)
{
    return (struct record){.seq = 11,
                           .time_unix_ns = 1732320000000000000,
                           .kind = source->binary ? RECORD_RECV_BINARY : RECORD_RECV,
                           .venue = source->venue,
                           .conn = 5,
                           .payload = payload};
}

static char *exact; /* until the next one */

/* In a heap block of just its size, so that ASan sees a byte read behind it. Both readers. */
static const struct seen *try(const struct source *source, const char *data, size_t bytes,
                              const char *what)
{
    static struct seen one, other;
    static struct record record;
    free(exact);
    exact = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(exact);
    memcpy(exact, data, bytes);
    record = record_of(source, str_make(exact, bytes));
    decode_into(&one, venue_of(source->venue)->decode, &record, what);
    decode_into(&other, source->general, &record, what);
    if (!same(&one, &other)) {
        blame(&one, "the predicted reader and the general one differ");
    }
    struct control_reply reply;
    venue_of(source->venue)->control(record.payload, &reply);
    int peek = venue_of(source->venue)->peek_channel(&record);
    assert_in_range(peek + 1, 0, CHANNEL_COUNT);
    return &one;
}

/* A message as it is read before it is damaged; must be read so afterwards. */
static struct seen whole;

static void take_whole(const struct source *source, const struct str *message)
{
    static struct record record;
    record = record_of(source, *message);
    decode_into(&whole, venue_of(source->venue)->decode, &record, "whole");
}

static void whole_again(const struct source *source, const struct str *message)
{
    static struct seen again;
    struct record record = record_of(source, *message);
    decode_into(&again, venue_of(source->venue)->decode, &record, "whole, afterwards");
    if (!same(&whole, &again)) {
        blame(&again, "not read as before");
    }
}

/* ---- messages */

static uint64_t shape_of(struct str message)
{
    char keys[4096];
    struct buf out = buf_over(keys, sizeof keys);
    const char *end = message.data + message.bytes;
    bool in_string = false;
    for (const char *p = message.data; p < end; p++) {
        in_string = *p == '"' ? !in_string : in_string;
        bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');
        if (in_string ? letter : *p == '{' || *p == ':') {
            buf_put_char(&out, *p);
        }
    }
    return str_hash(buf_view(&out), 0);
}

static size_t unhex(const char *hex, size_t digits, char *out)
{
    for (size_t i = 0; i + 1 < digits; i += 2) {
        char pair[3] = {hex[i], hex[i + 1], 0};
        out[i / 2] = (char)strtol(pair, NULL, 16);
    }
    return digits / 2;
}

/* {"name":..,"hex":"12ab..",..}: its bytes; else, the last tab-separated field. */
static bool add_line(struct source *source, const char *line)
{
    const char *tab = strrchr(line, '\t');
    const char *from = tab != NULL ? tab + 1 : line;
    size_t bytes = strcspn(from, "\r\n");
    const char *hex = source->binary ? strstr(line, "\"hex\":\"") : NULL;
    if (source->binary && hex == NULL) {
        return false;
    }
    if (hex != NULL) {
        from = hex + 7;
        bytes = strcspn(from, "\"");
    }
    if (bytes == 0 || bytes > MUTANT_BYTES / 2 || source->count == MESSAGES_MAX) {
        return false;
    }
    char *copy = malloc(bytes);
    assert_non_null(copy);
    memcpy(copy, from, bytes);
    size_t length = hex != NULL ? unhex(from, bytes, copy) : bytes;
    source->messages[source->count++] = str_make(copy, length);
    return true;
}

static bool load_file(struct source *source, const char *path, uint32_t shape_max,
                      uint32_t file_max)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    static uint64_t shapes[100000];
    uint32_t lines = 0, taken = 0;
    char *line = NULL;
    size_t capacity = 0;
    while (taken < file_max && lines < 100000 && getline(&line, &capacity, file) > 0) {
        const char *tab = strrchr(line, '\t');
        uint64_t shape = shape_of(str_from(tab != NULL ? tab + 1 : line));
        uint32_t seen = 0;
        for (uint32_t i = 0; i < lines; i++) {
            seen += shapes[i] == shape;
        }
        shapes[lines++] = shape;
        taken += (source->binary || seen < shape_max) && add_line(source, line);
    }
    free(line);
    fclose(file);
    return true;
}

static bool is_messages(const char *name)
{
    static const char *const not [] = {"expect", "normalised", "request",
                                       "INDEX",  "rest-",      ".recv"};
    for (size_t i = 0; i < sizeof not / sizeof not [0]; i++) {
        if (strstr(name, not [i]) != NULL) {
            return false;
        }
    }
    const char *dot = strrchr(name, '.');
    return dot != NULL && (strcmp(dot, ".jsonl") == 0 || strcmp(dot, ".tsv") == 0);
}

static bool load_samples(struct source *source, const char *source_folder)
{
    char folder[1024], path[2048];
    const char *set = getenv("MD_SAMPLES");
    snprintf(folder, sizeof folder, "%s%s/%s", set != NULL ? set : source_folder,
             set != NULL ? "" : "/../shared/samples", source->samples);
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        return false;
    }
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (is_messages(entry->d_name)) {
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            load_file(source, path, SHAPE_MAX, FILE_MAX);
        }
    }
    closedir(dir);
    return true;
}

static int set_up(void **state)
{
    (void)state;
    const char *source_folder = getenv("MD_SOURCE") != NULL ? getenv("MD_SOURCE") : ".";
    struct decoder_config config = {.levels_max = LEVELS_MAX};
    decoder = decoder_create(&config);
    assert_non_null(decoder);
    for (size_t i = 0; i < SOURCES; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/test/data/%s", source_folder, sources[i].data);
        assert_true(load_file(&sources[i], path, MESSAGES_MAX, MESSAGES_MAX));
        sources[i].own_count = sources[i].count;
        assert_true(sources[i].own_count >= 10);
        bool found = load_samples(&sources[i], source_folder);
        print_message("# %s: %u messages of our own, %u recorded ones%s\n",
                      venue_name(sources[i].venue), sources[i].own_count,
                      sources[i].count - sources[i].own_count,
                      found ? "" : " (no samples: MD_SAMPLES)");
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < SOURCES; i++) {
        for (uint32_t k = 0; k < sources[i].count; k++) {
            free((char *)(uintptr_t)sources[i].messages[k].data);
        }
    }
    free(exact);
    decoder_destroy(decoder);
    return 0;
}

/* ---- cut */

static void cut_at(const struct source *source, struct str message, size_t length)
{
    const struct seen *seen = try(source, message.data, length, "cut");
    bool same_as_whole = source->binary && same(seen, &whole);
    bool taken = seen->result.code == 0 || seen->count > 0;
    if (taken && whole.result.code == 0 && !same_as_whole) {
        blame(seen, "part of a message was taken for a message");
    }
}

/* A cut SBE frame may lack only what a later version has put behind the symbol. */
static void a_message_cut_anywhere_gives_no_event(void **state)
{
    (void)state;
    for (size_t s = 0; s < SOURCES; s++) {
        for (uint32_t i = 0; i < sources[s].count; i++) {
            struct str message = sources[s].messages[i];
            take_whole(&sources[s], &message);
            size_t count = message.bytes < CUTS_MAX ? message.bytes : CUTS_MAX;
            for (size_t k = 0; k < count; k++) {
                cut_at(&sources[s], message, message.bytes * k / count);
            }
            cut_at(&sources[s], message, message.bytes - 1);
            whole_again(&sources[s], &message);
        }
    }
}

/* What comes after the last brace: blanks are nothing, all else makes it no message. */
static void bytes_behind_a_message_are_refused(void **state)
{
    (void)state;
    static const char *const tails[] = {"x", "}", "]", ",", "\"", "{}", "1", " x", "\n", " \t"};
    static char mutant[MUTANT_BYTES];
    for (size_t s = 0; s < SOURCES; s++) {
        for (uint32_t i = 0; i < sources[s].count && !sources[s].binary; i++) {
            struct str message = sources[s].messages[i];
            take_whole(&sources[s], &message);
            memcpy(mutant, message.data, message.bytes);
            for (size_t t = 0; t < sizeof tails / sizeof tails[0]; t++) {
                size_t bytes = strlen(tails[t]);
                bool blank = strspn(tails[t], " \t\n") == bytes;
                memcpy(mutant + message.bytes, tails[t], bytes);
                const struct seen *seen =
                    try(&sources[s], mutant, message.bytes + bytes, "with bytes behind it");
                if (blank ? !same(seen, &whole) : seen->result.code == 0 || seen->count > 0) {
                    blame(seen, blank ? "not read as without the blanks" : "taken for a message");
                }
            }
            whole_again(&sources[s], &message);
        }
    }
}

/* ---- more levels than there is room for */

static void more_levels_than_a_decoder_holds_are_refused(void **state)
{
    (void)state;
    struct decoder *roomy = decoder;
    uint32_t refused = 0;
    for (uint32_t most = 1; most <= 3; most++) {
        struct decoder_config config = {.levels_max = most};
        decoder = decoder_create(&config);
        assert_non_null(decoder);
        levels_max = most;
        for (size_t s = 0; s < SOURCES; s++) {
            for (uint32_t i = 0; i < sources[s].count; i++) {
                struct str message = sources[s].messages[i];
                const struct seen *seen =
                    try(&sources[s], message.data, message.bytes, "with little room for levels");
                refused += seen->result.code == MD_ETOOBIG;
            }
        }
        decoder_destroy(decoder);
    }
    decoder = roomy;
    levels_max = LEVELS_MAX;
    assert_true(refused >= 10);
}

/* ---- members at their extremes */

struct part {
    size_t from, to;
    bool key;
};

/* The scalars and keys of a JSON text, escapes or not; a damaged one ends the walk. */
static uint32_t find_parts(struct str text, struct part *parts, uint32_t most)
{
    uint32_t count = 0;
    for (size_t at = 0; at < text.bytes && count < most;) {
        char c = text.data[at];
        if (strchr("{}[]:, \t", c) != NULL) {
            at++;
            continue;
        }
        size_t from = at++;
        if (c == '"') {
            while (at < text.bytes && text.data[at] != '"') {
                at += text.data[at] == '\\' ? 2 : 1;
            }
            at++;
        } else {
            while (at < text.bytes && strchr("{}[]:, \t", text.data[at]) == NULL) {
                at++;
            }
        }
        if (at > text.bytes) {
            break;
        }
        bool key = c == '"' && at < text.bytes && text.data[at] == ':';
        parts[count++] = (struct part){from, at, key};
    }
    return count;
}

static void try_in_place(const struct source *source, struct str message, const struct part *part,
                         const char *text)
{
    static char mutant[MUTANT_BYTES];
    char what[160];
    size_t bytes = strlen(text);
    snprintf(what, sizeof what, "bytes %zu to %zu replaced by %.40s", part->from, part->to, text);
    assert_true(message.bytes + bytes < sizeof mutant);
    memcpy(mutant, message.data, part->from);
    memcpy(mutant + part->from, text, bytes);
    memcpy(mutant + part->from + bytes, message.data + part->to, message.bytes - part->to);
    try(source, mutant, message.bytes - (part->to - part->from) + bytes, what);
}

static char long_text[1024];

static void each_member_is(const char *const *texts, bool keys)
{
    static struct part parts[4096];
    for (size_t s = 0; s < SOURCES; s++) {
        for (uint32_t i = 0; i < sources[s].count && !sources[s].binary; i++) {
            struct str message = sources[s].messages[i];
            take_whole(&sources[s], &message);
            uint32_t count = find_parts(message, parts, 4096);
            uint32_t tried = 0;
            for (uint32_t k = 0; k < count; k++) {
                /* of many levels only the first ones, and what stands behind them all */
                bool far = tried >= FIELDS_MAX && k + 12 < count;
                if (parts[k].key != keys || far) {
                    continue;
                }
                tried++;
                for (size_t t = 0; texts[t] != NULL; t++) {
                    try_in_place(&sources[s], message, &parts[k], texts[t]);
                }
                whole_again(&sources[s], &message);
            }
        }
    }
}

static void a_member_at_its_extreme_gives_a_plausible_event_or_a_reason(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0",
        "-1",
        "-0",
        "0.5",
        "1e18",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
        "1e400",
        "1e-400",
        "1234567890123456789012345678901234567890",
        "0.0000000000000000000000000000000000000000000001",
        "\"0\"",
        "\"-1\"",
        "\"9223372036854775807\"",
        "\"-9223372036854775808\"",
        "\"9223372036854775808\"",
        "\"1e400\"",
        "\"99999999999999999999e38\"",
        "\"NaN\"",
        "\" 1\"",
        NULL,
    };
    each_member_is(texts, false);
}

static void a_member_of_a_wrong_type_gives_a_plausible_event_or_a_reason(void **state)
{
    (void)state;
    memset(long_text, 'L', 700);
    long_text[0] = long_text[699] = '"';
    const char *const texts[] = {"null", "true",      "{}",          "[]",      "\"\"",
                                 "[[]]", "{\"a\":1}", "\"\\u0041\"", long_text, NULL};
    each_member_is(texts, false);
}

/* Also what a venue that leaves a member away or adds one sends. */
static void a_member_under_another_name_gives_a_plausible_event_or_a_reason(void **state)
{
    (void)state;
    static const char *const texts[] = {"\"other\"", "\"\"", "\"s\"", "\"e\"", "\"result\"", NULL};
    each_member_is(texts, true);
}

static void numbers_of_a_binary_frame_at_their_extremes_give_plausible_events(void **state)
{
    (void)state;
    static const uint64_t values[] = {
        0, 1, 0xff, 0x80, 0x7fff, 0xffff, 0x7fffffff, UINT32_MAX, INT64_MAX, 1ULL << 63, UINT64_MAX,
    };
    for (size_t s = 0; s < SOURCES; s++) {
        for (uint32_t i = 0; i < sources[s].count && sources[s].binary; i++) {
            struct str message = sources[s].messages[i];
            char mutant[MUTANT_BYTES];
            take_whole(&sources[s], &message);
            for (size_t at = 0; at < message.bytes; at++) {
                for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
                    for (size_t width = 1; width <= 8 && at + width <= message.bytes; width *= 2) {
                        memcpy(mutant, message.data, message.bytes);
                        memcpy(mutant + at, &values[v], width);
                        try(&sources[s], mutant, message.bytes, "a number replaced");
                    }
                }
            }
            whole_again(&sources[s], &message);
        }
    }
}

/* What a connection drops first when the ring fills is chosen by this glance. */
static void a_glance_at_a_message_tells_its_channel_or_nothing(void **state)
{
    (void)state;
    for (size_t s = 0; s < SOURCES; s++) {
        for (uint32_t i = 0; i < sources[s].count; i++) {
            take_whole(&sources[s], &sources[s].messages[i]);
            struct record record = record_of(&sources[s], sources[s].messages[i]);
            int peek = venue_of(sources[s].venue)->peek_channel(&record);
            /* Gate's futures.tickers is a row in two channels; it is called by one of them */
            bool twin = sources[s].venue == VENUE_GATE_FUTURES && peek == CHANNEL_TICKER &&
                        whole.result.channel == CHANNEL_DERIVATIVE_TICKER;
            if (whole.count > 0 && peek != -1 && peek != whole.result.channel && !twin) {
                print_error("%s: channel %d at a glance, %d read\n%.*s\n",
                            venue_name(sources[s].venue), peek, whole.result.channel,
                            (int)record.payload.bytes, record.payload.data);
                fail();
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_cut_anywhere_gives_no_event),
        cmocka_unit_test(bytes_behind_a_message_are_refused),
        cmocka_unit_test(more_levels_than_a_decoder_holds_are_refused),
        cmocka_unit_test(a_member_at_its_extreme_gives_a_plausible_event_or_a_reason),
        cmocka_unit_test(a_member_of_a_wrong_type_gives_a_plausible_event_or_a_reason),
        cmocka_unit_test(a_member_under_another_name_gives_a_plausible_event_or_a_reason),
        cmocka_unit_test(numbers_of_a_binary_frame_at_their_extremes_give_plausible_events),
        cmocka_unit_test(a_glance_at_a_message_tells_its_channel_or_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
