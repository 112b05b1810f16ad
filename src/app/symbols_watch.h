#ifndef MD_APP_SYMBOLS_WATCH_H
#define MD_APP_SYMBOLS_WATCH_H

#include "app/plan.h"

/* What a running recorder learns anew, on a thread of its own: the venues' symbol lists (every
 * symbols.refresh_secs where `symbols:` holds patterns, all or top:N; everywhere else when its
 * words changed), and on SIGHUP the configuration. A configuration that is wrong is refused whole,
 * with its place; one venue's words that name an unknown symbol are refused alone. */
struct symbols_watch;

struct symbols_watch_config {
    const struct settings *settings; /* borrowed; those of the start */
    const struct plan *plan;         /* borrowed */
    /* Reads the configuration again into `out`; called on the watch's thread, never twice at once.
     * NULL: SIGHUP asks the lists only. */
    int (*reread)(void *context, struct settings *out, struct err *err);
    void *context;
};

size_t symbols_watch_bytes(const struct plan *plan);
/* NULL: no memory or no thread (err says). */
struct symbols_watch *symbols_watch_start(const struct symbols_watch_config *config,
                                          struct err *err);
void symbols_watch_stop(struct symbols_watch *watch); /* waits for a request under way */
/* Reads and asks now (SIGHUP). Any thread. */
void symbols_watch_wake(struct symbols_watch *watch);
/* Net thread: the changes since the last call. `venue` is an index into plan.venues. */
void symbols_watch_take(struct symbols_watch *watch,
                        void (*on_change)(void *context, uint32_t venue, bool add,
                                          struct str symbol),
                        void *context);
/* Net thread: if settings changed since the last call, hands them over; they are valid during the
 * call only. */
void symbols_watch_take_settings(struct symbols_watch *watch,
                                 void (*on_settings)(void *context,
                                                     const struct settings *settings),
                                 void *context);

#endif
