/* The fault script: parsing and deciding. No clock, no socket; at most 64 rules, one array. */
#include "sim/sim_faults.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "sim/model.h"

static const struct {
    const char *word;
    char on;
} actions[] = {
#define X(action, word, on) {word, on},
    SIM_FAULT_LIST(X)
#undef X
};
_Static_assert(sizeof actions / sizeof actions[0] == SIM_FAULT_COUNT, "one row per fault");

const char *sim_fault_name(enum sim_fault fault)
{
    ASSERT(fault < SIM_FAULT_COUNT);
    return actions[fault].word;
}

/* ---- parsing: a line as words */

#define WORDS_MAX 16
struct words {
    struct str word[WORDS_MAX];
    uint32_t count;
    uint32_t at;
    uint32_t line;
    struct err *err;
};

static int bad(const struct words *words, const char *what)
{
    return err_set(words->err, MD_EPARSE, "fault script: line %u: %s", words->line, what);
}

static struct str word_peek(const struct words *words)
{
    return words->at < words->count ? words->word[words->at] : STR("");
}

static bool word_take(struct words *words, const char *expected)
{
    if (words->at < words->count && str_equal(words->word[words->at], str_from(expected))) {
        words->at++;
        return true;
    }
    return false;
}

static bool digits_read(struct str word, size_t *at, int64_t *value)
{
    size_t from = *at;
    *value = 0;
    while (*at < word.bytes && word.data[*at] >= '0' && word.data[*at] <= '9' && *at - from < 12) {
        *value = *value * 10 + (word.data[(*at)++] - '0');
    }
    return *at > from;
}

static bool word_number(struct words *words, int64_t *value)
{
    struct str word = word_peek(words);
    size_t at = 0;
    if (!digits_read(word, &at, value) || at != word.bytes) {
        return false;
    }
    words->at++;
    return true;
}

/* 250ms, 2.5s, 3m, 1h */
static bool word_time(struct words *words, int64_t *value_ns)
{
    struct str word = word_peek(words);
    size_t at = 0;
    int64_t whole;
    int64_t thousandths = 0;
    if (!digits_read(word, &at, &whole) || whole > 1000000) {
        return false;
    }
    if (at < word.bytes && word.data[at] == '.') {
        int64_t place = 100;
        for (at++; at < word.bytes && word.data[at] >= '0' && word.data[at] <= '9'; at++) {
            thousandths += place * (word.data[at] - '0');
            place /= 10;
        }
    }
    struct str unit = str_make(word.data + at, word.bytes - at);
    int64_t unit_ns = str_equal(unit, STR("ms"))  ? NS_PER_MS
                      : str_equal(unit, STR("s")) ? NS_PER_S
                      : str_equal(unit, STR("m")) ? 60 * NS_PER_S
                      : str_equal(unit, STR("h")) ? NS_PER_HOUR
                                                  : 0;
    if (unit_ns == 0) {
        return false;
    }
    *value_ns = whole * unit_ns + thousandths * (unit_ns / 1000);
    words->at++;
    return true;
}

static bool word_text(struct words *words, char *out, size_t capacity)
{
    struct str word = word_peek(words);
    if (word.bytes == 0 || word.bytes >= capacity) {
        return false;
    }
    memcpy(out, word.data, word.bytes);
    out[word.bytes] = 0;
    words->at++;
    return true;
}

static int clauses_parse(struct words *words, struct sim_fault_rule *rule)
{
    for (;;) {
        if (word_take(words, "at")) {
            rule->trigger = SIM_TRIGGER_AT;
            if (!word_time(words, &rule->value)) {
                return bad(words, "at: expected a time such as 2.5s");
            }
        } else if (word_take(words, "after")) {
            rule->trigger = SIM_TRIGGER_AFTER;
            if (!word_time(words, &rule->value)) {
                return bad(words, "after: expected a time such as 2.5s");
            }
        } else if (word_take(words, "every")) {
            rule->trigger = SIM_TRIGGER_EVERY;
            if (word_number(words, &rule->value)) {
                rule->trigger = SIM_TRIGGER_NTH;
            } else if (!word_time(words, &rule->value)) {
                return bad(words, "every: expected a count such as 100 or a time such as 5s");
            }
            if (rule->value == 0) {
                return bad(words, "every: expected more than 0");
            }
        } else if (word_take(words, "from")) {
            if (!word_time(words, &rule->from_ns)) {
                return bad(words, "from: expected a time such as 2.5s");
            }
        } else if (word_take(words, "until")) {
            if (!word_time(words, &rule->until_ns)) {
                return bad(words, "until: expected a time such as 2.5s");
            }
        } else if (word_take(words, "conn")) {
            int64_t number = 0;
            if (!word_take(words, "*") && (!word_number(words, &number) || number > UINT32_MAX)) {
                return bad(words, "conn: expected * or the connection's number, from 1");
            }
            rule->conn = (uint32_t)number;
        } else {
            return 0;
        }
    }
}

