/* Rows of Parquet files into one, row group by row group. See compact_internal.h.
 * Invariants: rows keep their order; the merged file's row groups are full but the last (or end
 * where texts are full); the footer sums what the inputs' footers and manifest lines say. Memory:
 * one row group of the inputs, one of the output, the writer with tables for all its groups. */
#include "store/compact_internal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/failpoint.h"
#include "store/key_values.h"

#define NAME_BYTES 256
#define FACT_BYTES 96
#define GROUP_COLUMNS 16 /* a wider schema gets fewer rows a group */
#define GROUP_TEXT_BYTES_MIN ((size_t)256 << 10)

/* Texts of a row group; one whose texts are more ends early. */
static size_t text_bytes_of(uint32_t rows)
{
    size_t bytes = (size_t)rows * 32;
    return bytes > GROUP_TEXT_BYTES_MIN ? bytes : GROUP_TEXT_BYTES_MIN;
}

size_t compact_parquet_memory_bytes(const struct compact_config *config)
{
    uint32_t rows = config->writer.row_group_rows_max;
    return parquet_writer_memory_bytes(&config->writer, GROUP_COLUMNS) +
           row_group_memory_bytes(rows, GROUP_COLUMNS, rows, text_bytes_of(rows));
}

int compact_parquet_init(struct compact_work *work)
{
    uint32_t rows = work->config->writer.row_group_rows_max;
    work->names = alloc_take(ALLOC_SEAL, (size_t)(COLUMNS_MAX + 1) * NAME_BYTES);
    int code = parquet_table_init(&work->table);
    if (code == 0) {
        code = row_group_init(&work->out, rows, GROUP_COLUMNS, rows, text_bytes_of(rows));
    }
    return work->names == NULL ? MD_ENOMEM : code;
}

void compact_parquet_deinit(struct compact_work *work)
{
    row_group_deinit(&work->out);
    parquet_table_deinit(&work->table);
    alloc_give(work->names);
}

/* ---- columns */

static void schema_copy(struct compact_work *work, const struct schema *from)
{
    work->schema = *from;
    work->schema.columns = work->specs;
    for (uint32_t c = 0; c <= from->column_count; c++) {
        char *name = work->names + (size_t)c * NAME_BYTES;
        const char *text = c < from->column_count ? from->columns[c].name : from->name;
        ASSERT(strlen(text) < NAME_BYTES);
        memcpy(name, text, strlen(text) + 1);
        if (c < from->column_count) {
            work->specs[c] = from->columns[c];
            work->specs[c].name = name;
        } else {
            work->schema.name = name;
        }
    }
}

static bool schema_same(const struct schema *a, const struct schema *b)
{
    if (a->column_count != b->column_count || strcmp(a->name, b->name) != 0) {
        return false;
    }
    for (uint32_t c = 0; c < a->column_count; c++) {
        const struct column_spec *x = &a->columns[c];
        const struct column_spec *y = &b->columns[c];
        if (strcmp(x->name, y->name) != 0 || x->type != y->type || x->nullable != y->nullable) {
            return false;
        }
    }
    return true;
}

/* Opens the file in the table; close with file_source_close() whatever it returns. */
static int open_input(struct compact_work *work, struct str path_text,
                      struct file_source_handle *file, struct err *err)
{
    char path[MANIFEST_PATH_MAX + 32];
    ASSERT(path_text.bytes < sizeof path);
    memcpy(path, path_text.data, path_text.bytes);
    path[path_text.bytes] = 0;
    int code = file_source_open(file, work->io, path);
    if (code < 0) {
        return err_set(err, code, "%s: in the manifest, but %s", path, err_text(code));
    }
    code = parquet_table_open(&work->table, file->source, err);
    return code != 0 ? err_append(err, code, "%s", path) : 0;
}

