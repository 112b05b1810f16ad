/* Streams and their files' clocks; what is sealed; instrument facts. See partition.h.
 * Place: landing thread, under store.c.
 * Invariants: a stream's index and a facts entry never change once handed out; both tables are
 * bounded and count what they refused.
 * Memory: per stream 160 bytes, three words of index and about 24 bytes of name, for twice the
 * streams of the plan (the other half: streams of earlier plans, from checkpoints); 24 bytes twice
 * for each stream the manifests name. */
#include "store/partition.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"

#define NAME_BYTES_AVERAGE 24
#define NAMES_BYTES_MIN (64 << 10)
#define SYMBOL_BYTES_MAX 1024

/* ---- when files end */

int64_t file_hour(int64_t unix_ns)
{
    int64_t hour = unix_ns / NS_PER_HOUR - (unix_ns % NS_PER_HOUR < 0);
    return hour * NS_PER_HOUR;
}

int64_t file_period_end(const struct store_config *config, int64_t unix_ns)
{
    int64_t hour = file_hour(unix_ns);
    if (config->roll_ns <= 0 || config->roll_ns >= NS_PER_HOUR) {
        return hour + NS_PER_HOUR;
    }
    int64_t end = hour + ((unix_ns - hour) / config->roll_ns + 1) * config->roll_ns;
    return end < hour + NS_PER_HOUR ? end : hour + NS_PER_HOUR;
}

static bool is_idle(const struct store_config *config, const struct file_clock *file,
                    int64_t unix_ns)
{
    int64_t factor = file->idle_factor > 0 ? file->idle_factor : 1;
    return config->idle_close_ns > 0 &&
           unix_ns - file->last_unix_ns >= config->idle_close_ns * factor;
}

bool file_ends_at_event(const struct store_config *config, const struct seal_bounds *bounds,
                        const struct file_clock *file, int64_t unix_ns, uint64_t seq)
{
    if (!file->open || seq == file->last_seq) {
        return false;
    }
    if (unix_ns >= file->period_end_ns || unix_ns < file->hour_unix_ns) {
        return true;
    }
    if (is_idle(config, file, unix_ns)) {
        return true;
    }
    return file->rows >= bounds->rows || file->texts >= bounds->texts ||
           file->text_bytes >= bounds->text_bytes;
}

bool file_ends_at_tick(const struct store_config *config, const struct file_clock *file,
                       int64_t spread_ns, int64_t unix_ns)
{
    if (!file->open) {
        return false;
    }
    if (is_idle(config, file, unix_ns)) {
        return true;
    }
    return unix_ns >= file->period_end_ns && unix_ns - file->period_end_ns >= spread_ns;
}

void file_begin(const struct store_config *config, struct file_clock *file, int64_t unix_ns,
                bool skipped)
{
    ASSERT(!file->open);
    int64_t hour = file_hour(unix_ns);
    if (hour != file->hour_unix_ns) {
        file->hour_unix_ns = hour;
        file->number = 0;
    }
    file->period_end_ns = file_period_end(config, unix_ns);
    file->last_unix_ns = unix_ns;
    file->last_seq = 0;
    file->rows = file->texts = file->text_bytes = 0;
    file->open = true;
    file->skipped = skipped;
}

void file_end(struct file_clock *file)
{
    ASSERT(file->open);
    file->open = false;
    file->number++;
}

/* ---- streams */

static uint32_t power_of_two_above(uint32_t value)
{
    uint32_t power = 16;
    while (power < value) {
        power *= 2;
    }
    return power;
}

static uint32_t streams_capacity(uint32_t streams_max)
{
    return streams_max * 2 + 64;
}

static size_t names_bytes(uint32_t streams_max)
{
    return (size_t)streams_capacity(streams_max) * NAME_BYTES_AVERAGE + NAMES_BYTES_MIN;
}

size_t stream_table_memory_bytes(uint32_t streams_max)
{
    size_t capacity = streams_capacity(streams_max);
    size_t bytes = capacity * sizeof(struct stream);
    bytes += (size_t)power_of_two_above((uint32_t)capacity * 2) * sizeof(uint32_t);
    bytes += (size_t)streams_max * sizeof(uint32_t);
    bytes += names_bytes(streams_max);
    return bytes;
}

int stream_table_init(struct stream_table *table, uint32_t streams_max)
{
    memset(table, 0, sizeof *table);
    uint8_t *memory = alloc_take(ALLOC_PARTITIONS, stream_table_memory_bytes(streams_max));
    if (memory == NULL) {
        return MD_ENOMEM;
    }
    table->capacity = streams_capacity(streams_max);
    uint32_t slots = power_of_two_above(table->capacity * 2);
    table->slot_mask = slots - 1;
    table->outside_max = streams_max;
    table->streams = (struct stream *)(void *)memory;
    table->slots = (uint32_t *)(table->streams + table->capacity);
    table->by_outside = table->slots + slots;
    table->names = (char *)(table->by_outside + streams_max);
    table->names_capacity = names_bytes(streams_max);
    return 0;
}

