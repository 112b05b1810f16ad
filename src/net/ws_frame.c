/* RFC 6455 receive parser and client frames. The bytes stay in the caller's buffer: a message of
 * one frame is handed out where it lies; fragments are moved together behind the first one's
 * payload. Invariant: data[*offset ..] begins either at a frame head, or (in fragments) with the
 * payload gathered so far, followed by the next head. */
#include "net/ws_frame.h"

#include "base/assert.h"
#include "base/err.h"

#define CONTROL_BYTES_MAX 125

struct head {
    bool fin;
    enum ws_opcode opcode;
    size_t head_bytes;
    uint64_t payload_bytes;
};

static int fail(struct ws_parser *parser, int code, uint16_t close_code, const char *why)
{
    parser->failed = true;
    parser->close_code = close_code;
    parser->why = why;
    return code;
}

void ws_parser_init(struct ws_parser *parser, size_t message_bytes_max)
{
    *parser = (struct ws_parser){.message_bytes_max = message_bytes_max};
}

static bool is_control(enum ws_opcode opcode)
{
    return ((unsigned)opcode & 8) != 0;
}

static bool opcode_known(unsigned opcode)
{
    return opcode <= WS_BINARY || (opcode >= WS_CLOSE && opcode <= WS_PONG);
}

/* 1 = head read, 0 = need more, negative = refused (RFC 6455 section 5.2, 5.4, 5.5). */
static int read_head(struct ws_parser *parser, const uint8_t *p, size_t bytes, struct head *head)
{
    if (bytes < 1) {
        return 0;
    }
    if ((p[0] & 0x70) != 0) {
        return fail(parser, MD_EPROTO, 1002, "reserved bits set");
    }
    unsigned opcode = p[0] & 0x0f;
    if (!opcode_known(opcode)) {
        return fail(parser, MD_EPROTO, 1002, "unknown opcode");
    }
    head->fin = (p[0] & 0x80) != 0;
    head->opcode = (enum ws_opcode)opcode;
    bool control = is_control(head->opcode);
    if (control && !head->fin) {
        return fail(parser, MD_EPROTO, 1002, "fragmented control frame");
    }
    if (head->opcode == WS_CONTINUATION && !parser->in_fragments) {
        return fail(parser, MD_EPROTO, 1002, "continuation without a start");
    }
    if (!control && head->opcode != WS_CONTINUATION && parser->in_fragments) {
        return fail(parser, MD_EPROTO, 1002, "new message inside a fragmented one");
    }
    if (bytes < 2) {
        return 0;
    }
    if ((p[1] & 0x80) != 0) {
        return fail(parser, MD_EPROTO, 1002, "masked frame from a server");
    }
    unsigned length = p[1] & 0x7f;
    head->head_bytes = length < 126 ? 2 : length == 126 ? 4 : 10;
    if (control && length > CONTROL_BYTES_MAX) {
        return fail(parser, MD_EPROTO, 1002, "control frame over 125 bytes");
    }
    if (bytes < head->head_bytes) {
        return 0;
    }
    uint64_t payload = length;
    if (length >= 126) {
        payload = 0;
        for (size_t i = 2; i < head->head_bytes; i++) {
            payload = payload << 8 | p[i];
        }
        if (payload >> 63 != 0) {
            return fail(parser, MD_EPROTO, 1002, "length with the highest bit set");
        }
        if (payload < (length == 126 ? 126u : 65536u)) {
            return fail(parser, MD_EPROTO, 1002, "length not in its shortest form");
        }
    }
    head->payload_bytes = payload;
    if (!control && payload > parser->message_bytes_max - parser->fragments_bytes) {
        return fail(parser, MD_ETOOBIG, 1009, "message larger than net.message_bytes_max");
    }
    return 1;
}

/* ---- UTF-8 (Unicode table 3-7), carried over fragments: state holds how many bytes are still to
 * come and the range of the next one. */

