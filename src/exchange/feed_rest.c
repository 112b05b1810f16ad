/* A feed's REST queue: tokens, the symbol list, book snapshots and open interest, trades, checks of
 * books, in that order, one request in flight, within the venue's weight a minute. A token's body
 * is gathered and never recorded; all other bodies go on as records, part by part. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "exchange/feed_internal.h"

#define REST_RETRY_MS 1000
#define IDLE_MS 10000

static uint32_t weight_limit(const struct feed *feed)
{
    return feed->config.venue->rest_weight_per_minute * feed->config.rest_weight_percent / 100;
}

static uint32_t weight_used(const struct weight_window *window, int64_t second)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < WEIGHT_SLOTS; i++) {
        sum += window->second[i] > second - WEIGHT_SLOTS ? window->weight[i] : 0;
    }
    return sum;
}

uint32_t feed_rest_weight(const struct feed *feed, uint32_t *limit)
{
    *limit = weight_limit(feed);
    return weight_used(&feed->queue.used, feed_now_ns(feed) / NS_PER_S);
}

static void weight_take(struct weight_window *window, int64_t second, uint32_t weight)
{
    uint32_t slot = (uint32_t)(second % WEIGHT_SLOTS);
    if (window->second[slot] != second) {
        window->second[slot] = second;
        window->weight[slot] = 0;
    }
    window->weight[slot] += weight;
}

/* Trades have a share of their own within the whole; a check leaves half of it, so that a book that
 * is lost does not wait for a minute to pass. */
static bool weight_allows(const struct feed *feed, uint32_t weight, enum rest_subject subject,
                          int64_t second)
{
    bool trades = subject == REST_TRADES;
    const struct rest_queue *queue = &feed->queue;
    uint32_t limit = weight_limit(feed) / (subject == REST_CHECK ? 2 : 1);
    uint32_t share = limit * feed->config.backfill_percent / 100;
    share = share > weight ? share : weight; /* one at least */
    return weight_used(&queue->used, second) + weight <= limit &&
           (!trades || weight_used(&queue->used_by_trades, second) + weight <= share);
}

static enum venue_rest call_of(enum rest_subject subject)
{
    switch (subject) {
    case REST_INSTRUMENTS:
        return VENUE_REST_INSTRUMENTS;
    case REST_SNAPSHOT:
    case REST_CHECK:
        return VENUE_REST_SNAPSHOT;
    case REST_OPEN_INTEREST:
        return VENUE_REST_OPEN_INTEREST;
    case REST_TOKEN:
        return VENUE_REST_TOKEN;
    case REST_TRADES:
    case REST_NOTHING:
        break;
    }
    ASSERT(false);
    return VENUE_REST_COUNT;
}

static uint32_t weight_of(const struct feed *feed, enum rest_subject subject, uint32_t index)
{
    const struct venue *venue = feed->config.venue;
    return subject == REST_TRADES ? venue->backfill(index % 2 == 1)->weight
                                  : venue->rest_weights[call_of(subject)];
}

static void rest_arm(struct feed *feed, int64_t deadline_ns)
{
    int code = loop_timer_set(feed->loop, &feed->queue.timer, deadline_ns);
    ASSERT(code == 0);
}

void feed_rest_snapshot(struct feed *feed, uint32_t symbol)
{
    struct rest_queue *queue = &feed->queue;
    if (!feed->symbols[symbol].snapshot_queued) {
        ASSERT(queue->count < queue->capacity);
        feed->symbols[symbol].snapshot_queued = true;
        queue->symbols[(queue->first + queue->count) % queue->capacity] = symbol;
        queue->count++;
    }
}

void feed_rest_trades(struct feed *feed, uint32_t symbol, const struct trades_hole *hole)
{
    struct rest_queue *queue = &feed->queue;
    struct feed_symbol *of = &feed->symbols[symbol];
    of->trades[hole->aggregate] = *hole;
    if (!of->trades_queued[hole->aggregate]) {
        uint32_t capacity = queue->capacity * 2;
        ASSERT(queue->holes_count < capacity);
        of->trades_queued[hole->aggregate] = true;
        queue->holes[(queue->holes_first + queue->holes_count) % capacity] =
            symbol * 2 + hole->aggregate;
        queue->holes_count++;
    }
}

