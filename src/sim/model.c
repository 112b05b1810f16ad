/* The simulated market as pure functions of (seed, symbol, index).
 *
 * Trades come in blocks of 16 that are cut into 10 taker orders by one of 40 patterns, so that
 * trade and aggregate ids both count up by one and each can be found from the other without
 * counting. The mid of the book is a sum of value noise at many periods over the update index, with
 * a slope below one slot an update, so that it moves at most one slot at a time. Every fourth
 * update refreshes one slot of the whole range in turn, the others one near the mid: the book after
 * update n is what the last 4 x slots updates leave, whatever was before.
 *
 * All arithmetic is on integers (the only doubles are rates, at init), so that simulator and oracle
 * agree on every machine. Memory: one model_symbol per symbol and a name table, the caller's. */
#include "sim/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

#define NS_PER_S 1000000000LL
#define E8 100000000LL
#define TABLE_SLOTS_PER_SYMBOL 4
#define OCTAVE_FIRST 6

struct known_symbol {
    const char *base, *quote;
    int64_t price_e8, tick_e8, step_e8;
};

/* Pairs, prices, tick and lot sizes as the venue had them at some time; only plausible. */
static const struct known_symbol known_symbols[] = {
    {"BTC", "USDT", 6500000000000, 1000000, 1000},
    {"ETH", "USDT", 342000000000, 1000000, 10000},
    {"SOL", "USDT", 17850000000, 1000000, 100000},
    {"XRP", "USDT", 218340000, 10000, 10000000},
    {"BNB", "USDT", 61245000000, 1000000, 100000},
    {"DOGE", "USDT", 17342000, 1000, 100000000},
    {"ADA", "USDT", 71230000, 10000, 10000000},
    {"ETH", "BTC", 5261000, 1000, 10000},
    {"LINK", "USDT", 1543200000, 100000, 1000000},
    {"BTC", "FDUSD", 6500150000000, 1000000, 1000},
    {"AVAX", "USDT", 2814000000, 100000, 1000000},
    {"LTC", "USDT", 9312000000, 1000000, 100000},
    {"TRX", "USDT", 24130000, 10000, 10000000},
    {"DOT", "USDT", 512300000, 100000, 1000000},
    {"SUI", "USDT", 361200000, 10000, 10000000},
    {"PEPE", "USDT", 1172, 1, 100000000},
    {"BTC", "USDC", 6499870000000, 1000000, 1000},
    {"NEAR", "USDT", 298700000, 100000, 10000000},
    {"UNI", "USDT", 891200000, 100000, 1000000},
    {"AAVE", "USDT", 17320000000, 1000000, 100000},
    {"SHIB", "USDT", 2481, 1, 100000000},
    {"XLM", "USDT", 27340000, 10000, 100000000},
    {"ATOM", "USDT", 612300000, 100000, 1000000},
    {"FIL", "USDT", 421300000, 100000, 1000000},
    {"ARB", "USDT", 53240000, 10000, 10000000},
    {"OP", "USDT", 118900000, 10000, 1000000},
    {"INJ", "USDT", 2134000000, 100000, 1000000},
    {"BNB", "BTC", 941200, 100, 100000},
    {"ETC", "USDT", 2214000000, 1000000, 1000000},
    {"APT", "USDT", 712300000, 100000, 1000000},
    {"SOL", "BTC", 274500, 10, 100000},
    {"ICP", "USDT", 843200000, 100000, 1000000},
    {"HBAR", "USDT", 18230000, 1000, 100000000},
    {"VET", "USDT", 3412000, 100, 10000000},
    {"XRP", "BTC", 33590, 1, 10000000},
    {"ALGO", "USDT", 21340000, 10000, 100000000},
    {"GRT", "USDT", 14230000, 1000, 100000000},
    {"RUNE", "EUR", 498700000, 100000, 10000000},
    {"BTC", "EUR", 5987200000000, 1000000, 1000},
    {"ETH", "EUR", 315120000000, 1000000, 10000},
    {"SAND", "USDT", 34120000, 10000, 100000000},
    {"MANA", "USDT", 38410000, 10000, 100000000},
    {"AXS", "USDT", 512300000, 100000, 1000000},
    {"THETA", "USDT", 112300000, 100000, 10000000},
    {"FTM", "USDT", 69120000, 10000, 100000000},
    {"LINK", "BTC", 23740, 1, 1000000},
    {"EGLD", "USDT", 2341000000, 1000000, 1000000},
    {"KAVA", "USDT", 44120000, 10000, 1000000},
    {"NKN", "USDT", 7213000, 1000, 100000000},
    {"CHZ", "USDT", 7412000, 1000, 100000000},
    {"1INCH", "USDT", 31240000, 10000, 10000000},
    {"ENJ", "USDT", 14230000, 10000, 10000000},
    {"BAT", "USDT", 19340000, 10000, 10000000},
    {"ZEC", "USDT", 3512000000, 1000000, 100000},
    {"DASH", "USDT", 2741000000, 1000000, 100000},
    {"COMP", "USDT", 4912000000, 1000000, 100000},
    {"SNX", "USDT", 141200000, 100000, 10000000},
    {"YFI", "USDT", 641200000000, 100000000, 1000},
    {"CRV", "USDT", 41230000, 10000, 10000000},
    {"LDO", "USDT", 112300000, 10000, 1000000},
    {"WIF", "USDT", 98120000, 10000, 1000000},
    {"ADA", "BTC", 10960, 1, 10000000},
    {"USDC", "USDT", 99980000, 10000, 100000000},
    /* the venue's test network has such a name; its document says so (web-socket-streams, 2025-12)
     */
    {"这是测试币", "456", 123400000, 10000, 10000000},
};
#define KNOWN_COUNT (sizeof known_symbols / sizeof known_symbols[0])

