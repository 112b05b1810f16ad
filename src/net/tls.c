/* TLS contexts, connections and their BIO. A certificate that does not verify ends the handshake,
 * always; the verification callback only notes why, in words for the operator. Memory is OpenSSL's,
 * on ALLOC_LIB_TLS. */
#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- BIO */

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

/* ---- verification */

/* A name out of a certificate is outside input: printable, at most 60 bytes. */
static void name_show(char *out, size_t capacity, const X509_NAME *name)
{
    char text[128] = "";
    X509_NAME_oneline(name, text, sizeof text);
    size_t bytes = strlen(text);
    str_printable(out, capacity, text, bytes < 60 ? bytes : 60);
}

static void time_show(char *out, size_t capacity, const ASN1_TIME *time)
{
    struct tm tm = {0};
    struct buf text = buf_over(out, capacity - 1);
    if (ASN1_TIME_to_tm(time, &tm) == 1) {
        buf_printf(&text, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
    }
    out[text.bytes] = 0;
}

static void words_note(struct buf *words, int verdict, const X509 *certificate)
{
    char text[96] = "";
    switch (verdict) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        time_show(text, sizeof text, X509_get0_notAfter(certificate));
        buf_printf(words, "it expired on %s (if that day lies ahead, set this machine's clock)",
                   text);
        return;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        time_show(text, sizeof text, X509_get0_notBefore(certificate));
        buf_printf(words, "it is valid from %s only (check this machine's clock)", text);
        return;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        name_show(text, sizeof text, X509_get_subject_name(certificate));
        buf_printf(words, "it is for another host (%s); check the URL", text);
        return;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        buf_printf(words, "it is self-signed; if it is your own, set net.ca_file to it");
        return;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        name_show(text, sizeof text, X509_get_issuer_name(certificate));
        buf_printf(words,
                   "its issuer (%s) is not known here; install the package ca-certificates, or "
                   "set net.ca_file to that issuer's certificate",
                   text);
        return;
    default:
        buf_printf(words, "%s; if it is your own, set net.ca_file",
                   X509_verify_cert_error_string(verdict));
    }
}

/* Notes the first reason; never changes the verdict. */
static int on_verify(int good, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_input *input = ssl != NULL ? SSL_get_app_data(ssl) : NULL;
    const X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    if (good || input == NULL || input->words[0] != 0) {
        return good;
    }
    struct buf words = buf_over(input->words, sizeof input->words - 1);
    if (certificate != NULL) {
        words_note(&words, X509_STORE_CTX_get_error(store), certificate);
    }
    if (words.bytes == 0) {
        buf_printf(&words, "it could not be verified");
    }
    input->words[words.bytes] = 0;
    return 0;
}

/* ---- context and connection */

static const char *library_words(void)
{
    const char *words = ERR_reason_error_string(ERR_peek_last_error());
    return words != NULL ? words : "no reason given";
}

static bool store_load(SSL_CTX *context, const char *ca_file, struct err *err)
{
    if (ca_file == NULL || ca_file[0] == 0) {
        if (SSL_CTX_set_default_verify_paths(context) == 1) {
            return true;
        }
        err_set(err, MD_ECERT, "the system's certificates could not be read: %s", library_words());
        return false;
    }
    if (access(ca_file, R_OK) != 0) {
        err_set(err, MD_ECERT, "net.ca_file: %s: %s", ca_file, strerror(errno));
        return false;
    }
    if (SSL_CTX_load_verify_locations(context, ca_file, NULL) != 1) {
        err_set(err, MD_ECERT, "net.ca_file: %s: holds no certificate in PEM form (%s)", ca_file,
                library_words());
        return false;
    }
    return true;
}

SSL_CTX *tls_context_create(const char *ca_file, struct err *err)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) {
        err_set(err, MD_ENOMEM, "TLS: %s", library_words());
        return NULL;
    }
    /* no renegotiation: SSL_read() then never has to write, so a read is always taken whole */
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, on_verify);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* our requests are small: 4 KiB of write buffer a connection instead of 16 */
    if (SSL_CTX_set_max_send_fragment(context, 4096) != 1 ||
        SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        !store_load(context, ca_file, err)) {
        SSL_CTX_free(context);
        ERR_clear_error();
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

/* The certificate must be for this name or address. */
static bool expect_host(SSL *ssl, char *name) /* not const: an OpenSSL macro casts it away */
{
    X509_VERIFY_PARAM *verify = SSL_get0_param(ssl);
    if (is_address(name)) {
        return X509_VERIFY_PARAM_set1_ip_asc(verify, name) == 1;
    }
    X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(verify, name, 0) == 1 &&
           SSL_set_tlsext_host_name(ssl, name) == 1;
}

SSL *tls_connection_create(SSL_CTX *context, struct str host, struct tls_input *input,
                           struct err *err)
{
    char name[254];
    if (host.bytes == 0 || host.bytes >= sizeof name) {
        err_set(err, MD_EINVAL, "TLS: host name missing or too long");
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
    input->words[0] = 0;
    BIO_set_data(bio, input);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    if (SSL_set_app_data(ssl, input) != 1 || !expect_host(ssl, name)) {
        SSL_free(ssl);
        err_set(err, MD_EINVAL, "TLS: %s is no usable host name", name);
        return NULL;
    }
    SSL_set_connect_state(ssl);
    return ssl;
}

int tls_failure(const struct tls_input *input, struct str host, struct err *err)
{
    int code = MD_ETLS;
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    if (input->words[0] != 0) {
        code = err_set(err, MD_ECERT, "certificate of %.*s refused: %s", (int)host.bytes, host.data,
                       input->words);
    } else if (reason == SSL_R_WRONG_VERSION_NUMBER) {
        err_set(err, code, "%.*s does not talk TLS on this port; check the URL", (int)host.bytes,
                host.data);
    } else if (reason == SSL_R_UNSUPPORTED_PROTOCOL ||
               reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION) {
        err_set(err, code, "%.*s offers no TLS 1.2 or later", (int)host.bytes, host.data);
    } else {
        err_set(err, code, "TLS with %.*s failed: %s", (int)host.bytes, host.data, library_words());
    }
    ERR_clear_error();
    return code;
}
