/* JSONL: one JSON object a row, keys = column names, inside one zstd frame (.jsonl.zst).
 * Place: the seal thread, behind `struct file_writer`.
 * Values: numbers as numbers (doubles in the shortest text that reads back the same), times as
 * "2026-11-23T09:00:00.123456Z", texts escaped as RFC 8259 says, null written as null. Key-values
 * have no place here and are left out. Invariants: nothing is allocated after creation; the frame
 * ends with a checksum; after a failed write every later call returns its code. Memory: a buffer
 * for text, one for compressed bytes, zstd's workspace with a window of at most 1 MiB. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "store/columns.h"
#include "store/text_format.h"

#define ALIGN 64
#define TEXT_BYTES ((size_t)64 * 1024)
#define KEYS_BYTES ((size_t)16 * 1024)
#define WINDOW_LOG_MAX 20
/* A text's longest form: every byte as \u00XX, two quotes. */
#define CELL_BYTES_MAX (6 * COLUMN_TEXT_BYTES_MAX + 2 + TEXT_FORMAT_MAX)

struct writer {
    struct file_writer base;
    const struct schema *schema;
    struct file_sink sink;
    uint64_t bytes;
    int failed;
    bool open;

    struct str keys[COLUMNS_MAX]; /* {"name": or ,"name": in key_text */
    char *key_text;
    char *text;
    size_t used;
    char *packed;
    size_t packed_bytes;
    ZSTD_CCtx *zstd;
    void *memory;
};

/* ---- memory */

/* Those for an input of the window's size: tables stay in proportion at the high levels. */
static ZSTD_compressionParameters parameters(int zstd_level)
{
    return ZSTD_getCParams(zstd_level, 1 << WINDOW_LOG_MAX, 0);
}

/* For this level and those below, to which tuning may go. */
static size_t zstd_bytes(const struct writer_options *options)
{
    size_t most = 0;
    for (int level = 1; level <= options->zstd_level; level++) {
        size_t bytes = ZSTD_estimateCStreamSize_usingCParams(parameters(level));
        most = bytes > most ? bytes : most;
    }
    return most;
}

static void *carve(char *block, size_t *used, size_t bytes)
{
    void *at = block == NULL ? NULL : block + *used;
    *used += (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    return at;
}

static size_t lay_out(struct writer *w, char *block, const struct writer_options *options)
{
    size_t used = 0;
    (void)carve(block, &used, sizeof *w);
    w->key_text = carve(block, &used, KEYS_BYTES);
    w->text = carve(block, &used, TEXT_BYTES);
    w->packed_bytes = ZSTD_CStreamOutSize();
    w->packed = carve(block, &used, w->packed_bytes);
    size_t workspace_bytes = zstd_bytes(options);
    void *workspace = carve(block, &used, workspace_bytes);
    if (block != NULL) {
        w->zstd = ZSTD_initStaticCCtx(workspace, workspace_bytes);
        ASSERT(w->zstd != NULL);
    }
    return used;
}

size_t jsonl_writer_memory_bytes(const struct writer_options *options)
{
    struct writer counted;
    return lay_out(&counted, NULL, options);
}

static void zstd_set(ZSTD_CCtx *zstd, int zstd_level)
{
    ZSTD_compressionParameters p = parameters(zstd_level);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, zstd_level);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, (int)p.windowLog);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_chainLog, (int)p.chainLog);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_hashLog, (int)p.hashLog);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_searchLog, (int)p.searchLog);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_minMatch, (int)p.minMatch);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_targetLength, (int)p.targetLength);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_strategy, (int)p.strategy);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
}

/* ---- output */

/* Compresses the text gathered so far; with `end` it also ends the frame. */
static void drain(struct writer *w, bool end)
{
    ZSTD_inBuffer in = {w->text, w->used, 0};
    size_t left = 1;
    while (w->failed == 0 && (end ? left > 0 : in.pos < in.size)) {
        ZSTD_outBuffer out = {w->packed, w->packed_bytes, 0};
        left = ZSTD_compressStream2(w->zstd, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left)) {
            w->failed = MD_ENOMEM;
            return;
        }
        if (out.pos > 0) {
            w->failed = w->sink.write(w->sink.context, w->packed, out.pos);
            w->bytes += w->failed == 0 ? out.pos : 0;
        }
    }
    w->used = 0;
}

static void put(struct writer *w, struct str text)
{
    memcpy(w->text + w->used, text.data, text.bytes);
    w->used += text.bytes;
}

