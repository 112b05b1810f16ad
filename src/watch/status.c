/* The state as JSON. Numbers are in the unit that their name ends with; times are unix
 * milliseconds. Text from outside goes through text_json() alone. */
#include "watch/status.h"

#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "watch/text.h"

#define FIXED_BYTES (96 << 10) /* all but the connections; gaps and log lines at their longest */
#define CONNECTION_BYTES 640
#define ENTRY_ROOM 3200 /* the longest entry of a list */

size_t status_bytes(uint32_t connections)
{
    return FIXED_BYTES + (size_t)connections * CONNECTION_BYTES;
}

/* ---- members; each writes its own comma unless it is the first behind a brace */

static void comma(struct buf *out)
{
    char last = out->bytes > 0 ? out->data[out->bytes - 1] : '{';
    if (last != '{' && last != '[') {
        buf_put_char(out, ',');
    }
}

static void key(struct buf *out, const char *name)
{
    comma(out);
    buf_put_char(out, '"');
    buf_put_str(out, str_from(name));
    buf_put_str(out, STR("\":"));
}

static void integer(struct buf *out, const char *name, int64_t value)
{
    key(out, name);
    buf_put_i64(out, value);
}

static void count(struct buf *out, const char *name, uint64_t value)
{
    key(out, name);
    buf_put_u64(out, value);
}

/* Three decimals are enough for people and charts. */
static void number(struct buf *out, const char *name, double value)
{
    key(out, name);
    if (!isfinite(value) || fabs(value) > 1e15) {
        buf_put_str(out, STR("null"));
        return;
    }
    int64_t milli = (int64_t)llround(value * 1000);
    if (milli % 1000 == 0) {
        buf_put_i64(out, milli / 1000);
    } else {
        buf_printf(out, "%s%lld.%03lld", milli < 0 ? "-" : "", (long long)(llabs(milli) / 1000),
                   (long long)(llabs(milli) % 1000));
    }
}

static void truth(struct buf *out, const char *name, bool value)
{
    key(out, name);
    buf_put_str(out, value ? STR("true") : STR("false"));
}

static void text(struct buf *out, const char *name, struct str value)
{
    key(out, name);
    text_json(out, value);
}

static void words(struct buf *out, const char *name, const char *value)
{
    text(out, name, str_from(value));
}

static void open_object(struct buf *out, const char *name)
{
    key(out, name);
    buf_put_char(out, '{');
}

static void open_list(struct buf *out, const char *name)
{
    key(out, name);
    buf_put_char(out, '[');
}

static void begin(struct buf *out)
{
    comma(out);
    buf_put_char(out, '{');
}

static void end(struct buf *out)
{
    buf_put_char(out, '}');
}

static void end_list(struct buf *out)
{
    buf_put_char(out, ']');
}

static bool has_room(const struct buf *out)
{
    return !out->overflow && out->bytes + ENTRY_ROOM < out->capacity;
}

/* ---- parts */

static void put_times(struct buf *out, const char *name, const struct watch_times *times)
{
    open_object(out, name);
    count(out, "count", times->count);
    number(out, "p50", (double)times->p50_ns / 1e6);
    number(out, "p90", (double)times->p90_ns / 1e6);
    number(out, "p99", (double)times->p99_ns / 1e6);
    number(out, "max", (double)times->max_ns / 1e6);
    number(out, "min", (double)times->min_ns / 1e6);
    end(out);
}

static void put_health(struct buf *out, const struct watch_view *view, const struct health *health)
{
    char line[600];
    struct buf headline = buf_over(line, sizeof line);
    health_headline(health, view, &headline);
    open_object(out, "health");
    words(out, "level", health_level_name(health->level));
    text(out, "headline", buf_view(&headline));
    count(out, "flowing", health->flowing);
    count(out, "connections", health->connections);
    open_list(out, "conditions");
    for (int i = 0; i < HEALTH_COUNT && has_room(out); i++) {
        const struct health_state *state = &health->states[i];
        if (state->on) {
            begin(out);
            words(out, "name", health_name((enum health_condition)i));
            words(out, "level", health_level_name(health_level_of((enum health_condition)i)));
            integer(out, "since_ms", state->since_unix_ns / NS_PER_MS);
            words(out, "words", state->words);
            words(out, "remedy", health_remedy((enum health_condition)i));
            end(out);
        }
    }
    end_list(out);
    end(out);
}

