/* Record -> decode -> normalise -> store. Deterministic: reads no clock and no socket, only
 * records. Invariants: state parts are taken only before the first other record (a fresh object);
 * each event reaches the store with the seq of the record that made it. Memory: the decoder's,
 * normalise's and the store's, all taken in land_open(). */
#include "app/land.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"
#include "watch/watch.h"

#define STATE_PART_BYTES 32768
#define STATE_LAND 'l'
#define STATE_NORMALISE 'n'
#define STATE_STORE 's'

struct land {
    struct decoder *decoder;
    struct normalise *normalise;
    struct store *store;
    struct land_handlers handlers;
    const struct settings *settings; /* borrowed */
    struct land_sizes sizes;
    int (*wait_synced)(void *context, uint64_t seq);
    void *wait_context;
    struct watch_landing *landing; /* NULL: nobody looks on */
    int message_channel;           /* of the message at hand; -1: it gave no event yet */
    bool warm;                     /* something other than state was landed */
    uint32_t conn_last, boot_epoch;
    uint64_t last_seq;
    int64_t last_unix_ns;
    struct land_stats stats;
};

static struct decoder_config decoder_sizes(const struct settings *settings)
{
    /* A level takes at least 10 bytes of text; two sides share a message. */
    int64_t levels = settings->net_message_bytes_max / 24;
    return (struct decoder_config){.levels_max = (uint32_t)(levels < 8192 ? 8192 : levels)};
}

static struct normalise_config normalise_sizes(const struct settings *settings,
                                               const struct land_sizes *sizes)
{
    return (struct normalise_config){
        .streams_max = sizes->streams_max,
        .symbol_bytes_max = 512,
        .names_bytes = (size_t)sizes->streams_max * 24 + 4096,
        .book_bytes = sizes->book_bytes,
        .books_max = sizes->books_max,
        .pending_deltas_bytes = 256 << 10,
        .open_gaps_max = (sizes->books_max + sizes->trades_max) * 4, /* OPEN_GAPS_A_STREAM */
        .recents_max = sizes->trades_max,
        .book_enabled = settings->book_enabled,
        .settings_fixed = sizes->settings_fixed,
        .backfill_enabled = settings->backfill_enabled,
        .backfill_trades_max = settings->backfill_max_trades,
        .backfill_age_ns = settings->backfill_max_age_secs * NS_PER_S,
        .shadow_secs = settings->book_shadow_check_secs,
        .first_data_ns = settings->net_first_data_secs * NS_PER_S,
        .stream_stall_ns = settings->net_stream_stall_secs * NS_PER_S,
    };
}

/* The channels that a venue's binary endpoint carries, a bit each. */
static uint32_t binary_channels(const struct venue *venue)
{
    uint32_t bits = 0;
    for (uint32_t channel = 0; channel < CHANNEL_COUNT; channel++) {
        struct venue_stream out[VENUE_STREAMS_MAX];
        struct stream_request request = {.channel = (enum channel)channel, .symbol = STR("A")};
        if (venue->streams(&request, VENUE_OPTION_BINARY, out) > 0 && out[0].endpoint > 0) {
            bits |= 1u << channel;
        }
    }
    return bits;
}

