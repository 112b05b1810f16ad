/* Everything a fresh object needs to go on, as numbered parts: a version byte, the part's number,
 * then entries of one letter and varints. Streams come first and in order, so that their indexes
 * are the same again; books node by node, so that their shape is. Restoring trusts nothing: parts
 * must come in order, each count and index is checked, a book or a run of kept deltas counts only
 * when its closing entry agrees. What is behind a part that is not usable starts cold. */
#include "base/assert.h"
#include "base/err.h"
#include "normalise/normalise_internal.h"

#define VERSION 6
#define PART_BYTES_MAX 65536
#define VARINT_BYTES_MAX 10
/* a stream with the longest symbol, and its recent ids */
#define ENTRY_BYTES_MAX (SYMBOL_BYTES_MOST + 512 + RECENT_IDS * VARINT_BYTES_MAX)
_Static_assert(ENTRY_BYTES_MAX + 16 <= NORMALISE_PART_BYTES_MIN, "an entry fits into a part");

struct writer {
    uint8_t bytes[PART_BYTES_MAX];
    size_t used, head, limit;
    uint64_t number;
    void (*put)(void *context, struct str part);
    void *context;
};

static void put_u(struct writer *writer, uint64_t value)
{
    writer->used += varint_put(writer->bytes + writer->used, value);
    ASSERT(writer->used <= writer->limit);
}

static void put_i(struct writer *writer, int64_t value)
{
    put_u(writer, zigzag(value));
}

static void put_bytes(struct writer *writer, const void *data, size_t bytes)
{
    put_u(writer, bytes);
    ASSERT(writer->used + bytes <= writer->limit);
    if (bytes > 0) {
        memcpy(writer->bytes + writer->used, data, bytes);
    }
    writer->used += bytes;
}

static void begin_part(struct writer *writer)
{
    writer->bytes[0] = VERSION;
    writer->used = 1;
    put_u(writer, writer->number++);
    writer->head = writer->used;
}

static void end_part(struct writer *writer)
{
    if (writer->used > writer->head) {
        writer->put(writer->context, str_make((const char *)writer->bytes, writer->used));
    }
}

static void begin_entry(struct writer *writer, char letter)
{
    if (writer->used + ENTRY_BYTES_MAX > writer->limit) {
        end_part(writer);
        begin_part(writer);
    }
    put_u(writer, (uint64_t)letter);
}

enum { FLAG_SUBSCRIBED = 1, FLAG_CONNECTED = 2, FLAG_OTHER = 4, FLAG_SPOKE = 8, FLAG_AHEAD = 16 };

static void put_sequence(struct writer *writer, const struct sequence *sequence)
{
    put_i(writer, sequence->last_id);
    put_i(writer, sequence->last_recv_ns);
    put_i(writer, sequence->interrupted_ns);
    put_u(writer, sequence->interrupted);
    put_u(writer, (sequence->subscribed ? FLAG_SUBSCRIBED : 0u) |
                      (sequence->connected ? FLAG_CONNECTED : 0u) |
                      (sequence->other_conn != 0 ? FLAG_OTHER : 0u) |
                      (sequence->conn_ns != TIME_NONE ? FLAG_SPOKE : 0u) |
                      (sequence->ahead_conn != 0 ? FLAG_AHEAD : 0u));
    put_u(writer, sequence->conn);
    if (sequence->conn_ns != TIME_NONE) {
        put_i(writer, sequence->conn_ns);
        put_i(writer, sequence->conn_id);
    }
    if (sequence->other_conn != 0) {
        put_u(writer, sequence->other_conn);
        put_i(writer, sequence->other_ns);
        put_i(writer, sequence->other_id);
    }
    put_u(writer, sequence->landed_conn);
    if (sequence->ahead_conn != 0) {
        put_u(writer, sequence->ahead_conn);
        put_i(writer, sequence->ahead_ns);
    }
}

