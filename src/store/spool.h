#ifndef MD_STORE_SPOOL_H
#define MD_STORE_SPOOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mdio.h"
#include "store/row_block.h"

/* The scratch file: blocks of rows that left memory, chained per file-to-be. Written by the landing
 * thread only, front to back in zones of 4 MiB; read by the seal thread. Never synced and gone at
 * the next start: the journal has its rows.
 *
 * Block: a 40-byte head (magic, index in its chain, rows, bytes, offset of the block before, offset
 * of the last anchor before, CRC-32C over all of it) and the bytes. Every SPOOL_ANCHOR_STEP-th
 * block of a chain is an anchor; so a reader finds the first block of a chain of n blocks in n /
 * SPOOL_ANCHOR_STEP steps back, and holds SPOOL_ANCHOR_STEP offsets at a time. A zone is free again
 * when each chain with a block in it was released. */

#define SPOOL_PATH "spool/scratch"
#define SPOOL_ZONE_BYTES (4 << 20)
#define SPOOL_ZONES_MAX 16384 /* 64 GiB */
#define SPOOL_HEAD_BYTES 40
#define SPOOL_ANCHOR_STEP 512
#define SPOOL_BUFFER_BYTES (128 << 10)
#define SPOOL_NOWHERE UINT64_MAX

/* One file's blocks. Zero it with spool_chain_init(). */
struct spool_chain {
    uint64_t last, anchor; /* offsets, SPOOL_NOWHERE = none */
    uint64_t end_position; /* readable once spool_flushed() has reached it */
    uint64_t bytes;
    uint32_t blocks;
    uint32_t zone; /* of `last`; UINT32_MAX = none */
};

struct spool {
    struct mdio *io;
    int handle;
    uint8_t *buffer;        /* the tail, not written yet */
    uint64_t buffer_offset; /* its place in the file */
    uint32_t buffer_used;
    uint32_t zone;            /* being filled */
    uint64_t appended;        /* bytes ever appended */
    _Atomic uint64_t flushed; /* of those, written */
    _Atomic uint32_t
        *zone_users;     /* chains with a block there (+1 for the zone being filled), flags */
    uint32_t zones_used; /* zones ever used: the file's length */
    _Atomic uint64_t live_zones, live_zones_high;
    _Atomic uint32_t dirty_zones; /* free ones that still hold disk space */
};

size_t spool_memory_bytes(void);
/* Makes an empty scratch file (an old one is deleted). MD_ENOMEM, or what the disk says. */
int spool_open(struct spool *spool, struct mdio *io, struct err *err);
void spool_close(struct spool *spool); /* deletes the file */

static inline void spool_chain_init(struct spool_chain *chain)
{
    *chain = (struct spool_chain){SPOOL_NOWHERE, SPOOL_NOWHERE, 0, 0, 0, UINT32_MAX};
}
/* Adds a copy of `bytes` (at most ROW_BYTES_MAX) as the chain's next block. Landing thread.
 * MD_EFULL when every zone is in use, or what the disk says: nothing was added, the caller may try
 * again. */
int spool_append(struct spool *spool, struct spool_chain *chain, uint32_t rows, const void *data,
                 uint32_t bytes);
/* Writes the tail out, so that the seal thread sees all that was appended. Landing thread. */
int spool_flush(struct spool *spool);
static inline uint64_t spool_flushed(const struct spool *spool)
{
    return atomic_load_explicit(&spool->flushed, memory_order_acquire);
}
/* Bytes of zones in use, now and at most. Any thread. */
uint64_t spool_bytes(const struct spool *spool);
uint64_t spool_bytes_high(const struct spool *spool);

/* ---- reading, one chain at a time; seal thread */
struct spool_reader {
    struct spool *spool;
    const struct spool_chain *chain;
    uint64_t *anchors; /* of this chain, newest first */
    uint32_t anchors_max, anchor_count;
    uint64_t offsets[SPOOL_ANCHOR_STEP]; /* of the run being read, oldest first */
    uint32_t run_count, run_next, index;
    uint32_t *zones; /* seen by this chain and by those that are held */
    uint32_t zone_count, zone_begin;
    uint8_t *data;
};

size_t spool_reader_memory_bytes(uint32_t blocks_max);
/* `blocks_max`: the longest chain it can read. */
int spool_reader_init(struct spool_reader *reader, struct spool *spool, uint32_t blocks_max);
void spool_reader_deinit(struct spool_reader *reader);
/* MD_EFULL: the chain is too long. MD_ECORRUPT or what the disk says: it cannot be read. */
int spool_reader_begin(struct spool_reader *reader, const struct spool_chain *chain);
/* 1 = the next block's rows, a view until the next call; 0 = the end; negative: as begin. */
int spool_reader_next(struct spool_reader *reader, struct str *rows, uint32_t *row_count);
/* After the end: the chain's space stays taken while other chains are read, until it is given back
 * or forgotten (then it stays taken until the next start, or the chain is read again). */
struct spool_hold {
    uint32_t begin, end;
};
struct spool_hold spool_reader_hold(struct spool_reader *reader);
void spool_reader_give_back(struct spool_reader *reader, struct spool_hold hold);
void spool_reader_forget_all(struct spool_reader *reader);
/* After the end, the short way: the chain's space may be used again. */
void spool_reader_release(struct spool_reader *reader);

#endif