static struct store_config store_sizes(const struct settings *settings,
                                       const struct land_sizes *sizes, bool seal_thread)
{
    struct store_config config = {
        .format = (enum file_format)settings->output_format,
        .layout = (enum file_layout)settings->output_layout,
        .streams_max = sizes->streams_max,
        .record_batch_rows = (uint32_t)settings->output_record_batch_size,
        .row_group_rows = sizes->row_group_rows,
        .open_blocks_max = (uint32_t)settings->output_max_open_files,
        .row_block_bytes = sizes->row_block_bytes,
        .idle_close_ns = settings->output_idle_close_secs * NS_PER_S,
        .roll_ns = settings->output_roll_secs * NS_PER_S,
        .close_spread_ns = settings->output_close_spread_secs * NS_PER_S,
        .seal_jobs_max = sizes->streams_max * 2 + 16,
        .writer =
            {
                .zstd_level = (int)settings->output_zstd_level,
                .page_rows = 20000,
                .dictionary_bytes_max = 1 << 20,
                .row_group_rows_max = sizes->row_group_rows,
                .row_groups_max = 256,
                .csv_tardis = settings->output_csv_schema == 1,
            },
        .schema_options = (settings->output_local_ns ? SCHEMA_LOCAL_NS : 0U) |
                          (settings->output_decimal_columns ? SCHEMA_DECIMALS : 0U),
        .tune = settings->tune == 0,
        .seal_thread = seal_thread,
        .skip_existing = true,
        /* live, a full disk is waited for: the ring in front drops by rule and counts */
        .spool_wait_ms = seal_thread ? 3600 * 1000 : 0,
        .manifest_since_unix_ns = sizes->since_unix_ns,
    };
    memcpy(config.recorder, settings->recorder_id, strlen(settings->recorder_id) + 1);
    if (settings->binance_feed == 1) {
        config.binary_channels[VENUE_BINANCE] = binary_channels(venue_of(VENUE_BINANCE));
    }
    return config;
}

void land_memory_lines(const struct settings *settings, const struct land_sizes *sizes,
                       size_t lines[ALLOC_LINE_COUNT])
{
    struct decoder_config decoder = decoder_sizes(settings);
    struct normalise_config normalise = normalise_sizes(settings, sizes);
    struct store_config store = store_sizes(settings, sizes, true);
    size_t books = 0;
    size_t streams = normalise_memory_bytes(&normalise, &books);
    lines[ALLOC_DECODE] += decoder_memory_bytes(&decoder);
    lines[ALLOC_STREAMS] += streams - books + sizeof(struct land);
    lines[ALLOC_BOOKS] += books;
    store_memory_lines(&store, lines);
}

static void on_normal_event(void *context, uint32_t stream, const struct event *event)
{
    struct land *land = context;
    const struct land_handlers *handlers = &land->handlers;
    if (handlers->on_keep != NULL && event->symbol.bytes > 0 &&
        !handlers->on_keep(handlers->context, event->venue, event->symbol)) {
        return;
    }
    if (event->channel == CHANNEL_GAPS && land->landing != NULL) {
        watch_landing_gap(land->landing, event);
    }
    store_event(land->store, stream, event);
}

static void on_snapshot_wanted(void *context, enum venue_id venue, struct str symbol)
{
    struct land *land = context;
    if (land->handlers.on_snapshot_wanted != NULL) {
        land->handlers.on_snapshot_wanted(land->handlers.context, venue, symbol);
    }
}

static void on_check_wanted(void *context, enum venue_id venue, struct str symbol)
{
    struct land *land = context;
    if (land->handlers.on_check_wanted != NULL) {
        land->handlers.on_check_wanted(land->handlers.context, venue, symbol);
    }
}

static void on_trades_wanted(void *context, enum venue_id venue, struct str symbol,
                             const struct trades_hole *hole)
{
    struct land *land = context;
    if (land->handlers.on_trades_wanted != NULL) {
        land->handlers.on_trades_wanted(land->handlers.context, venue, symbol, hole);
    }
}

static void on_silent(void *context, enum venue_id venue, enum channel channel, struct str symbol)
{
    struct land *land = context;
    if (land->handlers.on_silent != NULL) {
        land->handlers.on_silent(land->handlers.context, venue, channel, symbol);
    }
}

static int on_wait_synced(void *context, uint64_t seq)
{
    struct land *land = context;
    return land->wait_synced(land->wait_context, seq);
}

static void on_file_begin(void *context, uint32_t stream, const struct event *event)
{
    struct land *land = context;
    normalise_book_snapshot(land->normalise, stream, event);
}

