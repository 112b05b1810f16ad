#ifndef MD_WATCH_METRICS_H
#define MD_WATCH_METRICS_H

#include "watch/health.h"
#include "watch/view.h"

/* Every metric is one row: it makes the line in /metrics and the entry in docs/metrics.md.
 *
 * enum, scope (which labels), name behind "market_data_", kind, unit, value, label, what an
 * operator does when it moves. In `value`, `view` and `health` are at hand; a, b, c are the indexes
 * of the scope: ONE                  no labels EXCHANGE             exchange venue (struct
 * watch_venue) is at hand EXCHANGE_CHANNEL     exchange, channel             b: enum channel,
 * CHANNEL_COUNT = not known EXCHANGE_REASON      exchange, reason              b: enum feed_end
 *   EXCHANGE_GAP         exchange, cause, resolution   b: enum gap_kind, c: enum gap_resolved
 *   CHANNEL              channel                       a: enum channel
 *   LINE                 line                          a: enum alloc_line
 *   CONDITION            condition                     a: enum health_condition
 *   LEVEL                level                         a: error, warn
 * Rows with more than one label are printed when they are not 0, all others always. */
#define METRICS_LIST(X)                                                                            \
    X(METRIC_HEALTH, ONE, "health", GAUGE, "0 green, 1 amber, 2 red", health->level,               \
      "How the recorder is.", "At 1 or 2 look at market_data_condition, or at the page.")          \
    X(METRIC_CONDITION, CONDITION, "condition", GAUGE, "0 or 1", health->states[a].on,             \
      "What is the matter, by name.", "What to do is said per condition, below.")                  \
    X(METRIC_CONNECTIONS, EXCHANGE, "connections", GAUGE, "connections", venue->feed.connections,  \
      "Connections planned.", "Only for comparison with connections_live.")                        \
    X(METRIC_CONNECTIONS_LIVE, EXCHANGE, "connections_live", GAUGE, "connections",                 \
      venue->feed.live, "Connections with every stream acknowledged.",                             \
      "Below connections for longer than a minute: look at the log and the venue's status page.")  \
    X(METRIC_STREAMS, EXCHANGE, "subscriptions", GAUGE, "streams", venue->feed.streams,            \
      "Streams wanted.", "Only for comparison with subscriptions_pending.")                        \
    X(METRIC_PENDING, EXCHANGE, "subscriptions_pending", GAUGE, "streams",                         \
      venue->feed.streams - venue->feed.streams_on - venue->feed.streams_refused,                  \
      "Streams not acknowledged yet.",                                                             \
      "Falls to 0 in the time that check prints; if it stays up, the venue refuses or throttles.") \
    X(METRIC_REFUSED, EXCHANGE, "subscriptions_refused", GAUGE, "streams",                         \
      venue->feed.streams_refused, "Streams the venue does not give.",                             \
      "The log names them: take them out of symbols or channels.")                                 \
    X(METRIC_SYMBOLS, EXCHANGE, "symbols", GAUGE, "symbols", venue->feed.symbols,                  \
      "Symbols recorded now.", "Moves with listings when symbols holds patterns; else never.")     \
    X(METRIC_RECONNECTS, EXCHANGE_REASON, "reconnects_total", COUNTER, "connections",              \
      venue->feed.ends[b], "Connections that ended against our will, by reason.",                  \
      "closed and silent a few times a day are normal; unreached: the network; refused: the key, " \
      "certificate or proxy; no_answer: lower the rate of requests.")                              \
    X(METRIC_ROTATIONS, EXCHANGE, "rotations_total", COUNTER, "connections",                       \
      venue->feed.rotations, "Connections replaced before their end, the new one first.",          \
      "Nothing: once in the venue's connection life is normal.")                                   \
    X(METRIC_RENEWED, EXCHANGE, "resubscriptions_total", COUNTER, "streams", venue->feed.renewed,  \
      "Streams subscribed again because they were silent or lost their book.",                     \
      "If it grows steadily, look in the log for the symbol: it may be halted.")                   \
    X(METRIC_THROTTLED, EXCHANGE, "throttled_total", COUNTER, "answers",                           \
      venue->feed.throttled + venue->feed.rest_throttled, "Times the venue said: too fast.",       \
      "Lower rest_weight_percent or raise the subscribe delays; is another program on this "       \
      "address?")                                                                                  \
    X(METRIC_ACK_TIMEOUTS, EXCHANGE, "requests_unanswered_total", COUNTER, "requests",             \
      venue->feed.ack_timeouts, "Subscribe requests that were not answered in time.",              \
      "If it grows, the venue is overloaded or the line is bad.")                                  \
    X(METRIC_REST, EXCHANGE, "rest_requests_total", COUNTER, "requests",                           \
      venue->feed.rest_requests, "REST requests made.", "Nothing; see rest_weight.")               \
    X(METRIC_REST_FAILED, EXCHANGE, "rest_failures_total", COUNTER, "requests",                    \
      venue->feed.rest_failures, "REST requests that failed; they are made again.",                \
      "The log says the status; 403 and 451 mean that the venue does not serve this address.")     \
    X(METRIC_REST_WEIGHT, EXCHANGE, "rest_weight", GAUGE, "weight in the last minute",             \
      venue->feed.rest_weight_minute, "REST weight used by us.",                                   \
      "At rest_weight_limit snapshots wait: raise rest_weight_percent if nothing else shares "     \
      "the address.")                                                                              \
    X(METRIC_REST_LIMIT, EXCHANGE, "rest_weight_limit", GAUGE, "weight a minute",                  \
      venue->feed.rest_weight_limit, "REST weight we allow ourselves.",                            \
      "Set by rest_weight_percent.")                                                               \
    X(METRIC_REST_SAID, EXCHANGE, "rest_weight_said", GAUGE, "weight, -1 = not said",              \
      venue->feed.rest_weight_used, "REST weight used, as the venue counts it for this address.",  \
      "Much above rest_weight: another program shares the address.")                               \
    X(METRIC_RECEIVED, EXCHANGE, "received_messages_total", COUNTER, "messages",                   \
      venue->feed.messages, "Messages from the sockets, control messages among them.",             \
      "Its rate is the load; 0 for a minute: nothing comes.")                                      \
    X(METRIC_RECEIVED_BYTES, EXCHANGE, "received_bytes_total", COUNTER, "bytes",                   \
      venue->feed.bytes, "Payload bytes from the sockets.",                                        \
      "Its rate times 86400, over five, is about what the journal writes a day.")                  \
    X(METRIC_MESSAGES, EXCHANGE_CHANNEL, "messages_total", COUNTER, "messages",                    \
      view->land->counts[venue->id][b].messages, "Messages landed, by channel.",                   \
      "A channel that stands still while others move is halted or not subscribed.")                \
    X(METRIC_BYTES, EXCHANGE_CHANNEL, "message_bytes_total", COUNTER, "bytes",                     \
      view->land->counts[venue->id][b].bytes, "Payload bytes landed, by channel.",                 \
      "Shows which channel costs the journal most.")                                               \
    X(METRIC_EVENTS, EXCHANGE_CHANNEL, "events_total", COUNTER, "events",                          \
      view->land->counts[venue->id][b].events, "Events read from messages, by channel.",           \
      "Nothing; a message may hold several.")                                                      \
    X(METRIC_UNDECODABLE, EXCHANGE_CHANNEL, "decode_errors_total", COUNTER, "messages",            \
      view->land->counts[venue->id][b].undecodable, "Messages that could not be read.",            \
      "They are kept in the journal: set journal.keep, look for an update, then rederive.")        \
    X(METRIC_DROPS, EXCHANGE_CHANNEL, "dropped_messages_total", COUNTER, "messages",               \
      venue->dropped[b], "Messages dropped because the queue was full.",                           \
      "Any: too much for this machine, or the disk stood still: fewer symbols or channels, a "     \
      "faster disk, a larger memory.queue_bytes. Each burst is a row in gaps.")                    \
    X(METRIC_DROP_RATIO, ONE, "drop_ratio", GAUGE, "dropped of received, last second",             \
      view->drops_per_s / (view->messages_per_s > 1 ? view->messages_per_s : 1),                   \
      "Share of messages dropped just now.", "Above 0: see dropped_messages_total.")               \
    X(METRIC_CONTROL_LOST, ONE, "control_records_lost_total", COUNTER, "records",                  \
      view->net->control_lost, "Control records that found the queue full to the brim.",           \
      "Any: raise memory.queue_bytes.")                                                            \
    X(METRIC_QUEUE, ONE, "queue_messages", GAUGE, "messages", view->ring_messages,                 \
      "Messages waiting in the queue.",                                                            \
      "Steadily above some thousands: disk or processor is "                                       \
      "slow.")                                                                                     \
    X(METRIC_QUEUE_HIGH, ONE, "queue_messages_high", GAUGE, "messages", view->ring_messages_high,  \
      "Most messages that ever waited in the queue.",                                              \
      "Near queue_messages_limit: raise output.queue_capacity and memory.queue_bytes.")            \
    X(METRIC_QUEUE_LIMIT, ONE, "queue_messages_limit", GAUGE, "messages, 0 = by bytes alone",      \
      view->ring_messages_max, "output.queue_capacity.", "A setting.")                             \
    X(METRIC_QUEUE_BYTES, ONE, "queue_bytes", GAUGE, "bytes", view->ring_bytes,                    \
      "Bytes waiting in the queue.", "As queue_messages.")                                         \
    X(METRIC_QUEUE_BYTES_HIGH, ONE, "queue_bytes_high", GAUGE, "bytes", view->ring_bytes_high,     \
      "Most bytes that ever waited in the queue.",                                                 \
      "Near queue_bytes_limit: raise "                                                             \
      "memory.queue_bytes.")                                                                       \
    X(METRIC_QUEUE_BYTES_LIMIT, ONE, "queue_bytes_limit", GAUGE, "bytes", view->ring_bytes_max,    \
      "memory.queue_bytes.", "A setting.")                                                         \
    X(METRIC_DELAY, ONE, "landing_delay_seconds", GAUGE, "seconds",                                \
      (double)view->land->delay_ns / 1e9, "How long a record waited in the queue, once a second.", \
      "Above 2: the processor or the disk does not keep up.")                                      \
    X(METRIC_SYNCED_LAG, ONE, "journal_synced_lag_seconds", GAUGE, "seconds",                      \
      (double)view->journal.synced_lag_ns / 1e9, "Age of the oldest record not safe on the disk.", \
      "This much is lost if the machine dies now. Above a few times journal.sync_ms: slow disk.")  \
    X(METRIC_JOURNAL_FAILING, ONE, "journal_failing", GAUGE, "0 or 1", view->journal_failing,      \
      "The journal cannot be written.", "1: free some space below data_dir, or mend the disk.")    \
    X(METRIC_JOURNAL_FAILURES, ONE, "journal_failures_total", COUNTER, "calls",                    \
      view->journal.failures, "Writes and syncs of the journal that failed; they are made again.", \
      "Any: look at the disk (dmesg, smartctl).")                                                  \
    X(METRIC_JOURNAL_RECORDS, ONE, "journal_records_total", COUNTER, "records",                    \
      view->journal.records, "Records written to the journal.", "Nothing.")                        \
    X(METRIC_JOURNAL_RAW, ONE, "journal_raw_bytes_total", COUNTER, "bytes",                        \
      view->journal.raw_bytes, "Bytes of these records.", "Nothing.")                              \
    X(METRIC_JOURNAL_STORED, ONE, "journal_stored_bytes_total", COUNTER, "bytes",                  \
      view->journal.stored_bytes, "The same as stored, compressed.",                               \
      "Its rate is what the journal asks of the disk.")                                            \
    X(METRIC_ROWS, CHANNEL, "rows_total", COUNTER, "rows", view->land->store.rows_by_channel[a],   \
      "Rows landed.", "Nothing.")                                                                  \
    X(METRIC_ROWS_LOST, ONE, "rows_left_to_journal_total", COUNTER, "rows",                        \
      view->land->store.rows_lost,                                                                 \
      "Rows no file took because the disk failed; the journal has "                                \
      "them.",                                                                                     \
      "Any: free some space and restart: the next start lands them.")                              \
    X(METRIC_FILES, ONE, "files_sealed_total", COUNTER, "files", view->land->store.files_sealed,   \
      "Files sealed.", "Stands still for over an hour: see seal_jobs and disk_low.")               \
    X(METRIC_FILES_FAILED, ONE, "files_failed_total", COUNTER, "tries",                            \
      view->land->store.files_failed, "Tries to seal a file that failed; made again.",             \
      "Any: the log says why, mostly the disk.")                                                   \
    X(METRIC_SEALED_BYTES, CHANNEL, "sealed_bytes_total", COUNTER, "bytes",                        \
      view->land->store.bytes_by_channel[a], "Bytes of sealed files.",                             \
      "Its rate times 86400 is a day's disk.")                                                     \
    X(METRIC_BYTES_A_ROW, ONE, "sealed_bytes_per_row", GAUGE, "bytes", metric_bytes_per_row(view), \
      "Bytes of sealed files over rows landed, about.",                                            \
      "Grows with many small files: raise roll_secs or idle close, or record fewer symbols.")      \
    X(METRIC_SEAL_JOBS, ONE, "seal_jobs", GAUGE, "files", view->land->store.seal_jobs,             \
      "Closed files that wait to be sealed.",                                                      \
      "Hundreds right after the hour are normal; if it "                                           \
      "does not fall, the disk or processor is slow.")                                             \
    X(METRIC_DISK_LOW, ONE, "disk_low", GAUGE, "0 or 1", view->land->store.disk_low,               \
      "Free space is below the reserve: nothing is sealed.", "1: free some space below data_dir.") \
    X(METRIC_PARTITIONS, ONE, "open_partitions", GAUGE, "files",                                   \
      view->land->store.open_partitions, "Files that take rows now.",                              \
      "Nothing; check tells how "                                                                  \
      "many to expect.")                                                                           \
    X(METRIC_RESIDENT, ONE, "resident_partitions", GAUGE, "files",                                 \
      view->land->store.resident_blocks, "Open files with a block in memory.",                     \
      "At output.parquet_max_open_files: see early_spools_total.")                                 \
    X(METRIC_POOL, ONE, "row_pool_bytes", GAUGE, "bytes", view->land->store.pool_bytes_used,       \
      "Memory of row blocks in use.", "Near row_pool_limit_bytes: see early_spools_total.")        \
    X(METRIC_POOL_LIMIT, ONE, "row_pool_limit_bytes", GAUGE, "bytes",                              \
      view->land->store.pool_bytes, "Memory for row blocks.", "memory.row_block_bytes.")           \
    X(METRIC_SPOOLED, ONE, "spooled_blocks_total", COUNTER, "blocks",                              \
      view->land->store.blocks_spooled, "Row blocks written to the scratch file.", "Nothing.")     \
    X(METRIC_EARLY, ONE, "early_spools_total", COUNTER, "blocks", view->land->store.early_spools,  \
      "Row blocks spooled before they were full, for want of "                                     \
      "memory.",                                                                                   \
      "If it grows fast: raise memory.row_block_bytes or parquet_max_open_files.")                 \
    X(METRIC_SPOOL_BYTES, ONE, "spool_bytes", GAUGE, "bytes", view->land->store.spool_bytes,       \
      "Size of the scratch file in use.", "As large as an hour's rows; it is on the data disk.")   \
    X(METRIC_GAPS, EXCHANGE_GAP, "gaps_total", COUNTER, "gaps",                                    \
      view->land->normalise.gaps_by[venue->id][b][c], "Holes, by cause and by what mended them.",  \
      "queue_drop: this machine; reconnect, stall: the line or the venue; sequence: the venue; "   \
      "decode: see decode_errors_total.")                                                          \
    X(METRIC_BOOK_CHECKS, EXCHANGE, "book_checks_total", COUNTER, "books",                         \
      view->land->normalise.book_checks[venue->id],                                                \
      "Books held against a fresh REST snapshot at the same update id.",                           \
      "book.shadow_check_secs turns it on; if it does not grow then, raise rest_weight_percent "   \
      "or "                                                                                        \
      "the seconds.")                                                                              \
    X(METRIC_BOOK_DIFFERENCES, EXCHANGE, "book_differences_total", COUNTER, "books",               \
      view->land->normalise.book_differences[venue->id],                                           \
      "Checked books in which a level differed; each was made anew, with a row in the gaps "       \
      "table.",                                                                                    \
      "Should stay 0: the log names symbol, level and both values. Keep the journal and report "   \
      "it.")                                                                                       \
    X(METRIC_BOOK_CHECKS_LEFT, EXCHANGE, "book_checks_left_total", COUNTER, "books",               \
      view->land->normalise.book_checks_left[venue->id],                                           \
      "Checks without a result: no answer in 30 s, or the book was lost meanwhile.",               \
      "Next to book_checks_total it should be small; else look at rest_failures_total.")           \
    X(METRIC_MISSING, ONE, "missing_ids_total", COUNTER, "ids", view->land->normalise.missing_ids, \
      "Ids that never came, where the channel has ids.", "As gaps_total.")                         \
    X(METRIC_DUPLICATES, ONE, "duplicates_total", COUNTER, "events",                               \
      view->land->normalise.duplicates, "Events that came twice and landed once.",                 \
      "Nothing: two connections overlap while one is replaced.")                                   \
    X(METRIC_SILENT, ONE, "silent_streams", GAUGE, "streams", view->land->normalise.silent,        \
      "Streams that should have spoken, were subscribed again, and have not spoken since.",        \
      "The page and the log name them: halted symbols, mostly.")                                   \
    X(METRIC_BOOKS, ONE, "books", GAUGE, "books", view->land->normalise.books_all,                 \
      "Order books kept.", "Nothing.")                                                             \
    X(METRIC_BOOKS_WHOLE, ONE, "books_whole", GAUGE, "books", view->land->normalise.books,         \
      "Order books that are proven whole.",                                                        \
      "Below books for longer than a minute: snapshots are short; see rest_weight.")               \
    X(METRIC_BOOKS_CUT, ONE, "books_truncated", GAUGE, "books",                                    \
      view->land->normalise.books_truncated, "Books cut to what fits.",                            \
      "Any: raise memory.book_bytes.")                                                             \
    X(METRIC_RESYNCS, ONE, "book_snapshots_wanted_total", COUNTER, "requests",                     \
      view->land->normalise.snapshots_wanted, "Fresh books asked for.",                            \
      "A steady growth means steady gaps: see gaps_total.")                                        \
    X(METRIC_OFFSET, EXCHANGE, "clock_offset_bound_seconds", GAUGE, "seconds",                     \
      (double)view->latency[venue->id].min_ns / 1e9,                                               \
      "This machine's clock less the venue's is at most this: the smallest latency lately.",       \
      "Below 0: this clock is behind by that at least: run chrony. Over 0.5 at every venue: it "   \
      "is ahead, or the line is slow.")                                                            \
    X(METRIC_EARLY_MESSAGES, EXCHANGE, "messages_before_their_time", GAUGE,                        \
      "messages in the last 10 to 20 s", view->latency[venue->id].negative,                        \
      "Messages that came before the time that they bear.", "As clock_offset_bound_seconds.")      \
    X(METRIC_MEMORY, LINE, "memory_bytes", GAUGE, "bytes", view->lines[a].bytes,                   \
      "Memory taken, by line of the budget.", "See memory_planned_bytes.")                         \
    X(METRIC_MEMORY_PLANNED, LINE, "memory_planned_bytes", GAUGE, "bytes", view->lines_planned[a], \
      "Memory the budget grants, by line.", "A library's line above it: please report it.")        \
    X(METRIC_BUDGET, ONE, "memory_budget_bytes", GAUGE, "bytes", view->budget, "memory.budget.",   \
      "A setting.")                                                                                \
    X(METRIC_RSS, ONE, "resident_memory_bytes", GAUGE, "bytes", view->rss,                         \
      "Resident memory of the process.", "Above memory_budget_bytes: please report it.")           \
    X(METRIC_RSS_HIGH, ONE, "resident_memory_high_bytes", GAUGE, "bytes", view->rss_high,          \
      "Most that it ever was.", "As resident_memory_bytes.")                                       \
    X(METRIC_CPU, ONE, "cpu_seconds_total", COUNTER, "seconds", (double)view->cpu_ns / 1e9,        \
      "Processor time of all threads.", "Its rate near 1: a thread is at its limit.")              \
    X(METRIC_TURN, ONE, "longest_loop_turn_seconds", GAUGE, "seconds",                             \
      (double)view->net->loop_turn_ns_max / 1e9, "Longest turn of the net thread so far.",         \
      "Above 0.5: the machine stood still (swap, a paused virtual machine).")                      \
    X(METRIC_UPTIME, ONE, "uptime_seconds", GAUGE, "seconds",                                      \
      (double)(view->mono_ns - view->started_mono_ns) / 1e9, "Since the start.",                   \
      "Falls: it was restarted; the log of the service says why.")                                 \
    X(METRIC_LOG, LEVEL, "log_lines_total", COUNTER, "lines",                                      \
      a == 0 ? view->log_errors : view->log_warnings, "Lines logged, or held back, by level.",     \
      "error grows: read the log.")                                                                \
    X(METRIC_LOG_HELD, ONE, "log_lines_held_back_total", COUNTER, "lines", view->log_suppressed,   \
      "Lines not printed because there were too many of their kind.", "Nothing; counts are told.") \
    X(METRIC_REQUESTS, ONE, "http_requests_total", COUNTER, "requests", view->requests,            \
      "Requests to this server.", "Nothing.")                                                      \
    X(METRIC_REQUESTS_REFUSED, ONE, "http_requests_refused_total", COUNTER, "requests",            \
      view->requests_refused, "Requests refused: host, token, method or size.",                    \
      "If it grows: someone knocks who should not, or http.allow_hosts lacks a name.")

