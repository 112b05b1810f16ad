/* Our Parquet writer: row groups in, one file out, front to back.
 * Place: the seal thread, between the row group and the file; behind `struct file_writer`.
 * Format: data pages v1, as every reader knows them (v2 saves nothing here: there are no repetition
 * levels to leave uncompressed, and older ClickHouse and JavaScript readers know v1 only); each
 * page one zstd frame with a CRC over it; a dictionary of the whole chunk, built before its first
 * page is written; about page_rows rows a page; page indexes and footer at the end. Invariants:
 * nothing is allocated after creation; the same groups and options give the same bytes; MD_EFULL
 * comes before anything of the group is written, so the file can still be ended; after any other
 * failure the file is lost and every later call returns that code. Memory: one block: scratch for
 * one chunk and one page, zstd's workspace, and tables of pages, chunks and groups for
 * row_groups_max groups of columns_max columns (a wider schema gets fewer groups).
 * parquet_writer_memory_bytes() says how much. */
#define ZSTD_STATIC_LINKING_ONLY
#include <assert.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "store/columns.h"
#include "store/parquet_chunk.h"
#include "store/parquet_footer.h"

#define ALIGN 64
/* Pages more than the rows call for, in a file: long texts fill a page before its rows do. */
#define SPARE_PAGES 256
/* Groups of the widest schema that always fit. */
#define FEW_GROUPS 4
#define STORED_BODY_BYTES 48 /* bodies up to here are not worth compressing */

struct writer {
    struct file_writer base;
    struct writer_options options;
    /* limits of the tables */
    uint32_t pages_max, chunks_max;
    size_t body_bytes_max;

    /* the file being written */
    const struct schema *schema;
    struct file_sink sink;
    uint64_t offset;
    int failed; /* code of the first failure; every later call returns it */
    bool open;
    uint64_t row_count;
    uint32_t group_count, page_count;
    int32_t order_first, order_second; /* columns the rows should be ordered by; -1 = none */

    struct parquet_group_meta *groups;
    struct parquet_chunk_meta *chunks;
    struct parquet_page_meta *pages;

    struct parquet_scratch scratch;
    uint8_t *body;   /* one page, not compressed; the footer's buffer too */
    uint8_t *packed; /* room for a header, then the same page compressed */
    size_t packed_bytes;
    ZSTD_CCtx *zstd;
    int zstd_level;
    void *memory;
};

/* ---- memory */

/* Pages are packed bits, or values each of which is there once: what a second table for longer
 * matches (ZSTD_dfast, levels 3 and 4) finds beside the first one is not worth the look. */
static ZSTD_strategy page_strategy(int level, size_t body_bytes)
{
    ZSTD_strategy strategy = ZSTD_getCParams(level, body_bytes, 0).strategy;
    return strategy == ZSTD_dfast ? ZSTD_fast : strategy;
}

static size_t zstd_bytes(const struct writer_options *options, size_t body_bytes)
{
    /* zstd chooses other tables for small inputs: the largest of all its classes, for this level
     * and those below, to which tuning may go */
    const size_t classes[] = {body_bytes, (size_t)256 * 1024, (size_t)128 * 1024, (size_t)16 * 1024,
                              1};
    size_t most = 0;
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        size_t source = classes[i] < body_bytes ? classes[i] : body_bytes;
        for (int level = 1; level <= options->zstd_level; level++) {
            ZSTD_compressionParameters parameters = ZSTD_getCParams(level, source, 0);
            parameters.strategy = page_strategy(level, source);
            size_t bytes = ZSTD_estimateCCtxSize_usingCParams(parameters);
            most = bytes > most ? bytes : most;
        }
    }
    return most;
}

static size_t slot_count(uint32_t rows)
{
    size_t slots = 16;
    while (slots < (size_t)2 * rows) {
        slots *= 2;
    }
    return slots;
}

