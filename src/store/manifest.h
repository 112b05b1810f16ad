#ifndef MD_STORE_MANIFEST_H
#define MD_STORE_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mdio.h"
#include "exchange/event.h"

/* The list of sealed files: `manifest/<exchange>-<date>.jsonl`, one JSON object a line, appended
 * and synced after the file itself is durable. A line is true or it is not there: the last member
 * is the CRC-32C of all before it, so that a torn or altered line is seen, ignored and counted. A
 * disk that fails in the middle can leave the same line twice: a path counts once.
 *
 * `manifest/<exchange>-<date>.compact.jsonl`, of the same form, is compact's own: each line is a
 * file that was merged from others, which stand in its member "replaces" (a file beside the
 * recorder's, so that the two never append to one). Once such a line is there the files it replaces
 * no longer count, whether they are deleted yet or not: manifest_read_live() hands out what counts.
 *
 * Intents: `spool/intents` names the files that are about to be renamed into place. A file named
 * there but in no manifest line was left by a crash between the rename and its line; its rows are
 * still in the journal, so the file is deleted at the next start and lands again. Two slots,
 * written in turn and synced before the rename. */

#define STORE_INPROGRESS ".inprogress-"
/* Behind the name: DuckDB's and Polars' *.parquet match names that start with a dot too. */
#define STORE_INPROGRESS_END ".part"
#define MANIFEST_LINE_MAX 4096
#define MANIFEST_COMPACT_LINE_MAX (1 << 20) /* with all it replaces */
#define MANIFEST_PATH_MAX 640
#define MANIFEST_INTENTS_MAX 16

/* The name under which the file at `path` is written: folder/.inprogress-NAME.part. `out` of
 * MANIFEST_PATH_MAX + 32 bytes. */
void store_inprogress_path(const char *path, char *out, size_t out_bytes);

struct manifest_entry {
    struct str path;
    enum venue_id venue;
    enum channel channel;
    struct str symbol; /* bytes = 0 for gaps and instruments */
    struct str schema;
    uint32_t schema_version;
    uint64_t rows, bytes;
    int64_t first_local_us, last_local_us;
    uint64_t first_seq, last_seq;          /* local_seq; also the journal's range */
    int64_t first_sequence, last_sequence; /* the venue's ids; ID_NONE */
    uint64_t gaps, missing, digits_over_15;
    char sha256[65]; /* hex */
    struct str recorder;
    struct str replaces;  /* paths, each ended by a newline; bytes = 0: not a merged file */
    uint64_t values_hash; /* of a merged file: store/values_hash.h over all its rows */
};
/* Takes the next path off entry->replaces (or a copy of it); false when there is none. */
bool manifest_replaces_next(struct str *rest, struct str *path);

/* Writes one line with its newline; overflows softly. */
void manifest_line_format(const struct manifest_entry *entry, struct buf *out);
/* Reads one line (without the newline); unescapes in place, texts are views into it. MD_EPARSE: not
 * an object of our form; MD_ECORRUPT: the CRC is wrong. Unknown members are ignored. */
int manifest_line_parse(char *line, size_t bytes, struct manifest_entry *entry);

struct manifest_stats {
    uint64_t files, lines, damaged_lines;
};

/* One at a time: the file lines are appended to. Seal thread. */
struct manifest {
    struct mdio *io;
    int handle;
    enum venue_id venue;
    int64_t day;  /* days since 1970 */
    int64_t end;  /* bytes of whole lines; -1 = not known */
    bool suspect; /* a sync failed: open it anew before going on */
    bool compact; /* the lines of compact; no intents */
    int intents_handle;
    uint32_t intents_generation;
};

int manifest_open(struct manifest *manifest, struct mdio *io, struct err *err);
/* For compact's own files. */
int manifest_open_compact(struct manifest *manifest, struct mdio *io, struct err *err);
void manifest_close(struct manifest *manifest);
/* Appends and syncs one line in the file of `unix_ns`'s day. After a failure nothing is certain:
 * call again with the same line until it returns 0. */
int manifest_append(struct manifest *manifest, enum venue_id venue, int64_t unix_ns,
                    const struct manifest_entry *entry);
/* The same with a line that manifest_line_format() made, which may be longer. */
int manifest_append_line(struct manifest *manifest, enum venue_id venue, int64_t unix_ns,
                         struct str line);
/* Looks for `path` in the file of that day: 1 = *first_seq, *last_seq are its; 0 = not there. Slow
 * (reads the file). `line` is MANIFEST_LINE_MAX bytes of scratch. */
int manifest_find(struct manifest *manifest, enum venue_id venue, int64_t unix_ns, struct str path,
                  char *line, uint64_t *first_seq, uint64_t *last_seq);

struct manifest_intent {
    enum venue_id venue;
    int64_t unix_ns; /* any moment of the day whose manifest will list it */
    char path[MANIFEST_PATH_MAX];
};
/* Says which files may appear from now on, in place of what was said before. Synced on return. */
int manifest_intend(struct manifest *manifest, const struct manifest_intent *intents,
                    uint32_t count);

/* At start: reads every manifest file whose day is not before `since_unix_ns`, and each exchange's
 * newest; hands out each good line. */
int manifest_read_all(struct mdio *io, int64_t since_unix_ns,
                      void (*on_entry)(void *context, const struct manifest_entry *entry),
                      void *context, struct manifest_stats *stats, struct err *err);
/* A day of an exchange that has a manifest. */
struct manifest_day {
    enum venue_id venue;
    int64_t day; /* since 1970 */
};
/* Hands out each day once, by exchange and date; returns how many, or a code. */
int manifest_days(struct mdio *io, void (*on_day)(void *context, const struct manifest_day *day),
                  void *context, struct err *err);
/* The day's lines that count: merged files first, then the others, without what was replaced and
 * without a path twice. Reads the day's files twice; takes 32 bytes a line while it runs. */
int manifest_read_live(struct mdio *io, const struct manifest_day *day,
                       void (*on_entry)(void *context, const struct manifest_entry *entry),
                       void *context, struct manifest_stats *stats, struct err *err);
/* Lines of compact of that day, in the order in which they were written. */
int manifest_read_compact(struct mdio *io, const struct manifest_day *day,
                          void (*on_entry)(void *context, const struct manifest_entry *entry),
                          void *context, struct manifest_stats *stats, struct err *err);

/* At start, before anything is sealed: deletes files that were intended and have no line, then
 * forgets all intents. */
int manifest_clean(struct manifest *manifest, struct err *err);

#endif
