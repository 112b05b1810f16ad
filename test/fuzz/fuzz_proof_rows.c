/* Files of ours from outside, read back as events: the first byte names channel and format (so many
 * times CHANNEL_COUNT), the rest is the file; of text formats its text, which is packed here: else
 * a flipped byte were only a wrong checksum, which CHANNEL_COUNT * 3 and above are for. Whatever it
 * holds, an event's parts lie within bounds. */
#include <string.h>

#include "proof/rows.h"
#include "store/store.h"
#include "store/text_stream.h"

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

static struct mdio io;

struct out {
    int handle;
    int64_t at;
};

static int write_out(void *context, const void *data, size_t bytes)
{
    struct out *out = context;
    int code = mdio_write_all(&io, out->handle, data, bytes, out->at);
    out->at += (int64_t)bytes;
    return code;
}

static int write_text(enum file_format format, int handle, const uint8_t *data, size_t size)
{
    static struct packer *packers[FORMAT_COUNT];
    struct out out = {handle, 0};
    if (packers[format] == NULL) {
        packers[format] = packer_create(format, 1);
    }
    if (packers[format] == NULL) {
        return MD_ENOMEM;
    }
    packer_begin(packers[format], (struct file_sink){write_out, &out});
    int code = packer_put(packers[format], str_make((const char *)data, size));
    return code != 0 ? code : packer_end(packers[format]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rows *rows;
    static volatile uint64_t sum;
    struct event event;
    struct err err = {{0}};
    if (rows == NULL && (mdio_mem_open(&io) != 0 || rows_create(&rows) != 0)) {
        return 0;
    }
    if (size < 1) {
        return 0;
    }
    int number = data[0] / CHANNEL_COUNT;
    bool packed = number == 0 || number >= FORMAT_COUNT; /* as it is */
    struct catalog_file file = {
        .entry = {.channel = (enum channel)(data[0] % CHANNEL_COUNT), .path = STR("file")},
        .format = (enum file_format)(number % FORMAT_COUNT)};
    int handle = mdio_open(&io, "file", MDIO_WRITE | MDIO_CREATE);
    if (handle < 0 || mdio_truncate(&io, handle, 0) != 0 ||
        (packed ? mdio_write_all(&io, handle, data + 1, size - 1, 0)
                : write_text(file.format, handle, data + 1, size - 1)) != 0) {
        return 0;
    }
    mdio_sync(&io, handle); /* else the disk remembers every version */
    mdio_close(&io, handle);
    if (rows_open(rows, &io, &file, true, &err) == 0) {
        int code = 0;
        while ((code = rows_next(rows, &event, &err)) == 1) {
            sum += look(&event) + rows_of_event(rows);
        }
        rows_close(rows);
    }
    return 0;
}
