/* A disk in memory that can lose its power: tests only, the one file of src/ that uses malloc.
 *
 * Each file is kept twice: as programs see it, and as it is certain to stand after a power cut
 * (`durable`), with the writes between the two in order. Each folder likewise: its entries now, the
 * entries of its last dirsync, and the name changes since. sync and dirsync carry the changes over;
 * mdio_mem_crash() carries over what the seed says. A name and its file's data are apart: a synced
 * file whose folder was never synced may be gone. A rename inside one folder is one change; between
 * two folders it is one change in each, so either may be lost.
 *
 * One lock round everything. Memory: all files, twice, plus what is not synced. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/err.h"
#include "base/mdio.h"

#define SECTOR_BYTES 512
#define NAME_BYTES 256
#define DISK_BYTES (1ULL << 40)

struct bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

enum change_kind { CHANGE_WRITE, CHANGE_TRUNCATE, CHANGE_PUNCH };
struct change { /* of a file's content */
    enum change_kind kind;
    size_t offset;
    size_t bytes;
    uint8_t *data; /* of a write */
};

struct inode;
struct entry {
    char name[NAME_BYTES];
    struct inode *inode; /* counted */
};
struct folder {
    struct entry *entries;
    size_t count;
};
struct name_change { /* in this order: `removed` goes, then `added` comes; "" = none */
    char removed[NAME_BYTES];
    struct entry added;
};

struct inode {
    bool is_folder;
    bool locked;
    size_t references; /* entries, name changes and handles that point here */
    struct bytes now, durable;
    struct change *changes;
    size_t change_count, change_capacity;
    struct folder folder_now, folder_durable;
    struct name_change *name_changes;
    size_t name_change_count;
    struct inode *survivor; /* of a crash in progress: its copy on the other disk */
};

struct handle {
    struct inode *inode; /* NULL = free */
    int flags;
    bool holds_lock;
};

struct mem_state {
    pthread_mutex_t lock;
    struct inode *root;
    struct handle *handles;
    size_t handle_count;
    uint64_t random; /* for what a failed sync leaves behind */
};

static void *must(void *memory)
{
    ASSERT(memory != NULL);
    return memory;
}

static uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

/* ---- content */

static void bytes_resize(struct bytes *bytes, size_t size)
{
    if (size > bytes->capacity) {
        size_t capacity = bytes->capacity * 2 > size ? bytes->capacity * 2 : size;
        bytes->data = must(realloc(bytes->data, capacity));
        bytes->capacity = capacity;
    }
    if (size > bytes->size) {
        memset(bytes->data + bytes->size, 0, size - bytes->size);
    }
    bytes->size = size;
}

static void bytes_put(struct bytes *bytes, size_t offset, const uint8_t *data, size_t count)
{
    if (offset + count > bytes->size) {
        bytes_resize(bytes, offset + count);
    }
    if (count > 0) {
        memcpy(bytes->data + offset, data, count);
    }
}

static void bytes_zero(struct bytes *bytes, size_t offset, size_t count)
{
    if (offset < bytes->size) {
        size_t left = bytes->size - offset;
        memset(bytes->data + offset, 0, count < left ? count : left);
    }
}

static void bytes_change(struct bytes *bytes, const struct change *change)
{
    switch (change->kind) {
    case CHANGE_WRITE:
        bytes_put(bytes, change->offset, change->data, change->bytes);
        break;
    case CHANGE_TRUNCATE:
        bytes_resize(bytes, change->bytes);
        break;
    case CHANGE_PUNCH:
        bytes_zero(bytes, change->offset, change->bytes);
        break;
    }
}

/* Each sector of the write by the toss of a coin; the new size came through in any case, so a lost
 * sector beyond the old end reads as zeroes. */
