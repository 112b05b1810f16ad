/* One merged file, from its inputs to their end. See compact.h for the order of steps.
 * Place: under compact.c, once for each file made.
 * Invariants: before the manifest line nothing but a file named .inprogress- was added; the line
 * is written only after the file, its name and its rows were read back and found right; an input is
 * deleted only after the merged file stands under its own name, durably; the last input is deleted
 * after all others, durably: it is the sign of unfinished work. Memory: see compact.h. */
#include "store/compact_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"

#define NUMBERS_MAX 1000

bool compact_is_refusal(int code)
{
    return code == MD_ECORRUPT || code == MD_EPARSE || code == MD_ENOTSUP || code == MD_ETOOBIG ||
           code == MD_ENOENT || code == MD_EEXIST;
}

/* ---- paths */

static bool exists(struct mdio *io, const char *path, int *code)
{
    int handle = mdio_open(io, path, MDIO_READ);
    *code = handle >= 0 || handle == MD_ENOENT ? 0 : handle;
    if (handle >= 0) {
        mdio_close(io, handle);
    }
    return handle >= 0;
}

static void folder_of(const char *path, char *out, size_t out_bytes)
{
    const char *slash = strrchr(path, '/');
    snprintf(out, out_bytes, "%.*s", slash == NULL ? 0 : (int)(slash - path), path);
}

/* A path of a manifest line, which is not terminated. */
static int path_copy(struct str path, char out[MANIFEST_PATH_MAX])
{
    if (path.bytes == 0 || path.bytes >= MANIFEST_PATH_MAX) {
        return MD_ETOOBIG;
    }
    memcpy(out, path.data, path.bytes);
    out[path.bytes] = 0;
    return mdio_path_allowed(out) ? 0 : MD_EINVAL;
}

int compact_plan_path(struct compact_work *work, int64_t day, const struct compact_file *first,
                      struct err *err)
{
    const struct manifest_entry *entry = &first->entry;
    const char hive[] = "exchange=";
    bool is_hive =
        entry->path.bytes > sizeof hive && memcmp(entry->path.data, hive, sizeof hive - 1) == 0;
    int length = store_day_path(is_hive ? LAYOUT_HIVE : LAYOUT_PLAIN, entry->venue, entry->channel,
                                entry->symbol, day * NS_PER_DAY, work->folder, MANIFEST_PATH_MAX);
    if (length < 0) {
        return err_set(err, length, "%.*s: path too long", (int)entry->path.bytes,
                       entry->path.data);
    }
    char recorder[64];
    snprintf(recorder, sizeof recorder, "%.*s-day", (int)entry->recorder.bytes,
             entry->recorder.data);
    for (uint32_t number = 0; number < NUMBERS_MAX; number++) {
        char name[160];
        int code = store_file_name(entry->first_local_us * NS_PER_US, recorder, number,
                                   first->format, name, sizeof name);
        if (code < 0 || (size_t)length + 1 + (size_t)code >= MANIFEST_PATH_MAX) {
            return err_set(err, MD_ETOOBIG, "%s: path too long", work->folder);
        }
        memcpy(work->path, work->folder, (size_t)length);
        work->path[length] = '/';
        memcpy(work->path + length + 1, name, (size_t)code + 1);
        bool taken = exists(work->io, work->path, &code);
        if (code < 0) {
            return err_set(err, code, "%s: %s", work->path, err_text(code));
        }
        if (!taken) {
            store_inprogress_path(work->path, work->inprogress, sizeof work->inprogress);
            return 0;
        }
    }
    return err_set(err, MD_EEXIST, "%s: no free name for a merged file", work->folder);
}

/* ---- inputs are what the manifest says */

static int hash_file(struct compact_work *work, int handle, int64_t size, char hex[65])
{
    struct disk_sink *sink = &work->sink; /* its buffer and digest are free until a file is made */
    if (EVP_DigestInit_ex(sink->digest, NULL, NULL) != 1) {
        return MD_ENOMEM;
    }
    for (int64_t at = 0; at < size;) {
        size_t bytes = size - at < DISK_SINK_BYTES ? (size_t)(size - at) : DISK_SINK_BYTES;
        int code = mdio_read_all(work->io, handle, sink->buffer, bytes, at);
        if (code < 0) {
            return code;
        }
        if (EVP_DigestUpdate(sink->digest, sink->buffer, bytes) != 1) {
            return MD_ENOMEM;
        }
        at += (int64_t)bytes;
    }
    return disk_sink_sha256(sink, hex);
}

static int check_input(struct compact_work *work, const struct compact_file *file, struct err *err)
{
    char path[MANIFEST_PATH_MAX];
    char hex[65] = "";
    int code = path_copy(file->entry.path, path);
    if (code < 0) {
        return err_set(err, MD_ECORRUPT, "manifest: a path that is none of ours");
    }
    int handle = mdio_open(work->io, path, MDIO_READ);
    if (handle < 0) {
        return err_set(err, handle, "%s: in the manifest, but %s", path, err_text(handle));
    }
    int64_t size = mdio_size(work->io, handle);
    code = size < 0 ? (int)size : 0;
    if (code == 0 && (uint64_t)size == file->entry.bytes) {
        code = hash_file(work, handle, size, hex);
    }
    mdio_close(work->io, handle);
    if (code < 0) {
        return err_set(err, code, "%s: %s", path, err_text(code));
    }
    if ((uint64_t)size != file->entry.bytes || strcmp(hex, file->entry.sha256) != 0) {
        return err_set(err, MD_ECORRUPT,
                       "%s: not what the manifest says (%lld bytes there, %llu listed)", path,
                       (long long)size, (unsigned long long)file->entry.bytes);
    }
    return 0;
}

