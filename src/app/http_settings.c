/* Where the page is served, and the secret that opens it. */
#include "app/http_settings.h"

#include <stdlib.h>

#include "app/secret.h"

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

int http_token(const struct settings *settings, char out[HTTP_TOKEN_BYTES], struct err *err)
{
    struct secret_source source = {
        .setting = "http.token_file",
        .path = settings->http_token_file,
        .credential = "http-token",
        .variable = HTTP_TOKEN_VARIABLE,
        .bytes_min = HTTP_TOKEN_BYTES_MIN,
    };
    return secret_read(&source, out, HTTP_TOKEN_BYTES, err);
}
