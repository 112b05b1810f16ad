/* `journal cat` and `journal load`: the journal as lines of the recording text format and back
 * (record.h). Plain read() and write() on descriptors, one bounded buffer each way, taken for the
 * call. Loading appends through the writer like live capture does, so that what is loaded lands
 * exactly as if it had just come in. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "journal/reader.h"
#include "journal/writer.h"

#define TEXT_BATCH_BYTES (256u << 10) /* written or read at once */

/* The longest line that is written or read, without its newline. */
static size_t line_bytes_max(uint32_t record_bytes_max)
{
    return 2 * (size_t)record_bytes_max + RECORD_TEXT_HEAD_BYTES_MAX;
}

/* ---- Out. */

static int write_out(int fd, struct buf *text, struct err *err)
{
    size_t done = 0;
    while (done < text->bytes) {
        ssize_t n = write(fd, text->data + done, text->bytes - done);
        if (n < 0 && errno != EINTR) {
            int code = err_from_errno(errno);
            return err_set(err, code, "journal cat: output: %s", strerror(errno));
        }
        done += n > 0 ? (size_t)n : 0;
    }
    buf_reset(text);
    return 0;
}

int journal_cat(struct journal_reader *reader, int out_fd, struct journal_text_stats *stats,
                struct err *err)
{
    size_t line_max = line_bytes_max(journal_reader_record_bytes_max(reader)) + 1;
    size_t capacity = line_max + TEXT_BATCH_BYTES;
    char *memory = alloc_take(ALLOC_JOURNAL, capacity);
    if (memory == NULL) {
        return err_set(err, MD_ENOMEM, "journal cat: no memory for a line of %zu bytes", line_max);
    }
    struct buf text = buf_over(memory, capacity);
    struct record record;
    int code;
    *stats = (struct journal_text_stats){0};
    while ((code = journal_reader_next(reader, &record, err)) > 0) {
        record_format(&record, &text);
        buf_put_char(&text, '\n');
        ASSERT(!text.overflow); /* a line fits after every batch */
        stats->records++;
        if (text.bytes >= TEXT_BATCH_BYTES) {
            code = write_out(out_fd, &text, err);
            if (code < 0) {
                break;
            }
        }
    }
    int written = code < 0 && text.bytes == 0 ? 0 : write_out(out_fd, &text, code < 0 ? NULL : err);
    alloc_give(memory);
    return code < 0 ? code : written;
}

/* ---- In. */

struct load {
    struct journal *journal;
    struct journal_text_stats *stats;
    struct err *err;
    bool strict;
    uint64_t line_number;
    int64_t last_unix_ns;
    bool any;
};

static int refuse_line(struct load *load, int code, struct err *why)
{
    load->stats->lines_refused++;
    if (load->stats->lines_refused == 1 || load->strict) {
        (void)err_set(load->err, code, "line %llu: %s", (unsigned long long)load->line_number,
                      why->text);
    }
    return load->strict ? code : 0;
}

/* Appends, waiting for the disk when it is slow: a load is in no hurry. */
static int append_patiently(struct journal *journal, struct record *record)
{
    int code = journal_append(journal, record, 0);
    if (code < 0 && code != MD_ETOOBIG) {
        code = journal_sync(journal);
        if (code == 0) {
            code = journal_append(journal, record, 0);
        }
    }
    return code;
}

/* A REST body above a part goes in as parts and a rest, as live capture does it. */
static int append_record(struct journal *journal, struct record *record)
{
    while (record->kind == RECORD_REST && record->payload.bytes > JOURNAL_REST_PART_BYTES) {
        struct record part = *record;
        part.kind = RECORD_REST_PART;
        part.payload.bytes = JOURNAL_REST_PART_BYTES;
        int code = append_patiently(journal, &part);
        if (code < 0) {
            return code;
        }
        record->payload.data += JOURNAL_REST_PART_BYTES;
        record->payload.bytes -= JOURNAL_REST_PART_BYTES;
    }
    return append_patiently(journal, record);
}

