/* zstd and gzip, streaming both ways. See text_stream.h.
 * Place: under compact's text formats.
 * Invariants: nothing is allocated after creation but by zlib's inflate and deflate from a piece of
 * our block; a file that ends within a frame or member is damaged; after a failed write every later
 * call returns its code. Memory: workspaces and a buffer of 64 KiB on either side. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zlib.h>
#include <zstd.h>

#include "store/text_stream.h"

#include "base/alloc.h"
#include "base/assert.h"

#define ALIGN 64
#define BUFFER_BYTES ((size_t)64 * 1024)
#define WINDOW_LOG_READ 23
#define WINDOW_LOG_WRITE 20
#define GZIP_WINDOW (15 + 16) /* 32 KiB, gzip instead of zlib framing */
#define MEMORY_LEVEL 8
/* zconf.h, and the small objects beside; inflate takes a sixth of it. */
#define ZLIB_BYTES (((size_t)1 << (15 + 2)) + ((size_t)1 << (MEMORY_LEVEL + 9)) + 16384)

/* ---- zlib's memory */

struct arena {
    char *data;
    size_t used;
};

static void *arena_take(void *opaque, unsigned count, unsigned bytes)
{
    struct arena *arena = opaque;
    size_t whole = ((size_t)count * bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (whole > ZLIB_BYTES - arena->used) {
        return NULL;
    }
    void *at = arena->data + arena->used;
    arena->used += whole;
    return at;
}

static void arena_give(void *opaque, void *address)
{
    (void)opaque;
    (void)address;
}

static void *carve(char *block, size_t *used, size_t bytes)
{
    void *at = block == NULL ? NULL : block + *used;
    *used += (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    return at;
}

/* ---- unpacking */

struct unpacker {
    enum file_format format;
    uint8_t *packed;
    char *text;
    ZSTD_DStream *zstd;
    struct arena arena;
    z_stream zlib;

    /* of the file being read */
    struct mdio *io;
    int handle;
    bool open;
    int64_t offset;
    const uint8_t *at;
    size_t left;
    bool within; /* a frame or member has begun and not ended */
    bool full;   /* the last step filled the buffer */
};

static size_t unpacker_lay_out(struct unpacker *u, char *block, enum file_format format)
{
    size_t used = 0;
    (void)carve(block, &used, sizeof *u);
    u->packed = carve(block, &used, BUFFER_BYTES);
    u->text = carve(block, &used, BUFFER_BYTES);
    if (format == FORMAT_CSV) {
        u->arena.data = carve(block, &used, ZLIB_BYTES);
        return used;
    }
    size_t workspace_bytes = ZSTD_estimateDStreamSize((size_t)1 << WINDOW_LOG_READ);
    void *workspace = carve(block, &used, workspace_bytes);
    if (block != NULL) {
        u->zstd = ZSTD_initStaticDStream(workspace, workspace_bytes);
        ASSERT(u->zstd != NULL);
        ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_READ);
    }
    return used;
}

struct unpacker *unpacker_create(enum file_format format)
{
    ASSERT(format != FORMAT_PARQUET);
    struct unpacker counted = {.format = format};
    char *block = alloc_take(ALLOC_SEAL, unpacker_lay_out(&counted, NULL, format));
    if (block == NULL) {
        return NULL;
    }
    struct unpacker *u = (struct unpacker *)(void *)block;
    unpacker_lay_out(u, block, format);
    u->format = format;
    if (format == FORMAT_CSV) {
        u->zlib.zalloc = arena_take;
        u->zlib.zfree = arena_give;
        u->zlib.opaque = &u->arena;
        int state = inflateInit2(&u->zlib, GZIP_WINDOW);
        ASSERT(state == Z_OK);
    }
    return u;
}

void unpacker_destroy(struct unpacker *unpacker)
{
    if (unpacker != NULL) {
        unpacker_close(unpacker);
    }
    alloc_give(unpacker);
}

/* Unpacks from u->at into u->text; *bytes of it. */
static int step_zstd(struct unpacker *u, size_t *bytes)
{
    ZSTD_inBuffer in = {u->at, u->left, 0};
    ZSTD_outBuffer out = {u->text, BUFFER_BYTES, 0};
    size_t hint = ZSTD_decompressStream(u->zstd, &out, &in);
    if (ZSTD_isError(hint)) {
        return MD_ECORRUPT;
    }
    u->at += in.pos;
    u->left -= in.pos;
    u->within = hint != 0;
    *bytes = out.pos;
    return 0;
}

static int step_gzip(struct unpacker *u, size_t *bytes)
{
    if (!u->within) {
        inflateReset(&u->zlib); /* the next member */
    }
    u->zlib.next_in = (unsigned char *)(uintptr_t)u->at;
    u->zlib.avail_in = (unsigned)u->left;
    u->zlib.next_out = (unsigned char *)u->text;
    u->zlib.avail_out = (unsigned)BUFFER_BYTES;
    int state = inflate(&u->zlib, Z_NO_FLUSH);
    if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR) {
        return MD_ECORRUPT;
    }
    u->at += u->left - u->zlib.avail_in;
    u->left = u->zlib.avail_in;
    u->within = state != Z_STREAM_END;
    *bytes = BUFFER_BYTES - u->zlib.avail_out;
    return 0;
}