static void bytes_change_by_sector(struct bytes *bytes, const struct change *change,
                                   uint64_t *random)
{
    if (change->offset + change->bytes > bytes->size) {
        bytes_resize(bytes, change->offset + change->bytes);
    }
    for (size_t at = 0; at < change->bytes;) {
        size_t length = SECTOR_BYTES - (change->offset + at) % SECTOR_BYTES;
        length = length < change->bytes - at ? length : change->bytes - at;
        if (random_next(random) % 2 == 0) {
            bytes_put(bytes, change->offset + at, change->data + at, length);
        }
        at += length;
    }
}

/* Dropped, kept, or kept by sector. */
static void bytes_change_perhaps(struct bytes *bytes, const struct change *change, uint64_t *random)
{
    switch (random_next(random) % 3) {
    case 0:
        break;
    case 1:
        bytes_change(bytes, change);
        break;
    default:
        if (change->kind == CHANGE_WRITE) {
            bytes_change_by_sector(bytes, change, random);
        }
    }
}

static void changes_clear(struct inode *inode)
{
    for (size_t i = 0; i < inode->change_count; i++) {
        free(inode->changes[i].data);
    }
    inode->change_count = 0;
}

/* Takes effect now, and after the next sync for certain. */
static void inode_change(struct inode *inode, enum change_kind kind, size_t offset, size_t bytes,
                         const void *data)
{
    struct change change = {kind, offset, bytes, NULL};
    if (data != NULL && bytes > 0) {
        change.data = must(malloc(bytes));
        memcpy(change.data, data, bytes);
    }
    if (inode->change_count == inode->change_capacity) {
        inode->change_capacity = inode->change_capacity > 0 ? 2 * inode->change_capacity : 8;
        inode->changes =
            must(realloc(inode->changes, inode->change_capacity * sizeof *inode->changes));
    }
    inode->changes[inode->change_count++] = change;
    bytes_change(&inode->now, &change);
}

/* ---- names */

static struct inode *inode_make(bool is_folder)
{
    struct inode *inode = must(calloc(1, sizeof *inode));
    inode->is_folder = is_folder;
    return inode;
}

static void folder_clear(struct folder *folder);
static void name_changes_clear(struct inode *inode);

static void inode_release(struct inode *inode)
{
    if (inode == NULL || --inode->references > 0) {
        return;
    }
    folder_clear(&inode->folder_now);
    folder_clear(&inode->folder_durable);
    name_changes_clear(inode);
    changes_clear(inode);
    free(inode->changes);
    free(inode->now.data);
    free(inode->durable.data);
    free(inode);
}

static void folder_clear(struct folder *folder)
{
    for (size_t i = 0; i < folder->count; i++) {
        inode_release(folder->entries[i].inode);
    }
    free(folder->entries);
    *folder = (struct folder){0};
}

static void name_changes_clear(struct inode *inode)
{
    for (size_t i = 0; i < inode->name_change_count; i++) {
        inode_release(inode->name_changes[i].added.inode);
    }
    free(inode->name_changes);
    inode->name_changes = NULL;
    inode->name_change_count = 0;
}

static struct entry *folder_find(const struct folder *folder, const char *name)
{
    for (size_t i = 0; i < folder->count; i++) {
        if (strcmp(folder->entries[i].name, name) == 0) {
            return &folder->entries[i];
        }
    }
    return NULL;
}

static void folder_add(struct folder *folder, const char *name, struct inode *inode)
{
    size_t bytes = (folder->count + 1) * sizeof *folder->entries;
    folder->entries = must(realloc(folder->entries, bytes));
    struct entry *entry = &folder->entries[folder->count++];
    *entry = (struct entry){.inode = inode};
    strncpy(entry->name, name, NAME_BYTES - 1);
    inode->references++;
}

static void folder_remove(struct folder *folder, const char *name)
{
    struct entry *entry = folder_find(folder, name);
    if (entry != NULL) {
        struct inode *inode = entry->inode;
        *entry = folder->entries[--folder->count];
        inode_release(inode);
    }
}

static void folder_change(struct folder *folder, const struct name_change *change)
{
    struct inode *added = change->added.inode;
    if (change->removed[0] != 0) {
        folder_remove(folder, change->removed);
    }
    if (added != NULL) {
        folder_remove(folder, change->added.name); /* a prefix can hold the old name of it still */
        folder_add(folder, change->added.name, added);
    }
}

