#ifndef MD_WATCH_HTTP_RULES_H
#define MD_WATCH_HTTP_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* Who may ask: pure functions over what a request says (faults.md, section 5). */

struct listen_address {
    bool on;
    bool both; /* localhost: 127.0.0.1 and ::1 */
    bool loopback;
    bool ipv6;
    char host[64]; /* numeric, without brackets; "localhost" when both */
    uint16_t port; /* 0 = the kernel chooses */
};

/* http.listen: "localhost:9464", "127.0.0.1:0", "[::1]:9464", "0.0.0.0:9464"; "off" or "" = off.
 * MD_EINVAL with words. */
int listen_parse(struct str text, struct listen_address *out, struct err *err);

/* The Host header's name: this machine's loopback names, the address listened on, or one of
 * `allowed` (comma-separated names, without ports). So a page of another origin whose name was
 * bent to 127.0.0.1 is refused. */
bool host_allowed(struct str host, const struct listen_address *listen, struct str allowed);

/* Authorization: "Bearer TOKEN", or "Basic" with the token as password (a browser asks for it).
 * The time it takes does not depend on where they differ. */
bool token_given(struct str authorization, struct str token);

#endif
