/* Names and the race of addresses, on loopback. */
#include "fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/dial.h"

static void script_hello(struct test_peer *peer, void *context)
{
    (void)context;
    if (peer_ws_accept(peer)) {
        peer_send(peer, "\x81\x02hi\x88\x00", 6);
        peer_drain(peer);
    }
}

static void name_that_does_not_resolve_is_told(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    struct fixture_client *one = fixture_client(&fixture);
    /* a label of 64 characters: the resolver refuses it without asking anybody */
    fixture_connect(
        one, true, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example", 443);
    UNTIL_CLOSED(one);
    assert_int_equal(one->code, MD_EDNS);
    assert_non_null(strstr(one->why, ".example: "));
    assert_int_equal(one->ws_code, 1006);
    fixture_close(&fixture);
}

static void refused_connection_is_told(void **state)
{
    (void)state;
    struct test_server server;
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    server_start(&server, NULL, script_hello, NULL);
    server_stop(&server);
    struct fixture_client *one = fixture_client(&fixture);
    static const char *const hosts[] = {"127.0.0.1", "[::1]", "localhost"};
    for (int i = 0; i < 3; i++) {
        one->closes = 0;
        fixture_connect(one, false, hosts[i], server.port);
        UNTIL_CLOSED(one);
        assert_int_equal(one->code, MD_ECONNECT);
        assert_non_null(strstr(one->why, "Connection refused"));
    }
    fixture_close(&fixture);
}

/* ---- the race: dial itself, with addresses put in place of a resolver's answer */

struct race {
    struct loop *loop;
    struct dns *dns;
    struct proxy proxy;
    struct dial dial;
    int done, fd, code;
    char why[300], peer[DIAL_PEER_BYTES];
    int64_t took_ms;
};

static void on_done(void *context, int fd, int code, const char *why, const char *peer)
{
    struct race *race = context;
    race->done++;
    race->fd = fd;
    race->code = code;
    snprintf(race->why, sizeof race->why, "%s", why);
    snprintf(race->peer, sizeof race->peer, "%s", peer);
}

/* Dials `hosts` (addresses) in this order. */
static void run_race(struct race *race, const char *const *hosts, uint32_t count, uint16_t port)
{
    memset(race, 0, sizeof *race);
    race->loop = loop_create(&clock_system, 16, NULL);
    race->dns = dns_create(race->loop, 2, NULL);
    dial_init(&race->dial, race->loop, race->dns, &race->proxy);
    race->dial.on_done = on_done;
    race->dial.context = race;
    loop_turn(race->loop, 0);
    assert_int_equal(dial_start(&race->dial, STR("127.0.0.1"), port), 0);
    race->dial.answer.count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct dns_answer one;
        assert_true(dns_numeric(str_from(hosts[i]), port, &one));
        race->dial.answer.addresses[i] = one.addresses[0];
    }
    int64_t from = clock_mono_ns(&clock_system);
    while (race->done == 0 && clock_mono_ns(&clock_system) - from < 10 * NS_PER_S) {
        loop_turn(race->loop, 10);
    }
    race->took_ms = (clock_mono_ns(&clock_system) - from) / NS_PER_MS;
    loop_turn(race->loop, 0);
    assert_int_equal(race->done, 1);
    if (race->fd >= 0) {
        close(race->fd);
    }
    dial_cancel(&race->dial);
    dns_destroy(race->dns);
    loop_destroy(race->loop);
}

static void either_family_is_found_when_the_other_refuses(void **state)
{
    (void)state;
    static const char *const listens[] = {"127.0.0.1", "::1"};
    static const char *const peers[] = {"127.0.0.1:", "[::1]:"};
    static const char *const six_first[] = {"::1", "127.0.0.1"};
    static const char *const four_first[] = {"127.0.0.1", "::1"};
    for (int i = 0; i < 4; i++) {
        struct test_server server;
        struct race race;
        assert_true(server_start_at(&server, listens[i & 1], 0, NULL, script_hello, NULL));
        run_race(&race, (i & 2) != 0 ? six_first : four_first, 2, server.port);
        assert_int_equal(race.code, 0);
        assert_true(race.took_ms < 200); /* a refusal does not wait for the next turn of the race */
        assert_memory_equal(race.peer, peers[i & 1], strlen(peers[i & 1]));
        server_stop(&server);
    }
}

