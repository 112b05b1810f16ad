/* The manifest's files: lines appended; read at start. A line: manifest_line.c. See manifest.h.
 * Place: seal thread appends one line per sealed file; store_open() reads them back.
 * Invariants: a line is appended only after its file and the file's folder were synced; the lines
 * of one stream stand in the order of their seqs; a torn tail is cut off before the next line.
 * Memory: a read buffer of 256 KiB while reading at start, none afterwards (lines are built on the
 * stack). */
#include "store/manifest.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "store/manifest_intent.h"
#include "store/manifest_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading a file line by line */

struct line_reader {
    struct mdio *io;
    int handle;
    char *buffer;
    size_t capacity, begin, end;
    int64_t offset; /* of buffer[end] in the file */
    int64_t whole;  /* end of the last whole line */
};

/* 1 = a line (its newline is not part of it), 0 = no more whole lines, negative: the disk. A line
 * longer than the buffer counts as damage and is passed over. */
static int line_next(struct line_reader *reader, char **line, size_t *bytes)
{
    for (;;) {
        char *begin = reader->buffer + reader->begin;
        char *newline = memchr(begin, '\n', reader->end - reader->begin);
        if (newline != NULL) {
            *line = begin;
            *bytes = (size_t)(newline - begin);
            reader->begin += *bytes + 1;
            reader->whole = reader->offset - (int64_t)(reader->end - reader->begin);
            return 1;
        }
        if (reader->begin == 0 && reader->end == reader->capacity) {
            *line = begin;
            *bytes = reader->end;
            reader->begin = reader->end;
            return 1;
        }
        memmove(reader->buffer, begin, reader->end - reader->begin);
        reader->end -= reader->begin;
        reader->begin = 0;
        ssize_t got = mdio_read(reader->io, reader->handle, reader->buffer + reader->end,
                                reader->capacity - reader->end, reader->offset);
        if (got <= 0) {
            return (int)got;
        }
        reader->end += (size_t)got;
        reader->offset += got;
    }
}

static int line_reader_open(struct line_reader *reader, struct mdio *io, const char *path,
                            char *buffer, size_t capacity)
{
    *reader = (struct line_reader){io, -1, buffer, capacity, 0, 0, 0, 0};
    reader->handle = mdio_open(io, path, MDIO_READ);
    return reader->handle < 0 ? reader->handle : 0;
}

/* ---- appending */

void manifest_day_path(enum venue_id venue, int64_t day, bool compact,
                       char out[MANIFEST_DAY_PATH_MAX])
{
    struct clock_utc utc = clock_utc_of(day * NS_PER_DAY);
    int length =
        snprintf(out, MANIFEST_DAY_PATH_MAX, "manifest/%s-%04d-%02d-%02d%s.jsonl",
                 venue_name(venue), utc.year, utc.month, utc.day, compact ? ".compact" : "");
    ASSERT(length > 0);
    ASSERT(length < MANIFEST_DAY_PATH_MAX);
}

static int64_t day_of(int64_t unix_ns)
{
    return unix_ns / NS_PER_DAY - (unix_ns % NS_PER_DAY < 0);
}

int manifest_open(struct manifest *manifest, struct mdio *io, struct err *err)
{
    *manifest = (struct manifest){.io = io, .handle = -1, .end = -1, .intents_handle = -1};
    int code = mdio_mkdirs(io, "manifest");
    if (code >= 0) {
        code = mdio_mkdirs(io, "spool");
    }
    if (code >= 0) {
        code = intents_open(io, &manifest->intents_generation);
    }
    if (code < 0) {
        return err_set(err, code, "manifest: %s", err_text(code));
    }
    manifest->intents_handle = code;
    return 0;
}

int manifest_open_compact(struct manifest *manifest, struct mdio *io, struct err *err)
{
    *manifest =
        (struct manifest){.io = io, .handle = -1, .end = -1, .intents_handle = -1, .compact = true};
    int code = mdio_mkdirs(io, "manifest");
    return code < 0 ? err_set(err, code, "manifest: %s", err_text(code)) : 0;
}

