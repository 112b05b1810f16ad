/* Thrift compact protocol, written by hand for Parquet's page headers, page indexes and footer.
 * Place: below the Parquet writer and reader; knows nothing of either.
 * Invariants: a writer never passes its capacity (overflow is sticky and kept by the caller's
 * assertion: buffers are sized for the worst case); a reader never passes its end, whatever the
 * bytes, and spends at most one step a byte, so hostile counts cost nothing.
 * Memory: none of its own. */
#include "store/thrift.h"

#include "base/assert.h"

/* ---- writing */

static void put(struct thrift_writer *writer, const void *data, size_t bytes)
{
    if (writer->overflow || bytes > writer->capacity - writer->bytes) {
        writer->overflow = true;
        return;
    }
    if (bytes > 0) {
        memcpy(writer->data + writer->bytes, data, bytes);
    }
    writer->bytes += bytes;
}

/* A small file is mostly headers: these two are its footer's cost. */
static inline void put_byte(struct thrift_writer *writer, uint32_t byte)
{
    if (writer->overflow || writer->bytes == writer->capacity) {
        writer->overflow = true;
        return;
    }
    writer->data[writer->bytes++] = (uint8_t)byte;
}

static inline void put_varint(struct thrift_writer *writer, uint64_t value)
{
    while (value >= 0x80) {
        put_byte(writer, (uint32_t)(value & 0x7f) | 0x80);
        value >>= 7;
    }
    put_byte(writer, (uint32_t)value);
}

static void put_header(struct thrift_writer *writer, int16_t id, enum thrift_type type)
{
    ASSERT(writer->depth > 0);
    int16_t *last = &writer->last_id[writer->depth - 1];
    ASSERT(id > *last);
    int delta = id - *last;
    if (delta <= 15) {
        put_byte(writer, (uint32_t)delta << 4 | (uint32_t)type);
    } else {
        put_byte(writer, (uint32_t)type);
        put_varint(writer, zigzag(id));
    }
    *last = id;
}

void thrift_writer_init(struct thrift_writer *writer, void *memory, size_t capacity)
{
    *writer = (struct thrift_writer){.data = memory, .capacity = capacity, .depth = 1};
}

void thrift_end(struct thrift_writer *writer)
{
    ASSERT(writer->depth > 0);
    put_byte(writer, THRIFT_STOP);
    writer->depth--;
}

void thrift_put_bool(struct thrift_writer *writer, int16_t id, bool value)
{
    put_header(writer, id, value ? THRIFT_TRUE : THRIFT_FALSE);
}

void thrift_put_i8(struct thrift_writer *writer, int16_t id, int8_t value)
{
    put_header(writer, id, THRIFT_I8);
    put_byte(writer, (uint8_t)value);
}

void thrift_put_i16(struct thrift_writer *writer, int16_t id, int16_t value)
{
    put_header(writer, id, THRIFT_I16);
    put_varint(writer, zigzag(value));
}

void thrift_put_i32(struct thrift_writer *writer, int16_t id, int32_t value)
{
    put_header(writer, id, THRIFT_I32);
    put_varint(writer, zigzag(value));
}

void thrift_put_i64(struct thrift_writer *writer, int16_t id, int64_t value)
{
    put_header(writer, id, THRIFT_I64);
    put_varint(writer, zigzag(value));
}

void thrift_put_binary(struct thrift_writer *writer, int16_t id, const void *data, size_t bytes)
{
    put_header(writer, id, THRIFT_BINARY);
    thrift_element_binary(writer, data, bytes);
}

void thrift_put_text(struct thrift_writer *writer, int16_t id, const char *text)
{
    thrift_put_binary(writer, id, text, strlen(text));
}

void thrift_put_struct(struct thrift_writer *writer, int16_t id)
{
    put_header(writer, id, THRIFT_STRUCT);
    thrift_element_struct(writer);
}

void thrift_put_list(struct thrift_writer *writer, int16_t id, enum thrift_type element,
                     uint32_t count)
{
    put_header(writer, id, THRIFT_LIST);
    if (count < 15) {
        put_byte(writer, count << 4 | (uint32_t)element);
    } else {
        put_byte(writer, 0xf0u | (uint32_t)element);
        put_varint(writer, count);
    }
}

void thrift_element_bool(struct thrift_writer *writer, bool value)
{
    put_byte(writer, value ? THRIFT_TRUE : THRIFT_FALSE);
}

void thrift_element_i32(struct thrift_writer *writer, int32_t value)
{
    put_varint(writer, zigzag(value));
}

void thrift_element_i64(struct thrift_writer *writer, int64_t value)
{
    put_varint(writer, zigzag(value));
}

void thrift_element_binary(struct thrift_writer *writer, const void *data, size_t bytes)
{
    put_varint(writer, bytes);
    put(writer, data, bytes);
}

void thrift_element_struct(struct thrift_writer *writer)
{
    ASSERT(writer->depth < THRIFT_DEPTH_MAX);
    writer->last_id[writer->depth++] = 0;
}

/* ---- reading */

static void fail(struct thrift_reader *reader)
{
    reader->failed = true;
    reader->at = reader->end;
}

static uint8_t get_byte(struct thrift_reader *reader)
{
    if (reader->at == reader->end) {
        fail(reader);
        return 0;
    }
    return *reader->at++;
}

static uint64_t get_varint(struct thrift_reader *reader)
{
    uint64_t value = 0;
    size_t bytes = varint_get(reader->at, reader->end, &value);
    if (bytes == 0) {
        fail(reader);
        return 0;
    }
    reader->at += bytes;
    return value;
}

