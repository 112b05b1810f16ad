/* Push parser: a table-free state machine, a byte at a time, strict (RFC 8259). Keys and strings
 * cut at the bound are reported as far as they fit; numbers beyond it are an error. */
#include "exchange/json_stream.h"

enum {
    STATE_VALUE,        /* a value must come */
    STATE_VALUE_OR_END, /* first thing in an array */
    STATE_KEY_OR_END,   /* first thing in an object */
    STATE_KEY,          /* behind a comma in an object */
    STATE_COLON,
    STATE_AFTER, /* behind a value */
    STATE_STRING,
    STATE_ESCAPE,
    STATE_UNIT,
    STATE_LITERAL,
    STATE_NUMBER_SIGN,
    STATE_NUMBER_ZERO,
    STATE_NUMBER_WHOLE,
    STATE_NUMBER_POINT,
    STATE_NUMBER_FRACTION,
    STATE_NUMBER_E,
    STATE_NUMBER_E_SIGN,
    STATE_NUMBER_EXPONENT,
    STATE_DONE,
    STATE_FAILED,
};

void json_stream_init(struct json_stream *stream,
                      bool (*on_event)(void *context, enum json_event event, struct str text,
                                       int depth),
                      void *context)
{
    memset(stream, 0, sizeof *stream);
    stream->on_event = on_event;
    stream->context = context;
    stream->state = STATE_VALUE;
}

static bool tell(struct json_stream *stream, enum json_event event, struct str text)
{
    return stream->on_event(stream->context, event, text, stream->depth);
}

static struct str token_of(const struct json_stream *stream)
{
    return str_make(stream->token, stream->token_bytes);
}

static void after_value(struct json_stream *stream)
{
    stream->state = stream->depth == 0 ? STATE_DONE : STATE_AFTER;
}

static void put(struct json_stream *stream, char c)
{
    if (stream->token_bytes < JSON_TOKEN_BYTES_MAX) {
        stream->token[stream->token_bytes++] = c;
    } else {
        stream->cut = true;
    }
}

static void put_code(struct json_stream *stream, uint32_t code)
{
    if (code < 0x80) {
        put(stream, (char)code);
    } else if (code < 0x800) {
        put(stream, (char)(0xc0 | code >> 6));
        put(stream, (char)(0x80 | (code & 0x3f)));
    } else if (code < 0x10000) {
        put(stream, (char)(0xe0 | code >> 12));
        put(stream, (char)(0x80 | (code >> 6 & 0x3f)));
        put(stream, (char)(0x80 | (code & 0x3f)));
    } else {
        put(stream, (char)(0xf0 | code >> 18));
        put(stream, (char)(0x80 | (code >> 12 & 0x3f)));
        put(stream, (char)(0x80 | (code >> 6 & 0x3f)));
        put(stream, (char)(0x80 | (code & 0x3f)));
    }
}

/* A high surrogate that no low one followed. */
static void flush_surrogate(struct json_stream *stream)
{
    if (stream->high_surrogate != 0) {
        stream->high_surrogate = 0;
        put_code(stream, 0xfffd);
    }
}

static void begin_string(struct json_stream *stream, bool is_key)
{
    stream->is_key = is_key;
    stream->token_bytes = 0;
    stream->cut = false;
    stream->high_surrogate = 0;
    stream->utf8_left = 0;
    stream->state = STATE_STRING;
}

static bool begin_container(struct json_stream *stream, bool object)
{
    if (stream->depth == JSON_DEPTH_MAX) {
        return false;
    }
    bool go_on =
        tell(stream, object ? JSON_EVENT_OBJECT_BEGIN : JSON_EVENT_ARRAY_BEGIN, (struct str){0});
    stream->objects = stream->objects << 1 | object;
    stream->depth++;
    stream->state = object ? STATE_KEY_OR_END : STATE_VALUE_OR_END;
    return go_on;
}

static bool end_container(struct json_stream *stream, char c)
{
    bool object = (stream->objects & 1) != 0;
    if (stream->depth == 0 || c != (object ? '}' : ']')) {
        return false;
    }
    stream->objects >>= 1;
    stream->depth--;
    after_value(stream);
    return tell(stream, object ? JSON_EVENT_OBJECT_END : JSON_EVENT_ARRAY_END, (struct str){0});
}

