/* Faults round another instance: the n-th call fails, a write comes up short before the disk says
 * that it is full, a sync sleeps or lies, a large read sleeps. Tests only, but no part of it
 * allocates with malloc. The lock covers the counters alone, so that a sleeping sync stops nobody
 * else. */
#include <pthread.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/mdio.h"

struct faulty_state {
    pthread_mutex_t lock;
    struct mdio *inner;
    struct mdio_faults *faults;
};

enum verdict { VERDICT_PASS, VERDICT_FAIL, VERDICT_SHORT };

static struct mdio *inner_of(struct mdio *io)
{
    return ((struct faulty_state *)io->state)->inner;
}

/* Counts the call and says what becomes of it; *code is the failure. */
static enum verdict judge(struct mdio *io, enum mdio_call call, size_t write_bytes, int *code)
{
    struct faulty_state *state = io->state;
    struct mdio_faults *faults = state->faults;
    enum verdict verdict = VERDICT_PASS;
    pthread_mutex_lock(&state->lock);
    faults->calls[call]++;
    faults->calls_total++;
    bool counts = faults->fail_call == MDIO_CALL_ANY || faults->fail_call == call;
    if (counts && faults->fail_at > 1) {
        faults->fail_at--;
    } else if (counts && faults->fail_at == 1) {
        *code = faults->fail_code < 0 ? faults->fail_code : MD_EIO;
        if (call == MDIO_CALL_WRITE && faults->write_short_bytes > 0 && write_bytes > 1) {
            verdict = VERDICT_SHORT; /* fail_at stays: the next write is the one that fails */
        } else {
            verdict = VERDICT_FAIL;
            faults->fail_at = faults->fail_forever ? 1 : 0;
        }
    }
    pthread_mutex_unlock(&state->lock);
    return verdict;
}

static int faulty_open(struct mdio *io, const char *path, int flags)
{
    int code = 0;
    return judge(io, MDIO_CALL_OPEN, 0, &code) == VERDICT_PASS
               ? mdio_open(inner_of(io), path, flags)
               : code;
}

static int faulty_close(struct mdio *io, int handle)
{
    return mdio_close(inner_of(io), handle);
}

static void sleep_ms(int ms)
{
    struct timespec left = {ms / 1000, (ms % 1000) * 1000000L};
    while (ms > 0 && nanosleep(&left, &left) != 0) {
    }
}

static ssize_t faulty_read(struct mdio *io, int handle, void *data, size_t bytes, int64_t offset)
{
    struct faulty_state *state = io->state;
    int code = 0;
    pthread_mutex_lock(&state->lock);
    int ms = bytes >= MDIO_READ_LARGE ? state->faults->read_sleep_ms : 0;
    pthread_mutex_unlock(&state->lock);
    sleep_ms(ms);
    return judge(io, MDIO_CALL_READ, 0, &code) == VERDICT_PASS
               ? mdio_read(inner_of(io), handle, data, bytes, offset)
               : code;
}

static ssize_t faulty_write(struct mdio *io, int handle, const void *data, size_t bytes,
                            int64_t offset)
{
    struct faulty_state *state = io->state;
    int code = 0;
    enum verdict verdict = judge(io, MDIO_CALL_WRITE, bytes, &code);
    if (verdict == VERDICT_FAIL) {
        return code;
    }
    if (verdict == VERDICT_SHORT) {
        pthread_mutex_lock(&state->lock);
        size_t most = state->faults->write_short_bytes;
        state->faults->write_short_bytes = 0; /* one short count, then the code */
        pthread_mutex_unlock(&state->lock);
        bytes = most < bytes ? most : bytes - 1;
    }
    return state->inner->ops->write(state->inner, handle, data, bytes, offset);
}

/* Sleeps as a slow disk would. True when the call is to lie: report success, do nothing. */
static bool sync_sleeps_and_lies(struct mdio *io)
{
    struct faulty_state *state = io->state;
    pthread_mutex_lock(&state->lock);
    int ms = state->faults->sync_sleep_ms;
    bool lies = state->faults->sync_lies;
    pthread_mutex_unlock(&state->lock);
    sleep_ms(ms);
    return lies;
}

