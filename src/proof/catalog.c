/* Manifests and folders, read into one sorted list.
 * Place: under verify, book and merge.
 * Invariants: only lines whose checksum is right are taken; a path counts once, its last line; the
 * list is sorted, so the files of a stream stand together in the order of time.
 * Memory: the list (about 500 bytes a file), one read buffer. */
#include "proof/catalog.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"

#define READ_BYTES ((size_t)256 << 10)
#define US_PER_DAY (NS_PER_DAY / NS_PER_US)
#define FOLDERS_DEEP 8

/* ---- lines */

struct loading {
    struct catalog *catalog;
    finding_sink on_finding;
    void *context;
    struct str manifest; /* path, kept */
    int64_t newest_us;   /* begin of the newest day of its exchange */
    int64_t day_us;
    enum venue_id venue;
    uint32_t line;
};

static void tell_line(struct loading *loading, const char *words)
{
    struct finding finding = {.kind = FINDING_MANIFEST_LINE,
                              .venue = loading->venue,
                              .channel = -1,
                              .path = loading->manifest};
    snprintf(finding.text, sizeof finding.text, "line %u: %s", loading->line, words);
    loading->on_finding(loading->context, &finding);
}

static enum file_format format_of(struct str path)
{
    const char *dot = path.bytes > 0 ? memrchr(path.data, '.', path.bytes) : NULL;
    struct str end = dot == NULL ? STR("") : str_make(dot, (size_t)(path.data + path.bytes - dot));
    return str_equal(end, STR(".zst"))  ? FORMAT_JSONL
           : str_equal(end, STR(".gz")) ? FORMAT_CSV
                                        : FORMAT_PARQUET;
}

static bool in_period(const struct catalog_options *options, const struct manifest_entry *entry)
{
    int64_t slack_us = entry->channel == CHANNEL_GAPS ? US_PER_DAY : 0;
    return (options->since_us == TIME_NONE ||
            entry->last_local_us >= options->since_us - slack_us) &&
           (options->until_us == TIME_NONE ||
            entry->first_local_us <= options->until_us + slack_us);
}

static int path_note(struct path_hashes *paths, struct str path)
{
    void *hashes = paths->hashes;
    int code = proof_grow(&hashes, &paths->capacity, paths->count, sizeof(uint64_t));
    paths->hashes = hashes;
    if (code == 0) {
        paths->hashes[paths->count++] = str_hash(path, 0);
    }
    return code;
}

static int by_hash(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return (*x > *y) - (*x < *y);
}

static void paths_sort(struct path_hashes *paths)
{
    if (paths->count > 0) {
        qsort(paths->hashes, paths->count, sizeof(uint64_t), by_hash);
    }
}

static bool path_known(const struct path_hashes *paths, struct str path)
{
    uint64_t hash = str_hash(path, 0);
    return paths->count > 0 &&
           bsearch(&hash, paths->hashes, paths->count, sizeof hash, by_hash) != NULL;
}

/* What the file was merged from by compact is there no more, or about to go. */
static int note_replaced(struct catalog *catalog, const struct manifest_entry *entry)
{
    struct str rest = entry->replaces;
    struct str path;
    int code = 0;
    while (code == 0 && manifest_replaces_next(&rest, &path)) {
        code = path_note(&catalog->replaced, path);
    }
    return code;
}

static int entry_keep(struct loading *loading, const struct manifest_entry *entry)
{
    struct catalog *catalog = loading->catalog;
    int code = path_note(&catalog->named, entry->path);
    code = code != 0 ? code : note_replaced(catalog, entry);
    if (code != 0 || !in_period(&catalog->options, entry)) {
        return code;
    }
    void *files = catalog->files;
    code = proof_grow(&files, &catalog->capacity, catalog->count, sizeof *catalog->files);
    catalog->files = files;
    if (code != 0) {
        return code;
    }
    struct catalog_file *file = &catalog->files[catalog->count];
    *file = (struct catalog_file){.entry = *entry,
                                  .manifest = loading->manifest,
                                  .line = loading->line,
                                  .format = format_of(entry->path)};
    struct str *const texts[] = {&file->entry.path, &file->entry.symbol, &file->entry.schema,
                                 &file->entry.recorder};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && code == 0; i++) {
        code = texts_keep(&catalog->texts, *texts[i], texts[i]);
    }
    catalog->count += code == 0;
    return code;
}

