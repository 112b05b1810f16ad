/* Channels as columns (schema.md): the tables, and event -> cells.
 * Place: landing thread, between store_event() and the row codec.
 * Invariants: the cells of a row are in the order of the schema's columns; a cell of a column that
 * is not nullable is never null; texts are views into the event or into static words. `local_ns`,
 * when the setting is on, stands right after `local_timestamp`: readers that take the common
 * columns by position still find the first four. gaps: the symbol of the common columns is the
 * gap's own (null = all symbols); there is no second one. Memory: static tables only. */
#include "base/assert.h"
#include "base/clock.h"
#include "store/row_block.h"
#include "store/store.h"

#define SCHEMA_VERSION 1

#define I64(name)               \
    {                           \
        name, COLUMN_I64, false \
    }
#define I64_NULL(name)         \
    {                          \
        name, COLUMN_I64, true \
    }
#define I32(name)               \
    {                           \
        name, COLUMN_I32, false \
    }
#define I32_NULL(name)         \
    {                          \
        name, COLUMN_I32, true \
    }
#define TIME(name)               \
    {                            \
        name, COLUMN_TIME, false \
    }
#define TIME_NULL(name)         \
    {                           \
        name, COLUMN_TIME, true \
    }
#define F64(name)               \
    {                           \
        name, COLUMN_F64, false \
    }
#define F64_NULL(name)         \
    {                          \
        name, COLUMN_F64, true \
    }
#define BOOL(name)               \
    {                            \
        name, COLUMN_BOOL, false \
    }
#define BOOL_NULL(name)         \
    {                           \
        name, COLUMN_BOOL, true \
    }
#define TEXT(name)               \
    {                            \
        name, COLUMN_TEXT, false \
    }
#define TEXT_NULL(name)         \
    {                           \
        name, COLUMN_TEXT, true \
    }

#define DEC(name)                                \
    {                                            \
        name COLUMN_DEC_SUFFIX, COLUMN_DEC, true \
    }

#define HEAD TEXT("exchange"), TEXT("symbol"), TIME_NULL("timestamp"), TIME("local_timestamp"),
#define HEAD_NULL_SYMBOL \
    TEXT("exchange"), TEXT_NULL("symbol"), TIME_NULL("timestamp"), TIME("local_timestamp"),
#define TAIL I32("conn_id"), I64("local_seq"),

#define TRADES                                                                        \
    TEXT_NULL("id"), I64_NULL("trade_id"), TEXT("side"), F64("price"), F64("amount"), \
        F64_NULL("amount_base"), I32("flags"),
#define BOOK_TICKER                                                                              \
    I64_NULL("update_id"), F64_NULL("ask_amount"), F64_NULL("ask_price"), F64_NULL("bid_price"), \
        F64_NULL("bid_amount"),
#define DEPTH                                                                                    \
    BOOL("is_snapshot"), TEXT("side"), F64("price"), F64("amount"), I64_NULL("first_update_id"), \
        I64_NULL("last_update_id"), I64_NULL("prev_update_id"),
