/* epoll loop with a binary heap of timers. Sources and timers live in their owners; a source's slot
 * in the kernel carries fd and generation, so that an event for a source that was removed (or whose
 * fd was reused) within the same turn is recognised and dropped. */
#include "net/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"

#define EVENTS_A_TURN 64
#define FDS_MAX 8192

struct loop {
    int epoll_fd;
    int wake_fd;
    const struct clock *clock;
    int64_t now_mono_ns;
    int64_t turn_ns_max;
    uint32_t generation;
    struct loop_timer **heap; /* heap[1 .. timer_count] */
    uint32_t timer_count, timers_max;
    struct loop_source **by_fd;
};

struct loop *loop_create(const struct clock *clock, uint32_t timers_max, struct err *err)
{
    struct loop *loop = alloc_take(ALLOC_CONNECTIONS, sizeof *loop);
    if (loop == NULL) {
        err_set(err, MD_ENOMEM, "no memory for the event loop");
        return NULL;
    }
    loop->epoll_fd = -1;
    loop->wake_fd = -1;
    loop->clock = clock;
    loop->timers_max = timers_max;
    loop->heap =
        alloc_take(ALLOC_CONNECTIONS, ((size_t)timers_max + 1) * sizeof(struct loop_timer *));
    loop->by_fd = alloc_take(ALLOC_CONNECTIONS, FDS_MAX * sizeof(struct loop_source *));
    if (loop->heap == NULL || loop->by_fd == NULL) {
        err_set(err, MD_ENOMEM, "no memory for the event loop");
        loop_destroy(loop);
        return NULL;
    }
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) != 0) {
        err_set(err, err_from_errno(errno), "event loop: %s", strerror(errno));
        loop_destroy(loop);
        return NULL;
    }
    loop->now_mono_ns = clock_mono_ns(clock);
    return loop;
}

void loop_destroy(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    if (loop->epoll_fd >= 0) {
        close(loop->epoll_fd);
    }
    if (loop->wake_fd >= 0) {
        close(loop->wake_fd);
    }
    alloc_give(loop->heap);
    alloc_give(loop->by_fd);
    alloc_give(loop);
}

/* ---- sources */

static uint32_t epoll_events(unsigned events)
{
    return ((events & LOOP_READ) != 0 ? EPOLLIN | EPOLLRDHUP : 0u) |
           ((events & LOOP_WRITE) != 0 ? EPOLLOUT : 0u);
}

static int control(struct loop *loop, int operation, struct loop_source *source)
{
    struct epoll_event event = {.events = epoll_events(source->events)};
    event.data.u64 = (uint64_t)source->generation << 32 | (uint32_t)source->fd;
    return epoll_ctl(loop->epoll_fd, operation, source->fd, &event) == 0 ? 0
                                                                         : err_from_errno(errno);
}

int loop_add(struct loop *loop, struct loop_source *source, unsigned events)
{
    ASSERT(source->fd >= 0);
    if (source->fd >= FDS_MAX) {
        return MD_EMFILE;
    }
    ASSERT(loop->by_fd[source->fd] == NULL);
    source->events = events;
    source->generation = ++loop->generation;
    int code = control(loop, EPOLL_CTL_ADD, source);
    if (code == 0) {
        loop->by_fd[source->fd] = source;
    }
    return code;
}

int loop_modify(struct loop *loop, struct loop_source *source, unsigned events)
{
    if (source->events == events) {
        return 0;
    }
    unsigned before = source->events;
    source->events = events;
    int code = control(loop, EPOLL_CTL_MOD, source);
    source->events = code == 0 ? events : before;
    return code;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
    if (source->fd < 0 || source->fd >= FDS_MAX || loop->by_fd[source->fd] != source) {
        return;
    }
    control(loop, EPOLL_CTL_DEL, source); /* best effort: a closed fd is gone already */
    loop->by_fd[source->fd] = NULL;
}

/* ---- timers */

static void place(struct loop *loop, uint32_t index, struct loop_timer *timer)
{
    loop->heap[index] = timer;
    timer->heap_index = index;
}

static void sift_up(struct loop *loop, uint32_t index, struct loop_timer *timer)
{
    while (index > 1 && loop->heap[index / 2]->deadline_mono_ns > timer->deadline_mono_ns) {
        place(loop, index, loop->heap[index / 2]);
        index /= 2;
    }
    place(loop, index, timer);
}

