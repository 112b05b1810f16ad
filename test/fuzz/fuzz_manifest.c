/* Manifest lines: any bytes, as they are and with a right CRC put behind them. What is read,
 * written and read again is the same. */
#include <stdlib.h>
#include <string.h>

#include "store/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void must(bool so)
{
    if (!so) {
        abort();
    }
}

static void round_trip(const struct manifest_entry *entry)
{
    static char line[4 * MANIFEST_LINE_MAX];
    struct buf out = buf_over(line, sizeof line);
    struct manifest_entry full = *entry;
    if (full.sha256[0] == 0) {
        memset(full.sha256, '0', 64); /* a line of ours has one */
    }
    manifest_line_format(&full, &out);
    if (out.overflow) {
        return;
    }
    struct manifest_entry back;
    must(manifest_line_parse(line, out.bytes - 1, &back) == 0);
    must(str_equal(back.path, entry->path));
    must(str_equal(back.symbol, entry->symbol));
    must(back.venue == entry->venue);
    must(back.channel == entry->channel);
    must(back.rows == entry->rows);
    must(back.first_seq == entry->first_seq);
    must(back.last_seq == entry->last_seq);
    must(back.first_sequence == entry->first_sequence);
    must(str_equal(back.replaces, entry->replaces));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static char line[MANIFEST_LINE_MAX];
    struct manifest_entry entry;
    if (bytes > sizeof line - 32) {
        return 0;
    }
    memcpy(line, data, bytes);
    if (manifest_line_parse(line, bytes, &entry) == 0) {
        round_trip(&entry);
    }
    struct buf out = buf_over(line, sizeof line);
    buf_put(&out, data, bytes);
    buf_printf(&out, ",\"crc32c\":\"%08x\"}", crc32c(0, line, out.bytes));
    if (manifest_line_parse(line, out.bytes, &entry) == 0) {
        round_trip(&entry);
    }
    return 0;
}
