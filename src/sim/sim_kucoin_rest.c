/* KuCoin's REST, spot and futures: public market data of the same model as the streams, and the
 * token call, which names this very host and port. Errors other than 429 come with HTTP status 200
 * and a code of their own. Weights count against one pool of 2000 in 30 s an address. Lists of all
 * symbols are made piece by piece. Source: exchanges/kucoin.md sections 2, 3, 5 and 7. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sim/sim_kucoin.h"

#define PIECE_BYTES 32768 /* of a chunked answer */
#define TRADES_MAX 100
#define ROWS_SPOT 1500
#define ROWS_FUTURES 500

enum { REPLY_SYMBOLS = 1, REPLY_TICKERS, REPLY_CONTRACTS };

struct ask {
    struct sim *sim;
    struct sim_conn *conn;
    const struct sim_request *request;
    uint32_t symbol;      /* where the endpoint names one */
    int64_t time_unix_ns; /* the answer's moment: now, or earlier (fault rest_lag) */
    struct buf *out;
};

static void answer_error(struct sim_conn *conn, int status, const char *code, const char *message)
{
    char text[256];
    int n = snprintf(text, sizeof text, "{\"code\":\"%s\",\"msg\":\"%s\"}", code, message);
    ASSERT(n > 0);
    ASSERT((size_t)n < sizeof text);
    sim_rest_answer(conn, status, str_make(text, (size_t)n), -1);
}

static void put_success(struct buf *out)
{
    buf_put_str(out, STR("{\"code\":\"200000\",\"data\":"));
}

/* -1: not given, or no number. */
static int64_t take_number(const struct ask *ask, const char *name)
{
    char text[24];
    struct buf value = buf_over(text, sizeof text);
    int64_t number = 0;
    if (sim_request_query(ask->request->query, name, &value) <= 0 || value.bytes == 0 ||
        value.bytes > 15) {
        return -1;
    }
    for (size_t i = 0; i < value.bytes; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        number = number * 10 + (text[i] - '0');
    }
    return number;
}

/* ---- token */

static bool host_fits(struct str host)
{
    for (size_t i = 0; i < host.bytes; i++) {
        char c = host.data[i];
        bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    c == '.' || c == '-' || c == ':' || c == '[' || c == ']';
        if (!good) {
            return false;
        }
    }
    return host.bytes > 0 && host.bytes <= 255;
}

static void get_token(struct ask *ask)
{
    struct sim *sim = ask->sim;
    char own[32];
    int n = snprintf(own, sizeof own, "127.0.0.1:%u", sim_port(sim));
    struct str host = host_fits(ask->request->host) ? ask->request->host : str_make(own, (size_t)n);
    put_success(ask->out);
    buf_put_str(ask->out, STR("{\"token\":\""));
    sim_kucoin_token_put(sim, ask->out);
    buf_printf(ask->out,
               "\",\"instanceServers\":[{\"endpoint\":\"ws%s://%.*s/endpoint\",\"encrypt\":%s,"
               "\"protocol\":\"websocket\",\"pingInterval\":%lld,\"pingTimeout\":10000}]}}",
               sim->config.plain ? "" : "s", (int)host.bytes, host.data,
               sim->config.plain ? "false" : "true",
               (long long)SIM_KUCOIN_LIMIT(sim, ping_interval_ms, 18000));
}

/* ---- lists */

static void put_member(struct buf *out, const char *key, const char *value)
{
    buf_printf(out, ",\"%s\":\"%s\"", key, value);
}

static void put_symbol(struct buf *out, const struct model_symbol *symbol, bool trades)
{
    buf_printf(out, "{\"symbol\":\"%s\"", symbol->name);
    put_member(out, "name", symbol->name);
    put_member(out, "baseCurrency", symbol->base);
    put_member(out, "quoteCurrency", symbol->quote);
    put_member(out, "feeCurrency", symbol->quote);
    put_member(out, "market", str_equal(str_from(symbol->quote), STR("BTC")) ? "BTC" : "USDS");
    sim_kucoin_put_text_e8(out, "baseMinSize", symbol->step_e8);
    put_member(out, "quoteMinSize", "0.1");
    put_member(out, "baseMaxSize", "10000000000");
    put_member(out, "quoteMaxSize", "99999999");
    sim_kucoin_put_text_e8(out, "baseIncrement", symbol->step_e8);
    put_member(out, "quoteIncrement", "0.000001");
    sim_kucoin_put_text_e8(out, "priceIncrement", symbol->tick_e8);
    put_member(out, "priceLimitRate", "0.1");
    put_member(out, "minFunds", "0.1");
    buf_printf(out,
               ",\"isMarginEnabled\":false,\"enableTrading\":%s,\"feeCategory\":1,"
               "\"makerFeeCoefficient\":\"1.00\",\"takerFeeCoefficient\":\"1.00\",\"st\":false,"
               "\"callauctionIsEnabled\":false,\"callauctionPriceFloor\":null,"
               "\"callauctionPriceCeiling\":null,\"callauctionFirstStageStartTime\":null,"
               "\"callauctionSecondStageStartTime\":null,\"callauctionThirdStageStartTime\":null,"
               "\"tradingStartTime\":null}",
               trades ? "true" : "false");
}

