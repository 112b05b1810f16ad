/* The configuration file, and the config record of a journal. */
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/settings.h"
#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct settings settings;
    struct err err = {{0}};
    settings_init(&settings);
    settings_landing_parse(&settings, str_make((const char *)data, size), &err);
    char path[] = "/tmp/md-fuzz-settings-XXXXXX";
    int fd = mkstemp(path);
    ASSERT(fd >= 0);
    ssize_t written = write(fd, data, size);
    close(fd);
    if (written == (ssize_t)size) {
        int code = settings_load(&settings, path, &err);
        ASSERT(code == 0 || err.text[0] != 0);
    }
    unlink(path);
    return 0;
}
