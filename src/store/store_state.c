/* Checkpoints of the store: where each stream's files stand and what is known of instruments, so
 * that a replay from a later segment numbers and describes files as one from the beginning.
 * Place: landing thread; parts become RECORD_STATE records at a segment's start.
 * Part: "MDST", version (1), needed seq (8 bytes), then entries until its end:
 *   'T' zstd level that tuning has in force (1)
 *   'S' venue channel flags | varints: symbol bytes, hour, number | idle factor (1) | varints:
 * period end, last time, rows, texts, text bytes, pending gaps, pending missing | symbol 'F' symbol
 * hash (8) | base, quote: length (1) and bytes | three decimals: set (1), exponent (1), varint
 * mantissa | inverse (1) Memory: the part is built in the row scratch. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "store/store_internal.h"

#define PART_MAGIC 0x5453444dU /* "MDST" */
#define PART_VERSION 3
#define PART_HEAD_BYTES 13
#define ENTRY_BYTES_MAX (1024 + 128)
#define FLAG_OPEN 1

struct part_writer {
    uint8_t *bytes;
    size_t used, limit;
    void (*put)(void *context, struct str part);
    void *context;
};

static void part_begin(struct part_writer *writer, uint64_t needed_seq)
{
    store_u32(writer->bytes, PART_MAGIC);
    writer->bytes[4] = PART_VERSION;
    store_u64(writer->bytes + 5, needed_seq);
    writer->used = PART_HEAD_BYTES;
}

static void part_end(struct part_writer *writer)
{
    writer->put(writer->context, str_make((const char *)writer->bytes, writer->used));
    writer->used = PART_HEAD_BYTES;
}

static void put_u8(struct part_writer *writer, uint8_t value)
{
    writer->bytes[writer->used++] = value;
}

static void put_number(struct part_writer *writer, uint64_t value)
{
    writer->used += varint_put(writer->bytes + writer->used, value);
}

static void put_bytes(struct part_writer *writer, const void *data, size_t bytes)
{
    if (bytes > 0) {
        memcpy(writer->bytes + writer->used, data, bytes);
    }
    writer->used += bytes;
}

static void put_stream(struct part_writer *writer, const struct stream *stream)
{
    const struct file_clock *file = &stream->file;
    put_u8(writer, 'S');
    put_u8(writer, stream->venue);
    put_u8(writer, stream->channel);
    put_u8(writer, file->open ? FLAG_OPEN : 0);
    put_number(writer, stream->symbol.bytes);
    put_number(writer, zigzag(file->hour_unix_ns));
    put_number(writer, file->number);
    put_u8(writer, file->idle_factor);
    put_number(writer, zigzag(file->period_end_ns));
    put_number(writer, zigzag(file->last_unix_ns));
    put_number(writer, file->rows);
    put_number(writer, file->texts);
    put_number(writer, file->text_bytes);
    put_number(writer, stream->pending_gaps);
    put_number(writer, stream->pending_missing);
    put_bytes(writer, stream->symbol.data, stream->symbol.bytes);
}

static void put_text(struct part_writer *writer, const char *text)
{
    size_t bytes = strlen(text);
    put_u8(writer, (uint8_t)bytes);
    put_bytes(writer, text, bytes);
}

static void put_decimal(struct part_writer *writer, struct decimal_opt value)
{
    put_u8(writer, value.set);
    put_u8(writer, (uint8_t)value.value.exponent);
    put_number(writer, zigzag(value.value.mantissa));
}

static void put_facts(struct part_writer *writer, const struct facts_entry *entry)
{
    put_u8(writer, 'F');
    store_u64(writer->bytes + writer->used, entry->symbol_hash);
    writer->used += 8;
    put_text(writer, entry->facts.base);
    put_text(writer, entry->facts.quote);
    put_decimal(writer, entry->facts.tick_size);
    put_decimal(writer, entry->facts.lot_size);
    put_decimal(writer, entry->facts.contract_multiplier);
    put_u8(writer, entry->facts.inverse);
}

void store_checkpoint(struct store *store, size_t part_bytes,
                      void (*put)(void *context, struct str part), void *context)
{
    ASSERT(part_bytes >= PART_HEAD_BYTES + ENTRY_BYTES_MAX);
    size_t limit = part_bytes < ROW_BYTES_MAX ? part_bytes : ROW_BYTES_MAX;
    struct part_writer writer = {store->row, 0, limit - ENTRY_BYTES_MAX, put, context};
    part_begin(&writer, store_needed_seq(store));
    put_u8(&writer, 'T');
    put_u8(&writer, (uint8_t)store->tuner.zstd_level);
    for (uint32_t i = 0; i < store->streams.count; i++) {
        if (store->streams.streams[i].file.hour_unix_ns == INT64_MIN) {
            continue; /* had no row */
        }
        put_stream(&writer, &store->streams.streams[i]);
        if (writer.used > writer.limit) {
            part_end(&writer);
        }
    }
    for (uint32_t slot = 0; slot <= store->facts.slot_mask; slot++) {
        if (store->facts.slots[slot] == 0) {
            continue;
        }
        put_facts(&writer, &store->facts.entries[store->facts.slots[slot] - 1]);
        if (writer.used > writer.limit) {
            part_end(&writer);
        }
    }
    part_end(&writer); /* also when it is empty: it carries the needed seq */
}

