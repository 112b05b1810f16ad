#ifndef MD_WATCH_STATUS_H
#define MD_WATCH_STATUS_H

#include "watch/health.h"
#include "watch/symbols.h"
#include "watch/view.h"

/* The same state as JSON, for the page, `market-data status` and scripts. All of them may overflow
 * softly: lists are cut where the room ends, and the object says so ("cut": true). */

/* /status.json, and each event of /events. Gap rows and log lines after the given numbers. */
struct status_since {
    uint64_t gap, log;
};
void status_write(struct buf *out, const struct watch_view *view, const struct health *health,
                  struct status_since since);
/* /history.json: the last samples, oldest first, as columns. */
void status_history(struct buf *out, const struct watch_sample *samples, uint32_t first,
                    uint32_t samples_count);
/* Room that status_write() needs for so many connections. */
size_t status_bytes(uint32_t connections);

#endif
