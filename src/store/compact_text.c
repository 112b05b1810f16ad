/* Lines of JSONL and CSV files into one. See compact_internal.h.
 * Place: compact's text formats. The text is packed anew, as one frame or member: readers that stop
 * after the first would lose the rest of files that were only put one behind the other.
 * Invariants: lines keep their order and their bytes; a CSV file's line of names stands once, and
 * files whose names differ are not merged. What is compared is the SHA-256 of all lines, of it the
 * first 64 bits. Memory: an unpacker, a packer, 16 KiB a line of names. */
#include "store/compact_internal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/failpoint.h"

#define NAMES_BYTES 16384

struct compact_text {
    struct unpacker *unpacker;
    struct packer *packer;
    EVP_MD_CTX *digest;
    char names[NAMES_BYTES];  /* the first file's, with its newline */
    char others[NAMES_BYTES]; /* those of the file being read */
    size_t names_bytes, others_bytes;

    /* of the file being read */
    enum file_format format;
    bool in_names, in_quotes, writes;
    uint64_t rows;
};

size_t compact_text_memory_bytes(const struct compact_config *config)
{
    return packer_memory_bytes(FORMAT_JSONL, config->writer.zstd_level) + ((size_t)9 << 20);
}

static void text_destroy(struct compact_text *text)
{
    if (text != NULL) {
        unpacker_destroy(text->unpacker);
        packer_destroy(text->packer);
        EVP_MD_CTX_free(text->digest);
        alloc_give(text);
    }
}

void compact_text_deinit(struct compact_work *work)
{
    text_destroy(work->text[FORMAT_JSONL]);
    text_destroy(work->text[FORMAT_CSV]);
}

/* NULL = no memory. */
static struct compact_text *text_of(struct compact_work *work, enum file_format format)
{
    if (work->text[format] != NULL) {
        return work->text[format];
    }
    struct compact_text *text = alloc_take(ALLOC_SEAL, sizeof *text);
    if (text == NULL) {
        return NULL;
    }
    text->format = format;
    text->unpacker = unpacker_create(format);
    text->packer = packer_create(format, work->config->writer.zstd_level);
    text->digest = EVP_MD_CTX_new();
    if (text->unpacker == NULL || text->packer == NULL || text->digest == NULL ||
        EVP_DigestInit_ex(text->digest, EVP_sha256(), NULL) != 1) {
        text_destroy(text);
        return NULL;
    }
    work->text[format] = text;
    return text;
}

/* ---- lines */

/* A newline within quotes is not a line's end. */
static uint64_t count_lines(struct compact_text *text, struct str lines)
{
    uint64_t count = 0;
    for (size_t i = 0; i < lines.bytes; i++) {
        char c = lines.data[i];
        text->in_quotes ^= c == '"' && text->format == FORMAT_CSV;
        count += c == '\n' && !text->in_quotes;
    }
    return count;
}

static int take_lines(struct compact_text *text, struct str lines)
{
    if (lines.bytes == 0) {
        return 0;
    }
    text->rows += count_lines(text, lines);
    if (EVP_DigestUpdate(text->digest, lines.data, lines.bytes) != 1) {
        return MD_ENOMEM;
    }
    return text->writes ? packer_put(text->packer, lines) : 0;
}

static int on_text(void *context, struct str piece)
{
    struct compact_text *text = context;
    if (!text->in_names) {
        return take_lines(text, piece);
    }
    const char *newline = memchr(piece.data, '\n', piece.bytes);
    size_t bytes = newline == NULL ? piece.bytes : (size_t)(newline - piece.data) + 1;
    if (bytes > NAMES_BYTES - text->others_bytes) {
        return MD_ETOOBIG;
    }
    memcpy(text->others + text->others_bytes, piece.data, bytes);
    text->others_bytes += bytes;
    text->in_names = newline == NULL;
    return take_lines(text, str_make(piece.data + bytes, piece.bytes - bytes));
}

static int read_file(struct compact_work *work, struct compact_text *text, struct str path_text,
                     struct err *err)
{
    char path[MANIFEST_PATH_MAX + 32];
    ASSERT(path_text.bytes < sizeof path);
    memcpy(path, path_text.data, path_text.bytes);
    path[path_text.bytes] = 0;
    text->in_names = text->format == FORMAT_CSV;
    text->in_quotes = false;
    text->others_bytes = 0;
    int code = unpacker_read(text->unpacker, work->io, path, on_text, text);
    if (code == 0 && (text->in_names || text->in_quotes)) {
        code = MD_ECORRUPT;
    }
    return code == 0 ? 0 : err_set(err, code, "%s: %s", path, err_text(code));
}

