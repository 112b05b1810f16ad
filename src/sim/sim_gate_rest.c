/* Gate's REST: lists of pairs and contracts, tickers, books and trades of both markets, from the
 * same model as the streams, with the venue's error labels and its limit of 200 requests in ten
 * seconds for each endpoint. Lists of everything are made piece by piece as the send buffer
 * empties. Source: exchanges/gate.md sections 0.4, 0.5, 1.4 and 2.5. */
#include "sim/sim_gate.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

#define PIECE_BYTES 32768 /* room of a piece; one entry takes 2 KiB at most */
#define LIMIT_REQUESTS 200
#define LIMIT_WINDOW_NS (10 * NS_PER_S)

enum { REPLY_PAIRS = 1, REPLY_CONTRACTS, REPLY_TICKERS };

struct ask {
    struct sim *sim;
    struct sim_conn *conn;
    struct str query;
    bool decimal;
    int64_t time_unix_ns; /* the answer's moment: now, or earlier (fault rest_lag) */
    struct buf *out;
};

static void answer_error(struct sim_conn *conn, int status, const char *label, const char *message)
{
    char text[300];
    int n = message == NULL ? snprintf(text, sizeof text, "{\"label\":\"%s\"}", label)
                            : snprintf(text, sizeof text, "{\"label\":\"%s\",\"message\":\"%s\"}",
                                       label, message);
    ASSERT(n > 0 && (size_t)n < sizeof text);
    sim_rest_answer(conn, status, str_make(text, (size_t)n), -1);
}

/* ---- parameters. Each returns -1 when it has answered with an error. */

static int take_number(struct ask *ask, const char *name, int64_t *value)
{
    char text[32], message[100];
    struct buf out = buf_over(text, sizeof text);
    int found = sim_request_query(ask->query, name, &out);
    bool good = found > 0 && out.bytes > 0 && out.bytes <= 18;
    int64_t number = 0;
    for (size_t i = 0; good && i < out.bytes; i++) {
        good = text[i] >= '0' && text[i] <= '9';
        number = number * 10 + (text[i] - '0');
    }
    if (found != 0 && !good) {
        snprintf(message, sizeof message, "Invalid request parameter `%s`", name);
        answer_error(ask->conn, 400, "INVALID_PARAM_VALUE", message);
        return -1;
    }
    *value = found != 0 ? number : *value;
    return found;
}

static int take_limit(struct ask *ask, int64_t standard, int64_t most, uint32_t *limit)
{
    int64_t value = standard;
    char message[64];
    if (take_number(ask, "limit", &value) < 0) {
        return -1;
    }
    if (value < 1 || value > most) {
        snprintf(message, sizeof message, "limit %lld", (long long)most);
        answer_error(ask->conn, 400, value < 1 ? "INVALID_PARAM_VALUE" : "TOO_BIG", message);
        return -1;
    }
    *limit = (uint32_t)value;
    return 0;
}

/* 1 = given and known, 0 = not given. */
static int take_symbol(struct ask *ask, uint32_t *index)
{
    bool spot = sim_gate_is_spot(ask->sim);
    char text[MODEL_NAME_BYTES * 3];
    struct buf out = buf_over(text, sizeof text);
    int found = sim_request_query(ask->query, spot ? "currency_pair" : "contract", &out);
    if (found == 0) {
        return 0;
    }
    const struct model_symbol *symbol =
        found < 0 ? NULL : model_find(&ask->sim->model, buf_view(&out), false);
    *index = symbol == NULL ? 0 : (uint32_t)(symbol - ask->sim->model.symbols);
    if (symbol == NULL || sim_listing_of(ask->sim, *index) == SIM_HIDDEN) {
        answer_error(ask->conn, 400, spot ? "INVALID_CURRENCY_PAIR" : "CONTRACT_NOT_FOUND",
                     spot ? "Invalid currency pair" : NULL);
        return -1;
    }
    return 1;
}

static int need_symbol(struct ask *ask, uint32_t *index)
{
    int found = take_symbol(ask, index);
    if (found == 0) {
        answer_error(ask->conn, 400, "MISSING_REQUIRED_PARAM",
                     sim_gate_is_spot(ask->sim) ? "Missing required parameter: currency_pair"
                                                : "Missing required parameter: contract");
        return -1;
    }
    return found < 0 ? -1 : 0;
}