/* ---- answers */

static void rest_record(struct feed *feed, enum record_kind kind, int status, int64_t time_unix_ns,
                        struct str body)
{
    char text[700];
    struct buf arg = buf_over(text, sizeof text);
    buf_printf(&arg, "GET %s", feed->queue.url);
    if (kind == RECORD_REST) {
        buf_printf(&arg, " %d", status);
    }
    feed_hand_on(feed, kind, 0, time_unix_ns, buf_view(&arg), body, false);
}

static void on_rest_part(void *context, const void *data, size_t bytes, int64_t recv_unix_ns)
{
    struct feed *feed = context;
    struct rest_queue *queue = &feed->queue;
    if (queue->in_flight != REST_TOKEN) {
        rest_record(feed, RECORD_REST_PART, 0, recv_unix_ns, str_make(data, bytes));
        return;
    }
    size_t room = sizeof queue->token_body - queue->token_bytes;
    size_t n = bytes < room ? bytes : room; /* one that is cut does not parse */
    memcpy(queue->token_body + queue->token_bytes, data, n);
    queue->token_bytes += n;
}

/* The request is put back to where it came from. */
static void ask_again(struct feed *feed, enum rest_subject subject, uint32_t index)
{
    if (subject == REST_INSTRUMENTS) {
        feed->queue.instruments_due = true;
    } else if (subject == REST_SNAPSHOT && feed->symbols[index].first_stream != FEED_NONE) {
        feed_rest_snapshot(feed, index);
    } else if (subject == REST_TRADES && feed->symbols[index / 2].first_stream != FEED_NONE) {
        feed_rest_trades(feed, index / 2, &feed->symbols[index / 2].trades[index % 2]);
    }
}

static void on_token_done(struct feed *feed, uint32_t lane, const struct rest_result *result)
{
    struct rest_queue *queue = &feed->queue;
    int code = result->code != 0 ? result->code : result->status != 200 ? MD_EHTTP : 0;
    lane_on_token(&feed->lanes[lane], code, str_make(queue->token_body, queue->token_bytes));
    explicit_bzero(queue->token_body, sizeof queue->token_body);
}

static void instruments_tried(struct feed *feed, int64_t now)
{
    feed->queue.instruments_tried = true;
    if (feed->hold_until_ns > now) { /* the lanes wait for this */
        feed->hold_until_ns = now;
        for (uint32_t i = 0; i < feed->lane_count; i++) {
            if (feed->lanes[i].state == LANE_WAITING) {
                lane_schedule(&feed->lanes[i], 0);
            }
        }
    }
}

static void on_rest_done(void *context, const struct rest_result *result)
{
    struct feed *feed = context;
    struct rest_queue *queue = &feed->queue;
    int64_t now = feed_now_ns(feed);
    enum rest_subject subject = queue->in_flight;
    uint32_t index = queue->in_flight_index;
    queue->in_flight = REST_NOTHING;
    if (subject != REST_TOKEN) {
        rest_record(feed, RECORD_REST, result->code == 0 ? result->status : 0, feed_unix_ns(feed),
                    (struct str){0});
    }
    if (result->used_weight >= 0) {
        feed->stats.rest_weight_used = result->used_weight;
    }
    bool throttled = result->status == 429 || result->status == 418;
    bool retry = result->code != 0 || throttled || result->status >= 500;
    if (retry) {
        int64_t pause_s = result->retry_after_s > 0 ? result->retry_after_s : throttled ? 60 : 0;
        queue->paused_until_ns =
            now + (pause_s > 0 ? pause_s * NS_PER_S : REST_RETRY_MS * NS_PER_MS);
        ask_again(feed, subject, index);
    }
    feed->stats.rest_throttled += throttled;
    if (retry || result->status != 200) {
        feed->stats.rest_failures++;
        LOG_WARN("rest_failed", "%s: %s: %s%s%s (HTTP status %d)%s", feed->config.venue->name,
                 queue->url, result->code != 0 ? err_text(result->code) : "answered",
                 result->why[0] != 0 ? ": " : "", result->why, result->status,
                 retry ? "; asked again" : "");
    }
    if (subject == REST_TOKEN) {
        on_token_done(feed, index, result);
    } else if (subject == REST_INSTRUMENTS) {
        instruments_tried(feed, now);
    }
    feed_rest_next(feed, now);
}

