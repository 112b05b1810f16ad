/* The symbol lists and the configuration, read again while recording. One thread: wait -> (SIGHUP:
 * read the configuration) -> fetch the lists -> choose by the words in force -> compare with what
 * is recorded -> changes into a ring the net thread reads. A list that cannot be had changes
 * nothing and is asked again in a minute; an empty one, or one that lost most of its symbols though
 * the words are the same, is not believed. Memory: all at the start (two copies of the settings).
 */
#include "app/symbols_watch.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/ring.h"

#define RETRY_S 60
#define CHANGES_BYTES (256 << 10)
#define NAME_BYTES 64

struct watched { /* a venue's recorded symbols */
    char (*names)[NAME_BYTES];
    uint8_t *bytes;
    uint8_t *seen;
    uint32_t count, capacity;
};

struct symbols_watch {
    struct symbols_watch_config config;
    const struct plan *plan;
    struct settings *now; /* in force; written by the thread under the mutex, read by it freely */
    struct settings
        *asked; /* as last read; symbols that differ from `now` are still to be chosen */
    struct symbol_source *source;
    struct symbol_list list;
    struct listed *chosen;
    struct watched venues[PLAN_VENUES_MAX];
    struct ring *changes;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    bool stop, wanted, changed; /* under the mutex */
};

size_t symbols_watch_bytes(const struct plan *plan)
{
    size_t bytes = sizeof(struct symbols_watch) + symbol_source_bytes() +
                   symbol_list_bytes(SYMBOLS_LISTED_MAX) +
                   SYMBOLS_LISTED_MAX * sizeof(struct listed) + CHANGES_BYTES +
                   2 * sizeof(struct settings);
    for (uint32_t v = 0; v < plan->venue_count; v++) {
        bytes += (size_t)plan->venues[v].feed.symbols_max * (NAME_BYTES + 2);
    }
    return bytes;
}

static void watched_add(struct watched *watched, struct str name)
{
    ASSERT(watched->count < watched->capacity && name.bytes <= NAME_BYTES);
    memcpy(watched->names[watched->count], name.data, name.bytes);
    watched->bytes[watched->count++] = (uint8_t)name.bytes;
}

static struct str watched_name(const struct watched *watched, uint32_t index)
{
    return str_make(watched->names[index], watched->bytes[index]);
}

/* False: the net thread has not taken the earlier ones yet. */
static bool tell(struct symbols_watch *watch, uint32_t venue, bool add, struct str name)
{
    char *out = ring_reserve(watch->changes, name.bytes + 2);
    if (out == NULL) {
        return false;
    }
    out[0] = (char)venue;
    out[1] = add;
    memcpy(out + 2, name.data, name.bytes);
    ring_commit(watch->changes);
    return true;
}

/* What was recorded and is not chosen any more goes, what is new comes. `meant`: the words changed,
 * so that a short list is no sign of a broken one. */
static void compare(struct symbols_watch *watch, uint32_t venue, uint32_t chosen, bool meant)
{
    struct watched *watched = &watch->venues[venue];
    const char *name = watch->plan->venues[venue].venue->name;
    uint32_t kept = 0, fresh = 0, refused = 0;
    memset(watched->seen, 0, watched->count);
    for (uint32_t i = 0; i < chosen; i++) {
        uint32_t at = 0;
        while (at < watched->count &&
               !str_equal(watched_name(watched, at), watch->chosen[i].name)) {
            at++;
        }
        if (at < watched->count) {
            watched->seen[at] = 1;
            kept++;
        }
    }
    if (!meant && kept * 2 < watched->count) {
        LOG_WARN("symbols_doubtful",
                 "%s: of %u recorded symbols only %u are on the venue's list: nothing changed",
                 name, watched->count, kept);
        return;
    }
    for (uint32_t at = watched->count; at-- > 0;) {
        if (!watched->seen[at] && tell(watch, venue, false, watched_name(watched, at))) {
            LOG_WARN("symbol_gone",
                     "%s: %.*s: not to be recorded any more (delisted, or no longer chosen)", name,
                     (int)watched->bytes[at], watched->names[at]);
            watched->count--;
            memmove(watched->names[at], watched->names[watched->count], NAME_BYTES);
            watched->bytes[at] = watched->bytes[watched->count];
        }
    }
    for (uint32_t i = 0; i < chosen; i++) {
        struct str symbol = watch->chosen[i].name;
        uint32_t at = 0;
        while (at < watched->count && !str_equal(watched_name(watched, at), symbol)) {
            at++;
        }
        if (at < watched->count) {
            continue;
        }
        if (watched->count == watched->capacity || symbol.bytes > NAME_BYTES ||
            !tell(watch, venue, true, symbol)) {
            refused++;
            continue;
        }
        LOG_WARN("symbol_new", "%s: %.*s: new, recorded from now on", name, (int)symbol.bytes,
                 symbol.data);
        watched_add(watched, symbol);
        fresh++;
    }
    if (refused > 0) {
        LOG_WARN("symbols_no_room", "%s: %u new symbols find no room: restart to record them", name,
                 refused);
    }
    LOG_INFO("symbols_refreshed", "%s: %u symbols, %u new", name, watched->count, fresh);
}

