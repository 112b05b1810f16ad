#ifndef MD_TEST_SIM_KERNEL_H
#define MD_TEST_SIM_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

/* A kernel of the test's own, under the unmodified recorder: clocks, sockets, epoll, threads,
 * conditions, futexes and sleeps, all in one real thread on virtual time. It defines the C
 * library's names (socket, recv, epoll_wait, clock_gettime, pthread_create, ...), so the recorder,
 * the simulators and libcurl use it without knowing. Nothing takes time but waiting: when every
 * thread waits and the world outside has nothing to do, the clock jumps to the next deadline. So a
 * run is a function of its seed and its program alone. One at a time. */

/* Whose sockets those made from now on are: KERNEL_RECORDER, or a number of the world's. */
#define KERNEL_RECORDER (-1)
#define KERNEL_OWNERS_MAX 8

struct kernel_config {
    uint64_t seed;   /* of how reads and writes are cut, and which thread goes first */
    int64_t unix_ns; /* wall clock at the start */
    /* All threads wait: lets the world go on until now. Returns when it wants to be called next at
     * the latest (monotonic). It is called earlier when one of its sockets has something. */
    int64_t (*turn)(void *context);
    void *context;
};

/* `config` is copied. Everything begins anew: no sockets, no threads, no network faults. */
void kernel_open(const struct kernel_config *config);
/* Ends with an assertion failure when a thread is left; sockets that are left are counted. */
uint32_t kernel_close(void);
/* Runs `body` as the first thread until it returns. */
void kernel_run(void (*body)(void *context), void *context);

int64_t kernel_mono_ns(void);
int64_t kernel_unix_ns(void); /* of the world, which clock faults do not touch */
extern const struct clock kernel_world_clock;

void kernel_owner_set(int owner);
/* Something came for a socket of this owner since it was asked last. */
bool kernel_owner_touched(int owner);

/* ---- faults */
/* The recorder's wall clock goes wrong by this much. */
void kernel_clock_skew(int64_t ns);
/* Reads and writes move 1 .. that many bytes at random; 0 = whole. */
void kernel_net_cut(uint32_t bytes_max);
/* New connections to this owner are refused (or, `hang`, never answered) until told otherwise. */
void kernel_net_refuse(int owner, bool refuse, bool hang);
/* Every connection of the recorder is gone at once, both sides told by a reset; until the next
 * call with `down` false no new one comes up. */
void kernel_net_down(bool down);

struct kernel_stats {
    uint64_t switches, sockets, bytes, waits;
};
struct kernel_stats kernel_stats(void);

#endif
