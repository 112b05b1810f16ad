/* Descriptors of the test's kernel: sockets as pairs of buffers in memory with TCP's ends (FIN,
 * RST, half-closed, full), epoll, eventfd, poll. What is written is there at once, whole or cut at
 * random; a wait for it is kernel.c's.
 *
 * Invariants: descriptors of ours lie in [FD_BASE, FD_BASE + FDS); everything below is the real
 * kernel's and passed on. Memory: a buffer a socket, BUFFER_BYTES_MAX at most as TCP's would be. */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel_internal.h"

/* ---- descriptors */

static struct file *file_of(int fd)
{
    if (!kernel.open || fd < FD_BASE || fd >= FD_BASE + FDS ||
        kernel.files[fd - FD_BASE].kind == FD_FREE) {
        return NULL;
    }
    return &kernel.files[fd - FD_BASE];
}

/* One that is ours, or a mistake of the caller's. */
static struct file *file_must(int fd)
{
    struct file *file = file_of(fd);
    ASSERT(file != NULL);
    return file;
}

static struct file *file_make(enum fd_kind kind, int owner, int *fd)
{
    for (int i = 0; i < FDS; i++) {
        if (kernel.files[i].kind == FD_FREE) {
            kernel.files[i] = (struct file){.kind = kind, .owner = owner, .peer = -1};
            *fd = FD_BASE + i;
            return &kernel.files[i];
        }
    }
    *fd = -1;
    errno = EMFILE;
    return NULL;
}

static void touch(const struct file *file)
{
    if (file->owner >= 0) {
        kernel.touched[file->owner] = true;
    }
}

void kernel_owner_set(int owner)
{
    ASSERT(owner < KERNEL_OWNERS_MAX);
    kernel.owner = owner;
}

bool kernel_owner_touched(int owner)
{
    bool touched = kernel.touched[owner];
    kernel.touched[owner] = false;
    return touched;
}

void kernel_net_cut(uint32_t bytes_max)
{
    kernel.cut_bytes_max = bytes_max;
}

void kernel_net_refuse(int owner, bool refuse, bool hang)
{
    kernel.refuse[owner] = refuse;
    kernel.hang[owner] = hang;
}

static size_t cut(size_t bytes)
{
    if (kernel.cut_bytes_max == 0 || bytes == 0) {
        return bytes;
    }
    size_t most = 1 + (size_t)(kernel_draw() % kernel.cut_bytes_max);
    return bytes < most ? bytes : most;
}

/* ---- streams */

static void peer_reset(struct file *file)
{
    struct file *peer = file_of(file->peer);
    if (peer != NULL) {
        peer->reset_in = true;
        peer->error = ECONNRESET;
        peer->peer = -1;
        touch(peer);
    }
    file->peer = -1;
}

static void stream_close(struct file *file)
{
    struct file *peer = file_of(file->peer);
    if (peer != NULL && (file->reset_on_close || file->bytes > 0)) {
        peer_reset(file); /* as TCP does: what was not read is not silently thrown away */
    } else if (peer != NULL) {
        peer->fin_in = true;
        peer->peer = -1;
        touch(peer);
    }
    free(file->in);
    file->in = NULL;
}

void kernel_net_down(bool down)
{
    kernel.down = down;
    for (int i = 0; i < FDS && down; i++) {
        struct file *file = &kernel.files[i];
        if (file->kind == FD_STREAM && file->owner == KERNEL_RECORDER && file->peer >= 0) {
            peer_reset(file);
            file->reset_in = true;
            file->error = ECONNRESET;
        }
    }
}

int socket(int domain, int type, int protocol)
{
    int fd;
    (void)protocol;
    if (domain != AF_INET || (type & 0xf) != SOCK_STREAM) {
        return kernel_fail(EAFNOSUPPORT);
    }
    struct file *file =
        file_make(FD_STREAM, kernel.current != NULL ? KERNEL_RECORDER : kernel.owner, &fd);
    if (file != NULL) {
        kernel.stats.sockets++;
    }
    return fd;
}

int bind(int fd, const struct sockaddr *address, socklen_t bytes)
{
    struct file *file = file_must(fd);
    (void)bytes;
    ASSERT(address->sa_family == AF_INET);
    file->port = kernel.port_next++;
    return 0;
}

int listen(int fd, int backlog)
{
    (void)backlog;
    file_must(fd)->kind = FD_LISTEN;
    return 0;
}

static int address_give(uint16_t port, struct sockaddr *address, socklen_t *bytes)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    size_t n = *bytes < sizeof in ? *bytes : sizeof in;
    memcpy(address, &in, n);
    *bytes = sizeof in;
    return 0;
}