static void day_window(const struct model_symbol *symbol, int64_t time_unix_ns,
                       struct model_window *w)
{
    model_window(symbol, time_unix_ns - NS_PER_DAY, time_unix_ns + 1, MODEL_SCAN_BLOCKS_DAY, w);
}

static void put_ticker(struct buf *out, struct sim *sim, uint32_t index, int64_t time_unix_ns)
{
    struct model_book built;
    const struct model_book *book = sim_feed_book(sim, index, time_unix_ns, &built);
    struct model_level bid = model_book_level(book, book->mid - 1);
    struct model_level ask = model_book_level(book, book->mid);
    struct model_window w;
    day_window(book->symbol, time_unix_ns, &w);
    int64_t change = w.close_e8 - w.open_e8;
    double rate = w.open_e8 == 0 ? 0 : (double)change / (double)w.open_e8;
    buf_printf(out, "{\"symbol\":\"%s\"", book->symbol->name);
    put_member(out, "symbolName", book->symbol->name);
    sim_kucoin_put_text_e8(out, "buy", bid.price_e8);
    sim_kucoin_put_text_e8(out, "bestBidSize", bid.quantity_e8);
    sim_kucoin_put_text_e8(out, "sell", ask.price_e8);
    sim_kucoin_put_text_e8(out, "bestAskSize", ask.quantity_e8);
    buf_printf(out, ",\"changeRate\":\"%.4f\"", rate);
    sim_kucoin_put_text_e8(out, "changePrice", change);
    sim_kucoin_put_text_e8(out, "high", w.high_e8);
    sim_kucoin_put_text_e8(out, "low", w.low_e8);
    sim_kucoin_put_text_e8(out, "vol", w.volume_e8);
    sim_kucoin_put_text_e8(out, "volValue", w.quote_e8);
    sim_kucoin_put_text_e8(out, "last", w.close_e8);
    sim_kucoin_put_text_e8(out, "averagePrice", (w.high_e8 + w.low_e8) / 2);
    buf_printf(out, ",\"takerFeeRate\":\"0.001\",\"makerFeeRate\":\"0.001\","
                    "\"takerCoefficient\":\"1\",\"makerCoefficient\":\"1\"}");
}

static void put_contract_prices(struct buf *out, struct sim *sim, uint32_t index,
                                int64_t time_unix_ns)
{
    struct model_book built;
    const struct model_book *book = sim_feed_book(sim, index, time_unix_ns, &built);
    const struct model_symbol *symbol = book->symbol;
    struct model_window w;
    day_window(symbol, time_unix_ns, &w);
    int64_t change = w.close_e8 - w.open_e8;
    double rate = w.open_e8 == 0 ? 0 : (double)change / (double)w.open_e8;
    int64_t next = (time_unix_ns / SIM_KUCOIN_FUNDING_NS + 1) * SIM_KUCOIN_FUNDING_NS;
    sim_kucoin_put_number_e8(out, "fundingFeeRate", sim_kucoin_funding_e8(symbol, time_unix_ns));
    buf_printf(out, ",\"predictedFundingFeeRate\":null,\"fundingRateGranularity\":28800000");
    buf_printf(out, ",\"openInterest\":\"%lld\"",
               (long long)sim_kucoin_interest(symbol, time_unix_ns));
    sim_kucoin_put_number_e8(out, "turnoverOf24h", w.quote_e8);
    sim_kucoin_put_number_e8(out, "volumeOf24h", w.volume_e8);
    sim_kucoin_put_number_e8(out, "markPrice", sim_kucoin_mark_e8(book, time_unix_ns));
    sim_kucoin_put_number_e8(out, "indexPrice", sim_kucoin_index_e8(book));
    sim_kucoin_put_number_e8(out, "lastTradePrice", w.close_e8);
    buf_printf(out, ",\"nextFundingRateTime\":%lld,\"nextFundingRateDateTime\":%lld",
               (long long)((next - time_unix_ns) / NS_PER_MS), (long long)(next / NS_PER_MS));
    sim_kucoin_put_number_e8(out, "lowPrice", w.low_e8);
    sim_kucoin_put_number_e8(out, "highPrice", w.high_e8);
    buf_printf(out, ",\"priceChgPct\":%.4f", rate);
    sim_kucoin_put_number_e8(out, "priceChg", change);
}

