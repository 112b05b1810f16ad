/* Page headers, page indexes and the footer of a Parquet file, in Thrift.
 * Place: called by the writer, a page header with each page, the rest once at the end of the file.
 * The page indexes stand together before the footer, as PageIndex.md says, so that a reader that
 * wants none of them reads none.
 * Invariants: pushed to the sink chunk by chunk, so the buffer holds one index or one chunk's
 * metadata, whatever the file's size; strings from outside (key-values) may have any length.
 * Memory: the buffer handed in. Field numbers: parquet.thrift. */
#include "store/parquet_footer.h"

#include "base/assert.h"
#include "store/parquet_encode.h"
#include "store/thrift.h"

#ifndef MD_VERSION
#define MD_VERSION "0"
#endif
#define CREATED_BY "market-data version " MD_VERSION

size_t parquet_page_header(uint8_t out[PARQUET_PAGE_HEADER_BYTES_MAX], bool is_dictionary,
                           enum parquet_encoding encoding, uint32_t value_count,
                           uint32_t uncompressed_bytes, uint32_t compressed_bytes, uint32_t crc)
{
    struct thrift_writer w;
    thrift_writer_init(&w, out, PARQUET_PAGE_HEADER_BYTES_MAX);
    thrift_put_i32(&w, 1, is_dictionary ? PARQUET_DICTIONARY_PAGE : PARQUET_DATA_PAGE);
    thrift_put_i32(&w, 2, (int32_t)uncompressed_bytes);
    thrift_put_i32(&w, 3, (int32_t)compressed_bytes);
    thrift_put_i32(&w, 4, (int32_t)crc);
    thrift_put_struct(&w, is_dictionary ? 7 : 5);
    thrift_put_i32(&w, 1, (int32_t)value_count);
    thrift_put_i32(&w, 2, (int32_t)encoding);
    if (!is_dictionary) {
        thrift_put_i32(&w, 3, PARQUET_RLE); /* definition levels */
        thrift_put_i32(&w, 4, PARQUET_RLE); /* repetition levels: there are none */
    }
    thrift_end(&w);
    thrift_end(&w);
    ASSERT(!w.overflow);
    return w.bytes;
}

/* ---- output */

static int emit(struct parquet_footer *footer, const void *data, size_t bytes)
{
    footer->offset += bytes;
    return bytes == 0 ? 0 : footer->sink.write(footer->sink.context, data, bytes);
}

static int flush(struct parquet_footer *footer, struct thrift_writer *w)
{
    ASSERT(!w->overflow);
    size_t bytes = w->bytes;
    w->bytes = 0;
    return emit(footer, w->data, bytes);
}

/* ---- bounds */

/* The bound as its PLAIN value; texts without their length. Returns the bytes. */
static size_t bound_bytes(const struct parquet_bound *bound, enum column_type type,
                          uint8_t out[PARQUET_TEXT_BOUND_BYTES])
{
    switch (type) {
    case COLUMN_TEXT:
        memcpy(out, bound->text, bound->text_bytes);
        return bound->text_bytes;
    case COLUMN_BOOL:
        out[0] = bound->i64 != 0;
        return 1;
    case COLUMN_DEC:
        parquet_put_dec(bound->dec, out);
        return sizeof(column_dec);
    case COLUMN_I32:
        store_u32(out, (uint32_t)(int32_t)bound->i64);
        return 4;
    case COLUMN_I64:
    case COLUMN_TIME:
    case COLUMN_F64:
    default:
        memcpy(out, &bound->i64, 8);
        return 8;
    }
}

static void put_bound(struct thrift_writer *w, int16_t id, const struct parquet_bound *bound,
                      enum column_type type)
{
    uint8_t bytes[PARQUET_TEXT_BOUND_BYTES];
    thrift_put_binary(w, id, bytes, bound_bytes(bound, type, bytes));
}

static void put_statistics(struct thrift_writer *w, int16_t id, const struct parquet_stats *stats,
                           enum column_type type)
{
    thrift_put_struct(w, id);
    thrift_put_i64(w, 3, stats->null_count);
    if (stats->has_bounds) {
        put_bound(w, 5, &stats->max, type);
        put_bound(w, 6, &stats->min, type);
        thrift_put_bool(w, 7, stats->max.exact);
        thrift_put_bool(w, 8, stats->min.exact);
    }
    thrift_end(w);
}

