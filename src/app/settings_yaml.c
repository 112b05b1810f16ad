/* The YAML file: sections of scalars and sequences of scalars, read event by event from libyaml so
 * that every refusal can name its line. The settings table is the only schema (libcyaml would need
 * a second one beside it, and reports neither ranges nor the nearest right key). Runs before the
 * seal; libyaml frees what it took. */
#include "app/settings.h"

#include <errno.h>
#include <stdio.h>
#include <yaml.h>

struct reader {
    struct settings *settings;
    yaml_parser_t parser;
    const char *path;
    struct err *err;
    char section[64]; /* "" at the top */
    char key[128];
    char list[65536];
    size_t list_bytes;
};

static int refuse_at(struct reader *reader, const yaml_event_t *event, int code)
{
    char why[512];
    snprintf(why, sizeof why, "%s", reader->err->text);
    return err_set(reader->err, code, "%s:%zu: %s", reader->path, event->start_mark.line + 1, why);
}

static int next(struct reader *reader, yaml_event_t *event)
{
    if (yaml_parser_parse(&reader->parser, event)) {
        return 0;
    }
    return err_set(reader->err, MD_EPARSE, "%s:%zu: not YAML: %s", reader->path,
                   reader->parser.problem_mark.line + 1,
                   reader->parser.problem != NULL ? reader->parser.problem : "unreadable");
}

static int set(struct reader *reader, const yaml_event_t *event, struct str value)
{
    char name[200];
    int n = reader->section[0] != 0
                ? snprintf(name, sizeof name, "%s.%s", reader->section, reader->key)
                : snprintf(name, sizeof name, "%s", reader->key);
    int code = settings_set(reader->settings, str_make(name, (size_t)n), value, reader->err);
    return code == 0 ? 0 : refuse_at(reader, event, code);
}

static struct str scalar_of(const yaml_event_t *event)
{
    return str_make((const char *)event->data.scalar.value, event->data.scalar.length);
}

static int list_put(struct reader *reader, const yaml_event_t *event, char before)
{
    struct str text = scalar_of(event);
    if (reader->list_bytes + text.bytes + 2 > sizeof reader->list) {
        err_set(reader->err, MD_ETOOBIG, "%s: longer than %zu characters", reader->key,
                sizeof reader->list);
        return refuse_at(reader, event, MD_ETOOBIG);
    }
    if (reader->list_bytes > 0) {
        reader->list[reader->list_bytes++] = before;
    }
    memcpy(reader->list + reader->list_bytes, text.data, text.bytes);
    reader->list_bytes += text.bytes;
    return 0;
}

/* The pairs of a mapping inside a list, or in a list's place: `top: 50` becomes the item top:50. */
static int read_pairs(struct reader *reader)
{
    for (bool key = true;; key = !key) {
        yaml_event_t event;
        int code = next(reader, &event);
        if (code != 0) {
            return code;
        }
        bool over = event.type == YAML_MAPPING_END_EVENT;
        if (!over && event.type == YAML_SCALAR_EVENT) {
            code = list_put(reader, &event, key ? ',' : ':');
        } else if (!over) {
            err_set(reader->err, MD_EINVAL, "%s: a list of plain values is wanted", reader->key);
            code = refuse_at(reader, &event, MD_EINVAL);
        }
        yaml_event_delete(&event);
        if (over || code != 0) {
            return code;
        }
    }
}

/* A sequence: its scalars joined by commas. */
static int read_sequence(struct reader *reader, const yaml_event_t *start)
{
    reader->list_bytes = 0;
    for (;;) {
        yaml_event_t event;
        int code = next(reader, &event);
        if (code != 0) {
            return code;
        }
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return set(reader, start, str_make(reader->list, reader->list_bytes));
        }
        if (event.type == YAML_MAPPING_START_EVENT) {
            code = read_pairs(reader);
        } else if (event.type == YAML_SCALAR_EVENT) {
            code = list_put(reader, &event, ',');
        } else {
            err_set(reader->err, MD_EINVAL, "%s: a list of plain values is wanted", reader->key);
            code = refuse_at(reader, &event, MD_EINVAL);
        }
        yaml_event_delete(&event);
        if (code != 0) {
            return code;
        }
    }
}

