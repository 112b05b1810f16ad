#ifndef MD_TEST_FUZZ_VENUE_H
#define MD_TEST_FUZZ_VENUE_H

#include <stdint.h>
#include <stdio.h>

#include "base/assert.h"
#include "event_check.h"

/* What every venue's decoder is fuzzed for: each input as a frame, as the body of each REST call,
 * as a request of ours and as a token reply. Besides "no crash": events are plausible, errors have
 * reasons, control messages no events; the predicted reader and the general one say the same of a
 * frame; a body in two parts says what it says whole. */

#define FUZZ_LEVELS_MAX 64

struct fuzz_venue {
    const struct venue *venue;
    /* The decoder that never predicts; NULL: there is but one path. */
    struct decode_result (*general)(struct decoder *, const struct record *, event_sink, void *);
    enum record_kind kind;   /* of frames */
    const char *const *urls; /* one of each REST route; ends with NULL */
};

struct fuzz_seen {
    const struct record *record;
    uint32_t count;
    struct decode_result result;
    struct buf text;
    char memory[262144];
};

static inline void fuzz_on_event(void *context, const struct event *event)
{
    struct fuzz_seen *seen = context;
    const char *wrong = event_wrong(event, seen->record, FUZZ_LEVELS_MAX);
    if (wrong != NULL) {
        fprintf(stderr, "event of channel %d: %s\n", event->channel, wrong);
    }
    ASSERT(wrong == NULL);
    seen->count++;
    event_put(&seen->text, event);
}

static inline void fuzz_begin(struct fuzz_seen *seen, const struct record *record)
{
    seen->record = record;
    seen->count = 0;
    seen->text = buf_over(seen->memory, sizeof seen->memory);
}

static inline void fuzz_check(const struct fuzz_seen *seen)
{
    const char *wrong = result_wrong(&seen->result, seen->count);
    if (wrong != NULL) {
        fprintf(stderr, "result: %s\n", wrong);
    }
    ASSERT(wrong == NULL);
}

static inline void fuzz_same(const struct fuzz_seen *a, const struct fuzz_seen *b)
{
    bool same = a->result.code == b->result.code && a->result.control == b->result.control &&
                a->result.channel == b->result.channel &&
                a->result.digits_over_15 == b->result.digits_over_15 && a->count == b->count &&
                str_equal(buf_view(&a->text), buf_view(&b->text));
    if (!same) {
        fprintf(stderr, "one: code %d, channel %d, %u events, reason %s\n%.*s\n", a->result.code,
                a->result.channel, a->count, a->result.reason != NULL ? a->result.reason : "-",
                (int)a->text.bytes, a->memory);
        fprintf(stderr, "other: code %d, channel %d, %u events, reason %s\n%.*s\n", b->result.code,
                b->result.channel, b->count, b->result.reason != NULL ? b->result.reason : "-",
                (int)b->text.bytes, b->memory);
    }
    ASSERT(same);
}

static inline void fuzz_frame(const struct fuzz_venue *fuzz, struct decoder *decoder,
                              struct str payload)
{
    static struct fuzz_seen one, two;
    struct record record = {.seq = 7,
                            .time_unix_ns = 1732320000000000000,
                            .kind = fuzz->kind,
                            .venue = fuzz->venue->id,
                            .conn = 3,
                            .payload = payload};
    fuzz_begin(&one, &record);
    one.result = fuzz->venue->decode(decoder, &record, fuzz_on_event, &one);
    fuzz_check(&one);
    fuzz_begin(&two, &record);
    two.result = fuzz->general != NULL ? fuzz->general(decoder, &record, fuzz_on_event, &two)
                                       : fuzz->venue->decode(decoder, &record, fuzz_on_event, &two);
    fuzz_same(&one, &two);
    struct control_reply reply;
    fuzz->venue->control(payload, &reply);
    int peek = fuzz->venue->peek_channel(&record);
    ASSERT(peek >= -1 && peek < CHANNEL_COUNT);
}

static inline void fuzz_body(const struct fuzz_venue *fuzz, struct decoder *decoder,
                             const char *url, struct str text)
{
    static struct fuzz_seen seen[2];
    for (int parts = 0; parts < 2; parts++) {
        size_t cut = parts == 1 ? text.bytes / 3 : 0;
        struct record record = {.seq = 7,
                                .time_unix_ns = 1732320000000000000,
                                .kind = RECORD_REST_PART,
                                .venue = fuzz->venue->id,
                                .arg = str_from(url),
                                .payload = str_make(text.data, cut)};
        fuzz_begin(&seen[parts], &record);
        if (parts == 1) {
            fuzz->venue->decode(decoder, &record, fuzz_on_event, &seen[parts]);
        }
        record.kind = RECORD_REST;
        record.payload = str_make(text.data + cut, text.bytes - cut);
        seen[parts].result = fuzz->venue->decode(decoder, &record, fuzz_on_event, &seen[parts]);
        fuzz_check(&seen[parts]);
    }
    fuzz_same(&seen[0], &seen[1]);
}

static inline void fuzz_on_stream(void *context, bool on, enum channel channel, bool aggregate,
                                  struct str symbol)
{
    (void)context;
    (void)on;
    ASSERT(!aggregate || channel == CHANNEL_TRADES);
    ASSERT(channel < CHANNEL_COUNT);
    ASSERT(symbol.bytes <= 512);
}

static inline int fuzz_venue_one(const struct fuzz_venue *fuzz, const uint8_t *data, size_t size)
{
    static struct decoder *decoder;
    if (decoder == NULL) {
        struct decoder_config config = {.levels_max = FUZZ_LEVELS_MAX};
        decoder = decoder_create(&config);
        ASSERT(decoder != NULL);
    }
    struct str text = str_make((const char *)data, size);
    fuzz_frame(fuzz, decoder, text);
    for (size_t i = 0; fuzz->urls[i] != NULL; i++) {
        fuzz_body(fuzz, decoder, fuzz->urls[i], text);
    }
    struct record sent = {.kind = RECORD_SENT, .venue = fuzz->venue->id, .payload = text};
    fuzz->venue->decode_sent(&sent, fuzz_on_stream, NULL);
    struct venue_token token;
    if (fuzz->venue->token != NULL && fuzz->venue->token(text, 1, &token) == 0) {
        ASSERT(memchr(token.url, 0, sizeof token.url) != NULL);
        ASSERT(token.secret_at <= strlen(token.url));
    }
    return 0;
}

#endif
