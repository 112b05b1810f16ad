/* Rows back to events. See rows.h.
 * Place: between the readers of the formats (store/row_reader.h) and verify, book and merge.
 * Invariants: columns are found once a file; one that the file leaves out is null, or 0; a depth
 * event is a run of rows with one local_seq,
 * one is_snapshot and the same ids, even where a row group ends in it.
 * Memory: a reader a format that was met, both sides' levels. */
#include "proof/rows.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"

struct rows {
    struct row_reader *readers[FORMAT_COUNT]; /* each made when first needed */
    struct row_reader *reader;                /* of the open file; NULL = none */
    const struct row_group *group;
    struct level *bids, *asks; /* ROWS_LEVELS_MAX each */

    enum channel channel;
    bool values, whole;
    int column_of[COLUMNS_MAX]; /* schema_of(channel)'s column -> the group's; -1 = none */
    uint32_t row, row_count;
    uint32_t event_rows;
    char symbol[COLUMN_TEXT_BYTES_MAX]; /* of a depth event */
};

int rows_create(struct rows **out)
{
    struct rows *rows = alloc_take(ALLOC_SEAL, sizeof *rows);
    if (rows == NULL) {
        return MD_ENOMEM;
    }
    rows->bids = alloc_take(ALLOC_SEAL, 2 * ROWS_LEVELS_MAX * sizeof(struct level));
    if (rows->bids == NULL) {
        rows_destroy(rows);
        return MD_ENOMEM;
    }
    rows->asks = rows->bids + ROWS_LEVELS_MAX;
    *out = rows;
    return 0;
}

void rows_destroy(struct rows *rows)
{
    if (rows == NULL) {
        return;
    }
    for (int f = 0; f < FORMAT_COUNT; f++) {
        if (rows->readers[f] != NULL) {
            rows->readers[f]->ops->destroy(rows->readers[f]);
        }
    }
    alloc_give(rows->bids);
    alloc_give(rows);
}

/* ---- opening */

void rows_close(struct rows *rows)
{
    if (rows->reader != NULL) {
        rows->reader->ops->close(rows->reader);
        rows->reader = NULL;
    }
}

int rows_open(struct rows *rows, struct mdio *io, const struct catalog_file *file, bool values,
              struct err *err)
{
    rows_close(rows);
    char name[MDIO_PATH_BYTES_MAX];
    struct str path = file->entry.path;
    if (path.bytes >= sizeof name) {
        return err_set(err, MD_ETOOBIG, "the path is too long");
    }
    memcpy(name, path.data, path.bytes);
    name[path.bytes] = 0;
    if (rows->readers[file->format] == NULL) {
        rows->readers[file->format] = row_reader_create(file->format);
    }
    struct row_reader *reader = rows->readers[file->format];
    if (reader == NULL) {
        return err_set(err, MD_ENOMEM, "no memory to read rows");
    }
    const struct schema *ours = schema_of(file->entry.channel);
    rows->channel = file->entry.channel;
    rows->values = values;
    rows->row = rows->row_count = 0;
    int code = reader->ops->open(reader, io, name, ours, err);
    if (code != 0) {
        return code;
    }
    rows->reader = reader;
    rows->whole = true;
    for (uint32_t i = 0; i < ours->column_count; i++) {
        rows->column_of[i] = reader->ops->column(reader, i);
        rows->whole = rows->whole && rows->column_of[i] >= 0;
    }
    return 0;
}

/* ---- cells, by the index of the channel's own column */

static bool is_null(const struct rows *rows, uint32_t index)
{
    int column = rows->column_of[index];
    return column < 0 || row_group_is_null(rows->group, column, rows->row);
}

/* Of a column that the file leaves out: 0. */
static int64_t get_i64(const struct rows *rows, uint32_t index)
{
    int column = rows->column_of[index];
    return column < 0 ? 0 : rows->group->columns[column].i64[rows->row];
}

/* An id, count or time: ID_NONE and TIME_NONE for null. */
static int64_t get_opt(const struct rows *rows, uint32_t index)
{
    return is_null(rows, index) ? ID_NONE : get_i64(rows, index);
}

static int64_t get_time(const struct rows *rows, uint32_t index)
{
    int64_t ns = 0;
    return is_null(rows, index) || __builtin_mul_overflow(get_i64(rows, index), NS_PER_US, &ns)
               ? TIME_NONE
               : ns;
}

static bool get_bool(const struct rows *rows, uint32_t index)
{
    int column = rows->column_of[index];
    return column >= 0 && rows->group->columns[column].boolean[rows->row] != 0;
}

static struct str get_text(const struct rows *rows, uint32_t index)
{
    return is_null(rows, index) ? STR("")
                                : row_group_text_at(rows->group, rows->column_of[index], rows->row);
}

