/* The table hash (64-bit, multiply and fold) and CRC-32C, by SSE4.2 where the processor has it.
 * Both are on disk: each journal block carries a CRC, each cut file name a hash, so neither may
 * ever change its values (test_hash.c holds them). The hash is not made to withstand an attacker:
 * tables that hold names from outside are bounded by the plan, so collisions cost time only.
 * Memory: the 1 KiB table of the CRC's fallback. */
#include "base/str.h"

static uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t str_hash(struct str s, uint64_t seed)
{
    static const uint64_t k0 = 0xa0761d6478bd642fULL, k1 = 0xe7037ed1a0b428dbULL;
    const char *p = s.data;
    size_t left = s.bytes;
    uint64_t state = seed ^ k0 ^ (uint64_t)s.bytes;
    while (left >= 8) {
        state = fold(state ^ load_u64(p), k1);
        p += 8;
        left -= 8;
    }
    uint64_t tail = 0;
    if (left > 0) {
        memcpy(&tail, p, left);
    }
    return fold(fold(state ^ tail, k1) ^ k0, k1);
}

static uint32_t crc_table[256];

/* Before main(), so that no thread ever sees half a table. */
__attribute__((constructor)) static void crc_table_make(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1)));
        }
        crc_table[i] = crc;
    }
}

uint32_t crc32c_table(uint32_t crc, const void *data, size_t bytes)
{
    const uint8_t *p = data;
    crc = ~crc;
    while (bytes-- > 0) {
        crc = (crc >> 8) ^ crc_table[(crc ^ *p++) & 0xff];
    }
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *data,
                                                               size_t bytes)
{
    const uint8_t *p = data;
    uint64_t wide = ~crc;
    while (bytes >= 8) {
        wide = __builtin_ia32_crc32di(wide, load_u64(p));
        p += 8;
        bytes -= 8;
    }
    uint32_t narrow = (uint32_t)wide;
    while (bytes-- > 0) {
        narrow = __builtin_ia32_crc32qi(narrow, *p++);
    }
    return ~narrow;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
    return __builtin_cpu_supports("sse4.2") ? crc32c_sse42(crc, data, bytes)
                                            : crc32c_table(crc, data, bytes);
}
#else
uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
    return crc32c_table(crc, data, bytes);
}
#endif
