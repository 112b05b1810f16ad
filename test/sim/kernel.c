/* See kernel.h. Threads are coroutines, switched only where one waits; the clock is a number. The C
 * library's names of both stand at the end; those of descriptors are kernel_net.c's.
 *
 * Invariants: exactly one thread runs; it gives up the processor only in a call that waits, or on a
 * mutex that another holds. The clock never goes back; the wall clock of the recorder is the
 * world's plus a skew. Memory: the stacks, and what kernel_net.c takes, given back by
 * kernel_close(). */
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#include "kernel_internal.h"

struct kernel_state kernel;

long kernel_real_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

/* splitmix64 */
uint64_t kernel_draw(void)
{
    uint64_t x = kernel.random += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

int kernel_fail(int error)
{
    errno = error;
    return -1;
}

/* ---- threads */

static void enter_scheduler(void)
{
    struct thread *self = kernel.current;
    kernel.stats.switches++;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(self->done ? NULL : &self->fake_stack, kernel.scheduler_stack,
                                   kernel.scheduler_stack_bytes);
#endif
    kernel.current = NULL;
    int code = swapcontext(&self->context, &kernel.scheduler);
    ASSERT(code == 0);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(self->fake_stack, NULL, NULL);
#endif
}

static void enter_thread(struct thread *thread)
{
    kernel.current = thread;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&kernel.scheduler_fake_stack, thread->stack, STACK_BYTES);
#endif
    int code = swapcontext(&kernel.scheduler, &thread->context);
    ASSERT(code == 0);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(kernel.scheduler_fake_stack, NULL, NULL);
#endif
    kernel.current = NULL;
}

static void thread_main(unsigned index)
{
    struct thread *self = &kernel.threads[index];
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(NULL, &kernel.scheduler_stack, &kernel.scheduler_stack_bytes);
#endif
    self->start(self->argument);
    self->done = true;
    enter_scheduler();
    ASSERT(false); /* nobody goes on with a thread that ended */
}

/* A function of its own: the compiler takes getcontext() for one that returns twice. */
static void context_make(unsigned index)
{
    ucontext_t *context = &kernel.threads[index].context;
    getcontext(context);
    context = &kernel.threads[index].context;
    context->uc_stack.ss_sp = kernel.threads[index].stack;
    context->uc_stack.ss_size = STACK_BYTES;
    context->uc_link = NULL;
    makecontext(context, (void (*)(void))(void *)thread_main, 1, index);
}

static unsigned thread_unused(void)
{
    unsigned index = 0;
    while (index < THREADS_MAX && kernel.threads[index].used) {
        index++;
    }
    return index;
}

/* Its number + 1, as pthread_t. 0 = no room. */
static pthread_t thread_start(void *(*start)(void *argument), void *argument)
{
    unsigned index = thread_unused();
    if (index == THREADS_MAX) {
        return 0;
    }
    struct thread *thread = &kernel.threads[index];
    uint8_t *stack = thread->stack != NULL ? thread->stack : malloc(STACK_BYTES);
    ASSERT(stack != NULL);
    *thread = (struct thread){.used = true,
                              .deadline_ns = INT64_MAX,
                              .stack = stack,
                              .start = start,
                              .argument = argument};
    context_make(index);
    return index + 1;
}

/* True: woken; false: the deadline passed. */
bool kernel_wait(enum wait_kind kind, const void *on, int64_t deadline_ns)
{
    struct thread *self = kernel.current;
    ASSERT(self != NULL); /* the world may not wait */
    self->wait = kind;
    self->on = on;
    self->deadline_ns = deadline_ns;
    self->timed_out = false;
    kernel.stats.waits++;
    enter_scheduler();
    ASSERT(self->wait == WAIT_NOT);
    return !self->timed_out;
}

static void wake(enum wait_kind kind, const void *on, uint32_t most)
{
    for (uint32_t i = 0; i < THREADS_MAX && most > 0; i++) {
        struct thread *thread = &kernel.threads[i];
        if (thread->used && thread->wait == kind && thread->on == on) {
            thread->wait = WAIT_NOT;
            most--;
        }
    }
}

static bool may_run(struct thread *thread)
{
    if (!thread->used || thread->done) {
        return false;
    }
    if (thread->wait == WAIT_EPOLL) {
        struct epoll_event one;
        if (kernel_epoll_collect(&kernel.files[thread->epoll - FD_BASE], &one, 1) > 0) {
            thread->wait = WAIT_NOT;
        }
    } else if (thread->wait == WAIT_JOIN && kernel.threads[thread->join].done) {
        thread->wait = WAIT_NOT;
    }
    if (thread->wait != WAIT_NOT && thread->deadline_ns <= kernel.now_ns) {
        thread->wait = WAIT_NOT;
        thread->timed_out = true;
    }
    return thread->wait == WAIT_NOT;
}

