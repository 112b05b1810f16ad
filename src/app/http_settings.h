#ifndef MD_APP_HTTP_SETTINGS_H
#define MD_APP_HTTP_SETTINGS_H

#include "app/settings.h"
#include "watch/http_rules.h"

/* The token may stand here; it is no setting and is never shown. */
#define HTTP_TOKEN_VARIABLE "MARKET_DATA_HTTP_TOKEN"
#define HTTP_TOKEN_BYTES 200
#define HTTP_TOKEN_BYTES_MIN 16

/* http.listen, and whether it may be: an address that others reach needs a token. MD_EINVAL. */
int http_listen(const struct settings *settings, struct listen_address *out, struct err *err);
/* The token from its file or the environment, "" when there is none. The file must be its owner's
 * alone (mode 600). MD_EINVAL with words that do not hold the token. The caller wipes `out`. */
int http_token(const struct settings *settings, char out[HTTP_TOKEN_BYTES], struct err *err);

#endif