/* ---- restoring: outside bytes */

struct part_reader {
    const uint8_t *p, *end;
    bool bad;
};

static uint8_t get_u8(struct part_reader *reader)
{
    if (reader->p == reader->end) {
        reader->bad = true;
        return 0;
    }
    return *reader->p++;
}

static uint64_t get_number(struct part_reader *reader)
{
    uint64_t value = 0;
    size_t bytes = varint_get(reader->p, reader->end, &value);
    reader->bad = reader->bad || bytes == 0;
    reader->p += bytes;
    return value;
}

static struct str get_bytes(struct part_reader *reader, uint64_t bytes)
{
    if (bytes > (uint64_t)(reader->end - reader->p)) {
        reader->bad = true;
        return str_make(NULL, 0);
    }
    struct str view = str_make((const char *)reader->p, bytes);
    reader->p += bytes;
    return view;
}

static int get_stream(struct store *store, struct part_reader *reader)
{
    uint8_t venue = get_u8(reader);
    uint8_t channel = get_u8(reader);
    bool open = (get_u8(reader) & FLAG_OPEN) != 0;
    uint64_t symbol_bytes = get_number(reader);
    struct file_clock file = {.hour_unix_ns = unzigzag(get_number(reader))};
    uint64_t number = get_number(reader);
    file.number = (uint32_t)number;
    file.idle_factor = get_u8(reader);
    file.period_end_ns = unzigzag(get_number(reader));
    file.last_unix_ns = unzigzag(get_number(reader));
    file.rows = get_number(reader);
    file.texts = get_number(reader);
    file.text_bytes = get_number(reader);
    uint64_t gaps = get_number(reader);
    uint64_t missing = get_number(reader);
    struct str symbol = get_bytes(reader, symbol_bytes);
    if (reader->bad || venue == VENUE_NONE || venue >= VENUE_ID_END || channel >= CHANNEL_COUNT ||
        number > UINT32_MAX || file.idle_factor > TUNE_IDLE_FACTOR_MAX ||
        file.hour_unix_ns % NS_PER_HOUR != 0 ||
        (symbol.bytes > 0 && !schema_has_symbol_path((enum channel)channel))) {
        return MD_ECORRUPT;
    }
    struct stream *stream =
        stream_of(&store->streams, (enum venue_id)venue, (enum channel)channel, symbol);
    if (stream == NULL) {
        return MD_EFULL;
    }
    if (stream->open_index != NO_INDEX) {
        return MD_ECORRUPT; /* not before the first event */
    }
    /* Its rows are in sealed files, or the replay began too late to have them. */
    file.open = file.skipped = open;
    file.idle_factor = store->config.tune ? file.idle_factor : 0;
    stream->file = file;
    stream->pending_gaps = (uint32_t)gaps;
    stream->pending_missing = missing;
    return 0;
}

static void get_text(struct part_reader *reader, char out[16])
{
    struct str text = get_bytes(reader, get_u8(reader));
    if (text.bytes > 15) {
        reader->bad = true;
    } else if (!reader->bad && text.bytes > 0) {
        memcpy(out, text.data, text.bytes);
    }
}

static struct decimal_opt get_decimal(struct part_reader *reader)
{
    struct decimal_opt value = {.set = get_u8(reader) != 0};
    value.value.exponent = (int8_t)get_u8(reader);
    value.value.mantissa = unzigzag(get_number(reader));
    if (value.value.exponent < -38 || value.value.exponent > 38) {
        reader->bad = true;
    }
    return value;
}

static int get_facts(struct store *store, struct part_reader *reader)
{
    struct str hash = get_bytes(reader, 8);
    struct seal_facts facts = {.base = ""};
    get_text(reader, facts.base);
    get_text(reader, facts.quote);
    facts.tick_size = get_decimal(reader);
    facts.lot_size = get_decimal(reader);
    facts.contract_multiplier = get_decimal(reader);
    facts.inverse = get_u8(reader) != 0;
    if (reader->bad) {
        return MD_ECORRUPT;
    }
    facts_note(&store->facts, load_u64(hash.data), &facts);
    return 0;
}

static int get_tuning(struct store *store, struct part_reader *reader)
{
    tune_restore_level(store, get_u8(reader));
    return reader->bad ? MD_ECORRUPT : 0;
}

static bool part_is_ours(struct str part)
{
    return part.bytes >= PART_HEAD_BYTES && load_u32(part.data) == PART_MAGIC &&
           (uint8_t)part.data[4] == PART_VERSION;
}

int store_restore(struct store *store, struct str part)
{
    if (!part_is_ours(part)) {
        return MD_ECORRUPT;
    }
    const uint8_t *begin = (const uint8_t *)part.data;
    struct part_reader reader = {begin + PART_HEAD_BYTES, begin + part.bytes, false};
    while (reader.p < reader.end) {
        uint8_t kind = get_u8(&reader);
        int code = kind == 'S'   ? get_stream(store, &reader)
                   : kind == 'F' ? get_facts(store, &reader)
                   : kind == 'T' ? get_tuning(store, &reader)
                                 : MD_ECORRUPT;
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

uint64_t store_state_needed_seq(struct str part)
{
    return part_is_ours(part) ? load_u64(part.data + 5) : 0;
}
