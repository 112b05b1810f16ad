/* A file against its manifest line, and its rows handed on.
 * Place: verify's first half: nothing is said of ids that a damaged file would have held.
 * Invariants: what the line says is held against the file one fact at a time, each difference
 * named; the rows are read even when the hash is wrong, so that the place of the damage is told.
 * Memory: the reader of rows.h and a buffer for hashing. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "proof/verify_internal.h"

/* Size and hash. 1 = the file can be looked into, 0 = it cannot. */
static int check_bytes(struct verifier *verifier)
{
    const struct manifest_entry *entry = &verifier->file->entry;
    char words[300];
    int code = proof_check_file(verifier->io, entry, words, sizeof words);
    if (code == 0 || code == MD_ENOENT) {
        verify_tell(verifier, code == 0 ? FINDING_FILE_DAMAGED : FINDING_FILE_MISSING, true, "%s",
                    words);
        return code == 0;
    }
    verifier->report->bytes += entry->bytes;
    verifier->stream.bytes += entry->bytes;
    return code;
}

/* ---- facts */

static void differs(struct verifier *verifier, const char *fact, struct str line, struct str file)
{
    char said[100], found[100];
    str_printable(said, sizeof said, line.data, line.bytes < 24 ? line.bytes : 24);
    str_printable(found, sizeof found, file.data, file.bytes < 24 ? file.bytes : 24);
    verify_tell(verifier, FINDING_FILE_DIFFERS, true, "%s: the manifest line says %s, the file %s",
                fact, said, found);
}

static void check_text(struct verifier *verifier, const char *fact, struct str line,
                       struct str file)
{
    if (!str_equal(line, file)) {
        differs(verifier, fact, line, file);
    }
}

static void check_number(struct verifier *verifier, const char *fact, int64_t line, int64_t file)
{
    char said[24], found[24];
    if (line != file) {
        snprintf(said, sizeof said, line == ID_NONE ? "null" : "%lld", (long long)line);
        snprintf(found, sizeof found, file == ID_NONE ? "null" : "%lld", (long long)file);
        differs(verifier, fact, str_from(said), str_from(found));
    }
}

static int64_t footer_number(const struct rows *rows, const char *key)
{
    struct str text = rows_footer(rows, key);
    char digits[24];
    if (text.bytes == 0 || text.bytes >= sizeof digits) {
        return ID_NONE;
    }
    memcpy(digits, text.data, text.bytes);
    digits[text.bytes] = 0;
    return strtoll(digits, NULL, 10);
}

/* What the footer and the line both say, as the same hand wrote both. */
static void check_footer(struct verifier *verifier)
{
    const struct manifest_entry *entry = &verifier->file->entry;
    const struct rows *rows = verifier->rows;
    char symbol[4096];
    str_printable(symbol, sizeof symbol, entry->symbol.data,
                  entry->symbol.bytes < 1000 ? entry->symbol.bytes : 1000);
    check_text(verifier, "recorder", entry->recorder, rows_footer(rows, "recorder"));
    check_text(verifier, "schema", entry->schema, rows_footer(rows, "schema"));
    check_text(verifier, "exchange", str_from(venue_name(entry->venue)),
               rows_footer(rows, "venue"));
    check_text(verifier, "symbol", str_from(symbol), rows_footer(rows, "symbol"));
    const struct {
        const char *fact, *key;
        int64_t line;
    } numbers[] = {
        {"schema_version", "schema_version", entry->schema_version},
        {"gaps", "gap_count", (int64_t)entry->gaps},
        {"missing_ids", "missing_ids", (int64_t)entry->missing},
        {"digits_over_15", "digits_over_15", (int64_t)entry->digits_over_15},
        {"first_local_seq", "journal_first_seq", (int64_t)entry->first_seq},
        {"last_local_seq", "journal_last_seq", (int64_t)entry->last_seq},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        check_number(verifier, numbers[i].fact, numbers[i].line,
                     footer_number(rows, numbers[i].key));
    }
}

static bool same_folder(struct str path, const char *folder, size_t folder_bytes)
{
    const char *slash = memrchr(path.data, '/', path.bytes);
    return slash != NULL && (size_t)(slash - path.data) == folder_bytes &&
           memcmp(path.data, folder, folder_bytes) == 0;
}

/* Is the file where rows of this time belong: in its hour's folder, or the one of its whole day
 * (merged by compact)? */
static bool right_folder(const struct manifest_entry *entry, int64_t local_us)
{
    char folder[MDIO_PATH_BYTES_MAX];
    int64_t local_ns = local_us * NS_PER_US;
    for (int l = LAYOUT_HIVE; l <= LAYOUT_PLAIN; l++) {
        enum file_layout layout = (enum file_layout)l;
        int hour = store_partition_path(layout, entry->venue, entry->channel, entry->symbol,
                                        local_ns, folder, sizeof folder);
        if (hour > 0 && same_folder(entry->path, folder, (size_t)hour)) {
            return true;
        }
        int day = store_day_path(layout, entry->venue, entry->channel, entry->symbol, local_ns,
                                 folder, sizeof folder);
        if (day > 0 && same_folder(entry->path, folder, (size_t)day)) {
            return true;
        }
    }
    return false;
}

