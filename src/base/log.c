/* The quiet log. One lock round a table of kinds; lines are built on the stack and written with one
 * write(), so lines of several threads never mix. A kind may pass LOG_BURST lines in its minute;
 * the rest are counted and told with the next line of the kind or by log_flush_suppressed(): every
 * call is either a line or in a count. Nothing that comes from outside can end a line or reach a
 * terminal as a control code. A suppressed call costs the lock and a look through the table, its
 * message is not even formatted. Memory: the table, 28 KiB, and the last lines, 30 KiB; 14 KiB of
 * stack for a line that passes.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"

#define MESSAGE_BYTES 1024                   /* as written by the caller; the rest is cut off */
#define ESCAPED_BYTES (4 * MESSAGE_BYTES)    /* each byte as \xNN */
#define LINE_BYTES (2 * ESCAPED_BYTES + 256) /* each backslash and quote doubled in JSON */
#define KIND_BYTES 32
#define PATH_BYTES 256
#define KEEP_MOST 100

struct kind {
    char name[KIND_BYTES];
    int64_t minute_mono_ns; /* when its present minute began */
    uint32_t passed;
    uint64_t suppressed;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kind kinds[LOG_KINDS];
static uint32_t kind_count;
static int log_fd = STDERR_FILENO;
static bool log_json;
static bool log_journald; /* log_fd is systemd's journal */
static struct {
    char path[PATH_BYTES]; /* "": no file */
    int fd;                /* -1: it could not be opened again, log_fd has the lines */
    uint64_t bytes, bytes_max;
    uint32_t keep;
} log_file = {.fd = -1};
static const struct clock *log_clock = &clock_system;
static atomic_int log_level_now = LOG_LEVEL_WARN;
static _Atomic uint64_t counts[4];
static _Atomic uint64_t suppressed_total;

static struct log_line tail[LOG_TAIL];
static uint64_t tail_last;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

/* systemd.exec(5), read 2026-11: JOURNAL_STREAM is "device:inode" of the stream to the journal. */
static bool is_journald(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat stat;
    char own[64];
    if (stream == NULL || fstat(fd, &stat) != 0) {
        return false;
    }
    snprintf(own, sizeof own, "%llu:%llu", (unsigned long long)stat.st_dev,
             (unsigned long long)stat.st_ino);
    return strcmp(own, stream) == 0;
}

void log_init(int fd, enum log_level level, bool json, const struct clock *clock)
{
    pthread_mutex_lock(&lock);
    if (log_file.fd >= 0) {
        close(log_file.fd);
        log_file.fd = -1;
    }
    log_file.path[0] = 0;
    log_fd = fd;
    log_json = json;
    log_journald = is_journald(fd);
    log_clock = clock;
    kind_count = 0;
    memset(kinds, 0, sizeof kinds);
    for (int i = 0; i < 4; i++) {
        atomic_store(&counts[i], 0);
    }
    atomic_store(&suppressed_total, 0);
    atomic_store(&log_level_now, (int)level);
    pthread_mutex_unlock(&lock);
}

void log_level_set(enum log_level level)
{
    atomic_store(&log_level_now, (int)level);
}

enum log_level log_level_get(void)
{
    return (enum log_level)atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

int log_level_parse(const char *name)
{
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

/* The last entry is shared by all kinds beyond the table; only the start of a long name counts. */
static struct kind *kind_of(const char *name)
{
    for (uint32_t i = 0; i < kind_count; i++) {
        if (strncmp(kinds[i].name, name, KIND_BYTES - 1) == 0) {
            return &kinds[i];
        }
    }
    if (kind_count == LOG_KINDS) {
        return &kinds[LOG_KINDS - 1];
    }
    struct kind *kind = &kinds[kind_count++];
    snprintf(kind->name, sizeof kind->name, "%s", kind_count == LOG_KINDS ? "other" : name);
    return kind;
}

/* ---- the file */

static int file_open(void)
{
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
    log_file.fd = open(log_file.path, flags, 0640);
    struct stat stat;
    if (log_file.fd < 0 || fstat(log_file.fd, &stat) != 0) {
        return err_from_errno(errno);
    }
    log_file.bytes = (uint64_t)stat.st_size;
    return 0;
}

static void file_close(void)
{
    if (log_file.fd >= 0) {
        close(log_file.fd);
        log_file.fd = -1;
    }
}

/* `path` becomes `path.1`, each older one moves up, the last is overwritten. A rename that fails is
 * passed over: then the file goes on growing, which is better than losing what it says. */
static void file_rotate(void)
{
    char from[PATH_BYTES + 16];
    char to[PATH_BYTES + 16];
    file_close();
    for (uint32_t n = log_file.keep; n > 0; n--) {
        snprintf(to, sizeof to, "%s.%u", log_file.path, n);
        snprintf(from, sizeof from, n > 1 ? "%s.%u" : "%s", log_file.path, n - 1);
        (void)rename(from, to);
    }
    if (log_file.keep == 0) {
        (void)unlink(log_file.path);
    }
    (void)file_open();
}

int log_file_open(const char *path, uint64_t bytes_max, uint32_t keep)
{
    if (strlen(path) > PATH_BYTES - 16 || keep > KEEP_MOST) {
        return MD_ETOOBIG;
    }
    pthread_mutex_lock(&lock);
    file_close();
    snprintf(log_file.path, sizeof log_file.path, "%s", path);
    log_file.bytes_max = bytes_max;
    log_file.keep = keep;
    int code = file_open();
    pthread_mutex_unlock(&lock);
    return code;
}

void log_file_reopen(void)
{
    pthread_mutex_lock(&lock);
    if (log_file.path[0] != 0) {
        file_close();
        (void)file_open();
    }
    pthread_mutex_unlock(&lock);
}

static void put_bytes(const char *line, size_t bytes)
{
    if (log_file.path[0] != 0 && log_file.bytes_max > 0 && log_file.bytes > 0 &&
        log_file.bytes + bytes > log_file.bytes_max) {
        file_rotate();
    }
    int fd = log_file.fd >= 0 ? log_file.fd : log_fd;
    ssize_t written = write(fd, line, bytes);
    if (written < 0 && fd != log_fd) {
        written = write(log_fd, line, bytes);
    }
    if (written < 0) {
        return; /* best effort: there is nowhere else to complain */
    }
    log_file.bytes += bytes;
}

static void tail_keep(enum log_level level, const char *kind, const char *message,
                      uint64_t suppressed)
{
    struct log_line *line = &tail[tail_last++ % LOG_TAIL];
    line->number = tail_last;
    line->unix_ns = clock_unix_ns(log_clock);
    line->level = level;
    line->suppressed = suppressed;
    snprintf(line->kind, sizeof line->kind, "%s", kind);
    size_t bytes = strnlen(message, sizeof line->message - 1);
    memcpy(line->message, message, bytes);
    line->message[bytes] = 0;
}

uint64_t log_tail(uint64_t after, void (*on_line)(void *context, const struct log_line *line),
                  void *context)
{
    pthread_mutex_lock(&lock);
    uint64_t last = tail_last;
    uint64_t first = last > LOG_TAIL ? last - LOG_TAIL : 0;
    for (uint64_t i = after > first ? after : first; i < last; i++) {
        on_line(context, &tail[i % LOG_TAIL]);
    }
    pthread_mutex_unlock(&lock);
    return last;
}

static void put_json_text(struct buf *out, const char *text)
{
    buf_put_char(out, '"');
    for (const char *c = text; *c != 0; c++) {
        if (*c == '"' || *c == '\\') {
            buf_put_char(out, '\\');
        }
        buf_put_char(out, *c);
    }
    buf_put_char(out, '"');
}

static void put_time(struct buf *line, const char *before, const char *after)
{
    struct clock_utc t = clock_utc_of(clock_unix_ns(log_clock));
    buf_printf(line, "%s%04d-%02d-%02dT%02d:%02d:%02d.%03dZ%s", before, t.year, t.month, t.day,
               t.hour, t.minute, t.second, (int)(t.nanosecond / 1000000), after);
}

static void put_for_people(struct buf *line, enum log_level level, const char *kind,
                           const char *message, uint64_t suppressed)
{
    static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"}; /* sd-daemon(3) */
    if (log_journald && log_file.fd < 0) {
        buf_put_str(line, str_from(priorities[level]));
    } else {
        put_time(line, "", " ");
        buf_printf(line, "%-5s ", level_names[level]);
    }
    buf_printf(line, "%s  %s", kind, message);
    if (suppressed > 0) {
        buf_printf(line, " (and %llu more like it)", (unsigned long long)suppressed);
    }
}

static void put_line(enum log_level level, const char *kind, const char *message,
                     uint64_t suppressed)
{
    char memory[LINE_BYTES];
    struct buf line = buf_over(memory, sizeof memory);
    tail_keep(level, kind, message, suppressed);
    if (log_json) {
        put_time(&line, "{\"time\":\"", "\",");
        buf_printf(&line, "\"level\":\"%s\",\"kind\":\"%s\",\"message\":", level_names[level],
                   kind);
        put_json_text(&line, message);
        if (suppressed > 0) {
            buf_printf(&line, ",\"suppressed\":%llu", (unsigned long long)suppressed);
        }
        buf_put_char(&line, '}');
    } else {
        put_for_people(&line, level, kind, message, suppressed);
    }
    buf_put_char(&line, '\n');
    put_bytes(line.data, line.bytes);
}

/* True when the line may pass; *suppressed is then the count to tell with it. */
static bool kind_passes(struct kind *kind, int64_t now_mono_ns, uint64_t *suppressed)
{
    if (kind->passed == 0 || now_mono_ns - kind->minute_mono_ns >= 60 * NS_PER_S) {
        kind->minute_mono_ns = now_mono_ns;
        kind->passed = 0;
    }
    if (kind->passed == LOG_BURST) {
        kind->suppressed++;
        atomic_fetch_add_explicit(&suppressed_total, 1, memory_order_relaxed);
        return false;
    }
    kind->passed++;
    *suppressed = kind->suppressed;
    kind->suppressed = 0;
    return true;
}

/* Printable ASCII stays as it is, a backslash too: it came from str_printable() or does no harm. */
static void escape(char out[ESCAPED_BYTES], const char *raw)
{
    size_t n = 0;
    for (; *raw != 0; raw++) {
        unsigned char c = (unsigned char)*raw;
        if (c >= 0x20 && c < 0x7f) {
            out[n++] = *raw;
        } else {
            n += (size_t)snprintf(out + n, 5, "\\x%02X", c);
        }
    }
    out[n] = 0;
}

void log_write(enum log_level level, const char *kind_name, const char *format, ...)
{
    atomic_fetch_add_explicit(&counts[level], 1, memory_order_relaxed);
    pthread_mutex_lock(&lock);
    struct kind *kind = kind_of(kind_name);
    uint64_t suppressed = 0;
    if (kind_passes(kind, clock_mono_ns(log_clock), &suppressed)) {
        char raw[MESSAGE_BYTES];
        char message[ESCAPED_BYTES];
        va_list arguments;
        va_start(arguments, format);
        int n = vsnprintf(raw, sizeof raw, format, arguments);
        va_end(arguments);
        raw[n < 0 ? 0 : sizeof raw - 1] = 0;
        escape(message, raw);
        put_line(level, kind->name, message, suppressed);
    }
    pthread_mutex_unlock(&lock);
}

void log_flush_suppressed(void)
{
    pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < kind_count; i++) {
        if (kinds[i].suppressed > 0) {
            char message[96];
            snprintf(message, sizeof message, "suppressed %llu more of this kind",
                     (unsigned long long)kinds[i].suppressed);
            kinds[i].suppressed = 0;
            put_line(LOG_LEVEL_WARN, kinds[i].name, message, 0);
        }
    }
    pthread_mutex_unlock(&lock);
}

uint64_t log_count(enum log_level level)
{
    return atomic_load(&counts[level]);
}

uint64_t log_suppressed_count(void)
{
    return atomic_load(&suppressed_total);
}