static bool utf8_step(uint32_t *state, uint8_t c)
{
    uint32_t left = *state & 0xff, low = *state >> 8 & 0xff, high = *state >> 16 & 0xff;
    if (left > 0) {
        if (c < low || c > high) {
            return false;
        }
        left--;
        *state = left == 0 ? 0 : left | 0x80u << 8 | 0xbfu << 16;
        return true;
    }
    if (c < 0x80) {
        return true;
    }
    if (c < 0xc2 || c > 0xf4) {
        return false;
    }
    left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    *state = left | low << 8 | high << 16;
    return true;
}

static bool utf8_check(uint32_t *state, const uint8_t *p, size_t bytes)
{
    size_t i = 0;
    while (i < bytes) {
        if (*state == 0) {
            while (i + 8 <= bytes && (load_u64(p + i) & 0x8080808080808080ULL) == 0) {
                i += 8;
            }
            if (i == bytes) {
                break;
            }
        }
        if (!utf8_step(state, p[i++])) {
            return false;
        }
    }
    return true;
}

/* ---- messages */

/* RFC 6455 section 7.4: what a peer may send in a close frame. */
static bool close_code_allowed(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static int take_close(struct ws_parser *parser, const uint8_t *payload, size_t bytes,
                      struct ws_message *message)
{
    message->close_code = 1005;
    if (bytes == 0) {
        return WS_PARSE_MESSAGE;
    }
    if (bytes == 1) {
        return fail(parser, MD_EPROTO, 1002, "close frame of one byte");
    }
    unsigned code = (unsigned)payload[0] << 8 | payload[1];
    if (!close_code_allowed(code)) {
        return fail(parser, MD_EPROTO, 1002, "close code not allowed");
    }
    uint32_t state = 0;
    if (!utf8_check(&state, payload + 2, bytes - 2) || state != 0) {
        return fail(parser, MD_EPROTO, 1007, "close reason is not UTF-8");
    }
    message->close_code = (uint16_t)code;
    return WS_PARSE_MESSAGE;
}

/* A control frame between fragments is cut out of the buffer: what was gathered moves up to the
 * next head. Its payload is first copied to where it does no harm. */
static int take_control(struct ws_parser *parser, uint8_t *base, size_t *offset,
                        const struct head *head, struct ws_message *message)
{
    uint8_t *payload = base + parser->fragments_bytes + head->head_bytes;
    size_t bytes = (size_t)head->payload_bytes;
    *message = (struct ws_message){head->opcode, payload, bytes, 0};
    if (parser->fragments_bytes > 0) {
        /* [gathered][head][payload] -> [payload][..][gathered]: rotate with a small copy */
        uint8_t copy[CONTROL_BYTES_MAX];
        size_t shift = head->head_bytes + bytes;
        memcpy(copy, payload, bytes);
        memmove(base + shift, base, parser->fragments_bytes);
        memcpy(base, copy, bytes);
        message->data = base;
    }
    *offset += head->head_bytes + bytes;
    return head->opcode == WS_CLOSE ? take_close(parser, message->data, bytes, message)
                                    : WS_PARSE_MESSAGE;
}

static bool payload_allowed(struct ws_parser *parser, enum ws_opcode opcode, const uint8_t *payload,
                            size_t bytes, bool last)
{
    if (opcode != WS_TEXT) {
        return true;
    }
    return utf8_check(&parser->utf8_state, payload, bytes) && (!last || parser->utf8_state == 0);
}

/* A data frame whose payload is here. Returns WS_PARSE_MESSAGE, or 0: go on with the next frame. */
static int take_data(struct ws_parser *parser, uint8_t *base, size_t *offset,
                     const struct head *head, struct ws_message *message)
{
    uint8_t *payload = base + parser->fragments_bytes + head->head_bytes;
    size_t bytes = (size_t)head->payload_bytes;
    enum ws_opcode opcode = parser->in_fragments ? parser->fragments_opcode : head->opcode;
    DCHECK(parser->in_fragments || parser->utf8_state == 0); /* a text ends on a whole character */
    if (!payload_allowed(parser, opcode, payload, bytes, head->fin)) {
        return fail(parser, MD_EPROTO, 1007, "text is not UTF-8");
    }
    if (head->fin && !parser->in_fragments) { /* the usual case: nothing is moved */
        *message = (struct ws_message){opcode, payload, bytes, 0};
        *offset += head->head_bytes + bytes;
        return WS_PARSE_MESSAGE;
    }
    /* what was gathered moves up to this payload, over its head */
    memmove(base + head->head_bytes, base, parser->fragments_bytes);
    *offset += head->head_bytes;
    parser->fragments_bytes += bytes;
    parser->fragments_opcode = opcode;
    parser->in_fragments = true;
    if (!head->fin) {
        return 0;
    }
    *message = (struct ws_message){opcode, base + head->head_bytes, parser->fragments_bytes, 0};
    *offset += parser->fragments_bytes;
    parser->in_fragments = false;
    parser->fragments_bytes = 0;
    return WS_PARSE_MESSAGE;
}

int ws_parse(struct ws_parser *parser, uint8_t *data, size_t bytes, size_t *offset,
             struct ws_message *message)
{
    while (!parser->failed) {
        uint8_t *base = data + *offset;
        size_t here = bytes - *offset;
        struct head head;
        if (here < parser->fragments_bytes) {
            return WS_PARSE_MORE;
        }
        size_t behind = here - parser->fragments_bytes;
        int code = read_head(parser, base + parser->fragments_bytes, behind, &head);
        if (code <= 0) {
            return code;
        }
        if (behind - head.head_bytes < head.payload_bytes) {
            return WS_PARSE_MORE;
        }
        code = is_control(head.opcode) ? take_control(parser, base, offset, &head, message)
                                       : take_data(parser, base, offset, &head, message);
        if (code != 0) {
            return code;
        }
    }
    return parser->close_code == 1009 ? MD_ETOOBIG : MD_EPROTO;
}

size_t ws_parse_bytes_needed(const struct ws_parser *parser, const uint8_t *data, size_t bytes)
{
    struct ws_parser probe = *parser;
    struct head head;
    if (bytes < parser->fragments_bytes || read_head(&probe, data + parser->fragments_bytes,
                                                     bytes - parser->fragments_bytes, &head) <= 0) {
        return 0;
    }
    return parser->fragments_bytes + head.head_bytes + (size_t)head.payload_bytes;
}

size_t ws_frame_write_client(uint8_t *out, size_t out_capacity, enum ws_opcode opcode,
                             const void *payload, size_t payload_bytes, const uint8_t mask[4])
{
    size_t head = payload_bytes < 126 ? 6 : payload_bytes < 65536 ? 8 : 14;
    if (payload_bytes > out_capacity || head > out_capacity - payload_bytes) {
        return 0;
    }
    out[0] = (uint8_t)(0x80 | opcode);
    if (payload_bytes < 126) {
        out[1] = (uint8_t)(0x80 | payload_bytes);
    } else if (payload_bytes < 65536) {
        out[1] = 0x80 | 126;
        out[2] = (uint8_t)(payload_bytes >> 8);
        out[3] = (uint8_t)payload_bytes;
    } else {
        out[1] = 0x80 | 127;
        for (size_t i = 0; i < 8; i++) {
            out[2 + i] = (uint8_t)((uint64_t)payload_bytes >> (56 - 8 * i));
        }
    }
    memcpy(out + head - 4, mask, 4);
    const uint8_t *in = payload;
    for (size_t i = 0; i < payload_bytes; i++) {
        out[head + i] = in[i] ^ mask[i & 3];
    }
    return head + payload_bytes;
}