static void put_contract(struct buf *out, struct sim *sim, uint32_t index, int64_t time_unix_ns)
{
    const struct model_symbol *symbol = &sim->model.symbols[index];
    bool bitcoin = str_equal(str_from(symbol->base), STR("BTC"));
    bool open = sim_listing_of(sim, index) == SIM_TRADES;
    buf_printf(out, "{\"symbol\":\"%s\"", symbol->name);
    put_member(out, "rootSymbol", symbol->quote);
    put_member(out, "type", "FFWCSX");
    buf_printf(out, ",\"firstOpenDate\":1585555200000,\"expireDate\":null,\"settleDate\":null");
    put_member(out, "baseCurrency", bitcoin ? "XBT" : symbol->base);
    put_member(out, "quoteCurrency", symbol->quote);
    put_member(out, "settleCurrency", symbol->quote);
    buf_printf(out, ",\"maxOrderQty\":1000000,\"maxPrice\":1000000,\"lotSize\":1");
    sim_kucoin_put_number_e8(out, "tickSize", symbol->tick_e8);
    sim_kucoin_put_number_e8(out, "indexPriceTickSize", symbol->tick_e8);
    sim_kucoin_put_number_e8(out, "multiplier", symbol->step_e8);
    buf_printf(out, ",\"initialMargin\":0.008,\"maintainMargin\":0.004,\"makerFeeRate\":0.0002,"
                    "\"takerFeeRate\":0.0006,\"isDeleverage\":true,\"isQuanto\":true,"
                    "\"isInverse\":false,\"markMethod\":\"FairPrice\","
                    "\"fairMethod\":\"FundingRate\",\"settlementSymbol\":\"\"");
    put_member(out, "status", open ? "Open" : "Paused");
    if (symbol->trading) {
        put_contract_prices(out, sim, index, time_unix_ns);
    } else {
        buf_printf(out, ",\"fundingFeeRate\":null,\"openInterest\":\"0\",\"turnoverOf24h\":0,"
                        "\"volumeOf24h\":0,\"markPrice\":null,\"indexPrice\":null,"
                        "\"lastTradePrice\":null,\"nextFundingRateTime\":0");
    }
    buf_printf(out, ",\"maxLeverage\":125,\"fundingRateCap\":0.003,\"fundingRateFloor\":-0.003,"
                    "\"supportCross\":true}");
}

static void list_start(struct ask *ask, int kind)
{
    ask->conn->reply =
        (struct sim_reply){.kind = kind, .first = true, .time_unix_ns = ask->time_unix_ns};
    sim_rest_head(ask->conn, 200, -1, -1);
}

static void get_symbols(struct ask *ask)
{
    list_start(ask, REPLY_SYMBOLS);
}

static void get_tickers(struct ask *ask)
{
    list_start(ask, REPLY_TICKERS);
}

static void get_contracts(struct ask *ask)
{
    list_start(ask, REPLY_CONTRACTS);
}

static void get_symbol(struct ask *ask)
{
    put_success(ask->out);
    put_symbol(ask->out, &ask->sim->model.symbols[ask->symbol],
               sim_listing_of(ask->sim, ask->symbol) == SIM_TRADES);
    buf_put_char(ask->out, '}');
}

static void get_contract(struct ask *ask)
{
    put_success(ask->out);
    put_contract(ask->out, ask->sim, ask->symbol, ask->time_unix_ns);
    buf_put_char(ask->out, '}');
}

/* One piece; the last one ends the list. */
void sim_kucoin_rest_piece(struct sim *sim, struct sim_reply *reply, struct buf *out)
{
    bool tickers = reply->kind == REPLY_TICKERS;
    if (reply->next == 0 && tickers) {
        buf_printf(out, "{\"code\":\"200000\",\"data\":{\"time\":%lld,\"ticker\":[",
                   (long long)(reply->time_unix_ns / NS_PER_MS));
    } else if (reply->next == 0) {
        buf_put_str(out, STR("{\"code\":\"200000\",\"data\":["));
    }
    while (reply->next < sim->model.count && out->bytes < PIECE_BYTES - 8192) {
        uint32_t index = reply->next++;
        enum sim_listing listing = sim_listing_of(sim, index);
        if (listing == SIM_HIDDEN || (tickers && listing != SIM_TRADES)) {
            continue;
        }
        buf_put(out, ",", !reply->first);
        reply->first = false;
        if (reply->kind == REPLY_SYMBOLS) {
            put_symbol(out, &sim->model.symbols[index], listing == SIM_TRADES);
        } else if (tickers) {
            put_ticker(out, sim, index, reply->time_unix_ns);
        } else {
            put_contract(out, sim, index, reply->time_unix_ns);
        }
    }
    if (reply->next >= sim->model.count) {
        buf_put_str(out, tickers ? STR("]}}") : STR("]}"));
    }
}