/* ---- page indexes */

static bool follows(const struct parquet_page_meta *a, const struct parquet_page_meta *b,
                    enum column_type type, int direction)
{
    return parquet_bound_compare(&a->stats.min, &b->stats.min, type) * direction <= 0 &&
           parquet_bound_compare(&a->stats.max, &b->stats.max, type) * direction <= 0;
}

static enum parquet_boundary_order boundary_order(const struct parquet_page_meta *pages,
                                                  uint32_t count, enum column_type type)
{
    bool ascending = true;
    bool descending = true;
    const struct parquet_page_meta *last = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (!pages[i].stats.has_bounds) {
            continue; /* null pages stand outside the order */
        }
        if (last != NULL) {
            ascending = ascending && follows(last, &pages[i], type, 1);
            descending = descending && follows(last, &pages[i], type, -1);
        }
        last = &pages[i];
    }
    return ascending ? PARQUET_ASCENDING : descending ? PARQUET_DESCENDING : PARQUET_UNORDERED;
}

static void put_bounds_list(struct thrift_writer *w, int16_t id, bool max,
                            const struct parquet_page_meta *pages, uint32_t count,
                            enum column_type type)
{
    thrift_put_list(w, id, THRIFT_BINARY, count);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t bytes[PARQUET_TEXT_BOUND_BYTES];
        const struct parquet_stats *stats = &pages[i].stats;
        size_t length =
            stats->has_bounds ? bound_bytes(max ? &stats->max : &stats->min, type, bytes) : 0;
        thrift_element_binary(w, bytes, length);
    }
}

/* false when the chunk gets no column index. It may have none when a page holds values no bound
 * covers. It had better have none when a page of times is all null: hyparquet (1.31.5) reads eight
 * bytes from the empty bound the format asks for there, and a filter on the column then throws. */
static bool put_column_index(struct thrift_writer *w, const struct parquet_page_meta *pages,
                             uint32_t count, enum column_type type)
{
    for (uint32_t i = 0; i < count; i++) {
        bool null_page = !pages[i].stats.has_bounds;
        if (pages[i].stats.unbounded || (null_page && type == COLUMN_TIME)) {
            return false;
        }
    }
    thrift_put_list(w, 1, THRIFT_TRUE, count);
    for (uint32_t i = 0; i < count; i++) {
        thrift_element_bool(w, !pages[i].stats.has_bounds);
    }
    put_bounds_list(w, 2, false, pages, count, type);
    put_bounds_list(w, 3, true, pages, count, type);
    thrift_put_i32(w, 4, (int32_t)boundary_order(pages, count, type));
    thrift_put_list(w, 5, THRIFT_I64, count);
    for (uint32_t i = 0; i < count; i++) {
        thrift_element_i64(w, pages[i].stats.null_count);
    }
    thrift_end(w);
    return true;
}

static void put_offset_index(struct thrift_writer *w, const struct parquet_page_meta *pages,
                             uint32_t count)
{
    thrift_put_list(w, 1, THRIFT_STRUCT, count);
    for (uint32_t i = 0; i < count; i++) {
        thrift_element_struct(w);
        thrift_put_i64(w, 1, (int64_t)pages[i].offset);
        thrift_put_i32(w, 2, (int32_t)pages[i].bytes);
        thrift_put_i64(w, 3, pages[i].first_row);
        thrift_end(w);
    }
    thrift_end(w);
}

static int write_column_indexes(struct parquet_footer *footer)
{
    uint32_t columns = footer->schema->column_count;
    for (uint32_t i = 0; i < footer->group_count * columns; i++) {
        struct parquet_chunk_meta *chunk = &footer->chunks[i];
        struct thrift_writer w;
        thrift_writer_init(&w, footer->buffer, footer->buffer_bytes);
        chunk->column_index_offset = footer->offset;
        chunk->column_index_bytes = 0;
        if (put_column_index(&w, footer->pages + chunk->first_page, chunk->page_count,
                             footer->schema->columns[i % columns].type)) {
            chunk->column_index_bytes = (uint32_t)w.bytes;
            int code = flush(footer, &w);
            if (code != 0) {
                return code;
            }
        }
    }
    return 0;
}

