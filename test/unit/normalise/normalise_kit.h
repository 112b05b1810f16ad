#ifndef TEST_NORMALISE_KIT_H
#define TEST_NORMALISE_KIT_H

/* What the tests of normalise share: a normalise whose output becomes lines of text, and short ways
 * to feed it. Venue binance; times in whole seconds; each call is one record with the next seq.
 *
 *   trade BTC 7        agg BTC 7       ticker BTC 7     plain CHANNEL BTC
 *   trade BTC 7 rest (REST brought it)   trades? BTC 7-9 (a page is wanted; agg? likewise)
 *   delta BTC 5-6      snapshot BTC 6: b 10 1, a 11 2      want BTC      check BTC
 *   gap CHANNEL SYMBOL KIND FROM-TO missing N START..END RESOLVED     ("-": none) */

#include "normalise/normalise.h"

struct kit {
    struct normalise *normalise;
    int64_t now_s;
    uint32_t conn;
    uint64_t seq;
    enum venue_id venue;
    bool quiet;       /* no lines */
    bool begin_files; /* each event that is no snapshot asks for the book first, as a new file does
                       */
    bool no_check;    /* normalise_check() after every step */
    struct buf lines;
    char text[1 << 16];
    /* of the last snapshot that came out */
    int64_t snapshot_recv_ns;
    uint32_t snapshot_conn;
    uint64_t snapshot_seq;
    uint64_t stream_of_last;
    uint64_t digest; /* of every value of every event so far, exponents and stamps too */
};

extern const struct normalise_config kit_config; /* 64 streams, 8 books, 64 KiB for levels */

struct kit *kit_open(const struct normalise_config *config); /* NULL: kit_config */
void kit_close(struct kit *kit);

void kit_trade(struct kit *kit, const char *symbol, int64_t id);
void kit_aggregate(struct kit *kit, const char *symbol, int64_t id);
void kit_ticker(struct kit *kit, const char *symbol, int64_t update_id);
void kit_plain(struct kit *kit, enum channel channel, const char *symbol);
/* levels: "b 10 1, a 11 2"; amount 0 deletes */
void kit_delta(struct kit *kit, const char *symbol, int64_t first, int64_t last,
               const char *levels);
void kit_snapshot(struct kit *kit, const char *symbol, int64_t id, const char *levels);
/* The same, brought by the stream itself. */
void kit_full(struct kit *kit, const char *symbol, int64_t id, const char *levels);
void kit_event(struct kit *kit, const struct event *event);
void kit_record(struct kit *kit, enum record_kind kind, const char *arg, const char *payload);
void kit_subscribe(struct kit *kit, const char *streams); /* "\"btc@trade\",\"btc@depth@100ms\"" */
void kit_tick(struct kit *kit);                           /* one second later */
void kit_undecodable(struct kit *kit, int channel, const char *reason);

/* A REST page of trades; `from`: the first id that was asked for, ID_NONE. `whole`: it ends well.
 */
void kit_page(struct kit *kit, const char *symbol, int32_t flags, int64_t from, const int64_t *ids,
              uint32_t count, bool whole);

/* What came out since the last call; valid until the next. */
const char *kit_lines(struct kit *kit);
#define EXPECT(kit, lines) assert_string_equal(kit_lines(kit), lines)

#endif
