/* Writes one sealed file: the chain's blocks are decoded in order into row groups, the writer
 * encodes them, the sink hashes and writes. Place: seal thread (or the landing thread, when there
 * is none). Invariants: what is written depends on the rows, the settings and the job's facts
 * alone: groups are cut by row count and by the group's capacity, never by how the rows lay in
 * blocks. A file is synced before it is called written. Memory: one row group, the writer's pages,
 * the spool reader, 64 KiB of sink. */
#include "store/seal_file.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/failpoint.h"
#include "store/key_values.h"

#include <assert.h>
#include <string.h>

static_assert(ROW_TEXT_BYTES_MAX == COLUMN_TEXT_BYTES_MAX, "a text that landed can be written");

/* ---- set-up */

struct seal_bounds seal_bounds_of(const struct store_config *config)
{
    /* A group's text memory: enough for ids of 24 bytes a row, within reason. */
    uint64_t text_bytes = (uint64_t)config->row_group_rows * 24;
    text_bytes = text_bytes < (256 << 10) ? 256 << 10 : text_bytes;
    text_bytes = text_bytes > (2 << 20) ? 2 << 20 : text_bytes;
    uint32_t texts = config->row_group_rows < 16384 ? config->row_group_rows : 16384;
    uint32_t groups = config->writer.row_groups_max;
    return (struct seal_bounds){
        .groups = groups > 4 ? groups : 4,
        .rows = config->row_group_rows,
        .texts = texts < 64 ? 64 : texts,
        .text_bytes = text_bytes,
    };
}

static size_t writer_memory_bytes(const struct store_config *config)
{
    switch (config->format) {
    case FORMAT_JSONL:
        return jsonl_writer_memory_bytes(&config->writer);
    case FORMAT_CSV:
        return csv_writer_memory_bytes(&config->writer);
    case FORMAT_PARQUET:
        break;
    }
    return parquet_writer_memory_bytes(&config->writer, SEAL_GROUP_COLUMNS);
}

static struct file_writer *writer_create(const struct store_config *config)
{
    if (config->writer_create != NULL) {
        return config->writer_create(&config->writer);
    }
    switch (config->format) {
    case FORMAT_JSONL:
        return jsonl_writer_create(&config->writer);
    case FORMAT_CSV:
        return csv_writer_create(&config->writer);
    case FORMAT_PARQUET:
        break;
    }
    return parquet_writer_create(&config->writer, SEAL_GROUP_COLUMNS);
}

size_t seal_file_memory_bytes(const struct seal_config *config)
{
    struct seal_bounds bounds = seal_bounds_of(config->store);
    size_t bytes = DISK_SINK_BYTES;
    bytes += spool_reader_memory_bytes(config->blocks_max);
    bytes += row_group_memory_bytes(config->store->row_group_rows, SEAL_GROUP_COLUMNS,
                                    (uint32_t)bounds.texts, bounds.text_bytes);
    bytes += writer_memory_bytes(config->store);
    return bytes;
}

int seal_file_init(struct seal_file *file, const struct seal_config *config, struct mdio *io,
                   struct spool *spool, struct err *err)
{
    struct seal_bounds bounds = seal_bounds_of(config->store);
    file->config = config->store;
    file->io = io;
    int code = spool_reader_init(&file->reader, spool, config->blocks_max);
    if (code == 0) {
        code = row_group_init(&file->group, config->store->row_group_rows, SEAL_GROUP_COLUMNS,
                              (uint32_t)bounds.texts, bounds.text_bytes);
    }
    file->writer = code == 0 ? writer_create(config->store) : NULL;
    int sink = disk_sink_init(&file->sink, io);
    if (code != 0 || file->writer == NULL || sink != 0) {
        seal_file_deinit(file);
        return err_set(err, MD_ENOMEM, "seal: no memory for a row group of %u rows",
                       config->store->row_group_rows);
    }
    return 0;
}

