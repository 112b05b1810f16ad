#ifndef MD_STORE_ROW_BLOCK_H
#define MD_STORE_ROW_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/columns.h"

/* Rows as a few bytes each, while they wait for their file: row codec and the memory of the blocks.
 *
 * A row is a bitmap (one bit a coded column: "differs from the row before") and, for each set bit,
 * a varint v (row_codec.h):
 *
 *   integers, times: 0 null | 1 then zigzag of the value itself | v - 2 = zigzag(value - last)
 *   decimals: 0 null | 1, exponent byte, then zigzag(mantissa) | v - 2 = zigzag(mantissa - last)
 *   text: 0 null | 1..ROW_WORD_COUNT a known word | v - 1 - ROW_WORD_COUNT bytes follow
 *
 * "last" goes on from block to block of one file, so blocks are read in order. Decimals keep
 * the exponent of their slot while they can be written in it exactly: {3500,-4} becomes {35,-2}.
 * The levels of one side of a book snapshot share their slots, so each level is coded against the
 * level before it; a decimal column shares that of the double beside it, and so takes a bit only.
 * Blocks live in memory and in the scratch file of one run only. */

#define ROW_SLOTS_MAX 20
#define ROW_TEXT_BYTES_MAX \
    4096                    /* a longer text is cut here and counted; the journal has all of it */
#define ROW_BYTES_MAX 65536 /* the largest encoded row */
#define ROW_BLOCK_BYTES_MIN 256
#define ROW_BLOCK_BYTES_MAX 4096
#define ROW_BLOCK_CLASSES 5 /* 256, 512, 1024, 2048, 4096 */

/* Words that need no bytes. */
#define ROW_WORD_LIST(X)           \
    X(ROW_WORD_UNKNOWN, "unknown") \
    X(ROW_WORD_BUY, "buy")         \
    X(ROW_WORD_SELL, "sell")       \
    X(ROW_WORD_BID, "bid")         \
    X(ROW_WORD_ASK, "ask")

enum row_word {
#define X(word, text) word,
    ROW_WORD_LIST(X)
#undef X
        ROW_WORD_COUNT
};
/* A view of static memory; the codec knows it by its address. */
struct str row_word(enum row_word word);

enum row_code { ROW_CODE_INT, ROW_CODE_DECIMAL, ROW_CODE_TEXT };

/* How a schema's columns are coded; the first `skip` columns are constants of the partition. */
struct row_layout {
    const struct schema *schema;
    uint32_t skip;
    uint32_t coded; /* columns in the bitmap */
    uint32_t bitmap_bytes;
    uint32_t row_bytes;  /* room that row_encode() wants for a row, its texts' bytes apart */
    uint32_t text_count; /* coded text columns */
    uint16_t text_columns[16];
    uint8_t code[COLUMNS_MAX];
    uint8_t slot[COLUMNS_MAX];
};

/* The row before, by slot. Zeroed at the start of a file. */
struct row_state {
    int64_t last[ROW_SLOTS_MAX]; /* value, scaled mantissa, or text key (row_block.c) */
    int8_t exponent[ROW_SLOTS_MAX];
    uint32_t null_bits; /* slot was null */
};

/* `skip`: 2 when exchange and symbol are the partition's, 1 when only exchange is. */
void row_layout_init(struct row_layout *layout, const struct schema *schema, uint32_t skip);

struct row_weight {
    uint32_t texts; /* texts that may be a new distinct value */
    uint32_t text_bytes;
};
/* What the row's texts weigh towards a file's bounds: a function of the cells alone. */
struct row_weight row_text_weight(const struct row_layout *layout, const struct cell *cells);

/* Writes one row to `out` (layout->row_bytes and what row_text_weight() says, or ROW_BYTES_MAX) and
 * moves the state on. Returns the bytes. Texts are cut at ROW_TEXT_BYTES_MAX; `texts_cut` counts
 * them. */
size_t row_encode(const struct row_layout *layout, struct row_state *state,
                  const struct cell *cells, uint8_t *out, uint64_t *texts_cut);

/* The reverse: reads one row, fills cells[skip ..]. Texts are views into `p` or into `texts`, good
 * until the next call. Returns the bytes read, or 0 when the bytes are not a row. */
struct row_texts {
    char short_text[ROW_SLOTS_MAX][8];
};
size_t row_decode(const struct row_layout *layout, struct row_state *state, struct row_texts *texts,
                  const uint8_t *p, const uint8_t *end, struct cell *cells);

/* ---- memory of the resident blocks: one piece, cut by halves (buddies) from 4 KiB pages. */
struct block_pool {
    uint8_t *memory;
    uint16_t *used_units;  /* per page, one bit per 256 bytes */
    uint32_t *next, *prev; /* lists of pages by largest free run */
    uint32_t page_count;
    uint32_t head[ROW_BLOCK_CLASSES + 1]; /* pages whose largest free run is class c; last: none */
    uint8_t *page_class;
    size_t used_bytes, used_bytes_high;
};

size_t block_pool_memory_bytes(size_t bytes);
int block_pool_init(struct block_pool *pool, size_t bytes); /* MD_ENOMEM; from ALLOC_ROW_BLOCKS */
void block_pool_deinit(struct block_pool *pool);
/* A block of ROW_BLOCK_BYTES_MIN << class bytes; NULL when there is none. */
uint8_t *block_pool_acquire(struct block_pool *pool, uint32_t class);
void block_pool_release(struct block_pool *pool, uint8_t *block, uint32_t class);
static inline size_t block_class_bytes(uint32_t class)
{
    return (size_t)ROW_BLOCK_BYTES_MIN << class;
}

#endif
