/* One column of one row group: choice of encoding, page bodies, statistics.
 * Place: between the row group and the Parquet writer.
 * Choice, by the chunk's own data: DOUBLE and TEXT take a dictionary of the whole chunk where that
 * is smaller than PLAIN and within the cap; integers and times take DELTA_BINARY_PACKED unless a
 * small dictionary (flags, connection ids, constants) or PLAIN (noise) is smaller; booleans are
 * PLAIN bits. Sizes are compared before compression. Invariants: bounds hold every value of their
 * page; no NaN in a bound, a zero minimum is -0.0 and a zero maximum +0.0 (parquet.thrift,
 * ColumnOrder); the same data gives the same bytes. Memory: the scratch handed in. */
#include "store/parquet_chunk.h"

#include <math.h>

#include "base/assert.h"
#include "store/parquet_encode.h"

/* What a dictionary costs beside its values: a page header and a compressed frame. */
#define DICTIONARY_OVERHEAD 32
/* Integers with more distinct values than this are left to DELTA. */
#define INTEGER_DICTIONARY_MAX 1024
/* An integer chunk whose first values are mostly distinct gets no dictionary: not worth the look.
 */
#define INTEGER_SAMPLE 256
/* Slots the table of distinct values begins with, less one; it grows by fours. */
#define SLOT_MASK_FIRST 1023

size_t parquet_chunk_body_bytes_max(uint32_t page_rows, uint32_t dictionary_bytes_max)
{
    size_t delta = parquet_encode_delta_bytes_max(page_rows);
    size_t indices = 1 + parquet_encode_rle_bytes_max(page_rows, 32);
    size_t text = PARQUET_TEXT_PAGE_BYTES + 4 + COLUMN_TEXT_BYTES_MAX;
    size_t decs = page_rows * sizeof(column_dec);
    size_t values = delta > indices ? delta : indices;
    values = values > text ? values : text;
    values = values > decs ? values : decs;
    size_t levels = 4 + parquet_encode_rle_bytes_max(page_rows, 1);
    size_t body = levels + values;
    return body > dictionary_bytes_max ? body : dictionary_bytes_max;
}

/* ---- plan */

static uint32_t count_valid(const uint8_t *valid, uint32_t rows)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows; i++) {
        count += valid[i];
    }
    return count;
}

/* Values without the nulls between them. */
static void densify_64(const int64_t *values, const uint8_t *valid, uint32_t rows, int64_t *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < rows; i++) {
        if (valid[i]) {
            out[n++] = values[i];
        }
    }
}

static void densify_32(const uint32_t *values, const uint8_t *valid, uint32_t rows, uint32_t *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < rows; i++) {
        if (valid[i]) {
            out[n++] = values[i];
        }
    }
}

static void densify_8(const uint8_t *values, const uint8_t *valid, uint32_t rows, uint8_t *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < rows; i++) {
        if (valid[i]) {
            out[n++] = values[i];
        }
    }
}

static void values_gather(struct parquet_chunk *chunk, const struct column *column,
                          const struct parquet_scratch *scratch)
{
    uint32_t rows = chunk->row_count;
    bool dense = chunk->valid == NULL;
    switch (chunk->spec->type) {
    case COLUMN_TEXT:
        chunk->indices = dense ? column->text_index : scratch->indices;
        chunk->texts = column->text_values;
        chunk->text_seen = scratch->slots;
        if (!dense) {
            densify_32(column->text_index, chunk->valid, rows, scratch->indices);
        }
        break;
    case COLUMN_DEC: /* not gathered: too wide for the scratch; see put_decs() */
        chunk->dec = column->dec;
        break;
    case COLUMN_BOOL:
        chunk->boolean = dense ? column->boolean : (uint8_t *)scratch->dense;
        if (!dense) {
            densify_8(column->boolean, chunk->valid, rows, (uint8_t *)scratch->dense);
        }
        break;
    case COLUMN_I64:
    case COLUMN_I32:
    case COLUMN_TIME:
    case COLUMN_F64:
    default:
        chunk->i64 = dense ? column->i64 : scratch->dense;
        chunk->f64 = dense ? column->f64 : (double *)(void *)scratch->dense;
        if (!dense) {
            densify_64(column->i64, chunk->valid, rows, scratch->dense);
        }
        break;
    }
}

