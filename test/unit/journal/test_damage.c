/* Bit rot (faults.md row 25): whatever happens to the bytes, exactly the records of the blocks that
 * were touched are missing, and the figures say so. */
#include "fixture.h"

#include "journal/segment.h"

#define SALT 21
#define RECORDS 600
#define BLOCKS_MAX 256

static struct mdio disk;
static char folder[256];

/* What the undamaged journal looks like, from its bytes. */
struct block {
    size_t file;
    int64_t begin, end;
    uint64_t first_seq, last_seq;
};
struct file {
    char path[128];
    char *bytes;
    int64_t size;
};
static struct block blocks[BLOCKS_MAX];
static size_t block_count;
static struct file files[16];
static size_t file_count;

static void file_write(const char *path, const char *bytes, int64_t size)
{
    int handle = mdio_open(&disk, path, MDIO_WRITE);
    assert_true(handle >= 0);
    assert_int_equal(mdio_truncate(&disk, handle, size), 0);
    assert_int_equal(mdio_write_all(&disk, handle, bytes, (size_t)size, 0), 0);
    assert_int_equal(mdio_close(&disk, handle), 0);
}

static void file_walk(size_t index)
{
    struct file *file = &files[index];
    for (int64_t at = SEGMENT_HEAD_BYTES; at < file->size;) {
        struct block_head head;
        assert_true(block_head_get(file->bytes + at, &head));
        struct block *block = &blocks[block_count++];
        assert_true(block_count < BLOCKS_MAX);
        *block = (struct block){.file = index,
                                .begin = at,
                                .end = at + BLOCK_HEAD_BYTES + head.stored_bytes,
                                .first_seq = head.first_seq,
                                .last_seq = head.first_seq + head.record_count - 1};
        at = block->end;
    }
}

static int make_journal(void **state)
{
    (void)state;
    static struct fixture_names names;
    fixture_folder(&disk, folder);
    struct journal_config config = fixture_config();
    config.block_bytes = 2048;
    config.segment_bytes = 24000;
    struct journal *journal = fixture_open(&disk, &config, 1);
    fixture_append_many(journal, SALT, RECORDS, 0);
    assert_int_equal(journal_close(journal), 0);
    fixture_list(&disk, &names);
    file_count = names.count;
    block_count = 0;
    assert_true(file_count >= 3);
    assert_true(file_count <= 16);
    for (size_t i = 0; i < file_count; i++) {
        struct file *file = &files[i];
        snprintf(file->path, sizeof file->path, "journal/%s", names.names[i]);
        int handle = mdio_open(&disk, file->path, MDIO_READ);
        assert_true(handle >= 0);
        file->size = mdio_size(&disk, handle);
        file->bytes = malloc((size_t)file->size);
        assert_non_null(file->bytes);
        assert_int_equal(mdio_read_all(&disk, handle, file->bytes, (size_t)file->size, 0), 0);
        mdio_close(&disk, handle);
        file_walk(i);
    }
    return 0;
}

static int remove_journal(void **state)
{
    (void)state;
    for (size_t i = 0; i < file_count; i++) {
        free(files[i].bytes);
    }
    fixture_folder_remove(&disk, folder);
    fixture_no_leak();
    return 0;
}

/* Reads the journal; sets seen[seq] and returns the figures. Every record must be right. */
static struct journal_reader_stats read_seen(bool seen[RECORDS + 1])
{
    struct journal_reader *reader = NULL;
    struct record record;
    uint64_t last_seq = 0;
    int code;
    memset(seen, 0, RECORDS + 1);
    assert_int_equal(journal_reader_open(&reader, &disk, "journal", FIXTURE_RECORD_MAX, 0, NULL),
                     0);
    while ((code = journal_reader_next(reader, &record, NULL)) > 0) {
        assert_true(record.seq > last_seq);
        assert_true(record.seq <= RECORDS);
        assert_true(fixture_is(&record, SALT));
        seen[record.seq] = true;
        last_seq = record.seq;
    }
    assert_int_equal(code, 0);
    struct journal_reader_stats stats = journal_reader_stats(reader);
    journal_reader_close(reader);
    return stats;
}

/* Damages files[index] to `bytes`, `size`, of which [begin, end) of the old bytes are changed or
 * gone; expects the blocks that lie in there to be missing and nothing else. */
