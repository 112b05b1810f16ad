#ifndef MD_SIM_MODEL_H
#define MD_SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* The market the simulator shows: every message is a pure function of (seed, symbol, index), and
 * the index at a moment is a pure function of the time since a fixed epoch. Nothing here has a
 * history: a test that knows the settings can compute any trade or book without having seen the
 * stream.
 *
 * Prices and quantities are integers of 1e-8 (`_e8`); times are unix nanoseconds; indexes count
 * from the epoch, ids are index + the symbol's base. */

#define MODEL_NAME_BYTES 32
#define MODEL_SYMBOLS_MAX 20000
#define MODEL_SLOTS_MAX 4096
#define MODEL_EPOCH_UNIX_NS (1704067200LL * 1000000000LL) /* 2024-01-01T00:00:00Z */
#define MODEL_BLOCK_TRADES 16                             /* trades of one block ... */
#define MODEL_BLOCK_AGGS 10                               /* ... in so many taker orders */

struct model_config {
    uint64_t seed;
    uint32_t symbols;           /* that trade, 1 .. MODEL_SYMBOLS_MAX */
    uint32_t symbols_idle;      /* further ones with another status: listed, silent */
    double trades_per_s;        /* over all symbols together, > 0 */
    uint32_t updates_per_trade; /* book updates for each trade, 1 .. 1000; 0 = 4 */
    const char (
        *names)[MODEL_NAME_BYTES]; /* the symbols' names, for a replay; NULL = the model's */
    bool flat;                     /* all symbols equally busy; else the k-th gets a share of 1/k */
};

struct model_symbol {
    char name[MODEL_NAME_BYTES];  /* upper case, UTF-8 */
    char lower[MODEL_NAME_BYTES]; /* as stream names have it */
    char base[MODEL_NAME_BYTES], quote[8];
    const char *status; /* "TRADING", ... */
    bool trading;
    uint64_t key; /* hash of seed and name */
    int64_t tick_e8, step_e8;
    int64_t slot0_ticks;     /* price of slot 0, in ticks */
    uint32_t slots;          /* power of two: price levels the book can have, both sides */
    uint32_t spacing_ticks;  /* mean distance of two slots */
    uint32_t octave_last;    /* slowest swing of the mid takes 2^octave_last updates */
    uint32_t quantity_steps; /* typical size of a level, in steps */
    int64_t block_ns;        /* MODEL_BLOCK_TRADES trades take so long */
    int64_t update_ns;       /* one book update takes so long */
    int64_t block_phase_ns, update_phase_ns;
    int64_t trade_id0, agg_id0, update_id0; /* ids of index 0 */
};

struct model {
    struct model_config config;
    uint32_t count; /* symbols + symbols_idle */
    struct model_symbol *symbols;
    uint32_t *table; /* open hash of names, index + 1 */
    uint32_t table_mask;
};

/* Memory comes from the caller: model_memory_bytes(), zeroed, kept until the model is no more used.
 * `config` values outside their ranges are brought into them. */
size_t model_memory_bytes(const struct model_config *config);
void model_init(struct model *model, const struct model_config *config, void *memory);
/* Every symbol spelled anew by `spell` (at most MODEL_NAME_BYTES - 1 bytes, and never two alike);
 * what happens stays the same. */
void model_rename(struct model *model,
                  void (*spell)(const struct model_symbol *symbol, struct buf *out));
/* By upper-case name (`lower` = false) or stream name. NULL if unknown. */
const struct model_symbol *model_find(const struct model *model, struct str name, bool lower);

/* ---- trades. Index i is 0 at the epoch; times never decrease with the index. */
struct model_trade {
    int64_t id, price_e8, quantity_e8, time_unix_ns;
    bool buyer_is_maker; /* the taker sold */
};
struct model_agg {
    int64_t id, price_e8, quantity_e8, first_id, last_id, time_unix_ns;
    bool buyer_is_maker;
};
struct model_trade model_trade_at(const struct model_symbol *symbol, int64_t index);
struct model_agg model_agg_at(const struct model_symbol *symbol, int64_t index);
int64_t model_agg_time(const struct model_symbol *symbol, int64_t index);
/* Taker orders and trades that happened at or before the time. */
int64_t model_aggs_until(const struct model_symbol *symbol, int64_t time_unix_ns);
int64_t model_trades_until(const struct model_symbol *symbol, int64_t time_unix_ns);
/* The trades of a taker order: [first, first + count). */
int64_t model_agg_first_trade(const struct model_symbol *symbol, int64_t agg_index,
                              uint32_t *count);

