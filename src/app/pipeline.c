/* Threads and rings of the recorder; here the net thread, opening and ending.
 *
 *   net thread (caller of pipeline_run): loop, sockets, feeds, REST, ticks  --frame ring-->
 *   landing thread (pipeline_land.c): replay, then journal append, decode, normalise, row blocks
 *   --jobs--> seal thread (store's own)
 *   landing thread  --request ring-->  net thread (book snapshots and trades wanted)
 *
 * The landing thread never drops: while the journal cannot take a record it waits, the ring fills,
 * and the net thread refuses market data by channel priority, counts it, and writes each burst down
 * as one drop record. Control records (open, close, sent, ticks, drops) have the ring's last part
 * to themselves. Memory: all taken in pipeline_open(). */
#include "app/pipeline_internal.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "app/notify.h"
#include "base/assert.h"
#include "base/log.h"

#define REQUEST_RING_BYTES (64 << 10)
#define DRAIN_MS 8000          /* for everything, when somebody said stop and waits */
#define DRAIN_UNASKED_MS 60000 /* for sealing, when the run came to its own end */
#define CLOSE_WAIT_NS (3 * NS_PER_S)
#define REPLAY_EXTEND_US 30000000

/* Share of the ring that market data of a drop priority may fill, in 1/1000; the rest is for those
 * that matter more, the last part for control records. */
static const uint32_t fill_allowed[4] = {800, 870, 940, 985};

/* ---- sizes */

struct land_sizes pipeline_land_sizes(const struct plan *plan)
{
    return (struct land_sizes){
        .streams_max = plan->partitions + 64, /* room for gap, instrument and unexpected streams */
        .books_max = plan->depth_symbols + 8,
        .trades_max = plan->trade_symbols,
        .book_bytes = plan->book_bytes,
        .row_block_bytes = plan->row_block_bytes,
        .row_group_rows = plan->row_group_rows,
    };
}

struct journal_config pipeline_journal_config(const struct settings *settings, uint32_t boot_epoch)
{
    struct journal_config config = {
        .block_bytes = 65536,
        .segment_bytes = (uint64_t)settings->journal_segment_bytes,
        .sync_ms = settings->journal_sync_ms,
        .zstd_level = 1,
        .record_bytes_max =
            (uint32_t)settings->net_message_bytes_max + RECORD_HEAD_BYTES + RECORD_ARG_BYTES_MAX,
        .boot_epoch = boot_epoch,
        .sync_thread = true,
    };
    memcpy(config.recorder, settings->recorder_id, strlen(settings->recorder_id) + 1);
    return config;
}

struct net_config pipeline_net_config(const struct settings *settings, const struct plan *plan)
{
    return (struct net_config){
        .ca_file = settings->net_ca_file,
        .proxy = settings->net_proxy,
        .message_bytes_max = (size_t)settings->net_message_bytes_max,
        .read_bytes = 64 << 10,
        .send_bytes_max = 8 << 10,
        .connections_max = plan->sockets,
        .connect_timeout_ms = settings->net_connect_timeout_ms,
        .pong_timeout_ms = 10000,
        .ping_interval_ms = 0, /* venues ping us; our own would spend the control budget */
        .silence_timeout_ms = settings->net_silence_secs * 1000,
    };
}

size_t pipeline_ring_bytes(const struct settings *settings)
{
    size_t bytes = 1 << 16;
    while (bytes < (size_t)settings->memory_queue_bytes) {
        bytes *= 2;
    }
    return bytes + REQUEST_RING_BYTES + 4096;
}

/* ---- net thread: records into the ring */

uint32_t pipeline_ring_fill(const struct pipeline *pipeline)
{
    uint64_t bytes = ring_bytes(pipeline->ring) * 1000 / ring_capacity(pipeline->ring);
    uint64_t capacity = (uint64_t)pipeline->settings->output_queue_capacity;
    uint64_t messages = capacity > 0 ? ring_messages(pipeline->ring) * 1000 / capacity : 0;
    return (uint32_t)(bytes > messages ? bytes : messages);
}

