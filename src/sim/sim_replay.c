/* Serves a recording (design.md section 6) instead of the model: its `recv` lines of combined
 * streams go to whoever subscribed to that stream, in the recorded order and pace (times the
 * speed); its `rest` lines answer requests for the same path and symbol, the newest one not after
 * the moment of the replay. exchangeInfo is made from the symbols found in the recording.
 *
 * It starts when somebody subscribed and nobody did for QUIET_NS, so that a client with many
 * connections misses nothing. The file is mapped, never loaded; lines are copied to scratch one at
 * a time. Memory: names of at most SYMBOLS_MAX symbols and REST_MAX places of REST bodies. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "journal/record.h"
#include "sim/sim_internal.h"
#include "sim/sim_stream.h"

#define SYMBOLS_MAX 4000
#define REST_MAX 16384
#define QUIET_NS NS_PER_S

struct rest_place {
    size_t offset, bytes; /* of the line */
    int64_t time_unix_ns;
    uint32_t arg_hash; /* of the request: parts and end of one body have the same */
    bool is_part;      /* more of the body follows */
};

struct sim_replay {
    const char *data;
    size_t bytes;
    size_t at; /* next line */
    uint64_t line;
    int64_t first_unix_ns;    /* time of the first line */
    int64_t position_unix_ns; /* recorded time the replay has reached */
    int64_t subscribed_unix_ns;
    int64_t started_unix_ns; /* 0 = not yet */
    bool done;
    char (*names)[MODEL_NAME_BYTES];
    uint32_t name_count;
    struct rest_place *rest;
    uint32_t rest_count;
    char *scratch;
};

/* The next line, without its end; false at the end of the file. */
static bool line_next(const struct sim_replay *replay, size_t *at, struct str *line)
{
    if (*at >= replay->bytes) {
        return false;
    }
    const char *start = replay->data + *at;
    const char *end = memchr(start, '\n', replay->bytes - *at);
    size_t length = end == NULL ? replay->bytes - *at : (size_t)(end - start);
    *line = str_make(start, length);
    *at += length + 1;
    return true;
}

/* 0 = a record, 1 = nothing on this line, negative = not well-formed. */
static int line_read(struct sim_replay *replay, struct str line, struct record *record,
                     struct err *err)
{
    if (line.bytes >= 2 * SIM_TEXT_BYTES) {
        return err_set(err, MD_ETOOBIG, "a line of %zu bytes", line.bytes);
    }
    memcpy(replay->scratch, line.data, line.bytes);
    return record_parse(replay->scratch, line.bytes, record, err);
}

/* {"stream":"<name>","data":<payload>} */
static bool combined_split(struct str text, struct str *name, struct str *payload)
{
    static const char head[] = "{\"stream\":\"";
    static const char middle[] = "\",\"data\":";
    size_t head_bytes = sizeof head - 1;
    if (text.bytes < head_bytes || memcmp(text.data, head, head_bytes) != 0) {
        return false;
    }
    const char *found = memmem(text.data, text.bytes, middle, sizeof middle - 1);
    if (found == NULL || text.data[text.bytes - 1] != '}') {
        return false;
    }
    *name = str_make(text.data + head_bytes, (size_t)(found - text.data) - head_bytes);
    const char *data = found + sizeof middle - 1;
    *payload = str_make(data, text.bytes - (size_t)(data - text.data) - 1);
    return true;
}

