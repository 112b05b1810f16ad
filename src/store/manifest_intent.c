/* Files about to be renamed into place, told before the rename. See manifest.h.
 * Place: seal thread, just before a rename; store_open() cleans up after a crash.
 * Invariants: a slot is synced before any rename it names; the slot before it stays whole
 * meanwhile; no path is named that existed already. Memory: one slot (12 KiB) on the stack. */
#include "store/manifest_intent.h"

#include "base/assert.h"
#include "base/err.h"
#include "base/log.h"

#include <assert.h>
#include <string.h>

#define INTENTS_PATH "spool/intents"
#define SLOT_MAGIC 0x544e494dU /* "MINT" */
#define SLOT_BYTES 12288
#define HEAD_BYTES 20
#define FILE_HEAD_BYTES 11
static_assert(HEAD_BYTES + MANIFEST_INTENTS_MAX * (MANIFEST_PATH_MAX + FILE_HEAD_BYTES) <=
                  SLOT_BYTES,
              "slot");

enum { AT_MAGIC = 0, AT_GENERATION = 4, AT_COUNT = 8, AT_BYTES = 12, AT_CRC = 16 };

static uint32_t slot_crc(const char *slot, uint32_t bytes)
{
    return crc32c(crc32c(0, slot, AT_CRC), slot + HEAD_BYTES, bytes);
}

/* True when the slot holds a whole list. */
static bool slot_read(struct mdio *io, int handle, uint32_t index, char *slot)
{
    ssize_t got = mdio_read(io, handle, slot, SLOT_BYTES, (int64_t)index * SLOT_BYTES);
    if (got < HEAD_BYTES || load_u32(slot + AT_MAGIC) != SLOT_MAGIC) {
        return false;
    }
    uint32_t bytes = load_u32(slot + AT_BYTES);
    return bytes <= (size_t)got - HEAD_BYTES && load_u32(slot + AT_COUNT) <= MANIFEST_INTENTS_MAX &&
           load_u32(slot + AT_CRC) == slot_crc(slot, bytes);
}

int intents_open(struct mdio *io, uint32_t *generation)
{
    int handle = mdio_open_in(io, "spool", INTENTS_PATH, MDIO_READ | MDIO_WRITE | MDIO_CREATE);
    if (handle < 0) {
        return handle;
    }
    int code = mdio_dirsync(io, "spool");
    if (code < 0) {
        mdio_close(io, handle);
        return code;
    }
    if (generation != NULL) {
        *generation = 0;
        for (uint32_t i = 0; i < 2; i++) {
            char slot[SLOT_BYTES];
            if (slot_read(io, handle, i, slot) && load_u32(slot + AT_GENERATION) > *generation) {
                *generation = load_u32(slot + AT_GENERATION);
            }
        }
    }
    return handle;
}

int intents_write(struct mdio *io, int handle, uint32_t generation,
                  const struct manifest_intent *files, uint32_t count)
{
    ASSERT(count <= MANIFEST_INTENTS_MAX);
    char slot[SLOT_BYTES];
    uint32_t at = HEAD_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        size_t bytes = strlen(files[i].path);
        slot[at] = (char)files[i].venue;
        store_u16(slot + at + 1, (uint16_t)bytes);
        store_u64(slot + at + 3, (uint64_t)files[i].unix_ns);
        memcpy(slot + at + FILE_HEAD_BYTES, files[i].path, bytes);
        at += FILE_HEAD_BYTES + (uint32_t)bytes;
    }
    store_u32(slot + AT_MAGIC, SLOT_MAGIC);
    store_u32(slot + AT_GENERATION, generation);
    store_u32(slot + AT_COUNT, count);
    store_u32(slot + AT_BYTES, at - HEAD_BYTES);
    store_u32(slot + AT_CRC, slot_crc(slot, at - HEAD_BYTES));
    int code = mdio_write_all(io, handle, slot, at, (int64_t)(generation % 2) * SLOT_BYTES);
    return code < 0 ? code : mdio_sync(io, handle);
}

static void slot_files(const char *slot, struct intents *intents)
{
    uint32_t end = HEAD_BYTES + load_u32(slot + AT_BYTES);
    uint32_t at = HEAD_BYTES;
    for (uint32_t n = load_u32(slot + AT_COUNT); n > 0 && at + FILE_HEAD_BYTES <= end; n--) {
        uint32_t bytes = load_u16(slot + at + 1);
        uint8_t venue = (uint8_t)slot[at];
        if (bytes == 0 || bytes >= MANIFEST_PATH_MAX || at + FILE_HEAD_BYTES + bytes > end ||
            venue == VENUE_NONE || venue >= VENUE_ID_END) {
            return;
        }
        struct manifest_intent *file = &intents->file[intents->count++];
        file->venue = (enum venue_id)venue;
        file->unix_ns = (int64_t)load_u64(slot + at + 3);
        memcpy(file->path, slot + at + FILE_HEAD_BYTES, bytes);
        file->path[bytes] = 0;
        at += FILE_HEAD_BYTES + bytes;
    }
}

void intents_read(struct mdio *io, int handle, struct intents *intents)
{
    intents->count = 0;
    for (uint32_t i = 0; i < 2; i++) {
        char slot[SLOT_BYTES];
        if (slot_read(io, handle, i, slot)) {
            slot_files(slot, intents);
        }
    }
}

/* The run before may have made these folders and not come to sync them; this one takes a folder
 * that is there for durable. Best effort: what is not there is made anew and synced then. */
static void sync_above(struct mdio *io, const char *folder)
{
    char part[MANIFEST_PATH_MAX];
    size_t bytes = strlen(folder);
    memcpy(part, folder, bytes + 1);
    mdio_dirsync(io, "");
    for (char *slash = strrchr(part, '/'); slash != NULL; slash = strrchr(part, '/')) {
        *slash = 0;
        mdio_dirsync(io, part);
    }
}

int intents_delete(struct mdio *io, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return 0;
    }
    char folder[MANIFEST_PATH_MAX];
    char inprogress[MANIFEST_PATH_MAX + 32];
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = 0;
    store_inprogress_path(path, inprogress, sizeof inprogress);
    int started = mdio_unlink(io, inprogress);
    sync_above(io, folder);
    int code = mdio_unlink(io, path);
    if (code == 0) {
        LOG_INFO("store_unfinished", "%s: not in the manifest: deleted, lands again", path);
        code = mdio_dirsync(io, folder);
    }
    if (code == MD_ENOENT) {
        code = 0;
    }
    return code == 0 && started != MD_ENOENT ? started : code;
}
