/* The conditions' checks: each looks at the view and at what was seen before, and says in words
 * what is the matter. Pure but for the log. */
#include "watch/health.h"

#include "base/assert.h"
#include "base/log.h"

#define DOWN_NS (2 * NS_PER_S)      /* a reconnect within this is everyday life */
#define NO_DATA_NS (10 * NS_PER_S)  /* of a connection with a message a second or more */
#define RECENT_NS (10 * NS_PER_S)   /* drops stay red for so long */
#define REMEMBER_NS (60 * NS_PER_S) /* what needs a look stays amber for so long */
#define BOOKS_NS (30 * NS_PER_S)    /* books may wait so long for their snapshot */
#define PENDING_NS (5 * NS_PER_S)   /* a replaced connection subscribes within this */
#define STUCK_NS (5 * NS_PER_S)
#define LATE_NS (2 * NS_PER_S)
#define QUEUE_HIGH_PERMILLE 500
#define CLOCK_BEHIND_NS (-100 * NS_PER_MS)

static const struct {
    const char *name;
    enum health_level level;
    const char *remedy;
} rows[] = {
#define X(condition, name, level, remedy) {name, level, remedy},
    HEALTH_LIST(X)
#undef X
};
_Static_assert(sizeof rows / sizeof rows[0] == HEALTH_COUNT, "a row for each condition");

const char *health_name(enum health_condition condition)
{
    ASSERT(condition < HEALTH_COUNT);
    return rows[condition].name;
}

const char *health_remedy(enum health_condition condition)
{
    ASSERT(condition < HEALTH_COUNT);
    return rows[condition].remedy;
}

enum health_level health_level_of(enum health_condition condition)
{
    ASSERT(condition < HEALTH_COUNT);
    return rows[condition].level;
}

const char *health_level_name(enum health_level level)
{
    return level == HEALTH_GREEN ? "green" : level == HEALTH_AMBER ? "amber" : "red";
}

/* True while the counter moved within `hold_ns`; *more is by how much in this episode. */
static bool recent(struct health_recent *recent, uint64_t value, int64_t now_ns, int64_t hold_ns,
                   uint64_t *more)
{
    if (value > recent->value) {
        if (recent->moved_ns == 0 || now_ns - recent->moved_ns > hold_ns) {
            recent->base = recent->value;
        }
        recent->moved_ns = now_ns;
    }
    recent->value = value;
    *more = value - recent->base;
    return recent->moved_ns != 0 && now_ns - recent->moved_ns <= hold_ns;
}

static double seconds(int64_t ns)
{
    return (double)ns / 1e9;
}

/* ---- the disk */

static bool check_journal_failing(struct health *health, const struct watch_view *view,
                                  struct buf *words)
{
    (void)health;
    buf_printf(
        words,
        "the journal in %s cannot be written (%.1f s not safe on the disk): capture goes on, "
        "messages are dropped when the queue is full",
        view->data_dir, seconds(view->journal.synced_lag_ns));
    return view->journal_failing;
}

static bool check_landing_stuck(struct health *health, const struct watch_view *view,
                                struct buf *words)
{
    (void)health;
    int64_t old_ns = view->land->mono_ns == 0 ? 0 : view->mono_ns - view->land->mono_ns;
    buf_printf(words, "landing has stood still for %.0f s; the queue holds %llu messages",
               seconds(old_ns), (unsigned long long)view->ring_messages);
    return old_ns > STUCK_NS && !view->net->stopping;
}

static bool check_disk_low(struct health *health, const struct watch_view *view, struct buf *words)
{
    (void)health;
    buf_printf(words, "the disk of %s is nearly full: nothing is sealed", view->data_dir);
    return view->land->store.disk_low;
}

static bool check_rows_frozen(struct health *health, const struct watch_view *view,
                              struct buf *words)
{
    (void)health;
    buf_printf(words, "%u streams are not landed any more: the disk took nothing for too long",
               view->land->store.streams_frozen);
    return view->land->store.streams_frozen > 0;
}

static bool check_files_failed(struct health *health, const struct watch_view *view,
                               struct buf *words)
{
    uint64_t more = 0;
    bool on = recent(&health->files_failed, view->land->store.files_failed, view->mono_ns,
                     REMEMBER_NS, &more);
    buf_printf(words, "%llu files could not be sealed", (unsigned long long)more);
    return on;
}