/* Times: enum, scope, name, value (const struct watch_times *), label, what to do. A summary with
 * the quantiles 0.5, 0.9, 0.99 and 1 over the last 10 to 20 seconds; count and sum since the start.
 */
#define METRICS_TIMES_LIST(X)                                                                 \
    X(METRIC_LATENCY, EXCHANGE, "latency_seconds", &view->latency[venue->id],                 \
      "From the venue's event time to our receive time; includes the clocks' difference.",    \
      "Grows at one venue: its side or the route; at all: the line, or this clock (chrony).") \
    X(METRIC_JOURNAL_WRITE, ONE, "journal_write_seconds", &view->journal_write,               \
      "Writing one block to the journal.", "0.99 above 0.1: the disk is slow or busy.")       \
    X(METRIC_JOURNAL_SYNC, ONE, "journal_sync_seconds", &view->journal_sync,                  \
      "One sync of the journal.",                                                             \
      "0.99 above journal.sync_ms: what is not safe grows; slow disk.")                       \
    X(METRIC_SEAL, ONE, "seal_seconds", &view->seal, "Sealing one file.",                     \
      "Grows with rows a file; only matters if seal_jobs does not fall.")

enum metric {
#define X(metric, ...) metric,
    METRICS_LIST(X) METRICS_TIMES_LIST(X)
#undef X
        METRIC_COUNT
};

static inline double metric_bytes_per_row(const struct watch_view *view)
{
    const struct store_stats *store = &view->land->store;
    return store->rows > 0 ? (double)store->bytes_sealed / (double)store->rows : 0;
}

/* All metrics in the Prometheus text format 0.0.4. About 40 KB; `out` may overflow softly. */
void metrics_write(struct buf *out, const struct watch_view *view, const struct health *health);
/* docs/metrics.md, made of the tables. */
void metrics_document(int fd);

#endif
