/* The store: events -> rows -> open files -> sealed files.
 * Place: landing thread calls in; sealing is behind sealer_submit().
 * Invariants: rows of one seq of a stream are in one file; a file is a function of the events and
 * the settings; a row is in memory, in the spool, in a sealed file, or counted as lost with the
 * journal held back for it (store_needed_seq).
 * Memory (store_memory_lines): the block pool; per stream 2 x ~200 bytes of table, one open file
 * (~330 bytes), per seal job ~190 bytes; the sealer's row group, writer and buffers. */
#include "store/store.h"

#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "store/store_internal.h"

#define BLOCK_POOL_BYTES_MIN (64 << 10)
#define JOBS_MIN 16
#define FACTS_EXTRA 12288 /* symbols of the venues that are not recorded also tell their facts */
#define DOUBLE_DIGITS 15  /* every decimal of so many is told apart by a double */
#define WAIT_STEP_MS 20
#define WAIT_TOLD_MS 500
#define WAIT_MS_DEFAULT 10000
#define RECORD_BATCH_ROWS_MAX 60000

/* ---- memory */

static uint32_t jobs_max(const struct store_config *config)
{
    return config->seal_jobs_max > JOBS_MIN ? config->seal_jobs_max : JOBS_MIN;
}

static size_t pool_bytes(const struct store_config *config)
{
    return config->row_block_bytes > BLOCK_POOL_BYTES_MIN ? config->row_block_bytes
                                                          : BLOCK_POOL_BYTES_MIN;
}

/* Tuning may let every stream have a block, if the pool has room. */
static uint32_t resident_most(const struct store_config *config)
{
    uint32_t most = config->tune || config->open_blocks_max > config->streams_max
                        ? config->streams_max
                        : config->open_blocks_max;
    return most > 2 ? most : 2;
}

static struct seal_config seal_config_of(const struct store_config *config)
{
    uint64_t rows = (uint64_t)seal_bounds_of(config).groups * config->row_group_rows;
    rows = rows < UINT32_MAX / 4 ? rows * 2 : UINT32_MAX / 2; /* a block holds a row at least */
    return (struct seal_config){
        .store = config,
        .blocks_max = (uint32_t)rows + 65536,
        .streams_max = config->streams_max * 2 + 64,
    };
}

/* Tables of open files and jobs, in one piece. */
static size_t tables_bytes(const struct store_config *config)
{
    size_t streams = config->streams_max;
    size_t bytes = streams * (sizeof(struct open_file) + sizeof(uint64_t) + sizeof(uint32_t));
    bytes += jobs_max(config) * (sizeof(struct seal_job) + sizeof(uint64_t));
    bytes += resident_most(config) * sizeof(uint32_t);
    bytes += ROW_BYTES_MAX;
    return bytes;
}

void store_memory_lines(const struct store_config *config, size_t lines[ALLOC_LINE_COUNT])
{
    struct seal_config seal = seal_config_of(config);
    lines[ALLOC_ROW_BLOCKS] += block_pool_memory_bytes(pool_bytes(config));
    lines[ALLOC_PARTITIONS] += sizeof(struct store) + tables_bytes(config);
    lines[ALLOC_PARTITIONS] += stream_table_memory_bytes(config->streams_max);
    lines[ALLOC_PARTITIONS] += sealed_table_memory_bytes(config->streams_max);
    lines[ALLOC_PARTITIONS] += facts_table_memory_bytes(config->streams_max + FACTS_EXTRA);
    lines[ALLOC_SEAL] += spool_memory_bytes() + sealer_memory_bytes(&seal);
}

size_t store_memory_bytes(const struct store_config *config)
{
    size_t lines[ALLOC_LINE_COUNT] = {0};
    store_memory_lines(config, lines);
    return lines[ALLOC_ROW_BLOCKS] + lines[ALLOC_PARTITIONS] + lines[ALLOC_SEAL];
}

