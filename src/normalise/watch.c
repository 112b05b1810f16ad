/* Streams that should speak and do not. A venue's ack proves nothing (Gate acks what does not
 * exist) and one stream can die while its connection lives; the venue's rhythm() says how long a
 * healthy stream is silent at most. Looked at by each tick; what is told is not kept in
 * checkpoints. */
#include "normalise/normalise_internal.h"

int64_t stream_last_ns(const struct stream *stream)
{
    int64_t main = stream->sequences[SEQUENCE_MAIN].last_recv_ns;
    int64_t aggregate = stream->sequences[SEQUENCE_AGGREGATE].last_recv_ns;
    return main > aggregate ? main : aggregate; /* TIME_NONE is below all */
}

bool stream_is_silent(const struct stream *stream)
{
    return stream_subscribed(stream) && stream->told_ns != TIME_NONE &&
           stream_last_ns(stream) < stream->told_ns;
}

static int64_t bound_of(int64_t venue_ms, int64_t setting_ns)
{
    return venue_ms == 0 || setting_ns == 0 ? venue_ms * NS_PER_MS : setting_ns;
}

/* 0: it may be silent. */
static int64_t silence_allowed(const struct normalise_config *config, const struct stream *stream,
                               bool spoke)
{
    const struct venue *venue = venue_of((enum venue_id)stream->venue);
    if (venue == NULL) {
        return 0;
    }
    struct rhythm rhythm = venue->rhythm((enum channel)stream->channel);
    return spoke ? bound_of(rhythm.quiet_ms, config->stream_stall_ns)
                 : bound_of(rhythm.first_ms, config->first_data_ns);
}

static void watch(struct normalise *normalise, struct stream *stream)
{
    int64_t last_ns = stream_last_ns(stream);
    bool spoke = last_ns >= stream->subscribed_ns;
    int64_t since_ns = spoke ? last_ns : stream->subscribed_ns;
    if (stream->watch_pause_ns > WATCH_FIRST_NS && last_ns > stream->watch_next_ns) {
        stream->watch_pause_ns = WATCH_FIRST_NS; /* it got well */
    }
    int64_t allowed_ns = silence_allowed(&normalise->config, stream, spoke);
    if (allowed_ns == 0 || time_since(normalise->now_ns, since_ns) < allowed_ns ||
        normalise->now_ns < stream->watch_next_ns) {
        return;
    }
    stream->watch_next_ns = time_after(normalise->now_ns, stream->watch_pause_ns);
    stream->watch_pause_ns =
        stream->watch_pause_ns < WATCH_MOST_NS / 2 ? stream->watch_pause_ns * 2 : WATCH_MOST_NS;
    stream->told_ns = normalise->now_ns;
    normalise->stats.silences++;
    normalise->handlers.on_silent(normalise->handlers.context, (enum venue_id)stream->venue,
                                  (enum channel)stream->channel, stream->symbol);
}

void watch_streams(struct normalise *normalise)
{
    if (normalise->handlers.on_silent == NULL) {
        return;
    }
    uint32_t silent = 0;
    for (uint32_t i = 0; i < normalise->stream_count; i++) {
        struct stream *stream = &normalise->streams[i];
        if (stream_subscribed(stream) && stream_connected(stream) &&
            stream->subscribed_ns != TIME_NONE) {
            watch(normalise, stream);
        }
        if (stream_is_silent(stream)) {
            if (silent < NORMALISE_SILENT_NAMED) {
                normalise->stats.silent_first[silent] = i;
            }
            silent++;
        }
    }
    normalise->stats.silent = silent;
}