/* ---- lists */

static int places_of(int64_t unit_e8)
{
    int places = 8;
    for (; unit_e8 >= 10 && places > 0; unit_e8 /= 10) {
        places--;
    }
    return places;
}

static void put_pair(struct buf *out, const struct sim *sim, uint32_t index)
{
    const struct model_symbol *symbol = &sim->model.symbols[index];
    bool trades = sim_listing_of(sim, index) == SIM_TRADES;
    buf_printf(out,
               "{\"id\":\"%s\",\"base\":\"%s\",\"base_name\":\"%s\",\"quote\":\"%s\","
               "\"quote_name\":\"%s\",\"fee\":\"0.2\"",
               symbol->name, symbol->base, symbol->base, symbol->quote, symbol->quote);
    if (index % 2 == 0) { /* optional members are absent from row to row */
        sim_gate_put_member(out, ",\"min_base_amount\":", symbol->step_e8);
    }
    buf_printf(out,
               ",\"min_quote_amount\":\"3\",\"max_quote_amount\":\"5000000\","
               "\"amount_precision\":%d,\"precision\":%d,\"trade_status\":\"%s\",\"sell_start\":0,"
               "\"buy_start\":0,\"delisting_time\":0,\"type\":\"normal\","
               "\"trade_url\":\"https://www.gate.com/trade/%s\",\"st_tag\":false}",
               places_of(symbol->step_e8), places_of(symbol->tick_e8),
               trades ? "tradable" : "untradable", symbol->name);
}

static void put_contract(struct buf *out, struct sim *sim, uint32_t index, int64_t time_unix_ns,
                         bool decimal)
{
    const struct model_symbol *symbol = &sim->model.symbols[index];
    bool trades = sim_listing_of(sim, index) == SIM_TRADES;
    struct model_book built;
    const struct model_book *book = sim_feed_book(sim, index, time_unix_ns, &built);
    struct sim_gate_prices prices = sim_gate_prices(book, time_unix_ns);
    buf_printf(out, "{\"name\":\"%s\",\"type\":\"direct\"", symbol->name);
    sim_gate_put_member(out, ",\"quanto_multiplier\":", sim_gate_multiplier_e8(sim, symbol));
    buf_printf(out, ",\"ref_discount_rate\":\"0\",\"order_price_deviate\":\"0.5\","
                    "\"maintenance_rate\":\"0.005\",\"mark_type\":\"index\"");
    sim_gate_put_member(out, ",\"last_price\":", model_slot_price(symbol, book->mid));
    sim_gate_put_member(out, ",\"mark_price\":", prices.mark_e8);
    sim_gate_put_member(out, ",\"index_price\":", prices.index_e8);
    sim_gate_put_member(out, ",\"funding_rate_indicative\":", prices.funding_e8);
    sim_gate_put_member(out, ",\"mark_price_round\":", symbol->tick_e8);
    sim_gate_put_member(out, ",\"order_price_round\":", symbol->tick_e8);
    sim_gate_put_member(out, ",\"funding_rate\":", prices.funding_e8);
    buf_printf(out,
               ",\"funding_offset\":0,\"funding_interval\":28800,\"funding_next_apply\":%lld,"
               "\"in_delisting\":%s,\"status\":\"%s\",\"enable_decimal\":%s,\"risk_limit_base\":"
               "\"1000000\",\"interest_rate\":\"0.0003\",\"order_size_min\":%s,",
               (long long)(time_unix_ns / (28800 * NS_PER_S) + 1) * 28800,
               trades ? "false" : "true", trades ? "trading" : "delisting",
               sim_gate_is_decimal(sim, symbol) ? "true" : "false",
               decimal && sim_gate_is_decimal(sim, symbol) ? "\"0.1\"" : "1");
    buf_printf(out,
               "\"order_size_max\":1000000,\"orderbook_id\":%lld,\"trade_id\":%lld,"
               "\"leverage_min\":\"1\",\"leverage_max\":\"100\",\"maker_fee_rate\":\"-0.0001\","
               "\"taker_fee_rate\":\"0.00075\",\"orders_limit\":100,\"create_time\":1546905600,"
               "\"launch_time\":1546905600,\"contract_type\":\"\",\"is_pre_market\":false}",
               (long long)(symbol->update_id0 + book->update),
               (long long)(symbol->trade_id0 + model_trades_until(symbol, time_unix_ns)));
}

