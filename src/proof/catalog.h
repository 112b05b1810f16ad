#ifndef MD_PROOF_CATALOG_H
#define MD_PROOF_CATALOG_H

#include "base/mdio.h"
#include "proof/proof.h"
#include "store/manifest.h"
#include "store/store.h"

/* The files of a data folder, as its manifests list them: sorted by exchange, channel, symbol and
 * time. About 500 bytes a file, of the period asked for. */

struct catalog_file {
    struct manifest_entry entry; /* texts belong to the catalog; entry.path is below the root */
    struct str manifest;         /* the manifest's path */
    uint32_t line;               /* in it, from 1 */
    enum file_format format;
};

struct catalog_options {
    /* Files with rows in [since_us, until_us]; TIME_NONE = no bound. Gap rows are told when a hole
     * ends, so gaps files of the days beside are listed too. */
    int64_t since_us, until_us;
    enum venue_id venue; /* VENUE_NONE = all */
};

struct path_hashes { /* sorted once all are in */
    uint64_t *hashes;
    size_t count, capacity;
};

struct catalog {
    struct mdio *io;
    struct catalog_options options;
    struct catalog_file *files;
    uint32_t count;
    size_t capacity;
    uint32_t manifests;
    struct texts texts;
    struct path_hashes named;    /* in any line */
    struct path_hashes replaced; /* merged into another file by compact: not listed */
};

/* Reads the manifests. Damaged lines are findings, and so is a last line without its newline when
 * it is not of the newest day (there it is what a crash leaves, and cut off at the next start). A
 * failing disk, or no memory, is an error. */
int catalog_load(struct catalog *catalog, struct mdio *io, const struct catalog_options *options,
                 finding_sink on_finding, void *context, struct err *err);
void catalog_deinit(struct catalog *catalog);
/* Every file of the tree that no manifest line names is a finding. Files under way
 * (`.inprogress-`) are not looked at; nor are folders that are not of the layout. */
int catalog_check_unnamed(struct catalog *catalog, finding_sink on_finding, void *context,
                          struct err *err);

/* The order of streams: exchange, channel, symbol. 0 = the same stream. */
int catalog_stream_compare(const struct manifest_entry *a, const struct manifest_entry *b);
/* The files of one stream beginning at `index`: the index behind its last one. */
uint32_t catalog_stream_end(const struct catalog *catalog, uint32_t index);

#endif