static int action_parse(struct words *words, struct sim_fault_rule *rule)
{
    struct str word = word_peek(words);
    for (int i = 0; i < SIM_FAULT_COUNT; i++) {
        if (str_equal(word, str_from(actions[i].word))) {
            rule->fault = (enum sim_fault)i;
            words->at++;
            return 0;
        }
    }
    char text[160];
    snprintf(text, sizeof text, "unknown action \"%.*s\"", (int)(word.bytes > 40 ? 40 : word.bytes),
             word.data);
    return bad(words, text);
}

static int ack_parse(struct words *words, struct sim_fault_rule *rule)
{
    rule->number = word_take(words, "none")       ? SIM_ACK_NONE
                   : word_take(words, "error")    ? SIM_ACK_ERROR
                   : word_take(words, "wrong_id") ? SIM_ACK_WRONG_ID
                                                  : -1;
    return rule->number < 0 ? bad(words, "ack: expected none, error or wrong_id") : 0;
}

static int number_parse(struct words *words, struct sim_fault_rule *rule, int64_t from, int64_t to,
                        const char *what)
{
    if (!word_number(words, &rule->number) || rule->number < from || rule->number > to) {
        return bad(words, what);
    }
    return 0;
}

/* What follows the action's word. */
static int arguments_parse(struct words *words, struct sim_fault_rule *rule)
{
    switch (rule->fault) {
    case SIM_FAULT_CLOSE:
        return number_parse(words, rule, 1000, 4999, "close: expected a code, 1000 to 4999");
    case SIM_FAULT_SLOW:
        return number_parse(words, rule, 1, 1000000000, "slow: expected bytes a second");
    case SIM_FAULT_SPLIT:
        return number_parse(words, rule, 1, 16384, "split: expected bytes a write, 1 to 16384");
    case SIM_FAULT_REST_STATUS:
        return number_parse(words, rule, 400, 599, "rest_status: expected a status, 400 to 599");
    case SIM_FAULT_SILENCE:
        return word_time(words, &rule->for_ns) ? 0 : bad(words, "silence: expected a time");
    case SIM_FAULT_REST_LAG:
    case SIM_FAULT_REST_DELAY:
        return word_time(words, &rule->time_ns) ? 0 : bad(words, "expected a time such as 500ms");
    case SIM_FAULT_ACK:
        return ack_parse(words, rule);
    case SIM_FAULT_RESET:
    case SIM_FAULT_FIN:
    case SIM_FAULT_EOF:
        if (word_take(words, "sweep")) {
            rule->sweep = true;
        } else if (word_take(words, "bytes")) {
            return number_parse(words, rule, 0, 1000000, "bytes: expected a count");
        }
        return 0;
    case SIM_FAULT_LIST:
    case SIM_FAULT_DELIST:
        return word_text(words, rule->symbol, sizeof rule->symbol)
                   ? 0
                   : bad(words, "list, delist: expected a symbol");
    case SIM_FAULT_DROP:
    case SIM_FAULT_DUP:
    case SIM_FAULT_SWAP:
    case SIM_FAULT_CORRUPT:
    case SIM_FAULT_FALSIFY:
    case SIM_FAULT_SHUTDOWN:
    case SIM_FAULT_HALF_OPEN:
    case SIM_FAULT_REST_RESET:
    case SIM_FAULT_MUTE:
    case SIM_FAULT_COUNT:
        break;
    }
    return 0;
}

static bool reserved_word(struct str word)
{
    static const char *const reserved[] = {"for", "from", "until", "conn", "every", "at", "after"};
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (str_equal(word, str_from(reserved[i]))) {
            return true;
        }
    }
    return word.bytes == 0;
}