/* Takes effect now, and after the next dirsync for certain. Either name may be NULL. */
static void inode_change_name(struct inode *parent, const char *removed, const char *added,
                              struct inode *inode)
{
    size_t bytes = (parent->name_change_count + 1) * sizeof *parent->name_changes;
    parent->name_changes = must(realloc(parent->name_changes, bytes));
    struct name_change *change = &parent->name_changes[parent->name_change_count++];
    memset(change, 0, sizeof *change);
    if (removed != NULL) {
        strncpy(change->removed, removed, NAME_BYTES - 1);
    }
    if (added != NULL) {
        strncpy(change->added.name, added, NAME_BYTES - 1);
        change->added.inode = inode;
        inode->references++;
    }
    folder_change(&parent->folder_now, change);
}

/* ---- paths. All with the lock held. */

/* The folder that holds the last component of `path`, and that component; or NULL and *code. */
static struct inode *parent_of(struct mem_state *state, const char *path, char name[NAME_BYTES],
                               int *code)
{
    struct inode *at = state->root;
    *code = MD_EINVAL;
    if (!mdio_path_allowed(path)) {
        return NULL;
    }
    for (;;) {
        size_t length = strcspn(path, "/");
        if (length >= NAME_BYTES) {
            return NULL;
        }
        memcpy(name, path, length);
        name[length] = 0;
        if (path[length] == 0) {
            *code = 0;
            return at;
        }
        struct entry *entry = folder_find(&at->folder_now, name);
        if (entry == NULL || !entry->inode->is_folder) {
            *code = MD_ENOENT;
            return NULL;
        }
        at = entry->inode;
        path += length + 1;
    }
}

static struct inode *inode_at(struct mem_state *state, const char *path, int *code)
{
    char name[NAME_BYTES];
    if (path[0] == 0) {
        return state->root;
    }
    struct inode *parent = parent_of(state, path, name, code);
    struct entry *entry = parent != NULL ? folder_find(&parent->folder_now, name) : NULL;
    if (entry == NULL) {
        *code = *code != 0 ? *code : MD_ENOENT;
        return NULL;
    }
    return entry->inode;
}

static struct handle *handle_of(struct mem_state *state, int handle, int flags)
{
    if (handle < 0 || (size_t)handle >= state->handle_count) {
        return NULL;
    }
    struct handle *found = &state->handles[handle];
    return found->inode != NULL && (found->flags & flags) == flags ? found : NULL;
}

static struct mem_state *enter(const struct mdio *io)
{
    struct mem_state *state = io->state;
    pthread_mutex_lock(&state->lock);
    return state;
}

static void leave(struct mem_state *state)
{
    pthread_mutex_unlock(&state->lock);
}

/* ---- the calls */

static int handle_make(struct mem_state *state, struct inode *inode, int flags)
{
    size_t at = 0;
    while (at < state->handle_count && state->handles[at].inode != NULL) {
        at++;
    }
    if (at == state->handle_count) {
        state->handle_count += 8;
        state->handles =
            must(realloc(state->handles, state->handle_count * sizeof *state->handles));
        memset(&state->handles[at], 0, 8 * sizeof *state->handles);
    }
    state->handles[at] = (struct handle){.inode = inode, .flags = flags};
    inode->references++;
    return (int)at;
}

static int open_locked(struct mem_state *state, const char *path, int flags)
{
    char name[NAME_BYTES];
    int code = 0;
    struct inode *parent = parent_of(state, path, name, &code);
    if (parent == NULL) {
        return code;
    }
    struct entry *entry = folder_find(&parent->folder_now, name);
    if (entry != NULL && (flags & MDIO_CREATE) != 0 && (flags & MDIO_EXCLUSIVE) != 0) {
        return MD_EEXIST;
    }
    if (entry != NULL) {
        return entry->inode->is_folder ? MD_EIO : handle_make(state, entry->inode, flags);
    }
    if ((flags & MDIO_CREATE) == 0) {
        return MD_ENOENT;
    }
    struct inode *inode = inode_make(false);
    inode_change_name(parent, NULL, name, inode);
    return handle_make(state, inode, flags);
}

