/* Whatever a client sends, through a socket pair into the whole server: request, REST answer or
 * WebSocket, control messages, close; to each exchange that is played. After each input the
 * connection must be gone. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "sim/sim_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static int64_t now_ns = NS_PER_S;

static int64_t mono(void *context)
{
    (void)context;
    return now_ns;
}

static int64_t wall(void *context)
{
    (void)context;
    return 1795455000 * NS_PER_S + now_ns;
}

static struct sim *server(enum venue_id exchange)
{
    static const struct clock clock = {mono, wall, NULL};
    struct sim_config config = sim_config_default();
    config.exchange = exchange;
    config.plain = true;
    config.clock = &clock;
    config.connections_max = 2;
    config.model.symbols = 5;
    config.model.trades_per_s = 100;
    config.limits.weight = UINT32_MAX;
    config.limits.connects = 512;
    config.limits.connects_window_ms = 1;
    int code;
    struct err err;
    struct sim *sim = sim_create(&config, &code, &err);
    ASSERT(sim != NULL);
    sim_turn(sim, 0);
    return sim;
}

static void turns(struct sim *sim, int count, int64_t ms)
{
    for (int i = 0; i < count; i++) {
        now_ns += ms * NS_PER_MS;
        sim_turn(sim, 0);
    }
}

static void visit(struct sim *sim, const uint8_t *data, size_t bytes)
{
    static uint8_t waste[65536];
    const uint8_t ip[16] = {127, 0, 0, 1};
    int pair[2];
    ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    ASSERT(sim_conn_open(sim, pair[0], ip));
    ssize_t sent = send(pair[1], data, bytes, MSG_NOSIGNAL);
    ASSERT(bytes == 0 || sent == (ssize_t)bytes);
    turns(sim, 3, 40);
    while (recv(pair[1], waste, sizeof waste, 0) > 0) {
        turns(sim, 1, 1);
    }
    ASSERT(close(pair[1]) == 0);
    turns(sim, 3, 1);
    turns(sim, 3, 1000); /* whoever was being closed is forgotten after two seconds */
    ASSERT(sim->open_count == 0);
    ASSERT(sim->subs_free != SIM_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct sim *sims[VENUE_ID_END];
    for (int id = VENUE_NONE + 1; id < VENUE_ID_END && bytes <= 32768; id++) {
        if (!sim_plays((enum venue_id)id)) {
            continue;
        }
        if (sims[id] == NULL) {
            sims[id] = server((enum venue_id)id);
        }
        visit(sims[id], data, bytes);
    }
    return 0;
}