static int text_begin(struct compact_text *text, bool writes)
{
    text->writes = writes;
    text->rows = 0;
    return EVP_DigestInit_ex(text->digest, NULL, NULL) == 1 ? 0 : MD_ENOMEM;
}

static int text_end(struct compact_text *text, struct compact_values *values)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    if (EVP_DigestFinal_ex(text->digest, digest, &bytes) != 1) {
        return MD_ENOMEM;
    }
    *values = (struct compact_values){text->rows, load_u64(digest)};
    return 0;
}

/* ---- the three calls */

static int stop_after_names(void *context, struct str piece)
{
    struct compact_text *text = context;
    int code = on_text(context, piece);
    return code != 0 || text->in_names ? code : MD_ECLOSED;
}

static int read_names(struct compact_work *work, struct compact_text *text, struct str path_text,
                      struct err *err)
{
    char path[MANIFEST_PATH_MAX];
    memcpy(path, path_text.data, path_text.bytes);
    path[path_text.bytes] = 0;
    text->in_names = true;
    text->others_bytes = 0;
    int code = text_begin(text, false);
    code = code != 0 ? code : unpacker_read(text->unpacker, work->io, path, stop_after_names, text);
    if (code == MD_ECLOSED) {
        return 0;
    }
    if (code == 0 || code == MD_ECORRUPT) {
        return err_set(err, MD_ECORRUPT, "%s: no line of names", path);
    }
    return err_set(err, code, "%s: in the manifest, but %s", path, err_text(code));
}

static int alike(struct compact_work *work, const struct compact_file *files, uint32_t count,
                 uint32_t *same, struct err *err)
{
    struct compact_text *text = text_of(work, files[0].format);
    *same = count;
    if (text == NULL) {
        return err_set(err, MD_ENOMEM, "compact: no memory for text files");
    }
    if (text->format == FORMAT_JSONL) {
        return 0; /* each line has its names */
    }
    for (uint32_t i = 0; i < count; i++) {
        int code = read_names(work, text, files[i].entry.path, err);
        if (code != 0) {
            return code;
        }
        if (i == 0) {
            memcpy(text->names, text->others, text->others_bytes);
            text->names_bytes = text->others_bytes;
        } else if (!str_equal(str_make(text->names, text->names_bytes),
                              str_make(text->others, text->others_bytes))) {
            *same = i;
            break;
        }
    }
    return 0;
}

static int write_rows(struct compact_work *work, const struct compact_file *files, uint32_t count,
                      const struct manifest_entry *entry, struct compact_values *values,
                      struct err *err)
{
    struct compact_text *text = text_of(work, files[0].format);
    (void)entry;
    ASSERT(text != NULL);
    int code = text_begin(text, true);
    packer_begin(text->packer, disk_sink_writer(&work->sink));
    if (code == 0 && text->format == FORMAT_CSV) {
        code = packer_put(text->packer, str_make(text->names, text->names_bytes));
    }
    for (uint32_t i = 0; i < count && code == 0; i++) {
        uint64_t before = text->rows;
        code = read_file(work, text, files[i].entry.path, err);
        if (code == 0 && text->rows - before != files[i].entry.rows) {
            code = err_set(err, MD_ECORRUPT, "%.*s: %llu lines, %llu listed",
                           (int)files[i].entry.path.bytes, files[i].entry.path.data,
                           (unsigned long long)(text->rows - before),
                           (unsigned long long)files[i].entry.rows);
        }
        FAILPOINT("compact_after_row_group");
    }
    FAILPOINT("compact_before_footer");
    if (code == 0) {
        code = packer_end(text->packer);
        code = code == 0 ? text_end(text, values) : code;
        code = code == 0 ? 0 : err_set(err, code, "%s: %s", work->inprogress, err_text(code));
    }
    return code;
}

static int read_rows(struct compact_work *work, const char *path, enum file_format format,
                     struct compact_values *values, struct err *err)
{
    struct compact_text *text = text_of(work, format);
    ASSERT(text != NULL);
    int code = text_begin(text, false);
    code = code != 0 ? code : read_file(work, text, str_from(path), err);
    if (code == 0 && format == FORMAT_CSV &&
        !str_equal(str_make(text->names, text->names_bytes),
                   str_make(text->others, text->others_bytes))) {
        return err_set(err, MD_ECORRUPT, "%s: its names are not those of its inputs", path);
    }
    return code == 0 ? text_end(text, values) : code;
}

const struct compact_format compact_format_text = {alike, write_rows, read_rows};