#define LEVEL(n)                                                                                  \
    F64_NULL("asks_" #n "_price"), F64_NULL("asks_" #n "_amount"), F64_NULL("bids_" #n "_price"), \
        F64_NULL("bids_" #n "_amount"),
#define LEVELS_10(t) \
    LEVEL(t##0)      \
    LEVEL(t##1)      \
    LEVEL(t##2) LEVEL(t##3) LEVEL(t##4) LEVEL(t##5) LEVEL(t##6) LEVEL(t##7) LEVEL(t##8) LEVEL(t##9)
#define LEVELS_5 LEVEL(0) LEVEL(1) LEVEL(2) LEVEL(3) LEVEL(4)
#define BOOK_SNAPSHOT_5 I64_NULL("last_update_id"), LEVELS_5
#define BOOK_SNAPSHOT_20 I64_NULL("last_update_id"), LEVELS_10() LEVELS_10(1)
#define BOOK_SNAPSHOT_50 \
    I64_NULL("last_update_id"), LEVELS_10() LEVELS_10(1) LEVELS_10(2) LEVELS_10(3) LEVELS_10(4)
#define DERIVATIVE_TICKER                                                                         \
    TIME_NULL("funding_timestamp"), F64_NULL("funding_rate"), F64_NULL("predicted_funding_rate"), \
        F64_NULL("open_interest"), F64_NULL("last_price"), F64_NULL("index_price"),               \
        F64_NULL("mark_price"), I32_NULL("funding_interval_s"),
#define LIQUIDATIONS                                                                       \
    TEXT_NULL("id"), TEXT("side"), F64("price"), F64("amount"), F64_NULL("average_price"), \
        TEXT_NULL("order_status"),
#define CANDLES                                                                                    \
    TEXT("interval"), TIME("open_time"), TIME("close_time"), F64("open"), F64("high"), F64("low"), \
        F64("close"), F64("volume"), F64_NULL("quote_volume"), I64_NULL("trade_count"),            \
        BOOL_NULL("closed"),
#define TICKER                                                                   \
    F64_NULL("last_price"), F64_NULL("open"), F64_NULL("high"), F64_NULL("low"), \
        F64_NULL("volume"), F64_NULL("quote_volume"), F64_NULL("bid_price"),     \
        F64_NULL("ask_price"),
#define GAPS                                                                    \
    TEXT_NULL("channel"), TEXT("kind"), I64_NULL("from_id"), I64_NULL("to_id"), \
        I64_NULL("missing"), TIME("start"), TIME("end"), TEXT("resolved_by"),
#define INSTRUMENTS                                                                   \
    TEXT_NULL("base"), TEXT_NULL("quote"), TEXT_NULL("type"), TEXT_NULL("status"),    \
        F64_NULL("tick_size"), F64_NULL("lot_size"), F64_NULL("contract_multiplier"), \
        TEXT_NULL("unified_symbol"), TIME_NULL("valid_from"),

/* The same as exact decimals (output.decimal_columns): each F64 of the channel, in its order. */
#define TRADES_DEC DEC("price"), DEC("amount"), DEC("amount_base"),
#define BOOK_TICKER_DEC DEC("ask_amount"), DEC("ask_price"), DEC("bid_price"), DEC("bid_amount"),
#define DEPTH_DEC DEC("price"), DEC("amount"),
#define DERIVATIVE_TICKER_DEC                                                                    \
    DEC("funding_rate"), DEC("predicted_funding_rate"), DEC("open_interest"), DEC("last_price"), \
        DEC("index_price"), DEC("mark_price"),
#define LIQUIDATIONS_DEC DEC("price"), DEC("amount"), DEC("average_price"),
#define CANDLES_DEC \
    DEC("open"), DEC("high"), DEC("low"), DEC("close"), DEC("volume"), DEC("quote_volume"),
#define TICKER_DEC                                                                               \
    DEC("last_price"), DEC("open"), DEC("high"), DEC("low"), DEC("volume"), DEC("quote_volume"), \
        DEC("bid_price"), DEC("ask_price"),
#define INSTRUMENTS_DEC DEC("tick_size"), DEC("lot_size"), DEC("contract_multiplier"),
#define NO_DEC /* gaps has none; book_snapshot_N would be twice as wide */

/* enum, path and schema name, head, columns between, their decimals, levels */
#define SCHEMA_LIST(X)                                                                  \
    X(CHANNEL_TRADES, "trades", HEAD, TRADES, TRADES_DEC, 0)                            \
    X(CHANNEL_BOOK_TICKER, "book_ticker", HEAD, BOOK_TICKER, BOOK_TICKER_DEC, 0)        \
    X(CHANNEL_DEPTH, "incremental_book_L2", HEAD, DEPTH, DEPTH_DEC, 0)                  \
    X(CHANNEL_BOOK_SNAPSHOT_5, "book_snapshot_5", HEAD, BOOK_SNAPSHOT_5, NO_DEC, 5)     \
    X(CHANNEL_BOOK_SNAPSHOT_20, "book_snapshot_20", HEAD, BOOK_SNAPSHOT_20, NO_DEC, 20) \
    X(CHANNEL_BOOK_SNAPSHOT_50, "book_snapshot_50", HEAD, BOOK_SNAPSHOT_50, NO_DEC, 50) \
    X(CHANNEL_DERIVATIVE_TICKER, "derivative_ticker", HEAD, DERIVATIVE_TICKER,          \
      DERIVATIVE_TICKER_DEC, 0)                                                         \
    X(CHANNEL_LIQUIDATIONS, "liquidations", HEAD, LIQUIDATIONS, LIQUIDATIONS_DEC, 0)    \
    X(CHANNEL_CANDLES, "candles", HEAD, CANDLES, CANDLES_DEC, 0)                        \
    X(CHANNEL_TICKER, "ticker", HEAD, TICKER, TICKER_DEC, 0)                            \
    X(CHANNEL_GAPS, "gaps", HEAD_NULL_SYMBOL, GAPS, NO_DEC, 0)                          \
    X(CHANNEL_INSTRUMENTS, "instruments", HEAD, INSTRUMENTS, INSTRUMENTS_DEC, 0)

#define X(channel, name, head, between, decimals, levels)                                          \
    static const struct column_spec columns_##channel[] = {head between TAIL};                     \
    static const struct column_spec columns_ns_##channel[] = {head I64("local_ns"), between TAIL}; \
    static const struct column_spec columns_dec_##channel[] = {head between decimals TAIL};        \
    static const struct column_spec columns_ns_dec_##channel[] = {head I64("local_ns"),            \
                                                                  between decimals TAIL};
SCHEMA_LIST(X)
#undef X

/* Indexed by the options. */
#define COUNT(array) (uint32_t)(sizeof(array) / sizeof((array)[0]))
static const struct schema schemas[SCHEMA_OPTIONS_COUNT][CHANNEL_COUNT] = {
#define ROW(channel, name, columns, levels) \
    [channel] = {name, SCHEMA_VERSION, COUNT(columns), columns, levels},
#define X(channel, name, head, between, decimals, levels) \
    ROW(channel, name, columns_##channel, levels)
    {SCHEMA_LIST(X)},
#undef X
#define X(channel, name, head, between, decimals, levels) \
    ROW(channel, name, columns_ns_##channel, levels)
    [SCHEMA_LOCAL_NS] = {SCHEMA_LIST(X)},
#undef X
#define X(channel, name, head, between, decimals, levels) \
    ROW(channel, name, columns_dec_##channel, levels)
    [SCHEMA_DECIMALS] = {SCHEMA_LIST(X)},
#undef X
#define X(channel, name, head, between, decimals, levels) \
    ROW(channel, name, columns_ns_dec_##channel, levels)
    [SCHEMA_LOCAL_NS | SCHEMA_DECIMALS] = {SCHEMA_LIST(X)},
#undef X
#undef ROW
};

const struct schema *schema_of_with(enum channel channel, uint32_t options)
{
    ASSERT(channel < CHANNEL_COUNT);
    ASSERT(options < SCHEMA_OPTIONS_COUNT);
    return &schemas[options][channel];
}

const struct schema *schema_of(enum channel channel)
{
    return schema_of_with(channel, 0);
}

bool schema_has_symbol_path(enum channel channel)
{
    return channel != CHANNEL_GAPS && channel != CHANNEL_INSTRUMENTS;
}

/* ---- cells */

static struct cell *put_null(struct cell *cell)
{
    cell->null = true;
    return cell + 1;
}

static struct cell *put_i64(struct cell *cell, int64_t value)
{
    cell->null = false;
    cell->i64 = value;
    return cell + 1;
}

/* ID_NONE and TIME_NONE are the same value: absent. */
static struct cell *put_id(struct cell *cell, int64_t id)
{
    cell->null = id == ID_NONE;
    cell->i64 = id;
    return cell + 1;
}

static int64_t floor_us(int64_t unix_ns)
{
    int64_t us = unix_ns / NS_PER_US;
    return us - (unix_ns % NS_PER_US < 0);
}

static struct cell *put_time(struct cell *cell, int64_t unix_ns)
{
    cell->null = unix_ns == TIME_NONE;
    cell->i64 = cell->null ? 0 : floor_us(unix_ns);
    return cell + 1;
}

static struct cell *put_decimal(struct cell *cell, struct decimal value)
{
    cell->null = false;
    cell->dec = value;
    return cell + 1;
}

static struct cell *put_opt(struct cell *cell, struct decimal_opt value)
{
    cell->null = !value.set;
    cell->dec = value.value;
    return cell + 1;
}

static struct cell *put_text(struct cell *cell, struct str text)
{
    cell->null = false;
    cell->text = text;
    return cell + 1;
}

static struct cell *put_text_opt(struct cell *cell, struct str text)
{
    cell->null = text.bytes == 0;
    cell->text = text;
    return cell + 1;
}

static struct str side_word(enum side side)
{
    return row_word(side == SIDE_BUY    ? ROW_WORD_BUY
                    : side == SIDE_SELL ? ROW_WORD_SELL
                                        : ROW_WORD_UNKNOWN);
}

static struct cell *trade_cells(const struct trade_event *trade, struct cell *cell)
{
    cell = put_text_opt(cell, trade->id);
    cell = put_id(cell, trade->trade_id);
    cell = put_text(cell, side_word(trade->side));
    cell = put_decimal(cell, trade->price);
    cell = put_decimal(cell, trade->amount);
    cell = put_opt(cell, trade->amount_base);
    return put_i64(cell, trade->flags);
}

static struct cell *book_ticker_cells(const struct book_ticker_event *ticker, struct cell *cell)
{
    cell = put_id(cell, ticker->update_id);
    cell = put_opt(cell, ticker->ask_amount);
    cell = put_opt(cell, ticker->ask_price);
    cell = put_opt(cell, ticker->bid_price);
    return put_opt(cell, ticker->bid_amount);
}

/* A message that changes no level lands as one that deletes nothing, at price 0: else its ids would
 * be in no file, and a reader would take them for lost. */
static struct cell *level_cells(const struct depth_event *depth, uint32_t row, struct cell *cell)
{
    static const struct level none = {{0, 0}, {0, 0}};
    bool empty = depth->bid_count + depth->ask_count == 0;
    bool bid = empty || row < depth->bid_count;
    const struct level *level = empty ? &none
                                : bid ? &depth->bids[row]
                                      : &depth->asks[row - depth->bid_count];
    cell = put_text(cell, row_word(bid ? ROW_WORD_BID : ROW_WORD_ASK));
    cell = put_decimal(cell, level->price);
    return put_decimal(cell, level->amount);
}

static struct cell *depth_cells(const struct depth_event *depth, uint32_t row, struct cell *cell)
{
    cell = put_i64(cell, depth->is_snapshot);
    cell = level_cells(depth, row, cell);
    cell = put_id(cell, depth->first_update_id);
    cell = put_id(cell, depth->last_update_id);
    return put_id(cell, depth->prev_update_id);
}

static struct cell *snapshot_cells(const struct book_snapshot_event *book, uint32_t levels,
                                   struct cell *cell)
{
    cell = put_id(cell, book->last_update_id);
    for (uint32_t i = 0; i < levels; i++) {
        bool ask = i < book->ask_count;
        bool bid = i < book->bid_count;
        cell = ask ? put_decimal(cell, book->asks[i].price) : put_null(cell);
        cell = ask ? put_decimal(cell, book->asks[i].amount) : put_null(cell);
        cell = bid ? put_decimal(cell, book->bids[i].price) : put_null(cell);
        cell = bid ? put_decimal(cell, book->bids[i].amount) : put_null(cell);
    }
    return cell;
}

static struct cell *derivative_cells(const struct derivative_ticker_event *ticker,
                                     struct cell *cell)
{
    cell = put_time(cell, ticker->funding_unix_ns);
    cell = put_opt(cell, ticker->funding_rate);
    cell = put_opt(cell, ticker->predicted_funding_rate);
    cell = put_opt(cell, ticker->open_interest);
    cell = put_opt(cell, ticker->last_price);
    cell = put_opt(cell, ticker->index_price);
    cell = put_opt(cell, ticker->mark_price);
    return ticker->funding_interval_s == 0 ? put_null(cell)
                                           : put_i64(cell, ticker->funding_interval_s);
}

static struct cell *liquidation_cells(const struct liquidation_event *liquidation,
                                      struct cell *cell)
{
    cell = put_text_opt(cell, liquidation->id);
    cell = put_text(cell, side_word(liquidation->side));
    cell = put_decimal(cell, liquidation->price);
    cell = put_decimal(cell, liquidation->amount);
    cell = put_opt(cell, liquidation->average_price);
    return put_text_opt(cell, liquidation->order_status);
}

static struct cell *candle_cells(const struct candle_event *candle, struct cell *cell)
{
    cell = put_text(cell, candle->interval);
    cell = put_time(cell, candle->open_unix_ns);
    cell = put_time(cell, candle->close_unix_ns);
    cell = put_decimal(cell, candle->open);
    cell = put_decimal(cell, candle->high);
    cell = put_decimal(cell, candle->low);
    cell = put_decimal(cell, candle->close);
    cell = put_decimal(cell, candle->volume);
    cell = put_opt(cell, candle->quote_volume);
    cell = put_id(cell, candle->trade_count);
    return candle->closed < 0 ? put_null(cell) : put_i64(cell, candle->closed > 0);
}

static struct cell *ticker_cells(const struct ticker_event *ticker, struct cell *cell)
{
    cell = put_opt(cell, ticker->last_price);
    cell = put_opt(cell, ticker->open);
    cell = put_opt(cell, ticker->high);
    cell = put_opt(cell, ticker->low);
    cell = put_opt(cell, ticker->volume);
    cell = put_opt(cell, ticker->quote_volume);
    cell = put_opt(cell, ticker->bid_price);
    return put_opt(cell, ticker->ask_price);
}

static struct cell *gap_cells(const struct gap_event *gap, int64_t recv_unix_ns, struct cell *cell)
{
    cell = gap->all_channels ? put_null(cell)
                             : put_text(cell, str_from(channel_name(gap->of_channel)));
    cell = put_text(cell, str_from(gap_kind_name(gap->kind)));
    cell = put_id(cell, gap->from_id);
    cell = put_id(cell, gap->to_id);
    cell = put_id(cell, gap->missing);
    /* A bound that is not known is the moment the gap was told. */
    cell = put_time(cell, gap->start_unix_ns == TIME_NONE ? recv_unix_ns : gap->start_unix_ns);
    cell = put_time(cell, gap->end_unix_ns == TIME_NONE ? recv_unix_ns : gap->end_unix_ns);
    return put_text(cell, str_from(gap_resolved_name(gap->resolved_by)));
}

static struct cell *instrument_cells(const struct instrument_event *instrument, struct cell *cell)
{
    cell = put_text_opt(cell, instrument->base);
    cell = put_text_opt(cell, instrument->quote);
    cell = put_text_opt(cell, instrument->type);
    cell = put_text_opt(cell, instrument->status);
    cell = put_opt(cell, instrument->tick_size);
    cell = put_opt(cell, instrument->lot_size);
    cell = put_opt(cell, instrument->contract_multiplier);
    cell = put_text_opt(cell, instrument->unified_symbol);
    return put_time(cell, instrument->valid_from_unix_ns);
}

static struct cell *channel_cells(const struct event *event, uint32_t row, struct cell *cell)
{
    switch (event->channel) {
    case CHANNEL_TRADES:
        return trade_cells(&event->trade, cell);
    case CHANNEL_BOOK_TICKER:
        return book_ticker_cells(&event->book_ticker, cell);
    case CHANNEL_DEPTH:
        return depth_cells(&event->depth, row, cell);
    case CHANNEL_BOOK_SNAPSHOT_5:
    case CHANNEL_BOOK_SNAPSHOT_20:
    case CHANNEL_BOOK_SNAPSHOT_50:
        return snapshot_cells(&event->book_snapshot, schemas[0][event->channel].depth_levels, cell);
    case CHANNEL_DERIVATIVE_TICKER:
        return derivative_cells(&event->derivative_ticker, cell);
    case CHANNEL_LIQUIDATIONS:
        return liquidation_cells(&event->liquidation, cell);
    case CHANNEL_CANDLES:
        return candle_cells(&event->candle, cell);
    case CHANNEL_TICKER:
        return ticker_cells(&event->ticker, cell);
    case CHANNEL_GAPS:
        return gap_cells(&event->gap, event->recv_unix_ns, cell);
    case CHANNEL_INSTRUMENTS:
        return instrument_cells(&event->instrument, cell);
    case CHANNEL_COUNT:
        break;
    }
    ASSERT(false);
    return cell;
}

uint32_t schema_event_rows(const struct event *event)
{
    if (event->channel == CHANNEL_DEPTH) {
        uint32_t levels = event->depth.bid_count + event->depth.ask_count;
        return levels == 0 && event->depth.last_update_id != ID_NONE ? 1 : levels;
    }
    return 1;
}

/* The cells [first, cell) are the columns between: their F64s again, as they stand in decimals. */
static struct cell *decimal_cells(const struct schema *schema, const struct cell *cells,
                                  uint32_t first, struct cell *cell)
{
    uint32_t end = (uint32_t)(cell - cells);
    for (uint32_t c = first; c < end; c++) {
        if (schema->columns[c].type == COLUMN_F64) {
            *cell++ = cells[c];
        }
    }
    return cell;
}

uint32_t schema_event_cells_with(const struct event *event, uint32_t row, uint32_t options,
                                 struct cell *cells)
{
    struct cell *cell = cells;
    cell = put_text(cell, str_from(venue_name(event->venue)));
    cell = put_text(cell, event->symbol);
    cell[-1].null = event->symbol.bytes == 0 && event->channel == CHANNEL_GAPS;
    cell = put_time(cell, event->event_unix_ns);
    cell = put_time(cell, event->recv_unix_ns);
    if (options & SCHEMA_LOCAL_NS) {
        cell = put_i64(cell, event->recv_unix_ns);
    }
    cell = channel_cells(event, row, cell);
    const struct schema *schema = &schemas[options][event->channel];
    if (options & SCHEMA_DECIMALS && schema->depth_levels == 0) {
        cell = decimal_cells(schema, cells, 4, cell);
    }
    cell = put_i64(cell, (int32_t)event->conn);
    cell = put_i64(cell, (int64_t)event->seq);
    return (uint32_t)(cell - cells);
}

uint32_t schema_event_cells(const struct event *event, uint32_t row, struct cell *cells)
{
    return schema_event_cells_with(event, row, 0, cells);
}

void schema_event_cells_next(const struct event *event, uint32_t row, uint32_t options,
                             struct cell *cells)
{
    DCHECK(event->channel == CHANNEL_DEPTH);
    struct cell *side = cells + 4 + ((options & SCHEMA_LOCAL_NS) != 0) + 1;
    level_cells(&event->depth, row, side);
    if (options & SCHEMA_DECIMALS) {
        memcpy(side + 6, side + 1, 2 * sizeof *side); /* behind the three ids */
    }
}

/* ---- the ids that are a file's first and last sequence */

void schema_sequence_columns(const struct schema *schema, int *first, int *last)
{
    static const char *const singles[] = {"trade_id", "update_id", "last_update_id"};
    for (size_t i = 0; i < sizeof singles / sizeof singles[0]; i++) {
        *last = schema_column(schema, singles[i]);
        if (*last >= 0) {
            break;
        }
    }
    int begin = schema_column(schema, "first_update_id");
    *first = begin >= 0 ? begin : *last;
}