int getsockname(int fd, struct sockaddr *address, socklen_t *bytes)
{
    struct file *file = file_of(fd);
    return file == NULL ? kernel_fail(EBADF) : address_give(file->port, address, bytes);
}

int getpeername(int fd, struct sockaddr *address, socklen_t *bytes)
{
    struct file *file = file_of(fd);
    if (file == NULL || !file->connected) {
        return kernel_fail(ENOTCONN);
    }
    return address_give(file->peer_port, address, bytes);
}

static struct file *listener_of(uint16_t port)
{
    for (int i = 0; i < FDS; i++) {
        if (kernel.files[i].kind == FD_LISTEN && kernel.files[i].port == port) {
            return &kernel.files[i];
        }
    }
    return NULL;
}

int connect(int fd, const struct sockaddr *address, socklen_t bytes)
{
    struct sockaddr_in to;
    struct file *file = file_must(fd);
    ASSERT(bytes >= sizeof to);
    memcpy(&to, address, sizeof to);
    struct file *listener = listener_of(ntohs(to.sin_port));
    file->peer_port = ntohs(to.sin_port);
    file->port = kernel.port_next++;
    if (kernel.down) {
        return kernel_fail(ENETUNREACH);
    }
    if (listener == NULL || listener->backlog_count == BACKLOG_MAX ||
        kernel.refuse[listener->owner]) {
        if (listener != NULL && kernel.hang[listener->owner]) {
            file->connecting = true;
            return kernel_fail(EINPROGRESS);
        }
        file->error = ECONNREFUSED;
        file->reset_in = true;
        return kernel_fail(EINPROGRESS);
    }
    int other_fd;
    struct file *other = file_make(FD_STREAM, listener->owner, &other_fd);
    if (other == NULL) {
        return -1;
    }
    other->port = file->peer_port;
    other->peer_port = file->port;
    other->peer = fd;
    other->connected = file->connected = true;
    file->peer = other_fd;
    listener->backlog[listener->backlog_count++] = other_fd;
    touch(listener);
    return kernel_fail(EINPROGRESS);
}

int accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags)
{
    struct file *file = file_must(fd);
    (void)flags;
    if (file->backlog_count == 0) {
        return kernel_fail(EAGAIN);
    }
    int accepted = file->backlog[0];
    file->backlog_count--;
    memmove(file->backlog, file->backlog + 1, file->backlog_count * sizeof file->backlog[0]);
    address_give(file_must(accepted)->peer_port, address, bytes);
    return accepted;
}

ssize_t send(int fd, const void *data, size_t bytes, int flags)
{
    struct file *file = file_of(fd);
    (void)flags;
    if (file == NULL) {
        return kernel_fail(EBADF);
    }
    struct file *peer = file_of(file->peer);
    if (file->reset_in) {
        return kernel_fail(ECONNRESET);
    }
    if (peer == NULL || file->shut_out) {
        return kernel_fail(file->connected ? EPIPE : file->connecting ? EAGAIN : ENOTCONN);
    }
    size_t room = BUFFER_BYTES_MAX - peer->bytes;
    size_t n = cut(bytes < room ? bytes : room);
    if (n == 0) {
        return bytes == 0 ? 0 : kernel_fail(EAGAIN);
    }
    if (peer->head + peer->bytes + n > peer->capacity) {
        if (peer->bytes > 0) {
            memmove(peer->in, peer->in + peer->head, peer->bytes);
        }
        peer->head = 0;
        if (peer->bytes + n > peer->capacity) {
            peer->capacity = (peer->bytes + n) * 2;
            peer->in = realloc(peer->in, peer->capacity);
            ASSERT(peer->in != NULL);
        }
    }
    memcpy(peer->in + peer->head + peer->bytes, data, n);
    peer->bytes += n;
    kernel.stats.bytes += n;
    touch(peer);
    return (ssize_t)n;
}

ssize_t recv(int fd, void *data, size_t bytes, int flags)
{
    struct file *file = file_of(fd);
    if (file == NULL) {
        return kernel_fail(EBADF);
    }
    if (file->bytes == 0) {
        if (file->reset_in) {
            return kernel_fail(file->error != 0 ? file->error : ECONNRESET);
        }
        return file->fin_in ? 0 : kernel_fail(EAGAIN);
    }
    size_t n = bytes < file->bytes ? bytes : file->bytes;
    n = (flags & MSG_TRUNC) != 0 ? n : cut(n);
    if (data != NULL && (flags & MSG_TRUNC) == 0) {
        memcpy(data, file->in + file->head, n);
    }
    if ((flags & MSG_PEEK) == 0) {
        bool was_full = file->bytes > BUFFER_BYTES_MAX / 2;
        file->head += n;
        file->bytes -= n;
        struct file *peer = file_of(file->peer);
        if (was_full && peer != NULL) {
            touch(peer); /* it may write on */
        }
    }
    return (ssize_t)n;
}