/* Which streams, which path: up to two words. */
static int filter_parse(struct words *words, struct sim_fault_rule *rule)
{
    char on = actions[rule->fault].on;
    if ((on == 'm' || on == 'u') && !reserved_word(word_peek(words))) {
        if (!word_take(words, "*") && !word_text(words, rule->group, sizeof rule->group)) {
            return bad(words, "the stream's name is too long");
        }
        if (!reserved_word(word_peek(words)) && !word_take(words, "*") &&
            !word_text(words, rule->symbol, sizeof rule->symbol)) {
            return bad(words, "the symbol's name is too long");
        }
    } else if (on == 'r' && !reserved_word(word_peek(words)) && !word_take(words, "*") &&
               !word_text(words, rule->path, sizeof rule->path)) {
        return bad(words, "the path is too long");
    }
    return 0;
}

static int rule_check(const struct words *words, const struct sim_fault_rule *rule)
{
    char on = actions[rule->fault].on;
    if (rule->trigger == SIM_TRIGGER_NTH && on == 'c') {
        return bad(words, "a fault of connections cannot come every N messages, only every T");
    }
    if ((rule->trigger == SIM_TRIGGER_EVERY || rule->trigger == SIM_TRIGGER_AFTER) && on != 'c') {
        return bad(words, "only faults of connections can come every T or after T");
    }
    if ((on == 's' || on == 'u') && rule->trigger != SIM_TRIGGER_AT) {
        return bad(words, "list, delist, mute: only at T");
    }
    if (rule->conn != 0 && on != 'c') {
        return bad(words, "only faults of connections can name one");
    }
    return 0;
}

static int rule_parse(struct words *words, struct sim_fault_rule *rule)
{
    memset(rule, 0, sizeof *rule);
    rule->line = words->line;
    rule->number = -1;
    rule->for_ns = INT64_MAX;
    rule->until_ns = INT64_MAX;
    int result = clauses_parse(words, rule);
    result = result == 0 ? action_parse(words, rule) : result;
    result = result == 0 ? arguments_parse(words, rule) : result;
    result = result == 0 ? filter_parse(words, rule) : result;
    if (result == 0 && word_take(words, "for") && !word_time(words, &rule->for_ns)) {
        result = bad(words, "for: expected a time such as 3s");
    }
    result = result == 0 ? clauses_parse(words, rule) : result;
    if (result == 0 && words->at < words->count) {
        result = bad(words, "words after the end of the rule");
    }
    rule->next_ns = rule->value;
    return result == 0 ? rule_check(words, rule) : result;
}

static int words_split(struct str line, struct words *words)
{
    words->count = words->at = 0;
    size_t i = 0;
    while (i < line.bytes) {
        if (line.data[i] == '#') {
            return 0;
        }
        if (line.data[i] == ' ' || line.data[i] == '\t' || line.data[i] == '\r') {
            i++;
            continue;
        }
        size_t from = i;
        while (i < line.bytes && line.data[i] != ' ' && line.data[i] != '\t' &&
               line.data[i] != '\r') {
            i++;
        }
        if (words->count == WORDS_MAX) {
            return bad(words, "too many words");
        }
        words->word[words->count++] = str_make(line.data + from, i - from);
    }
    return 0;
}

int sim_faults_parse(struct sim_faults *faults, struct str script, uint64_t seed, struct err *err)
{
    memset(faults, 0, sizeof *faults);
    faults->seed = seed;
    struct words words = {.err = err};
    size_t at = 0;
    while (at < script.bytes) {
        /* Rules end with the line or, on a command line, with ';'. */
        size_t end = at;
        while (end < script.bytes && script.data[end] != '\n' && script.data[end] != ';') {
            end++;
        }
        words.line++;
        int result = words_split(str_make(script.data + at, end - at), &words);
        at = end + 1;
        if (result != 0) {
            return result;
        }
        if (words.count == 0) {
            continue;
        }
        if (faults->count == SIM_FAULT_RULES_MAX) {
            return err_set(err, MD_EFULL, "fault script: line %u: more than %d rules", words.line,
                           SIM_FAULT_RULES_MAX);
        }
        struct sim_fault_rule *rule = &faults->rules[faults->count];
        result = rule_parse(&words, rule);
        if (result != 0) {
            return result;
        }
        faults->count++;
        faults->any_message |= actions[rule->fault].on == 'm';
    }
    return 0;
}

/* ---- deciding */

static bool alive(const struct sim_fault_rule *rule, int64_t since_start_ns)
{
    return since_start_ns >= rule->from_ns && since_start_ns < rule->until_ns;
}