void seal_file_deinit(struct seal_file *file)
{
    if (file->writer != NULL) {
        file->writer->ops->destroy(file->writer);
    }
    disk_sink_deinit(&file->sink);
    row_group_deinit(&file->group);
    spool_reader_deinit(&file->reader);
    memset(file, 0, sizeof *file);
}

/* ---- rows */

/* The id in a row of a column; ID_NONE where the channel or the row has none. */
static int64_t id_at(const struct row_group *group, int column, uint32_t row)
{
    if (column < 0) {
        return ID_NONE;
    }
    const struct column *ids = &group->columns[column];
    return ids->valid == NULL || ids->valid[row] != 0 ? ids->i64[row] : ID_NONE;
}

/* The file's first and last id: the group is looked at from either end. */
static void note_sequence(struct seal_file *file)
{
    const struct row_group *group = &file->group;
    for (uint32_t i = 0; i < group->row_count && file->first_sequence == ID_NONE; i++) {
        file->first_sequence = id_at(group, file->first_column, i);
    }
    int64_t last = ID_NONE;
    for (uint32_t i = group->row_count; i > 0 && last == ID_NONE; i--) {
        last = id_at(group, file->last_column, i - 1);
    }
    file->last_sequence = last != ID_NONE ? last : file->last_sequence;
}

static int write_group(struct seal_file *file)
{
    row_fill_end_group(&file->fill);
    note_sequence(file);
    int code = file->writer->ops->write_group(file->writer, &file->group);
    file->rows += file->group.row_count;
    file->digits_over_15 += file->group.digits_over_15;
    file->group.digits_over_15 = 0;
    const struct schema *schema = file->group.schema;
    row_group_reset(&file->group, schema);
    FAILPOINT("seal_after_row_group");
    return code;
}

static int add_block(struct seal_file *file, struct str rows)
{
    const uint8_t *p = (const uint8_t *)rows.data;
    const uint8_t *end = p + rows.bytes;
    int code = 0;
    while ((code = row_fill(&file->fill, &p, end)) == MD_EFULL && file->group.row_count > 0) {
        code = write_group(file);
        if (code < 0) {
            break;
        }
    }
    return code;
}

static int write_rows(struct seal_file *file, const struct seal_job *job)
{
    file->fill.cells[0] =
        (struct cell){.null = false, .text = str_from(venue_name((enum venue_id)job->venue))};
    file->fill.cells[1] = (struct cell){.null = false, .text = job->symbol};
    int code = spool_reader_begin(&file->reader, &job->chain);
    struct str rows;
    uint32_t row_count = 0;
    while (code == 0 && (code = spool_reader_next(&file->reader, &rows, &row_count)) == 1) {
        code = add_block(file, rows);
    }
    if (code == 0 && file->group.row_count > 0) {
        code = write_group(file);
    }
    if (code == 0 && file->rows != job->rows) {
        code = MD_ECORRUPT;
    }
    return code;
}

/* ---- footer */

static void put_facts(struct key_values *footer, const struct seal_facts *facts)
{
    key_values_text(footer, "base", str_from(facts->base));
    key_values_text(footer, "quote", str_from(facts->quote));
    key_values_decimal(footer, "tick_size", facts->tick_size);
    key_values_decimal(footer, "lot_size", facts->lot_size);
    key_values_decimal(footer, "contract_multiplier", facts->contract_multiplier);
}

