#ifndef MD_BASE_RING_H
#define MD_BASE_RING_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/str.h"

/* Bounded byte ring between exactly one producer thread and one consumer thread. Messages are
 * contiguous, 8-byte aligned, and seen whole or not at all.
 *
 *   producer: p = ring_reserve(r, n); write n bytes; ring_commit(r);
 *   consumer: p = ring_peek(r, &n); read; ring_consume(r);
 *
 * Two bounds: bytes (the capacity) and messages (`messages_max`, 0 = none). */
struct ring;

/* `capacity_bytes` is rounded up to a power of two. NULL = no memory. */
struct ring *ring_create(enum alloc_line line, size_t capacity_bytes, uint64_t messages_max);
void ring_destroy(struct ring *ring); /* NULL is allowed */

/* Producer. NULL when `bytes` do not fit now (or never: see ring_message_bytes_max). A reserve
 * without a commit is undone by the next reserve. */
void *ring_reserve(struct ring *ring, size_t bytes);
/* Producer. Makes the reserved message visible; wakes a consumer that waits in ring_wait(). */
void ring_commit(struct ring *ring);
/* Consumer. NULL when empty. The view is valid until ring_consume(). */
const void *ring_peek(struct ring *ring, size_t *bytes);
void ring_consume(struct ring *ring);
/* Consumer. Sleeps until there is a message or `timeout_ms` went by (futex; no busy loop). */
void ring_wait(struct ring *ring, int timeout_ms);

/* Any thread, approximate while the other side works. */
uint64_t ring_messages(const struct ring *ring);
size_t ring_bytes(const struct ring *ring);
uint64_t ring_messages_high(const struct ring *ring);
size_t ring_bytes_high(const struct ring *ring);
size_t ring_capacity(const struct ring *ring);
size_t ring_message_bytes_max(const struct ring *ring);

#endif