static void start_list(struct ask *ask, int kind)
{
    ask->conn->reply = (struct sim_reply){
        .kind = kind, .first = true, .micro = ask->decimal, .time_unix_ns = ask->time_unix_ns};
    sim_rest_head(ask->conn, 200, -1, -1);
}

static void get_pairs(struct ask *ask)
{
    start_list(ask, REPLY_PAIRS);
}

static void get_contracts(struct ask *ask)
{
    start_list(ask, REPLY_CONTRACTS);
}

static void get_nothing(struct ask *ask)
{
    buf_put(ask->out, "[]", 2);
}

static void get_tickers(struct ask *ask)
{
    uint32_t index;
    int found = take_symbol(ask, &index);
    if (found < 0) {
        return;
    }
    if (found == 0) {
        start_list(ask, REPLY_TICKERS);
        return;
    }
    struct model_book built;
    buf_put_char(ask->out, '[');
    sim_gate_put_ticker(ask->out, ask->sim,
                        sim_feed_book(ask->sim, index, ask->time_unix_ns, &built),
                        ask->time_unix_ns, ask->decimal, false);
    buf_put_char(ask->out, ']');
}

/* ---- books, trades, time */

/* Milliseconds on spot, seconds with three decimals on futures (section 0.5). */
static void put_book_time(struct buf *out, bool spot, const char *key, int64_t unix_ns)
{
    if (spot) {
        buf_printf(out, "\"%s\":%lld,", key, (long long)(unix_ns / NS_PER_MS));
    } else {
        buf_printf(out, "\"%s\":%lld.%03lld,", key, (long long)(unix_ns / NS_PER_S),
                   (long long)(unix_ns % NS_PER_S / NS_PER_MS));
    }
}

static void get_order_book(struct ask *ask)
{
    struct sim *sim = ask->sim;
    bool spot = sim_gate_is_spot(sim);
    uint32_t index, limit;
    char text[8];
    struct buf with_id = buf_over(text, sizeof text);
    if (need_symbol(ask, &index) < 0 || take_limit(ask, 10, spot ? 1000 : 300, &limit) < 0) {
        return;
    }
    struct model_book built;
    const struct model_book *book = sim_feed_book(sim, index, ask->time_unix_ns, &built);
    uint32_t bids = model_book_bids(book, sim->bids, limit);
    uint32_t asks = model_book_asks(book, sim->asks, limit);
    buf_put_char(ask->out, '{');
    if (sim_request_query(ask->query, "with_id", &with_id) > 0 &&
        str_equal(buf_view(&with_id), STR("true"))) {
        buf_printf(ask->out, "\"id\":%lld,", (long long)(book->symbol->update_id0 + book->update));
    }
    put_book_time(ask->out, spot, "current", sim->now_unix_ns);
    put_book_time(ask->out, spot, "update", model_update_time(book->symbol, book->update));
    buf_put_str(ask->out, STR("\"asks\":"));
    sim_gate_put_levels(ask->out, sim, book->symbol, sim->asks, asks, !spot, ask->decimal);
    buf_put_str(ask->out, STR(",\"bids\":"));
    sim_gate_put_levels(ask->out, sim, book->symbol, sim->bids, bids, !spot, ask->decimal);
    buf_put_char(ask->out, '}');
}

