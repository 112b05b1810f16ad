/* See store_kit.h. Plain malloc: tests only. */
#include "store_kit.h"

#include "base/assert.h"
#include "base/decimal.h"
#include "store/manifest.h"

/* ---- writer */

struct kit_writer {
    struct file_writer base;
    struct file_sink sink;
    const struct schema *schema;
    uint64_t bytes;
    int level;
};

static int put(struct kit_writer *writer, const void *data, size_t bytes)
{
    writer->bytes += bytes;
    return writer->sink.write(writer->sink.context, data, bytes);
}

static int writer_begin(struct file_writer *base, const struct schema *schema,
                        struct file_sink sink)
{
    struct kit_writer *writer = (struct kit_writer *)base;
    writer->sink = sink;
    writer->schema = schema;
    writer->bytes = 0;
    return 0;
}

static int put_cell(struct kit_writer *writer, const struct row_group *group, uint32_t c,
                    uint32_t row)
{
    const struct column *column = &group->columns[c];
    char text[64];
    if (column->valid != NULL && !column->valid[row]) {
        return put(writer, "~|", 2);
    }
    int bytes = 0;
    switch (group->schema->columns[c].type) {
    case COLUMN_TEXT: {
        struct str value = column->text_values[column->text_index[row]];
        int code = put(writer, value.data, value.bytes);
        return code < 0 ? code : put(writer, "|", 1);
    }
    case COLUMN_F64:
        bytes = snprintf(text, sizeof text, "%.17g|", column->f64[row]);
        break;
    case COLUMN_DEC:
        bytes = (int)column_dec_format(column->dec[row], text);
        text[bytes++] = '|';
        break;
    case COLUMN_BOOL:
        bytes = snprintf(text, sizeof text, "%d|", column->boolean[row]);
        break;
    case COLUMN_I64:
    case COLUMN_I32:
    case COLUMN_TIME:
        bytes = snprintf(text, sizeof text, "%lld|", (long long)column->i64[row]);
        break;
    }
    return put(writer, text, (size_t)bytes);
}

static int writer_write_group(struct file_writer *base, const struct row_group *group)
{
    struct kit_writer *writer = (struct kit_writer *)base;
    int code = 0;
    for (uint32_t row = 0; row < group->row_count && code == 0; row++) {
        for (uint32_t c = 0; c < group->schema->column_count && code == 0; c++) {
            code = put_cell(writer, group, c, row);
        }
        code = code == 0 ? put(writer, "\n", 1) : code;
    }
    return code < 0 ? code : put(writer, "#group\n", 7);
}

static int writer_end(struct file_writer *base, const struct key_value *kv, uint32_t kv_count)
{
    struct kit_writer *writer = (struct kit_writer *)base;
    int code = 0;
    for (uint32_t i = 0; i < kv_count && code == 0; i++) {
        char line[1024];
        int bytes = snprintf(line, sizeof line, "#%s=%s\n", kv[i].key, kv[i].value);
        code = put(writer, line, (size_t)bytes);
    }
    if (code == 0 && writer->level > 1) {
        char line[32];
        code = put(writer, line, (size_t)snprintf(line, sizeof line, "#level=%d\n", writer->level));
    }
    return code;
}

static void writer_set_level(struct file_writer *base, int zstd_level)
{
    ((struct kit_writer *)base)->level = zstd_level;
}

static uint64_t writer_bytes(const struct file_writer *base)
{
    return ((const struct kit_writer *)base)->bytes;
}

static void writer_destroy(struct file_writer *base)
{
    free(base);
}

struct file_writer *kit_writer_create(const struct writer_options *options)
{
    static const struct file_writer_ops ops = {.begin = writer_begin,
                                               .write_group = writer_write_group,
                                               .end = writer_end,
                                               .bytes_written = writer_bytes,
                                               .set_level = writer_set_level,
                                               .destroy = writer_destroy};
    (void)options;
    struct kit_writer *writer = calloc(1, sizeof *writer);
    if (writer != NULL) {
        writer->base.ops = &ops;
    }
    return &writer->base;
}