int land_open(struct land **out, struct mdio *io, const struct settings *settings,
              const struct land_sizes *sizes, bool seal_thread,
              const struct land_handlers *handlers, int (*wait_synced)(void *context, uint64_t seq),
              void *wait_context, struct err *err)
{
    struct land *land = alloc_take(ALLOC_STREAMS, sizeof *land);
    if (land == NULL) {
        return err_set(err, MD_ENOMEM, "landing: no memory");
    }
    land->handlers = *handlers;
    land->settings = settings;
    land->sizes = *sizes;
    struct decoder_config decoder = decoder_sizes(settings);
    struct normalise_config normalise = normalise_sizes(settings, sizes);
    struct store_config store = store_sizes(settings, sizes, seal_thread);
    struct normalise_handlers on_normalised = {
        .on_event = on_normal_event,
        .on_snapshot_wanted = on_snapshot_wanted,
        .on_check_wanted = on_check_wanted,
        .on_silent = handlers->on_silent != NULL ? on_silent : NULL,
        .on_trades_wanted = on_trades_wanted,
        .context = land,
    };
    struct store_handlers on_stored = {on_file_begin, wait_synced != NULL ? on_wait_synced : NULL,
                                       land};
    land->wait_synced = wait_synced;
    land->wait_context = wait_context;
    land->decoder = decoder_create(&decoder);
    land->normalise = normalise_create(&normalise, &on_normalised);
    int code = 0;
    if (land->decoder == NULL || land->normalise == NULL) {
        code = err_set(err, MD_ENOMEM, "landing: no memory for %u streams", sizes->streams_max);
    } else {
        code = store_open(&land->store, io, &store, &on_stored, err);
    }
    if (code != 0) {
        land_close(land);
        return code;
    }
    *out = land;
    return 0;
}

/* ---- records */

static bool is_timely(const struct event *event)
{
    return event->conn != 0 && event->event_unix_ns != TIME_NONE &&
           (event->channel == CHANNEL_TRADES || event->channel == CHANNEL_BOOK_TICKER ||
            event->channel == CHANNEL_DEPTH);
}

static void on_decoded(void *context, const struct event *event)
{
    struct land *land = context;
    land->message_channel = (int)event->channel;
    if (land->landing != NULL) {
        land->landing->counts[event->venue][event->channel].events++;
        if (is_timely(event)) {
            histogram_add(&land->landing->latency[event->venue],
                          event->recv_unix_ns - event->event_unix_ns);
        }
    }
    normalise_event(land->normalise, event);
}

static void count_reason(struct land *land, const struct record *record,
                         const struct decode_result *result)
{
    struct land_stats *stats = &land->stats;
    stats->undecodable++;
    for (uint32_t i = 0; i < stats->reason_count; i++) {
        struct land_reason *known = &stats->reasons[i];
        if (known->venue == record->venue && known->channel == result->channel &&
            known->reason == result->reason) {
            known->count++;
            return;
        }
    }
    if (stats->reason_count == LAND_REASONS_MAX) {
        stats->undecodable_unlisted++;
        return;
    }
    stats->reasons[stats->reason_count++] =
        (struct land_reason){record->venue, result->channel, result->reason, 1};
}

static void undecodable(struct land *land, const struct record *record,
                        const struct decode_result *result)
{
    count_reason(land, record, result);
    char shown[200 * 4 + 1];
    str_printable(shown, sizeof shown, record->payload.data,
                  record->payload.bytes < 200 ? record->payload.bytes : 200);
    LOG_WARN("undecodable", "%s: connection %u: %s: %s: kept in the journal as record %llu: %s",
             venue_name(record->venue), record->conn,
             result->channel >= 0 ? channel_name((enum channel)result->channel) : "unknown stream",
             result->reason, (unsigned long long)record->seq, shown);
    normalise_undecodable(land->normalise, record, result);
}

static void count_message(struct land *land, const struct record *record,
                          const struct decode_result *result)
{
    int channel = land->message_channel >= 0 ? land->message_channel : result->channel;
    struct watch_counts *counts =
        &land->landing->counts[record->venue][channel >= 0 ? channel : CHANNEL_COUNT];
    counts->messages++;
    counts->bytes += record->payload.bytes;
    counts->undecodable += result->code != 0;
}

