#ifndef MD_STORE_TEXT_STREAM_H
#define MD_STORE_TEXT_STREAM_H

#include "base/mdio.h"
#include "store/columns.h"
#include "store/store.h"

/* The text of .jsonl.zst and .csv.gz files, unpacked piece by piece and packed again. For commands
 * over finished files: the writers of columns.h pack by themselves. */

/* Unpacks one file after another. Any number of frames or members follow each other. */
struct unpacker;
/* FORMAT_JSONL or FORMAT_CSV. About 8.5 MiB (zstd's window of at most 8 MiB) from ALLOC_SEAL; NULL
 * = none. */
struct unpacker *unpacker_create(enum file_format format);
void unpacker_destroy(struct unpacker *unpacker); /* NULL is allowed */
/* One file at a time, pulled: opens it (and closes the one before); 0 or what mdio_open() says. */
int unpacker_open(struct unpacker *unpacker, struct mdio *io, const char *path);
/* 1 = *text is the next piece, at most 64 KiB, until the next call; 0 = the end; MD_ECORRUPT: not
 * whole, or its checksum is wrong; or what the disk says. */
int unpacker_next(struct unpacker *unpacker, struct str *text);
void unpacker_close(struct unpacker *unpacker);
/* The same, pushed. Hands all text of the file to on_text, in pieces of at most 64 KiB, as long as
 * it returns 0. MD_ECORRUPT: not whole, or its checksum is wrong. */
int unpacker_read(struct unpacker *unpacker, struct mdio *io, const char *path,
                  int (*on_text)(void *context, struct str text), void *context);

/* Packs one file after another as one frame or member, as the writers do: some readers stop after
 * the first. */
struct packer;
size_t packer_memory_bytes(enum file_format format, int zstd_level);
struct packer *packer_create(enum file_format format, int zstd_level);
void packer_destroy(struct packer *packer); /* NULL is allowed */
void packer_begin(struct packer *packer, struct file_sink sink);
int packer_put(struct packer *packer, struct str text);
int packer_end(struct packer *packer);

#endif
