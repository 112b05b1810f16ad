#ifndef MD_JOURNAL_RECORD_H
#define MD_JOURNAL_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* One thing that came from outside: what the frame ring carries, what the journal keeps, and what
 * landing is a pure function of. Kind and venue numbers are on disk: never renumber, only append.
 */

/* number, enum, name in the recording text format */
#define RECORD_KIND_LIST(X)                                                                    \
    X(1, RECORD_OPEN, "open")            /* arg = URL */                                       \
    X(2, RECORD_RECV, "recv")            /* payload = text frame */                            \
    X(3, RECORD_RECV_BINARY, "recv-hex") /* payload = binary frame */                          \
    X(4, RECORD_SENT, "sent")            /* payload = text frame we sent */                    \
    X(5, RECORD_REST_PART, "rest-part")  /* arg as rest; a part of the body, more follows */   \
    X(6, RECORD_REST, "rest")      /* arg = "GET URL STATUS", payload = (rest of) the body */  \
    X(7, RECORD_CLOSE, "close")    /* arg = "CODE reason" */                                   \
    X(8, RECORD_DROP, "drop")      /* arg = "COUNT CHANNEL first_unix_ns last_unix_ns" */      \
    X(9, RECORD_TICK, "tick")      /* once a second; conn = the last number given */           \
    X(10, RECORD_START, "start")   /* a recorder begins; arg = recorder id and version */      \
    X(11, RECORD_STOP, "stop")     /* it ended in good order */                                \
    X(12, RECORD_CONFIG, "config") /* payload = settings that shape what lands, key=value\n */ \
    X(13, RECORD_STATE, "state")   /* payload = checkpoint part at a segment's start */        \
    X(14, RECORD_TUNE, "tune")     /* payload = what tuning changed in the files, key=value\n */

enum record_kind {
#define X(number, name, text) name = number,
    RECORD_KIND_LIST(X)
#undef X
};

/* number, enum, exchange id (tardis spelling) */
#define VENUE_LIST(X)                              \
    X(1, VENUE_BINANCE, "binance")                 \
    X(2, VENUE_BINANCE_FUTURES, "binance-futures") \
    X(3, VENUE_KUCOIN, "kucoin")                   \
    X(4, VENUE_KUCOIN_FUTURES, "kucoin-futures")   \
    X(5, VENUE_GATE, "gate-io")                    \
    X(6, VENUE_GATE_FUTURES, "gate-io-futures")

enum venue_id {
    VENUE_NONE = 0, /* records that belong to no venue: tick, start, stop, config */
#define X(number, name, text) name = number,
    VENUE_LIST(X)
#undef X
        VENUE_ID_END = 7
};

const char *record_kind_name(enum record_kind kind); /* NULL if unknown */
int record_kind_parse(struct str name);              /* 0 if unknown */
const char *venue_name(enum venue_id venue);         /* "-" for VENUE_NONE, NULL if unknown */
int venue_parse(struct str name);                    /* -1 if unknown; "-" is 0 */

struct record {
    uint64_t seq;         /* number in the recorder's life, from 1; local_seq of the rows it makes.
                           * Given by the journal's writer; 0 before. */
    int64_t time_unix_ns; /* receive stamp, never decreasing in a journal */
    enum record_kind kind;
    enum venue_id venue;
    uint32_t conn;      /* connection number, never reused in a recorder's life; 0 = none */
    struct str arg;     /* borrowed */
    struct str payload; /* borrowed */
};

/* Packed form, for the ring and the journal's blocks: little-endian, no padding.
 *   u32 bytes (whole record) | u8 kind | u8 venue | u16 arg bytes | u32 conn | i64 time | u64 seq |
 *   arg | payload */
#define RECORD_HEAD_BYTES 28
#define RECORD_ARG_BYTES_MAX 4096
size_t record_packed_bytes(const struct record *record);
/* Before: a known kind and venue, arg of at most RECORD_ARG_BYTES_MAX bytes, less than 4 GiB in all
 * (else an assertion failure: whoever makes a record from outside bytes checks). `out` holds
 * record_packed_bytes(); returns that. */
size_t record_pack(const struct record *record, void *out);
/* Views into `data`. 0, or MD_ECORRUPT when it is not one whole record of exactly `bytes` with a
 * known kind and venue. */
int record_unpack(const void *data, size_t bytes, struct record *record);

/* A line has at most 2 * packed bytes + this: sign, seconds, fraction, venue, conn, kind, tabs. */
#define RECORD_TEXT_HEAD_BYTES_MAX 128

/* One line of the recording text format (design.md section 6), without the newline; `out` overflows
 * softly. Tab, newline, carriage return and backslash in arg and payload are escaped; the text form
 * of seq is not kept: it is given anew by journal load. */
void record_format(const struct record *record, struct buf *out);
/* The reverse. Unescapes in place inside `line`, which stays borrowed by `record`. MD_EPARSE with
 * the reason in err. Blank lines and lines that start with '#' are 1 (skip). The last fields may be
 * missing (a tick needs four); one carriage return at the end of the line is not part of it. */
int record_parse(char *line, size_t bytes, struct record *record, struct err *err);

#endif
