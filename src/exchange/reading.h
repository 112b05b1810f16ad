#ifndef MD_EXCHANGE_READING_H
#define MD_EXCHANGE_READING_H

#include "exchange/decoder.h"
#include "exchange/scan.h"

/* What the frame decoders of all venues share: one record being read into one event, the readers of
 * single members, and the reasons why they refuse. Predicted readers read the key order recordings
 * show and fail softly; general ones take any order, extra keys, numbers as numbers or strings, and
 * say why they refuse. */
struct reading {
    struct decoder *decoder;
    const struct record *record;
    event_sink sink;
    void *context;
    struct event event;
    struct decode_result result;
    int kind;                 /* the venue's own: which sort of message */
    struct str stream_symbol; /* from the stream's or topic's name, as sent */
};

struct reading reading_of(struct decoder *decoder, const struct record *record, event_sink sink,
                          void *context);
/* A fresh event of this channel (result and event start anew). */
void reading_begin(struct reading *reading, enum channel channel);
void reading_emit(struct reading *reading);
/* Notes why; returns false, so that it can be returned. */
bool reading_refuse(struct reading *reading, int code, const char *reason);

static inline void reading_count_digits(struct reading *reading, struct decimal value)
{
    if (__builtin_expect(value.mantissa > 999999999999999LL || value.mantissa < -999999999999999LL,
                         0)) {
        reading->result.digits_over_15 += decimal_digits(value) > 15;
    }
}

/* ---- predicted */

static inline bool reading_predicted_decimal(struct reading *reading, struct scan *scan,
                                             struct decimal *out)
{
    if (!scan_decimal(scan, out)) {
        return false;
    }
    reading_count_digits(reading, *out);
    return true;
}

static inline bool reading_predicted_bool(struct scan *scan, bool *out)
{
    *out = scan_expect(scan, "true");
    return *out || scan_expect(scan, "false");
}

/* `[["p","q"],...]` into levels (decoder->levels_max of them). */
bool reading_predicted_levels(struct reading *reading, struct scan *scan, struct level *levels,
                              uint32_t *count);

/* ---- general. Each says why when it returns false. */

bool reading_decimal(struct reading *reading, const struct scan_value *value, struct decimal *out);
/* Absent or null: not set. */
bool reading_decimal_opt(struct reading *reading, const struct scan_value *value,
                         struct decimal_opt *out);
/* The same, and an empty string is absent too. */
bool reading_decimal_blank(struct reading *reading, const struct scan_value *value,
                           struct decimal_opt *out);
/* Totals of a day or a candle may run beyond 18 digits; they are rounded there and counted. */
bool reading_total(struct reading *reading, const struct scan_value *value,
                   struct decimal_opt *out);
bool reading_i64(struct reading *reading, const struct scan_value *value, int64_t *out);
/* Absent or null: ID_NONE. */
bool reading_i64_opt(struct reading *reading, const struct scan_value *value, int64_t *out);
/* Milliseconds, or microseconds from 10^14 on (Binance). */
bool reading_time_ms(struct reading *reading, const struct scan_value *value, int64_t *out);
bool reading_time_ms_ns(struct reading *reading, int64_t value, int64_t *out);
/* Seconds, milliseconds, microseconds or nanoseconds, told by magnitude (10^11, 10^14, 10^17), as
 * number or string, perhaps with a fraction ("1682689046123.4578", 1739814676.707), exact to the
 * nanosecond. */
bool reading_time_any(struct reading *reading, const struct scan_value *value, int64_t *out);
/* The same; absent, null, 0 or an empty string: TIME_NONE. */
bool reading_time_any_opt(struct reading *reading, const struct scan_value *value, int64_t *out);
/* The last microsecond of a candle of our interval names (1m .. 12h, 1d, 1w) that opens then; 30d
 * and longer by days. False: not an interval. */
bool reading_candle_close(struct str interval, int64_t open_unix_ns, int64_t *close_unix_ns);
/* "buy"/"sell" in any case; anything else is SIDE_UNKNOWN. */
enum side reading_side(const struct scan_value *value);
/* Into event.symbol; escapes are undone into the decoder's scratch. */
bool reading_symbol(struct reading *reading, const struct scan_value *value);
/* A list of pairs, into levels (decoder->levels_max of them); further members are ignored. */
bool reading_levels(struct reading *reading, const struct scan_value *side, struct level *levels,
                    uint32_t *count);
static inline struct level *reading_bids(struct reading *reading)
{
    return reading->decoder->levels;
}
static inline struct level *reading_asks(struct reading *reading)
{
    return reading->decoder->levels + reading->decoder->levels_max;
}

#endif