/* What the rows themselves say. */
static void check_rows(struct verifier *verifier)
{
    const struct manifest_entry *entry = &verifier->file->entry;
    if (verifier->file_rows == 0) {
        verify_tell(verifier, FINDING_FILE_DIFFERS, true, "holds no rows");
        return;
    }
    check_number(verifier, "rows", (int64_t)entry->rows, (int64_t)verifier->file_rows);
    check_number(verifier, "first_local_timestamp", entry->first_local_us, verifier->file_first_us);
    check_number(verifier, "last_local_timestamp", entry->last_local_us, verifier->last_us);
    if (rows_whole(verifier->rows)) {
        check_number(verifier, "first_local_seq", (int64_t)entry->first_seq,
                     (int64_t)verifier->file_first_seq);
        check_number(verifier, "last_local_seq", (int64_t)entry->last_seq,
                     (int64_t)verifier->last_seq);
        check_number(verifier, "first_sequence", entry->first_sequence,
                     verifier->file_first_sequence);
        check_number(verifier, "last_sequence", entry->last_sequence, verifier->file_last_sequence);
    }
    if (!right_folder(entry, verifier->file_first_us) || !right_folder(entry, verifier->last_us)) {
        verify_tell(verifier, FINDING_ROW_STRANGE, true,
                    "its rows are of another exchange, channel, symbol or time than its folder");
    }
}

/* ---- rows */

static void note_sequence(struct verifier *verifier, int64_t first, int64_t last)
{
    if (verifier->file_first_sequence == ID_NONE) {
        verifier->file_first_sequence = first;
    }
    verifier->file_last_sequence = last != ID_NONE ? last : verifier->file_last_sequence;
}

static void note_event(struct verifier *verifier, const struct event *event)
{
    if (verifier->file_rows == 0) {
        verifier->file_first_us = event->recv_unix_ns / NS_PER_US;
        verifier->file_first_seq = event->seq;
    }
    verifier->file_rows += rows_of_event(verifier->rows);
    if (event->channel == CHANNEL_TRADES) {
        note_sequence(verifier, event->trade.trade_id, event->trade.trade_id);
    } else if (event->channel == CHANNEL_BOOK_TICKER) {
        note_sequence(verifier, event->book_ticker.update_id, event->book_ticker.update_id);
    } else if (event->channel == CHANNEL_DEPTH) {
        note_sequence(verifier, event->depth.first_update_id, event->depth.last_update_id);
    } else if (schema_of(event->channel)->depth_levels > 0) {
        note_sequence(verifier, event->book_snapshot.last_update_id,
                      event->book_snapshot.last_update_id);
    }
}

/* 0 also when the rest of the file cannot be read: told. */
static int each_row(struct verifier *verifier, bool *whole)
{
    struct event event;
    struct err err = {{0}};
    int code = 0;
    while ((code = rows_next(verifier->rows, &event, &err)) == 1) {
        note_event(verifier, &event);
        code = verify_event(verifier, &event);
        if (code != 0) {
            return code;
        }
    }
    *whole = code == 0;
    if (code != 0) {
        verify_tell(verifier, FINDING_FILE_DAMAGED, true, "%s", err.text);
    }
    return code == MD_ENOMEM ? code : 0;
}

/* What the rows of a file that cannot be read would have held is not missing once more. */
static void excuse(struct verifier *verifier)
{
    verifier->depth.book_stands = false;
    for (int i = 0; i < 2; i++) {
        struct id_check *ids = &verifier->ids[i];
        ids->excused = true;
        for (size_t h = 0; h < ids->missing.count; h++) {
            ids->missing.at[h].file_lost = true;
        }
    }
}

/* The file has no ids, so none of its stream can be followed from here on. */
static int without_ids(struct verifier *verifier)
{
    int code = 0;
    verifier->report->partial_files++;
    if (verifier->stream.rule != CONTINUITY_NONE) {
        code = verify_ids_end(verifier);
        verifier->stream.rule = CONTINUITY_NONE;
    }
    return code;
}

int verify_file(struct verifier *verifier)
{
    const struct manifest_entry *entry = &verifier->file->entry;
    struct err err = {{0}};
    verifier->file_rows = verifier->file_first_seq = 0;
    verifier->file_first_us = TIME_NONE;
    verifier->file_first_sequence = verifier->file_last_sequence = ID_NONE;
    verifier->report->files++;
    verifier->stream.files++;
    bool whole = false;
    int code = check_bytes(verifier);
    if (code == 1) {
        bool values = entry->channel == CHANNEL_DEPTH;
        code = rows_open(verifier->rows, verifier->io, verifier->file, values, &err);
        if (code != 0) {
            verify_tell(verifier, FINDING_FILE_DAMAGED, true, "%s", err.text);
            code = code == MD_ENOMEM ? code : 0;
        } else {
            if (rows_has_footer(verifier->rows)) {
                check_footer(verifier);
            }
            code = rows_whole(verifier->rows) ? 0 : without_ids(verifier);
            code = code != 0 ? code : each_row(verifier, &whole);
            if (whole && code == 0) {
                check_rows(verifier);
            }
            rows_close(verifier->rows);
        }
    }
    verifier->stream.rows += verifier->file_rows;
    verifier->report->rows += verifier->file_rows;
    if (!whole) {
        excuse(verifier);
    }
    return code < 0 ? code : 0;
}
