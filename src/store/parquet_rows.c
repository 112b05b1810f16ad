/* Rows of the Parquet files our writer makes, read back into row groups.
 * Place: tests, `compact`, anything that must not depend on another reader.
 * Invariants: a page is believed only after its CRC (where it has one) and its lengths agree; rows
 * of every column add up to the group's; a dictionary index is checked before it is followed.
 * Values of a page are decoded without gaps to where its rows begin, then spread over the rows that
 * are not null, from the end.
 * Memory: the reader's page buffers, and the row group of the caller. */
#include <zlib.h>

#include "base/assert.h"
#include "store/parquet_decode.h"
#include "store/parquet_encode.h"
#include "store/parquet_reader.h"
#include "store/thrift.h"

struct page {
    int32_t type;
    int32_t packed_bytes, body_bytes;
    bool has_crc;
    uint32_t crc;
    int32_t value_count;
    int32_t encoding;
    size_t header_bytes;
};

/* One chunk being read. */
struct cursor {
    struct parquet_reader *reader;
    struct row_group *group;
    uint32_t column;
    const struct parquet_column_chunk *chunk;
    uint64_t at, end; /* in the file */
    uint32_t row;
    uint32_t row_count;
    uint32_t dictionary_count; /* entries; for texts, how many text_index[] hold */
};

/* ---- pages */

static void read_page_kind(struct thrift_reader *r, struct page *page)
{
    struct thrift_field field = {0};
    while (thrift_next_field(r, &field)) {
        if (field.id == 1) {
            page->value_count = thrift_get_i32(r, field.type);
        } else if (field.id == 2) {
            page->encoding = thrift_get_i32(r, field.type);
        } else {
            thrift_skip(r, field.type);
        }
    }
}

static bool read_page_header(struct page *page, const uint8_t *data, size_t bytes)
{
    struct thrift_reader r = thrift_reader_over(data, bytes);
    *page = (struct page){.type = -1, .encoding = -1, .value_count = -1};
    struct thrift_field field = {0};
    while (thrift_next_field(&r, &field)) {
        switch (field.id) {
        case 1:
            page->type = thrift_get_i32(&r, field.type);
            break;
        case 2:
            page->body_bytes = thrift_get_i32(&r, field.type);
            break;
        case 3:
            page->packed_bytes = thrift_get_i32(&r, field.type);
            break;
        case 4:
            page->crc = (uint32_t)thrift_get_i32(&r, field.type);
            page->has_crc = true;
            break;
        case 5:
        case 7:
            if (field.type == THRIFT_STRUCT) {
                read_page_kind(&r, page);
            } else {
                thrift_skip(&r, field.type);
            }
            break;
        default:
            thrift_skip(&r, field.type);
            break;
        }
    }
    page->header_bytes = (size_t)(r.at - data);
    return !r.failed && page->packed_bytes >= 0 && page->body_bytes >= 0 && page->value_count >= 0;
}

/* Reads the page at cursor->at into `body`, decompressed, and steps over it. */
static int page_read(struct cursor *cursor, struct page *page, uint8_t *body)
{
    struct parquet_reader *reader = cursor->reader;
    uint64_t left = cursor->end - cursor->at;
    size_t head = left < PARQUET_READ_HEADER_BYTES ? (size_t)left : PARQUET_READ_HEADER_BYTES;
    int code = reader->source.read(reader->source.context, cursor->at, reader->packed, head);
    if (code != 0) {
        return code;
    }
    if (!read_page_header(page, reader->packed, head)) {
        return MD_ECORRUPT;
    }
    size_t packed_bytes = (size_t)page->packed_bytes;
    if (packed_bytes > reader->limits.page_bytes_max ||
        (size_t)page->body_bytes > reader->limits.page_bytes_max) {
        return MD_ETOOBIG;
    }
    if (packed_bytes > left - page->header_bytes) {
        return MD_ECORRUPT;
    }
    uint64_t offset = cursor->at + page->header_bytes;
    code = reader->source.read(reader->source.context, offset, reader->packed, packed_bytes);
    if (code != 0) {
        return code;
    }
    if (page->has_crc && crc32_z(0, reader->packed, packed_bytes) != page->crc) {
        return MD_ECORRUPT;
    }
    cursor->at = offset + packed_bytes;
    if (cursor->chunk->codec == PARQUET_UNCOMPRESSED) {
        if (packed_bytes != (size_t)page->body_bytes) {
            return MD_ECORRUPT;
        }
        memcpy(body, reader->packed, packed_bytes);
        return 0;
    }
    if (cursor->chunk->codec != PARQUET_ZSTD) {
        return MD_ENOTSUP;
    }
    size_t bytes = ZSTD_decompressDCtx(reader->zstd, body, (size_t)page->body_bytes, reader->packed,
                                       packed_bytes);
    return bytes == (size_t)page->body_bytes ? 0 : MD_ECORRUPT; /* a zstd error is huge */
}

