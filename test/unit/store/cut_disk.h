#ifndef MD_TEST_CUT_DISK_H
#define MD_TEST_CUT_DISK_H

#include "base/mdio.h"

/* A disk in memory that remembers how it might stand had the power gone before one call: every call
 * that changes something counts. */

struct cut_disk {
    struct mdio *inner;
    uint64_t calls, cut_at; /* the state before call number cut_at is taken */
    uint64_t seed;
    bool skip_sync, skip_dirsync; /* negative controls */
    struct mdio after;
    bool taken;
};

static inline struct cut_disk *cut_of(struct mdio *io)
{
    struct cut_disk *cut = io->state;
    cut->calls++;
    if (cut->calls == cut->cut_at) {
        assert_int_equal(mdio_mem_crash(cut->inner, cut->seed, &cut->after), 0);
        cut->taken = true;
    }
    return cut;
}

static inline int cut_open(struct mdio *io, const char *path, int flags)
{
    return mdio_open(cut_of(io)->inner, path, flags);
}
static inline int cut_close(struct mdio *io, int handle)
{
    return mdio_close(((struct cut_disk *)io->state)->inner, handle);
}
static inline ssize_t cut_read(struct mdio *io, int handle, void *data, size_t bytes,
                               int64_t offset)
{
    return mdio_read(((struct cut_disk *)io->state)->inner, handle, data, bytes, offset);
}
static inline ssize_t cut_write(struct mdio *io, int handle, const void *data, size_t bytes,
                                int64_t offset)
{
    struct mdio *inner = cut_of(io)->inner;
    return inner->ops->write(inner, handle, data, bytes, offset);
}
static inline int cut_sync(struct mdio *io, int handle)
{
    struct cut_disk *cut = cut_of(io);
    return cut->skip_sync ? 0 : mdio_sync(cut->inner, handle);
}
static inline int cut_truncate(struct mdio *io, int handle, int64_t bytes)
{
    return mdio_truncate(cut_of(io)->inner, handle, bytes);
}
static inline int cut_punch(struct mdio *io, int handle, int64_t offset, int64_t bytes)
{
    return mdio_punch(cut_of(io)->inner, handle, offset, bytes);
}
static inline int64_t cut_size(struct mdio *io, int handle)
{
    return mdio_size(((struct cut_disk *)io->state)->inner, handle);
}
static inline int cut_rename(struct mdio *io, const char *from, const char *to)
{
    return mdio_rename(cut_of(io)->inner, from, to);
}
static inline int cut_unlink(struct mdio *io, const char *path)
{
    return mdio_unlink(cut_of(io)->inner, path);
}
static inline int cut_mkdir(struct mdio *io, const char *path)
{
    return mdio_mkdir(cut_of(io)->inner, path);
}
static inline int cut_rmdir(struct mdio *io, const char *path)
{
    return mdio_rmdir(cut_of(io)->inner, path);
}
static inline int cut_dirsync(struct mdio *io, const char *path)
{
    struct cut_disk *cut = cut_of(io);
    return cut->skip_dirsync ? 0 : mdio_dirsync(cut->inner, path);
}
static inline int cut_list(struct mdio *io, const char *path,
                           void (*on_name)(void *context, const char *name, bool is_directory),
                           void *context)
{
    return mdio_list(((struct cut_disk *)io->state)->inner, path, on_name, context);
}
static inline int cut_space(struct mdio *io, struct mdio_space *out)
{
    return mdio_space(((struct cut_disk *)io->state)->inner, out);
}
static inline int cut_lock(struct mdio *io, int handle)
{
    return mdio_lock(((struct cut_disk *)io->state)->inner, handle);
}
static inline void cut_deinit(struct mdio *io)
{
    (void)io;
}

static inline struct mdio cut_io(struct cut_disk *cut)
{
    static const struct mdio_ops ops = {
        cut_open,    cut_close, cut_read,   cut_write,  cut_sync,  cut_truncate,
        cut_punch,   cut_size,  cut_rename, cut_unlink, cut_mkdir, cut_rmdir,
        cut_dirsync, cut_list,  cut_space,  cut_lock,   cut_deinit};
    return (struct mdio){.ops = &ops, .state = cut, .root = "mem"};
}

#endif
