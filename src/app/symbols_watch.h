#ifndef MD_APP_SYMBOLS_WATCH_H
#define MD_APP_SYMBOLS_WATCH_H

#include "app/plan.h"

/* While recording: asks the venues' symbol lists again (symbols.refresh_secs, SIGHUP) on a thread
 * of its own, and tells the net thread which symbols came and which are gone. Only venues whose
 * `symbols:` holds patterns, all or top:N are asked. */
struct symbols_watch;

size_t symbols_watch_bytes(const struct plan *plan);
/* `settings` and `plan` are borrowed. NULL: no memory or no thread (err says). */
struct symbols_watch *symbols_watch_start(const struct settings *settings, const struct plan *plan,
                                          struct err *err);
void symbols_watch_stop(struct symbols_watch *watch); /* waits for a request under way */
/* Asks now. Any thread. */
void symbols_watch_wake(struct symbols_watch *watch);
/* Net thread: the changes since the last call. `venue` is an index into plan.venues. */
void symbols_watch_take(struct symbols_watch *watch,
                        void (*on_change)(void *context, uint32_t venue, bool add,
                                          struct str symbol),
                        void *context);

#endif