/* ---- the merged file's line */

static void entry_add(struct manifest_entry *entry, const struct manifest_entry *one)
{
    entry->rows += one->rows;
    entry->gaps += one->gaps;
    entry->missing += one->missing;
    entry->digits_over_15 += one->digits_over_15;
    entry->last_local_us = one->last_local_us;
    entry->last_seq = one->last_seq;
    if (entry->first_sequence == ID_NONE) {
        entry->first_sequence = one->first_sequence;
    }
    if (one->last_sequence != ID_NONE) {
        entry->last_sequence = one->last_sequence;
    }
}

static struct manifest_entry entry_make(struct compact_work *work, const struct compact_file *files,
                                        uint32_t count)
{
    struct manifest_entry entry = files[0].entry;
    size_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) {
            entry_add(&entry, &files[i].entry);
        }
        struct str path = files[i].entry.path;
        ASSERT(used + path.bytes + 1 <= MANIFEST_COMPACT_LINE_MAX);
        memcpy(work->replaces + used, path.data, path.bytes);
        used += path.bytes;
        work->replaces[used++] = '\n';
    }
    entry.replaces = str_make(work->replaces, used);
    entry.path = str_from(work->path);
    return entry;
}

/* ---- steps */

static int write_merged(struct compact_work *work, const struct compact_file *files, uint32_t count,
                        struct manifest_entry *entry, struct compact_values *values,
                        struct err *err)
{
    int code = mdio_mkdirs(work->io, work->folder);
    code = code < 0 ? code : disk_sink_open(&work->sink, work->inprogress);
    if (code < 0) {
        return err_set(err, code, "%s: %s", work->inprogress, err_text(code));
    }
    FAILPOINT("compact_after_tmp_create");
    code = compact_format_of(files[0].format)->write(work, files, count, entry, values, err);
    if (code == 0) {
        code = disk_sink_sync(&work->sink);
        entry->bytes = (uint64_t)work->sink.offset;
        code = code == 0 ? disk_sink_sha256(&work->sink, entry->sha256) : code;
        if (code < 0) {
            err_set(err, code, "%s: %s", work->inprogress, err_text(code));
        }
    }
    int closed = disk_sink_close(&work->sink);
    if (code == 0 && closed < 0) {
        code = err_set(err, closed, "%s: %s", work->inprogress, err_text(closed));
    }
    return code;
}

static int verify_merged(struct compact_work *work, const struct compact_file *files,
                         const struct manifest_entry *entry, const struct compact_values *in,
                         struct err *err)
{
    struct compact_values out = {0, 0};
    FAILPOINT("compact_before_verify");
    int code = compact_format_of(files[0].format)
                   ->read(work, work->inprogress, files[0].format, &out, err);
    if (code != 0) {
        return code;
    }
    if (in->rows != entry->rows || out.rows != in->rows || out.hash != in->hash) {
        return err_set(err, MD_ECORRUPT,
                       "%s: %llu rows listed, %llu read, %llu written, values %016llx and %016llx: "
                       "nothing is deleted",
                       work->path, (unsigned long long)entry->rows, (unsigned long long)in->rows,
                       (unsigned long long)out.rows, (unsigned long long)in->hash,
                       (unsigned long long)out.hash);
    }
    return 0;
}

static int commit(struct compact_work *work, int64_t day, const struct manifest_entry *entry,
                  struct err *err)
{
    struct buf out = buf_over(work->line, MANIFEST_COMPACT_LINE_MAX);
    manifest_line_format(entry, &out);
    ASSERT(!out.overflow); /* compact.c sees to it */
    int code =
        mdio_dirsync(work->io, work->folder); /* the name, before the line that counts on it */
    FAILPOINT("compact_before_commit");
    if (code == 0) {
        code =
            manifest_append_line(&work->manifest, entry->venue, day * NS_PER_DAY, buf_view(&out));
    }
    if (code < 0) {
        return err_set(err, code, "manifest: %s", err_text(code));
    }
    FAILPOINT("compact_after_commit");
    return 0;
}

int compact_merge_files(struct compact_work *work, int64_t day, const struct compact_file *files,
                        uint32_t count, struct manifest_entry *made, struct err *err)
{
    ASSERT(count >= 2);
    struct compact_values values = {0, 0};
    int code = 0;
    for (uint32_t i = 0; i < count && code == 0; i++) {
        code = check_input(work, &files[i], err);
    }
    if (code != 0) {
        return code;
    }
    *made = entry_make(work, files, count);
    code = write_merged(work, files, count, made, &values, err);
    code = code != 0 ? code : verify_merged(work, files, made, &values, err);
    made->values_hash = values.hash;
    if (code != 0) {
        mdio_unlink(work->io, work->inprogress); /* best effort: the next run deletes it too */
        return code;
    }
    code = commit(work, day, made, err);
    if (code == 0) {
        code = compact_finish(work, made, err);
        code = code > 0 ? 0 : code;
    }
    return code;
}