static bool run_threads(void)
{
    bool ran = false;
    uint32_t first = (uint32_t)(kernel_draw() % THREADS_MAX); /* any order must do */
    for (uint32_t i = 0; i < THREADS_MAX; i++) {
        struct thread *thread = &kernel.threads[(first + i) % THREADS_MAX];
        if (may_run(thread)) {
            enter_thread(thread);
            ran = true;
            if (thread->done && thread->detached) {
                thread->used = false;
            }
        }
    }
    return ran;
}

static int64_t earliest_deadline(void)
{
    int64_t earliest = INT64_MAX;
    for (uint32_t i = 0; i < THREADS_MAX; i++) {
        const struct thread *thread = &kernel.threads[i];
        if (thread->used && !thread->done && thread->deadline_ns < earliest) {
            earliest = thread->deadline_ns;
        }
    }
    return earliest;
}

struct body {
    void (*run)(void *context);
    void *context;
};

static void *body_start(void *argument)
{
    struct body *body = argument;
    body->run(body->context);
    return NULL;
}

static bool any_touched(void)
{
    bool any = false;
    for (int i = 0; i < KERNEL_OWNERS_MAX; i++) {
        any |= kernel.touched[i];
    }
    return any;
}

void kernel_run(void (*body)(void *context), void *context)
{
    ASSERT(kernel.open);
    struct body first = {body, context};
    struct thread *main_thread = &kernel.threads[thread_start(body_start, &first) - 1];
    int64_t world_ns = kernel.now_ns;
    uint32_t stalled = 0;
    while (!main_thread->done) {
        bool ran = run_threads();
        if (!main_thread->done && (world_ns <= kernel.now_ns || any_touched())) {
            world_ns = kernel.config.turn(kernel.config.context);
            ran = true;
        }
        if (ran) {
            ASSERT(++stalled < STALL_TURNS_MAX);
            continue;
        }
        int64_t next_ns = earliest_deadline();
        next_ns = world_ns < next_ns ? world_ns : next_ns;
        ASSERT(next_ns != INT64_MAX); /* everybody waits for ever: a deadlock */
        ASSERT(next_ns > kernel.now_ns);
        kernel.now_ns = next_ns;
        stalled = 0;
    }
    main_thread->used = false;
}

void kernel_open(const struct kernel_config *config)
{
    ASSERT(!kernel.open);
    uint8_t *stacks[THREADS_MAX];
    for (uint32_t i = 0; i < THREADS_MAX; i++) {
        stacks[i] = kernel.threads[i].stack;
    }
    memset(&kernel, 0, sizeof kernel);
    for (uint32_t i = 0; i < THREADS_MAX; i++) {
        kernel.threads[i].stack = stacks[i];
    }
    kernel.config = *config;
    kernel.now_ns = MONO_START_NS;
    kernel.random = config->seed;
    kernel.owner = KERNEL_RECORDER;
    kernel.port_next = PORT_FIRST;
    kernel.open = true;
}

uint32_t kernel_close(void)
{
    for (uint32_t i = 0; i < THREADS_MAX; i++) {
        ASSERT(!kernel.threads[i].used);
        free(kernel.threads[i].stack);
        kernel.threads[i].stack = NULL;
    }
    uint32_t left = kernel_files_close();
    kernel.open = false;
    return left;
}

struct kernel_stats kernel_stats(void)
{
    return kernel.stats;
}

/* ---- clocks */

int64_t kernel_mono_ns(void)
{
    return kernel.now_ns;
}

int64_t kernel_unix_ns(void)
{
    return kernel.config.unix_ns + kernel.now_ns - MONO_START_NS;
}

static int64_t world_mono(void *context)
{
    (void)context;
    return kernel_mono_ns();
}

static int64_t world_unix(void *context)
{
    (void)context;
    return kernel_unix_ns();
}

const struct clock kernel_world_clock = {world_mono, world_unix, NULL};

void kernel_clock_skew(int64_t ns)
{
    kernel.skew_ns = ns;
}

static void set_timespec(struct timespec *out, int64_t ns)
{
    out->tv_sec = (time_t)(ns / NS_PER_S);
    out->tv_nsec = (long)(ns % NS_PER_S);
}

