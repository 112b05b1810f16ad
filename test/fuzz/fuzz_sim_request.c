/* Bytes that a client of the simulator sends first: an HTTP head, its path and its query. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sim/sim_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static bool inside(struct str view, const uint8_t *data, size_t bytes)
{
    const char *from = (const char *)data;
    return view.bytes == 0 ||
           (view.data >= from && view.data + view.bytes <= from + bytes && view.bytes <= bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char *const names[] = {"symbol", "limit", "streams", "timeUnit", "fromId", ""};
    struct sim_request request;
    int64_t head = sim_request_parse(data, bytes, &request);
    ASSERT(head <= (int64_t)bytes);
    if (head < 0) {
        ASSERT(request.error_status >= 400);
        ASSERT(request.error != NULL);
        return 0;
    }
    if (head == 0) {
        ASSERT(bytes < SIM_REQUEST_BYTES_MAX);
        return 0;
    }
    ASSERT(inside(request.path, data, bytes));
    ASSERT(inside(request.query, data, bytes));
    ASSERT(!request.upgrade || request.websocket_key.bytes == 24);
    char text[512];
    struct buf out = buf_over(text, sizeof text);
    if (sim_request_decode(request.path, &out)) {
        ASSERT(out.bytes <= request.path.bytes);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (sim_request_query(request.query, names[i], &out) == 1) {
            ASSERT(memchr(text, 0, out.bytes) == NULL);
            ASSERT(out.bytes <= request.query.bytes);
        }
    }
    /* Fewer bytes than the head need more, or are refused; they are never taken for a whole one. */
    ASSERT(sim_request_parse(data, (size_t)head - 1, &request) <= 0);
    return 0;
}