ssize_t sendto(int fd, const void *data, size_t bytes, int flags, const struct sockaddr *to,
               socklen_t to_bytes)
{
    (void)to;
    (void)to_bytes;
    return send(fd, data, bytes, flags);
}

ssize_t recvfrom(int fd, void *restrict data, size_t bytes, int flags,
                 struct sockaddr *restrict from, socklen_t *restrict from_bytes)
{
    (void)from;
    (void)from_bytes;
    return recv(fd, data, bytes, flags);
}

/* What a fortified caller calls. */
ssize_t __recv_chk(int fd, void *data, size_t bytes, size_t room, int flags);
ssize_t __recv_chk(int fd, void *data, size_t bytes, size_t room, int flags)
{
    ASSERT(bytes <= room);
    return recv(fd, data, bytes, flags);
}

int shutdown(int fd, int how)
{
    struct file *file = file_of(fd);
    struct file *peer = file != NULL ? file_of(file->peer) : NULL;
    if (peer == NULL) {
        return kernel_fail(ENOTCONN);
    }
    if (how != SHUT_RD) {
        file->shut_out = true;
        peer->fin_in = true;
        touch(peer);
    }
    return 0;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t bytes)
{
    struct file *file = file_of(fd);
    if (file == NULL) {
        return kernel_fail(EBADF);
    }
    if (level == SOL_SOCKET && name == SO_LINGER) {
        struct linger linger;
        ASSERT(bytes == sizeof linger);
        memcpy(&linger, value, sizeof linger);
        file->reset_on_close = linger.l_onoff != 0 && linger.l_linger == 0;
    }
    return 0;
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *bytes)
{
    struct file *file = file_of(fd);
    if (file == NULL) {
        return kernel_fail(EBADF);
    }
    int number = 0;
    if (level == SOL_SOCKET && name == SO_ERROR) {
        number = file->error;
    }
    memcpy(value, &number, sizeof number);
    *bytes = sizeof number;
    return 0;
}

int fcntl(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    long argument = va_arg(list, long);
    va_end(list);
    if (file_of(fd) != NULL) {
        return command == F_GETFL ? O_RDWR | O_NONBLOCK : 0;
    }
    return (int)kernel_real_syscall(SYS_fcntl, fd, command, argument, 0, 0, 0);
}

/* ---- epoll, eventfd, poll */

static uint32_t readiness(const struct file *file)
{
    if (file->kind == FD_EVENT) {
        return EPOLLOUT | (file->count > 0 ? (uint32_t)EPOLLIN : 0U);
    }
    if (file->kind == FD_LISTEN) {
        return file->backlog_count > 0 ? EPOLLIN : 0;
    }
    if (file->connecting) {
        return 0;
    }
    if (file->reset_in) {
        return EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR | EPOLLRDHUP;
    }
    uint32_t ready = file->bytes > 0 || file->fin_in ? EPOLLIN : 0;
    ready |= file->fin_in ? EPOLLRDHUP | (file->shut_out ? (uint32_t)EPOLLHUP : 0U) : 0;
    const struct file *peer = file_of(file->peer);
    bool room = peer == NULL ? file->connected : peer->bytes < BUFFER_BYTES_MAX;
    return ready | (room ? (uint32_t)EPOLLOUT : 0U);
}

uint32_t kernel_epoll_collect(struct file *epoll, struct epoll_event *out, uint32_t most)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < epoll->watched_count && count < most; i++) {
        const struct watched *watched = &epoll->watched[(epoll->next + i) % epoll->watched_count];
        const struct file *file = file_of(watched->fd);
        uint32_t ready =
            file == NULL ? 0 : readiness(file) & (watched->events | EPOLLHUP | EPOLLERR);
        if (ready != 0) {
            out[count++] = (struct epoll_event){.events = ready, .data.u64 = watched->data};
        }
    }
    return count;
}

int epoll_create1(int flags)
{
    int fd;
    (void)flags;
    struct file *file = file_make(FD_EPOLL, kernel.owner, &fd);
    if (file != NULL) {
        file->watched = calloc(WATCHED_MAX, sizeof *file->watched);
        ASSERT(file->watched != NULL);
    }
    return fd;
}

static struct watched *watched_find(struct file *epoll, int fd)
{
    for (uint32_t i = 0; i < epoll->watched_count; i++) {
        if (epoll->watched[i].fd == fd) {
            return &epoll->watched[i];
        }
    }
    return NULL;
}

int epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    struct file *epoll = file_must(epoll_fd);
    struct watched *watched = watched_find(epoll, fd);
    if (operation == EPOLL_CTL_ADD) {
        ASSERT(watched == NULL && epoll->watched_count < WATCHED_MAX && file_of(fd) != NULL);
        watched = &epoll->watched[epoll->watched_count++];
    }
    if (watched == NULL) {
        return kernel_fail(ENOENT);
    }
    if (operation == EPOLL_CTL_DEL) {
        *watched = epoll->watched[--epoll->watched_count];
        epoll->next = 0;
        return 0;
    }
    *watched = (struct watched){fd, event->events, event->data.u64};
    return 0;
}

/* A closed descriptor leaves every epoll, as with the real kernel. */
static void epoll_forget(int fd)
{
    for (int i = 0; i < FDS; i++) {
        struct file *epoll = &kernel.files[i];
        struct watched *watched = epoll->kind == FD_EPOLL ? watched_find(epoll, fd) : NULL;
        if (watched != NULL) {
            *watched = epoll->watched[--epoll->watched_count];
            epoll->next = 0;
        }
    }
}

int epoll_wait(int epoll_fd, struct epoll_event *events, int most, int timeout_ms)
{
    struct file *epoll = file_must(epoll_fd);
    uint32_t count = kernel_epoll_collect(epoll, events, (uint32_t)most);
    if (count == 0 && timeout_ms != 0 && kernel.current != NULL) {
        kernel.current->epoll = epoll_fd;
        kernel_wait(WAIT_EPOLL, NULL,
                    timeout_ms < 0 ? INT64_MAX : kernel.now_ns + timeout_ms * NS_PER_MS);
        count = kernel_epoll_collect(epoll, events, (uint32_t)most);
    }
    if (epoll->watched_count > 0) {
        epoll->next = (epoll->next + 1) % epoll->watched_count;
    }
    return (int)count;
}

int eventfd(unsigned count, int flags)
{
    int fd;
    (void)flags;
    struct file *file = file_make(FD_EVENT, KERNEL_RECORDER, &fd);
    if (file != NULL) {
        file->count = count;
    }
    return fd;
}

ssize_t read(int fd, void *data, size_t bytes)
{
    struct file *file = file_of(fd);
    if (file == NULL) {
        return kernel_real_syscall(SYS_read, fd, (long)data, (long)bytes, 0, 0, 0);
    }
    if (file->kind != FD_EVENT) {
        return recv(fd, data, bytes, 0);
    }
    if (file->count == 0) {
        return kernel_fail(EAGAIN);
    }
    memcpy(data, &file->count, sizeof file->count);
    file->count = 0;
    return sizeof file->count;
}

ssize_t __read_chk(int fd, void *data, size_t bytes, size_t room);
ssize_t __read_chk(int fd, void *data, size_t bytes, size_t room)
{
    ASSERT(bytes <= room);
    return read(fd, data, bytes);
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    struct file *file = file_of(fd);
    if (file == NULL) {
        return kernel_real_syscall(SYS_write, fd, (long)data, (long)bytes, 0, 0, 0);
    }
    if (file->kind != FD_EVENT) {
        return send(fd, data, bytes, 0);
    }
    uint64_t count;
    memcpy(&count, data, sizeof count);
    file->count += count;
    return sizeof count;
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    bool ours = count > 0;
    int ready = 0;
    for (nfds_t i = 0; i < count; i++) {
        const struct file *file = file_of(fds[i].fd);
        ours = ours && file != NULL;
        if (file != NULL) { /* the bits of poll and epoll are the same */
            fds[i].revents = (short)(readiness(file) & ((uint32_t)(unsigned short)fds[i].events |
                                                        EPOLLHUP | EPOLLERR));
            ready += fds[i].revents != 0;
        }
    }
    return ours ? ready
                : (int)kernel_real_syscall(SYS_poll, (long)fds, (long)count, timeout_ms, 0, 0, 0);
}

int close(int fd)
{
    struct file *file = file_of(fd);
    if (file == NULL) {
        return (int)kernel_real_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    }
    epoll_forget(fd);
    if (file->kind == FD_STREAM) {
        stream_close(file);
    } else if (file->kind == FD_LISTEN) {
        while (file->backlog_count > 0) {
            close(file->backlog[--file->backlog_count]);
        }
    }
    free(file->watched);
    *file = (struct file){0};
    return 0;
}

uint32_t kernel_files_close(void)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < FDS; i++) {
        left += kernel.files[i].kind != FD_FREE;
        free(kernel.files[i].in);
        free(kernel.files[i].watched);
        kernel.files[i] = (struct file){0};
    }
    return left;
}
