/* Shared by the journal's tests: disks, and records whose content follows from (salt, seq), so that
 * a record that comes back can be told from any other. */
#ifndef TEST_JOURNAL_FIXTURE_H
#define TEST_JOURNAL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/mdio.h"
#include "journal/journal.h"

#define MS 1000000LL
#define FIXTURE_RECORD_MAX 8192

static inline uint64_t fixture_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

struct fixture_random {
    uint64_t state;
};
static inline uint64_t fixture_next(struct fixture_random *random)
{
    return random->state = fixture_mix(random->state);
}
static inline uint64_t fixture_below(struct fixture_random *random, uint64_t n)
{
    return fixture_next(random) % n;
}

/* The record number `seq` of the world `salt`; `memory` holds its payload. Half of the payload is
 * noise; a large one is nothing else, which zstd stores as it is: damage shows only in the CRC. */
static inline struct record fixture_record(uint64_t salt, uint64_t seq, size_t payload_bytes,
                                           char memory[FIXTURE_RECORD_MAX])
{
    static const char text[] = "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\"}}";
    uint64_t x = fixture_mix(salt * 1000003 + seq) << 16;
    for (size_t i = 0; i < payload_bytes; i++) {
        if (i % 64 < 32 && payload_bytes < 1000) {
            memory[i] = text[i % (sizeof text - 1)];
        } else {
            memory[i] = (char)(fixture_mix(x + i / 8) >> i % 8 * 8);
        }
    }
    for (size_t i = 0; i < 8 && i < payload_bytes; i++) {
        memory[i] = (char)(fixture_mix(salt ^ seq << 20) >> (8 * i));
    }
    return (struct record){.time_unix_ns = (int64_t)(1600000000000000000u + seq * 1000),
                           .kind = RECORD_RECV,
                           .venue = VENUE_BINANCE,
                           .conn = (uint32_t)(salt % 1000) + 1,
                           .arg = STR("a"),
                           .payload = str_make(memory, payload_bytes)};
}

static inline size_t fixture_payload_bytes(uint64_t salt, uint64_t seq)
{
    uint64_t x = fixture_mix(salt * 31 + seq);
    return x % 20 == 0 ? 1000 + x / 64 % 4000 : 9 + x / 64 % 200;
}

static inline struct record fixture_make(uint64_t salt, uint64_t seq,
                                         char memory[FIXTURE_RECORD_MAX])
{
    return fixture_record(salt, seq, fixture_payload_bytes(salt, seq), memory);
}

/* Is `record` exactly the record of (salt, record->seq)? */
static inline bool fixture_is(const struct record *record, uint64_t salt)
{
    static char memory[FIXTURE_RECORD_MAX];
    struct record expected = fixture_make(salt, record->seq, memory);
    return record->time_unix_ns == expected.time_unix_ns && record->kind == expected.kind &&
           record->venue == expected.venue && record->conn == expected.conn &&
           str_equal(record->arg, expected.arg) && str_equal(record->payload, expected.payload);
}

static inline struct journal_config fixture_config(void)
{
    return (struct journal_config){
        .block_bytes = 4096,
        .segment_bytes = 64 << 20,
        .sync_ms = 200,
        .zstd_level = 1,
        .record_bytes_max = FIXTURE_RECORD_MAX,
        .recorder = "test-1",
        .boot_epoch = 7,
    };
}

/* Appends the next record of the world `salt` and expects it to be taken. */
static inline uint64_t fixture_append(struct journal *journal, uint64_t salt, int64_t now_ns)
{
    static char memory[FIXTURE_RECORD_MAX];
    struct record record = fixture_make(salt, journal_next_seq(journal), memory);
    uint64_t seq = journal_next_seq(journal);
    int code = journal_append(journal, &record, now_ns);
    assert_int_equal(code, 0);
    assert_true(record.seq == seq);
    return seq;
}

static inline void fixture_append_many(struct journal *journal, uint64_t salt, size_t count,
                                       int64_t now_ns)
{
    for (size_t i = 0; i < count; i++) {
        fixture_append(journal, salt, now_ns);
    }
}

