/* The landing thread: first what the journal of earlier runs holds unsealed, then what comes.
 *
 * The net thread connects and subscribes from the start; until the journal is replayed its records
 * wait in the frame ring, whose rules hold as ever. So an outage is not lengthened by the replay,
 * and the order of records is that of one thread: old journal, checkpoint, START, what was captured
 * meanwhile. What the net thread must know of the old journal before (the last stamp and connection
 * number) is read from its end (pipeline_journal_end()). Until pipeline->begun nothing is asked of
 * the net thread and nothing is appended. */
#include <stdio.h>
#include <time.h>

#include "app/pipeline_internal.h"
#include "base/assert.h"

#define LAND_WAIT_MS 20
#define LAND_GATHER_MS 1
#define TRIM_EVERY_NS NS_PER_S
#define CONFIG_WITHIN_RECORDS 4096 /* behind the checkpoint at a segment's start */
#define END_SPAN_NS (3 * NS_PER_S) /* at the journal's end: within it a tick was written */

/* ---- asked of the net thread */

static void ask(struct pipeline *pipeline, char what, enum venue_id venue, enum channel channel,
                struct str symbol, const struct trades_hole *hole)
{
    size_t more = hole != NULL ? sizeof *hole : 0;
    if (!pipeline_begun(pipeline)) {
        return; /* replay: what is still wanted is asked again by the first ticks */
    }
    char *request = ring_reserve(pipeline->requests, REQUEST_HEAD_BYTES + more + symbol.bytes);
    if (request == NULL) {
        return; /* normalise asks again */
    }
    request[0] = what;
    request[1] = (char)venue;
    request[2] = (char)channel;
    if (hole != NULL) {
        memcpy(request + REQUEST_HEAD_BYTES, hole, sizeof *hole);
    }
    memcpy(request + REQUEST_HEAD_BYTES + more, symbol.data, symbol.bytes);
    ring_commit(pipeline->requests);
    loop_wake(pipeline->loop);
}

void pipeline_on_snapshot_wanted(void *context, enum venue_id venue, struct str symbol)
{
    ask(context, REQUEST_SNAPSHOT, venue, CHANNEL_DEPTH, symbol, NULL);
}

void pipeline_on_check_wanted(void *context, enum venue_id venue, struct str symbol)
{
    ask(context, REQUEST_CHECK, venue, CHANNEL_DEPTH, symbol, NULL);
}

void pipeline_on_trades_wanted(void *context, enum venue_id venue, struct str symbol,
                               const struct trades_hole *hole)
{
    ask(context, REQUEST_TRADES, venue, CHANNEL_TRADES, symbol, hole);
}

void pipeline_on_silent(void *context, enum venue_id venue, enum channel channel, struct str symbol)
{
    ask(context, REQUEST_RENEW, venue, channel, symbol, NULL);
}

int pipeline_wait_synced(void *context, uint64_t seq)
{
    struct pipeline *pipeline = context;
    if (seq <= atomic_load(&pipeline->replay_last_seq)) {
        return 0; /* it was on the disk before */
    }
    return journal_wait_synced(pipeline->journal, seq, 1000);
}

static void sleep_ms(long ms)
{
    struct timespec pause = {ms / 1000, (ms % 1000) * 1000000L};
    nanosleep(&pause, NULL);
}

/* Appends until the journal takes it; a full disk is waited for. False: told to give up. */
static bool append(struct pipeline *pipeline, struct record *record, int64_t now_mono_ns)
{
    for (;;) {
        int code = journal_append(pipeline->journal, record, now_mono_ns);
        if (code == 0) {
            return true;
        }
        if (code == MD_EFULL) {
            LOG_ERROR("journal_failing",
                      "journal cannot be written: the disk below %s does not keep up: capture goes "
                      "on, messages are dropped when the ring is full; it goes on by itself",
                      pipeline->settings->data_dir);
        } else {
            LOG_ERROR("journal_failing",
                      "journal cannot be written: %s: capture goes on, messages are dropped when "
                      "the ring is full; free some space below %s",
                      err_text(code), pipeline->settings->data_dir);
        }
        if (atomic_load(&pipeline->land_abandon)) {
            return false;
        }
        sleep_ms(LAND_WAIT_MS);
        now_mono_ns = clock_mono_ns(&clock_system);
    }
}

