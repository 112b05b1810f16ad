/* A venue's symbol list, fetched to resolve `symbols:` before the start and each day: bodies are
 * streamed through the venue's own decoder, so a list of megabytes needs no memory but its names.
 */
#include "app/symbols.h"

#include <ctype.h>
#include <stdlib.h>

#include "app/nearest.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"
#include "net/rest.h"

#define NAME_BYTES_MEAN 24
#define NAME_BYTES_MAX 64 /* longer ones no venue has; they are refused and counted */

size_t symbol_list_bytes(uint32_t symbols_max)
{
    return symbols_max * (sizeof(struct listed) + NAME_BYTES_MEAN);
}

int symbol_list_init(struct symbol_list *list, uint32_t symbols_max)
{
    memset(list, 0, sizeof *list);
    list->capacity = symbols_max;
    list->names_capacity = (size_t)symbols_max * NAME_BYTES_MEAN;
    list->symbols = alloc_take(ALLOC_APP, symbols_max * sizeof *list->symbols);
    list->names = alloc_take(ALLOC_APP, list->names_capacity);
    if (list->symbols == NULL || list->names == NULL) {
        symbol_list_deinit(list);
        return MD_ENOMEM;
    }
    return 0;
}

void symbol_list_deinit(struct symbol_list *list)
{
    alloc_give(list->symbols);
    alloc_give(list->names);
    memset(list, 0, sizeof *list);
}

/* ---- fetching */

struct symbol_source {
    const struct settings *settings;
    struct loop *loop;
    struct rest *rest;
    struct decoder *decoder;
    /* of the request under way */
    struct symbol_list *list;
    const struct venue *venue;
    char arg[700];
    size_t arg_bytes;
    bool done;
    struct rest_result result;
    char why[256];
    struct decode_result decoded;
};

static const struct decoder_config source_decoder = {.levels_max = 16};

size_t symbol_source_decode_bytes(void)
{
    return decoder_memory_bytes(&source_decoder);
}

size_t symbol_source_net_bytes(void)
{
    return 72 << 10; /* a loop's table of 64 KiB, a REST client */
}

size_t symbol_source_bytes(void)
{
    return sizeof(struct symbol_source) + symbol_source_decode_bytes() + symbol_source_net_bytes();
}

struct symbol_source *symbol_source_create(const struct settings *settings, struct err *err)
{
    struct symbol_source *source = alloc_take(ALLOC_APP, sizeof *source);
    if (source == NULL) {
        err_set(err, MD_ENOMEM, "no memory to ask for symbols");
        return NULL;
    }
    struct rest_config config = {
        .ca_file = settings->net_ca_file,
        .proxy = settings->net_proxy,
        .timeout_ms = settings->net_connect_timeout_ms,
        .requests_max = 1,
        .body_bytes_max = 256u << 20,
    };
    source->settings = settings;
    source->loop = loop_create(&clock_system, 16, err);
    source->rest = source->loop != NULL ? rest_create(source->loop, &config, err) : NULL;
    source->decoder = decoder_create(&source_decoder);
    if (source->rest == NULL || source->decoder == NULL) {
        symbol_source_destroy(source);
        err_set(err, MD_ENOMEM, "no memory to ask for symbols");
        return NULL;
    }
    return source;
}

void symbol_source_destroy(struct symbol_source *source)
{
    if (source == NULL) {
        return;
    }
    decoder_destroy(source->decoder);
    if (source->rest != NULL) {
        rest_destroy(source->rest);
    }
    if (source->loop != NULL) {
        loop_destroy(source->loop);
    }
    alloc_give(source);
}

/* The words by which venues say that a symbol trades now. */
static bool is_trading(struct str status)
{
    static const char *const words[] = {"TRADING", "tradable", "trading", "Open", "enabled"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (status.bytes == strlen(words[i]) &&
            strncasecmp(status.data, words[i], status.bytes) == 0) {
            return true;
        }
    }
    return false;
}

