/* REST bodies as they stream by, for all venues. Memory: the decoder's rest part; a list of
 * megabytes passes through it. */
#include "exchange/rest_body.h"

#include <string.h>

bool rest_body_refuse(struct decoder_rest *rest, int code, const char *reason)
{
    if (rest->result.code == 0) {
        rest->result.code = code;
        rest->result.reason = reason;
    }
    return false;
}

struct event rest_body_event(const struct decoder_rest *rest, enum channel channel)
{
    struct event event = {
        .channel = channel,
        .venue = rest->record->venue,
        .event_unix_ns = TIME_NONE,
        .recv_unix_ns = rest->record->time_unix_ns,
        .conn = rest->record->conn,
        .seq = rest->record->seq,
    };
    return event;
}

bool rest_body_keep(struct decoder_rest *rest, int slot, struct str text)
{
    if (text.bytes > REST_TEXT_BYTES_MAX) {
        return false;
    }
    memcpy(rest->texts[slot], text.data, text.bytes);
    rest->text_bytes[slot] = text.bytes;
    return true;
}

struct str rest_body_text(const struct decoder_rest *rest, int slot)
{
    return str_make(rest->texts[slot], rest->text_bytes[slot]);
}

void rest_body_emit(struct decoder_rest *rest, const struct event *event)
{
    rest->sink(rest->sink_context, event);
}

bool rest_body_level(struct decoder_rest *rest, uint32_t side, struct str text)
{
    if (rest->counts[side] == rest->levels_max) {
        return rest_body_refuse(rest, MD_ETOOBIG, "snapshot: more levels than a message may hold");
    }
    struct level *level = &rest->levels[side * rest->levels_max + rest->counts[side]];
    struct decimal *out = rest->element == 0 ? &level->price : &level->amount;
    if (rest->element < 2) {
        int code = decimal_parse(text, out);
        if (code != 0) {
            return rest_body_refuse(rest, code, "snapshot: price or quantity: not a number");
        }
        rest->result.digits_over_15 += decimal_digits(*out) > 15;
    }
    rest->element++;
    return true;
}

bool rest_body_level_end(struct decoder_rest *rest, uint32_t side)
{
    if (rest->element < 2) {
        return rest_body_refuse(rest, MD_EPARSE, "snapshot: level: not a pair");
    }
    rest->counts[side]++;
    rest->element = 0;
    return true;
}

void rest_body_emit_book(struct decoder_rest *rest, int64_t event_unix_ns)
{
    struct event event = rest_body_event(rest, CHANNEL_DEPTH);
    event.symbol = str_make(rest->symbol, rest->symbol_bytes);
    event.event_unix_ns = event_unix_ns;
    event.depth = (struct depth_event){
        .is_snapshot = true,
        .first_update_id = ID_NONE,
        .last_update_id = rest->id,
        .prev_update_id = ID_NONE,
        .bids = rest->levels,
        .asks = rest->levels + rest->levels_max,
        .bid_count = rest->counts[0],
        .ask_count = rest->counts[1],
    };
    rest_body_emit(rest, &event);
}

/* ---- a body of a URL that no route names */

static bool on_other_json(void *context, enum json_event event, struct str text, int depth)
{
    (void)context;
    (void)event;
    (void)text;
    (void)depth;
    return true;
}

static bool end_other(struct decoder_rest *rest)
{
    (void)rest;
    return true;
}