static void put_trade(struct ask *ask, const struct model_symbol *symbol,
                      const struct model_trade *trade)
{
    struct buf *out = ask->out;
    int64_t ns = trade->time_unix_ns;
    if (sim_gate_is_spot(ask->sim)) {
        buf_printf(out,
                   "{\"id\":\"%lld\",\"create_time\":\"%lld\",\"create_time_ms\":\"%lld.%06lld\","
                   "\"currency_pair\":\"%s\",\"side\":\"%s\"",
                   (long long)trade->id, (long long)(ns / NS_PER_S), (long long)(ns / NS_PER_MS),
                   (long long)(ns % NS_PER_MS), symbol->name,
                   trade->buyer_is_maker ? "sell" : "buy");
        sim_gate_put_member(out, ",\"amount\":", trade->quantity_e8);
        sim_gate_put_member(out, ",\"price\":", trade->price_e8);
        buf_printf(out, ",\"sequence_id\":\"%lld\"}", (long long)trade->id);
        return;
    }
    buf_printf(out, "{\"id\":%lld,\"size\":", (long long)trade->id);
    sim_gate_put_size(out, ask->sim, symbol,
                      trade->buyer_is_maker ? -trade->quantity_e8 : trade->quantity_e8,
                      ask->decimal);
    buf_printf(out,
               ",\"create_time\":%lld.%03lld,\"create_time_ms\":%lld.%03lld,\"contract\":\"%s\"",
               (long long)(ns / NS_PER_S), (long long)(ns % NS_PER_S / NS_PER_MS),
               (long long)(ns / NS_PER_S), (long long)(ns % NS_PER_S / NS_PER_MS), symbol->name);
    sim_gate_put_member(out, ",\"price\":", trade->price_e8);
    buf_put_char(out, '}');
}

/* The newest `limit` between from and to (seconds, inclusive), newest first. */
static void get_trades(struct ask *ask)
{
    uint32_t index, limit;
    int64_t from_s = 0, to_s = INT64_MAX / NS_PER_S;
    if (need_symbol(ask, &index) < 0 || take_limit(ask, 100, 1000, &limit) < 0 ||
        take_number(ask, "from", &from_s) < 0 || take_number(ask, "to", &to_s) < 0) {
        return;
    }
    if (from_s < 0 || from_s > to_s || to_s > INT64_MAX / NS_PER_S) {
        answer_error(ask->conn, 400, "INVALID_PARAM_VALUE", "from, to");
        return;
    }
    const struct model_symbol *symbol = &ask->sim->model.symbols[index];
    int64_t until_ns = to_s * NS_PER_S < ask->time_unix_ns ? to_s * NS_PER_S : ask->time_unix_ns;
    int64_t end = model_trades_until(symbol, until_ns);
    int64_t from = model_trades_until(symbol, from_s * NS_PER_S - 1);
    from = end - from > limit ? end - limit : from > end ? end : from;
    buf_put_char(ask->out, '[');
    for (int64_t i = end; i-- > from;) {
        struct model_trade trade = model_trade_at(symbol, i);
        put_trade(ask, symbol, &trade);
        buf_put(ask->out, ",", i > from);
    }
    buf_put_char(ask->out, ']');
}

static void get_time(struct ask *ask)
{
    buf_printf(ask->out, "{\"server_time\":%lld}", (long long)(ask->sim->now_unix_ns / NS_PER_MS));
}

/* ---- dispatch */

static const struct endpoint {
    bool spot;
    const char *path;
    void (*get)(struct ask *ask);
} endpoints[] = {
    {true, "/api/v4/spot/currency_pairs", get_pairs},
    {true, "/api/v4/margin/currency_pairs", get_nothing},
    {true, "/api/v4/spot/tickers", get_tickers},
    {true, "/api/v4/spot/order_book", get_order_book},
    {true, "/api/v4/spot/trades", get_trades},
    {true, "/api/v4/spot/time", get_time},
    {false, "/api/v4/futures/usdt/contracts", get_contracts},
    {false, "/api/v4/futures/btc/contracts", get_nothing},
    {false, "/api/v4/futures/usdt/tickers", get_tickers},
    {false, "/api/v4/futures/usdt/order_book", get_order_book},
    {false, "/api/v4/futures/usdt/trades", get_trades},
};
#define ENDPOINTS (sizeof endpoints / sizeof endpoints[0])
_Static_assert(ENDPOINTS <= SIM_GATE_ENDPOINTS_MAX, "a count for each");

/* 200 requests in ten seconds for each endpoint; all clients here have one address. */
static bool limit_allows(struct sim_conn *conn, size_t which)
{
    struct sim *sim = conn->sim;
    struct sim_gate *own = sim_gate_own(sim);
    int64_t *window = &own->endpoints[which].window_mono_ns;
    uint32_t *used = &own->endpoints[which].used;
    if (*used == 0 || sim->now_mono_ns - *window >= LIMIT_WINDOW_NS) {
        *window = sim->now_mono_ns;
        *used = 0;
    }
    bool allowed = *used < LIMIT_REQUESTS;
    *used += allowed;
    own->left = LIMIT_REQUESTS - *used;
    own->reset_unix_s =
        (sim->now_unix_ns + *window + LIMIT_WINDOW_NS - sim->now_mono_ns) / NS_PER_S;
    if (!allowed) {
        sim_violate(sim, SIM_BROKE_WEIGHT);
        sim->counters[SIM_COUNT_RATE_LIMITED]++;
        answer_error(conn, 429, "TOO_MANY_REQUESTS", "Request Rate limit Exceeded");
    }
    return allowed;
}

