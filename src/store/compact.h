#ifndef MD_STORE_COMPACT_H
#define MD_STORE_COMPACT_H

#include <signal.h>

#include "base/mdio.h"
#include "exchange/event.h"
#include "store/columns.h"

/* Merges the files of a day into one file per exchange, channel, symbol and recorder.
 *
 * Each merged file is written as .inprogress-, read back from the disk, and compared with its
 * inputs by rows and by a hash over all values in their order; each input must be what the manifest
 * says (size, sha256, rows). Then one line goes to manifest/<exchange>-<date>.compact.jsonl: from
 * here on the merged file counts and its inputs do not. Then the file is renamed, and the inputs
 * are deleted, the last one last: an input that is still there says that the work is not finished.
 * Killed before the line, nothing happened; killed after it, the next run finishes.
 *
 * Rows stand in the order received: the inputs' sequences must not overlap. A day with one file is
 * left as it is. What does not fit together (other columns, another format) stays in files of its
 * own; what is damaged is left, said and counted.
 *
 * May run beside a recorder for days that are over: the recorder appends to manifests of its own,
 * never reads a sealed file, and what it seals later is merged by the next run. */

struct compact_merge {
    enum venue_id venue;
    enum channel channel;
    struct str symbol; /* bytes = 0 for gaps and instruments */
    int64_t day;
    uint32_t files;       /* merged into one */
    uint64_t rows, bytes; /* of these files */
    const char *path;     /* of the merged file */
};

struct compact_config {
    struct mdio *io; /* the data root; borrowed */
    struct writer_options writer;
    enum venue_id venue;               /* VENUE_NONE = all */
    int64_t first_day, last_day;       /* since 1970, both inclusive */
    bool dry_run;                      /* only tells: on_merge is called, nothing is written */
    const volatile sig_atomic_t *stop; /* ends after the file under way when not 0; NULL = never */
    /* After each merged file is made (dry_run: in its place). NULL = not told. */
    void (*on_merge)(void *context, const struct compact_merge *merge);
    void *context;
};

struct compact_stats {
    uint32_t days;
    uint64_t files_merged, files_made, rows, bytes_before, bytes_after;
    uint64_t finished;      /* merged files that an earlier run had not finished */
    uint64_t refused;       /* merges that were not done, each logged */
    uint64_t damaged_lines; /* of manifests */
};

/* 0, or the first code that ended it (the disk, memory); what was merged until then is merged.
 * stats->refused > 0: some were left as they are. Takes memory from ALLOC_SEAL and ALLOC_APP while
 * it runs: see compact_memory_bytes(). */
int compact_run(const struct compact_config *config, struct compact_stats *stats, struct err *err);

/* What is resident at most, but for the row group being read (parquet_table.h): the writer, one row
 * group, buffers, and the list of a day's files. */
size_t compact_memory_bytes(const struct compact_config *config);

#endif
