/* The end of a run that found a mistake of ours: one line, then abort for a core. */
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
