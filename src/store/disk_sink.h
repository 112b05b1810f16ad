#ifndef MD_STORE_DISK_SINK_H
#define MD_STORE_DISK_SINK_H

#include <openssl/evp.h>

#include "base/mdio.h"
#include "store/columns.h"

/* Where a file writer's bytes go: 64 KiB gathered, hashed, written to a new file. One file at a
 * time, used for one after another. */

#define DISK_SINK_BYTES (64 << 10)

struct disk_sink {
    struct mdio *io;
    int handle; /* -1 = none open */
    uint8_t *buffer;
    size_t used;
    int64_t offset; /* bytes written before the buffer */
    EVP_MD_CTX *digest;
};

/* Takes DISK_SINK_BYTES from ALLOC_SEAL and a digest of OpenSSL's; MD_ENOMEM. */
int disk_sink_init(struct disk_sink *sink, struct mdio *io);
void disk_sink_deinit(struct disk_sink *sink); /* a zeroed one is allowed; closes */
/* Makes the file anew: an old one of that name, of a try that failed, is deleted. */
int disk_sink_open(struct disk_sink *sink, const char *path);
struct file_sink disk_sink_writer(struct disk_sink *sink);
/* Writes what is gathered and syncs; sink->offset is then the file's size. */
int disk_sink_sync(struct disk_sink *sink);
/* 0 or what close said; nothing to do when none is open. */
int disk_sink_close(struct disk_sink *sink);
/* Of all bytes since open, as hex. Once. MD_ENOMEM. */
int disk_sink_sha256(struct disk_sink *sink, char hex[65]);

#endif
