/* The table of metrics as text: for Prometheus, and as docs/metrics.md. A value is an expression of
 * its row, made a function here. */
#include "watch/metrics.h"

#include <math.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/log.h"
#include "watch/text.h"

enum scope {
    SCOPE_ONE,
    SCOPE_EXCHANGE,
    SCOPE_EXCHANGE_CHANNEL,
    SCOPE_EXCHANGE_REASON,
    SCOPE_EXCHANGE_GAP,
    SCOPE_CHANNEL,
    SCOPE_LINE,
    SCOPE_CONDITION,
    SCOPE_LEVEL,
};
enum kind { KIND_GAUGE, KIND_COUNTER };

struct at {
    const struct watch_view *view;
    const struct health *health;
    uint32_t a, b, c;
};

#define AT_HAND                                                                         \
    const struct watch_view *view = at->view;                                           \
    const struct health *health = at->health;                                           \
    const uint32_t a = at->a, b = at->b, c = at->c;                                     \
    const struct watch_venue *venue = &view->net->venues[a < WATCH_VENUES_MAX ? a : 0]; \
    (void)view, (void)health, (void)a, (void)b, (void)c, (void)venue

#define X(metric, scope, name, kind, unit, value, label, remedy) \
    static double value_of_##metric(const struct at *at)         \
    {                                                            \
        AT_HAND;                                                 \
        return (double)(value);                                  \
    }
METRICS_LIST(X)
#undef X
#define X(metric, scope, name, value, label, remedy)                        \
    static const struct watch_times *times_of_##metric(const struct at *at) \
    {                                                                       \
        AT_HAND;                                                            \
        return value;                                                       \
    }
METRICS_TIMES_LIST(X)
#undef X

