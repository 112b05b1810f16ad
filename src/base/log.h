#ifndef MD_BASE_LOG_H
#define MD_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/* The quiet log: level `warn` by default; each kind of line (the call's place in the code: its
 * `kind` name) at most LOG_BURST times a minute, the rest counted; the count is printed with the
 * next line that passes, and at the latest by log_flush_suppressed(). Any thread. Never allocates.
 *
 *   LOG_WARN("ws_closed", "%s: connection %u closed: %s", venue, conn, reason);
 *
 * Lines for people: `2026-11-23T09:00:01.123Z warn  ws_closed  binance: connection 3 ...`;
 * log.format json: one object a line (time, level, kind, message, suppressed). */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

#define LOG_BURST 5   /* lines of one kind a minute; faults.md row 22 allows 10 */
#define LOG_KINDS 512 /* distinct kinds counted apart; more share one entry */

/* `fd` receives the lines; the clock is borrowed. Call before threads start. Lines for people that
 * go to systemd's journal (JOURNAL_STREAM names `fd`) begin with the priority it reads, `<4>`, and
 * leave the time to it. */
void log_init(int fd, enum log_level level, bool json, const struct clock *clock);
/* From now on lines go to the end of the file at `path` (copied, at most 240 bytes), made 0640; no
 * link is followed. When a line would take it beyond `bytes_max` (0 = never), `path` becomes
 * `path.1`, that `path.2`, and so on; `keep` old files stay. A file that cannot be opened again
 * leaves the lines to the `fd` of log_init(). Before threads start. 0 or a negative error. */
int log_file_open(const char *path, uint64_t bytes_max, uint32_t keep);
/* Opens the file anew by its name, for those who move it away themselves (SIGHUP). Any thread. */
void log_file_reopen(void);
void log_level_set(enum log_level level);
enum log_level log_level_get(void);
/* "error", "warn", "info", "debug" <-> level; -1 if unknown. */
int log_level_parse(const char *name);
const char *log_level_name(enum log_level level);

void log_write(enum log_level level, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Prints "suppressed N more of KIND" for each kind with a count; call once a minute and at exit. */
void log_flush_suppressed(void);
/* Lines of this level that were logged or suppressed since start. */
uint64_t log_count(enum log_level level);
uint64_t log_suppressed_count(void);

/* The last LOG_TAIL lines that passed, for those who look on. */
#define LOG_TAIL 64
struct log_line {
    uint64_t number; /* from 1 */
    int64_t unix_ns;
    enum log_level level;
    uint64_t suppressed;
    char kind[32];
    char message[400]; /* printable ASCII; cut */
};
/* Calls on_line for each kept line after number `after`, oldest first; on_line must not log.
 * Returns the last number. Any thread. */
uint64_t log_tail(uint64_t after, void (*on_line)(void *context, const struct log_line *line),
                  void *context);

#define LOG_AT(level, kind, ...)                     \
    do {                                             \
        if ((level) <= log_level_get()) {            \
            log_write((level), (kind), __VA_ARGS__); \
        }                                            \
    } while (0)
#define LOG_ERROR(kind, ...) LOG_AT(LOG_LEVEL_ERROR, kind, __VA_ARGS__)
#define LOG_WARN(kind, ...) LOG_AT(LOG_LEVEL_WARN, kind, __VA_ARGS__)
#define LOG_INFO(kind, ...) LOG_AT(LOG_LEVEL_INFO, kind, __VA_ARGS__)
#define LOG_DEBUG(kind, ...) LOG_AT(LOG_LEVEL_DEBUG, kind, __VA_ARGS__)

#endif
