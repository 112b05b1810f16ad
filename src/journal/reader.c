/* The journal's reader: replay after a start, rederive, journal cat. Reads segment after segment
 * through one window over the file, gives whole blocks' records in order, each number once.
 *
 * Everything in the files is outside bytes. A block counts only when its CRC is right, it inflates
 * to the size its head names, and its records are whole and count on from its first seq; only then
 * is the first of them given out. Anything else is skipped to the next magic whose CRC is right.
 * Bad bytes with a good block after them in the same file are damage; bad bytes up to the end of a
 * file are a torn tail, as a crash leaves it.
 *
 * Memory (journal_reader_open): the window, one inflated block, a zstd context; nothing grows with
 * the number or size of segments. */
#include <stdio.h>
#include <string.h>
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "journal/reader.h"
#include "journal/segment.h"

#define WINDOW_EXTRA_BYTES (512u << 10) /* so that most refills bring many blocks */

struct journal_reader {
    struct mdio *io;
    char path[SEGMENT_PATH_BYTES]; /* the folder, or the file */
    bool single;
    bool empty; /* a folder without a segment */
    uint32_t record_bytes_max;

    /* Current segment; handle -1 = none. */
    int handle;
    uint64_t segment_seq; /* name of the current, or of the next one to open */
    bool segment_known;   /* segment_seq is set: there is one to open */
    uint64_t next_seq;    /* name of the segment after the current one */
    bool next_known;      /* there is one */
    uint64_t end_seq;     /* the current segment speaks for numbers below */
    int64_t file_bytes;
    int64_t cursor;
    int64_t bad_from; /* start of bytes that are part of no good block; -1 = none */
    uint64_t bad_blocks;

    char *window; /* file bytes [window_at, window_at + window_bytes) */
    size_t window_capacity;
    int64_t window_at;
    size_t window_bytes;

    char *raw; /* the current block's records */
    size_t raw_capacity;
    size_t raw_bytes;
    size_t raw_cursor;
    void *workspace;
    ZSTD_DCtx *dctx;

    uint64_t first_seq;
    uint64_t last_seq; /* of the last record given; before: one below where the first must be */
    uint64_t seen_seq; /* 0 until a record was given */
    int64_t last_unix_ns;
    bool damage_seen; /* since the last good block: explains a jump */
    struct journal_reader_stats stats;
};

/* ---- Window. */

/* Makes the file's bytes from `at` on stand at the returned place; *bytes says how many are there:
 * at least `need`, or all up to the end of the file. NULL: the read failed (*code). */
static const char *window_get(struct journal_reader *reader, int64_t at, size_t need, size_t *bytes,
                              int *code)
{
    ASSERT(need <= reader->window_capacity);
    ASSERT(at >= 0);
    int64_t end = reader->window_at + (int64_t)reader->window_bytes;
    bool inside = at >= reader->window_at && at <= end;
    size_t have = inside ? (size_t)(end - at) : 0;
    if (have < need && at + (int64_t)have < reader->file_bytes) {
        if (have > 0) {
            memmove(reader->window, reader->window + (at - reader->window_at), have);
        }
        reader->window_at = at;
        reader->window_bytes = have;
        while (reader->window_bytes < need &&
               at + (int64_t)reader->window_bytes < reader->file_bytes) {
            ssize_t got = mdio_read(
                reader->io, reader->handle, reader->window + reader->window_bytes,
                reader->window_capacity - reader->window_bytes, at + (int64_t)reader->window_bytes);
            if (got < 0) {
                *code = (int)got;
                return NULL;
            }
            if (got == 0) {
                reader->file_bytes = at + (int64_t)reader->window_bytes; /* it became shorter */
            }
            reader->window_bytes += (size_t)got;
        }
        have = reader->window_bytes;
    }
    int64_t left = reader->file_bytes - at;
    *bytes = left < 0 ? 0 : (int64_t)have > left ? (size_t)left : have;
    return reader->window + (at - reader->window_at);
}

/* ---- Blocks. */

enum look { LOOK_GOOD, LOOK_BAD, LOOK_BAD_MAGIC, LOOK_TOO_BIG, LOOK_FAILED };

