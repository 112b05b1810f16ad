/* The budget's allocator: our own memory is taken before the seal, libraries' memory is counted on
 * lines of their own. A 16-byte head right before each block keeps its line and size, so that
 * giving back needs neither; the block ends where the system's block ends, so that ASan sees a read
 * past it. Counts are atomics without a lock. Zeroed memory comes from calloc: large pieces cost no
 * page before they are touched. Beyond what is counted, a block costs its head, an own one up to 64
 * bytes for its alignment too. */
#include "base/alloc.h"

#include <curl/curl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define ALIGNMENT 64
#define MAGIC 0x4d61 /* a block of ours; GONE after it was given back */
#define GONE 0x6f67

struct head {
    size_t bytes; /* asked for */
    uint16_t magic;
    uint16_t offset; /* from the system's block to ours */
    uint32_t line;
};
_Static_assert(sizeof(struct head) == 16, "a library's block is as aligned as malloc's");

static struct {
    _Atomic size_t bytes, bytes_max, limit;
    _Atomic uint64_t refused;
} lines[ALLOC_LINE_COUNT];
static atomic_bool sealed;
static _Atomic uint64_t fail_countdown;

static const struct {
    const char *label;
    bool of_library;
} labels[] = {
#define X(line, label, library) {label, library},
    ALLOC_LINE_LIST(X)
#undef X
};
_Static_assert(sizeof labels / sizeof labels[0] == ALLOC_LINE_COUNT, "a label for each line");

const char *alloc_line_label(enum alloc_line line)
{
    return labels[line].label;
}

bool alloc_line_is_library(enum alloc_line line)
{
    return labels[line].of_library;
}

static bool told_to_fail(void)
{
    uint64_t n = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    return n > 0 && atomic_fetch_sub(&fail_countdown, 1) == 1;
}

