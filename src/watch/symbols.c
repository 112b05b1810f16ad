/* Streams by symbol, for the page's table. Rows are never removed: a symbol that is not subscribed
 * any more says so. */
#include "watch/symbols.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "watch/text.h"

enum { SYMBOLS_IDLE, SYMBOLS_WANTED, SYMBOLS_FILLED };

#define ROW_NONE UINT32_MAX

static uint32_t slot_count(uint32_t symbols_max)
{
    uint32_t slots = 64;
    while (slots < symbols_max * 2) {
        slots *= 2;
    }
    return slots;
}

size_t watch_symbols_bytes(uint32_t streams_max, uint32_t symbols_max)
{
    return streams_max * (sizeof(struct normalise_look) + sizeof(uint32_t)) +
           symbols_max * sizeof(struct watch_symbol) + slot_count(symbols_max) * sizeof(uint32_t);
}

int watch_symbols_init(struct watch_symbols *symbols, const struct normalise *normalise,
                       uint32_t streams_max, uint32_t symbols_max)
{
    symbols->normalise = normalise;
    symbols->streams_max = streams_max;
    symbols->rows_max = symbols_max;
    symbols->slot_mask = slot_count(symbols_max) - 1;
    symbols->looks = alloc_take(ALLOC_WATCH, streams_max * sizeof *symbols->looks);
    symbols->row_of = alloc_take(ALLOC_WATCH, streams_max * sizeof *symbols->row_of);
    symbols->rows = alloc_take(ALLOC_WATCH, symbols_max * sizeof *symbols->rows);
    symbols->slots = alloc_take(ALLOC_WATCH, (symbols->slot_mask + 1) * sizeof *symbols->slots);
    bool good = symbols->looks != NULL && symbols->row_of != NULL && symbols->rows != NULL &&
                symbols->slots != NULL;
    return good ? 0 : MD_ENOMEM;
}

void watch_symbols_deinit(struct watch_symbols *symbols)
{
    alloc_give(symbols->looks);
    alloc_give(symbols->row_of);
    alloc_give(symbols->rows);
    alloc_give(symbols->slots);
    *symbols = (struct watch_symbols){0};
}

void watch_symbols_fill(struct watch_symbols *symbols, int64_t unix_ns)
{
    if (atomic_load_explicit(&symbols->turn, memory_order_acquire) != SYMBOLS_WANTED) {
        return;
    }
    symbols->look_count = normalise_look(symbols->normalise, symbols->looks, symbols->streams_max);
    symbols->look_unix_ns = unix_ns;
    atomic_store_explicit(&symbols->turn, SYMBOLS_FILLED, memory_order_release);
}

void watch_symbols_want(struct watch_symbols *symbols)
{
    int idle = SYMBOLS_IDLE;
    atomic_compare_exchange_strong(&symbols->turn, &idle, SYMBOLS_WANTED);
}

static uint32_t row_obtain(struct watch_symbols *symbols, enum venue_id venue, struct str name)
{
    uint32_t at = (uint32_t)str_hash(name, (uint64_t)venue) & symbols->slot_mask;
    for (; symbols->slots[at] != 0; at = (at + 1) & symbols->slot_mask) {
        const struct watch_symbol *row = &symbols->rows[symbols->slots[at] - 1];
        if (row->venue == venue && str_equal(row->name, name)) {
            return symbols->slots[at] - 1;
        }
    }
    if (symbols->row_count == symbols->rows_max) {
        symbols->rows_refused++;
        return ROW_NONE;
    }
    symbols->slots[at] = ++symbols->row_count;
    symbols->rows[symbols->row_count - 1] = (struct watch_symbol){.name = name, .venue = venue};
    return symbols->row_count - 1;
}

static void add(struct watch_symbol *row, const struct normalise_look *look, enum channel channel)
{
    row->streams++;
    row->messages += look->messages;
    row->gaps += look->gaps;
    row->book = look->book != 0 ? look->book : row->book;
    row->subscribed = row->subscribed || (look->flags & NORMALISE_LOOK_SUBSCRIBED) != 0;
    row->last_unix_ns =
        look->last_unix_ns > row->last_unix_ns ? look->last_unix_ns : row->last_unix_ns;
    if ((look->flags & NORMALISE_LOOK_SILENT) != 0) {
        row->silent_channel = row->silent == 0 ? (uint8_t)channel : row->silent_channel;
        row->silent++;
    }
}

