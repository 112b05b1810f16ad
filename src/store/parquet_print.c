/* What a Parquet file's footer says, printed for people: `market-data inspect FILE`.
 * Place: above the footer reader; the command hands in where the text goes.
 * Invariants: texts from the file are made printable; lines are cut rather than grown.
 * Memory: a few lines on the stack, and the reader's own scratch. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "store/parquet_encode.h"
#include "store/parquet_reader.h"
#include "store/text_format.h"

#define LINE_BYTES 1024
#define BOUND_BYTES 40

struct printer {
    const struct parquet_reader *reader;
    struct file_sink out;
    int code; /* of the first failed write; nothing is written after it */
};

static void print(struct printer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void print(struct printer *p, const char *format, ...)
{
    char memory[LINE_BYTES];
    if (p->code != 0) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(memory, sizeof memory, format, arguments);
    va_end(arguments);
    size_t length = bytes < 0 ? 0 : (size_t)bytes;
    length = length < sizeof memory ? length : sizeof memory - 1;
    p->code = p->out.write(p->out.context, memory, length);
}

const char *parquet_encoding_name(uint32_t encoding)
{
    static const char *const names[] = {"PLAIN",
                                        "?",
                                        "PLAIN_DICTIONARY",
                                        "RLE",
                                        "BIT_PACKED",
                                        "DELTA_BINARY_PACKED",
                                        "DELTA_LENGTH_BYTE_ARRAY",
                                        "DELTA_BYTE_ARRAY",
                                        "RLE_DICTIONARY",
                                        "BYTE_STREAM_SPLIT"};
    return encoding < sizeof names / sizeof names[0] ? names[encoding] : "?";
}

const char *parquet_type_name(enum parquet_type type)
{
    static const char *const names[] = {"BOOLEAN", "INT32",  "INT64",      "INT96",
                                        "FLOAT",   "DOUBLE", "BYTE_ARRAY", "FIXED"};
    return (uint32_t)type < sizeof names / sizeof names[0] ? names[type] : "?";
}

const char *parquet_codec_name(int32_t codec)
{
    static const char *const names[] = {"none",   "snappy", "gzip", "lzo",
                                        "brotli", "lz4",    "zstd", "lz4_raw"};
    return codec >= 0 && (size_t)codec < sizeof names / sizeof names[0] ? names[codec] : "?";
}

/* ---- columns */

/* A decimal as ours are: 16 bytes, 18 digits behind the point. */
static bool is_decimal(const struct parquet_column *column)
{
    return column->type == PARQUET_FIXED && column->converted == PARQUET_DECIMAL &&
           column->fixed_bytes == (int32_t)sizeof(column_dec) && column->scale == COLUMN_DEC_SCALE;
}

static void column_type_text(const struct parquet_column *column, char *out, size_t out_bytes)
{
    if (column->logical == PARQUET_LOGICAL_TIMESTAMP) {
        const char *unit = column->time_unit == PARQUET_MILLIS   ? "ms"
                           : column->time_unit == PARQUET_MICROS ? "us"
                                                                 : "ns";
        snprintf(out, out_bytes, "TIMESTAMP(%s%s)%s", unit, column->utc ? ", UTC" : "",
                 column->nullable ? " null" : "");
        return;
    }
    if (column->converted == PARQUET_DECIMAL) {
        snprintf(out, out_bytes, "DECIMAL(%d,%d)%s", column->precision, column->scale,
                 column->nullable ? " null" : "");
        return;
    }
    bool text = column->logical == PARQUET_LOGICAL_STRING || column->converted == PARQUET_UTF8;
    snprintf(out, out_bytes, "%s%s%s",
             column->type == PARQUET_BYTE_ARRAY && text ? "TEXT" : parquet_type_name(column->type),
             column->logical > 1 ? "*" : "", column->nullable ? " null" : "");
}

static void encodings_text(uint32_t set, char *out, size_t out_bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t encoding = 0; encoding < 10; encoding++) {
        if ((set >> encoding & 1) != 0 && used < out_bytes) {
            int bytes = snprintf(out + used, out_bytes - used, "%s%s", used > 0 ? "," : "",
                                 parquet_encoding_name(encoding));
            used += bytes > 0 ? (size_t)bytes : 0;
        }
    }
}

