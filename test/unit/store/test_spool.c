/* The scratch file: chains come back whole and in order, space is used again, failures lose
 * nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/spool.h"
#include "store_disk.h"

struct fixture {
    struct disk disk;
    struct spool spool;
    struct spool_reader reader;
};

static struct fixture *fixture_make(void)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct err err = {""};
    disk_open(&fixture->disk);
    assert_int_equal(spool_open(&fixture->spool, &fixture->disk.io, &err), 0);
    assert_int_equal(spool_reader_init(&fixture->reader, &fixture->spool, 100000), 0);
    return fixture;
}

static void fixture_free(struct fixture *fixture)
{
    spool_reader_deinit(&fixture->reader);
    spool_close(&fixture->spool);
    disk_close(&fixture->disk);
    free(fixture);
}

/* Block `index` of chain `tag`: both numbers, then filler of a length they decide. */
static uint32_t block_make(uint32_t tag, uint32_t index, uint8_t *out)
{
    uint32_t bytes = 8 + (tag * 31 + index * 17) % 300;
    memset(out, (int)(tag + index), bytes);
    store_u32(out, tag);
    store_u32(out + 4, index);
    return bytes;
}

static int append(struct fixture *fixture, struct spool_chain *chain, uint32_t tag)
{
    uint8_t block[512];
    uint32_t bytes = block_make(tag, chain->blocks, block);
    return spool_append(&fixture->spool, chain, chain->blocks % 5 + 1, block, bytes);
}

static void check_chain(struct fixture *fixture, const struct spool_chain *chain, uint32_t tag)
{
    assert_int_equal(spool_flush(&fixture->spool), 0);
    assert_int_equal(spool_reader_begin(&fixture->reader, chain), 0);
    struct str rows;
    uint32_t count = 0;
    for (uint32_t i = 0; i < chain->blocks; i++) {
        uint8_t block[512];
        uint32_t bytes = block_make(tag, i, block);
        assert_int_equal(spool_reader_next(&fixture->reader, &rows, &count), 1);
        assert_int_equal(count, i % 5 + 1);
        assert_int_equal(rows.bytes, bytes);
        assert_memory_equal(rows.data, block, bytes);
    }
    assert_int_equal(spool_reader_next(&fixture->reader, &rows, &count), 0);
}

static void an_empty_chain_has_no_blocks(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_make();
    struct spool_chain chain;
    spool_chain_init(&chain);
    check_chain(fixture, &chain, 1);
    spool_reader_release(&fixture->reader);
    fixture_free(fixture);
}

static void chains_of_every_length_round_an_anchor_come_back(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_make();
    struct spool_chain chain;
    spool_chain_init(&chain);
    for (uint32_t n = 1; n <= 3 * SPOOL_ANCHOR_STEP + 2; n++) {
        assert_int_equal(append(fixture, &chain, 7), 0);
        uint32_t beyond = n % SPOOL_ANCHOR_STEP;
        if (beyond <= 2 || beyond == SPOOL_ANCHOR_STEP - 1) {
            check_chain(fixture, &chain, 7);
        }
    }
    fixture_free(fixture);
}

static void interleaved_chains_do_not_mix(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_make();
    struct spool_chain chains[50];
    for (uint32_t i = 0; i < 50; i++) {
        spool_chain_init(&chains[i]);
    }
    for (uint32_t n = 0; n < 50 * 1500; n++) {
        uint32_t tag = (n * 7 + n / 50) % 50;
        assert_int_equal(append(fixture, &chains[tag], tag), 0);
    }
    for (uint32_t i = 0; i < 50; i++) {
        check_chain(fixture, &chains[i], i);
    }
    fixture_free(fixture);
}

static void the_largest_block_fits(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_make();
    static uint8_t block[ROW_BYTES_MAX];
    memset(block, 5, sizeof block);
    struct spool_chain chain;
    spool_chain_init(&chain);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(spool_append(&fixture->spool, &chain, 1, block, sizeof block), 0);
    }
    assert_int_equal(spool_flush(&fixture->spool), 0);
    assert_int_equal(spool_reader_begin(&fixture->reader, &chain), 0);
    struct str rows;
    uint32_t count = 0;
    for (int i = 0; i < 200; i++) {
        assert_int_equal(spool_reader_next(&fixture->reader, &rows, &count), 1);
        assert_int_equal(rows.bytes, sizeof block);
        assert_memory_equal(rows.data, block, sizeof block);
    }
    assert_int_equal(spool_reader_next(&fixture->reader, &rows, &count), 0);
    fixture_free(fixture);
}

