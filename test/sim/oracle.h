#ifndef MD_TEST_SIM_ORACLE_H
#define MD_TEST_SIM_ORACLE_H

#include "world.h"

/* Knows every trade and every book there ever was (the simulators' model), hears every event that
 * was decoded, and reads back every file that was sealed. What it asserts stands at the head of
 * oracle.c. Findings are counted and the first ones printed; nothing is asserted here. */

/* `quiet`: findings are counted, not printed (a control that must find something). */
void oracle_open(const struct world_config *config, bool quiet);
void oracle_close(void);

/* The world's hooks, as they are. */
void oracle_on_decoded(void *context, const struct event *event);
void oracle_on_landed(void *context, struct land *land, const struct record *record);
void oracle_on_cut(void *context, uint64_t synced_seq);
void oracle_on_fault(void *context, uint32_t place, const struct world_fault *fault);

/* Reads the disk and judges all of it. Returns how many findings there are, those from before
 * included. */
uint64_t oracle_judge(void);

/* One stream, after oracle_judge(). Spans are inclusive and sorted. */
struct oracle_span {
    int64_t first, last;
    uint64_t seq; /* of the message, or of the gap row's */
    int64_t prev; /* depth messages: the one before, as the venue says; ID_NONE */
    int64_t start_ns, end_ns, missing;
    enum gap_kind kind;
    enum gap_resolved resolved;
    bool snapshot;
    uint32_t conn; /* of what was received, and when */
    int64_t recv_ns;
};
struct oracle_stream {
    enum venue_id venue;
    uint32_t place, symbol;
    enum channel channel;
    bool aggregate;
    struct oracle_span *landed, *received, *gaps;
    size_t landed_count, received_count, gap_count;
};
/* NULL: nothing of it was ever seen. */
const struct oracle_stream *oracle_stream_of(uint32_t place, enum channel channel, uint32_t symbol,
                                             bool aggregate);
uint64_t oracle_books_checked(void);
uint64_t oracle_rows(void);
/* Message faults the simulators committed, in order. */
const struct world_fault *oracle_faults(uint32_t place, size_t *count);
/* Prints and counts a finding. */
void oracle_find(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ids of the venue as the model's numbers: of a trade, and of the update a book id stands for
 * (*whole: not in the middle of one). */
int64_t oracle_trade_index(uint32_t place, uint32_t symbol, int64_t id, bool *placeholder);
int64_t oracle_update_index(uint32_t place, uint32_t symbol, int64_t id, bool *whole);

#endif