static const struct setting_row *symbols_row(const struct venue *venue)
{
    char name[64];
    snprintf(name, sizeof name, "%s.symbols", venue->section);
    for (uint32_t i = 0; i < setting_count; i++) {
        if (strcmp(setting_rows[i].name, name) == 0) {
            return &setting_rows[i];
        }
    }
    ASSERT(false);
    return NULL;
}

/* A setting of `asked` comes into force. */
static void put_in_force(struct symbols_watch *watch, const struct setting_row *row)
{
    pthread_mutex_lock(&watch->mutex);
    settings_copy_row(watch->now, watch->asked, row);
    watch->changed = true;
    pthread_mutex_unlock(&watch->mutex);
}

/* New words that name nothing are given up; the venue is left as it is. */
static void refuse_words(struct symbols_watch *watch, const struct setting_row *row,
                         const char *why)
{
    LOG_ERROR("reload_refused", "%s; the symbols in use stay", why);
    settings_copy_row(watch->asked, watch->now, row);
}

/* False: the list could not be had. */
static bool refresh_venue(struct symbols_watch *watch, uint32_t v)
{
    const struct plan_venue *venue = &watch->plan->venues[v];
    const struct setting_row *row = symbols_row(venue->venue);
    bool meant = !settings_row_equal(watch->now, watch->asked, row);
    const char *words = settings_of_venue(watch->asked, venue->venue->id).symbols;
    struct err err;
    int64_t retry_after_s;
    if (!meant && !symbols_need_list(words)) {
        return true;
    }
    int code = symbol_source_fetch(watch->source, &watch->list, venue->venue, venue->rest_url,
                                   symbols_need_turnover(words), &retry_after_s, &err);
    if (code != 0) {
        LOG_WARN("symbols_failed", "%s: the symbol list was not refreshed: %s", venue->venue->name,
                 err.text);
        return false;
    }
    int chosen = symbols_choose(&watch->list, words, venue->venue->section, watch->chosen,
                                SYMBOLS_LISTED_MAX, !meant, &err);
    if (chosen <= 0 && meant) {
        refuse_words(watch, row, chosen < 0 ? err.text : "no symbol is chosen");
        return true;
    }
    if (chosen < 0) {
        LOG_WARN("symbols_failed", "%s: %s", venue->venue->name, err.text);
        return false;
    }
    compare(watch, v, (uint32_t)chosen, meant);
    if (meant) {
        put_in_force(watch, row);
    }
    return true;
}

static bool refresh(struct symbols_watch *watch)
{
    bool good = true;
    for (uint32_t v = 0; v < watch->plan->venue_count; v++) {
        good = refresh_venue(watch, v) && good;
    }
    return good;
}

static bool is_planned(const struct symbols_watch *watch, const struct setting_row *row)
{
    for (uint32_t v = 0; v < watch->plan->venue_count; v++) {
        if (row == symbols_row(watch->plan->venues[v].venue)) {
            return true;
        }
    }
    return false;
}

/* SIGHUP: what may change while running comes into force, the rest is named. */
static void reread(struct symbols_watch *watch)
{
    struct err err;
    uint32_t applied = 0;
    char later[400];
    struct buf names = buf_over(later, sizeof later - 1);
    int code = watch->config.reread(watch->config.context, watch->asked, &err);
    if (code != 0) {
        LOG_ERROR("reload_refused", "%s; the settings in use stay", err.text);
        pthread_mutex_lock(&watch->mutex);
        *watch->asked = *watch->now;
        pthread_mutex_unlock(&watch->mutex);
        return;
    }
    for (uint32_t i = 0; i < setting_count; i++) {
        const struct setting_row *row = &setting_rows[i];
        if (settings_row_equal(watch->now, watch->asked, row)) {
            continue;
        }
        bool symbols = row->type == SETTING_LIST;
        if (!settings_row_live(row) || (symbols && !is_planned(watch, row))) {
            buf_printf(&names, "%s%s", names.bytes > 0 ? ", " : "", row->name);
            settings_copy_row(watch->asked, watch->now, row);
            continue;
        }
        applied++;
        if (!symbols) {
            put_in_force(watch, row);
        }
    }
    later[names.bytes] = 0;
    if (names.bytes > 0) {
        LOG_WARN("reload_later", "these settings take effect at the next start: %s", later);
    }
    LOG_WARN("reload", "configuration read again: %u settings changed", applied);
}

static void *watch_main(void *context)
{
    struct symbols_watch *watch = context;
    bool good = true;
    pthread_mutex_lock(&watch->mutex);
    while (!watch->stop) {
        int64_t every_s = watch->now->symbols_refresh_secs;
        int64_t wait_s = good || (every_s > 0 && every_s < RETRY_S) ? every_s : RETRY_S;
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += wait_s > 0 ? wait_s : 86400 * 365;
        int late = 0;
        while (!watch->stop && !watch->wanted && late == 0) {
            late = pthread_cond_timedwait(&watch->condition, &watch->mutex, &until);
        }
        bool wanted = watch->wanted;
        watch->wanted = false;
        if (watch->stop) {
            break;
        }
        pthread_mutex_unlock(&watch->mutex);
        if (wanted && watch->config.reread != NULL) {
            reread(watch);
        }
        good = refresh(watch);
        pthread_mutex_lock(&watch->mutex);
    }
    pthread_mutex_unlock(&watch->mutex);
    return NULL;
}