static void pause_all(struct pipeline *pipeline, bool paused)
{
    pipeline->paused = paused;
    for (uint32_t v = 0; v < pipeline->plan->venue_count; v++) {
        feed_pause(pipeline->feeds[v], paused);
    }
}

static bool push(struct pipeline *pipeline, const struct record *record)
{
    void *out = ring_reserve(pipeline->ring, record_packed_bytes(record));
    if (out == NULL) {
        return false;
    }
    record_pack(record, out);
    ring_commit(pipeline->ring);
    return true;
}

static void push_control(struct pipeline *pipeline, struct record *record)
{
    record->time_unix_ns =
        clock_stamp_next(&pipeline->stamp, record->time_unix_ns, clock_mono_ns(&clock_system));
    if (!push(pipeline, record)) {
        pipeline->control_lost++;
        LOG_ERROR("control_lost", "frame ring full: a %s record is lost: raise memory.queue_bytes",
                  record_kind_name(record->kind));
    }
}

static void drop(struct pipeline *pipeline, const struct record *record, int channel)
{
    uint32_t slot = channel >= 0 ? (uint32_t)channel : CHANNEL_COUNT;
    struct drop_burst *burst = &pipeline->bursts[record->venue][slot];
    if (burst->count == 0) {
        burst->first_unix_ns = record->time_unix_ns;
    }
    burst->last_unix_ns = record->time_unix_ns;
    burst->count++;
    pipeline->dropped[slot]++;
    pipeline->dropped_at[record->venue][slot]++;
    LOG_WARN("queue_drop", "%s: frame ring full: %s dropped%s", venue_name(record->venue),
             channel >= 0 ? channel_name((enum channel)channel) : "a message",
             journal_failing(pipeline->journal) ? " (the journal cannot be written)" : "");
}

/* Ends each burst that has been quiet for a second (or at the stop): one drop record, one gap row.
 */
static void flush_bursts(struct pipeline *pipeline, int64_t unix_ns, bool all)
{
    for (uint32_t venue = 0; venue < VENUE_ID_END; venue++) {
        for (uint32_t slot = 0; slot <= CHANNEL_COUNT; slot++) {
            struct drop_burst *burst = &pipeline->bursts[venue][slot];
            if (burst->count == 0 || (!all && unix_ns - burst->last_unix_ns < NS_PER_S)) {
                continue;
            }
            char text[128];
            struct buf arg = buf_over(text, sizeof text);
            buf_printf(&arg, "%llu %s %lld %lld", (unsigned long long)burst->count,
                       slot < CHANNEL_COUNT ? channel_name((enum channel)slot) : "*",
                       (long long)burst->first_unix_ns, (long long)burst->last_unix_ns);
            struct record record = {.time_unix_ns = unix_ns,
                                    .kind = RECORD_DROP,
                                    .venue = (enum venue_id)venue,
                                    .arg = buf_view(&arg)};
            burst->count = 0;
            push_control(pipeline, &record);
        }
    }
}

/* A body is landed whole or not at all: one refused part spoils the rest of it. */
static bool rest_spoiled(struct pipeline *pipeline, struct record *record, uint32_t fill)
{
    bool *broken = &pipeline->rest_broken[record->venue];
    if (record->kind == RECORD_REST_PART) {
        *broken = *broken || fill >= fill_allowed[2];
        return *broken;
    }
    if (record->kind == RECORD_REST && *broken) {
        *broken = false;
        const char *space = memrchr(record->arg.data, ' ', record->arg.bytes);
        ASSERT(space != NULL);
        static char text[RECORD_ARG_BYTES_MAX];
        struct buf arg = buf_over(text, sizeof text);
        buf_put(&arg, record->arg.data, (size_t)(space - record->arg.data));
        buf_put_str(&arg, STR(" 0"));
        record->arg = buf_view(&arg);
        LOG_WARN("rest_spoiled",
                 "%s: frame ring full: the reply to %.*s is lost, and asked for again",
                 venue_name(record->venue), (int)record->arg.bytes, record->arg.data);
    }
    return false;
}

