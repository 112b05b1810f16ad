#ifndef MD_TEST_SIM_WORLD_H
#define MD_TEST_SIM_WORLD_H

#include "app/pipeline.h"
#include "base/mdio.h"
#include "sim/sim_internal.h"

/* The world round one recorder: simulated exchanges, a disk in memory, and a timetable of what goes
 * wrong. The recorder is the real one: settings, plan_make(), pipeline_open(), pipeline_run(), with
 * all its threads, on the kernel of kernel.h. It lives once or, with power cuts and kills, several
 * times over, on the same disk. */

enum world_what {
    WORLD_POWER_CUT, /* the disk keeps what the strict model says; off for `value` ns */
    WORLD_KILL,      /* kill -9: what was written stays, what was in memory is gone; likewise */
    WORLD_STOP,      /* SIGTERM; begins again after `value` ns */
    WORLD_CLOCK,     /* the recorder's wall clock is wrong by `value` ns from now on */
    WORLD_NET_DOWN,  /* no network for `value` ns; connections are reset */
    WORLD_REFUSE,    /* place `which` refuses new connections for `value` ns */
    WORLD_HANG,      /* ... does not answer them */
    WORLD_DISK_FAIL, /* every call of `which` (enum mdio_call) fails for `value` ns with `code` */
    WORLD_DISK_ONCE, /* the next one fails once; writes come up short first */
    WORLD_DISK_SLOW, /* a sync takes `which` ms, for `value` ns */
    WORLD_WHAT_COUNT
};

struct world_event {
    int64_t at_ns; /* since the start */
    enum world_what what;
    int64_t value;
    int which, code;
    uint64_t seed; /* of a power cut */
};

#define WORLD_EVENTS_MAX 64
#define WORLD_FAULTS_BYTES 2048
#define WORLD_SETTINGS_MAX 32

struct world_place { /* an exchange */
    enum venue_id venue;
    bool binary; /* Binance spot: binance.feed is sbe */
    uint32_t symbols;
    double trades_per_s;
    int64_t life_ms; /* of connections; 0 = the venue's */
    char channels[128];
    char faults[WORLD_FAULTS_BYTES];
};

struct world_config {
    uint64_t seed;
    int64_t start_unix_ns, run_ns;
    struct world_place places[VENUE_ID_END];
    uint32_t place_count;
    char settings[WORLD_SETTINGS_MAX][64]; /* name=value */
    uint32_t setting_count;
    uint32_t cut_bytes_max;                      /* of one read or write of a socket; 0 = whole */
    struct world_event events[WORLD_EVENTS_MAX]; /* in order of time */
    uint32_t event_count;
    int read_sleep_ms; /* reading the journal takes so long a piece; not in the last life */
    /* Negative controls: defects that the oracle must find. */
    uint64_t lose_every; /* events of each so many-th record are thrown away unseen; 0 = none */
    bool sync_lies;      /* the disk says "synced" and does nothing */
};

struct world_fault { /* a message fault that a simulator committed */
    char fault[12];
    char stream[64];
    int64_t index;
    uint32_t conn;
    int64_t unix_ns;
};

struct world_hooks {
    /* A record was landed (or landed again). */
    void (*on_landed)(void *context, struct land *land, const struct record *record);
    /* An event was decoded, before anything is made of it. */
    void (*on_decoded)(void *context, const struct event *event);
    /* A life ended hard: records above `synced_seq` were not promised. */
    void (*on_cut)(void *context, uint64_t synced_seq);
    void (*on_fault)(void *context, uint32_t place, const struct world_fault *fault);
    void *context;
};

struct world_stats {
    uint32_t lives, cuts, open_failures;
    uint64_t messages, records, replayed, drops, reconnects, rotations, violations, gaps;
    uint64_t faults_injected;
    uint64_t book_checks, book_differences; /* book.shadow_check_secs */
    uint64_t sockets_left;
    uint64_t journal_hash; /* of every record appended, in order */
    int64_t over_budget_bytes;
    const char *failure; /* NULL: the world itself saw nothing wrong */
    char words[256];
};

/* Runs it all. Afterwards world_disk() is what is left, and the simulators stand as they stood
 * until world_close(). One at a time. */
void world_run(const struct world_config *config, const struct world_hooks *hooks);
void world_close(void);
struct mdio *world_disk(void);
struct sim *world_sim(uint32_t place);
const struct model *world_model(uint32_t place);
struct world_stats world_stats(void);
/* FNV-1a over the names and the bytes of all files. */
uint64_t world_disk_hash(void);
void world_print(const struct world_config *config);

#endif
