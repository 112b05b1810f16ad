/* Limits as counters over windows: the last second of client messages a connection, connects and
 * REST weight an address. No clock, no socket. Memory: one table of 64 addresses. */
#include "sim/sim_limits.h"

#include <string.h>

#include "base/assert.h"
#include "base/clock.h"

struct sim_limits_config sim_limits_default(void)
{
    return (struct sim_limits_config){
        .messages_per_s = 5,
        .streams_per_connection = 1024,
        .subscribe_bytes = 4096,
        .connects = 300,
        .connects_window_ms = 300000,
        .ping_interval_ms = 20000,
        .pong_timeout_ms = 60000,
        .life_ms = 86400000,
        .weight = 6000,
        .weight_window_ms = 60000,
        .ignored_before_ban = 5,
        .ban_ms = 120000,
    };
}

struct sim_limits_config sim_limits_of(enum venue_id exchange)
{
    struct sim_limits_config limits = sim_limits_default();
    if (exchange == VENUE_BINANCE_FUTURES) { /* exchanges/binance-usdm-futures.md, sections 2, 6 */
        limits.messages_per_s = 10;
        limits.streams_per_connection = 200;
        limits.weight = 2400;
    }
    return limits;
}

static bool set_one(struct sim_limits_config *limits, struct str name, int64_t value)
{
    const struct {
        const char *name;
        uint32_t *count;
        int64_t *ms;
    } rows[] = {
        {"messages_per_s", &limits->messages_per_s, NULL},
        {"streams_per_connection", &limits->streams_per_connection, NULL},
        {"subscribe_bytes", &limits->subscribe_bytes, NULL},
        {"connects", &limits->connects, NULL},
        {"connects_window_ms", NULL, &limits->connects_window_ms},
        {"ping_interval_ms", NULL, &limits->ping_interval_ms},
        {"pong_timeout_ms", NULL, &limits->pong_timeout_ms},
        {"life_ms", NULL, &limits->life_ms},
        {"weight", &limits->weight, NULL},
        {"weight_window_ms", NULL, &limits->weight_window_ms},
        {"ignored_before_ban", &limits->ignored_before_ban, NULL},
        {"ban_ms", NULL, &limits->ban_ms},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (str_equal(name, str_from(rows[i].name))) {
            if (rows[i].count != NULL) {
                *rows[i].count = (uint32_t)value;
            } else {
                *rows[i].ms = value;
            }
            return true;
        }
    }
    return false;
}

bool sim_limits_set(struct sim_limits_config *limits, struct str text)
{
    const char *at = text.data;
    const char *end = text.data + text.bytes;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma != NULL ? comma : end;
        const char *equal = memchr(at, '=', (size_t)(stop - at));
        int64_t value = 0;
        if (equal == NULL || stop - equal > 10 || stop - equal < 2) {
            return false;
        }
        for (const char *digit = equal + 1; digit < stop; digit++) {
            if (*digit < '0' || *digit > '9') {
                return false;
            }
            value = value * 10 + (*digit - '0');
        }
        if (!set_one(limits, str_make(at, (size_t)(equal - at)), value)) {
            return false;
        }
        at = stop + 1;
    }
    return true;
}

bool sim_limits_message(struct sim_message_limit *limit, const struct sim_limits_config *config,
                        int64_t now_mono_ns)
{
    uint32_t allowed = config->messages_per_s;
    allowed = allowed > SIM_MESSAGES_PER_S_MAX ? SIM_MESSAGES_PER_S_MAX : allowed;
    if (allowed == 0) {
        return false;
    }
    limit->next %= allowed;
    bool full = limit->count == allowed;
    /* The slot to be overwritten is the oldest of the last `allowed` messages. */
    bool over = full && now_mono_ns - limit->times_mono_ns[limit->next] < NS_PER_S;
    limit->times_mono_ns[limit->next] = now_mono_ns;
    limit->next++;
    limit->count += !full;
    return !over;
}

struct sim_address *sim_limits_address(struct sim_addresses *addresses, const uint8_t ip[16],
                                       int64_t now_mono_ns)
{
    struct sim_address *oldest = &addresses->table[0];
    for (int i = 0; i < SIM_ADDRESSES_MAX; i++) {
        struct sim_address *address = &addresses->table[i];
        if (address->used && memcmp(address->ip, ip, sizeof address->ip) == 0) {
            address->last_mono_ns = now_mono_ns;
            return address;
        }
        if (oldest->used && (!address->used || address->last_mono_ns < oldest->last_mono_ns)) {
            oldest = address;
        }
    }
    memset(oldest, 0, sizeof *oldest);
    memcpy(oldest->ip, ip, sizeof oldest->ip);
    oldest->used = true;
    oldest->last_mono_ns = now_mono_ns;
    oldest->weight_window_mono_ns = now_mono_ns;
    return oldest;
}

bool sim_limits_connect(struct sim_address *address, const struct sim_limits_config *config,
                        int64_t now_mono_ns)
{
    uint32_t allowed = config->connects > SIM_CONNECTS_MAX ? SIM_CONNECTS_MAX : config->connects;
    if (allowed == 0) {
        return false;
    }
    address->connects_next %= allowed;
    int64_t oldest = address->connects_mono_ns[address->connects_next];
    if (address->connects_count == allowed &&
        now_mono_ns - oldest < config->connects_window_ms * NS_PER_MS) {
        return false;
    }
    address->connects_mono_ns[address->connects_next] = now_mono_ns;
    address->connects_next++;
    address->connects_count += address->connects_count < allowed;
    return true;
}

static int64_t seconds_until(int64_t until_mono_ns, int64_t now_mono_ns)
{
    int64_t left = until_mono_ns - now_mono_ns;
    return left <= 0 ? 0 : (left + NS_PER_S - 1) / NS_PER_S;
}

static struct sim_weight_verdict verdict(int status, const struct sim_address *address,
                                         int64_t until_mono_ns, int64_t now_mono_ns)
{
    return (struct sim_weight_verdict){status, address->weight_used,
                                       seconds_until(until_mono_ns, now_mono_ns)};
}

struct sim_weight_verdict sim_limits_weight(struct sim_address *address,
                                            const struct sim_limits_config *config, uint32_t weight,
                                            int64_t now_mono_ns)
{
    int64_t window_ns = config->weight_window_ms * NS_PER_MS;
    ASSERT(window_ns > 0);
    int64_t passed = now_mono_ns - address->weight_window_mono_ns;
    if (passed >= window_ns) {
        address->weight_window_mono_ns += passed / window_ns * window_ns;
        address->weight_used = 0;
    }
    if (now_mono_ns < address->ban_mono_ns) {
        return verdict(418, address, address->ban_mono_ns, now_mono_ns);
    }
    if (now_mono_ns < address->retry_mono_ns) {
        address->ignored++;
        if (address->ignored >= config->ignored_before_ban) {
            address->ban_mono_ns = now_mono_ns + config->ban_ms * NS_PER_MS;
            address->ignored = 0;
            return verdict(418, address, address->ban_mono_ns, now_mono_ns);
        }
        return verdict(429, address, address->retry_mono_ns, now_mono_ns);
    }
    address->weight_used += weight;
    if (address->weight_used > config->weight) {
        address->retry_mono_ns = address->weight_window_mono_ns + window_ns;
        address->ignored = 0;
        return verdict(429, address, address->retry_mono_ns, now_mono_ns);
    }
    return verdict(200, address, 0, now_mono_ns);
}