static struct decimal get_decimal(const struct rows *rows, uint32_t index)
{
    struct decimal value = {0, 0};
    int column = rows->column_of[index];
    if (rows->values && column >= 0 &&
        decimal_from_double(rows->group->columns[column].f64[rows->row], &value) != 0) {
        value = (struct decimal){-1, 0}; /* no price and no amount: shown as one that cannot be */
    }
    return value;
}

static struct decimal_opt get_decimal_opt(const struct rows *rows, uint32_t index)
{
    bool set = !is_null(rows, index);
    struct decimal none = {0, 0};
    return (struct decimal_opt){set ? get_decimal(rows, index) : none, set};
}

static enum side get_side(const struct rows *rows, uint32_t index)
{
    struct str word = get_text(rows, index);
    return str_equal(word, STR("buy"))    ? SIDE_BUY
           : str_equal(word, STR("sell")) ? SIDE_SELL
                                          : SIDE_UNKNOWN;
}

/* ---- events. The numbers are places in the tables of store/schema.c, after the four columns every
 * channel begins with; schema_check() in the tests holds them against it. */

enum { HEAD_EXCHANGE, HEAD_SYMBOL, HEAD_TIME, HEAD_LOCAL, HEAD_COLUMNS };

static void read_trade(const struct rows *rows, uint32_t at, struct trade_event *trade)
{
    trade->id = get_text(rows, at);
    trade->trade_id = get_opt(rows, at + 1);
    trade->side = get_side(rows, at + 2);
    trade->price = get_decimal(rows, at + 3);
    trade->amount = get_decimal(rows, at + 4);
    trade->amount_base = get_decimal_opt(rows, at + 5);
    trade->flags = (int32_t)get_i64(rows, at + 6);
}

static void read_book_ticker(const struct rows *rows, uint32_t at, struct book_ticker_event *ticker)
{
    ticker->update_id = get_opt(rows, at);
    ticker->ask_amount = get_decimal_opt(rows, at + 1);
    ticker->ask_price = get_decimal_opt(rows, at + 2);
    ticker->bid_price = get_decimal_opt(rows, at + 3);
    ticker->bid_amount = get_decimal_opt(rows, at + 4);
}

static uint32_t read_levels(const struct rows *rows, uint32_t at, uint32_t levels, bool asks,
                            struct level *out)
{
    uint32_t count = 0;
    uint32_t first = at + (asks ? 0 : 2);
    while (count < levels && !is_null(rows, first + 4 * count)) {
        out[count].price = get_decimal(rows, first + 4 * count);
        out[count].amount = get_decimal(rows, first + 4 * count + 1);
        count++;
    }
    return count;
}

static void read_book_snapshot(struct rows *rows, uint32_t at, struct book_snapshot_event *book)
{
    uint32_t levels = schema_of(rows->channel)->depth_levels;
    book->last_update_id = get_opt(rows, at);
    book->asks = rows->asks;
    book->bids = rows->bids;
    book->ask_count = rows->values ? read_levels(rows, at + 1, levels, true, rows->asks) : 0;
    book->bid_count = rows->values ? read_levels(rows, at + 1, levels, false, rows->bids) : 0;
}

static void read_derivative(const struct rows *rows, uint32_t at,
                            struct derivative_ticker_event *ticker)
{
    ticker->funding_unix_ns = get_time(rows, at);
    ticker->funding_rate = get_decimal_opt(rows, at + 1);
    ticker->predicted_funding_rate = get_decimal_opt(rows, at + 2);
    ticker->open_interest = get_decimal_opt(rows, at + 3);
    ticker->last_price = get_decimal_opt(rows, at + 4);
    ticker->index_price = get_decimal_opt(rows, at + 5);
    ticker->mark_price = get_decimal_opt(rows, at + 6);
    ticker->funding_interval_s = is_null(rows, at + 7) ? 0 : (int32_t)get_i64(rows, at + 7);
}

static void read_liquidation(const struct rows *rows, uint32_t at, struct liquidation_event *event)
{
    event->id = get_text(rows, at);
    event->side = get_side(rows, at + 1);
    event->price = get_decimal(rows, at + 2);
    event->amount = get_decimal(rows, at + 3);
    event->average_price = get_decimal_opt(rows, at + 4);
    event->order_status = get_text(rows, at + 5);
}

static void read_candle(const struct rows *rows, uint32_t at, struct candle_event *candle)
{
    candle->interval = get_text(rows, at);
    candle->open_unix_ns = get_time(rows, at + 1);
    candle->close_unix_ns = get_time(rows, at + 2);
    candle->open = get_decimal(rows, at + 3);
    candle->high = get_decimal(rows, at + 4);
    candle->low = get_decimal(rows, at + 5);
    candle->close = get_decimal(rows, at + 6);
    candle->volume = get_decimal(rows, at + 7);
    candle->quote_volume = get_decimal_opt(rows, at + 8);
    candle->trade_count = get_opt(rows, at + 9);
    candle->closed = is_null(rows, at + 10) ? -1 : get_bool(rows, at + 10);
}