/* ---- books */

static void put_spot_book(struct ask *ask, uint32_t limit)
{
    struct sim *sim = ask->sim;
    struct model_book built;
    const struct model_book *book = sim_feed_book(sim, ask->symbol, ask->time_unix_ns, &built);
    uint32_t bids = model_book_bids(book, sim->bids, limit);
    uint32_t asks = model_book_asks(book, sim->asks, limit);
    put_success(ask->out);
    buf_printf(ask->out, "{\"time\":%lld,\"sequence\":\"%lld\",\"bids\":",
               (long long)(ask->time_unix_ns / NS_PER_MS),
               (long long)sim_kucoin_sequence(book->symbol, book->update));
    sim_kucoin_put_levels(ask->out, book->symbol, sim->bids, bids, SIM_KUCOIN_STRINGS);
    buf_printf(ask->out, ",\"asks\":");
    sim_kucoin_put_levels(ask->out, book->symbol, sim->asks, asks, SIM_KUCOIN_STRINGS);
    buf_printf(ask->out, "}}");
}

static void get_book_20(struct ask *ask)
{
    put_spot_book(ask, 20);
}

static void get_book_100(struct ask *ask)
{
    put_spot_book(ask, 100);
}

static void put_futures_book(struct ask *ask, uint32_t limit)
{
    struct sim *sim = ask->sim;
    struct model_book built;
    const struct model_book *book = sim_feed_book(sim, ask->symbol, ask->time_unix_ns, &built);
    uint32_t bids = model_book_bids(book, sim->bids, limit);
    uint32_t asks = model_book_asks(book, sim->asks, limit);
    put_success(ask->out);
    buf_printf(ask->out, "{\"sequence\":%lld,\"symbol\":\"%s\",\"bids\":",
               (long long)sim_kucoin_sequence(book->symbol, book->update), book->symbol->name);
    sim_kucoin_put_levels(ask->out, book->symbol, sim->bids, bids, SIM_KUCOIN_NUMBERS);
    buf_printf(ask->out, ",\"asks\":");
    sim_kucoin_put_levels(ask->out, book->symbol, sim->asks, asks, SIM_KUCOIN_NUMBERS);
    buf_printf(ask->out, ",\"ts\":%lld}}", (long long)ask->time_unix_ns);
}

static void get_futures_book(struct ask *ask)
{
    put_futures_book(ask, MODEL_SLOTS_MAX);
}

static void get_futures_book_20(struct ask *ask)
{
    put_futures_book(ask, 20);
}

static void get_futures_book_100(struct ask *ask)
{
    put_futures_book(ask, 100);
}

static struct model_trade last_trade(const struct ask *ask)
{
    const struct model_symbol *symbol = &ask->sim->model.symbols[ask->symbol];
    int64_t trades = model_trades_until(symbol, ask->time_unix_ns);
    return trades == 0 ? (struct model_trade){0} : model_trade_at(symbol, trades - 1);
}

/* Spot's orderbook/level1 and the ticker of a contract. */
static void get_level1(struct ask *ask)
{
    struct model_book built;
    const struct model_book *book = sim_feed_book(ask->sim, ask->symbol, ask->time_unix_ns, &built);
    struct model_level bid = model_book_level(book, book->mid - 1);
    struct model_level offer = model_book_level(book, book->mid);
    struct model_trade trade = last_trade(ask);
    const struct model_symbol *symbol = book->symbol;
    long long sequence = sim_kucoin_sequence(symbol, book->update);
    put_success(ask->out);
    if (sim_kucoin_is_spot(ask->sim)) {
        buf_printf(ask->out, "{\"time\":%lld,\"sequence\":\"%lld\"",
                   (long long)(ask->time_unix_ns / NS_PER_MS), sequence);
        sim_kucoin_put_text_e8(ask->out, "price", trade.price_e8);
        sim_kucoin_put_text_e8(ask->out, "size", trade.quantity_e8);
        sim_kucoin_put_text_e8(ask->out, "bestBid", bid.price_e8);
        sim_kucoin_put_text_e8(ask->out, "bestBidSize", bid.quantity_e8);
        sim_kucoin_put_text_e8(ask->out, "bestAsk", offer.price_e8);
        sim_kucoin_put_text_e8(ask->out, "bestAskSize", offer.quantity_e8);
        buf_printf(ask->out, "}}");
        return;
    }
    buf_printf(ask->out, "{\"sequence\":%lld,\"symbol\":\"%s\",\"side\":\"%s\",\"size\":%lld",
               sequence, symbol->name, trade.buyer_is_maker ? "sell" : "buy",
               (long long)sim_kucoin_lots(symbol, trade.quantity_e8));
    buf_printf(ask->out, ",\"tradeId\":\"%lld\"",
               (long long)sim_kucoin_trade_id(ask->sim, trade.id));
    sim_kucoin_put_text_e8(ask->out, "price", trade.price_e8);
    sim_kucoin_put_text_e8(ask->out, "bestBidPrice", bid.price_e8);
    buf_printf(ask->out, ",\"bestBidSize\":%lld",
               (long long)sim_kucoin_lots(symbol, bid.quantity_e8));
    sim_kucoin_put_text_e8(ask->out, "bestAskPrice", offer.price_e8);
    buf_printf(ask->out, ",\"bestAskSize\":%lld,\"ts\":%lld}}",
               (long long)sim_kucoin_lots(symbol, offer.quantity_e8), (long long)ask->time_unix_ns);
}