static void close_day(struct manifest *manifest)
{
    if (manifest->handle >= 0) {
        mdio_close(manifest->io, manifest->handle);
        manifest->handle = -1;
    }
}

void manifest_close(struct manifest *manifest)
{
    if (manifest->io == NULL) {
        return;
    }
    close_day(manifest);
    if (manifest->intents_handle >= 0) {
        mdio_close(manifest->io, manifest->intents_handle);
    }
    memset(manifest, 0, sizeof *manifest);
}

/* Where the last whole line ends: a torn tail (or what an aborted append left) is cut off. */
static int find_end(struct manifest *manifest)
{
    int64_t size = mdio_size(manifest->io, manifest->handle);
    int64_t end = size;
    char chunk[512];
    while (end > 0) {
        size_t bytes = end < (int64_t)sizeof chunk ? (size_t)end : sizeof chunk;
        int code =
            mdio_read_all(manifest->io, manifest->handle, chunk, bytes, end - (int64_t)bytes);
        if (code < 0) {
            return code;
        }
        while (bytes > 0 && chunk[bytes - 1] != '\n') {
            bytes--;
            end--;
        }
        if (bytes > 0) {
            break;
        }
    }
    if (size < 0) {
        return (int)size;
    }
    if (manifest->end >= 0 && manifest->end < end) {
        end = manifest->end; /* an append failed after it: not promised, written again */
    }
    manifest->end = end;
    return end < size ? mdio_truncate(manifest->io, manifest->handle, end) : 0;
}

static int open_day(struct manifest *manifest, enum venue_id venue, int64_t day)
{
    if (manifest->handle >= 0 && manifest->venue == venue && manifest->day == day &&
        !manifest->suspect) {
        return 0;
    }
    close_day(manifest);
    if (manifest->venue != venue || manifest->day != day) {
        manifest->end = -1;
    }
    char path[MANIFEST_DAY_PATH_MAX];
    manifest_day_path(venue, day, manifest->compact, path);
    int handle = mdio_open_in(manifest->io, "manifest", path, MDIO_READ | MDIO_WRITE | MDIO_CREATE);
    if (handle < 0) {
        return handle;
    }
    manifest->handle = handle;
    manifest->venue = venue;
    manifest->day = day;
    int code = mdio_dirsync(manifest->io, "manifest");
    if (code == 0) {
        code = find_end(manifest);
    }
    manifest->suspect = code != 0;
    return code;
}

int manifest_append(struct manifest *manifest, enum venue_id venue, int64_t unix_ns,
                    const struct manifest_entry *entry)
{
    char line[MANIFEST_LINE_MAX];
    struct buf out = buf_over(line, sizeof line);
    manifest_line_format(entry, &out);
    ASSERT(!out.overflow);
    return manifest_append_line(manifest, venue, unix_ns, buf_view(&out));
}

int manifest_append_line(struct manifest *manifest, enum venue_id venue, int64_t unix_ns,
                         struct str line)
{
    int code = open_day(manifest, venue, day_of(unix_ns));
    if (code == 0) {
        code = mdio_write_all(manifest->io, manifest->handle, line.data, line.bytes, manifest->end);
        /* Written again at the same place by the next try; a failed sync also wants a new
         * descriptor, and all of the line written again. */
    }
    if (code == 0) {
        code = mdio_sync(manifest->io, manifest->handle);
    }
    if (code < 0) {
        manifest->suspect = true;
        if (manifest->handle >= 0) {
            /* Best effort: what is left of the line has no newline or repeats itself exactly. */
            mdio_truncate(manifest->io, manifest->handle, manifest->end);
        }
        return code;
    }
    manifest->end += (int64_t)line.bytes;
    return 0;
}

