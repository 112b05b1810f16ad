#ifndef MD_BASE_STR_H
#define MD_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A borrowed run of bytes, not terminated. Whoever hands one out says until when it is valid. */
struct str {
    const char *data; /* may be NULL when bytes is 0 */
    size_t bytes;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

static inline struct str str_make(const char *data, size_t bytes)
{
    return (struct str){data, bytes};
}

static inline struct str str_from(const char *text)
{
    return (struct str){text, strlen(text)};
}

static inline bool str_equal(struct str a, struct str b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

/* A bounded text or byte builder over the caller's memory. Once something did not fit, `overflow`
 * stays set, nothing more is written, and `bytes` stays at the last whole write. */
struct buf {
    char *data;
    size_t bytes;
    size_t capacity;
    bool overflow;
};

static inline struct buf buf_over(char *memory, size_t capacity)
{
    return (struct buf){memory, 0, capacity, false};
}

void buf_reset(struct buf *buf);
void buf_put(struct buf *buf, const void *data, size_t bytes);
void buf_put_char(struct buf *buf, char c);
void buf_put_str(struct buf *buf, struct str s);
void buf_put_i64(struct buf *buf, int64_t value);
void buf_put_u64(struct buf *buf, uint64_t value);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct str buf_view(const struct buf *buf); /* valid until the next write */

/* Little-endian loads and stores at any alignment. */
static inline uint16_t load_u16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint32_t load_u32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint64_t load_u64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void store_u16(void *p, uint16_t v)
{
    memcpy(p, &v, sizeof v);
}
static inline void store_u32(void *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}
static inline void store_u64(void *p, uint64_t v)
{
    memcpy(p, &v, sizeof v);
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "big-endian machines are not supported");

/* LEB128 varints. put: at most 10 bytes are written, returns how many. get: returns bytes read, or
 * 0 when the bytes between p and end do not hold a whole value of at most 64 bits. */
size_t varint_put(uint8_t *p, uint64_t value);
size_t varint_get(const uint8_t *p, const uint8_t *end, uint64_t *value);
static inline uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Prints at most `bytes` of hostile input as one printable line: other than 0x20-0x7e becomes \xNN,
 * a backslash is doubled. Always terminates `out`. Returns the length. */
size_t str_printable(char *out, size_t out_capacity, const void *data, size_t bytes);

/* One safe path component for a name from outside: [A-Za-z0-9._-] pass, all else is %XX (hex in
 * upper case), a leading dot is %2E, an empty name is "%00empty"; above 200 bytes the escaped text
 * is cut and "%~" + 16 hex digits of the name's 64-bit hash are appended, 200 bytes in all.
 * Reversible below the cut; two names never share a component but by a collision of the hash.
 * `out` must hold 256 bytes. Returns the length. (faults.md row 16) */
size_t str_path_component(char out[256], struct str name);
/* The reverse, into `out`; MD_EPARSE if `component` is not such a text, MD_ENOTSUP if it was cut,
 * MD_ETOOBIG if `out` is too small. */
int str_path_decode(struct str component, char *out, size_t out_capacity, size_t *out_bytes);

/* 64-bit hash for tables (not cryptographic; seeded by the caller, 0 is fine). */
uint64_t str_hash(struct str s, uint64_t seed);
/* CRC-32C (Castagnoli), hardware where the processor has it. Start with crc = 0. */
uint32_t crc32c(uint32_t crc, const void *data, size_t bytes);
/* The same without the processor's help; tests compare the two. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t bytes);

#endif