static struct listed *find(struct symbol_list *list, struct str name)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (str_equal(list->symbols[i].name, name)) {
            return &list->symbols[i];
        }
    }
    return NULL;
}

static void on_listed(void *context, const struct event *event)
{
    struct symbol_source *source = context;
    struct symbol_list *list = source->list;
    if (event->channel == CHANNEL_TICKER) {
        const struct ticker_event *ticker = &event->ticker;
        struct listed *listed = find(list, event->symbol);
        if (listed != NULL && ticker->quote_volume.set) {
            listed->turnover = decimal_to_double(ticker->quote_volume.value);
        } else if (listed != NULL && ticker->volume.set && ticker->last_price.set) {
            listed->turnover = decimal_to_double(ticker->volume.value) *
                               decimal_to_double(ticker->last_price.value);
        }
        return;
    }
    if (event->channel != CHANNEL_INSTRUMENTS) {
        return;
    }
    if (list->count == list->capacity || event->symbol.bytes > NAME_BYTES_MAX ||
        list->names_used + event->symbol.bytes > list->names_capacity) {
        list->refused++;
        return;
    }
    char *name = list->names + list->names_used;
    memcpy(name, event->symbol.data, event->symbol.bytes);
    list->names_used += event->symbol.bytes;
    list->symbols[list->count++] = (struct listed){
        .name = str_make(name, event->symbol.bytes),
        .trading = is_trading(event->instrument.status),
    };
}

static void decode_body(struct symbol_source *source, enum record_kind kind, struct str body)
{
    struct record record = {
        .kind = kind,
        .venue = source->venue->id,
        .arg = str_make(source->arg, source->arg_bytes),
        .payload = body,
    };
    struct decode_result result =
        source->venue->decode(source->decoder, &record, on_listed, source);
    if (result.code != 0 && source->decoded.code == 0) {
        source->decoded = result;
    }
}

static void on_part(void *context, const void *data, size_t bytes, int64_t recv_unix_ns)
{
    (void)recv_unix_ns;
    decode_body(context, RECORD_REST_PART, str_make(data, bytes));
}

static void on_done(void *context, const struct rest_result *result)
{
    struct symbol_source *source = context;
    source->done = true;
    source->result = *result;
    struct buf why = buf_over(source->why, sizeof source->why - 1);
    buf_printf(&why, "%.200s", result->why);
    source->why[why.bytes] = 0;
    source->result.why = source->why;
    struct buf arg = {source->arg, source->arg_bytes, sizeof source->arg, false};
    buf_printf(&arg, " %d", result->code == 0 ? result->status : 0);
    source->arg_bytes = arg.bytes;
    decode_body(source, RECORD_REST, (struct str){0}); /* the body is over, well or not */
}

static int fetch_verdict(const struct symbol_source *source, const char *url, struct err *err)
{
    const struct rest_result *result = &source->result;
    if (result->code != 0) {
        return err_set(err, result->code, "%s: %s%s%s", url, err_text(result->code),
                       result->why[0] != 0 ? ": " : "", result->why);
    }
    if (result->status != 200) {
        return err_set(err, MD_EHTTP, "%s: HTTP status %d%s", url, result->status,
                       result->status == 451 ? ": not served to this country; use net.proxy" : "");
    }
    if (source->decoded.code != 0) {
        return err_set(err, source->decoded.code, "%s: the list could not be read: %s", url,
                       source->decoded.reason);
    }
    return 0;
}