static int mem_open(struct mdio *io, const char *path, int flags)
{
    struct mem_state *state = enter(io);
    int handle = open_locked(state, path, flags);
    leave(state);
    return handle;
}

static int mem_close(struct mdio *io, int handle)
{
    struct mem_state *state = enter(io);
    struct handle *open = handle_of(state, handle, 0);
    if (open != NULL) {
        if (open->holds_lock) {
            open->inode->locked = false;
        }
        inode_release(open->inode);
        *open = (struct handle){0};
    }
    leave(state);
    return open != NULL ? 0 : MD_EIO;
}

static ssize_t mem_read(struct mdio *io, int handle, void *data, size_t bytes, int64_t offset)
{
    struct mem_state *state = enter(io);
    struct handle *open = handle_of(state, handle, MDIO_READ);
    ssize_t count = open == NULL ? MD_EIO : offset < 0 ? MD_EINVAL : 0;
    if (count == 0 && (size_t)offset < open->inode->now.size) {
        size_t left = open->inode->now.size - (size_t)offset;
        count = (ssize_t)(bytes < left ? bytes : left);
        memcpy(data, open->inode->now.data + offset, (size_t)count);
    }
    leave(state);
    return count;
}

static ssize_t mem_write(struct mdio *io, int handle, const void *data, size_t bytes,
                         int64_t offset)
{
    struct mem_state *state = enter(io);
    struct handle *open = handle_of(state, handle, MDIO_WRITE);
    ssize_t count = open == NULL ? MD_EIO : offset < 0 ? MD_EINVAL : 0;
    if (count == 0) {
        inode_change(open->inode, CHANGE_WRITE, (size_t)offset, bytes, data);
        count = (ssize_t)bytes;
    }
    leave(state);
    return count;
}

static int mem_sync(struct mdio *io, int handle)
{
    struct mem_state *state = enter(io);
    struct handle *open = handle_of(state, handle, 0);
    for (size_t i = 0; open != NULL && i < open->inode->change_count; i++) {
        bytes_change(&open->inode->durable, &open->inode->changes[i]);
    }
    if (open != NULL) {
        changes_clear(open->inode);
    }
    leave(state);
    return open != NULL ? 0 : MD_EIO;
}

/* Truncate and punch. */
static int change_locked(struct mdio *io, int handle, enum change_kind kind, int64_t offset,
                         int64_t bytes)
{
    struct mem_state *state = enter(io);
    struct handle *open = handle_of(state, handle, MDIO_WRITE);
    int code = open == NULL ? MD_EIO : offset < 0 || bytes < 0 ? MD_EINVAL : 0;
    if (code == 0) {
        inode_change(open->inode, kind, (size_t)offset, (size_t)bytes, NULL);
    }
    leave(state);
    return code;
}

static int mem_truncate(struct mdio *io, int handle, int64_t bytes)
{
    return change_locked(io, handle, CHANGE_TRUNCATE, 0, bytes);
}

static int mem_punch(struct mdio *io, int handle, int64_t offset, int64_t bytes)
{
    return bytes == 0 ? MD_EINVAL : change_locked(io, handle, CHANGE_PUNCH, offset, bytes);
}

static int64_t mem_size(struct mdio *io, int handle)
{
    struct mem_state *state = enter(io);
    struct handle *open = handle_of(state, handle, 0);
    int64_t size = open != NULL ? (int64_t)open->inode->now.size : MD_EIO;
    leave(state);
    return size;
}

