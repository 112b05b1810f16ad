/* The recorder's figures after a run, and the summary people read. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "app/pipeline_internal.h"

static size_t proc_status_kib(const char *key)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long kib = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) {
            sscanf(line + strlen(key), "%lu", &kib);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return (size_t)kib * 1024;
}

int64_t pipeline_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* cannot fail for this clock */
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void add_feed(struct feed_stats *sum, const struct feed_stats *one)
{
    sum->connections += one->connections;
    sum->live += one->live;
    sum->connects += one->connects;
    sum->reconnects += one->reconnects;
    sum->acks += one->acks;
    sum->ack_timeouts += one->ack_timeouts;
    sum->refused += one->refused;
    sum->stalls += one->stalls;
    sum->shutdowns += one->shutdowns;
    sum->rotations += one->rotations;
    sum->renewed += one->renewed;
    sum->throttled += one->throttled;
    sum->streams += one->streams;
    sum->streams_on += one->streams_on;
    sum->streams_refused += one->streams_refused;
    sum->added += one->added;
    sum->removed += one->removed;
    sum->tokens += one->tokens;
    sum->messages += one->messages;
    sum->bytes += one->bytes;
    sum->rest_requests += one->rest_requests;
    sum->rest_failures += one->rest_failures;
    sum->rest_throttled += one->rest_throttled;
}

struct pipeline_stats pipeline_stats(struct pipeline *pipeline)
{
    struct pipeline_stats stats = {
        .land = *land_stats(pipeline->land),
        .normalise = normalise_stats(land_normalise(pipeline->land)),
        .store = store_stats(land_store(pipeline->land)),
        .journal = journal_stats(pipeline->journal, clock_mono_ns(&clock_system)),
        .control_lost = pipeline->control_lost,
        .replayed_records = atomic_load(&pipeline->replayed),
        .not_kept = pipeline->not_kept,
        .ring_messages_high = ring_messages_high(pipeline->ring),
        .ring_bytes_high = ring_bytes_high(pipeline->ring),
        .ring_bytes = ring_capacity(pipeline->ring),
        .loop_turn_ns_max = loop_turn_ns_max(pipeline->loop),
        .rss_bytes = proc_status_kib("VmRSS:"),
        .rss_bytes_high = proc_status_kib("VmHWM:"),
        .run_ns = pipeline->run_ns,
        .cpu_ns = pipeline_cpu_ns() - pipeline->cpu_started_ns,
    };
    memcpy(stats.dropped, pipeline->dropped_at, sizeof stats.dropped);
    for (uint32_t i = 0; i <= CHANNEL_COUNT; i++) {
        stats.dropped_all += pipeline->dropped[i];
    }
    for (uint32_t v = 0; v < pipeline->plan->venue_count; v++) {
        add_feed(&stats.feed, &pipeline->at_stop[v]);
    }
    return stats;
}

static void print_drops(const struct pipeline_stats *stats, int fd)
{
    for (int venue = 0; venue < VENUE_ID_END; venue++) {
        for (int channel = 0; channel <= CHANNEL_COUNT; channel++) {
            if (stats->dropped[venue][channel] > 0) {
                dprintf(fd, "    %llu x %s %s: the queue was full\n",
                        (unsigned long long)stats->dropped[venue][channel],
                        venue_name((enum venue_id)venue),
                        channel < CHANNEL_COUNT ? channel_name((enum channel)channel)
                                                : "unknown stream");
            }
        }
    }
}

/* Where a library or a table of ours took more than its line: the plan was wrong. */
static void print_overdrawn(const struct plan *plan, int fd)
{
    char planned[24], taken[24];
    for (int line = 0; line < ALLOC_LINE_COUNT; line++) {
        size_t most = alloc_line_stats((enum alloc_line)line).bytes_max;
        if (most > plan->lines[line]) {
            dprintf(fd, "    %s: took %s, planned were %s\n",
                    alloc_line_label((enum alloc_line)line), plan_bytes_text(taken, most),
                    plan_bytes_text(planned, plan->lines[line]));
        }
    }
}

