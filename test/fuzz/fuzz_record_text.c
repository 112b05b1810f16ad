/* A line of the recording text format: what record_parse() takes, record_format() writes, and that
 * is read back as the same record. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "journal/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *line = malloc(bytes + 1);
    size_t capacity = 2 * (bytes + RECORD_HEAD_BYTES) + RECORD_TEXT_HEAD_BYTES_MAX;
    char *text = malloc(capacity);
    struct record record;
    struct record again;
    struct err err;
    if (line == NULL || text == NULL) {
        abort();
    }
    memcpy(line, data, bytes);
    if (record_parse(line, bytes, &record, &err) == 0) {
        ASSERT(record_packed_bytes(&record) <= bytes + RECORD_HEAD_BYTES);
        struct buf out = buf_over(text, capacity);
        record_format(&record, &out);
        ASSERT(!out.overflow);
        ASSERT(record_parse(text, out.bytes, &again, &err) == 0);
        ASSERT(again.time_unix_ns == record.time_unix_ns);
        ASSERT(again.kind == record.kind);
        ASSERT(again.venue == record.venue);
        ASSERT(again.conn == record.conn);
        ASSERT(str_equal(again.arg, record.arg));
        ASSERT(str_equal(again.payload, record.payload));
    }
    free(text);
    free(line);
    return 0;
}
