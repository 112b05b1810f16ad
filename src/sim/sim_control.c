/* Control requests: validation in the venue's terms, with its error codes: 0 unknown property, 1
 * wrong value type, 2 invalid request, 3 invalid JSON. jansson reads them (they are rare and
 * small); nothing of a request is kept. */
#include "sim/sim_control.h"

#include <jansson.h>
#include <string.h>

static const char *const method_names[] = {"SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS",
                                           "SET_PROPERTY", "GET_PROPERTY"};
#define METHOD_COUNT 5

void sim_control_reply_null(struct buf *out, const char *id)
{
    buf_printf(out, "{\"result\":null,\"id\":%s}", id);
}

void sim_control_put_string(struct buf *out, struct str text)
{
    buf_put_char(out, '"');
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\') {
            buf_put_char(out, '\\');
            buf_put_char(out, (char)c);
        } else if (c < 0x20) {
            buf_printf(out, "\\u%04x", c);
        } else {
            buf_put_char(out, (char)c);
        }
    }
    buf_put_char(out, '"');
}

void sim_control_reply_error(struct buf *out, int code, const char *message, const char *id)
{
    buf_printf(out, "{\"code\":%d,\"msg\":", code);
    sim_control_put_string(out, str_from(message));
    buf_printf(out, ",\"id\":%s}", id);
}

static int refuse(struct buf *reply, const struct sim_control *control, int code,
                  const char *message)
{
    sim_control_reply_error(reply, code, message, control->id);
    return -1;
}

/* id: signed 64-bit integer, alphanumeric string up to 36 characters, or null. */
static bool id_read(json_t *id, struct sim_control *control)
{
    struct buf out = buf_over(control->id, SIM_CONTROL_ID_BYTES);
    if (json_is_integer(id)) {
        buf_put_i64(&out, json_integer_value(id));
    } else if (json_is_string(id)) {
        struct str text = str_make(json_string_value(id), json_string_length(id));
        bool alphanumeric = text.bytes <= 36;
        for (size_t i = 0; i < text.bytes && alphanumeric; i++) {
            char c = text.data[i];
            alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                           (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
        }
        if (!alphanumeric) {
            return false;
        }
        sim_control_put_string(&out, text);
    } else if (id == NULL || json_is_null(id)) {
        buf_put(&out, "null", 4);
    } else {
        return false;
    }
    control->id[out.bytes] = 0;
    return true;
}

static int method_read(json_t *root, struct sim_control *control, struct buf *reply)
{
    json_t *method = json_object_get(root, "method");
    if (method == NULL) {
        return refuse(reply, control, 2, "Invalid request: missing field `method`");
    }
    if (!json_is_string(method)) {
        return refuse(reply, control, 2, "Invalid request: method must be a string");
    }
    for (int i = 0; i < METHOD_COUNT; i++) {
        if (strcmp(json_string_value(method), method_names[i]) == 0) {
            control->method = (enum sim_method)i;
            return 0;
        }
    }
    return refuse(reply, control, 2,
                  "Invalid request: unknown variant, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, "
                  "`LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`");
}

static int keys_check(json_t *root, struct sim_control *control, struct buf *reply)
{
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value)
    {
        if (strcmp(key, "method") != 0 && strcmp(key, "params") != 0 && strcmp(key, "id") != 0) {
            return refuse(reply, control, 2, "Invalid request: unknown field");
        }
    }
    return 0;
}

static int streams_read(json_t *params, struct sim_control *control, struct buf *reply,
                        void (*on_stream)(void *context, struct str name), void *context)
{
    if (!json_is_array(params) || json_array_size(params) == 0) {
        return refuse(reply, control, 2, "Invalid request: params must be an array of streams");
    }
    size_t i;
    json_t *name;
    json_array_foreach(params, i, name)
    {
        if (!json_is_string(name)) {
            return refuse(reply, control, 2, "Invalid request: a stream name must be a string");
        }
    }
    json_array_foreach(params, i, name)
    {
        on_stream(context, str_make(json_string_value(name), json_string_length(name)));
    }
    return 0;
}

static int property_read(json_t *params, struct sim_control *control, struct buf *reply)
{
    size_t expected = control->method == SIM_SET_PROPERTY ? 2 : 1;
    if (!json_is_array(params) || json_array_size(params) != expected) {
        return refuse(reply, control, 2, "Invalid request: wrong number of params");
    }
    json_t *name = json_array_get(params, 0);
    if (!json_is_string(name)) {
        return refuse(reply, control, 2, "Invalid request: property name must be a string");
    }
    if (strcmp(json_string_value(name), "combined") != 0) {
        return refuse(reply, control, 0, "Unknown property");
    }
    if (control->method == SIM_SET_PROPERTY) {
        json_t *value = json_array_get(params, 1);
        if (!json_is_boolean(value)) {
            return refuse(reply, control, 1, "Invalid value type: expected Boolean");
        }
        control->property_value = json_is_true(value);
    }
    return 0;
}

static int root_read(json_t *root, struct sim_control *control, struct buf *reply,
                     void (*on_stream)(void *context, struct str name), void *context)
{
    if (!json_is_object(root)) {
        return refuse(reply, control, 2, "Invalid request: expected an object");
    }
    if (!id_read(json_object_get(root, "id"), control)) {
        strcpy(control->id, "null");
        return refuse(reply, control, 2,
                      "Invalid request: request ID must be an integer, a string or null");
    }
    if (method_read(root, control, reply) != 0 || keys_check(root, control, reply) != 0) {
        return -1;
    }
    json_t *params = json_object_get(root, "params");
    if (control->method == SIM_LIST_SUBSCRIPTIONS) {
        return params == NULL || (json_is_array(params) && json_array_size(params) == 0)
                   ? 0
                   : refuse(reply, control, 2, "Invalid request: unknown field `params`");
    }
    if (params == NULL) {
        return refuse(reply, control, 2, "Invalid request: missing field `params`");
    }
    if (control->method == SIM_SUBSCRIBE || control->method == SIM_UNSUBSCRIBE) {
        return streams_read(params, control, reply, on_stream, context);
    }
    return property_read(params, control, reply);
}

int sim_control_parse(struct str text, struct sim_control *control, struct buf *reply,
                      void (*on_stream)(void *context, struct str name), void *context)
{
    memset(control, 0, sizeof *control);
    strcpy(control->id, "null");
    json_error_t error;
    json_t *root = text.bytes == 0 ? NULL
                                   : json_loadb(text.data, text.bytes,
                                                JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (root == NULL) {
        return refuse(reply, control, 3, "Invalid JSON: not a JSON text");
    }
    int result = root_read(root, control, reply, on_stream, context);
    json_decref(root);
    return result;
}
