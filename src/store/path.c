/* Where a partition's files lie, and how they are called (schema.md, Layout).
 * Place: landing thread names a file when it begins, seal thread writes it there.
 * Invariants: a name from outside becomes one safe path component (str_path_component), so nothing
 * is ever made outside the root; the same records and settings give the same path.
 * Memory: none. */
#include "base/assert.h"
#include "base/clock.h"
#include "store/manifest.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>

static const char *const extensions[] = {
    [FORMAT_PARQUET] = "parquet", [FORMAT_JSONL] = "jsonl.zst", [FORMAT_CSV] = "csv.gz"};

static int folder_path(enum file_layout layout, enum venue_id venue, enum channel channel,
                       struct str symbol, const struct clock_utc *utc, const char *hour, char *out,
                       size_t out_capacity)
{
    bool hive = layout == LAYOUT_HIVE;
    struct buf path = buf_over(out, out_capacity > 0 ? out_capacity - 1 : 0);
    buf_printf(&path, hive ? "exchange=%s/channel=%s/" : "%s/%s/", venue_name(venue),
               channel_name(channel));
    if (schema_has_symbol_path(channel)) {
        char component[256];
        str_path_component(component, symbol);
        buf_printf(&path, hive ? "symbol=%s/" : "%s/", component);
    }
    buf_printf(&path, hive ? "date=%04d-%02d-%02d" : "%04d-%02d-%02d", utc->year, utc->month,
               utc->day);
    if (schema_has_symbol_path(channel)) {
        buf_printf(&path, hive ? "/hour=%s" : "/%s", hour);
    }
    if (path.overflow || out_capacity == 0) {
        return MD_ETOOBIG;
    }
    out[path.bytes] = 0;
    return (int)path.bytes;
}

int store_partition_path(enum file_layout layout, enum venue_id venue, enum channel channel,
                         struct str symbol, int64_t hour_unix_ns, char *out, size_t out_capacity)
{
    struct clock_utc utc = clock_utc_of(hour_unix_ns);
    const char hour[] = {(char)('0' + utc.hour / 10), (char)('0' + utc.hour % 10), 0};
    return folder_path(layout, venue, channel, symbol, &utc, hour, out, out_capacity);
}

int store_day_path(enum file_layout layout, enum venue_id venue, enum channel channel,
                   struct str symbol, int64_t unix_ns, char *out, size_t out_capacity)
{
    struct clock_utc utc = clock_utc_of(unix_ns);
    return folder_path(layout, venue, channel, symbol, &utc, "all", out, out_capacity);
}

int store_file_name(int64_t first_unix_ns, const char *recorder, uint32_t number,
                    enum file_format format, char *out, size_t out_capacity)
{
    struct clock_utc utc = clock_utc_of(first_unix_ns);
    int length = snprintf(out, out_capacity, "%04d%02d%02dT%02d%02d%02d.%06dZ-%s-%02u.%s", utc.year,
                          utc.month, utc.day, utc.hour, utc.minute, utc.second,
                          utc.nanosecond / (int)NS_PER_US, recorder, number, extensions[format]);
    ASSERT(length > 0);
    return (size_t)length < out_capacity ? length : MD_ETOOBIG;
}

void store_inprogress_path(const char *path, char *out, size_t out_bytes)
{
    const char *slash = strrchr(path, '/');
    ASSERT(slash != NULL);
    int bytes = snprintf(out, out_bytes, "%.*s/" STORE_INPROGRESS "%s" STORE_INPROGRESS_END,
                         (int)(slash - path), path, slash + 1);
    ASSERT(bytes > 0 && (size_t)bytes < out_bytes);
}