static bool begin_value(struct json_stream *stream, char c)
{
    stream->token_bytes = 0;
    switch (c) {
    case '{':
        return begin_container(stream, true);
    case '[':
        return begin_container(stream, false);
    case '"':
        begin_string(stream, false);
        return true;
    case 't':
        stream->literal = "true";
        break;
    case 'f':
        stream->literal = "false";
        break;
    case 'n':
        stream->literal = "null";
        break;
    case '-':
        put(stream, c);
        stream->state = STATE_NUMBER_SIGN;
        return true;
    default:
        if (c < '0' || c > '9') {
            return false;
        }
        put(stream, c);
        stream->state = c == '0' ? STATE_NUMBER_ZERO : STATE_NUMBER_WHOLE;
        return true;
    }
    stream->literal_at = 1;
    stream->state = STATE_LITERAL;
    return true;
}

static bool in_literal(struct json_stream *stream, char c)
{
    if (stream->literal[stream->literal_at] != c) {
        return false;
    }
    if (stream->literal[++stream->literal_at] == 0) {
        enum json_event event = stream->literal[0] == 't'   ? JSON_EVENT_TRUE
                                : stream->literal[0] == 'f' ? JSON_EVENT_FALSE
                                                            : JSON_EVENT_NULL;
        after_value(stream);
        return tell(stream, event, (struct str){0});
    }
    return true;
}

static bool string_lead_byte(struct json_stream *stream, unsigned char c)
{
    if (c < 0xc2 || c > 0xf4) {
        return false;
    }
    stream->utf8_left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    stream->utf8_low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    stream->utf8_high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    return true;
}

static bool in_string(struct json_stream *stream, char c)
{
    unsigned char byte = (unsigned char)c;
    if (stream->utf8_left > 0) {
        if (byte < stream->utf8_low || byte > stream->utf8_high) {
            return false;
        }
        stream->utf8_left--;
        stream->utf8_low = 0x80;
        stream->utf8_high = 0xbf;
        put(stream, c);
        return true;
    }
    if (c == '\\') {
        stream->state = STATE_ESCAPE;
        return true;
    }
    flush_surrogate(stream);
    if (c == '"') {
        if (stream->is_key) {
            stream->state = STATE_COLON;
            return tell(stream, JSON_EVENT_KEY, token_of(stream));
        }
        after_value(stream);
        return tell(stream, JSON_EVENT_STRING, token_of(stream));
    }
    if (byte < 0x20 || (byte >= 0x80 && !string_lead_byte(stream, byte))) {
        return false;
    }
    put(stream, c);
    return true;
}

static bool in_escape(struct json_stream *stream, char c)
{
    if (c == 'u') {
        stream->unit = 0;
        stream->unit_digits = 0;
        stream->state = STATE_UNIT;
        return true;
    }
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *at = c != 0 ? strchr(from, c) : NULL;
    if (at == NULL) {
        return false;
    }
    flush_surrogate(stream);
    put(stream, to[at - from]);
    stream->state = STATE_STRING;
    return true;
}

static bool in_unit(struct json_stream *stream, char c)
{
    char lower = (char)(c | 0x20);
    int value = c >= '0' && c <= '9'           ? c - '0'
                : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10
                                               : -1;
    if (value < 0) {
        return false;
    }
    stream->unit = stream->unit * 16 + (uint32_t)value;
    if (++stream->unit_digits < 4) {
        return true;
    }
    uint32_t unit = stream->unit;
    stream->state = STATE_STRING;
    if (unit >= 0xdc00 && unit <= 0xdfff && stream->high_surrogate != 0) {
        put_code(stream, 0x10000 + ((stream->high_surrogate - 0xd800) << 10) + (unit - 0xdc00));
        stream->high_surrogate = 0;
        return true;
    }
    flush_surrogate(stream);
    if (unit >= 0xd800 && unit <= 0xdbff) {
        stream->high_surrogate = unit;
    } else {
        put_code(stream, unit >= 0xdc00 && unit <= 0xdfff ? 0xfffd : unit);
    }
    return true;
}

static bool structural(struct json_stream *stream, char c);