static int line_take(struct loading *loading, char *line, size_t bytes)
{
    struct manifest_entry entry;
    loading->line++;
    int code = manifest_line_parse(line, bytes, &entry);
    if (code != 0) {
        tell_line(loading, code == MD_ECORRUPT ? "damaged or edited: its checksum is wrong"
                                               : "not a manifest line of this version");
        return 0;
    }
    if (entry.venue != loading->venue) {
        tell_line(loading, "of another exchange than the manifest");
    }
    return entry_keep(loading, &entry);
}

/* Whole lines of `buffer`; returns how many bytes of them were taken, or a code. */
static ssize_t lines_take(struct loading *loading, char *buffer, size_t bytes)
{
    size_t begin = 0;
    for (;;) {
        char *newline = memchr(buffer + begin, '\n', bytes - begin);
        if (newline == NULL) {
            return (ssize_t)begin;
        }
        int code = line_take(loading, buffer + begin, (size_t)(newline - buffer) - begin);
        if (code != 0) {
            return code;
        }
        begin = (size_t)(newline - buffer) + 1;
    }
}

static int manifest_take(struct loading *loading, const char *path, char *buffer)
{
    struct mdio *io = loading->catalog->io;
    int handle = mdio_open(io, path, MDIO_READ);
    if (handle < 0) {
        return handle;
    }
    size_t kept = 0;
    int64_t offset = 0;
    ssize_t got = 0;
    int code = 0;
    while (code == 0 &&
           (got = mdio_read(io, handle, buffer + kept, READ_BYTES - kept, offset)) > 0) {
        offset += got;
        kept += (size_t)got;
        ssize_t taken = lines_take(loading, buffer, kept);
        if (taken < 0) {
            code = (int)taken;
        } else if (taken == 0 && kept == READ_BYTES) {
            loading->line++;
            tell_line(loading, "longer than any line of ours");
            kept = 0;
        } else {
            kept -= (size_t)taken;
            memmove(buffer, buffer + taken, kept);
        }
    }
    if (code == 0 && got == 0 && kept > 0) {
        loading->line++;
        if (loading->day_us < loading->newest_us) {
            tell_line(loading, "the file ends in the middle of it");
        }
    }
    mdio_close(io, handle);
    return code != 0 ? code : (int)(got < 0 ? got : 0);
}

/* ---- the manifests */

struct name {
    char text[64];
    enum venue_id venue;
    int64_t day_us;
};

struct names {
    struct name *names;
    size_t count, capacity;
    int code;
    enum venue_id venue;
};

/* "<exchange>-YYYY-MM-DD.jsonl", or .compact.jsonl: the lines of compact */
static bool name_parse(const char *text, struct name *name)
{
    size_t bytes = strlen(text);
    struct clock_utc day = {0};
    int end = 0;
    size_t tail = bytes > 14 && strcmp(text + bytes - 14, ".compact.jsonl") == 0 ? 24 : 16;
    if (bytes < tail + 2 || bytes >= sizeof name->text || text[bytes - tail - 1] != '-' ||
        sscanf(text + bytes - tail, "%4d-%2d-%2d.%n", &day.year, &day.month, &day.day, &end) != 3 ||
        end != 11 || strcmp(text + bytes - 5, "jsonl") != 0) {
        return false;
    }
    int venue = venue_parse(str_make(text, bytes - tail - 1));
    memcpy(name->text, text, bytes + 1);
    name->venue = venue > 0 ? (enum venue_id)venue : VENUE_NONE;
    name->day_us = clock_unix_of_utc(&day) / NS_PER_US;
    return venue > 0;
}

static void on_name(void *context, const char *text, bool is_directory)
{
    struct names *names = context;
    struct name name;
    if (is_directory || names->code != 0 || !name_parse(text, &name) ||
        (names->venue != VENUE_NONE && names->venue != name.venue)) {
        return;
    }
    void *items = names->names;
    names->code = proof_grow(&items, &names->capacity, names->count, sizeof name);
    names->names = items;
    if (names->code == 0) {
        names->names[names->count++] = name;
    }
}

static int by_name(const void *a, const void *b)
{
    const struct name *x = a;
    const struct name *y = b;
    return strcmp(x->text, y->text);
}