int unpacker_open(struct unpacker *u, struct mdio *io, const char *path)
{
    unpacker_close(u);
    int handle = mdio_open(io, path, MDIO_READ);
    if (handle < 0) {
        return handle;
    }
    u->io = io;
    u->handle = handle;
    u->open = true;
    u->offset = 0;
    u->left = 0;
    u->within = u->full = false;
    if (u->format == FORMAT_JSONL) {
        ZSTD_DCtx_reset(u->zstd, ZSTD_reset_session_only);
    }
    return 0;
}

void unpacker_close(struct unpacker *u)
{
    if (u->open) {
        mdio_close(u->io, u->handle);
        u->open = false;
    }
}

/* 1 = there are packed bytes; 0 = the file is at its end; or a code. */
static int refill(struct unpacker *u)
{
    ssize_t got = mdio_read(u->io, u->handle, u->packed, BUFFER_BYTES, u->offset);
    if (got > 0) {
        u->offset += got;
        u->at = u->packed;
        u->left = (size_t)got;
    }
    return got > 0 ? 1 : (int)got;
}

int unpacker_next(struct unpacker *u, struct str *text)
{
    ASSERT(u->open);
    for (;;) {
        size_t bytes = 0;
        /* a full buffer may have more behind it although all was taken in */
        int code = u->left > 0 || u->full ? 1 : refill(u);
        if (code != 1) {
            return code == 0 && (u->within || u->offset == 0) ? MD_ECORRUPT : code;
        }
        size_t before = u->left;
        code = u->format == FORMAT_CSV ? step_gzip(u, &bytes) : step_zstd(u, &bytes);
        if (code != 0) {
            return code;
        }
        u->full = u->within && bytes == BUFFER_BYTES;
        if (bytes > 0) {
            *text = str_make(u->text, bytes);
            return 1;
        }
        if (u->left > 0 && u->left == before) {
            return MD_ECORRUPT; /* nothing taken, nothing given: it would go on for ever */
        }
    }
}

int unpacker_read(struct unpacker *u, struct mdio *io, const char *path,
                  int (*on_text)(void *context, struct str text), void *context)
{
    struct str text;
    int code = unpacker_open(u, io, path);
    if (code != 0) {
        return code;
    }
    while ((code = unpacker_next(u, &text)) == 1) {
        code = on_text(context, text);
        if (code != 0) {
            break;
        }
    }
    unpacker_close(u);
    return code;
}

/* ---- packing */

struct packer {
    enum file_format format;
    struct file_sink sink;
    int failed;
    uint8_t *packed;
    size_t packed_bytes;
    ZSTD_CCtx *zstd;
    struct arena arena;
    z_stream zlib;
};

static ZSTD_compressionParameters parameters(int zstd_level)
{
    return ZSTD_getCParams(zstd_level, 1 << WINDOW_LOG_WRITE, 0);
}

static size_t packer_lay_out(struct packer *p, char *block, enum file_format format, int zstd_level)
{
    size_t used = 0;
    (void)carve(block, &used, sizeof *p);
    p->packed_bytes = ZSTD_CStreamOutSize();
    p->packed = carve(block, &used, p->packed_bytes);
    if (format == FORMAT_CSV) {
        p->arena.data = carve(block, &used, ZLIB_BYTES);
        return used;
    }
    size_t workspace_bytes = ZSTD_estimateCStreamSize_usingCParams(parameters(zstd_level));
    void *workspace = carve(block, &used, workspace_bytes);
    if (block != NULL) {
        p->zstd = ZSTD_initStaticCCtx(workspace, workspace_bytes);
        ASSERT(p->zstd != NULL);
    }
    return used;
}