static int load_line(struct load *load, char *line, size_t bytes)
{
    struct record record;
    struct err why = {""};
    load->line_number++;
    int code = record_parse(line, bytes, &record, &why);
    if (code > 0) {
        load->stats->lines_skipped++;
        return 0;
    }
    if (code == 0 && load->any && record.time_unix_ns < load->last_unix_ns) {
        code =
            err_set(&why, MD_EPARSE, "time: %.3f s before the line above: sort the lines by time",
                    (double)(load->last_unix_ns - record.time_unix_ns) / (double)NS_PER_S);
    }
    if (code < 0) {
        return refuse_line(load, code, &why);
    }
    code = append_record(load->journal, &record);
    if (code == MD_ETOOBIG) {
        (void)err_set(&why, code, "a record of %zu bytes, at most %u are kept",
                      record_packed_bytes(&record), load->journal->config.record_bytes_max);
        return refuse_line(load, code, &why);
    }
    if (code < 0) {
        return err_set(load->err, code, "line %llu: the journal takes no more: %s",
                       (unsigned long long)load->line_number, err_text(code));
    }
    load->any = true;
    load->last_unix_ns = record.time_unix_ns;
    load->stats->records++;
    return 0;
}

static int load_too_long(struct load *load, size_t line_max)
{
    struct err why = {""};
    load->line_number++;
    (void)err_set(&why, MD_ETOOBIG, "longer than %zu bytes", line_max);
    return refuse_line(load, MD_ETOOBIG, &why);
}

/* Takes the whole lines out of text[0, *bytes) and moves the rest to the front. `skipping` is set
 * while the end of an over-long line has not been seen. */
static int load_lines(struct load *load, char *text, size_t *bytes, size_t line_max, bool *skipping)
{
    size_t from = 0;
    int code = 0;
    while (code == 0 && from < *bytes) {
        char *end = memchr(text + from, '\n', *bytes - from);
        if (end == NULL) {
            break;
        }
        size_t line_bytes = (size_t)(end - (text + from));
        if (*skipping) {
            *skipping = false;
        } else if (line_bytes > line_max) {
            code = load_too_long(load, line_max);
        } else {
            code = load_line(load, text + from, line_bytes);
        }
        from += line_bytes + 1;
    }
    *bytes -= from;
    memmove(text, text + from, *bytes);
    if (code == 0 && *bytes > line_max) {
        if (!*skipping) {
            code = load_too_long(load, line_max);
        }
        *skipping = true;
    }
    if (*skipping) {
        *bytes = 0;
    }
    return code;
}

static int load_all(struct load *load, int in_fd, char *text, size_t capacity, size_t line_max)
{
    size_t bytes = 0;
    bool skipping = false;
    for (;;) {
        ASSERT(bytes < capacity);
        ssize_t n = read(in_fd, text + bytes, capacity - bytes);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            int code = err_from_errno(errno);
            return err_set(load->err, code, "journal load: input: %s", strerror(errno));
        }
        if (n == 0) {
            return bytes > 0 && !skipping ? load_line(load, text, bytes) : 0;
        }
        bytes += (size_t)n;
        int code = load_lines(load, text, &bytes, line_max, &skipping);
        if (code < 0) {
            return code;
        }
    }
}

int journal_load(struct journal *journal, int in_fd, bool strict, struct journal_text_stats *stats,
                 struct err *err)
{
    size_t line_max = line_bytes_max(journal->config.record_bytes_max);
    size_t capacity = line_max + TEXT_BATCH_BYTES;
    char *text = alloc_take(ALLOC_JOURNAL, capacity);
    if (text == NULL) {
        return err_set(err, MD_ENOMEM, "journal load: no memory for a line of %zu bytes", line_max);
    }
    *stats = (struct journal_text_stats){0};
    struct load load = {.journal = journal, .stats = stats, .err = err, .strict = strict};
    int code = load_all(&load, in_fd, text, capacity, line_max);
    alloc_give(text);
    int synced = journal_sync(journal);
    if (code == 0 && synced < 0) {
        code = err_set(err, synced, "journal load: the end is not safe: %s", err_text(synced));
    }
    return code;
}