/* Oldest first, each as the distance from the one before. */
static void put_recent(struct writer *writer, const struct recent *recent)
{
    uint32_t count = recent != NULL ? recent->count : 0;
    put_u(writer, (uint64_t)count << 1 | (count > 0 && recent->cut));
    int64_t before = 0;
    for (uint32_t back = count; back-- > 0;) {
        int64_t id = recent_id(recent, back);
        put_i(writer, (int64_t)((uint64_t)id - (uint64_t)before));
        before = id;
    }
}

static void put_stream(struct writer *writer, const struct stream *stream)
{
    begin_entry(writer, 'S');
    put_u(writer, stream->venue);
    put_u(writer, stream->channel);
    put_bytes(writer, stream->symbol.data, stream->symbol.bytes);
    put_sequence(writer, &stream->sequences[SEQUENCE_MAIN]);
    put_sequence(writer, &stream->sequences[SEQUENCE_AGGREGATE]);
    if (stream_grows((enum venue_id)stream->venue, (enum channel)stream->channel)) {
        put_recent(writer, stream->recent);
    }
}

struct leaf_writer {
    struct writer *writer;
    uint32_t index;
    int side;
};

static void put_leaf(void *context, const struct book_node *leaf, bool first)
{
    const struct leaf_writer *to = context;
    begin_entry(to->writer, 'B');
    put_u(to->writer, to->index);
    put_u(to->writer, (uint64_t)to->side | (first ? 2u : 0u));
    put_u(to->writer, leaf->count);
    int64_t key = 0;
    for (uint32_t i = 0; i < leaf->count; i++) {
        put_i(to->writer, (int64_t)((uint64_t)leaf->keys[i] - (uint64_t)key));
        put_i(to->writer, leaf->amounts[i]);
        key = leaf->keys[i];
    }
}

/* Of a book that waits, levels are what a restore left half done: not part of it. */
static void put_depth(struct writer *writer, const struct depth *depth)
{
    const struct book *book = depth->book;
    const struct pending *pending = &depth->pending;
    for (int side = 0; depth->state != BOOK_WAITING && side < 2; side++) {
        struct leaf_writer to = {writer, depth->stream, side};
        book_leaves(book, (enum book_side)side, put_leaf, &to);
    }
    for (const struct book_node *node = pending->count > 0 ? pending->first : NULL; node != NULL;
         node = node->next) {
        begin_entry(writer, 'P');
        put_u(writer, depth->stream);
        put_bytes(writer, pending_node_data(node), pending_node_bytes(pending, node));
    }
    begin_entry(writer, 'W');
    put_u(writer, depth->stream);
    put_u(writer, depth->state | (uint64_t)depth->quick_losses << 2);
    put_i(writer, depth->book_id);
    put_i(writer, depth->book_event_ns);
    put_i(writer, depth->state == BOOK_WHOLE ? depth->whole_ns : depth->joining_ns);
    put_i(writer, depth->request_next_ns);
    put_i(writer, depth->request_pause_ns);
    put_u(writer, (book->scaled ? 1u : 0u) | (book->truncated ? 2u : 0u) |
                      (depth->reaches[0] ? 4u : 0u) | (depth->reaches[1] ? 8u : 0u));
    put_i(writer, book->price_exponent);
    put_i(writer, book->amount_exponent);
    put_u(writer, depth->state != BOOK_WAITING ? book->counts[0] : 0);
    put_u(writer, depth->state != BOOK_WAITING ? book->counts[1] : 0);
    put_u(writer, pending->count);
    for (int side = 0; side < 2; side++) {
        if (depth->reaches[side]) {
            put_i(writer, depth->reach[side].mantissa);
            put_i(writer, depth->reach[side].exponent);
        }
    }
}