static uint32_t slot_mask_for(uint32_t values)
{
    uint32_t slots = 16;
    while (slots < 2 * values) {
        slots *= 2;
    }
    return slots - 1;
}

/* Slots of the table of distinct values: as few as will do, so that they stay near the processor.
 */
struct distinct {
    uint32_t *slots; /* index + 1; 0 = free */
    const uint64_t *values;
    uint32_t mask, shift;
};

static uint32_t *slot_find(const struct distinct *distinct, uint64_t value)
{
    /* the highest bits: those of round doubles all lie high, too */
    uint32_t slot = (uint32_t)((value * 0x9e3779b97f4a7c15ULL) >> distinct->shift);
    uint32_t found;
    while ((found = distinct->slots[slot]) != 0 && distinct->values[found - 1] != value) {
        slot = (slot + 1) & distinct->mask;
    }
    return &distinct->slots[slot];
}

/* An empty table of mask + 1 slots, then the first `count` values in it. */
static void slots_lay_out(struct distinct *distinct, uint32_t mask, uint32_t count)
{
    distinct->mask = mask;
    distinct->shift = 64 - parquet_bit_width(mask);
    memset(distinct->slots, 0, ((size_t)mask + 1) * sizeof(uint32_t));
    for (uint32_t i = 0; i < count; i++) {
        *slot_find(distinct, distinct->values[i]) = i + 1;
    }
}

/* Gathers the distinct 64-bit values in order of appearance and each value's index. false as soon
 * as there are more than `distinct_max`, or more than half of the first `sample` values. */
static bool dictionary_build(struct parquet_chunk *chunk, const struct parquet_scratch *scratch,
                             uint32_t distinct_max, uint32_t sample)
{
    const uint64_t *values = (const uint64_t *)(const void *)chunk->i64;
    struct distinct distinct = {.slots = scratch->slots, .values = scratch->dictionary};
    uint32_t mask_max =
        slot_mask_for(distinct_max < chunk->value_count ? distinct_max + 1 : chunk->value_count);
    slots_lay_out(&distinct, mask_max < SLOT_MASK_FIRST ? mask_max : SLOT_MASK_FIRST, 0);
    uint32_t count = 0;
    uint64_t last = 0;
    uint32_t last_index = 0;
    for (uint32_t i = 0; i < chunk->value_count; i++) {
        uint64_t value = values[i];
        if (i > 0 && value == last) {
            scratch->indices[i] = last_index;
            continue;
        }
        uint32_t *slot = slot_find(&distinct, value);
        if (*slot == 0) {
            if (count == distinct_max || (i < sample && count > sample / 2)) {
                return false;
            }
            scratch->dictionary[count] = value;
            *slot = ++count;
            last_index = count - 1;
            if (2 * count > distinct.mask && distinct.mask < mask_max) {
                uint32_t mask = distinct.mask * 4 + 3;
                slots_lay_out(&distinct, mask < mask_max ? mask : mask_max, count);
            }
        } else {
            last_index = *slot - 1;
        }
        last = value;
        scratch->indices[i] = last_index;
    }
    chunk->dictionary_count = count;
    chunk->index_width = parquet_bit_width(count - 1);
    return true;
}

static size_t dictionary_bytes(const struct parquet_chunk *chunk, size_t values_bytes)
{
    return DICTIONARY_OVERHEAD + values_bytes + (size_t)chunk->value_count * chunk->index_width / 8;
}

static void dictionary_use(struct parquet_chunk *chunk, const struct parquet_scratch *scratch)
{
    chunk->encoding = PARQUET_RLE_DICTIONARY;
    chunk->dictionary = scratch->dictionary;
    chunk->indices = scratch->indices;
}

