/* Lines of .jsonl.zst and .csv.gz files as row groups. See row_reader.h.
 * Place: beside the Parquet reader, over the unpacker of text_stream.h.
 * Invariants: a line makes a row of the channel's own columns or is refused with its number; a
 * value is read as the exact decimal it is written as; nothing is believed of a line: not its
 * length, its members, their order, or that a value which must be there is. A CSV file has our
 * columns, or exactly tardis's (csv_schema.h): those that it leaves out are told by column().
 * Memory: the unpacker's, one line, one group. */
#include "store/row_reader.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "exchange/scan.h"
#include "store/csv_schema.h"
#include "store/text_stream.h"

#define ROWS 4096U
#define COLUMNS 24U
#define FIELDS_MAX (2 * COLUMNS_MAX)
#define TEXT_BYTES ((size_t)1 << 20)

struct reader {
    struct row_reader base;
    enum file_format format;
    struct unpacker *unpacker;
    struct row_group group;
    const struct schema *schema;
    bool open;

    struct str piece; /* unpacked, not yet taken */
    char *line;       /* ROW_READER_LINE_BYTES_MAX */
    size_t line_bytes;
    uint64_t line_number;
    bool pending; /* the line at hand did not fit the last group */
    int failed;   /* said once the rows before it are through */
    struct err why;

    struct cell cells[COLUMNS_MAX];
    char *text; /* unescaped texts of a line */
    size_t text_used;
    bool has[COLUMNS_MAX];
    uint32_t field_count;             /* CSV */
    int16_t field_column[FIELDS_MAX]; /* of the schema; -1 = passed over */
};

static struct reader *self(struct row_reader *base)
{
    return (struct reader *)(void *)base;
}

/* ---- lines */

/* The next line into r->line, its newline left out: 1; 0 = the end; or a code. A newline within
 * quotes is part of a CSV line. */
static int line_next(struct reader *r, struct err *err)
{
    bool quoted = false;
    r->line_bytes = 0;
    for (;;) {
        for (size_t i = 0; i < r->piece.bytes; i++) {
            char c = r->piece.data[i];
            quoted ^= c == '"' && r->format == FORMAT_CSV;
            if (c == '\n' && !quoted) {
                r->piece = str_make(r->piece.data + i + 1, r->piece.bytes - i - 1);
                r->line_number++;
                return 1;
            }
            if (r->line_bytes == ROW_READER_LINE_BYTES_MAX) {
                return err_set(err, MD_ETOOBIG, "line %llu: longer than any row",
                               (unsigned long long)r->line_number + 1);
            }
            r->line[r->line_bytes++] = c;
        }
        int code = unpacker_next(r->unpacker, &r->piece);
        if (code == 0 && r->line_bytes > 0) {
            return err_set(err, MD_ECORRUPT, "it ends within line %llu",
                           (unsigned long long)r->line_number + 1);
        }
        if (code != 1) {
            return code == 0 ? 0
                             : err_set(err, code, "damaged behind line %llu: %s",
                                       (unsigned long long)r->line_number, err_text(code));
        }
    }
}

static int refuse(const struct reader *r, struct err *err, uint32_t column, const char *what)
{
    return err_set(err, MD_EPARSE, "line %llu: %s: %s", (unsigned long long)r->line_number,
                   r->schema->columns[column].name, what);
}

/* ---- values */

static bool digits(const char *text, size_t count, int64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        *value = *value * 10 + (text[i] - '0');
    }
    return true;
}