static bool lasts(const struct sim_fault_rule *rule, int64_t since_start_ns)
{
    return rule->for_ns == INT64_MAX || since_start_ns - rule->value < rule->for_ns;
}

static bool message_hit(const struct sim_faults *faults, const struct sim_fault_rule *rule,
                        int64_t index, int64_t since_start_ns)
{
    if (rule->trigger == SIM_TRIGGER_NTH) {
        uint64_t place = model_mix(faults->seed, rule->line) % (uint64_t)rule->value;
        return (uint64_t)index % (uint64_t)rule->value == place;
    }
    if (rule->trigger == SIM_TRIGGER_AT) {
        /* Once, or all of them while it lasts. */
        bool once = rule->for_ns == INT64_MAX;
        return since_start_ns >= rule->value &&
               (once ? rule->hits == 0 : lasts(rule, since_start_ns));
    }
    return rule->trigger == SIM_TRIGGER_ALWAYS;
}

bool sim_faults_names(const struct sim_fault_rule *rule, const char *group, const char *symbol)
{
    return (rule->group[0] == 0 || strcmp(rule->group, group) == 0) &&
           (rule->symbol[0] == 0 || strcmp(rule->symbol, symbol) == 0);
}

struct sim_fault_rule *sim_faults_message(struct sim_faults *faults, const char *group,
                                          const char *symbol, int64_t index, int64_t since_start_ns)
{
    for (uint32_t i = 0; i < faults->count; i++) {
        struct sim_fault_rule *rule = &faults->rules[i];
        if (actions[rule->fault].on == 'm' && alive(rule, since_start_ns) &&
            sim_faults_names(rule, group, symbol) &&
            message_hit(faults, rule, index, since_start_ns)) {
            return rule;
        }
    }
    return NULL;
}

bool sim_faults_is_conn(const struct sim_fault_rule *rule)
{
    return actions[rule->fault].on == 'c';
}

bool sim_faults_due(struct sim_fault_rule *rule, int64_t since_start_ns)
{
    bool timed = rule->trigger == SIM_TRIGGER_AT || rule->trigger == SIM_TRIGGER_EVERY;
    if (!timed || since_start_ns < rule->next_ns || !alive(rule, since_start_ns)) {
        return false;
    }
    rule->next_ns = rule->trigger == SIM_TRIGGER_EVERY ? rule->next_ns + rule->value : INT64_MAX;
    return true;
}

bool sim_faults_applies(const struct sim_fault_rule *rule, uint32_t conn, int64_t age_ns,
                        int64_t since_start_ns)
{
    if (rule->conn != 0 && rule->conn != conn) {
        return false;
    }
    if (!alive(rule, since_start_ns)) {
        return false;
    }
    return rule->trigger == SIM_TRIGGER_ALWAYS ||
           (rule->trigger == SIM_TRIGGER_AFTER && age_ns >= rule->value);
}

static bool path_matches(const struct sim_fault_rule *rule, struct str path)
{
    size_t n = strlen(rule->path);
    return n == 0 ||
           (path.bytes >= n && memcmp(path.data + path.bytes - n, rule->path, n) == 0 &&
            (path.bytes == n || path.data[path.bytes - n - 1] == '/' || rule->path[0] == '/'));
}

struct sim_fault_rule *sim_faults_request(struct sim_faults *faults, enum sim_fault fault,
                                          struct str path, int64_t since_start_ns)
{
    for (uint32_t i = 0; i < faults->count; i++) {
        struct sim_fault_rule *rule = &faults->rules[i];
        if (rule->fault != fault || !alive(rule, since_start_ns) || !path_matches(rule, path)) {
            continue;
        }
        rule->seen++;
        bool hit = rule->trigger == SIM_TRIGGER_ALWAYS &&
                   (rule->for_ns == INT64_MAX || since_start_ns < rule->for_ns);
        if (rule->trigger == SIM_TRIGGER_NTH) {
            hit = rule->seen % (uint64_t)rule->value == 0;
        } else if (rule->trigger == SIM_TRIGGER_AT) {
            bool once = rule->for_ns == INT64_MAX;
            hit = since_start_ns >= rule->value &&
                  (once ? rule->hits == 0 : lasts(rule, since_start_ns));
        }
        if (hit) {
            return rule;
        }
    }
    return NULL;
}

void sim_faults_count(struct sim_faults *faults, struct sim_fault_rule *rule)
{
    rule->hits++;
    faults->injected[rule->fault]++;
}