/* ---- trades, candles, prices */

static void put_trade(struct ask *ask, const struct model_symbol *symbol,
                      const struct model_trade *trade)
{
    long long id = sim_kucoin_trade_id(ask->sim, trade->id);
    if (sim_kucoin_is_spot(ask->sim)) {
        buf_printf(ask->out, "{\"sequence\":\"%lld\"", id);
        sim_kucoin_put_text_e8(ask->out, "price", trade->price_e8);
        sim_kucoin_put_text_e8(ask->out, "size", trade->quantity_e8);
        buf_printf(ask->out, ",\"side\":\"%s\",\"time\":%lld}",
                   trade->buyer_is_maker ? "sell" : "buy", (long long)trade->time_unix_ns);
        return;
    }
    buf_printf(ask->out, "{\"sequence\":%lld,\"contractId\":1,\"tradeId\":\"%lld\"", id, id);
    buf_printf(ask->out, ",\"makerOrderId\":\"");
    sim_kucoin_put_order(ask->out, trade, 1);
    buf_printf(ask->out, "\",\"takerOrderId\":\"");
    sim_kucoin_put_order(ask->out, trade, 2);
    buf_printf(ask->out, "\",\"ts\":%lld,\"size\":%lld", (long long)trade->time_unix_ns,
               (long long)sim_kucoin_lots(symbol, trade->quantity_e8));
    sim_kucoin_put_text_e8(ask->out, "price", trade->price_e8);
    buf_printf(ask->out, ",\"side\":\"%s\"}", trade->buyer_is_maker ? "sell" : "buy");
}

/* The last 100; spot tells the oldest first, futures the newest. */
static void get_trades(struct ask *ask)
{
    const struct model_symbol *symbol = &ask->sim->model.symbols[ask->symbol];
    int64_t end = model_trades_until(symbol, ask->time_unix_ns);
    int64_t count = end > TRADES_MAX ? TRADES_MAX : end;
    bool spot = sim_kucoin_is_spot(ask->sim);
    put_success(ask->out);
    buf_put_char(ask->out, '[');
    for (int64_t i = 0; i < count; i++) {
        struct model_trade trade = model_trade_at(symbol, spot ? end - count + i : end - 1 - i);
        buf_put(ask->out, ",", i > 0);
        put_trade(ask, symbol, &trade);
    }
    buf_printf(ask->out, "]}");
}

static void put_candle(struct ask *ask, const struct model_symbol *symbol, int64_t start,
                       int64_t next, uint32_t scan)
{
    struct model_window w;
    int64_t until = next < ask->time_unix_ns + 1 ? next : ask->time_unix_ns + 1;
    model_window(symbol, start, until, scan, &w);
    if (w.count == 0) {
        w.open_e8 = w.high_e8 = w.low_e8 = w.close_e8 = w.before_e8;
    }
    bool spot = sim_kucoin_is_spot(ask->sim);
    const int64_t rows[2][6] = {
        {w.open_e8, w.close_e8, w.high_e8, w.low_e8, w.volume_e8, w.quote_e8},
        {w.open_e8, w.high_e8, w.low_e8, w.close_e8, w.volume_e8, w.quote_e8}};
    buf_printf(ask->out, spot ? "[\"%lld\"" : "[%lld",
               (long long)(start / (spot ? NS_PER_S : NS_PER_MS)));
    for (int i = 0; i < 6; i++) {
        buf_put_str(ask->out, spot ? STR(",\"") : STR(","));
        if (!spot && i == 4) {
            buf_put_i64(ask->out, sim_kucoin_lots(symbol, w.volume_e8));
        } else {
            sim_kucoin_put_e8(ask->out, rows[spot ? 0 : 1][i]);
        }
        buf_put(ask->out, "\"", spot);
    }
    buf_put_char(ask->out, ']');
}