static void put_rates(struct buf *out, const struct watch_view *view)
{
    open_object(out, "rates");
    number(out, "messages", view->messages_per_s);
    number(out, "bytes", view->bytes_per_s);
    number(out, "rows", view->rows_per_s);
    number(out, "drops", view->drops_per_s);
    number(out, "cpu_percent", view->cpu_share * 100);
    end(out);
}

static void put_totals(struct buf *out, const struct watch_view *view)
{
    const struct watch_land *land = view->land;
    uint64_t messages = 0, bytes = 0, reconnects = 0;
    for (uint32_t v = 0; v < view->net->venue_count; v++) {
        messages += view->net->venues[v].feed.messages;
        bytes += view->net->venues[v].feed.bytes;
        reconnects += view->net->venues[v].feed.reconnects;
    }
    open_object(out, "totals");
    count(out, "messages", messages);
    count(out, "bytes", bytes);
    count(out, "rows", land->store.rows);
    count(out, "dropped", view->dropped);
    count(out, "undecodable", land->undecodable);
    count(out, "gaps", land->normalise.gaps);
    count(out, "missing_ids", land->normalise.missing_ids);
    count(out, "duplicates", land->normalise.duplicates);
    count(out, "reconnects", reconnects);
    count(out, "files_sealed", land->store.files_sealed);
    count(out, "files_failed", land->store.files_failed);
    count(out, "sealed_bytes", land->store.bytes_sealed);
    end(out);
}

static void put_queue(struct buf *out, const struct watch_view *view)
{
    open_object(out, "queue");
    count(out, "messages", view->ring_messages);
    count(out, "messages_high", view->ring_messages_high);
    count(out, "messages_limit", view->ring_messages_max);
    count(out, "bytes", view->ring_bytes);
    count(out, "bytes_high", view->ring_bytes_high);
    count(out, "bytes_limit", view->ring_bytes_max);
    number(out, "delay_ms", (double)view->land->delay_ns / 1e6);
    truth(out, "paused", view->net->paused);
    end(out);
}

static void put_journal(struct buf *out, const struct watch_view *view)
{
    open_object(out, "journal");
    truth(out, "failing", view->journal_failing);
    number(out, "lag_ms", (double)view->journal.synced_lag_ns / 1e6);
    count(out, "records", view->journal.records);
    count(out, "raw_bytes", view->journal.raw_bytes);
    count(out, "stored_bytes", view->journal.stored_bytes);
    put_times(out, "write_ms", &view->journal_write);
    put_times(out, "sync_ms", &view->journal_sync);
    end(out);
}

static void put_store(struct buf *out, const struct watch_view *view)
{
    const struct store_stats *store = &view->land->store;
    open_object(out, "store");
    count(out, "open_partitions", store->open_partitions);
    count(out, "resident_partitions", store->resident_blocks);
    count(out, "pool_bytes", store->pool_bytes_used);
    count(out, "pool_limit_bytes", store->pool_bytes);
    count(out, "early_spools", store->early_spools);
    count(out, "seal_jobs", store->seal_jobs);
    truth(out, "disk_low", store->disk_low);
    put_times(out, "seal_ms", &view->seal);
    end(out);
    open_object(out, "books");
    count(out, "all", view->land->normalise.books_all);
    count(out, "whole", view->land->normalise.books);
    count(out, "cut", view->land->normalise.books_truncated);
    end(out);
    count(out, "silent_streams", view->land->normalise.silent);
}

static void put_memory(struct buf *out, const struct watch_view *view)
{
    open_object(out, "memory");
    count(out, "rss_bytes", view->rss);
    count(out, "rss_high_bytes", view->rss_high);
    count(out, "planned_bytes", view->planned);
    count(out, "budget_bytes", view->budget);
    open_list(out, "lines");
    for (int i = 0; i < ALLOC_LINE_COUNT; i++) {
        if (view->lines[i].bytes > 0 || view->lines_planned[i] > 0) {
            begin(out);
            words(out, "line", alloc_line_label((enum alloc_line)i));
            count(out, "bytes", view->lines[i].bytes);
            count(out, "planned_bytes", view->lines_planned[i]);
            end(out);
        }
    }
    end_list(out);
    end(out);
}