static void sift_down(struct loop *loop, uint32_t index, struct loop_timer *timer)
{
    for (;;) {
        uint32_t child = index * 2;
        if (child > loop->timer_count) {
            break;
        }
        if (child < loop->timer_count &&
            loop->heap[child + 1]->deadline_mono_ns < loop->heap[child]->deadline_mono_ns) {
            child++;
        }
        if (loop->heap[child]->deadline_mono_ns >= timer->deadline_mono_ns) {
            break;
        }
        place(loop, index, loop->heap[child]);
        index = child;
    }
    place(loop, index, timer);
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
    uint32_t index = timer->heap_index;
    if (index == 0) {
        return;
    }
    ASSERT(index <= loop->timer_count);
    ASSERT(loop->heap[index] == timer);
    struct loop_timer *last = loop->heap[loop->timer_count--];
    timer->heap_index = 0;
    if (last != timer) {
        if (last->deadline_mono_ns < timer->deadline_mono_ns) {
            sift_up(loop, index, last);
        } else {
            sift_down(loop, index, last);
        }
    }
}

int loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t deadline_mono_ns)
{
    ASSERT(timer->on_timer != NULL);
    loop_timer_cancel(loop, timer);
    if (loop->timer_count == loop->timers_max) {
        return MD_EFULL;
    }
    timer->deadline_mono_ns = deadline_mono_ns;
    sift_up(loop, ++loop->timer_count, timer);
    return 0;
}

/* ---- a turn */

static int wait_for(const struct loop *loop, int wait_ms, int64_t now)
{
    if (loop->timer_count == 0) {
        return wait_ms;
    }
    int64_t left_ns = loop->heap[1]->deadline_mono_ns - now;
    int64_t left_ms = left_ns <= 0 ? 0 : (left_ns + NS_PER_MS - 1) / NS_PER_MS;
    return wait_ms < 0 || left_ms < wait_ms ? (int)(left_ms < 60000 ? left_ms : 60000) : wait_ms;
}

static int run_sources(struct loop *loop, const struct epoll_event *events, int count)
{
    int ran = 0;
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == UINT64_MAX) {
            uint64_t ignored;
            if (read(loop->wake_fd, &ignored, sizeof ignored) < 0) {
                continue; /* somebody else's wake was read already */
            }
            continue;
        }
        uint32_t fd = (uint32_t)events[i].data.u64;
        struct loop_source *source = loop->by_fd[fd];
        if (source == NULL || source->generation != (uint32_t)(events[i].data.u64 >> 32)) {
            continue;
        }
        unsigned ready =
            ((events[i].events & EPOLLIN) != 0 ? LOOP_READ : 0u) |
            ((events[i].events & EPOLLOUT) != 0 ? LOOP_WRITE : 0u) |
            ((events[i].events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0 ? LOOP_HANGUP : 0u);
        source->on_ready(source->context, ready);
        ran++;
    }
    return ran;
}

static int run_timers(struct loop *loop)
{
    int ran = 0;
    /* one armed again for "now" runs in the next turn: the turn stays bounded */
    uint32_t at_most = loop->timer_count;
    while (loop->timer_count > 0 && at_most-- > 0 &&
           loop->heap[1]->deadline_mono_ns <= loop->now_mono_ns) {
        struct loop_timer *timer = loop->heap[1];
        loop_timer_cancel(loop, timer);
        timer->on_timer(timer->context, loop->now_mono_ns);
        ran++;
    }
    return ran;
}

int loop_turn(struct loop *loop, int wait_ms)
{
    struct epoll_event events[EVENTS_A_TURN];
    int64_t now = clock_mono_ns(loop->clock);
    int count = epoll_wait(loop->epoll_fd, events, EVENTS_A_TURN, wait_for(loop, wait_ms, now));
    loop->now_mono_ns = clock_mono_ns(loop->clock);
    int64_t started = loop->now_mono_ns;
    int ran = count > 0 ? run_sources(loop, events, count) : 0;
    ran += run_timers(loop);
    int64_t took = clock_mono_ns(loop->clock) - started;
    loop->turn_ns_max = took > loop->turn_ns_max ? took : loop->turn_ns_max;
    return ran;
}

int64_t loop_now_mono_ns(const struct loop *loop)
{
    return loop->now_mono_ns;
}

const struct clock *loop_clock(const struct loop *loop)
{
    return loop->clock;
}

void loop_wake(struct loop *loop)
{
    uint64_t one = 1;
    int saved = errno; /* a signal handler may be running inside somebody's call */
    if (write(loop->wake_fd, &one, sizeof one) < 0) {
        errno = saved; /* EAGAIN: it is awake already */
    }
}

int64_t loop_turn_ns_max(const struct loop *loop)
{
    return loop->turn_ns_max;
}
