/* decimal_parse() over any bytes; what it takes must survive being printed and read again. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check(int holds)
{
    if (!holds) {
        abort();
    }
}

/* The text's own value, by the C library. */
static double value_of(const uint8_t *data, size_t bytes)
{
    char terminated[1024];
    memcpy(terminated, data, bytes);
    terminated[bytes] = 0;
    return strtod(terminated, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct decimal d = {0}, near = {0};
    struct str text = str_make((const char *)data, bytes);
    bool rounded = false;
    int code = decimal_parse(text, &d);
    int near_code = decimal_parse_rounded(text, &near, &rounded);
    check(rounded ? code == MD_ERANGE && near_code == 0 : code == near_code);
    if (rounded && bytes < 1024) {
        double value = value_of(data, bytes), found = decimal_to_double(near);
        check(found == value || nextafter(found, value) == value);
    }
    if (code != 0) {
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
    check(bytes >= 1024 || value_of(data, bytes) == decimal_to_double(d));
    return 0;
}
