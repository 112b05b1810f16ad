/* Which of the listed files count: days that have manifests, and a day's lines without what compact
 * replaced. See manifest.h.
 * Place: commands over finished files (compact, verify ...); not on the way of a message.
 * Invariants: a path is handed out once. Paths are told apart by two 64-bit hashes. Memory: a read
 * buffer, and 16 bytes for each path of the day at a load of a half. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/err.h"
#include "store/manifest_internal.h"

#define READ_BYTES (MANIFEST_COMPACT_LINE_MAX + MANIFEST_READ_BYTES)

/* ---- days */

#define DAYS_MAX 65536

struct days {
    struct manifest_day *day;
    uint32_t count, refused;
};

static void on_name(void *context, const char *name, bool is_directory)
{
    struct days *days = context;
    int venue = 0;
    const char *date = is_directory ? NULL : manifest_name_date(name, &venue);
    if (date == NULL) {
        return;
    }
    if (days->count == DAYS_MAX) {
        days->refused++;
        return;
    }
    days->day[days->count++] =
        (struct manifest_day){.venue = (enum venue_id)venue, .day = manifest_date_day(date)};
}

static int by_venue_and_day(const void *a, const void *b)
{
    const struct manifest_day *x = a;
    const struct manifest_day *y = b;
    return x->venue != y->venue ? (x->venue > y->venue) - (x->venue < y->venue)
                                : (x->day > y->day) - (x->day < y->day);
}

int manifest_days(struct mdio *io, void (*on_day)(void *context, const struct manifest_day *day),
                  void *context, struct err *err)
{
    struct days days = {.day = alloc_take(ALLOC_APP, DAYS_MAX * sizeof(struct manifest_day))};
    if (days.day == NULL) {
        return err_set(err, MD_ENOMEM, "manifest: no memory");
    }
    int code = mdio_list(io, "manifest", on_name, &days);
    if (code < 0) {
        err_set(err, code, "%s/manifest: %s", io->root,
                code == MD_ENOENT ? "no such folder: not where a recorder wrote" : err_text(code));
    } else if (days.refused > 0) {
        code = err_set(err, MD_EFULL, "%s/manifest: more than %d days: move old ones away",
                       io->root, DAYS_MAX);
    } else {
        qsort(days.day, days.count, sizeof *days.day, by_venue_and_day);
        for (uint32_t i = 0; i < days.count; i++) {
            on_day(context, &days.day[i]);
        }
        code = (int)days.count;
    }
    alloc_give(days.day);
    return code;
}

/* ---- a set of paths */

struct path_key {
    uint64_t a, b; /* both 0: free */
};

struct path_set {
    struct path_key *keys;
    uint32_t count, mask;
    bool failed; /* no memory: the set is not to be believed */
};

static struct path_key *slot_of(const struct path_set *set, struct path_key key)
{
    uint32_t slot = (uint32_t)key.a & set->mask;
    while (set->keys[slot].a != 0 && (set->keys[slot].a != key.a || set->keys[slot].b != key.b)) {
        slot = (slot + 1) & set->mask;
    }
    return &set->keys[slot];
}

static void grow(struct path_set *set)
{
    struct path_set larger = {.mask = set->keys == NULL ? 1023 : set->mask * 2 + 1};
    larger.keys = alloc_take(ALLOC_APP, ((size_t)larger.mask + 1) * sizeof *larger.keys);
    if (larger.keys == NULL) {
        set->failed = true;
        return;
    }
    for (uint32_t i = 0; set->keys != NULL && i <= set->mask; i++) {
        if (set->keys[i].a != 0) {
            *slot_of(&larger, set->keys[i]) = set->keys[i];
        }
    }
    alloc_give(set->keys);
    set->keys = larger.keys;
    set->mask = larger.mask;
}

/* True when the path was not in the set yet. */
static bool add(struct path_set *set, struct str path)
{
    if (set->keys == NULL || set->count > set->mask / 2) {
        grow(set);
    }
    if (set->failed) {
        return false;
    }
    struct path_key key = {str_hash(path, 1) | 1, str_hash(path, 2)};
    struct path_key *slot = slot_of(set, key);
    if (slot->a != 0) {
        return false;
    }
    *slot = key;
    set->count++;
    return true;
}

/* ---- what counts */

struct live {
    struct path_set gone; /* replaced, or handed out already */
    void (*on_entry)(void *context, const struct manifest_entry *entry);
    void *context;
};

static void note_replaced(void *context, const struct manifest_entry *entry)
{
    struct live *live = context;
    struct str rest = entry->replaces;
    struct str path;
    while (manifest_replaces_next(&rest, &path)) {
        add(&live->gone, path);
    }
}

static void hand_out(void *context, const struct manifest_entry *entry)
{
    struct live *live = context;
    if (add(&live->gone, entry->path)) {
        live->on_entry(live->context, entry);
    }
}

/* 0 also when the file is not there. */
static int read_one(struct mdio *io, const struct manifest_day *day, bool compact, char *buffer,
                    void (*on_entry)(void *context, const struct manifest_entry *entry),
                    void *context, struct manifest_stats *stats, struct err *err)
{
    char path[MANIFEST_DAY_PATH_MAX];
    manifest_day_path(day->venue, day->day, compact, path);
    int code = manifest_file_read(io, path, buffer, READ_BYTES, on_entry, context, stats);
    if (code == MD_ENOENT) {
        return 0;
    }
    return code < 0 ? err_set(err, code, "%s/%s: %s", io->root, path, err_text(code)) : 0;
}

int manifest_read_live(struct mdio *io, const struct manifest_day *day,
                       void (*on_entry)(void *context, const struct manifest_entry *entry),
                       void *context, struct manifest_stats *stats, struct err *err)
{
    struct manifest_stats first = {0, 0, 0};
    struct live live = {.on_entry = on_entry, .context = context};
    char *buffer = alloc_take(ALLOC_APP, READ_BYTES);
    *stats = first;
    if (buffer == NULL) {
        return err_set(err, MD_ENOMEM, "manifest: no memory");
    }
    int code = read_one(io, day, true, buffer, note_replaced, &live, &first, err);
    code = code != 0 ? code : read_one(io, day, true, buffer, hand_out, &live, stats, err);
    code = code != 0 ? code : read_one(io, day, false, buffer, hand_out, &live, stats, err);
    if (code == 0 && live.gone.failed) {
        code = err_set(err, MD_ENOMEM, "manifest: no memory for the paths of a day");
    }
    alloc_give(live.gone.keys);
    alloc_give(buffer);
    return code;
}

int manifest_read_compact(struct mdio *io, const struct manifest_day *day,
                          void (*on_entry)(void *context, const struct manifest_entry *entry),
                          void *context, struct manifest_stats *stats, struct err *err)
{
    char *buffer = alloc_take(ALLOC_APP, READ_BYTES);
    *stats = (struct manifest_stats){0, 0, 0};
    if (buffer == NULL) {
        return err_set(err, MD_ENOMEM, "manifest: no memory");
    }
    int code = read_one(io, day, true, buffer, on_entry, context, stats, err);
    alloc_give(buffer);
    return code;
}
