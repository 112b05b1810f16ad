#ifndef MD_NET_TLS_H
#define MD_NET_TLS_H

#include <openssl/ssl.h>

#include "base/err.h"
#include "base/str.h"

/* Client TLS by OpenSSL 3 over a BIO of our own: the bytes of one socket read, kept in a buffer
 * that all connections share, are handed to OpenSSL record by record, so that one recv() feeds
 * many. */

#define TLS_WORDS_BYTES 256

struct tls_input { /* what the BIO reads from; set before each SSL_read() or SSL_do_handshake() */
    int fd;        /* what it writes to */
    const uint8_t *data;
    size_t bytes;
    char words[TLS_WORDS_BYTES]; /* why the certificate was refused, "" if it was not */
};

/* Verification on, TLS 1.2 or later, system store or `ca_file` (NULL or "": the system's). NULL:
 * err says (MD_ECERT: the file; MD_ENOMEM). */
SSL_CTX *tls_context_create(const char *ca_file, struct err *err);
/* One connection, ready for SSL_do_handshake(); `input` is borrowed for its life. SNI for names;
 * the certificate must be for this host name or address. NULL: MD_ENOMEM or MD_EINVAL, err says. */
SSL *tls_connection_create(SSL_CTX *context, struct str host, struct tls_input *input,
                           struct err *err);
/* After a failure: MD_ECERT when the certificate was refused, else MD_ETLS; the words say why and
 * what helps. Clears OpenSSL's queue of errors. */
int tls_failure(const struct tls_input *input, struct str host, struct err *err);

#endif