/* Where records of one moment go. */
struct moment {
    struct pipeline *pipeline;
    int64_t time_unix_ns;
};

static void put_state(void *context, struct str payload)
{
    struct moment *writer = context;
    struct record record = {
        .time_unix_ns = writer->time_unix_ns, .kind = RECORD_STATE, .payload = payload};
    append(writer->pipeline, &record, clock_mono_ns(&clock_system));
}

/* What tuning decided is in force once it stands in the journal. */
static void put_tune(void *context, struct str payload)
{
    struct moment *writer = context;
    struct record record = {
        .time_unix_ns = writer->time_unix_ns, .kind = RECORD_TUNE, .payload = payload};
    if (append(writer->pipeline, &record, clock_mono_ns(&clock_system))) {
        land_record(writer->pipeline->land, &record);
    }
}

static void roll_if_due(struct pipeline *pipeline, int64_t time_unix_ns)
{
    if (!journal_roll_due(pipeline->journal)) {
        return;
    }
    if (!land_between_bodies(pipeline->land)) {
        journal_roll_later(pipeline->journal); /* bodies end in seconds, or time out */
    } else if (journal_roll(pipeline->journal) == 0) {
        struct moment writer = {pipeline, time_unix_ns};
        land_checkpoint(pipeline->land, put_state, &writer);
        journal_checkpointed(pipeline->journal);
    }
}

void pipeline_trim(struct pipeline *pipeline, int64_t unix_ns)
{
    int64_t keep_before = pipeline->settings->journal_keep_days > 0
                              ? unix_ns - pipeline->settings->journal_keep_days * NS_PER_DAY
                              : INT64_MAX;
    uint64_t needed = store_needed_seq(land_store(pipeline->land));
    uint64_t synced = journal_synced_seq(pipeline->journal);
    journal_trim(pipeline->journal, needed < synced ? needed : synced, keep_before);
}

/* ---- before the thread starts: what the net thread must know of the old journal */

/* Time of the journal's first record; 0 when there is none. What is still to be landed may be of
 * more streams than are planned now: `sizes` grows to what the journal was recorded with. */
int64_t pipeline_journal_since(struct pipeline *pipeline, struct land_sizes *sizes)
{
    struct land_sizes recorded = *sizes;
    struct journal_reader *reader = pipeline->reader;
    struct record record;
    int64_t since = 0;
    if (journal_reader_again(reader, "journal", 0, NULL) == 0 &&
        journal_reader_next(reader, &record, NULL) == 1) {
        since = record.time_unix_ns;
        for (int i = 0; i < CONFIG_WITHIN_RECORDS && record.kind != RECORD_CONFIG; i++) {
            if (journal_reader_next(reader, &record, NULL) != 1) {
                break;
            }
        }
        if (record.kind == RECORD_CONFIG) {
            land_sizes_parse(&recorded, record.payload);
        }
    }
    if (recorded.streams_max > sizes->streams_max) {
        LOG_WARN("journal_larger",
                 "the journal holds up to %u streams, planned are %u: more memory is taken for "
                 "them until the next start",
                 recorded.streams_max, sizes->streams_max);
        sizes->streams_max = recorded.streams_max;
    }
    if (recorded.books_max > sizes->books_max) {
        sizes->books_max = recorded.books_max;
    }
    if (recorded.trades_max > sizes->trades_max) {
        sizes->trades_max = recorded.trades_max;
    }
    return since;
}

/* Where the journal ends: one try of several, each with more to read. Records from a place on,
 * which the highest connection number up to there must be found in. 1: known; 0: not; or a failure.
 */
