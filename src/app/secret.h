#ifndef MD_APP_SECRET_H
#define MD_APP_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* The program's secrets: the API key of Binance's binary feed and the token of the page. Each comes
 * from a file of the owner's alone, from systemd (LoadCredential=NAME:PATH) or from the
 * environment, in this order; never from the command line. It stands in one place, is never
 * printed, logged or journaled, and once one is read the process leaves no core dump and cannot be
 * traced by others. */

#define API_KEY_VARIABLE "MARKET_DATA_BINANCE_API_KEY"

struct secret_source {
    const char *setting;    /* names the file in errors: "binance.api_key_file" */
    const char *path;       /* the setting's value; "" = not set */
    const char *credential; /* file name below $CREDENTIALS_DIRECTORY */
    const char *variable;   /* of the environment */
    size_t bytes_min;
    bool once; /* the variable is overwritten and taken out of the environment */
};
extern const struct secret_source secret_api_key; /* its path is to be set */

/* Reads it into `out`, "" when there is none. MD_EINVAL: others may read the file, or it is not one
 * line of at least bytes_min printable characters; the words never repeat it. Main thread. */
int secret_read(const struct secret_source *source, char *out, size_t capacity, struct err *err);

#endif
