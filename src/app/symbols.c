/* A venue's symbol list, fetched once before the start to resolve `symbols:`: the body is streamed
 * through the venue's own decoder, so a list of megabytes needs no memory but its names. */
#include "app/plan.h"

#include <ctype.h>

#include "app/nearest.h"
#include "base/assert.h"
#include "base/log.h"

#define NAME_BYTES_MEAN 24

int symbol_list_init(struct symbol_list *list, uint32_t symbols_max)
{
    memset(list, 0, sizeof *list);
    list->capacity = symbols_max;
    list->names_capacity = (size_t)symbols_max * NAME_BYTES_MEAN;
    list->symbols = alloc_take(ALLOC_APP, symbols_max * sizeof *list->symbols);
    list->trading = alloc_take(ALLOC_APP, symbols_max);
    list->names = alloc_take(ALLOC_APP, list->names_capacity);
    if (list->symbols == NULL || list->trading == NULL || list->names == NULL) {
        symbol_list_deinit(list);
        return MD_ENOMEM;
    }
    return 0;
}

void symbol_list_deinit(struct symbol_list *list)
{
    alloc_give(list->symbols);
    alloc_give(list->trading);
    alloc_give(list->names);
    memset(list, 0, sizeof *list);
}

struct fetch {
    struct symbol_list *list;
    const struct venue *venue;
    struct decoder *decoder;
    char arg[600];
    size_t arg_bytes;
    bool done;
    int status;
    struct rest_result result;
    char why[256];
    struct decode_result decoded;
};

static void on_instrument(void *context, const struct event *event)
{
    struct fetch *fetch = context;
    struct symbol_list *list = fetch->list;
    if (event->channel != CHANNEL_INSTRUMENTS) {
        return;
    }
    if (list->count == list->capacity ||
        list->names_used + event->symbol.bytes > list->names_capacity) {
        list->refused++;
        return;
    }
    char *name = list->names + list->names_used;
    memcpy(name, event->symbol.data, event->symbol.bytes);
    list->names_used += event->symbol.bytes;
    list->trading[list->count] = str_equal(event->instrument.status, STR("TRADING"));
    list->symbols[list->count++] = str_make(name, event->symbol.bytes);
}

static void decode_body(struct fetch *fetch, enum record_kind kind, struct str body)
{
    struct record record = {
        .kind = kind,
        .venue = fetch->venue->id,
        .arg = str_make(fetch->arg, fetch->arg_bytes),
        .payload = body,
    };
    struct decode_result result =
        fetch->venue->decode(fetch->decoder, &record, on_instrument, fetch);
    if (result.code != 0 && fetch->decoded.code == 0) {
        fetch->decoded = result;
    }
}

static void on_part(void *context, const void *data, size_t bytes, int64_t recv_unix_ns)
{
    (void)recv_unix_ns;
    decode_body(context, RECORD_REST_PART, str_make(data, bytes));
}

static void on_done(void *context, const struct rest_result *result)
{
    struct fetch *fetch = context;
    fetch->done = true;
    fetch->result = *result;
    struct buf why = buf_over(fetch->why, sizeof fetch->why - 1);
    buf_printf(&why, "%.200s", result->why);
    fetch->why[why.bytes] = 0;
    fetch->result.why = fetch->why;
    if (result->code == 0) {
        struct buf arg = {fetch->arg, fetch->arg_bytes, sizeof fetch->arg, false};
        buf_printf(&arg, " %d", result->status);
        fetch->arg_bytes = arg.bytes;
        decode_body(fetch, RECORD_REST, (struct str){0});
    }
}

static int fetch_verdict(const struct fetch *fetch, const char *url, struct err *err)
{
    const struct rest_result *result = &fetch->result;
    if (result->code != 0) {
        return err_set(err, result->code, "%s: %s%s%s", url, err_text(result->code),
                       result->why[0] != 0 ? ": " : "", result->why);
    }
    if (result->status != 200) {
        return err_set(err, MD_EHTTP, "%s: HTTP status %d%s", url, result->status,
                       result->status == 451 ? ": not served to this country; use net.proxy" : "");
    }
    if (fetch->decoded.code != 0) {
        return err_set(err, fetch->decoded.code, "%s: the list could not be read: %s", url,
                       fetch->decoded.reason);
    }
    return 0;
}

int symbol_list_fetch(struct symbol_list *list, const struct venue *venue, const char *rest_url,
                      const struct settings *settings, int64_t *retry_after_s, struct err *err)
{
    static struct fetch fetch;
    memset(&fetch, 0, sizeof fetch);
    *retry_after_s = -1;
    list->count = 0;
    list->names_used = 0;
    fetch.list = list;
    fetch.venue = venue;
    char url[512];
    struct buf text = buf_over(url, sizeof url - 1);
    if (venue->rest(VENUE_REST_INSTRUMENTS, rest_url, (struct str){0}, &text) != 0 || text.overflow) {
        return err_set(err, MD_EINVAL, "%s: %s: not a usable REST base", venue->name, rest_url);
    }
    url[text.bytes] = 0;
    struct buf arg = buf_over(fetch.arg, sizeof fetch.arg);
    buf_printf(&arg, "GET %s", url);
    fetch.arg_bytes = arg.bytes;
    struct decoder_config decoder = {.levels_max = 16};
    struct rest_config config = {
        .ca_file = settings->net_ca_file,
        .proxy = settings->net_proxy,
        .timeout_ms = settings->net_connect_timeout_ms,
        .requests_max = 1,
        .body_bytes_max = 256u << 20,
    };
    struct rest_handlers handlers = {on_part, on_done, &fetch};
    struct loop *loop = loop_create(&clock_system, 16, err);
    struct rest *rest = loop != NULL ? rest_create(loop, &config, err) : NULL;
    fetch.decoder = decoder_create(&decoder);
    int code = MD_ENOMEM;
    if (rest != NULL && fetch.decoder != NULL) {
        code = rest_get(rest, url, NULL, &handlers);
        while (code == 0 && !fetch.done) {
            loop_turn(loop, 200);
        }
        code = code != 0 ? err_set(err, code, "%s: %s", url, err_text(code))
                         : fetch_verdict(&fetch, url, err);
        *retry_after_s = fetch.result.retry_after_s;
    }
    decoder_destroy(fetch.decoder);
    if (rest != NULL) {
        rest_destroy(rest);
    }
    if (loop != NULL) {
        loop_destroy(loop);
    }
    return code;
}

bool symbol_matches(struct str pattern, struct str symbol)
{
    size_t p = 0, s = 0, star = SIZE_MAX, star_at = 0;
    while (s < symbol.bytes) {
        if (p < pattern.bytes && pattern.data[p] == '*') {
            star = p++;
            star_at = s;
        } else if (p < pattern.bytes &&
                   (pattern.data[p] == '?' || toupper((unsigned char)pattern.data[p]) ==
                                                  toupper((unsigned char)symbol.data[s]))) {
            p++;
            s++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            s = ++star_at;
        } else {
            return false;
        }
    }
    while (p < pattern.bytes && pattern.data[p] == '*') {
        p++;
    }
    return p == pattern.bytes;
}

struct str symbol_list_nearest(const struct symbol_list *list, struct str name)
{
    struct str nearest = {0};
    uint32_t least = 4;
    for (uint32_t i = 0; i < list->count; i++) {
        uint32_t far = nearest_distance(name, list->symbols[i]);
        if (far < least) {
            least = far;
            nearest = list->symbols[i];
        }
    }
    return nearest;
}