void stream_table_deinit(struct stream_table *table)
{
    alloc_give(table->streams);
    memset(table, 0, sizeof *table);
}

static uint64_t stream_hash(enum venue_id venue, enum channel channel, struct str symbol)
{
    return str_hash(symbol, (uint64_t)venue << 8 | (uint64_t)channel);
}

static bool stream_is(const struct stream *stream, uint64_t hash, enum venue_id venue,
                      enum channel channel, struct str symbol)
{
    return stream->hash == hash && stream->venue == venue && stream->channel == channel &&
           str_equal(stream->symbol, symbol);
}

/* The slot that holds the stream, or the free one where it belongs. */
static uint32_t slot_of(const struct stream_table *table, uint64_t hash, enum venue_id venue,
                        enum channel channel, struct str symbol)
{
    uint32_t slot = (uint32_t)hash & table->slot_mask;
    while (table->slots[slot] != 0 &&
           !stream_is(&table->streams[table->slots[slot] - 1], hash, venue, channel, symbol)) {
        slot = (slot + 1) & table->slot_mask;
    }
    return slot;
}

static struct str identity(enum channel channel, struct str symbol)
{
    return schema_has_symbol_path(channel) ? symbol : str_make(NULL, 0);
}

struct stream *stream_find(const struct stream_table *table, enum venue_id venue,
                           enum channel channel, struct str symbol)
{
    symbol = identity(channel, symbol);
    uint32_t slot = slot_of(table, stream_hash(venue, channel, symbol), venue, channel, symbol);
    return table->slots[slot] == 0 ? NULL : &table->streams[table->slots[slot] - 1];
}

struct stream *stream_of(struct stream_table *table, enum venue_id venue, enum channel channel,
                         struct str symbol)
{
    symbol = identity(channel, symbol);
    uint64_t hash = stream_hash(venue, channel, symbol);
    uint32_t slot = slot_of(table, hash, venue, channel, symbol);
    if (table->slots[slot] != 0) {
        return &table->streams[table->slots[slot] - 1];
    }
    if (table->count == table->capacity || symbol.bytes > SYMBOL_BYTES_MAX ||
        symbol.bytes > table->names_capacity - table->names_used) {
        table->refused++;
        return NULL;
    }
    struct stream *stream = &table->streams[table->count++];
    table->slots[slot] = table->count;
    char *name = table->names + table->names_used;
    if (symbol.bytes > 0) {
        memcpy(name, symbol.data, symbol.bytes);
        table->names_used += symbol.bytes;
    }
    *stream = (struct stream){
        .symbol = str_make(name, symbol.bytes),
        .hash = hash,
        .file = {.hour_unix_ns = INT64_MIN},
        .open_index = NO_INDEX,
        .facts_symbol = facts_hash(venue, symbol),
        .venue = (uint8_t)venue,
        .channel = (uint8_t)channel,
    };
    return stream;
}

/* ---- what is sealed already */

struct sealed_entry {
    uint64_t hash, check, seq; /* seq 0 = free */
};

static uint32_t sealed_slots(uint32_t streams_max)
{
    return power_of_two_above(streams_max * 2);
}

size_t sealed_table_memory_bytes(uint32_t streams_max)
{
    return (size_t)sealed_slots(streams_max) * sizeof(struct sealed_entry);
}

int sealed_table_init(struct sealed_table *table, uint32_t streams_max)
{
    table->entries = alloc_take(ALLOC_PARTITIONS, sealed_table_memory_bytes(streams_max));
    table->mask = sealed_slots(streams_max) - 1;
    table->count = 0;
    return table->entries == NULL ? MD_ENOMEM : 0;
}

void sealed_table_deinit(struct sealed_table *table)
{
    alloc_give(table->entries);
    memset(table, 0, sizeof *table);
}

static uint64_t check_hash(enum venue_id venue, enum channel channel, struct str symbol)
{
    return str_hash(symbol, 0x2000000 + ((uint64_t)venue << 8 | (uint64_t)channel));
}

static struct sealed_entry *sealed_slot(const struct sealed_table *table, uint64_t hash,
                                        uint64_t check)
{
    uint32_t slot = (uint32_t)hash & table->mask;
    while (table->entries[slot].seq != 0 &&
           (table->entries[slot].hash != hash || table->entries[slot].check != check)) {
        slot = (slot + 1) & table->mask;
    }
    return &table->entries[slot];
}

