/* Fail points: the test harness names one step in the environment and the process dies there, by
 * the same signal a kernel out of memory or an operator's kill -9 would send. Parsed once; the only
 * state that changes later is the pass counter, which is atomic because steps of the journal's sync
 * thread and the landing thread can be named alike. No memory is taken. */
#include "base/failpoint.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool failpoint_armed;
static char armed_name[64];
static unsigned long armed_pass;
static atomic_ulong passes;

bool failpoint_init(void)
{
    failpoint_armed = false;
    atomic_store(&passes, 0);
    const char *text = getenv("MD_FAILPOINT");
    if (text == NULL || text[0] == '\0') {
        return true;
    }
    const char *colon = strchr(text, ':');
    size_t name_bytes = colon != NULL ? (size_t)(colon - text) : strlen(text);
    unsigned long pass = 1;
    if (colon != NULL) {
        char *end = NULL;
        pass = strtoul(colon + 1, &end, 10);
        if (colon[1] < '1' || colon[1] > '9' || *end != '\0') {
            return false;
        }
    }
    if (name_bytes == 0 || name_bytes >= sizeof armed_name) {
        return false;
    }
    memcpy(armed_name, text, name_bytes);
    armed_name[name_bytes] = '\0';
    armed_pass = pass;
    failpoint_armed = true;
    return true;
}

void failpoint_pass(const char *name)
{
    if (strcmp(name, armed_name) != 0 || atomic_fetch_add(&passes, 1) + 1 != armed_pass) {
        return;
    }
    (void)kill(getpid(), SIGKILL); /* cannot fail on ourselves; pause() until it arrives */
    for (;;) {
        (void)pause();
    }
}