static int write_offset_indexes(struct parquet_footer *footer)
{
    for (uint32_t i = 0; i < footer->group_count * footer->schema->column_count; i++) {
        struct parquet_chunk_meta *chunk = &footer->chunks[i];
        struct thrift_writer w;
        thrift_writer_init(&w, footer->buffer, footer->buffer_bytes);
        put_offset_index(&w, footer->pages + chunk->first_page, chunk->page_count);
        chunk->offset_index_offset = footer->offset;
        chunk->offset_index_bytes = (uint32_t)w.bytes;
        int code = flush(footer, &w);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

/* ---- footer */

static enum parquet_type physical_type(enum column_type type)
{
    switch (type) {
    case COLUMN_F64:
        return PARQUET_DOUBLE;
    case COLUMN_I32:
        return PARQUET_INT32;
    case COLUMN_BOOL:
        return PARQUET_BOOLEAN;
    case COLUMN_DEC:
        return PARQUET_FIXED;
    case COLUMN_TEXT:
        return PARQUET_BYTE_ARRAY;
    case COLUMN_I64:
    case COLUMN_TIME:
    default:
        return PARQUET_INT64;
    }
}

static void put_logical_timestamp(struct thrift_writer *w)
{
    thrift_put_struct(w, 10);
    thrift_put_struct(w, PARQUET_LOGICAL_TIMESTAMP);
    thrift_put_bool(w, 1, true); /* isAdjustedToUTC */
    thrift_put_struct(w, 2);
    thrift_put_struct(w, PARQUET_MICROS);
    thrift_end(w);
    thrift_end(w);
    thrift_end(w);
    thrift_end(w);
}

/* As the logical type, and as the converted type that readers before it know. */
static void put_decimal_type(struct thrift_writer *w)
{
    thrift_put_i32(w, 6, PARQUET_DECIMAL);
    thrift_put_i32(w, 7, COLUMN_DEC_SCALE);
    thrift_put_i32(w, 8, COLUMN_DEC_DIGITS);
    thrift_put_struct(w, 10);
    thrift_put_struct(w, PARQUET_LOGICAL_DECIMAL);
    thrift_put_i32(w, 1, COLUMN_DEC_SCALE);
    thrift_put_i32(w, 2, COLUMN_DEC_DIGITS);
    thrift_end(w);
    thrift_end(w);
}

static void put_schema_element(struct thrift_writer *w, const struct column_spec *spec)
{
    thrift_element_struct(w);
    thrift_put_i32(w, 1, (int32_t)physical_type(spec->type));
    if (spec->type == COLUMN_DEC) {
        thrift_put_i32(w, 2, (int32_t)sizeof(column_dec));
    }
    thrift_put_i32(w, 3, spec->nullable ? PARQUET_OPTIONAL : PARQUET_REQUIRED);
    thrift_put_text(w, 4, spec->name);
    if (spec->type == COLUMN_TEXT) {
        thrift_put_i32(w, 6, PARQUET_UTF8);
        thrift_put_struct(w, 10);
        thrift_put_struct(w, PARQUET_LOGICAL_STRING);
        thrift_end(w);
        thrift_end(w);
    } else if (spec->type == COLUMN_TIME) {
        thrift_put_i32(w, 6, PARQUET_TIMESTAMP_MICROS);
        put_logical_timestamp(w);
    } else if (spec->type == COLUMN_DEC) {
        put_decimal_type(w);
    }
    thrift_end(w);
}

static int write_schema(struct parquet_footer *footer, struct thrift_writer *w)
{
    const struct schema *schema = footer->schema;
    thrift_put_list(w, 2, THRIFT_STRUCT, schema->column_count + 1);
    thrift_element_struct(w);
    thrift_put_text(w, 4, schema->name);
    thrift_put_i32(w, 5, (int32_t)schema->column_count);
    thrift_end(w);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        put_schema_element(w, &schema->columns[i]);
    }
    return flush(footer, w);
}

static void put_encodings(struct thrift_writer *w, const struct parquet_chunk_meta *chunk)
{
    int32_t encodings[3] = {PARQUET_RLE}; /* of the levels */
    uint32_t count = 1;
    if (chunk->dictionary_offset != 0 || chunk->encoding == PARQUET_PLAIN) {
        encodings[count++] = PARQUET_PLAIN; /* the dictionary itself, or the values */
    }
    if (chunk->encoding != PARQUET_PLAIN) {
        encodings[count++] = (int32_t)chunk->encoding;
    }
    thrift_put_list(w, 2, THRIFT_I32, count);
    for (uint32_t i = 0; i < count; i++) {
        thrift_element_i32(w, encodings[i]);
    }
}

static void put_encoding_count(struct thrift_writer *w, enum parquet_page page,
                               enum parquet_encoding encoding, uint32_t count)
{
    thrift_element_struct(w);
    thrift_put_i32(w, 1, (int32_t)page);
    thrift_put_i32(w, 2, (int32_t)encoding);
    thrift_put_i32(w, 3, (int32_t)count);
    thrift_end(w);
}

static void put_column_metadata(struct thrift_writer *w, const struct parquet_footer *footer,
                                const struct parquet_chunk_meta *chunk,
                                const struct column_spec *spec, uint32_t row_count)
{
    bool dictionary = chunk->dictionary_offset != 0;
    thrift_put_struct(w, 3);
    thrift_put_i32(w, 1, (int32_t)physical_type(spec->type));
    put_encodings(w, chunk);
    thrift_put_list(w, 3, THRIFT_BINARY, 1);
    thrift_element_binary(w, spec->name, strlen(spec->name));
    thrift_put_i32(w, 4, PARQUET_ZSTD);
    thrift_put_i64(w, 5, row_count);
    thrift_put_i64(w, 6, (int64_t)chunk->uncompressed_bytes);
    thrift_put_i64(w, 7, (int64_t)chunk->compressed_bytes);
    thrift_put_i64(w, 9, (int64_t)footer->pages[chunk->first_page].offset);
    if (dictionary) {
        thrift_put_i64(w, 11, (int64_t)chunk->dictionary_offset);
    }
    put_statistics(w, 12, &chunk->stats, spec->type);
    thrift_put_list(w, 13, THRIFT_STRUCT, dictionary ? 2 : 1);
    if (dictionary) {
        put_encoding_count(w, PARQUET_DICTIONARY_PAGE, PARQUET_PLAIN, 1);
    }
    put_encoding_count(w, PARQUET_DATA_PAGE, chunk->encoding, chunk->page_count);
    thrift_end(w);
}

static void put_chunk(struct thrift_writer *w, const struct parquet_footer *footer,
                      const struct parquet_chunk_meta *chunk, const struct column_spec *spec,
                      uint32_t row_count)
{
    thrift_element_struct(w);
    thrift_put_i64(w, 2, 0); /* file_offset: no metadata outside the footer */
    put_column_metadata(w, footer, chunk, spec, row_count);
    thrift_put_i64(w, 4, (int64_t)chunk->offset_index_offset);
    thrift_put_i32(w, 5, (int32_t)chunk->offset_index_bytes);
    if (chunk->column_index_bytes > 0) {
        thrift_put_i64(w, 6, (int64_t)chunk->column_index_offset);
        thrift_put_i32(w, 7, (int32_t)chunk->column_index_bytes);
    }
    thrift_end(w);
}

static int32_t column_find(const struct schema *schema, const char *name)
{
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if (strcmp(schema->columns[i].name, name) == 0) {
            return (int32_t)i;
        }
    }
    return -1;
}