int manifest_find(struct manifest *manifest, enum venue_id venue, int64_t unix_ns, struct str path,
                  char *line, uint64_t *first_seq, uint64_t *last_seq)
{
    char name[MANIFEST_DAY_PATH_MAX];
    manifest_day_path(venue, day_of(unix_ns), false, name);
    struct line_reader reader;
    int code = line_reader_open(&reader, manifest->io, name, line, MANIFEST_LINE_MAX);
    if (code < 0) {
        return code == MD_ENOENT ? 0 : code;
    }
    int found = 0;
    char *text = NULL;
    size_t bytes = 0;
    while (found == 0 && (code = line_next(&reader, &text, &bytes)) == 1) {
        struct manifest_entry entry;
        if (manifest_line_parse(text, bytes, &entry) == 0 && str_equal(entry.path, path)) {
            *first_seq = entry.first_seq;
            *last_seq = entry.last_seq;
            found = 1;
        }
    }
    mdio_close(manifest->io, reader.handle);
    return code < 0 ? code : found;
}

int manifest_intend(struct manifest *manifest, const struct manifest_intent *intents,
                    uint32_t count)
{
    if (manifest->intents_handle < 0) { /* a sync failed: a new descriptor */
        int handle = intents_open(manifest->io, NULL);
        if (handle < 0) {
            return handle;
        }
        manifest->intents_handle = handle;
    }
    int code = intents_write(manifest->io, manifest->intents_handle,
                             manifest->intents_generation + 1, intents, count);
    if (code < 0) {
        mdio_close(manifest->io, manifest->intents_handle);
        manifest->intents_handle = -1;
        return code;
    }
    manifest->intents_generation++;
    return 0;
}

int manifest_clean(struct manifest *manifest, struct err *err)
{
    struct intents *intents = alloc_take(ALLOC_SEAL, sizeof *intents + MANIFEST_LINE_MAX);
    if (intents == NULL) {
        return err_set(err, MD_ENOMEM, "manifest: no memory");
    }
    intents_read(manifest->io, manifest->intents_handle, intents);
    int code = 0;
    for (uint32_t i = 0; i < intents->count && code == 0; i++) {
        const struct manifest_intent *file = &intents->file[i];
        uint64_t first = 0;
        uint64_t last = 0;
        code = manifest_find(manifest, file->venue, file->unix_ns, str_from(file->path),
                             (char *)(intents + 1), &first, &last);
        if (code == 0) {
            code = intents_delete(manifest->io, file->path);
        }
        code = code == 1 ? 0 : code;
        if (code < 0) {
            err_set(err, code, "store: %s: cannot tell or delete a file that was not finished: %s",
                    file->path, err_text(code));
        }
    }
    alloc_give(intents);
    for (uint32_t slot = 0; slot < 2 && code == 0; slot++) {
        code = manifest_intend(manifest, NULL, 0);
        if (code < 0) {
            err_set(err, code, "store: spool/intents: %s", err_text(code));
        }
    }
    return code;
}

/* ---- reading at start */

#define NAMES_BYTES (1 << 20) /* six exchanges for fourteen years */

/* Names of manifest files, found by listing; sorted by nothing. */
struct names {
    char *text; /* one after another, each ended by 0 */
    size_t bytes;
    uint32_t refused;
    char newest[VENUE_ID_END][11]; /* date of each exchange's newest */
};

const char *manifest_name_date(const char *name, int *venue)
{
    size_t length = strlen(name);
    if (length < 18 || strcmp(name + length - 6, ".jsonl") != 0 || name[length - 17] != '-') {
        return NULL;
    }
    const char *date = name + length - 16;
    for (size_t i = 0; i < 10; i++) {
        bool dash = i == 4 || i == 7;
        if (dash ? date[i] != '-' : date[i] < '0' || date[i] > '9') {
            return NULL;
        }
    }
    *venue = venue_parse(str_make(name, length - 17));
    return *venue > 0 ? date : NULL;
}

int64_t manifest_date_day(const char *date)
{
    struct clock_utc utc = {.year = atoi(date), .month = atoi(date + 5), .day = atoi(date + 8)};
    return day_of(clock_unix_of_utc(&utc));
}