static void read_ticker(const struct rows *rows, uint32_t at, struct ticker_event *ticker)
{
    struct decimal_opt *const values[] = {
        &ticker->last_price, &ticker->open,         &ticker->high,      &ticker->low,
        &ticker->volume,     &ticker->quote_volume, &ticker->bid_price, &ticker->ask_price};
    for (uint32_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        *values[i] = get_decimal_opt(rows, at + i);
    }
}

/* -1: no such word. */
static int word_index(struct str word, const char *(*name)(int index), int count)
{
    for (int i = 0; i < count; i++) {
        if (str_equal(word, str_from(name(i)))) {
            return i;
        }
    }
    return -1;
}

static const char *kind_word(int index)
{
    return gap_kind_name((enum gap_kind)index);
}

static const char *resolved_word(int index)
{
    return gap_resolved_name((enum gap_resolved)index);
}

static int read_gap(const struct rows *rows, uint32_t at, struct gap_event *gap, struct err *err)
{
    struct str channel = get_text(rows, at);
    struct str kind = get_text(rows, at + 1);
    struct str resolved = get_text(rows, at + 7);
    gap->all_channels = is_null(rows, at);
    int of_channel = gap->all_channels ? 0 : channel_parse(channel);
    int of_kind = word_index(kind, kind_word, GAP_KIND_COUNT);
    int of_resolved = word_index(resolved, resolved_word, GAP_RESOLVED_COUNT);
    if (of_channel < 0 || of_kind < 0 || of_resolved < 0) {
        return err_set(err, MD_EPARSE, "a gap row with a word this version does not know");
    }
    gap->of_channel = (enum channel)of_channel;
    gap->kind = (enum gap_kind)of_kind;
    gap->from_id = get_opt(rows, at + 2);
    gap->to_id = get_opt(rows, at + 3);
    gap->missing = get_opt(rows, at + 4);
    gap->start_unix_ns = get_time(rows, at + 5);
    gap->end_unix_ns = get_time(rows, at + 6);
    gap->resolved_by = (enum gap_resolved)of_resolved;
    return 0;
}

static void read_instrument(const struct rows *rows, uint32_t at, struct instrument_event *event)
{
    event->base = get_text(rows, at);
    event->quote = get_text(rows, at + 1);
    event->type = get_text(rows, at + 2);
    event->status = get_text(rows, at + 3);
    event->tick_size = get_decimal_opt(rows, at + 4);
    event->lot_size = get_decimal_opt(rows, at + 5);
    event->contract_multiplier = get_decimal_opt(rows, at + 6);
    event->unified_symbol = get_text(rows, at + 7);
    event->valid_from_unix_ns = get_time(rows, at + 8);
}

/* ---- depth: a run of rows */

enum {
    DEPTH_SNAPSHOT = HEAD_COLUMNS,
    DEPTH_SIDE,
    DEPTH_PRICE,
    DEPTH_AMOUNT,
    DEPTH_FIRST,
    DEPTH_LAST,
    DEPTH_PREVIOUS,
    DEPTH_CONN,
    DEPTH_SEQ
};

static bool same_message(const struct rows *rows, const struct event *event)
{
    const struct depth_event *depth = &event->depth;
    /* without ids and numbers (tardis's columns): what came in one moment */
    return (rows->whole || (get_time(rows, HEAD_LOCAL) == event->recv_unix_ns &&
                            get_time(rows, HEAD_TIME) == event->event_unix_ns)) &&
           (uint64_t)get_i64(rows, DEPTH_SEQ) == event->seq &&
           get_bool(rows, DEPTH_SNAPSHOT) == depth->is_snapshot &&
           get_opt(rows, DEPTH_LAST) == depth->last_update_id &&
           get_opt(rows, DEPTH_FIRST) == depth->first_update_id &&
           get_opt(rows, DEPTH_PREVIOUS) == depth->prev_update_id;
}

static int level_add(struct rows *rows, struct depth_event *depth, struct err *err)
{
    struct str side = get_text(rows, DEPTH_SIDE);
    bool bid = str_equal(side, STR("bid"));
    if (!bid && !str_equal(side, STR("ask"))) {
        return err_set(err, MD_EPARSE, "a level that is neither bid nor ask");
    }
    struct level level = {get_decimal(rows, DEPTH_PRICE), get_decimal(rows, DEPTH_AMOUNT)};
    if (decimal_is_zero(level.price) && decimal_is_zero(level.amount)) {
        return 0; /* the row of a message that changes no level */
    }
    uint32_t *count = bid ? &depth->bid_count : &depth->ask_count;
    if (*count == ROWS_LEVELS_MAX) {
        return err_set(err, MD_ETOOBIG, "a message of more than %u levels", ROWS_LEVELS_MAX);
    }
    (bid ? rows->bids : rows->asks)[(*count)++] = level;
    return 0;
}