static void name_add(struct sim_replay *replay, struct str stream)
{
    const char *at = stream.bytes == 0 ? NULL : memchr(stream.data, '@', stream.bytes);
    size_t bytes = at == NULL ? 0 : (size_t)(at - stream.data);
    if (bytes == 0 || bytes >= MODEL_NAME_BYTES - 1 || stream.data[0] == '!') {
        return;
    }
    char name[MODEL_NAME_BYTES] = {0};
    for (size_t i = 0; i < bytes; i++) {
        char c = stream.data[i];
        name[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    for (uint32_t i = 0; i < replay->name_count; i++) {
        if (strcmp(replay->names[i], name) == 0) {
            return;
        }
    }
    if (replay->name_count < SYMBOLS_MAX) {
        memcpy(replay->names[replay->name_count++], name, sizeof name);
    }
}

static int index_build(struct sim *sim, struct err *err)
{
    struct sim_replay *replay = sim->replay;
    size_t at = 0;
    size_t offset = 0;
    struct str line;
    uint64_t number = 0;
    while (line_next(replay, &at, &line)) {
        struct record record;
        struct err why = {{0}};
        int result = line_read(replay, line, &record, &why);
        number++;
        if (result < 0) {
            return err_set(err, result, "sim_replay: %s: line %llu: %s", sim->config.replay_path,
                           (unsigned long long)number, why.text);
        }
        if (result == 0) {
            struct str name;
            struct str payload;
            replay->first_unix_ns =
                replay->first_unix_ns == 0 ? record.time_unix_ns : replay->first_unix_ns;
            if (record.kind == RECORD_RECV && combined_split(record.payload, &name, &payload)) {
                name_add(replay, name);
            } else if ((record.kind == RECORD_REST || record.kind == RECORD_REST_PART) &&
                       replay->rest_count < REST_MAX) {
                replay->rest[replay->rest_count++] = (struct rest_place){
                    offset, line.bytes, record.time_unix_ns,
                    (uint32_t)str_hash(record.arg, record.conn), record.kind == RECORD_REST_PART};
            }
        }
        offset = at;
    }
    if (replay->name_count == 0) {
        return err_set(err, MD_ENOENT, "sim_replay: %s: no message of a combined stream in it",
                       sim->config.replay_path);
    }
    return 0;
}

static int file_map(struct sim *sim, struct err *err)
{
    struct sim_replay *replay = sim->replay;
    const char *path = sim->config.replay_path;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) != 0) {
        int code = err_set(err, err_from_errno(errno), "sim_replay: %s: %s", path, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return code;
    }
    void *data = stat.st_size == 0
                     ? MAP_FAILED
                     : mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd); /* the mapping stays */
    if (data == MAP_FAILED) {
        return err_set(err, MD_EIO, "sim_replay: %s: empty, or it cannot be mapped", path);
    }
    replay->data = data;
    replay->bytes = (size_t)stat.st_size;
    return 0;
}

int sim_replay_open(struct sim *sim, struct err *err)
{
    struct sim_replay *replay = alloc_take(ALLOC_SIM, sizeof *replay);
    if (replay == NULL) {
        return err_set(err, MD_ENOMEM, "sim_replay: no memory");
    }
    sim->replay = replay;
    replay->names = alloc_take(ALLOC_SIM, SYMBOLS_MAX * sizeof *replay->names);
    replay->rest = alloc_take(ALLOC_SIM, REST_MAX * sizeof *replay->rest);
    replay->scratch = alloc_take(ALLOC_SIM, 2 * SIM_TEXT_BYTES);
    if (replay->names == NULL || replay->rest == NULL || replay->scratch == NULL) {
        return err_set(err, MD_ENOMEM, "sim_replay: no memory");
    }
    int result = file_map(sim, err);
    result = result == 0 ? index_build(sim, err) : result;
    if (result == 0) {
        sim->config.model.names = (const char(*)[MODEL_NAME_BYTES])replay->names;
        sim->config.model.symbols = replay->name_count;
        sim->config.model.symbols_idle = 0;
        replay->position_unix_ns = replay->first_unix_ns;
    }
    return result;
}

void sim_replay_close(struct sim *sim)
{
    struct sim_replay *replay = sim->replay;
    if (replay == NULL) {
        return;
    }
    if (replay->data != NULL) {
        union {
            const char *read_only;
            void *mapped;
        } data = {.read_only = replay->data};
        (void)munmap(data.mapped, replay->bytes);
    }
    alloc_give(replay->names);
    alloc_give(replay->rest);
    alloc_give(replay->scratch);
    alloc_give(replay);
    sim->replay = NULL;
}

void sim_replay_subscribed(struct sim *sim)
{
    sim->replay->subscribed_unix_ns = sim->now_unix_ns;
}

/* When a recorded moment comes on our clock. */
static int64_t due_of(const struct sim *sim, int64_t recorded_unix_ns)
{
    const struct sim_replay *replay = sim->replay;
    double speed = sim->config.replay_speed > 0 ? sim->config.replay_speed : 1;
    double since = (double)(recorded_unix_ns - replay->first_unix_ns) / speed;
    return replay->started_unix_ns + (int64_t)since;
}

static void message_serve(struct sim *sim, struct str text)
{
    struct str name;
    struct str payload;
    uint32_t symbol;
    int stream =
        combined_split(text, &name, &payload) ? sim_stream_parse(&sim->model, name, &symbol) : -1;
    if (stream < 0 || payload.bytes == 0 || payload.bytes > SIM_TEXT_BYTES - SIM_PREFIX_BYTES - 1) {
        sim->counters[SIM_COUNT_REPLAY_SKIPPED]++;
        return;
    }
    for (int unit = 0; unit < 2; unit++) { /* recorded times are sent as they are */
        memcpy(sim->text[unit] + SIM_PREFIX_BYTES, payload.data, payload.bytes);
    }
    sim->counters[SIM_COUNT_REPLAYED]++;
    sim_feed_send(sim, symbol, (uint32_t)stream, (int64_t)sim->replay->line, payload.bytes,
                  payload.bytes);
}