/* The CRC of a block that is larger than the window, piece by piece. */
static enum look block_look_large(struct journal_reader *reader, const struct block_head *head,
                                  uint32_t crc, int *code)
{
    int64_t at = reader->cursor + BLOCK_HEAD_BYTES;
    size_t left = head->stored_bytes;
    while (left > 0) {
        size_t bytes = 0;
        const char *data = window_get(reader, at, 1, &bytes, code);
        if (data == NULL) {
            return LOOK_FAILED;
        }
        size_t piece = bytes < left ? bytes : left;
        if (piece == 0) {
            return LOOK_BAD_MAGIC;
        }
        crc = crc32c(crc, data, piece);
        at += (int64_t)piece;
        left -= piece;
    }
    return crc == head->crc ? LOOK_TOO_BIG : LOOK_BAD_MAGIC;
}

/* Is there a good block at the cursor? LOOK_GOOD: *data is its head, valid until the window moves.
 */
static enum look block_look(struct journal_reader *reader, struct block_head *head,
                            const char **data, int *code)
{
    size_t bytes = 0;
    *data = window_get(reader, reader->cursor, BLOCK_HEAD_BYTES, &bytes, code);
    if (*data == NULL) {
        return LOOK_FAILED;
    }
    if (bytes < BLOCK_HEAD_BYTES) {
        return LOOK_BAD;
    }
    if (!block_head_get(*data, head)) {
        return memcmp(*data, BLOCK_MAGIC, 4) == 0 ? LOOK_BAD_MAGIC : LOOK_BAD;
    }
    size_t total = (size_t)BLOCK_HEAD_BYTES + head->stored_bytes;
    if ((int64_t)total > reader->file_bytes - reader->cursor) {
        return LOOK_BAD_MAGIC;
    }
    if (total > reader->window_capacity) {
        return block_look_large(reader, head, block_crc_start(*data), code);
    }
    *data = window_get(reader, reader->cursor, total, &bytes, code);
    if (*data == NULL) {
        return LOOK_FAILED;
    }
    if (bytes < total || !block_crc_right(*data, head)) {
        return LOOK_BAD_MAGIC;
    }
    return head->raw_bytes > reader->raw_capacity ? LOOK_TOO_BIG : LOOK_GOOD;
}

/* Inflates the stored bytes and looks at every record. False: the content is wrong. */
static bool block_inflate(struct journal_reader *reader, const char *data,
                          const struct block_head *head)
{
    const char *stored = data + BLOCK_HEAD_BYTES;
    if (ZSTD_getFrameContentSize(stored, head->stored_bytes) != head->raw_bytes) {
        return false;
    }
    size_t bytes = ZSTD_decompressDCtx(reader->dctx, reader->raw, reader->raw_capacity, stored,
                                       head->stored_bytes);
    if (ZSTD_isError(bytes) || bytes != head->raw_bytes) {
        return false;
    }
    size_t at = 0;
    for (uint32_t i = 0; i < head->record_count; i++) {
        struct record record;
        size_t record_bytes = bytes - at >= RECORD_HEAD_BYTES ? load_u32(reader->raw + at) : 0;
        if (record_bytes > bytes - at ||
            record_unpack(reader->raw + at, record_bytes, &record) < 0 ||
            record.seq != head->first_seq + i) {
            return false;
        }
        at += record_bytes;
    }
    return at == bytes;
}

/* Moves the cursor to the next place where a block may begin, or to the end of the file. */
static int cursor_to_next_magic(struct journal_reader *reader)
{
    int code = 0;
    reader->cursor++;
    while (reader->cursor < reader->file_bytes) {
        size_t bytes = 0;
        const char *data = window_get(reader, reader->cursor, 4, &bytes, &code);
        if (data == NULL) {
            return code;
        }
        if (bytes < 4) {
            break;
        }
        const char *magic = memmem(data, bytes, BLOCK_MAGIC, 4);
        if (magic != NULL) {
            reader->cursor += magic - data;
            return 0;
        }
        reader->cursor += (int64_t)bytes - 3; /* the magic may lie across the window's end */
    }
    reader->cursor = reader->file_bytes;
    return 0;
}