static int tables_init(struct store *store)
{
    const struct store_config *config = &store->config;
    uint8_t *memory = alloc_take(ALLOC_PARTITIONS, tables_bytes(config));
    if (memory == NULL) {
        return MD_ENOMEM;
    }
    uint32_t streams = config->streams_max;
    uint32_t jobs = jobs_max(config);
    store->open = (struct open_file *)(void *)memory;
    store->jobs = (struct seal_job *)(void *)(store->open + streams);
    store->open_first_seq = (uint64_t *)(void *)(store->jobs + jobs);
    store->job_first_seq = store->open_first_seq + streams;
    store->active = (uint32_t *)(store->job_first_seq + jobs);
    store->resident = store->active + streams;
    store->resident_most = resident_most(config);
    store->row = (uint8_t *)(store->resident + store->resident_most);
    store->open_free = NO_INDEX;
    for (uint32_t i = streams; i > 0; i--) {
        store->open[i - 1].active_at = store->open_free;
        store->open_free = i - 1;
        store->open_first_seq[i - 1] = UINT64_MAX;
    }
    for (uint32_t i = jobs; i > 0; i--) {
        store->jobs[i - 1].next = store->job_free;
        store->job_free = &store->jobs[i - 1];
        store->job_first_seq[i - 1] = UINT64_MAX;
    }
    return 0;
}

/* ---- opening */

static void on_manifest_entry(void *context, const struct manifest_entry *entry)
{
    struct store *store = context;
    if (entry->last_seq > store->manifest_last_seq) {
        store->manifest_last_seq = entry->last_seq;
    }
    int code =
        sealed_note(&store->sealed, entry->venue, entry->channel, entry->symbol, entry->last_seq);
    store->sealed_code = code < 0 ? code : store->sealed_code;
}

static int open_files(struct store *store, struct err *err)
{
    int code = manifest_open(&store->manifest, store->io, err);
    if (code == 0) {
        code = manifest_clean(&store->manifest, err);
    }
    if (code == 0) {
        code = manifest_read_all(store->io, store->config.manifest_since_unix_ns, on_manifest_entry,
                                 store, &store->manifest_stats, err);
    }
    if (code == 0 && store->sealed_code < 0) {
        code =
            err_set(err, store->sealed_code,
                    "store: no memory for the %u streams the manifests name", store->sealed.count);
    }
    if (code == 0) {
        code = spool_open(&store->spool, store->io, err);
    }
    if (code != 0) {
        return code;
    }
    if (store->manifest_stats.damaged_lines > 0) {
        LOG_WARN("manifest_damaged", "%s/manifest: %llu damaged lines passed over", store->io->root,
                 (unsigned long long)store->manifest_stats.damaged_lines);
    }
    struct seal_config seal = seal_config_of(&store->config);
    seal.wait_synced = store->handlers.wait_synced;
    seal.wait_context = store->handlers.context;
    return sealer_create(&store->sealer, &seal, store->io, &store->spool, &store->manifest, err);
}

int store_open(struct store **out, struct mdio *io, const struct store_config *config,
               const struct store_handlers *handlers, struct err *err)
{
    ASSERT(config->streams_max > 0);
    ASSERT(config->row_group_rows > 0);
    ASSERT(config->record_batch_rows > 0);
    struct store *store = alloc_take(ALLOC_PARTITIONS, sizeof *store);
    if (store == NULL) {
        return err_set(err, MD_ENOMEM, "store: no memory");
    }
    store->config = *config;
    if (store->config.record_batch_rows > RECORD_BATCH_ROWS_MAX) {
        store->config.record_batch_rows = RECORD_BATCH_ROWS_MAX;
    }
    store->handlers = *handlers;
    store->io = io;
    store->spool.handle = -1;
    store->frozen_seq = UINT64_MAX;
    store->pool_bytes = pool_bytes(config);
    if (tables_init(store) != 0 || block_pool_init(&store->pool, store->pool_bytes) != 0 ||
        stream_table_init(&store->streams, config->streams_max) != 0 ||
        facts_table_init(&store->facts, config->streams_max + FACTS_EXTRA) != 0 ||
        sealed_table_init(&store->sealed, config->streams_max) != 0) {
        store_destroy(store);
        return err_set(err, MD_ENOMEM, "store: no memory for %u streams", config->streams_max);
    }
    tune_init(store);
    int code = open_files(store, err);
    if (code != 0) {
        store_destroy(store);
        return code;
    }
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        enum channel of = (enum channel)channel;
        row_layout_init(&store->layouts[channel], schema_of_with(of, config->schema_options),
                        schema_has_symbol_path(of) ? 2 : 1);
        store->bounds[channel] = sealer_bounds(store->sealer, of);
    }
    *out = store;
    return 0;
}

