/* Writes Parquet files of known rows for readers.test.mjs: one for every channel's schema, and the
 * corners (no rows, one row, nothing but nulls, extremes, dictionaries that overflow, many groups).
 * Beside each FILE.parquet stands FILE.json with what a reader must find; it is counted here from
 * the cells as they are made and never read from the file. Sums are over quarters and whole
 * numbers, so that a sum of doubles is exact in any order.
 *
 *   make_parquet DIR */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "store/store.h"

#define ROWS_A_GROUP 9000
#define BASE_US 1795424400000000 /* 2026-11-23T09:00:00Z */

/* ---- what a reader must find */

struct found {
    uint64_t nulls, values;
    __int128_t i64_sum;
    double f64_sum;
    int64_t i64_min, i64_max;
    double f64_min, f64_max;
    char text_min[64], text_max[64];
};

struct file {
    struct file_writer *writer;
    struct row_group group;
    const struct schema *schema;
    struct found found[COLUMNS_MAX];
    uint64_t rows;
    uint32_t groups;
    FILE *out;
    char path[512];
};

static int to_file(void *context, const void *data, size_t bytes)
{
    return fwrite(data, 1, bytes, context) == bytes ? 0 : MD_EIO;
}

static int text_order(const char *a, struct str b)
{
    size_t bytes = strlen(a) < b.bytes ? strlen(a) : b.bytes;
    int order = memcmp(a, b.data, bytes);
    return order != 0 ? order : (strlen(a) > b.bytes) - (strlen(a) < b.bytes);
}

static void note_text(struct found *found, struct str text)
{
    ASSERT(text.bytes < sizeof found->text_min);
    if (found->values == 0 || text_order(found->text_min, text) > 0) {
        memcpy(found->text_min, text.data, text.bytes);
        found->text_min[text.bytes] = '\0';
    }
    if (found->values == 0 || text_order(found->text_max, text) < 0) {
        memcpy(found->text_max, text.data, text.bytes);
        found->text_max[text.bytes] = '\0';
    }
}

static void note(struct found *found, enum column_type type, const struct cell *cell)
{
    if (cell->null) {
        found->nulls++;
        return;
    }
    if (type == COLUMN_TEXT) {
        note_text(found, cell->text);
    } else if (type == COLUMN_F64) {
        char text[DECIMAL_TEXT_MAX + 1];
        text[decimal_format(cell->dec, text)] = '\0';
        double value = strtod(text, NULL);
        found->f64_min = found->values == 0 || value < found->f64_min ? value : found->f64_min;
        found->f64_max = found->values == 0 || value > found->f64_max ? value : found->f64_max;
        found->f64_sum += value;
    } else {
        int64_t value = cell->i64;
        found->i64_min = found->values == 0 || value < found->i64_min ? value : found->i64_min;
        found->i64_max = found->values == 0 || value > found->i64_max ? value : found->i64_max;
        found->i64_sum += value;
    }
    found->values++;
}

static void put_i128(FILE *out, __int128_t value)
{
    char digits[48];
    size_t at = sizeof digits;
    bool negative = value < 0;
    unsigned __int128 magnitude = negative ? -(unsigned __int128)value : (unsigned __int128)value;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + (int)(magnitude % 10));
        magnitude /= 10;
    } while (magnitude > 0);
    fprintf(out, "%s%s", negative ? "-" : "", digits + at);
}

static void put_found(FILE *out, const struct column_spec *spec, const struct found *found)
{
    static const char *const types[] = {"i64", "i32", "time", "f64", "bool", "text"};
    fprintf(out, "{\"name\":\"%s\",\"type\":\"%s\",\"nullable\":%s,\"nulls\":%llu", spec->name,
            types[spec->type], spec->nullable ? "true" : "false", (unsigned long long)found->nulls);
    if (found->values == 0) {
        fprintf(out, "}");
        return;
    }
    if (spec->type == COLUMN_TEXT) {
        fprintf(out, ",\"min\":\"%s\",\"max\":\"%s\"}", found->text_min, found->text_max);
    } else if (spec->type == COLUMN_F64) {
        fprintf(out, ",\"min\":%.17g,\"max\":%.17g,\"sum\":%.17g}", found->f64_min, found->f64_max,
                found->f64_sum);
    } else {
        /* as texts: JavaScript's numbers end at 2^53 */
        fprintf(out, ",\"min\":\"%lld\",\"max\":\"%lld\",\"sum\":\"", (long long)found->i64_min,
                (long long)found->i64_max);
        put_i128(out, found->i64_sum);
        fprintf(out, "\"}");
    }
}

/* ---- files */