int64_t sim_replay_turn(struct sim *sim)
{
    struct sim_replay *replay = sim->replay;
    if (replay->done || replay->subscribed_unix_ns == 0) {
        return INT64_MAX;
    }
    if (replay->started_unix_ns == 0) {
        if (sim->now_unix_ns < replay->subscribed_unix_ns + QUIET_NS) {
            return replay->subscribed_unix_ns + QUIET_NS;
        }
        replay->started_unix_ns = sim->now_unix_ns;
    }
    struct str line;
    size_t at = replay->at;
    while (line_next(replay, &at, &line)) {
        struct record record;
        int result = line_read(replay, line, &record, NULL);
        if (result == 0 && due_of(sim, record.time_unix_ns) > sim->now_unix_ns) {
            return due_of(sim, record.time_unix_ns);
        }
        replay->at = at;
        replay->line++;
        if (result == 0) {
            replay->position_unix_ns = record.time_unix_ns;
            if (record.kind == RECORD_RECV) {
                message_serve(sim, record.payload);
            }
        }
    }
    replay->done = true;
    sim->counters[SIM_COUNT_REPLAY_DONE]++;
    return INT64_MAX;
}

/* "GET https://host/path?query 200" -> path and query; false if it is not such a text. */
static bool rest_target(struct str arg, struct str *path, struct str *query)
{
    const char *scheme = memmem(arg.data, arg.bytes, "://", 3);
    if (arg.bytes < 4 || memcmp(arg.data, "GET ", 4) != 0 || scheme == NULL) {
        return false;
    }
    const char *end = arg.data + arg.bytes;
    const char *start = memchr(scheme + 3, '/', (size_t)(end - scheme - 3));
    if (start == NULL) {
        return false;
    }
    const char *blank = memchr(start, ' ', (size_t)(end - start));
    end = blank == NULL ? end : blank;
    const char *mark = memchr(start, '?', (size_t)(end - start));
    *path = str_make(start, (size_t)((mark == NULL ? end : mark) - start));
    *query = mark == NULL ? str_make("", 0) : str_make(mark + 1, (size_t)(end - mark - 1));
    return true;
}

static bool rest_matches(struct str arg, struct str path, struct str query)
{
    struct str recorded_path;
    struct str recorded_query;
    if (!rest_target(arg, &recorded_path, &recorded_query) || !str_equal(recorded_path, path)) {
        return false;
    }
    char texts[2][MODEL_NAME_BYTES * 3];
    struct buf asked = buf_over(texts[0], sizeof texts[0]);
    struct buf recorded = buf_over(texts[1], sizeof texts[1]);
    return sim_request_query(query, "symbol", &asked) ==
               sim_request_query(recorded_query, "symbol", &recorded) &&
           str_equal(buf_view(&asked), buf_view(&recorded));
}

static int place_read(struct sim_replay *replay, uint32_t index, struct record *record)
{
    const struct rest_place *place = &replay->rest[index];
    return line_read(replay, str_make(replay->data + place->offset, place->bytes), record, NULL);
}

/* The body that ends at this place: its parts, then its end. */
static bool body_write(struct sim_replay *replay, uint32_t last, struct buf *out)
{
    uint32_t hash = replay->rest[last].arg_hash;
    uint32_t first = last;
    for (uint32_t i = last; i > 0; i--) {
        const struct rest_place *place = &replay->rest[i - 1];
        if (place->arg_hash == hash && !place->is_part) {
            break;
        }
        first = place->arg_hash == hash ? i - 1 : first;
    }
    buf_reset(out);
    for (uint32_t i = first; i <= last; i++) {
        struct record record;
        if (replay->rest[i].arg_hash == hash && place_read(replay, i, &record) == 0) {
            buf_put_str(out, record.payload);
        }
    }
    return !out->overflow;
}

bool sim_replay_rest(struct sim *sim, struct str path, struct str query, struct buf *out)
{
    struct sim_replay *replay = sim->replay;
    if (str_equal(path, STR("/api/v3/exchangeInfo")) || str_equal(path, STR("/api/v3/ping")) ||
        str_equal(path, STR("/api/v3/time"))) {
        return false;
    }
    uint32_t found = SIM_NONE;
    for (uint32_t i = 0; i < replay->rest_count; i++) {
        const struct rest_place *place = &replay->rest[i];
        struct record record;
        if (found != SIM_NONE && place->time_unix_ns > replay->position_unix_ns) {
            break; /* the one before is the newest that was known then */
        }
        if (!place->is_part && place_read(replay, i, &record) == 0 &&
            rest_matches(record.arg, path, query)) {
            found = i;
        }
    }
    return found != SIM_NONE && body_write(replay, found, out);
}