static int rename_locked(struct mem_state *state, const char *from, const char *to)
{
    char from_name[NAME_BYTES], to_name[NAME_BYTES];
    int code = 0;
    struct inode *from_parent = parent_of(state, from, from_name, &code);
    if (from_parent == NULL) {
        return code;
    }
    struct inode *to_parent = parent_of(state, to, to_name, &code);
    if (to_parent == NULL) {
        return code;
    }
    struct entry *entry = folder_find(&from_parent->folder_now, from_name);
    if (entry == NULL) {
        return MD_ENOENT;
    }
    if (folder_find(&to_parent->folder_now, to_name) != NULL) {
        return MD_EEXIST;
    }
    struct inode *inode = entry->inode;
    size_t to_bytes = strlen(from);
    if (inode->is_folder && strncmp(from, to, to_bytes) == 0 && to[to_bytes] == '/') {
        return MD_EINVAL; /* into itself */
    }
    if (from_parent == to_parent) {
        inode_change_name(from_parent, from_name, to_name, inode);
    } else {
        inode_change_name(to_parent, NULL, to_name, inode);
        inode_change_name(from_parent, from_name, NULL, NULL);
    }
    return 0;
}

static int mem_rename(struct mdio *io, const char *from, const char *to)
{
    struct mem_state *state = enter(io);
    int code = rename_locked(state, from, to);
    leave(state);
    return code;
}

static int mem_unlink(struct mdio *io, const char *path)
{
    struct mem_state *state = enter(io);
    char name[NAME_BYTES];
    int code = 0;
    struct inode *parent = parent_of(state, path, name, &code);
    struct entry *entry = parent != NULL ? folder_find(&parent->folder_now, name) : NULL;
    if (parent != NULL) {
        code = entry == NULL ? MD_ENOENT : entry->inode->is_folder ? MD_EIO : 0;
    }
    if (code == 0) {
        inode_change_name(parent, name, NULL, NULL);
    }
    leave(state);
    return code;
}

static int mem_mkdir(struct mdio *io, const char *path)
{
    struct mem_state *state = enter(io);
    char name[NAME_BYTES];
    int code = 0;
    struct inode *parent = parent_of(state, path, name, &code);
    if (parent != NULL && folder_find(&parent->folder_now, name) == NULL) {
        inode_change_name(parent, NULL, name, inode_make(true));
        code = 1;
    }
    leave(state);
    return code;
}

static int mem_rmdir(struct mdio *io, const char *path)
{
    struct mem_state *state = enter(io);
    char name[NAME_BYTES];
    int code = 0;
    struct inode *parent = parent_of(state, path, name, &code);
    struct entry *entry = parent != NULL ? folder_find(&parent->folder_now, name) : NULL;
    if (parent != NULL) {
        code = entry == NULL ? MD_ENOENT : entry->inode->is_folder ? 0 : MD_EIO;
    }
    if (code == 0 && entry->inode->folder_now.count == 0) {
        inode_change_name(parent, name, NULL, NULL);
        code = 1;
    }
    leave(state);
    return code;
}

static int mem_dirsync(struct mdio *io, const char *path)
{
    struct mem_state *state = enter(io);
    int code = 0;
    struct inode *folder = inode_at(state, path, &code);
    if (folder != NULL && !folder->is_folder) {
        code = MD_ENOENT;
    } else if (folder != NULL) {
        for (size_t i = 0; i < folder->name_change_count; i++) {
            folder_change(&folder->folder_durable, &folder->name_changes[i]);
        }
        name_changes_clear(folder);
    }
    leave(state);
    return code;
}

/* The names are copied first: the callback may use the disk. */
static int mem_list(struct mdio *io, const char *path,
                    void (*on_name)(void *context, const char *name, bool is_directory),
                    void *context)
{
    struct listed {
        char name[NAME_BYTES];
        bool is_folder;
    } *names = NULL;
    struct mem_state *state = enter(io);
    int code = 0;
    struct inode *folder = inode_at(state, path, &code);
    code = folder != NULL && !folder->is_folder ? MD_ENOENT : code;
    size_t count = code == 0 ? folder->folder_now.count : 0;
    names = must(malloc((count + 1) * sizeof *names));
    for (size_t i = 0; i < count; i++) {
        memcpy(names[i].name, folder->folder_now.entries[i].name, NAME_BYTES);
        names[i].is_folder = folder->folder_now.entries[i].inode->is_folder;
    }
    leave(state);
    for (size_t i = 0; i < count; i++) {
        on_name(context, names[i].name, names[i].is_folder);
    }
    free(names);
    return code;
}

