/* A control request of a WebSocket client, and the stream names in it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sim/sim_control.h"
#include "sim/sim_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct model model;

static void on_stream(void *context, struct str name)
{
    uint32_t symbol = 0;
    int stream = sim_stream_parse(&model, name, &symbol);
    ASSERT(stream < SIM_STREAM_COUNT);
    ASSERT(stream < 0 || symbol < model.count);
    (*(size_t *)context)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (model.symbols == NULL) {
        struct model_config config = {.seed = 1, .symbols = 70, .trades_per_s = 100};
        model_init(&model, &config, calloc(1, model_memory_bytes(&config)));
    }
    char reply[512];
    struct sim_control control;
    struct buf out = buf_over(reply, sizeof reply);
    size_t names = 0;
    int result =
        sim_control_parse(str_make((const char *)data, bytes), &control, &out, on_stream, &names);
    ASSERT(strlen(control.id) <= SIM_CONTROL_ID_BYTES);
    ASSERT(!out.overflow);
    if (result != 0) {
        ASSERT(out.bytes > 0);
        ASSERT(names == 0);
    } else {
        ASSERT(out.bytes == 0);
        ASSERT(names == 0 || control.method == SIM_SUBSCRIBE || control.method == SIM_UNSUBSCRIBE);
    }
    return 0;
}
