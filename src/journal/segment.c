/* The journal's bytes on disk: heads to and from memory, names of segments, finding them. Both
 * sides, writer and reader, go through here, so the layout stands in one place. What is read is
 * outside bytes: every field is checked before anything is done by it. No memory is taken. */
#include "journal/segment.h"

#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "base/assert.h"
#include "base/str.h"

enum {
    SEGMENT_AT_MAGIC = 0,
    SEGMENT_AT_RECORDER = 8,
    SEGMENT_AT_EPOCH = 40,
    SEGMENT_AT_FIRST_SEQ = 44,
    SEGMENT_AT_CREATED = 52,
    SEGMENT_AT_CRC = 60,

    BLOCK_AT_MAGIC = 0,
    BLOCK_AT_RAW = 4,
    BLOCK_AT_STORED = 8,
    BLOCK_AT_COUNT = 12,
    BLOCK_AT_FIRST_SEQ = 16,
    BLOCK_AT_TIME = 24,
    BLOCK_AT_FLAGS = 32,
    BLOCK_AT_CRC = 36,
};
_Static_assert(sizeof SEGMENT_MAGIC - 1 == SEGMENT_AT_RECORDER, "magic and version: 8 bytes");
_Static_assert(SEGMENT_AT_RECORDER + SEGMENT_RECORDER_BYTES == SEGMENT_AT_EPOCH, "recorder id");
_Static_assert(SEGMENT_AT_CRC + 4 == SEGMENT_HEAD_BYTES, "the segment head ends with its CRC");
_Static_assert(sizeof BLOCK_MAGIC - 1 == BLOCK_AT_RAW, "block magic: 4 bytes");
_Static_assert(BLOCK_AT_CRC + 4 == BLOCK_HEAD_BYTES, "the block head ends with the CRC");

void segment_head_put(const struct segment_head *head, void *out)
{
    char *p = out;
    memcpy(p + SEGMENT_AT_MAGIC, SEGMENT_MAGIC, 8);
    memset(p + SEGMENT_AT_RECORDER, 0, SEGMENT_RECORDER_BYTES);
    memcpy(p + SEGMENT_AT_RECORDER, head->recorder,
           strnlen(head->recorder, SEGMENT_RECORDER_BYTES - 1));
    store_u32(p + SEGMENT_AT_EPOCH, head->boot_epoch);
    store_u64(p + SEGMENT_AT_FIRST_SEQ, head->first_seq);
    store_u64(p + SEGMENT_AT_CREATED, (uint64_t)head->created_unix_ns);
    store_u32(p + SEGMENT_AT_CRC, crc32c(0, p, SEGMENT_AT_CRC));
}

int segment_head_get(const void *data, struct segment_head *out)
{
    const char *p = data;
    if (memcmp(p, SEGMENT_MAGIC, 6) != 0 ||
        load_u32(p + SEGMENT_AT_CRC) != crc32c(0, p, SEGMENT_AT_CRC)) {
        return MD_ECORRUPT;
    }
    if (memcmp(p, SEGMENT_MAGIC, 8) != 0) {
        return MD_ENOTSUP;
    }
    memcpy(out->recorder, p + SEGMENT_AT_RECORDER, SEGMENT_RECORDER_BYTES);
    out->recorder[SEGMENT_RECORDER_BYTES - 1] = '\0';
    out->boot_epoch = load_u32(p + SEGMENT_AT_EPOCH);
    out->first_seq = load_u64(p + SEGMENT_AT_FIRST_SEQ);
    out->created_unix_ns = (int64_t)load_u64(p + SEGMENT_AT_CREATED);
    return 0;
}

uint32_t block_crc_start(const void *data)
{
    return crc32c(0, data, BLOCK_AT_CRC);
}

void block_head_put(const struct block_head *head, void *out)
{
    char *p = out;
    ASSERT(head->record_count > 0);
    ASSERT(head->first_seq > 0);
    memcpy(p + BLOCK_AT_MAGIC, BLOCK_MAGIC, 4);
    store_u32(p + BLOCK_AT_RAW, head->raw_bytes);
    store_u32(p + BLOCK_AT_STORED, head->stored_bytes);
    store_u32(p + BLOCK_AT_COUNT, head->record_count);
    store_u64(p + BLOCK_AT_FIRST_SEQ, head->first_seq);
    store_u64(p + BLOCK_AT_TIME, (uint64_t)head->first_unix_ns);
    store_u32(p + BLOCK_AT_FLAGS, head->checkpoint);
    uint32_t crc = crc32c(block_crc_start(p), p + BLOCK_HEAD_BYTES, head->stored_bytes);
    store_u32(p + BLOCK_AT_CRC, crc);
}

bool block_head_get(const void *data, struct block_head *out)
{
    const char *p = data;
    if (memcmp(p + BLOCK_AT_MAGIC, BLOCK_MAGIC, 4) != 0) {
        return false;
    }
    out->raw_bytes = load_u32(p + BLOCK_AT_RAW);
    out->stored_bytes = load_u32(p + BLOCK_AT_STORED);
    out->record_count = load_u32(p + BLOCK_AT_COUNT);
    out->first_seq = load_u64(p + BLOCK_AT_FIRST_SEQ);
    out->first_unix_ns = (int64_t)load_u64(p + BLOCK_AT_TIME);
    out->checkpoint = load_u32(p + BLOCK_AT_FLAGS) == 1;
    out->crc = load_u32(p + BLOCK_AT_CRC);
    return out->raw_bytes > 0 && out->raw_bytes <= SEGMENT_RECORD_BYTES_MAX &&
           out->stored_bytes > 0 &&
           out->stored_bytes <= ZSTD_COMPRESSBOUND(SEGMENT_RECORD_BYTES_MAX) &&
           out->record_count > 0 && out->record_count <= out->raw_bytes && out->first_seq > 0 &&
           out->first_seq <= UINT64_MAX - out->record_count && load_u32(p + BLOCK_AT_FLAGS) <= 1;
}

