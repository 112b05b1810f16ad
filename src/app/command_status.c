/* metrics: what the metrics mean. */
#include <unistd.h>

#include "app/command.h"
#include "watch/metrics.h"

int command_metrics(struct command_line *line)
{
    (void)line;
    metrics_document(STDOUT_FILENO);
    return EXIT_OK;
}