/* 2026-11-23T09:00:00.123456Z, as text_format_time() writes it, as microseconds since 1970. */
static bool time_parse(struct str text, int64_t *unix_us)
{
    int64_t year, month, day, hour, minute, second, us;
    const char *t = text.data;
    if (text.bytes != 27 || !digits(t, 4, &year) || t[4] != '-' || !digits(t + 5, 2, &month) ||
        t[7] != '-' || !digits(t + 8, 2, &day) || t[10] != 'T' || !digits(t + 11, 2, &hour) ||
        t[13] != ':' || !digits(t + 14, 2, &minute) || t[16] != ':' ||
        !digits(t + 17, 2, &second) || t[19] != '.' || !digits(t + 20, 6, &us) || t[26] != 'Z' ||
        month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    int64_t y = month <= 2 ? year - 1 : year; /* years begin with March */
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t days = y * 365 + y / 4 - y / 100 + y / 400 + of_year - 719468;
    *unix_us = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000000 + us;
    return true;
}

static bool whole(struct str text, int64_t low, int64_t high, int64_t *value)
{
    struct scan_value number = {.type = SCAN_NUMBER, .text = text};
    return text.bytes > 0 && scan_value_i64(&number, value) && *value >= low && *value <= high;
}

/* What both formats write alike: numbers and words. False: not one. */
static bool value_parse(enum column_type type, struct str text, struct cell *cell)
{
    switch (type) {
    case COLUMN_F64:
        return decimal_parse(text, &cell->dec) == 0;
    case COLUMN_I32:
        return whole(text, INT32_MIN, INT32_MAX, &cell->i64);
    case COLUMN_BOOL:
        cell->i64 = str_equal(text, STR("true"));
        return cell->i64 == 1 || str_equal(text, STR("false"));
    case COLUMN_I64:
    case COLUMN_TIME:
        return whole(text, INT64_MIN, INT64_MAX, &cell->i64);
    case COLUMN_TEXT:
        cell->text = text;
        return text.bytes <= COLUMN_TEXT_BYTES_MAX;
    case COLUMN_DEC: /* no channel has one by itself */
    default:
        return false;
    }
}

/* Every column that the file has was given, or may be null. */
static int row_check(struct reader *r, struct err *err)
{
    for (uint32_t c = 0; c < r->schema->column_count; c++) {
        struct cell *cell = &r->cells[c];
        bool nullable = r->schema->columns[c].nullable;
        if (cell->null && !nullable && r->has[c]) {
            return refuse(r, err, c, "not given");
        }
        if (cell->null && !nullable) { /* column() says that it is not there */
            *cell = (struct cell){0};
        }
    }
    return 0;
}

static void row_clear(struct reader *r)
{
    r->text_used = 0;
    for (uint32_t c = 0; c < r->schema->column_count; c++) {
        r->cells[c] = (struct cell){.null = true};
    }
}

/* ---- JSONL */

/* Columns stand in the schema's order, others between them. */
static int column_named(const struct reader *r, struct str name, uint32_t expected)
{
    const struct schema *schema = r->schema;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        uint32_t c = (expected + i) % schema->column_count;
        if (str_equal(name, str_from(schema->columns[c].name))) {
            return (int)c;
        }
    }
    return -1;
}

static bool json_value(struct reader *r, enum column_type type, const struct scan_value *value,
                       struct cell *cell)
{
    struct str text = value->text;
    cell->null = false;
    if (type == COLUMN_TEXT || type == COLUMN_TIME) {
        size_t room = ROW_READER_LINE_BYTES_MAX - r->text_used;
        if (!scan_value_string(value, r->text + r->text_used, room, &text)) {
            return false;
        }
        r->text_used += value->escaped ? text.bytes : 0;
        return type == COLUMN_TIME ? time_parse(text, &cell->i64) : value_parse(type, text, cell);
    }
    if (type == COLUMN_BOOL) {
        cell->i64 = value->type == SCAN_TRUE;
        return value->type == SCAN_TRUE || value->type == SCAN_FALSE;
    }
    return value->type == SCAN_NUMBER && value_parse(type, text, cell);
}