size_t packer_memory_bytes(enum file_format format, int zstd_level)
{
    struct packer counted = {.format = format};
    return packer_lay_out(&counted, NULL, format, zstd_level);
}

static void zstd_set(ZSTD_CCtx *zstd, int zstd_level)
{
    ZSTD_compressionParameters p = parameters(zstd_level);
    const struct {
        ZSTD_cParameter name;
        int value;
    } all[] = {
        {ZSTD_c_compressionLevel, zstd_level},
        {ZSTD_c_windowLog, (int)p.windowLog},
        {ZSTD_c_chainLog, (int)p.chainLog},
        {ZSTD_c_hashLog, (int)p.hashLog},
        {ZSTD_c_searchLog, (int)p.searchLog},
        {ZSTD_c_minMatch, (int)p.minMatch},
        {ZSTD_c_targetLength, (int)p.targetLength},
        {ZSTD_c_strategy, (int)p.strategy},
        {ZSTD_c_checksumFlag, 1},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        ZSTD_CCtx_setParameter(zstd, all[i].name, all[i].value);
    }
}

struct packer *packer_create(enum file_format format, int zstd_level)
{
    ASSERT(format != FORMAT_PARQUET);
    char *block = alloc_take(ALLOC_SEAL, packer_memory_bytes(format, zstd_level));
    if (block == NULL) {
        return NULL;
    }
    struct packer *p = (struct packer *)(void *)block;
    packer_lay_out(p, block, format, zstd_level);
    p->format = format;
    if (format == FORMAT_JSONL) {
        zstd_set(p->zstd, zstd_level);
        return p;
    }
    p->zlib.zalloc = arena_take;
    p->zlib.zfree = arena_give;
    p->zlib.opaque = &p->arena;
    int level = zstd_level < 9 ? zstd_level : 9;
    int state =
        deflateInit2(&p->zlib, level, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    ASSERT(state == Z_OK);
    return p;
}

void packer_destroy(struct packer *packer)
{
    alloc_give(packer);
}

void packer_begin(struct packer *p, struct file_sink sink)
{
    p->sink = sink;
    p->failed = 0;
    if (p->format == FORMAT_JSONL) {
        ZSTD_CCtx_reset(p->zstd, ZSTD_reset_session_only);
    } else {
        deflateReset(&p->zlib);
    }
}

static void emit(struct packer *p, size_t bytes)
{
    if (bytes > 0 && p->failed == 0) {
        p->failed = p->sink.write(p->sink.context, p->packed, bytes);
    }
}

static void pack_zstd(struct packer *p, struct str text, bool end)
{
    ZSTD_inBuffer in = {text.data, text.bytes, 0};
    size_t left = 1;
    while (p->failed == 0 && (end ? left != 0 : in.pos < in.size)) {
        ZSTD_outBuffer out = {p->packed, p->packed_bytes, 0};
        left = ZSTD_compressStream2(p->zstd, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left)) {
            p->failed = MD_ENOMEM;
            return;
        }
        emit(p, out.pos);
    }
}

static void pack_gzip(struct packer *p, struct str text, bool end)
{
    p->zlib.next_in = (unsigned char *)(uintptr_t)text.data;
    p->zlib.avail_in = (unsigned)text.bytes;
    int state = Z_OK;
    do {
        p->zlib.next_out = p->packed;
        p->zlib.avail_out = (unsigned)p->packed_bytes;
        state = deflate(&p->zlib, end ? Z_FINISH : Z_NO_FLUSH);
        ASSERT(state == Z_OK || state == Z_STREAM_END || state == Z_BUF_ERROR);
        emit(p, p->packed_bytes - p->zlib.avail_out);
    } while (p->failed == 0 && (end ? state != Z_STREAM_END : p->zlib.avail_in > 0));
}

static int pack(struct packer *p, struct str text, bool end)
{
    if (p->format == FORMAT_JSONL) {
        pack_zstd(p, text, end);
    } else {
        pack_gzip(p, text, end);
    }
    return p->failed;
}

int packer_put(struct packer *packer, struct str text)
{
    return pack(packer, text, false);
}

int packer_end(struct packer *packer)
{
    return pack(packer, STR(""), true);
}