static void watch_free(struct symbols_watch *watch)
{
    for (uint32_t v = 0; v < PLAN_VENUES_MAX; v++) {
        alloc_give(watch->venues[v].names);
        alloc_give(watch->venues[v].bytes);
        alloc_give(watch->venues[v].seen);
    }
    ring_destroy(watch->changes);
    alloc_give(watch->chosen);
    symbol_list_deinit(&watch->list);
    symbol_source_destroy(watch->source);
    alloc_give(watch->now);
    alloc_give(watch->asked);
    alloc_give(watch);
}

static bool take_venues(struct symbols_watch *watch)
{
    for (uint32_t v = 0; v < watch->plan->venue_count; v++) {
        const struct plan_venue *venue = &watch->plan->venues[v];
        struct watched *watched = &watch->venues[v];
        watched->capacity = venue->feed.symbols_max;
        watched->names = alloc_take(ALLOC_APP, (size_t)watched->capacity * NAME_BYTES);
        watched->bytes = alloc_take(ALLOC_APP, watched->capacity);
        watched->seen = alloc_take(ALLOC_APP, watched->capacity);
        if (watched->names == NULL || watched->bytes == NULL || watched->seen == NULL) {
            return false;
        }
        for (uint32_t i = 0; i < venue->request_count; i++) {
            struct str name = venue->requests[i].symbol;
            bool fresh = i == 0 || !str_equal(name, venue->requests[i - 1].symbol);
            if (fresh && name.bytes <= NAME_BYTES) { /* no venue's list holds a longer one */
                watched_add(watched, name);
            }
        }
    }
    return true;
}

struct symbols_watch *symbols_watch_start(const struct symbols_watch_config *config,
                                          struct err *err)
{
    struct symbols_watch *watch = alloc_take(ALLOC_APP, sizeof *watch);
    if (watch == NULL) {
        err_set(err, MD_ENOMEM, "no memory to watch symbols");
        return NULL;
    }
    watch->config = *config;
    watch->plan = config->plan;
    watch->now = alloc_take(ALLOC_APP, sizeof *watch->now);
    watch->asked = alloc_take(ALLOC_APP, sizeof *watch->asked);
    watch->source = symbol_source_create(config->settings, err);
    watch->chosen = alloc_take(ALLOC_APP, SYMBOLS_LISTED_MAX * sizeof *watch->chosen);
    watch->changes = ring_create(ALLOC_APP, CHANGES_BYTES, 0);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&watch->mutex, NULL);
    pthread_cond_init(&watch->condition, &attributes);
    pthread_condattr_destroy(&attributes);
    bool good = watch->now != NULL && watch->asked != NULL && watch->source != NULL &&
                watch->chosen != NULL && watch->changes != NULL &&
                symbol_list_init(&watch->list, SYMBOLS_LISTED_MAX) == 0 && take_venues(watch);
    if (good) {
        *watch->now = *config->settings;
        *watch->asked = *config->settings;
    }
    if (!good || pthread_create(&watch->thread, NULL, watch_main, watch) != 0) {
        err_set(err, MD_ENOMEM, "no memory to watch symbols");
        watch_free(watch);
        return NULL;
    }
    return watch;
}

void symbols_watch_stop(struct symbols_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    pthread_mutex_lock(&watch->mutex);
    watch->stop = true;
    pthread_cond_signal(&watch->condition);
    pthread_mutex_unlock(&watch->mutex);
    pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->condition);
    pthread_mutex_destroy(&watch->mutex);
    watch_free(watch);
}

void symbols_watch_wake(struct symbols_watch *watch)
{
    pthread_mutex_lock(&watch->mutex);
    watch->wanted = true;
    pthread_cond_signal(&watch->condition);
    pthread_mutex_unlock(&watch->mutex);
}

void symbols_watch_take(struct symbols_watch *watch,
                        void (*on_change)(void *context, uint32_t venue, bool add,
                                          struct str symbol),
                        void *context)
{
    size_t bytes = 0;
    const char *change = NULL;
    while ((change = ring_peek(watch->changes, &bytes)) != NULL) {
        on_change(context, (uint32_t)(unsigned char)change[0], change[1] != 0,
                  str_make(change + 2, bytes - 2));
        ring_consume(watch->changes);
    }
}

void symbols_watch_take_settings(struct symbols_watch *watch,
                                 void (*on_settings)(void *context,
                                                     const struct settings *settings),
                                 void *context)
{
    pthread_mutex_lock(&watch->mutex);
    if (watch->changed) {
        watch->changed = false;
        on_settings(context, watch->now);
    }
    pthread_mutex_unlock(&watch->mutex);
}
