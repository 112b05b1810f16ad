/* Bytes of a file writer to the disk. See disk_sink.h.
 * Place: under the writers of sealed and of merged files.
 * Invariants: bytes reach the disk in order; a short write is completed or the file is lost. */
#include "store/disk_sink.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

int disk_sink_init(struct disk_sink *sink, struct mdio *io)
{
    *sink = (struct disk_sink){.io = io, .handle = -1};
    sink->buffer = alloc_take(ALLOC_SEAL, DISK_SINK_BYTES);
    sink->digest = EVP_MD_CTX_new();
    bool sha256 = sink->digest != NULL && EVP_DigestInit_ex(sink->digest, EVP_sha256(), NULL) == 1;
    if (sink->buffer == NULL || !sha256) {
        disk_sink_deinit(sink);
        return MD_ENOMEM;
    }
    return 0;
}

void disk_sink_deinit(struct disk_sink *sink)
{
    if (sink->io != NULL) {
        disk_sink_close(sink);
    }
    EVP_MD_CTX_free(sink->digest);
    alloc_give(sink->buffer);
    *sink = (struct disk_sink){.handle = -1};
}

int disk_sink_open(struct disk_sink *sink, const char *path)
{
    ASSERT(sink->handle < 0);
    sink->used = 0;
    sink->offset = 0;
    if (EVP_DigestInit_ex(sink->digest, NULL, NULL) != 1) {
        return MD_ENOMEM;
    }
    int flags = MDIO_WRITE | MDIO_CREATE | MDIO_EXCLUSIVE;
    int handle = mdio_open(sink->io, path, flags);
    if (handle == MD_EEXIST) {
        int code = mdio_unlink(sink->io, path);
        handle = code < 0 ? code : mdio_open(sink->io, path, flags);
    }
    if (handle < 0) {
        return handle;
    }
    sink->handle = handle;
    return 0;
}

static int flush(struct disk_sink *sink)
{
    if (sink->used == 0) {
        return 0;
    }
    int code = mdio_write_all(sink->io, sink->handle, sink->buffer, sink->used, sink->offset);
    if (code < 0) {
        return code;
    }
    sink->offset += (int64_t)sink->used;
    sink->used = 0;
    return 0;
}

static int sink_write(void *context, const void *data, size_t bytes)
{
    struct disk_sink *sink = context;
    if (EVP_DigestUpdate(sink->digest, data, bytes) != 1) {
        return MD_ENOMEM;
    }
    const uint8_t *p = data;
    while (bytes > 0) {
        size_t room = DISK_SINK_BYTES - sink->used;
        size_t part = bytes < room ? bytes : room;
        memcpy(sink->buffer + sink->used, p, part);
        sink->used += part;
        p += part;
        bytes -= part;
        int code = sink->used == DISK_SINK_BYTES ? flush(sink) : 0;
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

struct file_sink disk_sink_writer(struct disk_sink *sink)
{
    return (struct file_sink){sink_write, sink};
}

int disk_sink_sync(struct disk_sink *sink)
{
    int code = flush(sink);
    return code == 0 ? mdio_sync(sink->io, sink->handle) : code;
}

int disk_sink_close(struct disk_sink *sink)
{
    if (sink->handle < 0) {
        return 0;
    }
    int code = mdio_close(sink->io, sink->handle);
    sink->handle = -1;
    return code;
}

int disk_sink_sha256(struct disk_sink *sink, char hex[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_bytes = 0;
    if (EVP_DigestFinal_ex(sink->digest, digest, &digest_bytes) != 1) {
        return MD_ENOMEM;
    }
    ASSERT(digest_bytes == 32);
    for (unsigned i = 0; i < digest_bytes; i++) {
        snprintf(hex + (size_t)i * 2, 3, "%02x", digest[i]);
    }
    return 0;
}