static int read_end(struct pipeline *pipeline, uint64_t from_seq, int64_t span_ns, uint32_t *conn,
                    struct err *err)
{
    struct journal_reader *reader = pipeline->reader;
    struct record record;
    bool known = from_seq == 0;
    int code = journal_reader_again(reader, "journal", from_seq, err);
    if (code == MD_ENOENT) {
        return 1; /* none yet: 0 was the last connection */
    }
    code = code == 0 && span_ns > 0 ? journal_reader_skip(reader, span_ns, err) : code;
    while (code >= 0 && (code = journal_reader_next(reader, &record, err)) == 1) {
        uint32_t told = 0;
        known = land_conn_told(&record, &told) || known;
        told = record.conn > told ? record.conn : told;
        *conn = told > *conn ? told : *conn;
    }
    return code < 0 ? code : known;
}

int pipeline_journal_end(struct pipeline *pipeline, struct err *err)
{
    static const struct {
        uint64_t from_seq;
        int64_t span_ns;
    } tries[] = {{UINT64_MAX, END_SPAN_NS}, {UINT64_MAX, 0}, {0, 0}};
    uint32_t conn = 0;
    int code = 0;
    for (size_t i = 0; i < sizeof tries / sizeof tries[0] && code == 0; i++) {
        code = read_end(pipeline, tries[i].from_seq, tries[i].span_ns, &conn, err);
    }
    if (code < 0) {
        return err_append(err, code, "journal");
    }
    pipeline->stamp.last_unix_ns = journal_reader_last_unix_ns(pipeline->reader);
    pipeline->conn_next = conn + 1;
    return 0;
}

/* ---- replay, and the journal of this run */

/* The journal of earlier runs, landed as far as it is not sealed. */
static int replay(struct pipeline *pipeline, uint64_t *next_seq, struct err *err)
{
    struct journal_reader *reader = pipeline->reader;
    struct record record;
    int code = journal_reader_again(reader, "journal", 0, err);
    while (code >= 0 && !atomic_load_explicit(&pipeline->land_abandon, memory_order_relaxed) &&
           (code = journal_reader_next(reader, &record, err)) == 1) {
        land_record(pipeline->land, &record);
        atomic_fetch_add_explicit(&pipeline->replayed, 1, memory_order_relaxed);
    }
    if (code < 0 && code != MD_ENOENT) {
        return err_append(err, code, "journal");
    }
    uint64_t last = journal_reader_last_seq(reader);
    *next_seq = store_manifest_last_seq(land_store(pipeline->land)) + 1;
    *next_seq = last + 1 > *next_seq ? last + 1 : *next_seq;
    struct journal_reader_stats stats = journal_reader_stats(reader);
    if (stats.damaged_blocks > 0) {
        LOG_WARN("journal_damaged", "journal: %llu damaged blocks, %llu records lost",
                 (unsigned long long)stats.damaged_blocks,
                 (unsigned long long)stats.missing_records);
    }
    return 0;
}

/* Checkpoint, configuration and START stand at the time before the first connect: no record of the
 * ring is older. */
static int begin_journal(struct pipeline *pipeline, uint64_t next_seq, struct err *err)
{
    int code = journal_begin(pipeline->journal, next_seq, land_boot_epoch(pipeline->land) + 1,
                             pipeline->reader, err);
    if (code != 0) {
        return err_append(err, code, "%s: journal", pipeline->settings->data_dir);
    }
    int64_t unix_ns = pipeline->start_unix_ns;
    struct moment writer = {pipeline, unix_ns};
    land_checkpoint(pipeline->land, put_state, &writer);
    journal_checkpointed(pipeline->journal);
    char text[4096];
    struct buf lines = buf_over(text, sizeof text);
    settings_landing_format(pipeline->settings, &lines);
    struct land_sizes sizes = pipeline_land_sizes(pipeline->plan);
    land_sizes_format(&sizes, &lines);
    char name[64];
    struct buf arg = buf_over(name, sizeof name);
    buf_printf(&arg, "%s %s", pipeline->settings->recorder_id, MD_VERSION);
    struct record config_record = {
        .time_unix_ns = unix_ns, .kind = RECORD_CONFIG, .payload = buf_view(&lines)};
    struct record start = {.time_unix_ns = unix_ns, .kind = RECORD_START, .arg = buf_view(&arg)};
    struct record *records[] = {&config_record, &start};
    for (size_t i = 0; i < 2; i++) {
        code = journal_append(pipeline->journal, records[i], clock_mono_ns(&clock_system));
        if (code != 0) {
            return err_set(err, code, "%s: journal cannot be written: %s",
                           pipeline->settings->data_dir, err_text(code));
        }
        land_record(pipeline->land, records[i]);
    }
    atomic_store(&pipeline->replay_last_seq, next_seq - 1);
    return 0;
}