static int sealed_grow(struct sealed_table *table)
{
    uint32_t slots = (table->mask + 1) * 2;
    struct sealed_table larger = {.mask = slots - 1, .count = table->count};
    larger.entries = alloc_take(ALLOC_PARTITIONS, slots * sizeof(struct sealed_entry));
    if (larger.entries == NULL) {
        return MD_ENOMEM;
    }
    for (uint32_t i = 0; i <= table->mask; i++) {
        if (table->entries[i].seq != 0) {
            *sealed_slot(&larger, table->entries[i].hash, table->entries[i].check) =
                table->entries[i];
        }
    }
    alloc_give(table->entries);
    *table = larger;
    return 0;
}

int sealed_note(struct sealed_table *table, enum venue_id venue, enum channel channel,
                struct str symbol, uint64_t seq)
{
    symbol = identity(channel, symbol);
    uint64_t hash = stream_hash(venue, channel, symbol);
    uint64_t check = check_hash(venue, channel, symbol);
    struct sealed_entry *entry = sealed_slot(table, hash, check);
    if (entry->seq == 0) {
        if (table->count >= table->mask / 2) {
            int code = sealed_grow(table);
            if (code < 0) {
                return code;
            }
            entry = sealed_slot(table, hash, check);
        }
        table->count++;
        *entry = (struct sealed_entry){hash, check, seq};
    }
    entry->seq = seq > entry->seq ? seq : entry->seq;
    return 0;
}

uint64_t sealed_find(const struct sealed_table *table, enum venue_id venue, enum channel channel,
                     struct str symbol)
{
    symbol = identity(channel, symbol);
    return sealed_slot(table, stream_hash(venue, channel, symbol),
                       check_hash(venue, channel, symbol))
        ->seq;
}

/* ---- facts */

uint64_t facts_hash(enum venue_id venue, struct str symbol)
{
    return str_hash(symbol, 0x1000 + (uint64_t)venue);
}

size_t facts_table_memory_bytes(uint32_t capacity)
{
    return capacity * sizeof(struct facts_entry) +
           (size_t)power_of_two_above(capacity * 2) * sizeof(uint32_t);
}

int facts_table_init(struct facts_table *table, uint32_t capacity)
{
    memset(table, 0, sizeof *table);
    table->entries = alloc_take(ALLOC_PARTITIONS, facts_table_memory_bytes(capacity));
    if (table->entries == NULL) {
        return MD_ENOMEM;
    }
    table->capacity = capacity;
    table->slots = (uint32_t *)(table->entries + capacity);
    table->slot_mask = power_of_two_above(capacity * 2) - 1;
    return 0;
}

void facts_table_deinit(struct facts_table *table)
{
    alloc_give(table->entries);
    memset(table, 0, sizeof *table);
}

static uint32_t facts_slot(const struct facts_table *table, uint64_t symbol_hash)
{
    uint32_t slot = (uint32_t)symbol_hash & table->slot_mask;
    while (table->slots[slot] != 0 &&
           table->entries[table->slots[slot] - 1].symbol_hash != symbol_hash) {
        slot = (slot + 1) & table->slot_mask;
    }
    return slot;
}

static bool decimal_opt_same(struct decimal_opt a, struct decimal_opt b)
{
    return a.set == b.set && (!a.set || (a.value.mantissa == b.value.mantissa &&
                                         a.value.exponent == b.value.exponent));
}

static bool facts_same(const struct seal_facts *a, const struct seal_facts *b)
{
    return strcmp(a->base, b->base) == 0 && strcmp(a->quote, b->quote) == 0 &&
           a->inverse == b->inverse && decimal_opt_same(a->tick_size, b->tick_size) &&
           decimal_opt_same(a->lot_size, b->lot_size) &&
           decimal_opt_same(a->contract_multiplier, b->contract_multiplier);
}

void facts_note(struct facts_table *table, uint64_t symbol_hash, const struct seal_facts *facts)
{
    uint32_t slot = facts_slot(table, symbol_hash);
    uint32_t newest = table->slots[slot];
    if (newest != 0 && facts_same(&table->entries[newest - 1].facts, facts)) {
        return;
    }
    if (table->count == table->capacity) {
        table->refused++;
        return;
    }
    /* The version before stays for the jobs that point to it. */
    struct facts_entry *entry = &table->entries[table->count++];
    entry->symbol_hash = symbol_hash;
    entry->facts = *facts;
    table->slots[slot] = table->count;
}

const struct seal_facts *facts_find(const struct facts_table *table, uint64_t symbol_hash)
{
    uint32_t newest = table->slots[facts_slot(table, symbol_hash)];
    return newest == 0 ? NULL : &table->entries[newest - 1].facts;
}