void store_destroy(struct store *store)
{
    if (store == NULL) {
        return;
    }
    sealer_destroy(store->sealer);
    spool_close(&store->spool);
    manifest_close(&store->manifest);
    sealed_table_deinit(&store->sealed);
    facts_table_deinit(&store->facts);
    stream_table_deinit(&store->streams);
    block_pool_deinit(&store->pool);
    alloc_give(store->open);
    alloc_give(store);
}

/* ---- waiting for the disk */

/* Takes back what the sealer is done with; true when there was something. */
static bool reap(struct store *store)
{
    struct seal_job *job = sealer_reap(store->sealer);
    bool some = job != NULL;
    while (job != NULL) {
        struct seal_job *next = job->next;
        if (job->stage == SEAL_FILE && job->last_seq > store->manifest_last_seq) {
            store->manifest_last_seq = job->last_seq;
        }
        store->job_first_seq[job - store->jobs] = UINT64_MAX;
        job->next = store->job_free;
        store->job_free = job;
        job = next;
    }
    return some;
}

/* Without a seal thread: runs what can be run. True when something was sealed. */
static bool seal_here(struct store *store)
{
    if (store->config.seal_thread) {
        return false;
    }
    spool_flush(&store->spool); /* a failure shows as jobs that cannot go */
    bool sealed = sealer_run_all(store->sealer);
    reap(store);
    return sealed;
}

static int64_t wait_limit_ms(const struct store_config *config)
{
    if (config->spool_wait_ms == 0) {
        return config->seal_thread ? WAIT_MS_DEFAULT : 0;
    }
    return config->spool_wait_ms;
}

/* Waits one step for what is missing. True when the seal thread gave something back. */
static bool wait_a_step(struct store *store, int code)
{
    if (code != MD_EFULL || !store->config.seal_thread) {
        struct timespec step = {0, WAIT_STEP_MS * 1000000L};
        nanosleep(&step, NULL);
        return false;
    }
    /* What is missing is the seal thread's to give; it may wait for our tail of the spool. */
    if (spool_flush(&store->spool) == 0) {
        sealer_wake(store->sealer);
    }
    sealer_wait(store->sealer, WAIT_STEP_MS);
    return reap(store);
}

/* Neither memory nor disk took what had to be taken. True: try again. */
static bool wait_for_disk(struct store *store, int code)
{
    if (seal_here(store)) {
        return true;
    }
    int64_t limit_ms = wait_limit_ms(&store->config);
    if (!store->failing) {
        store->failing = true;
        store->waited_ms = 0;
    }
    if (store->waited_ms >= limit_ms) {
        return false;
    }
    store->waited_ms = wait_a_step(store, code) ? 0 : store->waited_ms + WAIT_STEP_MS;
    if (store->waited_ms == WAIT_TOLD_MS) {
        LOG_ERROR("spool_failing", "%s: rows cannot be put aside: %s: waiting up to %lld ms",
                  store->io->root, err_text(code), (long long)limit_ms);
    }
    return true;
}

static void disk_took_it(struct store *store)
{
    store->failing = false;
}

/* ---- closing */

static struct open_file *file_of(struct store *store, const struct stream *stream)
{
    ASSERT(stream->open_index != NO_INDEX);
    return &store->open[stream->open_index];
}