static void land_message(struct land *land, const struct record *record)
{
    const struct venue *venue = venue_of(record->venue);
    if (venue == NULL) {
        struct decode_result unknown = {MD_EUNKNOWN, -1,    "no such venue in this version",
                                        false,       false, 0};
        undecodable(land, record, &unknown);
        return;
    }
    land->message_channel = -1;
    struct decode_result result = venue->decode(land->decoder, record, on_decoded, land);
    if (land->landing != NULL && !result.control) {
        count_message(land, record, &result);
    }
    land->stats.messages += record->kind == RECORD_RECV || record->kind == RECORD_RECV_BINARY;
    land->stats.bytes += record->payload.bytes;
    land->stats.controls += result.control;
    land->stats.general_path += result.general_path;
    land->stats.digits_over_15 += result.digits_over_15;
    if (result.code != 0) {
        undecodable(land, record, &result);
    }
    if (record->kind == RECORD_REST) {
        normalise_record(land->normalise, record);
    }
}

static void restore(struct land *land, struct str payload)
{
    if (land->warm) { /* the run that wrote it did the same: what is under way is not in it */
        normalise_shadow_reset(land->normalise);
        return;
    }
    if (payload.bytes < 1) {
        return;
    }
    struct str part = str_make(payload.data + 1, payload.bytes - 1);
    int code = 0;
    switch (payload.data[0]) {
    case STATE_NORMALISE:
        code = normalise_restore(land->normalise, part);
        break;
    case STATE_STORE:
        code = store_restore(land->store, part);
        break;
    case STATE_LAND:
        code = part.bytes == 8 ? 0 : MD_ECORRUPT;
        if (code == 0) {
            land->conn_last = load_u32(part.data);
            land->boot_epoch = load_u32(part.data + 4);
        }
        break;
    default: /* of a later version */
        code = MD_ENOTSUP;
        break;
    }
    if (code != 0) {
        land->stats.state_parts_damaged++;
        LOG_WARN("state_damaged", "checkpoint part '%c' not usable: %s: its streams start cold",
                 payload.data[0], err_text(code));
    }
}

/* What was recorded with other settings has been landed with those. */
static void configure(struct land *land, const struct record *record)
{
    static struct settings settings; /* too large for a stack */
    struct err err = {{0}};
    settings = *land->settings;
    if (settings_landing_parse(&settings, record->payload, &err) != 0) {
        LOG_WARN("config_damaged", "journal: record %llu: %s: the settings stay as they were",
                 (unsigned long long)record->seq, err.text);
        return;
    }
    struct normalise_config normalise = normalise_sizes(&settings, &land->sizes);
    normalise_configure(land->normalise, record, &normalise);
}

void land_record(struct land *land, const struct record *record)
{
    land->stats.records++;
    if (record->kind == RECORD_STATE) {
        restore(land, record->payload);
        return;
    }
    land->warm = true;
    land->last_seq = record->seq;
    land->last_unix_ns = record->time_unix_ns;
    land->conn_last = record->conn > land->conn_last ? record->conn : land->conn_last;
    switch (record->kind) {
    case RECORD_RECV:
    case RECORD_RECV_BINARY:
    case RECORD_REST:
    case RECORD_REST_PART:
        land_message(land, record);
        break;
    case RECORD_TICK:
        normalise_record(land->normalise, record);
        store_tick(land->store, record->time_unix_ns);
        break;
    case RECORD_STOP:
        normalise_record(land->normalise, record);
        store_close_all(land->store, record->time_unix_ns);
        break;
    case RECORD_START:
        land->boot_epoch++;
        decoder_restart(land->decoder); /* the rest of a body that was under way never came */
        normalise_record(land->normalise, record);
        break;
    case RECORD_OPEN:
    case RECORD_SENT:
    case RECORD_CLOSE:
    case RECORD_DROP:
        normalise_record(land->normalise, record);
        break;
    case RECORD_TUNE:
        store_tune(land->store, record->payload);
        break;
    case RECORD_CONFIG:
        configure(land, record);
        break;
    case RECORD_STATE:
        break;
    }
}

/* ---- checkpoint */

void land_sizes_format(const struct land_sizes *sizes, struct buf *out)
{
    buf_printf(out,
               "sizes.streams_max=%u\nsizes.books_max=%u\nsizes.trades_max=%u\n"
               "sizes.book_bytes=%zu\nsizes.row_group_rows=%u\n",
               sizes->streams_max, sizes->books_max, sizes->trades_max, sizes->book_bytes,
               sizes->row_group_rows);
}

