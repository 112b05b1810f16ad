/* Deleting segments whose records are landed for good, oldest first, on the landing thread. Where a
 * segment ends is known from what comes after it (segment.h, "which copy counts"): the oldest open
 * segment of this run, or the next one with a good first block; its name alone says nothing, since
 * a name can come back from a power cut. No memory is taken. */
#include "base/failpoint.h"
#include "journal/writer.h"

/* Where the records of segment `first_seq` end: *end_seq is the first number that is not in it,
 * *end_unix_ns a time at or after its last record. False when that is not known (now). */
static bool segment_end(struct mdio *io, uint64_t first_seq, uint64_t open_seq, uint64_t *end_seq,
                        int64_t *end_unix_ns)
{
    uint64_t next_seq = first_seq;
    while (segment_find(io, JOURNAL_FOLDER, next_seq + 1, &next_seq) > 0 && next_seq <= open_seq) {
        struct segment_head head;
        struct block_head block;
        int good = segment_first_block(io, JOURNAL_FOLDER, next_seq, &head, &block);
        if (good < 0) {
            return false;
        }
        if (good > 0 || next_seq == open_seq) {
            *end_seq = good > 0 ? block.first_seq : open_seq;
            *end_unix_ns = head.created_unix_ns != 0 ? head.created_unix_ns
                           : good > 0                ? block.first_unix_ns
                                                     : INT64_MAX; /* not known yet: keep */
            return true;
        }
    }
    return false;
}

/* Does a later segment, at or before `seq`, begin with a checkpoint? One that a failed sync made
 * does not: replay must not start there. */
static bool checkpoint_behind(struct mdio *io, uint64_t first_seq, uint64_t seq)
{
    uint64_t next_seq = first_seq;
    struct segment_head head;
    struct block_head block;
    while (segment_find(io, JOURNAL_FOLDER, next_seq + 1, &next_seq) > 0 && next_seq <= seq) {
        if (segment_first_block(io, JOURNAL_FOLDER, next_seq, &head, &block) > 0 &&
            block.checkpoint) {
            return true;
        }
    }
    return false;
}

int journal_trim(struct journal *journal, uint64_t seq, int64_t keep_before_unix_ns)
{
    int deleted = 0;
    if (journal_synced_seq(journal) < journal->checkpoint_seq) {
        return 0; /* the last checkpoint that is safe stands in an older segment */
    }
    pthread_mutex_lock(&journal->lock);
    uint64_t open_seq = journal->segment_count > 0 ? journal->segments[0].first_seq : 0;
    pthread_mutex_unlock(&journal->lock);
    for (;;) {
        char path[SEGMENT_PATH_BYTES];
        uint64_t first_seq = 0;
        uint64_t end_seq = 0;
        int64_t end_unix_ns = 0;
        if (segment_find(journal->io, JOURNAL_FOLDER, 0, &first_seq) <= 0 ||
            first_seq >= open_seq ||
            !segment_end(journal->io, first_seq, open_seq, &end_seq, &end_unix_ns) ||
            end_seq > seq || !checkpoint_behind(journal->io, first_seq, seq) ||
            (keep_before_unix_ns != INT64_MAX && end_unix_ns >= keep_before_unix_ns)) {
            return deleted;
        }
        FAILPOINT("journal_before_trim");
        /* Not followed by a sync of the folder: a segment that comes back after a power cut is read
         * again and skipped by its numbers. */
        if (segment_path(JOURNAL_FOLDER, first_seq, path) < 0 ||
            mdio_unlink(journal->io, path) < 0) {
            return deleted; /* tried again with the next call */
        }
        deleted++;
    }
}