static void open_release(struct store *store, struct stream *stream, struct open_file *open)
{
    block_drop(store, open);
    uint32_t index = (uint32_t)(open - store->open);
    uint32_t last = store->active[--store->active_count];
    store->active[open->active_at] = last;
    store->open[last].active_at = open->active_at;
    open->active_at = store->open_free;
    store->open_free = index;
    store->open_first_seq[index] = UINT64_MAX;
    stream->open_index = NO_INDEX;
    atomic_store_explicit(&store->counters.open_partitions, store->active_count,
                          memory_order_relaxed);
}

static struct seal_job *job_take(struct store *store)
{
    if (store->job_free == NULL) {
        reap(store);
    }
    struct seal_job *job = store->job_free;
    if (job != NULL) {
        store->job_free = job->next;
    }
    return job;
}

static void job_submit(struct store *store, const struct stream *stream,
                       const struct open_file *open, struct seal_job *job, enum seal_stage stage)
{
    *job = (struct seal_job){
        .stream = (uint32_t)(stream - store->streams.streams),
        .stage = stage,
        .venue = stream->venue,
        .channel = stream->channel,
        .zstd_level = (uint8_t)store->tuner.zstd_level,
        .number = stream->file.number,
        .symbol = stream->symbol,
        .hour_unix_ns = stream->file.hour_unix_ns,
        .first_unix_ns = open->first_unix_ns,
        .last_unix_ns = stream->file.last_unix_ns,
        .first_seq = open->first_seq,
        .last_seq = stream->file.last_seq,
        .rows = stream->file.rows,
        .missing = open->missing,
        .gaps = open->gaps,
        .facts = facts_find(&store->facts, stream->facts_symbol),
        .chain = open->chain,
    };
    store->job_first_seq[job - store->jobs] = stage == SEAL_FILE ? job->first_seq : UINT64_MAX;
    sealer_submit(store->sealer, job);
}

/* The stream's rows from its open file on cannot be kept in this run. */
static void freeze(struct store *store, struct stream *stream, uint64_t seq)
{
    uint64_t first_seq = seq;
    if (stream->open_index != NO_INDEX) {
        struct open_file *open = file_of(store, stream);
        first_seq = open->first_seq < seq ? open->first_seq : seq;
        count_add(&store->counters.rows_lost, stream->file.rows);
        struct seal_job *job = job_take(store);
        if (job != NULL) { /* else its spool stays until the next start */
            job_submit(store, stream, open, job, SEAL_DISCARD);
        }
        open_release(store, stream, open);
    }
    stream->file.open = false;
    stream->frozen = true;
    store->frozen_seq = first_seq < store->frozen_seq ? first_seq : store->frozen_seq;
    uint32_t frozen = atomic_load(&store->counters.streams_frozen);
    atomic_store(&store->counters.streams_frozen, frozen + 1);
    char symbol[128];
    str_printable(symbol, sizeof symbol, stream->symbol.data,
                  stream->symbol.bytes < 30 ? stream->symbol.bytes : 30);
    LOG_ERROR("stream_frozen",
              "%s %s %s: the disk takes no rows: not landed in this run; the journal keeps them "
              "from record %llu on and they land at the next start: make room and restart",
              venue_name((enum venue_id)stream->venue), channel_name((enum channel)stream->channel),
              symbol, (unsigned long long)first_seq);
}

static void close_file(struct store *store, struct stream *stream)
{
    if (stream->file.skipped) {
        file_end(&stream->file);
        return;
    }
    struct open_file *open = file_of(store, stream);
    int code = 0;
    while ((code = block_spool(store, open)) < 0) {
        if (!wait_for_disk(store, code)) {
            freeze(store, stream, open->first_seq);
            return;
        }
    }
    struct seal_job *job = NULL;
    while ((job = job_take(store)) == NULL) {
        if (!wait_for_disk(store, MD_EFULL)) {
            freeze(store, stream, open->first_seq);
            return;
        }
    }
    disk_took_it(store);
    job_submit(store, stream, open, job, SEAL_FILE);
    open_release(store, stream, open);
    file_end(&stream->file);
}

