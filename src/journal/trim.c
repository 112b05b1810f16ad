/* Deleting segments whose records are landed for good, oldest first, on the landing thread. What
 * may go is decided from names (the next segment's name is one past this one's last number) and,
 * for journal.keep, from one small read of the next segment. No memory is taken. */
#include "base/failpoint.h"
#include "journal/writer.h"

/* A time at or after the last record before segment `first_seq`; INT64_MIN when it cannot be known.
 */
static int64_t segment_begin_unix_ns(struct mdio *io, uint64_t first_seq)
{
    char path[SEGMENT_PATH_BYTES];
    char bytes[SEGMENT_HEAD_BYTES + BLOCK_HEAD_BYTES];
    struct segment_head segment;
    struct block_head block;
    int64_t begin_ns = INT64_MIN;
    if (segment_path(JOURNAL_FOLDER, first_seq, path) < 0) {
        return begin_ns;
    }
    int handle = mdio_open(io, path, MDIO_READ);
    if (handle < 0) {
        return begin_ns;
    }
    ssize_t got = mdio_read(io, handle, bytes, sizeof bytes, 0);
    (void)mdio_close(io, handle); /* was only read */
    if (got >= SEGMENT_HEAD_BYTES && segment_head_get(bytes, &segment) == 0) {
        if (segment.created_unix_ns != 0) {
            begin_ns = segment.created_unix_ns;
        } else if (got == (ssize_t)sizeof bytes &&
                   block_head_get(bytes + SEGMENT_HEAD_BYTES, &block)) {
            begin_ns = block.first_unix_ns;
        }
    }
    return begin_ns;
}

int journal_trim(struct journal *journal, uint64_t seq, int64_t keep_before_unix_ns)
{
    int deleted = 0;
    pthread_mutex_lock(&journal->lock);
    uint64_t open_seq = journal->segment_count > 0 ? journal->segments[0].first_seq : 0;
    pthread_mutex_unlock(&journal->lock);
    for (;;) {
        char path[SEGMENT_PATH_BYTES];
        uint64_t first_seq = 0;
        uint64_t next_seq = 0;
        if (segment_find(journal->io, JOURNAL_FOLDER, 0, &first_seq) <= 0 ||
            first_seq >= open_seq ||
            segment_find(journal->io, JOURNAL_FOLDER, first_seq + 1, &next_seq) <= 0 ||
            next_seq > seq) {
            return deleted;
        }
        if (keep_before_unix_ns != INT64_MAX &&
            segment_begin_unix_ns(journal->io, next_seq) >= keep_before_unix_ns) {
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
