#ifndef MD_BASE_MDIO_H
#define MD_BASE_MDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The one file layer. Everything the recorder keeps goes through it, so that a test can make the
 * n-th call fail, sleep, write short, or cut the power (mdio_mem).
 *
 * Paths are relative to the root the instance was opened on, '/'-separated, without "." or ".."
 * components; symbolic links below the root are never followed. Files are created 0640, folders
 * 0750. Handles are small ints. Each call returns >= 0 or a negative MD_E code (base/err.h). */

enum mdio_flags {
    MDIO_READ = 1,
    MDIO_WRITE = 2,
    MDIO_CREATE = 4,    /* create if absent */
    MDIO_EXCLUSIVE = 8, /* with CREATE: MD_EEXIST if present; there is no truncating open */
};

struct mdio_space {
    uint64_t bytes_total;
    uint64_t bytes_free; /* to an unprivileged user */
};

struct mdio;
struct mdio_ops {
    int (*open)(struct mdio *io, const char *path, int flags);
    int (*close)(struct mdio *io, int handle);
    /* Positioned read; short only at the end of the file. */
    ssize_t (*read)(struct mdio *io, int handle, void *data, size_t bytes, int64_t offset);
    /* Positioned write; may be short (a full disk): use mdio_write_all. */
    ssize_t (*write)(struct mdio *io, int handle, const void *data, size_t bytes, int64_t offset);
    int (*sync)(struct mdio *io,
                int handle); /* fdatasync; MD_ENOENT: the file has no name any more */
    int (*truncate)(struct mdio *io, int handle, int64_t bytes);
    int (*punch)(struct mdio *io, int handle, int64_t offset, int64_t bytes); /* give space back */
    int64_t (*size)(struct mdio *io, int handle);
    int (*rename)(struct mdio *io, const char *from, const char *to); /* MD_EEXIST if `to` exists */
    int (*unlink)(struct mdio *io, const char *path);
    int (*mkdir)(struct mdio *io, const char *path);   /* one folder; 1 = made, 0 = was there */
    int (*rmdir)(struct mdio *io, const char *path);   /* 1 = removed, 0 = it is not empty */
    int (*dirsync)(struct mdio *io, const char *path); /* "" is the root */
    /* Calls on_name for each entry of the folder (no "." and ".."), any order. */
    int (*list)(struct mdio *io, const char *path,
                void (*on_name)(void *context, const char *name, bool is_directory), void *context);
    int (*space)(struct mdio *io, struct mdio_space *out);
    int (*lock)(struct mdio *io, int handle); /* exclusive, released by close; MD_ELOCKED */
    void (*deinit)(struct mdio *io);
};

struct mdio {
    const struct mdio_ops *ops;
    void *state;
    char root[256]; /* for messages only */
};

#define MDIO_PATH_BYTES_MAX 1024
/* Is `path` of the form above: relative, no empty, "." or ".." component, shorter than
 * MDIO_PATH_BYTES_MAX? */
bool mdio_path_allowed(const char *path);

/* The real disk below `root` (created if its parent exists). */
struct err;
int mdio_posix_open(struct mdio *io, const char *root, struct err *err);
void mdio_deinit(struct mdio *io); /* a zeroed instance is allowed */

static inline int mdio_open(struct mdio *io, const char *path, int flags)
{
    return io->ops->open(io, path, flags);
}
static inline int mdio_close(struct mdio *io, int handle)
{
    return io->ops->close(io, handle);
}
static inline ssize_t mdio_read(struct mdio *io, int handle, void *data, size_t bytes,
                                int64_t offset)
{
    return io->ops->read(io, handle, data, bytes, offset);
}
static inline int mdio_sync(struct mdio *io, int handle)
{
    return io->ops->sync(io, handle);
}
static inline int mdio_truncate(struct mdio *io, int handle, int64_t bytes)
{
    return io->ops->truncate(io, handle, bytes);
}
static inline int mdio_punch(struct mdio *io, int handle, int64_t offset, int64_t bytes)
{
    return io->ops->punch(io, handle, offset, bytes);
}
static inline int64_t mdio_size(struct mdio *io, int handle)
{
    return io->ops->size(io, handle);
}
static inline int mdio_rename(struct mdio *io, const char *from, const char *to)
{
    return io->ops->rename(io, from, to);
}
static inline int mdio_unlink(struct mdio *io, const char *path)
{
    return io->ops->unlink(io, path);
}
static inline int mdio_mkdir(struct mdio *io, const char *path)
{
    return io->ops->mkdir(io, path);
}
static inline int mdio_rmdir(struct mdio *io, const char *path)
{
    return io->ops->rmdir(io, path);
}
static inline int mdio_dirsync(struct mdio *io, const char *path)
{
    return io->ops->dirsync(io, path);
}
static inline int mdio_list(struct mdio *io, const char *path,
                            void (*on_name)(void *context, const char *name, bool is_directory),
                            void *context)
{
    return io->ops->list(io, path, on_name, context);
}
static inline int mdio_space(struct mdio *io, struct mdio_space *out)
{
    return io->ops->space(io, out);
}
static inline int mdio_lock(struct mdio *io, int handle)
{
    return io->ops->lock(io, handle);
}

