/* Certificates and versions: what is refused, always, and in which words. */
#include "fixture.h"

#include <unistd.h>

static void script_hello(struct test_peer *peer, void *context)
{
    char *name = context;
    const char *sni = SSL_get_servername(peer->ssl, TLSEXT_NAMETYPE_host_name);
    snprintf(name, 64, "%s", sni != NULL ? sni : "none");
    if (peer_ws_accept(peer)) {
        peer_send(peer, "\x81\x02hi\x88\x00", 6);
        peer_drain(peer);
    }
}

static void connect_to(struct fixture_client *result, const char *ca_file, SSL_CTX *context,
                       const char *host, char sni[64])
{
    struct test_server server;
    static struct fixture fixture;
    struct net_config config = {.ca_file = ca_file};
    strcpy(sni, "-");
    fixture_open(&fixture, &config);
    server_start(&server, context, script_hello, sni);
    struct fixture_client *one = fixture_client(&fixture);
    fixture_connect(one, true, host, server.port);
    UNTIL_CLOSED(one);
    *result = *one;
    fixture_close(&fixture);
    server_stop(&server);
}

static void good_certificate_is_taken_by_name_and_by_address(void **state)
{
    (void)state;
    struct fixture_client one;
    char sni[64];
    connect_to(&one, test_pki()->ca_file, test_pki()->context, "localhost", sni);
    assert_string_equal(one.text, "open T(hi) close ");
    assert_string_equal(sni, "localhost");
    connect_to(&one, test_pki()->ca_file, test_pki()->context, "127.0.0.1", sni);
    assert_string_equal(one.text, "open T(hi) close ");
    assert_string_equal(sni, "none"); /* RFC 6066: no addresses in SNI */
}

struct refusal {
    const char *name;
    struct cert_spec spec;
    int issuer; /* 0: our CA, 1: itself, 2: another CA */
    const char *host;
    const char *words[3];
};
static const struct refusal refusals[] = {
    {"expired",
     {"localhost", "DNS:localhost,IP:127.0.0.1", -10, -1, false},
     0,
     "localhost",
     {"certificate of localhost refused", "expired on 20", "clock"}},
    {"not yet valid",
     {"localhost", "DNS:localhost,IP:127.0.0.1", 2, 10, false},
     0,
     "localhost",
     {"valid from 20", "clock", ""}},
    {"wrong host",
     {"other.example", "DNS:other.example", -1, 10, false},
     0,
     "localhost",
     {"another host", "other.example", "URL"}},
    {"wrong address",
     {"localhost", "DNS:localhost,IP:127.0.0.2", -1, 10, false},
     0,
     "127.0.0.1",
     {"another host", "", ""}},
    {"a name that only looks like the address",
     {"127.0.0.1", "DNS:127.0.0.1", -1, 10, false},
     0,
     "127.0.0.1",
     {"another host", "", ""}},
    {"a wildcard for the top",
     {"*", "DNS:*", -1, 10, false},
     0,
     "localhost",
     {"another host", "", ""}},
    {"self-signed",
     {"localhost", "DNS:localhost", -1, 10, false},
     1,
     "localhost",
     {"self-signed", "net.ca_file", ""}},
    {"unknown issuer",
     {"localhost", "DNS:localhost", -1, 10, false},
     2,
     "localhost",
     {"issuer", "Another CA", "net.ca_file"}},
    {"control characters in the issuer",
     {"localhost", "DNS:localhost", -1, 10, false},
     3,
     "localhost",
     {"issuer", "net.ca_file", ""}},
};

static void bad_certificates_are_refused_with_reason_and_remedy(void **state)
{
    (void)state;
    static const struct cert_spec ca_specs[] = {{"Another CA", NULL, -1, 10, true},
                                                {"Evil\x1b[31m\nCA", NULL, -1, 10, true}};
    struct cert others[2] = {cert_make(&ca_specs[0], NULL), cert_make(&ca_specs[1], NULL)};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct refusal *r = &refusals[i];
        const struct cert *issuers[] = {&test_pki()->ca, NULL, &others[0], &others[1]};
        struct cert cert = cert_make(&r->spec, issuers[r->issuer]);
        SSL_CTX *context = cert_context(&cert);
        struct fixture_client one;
        char sni[64];
        connect_to(&one, test_pki()->ca_file, context, r->host, sni);
        assert_string_equal(one.text, "close ");
        assert_int_equal(one.code, MD_ECERT);
        assert_int_equal(one.ws_code, 1006);
        assert_string_equal(sni, "-"); /* the script did not run */
        for (int w = 0; w < 3; w++) {
            if (strstr(one.why, r->words[w]) == NULL) {
                fail_msg("%s: %s: %s is missing", r->name, one.why, r->words[w]);
            }
        }
        for (const char *c = one.why; *c != 0; c++) {
            assert_true(*c >= 0x20 && *c < 0x7f);
        }
        SSL_CTX_free(context);
        cert_free(&cert);
    }
    cert_free(&others[0]);
    cert_free(&others[1]);
}