/* A good block stands at the cursor: what lies between it and the last one is damage. */
static void bad_bytes_close(struct journal_reader *reader)
{
    if (reader->bad_from >= 0) {
        reader->stats.skipped_bytes += (uint64_t)(reader->cursor - reader->bad_from);
        reader->stats.damaged_blocks += reader->bad_blocks > 0 ? reader->bad_blocks : 1;
        reader->damage_seen = true;
        reader->bad_from = -1;
        reader->bad_blocks = 0;
    }
}

/* Takes in the good block at the cursor. True when it has records to give. */
static bool block_take(struct journal_reader *reader, const char *data,
                       const struct block_head *head)
{
    uint64_t last_seq = head->first_seq + head->record_count - 1;
    reader->cursor += BLOCK_HEAD_BYTES + (int64_t)head->stored_bytes;
    if (last_seq <= reader->last_seq || head->first_seq >= reader->end_seq) {
        reader->stats.duplicate_blocks++;
        return false;
    }
    if (!block_inflate(reader, data, head)) {
        reader->stats.damaged_blocks++;
        reader->stats.skipped_bytes += BLOCK_HEAD_BYTES + (uint64_t)head->stored_bytes;
        reader->damage_seen = true;
        return false;
    }
    if (reader->damage_seen && head->first_seq > reader->last_seq + 1) {
        reader->stats.missing_records += head->first_seq - reader->last_seq - 1;
    }
    reader->damage_seen = false;
    reader->stats.blocks++;
    reader->raw_bytes = head->raw_bytes;
    reader->raw_cursor = 0;
    return true;
}

static int too_big(struct journal_reader *reader, const struct block_head *head, struct err *err)
{
    reader->cursor += BLOCK_HEAD_BYTES + (int64_t)head->stored_bytes;
    return err_set(
        err, MD_ETOOBIG,
        "journal: a block of %u bytes from record %llu on, at most %zu can be read: raise "
        "the largest message size",
        head->raw_bytes, (unsigned long long)head->first_seq, reader->raw_capacity);
}

/* Goes on to the next block with records in this segment. 1, 0 at its end, or a failure. */
static int segment_next_block(struct journal_reader *reader, struct err *err)
{
    while (reader->cursor < reader->file_bytes) {
        struct block_head head;
        const char *data = NULL;
        int code = 0;
        enum look look = block_look(reader, &head, &data, &code);
        if (look == LOOK_GOOD || look == LOOK_TOO_BIG) {
            bad_bytes_close(reader);
            if (look == LOOK_TOO_BIG) {
                return too_big(reader, &head, err);
            }
            if (block_take(reader, data, &head)) {
                return 1;
            }
            continue;
        }
        if (look != LOOK_FAILED) {
            if (reader->bad_from < 0) {
                reader->bad_from = reader->cursor;
            }
            reader->bad_blocks += look == LOOK_BAD_MAGIC ? 1 : 0;
            code = cursor_to_next_magic(reader);
        }
        if (code < 0) {
            return err_set(err, code, "journal: reading at byte %lld: %s",
                           (long long)reader->cursor, err_text(code));
        }
    }
    if (reader->bad_from >= 0) {
        reader->stats.torn_tail_bytes += (uint64_t)(reader->file_bytes - reader->bad_from);
        reader->damage_seen = true; /* if the next segment does not go on where this one ends */
        reader->bad_from = -1;
        reader->bad_blocks = 0;
    }
    return 0;
}

/* ---- Segments. */

static void segment_close(struct journal_reader *reader)
{
    if (reader->handle >= 0) {
        (void)mdio_close(reader->io, reader->handle); /* was only read */
        reader->handle = -1;
    }
}

/* Looks for the segment after the current one, and for where the current one's numbers end. */
static int segment_bound(struct journal_reader *reader)
{
    uint64_t found = reader->segment_seq;
    int code = 0;
    reader->next_known = false;
    reader->end_seq = UINT64_MAX;
    while (found < UINT64_MAX &&
           (code = segment_find(reader->io, reader->path, found + 1, &found)) > 0) {
        struct block_head block;
        if (!reader->next_known) {
            reader->next_known = true;
            reader->next_seq = found;
        }
        code = segment_first_block(reader->io, reader->path, found, NULL, &block);
        if (code > 0) {
            reader->end_seq = block.first_seq;
        }
        if (code != 0) {
            break;
        }
    }
    return code < 0 ? code : 0;
}

