/* Binance's feed side, spot and futures alike. */
#include "exchange/binance_common.h"

#include <string.h>

int binance_fit(const struct buf *out)
{
    return out->overflow ? MD_ETOOBIG : 0;
}

/* Stream names are lower case in ASCII; other bytes as they are (section 1). */
void binance_put_lower(struct buf *out, struct str symbol)
{
    for (size_t i = 0; i < symbol.bytes; i++) {
        char c = symbol.data[i];
        buf_put_char(out, c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c);
    }
}

bool binance_symbol_fits(struct str symbol)
{
    for (size_t i = 0; i < symbol.bytes; i++) {
        unsigned char c = (unsigned char)symbol.data[i];
        if (c <= 0x20 || c == '"' || c == '\\' || c == '@' || c == '/' || c == 0x7f) {
            return false;
        }
    }
    return symbol.bytes > 0 && symbol.bytes <= 64;
}

bool binance_interval_known(struct str interval)
{
    static const char *const known[] = {"1s", "1m", "3m", "5m",  "15m", "30m", "1h", "2h",
                                        "4h", "6h", "8h", "12h", "1d",  "3d",  "1w", "1M"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (str_equal(interval, str_from(known[i]))) {
            return true;
        }
    }
    return false;
}

void binance_put_percent_encoded(struct buf *out, struct str text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~';
        if (plain) {
            buf_put_char(out, (char)c);
        } else {
            buf_put_char(out, '%');
            buf_put_char(out, digits[c >> 4]);
            buf_put_char(out, digits[c & 15]);
        }
    }
}

int binance_put_trades_from(struct buf *out, struct str symbol, const struct trades_hole *hole)
{
    int64_t more = hole->to_id - hole->from_id;
    binance_put_percent_encoded(out, symbol);
    buf_printf(out, "&fromId=%lld&limit=%lld", (long long)hole->from_id,
               (long long)(more < 1000 ? more + 1 : 1000));
    return binance_fit(out);
}

int binance_subscribe(const struct venue_request *request,
                      void (*put_name)(struct buf *out, const struct venue_stream *stream),
                      struct buf *out)
{
    buf_put_str(out, request->subscribe ? STR("{\"method\":\"SUBSCRIBE\",\"params\":[")
                                        : STR("{\"method\":\"UNSUBSCRIBE\",\"params\":["));
    for (uint32_t i = 0; i < request->count; i++) {
        buf_put_str(out, i > 0 ? STR(",\"") : STR("\""));
        put_name(out, request->streams[i]);
        buf_put_char(out, '"');
    }
    buf_put_str(out, STR("],\"id\":"));
    buf_put_i64(out, request->id);
    buf_put_char(out, '}');
    return binance_fit(out);
}

/* Market data begins {"stream":"... or, from some servers, {"data":; everything else is looked at.
 */
static bool is_market_data(struct str frame)
{
    return frame.bytes > 12 && memcmp(frame.data, "{\"stream\":\"", 11) == 0 &&
           frame.data[11] != '!';
}

static void copy_words(char *out, size_t capacity, const struct scan_value *value)
{
    size_t bytes = value->type == SCAN_STRING ? value->text.bytes : 0;
    str_printable(out, capacity, value->text.data, bytes);
}

static enum control_kind read_error(const struct scan_value *code, const struct scan_value *message,
                                    struct control_reply *reply)
{
    int64_t number = 0;
    reply->code =
        scan_value_i64(code, &number) && number > INT32_MIN && number < INT32_MAX ? (int)number : 0;
    copy_words(reply->text, sizeof reply->text, message);
    return CONTROL_ERROR;
}

/* Section 3: acks {"result":null,"id":1}, never wrapped; errors {"code":,"msg":,"id":} or nested in
 * "error". Section 2: serverShutdown, raw or wrapped as stream "!serverShutdown". */
enum control_kind binance_control(struct str frame, struct control_reply *reply)
{
    if (is_market_data(frame)) {
        return CONTROL_NONE;
    }
    struct scan scan = scan_of(frame);
    struct scan_value object;
    if (!scan_value(&scan, &object) || object.type != SCAN_OBJECT || !scan_at_end(&scan)) {
        return CONTROL_NONE;
    }
    static const struct str keys[] = {{"result", 6}, {"id", 2},     {"code", 4}, {"msg", 3},
                                      {"error", 5},  {"stream", 6}, {"e", 1}};
    struct scan_value found[7];
    scan_find(&object, keys, 7, found);
    if (!scan_value_i64(&found[1], &reply->id)) {
        reply->id = -1;
    }
    if (found[4].type == SCAN_OBJECT) {
        struct scan_value nested[2];
        scan_find(&found[4], keys + 2, 2, nested);
        return read_error(&nested[0], &nested[1], reply);
    }
    if (found[2].type != SCAN_NONE && found[3].type != SCAN_NONE) {
        return read_error(&found[2], &found[3], reply);
    }
    bool shutdown =
        (found[5].type == SCAN_STRING && str_equal(found[5].text, STR("!serverShutdown"))) ||
        (found[6].type == SCAN_STRING && str_equal(found[6].text, STR("serverShutdown")));
    if (shutdown) {
        return CONTROL_SHUTDOWN;
    }
    if (found[0].type != SCAN_NONE && found[5].type == SCAN_NONE) {
        return CONTROL_ACK;
    }
    return CONTROL_NONE;
}

static void sent_names(const struct scan_value *params, bool on,
                       int (*channel_of)(struct str name, bool *aggregate, struct str *symbol),
                       sent_sink on_stream, void *context)
{
    struct scan names = scan_enter(params);
    struct scan_value name;
    while (scan_element(&names, &name)) {
        struct str symbol;
        char upper[512];
        if (name.type != SCAN_STRING || name.escaped || name.text.bytes > sizeof upper) {
            continue;
        }
        bool aggregate = false;
        int channel = channel_of(name.text, &aggregate, &symbol);
        for (size_t i = 0; i < symbol.bytes; i++) {
            char c = symbol.data[i];
            upper[i] = c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
        }
        if (channel >= 0) {
            on_stream(context, on, (enum channel)channel, aggregate, str_make(upper, symbol.bytes));
        }
    }
}

void binance_decode_sent(const struct record *record,
                         int (*channel_of)(struct str name, bool *aggregate, struct str *symbol),
                         sent_sink on_stream, void *context)
{
    struct scan scan = scan_of(record->payload);
    struct scan_value object, found[2];
    static const struct str keys[] = {{"method", 6}, {"params", 6}};
    if (!scan_value(&scan, &object) || object.type != SCAN_OBJECT) {
        return;
    }
    scan_find(&object, keys, 2, found);
    bool on = found[0].type == SCAN_STRING && str_equal(found[0].text, STR("SUBSCRIBE"));
    bool off = found[0].type == SCAN_STRING && str_equal(found[0].text, STR("UNSUBSCRIBE"));
    if ((on || off) && found[1].type == SCAN_ARRAY) {
        sent_names(&found[1], on, channel_of, on_stream, context);
    }
}

struct str binance_peek_stream(struct str frame)
{
    static const char head[] = "{\"stream\":\"";
    size_t bytes = sizeof head - 1;
    if (frame.bytes < bytes || memcmp(frame.data, head, bytes) != 0) {
        return (struct str){0};
    }
    const char *end = memchr(frame.data + bytes, '"', frame.bytes - bytes);
    return end == NULL ? (struct str){0}
                       : str_make(frame.data + bytes, (size_t)(end - frame.data) - bytes);
}