static bool check_journal_lag(struct health *health, const struct watch_view *view,
                              struct buf *words)
{
    (void)health;
    int64_t allowed_ns = view->sync_ms * 5 * NS_PER_MS;
    allowed_ns = allowed_ns > LATE_NS ? allowed_ns : LATE_NS;
    buf_printf(words, "the journal is %.1f s ahead of the disk (a sync took up to %.0f ms lately)",
               seconds(view->journal.synced_lag_ns), (double)view->journal_sync.max_ns / 1e6);
    return view->journal.synced_lag_ns > allowed_ns;
}

/* ---- the queue */

static bool check_queue_drop(struct health *health, const struct watch_view *view,
                             struct buf *words)
{
    uint64_t more = 0;
    bool on = recent(&health->drops, view->dropped, view->mono_ns, RECENT_NS, &more);
    buf_printf(words, "the queue was full: %llu messages dropped", (unsigned long long)more);
    const char *before = ": ";
    for (uint32_t v = 0; v < view->net->venue_count; v++) {
        uint64_t all = 0;
        for (int c = 0; c <= CHANNEL_COUNT; c++) {
            all += view->net->venues[v].dropped[c];
        }
        if (all > 0) {
            buf_printf(words, "%s%s %llu in all", before, venue_name(view->net->venues[v].id),
                       (unsigned long long)all);
            before = ", ";
        }
    }
    return on;
}

static bool check_replaying(struct health *health, const struct watch_view *view, struct buf *words)
{
    (void)health;
    buf_printf(words,
               "replaying the journal of earlier runs: %llu records so far; %llu messages wait",
               (unsigned long long)view->net->replayed, (unsigned long long)view->ring_messages);
    return view->net->replaying && !view->net->stopping;
}

static uint32_t queue_permille(const struct watch_view *view)
{
    uint64_t bytes = view->ring_bytes_max > 0 ? view->ring_bytes * 1000 / view->ring_bytes_max : 0;
    uint64_t messages =
        view->ring_messages_max > 0 ? view->ring_messages * 1000 / view->ring_messages_max : 0;
    return (uint32_t)(bytes > messages ? bytes : messages);
}

static bool check_queue_filling(struct health *health, const struct watch_view *view,
                                struct buf *words)
{
    (void)health;
    uint32_t permille = queue_permille(view);
    buf_printf(words, "the queue is %u %% full: %llu messages wait", permille / 10,
               (unsigned long long)view->ring_messages);
    return permille >= QUEUE_HIGH_PERMILLE;
}

static bool check_paused(struct health *health, const struct watch_view *view, struct buf *words)
{
    (void)health;
    buf_printf(words, "the queue is full: reading the sockets is paused");
    return view->net->paused;
}

static bool check_landing_late(struct health *health, const struct watch_view *view,
                               struct buf *words)
{
    (void)health;
    buf_printf(words, "messages wait %.1f s in the queue", seconds(view->land->delay_ns));
    return view->land->delay_ns > LATE_NS;
}

static bool check_control_lost(struct health *health, const struct watch_view *view,
                               struct buf *words)
{
    uint64_t more = 0;
    bool on =
        recent(&health->control_lost, view->net->control_lost, view->mono_ns, REMEMBER_NS, &more);
    buf_printf(words, "%llu control records were lost: the queue was full to the brim",
               (unsigned long long)more);
    return on;
}

/* ---- the venues */

static bool check_given_up(struct health *health, const struct watch_view *view, struct buf *words)
{
    (void)health;
    bool on = false;
    for (uint32_t v = 0; v < view->net->venue_count; v++) {
        const struct watch_venue *venue = &view->net->venues[v];
        if (venue->given_up) {
            buf_printf(words, "%s%s is not recorded: %s", on ? "; " : "", venue_name(venue->id),
                       venue->fault);
            on = true;
        }
    }
    return on;
}

static bool is_open(const struct feed_connection *connection)
{
    return connection->state == FEED_CONNECTION_OPEN || connection->state == FEED_CONNECTION_LIVE ||
           connection->replacing;
}