static void on_record(void *context, struct record *record, bool droppable)
{
    struct pipeline *pipeline = context;
    if (pipeline->closed) {
        return; /* the stop record was the last */
    }
    uint32_t fill = pipeline_ring_fill(pipeline);
    if (rest_spoiled(pipeline, record, fill)) {
        return;
    }
    if (!droppable) {
        push_control(pipeline, record);
        return;
    }
    record->time_unix_ns =
        clock_stamp_next(&pipeline->stamp, record->time_unix_ns, loop_now_mono_ns(pipeline->loop));
    if (fill >= fill_allowed[0]) {
        bool pause = pipeline->settings->output_queue_full == 1;
        if (pause && !pipeline->paused) {
            pause_all(pipeline, true);
        }
        const struct venue *venue = venue_of(record->venue);
        int channel = venue->peek_channel(record);
        int priority = channel >= 0 ? channel_drop_priority((enum channel)channel) : 0;
        uint32_t allowed = fill_allowed[priority < 3 && !pause ? priority : 3];
        if (fill >= allowed) {
            drop(pipeline, record, channel);
            return;
        }
    }
    if (!push(pipeline, record)) {
        drop(pipeline, record, venue_of(record->venue)->peek_channel(record));
    }
}

static uint32_t next_conn(void *context)
{
    struct pipeline *pipeline = context;
    return pipeline->conn_next++;
}

/* The recorder ends when nothing is left to record; a venue that works is not disturbed by one that
 * does not. */
static void on_config_fault(void *context, const struct venue *venue, int code, const char *why,
                            bool ever_open)
{
    struct pipeline *pipeline = context;
    uint32_t left = 0;
    LOG_ERROR("config_fault", "%s: %s: %s%s", venue->name, err_text(code), why,
              ever_open ? "" : "; not tried again");
    if (ever_open) { /* it worked before: tried again, seldom */
        return;
    }
    for (uint32_t v = 0; v < pipeline->plan->venue_count; v++) {
        if (pipeline->plan->venues[v].venue == venue && !pipeline->given_up[v]) {
            pipeline->given_up[v] = true;
            snprintf(pipeline->faults[v], sizeof pipeline->faults[v], "%s: %s", err_text(code),
                     why);
            feed_stop(pipeline->feeds[v]);
        }
        left += !pipeline->given_up[v];
    }
    if (left == 0 && pipeline->config_fault_code == 0) {
        pipeline->config_fault_code = code;
        snprintf(pipeline->config_fault, sizeof pipeline->config_fault, "%s: %s", venue->name, why);
    }
}

/* SIGUSR1 and SIGUSR2 change the level; the line says that they came through. */
static void tell_level(struct pipeline *pipeline)
{
    enum log_level level = log_level_get();
    if (level != pipeline->log_level) {
        pipeline->log_level = level;
        log_write(LOG_LEVEL_WARN, "log_level", "the level is %s now", log_level_name(level));
    }
}

/* Ready means that all which came before is landed. */
static void tell_begun(struct pipeline *pipeline)
{
    if (!pipeline->told_begun && pipeline_begun(pipeline)) {
        pipeline->told_begun = true;
        if (atomic_load(&pipeline->replayed) > 0) {
            pipeline->cpu_started_ns = pipeline_cpu_ns(); /* what a message costs, from here on */
        }
        notify_send("READY=1\nSTATUS=recording");
    }
}

/* For the service manager: alive each second, how it goes each ten. A replay may take longer than
 * it waits for a start. */