static int alike(struct compact_work *work, const struct compact_file *files, uint32_t count,
                 uint32_t *same, struct err *err)
{
    work->input_groups = 0;
    for (*same = 0; *same < count; (*same)++) {
        struct file_source_handle file;
        int code = open_input(work, files[*same].entry.path, &file, err);
        bool other = false;
        if (code == 0 && *same == 0) {
            schema_copy(work, parquet_reader_schema(work->table.reader));
        } else if (code == 0) {
            other = !schema_same(&work->schema, parquet_reader_schema(work->table.reader));
        }
        if (code == 0 && !other) {
            work->input_groups += parquet_reader_info(work->table.reader)->group_count;
        }
        file_source_close(&file);
        if (code != 0) {
            return code;
        }
        if (other) {
            break;
        }
    }
    return 0;
}

/* ---- what footers say that no manifest line does */

static const char *const fact_keys[] = {
    "base", "quote", "tick_size", "lot_size", "contract_multiplier", "feed"};
#define FACT_COUNT (sizeof fact_keys / sizeof fact_keys[0])
#define FACT_FEED (FACT_COUNT - 1)

struct facts {
    char value[FACT_COUNT][FACT_BYTES];
};

/* The last file's facts win; of feeds, "mixed" says that there were two. */
static void facts_note(struct facts *facts, const struct parquet_reader *reader)
{
    const struct parquet_info *info = parquet_reader_info(reader);
    for (uint32_t i = 0; i < info->kv_count; i++) {
        struct str key;
        struct str value;
        parquet_reader_key_value(reader, i, &key, &value);
        for (size_t f = 0; f < FACT_COUNT; f++) {
            if (!str_equal(key, str_from(fact_keys[f])) || value.bytes >= FACT_BYTES) {
                continue;
            }
            char *out = facts->value[f];
            if (f == FACT_FEED && out[0] != 0 && !str_equal(str_from(out), value)) {
                value = STR("mixed");
            }
            memcpy(out, value.data, value.bytes);
            out[value.bytes] = 0;
        }
    }
}

static void footer_make(struct key_values *values, const struct manifest_entry *entry,
                        const struct facts *facts, uint32_t files)
{
    key_values_begin(values);
    key_values_text(values, "producer", STR("market-data"));
    key_values_text(values, "producer_version", STR(MD_VERSION));
    key_values_text(values, "recorder", entry->recorder);
    key_values_text(values, "schema", entry->schema);
    key_values_count(values, "schema_version", entry->schema_version);
    key_values_text(values, "venue", str_from(venue_name(entry->venue)));
    if (entry->symbol.bytes > 0) {
        char symbol[4 * 1024];
        str_printable(symbol, sizeof symbol, entry->symbol.data,
                      entry->symbol.bytes < 1000 ? entry->symbol.bytes : 1000);
        key_values_text(values, "symbol", str_from(symbol));
    }
    for (size_t f = 0; f < FACT_COUNT; f++) {
        key_values_text(values, fact_keys[f], str_from(facts->value[f]));
    }
    key_values_count(values, "gap_count", entry->gaps);
    key_values_count(values, "missing_ids", entry->missing);
    key_values_id(values, "first_sequence", entry->first_sequence);
    key_values_id(values, "last_sequence", entry->last_sequence);
    key_values_count(values, "journal_first_seq", entry->first_seq);
    key_values_count(values, "journal_last_seq", entry->last_seq);
    key_values_count(values, "digits_over_15", entry->digits_over_15);
    key_values_count(values, "merged_files", files);
}

/* ---- rows */

static int write_out(struct compact_work *work, struct file_writer *writer, struct err *err)
{
    int code = work->out.row_count == 0 ? 0 : writer->ops->write_group(writer, &work->out);
    row_group_reset(&work->out, &work->schema);
    FAILPOINT("compact_after_row_group");
    return code == 0 ? 0
                     : err_set(err, code == MD_EFULL ? MD_ETOOBIG : code, "%s: %s",
                               work->inprogress, err_text(code));
}

static int add_group(struct compact_work *work, struct file_writer *writer, struct err *err)
{
    const struct row_group *from = &work->table.group;
    values_hash_add(&work->hash, from);
    for (uint32_t at = 0; at < from->row_count;) {
        at += row_group_append_rows(&work->out, from, at, from->row_count - at);
        if (at < from->row_count || work->out.row_count == work->out.row_capacity) {
            int code = write_out(work, writer, err);
            if (code != 0) {
                return code;
            }
        }
    }
    return 0;
}