static void plan_double(struct parquet_chunk *chunk, const struct parquet_scratch *scratch,
                        uint32_t dictionary_bytes_max)
{
    size_t plain = (size_t)chunk->value_count * 8;
    uint32_t distinct_max = dictionary_bytes_max / 8;
    chunk->encoding = PARQUET_PLAIN;
    if (dictionary_build(chunk, scratch, distinct_max, 0) &&
        dictionary_bytes(chunk, (size_t)chunk->dictionary_count * 8) < plain) {
        dictionary_use(chunk, scratch);
    }
}

static void plan_integer(struct parquet_chunk *chunk, const struct parquet_scratch *scratch,
                         uint32_t dictionary_bytes_max)
{
    bool is_32 = chunk->spec->type == COLUMN_I32;
    size_t value_bytes = is_32 ? 4 : 8;
    size_t plain = (size_t)chunk->value_count * value_bytes;
    size_t best = parquet_estimate_delta(chunk->i64, chunk->value_count, is_32);
    chunk->encoding = PARQUET_DELTA_BINARY_PACKED;
    if (plain < best) {
        best = plain;
        chunk->encoding = PARQUET_PLAIN;
    }
    uint32_t distinct_max = dictionary_bytes_max / 8 < INTEGER_DICTIONARY_MAX
                                ? dictionary_bytes_max / 8
                                : INTEGER_DICTIONARY_MAX;
    if (best > DICTIONARY_OVERHEAD &&
        dictionary_build(chunk, scratch, distinct_max, INTEGER_SAMPLE) &&
        dictionary_bytes(chunk, chunk->dictionary_count * value_bytes) < best) {
        dictionary_use(chunk, scratch);
    }
}

static void plan_text(struct parquet_chunk *chunk, const struct column *column,
                      uint32_t dictionary_bytes_max)
{
    size_t distinct = 0;
    for (uint32_t i = 0; i < column->text_count; i++) {
        distinct += 4 + column->text_values[i].bytes;
    }
    size_t plain = 0;
    for (uint32_t i = 0; i < chunk->value_count; i++) {
        plain += 4 + chunk->texts[chunk->indices[i]].bytes;
    }
    chunk->dictionary_count = column->text_count;
    chunk->index_width = parquet_bit_width(column->text_count - 1);
    bool pays = distinct <= dictionary_bytes_max && dictionary_bytes(chunk, distinct) < plain;
    chunk->encoding = pays ? PARQUET_RLE_DICTIONARY : PARQUET_PLAIN;
    memset(chunk->text_seen, 0, (size_t)column->text_count * sizeof(uint32_t));
}

void parquet_chunk_plan(struct parquet_chunk *chunk, const struct row_group *group, uint32_t column,
                        const struct parquet_scratch *scratch, uint32_t dictionary_bytes_max)
{
    const struct column *data = &group->columns[column];
    *chunk = (struct parquet_chunk){.spec = &group->schema->columns[column],
                                    .row_count = group->row_count,
                                    .value_count = group->row_count,
                                    .encoding = PARQUET_PLAIN};
    if (data->valid != NULL) {
        chunk->value_count = count_valid(data->valid, group->row_count);
        chunk->valid = chunk->value_count < chunk->row_count ? data->valid : NULL;
    }
    if (chunk->value_count == 0) {
        return; /* PLAIN, no values: there is nothing to choose */
    }
    values_gather(chunk, data, scratch);
    switch (chunk->spec->type) {
    case COLUMN_F64:
        plan_double(chunk, scratch, dictionary_bytes_max);
        break;
    case COLUMN_I64:
    case COLUMN_I32:
    case COLUMN_TIME:
        plan_integer(chunk, scratch, dictionary_bytes_max);
        break;
    case COLUMN_TEXT:
        plan_text(chunk, data, dictionary_bytes_max);
        break;
    case COLUMN_BOOL:
    case COLUMN_DEC:
    default:
        break;
    }
}

/* ---- pages */