static void all_addresses_refusing_is_one_failure(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "::1",       "127.0.0.2", "127.0.0.3",
                                        "127.0.0.4", "127.0.0.5", "127.0.0.6", "127.0.0.7"};
    struct test_server server;
    struct race race;
    server_start(&server, NULL, script_hello, NULL);
    server_stop(&server);
    run_race(&race, hosts, 8, server.port);
    assert_int_equal(race.code, MD_ECONNECT);
    assert_non_null(strstr(race.why, "Connection refused"));
}

/* A listener whose queue is full: connecting to it neither fails nor succeeds. */
static int full_listener(uint16_t *port, int fillers[4])
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    socklen_t bytes = sizeof address;
    int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
    *port = ntohs(address.sin6_port);
    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&address, bytes);
    }
    usleep(20000);
    return listener;
}

static void second_address_is_tried_after_250_ms(void **state)
{
    (void)state;
    static const char *const hosts[] = {"::1", "127.0.0.1"};
    struct test_server server;
    struct race race;
    uint16_t port = 0;
    int fillers[4];
    int listener = -1;
    bool bound = false;
    for (int i = 0; i < 20 && !bound; i++) { /* a port that is free in both families */
        listener = full_listener(&port, fillers);
        bound = server_start_at(&server, "127.0.0.1", port, NULL, script_hello, NULL);
        for (int f = 0; f < 4 && !bound; f++) {
            close(fillers[f]);
        }
        if (!bound) {
            close(listener);
        }
    }
    assert_true(bound);
    run_race(&race, hosts, 2, port);
    assert_int_equal(race.code, 0);
    assert_memory_equal(race.peer, "127.0.0.1:", 10);
    assert_in_range(race.took_ms, 245, 1500);
    server_stop(&server);
    close(listener);
    for (int f = 0; f < 4; f++) {
        close(fillers[f]);
    }
}

static void connect_timeout_covers_an_address_that_does_not_answer(void **state)
{
    (void)state;
    struct fixture fixture;
    uint16_t port = 0;
    int fillers[4];
    int listener = full_listener(&port, fillers);
    struct net_config config = {.connect_timeout_ms = 200};
    fixture_open(&fixture, &config);
    struct fixture_client *one = fixture_client(&fixture);
    fixture_connect(one, false, "[::1]", port);
    UNTIL_CLOSED(one);
    assert_int_equal(one->code, MD_ETIMEOUT);
    assert_non_null(strstr(one->why, "no connection within"));
    fixture_close(&fixture);
    close(listener);
    for (int f = 0; f < 4; f++) {
        close(fillers[f]);
    }
}

static void many_names_at_once_are_all_answered(void **state)
{
    (void)state;
    struct test_server server;
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    server_start(&server, NULL, script_hello, NULL);
    for (int i = 0; i < FIXTURE_CLIENTS_MAX; i++) {
        fixture_connect(fixture_client(&fixture), false, "localhost", server.port);
        if (i % 3 == 0) {
            ws_client_close(fixture.clients[i].client, 1000);
        }
    }
    for (int i = 0; i < FIXTURE_CLIENTS_MAX; i++) {
        UNTIL_CLOSED(&fixture.clients[i]);
        assert_string_equal(fixture.clients[i].text, i % 3 ? "open T(hi) close " : "close ");
    }
    fixture_close(&fixture);
    server_stop(&server);
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
        cmocka_unit_test(name_that_does_not_resolve_is_told),
        cmocka_unit_test(refused_connection_is_told),
        cmocka_unit_test(either_family_is_found_when_the_other_refuses),
        cmocka_unit_test(all_addresses_refusing_is_one_failure),
        cmocka_unit_test(second_address_is_tried_after_250_ms),
        cmocka_unit_test(connect_timeout_covers_an_address_that_does_not_answer),
        cmocka_unit_test(many_names_at_once_are_all_answered),
    };
    return cmocka_run_group_tests(tests, NULL, teardown_all);
}