/* MD_ENOTSUP: the venue has no such call. */
static int fetch_one(struct symbol_source *source, enum venue_rest call, const char *rest_url,
                     struct err *err)
{
    char url[600];
    struct buf text = buf_over(url, sizeof url - 1);
    int code = source->venue->rest(call, rest_url, (struct str){0}, &text);
    if (code == MD_ENOTSUP) {
        return code;
    }
    if (code != 0 || text.overflow) {
        return err_set(err, MD_EINVAL, "%s: %s: not a usable REST base", source->venue->name,
                       rest_url);
    }
    url[text.bytes] = 0;
    struct buf arg = buf_over(source->arg, sizeof source->arg);
    buf_printf(&arg, "GET %s", url);
    source->arg_bytes = arg.bytes;
    source->done = false;
    source->decoded = (struct decode_result){0};
    source->result = (struct rest_result){.retry_after_s = -1, .why = ""};
    struct rest_handlers handlers = {on_part, on_done, source};
    code = rest_get(source->rest, url, source->venue->rest_header, &handlers);
    while (code == 0 && !source->done) {
        loop_turn(source->loop, 200);
    }
    return code != 0 ? err_set(err, code, "%s: %s", url, err_text(code))
                     : fetch_verdict(source, url, err);
}

int symbol_source_fetch(struct symbol_source *source, struct symbol_list *list,
                        const struct venue *venue, const char *rest_url, bool turnover,
                        int64_t *retry_after_s, struct err *err)
{
    list->count = 0;
    list->names_used = 0;
    list->has_turnover = false;
    source->list = list;
    source->venue = venue;
    int code = fetch_one(source, VENUE_REST_INSTRUMENTS, rest_url, err);
    *retry_after_s = source->result.retry_after_s;
    if (code == 0 && turnover) {
        code = fetch_one(source, VENUE_REST_VOLUMES, rest_url, err);
        *retry_after_s = source->result.retry_after_s;
        if (code == MD_ENOTSUP) {
            code = err_set(err, code, "%s: the venue does not tell 24 h turnover: no top:N",
                           venue->name);
        }
        list->has_turnover = code == 0;
    }
    if (code == 0 && list->refused > 0) {
        LOG_WARN("symbols_refused",
                 "%s: %llu symbols of the list are not known here: too many or too long",
                 venue->name, (unsigned long long)list->refused);
    }
    return code;
}

/* ---- choosing */

static bool is_top(struct str item)
{
    return item.bytes > 4 && strncasecmp(item.data, "top:", 4) == 0;
}

static bool is_pattern(struct str item)
{
    return memchr(item.data, '*', item.bytes) != NULL ||
           memchr(item.data, '?', item.bytes) != NULL || str_equal(item, STR("all"));
}

static void on_probe(void *context, struct str item)
{
    bool *found = context;
    found[0] = found[0] || (item.data[0] != '-' && (is_pattern(item) || is_top(item)));
    found[1] = found[1] || is_top(item);
}

bool symbols_need_list(const char *words)
{
    bool found[2] = {false, false};
    settings_list_each(words, on_probe, found);
    return found[0];
}

bool symbols_need_turnover(const char *words)
{
    bool found[2] = {false, false};
    settings_list_each(words, on_probe, found);
    return found[1];
}

struct chooser {
    const struct symbol_list *list;
    const char *words;
    const char *section;
    struct listed *chosen;
    uint32_t count, capacity;
    bool lenient;
    struct err *err;
    int code;
};

static void choose(struct chooser *chooser, const struct listed *listed)
{
    for (uint32_t i = 0; i < chooser->count; i++) {
        if (str_equal(chooser->chosen[i].name, listed->name)) {
            return;
        }
    }
    if (chooser->count == chooser->capacity) {
        chooser->code = err_set(chooser->err, MD_ETOOBIG, "%s.symbols: more than %u symbols",
                                chooser->section, chooser->capacity);
        return;
    }
    chooser->chosen[chooser->count++] = *listed;
}

static void choose_from_list(struct chooser *chooser, struct str item)
{
    const struct symbol_list *list = chooser->list;
    bool all = str_equal(item, STR("all"));
    uint32_t found = 0;
    for (uint32_t i = 0; i < list->count && chooser->code == 0; i++) {
        /* a pattern takes what trades; a plain name takes that symbol whatever its status */
        bool match = all || symbol_matches(item, list->symbols[i].name);
        if (match && (list->symbols[i].trading || !is_pattern(item))) {
            choose(chooser, &list->symbols[i]);
            found++;
        }
    }
    if (found == 0 && chooser->code == 0 && !chooser->lenient) {
        struct str nearest = symbol_list_nearest(list, item);
        chooser->code =
            err_set(chooser->err, MD_ENOENT,
                    "%s.symbols: %.*s: no such symbol at the venue%s%.*s%s", chooser->section,
                    (int)item.bytes, item.data, nearest.bytes > 0 ? "; did you mean " : "",
                    (int)nearest.bytes, nearest.data, nearest.bytes > 0 ? "?" : "");
    }
}