bool segment_test_crc_off;

bool block_crc_right(const void *data, const struct block_head *head)
{
    const char *p = data;
    return segment_test_crc_off ||
           crc32c(block_crc_start(p), p + BLOCK_HEAD_BYTES, head->stored_bytes) == head->crc;
}

size_t block_bytes_bound(size_t raw_bytes)
{
    return BLOCK_HEAD_BYTES + ZSTD_compressBound(raw_bytes);
}

void segment_name(uint64_t first_seq, char out[SEGMENT_NAME_BYTES])
{
    int bytes =
        snprintf(out, SEGMENT_NAME_BYTES, "%016llx" SEGMENT_SUFFIX, (unsigned long long)first_seq);
    ASSERT(bytes == (int)SEGMENT_NAME_BYTES - 1);
}

int segment_path(const char *folder, uint64_t first_seq, char out[SEGMENT_PATH_BYTES])
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(first_seq, name);
    int bytes =
        snprintf(out, SEGMENT_PATH_BYTES, "%s%s%s", folder, folder[0] != '\0' ? "/" : "", name);
    return bytes >= 0 && bytes < SEGMENT_PATH_BYTES ? 0 : MD_EINVAL;
}

bool segment_name_parse(const char *name, uint64_t *first_seq)
{
    uint64_t value = 0;
    if (strnlen(name, SEGMENT_NAME_BYTES) != SEGMENT_NAME_BYTES - 1 ||
        strcmp(name + 16, SEGMENT_SUFFIX) != 0) {
        return false;
    }
    for (int i = 0; i < 16; i++) {
        char c = name[i];
        if (c >= '0' && c <= '9') {
            value = value << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return false;
        }
    }
    *first_seq = value;
    return true;
}

/* Looks for the first seq in [low, high] that is nearest to one end. */
struct find {
    uint64_t low, high;
    bool largest;
    uint64_t best;
    bool found;
};

static void find_on_name(void *context, const char *name, bool is_directory)
{
    struct find *find = context;
    uint64_t first_seq = 0;
    if (is_directory || !segment_name_parse(name, &first_seq) || first_seq < find->low ||
        first_seq > find->high) {
        return;
    }
    if (!find->found || (find->largest ? first_seq > find->best : first_seq < find->best)) {
        find->best = first_seq;
        find->found = true;
    }
}

static int find_run(struct mdio *io, const char *folder, struct find *find, uint64_t *first_seq)
{
    int code = mdio_list(io, folder, find_on_name, find);
    if (code < 0) {
        return code;
    }
    *first_seq = find->best;
    return find->found ? 1 : 0;
}

int segment_find(struct mdio *io, const char *folder, uint64_t at_least, uint64_t *first_seq)
{
    struct find find = {.low = at_least, .high = UINT64_MAX};
    return find_run(io, folder, &find, first_seq);
}

int segment_find_holding(struct mdio *io, const char *folder, uint64_t at_most, uint64_t *first_seq)
{
    struct find find = {.high = at_most, .largest = true};
    return find_run(io, folder, &find, first_seq);
}

/* The CRC over the stored bytes of the block at `at`, begun with its head's. */
static int stored_crc(struct mdio *io, int handle, int64_t at, uint32_t bytes, uint32_t *crc)
{
    char piece[4096];
    while (bytes > 0) {
        size_t want = bytes < sizeof piece ? bytes : sizeof piece;
        ssize_t got = mdio_read(io, handle, piece, want, at);
        if (got <= 0) {
            return got < 0 ? (int)got : MD_ECORRUPT;
        }
        *crc = crc32c(*crc, piece, (size_t)got);
        at += got;
        bytes -= (uint32_t)got;
    }
    return 0;
}

static int first_block_read(struct mdio *io, int handle, struct segment_head *head,
                            struct block_head *block)
{
    char bytes[SEGMENT_HEAD_BYTES + BLOCK_HEAD_BYTES];
    ssize_t got = mdio_read(io, handle, bytes, sizeof bytes, 0);
    if (got < 0) {
        return (int)got;
    }
    if (got >= SEGMENT_HEAD_BYTES && head != NULL && segment_head_get(bytes, head) != 0) {
        *head = (struct segment_head){0};
    }
    if (got < (ssize_t)sizeof bytes || !block_head_get(bytes + SEGMENT_HEAD_BYTES, block)) {
        return 0;
    }
    uint32_t crc = block_crc_start(bytes + SEGMENT_HEAD_BYTES);
    int code = stored_crc(io, handle, (int64_t)sizeof bytes, block->stored_bytes, &crc);
    if (code == MD_ECORRUPT) {
        return 0;
    }
    return code < 0 ? code : crc == block->crc || segment_test_crc_off;
}

int segment_first_block(struct mdio *io, const char *folder, uint64_t first_seq,
                        struct segment_head *head, struct block_head *block)
{
    char path[SEGMENT_PATH_BYTES];
    if (head != NULL) {
        *head = (struct segment_head){0};
    }
    int code = segment_path(folder, first_seq, path);
    if (code < 0) {
        return code;
    }
    int handle = mdio_open(io, path, MDIO_READ);
    if (handle < 0) {
        return handle == MD_ENOENT ? 0 : handle; /* deleted since it was listed */
    }
    code = first_block_read(io, handle, head, block);
    (void)mdio_close(io, handle); /* was only read */
    return code;
}
