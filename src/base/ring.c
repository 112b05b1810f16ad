/* SPSC byte ring: the one way from the net thread to the landing thread. Positions count bytes for
 * ever and are masked on use; a message never wraps: when the end of the memory is too near, a skip
 * mark fills it. Each message: u64 length (top bit = skip), then bytes, padded to 8.
 *
 * The producer writes `tail`, the consumer `head`, each on a cache line of its own; each keeps the
 * other's last position seen and reads the line anew only when that looks full or empty (10M
 * messages of 250 bytes: 45-95 ns each before, 18-42 after, on a busy machine). The consumer sleeps
 * on a futex word that the producer looks at after each commit and wakes only when it is set: no
 * system call while the consumer is awake. Memory: the capacity, rounded up to a power of two. */
#include "base/ring.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

#define SKIP (1ULL << 63)
#define HEAD 8

struct ring {
    /* producer's line */
    _Alignas(64) _Atomic uint64_t tail; /* bytes written and visible */
    uint64_t head_seen;   /* last head the producer read: the consumer's line is touched seldom */
    uint64_t popped_seen; /* and last count of consumed messages */
    uint64_t reserved_at, reserved_end; /* a reserve that is not committed; equal = none */
    _Atomic uint64_t pushed;
    _Atomic uint64_t messages_high;
    _Atomic size_t bytes_high;
    /* consumer's line */
    _Alignas(64) _Atomic uint64_t head; /* bytes consumed */
    uint64_t tail_seen;
    uint64_t peeked_end;
    _Atomic uint64_t popped;
    /* shared, seldom */
    _Alignas(64) _Atomic uint32_t waiting;
    size_t capacity, mask;
    uint64_t messages_max;
    char *memory;
};

struct ring *ring_create(enum alloc_line line, size_t capacity_bytes, uint64_t messages_max)
{
    size_t capacity = 4096;
    if (capacity_bytes > SIZE_MAX / 4) {
        return NULL; /* no power of two would hold it */
    }
    while (capacity < capacity_bytes) {
        capacity *= 2;
    }
    struct ring *ring = alloc_take(line, sizeof *ring);
    char *memory = ring != NULL ? alloc_take(line, capacity) : NULL;
    if (memory == NULL) {
        alloc_give(ring);
        return NULL;
    }
    ring->capacity = capacity;
    ring->mask = capacity - 1;
    ring->messages_max = messages_max;
    ring->memory = memory;
    return ring;
}

void ring_destroy(struct ring *ring)
{
    if (ring != NULL) {
        alloc_give(ring->memory);
        alloc_give(ring);
    }
}

static bool fits(struct ring *ring, uint64_t end)
{
    if (end - ring->head_seen <= ring->capacity) {
        return true;
    }
    ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
    return end - ring->head_seen <= ring->capacity;
}

static bool count_fits(struct ring *ring)
{
    uint64_t pushed = atomic_load_explicit(&ring->pushed, memory_order_relaxed);
    if (ring->messages_max == 0 || pushed - ring->popped_seen < ring->messages_max) {
        return true;
    }
    ring->popped_seen = atomic_load_explicit(&ring->popped, memory_order_relaxed);
    return pushed - ring->popped_seen < ring->messages_max;
}

/* The high-water marks, with the producer's own view first: it never makes the fill look lower than
 * it is, so the consumer's line is read only when a new mark may be due. */
static void note_fill(struct ring *ring, uint64_t pushed)
{
    uint64_t high = atomic_load_explicit(&ring->messages_high, memory_order_relaxed);
    if (pushed - ring->popped_seen > high) {
        ring->popped_seen = atomic_load_explicit(&ring->popped, memory_order_relaxed);
        if (pushed - ring->popped_seen > high) {
            high = pushed - ring->popped_seen;
            atomic_store_explicit(&ring->messages_high, high, memory_order_relaxed);
        }
    }
    size_t bytes_high = atomic_load_explicit(&ring->bytes_high, memory_order_relaxed);
    if (ring->reserved_end - ring->head_seen > bytes_high) {
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
        if (ring->reserved_end - ring->head_seen > bytes_high) {
            bytes_high = (size_t)(ring->reserved_end - ring->head_seen);
            atomic_store_explicit(&ring->bytes_high, bytes_high, memory_order_relaxed);
        }
    }
}