/* Reads the segment's head, if there is a good one, and leaves the cursor behind it. */
static int segment_head_read(struct journal_reader *reader, struct segment_head *head,
                             bool *head_good)
{
    size_t bytes = 0;
    int code = 0;
    *head_good = false;
    const char *data = window_get(reader, 0, SEGMENT_HEAD_BYTES, &bytes, &code);
    if (data == NULL) {
        return code;
    }
    if (bytes >= SEGMENT_HEAD_BYTES) {
        code = segment_head_get(data, head);
        if (code == 0) {
            *head_good = true;
            reader->cursor = SEGMENT_HEAD_BYTES;
        }
    }
    return code == MD_ENOTSUP ? code : 0; /* a damaged head is passed over like a damaged block */
}

static int segment_open(struct journal_reader *reader, const char *path, struct err *err)
{
    struct segment_head head;
    bool head_good = false;
    int handle = mdio_open(reader->io, path, MDIO_READ);
    if (handle < 0) {
        return err_set(err, handle, "journal: %s: %s", path, err_text(handle));
    }
    reader->handle = handle;
    reader->file_bytes = mdio_size(reader->io, handle);
    reader->cursor = 0;
    reader->bad_from = -1;
    reader->bad_blocks = 0;
    reader->window_at = 0;
    reader->window_bytes = 0;
    int code = reader->file_bytes < 0 ? (int)reader->file_bytes
                                      : segment_head_read(reader, &head, &head_good);
    if (code < 0) {
        segment_close(reader);
        return err_set(err, code, "journal: %s: %s", path, err_text(code));
    }
    reader->stats.segments++;
    if (reader->first_seq == 0) {
        reader->first_seq = reader->single && head_good ? head.first_seq : reader->segment_seq;
        reader->last_seq = reader->first_seq > 0 ? reader->first_seq - 1 : 0;
    }
    return 0;
}

/* Opens the next segment. 1, 0 when there is none, or a failure. */
static int segment_advance(struct journal_reader *reader, struct err *err)
{
    while (reader->segment_known) {
        char path[SEGMENT_PATH_BYTES];
        int code = 0;
        reader->segment_known = false;
        if (reader->single) {
            reader->end_seq = UINT64_MAX;
            snprintf(path, sizeof path, "%s", reader->path);
        } else {
            code = segment_bound(reader);
            if (code == 0) {
                code = segment_path(reader->path, reader->segment_seq, path);
            }
            if (code < 0) {
                return err_set(err, code, "journal: %s: %s", reader->path, err_text(code));
            }
        }
        code = segment_open(reader, path, err);
        if (code == 0) {
            return 1;
        }
        if (reader->single || code != MD_ENOENT) {
            return code;
        }
        /* Trimmed since the folder was listed: go on with the next. */
        reader->segment_seq = reader->next_seq;
        reader->segment_known = reader->next_known;
    }
    return 0;
}

static int block_next(struct journal_reader *reader, struct err *err)
{
    for (;;) {
        if (reader->handle < 0) {
            int opened = segment_advance(reader, err);
            if (opened <= 0) {
                return opened;
            }
        }
        int code = segment_next_block(reader, err);
        if (code != 0) {
            return code;
        }
        segment_close(reader);
        if (!reader->single) {
            reader->segment_seq = reader->next_seq;
            reader->segment_known = reader->next_known;
        }
    }
}

/* ---- Public. */

