/* CSV columns, ours and tardis's. See csv_schema.h.
 * Source: docs.tardis.dev/downloadable-csv-files/data-types (read 2026-11-28): names, order,
 * microseconds since 1970; `timestamp` is local_timestamp where the venue sends none. hftbacktest
 * (data/utils/tardis.py) takes exactly these columns, and no null time.
 * Invariants: the columns of a tardis file depend on the channel's name alone. Memory: the
 * caller's. */
#include "store/csv_schema.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "exchange/event.h"

/* Behind exchange, symbol, timestamp, local_timestamp. book_snapshot_N: all levels. */
static const struct {
    const char *schema;
    const char *columns[9];
} tardis_files[] = {
    {"trades", {"id", "side", "price", "amount"}},
    {"incremental_book_L2", {"is_snapshot", "side", "price", "amount"}},
    {"book_ticker", {"ask_amount", "ask_price", "bid_price", "bid_amount"}},
    {"derivative_ticker",
     {"funding_timestamp", "funding_rate", "predicted_funding_rate", "open_interest", "last_price",
      "index_price", "mark_price"}},
    {"liquidations", {"id", "side", "price", "amount"}},
};

static const char *const head[] = {"exchange", "symbol", "timestamp", "local_timestamp"};

/* Ours numbers trades where the id is a number: tardis has one column. */
static const struct {
    const char *name, *otherwise;
} otherwise[] = {{"timestamp", "local_timestamp"}, {"id", "trade_id"}};

static void add(struct csv_schema *out, const struct schema *schema, const char *name)
{
    int index = schema_column(schema, name);
    ASSERT(index >= 0);
    struct csv_column *column = &out->columns[out->count++];
    *column = (struct csv_column){.index = (uint16_t)index, .otherwise = -1};
    for (size_t i = 0; i < sizeof otherwise / sizeof otherwise[0]; i++) {
        if (strcmp(name, otherwise[i].name) == 0) {
            column->otherwise = (int16_t)schema_column(schema, otherwise[i].otherwise);
        }
    }
}

static bool is_level(const char *name)
{
    return strncmp(name, "asks_", 5) == 0 || strncmp(name, "bids_", 5) == 0;
}

static void add_head(struct csv_schema *out, const struct schema *schema)
{
    out->tardis = true;
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++) {
        add(out, schema, head[i]);
    }
}

/* False when tardis has no such file. */
static bool add_tardis(struct csv_schema *out, const struct schema *schema)
{
    if (schema->depth_levels > 0) {
        add_head(out, schema);
        for (uint32_t c = 0; c < schema->column_count; c++) {
            if (is_level(schema->columns[c].name)) {
                add(out, schema, schema->columns[c].name);
            }
        }
        return true;
    }
    for (size_t i = 0; i < sizeof tardis_files / sizeof tardis_files[0]; i++) {
        if (strcmp(schema->name, tardis_files[i].schema) == 0) {
            add_head(out, schema);
            for (const char *const *name = tardis_files[i].columns; *name != NULL; name++) {
                add(out, schema, *name);
            }
            return true;
        }
    }
    return false;
}

void csv_schema_init(struct csv_schema *out, const struct schema *schema, bool tardis)
{
    *out = (struct csv_schema){.skip_column = -1};
    if (tardis && add_tardis(out, schema)) {
        if (strcmp(schema->name, "trades") == 0) {
            /* a row that only uses up an id, at price 0, would be a trade to who reads no flags */
            out->skip_column = schema_column(schema, "flags");
            out->skip_bits = TRADE_PLACEHOLDER;
        }
        return;
    }
    for (uint32_t c = 0; c < schema->column_count; c++) {
        out->columns[out->count++] = (struct csv_column){.index = (uint16_t)c, .otherwise = -1};
    }
}

struct str csv_schema_name(const struct csv_schema *csv, const struct schema *schema,
                           uint32_t column, char memory[64])
{
    const char *name = schema->columns[csv->columns[column].index].name;
    unsigned level = 0;
    char value[16];
    if (!csv->tardis || !is_level(name) || sscanf(name + 5, "%u_%15s", &level, value) != 2) {
        return str_from(name);
    }
    int bytes = snprintf(memory, 64, "%.4s[%u].%s", name, level, value);
    return str_make(memory, (size_t)bytes);
}