/* ---- requests */

/* What is due first, with its index; REST_NOTHING and when to look again in *next_ns. */
static enum rest_subject choose(struct feed *feed, int64_t now, uint32_t *index, int64_t *next_ns)
{
    struct rest_queue *queue = &feed->queue;
    *index = 0;
    *next_ns = now + IDLE_MS * NS_PER_MS;
    for (uint32_t i = 0; i < feed->lane_count; i++) {
        if (feed->lanes[i].state == LANE_TOKEN) {
            *index = i;
            return REST_TOKEN;
        }
    }
    if (feed->config.instruments_every_ms > 0 && now >= queue->instruments_ns) {
        queue->instruments_ns = now + feed->config.instruments_every_ms * NS_PER_MS;
        queue->instruments_due = true;
    }
    if (queue->instruments_due) {
        return REST_INSTRUMENTS;
    }
    if (queue->count > 0) {
        *index = queue->symbols[queue->first];
        return REST_SNAPSHOT;
    }
    bool asks_interest =
        queue->open_interest_symbols > 0 && feed->config.open_interest_every_ms > 0;
    if (!asks_interest || now < queue->open_interest_ns) {
        bool sooner = asks_interest && queue->open_interest_ns < *next_ns;
        *next_ns = sooner ? queue->open_interest_ns : *next_ns;
        if (queue->holes_count > 0) {
            *index = queue->holes[queue->holes_first];
            return REST_TRADES;
        }
        *index = queue->check > 0 ? queue->check - 1 : 0;
        return queue->check > 0 ? REST_CHECK : REST_NOTHING;
    }
    for (uint32_t k = 0; k < feed->symbol_count; k++) {
        uint32_t at = (queue->open_interest_next + k) % feed->symbol_count;
        if (feed->symbols[at].wants_open_interest) {
            *index = at;
            return REST_OPEN_INTEREST;
        }
    }
    return REST_NOTHING;
}

static void taken(struct feed *feed, enum rest_subject subject, uint32_t index, int64_t now)
{
    struct rest_queue *queue = &feed->queue;
    if (subject == REST_INSTRUMENTS) {
        queue->instruments_due = false;
    } else if (subject == REST_SNAPSHOT) {
        queue->first = (queue->first + 1) % queue->capacity;
        queue->count--;
        feed->symbols[index].snapshot_queued = false;
    } else if (subject == REST_OPEN_INTEREST) {
        queue->open_interest_next = (index + 1) % feed->symbol_count;
        queue->open_interest_ns = now + feed->config.open_interest_every_ms * NS_PER_MS /
                                            (int64_t)queue->open_interest_symbols;
    } else if (subject == REST_CHECK) {
        queue->check = 0;
    } else if (subject == REST_TRADES) {
        queue->holes_first = (queue->holes_first + 1) % (queue->capacity * 2);
        queue->holes_count--;
        feed->symbols[index / 2].trades_queued[index % 2] = false;
        feed->stats.trade_pages++;
    } else {
        queue->token_bytes = 0;
    }
}

static int make_url(struct feed *feed, enum rest_subject subject, uint32_t symbol, bool aggregate)
{
    const struct venue *venue = feed->config.venue;
    struct rest_queue *queue = &feed->queue;
    struct buf url = buf_over(queue->url, sizeof queue->url - 1);
    struct str name = symbol != FEED_NONE ? feed->symbols[symbol].name : (struct str){0};
    const char *base = feed->config.rest_url;
    if (subject == REST_TRADES && venue->backfill(aggregate)->history_host &&
        feed->config.history_url != NULL) {
        base = feed->config.history_url;
    }
    int code = subject == REST_TRADES
                   ? venue->rest_trades(base, name, &feed->symbols[symbol].trades[aggregate], &url)
                   : venue->rest(call_of(subject), base, name, &url);
    queue->url[url.bytes] = 0;
    return code;
}