static void tell_manager(struct pipeline *pipeline)
{
    notify_send("WATCHDOG=1");
    if (!pipeline_begun(pipeline)) {
        notify_send("EXTEND_TIMEOUT_USEC=%d\nSTATUS=replaying the journal of earlier runs: %llu "
                    "records so far; what comes meanwhile waits in the queue",
                    REPLAY_EXTEND_US, (unsigned long long)atomic_load(&pipeline->replayed));
        return;
    }
    if (pipeline->minute_ticks % 10 != 0) {
        return;
    }
    uint32_t live = 0, connections = 0;
    uint64_t messages = 0, dropped = 0;
    for (uint32_t v = 0; v < pipeline->plan->venue_count; v++) {
        struct feed_stats stats = feed_stats(pipeline->feeds[v]);
        live += stats.live;
        connections += stats.connections;
        messages += stats.messages;
    }
    for (uint32_t c = 0; c <= CHANNEL_COUNT; c++) {
        dropped += pipeline->dropped[c];
    }
    notify_send("STATUS=%u of %u connections live, %llu messages, %llu dropped", live, connections,
                (unsigned long long)messages, (unsigned long long)dropped);
}

static void on_tick(void *context, int64_t now_mono_ns)
{
    struct pipeline *pipeline = context;
    int64_t unix_ns = clock_unix_ns(&clock_system);
    flush_bursts(pipeline, unix_ns, false);
    struct record record = {
        .time_unix_ns = unix_ns, .kind = RECORD_TICK, .conn = pipeline->conn_next - 1};
    push_control(pipeline, &record);
    tell_level(pipeline);
    tell_manager(pipeline);
    if (++pipeline->minute_ticks % 60 == 0) {
        log_flush_suppressed();
    }
    pipeline_watch_net(pipeline);
    loop_timer_set(pipeline->loop, &pipeline->tick, now_mono_ns + NS_PER_S);
}

static void take_request(struct feed *feed, const char *request, size_t bytes)
{
    size_t head = REQUEST_HEAD_BYTES;
    struct trades_hole hole;
    if (request[0] == REQUEST_TRADES) {
        memcpy(&hole, request + head, sizeof hole);
        head += sizeof hole;
    }
    struct str symbol = str_make(request + head, bytes - head);
    switch (request[0]) {
    case REQUEST_SNAPSHOT:
        feed_snapshot(feed, symbol);
        break;
    case REQUEST_CHECK:
        feed_check(feed, symbol);
        break;
    case REQUEST_TRADES:
        feed_trades(feed, symbol, &hole);
        break;
    default:
        feed_renew(feed, (enum channel)request[2], symbol);
        break;
    }
}

static void take_requests(struct pipeline *pipeline)
{
    size_t bytes = 0;
    const char *request = NULL;
    while ((request = ring_peek(pipeline->requests, &bytes)) != NULL) {
        for (uint32_t v = 0; v < pipeline->plan->venue_count; v++) {
            if ((int)pipeline->plan->venues[v].venue->id == request[1]) {
                take_request(pipeline->feeds[v], request, bytes);
            }
        }
        ring_consume(pipeline->requests);
    }
}

static void on_symbol_change(void *context, uint32_t venue, bool add, struct str symbol)
{
    struct pipeline *pipeline = context;
    struct stream_request requests[PLAN_REQUESTS_A_SYMBOL];
    const struct plan_venue *planned = &pipeline->plan->venues[venue];
    if (!add) {
        feed_remove(pipeline->feeds[venue], symbol);
        return;
    }
    uint32_t count = plan_requests(&planned->channels, symbol, requests);
    int code = feed_add(pipeline->feeds[venue], requests, count);
    if (code != 0 && code != MD_EEXIST) {
        LOG_WARN("symbol_refused", "%s: %.*s: not recorded: %s", planned->venue->name,
                 (int)symbol.bytes, symbol.data, err_text(code));
    }
}

