#ifndef MD_STORE_MANIFEST_INTENT_H
#define MD_STORE_MANIFEST_INTENT_H

#include "store/manifest.h"

/* `spool/intents`: two slots of 12 KiB, written in turn, each: magic, generation, count, bytes,
 * CRC-32C, then per file venue (1 byte), path bytes (2), time (8), path. See manifest.h. */

struct intents {
    uint32_t count;
    struct manifest_intent file[2 * MANIFEST_INTENTS_MAX];
};

/* Opens (and makes) the file; returns a handle. `generation` (may be NULL): the newest good slot's.
 */
int intents_open(struct mdio *io, uint32_t *generation);
int intents_write(struct mdio *io, int handle, uint32_t generation,
                  const struct manifest_intent *files, uint32_t count);
/* Both slots' files. A damaged slot has none: it was never synced, so no rename followed it. */
void intents_read(struct mdio *io, int handle, struct intents *intents);
/* Deletes one file, under its own name and its `.inprogress-` name, and syncs its folder. */
int intents_delete(struct mdio *io, const char *path);

#endif