/* False: it failed (pipeline->land_code), or was given up before its end. */
static bool begin(struct pipeline *pipeline)
{
    uint64_t next_seq = 0;
    int64_t started_ns = clock_mono_ns(&clock_system);
    int code = replay(pipeline, &next_seq, &pipeline->land_err);
    if (code == 0 && !atomic_load(&pipeline->land_abandon)) {
        code = begin_journal(pipeline, next_seq, &pipeline->land_err);
    }
    journal_reader_close(pipeline->reader);
    pipeline->reader = NULL;
    if (code != 0) {
        pipeline->land_code = code;
        return false;
    }
    if (atomic_load(&pipeline->land_abandon)) {
        return false;
    }
    LOG_INFO("replayed",
             "the journal of earlier runs is replayed: %llu records in %.2f s; %llu records came "
             "meanwhile",
             (unsigned long long)atomic_load(&pipeline->replayed),
             (double)(clock_mono_ns(&clock_system) - started_ns) / 1e9,
             (unsigned long long)ring_messages(pipeline->ring));
    land_watch(pipeline->land, &pipeline->landing);
    atomic_store(&pipeline->begun, true);
    loop_wake(pipeline->loop);
    return true;
}

/* What the ring brings, until the stop record. */
static void land_ring(struct pipeline *pipeline)
{
    int64_t trim_at_ns = 0;
    bool stopped = false;
    bool busy = false;
    while (!stopped && !atomic_load_explicit(&pipeline->land_abandon, memory_order_relaxed)) {
        int64_t now = clock_mono_ns(&clock_system);
        size_t bytes = 0;
        const void *packed = ring_peek(pipeline->ring, &bytes);
        if (packed == NULL) {
            journal_poll(pipeline->journal, now);
            /* under load messages gather for a millisecond: a wake-up costs more than ten of them
             */
            if (busy) {
                sleep_ms(LAND_GATHER_MS);
            } else {
                ring_wait(pipeline->ring, LAND_WAIT_MS);
            }
            busy = false;
            continue;
        }
        busy = true;
        for (int burst = 0; packed != NULL && burst < 64 && !stopped; burst++) {
            struct record record;
            int code = record_unpack(packed, bytes, &record);
            ASSERT(code == 0);
            roll_if_due(pipeline, record.time_unix_ns);
            if (!append(pipeline, &record, now)) {
                break;
            }
            land_record(pipeline->land, &record);
            stopped = record.kind == RECORD_STOP;
            if (record.kind == RECORD_TICK) {
                struct moment writer = {pipeline, record.time_unix_ns};
                store_tune_second(land_store(pipeline->land), record.time_unix_ns,
                                  pipeline_ring_fill(pipeline), put_tune, &writer);
                pipeline_watch_land(pipeline, &record);
            }
            if (record.kind == RECORD_TICK && now >= trim_at_ns) {
                trim_at_ns = now + TRIM_EVERY_NS;
                pipeline_trim(pipeline, record.time_unix_ns);
            }
            ring_consume(pipeline->ring);
            packed = ring_peek(pipeline->ring, &bytes);
        }
    }
}

void *pipeline_land_main(void *context)
{
    struct pipeline *pipeline = context;
    if (begin(pipeline)) {
        land_ring(pipeline);
    }
    atomic_store(&pipeline->land_done, true);
    loop_wake(pipeline->loop);
    return NULL;
}