bool parquet_chunk_next_page(const struct parquet_chunk *chunk, uint32_t page_rows,
                             struct parquet_page_span *span)
{
    span->number += span->rows > 0;
    span->row += span->rows;
    span->value += span->values;
    uint32_t left = chunk->row_count - span->row;
    span->rows = left < page_rows ? left : page_rows;
    if (chunk->spec->type != COLUMN_TEXT || chunk->encoding != PARQUET_PLAIN) {
        span->values =
            chunk->valid != NULL ? count_valid(chunk->valid + span->row, span->rows) : span->rows;
        span->values = chunk->value_count == 0 ? 0 : span->values;
        return span->rows > 0;
    }
    /* texts as they are: the body's size counts too */
    size_t bytes = 0;
    uint32_t rows = 0;
    uint32_t values = 0;
    while (rows < span->rows && bytes < PARQUET_TEXT_PAGE_BYTES) {
        bool null = chunk->value_count == 0 ||
                    (chunk->valid != NULL && chunk->valid[span->row + rows] == 0);
        if (!null) {
            bytes += 4 + chunk->texts[chunk->indices[span->value + values]].bytes;
            values++;
        }
        rows++;
    }
    span->rows = rows;
    span->values = values;
    return rows > 0;
}

static uint8_t *put_levels(const struct parquet_chunk *chunk, const struct parquet_page_span *span,
                           uint32_t *levels, uint8_t *out)
{
    size_t bytes;
    if (span->values == span->rows || span->values == 0) {
        bytes = varint_put(out + 4, (uint64_t)span->rows << 1); /* one run */
        out[4 + bytes++] = span->values > 0;
    } else {
        for (uint32_t i = 0; i < span->rows; i++) {
            levels[i] = chunk->valid[span->row + i];
        }
        bytes = parquet_encode_rle(levels, span->rows, 1, out + 4);
    }
    store_u32(out, (uint32_t)bytes);
    return out + 4 + bytes;
}

static uint8_t *put_texts(const struct parquet_chunk *chunk, const struct parquet_page_span *span,
                          uint8_t *out)
{
    for (uint32_t i = 0; i < span->values; i++) {
        struct str text = chunk->texts[chunk->indices[span->value + i]];
        store_u32(out, (uint32_t)text.bytes);
        memcpy(out + 4, text.data, text.bytes);
        out += 4 + text.bytes;
    }
    return out;
}

static uint8_t *put_i32(const int64_t *values, uint32_t count, uint8_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        store_u32(out, (uint32_t)(int32_t)values[i]);
        out += 4;
    }
    return out;
}

/* Big-endian two's complement (LogicalTypes.md, DECIMAL), of the rows that are set. */
static uint8_t *put_decs(const struct parquet_chunk *chunk, const struct parquet_page_span *span,
                         uint8_t *out)
{
    for (uint32_t i = span->row; i < span->row + span->rows; i++) {
        if (chunk->valid == NULL || chunk->valid[i] != 0) {
            parquet_put_dec(chunk->dec[i], out);
            out += sizeof(column_dec);
        }
    }
    return out;
}

static uint8_t *put_plain(const struct parquet_chunk *chunk, const struct parquet_page_span *span,
                          uint8_t *out)
{
    if (span->values == 0) {
        return out;
    }
    switch (chunk->spec->type) {
    case COLUMN_TEXT:
        return put_texts(chunk, span, out);
    case COLUMN_BOOL:
        return out + parquet_encode_bits(chunk->boolean + span->value, span->values, out);
    case COLUMN_DEC:
        return put_decs(chunk, span, out);
    case COLUMN_I32:
        return put_i32(chunk->i64 + span->value, span->values, out);
    case COLUMN_I64:
    case COLUMN_TIME:
    case COLUMN_F64:
    default:
        memcpy(out, chunk->i64 + span->value, (size_t)span->values * 8);
        return out + (size_t)span->values * 8;
    }
}

static uint8_t *put_values(const struct parquet_chunk *chunk, const struct parquet_page_span *span,
                           uint8_t *out)
{
    if (chunk->encoding == PARQUET_RLE_DICTIONARY) {
        *out++ = (uint8_t)chunk->index_width;
        return out + parquet_encode_rle(chunk->indices + span->value, span->values,
                                        chunk->index_width, out);
    }
    if (chunk->encoding == PARQUET_DELTA_BINARY_PACKED) {
        return out + parquet_encode_delta(chunk->i64 + span->value, span->values,
                                          chunk->spec->type == COLUMN_I32, out);
    }
    return put_plain(chunk, span, out);
}

