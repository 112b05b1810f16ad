/* Certificates for a server that lives for one run: clients verify for real, against an authority
 * made now and never used again. Cold path: once at start. */
#include "sim/sim_cert.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VALID_SECONDS (30L * 86400)

struct issuer {
    EVP_PKEY *key;
    X509 *cert;
};

static void issuer_deinit(struct issuer *issuer)
{
    X509_free(issuer->cert);
    EVP_PKEY_free(issuer->key);
    *issuer = (struct issuer){0};
}

static int extension_add(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    int ok = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok ? 0 : -1;
}

static int serial_set(X509 *cert)
{
    uint64_t serial = 0;
    if (RAND_bytes((unsigned char *)&serial, sizeof serial) != 1) {
        return -1;
    }
    return ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) == 1 ? 0 : -1;
}

/* Fills `made` with a key and an unsigned certificate named `name`, issued by `issuer` (NULL: by
 * itself). */
static int cert_prepare(struct issuer *made, const struct issuer *issuer, const char *name)
{
    made->key = EVP_EC_gen("P-256");
    made->cert = X509_new();
    if (made->key == NULL || made->cert == NULL || serial_set(made->cert) != 0) {
        return -1;
    }
    X509_NAME *subject = X509_get_subject_name(made->cert);
    X509 *from = issuer == NULL ? made->cert : issuer->cert;
    if (X509_set_version(made->cert, 2) != 1 ||
        X509_gmtime_adj(X509_getm_notBefore(made->cert), -86400) == NULL ||
        X509_gmtime_adj(X509_getm_notAfter(made->cert), VALID_SECONDS) == NULL ||
        X509_set_pubkey(made->cert, made->key) != 1 ||
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
                                   0) != 1 ||
        X509_set_issuer_name(made->cert, X509_get_subject_name(from)) != 1) {
        return -1;
    }
    return 0;
}

static int authority_make(struct issuer *authority)
{
    if (cert_prepare(authority, NULL, "market-data simulator CA") != 0 ||
        extension_add(authority->cert, authority->cert, NID_basic_constraints,
                      "critical,CA:TRUE,pathlen:0") != 0 ||
        extension_add(authority->cert, authority->cert, NID_key_usage,
                      "critical,keyCertSign,cRLSign") != 0 ||
        extension_add(authority->cert, authority->cert, NID_subject_key_identifier, "hash") != 0) {
        return -1;
    }
    return X509_sign(authority->cert, authority->key, EVP_sha256()) > 0 ? 0 : -1;
}

static int server_make(struct issuer *server, const struct issuer *authority)
{
    if (cert_prepare(server, authority, "localhost") != 0 ||
        extension_add(server->cert, authority->cert, NID_basic_constraints, "critical,CA:FALSE") !=
            0 ||
        extension_add(server->cert, authority->cert, NID_key_usage, "critical,digitalSignature") !=
            0 ||
        extension_add(server->cert, authority->cert, NID_ext_key_usage, "serverAuth") != 0 ||
        extension_add(server->cert, authority->cert, NID_authority_key_identifier, "keyid") != 0 ||
        extension_add(server->cert, authority->cert, NID_subject_alt_name,
                      "DNS:localhost,IP:127.0.0.1,IP:::1") != 0) {
        return -1;
    }
    return X509_sign(server->cert, authority->key, EVP_sha256()) > 0 ? 0 : -1;
}

static int authority_write(const char *path, X509 *cert, struct err *err)
{
    char temporary[4096];
    int n = snprintf(temporary, sizeof temporary, "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof temporary) {
        return err_set(err, MD_EINVAL, "sim_cert: the path of the CA file is too long");
    }
    BIO *file = BIO_new_file(temporary, "w");
    int ok = file != NULL && PEM_write_bio_X509(file, cert) == 1 && BIO_flush(file) == 1;
    BIO_free(file);
    if (!ok || rename(temporary, path) != 0) {
        (void)unlink(temporary); /* best effort: it may not exist */
        return err_set(err, MD_EIO, "sim_cert: %s: cannot be written", path);
    }
    return 0;
}

int sim_cert_context(const char *ca_path, SSL_CTX **out, struct err *err)
{
    struct issuer authority = {0};
    struct issuer server = {0};
    int result = 0;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || authority_make(&authority) != 0 ||
        server_make(&server, &authority) != 0 ||
        SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_use_certificate(context, server.cert) != 1 ||
        SSL_CTX_use_PrivateKey(context, server.key) != 1) {
        result =
            err_set(err, MD_ETLS, "sim_cert: %s", ERR_reason_error_string(ERR_peek_last_error()));
    } else if (ca_path != NULL && ca_path[0] != 0) {
        result = authority_write(ca_path, authority.cert, err);
    }
    issuer_deinit(&server);
    issuer_deinit(&authority);
    if (result != 0) {
        SSL_CTX_free(context);
        return result;
    }
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    *out = context;
    return 0;
}
