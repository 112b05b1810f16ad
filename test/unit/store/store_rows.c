/* See store_rows.h. Plain malloc: tests only. */
#include "store_rows.h"

#include <zlib.h>
#include <zstd.h>

#include "store/parquet_table.h"

static bool ends_in(const char *path, const char *ending)
{
    size_t bytes = strlen(path);
    size_t tail = strlen(ending);
    return bytes >= tail && strcmp(path + bytes - tail, ending) == 0;
}

/* ---- Parquet */

static bool parquet_rows(const struct kit_file *file, void (*on_seq)(void *context, uint64_t seq),
                         void *context)
{
    static struct parquet_table table; /* one for all: it is reused, and ends with the process */
    struct err err = {""};
    if (table.reader == NULL && parquet_table_init(&table) != 0) {
        abort();
    }
    struct str bytes = str_make(file->text, file->bytes);
    int code = parquet_table_open(&table, file_source_memory(&bytes), &err);
    if (code != 0) {
        return false;
    }
    int column = schema_column(parquet_reader_schema(table.reader), "local_seq");
    for (uint32_t g = 0; g < parquet_reader_info(table.reader)->group_count; g++) {
        if (parquet_reader_rows(table.reader, g, &table.group, &err) != 0) {
            return false;
        }
        for (uint32_t r = 0; r < table.group.row_count; r++) {
            on_seq(context, (uint64_t)table.group.columns[column].i64[r]);
        }
    }
    return true;
}

/* ---- text: local_seq is the last value of a line */

static char *unpack_zstd(const struct kit_file *file, size_t *bytes)
{
    size_t capacity = 1 << 22;
    char *text = malloc(capacity);
    ZSTD_DCtx *context = ZSTD_createDCtx();
    ZSTD_inBuffer in = {file->text, file->bytes, 0};
    ZSTD_outBuffer out = {text, capacity, 0};
    size_t left = 1;
    while (in.pos < in.size && !ZSTD_isError(left)) {
        left = ZSTD_decompressStream(context, &out, &in);
    }
    ZSTD_freeDCtx(context);
    *bytes = out.pos;
    if (left != 0) { /* an error, or it ended before its end */
        free(text);
        return NULL;
    }
    return text;
}

static char *unpack_gzip(const struct kit_file *file, size_t *bytes)
{
    size_t capacity = 1 << 22;
    char *text = malloc(capacity);
    z_stream stream = {.next_in = (unsigned char *)file->text,
                       .avail_in = (unsigned)file->bytes,
                       .next_out = (unsigned char *)text,
                       .avail_out = (unsigned)capacity};
    int state = inflateInit2(&stream, 15 + 16);
    state = state == Z_OK ? inflate(&stream, Z_FINISH) : state;
    inflateEnd(&stream);
    *bytes = stream.total_out;
    if (state != Z_STREAM_END || stream.avail_in > 0) {
        free(text);
        return NULL;
    }
    return text;
}

static bool text_rows(const struct kit_file *file, bool csv,
                      void (*on_seq)(void *context, uint64_t seq), void *context)
{
    size_t bytes = 0;
    char *text = csv ? unpack_gzip(file, &bytes) : unpack_zstd(file, &bytes);
    if (text == NULL || bytes == 0 || text[bytes - 1] != '\n') {
        free(text);
        return false;
    }
    const char *line = text;
    if (csv) {
        line = (const char *)memchr(text, '\n', bytes) + 1; /* names */
    }
    while (line < text + bytes) {
        const char *end = memchr(line, '\n', (size_t)(text + bytes - line));
        const char *value = csv ? end : end - 1; /* its closing brace */
        while (value[-1] >= '0' && value[-1] <= '9') {
            value--;
        }
        on_seq(context, strtoull(value, NULL, 10));
        line = end + 1;
    }
    free(text);
    return true;
}

bool store_rows_of(const struct kit_file *file, void (*on_seq)(void *context, uint64_t seq),
                   void *context)
{
    if (ends_in(file->path, ".parquet")) {
        return parquet_rows(file, on_seq, context);
    }
    return text_rows(file, ends_in(file->path, ".csv.gz"), on_seq, context);
}

/* ---- counted */

struct seen {
    uint8_t *rows;
    uint64_t last;
    uint32_t faults;
};

static void see(void *context, uint64_t seq)
{
    struct seen *seen = context;
    if (seq > seen->last || seen->rows[seq] != 0) {
        seen->faults++;
    } else {
        seen->rows[seq] = 1;
    }
}

uint32_t store_rows_faults(struct mdio *io, uint64_t last, bool (*wanted)(uint64_t seq))
{
    struct kit_files files = kit_files_read(io);
    struct seen seen = {.rows = calloc(1, last + 1), .last = last};
    for (uint32_t i = 0; i < files.count; i++) {
        seen.faults += !store_rows_of(&files.file[i], see, &seen);
    }
    for (uint64_t seq = 1; seq <= last && wanted != NULL; seq++) {
        seen.faults += (seen.rows[seq] != 0) != wanted(seq);
    }
    free(seen.rows);
    kit_files_free(&files);
    return seen.faults;
}
