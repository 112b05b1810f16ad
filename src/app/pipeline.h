#ifndef MD_APP_PIPELINE_H
#define MD_APP_PIPELINE_H

#include <signal.h>

#include "app/land.h"
#include "app/plan.h"
#include "journal/journal.h"

/* The recorder at work: net thread (the caller's) -> frame ring -> landing thread -> seal thread,
 * and the journal's sync thread. One recorder a data folder (lock file). */

/* Below data_dir; held by a recorder as long as it runs. */
#define PIPELINE_LOCK_NAME ".market-data.lock"

struct pipeline;

/* How the configuration is read again (SIGHUP); see symbols_watch.h. */
struct pipeline_reread {
    int (*read)(void *context, struct settings *out, struct err *err);
    void *context;
};

/* Opens the folder, reads the journal's beginning and end, takes all memory, seals the allocator.
 * `plan`, `settings` and `reread` (NULL: SIGHUP asks the symbol lists only) are borrowed.
 * MD_ELOCKED, MD_EACCES, MD_ENOSPC ...: err says the remedy. */
int pipeline_open(struct pipeline **out, const struct settings *settings, const struct plan *plan,
                  const struct pipeline_reread *reread, struct err *err);

enum pipeline_end {
    PIPELINE_STOPPED,      /* asked to; everything is sealed */
    PIPELINE_LEFT_JOURNAL, /* stopped; what is not sealed stands in the journal */
    PIPELINE_CONFIG_FAULT, /* certificate, proxy or key: err says the remedy */
    PIPELINE_NOT_BEGUN,    /* the old journal could not be replayed, or the new one not begun: err
                            * says why, pipeline_code() what; both are as they were */
};
/* What the journal of earlier runs holds unsealed is replayed while the connections are made; what
 * comes meanwhile waits in the frame ring, and is journaled behind it.
 * `hangup` counts SIGHUPs (NULL: none): the configuration is read and the lists are asked again.
 * Runs until *stop is set or `seconds` have passed (0 = no end), then drains. A second stop
 * (*stop >= 2) ends at once; the journal holds what is not sealed. */
enum pipeline_end pipeline_run(struct pipeline *pipeline, const volatile sig_atomic_t *stop,
                               const volatile sig_atomic_t *hangup, int64_t seconds,
                               struct err *err);

struct pipeline_stats {
    struct land_stats land;
    struct normalise_stats normalise;
    struct store_stats store;
    struct journal_stats journal;
    struct feed_stats feed;                            /* all venues together */
    uint64_t dropped[VENUE_ID_END][CHANNEL_COUNT + 1]; /* last: channel not known */
    uint64_t dropped_all, control_lost;
    uint64_t replayed_records;
    uint64_t not_kept; /* messages that came and were not journaled: the run was given up */
    uint64_t ring_messages_high;
    size_t ring_bytes_high, ring_bytes;
    int64_t loop_turn_ns_max;
    size_t rss_bytes, rss_bytes_high;
    int64_t run_ns;
    int64_t cpu_ns; /* of the process, all threads, from pipeline_run() on */
};
/* After pipeline_run(). */
struct pipeline_stats pipeline_stats(struct pipeline *pipeline);
/* People's summary. */
void pipeline_print_summary(const struct pipeline_stats *stats, const struct plan *plan,
                            const struct settings *settings, int fd);
/* After PIPELINE_NOT_BEGUN. */
int pipeline_code(const struct pipeline *pipeline);
/* After pipeline_run(): the landing thread hangs on the disk and cannot be ended; the process must.
 */
bool pipeline_stuck(const struct pipeline *pipeline);
/* Where the page is, "" if nowhere; after pipeline_open(). */
const char *pipeline_url(const struct pipeline *pipeline);
void pipeline_close(struct pipeline *pipeline);

/* What the budget needs to know of the sizes chosen here. */
struct land_sizes pipeline_land_sizes(const struct plan *plan);
struct journal_config pipeline_journal_config(const struct settings *settings, uint32_t boot_epoch);
struct net_config pipeline_net_config(const struct settings *settings, const struct plan *plan);
size_t pipeline_ring_bytes(const struct settings *settings);
/* Metrics and page: ours, and the most that libmicrohttpd takes. */
size_t pipeline_watch_bytes(const struct settings *settings, const struct plan *plan,
                            size_t *library);

#endif