/* ---- landing */

static void begin_file(struct store *store, struct stream *stream, const struct event *event,
                       bool skipped)
{
    file_begin(&store->config, &stream->file, event->recv_unix_ns, skipped);
    if (skipped) {
        return;
    }
    ASSERT(store->open_free != NO_INDEX); /* at most one a stream, and streams are bounded */
    uint32_t index = store->open_free;
    struct open_file *open = &store->open[index];
    store->open_free = open->active_at;
    *open = (struct open_file){
        .stream = (uint32_t)(stream - store->streams.streams),
        .active_at = store->active_count,
        .resident_at = NO_INDEX,
        .first_unix_ns = event->recv_unix_ns,
        .first_seq = event->seq,
    };
    spool_chain_init(&open->chain);
    store->active[store->active_count++] = index;
    store->open_first_seq[index] = event->seq;
    stream->open_index = index;
    atomic_store_explicit(&store->counters.open_partitions, store->active_count,
                          memory_order_relaxed);
    if (store->active_count > atomic_load(&store->counters.open_partitions_high)) {
        atomic_store(&store->counters.open_partitions_high, store->active_count);
    }
}

static bool put_row(struct store *store, struct open_file *open, const struct row_layout *layout,
                    const struct cell *cells, uint32_t text_bytes)
{
    uint64_t cut = 0;
    uint8_t *place = block_place(open, layout->row_bytes + text_bytes);
    uint8_t *row = place != NULL ? place : store->row;
    uint32_t bytes = (uint32_t)row_encode(layout, &open->state, cells, row, &cut);
    if (__builtin_expect(cut > 0, 0)) {
        count_add(&store->counters.texts_cut, cut);
    }
    if (place != NULL) {
        block_took_row(store, open, bytes);
        return true;
    }
    int code = 0;
    while ((code = block_put_row(store, open, bytes)) < 0) {
        if (!wait_for_disk(store, code)) {
            return false;
        }
    }
    if (__builtin_expect(store->failing, 0)) {
        disk_took_it(store);
    }
    return true;
}

/* The event's rows. False: the stream is frozen now. */
static bool land_rows(struct store *store, struct stream *stream, const struct event *event,
                      uint32_t rows, bool skip)
{
    const struct row_layout *layout = &store->layouts[stream->channel];
    struct cell cells[COLUMNS_MAX];
    struct file_clock *file = &stream->file;
    struct open_file *open = skip ? NULL : file_of(store, stream);
    for (uint32_t row = 0; row < rows; row++) {
        if (row == 0) {
            schema_event_cells_with(event, row, store->config.schema_options, cells);
        } else {
            schema_event_cells_next(event, row, store->config.schema_options, cells);
        }
        struct row_weight weight = row_text_weight(layout, cells);
        file->texts += weight.texts;
        file->text_bytes += weight.text_bytes;
        if (!skip && !put_row(store, open, layout, cells, weight.text_bytes)) {
            count_add(&store->counters.rows_lost, rows);
            return false;
        }
    }
    file->rows += rows;
    file->last_seq = event->seq;
    file->last_unix_ns = event->recv_unix_ns;
    if (open != NULL) {
        open->gaps += stream->pending_gaps;
        open->missing += stream->pending_missing;
    }
    stream->pending_gaps = 0;
    stream->pending_missing = 0;
    return true;
}

static void gap_pending(struct stream *stream, const struct gap_event *gap)
{
    if (stream->file.hour_unix_ns != INT64_MIN) { /* it had a row */
        stream->pending_gaps++;
        stream->pending_missing += gap->missing > 0 ? (uint64_t)gap->missing : 0;
    }
}

