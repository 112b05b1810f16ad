/* CSV: a line of column names, then a line a row, gzip-compressed (.csv.gz). Which columns:
 * csv_schema.h.
 * Place: the seal thread, behind `struct file_writer`.
 * Values: quoted as RFC 4180 says where they must be; null is empty and an empty text is ""; times
 * are microseconds since 1970 as integers, as tardis writes them; booleans are true and false;
 * lines end with \n. Key-values have no place here and are left out. Invariants: nothing is
 * allocated after creation (zlib allocates from a piece of our block, once); the gzip header holds
 * no time, so the same rows give the same bytes; after a failed write every later call returns its
 * code. Memory: a buffer for text, one for compressed bytes, zlib's 270 KiB. */
#include <math.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "store/columns.h"
#include "store/csv_schema.h"
#include "store/text_format.h"

#define ALIGN 64
#define TEXT_BYTES ((size_t)64 * 1024)
#define PACKED_BYTES ((size_t)64 * 1024)
#define GZIP_WINDOW (15 + 16) /* 32 KiB, gzip instead of zlib framing */
#define MEMORY_LEVEL 8
/* zconf.h: (1 << (windowBits + 2)) + (1 << (memLevel + 9)), and a small object beside. */
#define ZLIB_BYTES (((size_t)1 << (15 + 2)) + ((size_t)1 << (MEMORY_LEVEL + 9)) + 16384)
/* A text's longest form: every byte a doubled quote, two quotes round it. */
#define CELL_BYTES_MAX (2 * COLUMN_TEXT_BYTES_MAX + 2 + TEXT_FORMAT_MAX)

struct arena {
    char *data;
    size_t used;
};

struct writer {
    struct file_writer base;
    const struct schema *schema;
    struct csv_schema csv;
    bool tardis;
    uint64_t left_out;
    struct file_sink sink;
    uint64_t bytes;
    int failed;
    bool open;

    char *text;
    size_t used;
    unsigned char *packed;
    struct arena arena;
    z_stream zlib;
    void *memory;
};

/* ---- memory */

static void *arena_take(void *opaque, unsigned count, unsigned bytes)
{
    struct arena *arena = opaque;
    size_t whole = ((size_t)count * bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (whole > ZLIB_BYTES - arena->used) {
        return NULL;
    }
    void *at = arena->data + arena->used;
    arena->used += whole;
    return at;
}

static void arena_give(void *opaque, void *address)
{
    (void)opaque;
    (void)address;
}

static void *carve(char *block, size_t *used, size_t bytes)
{
    void *at = block == NULL ? NULL : block + *used;
    *used += (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    return at;
}

static size_t lay_out(struct writer *w, char *block)
{
    size_t used = 0;
    (void)carve(block, &used, sizeof *w);
    w->text = carve(block, &used, TEXT_BYTES);
    w->packed = carve(block, &used, PACKED_BYTES);
    w->arena.data = carve(block, &used, ZLIB_BYTES);
    return used;
}

size_t csv_writer_memory_bytes(const struct writer_options *options)
{
    struct writer counted;
    (void)options;
    return lay_out(&counted, NULL);
}

/* ---- output */

static void drain(struct writer *w, bool end)
{
    w->zlib.next_in = (unsigned char *)w->text;
    w->zlib.avail_in = (unsigned)w->used;
    int state = Z_OK;
    do {
        w->zlib.next_out = w->packed;
        w->zlib.avail_out = PACKED_BYTES;
        state = deflate(&w->zlib, end ? Z_FINISH : Z_NO_FLUSH);
        ASSERT(state == Z_OK || state == Z_STREAM_END || state == Z_BUF_ERROR);
        size_t bytes = PACKED_BYTES - w->zlib.avail_out;
        if (bytes > 0 && w->failed == 0) {
            w->failed = w->sink.write(w->sink.context, w->packed, bytes);
            w->bytes += w->failed == 0 ? bytes : 0;
        }
    } while (w->failed == 0 && (end ? state != Z_STREAM_END : w->zlib.avail_in > 0));
    w->used = 0;
}

/* Makes room for one cell and what stands between cells. */
static void reserve(struct writer *w)
{
    if (TEXT_BYTES - w->used < CELL_BYTES_MAX + 2) {
        drain(w, false);
    }
}

static void put_char(struct writer *w, char c)
{
    w->text[w->used++] = c;
}

static bool must_quote(struct str text)
{
    bool must = text.bytes == 0 || text.data[0] == ' ' || text.data[text.bytes - 1] == ' ';
    for (size_t i = 0; i < text.bytes && !must; i++) {
        char c = text.data[i];
        must = c == ',' || c == '"' || c == '\n' || c == '\r';
    }
    return must;
}

static void put_text(struct writer *w, struct str text)
{
    if (!must_quote(text)) {
        memcpy(w->text + w->used, text.data, text.bytes);
        w->used += text.bytes;
        return;
    }
    put_char(w, '"');
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] == '"') {
            put_char(w, '"');
        }
        put_char(w, text.data[i]);
    }
    put_char(w, '"');
}