static inline struct journal *fixture_open(struct mdio *io, const struct journal_config *config,
                                           uint64_t first_seq)
{
    struct journal *journal = NULL;
    struct err err = {""};
    int code = journal_open(&journal, io, config, first_seq, &err);
    if (code != 0) {
        print_error("journal_open: %s\n", err.text);
    }
    assert_int_equal(code, 0);
    return journal;
}

/* Reads all of `path`, expects every record to be of `salt`, in order; returns the figures. */
struct fixture_read {
    struct journal_reader_stats stats;
    uint64_t first_seq; /* of the first record; 0 = none */
    uint64_t last_seq;
    uint64_t jumps; /* records whose number is not one above the last */
    uint64_t wrong; /* content is not that of (salt, seq) */
};
static inline struct fixture_read fixture_read_path(struct mdio *io, const char *path,
                                                    uint64_t from_seq, uint64_t salt)
{
    struct fixture_read read = {0};
    struct journal_reader *reader = NULL;
    struct err err = {""};
    int code = journal_reader_open(&reader, io, path, FIXTURE_RECORD_MAX, from_seq, &err);
    if (code == MD_ENOENT) {
        journal_reader_close(reader);
        return read;
    }
    assert_int_equal(code, 0);
    struct record record;
    while ((code = journal_reader_next(reader, &record, &err)) > 0) {
        assert_true(record.seq > read.last_seq);
        read.first_seq = read.first_seq == 0 ? record.seq : read.first_seq;
        read.jumps += read.last_seq != 0 && record.seq != read.last_seq + 1;
        read.wrong += !fixture_is(&record, salt);
        read.last_seq = record.seq;
    }
    assert_int_equal(code, 0);
    assert_int_equal(journal_reader_next(reader, &record, &err), 0);
    assert_true(journal_reader_last_seq(reader) == read.last_seq);
    read.stats = journal_reader_stats(reader);
    journal_reader_close(reader);
    return read;
}
static inline struct fixture_read fixture_read_all(struct mdio *io, uint64_t salt)
{
    return fixture_read_path(io, "journal", 0, salt);
}

/* A folder of the real disk, deleted with everything in it by fixture_folder_remove(). */
static inline void fixture_folder(struct mdio *io, char path[256])
{
    const char *tmp = getenv("TMPDIR");
    snprintf(path, 256, "%s/md-journal-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(path));
    assert_int_equal(mdio_posix_open(io, path, NULL), 0);
}

struct fixture_names {
    char names[256][64];
    size_t count;
};
static inline void fixture_on_name(void *context, const char *name, bool is_directory)
{
    struct fixture_names *names = context;
    (void)is_directory;
    assert_true(names->count < 256);
    snprintf(names->names[names->count++], 64, "%s", name);
}
static inline int fixture_compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}
/* The names in the journal's folder, sorted. */
static inline void fixture_list(struct mdio *io, struct fixture_names *names)
{
    names->count = 0;
    assert_int_equal(mdio_list(io, "journal", fixture_on_name, names), 0);
    qsort(names->names, names->count, sizeof names->names[0], fixture_compare_names);
}

static inline void fixture_folder_remove(struct mdio *io, const char *path)
{
    static struct fixture_names names;
    char full[512];
    names.count = 0;
    if (mdio_list(io, "journal", fixture_on_name, &names) == 0) {
        for (size_t i = 0; i < names.count; i++) {
            snprintf(full, sizeof full, "journal/%s", names.names[i]);
            assert_int_equal(mdio_unlink(io, full), 0);
        }
        snprintf(full, sizeof full, "%s/journal", path);
        assert_int_equal(rmdir(full), 0);
    }
    mdio_deinit(io);
    assert_int_equal(rmdir(path), 0);
}

/* Every test ends with all memory given back. */
static inline void fixture_no_leak(void)
{
    assert_int_equal(alloc_line_stats(ALLOC_JOURNAL).bytes, 0);
}

#endif