/* Takes `bytes` of the block, or only counts them while the block is not there yet. */
static void *carve(char *block, size_t *used, size_t bytes)
{
    void *at = block == NULL ? NULL : block + *used;
    *used += (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    return at;
}

/* Chunks of a file: row_groups_max groups of columns_max columns, and a few of any schema. */
static uint32_t chunk_count(const struct writer_options *options, uint32_t columns_max)
{
    uint32_t chunks = options->row_groups_max * columns_max;
    return chunks > FEW_GROUPS * COLUMNS_MAX ? chunks : FEW_GROUPS * COLUMNS_MAX;
}

uint32_t parquet_writer_groups_max(const struct writer_options *options, uint32_t columns_max,
                                   uint32_t column_count)
{
    uint32_t groups = chunk_count(options, columns_max) / column_count;
    return groups < options->row_groups_max ? groups : options->row_groups_max;
}

/* Lays the writer out in `block`; with NULL it only counts. Returns the bytes. */
static size_t lay_out(struct writer *w, char *block, const struct writer_options *options,
                      uint32_t columns_max)
{
    size_t used = 0;
    uint32_t rows = options->row_group_rows_max;
    uint32_t pages_a_chunk = (rows + options->page_rows - 1) / options->page_rows;
    uint32_t dictionary_max = options->dictionary_bytes_max / 8;
    dictionary_max = dictionary_max < rows ? dictionary_max : rows;
    w->chunks_max = chunk_count(options, columns_max);
    w->pages_max = w->chunks_max * pages_a_chunk + SPARE_PAGES;
    w->body_bytes_max =
        parquet_chunk_body_bytes_max(options->page_rows, options->dictionary_bytes_max);
    w->packed_bytes = PARQUET_PAGE_HEADER_BYTES_MAX + ZSTD_compressBound(w->body_bytes_max);

    (void)carve(block, &used, sizeof *w);
    w->groups = carve(block, &used, options->row_groups_max * sizeof *w->groups);
    w->chunks = carve(block, &used, w->chunks_max * sizeof *w->chunks);
    w->pages = carve(block, &used, w->pages_max * sizeof *w->pages);
    w->scratch.dense = carve(block, &used, (size_t)rows * 8);
    w->scratch.indices = carve(block, &used, (size_t)rows * 4);
    w->scratch.dictionary = carve(block, &used, (size_t)dictionary_max * 8 + 8);
    w->scratch.slots = carve(block, &used, slot_count(rows) * 4);
    w->scratch.levels = carve(block, &used, (size_t)options->page_rows * 4);
    w->body = carve(block, &used, w->body_bytes_max);
    w->packed = carve(block, &used, w->packed_bytes);
    size_t workspace_bytes = zstd_bytes(options, w->body_bytes_max);
    void *workspace = carve(block, &used, workspace_bytes);
    if (block != NULL) {
        w->zstd = ZSTD_initStaticCCtx(workspace, workspace_bytes);
        ASSERT(w->zstd != NULL);
    }
    return used;
}

size_t parquet_writer_memory_bytes(const struct writer_options *options, uint32_t columns_max)
{
    struct writer counted;
    return lay_out(&counted, NULL, options, columns_max);
}

/* ---- pages */

static int emit(struct writer *w, const void *data, size_t bytes)
{
    int code = w->sink.write(w->sink.context, data, bytes);
    if (code != 0) {
        w->failed = code;
        return code;
    }
    w->offset += bytes;
    return 0;
}

/* A small body as a zstd frame of one raw block (RFC 8878, 3.1.1): what zstd would come to as well,
 * at a hundredth of the work. A file of few rows has mostly such pages. */
static size_t store_frame(const uint8_t *body, size_t bytes, uint8_t *out)
{
    static_assert(STORED_BODY_BYTES < 256, "a content size of one byte");
    store_u32(out, ZSTD_MAGICNUMBER);
    out[4] = 1 << 5; /* one segment, a content size of one byte */
    out[5] = (uint8_t)bytes;
    uint32_t head = (uint32_t)bytes << 3 | 1; /* raw, the last one */
    out[6] = (uint8_t)head;
    out[7] = (uint8_t)(head >> 8);
    out[8] = 0;
    memcpy(out + 9, body, bytes);
    return 9 + bytes;
}

static size_t pack_frame(struct writer *w, size_t body_bytes, uint8_t *out, size_t room)
{
    ZSTD_strategy strategy = page_strategy(w->zstd_level, body_bytes);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_strategy, (int)strategy);
    return ZSTD_compress2(w->zstd, out, room, w->body, body_bytes);
}

/* Compresses `body`, and writes it behind its header. Returns the bytes in the file, or a code. */
static int64_t page_write(struct writer *w, bool is_dictionary, enum parquet_encoding encoding,
                          uint32_t value_count, size_t body_bytes, struct parquet_chunk_meta *chunk)
{
    ASSERT(body_bytes <= w->body_bytes_max);
    uint8_t *packed = w->packed + PARQUET_PAGE_HEADER_BYTES_MAX;
    size_t room = w->packed_bytes - PARQUET_PAGE_HEADER_BYTES_MAX;
    size_t bytes = body_bytes <= STORED_BODY_BYTES ? store_frame(w->body, body_bytes, packed)
                                                   : pack_frame(w, body_bytes, packed, room);
    if (ZSTD_isError(bytes)) {
        w->failed = MD_ENOMEM;
        return w->failed;
    }
    uint32_t crc = (uint32_t)crc32_z(0, packed, bytes);
    uint8_t header[PARQUET_PAGE_HEADER_BYTES_MAX];
    size_t header_bytes = parquet_page_header(header, is_dictionary, encoding, value_count,
                                              (uint32_t)body_bytes, (uint32_t)bytes, crc);
    memcpy(packed - header_bytes, header, header_bytes);
    chunk->uncompressed_bytes += header_bytes + body_bytes;
    chunk->compressed_bytes += header_bytes + bytes;
    int code = emit(w, packed - header_bytes, header_bytes + bytes);
    return code != 0 ? code : (int64_t)(header_bytes + bytes);
}