static int read_mapping(struct reader *reader, int depth);

static int read_value(struct reader *reader, int depth)
{
    yaml_event_t event;
    int code = next(reader, &event);
    if (code != 0) {
        return code;
    }
    bool empty = event.type == YAML_SCALAR_EVENT && event.data.scalar.length == 0;
    if (empty && depth == 0 && settings_section(str_from(reader->key))) {
        code = 0; /* a section whose settings are all commented out */
    } else if (event.type == YAML_SCALAR_EVENT) {
        code = set(reader, &event, scalar_of(&event));
    } else if (event.type == YAML_SEQUENCE_START_EVENT) {
        code = read_sequence(reader, &event);
    } else if (event.type == YAML_MAPPING_START_EVENT && depth == 0 &&
               strlen(reader->key) < sizeof reader->section) {
        snprintf(reader->section, sizeof reader->section, "%.63s", reader->key);
        code = read_mapping(reader, 1);
        reader->section[0] = 0;
    } else if (event.type == YAML_MAPPING_START_EVENT && depth == 1 &&
               strcmp(reader->key, "symbols") == 0) {
        reader->list_bytes = 0;
        code = read_pairs(reader);
        code = code != 0 ? code : set(reader, &event, str_make(reader->list, reader->list_bytes));
    } else {
        err_set(reader->err, MD_EINVAL,
                "%s: a plain value, a list or (at the top) a section is wanted", reader->key);
        code = refuse_at(reader, &event, MD_EINVAL);
    }
    yaml_event_delete(&event);
    return code;
}

static int read_mapping(struct reader *reader, int depth)
{
    for (;;) {
        yaml_event_t event;
        int code = next(reader, &event);
        if (code != 0) {
            return code;
        }
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return 0;
        }
        if (event.type != YAML_SCALAR_EVENT || event.data.scalar.length >= sizeof reader->key) {
            err_set(reader->err, MD_EINVAL, "a setting's name is wanted");
            code = refuse_at(reader, &event, MD_EINVAL);
        } else {
            memcpy(reader->key, event.data.scalar.value, event.data.scalar.length);
            reader->key[event.data.scalar.length] = 0;
        }
        yaml_event_delete(&event);
        code = code != 0 ? code : read_value(reader, depth);
        if (code != 0) {
            return code;
        }
    }
}

static int read_document(struct reader *reader)
{
    for (;;) {
        yaml_event_t event;
        int code = next(reader, &event);
        if (code != 0) {
            return code;
        }
        yaml_event_type_t type = event.type;
        if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT ||
            type == YAML_ALIAS_EVENT) {
            if (type == YAML_SCALAR_EVENT && event.data.scalar.length == 0) {
                yaml_event_delete(&event); /* an empty file: all defaults */
                continue;
            }
            err_set(reader->err, MD_EINVAL, "settings are wanted as `name: value` lines");
            code = refuse_at(reader, &event, MD_EINVAL);
        } else if (type == YAML_MAPPING_START_EVENT) {
            code = read_mapping(reader, 0);
        }
        yaml_event_delete(&event);
        if (code != 0 || type == YAML_STREAM_END_EVENT) {
            return code;
        }
    }
}

int settings_load(struct settings *settings, const char *path, struct err *err)
{
    struct err local;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return err_set(err, err_from_errno(errno), "%s: %s", path, strerror(errno));
    }
    static struct reader reader; /* 64 KiB of list: not for the stack */
    memset(&reader, 0, sizeof reader);
    reader.settings = settings;
    reader.path = path;
    reader.err = err != NULL ? err : &local;
    int code = MD_ENOMEM;
    if (yaml_parser_initialize(&reader.parser)) {
        yaml_parser_set_input_file(&reader.parser, file);
        code = read_document(&reader);
        yaml_parser_delete(&reader.parser);
    }
    fclose(file);
    return code;
}
