#ifndef MD_APP_PLAN_SCALE_H
#define MD_APP_PLAN_SCALE_H

#include "app/plan.h"

/* What a plan comes to, estimated before anything runs. */
struct plan_scale {
    double messages_a_second, rows_a_second;
    double file_bytes_a_day, journal_bytes_a_day;
    uint64_t partitions, files_a_day;
};
struct plan_scale plan_scale_of(const struct plan *plan, const struct settings *settings);
/* Prints it, and warnings with the values to use. */
void plan_print_scale(const struct plan *plan, const struct settings *settings, int fd);
/* Memory of the machine, or of the control group we are confined to. */
uint64_t plan_machine_bytes(void);

#endif
