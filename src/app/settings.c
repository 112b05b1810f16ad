/* The settings table and everything made from it: defaults, parsing with ranges, help, environment
 * names, and the lines of the journal's config record. No setting is named anywhere else but in
 * settings.h and where it is used. */
#include "app/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/http_settings.h"
#include "app/nearest.h"
#include "app/secret.h"
#include "base/assert.h"
#include "net/proxy.h"

const struct setting_row setting_rows[] = {
#define X(type, member, name, least, most, preset, unit, help) \
    {SETTING_##type, name, least, most, preset, unit, help, offsetof(struct settings, member)},
    SETTINGS_LIST(X)
#undef X
};
const uint32_t setting_count = sizeof setting_rows / sizeof setting_rows[0];

static const struct setting_row *row_find(struct str name)
{
    for (uint32_t i = 0; i < setting_count; i++) {
        if (str_equal(name, str_from(setting_rows[i].name))) {
            return &setting_rows[i];
        }
    }
    return NULL;
}

bool settings_section(struct str name)
{
    for (uint32_t i = 0; i < setting_count; i++) {
        const char *dot = strchr(setting_rows[i].name, '.');
        if (dot != NULL &&
            str_equal(name, str_make(setting_rows[i].name, (size_t)(dot - setting_rows[i].name)))) {
            return true;
        }
    }
    return false;
}

const char *settings_nearest(struct str name)
{
    const char *nearest = NULL;
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < setting_count; i++) {
        struct str full = str_from(setting_rows[i].name);
        uint32_t far = nearest_distance(name, full);
        const char *dot = strchr(setting_rows[i].name, '.');
        if (dot != NULL && memchr(name.data, '.', name.bytes) == NULL) {
            uint32_t key_only = nearest_distance(name, str_from(dot + 1));
            far = key_only < far ? key_only : far;
        }
        if (far < least) {
            least = far;
            nearest = setting_rows[i].name;
        }
    }
    return least <= 1 + name.bytes / 4 ? nearest : NULL;
}

static int refuse(struct err *err, const struct setting_row *row, struct str value, const char *why)
{
    return err_set(err, MD_EINVAL, "%s: %.*s: %s", row->name, (int)value.bytes, value.data, why);
}

static int number_parse(const struct setting_row *row, struct str value, int64_t *out,
                        struct err *err)
{
    char text[32];
    if (value.bytes == 0 || value.bytes >= sizeof text) {
        return refuse(err, row, value, "not a whole number");
    }
    memcpy(text, value.data, value.bytes);
    text[value.bytes] = 0;
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || errno != 0) {
        return refuse(err, row, value, "not a whole number");
    }
    int shift = 0;
    if (row->type == SETTING_BYTES && *end != 0) {
        static const struct {
            const char *unit;
            int shift;
        } units[] = {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"K", 10},
                     {"M", 20},   {"G", 30},   {"B", 0}};
        bool known = false;
        for (size_t i = 0; i < sizeof units / sizeof units[0] && !known; i++) {
            known = strcmp(end, units[i].unit) == 0;
            shift = units[i].shift;
        }
        if (!known) {
            return refuse(err, row, value, "size wanted, such as 64MiB (KiB, MiB, GiB)");
        }
    } else if (*end != 0) {
        return refuse(err, row, value, "not a whole number");
    }
    if (number < 0 || number > (INT64_MAX >> shift)) {
        return err_set(err, MD_ERANGE, "%s: %s: allowed is %lld to %lld %s", row->name, text,
                       (long long)row->least, (long long)row->most, row->unit);
    }
    *out = number << shift;
    if (*out < row->least || *out > row->most) {
        return err_set(err, MD_ERANGE, "%s: %s: allowed is %lld to %lld %s", row->name, text,
                       (long long)row->least, (long long)row->most, row->unit);
    }
    return 0;
}

static int choice_parse(const struct setting_row *row, struct str value, int *out, struct err *err)
{
    const char *at = row->unit;
    for (int index = 0; *at != 0; index++) {
        size_t bytes = strcspn(at, "|");
        if (str_equal(value, str_make(at, bytes))) {
            *out = index;
            return 0;
        }
        at += bytes + (at[bytes] == '|');
    }
    return err_set(err, MD_EINVAL, "%s: %.*s: allowed is %s", row->name, (int)value.bytes,
                   value.data, row->unit);
}