static void put_exchange(struct buf *out, const struct watch_view *view,
                         const struct watch_venue *venue)
{
    const struct feed_stats *feed = &venue->feed;
    uint64_t dropped = 0, undecodable = 0;
    for (int c = 0; c <= CHANNEL_COUNT; c++) {
        dropped += venue->dropped[c];
        undecodable += view->land->counts[venue->id][c].undecodable;
    }
    begin(out);
    words(out, "exchange", venue_name(venue->id));
    truth(out, "given_up", venue->given_up);
    count(out, "symbols", feed->symbols);
    count(out, "connections", feed->connections);
    count(out, "connections_live", feed->live);
    count(out, "streams", feed->streams);
    count(out, "streams_on", feed->streams_on);
    count(out, "streams_refused", feed->streams_refused);
    count(out, "messages", feed->messages);
    count(out, "bytes", feed->bytes);
    count(out, "dropped", dropped);
    count(out, "undecodable", undecodable);
    count(out, "reconnects", feed->reconnects);
    count(out, "rest_weight", feed->rest_weight_minute);
    count(out, "rest_weight_limit", feed->rest_weight_limit);
    put_times(out, "latency_ms", &view->latency[venue->id]);
    end(out);
}

/* As of when the net thread wrote, unless that is long ago: between its second and ours nothing is
 * known. */
static double data_age(const struct watch_view *view, int64_t mono_ns)
{
    bool fresh = view->mono_ns - view->net->mono_ns < 2 * NS_PER_S;
    int64_t now_ns = fresh ? view->net->mono_ns : view->mono_ns;
    return mono_ns == 0 ? -1 : (double)(now_ns - mono_ns) / 1e9;
}

static double seconds_ago(const struct watch_view *view, int64_t mono_ns)
{
    return mono_ns == 0 ? -1 : (double)(view->mono_ns - mono_ns) / 1e9;
}

static void put_connection(struct buf *out, const struct watch_view *view,
                           const struct watch_connection *connection)
{
    const struct feed_connection *feed = &connection->feed;
    begin(out);
    words(out, "exchange", venue_name(view->net->venues[connection->venue].id));
    words(out, "endpoint", feed->endpoint);
    count(out, "conn", feed->conn);
    words(out, "state", feed->replacing ? "replacing" : feed_connection_state_name(feed->state));
    truth(out, "flows", health_connection_flows(feed, view->mono_ns));
    count(out, "streams", feed->streams);
    count(out, "on", feed->on);
    count(out, "pending", feed->pending);
    count(out, "refused", feed->refused);
    number(out, "open_s", feed->down_ns != 0 ? -1 : seconds_ago(view, feed->opened_ns));
    number(out, "down_s", seconds_ago(view, feed->down_ns));
    number(out, "data_age_s", data_age(view, feed->market_ns));
    number(out, "next_try_s",
           feed->next_try_ns > view->mono_ns ? (double)(feed->next_try_ns - view->mono_ns) / 1e9
                                             : -1);
    count(out, "messages", feed->messages);
    count(out, "bytes", feed->bytes);
    count(out, "reconnects", feed->reconnects);
    words(out, "why", feed->reconnects > 0 || feed->down_ns != 0 ? feed->why : "");
    end(out);
}

static void put_gap(struct buf *out, const struct watch_gap *row)
{
    const struct gap_event *gap = &row->gap;
    begin(out);
    count(out, "n", row->number);
    integer(out, "told_ms", row->told_unix_ns / NS_PER_MS);
    words(out, "exchange", venue_name(row->venue));
    words(out, "channel", gap->all_channels ? "*" : channel_name(gap->of_channel));
    words(out, "symbol", row->symbol);
    words(out, "cause", gap_kind_name(gap->kind));
    words(out, "resolution", gap_resolved_name(gap->resolved_by));
    integer(out, "missing", gap->missing == ID_NONE ? -1 : gap->missing);
    integer(out, "start_ms",
            gap->start_unix_ns == TIME_NONE ? row->told_unix_ns / NS_PER_MS
                                            : gap->start_unix_ns / NS_PER_MS);
    integer(out, "end_ms",
            gap->end_unix_ns == TIME_NONE ? row->told_unix_ns / NS_PER_MS
                                          : gap->end_unix_ns / NS_PER_MS);
    end(out);
}