static int json_row(struct reader *r, struct err *err)
{
    struct scan_value object, key, value;
    struct scan scan = scan_of(str_make(r->line, r->line_bytes));
    uint32_t expected = 0;
    if (!scan_value(&scan, &object) || object.type != SCAN_OBJECT || !scan_at_end(&scan)) {
        return err_set(err, MD_EPARSE, "line %llu: not one JSON object",
                       (unsigned long long)r->line_number);
    }
    row_clear(r);
    for (scan = scan_enter(&object); scan_member(&scan, &key, &value);) {
        int c = column_named(r, key.text, expected);
        if (c < 0) {
            continue; /* of a later version, or an exact decimal beside its double */
        }
        expected = (uint32_t)c + 1;
        if (value.type != SCAN_NULL &&
            !json_value(r, r->schema->columns[c].type, &value, &r->cells[c])) {
            return refuse(r, err, (uint32_t)c, "not a value of this column");
        }
    }
    return 0;
}

/* ---- CSV */

struct field {
    struct str text;
    bool quoted;
};

/* The field at *at, NULL behind the last one: 1, 0 = there is none, MD_EPARSE. What was quoted is
 * copied to r->text. */
static int field_next(struct reader *r, const char **at, struct field *field)
{
    const char *p = *at, *end = r->line + r->line_bytes;
    if (p == NULL) {
        return 0;
    }
    field->quoted = p < end && *p == '"';
    if (!field->quoted) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma != NULL ? comma : end;
        field->text = str_make(p, (size_t)(stop - p));
        p = stop;
    } else {
        char *copy = r->text + r->text_used;
        size_t bytes = 0;
        for (p++;; p++) {
            if (p < end && *p == '"' && (++p == end || *p != '"')) {
                break;
            }
            if (p == end) {
                return MD_EPARSE;
            }
            copy[bytes++] = *p;
        }
        field->text = str_make(copy, bytes);
        r->text_used += bytes;
        if (p < end && *p != ',') {
            return MD_EPARSE;
        }
    }
    *at = p < end ? p + 1 : NULL;
    return 1;
}

/* The first line: our columns and perhaps others, or exactly tardis's. */
static int names_read(struct reader *r, struct err *err)
{
    struct csv_schema tardis;
    struct field field;
    uint32_t theirs = 0;
    int code = line_next(r, err);
    if (code != 1) {
        return code < 0 ? code : err_set(err, MD_ECORRUPT, "no line of names");
    }
    csv_schema_init(&tardis, r->schema, true);
    memset(r->has, 0, sizeof r->has);
    r->field_count = 0;
    r->text_used = 0;
    for (const char *at = r->line; (code = field_next(r, &at, &field)) == 1; r->field_count++) {
        char memory[64];
        uint32_t i = r->field_count;
        if (i == FIELDS_MAX) {
            return err_set(err, MD_ETOOBIG, "line 1: more names than any file has");
        }
        int column = column_named(r, field.text, i);
        if (tardis.tardis && i < tardis.count &&
            str_equal(field.text, csv_schema_name(&tardis, r->schema, i, memory))) {
            column = tardis.columns[i].index;
            theirs++;
        }
        if (column >= 0) {
            r->has[column] = true;
        }
        r->field_column[i] = (int16_t)column;
    }
    if (code < 0) {
        return err_set(err, code, "line 1: no line of names");
    }
    bool is_tardis = tardis.tardis && theirs == tardis.count && theirs == r->field_count;
    for (uint32_t i = 0; i < r->schema->column_count && !is_tardis; i++) {
        if (!r->has[i]) {
            return err_set(err, MD_ENOTSUP, "no column %s of our kind", r->schema->columns[i].name);
        }
    }
    return 0;
}

static int csv_row(struct reader *r, struct err *err)
{
    struct field field;
    const char *at = r->line;
    uint32_t count = 0;
    int code = 0;
    row_clear(r);
    while ((code = field_next(r, &at, &field)) == 1 && count < r->field_count) {
        int column = r->field_column[count++];
        if (column < 0 || (field.text.bytes == 0 && !field.quoted)) {
            continue; /* not ours, or null */
        }
        r->cells[column].null = false;
        if (!value_parse(r->schema->columns[column].type, field.text, &r->cells[column])) {
            return refuse(r, err, (uint32_t)column, "not a value of this column");
        }
    }
    if (code != 0 || count != r->field_count) {
        return err_set(err, MD_EPARSE, "line %llu: not the %u fields of its names",
                       (unsigned long long)r->line_number, r->field_count);
    }
    return 0;
}

