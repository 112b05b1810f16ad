#ifndef MD_STORE_SEAL_BATCH_H
#define MD_STORE_SEAL_BATCH_H

#include "store/seal_file.h"

/* Files that become durable together: up to 16 small ones, or one large one. Each is written and
 * synced by itself, one after the other; what the file system's journal would otherwise have to do
 * for each (the intent, the folders, the manifest line) is synced once for all. The order stays,
 * for every file: intent synced -> file synced -> journal synced -> renamed -> folders synced ->
 * manifest line synced. The seal thread's own. */

#define SEAL_BATCH_FILES MANIFEST_INTENTS_MAX
#define SEAL_BATCH_BYTES (8 << 20) /* of spooled rows: large files go one by one */

struct seal_pending {
    struct seal_job *job;
    struct manifest_entry entry;
    struct spool_hold hold;
    size_t kept; /* bytes of `folder` that were there: what is behind is new and wants a sync */
    char folder[MANIFEST_PATH_MAX], path[MANIFEST_PATH_MAX];
};

struct seal_batch {
    const struct seal_config *config;
    struct mdio *io;
    struct manifest *manifest;
    struct seal_file file;
    struct seal_pending pending[SEAL_BATCH_FILES];
    uint32_t count;
    uint32_t written, renamed, listed; /* of `count`, in this order */
    uint64_t bytes, blocks;            /* of the jobs' chains */
    bool intended;                     /* something stands in the list of intents */
    /* A step failed once: a folder that is there may not be durable. All are synced from then on.
     */
    bool careful;
    char folder[MANIFEST_PATH_MAX]; /* a folder known to be there; "" = none */
    char inprogress[MANIFEST_PATH_MAX + 32];
    struct manifest_intent intents[SEAL_BATCH_FILES];
    char lines[SEAL_BATCH_FILES * MANIFEST_LINE_MAX];
};

int seal_batch_init(struct seal_batch *batch, const struct seal_config *config, struct mdio *io,
                    struct spool *spool, struct manifest *manifest, struct err *err);
void seal_batch_deinit(struct seal_batch *batch);
/* Best effort: nothing is under way, so that the next start has nothing to look for. */
void seal_batch_forget(struct seal_batch *batch);

/* Whether a job whose rows are so many bytes in so many blocks may join. */
bool seal_batch_has_room(const struct seal_batch *batch, uint64_t bytes, uint32_t blocks);
/* Finds the job's name and lets it join. 1 = the manifest names a file of these rows already: the
 * job did not join, there is nothing to write. Negative: it did not join either. */
int seal_batch_add(struct seal_batch *batch, struct seal_job *job);
/* Writes the files, each synced, until one fails: its code; or, on a slow disk, as many as half a
 * second allows (one at least). batch->written says how many. */
int seal_batch_write(struct seal_batch *batch);
/* The last record that the written files hold. */
uint64_t seal_batch_last_seq(const struct seal_batch *batch);
/* Once the journal holds that record (`waited` = 0): renames what was written, until one fails: its
 * code. Those before it are in batch->renamed; of it and those behind it nothing is left, or what
 * is left is deleted by the next try, or the next start: it was intended. */
int seal_batch_rename(struct seal_batch *batch, int waited);
/* All that is not renamed leaves the batch. */
void seal_batch_drop(struct seal_batch *batch);
/* Makes the renamed files durable and lists them. 0: all are, and may be told as done; until then
 * nothing else may be done: call again. */
int seal_batch_finish(struct seal_batch *batch);
/* Gives the spool of all back and empties the batch. */
void seal_batch_release(struct seal_batch *batch);

#endif
