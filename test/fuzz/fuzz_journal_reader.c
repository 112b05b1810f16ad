/* The journal's reader over a folder of two segments made from the input. The first byte says where
 * the second begins, in 1/256 of the rest; when it is odd, the CRC check is off, so that content
 * gets past it. Checks what the reader promises whatever the bytes: numbers that go up, records
 * that are whole, figures that add up. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mdio.h"
#include "journal/journal.h"
#include "journal/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Two read-only files; the handle is the index. */
struct files {
    const uint8_t *data[2];
    size_t bytes[2];
};

static int files_open(struct mdio *io, const char *path, int flags)
{
    (void)io;
    (void)flags;
    if (strcmp(path, "journal/0000000000000001.mdj") == 0) {
        return 0;
    }
    return strcmp(path, "journal/0000000000000010.mdj") == 0 ? 1 : MD_ENOENT;
}

static int files_close(struct mdio *io, int handle)
{
    (void)io;
    (void)handle;
    return 0;
}

static ssize_t files_read(struct mdio *io, int handle, void *out, size_t bytes, int64_t offset)
{
    const struct files *files = io->state;
    size_t size = files->bytes[handle];
    ASSERT(offset >= 0);
    if ((uint64_t)offset >= size) {
        return 0;
    }
    size_t n = size - (size_t)offset < bytes ? size - (size_t)offset : bytes;
    memcpy(out, files->data[handle] + offset, n);
    return (ssize_t)n;
}

static int64_t files_size(struct mdio *io, int handle)
{
    const struct files *files = io->state;
    return (int64_t)files->bytes[handle];
}

static int files_list(struct mdio *io, const char *path,
                      void (*on_name)(void *context, const char *name, bool is_directory),
                      void *context)
{
    (void)io;
    (void)path;
    on_name(context, "0000000000000010.mdj", false);
    on_name(context, "0000000000000001.mdj", false);
    on_name(context, "0000000000000002.tmp", false);
    return 0;
}

static const struct mdio_ops files_ops = {.open = files_open,
                                          .close = files_close,
                                          .read = files_read,
                                          .size = files_size,
                                          .list = files_list};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 1) {
        return 0;
    }
    size_t rest = bytes - 1;
    size_t first = rest * data[0] / 255;
    struct files files = {.data = {data + 1, data + 1 + first}, .bytes = {first, rest - first}};
    struct mdio io = {.ops = &files_ops, .state = &files};
    struct journal_reader *reader = NULL;
    struct record record;
    struct err err;
    uint64_t last_seq = 0;
    uint64_t records = 0;
    int code;
    segment_test_crc_off = data[0] % 2 != 0;
    ASSERT(journal_reader_open(&reader, &io, "journal", 4096, 0, &err) == 0);
    while ((code = journal_reader_next(reader, &record, &err)) != 0) {
        if (code == MD_ETOOBIG) {
            continue;
        }
        if (code < 0) {
            ASSERT(code == MD_ENOTSUP);
            break;
        }
        ASSERT(record.seq > last_seq);
        ASSERT(record_kind_name(record.kind) != NULL);
        ASSERT(venue_name(record.venue) != NULL);
        ASSERT(record.arg.bytes <= RECORD_ARG_BYTES_MAX);
        last_seq = record.seq;
        records++;
    }
    struct journal_reader_stats stats = journal_reader_stats(reader);
    ASSERT(stats.records == records);
    ASSERT(stats.skipped_bytes + stats.torn_tail_bytes <= rest);
    ASSERT(stats.blocks * BLOCK_HEAD_BYTES <= rest);
    ASSERT(journal_reader_last_seq(reader) == last_seq);
    journal_reader_close(reader);
    segment_test_crc_off = false;
    return 0;
}