static void put_gap(struct writer *writer, const struct open_gap *open)
{
    begin_entry(writer, 'G');
    put_u(writer, open->stream);
    put_u(writer, open->conn);
    put_u(writer, open->gap.of_channel);
    put_u(writer, open->gap.kind);
    put_i(writer, open->gap.from_id);
    put_i(writer, open->gap.to_id);
    put_i(writer, open->gap.missing);
    put_i(writer, open->gap.start_unix_ns);
    put_i(writer, open->gap.end_unix_ns);
    const struct hole *hole = &open->hole;
    put_u(writer, (hole->open ? 1u : 0u) | (hole->aggregate ? 2u : 0u) | (hole->counted ? 4u : 0u) |
                      (hole->torn ? 8u : 0u) | (hole->told ? 16u : 0u) | (hole->late ? 32u : 0u));
    if (hole->open) {
        put_i(writer, hole->low);
        put_i(writer, hole->high);
        put_u(writer, hole->landed);
        put_i(writer, hole->until_ns);
        put_i(writer, hole->ask_next_ns);
        put_i(writer, hole->ask_pause_ns);
    }
}

static void put_burst(struct writer *writer, const struct decode_burst *burst)
{
    begin_entry(writer, 'D');
    put_u(writer, burst->venue);
    put_i(writer, burst->channel);
    put_bytes(writer, burst->reason, strnlen(burst->reason, sizeof burst->reason));
    put_u(writer, burst->count);
    put_i(writer, burst->first_ns);
    put_i(writer, burst->last_ns);
    put_u(writer, burst->conn);
}

static void put_drops(struct writer *writer, const struct normalise *normalise)
{
    for (int venue = 0; venue < VENUE_ID_END; venue++) {
        for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
            const struct drop_window *drop = &normalise->drops[venue][channel];
            if (drop->used) {
                begin_entry(writer, 'O');
                put_u(writer, (uint64_t)venue);
                put_u(writer, (uint64_t)channel);
                put_i(writer, drop->first_ns);
                put_i(writer, drop->last_ns);
            }
        }
    }
}

/* Those that shape what lands: before the streams, which have books or not. */
static void put_settings(struct writer *writer, const struct normalise_config *config)
{
    begin_entry(writer, 'C');
    put_u(writer, (config->book_enabled ? 1u : 0u) | (config->backfill_enabled ? 2u : 0u));
    put_i(writer, config->backfill_trades_max);
    put_i(writer, config->backfill_age_ns);
}

void normalise_checkpoint(const struct normalise *normalise, size_t part_bytes,
                          void (*put)(void *context, struct str part), void *context)
{
    ASSERT(part_bytes >= NORMALISE_PART_BYTES_MIN);
    struct writer writer = {.limit = part_bytes < PART_BYTES_MAX ? part_bytes : PART_BYTES_MAX,
                            .put = put,
                            .context = context};
    begin_part(&writer);
    begin_entry(&writer, 'N');
    put_i(&writer, normalise->now_ns);
    put_u(&writer, normalise->now_seq);
    put_settings(&writer, &normalise->config);
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        put_stream(&writer, &normalise->streams[i]);
    }
    for (uint32_t i = 0; i < normalise->depth_count; i++) {
        put_depth(&writer, &normalise->depths[i]);
    }
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        for (uint32_t at = normalise->streams[i].first_gap; at != NONE_INDEX;
             at = normalise->gaps[at].next) {
            put_gap(&writer, &normalise->gaps[at]);
        }
    }
    put_drops(&writer, normalise);
    for (uint32_t i = 0; i < normalise->burst_count; i++) {
        put_burst(&writer, &normalise->bursts[i]);
    }
    end_part(&writer);
}

/* ---- restore: outside bytes */

struct reader {
    const uint8_t *at, *end;
    bool failed;
};

static uint64_t get_u(struct reader *reader)
{
    uint64_t value = 0;
    size_t n = varint_get(reader->at, reader->end, &value);
    reader->failed = reader->failed || n == 0;
    reader->at += n;
    return n > 0 ? value : 0;
}