static void on_settings(void *context, const struct settings *settings)
{
    struct pipeline *pipeline = context;
    for (uint32_t v = 0; v < pipeline->plan->venue_count; v++) {
        int64_t spacing_ms = 0;
        struct feed_config config = plan_feed_config(pipeline->plan, v, settings, &spacing_ms);
        feed_retune(pipeline->feeds[v], &config, spacing_ms);
    }
}

/* ---- open */

static int take_folder(struct pipeline *pipeline, struct err *err)
{
    const char *dir = pipeline->settings->data_dir;
    int code = mdio_posix_open(&pipeline->io, dir, err);
    if (code != 0) {
        return err_append(err, MD_EACCES, "data_dir: choose a folder that this user may write");
    }
    pipeline->lock_handle =
        mdio_open(&pipeline->io, PIPELINE_LOCK_NAME, MDIO_READ | MDIO_WRITE | MDIO_CREATE);
    if (pipeline->lock_handle < 0) {
        return err_set(err, pipeline->lock_handle,
                       "%s: %s: choose a data_dir that this user may write", dir,
                       err_text(pipeline->lock_handle));
    }
    code = mdio_lock(&pipeline->io, pipeline->lock_handle);
    if (code != 0) {
        return err_set(err, code, "%s: %s: stop it, or give this one another data_dir", dir,
                       err_text(code));
    }
    return 0;
}

/* Memory for reading the old journal and writing the new; begun by the landing thread. */
static int open_journal(struct pipeline *pipeline, struct err *err)
{
    struct journal_config config = pipeline_journal_config(pipeline->settings, 0);
    atomic_store(&pipeline->replay_last_seq, UINT64_MAX);
    int code =
        journal_reader_create(&pipeline->reader, &pipeline->io, config.record_bytes_max, err);
    return code != 0 ? code : journal_create(&pipeline->journal, &pipeline->io, &config, err);
}

static int open_net(struct pipeline *pipeline, struct err *err)
{
    const struct settings *settings = pipeline->settings;
    const struct plan *plan = pipeline->plan;
    pipeline->ring = ring_create(ALLOC_FRAME_RING, (size_t)settings->memory_queue_bytes,
                                 (uint64_t)settings->output_queue_capacity);
    pipeline->requests = ring_create(ALLOC_FRAME_RING, REQUEST_RING_BYTES, 0);
    static struct net_config net;
    net = pipeline_net_config(settings, plan);
    static struct rest_config rest;
    rest = (struct rest_config){
        .ca_file = settings->net_ca_file,
        .proxy = settings->net_proxy,
        .timeout_ms = settings->net_connect_timeout_ms * 2,
        .requests_max = plan->venue_count,
        .body_bytes_max = 256u << 20,
    };
    if (pipeline->ring == NULL || pipeline->requests == NULL) {
        return err_set(err, MD_ENOMEM, "no memory for the frame ring");
    }
    pipeline->loop = loop_create(&clock_system, plan->sockets * 8 + 64, err);
    pipeline->net = pipeline->loop != NULL ? net_create(pipeline->loop, &net, err) : NULL;
    pipeline->rest = pipeline->net != NULL ? rest_create(pipeline->loop, &rest, err) : NULL;
    if (pipeline->rest == NULL) {
        return MD_ENOMEM;
    }
    struct feed_handlers handlers = {on_record, next_conn, on_config_fault, pipeline};
    for (uint32_t v = 0; v < plan->venue_count; v++) {
        const struct plan_venue *venue = &plan->venues[v];
        struct feed_family *family = &pipeline->families[venue->family];
        struct feed_config config = venue->feed;
        config.seed = (uint64_t)clock_unix_ns(&clock_system) ^ ((uint64_t)getpid() << 32) ^ v;
        if (venue->family == v) {
            feed_family_init(family, &config, venue->request_spacing_ms);
        }
        pipeline->feeds[v] =
            feed_create(&config, family, venue->requests, venue->weights, venue->request_count,
                        pipeline->net, pipeline->rest, pipeline->loop, &handlers, err);
        if (pipeline->feeds[v] == NULL) {
            return MD_ENOMEM;
        }
    }
    return 0;
}

