#ifndef MD_STORE_THRIFT_H
#define MD_STORE_THRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Thrift compact protocol, the part Parquet's metadata uses: structs, lists, integers, booleans and
 * byte strings, written into and read from memory. Source: apache/thrift,
 * doc/specs/thrift-compact-protocol.md. */

enum thrift_type {
    THRIFT_STOP = 0,
    THRIFT_TRUE = 1, /* a boolean field's value is its type */
    THRIFT_FALSE = 2,
    THRIFT_I8 = 3,
    THRIFT_I16 = 4,
    THRIFT_I32 = 5,
    THRIFT_I64 = 6,
    THRIFT_DOUBLE = 7,
    THRIFT_BINARY = 8,
    THRIFT_LIST = 9,
    THRIFT_SET = 10,
    THRIFT_MAP = 11,
    THRIFT_STRUCT = 12,
    THRIFT_UUID = 13,
};

#define THRIFT_DEPTH_MAX 16

/* ---- Writing. Over the caller's memory; what does not fit sets `overflow` and writes nothing.
 * Fields of one struct must be put in ascending order of their ids. */
struct thrift_writer {
    uint8_t *data;
    size_t bytes, capacity;
    bool overflow;
    uint32_t depth;
    int16_t last_id[THRIFT_DEPTH_MAX]; /* of each open struct */
};

/* Begins the outermost struct; end it with thrift_end(). */
void thrift_writer_init(struct thrift_writer *writer, void *memory, size_t capacity);
void thrift_end(struct thrift_writer *writer); /* ends the innermost open struct */

void thrift_put_bool(struct thrift_writer *writer, int16_t id, bool value);
void thrift_put_i8(struct thrift_writer *writer, int16_t id, int8_t value);
void thrift_put_i16(struct thrift_writer *writer, int16_t id, int16_t value);
void thrift_put_i32(struct thrift_writer *writer, int16_t id, int32_t value);
void thrift_put_i64(struct thrift_writer *writer, int16_t id, int64_t value);
void thrift_put_binary(struct thrift_writer *writer, int16_t id, const void *data, size_t bytes);
void thrift_put_text(struct thrift_writer *writer, int16_t id, const char *text);
void thrift_put_struct(struct thrift_writer *writer, int16_t id);
/* Exactly `count` elements must follow. */
void thrift_put_list(struct thrift_writer *writer, int16_t id, enum thrift_type element,
                     uint32_t count);
void thrift_element_bool(struct thrift_writer *writer, bool value);
void thrift_element_i32(struct thrift_writer *writer, int32_t value);
void thrift_element_i64(struct thrift_writer *writer, int64_t value);
void thrift_element_binary(struct thrift_writer *writer, const void *data, size_t bytes);
void thrift_element_struct(struct thrift_writer *writer);

/* ---- Reading hostile bytes. Every call checks its bounds; the first fault sets `failed`, after
 * which nothing moves and all values are 0. No recursion deeper than THRIFT_DEPTH_MAX. */
struct thrift_reader {
    const uint8_t *at, *end;
    bool failed;
};

struct thrift_field {
    int16_t id; /* start with 0; the previous field's id on the way in */
    enum thrift_type type;
};

struct thrift_reader thrift_reader_over(const void *data, size_t bytes);
/* Steps to the next field of the struct being read; false at its end or after a fault. */
bool thrift_next_field(struct thrift_reader *reader, struct thrift_field *field);
/* The value of the field just stepped to. A type that does not match is a fault. */
bool thrift_get_bool(struct thrift_reader *reader, struct thrift_field field);
int64_t thrift_get_int(struct thrift_reader *reader, enum thrift_type type);       /* I8 .. I64 */
int32_t thrift_get_i32(struct thrift_reader *reader, enum thrift_type type);       /* I8 .. I32 */
struct str thrift_get_binary(struct thrift_reader *reader, enum thrift_type type); /* a view */
/* Opens a list: its element type, and the count (at most as many as bytes are left). */
uint32_t thrift_get_list(struct thrift_reader *reader, enum thrift_type type,
                         enum thrift_type *element);
/* One element of a list of booleans. */
bool thrift_get_bool_element(struct thrift_reader *reader);
void thrift_skip(struct thrift_reader *reader, enum thrift_type type);

#endif
