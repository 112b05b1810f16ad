#ifndef MD_SIM_CERT_H
#define MD_SIM_CERT_H

#include <openssl/ssl.h>

#include "base/err.h"

/* Makes a certificate authority and a server certificate of it for localhost, 127.0.0.1 and ::1,
 * both new (EC P-256, valid from yesterday for 30 days), and gives a server context that uses them.
 * The authority's certificate is written as PEM to `ca_path` (whole at once: first under another
 * name, then renamed) unless that is NULL or ""; its key is forgotten. The caller frees the
 * context. */
int sim_cert_context(const char *ca_path, SSL_CTX **out, struct err *err);

#endif
