/* The WebSocket receive parser: any bytes, in any pieces, within its buffer; and the same outcome
 * whether they come whole or cut. First byte: message limit; second: size of the pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/ws_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct outcome {
    int end;
    unsigned close_code;
    unsigned sum; /* over opcodes, sizes and payloads */
    unsigned messages;
};

static void note(struct outcome *outcome, const struct ws_message *message)
{
    uint32_t sum = outcome->sum ^ (uint32_t)message->opcode ^ (uint32_t)message->bytes << 8;
    for (size_t i = 0; i < message->bytes; i++) {
        sum = (sum ^ message->data[i]) * 16777619u;
    }
    outcome->sum = (sum ^ message->close_code) * 16777619u;
    outcome->messages++;
}

static void require(int good)
{
    if (!good) {
        abort();
    }
}

static struct outcome run(const uint8_t *data, size_t bytes, size_t limit, size_t piece)
{
    struct outcome outcome = {0};
    struct ws_parser parser;
    struct ws_message message;
    size_t capacity = limit + WS_PARSE_SLACK_BYTES, filled = 0;
    uint8_t *buffer = malloc(capacity);
    require(buffer != NULL);
    ws_parser_init(&parser, limit);
    while (bytes > 0 && outcome.end == 0) {
        size_t n = bytes < piece ? bytes : piece;
        size_t offset = 0;
        n = n < capacity - filled ? n : capacity - filled;
        require(n > 0); /* the promised buffer is always enough */
        memcpy(buffer + filled, data, n);
        filled += n;
        data += n;
        bytes -= n;
        int result = WS_PARSE_MESSAGE;
        while (result == WS_PARSE_MESSAGE && outcome.end == 0) {
            result = ws_parse(&parser, buffer, filled, &offset, &message);
            require(offset <= filled);
            if (result == WS_PARSE_MESSAGE) {
                require(message.bytes <= (message.opcode < WS_CLOSE ? limit : 125));
                require(message.bytes == 0 || (message.data >= buffer &&
                                               message.data + message.bytes <= buffer + filled));
                note(&outcome, &message);
                outcome.end = message.opcode == WS_CLOSE;
            }
        }
        if (result < 0) {
            outcome.end = result;
            outcome.close_code = parser.close_code;
            require(parser.why != NULL &&
                    ws_parse(&parser, buffer, filled, &offset, &message) == result);
        }
        require(ws_parse_bytes_needed(&parser, buffer + offset, filled - offset) <= capacity);
        filled -= offset;
        memmove(buffer, buffer + offset, filled);
    }
    free(buffer);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 2) {
        return 0;
    }
    size_t limit = (size_t)data[0] * 16;
    struct outcome whole = run(data + 2, bytes - 2, limit, bytes);
    struct outcome single = run(data + 2, bytes - 2, limit, 1);
    struct outcome pieces = run(data + 2, bytes - 2, limit, 1 + (size_t)data[1]);
    require(memcmp(&whole, &single, sizeof whole) == 0);
    require(memcmp(&whole, &pieces, sizeof whole) == 0);
    return 0;
}
