/* A row's members are kept as text by slot; the row is read when its object ends. Memory: the
 * decoder's rest part. rest->counts[0] counts the rows. */
#include "exchange/rest_trades.h"

#include <string.h>

#include "exchange/reading.h"

_Static_assert(REST_TRADE_MEMBERS <= REST_TEXTS, "a slot for each member");

static int member_of(const struct rest_trades_form *form, struct str key)
{
    for (int member = 0; member < REST_TRADE_OTHER; member++) {
        if (form->keys[member] != NULL && str_equal(key, str_from(form->keys[member]))) {
            return member;
        }
    }
    return REST_TRADE_OTHER;
}

/* The first id asked for, from the URL; ID_NONE. */
static int64_t from_of(const struct decoder_rest *rest, const char *key)
{
    int64_t id = 0;
    const char *at = key != NULL ? memmem(rest->url, rest->url_bytes, key, strlen(key)) : NULL;
    if (at == NULL) {
        return ID_NONE;
    }
    at += strlen(key);
    const char *end = at;
    while (end < rest->url + rest->url_bytes && *end >= '0' && *end <= '9') {
        end++;
    }
    struct scan_value value = {.type = SCAN_NUMBER, .text = str_make(at, (size_t)(end - at))};
    return scan_value_i64(&value, &id) ? id : ID_NONE;
}

static struct scan_value kept(const struct decoder_rest *rest, int member)
{
    struct str text = rest_body_text(rest, member);
    return (struct scan_value){.type = text.bytes > 0 ? SCAN_NUMBER : SCAN_NONE, .text = text};
}

static enum side side_of(const struct decoder_rest *rest, struct decimal *amount)
{
    struct str side = rest_body_text(rest, REST_TRADE_SIDE);
    struct str maker = rest_body_text(rest, REST_TRADE_MAKER);
    enum side taker = SIDE_UNKNOWN;
    if (amount->mantissa < 0) {
        amount->mantissa = -amount->mantissa;
        taker = SIDE_SELL;
    } else if (side.bytes == 0 && maker.bytes == 0) {
        taker = amount->mantissa > 0 ? SIDE_BUY : SIDE_UNKNOWN;
    }
    if (str_equal(side, STR("buy")) || str_equal(maker, STR("false"))) {
        return SIDE_BUY;
    }
    return str_equal(side, STR("sell")) || str_equal(maker, STR("true")) ? SIDE_SELL : taker;
}

static struct event event_of(const struct decoder_rest *rest, const struct rest_trades_form *form)
{
    struct event event = rest_body_event(rest, CHANNEL_TRADES);
    event.symbol = str_make(rest->symbol, rest->symbol_bytes);
    event.trade.trade_id = ID_NONE;
    event.trade.flags = form->flags | TRADE_BACKFILL;
    event.trade.page_from_id = from_of(rest, form->from_key);
    return event;
}

static bool end_row(struct decoder_rest *rest, const struct rest_trades_form *form)
{
    struct event event = event_of(rest, form);
    struct reading reading = {0};
    struct scan_value id = kept(rest, REST_TRADE_ID);
    struct scan_value time = kept(rest, REST_TRADE_TIME);
    if (!scan_value_i64(&id, &event.trade.trade_id)) {
        return rest_body_refuse(rest, MD_EPARSE, "trades: id: not a whole number");
    }
    if (decimal_parse(rest_body_text(rest, REST_TRADE_PRICE), &event.trade.price) != 0 ||
        decimal_parse(rest_body_text(rest, REST_TRADE_AMOUNT), &event.trade.amount) != 0) {
        return rest_body_refuse(rest, MD_EPARSE, "trades: price or amount: not a number");
    }
    if (!reading_time_any(&reading, &time, &event.event_unix_ns)) {
        return rest_body_refuse(rest, MD_EPARSE, "trades: time: not one");
    }
    event.trade.side = side_of(rest, &event.trade.amount);
    event.trade.flags |= rest->counts[0] == 0 ? TRADE_PAGE_FIRST : 0;
    rest->counts[0]++;
    rest->result.digits_over_15 += decimal_digits(event.trade.price) > 15;
    rest->result.digits_over_15 += decimal_digits(event.trade.amount) > 15;
    rest_body_emit(rest, &event);
    return true;
}

bool rest_trades_json(struct decoder_rest *rest, const struct rest_trades_form *form,
                      enum json_event event, struct str text, int depth)
{
    int member = rest->inner_field;
    if (event == JSON_EVENT_OBJECT_BEGIN && depth == form->depth) {
        memset(rest->text_bytes, 0, sizeof rest->text_bytes);
        rest->inner_field = REST_TRADE_OTHER;
    } else if (event == JSON_EVENT_OBJECT_END && depth == form->depth) {
        return end_row(rest, form);
    } else if (depth != form->depth + 1) {
        return true;
    } else if (event == JSON_EVENT_KEY) {
        rest->inner_field = member_of(form, text);
    } else if (event == JSON_EVENT_STRING || event == JSON_EVENT_NUMBER) {
        return member == REST_TRADE_OTHER || rest_body_keep(rest, member, text) ||
               rest_body_refuse(rest, MD_ETOOBIG, "trades: a member is too long");
    } else if (member == REST_TRADE_MAKER &&
               (event == JSON_EVENT_TRUE || event == JSON_EVENT_FALSE)) {
        return rest_body_keep(rest, member, event == JSON_EVENT_TRUE ? STR("true") : STR("false"));
    }
    return true;
}

bool rest_trades_end(struct decoder_rest *rest, const struct rest_trades_form *form)
{
    struct event event = event_of(rest, form);
    event.trade.flags |= TRADE_PAGE_END;
    rest_body_emit(rest, &event);
    return true;
}
