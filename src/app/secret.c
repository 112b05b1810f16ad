/* Where secrets come from, and what keeps them inside. */
#include "app/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

const struct secret_source secret_api_key = {
    .setting = "binance.api_key_file",
    .path = "",
    .credential = "binance-api-key",
    .variable = API_KEY_VARIABLE,
    .bytes_min = 1,
    .once = true,
};

static int read_file(const struct secret_source *source, const char *path, char *out,
                     size_t capacity, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        int saved = errno;
        if (fd >= 0) {
            close(fd);
        }
        return err_set(err, MD_EINVAL, "%s: %s: %s", source->setting, path, strerror(saved));
    }
    if ((status.st_mode & 077) != 0) {
        close(fd);
        return err_set(err, MD_EINVAL, "%s: %s: others may read it: chmod 600 it", source->setting,
                       path);
    }
    ssize_t n = read(fd, out, capacity - 1);
    close(fd);
    out[n > 0 ? n : 0] = 0;
    return 0;
}

static void read_variable(const struct secret_source *source, char *out, size_t capacity)
{
    char *value = getenv(source->variable);
    size_t bytes = value != NULL ? strlen(value) : 0;
    if (bytes > 0 && bytes < capacity) {
        memcpy(out, value, bytes + 1);
    }
    if (value != NULL && source->once) { /* it would stay readable below /proc */
        explicit_bzero(value, bytes);
        unsetenv(source->variable);
    }
}

/* One line, without the newline. */
static bool is_good(const struct secret_source *source, char *text)
{
    size_t bytes = strlen(text);
    while (bytes > 0 && (unsigned char)text[bytes - 1] <= ' ') {
        text[--bytes] = 0;
    }
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c >= 0x7f) {
            return false;
        }
    }
    return bytes >= source->bytes_min;
}

int secret_read(const struct secret_source *source, char *out, size_t capacity, struct err *err)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    char credential[300] = "";
    if (folder != NULL) {
        snprintf(credential, sizeof credential, "%s/%s", folder, source->credential);
    }
    bool given = credential[0] != 0 && access(credential, R_OK) == 0;
    const char *path = source->path[0] != 0 ? source->path : given ? credential : NULL;
    out[0] = 0;
    int code = path != NULL ? read_file(source, path, out, capacity, err) : 0;
    if (path == NULL) {
        read_variable(source, out, capacity);
    }
    if (code == 0 && path == NULL && out[0] == 0) {
        return 0;
    }
    if (code == 0 && !is_good(source, out)) {
        code =
            err_set(err, MD_EINVAL,
                    "%s: not usable: one line of at least %zu letters, digits and signs is wanted",
                    path != NULL ? path : source->variable, source->bytes_min);
    }
    if (code == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        code = err_set(err, MD_EINVAL, "core dumps cannot be turned off: %s", strerror(errno));
    }
    if (code != 0) {
        explicit_bzero(out, capacity);
    }
    return code;
}