/* As many descriptors as the plan wants, if the hard limit lets us; check warns where it does not.
 */
static void raise_descriptors(const struct plan *plan)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)plan->descriptors + 64;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        setrlimit(RLIMIT_NOFILE, &limit); /* best effort */
    }
}

int pipeline_open(struct pipeline **out, const struct settings *settings, const struct plan *plan,
                  const struct pipeline_reread *reread, struct err *err)
{
    struct pipeline *pipeline = alloc_take(ALLOC_APP, sizeof *pipeline);
    if (pipeline == NULL) {
        return err_set(err, MD_ENOMEM, "no memory");
    }
    pipeline->settings = settings;
    pipeline->plan = plan;
    pipeline->log_level = (enum log_level)settings->log_level;
    pipeline->lock_handle = -1;
    struct land_sizes sizes = pipeline_land_sizes(plan);
    struct land_handlers handlers = {
        .on_snapshot_wanted = pipeline_on_snapshot_wanted,
        .on_check_wanted = pipeline_on_check_wanted,
        .on_trades_wanted = pipeline_on_trades_wanted,
        .on_silent = pipeline_on_silent,
        .context = pipeline,
    };
    raise_descriptors(plan);
    int code = take_folder(pipeline, err);
    code = code != 0 ? code : open_journal(pipeline, err);
    sizes.since_unix_ns = code == 0 ? pipeline_journal_since(pipeline, &sizes) : 0;
    code = code != 0 ? code
                     : land_open(&pipeline->land, &pipeline->io, settings, &sizes, true, &handlers,
                                 pipeline_wait_synced, pipeline, err);
    code = code != 0 ? code : pipeline_journal_end(pipeline, err);
    code = code != 0 ? code : open_net(pipeline, err);
    code = code != 0 ? code : pipeline_watch_open(pipeline, err);
    if (code == 0) {
        struct symbols_watch_config watch = {
            .settings = settings,
            .plan = plan,
            .reread = reread != NULL ? reread->read : NULL,
            .context = reread != NULL ? reread->context : NULL,
        };
        pipeline->watch = symbols_watch_start(&watch, err);
        code = pipeline->watch != NULL ? 0 : MD_ENOMEM;
    }
    if (code != 0) {
        pipeline_close(pipeline);
        return code;
    }
    pipeline->tick.on_timer = on_tick;
    pipeline->tick.context = pipeline;
    *out = pipeline;
    alloc_seal();
    return 0;
}

/* ---- run */

static void turn(struct pipeline *pipeline, int wait_ms)
{
    loop_turn(pipeline->loop, wait_ms);
    take_requests(pipeline);
    symbols_watch_take(pipeline->watch, on_symbol_change, pipeline);
    symbols_watch_take_settings(pipeline->watch, on_settings, pipeline);
    tell_begun(pipeline);
    if (pipeline->paused && pipeline_ring_fill(pipeline) < 500) {
        pause_all(pipeline, false);
    }
}

/* Nothing is taken after the stop record; the connections are closed politely behind it. */
static int64_t say_stop(struct pipeline *pipeline)
{
    int64_t unix_ns = clock_unix_ns(&clock_system);
    loop_timer_cancel(pipeline->loop, &pipeline->tick);
    flush_bursts(pipeline, unix_ns, true);
    struct record record = {.time_unix_ns = unix_ns, .kind = RECORD_STOP};
    push_control(pipeline, &record);
    pipeline->closed = true;
    for (uint32_t v = 0; v < pipeline->plan->venue_count; v++) {
        pipeline->at_stop[v] = feed_stats(pipeline->feeds[v]);
        feed_stop(pipeline->feeds[v]);
    }
    pipeline_watch_net(pipeline);
    return record.time_unix_ns;
}

