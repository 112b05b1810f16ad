#ifndef MD_TEST_STORE_DISK_H
#define MD_TEST_STORE_DISK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mdio.h"

/* A folder of its own for a test, deleted afterwards. */
struct disk {
    struct mdio io;
    char root[64];
};

static inline void disk_open(struct disk *disk)
{
    struct err err = {""};
    snprintf(disk->root, sizeof disk->root, "/tmp/md-store-XXXXXX");
    if (mkdtemp(disk->root) == NULL || mdio_posix_open(&disk->io, disk->root, &err) != 0) {
        fprintf(stderr, "no test folder: %s\n", err.text);
        abort();
    }
}

static inline void disk_close(struct disk *disk)
{
    mdio_deinit(&disk->io);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", disk->root);
    if (system(command) != 0) {
        fprintf(stderr, "%s: not deleted\n", disk->root);
    }
}

#endif