static void on_name(void *context, const char *name, bool is_directory)
{
    struct names *names = context;
    int venue = 0;
    const char *date = is_directory ? NULL : manifest_name_date(name, &venue);
    if (date == NULL) {
        return;
    }
    if (strncmp(date, names->newest[venue], 10) > 0) {
        memcpy(names->newest[venue], date, 10);
    }
    size_t bytes = strlen(name) + 1;
    if (names->bytes + bytes > NAMES_BYTES) {
        names->refused++;
        return;
    }
    memcpy(names->text + names->bytes, name, bytes);
    names->bytes += bytes;
}

int manifest_file_read(struct mdio *io, const char *path, char *buffer, size_t buffer_bytes,
                       void (*on_entry)(void *context, const struct manifest_entry *entry),
                       void *context, struct manifest_stats *stats)
{
    struct line_reader reader;
    int code = line_reader_open(&reader, io, path, buffer, buffer_bytes);
    if (code < 0) {
        return code;
    }
    char *line = NULL;
    size_t bytes = 0;
    while ((code = line_next(&reader, &line, &bytes)) == 1) {
        struct manifest_entry entry;
        if (manifest_line_parse(line, bytes, &entry) != 0) {
            stats->damaged_lines++;
            continue;
        }
        stats->lines++;
        on_entry(context, &entry);
    }
    if (code == 0 && reader.end > reader.begin) {
        stats->damaged_lines++; /* torn: the file ended in the middle of a line */
    }
    mdio_close(io, reader.handle);
    stats->files++;
    return code;
}

static int read_files(struct mdio *io, int64_t since_unix_ns, struct names *names, char *buffer,
                      void (*on_entry)(void *context, const struct manifest_entry *entry),
                      void *context, struct manifest_stats *stats, struct err *err)
{
    char since[16];
    struct clock_utc utc = clock_utc_of(since_unix_ns < 0 ? 0 : since_unix_ns);
    snprintf(since, sizeof since, "%04d-%02d-%02d", utc.year % 10000, utc.month, utc.day);
    for (size_t at = 0; at < names->bytes; at += strlen(names->text + at) + 1) {
        const char *name = names->text + at;
        int venue = 0;
        const char *date = manifest_name_date(name, &venue);
        ASSERT(date != NULL);
        bool newest = strncmp(date, names->newest[venue], 10) == 0;
        if (!newest && strncmp(date, since, 10) < 0) {
            continue;
        }
        char path[MANIFEST_DAY_PATH_MAX];
        int64_t day = manifest_date_day(date);
        manifest_day_path((enum venue_id)venue, day, false, path);
        int code =
            manifest_file_read(io, path, buffer, MANIFEST_READ_BYTES, on_entry, context, stats);
        if (code < 0) {
            return err_set(err, code, "manifest/%s: %s", name, err_text(code));
        }
    }
    return 0;
}

int manifest_read_all(struct mdio *io, int64_t since_unix_ns,
                      void (*on_entry)(void *context, const struct manifest_entry *entry),
                      void *context, struct manifest_stats *stats, struct err *err)
{
    *stats = (struct manifest_stats){0, 0, 0};
    char *memory = alloc_take(ALLOC_SEAL, MANIFEST_READ_BYTES + NAMES_BYTES);
    if (memory == NULL) {
        return err_set(err, MD_ENOMEM, "manifest: no memory");
    }
    struct names names = {.text = memory + MANIFEST_READ_BYTES};
    int code = mdio_list(io, "manifest", on_name, &names);
    code = code == MD_ENOENT ? 0 : code;
    if (code < 0) {
        err_set(err, code, "manifest: %s", err_text(code));
    } else if (names.refused > 0) {
        code = err_set(err, MD_EFULL, "manifest: more than %u files: move old ones away",
                       (unsigned)(NAMES_BYTES / 32));
    } else {
        code = read_files(io, since_unix_ns, &names, memory, on_entry, context, stats, err);
    }
    alloc_give(memory);
    return code;
}