static int add_file(struct compact_work *work, struct file_writer *writer,
                    const struct compact_file *input, struct facts *facts, struct err *err)
{
    struct file_source_handle file;
    int code = open_input(work, input->entry.path, &file, err);
    if (code == 0) {
        facts_note(facts, work->table.reader);
        const struct parquet_info *info = parquet_reader_info(work->table.reader);
        if ((uint64_t)info->row_count != input->entry.rows) {
            code = err_set(err, MD_ECORRUPT, "%.*s: %lld rows, %llu listed",
                           (int)input->entry.path.bytes, input->entry.path.data,
                           (long long)info->row_count, (unsigned long long)input->entry.rows);
        }
        for (uint32_t g = 0; g < info->group_count && code == 0; g++) {
            code = parquet_reader_rows(work->table.reader, g, &work->table.group, err);
            code = code != 0 ? code : add_group(work, writer, err);
        }
    }
    file_source_close(&file);
    return code;
}

/* Tables for as many groups as there can be: rows by the group, and one begun early a group of the
 * inputs, where texts were full. Wide schemas take more of them. */
static struct writer_options options_for(const struct compact_work *work, uint64_t rows)
{
    struct writer_options options = work->config->writer;
    uint64_t groups = rows / work->out.row_capacity + 1 + work->input_groups;
    uint64_t wide = work->schema.column_count / GROUP_COLUMNS + 1;
    groups = groups * wide < 1000000 ? groups * wide : 1000000;
    options.row_groups_max = (uint32_t)groups;
    return options;
}

static int write_rows(struct compact_work *work, const struct compact_file *files, uint32_t count,
                      const struct manifest_entry *entry, struct compact_values *values,
                      struct err *err)
{
    row_group_reset(&work->out, &work->schema);
    struct writer_options options = options_for(work, entry->rows);
    struct file_writer *writer = parquet_writer_create(&options, GROUP_COLUMNS);
    if (writer == NULL) {
        return err_set(err, MD_ENOMEM, "%s: no memory for %u row groups", work->path,
                       options.row_groups_max);
    }
    struct facts facts = {{{0}}};
    values_hash_begin(&work->hash, &work->schema);
    int code = writer->ops->begin(writer, &work->schema, disk_sink_writer(&work->sink));
    for (uint32_t i = 0; i < count && code == 0; i++) {
        code = add_file(work, writer, &files[i], &facts, err);
    }
    code = code != 0 ? code : write_out(work, writer, err);
    if (code == 0) {
        struct key_values footer;
        footer_make(&footer, entry, &facts, count);
        FAILPOINT("compact_before_footer");
        code = writer->ops->end(writer, footer.kv, footer.count);
        if (code != 0) {
            err_set(err, code, "%s: %s", work->inprogress, err_text(code));
        }
    }
    writer->ops->destroy(writer);
    *values = (struct compact_values){work->hash.rows, values_hash_end(&work->hash)};
    return code;
}

static int read_rows(struct compact_work *work, const char *path, enum file_format format,
                     struct compact_values *values, struct err *err)
{
    struct file_source_handle file;
    (void)format;
    int code = open_input(work, str_from(path), &file, err);
    if (code == 0) {
        values_hash_begin(&work->hash, parquet_reader_schema(work->table.reader));
        uint32_t groups = parquet_reader_info(work->table.reader)->group_count;
        for (uint32_t g = 0; g < groups && code == 0; g++) {
            code = parquet_reader_rows(work->table.reader, g, &work->table.group, err);
            if (code == 0) {
                values_hash_add(&work->hash, &work->table.group);
            }
        }
    }
    file_source_close(&file);
    *values = (struct compact_values){work->hash.rows, values_hash_end(&work->hash)};
    return code;
}

const struct compact_format compact_format_parquet = {alike, write_rows, read_rows};
