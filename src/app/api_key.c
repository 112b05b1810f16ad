/* Where the API key comes from, and what keeps it inside. */
#include "app/api_key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_file(const char *path, char *out, size_t capacity, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        int saved = errno;
        if (fd >= 0) {
            close(fd);
        }
        return err_set(err, MD_EINVAL, "binance.api_key_file: %s: %s", path, strerror(saved));
    }
    if ((status.st_mode & 077) != 0) {
        close(fd);
        return err_set(err, MD_EINVAL, "binance.api_key_file: %s: others may read it: chmod 600 it",
                       path);
    }
    ssize_t n = read(fd, out, capacity - 1);
    close(fd);
    out[n > 0 ? n : 0] = 0;
    return 0;
}

/* The environment is readable below /proc by the same user: the value there is overwritten. */
static void take_variable(char *out, size_t capacity)
{
    char *value = getenv(API_KEY_VARIABLE);
    size_t bytes = value != NULL ? strlen(value) : 0;
    if (bytes > 0 && bytes < capacity) {
        memcpy(out, value, bytes + 1);
    }
    if (value != NULL) {
        explicit_bzero(value, bytes);
        unsetenv(API_KEY_VARIABLE);
    }
}

static int check(const char *from, char *key, size_t capacity, struct err *err)
{
    size_t bytes = strlen(key);
    while (bytes > 0 && (unsigned char)key[bytes - 1] <= ' ') {
        key[--bytes] = 0;
    }
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)key[i];
        if (c <= ' ' || c >= 0x7f) {
            explicit_bzero(key, capacity);
            return err_set(err, MD_EINVAL, "%s: not an API key: one line of letters and digits",
                           from);
        }
    }
    return bytes > 0 ? 0
                     : err_set(err, MD_EINVAL,
                               "binance.feed: sbe needs an API key (type Ed25519): set "
                               "binance.api_key_file or the environment's " API_KEY_VARIABLE
                               ", or use binance.feed=json");
}

int api_key_read(const char *path, char *out, size_t capacity, struct err *err)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    char credential[300] = "";
    if (folder != NULL) {
        snprintf(credential, sizeof credential, "%s/" API_KEY_CREDENTIAL, folder);
    }
    bool given = credential[0] != 0 && access(credential, R_OK) == 0;
    const char *from = path[0] != 0 ? path : given ? credential : NULL;
    out[0] = 0;
    int code = from != NULL ? read_file(from, out, capacity, err) : 0;
    if (from == NULL) {
        take_variable(out, capacity);
    }
    code = code != 0 ? code : check(from != NULL ? from : API_KEY_VARIABLE, out, capacity, err);
    if (code == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        explicit_bzero(out, capacity);
        return err_set(err, MD_EINVAL, "core dumps cannot be turned off: %s", strerror(errno));
    }
    return code;
}