/* Writes all of it at `offset`, completing short counts. On failure the file may hold a part: the
 * caller truncates back or writes the same range again. 0 or a negative code. */
int mdio_write_all(struct mdio *io, int handle, const void *data, size_t bytes, int64_t offset);
/* Reads exactly `bytes`; MD_ECORRUPT when the file ends before. */
int mdio_read_all(struct mdio *io, int handle, void *data, size_t bytes, int64_t offset);
/* mkdir for every folder above and including `path`, each new one's parent dirsynced. */
int mdio_mkdirs(struct mdio *io, const char *path);
/* The same without any dirsync: the caller's to do, from *kept on. The first `from` bytes of `path`
 * (0, or up to a slash) are known to be there. *kept: how many bytes of it were. */
int mdio_mkdirs_unsynced(struct mdio *io, const char *path, size_t from, size_t *kept);
/* mdio_open() with MDIO_CREATE, in a folder that somebody may have deleted: then it is made again.
 */
int mdio_open_in(struct mdio *io, const char *folder, const char *path, int flags);

/* ---- Test back end: a disk in memory with the strict after-crash model (faults.md, part 1, 2).
 * Synced data is always there; unsynced writes are, by the seed, dropped, kept, or kept by 512-byte
 * sector; names are kept up to the last dirsync of their folder plus a random prefix of the later
 * name changes. Uses plain malloc: tests only. */
int mdio_mem_open(struct mdio *io);
/* The disk as it may stand after a power cut, as a new instance; `io` itself goes on unharmed. */
int mdio_mem_crash(const struct mdio *io, uint64_t seed, struct mdio *after);
/* The same after kill -9: all that was written is there, only the locks are gone. */
void mdio_mem_kill(const struct mdio *io, struct mdio *after);
/* Bit rot: the `bytes` at `offset` become `data`, now and after any crash; with `data` NULL they
 * become zeroes, and with no bytes either the file is cut at `offset`. MD_ENOENT if there is no
 * such file, MD_ERANGE outside of it. */
int mdio_mem_damage(struct mdio *io, const char *path, int64_t offset, const void *data,
                    size_t bytes);
/* What a failed sync means to the disk: the unsynced writes are written, lost or torn now, and a
 * later sync that succeeds does not bring them back. Does nothing to another back end.
 * mdio_faulty calls it when it makes a sync fail. */
void mdio_mem_sync_failed(struct mdio *io, int handle);

/* ---- Fault injection round any other instance. */
enum mdio_call {
    MDIO_CALL_OPEN,
    MDIO_CALL_READ,
    MDIO_CALL_WRITE,
    MDIO_CALL_SYNC,
    MDIO_CALL_RENAME,
    MDIO_CALL_UNLINK,
    MDIO_CALL_MKDIR,
    MDIO_CALL_DIRSYNC,
    MDIO_CALL_SPACE,
    MDIO_CALL_TRUNCATE,
    MDIO_CALL_COUNT,
    MDIO_CALL_ANY = MDIO_CALL_COUNT
};
struct mdio_faults {
    uint64_t fail_at;  /* the n-th call of `fail_call` from now fails once (1 = next; 0 = never) */
    bool fail_forever; /* ... and each one after it */
    enum mdio_call fail_call;
    int fail_code;            /* MD_EIO, MD_ENOSPC, ... */
    size_t write_short_bytes; /* > 0: the failing write first returns a short count of this many
                               * bytes (then this becomes 0); the write after it gets fail_code */
    bool sync_lies;           /* negative control: sync and dirsync report success and do nothing */
    _Atomic int sync_sleep_ms; /* slow disk; may change while another thread syncs */
    int read_sleep_ms;         /* ... at each read of MDIO_READ_LARGE or more: the journal's */
    uint64_t calls[MDIO_CALL_COUNT]; /* counted */
    uint64_t calls_total;
};
#define MDIO_READ_LARGE (256u << 10)
/* `inner` and `faults` are borrowed until deinit. */
int mdio_faulty_open(struct mdio *io, struct mdio *inner, struct mdio_faults *faults);

#endif