static void check_damage(size_t index, const char *bytes, int64_t size, int64_t begin, int64_t end)
{
    bool seen[RECORDS + 1];
    uint64_t lost = 0;
    uint64_t lost_before_good = 0;
    uint64_t blocks_lost = 0;
    bool tail = true; /* no good block after it in this file */
    file_write(files[index].path, bytes, size);
    struct journal_reader_stats stats = read_seen(seen);
    bool good_after = false;
    for (size_t i = block_count; i-- > 0;) {
        const struct block *block = &blocks[i];
        bool hit = block->file == index && block->begin < end && block->end > begin;
        for (uint64_t seq = block->first_seq; seq <= block->last_seq; seq++) {
            assert_int_equal(seen[seq], !hit);
        }
        uint64_t records = block->last_seq - block->first_seq + 1;
        lost += hit ? records : 0;
        lost_before_good += hit && good_after ? records : 0;
        blocks_lost += hit;
        if (!hit) {
            good_after = true;
            tail = tail && !(block->file == index && block->begin >= begin);
        }
    }
    assert_int_equal(stats.records, RECORDS - lost);
    assert_int_equal(stats.missing_records, lost_before_good);
    assert_int_equal(stats.duplicate_blocks, 0);
    if (begin < end && !tail) {
        assert_true(stats.damaged_blocks >= 1);
        assert_true(stats.damaged_blocks <= blocks_lost + 1);
        assert_true(stats.skipped_bytes > 0);
        assert_int_equal(stats.torn_tail_bytes, 0);
    } else {
        assert_int_equal(stats.damaged_blocks, 0);
        assert_int_equal(stats.skipped_bytes, 0);
    }
    file_write(files[index].path, files[index].bytes, files[index].size);
}

static void journal_loses_exactly_the_damaged_blocks_in_500_damages(void **state)
{
    (void)state;
    struct fixture_random random = {2025};
    static char copy[65536];
    uint64_t hits = 0;
    for (int i = 0; i < 500; i++) {
        size_t index = fixture_below(&random, file_count);
        const struct file *file = &files[index];
        assert_true((size_t)file->size <= sizeof copy);
        memcpy(copy, file->bytes, (size_t)file->size);
        int64_t at = (int64_t)fixture_below(&random, (uint64_t)file->size);
        int64_t size = file->size;
        int64_t begin = at;
        int64_t end = at + 1;
        switch (fixture_below(&random, 4)) {
        case 0: /* one bit */
            copy[at] = (char)(copy[at] ^ (1 << fixture_below(&random, 8)));
            break;
        case 1: /* the file is cut off */
            size = at;
            end = file->size;
            break;
        case 2: /* 4 KB of zeroes */
            end = at + 4096 < file->size ? at + 4096 : file->size;
            memset(copy + at, 0, (size_t)(end - at));
            while (begin < end && file->bytes[begin] == 0) {
                begin++; /* was zero before: not touched */
            }
            while (end > begin && file->bytes[end - 1] == 0) {
                end--;
            }
            break;
        default: /* a piece is missing, what follows moved up */
            end = at + 1 + (int64_t)fixture_below(&random, 3000);
            end = end < file->size ? end : file->size;
            memmove(copy + at, copy + end, (size_t)(file->size - end));
            size = file->size - (end - at);
            break;
        }
        check_damage(index, copy, size, begin, end);
        hits += begin < end;
    }
    assert_true(hits > 480);
}

static void journal_loses_one_block_to_every_single_flipped_bit_of_its_head(void **state)
{
    (void)state;
    static char copy[65536];
    const struct block *block = &blocks[3];
    const struct file *file = &files[block->file];
    memcpy(copy, file->bytes, (size_t)file->size);
    for (int64_t bit = 0; bit < BLOCK_HEAD_BYTES * 8; bit++) {
        int64_t at = block->begin + bit / 8;
        copy[at] = (char)(copy[at] ^ (1 << bit % 8));
        check_damage(block->file, copy, file->size, at, at + 1);
        copy[at] = file->bytes[at];
    }
}

static void journal_loses_no_record_to_a_damaged_segment_head(void **state)
{
    (void)state;
    static char copy[65536];
    const struct file *file = &files[1];
    for (int64_t at = 0; at < SEGMENT_HEAD_BYTES; at++) {
        memcpy(copy, file->bytes, (size_t)file->size);
        copy[at] = (char)(copy[at] ^ 0x10);
        check_damage(1, copy, file->size, at, at + 1);
    }
    memcpy(copy, file->bytes, (size_t)file->size);
    memset(copy, 0, SEGMENT_HEAD_BYTES);
    check_damage(1, copy, file->size, 0, SEGMENT_HEAD_BYTES);
}

