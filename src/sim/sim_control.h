#ifndef MD_SIM_CONTROL_H
#define MD_SIM_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* WebSocket control requests of clients: {"method":..,"params":[..],"id":..}.
 * Source: exchanges/binance-spot.md section 3. */
enum sim_method {
    SIM_SUBSCRIBE,
    SIM_UNSUBSCRIBE,
    SIM_LIST_SUBSCRIPTIONS,
    SIM_SET_PROPERTY,
    SIM_GET_PROPERTY,
};

#define SIM_CONTROL_ID_BYTES 40 /* a string of 36 characters in quotes */

struct sim_control {
    enum sim_method method;
    char id[SIM_CONTROL_ID_BYTES + 1]; /* JSON text: number, "string" or null */
    bool property_value;               /* SET_PROPERTY combined */
};

/* Reads one request. Calls on_stream for each name of a SUBSCRIBE or UNSUBSCRIBE, in order, after
 * the whole request was found valid. 0, or -1 and the venue's error reply in `reply`. Uses jansson,
 * whose memory is bounded by the text's size. */
int sim_control_parse(struct str text, struct sim_control *control, struct buf *reply,
                      void (*on_stream)(void *context, struct str name), void *context);

/* {"result":null,"id":7} */
void sim_control_reply_null(struct buf *out, const char *id);
void sim_control_reply_error(struct buf *out, int code, const char *message, const char *id);
/* Appends a JSON string of any bytes, escaped. */
void sim_control_put_string(struct buf *out, struct str text);

#endif