static bool end_number(struct json_stream *stream, char c)
{
    if (stream->cut || stream->token_bytes == JSON_TOKEN_BYTES_MAX) {
        return false;
    }
    after_value(stream);
    return tell(stream, JSON_EVENT_NUMBER, token_of(stream)) && structural(stream, c);
}

static bool in_number(struct json_stream *stream, char c)
{
    bool digit = c >= '0' && c <= '9';
    bool exponent = c == 'e' || c == 'E';
    int next = STATE_FAILED;
    switch (stream->state) {
    case STATE_NUMBER_SIGN:
        next = c == '0' ? STATE_NUMBER_ZERO : digit ? STATE_NUMBER_WHOLE : STATE_FAILED;
        break;
    case STATE_NUMBER_ZERO:
    case STATE_NUMBER_WHOLE:
        if (digit && stream->state == STATE_NUMBER_ZERO) {
            return false;
        }
        next = digit      ? STATE_NUMBER_WHOLE
               : c == '.' ? STATE_NUMBER_POINT
               : exponent ? STATE_NUMBER_E
                          : STATE_DONE;
        break;
    case STATE_NUMBER_POINT:
        next = digit ? STATE_NUMBER_FRACTION : STATE_FAILED;
        break;
    case STATE_NUMBER_FRACTION:
        next = digit ? STATE_NUMBER_FRACTION : exponent ? STATE_NUMBER_E : STATE_DONE;
        break;
    case STATE_NUMBER_E:
        next = digit                  ? STATE_NUMBER_EXPONENT
               : c == '+' || c == '-' ? STATE_NUMBER_E_SIGN
                                      : STATE_FAILED;
        break;
    case STATE_NUMBER_E_SIGN:
        next = digit ? STATE_NUMBER_EXPONENT : STATE_FAILED;
        break;
    case STATE_NUMBER_EXPONENT:
        next = digit ? STATE_NUMBER_EXPONENT : STATE_DONE;
        break;
    default:
        return false;
    }
    if (next == STATE_DONE) {
        return end_number(stream, c);
    }
    put(stream, c);
    stream->state = next;
    return next != STATE_FAILED && stream->token_bytes < JSON_TOKEN_BYTES_MAX;
}

static bool structural(struct json_stream *stream, char c)
{
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        return true;
    }
    switch (stream->state) {
    case STATE_VALUE:
        return begin_value(stream, c);
    case STATE_VALUE_OR_END:
        return c == ']' ? end_container(stream, c) : begin_value(stream, c);
    case STATE_KEY_OR_END:
        if (c == '}') {
            return end_container(stream, c);
        }
        begin_string(stream, true);
        return c == '"';
    case STATE_KEY:
        begin_string(stream, true);
        return c == '"';
    case STATE_COLON:
        stream->state = STATE_VALUE;
        return c == ':';
    case STATE_AFTER:
        if (c == ',') {
            stream->state = (stream->objects & 1) != 0 ? STATE_KEY : STATE_VALUE;
            return true;
        }
        return end_container(stream, c);
    default: /* behind the whole value */
        return false;
    }
}

static bool step(struct json_stream *stream, char c)
{
    switch (stream->state) {
    case STATE_STRING:
        return in_string(stream, c);
    case STATE_ESCAPE:
        return in_escape(stream, c);
    case STATE_UNIT:
        return in_unit(stream, c);
    case STATE_LITERAL:
        return in_literal(stream, c);
    case STATE_FAILED:
        return false;
    default:
        return stream->state >= STATE_NUMBER_SIGN && stream->state <= STATE_NUMBER_EXPONENT
                   ? in_number(stream, c)
                   : structural(stream, c);
    }
}

bool json_stream_feed(struct json_stream *stream, const void *data, size_t bytes)
{
    const char *p = data;
    for (size_t i = 0; i < bytes; i++) {
        if (!step(stream, p[i])) {
            stream->state = STATE_FAILED;
            return false;
        }
        stream->offset++;
    }
    return stream->state != STATE_FAILED;
}

bool json_stream_end(struct json_stream *stream)
{
    /* a number at the top ends only with the document */
    if (stream->depth == 0 && stream->state >= STATE_NUMBER_ZERO &&
        stream->state <= STATE_NUMBER_EXPONENT && !step(stream, ' ')) {
        stream->state = STATE_FAILED;
    }
    return stream->state == STATE_DONE;
}