/* At most `most`, else failed and 0. */
static uint32_t get_below(struct reader *reader, uint32_t most)
{
    uint64_t value = get_u(reader);
    reader->failed = reader->failed || value > most;
    return reader->failed ? 0 : (uint32_t)value;
}

static int64_t get_i(struct reader *reader)
{
    return unzigzag(get_u(reader));
}

static int8_t get_exponent(struct reader *reader)
{
    int64_t value = get_i(reader);
    reader->failed = reader->failed || value < -38 || value > 38;
    return reader->failed ? 0 : (int8_t)value;
}

static struct str get_bytes(struct reader *reader)
{
    uint64_t bytes = get_u(reader);
    if (reader->failed || bytes > (size_t)(reader->end - reader->at)) {
        reader->failed = true;
        return (struct str){0};
    }
    struct str view = str_make((const char *)reader->at, (size_t)bytes);
    reader->at += bytes;
    return view;
}

static struct sequence get_sequence(struct reader *reader)
{
    struct sequence sequence = {.last_id = get_i(reader)};
    sequence.last_recv_ns = get_i(reader);
    sequence.interrupted_ns = get_i(reader);
    sequence.interrupted = (uint8_t)get_below(reader, GAP_KIND_COUNT);
    uint32_t flags = get_below(reader, 31);
    bool other = (flags & FLAG_OTHER) != 0;
    bool spoke = (flags & FLAG_SPOKE) != 0;
    bool ahead = (flags & FLAG_AHEAD) != 0;
    sequence.subscribed = (flags & FLAG_SUBSCRIBED) != 0;
    sequence.connected = (flags & FLAG_CONNECTED) != 0;
    sequence.conn = get_below(reader, UINT32_MAX);
    sequence.conn_ns = spoke ? get_i(reader) : TIME_NONE;
    sequence.conn_id = spoke ? get_i(reader) : ID_NONE;
    sequence.other_conn = other ? get_below(reader, UINT32_MAX) : 0;
    sequence.other_ns = other ? get_i(reader) : TIME_NONE;
    sequence.other_id = other ? get_i(reader) : ID_NONE;
    sequence.landed_conn = get_below(reader, UINT32_MAX);
    sequence.ahead_conn = ahead ? get_below(reader, UINT32_MAX) : 0;
    sequence.ahead_ns = ahead ? get_i(reader) : 0;
    reader->failed = reader->failed || (other && sequence.other_conn == 0) ||
                     (spoke && sequence.conn_ns == TIME_NONE) ||
                     (ahead && sequence.ahead_conn == 0);
    return sequence;
}

static struct recent get_recent(struct reader *reader)
{
    struct recent recent = {.count = 0};
    uint32_t head = get_below(reader, RECENT_IDS << 1 | 1);
    int64_t id = 0;
    for (uint32_t i = 0; i < head >> 1 && !reader->failed; i++) {
        int64_t before = id;
        id = (int64_t)((uint64_t)id + (uint64_t)get_i(reader));
        reader->failed = reader->failed || id == ID_NONE || (i > 0 && id <= before);
        recent.ids[recent.next++] = id;
    }
    recent.count = recent.next;
    recent.cut = (head & 1) != 0;
    return recent;
}

static bool get_stream(struct normalise *normalise, struct reader *reader)
{
    uint32_t venue = get_below(reader, VENUE_ID_END - 1);
    uint32_t channel = get_below(reader, CHANNEL_COUNT - 1);
    struct str symbol = get_bytes(reader);
    struct sequence main = get_sequence(reader);
    struct sequence aggregate = get_sequence(reader);
    struct recent recent = {.count = 0};
    if (!reader->failed && stream_grows((enum venue_id)venue, (enum channel)channel)) {
        recent = get_recent(reader);
    }
    if (reader->failed || venue == VENUE_NONE) {
        return false;
    }
    uint32_t index = stream_obtain(normalise, (enum venue_id)venue, (enum channel)channel, symbol);
    if (index == NONE_INDEX) {
        return false; /* smaller limits than before */
    }
    struct stream *stream = &normalise->streams[index];
    stream->sequences[SEQUENCE_MAIN] = main;
    stream->sequences[SEQUENCE_AGGREGATE] = aggregate;
    if (stream->recent != NULL) {
        *stream->recent = recent;
        if (recent.count == 0 && main.last_id != ID_NONE) { /* larger limits than before */
            recent_begin(stream->recent, main.last_id, true);
        }
    }
    return true;
}