static int hex_value(char c)
{
    char lower = (char)(c | 0x20);
    return c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The query's symbol, percent-encoding undone. */
static bool symbol_of_url(struct decoder_rest *rest, struct str url, const char *name)
{
    const char *at = memmem(url.data, url.bytes, name, strlen(name));
    rest->symbol_bytes = 0;
    if (at == NULL) {
        return false;
    }
    const char *end = url.data + url.bytes;
    for (at += strlen(name); at < end && *at != '&' && *at != ' '; at++) {
        char c = *at;
        if (c == '%') {
            int high = end - at > 2 ? hex_value(at[1]) : -1;
            int low = end - at > 2 ? hex_value(at[2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = (char)(high * 16 + low);
            at += 2;
        }
        if (rest->symbol_bytes == SYMBOL_BYTES_MAX) {
            return false;
        }
        rest->symbol[rest->symbol_bytes++] = c;
    }
    return rest->symbol_bytes > 0;
}

static const struct rest_route *route_of(const struct rest_route *routes, struct str url)
{
    while (routes->path != NULL &&
           memmem(url.data, url.bytes, routes->path, strlen(routes->path)) == NULL) {
        routes++;
    }
    return routes;
}

static void begin_body(struct decoder_rest *rest, const struct rest_route *routes, struct str url)
{
    rest->active = true;
    rest->result = (struct decode_result){.channel = -1};
    rest->url_bytes = url.bytes < sizeof rest->url ? url.bytes : sizeof rest->url;
    memcpy(rest->url, url.data, rest->url_bytes);
    rest->field = 0;
    rest->inner_field = 0;
    rest->element = 0;
    rest->id = ID_NONE;
    rest->counts[0] = rest->counts[1] = 0;
    rest->symbol_bytes = 0;
    memset(rest->text_bytes, 0, sizeof rest->text_bytes);
    memset(rest->numbers, 0, sizeof rest->numbers);
    const struct rest_route *route = route_of(routes, url);
    if (route->path == NULL) {
        rest_body_refuse(rest, MD_EUNKNOWN, "REST reply of an unknown endpoint");
        json_stream_init(&rest->json, on_other_json, rest);
        rest->on_end = end_other;
        return;
    }
    rest->result.channel = route->channel;
    json_stream_init(&rest->json, route->on_event, rest);
    rest->on_end = route->on_end;
    if (route->symbol_key != NULL && !symbol_of_url(rest, url, route->symbol_key)) {
        rest_body_refuse(rest, MD_EPARSE, "REST reply: no symbol in the URL");
    }
}

/* "GET URL STATUS" or "GET URL": the URL, and the status (200 when it is left away). */
static struct str split_arg(struct str arg, int *status)
{
    *status = 200;
    const char *url = memchr(arg.data, ' ', arg.bytes);
    if (url == NULL) {
        return arg;
    }
    url++;
    size_t bytes = arg.bytes - (size_t)(url - arg.data);
    const char *space = memchr(url, ' ', bytes);
    if (space == NULL) {
        return str_make(url, bytes);
    }
    *status = 0;
    for (const char *c = space + 1; c < arg.data + arg.bytes && *c >= '0' && *c <= '9'; c++) {
        *status = *status < 10000 ? *status * 10 + (*c - '0') : *status;
    }
    return str_make(url, (size_t)(space - url));
}

static void read_part(struct decoder_rest *rest)
{
    struct str body = rest->record->payload;
    /* a symbol that was refused does not end the list: the others are read all the same */
    if (!json_stream_feed(&rest->json, body.data, body.bytes)) {
        rest_body_refuse(rest, MD_EPARSE, "REST body: not well-formed JSON");
    }
}

struct decode_result rest_body_decode(struct decoder *decoder, const struct rest_route *routes,
                                      const struct record *record, event_sink sink, void *context)
{
    struct decoder_rest *rest = &decoder->rest[record->venue];
    int status = 200;
    struct str url = split_arg(record->arg, &status);
    struct str known = str_make(rest->url, rest->url_bytes);
    if (!rest->active ||
        !str_equal(known, str_make(url.data,
                                   url.bytes < sizeof rest->url ? url.bytes : sizeof rest->url))) {
        begin_body(rest, routes, url);
    }
    rest->record = record;
    rest->sink = sink;
    rest->sink_context = context;
    if (status == 200) {
        read_part(rest);
    }
    if (record->kind == RECORD_REST_PART) { /* told once, with the last part */
        return (struct decode_result){.channel = rest->result.channel};
    }
    rest->active = false;
    if (status != 200) {
        /* refused or failed: the feed side has logged it and asks again; no message was lost */
        return (struct decode_result){.channel = rest->result.channel, .control = true};
    }
    if (rest->result.code == 0 && !json_stream_end(&rest->json)) {
        rest_body_refuse(rest, MD_EPARSE, "REST body: ends too early");
    }
    if (rest->result.code == 0) {
        rest->on_end(rest);
    }
    return rest->result;
}