/* Candles that begin in [from, until], newest first on spot, oldest first for contracts. */
static void put_candles(struct ask *ask, int interval, int64_t from, int64_t until, uint32_t most)
{
    const struct model_symbol *symbol = &ask->sim->model.symbols[ask->symbol];
    bool spot = sim_kucoin_is_spot(ask->sim);
    until = until > ask->time_unix_ns ? ask->time_unix_ns : until;
    int64_t start = sim_interval_start(interval, spot ? until : from);
    start = !spot && start < from ? sim_interval_next(interval, start) : start;
    put_success(ask->out);
    buf_put_char(ask->out, '[');
    for (uint32_t i = 0; i < most && start >= from && start <= until; i++) {
        buf_put(ask->out, ",", i > 0);
        int64_t next = sim_interval_next(interval, start);
        put_candle(ask, symbol, start, next, MODEL_SCAN_BLOCKS_DAY);
        start = spot ? sim_interval_start(interval, start - 1) : next;
    }
    buf_printf(ask->out, "]}");
}

static void get_candles(struct ask *ask)
{
    char text[16];
    struct buf type = buf_over(text, sizeof text);
    int candle = sim_request_query(ask->request->query, "type", &type) > 0
                     ? sim_kucoin_candle_parse(ask->sim, buf_view(&type))
                     : -1;
    if (candle < 0) {
        answer_error(ask->conn, 200, "400100", "Param.type");
        return;
    }
    int interval = sim_kucoin_candle_interval(candle);
    int64_t from = take_number(ask, "startAt");
    int64_t until = take_number(ask, "endAt");
    until = until <= 0 || until > INT32_MAX * 4LL ? ask->time_unix_ns : until * NS_PER_S;
    int64_t least = until - 100 * 86400 * NS_PER_S;
    put_candles(ask, interval, from <= 0 ? least : from * NS_PER_S, until,
                from <= 0 ? 100 : ROWS_SPOT);
}

static void get_klines(struct ask *ask)
{
    static const int64_t minutes[] = {1, 3, 5, 15, 30, 60, 120, 240, -1, 480, 720, 1440, 10080};
    int64_t asked = take_number(ask, "granularity");
    int candle = -1;
    for (int i = 0; i < (int)(sizeof minutes / sizeof minutes[0]); i++) {
        candle = asked > 0 && minutes[i] == asked ? i : candle;
    }
    if (candle < 0) {
        answer_error(ask->conn, 200, "400100", "Unsupported granularity");
        return;
    }
    int64_t from = take_number(ask, "from");
    int64_t until = take_number(ask, "to");
    bool far = until > INT32_MAX * 4000LL;
    until = until <= 0 || far ? ask->time_unix_ns : until * NS_PER_MS;
    from = from <= 0 || from > INT32_MAX * 4000LL ? until - 200 * asked * 60 * NS_PER_S
                                                  : from * NS_PER_MS;
    put_candles(ask, sim_kucoin_candle_interval(candle), from, until, ROWS_FUTURES);
}

static void get_mark(struct ask *ask)
{
    struct model_book built;
    const struct model_book *book = sim_feed_book(ask->sim, ask->symbol, ask->time_unix_ns, &built);
    put_success(ask->out);
    buf_printf(ask->out, "{\"symbol\":\"%s\",\"granularity\":1000,\"timePoint\":%lld",
               book->symbol->name, (long long)(ask->time_unix_ns / NS_PER_S * 1000));
    sim_kucoin_put_number_e8(ask->out, "value", sim_kucoin_mark_e8(book, ask->time_unix_ns));
    sim_kucoin_put_number_e8(ask->out, "indexPrice", sim_kucoin_index_e8(book));
    buf_printf(ask->out, "}}");
}

static void get_funding(struct ask *ask)
{
    const struct model_symbol *symbol = &ask->sim->model.symbols[ask->symbol];
    int64_t start = ask->time_unix_ns / SIM_KUCOIN_FUNDING_NS * SIM_KUCOIN_FUNDING_NS;
    put_success(ask->out);
    buf_printf(ask->out, "{\"symbol\":\".%sFPI8H\",\"granularity\":28800000,\"timePoint\":%lld",
               symbol->name, (long long)(start / NS_PER_MS));
    sim_kucoin_put_number_e8(ask->out, "value", sim_kucoin_funding_e8(symbol, start - 1));
    sim_kucoin_put_number_e8(ask->out, "predictedValue", sim_kucoin_funding_e8(symbol, start));
    buf_printf(ask->out,
               ",\"fundingRateCap\":0.003,\"fundingRateFloor\":-0.003,\"period\":0,"
               "\"fundingTime\":%lld}}",
               (long long)((start + SIM_KUCOIN_FUNDING_NS) / NS_PER_MS));
}