static void file_open(struct file *file, const char *folder, const char *name,
                      const struct schema *schema)
{
    snprintf(file->path, sizeof file->path, "%s/%s.parquet", folder, name);
    file->out = fopen(file->path, "wb");
    ASSERT(file->out != NULL);
    file->schema = schema;
    file->rows = 0;
    file->groups = 0;
    memset(file->found, 0, sizeof file->found);
    row_group_reset(&file->group, schema);
    struct file_sink sink = {to_file, file->out};
    ASSERT(file->writer->ops->begin(file->writer, schema, sink) == 0);
}

static void group_write(struct file *file)
{
    ASSERT(file->writer->ops->write_group(file->writer, &file->group) == 0);
    file->groups += file->group.row_count > 0;
    row_group_reset(&file->group, file->schema);
}

static void row_add(struct file *file, const struct cell *cells)
{
    for (uint32_t c = 0; c < file->schema->column_count; c++) {
        note(&file->found[c], file->schema->columns[c].type, &cells[c]);
    }
    if (row_group_append(&file->group, cells) == MD_EFULL) {
        group_write(file);
        ASSERT(row_group_append(&file->group, cells) == 0);
    }
    file->rows++;
}

static void file_close(struct file *file)
{
    const struct key_value kv[] = {{"venue", "binance"},
                                   {"symbol", "BTCUSDT \xe5\xb8\x81"},
                                   {"schema", file->schema->name},
                                   {"empty", ""}};
    group_write(file);
    ASSERT(file->writer->ops->end(file->writer, kv, 4) == 0);
    ASSERT(ftell(file->out) == (long)file->writer->ops->bytes_written(file->writer));
    ASSERT(fclose(file->out) == 0);
    memcpy(file->path + strlen(file->path) - 7, "json", 5);
    FILE *out = fopen(file->path, "w");
    ASSERT(out != NULL);
    fprintf(out, "{\"schema\":\"%s\",\"rows\":%llu,\"groups\":%u,\"columns\":[", file->schema->name,
            (unsigned long long)file->rows, file->groups);
    for (uint32_t c = 0; c < file->schema->column_count; c++) {
        fprintf(out, c > 0 ? ",\n " : "\n ");
        put_found(out, &file->schema->columns[c], &file->found[c]);
    }
    fprintf(out, "]}\n");
    ASSERT(fclose(out) == 0);
}

/* ---- rows */

static const char *const words[] = {"buy",
                                    "sell",
                                    "",
                                    "\xe5\xb8\x81\xe5\xae\x89",
                                    "caf\xc3\xa9",
                                    "a longer text that does not fit thirty-two bytes"};

static bool is_null(const struct column_spec *spec, uint32_t column, uint64_t row)
{
    if (!spec->nullable) {
        return false;
    }
    switch (column % 4) {
    case 0:
        return (row * 7 + column) % 5 == 0; /* scattered */
    case 1:
        return row / 1000 % 2 == 0; /* in runs */
    case 2:
        return row >= ROWS_A_GROUP && row < 2 * ROWS_A_GROUP; /* one whole group */
    default:
        return false;
    }
}

static struct cell make_text(const char *name, uint64_t row, char *room)
{
    struct cell cell = {0};
    if (strcmp(name, "exchange") == 0) {
        cell.text = STR("binance");
    } else if (strcmp(name, "symbol") == 0) {
        cell.text = STR("BTCUSDT");
    } else if (strcmp(name, "id") == 0) {
        int bytes = snprintf(room, 32, "id-%010llu", (unsigned long long)(row * 7919 % 1000003));
        cell.text = str_make(room, (size_t)bytes);
    } else {
        cell.text = str_from(words[row / 3 % (sizeof words / sizeof words[0])]);
    }
    return cell;
}

static struct cell make_cell(const struct column_spec *spec, uint32_t column, uint64_t row,
                             char *room)
{
    struct cell cell = {0};
    if (is_null(spec, column, row)) {
        cell.null = true;
        return cell;
    }
    int64_t r = (int64_t)row;
    switch (spec->type) {
    case COLUMN_TEXT:
        return make_text(spec->name, row, room);
    case COLUMN_TIME:
        cell.i64 = BASE_US + r * 1500 + (spec->nullable ? r * r % 997 : 0);
        break;
    case COLUMN_I64:
        cell.i64 =
            strcmp(spec->name, COLUMN_ORDER_SECOND) == 0 ? r / 3 : 4000000000 + r * 3 + r % 2;
        break;
    case COLUMN_I32:
        cell.i64 = column % 2 == 0 ? r % 7 - 3 : 1;
        break;
    case COLUMN_BOOL:
        cell.i64 = r / 50 % 2;
        break;
    case COLUMN_F64:
    case COLUMN_DEC:
    default:
        /* quarters: few distinct, or as many as rows */
        cell.dec = (struct decimal){25 * (column % 3 == 0 ? r * 8 + 1 : 252400 + r * 37 % 290), -2};
        break;
    }
    return cell;
}

