/* The real disk. Every path is resolved below the root's descriptor with openat2(RESOLVE_BENEATH |
 * RESOLVE_NO_SYMLINKS); on kernels without it, or where a filter forbids it, component by component
 * with O_NOFOLLOW. Either way nothing outside of the root is ever touched, whatever links somebody
 * has put there. Handles are file descriptors. A failing call always gives a code, MD_EIO where
 * errno says nothing known; nothing is tried again but what a signal interrupted, and never a sync:
 * after a failed one the data must be taken for lost. Any thread. Memory: one small state from the
 * budget; listing a folder uses 32 KiB of stack instead of opendir(), which would allocate. */
#include "base/mdio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"

struct posix_state {
    int root_fd;
    atomic_bool no_openat2;
};

/* The code of the call that has just failed: never 0, whatever errno holds. */
static int failed(void)
{
    int code = err_from_errno(errno);
    return code < 0 ? code : MD_EIO;
}

static int root_of(const struct mdio *io)
{
    return ((const struct posix_state *)io->state)->root_fd;
}

/* The folder that holds the last component, opened; *name is that component. */
static int open_parent_walking(int root_fd, const char *path, const char **name)
{
    int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
    const char *at = path;
    for (const char *slash; fd >= 0 && (slash = strchr(at, '/')) != NULL; at = slash + 1) {
        char component[256];
        size_t length = (size_t)(slash - at);
        if (length == 0 || length >= sizeof component) {
            close(fd);
            errno = EINVAL;
            return -1;
        }
        memcpy(component, at, length);
        component[length] = 0;
        int below = openat(fd, component, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int saved = errno;
        close(fd);
        errno = saved;
        fd = below;
    }
    *name = at;
    return fd;
}

static int open_walking(int root_fd, const char *path, int flags, mode_t mode)
{
    const char *name = NULL;
    int parent = open_parent_walking(root_fd, path, &name);
    if (parent < 0) {
        return -1;
    }
    int fd = openat(parent, name, flags, mode);
    int saved = errno;
    close(parent);
    errno = saved;
    return fd;
}

static int open_below(struct mdio *io, const char *path, int flags, mode_t mode)
{
    struct posix_state *state = io->state;
    if (!mdio_path_allowed(path)) {
        errno = EINVAL;
        return -1;
    }
    flags |= O_CLOEXEC | O_NOFOLLOW;
    if (!atomic_load_explicit(&state->no_openat2, memory_order_relaxed)) {
        struct open_how how = {
            .flags = (uint64_t)(unsigned)flags,
            .mode = (flags & O_CREAT) != 0 ? mode : 0,
            .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
        };
        int fd = (int)syscall(SYS_openat2, state->root_fd, path, &how, sizeof how);
        if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) {
            return fd;
        }
        if (errno == ENOSYS) {
            atomic_store(&state->no_openat2, true);
        } /* EPERM: a seccomp filter that does not know the call, or a refusal walking meets too */
    }
    return open_walking(state->root_fd, path, flags, mode);
}

/* Opens the parent of `path` for the *at() calls that take a name. */
static int parent_below(struct mdio *io, const char *path, const char **name)
{
    if (!mdio_path_allowed(path)) {
        errno = EINVAL;
        return -1;
    }
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        *name = path;
        return fcntl(root_of(io), F_DUPFD_CLOEXEC, 0);
    }
    char folder[MDIO_PATH_BYTES_MAX];
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = 0;
    *name = slash + 1;
    return open_below(io, folder, O_PATH | O_DIRECTORY, 0);
}

static int posix_open(struct mdio *io, const char *path, int flags)
{
    bool read_too = (flags & MDIO_READ) != 0;
    bool write_too = (flags & MDIO_WRITE) != 0;
    int how = read_too && write_too ? O_RDWR : write_too ? O_WRONLY : O_RDONLY;
    how |= (flags & MDIO_CREATE) != 0 ? O_CREAT : 0;
    how |= (flags & MDIO_EXCLUSIVE) != 0 ? O_EXCL : 0;
    int fd = open_below(io, path, how, 0640);
    return fd >= 0 ? fd : failed();
}