/* NULL: the stream has no book in this object. */
static struct depth *get_depth(struct normalise *normalise, struct reader *reader)
{
    uint32_t index = get_below(reader, UINT32_MAX);
    reader->failed = reader->failed || index >= normalise->stream_count;
    return reader->failed ? NULL : normalise->streams[index].depth;
}

static bool get_leaf(struct normalise *normalise, struct reader *reader)
{
    struct depth *depth = get_depth(normalise, reader);
    uint32_t flags = get_below(reader, 3);
    uint32_t count = get_below(reader, NODE_ENTRIES);
    int64_t keys[NODE_ENTRIES], amounts[NODE_ENTRIES];
    int64_t key = 0;
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        key = (int64_t)((uint64_t)key + (uint64_t)get_i(reader));
        keys[i] = key;
        amounts[i] = get_i(reader);
    }
    if (reader->failed || depth == NULL || depth->state != BOOK_WAITING) {
        return !reader->failed;
    }
    /* with less memory than before the closing entry finds the book too small */
    return book_leaf_append(depth->book, (enum book_side)(flags & 1), (flags & 2) != 0, keys,
                            amounts, count) != MD_ECORRUPT;
}

static bool get_kept(struct normalise *normalise, struct reader *reader)
{
    struct depth *depth = get_depth(normalise, reader);
    struct str bytes = get_bytes(reader);
    if (reader->failed || depth == NULL || depth->state != BOOK_WAITING) {
        return !reader->failed;
    }
    return pending_restore(normalise, &depth->pending, bytes);
}

/* Closes a book: what came before for it must be all of it, or it is lost and asked for anew. */
static bool get_book(struct normalise *normalise, struct reader *reader)
{
    struct depth *depth = get_depth(normalise, reader);
    uint32_t state = get_below(reader, QUICK_LOSSES_MOST << 2 | 3);
    struct depth read = {.state = (uint8_t)(state & 3), .quick_losses = (uint8_t)(state >> 2)};
    reader->failed = reader->failed || read.state > BOOK_WHOLE;
    read.book_id = get_i(reader);
    read.book_event_ns = get_i(reader);
    read.joining_ns = read.whole_ns = get_i(reader);
    read.request_next_ns = get_i(reader);
    read.request_pause_ns = get_i(reader);
    uint32_t flags = get_below(reader, 15);
    int8_t price_exponent = get_exponent(reader);
    int8_t amount_exponent = get_exponent(reader);
    uint32_t bids = get_below(reader, BOOK_SIDE_LEVELS_MAX);
    uint32_t asks = get_below(reader, BOOK_SIDE_LEVELS_MAX);
    uint32_t kept = get_below(reader, UINT32_MAX);
    for (int side = 0; side < 2; side++) {
        read.reaches[side] = (flags & (side == 0 ? 4u : 8u)) != 0;
        if (read.reaches[side]) {
            read.reach[side].mantissa = get_i(reader);
            read.reach[side].exponent = get_exponent(reader);
        }
    }
    if (reader->failed || depth == NULL || depth->state != BOOK_WAITING) {
        return !reader->failed;
    }
    if (read.request_pause_ns < REQUEST_FIRST_NS || read.request_pause_ns > REQUEST_MOST_NS) {
        return false;
    }
    depth->request_next_ns = read.request_next_ns;
    depth->request_pause_ns = read.request_pause_ns;
    depth->quick_losses = read.quick_losses;
    struct book *book = depth->book;
    bool empty = read.state != BOOK_WAITING ? depth->pending.bytes == 0 && kept == 0
                                            : bids == 0 && asks == 0;
    if (!empty || book->counts[0] != bids || book->counts[1] != asks ||
        !pending_restored(&depth->pending, kept)) {
        depth_lose(normalise, depth, false);
        return true;
    }
    depth->state = read.state;
    depth->book_id = read.book_id;
    depth->book_event_ns = read.book_event_ns;
    depth->joining_ns = read.joining_ns;
    depth->whole_ns = read.whole_ns;
    memcpy(depth->reaches, read.reaches, sizeof depth->reaches);
    memcpy(depth->reach, read.reach, sizeof depth->reach);
    book->scaled = (flags & 1) != 0;
    book->truncated = (flags & 2) != 0;
    book->price_exponent = price_exponent;
    book->amount_exponent = amount_exponent;
    normalise->stats.books += depth->state == BOOK_WHOLE;
    return true;
}

