/* TLS contexts, connections and their BIO. Memory is OpenSSL's, on ALLOC_LIB_TLS. */
#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

static int bio_read(BIO *bio, char *out, int bytes)
{
    struct tls_input *input = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (input->bytes == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = (size_t)bytes < input->bytes ? (size_t)bytes : input->bytes;
    memcpy(out, input->data, n);
    input->data += n;
    input->bytes -= n;
    return (int)n;
}

static int bio_write(BIO *bio, const char *data, int bytes)
{
    const struct tls_input *input = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n = send(input->fd, data, (size_t)bytes, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_write(bio);
    }
    return (int)n;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

/* Made once for all connections; lives as long as the program. */
static BIO_METHOD *bio_method(void)
{
    static BIO_METHOD *method;
    if (method == NULL) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "shared receive buffer");
        if (method != NULL) {
            BIO_meth_set_read(method, bio_read);
            BIO_meth_set_write(method, bio_write);
            BIO_meth_set_ctrl(method, bio_control);
        }
    }
    return method;
}

static const char *library_words(void)
{
    const char *words = ERR_reason_error_string(ERR_peek_last_error());
    return words != NULL ? words : "unknown reason";
}

SSL_CTX *tls_context_create(const char *ca_file, struct err *err)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) {
        err_set(err, MD_ENOMEM, "TLS: %s", library_words());
        return NULL;
    }
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    bool own = ca_file != NULL && ca_file[0] != 0;
    int loaded = own ? SSL_CTX_load_verify_locations(context, ca_file, NULL)
                     : SSL_CTX_set_default_verify_paths(context);
    if (loaded != 1) {
        err_set(err, MD_ECERT, "net.ca_file: %s: no certificates could be read: %s",
                own ? ca_file : "the system's store", library_words());
        SSL_CTX_free(context);
        return NULL;
    }
    ERR_clear_error();
    return context;
}

static bool is_address(const char *host)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

SSL *tls_connection_create(SSL_CTX *context, struct str host, struct tls_input *input,
                           struct err *err)
{
    char name[254];
    if (host.bytes >= sizeof name) {
        err_set(err, MD_EINVAL, "host name too long");
        return NULL;
    }
    memcpy(name, host.data, host.bytes);
    name[host.bytes] = 0;
    SSL *ssl = SSL_new(context);
    BIO *bio = ssl != NULL && bio_method() != NULL ? BIO_new(bio_method()) : NULL;
    if (bio == NULL) {
        SSL_free(ssl);
        err_set(err, MD_ENOMEM, "TLS: no memory for a connection");
        return NULL;
    }
    BIO_set_data(bio, input);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    X509_VERIFY_PARAM *verify = SSL_get0_param(ssl);
    int checked = 0;
    if (is_address(name)) {
        checked = X509_VERIFY_PARAM_set1_ip_asc(verify, name);
    } else {
        X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        checked = X509_VERIFY_PARAM_set1_host(verify, name, 0) == 1 &&
                  SSL_set_tlsext_host_name(ssl, name) == 1;
    }
    if (!checked) {
        SSL_free(ssl);
        err_set(err, MD_EINVAL, "TLS: %s is no usable host name", name);
        return NULL;
    }
    SSL_set_connect_state(ssl);
    return ssl;
}

int tls_failure(SSL *ssl, struct str host, struct err *err)
{
    long verdict = SSL_get_verify_result(ssl);
    int code = MD_ETLS;
    if (verdict != X509_V_OK) {
        code = err_set(err, MD_ECERT,
                       "%.*s: certificate refused: %s; if this is your own proxy or simulator, set "
                       "net.ca_file to its CA",
                       (int)host.bytes, host.data, X509_verify_cert_error_string(verdict));
    } else {
        err_set(err, code, "%.*s: TLS handshake failed: %s", (int)host.bytes, host.data,
                library_words());
    }
    ERR_clear_error();
    return code;
}