static void journal_takes_a_file_cut_at_any_byte_for_a_torn_tail(void **state)
{
    (void)state;
    const struct file *file = &files[file_count - 1];
    int64_t step = file->size > 2000 ? 7 : 1;
    for (int64_t size = 0; size < file->size; size += size < 200 ? 1 : step) {
        check_damage(file_count - 1, file->bytes, size, size, file->size);
    }
}

static void journal_finds_the_next_block_after_garbage_of_any_length(void **state)
{
    (void)state;
    const struct file *file = &files[0];
    const struct block *block = &blocks[4];
    /* The reader's window and a bit: the next magic lies across its end for some of them. */
    int64_t window = (int64_t)block_bytes_bound(SEGMENT_BLOCK_BYTES_MAX) + (512 << 10);
    char *copy = malloc((size_t)(2 * window + file->size));
    assert_non_null(copy);
    memcpy(copy, file->bytes, (size_t)block->begin);
    int64_t across = window - block->begin;
    for (int64_t n = 1; n < across + 20; n = n == 20 ? across - 20 : n + 1) {
        bool seen[RECORDS + 1];
        memset(copy + block->begin, 'M', (size_t)n);
        memcpy(copy + block->begin + n, file->bytes + block->begin,
               (size_t)(file->size - block->begin));
        file_write(file->path, copy, file->size + n);
        struct journal_reader_stats stats = read_seen(seen);
        assert_int_equal(stats.records, RECORDS);
        assert_int_equal(stats.skipped_bytes, n);
        assert_int_equal(stats.missing_records, 0);
    }
    free(copy);
    file_write(file->path, file->bytes, file->size);
}

static void journal_refuses_a_segment_of_another_format_version(void **state)
{
    (void)state;
    static char copy[65536];
    const struct file *file = &files[0];
    memcpy(copy, file->bytes, (size_t)file->size);
    memcpy(copy + 6, "02", 2);
    store_u32(copy + 60, crc32c(0, copy, 60));
    file_write(file->path, copy, file->size);
    struct journal_reader *reader = NULL;
    struct record record;
    struct err err = {""};
    assert_int_equal(journal_reader_open(&reader, &disk, "journal", 8192, 0, NULL), 0);
    assert_int_equal(journal_reader_next(reader, &record, &err), MD_ENOTSUP);
    assert_non_null(strstr(err.text, file->path));
    journal_reader_close(reader);
    file_write(file->path, file->bytes, file->size);
}

/* A block whose CRC is right and whose content is not: only a mistake of ours, or malice, makes it.
 */
static void journal_skips_a_block_with_a_right_crc_and_wrong_content(void **state)
{
    (void)state;
    static char copy[65536];
    const struct block *block = &blocks[2];
    const struct file *file = &files[block->file];
    struct block_head head;
    for (int i = 0; i < 5; i++) {
        bool seen[RECORDS + 1];
        memcpy(copy, file->bytes, (size_t)file->size);
        assert_true(block_head_get(copy + block->begin, &head));
        head.raw_bytes += i == 0 ? 1 : 0;
        head.record_count -= i == 1 ? 1 : 0;
        head.first_seq += i == 2 ? 1 : 0;
        if (i == 3) {
            copy[block->begin + BLOCK_HEAD_BYTES] ^= 1; /* not a zstd frame */
        } else if (i == 4) {
            copy[block->end - 1] ^= 1; /* a broken one */
        }
        block_head_put(&head, copy + block->begin);
        file_write(file->path, copy, file->size);
        struct journal_reader_stats stats = read_seen(seen);
        uint64_t count = block->last_seq - block->first_seq + 1;
        assert_int_equal(stats.damaged_blocks, 1);
        assert_int_equal(stats.missing_records, count);
        assert_int_equal(stats.records, RECORDS - count);
        assert_false(seen[block->first_seq]);
        assert_true(seen[block->last_seq + 1]);
    }
    file_write(file->path, file->bytes, file->size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(journal_loses_exactly_the_damaged_blocks_in_500_damages),
        cmocka_unit_test(journal_loses_one_block_to_every_single_flipped_bit_of_its_head),
        cmocka_unit_test(journal_loses_no_record_to_a_damaged_segment_head),
        cmocka_unit_test(journal_takes_a_file_cut_at_any_byte_for_a_torn_tail),
        cmocka_unit_test(journal_finds_the_next_block_after_garbage_of_any_length),
        cmocka_unit_test(journal_refuses_a_segment_of_another_format_version),
        cmocka_unit_test(journal_skips_a_block_with_a_right_crc_and_wrong_content),
    };
    return cmocka_run_group_tests(tests, make_journal, remove_journal);
}