static int text_copy(const struct setting_row *row, struct str value, char *out, struct err *err)
{
    if (value.bytes > (size_t)row->most || value.bytes < (size_t)row->least) {
        return err_set(err, MD_ERANGE, "%s: %zu characters: allowed is %lld to %lld", row->name,
                       value.bytes, (long long)row->least, (long long)row->most);
    }
    for (size_t i = 0; i < value.bytes; i++) {
        if ((unsigned char)value.data[i] < 0x20) {
            return err_set(err, MD_EINVAL, "%s: control character at position %zu", row->name,
                           i + 1);
        }
    }
    if (value.bytes > 0) {
        memcpy(out, value.data, value.bytes);
    }
    out[value.bytes] = 0;
    return 0;
}

int settings_set(struct settings *settings, struct str name, struct str value, struct err *err)
{
    const struct setting_row *row = row_find(name);
    if (row == NULL) {
        const char *nearest = settings_nearest(name);
        return err_set(err, MD_ENOENT, "%.*s: no such setting%s%s%s", (int)name.bytes, name.data,
                       nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "",
                       nearest != NULL ? "?" : "; see market-data record --help");
    }
    char *member = (char *)settings + row->offset;
    switch (row->type) {
    case SETTING_BOOL: {
        bool on = str_equal(value, STR("true"));
        if (!on && !str_equal(value, STR("false"))) {
            return refuse(err, row, value, "allowed is true or false");
        }
        memcpy(member, &on, sizeof on);
        return 0;
    }
    case SETTING_INT:
    case SETTING_BYTES: {
        int64_t number = 0;
        int code = number_parse(row, value, &number, err);
        if (code == 0) {
            memcpy(member, &number, sizeof number);
        }
        return code;
    }
    case SETTING_ENUM: {
        int index = 0;
        int code = choice_parse(row, value, &index, err);
        if (code == 0) {
            memcpy(member, &index, sizeof index);
        }
        return code;
    }
    case SETTING_TEXT:
    case SETTING_LIST:
    case SETTING_WORDS:
        return text_copy(row, value, member, err);
    }
    return refuse(err, row, value, "setting of an unknown type");
}

void settings_init(struct settings *settings)
{
    memset(settings, 0, sizeof *settings);
    for (uint32_t i = 0; i < setting_count; i++) {
        struct err err;
        int code = settings_set(settings, str_from(setting_rows[i].name),
                                str_from(setting_rows[i].preset), &err);
        ASSERT(code == 0);
    }
}

/* What design and measurements advise for a kind of machine (docs/measured.md, README). */
static const struct {
    enum { PROFILE_NONE, PROFILE_SMALL, PROFILE_WIDE } profile;
    const char *name, *value;
} profile_rows[] = {
    {PROFILE_SMALL, "output.parquet_batch_size", "5000"},
    {PROFILE_SMALL, "output.parquet_max_open_files", "256"},
    {PROFILE_SMALL, "output.parquet_idle_close_secs", "900"},
    {PROFILE_SMALL, "output.queue_capacity", "100000"},
    {PROFILE_SMALL, "memory.queue_bytes", "16MiB"},
    {PROFILE_SMALL, "memory.budget", "256MiB"},
    {PROFILE_SMALL, "journal.segment_bytes", "32MiB"},
    {PROFILE_WIDE, "output.parquet_record_batch_size", "4096"},
    {PROFILE_WIDE, "output.parquet_batch_size", "200000"},
    {PROFILE_WIDE, "output.queue_capacity", "1000000"},
    {PROFILE_WIDE, "memory.queue_bytes", "128MiB"},
    {PROFILE_WIDE, "memory.budget", "1GiB"},
};

void settings_profile_each(const struct settings *settings,
                           void (*on_value)(void *context, const char *name, const char *value),
                           void *context)
{
    for (size_t i = 0; i < sizeof profile_rows / sizeof profile_rows[0]; i++) {
        if ((int)profile_rows[i].profile == settings->profile) {
            on_value(context, profile_rows[i].name, profile_rows[i].value);
        }
    }
}