static uint32_t connections_busy(const struct pipeline *pipeline)
{
    uint32_t busy = 0;
    for (uint32_t v = 0; v < pipeline->plan->venue_count; v++) {
        busy += feed_connections_busy(pipeline->feeds[v]);
    }
    return busy;
}

/* Seals what is closed. True: nothing is left. A slow disk gets more time unless somebody waits. */
static bool seal_all(struct pipeline *pipeline, const volatile sig_atomic_t *stop,
                     int64_t started_ns)
{
    struct store *store = land_store(pipeline->land);
    sig_atomic_t asked = *stop;
    int64_t deadline_ns = started_ns + (asked > 0 ? DRAIN_MS : DRAIN_UNASKED_MS) * NS_PER_MS;
    uint32_t left = store_drain(store, 500);
    while (left > 0 && *stop < 2 && clock_mono_ns(&clock_system) < deadline_ns) {
        if (*stop > asked) {
            asked = *stop;
            deadline_ns = clock_mono_ns(&clock_system) + DRAIN_MS * NS_PER_MS;
        }
        left = store_drain(store, 200);
    }
    return left == 0 && store_stats(store).rows_lost == 0;
}

/* The landing thread has ended and left something: it was told to give up, or could not begin. What
 * came is counted; the next run finds no STOP and tells it as a part of its hole. */
static void count_not_kept(struct pipeline *pipeline)
{
    size_t bytes = 0;
    const void *packed = NULL;
    while ((packed = ring_peek(pipeline->ring, &bytes)) != NULL) {
        struct record record;
        int code = record_unpack(packed, bytes, &record);
        ASSERT(code == 0);
        pipeline->not_kept += record.kind == RECORD_RECV || record.kind == RECORD_RECV_BINARY;
        ring_consume(pipeline->ring);
    }
    if (pipeline->not_kept > 0) {
        LOG_WARN("not_kept",
                 "%llu messages that waited to be landed are not kept%s: the next start tells "
                 "their time as a gap",
                 (unsigned long long)pipeline->not_kept,
                 pipeline_begun(pipeline) ? "" : ", the journal was still replayed");
    }
}

/* The stop record lands last; then everything is sealed and synced. True: nothing is left. */
static bool drain(struct pipeline *pipeline, const volatile sig_atomic_t *stop)
{
    int64_t started = clock_mono_ns(&clock_system);
    int64_t deadline = started + DRAIN_MS * NS_PER_MS;
    int64_t stop_unix_ns = say_stop(pipeline);
    while (!atomic_load(&pipeline->land_done)) {
        loop_turn(pipeline->loop, 20);
        if (*stop >= 2 || clock_mono_ns(&clock_system) > deadline) {
            atomic_store(&pipeline->land_abandon, true);
        }
        if (clock_mono_ns(&clock_system) > deadline + NS_PER_S) {
            pipeline->stuck = true; /* landing waits for a disk that takes nothing */
            return false;
        }
    }
    pthread_join(pipeline->land_thread, NULL);
    pipeline->land_started = false;
    while (connections_busy(pipeline) > 0 && *stop < 2 &&
           clock_mono_ns(&clock_system) < started + CLOSE_WAIT_NS) {
        loop_turn(pipeline->loop, 20);
    }
    count_not_kept(pipeline);
    bool synced = pipeline_begun(pipeline) && journal_sync(pipeline->journal) == 0;
    if (atomic_load(&pipeline->land_abandon) || !synced) {
        return false;
    }
    bool sealed = seal_all(pipeline, stop, started);
    pipeline_trim(pipeline, stop_unix_ns);
    return sealed;
}

