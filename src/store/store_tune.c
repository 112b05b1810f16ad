/* Tuning put to work: the store's figures to tune.c, its decisions to the journal and back.
 * Place: landing thread. What changes a file is in force only once its record is landed, here live
 * and in a replay alike; what changes none (blocks in memory) at once. Each change is counted and
 * logged. Memory: none of its own. */
#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "store/store_internal.h"

#define PAYLOAD_BYTES_MAX 4096

void tune_init(struct store *store)
{
    const struct store_config *config = &store->config;
    uint32_t blocks = config->open_blocks_max < store->resident_most ? config->open_blocks_max
                                                                     : store->resident_most;
    blocks = blocks > 2 ? blocks : 2;
    store->tune_bounds = (struct tune_bounds){.zstd_level = config->writer.zstd_level,
                                              .blocks_set = blocks,
                                              .blocks_most = store->resident_most};
    store->tuner = (struct tuner){.zstd_level = config->writer.zstd_level, .blocks_max = blocks};
    atomic_store(&store->counters.zstd_level, (uint32_t)config->writer.zstd_level);
    atomic_store(&store->counters.blocks_max, blocks);
}

void tune_restore_level(struct store *store, uint32_t zstd_level)
{
    if (store->config.tune && zstd_level >= 1 &&
        zstd_level <= (uint32_t)store->tune_bounds.zstd_level) {
        store->tuner.zstd_level = (int)zstd_level;
        atomic_store(&store->counters.zstd_level, zstd_level);
    }
}

/* ---- deciding */

struct payload {
    char text[PAYLOAD_BYTES_MAX];
    struct buf buf;
    void (*put)(void *context, struct str payload);
    void *context;
};

static void payload_send(struct payload *payload)
{
    if (payload->buf.bytes > 0) {
        payload->put(payload->context, buf_view(&payload->buf));
        payload->buf = buf_over(payload->text, sizeof payload->text);
    }
}

/* A name that would not stand on a line of its own is left as it is. */
static bool fits_a_line(struct str symbol)
{
    return symbol.bytes <= 256 && memchr(symbol.data, '\n', symbol.bytes) == NULL;
}

/* Streams whose rhythm in the window that ended asks for another idle close. */
static void propose_idle(struct store *store, struct payload *payload)
{
    int64_t idle_close_s = store->config.idle_close_ns / NS_PER_S;
    for (uint32_t i = 0; i < store->streams.count; i++) {
        struct stream *stream = &store->streams.streams[i];
        uint32_t now = stream->file.idle_factor > 0 ? stream->file.idle_factor : 1;
        uint32_t wanted = tune_idle_factor(stream->window_events, idle_close_s);
        stream->window_events = 0;
        if (wanted == now || !schema_has_symbol_path((enum channel)stream->channel) ||
            !fits_a_line(stream->symbol)) {
            continue;
        }
        if (payload->buf.bytes + 512 > PAYLOAD_BYTES_MAX) {
            payload_send(payload);
        }
        buf_printf(&payload->buf, "idle=%u %s %s %.*s\n", wanted,
                   venue_name((enum venue_id)stream->venue),
                   channel_name((enum channel)stream->channel), (int)stream->symbol.bytes,
                   stream->symbol.data);
    }
}

static bool window_ended(struct store *store, int64_t unix_ns)
{
    int64_t window_ns = store->config.idle_close_ns * TUNE_IDLE_WINDOW;
    if (window_ns == 0 || unix_ns < store->tune_window_end_ns) {
        return false;
    }
    bool counted = store->tune_window_end_ns > 0;
    store->tune_window_end_ns = unix_ns + window_ns;
    return counted; /* the first window begins with the first tick */
}

static void blocks_change(struct store *store, uint32_t blocks_max)
{
    LOG_INFO("tune", "partitions with a block in memory: at most %u (were %u, set are %u)",
             blocks_max, store->tuner.blocks_max, store->tune_bounds.blocks_set);
    store->tuner.blocks_max = blocks_max;
    atomic_store(&store->counters.blocks_max, blocks_max);
    count_add(&store->counters.blocks_changes, 1);
}

void store_tune_second(struct store *store, int64_t unix_ns, uint32_t queue_permille,
                       void (*put)(void *context, struct str payload), void *context)
{
    if (!store->config.tune) {
        return;
    }
    struct tune_figures figures = {
        .seal_jobs = sealer_jobs(store->sealer),
        .queue_permille = queue_permille,
        .early_spools = atomic_load(&store->counters.early_spools),
        .pool_bytes = store->pool_bytes,
        .pool_used_bytes = store->pool.used_bytes,
        .blocks = store->resident_count,
    };
    struct tune_decision decision = tune_second(&store->tuner, &store->tune_bounds, &figures);
    if (decision.blocks_max != store->tuner.blocks_max) {
        blocks_change(store, decision.blocks_max);
    }
    struct payload payload;
    payload.put = put;
    payload.context = context;
    payload.buf = buf_over(payload.text, sizeof payload.text);
    if (decision.zstd_level != store->tuner.zstd_level) {
        buf_printf(&payload.buf, "zstd_level=%d\n", decision.zstd_level);
    }
    if (window_ended(store, unix_ns)) {
        propose_idle(store, &payload);
    }
    payload_send(&payload);
}

/* ---- landing a decision */

static bool land_level(struct store *store, uint32_t zstd_level)
{
    if (zstd_level > (uint32_t)store->tune_bounds.zstd_level) {
        return false; /* of a run with a higher setting */
    }
    LOG_INFO("tune", "zstd level of the files: %u (was %d, set is %d)", zstd_level,
             store->tuner.zstd_level, store->tune_bounds.zstd_level);
    tune_restore_level(store, zstd_level);
    count_add(&store->counters.level_changes, 1);
    return true;
}

static bool land_idle(struct store *store, const struct tune_line *line)
{
    int venue = venue_parse(line->venue);
    int channel = channel_parse(line->channel);
    if (venue <= 0 || channel < 0 || !schema_has_symbol_path((enum channel)channel)) {
        return false;
    }
    struct stream *stream =
        stream_find(&store->streams, (enum venue_id)venue, (enum channel)channel, line->symbol);
    if (stream == NULL) {
        return false; /* decided of a stream that landed before; not in what is replayed */
    }
    char symbol[128];
    str_printable(symbol, sizeof symbol, stream->symbol.data,
                  stream->symbol.bytes < 30 ? stream->symbol.bytes : 30);
    LOG_INFO("tune", "%s %s %s: idle close after %lld s", venue_name((enum venue_id)venue),
             channel_name((enum channel)channel), symbol,
             (long long)(store->config.idle_close_ns / NS_PER_S * line->value));
    stream->file.idle_factor = (uint8_t)line->value;
    count_add(&store->counters.idle_changes, 1);
    return true;
}

void store_tune(struct store *store, struct str payload)
{
    if (!store->config.tune) {
        return;
    }
    struct tune_line line;
    int code;
    while ((code = tune_line_next(&payload, &line)) != 0) {
        bool landed = code > 0 && (line.what == TUNE_ZSTD_LEVEL ? land_level(store, line.value)
                                                                : land_idle(store, &line));
        if (!landed) {
            count_add(&store->counters.tune_refused, 1);
        }
    }
}