static void get_stats(struct ask *ask)
{
    put_success(ask->out);
    put_ticker(ask->out, ask->sim, ask->symbol, ask->time_unix_ns);
    buf_put_char(ask->out, '}');
}

static void get_time(struct ask *ask)
{
    put_success(ask->out);
    buf_printf(ask->out, "%lld}", (long long)(ask->sim->now_unix_ns / NS_PER_MS));
}

static void get_status(struct ask *ask)
{
    put_success(ask->out);
    buf_printf(ask->out, "{\"status\":\"open\",\"msg\":\"\"}}");
}

static void get_locked(struct ask *ask)
{
    answer_error(ask->conn, 401, "400001",
                 "Please check the header of your request for KC-API-KEY, KC-API-SIGN, "
                 "KC-API-TIMESTAMP, KC-API-PASSPHRASE");
}

/* ---- dispatch */

enum named { NO_SYMBOL, SYMBOL_IN_QUERY, SYMBOL_IN_PATH };

static const struct endpoint {
    const char *path; /* "{}" stands for a symbol */
    uint32_t weight;
    int market; /* 1 spot, 2 futures, 3 both */
    bool post;
    enum named named;
    void (*get)(struct ask *ask);
} endpoints[] = {
    {"/api/v1/bullet-public", 10, 3, true, NO_SYMBOL, get_token},
    {"/api/v1/bullet-private", 10, 3, true, NO_SYMBOL, get_locked},
    {"/api/v1/timestamp", 3, 3, false, NO_SYMBOL, get_time},
    {"/api/v1/status", 3, 3, false, NO_SYMBOL, get_status},
    {"/api/v1/symbols", 4, 1, false, NO_SYMBOL, get_symbols},
    {"/api/v2/symbols", 4, 1, false, NO_SYMBOL, get_symbols},
    {"/api/v2/symbols/{}", 4, 1, false, SYMBOL_IN_PATH, get_symbol},
    {"/api/v1/market/allTickers", 15, 1, false, NO_SYMBOL, get_tickers},
    {"/api/v1/market/stats", 15, 1, false, SYMBOL_IN_QUERY, get_stats},
    {"/api/v1/market/orderbook/level1", 2, 1, false, SYMBOL_IN_QUERY, get_level1},
    {"/api/v1/market/orderbook/level2_20", 2, 1, false, SYMBOL_IN_QUERY, get_book_20},
    {"/api/v1/market/orderbook/level2_100", 4, 1, false, SYMBOL_IN_QUERY, get_book_100},
    {"/api/v3/market/orderbook/level2", 3, 1, false, NO_SYMBOL, get_locked},
    {"/api/v1/market/histories", 3, 1, false, SYMBOL_IN_QUERY, get_trades},
    {"/api/v1/market/candles", 3, 1, false, SYMBOL_IN_QUERY, get_candles},
    {"/api/v1/contracts/active", 3, 2, false, NO_SYMBOL, get_contracts},
    {"/api/v1/contracts/{}", 3, 2, false, SYMBOL_IN_PATH, get_contract},
    {"/api/v1/level2/snapshot", 3, 2, false, SYMBOL_IN_QUERY, get_futures_book},
    {"/api/v1/level2/depth20", 5, 2, false, SYMBOL_IN_QUERY, get_futures_book_20},
    {"/api/v1/level2/depth100", 5, 2, false, SYMBOL_IN_QUERY, get_futures_book_100},
    {"/api/v1/ticker", 2, 2, false, SYMBOL_IN_QUERY, get_level1},
    {"/api/v1/trade/history", 5, 2, false, SYMBOL_IN_QUERY, get_trades},
    {"/api/v1/kline/query", 3, 2, false, SYMBOL_IN_QUERY, get_klines},
    {"/api/v1/mark-price/{}/current", 3, 2, false, SYMBOL_IN_PATH, get_mark},
    {"/api/v1/funding-rate/{}/current", 2, 2, false, SYMBOL_IN_PATH, get_funding},
};

/* Does the path fit "before{}after"? Then *name is what stands for {}. */
static bool path_fits(const char *pattern, struct str path, struct str *name)
{
    const char *hole = strstr(pattern, "{}");
    if (hole == NULL) {
        return str_equal(path, str_from(pattern));
    }
    size_t before = (size_t)(hole - pattern);
    size_t after = strlen(hole + 2);
    if (path.bytes <= before + after || memcmp(path.data, pattern, before) != 0 ||
        memcmp(path.data + path.bytes - after, hole + 2, after) != 0) {
        return false;
    }
    *name = str_make(path.data + before, path.bytes - before - after);
    return memchr(name->data, '/', name->bytes) == NULL;
}

