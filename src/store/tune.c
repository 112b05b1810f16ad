/* Decisions of self-tuning, from figures alone; and the text in which they stand in the journal.
 * Place: asked by the landing thread once a second, and by the plan at start. Memory: none. */
#include "store/tune.h"

#include <string.h>

#include "base/err.h"
#include "store/row_block.h"

/* Sealing an hour's files takes a while; only a backlog that stays is load. */
#define BUSY_S 60
#define CALM_S 120
#define LEVEL_PAUSE_S 10 /* between two changes, when the ring fills */
#define QUEUE_FULL_PERMILLE 500
#define QUEUE_CALM_PERMILLE 100
#define BLOCKS_PAUSE_S 10
#define EVENTS_WANTED 32 /* in a window: the set idle close does */

static bool is_busy(const struct tune_figures *figures)
{
    return figures->seal_jobs > 0;
}

static bool is_calm(const struct tune_figures *figures)
{
    return figures->seal_jobs == 0 && figures->queue_permille < QUEUE_CALM_PERMILLE;
}

static int level_of(struct tuner *tuner, const struct tune_bounds *bounds,
                    const struct tune_figures *figures)
{
    tuner->busy_s = is_busy(figures) ? tuner->busy_s + 1 : 0;
    tuner->calm_s = is_calm(figures) ? tuner->calm_s + 1 : 0;
    tuner->since_level_s++;
    bool pressed =
        figures->queue_permille >= QUEUE_FULL_PERMILLE && tuner->since_level_s >= LEVEL_PAUSE_S;
    if (tuner->zstd_level > 1 && (pressed || tuner->busy_s >= BUSY_S)) {
        tuner->busy_s = tuner->since_level_s = 0;
        return tuner->zstd_level - 1;
    }
    if (tuner->zstd_level < bounds->zstd_level && tuner->calm_s >= CALM_S) {
        tuner->calm_s = tuner->since_level_s = 0;
        return tuner->zstd_level + 1;
    }
    return tuner->zstd_level;
}

/* Blocks are thrown out though the pool has room: more partitions may have one. The pool is full:
 * fewer and larger ones, down to what is set. */
static uint32_t blocks_of(struct tuner *tuner, const struct tune_bounds *bounds,
                          const struct tune_figures *figures)
{
    uint32_t now = tuner->blocks_max;
    if (++tuner->since_blocks_s < BLOCKS_PAUSE_S) {
        return now;
    }
    tuner->since_blocks_s = 0;
    bool thrown_out = figures->early_spools > tuner->early_spools;
    tuner->early_spools = figures->early_spools;
    if (!thrown_out) {
        return now;
    }
    if (figures->blocks >= now && figures->pool_used_bytes < figures->pool_bytes / 4 * 3) {
        uint32_t more = now + now / 4 + 1;
        return more < bounds->blocks_most ? more : bounds->blocks_most;
    }
    if (now > bounds->blocks_set && figures->pool_used_bytes > figures->pool_bytes / 20 * 19) {
        uint32_t fewer = now - now / 8 - 1;
        return fewer > bounds->blocks_set ? fewer : bounds->blocks_set;
    }
    return now;
}

struct tune_decision tune_second(struct tuner *tuner, const struct tune_bounds *bounds,
                                 const struct tune_figures *figures)
{
    return (struct tune_decision){.zstd_level = level_of(tuner, bounds, figures),
                                  .blocks_max = blocks_of(tuner, bounds, figures)};
}

uint32_t tune_idle_factor(uint32_t events, int64_t idle_close_s)
{
    uint32_t factor = 1;
    if (events < 2) {
        return factor; /* it is idle */
    }
    while (events * factor < EVENTS_WANTED && factor < TUNE_IDLE_FACTOR_MAX &&
           idle_close_s * factor * 2 <= 3600) {
        factor *= 2;
    }
    return factor;
}

uint32_t tune_block_class(size_t used_bytes, size_t fair_bytes)
{
    uint32_t class = 0;
    while (class < ROW_BLOCK_CLASSES - 1 && block_class_bytes(class) < used_bytes &&
           block_class_bytes(class + 1) <= fair_bytes) {
        class ++;
    }
    return class;
}

uint32_t tune_row_group_next(uint32_t rows)
{
    return rows / 2 >= TUNE_ROW_GROUP_LEAST ? rows / 2 : 0;
}

/* ---- text */

static struct str word_take(struct str *text, char end)
{
    const char *at = memchr(text->data, end, text->bytes);
    size_t bytes = at != NULL ? (size_t)(at - text->data) : text->bytes;
    struct str word = str_make(text->data, bytes);
    size_t past = bytes + (at != NULL);
    *text = str_make(text->data + past, text->bytes - past);
    return word;
}

/* 0 when it is not a number of one or two digits. */
static uint32_t number_of(struct str word)
{
    uint32_t value = 0;
    for (size_t i = 0; i < word.bytes; i++) {
        if (word.bytes > 2 || word.data[i] < '0' || word.data[i] > '9') {
            return 0;
        }
        value = value * 10 + (uint32_t)(word.data[i] - '0');
    }
    return value;
}

int tune_line_next(struct str *text, struct tune_line *line)
{
    if (text->bytes == 0) {
        return 0;
    }
    struct str rest = word_take(text, '\n');
    struct str key = word_take(&rest, '=');
    if (str_equal(key, STR("zstd_level"))) {
        *line = (struct tune_line){.what = TUNE_ZSTD_LEVEL, .value = number_of(rest)};
        return line->value >= 1 && line->value <= 19 ? 1 : MD_EPARSE;
    }
    if (!str_equal(key, STR("idle"))) {
        return MD_EPARSE;
    }
    *line = (struct tune_line){.what = TUNE_IDLE, .value = number_of(word_take(&rest, ' '))};
    line->venue = word_take(&rest, ' ');
    line->channel = word_take(&rest, ' ');
    line->symbol = rest;
    return line->value >= 1 && line->value <= TUNE_IDLE_FACTOR_MAX ? 1 : MD_EPARSE;
}
