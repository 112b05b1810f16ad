/* A fault script: rules that are read are within their ranges and can be asked about anything. */
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "sim/sim_faults.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct sim_faults faults;
    struct err err;
    if (sim_faults_parse(&faults, str_make((const char *)data, bytes), 7, &err) != 0) {
        return 0;
    }
    for (uint32_t i = 0; i < faults.count; i++) {
        struct sim_fault_rule *rule = &faults.rules[i];
        ASSERT(rule->value >= 0);
        ASSERT(rule->trigger != SIM_TRIGGER_NTH || rule->value > 0);
        ASSERT(rule->time_ns >= 0);
        if (sim_faults_is_conn(rule)) {
            (void)sim_faults_due(rule, 5000000000);
            (void)sim_faults_applies(rule, 1, 5000000000, 5000000000);
        }
    }
    for (int64_t index = 0; index < 20; index++) {
        struct sim_fault_rule *rule =
            sim_faults_message(&faults, "depth", "BTCUSDT", index, index * 1000000000);
        if (rule != NULL) {
            sim_faults_count(&faults, rule);
        }
    }
    (void)sim_faults_request(&faults, SIM_FAULT_REST_STATUS, STR("/api/v3/depth"), 1000000000);
    (void)sim_faults_request(&faults, SIM_FAULT_ACK, STR(""), 1000000000);
    return 0;
}