struct thrift_reader thrift_reader_over(const void *data, size_t bytes)
{
    const uint8_t *at = data;
    return (struct thrift_reader){at, at + bytes, false};
}

bool thrift_next_field(struct thrift_reader *reader, struct thrift_field *field)
{
    uint8_t byte = get_byte(reader);
    field->type = (enum thrift_type)(byte & 15);
    if (reader->failed || field->type == THRIFT_STOP) {
        return false;
    }
    int64_t id = byte >> 4 != 0 ? field->id + (byte >> 4) : unzigzag(get_varint(reader));
    if (id < INT16_MIN || id > INT16_MAX || field->type > THRIFT_UUID) {
        fail(reader);
    }
    field->id = (int16_t)id;
    return !reader->failed;
}

bool thrift_get_bool(struct thrift_reader *reader, struct thrift_field field)
{
    if (field.type != THRIFT_TRUE && field.type != THRIFT_FALSE) {
        fail(reader);
    }
    return field.type == THRIFT_TRUE;
}

int64_t thrift_get_int(struct thrift_reader *reader, enum thrift_type type)
{
    if (type == THRIFT_I8) {
        return (int8_t)get_byte(reader);
    }
    if (type != THRIFT_I16 && type != THRIFT_I32 && type != THRIFT_I64) {
        fail(reader);
        return 0;
    }
    return unzigzag(get_varint(reader));
}

int32_t thrift_get_i32(struct thrift_reader *reader, enum thrift_type type)
{
    int64_t value = thrift_get_int(reader, type);
    if (value < INT32_MIN || value > INT32_MAX) {
        fail(reader);
        return 0;
    }
    return (int32_t)value;
}

struct str thrift_get_binary(struct thrift_reader *reader, enum thrift_type type)
{
    if (type != THRIFT_BINARY) {
        fail(reader);
    }
    uint64_t bytes = get_varint(reader);
    if (reader->failed || bytes > (size_t)(reader->end - reader->at)) {
        fail(reader);
        return STR("");
    }
    struct str value = str_make((const char *)reader->at, (size_t)bytes);
    reader->at += bytes;
    return value;
}

uint32_t thrift_get_list(struct thrift_reader *reader, enum thrift_type type,
                         enum thrift_type *element)
{
    *element = THRIFT_STOP;
    if (type != THRIFT_LIST && type != THRIFT_SET) {
        fail(reader);
    }
    uint8_t byte = get_byte(reader);
    uint64_t count = byte >> 4 == 15 ? get_varint(reader) : byte >> 4;
    /* every element takes a byte at least, so a larger count is a lie */
    if (reader->failed || count > (size_t)(reader->end - reader->at) || count > INT32_MAX ||
        (byte & 15) > THRIFT_UUID || (byte & 15) == THRIFT_STOP) {
        fail(reader);
        return 0;
    }
    *element = (enum thrift_type)(byte & 15);
    return (uint32_t)count;
}

bool thrift_get_bool_element(struct thrift_reader *reader)
{
    return get_byte(reader) == THRIFT_TRUE;
}

static void skip_value(struct thrift_reader *reader, enum thrift_type type, uint32_t depth);

static void skip_bytes(struct thrift_reader *reader, size_t bytes)
{
    if (bytes > (size_t)(reader->end - reader->at)) {
        fail(reader);
        return;
    }
    reader->at += bytes;
}

static void skip_element(struct thrift_reader *reader, enum thrift_type type, uint32_t depth)
{
    if (type == THRIFT_TRUE || type == THRIFT_FALSE) {
        skip_bytes(reader, 1);
    } else {
        skip_value(reader, type, depth);
    }
}

static void skip_list(struct thrift_reader *reader, enum thrift_type type, uint32_t depth)
{
    enum thrift_type element;
    uint32_t count = thrift_get_list(reader, type, &element);
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        skip_element(reader, element, depth + 1);
    }
}

static void skip_map(struct thrift_reader *reader, uint32_t depth)
{
    uint64_t count = get_varint(reader);
    if (reader->failed || count == 0) {
        return;
    }
    uint8_t types = get_byte(reader);
    for (uint64_t i = 0; i < count && !reader->failed; i++) {
        skip_element(reader, (enum thrift_type)(types >> 4), depth + 1);
        skip_element(reader, (enum thrift_type)(types & 15), depth + 1);
    }
}

static void skip_struct(struct thrift_reader *reader, uint32_t depth)
{
    struct thrift_field field = {0};
    while (thrift_next_field(reader, &field)) {
        skip_value(reader, field.type, depth + 1);
    }
}

static void skip_value(struct thrift_reader *reader, enum thrift_type type, uint32_t depth)
{
    if (depth > THRIFT_DEPTH_MAX) {
        fail(reader);
        return;
    }
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        break;
    case THRIFT_I8:
        skip_bytes(reader, 1);
        break;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        (void)get_varint(reader);
        break;
    case THRIFT_DOUBLE:
        skip_bytes(reader, 8);
        break;
    case THRIFT_UUID:
        skip_bytes(reader, 16);
        break;
    case THRIFT_BINARY:
        (void)thrift_get_binary(reader, type);
        break;
    case THRIFT_LIST:
    case THRIFT_SET:
        skip_list(reader, type, depth);
        break;
    case THRIFT_MAP:
        skip_map(reader, depth);
        break;
    case THRIFT_STRUCT:
        skip_struct(reader, depth);
        break;
    case THRIFT_STOP:
    default:
        fail(reader);
        break;
    }
}

void thrift_skip(struct thrift_reader *reader, enum thrift_type type)
{
    skip_value(reader, type, 0);
}