static void set_advised(void *context, const char *name, const char *value)
{
    struct err err;
    int code = settings_set(context, str_from(name), str_from(value), &err);
    ASSERT(code == 0);
}

void settings_apply_profile(struct settings *settings)
{
    settings_profile_each(settings, set_advised, settings);
}

int settings_set_pair(struct settings *settings, const char *pair, struct err *err)
{
    const char *equal = strchr(pair, '=');
    if (equal == NULL || equal == pair) {
        return err_set(err, MD_EINVAL, "--set %s: section.key=value wanted", pair);
    }
    int code =
        settings_set(settings, str_make(pair, (size_t)(equal - pair)), str_from(equal + 1), err);
    return code == 0 ? 0 : err_append(err, code, "--set");
}

void settings_environment_name(const struct setting_row *row, char out[96])
{
    size_t n = (size_t)snprintf(out, 96, "MARKET_DATA_%s", row->name);
    ASSERT(n < 96);
    for (size_t i = 0; i < n; i++) {
        out[i] = out[i] == '.' ? '_' : (char)toupper((unsigned char)out[i]);
    }
}

int settings_from_environment(struct settings *settings, const char *const *environment,
                              struct err *err)
{
    for (; *environment != NULL; environment++) {
        const char *equal = strchr(*environment, '=');
        if (equal == NULL || strncmp(*environment, "MARKET_DATA_", 12) != 0) {
            continue;
        }
        size_t bytes = (size_t)(equal - *environment);
        struct str name = {0};
        for (uint32_t i = 0; i < setting_count && name.data == NULL; i++) {
            char candidate[96];
            settings_environment_name(&setting_rows[i], candidate);
            if (str_equal(str_make(*environment, bytes), str_from(candidate))) {
                name = str_from(setting_rows[i].name);
            }
        }
        if (str_equal(str_make(*environment, bytes), STR("MARKET_DATA_LOG"))) {
            name = STR("log.level");
        }
        if (str_equal(str_make(*environment, bytes), STR(API_KEY_VARIABLE)) ||
            str_equal(str_make(*environment, bytes), STR(HTTP_TOKEN_VARIABLE))) {
            continue; /* a secret, not a setting: see secret.c */
        }
        if (name.data == NULL) {
            return err_set(err, MD_ENOENT, "environment: %.*s: no such setting", (int)bytes,
                           *environment);
        }
        int code = settings_set(settings, name, str_from(equal + 1), err);
        if (code != 0) {
            return err_append(err, code, "environment %.*s", (int)bytes, *environment);
        }
    }
    return 0;
}

int settings_check(const struct settings *settings, struct err *err)
{
    struct listen_address listen;
    if (http_listen(settings, &listen, err) != 0) {
        return MD_EINVAL;
    }
    for (const char *c = settings->recorder_id; *c != 0; c++) {
        if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '-')) {
            return err_set(err, MD_EINVAL, "recorder.id: %s: only a-z, 0-9 and - are allowed",
                           settings->recorder_id);
        }
    }
    struct proxy proxy;
    int code = proxy_parse(settings->net_proxy, &proxy, err);
    proxy_wipe(&proxy);
    if (code != 0) {
        return code;
    }
    if (settings->net_backoff_max_ms < settings->net_backoff_min_ms) {
        return err_set(err, MD_ERANGE, "net.backoff_max_ms: %lld: below net.backoff_min_ms (%lld)",
                       (long long)settings->net_backoff_max_ms,
                       (long long)settings->net_backoff_min_ms);
    }
    if (settings->memory_queue_bytes < 4 * settings->net_message_bytes_max) {
        return err_set(err, MD_ERANGE,
                       "memory.queue_bytes: %lld: must hold four of net.message_bytes_max (%lld)",
                       (long long)settings->memory_queue_bytes,
                       (long long)settings->net_message_bytes_max);
    }
    return 0;
}

