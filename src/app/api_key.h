#ifndef MD_APP_API_KEY_H
#define MD_APP_API_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* The one secret of the program. It comes from a file of the owner's alone, from systemd
 * (LoadCredential=binance-api-key:PATH) or from the environment, in this order; never from the
 * command line. It stands in one place, is never printed, logged or journaled, and once it is read
 * the process leaves no core dump and cannot be traced by others. */

#define API_KEY_VARIABLE "MARKET_DATA_BINANCE_API_KEY"
#define API_KEY_CREDENTIAL "binance-api-key" /* below $CREDENTIALS_DIRECTORY */

/* Reads it into `out`. `path` is binance.api_key_file, "" = not set. MD_EINVAL: there is none,
 * others may read the file, or it is not one line of printable characters; the words never repeat
 * it. Takes the variable out of the environment. Before threads start. */
int api_key_read(const char *path, char *out, size_t capacity, struct err *err);

#endif