/* A gap row is also a fact of the files of those it speaks of. */
static void note_gap(struct store *store, const struct event *event)
{
    const struct gap_event *gap = &event->gap;
    if (!gap->all_channels && event->symbol.bytes > 0) {
        struct stream *stream =
            stream_find(&store->streams, event->venue, gap->of_channel, event->symbol);
        if (stream != NULL) {
            gap_pending(stream, gap);
        }
        return;
    }
    for (uint32_t i = 0; i < store->streams.count; i++) {
        struct stream *stream = &store->streams.streams[i];
        if (stream->venue == event->venue &&
            schema_has_symbol_path((enum channel)stream->channel) &&
            (gap->all_channels || stream->channel == gap->of_channel) &&
            (event->symbol.bytes == 0 || str_equal(stream->symbol, event->symbol))) {
            gap_pending(stream, gap);
        }
    }
}

static void copy_name(char out[16], struct str name)
{
    size_t bytes = name.bytes < 15 ? name.bytes : 15;
    if (bytes > 0) {
        memcpy(out, name.data, bytes);
    }
    out[bytes] = 0;
}

static bool starts_with(struct str text, struct str start)
{
    return text.bytes >= start.bytes && memcmp(text.data, start.data, start.bytes) == 0;
}

static void note_facts(struct store *store, const struct event *event)
{
    const struct instrument_event *instrument = &event->instrument;
    struct seal_facts facts = {
        .tick_size = instrument->tick_size,
        .lot_size = instrument->lot_size,
        .contract_multiplier = instrument->contract_multiplier,
        .inverse = starts_with(instrument->type, STR("inverse")),
    };
    copy_name(facts.base, instrument->base);
    copy_name(facts.quote, instrument->quote);
    facts_note(&store->facts, facts_hash(event->venue, event->symbol), &facts);
}

/* Contracts in units of the base asset: exact, or for inverse contracts (a contract is so much of
 * the quote currency) divided by the price, to the digits a double can hold. Not set: not known. */
static struct decimal_opt base_amount(const struct seal_facts *facts,
                                      const struct trade_event *trade)
{
    struct decimal_opt base = {0};
    if (facts == NULL || !facts->contract_multiplier.set) {
        return base;
    }
    base.set = decimal_multiply(trade->amount, facts->contract_multiplier.value, &base.value) == 0;
    if (base.set && facts->inverse) {
        base.set = decimal_divide(base.value, trade->price, DOUBLE_DIGITS, &base.value) == 0;
    }
    return base;
}

static struct stream *outside_stream(struct store *store, uint32_t outside,
                                     const struct event *event)
{
    ASSERT(outside < store->streams.outside_max);
    uint32_t known = store->streams.by_outside[outside];
    if (known != 0) {
        return &store->streams.streams[known - 1];
    }
    struct stream *stream = stream_of(&store->streams, event->venue, event->channel, event->symbol);
    if (stream != NULL) {
        stream->sealed_seq =
            sealed_find(&store->sealed, event->venue, event->channel, event->symbol);
        uint32_t index = (uint32_t)(stream - store->streams.streams);
        store->streams.by_outside[outside] = index + 1;
    }
    return stream;
}

static bool is_sealed(const struct store *store, const struct stream *stream,
                      const struct event *event)
{
    return store->config.skip_existing && event->seq <= stream->sealed_seq;
}

/* The file the event's rows go to, begun if need be. False: frozen. */
static bool right_file(struct store *store, uint32_t outside, struct stream *stream,
                       const struct event *event, bool skip)
{
    struct file_clock *file = &stream->file;
    bool ends = file_ends_at_event(&store->config, &store->bounds[stream->channel], file,
                                   event->recv_unix_ns, event->seq);
    if (ends || (file->open && file->skipped && !skip)) {
        close_file(store, stream);
    }
    if (stream->frozen || file->open) {
        return !stream->frozen;
    }
    begin_file(store, stream, event, skip);
    if (!skip && event->channel == CHANNEL_DEPTH && !event->depth.is_snapshot &&
        store->handlers.on_file_begin != NULL) {
        store->handlers.on_file_begin(store->handlers.context, outside, event);
    }
    return !stream->frozen;
}