/* Escapes `text`, which is UTF-8, between quotes. Returns the length. */
static size_t quote(struct str text, char *out)
{
    static const char hex[] = "0123456789abcdef";
    char *at = out;
    *at++ = '"';
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\') {
            *at++ = '\\';
            *at++ = (char)c;
        } else if (c < 0x20) {
            memcpy(at, "\\u00", 4);
            at[4] = hex[c >> 4];
            at[5] = hex[c & 15];
            at += 6;
        } else {
            *at++ = (char)c;
        }
    }
    *at++ = '"';
    return (size_t)(at - out);
}

static void put_cell(struct writer *w, const struct column *column, enum column_type type,
                     uint32_t row)
{
    char *at = w->text + w->used;
    if (column->valid != NULL && column->valid[row] == 0) {
        put(w, STR("null"));
        return;
    }
    switch (type) {
    case COLUMN_TEXT:
        w->used += quote(column->text_values[column->text_index[row]], at);
        break;
    case COLUMN_F64:
        w->used += text_format_double(column->f64[row], at);
        break;
    case COLUMN_DEC: /* as a text: readers make a double of a number */
        *at = '"';
        w->used += 2 + column_dec_format(column->dec[row], at + 1);
        w->text[w->used - 1] = '"';
        break;
    case COLUMN_BOOL:
        put(w, column->boolean[row] != 0 ? STR("true") : STR("false"));
        break;
    case COLUMN_TIME:
        *at = '"';
        w->used += 2 + text_format_time(column->i64[row], at + 1);
        w->text[w->used - 1] = '"';
        break;
    case COLUMN_I64:
    case COLUMN_I32:
    default:
        w->used += text_format_i64(column->i64[row], at);
        break;
    }
}

/* ---- file */

static int writer_begin(struct file_writer *base, const struct schema *schema,
                        struct file_sink sink)
{
    struct writer *w = (struct writer *)(void *)base;
    w->schema = schema;
    w->sink = sink;
    w->bytes = 0;
    w->failed = 0;
    w->used = 0;
    w->open = true;
    ZSTD_CCtx_reset(w->zstd, ZSTD_reset_session_only);
    char *at = w->key_text;
    for (uint32_t c = 0; c < schema->column_count; c++) {
        struct str name = str_from(schema->columns[c].name);
        ASSERT(name.bytes * 6 + 4 <= KEYS_BYTES - (size_t)(at - w->key_text));
        char *begin = at;
        *at++ = c == 0 ? '{' : ',';
        at += quote(name, at);
        *at++ = ':';
        w->keys[c] = str_make(begin, (size_t)(at - begin));
    }
    return 0;
}

static int writer_group(struct file_writer *base, const struct row_group *group)
{
    struct writer *w = (struct writer *)(void *)base;
    ASSERT(w->open);
    ASSERT(group->schema == w->schema);
    uint32_t columns = w->schema->column_count;
    for (uint32_t row = 0; row < group->row_count && w->failed == 0; row++) {
        for (uint32_t c = 0; c < columns; c++) {
            if (TEXT_BYTES - w->used < CELL_BYTES_MAX + w->keys[c].bytes + 2) {
                drain(w, false);
            }
            put(w, w->keys[c]);
            put_cell(w, &group->columns[c], w->schema->columns[c].type, row);
        }
        put(w, STR("}\n"));
    }
    return w->failed;
}

static int writer_end(struct file_writer *base, const struct key_value *kv, uint32_t kv_count)
{
    struct writer *w = (struct writer *)(void *)base;
    (void)kv;
    (void)kv_count;
    ASSERT(w->open);
    w->open = false;
    drain(w, true);
    return w->failed;
}

static uint64_t writer_bytes(const struct file_writer *base)
{
    return ((const struct writer *)(const void *)base)->bytes;
}

static void writer_set_level(struct file_writer *base, int zstd_level)
{
    struct writer *w = (struct writer *)(void *)base;
    ZSTD_CCtx_reset(w->zstd, ZSTD_reset_session_only); /* a file that failed may be half done */
    zstd_set(w->zstd, zstd_level);
}

static void writer_destroy(struct file_writer *base)
{
    if (base != NULL) {
        alloc_give(((struct writer *)(void *)base)->memory);
    }
}

static const struct file_writer_ops ops = {
    .begin = writer_begin,
    .write_group = writer_group,
    .end = writer_end,
    .bytes_written = writer_bytes,
    .set_level = writer_set_level,
    .destroy = writer_destroy,
};

struct file_writer *jsonl_writer_create(const struct writer_options *options)
{
    ASSERT(options->zstd_level >= 1);
    ASSERT(options->zstd_level <= 19);
    char *block = alloc_take(ALLOC_SEAL, jsonl_writer_memory_bytes(options));
    if (block == NULL) {
        return NULL;
    }
    struct writer *w = (struct writer *)(void *)block;
    lay_out(w, block, options);
    w->base.ops = &ops;
    w->memory = block;
    zstd_set(w->zstd, options->zstd_level);
    return &w->base;
}
