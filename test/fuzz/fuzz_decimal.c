/* decimal_parse() over any bytes; what it takes must survive being printed and read again. */
#include <stdint.h>
#include <stdlib.h>

#include "base/decimal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check(int holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct decimal d = {0};
    struct str text = str_make((const char *)data, bytes);
    if (decimal_parse(text, &d) != 0) {
        return 0;
    }
    check(d.exponent >= -38 && d.exponent <= 38);
    check(d.mantissa > -1000000000000000000LL && d.mantissa < 1000000000000000000LL);
    char out[DECIMAL_TEXT_MAX];
    struct decimal again = {0};
    check(decimal_parse(str_make(out, decimal_format(d, out)), &again) == 0);
    check(decimal_compare(d, again) == 0);
    check(decimal_parse(str_make(out, decimal_format_short(d, out)), &again) == 0);
    check(decimal_compare(d, again) == 0);
    check(decimal_to_double(d) == decimal_to_double(again));
    if (bytes < 1024) { /* the text's own value, by the C library */
        char terminated[1024];
        memcpy(terminated, data, bytes);
        terminated[bytes] = 0;
        check(strtod(terminated, NULL) == decimal_to_double(d));
    }
    return 0;
}