static void released_space_is_used_again(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_make();
    static uint8_t block[ROW_BYTES_MAX];
    for (int round = 0; round < 40; round++) {
        struct spool_chain chain;
        spool_chain_init(&chain);
        for (int i = 0; i < 150; i++) { /* more than two zones */
            assert_int_equal(spool_append(&fixture->spool, &chain, 1, block, sizeof block), 0);
        }
        assert_int_equal(spool_flush(&fixture->spool), 0);
        assert_int_equal(spool_reader_begin(&fixture->reader, &chain), 0);
        struct str rows;
        uint32_t count = 0;
        while (spool_reader_next(&fixture->reader, &rows, &count) == 1) {
        }
        spool_reader_release(&fixture->reader);
    }
    assert_int_equal(spool_bytes(&fixture->spool), SPOOL_ZONE_BYTES);
    assert_in_range(spool_bytes_high(&fixture->spool), 3 * SPOOL_ZONE_BYTES, 5 * SPOOL_ZONE_BYTES);
    assert_true(fixture->spool.zones_used <= 10);
    fixture_free(fixture);
}

static void a_flipped_bit_is_found(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_make();
    struct spool_chain chain;
    spool_chain_init(&chain);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(append(fixture, &chain, 3), 0);
    }
    assert_int_equal(spool_flush(&fixture->spool), 0);
    int64_t end = (int64_t)chain.end_position;
    for (int64_t at = 0; at < end; at += 37) {
        uint8_t byte = 0;
        struct mdio *io = &fixture->disk.io;
        int handle = fixture->spool.handle;
        assert_int_equal(mdio_read(io, handle, &byte, 1, at), 1);
        byte ^= 0x10;
        assert_int_equal(mdio_write_all(io, handle, &byte, 1, at), 0);
        struct str rows;
        uint32_t count = 0;
        int code = spool_reader_begin(&fixture->reader, &chain);
        while (code == 0 && (code = spool_reader_next(&fixture->reader, &rows, &count)) == 1) {
            code = 0;
        }
        assert_int_equal(code, MD_ECORRUPT);
        byte ^= 0x10;
        assert_int_equal(mdio_write_all(io, handle, &byte, 1, at), 0);
    }
    check_chain(fixture, &chain, 3);
    fixture_free(fixture);
}

static void a_chain_longer_than_the_reader_is_refused(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_make();
    struct spool_reader small;
    assert_int_equal(spool_reader_init(&small, &fixture->spool, SPOOL_ANCHOR_STEP), 0);
    struct spool_chain chain;
    spool_chain_init(&chain);
    for (int i = 0; i < 5 * SPOOL_ANCHOR_STEP; i++) {
        assert_int_equal(append(fixture, &chain, 3), 0);
    }
    assert_int_equal(spool_flush(&fixture->spool), 0);
    assert_int_equal(spool_reader_begin(&small, &chain), MD_EFULL);
    spool_reader_deinit(&small);
    fixture_free(fixture);
}

static void an_old_scratch_is_forgotten(void **state)
{
    (void)state;
    struct disk disk;
    disk_open(&disk);
    struct spool spool;
    struct err err = {""};
    assert_int_equal(spool_open(&spool, &disk.io, &err), 0);
    mdio_close(&disk.io, spool.handle); /* as a killed process leaves it */
    spool.handle = -1;
    spool_close(&spool);
    assert_int_equal(spool_open(&spool, &disk.io, &err), 0);
    assert_int_equal(mdio_size(&disk.io, spool.handle), 0);
    spool_close(&spool);
    disk_close(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_chain_has_no_blocks),
        cmocka_unit_test(chains_of_every_length_round_an_anchor_come_back),
        cmocka_unit_test(interleaved_chains_do_not_mix),
        cmocka_unit_test(the_largest_block_fits),
        cmocka_unit_test(released_space_is_used_again),
        cmocka_unit_test(a_flipped_bit_is_found),
        cmocka_unit_test(a_chain_longer_than_the_reader_is_refused),
        cmocka_unit_test(an_old_scratch_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