static int posix_close(struct mdio *io, int handle)
{
    (void)io;
    return close(handle) == 0 ? 0 : failed();
}

static ssize_t posix_read(struct mdio *io, int handle, void *data, size_t bytes, int64_t offset)
{
    (void)io;
    size_t done = 0;
    while (done < bytes) {
        ssize_t n = pread(handle, (char *)data + done, bytes - done, offset + (int64_t)done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return failed();
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static ssize_t posix_write(struct mdio *io, int handle, const void *data, size_t bytes,
                           int64_t offset)
{
    (void)io;
    ssize_t n = 0;
    do {
        n = pwrite(handle, data, bytes, offset);
    } while (n < 0 && errno == EINTR);
    return n >= 0 ? n : failed();
}

/* A file that was deleted under us is kept by nobody, whatever the disk says. */
static int posix_sync(struct mdio *io, int handle)
{
    (void)io;
    struct stat status;
    if (fdatasync(handle) != 0 || fstat(handle, &status) != 0) {
        return failed();
    }
    return status.st_nlink > 0 ? 0 : MD_ENOENT;
}

static int posix_truncate(struct mdio *io, int handle, int64_t bytes)
{
    (void)io;
    return ftruncate(handle, bytes) == 0 ? 0 : failed();
}

static int posix_punch(struct mdio *io, int handle, int64_t offset, int64_t bytes)
{
    (void)io;
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    return fallocate(handle, mode, offset, bytes) == 0 ? 0 : failed();
}

static int64_t posix_size(struct mdio *io, int handle)
{
    (void)io;
    struct stat status;
    return fstat(handle, &status) == 0 ? status.st_size : failed();
}

static int posix_rename(struct mdio *io, const char *from, const char *to)
{
    const char *from_name = NULL, *to_name = NULL;
    int from_fd = parent_below(io, from, &from_name);
    int to_fd = from_fd >= 0 ? parent_below(io, to, &to_name) : -1;
    int code = to_fd < 0 ? failed() : 0;
    if (code == 0 && renameat2(from_fd, from_name, to_fd, to_name, RENAME_NOREPLACE) != 0) {
        bool unsupported = errno == EINVAL || errno == ENOSYS;
        code = failed();
        if (unsupported) { /* by the file system; link refuses an existing name just as well */
            code = linkat(from_fd, from_name, to_fd, to_name, 0) == 0 ? 0 : failed();
            code = code == 0 && unlinkat(from_fd, from_name, 0) != 0 ? failed() : code;
        }
    }
    if (from_fd >= 0) {
        close(from_fd);
    }
    if (to_fd >= 0) {
        close(to_fd);
    }
    return code;
}

static int posix_unlink(struct mdio *io, const char *path)
{
    const char *name = NULL;
    int parent = parent_below(io, path, &name);
    if (parent < 0) {
        return failed();
    }
    int code = unlinkat(parent, name, 0) == 0 ? 0 : failed();
    close(parent);
    return code;
}

/* The root was deleted: is made again and takes the old one's place, for all threads at once. */
static bool root_regained(struct mdio *io)
{
    struct stat status;
    if (fstat(root_of(io), &status) != 0 || status.st_nlink > 0) {
        return false;
    }
    int made = mkdir(io->root, 0750) == 0 || errno == EEXIST;
    int fd = made ? open(io->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    bool regained = fd >= 0 && dup3(fd, root_of(io), O_CLOEXEC) >= 0;
    if (fd >= 0) {
        close(fd);
    }
    if (regained) {
        LOG_ERROR("folder_gone",
                  "%s: the folder was deleted while it was written to: made again; what was in it "
                  "is lost, what is in memory goes on",
                  io->root);
    }
    return regained;
}

static int mkdir_below(struct mdio *io, const char *path)
{
    const char *name = NULL;
    int parent = parent_below(io, path, &name);
    if (parent < 0) {
        return failed();
    }
    int code = 1;
    if (mkdirat(parent, name, 0750) != 0) {
        code = errno == EEXIST ? 0 : failed();
    }
    close(parent);
    return code;
}

static int posix_rmdir(struct mdio *io, const char *path)
{
    const char *name = NULL;
    int parent = parent_below(io, path, &name);
    if (parent < 0) {
        return failed();
    }
    int code = 1;
    if (unlinkat(parent, name, AT_REMOVEDIR) != 0) {
        code = errno == ENOTEMPTY || errno == EEXIST ? 0 : failed();
    }
    close(parent);
    return code;
}

static int posix_mkdir(struct mdio *io, const char *path)
{
    int code = mkdir_below(io, path);
    return code == MD_ENOENT && root_regained(io) ? mkdir_below(io, path) : code;
}

static int open_folder(struct mdio *io, const char *path)
{
    if (path[0] == 0) {
        return openat(root_of(io), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return open_below(io, path, O_RDONLY | O_DIRECTORY, 0);
}

static int posix_dirsync(struct mdio *io, const char *path)
{
    int fd = open_folder(io, path);
    if (fd < 0) {
        return failed();
    }
    int code = fsync(fd) == 0 ? 0 : failed();
    close(fd);
    return code;
}

/* getdents64 into the stack: opendir() would allocate. */
static int posix_list(struct mdio *io, const char *path,
                      void (*on_name)(void *context, const char *name, bool is_directory),
                      void *context)
{
    int fd = open_folder(io, path);
    if (fd < 0) {
        return failed();
    }
    _Alignas(struct dirent64) char entries[32768];
    long bytes = 0;
    while ((bytes = syscall(SYS_getdents64, fd, entries, sizeof entries)) > 0) {
        for (long at = 0; at < bytes;) {
            const struct dirent64 *entry = (const struct dirent64 *)(const void *)(entries + at);
            at += entry->d_reclen;
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
                continue;
            }
            bool is_directory = entry->d_type == DT_DIR;
            struct stat status;
            if (entry->d_type == DT_UNKNOWN &&
                fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
                is_directory = S_ISDIR(status.st_mode);
            }
            on_name(context, entry->d_name, is_directory);
        }
    }
    int code = bytes < 0 ? failed() : 0;
    close(fd);
    return code;
}

static int posix_space(struct mdio *io, struct mdio_space *out)
{
    struct statvfs status;
    if (fstatvfs(root_of(io), &status) != 0) {
        return failed();
    }
    out->bytes_total = (uint64_t)status.f_blocks * status.f_frsize;
    out->bytes_free = (uint64_t)status.f_bavail * status.f_frsize;
    return 0;
}

static int posix_lock(struct mdio *io, int handle)
{
    (void)io;
    return flock(handle, LOCK_EX | LOCK_NB) == 0 ? 0 : failed();
}

static void posix_deinit(struct mdio *io)
{
    close(root_of(io));
    alloc_give(io->state);
}

static const struct mdio_ops posix_ops = {
    .open = posix_open,
    .close = posix_close,
    .read = posix_read,
    .write = posix_write,
    .sync = posix_sync,
    .truncate = posix_truncate,
    .punch = posix_punch,
    .size = posix_size,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .mkdir = posix_mkdir,
    .rmdir = posix_rmdir,
    .dirsync = posix_dirsync,
    .list = posix_list,
    .space = posix_space,
    .lock = posix_lock,
    .deinit = posix_deinit,
};

int mdio_posix_open(struct mdio *io, const char *root, struct err *err)
{
    memset(io, 0, sizeof *io);
    if (strlen(root) >= sizeof io->root) {
        return err_set(err, MD_ETOOBIG, "%s: path too long", root);
    }
    if (mkdir(root, 0750) != 0 && errno != EEXIST) {
        return err_set(err, failed(), "%s: cannot be made: %s", root, strerror(errno));
    }
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_set(err, failed(), "%s: cannot be opened: %s", root, strerror(errno));
    }
    struct posix_state *state = alloc_take(ALLOC_APP, sizeof *state);
    if (state == NULL) {
        close(fd);
        return err_set(err, MD_ENOMEM, "%s: no memory", root);
    }
    state->root_fd = fd;
    io->ops = &posix_ops;
    io->state = state;
    snprintf(io->root, sizeof io->root, "%s", root);
    return 0;
}