int journal_reader_next(struct journal_reader *reader, struct record *record, struct err *err)
{
    for (;;) {
        while (reader->raw_cursor < reader->raw_bytes) {
            const char *packed = reader->raw + reader->raw_cursor;
            size_t bytes = load_u32(packed);
            int code = record_unpack(packed, bytes, record);
            ASSERT(code == 0); /* block_inflate() looked at it */
            reader->raw_cursor += bytes;
            if (record->seq > reader->last_seq && record->seq < reader->end_seq) {
                reader->last_seq = record->seq;
                reader->seen_seq = record->seq;
                reader->last_unix_ns = record->time_unix_ns;
                reader->stats.records++;
                return 1;
            }
        }
        int code = block_next(reader, err);
        if (code <= 0) {
            return code;
        }
    }
}

static bool ends_with(const char *text, const char *end)
{
    size_t text_bytes = strlen(text);
    size_t end_bytes = strlen(end);
    return text_bytes >= end_bytes && strcmp(text + text_bytes - end_bytes, end) == 0;
}

/* Finds where to begin. 1, 0 when the folder has no segment, or a failure. */
static int reader_begin(struct journal_reader *reader, uint64_t from_seq)
{
    if (reader->single) {
        const char *slash = strrchr(reader->path, '/');
        if (!segment_name_parse(slash != NULL ? slash + 1 : reader->path, &reader->segment_seq)) {
            reader->segment_seq = 0; /* any name will do: the head says where it begins */
        }
        reader->segment_known = true;
        return 1;
    }
    int code = segment_find_holding(reader->io, reader->path, from_seq, &reader->segment_seq);
    if (code == 0) {
        code = segment_find(reader->io, reader->path, 0, &reader->segment_seq);
    }
    reader->segment_known = code > 0;
    return code;
}

static size_t raw_capacity_of(uint32_t record_bytes_max)
{
    return record_bytes_max > SEGMENT_BLOCK_BYTES_MAX ? record_bytes_max : SEGMENT_BLOCK_BYTES_MAX;
}

static size_t window_capacity_of(uint32_t record_bytes_max)
{
    return block_bytes_bound(raw_capacity_of(record_bytes_max)) + WINDOW_EXTRA_BYTES;
}

size_t journal_reader_memory_bytes(uint32_t record_bytes_max)
{
    return sizeof(struct journal_reader) + raw_capacity_of(record_bytes_max) +
           window_capacity_of(record_bytes_max) + ZSTD_estimateDCtxSize();
}

static int reader_memory(struct journal_reader *reader, uint32_t record_bytes_max)
{
    size_t workspace_bytes = ZSTD_estimateDCtxSize();
    reader->raw_capacity = raw_capacity_of(record_bytes_max);
    reader->window_capacity = window_capacity_of(record_bytes_max);
    reader->raw = alloc_take(ALLOC_JOURNAL, reader->raw_capacity);
    reader->window = alloc_take(ALLOC_JOURNAL, reader->window_capacity);
    reader->workspace = alloc_take(ALLOC_JOURNAL, workspace_bytes);
    if (reader->raw == NULL || reader->window == NULL || reader->workspace == NULL) {
        return MD_ENOMEM;
    }
    reader->dctx = ZSTD_initStaticDCtx(reader->workspace, workspace_bytes);
    ASSERT(reader->dctx != NULL);
    return 0;
}

int journal_reader_create(struct journal_reader **out, struct mdio *io, uint32_t record_bytes_max,
                          struct err *err)
{
    *out = NULL;
    if (record_bytes_max > SEGMENT_RECORD_BYTES_MAX) {
        return err_set(err, MD_EINVAL, "journal: record_bytes_max %u", record_bytes_max);
    }
    struct journal_reader *reader = alloc_take(ALLOC_JOURNAL, sizeof *reader);
    if (reader == NULL) {
        return err_set(err, MD_ENOMEM, "journal: no memory for a reader");
    }
    reader->io = io;
    reader->handle = -1;
    reader->record_bytes_max = record_bytes_max;
    int code = reader_memory(reader, record_bytes_max);
    if (code < 0) {
        journal_reader_close(reader);
        return err_set(err, code, "journal: no memory for a reader of records up to %u bytes",
                       record_bytes_max);
    }
    *out = reader;
    return 0;
}

