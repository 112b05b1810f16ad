/* Files of ours from outside, read back as events: the first byte names the channel, the rest is
 * the file. Whatever it holds, an event's parts lie within bounds. */
#include <string.h>

#include "proof/rows.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t look(const struct event *event)
{
    uint64_t sum = event->symbol.bytes;
    if (event->channel == CHANNEL_DEPTH) {
        for (uint32_t i = 0; i < event->depth.bid_count; i++) {
            sum += (uint64_t)event->depth.bids[i].price.mantissa;
        }
        for (uint32_t i = 0; i < event->depth.ask_count; i++) {
            sum += (uint64_t)event->depth.asks[i].amount.mantissa;
        }
    }
    for (size_t i = 0; i < event->symbol.bytes; i++) {
        sum += (uint8_t)event->symbol.data[i];
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rows *rows;
    static struct mdio io;
    static volatile uint64_t sum;
    struct event event;
    struct err err = {{0}};
    if (rows == NULL && (mdio_mem_open(&io) != 0 || rows_create(&rows) != 0)) {
        return 0;
    }
    if (size < 1) {
        return 0;
    }
    int handle = mdio_open(&io, "file", MDIO_WRITE | MDIO_CREATE);
    if (handle < 0 || mdio_truncate(&io, handle, 0) != 0 ||
        mdio_write_all(&io, handle, data + 1, size - 1, 0) != 0) {
        return 0;
    }
    mdio_sync(&io, handle); /* else the disk remembers every version */
    mdio_close(&io, handle);
    enum channel channel = (enum channel)(data[0] % CHANNEL_COUNT);
    if (rows_open(rows, &io, STR("file"), channel, true, &err) == 0) {
        int code = 0;
        while ((code = rows_next(rows, &event, &err)) == 1) {
            sum += look(&event) + rows_of_event(rows);
        }
        rows_close(rows);
    }
    return 0;
}
