/* The end of a run that found a mistake of ours: one line on standard error with the expression and
 * its place, then abort() for a core. Nothing is flushed or closed: what the journal's last group
 * commit holds is safe, and nothing else was promised. On the stack, no memory taken; write() and
 * abort() only, so that it also works where the heap is what was found broken. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void assert_failed(const char *expression, const char *file, int line)
{
    char text[512];
    int n = snprintf(text, sizeof text, "market-data: assertion failed: %s (%s:%d)\n", expression,
                     file, line);
    if (n > 0 &&
        write(STDERR_FILENO, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1) < 0) {
        abort(); /* nobody to tell */
    }
    abort();
}