static struct hole get_hole(struct reader *reader)
{
    uint32_t flags = get_below(reader, 63);
    struct hole hole = {
        .open = (flags & 1) != 0,
        .aggregate = (flags & 2) != 0,
        .counted = (flags & 4) != 0,
        .torn = (flags & 8) != 0,
        .told = (flags & 16) != 0,
        .late = (flags & 32) != 0,
    };
    if (hole.open) {
        hole.low = get_i(reader);
        hole.high = get_i(reader);
        hole.landed = get_u(reader);
        hole.until_ns = get_i(reader);
        hole.ask_next_ns = get_i(reader);
        hole.ask_pause_ns = get_i(reader);
    }
    return hole;
}

/* States what hole_check() does. */
static bool hole_fits(const struct normalise *normalise, uint32_t index,
                      const struct gap_event *gap, const struct hole *hole)
{
    return normalise->streams[index].channel == CHANNEL_TRADES && hole->low > INT64_MIN &&
           hole->low <= hole->high && hole->high < INT64_MAX && hole->landed <= INT64_MAX &&
           ids_back(hole->high, hole->low) < INT64_MAX &&
           (!hole->counted ||
            (gap->from_id > INT64_MIN && gap->from_id <= hole->low && gap->to_id == hole->high &&
             ids_back(gap->to_id, gap->from_id) < INT64_MAX)) &&
           hole->ask_pause_ns >= HOLE_FIRST_NS && hole->ask_pause_ns <= HOLE_MOST_NS;
}

static bool get_gap(struct normalise *normalise, struct reader *reader)
{
    uint32_t index = get_below(reader, UINT32_MAX);
    uint32_t conn = get_below(reader, UINT32_MAX);
    struct gap_event gap = {.of_channel = (enum channel)get_below(reader, CHANNEL_COUNT - 1)};
    gap.kind = (enum gap_kind)get_below(reader, GAP_KIND_COUNT - 1);
    gap.from_id = get_i(reader);
    gap.to_id = get_i(reader);
    gap.missing = get_i(reader);
    gap.start_unix_ns = get_i(reader);
    gap.end_unix_ns = get_i(reader);
    struct hole hole = get_hole(reader);
    if (reader->failed || index >= normalise->stream_count ||
        (hole.open && !hole_fits(normalise, index, &gap, &hole))) {
        return false;
    }
    uint32_t at = normalise->gap_free;
    if (!gap_keep(normalise, index, &gap, conn)) {
        return false;
    }
    normalise->gaps[at].hole = hole;
    normalise->holes += hole.open;
    return true;
}