static uint64_t bytes_below(const struct inode *inode)
{
    uint64_t bytes = inode->now.size;
    for (size_t i = 0; i < inode->folder_now.count; i++) {
        bytes += bytes_below(inode->folder_now.entries[i].inode);
    }
    return bytes;
}

static int mem_space(struct mdio *io, struct mdio_space *out)
{
    struct mem_state *state = enter(io);
    *out = (struct mdio_space){DISK_BYTES, DISK_BYTES - bytes_below(state->root)};
    leave(state);
    return 0;
}

static int mem_lock(struct mdio *io, int handle)
{
    struct mem_state *state = enter(io);
    struct handle *open = handle_of(state, handle, 0);
    int code = open == NULL ? MD_EIO : 0;
    if (code == 0 && open->inode->locked && !open->holds_lock) {
        code = MD_ELOCKED;
    } else if (code == 0) {
        open->inode->locked = true;
        open->holds_lock = true;
    }
    leave(state);
    return code;
}

static void mem_deinit(struct mdio *io)
{
    struct mem_state *state = io->state;
    for (size_t i = 0; i < state->handle_count; i++) {
        inode_release(state->handles[i].inode);
    }
    free(state->handles);
    inode_release(state->root);
    pthread_mutex_destroy(&state->lock);
    free(state);
}

static const struct mdio_ops mem_ops = {
    .open = mem_open,
    .close = mem_close,
    .read = mem_read,
    .write = mem_write,
    .sync = mem_sync,
    .truncate = mem_truncate,
    .punch = mem_punch,
    .size = mem_size,
    .rename = mem_rename,
    .unlink = mem_unlink,
    .mkdir = mem_mkdir,
    .rmdir = mem_rmdir,
    .dirsync = mem_dirsync,
    .list = mem_list,
    .space = mem_space,
    .lock = mem_lock,
    .deinit = mem_deinit,
};

int mdio_mem_open(struct mdio *io)
{
    struct mem_state *state = must(calloc(1, sizeof *state));
    pthread_mutex_init(&state->lock, NULL);
    state->root = inode_make(true);
    state->root->references = 1;
    state->random = 1;
    *io = (struct mdio){.ops = &mem_ops, .state = state, .root = "(memory)"};
    return 0;
}

void mdio_mem_sync_failed(struct mdio *io, int handle)
{
    if (io->ops != &mem_ops) {
        return;
    }
    struct mem_state *state = enter(io);
    struct handle *open = handle_of(state, handle, 0);
    for (size_t i = 0; open != NULL && i < open->inode->change_count; i++) {
        bytes_change_perhaps(&open->inode->durable, &open->inode->changes[i], &state->random);
    }
    if (open != NULL) {
        changes_clear(open->inode); /* a later sync has nothing of this left to write */
    }
    leave(state);
}

/* ---- the power cut */

/* How one crash treats what was not synced. The seed draws the two extremes and their crossings
 * half of the time: chance alone would hardly ever drop all of many changes. */
struct cut {
    uint64_t random;
    enum { CUT_NONE, CUT_ALL, CUT_SOME } data, names;
};

static struct cut cut_of(uint64_t seed)
{
    struct cut cut = {.random = seed};
    uint64_t draw = random_next(&cut.random) % 8;
    cut.data = draw == 0 || draw == 1 ? CUT_ALL : draw == 2 || draw == 3 ? CUT_NONE : CUT_SOME;
    cut.names = draw == 0 || draw == 2 ? CUT_ALL : draw == 1 || draw == 3 ? CUT_NONE : CUT_SOME;
    return cut;
}