static void count_more(enum alloc_line line, size_t bytes)
{
    size_t now = atomic_fetch_add_explicit(&lines[line].bytes, bytes, memory_order_relaxed) + bytes;
    size_t high = atomic_load_explicit(&lines[line].bytes_max, memory_order_relaxed);
    while (now > high &&
           !atomic_compare_exchange_weak_explicit(&lines[line].bytes_max, &high, now,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void count_less(enum alloc_line line, size_t bytes)
{
    size_t before = atomic_fetch_sub_explicit(&lines[line].bytes, bytes, memory_order_relaxed);
    ASSERT(before >= bytes);
}

/* Puts the head before the block that starts `offset` bytes into the system's. */
static void *block_make(enum alloc_line line, size_t bytes, char *memory, size_t offset)
{
    struct head head = {
        .bytes = bytes, .magic = MAGIC, .offset = (uint16_t)offset, .line = (uint32_t)line};
    memcpy(memory + offset - sizeof head, &head, sizeof head);
    count_more(line, bytes);
    return memory + offset;
}

static struct head *head_of(void *memory)
{
    struct head *head = (struct head *)(void *)((char *)memory - sizeof(struct head));
    ASSERT(head->magic == MAGIC);
    ASSERT(head->line < ALLOC_LINE_COUNT);
    return head;
}

static void block_free(void *memory)
{
    if (memory == NULL) {
        return;
    }
    struct head *head = head_of(memory);
    count_less((enum alloc_line)head->line, head->bytes);
    head->magic = GONE;
    free((char *)memory - head->offset);
}

void *alloc_take(enum alloc_line line, size_t bytes)
{
    ASSERT(!atomic_load(&sealed));
    ASSERT(!labels[line].of_library);
    if (bytes > SIZE_MAX / 2 || told_to_fail()) {
        return NULL;
    }
    char *memory = calloc(1, sizeof(struct head) + ALIGNMENT - 1 + bytes);
    if (memory == NULL) {
        return NULL;
    }
    uintptr_t first = (uintptr_t)memory + sizeof(struct head);
    uintptr_t aligned = (first + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1);
    return block_make(line, bytes, memory, (size_t)(aligned - (uintptr_t)memory));
}

void alloc_give(void *memory)
{
    block_free(memory);
}

void alloc_seal(void)
{
    for (int line = 0; line < ALLOC_LINE_COUNT; line++) {
        atomic_store(&lines[line].bytes_max, atomic_load(&lines[line].bytes));
    }
    atomic_store(&sealed, true);
}

void alloc_unseal(void)
{
    atomic_store(&sealed, false);
}

bool alloc_sealed(void)
{
    return atomic_load(&sealed);
}

static bool over_limit(enum alloc_line line, size_t more)
{
    size_t limit = atomic_load_explicit(&lines[line].limit, memory_order_relaxed);
    if (limit == 0 ||
        atomic_load_explicit(&lines[line].bytes, memory_order_relaxed) + more <= limit) {
        return false;
    }
    atomic_fetch_add_explicit(&lines[line].refused, 1, memory_order_relaxed);
    return true;
}

void *alloc_library(enum alloc_line line, size_t bytes)
{
    if (over_limit(line, bytes) || bytes > SIZE_MAX / 2 || told_to_fail()) {
        return NULL;
    }
    char *memory = malloc(sizeof(struct head) + bytes);
    return memory != NULL ? block_make(line, bytes, memory, sizeof(struct head)) : NULL;
}

void *alloc_library_resize(enum alloc_line line, void *memory, size_t bytes)
{
    if (memory == NULL) {
        return alloc_library(line, bytes);
    }
    struct head *head = head_of(memory);
    size_t old = head->bytes;
    ASSERT(head->line == line);
    ASSERT(head->offset == sizeof *head);
    if (bytes > SIZE_MAX / 2 || (bytes > old && over_limit(line, bytes - old)) || told_to_fail()) {
        return NULL;
    }
    char *moved = realloc(head, sizeof *head + bytes);
    if (moved == NULL) {
        return NULL;
    }
    count_less(line, old);
    return block_make(line, bytes, moved, sizeof *head);
}

void alloc_library_free(void *memory)
{
    block_free(memory);
}

void alloc_line_limit(enum alloc_line line, size_t bytes)
{
    atomic_store(&lines[line].limit, bytes);
}

struct alloc_stats alloc_line_stats(enum alloc_line line)
{
    return (struct alloc_stats){
        .bytes = atomic_load(&lines[line].bytes),
        .bytes_max = atomic_load(&lines[line].bytes_max),
        .refused = atomic_load(&lines[line].refused),
    };
}

void alloc_fail_at(uint64_t n)
{
    atomic_store(&fail_countdown, n);
}

/* ---- library hooks */

static void *tls_malloc(size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    return alloc_library(ALLOC_LIB_TLS, bytes);
}

static void *tls_realloc(void *memory, size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    if (bytes == 0) {
        block_free(memory);
        return NULL;
    }
    return alloc_library_resize(ALLOC_LIB_TLS, memory, bytes);
}

static void tls_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    block_free(memory);
}

static void *json_malloc(size_t bytes)
{
    return alloc_library(ALLOC_LIB_JSON, bytes);
}

static void *curl_malloc(size_t bytes)
{
    return alloc_library(ALLOC_LIB_CURL, bytes);
}

static void *curl_realloc(void *memory, size_t bytes)
{
    return alloc_library_resize(ALLOC_LIB_CURL, memory, bytes);
}

static char *curl_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = alloc_library(ALLOC_LIB_CURL, bytes);
    if (copy != NULL) {
        memcpy(copy, text, bytes);
    }
    return copy;
}

static void *curl_calloc(size_t count, size_t bytes)
{
    if (bytes > 0 && count > SIZE_MAX / bytes) {
        return NULL;
    }
    void *memory = alloc_library(ALLOC_LIB_CURL, count * bytes);
    if (memory != NULL) {
        memset(memory, 0, count * bytes);
    }
    return memory;
}

void alloc_hook_libraries(void)
{
    static bool hooked;
    if (hooked) {
        return;
    }
    hooked = true;
    /* 0: something of OpenSSL has allocated already; its memory is then not counted. */
    int counted = CRYPTO_set_mem_functions(tls_malloc, tls_realloc, tls_free);
    ASSERT(counted == 1);
    json_set_alloc_funcs(json_malloc, alloc_library_free);
    CURLcode code = curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_malloc, alloc_library_free,
                                         curl_realloc, curl_strdup, curl_calloc);
    ASSERT(code == CURLE_OK);
}