/* As new, but for its memory. */
static void reader_reset(struct journal_reader *reader)
{
    segment_close(reader);
    *reader = (struct journal_reader){
        .io = reader->io,
        .record_bytes_max = reader->record_bytes_max,
        .handle = -1,
        .bad_from = -1,
        .window = reader->window,
        .window_capacity = reader->window_capacity,
        .raw = reader->raw,
        .raw_capacity = reader->raw_capacity,
        .workspace = reader->workspace,
        .dctx = reader->dctx,
    };
}

int journal_reader_again(struct journal_reader *reader, const char *path, uint64_t from_seq,
                         struct err *err)
{
    reader_reset(reader);
    if (strlen(path) >= SEGMENT_PATH_BYTES - SEGMENT_NAME_BYTES) {
        return err_set(err, MD_EINVAL, "journal: path of %zu bytes", strlen(path));
    }
    reader->single = ends_with(path, SEGMENT_SUFFIX);
    snprintf(reader->path, sizeof reader->path, "%s", path);
    int code = reader_begin(reader, from_seq);
    if (code < 0) {
        return err_set(err, code, "journal: %s: %s", path, err_text(code));
    }
    if (code == 0) {
        reader->empty = true;
        return err_set(err, MD_ENOENT, "journal: %s: no segment", path);
    }
    if (reader->single) {
        code = segment_advance(reader, err); /* so that a missing file is known at once */
        return code < 0 ? code : 0;
    }
    return 0;
}

/* Two places in a segment, the later one at least a span before its end. */
struct marks {
    int64_t at[2], unix_ns[2];
};

int journal_reader_skip(struct journal_reader *reader, int64_t span_ns, struct err *err)
{
    int code = reader->handle >= 0 ? 1 : segment_advance(reader, err);
    if (code <= 0) {
        return code;
    }
    struct marks marks = {{reader->cursor, reader->cursor}, {INT64_MIN, INT64_MIN}};
    char bytes[BLOCK_HEAD_BYTES];
    struct block_head head;
    int64_t at = reader->cursor;
    while (at + BLOCK_HEAD_BYTES <= reader->file_bytes) {
        ssize_t got = mdio_read(reader->io, reader->handle, bytes, sizeof bytes, at);
        if (got < 0) {
            return err_set(err, (int)got, "journal: reading at byte %lld: %s", (long long)at,
                           err_text((int)got));
        }
        if (got < (ssize_t)sizeof bytes || !block_head_get(bytes, &head)) {
            break; /* what follows is read in any case */
        }
        bool later = head.first_unix_ns >= marks.unix_ns[1] &&
                     (uint64_t)head.first_unix_ns - (uint64_t)marks.unix_ns[1] >= (uint64_t)span_ns;
        if (later) { /* the first block is, in any case */
            marks = (struct marks){{marks.at[1], at}, {marks.unix_ns[1], head.first_unix_ns}};
        }
        at += BLOCK_HEAD_BYTES + (int64_t)head.stored_bytes;
    }
    reader->cursor = marks.at[0];
    return 0;
}

int journal_reader_open(struct journal_reader **out, struct mdio *io, const char *path,
                        uint32_t record_bytes_max, uint64_t from_seq, struct err *err)
{
    int code = journal_reader_create(out, io, record_bytes_max, err);
    code = code < 0 ? code : journal_reader_again(*out, path, from_seq, err);
    if (code < 0 && *out != NULL && !(*out)->empty) {
        journal_reader_close(*out);
        *out = NULL;
    }
    return code;
}

void journal_reader_close(struct journal_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    segment_close(reader);
    alloc_give(reader->workspace);
    alloc_give(reader->window);
    alloc_give(reader->raw);
    alloc_give(reader);
}

struct journal_reader_stats journal_reader_stats(const struct journal_reader *reader)
{
    return reader->stats;
}

uint64_t journal_reader_first_seq(const struct journal_reader *reader)
{
    return reader->first_seq;
}

uint64_t journal_reader_last_seq(const struct journal_reader *reader)
{
    return reader->seen_seq;
}

uint32_t journal_reader_record_bytes_max(const struct journal_reader *reader)
{
    return reader->record_bytes_max;
}

int64_t journal_reader_last_unix_ns(const struct journal_reader *reader)
{
    return reader->last_unix_ns;
}