static const struct row {
    const char *name;
    enum scope scope;
    enum kind kind;
    const char *unit, *label, *remedy;
    double (*value)(const struct at *at);
    const struct watch_times *(*times)(const struct at *at);
} rows[] = {
#define X(metric, scope, name, kind, unit, value, label, remedy) \
    {name, SCOPE_##scope, KIND_##kind, unit, label, remedy, value_of_##metric, NULL},
    METRICS_LIST(X)
#undef X
#define X(metric, scope, name, value, label, remedy) \
    {name, SCOPE_##scope, KIND_GAUGE, "seconds", label, remedy, NULL, times_of_##metric},
        METRICS_TIMES_LIST(X)
#undef X
};
_Static_assert(sizeof rows / sizeof rows[0] == METRIC_COUNT, "a row for each metric");

/* ---- samples */

static void put_number(struct buf *out, double value)
{
    if (value == floor(value) && fabs(value) < 1e15) {
        buf_put_i64(out, (int64_t)value);
    } else {
        buf_printf(out, "%.9g", value);
    }
}

static void put_label(struct buf *out, const char *name, const char *value, bool first)
{
    buf_put_str(out, first ? STR("{") : STR(","));
    buf_put_str(out, str_from(name));
    buf_put_str(out, STR("=\""));
    text_label(out, str_from(value));
    buf_put_char(out, '"');
}

static const char *channel_or_none(uint32_t channel)
{
    return channel < CHANNEL_COUNT ? channel_name((enum channel)channel) : "unknown";
}

static const char *exchange_of(const struct at *at)
{
    return venue_name(at->view->net->venues[at->a].id);
}

/* The scope's labels; true when there were any. */
static bool put_labels(struct buf *out, enum scope scope, const struct at *at)
{
    switch (scope) {
    case SCOPE_ONE:
        return false;
    case SCOPE_EXCHANGE:
        put_label(out, "exchange", exchange_of(at), true);
        break;
    case SCOPE_EXCHANGE_CHANNEL:
        put_label(out, "exchange", exchange_of(at), true);
        put_label(out, "channel", channel_or_none(at->b), false);
        break;
    case SCOPE_EXCHANGE_REASON:
        put_label(out, "exchange", exchange_of(at), true);
        put_label(out, "reason", feed_end_name((enum feed_end)at->b), false);
        break;
    case SCOPE_EXCHANGE_GAP:
        put_label(out, "exchange", exchange_of(at), true);
        put_label(out, "cause", gap_kind_name((enum gap_kind)at->b), false);
        put_label(out, "resolution", gap_resolved_name((enum gap_resolved)at->c), false);
        break;
    case SCOPE_CHANNEL:
        put_label(out, "channel", channel_or_none(at->a), true);
        break;
    case SCOPE_LINE:
        put_label(out, "line", alloc_line_label((enum alloc_line)at->a), true);
        break;
    case SCOPE_CONDITION:
        put_label(out, "condition", health_name((enum health_condition)at->a), true);
        break;
    case SCOPE_LEVEL:
        put_label(out, "level", log_level_name((enum log_level)at->a), true);
        break;
    }
    return true;
}

static void put_name(struct buf *out, const struct row *row, const char *suffix)
{
    buf_put_str(out, STR("market_data_"));
    buf_put_str(out, str_from(row->name));
    buf_put_str(out, str_from(suffix));
}

static void put_times(struct buf *out, const struct row *row, const struct at *at)
{
    const struct watch_times *times = row->times(at);
    const struct {
        const char *quantile;
        int64_t ns;
    } quantiles[] = {{"0.5", times->p50_ns},
                     {"0.9", times->p90_ns},
                     {"0.99", times->p99_ns},
                     {"1", times->max_ns}};
    for (size_t i = 0; i < 4; i++) {
        put_name(out, row, "");
        bool some = put_labels(out, row->scope, at);
        put_label(out, "quantile", quantiles[i].quantile, !some);
        buf_put_str(out, STR("} "));
        if (times->count > 0) {
            put_number(out, (double)quantiles[i].ns / 1e9);
        } else {
            buf_put_str(out, STR("NaN"));
        }
        buf_put_char(out, '\n');
    }
    for (int sum = 1; sum >= 0; sum--) {
        put_name(out, row, sum ? "_sum" : "_count");
        if (put_labels(out, row->scope, at)) {
            buf_put_char(out, '}');
        }
        buf_put_char(out, ' ');
        put_number(out, sum ? times->total_s : (double)times->total_count);
        buf_put_char(out, '\n');
    }
}

static void put_sample(struct buf *out, const struct row *row, const struct at *at)
{
    if (row->times != NULL) {
        put_times(out, row, at);
        return;
    }
    bool sparse = row->scope == SCOPE_EXCHANGE_CHANNEL || row->scope == SCOPE_EXCHANGE_REASON ||
                  row->scope == SCOPE_EXCHANGE_GAP;
    double value = row->value(at);
    if (sparse && value == 0) {
        return;
    }
    put_name(out, row, "");
    if (put_labels(out, row->scope, at)) {
        buf_put_char(out, '}');
    }
    buf_put_char(out, ' ');
    put_number(out, value);
    buf_put_char(out, '\n');
}

struct extent {
    uint32_t a, b, c;
};

static struct extent extent_of(enum scope scope, const struct watch_view *view)
{
    uint32_t venues = view->net->venue_count;
    switch (scope) {
    case SCOPE_ONE:
        break;
    case SCOPE_EXCHANGE:
        return (struct extent){venues, 1, 1};
    case SCOPE_EXCHANGE_CHANNEL:
        return (struct extent){venues, CHANNEL_COUNT + 1, 1};
    case SCOPE_EXCHANGE_REASON:
        return (struct extent){venues, FEED_END_COUNT, 1};
    case SCOPE_EXCHANGE_GAP:
        return (struct extent){venues, GAP_KIND_COUNT, GAP_RESOLVED_COUNT};
    case SCOPE_CHANNEL:
        return (struct extent){CHANNEL_COUNT, 1, 1};
    case SCOPE_LINE:
        return (struct extent){ALLOC_LINE_COUNT, 1, 1};
    case SCOPE_CONDITION:
        return (struct extent){HEALTH_COUNT, 1, 1};
    case SCOPE_LEVEL:
        return (struct extent){2, 1, 1};
    }
    return (struct extent){1, 1, 1};
}

void metrics_write(struct buf *out, const struct watch_view *view, const struct health *health)
{
    buf_put_str(out, STR("# HELP market_data_info The recorder: its name and version.\n"
                         "# TYPE market_data_info gauge\nmarket_data_info"));
    put_label(out, "recorder", view->recorder, true);
    put_label(out, "version", MD_VERSION, false);
    buf_put_str(out, STR("} 1\n"));
    for (uint32_t i = 0; i < METRIC_COUNT; i++) {
        const struct row *row = &rows[i];
        buf_printf(out, "# HELP market_data_%s %s %s\n# TYPE market_data_%s %s\n", row->name,
                   row->label, row->remedy, row->name,
                   row->times != NULL          ? "summary"
                   : row->kind == KIND_COUNTER ? "counter"
                                               : "gauge");
        struct extent extent = extent_of(row->scope, view);
        struct at at = {.view = view, .health = health};
        for (at.a = 0; at.a < extent.a; at.a++) {
            for (at.b = 0; at.b < extent.b; at.b++) {
                for (at.c = 0; at.c < extent.c; at.c++) {
                    put_sample(out, row, &at);
                }
            }
        }
    }
}

/* ---- the document */

static const char *labels_of(enum scope scope)
{
    static const char *const names[] = {
        [SCOPE_ONE] = "",
        [SCOPE_EXCHANGE] = "`exchange`",
        [SCOPE_EXCHANGE_CHANNEL] = "`exchange`, `channel`",
        [SCOPE_EXCHANGE_REASON] = "`exchange`, `reason`",
        [SCOPE_EXCHANGE_GAP] = "`exchange`, `cause`, `resolution`",
        [SCOPE_CHANNEL] = "`channel`",
        [SCOPE_LINE] = "`line`",
        [SCOPE_CONDITION] = "`condition`",
        [SCOPE_LEVEL] = "`level`",
    };
    return names[scope];
}

void metrics_document(int fd)
{
    dprintf(fd, "# Metrics\n\n"
                "`/metrics` gives these in the Prometheus text format; the names start with\n"
                "`market_data_`. This page is made of the table in src/watch/metrics.h by\n"
                "`market-data metrics`; a test compares the two.\n\n"
                "| metric | labels | kind, unit | what it is, what to do when it moves |\n"
                "|---|---|---|---|\n");
    for (uint32_t i = 0; i < METRIC_COUNT; i++) {
        const struct row *row = &rows[i];
        dprintf(fd, "| `%s` | %s | %s, %s | %s %s |\n", row->name, labels_of(row->scope),
                row->times != NULL          ? "summary"
                : row->kind == KIND_COUNTER ? "counter"
                                            : "gauge",
                row->unit, row->label, row->remedy);
    }
    dprintf(fd,
            "\nSummaries have the quantiles 0.5, 0.9, 0.99 and 1 over the last 10 to 20 seconds\n"
            "(NaN without any); `_count` and `_sum` are since the start.\n\n"
            "## Conditions\n\n"
            "`market_data_condition{condition=\"...\"}` is 1 while one of these holds. The page,\n"
            "`/healthz`, `market-data status` and the log (`health_...`) say the same in words.\n\n"
            "| condition | level | what to do |\n|---|---|---|\n");
    for (int i = 0; i < HEALTH_COUNT; i++) {
        enum health_condition condition = (enum health_condition)i;
        dprintf(fd, "| `%s` | %s | %s |\n", health_name(condition),
                health_level_name(health_level_of(condition)), health_remedy(condition));
    }
    dprintf(fd, "\n## Why connections end\n\n| reason | words |\n|---|---|\n");
    for (int i = 0; i < FEED_END_COUNT; i++) {
        dprintf(fd, "| `%s` | %s |\n", feed_end_name((enum feed_end)i),
                feed_end_words((enum feed_end)i));
    }
}