/* A file's day is that of its first row, whatever the period: one day of slack does. */
static bool day_in_period(const struct catalog_options *options, int64_t day_us)
{
    return (options->since_us == TIME_NONE || day_us + 2 * US_PER_DAY >= options->since_us) &&
           (options->until_us == TIME_NONE || day_us - US_PER_DAY <= options->until_us);
}

static int manifests_take(struct loading *loading, struct names *names, char *buffer,
                          struct err *err)
{
    struct catalog *catalog = loading->catalog;
    if (names->count > 0) {
        qsort(names->names, names->count, sizeof names->names[0], by_name);
    }
    for (size_t i = 0; i < names->count; i++) {
        const struct name *name = &names->names[i];
        if (!day_in_period(&catalog->options, name->day_us)) {
            continue;
        }
        size_t last = i;
        while (last + 1 < names->count && names->names[last + 1].venue == name->venue) {
            last++;
        }
        char path[80];
        snprintf(path, sizeof path, "manifest/%s", name->text);
        loading->venue = name->venue;
        loading->day_us = name->day_us;
        loading->newest_us = names->names[last].day_us;
        loading->line = 0;
        int code = texts_keep(&catalog->texts, str_from(path), &loading->manifest);
        code = code != 0 ? code : manifest_take(loading, path, buffer);
        if (code != 0) {
            return err_set(err, code, "%s: %s", path, err_text(code));
        }
        catalog->manifests++;
    }
    return 0;
}

/* ---- order */

static int compare_i64(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_text(struct str a, struct str b)
{
    size_t least = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order = least > 0 ? memcmp(a.data, b.data, least) : 0;
    return order != 0 ? order : compare_i64((int64_t)a.bytes, (int64_t)b.bytes);
}

int catalog_stream_compare(const struct manifest_entry *a, const struct manifest_entry *b)
{
    int order = (int)a->venue - (int)b->venue;
    order = order != 0 ? order : (int)a->channel - (int)b->channel;
    return order != 0 ? order : compare_text(a->symbol, b->symbol);
}

static int by_stream_and_time(const void *a, const void *b)
{
    const struct catalog_file *x = a;
    const struct catalog_file *y = b;
    int order = catalog_stream_compare(&x->entry, &y->entry);
    order = order != 0 ? order : compare_i64(x->entry.first_local_us, y->entry.first_local_us);
    order = order != 0 ? order
                       : (x->entry.first_seq > y->entry.first_seq) -
                             (x->entry.first_seq < y->entry.first_seq);
    order = order != 0 ? order : compare_text(x->entry.path, y->entry.path);
    order = order != 0 ? order : compare_text(x->manifest, y->manifest);
    return order != 0 ? order : compare_i64(x->line, y->line);
}

/* A disk that failed in the middle can leave a line twice: the last one counts. */
static void keep_live(struct catalog *catalog)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < catalog->count; i++) {
        struct catalog_file *file = &catalog->files[i];
        bool again = kept > 0 && str_equal(file->entry.path, catalog->files[kept - 1].entry.path);
        if (!path_known(&catalog->replaced, file->entry.path)) {
            kept -= again;
            catalog->files[kept++] = *file;
        }
    }
    catalog->count = kept;
}

static void order(struct catalog *catalog)
{
    paths_sort(&catalog->named);
    paths_sort(&catalog->replaced);
    if (catalog->count > 0) {
        qsort(catalog->files, catalog->count, sizeof *catalog->files, by_stream_and_time);
        keep_live(catalog);
    }
}

int catalog_load(struct catalog *catalog, struct mdio *io, const struct catalog_options *options,
                 finding_sink on_finding, void *context, struct err *err)
{
    *catalog = (struct catalog){.io = io, .options = *options};
    struct loading loading = {.catalog = catalog, .on_finding = on_finding, .context = context};
    struct names names = {.venue = options->venue};
    char *buffer = alloc_take(ALLOC_APP, READ_BYTES);
    int code = buffer == NULL ? MD_ENOMEM : mdio_list(io, "manifest", on_name, &names);
    code = code == 0 ? names.code : code;
    if (code == MD_ENOENT) {
        code = err_set(err, code, "%s: no manifest folder: not a data folder of ours", io->root);
    } else if (code != 0) {
        err_set(err, code, "%s/manifest: %s", io->root, err_text(code));
    } else {
        code = manifests_take(&loading, &names, buffer, err);
    }
    alloc_give(names.names);
    alloc_give(buffer);
    order(catalog);
    return code;
}