/* ---- after the line */

/* The file under its own name, durably; it may have been there already. */
static int settle(struct compact_work *work, const struct manifest_entry *made, const char *path,
                  struct err *err)
{
    char inprogress[MANIFEST_PATH_MAX + 32];
    char folder[MANIFEST_PATH_MAX];
    int code = 0;
    if (!exists(work->io, path, &code) && code == 0) {
        store_inprogress_path(path, inprogress, sizeof inprogress);
        FAILPOINT("compact_before_rename");
        code = mdio_rename(work->io, inprogress, path);
    }
    if (code < 0) {
        return err_set(err, code, "%s: listed as merged, but %s: what it replaces is kept", path,
                       err_text(code));
    }
    folder_of(path, folder, sizeof folder);
    FAILPOINT("compact_before_dirsync");
    code = mdio_dirsync(work->io, folder);
    int handle = code < 0 ? code : mdio_open(work->io, path, MDIO_READ);
    int64_t size = handle < 0 ? handle : mdio_size(work->io, handle);
    if (handle >= 0) {
        mdio_close(work->io, handle);
    }
    if (size < 0) {
        return err_set(err, (int)size, "%s: %s", path, err_text((int)size));
    }
    if ((uint64_t)size != made->bytes) {
        return err_set(err, MD_ECORRUPT, "%s: %lld bytes, %llu listed: what it replaces is kept",
                       path, (long long)size, (unsigned long long)made->bytes);
    }
    return 0;
}

/* Makes the deletions in `folder` durable, and the folder's own when it is empty now. */
static int leave_folder(struct compact_work *work, const char *folder, struct err *err)
{
    char above[MANIFEST_PATH_MAX];
    folder_of(folder, above, sizeof above);
    int code = mdio_dirsync(work->io, folder);
    int gone = code < 0 ? code : mdio_rmdir(work->io, folder);
    code = gone == 1 ? mdio_dirsync(work->io, above) : gone;
    return code < 0 && code != MD_ENOENT ? err_set(err, code, "%s: %s", folder, err_text(code)) : 0;
}

static int delete_one(struct compact_work *work, struct str path_text, char path[MANIFEST_PATH_MAX],
                      struct err *err)
{
    int code = path_copy(path_text, path);
    code = code < 0 ? code : mdio_unlink(work->io, path);
    if (code < 0 && code != MD_ENOENT) {
        return err_set(err, code, "%.*s: %s", (int)path_text.bytes, path_text.data, err_text(code));
    }
    FAILPOINT("compact_after_delete");
    return 0;
}

static struct str last_path(struct str replaces)
{
    struct str path = STR("");
    while (manifest_replaces_next(&replaces, &path)) {
    }
    return path;
}

/* All but the last; each folder's deletions are durable before the last one is made. */
static int delete_others(struct compact_work *work, const struct manifest_entry *made,
                         struct str last, struct err *err)
{
    char path[MANIFEST_PATH_MAX];
    char folder[MANIFEST_PATH_MAX];
    char before[MANIFEST_PATH_MAX] = "";
    struct str rest = made->replaces;
    struct str text;
    int code = 0;
    while (code == 0 && manifest_replaces_next(&rest, &text)) {
        if (text.data == last.data) {
            break;
        }
        code = delete_one(work, text, path, err);
        folder_of(path, folder, sizeof folder);
        if (code == 0 && before[0] != 0 && strcmp(before, folder) != 0) {
            code = leave_folder(work, before, err);
        }
        memcpy(before, folder, sizeof before);
    }
    return code == 0 && before[0] != 0 ? leave_folder(work, before, err) : code;
}

int compact_finish(struct compact_work *work, const struct manifest_entry *made, struct err *err)
{
    char path[MANIFEST_PATH_MAX];
    char merged[MANIFEST_PATH_MAX];
    struct str last = last_path(made->replaces);
    int code = path_copy(last, path);
    code = code < 0 ? code : path_copy(made->path, merged);
    if (code < 0) {
        return err_set(err, MD_ECORRUPT, "manifest: a path that is none of ours");
    }
    bool unfinished = exists(work->io, path, &code);
    if (code < 0 || !unfinished) {
        return code < 0 ? err_set(err, code, "%s: %s", path, err_text(code)) : 0;
    }
    code = settle(work, made, merged, err);
    if (code == 0) {
        FAILPOINT("compact_before_delete");
        code = delete_others(work, made, last, err);
    }
    if (code == 0) {
        FAILPOINT("compact_before_last_delete");
        code = delete_one(work, last, path, err);
    }
    if (code == 0) {
        char folder[MANIFEST_PATH_MAX];
        folder_of(path, folder, sizeof folder);
        code = leave_folder(work, folder, err);
    }
    return code == 0 ? 1 : code;
}