/* ---- PLAIN */

static int plain_texts(struct cursor *cursor, const uint8_t *at, const uint8_t *end, uint32_t count,
                       uint32_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        if (end - at < 4 || load_u32(at) > (size_t)(end - at) - 4) {
            return MD_ECORRUPT;
        }
        struct str text = str_make((const char *)at + 4, load_u32(at));
        int code = row_group_text(cursor->group, cursor->column, text, &out[i]);
        if (code != 0) {
            return code == MD_EFULL ? MD_ETOOBIG : code;
        }
        at += 4 + text.bytes;
    }
    return 0;
}

static int plain_values(struct cursor *cursor, const uint8_t *at, const uint8_t *end,
                        uint32_t count)
{
    struct column *column = &cursor->group->columns[cursor->column];
    enum column_type type = cursor->group->schema->columns[cursor->column].type;
    size_t bytes = (size_t)(end - at);
    switch (type) {
    case COLUMN_TEXT:
        return plain_texts(cursor, at, end, count, column->text_index + cursor->row);
    case COLUMN_BOOL:
        for (uint32_t i = 0; i < count && bytes >= (count + 7) / 8; i++) {
            column->boolean[cursor->row + i] = at[i / 8] >> (i % 8) & 1;
        }
        return bytes >= (count + 7) / 8 ? 0 : MD_ECORRUPT;
    case COLUMN_I32:
        for (uint32_t i = 0; i < count && bytes / 4 >= count; i++) {
            column->i64[cursor->row + i] = (int32_t)load_u32(at + (size_t)i * 4);
        }
        return bytes / 4 >= count ? 0 : MD_ECORRUPT;
    case COLUMN_DEC:
        for (uint32_t i = 0; i < count && bytes / sizeof(column_dec) >= count; i++) {
            column->dec[cursor->row + i] = parquet_get_dec(at + i * sizeof(column_dec));
        }
        return bytes / sizeof(column_dec) >= count ? 0 : MD_ECORRUPT;
    case COLUMN_I64:
    case COLUMN_TIME:
    case COLUMN_F64:
    default:
        if (bytes / 8 < count) {
            return MD_ECORRUPT;
        }
        memcpy(column->i64 + cursor->row, at, (size_t)count * 8);
        return 0;
    }
}

/* ---- dictionary */

static int dictionary_read(struct cursor *cursor, const struct page *page)
{
    struct parquet_reader *reader = cursor->reader;
    enum column_type type = cursor->group->schema->columns[cursor->column].type;
    if (type == COLUMN_DEC ||
        (page->encoding != PARQUET_PLAIN && page->encoding != PARQUET_PLAIN_DICTIONARY)) {
        return MD_ENOTSUP;
    }
    uint32_t count = (uint32_t)page->value_count;
    size_t bytes = (size_t)page->body_bytes;
    size_t least = type == COLUMN_F64 || type == COLUMN_I64 || type == COLUMN_TIME ? 8 : 4;
    if (type == COLUMN_BOOL || bytes / least < count) {
        return MD_ECORRUPT; /* also keeps texts within text_index[] */
    }
    cursor->dictionary_count = count;
    if (type == COLUMN_TEXT) {
        return plain_texts(cursor, reader->dictionary, reader->dictionary + bytes, count,
                           reader->text_index);
    }
    return 0;
}