static void put_gaps(struct buf *out, const struct watch_land *land, uint64_t since)
{
    uint64_t first = land->gaps_told > WATCH_GAPS ? land->gaps_told - WATCH_GAPS : 0;
    open_list(out, "gaps");
    for (uint64_t i = since > first ? since : first; i < land->gaps_told && has_room(out); i++) {
        put_gap(out, &land->gaps[i % WATCH_GAPS]);
    }
    end_list(out);
}

static void put_log_line(void *context, const struct log_line *line)
{
    struct buf *out = context;
    if (!has_room(out)) {
        return;
    }
    begin(out);
    count(out, "n", line->number);
    integer(out, "unix_ms", line->unix_ns / NS_PER_MS);
    words(out, "level", log_level_name(line->level));
    words(out, "kind", line->kind);
    words(out, "message", line->message);
    count(out, "suppressed", line->suppressed);
    end(out);
}

void status_write(struct buf *out, const struct watch_view *view, const struct health *health,
                  struct status_since since)
{
    buf_put_char(out, '{');
    words(out, "recorder", view->recorder);
    words(out, "version", MD_VERSION);
    integer(out, "unix_ms", view->unix_ns / NS_PER_MS);
    integer(out, "started_ms", view->started_unix_ns / NS_PER_MS);
    number(out, "uptime_s", (double)(view->mono_ns - view->started_mono_ns) / 1e9);
    words(out, "data_dir", view->data_dir);
    put_health(out, view, health);
    put_rates(out, view);
    put_totals(out, view);
    put_queue(out, view);
    put_journal(out, view);
    put_store(out, view);
    put_memory(out, view);
    number(out, "loop_turn_ms_max", (double)view->net->loop_turn_ns_max / 1e6);
    open_list(out, "exchanges");
    for (uint32_t v = 0; v < view->net->venue_count; v++) {
        put_exchange(out, view, &view->net->venues[v]);
    }
    end_list(out);
    open_list(out, "connections");
    uint32_t written = 0;
    for (; written < view->net->connection_count && has_room(out); written++) {
        put_connection(out, view, &view->net->connections[written]);
    }
    end_list(out);
    put_gaps(out, view->land, since.gap);
    count(out, "gaps_told", view->land->gaps_told);
    open_list(out, "log");
    uint64_t lines = log_tail(since.log, put_log_line, out);
    end_list(out);
    count(out, "log_lines", lines);
    truth(out, "cut", written < view->net->connection_count || !has_room(out));
    buf_put_char(out, '}');
}

/* ---- history */

static void column(struct buf *out, const char *name, const struct watch_sample *samples,
                   uint32_t first, uint32_t samples_count,
                   int64_t (*value)(const struct watch_sample *sample))
{
    open_list(out, name);
    for (uint32_t i = 0; i < samples_count; i++) {
        comma(out);
        buf_put_i64(out, value(&samples[(first + i) % WATCH_HISTORY]));
    }
    end_list(out);
}

#define HISTORY_LIST(X)                                                                  \
    X(unix_ms)                                                                           \
    X(messages) X(bytes) X(rows) X(drops) X(queue_permille) X(rss_kib) X(latency_p50_us) \
        X(latency_p99_us) X(lag_ms)
#define X(member)                                                     \
    static int64_t sample_##member(const struct watch_sample *sample) \
    {                                                                 \
        return (int64_t)sample->member;                               \
    }
HISTORY_LIST(X)
#undef X

void status_history(struct buf *out, const struct watch_sample *samples, uint32_t first,
                    uint32_t samples_count)
{
    buf_put_char(out, '{');
#define X(member) column(out, #member, samples, first, samples_count, sample_##member);
    HISTORY_LIST(X)
#undef X
    buf_put_char(out, '}');
}