static int faulty_sync(struct mdio *io, int handle)
{
    int code = 0;
    enum verdict verdict = judge(io, MDIO_CALL_SYNC, 0, &code);
    bool lies = sync_sleeps_and_lies(io);
    if (verdict != VERDICT_PASS) {
        mdio_mem_sync_failed(inner_of(io), handle);
        return code;
    }
    return lies ? 0 : mdio_sync(inner_of(io), handle);
}

static int faulty_truncate(struct mdio *io, int handle, int64_t bytes)
{
    int code = 0;
    return judge(io, MDIO_CALL_TRUNCATE, 0, &code) == VERDICT_PASS
               ? mdio_truncate(inner_of(io), handle, bytes)
               : code;
}

static int faulty_punch(struct mdio *io, int handle, int64_t offset, int64_t bytes)
{
    return mdio_punch(inner_of(io), handle, offset, bytes);
}

static int64_t faulty_size(struct mdio *io, int handle)
{
    return mdio_size(inner_of(io), handle);
}

static int faulty_rename(struct mdio *io, const char *from, const char *to)
{
    int code = 0;
    return judge(io, MDIO_CALL_RENAME, 0, &code) == VERDICT_PASS
               ? mdio_rename(inner_of(io), from, to)
               : code;
}

static int faulty_unlink(struct mdio *io, const char *path)
{
    int code = 0;
    return judge(io, MDIO_CALL_UNLINK, 0, &code) == VERDICT_PASS ? mdio_unlink(inner_of(io), path)
                                                                 : code;
}

static int faulty_mkdir(struct mdio *io, const char *path)
{
    int code = 0;
    return judge(io, MDIO_CALL_MKDIR, 0, &code) == VERDICT_PASS ? mdio_mkdir(inner_of(io), path)
                                                                : code;
}

static int faulty_rmdir(struct mdio *io, const char *path)
{
    int code = 0;
    return judge(io, MDIO_CALL_UNLINK, 0, &code) == VERDICT_PASS ? mdio_rmdir(inner_of(io), path)
                                                                 : code;
}

static int faulty_dirsync(struct mdio *io, const char *path)
{
    int code = 0;
    enum verdict verdict = judge(io, MDIO_CALL_DIRSYNC, 0, &code);
    bool lies = sync_sleeps_and_lies(io);
    if (verdict != VERDICT_PASS) {
        return code;
    }
    return lies ? 0 : mdio_dirsync(inner_of(io), path);
}

static int faulty_list(struct mdio *io, const char *path,
                       void (*on_name)(void *context, const char *name, bool is_directory),
                       void *context)
{
    return mdio_list(inner_of(io), path, on_name, context);
}

static int faulty_space(struct mdio *io, struct mdio_space *out)
{
    int code = 0;
    return judge(io, MDIO_CALL_SPACE, 0, &code) == VERDICT_PASS ? mdio_space(inner_of(io), out)
                                                                : code;
}

static int faulty_lock(struct mdio *io, int handle)
{
    return mdio_lock(inner_of(io), handle);
}

static void faulty_deinit(struct mdio *io)
{
    struct faulty_state *state = io->state;
    pthread_mutex_destroy(&state->lock);
    alloc_give(state);
}

static const struct mdio_ops faulty_ops = {
    .open = faulty_open,
    .close = faulty_close,
    .read = faulty_read,
    .write = faulty_write,
    .sync = faulty_sync,
    .truncate = faulty_truncate,
    .punch = faulty_punch,
    .size = faulty_size,
    .rename = faulty_rename,
    .unlink = faulty_unlink,
    .mkdir = faulty_mkdir,
    .rmdir = faulty_rmdir,
    .dirsync = faulty_dirsync,
    .list = faulty_list,
    .space = faulty_space,
    .lock = faulty_lock,
    .deinit = faulty_deinit,
};

int mdio_faulty_open(struct mdio *io, struct mdio *inner, struct mdio_faults *faults)
{
    ASSERT(inner->ops != NULL);
    struct faulty_state *state = alloc_take(ALLOC_APP, sizeof *state);
    if (state == NULL) {
        return MD_ENOMEM;
    }
    pthread_mutex_init(&state->lock, NULL);
    state->inner = inner;
    state->faults = faults;
    *io = (struct mdio){.ops = &faulty_ops, .state = state, .root = "(faulty)"};
    return 0;
}