static int data_pages_write(struct writer *w, const struct parquet_chunk *chunk,
                            struct parquet_chunk_meta *meta)
{
    struct parquet_page_span span = {0};
    while (parquet_chunk_next_page(chunk, w->options.page_rows, &span)) {
        ASSERT(w->page_count < w->pages_max);
        struct parquet_page_meta *page = &w->pages[w->page_count++];
        page->offset = w->offset;
        page->first_row = span.row;
        size_t bytes = parquet_chunk_page(chunk, &span, w->scratch.levels, w->body, &page->stats);
        int64_t written = page_write(w, false, chunk->encoding, span.rows, bytes, meta);
        if (written < 0) {
            return (int)written;
        }
        page->bytes = (uint32_t)written;
        parquet_stats_merge(&meta->stats, &page->stats, chunk->spec->type, meta->page_count == 0);
        meta->page_count++;
    }
    return 0;
}

static int chunk_write(struct writer *w, const struct row_group *group, uint32_t column)
{
    struct parquet_chunk chunk;
    parquet_chunk_plan(&chunk, group, column, &w->scratch, w->options.dictionary_bytes_max);
    struct parquet_chunk_meta *meta =
        &w->chunks[(size_t)w->group_count * w->schema->column_count + column];
    *meta = (struct parquet_chunk_meta){.first_page = w->page_count, .encoding = chunk.encoding};
    if (chunk.encoding == PARQUET_RLE_DICTIONARY) {
        meta->dictionary_offset = w->offset;
        size_t bytes = parquet_chunk_dictionary_page(&chunk, w->body);
        int64_t written = page_write(w, true, PARQUET_PLAIN, chunk.dictionary_count, bytes, meta);
        if (written < 0) {
            return (int)written;
        }
    }
    return data_pages_write(w, &chunk, meta);
}

/* ---- groups */

/* Bytes of a text column written as it is; where that is little, an upper bound of it. */
static uint64_t text_bytes(const struct column *column, uint32_t rows)
{
    uint64_t longest = 0;
    for (uint32_t i = 0; i < column->text_count; i++) {
        longest = column->text_values[i].bytes > longest ? column->text_values[i].bytes : longest;
    }
    uint64_t bound = (4 + longest) * rows;
    if (bound <= 8 * PARQUET_TEXT_PAGE_BYTES) {
        return bound;
    }
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < rows; i++) {
        bytes += 4 + column->text_values[column->text_index[i]].bytes;
    }
    return bytes;
}

/* Whether the tables hold the group: pages are cut by rows, and where texts are long by bytes. */
static int room_check(const struct writer *w, const struct row_group *group)
{
    int full = w->group_count > 0 ? MD_EFULL : MD_ETOOBIG;
    if (w->group_count == w->options.row_groups_max ||
        (w->group_count + 1) * w->schema->column_count > w->chunks_max) {
        return full;
    }
    uint64_t by_rows = (group->row_count + w->options.page_rows - 1) / w->options.page_rows;
    uint64_t pages = 0;
    for (uint32_t c = 0; c < w->schema->column_count; c++) {
        uint64_t chunk_pages = by_rows;
        if (w->schema->columns[c].type == COLUMN_TEXT && group->columns[c].text_count > 0) {
            chunk_pages +=
                text_bytes(&group->columns[c], group->row_count) / PARQUET_TEXT_PAGE_BYTES;
        }
        if (chunk_pages > w->body_bytes_max / PARQUET_INDEX_BYTES_A_PAGE) {
            return MD_ETOOBIG; /* its page index would not fit the buffer */
        }
        pages += chunk_pages;
    }
    return pages > w->pages_max - w->page_count ? full : 0;
}

