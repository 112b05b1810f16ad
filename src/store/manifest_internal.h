#ifndef MD_STORE_MANIFEST_INTERNAL_H
#define MD_STORE_MANIFEST_INTERNAL_H

#include "store/manifest.h"

/* Shared by manifest.c and manifest_live.c; nobody else includes this. */

#define MANIFEST_READ_BYTES (256 << 10)
#define MANIFEST_DAY_PATH_MAX 80

/* manifest/<exchange>-<date>.jsonl, or .compact.jsonl. */
void manifest_day_path(enum venue_id venue, int64_t day, bool compact,
                       char out[MANIFEST_DAY_PATH_MAX]);
/* Of "<exchange>-YYYY-MM-DD.jsonl", the date's first character; NULL for another name. */
const char *manifest_name_date(const char *name, int *venue);
/* YYYY-MM-DD to days since 1970. */
int64_t manifest_date_day(const char *date);
/* Hands out the file's good lines; one that is longer than the buffer is damaged. MD_ENOENT: no
 * such file. */
int manifest_file_read(struct mdio *io, const char *path, char *buffer, size_t buffer_bytes,
                       void (*on_entry)(void *context, const struct manifest_entry *entry),
                       void *context, struct manifest_stats *stats);

#endif