static void print_reasons(const struct land_stats *land, int fd)
{
    for (uint32_t i = 0; i < land->reason_count; i++) {
        const struct land_reason *reason = &land->reasons[i];
        dprintf(fd, "    %llu x %s %s: %s\n", (unsigned long long)reason->count,
                venue_name(reason->venue),
                reason->channel >= 0 ? channel_name((enum channel)reason->channel)
                                     : "unknown stream",
                reason->reason);
    }
}

static void print_gaps(const struct normalise_stats *normalise, int fd)
{
    dprintf(fd, "  gaps        %llu", (unsigned long long)normalise->gaps);
    const char *before = " (";
    for (int kind = 0; kind < GAP_KIND_COUNT; kind++) {
        if (normalise->gaps_by_kind[kind] > 0) {
            dprintf(fd, "%s%s %llu", before, gap_kind_name((enum gap_kind)kind),
                    (unsigned long long)normalise->gaps_by_kind[kind]);
            before = ", ";
        }
    }
    dprintf(fd, "%s; %llu ids missing; books: %llu whole after %llu snapshots\n",
            before[0] == ',' ? ")" : "", (unsigned long long)normalise->missing_ids,
            (unsigned long long)normalise->books, (unsigned long long)normalise->snapshots_joined);
    if (normalise->trades_wanted > 0) {
        dprintf(
            fd, "  backfill    %llu trades by REST filled %llu holes; %llu left, in part or all\n",
            (unsigned long long)normalise->trades_backfilled,
            (unsigned long long)normalise->holes_filled, (unsigned long long)normalise->holes_left);
    }
    uint64_t checks = 0, differ = 0, left = 0;
    for (int venue = 0; venue < VENUE_ID_END; venue++) {
        checks += normalise->book_checks[venue];
        differ += normalise->book_differences[venue];
        left += normalise->book_checks_left[venue];
    }
    if (checks + left > 0) {
        dprintf(
            fd,
            "  checks      %llu books held against REST, %llu differed; %llu without a result\n",
            (unsigned long long)checks, (unsigned long long)differ, (unsigned long long)left);
    }
    if (normalise->books_truncated > 0) {
        dprintf(fd, "    %llu books cut to what fits: raise memory.book_bytes\n",
                (unsigned long long)normalise->books_truncated);
    }
}

static void print_feed(const struct feed_stats *feed, int fd)
{
    dprintf(fd, "  connections %u of %u live at the end, %u of %u streams acknowledged%s\n",
            feed->live, feed->connections, feed->streams_on, feed->streams,
            feed->streams_refused > 0 ? ", others refused by the venue" : "");
    dprintf(fd, "    reconnects %llu, replaced in time %llu, streams subscribed again %llu\n",
            (unsigned long long)feed->reconnects, (unsigned long long)feed->rotations,
            (unsigned long long)feed->renewed);
    if (feed->throttled > 0 || feed->refused > 0 || feed->ack_timeouts > 0) {
        dprintf(fd, "    told to be slower %llu times, requests refused %llu, not answered %llu\n",
                (unsigned long long)feed->throttled, (unsigned long long)feed->refused,
                (unsigned long long)feed->ack_timeouts);
    }
    if (feed->added > 0 || feed->removed > 0) {
        dprintf(fd, "    symbols that came %llu, that went %llu\n", (unsigned long long)feed->added,
                (unsigned long long)feed->removed);
    }
    dprintf(fd, "  REST        %llu requests, %llu failed\n",
            (unsigned long long)feed->rest_requests, (unsigned long long)feed->rest_failures);
}