/* The symbol a request is about; FEED_NONE. */
static uint32_t symbol_of(enum rest_subject subject, uint32_t index)
{
    bool of_symbol =
        subject == REST_SNAPSHOT || subject == REST_CHECK || subject == REST_OPEN_INTEREST;
    return subject == REST_TRADES ? index / 2 : of_symbol ? index : FEED_NONE;
}

static void rest_send(struct feed *feed, enum rest_subject subject, uint32_t index, int64_t now)
{
    struct rest_queue *queue = &feed->queue;
    const struct venue *venue = feed->config.venue;
    uint32_t symbol = symbol_of(subject, index);
    taken(feed, subject, index, now);
    if (symbol != FEED_NONE && feed->symbols[symbol].first_stream == FEED_NONE) {
        rest_arm(feed, now); /* it left while it was queued */
        return;
    }
    int code = make_url(feed, subject, symbol, index % 2 == 1);
    ASSERT(code == 0); /* tried in feed_create() and feed_add() */
    uint32_t weight = weight_of(feed, subject, index);
    weight_take(&queue->used, now / NS_PER_S, weight);
    if (subject == REST_TRADES) {
        weight_take(&queue->used_by_trades, now / NS_PER_S, weight);
    }
    feed->stats.rest_requests++;
    struct rest_handlers handlers = {on_rest_part, on_rest_done, feed};
    code = subject == REST_TOKEN ? rest_post(feed->rest, queue->url, venue->rest_header, &handlers)
                                 : rest_get(feed->rest, queue->url, venue->rest_header, &handlers);
    if (code == 0) {
        queue->in_flight = subject;
        queue->in_flight_index = index;
        return;
    }
    queue->paused_until_ns = now + REST_RETRY_MS * NS_PER_MS;
    ask_again(feed, subject, index);
    rest_arm(feed, queue->paused_until_ns);
}

/* Starts the next request if the pause is over and the weight allows it; else arms the timer. */
void feed_rest_next(struct feed *feed, int64_t now)
{
    struct rest_queue *queue = &feed->queue;
    uint32_t index = 0;
    int64_t next_ns = 0;
    if (queue->in_flight != REST_NOTHING || feed->stopping) {
        return;
    }
    enum rest_subject subject = choose(feed, now, &index, &next_ns);
    if (subject == REST_NOTHING) {
        rest_arm(feed, next_ns);
        return;
    }
    if (now < queue->paused_until_ns) {
        rest_arm(feed, queue->paused_until_ns);
        return;
    }
    if (!weight_allows(feed, weight_of(feed, subject, index), subject, now / NS_PER_S)) {
        rest_arm(feed, now + NS_PER_S);
        return;
    }
    rest_send(feed, subject, index, now);
}

void feed_rest_on_timer(void *context, int64_t now)
{
    feed_rest_next(context, now);
}

void feed_rest_start(struct feed *feed)
{
    int64_t now = feed_now_ns(feed);
    feed->queue.instruments_due = true;
    feed->queue.instruments_ns = now + feed->config.instruments_every_ms * NS_PER_MS;
    feed_rest_next(feed, now);
}

int feed_rest_try_urls(struct feed *feed, struct err *err)
{
    const struct venue *venue = feed->config.venue;
    for (int kind = 0; kind < 2; kind++) {
        feed->symbols[0].trades[kind] = (struct trades_hole){
            .aggregate = kind == 1,
            .from_id = INT64_MAX,
            .to_id = INT64_MAX,
            .start_unix_ns = INT64_MAX,
            .end_unix_ns = INT64_MAX,
        };
        if (venue->backfill(kind == 1) != NULL && make_url(feed, REST_TRADES, 0, kind == 1) != 0) {
            return err_set(err, MD_EINVAL, "%s: %s: not a usable REST base", venue->name,
                           feed->config.rest_url);
        }
    }
    for (int call = 0; call < VENUE_REST_COUNT; call++) {
        struct buf url = buf_over(feed->queue.url, sizeof feed->queue.url - 1);
        int code =
            venue->rest((enum venue_rest)call, feed->config.rest_url, feed->symbols[0].name, &url);
        if (code != 0 && code != MD_ENOTSUP) {
            return err_set(err, MD_EINVAL, "%s: %s: not a usable REST base", venue->name,
                           feed->config.rest_url);
        }
    }
    return 0;
}