static void dictionary_follow(struct cursor *cursor, const uint32_t *indices, uint32_t row,
                              uint32_t count)
{
    struct column *column = &cursor->group->columns[cursor->column];
    const uint8_t *dictionary = cursor->reader->dictionary;
    switch (cursor->group->schema->columns[cursor->column].type) {
    case COLUMN_TEXT:
        for (uint32_t i = 0; i < count; i++) {
            column->text_index[row + i] = cursor->reader->text_index[indices[i]];
        }
        break;
    case COLUMN_I32:
        for (uint32_t i = 0; i < count; i++) {
            column->i64[row + i] = (int32_t)load_u32(dictionary + (size_t)indices[i] * 4);
        }
        break;
    case COLUMN_I64:
    case COLUMN_TIME:
    case COLUMN_F64:
    case COLUMN_BOOL:
    case COLUMN_DEC:
    default:
        for (uint32_t i = 0; i < count; i++) {
            column->i64[row + i] = (int64_t)load_u64(dictionary + (size_t)indices[i] * 8);
        }
        break;
    }
}

static int dictionary_values(struct cursor *cursor, const uint8_t *at, const uint8_t *end,
                             uint32_t count)
{
    if (count == 0) {
        return 0;
    }
    if (at == end || *at > 32) {
        return MD_ECORRUPT;
    }
    struct parquet_rle rle = parquet_rle_over(at + 1, end, *at);
    uint32_t indices[256];
    for (uint32_t done = 0; done < count;) {
        uint32_t n = count - done < 256 ? count - done : 256;
        int code = parquet_rle_read(&rle, indices, n);
        if (code != 0) {
            return code;
        }
        for (uint32_t i = 0; i < n; i++) {
            if (indices[i] >= cursor->dictionary_count) {
                return MD_ECORRUPT;
            }
        }
        dictionary_follow(cursor, indices, cursor->row + done, n);
        done += n;
    }
    return 0;
}

/* ---- data pages */

/* Reads the levels into column->valid; sets *at behind them and *values to the rows set. */
static int levels_read(struct cursor *cursor, const uint8_t **at, const uint8_t *end, uint32_t rows,
                       uint32_t *values)
{
    if (end - *at < 4 || load_u32(*at) > (size_t)(end - *at) - 4) {
        return MD_ECORRUPT;
    }
    const uint8_t *levels_end = *at + 4 + load_u32(*at);
    struct parquet_rle rle = parquet_rle_over(*at + 4, levels_end, 1);
    *at = levels_end;
    *values = 0;
    uint8_t *valid = cursor->group->columns[cursor->column].valid + cursor->row;
    uint32_t levels[256];
    for (uint32_t done = 0; done < rows;) {
        uint32_t n = rows - done < 256 ? rows - done : 256;
        int code = parquet_rle_read(&rle, levels, n);
        if (code != 0) {
            return code;
        }
        for (uint32_t i = 0; i < n; i++) {
            if (levels[i] > 1) {
                return MD_ECORRUPT;
            }
            valid[done + i] = (uint8_t)levels[i];
            *values += levels[i];
        }
        done += n;
    }
    return 0;
}

static int values_read(struct cursor *cursor, int32_t encoding, const uint8_t *at,
                       const uint8_t *end, uint32_t count)
{
    enum column_type type = cursor->group->schema->columns[cursor->column].type;
    struct column *column = &cursor->group->columns[cursor->column];
    switch (encoding) {
    case PARQUET_PLAIN:
        return plain_values(cursor, at, end, count);
    case PARQUET_RLE_DICTIONARY:
    case PARQUET_PLAIN_DICTIONARY:
        return type == COLUMN_BOOL || type == COLUMN_DEC
                   ? MD_ECORRUPT
                   : dictionary_values(cursor, at, end, count);
    case PARQUET_DELTA_BINARY_PACKED:
        if (type != COLUMN_I64 && type != COLUMN_TIME && type != COLUMN_I32) {
            return MD_ECORRUPT;
        }
        return parquet_decode_delta(at, end, count, type == COLUMN_I32, column->i64 + cursor->row);
    default:
        return MD_ENOTSUP;
    }
}

/* Moves `values` values, standing without gaps, to the rows that are not null; others become 0. */
static void spread(struct cursor *cursor, uint32_t rows, uint32_t values)
{
    struct column *column = &cursor->group->columns[cursor->column];
    enum column_type type = cursor->group->schema->columns[cursor->column].type;
    const uint8_t *valid = column->valid + cursor->row;
    uint32_t from = values;
    for (uint32_t i = rows; i-- > 0;) {
        uint32_t to = cursor->row + i;
        uint32_t source = cursor->row + (valid[i] ? --from : 0);
        if (type == COLUMN_TEXT) {
            column->text_index[to] = valid[i] ? column->text_index[source] : 0;
        } else if (type == COLUMN_BOOL) {
            column->boolean[to] = valid[i] ? column->boolean[source] : 0;
        } else if (type == COLUMN_DEC) {
            column->dec[to] = valid[i] ? column->dec[source] : 0;
        } else {
            column->i64[to] = valid[i] ? column->i64[source] : 0;
        }
    }
}