static void self_signed_certificate_is_taken_when_ca_file_names_it(void **state)
{
    (void)state;
    static const struct cert_spec spec = {"localhost", "DNS:localhost", -1, 10, false};
    struct cert cert = cert_make(&spec, NULL);
    char path[64], sni[64];
    struct fixture_client one;
    cert_file(&cert, path);
    SSL_CTX *context = cert_context(&cert);
    connect_to(&one, path, context, "localhost", sni);
    assert_string_equal(one.text, "open T(hi) close ");
    unlink(path);
    SSL_CTX_free(context);
    cert_free(&cert);
}

static void system_store_does_not_know_our_ca(void **state)
{
    (void)state;
    struct fixture_client one;
    char sni[64];
    connect_to(&one, "", test_pki()->context, "localhost", sni);
    assert_int_equal(one.code, MD_ECERT);
    assert_non_null(strstr(one.why, "ca-certificates"));
}

static void tls_1_1_is_refused_and_1_2_and_1_3_are_taken(void **state)
{
    (void)state;
    static const struct {
        int version;
        const char *text;
    } versions[] = {{TLS1_1_VERSION, "close "},
                    {TLS1_2_VERSION, "open T(hi) close "},
                    {TLS1_3_VERSION, "open T(hi) close "}};
    for (size_t i = 0; i < 3; i++) {
        SSL_CTX *context = cert_context(&test_pki()->server);
        SSL_CTX_set_security_level(context, 0);
        SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0");
        SSL_CTX_set_min_proto_version(context, versions[i].version);
        SSL_CTX_set_max_proto_version(context, versions[i].version);
        struct fixture_client one;
        char sni[64];
        connect_to(&one, test_pki()->ca_file, context, "localhost", sni);
        assert_string_equal(one.text, versions[i].text);
        if (i == 0) {
            assert_int_equal(one.code, MD_ETLS);
            assert_non_null(strstr(one.why, "TLS 1.2"));
        }
        SSL_CTX_free(context);
    }
}

static void script_plain(struct test_peer *peer, void *context)
{
    (void)context;
    peer_text(peer, "HTTP/1.1 400 Bad Request\r\n\r\n");
    peer_drain(peer);
}

static void plain_server_behind_wss_is_named(void **state)
{
    (void)state;
    struct test_server server;
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    server_start(&server, NULL, script_plain, NULL);
    struct fixture_client *one = fixture_client(&fixture);
    fixture_connect(one, true, "127.0.0.1", server.port);
    UNTIL_CLOSED(one);
    assert_int_equal(one->code, MD_ETLS);
    assert_non_null(strstr(one->why, "does not talk TLS"));
    fixture_close(&fixture);
    server_stop(&server);
}

static void ca_files_that_cannot_be_used_are_refused_at_create(void **state)
{
    (void)state;
    char path[64] = "/tmp/md_test_ca_XXXXXX";
    struct err err = {""};
    struct loop *loop = loop_create(&clock_system, 64, NULL);
    struct net_config config = {.ca_file = "/nonexistent/ca.pem",
                                .message_bytes_max = 65536,
                                .read_bytes = 65536,
                                .connections_max = 1};
    assert_null(net_create(loop, &config, &err));
    assert_non_null(strstr(err.text, "net.ca_file: /nonexistent/ca.pem: No such file"));
    close(mkstemp(path));
    config.ca_file = path;
    assert_null(net_create(loop, &config, &err));
    assert_non_null(strstr(err.text, "holds no certificate"));
    unlink(path);
    config.ca_file = NULL;
    config.proxy = "ftp://nowhere";
    assert_null(net_create(loop, &config, &err));
    assert_non_null(strstr(err.text, "net.proxy"));
    loop_destroy(loop);
}

static int setup(void **state)
{
    (void)state;
    alloc_hook_libraries();
    (void)test_pki();
    return 0;
}
static int teardown_all(void **state)
{
    (void)state;
    test_pki_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_certificate_is_taken_by_name_and_by_address),
        cmocka_unit_test(bad_certificates_are_refused_with_reason_and_remedy),
        cmocka_unit_test(self_signed_certificate_is_taken_when_ca_file_names_it),
        cmocka_unit_test(system_store_does_not_know_our_ca),
        cmocka_unit_test(tls_1_1_is_refused_and_1_2_and_1_3_are_taken),
        cmocka_unit_test(plain_server_behind_wss_is_named),
        cmocka_unit_test(ca_files_that_cannot_be_used_are_refused_at_create),
    };
    return cmocka_run_group_tests(tests, setup, teardown_all);
}
