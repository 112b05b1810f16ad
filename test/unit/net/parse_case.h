#ifndef TEST_NET_PARSE_CASE_H
#define TEST_NET_PARSE_CASE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/ws_frame.h"

/* Drives the parser as a connection does (a bounded buffer, compacted after each delivery) and
 * writes what came out as one line of text: T(hello) B(..) P(ping) O(pong) C1000(reason) E1002.
 * Payloads over 40 bytes are written as their count and a sum: T<300:12ab>. */
struct parse_run {
    struct ws_parser parser;
    uint8_t *buffer;
    size_t capacity, filled, offset;
    char text[8192];
    size_t text_bytes;
    bool over; /* an error or a close frame */
};

static inline void parse_run_open(struct parse_run *run, size_t message_bytes_max)
{
    memset(run, 0, sizeof *run);
    ws_parser_init(&run->parser, message_bytes_max);
    run->capacity = message_bytes_max + WS_PARSE_SLACK_BYTES;
    run->buffer = malloc(run->capacity);
}

static inline void parse_run_close(struct parse_run *run)
{
    free(run->buffer);
    run->buffer = NULL;
}

static inline void parse_note(char *text, size_t *text_bytes, size_t capacity, const char *what,
                              const uint8_t *data, size_t bytes)
{
    char *out = text + *text_bytes;
    size_t room = capacity - *text_bytes;
    size_t n = 0;
    if (room < 100) {
        return; /* random runs may be long; both sides stop at the same place */
    }
    if (bytes > 40) {
        uint32_t sum = 2166136261u;
        for (size_t i = 0; i < bytes; i++) {
            sum = (sum ^ data[i]) * 16777619u;
        }
        n = (size_t)snprintf(out, room, "%s<%zu:%04x>", what, bytes, sum & 0xffff);
    } else {
        n = (size_t)snprintf(out, room, "%s(%.*s)", what, (int)bytes, (const char *)data);
        for (size_t i = 0; i < n; i++) {
            out[i] = (char)(out[i] == 0 ? '0' : out[i]);
        }
    }
    *text_bytes += n;
}

static inline void parse_note_message(char *text, size_t *text_bytes, size_t capacity,
                                      unsigned opcode, uint16_t close_code, const uint8_t *data,
                                      size_t bytes)
{
    char what[16] = "?";
    switch (opcode) {
    case WS_TEXT:
        what[0] = 'T';
        break;
    case WS_BINARY:
        what[0] = 'B';
        break;
    case WS_PING:
        what[0] = 'P';
        break;
    case WS_PONG:
        what[0] = 'O';
        break;
    case WS_CLOSE:
        snprintf(what, sizeof what, "C%u", close_code);
        data = bytes >= 2 ? data + 2 : data;
        bytes = bytes >= 2 ? bytes - 2 : 0;
        break;
    default:
        break;
    }
    parse_note(text, text_bytes, capacity, what, data, bytes);
}

static inline void parse_drain(struct parse_run *run)
{
    struct ws_message message;
    for (;;) {
        int result = ws_parse(&run->parser, run->buffer, run->filled, &run->offset, &message);
        if (result == WS_PARSE_MORE) {
            return;
        }
        if (result < 0) {
            run->text_bytes +=
                (size_t)snprintf(run->text + run->text_bytes, sizeof run->text - run->text_bytes,
                                 "E%u", run->parser.close_code);
            if (ws_parse(&run->parser, run->buffer, run->filled, &run->offset, &message) !=
                result) {
                strcat(run->text, " but not twice");
            }
            run->over = true;
            return;
        }
        parse_note_message(run->text, &run->text_bytes, sizeof run->text, message.opcode,
                           message.close_code, message.data, message.bytes);
        if (message.opcode == WS_CLOSE) {
            run->over = true;
            return;
        }
    }
}

/* Feeds `bytes` bytes that arrived together. */
static inline void parse_feed(struct parse_run *run, const uint8_t *data, size_t bytes)
{
    while (bytes > 0 && !run->over) {
        size_t room = run->capacity - run->filled;
        size_t take = bytes < room ? bytes : room;
        if (take == 0) {
            strcat(run->text, " buffer full");
            run->over = true;
            return;
        }
        memcpy(run->buffer + run->filled, data, take);
        run->filled += take;
        data += take;
        bytes -= take;
        parse_drain(run);
        size_t left = run->filled - run->offset;
        memmove(run->buffer, run->buffer + run->offset, left);
        run->filled = left;
        run->offset = 0;
    }
}

#endif