static void file_survive(const struct inode *inode, struct inode *copy, struct cut *cut)
{
    bytes_put(&copy->durable, 0, inode->durable.data, inode->durable.size);
    for (size_t i = 0; i < inode->change_count; i++) {
        if (cut->data == CUT_NONE) {
            bytes_change(&copy->durable, &inode->changes[i]);
        } else if (cut->data == CUT_SOME) {
            bytes_change_perhaps(&copy->durable, &inode->changes[i], &cut->random);
        }
    }
    bytes_put(&copy->now, 0, copy->durable.data, copy->durable.size);
}

/* The copy of `inode` after the cut. One inode has one copy, however many names lead to it; the
 * visited ones are listed so that their marks can be cleared. */
static struct inode *inode_survive(struct inode *inode, struct cut *cut, struct folder *visited)
{
    if (inode->survivor != NULL) {
        return inode->survivor;
    }
    struct inode *copy = inode_make(inode->is_folder);
    inode->survivor = copy;
    folder_add(visited, "", inode);
    if (!inode->is_folder) {
        file_survive(inode, copy, cut);
        return copy;
    }
    struct folder names = {0};
    for (size_t i = 0; i < inode->folder_durable.count; i++) {
        const struct entry *entry = &inode->folder_durable.entries[i];
        folder_add(&names, entry->name, entry->inode);
    }
    size_t kept = cut->names == CUT_ALL ? 0
                  : cut->names == CUT_NONE
                      ? inode->name_change_count
                      : random_next(&cut->random) % (inode->name_change_count + 1);
    for (size_t i = 0; i < kept; i++) {
        folder_change(&names, &inode->name_changes[i]);
    }
    for (size_t i = 0; i < names.count; i++) {
        struct inode *below = inode_survive(names.entries[i].inode, cut, visited);
        folder_add(&copy->folder_now, names.entries[i].name, below);
        folder_add(&copy->folder_durable, names.entries[i].name, below);
    }
    folder_clear(&names);
    return copy;
}

static void survive(const struct mdio *io, struct cut cut, struct mdio *after)
{
    ASSERT(io->ops == &mem_ops);
    mdio_mem_open(after);
    struct mem_state *state = enter(io);
    struct mem_state *new_state = after->state;
    struct folder visited = {0};
    inode_release(new_state->root);
    new_state->root = inode_survive(state->root, &cut, &visited);
    new_state->root->references++;
    for (size_t i = 0; i < visited.count; i++) {
        visited.entries[i].inode->survivor = NULL;
    }
    folder_clear(&visited);
    leave(state);
}

int mdio_mem_crash(const struct mdio *io, uint64_t seed, struct mdio *after)
{
    survive(io, cut_of(seed), after);
    return 0;
}

void mdio_mem_kill(const struct mdio *io, struct mdio *after)
{
    survive(io, (struct cut){.data = CUT_NONE, .names = CUT_NONE}, after);
}

int mdio_mem_damage(struct mdio *io, const char *path, int64_t offset, const void *data,
                    size_t bytes)
{
    ASSERT(io->ops == &mem_ops);
    struct mem_state *state = enter(io);
    int code = 0;
    struct inode *inode = inode_at(state, path, &code);
    if (inode != NULL) {
        code = inode->is_folder || offset < 0 || (size_t)offset > inode->now.size ||
                       bytes > inode->now.size - (size_t)offset
                   ? MD_ERANGE
                   : 0;
    }
    struct bytes *sides[2] = {inode != NULL ? &inode->now : NULL,
                              inode != NULL ? &inode->durable : NULL};
    for (int i = 0; code == 0 && i < 2; i++) {
        size_t at = (size_t)offset;
        size_t left = at < sides[i]->size ? sides[i]->size - at : 0;
        size_t count = bytes < left ? bytes : left;
        if (data != NULL && count > 0) {
            bytes_put(sides[i], at, data, count);
        } else if (bytes > 0) {
            bytes_zero(sides[i], at, count);
        } else if (left > 0) {
            bytes_resize(sides[i], at);
        }
    }
    leave(state);
    return code;
}