static bool is_silent(const struct feed_connection *connection, int64_t now_ns)
{
    int64_t open_ns = now_ns - connection->opened_ns;
    bool busy = connection->messages > 10 &&
                connection->messages > (uint64_t)(open_ns / NS_PER_S); /* one a second at least */
    int64_t allowed_ns = busy ? NO_DATA_NS : connection->quiet_ms * NS_PER_MS;
    int64_t silent_ns = now_ns - connection->market_ns;
    return allowed_ns > 0 && connection->market_ns > 0 &&
           silent_ns > (allowed_ns > NO_DATA_NS ? allowed_ns : NO_DATA_NS);
}

bool health_connection_flows(const struct feed_connection *connection, int64_t now_mono_ns)
{
    return is_open(connection) && connection->messages > 0 &&
           (connection->state == FEED_CONNECTION_LIVE || connection->replacing) &&
           !is_silent(connection, now_mono_ns);
}

/* Names the venues of the connections for which `is` holds: "binance 2 of 3 (last: ...)". */
static uint32_t name_connections(const struct watch_view *view, struct buf *words,
                                 bool (*is)(const struct feed_connection *, int64_t), bool why)
{
    uint32_t all = 0;
    for (uint32_t v = 0; v < view->net->venue_count; v++) {
        uint32_t count = 0, of = 0;
        const struct feed_connection *last = NULL;
        for (uint32_t i = 0; i < view->net->connection_count; i++) {
            const struct watch_connection *connection = &view->net->connections[i];
            if (connection->venue == v) {
                bool one = is(&connection->feed, view->mono_ns);
                of++;
                count += one;
                last = one ? &connection->feed : last;
            }
        }
        if (count > 0) {
            buf_printf(words, "%s%s: %u of %u connections", all > 0 ? "; " : "",
                       venue_name(view->net->venues[v].id), count, of);
            if (why) {
                buf_printf(words, " for %.0f s: %s: %s", seconds(view->mono_ns - last->down_ns),
                           feed_end_words(last->end), last->why);
            } else {
                buf_printf(words, " for %.0f s", seconds(view->mono_ns - last->market_ns));
            }
            all += count;
        }
    }
    return all;
}

static bool connection_is_down(const struct feed_connection *connection, int64_t now_ns)
{
    return !is_open(connection) && connection->down_ns > 0 &&
           now_ns - connection->down_ns > DOWN_NS;
}

static bool connection_says_nothing(const struct feed_connection *connection, int64_t now_ns)
{
    return is_open(connection) && !connection->replacing && is_silent(connection, now_ns);
}

static bool check_connection_down(struct health *health, const struct watch_view *view,
                                  struct buf *words)
{
    (void)health;
    buf_printf(words, "not connected: ");
    return name_connections(view, words, connection_is_down, true) > 0 && !view->net->stopping;
}

static bool check_no_data(struct health *health, const struct watch_view *view, struct buf *words)
{
    (void)health;
    buf_printf(words, "connected, but no market data: ");
    return name_connections(view, words, connection_says_nothing, false) > 0 &&
           !view->net->stopping;
}

static bool check_pending(struct health *health, const struct watch_view *view, struct buf *words)
{
    (void)health;
    uint32_t pending = 0, all = 0, unopened = 0;
    for (uint32_t i = 0; i < view->net->connection_count; i++) {
        const struct feed_connection *connection = &view->net->connections[i].feed;
        bool begins = connection->opened_ns == 0 && connection->down_ns == 0;
        bool slow = connection->opened_ns > 0 && connection->state == FEED_CONNECTION_OPEN &&
                    view->mono_ns - connection->opened_ns > PENDING_NS;
        unopened += begins;
        pending += begins || slow ? connection->pending : 0;
        all += connection->streams;
    }
    buf_printf(words, "starting: %u of %u subscriptions and %u of %u connections are to come",
               pending, all, unopened, view->net->connection_count);
    return (pending > 0 || view->net->mono_ns == 0) && !view->net->stopping;
}

static bool check_refused(struct health *health, const struct watch_view *view, struct buf *words)
{
    (void)health;
    uint32_t all = 0;
    for (uint32_t v = 0; v < view->net->venue_count; v++) {
        uint32_t refused = view->net->venues[v].feed.streams_refused;
        if (refused > 0) {
            buf_printf(words, "%s%s: %u streams refused", all > 0 ? "; " : "",
                       venue_name(view->net->venues[v].id), refused);
            all += refused;
        }
    }
    return all > 0;
}