void store_event(struct store *store, uint32_t outside, const struct event *event)
{
    uint32_t rows = schema_event_rows(event);
    if (rows == 0) {
        return;
    }
    if (event->channel == CHANNEL_GAPS) {
        note_gap(store, event);
    } else if (event->channel == CHANNEL_INSTRUMENTS) {
        note_facts(store, event);
    }
    struct stream *stream = outside_stream(store, outside, event);
    if (stream == NULL || stream->frozen) {
        count_add(&store->counters.rows_lost, rows);
        return;
    }
    ASSERT(stream->channel == event->channel);
    struct event based;
    if (event->channel == CHANNEL_TRADES && !event->trade.amount_base.set) {
        const struct seal_facts *facts = facts_find(&store->facts, stream->facts_symbol);
        struct decimal_opt base = base_amount(facts, &event->trade);
        if (base.set) { /* spot trades have none: not copied for nothing */
            based = *event;
            based.trade.amount_base = base;
            event = &based;
        }
    }
    stream->window_events =
        (uint16_t)(stream->window_events + (stream->window_events < UINT16_MAX));
    bool skip = is_sealed(store, stream, event);
    if (!right_file(store, outside, stream, event, skip)) {
        count_add(&store->counters.rows_lost, rows);
        return;
    }
    ASSERT(stream->file.skipped == skip);
    if (!land_rows(store, stream, event, rows, skip)) {
        freeze(store, stream, event->seq);
        return;
    }
    if (skip) {
        count_add(&store->counters.rows_skipped, rows);
    } else {
        count_add(&store->counters.rows, rows);
        count_add(&store->counters.rows_by_channel[stream->channel], rows);
    }
}

bool store_needs_snapshot(struct store *store, uint32_t outside, const struct event *event)
{
    if (event->channel != CHANNEL_DEPTH || event->depth.is_snapshot ||
        schema_event_rows(event) == 0) {
        return false;
    }
    const struct stream *stream = outside_stream(store, outside, event);
    if (stream == NULL || stream->frozen || is_sealed(store, stream, event)) {
        return false;
    }
    return !stream->file.open || stream->file.skipped ||
           file_ends_at_event(&store->config, &store->bounds[stream->channel], &stream->file,
                              event->recv_unix_ns, event->seq);
}

/* ---- time */

/* A silent stream's share of the spread: its own, the same in each run. */
static int64_t spread_of(const struct store *store, const struct stream *stream)
{
    int64_t spread = store->config.close_spread_ns;
    int64_t roll = store->config.roll_ns;
    if (roll > 0 && spread > roll / 2) {
        spread = roll / 2;
    }
    return spread > 0 ? (int64_t)(stream->hash >> 1) % spread : 0;
}

void store_tick(struct store *store, int64_t unix_ns)
{
    for (uint32_t i = store->active_count; i > 0; i--) {
        struct stream *stream = &store->streams.streams[store->open[store->active[i - 1]].stream];
        if (file_ends_at_tick(&store->config, &stream->file, spread_of(store, stream), unix_ns)) {
            close_file(store, stream);
        }
    }
    reap(store);
    if (!store->config.seal_thread) {
        sealer_resume(store->sealer);
        seal_here(store);
    } else if (sealer_jobs(store->sealer) > 0 && spool_flush(&store->spool) == 0) {
        sealer_wake(store->sealer);
    }
}

void store_close_all(struct store *store, int64_t unix_ns)
{
    (void)unix_ns; /* files end with their last row */
    for (uint32_t i = 0; i < store->streams.count; i++) {
        if (store->streams.streams[i].file.open) {
            close_file(store, &store->streams.streams[i]);
        }
    }
    if (sealer_jobs(store->sealer) > 0 && spool_flush(&store->spool) == 0) {
        sealer_wake(store->sealer);
    }
}

