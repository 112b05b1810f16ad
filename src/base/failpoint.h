#ifndef MD_BASE_FAILPOINT_H
#define MD_BASE_FAILPOINT_H

#include <stdbool.h>

/* Named places where a test kills the program (faults.md row 2). The environment variable
 * MD_FAILPOINT names one: "journal_after_write" kills at the first pass, "journal_after_write:7" at
 * the seventh. The process gets SIGKILL: nothing is flushed, nothing is closed.
 *
 *   FAILPOINT("journal_after_write");
 *
 * Unset, a place costs one predictable branch. */

extern bool failpoint_armed; /* written by failpoint_init() only */

/* Reads MD_FAILPOINT. Call once in main, before threads start; without the call every place is off.
 * Returns false when the text is not NAME or NAME:N with N from 1 (then every place is off). */
bool failpoint_init(void);
/* Counts a pass of `name`; the armed one does not return on its n-th pass. Any thread. */
void failpoint_pass(const char *name);

#define FAILPOINT(name)                             \
    do {                                            \
        if (__builtin_expect(failpoint_armed, 0)) { \
            failpoint_pass(name);                   \
        }                                           \
    } while (0)

#endif