/* ---- settings and events */

struct store_config kit_config(void)
{
    return (struct store_config){
        .format = FORMAT_JSONL,
        .layout = LAYOUT_HIVE,
        .recorder = "rec",
        .streams_max = 64,
        .record_batch_rows = 512,
        .row_group_rows = 1000,
        .open_blocks_max = 64,
        .row_block_bytes = 1 << 20,
        .roll_ns = 3600 * KIT_S,
        .seal_jobs_max = 128,
        .writer = {.zstd_level = 1,
                   .page_rows = 20000,
                   .dictionary_bytes_max = 65536,
                   .row_group_rows_max = 1000,
                   .row_groups_max = 64},
        .skip_existing = true,
        .disk_reserve_bytes = 1,
        .writer_create = kit_writer_create,
    };
}

static struct str symbol_of(uint32_t index)
{
    static char names[20000][6];
    if (names[index][0] == 0) {
        snprintf(names[index], sizeof names[index], "S%04u", index % 10000);
    }
    return str_make(names[index], 5);
}

struct event kit_trade(uint32_t index, uint64_t seq, int64_t unix_ns)
{
    return (struct event){
        .channel = CHANNEL_TRADES,
        .venue = VENUE_BINANCE,
        .symbol = symbol_of(index),
        .event_unix_ns = unix_ns - 2 * KIT_MS,
        .recv_unix_ns = unix_ns,
        .conn = 1,
        .seq = seq,
        .trade = {.trade_id = (int64_t)seq,
                  .side = seq % 2 == 0 ? SIDE_BUY : SIDE_SELL,
                  .price = {640000 + (int64_t)(seq % 100), -1},
                  .amount = {(int64_t)(seq * 7919 % 10007) + 1, -4}},
    };
}

struct event kit_depth(uint32_t index, uint64_t seq, int64_t unix_ns)
{
    static const struct level bid = {{100, 0}, {2, 0}};
    return (struct event){
        .channel = CHANNEL_DEPTH,
        .venue = VENUE_BINANCE,
        .symbol = symbol_of(index),
        .event_unix_ns = TIME_NONE,
        .recv_unix_ns = unix_ns,
        .conn = 1,
        .seq = seq,
        .depth = {.first_update_id = (int64_t)seq,
                  .last_update_id = (int64_t)seq,
                  .prev_update_id = ID_NONE,
                  .bids = &bid,
                  .bid_count = 1},
    };
}

struct event kit_gap(uint32_t index, enum channel channel, uint64_t seq, int64_t unix_ns,
                     int64_t missing)
{
    return (struct event){
        .channel = CHANNEL_GAPS,
        .venue = VENUE_BINANCE,
        .symbol = symbol_of(index),
        .event_unix_ns = TIME_NONE,
        .recv_unix_ns = unix_ns,
        .seq = seq,
        .gap = {.of_channel = channel,
                .kind = GAP_SEQUENCE,
                .from_id = 1,
                .to_id = missing,
                .missing = missing,
                .start_unix_ns = unix_ns,
                .end_unix_ns = unix_ns},
    };
}

/* ---- reading back */

struct walk {
    struct mdio *io;
    struct kit_files *files;
    const char *folder;
};

static void read_folder(struct mdio *io, const char *folder, struct kit_files *files);

static void read_one(struct walk *walk, const char *path)
{
    int handle = mdio_open(walk->io, path, MDIO_READ);
    int64_t size = handle < 0 ? -1 : mdio_size(walk->io, handle);
    struct kit_file file = {.bytes = size < 0 ? 0 : (size_t)size};
    snprintf(file.path, sizeof file.path, "%s", path);
    file.text = calloc(1, file.bytes + 1);
    if (size < 0 || mdio_read_all(walk->io, handle, file.text, file.bytes, 0) != 0) {
        fprintf(stderr, "%s: cannot be read\n", path);
        abort();
    }
    mdio_close(walk->io, handle);
    struct kit_files *files = walk->files;
    files->file = realloc(files->file, (files->count + 1) * sizeof *files->file);
    files->file[files->count++] = file;
}