struct exclusion {
    struct str name;
    bool excluded;
};

static void on_exclusion_probe(void *context, struct str item)
{
    struct exclusion *exclusion = context;
    if (item.data[0] == '-' &&
        symbol_matches(str_make(item.data + 1, item.bytes - 1), exclusion->name)) {
        exclusion->excluded = true;
    }
}

static bool is_excluded(const struct chooser *chooser, struct str name)
{
    struct exclusion exclusion = {name, false};
    settings_list_each(chooser->words, on_exclusion_probe, &exclusion);
    return exclusion.excluded;
}

/* The N with most turnover that trade and are not excluded. */
static void choose_top(struct chooser *chooser, struct str item)
{
    const struct symbol_list *list = chooser->list;
    uint32_t wanted = 0;
    for (size_t i = 4; i < item.bytes; i++) {
        char c = item.data[i];
        if (c == ' ' && wanted == 0) {
            continue;
        }
        if (c < '0' || c > '9' || wanted > SYMBOLS_LISTED_MAX) {
            wanted = 0;
            break;
        }
        wanted = wanted * 10 + (uint32_t)(c - '0');
    }
    if (wanted == 0) {
        chooser->code = err_set(chooser->err, MD_EINVAL,
                                "%s.symbols: %.*s: top:N wants a number, such as top:50",
                                chooser->section, (int)item.bytes, item.data);
        return;
    }
    double below = 0; /* turnover of the last one taken: the next is at most that */
    uint32_t after = UINT32_MAX;
    for (uint32_t n = 0; n < wanted && chooser->code == 0;) {
        uint32_t best = UINT32_MAX;
        for (uint32_t i = 0; i < list->count; i++) {
            const struct listed *one = &list->symbols[i];
            bool later = after == UINT32_MAX || one->turnover < below ||
                         (one->turnover == below && i > after);
            if (one->trading && later &&
                (best == UINT32_MAX || one->turnover > list->symbols[best].turnover)) {
                best = i;
            }
        }
        if (best == UINT32_MAX) {
            return; /* there are no more */
        }
        after = best;
        below = list->symbols[best].turnover;
        if (!is_excluded(chooser, list->symbols[best].name)) {
            choose(chooser, &list->symbols[best]);
            n++;
        }
    }
}

static void on_item(void *context, struct str item)
{
    struct chooser *chooser = context;
    if (chooser->code != 0 || item.data[0] == '-') {
        return;
    }
    if (chooser->list == NULL) {
        if (!is_pattern(item) && !is_top(item)) {
            struct listed named = {.name = item};
            choose(chooser, &named);
        }
    } else if (is_top(item)) {
        choose_top(chooser, item);
    } else {
        choose_from_list(chooser, item);
    }
}

int symbols_choose(const struct symbol_list *list, const char *words, const char *section,
                   struct listed *chosen, uint32_t capacity, bool lenient, struct err *err)
{
    struct chooser chooser = {
        .list = list,
        .words = words,
        .section = section,
        .chosen = chosen,
        .capacity = capacity,
        .lenient = lenient,
        .err = err,
    };
    settings_list_each(words, on_item, &chooser);
    if (chooser.code != 0) {
        return chooser.code;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < chooser.count; i++) {
        if (!is_excluded(&chooser, chosen[i].name)) {
            chosen[kept++] = chosen[i];
        }
    }
    return (int)kept;
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
        uint32_t far = nearest_distance(name, list->symbols[i].name);
        if (far < least) {
            least = far;
            nearest = list->symbols[i].name;
        }
    }
    return nearest;
}
