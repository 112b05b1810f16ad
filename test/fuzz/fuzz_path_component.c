/* str_path_decode() over any bytes, and str_path_component() there and back. */
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check(int holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct str text = str_make((const char *)data, bytes);
    char component[256], name[256];
    size_t name_bytes = 0;
    /* any name becomes a safe component that leads back to it */
    size_t length = str_path_component(component, text);
    check(length > 0 && length <= 200 && component[length] == 0 && component[0] != '.');
    for (size_t i = 0; i < length; i++) {
        check(component[i] > 0x20 && component[i] < 0x7f && component[i] != '/');
    }
    int code = str_path_decode(str_make(component, length), name, sizeof name, &name_bytes);
    check(code == 0 ? str_equal(str_make(name, name_bytes), text) : code == MD_ENOTSUP);
    /* any component that can be read is the one its name is given */
    code = str_path_decode(text, name, sizeof name, &name_bytes);
    if (code == 0) {
        check(name_bytes <= sizeof name);
        length = str_path_component(component, str_make(name, name_bytes));
        check(str_equal(str_make(component, length), text));
    }
    return 0;
}