/* The bound of a chunk as text; "-" if there is none or its length is not the type's. */
static void bound_text(const struct parquet_column *column, bool has, struct str bound,
                       char out[BOUND_BYTES + 1])
{
    char text[TEXT_FORMAT_MAX];
    size_t bytes = 0;
    snprintf(out, BOUND_BYTES + 1, "-");
    if (!has) {
        return;
    }
    if (column->type == PARQUET_BYTE_ARRAY) {
        str_printable(out, BOUND_BYTES + 1, bound.data, bound.bytes);
        return;
    }
    if (column->type == PARQUET_BOOLEAN && bound.bytes == 1) {
        snprintf(out, BOUND_BYTES + 1, "%s", bound.data[0] != 0 ? "true" : "false");
        return;
    }
    if (column->type == PARQUET_INT32 && bound.bytes == 4) {
        bytes = text_format_i64((int32_t)load_u32(bound.data), text);
    } else if (column->type == PARQUET_INT64 && bound.bytes == 8) {
        int64_t value = (int64_t)load_u64(bound.data);
        bool time =
            column->logical == PARQUET_LOGICAL_TIMESTAMP && column->time_unit == PARQUET_MICROS;
        bytes = time ? text_format_time(value, text) : text_format_i64(value, text);
    } else if (column->type == PARQUET_DOUBLE && bound.bytes == 8) {
        double value;
        memcpy(&value, bound.data, 8);
        bytes = text_format_double(value == 0 ? 0.0 : value, text);
    } else if (is_decimal(column) && bound.bytes == sizeof(column_dec)) {
        bytes = column_dec_format(parquet_get_dec((const uint8_t *)bound.data), text);
    } else {
        return;
    }
    snprintf(out, BOUND_BYTES + 1, "%.*s", (int)bytes, text);
}

/* -1, 0, 1 by the column's order; 0 where we do not know it. */
static int bound_compare(const struct parquet_column *column, struct str a, struct str b)
{
    if (column->type == PARQUET_BYTE_ARRAY) {
        size_t bytes = a.bytes < b.bytes ? a.bytes : b.bytes;
        int order = bytes == 0 ? 0 : memcmp(a.data, b.data, bytes);
        return order != 0 ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
    }
    if (a.bytes != b.bytes) {
        return 0;
    }
    if (column->type == PARQUET_DOUBLE && a.bytes == 8) {
        double x;
        double y;
        memcpy(&x, a.data, 8);
        memcpy(&y, b.data, 8);
        return (x > y) - (x < y);
    }
    if (is_decimal(column) && a.bytes == sizeof(column_dec)) {
        column_dec x = parquet_get_dec((const uint8_t *)a.data);
        column_dec y = parquet_get_dec((const uint8_t *)b.data);
        return (x > y) - (x < y);
    }
    if (column->type == PARQUET_INT64 && a.bytes == 8) {
        int64_t x = (int64_t)load_u64(a.data);
        int64_t y = (int64_t)load_u64(b.data);
        return (x > y) - (x < y);
    }
    if (column->type == PARQUET_INT32 && a.bytes == 4) {
        int32_t x = (int32_t)load_u32(a.data);
        int32_t y = (int32_t)load_u32(b.data);
        return (x > y) - (x < y);
    }
    return a.bytes == 1 ? (a.data[0] != 0) - (b.data[0] != 0) : 0;
}

/* One column over all groups. */
struct total {
    int64_t uncompressed, compressed, nulls;
    uint32_t encodings;
    bool has_nulls, has_min, has_max;
    struct str min, max;
};

static void total_add(struct total *total, const struct parquet_column *column,
                      const struct parquet_column_chunk *chunk)
{
    total->uncompressed += chunk->uncompressed_bytes;
    total->compressed += chunk->compressed_bytes;
    total->encodings |= chunk->data_encodings != 0 ? chunk->data_encodings : chunk->encodings;
    total->has_nulls = total->has_nulls && chunk->null_count >= 0;
    total->nulls +=
        chunk->null_count >= 0 && chunk->null_count <= chunk->value_count ? chunk->null_count : 0;
    if (chunk->has_min && (!total->has_min || bound_compare(column, chunk->min, total->min) < 0)) {
        total->has_min = true;
        total->min = chunk->min;
    }
    if (chunk->has_max && (!total->has_max || bound_compare(column, chunk->max, total->max) > 0)) {
        total->has_max = true;
        total->max = chunk->max;
    }
}