enum pipeline_end pipeline_run(struct pipeline *pipeline, const volatile sig_atomic_t *stop,
                               const volatile sig_atomic_t *hangup, int64_t seconds,
                               struct err *err)
{
    sig_atomic_t hangups = hangup != NULL ? *hangup : 0;
    pipeline->started_mono_ns = clock_mono_ns(&clock_system);
    pipeline->cpu_started_ns = pipeline_cpu_ns();
    pipeline->start_unix_ns =
        clock_stamp_next(&pipeline->stamp, clock_unix_ns(&clock_system), pipeline->started_mono_ns);
    if (pipeline_watch_start(pipeline) != 0) {
        err_set(err, MD_ENOMEM, "the watch thread could not be started");
        return PIPELINE_LEFT_JOURNAL;
    }
    if (pthread_create(&pipeline->land_thread, NULL, pipeline_land_main, pipeline) != 0) {
        err_set(err, MD_ENOMEM, "the landing thread could not be started");
        return PIPELINE_LEFT_JOURNAL;
    }
    pipeline->land_started = true;
    loop_turn(pipeline->loop, 0);
    loop_timer_set(pipeline->loop, &pipeline->tick, loop_now_mono_ns(pipeline->loop));
    for (uint32_t v = 0; v < pipeline->plan->venue_count; v++) {
        feed_start(pipeline->feeds[v]);
    }
    int64_t end_ns = seconds > 0 ? pipeline->started_mono_ns + seconds * NS_PER_S : INT64_MAX;
    while (*stop == 0 && pipeline->config_fault_code == 0 && !atomic_load(&pipeline->land_done) &&
           clock_mono_ns(&clock_system) < end_ns) {
        turn(pipeline, 100);
        if (hangup != NULL && *hangup != hangups) {
            hangups = *hangup;
            log_file_reopen();
            symbols_watch_wake(pipeline->watch);
        }
    }
    notify_send("STOPPING=1\nSTATUS=sealing what is open");
    bool sealed = drain(pipeline, stop);
    pipeline->run_ns = clock_mono_ns(&clock_system) - pipeline->started_mono_ns;
    log_flush_suppressed();
    if (pipeline->config_fault_code != 0) {
        err_set(err, pipeline->config_fault_code, "%s", pipeline->config_fault);
        return PIPELINE_CONFIG_FAULT;
    }
    if (!pipeline->stuck && pipeline->land_code != 0) {
        if (err != NULL) {
            *err = pipeline->land_err;
        }
        return PIPELINE_NOT_BEGUN;
    }
    return sealed ? PIPELINE_STOPPED : PIPELINE_LEFT_JOURNAL;
}

int pipeline_code(const struct pipeline *pipeline)
{
    return pipeline->land_code;
}

bool pipeline_stuck(const struct pipeline *pipeline)
{
    return pipeline->stuck;
}

void pipeline_close(struct pipeline *pipeline)
{
    if (pipeline == NULL) {
        return;
    }
    ASSERT(!pipeline->land_started);
    pipeline_watch_close(pipeline); /* it reads from all that follow */
    symbols_watch_stop(pipeline->watch);
    for (uint32_t v = 0; v < PLAN_VENUES_MAX; v++) {
        feed_destroy(pipeline->feeds[v]);
    }
    if (pipeline->rest != NULL) {
        rest_destroy(pipeline->rest);
    }
    if (pipeline->net != NULL) {
        net_destroy(pipeline->net);
    }
    if (pipeline->journal != NULL) {
        journal_close(pipeline->journal);
    }
    journal_reader_close(pipeline->reader);
    land_close(pipeline->land);
    if (pipeline->loop != NULL) {
        loop_destroy(pipeline->loop);
    }
    ring_destroy(pipeline->ring);
    ring_destroy(pipeline->requests);
    if (pipeline->lock_handle >= 0) {
        mdio_close(&pipeline->io, pipeline->lock_handle);
    }
    mdio_deinit(&pipeline->io);
    alloc_give(pipeline);
}
