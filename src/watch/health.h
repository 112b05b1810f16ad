#ifndef MD_WATCH_HEALTH_H
#define MD_WATCH_HEALTH_H

#include "watch/view.h"

/* Is all well? A table of conditions, each with its level, a check, and what to do. A condition
 * that begins or ends is one line in the log; all that hold are on the page, in /metrics, /healthz
 * and `market-data status`. */

/* enum, name in metrics and log, level, what to do. The worst come first: the first that holds is
 * the headline. */
#define HEALTH_LIST(X)                                                                             \
    X(HEALTH_JOURNAL_FAILING, "journal_failing", HEALTH_RED,                                       \
      "free some space below data_dir, or mend the disk; it goes on by itself then, and what was " \
      "dropped meanwhile is in the gaps table")                                                    \
    X(HEALTH_LANDING_STUCK, "landing_stuck", HEALTH_RED,                                           \
      "the disk takes nothing or the machine is overloaded: free some space below data_dir, look " \
      "at iostat and top")                                                                         \
    X(HEALTH_DISK_LOW, "disk_low", HEALTH_RED,                                                     \
      "free some space below data_dir: files are sealed again as soon as there is room")           \
    X(HEALTH_ROWS_FROZEN, "rows_frozen", HEALTH_RED,                                               \
      "the journal holds them: free some space, then restart the recorder, which lands them")      \
    X(HEALTH_QUEUE_DROP, "queue_drop", HEALTH_RED,                                                 \
      "too much for this machine: fewer symbols or channels, a faster disk or processor, a "       \
      "larger "                                                                                    \
      "memory.queue_bytes for bursts; each burst is a row in the gaps table")                      \
    X(HEALTH_CONTROL_LOST, "control_lost", HEALTH_RED, "raise memory.queue_bytes")                 \
    X(HEALTH_EXCHANGE_GIVEN_UP, "exchange_given_up", HEALTH_RED,                                   \
      "mend what the words say (certificate, proxy, API key), then restart the recorder")          \
    X(HEALTH_CONNECTION_DOWN, "connection_down", HEALTH_RED,                                       \
      "it is tried again by itself: look at this machine's network, the proxy, and the venue's "   \
      "status page")                                                                               \
    X(HEALTH_NO_DATA, "no_data", HEALTH_RED,                                                       \
      "it is replaced by itself after net.stall_secs: look at the venue's status page")            \
    X(HEALTH_REPLAYING, "replaying", HEALTH_AMBER,                                                 \
      "wait: what comes meanwhile waits in the queue, and is landed behind it")                    \
    X(HEALTH_QUEUE_FILLING, "queue_filling", HEALTH_AMBER,                                         \
      "the disk or the processor does not keep up: at 80 % the least important messages are "      \
      "dropped; look at iostat and top")                                                           \
    X(HEALTH_PAUSED, "paused", HEALTH_AMBER,                                                       \
      "the sockets are not read (output.queue_full: pause): the venues may cut them; look at "     \
      "iostat and top")                                                                            \
    X(HEALTH_LANDING_LATE, "landing_late", HEALTH_AMBER,                                           \
      "the processor or the disk does not keep up: look at top and iostat")                        \
    X(HEALTH_JOURNAL_LAG, "journal_lag", HEALTH_AMBER,                                             \
      "the disk is slow: what is not synced is lost if the machine dies; look at iostat, or give " \
      "the journal another disk")                                                                  \
    X(HEALTH_FILES_FAILED, "files_failed", HEALTH_AMBER,                                           \
      "the log says why; it is tried again, and the journal holds the rows until then")            \
    X(HEALTH_STREAMS_SILENT, "streams_silent", HEALTH_AMBER,                                       \
      "they are subscribed again by themselves; if they stay silent, see whether the venue has "   \
      "halted them")                                                                               \
    X(HEALTH_STREAMS_REFUSED, "streams_refused", HEALTH_AMBER,                                     \
      "the log names them: take them out of symbols, or out of channels")                          \
    X(HEALTH_SUBSCRIPTIONS_PENDING, "subscriptions_pending", HEALTH_AMBER,                         \
      "wait: the venues limit how fast one may connect and subscribe; check shows the timetable")  \
    X(HEALTH_BOOKS_INCOMPLETE, "books_incomplete", HEALTH_AMBER,                                   \
      "their snapshots are under way; if it stays, raise rest_weight_percent or record fewer "     \
      "books")                                                                                     \
    X(HEALTH_UNDECODABLE, "undecodable", HEALTH_AMBER,                                             \
      "the venue sends a new shape; the messages are kept: set journal.keep, look for an update, " \
      "then rederive")                                                                             \
    X(HEALTH_THROTTLED, "throttled", HEALTH_AMBER,                                                 \
      "requests come slower by themselves; if it repeats, lower rest_weight_percent or raise the " \
      "subscribe delays")                                                                          \
    X(HEALTH_CLOCK_BEHIND, "clock_behind", HEALTH_AMBER,                                           \
      "this machine's clock is behind the venue's: run chrony or systemd-timesyncd")               \
    X(HEALTH_LATE, "late", HEALTH_AMBER,                                                           \
      "the network is slow, or this machine's clock is ahead: run chrony, look at the route")      \
    X(HEALTH_MEMORY_OVER, "memory_over", HEALTH_AMBER,                                             \
      "more memory than memory.budget is in use: please report it, with /metrics")                 \
    X(HEALTH_STOPPING, "stopping", HEALTH_AMBER, "wait: what is open is being sealed")

enum health_condition {
#define X(condition, name, level, remedy) condition,
    HEALTH_LIST(X)
#undef X
        HEALTH_COUNT
};

struct health_state {
    bool on;
    int64_t since_unix_ns;
    char words[512]; /* what is the matter; may hold a venue's words */
};

/* A counter, and when it last moved. */
struct health_recent {
    uint64_t value, base;
    int64_t moved_ns; /* 0 = never */
};

struct health {
    enum health_level level;
    bool begun;
    uint32_t flowing, connections; /* connections on which data flows, of all */
    uint32_t on;                   /* conditions that hold */
    struct health_state states[HEALTH_COUNT];
    struct health_recent drops, control_lost, files_failed, undecodable, throttled;
    int64_t books_whole_ns; /* when last all were whole */
};

const char *health_name(enum health_condition condition);
const char *health_remedy(enum health_condition condition);
enum health_level health_level_of(enum health_condition condition);
const char *health_level_name(enum health_level level); /* "green", "amber", "red" */

/* Judges the view; zeroed at first. Logs what began (warn) and ended (info). Watch thread. */
void health_judge(struct health *health, const struct watch_view *view);
/* Does data flow on it? Also for the page. */
bool health_connection_flows(const struct feed_connection *connection, int64_t now_mono_ns);
/* One line: the load, or the worst condition's words. */
void health_headline(const struct health *health, const struct watch_view *view, struct buf *out);

#endif