void land_sizes_parse(struct land_sizes *sizes, struct str text)
{
    static const char *const names[] = {
        "sizes.streams_max=", "sizes.books_max=", "sizes.book_bytes=", "sizes.row_group_rows=",
        "sizes.trades_max="};
    uint64_t values[] = {sizes->streams_max, sizes->books_max, sizes->book_bytes,
                         sizes->row_group_rows, sizes->trades_max};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *at = memmem(text.data, text.bytes, names[i], strlen(names[i]));
        uint64_t value = 0;
        bool any = false;
        const char *end = text.data + text.bytes;
        for (at = at != NULL ? at + strlen(names[i]) : end; at < end && *at >= '0' && *at <= '9';
             at++) {
            value = value < (1ULL << 40) ? value * 10 + (uint64_t)(*at - '0') : value;
            any = true;
        }
        values[i] = any ? value : values[i];
    }
    if (values[0] > 0 && values[0] < 1u << 24 && values[1] > 0 && values[1] < 1u << 24 &&
        values[4] < 1u << 24) {
        sizes->streams_max = (uint32_t)values[0];
        sizes->books_max = (uint32_t)values[1];
        sizes->book_bytes = (size_t)values[2];
        sizes->trades_max = (uint32_t)values[4];
    }
    if (values[3] >= 100 && values[3] <= 1000000) { /* the bounds of the setting */
        sizes->row_group_rows = (uint32_t)values[3];
    }
}

struct part_writer {
    char tag;
    void (*put)(void *context, struct str payload);
    void *context;
    char bytes[STATE_PART_BYTES + 1];
};

static void put_part(void *context, struct str part)
{
    struct part_writer *writer = context;
    ASSERT(part.bytes <= STATE_PART_BYTES);
    writer->bytes[0] = writer->tag;
    memcpy(writer->bytes + 1, part.data, part.bytes);
    writer->put(writer->context, str_make(writer->bytes, part.bytes + 1));
}

bool land_between_bodies(const struct land *land)
{
    return !decoder_in_body(land->decoder);
}

void land_checkpoint(struct land *land, void (*put)(void *context, struct str payload),
                     void *context)
{
    struct part_writer writer = {.tag = STATE_LAND, .put = put, .context = context};
    normalise_shadow_reset(land->normalise);
    char own[8];
    store_u32(own, land->conn_last);
    store_u32(own + 4, land->boot_epoch);
    put_part(&writer, str_make(own, sizeof own));
    writer.tag = STATE_NORMALISE;
    normalise_checkpoint(land->normalise, STATE_PART_BYTES, put_part, &writer);
    writer.tag = STATE_STORE;
    store_checkpoint(land->store, STATE_PART_BYTES, put_part, &writer);
}

void land_finish(struct land *land)
{
    struct record stop = {
        .seq = land->last_seq, .time_unix_ns = land->last_unix_ns, .kind = RECORD_STOP};
    normalise_record(land->normalise, &stop);
    store_close_all(land->store, land->last_unix_ns);
}

void land_close(struct land *land)
{
    if (land == NULL) {
        return;
    }
    store_destroy(land->store);
    normalise_destroy(land->normalise);
    decoder_destroy(land->decoder);
    alloc_give(land);
}

void land_watch(struct land *land, struct watch_landing *landing)
{
    land->landing = landing;
}

struct store *land_store(struct land *land)
{
    return land->store;
}

const struct normalise *land_normalise(const struct land *land)
{
    return land->normalise;
}

const struct land_stats *land_stats(const struct land *land)
{
    return &land->stats;
}

uint32_t land_conn_last(const struct land *land)
{
    return land->conn_last;
}

uint32_t land_boot_epoch(const struct land *land)
{
    return land->boot_epoch;
}

bool land_conn_told(const struct record *record, uint32_t *conn)
{
    const struct str payload = record->payload;
    if (record->kind == RECORD_TICK) {
        *conn = record->conn;
        return *conn > 0; /* else an earlier version's, or there was none yet */
    }
    if (record->kind == RECORD_STATE && payload.bytes == 9 && payload.data[0] == STATE_LAND) {
        *conn = load_u32(payload.data + 1);
        return true;
    }
    return false;
}
