/* What the recorder's threads tell the watch thread, once a second each. */
#include <stdio.h>
#include <string.h>

#include "app/pipeline_internal.h"
#include "base/assert.h"

static int config_of(const struct settings *settings, const struct plan *plan,
                     struct watch_config *out, struct err *err)
{
    struct land_sizes sizes = pipeline_land_sizes(plan);
    *out = (struct watch_config){
        .allowed_hosts = str_from(settings->http_allow_hosts),
        .recorder = settings->recorder_id,
        .data_dir = settings->data_dir,
        .sync_ms = settings->journal_sync_ms,
        .lines_planned = plan->lines,
        .planned = plan->bytes,
        .budget = plan->budget,
        .queue_messages_max = (uint64_t)settings->output_queue_capacity,
        .streams_max = sizes.streams_max,
    };
    for (uint32_t v = 0; v < plan->venue_count; v++) {
        const struct plan_venue *venue = &plan->venues[v];
        uint32_t symbols = venue->feed.symbols_max;
        out->connections_max += venue->feed_plan.lanes;
        out->symbols_max += symbols > venue->symbol_count ? symbols : venue->symbol_count;
    }
    return http_listen(settings, &out->listen, err);
}

size_t pipeline_watch_bytes(const struct settings *settings, const struct plan *plan,
                            size_t *library)
{
    struct watch_config config;
    *library = 0;
    return config_of(settings, plan, &config, NULL) == 0 ? watch_memory_bytes(&config, library) : 0;
}

int pipeline_watch_open(struct pipeline *pipeline, struct err *err)
{
    struct watch_config config;
    int code = config_of(pipeline->settings, pipeline->plan, &config, err);
    code = code != 0 ? code : http_token(pipeline->settings, pipeline->http_token, err);
    if (code != 0) {
        return code;
    }
    config.token = str_from(pipeline->http_token);
    return watch_open(&pipeline->watcher, &config, err);
}

int pipeline_watch_start(struct pipeline *pipeline)
{
    struct watch_sources sources = {
        .ring = pipeline->ring,
        .journal = pipeline->journal,
        .normalise = land_normalise(pipeline->land),
        .store = land_store(pipeline->land),
        .landing = &pipeline->landing,
    };
    return watch_start(pipeline->watcher, &sources);
}

void pipeline_watch_close(struct pipeline *pipeline)
{
    watch_stop(pipeline->watcher);
    watch_close(pipeline->watcher);
    pipeline->watcher = NULL;
    explicit_bzero(pipeline->http_token, sizeof pipeline->http_token);
}

const char *pipeline_url(const struct pipeline *pipeline)
{
    return watch_url(pipeline->watcher);
}

static void tell_venue(const struct pipeline *pipeline, uint32_t v, struct watch_venue *out)
{
    *out = (struct watch_venue){
        .id = pipeline->plan->venues[v].venue->id,
        .given_up = pipeline->given_up[v],
        .feed = feed_stats(pipeline->feeds[v]),
    };
    memcpy(out->fault, pipeline->faults[v], sizeof out->fault);
    memcpy(out->dropped, pipeline->dropped_at[out->id], sizeof out->dropped);
}

static void tell_connections(const struct pipeline *pipeline, uint32_t v, struct watch_net *net)
{
    struct feed_connection looks[64];
    uint32_t lanes = pipeline->plan->venues[v].feed_plan.lanes;
    for (uint32_t from = 0; from < lanes; from += 64) {
        uint32_t count = feed_connections(pipeline->feeds[v], from, looks, 64);
        for (uint32_t i = 0; i < count; i++) {
            net->connections[net->connection_count].venue = v;
            net->connections[net->connection_count++].feed = looks[i];
        }
    }
}

void pipeline_watch_net(struct pipeline *pipeline)
{
    struct watch_net *net = watch_net_slot(pipeline->watcher);
    net->mono_ns = clock_mono_ns(&clock_system);
    net->stopping = pipeline->closed;
    net->replaying = !pipeline_begun(pipeline);
    net->replayed = atomic_load(&pipeline->replayed);
    net->paused = pipeline->paused;
    net->control_lost = pipeline->control_lost;
    net->loop_turn_ns_max = loop_turn_ns_max(pipeline->loop);
    net->venue_count = pipeline->plan->venue_count;
    net->connection_count = 0;
    for (uint32_t v = 0; v < net->venue_count; v++) {
        tell_venue(pipeline, v, &net->venues[v]);
        tell_connections(pipeline, v, net);
    }
    watch_net_publish(pipeline->watcher);
}

void pipeline_watch_land(struct pipeline *pipeline, const struct record *tick)
{
    struct watch_land *land = watch_land_slot(pipeline->watcher);
    const struct watch_landing *landing = &pipeline->landing;
    int64_t unix_ns = clock_unix_ns(&clock_system);
    land->mono_ns = clock_mono_ns(&clock_system);
    land->delay_ns = unix_ns > tick->time_unix_ns ? unix_ns - tick->time_unix_ns : 0;
    memcpy(land->counts, landing->counts, sizeof land->counts);
    memcpy(land->gaps, landing->gaps, sizeof land->gaps);
    land->gaps_told = landing->gaps_told;
    land->normalise = normalise_stats(land_normalise(pipeline->land));
    land->store = store_stats(land_store(pipeline->land));
    land->records = land_stats(pipeline->land)->records;
    land->undecodable = land_stats(pipeline->land)->undecodable;
    watch_land_publish(pipeline->watcher, tick->time_unix_ns);
}