static void put_sorting_column(struct thrift_writer *w, int32_t column)
{
    thrift_element_struct(w);
    thrift_put_i32(w, 1, column);
    thrift_put_bool(w, 2, false); /* ascending */
    thrift_put_bool(w, 3, false); /* no nulls */
    thrift_end(w);
}

static int write_group(struct parquet_footer *footer, struct thrift_writer *w, uint32_t index)
{
    const struct schema *schema = footer->schema;
    const struct parquet_group_meta *group = &footer->groups[index];
    const struct parquet_chunk_meta *chunks = footer->chunks + index * schema->column_count;
    uint64_t uncompressed = 0;
    uint64_t compressed = 0;
    thrift_element_struct(w);
    thrift_put_list(w, 1, THRIFT_STRUCT, schema->column_count);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        put_chunk(w, footer, &chunks[i], &schema->columns[i], group->row_count);
        uncompressed += chunks[i].uncompressed_bytes;
        compressed += chunks[i].compressed_bytes;
        int code = flush(footer, w);
        if (code != 0) {
            return code;
        }
    }
    thrift_put_i64(w, 2, (int64_t)uncompressed);
    thrift_put_i64(w, 3, group->row_count);
    if (group->in_order) {
        thrift_put_list(w, 4, THRIFT_STRUCT, 2);
        put_sorting_column(w, column_find(schema, COLUMN_ORDER_FIRST));
        put_sorting_column(w, column_find(schema, COLUMN_ORDER_SECOND));
    }
    thrift_put_i64(w, 5, (int64_t)group->offset);
    thrift_put_i64(w, 6, (int64_t)compressed);
    if (index <= INT16_MAX) {
        thrift_put_i16(w, 7, (int16_t)index);
    }
    thrift_end(w);
    return flush(footer, w);
}

