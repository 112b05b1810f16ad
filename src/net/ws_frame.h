#ifndef MD_NET_WS_FRAME_H
#define MD_NET_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* RFC 6455 receive parser for a client, in place and without copies where a message is one frame:
 * bytes in, whole messages out; no input/output here. Refuses all that faults.md row 13 names. */
enum ws_opcode {
    WS_CONTINUATION = 0x0,
    WS_TEXT = 0x1,
    WS_BINARY = 0x2,
    WS_CLOSE = 0x8,
    WS_PING = 0x9,
    WS_PONG = 0xa,
};

enum ws_parse_result {
    WS_PARSE_MORE = 0,    /* need more bytes */
    WS_PARSE_MESSAGE = 1, /* `message` is set: text, binary, ping, pong or close */
    /* negative: MD_EPROTO or MD_ETOOBIG; `close_code` says what to answer (1002, 1007, 1009) */
};

struct ws_message {
    enum ws_opcode opcode;
    const uint8_t *data; /* valid until the next call with this buffer */
    size_t bytes;
    uint16_t close_code; /* opcode WS_CLOSE: the peer's code, 1005 if it sent none */
};

struct ws_parser {
    size_t message_bytes_max;
    uint16_t close_code; /* set with a negative result */
    const char *why;     /* static words for a negative result */
    /* the parser's own: */
    bool in_fragments;
    enum ws_opcode fragments_opcode;
    size_t fragments_bytes; /* payload gathered so far, kept at the buffer's front */
    uint32_t utf8_state;
    bool failed;
};

void ws_parser_init(struct ws_parser *parser, size_t message_bytes_max);

/* Parses from data[*offset .. bytes). On WS_PARSE_MESSAGE *offset is past that message. On
 * WS_PARSE_MORE *offset is at the first byte still needed; the caller keeps data[*offset..bytes)
 * and reads more behind it. Fragments of one message are moved together in place inside the buffer,
 * so `data` is writable and the caller keeps everything from *offset on. After a negative result
 * every further call gives the same. */
int ws_parse(struct ws_parser *parser, uint8_t *data, size_t bytes, size_t *offset,
             struct ws_message *message);
/* What a buffer needs above message_bytes_max: the longest head (10), or a whole control frame
 * (127) between the fragments of a message of full size. */
#define WS_PARSE_SLACK_BYTES 127
/* How many bytes the buffer must be able to hold from *offset on for the frame under way (at most
 * message_bytes_max + WS_PARSE_SLACK_BYTES). `data` and `bytes`: what is kept from *offset on.
 * 0 = not known yet. */
size_t ws_parse_bytes_needed(const struct ws_parser *parser, const uint8_t *data, size_t bytes);

/* Writes one masked client frame (FIN set). `out` needs payload + 14 bytes. Returns bytes written,
 * or 0 when it does not fit. `mask` is 4 random bytes. */
size_t ws_frame_write_client(uint8_t *out, size_t out_capacity, enum ws_opcode opcode,
                             const void *payload, size_t payload_bytes, const uint8_t mask[4]);

/* Handshake. `key` gets 24 base64 characters and a NUL made from 16 random bytes. */
void ws_handshake_key(char key[25], const uint8_t random16[16]);
/* Builds the GET request. `headers` is extra lines, each ended by \r\n, or empty. */
void ws_handshake_request(struct buf *out, struct str host_port, struct str target, const char *key,
                          struct str headers);
/* Reads the response head in data[0..bytes): 0 = need more; > 0 = bytes of the head, 101 accepted;
 * negative: MD_EHTTP (status in *status, e.g. 400, 429), MD_EPROTO, MD_ETOOBIG (over 16 KiB). */
int64_t ws_handshake_response(const uint8_t *data, size_t bytes, const char *key, int *status,
                              const char **why);

#endif