/* ---- the book. Update n changes at most MODEL_TOUCHES_MAX slots; the book after update n depends
 * on the last `4 * slots` updates only, so it can be built at any n. Slots are price levels in
 * rising order; those below `mid` are bids, the others asks; slots mid - 1 and mid are always
 * filled, so they are the best prices. */
#define MODEL_TOUCHES_MAX 3
struct model_book {
    const struct model_symbol *symbol;
    int64_t update; /* index of the last update applied */
    uint32_t mid;
    uint32_t *steps; /* quantity of each slot in steps; 0 = no level */
};
struct model_level {
    int64_t price_e8, quantity_e8;
};

int64_t model_update_time(const struct model_symbol *symbol, int64_t update);
/* Index of the last update at or before the time. */
int64_t model_update_until(const struct model_symbol *symbol, int64_t time_unix_ns);
uint32_t model_mid(const struct model_symbol *symbol, int64_t update);
int64_t model_slot_price(const struct model_symbol *symbol, uint32_t slot);
/* `steps` holds symbol->slots values and stays the caller's. */
void model_book_build(struct model_book *book, const struct model_symbol *symbol, uint32_t *steps,
                      int64_t update);
/* Applies the next update; lists the touched slots (may repeat). Returns how many; *best_changed
 * says whether a best price or its quantity is another than before. */
uint32_t model_book_advance(struct model_book *book, uint32_t touched[MODEL_TOUCHES_MAX],
                            bool *best_changed);
/* Best first; returns how many levels were written (at most `limit`). */
uint32_t model_book_bids(const struct model_book *book, struct model_level *out, uint32_t limit);
uint32_t model_book_asks(const struct model_book *book, struct model_level *out, uint32_t limit);
struct model_level model_book_level(const struct model_book *book, uint32_t slot);

/* What a depth event says: the slots touched since it was begun, with their quantities at its end.
 * A slot that was on the other side at any moment of it is deleted there, so that the event is
 * right upon a book of any of its updates (a snapshot from the middle of it). */
struct model_diff {
    int64_t update_from; /* index of the last update before this diff */
    uint32_t mid_from, mid_low, mid_high; /* at the beginning, and the range since */
    uint32_t touched; /* touches since, repeats counted */
    uint64_t bits[MODEL_SLOTS_MAX / 64];
};
#define MODEL_DIFF_LEVELS_MAX MODEL_SLOTS_MAX
void model_diff_begin(struct model_diff *diff, const struct model_book *book);
/* `book` has just gone on. */
void model_diff_touch(struct model_diff *diff, const struct model_book *book, uint32_t slot);
/* Levels as the venue sends them: bids falling, asks rising. Arrays hold MODEL_DIFF_LEVELS_MAX. */
void model_diff_levels(const struct model_diff *diff, const struct model_book *book,
                       struct model_level *bids, uint32_t *bid_count, struct model_level *asks,
                       uint32_t *ask_count);
/* Depth events stand at multiples of the interval in unix time. End of the one that holds the
 * moment: the first boundary at or after it. */
int64_t model_depth_boundary(int64_t time_unix_ns, int64_t interval_ns);

/* ---- candles and 24 h statistics: exact first, last and count; high, low and volume exact when
 * the window has at most MODEL_SCAN_BLOCKS blocks, else from that many blocks spread over it. */
#define MODEL_SCAN_BLOCKS 512
#define MODEL_SCAN_BLOCKS_DAY 24
struct model_window {
    int64_t open_e8, high_e8, low_e8, close_e8; /* all 0 when there was no trade */
    int64_t volume_e8, quote_e8, taker_volume_e8, taker_quote_e8;
    int64_t first_id, last_id, count; /* -1, -1, 0 when there was no trade */
    int64_t last_quantity_e8;
    int64_t before_e8; /* price of the last trade before the window */
};
/* Trades with from <= time < to. */
void model_window(const struct model_symbol *symbol, int64_t from_unix_ns, int64_t to_unix_ns,
                  uint32_t scan_blocks, struct model_window *out);

/* price x quantity, both e8, cut to e8. */
int64_t model_quote_e8(int64_t price_e8, int64_t quantity_e8);

/* The hash all of it stands on; for fault decisions too. */
uint64_t model_mix(uint64_t key, uint64_t n);

#endif