/* A text of any length: what does not fit the buffer goes straight to the sink. */
static int write_text(struct parquet_footer *footer, struct thrift_writer *w, int16_t id,
                      const char *text)
{
    size_t bytes = strlen(text);
    if (bytes < 1024) {
        thrift_put_text(w, id, text);
        return flush(footer, w);
    }
    uint8_t head[16]; /* field header and length, as thrift_put_binary() would put them */
    ASSERT(id - w->last_id[w->depth - 1] == 1);
    head[0] = 1 << 4 | THRIFT_BINARY;
    size_t head_bytes = 1 + varint_put(head + 1, bytes);
    w->last_id[w->depth - 1] = id;
    int code = flush(footer, w);
    code = code != 0 ? code : emit(footer, head, head_bytes);
    return code != 0 ? code : emit(footer, text, bytes);
}

static int write_key_values(struct parquet_footer *footer, struct thrift_writer *w)
{
    if (footer->kv_count == 0) {
        return 0;
    }
    thrift_put_list(w, 5, THRIFT_STRUCT, footer->kv_count);
    for (uint32_t i = 0; i < footer->kv_count; i++) {
        thrift_element_struct(w);
        int code = write_text(footer, w, 1, footer->kv[i].key);
        code = code != 0 ? code : write_text(footer, w, 2, footer->kv[i].value);
        if (code != 0) {
            return code;
        }
        thrift_end(w);
    }
    return flush(footer, w);
}

static int write_metadata(struct parquet_footer *footer)
{
    struct thrift_writer w;
    thrift_writer_init(&w, footer->buffer, footer->buffer_bytes);
    thrift_put_i32(&w, 1, 2); /* version: DELTA_BINARY_PACKED is of format 2 */
    int code = write_schema(footer, &w);
    thrift_put_i64(&w, 3, (int64_t)footer->row_count);
    thrift_put_list(&w, 4, THRIFT_STRUCT, footer->group_count);
    for (uint32_t i = 0; i < footer->group_count && code == 0; i++) {
        code = write_group(footer, &w, i);
    }
    code = code != 0 ? code : write_key_values(footer, &w);
    if (code != 0) {
        return code;
    }
    thrift_put_text(&w, 6, CREATED_BY);
    /* min and max are in each type's own order */
    thrift_put_list(&w, 7, THRIFT_STRUCT, footer->schema->column_count);
    for (uint32_t i = 0; i < footer->schema->column_count; i++) {
        thrift_element_struct(&w);
        thrift_put_struct(&w, 1);
        thrift_end(&w);
        thrift_end(&w);
    }
    thrift_end(&w);
    return flush(footer, &w);
}

int parquet_footer_write(struct parquet_footer *footer)
{
    int code = write_column_indexes(footer);
    code = code != 0 ? code : write_offset_indexes(footer);
    uint64_t begin = footer->offset;
    code = code != 0 ? code : write_metadata(footer);
    if (code != 0) {
        return code;
    }
    if (footer->offset - begin > UINT32_MAX / 2) {
        return MD_ETOOBIG;
    }
    uint8_t tail[PARQUET_TAIL_BYTES];
    store_u32(tail, (uint32_t)(footer->offset - begin));
    memcpy(tail + 4, PARQUET_MAGIC, PARQUET_MAGIC_BYTES);
    return emit(footer, tail, sizeof tail);
}
