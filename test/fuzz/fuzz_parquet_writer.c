/* Any columns and rows, written as Parquet and read back by our reader: the same values in the same
 * order, whatever encoding each chunk chose. The input says the schema, how values run in each
 * column, and the writer's options. */
#include <stdlib.h>
#include <string.h>

#include "store/parquet_table.h"
#include "store/values_hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define ROWS_MAX 400
#define COLUMNS 12
#define GROUPS_MAX 4
#define WRITERS 4

static void must(bool so)
{
    if (!so) {
        abort();
    }
}

/* ---- the input, byte by byte; zeroes behind its end */

struct input {
    const uint8_t *p, *end;
};

static uint8_t take(struct input *input)
{
    return input->p < input->end ? *input->p++ : 0;
}

static int64_t take_i64(struct input *input)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        value = value << 8 | take(input);
    }
    return (int64_t)value;
}

/* ---- columns and values */

struct run {
    uint8_t kind; /* how the values of the column run */
    int64_t value, step;
    char text[24];
};

static struct schema schema;
static struct column_spec specs[COLUMNS];
static struct run runs[COLUMNS];

static void schema_make(struct input *input)
{
    static const char *const names[COLUMNS] = {
        "local_timestamp", "local_seq", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
    schema = (struct schema){.name = "fuzz", .version = 1, .columns = specs};
    schema.column_count = 1 + take(input) % COLUMNS;
    for (uint32_t c = 0; c < schema.column_count; c++) {
        uint8_t what = take(input);
        enum column_type type = (enum column_type)(what % (COLUMN_DEC + 1));
        specs[c] = (struct column_spec){names[c], type, what >= 128 || type == COLUMN_DEC};
        runs[c] = (struct run){.kind = take(input)};
        runs[c].value = runs[c].kind % 8 < 4 ? take_i64(input) : (int8_t)take(input);
        runs[c].step = (int8_t)take(input);
        for (size_t i = 0; i < sizeof runs[c].text; i++) {
            runs[c].text[i] = (char)(take(input) | (runs[c].kind & 1 ? 0 : 0x20));
        }
    }
}

/* The next number of a column: the same, a step on, one of a few, or from the input. */
static int64_t next_value(struct run *run, struct input *input)
{
    switch (run->kind % 4) {
    case 0:
        return run->value;
    case 1:
        run->value = (int64_t)((uint64_t)run->value + (uint64_t)run->step);
        return run->value;
    case 2:
        return run->value ^ take(input) % 8;
    default:
        return take_i64(input);
    }
}

static struct cell cell_make(uint32_t c, struct input *input)
{
    struct run *run = &runs[c];
    bool null = specs[c].nullable && (run->kind >> 4) % 4 != 0 && take(input) % 4 == 0;
    int64_t value = next_value(run, input);
    struct cell cell = {.null = null};
    switch (specs[c].type) {
    case COLUMN_I64:
    case COLUMN_TIME:
        cell.i64 = value;
        break;
    case COLUMN_I32:
        cell.i64 = (int32_t)value;
        break;
    case COLUMN_F64:
    case COLUMN_DEC:
        cell.dec = (struct decimal){value, (int8_t)(-(int)(run->kind % 13))};
        break;
    case COLUMN_BOOL:
        cell.i64 = value & 1;
        break;
    case COLUMN_TEXT:
        run->text[(uint64_t)value % sizeof run->text] ^= (char)(run->kind % 4 == 0 ? 0 : value);
        cell.text = str_make(run->text, (uint64_t)value % sizeof run->text);
        break;
    default:
        abort();
    }
    return cell;
}

/* ---- the file */

struct memory_file {
    char *data;
    size_t bytes, capacity;
};

static int memory_write(void *context, const void *data, size_t bytes)
{
    struct memory_file *file = context;
    if (file->bytes + bytes > file->capacity) {
        file->capacity = (file->bytes + bytes) * 2;
        file->data = realloc(file->data, file->capacity);
        must(file->data != NULL);
    }
    memcpy(file->data + file->bytes, data, bytes);
    file->bytes += bytes;
    return 0;
}

static void fill(struct row_group *group, uint32_t rows, struct input *input)
{
    row_group_reset(group, &schema);
    for (uint32_t r = 0; r < rows; r++) {
        struct cell cells[COLUMNS];
        for (uint32_t c = 0; c < schema.column_count; c++) {
            cells[c] = cell_make(c, input);
        }
        must(row_group_append(group, cells) == 0);
    }
}

/* The last group, cell by cell; the hash saw all of them. */
static void compare(const struct row_group *a, const struct row_group *b)
{
    must(a->row_count == b->row_count);
    for (uint32_t c = 0; c < schema.column_count; c++) {
        must(b->schema->columns[c].type == schema.columns[c].type);
        must(b->schema->columns[c].nullable == schema.columns[c].nullable);
        for (uint32_t r = 0; r < a->row_count; r++) {
            bool null = row_group_is_null(a, (int)c, r);
            must(null == row_group_is_null(b, (int)c, r));
            if (null) {
                continue;
            }
            if (schema.columns[c].type == COLUMN_TEXT) {
                must(str_equal(row_group_text_at(a, (int)c, r), row_group_text_at(b, (int)c, r)));
            } else if (schema.columns[c].type == COLUMN_BOOL) {
                must(a->columns[c].boolean[r] == b->columns[c].boolean[r]);
            } else if (schema.columns[c].type == COLUMN_DEC) {
                must(a->columns[c].dec[r] == b->columns[c].dec[r]);
            } else {
                must(a->columns[c].i64[r] == b->columns[c].i64[r]); /* doubles by their bits */
            }
        }
    }
}

static struct file_writer *writers[WRITERS];
static struct row_group group;
static struct parquet_table table;

static void set_up(void)
{
    static const struct writer_options options[WRITERS] = {
        {.zstd_level = 1, .page_rows = 64, .dictionary_bytes_max = 256},
        {.zstd_level = 1, .page_rows = 7, .dictionary_bytes_max = 65536},
        {.zstd_level = 3, .page_rows = 1000, .dictionary_bytes_max = 4096},
        {.zstd_level = 3, .page_rows = 128, .dictionary_bytes_max = 16},
    };
    for (int w = 0; w < WRITERS; w++) {
        struct writer_options one = options[w];
        one.row_group_rows_max = ROWS_MAX;
        one.row_groups_max = GROUPS_MAX;
        writers[w] = parquet_writer_create(&one, COLUMNS);
        must(writers[w] != NULL);
    }
    must(row_group_init(&group, ROWS_MAX, COLUMNS, 3 * ROWS_MAX, 1 << 20) == 0);
    must(parquet_table_init(&table) == 0);
}

static void read_back(struct str bytes, const struct values_hash *written)
{
    struct err err = {""};
    struct values_hash read;
    must(parquet_table_open(&table, file_source_memory(&bytes), &err) == 0);
    values_hash_begin(&read, parquet_reader_schema(table.reader));
    uint32_t groups = parquet_reader_info(table.reader)->group_count;
    for (uint32_t g = 0; g < groups; g++) {
        must(parquet_reader_rows(table.reader, g, &table.group, &err) == 0);
        values_hash_add(&read, &table.group);
    }
    must(read.rows == written->rows);
    must(values_hash_end(&read) == values_hash_end(written));
    if (groups > 0 && group.row_count > 0) {
        compare(&group, &table.group);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (table.reader == NULL) {
        set_up();
    }
    struct input input = {data, data + bytes};
    struct memory_file file = {NULL, 0, 0};
    struct file_writer *writer = writers[take(&input) % WRITERS];
    uint32_t groups = take(&input) % (GROUPS_MAX + 1);
    schema_make(&input);
    struct values_hash written;
    values_hash_begin(&written, &schema);
    row_group_reset(&group, &schema);
    must(writer->ops->begin(writer, &schema, (struct file_sink){memory_write, &file}) == 0);
    for (uint32_t g = 0; g < groups; g++) {
        fill(&group, 1 + (take(&input) * 7U) % ROWS_MAX, &input);
        must(writer->ops->write_group(writer, &group) == 0);
        values_hash_add(&written, &group);
    }
    must(writer->ops->end(writer, NULL, 0) == 0);
    must(writer->ops->bytes_written(writer) == file.bytes);
    read_back(str_make(file.data, file.bytes), &written);
    free(file.data);
    return 0;
}