static void on_name(void *context, const char *name, bool is_directory)
{
    struct walk *walk = context;
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", walk->folder, name);
    if (is_directory) {
        read_folder(walk->io, path, walk->files);
    } else if (name[0] == '.') {
        size_t end = strlen(STORE_INPROGRESS_END); /* else a reader's *.parquet would match it */
        ASSERT(strlen(name) > end);
        ASSERT(strcmp(name + strlen(name) - end, STORE_INPROGRESS_END) == 0);
        walk->files->inprogress++;
    } else {
        read_one(walk, path);
    }
}

static void read_folder(struct mdio *io, const char *folder, struct kit_files *files)
{
    struct walk walk = {io, files, folder};
    mdio_list(io, folder, on_name, &walk); /* absent: nothing */
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct kit_file *)a)->path, ((const struct kit_file *)b)->path);
}

struct kit_files kit_files_read(struct mdio *io)
{
    struct kit_files files = {NULL, 0, 0};
    read_folder(io, "exchange=binance", &files);
    if (files.count > 0) {
        qsort(files.file, files.count, sizeof *files.file, by_path);
    }
    return files;
}

void kit_files_free(struct kit_files *files)
{
    for (uint32_t i = 0; i < files->count; i++) {
        free(files->file[i].text);
    }
    free(files->file);
    *files = (struct kit_files){NULL, 0, 0};
}

const struct kit_file *kit_file_of(const struct kit_files *files, const char *ending)
{
    for (uint32_t i = 0; i < files->count; i++) {
        size_t length = strlen(files->file[i].path);
        size_t tail = strlen(ending);
        if (length >= tail && strcmp(files->file[i].path + length - tail, ending) == 0) {
            return &files->file[i];
        }
    }
    return NULL;
}

uint32_t kit_rows(const struct kit_file *file)
{
    uint32_t rows = 0;
    bool begins = true;
    for (size_t i = 0; i < file->bytes; i++) {
        rows += begins && file->text[i] != '#';
        begins = file->text[i] == '\n';
    }
    return rows;
}

uint64_t kit_row_seq(const struct kit_file *file, uint32_t row)
{
    const char *line = file->text;
    for (uint32_t at = 0; at < row || line[0] == '#'; line = strchr(line, '\n') + 1) {
        at += line[0] != '#';
    }
    const char *end = strchr(line, '\n');
    const char *last = end - 1; /* its closing '|' */
    while (last > line && last[-1] != '|') {
        last--;
    }
    return strtoull(last, NULL, 10);
}

bool kit_footer(const struct kit_file *file, const char *key, char *out, size_t out_bytes)
{
    char begin[128];
    snprintf(begin, sizeof begin, "\n#%s=", key);
    const char *value = strstr(file->text, begin);
    if (value == NULL) {
        return false;
    }
    value += strlen(begin);
    size_t bytes = strcspn(value, "\n");
    snprintf(out, out_bytes, "%.*s", (int)bytes, value);
    return true;
}

bool kit_files_same(const struct kit_files *a, const struct kit_files *b)
{
    if (a->count != b->count) {
        fprintf(stderr, "%u files and %u\n", a->count, b->count);
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        const struct kit_file *x = &a->file[i];
        const struct kit_file *y = &b->file[i];
        if (strcmp(x->path, y->path) != 0 || x->bytes != y->bytes ||
            memcmp(x->text, y->text, x->bytes) != 0) {
            fprintf(stderr, "%s (%zu bytes) and %s (%zu bytes) differ\n", x->path, x->bytes,
                    y->path, y->bytes);
            return false;
        }
    }
    return true;
}

struct store *kit_store_open(struct mdio *io, const struct store_config *config,
                             const struct store_handlers *handlers)
{
    static const struct store_handlers none = {NULL, NULL, NULL};
    struct store *store = NULL;
    struct err err = {""};
    int code = store_open(&store, io, config, handlers != NULL ? handlers : &none, &err);
    if (code != 0) {
        fprintf(stderr, "store_open: %d: %s\n", code, err.text);
        abort();
    }
    return store;
}