static bool get_burst(struct normalise *normalise, struct reader *reader)
{
    struct decode_burst read = {.venue = (uint8_t)get_below(reader, VENUE_ID_END - 1)};
    int64_t channel = get_i(reader);
    struct str reason = get_bytes(reader);
    read.count = get_u(reader);
    read.first_ns = get_i(reader);
    read.last_ns = get_i(reader);
    read.conn = get_below(reader, UINT32_MAX);
    if (reader->failed || channel < -1 || channel >= CHANNEL_COUNT ||
        reason.bytes >= sizeof read.reason || read.count > INT64_MAX / 2 ||
        normalise->burst_count == DECODE_BURSTS) {
        return false;
    }
    read.channel = (int)channel;
    if (reason.bytes > 0) {
        memcpy(read.reason, reason.data, reason.bytes);
    }
    normalise->bursts[normalise->burst_count++] = read;
    return true;
}

static bool get_drop(struct normalise *normalise, struct reader *reader)
{
    uint32_t venue = get_below(reader, VENUE_ID_END - 1);
    uint32_t channel = get_below(reader, CHANNEL_COUNT - 1);
    struct drop_window drop = {.used = true, .first_ns = get_i(reader)};
    drop.last_ns = get_i(reader);
    if (!reader->failed) {
        normalise->drops[venue][channel] = drop;
    }
    return !reader->failed;
}

static bool get_now(struct normalise *normalise, struct reader *reader)
{
    normalise->now_ns = get_i(reader);
    normalise->now_seq = get_u(reader);
    return !reader->failed;
}

static bool get_settings(struct normalise *normalise, struct reader *reader)
{
    struct normalise_config *config = &normalise->config;
    uint32_t flags = get_below(reader, 3);
    int64_t trades_max = get_i(reader);
    int64_t age_ns = get_i(reader);
    if (reader->failed || trades_max < 0 || age_ns < 0 || normalise->stream_count > 0) {
        return false;
    }
    if (!config->settings_fixed) {
        config->book_enabled = (flags & 1) != 0;
        config->backfill_enabled = (flags & 2) != 0;
        config->backfill_trades_max = trades_max;
        config->backfill_age_ns = age_ns;
    }
    return true;
}

static bool get_entry(struct normalise *normalise, struct reader *reader)
{
    switch (get_u(reader)) {
    case 'N':
        return get_now(normalise, reader);
    case 'C':
        return get_settings(normalise, reader);
    case 'S':
        return get_stream(normalise, reader);
    case 'B':
        return get_leaf(normalise, reader);
    case 'P':
        return get_kept(normalise, reader);
    case 'W':
        return get_book(normalise, reader);
    case 'G':
        return get_gap(normalise, reader);
    case 'D':
        return get_burst(normalise, reader);
    case 'O':
        return get_drop(normalise, reader);
    default:
        return false;
    }
}

void restore_end(struct normalise *normalise)
{
    for (uint32_t i = 0; i < normalise->depth_count; i++) {
        struct depth *depth = &normalise->depths[i];
        if (depth->state == BOOK_WAITING) {
            book_clear(depth->book);
        }
        if (depth->pending.count == 0) {
            pending_clear(normalise, &depth->pending);
        }
    }
    normalise->restore_next = 0;
}

int normalise_restore(struct normalise *normalise, struct str part)
{
    if (part.bytes < 2 || part.data[0] != VERSION) {
        normalise->restore_next = NONE_INDEX;
        return MD_ECORRUPT;
    }
    struct reader reader = {(const uint8_t *)part.data + 1, (const uint8_t *)part.data + part.bytes,
                            false};
    uint32_t number = get_below(&reader, NONE_INDEX - 1);
    if (!reader.failed && number == 0 && normalise->stream_count > 0) {
        normalise_reset(normalise); /* a newer checkpoint begins */
    }
    bool good = !reader.failed && (number == 0 || number == normalise->restore_next);
    while (good && reader.at < reader.end) {
        good = get_entry(normalise, &reader);
    }
    normalise->restore_next = good ? number + 1 : NONE_INDEX;
    return good ? 0 : MD_ECORRUPT;
}