static void error_body(struct sim_conn *conn, int status, int64_t retry_after_s)
{
    (void)retry_after_s; /* the venue names none */
    answer_error(conn, status, status == 429 ? "TOO_MANY_REQUESTS" : "SERVER_ERROR",
                 "scripted fault");
}

static void endpoint_answer(struct sim_conn *conn, const struct endpoint *endpoint,
                            const struct sim_request *request, struct str path)
{
    struct sim *sim = conn->sim;
    struct buf out = buf_over(sim->body, SIM_TEXT_BYTES);
    struct ask ask = {.sim = sim,
                      .conn = conn,
                      .query = request->query,
                      .decimal = str_equal(request->size_decimal, STR("1")),
                      .time_unix_ns = sim_rest_moment(sim, path),
                      .out = &out};
    size_t before = conn->out_bytes;
    if (sim->replay == NULL || !sim_replay_rest(sim, path, request->query, &out)) {
        endpoint->get(&ask);
    }
    if (conn->out_bytes != before || conn->reply.kind != SIM_REPLY_NONE ||
        conn->state != SIM_CONN_HTTP) {
        return; /* an error was answered, or pieces will follow */
    }
    sim_rest_answer_body(conn, path, &out);
}

bool sim_gate_rest(struct sim_conn *conn, const struct sim_request *request, struct str path)
{
    for (size_t i = 0; i < ENDPOINTS && !request->post; i++) {
        if (endpoints[i].spot != sim_gate_is_spot(conn->sim) ||
            !str_equal(path, str_from(endpoints[i].path))) {
            continue;
        }
        if (sim_rest_delayed(conn, path)) {
            return true;
        }
        conn->sim->counters[SIM_COUNT_REQUESTS]++;
        if (limit_allows(conn, i) && !sim_rest_status_fault(conn, path, error_body)) {
            endpoint_answer(conn, &endpoints[i], request, path);
        }
        return true;
    }
    return false;
}

void sim_gate_rest_head(const struct sim_conn *conn, struct buf *out)
{
    const struct sim_gate *own = sim_gate_own(conn->sim);
    buf_printf(out,
               "X-Gate-RateLimit-Limit: %d\r\nX-Gate-RateLimit-Requests-Remain: %u\r\n"
               "X-Gate-RateLimit-Reset-Timestamp: %lld\r\n",
               LIMIT_REQUESTS, own->left, (long long)own->reset_unix_s);
}

/* ---- long answers */

static void put_entry(struct sim *sim, const struct sim_reply *reply, uint32_t index,
                      struct buf *out)
{
    struct model_book built;
    if (reply->kind == REPLY_PAIRS) {
        put_pair(out, sim, index);
    } else if (reply->kind == REPLY_CONTRACTS) {
        put_contract(out, sim, index, reply->time_unix_ns, reply->micro);
    } else {
        sim_gate_put_ticker(out, sim, sim_feed_book(sim, index, reply->time_unix_ns, &built),
                            reply->time_unix_ns, reply->micro, false);
    }
}

void sim_gate_rest_piece(struct sim *sim, struct sim_reply *reply, struct buf *out)
{
    buf_put(out, "[", reply->next == 0);
    while (reply->next < sim->model.count && out->bytes < PIECE_BYTES - 4096) {
        uint32_t index = reply->next++;
        enum sim_listing listing = sim_listing_of(sim, index);
        if (listing == SIM_HIDDEN || (reply->kind == REPLY_TICKERS && listing != SIM_TRADES)) {
            continue;
        }
        buf_put(out, ",", !reply->first);
        reply->first = false;
        put_entry(sim, reply, index, out);
    }
    if (reply->next >= sim->model.count) {
        buf_put_char(out, ']');
    }
}