static int data_page_read(struct cursor *cursor, const struct page *page)
{
    const uint8_t *at = cursor->reader->body;
    const uint8_t *end = at + page->body_bytes;
    uint32_t rows = (uint32_t)page->value_count;
    if (rows > cursor->row_count - cursor->row) {
        return MD_ECORRUPT;
    }
    uint32_t values = rows;
    bool nullable = cursor->group->schema->columns[cursor->column].nullable;
    int code = nullable ? levels_read(cursor, &at, end, rows, &values) : 0;
    code = code != 0 ? code : values_read(cursor, page->encoding, at, end, values);
    if (code != 0) {
        return code;
    }
    if (nullable && values < rows) {
        spread(cursor, rows, values);
    }
    cursor->row += rows;
    return 0;
}

static int chunk_read(struct cursor *cursor)
{
    struct parquet_reader *reader = cursor->reader;
    const struct parquet_column_chunk *chunk = cursor->chunk;
    if (chunk->value_count != cursor->row_count ||
        chunk->type != reader->columns[cursor->column].type) {
        return MD_ECORRUPT;
    }
    struct page page;
    if (chunk->dictionary_page_offset > 0) {
        cursor->at = (uint64_t)chunk->dictionary_page_offset;
        cursor->end = cursor->at + (uint64_t)chunk->compressed_bytes;
        int code = page_read(cursor, &page, reader->dictionary);
        if (code == 0 && page.type != PARQUET_DICTIONARY_PAGE) {
            code = MD_ECORRUPT;
        }
        code = code != 0 ? code : dictionary_read(cursor, &page);
        if (code != 0) {
            return code;
        }
    } else {
        cursor->at = (uint64_t)chunk->data_page_offset;
        cursor->end = cursor->at + (uint64_t)chunk->compressed_bytes;
    }
    while (cursor->row < cursor->row_count) {
        uint32_t before = cursor->row;
        int code = page_read(cursor, &page, reader->body);
        if (code == 0 && page.type != PARQUET_DATA_PAGE) {
            code = page.type == PARQUET_DATA_PAGE_V2 ? MD_ENOTSUP : MD_ECORRUPT;
        }
        code = code != 0 ? code : data_page_read(cursor, &page);
        if (code != 0) {
            return code;
        }
        if (cursor->row == before) {
            return MD_ECORRUPT; /* a page of no rows would let a file go on for ever */
        }
    }
    return 0;
}

int parquet_reader_rows(struct parquet_reader *reader, uint32_t index, struct row_group *group,
                        struct err *err)
{
    ASSERT(reader->limits.page_bytes_max > 0);
    if (!reader->has_schema) {
        return err_set(err, MD_ENOTSUP, "parquet: columns of a kind our writer does not make");
    }
    row_group_reset(group, &reader->schema);
    parquet_reader_group(reader, index, &reader->group);
    if (reader->group.row_count > group->row_capacity) {
        return err_set(err, MD_ETOOBIG, "parquet: row group %u has %lld rows, at most %u", index,
                       (long long)reader->group.row_count, group->row_capacity);
    }
    for (uint32_t c = 0; c < reader->schema.column_count; c++) {
        struct cursor cursor = {.reader = reader,
                                .group = group,
                                .column = c,
                                .chunk = &reader->group.columns[c],
                                .row_count = (uint32_t)reader->group.row_count};
        int code = chunk_read(&cursor);
        if (code != 0) {
            return err_set(err, code, "parquet: row group %u, column %s, at row %u", index,
                           reader->specs[c].name, cursor.row);
        }
    }
    group->row_count = (uint32_t)reader->group.row_count;
    return 0;
}

int parquet_reader_each(struct parquet_reader *reader, struct row_group *group,
                        int (*on_group)(void *context, const struct row_group *group),
                        void *context, struct err *err)
{
    for (uint32_t i = 0; i < reader->info.group_count; i++) {
        int code = parquet_reader_rows(reader, i, group, err);
        code = code != 0 ? code : on_group(context, group);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}
