/* A disk that calls the test before each change, so that the power can be cut at every step, and
 * that can lie or fail the way disks do: a sync that failed once on a handle says "done" from then
 * on and does nothing, as kernels do (faults.md, traps). One thread. */
#ifndef TEST_JOURNAL_SPY_H
#define TEST_JOURNAL_SPY_H

#include "fixture.h"

#define SPY_HANDLES 64

struct spy {
    struct mdio *inner;
    void (*before_change)(void *context);
    void *context;
    bool sync_lies;         /* negative control: says it synced and did not */
    bool dirsync_lies;      /* the same for folders */
    uint64_t sync_fail_in;  /* the n-th sync from now fails; 0 = none */
    uint64_t write_fail_in; /* the n-th write from now writes a part, the one after it fails */
    bool poisoned[SPY_HANDLES];
    int handles_open;
    uint64_t changes;
};

static inline struct spy *spy_of(struct mdio *io)
{
    return io->state;
}
static inline void spy_change(struct mdio *io)
{
    struct spy *spy = spy_of(io);
    spy->changes++;
    if (spy->before_change != NULL) {
        spy->before_change(spy->context);
    }
}
static inline int spy_open(struct mdio *io, const char *path, int flags)
{
    if ((flags & MDIO_CREATE) != 0) {
        spy_change(io);
    }
    int handle = mdio_open(spy_of(io)->inner, path, flags);
    if (handle >= 0) {
        assert_true(handle < SPY_HANDLES);
        spy_of(io)->poisoned[handle] = false;
        spy_of(io)->handles_open++;
    }
    return handle;
}
static inline int spy_close(struct mdio *io, int handle)
{
    spy_of(io)->handles_open--;
    return mdio_close(spy_of(io)->inner, handle);
}
static inline ssize_t spy_read(struct mdio *io, int handle, void *data, size_t bytes,
                               int64_t offset)
{
    return mdio_read(spy_of(io)->inner, handle, data, bytes, offset);
}
static inline ssize_t spy_write(struct mdio *io, int handle, const void *data, size_t bytes,
                                int64_t offset)
{
    struct spy *spy = spy_of(io);
    spy_change(io);
    if (spy->write_fail_in > 0 && --spy->write_fail_in <= 1) {
        if (spy->write_fail_in == 0) {
            return MD_ENOSPC;
        }
        bytes = bytes / 2 + 1;
    }
    return spy->inner->ops->write(spy->inner, handle, data, bytes, offset);
}
static inline int spy_sync(struct mdio *io, int handle)
{
    struct spy *spy = spy_of(io);
    spy_change(io);
    if (spy->sync_fail_in > 0 && --spy->sync_fail_in == 0) {
        spy->poisoned[handle] = true;
        return MD_EIO;
    }
    return spy->sync_lies || spy->poisoned[handle] ? 0 : mdio_sync(spy->inner, handle);
}
static inline int spy_truncate(struct mdio *io, int handle, int64_t bytes)
{
    spy_change(io);
    return mdio_truncate(spy_of(io)->inner, handle, bytes);
}
static inline int spy_punch(struct mdio *io, int handle, int64_t offset, int64_t bytes)
{
    spy_change(io);
    return mdio_punch(spy_of(io)->inner, handle, offset, bytes);
}
static inline int64_t spy_size(struct mdio *io, int handle)
{
    return mdio_size(spy_of(io)->inner, handle);
}
static inline int spy_rename(struct mdio *io, const char *from, const char *to)
{
    spy_change(io);
    return mdio_rename(spy_of(io)->inner, from, to);
}
static inline int spy_unlink(struct mdio *io, const char *path)
{
    spy_change(io);
    return mdio_unlink(spy_of(io)->inner, path);
}
static inline int spy_mkdir(struct mdio *io, const char *path)
{
    spy_change(io);
    return mdio_mkdir(spy_of(io)->inner, path);
}
static inline int spy_dirsync(struct mdio *io, const char *path)
{
    spy_change(io);
    return spy_of(io)->dirsync_lies ? 0 : mdio_dirsync(spy_of(io)->inner, path);
}
static inline int spy_list(struct mdio *io, const char *path,
                           void (*on_name)(void *context, const char *name, bool is_directory),
                           void *context)
{
    return mdio_list(spy_of(io)->inner, path, on_name, context);
}
static inline int spy_space(struct mdio *io, struct mdio_space *out)
{
    return mdio_space(spy_of(io)->inner, out);
}
static inline int spy_lock(struct mdio *io, int handle)
{
    return mdio_lock(spy_of(io)->inner, handle);
}
static inline void spy_deinit(struct mdio *io)
{
    (void)io; /* the spy and its inner disk are the test's */
}

static inline struct mdio spy_disk(struct spy *spy)
{
    static const struct mdio_ops ops = {
        .open = spy_open,
        .close = spy_close,
        .read = spy_read,
        .write = spy_write,
        .sync = spy_sync,
        .truncate = spy_truncate,
        .punch = spy_punch,
        .size = spy_size,
        .rename = spy_rename,
        .unlink = spy_unlink,
        .mkdir = spy_mkdir,
        .dirsync = spy_dirsync,
        .list = spy_list,
        .space = spy_space,
        .lock = spy_lock,
        .deinit = spy_deinit,
    };
    return (struct mdio){.ops = &ops, .state = spy, .root = "spy"};
}

#endif