static void print_column(struct printer *p, uint32_t index, struct parquet_group *scratch,
                         int name_width)
{
    const struct parquet_info *info = &p->reader->info;
    const struct parquet_column *column = &info->columns[index];
    struct total total = {.has_nulls = true};
    for (uint32_t g = 0; g < info->group_count; g++) {
        parquet_reader_group(p->reader, g, scratch);
        total_add(&total, column, &scratch->columns[index]);
    }
    char name[PARQUET_NAME_BYTES];
    char type[40];
    char encodings[128];
    char min[BOUND_BYTES + 1];
    char max[BOUND_BYTES + 1];
    char nulls[24];
    str_printable(name, sizeof name, column->name.data, column->name.bytes);
    column_type_text(column, type, sizeof type);
    encodings_text(total.encodings, encodings, sizeof encodings);
    bound_text(column, total.has_min, total.min, min);
    bound_text(column, total.has_max, total.max, max);
    snprintf(nulls, sizeof nulls, total.has_nulls ? "%lld" : "?", (long long)total.nulls);
    double rows = info->row_count > 0 ? (double)info->row_count : 1;
    print(p, "  %-*s %-24s %12lld %12lld %8.3f %10s  %-20s  %s .. %s\n", name_width, name, type,
          (long long)total.uncompressed, (long long)total.compressed,
          (double)total.compressed / rows, nulls, encodings, min, max);
}

static void print_columns(struct printer *p, struct parquet_group *scratch)
{
    const struct parquet_info *info = &p->reader->info;
    int width = 6;
    for (uint32_t i = 0; i < info->column_count; i++) {
        int bytes = (int)info->columns[i].name.bytes;
        width = bytes > width ? bytes : width;
    }
    width = width < 32 ? width : 32;
    print(p, "columns\n  %-*s %-24s %12s %12s %8s %10s  %-20s  %s\n", width, "name", "type",
          "bytes", "compressed", "a row", "nulls", "encoding", "min .. max");
    for (uint32_t i = 0; i < info->column_count; i++) {
        print_column(p, i, scratch, width);
    }
}

/* ---- file and groups */

static void print_file(struct printer *p)
{
    const struct parquet_info *info = &p->reader->info;
    char created_by[160];
    char root[PARQUET_NAME_BYTES];
    str_printable(created_by, sizeof created_by, info->created_by.data, info->created_by.bytes);
    str_printable(root, sizeof root, info->root.data, info->root.bytes);
    print(p, "file        %llu bytes, of these the footer %zu; format version %d\n",
          (unsigned long long)info->file_bytes, info->footer_bytes, info->version);
    print(p, "written by  %s\n", created_by);
    print(p, "schema      %s, %u columns\n", root, info->column_count);
    print(p, "rows        %lld in %u row groups", (long long)info->row_count, info->group_count);
    if (info->row_count > 0) {
        print(p, ", %.2f bytes a row", (double)info->file_bytes / (double)info->row_count);
    }
    print(p, "\n");
    for (uint32_t i = 0; i < info->kv_count; i++) {
        struct str key;
        struct str value;
        char key_text[80];
        char value_text[400];
        parquet_reader_key_value(p->reader, i, &key, &value);
        str_printable(key_text, sizeof key_text, key.data, key.bytes);
        str_printable(value_text, sizeof value_text, value.data, value.bytes);
        print(p, "%s  %-28s %s\n", i == 0 ? "key-values" : "          ", key_text, value_text);
    }
}

static void print_groups(struct printer *p, struct parquet_group *scratch)
{
    const struct parquet_info *info = &p->reader->info;
    print(p, "row groups\n  %5s %12s %14s %14s %8s  %-8s %s\n", "group", "rows", "bytes",
          "compressed", "a row", "codec", "sorted by");
    for (uint32_t g = 0; g < info->group_count; g++) {
        parquet_reader_group(p->reader, g, scratch);
        char sorted[160] = "-";
        size_t used = 0;
        for (uint32_t i = 0; i < scratch->sorting_count && used < sizeof sorted; i++) {
            if ((uint32_t)scratch->sorting[i] < info->column_count) {
                char name[64];
                struct str text = info->columns[scratch->sorting[i]].name;
                str_printable(name, sizeof name, text.data, text.bytes);
                int bytes = snprintf(sorted + used, sizeof sorted - used, "%s%s",
                                     used > 0 ? ", " : "", name);
                used += bytes > 0 ? (size_t)bytes : 0;
            }
        }
        double rows = scratch->row_count > 0 ? (double)scratch->row_count : 1;
        print(p, "  %5u %12lld %14lld %14lld %8.3f  %-8s %s\n", g, (long long)scratch->row_count,
              (long long)scratch->uncompressed_bytes, (long long)scratch->compressed_bytes,
              (double)scratch->compressed_bytes / rows,
              parquet_codec_name(scratch->columns[0].codec), sorted);
    }
}

int parquet_inspect_print(struct parquet_reader *reader, struct file_sink out)
{
    struct printer p = {.reader = reader, .out = out};
    print_file(&p);
    print_columns(&p, &reader->group);
    print_groups(&p, &reader->group);
    return p.code;
}
