/* The budget's allocator: our own memory is taken before the seal, libraries' memory is counted on
 * lines of their own. Each block has a 64-byte head that keeps its line and size. */
#include "base/alloc.h"

#include <curl/curl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define HEAD_BYTES 64
#define MAGIC 0x4d44616c6c6f6331ULL

struct head {
    uint64_t magic;
    size_t bytes; /* asked for */
    enum alloc_line line;
};
_Static_assert(sizeof(struct head) <= HEAD_BYTES, "the head fits before the block");

static struct {
    _Atomic size_t bytes, bytes_max, limit;
    _Atomic uint64_t refused;
} lines[ALLOC_LINE_COUNT];
static atomic_bool sealed;
static _Atomic uint64_t fail_countdown;

static const struct {
    const char *label;
    bool library;
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
    return labels[line].library;
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

static void *block_make(enum alloc_line line, size_t bytes, bool zero)
{
    if (bytes > SIZE_MAX / 2 || told_to_fail()) {
        return NULL;
    }
    size_t whole = (HEAD_BYTES + bytes + 63) & ~(size_t)63;
    char *memory = aligned_alloc(64, whole);
    if (memory == NULL) {
        return NULL;
    }
    struct head *head = (struct head *)(void *)memory;
    *head = (struct head){MAGIC, bytes, line};
    if (zero) {
        memset(memory + HEAD_BYTES, 0, whole - HEAD_BYTES);
    }
    count_more(line, bytes);
    return memory + HEAD_BYTES;
}

static struct head *head_of(void *memory)
{
    struct head *head = (struct head *)(void *)((char *)memory - HEAD_BYTES);
    ASSERT(head->magic == MAGIC);
    return head;
}

static void block_free(void *memory)
{
    if (memory == NULL) {
        return;
    }
    struct head *head = head_of(memory);
    atomic_fetch_sub_explicit(&lines[head->line].bytes, head->bytes, memory_order_relaxed);
    head->magic = 0;
    free(head);
}

void *alloc_take(enum alloc_line line, size_t bytes)
{
    ASSERT(!atomic_load(&sealed));
    ASSERT(!labels[line].library);
    return block_make(line, bytes, true);
}

void alloc_give(void *memory)
{
    block_free(memory);
}

void alloc_seal(void)
{
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
    return over_limit(line, bytes) ? NULL : block_make(line, bytes, false);
}

void *alloc_library_resize(enum alloc_line line, void *memory, size_t bytes)
{
    if (memory == NULL) {
        return alloc_library(line, bytes);
    }
    size_t old = head_of(memory)->bytes;
    void *moved = alloc_library(line, bytes);
    if (moved != NULL) {
        memcpy(moved, memory, old < bytes ? old : bytes);
        block_free(memory);
    }
    return moved;
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