static void rows_make(struct file *file, uint64_t count)
{
    struct cell cells[COLUMNS_MAX];
    char room[COLUMNS_MAX][32];
    for (uint64_t row = 0; row < count; row++) {
        for (uint32_t c = 0; c < file->schema->column_count; c++) {
            cells[c] = make_cell(&file->schema->columns[c], c, row, room[c]);
        }
        row_add(file, cells);
    }
}

/* ---- the corners */

static const struct column_spec corner_columns[] = {
    {"i64", COLUMN_I64, true},       {"i32", COLUMN_I32, true},   {"time", COLUMN_TIME, true},
    {"f64", COLUMN_F64, true},       {"flag", COLUMN_BOOL, true}, {"text", COLUMN_TEXT, true},
    {"required", COLUMN_I64, false},
};
static const struct schema corners = {"corners", 1, 7, corner_columns, 0};

static void corner_row(struct file *file, bool null, int64_t i64, int64_t i32, int64_t time,
                       struct decimal f64, const char *text)
{
    struct cell cells[7];
    memset(cells, 0, sizeof cells);
    for (size_t c = 0; c < 6; c++) {
        cells[c].null = null;
    }
    if (!null) {
        cells[0].i64 = i64;
        cells[1].i64 = i32;
        cells[2].i64 = time;
        cells[3].dec = f64;
        cells[4].i64 = i64 > 0;
        cells[5].text = str_from(text);
    }
    cells[6].i64 = (int64_t)file->rows;
    row_add(file, cells);
}

static void extremes_make(struct file *file)
{
    const struct decimal huge = {INT64_MAX, 38};
    const struct decimal tiny = {1, -38};
    corner_row(file, false, INT64_MIN, INT32_MIN, 0, huge, "");
    corner_row(file, true, 0, 0, 0, huge, "");
    corner_row(file, false, INT64_MAX, INT32_MAX, 253402300799999999, tiny, "\xf0\x9f\x9a\x80");
    corner_row(file, false, 0, 0, -1, (struct decimal){0, 0}, "a\"b,c\\d");
    corner_row(file, false, -1, -1, 1, (struct decimal){-INT64_MAX, 38}, "line\xc2\xa0two");
    corner_row(file, false, INT64_MIN, INT32_MIN, BASE_US, (struct decimal){-1, -38}, "z");
}

static void noise_make(struct file *file, uint64_t count)
{
    uint64_t state = 88172645463325252ULL;
    for (uint64_t row = 0; row < count; row++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char text[24];
        snprintf(text, sizeof text, "%016llx", (unsigned long long)state);
        corner_row(file, state % 11 == 0, (int64_t)state, (int32_t)(uint32_t)(state >> 20),
                   (int64_t)(state >> 12), (struct decimal){(int64_t)(state >> 16) * 25, -2}, text);
    }
}

static void corners_make(struct file *file, const char *folder)
{
    file_open(file, folder, "empty", &corners);
    file_close(file);
    file_open(file, folder, "one_row", &corners);
    corner_row(file, false, 7, -7, BASE_US, (struct decimal){25, -2}, "one");
    file_close(file);
    file_open(file, folder, "all_null", &corners);
    for (int i = 0; i < 12000; i++) {
        corner_row(file, true, 0, 0, 0, (struct decimal){0, 0}, "");
    }
    file_close(file);
    file_open(file, folder, "extremes", &corners);
    extremes_make(file);
    file_close(file);
    file_open(file, folder, "noise", &corners);
    noise_make(file, 20011);
    file_close(file);
    file_open(file, folder, "many_groups", &corners);
    for (int i = 0; i < 3000; i++) {
        corner_row(file, i % 9 == 0, i, i % 5, BASE_US + i, (struct decimal){25 * (i % 40), -2},
                   words[i % 3]);
        if (i % 60 == 59) {
            group_write(file);
        }
    }
    file_close(file);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_parquet DIR\n");
        return 2;
    }
    static struct file file;
    const struct writer_options options = {.zstd_level = 3,
                                           .page_rows = 2500,
                                           .dictionary_bytes_max = 64 * 1024,
                                           .row_group_rows_max = ROWS_A_GROUP,
                                           .row_groups_max = 64};
    file.writer = parquet_writer_create(&options, 16);
    ASSERT(file.writer != NULL);
    ASSERT(row_group_init(&file.group, ROWS_A_GROUP, 16, ROWS_A_GROUP, 1 << 20) == 0);
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        const struct schema *schema = schema_of((enum channel)channel);
        bool wide = schema->column_count > 50;
        file_open(&file, argv[1], schema->name, schema);
        rows_make(&file, wide ? 2003 : 25003);
        file_close(&file);
    }
    corners_make(&file, argv[1]);
    row_group_deinit(&file.group);
    file.writer->ops->destroy(file.writer);
    return 0;
}