void settings_value(const struct settings *settings, const struct setting_row *row, struct buf *out)
{
    const char *member = (const char *)settings + row->offset;
    switch (row->type) {
    case SETTING_BOOL: {
        bool on;
        memcpy(&on, member, sizeof on);
        buf_put_str(out, on ? STR("true") : STR("false"));
        return;
    }
    case SETTING_INT:
    case SETTING_BYTES: {
        int64_t number;
        memcpy(&number, member, sizeof number);
        buf_put_i64(out, number);
        return;
    }
    case SETTING_ENUM: {
        int index;
        memcpy(&index, member, sizeof index);
        const char *at = row->unit;
        for (int i = 0; i < index; i++) {
            at += strcspn(at, "|") + 1;
        }
        buf_put(out, at, strcspn(at, "|"));
        return;
    }
    case SETTING_TEXT:
    case SETTING_LIST:
    case SETTING_WORDS:
        buf_put_str(out, str_from(member));
        return;
    }
}

static bool shapes_landing(const struct setting_row *row)
{
    static const char *const names[] = {
        "tune",
        "output.format",
        "output.csv_schema",
        "output.layout",
        "output.parquet_batch_size",
        "output.parquet_idle_close_secs",
        "output.parquet_zstd_level",
        "output.roll_secs",
        "output.close_spread_secs",
        "output.local_ns",
        "output.decimal_columns",
        "book.enabled",
        "book.shadow_check_secs",
        "backfill.enabled",
        "backfill.max_trades",
        "backfill.max_age_secs",
        "net.message_bytes_max",
        "recorder.id",
        "binance.feed",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(row->name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

void settings_landing_format(const struct settings *settings, struct buf *out)
{
    for (uint32_t i = 0; i < setting_count; i++) {
        if (shapes_landing(&setting_rows[i])) {
            buf_put_str(out, str_from(setting_rows[i].name));
            buf_put_char(out, '=');
            settings_value(settings, &setting_rows[i], out);
            buf_put_char(out, '\n');
        }
    }
}

int settings_landing_parse(struct settings *settings, struct str text, struct err *err)
{
    const char *at = text.data;
    const char *end = text.data + text.bytes;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline != NULL ? newline : end;
        const char *equal = memchr(at, '=', (size_t)(stop - at));
        if (equal == NULL) {
            return err_set(err, MD_EPARSE, "config record: line without =");
        }
        int code = settings_set(settings, str_make(at, (size_t)(equal - at)),
                                str_make(equal + 1, (size_t)(stop - equal - 1)), err);
        if (code != 0 && code != MD_ENOENT) { /* a setting of another version is no obstacle */
            return err_append(err, code, "config record");
        }
        at = stop + 1;
    }
    return 0;
}

static size_t member_bytes(const struct setting_row *row)
{
    switch (row->type) {
    case SETTING_BOOL:
        return sizeof(bool);
    case SETTING_INT:
    case SETTING_BYTES:
        return sizeof(int64_t);
    case SETTING_ENUM:
        return sizeof(int);
    case SETTING_TEXT:
        return 201;
    case SETTING_LIST:
        return 65536;
    case SETTING_WORDS:
        return 501;
    }
    return 0;
}

void settings_copy_row(struct settings *to, const struct settings *from,
                       const struct setting_row *row)
{
    memcpy((char *)to + row->offset, (const char *)from + row->offset, member_bytes(row));
}

bool settings_row_equal(const struct settings *a, const struct settings *b,
                        const struct setting_row *row)
{
    if (row->type == SETTING_TEXT || row->type == SETTING_LIST || row->type == SETTING_WORDS) {
        return strcmp((const char *)a + row->offset, (const char *)b + row->offset) == 0;
    }
    return memcmp((const char *)a + row->offset, (const char *)b + row->offset,
                  member_bytes(row)) == 0;
}

void settings_overlay(struct settings *settings, const struct settings *given)
{
    static struct settings preset;
    settings_init(&preset);
    for (uint32_t i = 0; i < setting_count; i++) {
        if (!settings_row_equal(given, &preset, &setting_rows[i])) {
            settings_copy_row(settings, given, &setting_rows[i]);
        }
    }
}

bool settings_row_live(const struct setting_row *row)
{
    static const char *const names[] = {
        "log.level",
        "symbols.refresh_secs",
        "net.stall_secs",
        "net.backoff_min_ms",
        "net.backoff_max_ms",
        "net.connection_life_secs",
        "kucoin.subscribe_delay_ms",
        "kucoin.conn_stagger_ms",
        "kucoin.global_subscribe_delay_ms",
    };
    static const char *const ends[] = {".symbols", ".rest_weight_percent"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(row->name, names[i]) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t bytes = strlen(row->name);
        size_t end = strlen(ends[i]);
        if (bytes > end && strcmp(row->name + bytes - end, ends[i]) == 0) {
            return true;
        }
    }
    return false;
}

void settings_range_text(const struct setting_row *row, char *out, size_t capacity)
{
    switch (row->type) {
    case SETTING_INT:
        snprintf(out, capacity, "%lld-%lld %s", (long long)row->least, (long long)row->most,
                 row->unit);
        return;
    case SETTING_BYTES:
        snprintf(out, capacity, "size (KiB, MiB, GiB)");
        return;
    case SETTING_BOOL:
        snprintf(out, capacity, "true|false");
        return;
    case SETTING_TEXT:
    case SETTING_LIST:
    case SETTING_WORDS:
    case SETTING_ENUM:
        snprintf(out, capacity, "%s", row->unit);
        return;
    }
}

void settings_print_help(int fd)
{
    dprintf(fd, "Settings, for the YAML file, --set NAME=VALUE, or the environment\n"
                "(MARKET_DATA_ and the name in capitals with _ for the dot):\n");
    for (uint32_t i = 0; i < setting_count; i++) {
        const struct setting_row *row = &setting_rows[i];
        char range[64];
        settings_range_text(row, range, sizeof range);
        dprintf(fd, "  %-36s %s; default %s\n      %s\n", row->name, range,
                row->preset[0] != 0 ? row->preset : "empty", row->help);
    }
}

void settings_list_each(const char *list, void (*on_item)(void *context, struct str item),
                        void *context)
{
    while (*list != 0) {
        size_t bytes = strcspn(list, ",");
        struct str item = str_make(list, bytes);
        while (item.bytes > 0 && item.data[0] == ' ') {
            item.data++;
            item.bytes--;
        }
        while (item.bytes > 0 && item.data[item.bytes - 1] == ' ') {
            item.bytes--;
        }
        if (item.bytes > 0) {
            on_item(context, item);
        }
        list += bytes + (list[bytes] == ',');
    }
}

struct settings_venue settings_of_venue(const struct settings *settings, enum venue_id venue)
{
#define VENUE_COMMON(member)                                                          \
    .symbols = settings->member##_symbols, .redundant = settings->member##_redundant, \
    .channels = settings->member##_channels, .candles = settings->member##_candles,   \
    .rest_url = settings->member##_rest_url,                                          \
    .streams_per_connection = settings->member##_streams_per_conn,                    \
    .rest_weight_percent = settings->member##_rest_weight_percent
    switch (venue) {
    case VENUE_BINANCE:
        return (struct settings_venue){
            VENUE_COMMON(binance), .history_url = settings->binance_history_url,
            .ws_urls = {settings->binance_ws_url, settings->binance_sbe_url}};
    case VENUE_BINANCE_FUTURES:
        return (struct settings_venue){
            VENUE_COMMON(binance_futures),
            .ws_urls = {settings->binance_futures_ws_url, settings->binance_futures_ws_url}};
    case VENUE_KUCOIN:
        return (struct settings_venue){VENUE_COMMON(kucoin),
                                       .ws_urls = {"", settings->kucoin_uta_url}};
    case VENUE_KUCOIN_FUTURES:
        return (struct settings_venue){VENUE_COMMON(kucoin_futures),
                                       .ws_urls = {"", settings->kucoin_futures_uta_url}};
    case VENUE_GATE:
        return (struct settings_venue){VENUE_COMMON(gate), .ws_urls = {settings->gate_ws_url, ""}};
    case VENUE_GATE_FUTURES:
        return (struct settings_venue){VENUE_COMMON(gate_futures),
                                       .ws_urls = {settings->gate_futures_ws_url, ""}};
    case VENUE_NONE:
    case VENUE_ID_END:
        break;
    }
    ASSERT(false);
    return (struct settings_venue){0};
#undef VENUE_COMMON
}
