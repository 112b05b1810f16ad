/* The world as a test wants it, for a whole program as it stands: LD_PRELOAD this, name a file in
 * MD_WORLD that holds 64-bit numbers (struct world), and change them while the program runs. Disk
 * and clock are slowed and set at the C library's door, so nothing in the program knows of it.
 * What was promised of the journal is told: the bytes of its last synced file that a sync which has
 * returned covers. Regular files only; what the C library does inside itself is not seen. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct world {
    _Atomic int64_t disk_bytes_per_s;  /* all threads and files share it; 0 = as fast as it is */
    _Atomic int64_t sync_ms;           /* each sync takes so much longer */
    _Atomic int64_t clock_ns;          /* the wall clock is off by so much */
    _Atomic int64_t malloc_fail_at;    /* counts down at each allocation; at 1 it fails, once */
    _Atomic int64_t malloc_fail_every; /* > 0: every n-th fails */
    _Atomic int64_t disk_errno;        /* > 0: each write fails with it (30: read-only) */
    _Atomic int64_t sync_lies;         /* 1: syncs say they did, and do nothing */
    _Atomic int64_t written_bytes, mallocs, mallocs_failed; /* counted here */
    _Atomic int64_t synced_inode, synced_bytes;             /* of the journal */
};

static struct world nothing;
static struct world *world = &nothing;
static _Atomic int64_t disk_free_ns; /* when the disk will have taken what was given to it */

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fdatasync)(int);
static int (*real_fsync)(int);
static int (*real_clock_gettime)(clockid_t, struct timespec *);

/* glibc's own, behind the names that are replaced here. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);

static void *symbol(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        abort();
    }
    return found;
}

__attribute__((constructor)) static void begin(void)
{
    void *p = symbol("pwrite64");
    __builtin_memcpy(&real_pwrite, &p, sizeof p);
    p = symbol("fdatasync");
    __builtin_memcpy(&real_fdatasync, &p, sizeof p);
    p = symbol("fsync");
    __builtin_memcpy(&real_fsync, &p, sizeof p);
    p = symbol("clock_gettime");
    __builtin_memcpy(&real_clock_gettime, &p, sizeof p);
    const char *path = getenv("MD_WORLD");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    void *mapped = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED) {
        world = mapped;
    }
}

static int64_t mono_ns(void)
{
    struct timespec t;
    real_clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void sleep_until(int64_t at_ns)
{
    int64_t left = at_ns - mono_ns();
    struct timespec pause = {left / 1000000000LL, left % 1000000000LL};
    while (left > 0 && nanosleep(&pause, &pause) != 0 && errno == EINTR) {
    }
}

/* The disk works its queue off; who writes waits until it is done. */
static void disk_takes(size_t bytes)
{
    int64_t rate = atomic_load(&world->disk_bytes_per_s);
    if (rate <= 0) {
        return;
    }
    int64_t cost_ns = (int64_t)((double)bytes * 1e9 / (double)rate);
    int64_t before = atomic_load(&disk_free_ns);
    int64_t done;
    do {
        int64_t now = mono_ns();
        done = (before > now ? before : now) + cost_ns;
    } while (!atomic_compare_exchange_weak(&disk_free_ns, &before, done));
    while (mono_ns() < done && atomic_load(&world->disk_bytes_per_s) > 0) {
        int64_t step = mono_ns() + 20000000LL; /* a test may make the disk fast again meanwhile */
        sleep_until(step < done ? step : done);
    }
}

static int is_file(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* How far each file of the journal is written; files by inode, few at a time. */
static struct {
    _Atomic int64_t inode, bytes;
} journal[64];

/* The inode if the descriptor is of a file of the journal, else 0. */
static int64_t journal_inode(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t bytes = readlink(link, path, sizeof path - 1);
    if (bytes < 0) {
        return 0;
    }
    path[bytes] = 0;
    struct stat status;
    bool is = strstr(path, "/journal/") != NULL && fstat(fd, &status) == 0;
    return is ? (int64_t)status.st_ino : 0;
}

/* _FILE_OFFSET_BITS=64 makes this pwrite64, as in the program. */
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    int refused = (int)atomic_load(&world->disk_errno);
    if (is_file(fd)) {
        if (refused > 0) {
            errno = refused;
            return -1;
        }
        disk_takes(bytes);
        atomic_fetch_add(&world->written_bytes, (int64_t)bytes);
    }
    ssize_t done = real_pwrite(fd, data, bytes, offset);
    int64_t inode = done > 0 ? journal_inode(fd) : 0;
    if (inode != 0) {
        int64_t old = atomic_exchange(&journal[inode % 64].inode, inode);
        int64_t end = (int64_t)offset + done;
        if (old != inode || end > atomic_load(&journal[inode % 64].bytes)) {
            atomic_store(&journal[inode % 64].bytes, end);
        }
    }
    return done;
}

int fdatasync(int fd)
{
    int64_t ms = atomic_load(&world->sync_ms);
    if (ms > 0) {
        sleep_until(mono_ns() + ms * 1000000LL);
    }
    int64_t inode = journal_inode(fd);
    int64_t bytes = inode != 0 ? atomic_load(&journal[inode % 64].bytes) : 0;
    int code = atomic_load(&world->sync_lies) != 0 ? 0 : real_fdatasync(fd);
    if (code == 0 && bytes > 0) {
        atomic_store(&world->synced_inode, 0); /* whoever reads between sees no promise */
        atomic_store(&world->synced_bytes, bytes);
        atomic_store(&world->synced_inode, inode);
    }
    return code;
}

int fsync(int fd)
{
    return atomic_load(&world->sync_lies) != 0 ? 0 : real_fsync(fd);
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    if (real_clock_gettime == NULL) {
        begin();
    }
    int code = real_clock_gettime(clock, out);
    int64_t off = clock == CLOCK_REALTIME ? atomic_load(&world->clock_ns) : 0;
    if (code == 0 && off != 0) {
        int64_t ns = out->tv_sec * 1000000000LL + out->tv_nsec + off;
        out->tv_sec = ns / 1000000000LL;
        out->tv_nsec = ns % 1000000000LL;
    }
    return code;
}

static int fails_now(void)
{
    int64_t count = atomic_fetch_add(&world->mallocs, 1) + 1;
    int64_t every = atomic_load(&world->malloc_fail_every);
    int64_t at = atomic_load(&world->malloc_fail_at);
    int fails = every > 0 && count % every == 0;
    if (at > 0) {
        fails = fails || atomic_fetch_sub(&world->malloc_fail_at, 1) == 1;
    }
    if (fails) {
        atomic_fetch_add(&world->mallocs_failed, 1);
        errno = ENOMEM;
    }
    return fails;
}

void *malloc(size_t bytes)
{
    return fails_now() ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    return fails_now() ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    return fails_now() ? NULL : __libc_realloc(memory, bytes);
}
