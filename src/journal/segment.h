#ifndef MD_JOURNAL_SEGMENT_H
#define MD_JOURNAL_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mdio.h"

/* The journal on disk. All numbers are little-endian at fixed offsets; nothing is padded.
 *
 * Folder:  <first seq, 16 lower-case hex digits>.mdj ...      one continuous sequence of records
 *
 * Segment: segment head (64 bytes) | block | block | ... | possibly a torn tail
 *
 *   at  0  8  magic "MDJSEG"
 *       6  2  format version "01"
 *       8 32  recorder id, zero-filled
 *      40  4  boot epoch: how often this recorder was started
 *      44  8  first seq: the number of the first record that may stand here; also the file's name
 *      52  8  created: time of the last record before this segment (unix ns), 0 = none in this run
 *      60  4  CRC-32C of the 60 bytes before
 *
 * Block: block head (40 bytes) | stored bytes: one zstd frame that holds `raw bytes` of records
 *
 *   at  0  4  magic "MDJB"
 *       4  4  raw bytes: packed records (record.h), one after the other, without gaps
 *       8  4  stored bytes
 *      12  4  record count, at least 1
 *      16  8  first seq; the records count on from it one by one
 *      24  8  time of the first record (unix ns)
 *      32  4  flags: 1 = first block of a segment that its caller began: a checkpoint begins here
 *      36  4  CRC-32C of the 36 bytes before and the stored bytes after
 *
 * A block holds up to block_bytes (64 KiB) of records, or one larger record alone. It needs nothing
 * outside itself to be read, so damage costs the blocks it touches and no other: a reader goes on
 * at the next magic whose CRC is right.
 *
 * Which copy counts: after a failed fsync the tail that was not known to be safe is written again
 * into a new segment. So a segment speaks for the numbers below the first block of the next segment
 * that has a good first block; what it holds beyond is a copy, or was never promised. A segment
 * without a good first block (its name came back after a power cut, or its data did not) says
 * nothing about the ones before it. */

#define SEGMENT_HEAD_BYTES 64
#define SEGMENT_RECORDER_BYTES 32
#define SEGMENT_MAGIC "MDJSEG01"
#define BLOCK_HEAD_BYTES 40
#define BLOCK_MAGIC "MDJB"
/* A block of records is at most this large in memory (a larger one is a single record). */
#define SEGMENT_BLOCK_BYTES_DEFAULT (64u << 10)
#define SEGMENT_BLOCK_BYTES_MAX (256u << 10)
/* No record is larger: net.message_bytes_max is far below. Bounds what a damaged head can ask for.
 */
#define SEGMENT_RECORD_BYTES_MAX (256u << 20)
#define SEGMENT_SUFFIX ".mdj"
#define SEGMENT_NAME_BYTES (16 + sizeof SEGMENT_SUFFIX) /* with the terminator */
#define SEGMENT_PATH_BYTES 512

struct segment_head {
    char recorder[SEGMENT_RECORDER_BYTES]; /* terminated */
    uint32_t boot_epoch;
    uint64_t first_seq;
    int64_t created_unix_ns;
};

struct block_head {
    uint32_t raw_bytes;
    uint32_t stored_bytes;
    uint32_t record_count;
    uint64_t first_seq;
    int64_t first_unix_ns;
    bool checkpoint; /* begins with one */
    uint32_t crc;
};

void segment_head_put(const struct segment_head *head, void *out);
/* 0; MD_ECORRUPT (magic or CRC); MD_ENOTSUP when it is a segment of another format version. */
int segment_head_get(const void *data, struct segment_head *out);

/* Writes the head in front of `head->stored_bytes` bytes that stand at out + BLOCK_HEAD_BYTES
 * already, with their CRC. */
void block_head_put(const struct block_head *head, void *out);
/* Reads a head. False when the magic is not there or a field cannot be: then nothing says how long
 * the block is. The CRC is not looked at. */
bool block_head_get(const void *data, struct block_head *out);
/* True when the stored bytes after the head at `data` are what was written with it. */
bool block_crc_right(const void *data, const struct block_head *head);
/* Test hook, a negative control: when set every CRC of a block is taken for right. */
extern bool segment_test_crc_off;
/* The same in pieces: start with the head, add the stored bytes, compare with head.crc. */
uint32_t block_crc_start(const void *data);

/* "00000000000003e8.mdj" */
void segment_name(uint64_t first_seq, char out[SEGMENT_NAME_BYTES]);
/* `folder` "/" name; only the name when folder is "". MD_EINVAL when it does not fit. */
int segment_path(const char *folder, uint64_t first_seq, char out[SEGMENT_PATH_BYTES]);
bool segment_name_parse(const char *name, uint64_t *first_seq);

/* Finds the segment of `folder` with the smallest first seq that is >= `at_least`. 1 and
 * *first_seq, 0 when there is none, or the listing's error. Looks at every name of the folder,
 * keeps one. */
int segment_find(struct mdio *io, const char *folder, uint64_t at_least, uint64_t *first_seq);
/* The same for the largest first seq that is <= `at_most`: the segment that speaks for `at_most`.
 */
int segment_find_holding(struct mdio *io, const char *folder, uint64_t at_most,
                         uint64_t *first_seq);

/* Reads the head of the segment named `first_seq` (may be NULL) and its first block's head. 1 when
 * the block is good by its CRC, 0 when it is not there, torn or damaged, or the disk's error. A
 * head that is not good is all zeroes. Reads that block in pieces; takes 4 KiB of stack. */
int segment_first_block(struct mdio *io, const char *folder, uint64_t first_seq,
                        struct segment_head *head, struct block_head *block);

/* The largest stored size of `raw_bytes` with its head. */
size_t block_bytes_bound(size_t raw_bytes);

#endif