size_t parquet_chunk_dictionary_page(const struct parquet_chunk *chunk, uint8_t *body)
{
    ASSERT(chunk->encoding == PARQUET_RLE_DICTIONARY);
    uint8_t *out = body;
    if (chunk->spec->type == COLUMN_TEXT) {
        for (uint32_t i = 0; i < chunk->dictionary_count; i++) {
            store_u32(out, (uint32_t)chunk->texts[i].bytes);
            memcpy(out + 4, chunk->texts[i].data, chunk->texts[i].bytes);
            out += 4 + chunk->texts[i].bytes;
        }
    } else if (chunk->spec->type == COLUMN_I32) {
        out =
            put_i32((const int64_t *)(const void *)chunk->dictionary, chunk->dictionary_count, out);
    } else {
        memcpy(out, chunk->dictionary, (size_t)chunk->dictionary_count * 8);
        out += (size_t)chunk->dictionary_count * 8;
    }
    return (size_t)(out - body);
}

/* ---- statistics */

static void stats_integers(const int64_t *values, uint32_t count, struct parquet_stats *stats)
{
    int64_t min = values[0];
    int64_t max = values[0];
    for (uint32_t i = 1; i < count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    stats->min.i64 = min;
    stats->max.i64 = max;
    stats->has_bounds = true;
}

static void stats_booleans(const uint8_t *values, uint32_t count, struct parquet_stats *stats)
{
    uint32_t set = count_valid(values, count);
    stats->min.i64 = set == count;
    stats->max.i64 = set > 0;
    stats->has_bounds = true;
}

static void stats_doubles(const double *values, uint32_t count, struct parquet_stats *stats)
{
    double min = INFINITY;
    double max = -INFINITY;
    uint32_t numbers = 0;
    for (uint32_t i = 0; i < count; i++) {
        numbers += values[i] == values[i];
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    stats->min.f64 = min == 0 ? -0.0 : min;
    stats->max.f64 = max == 0 ? 0.0 : max;
    stats->has_bounds = numbers > 0;
    stats->unbounded = numbers == 0;
}

static void stats_decs(const struct parquet_chunk *chunk, const struct parquet_page_span *span,
                       struct parquet_stats *stats)
{
    for (uint32_t i = span->row; i < span->row + span->rows; i++) {
        if (chunk->valid != NULL && chunk->valid[i] == 0) {
            continue;
        }
        column_dec value = chunk->dec[i];
        if (!stats->has_bounds || value < stats->min.dec) {
            stats->min.dec = value;
        }
        if (!stats->has_bounds || value > stats->max.dec) {
            stats->max.dec = value;
        }
        stats->has_bounds = true;
    }
}

static int text_compare(struct str a, struct str b)
{
    size_t bytes = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order = bytes == 0 ? 0 : memcmp(a.data, b.data, bytes);
    if (order != 0) {
        return order < 0 ? -1 : 1;
    }
    return a.bytes < b.bytes ? -1 : a.bytes > b.bytes;
}

/* The longest start of `text` within the bound's room that ends with a whole character. */
static uint8_t text_cut(struct str text)
{
    if (text.bytes <= PARQUET_TEXT_BOUND_BYTES) {
        return (uint8_t)text.bytes;
    }
    size_t bytes = PARQUET_TEXT_BOUND_BYTES;
    while (bytes > 0 && ((unsigned char)text.data[bytes] & 0xc0) == 0x80) {
        bytes--;
    }
    return (uint8_t)bytes;
}

static void bound_set_text(struct parquet_bound *bound, struct str text)
{
    bound->text_bytes = text_cut(text);
    bound->exact = bound->text_bytes == text.bytes;
    if (bound->text_bytes > 0) {
        memcpy(bound->text, text.data, bound->text_bytes);
    }
}

/* Makes a cut text greater than all that begin with it: its last ASCII character that can grow
 * does, and what stands behind is dropped. ASCII alone keeps it valid UTF-8. false if there is
 * none. */
static bool bound_raise(struct parquet_bound *bound)
{
    for (uint8_t i = bound->text_bytes; i > 0; i--) {
        unsigned char c = (unsigned char)bound->text[i - 1];
        if (c < 0x7f) {
            bound->text[i - 1] = (char)(c + 1);
            bound->text_bytes = i;
            return true;
        }
    }
    return false;
}

static void stats_texts(const struct parquet_chunk *chunk, const struct parquet_page_span *span,
                        struct parquet_stats *stats)
{
    const uint32_t *indices = chunk->indices + span->value;
    struct str min = chunk->texts[indices[0]];
    struct str max = min;
    for (uint32_t i = 0; i < span->values; i++) {
        if (chunk->text_seen[indices[i]] == span->number + 1) {
            continue;
        }
        chunk->text_seen[indices[i]] = span->number + 1;
        struct str text = chunk->texts[indices[i]];
        min = text_compare(text, min) < 0 ? text : min;
        max = text_compare(text, max) > 0 ? text : max;
    }
    bound_set_text(&stats->min, min);
    bound_set_text(&stats->max, max);
    stats->has_bounds = stats->max.exact || bound_raise(&stats->max);
    stats->unbounded = !stats->has_bounds;
}

static void stats_make(const struct parquet_chunk *chunk, const struct parquet_page_span *span,
                       struct parquet_stats *stats)
{
    *stats = (struct parquet_stats){.null_count = span->rows - span->values};
    stats->min.exact = true;
    stats->max.exact = true;
    if (span->values == 0) {
        return;
    }
    switch (chunk->spec->type) {
    case COLUMN_TEXT:
        stats_texts(chunk, span, stats);
        break;
    case COLUMN_F64:
        stats_doubles(chunk->f64 + span->value, span->values, stats);
        break;
    case COLUMN_DEC:
        stats_decs(chunk, span, stats);
        break;
    case COLUMN_BOOL:
        stats_booleans(chunk->boolean + span->value, span->values, stats);
        break;
    case COLUMN_I64:
    case COLUMN_I32:
    case COLUMN_TIME:
    default:
        stats_integers(chunk->i64 + span->value, span->values, stats);
        break;
    }
}

size_t parquet_chunk_page(const struct parquet_chunk *chunk, const struct parquet_page_span *span,
                          uint32_t *levels, uint8_t *body, struct parquet_stats *stats)
{
    stats_make(chunk, span, stats);
    uint8_t *out = body;
    if (chunk->spec->nullable) {
        out = put_levels(chunk, span, levels, out);
    }
    out = put_values(chunk, span, out);
    return (size_t)(out - body);
}

int parquet_bound_compare(const struct parquet_bound *a, const struct parquet_bound *b,
                          enum column_type type)
{
    if (type == COLUMN_TEXT) {
        return text_compare(str_make(a->text, a->text_bytes), str_make(b->text, b->text_bytes));
    }
    if (type == COLUMN_DEC) {
        return a->dec < b->dec ? -1 : a->dec > b->dec;
    }
    if (type == COLUMN_F64) {
        return a->f64 < b->f64 ? -1 : a->f64 > b->f64;
    }
    return a->i64 < b->i64 ? -1 : a->i64 > b->i64;
}

/* Takes `page` where it reaches further; of equal bounds the exact one. */
static void bound_merge(struct parquet_bound *into, const struct parquet_bound *page, int order)
{
    if (order < 0 || (order == 0 && page->exact)) {
        *into = *page;
    }
}

void parquet_stats_merge(struct parquet_stats *into, const struct parquet_stats *page,
                         enum column_type type, bool first)
{
    if (first) {
        *into = *page;
        return;
    }
    into->null_count += page->null_count;
    into->unbounded = into->unbounded || page->unbounded;
    if (type == COLUMN_TEXT && into->unbounded) {
        into->has_bounds = false;
    }
    if (!page->has_bounds || (type == COLUMN_TEXT && into->unbounded)) {
        return;
    }
    if (!into->has_bounds) {
        into->has_bounds = true;
        into->min = page->min;
        into->max = page->max;
        return;
    }
    bound_merge(&into->min, &page->min, parquet_bound_compare(&page->min, &into->min, type));
    bound_merge(&into->max, &page->max, parquet_bound_compare(&into->max, &page->max, type));
}