/* Whether the rows stand in the order the footer may then claim. */
static bool rows_in_order(const struct writer *w, const struct row_group *group)
{
    if (w->order_first < 0 || w->order_second < 0) {
        return false;
    }
    const int64_t *first = group->columns[w->order_first].i64;
    const int64_t *second = group->columns[w->order_second].i64;
    for (uint32_t i = 1; i < group->row_count; i++) {
        if (first[i] < first[i - 1] || (first[i] == first[i - 1] && second[i] < second[i - 1])) {
            return false;
        }
    }
    return true;
}

static int writer_group(struct file_writer *base, const struct row_group *group)
{
    struct writer *w = (struct writer *)(void *)base;
    ASSERT(w->open);
    if (w->failed != 0) {
        return w->failed;
    }
    if (group->row_count == 0) {
        return 0;
    }
    ASSERT(group->schema == w->schema);
    ASSERT(group->row_count <= w->options.row_group_rows_max);
    int code = room_check(w, group);
    if (code != 0) {
        return code;
    }
    struct parquet_group_meta *meta = &w->groups[w->group_count];
    meta->offset = w->offset;
    meta->row_count = group->row_count;
    meta->in_order = rows_in_order(w, group);
    for (uint32_t c = 0; c < w->schema->column_count; c++) {
        code = chunk_write(w, group, c);
        if (code != 0) {
            return code;
        }
    }
    w->group_count++;
    w->row_count += group->row_count;
    return 0;
}

/* ---- file */

/* A column the rows may be ordered by: an integer without nulls. */
static int32_t order_column(const struct schema *schema, const char *name)
{
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const struct column_spec *spec = &schema->columns[i];
        bool fits = !spec->nullable && (spec->type == COLUMN_I64 || spec->type == COLUMN_TIME);
        if (fits && strcmp(spec->name, name) == 0) {
            return (int32_t)i;
        }
    }
    return -1;
}

static int writer_begin(struct file_writer *base, const struct schema *schema,
                        struct file_sink sink)
{
    struct writer *w = (struct writer *)(void *)base;
    ASSERT(schema->column_count > 0);
    ASSERT(schema->column_count <= COLUMNS_MAX);
    w->schema = schema;
    w->sink = sink;
    w->offset = 0;
    w->failed = 0;
    w->open = true;
    w->row_count = 0;
    w->group_count = 0;
    w->page_count = 0;
    w->order_first = order_column(schema, COLUMN_ORDER_FIRST);
    w->order_second = order_column(schema, COLUMN_ORDER_SECOND);
    return emit(w, PARQUET_MAGIC, PARQUET_MAGIC_BYTES);
}

static int writer_end(struct file_writer *base, const struct key_value *kv, uint32_t kv_count)
{
    struct writer *w = (struct writer *)(void *)base;
    ASSERT(w->open);
    w->open = false;
    if (w->failed != 0) {
        return w->failed;
    }
    struct parquet_footer footer = {.schema = w->schema,
                                    .groups = w->groups,
                                    .chunks = w->chunks,
                                    .pages = w->pages,
                                    .group_count = w->group_count,
                                    .row_count = w->row_count,
                                    .kv = kv,
                                    .kv_count = kv_count,
                                    .buffer = w->body,
                                    .buffer_bytes = w->body_bytes_max,
                                    .sink = w->sink,
                                    .offset = w->offset};
    int code = parquet_footer_write(&footer);
    w->offset = footer.offset;
    w->failed = code;
    return code;
}

static uint64_t writer_bytes(const struct file_writer *base)
{
    return ((const struct writer *)(const void *)base)->offset;
}

static void writer_set_level(struct file_writer *base, int zstd_level)
{
    struct writer *w = (struct writer *)(void *)base;
    ASSERT(zstd_level <= w->options.zstd_level); /* the workspace is as large as these need */
    ZSTD_CCtx_reset(w->zstd, ZSTD_reset_session_only);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, zstd_level);
    w->zstd_level = zstd_level;
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

struct file_writer *parquet_writer_create(const struct writer_options *options,
                                          uint32_t columns_max)
{
    ASSERT(options->zstd_level >= 1);
    ASSERT(options->zstd_level <= 19);
    ASSERT(options->page_rows > 0);
    ASSERT(options->row_group_rows_max > 0);
    ASSERT(options->row_groups_max > 0);
    ASSERT(columns_max > 0);
    char *block = alloc_take(ALLOC_SEAL, parquet_writer_memory_bytes(options, columns_max));
    if (block == NULL) {
        return NULL;
    }
    struct writer *w = (struct writer *)(void *)block;
    lay_out(w, block, options, columns_max);
    w->base.ops = &ops;
    w->options = *options;
    w->memory = block;
    writer_set_level(&w->base, options->zstd_level);
    return &w->base;
}
