#ifndef MD_STORE_SEAL_H
#define MD_STORE_SEAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "store/manifest.h"
#include "store/spool.h"
#include "store/store.h"

/* Sealing: closed partitions become files, one at a time, and durable some at a time
 * (seal_batch.h). Jobs come from the landing thread and
 * go back to it when done; in between they belong to the sealer. Jobs of one stream are sealed in
 * their order, whatever fails: a manifest line says that all of the stream up to its last seq is in
 * files. */

/* What the footer says of a symbol; from instrument events. Never changed once a job points to it.
 */
struct seal_facts {
    char base[16], quote[16]; /* "" = not known */
    struct decimal_opt tick_size, lot_size, contract_multiplier;
    bool inverse; /* a contract is worth its multiplier in the quote currency */
};

enum seal_stage {
    SEAL_FILE,    /* make the file */
    SEAL_DISCARD, /* a frozen stream's: only give the spool back */
};

struct seal_job {
    struct seal_job *next;
    uint32_t stream; /* internal index; jobs of one stream keep their order */
    enum seal_stage stage;
    bool paused; /* failed; waits for the next round */
    bool taken;  /* into the batch under way */
    uint8_t venue, channel;
    uint8_t zstd_level; /* 1 .. the settings' */
    uint32_t number;    /* nn of the file name */
    struct str symbol;  /* borrowed from the stream; bytes = 0 for gaps and instruments */
    int64_t hour_unix_ns, first_unix_ns, last_unix_ns;
    uint64_t first_seq, last_seq, rows, missing;
    uint32_t gaps;
    const struct seal_facts *facts; /* NULL = none known */
    struct spool_chain chain;
};

struct seal_config {
    const struct store_config *store; /* borrowed */
    uint32_t blocks_max;              /* longest chain */
    uint32_t streams_max;             /* internal */
    int (*wait_synced)(void *context, uint64_t seq);
    void *wait_context;
};

/* Columns (of 8 bytes) the row group and the writer's tables are sized for; wider schemas (book
 * snapshots) get fewer rows a group and fewer groups a file. */
#define SEAL_GROUP_COLUMNS 16

struct sealer;
/* What a file may hold; more begins a further one. Counted at landing, from the rows alone. */
struct seal_bounds {
    uint32_t groups; /* row groups the writer takes */
    uint64_t rows;
    uint64_t texts; /* texts that may each be a new distinct one */
    uint64_t text_bytes;
};
/* The same of one group, before the sealer is there. */
struct seal_bounds seal_bounds_of(const struct store_config *config);

size_t sealer_memory_bytes(const struct seal_config *config);
/* `spool` and `manifest` are borrowed. Starts the thread if the settings say so. */
int sealer_create(struct sealer **out, const struct seal_config *config, struct mdio *io,
                  struct spool *spool, struct manifest *manifest, struct err *err);
/* Ends the thread after the step it is in; what is not sealed stays in the journal. */
void sealer_destroy(struct sealer *sealer);

/* Bounds of a channel's files. Before the first job. */
struct seal_bounds sealer_bounds(struct sealer *sealer, enum channel channel);
/* Landing thread. The job is the sealer's until it is reaped. */
void sealer_submit(struct sealer *sealer, struct seal_job *job);
/* Landing thread: after a flush of the spool. */
void sealer_wake(struct sealer *sealer);
/* Landing thread: jobs done since the last call, as a list. */
struct seal_job *sealer_reap(struct sealer *sealer);
/* Waits until something is done or `timeout_ms` went by. */
void sealer_wait(struct sealer *sealer, int timeout_ms);
uint32_t sealer_jobs(const struct sealer *sealer); /* submitted and not done; any thread */
/* Without a thread: one step, of at most `most` jobs. 1 = it is done, 0 = nothing to do, negative:
 * a job failed and is paused until sealer_resume(); others may be done. */
int sealer_run_some(struct sealer *sealer, uint32_t most);
void sealer_resume(struct sealer *sealer);
/* Steps until nothing more can be done now. True when a job was done. */
bool sealer_run_all(struct sealer *sealer);

struct sealer_stats {
    uint64_t files, bytes, bytes_by_channel[CHANNEL_COUNT], failed, digits_over_15;
    int64_t seal_ns_max;
    bool disk_low;
};
struct sealer_stats sealer_stats(const struct sealer *sealer); /* any thread */
/* How long each file took; any thread may read it. */
const struct histogram *sealer_times(const struct sealer *sealer);

#endif
