/* Where the page is served, and the secret that opens it. */
#include "app/http_settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int http_listen(const struct settings *settings, struct listen_address *out, struct err *err)
{
    int code = listen_parse(str_from(settings->http_listen), out, err);
    const char *variable = getenv(HTTP_TOKEN_VARIABLE);
    bool has_token = settings->http_token_file[0] != 0 || (variable != NULL && variable[0] != 0);
    if (code == 0 && out->on && !out->loopback && !has_token) {
        return err_set(
            err, MD_EINVAL,
            "http.listen: %s: others can reach this address: set http.token_file (or the "
            "environment's " HTTP_TOKEN_VARIABLE "), or listen on localhost",
            settings->http_listen);
    }
    return code;
}

static int read_file(const char *path, char out[HTTP_TOKEN_BYTES], struct err *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        int saved = errno;
        if (fd >= 0) {
            close(fd);
        }
        return err_set(err, MD_EINVAL, "http.token_file: %s: %s", path, strerror(saved));
    }
    ssize_t n = (status.st_mode & 077) == 0 ? read(fd, out, HTTP_TOKEN_BYTES - 1) : 0;
    close(fd);
    if ((status.st_mode & 077) != 0) {
        return err_set(err, MD_EINVAL, "http.token_file: %s: others may read it: chmod 600 it",
                       path);
    }
    out[n > 0 ? n : 0] = 0;
    return 0;
}

int http_token(const struct settings *settings, char out[HTTP_TOKEN_BYTES], struct err *err)
{
    const char *variable = getenv(HTTP_TOKEN_VARIABLE);
    const char *source =
        settings->http_token_file[0] != 0 ? settings->http_token_file : HTTP_TOKEN_VARIABLE;
    out[0] = 0;
    if (settings->http_token_file[0] != 0) {
        int code = read_file(settings->http_token_file, out, err);
        if (code != 0) {
            return code;
        }
    } else if (variable == NULL || variable[0] == 0) {
        return 0;
    } else if (strlen(variable) < HTTP_TOKEN_BYTES) {
        memcpy(out, variable, strlen(variable) + 1);
    }
    size_t bytes = strlen(out);
    while (bytes > 0 && (unsigned char)out[bytes - 1] <= ' ') {
        out[--bytes] = 0;
    }
    bool good = bytes >= HTTP_TOKEN_BYTES_MIN;
    for (size_t i = 0; i < bytes; i++) {
        good = good && (unsigned char)out[i] > ' ' && (unsigned char)out[i] < 0x7f;
    }
    if (!good) {
        explicit_bzero(out, HTTP_TOKEN_BYTES);
        return err_set(err, MD_EINVAL,
                       "%s: not a token: one line of 16 to 199 letters, digits and signs", source);
    }
    return 0;
}
