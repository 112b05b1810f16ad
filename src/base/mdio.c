/* What every back end of the file layer shares: which paths are allowed, whole reads and writes,
 * and folders made with their parents. A short count from write() is completed here and nowhere
 * else: on a full disk the short count comes first and the error only with the next call. No state
 * and no memory of its own; 1 KiB of stack for a path. */
#include "base/mdio.h"

#include <string.h>

#include "base/err.h"

void mdio_deinit(struct mdio *io)
{
    if (io->ops != NULL) {
        io->ops->deinit(io);
    }
    memset(io, 0, sizeof *io);
}

bool mdio_path_allowed(const char *path)
{
    size_t length = strnlen(path, MDIO_PATH_BYTES_MAX);
    if (length == MDIO_PATH_BYTES_MAX) {
        return false;
    }
    for (const char *at = path;; at++) {
        size_t n = strcspn(at, "/");
        if (n == 0 || (n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.')) {
            return false;
        }
        at += n;
        if (*at == 0) {
            return true;
        }
    }
}

int mdio_write_all(struct mdio *io, int handle, const void *data, size_t bytes, int64_t offset)
{
    const char *at = data;
    while (bytes > 0) {
        ssize_t n = io->ops->write(io, handle, at, bytes, offset);
        if (n < 0) {
            return (int)n;
        }
        if (n == 0) {
            return MD_ENOSPC; /* nothing taken and no error: the disk's way of being full */
        }
        at += n;
        bytes -= (size_t)n;
        offset += n;
    }
    return 0;
}

int mdio_read_all(struct mdio *io, int handle, void *data, size_t bytes, int64_t offset)
{
    ssize_t n = io->ops->read(io, handle, data, bytes, offset);
    if (n < 0) {
        return (int)n;
    }
    return (size_t)n == bytes ? 0 : MD_ECORRUPT;
}

int mdio_mkdirs(struct mdio *io, const char *path)
{
    char part[MDIO_PATH_BYTES_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) {
        return MD_EINVAL;
    }
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != 0) {
            continue;
        }
        memcpy(part, path, i);
        part[i] = 0;
        int code = mdio_mkdir(io, part);
        if (code < 0) {
            return code;
        }
        if (code > 0) { /* made just now: its name must survive */
            char *slash = strrchr(part, '/');
            if (slash != NULL) {
                *slash = 0;
            }
            code = mdio_dirsync(io, slash != NULL ? part : "");
            if (code != 0) {
                return code;
            }
        }
    }
    return 0;
}

int mdio_mkdirs_unsynced(struct mdio *io, const char *path, size_t from, size_t *kept)
{
    char part[MDIO_PATH_BYTES_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) {
        return MD_EINVAL;
    }
    *kept = length;
    size_t begin = from; /* where the folder before ends */
    for (size_t i = from + 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != 0) {
            continue;
        }
        memcpy(part, path, i);
        part[i] = 0;
        int code = mdio_mkdir(io, part);
        if (code < 0) {
            return code;
        }
        if (code > 0 && *kept == length) {
            *kept = begin;
        }
        begin = i;
    }
    return 0;
}

int mdio_open_in(struct mdio *io, const char *folder, const char *path, int flags)
{
    int handle = mdio_open(io, path, flags);
    if (handle == MD_ENOENT) {
        int code = mdio_mkdirs(io, folder);
        handle = code < 0 ? code : mdio_open(io, path, flags);
    }
    return handle;
}
