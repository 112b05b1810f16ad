#ifndef MD_STORE_PARTITION_H
#define MD_STORE_PARTITION_H

#include <stdbool.h>
#include <stdint.h>

#include "store/seal.h"
#include "store/store.h"

/* Streams, the file each is in, and when a file ends. The rules are functions of the records: times
 * and seqs of events and ticks, never of memory, load or a clock. */

/* Where a stream's current file stands. The same for a file whose rows are sealed already and are
 * only passed over (`skipped`), so that a replay numbers the files after it alike. */
struct file_clock {
    int64_t hour_unix_ns;  /* start of the hour of the last file; INT64_MIN = none yet */
    int64_t period_end_ns; /* of the open file: the roll's or the hour's end */
    int64_t last_unix_ns;
    uint64_t last_seq;
    uint64_t rows, texts, text_bytes;
    uint32_t number;     /* nn of the open file, or of the next */
    uint8_t idle_factor; /* idle close in units of the set one; 0 = 1 (store_tune.c) */
    bool open, skipped;
};

int64_t file_hour(int64_t unix_ns);
/* End of the roll period (within the hour) that holds `unix_ns`. */
int64_t file_period_end(const struct store_config *config, int64_t unix_ns);
/* An event of `unix_ns` and `seq` comes: must the open file end before it? Never between two rows
 * of one seq. */
bool file_ends_at_event(const struct store_config *config, const struct seal_bounds *bounds,
                        const struct file_clock *file, int64_t unix_ns, uint64_t seq);
/* Time is now `unix_ns`: must a silent file end? `spread_ns`: the stream's own share of the spread.
 */
bool file_ends_at_tick(const struct store_config *config, const struct file_clock *file,
                       int64_t spread_ns, int64_t unix_ns);
void file_begin(const struct store_config *config, struct file_clock *file, int64_t unix_ns,
                bool skipped);
void file_end(struct file_clock *file);

#define NO_INDEX UINT32_MAX

struct stream {
    struct str symbol;   /* in the names' memory; bytes = 0 for gaps and instruments */
    uint64_t hash;       /* of (venue, channel, symbol) */
    uint64_t sealed_seq; /* rows up to here are in files; 0 = none */
    struct file_clock file;
    uint64_t
        pending_missing; /* gaps told since the last row: they go to the file of the next row */
    uint32_t pending_gaps;
    uint32_t open_index;    /* its open file, NO_INDEX = none (or skipped) */
    uint64_t facts_symbol;  /* hash of (venue, symbol) */
    uint16_t window_events; /* since tuning last looked; stays at its most */
    uint16_t block_used;    /* bytes its last block in memory held; 0 = had none */
    uint8_t venue, channel;
    bool frozen; /* rows could not be kept: nothing more is landed in this run */
};

/* Streams by identity; indexes never change. Landing thread. */
struct stream_table {
    struct stream *streams;
    uint32_t *slots;      /* by hash; index + 1 */
    uint32_t *by_outside; /* the caller's stream number -> index + 1 */
    char *names;
    size_t names_used, names_capacity;
    uint32_t count, capacity, slot_mask, outside_max, refused;
};

size_t stream_table_memory_bytes(uint32_t streams_max);
int stream_table_init(struct stream_table *table, uint32_t streams_max);
void stream_table_deinit(struct stream_table *table);
/* Finds or adds; NULL when the table (or the names' memory) is full: counted. The symbol is copied;
 * gaps and instruments have one stream an exchange, whatever the symbol. */
struct stream *stream_of(struct stream_table *table, enum venue_id venue, enum channel channel,
                         struct str symbol);
/* NULL when there is none. */
struct stream *stream_find(const struct stream_table *table, enum venue_id venue,
                           enum channel channel, struct str symbol);

/* Up to where each stream of the manifests is in files. Filled when the store opens, then only
 * read. It grows while it is filled (before the allocator is sealed): manifests may name any number
 * of streams of earlier runs, and forgetting one would land its rows twice. Identity is two 64-bit
 * hashes. */
struct sealed_table {
    struct sealed_entry *entries;
    uint32_t count, mask;
};
size_t sealed_table_memory_bytes(uint32_t streams_max);
int sealed_table_init(struct sealed_table *table, uint32_t streams_max);
void sealed_table_deinit(struct sealed_table *table);
/* Keeps the highest seq of a stream. MD_ENOMEM. */
int sealed_note(struct sealed_table *table, enum venue_id venue, enum channel channel,
                struct str symbol, uint64_t seq);
/* 0 = none. */
uint64_t sealed_find(const struct sealed_table *table, enum venue_id venue, enum channel channel,
                     struct str symbol);

/* Facts of instruments, each version kept as it was told. */
struct facts_table {
    struct facts_entry *entries;
    uint32_t *slots;
    uint32_t count, capacity, slot_mask;
    uint64_t refused;
};
struct facts_entry {
    uint64_t symbol_hash;
    struct seal_facts facts;
};

uint64_t facts_hash(enum venue_id venue, struct str symbol);
size_t facts_table_memory_bytes(uint32_t capacity);
int facts_table_init(struct facts_table *table, uint32_t capacity);
void facts_table_deinit(struct facts_table *table);
/* Keeps the facts if they differ from the last told. */
void facts_note(struct facts_table *table, uint64_t symbol_hash, const struct seal_facts *facts);
const struct seal_facts *facts_find(const struct facts_table *table, uint64_t symbol_hash);

#endif