void *ring_reserve(struct ring *ring, size_t bytes)
{
    if (bytes > ring_message_bytes_max(ring)) {
        return NULL;
    }
    if (!count_fits(ring)) {
        return NULL;
    }
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t length = HEAD + ((bytes + 7) & ~(uint64_t)7);
    uint64_t to_edge = ring->capacity - (tail & ring->mask);
    uint64_t at = length <= to_edge ? tail : tail + to_edge;
    if (!fits(ring, at + length)) {
        return NULL;
    }
    if (at != tail) {
        store_u64(ring->memory + (tail & ring->mask), SKIP | to_edge);
    }
    store_u64(ring->memory + (at & ring->mask), bytes);
    ring->reserved_at = at;
    ring->reserved_end = at + length;
    return ring->memory + (at & ring->mask) + HEAD;
}

static void wake(struct ring *ring)
{
    atomic_store(&ring->waiting, 0);
    syscall(SYS_futex, &ring->waiting, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void ring_commit(struct ring *ring)
{
    ASSERT(ring->reserved_end != ring->reserved_at);
    uint64_t pushed = atomic_load_explicit(&ring->pushed, memory_order_relaxed) + 1;
    note_fill(ring, pushed);
    atomic_store_explicit(&ring->pushed, pushed, memory_order_relaxed);
    /* seq_cst pairs with ring_wait(): either it sees the new tail, or we see that it waits */
    atomic_store(&ring->tail, ring->reserved_end);
    ring->reserved_at = ring->reserved_end;
    if (atomic_load(&ring->waiting) != 0) {
        wake(ring);
    }
}

const void *ring_peek(struct ring *ring, size_t *bytes)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    for (;;) {
        if (head == ring->tail_seen) {
            ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
            if (head == ring->tail_seen) {
                return NULL;
            }
        }
        uint64_t length = load_u64(ring->memory + (head & ring->mask));
        if ((length & SKIP) == 0) {
            *bytes = (size_t)length;
            ring->peeked_end = head + HEAD + ((length + 7) & ~(uint64_t)7);
            return ring->memory + (head & ring->mask) + HEAD;
        }
        head += length & ~SKIP;
        atomic_store_explicit(&ring->head, head, memory_order_release);
    }
}

void ring_consume(struct ring *ring)
{
    ASSERT(ring->peeked_end != 0);
    atomic_store_explicit(&ring->popped,
                          atomic_load_explicit(&ring->popped, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&ring->head, ring->peeked_end, memory_order_release);
    ring->peeked_end = 0;
}

void ring_wait(struct ring *ring, int timeout_ms)
{
    ASSERT(timeout_ms >= 0);
    atomic_store(&ring->waiting, 1);
    if (atomic_load(&ring->tail) == atomic_load_explicit(&ring->head, memory_order_relaxed)) {
        struct timespec timeout = {timeout_ms / 1000, (timeout_ms % 1000) * 1000000L};
        syscall(SYS_futex, &ring->waiting, FUTEX_WAIT_PRIVATE, 1, &timeout, NULL, 0);
    }
    atomic_store(&ring->waiting, 0);
}

uint64_t ring_messages(const struct ring *ring)
{
    uint64_t popped = atomic_load_explicit(&ring->popped, memory_order_relaxed);
    uint64_t pushed = atomic_load_explicit(&ring->pushed, memory_order_relaxed);
    return pushed > popped ? pushed - popped : 0;
}

size_t ring_bytes(const struct ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    return tail > head ? (size_t)(tail - head) : 0;
}

uint64_t ring_messages_high(const struct ring *ring)
{
    return atomic_load_explicit(&ring->messages_high, memory_order_relaxed);
}

size_t ring_bytes_high(const struct ring *ring)
{
    return atomic_load_explicit(&ring->bytes_high, memory_order_relaxed);
}

size_t ring_capacity(const struct ring *ring)
{
    return ring->capacity;
}

size_t ring_message_bytes_max(const struct ring *ring)
{
    return ring->capacity / 2 - HEAD;
}
