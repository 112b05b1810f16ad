#ifndef MD_SIM_FAULTS_H
#define MD_SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* Faults by script, one rule a line; the language is described in docs/simulator.md. This file only
 * says which fault is due; sim_feed.c, sim_conn.c and sim_rest.c commit it. Which messages are hit
 * is a function of seed, rule and the message's own index, so every connection and every run sees
 * the same ones. */
#define SIM_FAULT_RULES_MAX 64

/* action, word, acts on: m message, c connection, r REST, a control replies, s symbols,
 * u subscriptions */
#define SIM_FAULT_LIST(X)                                                                        \
    X(SIM_FAULT_DROP, "drop", 'm')               /* not sent */                                  \
    X(SIM_FAULT_DUP, "dup", 'm')                 /* sent twice */                                \
    X(SIM_FAULT_SWAP, "swap", 'm')               /* sent after the stream's next message */      \
    X(SIM_FAULT_CORRUPT, "corrupt", 'm')         /* one byte becomes 0x01: not decodable */      \
    X(SIM_FAULT_FALSIFY, "falsify", 'm')         /* a level's amount is another one */           \
    X(SIM_FAULT_RESET, "reset", 'c')             /* RST */                                       \
    X(SIM_FAULT_FIN, "fin", 'c')                 /* FIN without close_notify */                  \
    X(SIM_FAULT_EOF, "eof", 'c')                 /* close_notify, then FIN */                    \
    X(SIM_FAULT_CLOSE, "close", 'c')             /* close frame with a code */                   \
    X(SIM_FAULT_SHUTDOWN, "shutdown", 'c')       /* serverShutdown event, then close 1001 */     \
    X(SIM_FAULT_SILENCE, "silence", 'c')         /* no data for a while; pings go on */          \
    X(SIM_FAULT_HALF_OPEN, "half_open", 'c')     /* neither reads nor writes any more */         \
    X(SIM_FAULT_SLOW, "slow", 'c')               /* N bytes a second */                          \
    X(SIM_FAULT_SPLIT, "split", 'c')             /* N bytes a write, each its own TLS record */  \
    X(SIM_FAULT_REST_STATUS, "rest_status", 'r') /* answers with this status */                  \
    X(SIM_FAULT_REST_LAG, "rest_lag", 'r')       /* answers as of T ago */                       \
    X(SIM_FAULT_REST_DELAY, "rest_delay", 'r')   /* answers T later */                           \
    X(SIM_FAULT_REST_RESET, "rest_reset", 'r')   /* RST in the middle of the body */             \
    X(SIM_FAULT_ACK, "ack", 'a')                 /* none, error or wrong_id */                   \
    X(SIM_FAULT_MUTE, "mute", 'u')               /* what is subscribed now gets no more of it */ \
    X(SIM_FAULT_LIST, "list", 's')               /* the symbol is on no list before */           \
    X(SIM_FAULT_DELIST, "delist", 's')           /* it does not trade from then on */

enum sim_fault {
#define X(action, word, on) action,
    SIM_FAULT_LIST(X)
#undef X
        SIM_FAULT_COUNT
};
const char *sim_fault_name(enum sim_fault fault);

enum sim_fault_trigger {
    SIM_TRIGGER_ALWAYS, /* every message, every connection as it opens, every request */
    SIM_TRIGGER_AT,     /* once, at `value` ns after start */
    SIM_TRIGGER_EVERY,  /* periodically, each `value` ns */
    SIM_TRIGGER_AFTER,  /* each connection once, at the age of `value` ns */
    SIM_TRIGGER_NTH,    /* one message, request or reply of `value` */
};
enum sim_fault_ack { SIM_ACK_NONE, SIM_ACK_ERROR, SIM_ACK_WRONG_ID };

struct sim_fault_rule {
    uint32_t line;
    enum sim_fault fault;
    enum sim_fault_trigger trigger;
    int64_t value;
    uint32_t conn;             /* the n-th WebSocket connection; 0 = all */
    char group[16];            /* "depth", "trade", ...; "" = all */
    char symbol[32];           /* "" = all */
    char path[32];             /* REST: last part of the path, e.g. "depth"; "" = all */
    int64_t number;            /* status, code, bytes, enum sim_fault_ack; -1 = not given */
    int64_t time_ns;           /* lag, delay; silence: for how long */
    int64_t for_ns;            /* how long it lasts; INT64_MAX = for ever */
    int64_t from_ns, until_ns; /* the rule is alive in this time since start */
    bool sweep;                /* reset, fin, eof: after 0, 1, 2, ... bytes of a message */
    /* state */
    int64_t next_ns; /* AT, EVERY: when it is due */
    uint64_t seen;   /* NTH of requests and replies: how many */
    uint64_t hits;
};

struct sim_faults {
    uint64_t seed;
    uint32_t count;
    struct sim_fault_rule rules[SIM_FAULT_RULES_MAX];
    uint64_t injected[SIM_FAULT_COUNT]; /* faults committed, by action */
    bool any_message;                   /* there are message rules at all */
};

/* Reads a script. MD_EPARSE with the line's number and what was expected, MD_EFULL above
 * SIM_FAULT_RULES_MAX rules. */
int sim_faults_parse(struct sim_faults *faults, struct str script, uint64_t seed, struct err *err);

/* The rule that hits the message with this index on a stream, or NULL. Does not count; the caller
 * does, for each message it withheld, doubled, ...: sim_faults_count(). */
struct sim_fault_rule *sim_faults_message(struct sim_faults *faults, const char *group,
                                          const char *symbol, int64_t index,
                                          int64_t since_start_ns);
/* Whether an AT or EVERY rule on connections is due now; moves it on to its next time. */
bool sim_faults_due(struct sim_fault_rule *rule, int64_t since_start_ns);
/* Whether an ALWAYS or AFTER rule applies to a connection of this age. */
bool sim_faults_applies(const struct sim_fault_rule *rule, uint32_t conn, int64_t age_ns,
                        int64_t since_start_ns);
/* Does the rule name this stream? */
bool sim_faults_names(const struct sim_fault_rule *rule, const char *group, const char *symbol);
bool sim_faults_is_conn(const struct sim_fault_rule *rule);
/* The rule of this action that hits a REST request to the path, or a control reply (path ""), now;
 * NULL if none. Counts as seen. */
struct sim_fault_rule *sim_faults_request(struct sim_faults *faults, enum sim_fault fault,
                                          struct str path, int64_t since_start_ns);
void sim_faults_count(struct sim_faults *faults, struct sim_fault_rule *rule);

#endif