void catalog_deinit(struct catalog *catalog)
{
    alloc_give(catalog->files);
    alloc_give(catalog->named.hashes);
    alloc_give(catalog->replaced.hashes);
    texts_deinit(&catalog->texts);
    *catalog = (struct catalog){0};
}

uint32_t catalog_stream_end(const struct catalog *catalog, uint32_t index)
{
    uint32_t end = index;
    while (end < catalog->count &&
           catalog_stream_compare(&catalog->files[end].entry, &catalog->files[index].entry) == 0) {
        end++;
    }
    return end;
}

/* ---- files that no line names */

struct walk {
    struct catalog *catalog;
    finding_sink on_finding;
    void *context;
    char path[MDIO_PATH_BYTES_MAX];
    size_t bytes;
    uint32_t deep;
    enum venue_id venue;
    int code;
};

/* The day a folder name tells: date=YYYY-MM-DD or YYYY-MM-DD; TIME_NONE: none. */
static int64_t folder_day(const char *name)
{
    struct clock_utc day = {0};
    int end = 0;
    const char *date = strncmp(name, "date=", 5) == 0 ? name + 5 : name;
    if (sscanf(date, "%4d-%2d-%2d%n", &day.year, &day.month, &day.day, &end) != 3 || end != 10 ||
        date[10] != 0) {
        return TIME_NONE;
    }
    return clock_unix_of_utc(&day) / NS_PER_US;
}

static void check_named(struct walk *walk)
{
    const struct catalog *catalog = walk->catalog;
    struct str path = str_make(walk->path, walk->bytes);
    if (path_known(&catalog->named, path)) {
        return;
    }
    struct finding finding = {
        .kind = FINDING_FILE_UNNAMED, .venue = walk->venue, .channel = -1, .path = path};
    snprintf(finding.text, sizeof finding.text, "no manifest line names this file");
    walk->on_finding(walk->context, &finding);
}

static void on_entry(void *context, const char *name, bool is_directory);

static void walk_into(struct walk *walk, const char *name, bool is_directory)
{
    size_t bytes = walk->bytes;
    int length =
        snprintf(walk->path + bytes, sizeof walk->path - bytes, "%s%s", bytes > 0 ? "/" : "", name);
    if (length < 0 || (size_t)length >= sizeof walk->path - bytes) {
        walk->path[bytes] = 0;
        return; /* no path of ours is so long */
    }
    walk->bytes += (size_t)length;
    if (!is_directory) {
        check_named(walk);
    } else if (walk->deep < FOLDERS_DEEP) {
        walk->deep++;
        int code = mdio_list(walk->catalog->io, walk->path, on_entry, walk);
        walk->code = walk->code != 0 || code == MD_ENOENT ? walk->code : code;
        walk->deep--;
    }
    walk->bytes = bytes;
    walk->path[bytes] = 0;
}

static void on_entry(void *context, const char *name, bool is_directory)
{
    struct walk *walk = context;
    int64_t day_us = is_directory ? folder_day(name) : TIME_NONE;
    const struct catalog_options *options = &walk->catalog->options;
    bool outside = day_us != TIME_NONE &&
                   ((options->since_us != TIME_NONE && day_us + US_PER_DAY <= options->since_us) ||
                    (options->until_us != TIME_NONE && day_us > options->until_us));
    if (!outside && strncmp(name, STORE_INPROGRESS, sizeof STORE_INPROGRESS - 1) != 0) {
        walk_into(walk, name, is_directory);
    }
}

static void on_top(void *context, const char *name, bool is_directory)
{
    struct walk *walk = context;
    const char *id = strncmp(name, "exchange=", 9) == 0 ? name + 9 : name;
    int venue = venue_parse(str_from(id));
    enum venue_id wanted = walk->catalog->options.venue;
    if (is_directory && venue > 0 && (wanted == VENUE_NONE || wanted == (enum venue_id)venue)) {
        walk->venue = (enum venue_id)venue;
        walk_into(walk, name, true);
    }
}

int catalog_check_unnamed(struct catalog *catalog, finding_sink on_finding, void *context,
                          struct err *err)
{
    struct walk walk = {.catalog = catalog, .on_finding = on_finding, .context = context};
    int code = mdio_list(catalog->io, "", on_top, &walk);
    code = code != 0 ? code : walk.code;
    return code == 0 ? 0 : err_set(err, code, "%s: %s", catalog->io->root, err_text(code));
}