static void footer_make(struct key_values *footer, const struct seal_file *file,
                        const struct seal_job *job)
{
    const struct schema *schema = file->fill.layout.schema;
    key_values_begin(footer);
    key_values_text(footer, "producer", STR("market-data"));
    key_values_text(footer, "producer_version", STR(MD_VERSION));
    key_values_text(footer, "recorder", str_from(file->config->recorder));
    key_values_text(footer, "schema", str_from(schema->name));
    key_values_count(footer, "schema_version", schema->version);
    key_values_text(footer, "venue", str_from(venue_name((enum venue_id)job->venue)));
    bool binary = (file->config->binary_channels[job->venue] >> job->channel & 1) != 0;
    key_values_text(footer, "feed", str_from(binary ? "sbe" : "json"));
    if (job->symbol.bytes > 0) {
        char symbol[4 * 1024];
        str_printable(symbol, sizeof symbol, job->symbol.data,
                      job->symbol.bytes < 1000 ? job->symbol.bytes : 1000);
        key_values_text(footer, "symbol", str_from(symbol));
    }
    if (job->facts != NULL) {
        put_facts(footer, job->facts);
    }
    key_values_count(footer, "gap_count", job->gaps);
    key_values_count(footer, "missing_ids", job->missing);
    key_values_id(footer, "first_sequence", file->first_sequence);
    key_values_id(footer, "last_sequence", file->last_sequence);
    key_values_count(footer, "journal_first_seq", job->first_seq);
    key_values_count(footer, "journal_last_seq", job->last_seq);
    key_values_count(footer, "digits_over_15", file->digits_over_15);
}

/* ---- the whole file */

static int file_begin(struct seal_file *file, const struct seal_job *job, const char *path)
{
    const struct schema *schema =
        schema_of_with((enum channel)job->channel, file->config->schema_options);
    uint32_t skip = schema_has_symbol_path((enum channel)job->channel) ? 2 : 1;
    row_group_reset(&file->group, schema);
    row_fill_begin(&file->fill, schema, skip, &file->group);
    file->group.digits_over_15 = 0;
    file->rows = file->digits_over_15 = 0;
    file->first_sequence = file->last_sequence = ID_NONE;
    schema_sequence_columns(schema, &file->first_column, &file->last_column);
    int code = disk_sink_open(&file->sink, path);
    if (code < 0) {
        return code;
    }
    FAILPOINT("seal_after_tmp_create");
    if (file->writer->ops->set_level != NULL) {
        file->writer->ops->set_level(file->writer, job->zstd_level);
    }
    return file->writer->ops->begin(file->writer, schema, disk_sink_writer(&file->sink));
}

static int file_end(struct seal_file *file, const struct seal_job *job)
{
    struct key_values footer;
    footer_make(&footer, file, job);
    FAILPOINT("seal_before_footer");
    int code = file->writer->ops->end(file->writer, footer.kv, footer.count);
    return code == 0 ? disk_sink_sync(&file->sink) : code;
}

/* Rows in the file: a tardis CSV leaves out what is no trade. */
static uint64_t rows_in_file(const struct seal_file *file, const struct seal_job *job)
{
    const struct file_writer_ops *ops = file->writer->ops;
    return job->rows - (ops->rows_left_out == NULL ? 0 : ops->rows_left_out(file->writer));
}

static int entry_make(struct seal_file *file, const struct seal_job *job,
                      struct manifest_entry *entry)
{
    const struct schema *schema = file->fill.layout.schema;
    *entry = (struct manifest_entry){
        .venue = (enum venue_id)job->venue,
        .channel = (enum channel)job->channel,
        .symbol = job->symbol,
        .schema = str_from(schema->name),
        .schema_version = schema->version,
        .rows = rows_in_file(file, job),
        .bytes = (uint64_t)file->sink.offset,
        .first_local_us = job->first_unix_ns / NS_PER_US,
        .last_local_us = job->last_unix_ns / NS_PER_US,
        .first_seq = job->first_seq,
        .last_seq = job->last_seq,
        .first_sequence = file->first_sequence,
        .last_sequence = file->last_sequence,
        .gaps = job->gaps,
        .missing = job->missing,
        .digits_over_15 = file->digits_over_15,
    };
    return disk_sink_sha256(&file->sink, entry->sha256);
}

int seal_file_write(struct seal_file *file, const struct seal_job *job, const char *path,
                    struct manifest_entry *entry)
{
    int code = file_begin(file, job, path);
    if (code == 0) {
        code = write_rows(file, job);
    }
    if (code == 0) {
        code = file_end(file, job);
    }
    if (code == 0) {
        code = entry_make(file, job, entry);
    }
    int closed = disk_sink_close(&file->sink);
    return code == 0 ? closed : code;
}