static bool check_throttled(struct health *health, const struct watch_view *view, struct buf *words)
{
    uint64_t all = 0, more = 0;
    for (uint32_t v = 0; v < view->net->venue_count; v++) {
        all += view->net->venues[v].feed.throttled + view->net->venues[v].feed.rest_throttled;
    }
    bool on = recent(&health->throttled, all, view->mono_ns, REMEMBER_NS, &more);
    buf_printf(words, "a venue said %llu times that we ask too fast", (unsigned long long)more);
    return on;
}

/* ---- the streams */

static bool check_silent(struct health *health, const struct watch_view *view, struct buf *words)
{
    (void)health;
    const struct normalise_stats *stats = &view->land->normalise;
    uint32_t named =
        stats->silent < NORMALISE_SILENT_NAMED ? stats->silent : NORMALISE_SILENT_NAMED;
    buf_printf(words, "%u streams should speak and are silent: ", stats->silent);
    for (uint32_t i = 0; i < named; i++) {
        enum venue_id venue = VENUE_NONE;
        enum channel channel = CHANNEL_COUNT;
        struct str symbol =
            normalise_stream_name(view->normalise, stats->silent_first[i], &venue, &channel);
        buf_printf(words, "%s%s %.*s %s", i > 0 ? ", " : "", venue_name(venue),
                   (int)(symbol.bytes < 24 ? symbol.bytes : 24), symbol.data,
                   channel_name(channel));
    }
    return stats->silent > 0 && !view->net->stopping;
}

static bool check_books(struct health *health, const struct watch_view *view, struct buf *words)
{
    const struct normalise_stats *stats = &view->land->normalise;
    uint64_t waiting = stats->books_all > stats->books ? stats->books_all - stats->books : 0;
    if (waiting == 0 || health->books_whole_ns == 0) {
        health->books_whole_ns = view->mono_ns;
    }
    buf_printf(words, "%llu of %llu books are not whole", (unsigned long long)waiting,
               (unsigned long long)stats->books_all);
    return waiting > 0 && view->mono_ns - health->books_whole_ns > BOOKS_NS && !view->net->stopping;
}

static bool check_undecodable(struct health *health, const struct watch_view *view,
                              struct buf *words)
{
    uint64_t more = 0;
    bool on =
        recent(&health->undecodable, view->land->undecodable, view->mono_ns, REMEMBER_NS, &more);
    buf_printf(words, "%llu messages could not be read; they are kept in the journal",
               (unsigned long long)more);
    return on;
}

/* ---- the machine */

static bool check_clock_behind(struct health *health, const struct watch_view *view,
                               struct buf *words)
{
    (void)health;
    bool on = false;
    for (uint32_t v = 0; v < VENUE_ID_END; v++) {
        const struct watch_times *times = &view->latency[v];
        if (times->count > 0 && times->min_ns < CLOCK_BEHIND_NS) {
            buf_printf(words, "%s%s's messages come up to %.2f s before their time", on ? "; " : "",
                       venue_name((enum venue_id)v), -seconds(times->min_ns));
            on = true;
        }
    }
    return on;
}

static bool check_late(struct health *health, const struct watch_view *view, struct buf *words)
{
    (void)health;
    bool on = false;
    for (uint32_t v = 0; v < VENUE_ID_END; v++) {
        const struct watch_times *times = &view->latency[v];
        if (times->count > 0 && times->p50_ns > LATE_NS) {
            buf_printf(words, "%s%s's messages are %.1f s old when they arrive", on ? "; " : "",
                       venue_name((enum venue_id)v), seconds(times->p50_ns));
            on = true;
        }
    }
    return on;
}

static bool check_memory(struct health *health, const struct watch_view *view, struct buf *words)
{
    (void)health;
    buf_printf(words, "%.0f MiB of memory are in use, %.0f MiB are allowed",
               (double)view->rss / 1048576, (double)view->budget / 1048576);
    return view->budget > 0 && view->rss > view->budget;
}

static bool check_stopping(struct health *health, const struct watch_view *view, struct buf *words)
{
    (void)health;
    buf_printf(words, "stopping: what is open is being sealed");
    return view->net->stopping;
}

