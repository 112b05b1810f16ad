/* (venue, channel, symbol) -> dense index: an open hash at most half full, whose slots hold half of
 * the hash, so that a look-up reads one stream. Streams are never removed. The gap stream of a
 * venue comes before its first other stream, so that what is refused later can still be told. */
#include "base/assert.h"
#include "normalise/normalise_internal.h"

static uint64_t hash_of(enum venue_id venue, enum channel channel, struct str symbol)
{
    return str_hash(symbol, (uint64_t)venue << 8 | (uint64_t)channel);
}

static uint32_t lookup(const struct normalise *normalise, uint64_t hash, enum venue_id venue,
                       enum channel channel, struct str symbol, uint32_t *place)
{
    const struct stream_slot *table = normalise->table;
    uint32_t tag = (uint32_t)(hash >> 32);
    uint32_t at = (uint32_t)hash & normalise->table_mask;
    for (; table[at].index != 0; at = (at + 1) & normalise->table_mask) {
        if (table[at].tag == tag) {
            const struct stream *stream = &normalise->streams[table[at].index - 1];
            if (stream->venue == venue && stream->channel == channel &&
                str_equal(stream->symbol, symbol)) {
                return table[at].index - 1;
            }
        }
    }
    *place = at;
    return NONE_INDEX;
}

uint32_t stream_lookup(const struct normalise *normalise, enum venue_id venue, enum channel channel,
                       struct str symbol)
{
    uint32_t place = 0;
    return lookup(normalise, hash_of(venue, channel, symbol), venue, channel, symbol, &place);
}

bool stream_grows(enum venue_id venue_id, enum channel channel)
{
    const struct venue *venue = venue_of(venue_id);
    return channel == CHANNEL_TRADES && venue != NULL &&
           venue->continuity(CHANNEL_TRADES, 0) == CONTINUITY_GROWING;
}

static uint32_t add(struct normalise *normalise, enum venue_id venue, enum channel channel,
                    struct str symbol)
{
    const struct normalise_config *config = &normalise->config;
    if (normalise->stream_count == config->streams_max || symbol.bytes > config->symbol_bytes_max ||
        symbol.bytes > config->names_bytes - normalise->names_used) {
        normalise->stats.streams_refused++;
        return NONE_INDEX;
    }
    uint64_t hash = hash_of(venue, channel, symbol);
    uint32_t place = 0;
    uint32_t found = lookup(normalise, hash, venue, channel, symbol, &place);
    ASSERT(found == NONE_INDEX);
    uint32_t index = normalise->stream_count++;
    normalise->table[place] = (struct stream_slot){(uint32_t)(hash >> 32), index + 1};
    char *name = normalise->names + normalise->names_used;
    if (symbol.bytes > 0) {
        memcpy(name, symbol.data, symbol.bytes);
    }
    normalise->names_used += symbol.bytes;
    struct sequence none = {.last_id = ID_NONE,
                            .last_recv_ns = TIME_NONE,
                            .interrupted_ns = TIME_NONE,
                            .conn_ns = TIME_NONE,
                            .other_ns = TIME_NONE,
                            .conn_id = ID_NONE,
                            .other_id = ID_NONE};
    normalise->streams[index] = (struct stream){
        .symbol = str_make(name, symbol.bytes),
        .venue = (uint8_t)venue,
        .channel = (uint8_t)channel,
        .first_gap = NONE_INDEX,
        .subscribed_ns = TIME_NONE,
        .told_ns = TIME_NONE,
        .watch_next_ns = TIME_NONE,
        .watch_pause_ns = WATCH_FIRST_NS,
        .sequences = {none, none},
    };
    normalise->stats.streams = normalise->stream_count;
    if (channel == CHANNEL_DEPTH) {
        depth_attach(normalise, index);
    } else if (stream_grows(venue, channel) && normalise->recent_count < config->recents_max) {
        struct recent *recent = &normalise->recents[normalise->recent_count++];
        recent->count = 0;
        recent->cut = false;
        normalise->streams[index].recent = recent;
    }
    return index;
}

uint32_t stream_obtain(struct normalise *normalise, enum venue_id venue, enum channel channel,
                       struct str symbol)
{
    uint32_t place = 0;
    uint32_t index =
        lookup(normalise, hash_of(venue, channel, symbol), venue, channel, symbol, &place);
    if (__builtin_expect(index != NONE_INDEX, 1)) {
        return index;
    }
    ASSERT(venue > VENUE_NONE);
    ASSERT(venue < VENUE_ID_END);
    if (normalise->gap_streams[venue] == NONE_INDEX) {
        normalise->gap_streams[venue] = add(normalise, venue, CHANNEL_GAPS, (struct str){0});
        if (channel == CHANNEL_GAPS) {
            return normalise->gap_streams[venue];
        }
    }
    return add(normalise, venue, channel, symbol);
}

void stream_table_check(const struct normalise *normalise)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i <= normalise->table_mask; i++) {
        uint32_t index = normalise->table[i].index;
        ASSERT(index <= normalise->stream_count);
        used += index != 0;
    }
    ASSERT(used == normalise->stream_count);
    ASSERT(normalise->names_used <= normalise->config.names_bytes);
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        const struct stream *stream = &normalise->streams[i];
        ASSERT(stream_lookup(normalise, (enum venue_id)stream->venue, (enum channel)stream->channel,
                             stream->symbol) == i);
    }
}