/* Steps to the next row, through the row groups. 1 = there is one. */
static int row_ready(struct rows *rows, struct err *err)
{
    while (rows->row == rows->row_count) {
        int code = rows->reader->ops->next(rows->reader, &rows->group, err);
        if (code != 1) {
            return code;
        }
        rows->row = 0;
        rows->row_count = rows->group->row_count;
    }
    return 1;
}

static int read_depth(struct rows *rows, struct event *event, struct err *err)
{
    struct depth_event *depth = &event->depth;
    *depth = (struct depth_event){
        .is_snapshot = get_bool(rows, DEPTH_SNAPSHOT),
        .first_update_id = get_opt(rows, DEPTH_FIRST),
        .last_update_id = get_opt(rows, DEPTH_LAST),
        .prev_update_id = get_opt(rows, DEPTH_PREVIOUS),
        .bids = rows->bids,
        .asks = rows->asks,
    };
    /* the next row group takes the place of this one, texts and all */
    size_t bytes = event->symbol.bytes;
    memcpy(rows->symbol, event->symbol.data, bytes);
    event->symbol = str_make(rows->symbol, bytes);
    rows->event_rows = 0;
    for (;;) {
        int code = level_add(rows, depth, err);
        if (code != 0) {
            return code;
        }
        rows->event_rows++;
        rows->row++;
        code = row_ready(rows, err);
        if (code != 1 || !same_message(rows, event)) {
            return code < 0 ? code : 1;
        }
    }
}

/* ---- one event */

static int read_between(struct rows *rows, struct event *event, struct err *err)
{
    uint32_t at = HEAD_COLUMNS;
    switch (rows->channel) {
    case CHANNEL_TRADES:
        read_trade(rows, at, &event->trade);
        return 0;
    case CHANNEL_BOOK_TICKER:
        read_book_ticker(rows, at, &event->book_ticker);
        return 0;
    case CHANNEL_BOOK_SNAPSHOT_5:
    case CHANNEL_BOOK_SNAPSHOT_20:
    case CHANNEL_BOOK_SNAPSHOT_50:
        read_book_snapshot(rows, at, &event->book_snapshot);
        return 0;
    case CHANNEL_DERIVATIVE_TICKER:
        read_derivative(rows, at, &event->derivative_ticker);
        return 0;
    case CHANNEL_LIQUIDATIONS:
        read_liquidation(rows, at, &event->liquidation);
        return 0;
    case CHANNEL_CANDLES:
        read_candle(rows, at, &event->candle);
        return 0;
    case CHANNEL_TICKER:
        read_ticker(rows, at, &event->ticker);
        return 0;
    case CHANNEL_GAPS:
        return read_gap(rows, at, &event->gap, err);
    case CHANNEL_INSTRUMENTS:
        read_instrument(rows, at, &event->instrument);
        return 0;
    case CHANNEL_DEPTH: /* read_depth() */
    case CHANNEL_COUNT:
        break;
    }
    ASSERT(false);
    return MD_EINVAL;
}

int rows_next(struct rows *rows, struct event *event, struct err *err)
{
    ASSERT(rows->reader != NULL);
    int code = row_ready(rows, err);
    if (code != 1) {
        return code;
    }
    uint32_t columns = schema_of(rows->channel)->column_count;
    int venue = venue_parse(get_text(rows, HEAD_EXCHANGE));
    *event = (struct event){
        .channel = rows->channel,
        .venue = venue > 0 ? (enum venue_id)venue : VENUE_NONE,
        .symbol = get_text(rows, HEAD_SYMBOL),
        .event_unix_ns = get_time(rows, HEAD_TIME),
        .recv_unix_ns = get_time(rows, HEAD_LOCAL),
        .conn = (uint32_t)get_i64(rows, columns - 2),
        .seq = (uint64_t)get_i64(rows, columns - 1),
    };
    if (rows->channel == CHANNEL_DEPTH) {
        return read_depth(rows, event, err);
    }
    code = read_between(rows, event, err);
    rows->row++;
    rows->event_rows = 1;
    return code != 0 ? code : 1;
}

uint32_t rows_of_event(const struct rows *rows)
{
    return rows->event_rows;
}

bool rows_whole(const struct rows *rows)
{
    return rows->whole;
}

bool rows_has_footer(const struct rows *rows)
{
    return rows->reader->ops->footer != NULL;
}

struct str rows_footer(const struct rows *rows, const char *key)
{
    return rows->reader->ops->footer(rows->reader, key);
}