uint32_t store_drain(struct store *store, int timeout_ms)
{
    if (!store->config.seal_thread) {
        sealer_resume(store->sealer);
        seal_here(store);
        return sealer_jobs(store->sealer);
    }
    int64_t end_ns = clock_mono_ns(&clock_system) + timeout_ms * NS_PER_MS;
    while (sealer_jobs(store->sealer) > 0 && clock_mono_ns(&clock_system) < end_ns) {
        if (spool_flush(&store->spool) == 0) {
            sealer_wake(store->sealer);
        }
        sealer_wait(store->sealer, 50);
        reap(store);
    }
    reap(store);
    return sealer_jobs(store->sealer);
}

bool store_seal_one(struct store *store)
{
    ASSERT(!store->config.seal_thread);
    spool_flush(&store->spool); /* a failure shows as a job that cannot go */
    int code = sealer_run_some(store->sealer, 1);
    reap(store);
    return code > 0;
}

/* ---- what is known */

uint64_t store_needed_seq(struct store *store)
{
    reap(store);
    uint64_t needed = store->frozen_seq;
    for (uint32_t i = 0; i < store->active_count; i++) {
        uint64_t seq = store->open_first_seq[store->active[i]];
        needed = seq < needed ? seq : needed;
    }
    uint32_t jobs = jobs_max(&store->config);
    for (uint32_t i = 0; i < jobs; i++) {
        needed = store->job_first_seq[i] < needed ? store->job_first_seq[i] : needed;
    }
    return needed;
}

uint64_t store_manifest_last_seq(const struct store *store)
{
    return store->manifest_last_seq;
}

struct store_stats store_stats(struct store *store)
{
    struct store_counters *counters = &store->counters;
    struct sealer_stats seal = sealer_stats(store->sealer);
    struct store_stats stats = {
        .rows = atomic_load(&counters->rows),
        .rows_skipped = atomic_load(&counters->rows_skipped),
        .rows_lost = atomic_load(&counters->rows_lost),
        .files_sealed = seal.files,
        .bytes_sealed = seal.bytes,
        .files_failed = seal.failed,
        .blocks_spooled = atomic_load(&counters->blocks_spooled),
        .early_spools = atomic_load(&counters->early_spools),
        .spool_bytes = spool_bytes(&store->spool),
        .spool_bytes_high = spool_bytes_high(&store->spool),
        .pool_bytes = store->pool_bytes,
        .pool_bytes_used = store->pool.used_bytes,
        .open_partitions = atomic_load(&counters->open_partitions),
        .open_partitions_high = atomic_load(&counters->open_partitions_high),
        .resident_blocks = atomic_load(&counters->resident_blocks),
        .seal_jobs = sealer_jobs(store->sealer),
        .seal_ns_max = seal.seal_ns_max,
        .digits_over_15 = seal.digits_over_15,
        .manifest_lines = store->manifest_stats.lines,
        .manifest_damaged_lines = store->manifest_stats.damaged_lines,
        .texts_cut = atomic_load(&counters->texts_cut),
        .facts_refused = store->facts.refused,
        .streams_frozen = atomic_load(&counters->streams_frozen),
        .streams_refused = store->streams.refused,
        .disk_low = seal.disk_low,
        .tune =
            {
                .level_changes = atomic_load(&counters->level_changes),
                .blocks_changes = atomic_load(&counters->blocks_changes),
                .idle_changes = atomic_load(&counters->idle_changes),
                .blocks_sized = atomic_load(&counters->blocks_sized),
                .lines_refused = atomic_load(&counters->tune_refused),
                .zstd_level = atomic_load(&counters->zstd_level),
                .blocks_max = atomic_load(&counters->blocks_max),
            },
    };
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        stats.rows_by_channel[i] = atomic_load(&counters->rows_by_channel[i]);
        stats.bytes_by_channel[i] = seal.bytes_by_channel[i];
    }
    return stats;
}

const struct histogram *store_seal_times(const struct store *store)
{
    return sealer_times(store->sealer);
}