/* True when the request is to be answered; else it has been. */
static bool weight_allows(struct sim_conn *conn, uint32_t weight)
{
    struct sim *sim = conn->sim;
    struct sim_limits_config limits = sim->config.limits;
    limits.weight = SIM_KUCOIN_LIMIT(sim, weight, 2000);
    limits.weight_window_ms = SIM_KUCOIN_LIMIT(sim, weight_window_ms, 30000);
    limits.ignored_before_ban = UINT32_MAX; /* nobody is banned */
    bool was_limited = sim->now_mono_ns < conn->address->retry_mono_ns;
    struct sim_weight_verdict verdict =
        sim_limits_weight(conn->address, &limits, weight, sim->now_mono_ns);
    if (verdict.status == 200) {
        return true;
    }
    sim_violate(sim, was_limited ? SIM_BROKE_RETRY_AFTER : SIM_BROKE_WEIGHT);
    sim->counters[SIM_COUNT_RATE_LIMITED]++;
    answer_error(conn, 429, "429000", "Too Many Requests");
    return false;
}

static void error_body(struct sim_conn *conn, int status, int64_t retry_after_s)
{
    (void)retry_after_s; /* the venue does not say */
    answer_error(conn, status, status == 429 ? "429000" : "500000", "scripted fault");
}

/* False: an error was answered. */
static bool symbol_take(struct ask *ask, enum named named, struct str name)
{
    struct buf value = buf_over(ask->sim->body, MODEL_NAME_BYTES);
    if (named == SYMBOL_IN_QUERY) {
        if (sim_request_query(ask->request->query, "symbol", &value) <= 0) {
            answer_error(ask->conn, 200, "400100", "Param.symbol");
            return false;
        }
        name = buf_view(&value);
    }
    const struct model_symbol *symbol = model_find(&ask->sim->model, name, false);
    if (symbol == NULL || !symbol->trading) {
        answer_error(ask->conn, 200, "900001", "Symbol does not exist");
        return false;
    }
    ask->symbol = (uint32_t)(symbol - ask->sim->model.symbols);
    return true;
}

static void endpoint_answer(struct sim_conn *conn, const struct endpoint *endpoint,
                            const struct sim_request *request, struct str path, struct str name)
{
    struct sim *sim = conn->sim;
    struct buf out = buf_over(sim->body, SIM_TEXT_BYTES);
    struct ask ask = {.sim = sim,
                      .conn = conn,
                      .request = request,
                      .time_unix_ns = sim_rest_moment(sim, path),
                      .out = &out};
    size_t before = conn->out_bytes;
    if (endpoint->named == NO_SYMBOL || symbol_take(&ask, endpoint->named, name)) {
        endpoint->get(&ask);
    }
    if (conn->out_bytes != before || conn->reply.kind != SIM_REPLY_NONE ||
        conn->state != SIM_CONN_HTTP) {
        return; /* an error was answered, or pieces will follow */
    }
    sim_rest_answer_body(conn, path, &out);
}

bool sim_kucoin_rest(struct sim_conn *conn, const struct sim_request *request, struct str path)
{
    int market = sim_kucoin_is_spot(conn->sim) ? 1 : 2;
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        struct str name = {"", 0};
        const struct endpoint *endpoint = &endpoints[i];
        if ((endpoint->market & market) == 0 || endpoint->post != request->post ||
            !path_fits(endpoint->path, path, &name)) {
            continue;
        }
        if (sim_rest_delayed(conn, path)) {
            return true;
        }
        conn->sim->counters[SIM_COUNT_REQUESTS]++;
        if (weight_allows(conn, endpoint->weight) &&
            !sim_rest_status_fault(conn, path, error_body)) {
            endpoint_answer(conn, endpoint, request, path, name);
        }
        return true;
    }
    return false;
}

void sim_kucoin_rest_head(const struct sim_conn *conn, struct buf *out)
{
    if (conn->address == NULL) {
        return;
    }
    const struct sim *sim = conn->sim;
    uint32_t most = SIM_KUCOIN_LIMIT(sim, weight, 2000);
    int64_t window_ms = SIM_KUCOIN_LIMIT(sim, weight_window_ms, 30000);
    uint32_t used = conn->address->weight_used;
    int64_t passed_ms = (sim->now_mono_ns - conn->address->weight_window_mono_ns) / NS_PER_MS;
    buf_printf(out,
               "gw-ratelimit-limit: %u\r\ngw-ratelimit-remaining: %u\r\ngw-ratelimit-reset: "
               "%lld\r\n",
               most, used > most ? 0 : most - used,
               (long long)(passed_ms > window_ms ? 0 : window_ms - passed_ms));
}