/* ---- groups */

/* Reads rows until the group is full: 1; 0 = the end; or a code. */
static int fill(struct reader *r, struct err *err)
{
    while (r->group.row_count < r->group.row_capacity) {
        int code = r->pending ? 1 : line_next(r, err);
        if (code != 1) {
            return code;
        }
        r->pending = false;
        code = r->format == FORMAT_JSONL ? json_row(r, err) : csv_row(r, err);
        code = code != 0 ? code : row_check(r, err);
        if (code != 0) {
            return code;
        }
        code = row_group_append(&r->group, r->cells);
        if (code == MD_EFULL) {
            r->pending = true;
            return 1;
        }
        if (code != 0) {
            return err_set(err, code, "line %llu: %s", (unsigned long long)r->line_number,
                           err_text(code));
        }
    }
    return 1;
}

static int reader_next(struct row_reader *base, const struct row_group **group, struct err *err)
{
    struct reader *r = self(base);
    ASSERT(r->open);
    *group = &r->group;
    row_group_reset(&r->group, r->schema);
    if (r->failed == 0) {
        int code = fill(r, &r->why);
        r->failed = code < 0 ? code : 0;
    }
    if (r->group.row_count > 0) {
        return 1; /* the rows before the damage first */
    }
    return r->failed != 0 ? err_set(err, r->failed, "%s", r->why.text) : 0;
}

static void reader_close(struct row_reader *base)
{
    struct reader *r = self(base);
    if (r->open) {
        unpacker_close(r->unpacker);
        r->open = false;
    }
}

static int reader_open(struct row_reader *base, struct mdio *io, const char *path,
                       const struct schema *ours, struct err *err)
{
    struct reader *r = self(base);
    reader_close(base);
    r->schema = ours;
    r->piece = (struct str){0};
    r->line_number = 0;
    r->pending = false;
    r->failed = 0;
    int code = unpacker_open(r->unpacker, io, path);
    if (code != 0) {
        return err_set(err, code, "%s", err_text(code));
    }
    r->open = true;
    memset(r->has, 1, sizeof r->has);
    code = r->format == FORMAT_CSV ? names_read(r, err) : 0;
    if (code != 0) {
        reader_close(base);
    }
    return code;
}

static int reader_column(const struct row_reader *base, uint32_t index)
{
    return ((const struct reader *)(const void *)base)->has[index] ? (int)index : -1;
}

static void reader_destroy(struct row_reader *base)
{
    struct reader *r = self(base);
    if (r != NULL) {
        reader_close(base);
        row_group_deinit(&r->group);
        unpacker_destroy(r->unpacker);
        alloc_give(r->line);
        alloc_give(r);
    }
}

static const struct row_reader_ops ops = {
    .open = reader_open,
    .next = reader_next,
    .column = reader_column,
    .close = reader_close,
    .destroy = reader_destroy,
};

struct row_reader *text_row_reader_create(enum file_format format)
{
    struct reader *r = alloc_take(ALLOC_SEAL, sizeof *r);
    if (r == NULL) {
        return NULL;
    }
    r->base.ops = &ops;
    r->format = format;
    r->unpacker = unpacker_create(format);
    r->line = alloc_take(ALLOC_SEAL, 2 * ROW_READER_LINE_BYTES_MAX);
    if (r->unpacker == NULL || r->line == NULL ||
        row_group_init(&r->group, ROWS, COLUMNS, ROWS, TEXT_BYTES) != 0) {
        reader_destroy(&r->base);
        return NULL;
    }
    r->text = r->line + ROW_READER_LINE_BYTES_MAX;
    return &r->base;
}