int clock_gettime(clockid_t id, struct timespec *out)
{
    if (!kernel.open) {
        return (int)kernel_real_syscall(SYS_clock_gettime, id, (long)out, 0, 0, 0, 0);
    }
    bool wall = id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE;
    set_timespec(out, wall ? kernel_unix_ns() + kernel.skew_ns : kernel.now_ns);
    return 0;
}

int gettimeofday(struct timeval *out, void *zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *out = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

int nanosleep(const struct timespec *wanted, struct timespec *left)
{
    (void)left;
    if (!kernel.open || kernel.current == NULL) {
        return (int)kernel_real_syscall(SYS_nanosleep, (long)wanted, 0, 0, 0, 0, 0);
    }
    kernel_wait(WAIT_SLEEP, NULL, kernel.now_ns + wanted->tv_sec * NS_PER_S + wanted->tv_nsec);
    return 0;
}

/* ---- the C library's threads */

int pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *argument)
{
    (void)attributes;
    ASSERT(kernel.open);
    *out = thread_start(start, argument);
    return *out != 0 ? 0 : EAGAIN;
}

int pthread_join(pthread_t thread, void **result)
{
    struct thread *other = &kernel.threads[thread - 1];
    ASSERT(thread - 1 < THREADS_MAX && other->used);
    if (!other->done) {
        kernel.current->join = (uint32_t)(thread - 1);
        kernel_wait(WAIT_JOIN, NULL, INT64_MAX);
    }
    other->used = false;
    if (result != NULL) {
        *result = NULL;
    }
    return 0;
}

int pthread_detach(pthread_t thread)
{
    struct thread *other = &kernel.threads[thread - 1];
    other->detached = true;
    other->used = !other->done;
    return 0;
}

int pthread_setname_np(pthread_t thread, const char *name)
{
    (void)thread;
    (void)name;
    return 0;
}

/* Held by a thread that waits elsewhere: this one comes back when that one has given it up. */
int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    int code;
    while ((code = pthread_mutex_trylock(mutex)) == EBUSY) {
        ASSERT(kernel.current != NULL);
        kernel_wait(WAIT_MUTEX, mutex, kernel.now_ns + NS_PER_MS / 10);
    }
    return code;
}

int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    pthread_mutex_unlock(mutex);
    kernel_wait(WAIT_COND, condition, INT64_MAX);
    return pthread_mutex_lock(mutex);
}

/* The times of the monotonic clock here lie before 1971, those of the wall clock after. */
int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                           const struct timespec *until)
{
    int64_t until_ns = (int64_t)until->tv_sec * NS_PER_S + until->tv_nsec;
    if (until_ns > 366 * NS_PER_DAY) {
        until_ns -= kernel_unix_ns() + kernel.skew_ns - kernel.now_ns;
    }
    pthread_mutex_unlock(mutex);
    bool woken = kernel_wait(WAIT_COND, condition, until_ns);
    int code = pthread_mutex_lock(mutex);
    return code != 0 ? code : woken ? 0 : ETIMEDOUT;
}

int pthread_cond_signal(pthread_cond_t *condition)
{
    wake(WAIT_COND, condition, 1);
    return 0;
}

int pthread_cond_broadcast(pthread_cond_t *condition)
{
    wake(WAIT_COND, condition, UINT32_MAX);
    return 0;
}

static long futex(const uint32_t *word, int operation, uint32_t value, const struct timespec *wait)
{
    if ((operation & FUTEX_CMD_MASK) == FUTEX_WAKE) {
        wake(WAIT_FUTEX, word, UINT32_MAX);
        return 0;
    }
    ASSERT((operation & FUTEX_CMD_MASK) == FUTEX_WAIT);
    if (*word != value) {
        return kernel_fail(EAGAIN);
    }
    int64_t until_ns =
        wait != NULL ? kernel.now_ns + wait->tv_sec * NS_PER_S + wait->tv_nsec : INT64_MAX;
    return kernel_wait(WAIT_FUTEX, word, until_ns) ? 0 : kernel_fail(ETIMEDOUT);
}

long syscall(long number, ...)
{
    va_list list;
    long a[6];
    va_start(list, number);
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(list, long);
    }
    va_end(list);
    if (number == SYS_futex && kernel.open && kernel.current != NULL) {
        return futex((const uint32_t *)a[0], (int)a[1], (uint32_t)a[2],
                     (const struct timespec *)a[3]);
    }
    return kernel_real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int setpriority(__priority_which_t which, id_t who, int priority)
{
    (void)which; /* there is one real thread, and it is the test's */
    (void)who;
    (void)priority;
    return 0;
}

pid_t getpid(void)
{
    return 4711; /* a seed of the recorder's jitter */
}