static bool (*const checks[HEALTH_COUNT])(struct health *, const struct watch_view *,
                                          struct buf *) = {
    [HEALTH_JOURNAL_FAILING] = check_journal_failing,
    [HEALTH_LANDING_STUCK] = check_landing_stuck,
    [HEALTH_DISK_LOW] = check_disk_low,
    [HEALTH_ROWS_FROZEN] = check_rows_frozen,
    [HEALTH_QUEUE_DROP] = check_queue_drop,
    [HEALTH_CONTROL_LOST] = check_control_lost,
    [HEALTH_EXCHANGE_GIVEN_UP] = check_given_up,
    [HEALTH_CONNECTION_DOWN] = check_connection_down,
    [HEALTH_NO_DATA] = check_no_data,
    [HEALTH_REPLAYING] = check_replaying,
    [HEALTH_QUEUE_FILLING] = check_queue_filling,
    [HEALTH_PAUSED] = check_paused,
    [HEALTH_LANDING_LATE] = check_landing_late,
    [HEALTH_JOURNAL_LAG] = check_journal_lag,
    [HEALTH_FILES_FAILED] = check_files_failed,
    [HEALTH_STREAMS_SILENT] = check_silent,
    [HEALTH_STREAMS_REFUSED] = check_refused,
    [HEALTH_SUBSCRIPTIONS_PENDING] = check_pending,
    [HEALTH_BOOKS_INCOMPLETE] = check_books,
    [HEALTH_UNDECODABLE] = check_undecodable,
    [HEALTH_THROTTLED] = check_throttled,
    [HEALTH_CLOCK_BEHIND] = check_clock_behind,
    [HEALTH_LATE] = check_late,
    [HEALTH_MEMORY_OVER] = check_memory,
    [HEALTH_STOPPING] = check_stopping,
};

/* `state` as it is now; `lasted_ns`: of what is over. */
static void tell(enum health_condition condition, const struct health_state *state,
                 int64_t lasted_ns)
{
    char kind[32] = "health_";
    size_t bytes = strnlen(rows[condition].name, sizeof kind - 8);
    memcpy(kind + 7, rows[condition].name, bytes);
    kind[7 + bytes] = 0;
    if (!state->on) {
        LOG_INFO(kind, "over after %.0f s; it was: %s", (double)lasted_ns / 1e9, state->words);
    } else if (rows[condition].level == HEALTH_RED) {
        LOG_ERROR(kind, "%s: %s", state->words, rows[condition].remedy);
    } else if (condition == HEALTH_REPLAYING || condition == HEALTH_SUBSCRIPTIONS_PENDING ||
               condition == HEALTH_STOPPING) {
        LOG_INFO(kind, "%s", state->words); /* nobody needs to do anything */
    } else {
        LOG_WARN(kind, "%s: %s", state->words, rows[condition].remedy);
    }
}

void health_judge(struct health *health, const struct watch_view *view)
{
    health->level = HEALTH_GREEN;
    health->on = 0;
    for (uint32_t i = 0; i < HEALTH_COUNT; i++) {
        struct health_state *state = &health->states[i];
        char text[sizeof state->words];
        struct buf words = buf_over(text, sizeof text - 1);
        bool on = checks[i](health, view, &words);
        text[words.bytes] = 0;
        bool was = state->on;
        state->on = on;
        if (on) {
            memcpy(state->words, text, sizeof text);
            health->on++;
            health->level = rows[i].level > health->level ? rows[i].level : health->level;
        }
        if (on != was) {
            tell((enum health_condition)i, state, view->unix_ns - state->since_unix_ns);
            state->since_unix_ns = view->unix_ns;
        }
    }
    health->flowing = 0;
    health->connections = view->net->connection_count;
    for (uint32_t i = 0; i < view->net->connection_count; i++) {
        health->flowing += health_connection_flows(&view->net->connections[i].feed, view->mono_ns);
    }
    health->begun = view->net->mono_ns != 0 && view->land->mono_ns != 0 && !view->net->replaying;
}

void health_headline(const struct health *health, const struct watch_view *view, struct buf *out)
{
    for (uint32_t i = 0; i < HEALTH_COUNT; i++) {
        if (health->states[i].on && rows[i].level == health->level) {
            buf_put_str(out, str_from(health->states[i].words));
            return;
        }
    }
    buf_printf(out, "data flows on %u of %u connections, %.0f messages a second", health->flowing,
               health->connections, view->messages_per_s);
}