static void print_tuning(const struct store_tune_stats *tune, const struct settings *settings,
                         int fd)
{
    if (settings->tune != 0) {
        return;
    }
    dprintf(fd,
            "  tuning      zstd level %u (%lld set; %llu changes), blocks of %u partitions (%lld "
            "set; %llu changes), %llu sized by rate, %llu idle closes moved\n",
            tune->zstd_level, (long long)settings->output_zstd_level,
            (unsigned long long)tune->level_changes, tune->blocks_max,
            (long long)settings->output_max_open_files, (unsigned long long)tune->blocks_changes,
            (unsigned long long)tune->blocks_sized, (unsigned long long)tune->idle_changes);
}

void pipeline_print_summary(const struct pipeline_stats *stats, const struct plan *plan,
                            const struct settings *settings, int fd)
{
    char a[24], b[24], c[24];
    double seconds = (double)stats->run_ns / 1e9;
    dprintf(fd, "Recorded %.1f s from %u connections into %s\n", seconds, stats->feed.connections,
            settings->data_dir);
    dprintf(fd, "  messages    %llu (%s), %.0f a second\n",
            (unsigned long long)stats->feed.messages, plan_bytes_text(a, stats->feed.bytes),
            seconds > 0 ? (double)stats->feed.messages / seconds : 0);
    dprintf(fd, "  rows        %llu\n", (unsigned long long)stats->store.rows);
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        uint64_t rows = stats->store.rows_by_channel[channel];
        uint64_t bytes = stats->store.bytes_by_channel[channel];
        if (rows > 0) {
            dprintf(fd, "    %-22s %12llu rows  %10s  %6.2f bytes a row\n",
                    channel_name((enum channel)channel), (unsigned long long)rows,
                    plan_bytes_text(a, bytes), (double)bytes / (double)rows);
        }
    }
    dprintf(fd, "  files       %llu sealed, %s; %llu failed\n",
            (unsigned long long)stats->store.files_sealed,
            plan_bytes_text(a, stats->store.bytes_sealed),
            (unsigned long long)stats->store.files_failed);
    dprintf(fd, "  journal     %s from %s (%.1fx), %llu syncs, slowest %.1f ms\n",
            plan_bytes_text(a, stats->journal.stored_bytes),
            plan_bytes_text(b, stats->journal.raw_bytes),
            stats->journal.stored_bytes > 0
                ? (double)stats->journal.raw_bytes / (double)stats->journal.stored_bytes
                : 0,
            (unsigned long long)stats->journal.syncs, (double)stats->journal.sync_ns_max / 1e6);
    if (stats->replayed_records > 0) {
        dprintf(fd, "  replayed    %llu records of an earlier run\n",
                (unsigned long long)stats->replayed_records);
    }
    dprintf(fd, "  drops       %llu; undecodable %llu\n", (unsigned long long)stats->dropped_all,
            (unsigned long long)stats->land.undecodable);
    print_drops(stats, fd);
    if (stats->not_kept > 0) {
        dprintf(fd, "    %llu messages not kept: they waited when it was given up\n",
                (unsigned long long)stats->not_kept);
    }
    if (stats->control_lost > 0) {
        dprintf(fd, "    %llu control records lost: raise memory.queue_bytes\n",
                (unsigned long long)stats->control_lost);
    }
    print_reasons(&stats->land, fd);
    print_gaps(&stats->normalise, fd);
    print_feed(&stats->feed, fd);
    dprintf(fd, "  queue       at most %llu messages, %s of %s\n",
            (unsigned long long)stats->ring_messages_high,
            plan_bytes_text(a, stats->ring_bytes_high), plan_bytes_text(b, stats->ring_bytes));
    print_tuning(&stats->store.tune, settings, fd);
    dprintf(fd, "  processor   %.2f s, %.2f us a message from socket to sealed file\n",
            (double)stats->cpu_ns / 1e9,
            stats->feed.messages > 0 ? (double)stats->cpu_ns / 1e3 / (double)stats->feed.messages
                                     : 0);
    dprintf(fd, "  memory      peak %s; planned %s of %s allowed\n",
            plan_bytes_text(a, stats->rss_bytes_high), plan_bytes_text(b, plan->bytes),
            plan_bytes_text(c, plan->budget));
    print_overdrawn(plan, fd);
}
