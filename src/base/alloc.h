#ifndef MD_BASE_ALLOC_H
#define MD_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All memory of ours is taken at start, each piece on one line of the budget, and not after
 * alloc_seal(). Libraries that must allocate while running (OpenSSL, jansson, libcurl, zstd where
 * a static workspace will not do) are given counting allocators on lines of their own. */

/* line, label for people, is a library line */
#define ALLOC_LINE_LIST(X)                                               \
    X(ALLOC_FRAME_RING, "frame ring (net to land)", false)               \
    X(ALLOC_CONNECTIONS, "connections: receive and send buffers", false) \
    X(ALLOC_FEED, "subscription plan and pacing", false)                 \
    X(ALLOC_JOURNAL, "journal blocks and compression", false)            \
    X(ALLOC_DECODE, "message decoding scratch", false)                   \
    X(ALLOC_STREAMS, "streams: sequence state and names", false)         \
    X(ALLOC_BOOKS, "order books", false)                                 \
    X(ALLOC_ROW_BLOCKS, "row blocks of open partitions", false)          \
    X(ALLOC_PARTITIONS, "partition and seal job tables", false)          \
    X(ALLOC_SEAL, "seal: one row group, pages, compression", false)      \
    X(ALLOC_LOG, "log and counters", false)                              \
    X(ALLOC_WATCH, "metrics and page", false)                            \
    X(ALLOC_APP, "configuration and symbols", false)                     \
    X(ALLOC_SIM, "simulator (demo and simulate only)", false)            \
    X(ALLOC_STACKS, "thread stacks in use (estimate)", false)            \
    X(ALLOC_LIB_TLS, "library: OpenSSL", true)                           \
    X(ALLOC_LIB_CURL, "library: libcurl", true)                          \
    X(ALLOC_LIB_JSON, "library: jansson", true)                          \
    X(ALLOC_LIB_HTTP, "library: libmicrohttpd (the most it may take)", true)

enum alloc_line {
#define X(line, label, library) line,
    ALLOC_LINE_LIST(X)
#undef X
        ALLOC_LINE_COUNT
};

const char *alloc_line_label(enum alloc_line line);
bool alloc_line_is_library(enum alloc_line line);

/* Takes zeroed memory (64-byte aligned) for `line`. Before alloc_seal() only: after it this is an
 * assertion failure. Returns NULL when the system has none, or when alloc_fail_at() says so. */
void *alloc_take(enum alloc_line line, size_t bytes);
/* Gives back what alloc_take() returned (NULL is allowed). Allowed at any time: shutting down. */
void alloc_give(void *memory);

/* From here on alloc_take() is an assertion failure. High-water marks begin anew: what planning
 * took and gave back is no matter of the lines. */
void alloc_seal(void);
/* For tests and for shutting down: opens the allocator again. */
void alloc_unseal(void);
bool alloc_sealed(void);

/* Library allocators: malloc semantics, counted on `line`, thread-safe, allowed after the seal.
 * When the line has a limit and it would be passed, they return NULL and count a refusal. */
void *alloc_library(enum alloc_line line, size_t bytes);
void *alloc_library_resize(enum alloc_line line, void *memory, size_t bytes);
void alloc_library_free(void *memory);
/* 0 = no limit. */
void alloc_line_limit(enum alloc_line line, size_t bytes);

struct alloc_stats {
    size_t bytes;     /* now */
    size_t bytes_max; /* high-water mark, since the start or the seal */
    uint64_t refused; /* library allocations refused by the line's limit */
};
struct alloc_stats alloc_line_stats(enum alloc_line line); /* any thread */

/* Hooks OpenSSL, jansson and libcurl to their lines. Call once, before any of them is used.
 * (zstd needs none: contexts live in static workspaces that we take.) */
void alloc_hook_libraries(void);

/* Test aid: the n-th alloc_take/alloc_library from now on (1 = next) returns NULL; 0 = never. */
void alloc_fail_at(uint64_t n);

#endif
