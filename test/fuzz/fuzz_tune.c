/* RECORD_TUNE's payload, from a journal: any bytes. Each line is one of ours, in range, or refused.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "store/tune.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(int good)
{
    if (!good) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct str text = str_make((const char *)data, bytes);
    struct tune_line line;
    size_t before = text.bytes + 1;
    int code;
    while ((code = tune_line_next(&text, &line)) != 0) {
        require(text.bytes < before);
        before = text.bytes;
        require(code == 1 || code == MD_EPARSE);
        if (code == 1 && line.what == TUNE_IDLE) {
            require(line.value >= 1 && line.value <= TUNE_IDLE_FACTOR_MAX);
            require(line.symbol.bytes <= bytes);
        } else if (code == 1) {
            require(line.value >= 1 && line.value <= 19);
        }
    }
    require(text.bytes == 0);
    return 0;
}
