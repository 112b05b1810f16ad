/* (venue, channel, symbol) -> dense index: an open hash with the hashes kept in the streams.
 * Streams are never removed. */
#include "base/assert.h"
#include "normalise/normalise_internal.h"

static uint64_t hash_of(enum venue_id venue, enum channel channel, struct str symbol)
{
    return str_hash(symbol, (uint64_t)venue << 8 | (uint64_t)channel);
}

static uint32_t lookup(const struct normalise *normalise, uint64_t hash, enum venue_id venue,
                       enum channel channel, struct str symbol, uint32_t *slot)
{
    uint32_t at = (uint32_t)hash & normalise->table_mask;
    for (; normalise->table[at] != 0; at = (at + 1) & normalise->table_mask) {
        const struct stream *stream = &normalise->streams[normalise->table[at] - 1];
        if (stream->hash == hash && stream->venue == venue && stream->channel == channel &&
            str_equal(stream->symbol, symbol)) {
            return normalise->table[at] - 1;
        }
    }
    *slot = at;
    return NONE_INDEX;
}

uint32_t stream_lookup(struct normalise *normalise, enum venue_id venue, enum channel channel,
                       struct str symbol)
{
    uint32_t slot = 0;
    return lookup(normalise, hash_of(venue, channel, symbol), venue, channel, symbol, &slot);
}

uint32_t stream_obtain(struct normalise *normalise, enum venue_id venue, enum channel channel,
                       struct str symbol)
{
    uint64_t hash = hash_of(venue, channel, symbol);
    uint32_t slot = 0;
    uint32_t index = lookup(normalise, hash, venue, channel, symbol, &slot);
    if (index != NONE_INDEX) {
        return index;
    }
    const struct normalise_config *config = &normalise->config;
    if (normalise->stream_count == config->streams_max || symbol.bytes > config->symbol_bytes_max ||
        normalise->names_used + symbol.bytes > config->names_bytes) {
        normalise->stats.streams_refused++;
        return NONE_INDEX;
    }
    index = normalise->stream_count++;
    normalise->table[slot] = index + 1;
    char *name = normalise->names + normalise->names_used;
    if (symbol.bytes > 0) {
        memcpy(name, symbol.data, symbol.bytes);
    }
    normalise->names_used += symbol.bytes;
    normalise->streams[index] = (struct stream){
        .hash = hash,
        .symbol = str_make(name, symbol.bytes),
        .venue = (uint8_t)venue,
        .channel = (uint8_t)channel,
        .last_id = ID_NONE,
        .last_agg_id = ID_NONE,
        .last_recv_ns = TIME_NONE,
        .interrupted_ns = TIME_NONE,
        .first_gap = NONE_INDEX,
        .book_event_ns = TIME_NONE,
        .request_at_ns = TIME_NONE,
        .book_state = channel == CHANNEL_DEPTH && config->book_enabled ? BOOK_WAITING : BOOK_OFF,
    };
    normalise->stats.streams = normalise->stream_count;
    return index;
}