static const char *const idle_statuses[] = {"BREAK", "HALT", "END_OF_DAY", "CANCEL_ONLY"};
static const char *const generated_quotes[] = {"USDT",  "USDT", "USDT", "USDC",
                                               "FDUSD", "BTC",  "TRY",  "EUR"};

uint64_t model_mix(uint64_t key, uint64_t n)
{
    uint64_t x = key + n * 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

/* Independent draws for one symbol: each use has its own number. */
enum draw {
    DRAW_PHASE = 1,
    DRAW_TRADE_TIME,
    DRAW_PATTERN,
    DRAW_SIDE,
    DRAW_TRADE_QUANTITY,
    DRAW_UPDATE_TIME,
    DRAW_TOUCH,
    DRAW_SLOT_PRICE,
    DRAW_NOISE = 64, /* + octave */
};

static uint64_t draw(const struct model_symbol *symbol, unsigned use, int64_t n)
{
    return model_mix(symbol->key ^ ((uint64_t)use << 56), (uint64_t)n);
}

static uint64_t hash_bytes(uint64_t seed, const char *data, size_t bytes)
{
    uint64_t h = model_mix(seed, bytes);
    for (size_t i = 0; i < bytes; i++) {
        h = model_mix(h, (uint8_t)data[i]);
    }
    return h;
}

/* ---- symbols */

static struct model_config config_clamped(const struct model_config *config)
{
    struct model_config c = *config;
    c.symbols = c.symbols < 1 ? 1 : c.symbols;
    c.symbols = c.symbols > MODEL_SYMBOLS_MAX ? MODEL_SYMBOLS_MAX : c.symbols;
    c.symbols_idle = c.symbols_idle > MODEL_SYMBOLS_MAX ? MODEL_SYMBOLS_MAX : c.symbols_idle;
    c.updates_per_trade = c.updates_per_trade == 0 ? 4 : c.updates_per_trade;
    c.updates_per_trade = c.updates_per_trade > 1000 ? 1000 : c.updates_per_trade;
    if (!(c.trades_per_s > 1e-3)) {
        c.trades_per_s = 1e-3;
    }
    c.trades_per_s = c.trades_per_s > 1e7 ? 1e7 : c.trades_per_s;
    return c;
}

static uint32_t table_size(uint32_t count)
{
    uint32_t size = 16;
    while (size < count * TABLE_SLOTS_PER_SYMBOL) {
        size *= 2;
    }
    return size;
}

size_t model_memory_bytes(const struct model_config *config)
{
    struct model_config c = config_clamped(config);
    uint32_t count = c.symbols + c.symbols_idle;
    return count * sizeof(struct model_symbol) + table_size(count) * sizeof(uint32_t);
}

/* The k-th generated base: letters of a permuted number, so that neighbours look unlike. */
static void generated_base(uint32_t k, char out[MODEL_NAME_BYTES])
{
    uint32_t n = (k * 7919U + 1234U) % 456976U; /* 26^4; 7919 is prime to it */
    char letters[5] = "AAAA";
    for (int i = 3; i >= 0; i--) {
        letters[i] = (char)('A' + n % 26);
        n /= 26;
    }
    snprintf(out, MODEL_NAME_BYTES, "%s", letters);
}

static int64_t quote_notional_e8(const char *quote)
{
    if (strcmp(quote, "BTC") == 0) {
        return E8 / 4;
    }
    return strcmp(quote, "TRY") == 0 ? 300000 * E8 : 15000 * E8;
}

static void symbol_generate(struct model_symbol *symbol, uint32_t k, int64_t *price_e8)
{
    static const int64_t tens[] = {1, 10, 100, 1000, 10000, 100000, 1000000};
    uint64_t r = model_mix(0x51, k);
    generated_base(k, symbol->base);
    snprintf(symbol->quote, sizeof symbol->quote, "%s", generated_quotes[r % 8]);
    symbol->tick_e8 = tens[1 + (r >> 8) % 6];
    *price_e8 = (int64_t)(2000 + (r >> 16) % 90000) * symbol->tick_e8;
    symbol->step_e8 = *price_e8 < E8 / 10 ? E8 : *price_e8 < 10 * E8 ? E8 / 10 : E8 / 1000;
    if (strcmp(symbol->quote, "BTC") == 0) {
        symbol->tick_e8 = 1;
        *price_e8 = (int64_t)(2000 + (r >> 16) % 90000);
        symbol->step_e8 = E8 / 100;
    }
}

/* A recorded name: what follows a known quote's place is the quote, prices are of no importance. */
static void symbol_named(struct model_symbol *symbol, const char *name, int64_t *price_e8)
{
    static const char *const quotes[] = {"USDT", "USDC", "FDUSD", "BUSD", "TUSD", "BTC",
                                         "ETH",  "BNB",  "EUR",   "TRY",  "USD"};
    size_t bytes = strlen(name);
    size_t quote_bytes = bytes > 3 ? 3 : 0;
    for (size_t i = 0; i < sizeof quotes / sizeof quotes[0]; i++) {
        size_t n = strlen(quotes[i]);
        if (bytes > n && strcmp(name + bytes - n, quotes[i]) == 0) {
            quote_bytes = n;
            break;
        }
    }
    snprintf(symbol->base, sizeof symbol->base, "%.*s", (int)(bytes - quote_bytes), name);
    snprintf(symbol->quote, sizeof symbol->quote, "%s", name + bytes - quote_bytes);
    symbol->tick_e8 = 1;
    symbol->step_e8 = 1;
    *price_e8 = E8;
}

static void symbol_prices_set(struct model_symbol *symbol, uint32_t rank, int64_t price_e8)
{
    int64_t ticks = price_e8 / symbol->tick_e8;
    symbol->slots = rank < 20 ? 4096 : rank < 200 ? 1024 : 512;
    while (symbol->slots > 256 && ticks < (int64_t)symbol->slots) {
        symbol->slots /= 2;
    }
    symbol->octave_last = symbol->slots == 4096 ? 20 : symbol->slots == 1024 ? 16 : 14;
    if (symbol->slots == 256) {
        symbol->octave_last = 12;
    } else if (symbol->slots == 2048) {
        symbol->octave_last = 18;
    }
    int64_t spacing = ticks / 20 / (int64_t)symbol->slots;
    symbol->spacing_ticks = spacing < 1 ? 1 : (uint32_t)spacing;
    symbol->slot0_ticks = ticks - (int64_t)symbol->slots / 2 * symbol->spacing_ticks;
    ASSERT(symbol->slot0_ticks > 0);
    double steps = (double)quote_notional_e8(symbol->quote) / (double)price_e8 * (double)E8 /
                   (double)symbol->step_e8;
    /* A window's volume must fit 63 bits of e8, cheap coins too. */
    double steps_max = 1e14 / (double)symbol->step_e8;
    steps = steps > steps_max ? steps_max : steps;
    symbol->quantity_steps = steps < 64 ? 64 : steps > 5e8 ? 500000000 : (uint32_t)steps;
}

static void symbol_rates_set(struct model_symbol *symbol, const struct model_config *config,
                             double trades_per_s)
{
    if (trades_per_s < 1e-4) {
        trades_per_s = 1e-4;
    }
    symbol->block_ns = (int64_t)(MODEL_BLOCK_TRADES * 1e9 / trades_per_s);
    symbol->block_ns = symbol->block_ns < 65536 ? 65536 : symbol->block_ns;
    symbol->update_ns = (int64_t)(1e9 / (trades_per_s * config->updates_per_trade));
    symbol->update_ns = symbol->update_ns < 200 ? 200 : symbol->update_ns;
    uint64_t r = draw(symbol, DRAW_PHASE, 0);
    symbol->block_phase_ns = (int64_t)(r % (uint64_t)symbol->block_ns);
    symbol->update_phase_ns = (int64_t)((r >> 20) % (uint64_t)symbol->update_ns);
    symbol->trade_id0 = 1000000 + (int64_t)(draw(symbol, DRAW_PHASE, 1) % 900000000);
    symbol->agg_id0 = symbol->trade_id0 * 7 / 10;
    symbol->update_id0 = 100000000 + (int64_t)(draw(symbol, DRAW_PHASE, 2) % 9000000000ULL);
}

static void symbol_lower_set(struct model_symbol *symbol)
{
    for (size_t i = 0; i < sizeof symbol->name; i++) {
        char c = symbol->name[i];
        symbol->lower[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
}

static void table_put(struct model *model, uint32_t index)
{
    const char *name = model->symbols[index].lower;
    uint32_t at = (uint32_t)hash_bytes(0, name, strlen(name)) & model->table_mask;
    while (model->table[at] != 0) {
        at = (at + 1) & model->table_mask;
    }
    model->table[at] = index + 1;
}

void model_init(struct model *model, const struct model_config *config, void *memory)
{
    ASSERT(memory != NULL);
    model->config = config_clamped(config);
    model->count = model->config.symbols + model->config.symbols_idle;
    model->symbols = memory;
    model->table = (uint32_t *)(void *)(model->symbols + model->count);
    model->table_mask = table_size(model->count) - 1;
    double shares = 0;
    for (uint32_t i = 0; i < model->config.symbols; i++) {
        shares += config->flat ? 1.0 : 1.0 / (i + 1);
    }
    for (uint32_t i = 0; i < model->count; i++) {
        struct model_symbol *symbol = &model->symbols[i];
        int64_t price_e8 = 0;
        if (config->names != NULL && i < model->config.symbols) {
            symbol_named(symbol, config->names[i], &price_e8);
        } else if (i < KNOWN_COUNT && i < model->config.symbols) {
            snprintf(symbol->base, sizeof symbol->base, "%s", known_symbols[i].base);
            snprintf(symbol->quote, sizeof symbol->quote, "%s", known_symbols[i].quote);
            price_e8 = known_symbols[i].price_e8;
            symbol->tick_e8 = known_symbols[i].tick_e8;
            symbol->step_e8 = known_symbols[i].step_e8;
        } else {
            symbol_generate(symbol, i, &price_e8);
        }
        symbol->trading = i < model->config.symbols;
        symbol->status = symbol->trading ? "TRADING" : idle_statuses[i % 4];
        snprintf(symbol->name, sizeof symbol->name, "%.22s%s", symbol->base, symbol->quote);
        symbol_lower_set(symbol);
        symbol->key = hash_bytes(model->config.seed, symbol->name, strlen(symbol->name));
        symbol_prices_set(symbol, i, price_e8);
        double share = config->flat ? 1.0 : 1.0 / (i + 1);
        symbol_rates_set(symbol, &model->config, model->config.trades_per_s * share / shares);
        table_put(model, i);
    }
}

void model_rename(struct model *model,
                  void (*spell)(const struct model_symbol *symbol, struct buf *out))
{
    memset(model->table, 0, (model->table_mask + 1) * sizeof model->table[0]);
    for (uint32_t i = 0; i < model->count; i++) {
        struct model_symbol *symbol = &model->symbols[i];
        char name[MODEL_NAME_BYTES];
        struct buf out = buf_over(name, sizeof name - 1);
        spell(symbol, &out);
        ASSERT(!out.overflow && out.bytes > 0);
        name[out.bytes] = 0;
        memcpy(symbol->name, name, sizeof name);
        symbol_lower_set(symbol);
        table_put(model, i);
    }
}

const struct model_symbol *model_find(const struct model *model, struct str name, bool lower)
{
    char key[MODEL_NAME_BYTES];
    if (name.bytes == 0 || name.bytes >= sizeof key) {
        return NULL;
    }
    for (size_t i = 0; i < name.bytes; i++) {
        char c = name.data[i];
        bool upper_case = c >= 'A' && c <= 'Z';
        bool lower_case = c >= 'a' && c <= 'z';
        if (lower ? upper_case : lower_case) {
            return NULL;
        }
        key[i] = upper_case ? (char)(c - 'A' + 'a') : c;
    }
    uint32_t at = (uint32_t)hash_bytes(0, key, name.bytes) & model->table_mask;
    for (; model->table[at] != 0; at = (at + 1) & model->table_mask) {
        const struct model_symbol *symbol = &model->symbols[model->table[at] - 1];
        if (strlen(symbol->lower) == name.bytes && memcmp(symbol->lower, key, name.bytes) == 0) {
            return symbol;
        }
    }
    return NULL;
}

/* ---- trades */

/* Trades of each taker order in a block; every row sums to MODEL_BLOCK_TRADES. */
static const uint8_t patterns[4][MODEL_BLOCK_AGGS] = {
    {1, 1, 2, 1, 1, 3, 1, 1, 1, 4},
    {2, 2, 1, 1, 2, 1, 2, 2, 1, 2},
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 7},
    {1, 3, 1, 1, 1, 2, 1, 1, 4, 1},
};

static uint32_t agg_trades(uint64_t pattern, uint32_t k)
{
    return patterns[pattern & 3][(k + (pattern >> 8)) % MODEL_BLOCK_AGGS];
}

static uint64_t block_pattern(const struct model_symbol *symbol, int64_t block)
{
    return draw(symbol, DRAW_PATTERN, block) & 0xffff;
}

/* Orders crowd at the start of a block: the k-th of ten stands at about (k/10)^2 of it. */
int64_t model_agg_time(const struct model_symbol *symbol, int64_t index)
{
    int64_t block = index / MODEL_BLOCK_AGGS;
    uint64_t k = (uint64_t)(index % MODEL_BLOCK_AGGS);
    uint64_t x = k * 6553 + draw(symbol, DRAW_TRADE_TIME, index) % 6553;
    int64_t within = (symbol->block_ns >> 16) * (int64_t)((x * x) >> 16);
    return MODEL_EPOCH_UNIX_NS + symbol->block_phase_ns + block * symbol->block_ns + within;
}

/* Times come from requests too: beyond the year 2200 the sums of a block would not fit. */
#define MODEL_TIME_MAX_NS 7258118400000000000LL

int64_t model_aggs_until(const struct model_symbol *symbol, int64_t time_unix_ns)
{
    time_unix_ns = time_unix_ns < MODEL_TIME_MAX_NS ? time_unix_ns : MODEL_TIME_MAX_NS;
    int64_t since = time_unix_ns - MODEL_EPOCH_UNIX_NS - symbol->block_phase_ns;
    if (since < 0 || !symbol->trading) {
        return 0;
    }
    int64_t index = since / symbol->block_ns * MODEL_BLOCK_AGGS;
    for (int k = 0; k < MODEL_BLOCK_AGGS; k++, index++) {
        if (model_agg_time(symbol, index) > time_unix_ns) {
            break;
        }
    }
    return index;
}

int64_t model_agg_first_trade(const struct model_symbol *symbol, int64_t agg_index, uint32_t *count)
{
    int64_t block = agg_index / MODEL_BLOCK_AGGS;
    uint32_t k = (uint32_t)(agg_index % MODEL_BLOCK_AGGS);
    uint64_t pattern = block_pattern(symbol, block);
    int64_t first = block * MODEL_BLOCK_TRADES;
    for (uint32_t i = 0; i < k; i++) {
        first += agg_trades(pattern, i);
    }
    *count = agg_trades(pattern, k);
    return first;
}

int64_t model_trades_until(const struct model_symbol *symbol, int64_t time_unix_ns)
{
    int64_t aggs = model_aggs_until(symbol, time_unix_ns);
    if (aggs == 0) {
        return 0;
    }
    uint32_t count;
    int64_t first = model_agg_first_trade(symbol, aggs - 1, &count);
    return first + count;
}

static int64_t agg_of_trade(const struct model_symbol *symbol, int64_t index)
{
    int64_t block = index / MODEL_BLOCK_TRADES;
    uint32_t place = (uint32_t)(index % MODEL_BLOCK_TRADES);
    uint64_t pattern = block_pattern(symbol, block);
    uint32_t k = 0;
    for (uint32_t end = agg_trades(pattern, 0); end <= place; end += agg_trades(pattern, k)) {
        k++;
    }
    ASSERT(k < MODEL_BLOCK_AGGS);
    return block * MODEL_BLOCK_AGGS + k;
}

static int64_t trade_quantity(const struct model_symbol *symbol, int64_t index)
{
    uint64_t r = draw(symbol, DRAW_TRADE_QUANTITY, index);
    uint64_t typical = (symbol->quantity_steps >> (2 + (r & 7))) + 1;
    return (int64_t)(1 + (r >> 8) % typical) * symbol->step_e8;
}

/* Price and side of a taker order: it takes the best of the other side. */
static int64_t agg_price(const struct model_symbol *symbol, int64_t index, int64_t time_unix_ns,
                         bool *buyer_is_maker)
{
    uint32_t mid = model_mid(symbol, model_update_until(symbol, time_unix_ns));
    *buyer_is_maker = (draw(symbol, DRAW_SIDE, index) & 1) != 0;
    return model_slot_price(symbol, *buyer_is_maker ? mid - 1 : mid);
}

struct model_trade model_trade_at(const struct model_symbol *symbol, int64_t index)
{
    ASSERT(index >= 0);
    struct model_trade trade;
    int64_t agg = agg_of_trade(symbol, index);
    trade.id = symbol->trade_id0 + index;
    trade.time_unix_ns = model_agg_time(symbol, agg);
    trade.price_e8 = agg_price(symbol, agg, trade.time_unix_ns, &trade.buyer_is_maker);
    trade.quantity_e8 = trade_quantity(symbol, index);
    return trade;
}

struct model_agg model_agg_at(const struct model_symbol *symbol, int64_t index)
{
    ASSERT(index >= 0);
    struct model_agg agg;
    uint32_t count;
    int64_t first = model_agg_first_trade(symbol, index, &count);
    agg.id = symbol->agg_id0 + index;
    agg.first_id = symbol->trade_id0 + first;
    agg.last_id = agg.first_id + count - 1;
    agg.time_unix_ns = model_agg_time(symbol, index);
    agg.price_e8 = agg_price(symbol, index, agg.time_unix_ns, &agg.buyer_is_maker);
    agg.quantity_e8 = 0;
    for (uint32_t i = 0; i < count; i++) {
        agg.quantity_e8 += trade_quantity(symbol, first + i);
    }
    return agg;
}

/* ---- the book */

int64_t model_update_time(const struct model_symbol *symbol, int64_t update)
{
    int64_t jitter =
        (int64_t)(draw(symbol, DRAW_UPDATE_TIME, update) % (uint64_t)symbol->update_ns);
    return MODEL_EPOCH_UNIX_NS + symbol->update_phase_ns + update * symbol->update_ns + jitter;
}

int64_t model_update_until(const struct model_symbol *symbol, int64_t time_unix_ns)
{
    int64_t since = time_unix_ns - MODEL_EPOCH_UNIX_NS - symbol->update_phase_ns;
    if (since <= 0) {
        return 0;
    }
    int64_t update = since / symbol->update_ns;
    if (model_update_time(symbol, update) > time_unix_ns) {
        update--;
    }
    return update < 0 ? 0 : update;
}

/* Octaves 6, 8, ... octave_last; the one of period 2^j swings by half its square root, so that the
 * slopes sum to at most 1/4 slot an update. Fixed point, 1/65536 slot. */
uint32_t model_mid(const struct model_symbol *symbol, int64_t update)
{
    int64_t sum = (int64_t)symbol->slots << 15;
    for (uint32_t j = OCTAVE_FIRST; j <= symbol->octave_last; j += 2) {
        int64_t cell = update >> j;
        int64_t frac = update & (((int64_t)1 << j) - 1);
        int64_t a = (int64_t)(draw(symbol, DRAW_NOISE + j, cell) & 0xffff) - 0x8000;
        int64_t b = (int64_t)(draw(symbol, DRAW_NOISE + j, cell + 1) & 0xffff) - 0x8000;
        int64_t level = a + (((b - a) * frac) >> j); /* -0.5 .. 0.5 */
        sum += level * ((int64_t)1 << (j / 2));
    }
    uint32_t mid = (uint32_t)(sum >> 16);
    DCHECK(mid > 1);
    DCHECK(mid < symbol->slots - 1);
    return mid;
}

int64_t model_slot_price(const struct model_symbol *symbol, uint32_t slot)
{
    int64_t ticks = symbol->slot0_ticks + (int64_t)slot * symbol->spacing_ticks;
    if (symbol->spacing_ticks > 1) {
        ticks += (int64_t)(draw(symbol, DRAW_SLOT_PRICE, slot) % symbol->spacing_ticks);
    }
    return ticks * symbol->tick_e8;
}

static uint32_t touch_steps(const struct model_symbol *symbol, uint64_t r, bool forced)
{
    if (!forced && (r & 3) == 0) {
        return 0;
    }
    uint32_t typical = symbol->quantity_steps >> ((r >> 2) & 7);
    return 1 + typical / 2 + (uint32_t)((r >> 8) % (typical + 1));
}

static uint32_t touch_slot(const struct model_symbol *symbol, int64_t update, uint32_t mid,
                           uint64_t r)
{
    if ((update & 3) == 0) {
        return (uint32_t)(((uint64_t)(update >> 2) * 2654435761ULL) & (symbol->slots - 1));
    }
    /* Half of them at the touch or one behind it, the others within 20 slots. */
    int32_t offset = (r >> 39 & 1) != 0 ? (int32_t)((r >> 40) & 3) - 2
                                        : (int32_t)((r >> 40) % 20) - (int32_t)((r >> 48) % 20);
    int32_t slot = (int32_t)mid + offset;
    slot = slot < 0 ? 0 : slot;
    return slot >= (int32_t)symbol->slots ? symbol->slots - 1 : (uint32_t)slot;
}

uint32_t model_book_advance(struct model_book *book, uint32_t touched[MODEL_TOUCHES_MAX],
                            bool *best_changed)
{
    const struct model_symbol *symbol = book->symbol;
    int64_t update = book->update + 1;
    uint32_t mid_before = book->mid;
    uint32_t mid = model_mid(symbol, update);
    uint32_t bid_before = book->steps[mid_before - 1];
    uint32_t ask_before = book->steps[mid_before];
    uint64_t r = draw(symbol, DRAW_TOUCH, update);
    uint32_t count = 0;
    touched[count++] = touch_slot(symbol, update, mid, r);
    bool is_best = touched[0] == mid || touched[0] == mid - 1;
    book->steps[touched[0]] = touch_steps(symbol, r, is_best);
    if (mid != mid_before) {
        touched[count++] = mid;
        touched[count++] = mid - 1;
        book->steps[mid] = touch_steps(symbol, model_mix(r, 1), true);
        book->steps[mid - 1] = touch_steps(symbol, model_mix(r, 2), true);
    }
    book->update = update;
    book->mid = mid;
    *best_changed =
        mid != mid_before || book->steps[mid - 1] != bid_before || book->steps[mid] != ask_before;
    return count;
}

void model_book_build(struct model_book *book, const struct model_symbol *symbol, uint32_t *steps,
                      int64_t update)
{
    /* One update more than the cover needs: whatever the first step thinks the mid was before is
     * refreshed by the whole turn that follows. */
    int64_t back = 4 * (int64_t)symbol->slots + 1;
    memset(steps, 0, symbol->slots * sizeof *steps);
    book->symbol = symbol;
    book->steps = steps;
    book->update = update - back;
    book->mid = model_mid(symbol, book->update);
    uint32_t touched[MODEL_TOUCHES_MAX];
    bool best_changed;
    while (book->update < update) {
        model_book_advance(book, touched, &best_changed);
    }
}

struct model_level model_book_level(const struct model_book *book, uint32_t slot)
{
    return (struct model_level){model_slot_price(book->symbol, slot),
                                (int64_t)book->steps[slot] * book->symbol->step_e8};
}

uint32_t model_book_bids(const struct model_book *book, struct model_level *out, uint32_t limit)
{
    uint32_t count = 0;
    for (uint32_t slot = book->mid; slot > 0 && count < limit; slot--) {
        if (book->steps[slot - 1] != 0) {
            out[count++] = model_book_level(book, slot - 1);
        }
    }
    return count;
}

uint32_t model_book_asks(const struct model_book *book, struct model_level *out, uint32_t limit)
{
    uint32_t count = 0;
    for (uint32_t slot = book->mid; slot < book->symbol->slots && count < limit; slot++) {
        if (book->steps[slot] != 0) {
            out[count++] = model_book_level(book, slot);
        }
    }
    return count;
}

void model_diff_begin(struct model_diff *diff, const struct model_book *book)
{
    diff->update_from = book->update;
    diff->mid_from = diff->mid_low = diff->mid_high = book->mid;
    diff->touched = 0;
    memset(diff->bits, 0, book->symbol->slots / 8);
}

void model_diff_touch(struct model_diff *diff, const struct model_book *book, uint32_t slot)
{
    diff->mid_low = book->mid < diff->mid_low ? book->mid : diff->mid_low;
    diff->mid_high = book->mid > diff->mid_high ? book->mid : diff->mid_high;
    diff->bits[slot / 64] |= 1ULL << (slot % 64);
    diff->touched++;
}

/* The next touched slot at or above `slot`, or `end`. */
static uint32_t diff_next(const struct model_diff *diff, uint32_t slot, uint32_t end)
{
    while (slot < end) {
        uint64_t word = diff->bits[slot / 64] >> (slot % 64);
        if (word != 0) {
            slot += (uint32_t)__builtin_ctzll(word);
            return slot < end ? slot : end;
        }
        slot = (slot / 64 + 1) * 64;
    }
    return end;
}

void model_diff_levels(const struct model_diff *diff, const struct model_book *book,
                       struct model_level *bids, uint32_t *bid_count, struct model_level *asks,
                       uint32_t *ask_count)
{
    uint32_t mid = book->mid;
    uint32_t slots = book->symbol->slots;
    uint32_t count = 0;
    /* Bids: those below the mid now, and those that were bids meanwhile. Rising, then turned. */
    uint32_t bid_end = diff->mid_high;
    for (uint32_t s = diff_next(diff, 0, bid_end); s < bid_end;
         s = diff_next(diff, s + 1, bid_end)) {
        bids[count] = model_book_level(book, s);
        bids[count++].quantity_e8 *= s < mid;
    }
    for (uint32_t i = 0; i < count / 2; i++) {
        struct model_level level = bids[i];
        bids[i] = bids[count - 1 - i];
        bids[count - 1 - i] = level;
    }
    *bid_count = count;
    count = 0;
    uint32_t ask_from = diff->mid_low;
    for (uint32_t s = diff_next(diff, ask_from, slots); s < slots;
         s = diff_next(diff, s + 1, slots)) {
        asks[count] = model_book_level(book, s);
        asks[count++].quantity_e8 *= s >= mid;
    }
    *ask_count = count;
}

int64_t model_depth_boundary(int64_t time_unix_ns, int64_t interval_ns)
{
    return (time_unix_ns + interval_ns - 1) / interval_ns * interval_ns;
}

/* ---- candles and day statistics */

int64_t model_quote_e8(int64_t price_e8, int64_t quantity_e8)
{
    __extension__ typedef __int128 wide;
    return (int64_t)((wide)price_e8 * quantity_e8 / E8);
}

static void window_add(struct model_window *w, const struct model_trade *trade)
{
    int64_t quote = model_quote_e8(trade->price_e8, trade->quantity_e8);
    w->high_e8 = trade->price_e8 > w->high_e8 ? trade->price_e8 : w->high_e8;
    w->low_e8 = trade->price_e8 < w->low_e8 ? trade->price_e8 : w->low_e8;
    w->volume_e8 += trade->quantity_e8;
    w->quote_e8 += quote;
    if (!trade->buyer_is_maker) {
        w->taker_volume_e8 += trade->quantity_e8;
        w->taker_quote_e8 += quote;
    }
}

static int64_t scaled(int64_t value, int64_t by, int64_t of)
{
    __extension__ typedef __int128 wide;
    wide result = (wide)value * by / of;
    return result > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)result;
}

static void window_scale(struct model_window *w, int64_t count, int64_t seen, int64_t step_e8)
{
    w->volume_e8 = scaled(w->volume_e8, count, seen) / step_e8 * step_e8;
    w->taker_volume_e8 = scaled(w->taker_volume_e8, count, seen) / step_e8 * step_e8;
    w->quote_e8 = scaled(w->quote_e8, count, seen);
    w->taker_quote_e8 = scaled(w->taker_quote_e8, count, seen);
}

void model_window(const struct model_symbol *symbol, int64_t from_unix_ns, int64_t to_unix_ns,
                  uint32_t scan_blocks, struct model_window *w)
{
    int64_t first = model_trades_until(symbol, from_unix_ns - 1);
    int64_t end = model_trades_until(symbol, to_unix_ns - 1);
    memset(w, 0, sizeof *w);
    w->first_id = w->last_id = -1;
    if (first > 0) {
        w->before_e8 = model_trade_at(symbol, first - 1).price_e8;
    }
    if (end <= first) {
        return;
    }
    struct model_trade open = model_trade_at(symbol, first);
    struct model_trade close = model_trade_at(symbol, end - 1);
    w->count = end - first;
    w->first_id = open.id;
    w->last_id = close.id;
    w->open_e8 = w->high_e8 = w->low_e8 = open.price_e8;
    w->close_e8 = close.price_e8;
    w->last_quantity_e8 = close.quantity_e8;
    int64_t seen = 0;
    if (w->count <= (int64_t)scan_blocks * MODEL_BLOCK_TRADES) {
        for (int64_t i = first; i < end; i++, seen++) {
            struct model_trade trade = model_trade_at(symbol, i);
            window_add(w, &trade);
        }
        return;
    }
    /* Blocks at multiples of a power of two, so that two windows that overlap see the same ones. */
    int64_t stride = MODEL_BLOCK_TRADES;
    while (w->count / stride > scan_blocks) {
        stride *= 2;
    }
    for (int64_t i = (first + stride - 1) / stride * stride; i + 4 <= end; i += stride) {
        for (int k = 0; k < 4; k++, seen++) {
            struct model_trade trade = model_trade_at(symbol, i + k);
            window_add(w, &trade);
        }
    }
    w->high_e8 = w->close_e8 > w->high_e8 ? w->close_e8 : w->high_e8;
    w->low_e8 = w->close_e8 < w->low_e8 ? w->close_e8 : w->low_e8;
    window_scale(w, w->count, seen, symbol->step_e8);
}