bool watch_symbols_take(struct watch_symbols *symbols)
{
    if (atomic_load_explicit(&symbols->turn, memory_order_acquire) != SYMBOLS_FILLED) {
        return false;
    }
    for (uint32_t i = 0; i < symbols->row_count; i++) {
        struct watch_symbol *row = &symbols->rows[i];
        *row = (struct watch_symbol){.name = row->name,
                                     .venue = row->venue,
                                     .last_unix_ns = TIME_NONE,
                                     .messages_before = row->messages};
    }
    for (uint32_t i = 0; i < symbols->look_count; i++) {
        enum venue_id venue = VENUE_NONE;
        enum channel channel = CHANNEL_COUNT;
        struct str name = normalise_stream_name(symbols->normalise, i, &venue, &channel);
        if (i >= symbols->known) {
            symbols->row_of[i] = name.bytes > 0 ? row_obtain(symbols, venue, name) : ROW_NONE;
        }
        if (symbols->row_of[i] != ROW_NONE) {
            add(&symbols->rows[symbols->row_of[i]], &symbols->looks[i], channel);
        }
    }
    symbols->known = symbols->look_count > symbols->known ? symbols->look_count : symbols->known;
    int64_t passed_ns = symbols->look_unix_ns - symbols->before_unix_ns;
    for (uint32_t i = 0; i < symbols->row_count; i++) {
        struct watch_symbol *row = &symbols->rows[i];
        uint64_t came = row->messages - row->messages_before;
        row->rate = symbols->before_unix_ns > 0 && passed_ns > 0
                        ? (float)((double)came * 1e9 / (double)passed_ns)
                        : 0;
    }
    symbols->before_unix_ns = symbols->look_unix_ns;
    atomic_store_explicit(&symbols->turn, SYMBOLS_IDLE, memory_order_release);
    return true;
}

static void put_row(struct buf *out, const struct watch_symbols *symbols, uint32_t index)
{
    static const char *const books[] = {"", "waiting", "joining", "whole"};
    const struct watch_symbol *row = &symbols->rows[index];
    buf_put_str(out, index > 0 ? STR(",\n[") : STR("["));
    buf_put_i64(out, (int64_t)row->venue);
    buf_put_char(out, ',');
    text_json(out, row->name);
    buf_put_char(out, ',');
    buf_put_i64(out, row->last_unix_ns == TIME_NONE
                         ? -1
                         : (symbols->look_unix_ns - row->last_unix_ns) / NS_PER_MS);
    buf_put_char(out, ',');
    buf_put_i64(out, (int64_t)(row->rate * 10 + 0.5f));
    buf_put_char(out, ',');
    buf_put_u64(out, row->messages);
    buf_put_char(out, ',');
    buf_put_u64(out, row->gaps);
    buf_put_char(out, ',');
    text_json(out, str_from(books[row->book]));
    buf_put_char(out, ',');
    text_json(out, row->silent > 0 ? str_from(channel_name((enum channel)row->silent_channel))
                                   : (struct str){0});
    buf_put_char(out, ',');
    buf_put_i64(out, row->subscribed);
    buf_put_char(out, ']');
}

void watch_symbols_write(struct buf *out, const struct watch_symbols *symbols)
{
    buf_put_str(out,
                STR("{\"columns\":[\"exchange\",\"symbol\",\"age_ms\",\"rate_x10\",\"messages\","
                    "\"gaps\",\"book\",\"silent\",\"subscribed\"],\n\"exchanges\":["));
    for (int id = 0; id < VENUE_ID_END; id++) {
        buf_printf(out, "%s\"%s\"", id > 0 ? "," : "", venue_name((enum venue_id)id));
    }
    buf_put_str(out, STR("],\n\"rows\":["));
    size_t room = out->capacity - 64;
    uint32_t written = 0;
    for (; written < symbols->row_count && out->bytes + 4096 < room; written++) {
        put_row(out, symbols, written);
    }
    buf_printf(out, "],\n\"left_out\":%u}\n", symbols->row_count - written + symbols->rows_refused);
}
