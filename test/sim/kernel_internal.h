#ifndef MD_TEST_SIM_KERNEL_INTERNAL_H
#define MD_TEST_SIM_KERNEL_INTERNAL_H

/* What kernel.c (threads, clocks) and kernel_net.c (descriptors) share; nobody else includes it. */

#include <errno.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "base/assert.h"
#include "kernel.h"

#define FD_BASE 2048
#define FDS 2048
#define THREADS_MAX 16
#define STACK_BYTES (1 << 20)
#define BUFFER_BYTES_MAX (512 << 10) /* a socket's receive buffer, as the kernel's usual one */
#define WATCHED_MAX 512
#define BACKLOG_MAX 64
#define MONO_START_NS (1000 * NS_PER_S)
#define PORT_FIRST 20000
#define STALL_TURNS_MAX 1000000 /* turns without time going on: somebody waits busily */

enum wait_kind { WAIT_NOT, WAIT_SLEEP, WAIT_COND, WAIT_FUTEX, WAIT_EPOLL, WAIT_JOIN, WAIT_MUTEX };

struct thread {
    bool used, done, detached;
    enum wait_kind wait;
    const void *on; /* condition, futex word, mutex */
    int epoll;
    uint32_t join;
    int64_t deadline_ns; /* INT64_MAX = none */
    bool timed_out;
    ucontext_t context;
    uint8_t *stack;
    void *(*start)(void *argument);
    void *argument;
    void *fake_stack; /* AddressSanitizer's */
};

enum fd_kind { FD_FREE, FD_STREAM, FD_LISTEN, FD_EPOLL, FD_EVENT };

struct watched {
    int fd;
    uint32_t events;
    uint64_t data;
};

struct file {
    enum fd_kind kind;
    int owner;
    uint16_t port, peer_port;
    /* FD_STREAM */
    int peer; /* descriptor, -1 = none (any more) */
    uint8_t *in;
    size_t head, bytes, capacity;
    bool connecting; /* never answered */
    bool connected, fin_in, reset_in, shut_out, reset_on_close;
    int error; /* SO_ERROR */
    /* FD_LISTEN */
    int backlog[BACKLOG_MAX];
    uint32_t backlog_count;
    /* FD_EPOLL */
    struct watched *watched;
    uint32_t watched_count, next;
    /* FD_EVENT */
    uint64_t count;
};

struct kernel_state {
    struct kernel_config config;
    bool open;
    int64_t now_ns;
    int64_t skew_ns;
    uint64_t random;
    struct thread threads[THREADS_MAX];
    struct thread *current; /* NULL: the scheduler, or the world */
    ucontext_t scheduler;
    void *scheduler_fake_stack;
    const void *scheduler_stack;
    size_t scheduler_stack_bytes;
    struct file files[FDS];
    int owner;
    bool touched[KERNEL_OWNERS_MAX];
    bool refuse[KERNEL_OWNERS_MAX], hang[KERNEL_OWNERS_MAX];
    bool down;
    uint32_t cut_bytes_max;
    uint16_t port_next;
    struct kernel_stats stats;
};
extern struct kernel_state kernel;

/* Random bits of the run. */
uint64_t kernel_draw(void);
long kernel_real_syscall(long number, long a, long b, long c, long d, long e, long f);
/* Sets errno; -1. */
int kernel_fail(int error);
/* The running thread waits. True: woken; false: the deadline passed. */
bool kernel_wait(enum wait_kind kind, const void *on, int64_t deadline_ns);
/* Ready ones of what an epoll watches into `out`, at most so many. */
uint32_t kernel_epoll_collect(struct file *epoll, struct epoll_event *out, uint32_t most);
/* Closes what is left; returns how many there were. */
uint32_t kernel_files_close(void);

#endif