static void put_cell(struct writer *w, const struct row_group *group, struct csv_column from,
                     uint32_t row)
{
    int index = from.index;
    if (row_group_is_null(group, index, row)) {
        if (from.otherwise < 0 || row_group_is_null(group, from.otherwise, row)) {
            return;
        }
        index = from.otherwise;
    }
    const struct column *column = &group->columns[index];
    switch (group->schema->columns[index].type) {
    case COLUMN_TEXT:
        put_text(w, column->text_values[column->text_index[row]]);
        break;
    case COLUMN_F64:
        if (isfinite(column->f64[row])) {
            w->used += text_format_double(column->f64[row], w->text + w->used);
        }
        break;
    case COLUMN_DEC:
        w->used += column_dec_format(column->dec[row], w->text + w->used);
        break;
    case COLUMN_BOOL:
        put_text(w, column->boolean[row] != 0 ? STR("true") : STR("false"));
        break;
    case COLUMN_I64:
    case COLUMN_I32:
    case COLUMN_TIME:
    default:
        w->used += text_format_i64(column->i64[row], w->text + w->used);
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
    deflateReset(&w->zlib);
    w->left_out = 0;
    csv_schema_init(&w->csv, schema, w->tardis);
    for (uint32_t c = 0; c < w->csv.count; c++) {
        char memory[64];
        struct str name = csv_schema_name(&w->csv, schema, c, memory);
        ASSERT(name.bytes <= COLUMN_TEXT_BYTES_MAX);
        reserve(w);
        if (c > 0) {
            put_char(w, ',');
        }
        put_text(w, name);
    }
    put_char(w, '\n');
    return w->failed;
}

static int writer_group(struct file_writer *base, const struct row_group *group)
{
    struct writer *w = (struct writer *)(void *)base;
    ASSERT(w->open);
    ASSERT(group->schema == w->schema);
    for (uint32_t row = 0; row < group->row_count && w->failed == 0; row++) {
        if (w->csv.skip_column >= 0 &&
            (group->columns[w->csv.skip_column].i64[row] & w->csv.skip_bits) != 0) {
            w->left_out++;
            continue;
        }
        for (uint32_t c = 0; c < w->csv.count; c++) {
            reserve(w);
            if (c > 0) {
                put_char(w, ',');
            }
            put_cell(w, group, w->csv.columns[c], row);
        }
        put_char(w, '\n');
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
    if (w->failed == 0) {
        drain(w, true);
    }
    return w->failed;
}

static uint64_t writer_left_out(const struct file_writer *base)
{
    return ((const struct writer *)(const void *)base)->left_out;
}

static uint64_t writer_bytes(const struct file_writer *base)
{
    return ((const struct writer *)(const void *)base)->bytes;
}

static int gzip_level(int zstd_level)
{
    return zstd_level < 9 ? zstd_level : 9;
}

static void writer_set_level(struct file_writer *base, int zstd_level)
{
    struct writer *w = (struct writer *)(void *)base;
    deflateReset(&w->zlib); /* so that there is nothing to be flushed at the old level */
    int state = deflateParams(&w->zlib, gzip_level(zstd_level), Z_DEFAULT_STRATEGY);
    ASSERT(state == Z_OK);
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
    .rows_left_out = writer_left_out,
    .set_level = writer_set_level,
    .destroy = writer_destroy,
};

struct file_writer *csv_writer_create(const struct writer_options *options)
{
    ASSERT(options->zstd_level >= 1);
    char *block = alloc_take(ALLOC_SEAL, csv_writer_memory_bytes(options));
    if (block == NULL) {
        return NULL;
    }
    struct writer *w = (struct writer *)(void *)block;
    lay_out(w, block);
    w->base.ops = &ops;
    w->tardis = options->csv_tardis;
    w->memory = block;
    w->zlib.zalloc = arena_take;
    w->zlib.zfree = arena_give;
    w->zlib.opaque = &w->arena;
    int state = deflateInit2(&w->zlib, gzip_level(options->zstd_level), Z_DEFLATED, GZIP_WINDOW,
                             MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    ASSERT(state == Z_OK);
    return &w->base;
}
